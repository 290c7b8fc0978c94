"""Values that say more than their element can: words where numbers, dates or UIDs stand (PS3.5 table 6.2-1).

Lives here: telling them, by VR and by what PS3.6 says of the tag. Does not live here: what is then done.
"""

from __future__ import annotations

import functools
import re

from dicom_anon.elements import BULK_VRS, implicit_vr

_OF_DIGITS = frozenset(b"AS DA DS DT IS TM".split())
_OF_BYTES = frozenset(b"AT FD FL SL SS SV UL US UV".split()) | BULK_VRS
_OF_TEXT = frozenset(b"AE CS LO LT PN SH ST UC UR UT".split())

_WORD = re.compile(rb"[A-Za-z\x80-\xff]{2,}")
"""Letters side by side: that of an exponent or an age stands alone."""

_NUMBERS = frozenset((b"nan", b"inf", b"infinity"))

_LONG_WORD = re.compile(rb"[A-Za-z]{4}")
"""In bytes of numbers, fewer letters stand side by side by chance."""

_NOT_OF_A_UID = re.compile(rb"[^0-9A-Fa-f.\\ \0]|[ \0][^\\ \0]")
"""Some tools made UIDs of hexadecimal digits, which are wrong but tell nothing."""

_BEHIND_THE_END = re.compile(rb"\0[^\\ \0]")
_ANYTHING = re.compile(rb"(?s).")


def says_more(tag: int, vr: bytes, buf: bytes, start: int, end: int) -> bool:
    """Tell whether a value holds what its element has no place for.

    Parameters
    ----------
    tag : int
        Tag of the element.
    vr : bytes
        VR that it has in the file.
    buf : bytes
        Holds the value.
    start, end : int
        Where it lies.

    Examples
    --------
    >>> says_more(0x00180060, b"DS", b"120 ", 0, 4), says_more(0x00180060, b"DS", b"Doe ", 0, 4)
    (False, True)
    """
    surplus = surplus_of(tag, vr)
    found = surplus.finditer(buf, start, end) if surplus is not None else ()
    return any(match[0].lower() not in _NUMBERS for match in found)


@functools.lru_cache(maxsize=1 << 14)
def surplus_of(tag: int, vr: bytes) -> re.Pattern[bytes] | None:
    """What is found in no value of an element, or in one that `says_more` looks at; `None` where it may be any bytes.

    Parameters
    ----------
    tag : int
        Its tag.
    vr : bytes
        VR that it has in the file.
    """
    meant = vr if tag & 0x10000 else implicit_vr(tag)
    if vr == b"UN":
        vr = meant
    elif meant == b"UN":  # PS3.6 does not know it, or lets it hold anything
        meant = vr
    if meant == b"SQ":
        return _ANYTHING
    if b"UI" in (vr, meant):
        return _NOT_OF_A_UID
    if vr in _OF_DIGITS or meant in _OF_DIGITS:
        return _WORD
    if meant in _OF_BYTES and vr in _OF_TEXT:
        return _LONG_WORD
    return _BEHIND_THE_END if vr in _OF_TEXT else None
