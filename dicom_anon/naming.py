"""Names of files and folders: which hold an identifier, and what stands in their place.

Lives here: the test of one path component, and its token. Does not live here: when folders get their final names.
"""

from __future__ import annotations

import functools
import os
import re
import unicodedata
from typing import NamedTuple

from dicom_anon.pseudonyms import Pseudonyms

MODES = ("keep", "safe", "uid")
"""keep: names as they are; safe: names that hold an identifier are replaced; uid: Study/Series/SOP UID."""

_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_SEPARATORS = re.compile(r"[\W_]+")
_NAME_PARTS = re.compile(r"[\s^=,.\-_]+")
_TAIL = re.compile(r"(?:(?<!\d)(\d{1,5}))?((?:\.[A-Za-z]{1,4})?)$")
_MIN_INSIDE = 4
"""A shorter part of a name or ID counts only where it is a whole word or number of the component."""
_MIN_UID = 6
"""A shorter UID is a number that may stand in any name."""
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Names that no file or folder of Windows can have."""


class Identifiers(NamedTuple):
    """What a path must not tell of a file: all folded, for comparison only.

    `inside` count wherever they occur, `whole` only as a whole word or number.
    """

    inside: frozenset[str]
    whole: frozenset[str]
    uids: frozenset[str]


def fold(text: str) -> str:
    """Lower case, without accents.

    >>> fold("Müller")
    'muller'
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


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
    inside: set[str] = set()
    whole: set[str] = set()
    for name in names:
        for part in _NAME_PARTS.split(fold(name)):
            letters = _SEPARATORS.sub("", part)
            if len(letters) >= 2:
                (inside if len(letters) >= _MIN_INSIDE else whole).add(letters)
    for text in ids:
        folded = _SEPARATORS.sub("", fold(text))
        if folded:
            (inside if len(folded) >= _MIN_INSIDE else whole).add(folded)
    for date in dates:
        if re.fullmatch(r"\d{8}", date):
            year, month, day = date[:4], date[4:6], date[6:]
            inside |= {date, day + month + year, month + day + year}
    return Identifiers(frozenset(inside), frozenset(whole), frozenset(uid for uid in uids if len(uid) >= _MIN_UID))


def holds_identifier(component: str, identifiers: Identifiers) -> bool:
    """Tell whether a path component holds an identifier, however it is spelt or separated.

    >>> doe = identifiers_of(("Doe^Jane",), ("7719-03",), ("19611230",), ())
    >>> holds_identifier("JANE_d", doe), holds_identifier("mrn 771903", doe), holds_identifier("CT_0001", doe)
    (True, True, False)
    """
    if _holds_any(component, identifiers.uids):
        return True
    folded = fold(component)
    if _holds_any(_SEPARATORS.sub("", folded), identifiers.inside):
        return True
    if not identifiers.whole:
        return False
    words = set(_TOKEN.findall(folded)) | set(_SEPARATORS.split(folded))
    return not identifiers.whole.isdisjoint(words)


def _holds_any(component: str, texts: frozenset[str]) -> bool:
    for text in texts:  # noqa: SIM110 # this is asked of every file, and a generator takes three times as long
        if text in component:
            return True
    return False


def folder_token(component: str, pseudonyms: Pseudonyms) -> str:
    """What stands in the place of a folder's name: the same for the same one, and short."""
    return pseudonyms.code("path", os.fsencode(component).decode("latin-1"))


def safe_file_name(name: str, identifiers: Identifiers, pseudonyms: Pseudonyms, sop_instance: str = "") -> str:
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
    sop_instance : str
        SOP Instance UID of that file, which is no one else's and so not among the identifiers.
    """
    if len(sop_instance) >= _MIN_UID and sop_instance in name:
        identifiers = identifiers._replace(uids=identifiers.uids | {sop_instance})
    elif not holds_identifier(name, identifiers) and is_portable(name):
        return name
    match = _TAIL.search(name)
    stem, number, extension = (name[: match.start()], match[1] or "", match[2]) if match else (name, "", "")
    if number and (not holds_identifier(stem, identifiers) or holds_identifier(number, identifiers)):
        stem, number = stem + number, ""
    if extension and holds_identifier(extension, identifiers):
        stem, extension = stem + extension, ""
    return folder_token(stem, pseudonyms) + (f"_{number}" if number else "") + extension


def is_portable(component: str) -> bool:
    """Tell whether a name is no word that Windows reserves, and has at most 255 bytes."""
    short = len(component) <= 63 or len(os.fsencode(component)) <= 255  # a character has up to four bytes
    return short and not RESERVED.fullmatch(component)
