"""Encapsulated pixel data: its fragments, which frame they are of, and the tables of offsets (PS3.5 section A.4).

Lives here: frames as streams of bytes, read where they are needed. Does not live here: what is in a frame.
"""

from __future__ import annotations

import functools
import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dicom_anon.elements import ITEM, MAX_ITEMS, SEQUENCE_END, FileRange, ReadAt
from dicom_anon.errors import DicomAnonError, FileRefused, Reason

HEAD = 1 << 10
"""Bytes read at a time where markers are expected."""
SEARCH = 1 << 18
"""Bytes read at a time where something is searched for."""
_MOST_ZEROS = 1 << 16


class UnknownStructure(DicomAnonError):
    """The bytes are not of the structure that was expected."""


class Part(NamedTuple):
    """One fragment of a frame: where its bytes are in the file, and whether a codestream starts with them."""

    offset: int
    length: int
    starts: bool = True


@functools.lru_cache(maxsize=64)
def _zeros(length: int) -> bytes:
    """Bytes to overwrite with; the same ones for the like comments of all frames, as there may be gigabytes of them."""
    return bytes(length)


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
        for part in parts:
            self._starts.append(self.size)
            self.size += part.length
        self._base, self._cache = 0, b""

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
        """Find one or two bytes from a position on; -1 where they are not there."""
        while pos < self.size - 1:
            content, at = self._ahead(pos)
            if match := pattern.search(content, at):
                return self._base + match.start()
            pos = self._base + len(content) - 1
        return -1

    def end_of_scan(self, pos: int, inside: frozenset[int]) -> int:
        """Find the marker that ends entropy-coded data: an FF with none of the codes that stand inside behind it.

        Raises
        ------
        UnknownStructure
            There is none.
        """
        while pos < self.size - 1:
            content, start = self._ahead(pos)
            find, last = content.find, len(content) - 1
            at = find(b"\xff", start)  # one byte is found many times faster than any pattern
            while 0 <= at < last:
                code = content[at + 1]
                if code not in inside:
                    return self._base + at
                at = find(b"\xff", at + 1 if code == 0xFF else at + 2)
            pos = self._base + last
        raise UnknownStructure

    def _ahead(self, pos: int) -> tuple[bytes, int]:
        """What is at hand of the bytes from a position on, two at least, and where in it they start; else read many."""
        at = pos - self._base
        if not 0 <= at < len(self._cache) - 1:
            self.read(pos, min(SEARCH, self.size - pos))
            at = 0
        return self._cache, at

    @property
    def clean(self) -> bool:
        """Whether nothing has to be overwritten, in this frame or in one before it."""
        return not self._patches

    def blank(self, pos: int, length: int) -> None:
        """Overwrite bytes with zeros, where they are none."""
        while length > 0:
            size = min(length, _MOST_ZEROS)
            if self.read(pos, size).strip(b"\0"):
                self._patches.extend((offset, _zeros(part)) for offset, part in self._places(pos, size))
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
    places = (part.offset - content.offset - length - 16 for part in fragments)
    entries = struct.unpack(f"<{length // 4}L", read_at(content.offset + 8, length))
    return 0 if entries[0] == 0 and all(entry in places for entry in entries) else length  # each behind the one before


def extended_table_fits(offsets: bytes, lengths: bytes, fragments: list[Part]) -> bool:
    """Tell whether an Extended Offset Table points to fragments and gives their lengths, with padding or without."""
    if len(offsets) % 8 or len(offsets) != len(lengths) or not offsets or not fragments:
        return False
    first, left = fragments[0].offset, iter(fragments)
    places, sizes = (struct.unpack(f"<{len(table) // 8}Q", table) for table in (offsets, lengths))
    return all(
        any(part.offset - first == place and part.length - size in (0, 1) for part in left)  # behind the one before
        for place, size in zip(places, sizes, strict=True)
    )


_START = re.compile(rb"\xff\xd8\xff|\xff\x4f\xff\x51|\0\0\0\x0c(?:jP  |JXL )\r\n\x87\n")
_LONGEST_START = 12


def fragments_of(content: FileRange, read_at: ReadAt) -> list[Part]:
    """Find the fragments that hold anything, without the Basic Offset Table.

    Raises
    ------
    UnknownStructure
        What is there are no fragments.
    FileRefused
        There are more than any sequence has.
    """
    unpack = struct.Struct("<HHL").unpack_from
    parts: list[Part] = []
    pos, end, table = content.offset, content.offset + content.length, True
    while pos + 8 <= end:
        head = read_at(pos, min(8 + _LONGEST_START, end - pos))
        if len(head) < 8:
            break
        group, element, length = unpack(head)
        pos += 8
        if group << 16 | element == SEQUENCE_END:
            return parts
        if group << 16 | element != ITEM or pos + length > end:
            break
        if length and not table:
            parts.append(Part(pos, length, _START.match(head, 8, 8 + length) is not None))
            if len(parts) > MAX_ITEMS:
                raise FileRefused(Reason.UNSUPPORTED, f"more than {MAX_ITEMS} fragments")
        table = False
        pos += length
    raise UnknownStructure


def frames_of(fragments: list[Part], count: int) -> Iterable[list[Part]]:
    """Group fragments by frame: each its own, or by the signature with which a codestream starts.

    Offset tables are not asked: they are optional, often wrong, and no codestream goes on with these bytes.
    """
    if len(fragments) == count:
        return ([part] for part in fragments)
    frames: list[list[Part]] = []
    for part in fragments:
        if part.starts:
            frames.append([])
        elif not frames:
            raise UnknownStructure
        frames[-1].append(part)
    if len(frames) != count:
        raise UnknownStructure
    return frames
