"""Mechanics of a rewrite: collects the edits of a Data Set at every depth, then writes it. No input or output.

Lives here: how decided elements become bytes. Does not live here: which action an element gets.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator

from dicom_anon import pixels, tags, values
from dicom_anon.actions import Action, Assigned, Keep, Remove, Safe, Unchanged
from dicom_anon.elements import (
    BULK_VRS,
    ITEM_TAGS,
    PIXEL_DATA_GROUP,
    DataSetBytes,
    Edit,
    Item,
    Malformed,
    Piece,
    Span,
    element_bytes,
    implicit_vr,
    joined,
    tag_of,
)
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.extents import COUNTED, reach_of, text_behind
from dicom_anon.hidden import SHORTEST, hides_elements
from dicom_anon.misfit import says_more, surplus_of
from dicom_anon.scope import Element, FileScope, Level, known_vr

KEEP = Keep()
REMOVE = Remove()
_KEPT = (Keep, Safe)


class Rewriter:
    """Mechanics of a rewrite; what is decided is the business of a subclass's `_resolve` or of its table.

    Parameters
    ----------
    table : dict of int to Action
        Actions by tag; tags that are not in it are resolved and, if they may be, added.
    inserts : tuple of (int, Action)
        Elements that are inserted at top level where they are absent, in tag order.
    """

    def __init__(self, table: dict[int, Action], inserts: tuple[tuple[int, Action], ...]) -> None:
        self._table = table
        self._inserts = inserts

    def _resolve(self, level: Level, tag: int) -> Action:
        """Find the action for a tag that is not in the table."""
        raise NotImplementedError

    def rewrite(self, data: DataSetBytes, scope: FileScope) -> list[Piece]:
        """Decide for every element, then write.

        Raises
        ------
        FileRefused
            A value cannot be written.
        NeedsWiderCharacterSet
            A value fits, but not in the file's character set.
        """
        scope.root = root = Level(scope, data.spans, data.encoding, None, 0)
        return joined(data.buf, data.begin, data.end, self._edits(root, data))

    def _edits(self, root: Level, data: DataSetBytes) -> list[Edit]:
        """All edits of a file, in order: what is decided, the values left in the file, what is inserted."""
        edits: list[Edit] = []
        self._edit(root, data.spans, None, edits)
        self._keep_bulk(root, data, edits)
        self._insert(root, data, 0, edits)
        edits.sort(key=by_place)
        return edits

    def _keep_bulk(self, root: Level, data: DataSetBytes, edits: list[Edit]) -> None:
        """Add the values that were left in the file, behind the headers of elements that stay as they are.

        A value that was left there cannot be looked into: an action that would have to is refused, and so is one that
        is longer than its cells.
        """
        if not data.bulk:
            return
        replaced = {start for start, _, _ in edits}
        for span in data.spans:
            content = data.bulk.get(span[2])
            if content is None or span[2] in replaced:
                continue
            action = self._table.get(span[0]) or self._resolve(root, span[0])
            if action.reads_value:
                raise FileRefused(Reason.VALUE_NOT_WRITABLE, f"{tags.format_tag(span[0])} is too long to be read")
            reach = reach_of(root, span[0])
            if 0 < reach < content.length - 1:
                raise FileRefused(Reason.MISPLACED, f"{tags.format_tag(span[0])} is longer than what it holds")
            edits.append((span[4], span[4], content))

    def _edit(self, level: Level, spans: list[Span], inside: Action | None, edits: list[Edit]) -> bool:
        """Collect the edits of elements of one Data Set; tell whether there were any."""
        known = self._table.get
        before = len(edits)
        for span in spans:
            tag = span[0]
            action = known(tag) or self._resolve(level, tag)
            if inside is not None and not is_structural(tag):
                action = inside.over(action, tag)
            new = self._new_bytes(level, span, action)
            if new is not None:
                edits.append((span[2], span[4], new))
            elif span[5]:
                kept = type(action) in _KEPT
                self._edit_sequence(level, span, KEEP if kept else action, None if kept else inside, edits)
        return len(edits) > before

    def _new_bytes(self, level: Level, span: Span, action: Action) -> bytes | None:
        """What stands in the place of an element: nothing where it goes, `None` where it stays or its items decide."""
        kind = type(action)
        if kind is Remove:
            return b""
        if span[4] - span[3] >= SHORTEST and span[5] is None:
            _check_value(level, span)
        if kind in _KEPT:
            return _kept(level, span)
        element = Element(level, span)
        outcome = action.decide(element)
        if isinstance(outcome, Assigned):
            return self._written(element, outcome.value)
        if isinstance(outcome, Unchanged):
            return _kept(level, span)
        return b""

    def _edit_sequence(
        self, level: Level, span: Span, action: Action, inside: Action | None, edits: list[Edit]
    ) -> None:
        """Work on the items of a sequence; one edit for the whole where anything changed in it.

        A sequence whose items all go, goes with them.
        """
        tag, _, start, value, end, items = span
        assert items is not None
        if tag == tags.ENCRYPTED_ATTRIBUTES_SEQUENCE and items:
            raise FileRefused(Reason.ENCRYPTED, tags.format_tag(tag))
        buf = level.file.buf
        inner: list[tuple[Item, list[Edit]]] = []
        changed = False
        for item in items:
            child = Level(level.file, item.spans, item.encoding, level, tag)
            within = inside if action is KEEP else action.enter(child) or inside
            if type(within) is Remove:
                changed = True
                continue
            found: list[Edit] = []
            changed |= self._edit(child, item.spans, within, found)
            inner.append((item, found))
        if not changed:
            return
        if not inner:
            edits.append((start, end, b""))
            return
        content = b"".join(_item(buf, item, found) for item, found in inner)
        undefined = buf[value - 4 : value] == b"\xff\xff\xff\xff"
        if undefined:
            new = buf[start:value] + content + buf[end - 8 : end]
        else:
            order = level.encoding.order
            new = buf[start : value - 4] + struct.pack(f"{order}L", len(content)) + content
        edits.append((start, end, new))

    def _written(self, element: Element, value: str | bytes) -> bytes:
        """Write an element with a new value, in the VR it has or, where that is wrong for it, in the dictionary's."""
        try:
            return self._written_in(element, element.vr, value)
        except FileRefused:
            known = known_vr(element.level, element.tag).decode()
            if known in ("UN", element.vr) or tags.is_private(element.tag):
                raise
            return self._written_in(element, known, value)

    def _written_in(self, element: Element, vr: str, value: str | bytes) -> bytes:
        level = element.level
        try:
            raw = value if isinstance(value, bytes) else values.encode(value, vr, level.encodings, level.encoding.order)
            return element_bytes(element.tag, vr, raw, level.encoding)
        except (values.ValueNotWritable, Malformed):
            raise FileRefused(Reason.VALUE_NOT_WRITABLE, f"{tags.format_tag(element.tag)} {vr}") from None

    def _absent(self, root: Level, data: DataSetBytes, after: int) -> Iterator[tuple[Element, Action, int]]:
        """Elements to insert among those of `data` and behind the tag `after`, with their action and their place."""
        spans = data.spans
        for tag, action in self._inserts:
            if tag <= after:
                continue
            at = bisect.bisect_left(spans, tag, key=tag_of)
            if at < len(spans) and spans[at][0] == tag:
                continue
            place = spans[at][2] if at < len(spans) else data.end
            yield Element(root, (tag, b"UN", place, place, place, None)), action, place  # of the dictionary's VR

    def _insert(self, root: Level, data: DataSetBytes, after: int, edits: list[Edit]) -> None:
        for element, action, place in self._absent(root, data, after):
            outcome = action.decide(element)
            if isinstance(outcome, Assigned):
                edits.append((place, place, self._written(element, outcome.value)))


def _check_value(level: Level, span: Span) -> None:
    """Refuse a value that holds whole elements, to which their own rules would not be applied.

    What a private element holds in bytes is its maker's business.
    """
    tag, vr, _, start, end, _ = span
    buf = level.file.buf
    if vr != b"UN" and buf.find(b"\0", start, end - 4) < 0:
        return  # every header holds a NUL
    if vr == b"UN":
        vr = implicit_vr(tag)
        if vr == b"SQ" or buf[start : start + 4] in ITEM_TAGS:
            raise FileRefused(Reason.NOT_PARSABLE, f"{tags.format_tag(tag)} is no well formed sequence")
    if tag & 0x10000 and vr in BULK_VRS:
        return
    if hides_elements(buf, start, end, vr, level.encoding):
        raise FileRefused(Reason.NOT_PARSABLE, f"{tags.format_tag(tag)} holds other elements")


def _kept(level: Level, span: Span) -> bytes | None:
    """What stands in the place of an element that stays: `None` for itself, else pixel data without what it hides.

    Raises
    ------
    FileRefused
        Its value says what the element has no place for.
    """
    tag, vr, _, start, end, items = span
    surplus = surplus_of(tag, vr) if items is None else None
    buf = level.file.buf
    says = surplus is not None and surplus.search(buf, start, end) and says_more(tag, vr, buf, start, end)
    if says or (tag in COUNTED and text_behind(level, span)):
        raise FileRefused(Reason.MISPLACED, f"{tags.format_tag(tag)} {vr.decode()}")
    if tag == tags.SPECIFIC_CHARACTER_SET:
        level.check_encodings()
    if tag >> 16 == PIXEL_DATA_GROUP and level.parent is not None and items is None:
        return pixels.of_item(level, span)
    return None


def is_structural(tag: int) -> bool:
    """Tell whether an element says how others are to be read, so that no action around it may touch it."""
    return tag == tags.SPECIFIC_CHARACTER_SET or tags.is_private_creator(tag)


def by_place(edit: Edit) -> tuple[int, int]:
    """Order edits as they are written."""
    return edit[:2]  # what is put in before an element comes before the edit of that element


def _item(buf: bytes, item: Item, edits: list[Edit]) -> bytes:
    if not edits:
        return buf[item.start : item.end]
    if item.delimited:
        content = _flat(buf, item.value, item.end - 8, edits)
        return buf[item.start : item.value] + content + buf[item.end - 8 : item.end]
    content = _flat(buf, item.value, item.end, edits)
    return buf[item.start : item.start + 4] + struct.pack(f"{item.encoding.order}L", len(content)) + content


def _flat(buf: bytes, pos: int, end: int, edits: list[Edit]) -> bytes:
    return b"".join(piece for piece in joined(buf, pos, end, edits) if isinstance(piece, bytes))
