"""Frames of encapsulated pixel data: finds what is no part of the image, and overwrites it (JPEG family, deflate).

Lives here: one frame, segment by segment. Does not live here: fragments, RLE, native pixel data, decoding; what is
inflated is only counted.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field

from dicom_anon.boxes import boxes
from dicom_anon.cells import Planes
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.fragments import HEAD, SEARCH, Stream, UnknownStructure
from dicom_anon.rle import check_rle

_MOST_SEGMENTS = 1 << 17


@dataclass
class Seen:
    """What is known of an object's frames by its header, and by those that were checked.

    Parameters
    ----------
    cells : int
        Bytes that a segment of RLE decodes to: one of each pixel (PS3.5 section G.2).
    segments : int
        Segments that an RLE frame has: one for each byte of a pixel.
    length : int
        Bytes of a whole frame that is not compressed.
    planes : Planes
        What clears unused bits in RLE frames.
    cleared : list of (int, bytes)
        What has to be overwritten for that.
    precision : int
        Most bits that a sample has in a JPEG, JPEG-LS or JPEG 2000 frame.
    header : bytes
        Header of a JPEG up to the first scan's data, in which nothing had to be overwritten.
    inside : frozenset of int
        Codes that stand inside the scan behind that header.
    """

    cells: int = 0
    segments: int = 0
    length: int = 0
    planes: Planes = ()
    cleared: list[tuple[int, bytes]] = field(default_factory=list)
    precision: int = 0
    header: bytes = b""
    inside: frozenset[int] = frozenset()


def check_frame(stream: Stream, seen: Seen) -> None:
    """Overwrite what is no part of the image in one frame, by the signature it starts with.

    Parameters
    ----------
    stream : Stream
        The frame.
    seen : Seen
        What is known of it beforehand.

    Raises
    ------
    UnknownStructure
        The bytes are of no structure that is known here; what was found before stays found.
    """
    start = stream.read(0, min(4, stream.size))
    if start[:2] == b"\xff\xd8":
        _jpeg(stream, seen)
    elif start[:2] == b"\xff\x4f":
        _jpeg_2000(stream, 0, stream.size, seen)
    elif start == b"\0\0\0\x0c":
        _boxes(stream, seen)
    elif start[1:] == b"\0\0\0":
        check_rle(stream, seen.cells, seen.segments, seen.planes, seen.cleared)
    else:
        raise UnknownStructure


_NO_FILL = re.compile(rb"[^\xff]")
_INSIDE = frozenset((0x00, *range(0xD0, 0xD8), 0xFF))
"""Codes behind an FF inside entropy-coded data (T.81 B.1.1.5): 00 is stuffing, D0-D7 restarts, FF fill."""
_INSIDE_LS = _INSIDE.union(range(0x80))
"""The same in JPEG-LS, where a zero bit is stuffed (T.87 A.1)."""
_HAS_LENGTH = frozenset((*range(0xC0, 0xD0), *range(0xDA, 0xFF)))
_DECODES = frozenset((*range(0xC0, 0xD0), *range(0xDA, 0xE0), 0xF7)) - {0xC8}
"""Segments of T.81 table B.1 and T.87 table C.1 that decoders use whole."""
_FRAME_HEADERS = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
"""Segments SOF, which begin with the bits of a sample (T.81 B.2.2, T.87 C.2.2)."""


def _jpeg(stream: Stream, seen: Seen) -> None:
    """Check a JPEG or JPEG-LS stream (ITU-T T.81 annex B, T.87 annex C), segment by segment.

    A header that was met before is not read again. Every scan is searched through: only so is the first EOI known
    from one in text behind it.
    """
    pos, scanned, inside = 2, False, _INSIDE
    size = stream.size
    if seen.header and stream.read(0, min(len(seen.header), size)) == seen.header:
        scanned, inside = True, seen.inside
        pos = stream.end_of_scan(len(seen.header), inside)
    for _ in range(_MOST_SEGMENTS):
        start = stream.read(pos, min(10, size - pos))
        if len(start) < 2 or start[0] != 0xFF:
            raise UnknownStructure
        marker = start[1]
        if marker == 0xFF:
            pos = stream.search(_NO_FILL, pos) - 1  # T.81 B.1.1.2: only FF fills
            if pos < 0:
                raise UnknownStructure
            continue
        if marker == 0xD9:
            stream.blank(pos + 2, size - pos - 2)
            return
        length = int.from_bytes(start[2:4], "big")
        after = pos + 2 + length
        if marker not in _HAS_LENGTH or length < 2 or after > size:
            raise UnknownStructure
        if marker in _FRAME_HEADERS:
            seen.precision = max((seen.precision, *start[4:5]))
        if marker not in _DECODES:
            kept = _kept(marker, start[4:], length - 2)
            stream.blank(pos + 4 + kept, length - 2 - kept)
        elif marker == 0xF7:
            inside = _INSIDE_LS
        elif marker == 0xDA:
            if not scanned and stream.clean and after <= HEAD:
                seen.header, seen.inside = stream.read(0, after), inside
            scanned, after = True, stream.end_of_scan(after, inside)
        pos = after
    raise UnknownStructure


def _kept(marker: int, start: bytes, length: int) -> int:
    """Say how much of a segment's payload decoders use; `start` is six bytes from its start on."""
    if marker == 0xE0 and start[:5] == b"JFIF\0":
        return min(length, 12)  # then the thumbnail's size, and the thumbnail
    if marker == 0xEE and start[:5] == b"Adobe":
        return min(length, 12)
    if marker == 0xF8 and start[:1] in (b"\1", b"\2", b"\3", b"\4"):  # T.87 C.2.4.1
        return length
    if marker == 0xE8:
        if start[:6] == b"SPIFF\0":
            return min(length, 30)
        if start[:4] == b"mrfx":  # HP's colour transform in JPEG-LS
            return min(length, 5)
        if start[:4] == b"\0\0\0\1":  # end of the SPIFF directory, which includes the SOI
            return min(length, 6)
        if start[:3] == b"\0\0\0":
            return min(length, 4)  # tag of a SPIFF directory entry
    return 0


_EOC = re.compile(rb"\xff\xd9")
_DECODES_2000 = frozenset(b"\x50\x51\x52\x53\x55\x56\x57\x58\x59\x5c\x5d\x5e\x5f\x60\x61\x63\x90")
"""Segments of T.800 table A.2, and CAP, PRF and CPF of T.800 and T.814."""


def _jpeg_2000(stream: Stream, pos: int, end: int, seen: Seen) -> None:
    """Check a JPEG 2000 codestream (ITU-T T.800 annex A, T.814), hopping over the data of tile-parts."""
    pos += 2
    tile_end: int | None = None
    unsure = False
    for _ in range(_MOST_SEGMENTS):
        if end - pos <= 1:  # some encoders leave EOC out
            stream.blank(pos, end - pos)
            break
        lead, marker = stream.read(pos, 2)
        if lead != 0xFF:
            raise UnknownStructure
        if marker == 0xD9:
            stream.blank(pos + 2, end - pos - 2)
            break
        if marker == 0x93:  # SOD: here the data of the tile-part starts
            if tile_end == 0:  # it goes on to EOC; in packets, FF is never followed by more than 8F
                tile_end = stream.search(_EOC, pos + 2)
            if tile_end is None or not pos + 2 <= tile_end <= end:
                raise UnknownStructure
            pos, tile_end = tile_end, None
            continue
        length = stream.number(pos + 2, 2)
        if not (0x50 <= marker <= 0x7F or marker == 0x90) or length < 2 or pos + 2 + length > end:
            raise UnknownStructure
        if marker == 0x51:  # SIZ: of each component, bits less one below a sign (T.800 A.5.1)
            depths = stream.read(pos + 40, max(length - 38, 0))[::3]
            seen.precision = max((seen.precision, *((depth & 0x7F) + 1 for depth in depths)))
        elif marker == 0x64:
            stream.blank(pos + 6, length - 4)
        elif marker == 0x90:
            size = stream.number(pos + 6, 4)
            tile_end = pos + size if size else 0
        elif 0x72 <= marker <= 0x79:
            unsure = True  # T.801 table A.2: with zeros in them, decoders fail
        elif marker not in _DECODES_2000:
            stream.blank(pos + 4, length - 2)
        pos += 2 + length
    else:
        unsure = True
    if unsure:
        raise UnknownStructure


_BOXES_KEPT = frozenset(
    b"jP  |ftyp|ihdr|bpcc|colr|pclr|cmap|cdef|resc|resd|rreq|JXL |jxlc|jxlp|jxll|jxli|jbrd".split(b"|")
)
_SUPERBOXES = {b"jp2h": 0, b"res ": 0}
_UNSURE = frozenset((b"jxlc", b"jxlp", b"jbrd"))
"""Where a JPEG XL codestream ends, only a decoder finds; `jbrd` holds the comments of a JPEG, compressed."""


def _boxes(stream: Stream, seen: Seen) -> None:
    """Check a JP2 or JPEG XL file (ITU-T T.800 annex I, ISO/IEC 18181-2): only boxes that decode stay."""
    unsure = False
    for kind, start, stop in boxes(stream, _SUPERBOXES):
        if kind == b"jp2c":
            _jpeg_2000(stream, start, stop, seen)
        elif kind not in _BOXES_KEPT:
            stream.blank(start, stop - start)
        unsure |= kind in _UNSURE
    if unsure:
        raise UnknownStructure


def check_uncompressed(stream: Stream, seen: Seen) -> None:
    """Overwrite what is behind the last pixel of a frame that is encapsulated, but not compressed."""
    if not 0 < seen.length <= stream.size:
        raise UnknownStructure
    stream.blank(seen.length, stream.size - seen.length)


def check_deflated(stream: Stream, seen: Seen) -> None:
    """Overwrite what is behind the end of a deflated frame (PS3.5 section 8.2.16, RFC 1951).

    Raises
    ------
    UnknownStructure
        It cannot be inflated, or is too short for the image.
    FileRefused
        It holds more than the image, which cannot be cut off in place; one byte of padding may be there.
    """
    inflater, packed, fed, left = zlib.decompressobj(-zlib.MAX_WBITS), b"", 0, seen.length
    while seen.length and not inflater.eof:
        if not packed:
            packed = stream.read(fed, min(SEARCH, stream.size - fed))
            fed += len(packed)
        try:
            cells = inflater.decompress(packed, SEARCH)
        except zlib.error:
            raise UnknownStructure from None
        if not packed and not cells:
            raise UnknownStructure
        packed = inflater.unconsumed_tail
        left -= len(cells)
        if left < -1 or (left < 0 and any(cells[-1:])):
            raise FileRefused(Reason.UNSUPPORTED, "a deflated frame that holds more than the image")
    if left > 0 or not inflater.eof:
        raise UnknownStructure
    end = fed - len(inflater.unused_data)
    stream.blank(end, stream.size - end)
