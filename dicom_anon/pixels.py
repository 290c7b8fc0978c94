"""Text that hides beside pixels: what has to change in pixel data so that it goes and every pixel stays.

Lives here: encapsulated pixel data, and which kind of pixel data there is. Does not live here: native pixel data,
carrying a plan out, codestreams, files, rules, decoding.
"""

from __future__ import annotations

from collections.abc import Iterable

from dicom_anon.boxes import clean_movie
from dicom_anon.cells import Planes, plane_masks
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
from dicom_anon.native import OFFSET_TABLES, PIXEL_DATA, Layout, frame_count, high_bit, layout_at, plan_native
from dicom_anon.pixelplan import BLANKED, NOT_CHECKED, UNSURE, UNUSED_BITS, PixelPlan, pieces
from dicom_anon.scope import Level

NATIVE = frozenset(f"1.2.840.10008.1.2{suffix}" for suffix in ("", ".1", ".1.98", ".1.99", ".2"))
VIDEO = frozenset(
    f"1.2.840.10008.1.2.4.10{number}{suffix}" for number in range(9) for suffix in ("", ".1")
)  # MPEG-2, H.264 and H.265; 7 and 8 have no ".1"

_CHECKS = {"1.2.840.10008.1.2.1.98": check_uncompressed, "1.2.840.10008.1.2.8.1": check_deflated}
"""What frames are checked with that do not start with a signature, by transfer syntax."""


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
        return UNSURE
    return plan_native(root, content, read_at, tag)


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
    if tag in OFFSET_TABLES:
        raise FileRefused(Reason.UNSUPPORTED, "an Extended Offset Table in an item")
    if tag not in PIXEL_DATA_TAGS:
        return None
    buf = level.file.buf
    content, encapsulated = FileRange(first, end - first, tag), _is_encapsulated(level, span)

    def read_at(offset: int, length: int) -> bytes:
        return buf[offset : offset + length]

    plan = _plan_encapsulated(level, content, read_at) if encapsulated else plan_native(level, content, read_at, tag)
    if NOT_CHECKED in plan.notes:
        raise FileRefused(Reason.UNSUPPORTED, "pixel data of unknown structure in an item")
    if not plan.changes:
        return None
    notes = level.file.notes
    notes |= plan.notes
    found = pieces(content, plan, read_at, notes)
    new = b"".join(piece if isinstance(piece, bytes) else read_at(piece.offset, piece.length) for piece in found)
    return buf[start:first] + new if encapsulated else element_bytes(tag, vr.decode(), new, level.encoding)


def _is_encapsulated(level: Level, span: Span) -> bool:
    """Tell whether the length of pixel data is undefined."""
    return level.file.buf[span[3] - 4 : span[3]] == b"\xff\xff\xff\xff"


def _plan_encapsulated(root: Level, content: FileRange, read_at: ReadAt, transfer_syntax: str = "") -> PixelPlan:
    count, layout, check = frame_count(root), layout_at(root), _CHECKS.get(transfer_syntax, check_frame)
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
        frames: Iterable[list[Part]] = frames_of(fragments, count)
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
    return PixelPlan(tuple(sorted(patches + seen.cleared)), notes=notes, table=table)


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
    found, buf = [root.look(tag) for tag in OFFSET_TABLES], root.file.buf
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
    high = high_bit(layout, allocated, stored)
    padding = layout.padding if allocated == 16 else None
    return None if high is None else plane_masks(allocated, stored, high, signed=layout.signed == 1, padding=padding)


def _frame_sizes(layout: Layout) -> tuple[int, int, int]:
    """Say how many bytes an RLE segment decodes to, and how many segments (PS3.5 G.2) and bytes a frame has.

    0 stands for what is not known.
    """
    pixels, bits = (layout.rows or 0) * (layout.columns or 0), (layout.samples or 0) * (layout.allocated or 0)
    length = 0 if layout.photometric.endswith("_422") else (pixels * bits + 7) // 8
    return pixels, 0 if bits % 8 else bits // 8, length
