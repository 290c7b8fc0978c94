"""`set`: what it takes, and what it becomes in the element's VR."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from dicom_anon import anonymize_dataset, anonymize_file
from dicom_anon.assignment import Assignment, resolve
from dicom_anon.config import parse_config
from dicom_anon.errors import ConfigError, FileRefused, Reason
from tests.datasets import KEY, file_bytes, image, item, real_file


def under(**rules: str) -> Assignment:
    return resolve(parse_config(json.dumps({"general": rules}), "test"))


@pytest.mark.parametrize(
    "keyword", ["StudyDescription", "StudyID", "PatientName", "ConsultingPhysicianName", "StrainStockNumber"]
)
@pytest.mark.parametrize("text", ["line\nbreak", "a\tb", "a\fb", "a\r\nb", "\x1b$B", "a\0b", "@value@\n"])
@pytest.mark.parametrize("command", ["set", "replace"])
def test_a_control_character_is_refused_where_there_are_no_lines(keyword: str, text: str, command: str) -> None:
    with pytest.raises(ConfigError, match="control characters in VR"):
        under(**{keyword: f"{command}({text})"})


@pytest.mark.parametrize("keyword", ["PatientComments", "ImageComments", "InstitutionAddress", "TextValue"])
def test_a_text_of_lines_takes_what_ends_lines_and_nothing_else(keyword: str) -> None:
    data = dcmread(real_file("CT_small.dcm"))
    data.update(item(**{keyword: "x"}))
    anonymize_dataset(data, under(**{keyword: "set(a\tb\r\nc\fd)"}), key=KEY)
    assert data[keyword].value == "a\tb\r\nc\fd"
    for text in ("a\x1bb", "a\0b", "a\x07"):
        with pytest.raises(ConfigError, match="control characters in VR"):
            under(**{keyword: f"set({text})"})


@pytest.mark.parametrize("setting", ["name", "owner", "prefix"])
def test_what_macros_insert_has_no_control_characters_either(setting: str) -> None:
    with pytest.raises(ConfigError, match="control characters"):
        under(**{setting: "Knee\nstudy"})


SIGNED = ("SmallestImagePixelValue", "PixelPaddingValue", "SmallestPixelValueInSeries")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("present", [False, True])
def test_a_number_of_either_sign_is_written_as_the_pixels_are(tmp_path: Path, syntax: str, present: bool) -> None:
    data = image(PixelRepresentation=1)
    for keyword in SIGNED if present else ():
        data.add_new(keyword, "SS", 5)
    (tmp_path / "in.dcm").write_bytes(file_bytes(data, syntax))
    rules = under(preset="none", **dict.fromkeys(SIGNED, "set(-5)"))
    anonymize_file(tmp_path / "in.dcm", tmp_path / "out.dcm", rules, key=KEY)
    found = dcmread(tmp_path / "out.dcm")
    assert [(found[keyword].VR, found[keyword].value) for keyword in SIGNED] == [("SS", -5)] * 3


@pytest.mark.parametrize("present", [False, True])
def test_a_number_below_zero_is_refused_where_pixels_have_no_sign(tmp_path: Path, present: bool) -> None:
    data = image(**({"SmallestImagePixelValue": 5} if present else {}))
    (tmp_path / "in.dcm").write_bytes(file_bytes(data, ImplicitVRLittleEndian))
    with pytest.raises(FileRefused) as refused:
        anonymize_file(tmp_path / "in.dcm", tmp_path / "out.dcm", under(SmallestImagePixelValue="set(-5)"), key=KEY)
    assert refused.value.reason is Reason.VALUE_NOT_WRITABLE


@pytest.mark.parametrize("nested", [False, True])
def test_a_number_below_zero_is_read_as_one_in_implicit_vr(tmp_path: Path, nested: bool) -> None:
    data = image(PixelRepresentation=1)
    inner = item(PatientComments="x")
    inner.add_new("PixelPaddingValue", "SS", -2000)
    if nested:
        data.ReferencedImageSequence = [inner]
    else:
        data.update(inner)
    (tmp_path / "in.dcm").write_bytes(file_bytes(data, ImplicitVRLittleEndian))
    rules = under(preset="none", PatientComments="set(@value(PixelPaddingValue)@)")
    anonymize_file(tmp_path / "in.dcm", tmp_path / "out.dcm", rules, key=KEY)
    found = dcmread(tmp_path / "out.dcm")
    assert (found.ReferencedImageSequence[0] if nested else found).PatientComments == "-2000"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_numbers_and_tags_have_several_values_as_texts_have(tmp_path: Path, syntax: str) -> None:
    data = image(AcquisitionMatrix=[7, 256, 8, 0], FrameIncrementPointer=["EchoTime", "FrameTime"])
    (tmp_path / "in.dcm").write_bytes(file_bytes(data, syntax))
    for name, keyword in (("matrix", "AcquisitionMatrix"), ("pointer", "FrameIncrementPointer")):
        rules = under(preset="none", PatientComments=f"set(@value({keyword})@)", **{keyword: "set(@value@)"})
        anonymize_file(tmp_path / "in.dcm", tmp_path / name, rules, key=KEY)
    found = dcmread(tmp_path / "matrix")
    assert (found.AcquisitionMatrix, found.PatientComments) == (7, "7")
    found = dcmread(tmp_path / "pointer")
    assert (found.FrameIncrementPointer, found.PatientComments) == (0x00180081, "(0018,0081)")
    anonymize_file(tmp_path / "in.dcm", tmp_path / "hashed", under(AcquisitionMatrix="hash"), key=KEY)
    hashed = dcmread(tmp_path / "hashed").AcquisitionMatrix
    assert len(set(hashed)) == 4
    assert not {7, 256, 8} & set(hashed)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_bigendian.dcm", "rtplan.dcm"])
def test_bytes_in_digits_are_taken_by_what_a_file_lacks(tmp_path: Path, name: str) -> None:
    rules = under(WaveformData="set(hex:0102)", RedPaletteColorLookupTableData="set(hex:030405)")
    anonymize_file(real_file(name), tmp_path / "out.dcm", rules, key=KEY)
    found = dcmread(tmp_path / "out.dcm")
    assert (found.WaveformData, found.RedPaletteColorLookupTableData) == (b"\1\2", b"\3\4\5\0")


def test_the_sop_class_is_the_same_in_the_file_meta(tmp_path: Path) -> None:
    rules = under(SOPClassUID=f"set({SecondaryCaptureImageStorage})")
    data = dcmread(real_file("CT_small.dcm"))
    anonymize_dataset(data, rules, key=KEY)
    anonymize_file(real_file("CT_small.dcm"), tmp_path / "out.dcm", rules, key=KEY)
    for found in (data, dcmread(tmp_path / "out.dcm")):
        assert found.SOPClassUID == found.file_meta.MediaStorageSOPClassUID == SecondaryCaptureImageStorage
