"""Sequences that are replaced: a dummy for every value in their items, whatever the elements' own rules would leave."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydicom import dcmread

from dicom_anon import anonymize_dataset
from dicom_anon.assignment import resolve
from dicom_anon.config import parse_config
from tests.datasets import KEY, item, real_file, rewrite


def test_what_tells_how_a_replaced_value_is_to_be_read_stays() -> None:
    told = item(
        ConceptNameCodeSequence=[item(CodeValue="M-02550", CodingSchemeDesignator="SRT", CodeMeaning="Diameter")],
        ContentTemplateSequence=[
            item(MappingResource="DCMR", MappingResourceName="Templates", TemplateIdentifier="300")
        ],
        MeasuredValueSequence=[
            item(
                NumericValue="4.2",
                MeasurementUnitsCodeSequence=[item(CodeValue="mm", CodingSchemeDesignator="UCUM", CodeMeaning="mm")],
            )
        ],
        ReferencedSOPSequence=[item(ReferencedSOPInstanceUID="1.2.3")],
    )
    rules = {"ContentSequence": "replace", "ReferencedSOPInstanceUID": "keep"}
    (found,) = rewrite(item(ContentSequence=[told]), rules).ContentSequence
    assert found.MeasuredValueSequence[0].NumericValue == "0"
    del found.MeasuredValueSequence[0].NumericValue
    del told.MeasuredValueSequence[0].NumericValue
    assert found == told


@pytest.mark.parametrize(
    ("preset", "more"),
    [
        ("default", {}),
        ("default", {"StudyDate": "shiftdate", "StudyDescription": "regexp(e,E)", "StudyTime": "shiftdate"}),
        ("basic", {"profile_options": ["retain_modified_dates", "clean_descriptors"]}),
    ],
)
def test_nothing_of_a_value_stays_in_a_replaced_sequence(preset: str, more: dict[str, Any]) -> None:
    data = dcmread(real_file("CT_small.dcm"))
    inner = item(
        PatientAge="033Y", StudyDate="20200304", StudyTime="101112", StudyDescription="Knee", StudyInstanceUID="1.2.3"
    )
    data.RequestAttributesSequence = [inner, item(AnatomicRegionSequence=[inner])]
    rules = {"preset": preset, "RequestAttributesSequence": "replace", "StudyTime": "keep", **more}
    anonymize_dataset(data, resolve(parse_config(json.dumps({"general": rules}), "test")), key=KEY)
    first, second = data.RequestAttributesSequence
    for found in (first, second.AnatomicRegionSequence[0]):
        assert found.get("PatientAge", "000D") == "000D"
        assert (found.get("StudyDate") or "19000101", found.StudyTime) == ("19000101", "000000")
        assert found.get("StudyDescription", "ANONYMIZED") == "ANONYMIZED"
        assert found.StudyInstanceUID.startswith("2.25.")
