"""The dataset interface, also in the way in which dicom-anonymizer's users call theirs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_charset_files, get_testdata_file
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import BaseTag
from pydicom.uid import UID, EncapsulatedPDFStorage, generate_uid

from dicom_anon import ConfigError, FileRefused, anonymize_dataset, anonymize_file, anonymize_tree, resolve
from dicom_anon.config import parse_config, read_configs
from dicom_anon.errors import Reason, UsageError
from dicom_anon.extra_rules import parse_extra_rules
from dicom_anon.pixelplan import BLANKED, TRIMMED
from dicom_anon.runfolder import RunFolder
from tests.datasets import real_file

KEY = b"an example of a secret key"


def path_of(name: str) -> str:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    return path


def test_the_example_of_a_dataset_built_in_memory_runs() -> None:
    fields: list[dict[str, Any]] = [
        {"id": (0x0040, 0xA123), "type": "LO", "value": "Annie de la Fontaine"},
        {"id": (0x0008, 0x0050), "type": "TM", "value": "bar"},
        {"id": (0x0018, 0x4000), "type": "VR", "value": "foo"},
    ]
    data = pydicom.Dataset()
    for field in fields:
        data.add_new(field["id"], field["type"], field["value"])
    anonymize_dataset(data)
    assert "Annie" not in str(data)
    assert data[0x0008, 0x0050].VR == "SH"  # TM is wrong for an accession number
    assert data[0x0008, 0x0050].value != "bar"
    assert (0x0018, 0x4000) not in data


def test_the_example_over_a_file_runs() -> None:
    original = dcmread(path_of("CT_small.dcm"))
    data = dcmread(path_of("CT_small.dcm"))
    anonymize_dataset(data, delete_private_tags=True)
    for keyword in ("PatientName", "PatientID", "StudyDate"):
        assert data[keyword].value != original[keyword].value
    assert not any(element.tag.is_private for element in data)
    assert data.PixelData == original.PixelData


def test_extra_rules_may_be_commands_actions_and_functions() -> None:
    def with_suffix(dataset: pydicom.Dataset, tag: tuple[int, int]) -> None:
        element = dataset.get(tag)
        if element is not None:
            element.value = f"{element.value}-suffix"

    data = dcmread(path_of("CT_small.dcm"))
    description = data.StudyDescription
    report = anonymize_dataset(
        data,
        extra_rules={
            (0x0008, 0x1030): with_suffix,
            (0x0010, 0x0010): "empty",
            (0x0010, 0x0020): "set(@project_name@-1)",
        },
        key=KEY,
    )
    assert data.StudyDescription == f"{description}-suffix"
    assert data.PatientName == ""
    assert data.PatientID == "Undefined-1"
    done = {change.keyword: change.outcome for change in report.changes}
    assert done["StudyDescription"] == done["PatientID"] == "changed"
    assert done["PatientIdentityRemoved"] == "inserted"
    assert done["InstitutionName"] == "removed"
    assert "Modality" not in done


def test_rules_may_stand_in_the_second_place() -> None:
    data = dcmread(path_of("CT_small.dcm"))
    anonymize_dataset(data, {(0x0010, 0x0040): "delete"})
    assert "PatientSex" not in data


@pytest.mark.parametrize("assignment", [resolve(), {(0x0010, 0x0040): "delete"}], ids=["assignment", "rules"])
def test_extra_rules_beside_other_rules_are_refused_and_not_passed_over(assignment: Any) -> None:
    data = dcmread(path_of("CT_small.dcm"))
    before = data.to_json()
    with pytest.raises(UsageError, match="extra rules"):
        anonymize_dataset(data, assignment, extra_rules={(0x0008, 0x0060): "delete"})
    assert data.to_json() == before


def test_private_elements_cannot_be_asked_for_beside_an_assignment() -> None:
    with pytest.raises(UsageError, match="private elements"):
        anonymize_dataset(pydicom.Dataset(), resolve(), delete_private_tags=False)


def test_private_elements_stay_when_asked_for() -> None:
    data = dcmread(path_of("CT_small.dcm"))
    private = {element.tag for element in data if element.tag.is_private}
    anonymize_dataset(data, delete_private_tags=False)
    assert private
    assert private == {element.tag for element in data if element.tag.is_private}


def test_a_report_holds_no_value() -> None:
    data = dcmread(path_of("CT_small.dcm"))
    name, identifier = str(data.PatientName), data.PatientID
    report = anonymize_dataset(data, resolve(preset="default"), key=KEY)
    assert name not in str(report)
    assert identifier not in str(report)


def test_problems_of_extra_rules_are_told() -> None:
    with pytest.raises(ConfigError, match="no_such_action"):
        anonymize_dataset(pydicom.Dataset(), extra_rules={(0x0010, 0x0010): "no_such_action"})


def test_what_cannot_be_encoded_is_refused_and_unchanged() -> None:
    data = pydicom.Dataset()
    data.PatientName = "Doe^Jane"
    data.add(pydicom.DataElement(0x00280010, "US", "many"))
    with pytest.raises(FileRefused, match="cannot be encoded"):
        anonymize_dataset(data)
    assert data.PatientName == "Doe^Jane"
    rows = pydicom.dataelem.RawDataElement(pydicom.tag.Tag("Rows"), "US", 3, b"abc", 0, False, True)
    with pytest.raises(FileRefused, match="cannot be encoded"):  # a number of three bytes
        anonymize_dataset(pydicom.Dataset({rows.tag: rows}))


@pytest.mark.parametrize(
    "name",
    [Path(name).name for name in get_charset_files("*.dcm")] + ["CT_small.dcm", "MR_small_bigendian.dcm", "rtplan.dcm"],
)
def test_text_that_needs_another_character_set_is_the_same_in_memory_and_in_files(tmp_path: Path, name: str) -> None:
    path = real_file(name)
    rules = resolve(assigns=parse_extra_rules({"PatientName": "set(山田)", "PatientComments": "keep"}, "test"))
    data, original = dcmread(path, force=True), dcmread(path, force=True)
    anonymize_dataset(data, rules, key=KEY)
    data.save_as(tmp_path / "saved.dcm")
    anonymize_file(path, tmp_path / "file.dcm", rules, key=KEY)
    saved, written = dcmread(tmp_path / "saved.dcm", force=True), dcmread(tmp_path / "file.dcm")
    for found in (data, saved, written):
        assert str(found.PatientName) == "山田"
        assert found.SpecificCharacterSet == written.SpecificCharacterSet
        assert found.get("PatientComments") == original.get("PatientComments")


def test_a_dataset_keeps_its_big_endian_form() -> None:
    data = dcmread(path_of("MR_small_bigendian.dcm"))
    pixels = data.PixelData
    anonymize_dataset(data, key=KEY)
    assert data.PixelData == pixels
    assert data.Rows == 64


def test_what_hides_beside_the_pixels_of_a_dataset_goes() -> None:
    data = dcmread(path_of("SC_rgb_jpeg_gdcm.dcm"))
    frame = next(generate_frames(data.PixelData, number_of_frames=1))
    comment = b"DOE^JANE MRN 4711"
    with_comment = frame[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + frame[2:]
    data.PixelData = encapsulate([with_comment])
    report = anonymize_dataset(data, key=KEY)
    assert b"DOE^JANE" not in data.PixelData
    assert frame[20:-40] in data.PixelData
    assert BLANKED in report.notes

    native = dcmread(path_of("CT_small.dcm"))
    picture = native.PixelData
    native.PixelData += comment + b" "
    report = anonymize_dataset(native, key=KEY)
    assert native.PixelData == picture
    assert TRIMMED in report.notes


@pytest.mark.parametrize(
    ("sop_class", "reason"),
    [(EncapsulatedPDFStorage, Reason.UNSUPPORTED), ("1.3.12.2.1107.5.9.1", Reason.UNSUPPORTED)],
)
def test_kinds_that_a_run_does_not_pass_on_are_refused_from_python_too(
    tmp_path: Path, sop_class: str, reason: Reason
) -> None:
    data = dcmread(path_of("CT_small.dcm"))
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    data.save_as(tmp_path / "source.dcm")
    before = data.to_json()
    with pytest.raises(FileRefused) as refused:
        anonymize_dataset(data, key=KEY)
    assert refused.value.reason is reason
    assert data.to_json() == before
    with pytest.raises(FileRefused) as refused:
        anonymize_file(tmp_path / "source.dcm", tmp_path / "target.dcm", key=KEY)
    assert refused.value.reason is reason
    assert not (tmp_path / "target.dcm").exists()
    rules = parse_config('{"general": {"objects": {"sr": "drop"}}}', "test")
    with pytest.raises(FileRefused) as refused:
        anonymize_dataset(dcmread(path_of("reportsi.dcm")), resolve(rules), key=KEY)
    assert refused.value.reason is Reason.DROPPED


def test_a_function_that_makes_uids_makes_the_one_of_the_file_meta(tmp_path: Path) -> None:
    def new(dataset: pydicom.Dataset, tag: pydicom.tag.BaseTag) -> None:
        dataset.SOPInstanceUID = generate_uid()

    data = dcmread(path_of("CT_small.dcm"))
    anonymize_dataset(data, extra_rules={(0x0008, 0x0018): new}, key=KEY)
    assert data.file_meta.MediaStorageSOPInstanceUID == data.SOPInstanceUID
    assignment = resolve(assigns=parse_extra_rules({(0x0008, 0x0018): new}, "test"))
    anonymize_file(path_of("CT_small.dcm"), tmp_path / "target.dcm", assignment, key=KEY)
    written = dcmread(tmp_path / "target.dcm")
    assert written.file_meta.MediaStorageSOPInstanceUID == written.SOPInstanceUID


def test_a_dataset_that_pydicom_cannot_convert_is_refused_without_its_bytes() -> None:
    data = dcmread(path_of("CT_small.dcm"))
    data[0x00081030] = RawDataElement(BaseTag(0x00081030), "Ja", 8, b"Doe^Jane", 0, False, True)
    with pytest.raises(FileRefused) as refused:
        anonymize_dataset(data, key=KEY)
    assert refused.value.reason is Reason.NOT_PARSABLE
    assert "Ja" not in str(refused.value)


@pytest.mark.parametrize("make", [None, os.symlink, os.link])
def test_a_file_is_never_written_over_itself(tmp_path: Path, make: Callable[[Path, Path], None] | None) -> None:
    source = target = tmp_path / "source.dcm"
    source.write_bytes(Path(path_of("CT_small.dcm")).read_bytes())
    if make is not None:
        target = tmp_path / "target.dcm"
        make(source, target)
    with pytest.raises(UsageError, match="same file"):
        anonymize_file(str(source), str(target), key=KEY)
    assert source.read_bytes() == target.read_bytes() == Path(path_of("CT_small.dcm")).read_bytes()


def test_paths_may_be_texts(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('{"general": {"PatientSex": "clear"}}')
    assert read_configs(str(rules)) == read_configs(rules) == read_configs([str(rules)]) == read_configs([rules])
    words = (path_of("CT_small.dcm"), str(tmp_path / "out"))
    assert anonymize_tree(*words, run_folder=str(tmp_path / "private")).written == 1
    assert anonymize_tree(*words, run_folder=tmp_path / "private").unchanged == 1
    assert RunFolder(tmp_path / "private").holds_key


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="on_burned_in is one of warn, quarantine, fail"):
        anonymize_tree(path_of("CT_small.dcm"), tmp_path / "out", on_burned_in="Warn")
    for jobs in (0, -1):
        with pytest.raises(UsageError, match="jobs is at least 1"):
            anonymize_tree(path_of("CT_small.dcm"), tmp_path / "out", jobs=jobs)
    assert not (tmp_path / "out").exists()


def test_an_empty_key_is_no_key(tmp_path: Path) -> None:
    data = dcmread(path_of("CT_small.dcm"))
    with pytest.raises(ValueError, match="16 bytes"):
        anonymize_dataset(data, key=b"")
    assert data == dcmread(path_of("CT_small.dcm"))
    for folder in (None, RunFolder(tmp_path / "private")):
        with pytest.raises(ValueError, match="16 bytes"):
            anonymize_tree(path_of("CT_small.dcm"), tmp_path / "out", key=b"", run_folder=folder)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("spelling", ["Doe^Jane^", "DOE^JANE", " doe^jane^^ ", "Doe^Jane^^^="])
def test_spellings_of_one_name_have_one_pseudonym(spelling: str) -> None:
    found = []
    for name in ("Doe^Jane", spelling):
        dataset = Dataset()
        dataset.ReferringPhysicianName = name
        anonymize_dataset(dataset, {"ReferringPhysicianName": "hash"}, key=KEY)
        found.append(str(dataset.ReferringPhysicianName))
    assert found[0] == found[1] != "Doe^Jane"


def test_no_warning_quotes_a_value() -> None:
    path = str(get_testdata_file("CT_small.dcm"))
    dataset = dcmread(path)
    raw = dataset.get_item("FrameOfReferenceUID")
    assert isinstance(raw, RawDataElement)
    dataset._dict[raw.tag] = raw._replace(value=b"1.2.3.Doe", length=9)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with suppress(FileRefused):
            anonymize_dataset(dataset, key=KEY)
    assert not [warning for warning in told if "Doe" in str(warning.message)]


def test_a_sequence_that_goes_with_all_its_items_is_told() -> None:
    code, item, data = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "121031", "DCM", "Subject Birth Date"
    item.SpecificCharacterSet, item.RelationshipType, item.ValueType = "ISO_IR 100", "HAS OBS CONTEXT", "DATE"
    item.ConceptNameCodeSequence, item.Date = [code], "19611230"
    data.PatientID, data.ContentSequence = "X", [item]
    report = anonymize_dataset(data, resolve(preset="tcia"), key=KEY)
    assert "ContentSequence" not in data
    told = {change.keyword: change.outcome for change in report.changes}
    assert told["ContentSequence"] == told["SpecificCharacterSet"] == told["Date"] == "removed"
