"""One patient's identifiers, and where a text holds them.

Each becomes needles for the *compact* text (letters and digits only), so that one substring search finds
``Smith, John``, ``SMITH^JOHN`` and ``SmithJohn``; what lies between and around the letters then decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, permutations, takewhile
from typing import NamedTuple

from .announced import plain_id
from .dates import own_dates
from .folding import ALNUM, Span, View, spellings, unspaced, view, words
from .words import CREDENTIALS, ORDINARY_WORDS, PARTICLES, PLACE_WORDS, is_ordinary


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


# --- Needles ----------------------------------------------------------------------------------------------

_NO_GAP = re.compile("")
_ANY_GAP = re.compile(r"[\W_]{0,3}")
_REAL_GAP = re.compile(r"[\W_]{1,3}")
_ID_GAP = re.compile(r"[\W_]{0,2}")
_SHORT_ID_GAP = re.compile(r"[-._/]?")
_SHORT_ID_OWN_GAP = re.compile(r"[-._/:]{0,3}")  # where the identifier itself has punctuation
_NAME_GAP = re.compile(r"[ ,^_'=-]{1,3}")  # between words that are a name only together
_HALF_NAME_GAP = re.compile(r"[ ,.^_'=-]{0,3}")  # where one of the two is
_INITIAL_GAP = re.compile(r"(?=.{0,2}[.,^])[ .,^_]{1,3}")  # "Head, S", "S. Head", not "S HEAD"
_DATE_GAP = re.compile("[-./]")
_BREAK = re.compile(r" |-(?:\r?\n)?")  # within one word: "Zwickel-bart"
_ENDINGS = re.compile(  # of a genitive or a plural, and of adjectives made of names; the Cyrillic ones folded
    r"(?:(?<=[a-z])(?:s|es|ens|sche[mnrs]?)"
    r"|(?<=[\u0400-\u04ff])(?:[аеиуыюя]|[еоыи]м|[ое]и|[ое]го|[ое]му|[ыи]х|[ыи]ми|а[мх]|ами))(?![^\W\d_])"
)
_INFLECTED = 4
"""Letters from which on a name may have an ending."""
_BROKEN, _PIECE = 7, 3
"""Letters of a name that may be written as two words, and of each of them."""
_GLUED = 4
"""Letters of two words of a name that may be written as one."""
_UNREAD, _UNREAD_LETTERS = 4, 6
"""Characters from which on what is no word is a name: two letters of two bytes each; three, if it could be one."""
_SIGN = re.compile(r"[^\w -]")
_APOSTROPHE = re.compile("['\u2019]")
_SLASH = re.compile("/")


class _Needle(NamedTuple):
    """A compact string to find, and what decides whether a find counts."""

    text: str
    joints: frozenset[int] | None  # offsets where `gap` may (and must be able to) stand; None: anywhere
    gap: re.Pattern[str]
    touching: str  # what may touch it: "no", "other" (digit beside letter), "solid" (that, unless gaps)
    word: bool = False  # one word of a name, which may be inflected or broken up


def _joined(parts: Iterable[str], gap: re.Pattern[str], touching: str = "other") -> _Needle:
    text, joints = "", set()
    for part in parts:
        text += part
        joints.add(len(text))
    return _Needle(text, frozenset(joints), gap, touching)


def _alone(word: str) -> bool:
    """Whether this word of a name is removed wherever it stands."""
    if len(word) < 3 or word.isdecimal():
        return len(word) > 4 or (len(word) == 2 and unspaced(word[0]))
    return word not in ORDINARY_WORDS and word not in PARTICLES


@lru_cache(maxsize=1024)
def _name_groups(name: str) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Component groups of a PN value; each a tuple of words, each word a tuple of its spellings."""
    groups = []
    for group in name.split("="):
        found = (spellings(word) for word in [*words(_APOSTROPHE.sub("", group)), *words(group)])
        groups.append(tuple(dict.fromkeys(forms for forms in found if forms and forms[0] not in CREDENTIALS)))
    return tuple(groups)


@lru_cache(maxsize=1024)
def _literals(value: str) -> tuple[str, ...]:
    """Return how a name or place stands in a text, folded, if its letters may be those of another character set.

    Such a text has no blanks between its words, and in them signs that are no letters.
    """
    found: list[str] = []
    for group in value.split("="):
        parts = [part for part in map(str.strip, re.split("[,;^]", view(group).folded)) if part]
        pairs = [*permutations(parts[:2], 2)]
        if any(map(_SIGN.search, parts)):
            found += filter(_SIGN.search, parts)
            found += [first + gap + second for first, second in pairs for gap in ("", " ", "^", ",", ", ", "_")]
        elif not group.isascii():
            found += [first + second for first, second in pairs if len(first + second) >= _UNREAD_LETTERS]
    return tuple(text for text in found if len(text) >= _UNREAD)


def _pair_gap(first: str, second: str) -> re.Pattern[str]:
    """Return what may stand between two words of one name."""
    if unspaced(first[0]):
        return _ANY_GAP
    names = _alone(first) + _alone(second)
    if names and (len(first) < 3 or len(second) < 3 or first + second in ORDINARY_WORDS):
        return _REAL_GAP
    return (_NAME_GAP, _HALF_NAME_GAP, _ANY_GAP)[names]


def _initial_gap(word: str, glued: str) -> re.Pattern[str]:
    """Return what may stand between a word of a name and the initial of another."""
    if not _alone(word):
        return _INITIAL_GAP
    return _REAL_GAP if glued in ORDINARY_WORDS else _ANY_GAP


@lru_cache(maxsize=2048)
def _name_needles(group: tuple[tuple[str, ...], ...], anchor: str) -> tuple[_Needle, ...]:
    """Return how a word of a name may stand: alone, beside another word or initial, or all together."""
    needles = [_joined([anchor], _ANY_GAP)._replace(word=anchor.isalpha())] if _alone(anchor) else []
    others = [forms for forms in group if anchor not in forms]
    for other in (form for forms in others for form in forms):
        for first, second in ((anchor, other), (other, anchor)):
            if len(other) > 1 or unspaced(other):
                gap = _pair_gap(first, second)
                needles.append(_joined((first, second), gap))
                if not gap.fullmatch("") and len(first + second) >= _GLUED and not is_ordinary(first + second):
                    needles.append(_joined((first, second), _NO_GAP, "no"))
            if not unspaced(anchor[0]):
                parts = [part if part == anchor else part[0] for part in (first, second)]
                needles.append(_joined(parts, _initial_gap(anchor, "".join(parts)), "no"))
    at = next(index for index, forms in enumerate(group) if anchor in forms)
    before = takewhile(PARTICLES.__contains__, (forms[0] for forms in reversed(group[:at])))
    if particles := [*before][::-1]:  # "van der" goes with "Berg"
        needles.append(_joined([*particles, anchor], _ANY_GAP if _alone(anchor) else _NAME_GAP))
    if len(others) > 1:
        plain = [anchor if anchor in forms else forms[0] for forms in group]
        initials = [forms[0][0] for forms in others]
        gap = _ANY_GAP if len(anchor) > 3 and _alone(anchor) else _NAME_GAP
        for order in (plain, [*plain[1:], plain[0]], [anchor, *initials], [*initials, anchor]):
            needles.append(_joined(order, gap, "no"))  # noqa: PERF401 - a comprehension would hide the shape
    return tuple(needles)


@lru_cache(maxsize=4096)
def _number_needles(value: str) -> tuple[_Needle, ...]:
    """Return how an identifier may be written: any punctuation or none, leading zeros or none."""
    parts = ALNUM.findall(view(value).folded)
    compact = "".join(parts)
    if len(compact) < 4 or compact in ORDINARY_WORDS:
        return ()  # too short to tell from content: a word must announce it ("ID 12")
    if compact.isalpha():
        return (_joined(parts, _ID_GAP),)
    touching = "solid" if compact.isdecimal() and len(compact) > 4 else "no"
    texts = dict.fromkeys((compact, compact.lstrip("0")))
    own_gap, any_gap = (_ANY_GAP, _ID_GAP) if len(compact) > 5 else (_SHORT_ID_OWN_GAP, _SHORT_ID_GAP)
    return _joined(parts, own_gap, "no"), *(_Needle(text, None, any_gap, touching) for text in texts if len(text) > 3)


@lru_cache(maxsize=1024)
def _date_needles(day: str) -> tuple[_Needle, ...]:
    """Return how a day is written in digits; notations with month names are left to the patterns."""
    y, m, d = day[:4], day[4:6], day[6:]
    needles = []
    for parts in ((y, m, d), (d, m, y), (m, d, y)):
        bare = [part if part == y else part.lstrip("0") or "0" for part in parts]
        short = [part[-2:] for part in parts]
        needles += [_joined(parts, _ANY_GAP), _joined(bare, _REAL_GAP)]
        needles += [_joined(short, _ID_GAP, "no"), _joined(short, _DATE_GAP)]
    if "0" in (m[0], d[0]) or d > "12":  # 10/12 without a year may count something else
        needles += [_joined((m, d), _SLASH, "no"), _joined((d, m), _SLASH, "no")]
    return tuple(needles)


@lru_cache(maxsize=1024)
def _phone_needles(value: str) -> tuple[_Needle, ...]:
    """Return how a phone number is written: any grouping, with or without what is dialled before it."""
    digits = "".join(filter(str.isdecimal, view(value).folded))
    if len(digits) < 7:
        return _number_needles(digits)
    texts = dict.fromkeys((digits, digits.lstrip("0"), digits[-7:]))
    return tuple(_Needle(text, None, _ANY_GAP, "other") for text in texts if len(text) > 6)


@lru_cache(maxsize=1024)
def _place_needles(value: str, *, address: bool) -> tuple[_Needle, ...]:
    """Return how an address or institution is written: phrases, and words that say something alone."""
    needles: list[_Needle] = []
    for segment in re.split(r"[,;^=()|\r\n]", value):
        written = words(segment)
        forms = [spellings(word) or ("",) for word in written]
        plain = [form[0] for form in forms]
        if len(plain) > 1 and any(word in PLACE_WORDS or word not in ORDINARY_WORDS for word in plain):
            phrases = (plain, [form[-1] for form in forms])
            needles += [_joined(phrase, _ANY_GAP) for phrase in phrases if len("".join(phrase)) > 3]
        for raw, word_forms in zip(written, forms, strict=True):
            word = word_forms[0]
            if not word.isalpha():
                needles += () if word.isdecimal() and len(word) < 5 else _number_needles(word)
            elif _says_something(word, raw):
                needles += [_joined([form], _ANY_GAP) for form in word_forms]
        if address:  # a house number with its street
            for pair in pairwise(plain):
                if pair[0].isdecimal() != pair[1].isdecimal():
                    needles.append(_joined(pair, _ID_GAP, "no"))
    return tuple(needles)


def _says_something(word: str, written: str) -> bool:
    """Whether a word of an address or institution identifies alone: `Springfield`, `MGH`, not `Street`."""
    if word in ORDINARY_WORDS or word in PLACE_WORDS or word in PARTICLES or word in CREDENTIALS:
        return False
    return len(word) > 3 or (len(word) == 3 and written.isupper()) or (len(word) == 2 and unspaced(word[0]))


class Finder:
    """Finds one patient's identifiers in folded text; cheap to build, as needles of names wait for a need."""

    def __init__(self, identifiers: Identifiers) -> None:
        needles: list[_Needle] = []
        for value in identifiers.ids:
            needles += _number_needles(value)
        for value in identifiers.dates:
            needles += _date_needles(value)
        for value in identifiers.phones:
            needles += _phone_needles(value)
        for value in identifiers.addresses:
            needles += _place_needles(value, address=True)
        for value in identifiers.institutions:
            needles += _place_needles(value, address=False)
        anchors: dict[str, list[_Needle | tuple[tuple[str, ...], ...]]] = {}
        for needle in dict.fromkeys(needles):
            anchors.setdefault(needle.text, []).append(needle)
        groups = dict.fromkeys(group for name in identifiers.names for group in _name_groups(name))
        name_words = set()
        for group in groups:
            for word in (form for forms in group for form in forms if len(form) > 1 or unspaced(form)):
                name_words.add(word)
                if word not in PARTICLES or len(group) == 1:  # "van" is found from "Berg"
                    anchors.setdefault(word, []).append(group)
        self._anchors = tuple(anchors.items())
        spoken = (*identifiers.names, *identifiers.addresses, *identifiers.institutions)
        self._literals = tuple(
            dict.fromkeys(text for value in spoken if not value.isascii() for text in _literals(value))
        )
        self.name_words = frozenset(name_words)
        self.ids = frozenset(map(plain_id, identifiers.ids))
        years: dict[str, set[int]] = {}
        for day in identifiers.dates:
            years.setdefault(day[:4], set()).add(int(day[6:]))
        self._days = tuple((year, frozenset(days)) for year, days in years.items())

    def spans(self, seen: View) -> Iterator[Span]:
        """Yield the spans of the folded text that hold an identifier; they may overlap, in no order."""
        for literal in () if seen.text.isascii() else self._literals:
            at = seen.folded.find(literal)
            while at >= 0:
                yield at, at + len(literal)
                at = seen.folded.find(literal, at + 1)
        compact = "".join(ALNUM.findall(seen.folded))
        where: list[int] = []
        for anchor, sources in self._anchors:
            if anchor not in compact:
                continue
            where = where or [at for run in ALNUM.finditer(seen.folded) for at in range(*run.span())]
            for source in sources:
                for needle in (source,) if isinstance(source, _Needle) else _name_needles(source, anchor):
                    yield from _found(needle, compact, where, seen.folded)
        for year, days in self._days:
            if year in compact:
                yield from own_dates(seen.folded, year, days)


def _found(needle: _Needle, compact: str, where: list[int], folded: str) -> Iterator[Span]:
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


def _end_of_word(needle: _Needle, folded: str, end: int) -> int:
    """Return the end of a name with its ending, unless that makes an ordinary word of it."""
    if not needle.word or len(needle.text) < _INFLECTED:
        return end
    ending = _ENDINGS.match(folded, end)
    if ending is None:
        return end
    whole = needle.text + ending[0]
    return end if is_ordinary(whole) or is_ordinary(whole.removesuffix("s")) else ending.end()


def _gaps_fit(needle: _Needle, where: list[int], at: int, folded: str) -> bool:
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


def _edges_fit(needle: _Needle, folded: str, start: int, end: int, stop: int) -> bool:
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
