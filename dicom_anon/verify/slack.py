"""Which more bytes of a compressed frame no decoder needs, so that a run may overwrite them.

Lives here: reserved and application segments of JPEG and JPEG-LS (ITU-T T.81 table B.1, T.87 table C.1), unknown
segments of JPEG 2000 (T.800 table A.2), boxes (T.800 annex I, ISO/IEC 18181-2), what is before the first segment of
RLE (PS3.5 G.5). Does not live here: comments and what follows an image, decoding.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from .codestream import Range, text_ranges

_MARKER = re.compile(rb"\xff+([\xc0-\xcf\xd8-\xfe])")
_SPARE = frozenset((0xC8, 0xE8, 0xEE, *range(0xF0, 0xF7), *range(0xF8, 0xFE)))
_USED = {
    0xE8: ((b"SPIFF\0", 30), (b"mrfx", 5), (b"\0\0\0\1", 6), (b"\0\0\0", 4)),  # the directory's end includes an SOI
    0xEE: ((b"Adobe", 12),),
    0xF8: tuple((bytes((kind,)), 0xFFFF) for kind in range(1, 5)),
}
"""How many bytes of a payload with such a start are used."""
_KNOWN_2000 = frozenset(b"\x50\x51\x52\x53\x55\x56\x57\x58\x59\x5c\x5d\x5e\x5f\x60\x61\x63\x64\x90")
_EXTENDED_2000 = range(0x72, 0x7A)  # T.801: a run leaves them
_BOX_FILE = re.compile(rb"\0\0\0\x0c(?:jP  |JXL )\r\n\x87\n")
_BOXES = frozenset(
    b"jP  |ftyp|ihdr|bpcc|colr|pclr|cmap|cdef|res |resc|resd|rreq|JXL |jxlc|jxlp|jxll|jxli|jbrd|jp2h|jp2c".split(b"|")
)
_INNER = frozenset((b"jp2h", b"res "))


def spare_ranges(data: bytes, rle_cells: int | None = None) -> list[Range]:
    """Return all ranges of a frame that are not needed for its picture, in order, none touching another.

    Parameters
    ----------
    data : bytes
        The frame, its fragments joined.
    rle_cells : int, optional
        Bytes that each segment decodes to, if the frame is compressed by RLE.
    """
    found = text_ranges(data, rle_cells)
    if rle_cells is not None:
        if found:
            (first,) = struct.unpack_from("<L", data, 4)
            found = [*found, (64, first)]
    elif data.startswith(b"\xff\xd8\xff"):
        found = [*found, *_jpeg(data)]
    elif data.startswith(b"\xff\x4f\xff"):
        found = [*found, *_jpeg_2000(data, 0, len(data))]
    elif _BOX_FILE.match(data):
        found = [*found, *_boxes(data, 0, len(data))]
    return _merged(found)


def _merged(ranges: list[Range]) -> list[Range]:
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _jpeg(data: bytes) -> Iterator[Range]:
    position = 2
    while (match := _MARKER.search(data, position)) and match[1] != b"\xd9":
        start = match.end() + 2
        end = match.end() + int.from_bytes(data[match.end() : start], "big")
        if not start <= end <= len(data):
            return
        marker = match[1][0]
        if marker in _SPARE:
            used = (length for begin, length in _USED.get(marker, ()) if data.startswith(begin, start, end))
            yield min(start + next(used, 0), end), end
        position = end


def _jpeg_2000(data: bytes, start: int, stop: int) -> Iterator[Range]:
    position, tile = start + 2, start
    while position + 4 <= stop and data[position] == 0xFF and data[position + 1] != 0xD9:
        marker = data[position + 1]
        if marker == 0x93:
            length = int.from_bytes(data[tile + 6 : tile + 10], "big")
            after = tile + length if length else data.find(b"\xff\xd9", position, stop)
        else:
            after = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            if not 0x50 <= marker <= 0x90 or not position + 4 <= after <= stop:
                return
            if marker not in _KNOWN_2000 and marker not in _EXTENDED_2000:
                yield position + 4, after
            tile = position if marker == 0x90 else tile
        if after <= position:
            return
        position = after
    if data[position : min(position + 2, stop)] == b"\xff\xd9":
        yield position + 2, stop


def _boxes(data: bytes, position: int, stop: int) -> Iterator[Range]:
    while position + 8 <= stop:
        length, head = int.from_bytes(data[position : position + 4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        kind, end = data[position + 4 : position + 8], position + length if length else stop
        start = position + head
        if not start <= end <= stop:
            return
        if kind == b"jp2c":
            yield from _jpeg_2000(data, start, end)
        elif kind in _INNER:
            yield from _boxes(data, start, end)
        elif kind not in _BOXES:
            yield start, end
        position = end
