"""Names of Data Elements: the texts people write, the canonical keys the rules use, the PS3.6 dictionary.

Lives here: tag text to key and back, VR and keyword look-ups. Does not live here: values, actions, files.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import NamedTuple, TypeAlias, TypeGuard

from pydicom import datadict

from dicom_anon.errors import DicomAnonError


class TagSyntaxError(DicomAnonError):
    """A text that names no Data Element."""


class Pattern(NamedTuple):
    """All tags that agree with `value` on the bits of `mask`, such as the repeating group ``(60xx,3000)``."""

    mask: int
    value: int

    @property
    def digits(self) -> int:
        """Binary digits of a tag that it says: of several that match, the one with most decides."""
        return self.mask.bit_count()

    def matches(self, tag: int) -> bool:
        """Tell whether `tag` is one of them."""
        return tag & self.mask == self.value

    def covers(self, key: Key) -> bool:
        """Tell whether it matches all that a key names; of a private element, whatever its block."""
        if isinstance(key, int):
            return self.matches(key)
        if isinstance(key, Pattern):
            return key.mask & self.mask == self.mask and self.matches(key.value)
        return not self.mask & 0xFF00 and self.matches(key.group << 16 | key.element)


class PrivateKey(NamedTuple):
    """A private element by its owner: whichever block the creator reserved (PS3.5 section 7.8.1)."""

    group: int
    element: int  # the low byte: xx0C is 0x0C
    creator: str


Key: TypeAlias = "int | Pattern | PrivateKey"
"""What a rule is about: one tag, a pattern of tags, or a private element by creator."""

SPECIFIC_CHARACTER_SET = 0x00080005
SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STUDY_DATE = 0x00080020
SERIES_DESCRIPTION = 0x0008103E
ACCESSION_NUMBER = 0x00080050
PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
ISSUER_OF_PATIENT_ID = 0x00100021
PATIENT_BIRTH_DATE = 0x00100030
OTHER_PATIENT_IDS = 0x00101000
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
STUDY_ID = 0x00200010
SERIES_NUMBER = 0x00200011
INSTANCE_NUMBER = 0x00200013
FRAME_OF_REFERENCE_UID = 0x00200052
ENCRYPTED_ATTRIBUTES_SEQUENCE = 0x04000500
PATIENT_IDENTITY_REMOVED = 0x00120062
DEIDENTIFICATION_METHOD = 0x00120063
DEIDENTIFICATION_METHOD_CODES = 0x00120064
LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED = 0x00280303

INSTANCE_UIDS = (SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)
"""The UIDs that name this very object; replaced under every preset unless a rule says ``keep``."""

_HEX_TAG = re.compile(r"\(?\s*([0-9A-Fa-fXx]{4})\s*,\s*([0-9A-Fa-fXx]{4})\s*\)?")
_PRIVATE = re.compile(r'\(?\s*([0-9A-Fa-f]{4})\s*,\s*[xX]{2}([0-9A-Fa-f]{2})\s*,\s*"([^"]+)"\s*\)?')
_BARE = re.compile(r"[0-9A-Fa-f]{8}")
_LIKE_PRIVATE = re.compile(r"\(?\s*[0-9A-Fa-f]{4}\s*,.*,.*")


class DictionaryEntry(NamedTuple):
    """An element of PS3.6; its `vr` may read ``US or SS``."""

    vr: str
    keyword: str
    name: str


@functools.cache
def additions() -> Mapping[int, DictionaryEntry]:
    """PS3.6 entries newer than pydicom's dictionary; pydicom's own stays as it is for other users of it."""
    text = resources.files("dicom_anon.standard").joinpath("ps36_additions.json").read_text("utf-8")
    return {
        int(tag, 16): DictionaryEntry(" or ".join(row["vr"]), row["keyword"], row["name"])
        for tag, row in json.loads(text)["additions"].items()
    }


@functools.cache
def _added_keywords() -> dict[str, int]:
    return {entry.keyword: tag for tag, entry in additions().items() if entry.keyword}


@functools.lru_cache(maxsize=1 << 16)
def _entry(tag: int) -> DictionaryEntry | None:
    found = datadict.DicomDictionary.get(tag)
    if found is None:
        mask = datadict.mask_match(tag)
        found = None if mask is None else datadict.RepeatersDictionary[mask]
    if found is not None:
        return DictionaryEntry(found[0], found[4], found[2])
    return additions().get(tag)


def vr_of(tag: int) -> str | None:
    """VR of a standard element as PS3.6 prints it (``US or SS`` included), `None` where it has none.

    >>> vr_of(0x00100010), vr_of(0x60023000), vr_of(0x00091001)
    ('PN', 'OB or OW', None)
    """
    entry = _entry(tag)
    return entry.vr if entry else None


def keyword_of(key: Key) -> str:
    """Keyword of PS3.6 for a key; empty where it has none.

    >>> keyword_of(0x00100010), keyword_of(Pattern(0xFF01FFFF, 0x60003000))
    ('PatientName', 'OverlayData')
    """
    if isinstance(key, PrivateKey):
        return ""
    entry = _entry(key if isinstance(key, int) else key.value)
    return entry.keyword if entry else ""


def name_of(tag: int) -> str:
    """Name of PS3.6 (``Patient's Name``); empty where it has none."""
    entry = _entry(tag)
    return entry.name if entry else ""


def is_repeating_group(key: Key) -> TypeGuard[Pattern]:
    """Tell whether a key is one element in all groups such as 60xx; it has the keyword and VR of its first tag."""
    return isinstance(key, Pattern) and key.mask == 0xFF01FFFF


def is_private(tag: int) -> bool:
    """Tell whether the tag's group is odd (PS3.5 section 7.8)."""
    return bool(tag & 0x10000)


def is_private_creator(tag: int) -> bool:
    """Tell whether the element reserves a private block: (gggg,0010-00FF), odd group."""
    return bool(tag & 0x10000) and 0x10 <= tag & 0xFFFF <= 0xFF


def format_tag(tag: int) -> str:
    """Write a tag as ``(gggg,eeee)`` in lower case, mercure's form.

    >>> format_tag(0x0020000D)
    '(0020,000d)'
    """
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def format_key(key: Key) -> str:
    """Write a key in the form a user can give it back.

    >>> format_key(Pattern(0xFF01FFFF, 0x60003000)), format_key(PrivateKey(0x19, 0x0C, "SIEMENS MR HEADER"))
    ('(60xx,3000)', '(0019,xx0c,"SIEMENS MR HEADER")')
    """
    if isinstance(key, PrivateKey):
        return f'({key.group:04x},xx{key.element:02x},"{key.creator}")'
    if isinstance(key, Pattern):
        mask, digits = f"{key.mask:08x}", f"{key.value:08x}"
        text = "".join(digit if bits == "f" else "x" for digit, bits in zip(digits, mask, strict=True))
        return f"({text[:4]},{text[4:]})"
    return format_tag(key)


def patterns_of(keys: Iterable[Key]) -> list[Pattern]:
    """Patterns among keys, those first that say most of a tag: of several that match, the first decides.

    >>> [format_key(key) for key in patterns_of([0x00100010, parse_key("60xx,xxxx"), parse_key("60xx,3000")])]
    ['(60xx,3000)', '(60xx,xxxx)']
    """
    return sorted((key for key in keys if isinstance(key, Pattern)), key=lambda key: (-key.digits, sort_key(key)))


def sort_key(key: Key) -> tuple[int, int, str]:
    """Order keys as a Data Set would hold them."""
    if isinstance(key, PrivateKey):
        return (key.group << 16 | 0x1000 | key.element, 2, key.creator)
    if isinstance(key, Pattern):
        return (key.value, 1, "")
    return (key, 0, "")


def parse_key(text: str) -> Key:
    """Read the name of a Data Element in any of the accepted forms.

    Parameters
    ----------
    text : str
        ``(0010,0010)``, ``0010,0010``, ``00100010`` in any hex case, a PS3.6 keyword, a repeating group such
        as ``(50xx,xxxx)``, or a private element by creator such as ``(0019,xx0c,"SIEMENS MR HEADER")``.

    Returns
    -------
    Key
        The one canonical key of that element.

    Raises
    ------
    TagSyntaxError
        Where the text names none; the nearest keyword is suggested.

    Examples
    --------
    >>> parse_key("PatientName") == parse_key("0010,0010") == parse_key("(0010,0010)") == 0x00100010
    True
    """
    tag = tag_for_keyword(text)
    if tag is not None:
        return tag
    if match := _HEX_TAG.fullmatch(text):
        return _from_digits(match[1] + match[2])
    if _BARE.fullmatch(text):
        return _from_digits(text)
    if match := _PRIVATE.fullmatch(text):
        group = int(match[1], 16)
        if not group & 1:
            raise TagSyntaxError(f"group {match[1]} is even, so it has no private creator")
        if not match[3].strip():
            raise TagSyntaxError("names no private creator")
        return PrivateKey(group, int(match[2], 16), match[3].strip())
    if _LIKE_PRIVATE.fullmatch(text):
        raise TagSyntaxError('names no DICOM element; a private one is written (0019,xx0c,"ITS CREATOR")')
    if text in _repeating():
        return _from_digits(_repeating()[text])
    if text.isidentifier() and (outside := datadict.tag_for_keyword(text)) is not None:
        return _from_digits(f"{outside:08x}")  # which says why it is none
    raise TagSyntaxError("names no DICOM element" + did_you_mean(text, _keywords()))


def _from_digits(digits: str) -> Key:
    digits = digits.lower()
    if "x" in digits:
        mask = int("".join("0" if digit == "x" else "f" for digit in digits), 16)
        return pattern_of(mask, int(digits.replace("x", "0"), 16))
    tag = int(digits, 16)
    _check_in_data_set(0xFFFFFFFF, tag)
    return tag


def pattern_of(mask: int, value: int) -> Pattern:
    """Pattern of the tags that agree with `value` on the bits of `mask`; an open group is an even one.

    Raises
    ------
    TagSyntaxError
        It matches every element, or none that a Data Set can hold.
    """
    if mask == 0:
        raise TagSyntaxError("matches every element")
    mask |= 0x00010000  # a repeating group is even (PS3.5 section 7.6); what is private is named by its creator
    _check_in_data_set(mask, value)
    return Pattern(mask, value & mask)


def _check_in_data_set(mask: int, value: int) -> None:
    """Refuse what no Data Set holds when rules are applied to it: such a rule would do nothing."""
    group = value >> 16
    if mask >> 16 == 0xFFFF and (group in (0x0000, 0x0002, 0xFFFE) or group > 0xFFFC):
        problem = f"group {group:04x} is no part of a Data Set; the file meta is rebuilt for every file"
        raise TagSyntaxError(problem)
    if mask & 0xFFFF == 0xFFFF and value & 0xFFFF == 0:
        raise TagSyntaxError("is a group length, and those are always dropped")


def tag_for_keyword(keyword: str) -> int | None:
    """Tag of a PS3.6 keyword, `None` where there is no such keyword."""
    found = datadict.tag_for_keyword(keyword) if keyword.isidentifier() else None
    if found is None:
        return _added_keywords().get(keyword)
    return None if found >> 16 in (0, 2) else int(found)


@functools.cache
def _repeating() -> dict[str, str]:
    """Digits of repeating groups, with x for any digit, by keyword."""
    return {entry[4]: digits for digits, entry in datadict.RepeatersDictionary.items() if entry[4]}


@functools.cache
def _keywords() -> tuple[str, ...]:
    entries = datadict.DicomDictionary.items()
    own = (entry[4] for tag, entry in entries if entry[4] and tag >> 16 not in (0, 2))
    return (*own, *_repeating(), *_added_keywords())


def nearest_keyword(text: str) -> str:
    """Nearest keyword of PS3.6, empty where none is near."""
    return nearest(text, _keywords())


def did_you_mean(text: str, known: tuple[str, ...]) -> str:
    """End of a message on a word that is not known: the nearest one, if one is near.

    >>> did_you_mean("keepp", ("keep", "remove"))
    '; did you mean "keep"?'
    """
    near = nearest(text, known)
    return f'; did you mean "{near}"?' if near else ""


_LONGEST_WORD, _MANY_WORDS, _NEAR = 80, 500, 6


def nearest(text: str, known: tuple[str, ...]) -> str:
    """Nearest known word, empty where none is near; case is forgiven first.

    >>> nearest("PatientNam", ("PatientName", "PatientID"))
    'PatientName'
    """
    if len(text) > _LONGEST_WORD:
        return ""
    low = text.lower()
    for word in known:
        if word.lower() == low:
            return word
    if len(known) > _MANY_WORDS:  # the keywords of PS3.6: comparing with all of them takes too long
        parts = [text[i : i + 4] for i in range(0, max(1, len(text) - 3), 3)]
        known = tuple(w for w in known if abs(len(w) - len(text)) <= _NEAR and any(part in w for part in parts))
    found = difflib.get_close_matches(text, known, n=1, cutoff=0.7)
    return found[0] if found else ""
