"""Headers that repeat: what was decided for the last file, reused where this file has the very same bytes.

Slices of a series differ in a handful of elements. A template holds the runs of elements that two files had in common,
with what became of them, and the tags of those that differed. It applies to a file only where every byte of every run
is there again, in the same order; the elements between and behind are of the same kinds, and are decided anew. It is
learnt only if no decision looked at an element that differs. Lives here: that bookkeeping. Does not live here: any
decision.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from dicom_anon.actions import Action
from dicom_anon.elements import DataSetBytes, Edit, Encoding, Malformed, Span, header_size, joined, walk_one
from dicom_anon.scope import EVERYTHING, FileScope, Level
from dicom_anon.tags import INSTANCE_UIDS, SPECIFIC_CHARACTER_SET


class Unwalked(Protocol):
    """A Data Set that is walked only where it has to be.

    Attributes
    ----------
    buf : bytes
        Its start.
    begin : int
        Where in them it begins.
    transfer_syntax : str
        UID of how it is written.
    """

    @property
    def buf(self) -> bytes: ...  # noqa: D102
    @property
    def begin(self) -> int: ...  # noqa: D102
    @property
    def transfer_syntax(self) -> str: ...  # noqa: D102

    def walk(self) -> DataSetBytes:
        """Walk all of it."""

    def walk_rest(self, pos: int, last: int) -> DataSetBytes:
        """Walk it from a position in `buf` on, behind an element of tag `last`."""


class Step(NamedTuple):
    """A run of elements that files have in common, and the element behind it, which differs.

    Parameters
    ----------
    before : bytes
        The run, and the header of that element up to the length.
    after : bytes
        What becomes of the run, and the new elements that stand before that element.
    tag : int
        Tag of that element.
    action : Action
        What is done to it.
    vr : bytes
        Its VR.
    known, width : int
        Bytes of its header before the length, and of the length. None of them is in `before` where the element has to
        be walked, since it may have items.
    filled : bool
        Whether it has items.
    """

    before: bytes
    after: bytes
    tag: int
    action: Action
    vr: bytes
    known: int
    width: int
    filled: bool


Kind: TypeAlias = "tuple[int, bytes, bool]"
"""Tag and VR of an element, and whether it has items: what may decide whether others look at it."""


def kind_of(span: Span) -> Kind:
    """Kind of an element."""
    return span[0], span[1], bool(span[5])


Fill: TypeAlias = Callable[[Span, Action, list[bytes]], None]
ActionFor: TypeAlias = Callable[[Span], Action]


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
    memo : dict of str or int to Any
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

    @functools.cached_property
    def structure(self) -> tuple[int, ...]:
        """Tags of its elements up to the first one whose value was left in the file."""
        spans, bulk = self.data.spans, self.data.bulk
        covered = next((at for at, span in enumerate(spans) if span[2] in bulk), len(spans)) if bulk else len(spans)
        return tuple([span[0] for span in spans[:covered]])


@dataclass(frozen=True)
class Template:
    """Runs and gaps, in the order of the file.

    Parameters
    ----------
    encoding : Encoding
        How the files are written.
    steps : tuple of Step
        The Data Set up to its last element that differs.
    before, after : bytes
        The last run, up to the first value left in the file or to the end, and what becomes of it.
    last : int
        Tag of the last element covered.
    same, gaps : frozenset of int
        Tags of the elements in runs, and of those between them.
    behind : frozenset of Kind
        The elements behind it that its source had. Where there is another, a decision may have looked for it.
    source : Learnt
        The file from which it was made.
    """

    encoding: Encoding
    steps: tuple[Step, ...]
    before: bytes
    after: bytes
    last: int
    same: frozenset[int]
    gaps: frozenset[int]
    behind: frozenset[Kind]
    source: Learnt

    def apply(self, buf: bytes, pos: int, fill: Fill) -> tuple[list[bytes], int] | None:
        """Lay the template over the start of a Data Set.

        Parameters
        ----------
        buf : bytes
            Holds the Data Set, or its start.
        pos : int
            Where it begins.
        fill : callable
            Works on the element of a gap by its action, and appends what becomes of it to a list.

        Returns
        -------
        (list of bytes, int) or None
            New bytes, and where the template ends; `None` where it does not fit.
        """
        size = len(buf)
        order = "little" if self.encoding.little else "big"
        pieces: list[bytes] = []
        for before, after, tag, action, vr, known, width, filled in self.steps:
            if not buf.startswith(before, pos):
                return None
            pieces.append(after)
            pos += len(before)
            if width:
                start = pos + width
                end = start + int.from_bytes(buf[pos:start], order)  # type: ignore[arg-type] # one of the two
                if end > size:
                    return None
                fill((tag, vr, pos - known, start, end, None), action, pieces)
                pos = end
            else:
                span = walk_one(buf, pos, self.encoding)
                if span is None or kind_of(span) != (tag, vr, filled):
                    return None
                fill(span, action, pieces)
                pos = span[4]
        if not buf.startswith(self.before, pos):
            return None
        pieces.append(self.after)
        return pieces, pos + len(self.before)


def learn(
    second: Learnt,
    first: Learnt | None,
    usual: Mapping[tuple[int, ...], frozenset[int]],
    action_for: ActionFor,
) -> Template | None:
    """Make a template of a file that was decided in full; `None` where it would teach nothing sound.

    What differs from file to file is seen from the file before it or, where that is of another series, known from files
    of the same elements. A wrong guess costs time only: every byte of every run is compared before it is used.

    Parameters
    ----------
    second : Learnt
        The file that the template reproduces.
    first : Learnt or None
        The file that was decided in full before it.
    usual : Mapping
        By the tags of a Data Set, those that differed in earlier templates.
    action_for : callable
        What was done to an element of the second file.
    """
    if not second.structure or EVERYTHING in second.reads:
        return None
    covered, last = len(second.structure), second.structure[-1]
    behind = second.data.spans[covered:]
    if any(span[0] in second.reads or span[0] in INSTANCE_UIDS for span in behind):
        return None
    if behind and last & 0x10000 and behind[0][0] >> 16 == last >> 16:
        return None  # whether its creator stays depends on the whole of a private block
    for gaps in (_differing(first, second), usual.get(second.structure)):
        if gaps is not None and not gaps & second.reads and SPECIFIC_CHARACTER_SET not in gaps:
            spans = second.data.spans[:covered]
            same = frozenset(second.structure) - gaps
            kinds = frozenset(map(kind_of, behind))
            steps, before, after = _steps(second, spans, gaps, action_for)
            return Template(second.data.encoding, steps, before, after, last, same, gaps, kinds, second)
    return None


def _differing(first: Learnt | None, second: Learnt) -> frozenset[int] | None:
    """Tags of the elements in which two files differ; `None` where they have not the same elements."""
    if (
        first is None
        or first.structure != second.structure
        or first.transfer_syntax != second.transfer_syntax
        or first.root.encodings != second.root.encodings
    ):
        return None
    one, two = first.data, second.data
    return frozenset(
        b[0]
        for a, b in zip(one.spans, two.spans[: len(second.structure)], strict=False)
        if one.buf[a[2] : a[4]] != two.buf[b[2] : b[4]]
    )


def _steps(
    source: Learnt, spans: list[Span], gaps: frozenset[int], action_for: ActionFor
) -> tuple[tuple[Step, ...], bytes, bytes]:
    """Cut a decided file into runs and gaps; what is inserted at a boundary belongs to what follows.

    Returns the steps, the last run and what becomes of it.
    """
    data, edits = source.data, source.edits
    pos, first = data.begin, 0
    steps = []
    for span in spans:
        tag, vr, start, _, end, items = span
        if tag not in gaps:
            continue
        last = first
        while last < len(edits) and (edits[last][0] < start or edits[last][1] == start):
            last += 1
        known, width = (0, 0) if items is not None or vr == b"UN" else header_size(vr, data.encoding)
        before, after = data.buf[pos : start + known], _after(data.buf, pos, start, edits[first:last])
        steps.append(Step(before, after, tag, action_for(span), vr, known, width, bool(items)))
        pos, first = end, last
        while first < len(edits) and edits[first][0] < end:
            first += 1
    end = spans[-1][4]
    inside = [edit for edit in edits[first:] if edit[0] < end]
    return tuple(steps), data.buf[pos:end], _after(data.buf, pos, end, inside)


def _after(buf: bytes, start: int, end: int, edits: list[Edit]) -> bytes:
    """What became of a part of a file; no value in it was left in the file."""
    return b"".join(joined(buf, start, end, edits))  # type: ignore[arg-type]


class RootOnDemand(Level):
    """Top level of a file to which a template is applied: what is the same is asked of the template's source.

    Parameters
    ----------
    file : FileScope
        The file.
    template : Template
        It fits the file so far.
    data : Unwalked
        Walks the file, if an element is asked for that was not met so far.

    Attributes
    ----------
    own : dict of int to Span
        Elements that were met so far, other than those that are the same.
    """

    __slots__ = ("_data", "_is_whole", "_template", "own")

    def __init__(self, file: FileScope, template: Template, data: Unwalked) -> None:
        super().__init__(file, [], template.encoding, None, 0)
        self._encodings = template.source.root.encodings
        self._template = template
        self._data = data
        self.own: dict[int, Span] = {}
        self._is_whole = False

    def add_rest(self, spans: list[Span]) -> None:
        """Take in what is behind the template."""
        self.own.update((span[0], span) for span in spans)
        self._is_whole = True

    def look(self, tag: int) -> Span | None:
        """Span of an element; after a walk, where it was not met so far and may be in the file."""
        found = self.own.get(tag)
        if found is not None:
            return found
        template = self._template
        if tag not in template.same and (self._is_whole or (tag <= template.last and tag not in template.gaps)):
            return None
        self.walked()
        return super().look(tag)

    def walked(self) -> list[Span]:
        """All elements of the file, after a walk.

        Raises
        ------
        Malformed
            The walk took other bytes than those to which the template was applied.
        """
        if not self.spans:
            buf = self._data.buf
            data = self._data.walk()
            if self._data.buf is not buf:
                raise Malformed("written anew")
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
