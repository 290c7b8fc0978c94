"""Trees and configurations made to do harm: nothing outside of the source is read, and nothing takes for ever."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.acceptance.command import call, environment, files_below, folders_below, write_config
from tests.acceptance.test_resume import picture
from tests.datasets import image


def run(source: Path, out: Path, *more: object) -> dict[str, int]:
    """Run; return the counts of the account by reason."""
    done = call(source, out, "--json", "-", "-j", 1, *more)
    assert done.code in (0, 1), done.err
    account = done.account
    assert account["balances"]
    kinds = ("skipped", "quarantined", "failed")
    return {"written": account["written"]["files"], **{r: n for kind in kinds for r, n in done.reasons(kind).items()}}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with one image, beside a folder with two that do not belong to it."""
    for path in ("in/a/1.dcm", "else/2.dcm", "else/deep/3.dcm"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(picture(0, int(path[-5])))
    return tmp_path / "in"


# Links


def test_links_are_not_followed(tmp_path: Path, source: Path) -> None:
    os.symlink(tmp_path / "else", source / "folder")
    os.symlink(tmp_path / "else/2.dcm", source / "file.dcm")
    os.symlink("/nowhere", source / "broken")
    os.symlink(".", source / "a/loop")
    os.symlink("..", source / "a/up")
    assert run(source, tmp_path / "out") == {"written": 1, "symlink": 5}
    assert files_below(tmp_path / "out") == ["a/1.dcm"]


def test_links_out_of_the_source_are_followed_where_that_is_asked_for(tmp_path: Path, source: Path) -> None:
    os.symlink(tmp_path / "else", source / "folder")
    os.symlink(tmp_path / "else/2.dcm", source / "file.dcm")
    os.symlink("/nowhere", source / "broken")
    os.symlink(source / "a", source / "within")
    os.symlink(source / "a/1.dcm", source / "within.dcm")
    counts = run(source, tmp_path / "out", "--follow-links")
    assert counts.pop("written") == 4
    assert counts in ({"symlink": 2, "vanished": 1}, {"symlink": 3})
    assert files_below(tmp_path / "out") == ["a/1.dcm", "file.dcm", "folder/2.dcm", "folder/deep/3.dcm"]


def test_loops_of_links_end(tmp_path: Path, source: Path) -> None:
    os.symlink(source, source / "self")
    os.symlink("loop", source / "loop")
    os.symlink(tmp_path / "else", source / "folder")
    os.symlink(source, tmp_path / "else/back")
    os.symlink(tmp_path / "else", tmp_path / "else/deep/again")
    os.symlink(tmp_path / "else/deep", source / "z deep")
    os.symlink(tmp_path, source / "zz all of it")
    counts = run(source, tmp_path / "out", "--follow-links")
    assert counts["written"] == 3
    assert sorted(path[-5:] for path in files_below(tmp_path / "out")) == ["1.dcm", "2.dcm", "3.dcm"]


def test_links_into_the_destination_are_never_followed(tmp_path: Path, source: Path) -> None:
    os.symlink(tmp_path / "out", source / "b")
    os.symlink(tmp_path / "out/a", source / "c")
    for _ in range(2):
        run(source, tmp_path / "out", "--follow-links")
    assert files_below(tmp_path / "out") == ["a/1.dcm"]


def test_a_link_as_the_source_is_what_it_leads_to(tmp_path: Path, source: Path) -> None:
    os.symlink(source, tmp_path / "link")
    assert run(tmp_path / "link", tmp_path / "out") == {"written": 1}


# Names and kinds of entries


def test_names_of_any_bytes(tmp_path: Path, source: Path) -> None:
    names = [
        b"new\nline",
        b"\xff\xfe\x80",
        b"tab\tquote\"'",
        b"-rf",
        b"$(id)",
        b" ",
        b"..x",
        b"\x1b[31m",
        "日本".encode(),
    ]
    for number, name in enumerate(names):
        folder = os.path.join(os.fsencode(source), name)
        os.mkdir(folder)
        Path(os.fsdecode(os.path.join(folder, name + b".dcm"))).write_bytes(picture(0, number))
        Path(os.fsdecode(os.path.join(folder, b"cut" + name))).write_bytes(picture(0, number)[:-5])
    counts = run(source, tmp_path / "out")
    assert counts == {"written": 1 + len(names), "truncated": len(names)}
    assert len(files_below(tmp_path / "out")) == 1 + len(names)
    listed = (tmp_path / "out.private/not-written.csv").read_bytes().decode("utf-8")
    assert listed.count("truncated") == len(names)
    assert call(source, tmp_path / "out").code == 1
    assert run(source, tmp_path / "out") == {"written": 0, "truncated": len(names)}


def test_names_of_any_bytes_are_printed_harmlessly(tmp_path: Path, source: Path) -> None:
    Path(os.fsdecode(os.path.join(os.fsencode(source), b"\xff\x1b[31m\n.dcm"))).write_bytes(picture(0, 1)[:-5])
    done = subprocess.run(
        [sys.executable, "-m", "dicom_anon", source, tmp_path / "out", "-v"],
        capture_output=True, check=False, timeout=60, env=environment(PYTHONIOENCODING="ascii"),
    )  # fmt: skip
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


def test_a_path_of_four_thousand_characters(tmp_path: Path) -> None:
    source, name = tmp_path / "in", "d" * 200
    source.mkdir()
    before = os.getcwd()
    try:
        os.chdir(source)
        depth = 0
        while len(os.fspath(source)) + (depth + 1) * (len(name) + 1) < 4080:
            os.mkdir(name)
            os.chdir(name)
            depth += 1
        Path("1.dcm").write_bytes(picture(0, 1))
        for _ in range(2):
            os.mkdir(name)
            os.chdir(name)  # from here on a whole path is longer than the system takes
        Path("2.dcm").write_bytes(picture(0, 2))
    finally:
        os.chdir(before)
    (source / "3.dcm").write_bytes(picture(0, 3))
    counts = run(source, tmp_path / "out")
    assert counts["written"] == len(files_below(tmp_path / "out")) <= 2
    assert counts["unreadable"] + counts["written"] + counts.get("write-failed", 0) == 3
    assert "3.dcm" in files_below(tmp_path / "out")


def test_pipes_sockets_and_devices_are_not_read(tmp_path: Path, source: Path) -> None:
    os.mkfifo(source / "pipe.dcm")
    listener = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    os.chdir(source)
    try:
        listener.bind("socket.dcm")
    finally:
        os.chdir(before)
    expected = 2
    try:
        os.mknod(source / "zero.dcm", 0o600 | 0o020000, os.makedev(1, 5))
        expected = 3
    except OSError:
        pass  # only root may
    try:
        assert run(source, tmp_path / "out") == {"written": 1, "special-file": expected}
    finally:
        listener.close()


def test_a_folder_that_turns_into_a_link_is_not_written_through(tmp_path: Path, source: Path) -> None:
    run(source, tmp_path / "out", "--names", "keep")
    (tmp_path / "out/a/1.dcm").unlink()
    os.symlink(tmp_path / "else/2.dcm", tmp_path / "out/a/1.dcm")
    before = (tmp_path / "else/2.dcm").read_bytes()
    os.utime(source / "a/1.dcm", ns=(5, 5))
    run(source, tmp_path / "out", "--names", "keep")
    assert (tmp_path / "else/2.dcm").read_bytes() == before
    assert not (tmp_path / "out/a/1.dcm").is_symlink()
    assert folders_below(tmp_path / "out") == {"a"}


# Configurations

EXPLODING = (
    "(a+)+$", "(a*)*", "(a|aa)+$", "(.*)*x", "([a-z]+)*=", "(x+x+)+y", "(a{1,9}){2,30}b", "((a?){20}){20}",
    "a?" * 40 + "a" * 40, ".*" * 9 + "x", "(?:(?:a|b|ab)*)*", "(\\w+\\s?)*$", "(?=(a+)+b)", "(?P<x>a*)+", "(a+)+?b",
    "(" * 400 + "a+" + ")" * 400 + "+b", "x{0,99}" * 60,
)  # fmt: skip
GOOD = (
    "Dr\\.?", "[0-9]+", "^(\\d{4})\\d{4}$", "(\\w+)\\^(\\w+)", "(?i)knee|hip", "(?:ab)+c", "\\s+$", "a.*b", "(foo)?bar",
    "(\\.\\d+)?$",
)  # fmt: skip


@pytest.mark.parametrize("pattern", EXPLODING, ids=lambda pattern: pattern[:30])
def test_patterns_that_explode_are_refused(tmp_path: Path, source: Path, pattern: str) -> None:
    config = write_config(tmp_path, {"general": {"StudyDescription": f"regexp({pattern},x)"}})
    done = call(source, tmp_path / "out", "-c", config)
    assert done.code == 2
    assert 'key "StudyDescription"' in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("pattern", GOOD)
def test_patterns_that_do_not_are_taken(tmp_path: Path, source: Path, pattern: str) -> None:
    config = write_config(tmp_path, {"general": {"StudyDescription": f"regexp({pattern},x)"}})
    done = call(source, tmp_path / "out", "-c", config)
    assert done.code == 0, done.err


@pytest.mark.parametrize("pattern", ["a.*b.*c", "(a*)\\1b", "(?P<x>.*)(?P=x)b"])
def test_a_text_too_long_for_its_pattern_is_set_aside(tmp_path: Path, source: Path, pattern: str) -> None:
    (source / "long.dcm").write_bytes(picture(0, 7, ImageComments="a" * 9000))
    config = write_config(tmp_path, {"general": {"ImageComments": f"regexp({pattern},x)"}})
    assert run(source, tmp_path / "out", "-c", config) == {"written": 1, "value-not-writable": 1}


HOSTILE = {
    "deep arrays": "[" * 200_000,
    "deep objects": '{"general":' * 100_000,
    "deep note": '{"general": {"_note": ' + "[" * 50_000 + "]" * 50_000 + "}}",
    "doubled key": '{"general": {"PatientID": "keep", "PatientID": "clear"}}',
    "doubled section": '{"general": {}, "general": {}}',
    "doubled setting": '{"general": {"preset": "none", "preset": "none"}}',
    "huge number": '{"general": {"date_shift": {"days": ' + "9" * 1_000_000 + "}}}",
    "huge exponent": '{"general": {"date_shift": {"days": 1e999999999}}}',
    "huge number as a command": '{"general": {"Rows": ' + "9" * 5000 + "}}",
    "NaN": '{"general": {"date_shift": {"days": NaN}}}',
    "infinity": '{"general": {"date_shift": {"days": -Infinity}}}',
    "NUL": '{"general": {"Patient\\u0000ID": "keep"}}',
    "lone surrogate": '{"general": {"\\ud800": "keep"}}',
    "long key": '{"general": {"' + "P" * 1_000_000 + '": "keep"}}',
    "long command": '{"general": {"PatientID": "' + "(" * 1_000_000 + '"}}',
    "too long": '{"general": {"_note": "' + "x" * 5_000_000 + '"}}',
    "many wrong keys": json.dumps({"general": {f"Patient{n}": "keep" for n in range(300)}}),
    "old directory": '{"general": {"objects": {"dicomdir": "process"}}}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_configuration_is_refused(tmp_path: Path, source: Path, text: str) -> None:
    config = tmp_path / "rules.json"
    config.write_text(text, "utf-8")
    done = call(source, tmp_path / "out", "-c", config)
    assert done.code == 2
    assert str(config) in done.err
    assert "no file was touched" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


# Text where nobody looks


@pytest.mark.parametrize("preset", ["default", "basic", "tcia", "none"])
def test_text_behind_the_pixels_of_an_item_goes(tmp_path: Path, preset: str) -> None:
    inner = image(PixelData=bytes(32) + b"Doe^Jane, born 1961-12-30 ")
    unknown = image(PixelData=b"Doe^Jane, born 1961-12-30 ", Rows=0)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.dcm").write_bytes(picture(0, 1, PerFrameFunctionalGroupsSequence=[inner]))
    (tmp_path / "in" / "2.dcm").write_bytes(picture(0, 2, PerFrameFunctionalGroupsSequence=[unknown]))
    counts = run(tmp_path / "in", tmp_path / "out", "--preset", preset)
    assert counts == {"written": 1, "unsupported-object": 1}
    after = dcmread(tmp_path / "out" / "1.dcm")
    assert after.PerFrameFunctionalGroupsSequence[0].PixelData == bytes(32)
