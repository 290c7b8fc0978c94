"""Elements inside the value of another one, whose length reaches too far: what a wrong length would let pass.

Lives here: finding them by their headers. Does not live here: what is then done.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from dicom_anon.elements import LONG_VRS, SHORT_VRS, Encoding
from dicom_anon.tags import vr_of

SHORTEST = 10
"""Bytes of the shortest element that says something."""

_WINDOW = 1 << 20
"""Bytes behind the first NUL that are searched."""

_ANY_VR = re.compile(b"|".join(b"%c(?=%c)" % (*vr.encode(),) for vr in sorted(SHORT_VRS | LONG_VRS)))
"""The first letter only, so that none is passed over; ten times as fast as a look at every byte."""
_IMPLICIT = re.compile(rb"(?s)(?=[^\0]\0..[^\0].\0\0)")


def hides_elements(buf: bytes, start: int, end: int, vr: bytes, encoding: Encoding) -> bool:
    """Tell whether a value holds whole elements of its Data Set.

    Text holds one where a NUL is in it and the header of a private element or of one of PS3.6, with the right VR,
    whose value ends within. Binary values hold numbers of all kinds: private headers do not count there, and in
    implicit VR, where a header is but a tag and a length, elements must follow each other up to the very end.

    Parameters
    ----------
    buf : bytes
        Bytes that hold the value.
    start, end : int
        Where it lies.
    vr : bytes
        Its VR.
    encoding : Encoding
        How its Data Set is written.

    Examples
    --------
    >>> from dicom_anon.elements import EXPLICIT_LITTLE as explicit
    >>> value = b"HEAD" + bytes.fromhex("10001000") + b"PN" + bytes.fromhex("0400") + b"Doe "
    >>> hides_elements(value, 0, len(value), b"CS", explicit), hides_elements(value, 0, 12, b"CS", explicit)
    (True, False)
    """
    first = buf.find(b"\0", start, end - 4)
    if first < 0:
        return False
    start, last = max(start, first - 8), min(end - 2, first + _WINDOW)
    binary = vr in _BINARY
    if encoding.explicit:
        places = _ANY_VR.finditer(buf, start + 4, last)
        return any(_explicit_at(buf, match.start() - 4, end, encoding, binary) for match in places)
    # Implicit VR is always little endian (PS3.5 section A.1).
    starts = (match.start() for match in _IMPLICIT.finditer(buf, start, last))
    if binary:
        return _reaches(buf, starts, end)
    return any((found := _implicit_at(buf, pos, end)) is not None and found[1] > 0 for pos in starts)


_BINARY = frozenset(b"AT FD FL OB OD OF OL OV OW SL SS SV UL UN US UV".split())


def _explicit_at(buf: bytes, pos: int, end: int, encoding: Encoding, binary: bool) -> bool:
    """Tell whether a whole element with a value starts here."""
    group, element, raw_vr, length = struct.unpack_from(f"{encoding.order}HH2sH", buf, pos)
    vr, value = raw_vr.decode(), pos + 8
    if vr in LONG_VRS:
        value = pos + 12
        if value > end:
            return False
        length = struct.unpack_from(f"{encoding.order}L", buf, pos + 8)[0]
    if length == 0 or length & 1 or value + length > end:
        return False
    if group & 1:
        return not binary and group > 8 and (0x10 <= element <= 0xFF or element >= 0x1000)
    known = vr_of(group << 16 | element)
    return known is not None and (vr in known or vr == "UN")


def _reaches(buf: bytes, starts: Iterator[int], end: int) -> bool:
    """Tell whether elements of PS3.6 follow each other from one of these places up to the end.

    What led nowhere once is not gone through again, so that the time grows with the length only.
    """
    nowhere: set[int] = set()
    for start in starts:
        pos, last, way = start, 0, []
        while pos not in nowhere and (found := _implicit_at(buf, pos, end)) is not None and found[0] > last:
            way.append(pos)
            pos, last = pos + 8 + found[1], found[0]
        if pos == end:
            return True
        nowhere.update(way)
    return False


def _implicit_at(buf: bytes, pos: int, end: int) -> tuple[int, int] | None:
    """Tag, and length of the value, of a whole element of PS3.6 that starts here."""
    if pos + 8 > end:
        return None
    group, element, length = struct.unpack_from("<HHL", buf, pos)
    tag = group << 16 | element
    return None if length & 1 or pos + 8 + length > end or vr_of(tag) is None else (tag, length)
