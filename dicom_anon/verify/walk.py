"""How the table of a file's values is made: opening it and walking its structure (PS3.5 7, PS3.10 7).

Written apart from the engine's walker on purpose, so that a mistake there is not repeated here. Does not live
here: the meaning of values.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from struct import Struct
from typing import BinaryIO

import pydicom
from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR, private_dictionary_VR

from .layout import BIG_ENDIAN, DEFLATED, PIXEL_TAGS, Layout, Reader, Span, path_of

INFLATE_LIMIT = 1 << 29  # a deflated Data Set above this is not looked at, and so reported: it may be a bomb
MAX_DEPTH = 200
MAX_SPANS = 1 << 21  # values of one file; a file with more is made to exhaust memory
MAX_HIDDEN = 3  # sequences in values of VR UN within each other: each is tried in two ways
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_LONG = "OB OD OF OL OV OW SQ SV UC UN UR UT UV"  # PS3.5 Table 7.1-1
_SHORT = "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US"  # PS3.5 Table 7.1-2
_LATIN_9 = dict.fromkeys(("ISO_IR 203", "ISO 2022 IR 203"), "iso8859-15")  # PS3.3 C.12.1.1.2; pydicom knows neither
_LONG_VRS, _SHORT_VRS = frozenset(_LONG.split()), frozenset(_SHORT.split())
_ENDIAN = {
    True: (Struct("<HH"), Struct("<H"), Struct("<L")),
    False: (Struct(">HH"), Struct(">H"), Struct(">L")),
}


class NotDicomError(ValueError):
    """The file is not DICOM."""


class LayoutError(ValueError):
    """The structure cannot be followed any further."""


@dataclass(slots=True)
class _Level:
    """A Data Set, a Sequence or a run of fragments that the walk is inside of."""

    kind: str
    end: int
    undefined: bool
    path: str
    explicit: bool
    little: bool
    encodings: tuple[str, ...]
    creators: dict[int, str] = field(default_factory=dict)
    tag: int = 0
    vr: str = ""
    count: int = 0


@lru_cache(maxsize=1 << 14)
def _vr_of(tag: int, creator: str) -> str:
    """VR by PS3.6, or by pydicom's tables of private elements; ``UN`` if neither knows the tag."""
    if tag & 0xFFFF == 0:
        return "UL"
    try:
        if tag >> 16 & 1:
            if 0x10 <= tag & 0xFFFF <= 0xFF:
                return "LO"
            return private_dictionary_VR(tag, creator)[:2] if creator else "UN"
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "UN"


@lru_cache(maxsize=256)
def _encodings(value: bytes) -> tuple[str, ...]:
    names = [name.strip() for name in value.decode("ascii", "replace").strip(" \0").split("\\")]
    try:
        return tuple(convert_encodings([_LATIN_9.get(name, name) for name in names]))
    except (LookupError, ValueError):
        return ("iso8859",)


class _Walk:
    """One walk over one Data Set; `spans` and `items` of the layout are filled as it goes."""

    def __init__(self, reader: Reader, layout: Layout) -> None:
        self.reader = reader
        self.layout = layout
        self._hidden = 0

    def run(self, first: _Level, start: int, depth: int = 0) -> int:
        """Walk from `start`; return where it ended. Raises LayoutError where it cannot go on."""
        stack, position = [first], start
        while stack:
            level = stack[-1]
            if position >= level.end:
                if level.undefined and len(stack) > 1:
                    raise LayoutError(position)
                stack.pop()
                continue
            head = self.reader.read(position, position + 12)
            if len(head) < 8:
                raise LayoutError(position)
            tags, _, longs = _ENDIAN[level.little]
            group, element = tags.unpack_from(head)
            tag = group << 16 | element
            if level.kind == "dataset":
                if tag == ITEM_END and level.undefined:
                    stack.pop()
                    position += 8
                    continue
                if len(stack) == 1:
                    self.layout.end = position
                position = self._element(stack, tag, head, position, depth + len(stack))
                continue
            length: int = longs.unpack_from(head, 4)[0]
            position += 8
            if tag == SEQUENCE_END and level.undefined:
                stack.pop()
            elif tag in (ITEM_END, SEQUENCE_END) and not length:
                continue  # some writers put a delimiter where none is needed
            elif tag != ITEM or (length == UNDEFINED and level.kind == "fragments"):
                raise LayoutError(position)
            elif level.kind == "fragments":
                if position + length > level.end:
                    raise LayoutError(position)
                path = f"{level.path}[{level.count}]"
                self.layout.spans.append(Span(path, level.tag, level.vr, position, position + length))
                level.count += 1
                position += length
            else:
                stack.append(self._item(level, position, length))
        return position

    def _item(self, level: _Level, position: int, length: int) -> _Level:
        end = level.end if length == UNDEFINED else position + length
        if end > level.end:
            raise LayoutError(position)
        path = f"{level.path}[{level.count}]."
        level.count += 1
        self.layout.items[level.path] = level.count
        explicit = level.explicit
        if end - position >= 8:
            # Some writers put implicit VR items into explicit Data Sets, and the other way round.
            head = self.reader.read(position, position + 8)
            explicit = _is_vr(head[4:6]) or (explicit and head[:4] == b"\xfe\xff\x0d\xe0")
        return _Level("dataset", end, length == UNDEFINED, path, explicit, level.little, level.encodings)

    def _element(self, stack: list[_Level], tag: int, head: bytes, position: int, depth: int) -> int:
        level = stack[-1]
        _, shorts, longs = _ENDIAN[level.little]
        length: int
        creator = level.creators.get(tag >> 8, "") if tag >> 16 & 1 else ""
        if level.explicit:
            vr = head[4:6].decode("latin-1")
            if vr in _SHORT_VRS:
                start, length = position + 8, shorts.unpack_from(head, 6)[0]
            elif vr in _LONG_VRS and len(head) == 12:
                start, length = position + 12, longs.unpack_from(head, 8)[0]
            else:
                raise LayoutError(position)
        else:
            start, length = position + 8, longs.unpack_from(head, 4)[0]
            vr = _vr_of(tag, creator)
        if tag >> 16 in (0, 0xFFFE) or depth > MAX_DEPTH or len(self.layout.spans) > MAX_SPANS:
            raise LayoutError(position)
        path = level.path + path_of(tag)
        if length == UNDEFINED:
            binary = vr in ("OB", "OW") or tag in PIXEL_TAGS
            # PS3.5 6.2.2: UN of undefined length is a sequence in implicit VR little endian.
            explicit, little = (False, True) if vr == "UN" and level.explicit else (level.explicit, level.little)
            inner = _Level(
                "fragments" if binary else "sequence",
                level.end,
                True,
                path,
                explicit,
                little,
                level.encodings,
            )
            inner.tag, inner.vr = tag, "OB"
            self.layout.items.setdefault(path, 0)
            stack.append(inner)
            return start
        end = start + length
        if end > level.end:
            raise LayoutError(position)
        known = _vr_of(tag, creator) if vr == "UN" else vr
        if vr == "SQ":
            self.layout.items.setdefault(path, 0)
            sequence = _Level("sequence", end, False, path, level.explicit, level.little, level.encodings)
            stack.append(sequence)
            return start
        if vr == "UN" and self._hidden_sequence(level, path, start, end, depth):
            return end
        if tag == 0x00080005:
            level.encodings = _encodings(self.reader.read(start, min(end, start + 256)))
        elif tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF and length <= 64:
            creators = self.reader.read(start, end).decode("latin-1").strip(" \0")
            level.creators[tag >> 16 << 8 | tag & 0xFF] = creators
        span = Span(path, tag, "OB" if known == "SQ" else known, start, end, creator, level.encodings)
        self.layout.spans.append(span)
        return end

    def _hidden_sequence(self, level: _Level, path: str, start: int, end: int, depth: int) -> bool:
        """Walk a value of VR UN that looks like a sequence; take it back if it turns out not to be one."""
        if end - start < 8 or self.reader.read(start, start + 4) != b"\xfe\xff\x00\xe0":
            return False
        if self._hidden == MAX_HIDDEN:
            return False
        self._hidden += 1
        try:
            return self._try_sequence(level, path, start, end, depth)
        finally:
            self._hidden -= 1

    def _try_sequence(self, level: _Level, path: str, start: int, end: int, depth: int) -> bool:
        count, items = len(self.layout.spans), dict(self.layout.items)
        for explicit in (level.explicit, not level.explicit):
            inner = _Level("sequence", end, False, path, explicit, True, level.encodings)
            try:
                self.run(inner, start, depth + 1)
                return True
            except LayoutError:
                del self.layout.spans[count:]
                self.layout.items = dict(items)
        return False


def _is_vr(two: bytes) -> bool:
    return two.decode("latin-1") in _SHORT_VRS | _LONG_VRS


def _guess(head: bytes, syntax: str) -> tuple[bool, bool]:
    """Say whether a Data Set is in explicit VR and little endian, by Transfer Syntax and first element."""
    little = syntax != BIG_ENDIAN
    if not syntax and head[:1] == b"\0" and head[1:2] != b"\0":
        little = False
    return _is_vr(head[4:6]), little


def _read_meta(reader: Reader, layout: Layout, start: int) -> int:
    """Walk the File Meta Information (PS3.10 7.1); return where the Data Set begins."""
    end = start
    explicit = _is_vr(reader.read(start + 4, start + 6))  # some writers put it in implicit VR
    while (head := reader.read(end, end + 12))[:2] == b"\x02\x00" and _is_vr(head[4:6]) is explicit:
        long = explicit and head[4:6].decode("latin-1") in _LONG_VRS
        length = int.from_bytes(head[8:12] if long else head[6 if explicit else 4 : 8], "little")
        end += (12 if long else 8) + length
        if end > reader.size:
            raise LayoutError(end)
    if end > start:
        _Walk(reader, layout).run(_Level("dataset", end, False, "", explicit, True, ("iso8859",)), start)
    syntax = layout.top(0x00020010)
    if syntax is not None:
        layout.transfer_syntax = reader.read(syntax.start, syntax.end).decode("latin-1").strip(" \0")
    return end


def _walk_file(reader: Reader, meta: tuple[Layout, int] | None = None) -> Layout:
    """Walk a file, or what follows its File Meta Information if that was walked before."""
    layout, begin = meta or _open_meta(reader)
    layout.size = reader.size
    try:
        if begin < 0:
            raise LayoutError
        head = reader.read(begin, begin + 12)
        explicit, layout.little = _guess(head, layout.transfer_syntax)
        if begin == 0 and not _begins_data_set(head, explicit, layout):
            raise NotDicomError
        layout.end = begin
        top = _Level("dataset", reader.size, False, "", explicit, layout.little, ("iso8859",))
        layout.end = _Walk(reader, layout).run(top, begin)
    except LayoutError:
        layout.complete = False
        if not layout.preamble and len(layout.spans) < 2:
            raise NotDicomError from None
    return layout


def _open_meta(reader: Reader) -> tuple[Layout, int]:
    """Walk the File Meta Information; return where the Data Set begins, -1 if that cannot be known."""
    layout = Layout(reader.size)
    layout.preamble = reader.read(128, 132) == b"DICM"
    try:
        return layout, _read_meta(reader, layout, 132 if layout.preamble else 0)
    except LayoutError:
        return layout, -1


def _begins_data_set(head: bytes, explicit: bool, layout: Layout) -> bool:
    """Say whether a file without preamble and meta information begins with a plausible element."""
    if len(head) < 12:
        return False
    tags, _, longs = _ENDIAN[layout.little]
    group, _ = tags.unpack_from(head)
    return group in (2, 4, 8) and (explicit or longs.unpack_from(head, 4)[0] <= layout.size)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Reader, Layout]]:
    """Open a DICOM file and walk it.

    A deflated Data Set (PS3.5 A.5) is inflated first, in memory and up to a limit; what follows the deflate
    stream stays behind it.

    Raises
    ------
    NotDicomError
        It is not DICOM.
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        reader = Reader(file, file.seek(0, io.SEEK_END))
        layout, begin = _open_meta(reader)
        if layout.transfer_syntax == DEFLATED and begin > 0:
            inflated = _inflate(file, begin)
            reader = Reader(io.BytesIO(inflated), len(inflated))
        yield reader, _walk_file(reader, (layout, begin))


def _inflate(file: BinaryIO, begin: int) -> bytes:
    file.seek(0)
    meta, packed = file.read(begin), file.read()
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = engine.decompress(packed, INFLATE_LIMIT)
    except zlib.error:
        return meta + packed  # cannot be walked, so it is reported; its bytes are searched as they are
    if engine.unconsumed_tail:
        return meta + packed
    padding = engine.unused_data == b"\0"  # PS3.5 A.5: makes the length of the stream even
    return meta + data + (b"" if padding else engine.unused_data)


def rewritten(path: Path) -> tuple[bytes, bool] | None:
    """Return a file that only pydicom can follow, written anew by pydicom; None if pydicom cannot either.

    The second says that it came to the end: it stops at a stray delimiter without a word.
    """
    buffer = io.BytesIO()
    try:
        with path.open("rb") as file:
            pydicom.dcmread(file, force=True).save_as(buffer, enforce_file_format=False)
            whole = not file.read().strip(b"\0")
    except Exception:  # any failure of the second reader means the same: not readable
        return None
    return buffer.getvalue(), whole


def walked(data: bytes) -> tuple[Reader, Layout]:
    """Walk a file held in memory."""
    reader = Reader(io.BytesIO(data), len(data))
    return reader, _walk_file(reader)
