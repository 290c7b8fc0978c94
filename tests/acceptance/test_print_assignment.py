"""What print-assignment shows is what the rules say, in four forms, with the place each row came from."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from dicom_anon import presets
from tests.acceptance.command import call, write_config
from tests.datasets import file_bytes, image

CONFIG = {
    "general": {
        "preset": "none",
        "name": "Studies",
        "(0010,0020)": "set(@project_prefix@-@hash_mrn@)",
        "PatientName": "clear",
        "PatientSex": "remove",
        "(60xx,3000)": "remove",
        '(0019,xx0c,"SIEMENS MR HEADER")': "keep",
        "StudyDescription": "safe",
    },
    "knee": {"prefix": "KNEE", "PatientName": "set(@fake_name@)", "StationName": 'set(a, "b")'},
}


def rows(*words: object) -> list[dict[str, str]]:
    """Rows in the form csv."""
    done = call("print-assignment", "--format", "csv", *words)
    assert done.code == 0, done.err
    return list(csv.DictReader(io.StringIO(done.out)))


def by_tag(*words: object) -> dict[str, dict[str, str]]:
    """Rows in the form csv, by tag."""
    return {row["tag"]: row for row in rows(*words)}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a project."""
    return write_config(tmp_path, CONFIG)


def test_each_row_says_where_it_came_from(config: Path) -> None:
    found = by_tag("-c", config, "--project", "knee", "--assign", "Modality=keep", "--all")
    sources = {tag: row["source"] for tag, row in found.items()}
    assert sources["(0008,0018)"] == "preset none"
    assert sources["(0010,0020)"] == "general"
    assert sources["(0010,0010)"] == "project knee"
    assert sources["(0008,0060)"] == "command line"
    assert sources["(0012,0062)"] == "stamp"
    assert found["(0010,0010)"] == {
        "tag": "(0010,0010)",
        "keyword": "PatientName",
        "command": "set",
        "parameter": "@fake_name@",
        "source": "project knee",
    }
    assert found["(60xx,3000)"]["keyword"] == "OverlayData"
    assert found['(0019,xx0c,"SIEMENS MR HEADER")']["command"] == "keep"
    assert found["(0008,1010)"]["parameter"] == 'a, "b"'


def test_options_that_remove_groups_are_rows_with_a_source() -> None:
    found = by_tag()
    assert found["(50xx,xxxx)"]["source"] == "option remove_curves"
    assert found["(60xx,xxxx)"]["command"] == "remove"


def test_rows_are_in_the_order_of_their_tags(config: Path) -> None:
    tags = [row["tag"][:10] for row in rows("-c", config, "--project", "knee", "--all")]
    assert tags == sorted(tags)


def test_safe_rows_are_shown_only_on_request(config: Path) -> None:
    assert "(0008,1030)" not in by_tag("-c", config)
    assert by_tag("-c", config, "--all")["(0008,1030)"]["command"] == "safe"
    few, many = rows("--preset", "mercure"), rows("--preset", "mercure", "--all")
    assert not [row for row in few if row["command"] == "safe"]
    assert len(many) - len(few) == sum(
        command == "safe" for key, command in presets.load("mercure")["general"].items() if key[0] != "_"
    )


def test_text_is_the_line_of_mercure(config: Path) -> None:
    done = call("print-assignment", "-c", config, "--project", "knee", "--format", "text")
    assert done.code == 0
    lines = done.out.splitlines()
    assert '(0010,0010): CMD=set, PARAM="@fake_name@", SOURCE=PROJECT KNEE' in lines
    assert '(0010,0040): CMD=remove, PARAM="", SOURCE=GENERAL' in lines
    assert '(0020,000d): CMD=uid, PARAM="", SOURCE=PRESET NONE' in lines
    assert not [line for line in lines if "CMD=safe" in line]
    forms = re.compile(r'\([0-9a-fx]{4},[0-9a-fx]{4}(,"[^"]+")?\): CMD=\w+, PARAM=".*", SOURCE=[A-Z][^a-z]*')
    assert all(forms.fullmatch(line) for line in lines)


def test_json_says_the_same_as_csv(config: Path) -> None:
    done = call("print-assignment", "-c", config, "--project", "knee", "--format", "json", "--all")
    content = json.loads(done.out)
    assert content["rows"] == rows("-c", config, "--project", "knee", "--all")
    assert content["preset"] == "none"
    assert content["project"] == "knee"
    assert content["remove_unknown_tags"] is False
    assert re.fullmatch("[0-9a-f]{64}", content["digest"])


def test_the_table_for_people_shows_every_row_and_what_becomes_of_the_rest(config: Path) -> None:
    done = call("print-assignment", "-c", config, "--project", "knee")
    shown = rows("-c", config, "--project", "knee")
    for row in shown:
        assert row["tag"] in done.out
        assert row["parameter"] in done.out
    assert f"{len(shown)} rows shown; 1 safe rows in all" in done.out
    assert "What has no row, private elements above all, is kept, at every depth." in done.out
    assert "is removed, at every depth" in call("print-assignment").out


def test_markup_in_values_is_shown_as_it_stands() -> None:
    done = call("print-assignment", "--preset", "none", "--assign", "PatientID=set([red]x[/red])")
    assert "[red]x[/red]" in done.out


def test_diff_shows_only_what_differs(config: Path) -> None:
    assert {row["tag"] for row in rows("-c", config, "--diff", "none")} >= {
        "(0010,0010)",
        "(0010,0020)",
        "(0008,1030)",
    }
    assert "(0008,0018)" not in by_tag("-c", config, "--diff", "none")
    assert rows("--diff", "default") == []
    found = by_tag("--preset", "default", "--diff", "basic")
    assert found["(0010,0010)"]["parameter"] == "@fake_name@"
    assert call("print-assignment", "--diff", "nope").code == 2


def test_the_aet_finds_the_project(config: Path) -> None:
    for title in ("az_KNEE", "knee", "AZ_Knee", "Knee"):
        assert by_tag("-c", config, "--aet", title)["(0010,0010)"]["source"] == "project knee"
    done = call("print-assignment", "-c", config, "--aet", "az_hip", "--format", "csv")
    assert done.code == 0
    assert "warning: the AE title has no section of its own" in done.err
    assert '"(0010,0010)",PatientName,clear,,general' in done.out


@pytest.mark.parametrize("value", ["true", "TRUE", True])
def test_a_run_prints_the_assignment_first_when_asked(tmp_path: Path, value: object) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_bytes(file_bytes(image()))
    config = write_config(tmp_path, {"general": {"print_assignment": value, "PatientSex": "clear"}})
    done = call(tmp_path / "in", tmp_path / "out", "-c", config)
    assert done.code == 0
    line = '(0010,0040): CMD=clear, PARAM="", SOURCE=GENERAL\n'
    assert line in done.out
    assert done.out.index(line) < done.out.index("file found")
    assert "CMD=safe" not in done.out


def test_a_run_prints_no_assignment_otherwise(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert "CMD=" not in call(tmp_path / "in", tmp_path / "out").out


def test_printing_the_assignment_touches_nothing(tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("print-assignment", "-c", config).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["rules.json"]


def test_uid_rows_are_part_of_every_assignment() -> None:
    for preset in presets.PRESETS:
        found = by_tag("--preset", preset)
        for tag in ("(0008,0018)", "(0020,000d)", "(0020,000e)"):
            assert found[tag]["command"] == "uid", (preset, tag)
    kept = by_tag("--preset", "none", "--assign", "StudyInstanceUID=keep")
    assert kept["(0020,000d)"]["command"] == "keep"


def test_a_tag_that_nobody_knows_is_told(tmp_path: Path) -> None:
    config = write_config(
        tmp_path, {"general": {"(0010,0099)": "clear", "PatientName": "clear", "(0019,100c)": "keep"}}
    )
    done = call("print-assignment", "-c", config)
    assert done.code == 0
    assert done.err.splitlines() == [
        "warning: general: PS3.6 knows no element (0010,0099); look whether it is the one you mean"
    ]


def test_a_private_rule_that_an_exact_one_goes_before_is_told(tmp_path: Path) -> None:
    rules = {"(0019,100c)": "keep", "(0019,110d)": "keep", '(0019,xx0c,"MAKER")': "remove"}
    done = call("print-assignment", "-c", write_config(tmp_path, {"general": rules}))
    assert done.err.splitlines() == [
        'warning: general: the rule for (0019,100c) goes before that for (0019,xx0c,"MAKER"), in its block'
    ]
    stronger = {"general": {"(0019,100c)": "keep"}, "knee": {'(0019,xx0c,"MAKER")': "remove"}}
    done = call("print-assignment", "-c", write_config(tmp_path, stronger), "--project", "knee")
    assert done.err == ""


def test_projects_of_which_none_is_picked_are_told(config: Path) -> None:
    told = 'warning: no project is picked; only the general section applies (projects: "knee")\n'
    assert call("print-assignment", "-c", config).err == told
    assert call("print-assignment", "-c", config, "--project", "knee").err == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"general": {}, "general ": {"PatientName": "clear"}}, "begins or ends with a space"),
        ({"general": {}, " knee": {"PatientName": "clear"}}, "begins or ends with a space"),
        ({"general": {}, "": {"PatientName": "clear"}}, "the name of a section is empty"),
        ({"general": {"prefix": "@hash_mrn@"}}, 'key "prefix": holds a macro'),
        ({"general": {"name": "\ud800"}}, 'key "name": is no valid Unicode'),
        ({"general": {"(0002,xxxx)": "keep"}}, "group 0002 is no part of a Data Set"),
    ],
)
def test_what_could_have_no_effect_is_an_error(tmp_path: Path, content: object, problem: str) -> None:
    done = call("print-assignment", "-c", write_config(tmp_path, json.dumps(content)))
    assert done.code == 2
    assert problem in done.err
