"""The walker: bytes of a Data Set to the spans of its elements, at every depth (PS3.5 chapter 7).

Structure only: where each element starts, where its value lies, what it holds. Values are decoded elsewhere.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from dicom_anon.errors import DicomAnonError
from dicom_anon.tags import vr_of

MAX_DEPTH = 60
"""Deepest nesting of sequences that is read; real objects stay below 20."""

MAX_ITEMS = 1 << 19
"""Longest sequence that is read: one item for each of some hundred thousand frames, not for every 8 bytes of a bomb."""

UNDEFINED = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""An Item's tag in both byte orders."""
PIXEL_DATA_GROUP = 0x7FE0
PIXEL_DATA_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
"""Float, Double Float and integer Pixel Data: their values stay in the file until they are copied."""

SHORT_VRS = frozenset("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())  # noqa: SIM905
LONG_VRS = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # noqa: SIM905 # a list of 34 strings reads worse
HEADER_SIZES = {vr.encode(): 8 for vr in SHORT_VRS} | {vr.encode(): 12 for vr in LONG_VRS}
"""Bytes before the value of an element in explicit VR, by the VR as it is written."""
BULK_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN", b"OB or OW"))


class Malformed(DicomAnonError):
    """The bytes are not a well formed Data Set; the message names offset and tag only."""


class TooDeep(Malformed):
    """Sequences are nested deeper than `MAX_DEPTH`, or longer than `MAX_ITEMS`."""


class Incomplete(DicomAnonError):
    """The bytes end inside an element."""


@dataclass(frozen=True)
class Encoding:
    """How a Data Set is written: explicit or implicit VR, little or big endian (PS3.5 section 10)."""

    explicit: bool
    little: bool

    @functools.cached_property
    def order(self) -> str:
        """Prefix of `struct` formats."""
        return "<" if self.little else ">"


IMPLICIT_LITTLE = Encoding(explicit=False, little=True)
EXPLICIT_LITTLE = Encoding(explicit=True, little=True)
EXPLICIT_BIG = Encoding(explicit=True, little=False)


class Item(NamedTuple):
    """One item of a sequence: bytes `start` to `end`, its Data Set from `value` on.

    `delimited` items have undefined length and end with an Item Delimitation Item, which `end` includes. The
    encoding is that of the Data Set around it, but implicit VR little endian inside UN (PS3.5 section 6.2.2
    note 4), if it does not show that it is explicit.
    """

    start: int
    value: int
    end: int
    delimited: bool
    encoding: Encoding
    spans: list[Span]


Span: TypeAlias = "tuple[int, bytes, int, int, int, list[Item] | None]"
"""One element: (tag, VR, start, value start, end, items).

`items` is `None` unless the element is a sequence that was walked. The end includes a delimiter. The VR is
the one in the file, or the dictionary's in implicit VR; ``UN`` with items is a sequence that was stored as
unknown. A plain tuple, because millions of them are made.
"""


def tag_of(span: Span) -> int:
    """Tag of an element."""
    return span[0]


@functools.lru_cache(maxsize=1 << 16)
def implicit_vr(tag: int) -> bytes:
    """VR by the dictionary of an element in implicit VR, or stored as UN (PS3.5 sections 6.2.2 and A.1)."""
    if tag & 0x10000:
        return b"LO" if 0x10 <= tag & 0xFFFF <= 0xFF else b"UN"
    vr = vr_of(tag)
    if vr is None:
        return b"UN"
    if " or " in vr:
        return b"OW" if "OW" in vr else vr[:2].encode()
    return vr.encode()


class FileRange(NamedTuple):
    """Bytes that stay in the source file until they are copied: `length` bytes from `offset` on, the value of `tag`."""

    offset: int
    length: int
    tag: int = 0


ReadAt: TypeAlias = Callable[[int, int], bytes]
"""Bytes from an offset on, fewer only at the end."""

Piece: TypeAlias = "bytes | FileRange"
Edit: TypeAlias = "tuple[int, int, Piece]"
"""Bytes `start` to `end` of the buffer become the piece."""


def joined(buf: bytes, pos: int, end: int, edits: list[Edit]) -> list[Piece]:
    """Bytes `pos` to `end` of the buffer with the edits put in, in order; all else is the same bytes."""
    pieces: list[Piece] = []
    for start, stop, piece in edits:
        if start > pos:
            pieces.append(buf[pos:start])
        if piece:
            pieces.append(piece)
        pos = stop
    if end > pos:
        pieces.append(buf[pos:end])
    return pieces


class DataSetBytes(NamedTuple):
    """A walked Data Set whose long top-level values are left in the file.

    Parameters
    ----------
    buf : bytes
        Holds all of it but the values in `bulk`, from `begin` to `end`.
    spans : list of Span
        Its elements; one in `bulk` ends where its value would start.
    encoding : Encoding
        How it is written.
    bulk : dict of int to FileRange
        Where the values left out are, by the start of their span.
    begin, end : int
        Where it starts in `buf`, and where it ends.
    """

    buf: bytes
    spans: list[Span]
    encoding: Encoding
    bulk: dict[int, FileRange]
    begin: int
    end: int


_UNPACK: dict[bool, Any] = {
    little: (
        struct.Struct(order + "HH2sH").unpack_from,
        struct.Struct(order + "HHL").unpack_from,
        struct.Struct(order + "L").unpack_from,
        struct.Struct(order + "H").unpack_from,
    )
    for little, order in ((True, "<"), (False, ">"))
}


def walk(buf: bytes, pos: int, encoding: Encoding, spans: list[Span], *, partial: bool = False, after: int = 0) -> int:
    """Find the elements of a top-level Data Set.

    Parameters
    ----------
    buf : bytes
        Bytes that hold the Data Set, from `pos` to the end.
    pos : int
        Where it starts.
    encoding : Encoding
        How it is written.
    spans : list of Span
        Gets the elements in file order, also those before an error.
    partial : bool
        The Data Set goes on after `buf`: stop before the first element that is not wholly there.
    after : int
        Tag that the first element must be greater than.

    Returns
    -------
    int
        Where the walk stopped: the end, or the start of the element that is not wholly there.

    Raises
    ------
    Malformed
        Unknown VR, tags that do not ascend, lengths that do not fit, or (`TooDeep`) too many levels.
    Incomplete
        The last element goes past the end, and `partial` is false.
    """
    try:
        return _walk(buf, pos, len(buf), encoding, 0, False, partial, after, spans)
    except struct.error:
        raise Incomplete(f"offset {pos}") from None


def header_size(vr: bytes, encoding: Encoding) -> tuple[int, int]:
    """Bytes of an element's header before its length, and bytes of the length (PS3.5 section 7.1)."""
    if not encoding.explicit:
        return 4, 4
    return (8, 4) if HEADER_SIZES[vr] == 12 else (6, 2)


def walk_one(buf: bytes, pos: int, encoding: Encoding) -> Span | None:
    """Find the one element at `pos`; `None` where it is not wholly in `buf`, or not well formed."""
    spans: list[Span] = []
    try:
        if encoding.explicit:
            size = HEADER_SIZES.get(buf[pos + 4 : pos + 6], 0)
            value = pos + size
            length = _UNPACK[encoding.little][3 if size == 8 else 2](buf, value - (2 if size == 8 else 4))[0]
            if not size:
                return None
        else:
            value = pos + 8
            length = _UNPACK[encoding.little][2](buf, pos + 4)[0]
        end = len(buf) if length == UNDEFINED else value + length
        if end > len(buf):
            return None
        if length != UNDEFINED:
            _walk(buf, pos, end, encoding, 0, False, False, 0, spans)
            return spans[0]
        group, element = struct.unpack_from(f"{encoding.order}HH", buf, pos)
        tag = group << 16 | element
        if group == PIXEL_DATA_GROUP:
            return None
        vr = buf[pos + 4 : pos + 6] if encoding.explicit else implicit_vr(tag)
        items, end = _undefined(buf, value, end, vr, encoding, 0)
        return tag, vr, pos, value, end, items
    except (struct.error, Malformed, Incomplete, IndexError):
        return None


def _walk(
    buf: bytes,
    pos: int,
    end: int,
    encoding: Encoding,
    depth: int,
    delimited: bool,
    partial: bool,
    last: int,
    spans: list[Span],
) -> int:
    """Walk one level into `spans`. A `delimited` one stops after its Item Delimitation Item."""
    append = spans.append
    explicit = encoding.explicit
    unpack_explicit, unpack_implicit, unpack_long, _ = _UNPACK[encoding.little]
    size_of = HEADER_SIZES.get
    while pos < end:
        start = pos
        if end - pos < 8:
            if partial:
                break
            raise Incomplete(f"offset {pos}")
        if explicit:
            group, element, vr, length = unpack_explicit(buf, pos)
            tag = group << 16 | element
            size = size_of(vr)
            if size == 8:
                value = pos + 8
            elif size == 12:
                if end - pos < 12:
                    if partial:
                        break
                    raise Incomplete(f"offset {pos}")
                value = pos + 12
                length = unpack_long(buf, pos + 8)[0]
            elif delimited and tag == ITEM_END:
                return pos + 8
            else:
                raise Malformed(f"offset {pos}: unknown VR at ({group:04x},{element:04x})")
        else:
            group, element, length = unpack_implicit(buf, pos)
            tag = group << 16 | element
            value = pos + 8
            if delimited and tag == ITEM_END:
                return value
            vr = implicit_vr(tag)
        if tag <= last:
            raise Malformed(f"offset {pos}: ({group:04x},{element:04x}) is out of order")
        if group == PIXEL_DATA_GROUP and partial and tag in PIXEL_DATA_TAGS:
            return start
        last = tag
        if length == UNDEFINED:
            try:
                items, pos = _undefined(buf, value, end, vr, encoding, depth)
            except (Incomplete, struct.error):
                if partial:
                    return start
                raise
        else:
            pos = value + length
            if pos > end:
                if partial:
                    return start
                raise Incomplete(f"offset {start}: ({group:04x},{element:04x})")
            items = None
            if vr == b"SQ":
                items = _whole_items(buf, value, pos, encoding, depth) if length else []
            elif vr == b"UN" and length >= 8:
                items = _hidden_items(buf, value, pos, encoding, depth)
        append((tag, vr, start, value, pos, items))
    if delimited:
        raise Incomplete(f"offset {pos}: item without end")
    return pos


def _undefined(
    buf: bytes, value: int, end: int, vr: bytes, encoding: Encoding, depth: int
) -> tuple[list[Item] | None, int]:
    """Read the value of an element of undefined length: a sequence, or fragments (nested icon pixel data)."""
    if vr in (b"OB", b"OW"):
        return None, skip_fragments(buf, value, end, encoding)
    if vr == b"UN":
        encoding = _encoding_inside(buf, value, encoding)
    elif vr != b"SQ":
        raise Malformed(f"offset {value}: undefined length with VR {vr!r}")
    return _items(buf, value, end, encoding, depth, True)


def skip_fragments(buf: bytes, pos: int, end: int, encoding: Encoding) -> int:
    """Find the end of encapsulated data that starts at `pos`, its delimiter included (PS3.5 section A.4)."""
    unpack = _UNPACK[encoding.little][1]
    while end - pos >= 8:
        group, element, length = unpack(buf, pos)
        tag = group << 16 | element
        pos += 8
        if tag == SEQUENCE_END:
            return pos
        if tag != ITEM or length == UNDEFINED:
            raise Malformed(f"offset {pos - 8}: not a fragment")
        pos += length
    raise Incomplete(f"offset {pos}: fragments without end")


def _whole_items(buf: bytes, pos: int, end: int, encoding: Encoding, depth: int) -> list[Item]:
    """Items of a sequence of known length: where they pass its end, the lengths contradict each other."""
    try:
        return _items(buf, pos, end, encoding, depth, False)[0]
    except (Incomplete, struct.error):
        raise Malformed(f"offset {pos}: items pass the end of their sequence") from None


def _hidden_items(buf: bytes, pos: int, end: int, encoding: Encoding, depth: int) -> list[Item] | None:
    """Items of a sequence that was stored with VR UN and a defined length; `None` where it is none."""
    if buf[pos : pos + 4] not in ITEM_TAGS:
        return None
    try:
        return _whole_items(buf, pos, end, _encoding_inside(buf, pos, encoding), depth)
    except TooDeep:
        raise
    except Malformed:
        return None


def _encoding_inside(buf: bytes, pos: int, encoding: Encoding) -> Encoding:
    """Tell how the items of a sequence of unknown VR are written: in implicit VR little endian (PS3.5 section 6.2.2).

    Some devices write explicit VR there, also where all around is implicit. The first element shows it, be it behind
    empty items. One way is tried only: two at every level would take time that doubles with the depth.
    """
    while buf[pos + 8 : pos + 10] == ITEM_TAGS[0][:2]:
        pos += 8
    if buf[pos + 12 : pos + 14] not in HEADER_SIZES:
        return IMPLICIT_LITTLE
    return encoding if encoding.explicit else EXPLICIT_LITTLE


def _items(buf: bytes, pos: int, end: int, encoding: Encoding, depth: int, delimited: bool) -> tuple[list[Item], int]:
    """Walk the items of a sequence; a `delimited` one ends with its Sequence Delimitation Item.

    Delimiters that nobody needs are passed over: behind an item, and at the end of a sequence of known length.
    """
    depth += 1
    if depth > MAX_DEPTH:
        raise TooDeep(f"offset {pos}: nested deeper than {MAX_DEPTH} levels")
    items: list[Item] = []
    unpack = _UNPACK[encoding.little][1]
    while pos < end:
        group, element, length = unpack(buf, pos)
        tag = group << 16 | element
        value = pos + 8
        if tag == ITEM:
            spans: list[Span] = []
            if length == UNDEFINED:
                stop = _walk(buf, value, end, encoding, depth, True, False, 0, spans)
            else:
                stop = value + length
                if stop > end:
                    raise Incomplete(f"offset {pos}: item")
                try:
                    _walk(buf, value, stop, encoding, depth, False, False, 0, spans)
                except (Incomplete, struct.error):
                    raise Malformed(f"offset {pos}: elements pass the end of their item") from None
            items.append(Item(pos, value, stop, length == UNDEFINED, encoding, spans))
            if len(items) > MAX_ITEMS:
                raise TooDeep(f"offset {pos}: a sequence of more than {MAX_ITEMS} items")
            pos = stop
        elif tag == ITEM_END and not length:
            pos = value
        elif tag == SEQUENCE_END and (delimited or value == end):
            if value > end:
                raise Incomplete(f"offset {pos}: sequence without end")
            return items, value
        else:
            raise Malformed(f"offset {pos}: ({group:04x},{element:04x}) is no item")
    if delimited:
        raise Incomplete(f"offset {pos}: sequence without end")
    return items, pos


def element_bytes(tag: int, vr: str, raw: bytes, encoding: Encoding) -> bytes:
    """Write one element of known length.

    Parameters
    ----------
    tag : int
        Its tag.
    vr : str
        Its VR; not written in implicit VR.
    raw : bytes
        Its encoded value, of even length.
    encoding : Encoding
        How the Data Set is written.

    Raises
    ------
    Malformed
        The value is longer than the VR's length field can say.
    """
    known, width = _known_header(tag, vr, encoding.explicit, encoding.little)
    length = len(raw)
    if width == 2 and length > 0xFFFE:
        raise Malformed(f"{length} bytes do not fit VR {vr}")
    return known + length.to_bytes(width, "little" if encoding.little else "big") + raw


@functools.lru_cache(maxsize=1 << 14)
def _known_header(tag: int, vr: str, explicit: bool, little: bool) -> tuple[bytes, int]:
    """Header of an element before its length, and bytes of the length."""
    encoding = Encoding(explicit, little)
    group_and_element = struct.pack(f"{encoding.order}HH", tag >> 16, tag & 0xFFFF)
    known, width = header_size(vr.encode(), encoding)
    return (group_and_element + vr.encode() + b"\0\0")[:known], width


def item_bytes(raw: bytes, encoding: Encoding) -> bytes:
    """Write one sequence item of known length around an encoded Data Set."""
    return struct.pack(f"{encoding.order}HHL", ITEM >> 16, ITEM & 0xFFFF, len(raw)) + raw
