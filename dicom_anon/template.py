"""Headers that repeat: what was decided for the last file, reused where this file has the very same bytes.

Slices of a series differ in a handful of elements. A template holds the runs of elements that two files had in common,
with what became of them, and the tags of those that differed. It applies to a file only where every byte of every run
is there again, in the same order; the elements between are decided anew. It is learnt only if no decision looked at an
element that differs. Lives here: that bookkeeping. Does not live here: any decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from dicom_anon.elements import DataSetBytes, Encoding, FileRange, Span, walk_one
from dicom_anon.scope import EVERYTHING, FileScope, Level

WalkFrom: TypeAlias = Callable[[int, int], DataSetBytes]
Edit: TypeAlias = "tuple[int, int, bytes | FileRange]"


class Run(NamedTuple):
    """Elements that two files had in common, and what became of them; new elements around them included."""

    before: bytes
    after: bytes


class Gap(NamedTuple):
    """An element that differs from file to file, and the new elements that stand before it."""

    tag: int
    inserted: bytes


@dataclass(frozen=True)
class Learnt:
    """One file as it was decided in full.

    Parameters
    ----------
    data : DataSetBytes
        Its Data Set.
    edits : list of Edit
        What was done, in order.
    reads : frozenset of int
        Top-level tags on which decisions depended.
    memo : dict of str to Any
        What was found out of the file (patient, study), which holds while what was read does.
    notes : frozenset of str
        Notes made.
    root : Level
        Its top level.
    transfer_syntax : str
        UID of how it is written.
    """

    data: DataSetBytes
    edits: list[Edit]
    reads: frozenset[int]
    memo: dict[str | int, Any]
    notes: frozenset[str]
    root: Level
    transfer_syntax: str

    def elements(self) -> Iterator[Span]:
        """Elements up to the first one whose value was left in the file."""
        for span in self.data.spans:
            if span[2] in self.data.bulk:
                return
            yield span


@dataclass(frozen=True)
class Template:
    """Runs and gaps, in the order of the file.

    Parameters
    ----------
    encoding : Encoding
        How the files are written.
    parts : tuple of Run or Gap
        The Data Set up to its first value left in the file, or to its end.
    last : int
        Tag of the last element covered.
    same : frozenset of int
        Tags of the elements in runs.
    source : Learnt
        The file from which it was made.
    """

    encoding: Encoding
    parts: tuple[Run | Gap, ...]
    last: int
    same: frozenset[int]
    source: Learnt

    def apply(self, buf: bytes, fill: Callable[[Span, list[bytes]], None]) -> tuple[list[bytes], int] | None:
        """Lay the template over the start of a Data Set.

        Parameters
        ----------
        buf : bytes
            The Data Set, or its start.
        fill : callable
            Decides for the element of a gap and appends what becomes of it to a list.

        Returns
        -------
        (list of bytes, int) or None
            New bytes, and where the template ends; `None` where it does not fit.
        """
        pos = 0
        pieces: list[bytes] = []
        for part in self.parts:
            if type(part) is Run:
                before, after = part
                if not buf.startswith(before, pos):
                    return None
                pos += len(before)
                pieces.append(after)
            else:
                tag, inserted = part
                span = walk_one(buf, pos, self.encoding)
                if span is None or span[0] != tag:
                    return None
                if inserted:
                    pieces.append(inserted)
                fill(span, pieces)
                pos = span[4]
        return pieces, pos


def learn(first: Learnt, second: Learnt) -> Template | None:
    """Make a template of two files that were decided in full; `None` where they are not alike enough.

    Parameters
    ----------
    first, second : Learnt
        The template reproduces what became of the second.
    """
    one, two = list(first.elements()), list(second.elements())
    if first.transfer_syntax != second.transfer_syntax or len(one) != len(two) or not two:
        return None
    one_buf, two_buf = first.data.buf, second.data.buf
    gaps: set[int] = set()
    for a, b in zip(one, two, strict=True):
        if a[0] != b[0]:
            return None
        if one_buf[a[2] : a[4]] != two_buf[b[2] : b[4]]:
            gaps.add(b[0])
    behind = {span[0] for span in second.data.spans[len(two) :]}
    if (
        EVERYTHING in second.reads
        or behind & second.reads
        or gaps & second.reads
        or first.root.encodings != second.root.encodings
    ):
        return None
    same = frozenset(span[0] for span in two if span[0] not in gaps)
    return Template(second.data.encoding, tuple(_parts(second, two, gaps)), two[-1][0], same, second)


def _parts(source: Learnt, spans: list[Span], gaps: set[int]) -> Iterator[Run | Gap]:
    """Cut a decided file into runs and gaps; what is inserted at a boundary belongs to what follows."""
    buf, edits = source.data.buf, iter(source.edits)
    edit = next(edits, None)
    before: list[bytes] = []
    after: list[bytes] = []
    for tag, _, start, _, end, _ in spans:
        inserted: list[bytes] = []
        changed: list[Edit] = []
        while edit is not None and (edit[0] < end or start == end == edit[0]):
            if edit[0] == edit[1] == start and isinstance(edit[2], bytes):
                inserted.append(edit[2])
            else:
                changed.append(edit)
            edit = next(edits, None)
        if tag in gaps:
            if before:
                yield Run(b"".join(before), b"".join(after))
                before, after = [], []
            yield Gap(tag, b"".join(inserted))
            continue
        before.append(buf[start:end])
        after += inserted
        pos = start
        for low, high, piece in changed:
            assert isinstance(piece, bytes)
            after += (buf[pos:low], piece)
            pos = high
        after.append(buf[pos:end])
    if before:
        yield Run(b"".join(before), b"".join(after))


class RootOnDemand(Level):
    """Top level of a file to which a template is applied: what is the same is asked of the template's source.

    Parameters
    ----------
    file : FileScope
        The file.
    template : Template
        It fits the file so far.
    walk_from : callable
        Walks the file, if the place of an element is asked for that is in no gap.
    """

    __slots__ = ("_own", "_template", "_walk_from")

    def __init__(self, file: FileScope, template: Template, walk_from: WalkFrom) -> None:
        super().__init__(file, [], template.encoding, None, 0)
        self._encodings = template.source.root.encodings
        self._template = template
        self._walk_from = walk_from
        self._own: dict[int, Span] = {}

    def add(self, span: Span) -> None:
        """Take in an element of the file's own."""
        self._own[span[0]] = span

    def look(self, tag: int) -> Span | None:
        """Span of an element, after a walk if it is none of the file's own."""
        found = self._own.get(tag)
        if found is not None or tag not in self._template.same:
            return found
        self.walked()
        return super().look(tag)

    def walked(self) -> list[Span]:
        """All elements of the file, after a walk."""
        if not self.spans:
            data = self._walk_from(0, 0)
            self.file.buf, self.spans = data.buf, data.spans
        return self.spans

    def holder(self, tag: int) -> Level:
        """Top level that has an element as this file has it: the template's source, if that will do."""
        return self._template.source.root if tag in self._template.same else self

    def raw(self, tag: int) -> bytes | None:
        """Encoded value of an element, `None` where it is absent."""
        return self._template.source.root.raw(tag) if tag in self._template.same else super().raw(tag)

    def text(self, tag: int) -> str | None:
        """Decoded value of an element, `None` where it is absent."""
        return self._template.source.root.text(tag) if tag in self._template.same else super().text(tag)
