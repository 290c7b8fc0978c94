"""Regular expressions of a configuration: which could search for ever and are refused, and how long a text may be.

Lives here: that estimate, from the parsed pattern. Does not live here: the command `regexp`.
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from typing import Any, NamedTuple

MAX_PATTERN = 1000
_STEPS = 10**8
"""Steps that one search may take: a second or two."""
_MANY = 4
"""A part that may be there more often than this must not itself match in several ways."""
_MAX_CHOICES = 10**5
_OPEN = 100
"""A repetition that may go this far counts as one without end."""

_parser: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")


class _Effort(NamedTuple):
    """In how many ways a part of a pattern can match: text length to the power of `opens`, times `choices`."""

    opens: int = 0
    choices: int = 1

    def then(self, other: _Effort) -> _Effort:
        return _Effort(self.opens + other.opens, self.choices * other.choices)

    def times(self, count: int) -> _Effort:
        return _Effort(self.opens * count, self.choices**count)


def check_substitution(find: str, replacement: str) -> None:
    """Refuse what is no pattern with its replacement, or could take for ever.

    Raises
    ------
    ValueError
        With what is wrong.
    """
    if len(find) > MAX_PATTERN:
        raise ValueError(f"the pattern is longer than {MAX_PATTERN} characters")
    try:
        effort = _effort(_parser.parse(find))
        _parser.parse_template(replacement, re.compile(find))
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if effort.choices > _MAX_CHOICES or effort.opens > _MANY:
        raise ValueError(
            "the pattern can match in too many ways: repetitions such as .* and optional parts are too many"
        )


@functools.lru_cache(maxsize=256)
def longest_text(find: str) -> int:
    """Tell in how many characters a pattern can be searched in reasonable time.

    >>> longest_text("Dr") > 10**7, longest_text(".*-.*-")
    (True, 464)
    """
    effort = _effort(_parser.parse(find))
    return int((_STEPS / effort.choices) ** (1 / (effort.opens + 1)) + 1e-6)


def _effort(pattern: Any) -> _Effort:
    total = _Effort()
    for code, argument in pattern:
        name = str(code)
        if name.endswith("REPEAT"):
            low, high, inner = argument
            total = total.then(_repeated(int(low), int(high), _effort(inner)))
        elif name == "BRANCH":
            branches = [_effort(branch) for branch in argument[1]]
            opens, choices = max(b.opens for b in branches), sum(b.choices for b in branches)
            total = total.then(_Effort(opens, choices))
        elif name == "GROUPREF":  # compared with what its group has matched
            longest = int(pattern.state.groupwidths[argument][1])
            total = total.then(_Effort(int(longest > _MANY)))
        else:
            for inner in _parts(argument):
                total = total.then(_effort(inner))
    return total


def _repeated(low: int, high: int, inner: _Effort) -> _Effort:
    if inner != _Effort() and high > _MANY:
        raise ValueError(
            "a repetition within a repetition, or a choice within one, can take for ever: "
            "write the inner part without *, +, ?, {m,n} and |"
        )
    if high - low >= _OPEN:
        return _Effort(1)
    return inner.times(max(high, 1)).then(_Effort(0, high - low + 1))


def _parts(argument: Any) -> list[Any]:
    """Patterns within the argument of a group, an assertion or a condition."""
    if isinstance(argument, _parser.SubPattern):
        return [argument]
    return [part for part in argument if isinstance(part, _parser.SubPattern)] if isinstance(argument, tuple) else []
