"""Pixel data among the pieces of an output: what has to change in it before it is written.

Lives here: the way from a rewritten Data Set to pieces that can be written, and a look into long values. Does not live
here: what hides in pixels, and the writing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol, TypeAlias

from dicom_anon import tags
from dicom_anon.elements import PIXEL_DATA_TAGS, Encoding, FileRange, Piece, ReadAt
from dicom_anon.engine import Rewritten
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.hidden import hides_elements
from dicom_anon.naming import Identifiers
from dicom_anon.pixelplan import NOT_CHECKED, PixelPlan, pieces
from dicom_anon.pixels import NATIVE, VIDEO, plan_pixels

_CHUNK, _OVERLAP = 1 << 20, 1 << 10
_CHANCE = 0.01
"""Compressed data holds any short text somewhere; one that is met more often than so by chance tells nothing."""


class Source(Protocol):
    """What a Data Set was read from, a file or bytes.

    Attributes
    ----------
    read_at : callable
        Reads bytes of it.
    transfer_syntax : str
        UID of how it is written.
    encoding : Encoding
        The same.
    notes : set of str
        Codes for the report.
    """

    @property
    def read_at(self) -> ReadAt: ...  # noqa: D102
    @property
    def transfer_syntax(self) -> str: ...  # noqa: D102
    @property
    def encoding(self) -> Encoding: ...  # noqa: D102
    @property
    def notes(self) -> set[str]: ...  # noqa: D102


class Planned(NamedTuple):
    """Pixel data that is not copied as it is."""

    content: FileRange
    plan: PixelPlan


OutputPiece: TypeAlias = "Piece | Planned"


def pixels_planned(source: Source, new: Rewritten) -> list[OutputPiece]:
    """Say of the pixel data among the pieces of an output what has to change in it.

    Parameters
    ----------
    source : Source
        What was read.
    new : Rewritten
        What becomes of it.

    Raises
    ------
    FileRefused
        Pixel data is not what the transfer syntax says, or of unknown structure and holds text of a header; another
        long value holds elements.
    OSError
        It cannot be read.
    """
    found: list[OutputPiece] = []
    for piece in new.pieces:
        if isinstance(piece, FileRange) and piece.tag in PIXEL_DATA_TAGS:
            plan = plan_pixels(new.root, source.transfer_syntax, piece, source.read_at, piece.tag)
            source.notes.update(plan.notes)
            if source.transfer_syntax not in NATIVE and not _ends_undefined(found):
                raise FileRefused(Reason.NOT_PARSABLE, "pixel data is not encapsulated (PS3.5 section A.4)")
            if NOT_CHECKED in plan.notes:
                _check_unknown(Planned(piece, plan), source, new.identifiers)
            if plan.length is not None:
                header = found[-1]
                assert isinstance(header, bytes)
                found[-1] = header[:-4] + struct.pack(f"{source.encoding.order}L", plan.length)
            if plan.changes:
                found.append(Planned(piece, plan))
                continue
        elif isinstance(piece, FileRange) and not tags.is_private(piece.tag):
            for chunk in _chunks(piece, source):  # what a private element holds in bytes is its maker's business
                if hides_elements(chunk, 0, len(chunk), b"OB", source.encoding):
                    raise FileRefused(Reason.NOT_PARSABLE, f"{tags.format_tag(piece.tag)} holds other elements")
        found.append(piece)
    return found


def carried_out(source: Source, output: Iterable[OutputPiece]) -> Iterator[Piece]:
    """Give the pieces in order, pixel data as its plan says; notes are made of what is found on the way."""
    for piece in output:
        if isinstance(piece, Planned):
            yield from pieces(piece.content, piece.plan, source.read_at, source.notes)
        else:
            yield piece


def _ends_undefined(pieces: list[OutputPiece]) -> bool:
    """Tell whether the header that was written last says that its value is of undefined length."""
    return bool(pieces) and isinstance(pieces[-1], bytes) and pieces[-1].endswith(b"\xff\xff\xff\xff")


def _check_unknown(planned: Planned, source: Source, identifiers: Identifiers) -> None:
    """Refuse pixel data of unknown structure in which what identifies the patient of its header stays, or elements do.

    Video is long: it is not searched for elements, which takes 13 ms per MB.
    """
    length, framed = planned.content.length, source.transfer_syntax not in VIDEO
    wanted = [text for text in map(str.encode, identifiers.inside) if length < _CHANCE * 128 ** len(text)]
    for left in pieces(planned.content, planned.plan, source.read_at, set()):
        for chunk in _chunks(left, source) if isinstance(left, FileRange) else ():
            low = chunk.lower()
            hides = framed and hides_elements(chunk, 0, len(chunk), b"OW", source.encoding)
            if hides or any(text in low for text in wanted):
                raise FileRefused(Reason.UNSUPPORTED, "pixel data of unknown structure holds text of a header")


def _chunks(content: FileRange, source: Source) -> Iterator[bytes]:
    """Read a long value in parts that overlap; where it shrank, which the copy finds, up to its new end."""
    pos, end = content.offset, content.offset + content.length
    while pos < end and (chunk := source.read_at(pos, min(_CHUNK + _OVERLAP, end - pos))):
        yield chunk
        pos += _CHUNK
