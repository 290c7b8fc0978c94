"""dicom-anonymizer's rule files and functions: both JSON forms, every action name, callables on Data Sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.data import get_testdata_file

from dicom_anon.assignment import DEFAULT_EXTRA, resolve
from dicom_anon.config import parse_config
from dicom_anon.engine import Engine, Plan
from dicom_anon.errors import ConfigError
from dicom_anon.extra_rules import COMMANDS, parse_extra_rules, read_extra_rules
from dicom_anon.tags import Pattern
from tests.datasets import ENCODINGS, KEY, decode, encode, item, walked

CONFIGS = Path(__file__).parents[2] / "configs"


def described(content: Any) -> dict[Any, str]:
    return {key: rule.action.describe() for key, rule in parse_extra_rules(content, "test")}


def run(data_set: Dataset, content: Any, preset: str = "none", encoding: str = "explicit") -> Dataset:
    assignment = resolve(preset=preset, extra_rules=parse_extra_rules(content, "test"))
    pieces = (
        Engine(Plan(assignment, KEY)).run(walked(encode(data_set, ENCODINGS[encoding]), ENCODINGS[encoding])).pieces
    )
    return decode(b"".join(piece for piece in pieces if isinstance(piece, bytes)), ENCODINGS[encoding])


@pytest.mark.parametrize(
    "tag",
    [["0010", "0020"], ["0x0010", "0x0020"], [16, 32], "(0010,0020)", "(0x0010, 0x0020)",
    "0x0010,0x0020", "00100020", "PatientID"],
)  # fmt: skip
def test_a_tag_in_any_form(tag: Any) -> None:
    assert described({"delete": [tag]}) == {0x00100020: "remove"}


@pytest.mark.parametrize("key", ["(0x0010, 0x0020)", "(0x0010,0x0020)", "PatientID", (0x10, 0x20), 0x00100020])
def test_the_form_by_tag(key: Any) -> None:
    assert described({key: "delete"}) == {0x00100020: "remove"}


@pytest.mark.parametrize(("name", "command"), COMMANDS.items())
def test_every_action_name(name: str, command: str) -> None:
    tag = "ReferencedSOPInstanceUID" if "UID" in name else "StudyDescription"
    (rule,) = parse_extra_rules({name: [tag]}, "test")
    assert rule[1].action.describe() == command


def test_masks_are_repeating_groups() -> None:
    expected = Pattern(0xFF01FFFF, 0x60003000)
    assert described({"delete": [["0x6000", "0x3000", "0xFF00", "0xFFFF"]]}) == {expected: "remove"}
    assert described({"(0x6000, 0x3000, 0xFF00, 0xFFFF)": "delete"}) == {expected: "remove"}


def test_objects_with_options() -> None:
    found = run(
        item(StudyDescription="knee knee", SeriesDescription="x", ImageComments="old"),
        {
            "(0x0008,0x1030)": {"action": "regexp", "find": "knee", "replace": "hip"},
            "(0x0008,0x103E)": {"action": "replace_with_value", "value": "@value@ is no macro here"},
            "(0x0020,0x4000)": {"action": "empty"},
            "(0x0010,0x4000)": "empty",
        },
    )
    assert (found.StudyDescription, found.SeriesDescription, found.ImageComments) == (
        "hip hip",
        "@value@ is no macro here",
        "",
    )
    assert "PatientComments" not in found


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "no JSON object"), ({"erase": ["PatientID"]}, "unknown action"),
        ({"replaced": ["PatientID"]}, 'did you mean "replace"'),
        ({"delete": ["PatientNam"]}, 'did you mean "PatientName"'),
        ({"delete": [[16]]}, "no group and element"),
        ({"delete": [[16, 32, 3]]}, "no group and element"), ({"delete": [["zz", "00"]]}, "hexadecimal"),
        ({"delete": [True]}, "names no element"),
        ({"delete": 5}, "no list of tags"), ({"(0x0010,0x0010)": {"find": "a"}}, "does not have the options"),
        ({"(0x0010,0x0010)": {"action": "regexp", "find": "a"}}, "does not have the options"),
        ({"(0x0010,0x0010)": {"action": "regexp", "find": "(", "replace": ""}}, "not a regular expression"),
        ({"(0x0010,0x0010)": "regexp"}, "needs its options"), ({"delete": [[2, 3]]}, "file meta"),
        ({"delete": ["PatientName"], "keep": [["0010", "0010"]]}, r"\(0010,0010\) has another action already"),
        ({"(0x0010,0x0010)": "delete", "PatientName": "keep"}, r"\(0010,0010\) has another action already"),
        ({"set(x": ["PatientID"]}, r"the \) at its end is missing"),
        ({"(16, 16)": "delete"}, "may be decimal or hexadecimal"),
        ({"(0x10, 16)": "delete"}, "may be decimal or hexadecimal"), ({"delete": [[2, 0, 0xFFFF, 0]]}, "file meta"),
        ({"clean": ["Rows"]}, "does not work on"), ({"delete": [[0, 0, 0, 0]]}, "matches every element"),
    ],
)  # fmt: skip
def test_errors(content: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_extra_rules(content, "rules.json")


def test_all_problems_are_told_at_once_and_notes_are_passed_over() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_extra_rules({"_note": 1, "erase": ["PatientID"], "delete": ["Nothing"]}, "rules.json")
    assert len(refused.value.problems) == 2
    assert described({"_note": 1, "delete": ["PatientID"]}) == {0x00100020: "remove"}


def test_an_element_may_be_listed_twice_for_one_action() -> None:
    assert described({"delete": ["PatientName", ["0010", "0010"]]}) == {0x00100010: "remove"}


@pytest.mark.parametrize(
    "text",
    [
        '{"delete": ["PatientName"], "delete": ["PatientID"]}',
        '{"(0x0008,0x1030)": {"action": "delete", "action": "keep"}}',
    ],
)
def test_a_key_that_is_there_twice_in_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "rules.json").write_text(text)
    with pytest.raises(ConfigError, match="is there twice"):
        read_extra_rules(tmp_path / "rules.json")


def test_they_override_the_preset_and_not_the_configuration() -> None:
    extra = parse_extra_rules({"keep": ["PatientWeight", "PatientName"]}, "test")
    config = parse_config('{"general": {"preset": "basic", "PatientName": "remove"}}', "test")
    rows = resolve(config, extra_rules=extra).rows
    assert (rows[0x00101030].action.describe(), rows[0x00101030].source) == ("keep", "extra rules")
    assert rows[0x00100010].action.describe() == "remove"


def test_the_shipped_file_is_the_default() -> None:
    shipped = read_extra_rules(CONFIGS / "extra-rules.json")
    assert {key: rule.action for key, rule in shipped} == {key: rule.action for key, rule in DEFAULT_EXTRA}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_extra_rules(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        read_extra_rules(tmp_path / "bad.json")
    (tmp_path / "good.json").write_text(json.dumps({"delete": [["0010", "0010"]]}))
    assert len(read_extra_rules(tmp_path / "good.json")) == 1


# --- functions ------------------------------------------------------------------------------------------


def add_suffix(dataset: Dataset, tag: Any) -> None:
    element = dataset.get(tag)
    if element is not None:
        element.value = f"{element.value} - suffix"


def test_a_function_changes_its_element_at_every_depth() -> None:
    source = item(
        PatientName="Doe^Jane",
        SeriesDescription="AX",
        ReferencedSeriesSequence=Sequence([item(SeriesDescription="SAG")]),
    )
    for encoding in ENCODINGS:
        found = run(source, {(0x0008, 0x103E): add_suffix}, encoding=encoding)
        assert found.SeriesDescription == "AX - suffix"
        assert found.ReferencedSeriesSequence[0].SeriesDescription == "SAG - suffix"
        assert found.PatientName == "Doe^Jane"


def test_a_function_sees_originals_and_only_its_own_element_counts() -> None:
    def copies(dataset: Dataset, tag: Any) -> None:
        dataset[tag].value = str(dataset.PatientName)
        dataset.PatientID = "changed on the side"

    found = run(
        item(PatientName="Doe^Jane", PatientID="1", StudyDescription="x"),
        {"PatientName": "delete", (0x0008, 0x1030): copies},
    )
    assert found.StudyDescription == "Doe^Jane"
    assert found.PatientID == "1"
    assert "PatientName" not in found


def test_functions_remove_insert_and_change_any_vr() -> None:
    def remove(dataset: Dataset, tag: Any) -> None:
        if tag in dataset:
            del dataset[tag]

    def insert(dataset: Dataset, tag: Any) -> None:
        dataset.PatientComments = "inserted"

    def rows(dataset: Dataset, tag: Any) -> None:
        if tag in dataset:
            dataset[tag].value = [1, 2]

    def items(dataset: Dataset, tag: Any) -> None:
        if tag in dataset:
            dataset[tag].value[0].StudyID = "new"
            dataset[tag].value.append(item(StudyID="added"))

    def leave(dataset: Dataset, tag: Any) -> None:
        """Keep."""

    source = item(
        StudyID="1", ImageType=["A", "B"], StationName="S", Modality="CT",
            ReferencedStudySequence=Sequence([item(StudyID="old")]),
        OtherPatientNames=["A^B", "C^D"],
    )  # fmt: skip
    source.add_new(0x00280006, "US", 7)
    source.add_new(0x00280034, "IS", [3, 4])

    def second(dataset: Dataset, tag: Any) -> None:
        if tag in dataset:
            dataset[tag].value = [*dataset[tag].value][1:]

    for encoding in ENCODINGS:
        found = run(
            source,
            {
                "StationName": remove, "PatientComments": insert, (0x0028, 0x0006): rows, (0x0008,
                0x1110): items,
                "Modality": leave, "ImageType": second, "OtherPatientNames": second,
                "PixelAspectRatio": second,
            },
            encoding=encoding,
        )  # fmt: skip
        assert "StationName" not in found
        assert found.PatientComments == "inserted"
        assert list(found[0x00280006].value) == [1, 2]
        assert [entry.StudyID for entry in found.ReferencedStudySequence] == ["new", "added"]
        assert (found.Modality, found.ImageType, found.PixelAspectRatio) == ("CT", "B", 4)
        assert found.OtherPatientNames == "C^D"


def test_a_function_over_a_real_file() -> None:
    source = dcmread(str(get_testdata_file("MR_small.dcm")))
    header = Dataset({tag: element for tag, element in source.items() if tag.group < 0x7FE0})
    header.SeriesDescription = "AX T1"
    found = run(header, {(0x0008, 0x103E): add_suffix, (0x0018, 0x0081): lambda dataset, tag: None}, preset="basic")
    assert found.SeriesDescription == "AX T1 - suffix"
    assert found.EchoTime == source.EchoTime
    assert found.PatientName == ""


def test_an_error_in_a_function_is_not_swallowed() -> None:
    def fails(dataset: Dataset, tag: Any) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(item(StudyID="1"), {"StudyID": fails})


def test_where_a_file_is_not_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text('{"delete":\n ["PatientName",]}')
    with pytest.raises(ConfigError, match=r"is not JSON in UTF-8: .* at line 2"):
        read_extra_rules(tmp_path / "rules.json")
