"""Pixel data: identical to the source where it is picture, nothing hidden in the bits that are not.

Lives here: streaming comparison, and where unused bits are looked for (PS3.3 C.7.6.3.1). Does not live here: the bits
of cells, decoding; no pixel is ever interpreted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from .cells import Format
from .codestream import Range, begins_frame, behind_deflated, rle_planes, text_ranges, without
from .layout import BIG_ENDIAN, NATIVE, RLE, Layout, Reader, Span
from .movie import CHUNK, Video, places, same_video, spare_ranges
from .search import Area

VIDEO = "1.2.840.10008.1.2.4.10"  # with one more digit: MPEG-2, H.264 and H.265; one codestream of many frames
DEFLATED_FRAMES, UNCOMPRESSED_FRAMES = "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.1.98"
FRAME_LIMIT = 1 << 26  # bytes of one fragment that are looked into; the rest of a longer one is compared as it is

_Spare = Callable[[bytes], list[Range]]
_Picture = Callable[[bytes], list[bytes]]


def _number(reader: Reader, layout: Layout, tag: int) -> int | None:
    span = layout.top(tag)
    if span is None or span.start == span.end:
        return None
    raw = reader.read(span.start, min(span.end, span.start + 16))
    if span.vr == "IS":
        text = raw.decode("latin-1").strip(" \0")
        return int(text) if text.isdigit() else None
    return int.from_bytes(raw[:2], "little" if layout.little else "big")


def is_native(layout: Layout) -> bool:
    """Say whether the pixels are native, by the Transfer Syntax or, without one, by the structure."""
    if layout.transfer_syntax:
        return layout.transfer_syntax in NATIVE
    return not any(span.path.endswith("]") for span in layout.pixels())


def pixel_format(reader: Reader, layout: Layout) -> Format:
    """Read the Image Pixel attributes (PS3.3 C.7.6.3)."""
    allocated = _number(reader, layout, 0x00280100) or 8
    stored = _number(reader, layout, 0x00280101) or allocated
    high = _number(reader, layout, 0x00280102)
    rows, columns = _number(reader, layout, 0x00280010), _number(reader, layout, 0x00280011)
    samples = _number(reader, layout, 0x00280002) or 1
    frames = _number(reader, layout, 0x00280008) or 1
    photometric = layout.top(0x00280004)
    if photometric and b"_422" in reader.read(photometric.start, photometric.end):
        samples = 2  # two chrominance samples for every two pixels
    length = None
    if rows and columns:
        length = (rows * columns * samples * frames * allocated + 7) // 8
    return Format(
        cell=allocated // 8,
        stored=stored,
        high=stored - 1 if high is None else high,
        signed=_number(reader, layout, 0x00280103) == 1,
        big_endian=layout.transfer_syntax == BIG_ENDIAN,
        length=length,
        padding=_number(reader, layout, 0x00280120) if allocated == 16 else None,
    )


def _chunks(reader: Reader, start: int, end: int) -> Iterator[bytes]:
    for position in range(start, end, CHUNK):
        yield reader.read(position, min(position + CHUNK, end))


def same_pixels(source: tuple[Reader, Layout], output: tuple[Reader, Layout]) -> bool:
    """Say whether two files hold the same picture.

    Native: the bits that belong to pixels are equal; unused bits and bytes behind the last pixel may
    differ. Encapsulated: the fragments are equal but for comments, application data, what no decoder knows,
    what follows the end of a frame, and unused bits in RLE.
    """
    (reader, layout), (other, result) = source, output
    if is_native(layout) != is_native(result):
        return False
    if is_native(layout):
        return _same_native(reader, layout, other, result)
    if layout.transfer_syntax != result.transfer_syntax:
        return False
    if layout.transfer_syntax.startswith(VIDEO):
        return same_video(Video(reader, _fragments(layout)), Video(other, _fragments(result)))
    before, after = _frames(reader, layout), _frames(other, result)
    spare, picture = _spare(reader, layout), _picture(reader, layout)
    return len(before) == len(after) and all(
        _same_frame(reader, a, other, b, spare, picture) for a, b in zip(before, after, strict=True)
    )


def _fragments(layout: Layout) -> list[Span]:
    """Return the fragments; the Basic Offset Table, the first item, is not picture."""
    return [span for span in layout.pixels() if span.path.endswith("]")][1:]


def _frames(reader: Reader, layout: Layout) -> list[list[Span]]:
    """Return the fragments of each frame."""
    frames: list[list[Span]] = []
    follows = False
    for span in _fragments(layout):
        begins = begins_frame(reader.read(span.start, min(span.end, span.start + 12)))
        if follows and not begins:
            frames[-1].append(span)
        else:
            frames.append([span])
        follows = follows or begins
    return frames


def _frame_size(reader: Reader, layout: Layout) -> int:
    """Return how many pixels a frame has, 0 if that is not known."""
    rows, columns = _number(reader, layout, 0x00280010), _number(reader, layout, 0x00280011)
    return (rows or 0) * (columns or 0)


def _rle_format(reader: Reader, layout: Layout) -> Format | None:
    """Return how pixels with unused bits are laid out that are in RLE frames; None for all others."""
    form = pixel_format(reader, layout)
    looked_into = layout.transfer_syntax == RLE and form.has_unused and _frame_size(reader, layout) <= FRAME_LIMIT
    return form if looked_into else None


def _picture(reader: Reader, layout: Layout) -> _Picture:
    """Return what tells the bits of an RLE frame that belong to pixels; nothing of others."""
    form, size = _rle_format(reader, layout), _frame_size(reader, layout)
    return lambda data: form.picture(form.joined(rle_planes(data, size))) if form else []


def _spare(reader: Reader, layout: Layout) -> _Spare:
    """Return what tells the ranges of a frame that are no picture, by the Transfer Syntax."""
    cells = _frame_size(reader, layout)
    if layout.transfer_syntax == RLE:
        return partial(text_ranges, rle_cells=cells)
    if layout.transfer_syntax == UNCOMPRESSED_FRAMES:
        bits = (_number(reader, layout, 0x00280002) or 1) * (_number(reader, layout, 0x00280100) or 8)
        length = (cells * bits + 7) // 8
        return lambda data: [(length, len(data))] if 0 < length < len(data) else []
    return behind_deflated if layout.transfer_syntax == DEFLATED_FRAMES else text_ranges


def _same_native(reader: Reader, layout: Layout, other: Reader, result: Layout) -> bool:
    ours, theirs = layout.pixels(), result.pixels()
    if [span.tag for span in ours] != [span.tag for span in theirs]:
        return False
    form = pixel_format(reader, layout)
    if form.used != pixel_format(other, result).used or form.big_endian != (result.transfer_syntax == BIG_ENDIAN):
        return False
    for a, b in zip(ours, theirs, strict=True):
        length = a.end - a.start
        if form.length is not None and length > form.length:
            length = form.length
        if b.end - b.start < length:
            return False
        pieces = zip(_chunks(reader, a.start, a.start + length), _chunks(other, b.start, b.start + length), strict=True)
        for one, two in pieces:
            if one != two and not (form.has_unused and form.picture(one) == form.picture(two)):
                return False
    return True


def _same_frame(
    reader: Reader, ours: list[Span], other: Reader, theirs: list[Span], spare: _Spare, picture: _Picture
) -> bool:
    if [span.end - span.start for span in ours] == [span.end - span.start for span in theirs]:
        pairs = (
            (one, two)
            for a, b in zip(ours, theirs, strict=True)
            for one, two in zip(_chunks(reader, a.start, a.end), _chunks(other, b.start, b.end), strict=True)
        )
        if all(one == two for one, two in pairs):
            return True
    before, after = _joined(reader, ours), _joined(other, theirs)
    if before is None or after is None:
        return False
    ranges = spare(before)
    if without(before, ranges) == without(after, ranges if len(before) == len(after) else spare(after)):
        return True
    bits = picture(before)
    return any(bits) and bits == picture(after)


def _joined(reader: Reader, spans: list[Span]) -> bytes | None:
    """Return a frame whose fragments are joined, None if it is too large to be held."""
    if sum(span.end - span.start for span in spans) > FRAME_LIMIT:
        return None
    return b"".join(reader.read(span.start, span.end) for span in spans)


def text_areas(reader: Reader, layout: Layout) -> list[Area]:
    """Return the ranges of the Pixel Data that belong to no picture and so may hold text."""
    areas: list[Area] = []
    if is_native(layout):
        length = pixel_format(reader, layout).length
        areas.extend(
            Area(span.start + length, span.end, "pixel data")
            for span in layout.pixels()
            if length is not None and span.end - span.start > length
        )
        return areas
    if layout.transfer_syntax.startswith(VIDEO):
        video = Video(reader, _fragments(layout))
        return [area for start, end in spare_ranges(video) for area in places(video.spans, start, end)]
    spare = _spare(reader, layout)
    areas.extend(Area(table.start, table.end, "pixel data") for table in layout.pixels()[:1])  # Basic Offset Table
    for frame in _frames(reader, layout):
        data = _joined(reader, frame)
        for start, end in spare(data) if data is not None else ():
            areas.extend(places(frame, start, end))
    return areas


def unused_bits(reader: Reader, layout: Layout) -> int | None:
    """Return where unused bits of native Pixel Data or RLE frames first hold something; None if they do not.

    They hold nothing if they are 0, or, for signed pixels, repeat the sign, or if the cell is the padding value.
    """
    packed = _rle_format(reader, layout)
    if packed is not None:
        size = _frame_size(reader, layout)
        for frame in _frames(reader, layout):
            data = _joined(reader, frame)
            if data is not None and packed.unused_hold(packed.joined(rle_planes(data, size))):
                return frame[0].start
        return None
    spans = [span for span in layout.pixels() if span.tag == 0x7FE00010]
    if not spans or not is_native(layout):
        return None
    form = pixel_format(reader, layout)
    if not form.has_unused:
        return None
    span = spans[0]
    end = span.end if form.length is None else min(span.end, span.start + form.length)
    for number, chunk in enumerate(_chunks(reader, span.start, end)):
        if form.unused_hold(chunk):
            return span.start + number * CHUNK
    return None
