"""Frames compressed by RLE (PS3.5 annex G): finds what is no part of the image, and overwrites it.

Lives here: the header of a frame, what is beside its segments, and unused bits in what runs hold. Does not live here:
which bits these are, other codestreams, decoding.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import pairwise

from dicom_anon.cells import Clear, Planes
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.fragments import SEARCH, Stream, UnknownStructure

_LONGEST = 129
"""Bytes of the longest run, with its code."""
_BLOCK = 1 << 12
_MOST_BLOCKS = 1 << 14
"""Blocks with something in unused bits, which are kept in memory until they are written: 64 MiB."""


def check_rle(stream: Stream, cells: int, segments: int, planes: Planes, cleared: list[tuple[int, bytes]]) -> None:
    """Check a frame: its header, what is before, between and behind what decodes, and unused bits.

    Bits are cleared within the runs: what is replicated, and each byte of what is not, so that no length changes.

    Parameters
    ----------
    stream : Stream
        The frame.
    cells : int
        Bytes that a segment decodes to: one of each pixel (section G.2).
    segments : int
        Segments that a frame has: one for each byte of a pixel.
    planes : Planes
        What clears unused bits.
    cleared : list of (int, bytes)
        Gets what has to be overwritten to clear unused bits.

    Raises
    ------
    UnknownStructure
        It is no such frame, or its unused bits are not known; what was found before stays found.
    FileRefused
        There is too much in unused bits.
    """
    count, *offsets = struct.unpack("<16L", stream.read(0, 64))
    edges = [*offsets[:count], stream.size]
    if not 0 < count == segments < 16 or not cells or edges[0] < 64 or edges != sorted(set(edges)):
        raise UnknownStructure
    stream.blank(4 + 4 * count, 60 - 4 * count)
    stream.blank(64, offsets[0] - 64)
    for number, (start, end) in enumerate(pairwise(edges)):
        clear = planes[number % len(planes)] if planes else None
        if clear is None:
            used = _end_of_segment(stream, start, end, cells)
        else:
            used = _clear_segment(stream, start, end, cells, clear, cleared)
        stream.blank(used, end - used)
    if planes is None:
        raise UnknownStructure


_RUN_SIZE = bytes(code + 2 if code < 128 else 1 if code == 128 else 2 for code in range(256))
_RUN_CELLS = bytes(code + 1 if code < 128 else 0 if code == 128 else 257 - code for code in range(256))


def _end_of_segment(stream: Stream, pos: int, end: int, cells: int) -> int:
    """Add up runs (PS3.5 G.3) until all cells are there; tell where the last one ends."""
    while cells > 0:
        if pos >= end:
            raise UnknownStructure
        codes = stream.read(pos, min(SEARCH, end - pos))
        sizes, counts = codes.translate(_RUN_SIZE), codes.translate(_RUN_CELLS)
        at = 0
        with suppress(IndexError):  # cheaper than asking for the end at every run
            while cells > 0:
                cells -= counts[at]
                at += sizes[at]
        pos += at
    if pos > end:
        raise UnknownStructure
    return pos


def _clear_segment(
    stream: Stream, pos: int, end: int, cells: int, clear: Clear, cleared: list[tuple[int, bytes]]
) -> int:
    """Do as `_end_of_segment`, which is faster, and clear unused bits; zeros stand in for the codes of runs."""
    (part,) = stream.parts  # PS3.5 section A.4.2
    while cells > 0:
        if pos >= end:
            raise UnknownStructure
        runs = stream.read(pos, min(SEARCH + _LONGEST - 1, end - pos))
        codes, data = runs[:SEARCH], bytearray(runs)
        sizes, counts = codes.translate(_RUN_SIZE), codes.translate(_RUN_CELLS)
        at = 0
        with suppress(IndexError):
            while cells > 0:
                cells -= counts[at]
                data[at] = 0
                at += sizes[at]
        held = bytes(data[:at])
        new = clear(held)
        if new is not held:
            _overwrite(runs, held, new, part.offset + pos, cleared)
        pos += at
    if pos > end:
        raise UnknownStructure
    return pos


def _overwrite(runs: bytes, held: bytes, new: bytes, offset: int, cleared: list[tuple[int, bytes]]) -> None:
    """Note the blocks that differ, with the codes of runs in their places again."""
    for start in range(0, len(new), _BLOCK):
        block, before, after = (some[start : min(start + _BLOCK, len(new))] for some in (runs, held, new))
        if before != after:
            changed = int.from_bytes(before, "big") ^ int.from_bytes(after, "big")
            patch = (int.from_bytes(block, "big") ^ changed).to_bytes(len(block), "big")
            cleared.append((offset + start, patch))
    if len(cleared) > _MOST_BLOCKS:
        raise FileRefused(Reason.UNSUPPORTED, "too much in the unused bits of RLE frames")
