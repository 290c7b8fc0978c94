"""What is left of private elements that Table E.3.10-1 or the file itself declares safe."""

from __future__ import annotations

import functools
import json

import pytest
from pydicom import Dataset, Sequence, dcmread

from dicom_anon import anonymize_dataset
from dicom_anon.assignment import resolve
from dicom_anon.config import parse_config
from dicom_anon.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from dicom_anon.engine import Engine, Plan
from tests.datasets import KEY, decode, encode, item, real_file, rewrite_bytes, walked
from tests.work import calls

PHILIPS = "Philips Imaging DD 001"
PATIENT = "Zwickelbart^Ottokar"
BY_TABLE = {"FL": 0x03, "CS": 0x0B, "SS": 0x05, "LO": 0x50, "IS": 0x1D, "DS": 0x23, "UL": 0x30}
"""Elements of Table E.3.10-1 by the VR that it gives them."""


@functools.cache
def safe_private_engine() -> Engine:
    return Engine(Plan(resolve(preset="basic", profile_options=["retain_safe_private"]), KEY))


def kept_of(
    vr: str, value: object, offset: int, declared_too: bool = False, encoding: Encoding = EXPLICIT_LITTLE
) -> str:
    """Return what is left of a private element that the table, or the file itself, declares safe."""
    source = item(SpecificCharacterSet="ISO_IR 192", PatientID="QX-775533", PatientName=PATIENT)
    source.add_new(0x20010010, "LO", "NOBODY KNOWS" if declared_too else PHILIPS)
    source.add_new(0x20011000 + offset, vr, value)
    if declared_too:
        block = item(PrivateGroupReference=0x2001, PrivateCreatorReference="NOBODY KNOWS")
        block.BlockIdentifyingInformationStatus = "SAFE"
        source.PrivateDataElementCharacteristicsSequence = Sequence([block])
    pieces = safe_private_engine().run(walked(encode(source, encoding), encoding)).pieces
    left = decode(b"".join(piece for piece in pieces if isinstance(piece, bytes)), encoding)
    found = left.get_item(0x20011000 + offset)  # not as pydicom's own table of private elements reads it
    assert found is not None
    return (found.value or b"").decode().strip(" \0")


@pytest.mark.parametrize("declared_too", [False, True], ids=["table", "file"])
@pytest.mark.parametrize("by_table", BY_TABLE)
@pytest.mark.parametrize("vr", ["LO", "LT", "SH", "ST", "UC", "UT", "AE", "UN"])
def test_text_of_a_safe_element_is_cleaned_whatever_the_table_says(vr: str, by_table: str, declared_too: bool) -> None:
    value = "Otto Zwickelbart"
    left = kept_of(vr, value.encode() if vr == "UN" else value, BY_TABLE[by_table], declared_too)
    assert left == "Otto"


@pytest.mark.parametrize("declared_too", [False, True], ids=["table", "file"])
@pytest.mark.parametrize("by_table", BY_TABLE)
def test_a_name_in_a_safe_element_never_stays(by_table: str, declared_too: bool) -> None:
    assert kept_of("PN", "Anybody^Else", BY_TABLE[by_table], declared_too) == ""
    assert kept_of("CS", "ZWICKELBART", BY_TABLE[by_table], declared_too) == ""
    assert kept_of("CS", "Otto Zwickelbart", BY_TABLE[by_table], declared_too) == "", "no code string is left"
    assert kept_of("UI", "1.2.3.4", BY_TABLE[by_table], declared_too).startswith("2.25.")


def test_text_in_another_character_set_is_still_text() -> None:
    assert "Zwickelbart" not in kept_of("UN", "Fu\x9f Zwickelbart".encode("latin-1"), 0x50)


@pytest.mark.parametrize("value", ["ZWICKELBART AP", "AP QX 775533", "AP Zwickelbart^Ottokar "])
def test_text_of_a_safe_element_is_cleaned_in_implicit_vr(value: str) -> None:
    for offset in BY_TABLE.values():
        assert kept_of("UN", value.encode(), offset, encoding=IMPLICIT_LITTLE) == "AP"


@pytest.mark.parametrize(
    ("vr", "offset", "value"),
    [
        ("CS", 0x0B, "TRANSVERSAL"),
        ("IS", 0x1D, "12345678"),
        ("UN", 0x1D, b"12345678"),
        ("UN", 0x23, b"1234567.5\\-2e9 "),
        ("UN", 0x03, b"\2\0\x10?"),
        ("UN", 0x03, "Fuß 3D\\T2".encode()),
        ("LO", 0x50, "T2 AX FLAIR"),
    ],
)
def test_what_does_not_identify_stays_in_a_safe_element(vr: str, offset: int, value: str | bytes) -> None:
    for encoding in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
        expected = value.decode() if isinstance(value, bytes) else value
        assert kept_of(vr, value, offset, encoding=encoding) == expected.strip(" \0")


def declaring(status: str) -> Dataset:
    """Real image with a private block of which it says how safe it is."""
    found = dcmread(real_file("CT_small.dcm"))
    found.StudyDate = "20040119"
    block = found.private_block(0x0041, "ONE MAKER", create=True)
    for low, vr, value in (
        (1, "LO", "T2 AX"),
        (2, "DA", "20040119"),
        (3, "DT", ["20040119101010.5+0100", "2004"]),
        (4, "TM", "101010"),
        (5, "DA", ""),
    ):
        block.add_new(low, vr, value)
    says = item(PrivateGroupReference=0x0041, PrivateCreatorReference="ONE MAKER")
    says.BlockIdentifyingInformationStatus = status
    found.PrivateDataElementCharacteristicsSequence = [says]
    return found


def values_of(data_set: Dataset) -> list[str]:
    return [str(data_set[0x00411000 + low].value) for low in range(1, 6) if 0x00411000 + low in data_set]


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, ["T2 AX", "", "", "", ""]),
        ({"profile_options": "retain_full_dates"},
         ["T2 AX", "20040119", "['20040119101010.5+0100', '2004']", "101010", ""]),
        ({"profile_options": "retain_modified_dates", "date_shift": {"days": -18}},
         ["T2 AX", "20040101", "['20040101101010.5', '2003']", "101010", ""]),
    ],
)  # fmt: skip
def test_dates_of_a_safe_block_go_the_way_of_the_public_ones(settings: dict[str, object], left: list[str]) -> None:
    data = declaring("SAFE")
    rules = parse_config(json.dumps({"general": {"preset": "basic", **settings}}), "test")
    report = anonymize_dataset(data, resolve(rules, profile_options=["retain_safe_private"]), key=KEY)
    assert values_of(data) == left
    assert "20040119" not in str(report)


@pytest.mark.parametrize("status", ["SAFE", "UNSAFE"])
@pytest.mark.parametrize("pattern", ["(0041,xxxx)", "(00x1,10xx)", "(xx41,100x)"])
@pytest.mark.parametrize(("command", "left"), [("remove", []), ("keep", values_of(declaring("SAFE")))])
def test_a_pattern_of_the_user_goes_over_what_a_file_declares(
    status: str, pattern: str, command: str, left: list[str]
) -> None:
    data = declaring(status)
    rules = parse_config(json.dumps({"general": {"preset": "tcia", pattern: command}}), "test")
    anonymize_dataset(data, resolve(rules), key=KEY)
    assert values_of(data) == left


@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
def test_uids_of_a_private_element_are_those_of_the_file_in_implicit_vr_too(encoding: Encoding) -> None:
    data_set = item(StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.34")
    data_set.private_block(0x21, "MAKER", create=True).add_new(1, "UI", ["1.2.3", "1.2.34"])
    rules = {"StudyInstanceUID": "uid", "SeriesInstanceUID": "uid", '(0021,xx01,"MAKER")': "uid"}
    raw = rewrite_bytes(encode(data_set, encoding), rules, encoding)
    found = decode(raw, encoding)
    told = f"{found.StudyInstanceUID}\\{found.SeriesInstanceUID}".encode()
    assert told + b"\0" * (len(told) % 2) in raw


def test_a_block_that_is_declared_for_each_of_its_elements_is_read_once() -> None:
    def work(count: int) -> int:
        source = item(PatientID="QX-775533")
        block = item(PrivateGroupReference=0x2001, PrivateCreatorReference="MAKER")
        block.BlockIdentifyingInformationStatus = "SAFE"
        source.PrivateDataElementCharacteristicsSequence = Sequence([block] * count)
        inner = Dataset()
        inner.private_block(0x2001, "MAKER", create=True).add_new(1, "LO", "left")
        source.private_block(0x2001, "MAKER", create=True).add_new(2, "SQ", Sequence([inner] * count))
        data = walked(encode(source, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
        return calls(lambda: safe_private_engine().run(data))

    work(1)
    assert work(200) < 6 * work(50)
