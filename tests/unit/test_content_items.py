"""Content items of structured reports, by their concept names (PS3.15 Table E.3.4-1)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydicom import Dataset, Sequence

from dicom_anon.actions.content import concept_code
from dicom_anon.assignment import Assignment, resolve
from dicom_anon.config import parse_config
from dicom_anon.engine import Engine, Plan
from dicom_anon.explaining import Explainer
from tests.datasets import KEY, decode, encode, item, rewrite, walked


def run(data_set: Dataset, assignment: Assignment) -> Dataset:
    pieces = Engine(Plan(assignment, KEY)).run(walked(encode(data_set))).pieces
    return decode(b"".join(piece for piece in pieces if isinstance(piece, bytes)))


def content(value_type: str, code: str, scheme: str = "DCM", **value: object) -> Dataset:
    name = item(CodeValue=code, CodingSchemeDesignator=scheme, CodeMeaning="concept")
    return item(RelationshipType="CONTAINS", ValueType=value_type, ConceptNameCodeSequence=Sequence([name]), **value)


@pytest.mark.parametrize(
    ("concept", "value_type", "options", "code"),
    [
        (("DCM", "121022"), "TEXT", (), "X"), (("DCM", "121071"), "TEXT", (), "D"), (("DCM", "121071"),
        "CODE", (), "U"),
        (("DCM", "121071"), "TEXT", ("clean_descriptors",), "C"), (("DCM", "121008"),
        "PNAME", ("clean_descriptors",), "D"),
        (("DCM", "121031"), "DATE", ("retain_full_dates", "retain_modified_dates"), "X"),
        (("DCM", "121033"), "NUM", (), "X"), (("DCM", "121033"), "NUM", ("retain_patient_characteristics",),
        "K"),
        (("DCM", "111060"), "DATE", ("retain_modified_dates",), "C"), (("DCM", "121122"),
        "TEXT", ("clean_descriptors",), "C"),
        (("DCM", "113723"), "DATETIME", ("retain_modified_dates",), "D"),  # of a device: many patients have it
        (("DCM", "113723"), "DATETIME", ("retain_full_dates",), "K"),
        (("DCM", "121122"), "TEXT", ("retain_device_identity", "clean_descriptors"), "C"),
        (("99X", "1"), "TEXT", (), "C"), (("99X", "1"), "NUM", (), "U"), (("99X", "1"), "", (), "C"),
        (("SRT", "121022"), "IMAGE", (), "U"), (("99X", "1"), "UIDREF", ("retain_uids",), "U"),
        (("DCM", "112040"), "UIDREF", ("retain_uids",), "K"), (("DCM", "112040"), "UIDREF", (), "D"),
    ],
)  # fmt: skip
def test_code_of_a_concept(concept: tuple[str, str], value_type: str, options: tuple[str, ...], code: str) -> None:
    assert concept_code(concept, value_type, options) == code


def report(*more: Dataset, **top: object) -> Dataset:
    findings = content("CONTAINER", "121070", ContinuityOfContent="SEPARATE", ContentSequence=Sequence([
        content("TEXT", "121071", TextValue="Fracture, told Dr. Miller"),
        content("TEXT", "1", "99X", TextValue="Jane Doe has a fracture"),
        content("CODE", "121071", ConceptCodeSequence=Sequence([item(CodeValue="72704001",
            CodingSchemeDesignator="SCT", CodeMeaning="Fracture")])),
        content("NUM", "103355008", "SCT", MeasuredValueSequence=Sequence([item(NumericValue="4.2")])),
    ]))  # fmt: skip
    return item(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", SOPInstanceUID="1.2.3", StudyInstanceUID="1.2.4",
            PatientID="ID-4711",
        PatientName="Doe^Jane", ValueType="CONTAINER", **top,
        ContentSequence=Sequence([
            content("TEXT", "121022", TextValue="ACC-1"), content("PNAME", "121008", PersonName="Miller^Ann"),
            content("DATE", "121031", Date="19610203"),
                content("NUM", "121033", MeasuredValueSequence=Sequence([item(NumericValue="59")])),
            content("DATE", "111060", Date="20200110"), content("UIDREF", "121028", UID="1.2.3.4.5"),
                findings, *more,
        ]),
    )  # fmt: skip


def codes_of(data_set: Dataset) -> list[str]:
    return [item.ConceptNameCodeSequence[0].CodeValue for item in data_set.ContentSequence]


def test_structured_content_is_cleaned_by_concept() -> None:
    options = ("clean_structured_content", "clean_descriptors", "retain_modified_dates")
    found = run(report(), resolve(preset="basic", profile_options=options))
    assert codes_of(found) == ["121008", "111060", "121070"]
    name, date, findings = found.ContentSequence
    assert name.PersonName == "ANONYMIZED"
    assert date.Date not in ("20200110", "19000101", "")
    texts = [inner.get("TextValue") for inner in findings.ContentSequence]
    assert texts[0].startswith("Fracture")
    assert "Miller" not in texts[0]
    assert "fracture" in texts[1]
    assert "Doe" not in texts[1]
    assert findings.ContentSequence[2].ConceptCodeSequence[0].CodeMeaning == "Fracture"
    assert findings.ContentSequence[3].MeasuredValueSequence[0].NumericValue == "4.2"
    assert findings.ContentSequence[0].ConceptNameCodeSequence[0].CodeMeaning == "concept"


def test_structured_content_without_clean_descriptors_has_dummies_for_listed_texts() -> None:
    found = run(report(), resolve(preset="basic", profile_options=["clean_structured_content"]))
    findings = found.ContentSequence[-1].ContentSequence
    assert findings[0].TextValue == "ANONYMIZED"
    assert "fracture" in findings[1].TextValue
    assert found.ContentSequence[1].Date == "19000101"


def test_no_item_goes_where_items_are_found_by_position() -> None:
    reference = item(RelationshipType="INFERRED FROM", ReferencedContentItemIdentifier=[1, 7, 4])
    options = ("clean_structured_content", "retain_full_dates")
    found = run(report(reference), resolve(preset="basic", profile_options=options))
    before = [entry.get("ValueType") for entry in report(reference).ContentSequence]
    assert [entry.get("ValueType") for entry in found.ContentSequence] == before
    accession, _, birth, age = found.ContentSequence[:4]
    assert accession.TextValue == "ANONYMIZED"
    assert birth.Date == "19000101"
    assert age.MeasuredValueSequence[0].NumericValue == "0"
    assert list(found.ContentSequence[-1].ReferencedContentItemIdentifier) == [1, 7, 4]


def test_the_image_that_coordinates_are_drawn_on_stays_with_them() -> None:
    image = content("IMAGE", "121080", ReferencedSOPSequence=Sequence([item(ReferencedSOPInstanceUID="1.2.3")]))
    image.RelationshipType = "SELECTED FROM"
    drawn = content("SCOORD", "1", "99X", ContentSequence=Sequence([image]))
    found = run(item(PatientID="1", ContentSequence=Sequence([drawn])),
                resolve(preset="basic", profile_options=["clean_structured_content"]))  # fmt: skip
    (left,) = found.ContentSequence[0].ContentSequence
    assert left.ReferencedSOPSequence[0].ReferencedSOPInstanceUID.startswith("2.25.")


@pytest.mark.parametrize(
    ("value_type", "code", "values"),
    [
        ("TEXT", "121022", {"TextValue": "QX-7755"}),
        ("DATE", "126201", {"Date": "19610203"}),
        ("TIME", "126202", {"Time": "101112"}),
        ("DATETIME", "130884", {"DateTime": "19610203101112"}),
        ("PNAME", "121088", {"PersonName": "Doe^Jane"}),
        ("UIDREF", "121198", {"UID": "1.2.3.4.5"}),
        ("NUM", "121033", {"MeasuredValueSequence": [item(NumericValue="59")]}),
        ("NUM", "121033", {"NumericValue": "59", "FloatingPointValue": 59.0}),
        ("NUM", "121033", {"RationalNumeratorValue": 118, "RationalDenominatorValue": 2}),
        ("CODE", "121032", {"ConceptCodeSequence": [item(CodeValue="248152002", CodingSchemeDesignator="SCT")]}),
    ],
)
def test_a_value_of_any_type_that_may_not_stay_is_a_dummy_where_its_item_must(
    value_type: str, code: str, values: dict[str, Any]
) -> None:
    reference = item(RelationshipType="INFERRED FROM", ReferencedContentItemIdentifier=[1, 1])
    source = item(PatientID="1", ContentSequence=Sequence([content(value_type, code, **values), reference]))
    before = source.ContentSequence[0]
    after = rewrite(source, {"ContentSequence": "clean"}).ContentSequence[0]
    assert after.ConceptNameCodeSequence == before.ConceptNameCodeSequence
    assert [keyword for keyword in values if keyword not in after or after[keyword] == before[keyword]] == []


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (("retain_uids",), ["1.2.3.40", "1.2.3.41"]),
        (("retain_device_identity",), ["1.2.3.41"]),
        ((), []),
    ],
)
def test_uids_that_an_option_keeps_are_kept_by_the_concepts_that_it_lists(
    options: tuple[str, ...], kept: list[str]
) -> None:
    uids = (
        content("UIDREF", "112040", UID="1.2.3.40"),  # Tracking Unique Identifier
        content("UIDREF", "121012", UID="1.2.3.41"),  # Device Observer UID
        content("UIDREF", "1", "99X", UID="1.2.3.42"),
        content("uidref", "1", "99X", UID="1.2.3.43"),  # of no Value Type that there is
        content("CONTAINER", "1", "99X", UID="1.2.3.44"),
    )
    rules = resolve(preset="basic", profile_options=["clean_structured_content", *options])
    found = run(report(*uids), rules)
    assert [entry.UID for entry in found.ContentSequence if entry.get("UID", "").startswith("1.2.3.4")] == (
        ["1.2.3.4.5", *kept] if "retain_uids" in options else kept
    )
    assert codes_of(found)[-5:] == ["112040", "121012", "1", "1", "1"]
    removed = resolve(
        parse_config('{"general": {"UID": "remove"}}', "test"), preset="basic", profile_options=rules.profile_options
    )
    assert not [entry for entry in run(report(*uids), removed).ContentSequence if "UID" in entry]


def test_a_sequence_whose_items_all_go_goes_too() -> None:
    found = rewrite(
        item(PatientID="1", ContentSequence=Sequence([content("TEXT", "121022", TextValue="ACC-1")])),
        {"ContentSequence": "clean"},
    )
    assert "ContentSequence" not in found


def test_an_explanation_shows_that_a_whole_item_goes() -> None:
    engine = Explainer(Plan(resolve(preset="basic", profile_options=["clean_structured_content"]), KEY))
    decisions = list(engine.explain(walked(encode(report()))))
    accession = next(decision for decision in decisions if decision.before == "ACC-1")
    assert (accession.tag, accession.action.describe(), accession.after) == (0x0040A160, "remove", None)


def test_a_replaced_report_is_valid_and_says_nothing() -> None:
    found = run(report(), resolve(preset="basic"))
    assert codes_of(found) == codes_of(report())
    text = re.sub(r"2\.25\.\d+", "", str(found.ContentSequence))
    for secret in (
        "Doe",
        "Miller",
        "ACC-1",
        "19610203",
        "4.2",
        "59",
        "1.2.3.4.5",
        "72704001",
        "Fracture",
        "20200110",
    ):
        assert secret not in text
    findings = found.ContentSequence[-1]
    assert (findings.ValueType, findings.RelationshipType, findings.ContinuityOfContent) == (
        "CONTAINER",
        "CONTAINS",
        "SEPARATE",
    )
