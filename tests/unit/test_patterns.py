"""Regular expressions that could search for ever are known before they do."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_anon.actions.patterns import MAX_PATTERN, check_substitution, longest_text

WITHIN = "repetition within a repetition"
MANY = "in too many ways"


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(a+)+", WITHIN),
        ("(?:a|ab)*", WITHIN),
        ("(?:a?){5}", WITHIN),
        ("(?=(x*)*)", WITHIN),
        ("((a{1,2}){5,}", "not a regular expression"),
        ("a?" * 17, MANY),  # 2 ** 17 ways
        (".*" * 5, MANY),
        ("(a.*b.*){3}", MANY),
        ("(a*)" + "\\1" * 4, MANY),
        ("(a*)(?:\\1)+", WITHIN),
        ("[a", "not a regular expression"),
        ("(" * 5000, "longer than"),
        ("a" * (MAX_PATTERN + 1), "longer than"),
    ],
)
def test_patterns_that_are_refused(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_substitution(pattern, "x")


@pytest.mark.parametrize(
    "pattern", ["", "a", "(?i)dr|prof", "(ab)+", "[a-z]{2,9}", "(a)?b*", ".*-.*", "(?<!x)y+", "(a)\\1", "(?:a?){4}"]
)
def test_patterns_that_are_taken(pattern: str) -> None:
    check_substitution(pattern, "x")
    assert longest_text(pattern) > 100


@pytest.mark.parametrize("pattern", [".*" * 4, "a?" * 16, "a" * MAX_PATTERN])
def test_patterns_that_are_just_taken(pattern: str) -> None:
    check_substitution(pattern, "x")


@pytest.mark.parametrize(
    ("pattern", "like"),
    [
        ("(a*)\\1b", ".*.*"),
        ("(aaaa)\\1", "a"),
        ("(aaaaa)\\1", ".*"),
        ("(a*)\\1\\1b", ".*.*.*"),
        ("(.)\\1+", ".+"),
        ("(?P<x>a|ab)(?P=x)b", "a|ab"),
    ],
)
def test_a_back_reference_takes_as_long_as_what_it_refers_to(pattern: str, like: str) -> None:
    assert longest_text(pattern) == longest_text(like)


@pytest.mark.parametrize("replacement", ["\\2", "\\g<name>", "\\g<", "\\q"])
def test_replacements_that_are_refused(replacement: str) -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        check_substitution("(a)", replacement)


def test_a_replacement_may_name_groups() -> None:
    check_substitution("(?P<x>a)(b)", "\\g<x>-\\2-\\1")


_ATOM = st.sampled_from(["a", "b", ".", "[ab]", "(a)", "(?:ab)", "a|b", "(?:a|ab)"])
_PATTERN = st.recursive(
    _ATOM,
    lambda inner: (
        st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{0,3}", "{2,}", "*?"]))
        | st.builds("{}{}".format, inner, inner)
    ),
    max_leaves=8,
)


@given(_PATTERN)
def test_what_is_taken_ends_soon(pattern: str) -> None:
    try:
        check_substitution(pattern + "c", "x")
    except ValueError:
        return
    text = ("ab" * 300)[: min(600, longest_text(pattern + "c"))]
    began = time.process_time()
    re.sub(pattern + "c", "x", text)
    assert time.process_time() - began < 5, "a bound on work, far from any machine's speed"
