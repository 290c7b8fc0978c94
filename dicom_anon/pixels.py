"""Text that hides beside pixels: what has to change in pixel data so that it goes and every pixel stays.

Lives here: what a header says of cells and frames, and what follows from it. Does not live here: carrying that out, the
bits of cells, codestreams, files, rules, decoding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from dicom_anon import tags
from dicom_anon.boxes import clean_movie
from dicom_anon.cells import Planes, cell_mask, plane_masks
from dicom_anon.codestreams import Seen, check_deflated, check_frame, check_uncompressed
from dicom_anon.elements import PIXEL_DATA_TAGS, FileRange, ReadAt, Span, element_bytes
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.fragments import (
    Part,
    Stream,
    UnknownStructure,
    extended_table_fits,
    fragments_of,
    frames_of,
    offset_table,
)
from dicom_anon.pixelplan import UNUSED_BITS, PixelPlan, pieces
from dicom_anon.scope import Level

PIXEL_DATA = 0x7FE00010
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002, 0x7FE00003)
_FLOAT_BITS = {0x7FE00008: 32, 0x7FE00009: 64}

NOT_CHECKED = "pixel-stream-not-checked"
"""Note: the pixel data, or a frame of it, is of a structure that is not known here, or may hold overlays; it stays."""
BLANKED = "pixel-comments-blanked"
"""Note: comments, application data, bytes behind a codestream or a senseless Basic Offset Table went."""
TRIMMED = "pixel-surplus-trimmed"
"""Note: native pixel data was longer than rows, columns and frames account for."""

NATIVE = frozenset(f"1.2.840.10008.1.2{suffix}" for suffix in ("", ".1", ".1.98", ".1.99", ".2"))
VIDEO = frozenset(
    f"1.2.840.10008.1.2.4.10{number}{suffix}" for number in range(9) for suffix in ("", ".1")
)  # MPEG-2, H.264 and H.265; 7 and 8 have no ".1"

_CHECKS = {"1.2.840.10008.1.2.1.98": check_uncompressed, "1.2.840.10008.1.2.8.1": check_deflated}
"""What frames are checked with that do not start with a signature, by transfer syntax."""

LAYOUT = "pixel layout"
"""In `FileScope.memo`: what the header says of native pixel data (`Layout`)."""

_NOTHING = PixelPlan()
_UNSURE = PixelPlan(notes=frozenset((NOT_CHECKED,)))


def plan_pixels(
    root: Level, transfer_syntax: str, content: FileRange, read_at: ReadAt, tag: int = PIXEL_DATA
) -> PixelPlan:
    """Say what has to change in pixel data so that no text stays beside the pixels.

    Encapsulated frames lose comments, application data and reserved segments (but Adobe's colour transform, JFIF and
    SPIFF headers and the colour transform of JPEG-LS, which decoders use), JP2 boxes that decode nothing, and what
    lies behind their end; all is overwritten with zeros, so that no length changes. Scans of JPEG are searched for
    the marker that ends them: 0.4 ms per MB. Of RLE segments (PS3.5 annex G) the runs are added up, since nothing else
    tells where they end: 6 ms per MB; what they hold loses unused bits, as native values do. Deflated frames are
    inflated for the same reason: 1 ms per MB of pixels. A Basic Offset Table that points to no fragments is written
    empty. Of video only the boxes of MP4 are looked into, and of JPEG XL only its boxes; what else is in these has to
    be looked for (`planned`), and is noted. So are codestreams of the JPEG family that have more bits for a sample than
    Bits Stored (many have), where overlays say that their planes are in the pixel data: these were compressed with the
    value.

    Native values are cut to the length that PS3.5 section 8.1 and PS3.3 section C.7.6.3 give. Where Bits Stored is less
    than Bits Allocated, every cell is checked while it is copied, whether or not overlay elements tell of planes in the
    unused bits: 0.3 ms per MB, about a fifth of a copy through a buffer, and nothing where all bits are used. Bits
    outside Bits Stored become copies of the sign bit in signed data and zero elsewhere, so that the value which PS3.5
    section 8.1.1 defines is the same. Cells that equal a Pixel Padding Value stay.

    Parameters
    ----------
    root : Level
        The original top-level Data Set, with the element `tag`.
    transfer_syntax : str
        Its UID.
    content : FileRange
        Where the value is in the file. For encapsulated data from the first item on.
    read_at : callable
        Reads the file.
    tag : int
        (7FE0,0010), or (7FE0,0008) or (7FE0,0009) for floating-point cells.

    Raises
    ------
    FileRefused
        There is less pixel data than the header says, fewer fragments than frames (PS3.5 section A.4), a deflated
        frame that holds more than the image, or an Extended Offset Table that does not fit (PS3.3 section
        C.7.6.3.1.8).
    """
    span = root.find(tag)
    if span is not None and _is_encapsulated(root, span):
        return _plan_encapsulated(root, content, read_at, transfer_syntax)
    if transfer_syntax not in NATIVE:
        return _UNSURE
    return _plan_native(root, content, read_at, tag)


def of_item(level: Level, span: Span) -> bytes | None:
    """Say how an element of group 7FE0 in an item of a sequence is written; `None` where it stays as it is.

    An icon may be native in a file whose own pixel data is compressed: the length tells (PS3.5 section A.4).

    Parameters
    ----------
    level : Level
        The item.
    span : Span
        The element. If it is pixel data, the notes of the file get what became of it.

    Raises
    ------
    FileRefused
        As `plan_pixels` does; also where it is of a structure that is not known here, or part of an Extended Offset
        Table, which items do not have.
    """
    tag, vr, start, first, end, _ = span
    if tag in _OFFSET_TABLES:
        raise FileRefused(Reason.UNSUPPORTED, "an Extended Offset Table in an item")
    if tag not in PIXEL_DATA_TAGS:
        return None
    buf = level.file.buf
    content, encapsulated = FileRange(first, end - first, tag), _is_encapsulated(level, span)

    def read_at(offset: int, length: int) -> bytes:
        return buf[offset : offset + length]

    plan = _plan_encapsulated(level, content, read_at) if encapsulated else _plan_native(level, content, read_at, tag)
    if NOT_CHECKED in plan.notes:
        raise FileRefused(Reason.UNSUPPORTED, "pixel data of unknown structure in an item")
    if not plan.changes:
        return None
    notes = level.file.notes
    notes |= plan.notes
    found = pieces(content, plan, read_at, notes)
    new = b"".join(piece if isinstance(piece, bytes) else read_at(piece.offset, piece.length) for piece in found)
    return buf[start:first] + new if encapsulated else element_bytes(tag, vr.decode(), new, level.encoding)


# Native pixel data (PS3.5 section 8.1, PS3.3 section C.7.6.3)


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
        frames=_frame_count(root),
        photometric=(root.text(0x00280004) or "").strip(),
        offset_tables=has_offset_tables(root),
    )


def has_offset_tables(root: Level) -> bool:
    """Tell whether there is any part of an Extended Offset Table."""
    return any(root.find(tag) for tag in _OFFSET_TABLES)


def _layout(level: Level) -> Layout:
    """Layout of the pixel data of a Data Set: that of the file is known, an item of a sequence has its own."""
    return (None if level.parent else level.file.memo.get(LAYOUT)) or layout_of(level)


def _frame_count(root: Level) -> int:
    """Read the Number of Frames: 1 where there is none, 0 where it is no number."""
    text = (root.text(0x00280008) or "").strip() if root.raw(0x00280008) else ""
    if not text:
        return 1
    return int(text) if text.isascii() and text.isdigit() else 0


def _plan_native(level: Level, content: FileRange, read_at: ReadAt, tag: int) -> PixelPlan:
    layout = _layout(level)
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
        return _UNSURE, 0
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
    if not (surplus or transform or notes):
        return _NOTHING, padding
    return PixelPlan((), length if surplus else None, transform, frozenset(notes)), padding


def _mask_for(layout: Layout, allocated: int, stored: int) -> Callable[[bytes], bytes] | None:
    high = _high_bit(layout, allocated, stored)
    if high is None:
        return None
    if allocated > 16 and not layout.little:
        return None  # cells of several big endian words are written in either order of the words
    padding = layout.padding if allocated == 16 else None
    return cell_mask(allocated, stored, high, signed=layout.signed == 1, little=layout.little, padding=padding)


def _high_bit(layout: Layout, allocated: int, stored: int) -> int | None:
    """Highest bit of the value, `None` where the header contradicts itself."""
    high = stored - 1 if layout.high is None else layout.high
    return high if 0 < stored <= high + 1 <= allocated and allocated in (8, 16, 32, 64) else None


# Encapsulated pixel data (PS3.5 section A.4)


def _is_encapsulated(level: Level, span: Span) -> bool:
    """Tell whether the length of pixel data is undefined."""
    return level.file.buf[span[3] - 4 : span[3]] == b"\xff\xff\xff\xff"


def _plan_encapsulated(root: Level, content: FileRange, read_at: ReadAt, transfer_syntax: str = "") -> PixelPlan:
    count, layout, check = _frame_count(root), _layout(root), _CHECKS.get(transfer_syntax, check_frame)
    patches: list[tuple[int, bytes]] = []
    seen, table = Seen(*_frame_sizes(layout), _planes(layout)), 0
    unsure = check is not check_frame and layout.stored != layout.allocated  # what unused bits hold is not known
    try:
        fragments = fragments_of(content, read_at)
        table = offset_table(content, read_at, fragments)
        unsure |= _extended_unsure(root, fragments)
        if transfer_syntax in VIDEO and fragments:
            clean_movie(Stream(read_at, fragments, patches))
        if transfer_syntax in VIDEO or not count:
            raise UnknownStructure
        if len(fragments) < count:
            raise FileRefused(Reason.PIXEL_DATA_SHORT, "fewer fragments than frames")
        frames = frames_of(fragments, count)
    except UnknownStructure:
        frames, unsure = [], True
    for parts in frames:
        stream = Stream(read_at, parts, patches)
        try:
            check(stream, seen)
        except UnknownStructure:
            unsure = True
    unsure |= seen.precision > (layout.stored or layout.allocated or 0) and _has_planes_in_cells(root)
    found = {BLANKED: patches or table, UNUSED_BITS: seen.cleared, NOT_CHECKED: unsure}
    notes = frozenset(note for note, what in found.items() if what)
    return PixelPlan(tuple(sorted(patches + seen.cleared)), notes=notes, table=table) if notes else _NOTHING


def _has_planes_in_cells(level: Level) -> bool:
    """Tell whether overlays say that their planes are in bits of the pixel data (retired, PS3.3-2004 section C.9.2)."""
    for group in range(0x60000000, 0x60200000, 0x20000):
        position, rows = level.raw(group | 0x0102), level.raw(group | 0x0010)
        here = position is not None or rows is not None
        if (position or b"").strip(b"\0") or (here and level.raw(group | 0x3000) is None):
            return True
    return False


def _extended_unsure(root: Level, fragments: list[Part]) -> bool:
    """Refuse an Extended Offset Table that fits no fragments; tell whether there is one that was left in the file."""
    found, buf = [root.look(tag) for tag in _OFFSET_TABLES], root.file.buf
    if not any(found):
        return False
    if any(span and span[3] == span[4] and any(buf[span[3] - 4 : span[3]]) for span in found):
        return True
    offsets, lengths, total = (buf[span[3] : span[4]] if span else b"" for span in found)
    fits = not offsets + lengths or extended_table_fits(offsets, lengths, fragments)
    if not fits or int.from_bytes(total, "little") > sum(part.length for part in fragments):
        raise FileRefused(Reason.UNSUPPORTED, "an Extended Offset Table that fits no fragments")
    return False


def _planes(layout: Layout) -> Planes:
    """Find what clears unused bits where bytes of cells are apart."""
    allocated = layout.allocated or 0
    stored = allocated if layout.stored is None else layout.stored
    if stored == allocated:
        return ()
    high = _high_bit(layout, allocated, stored)
    padding = layout.padding if allocated == 16 else None
    return None if high is None else plane_masks(allocated, stored, high, signed=layout.signed == 1, padding=padding)


def _frame_sizes(layout: Layout) -> tuple[int, int, int]:
    """Say how many bytes an RLE segment decodes to, and how many segments (PS3.5 G.2) and bytes a frame has.

    0 stands for what is not known.
    """
    pixels, bits = (layout.rows or 0) * (layout.columns or 0), (layout.samples or 0) * (layout.allocated or 0)
    length = 0 if layout.photometric.endswith("_422") else (pixels * bits + 7) // 8
    return pixels, 0 if bits % 8 else bits // 8, length
