"""A DICOMDIR over outputs: which ones it lists, what it says of them, and that its records hang together."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    HangingProtocolStorage,
    ImplicitVRLittleEndian,
    TwelveLeadECGWaveformStorage,
)

from dicom_anon.filemeta import IMPLEMENTATION_CLASS_UID
from dicom_anon.fileset import Directory, directory_over, is_directory, is_file_id, own_head
from dicom_anon.output import PART_PREFIX
from dicom_anon.pseudonyms import Pseudonyms
from tests.datasets import KEY, encode, file_bytes, image, item

PSEUDONYMS = Pseudonyms(KEY)


def put(top: Path, path: str, data_set: Dataset | None = None, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a file as this package would, with a SOP Instance UID of its own unless a Data Set is given."""
    number = 1 + sum(len(names) for _, _, names in os.walk(top))
    data_set = data_set or image(SOPInstanceUID=f"1.2.3.4.{number}", InstanceNumber=number, SeriesNumber=1)
    target = top / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file_bytes(data_set, syntax, ImplementationClassUID=IMPLEMENTATION_CLASS_UID))
    return target


def make(top: Path) -> Directory:
    """Make the DICOMDIR of a folder and write it there."""
    made = directory_over(top, PSEUDONYMS)
    (top / "DICOMDIR").write_bytes(made.content)
    return made


def records(top: Path) -> list[Dataset]:
    return list(dcmread(top / "DICOMDIR").DirectoryRecordSequence)


def types(top: Path) -> list[str]:
    return [record.DirectoryRecordType for record in records(top)]


@pytest.mark.parametrize(
    ("path", "valid"),
    [
        ("A", True),
        ("ABCDEFGH/_/0/1/2/3/4/12345678", True),
        ("A/0/1/2/3/4/5/6/7", False),
        ("ABCDEFGHI", False),
        ("A.DCM", False),
        ("a", False),
        ("Ä", False),
        ("A ", False),
        ("A\n", False),
        ("A-1", False),
        ("١", False),
    ],
)
def test_names_that_a_dicomdir_may_hold(path: str, valid: bool) -> None:
    assert is_file_id(tuple(path.split("/"))) is valid


def test_records_hang_together_by_their_offsets(tmp_path: Path) -> None:
    for number, (patient, study, series) in enumerate(((1, 1, 1), (1, 1, 1), (1, 1, 2), (1, 2, 3), (2, 3, 4))):
        put(
            tmp_path, f"IM{number}", image(
                PatientID=f"P{patient}", StudyInstanceUID=f"1.2.{study}", SeriesInstanceUID=f"1.3.{series}",
                SOPInstanceUID=f"1.4.{number}", InstanceNumber=number,
            ),
        )  # fmt: skip
    assert make(tmp_path)[1:] == (5, 0)
    directory = dcmread(tmp_path / "DICOMDIR")
    found = {record.seq_item_tell: record for record in directory.DirectoryRecordSequence}

    def tree(offset: int) -> list[Any]:
        level = []
        while offset:
            record = found[offset]
            level.append([record.DirectoryRecordType, *tree(record.OffsetOfReferencedLowerLevelDirectoryEntity)])
            offset = record.OffsetOfTheNextDirectoryRecord
        return level

    one = ["SERIES", ["IMAGE"]]
    assert tree(directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity) == [
        ["PATIENT", ["STUDY", ["SERIES", ["IMAGE"], ["IMAGE"]], one], ["STUDY", one]],
        ["PATIENT", ["STUDY", one]],
    ]
    last = found[directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity]
    assert (last.DirectoryRecordType, last.PatientID) == ("PATIENT", "P2")
    assert len(found) == 5 + 4 + 3 + 2


def test_pydicom_finds_every_instance(tmp_path: Path) -> None:
    for path in ("A", "B/C", "B/D/12345678"):
        put(tmp_path, path)
    make(tmp_path)
    assert [instance.load().SOPInstanceUID for instance in FileSet(tmp_path / "DICOMDIR")] == [
        "1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3",
    ]  # fmt: skip


def test_records_are_in_the_order_of_their_files(tmp_path: Path) -> None:
    names = [f"F{number * 7 % 31:02}" for number in range(31)]
    for name in names:
        put(tmp_path, f"{name}/IM")
    make(tmp_path)
    found = [record.ReferencedFileID for record in records(tmp_path) if record.DirectoryRecordType == "IMAGE"]
    assert found == [[name, "IM"] for name in sorted(names)]


def test_it_says_nothing_of_where_it_was_made(tmp_path: Path) -> None:
    put(tmp_path, "A")
    make(tmp_path)
    directory = dcmread(tmp_path / "DICOMDIR")
    assert directory.preamble == bytes(128)
    assert directory["FileSetID"].is_empty
    assert "FileSetDescriptorFileID" not in directory
    assert sorted(element.keyword for element in directory.file_meta) == [
        "FileMetaInformationGroupLength", "FileMetaInformationVersion", "ImplementationClassUID",
        "ImplementationVersionName", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID",
    ]  # fmt: skip


def test_its_uid_follows_from_what_it_lists_and_from_the_key(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        put(tmp_path / folder, "A")
    one = directory_over(tmp_path / "one", PSEUDONYMS)
    assert one == directory_over(tmp_path / "two", PSEUDONYMS)

    def uid(made: Directory) -> UID:
        (tmp_path / "made").write_bytes(made.content)
        return UID(dcmread(tmp_path / "made").file_meta.MediaStorageSOPInstanceUID)

    other_key = directory_over(tmp_path / "one", Pseudonyms(b"another key of the right length"))
    (tmp_path / "two/A").rename(tmp_path / "two/B")
    found = {uid(one), uid(other_key), uid(directory_over(tmp_path / "two", PSEUDONYMS))}
    assert len(found) == 3
    assert all(one.is_valid and one.startswith("2.25.") for one in found)


def test_what_rules_have_emptied_is_a_dummy_in_the_records(tmp_path: Path) -> None:
    bare = image(StudyDate="", StudyTime=None, StudyID="", SeriesNumber=None)
    put(tmp_path, "A", bare)
    assert make(tmp_path)[1:] == (1, 0)
    _, study, series, own = records(tmp_path)
    assert (study.StudyDate, study.StudyTime, study.StudyID) == ("19000101", "000000", "ANONYMIZED")
    assert (series.SeriesNumber, own.InstanceNumber) == (0, 0)
    assert dcmread(tmp_path / "A").StudyDate == ""


def test_what_is_said_is_no_dummy_even_if_it_is_zero(tmp_path: Path) -> None:
    put(tmp_path, "A", image(StudyDate="20040119", StudyTime="11", StudyID="7", SeriesNumber=3, InstanceNumber=-1))
    make(tmp_path)
    patient, study, series, own = records(tmp_path)
    assert (patient.PatientID, patient.PatientName) == ("ID-1", "Doe^Jane")
    assert (study.StudyDate, study.StudyTime, study.StudyID) == ("20040119", "11", "7")
    assert (series.SeriesNumber, own.InstanceNumber) == (3, -1)


def test_without_patient_id_each_study_is_a_patient(tmp_path: Path) -> None:
    for number, study in enumerate(("1.2.1", "1.2.1", "1.2.2")):
        put(
            tmp_path, f"IM{number}", image(
                PatientID="", StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1", SOPInstanceUID=f"1.4.{number}"
            ),
        )  # fmt: skip
    assert make(tmp_path).listed == 3
    patients = [record.PatientID for record in records(tmp_path) if record.DirectoryRecordType == "PATIENT"]
    assert len(patients) == len(set(patients)) == 2
    assert all(len(patient) == 16 for patient in patients)


LEFT_OUT: dict[str, Callable[[Path], object]] = {
    "name": lambda top: put(top, "im1.dcm"),
    "folder": lambda top: put(top, "A/folder/IM1"),
    "depth": lambda top: put(top, "A/B/C/D/E/F/G/H/I"),
    "no modality": lambda top: put(top, "IM1", image(SOPInstanceUID="1.9", Modality="")),
    "no study": lambda top: put(top, "IM1", image(SOPInstanceUID="1.9", StudyInstanceUID="")),
    "no series": lambda top: put(top, "IM1", image(SOPInstanceUID="1.9", SeriesInstanceUID="")),
    "no instance": lambda top: put(top, "IM1", image(SOPInstanceUID="")),
    "no class": lambda top: put(top, "IM1", image(SOPInstanceUID="1.9", SOPClassUID="")),
    "the same instance": lambda top: put(top, "IM1", image(SOPInstanceUID="1.2.3.4.1")),
    "the same instance in another study": lambda top: put(
        top, "B/IM1", image(SOPInstanceUID="1.2.3.4.1", StudyInstanceUID="1.8")
    ),
    "no number": lambda top: put(top, "IM1", _with_number("one")),
    "unknown kind": lambda top: put(
        top, "IM1", item(**_common("1.9"), SOPClassUID="1.2.840.10008.5.1.4.1.1.11.8", Modality="PR")
    ),
    "structure": lambda top: put(top, "IM1").write_bytes(own_head(top / "A/1")[:-100] + b"\xff" * 100),
}


def _with_number(number: str) -> Dataset:
    data_set = image(SOPInstanceUID="1.9")
    data_set.add_new(0x00200013, "LO", number)
    return data_set


def _common(instance: str) -> dict[str, Any]:
    return {
        "SOPInstanceUID": instance, "PatientID": "P", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3",
    }  # fmt: skip


@pytest.mark.parametrize("plant", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_cannot_be_listed_is_counted_and_the_rest_is_listed(
    tmp_path: Path, plant: Callable[[Path], object]
) -> None:
    put(tmp_path, "A/1")
    plant(tmp_path)
    put(tmp_path, "ZZ", image(SOPInstanceUID="1.5"))
    assert make(tmp_path)[1:] == (2, 1)
    assert types(tmp_path) == ["PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE"]
    assert len(FileSet(tmp_path / "DICOMDIR")) == 2


def test_what_is_no_output_is_neither_listed_nor_counted(tmp_path: Path) -> None:
    put(tmp_path, "A")
    put(tmp_path, "SUB/B")
    make(tmp_path / "SUB")
    (tmp_path / "FOREIGN").write_bytes(file_bytes(image(SOPInstanceUID="1.9")))
    (tmp_path / "README").write_text("about")
    put(tmp_path, f"{PART_PREFIX}C.part")
    os.symlink(tmp_path / "A", tmp_path / "LINK")
    os.mkfifo(tmp_path / "PIPE")
    assert make(tmp_path)[1:] == (2, 0)


def test_a_folder_without_outputs_has_nothing_to_list(tmp_path: Path) -> None:
    assert directory_over(tmp_path, PSEUDONYMS)[1:] == (0, 0)
    assert directory_over(tmp_path / "nowhere", PSEUDONYMS)[1:] == (0, 0)


def test_ours_are_told_from_outputs_and_from_others(tmp_path: Path) -> None:
    put(tmp_path, "A")
    make(tmp_path)
    assert is_directory(own_head(tmp_path / "DICOMDIR"))
    assert own_head(tmp_path / "A")
    assert not is_directory(own_head(tmp_path / "A"))
    strange = put(tmp_path, "B", image(SOPClassUID="1.2.840.10008.1.3.10"))
    assert not is_directory(own_head(strange))
    assert own_head(tmp_path) == own_head(tmp_path / "nowhere") == b""


def _report(**attributes: Any) -> Dataset:
    def content(relation: str, text: str) -> Dataset:
        name = item(CodeValue="1", CodingSchemeDesignator="DCM", CodeMeaning=text)
        return item(RelationshipType=relation, ValueType="TEXT", ConceptNameCodeSequence=[name], TextValue=text)

    return item(
        **_common("1.9"), SOPClassUID=BasicTextSRStorage, Modality="SR", CompletionFlag="COMPLETE",
        ContentDate="20200101", ContentTime="11", InstanceNumber=1,
        ConceptNameCodeSequence=[item(CodeValue="1", CodingSchemeDesignator="DCM", CodeMeaning="Report")],
        ContentSequence=[content("HAS CONCEPT MOD", "language"), content("CONTAINS", "the whole report" * 9000)],
        **attributes,
    )  # fmt: skip


def test_of_a_report_only_what_modifies_its_title_is_listed(tmp_path: Path) -> None:
    put(tmp_path, "A", _report(VerificationFlag="UNVERIFIED"))
    assert make(tmp_path).listed == 1
    own = records(tmp_path)[-1]
    assert [one.TextValue for one in own.ContentSequence] == ["language"]
    assert "VerificationDateTime" not in own


def test_a_deflated_report_is_listed_however_long_it_is(tmp_path: Path) -> None:
    report = _report(VerificationFlag="UNVERIFIED")
    report.ContentSequence[1].TextValue *= 9
    meta, _, data_set = file_bytes(
        report, DeflatedExplicitVRLittleEndian, ImplementationClassUID=IMPLEMENTATION_CLASS_UID
    ).partition(encode(report))
    assert data_set == b""
    assert len(encode(report)) > 1 << 20
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    (tmp_path / "A").write_bytes(meta + deflater.compress(encode(report)) + deflater.flush())
    assert make(tmp_path)[1:] == (1, 0)
    assert [one.TextValue for one in records(tmp_path)[-1].ContentSequence] == ["language"]


@pytest.mark.parametrize(
    ("times", "said"), [(("20200102", "20200301"), "20200301"), (("",), "19000101000000"), ((), "19000101000000")]
)
def test_a_verified_report_says_when(tmp_path: Path, times: tuple[str, ...], said: str) -> None:
    observers = [item(VerificationDateTime=time) for time in times]
    put(tmp_path, "A", _report(VerificationFlag="VERIFIED", VerifyingObserverSequence=observers))
    make(tmp_path)
    assert records(tmp_path)[-1].VerificationDateTime == said


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_sequences_are_said_in_the_encoding_of_the_dicomdir(tmp_path: Path, syntax: str) -> None:
    shown = item(ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID="1.5", ReferencedFrameNumber=[1, 2])
    shown.DataPointRows = 258  # a binary value
    series = item(SeriesInstanceUID="1.4", ReferencedImageSequence=[shown])
    state = item(
        **_common("1.9"), SOPClassUID=GrayscaleSoftcopyPresentationStateStorage, Modality="PR", ContentLabel="L",
        InstanceNumber=1, ReferencedSeriesSequence=[series],
    )  # fmt: skip
    put(tmp_path, "A", state, syntax)
    assert make(tmp_path).listed == 1
    own = records(tmp_path)[-1]
    assert own.DirectoryRecordType == "PRESENTATION"
    assert own.PresentationCreationDate == "19000101"
    [read] = own.ReferencedSeriesSequence[0].ReferencedImageSequence
    assert (read.ReferencedSOPInstanceUID, read.ReferencedFrameNumber, read.DataPointRows) == ("1.5", [1, 2], 258)


def test_types_of_records_are_pydicoms(tmp_path: Path) -> None:
    common = {"ContentDate": "20200101", "ContentTime": "11", "InstanceNumber": 1}
    put(tmp_path, "A", item(**_common("1.5"), SOPClassUID=TwelveLeadECGWaveformStorage, Modality="ECG", **common))
    put(
        tmp_path, "B", item(
            **_common("1.6"), SOPClassUID=EncapsulatedPDFStorage, Modality="DOC", EncapsulatedDocument=bytes(3 << 20),
            MIMETypeOfEncapsulatedDocument="application/pdf", **common,
        ),
    )  # fmt: skip
    put(
        tmp_path, "C", item(
            SOPInstanceUID="1.7", SOPClassUID=HangingProtocolStorage, SpecificCharacterSet="ISO_IR 192",
            HangingProtocolCreator="Müller", HangingProtocolCreationDateTime="20200101",
            HangingProtocolDefinitionSequence=[item(Modality="CT")], NumberOfPriorsReferenced=0,
        ),
    )  # fmt: skip
    assert make(tmp_path)[1:] == (3, 0)
    assert types(tmp_path) == ["PATIENT", "STUDY", "SERIES", "WAVEFORM", "ENCAP DOC", "HANGING PROTOCOL"]
    assert (tmp_path / "DICOMDIR").stat().st_size < 5000
    assert records(tmp_path)[-1].HangingProtocolCreator == "Müller"
    assert len(FileSet(tmp_path / "DICOMDIR")) == 3


def test_names_are_said_in_the_character_set_of_their_output(tmp_path: Path) -> None:
    for number, (charset, name) in enumerate((("ISO_IR 192", "Müller^Jörg"), ("ISO_IR 144", "Люкceмбypг"))):
        attributes: dict[str, Any] = {"SpecificCharacterSet": charset, "PatientName": name, "PatientID": f"P{number}"}
        put(tmp_path, f"IM{number}", image(SOPInstanceUID=f"1.4.{number}", **attributes))
    make(tmp_path)
    patients = [record.PatientName for record in records(tmp_path) if record.DirectoryRecordType == "PATIENT"]
    assert patients == ["Müller^Jörg", "Люкceмбypг"]
