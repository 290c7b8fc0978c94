"""Names of files and folders: which hold an identifier, and what stands in their place.

Lives here: the test of one path component, and its token. Does not live here: when folders get their final names.
"""

from __future__ import annotations

import functools
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from dicom_anon.freetext.folding import spellings, unspaced, view
from dicom_anon.pseudonyms import Pseudonyms

MODES = ("keep", "safe", "uid")
"""keep: names as they are; safe: names that hold an identifier are replaced; uid: Study/Series/SOP UID."""

_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_SEPARATORS = re.compile(r"[\W_]+")
_DAY = re.compile(r"(?<!\d)(?=(\d\d)(?:(\d\d)(\d\d)|[\W_]+(\d\d)[\W_]+(\d\d)))")
"""Six digits at the start of a number, or in pairs: `010319` and `01.03.19`, but not slice 319 in `IM-0001-0319`."""
_PARTED_DAY = re.compile(
    r"(?<!\d)(?=(\d\d?)[\W_]+(\d\d?)[\W_]+(\d{4}|\d\d)(?!\d)|(\d{4})[\W_]+(\d\d?)[\W_]+(\d\d?)(?!\d))"
)
"""A day in three numbers, which may lack their zeros: `1.3.2019`, `3-1-19`."""
_NAME_PARTS = re.compile(r"[\s^=,.\-_]+")
_TAIL = re.compile(r"(?:(?<!\d)(\d{1,5}))?((?:\.[A-Za-z]{1,4})?)$")
_NUMBERS = re.compile(r"[\d\W_]+$")
_MIN_INSIDE = 4
"""A shorter part of a name or ID counts only where it is a whole word or number of the component.

Scripts without blanks between words have names of two characters, which count anywhere.
"""
_FEW = 64
"""Parts of names and IDs that a file has at most, but for strange ones with IDs by the thousand."""
_MIN_DIGITS = 5
"""Digits of an ID that are looked for without its letters and leading zeros."""
_SHORT_NUMBER = re.compile(r"(.*(?<!\d))0*([1-9]\d{1,3})")
"""An ID that ends in a number of less digits than those, which may be written with more or less zeros before it.

Behind no more than one letter, it counts only as a whole word: `IM0012` is a slice, and no patient `M12`.
"""
_WIDEST = 8
_MIN_UID = 6
"""A shorter UID is a number that may stand in any name."""
_LONG_UID = 12
"""Digits of a UID that are looked for whatever stands between them."""
_UID_LIKE = re.compile(rf"(?:\d[\W_]*){{{_LONG_UID}}}")
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d¹²³]) *(\..*)?")
"""Names that no file or folder of Windows can have."""


class Identifiers(NamedTuple):
    """What a path must not tell of a file: all folded, for comparison only.

    `inside` count wherever they occur, `whole` only as a whole word, number or day, `days` only in three numbers.
    """

    inside: frozenset[str]
    whole: frozenset[str]
    uids: frozenset[str]
    days: frozenset[str] = frozenset()


def fold(text: str) -> str:
    """Lower case, without accents.

    >>> fold("Müller")
    'muller'
    """
    if text.isascii():
        return text.lower()
    return view(unicodedata.normalize("NFC", text)).folded


@functools.lru_cache(maxsize=4096)
def identifiers_of(
    names: tuple[str, ...], ids: tuple[str, ...], dates: tuple[str, ...], uids: tuple[str, ...]
) -> Identifiers:
    """Fold the identifiers of a file.

    Parameters
    ----------
    names : tuple of str
        Person Names, with ``^`` and ``=``.
    ids : tuple of str
        Patient ID, accession number and the like.
    dates : tuple of str
        Dates as YYYYMMDD.
    uids : tuple of str
        UIDs of the object.
    """
    inside, whole = _telling(names, ids, dates)
    return with_uids(Identifiers(inside, whole, frozenset(), _days_of(dates)), uids)


def with_uids(identifiers: Identifiers, uids: tuple[str, ...]) -> Identifiers:
    """Identifiers, and some UIDs more."""
    digits = {uid: _SEPARATORS.sub("", uid) for uid in uids}
    return identifiers._replace(
        inside=identifiers.inside.union(found for found in digits.values() if len(found) >= _LONG_UID),
        uids=identifiers.uids.union(uid for uid in uids if len(uid) >= _MIN_UID and len(digits[uid]) < _LONG_UID),
    )


def may_hold_uid(path: str) -> bool:
    """Tell whether a path may hold a UID: most have not that many digits in a row, whatever is between them."""
    return len(path) >= _LONG_UID and _UID_LIKE.search(path) is not None


@functools.lru_cache(maxsize=1024)
def _telling(
    names: tuple[str, ...], ids: tuple[str, ...], dates: tuple[str, ...]
) -> tuple[frozenset[str], frozenset[str]]:
    """What tells of a patient anywhere in a name, and what only as a whole word; the same for many series."""
    telling = {letters for name in names for letters in _letters_of(name)}
    words: set[str] = set()
    for text in ids:
        folded = _SEPARATORS.sub("", fold(text))
        telling |= {folded} - {""}
        telling |= {digits for digits in re.findall(r"[1-9]\d*", folded) if len(digits) >= _MIN_DIGITS}
        if short := _SHORT_NUMBER.fullmatch(folded):
            forms = {short[1] + short[2].zfill(width) for width in range(len(short[2]), _WIDEST + 1)}
            (telling if len(short[1]) > 1 else words).update(forms)
    for date in dates:
        if re.fullmatch(r"\d{8}", date):
            century, year, month, day = date[:2], date[2:4], date[4:6], date[6:]
            telling |= {date, day + month + century + year, month + day + century + year}
            words |= {year + month + day, day + month + year, month + day + year}
    inside = {text for text in telling if len(text) >= _MIN_INSIDE or unspaced(text[0])}
    rest = telling - inside
    if len(inside) <= _FEW:  # each is compared with all; of more, what holds another is looked for in vain
        inside = {text for text in inside if sum(map(text.__contains__, inside)) == 1}  # it holds but itself
    return frozenset(inside), frozenset(words.union(rest))


@functools.lru_cache(maxsize=1024)
def _letters_of(name: str) -> frozenset[str]:
    """Letters of the parts of a name, in all spellings."""
    found = (_SEPARATORS.sub("", form) for part in _name_parts(name) for form in spellings(part))
    return frozenset(letters for letters in found if len(letters) >= 2)


@functools.lru_cache(maxsize=1024)
def _days_of(dates: tuple[str, ...]) -> frozenset[str]:
    """Days as three numbers without leading zeros, in the orders that people write them in."""
    found: set[str] = set()
    for date in dates:
        if re.fullmatch(r"\d{8}", date):
            d, m, *years = map(int, (date[6:], date[4:6], date[:4], date[2:4]))
            found |= {f"{years[0]}.{m}.{d}", *(f"{a}.{b}.{y}" for a, b in ((d, m), (m, d)) for y in years)}
    return frozenset(found)


def _name_parts(name: str) -> Iterator[str]:
    """Parts of a Person Name, and what people make of the first two of them: ``DoeJane``, ``JaneDoe``, ``JDoe``."""
    for group in name.split("="):
        yield from _NAME_PARTS.split(group)
        family, given = (*group.split("^"), "")[:2]
        if family and given:
            yield from (family + given, given + family, family + given[0], given[0] + family)


def _holds_any(component: str, texts: frozenset[str]) -> bool:
    for text in texts:  # noqa: SIM110 # this is asked of every file, and a generator takes three times as long
        if text in component:
            return True
    return False


def holds_identifier(
    component: str, identifiers: Identifiers, holds_any: Callable[[str, frozenset[str]], bool] = _holds_any
) -> bool:
    """Tell whether a path component holds an identifier, however it is spelt or separated.

    `holds_any` tells whether it holds one of some texts.

    >>> doe = identifiers_of(("Doe^Jane",), ("7719-03",), ("19611230",), ())
    >>> holds_identifier("JANE_d", doe), holds_identifier("mrn 771903", doe), holds_identifier("CT_0001", doe)
    (True, True, False)
    """
    if holds_any(component, identifiers.uids):
        return True
    folded = fold(component if component.isascii() else _as_utf8(component))
    letters = _SEPARATORS.sub("", folded)
    if holds_any(letters, identifiers.inside):
        return True
    days = _PARTED_DAY.findall(folded) if len(folded) - len(letters) > 1 else ()  # two separators at least
    if days and not identifiers.days.isdisjoint(".".join(str(int(part)) for part in day if part) for day in days):
        return True
    if not holds_any(letters, identifiers.whole):
        return False
    words = {*_TOKEN.findall(folded), *_SEPARATORS.split(folded), *map("".join, _DAY.findall(folded))}
    return not identifiers.whole.isdisjoint(words)


def _as_utf8(component: str) -> str:
    """Read a name as UTF-8, which nearly all are, whatever the locale of this process takes it for."""
    return os.fsencode(component).decode("utf-8", "surrogateescape")


class Everyone:
    """Identifiers of very many files, with all of which a name is compared at once.

    Parameters
    ----------
    seen : iterable of Identifiers
        Of the files known so far.
    """

    def __init__(self, seen: Iterable[Identifiers] = ()) -> None:
        self._known: tuple[set[str], ...] = tuple(set() for _ in Identifiers._fields)
        for identifiers in seen:
            self.add(identifiers)

    def add(self, identifiers: Identifiers) -> None:
        """Take in those of one more file."""
        for known, new in zip(self._known, identifiers, strict=True):
            known |= new

    def held_by(self, names: Iterable[str]) -> set[str]:
        """Those of some names that hold an identifier of any file; its time does not grow with the files."""
        everything = Identifiers(*map(frozenset, self._known))
        lengths = {len(text) for texts in everything for text in texts}

        def holds_any(component: str, texts: frozenset[str]) -> bool:
            starts = range(len(component))
            return any(component[at : at + length] in texts for length in lengths for at in starts)

        return {name for name in names if holds_identifier(name, everything, holds_any)}


def folder_token(component: str, pseudonyms: Pseudonyms) -> str:
    """What stands in the place of a folder's name: the same for the same one, and short."""
    return pseudonyms.code("path", os.fsencode(component).decode("latin-1"))


def safe_file_name(name: str, identifiers: Identifiers, pseudonyms: Pseudonyms) -> str:
    """Name of a file, with a token in the place of one that holds an identifier or that not every system can have.

    A number at its end and the extension stay where the identifier is wholly in the rest: the token depends on that
    rest only, so that slices stay in order.

    Parameters
    ----------
    name : str
        Name of the source file.
    identifiers : Identifiers
        Of that file.
    pseudonyms : Pseudonyms
        The keyed functions.
    """
    if not holds_identifier(name, identifiers) and is_portable(name):
        return name
    match = _TAIL.search(name)
    stem, number, extension = (name[: match.start()], match[1] or "", match[2]) if match else (name, "", "")
    if number and (not holds_identifier(stem, identifiers) or _ends_in(stem, number, identifiers)):
        stem, number = stem + number, ""
    if extension and holds_identifier(extension, identifiers):
        stem, extension = stem + extension, ""
    return folder_token(stem, pseudonyms) + (f"_{number}" if number else "") + extension


def _ends_in(stem: str, number: str, identifiers: Identifiers) -> bool:
    """Tell whether the number behind a stem is an identifier, or the end of one that begins in the stem's numbers."""
    if holds_identifier(number, identifiers):
        return True
    before = _NUMBERS.search(stem)
    numbers = before[0] if before else ""
    return holds_identifier(numbers + number, identifiers) and not holds_identifier(numbers, identifiers)


def is_portable(component: str) -> bool:
    """Tell whether a name is text, no word that Windows reserves, and of at most 255 bytes.

    What is in another encoding than UTF-8 may say anything.
    """
    if not component.isascii():
        try:
            component = os.fsencode(component).decode()
        except UnicodeDecodeError:
            return False
    short = len(component) <= 63 or len(component.encode()) <= 255  # a character has up to four bytes
    return short and not RESERVED.fullmatch(component)
