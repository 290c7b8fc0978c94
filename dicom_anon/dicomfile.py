"""DICOM files: recognise, read the header, write anew with pixel data spliced through (PS3.10 chapter 7).

Lives here: preamble, file meta, deflate, and the copy. Does not live here: what is decided about elements.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import itertools
import os
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from dicom_anon import pixels, tags
from dicom_anon._version import __version__
from dicom_anon.elements import (
    BULK_VRS,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_TAGS,
    LONG_VRS,
    PIXEL_DATA_GROUP,
    PIXEL_DATA_TAGS,
    SEQUENCE_END,
    SHORT_VRS,
    UNDEFINED,
    DataSetBytes,
    Encoding,
    FileRange,
    Incomplete,
    Malformed,
    Piece,
    Span,
    TooDeep,
    element_bytes,
    implicit_vr,
    walk,
)
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.pixels import PixelPlan

IMPLEMENTATION_CLASS_UID = "2.25.213918571069814463128871245338166297613"
IMPLEMENTATION_VERSION_NAME = f"DICOM-ANON {__version__}"

HEAD = 1 << 17
"""Bytes read at first: the header of nearly every object."""

BULK = 1 << 20
"""A top-level binary value of this length is left in the file, as pixel data always is."""

MAX_HEADER = 1 << 28
MAX_INFLATED = 1 << 27
"""Longest Data Set that is worked on in memory as a whole; a worker stays below 1 GiB with it."""

MAX_NORMALISED = 1 << 27
_COPY_CHUNK = 1 << 20

_TRANSFER_SYNTAX_UID = 0x00020010
_MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002
_MEDIA_STORAGE_SOP_INSTANCE_UID = 0x00020003
_DIRECTORY_RECORD_SEQUENCE = 0x00041220
_DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
_STANDARD_TRANSFER_SYNTAX = re.compile(r"1\.2\.840\.10008\.1\.2(\.[\d.]+)?")

ReadAt = Callable[[int, int], bytes]
"""Bytes from an offset on, fewer only at the end."""


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
            meta = _read_meta(head, pos)
        except Incomplete as error:
            raise FileRefused(Reason.NOT_PARSABLE, f"file meta: {error}") from None
        self.sop_class, self.sop_instance, syntax, begin = meta
        if self.sop_class == _DICOMDIR_CLASS:
            raise FileRefused(Reason.DICOMDIR)
        self.transfer_syntax = syntax or _guess_syntax(head, begin)
        self.encoding = _checked_encoding(self.transfer_syntax)
        self.buf, self.begin = head, begin
        self.content = b""
        self.notes: set[str] = set()
        if self.deflated:
            self._use(_inflate(self.read_at, begin, size))

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

    def walk_rest(self, pos: int, last: int) -> DataSetBytes:
        """Walk the Data Set from a position in `buf` on, behind an element of tag `last`.

        Raises
        ------
        FileRefused, Malformed, Incomplete
            It cannot be read.
        """
        return _walk_file(self.read_at, self.buf, self._size, self.encoding, pos, last)

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
            if self.notes or isinstance(error, TooDeep):
                raise FileRefused(Reason.NOT_PARSABLE, str(error)) from None
            self._use(_normalise(self.read_at, self.begin, self._size, self.transfer_syntax, str(error)))
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


def recognise(head: bytes) -> int:
    """Tell by content whether bytes start a DICOM file.

    Parameters
    ----------
    head : bytes
        First bytes of the file, at least 144 where it has them.

    Returns
    -------
    int
        Where the first element starts: 132 after preamble and ``DICM``, 0 without them, -1 where it is not
        DICOM.
    """
    if head[128:132] == b"DICM":
        return 132
    if _starts_data_set(head):
        return 0
    return -1


def _starts_data_set(head: bytes) -> bool:
    """Recognise a bare Data Set by its first element: group 2 or 8, and a VR or a length that makes sense."""
    if len(head) < 8:
        return False
    little = head[:2] in (b"\x02\x00", b"\x08\x00")
    if not little and head[:2] not in (b"\x00\x02", b"\x00\x08"):
        return False
    order = "<" if little else ">"
    group, element, vr, length = struct.unpack_from(f"{order}HH2sH", head)
    tag = group << 16 | element
    if vr.decode("latin-1") in SHORT_VRS | LONG_VRS:
        return length <= 64 or vr.decode("latin-1") in LONG_VRS
    if not little or (element != 0 and implicit_vr(tag) == b"UN"):
        return False
    return bool(struct.unpack_from("<L", head, 4)[0] <= 64)


def walk_bytes(content: bytes, encoding: Encoding) -> DataSetBytes:
    """Walk a Data Set that is in memory.

    Raises
    ------
    FileRefused
        It is not well formed.
    """
    try:
        return _walk_file(_memory_reader(content), content, len(content), encoding, 0, 0)
    except (Incomplete, Malformed) as error:
        raise FileRefused(Reason.NOT_PARSABLE, str(error)) from None


def encoding_of(transfer_syntax: str) -> Encoding:
    """Tell how the Data Set is written under a transfer syntax (PS3.5 section 10 and annex A)."""
    if transfer_syntax == ImplicitVRLittleEndian:
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if transfer_syntax == ExplicitVRBigEndian else EXPLICIT_LITTLE


@functools.lru_cache(maxsize=256)
def _checked_encoding(transfer_syntax: str) -> Encoding:
    if not _STANDARD_TRANSFER_SYNTAX.fullmatch(transfer_syntax):
        raise FileRefused(Reason.UNSUPPORTED, "private transfer syntax")
    return encoding_of(transfer_syntax)


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


def _read_meta(head: bytes, start: int) -> tuple[str, str, str, int]:
    """SOP Class, SOP Instance and transfer syntax of the File Meta Information, and where it ends.

    Most files differ from those before them in their SOP Instance UID only: what is around it is read once.
    """
    end = start + 12 + int.from_bytes(head[start + 8 : start + 12], "little")
    own = head.find(b"\x02\x00\x03\x00UI", start, end)
    if own >= 0 and head[start : start + 8] == _GROUP_LENGTH and head[end : end + 2] != b"\x02\x00":
        stop = own + 8 + int.from_bytes(head[own + 6 : own + 8], "little")
        known = _meta_around(head[start + 12 : own], head[stop:end]) if stop <= end <= len(head) else None
        if known is not None:
            return known[0], _uid_text(head[own + 8 : stop]), known[1], end
    meta, end = _meta_elements(head, start)
    wanted = (_MEDIA_STORAGE_SOP_CLASS_UID, _MEDIA_STORAGE_SOP_INSTANCE_UID, _TRANSFER_SYNTAX_UID)
    sop_class, sop_instance, syntax = (meta.get(tag, "") for tag in wanted)
    return sop_class, sop_instance, syntax, end


_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"


@functools.lru_cache(maxsize=1024)
def _meta_around(before: bytes, after: bytes) -> tuple[str, str] | None:
    """SOP Class and transfer syntax out of the elements before and behind the SOP Instance UID.

    `None` where one of the two is not made of whole elements, or has an instance of its own.
    """
    try:
        found = [_meta_elements(part, 0) for part in (before, after)]
    except Incomplete:
        return None
    meta = found[0][0] | found[1][0]
    if found[0][1] != len(before) or found[1][1] != len(after) or _MEDIA_STORAGE_SOP_INSTANCE_UID in meta:
        return None
    return meta.get(_MEDIA_STORAGE_SOP_CLASS_UID, ""), meta.get(_TRANSFER_SYNTAX_UID, "")


def _meta_elements(head: bytes, start: int) -> tuple[dict[int, str], int]:
    """UIDs of the File Meta Information, by its tags: its group length is often wrong."""
    meta: dict[int, str] = {}
    pos = start
    while head[pos : pos + 2] == b"\x02\x00":
        stop = pos + 8
        if head[pos + 4 : pos + 6] in (b"OB", b"UN", b"UT", b"OW", b"SQ"):
            stop = pos + 12 + int.from_bytes(head[pos + 8 : pos + 12], "little")
        else:
            stop += int.from_bytes(head[pos + 6 : pos + 8], "little")
        if stop > len(head):
            raise Incomplete(f"offset {pos}")
        tag = 0x00020000 | int.from_bytes(head[pos + 2 : pos + 4], "little")
        if head[pos + 4 : pos + 6] == b"UI":
            meta[tag] = _uid_text(head[pos + 8 : stop])
        pos = stop
    return meta, pos


def _uid_text(raw: bytes) -> str:
    return raw.decode("latin-1").strip("\0 ")


def _guess_syntax(head: bytes, begin: int) -> str:
    """Transfer syntax of a Data Set whose file meta names none, by its first element."""
    big = head[begin : begin + 2] in (b"\x00\x08", b"\x00\x02")
    explicit = head[begin + 4 : begin + 6].decode("latin-1") in SHORT_VRS | LONG_VRS
    if big:
        return str(ExplicitVRBigEndian)
    return "1.2.840.10008.1.2.1" if explicit else str(ImplicitVRLittleEndian)


def _walk_file(read_at: ReadAt, buf: bytes, size: int, encoding: Encoding, begin: int, last: int) -> DataSetBytes:
    """Walk a Data Set up to `size`, of which `buf` is read; long values stay where they are.

    The walk begins at `begin`, behind an element of tag `last`.
    """
    spans: list[Span] = []
    bulk: dict[int, FileRange] = {}
    pos, skipped = begin, 0  # what lies at p in `buf`, lies at p + `skipped` in the file
    if last == 0 and not encoding.explicit and buf[pos + 4 : pos + 6].decode("latin-1") in SHORT_VRS | LONG_VRS:
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
            if behind == size:
                break
            skipped = behind - pos
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
    return DataSetBytes(buf, spans, encoding, bulk, begin, pos)


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


def _inflate(read_at: ReadAt, start: int, size: int) -> bytes:
    """Inflate a deflated Data Set (PS3.5 section A.5), refusing one that grows out of bounds."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(read_at(start, size - start), MAX_INFLATED)
    except zlib.error:
        raise FileRefused(Reason.NOT_PARSABLE, "deflated Data Set") from None
    if inflater.unconsumed_tail:
        raise FileRefused(Reason.UNSUPPORTED, "deflated Data Set is too long")
    if not inflater.eof:
        raise FileRefused(Reason.TRUNCATED, "deflated Data Set")
    return content


def _normalise(read_at: ReadAt, start: int, size: int, syntax: str, problem: str) -> bytes:
    """Let pydicom read what the walker could not, and write it in the encoding of the transfer syntax."""
    if size - start > MAX_NORMALISED:
        raise FileRefused(Reason.NOT_PARSABLE, problem)
    encoding = encoding_of(syntax)
    source: Any = DicomBytesIO(read_at(start, size - start))  # pydicom types it as a plain file
    target = DicomBytesIO()
    for stream in (source, target):
        stream.is_implicit_VR, stream.is_little_endian = not encoding.explicit, encoding.little
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data_set = read_dataset(source, not encoding.explicit, encoding.little)
            _check_and_convert(data_set)
            write_dataset(target, data_set)
    except FileRefused:
        raise
    except Exception as error:  # pydicom raises many kinds on bytes that make no sense
        raise FileRefused(Reason.NOT_PARSABLE, f"{problem}; pydicom: {type(error).__name__}") from None
    return target.getvalue()


def _check_and_convert(data_set: Dataset) -> None:
    """Refuse a Data Set of which pydicom read a value only in part, and let it read the items of sequences.

    It says nothing of the first itself, and would write the second as the bytes they were.
    """
    for tag in data_set.keys():  # noqa: SIM118 # iterating over the Data Set would convert its raw elements
        element = data_set.get_item(tag)
        if isinstance(element, RawDataElement):
            if element.length != UNDEFINED and len(element.value or b"") < element.length:
                raise FileRefused(Reason.TRUNCATED, tags.format_tag(tag))
            if (element.VR or implicit_vr(tag).decode()) != "SQ":
                continue
            element = data_set[tag]
        if element.VR == "SQ":
            for item in element.value:
                _check_and_convert(item)


def write_meta(transfer_syntax: str, sop_class: str, sop_instance: str) -> bytes:
    """Write preamble, ``DICM`` and a File Meta Information that says nothing of where the object came from.

    Parameters
    ----------
    transfer_syntax, sop_class, sop_instance : str
        UIDs; an empty one of the last two is left out, as the object has none.
    """
    before, after = _constant_meta(transfer_syntax, sop_class)
    own = b""
    if sop_instance:
        raw = sop_instance.encode("ascii", "replace")
        own = element_bytes(_MEDIA_STORAGE_SOP_INSTANCE_UID, "UI", raw + b"\0" * (len(raw) % 2), EXPLICIT_LITTLE)
    length = len(before) + len(own) + len(after)
    return b"".join((_PREAMBLE, length.to_bytes(4, "little"), before, own, after))


_PREAMBLE = bytes(128) + b"DICM" + _GROUP_LENGTH


@functools.lru_cache(maxsize=256)
def _constant_meta(transfer_syntax: str, sop_class: str) -> tuple[bytes, bytes]:
    """Elements of the file meta before and after the SOP Instance UID."""

    def uid(tag: int, text: str) -> bytes:
        raw = text.encode("ascii", "replace")
        return element_bytes(tag, "UI", raw + b"\0" * (len(raw) % 2), EXPLICIT_LITTLE)

    version = IMPLEMENTATION_VERSION_NAME.encode()
    before = element_bytes(0x00020001, "OB", b"\0\1", EXPLICIT_LITTLE)
    if sop_class:
        before += uid(_MEDIA_STORAGE_SOP_CLASS_UID, sop_class)
    after = uid(_TRANSFER_SYNTAX_UID, transfer_syntax) + uid(0x00020012, IMPLEMENTATION_CLASS_UID)
    version += b" " * (len(version) % 2)
    return before, after + element_bytes(0x00020013, "SH", version, EXPLICIT_LITTLE)


class Planned(NamedTuple):
    """Pixel data that is not copied as it is."""

    content: FileRange
    plan: PixelPlan


OutputPiece: TypeAlias = "Piece | Planned"


def write(
    target: str | os.PathLike[str],
    source: BinaryIO,
    file: DicomFile,
    meta: bytes,
    pieces: Sequence[OutputPiece],
) -> int:
    """Write a file under a temporary name beside its own, then give it its name: atomic in one file system.

    Parameters
    ----------
    target : path
        Path of the new file; its folder exists.
    source : file object
        The file that was read, for the ranges that are copied from it.
    file : DicomFile
        What was read from it.
    meta : bytes
        Preamble and file meta.
    pieces : list of bytes, FileRange or Planned
        The new Data Set.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    OutputError
        It cannot be written; no partial file stays.
    """
    part = part_name(target)
    try:
        with io.FileIO(part, "w") as handle:
            written = _write_pieces(handle, source, file, meta, pieces)
        os.replace(part, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        if isinstance(error, OSError):
            raise OutputError(error.errno, "output") from error
        raise
    return written


class OutputError(OSError):
    """The output could not be written; the cause is the system's own error."""


PART_PREFIX = ".dicom-anon-"
_HERE = os.urandom(8).hex()
"""Tells the processes apart that work on one destination, also those of several machines."""


def part_name(target: str | os.PathLike[str]) -> str:
    """Temporary name of an output: hidden, in the same folder, and of no other process or thread.

    That it is the same for one output after the other makes the file system's work a little less.
    """
    own = f"{PART_PREFIX}{_HERE}-{os.getpid()}-{threading.get_ident()}.part"
    return os.path.join(os.path.dirname(target), own)


def _write_pieces(
    handle: io.FileIO, source: BinaryIO, file: DicomFile, meta: bytes, pieces: Sequence[OutputPiece]
) -> int:
    if file.deflated:
        whole = b"".join(_in_memory(file, piece) for piece in _planned(file, pieces))
        deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        deflated = deflater.compress(whole) + deflater.flush()
        return _write_all(handle, meta + deflated + b"\0" * (len(deflated) % 2))
    written, pending, size = 0, [meta], 0
    for piece in _planned(file, pieces):
        if type(piece) is FileRange and not file.holds(piece):
            written += _write_all(handle, b"".join(pending))
            pending, size = [], 0
            written += _copy_range(source, handle, piece)
            continue
        content = _in_memory(file, piece)
        pending.append(content)
        size += len(content)
        if size >= _COPY_CHUNK:
            written += _write_all(handle, b"".join(pending))
            pending, size = [], 0
    return written + _write_all(handle, b"".join(pending)) if pending else written


def _planned(file: DicomFile, output: Sequence[OutputPiece]) -> Iterable[Piece]:
    """Pieces in order, pixel data as its plan says."""
    return itertools.chain.from_iterable(
        pixels.pieces(piece.content, piece.plan, file.read_at, file.notes) if isinstance(piece, Planned) else (piece,)
        for piece in output
    )


def _in_memory(file: DicomFile, piece: Piece) -> bytes:
    return piece if isinstance(piece, bytes) else file.held(piece)


def _write_all(handle: BinaryIO, content: bytes | memoryview) -> int:
    written = handle.write(content)
    while written < len(content):
        written += handle.write(memoryview(content)[written:])
    return written


def _copy_range(source: BinaryIO, target: BinaryIO, piece: FileRange) -> int:
    """Copy bytes from file to file: in the kernel where it can, else through one buffer."""
    offset, left, _ = piece
    if hasattr(os, "copy_file_range"):
        while left:
            try:
                done = os.copy_file_range(source.fileno(), target.fileno(), left, offset)
            except OSError as error:
                if error.errno in _NO_KERNEL_COPY and left == piece.length:
                    break
                raise
            if done == 0:
                raise FileRefused(Reason.TRUNCATED, "shrank while it was read")
            offset += done
            left -= done
    if left:
        source.seek(offset)
        buffer = memoryview(bytearray(min(left, _COPY_CHUNK)))
        while left:
            done = source.readinto(buffer[: min(left, len(buffer))])  # type: ignore[attr-defined]
            if not done:
                raise FileRefused(Reason.TRUNCATED, "shrank while it was read")
            _write_all(target, buffer[:done])
            left -= done
    return piece.length


_NO_KERNEL_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM)
