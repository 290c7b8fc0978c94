"""Outputs: a new file is written from pieces under a temporary name, and is there whole or not at all.

Lives here: the copy from file to file, deflating, names of parts. Does not live here: what the pieces say.
"""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from dicom_anon.dicomfile import DicomFile
from dicom_anon.elements import FileRange, Piece
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.planned import OutputPiece, carried_out

_COPY_CHUNK = 1 << 20

PART_PREFIX = ".dicom-anon-"
"""What the name of every file that is still being written starts with."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)

_TIMES_BY_DESCRIPTOR = os.utime in os.supports_fd
"""Not on Windows, which sets the time of a file when it is closed."""

_HERE = os.urandom(8).hex()
"""Tells the processes apart that work on one destination, also those of several machines."""


def write(
    target: str | os.PathLike[str],
    source: BinaryIO,
    file: DicomFile,
    meta: bytes,
    pieces: Sequence[OutputPiece],
    when: float | None = None,
) -> None:
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
    when : float or None
        Time that the file bears; `None` for now.

    Raises
    ------
    OutputError
        It cannot be written; no partial file stays.
    OSError
        The source cannot be read; no partial file stays.
    """
    part = part_name(target)
    try:
        descriptor = os.open(part, _NEW_FILE, 0o666)
        try:
            _write_pieces(descriptor, source, file, meta, pieces)
            if when is not None and _TIMES_BY_DESCRIPTOR:
                os.utime(descriptor, (when, when))
        finally:
            os.close(descriptor)
        if when is not None and not _TIMES_BY_DESCRIPTOR:
            os.utime(part, (when, when))
        os.replace(part, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        if isinstance(error, _SourceError):
            raise error.error from None
        if isinstance(error, OSError):
            raise OutputError(error.errno, "output") from error
        raise


def make_folder(path: str) -> None:
    """Make a folder for outputs, with those above it.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise OutputError(error.errno, "folder") from error


def write_whole(target: Path, content: bytes, mode: int = 0o666) -> None:
    """Write what is in memory, in the same way.

    Parameters
    ----------
    target : Path
        Path of the file; its folder exists.
    content : bytes
        All of it.
    mode : int
        Who may read it, less what the system's mask takes away.

    Raises
    ------
    OSError
        It cannot be written; no partial file stays.
    """
    part = Path(part_name(target))
    try:
        with open(os.open(part, _NEW_FILE, mode), "wb") as file:
            file.write(content)
        os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


class OutputError(OSError):
    """The output could not be written; the cause is the system's own error."""


class _SourceError(Exception):
    """The source could not be read while the output was written."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error


def part_name(target: str | os.PathLike[str]) -> str:
    """Temporary name of an output: hidden, in the same folder, and of no other process or thread.

    That it is the same for one output after the other makes the file system's work a little less.
    """
    folder, separator, _ = os.fspath(target).rpartition(os.sep)
    return f"{folder}{separator}{PART_PREFIX}{_HERE}-{os.getpid()}-{threading.get_ident()}.part"


def _write_pieces(target: int, source: BinaryIO, file: DicomFile, meta: bytes, pieces: Sequence[OutputPiece]) -> None:
    if file.deflated:
        whole = b"".join(_in_memory(file, piece) for piece in _planned(file, pieces))
        deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        deflated = deflater.compress(whole) + deflater.flush()
        _write_all(target, meta + deflated + b"\0" * (len(deflated) % 2))
        return
    pending, size = [meta], 0
    for piece in _planned(file, pieces):
        if type(piece) is FileRange and not file.holds(piece):
            _write_all(target, b"".join(pending))
            pending, size = [], 0
            _copy_range(source, target, piece)
            continue
        content = _in_memory(file, piece)
        pending.append(content)
        size += len(content)
        if size >= _COPY_CHUNK:
            _write_all(target, b"".join(pending))
            pending, size = [], 0
    if pending:
        _write_all(target, b"".join(pending))


def _planned(file: DicomFile, output: Sequence[OutputPiece]) -> Iterator[Piece]:
    """Pieces in order; nothing but the source is read on the way."""
    try:
        yield from carried_out(file, output)
    except OSError as error:
        raise _SourceError(error) from None


def _in_memory(file: DicomFile, piece: Piece) -> bytes:
    return piece if isinstance(piece, bytes) else file.held(piece)


def _write_all(target: int, content: bytes | memoryview) -> None:
    written = os.write(target, content)
    while written < len(content):
        written += os.write(target, memoryview(content)[written:])


def _copy_range(source: BinaryIO, target: int, piece: FileRange) -> None:
    """Copy bytes from file to file: in the kernel as far as it does that, the rest through one buffer.

    Not every pair of file systems can be copied so, and they say it in many ways, some with EIO or with nothing done
    (CIFS). Where the fault is a real one, the buffer meets it again, and knows on whose side it is.
    """
    offset, left, _ = piece
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):
            while left and (done := os.copy_file_range(source.fileno(), target, left, offset)):
                offset += done
                left -= done
    if left:
        source.seek(offset)
        buffer = memoryview(bytearray(min(left, _COPY_CHUNK)))
        while left:
            try:
                done = source.readinto(buffer[: min(left, len(buffer))])  # type: ignore[attr-defined]
            except OSError as error:
                raise _SourceError(error) from None
            if not done:
                raise FileRefused(Reason.TRUNCATED, "shrank while it was read")
            _write_all(target, buffer[:done])
            left -= done
