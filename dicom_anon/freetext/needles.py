"""How the identifiers of one patient may be written: names, numbers, days, phones and places, as needles.

A needle is a string for the *compact* text (letters and digits only), and what may lie between its letters and around
them. Where a text holds it is found elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise, permutations, takewhile
from typing import NamedTuple

from .folding import ALNUM, spellings, unspaced, view, words
from .words import CREDENTIALS, ORDINARY_WORDS, PARTICLES, PLACE_WORDS, is_ordinary

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
_GLUED = 4
"""Letters of two words of a name that may be written as one."""
_UNREAD, _UNREAD_LETTERS = 4, 6
"""Characters from which on what is no word is a name: two letters of two bytes each; three, if it could be one."""
_SIGN = re.compile(r"[^\w -]")
_APOSTROPHE = re.compile("['\u2019]")
_SLASH = re.compile("/")


class Needle(NamedTuple):
    """A compact string to find, and what decides whether a find counts."""

    text: str
    joints: frozenset[int] | None  # offsets where `gap` may (and must be able to) stand; None: anywhere
    gap: re.Pattern[str]
    touching: str  # what may touch it: "no", "other" (digit beside letter), "solid" (that, unless gaps)
    word: bool = False  # one word of a name, which may be inflected or broken up

    @property
    def glued(self) -> bool:
        """Whether it may stand without any gap."""
        inside = len(self.text) > 1 if self.joints is None else any(at < len(self.text) for at in self.joints)
        return not inside or self.gap.fullmatch("") is not None


def _joined(parts: Iterable[str], gap: re.Pattern[str], touching: str = "other") -> Needle:
    text, joints = "", set()
    for part in parts:
        text += part
        joints.add(len(text))
    return Needle(text, frozenset(joints), gap, touching)


def _alone(word: str) -> bool:
    """Whether this word of a name is removed wherever it stands."""
    if len(word) < 3 or word.isdecimal():
        return len(word) > 4 or (len(word) == 2 and unspaced(word[0]))
    return word not in ORDINARY_WORDS and word not in PARTICLES


@lru_cache(maxsize=1024)
def name_groups(name: str) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Component groups of a PN value; each a tuple of words, each word a tuple of its spellings."""
    groups = []
    for group in name.split("="):
        found = (spellings(word) for word in [*words(_APOSTROPHE.sub("", group)), *words(group)])
        groups.append(tuple(dict.fromkeys(forms for forms in found if forms and forms[0] not in CREDENTIALS)))
    return tuple(groups)


@lru_cache(maxsize=1024)
def literals(value: str) -> tuple[str, ...]:
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
def name_needles(group: tuple[tuple[str, ...], ...], anchor: str) -> tuple[Needle, ...]:
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
def number_needles(value: str) -> tuple[Needle, ...]:
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
    return _joined(parts, own_gap, "no"), *(Needle(text, None, any_gap, touching) for text in texts if len(text) > 3)


@lru_cache(maxsize=1024)
def date_needles(day: str) -> tuple[Needle, ...]:
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
def phone_needles(value: str) -> tuple[Needle, ...]:
    """Return how a phone number is written: any grouping, with or without what is dialled before it."""
    digits = "".join(filter(str.isdecimal, view(value).folded))
    if len(digits) < 7:
        return number_needles(digits)
    texts = dict.fromkeys((digits, digits.lstrip("0"), digits[-7:]))
    return tuple(Needle(text, None, _ANY_GAP, "other") for text in texts if len(text) > 6)


@lru_cache(maxsize=1024)
def place_needles(value: str, *, address: bool) -> tuple[Needle, ...]:
    """Return how an address or institution is written: phrases, and words that say something alone."""
    needles: list[Needle] = []
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
                needles += () if word.isdecimal() and len(word) < 5 else number_needles(word)
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
