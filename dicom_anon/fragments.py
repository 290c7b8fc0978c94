"""Encapsulated pixel data: its fragments, which frame they are of, and the tables of offsets (PS3.5 section A.4).

Lives here: frames as streams of bytes, read where they are needed. Does not live here: what is in a frame.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from dicom_anon.elements import ITEM, SEQUENCE_END, FileRange, ReadAt
from dicom_anon.errors import DicomAnonError

HEAD = 1 << 10
"""Bytes read at a time where markers are expected."""
SEARCH = 1 << 18
"""Bytes read at a time where something is searched for."""
_ZEROS = bytes(1 << 20)


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
            content = self.read(pos, min(SEARCH, self.size - pos))
            if match := pattern.search(content):
                return pos + match.start()
            pos += len(content) - 1
        return -1

    def end_of_scan(self, pos: int, inside: frozenset[int]) -> int:
        """Find the marker that ends entropy-coded data: an FF with none of the codes that stand inside behind it.

        Raises
        ------
        UnknownStructure
            There is none.
        """
        while pos < self.size - 1:
            content = self.read(pos, min(SEARCH, self.size - pos))
            find, last = content.find, len(content) - 1
            at = find(b"\xff")  # one byte is found many times faster than any pattern
            while 0 <= at < last:
                code = content[at + 1]
                if code not in inside:
                    return pos + at
                at = find(b"\xff", at + 1 if code == 0xFF else at + 2)
            pos += last
        raise UnknownStructure

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


def offset_table(content: FileRange, read_at: ReadAt, fragments: list[Part]) -> int:
    """Tell the length of a Basic Offset Table that points to no fragments, and so may be anything; 0 if all is well.

    Entries ascend from 0 and each is the place of a fragment, counted from the first one's item on.
    """
    length = int.from_bytes(read_at(content.offset + 4, 4), "little")
    if not length:
        return 0
    if length % 4 or length > 4 * len(fragments):
        return length
    places = {part.offset - content.offset - length - 16 for part in fragments}
    entries = struct.unpack(f"<{length // 4}L", read_at(content.offset + 8, length))
    return 0 if entries[0] == 0 and entries == tuple(sorted(places.intersection(entries))) else length


def extended_table_fits(offsets: bytes, lengths: bytes, fragments: list[Part]) -> bool:
    """Tell whether an Extended Offset Table points to fragments and gives their lengths, with padding or without."""
    if len(offsets) % 8 or len(offsets) != len(lengths) or not offsets or not fragments:
        return False
    first = fragments[0].offset
    known = {part.offset - first: part.length for part in fragments}
    places, sizes = (struct.unpack(f"<{len(table) // 8}Q", table) for table in (offsets, lengths))
    return places == tuple(sorted(known.keys() & places)) and all(
        known[place] - size in (0, 1) for place, size in zip(places, sizes, strict=True)
    )


def fragments_of(content: FileRange, read_at: ReadAt) -> list[Part]:
    """Find the fragments that hold anything, without the Basic Offset Table."""
    unpack = struct.Struct("<HHL").unpack_from
    parts: list[Part] = []
    pos, end, table = content.offset, content.offset + content.length, True
    while pos + 8 <= end:
        head = read_at(pos, min(8 + HEAD, end - pos))
        if len(head) < 8:
            break
        group, element, length = unpack(head)
        pos += 8
        if group << 16 | element == SEQUENCE_END:
            return parts
        if group << 16 | element != ITEM or pos + length > end:
            break
        if length and not table:
            parts.append(Part(pos, length, head[8 : 8 + length]))
        table = False
        pos += length
    raise UnknownStructure


_START = re.compile(rb"\xff\xd8\xff|\xff\x4f\xff\x51|\0\0\0\x0c(?:jP  |JXL )\r\n\x87\n")


def frames_of(fragments: list[Part], count: int) -> list[list[Part]]:
    """Group fragments by frame: each its own, or by the signature with which a codestream starts.

    Offset tables are not asked: they are optional, often wrong, and no codestream goes on with these bytes.
    """
    if len(fragments) == count:
        return [[part] for part in fragments]
    frames: list[list[Part]] = []
    for part in fragments:
        if _START.match(part.head):
            frames.append([])
        elif not frames:
            raise UnknownStructure
        frames[-1].append(part)
    if len(frames) != count:
        raise UnknownStructure
    return frames
