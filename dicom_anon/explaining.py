"""Decisions in words: what a run does to every element of one file, before and after.

Lives here: the walk over a file that lists them. Does not live here: how they are taken, or printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dicom_anon import tags, values
from dicom_anon.actions import REMOVED, Action, Assigned, Keep, Outcome, Remove, Removed, Unchanged
from dicom_anon.elements import DataSetBytes, Span
from dicom_anon.engine import Engine, classified, is_always_dropped
from dicom_anon.rewriter import is_structural
from dicom_anon.scope import Element, FileScope, Level


class Decision(NamedTuple):
    """What is decided for one element.

    Parameters
    ----------
    depth : int
        How many sequences are around it.
    tag : int
        Its tag.
    vr : str
        Its VR.
    creator : str
        Private creator of its block, empty where it has none.
    action : Action
        What is done to it.
    outcome : Outcome
        What that comes to here.
    before, after : str or None
        Values; `None` for a sequence, and `after` also for an element that goes.
    inserted : bool
        Whether the file lacks it.
    unknown : bool
        Whether no row speaks of it, so that `remove_unknown_tags` decides.
    """

    depth: int
    tag: int
    vr: str
    creator: str
    action: Action
    outcome: Outcome
    before: str | None
    after: str | None
    inserted: bool
    unknown: bool


class Explainer(Engine):
    """An engine that also says what it would do."""

    def explain(self, data: DataSetBytes, transfer_syntax: str = "") -> Iterator[Decision]:
        """Say what is decided for every element, nested ones after their sequence, in tag order.

        The decisions are those of `run` with the same transfer syntax.

        Raises
        ------
        FileRefused
            It cannot be done safely.
        """
        scope = FileScope(data.buf, self._facts, self._pseudonyms)
        root = classified(scope, data, transfer_syntax)
        inserted = sorted(self._absent(root, data, 0), key=lambda row: row[0].tag)
        for span in data.spans:
            while inserted and inserted[0][0].tag < span[0]:
                yield self._decision(*inserted.pop(0)[:2], 0, True)
            yield from self._explain(root, span, None, 0)
        for element, action, _ in inserted:
            yield self._decision(element, action, 0, True)

    def _explain(self, level: Level, span: Span, inside: Action | None, depth: int) -> Iterator[Decision]:
        tag = span[0]
        action = self._table.get(tag) or self._resolve(level, tag)
        if inside is not None and (isinstance(inside, Remove) or not is_structural(tag)):
            action = inside.over(action, tag)
        decision = self._decision(Element(level, span), action, depth, False)
        items: list[tuple[Level, Action | None]] = []
        if isinstance(decision.outcome, Unchanged):
            children = [Level(level.file, item.spans, item.encoding, level, tag) for item in span[5] or ()]
            kept = isinstance(action, Keep)
            items = [(child, None if kept else action.enter(child) or inside) for child in children]
        if items and all(isinstance(within, Remove) for _, within in items):  # it goes with all that is in it
            decision = decision._replace(outcome=REMOVED)
        yield decision
        for child, within in items:
            for inner in child.spans:
                yield from self._explain(child, inner, within, depth + 1)

    def _decision(self, element: Element, action: Action, depth: int, inserted: bool) -> Decision:
        tag, outcome = element.tag, action.decide(element)
        before = None if element.vr == "SQ" or inserted else element.text
        after: str | None = before
        match outcome:
            case Unchanged():
                pass
            case Removed():
                after = None
            case Assigned(value):
                after = None if element.vr == "SQ" else _as_text(element, value)
        creator = element.level.private_creator(tag) if tags.is_private(tag) else ""
        unknown = action is self._unknown and not is_always_dropped(tag)
        return Decision(depth, tag, element.vr, creator, action, outcome, before, after, inserted, unknown)


def _as_text(element: Element, value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    return values.decode(value, element.vr, element.level.encodings, element.level.encoding.order)
