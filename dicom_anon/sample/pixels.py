"""Small deterministic pixel data: phantoms, and the two encodings that are simple enough to write by hand.

No Data Set is built here, and there is no decoder.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby


def phantom(rows: int, columns: int, low: int, high: int, number: int = 0) -> list[int]:
    """Return a bright disc with a ramp in it on a dark ground, row by row.

    Parameters
    ----------
    rows, columns : int
        Size of the image in pixels.
    low, high : int
        Values of the ground and of the brightest pixel.
    number : int
        Number of the slice or frame; the disc grows a little with it.
    """
    radius = min(rows, columns) / 3 + number / 2
    values = []
    for row in range(rows):
        for column in range(columns):
            inside = (row - rows / 2) ** 2 + (column - columns / 2) ** 2 < radius**2
            values.append(low + (high - low) * (row + column) // (rows + columns) if inside else low)
    return values


def words(values: Sequence[int], order: str = "<") -> bytes:
    """Pack pixels into 16-bit words, `order` being ``<`` for little and ``>`` for big endian."""
    return struct.pack(f"{order}{len(values)}H", *(value & 0xFFFF for value in values))


def bitmap(rows: int, columns: int, bits: Sequence[int]) -> bytes:
    """Pack single bits as PS3.5 8.1.1 wants them, the first pixel lowest; padded to even length."""
    count = rows * columns
    padded = [*bits[:count], *[0] * (-count % 16)]
    return bytes(sum(bit << place for place, bit in enumerate(padded[at : at + 8])) for at in range(0, len(padded), 8))


def rle_frame(values: Sequence[int], columns: int) -> bytes:
    """Encode one frame of 16-bit pixels with RLE (PS3.5 Annex G): the high bytes, then the low bytes."""
    segments = []
    for shift in (8, 0):
        plane = bytes(value >> shift & 0xFF for value in values)
        # G.3.1: no run may cross the end of a row.
        runs = b"".join(_pack_bits(plane[at : at + columns]) for at in range(0, len(plane), columns))
        segments.append(runs + b"\x00" * (len(runs) % 2))
    offsets = [64, 64 + len(segments[0])]
    return struct.pack("<16L", len(segments), *offsets, *[0] * 13) + b"".join(segments)


def _pack_bits(row: bytes) -> bytes:
    """Encode a row of at most 128 bytes, a single byte as a literal and a run as a repetition."""
    packed = bytearray()
    for value, group in groupby(row):
        length = len(list(group))
        packed += bytes([257 - length if length > 1 else 0, value])
    return bytes(packed)


def jpeg_frame(rows: int, columns: int, values: Sequence[int]) -> bytes:
    """Encode one 8-bit grayscale frame as baseline JPEG (ISO/IEC 10918-1), each 8x8 block in its mean gray.

    Parameters
    ----------
    rows, columns : int
        Size of the frame, multiples of eight.
    values : sequence of int
        The pixels, row by row.
    """
    # All quantisation steps are 8, which makes a DC coefficient the mean gray less 128. One Huffman code of
    # four bits for each of the nine sizes a difference can have; one code of one bit for "end of block".
    tables = [
        (0xDB, b"\x00" + b"\x08" * 64),
        (0xC0, struct.pack(">BHHB", 8, rows, columns, 1) + b"\x01\x11\x00"),
        (0xC4, b"\x00" + bytes([0, 0, 0, 9, *[0] * 12]) + bytes(range(9))),
        (0xC4, b"\x10" + bytes([1, *[0] * 15]) + b"\x00"),
        (0xDA, b"\x01\x01\x00\x00\x3f\x00"),
    ]
    header = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in tables)
    bits = "".join(_dc_bits(_block_means(rows, columns, values)))
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    return b"\xff\xd8" + header + scan + b"\xff\xd9"


def _block_means(rows: int, columns: int, values: Sequence[int]) -> Iterator[int]:
    for top in range(0, rows, 8):
        for left in range(0, columns, 8):
            block = [values[row * columns + left + x] for row in range(top, top + 8) for x in range(8)]
            yield sum(block) // 64


def _dc_bits(means: Iterator[int]) -> Iterator[str]:
    """Huffman code of the difference to the block before, its bits, and "end of block" (10918-1 F.1.2)."""
    before = 128
    for mean in means:
        difference = mean - before
        before = mean
        size = abs(difference).bit_length()
        extra = difference if difference >= 0 else difference + (1 << size) - 1
        yield f"{size:04b}" + (f"{extra:0{size}b}" if size else "") + "0"
