"""Dates and times: `shiftdate` and `truncdate`."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence

from dicom_anon import anonymize_dataset
from dicom_anon.actions import shift_date, truncate_date
from dicom_anon.assignment import Assignment, resolve
from dicom_anon.engine import Engine, Plan
from dicom_anon.scope import DateShift
from tests import datasets
from tests.datasets import KEY, decode, encode, item, rewrite, walked

DAYS = st.dates(datetime.date(100, 1, 1), datetime.date(1500, 1, 1)) | st.dates(  # far from all placeholders
    datetime.date(2200, 1, 1), datetime.date(9800, 1, 1)
)


def run(data_set: Dataset, assignment: Assignment) -> Dataset:
    pieces = Engine(Plan(assignment, KEY)).run(walked(encode(data_set))).pieces
    return decode(b"".join(piece for piece in pieces if isinstance(piece, bytes)))


def written(day: datetime.date) -> str:
    return f"{day.year:04}{day.month:02}{day.day:02}"


@pytest.mark.parametrize(
    ("value", "days", "expected"),
    [
        ("20200301", -1, "20200229"), ("20190301", -1, "20190228"), ("18991231", 1, "19000101"),
        ("15821015", -1, "15821014"), ("20200229", 366, "20210301"), ("2020.03.01", -1, "20200229"),
        (" 20200301\0", -1, "20200229"), ("2020", -40, "2019"), ("202003", -31, "202001"),
        ("202003", 0, "202003"),
        ("20200301101112", -1, "20200229101112"), ("20200301101112.123456", 1, "20200302101112.123456"),
        ("20200301101112.5+0100", -1, "20200229101112.5"), ("2020030110", -1, "2020022910"),
        ("202003011011-0500", -1, "202002291011"), ("2020-0500", 0, "2020"),
        ("20200301-1130", -1, "20200229"),
        ("20200101-20200131", 10, "20200111-20200210"), ("20200101-", 10, "20200111-"),
        ("-20200131", 1, "-20200201"),
        ("20200101101010-20200131", 1, "20200102101010-20200201"), ("2019-2020", 0, "2019-2020"),
        ("20200101 - 20200131", 1, "20200102-20200201"),
        ("20200101-0500-20200131-0500", 1, "20200102-20200201"),
        ("20201301", 1, ""), ("20200230", 1, ""), ("Tuesday", 1, ""), ("", 1, ""), ("-", 1, ""),
        ("2020010", 1, ""),
        ("00010102", -9, ""), ("99991230", 9, ""), ("20200101250000", 1, ""), ("20200101Smith", 1, ""),
        ("19700101", -9, "19000101"), ("18581117", 9, "19000101"), ("99991231", -9, "19000101"),
        ("00010101000000.0", -9, "19000101000000.0"), ("1970.01.01", -9, "19000101"), ("19000101", -9, "19000101"),
        ("20200110-99991231", -9, "20200101-19000101"), ("1970", -9, "1969"), ("19700102", -9, "19691224"),
        ("20200101-Smith", 1, ""), ("٢٠٢٠٠١٠١", 1, ""),
    ],
)  # fmt: skip
def test_shift_date(value: str, days: int, expected: str) -> None:
    assert shift_date(value, days) == expected


@given(DAYS, DAYS, st.integers(-36000, 36000))
def test_order_and_intervals_survive_a_shift(one: datetime.date, other: datetime.date, days: int) -> None:
    new = [datetime.datetime.strptime(shift_date(written(day), days).zfill(8), "%Y%m%d").date() for day in (one, other)]
    assert new[0] - new[1] == one - other
    assert shift_date(shift_date(written(one), days), -days) == written(one)


@given(st.text(max_size=30))
def test_any_text_is_a_date_before_and_after_or_empty(text: str) -> None:
    shifted = shift_date(text, -100)
    assert shift_date(shifted, 0) == shifted
    assert set(shifted) <= set("0123456789.-+")


def test_one_offset_for_all_dates_of_a_patient_and_another_for_the_next() -> None:
    rules = {
        "StudyDate": "shiftdate",
        "AcquisitionDateTime": "shiftdate",
        "StudyTime": "shiftdate",
        "ContentDate": "shiftdate",
    }

    def shifted(patient: str, **more: str) -> Dataset:
        return rewrite(
            item(
                PatientID=patient, StudyDate="20200110", StudyTime="101112.25",
                AcquisitionDateTime="20200112235959.5-0500", ContentDate=["20200111", "19991231"], **more,
            ),
            rules,
        )  # fmt: skip

    one, same, other = shifted("A"), shifted("A ", Modality="MR"), shifted("B")
    day = datetime.datetime.strptime(one.StudyDate, "%Y%m%d")
    assert datetime.timedelta(1) <= datetime.datetime(2020, 1, 10) - day <= datetime.timedelta(3650)
    assert one.StudyTime == "101112.25"
    assert one.AcquisitionDateTime == f"{day + datetime.timedelta(2):%Y%m%d}235959.5"
    assert datetime.datetime.strptime(one.ContentDate[0], "%Y%m%d") - day == datetime.timedelta(1)
    assert (one.StudyDate, one.ContentDate) == (same.StudyDate, same.ContentDate)
    assert one.StudyDate != other.StudyDate


def test_a_time_stays_and_what_is_none_goes() -> None:
    found = rewrite(
        item(PatientID="A", StudyTime="1011-1012", SeriesTime="half past nine", ContentTime=""),
        {"StudyTime": "shiftdate", "SeriesTime": "shiftdate", "ContentTime": "shiftdate"},
    )
    assert (found.StudyTime, found.SeriesTime, found.ContentTime) == ("1011-1012", "", "")


def test_values_around_one_that_is_no_time_stay_beside_their_dates() -> None:
    source = item(PatientID="A", CalibrationDate=["20200101", "soon", "20200103"], CalibrationTime=["10", "soon", "12"])
    found = rewrite(source, {"CalibrationDate": "shiftdate", "CalibrationTime": "shiftdate"})
    assert [bool(value) for value in found.CalibrationDate] == [True, False, True]
    assert list(found.CalibrationTime) == ["10", "", "12"]


@pytest.mark.parametrize("value", ["2024", "202402", "20240229101112", "2024-2025", "20240229-0500", "202402-20240301"])
def test_a_da_that_is_no_whole_day_is_emptied(value: str) -> None:
    rules = {"StudyDate": "shiftdate", "ContentDate": "shiftdate"}
    found = rewrite(item(PatientID="A", StudyDate=value, ContentDate=["20240229", value]), rules)
    assert found.StudyDate == "" == found.ContentDate[1]
    assert len(found.ContentDate[0]) == 8


def test_a_nested_patient_of_its_own_has_its_own_offset() -> None:
    mother = item(PatientID="M", StudyDate="20200110")
    found = rewrite(
        item(PatientID="F", StudyDate="20200110", ReferencedPatientSequence=Sequence([mother])),
        {"StudyDate": "shiftdate"},
    )
    alone = rewrite(item(PatientID="M", StudyDate="20200110"), {"StudyDate": "shiftdate"})
    assert found.ReferencedPatientSequence[0].StudyDate == alone.StudyDate != found.StudyDate


@pytest.mark.parametrize(
    ("shift", "low", "high"),
    [(DateShift(5, 5), -5, -5), (DateShift(days=30), 30, 30), (DateShift(100, 110), -110, -100)],
)
def test_the_setting_decides_how_far(shift: DateShift, low: int, high: int) -> None:
    assignment = replace(datasets.assignment({"StudyDate": "shiftdate"}), date_shift=shift)
    for patient in "ABCDE":
        found = run(item(PatientID=patient, StudyDate="20200110"), assignment)
        moved = datetime.datetime.strptime(found.StudyDate, "%Y%m%d") - datetime.datetime(2020, 1, 10)
        assert low <= moved.days <= high


def test_a_pet_series_keeps_its_decay_arithmetic() -> None:
    source = item(
        PatientID="P", SOPClassUID="1.2.840.10008.5.1.4.1.1.128", StudyInstanceUID="1.2.3",
            SeriesInstanceUID="1.2.4",
        SOPInstanceUID="1.2.5", SeriesDate="20200301", SeriesTime="001500", AcquisitionDate="20200301",
        AcquisitionTime="002000", RadiopharmaceuticalInformationSequence=Sequence(
            [item(RadiopharmaceuticalStartDateTime="20200229233000", RadiopharmaceuticalStartTime="233000")]
        ),
    )  # fmt: skip
    found = run(source, resolve(preset="tcia"))

    def seconds(data_set: Dataset) -> float:
        start = data_set.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime
        acquired = data_set.AcquisitionDate + data_set.AcquisitionTime
        form = "%Y%m%d%H%M%S"
        return (datetime.datetime.strptime(acquired, form) - datetime.datetime.strptime(start, form)).total_seconds()

    assert seconds(found) == seconds(source) == 3000
    assert found.SeriesDate != "20200301"
    assert found.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime == "233000"


@pytest.mark.parametrize(
    "value", ["20040230", "2004", "abc", "20040101-20050101", "20040119+9912", "20040119996199", "200401191"]
)
def test_truncate_date_has_no_other_day_left(value: str) -> None:
    assert truncate_date(value) in ("", "2004")


@pytest.mark.parametrize(
    ("value", "first"),
    [
        ("2004+0100", "2004+0100"), ("200407", "200401"), ("2004.07.19", "20040101"), ("2004071923", "2004010123"),
        ("200407192359-1030", "200401012359-1030"), ("20040719235959.123456", "20040101235959.123456"),
    ],
)  # fmt: skip
def test_truncate_date_keeps_precision_time_and_zone(value: str, first: str) -> None:
    assert truncate_date(value) == first


def test_a_zone_that_changes_in_summer_does_not_tell_where_in_the_year_a_moved_day_was() -> None:
    left = []
    for day, zone in (("20200328", "+0100"), ("20200330", "+0200")):
        visit = datasets.image(PatientID="7", AcquisitionDateTime=f"{day}101500{zone}", TimezoneOffsetFromUTC=zone)
        anonymize_dataset(visit, resolve(preset="tcia"), key=KEY)
        assert "TimezoneOffsetFromUTC" not in visit
        left.append(str(visit.AcquisitionDateTime)[8:])
    assert left == ["101500", "101500"]
