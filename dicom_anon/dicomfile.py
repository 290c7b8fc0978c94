"""An open source file: its start is read, and its Data Set is walked with long values left where they are.

Lives here: the walk over a file, inflating, what only pydicom can read. Does not live here: file meta, and any writing.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import struct
import warnings
import zlib
from typing import BinaryIO

from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset, read_sequence
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_anon import tags
from dicom_anon.elements import (
    BULK_VRS,
    HEADER_SIZES,
    ITEM,
    ITEM_TAGS,
    PIXEL_DATA_GROUP,
    PIXEL_DATA_TAGS,
    SEQUENCE_END,
    UNDEFINED,
    DataSetBytes,
    Encoding,
    FileRange,
    Incomplete,
    Malformed,
    ReadAt,
    Span,
    TooDeep,
    implicit_vr,
    walk,
)
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.filemeta import checked_encoding, guess_syntax, read_meta, recognise

HEAD = 1 << 17
"""Bytes read at first: the header of nearly every object."""

BULK = 1 << 20
"""A top-level binary value of this length is left in the file, as pixel data always is."""

MAX_HEADER = 1 << 28
MAX_IN_MEMORY = 1 << 27
"""Longest Data Set that is inflated or written anew, in memory as a whole; a worker stays below 1 GiB with it."""

TRAILING = "trailing-bytes"
"""Note: there were bytes behind the Data Set, which go."""

_DIRECTORY_RECORD_SEQUENCE = 0x00041220
_DICOMDIR_CLASS = "1.2.840.10008.1.3.10"


class DicomFile:
    """One open source file: its start is read, its Data Set is walked when it is asked for.

    Parameters
    ----------
    handle : file object
        Opened for reading bytes, not buffered.
    size : int
        Its length in bytes.

    Attributes
    ----------
    transfer_syntax : str
        UID under which it is written again.
    sop_class, sop_instance : str
        What the old file meta says, empty where it says nothing.
    encoding : Encoding
        How its Data Set is written.
    buf : bytes
        First bytes of the file, or of `content`.
    begin : int
        Where the Data Set starts in them.
    content : bytes
        Where not empty, file ranges are about these bytes (inflated, or written anew) and not about the file.
    notes : set of str
        Codes for the report.

    Raises
    ------
    FileRefused
        It is not DICOM, a DICOMDIR, or of an unsupported encoding.
    """

    def __init__(self, handle: BinaryIO, size: int) -> None:
        self.read_at = _reader(handle)
        self._size = size
        head = self.read_at(0, min(size, HEAD))
        pos = recognise(head)
        if pos < 0:
            raise FileRefused(Reason.NOT_DICOM)
        try:
            meta = read_meta(head, pos)
        except Incomplete as error:
            raise FileRefused(Reason.NOT_PARSABLE, f"file meta: {error}") from None
        self.sop_class, self.sop_instance, syntax, begin = meta
        if self.sop_class == _DICOMDIR_CLASS:
            raise FileRefused(Reason.DICOMDIR)
        self.transfer_syntax = syntax or guess_syntax(head, begin)
        self.encoding = checked_encoding(self.transfer_syntax)
        self.buf, self.begin = head, begin
        self.content = b""
        self.notes: set[str] = set()
        if self.deflated:
            content, behind = _inflate(self.read_at, begin, size)
            self._use(content)
            if behind.strip(b"\0"):  # one is padding
                self.notes.add(TRAILING)

    @property
    def deflated(self) -> bool:
        """Whether the Data Set is written deflated (PS3.5 section A.5)."""
        return self.transfer_syntax == DeflatedExplicitVRLittleEndian

    def holds(self, piece: FileRange) -> bool:
        """Tell whether a range was read together with the header."""
        return piece.offset + piece.length <= len(self.buf)

    def held(self, piece: FileRange) -> bytes:
        """Bytes of a range that was read together with the header."""
        return self.buf[piece.offset : piece.offset + piece.length]

    @functools.cached_property
    def data(self) -> DataSetBytes:
        """The whole Data Set, walked."""
        return self.walk()

    @property
    def legible(self) -> DataSetBytes:
        """The whole Data Set, or the elements at its start that make sense, where it is cut off or broken."""
        try:
            return self.data
        except FileRefused:
            spans: list[Span] = []
            with contextlib.suppress(Malformed, Incomplete):
                walk(self.buf, self.begin, self.encoding, spans, partial=True)
            return DataSetBytes(self.buf, spans, self.encoding, {}, self.begin, spans[-1][4] if spans else self.begin)

    def walk_rest(self, pos: int, last: int) -> DataSetBytes:
        """Walk the Data Set from a position in `buf` on, behind an element of tag `last`.

        Raises
        ------
        FileRefused, Malformed, Incomplete
            It cannot be read.
        """
        data, behind = _walk_file(self.read_at, self.buf, self._size, self.encoding, pos, last)
        if behind:
            self.notes.add(TRAILING)
        return data

    def walk(self) -> DataSetBytes:
        """Walk the Data Set.

        Raises
        ------
        FileRefused
            It is truncated, or cannot be read by the walker nor by pydicom.
        """
        try:
            data = self.walk_rest(self.begin, 0)
        except Incomplete as error:
            raise FileRefused(Reason.TRUNCATED, str(error)) from None
        except Malformed as error:
            if "normalised" in self.notes or isinstance(error, TooDeep):
                raise FileRefused(Reason.NOT_PARSABLE, str(error)) from None
            self._use(_normalise(self.read_at, self.begin, self._size, self.encoding, str(error)))
            self.notes.add("normalised")
            return self.walk()
        if not data.spans:
            raise FileRefused(Reason.NOT_PARSABLE, "no element")
        if any(span[0] == _DIRECTORY_RECORD_SEQUENCE for span in data.spans[:40]):
            raise FileRefused(Reason.DICOMDIR)
        return data

    def _use(self, content: bytes) -> None:
        """Go on with a Data Set in memory in place of the file's own bytes."""
        self.content = self.buf = content
        self.read_at, self.begin, self._size = _memory_reader(content), 0, len(content)


def walk_bytes(content: bytes, encoding: Encoding) -> DataSetBytes:
    """Walk a Data Set that is in memory.

    Raises
    ------
    FileRefused
        It is not well formed.
    """
    try:
        return _walk_file(_memory_reader(content), content, len(content), encoding, 0, 0)[0]
    except (Incomplete, Malformed) as error:
        raise FileRefused(Reason.NOT_PARSABLE, str(error)) from None


def _reader(handle: BinaryIO) -> ReadAt:
    if hasattr(os, "pread"):
        descriptor = handle.fileno()
        return lambda offset, length: os.pread(descriptor, length, offset)

    def seek_and_read(offset: int, length: int) -> bytes:
        handle.seek(offset)
        return handle.read(length)

    return seek_and_read


def _memory_reader(content: bytes) -> ReadAt:
    return lambda offset, length: content[offset : offset + length]


def _walk_file(
    read_at: ReadAt, buf: bytes, size: int, encoding: Encoding, begin: int, last: int
) -> tuple[DataSetBytes, int]:
    """Walk a Data Set up to `size`, of which `buf` is read; long values stay where they are.

    The walk begins at `begin`, behind an element of tag `last`. Returns the Data Set, and how many bytes are behind it.
    """
    spans: list[Span] = []
    bulk: dict[int, FileRange] = {}
    pos, skipped = begin, 0  # what lies at p in `buf`, lies at p + `skipped` in the file
    if last == 0 and not encoding.explicit and buf[pos + 4 : pos + 6] in HEADER_SIZES:
        raise Malformed(f"offset {pos}: explicit VR under an implicit VR transfer syntax")
    while pos + skipped < size:
        try:
            pos = walk(buf, pos, encoding, spans, partial=True, after=last)
        except Malformed:
            pos = spans[-1][4] if spans else pos
            if not _is_surplus(buf[pos:], spans):
                raise
            break
        last = spans[-1][0] if spans else last
        if pos + skipped == size:
            break
        unread = size - len(buf) - skipped
        if len(buf) - pos >= (12 if encoding.explicit else 8) and (
            found := _bulk_at(buf, pos, skipped, encoding, read_at, size)
        ):
            span, content = found
            bulk[pos] = content
            spans.append(span)
            last, _, _, _, pos, _ = span
            behind = content.offset + content.length
            skipped = behind - pos
            if behind == size:
                break
            buf = buf[:pos] + read_at(behind, min(HEAD, size))
        elif unread > 0:
            if len(buf) > MAX_HEADER:
                raise FileRefused(Reason.UNSUPPORTED, "header too long")
            more = read_at(len(buf) + skipped, max(HEAD, len(buf)))
            if not more:
                raise Incomplete(f"offset {len(buf) + skipped}: shrank while it was read")
            buf += more
        elif _is_surplus(buf[pos:], spans):
            break
        elif spans:
            raise Incomplete(f"offset {pos + skipped}")
        else:
            raise Malformed(f"offset {pos + skipped}: the first element is longer than the file")
    return DataSetBytes(buf, spans, encoding, bulk, begin, pos), size - pos - skipped


def _is_surplus(rest: bytes, spans: list[Span]) -> bool:
    """Tell whether what comes after the Data Set is no element: behind pixel data, or zeros to the end."""
    if not spans:
        return False
    return spans[-1][0] >= PIXEL_DATA_GROUP << 16 or not rest.strip(b"\0")


def _bulk_at(
    buf: bytes, pos: int, skipped: int, encoding: Encoding, read_at: ReadAt, size: int
) -> tuple[Span, FileRange] | None:
    """Span and file range of an element whose value is best left in the file, `None` for others."""
    order = encoding.order
    group, element = struct.unpack_from(f"{order}HH", buf, pos)
    tag = group << 16 | element
    vr = buf[pos + 4 : pos + 6] if encoding.explicit else implicit_vr(tag)
    is_pixel_data = tag in PIXEL_DATA_TAGS
    if vr not in BULK_VRS:
        if is_pixel_data:
            raise Malformed(f"offset {pos + skipped}: pixel data of VR {vr!r}")
        return None
    value = pos + (12 if encoding.explicit else 8)
    length = struct.unpack_from(f"{order}L", buf, value - 4)[0]
    offset = value + skipped
    if vr == b"UN" and (implicit_vr(tag) not in BULK_VRS or read_at(offset, 4) in ITEM_TAGS):
        return None  # text or a sequence that was stored as unknown: rules look into it
    if not is_pixel_data and (length == UNDEFINED or length < BULK):
        return None
    if length == UNDEFINED:
        length = _fragments_end(read_at, offset, size, encoding) - offset
    elif offset + length > size:
        raise Incomplete(f"offset {offset}: ({group:04x},{element:04x})")
    return (tag, vr, pos, value, value, None), FileRange(offset, length, tag)


def _fragments_end(read_at: ReadAt, offset: int, size: int, encoding: Encoding) -> int:
    """Find the end of encapsulated pixel data by hopping from fragment to fragment (PS3.5 section A.4)."""
    unpack = struct.Struct(f"{encoding.order}HHL").unpack
    while offset + 8 <= size and len(header := read_at(offset, 8)) == 8:
        group, element, length = unpack(header)
        offset += 8
        tag = group << 16 | element
        if tag == SEQUENCE_END:
            return offset
        if tag != ITEM or length == UNDEFINED:
            raise Malformed(f"offset {offset - 8}: not a fragment")
        offset += length
    raise Incomplete(f"offset {offset}: pixel data without end")


def _inflate(read_at: ReadAt, start: int, size: int) -> tuple[bytes, bytes]:
    """Inflate a deflated Data Set (PS3.5 section A.5), refusing one that is or grows out of bounds.

    Returns it, and what is behind it.
    """
    if size - start > MAX_IN_MEMORY:
        raise FileRefused(Reason.UNSUPPORTED, "deflated Data Set is too long")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(read_at(start, size - start), MAX_IN_MEMORY)
    except zlib.error:
        raise FileRefused(Reason.NOT_PARSABLE, "deflated Data Set") from None
    if inflater.unconsumed_tail:
        raise FileRefused(Reason.UNSUPPORTED, "deflated Data Set is too long")
    if not inflater.eof:
        raise FileRefused(Reason.TRUNCATED, "deflated Data Set")
    return content, inflater.unused_data


def _normalise(read_at: ReadAt, start: int, size: int, encoding: Encoding, problem: str) -> bytes:
    """Let pydicom read what the walker could not, and write it in the encoding of the transfer syntax."""
    if size - start > MAX_IN_MEMORY:
        raise FileRefused(Reason.NOT_PARSABLE, problem)
    content = read_at(start, size - start)
    source, target = io.BytesIO(content), DicomBytesIO()
    target.is_implicit_VR, target.is_little_endian = not encoding.explicit, encoding.little
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", "End of file reached")  # it would drop the element and go on
            data_set = read_dataset(source, not encoding.explicit, encoding.little)
            if source.read().strip(b"\0"):  # it ends at a stray delimiter
                raise FileRefused(Reason.NOT_PARSABLE, problem)
            _check_and_convert(data_set, content)
            write_dataset(target, data_set)
    except FileRefused:
        raise
    except Exception as error:  # pydicom raises many kinds on bytes that make no sense
        raise FileRefused(Reason.NOT_PARSABLE, f"{problem}; pydicom: {type(error).__name__}") from None
    return target.getvalue()


def _check_and_convert(data_set: Dataset, content: bytes) -> None:
    """Refuse a Data Set of which pydicom read only a part, and let it read the items of sequences.

    It says nothing of the first itself, and would write the second as the bytes they were.

    Parameters
    ----------
    data_set : pydicom.Dataset
        What it read.
    content : bytes
        What it read that from: where an item starts is counted in these.
    """
    for tag in data_set.keys():  # noqa: SIM118 # iterating over the Data Set would convert its raw elements
        element, around = data_set.get_item(tag), content
        if isinstance(element, RawDataElement):
            around = element.value or b""
            if element.length not in (UNDEFINED, len(around)):
                raise FileRefused(Reason.TRUNCATED, tags.format_tag(tag))
            if (element.VR or implicit_vr(tag).decode()) != "SQ":
                continue
            element = data_set[tag] = _sequence(data_set, element, around)
        if element.VR == "SQ":
            for item in element.value:
                if around[item.seq_item_tell : item.seq_item_tell + 4] not in ITEM_TAGS:
                    raise FileRefused(Reason.NOT_PARSABLE, tags.format_tag(tag))
                _check_and_convert(item, around)


def _sequence(data_set: Dataset, raw: RawDataElement, content: bytes) -> DataElement:
    """Let pydicom read the items of a sequence of known length, and refuse one at whose end it does not arrive."""
    source, encodings = io.BytesIO(content), data_set.original_character_set
    items = read_sequence(source, raw.is_implicit_VR, raw.is_little_endian, len(content), encodings)
    if source.read():
        raise FileRefused(Reason.NOT_PARSABLE, tags.format_tag(raw.tag))
    return DataElement(raw.tag, "SQ", items)
