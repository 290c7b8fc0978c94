"""The dataset interface, also in the way in which dicom-anonymizer's users call theirs."""

from __future__ import annotations

from typing import Any

import pydicom
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from dicom_anon import ConfigError, FileRefused, anonymize_dataset, resolve

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


def test_a_dataset_keeps_its_big_endian_form() -> None:
    data = dcmread(path_of("MR_small_bigendian.dcm"))
    pixels = data.PixelData
    anonymize_dataset(data, key=KEY)
    assert data.PixelData == pixels
    assert data.Rows == 64
