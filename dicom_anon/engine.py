"""Assignment and walked bytes to new bytes: decides for every element at every depth, then writes. No I/O.

Lives here: the rewriting of Data Sets and the plan that workers get. Does not live here: files, precedence.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from dicom_anon import tags, values
from dicom_anon.actions import Action, Assigned, Compound, Keep, Remove, Removed, ShiftDate, Unchanged
from dicom_anon.assignment import Assignment, Row
from dicom_anon.crosswalk import Crossing, crossing_of
from dicom_anon.elements import (
    DataSetBytes,
    Edit,
    Incomplete,
    Malformed,
    Piece,
    Span,
    joined,
    tag_of,
)
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.identity import path_identifiers
from dicom_anon.naming import Identifiers, folder_token, safe_file_name
from dicom_anon.native import LAYOUT, has_offset_tables, layout_of
from dicom_anon.objects import DROP, PROCESS, QUARANTINE, ObjectFacts, classify
from dicom_anon.profile import SAFE_PRIVATE
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.rewriter import KEEP, REMOVE, Rewriter, by_place
from dicom_anon.safe_private import declared_action, declared_safe, declares_private
from dicom_anon.scope import OBJECT, Element, FileScope, Level, RunFacts
from dicom_anon.tags import Key, PrivateKey
from dicom_anon.template import Learnt, RootOnDemand, Template, Unwalked, kind_of, learn
from dicom_anon.transcode import to_utf8

_CACHED_TAGS = 20_000
_CACHED_STRUCTURES = 256
_IDENTIFIERS = "identifiers"


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a worker needs to know; the same for every file of a run.

    Parameters
    ----------
    assignment : Assignment
        What is done to each element.
    key : bytes
        Secret of the pseudonyms.
    process_date, process_time : str
        Start of the run, MMddyyyy and hhmmsszzz, for the macros.
    crosswalk : bool
        Whether every file tells its old and new identity.
    """

    assignment: Assignment
    key: bytes
    process_date: str = ""
    process_time: str = ""
    crosswalk: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, bytes, str, str, bool]:
        return self.assignment.digest, self.key, self.process_date, self.process_time, self.crosswalk

    @property
    def facts(self) -> RunFacts:
        """What macros may say of the run."""
        a = self.assignment
        return RunFacts(a.name, a.owner, a.prefix, self.process_date, self.process_time, a.date_shift, a.lookup)


class Rewritten(NamedTuple):
    """What becomes of one Data Set.

    Parameters
    ----------
    pieces : list of bytes or FileRange
        The new Data Set in order.
    sop_class, sop_instance, study, series : str
        UIDs of the new Data Set; empty where it has none.
    root : Level
        The old Data Set, to be looked at again.
    facts : ObjectFacts
        What kind of object it is.
    identifiers : Identifiers
        Of the old Data Set, with which path components are compared; its SOP Instance UID is not among them.
    notes : frozenset of str
        Codes for the report.
    crossing : Crossing or None
        Old and new identity, where the plan asks for it.
    """

    pieces: list[Piece]
    sop_class: str
    sop_instance: str
    study: str
    series: str
    root: Level
    facts: ObjectFacts
    identifiers: Identifiers
    notes: frozenset[str]
    crossing: Crossing | None = None


def classified(scope: FileScope, data: DataSetBytes, transfer_syntax: str) -> Level:
    """Top level of a file of which the kind is known."""
    scope.root = root = Level(scope, data.spans, data.encoding, None, 0)
    root.check_encodings()  # here, so that nonsense is refused in a file of plain ASCII too
    scope.memo[OBJECT] = classify(root, transfer_syntax)
    if data.bulk:
        scope.memo[LAYOUT] = layout_of(root)
    elif has_offset_tables(root):
        raise FileRefused(Reason.UNSUPPORTED, "offset tables without pixel data")
    if scope.facts.lookup is not None:
        scope.subject(root)  # whoever is not in the table is refused, whatever the rules say
    return root


def _tell_instance(root: Level, edits: list[Edit]) -> None:
    """Note the UIDs that the object has from now on, out of the very bytes that say so in it."""
    scope = root.file
    for tag in tags.INSTANCE_UIDS:
        span = root.look(tag)
        if span is not None and span[1] == b"UI":
            at = bisect.bisect_left(edits, (span[2], span[4]), key=by_place)
            new = edits[at][2] if at < len(edits) and edits[at][:2] == (span[2], span[4]) else None
            scope.memo[tag] = _uid_text(new[8:] if isinstance(new, bytes) else scope.buf[span[3] : span[4]])


def _uid_text(raw: bytes) -> str:
    return raw.decode("latin-1").strip("\0 ")


def is_always_dropped(tag: int) -> bool:
    """Tell whether an element would no longer be true: group lengths, signatures with parameters, padding.

    So would what belongs to a message or a file and is no part of a Data Set, for which no rule can be written.
    """
    return tag & 0xFFFF == 0 or tag >> 16 in (0x0000, 0x0002) or tag in (0x4FFE0001, 0xFFFAFFFA, 0xFFFCFFFC)


def _has_creator(key: Key) -> bool:
    """Tell a private element by its tag, of which rules may speak by its creator, too."""
    return isinstance(key, int) and tags.is_private(key) and not tags.is_private_creator(key)


class Engine(Rewriter):
    """Applies an assignment to one Data Set after the other; no result depends on the caches it keeps.

    Parameters
    ----------
    plan : Plan
        Assignment, key and run facts.
    """

    def __init__(self, plan: Plan) -> None:
        rows = plan.assignment.rows
        exact = {key: row.action for key, row in rows.items() if isinstance(key, int) and not _has_creator(key)}
        self._declares_safe = SAFE_PRIVATE in plan.assignment.profile_options
        self._declared_safe = declared_safe(plan.assignment.profile_options)
        patterns = tags.patterns_of(rows)
        self._patterns = [(pattern, rows[pattern].action) for pattern in patterns]
        self._private_patterns = [
            (pattern, rows[pattern]) for pattern in patterns if pattern.mask & 0x10000 == 0 or pattern.value & 0x10000
        ]
        self._private = {key: row for key, row in rows.items() if isinstance(key, PrivateKey) or _has_creator(key)}
        self._by_creator: dict[tuple[int, str], Row] = {}
        self._private_rules = bool(self._private or self._private_patterns or self._declares_safe) or any(
            tags.is_private(key) for key in exact
        )
        self._unknown: Action = REMOVE if plan.assignment.remove_unknown_tags else KEEP
        inserts = tuple((tag, action) for tag, action in exact.items() if action.inserts and not tags.is_private(tag))
        super().__init__(dict(exact), inserts)
        self._facts = plan.facts
        self._pseudonyms = Pseudonyms(plan.key)
        self._objects = plan.assignment.objects
        self._crosswalk = plan.crosswalk
        self._shifts = any(isinstance(row.action, ShiftDate) for row in rows.values())
        self._learnt: Learnt | None = None
        self._template: Template | None = None
        self._usual_gaps: dict[tuple[int, ...], frozenset[int]] = {}

    def run(self, data: DataSetBytes, transfer_syntax: str = "") -> Rewritten:
        """De-identify one Data Set.

        Parameters
        ----------
        data : DataSetBytes
            The Data Set without file meta.
        transfer_syntax : str
            UID of how it is written, if it is known.

        Raises
        ------
        FileRefused
            It cannot be done safely.
        """
        scope = FileScope(data.buf, self._facts, self._pseudonyms)
        try:
            root = classified(scope, data, transfer_syntax)
            self._check_kind(scope.memo[OBJECT])
            edits = self._edits(root, data)
        except values.NeedsWiderCharacterSet:
            data = to_utf8(data, self._facts, self._pseudonyms)
            scope = FileScope(data.buf, self._facts, self._pseudonyms)
            scope.notes.add("widened-to-utf8")
            root = classified(scope, data, transfer_syntax)
            try:
                edits = self._edits(root, data)
            except values.NeedsWiderCharacterSet:
                raise FileRefused(Reason.VALUE_NOT_WRITABLE, "character set") from None
            self._learnt = None
        else:
            self._learn(data, edits, scope, transfer_syntax)
        return self._rewritten(joined(data.buf, data.begin, data.end, edits), scope)

    def _edits(self, root: Level, data: DataSetBytes) -> list[Edit]:
        edits = super()._edits(root, data)
        _tell_instance(root, edits)
        return edits

    def _check_kind(self, facts: ObjectFacts) -> None:
        """Refuse kinds of objects that the rules do not want passed on."""
        policy = self._objects.get(facts.kind, PROCESS)
        if policy == DROP:
            raise FileRefused(Reason.DROPPED, facts.kind)
        if policy == QUARANTINE:
            raise FileRefused(Reason.UNSUPPORTED, facts.kind)

    def run_unwalked(self, source: Unwalked) -> Rewritten:
        """De-identify one Data Set of which only the start is at hand, reusing what an earlier file taught.

        The result is that of `run`.

        Raises
        ------
        FileRefused, Malformed, Incomplete
            It cannot be done safely, or read.
        """
        template = self._template
        if template is not None and template.source.transfer_syntax == source.transfer_syntax:
            quick = self._quick(template, source)
            if quick is not None:
                return quick
        return self.run(source.walk(), source.transfer_syntax)

    def _quick(self, template: Template, file: Unwalked) -> Rewritten | None:
        """De-identify by a template; `None` where it does not fit this file."""
        source, buf = template.source, file.buf
        scope = FileScope(buf, self._facts, self._pseudonyms, set(source.notes), set(), dict(source.memo))
        scope.root = root = RootOnDemand(scope, template, file)

        def fill(span: Span, action: Action, pieces: list[bytes]) -> None:
            tag, vr, start, value, end, items = span
            root.own[tag] = span
            if items is not None:
                scope.memo.pop(tag, None)
                edits: list[Edit] = []
                self._edit(root, [span], None, edits)
                pieces += joined(buf, start, end, edits)  # type: ignore[arg-type] # no value is left in the file
                return
            new = self._new_bytes(root, span, action)
            pieces.append(buf[start:end] if new is None else new)
            if tag in tags.INSTANCE_UIDS:
                if vr == b"UI":
                    scope.memo[tag] = _uid_text(buf[value:end] if new is None else new[8:])
                else:
                    del scope.memo[tag]

        try:
            applied = template.apply(buf, file.begin, fill)
            if applied is None:
                return None
            pieces: list[Piece] = [b"".join(applied[0])]
            data = file.walk_rest(applied[1], template.last)
            scope.buf = data.buf
            edits: list[Edit] = []
            root.add_rest(data.spans)
            if data.spans:
                if not template.behind.issuperset(map(kind_of, data.spans)):
                    return None
                self._edit(root, data.spans, None, edits)
                self._keep_bulk(root, data, edits)
            self._insert(root, data, template.last, edits)
        except (values.NeedsWiderCharacterSet, Malformed, Incomplete, FileRefused):
            return None  # what a file is refused for, is what the whole of it is refused for
        edits.sort(key=by_place)
        pieces += joined(data.buf, data.begin, data.end, edits)
        return self._rewritten(pieces, scope)

    def _learn(self, data: DataSetBytes, edits: list[Edit], scope: FileScope, syntax: str) -> None:
        """Keep what was decided for a file; with the one before it, it may make a template."""
        self._rewritten([], scope)
        last, self._learnt = (
            self._learnt,
            Learnt(data, edits, frozenset(scope.reads), scope.memo, frozenset(scope.notes), scope.root, syntax),
        )
        root = scope.root
        self._template = learn(self._learnt, last, self._usual_gaps, lambda span: self._settled(root, span))
        if self._template is not None:
            if scope.notes:
                self._template = replace(self._template, source=self._without_gaps(self._template))
            if len(self._usual_gaps) >= _CACHED_STRUCTURES:
                self._usual_gaps.clear()
            self._usual_gaps[self._learnt.structure] = self._template.gaps

    def _without_gaps(self, template: Template) -> Learnt:
        """What the source of a template teaches by the elements that are the same; others may have left notes too."""
        source = template.source
        scope = FileScope(source.data.buf, self._facts, self._pseudonyms)
        root = classified(scope, source.data, source.transfer_syntax)
        self._edit(root, [span for span in source.data.spans if span[0] in template.same], None, [])
        self._insert(root, source.data, 0, [])
        self._rewritten([], scope)
        return replace(source, memo=scope.memo, notes=frozenset(scope.notes), root=root)

    def _settled(self, root: Level, span: Span) -> Action:
        """What was done to a top-level element, and is to all of its tag in files of one template."""
        action = self._table.get(span[0]) or self._resolve(root, span[0])
        return action.choose(Element(root, span)) if isinstance(action, Compound) and span[5] is None else action

    def _rewritten(self, pieces: list[Piece], scope: FileScope) -> Rewritten:
        memo, root = scope.memo, scope.root
        for tag in tags.INSTANCE_UIDS:
            if tag not in memo:
                memo[tag] = self._new_text(root, root.look(tag), tag)
        keeps_class = isinstance(self._table.get(tags.SOP_CLASS_UID) or self._resolve(root, tags.SOP_CLASS_UID), Keep)
        if _IDENTIFIERS not in memo:
            memo[_IDENTIFIERS] = self._identifiers(root)
        return Rewritten(
            pieces,
            scope.sop_class.strip("\0") if keeps_class else self.new_text(root, tags.SOP_CLASS_UID),
            memo[tags.SOP_INSTANCE_UID],
            memo[tags.STUDY_INSTANCE_UID],
            memo[tags.SERIES_INSTANCE_UID],
            root,
            memo[OBJECT],
            memo[_IDENTIFIERS],
            frozenset(scope.notes),
            crossing_of(scope, self._new_top_text(scope), self._shifts) if self._crosswalk else None,
        )

    def _identifiers(self, root: Level) -> Identifiers:
        return path_identifiers(root, self._new_text(root, root.find(tags.STUDY_DATE), tags.STUDY_DATE))

    def _new_top_text(self, scope: FileScope) -> Callable[[int], str]:
        return lambda tag: self._new_text(scope.root, scope.root.find(tag), tag)

    def identifiers(self, data: DataSetBytes) -> Identifiers:
        """Identifiers of a file that is not de-identified."""
        scope = FileScope(data.buf, self._facts, self._pseudonyms)
        scope.root = root = Level(scope, data.spans, data.encoding, None, 0)
        try:
            return self._identifiers(root)
        except FileRefused:  # the rules give it no other day, such as that of a patient who is not in the lookup table
            return path_identifiers(root, "")

    def safe_file_name(self, name: str, identifiers: Identifiers) -> str:
        """Name of an output whose source may hold an identifier in its own."""
        return safe_file_name(name, identifiers, self._pseudonyms)

    def code(self, text: str) -> str:
        """Keyed stand-in for a path."""
        return folder_token(text, self._pseudonyms)

    def new_uid(self, uid: str) -> str:
        """Keyed UID of an instance that only its file meta names."""
        return self._pseudonyms.instance_uid(uid)

    def new_text(self, root: Level, tag: int) -> str:
        """Text that a top-level element has afterwards, of a file that is decided; empty where it has none."""
        if isinstance(root, RootOnDemand):
            root = root.holder(tag)
        return self._new_text(root, root.look(tag), tag)

    def _new_text(self, root: Level, span: Span | None, tag: int) -> str:
        """Text that a top-level element has afterwards."""
        action = self._table.get(tag) or self._resolve(root, tag)
        if span is None and not action.inserts:
            return ""
        element = Element(root, span or (tag, b"UN", 0, 0, 0, None))
        match action.decide(element):
            case Unchanged():
                return element.text.strip("\0 ")
            case Removed():
                return ""
            case Assigned(value):
                return (value if isinstance(value, str) else value.decode("ascii", "replace")).strip("\0 ")

    def _resolve(self, level: Level, tag: int) -> Action:
        if is_always_dropped(tag):
            return REMOVE
        if tags.is_private(tag) and self._private_rules:
            return self._resolve_private(level, tag)
        action = next((action for pattern, action in self._patterns if pattern.matches(tag)), self._unknown)
        if len(self._table) < _CACHED_TAGS:
            self._table[tag] = action
        return action

    def _resolve_private(self, level: Level, tag: int) -> Action:
        if tags.is_private_creator(tag):
            row = self._by_pattern(tag)
            return KEEP if self._block_has_kept(level, tag) else row.action if row else self._unknown
        creator = level.private_creator(tag)
        row = self._by_creator.get((tag, creator))
        if row is None:
            row = self._strongest(tag, creator)
            if len(self._by_creator) < _CACHED_TAGS:
                self._by_creator[tag, creator] = row
        if self._declares_safe and creator and row.rank == 0 and declares_private(level.file):
            key = PrivateKey(tag >> 16, tag & 0xFF, creator)
            return declared_action(level.file, key, self._declared_safe) or row.action
        return row.action

    def _strongest(self, tag: int, creator: str) -> Row:
        """Rule for a private element: that of the strongest source and, in one source, the narrowest."""
        own = self._private.get(PrivateKey(tag >> 16, tag & 0xFF, creator)) if creator else None
        found = (self._private.get(tag), own, self._by_pattern(tag))
        return max(filter(None, found), key=lambda row: row.rank, default=Row(tag, self._unknown, ""))

    def _by_pattern(self, tag: int) -> Row | None:
        return next((row for pattern, row in self._private_patterns if pattern.matches(tag)), None)

    def _block_has_kept(self, level: Level, creator_tag: int) -> bool:
        """Tell whether an element of the block stays, so that its creator must (PS3.15 section E.3.10)."""
        first = creator_tag & 0xFFFF0000 | (creator_tag & 0xFF) << 8
        spans = level.walked()
        for at in range(bisect.bisect_left(spans, first, key=tag_of), len(spans)):  # a slice from far on costs as much
            tag = spans[at][0]
            if tag > first | 0xFF:
                return False
            if not isinstance(self._table.get(tag) or self._resolve(level, tag), Remove):
                return True
        return False
