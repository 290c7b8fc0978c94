"""Native pixel data, and what a header says of cells and frames (PS3.5 section 8.1, PS3.3 section C.7.6.3).

Lives here: how long it is, and which bits of its cells are used. Does not live here: encapsulated pixel data, the bits
of cells, carrying a plan out.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import NamedTuple

from dicom_anon import tags
from dicom_anon.cells import Clear, cell_mask
from dicom_anon.elements import FileRange, ReadAt
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.pixelplan import NOT_CHECKED, TRIMMED, UNSURE, PixelPlan
from dicom_anon.scope import Level

PIXEL_DATA = 0x7FE00010
OFFSET_TABLES = (0x7FE00001, 0x7FE00002, 0x7FE00003)
"""The parts of an Extended Offset Table: offsets, lengths, total length."""
_FLOAT_BITS = {0x7FE00008: 32, 0x7FE00009: 64}

LAYOUT = "pixel layout"
"""In `FileScope.memo`: what the header says of native pixel data (`Layout`)."""


class Layout(NamedTuple):
    """What a header says of the cells of native pixel data; `None` for what it does not say in two bytes.

    Parameters
    ----------
    little : bool
        Byte order of the Data Set.
    rows, columns, samples, allocated, stored, high, signed, padding : int or None
        Rows, Columns, Samples per Pixel, Bits Allocated, Bits Stored, High Bit, Pixel Representation, Pixel Padding
        Value.
    frames : int
        Number of Frames: 1 where there is none, 0 where it is no number.
    photometric : str
        Photometric Interpretation.
    offset_tables : bool
        Whether there is any part of an Extended Offset Table.
    """

    little: bool
    rows: int | None
    columns: int | None
    samples: int | None
    allocated: int | None
    stored: int | None
    high: int | None
    signed: int | None
    padding: int | None
    frames: int
    photometric: str
    offset_tables: bool


def layout_of(root: Level) -> Layout:
    """Read what a header says of pixel data."""
    little = root.encoding.little

    def number(tag: int) -> int | None:
        raw = root.raw(tag)
        return int.from_bytes(raw, "little" if little else "big") if raw is not None and len(raw) == 2 else None

    return Layout(
        little=little,
        rows=number(0x00280010),
        columns=number(0x00280011),
        samples=number(0x00280002),
        allocated=number(0x00280100),
        stored=number(0x00280101),
        high=number(0x00280102),
        signed=number(0x00280103),
        padding=number(0x00280120),
        frames=frame_count(root),
        photometric=(root.text(0x00280004) or "").strip(),
        offset_tables=has_offset_tables(root),
    )


def has_offset_tables(root: Level) -> bool:
    """Tell whether there is any part of an Extended Offset Table."""
    return any(root.find(tag) for tag in OFFSET_TABLES)


def layout_at(level: Level) -> Layout:
    """Layout of the pixel data of a Data Set: that of the file is known, an item of a sequence has its own."""
    return (None if level.parent else level.file.memo.get(LAYOUT)) or layout_of(level)


def frame_count(level: Level, tag: int = 0x00280008) -> int:
    """Read a number of frames: 1 where there is none, 0 where it is no number."""
    text = (level.text(tag) or "").strip() or "1"
    return int(text) if text.isascii() and text.isdigit() else 0


def plan_native(level: Level, content: FileRange, read_at: ReadAt, tag: int) -> PixelPlan:
    """Say what has to change in native pixel data; parameters and errors are those of `pixels.plan_pixels`.

    Native values are cut to the length that PS3.5 section 8.1 and PS3.3 section C.7.6.3 give. Where Bits Stored is less
    than Bits Allocated, every cell is checked while it is copied, whether or not overlay elements tell of planes in the
    unused bits: 0.3 ms per MB, about a fifth of a copy through a buffer, and nothing where all bits are used. Bits
    outside Bits Stored become copies of the sign bit in signed data and zero elsewhere, so that the value which PS3.5
    section 8.1.1 defines is the same. Cells that equal a Pixel Padding Value stay.
    """
    layout = layout_at(level)
    if layout.offset_tables:
        raise FileRefused(Reason.UNSUPPORTED, "an offset table of pixel data that is not encapsulated")
    plan, padding = _planned_native(layout, content.length, tag)
    if padding and read_at(content.offset + padding, 1) != b"\0":
        return replace(plan, patches=((content.offset + padding, b"\0"),))
    return plan


@functools.lru_cache(maxsize=1024)
def _planned_native(layout: Layout, found: int, tag: int) -> tuple[PixelPlan, int]:
    """What has to change in a value of so many bytes, and where in it is a padding byte to be looked at, 0 for none."""
    rows, columns, samples, frames = layout.rows, layout.columns, layout.samples, layout.frames
    allocated = _FLOAT_BITS.get(tag) or layout.allocated
    if not (allocated and rows and columns and samples and frames):
        return UNSURE, 0
    cells = rows * columns * samples * frames
    if samples == 3 and layout.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        whole = (cells * allocated + 7) // 8
        if found not in (whole, whole + 1):  # else it is mislabelled, as decoders also take it
            cells = rows * columns * 2 * frames  # two pixels share their chrominance: four cells, not six
    exact = (cells * allocated + 7) // 8
    length = exact + exact % 2
    if found < exact:
        raise FileRefused(Reason.PIXEL_DATA_SHORT, tags.format_tag(tag))
    padding = exact if exact < length <= found and layout.little else 0  # in big endian words, padding is not last
    surplus = found > length
    transform, notes = None, {TRIMMED} if surplus else set()
    stored = allocated if layout.stored is None else layout.stored
    if tag == PIXEL_DATA and stored != allocated:
        transform = _mask_for(layout, allocated, stored)
        if transform is None:
            notes.add(NOT_CHECKED)
    return PixelPlan((), length if surplus else None, transform, frozenset(notes)), padding


def _mask_for(layout: Layout, allocated: int, stored: int) -> Clear | None:
    high = high_bit(layout, allocated, stored)
    if high is None or (allocated > 16 and not layout.little):
        return None  # cells of several big endian words are written in either order of the words
    padding = layout.padding if allocated == 16 else None
    return cell_mask(allocated, stored, high, signed=layout.signed == 1, little=layout.little, padding=padding)


def high_bit(layout: Layout, allocated: int, stored: int) -> int | None:
    """Highest bit of the value, `None` where the header contradicts itself."""
    high = stored - 1 if layout.high is None else layout.high
    return high if 0 < stored <= high + 1 <= allocated and allocated in (8, 16, 32, 64) else None
