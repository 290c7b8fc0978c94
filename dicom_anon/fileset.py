"""A DICOMDIR over the outputs below a folder: what it lists, and the bytes of it (PS3.3 annex F, PS3.10 section 8).

What a record says is pydicom's business, and is read from outputs only. Does not live here: when one is written.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.filebase import DicomBytesIO
from pydicom.fileset import DIRECTORY_RECORDERS, _four_level_record_type, _single_level_record_type
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from dicom_anon.actions import DUMMIES
from dicom_anon.elements import EXPLICIT_LITTLE, element_bytes, item_bytes
from dicom_anon.filemeta import IMPLEMENTATION_CLASS_UID, write_meta
from dicom_anon.folders import walk
from dicom_anon.output import PART_PREFIX
from dicom_anon.pseudonyms import Pseudonyms

MAX_PARTS = 8
"""Components of a File ID (PS3.10 section 8.2)."""

_PART = re.compile(r"[A-Z0-9_]{1,8}")
_HEAD = 512
"""Bytes of a file that hold the whole file meta that this package writes."""

_BULK = 1 << 20
"""Values of this length are read only where a record needs them."""

_DUMMIES = {
    keyword: DUMMIES[dictionary_VR(keyword)]
    for keyword in (
        *("StudyDate", "StudyTime", "StudyID", "SeriesNumber", "InstanceNumber", "ContentDate", "ContentTime"),
        *("PresentationCreationDate", "PresentationCreationTime"),
    )
}
"""What a record says where the output has no value and a record needs one: Type 1 in PS3.3 section F.5."""

_KEYS = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}
"""What tells a record from others of its type; for those that stand for a file it is the SOP Instance UID."""

_NEXT_AT, _LOWER_AT = 8, 30
"""Where the offsets of a record stand in it: (0004,1400), (0004,1410) and (0004,1420) are its first elements."""

_FILE_SET_ID = element_bytes(0x00041130, "CS", b"", EXPLICIT_LITTLE)


def own_head(path: str | os.PathLike[str]) -> bytes:
    """First bytes of a file that says of itself that this package wrote it; empty for any other."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return b""
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return b""
    return head if IMPLEMENTATION_CLASS_UID.encode() in head else b""


def is_directory(head: bytes) -> bool:
    """Tell whether a file of ours is a DICOMDIR, by its first bytes."""
    return MediaStorageDirectoryStorage.encode() in head and _FILE_SET_ID in head


def is_file_id(parts: tuple[str, ...]) -> bool:
    """Tell whether a path may stand in a DICOMDIR (PS3.10 sections 8.2 and 8.5).

    >>> is_file_id(("CD", "IM000001")), is_file_id(("CD", "im1")), is_file_id(("IM000001.DCM",))
    (True, False, False)
    """
    return len(parts) <= MAX_PARTS and all(_PART.fullmatch(part) for part in parts)


class Directory(NamedTuple):
    """A DICOMDIR: its bytes, how many outputs it lists, and how many it has to leave out."""

    content: bytes
    listed: int
    left_out: int


def directory_over(folder: Path, pseudonyms: Pseudonyms) -> Directory:
    """Make the DICOMDIR of a folder from the outputs below it, as they are there.

    Left out is an output whose path is no File ID, whose SOP Instance UID another one has, or that lacks what its
    records must tell.

    Parameters
    ----------
    folder : Path
        Where the DICOMDIR is to stand.
    pseudonyms : Pseudonyms
        Make the UID of the file-set, and the PatientID of a record that would have none.

    Raises
    ------
    OSError
        A folder cannot be listed.
    """
    made = _FileSet(pseudonyms)
    left_out = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote values
        for parts in files_below(folder) if folder.is_dir() else ():
            path = folder.joinpath(*parts)
            head = own_head(path)
            if head and not is_directory(head):
                left_out += not (is_file_id(parts) and made.add(path, parts))
    return Directory(made.content(), made.listed, left_out)


def files_below(folder: Path) -> Iterator[tuple[str, ...]]:
    """Paths of all files below a folder, as parts, in a fixed order; what is still being written is none.

    Raises
    ------
    OSError
        A folder cannot be listed.
    """
    for top, _, names in walk(folder):
        above = Path(top).relative_to(folder).parts
        yield from ((*above, name) for name in names if not name.startswith(PART_PREFIX))


@dataclass
class _Node:
    """A directory record as it is encoded, and those below it."""

    record: bytearray
    below: _Level = field(default_factory=dict)
    offset: int = 0


_Level: TypeAlias = "dict[tuple[str, str], _Node]"
"""Records of one level, by type and key."""


class _FileSet:
    """The records of outputs, as one by one is added."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self._top: _Level = {}
        self._listed: dict[str, str] = {}

    @property
    def listed(self) -> int:
        """Outputs listed."""
        return len(self._listed)

    def add(self, path: Path, parts: tuple[str, ...]) -> bool:
        """List an output under its File ID; false where that cannot be."""
        try:
            records = _records(path, parts, self._pseudonyms)
            instance = _key(records[-1])[1]
            if instance in self._listed:
                return False
            self._graft(records)
        except Exception:  # pydicom raises many kinds on what it cannot describe, and the run goes on
            return False
        self._listed[instance] = "/".join(parts)
        return True

    def _graft(self, records: list[Dataset]) -> None:
        """Add those records of an output that are new: all of them, or none where one cannot be encoded."""
        level, keys = self._top, [_key(record) for record in records]
        known = 0
        while keys[known] in level:
            level, known = level[keys[known]].below, known + 1
        nodes = [_Node(_encoded(record)) for record in records[known:]]
        for key, node in zip(keys[known:], nodes, strict=True):
            level[key] = node
            level = node.below

    def content(self) -> bytes:
        """Bytes of the file: records in depth-first order, with offsets from the start of the file."""
        says = "\n".join(f"{place} {instance}" for instance, place in self._listed.items())
        uid = self._pseudonyms.file_set_uid(says)
        meta = write_meta(ExplicitVRLittleEndian, MediaStorageDirectoryStorage, uid)
        nodes = list(_flat(self._top))
        offset = len(meta) + len(_data_set(0, 0, b""))
        for node in nodes:
            node.offset = offset
            offset += len(item_bytes(b"", EXPLICIT_LITTLE)) + len(node.record)
        _link(self._top)
        items = b"".join(item_bytes(bytes(node.record), EXPLICIT_LITTLE) for node in nodes)
        roots = [node.offset for node in self._top.values()] or [0]
        return meta + _data_set(roots[0], roots[-1], items)


def _flat(level: _Level) -> Iterator[_Node]:
    for node in level.values():
        yield node
        yield from _flat(node.below)


def _link(level: _Level) -> None:
    """Write into each record where the next of its level and the first of those below it are."""
    nodes = list(level.values())
    for node, following in itertools.zip_longest(nodes, nodes[1:]):
        lower = next(iter(node.below.values()), None)
        struct.pack_into("<L", node.record, _NEXT_AT, following.offset if following else 0)
        struct.pack_into("<L", node.record, _LOWER_AT, lower.offset if lower else 0)
        _link(node.below)


def _data_set(first: int, last: int, items: bytes) -> bytes:
    """Data Set of a DICOMDIR: no name and no descriptor of the file-set, and its records (PS3.3 section F.3.2)."""
    elements = (
        (0x00041200, "UL", struct.pack("<L", first)),
        (0x00041202, "UL", struct.pack("<L", last)),
        (0x00041212, "US", bytes(2)),
        (0x00041220, "SQ", items),
    )
    return _FILE_SET_ID + b"".join(element_bytes(tag, vr, raw, EXPLICIT_LITTLE) for tag, vr, raw in elements)


def _records(path: Path, parts: tuple[str, ...], pseudonyms: Pseudonyms) -> list[Dataset]:
    """Records of an output, from the patient's down to its own.

    Raises
    ------
    Exception
        Of any kind: it lacks what they need.
    """
    output = dcmread(path, stop_before_pixels=True, defer_size=_BULK)
    _fill(output, pseudonyms)
    records = [_record(kind, output) for kind in _types(output)]
    own = records[-1]
    own.ReferencedFileID = list(parts)
    own.ReferencedSOPClassUIDInFile = output.SOPClassUID
    own.ReferencedSOPInstanceUIDInFile = output.SOPInstanceUID
    own.ReferencedTransferSyntaxUIDInFile = output.file_meta.TransferSyntaxUID
    if not output.SOPClassUID or not all(_key(record)[1] for record in records):
        raise ValueError("a UID is empty")
    return records


def _types(output: Dataset) -> list[str]:
    """Types of the records of an output (PS3.3 section F.4)."""
    alone = _single_level_record_type(output)
    if alone != "PATIENT":
        return [alone]
    kind = _four_level_record_type(output)
    if kind == "IMAGE" and "Rows" not in output and "Image" not in output.SOPClassUID.keyword:
        raise ValueError("of a type that pydicom does not know, and no image")
    return ["PATIENT", "STUDY", "SERIES", kind]


def _record(kind: str, output: Dataset) -> Dataset:
    """One directory record; its offsets are zeros."""
    record = DIRECTORY_RECORDERS[kind](output)
    record.OffsetOfTheNextDirectoryRecord = 0
    record.RecordInUseFlag = 0xFFFF
    record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.DirectoryRecordType = kind
    if "SpecificCharacterSet" in output:
        record.SpecificCharacterSet = output.SpecificCharacterSet
    if "ContentSequence" in record:  # only what modifies the title belongs here, not the report (PS3.3 section F.5)
        items = [item for item in record.ContentSequence if item.get("RelationshipType") == "HAS CONCEPT MOD"]
        del record.ContentSequence
        if items:
            record.ContentSequence = items
    return record


def _key(record: Dataset) -> tuple[str, str]:
    """What tells a record from the others beside it."""
    kind = record.DirectoryRecordType
    return kind, str(record.get(_KEYS.get(kind, "ReferencedSOPInstanceUIDInFile")) or "")


def _fill(output: Dataset, pseudonyms: Pseudonyms) -> None:
    """Give an output, in memory, what its records must tell and rules may have emptied, as ``dcmgpdir +I`` does.

    Nobody knows which studies are of one patient where there is no PatientID, so each has a patient of its own.
    """
    for keyword, dummy in _DUMMIES.items():
        if _is_empty(output, keyword):
            setattr(output, keyword, dummy)
    if output.get("VerificationFlag") == "VERIFIED" and _is_empty(output, "VerificationDateTime"):
        observers = output.get("VerifyingObserverSequence") or ()
        times = [str(observer.get("VerificationDateTime") or "") for observer in observers]
        output.VerificationDateTime = max(times, default="") or DUMMIES["DT"]
    if _is_empty(output, "PatientID"):
        output.PatientID = pseudonyms.code("dicomdir-patient", str(output.get("StudyInstanceUID", "")))


def _is_empty(output: Dataset, keyword: str) -> bool:
    return keyword not in output or output[keyword].VM == 0


def _encoded(record: Dataset) -> bytearray:
    stream: Any = DicomBytesIO()  # pydicom sets its attributes where it is given one
    stream.is_implicit_VR, stream.is_little_endian = False, True  # as PS3.10 section 8.6 has it
    write_dataset(stream, record)
    return bytearray(stream.getvalue())
