"""The tables of the Standard: counts, provenance, typed access, and the Type of an attribute in an IOD."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.sr.codedict import codes

from dicom_anon import standard, tags
from dicom_anon.standard import extract_required

CT, ENHANCED_CT, PET, RT_PLAN = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.481.5",
)
GRAYSCALE_PR, COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.88.33"
US_IMAGE, RETIRED_US_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.6"
UNKNOWN_CLASS = "1.2.3.4"


def shipped(name: str) -> Any:
    return json.loads(resources.files("dicom_anon.standard").joinpath(name).read_text("utf-8"))


def test_basic_profile_column_has_the_published_counts() -> None:
    assert Counter(row.basic for row in standard.profile_rows()) == {
        "X": 417, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2,
    }  # fmt: skip


def test_option_columns_have_the_published_counts() -> None:
    assert Counter(option for row in standard.profile_rows() for option in row.options) == {
        "clean_graphics": 4,
        "clean_structured_content": 4,
        "clean_descriptors": 141,
        "retain_full_dates": 169,
        "retain_modified_dates": 169,
        "retain_patient_characteristics": 19,
        "retain_device_identity": 59,
        "retain_institution_identity": 10,
        "retain_uids": 60,
        "retain_safe_private": 1,
    }
    assert {action for row in standard.profile_rows() for action in row.options.values()} == {"K", "C"}


def test_provenance_names_edition_and_number_of_rows() -> None:
    sources = shipped("ps315_sources.json")
    assert sources["table_e_1_1"]["edition"] == standard.EDITION == "PS3.15 2026d"
    assert sources["table_e_1_1"]["acknowledgement"] == "DICOM PS3.15 2026d, © NEMA"
    assert sources["table_e_1_1"]["rows"] == len(standard.profile_rows()) == 657
    assert sources["table_e_3_10_1"]["rows"] == len(standard.safe_private())
    assert sources["cid7050"]["rows"] == len(standard.method_codes())
    added = {row.keyword: row.basic for row in standard.profile_rows()}
    assert added["DoseCalculationModelName"] == "X"  # the row that 2026d added


def test_patterns_of_table_e_1_1() -> None:
    rows = [row for row in standard.profile_rows() if "x" in row.tag or "g" in row.tag]
    assert [row.tag for row in rows] == [
        "(50xx,xxxx)", "(60xx,4000)", "(60xx,3000)", "(gggg,eeee) where gggg is odd",
    ]  # fmt: skip
    assert {row.basic for row in rows} == {"X"}


def test_keyword_and_vr_of_every_row_are_those_of_ps36() -> None:
    for row in standard.profile_rows():
        if "x" not in row.tag and "g" not in row.tag and row.tag[1:5] not in ("0000", "0002"):
            tag = tags.parse_key(row.tag)
            assert isinstance(tag, int)
            assert (tags.keyword_of(tag), tags.vr_of(tag)) == (row.keyword, row.vr)


def test_rows_are_read_only() -> None:
    row = standard.profile_rows()[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.basic = "K"  # type: ignore[misc]
    with pytest.raises(TypeError):
        row.options["retain_uids"] = "K"  # type: ignore[index]


def test_safe_private() -> None:
    rows = standard.safe_private()
    assert len(rows) == 479
    assert len({key.creator for key in rows}) == 20
    assert sum(not vr for vr in rows.values()) == 5
    assert all(key.group & 1 and 0 <= key.element <= 0xFF for key in rows)
    assert rows[tags.PrivateKey(0x0019, 0x0C, "SIEMENS MR HEADER")] == "IS"


def test_sr_concepts() -> None:
    concepts = standard.sr_concepts()
    assert sum(map(len, concepts.values())) == 214
    assert Counter(row.basic for rows in concepts.values() for row in rows) == {"X": 135, "D": 60, "X/D": 19}
    assert {row.value_type: row.basic for row in concepts["DCM", "121112"]} == {"IMAGE": "D", "WAVEFORM": "X"}
    (acquisition_date,) = concepts["DCM", "126201"]
    assert acquisition_date.options == {"retain_full_dates": "K", "retain_modified_dates": "C"}
    assert {option for rows in concepts.values() for row in rows for option in row.options} <= set(
        standard.PROFILE_OPTIONS
    )


def test_method_codes_are_those_of_pydicom() -> None:
    ours = standard.method_codes()
    theirs = [getattr(codes.cid7050, name) for name in codes.cid7050.dir()]
    assert set(ours.values()) == {(code.value, code.meaning) for code in theirs}
    assert ours.keys() - standard.PROFILE_OPTIONS.keys() == {
        "basic", "clean_pixel_data", "clean_recognizable_visual_features",
    }  # fmt: skip
    assert ours["retain_modified_dates"][0] == "113107"
    assert ours["retain_full_dates"][0] == "113106"


def test_required_tags_are_known_attributes() -> None:
    required = standard.required_tags()
    assert {0x00080016, 0x00100010, 0x00280010, 0x30060026, 0x00620005} <= required
    assert not {0x00104000, 0x00204000} & required
    assert all(dictionary_VR(tag) for tag in required)
    record = shipped("ps33_required.json")
    assert record["_edition"] == "PS3.3 2026b"
    assert "highdicom" in record["_source"]
    assert record["tags"] == sorted(record["tags"])


def test_extract_collects_required_types_at_any_nesting() -> None:
    modules = {
        "patient": [
            {"keyword": "PatientName", "type": "2", "path": []},
            {"keyword": "PatientComments", "type": "3", "path": []},
        ],
        "overlay-plane": [{"keyword": "OverlayData", "type": "1", "path": []}],
        "other": [
            {"keyword": "PatientComments", "type": "None", "path": []},
            {"keyword": "CodeValue", "type": "1C", "path": ["ViewCodeSequence"]},
        ],
    }
    found = extract_required.extract(modules, "1.0")
    assert found["tags"] == ["00080100", "00100010"]
    assert "highdicom 1.0" in found["_source"]


@pytest.mark.parametrize(
    ("sop_class", "path", "expected"),
    [
        (CT, ("PatientID",), "2"),
        (CT, ("InstitutionName",), "3"),
        (CT, ("RTPlanDate",), None),
        (RT_PLAN, ("RTPlanDate",), "2"),
        (RT_PLAN, ("OperatorsName",), "2"),
        (ENHANCED_CT, ("AcquisitionDateTime",), "1C"),
        (PET, ("SeriesTime",), "1"),
        (PET, ("AcquisitionTime",), "2"),
        (GRAYSCALE_PR, ("ContentCreatorName",), "3"),
        (COMPREHENSIVE_SR, ("ContentDate",), "1"),
        (COMPREHENSIVE_SR, ("ContentSequence", "ObservationDateTime"), "1C"),
        (
            COMPREHENSIVE_SR,
            ("ContentSequence", "ContentSequence", "ContentSequence", "ObservationDateTime"),
            "1C",
        ),
        (CT, ("DerivationImageSequence", "SourceImageSequence"), "2"),
        (CT, ("SharedFunctionalGroupsSequence", "DerivationImageSequence", "SourceImageSequence"), "2"),
        (CT, ("ContentSequence", "PatientID"), None),
        (CT, ("PatientName",), None),
        (UNKNOWN_CLASS, ("DerivationImageSequence", "SourceImageSequence"), "2"),
        ("", ("ContentDate",), "1"),
    ],
)
def test_type_of(sop_class: str, path: tuple[str, ...], expected: str | None) -> None:
    numbers = tuple(tags.tag_for_keyword(keyword) or 0 for keyword in path)
    assert standard.iod_types().type_of(sop_class, numbers) == expected


def test_unknown_class_gets_the_strictest_type_of_all_iods() -> None:
    types, table = standard.iod_types(), shipped("iod_types.json")
    order = ["1", "1C", "2", "2C", "3", None]
    for text in table["tags"]:
        path = (int(text, 16),)
        strictest = min((types.type_of(uid, path) for uid in table["sop_classes"]), key=order.index)
        assert types.type_of(UNKNOWN_CLASS, path) == strictest


def test_retired_class_follows_its_successor() -> None:
    types = standard.iod_types()
    assert types.knows_class(RETIRED_US_IMAGE)
    assert not types.knows_class(UNKNOWN_CLASS)
    for text in shipped("iod_types.json")["tags"]:
        path = (int(text, 16),)
        assert types.type_of(RETIRED_US_IMAGE, path) == types.type_of(US_IMAGE, path)


def test_covers_the_attributes_with_a_compound_action_and_those_that_a_preset_gives_one() -> None:
    types = standard.iod_types()
    compound = {tags.parse_key(row.tag) for row in standard.profile_rows() if "/" in row.basic}
    assert len(compound) == 50
    assert all(isinstance(tag, int) and types.covers(tag) for tag in compound)
    others = {int(text, 16) for text in shipped("iod_types.json")["tags"]} - compound
    assert {tags.keyword_of(tag) for tag in others} == {
        "ReasonForRequestedProcedureCodeSequence", "ScheduledProcedureStepID",
    }  # fmt: skip


@given(st.text(), st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=6).map(tuple))
def test_type_of_answers_whatever_it_is_asked(sop_class: str, path: tuple[int, ...]) -> None:
    types = standard.iod_types()
    found = types.type_of(sop_class, path)
    assert found in {None, "1", "1C", "2", "2C", "3"}
    assert found is None or types.covers(path[-1])


@pytest.fixture
def tables_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    read: list[str] = []
    original = standard._read

    def record(name: str) -> Any:
        read.append(name)
        return original(name)

    cached = [value for value in vars(standard).values() if isinstance(value, functools._lru_cache_wrapper)]
    for function in cached:
        function.cache_clear()
    monkeypatch.setattr(standard, "_read", record)
    yield read
    for function in cached:
        function.cache_clear()


def test_a_table_is_read_once_and_alone(tables_read: list[str]) -> None:
    standard.method_codes()
    standard.method_codes()
    standard.iod_types()
    assert tables_read == ["cid7050.json", "iod_types.json"]
    assert standard.iod_types() is standard.iod_types()


def test_the_licence_line_is_shipped() -> None:
    notice = resources.files("dicom_anon.standard").joinpath("NOTICE").read_text("utf-8")
    assert notice.startswith("DICOM PS3.15 2026d, © NEMA\n")
    assert "not covered by the MIT licence" in notice


def test_every_table_is_in_the_readme() -> None:
    folder = resources.files("dicom_anon.standard")
    readme = folder.joinpath("README.md").read_text("utf-8")
    names = [entry.name for entry in folder.iterdir() if entry.name.endswith(".json")]
    assert len(names) == 8
    assert [name for name in names if f"`{name}`" not in readme] == []
