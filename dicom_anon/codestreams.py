"""Frames of compressed pixel data: finds what is no part of the image, and overwrites it (JPEG family, RLE).

Lives here: codestreams, segment by segment. Does not live here: fragments, native pixel data, decoding.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dicom_anon.elements import ReadAt
from dicom_anon.errors import DicomAnonError

HEAD = 1 << 10
"""Bytes read at a time where markers are expected."""
_TAIL = 1 << 10
_SEARCH = 1 << 18
_ZEROS = bytes(1 << 20)
_MOST_SEGMENTS = 1 << 17


class UnknownStructure(DicomAnonError):
    """The bytes are not of the structure that was expected."""


class Part(NamedTuple):
    """One fragment of a frame: where its bytes are in the file, and the first of them."""

    offset: int
    length: int
    head: bytes


class Stream:
    """The bytes of one frame as if its fragments were one, read where they are needed; collects patches.

    Parameters
    ----------
    read_at : callable
        Reads the file.
    parts : list of Part
        The fragments, none of them empty.
    patches : list of (int, bytes)
        Gets what has to be overwritten.
    """

    __slots__ = ("_base", "_cache", "_patches", "_read_at", "_starts", "parts", "size")

    def __init__(self, read_at: ReadAt, parts: list[Part], patches: list[tuple[int, bytes]]) -> None:
        self._read_at = read_at
        self._patches = patches
        self.parts = parts
        self._starts: list[int] = []
        self.size = 0
        for _, length, _ in parts:
            self._starts.append(self.size)
            self.size += length
        self._base, self._cache = 0, parts[0][2]

    def read(self, pos: int, length: int) -> bytes:
        """Read exactly so many bytes."""
        at = pos - self._base
        if at < 0 or at + length > len(self._cache):
            if pos < 0 or pos + length > self.size:
                raise UnknownStructure
            self._base, at = pos, 0
            size = min(max(length, HEAD), self.size - pos)
            if len(self.parts) == 1:
                self._cache = self._read_at(self.parts[0].offset + pos, size)
            else:
                self._cache = b"".join(self._read_at(*place) for place in self._places(pos, size))
            if len(self._cache) < length:
                raise UnknownStructure
        return self._cache[at : at + length]

    def number(self, pos: int, length: int) -> int:
        """Read a big endian number."""
        return int.from_bytes(self.read(pos, length), "big")

    def _places(self, pos: int, length: int) -> Iterator[tuple[int, int]]:
        """Where the bytes are in the file."""
        which = bisect_right(self._starts, pos) - 1
        while length:
            inside = pos - self._starts[which]
            offset, size, _ = self.parts[which]
            size = min(size - inside, length)
            yield offset + inside, size
            pos, length, which = pos + size, length - size, which + 1

    def search(self, pattern: re.Pattern[bytes], pos: int) -> int:
        """Find two bytes from a position on; -1 where they are not there."""
        while pos < self.size - 1:
            content = self.read(pos, min(_SEARCH, self.size - pos))
            if match := pattern.search(content):
                return pos + match.start()
            pos += len(content) - 1
        return -1

    @property
    def clean(self) -> bool:
        """Whether nothing has to be overwritten, in this frame or in one before it."""
        return not self._patches

    def blank(self, pos: int, length: int) -> None:
        """Overwrite bytes with zeros, where they are none."""
        while length > 0:
            size = min(length, len(_ZEROS))
            if self.read(pos, size).strip(b"\0"):
                self._patches.extend((offset, _ZEROS[:part]) for offset, part in self._places(pos, size))
            pos, length = pos + size, length - size


@dataclass
class Seen:
    """What is known of an object's frames by those that were checked.

    Parameters
    ----------
    ends : bool
        The last JPEG ended as expected, so that of the next one by the same encoder the scan need not be read through.
    header : bytes
        Header of a JPEG with a single scan, up to that scan, in which nothing had to be overwritten.
    """

    ends: bool = False
    header: bytes = b""


def check_frame(stream: Stream, seen: Seen) -> None:
    """Overwrite what is no part of the image in one frame, by the signature it starts with.

    Parameters
    ----------
    stream : Stream
        The frame.
    seen : Seen
        What is known by the frames before it.

    Raises
    ------
    UnknownStructure
        The bytes are of no structure that is known here; what was found before stays found.
    """
    start = stream.read(0, min(4, stream.size))
    if start[:2] == b"\xff\xd8":
        seen.ends = _jpeg(stream, seen)
    elif start[:2] == b"\xff\x4f":
        _jpeg_2000(stream, 0, stream.size)
    elif start == b"\0\0\0\x0c":
        _boxes(stream, 0, stream.size)
    else:
        raise UnknownStructure


_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
"""What ends entropy-coded data; 00 (JPEG) and all below 80 (JPEG-LS) is stuffing, D0-D7 restarts, FF fill."""
_HAS_LENGTH = frozenset((*range(0xC0, 0xD0), *range(0xDA, 0xFF)))
_FRAME_HEADERS = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))


def _jpeg(stream: Stream, seen: Seen) -> bool:
    """Check a JPEG or JPEG-LS stream (ITU-T T.81 annex B, T.87 annex C), segment by segment; tell whether it ends well.

    A header that was met before is not read again.
    """
    pos, components, single, expected = 2, 0, False, True
    size = stream.size
    if seen.header and seen.ends and stream.parts[0].head.startswith(seen.header):
        single, pos = True, _end_of_scan(stream, len(seen.header), False)
    for _ in range(_MOST_SEGMENTS):
        start = stream.read(pos, min(10, size - pos))
        if len(start) < 2 or start[0] != 0xFF:
            raise UnknownStructure
        marker = start[1]
        if marker == 0xFF:
            found = stream.search(_MARKER, pos)
            if found < 0 or stream.read(pos, found - pos).strip(b"\xff"):  # T.81 B.1.1.2: only FF fills
                raise UnknownStructure
            pos = found
            continue
        if marker == 0xD9:
            stream.blank(pos + 2, size - pos - 2)
            return expected and single and size - pos <= 4
        length = int.from_bytes(start[2:4], "big")
        after = pos + 2 + length
        if marker not in _HAS_LENGTH or length < 2 or after > size:
            raise UnknownStructure
        expected = not single
        if marker == 0xFE or 0xE0 <= marker <= 0xEF:
            kept = _kept(marker, start[4:], length - 2)
            stream.blank(pos + 4 + kept, length - 2 - kept)
        elif marker in _FRAME_HEADERS and length >= 8:
            components = 0 if marker in _PROGRESSIVE else start[9]
        elif marker == 0xDA:
            first, single = expected, length > 2 and start[4] == components
            if first and single and stream.clean and after <= HEAD:
                seen.header = stream.read(0, after)
            after = _end_of_scan(stream, after, not (single and seen.ends))
        pos = after
    raise UnknownStructure


def _end_of_scan(stream: Stream, pos: int, through: bool) -> int:
    """Find the marker that ends entropy-coded data."""
    tail = pos if through else max(pos, stream.size - _TAIL)
    found = stream.search(_MARKER, tail)
    if found < 0 and tail > pos:
        found = stream.search(_MARKER, pos)
    if found < 0:
        raise UnknownStructure
    return found


def _kept(marker: int, start: bytes, length: int) -> int:
    """Say how much of a segment's payload decoders use; `start` is six bytes from its start on."""
    if marker == 0xE0 and start[:5] == b"JFIF\0":
        return min(length, 12)  # then the thumbnail's size, and the thumbnail
    if marker == 0xEE and start[:5] == b"Adobe":
        return min(length, 12)
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


def _jpeg_2000(stream: Stream, pos: int, end: int) -> None:
    """Check a JPEG 2000 codestream (ITU-T T.800 annex A, T.814), hopping over the data of tile-parts."""
    pos += 2
    tile_end: int | None = None
    for _ in range(_MOST_SEGMENTS):
        if end - pos <= 1:  # some encoders leave EOC out
            stream.blank(pos, end - pos)
            return
        lead, marker = stream.read(pos, 2)
        if lead != 0xFF:
            raise UnknownStructure
        if marker == 0xD9:
            stream.blank(pos + 2, end - pos - 2)
            return
        if marker == 0x93:  # SOD: here the data of the tile-part starts
            if tile_end == 0:  # it goes on to EOC; in packets, FF is never followed by more than 8F
                tile_end = stream.search(_EOC, pos + 2)
            if tile_end is None or not pos + 2 <= tile_end <= end:
                raise UnknownStructure
            pos, tile_end = tile_end, None
            continue
        if 0x30 <= marker <= 0x3F:  # T.800 A.1: these have no length
            pos += 2
            continue
        length = stream.number(pos + 2, 2)
        if not (0x50 <= marker <= 0x7F or marker == 0x90) or length < 2 or pos + 2 + length > end:
            raise UnknownStructure
        if marker == 0x64:
            stream.blank(pos + 6, length - 4)
        elif marker == 0x90:
            size = stream.number(pos + 6, 4)
            tile_end = pos + size if size else 0
        pos += 2 + length
    raise UnknownStructure


_BOXES_KEPT = frozenset(
    b"jP  |ftyp|ihdr|bpcc|colr|pclr|cmap|cdef|res |resc|resd|rreq|JXL |jxlc|jxlp|jxll|jxli|jbrd".split(b"|")
)
_SUPERBOXES = frozenset((b"jp2h", b"res "))


def _boxes(stream: Stream, pos: int, end: int) -> None:
    """Check a JP2 or JPEG XL file (ITU-T T.800 annex I, ISO/IEC 18181-2): only boxes that decode stay."""
    unsure = False
    for _ in range(_MOST_SEGMENTS):
        if end - pos < 8:
            break
        length, kind, header = stream.number(pos, 4), stream.read(pos + 4, 4), 8
        if length == 1:
            length, header = stream.number(pos + 8, 8), 16
        elif length == 0:
            length = end - pos
        if length < header or pos + length > end:
            raise UnknownStructure
        if kind == b"jp2c":
            _jpeg_2000(stream, pos + header, pos + length)
        elif kind in _SUPERBOXES:
            _boxes(stream, pos + header, pos + length)
        elif kind not in _BOXES_KEPT:
            stream.blank(pos + header, length - header)
        unsure |= kind == b"jbrd"  # holds the comments of the JPEG it came from, compressed
        pos += length
    if unsure or end - pos >= 8:
        raise UnknownStructure
    stream.blank(pos, end - pos)


def check_rle(stream: Stream) -> None:
    """Overwrite what an RLE frame's header does not use, and what is before its first segment (PS3.5 G.5).

    Raises
    ------
    UnknownStructure
        It is no such header.
    """
    count, *offsets = struct.unpack("<16L", stream.read(0, 64))
    if not 1 <= count <= 15 or not 64 <= offsets[0] < stream.size:
        raise UnknownStructure
    stream.blank(4 + 4 * count, 60 - 4 * count)
    stream.blank(64, offsets[0] - 64)
