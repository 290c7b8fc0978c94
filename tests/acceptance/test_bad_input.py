"""What is wrong is said before any file is touched: where, what, and what is accepted; all of it at once."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Done, call, write_config
from tests.datasets import file_bytes, image

NO_KEY = "a tag (gggg,eeee), a keyword, an option"
NO_COMMAND = "keep, safe, remove, clear, set(v), truncdate"
PRESETS = "default, none, basic"
FLAG = '"true" or "false"'

# What stands in section general: key, value, pieces of the message.
RULES: list[tuple[str, object, tuple[str, ...]]] = [
    # options and settings
    ("preset", "defualt", ('"defualt" is no value', 'did you mean "default"?', PRESETS)),
    ("preset", "Default", ('"Default" is no value', 'did you mean "default"?')),
    ("preset", 3, ("3 is no value", PRESETS)),
    ("remove_unknown_tags", "yes", ('"yes" is no value', FLAG)),
    ("remove_unknown_tags", "", ('"" is no value', FLAG)),
    ("remove_safe_tags", 1, ("1 is no value", FLAG)),
    ("remove_curves", None, ("null is no value", FLAG)),
    ("remove_overlays", "0", ('"0" is no value', FLAG)),
    ("print_assignment", "on", ('"on" is no value', FLAG)),
    ("name", 5, ("5 is no value", "a text")),
    ("owner", ["x"], ("this is no value", "a text")),
    ("prefix", True, ("true is no value", "a text")),
    ("remove_safe_tag", "true", ("is no setting", 'did you mean "remove_safe_tags"?', NO_KEY)),
    ("remove_safe_tag", True, ("is no setting", 'did you mean "remove_safe_tags"?', NO_KEY)),
    ("profile_option", ["retain_uids"], ("is no setting", 'did you mean "profile_options"?')),
    ("Remove_Unknown_Tags", "true", ('did you mean "remove_unknown_tags"?', NO_KEY)),
    # keys
    ("PatientNam", "keep", ("names no DICOM element", 'did you mean "PatientName"?', NO_KEY)),
    ("patientname", "keep", ("names no DICOM element", 'did you mean "PatientName"?')),
    ("(0010,001)", "keep", ("names no DICOM element", NO_KEY)),
    ("(0010;0010)", "keep", ("names no DICOM element", NO_KEY)),
    ("0010 0010", "keep", ("names no DICOM element", NO_KEY)),
    ("(001g,0010)", "keep", ("names no DICOM element", NO_KEY)),
    ("", "keep", ("names no DICOM element", NO_KEY)),
    ("(0002,0010)", "keep", ("group 0002", "the file meta is rebuilt")),
    ("TransferSyntaxUID", "keep", ("group 0002", "the file meta is rebuilt")),
    ("(0010,0000)", "keep", ("group length", "always dropped")),
    ("(FFFE,E000)", "keep", ("group fffe is no part of a Data Set",)),
    ("(xxxx,xxxx)", "remove", ("matches every element", NO_KEY)),
    ('(0010,xx0c,"MAKER")', "keep", ("group 0010 is even, so it has no private creator", NO_KEY)),
    ('(0019,xx0c,"")', "keep", ("names no DICOM element", NO_KEY)),
    # commands
    ("PatientName", "keepX", ('unknown command "keepX"', 'did you mean "keep"?', NO_COMMAND)),
    ("PatientName", "removeXYZ", ('unknown command "removeXYZ"', 'did you mean "remove"?')),
    ("PatientName", "KEEP", ('unknown command "KEEP"', 'did you mean "keep"?')),
    ("PatientName", "keep; remove", ("unknown command", NO_COMMAND)),
    ("PatientName", "", ('unknown command ""', NO_COMMAND)),
    ("PatientName", "keep()", ("keep takes no parameter",)),
    ("PatientName", "clear(x)", ("clear takes no parameter",)),
    ("PatientName", "set", ("set needs a value", "set(value)")),
    ("PatientName", "set(x", ('unknown command "set(x"', "the ) at its end is missing", "set(v)")),
    ("PatientName", True, ("its command is no text", '"keep"')),
    ("PatientName", None, ("its command is no text",)),
    ("PatientName", ["keep"], ("its command is no text",)),
    ("PatientName", "regexp(a)", ("regexp needs a pattern and a replacement", "regexp(find,replace)")),
    ("PatientName", "regexp((a),\\2)", ("not a regular expression: invalid group reference",)),
    ("PatientName", "regexp([a,b)", ("regexp needs a pattern", "regexp(find,replace)")),
    ("PatientName", "regexp(*,b)", ("not a regular expression: nothing to repeat",)),
    ("PatientName", "regexp(a{99999999999},b)", ("not a regular expression",)),
    ("SpecificCharacterSet", "remove", ("the character set says how all other text is to be read", "keep")),
    # a command and the VR of its element
    ("PatientName", "truncdate", ("truncdate does not work on an element of VR PN", "VR DA, DT")),
    ("PatientName", "uid", ("uid does not work on an element of VR PN", "UI")),
    ("PixelData", "hash", ("hash does not work on an element of VR OB or OW",)),
    ("Rows", "regexp(a,b)", ("regexp does not work on an element of VR US",)),
    # values
    ("Rows", "set(abc)", ("not a number of VR US", "a value of VR US")),
    ("Rows", "set(70000)", ("out of its range", "a value of VR US")),
    ("Rows", "set(-1)", ("out of its range", "a value of VR US")),
    ("InstanceNumber", "set(2147483648)", ("out of the range of VR IS",)),
    ("SliceThickness", "set(1,5)", ("not a value of VR DS",)),
    ("Modality", "set(lower)", ("not a value of VR CS (length or characters)",)),
    ("PatientSex", "set(MUCH TOO LONG FOR IT)", ("not a value of VR CS",)),
    ("AccessionNumber", "set(12345678901234567)", ("not a value of VR SH",)),
    ("StudyDate", "set(yesterday)", ("not a value of VR DA",)),
    ("StudyTime", "set(25:00)", ("not a value of VR TM",)),
    ("PatientAge", "set(42)", ("not a value of VR AS",)),
    ("FrameOfReferenceUID", "set(1.2.a)", ("not a value of VR UI",)),
    ("StationName", "set(ok\\much too long a station)", ("not a value of VR SH",)),
    ("FrameIncrementPointer", "set(Nowhere)", ("VR AT takes tags or keywords",)),
    ("EncapsulatedDocument", "set(hex:0g)", ("hex: must be followed by hexadecimal digits",)),
    ("PatientID", "replace(" + "x" * 65 + ")", ("not a value of VR LO",)),
    ("ReferencedImageSequence", "set(x)", ("a sequence takes no text", "keep, remove, clear, replace")),
    # macros
    ("PatientID", "set(@fake_nam@)", ('unknown macro "@fake_nam@"', 'did you mean "@fake_name@"?')),
    ("PatientID", "set(@FAKE_NAME@)", ('unknown macro "@FAKE_NAME@"', 'did you mean "@fake_name@"?')),
    ("PatientID", "replace(@nothing@)", ('unknown macro "@nothing@"', "README")),
    ("PatientID", "set(@value(PatientNam)@)", ('"PatientNam" names no DICOM element', '"PatientName"?')),
    ("PatientID", "set(@value(50xx,0010)@)", ("takes one tag, not a pattern",)),
    ("PatientID", "set(@fake_name(0010,0010)@)", ('macro "@fake_name@" takes no argument',)),
]  # fmt: skip

# Whole texts of a file: pieces of the message.
TEXTS: list[tuple[str, tuple[str, ...]]] = [
    ("", ("is not JSON", "line 1, column 1")),
    ('{"general": {"PatientName": "keep",}}', ("is not JSON", "line 1, column 3", "a comma after the last item")),
    ('{"general": ', ("is not JSON",)),
    ('{"general": {"x": NaN}}', ("NaN is no JSON value",)),
    ('["general"]', ("is no JSON object", '{"general": {...}}')),
    ('{"PatientName": "keep"}', ('key "PatientName"', "stands outside of any section")),
    ('{"general": []}', ('key "general"', "stands outside of any section")),
    ('{"general": {}, "General": {}}', ('section "General"', "is there twice")),
    ('{"general": {"preset": "none", "preset": "none"}}', ('key "preset"', "is there twice")),
    ('{"general": {"PatientName": "keep", "PatientName": "clear"}}', ('same element as "PatientName"',)),
    ('{"general": {"PatientName": "keep", "00100010": "keep"}}', ('same element as "PatientName"',)),
    ('{"general": {"(0010,0010)": "set(@nope@)", "(0010,0010 )": "keep"}}',
     ('unknown macro "@nope@"', 'same element as "(0010,0010)"')),
    ('{"general": {"(0008,103E)": "keep", "(0008,103e)": "clear"}}', ('same element as "(0008,103E)"',)),
    ('{"knee": {"print_assignment": "true"}}', ('section "knee", key "print_assignment"', "general")),
    ('{"general":' * 40_000, ("is nested too deeply",)),
]  # fmt: skip

# Options of the command: pieces of the message.
OPTIONS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--preset", "nope"), ("--preset", 'no preset "nope"', PRESETS)),
    (("--preset", "mercur"), ('did you mean "mercure"?',)),
    (("--project", "knee"), ("--project", 'no section "knee"', "no project sections are configured")),
    (("--project", "knee", "--aet", "az_knee"), ("--aet", "contradicts --project")),
    (("--assign", "PatientName"), ("has no =", "TAG=COMMAND")),
    (("--assign", "PatientNam=keep"), ('key "PatientNam"', 'did you mean "PatientName"?')),
    (("--assign", "PatientName=kep"), ('unknown command "kep"', 'did you mean "keep"?')),
    (("--assign", "Rows=set(x)"), ("not a number of VR US",)),
    (("-c", "missing.json"), ("missing.json", "cannot be read: No such file")),
    (("--key-file", "missing.key"), ("the key file cannot be read: No such file",)),
    (("--jobs", "0"), ("--jobs", "x>=1")),
    (("--jobs", "many"), ("--jobs", "not a valid integer")),
    (("--on-error", "ignore"), ("--on-error", "quarantine", "fail")),
    (("--nonsense",), ("--nonsense", "No such option")),
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree that could be worked on."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_bytes(file_bytes(image()))
    return tmp_path / "in"


def refused(done: Done, folder: Path, *pieces: str) -> None:
    """Exit 2, all pieces of the message, and nothing made."""
    assert done.code == 2
    assert "Traceback" not in done.err
    for piece in pieces:
        assert piece in done.err, done.err
    assert not {"out", "out.private"} & set(os.listdir(folder))


@pytest.mark.parametrize(("key", "value", "pieces"), RULES, ids=lambda part: repr(part)[:50])
def test_a_rule_that_is_wrong(tmp_path: Path, source: Path, key: str, value: object, pieces: tuple[str, ...]) -> None:
    config = write_config(tmp_path, {"general": {key: value}})
    done = call(source, tmp_path / "out", "-c", config)
    place = f'error: {config}, section "general"' + (f', key "{key}": ' if key else ": ")
    refused(done, tmp_path, place, "1 problem(s); no file was touched.", *pieces)
    assert "(accepted: " in done.err


@pytest.mark.parametrize(("text", "pieces"), TEXTS, ids=lambda part: repr(part)[:60])
def test_a_file_that_is_wrong(tmp_path: Path, source: Path, text: str, pieces: tuple[str, ...]) -> None:
    config = write_config(tmp_path, text)
    refused(call(source, tmp_path / "out", "-c", config), tmp_path, str(config), *pieces)


@pytest.mark.parametrize(("options", "pieces"), OPTIONS, ids=lambda part: repr(part)[:60])
def test_an_option_that_is_wrong(
    tmp_path: Path, source: Path, options: tuple[str, ...], pieces: tuple[str, ...]
) -> None:
    refused(call(source, tmp_path / "out", *options), tmp_path, *pieces)


def test_all_problems_are_told_at_once(tmp_path: Path, source: Path) -> None:
    first = write_config(
        tmp_path,
        {"general": {"preset": "x", "PatientNam": "keep", "Rows": "set(a)"}, "knee": {"PatientID": "kep"}},
        "a",
    )
    second = write_config(tmp_path, {"general": {"StudyDate": "set(@nothing@)"}, "StudyID": "keep"}, "b")
    third = write_config(tmp_path, "{", "c")
    done = call(
        source, tmp_path / "out", "-c", first, "-c", second, "-c", third,
        "--assign", "Modalty=keep", "--preset", "nope", "--project", "a", "--aet", "b",
    )  # fmt: skip
    refused(done, tmp_path, "10 problem(s); no file was touched.")
    places = [re.sub(r": .*", "", line.removeprefix("error: ")) for line in done.err.splitlines()[:-1]]
    assert places == [
        f'{first}, section "general", key "preset"',
        f'{first}, section "general", key "PatientNam"',
        f'{first}, section "general", key "Rows"',
        f'{first}, section "knee", key "PatientID"',
        f'{second}, section "general", key "StudyDate"',
        f'{second}, key "StudyID"',
        f"{third}",
        'command line, key "Modalty"',
        'command line, key "--aet"',
        'command line, key "--preset"',
    ]


@pytest.mark.parametrize("command", [("print-assignment",), ("inspect", "in/file")])
def test_other_commands_refuse_the_same(tmp_path: Path, source: Path, command: tuple[str, ...]) -> None:
    config = write_config(tmp_path, {"general": {"PatientNam": "keep"}})
    words = [str(tmp_path / word) if "/" in word else word for word in command]
    done = call(*words, "-c", config)
    refused(done, tmp_path, 'did you mean "PatientName"?')
    assert done.out == ""


def test_a_project_without_a_section_names_those_that_are(tmp_path: Path, source: Path) -> None:
    config = write_config(tmp_path, {"general": {}, "knee": {}, "hip": {}})
    done = call(source, tmp_path / "out", "-c", config, "--project", "kne")
    refused(done, tmp_path, 'no section "kne"', 'did you mean "knee"?', "(accepted: knee, hip)")


def test_a_configuration_that_is_not_utf8(tmp_path: Path, source: Path) -> None:
    (tmp_path / "rules.json").write_bytes(b'{"general": {"_note": "\xe4"}}')
    refused(
        call(source, tmp_path / "out", "-c", tmp_path / "rules.json"),
        tmp_path,
        "is not UTF-8 text",
        "JSON in UTF-8",
    )


def test_a_configuration_that_is_a_folder(tmp_path: Path, source: Path) -> None:
    refused(call(source, tmp_path / "out", "-c", source), tmp_path, "is a directory")


@pytest.mark.parametrize("content", ["", "short", "  15 characters \n"])
def test_a_key_that_is_too_short(tmp_path: Path, source: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    done = call(source, tmp_path / "out", "--key-file", tmp_path / "key")
    refused(done, tmp_path, f"holds {len(content.strip())} bytes", "at least 16", "secrets.token_hex(32)")
    assert content.strip() not in done.err or not content


def test_a_source_that_is_missing(tmp_path: Path) -> None:
    refused(call(tmp_path / "nowhere", tmp_path / "out"), tmp_path, "SRC does not exist")


def test_source_and_destination_within_each_other(tmp_path: Path, source: Path) -> None:
    before = sorted(os.listdir(source))
    refused(call(source, source / "out"), tmp_path, "DST lies inside SRC")
    refused(call(source, source), tmp_path, "SRC and DST are the same")
    refused(call(source, tmp_path), tmp_path, "SRC lies inside DST")
    os.symlink(source, tmp_path / "link")
    refused(call(source, tmp_path / "link/out"), tmp_path, "DST lies inside SRC")
    refused(call(source, source / "sub/../out"), tmp_path, "DST lies inside SRC")
    assert sorted(os.listdir(source)) == before


def test_source_and_destination_within_each_other_under_other_names(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = os.stat

    def without_case(path: Any, **options: Any) -> os.stat_result:
        """As on Windows and macOS: whatever lies in IN lies in `source`."""
        return stat(
            os.fspath(path).replace(f"{os.sep}IN", f"{os.sep}in") if isinstance(path, Path) else path, **options
        )

    monkeypatch.setattr(os, "stat", without_case)
    refused(call(source, tmp_path / "IN/out"), tmp_path, "DST lies inside SRC")
    refused(call(source, tmp_path / "IN"), tmp_path, "SRC and DST are the same")
    refused(call(source, tmp_path / "out", "--json", tmp_path / "IN/account"), tmp_path, "--json lies inside SRC")
    assert os.listdir(source) == ["file"]


def test_a_destination_in_use(tmp_path: Path, source: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used/file").write_text("mine")
    done = call(source, tmp_path / "used")
    refused(done, tmp_path, "DST is not empty")
    assert os.listdir(tmp_path / "used") == ["file"]
    assert not (tmp_path / "used.private").exists()
    refused(call(source, tmp_path / "used/file"), tmp_path, "DST is not a folder")


@pytest.mark.parametrize("words", [(), ("verify",)])
def test_a_destination_without_a_place_beside_it(tmp_path: Path, source: Path, words: tuple[str, ...]) -> None:
    done = call(*words, source, tmp_path.anchor)
    refused(done, tmp_path, "DST is the top of a drive", "--run-dir")


@pytest.mark.parametrize("place", ["in/private", "out/private", "out"])
def test_a_run_folder_within_source_or_destination(tmp_path: Path, source: Path, place: str) -> None:
    done = call(source, tmp_path / "out", "--run-dir", tmp_path / place)
    refused(done, tmp_path, "the run folder lies inside")
    assert os.listdir(source) == ["file"]


def test_a_run_folder_that_cannot_be_read(tmp_path: Path, source: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private/key").symlink_to("key")
    done = call(source, tmp_path / "out", "--run-dir", tmp_path / "private")
    refused(done, tmp_path, f"error: the run folder cannot be read: {os.strerror(errno.ELOOP)}")


def test_options_that_the_preset_does_not_take(tmp_path: Path, source: Path) -> None:
    done = call(source, tmp_path / "out", "--profile-option", "retain_uids")
    refused(done, tmp_path, 'error: command line, key "--profile-option": adds to the Basic Profile', "preset basic or")


@pytest.mark.parametrize("name", ["key", "manifest.sqlite", "not-written.csv", "burned-in.csv", "log.txt"])
def test_a_run_folder_in_which_a_folder_has_the_name_of_a_file(tmp_path: Path, source: Path, name: str) -> None:
    (tmp_path / "private" / name).mkdir(parents=True)
    done = call(source, tmp_path / "out", "--run-dir", tmp_path / "private")
    refused(done, tmp_path, f"error: {name} in the run folder is no file: move it away", "--run-dir")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("place", ["aside/truncated", "aside/truncated/out"])
def test_a_quarantine_folder_whose_copies_would_go_into_the_destination(
    tmp_path: Path, source: Path, place: str
) -> None:
    done = call(source, tmp_path / place, "--quarantine", tmp_path / "aside")
    refused(done, tmp_path, "DST lies inside the quarantine folder")
    done = call(source, tmp_path / "out", "--quarantine", tmp_path, "--dry-run")
    assert done.code == 0


@pytest.mark.parametrize("words", [(), ("in",), ("in", "out", "more")])
def test_words_that_are_missing_or_too_many(tmp_path: Path, source: Path, words: tuple[str, ...]) -> None:
    done = call("run", *(tmp_path / word for word in words))
    refused(done, tmp_path, "Usage: dicom-anon run")


def test_a_dry_run_refuses_the_same(tmp_path: Path, source: Path) -> None:
    refused(call(source, source / "out", "--dry-run"), tmp_path, "DST lies inside SRC")
    refused(call(source, tmp_path / "out", "--dry-run", "--assign", "x=y"), tmp_path, "names no DICOM element")


def test_inspect_of_what_is_no_dicom_file(tmp_path: Path, source: Path) -> None:
    (tmp_path / "text").write_text("no image")
    done = call("inspect", tmp_path / "text")
    assert done.code == 1
    assert "not-dicom" in done.err
    done = call("inspect", tmp_path / "nowhere")
    assert done.code == 2
    assert "FILE cannot be read: No such file" in done.err


def test_good_input_of_every_spelling_is_taken(tmp_path: Path, source: Path) -> None:
    config = {
        "_note": "a note at the top",
        "general": {
            "_note": ["any", {"JSON": 1}],
            "preset": "none",
            "remove_unknown_tags": "False",
            "remove_curves": True,
            "print_assignment": " false ",
            "(0010,0010)": " keep ",
            "0010,0020": "set(a)b)",
            "00100030": "set()",
            "PatientSex": "set(@value@)",
            "( 0008 , 103E )": "clear",
            "(60XX,3000)": "keep",
            '(0019,XX0c,"SIEMENS MR HEADER")': "keep",
            "InstitutionName": "set(a@b.org)",
        },
    }
    path = write_config(tmp_path, "\ufeff" + json.dumps(config))
    done = call(source, tmp_path / "out", "-c", path)
    assert (done.code, done.err) == (0, "")
