"""What has to change in a value of pixel data, and the value afterwards, piece by piece.

Lives here: the plan, its notes, and carrying it out. Does not live here: how it is made, and the writing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dicom_anon.elements import FileRange, ReadAt
from dicom_anon.errors import FileRefused, Reason

UNUSED_BITS = "unused-bits-cleared"
"""Note: bits outside Bits Stored held something."""
NOT_CHECKED = "pixel-stream-not-checked"
"""Note: the pixel data, or a frame of it, is of a structure that is not known here, or may hold overlays; it stays."""
BLANKED = "pixel-comments-blanked"
"""Note: comments, application data, bytes behind a codestream or a senseless Basic Offset Table went."""
TRIMMED = "pixel-surplus-trimmed"
"""Note: native pixel data was longer than rows, columns and frames account for."""

CHUNK = 1 << 16
"""Bytes that are masked at a time: they stay in the processor's cache."""
_NO_TABLE = b"\xfe\xff\x00\xe0\0\0\0\0"


@dataclass(frozen=True)
class PixelPlan:
    """What has to change in one value of pixel data.

    Parameters
    ----------
    patches : tuple of (int, bytes)
        Bytes to overwrite, in order and not overlapping; offsets are those of the file.
    length : int or None
        Length in bytes to which the value is cut; `None` where it keeps its own. The length field of the
        element, the four bytes before the value, has to say the same.
    transform : callable or None
        Turns a run of whole cells into the run to write; gives the very same object back where nothing
        changes. The value goes through it from its start on, in runs of a multiple of eight bytes but the
        last.
    notes : frozenset of str
        Codes for the report.
    table : int
        Length in bytes of a Basic Offset Table that is written empty: it points to no fragments.
    """

    patches: tuple[tuple[int, bytes], ...] = ()
    length: int | None = None
    transform: Callable[[bytes], bytes] | None = None
    notes: frozenset[str] = frozenset()
    table: int = 0

    @property
    def changes(self) -> bool:
        """Whether a plain copy would not do."""
        return bool(self.patches or self.table) or self.length is not None or self.transform is not None


UNSURE = PixelPlan(notes=frozenset((NOT_CHECKED,)))


def pieces(content: FileRange, plan: PixelPlan, read_at: ReadAt, notes: set[str]) -> Iterator[bytes | FileRange]:
    """Give the new value in order: ranges to copy from the file, and bytes to write.

    Parameters
    ----------
    content, plan, read_at
        As given to and got from `plan_pixels`.
    notes : set of str
        Gets `UNUSED_BITS` where the transform changed a cell. The plan's own notes are not added.

    Yields
    ------
    bytes or FileRange
        Bytes are short (1 MB at most).

    Raises
    ------
    FileRefused
        The file became shorter while it was read.
    """
    skip = len(_NO_TABLE) + plan.table if plan.table else 0
    if skip:
        yield _NO_TABLE
    start = content.offset + skip
    end = content.offset + (content.length if plan.length is None else plan.length)
    if plan.transform is None:
        for offset, patch in plan.patches:
            if offset > start:
                yield FileRange(start, offset - start)
            yield patch
            start = offset + len(patch)
        if end > start:
            yield FileRange(start, end - start)
        return
    while start < end:
        chunk = read_at(start, min(CHUNK, end - start))
        if len(chunk) < min(CHUNK, end - start):
            raise FileRefused(Reason.TRUNCATED, "shrank while it was read")
        cleared = plan.transform(chunk)
        if cleared is not chunk:
            notes.add(UNUSED_BITS)
        yield _patched(cleared, start, plan)
        start += len(chunk)


def _patched(chunk: bytes, start: int, plan: PixelPlan) -> bytes:
    """Apply the patches to the bytes from `start` on; with a transform there is at most one, of one byte."""
    for offset, patch in plan.patches:
        if start <= offset < start + len(chunk):
            chunk = chunk[: offset - start] + patch + chunk[offset - start + len(patch) :]
    return chunk
