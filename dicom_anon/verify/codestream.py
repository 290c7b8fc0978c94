"""Which bytes of a compressed frame are picture, and which may hold text.

Lives here: marker segments of JPEG and JPEG-LS (ITU-T T.81 B.1, T.87 C.1) and JPEG 2000 (T.800 Annex A). Does
not live here: decoding.
"""

from __future__ import annotations

import re

_PICTURE_APPS = frozenset({0xE8, 0xEE})  # SPIFF and Adobe: both say how colours are to be read
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_NEXT_MARKER = re.compile(
    rb"\xff+([\xc0-\xcf\xd8-\xfe])"
)  # JPEG-LS stuffs bits, so FF 01 to FF 7F are data there
_EOI = b"\xff\xd9"
_SOT, _SOD, _COM, _EOC = 0x90, 0x93, 0x64, 0xD9


def text_ranges(data: bytes) -> list[tuple[int, int]]:
    """Return the ranges of a frame that are not needed for its picture.

    None for a frame that is no JPEG, or from where it cannot be followed. The two bytes of a marker and the
    two of its length count as picture, so that overwriting a comment in place does not change it.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"\xff\x4f\xff"):
        return _jpeg2000(data)
    return []


def _jpeg(data: bytes) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
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


def _jpeg2000(data: bytes) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
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


def without(data: bytes, ranges: list[tuple[int, int]]) -> bytes:
    """Return the bytes outside of the ranges."""
    pieces, position = [], 0
    for start, end in ranges:
        pieces.append(data[position:start])
        position = end
    pieces.append(data[position:])
    return b"".join(pieces)
