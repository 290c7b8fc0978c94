"""Which bytes of a compressed frame are picture, and which may hold text.

Lives here: marker segments of JPEG and JPEG-LS (ITU-T T.81 B.1, T.87 C.1) and JPEG 2000 (T.800 annex A), boxes (T.800
annex I, ISO/IEC 18181-2), segments of RLE (PS3.5 annex G), the end of a deflated frame. Does not live here: video,
decoding.
"""

from __future__ import annotations

import re
import struct
import zlib
from itertools import pairwise

Range = tuple[int, int]

_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_NEXT_MARKER = re.compile(rb"\xff+([\xc0-\xcf\xd8-\xfe])")  # JPEG-LS stuffs bits, so FF 01 to FF 7F are data there
_COMMENTS = frozenset({*range(0xE0, 0xF0), 0xFE}) - {0xE8, 0xEE}
_SPARE = frozenset({0xC8, 0xE8, 0xEE, *range(0xF0, 0xF7), *range(0xF8, 0xFE)})
_USED = {
    0xE8: ((b"SPIFF\0", 30), (b"mrfx", 5), (b"\0\0\0\1", 6), (b"\0\0\0", 4)),  # the directory's end includes an SOI
    0xEE: ((b"Adobe", 12),),
    0xF8: tuple((bytes((kind,)), 0xFFFF) for kind in range(1, 5)),
}
"""How many bytes of a payload with such a start are used."""
_EOI = b"\xff\xd9"
_SOT, _SOD, _COM, _EOC = 0x90, 0x93, 0x64, 0xD9
_PICTURE_2000 = frozenset(b"\x50\x51\x52\x53\x55\x56\x57\x58\x59\x5c\x5d\x5e\x5f\x60\x61\x63\x90")
_EXTENDED_2000 = range(0x72, 0x7A)  # T.801: a run leaves them
_JP2, _JXL = b"\0\0\0\x0cjP  \r\n\x87\n", b"\0\0\0\x0cJXL \r\n\x87\n"
_PICTURE_BOXES = frozenset(b"jP  |ftyp|rreq".split(b"|"))
_INNER_BOXES = _PICTURE_BOXES.union(
    b"ihdr|bpcc|colr|pclr|cmap|cdef|resc|resd|JXL |jxlc|jxlp|jxll|jxli|jbrd".split(b"|")
)
_SUPERBOXES = frozenset((b"jp2h", b"res "))
_PROBE = 1 << 18  # bytes that are inflated at a time


def begins_frame(head: bytes) -> bool:
    """Say whether a fragment with these first 12 bytes begins a frame, rather than goes on with one."""
    return head.startswith((b"\xff\xd8\xff", b"\xff\x4f\xff", _JP2, _JXL))


def text_ranges(data: bytes, rle_cells: int | None = None) -> list[Range]:
    """Return the ranges of a frame that are not needed for its picture, in order, none touching another.

    None for a frame that is no JPEG, or from where it cannot be followed. The two bytes of a marker and the
    two of its length count as picture, so that overwriting a comment in place does not change it.

    Parameters
    ----------
    data : bytes
        The frame, its fragments joined.
    rle_cells : int, optional
        Bytes that each segment decodes to, if the frame is compressed by RLE.
    """
    if rle_cells is not None:
        return merged(_rle(data, rle_cells))
    if data.startswith(b"\xff\xd8\xff"):
        return merged(_jpeg(data))
    if data.startswith(b"\xff\x4f\xff"):
        return merged(_jpeg_2000(data, 0, len(data)))
    if data.startswith(_JP2):
        return merged(_boxes(data, _PICTURE_BOXES))
    return merged(_boxes(data, _INNER_BOXES)) if data.startswith(_JXL) else []


def behind_deflated(data: bytes) -> list[Range]:
    """Return what is behind the end of a deflated frame (PS3.5 section 8.2.16); none for one that is broken."""
    inflater, left = zlib.decompressobj(-zlib.MAX_WBITS), data
    try:
        while left and not inflater.eof:
            inflater.decompress(left, _PROBE)
            left = inflater.unconsumed_tail
    except zlib.error:
        return []
    return merged([(len(data) - len(inflater.unused_data), len(data))]) if inflater.eof else []


def merged(ranges: list[Range]) -> list[Range]:
    """Return ranges in order, none of them empty and none touching another."""
    result: list[Range] = []
    for start, end in sorted(found for found in ranges if found[0] < found[1]):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def _boxes(data: bytes, picture: frozenset[bytes]) -> list[Range]:
    """Return the contents of boxes that hold no picture, and what is too short for a box."""
    found: list[Range] = []
    position, stops = 0, [len(data)]
    while stops:
        stop = stops[-1]
        if position + 8 > stop:
            found.append((position, stop))
            position = stops.pop()
            continue
        length, head = int.from_bytes(data[position : position + 4], "big"), 8
        kind = data[position + 4 : position + 8]
        if length == 1:
            length, head = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        start, end = position + head, position + length if length else stop
        inner = len(stops) > 1
        if end > stop and picture is _PICTURE_BOXES and not inner and kind not in _SUPERBOXES:
            end = stop  # the file is cut off
        if not start <= end <= stop:  # broken, up to the end of the box that it is in
            position = stops.pop()
            continue
        if kind in _SUPERBOXES:
            stops.append(end)
            position = start
            continue
        if kind == b"jp2c":
            found += _jpeg_2000(data, start, end)
        elif kind not in (_INNER_BOXES if inner else picture):
            found.append((start, end))
        position = end
    return found


def rle_planes(data: bytes, cells: int) -> list[bytes]:
    """Return what each segment of an RLE frame decodes to (PS3.5 Annex G); none for a frame that is broken."""
    planes: list[bytes] = []
    for position, end in _rle_segments(data):
        plane = bytearray()
        while len(plane) < cells and position < end:
            run, start = data[position], position + 1
            position = start + run + 1 if run < 128 else start if run == 128 else start + 1
            plane += data[start:position] if run < 128 else data[start:position] * (257 - run)
        if len(plane) < cells or position > end:
            return []
        planes.append(bytes(plane[:cells]))
    return planes


def _rle_segments(data: bytes) -> list[Range]:
    """Return where the segments of an RLE frame are; none for a frame that is broken."""
    if len(data) < 64:
        return []
    count, *offsets = struct.unpack_from("<16L", data)
    offsets = offsets[:count]
    if not 0 < count < 16 or offsets[0] < 64 or offsets != sorted(offsets) or offsets[-1] > len(data):
        return []
    return list(pairwise([*offsets, len(data)]))


def _rle(data: bytes, cells: int) -> list[Range]:
    """Return what is before and behind the needed bytes of each segment, and unused offsets (PS3.5 Annex G)."""
    segments = _rle_segments(data)
    if not segments:
        return []
    found = [(4 + 4 * len(segments), segments[0][0])]
    for position, end in segments:
        left = cells
        while left > 0 and position < end:
            run = data[position]
            if run == 128:
                position += 1
                continue
            left -= run + 1 if run < 128 else 257 - run
            position += run + 2 if run < 128 else 2
        found.append((min(position, end), end))
    return found


def _jpeg(data: bytes) -> list[Range]:
    found: list[Range] = []
    position, known = 2, True
    while position + 4 <= len(data):
        if not known or data[position] != 0xFF:  # no segment: reserved ones may follow all the same
            known = False
            after = _NEXT_MARKER.search(data, position)
            if after is None:
                return found
            position = after.start(1) - 1
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0xD9:
            return [*found, (position + 2, len(data))] if known else found
        if marker in _NO_LENGTH:
            position += 2
            continue
        start, end = position + 4, position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if known and marker in _COMMENTS:
            found.append((start, min(end, len(data))))
        elif marker in _SPARE and start <= end <= len(data):
            used = next((size for begin, size in _USED.get(marker, ()) if data.startswith(begin, start, end)), 0)
            found.append((min(start + used, end), end))
        position = end
        if marker == 0xDA:  # entropy-coded data follows; the next marker ends it
            after = _NEXT_MARKER.search(data, position)
            if after is None:
                return found
            position = after.start(1) - 1
    if known and data[position : position + 2] == _EOI:
        found.append((position + 2, len(data)))
    return found


def _jpeg_2000(data: bytes, begin: int, stop: int) -> list[Range]:
    found: list[Range] = []
    position, tile, known = begin + 2, begin, True
    while position + 4 <= stop and data[position] == 0xFF and data[position + 1] != _EOC:
        marker = data[position + 1]
        if marker == _SOD:
            length = int.from_bytes(data[tile + 6 : tile + 10], "big")
            find = data.find if known else data.rfind  # in packets, FF is never followed by D9
            after = tile + length if length else find(_EOI, position, stop)
        else:
            after = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            known = known and 0x50 <= marker <= 0x90 and position + 4 <= after <= stop
            if marker == _COM or (known and marker not in _PICTURE_2000 and marker not in _EXTENDED_2000):
                found.append((position + 4, min(after, stop)))
            tile = position if marker == _SOT else tile
        if after <= position:
            return found
        position = after
    if data[position : min(position + 2, stop)] == _EOI:
        found.append((position + 2, stop))
    return found


def without(data: bytes, ranges: list[Range]) -> bytes:
    """Return the bytes outside of the ranges."""
    pieces, position = [], 0
    for start, end in ranges:
        pieces.append(data[position:start])
        position = end
    pieces.append(data[position:])
    return b"".join(pieces)
