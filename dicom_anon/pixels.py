"""Text that hides beside pixels: what of the pixel data has to change so that it goes, every decoded pixel as before.

Lives here: native cells, JPEG, JPEG 2000, JPEG XL and RLE as bytes. Does not live here: files, rules, decoding, icons.
"""

from __future__ import annotations

import re
import struct
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dicom_anon import tags
from dicom_anon.elements import ITEM, SEQUENCE_END, FileRange
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.scope import Level

ReadAt = Callable[[int, int], bytes]
"""Bytes from an offset on, fewer only at the end."""

PIXEL_DATA = 0x7FE00010
_FLOAT_BITS = {0x7FE00008: 32, 0x7FE00009: 64}

NOT_CHECKED = "pixel-stream-not-checked"
"""Note: the pixel data, or a frame of it, is of a structure that is not known here; its bytes were left."""
BLANKED = "pixel-comments-blanked"
"""Note: comments, application data or bytes behind a codestream were overwritten."""
TRIMMED = "pixel-surplus-trimmed"
"""Note: native pixel data was longer than rows, columns and frames account for."""
UNUSED_BITS = "unused-bits-cleared"
"""Note: bits outside Bits Stored held something."""

NATIVE = frozenset(f"1.2.840.10008.1.2{suffix}" for suffix in ("", ".1", ".1.98", ".1.99", ".2"))
VIDEO = frozenset(f"1.2.840.10008.1.2.4.10{digits}" for digits in "0 0.1 1 1.1 2 2.1 3 3.1 4 4.1 5 5.1 6 6.1 7 8".split())
_RLE = "1.2.840.10008.1.2.5"

CHUNK = 1 << 16
"""Bytes that are masked at a time: they stay in the processor's cache."""
_HEAD = 1 << 10
_TAIL = 1 << 12
_SEARCH = 1 << 18
_ZEROS = bytes(1 << 20)


@dataclass(frozen=True)
class PixelPlan:
    """What has to change in one value of pixel data.

    Parameters
    ----------
    patches : tuple of (int, bytes)
        Bytes to overwrite, in order and not overlapping; offsets are those of the file, or of the value where that is
        in memory.
    length : int or None
        Length in bytes to which the value is cut; `None` where it keeps its own. The length field of the element, the
        four bytes before the value, has to say the same.
    transform : callable or None
        Turns a run of whole cells into the run to write; gives the very same object back where nothing changes. The
        value is passed through it from its start, in runs of a multiple of eight bytes (the last one may be shorter).
    notes : frozenset of str
        Codes for the report.
    """

    patches: tuple[tuple[int, bytes], ...] = ()
    length: int | None = None
    transform: Callable[[bytes], bytes] | None = None
    notes: frozenset[str] = frozenset()

    @property
    def changes(self) -> bool:
        """Whether a plain copy would not do."""
        return bool(self.patches) or self.length is not None or self.transform is not None


_NOTHING = PixelPlan()
_UNSURE = PixelPlan(notes=frozenset((NOT_CHECKED,)))


class _Unknown(Exception):
    """The bytes are not of the structure that was expected."""


def plan_pixels(
    root: Level, transfer_syntax: str, content: FileRange | bytes, read_at: ReadAt, tag: int = PIXEL_DATA
) -> PixelPlan:
    """Say what has to change in pixel data so that no text stays beside the pixels.

    Encapsulated frames lose comments, application data (but Adobe's colour transform, the JFIF and SPIFF headers and
    JPEG-LS colour transforms, which decoders use), JP2 boxes that decode nothing, and what lies behind their end, all
    overwritten with zeros so that no length changes. Of a single-scan JPEG the first frame is read through; where
    nothing was found behind its scan, the other frames are read at their two ends only (a few microseconds each
    instead of half a millisecond per megabyte). RLE frames (PS3.5 annex G) have their header checked.

    Native values are cut to the length that PS3.5 section 8.1 and PS3.3 section C.7.6.3 give. Where Bits Stored is
    less than Bits Allocated, every cell is checked while it is copied, whether or not overlay elements tell of planes
    in the unused bits: that costs 0.3 ms per MB on top of a copy through a buffer, a fifth of that copy. Bits outside
    Bits Stored become copies of the sign bit in signed data and zero elsewhere, so the value that PS3.5 section 8.1.1
    defines is the same. Cells that equal a Pixel Padding Value which needs those bits stay.

    Parameters
    ----------
    root : Level
        The original top-level Data Set, with the element `tag`.
    transfer_syntax : str
        Its UID.
    content : FileRange or bytes
        The value: where it is in the file, or itself. For encapsulated data from the first item on.
    read_at : callable
        Reads the file; not used for bytes.
    tag : int
        (7FE0,0010), or (7FE0,0008) or (7FE0,0009) for floating-point cells.

    Raises
    ------
    FileRefused
        There is less pixel data than the header says, or fewer fragments than frames (PS3.5 section A.4).
    """
    if isinstance(content, bytes):
        value = content
        content, read_at = FileRange(0, len(value)), lambda offset, length: value[offset : offset + length]
    span = root.find(tag)
    if span is not None and root.file.buf[span[3] - 4 : span[3]] == b"\xff\xff\xff\xff":
        return _plan_encapsulated(root, transfer_syntax, content, read_at)
    if transfer_syntax not in NATIVE:
        return _UNSURE
    return _plan_native(root, content, read_at, tag)


def pieces(
    content: FileRange | bytes, plan: PixelPlan, read_at: ReadAt, notes: set[str]
) -> Iterator[bytes | FileRange]:
    """Give the new value in order: ranges to copy from the file, and bytes to write.

    Parameters
    ----------
    content, plan, read_at
        As given to and got from `plan_pixels`.
    notes : set of str
        Gets `UNUSED_BITS` where the transform changed a cell. The plan's own notes are not added.

    Yields
    ------
    bytes or FileRange
        At most 1 MB of bytes at a time for a range; all at once for bytes.

    Raises
    ------
    FileRefused
        The file became shorter while it was read.
    """
    if isinstance(content, bytes):
        yield _changed(content[: plan.length], 0, plan, notes)
        return
    start = content.offset
    end = start + (content.length if plan.length is None else plan.length)
    if plan.transform is None:
        for offset, patch in plan.patches:
            if offset > start:
                yield FileRange(start, offset - start)
            yield patch
            start = offset + len(patch)
        if end > start:
            yield FileRange(start, end - start)
        return
    while start < end:
        chunk = read_at(start, min(CHUNK, end - start))
        if len(chunk) < min(CHUNK, end - start):
            raise FileRefused(Reason.TRUNCATED, "shrank while it was read")
        yield _changed(chunk, start, plan, notes)
        start += len(chunk)


def _changed(chunk: bytes, start: int, plan: PixelPlan, notes: set[str]) -> bytes:
    """Apply a plan to the bytes from `start` on; no patch crosses their end where there is a transform."""
    if plan.transform is not None:
        new = plan.transform(chunk)
        if new is not chunk:
            notes.add(UNUSED_BITS)
            chunk = new
    inside = [row for row in plan.patches if start <= row[0] < start + len(chunk)]
    if not inside:
        return chunk
    result = bytearray(chunk)
    for offset, patch in inside:
        result[offset - start : offset - start + len(patch)] = patch
    return bytes(result)


# Native pixel data (PS3.5 section 8.1, PS3.3 section C.7.6.3)


def _number(root: Level, tag: int, default: int | None = None) -> int | None:
    """Value of an element of two bytes (US); the default where it is absent or something else."""
    span = root.find(tag)
    if span is None or span[4] - span[3] != 2:
        return default
    return int.from_bytes(root.file.buf[span[3] : span[4]], "little" if root.encoding.little else "big")


def _frame_count(root: Level) -> int:
    """Number of Frames, 1 where there is none, 0 where it is no number."""
    text = (root.text(0x00280008) or "").strip() if root.find(0x00280008) else ""
    if not text:
        return 1
    return int(text) if text.isascii() and text.isdigit() else 0


def _plan_native(root: Level, content: FileRange, read_at: ReadAt, tag: int) -> PixelPlan:
    allocated = _FLOAT_BITS.get(tag) or _number(root, 0x00280100)
    rows, columns, samples = (_number(root, which) for which in (0x00280010, 0x00280011, 0x00280002))
    frames = _frame_count(root)
    if not (allocated and rows and columns and samples and frames):
        return _UNSURE
    cells = rows * columns * samples * frames
    if samples == 3 and (root.text(0x00280004) or "").strip() in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        halved = rows * columns * 2 * frames  # two pixels share their chrominance: four cells, not six
        if content.length < cells * allocated // 8:
            cells = halved  # else it is mislabelled, as decoders also assume, or has as much surplus
    exact = (cells * allocated + 7) // 8
    length = exact + exact % 2
    if content.length < exact:
        raise FileRefused(Reason.PIXEL_DATA_SHORT, tags.format_tag(tag))
    patches: tuple[tuple[int, bytes], ...] = ()
    if exact < length <= content.length and root.encoding.little:  # in big endian words the padding comes first
        end = content.offset + exact
        if read_at(end, 1) != b"\0":
            patches = ((end, b"\0"),)
    surplus = content.length > length
    transform, notes = None, {TRIMMED} if surplus else set()
    if tag == PIXEL_DATA and (stored := _number(root, 0x00280101, allocated)) and stored < allocated:
        transform = _mask_for(root, allocated, stored)
        if transform is None:
            notes.add(NOT_CHECKED)
    if not (patches or surplus or transform or notes):
        return _NOTHING
    return PixelPlan(patches, length if surplus else None, transform, frozenset(notes))


def _mask_for(root: Level, allocated: int, stored: int) -> Callable[[bytes], bytes] | None:
    high = _number(root, 0x00280102, stored - 1)
    little = root.encoding.little
    if high is None or not stored <= high + 1 <= allocated or allocated not in (8, 16, 32, 64):
        return None
    if allocated > 16 and not little:
        return None  # cells of several big endian words are written in either order of the words
    signed = _number(root, 0x00280103, 0) == 1
    padding = _number(root, 0x00280120) if allocated == 16 else None
    return cell_mask(allocated, stored, high, signed=signed, little=little, padding=padding)


def cell_mask(
    allocated: int, stored: int, high: int, *, signed: bool, little: bool = True, padding: int | None = None
) -> Callable[[bytes], bytes]:
    """Make the function that clears the bits of cells which are no part of the pixel's value (PS3.5 section 8.1.1).

    Cells are worked on by planes of bytes with translation tables, which is what Python does fastest to all of them.

    Parameters
    ----------
    allocated, stored, high : int
        Bits Allocated (8, 16, 32 or 64), Bits Stored and High Bit.
    signed : bool
        Pixel Representation is 1: bits above the value copy its sign bit. Else they become zero.
    little : bool
        Byte order of the cells.
    padding : int or None
        Pixel Padding Value as an unsigned number of 16 bits; cells of exactly this value stay. Only for 16 bits.

    Returns
    -------
    callable
        From a run of whole cells to the run without them, the same object where they held nothing.
    """
    size = allocated // 8
    mask = ((1 << stored) - 1) << (high + 1 - stored)
    sign_byte, sign_bit = divmod(high, 8)
    extension = 0xFE << sign_bit & 0xFF if signed else 0
    all_bytes = bytes(range(256))
    rows: list[tuple[int, int, bytes, bytes]] = []
    for significance in range(size):
        place = significance if little else size - 1 - significance
        source = place
        if significance <= sign_byte:
            part = mask >> 8 * significance & 0xFF
            more = extension if significance == sign_byte else 0
            table = bytes(byte & part | (more if byte >> sign_bit & 1 else 0) for byte in all_bytes)
        elif signed:
            source = sign_byte if little else size - 1 - sign_byte
            table = bytes(0xFF if byte >> sign_bit & 1 else 0 for byte in all_bytes)
        else:
            table = bytes(256)
        if source != place or table != all_bytes:
            clean = bytes(byte for byte in all_bytes if table[byte] == byte)
            rows.append((place, source, table, clean))

    def clear(cells: bytes) -> bytes:
        result: bytearray | None = None
        for place, source, table, clean in rows:
            plane = cells[place::size]
            if source == place:
                if not plane.translate(None, clean):
                    continue
                plane = plane.translate(table)
            else:
                new = cells[source::size].translate(table)
                if new == plane:
                    continue
                plane = new
            if result is None:
                result = bytearray(cells)
            result[place::size] = plane
        if result is None:
            return cells
        if padding is not None:
            _restore(cells, result, padding, little)
        return cells if result == cells else bytes(result)

    return clear


def _restore(cells: bytes, result: bytearray, padding: int, little: bool) -> None:
    """Put the cells that equal the padding value back."""
    wanted = int.from_bytes(padding.to_bytes(2, "little" if little else "big"), sys.byteorder)
    with memoryview(result).cast("H") as target:
        for place, cell in enumerate(memoryview(cells).cast("H")):
            if cell == wanted:
                target[place] = wanted


# Encapsulated pixel data (PS3.5 section A.4)


def _plan_encapsulated(root: Level, transfer_syntax: str, content: FileRange, read_at: ReadAt) -> PixelPlan:
    if transfer_syntax in VIDEO:
        return _UNSURE
    count = _frame_count(root)
    if not count:
        return _UNSURE
    patches: list[tuple[int, bytes]] = []
    unsure, through = False, True
    try:
        fragments = _fragments(content, read_at)
        if len(fragments) < count:
            raise FileRefused(Reason.PIXEL_DATA_SHORT, "fewer fragments than frames")
        frames = _frames(fragments, count)
    except _Unknown:
        return _UNSURE
    for parts in frames:
        stream = _Stream(read_at, parts, patches)
        try:
            if transfer_syntax == _RLE:
                _rle(stream)
            else:
                through = not _frame(stream, through)
        except _Unknown:
            unsure = True
    if not patches and not unsure:
        return _NOTHING
    notes = {BLANKED} if patches else set()
    return PixelPlan(tuple(sorted(patches)), notes=frozenset(notes | ({NOT_CHECKED} if unsure else set())))


_Part = tuple[int, int, bytes]
"""One fragment: offset and length of its value, and its first bytes."""


def _fragments(content: FileRange, read_at: ReadAt) -> list[_Part]:
    """Find the fragments that hold anything, without the Basic Offset Table."""
    unpack = struct.Struct("<HHL").unpack_from
    parts: list[_Part] = []
    pos, end, table = content.offset, content.offset + content.length, True
    while pos + 8 <= end:
        head = read_at(pos, min(8 + _HEAD, end - pos))
        if len(head) < 8:
            break
        group, element, length = unpack(head)
        pos += 8
        if group << 16 | element == SEQUENCE_END:
            return parts
        if group << 16 | element != ITEM or pos + length > end:
            break
        if length and not table:
            parts.append((pos, length, head[8 : 8 + length]))
        table = False
        pos += length
    raise _Unknown


_START = re.compile(rb"\xff\xd8\xff|\xff\x4f\xff\x51|\0\0\0\x0c(?:jP  |JXL )\r\n\x87\n")


def _frames(fragments: list[_Part], count: int) -> list[list[_Part]]:
    """Group fragments by frame: each its own, or by the signature with which a codestream starts.

    Offset tables are not asked: they are optional and often wrong, and no codestream goes on with these bytes.
    """
    if len(fragments) == count:
        return [[part] for part in fragments]
    frames: list[list[_Part]] = []
    for part in fragments:
        if _START.match(part[2]):
            frames.append([])
        elif not frames:
            raise _Unknown
        frames[-1].append(part)
    if len(frames) != count:
        raise _Unknown
    return frames


class _Stream:
    """The bytes of one frame as if its fragments were one, read where they are needed; collects patches.

    Parameters
    ----------
    read_at : callable
        Reads the file.
    parts : list of (int, int, bytes)
        The fragments.
    patches : list of (int, bytes)
        Gets what has to be overwritten.
    """

    __slots__ = ("_base", "_cache", "_patches", "_read_at", "_starts", "parts", "size")

    def __init__(self, read_at: ReadAt, parts: list[_Part], patches: list[tuple[int, bytes]]) -> None:
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
                raise _Unknown
            self._base, at = pos, 0
            size = min(max(length, _HEAD), self.size - pos)
            self._cache = b"".join(self._read_at(*place) for place in self._places(pos, size))
            if len(self._cache) < length:
                raise _Unknown
        return self._cache[at : at + length]

    def number(self, pos: int, length: int) -> int:
        """Read a big endian number."""
        return int.from_bytes(self.read(pos, length), "big")

    def _places(self, pos: int, length: int) -> Iterator[tuple[int, int]]:
        """Where the bytes are in the file."""
        which = bisect_left(self._starts, pos + 1) - 1
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

    def blank(self, pos: int, length: int) -> None:
        """Overwrite bytes with zeros, where they are none."""
        while length > 0:
            size = min(length, len(_ZEROS))
            if self.read(pos, size).strip(b"\0"):
                self._patches.extend((offset, _ZEROS[:part]) for offset, part in self._places(pos, size))
            pos, length = pos + size, length - size


def _frame(stream: _Stream, through: bool) -> bool:
    """Check one frame; tell whether its end was as expected, so that the next need not be read through."""
    start = stream.read(0, min(4, stream.size))
    if start[:2] == b"\xff\xd8":
        return _jpeg(stream, through)
    if start[:2] == b"\xff\x4f":
        _jpeg_2000(stream, 0, stream.size)
    elif start == b"\0\0\0\x0c":
        _boxes(stream, 0, stream.size)
    else:
        raise _Unknown
    return True


_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
"""What ends entropy-coded data: 00 (JPEG) or less than 80 (JPEG-LS) is stuffing, D0-D7 are restarts, FF fills."""
_HAS_LENGTH = frozenset((*range(0xC0, 0xD0), *range(0xDA, 0xFF)))
_FRAME_HEADERS = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))


def _jpeg(stream: _Stream, through: bool) -> bool:
    """Check a JPEG or JPEG-LS stream (ITU-T T.81 annex B, T.87 annex C), segment by segment."""
    pos, components, single, scans, expected = 2, 0, False, 0, True
    while True:
        lead, marker = stream.read(pos, 2)
        if lead != 0xFF:
            raise _Unknown
        if marker == 0xFF:  # fill byte
            pos += 1
            continue
        if marker == 0xD9:
            surplus = stream.size - pos - 2
            stream.blank(pos + 2, surplus)
            return expected and single and surplus <= 2
        length = stream.number(pos + 2, 2)
        if marker not in _HAS_LENGTH or length < 2 or pos + 2 + length > stream.size:
            raise _Unknown
        expected = not scans
        if marker == 0xFE or 0xE0 <= marker <= 0xEF:
            kept = _kept(marker, stream.read(pos + 4, min(length - 2, 6)), length - 2)
            stream.blank(pos + 4 + kept, length - 2 - kept)
        elif marker in _FRAME_HEADERS and length >= 8:
            components = 0 if marker in _PROGRESSIVE else stream.number(pos + 9, 1)
        pos += 2 + length
        if marker == 0xDA:
            scans += 1
            single = stream.number(pos - length, 1) == components
            expected = scans == 1
            tail = pos if through or not single else max(pos, stream.size - _TAIL)
            found = stream.search(_MARKER, tail)
            if found < 0 and tail > pos:
                found = stream.search(_MARKER, pos)
            if found < 0:
                raise _Unknown
            pos = found


def _kept(marker: int, start: bytes, length: int) -> int:
    """How much of a segment's payload decoders use."""
    if marker == 0xE0 and start[:5] == b"JFIF\0":
        return min(length, 12)  # then the thumbnail's size, and the thumbnail
    if marker == 0xEE and start[:5] == b"Adobe":
        return min(length, 12)
    if marker == 0xE8:
        if start == b"SPIFF\0":
            return min(length, 30)
        if start[:4] == b"mrfx":  # HP's colour transform in JPEG-LS
            return min(length, 5)
        if start[:4] == b"\0\0\0\1":  # end of the SPIFF directory, which includes the SOI
            return min(length, 6)
        if start[:3] == b"\0\0\0":
            return min(length, 4)  # tag of a SPIFF directory entry
    return 0


_EOC = re.compile(rb"\xff\xd9")


def _jpeg_2000(stream: _Stream, pos: int, end: int) -> None:
    """Check a JPEG 2000 codestream (ITU-T T.800 annex A, T.814): main header, then from tile-part to tile-part."""
    pos += 2
    tile_end = 0
    while True:
        if end - pos <= 1:  # no EOC, which some encoders leave out
            stream.blank(pos, end - pos)
            return
        lead, marker = stream.read(pos, 2)
        if lead != 0xFF:
            raise _Unknown
        if marker == 0xD9:
            stream.blank(pos + 2, end - pos - 2)
            return
        if marker == 0x93:  # SOD: the data of the tile-part
            if tile_end > end or not 0 < tile_end and tile_end != -1:
                raise _Unknown
            # In packets no FF is followed by more than 8F, so the first FFD9 is the end.
            pos = tile_end if tile_end > 0 else stream.search(_EOC, pos + 2)
            if pos < 0:
                raise _Unknown
            continue
        if 0x30 <= marker <= 0x3F:
            pos += 2
            continue
        length = stream.number(pos + 2, 2)
        if not (0x50 <= marker <= 0x7F or marker == 0x90) or length < 2 or pos + 2 + length > end:
            raise _Unknown
        if marker == 0x64:
            stream.blank(pos + 6, length - 4)
        elif marker == 0x90:
            size = stream.number(pos + 6, 4)
            tile_end = pos + size if size else -1
        pos += 2 + length


_BOXES_KEPT = frozenset(
    b"jP  |ftyp|ihdr|bpcc|colr|pclr|cmap|cdef|res |resc|resd|rreq|JXL |jxlc|jxlp|jxll|jxli|jbrd".split(b"|")
)
_SUPERBOXES = frozenset((b"jp2h", b"res "))


def _boxes(stream: _Stream, pos: int, end: int) -> None:
    """Check a JP2 or JPEG XL file (ITU-T T.800 annex I, ISO/IEC 18181-2): boxes that decode nothing are overwritten."""
    unsure = False
    while end - pos >= 8:
        length, kind, header = stream.number(pos, 4), stream.read(pos + 4, 4), 8
        if length == 1:
            length, header = stream.number(pos + 8, 8), 16
        elif length == 0:
            length = end - pos
        if length < header or pos + length > end:
            raise _Unknown
        if kind == b"jp2c":
            _jpeg_2000(stream, pos + header, pos + length)
        elif kind in _SUPERBOXES:
            _boxes(stream, pos + header, pos + length)
        elif kind not in _BOXES_KEPT:
            stream.blank(pos + header, length - header)
        unsure |= kind == b"jbrd"  # holds the comments of the JPEG it came from, compressed
        pos += length
    stream.blank(pos, end - pos)
    if unsure:
        raise _Unknown


def _rle(stream: _Stream) -> None:
    """Check the header of an RLE frame (PS3.5 annex G.5): unused offsets, and bytes before the first segment."""
    header = stream.read(0, 64)
    count, *offsets = struct.unpack("<16L", header)
    if not 1 <= count <= 15 or not 64 <= offsets[0] < stream.size:
        raise _Unknown
    stream.blank(4 + 4 * count, 60 - 4 * count)
    stream.blank(64, offsets[0] - 64)
