"""The patient of an item: its own, else that of the item around it, else the file's."""

from __future__ import annotations

from pydicom import Dataset

from dicom_anon import anonymize_dataset, parse_config, resolve

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
    anonymize_dataset(data, resolve(parse_config(RULES, "test")), key=b"a key that is only for the tests")
    outer = data.SourceImageSequence[0]
    inner = outer.ReferencedSeriesSequence[0]
    assert inner.SeriesDate == outer.SeriesDate != data.SeriesDate
    assert inner.PatientName == outer.PatientID != data.PatientName
