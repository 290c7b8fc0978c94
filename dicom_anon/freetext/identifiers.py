"""One patient's identifiers, and where a text holds them.

Each becomes needles for the *compact* text (letters and digits only), so that one substring search finds
``Smith, John``, ``SMITH^JOHN`` and ``SmithJohn``; what lies between and around the letters then decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from .announced import plain_id
from .dates import own_dates
from .folding import ALNUM, Span, View, unspaced
from .needles import (
    Needle,
    date_needles,
    literals,
    name_groups,
    name_needles,
    number_needles,
    phone_needles,
    place_needles,
)
from .words import PARTICLES, is_ordinary


@dataclass(frozen=True)
class Identifiers:
    """What identifies one patient, as decoded text grouped by kind. Build it with `of`.

    Attributes
    ----------
    names : tuple of str
        Values of VR PN with ``^`` and ``=`` (PS3.5 section 6.2.1): patient, other names, mother's birth name,
        physicians, operators.
    ids : tuple of str
        Patient, other patient, study, accession, admission and device numbers.
    dates : tuple of str
        ``YYYYMMDD``: birth, study, series, acquisition dates.
    phones, addresses, institutions : tuple of str
        Phone numbers; postal addresses; institutions, departments and station names.
    """

    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    institutions: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        names: Iterable[str] = (),
        ids: Iterable[str] = (),
        dates: Iterable[str] = (),
        phones: Iterable[str] = (),
        addresses: Iterable[str] = (),
        institutions: Iterable[str] = (),
    ) -> Identifiers:
        r"""Group values as they stand in the file.

        Blank values, repeats and order do not matter; a backslash separates values; of a DT only the day
        counts, and what is no full date is left out.

        Examples
        --------
        >>> made = Identifiers.of(names=["Doe^Jane", "", "Doe^Jane "], dates=["1961.12.30", "1961"])
        >>> made.names, made.dates
        (('Doe^Jane',), ('19611230',))
        """

        def tidy(values: Iterable[str]) -> tuple[str, ...]:
            return tuple(sorted({part.strip(" \0") for value in values for part in value.split("\\")} - {""}))

        days = ("".join(filter(str.isdecimal, value))[:8] for value in tidy(dates))
        return cls(
            names=tidy(names),
            ids=tidy(ids),
            dates=tuple(sorted({day for day in days if len(day) == 8})),
            phones=tidy(phones),
            addresses=tidy(addresses),
            institutions=tidy(institutions),
        )


_BREAK = re.compile(r" |-(?:\r?\n)?")  # within one word: "Zwickel-bart"
_ENDINGS = re.compile(  # of a genitive or a plural, and of adjectives made of names; the Cyrillic ones folded
    r"(?:(?<=[a-z])(?:s|es|ens|sche[mnrs]?)"
    r"|(?<=[\u0400-\u04ff])(?:[аеиуыюя]|[еоыи]м|[ое]и|[ое]го|[ое]му|[ыи]х|[ыи]ми|а[мх]|ами))(?![^\W\d_])"
)
_INFLECTED = 4
"""Letters from which on a name may have an ending."""
_BROKEN, _PIECE = 7, 3
"""Letters of a name that may be written as two words, and of each of them."""
_REACH = 16
"""Words of a name on each side with which a word of it is looked for; no name has more, but a text in its place may."""
_MANY = 256
"""Anchors that are looked for one by one in a text; of more, only those whose beginning is in it."""
_HEAD = 4


_Source: TypeAlias = "Needle | tuple[tuple[str, ...], ...]"
_Anchor: TypeAlias = "tuple[str, list[_Source]]"
"""What has to be in a text, and the needles that are then looked for, or the words of a name they are made of."""


class Finder:
    """Finds one patient's identifiers in folded text; cheap to build, as needles of names wait for a need."""

    def __init__(self, identifiers: Identifiers) -> None:
        needles: list[Needle] = []
        for value in identifiers.ids:
            needles += number_needles(value)
        for value in identifiers.dates:
            needles += date_needles(value)
        for value in identifiers.phones:
            needles += phone_needles(value)
        for value in identifiers.addresses:
            needles += place_needles(value, address=True)
        for value in identifiers.institutions:
            needles += place_needles(value, address=False)
        anchors: dict[str, list[_Source]] = {}
        for needle in dict.fromkeys(needles):
            anchors.setdefault(needle.text, []).append(needle)
        groups = dict.fromkeys(group for name in identifiers.names for group in name_groups(name))
        name_words = set()
        for group in groups:
            for at, forms in enumerate(group):
                near = group[max(0, at - _REACH) : at + _REACH + 1]
                for word in (form for form in forms if len(form) > 1 or unspaced(form)):
                    name_words.add(word)
                    if word not in PARTICLES or len(group) == 1:  # "van" is found from "Berg"
                        anchors.setdefault(word, []).append(near)
        self._anchors = tuple(anchors.items())
        self._by_head: dict[str, list[_Anchor]] = {}
        for pair in self._anchors if len(anchors) > _MANY else ():
            self._by_head.setdefault(pair[0][:_HEAD], []).append(pair)
        self._heads = sorted({len(head) for head in self._by_head})
        spoken = (*identifiers.names, *identifiers.addresses, *identifiers.institutions)
        self._literals = tuple(
            dict.fromkeys(text for value in spoken if not value.isascii() for text in literals(value))
        )
        self.name_words = frozenset(name_words)
        self.ids = frozenset(map(plain_id, identifiers.ids))
        self._days: dict[str, set[int]] = {}
        for day in identifiers.dates:
            self._days.setdefault(day[:4], set()).add(int(day[6:]))

    def spans(self, seen: View) -> Iterator[Span]:
        """Yield the spans of the folded text that hold an identifier; they may overlap, in no order."""
        for literal in () if seen.text.isascii() else self._literals:
            at = seen.folded.find(literal)
            while at >= 0:
                yield at, at + len(literal)
                at = seen.folded.find(literal, at + 1)
        compact = "".join(ALNUM.findall(seen.folded))
        where: list[int] = []
        for anchor, sources in self._near(compact) if self._by_head else self._anchors:
            if anchor not in compact:
                continue
            where = where or [at for run in ALNUM.finditer(seen.folded) for at in range(*run.span())]
            for source in sources:
                for needle in (source,) if isinstance(source, Needle) else name_needles(source, anchor):
                    yield from _found(needle, compact, where, seen.folded)
        if any(year in compact for year in self._days):
            yield from own_dates(seen.folded, self._days)

    def _near(self, compact: str) -> Iterator[_Anchor]:
        """Anchors that may be in a text, by their first letters."""
        starts = range(len(compact))
        for head in {compact[at : at + length] for length in self._heads for at in starts}:
            yield from self._by_head.get(head, ())


def _found(needle: Needle, compact: str, where: list[int], folded: str) -> Iterator[Span]:
    size = len(needle.text)
    at = compact.find(needle.text)
    while at >= 0:
        start, end = where[at], where[at + size - 1] + 1
        if _gaps_fit(needle, where, at, folded):
            stop = _end_of_word(needle, folded, end)
            if _edges_fit(needle, folded, start, end, stop):
                possessive = folded.startswith("'s", stop) and not folded[stop + 2 : stop + 3].isalnum()
                yield start, stop + 2 * possessive
        at = compact.find(needle.text, at + 1)


def _end_of_word(needle: Needle, folded: str, end: int) -> int:
    """Return the end of a name with its ending, unless that makes an ordinary word of it."""
    if not needle.word or len(needle.text) < _INFLECTED:
        return end
    ending = _ENDINGS.match(folded, end)
    if ending is None:
        return end
    whole = needle.text + ending[0]
    return end if is_ordinary(whole) or is_ordinary(whole.removesuffix("s")) else ending.end()


def _gaps_fit(needle: Needle, where: list[int], at: int, folded: str) -> bool:
    size = len(needle.text)
    if where[at + size - 1] - where[at] == size - 1:  # no gaps at all, as in most finds
        return needle.glued
    broken = 0
    for offset in range(1, len(needle.text)):
        gap = folded[where[at + offset - 1] + 1 : where[at + offset]]
        if needle.joints is None or offset in needle.joints:
            if not needle.gap.fullmatch(gap):
                return False
        elif gap not in ("", "'"):  # "O'Brien" is one word
            if broken or not (needle.word and _BREAK.fullmatch(gap) and _may_break(needle.text, offset)):
                return False
            broken = offset
    return True


def _may_break(word: str, at: int) -> bool:
    """Whether a name may be written as two words here: not one of two that mean something ("arm strong")."""
    parts = word[:at], word[at:]
    return len(word) >= _BROKEN and min(map(len, parts)) >= _PIECE and not all(map(is_ordinary, parts))


def _edges_fit(needle: Needle, folded: str, start: int, end: int, stop: int) -> bool:
    """Whether what stands around a find lets it count; `stop` is `end` with the ending of a word."""
    solid = end - start == len(needle.text)
    joints = needle.joints or ()
    for lone, inner, outer in (
        (1 in joints, folded[start], folded[start - 1 : start]),
        (len(needle.text) - 1 in joints, folded[end - 1], folded[stop : stop + 1]),
    ):
        if lone and inner.isalpha() and outer and outer in "/+&-'":
            return False  # the O of "W/O" is nobody's initial
        if not outer.isalnum() or unspaced(inner):
            continue
        kinds_differ = outer.isdecimal() != inner.isdecimal()
        if not kinds_differ or needle.touching == "no" or (needle.touching == "solid" and not solid):
            return False
    return True
