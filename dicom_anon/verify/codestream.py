"""Which bytes of a compressed frame are picture, and which may hold text.

Lives here: marker segments of JPEG and JPEG-LS (ITU-T T.81 B.1, T.87 C.1), JPEG 2000 (T.800 Annexes A and I),
segments of RLE (PS3.5 Annex G). Does not live here: decoding.
"""

from __future__ import annotations

import re
import struct

Range = tuple[int, int]

_PICTURE_APPS = frozenset({0xE8, 0xEE})  # SPIFF and Adobe: both say how colours are to be read
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_NEXT_MARKER = re.compile(rb"\xff+([\xc0-\xcf\xd8-\xfe])")  # JPEG-LS stuffs bits, so FF 01 to FF 7F are data there
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
_PICTURE_BOXES = frozenset({b"jP  ", b"ftyp", b"rreq", b"jp2h", b"jpch", b"jplh"})
_EOI = b"\xff\xd9"
_SOT, _SOD, _COM, _EOC = 0x90, 0x93, 0x64, 0xD9


def begins_frame(head: bytes) -> bool:
    """Say whether a fragment with these first 12 bytes begins a frame, rather than goes on with one."""
    return head.startswith((b"\xff\xd8\xff", b"\xff\x4f\xff", _JP2))


def text_ranges(data: bytes, rle_cells: int | None = None) -> list[Range]:
    """Return the ranges of a frame that are not needed for its picture.

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
        return _rle(data, rle_cells)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"\xff\x4f\xff"):
        return _jpeg2000(data)
    return _boxes(data) if data.startswith(_JP2) else []


def _boxes(data: bytes) -> list[Range]:
    """Return the contents of boxes that hold no picture in a JP2 file (T.800 Annex I)."""
    found: list[Range] = []
    position = 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind, head = data[position + 4 : position + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        end = len(data) if length == 0 else min(position + length, len(data))
        start = position + head
        if end <= start:
            break
        if kind == b"jp2c":
            found.extend((start + a, start + b) for a, b in _jpeg2000(data[start:end]))
        elif kind not in _PICTURE_BOXES:
            found.append((start, end))
        position = end
    return found


def _rle(data: bytes, cells: int) -> list[Range]:
    """Return what follows the last needed byte of each segment, and unused offsets (PS3.5 Annex G)."""
    if len(data) < 64:
        return []
    count, *offsets = struct.unpack_from("<16L", data)
    offsets = offsets[:count]
    if not 0 < count < 16 or offsets[0] < 64 or offsets != sorted(offsets) or offsets[-1] > len(data):
        return []
    found = [(4 + 4 * count, 64)]
    for position, end in zip(offsets, [*offsets[1:], len(data)], strict=True):
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
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0xD9:
            return [*found, (position + 2, len(data))]
        if marker in _NO_LENGTH:
            position += 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xFE or (0xE0 <= marker <= 0xEF and marker not in _PICTURE_APPS):
            found.append((position + 4, min(end, len(data))))
        position = end
        if marker == 0xDA:  # entropy-coded data follows; the next marker ends it
            after = _NEXT_MARKER.search(data, position)
            if after is None:
                return found
            position = after.start(1) - 1
    if data[position : position + 2] == _EOI:
        found.append((position + 2, len(data)))
    return found


def _jpeg2000(data: bytes) -> list[Range]:
    found: list[Range] = []
    position, tile = 2, 0
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == _EOC:
            break
        if marker == _SOD:
            length = int.from_bytes(data[tile + 6 : tile + 10], "big")
            if not length:  # the last tile-part runs to the end of the codestream
                position = data.rfind(_EOI)
                break
            position = tile + length
            continue
        if marker == _SOT:
            tile = position
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _COM:
            found.append((position + 4, min(end, len(data))))
        position = end
    if position > 0 and data[position : position + 2] == _EOI:
        found.append((position + 2, len(data)))
    return found


def without(data: bytes, ranges: list[Range]) -> bytes:
    """Return the bytes outside of the ranges."""
    pieces, position = [], 0
    for start, end in ranges:
        pieces.append(data[position:start])
        position = end
    pieces.append(data[position:])
    return b"".join(pieces)
