"""Attributes beside the pixels: they say how these are read as in the source, and the file's head names its object.

Lives here: comparing them. Does not live here: the pixels themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import catalog
from .layout import Layout, Reader, Span, path_of
from .search import FIGURE_VRS, TEXT_VRS

_READING = (
    0x00280002,  # Samples per Pixel
    0x00280004,  # Photometric Interpretation
    0x00280006,  # Planar Configuration
    0x00280008,  # Number of Frames
    0x00280010,  # Rows
    0x00280011,  # Columns
    0x00280100,  # Bits Allocated
    0x00280101,  # Bits Stored
    0x00280102,  # High Bit
    0x00280103,  # Pixel Representation
    0x00281101,  # Red Palette Color Lookup Table Descriptor
    0x00281102,  # Green Palette Color Lookup Table Descriptor
    0x00281103,  # Blue Palette Color Lookup Table Descriptor
)
"""Attributes without which the same bytes are another picture (PS3.3 section C.7.6.3)."""
_LONGEST = 64  # bytes that are compared; none has more


def read_otherwise(source: tuple[Reader, Layout], output: tuple[Reader, Layout]) -> Iterator[str]:
    """Yield the paths of attributes that make the same pixels another picture than in the source."""
    for tag in _READING:
        before, after = source[1].top(tag), output[1].top(tag)
        if before is None and not source[1].complete:
            continue  # it may be where the walk of the source did not get to
        if _value(source[0], before) != _value(output[0], after):
            yield path_of(tag)


def named_otherwise(reader: Reader, layout: Layout) -> Span | None:
    """Return the Media Storage SOP Instance UID if it is not that of the object (PS3.10 section 7.1)."""
    head, own = layout.top(catalog.META_INSTANCE), layout.top(catalog.INSTANCE)
    return head if head and own and _value(reader, head) != _value(reader, own) else None


def _value(reader: Reader, span: Span | None) -> bytes:
    """Return a short value without its padding; what is absent says as much as what is empty."""
    if span is None:
        return b""
    value = reader.read(span.start, min(span.end, span.start + _LONGEST))
    return value.strip(b"\0 ") if span.vr in TEXT_VRS | FIGURE_VRS | {"UI"} else value
