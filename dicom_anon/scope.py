"""What a rule may ask of the file it works on: the element, its Data Set, the patient, the study. Originals only.

Lives here: views on walked bytes, decoded on demand. Does not live here: decisions, or any change to the
bytes.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from dicom_anon import tags, values
from dicom_anon.elements import Encoding, Span, implicit_vr
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.lookup import Lookup, Subject
from dicom_anon.pseudonyms import Patient, Pseudonyms, canonical_name


@dataclass(frozen=True)
class DateShift:
    """By how many days the dates of a patient move.

    Parameters
    ----------
    min_days, max_days : int
        Range from which the key chooses a number of days to go back, the same for all files of the patient.
    days : int or None
        Days to add for every patient instead; negative goes back.
    """

    min_days: int = 1
    max_days: int = 3650
    days: int | None = None


T = TypeVar("T")

DEFAULT_SHIFT: Final = DateShift()


@dataclass(frozen=True)
class RunFacts:
    """What is the same for all files of a run.

    Parameters
    ----------
    project_name, project_owner, project_prefix : str
        From the project section, else general, else mercure's own defaults.
    process_date, process_time : str
        Start of the run as MMddyyyy and hhmmsszzz.
    date_shift : DateShift
        For `shiftdate`.
    lookup : Lookup or None
        Table of the patients that may be de-identified, with what is known of their pseudonyms.
    """

    project_name: str = "Undefined"
    project_owner: str = "Unknown"
    project_prefix: str = ""
    process_date: str = ""
    process_time: str = ""
    date_shift: DateShift = DEFAULT_SHIFT
    lookup: Lookup | None = None


OBJECT = "object"
"""In `FileScope.memo`: what kind of object the file is (`objects.ObjectFacts`)."""

PIXEL_REPRESENTATION = 0x00280103

EVERYTHING = -1
"""In place of the tags that were read: all of them, nested ones included."""


class Level:
    """One Data Set of a file: the top level, or one item of a sequence.

    Parameters
    ----------
    file : FileScope
        The file it belongs to.
    spans : list of Span
        Its elements.
    encoding : Encoding
        How it is written.
    parent : Level or None
        The Data Set that holds its sequence.
    sequence : int
        Tag of that sequence, 0 at the top.
    """

    __slots__ = ("__weakref__", "_creators", "_encodings", "_index", "encoding", "file", "parent", "sequence", "spans")

    def __init__(
        self, file: FileScope, spans: list[Span], encoding: Encoding, parent: Level | None, sequence: int
    ) -> None:
        self.file = file
        self.spans = spans
        self.encoding = encoding
        self.parent = parent
        self.sequence = sequence
        self._index: dict[int, Span] | None = None
        self._encodings: values.Encodings | None = None
        self._creators: dict[int, str] | None = None

    @property
    def path(self) -> tuple[int, ...]:
        """Tags of the sequences around this Data Set, outermost first."""
        return () if self.parent is None else (*self.parent.path, self.sequence)

    @property
    def encodings(self) -> values.Encodings:
        """Codecs of its text: its own (0008,0005), else that of the Data Set around it (PS3.3 section C.12.1.1.2)."""
        if self._encodings is None:
            span = self.find(tags.SPECIFIC_CHARACTER_SET)
            if span is not None:
                if span[1] not in (b"CS", b"UN"):
                    raise FileRefused(Reason.NOT_PARSABLE, "(0008,0005) of another VR")
                raw = self.file.buf[span[3] : span[4]]
                self._encodings = values.encodings_of(values.decode(raw, "CS", ()))
            elif self.parent is not None:
                self._encodings = self.parent.encodings
            else:
                self._encodings = values.DEFAULT_ENCODINGS
        return self._encodings

    def check_encodings(self) -> None:
        """Find the codecs, for the sake of the refusal where (0008,0005) makes no sense.

        Raises
        ------
        FileRefused
            It is no character set.
        """
        _ = self.encodings

    def find(self, tag: int) -> Span | None:
        """Span of an element of this Data Set, of which the decision at hand depends from now on."""
        if self.parent is None:
            self.file.reads.add(tag)
        return self.look(tag)

    def look(self, tag: int) -> Span | None:
        """Span of an element of this Data Set, for other ends than a decision."""
        if self._index is None:
            self._index = {span[0]: span for span in self.spans}
        return self._index.get(tag)

    def has_any(self, wanted: frozenset[int]) -> bool:
        """Tell whether this Data Set has one of some elements, on which the decision at hand depends from now on."""
        if self.parent is None:
            self.file.reads |= wanted
        if self._index is None:
            self._index = {span[0]: span for span in self.walked()}
        return not wanted.isdisjoint(self._index)

    def items(self, tag: int) -> list[Level]:
        """Items of a sequence of this Data Set; none where it is absent or no sequence."""
        span = self.find(tag)
        return [Level(self.file, item.spans, item.encoding, self, tag) for item in (span[5] or () if span else ())]

    def walked(self) -> list[Span]:
        """All elements of this Data Set."""
        return self.spans

    def raw(self, tag: int) -> bytes | None:
        """Encoded value of an element of this Data Set, `None` where it is absent."""
        span = self.find(tag)
        return None if span is None else self.file.buf[span[3] : span[4]]

    def text(self, tag: int) -> str | None:
        """Decoded value of an element of this Data Set, `None` where it is absent."""
        span = self.find(tag)
        return None if span is None else Element(self, span).text

    def near(self, tag: int) -> str:
        """First value of an element of this Data Set or, where it has none, of the top level; else empty."""
        text = self.text(tag)
        if text is None and self.parent is not None:
            text = self.file.root.text(tag)
        return text.split("\\")[0].strip() if text else ""

    def distinct(self, tag: int) -> str:
        """Like `near`, but of a value that is not in its character set the bytes, so that two values stay two."""
        text = self.near(tag)
        if "\N{REPLACEMENT CHARACTER}" not in text:
            return text
        raw = self.raw(tag)
        return (raw if raw is not None else self.file.root.raw(tag) or b"").decode("latin-1").strip(" \0")

    def private_creator(self, tag: int) -> str:
        """Creator that reserved the block of a private element in this Data Set, empty where none did."""
        if tag & 0xFFFF < 0x1000:
            return ""
        reserved = tag & 0xFFFF0000 | tag >> 8 & 0xFF
        if self._creators is None:
            self._creators = {}
        creator = self._creators.get(reserved)
        if creator is None:
            creator = self._creators[reserved] = (self.text(reserved) or "").strip()
        return creator


def known_vr(level: Level, tag: int) -> bytes:
    """VR by the dictionary; of ``US or SS`` the one that Pixel Representation says (PS3.3 section C.7.6.3).

    Parameters
    ----------
    level : Level
        Data Set that the element stands in, or will.
    tag : int
        Its tag.
    """
    vr = implicit_vr(tag)
    if vr == b"US" and tags.vr_of(tag) != "US" and level.near(PIXEL_REPRESENTATION) == "1":
        return b"SS"
    return vr


class Element:
    """One element as a rule sees it; also one that is absent and about to be inserted.

    Parameters
    ----------
    level : Level
        Data Set it stands in.
    span : Span
        Where it is; for an absent element, one of no length.
    """

    __slots__ = ("level", "order", "raw", "tag", "vr")

    def __init__(self, level: Level, span: Span) -> None:
        self.level = level
        tag, vr, _, start, end, items = span
        self.tag = tag
        self.raw = level.file.buf[start:end]
        # PS3.5 section 6.2.2 note 2: what is stored as unknown is little endian, whatever surrounds it
        self.order = "<" if vr == b"UN" else level.encoding.order
        self.vr = "SQ" if items is not None else (implicit_vr(tag) if vr == b"UN" else vr).decode()
        if self.vr == "US" and (vr == b"UN" or not level.encoding.explicit):
            self.vr = known_vr(level, tag).decode()

    @property
    def file(self) -> FileScope:
        """The file it stands in."""
        return self.level.file

    @property
    def text(self) -> str:
        """Its value as text, several values with a backslash between them."""
        return values.decode(self.raw, self.vr, self.level.encodings, self.order)

    @property
    def values(self) -> list[str]:
        """Its values as texts; empty where it has no value."""
        text = self.text
        return values.split(text, self.vr) if text else []

    def check_legible(self) -> None:
        """Refuse a text that is not in its character set.

        Raises
        ------
        FileRefused
            It is not.
        """
        if not values.is_legible(self.raw, self.vr, self.level.encodings):
            raise FileRefused(Reason.VALUE_NOT_WRITABLE, f"{tags.format_tag(self.tag)} is not in its character set")


@dataclass
class FileScope:
    """One file, for as long as it is worked on.

    Parameters
    ----------
    buf : bytes
        The walked bytes.
    facts : RunFacts
        What is the same for all files.
    pseudonyms : Pseudonyms
        The keyed functions.
    notes : set of str
        Codes of what a report should count, such as a patient known by name only. Never a value.
    reads : set of int
        Top-level tags that were looked up: on these the decisions depend, beside the elements they are about.
        `EVERYTHING` where they depend on more than can be listed.
    memo : dict of str or int to Any
        What was found out about the file and will be needed again; it holds while what was read does.
    """

    buf: bytes
    facts: RunFacts
    pseudonyms: Pseudonyms
    notes: set[str] = field(default_factory=set)
    reads: set[int] = field(default_factory=set)
    memo: dict[str | int, Any] = field(default_factory=dict)
    _root: weakref.ref[Level] = field(init=False)

    @property
    def root(self) -> Level:
        """Top level of the file. It holds this scope, and not the other way round, so that both go with their file."""
        root = self._root()
        assert root is not None, "whoever works on a file holds its top level"
        return root

    @root.setter
    def root(self, level: Level) -> None:
        self._root = weakref.ref(level)

    @property
    def sop_class(self) -> str:
        """SOP Class UID, empty where there is none."""
        found = self.memo.get("sop class")  # not by `recall`: this is asked of many elements
        if found is None:
            found = self.memo["sop class"] = self.root.near(tags.SOP_CLASS_UID)
        return str(found)

    @property
    def study(self) -> str:
        """Text that all files of the source study share and no other study has."""
        return self.recall("study", self._find_study)

    def patient(self, level: Level) -> str:
        """Text that names the patient of a Data Set; an item that names none is of the patient of the one around it."""
        other = self._other_patient(level)
        if other is not None:
            return self.pseudonyms.patient(
                Patient("id", _trimmed(other, tags.PATIENT_ID), _trimmed(other, tags.ISSUER_OF_PATIENT_ID))
            )
        return self.recall("patient", self._find_patient)

    def _other_patient(self, level: Level) -> Level | None:
        """Find the item that names another patient than the file's, such as a mother in a fetal study."""
        while level.parent is not None:
            if own := _trimmed(level, tags.PATIENT_ID):
                return level if own != _trimmed(self.root, tags.PATIENT_ID) else None
            level = level.parent
        return None

    def subject(self, level: Level) -> Subject:
        """Row of the lookup table for the patient of a Data Set.

        Raises
        ------
        FileRefused
            The patient is not in the table.
        """
        lookup = self.facts.lookup
        identifier = (self._other_patient(level) or self.root).near(tags.PATIENT_ID)
        found = lookup.find(identifier) if lookup else None
        if found is None:
            raise FileRefused(Reason.IDENTITY_MISSING, tags.format_tag(tags.PATIENT_ID))
        return found

    def day_offset(self, level: Level) -> int:
        """Days to add to the dates of the patient of a Data Set: the lookup table's, the fixed ones, or keyed ones."""
        if self.facts.lookup is not None:
            days = self.subject(level).days
            if days is not None:
                return days
        shift = self.facts.date_shift
        if shift.days is not None:
            return shift.days
        width = shift.max_days - shift.min_days + 1
        return -shift.min_days - self.pseudonyms.number("date-shift", self.patient(level), width)

    @property
    def has_content_references(self) -> bool:
        """Whether content items may refer to others by their position (0040,DB73), so that none of them can go."""
        return self.recall("content references", self._find_content_references)

    def _find_content_references(self) -> bool:
        self.reads.add(EVERYTHING)
        spans = self.root.walked()
        place = (spans[0][2], spans[-1][4]) if spans else (0, 0)
        return any(self.buf.find(tag, *place) >= 0 for tag in (b"\x40\x00\x73\xdb", b"\x00\x40\xdb\x73"))

    def accession(self, level: Level) -> str:
        """Text under which an accession number is keyed; a blank one belongs to its study."""
        own = level.distinct(tags.ACCESSION_NUMBER)
        return f"acc\x1f{own}" if own else f"study\x1f{self.study}"

    def recall(self, name: str, find: Callable[[], T]) -> T:
        """What is found out about the file when it is first asked for."""
        if name not in self.memo:
            self.memo[name] = find()
        found: T = self.memo[name]
        return found

    def _find_study(self) -> str:
        for tag in (tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID, tags.SOP_INSTANCE_UID):
            if uid := self.root.near(tag).strip("\0 "):
                return uid
        return self.recall("patient", self._find_patient)

    def _find_patient(self) -> str:
        root = self.root
        if identifier := root.distinct(tags.PATIENT_ID):
            return self.pseudonyms.patient(Patient("id", identifier, root.distinct(tags.ISSUER_OF_PATIENT_ID)))
        name = canonical_name(root.distinct(tags.PATIENT_NAME))
        birth = root.near(tags.PATIENT_BIRTH_DATE)
        if name:
            self.notes.add("patient-by-name")
            return self.pseudonyms.patient(Patient("name", name, birth))
        study = root.near(tags.STUDY_INSTANCE_UID)
        self.notes.add("patient-by-study" if study else "patient-unknown")
        return self.pseudonyms.patient(Patient("study" if study else "none", study, ""))


def _trimmed(level: Level, tag: int) -> str:
    return (level.text(tag) or "").strip()
