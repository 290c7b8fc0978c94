"""The Python interface to a Data Set in memory.

Lives here: pydicom's Data Set on its way through the engine, and the report of changes. Does not live here: any rule.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.errors import BytesLengthException
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_anon import tags
from dicom_anon.actions import Assigned, Keep, Removed, Unchanged
from dicom_anon.assignment import Assignment, resolve
from dicom_anon.config import Rule
from dicom_anon.dicomfile import walk_bytes
from dicom_anon.elements import LONG_VRS, SHORT_VRS, Encoding, implicit_vr
from dicom_anon.errors import FileRefused, Reason, UsageError
from dicom_anon.explaining import Decision, Explainer
from dicom_anon.extra_rules import parse_extra_rules
from dicom_anon.filemeta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, encoding_of
from dicom_anon.planned import carried_out, pixels_planned
from dicom_anon.planning import make_plan
from dicom_anon.tags import Pattern

PRIVATE: Final = Pattern(0x00010000, 0x00010000)
"""All private elements: those of odd groups."""


class Change(NamedTuple):
    """What was done to one element; it holds no value.

    Parameters
    ----------
    depth : int
        0 at top level, 1 in the items of a sequence there, and so on.
    tag : str
        ``(gggg,eeee)``.
    keyword : str
        Of PS3.6, empty where it has none.
    command : str
        The rule.
    outcome : str
        ``removed``, ``changed`` or ``inserted``.
    """

    depth: int
    tag: str
    keyword: str
    command: str
    outcome: str


@dataclass(frozen=True)
class DatasetReport:
    """What was done to one Data Set.

    Parameters
    ----------
    changes : tuple of Change
        In tag order, nested ones after their sequence. What stayed is not listed.
    notes : frozenset of str
        Codes such as ``patient-by-name``.
    """

    changes: tuple[Change, ...]
    notes: frozenset[str]


def anonymize_dataset(
    dataset: Dataset,
    assignment: Assignment | Mapping[Any, Any] | None = None,
    delete_private_tags: bool = True,
    *,
    extra_rules: Mapping[Any, Any] | None = None,
    key: bytes | None = None,
) -> DatasetReport:
    """De-identify a Data Set in place; it needs no file.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Read from a file or built in memory. Its file meta, where it has one, is rebuilt.
    assignment : Assignment, optional
        From `resolve`; the preset ``default`` where it is left out. Extra rules may stand in its place.
    delete_private_tags : bool
        False keeps all private elements, whatever they hold. Only where no assignment is given.
    extra_rules : Mapping, optional
        Rules over the preset, by tag (a tuple of two or four integers, or text): commands of the rule language, actions
        of dicom-anonymizer, or functions (dataset, tag) that change the element in the Data Set they get; one may be
        called more than once for an element. Only where no assignment is given.
    key : bytes, optional
        Secret of at least 16 bytes; the same key gives the same pseudonyms. Without one every call has a key of its
        own, so that Data Sets of one series no longer belong together.

    Returns
    -------
    DatasetReport
        What was done, without values.

    Raises
    ------
    ConfigError
        The extra rules have problems.
    UsageError
        There are extra rules beside other rules, or `delete_private_tags` is false beside an assignment.
    FileRefused
        It cannot be de-identified safely, or is of a kind that the rules do not pass on; it is unchanged then.
    ValueError
        The key is too short.

    Examples
    --------
    >>> ds = Dataset()
    >>> ds.PatientName, ds.StudyInstanceUID = "Doe^Jane", "1.2.3"
    >>> report = anonymize_dataset(ds, extra_rules={(0x0010, 0x0010): "clear"}, key=b"a secret of 16 bytes or more")
    >>> ds.PatientName == "", ds.PatientIdentityRemoved, report.changes[-1].keyword
    (True, 'YES', 'LongitudinalTemporalInformationModified')
    """
    if assignment and extra_rules:
        raise UsageError("extra rules cannot stand beside other rules: `resolve` puts them into an assignment")
    if isinstance(assignment, Assignment):
        if not delete_private_tags:
            raise UsageError("whether private elements stay is part of an assignment: give it as a rule")
    else:
        assignment = _with_extra_rules(assignment or extra_rules or {}, delete_private_tags)
    engine = Explainer(make_plan(assignment, key))
    syntax = _syntax_of(dataset)
    encoding = encoding_of(syntax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote values
        content = _encoded(dataset, encoding)
    data = walk_bytes(content, encoding)
    new = engine.run(data, syntax)
    source = _Bytes(content, syntax, encoding)
    pieces = pixels_planned(source, new)
    changes = tuple(_changes(engine.explain(data, syntax)))
    written = b"".join(
        piece if isinstance(piece, bytes) else source.read_at(piece.offset, piece.length)
        for piece in carried_out(source, pieces)
    )
    replacement = read_dataset(io.BytesIO(written), not encoding.explicit, encoding.little)
    dataset.clear()
    dataset.update(replacement)
    implicit, little = replacement.original_encoding
    dataset.set_original_encoding(implicit, little, replacement.original_character_set)
    if getattr(dataset, "file_meta", None):
        dataset.file_meta = _new_meta(dataset.file_meta, new.sop_class, new.sop_instance)
    if hasattr(dataset, "preamble"):
        dataset.preamble = bytes(128)
    return DatasetReport(changes, new.notes | source.notes)


class _Bytes:
    """An encoded Data Set, in the place of a file.

    Parameters
    ----------
    content : bytes
        All of it.
    transfer_syntax : str
        UID of how it is written.
    encoding : Encoding
        The same.
    """

    def __init__(self, content: bytes, transfer_syntax: str, encoding: Encoding) -> None:
        self._content = content
        self.transfer_syntax = transfer_syntax
        self.encoding = encoding
        self.notes: set[str] = set()

    def read_at(self, offset: int, length: int) -> bytes:
        """Read some bytes."""
        return self._content[offset : offset + length]


def _with_extra_rules(rules: Mapping[Any, Any], delete_private_tags: bool) -> Assignment:
    assigns = parse_extra_rules(rules, "extra rules") if rules else []
    if not delete_private_tags:
        assigns.insert(0, (PRIVATE, Rule(Keep(), "extra rules", "private elements")))
    return resolve(assigns=assigns)


def _encoded(dataset: Dataset, encoding: Encoding) -> bytes:
    """Write a Data Set; an element that was built with a VR that does not exist gets its own."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = not encoding.explicit, encoding.little
    try:
        copy = Dataset()
        implicit, little = dataset.original_encoding
        copy.set_original_encoding(implicit, little, dataset.original_character_set)
        for element in dataset:
            if element.VR in SHORT_VRS | LONG_VRS or " or " in element.VR:
                copy.add(element)
            else:
                copy.add(DataElement(element.tag, implicit_vr(element.tag).decode(), element.value))
        write_dataset(buffer, copy)
    except (TypeError, ValueError, AttributeError, NotImplementedError, OSError, BytesLengthException) as error:
        raise FileRefused(Reason.NOT_PARSABLE, f"cannot be encoded: {type(error).__name__}") from None
    return buffer.getvalue()


def _changes(decisions: Iterable[Decision]) -> Iterator[Change]:
    for decision in decisions:
        match decision.outcome:
            case Unchanged():
                continue
            case Removed():
                outcome = "removed"
            case Assigned():
                outcome = "inserted" if decision.inserted else "changed"
        yield Change(
            decision.depth,
            tags.format_tag(decision.tag),
            tags.keyword_of(decision.tag),
            decision.action.describe(),
            outcome,
        )


def _syntax_of(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID", "")) if meta else ""
    if syntax:
        return syntax
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRBigEndian if little is False else ExplicitVRLittleEndian


def _new_meta(old: Dataset, sop_class: str, sop_instance: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    for keyword, value in (
        ("MediaStorageSOPClassUID", sop_class or old.get("MediaStorageSOPClassUID")),
        ("MediaStorageSOPInstanceUID", sop_instance),
        ("TransferSyntaxUID", old.get("TransferSyntaxUID")),
        ("ImplementationClassUID", IMPLEMENTATION_CLASS_UID),
        ("ImplementationVersionName", IMPLEMENTATION_VERSION_NAME),
    ):
        if value:
            setattr(meta, keyword, value)
    return meta
