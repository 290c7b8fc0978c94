"""The patient of an item: its own, else that of the item around it, else the file's."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from dicom_anon import FileRefused, anonymize_dataset, parse_config, resolve
from dicom_anon.lookup import parse_lookup

KEY = b"a key that is only for the tests"

RULES = """{"general": {"preset": "none", "SeriesDate": "shiftdate", "PatientID": "set(@hash_mrn@)",
    "PatientName": "set(@hash_mrn@)"}}"""


def _item(**elements: object) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def test_what_is_within_an_item_of_another_patient_is_of_that_patient() -> None:
    inner = _item(SeriesDate="20200110", PatientName="Mother^Ann")
    outer = _item(PatientID="M1", SeriesDate="20200110", ReferencedSeriesSequence=[inner])
    data = _item(PatientID="C1", SeriesDate="20200110", PatientName="Child^Bob", SourceImageSequence=[outer])
    anonymize_dataset(data, resolve(parse_config(RULES, "test")), key=KEY)
    outer = data.SourceImageSequence[0]
    inner = outer.ReferencedSeriesSequence[0]
    assert inner.SeriesDate == outer.SeriesDate != data.SeriesDate
    assert inner.PatientName == outer.PatientID != data.PatientName


def _visits() -> Dataset:
    """A child's Data Set with an item of its mother, and one without a patient in that."""
    outer = _item(PatientID="M1", SeriesDate="20200110", ReferencedSeriesSequence=[_item(SeriesDate="20200110")])
    return _item(PatientID="C1", SeriesDate="20200110", SourceImageSequence=[outer])


def test_the_lookup_table_is_asked_for_that_patient_too() -> None:
    child, mother = "PatientID,SubjectID,DateOffset\nC1,S1,-3\n", "M1,S2,-5\n"
    known, unknown = (
        resolve(parse_config(RULES, "test"), lookup=parse_lookup(rows, "")) for rows in (child + mother, child)
    )
    data = _visits()
    anonymize_dataset(data, known, key=KEY)
    outer = data.SourceImageSequence[0]
    dates = [level.SeriesDate for level in (data, outer, outer.ReferencedSeriesSequence[0])]
    assert dates == ["20200107", "20200105", "20200105"]
    with pytest.raises(FileRefused, match="identity-missing"):
        anonymize_dataset(_visits(), unknown, key=KEY)


def test_an_issuer_tells_patients_apart_only_where_an_item_names_another() -> None:
    def item(number: str, issuer: str) -> Dataset:
        return _item(PatientID=number, IssuerOfPatientID=issuer, SeriesDate="20200110")

    data = item("C1", "Ward")
    data.SourceImageSequence = [item("C1", ""), item("M1", "Ward"), item("M1", "Clinic")]
    anonymize_dataset(data, resolve(parse_config(RULES, "test")), key=KEY)
    own, *others = (found.PatientID for found in data.SourceImageSequence)
    assert (own, len({own, *others})) == (data.PatientID, 3)
