"""The command line itself: what it loads, its options and its exit codes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from pydicom.data import get_testdata_file

from dicom_anon import checking, cli, report
from dicom_anon.cli import rows
from dicom_anon.errors import ConfigError, FileRefused, Problem, Reason, UsageError
from tests.acceptance.command import COMMAND, KEY, call, contents, environment, spawn, write_config
from tests.acceptance.test_run import as_anyone
from tests.datasets import file_bytes, image

OPTIONS = [
    (name, option)
    for name, command in cli.cli.commands.items()
    for option in command.params
    if isinstance(option, click.Option)
]


def loaded_by(*command: str) -> set[str]:
    asked = [sys.executable, "-X", "importtime", "-m", "dicom_anon", *command]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize("command", [(), *((name,) for name in cli.cli.commands)], ids=" ".join)
def test_help_loads_only_the_command_line(command: tuple[str, ...]) -> None:
    own = {name for name in loaded_by(*command, "--help") if name.startswith("dicom_anon.")}
    assert {name for name in own if not name.startswith("dicom_anon.cli")} == {
        "dicom_anon._version", "dicom_anon.ending", "dicom_anon.presets",
    }  # fmt: skip


def test_print_assignment_loads_neither_the_engine_nor_rich() -> None:
    loaded = loaded_by("print-assignment")
    assert "dicom_anon.assignment" in loaded
    assert not loaded & {"rich", "dicom_anon.console", "dicom_anon.engine", "dicom_anon.api"}


def test_options_of_one_name_are_of_one_kind() -> None:
    kinds: dict[str, tuple[object, ...]] = {}
    for _, option in OPTIONS:
        kind = (option.name, option.opts, option.metavar, option.is_flag, option.multiple, option.type.to_info_dict())
        assert kinds.setdefault(option.opts[-1], kind) == kind


def test_common_options_say_the_same_everywhere() -> None:
    for flag in ("--config", "--project", "--preset", "--lookup", "--assign", "--jobs"):
        helps = [option.help for _, option in OPTIONS if flag in option.opts]
        assert len(helps) > 1
        assert len(set(helps)) == 1


def test_no_help_shows_a_mark_of_its_own_layout() -> None:
    shown = [cli.cli.get_help(click.Context(cli.cli))]
    shown += [command.get_help(click.Context(command)) for command in cli.cli.commands.values()]
    assert [text for text in shown if "\\b" in text or "\b" in text] == []


def test_print_assignment_offers_the_forms_there_are() -> None:
    (option,) = (option for _, option in OPTIONS if option.opts == ["--format"])
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(rows.FORMATS)


def test_exit_codes_are_those_of_the_report() -> None:
    assert (cli.EXIT_TROUBLE, cli.EXIT_USAGE) == (report.EXIT_TROUBLE, report.EXIT_USAGE)


PROBLEM = Problem("rules.json", "general", "PatientSx", "is no keyword", "PatientSex")
ENDS: list[tuple[BaseException, int, str]] = [
    (UsageError("DST is a file"), 2, "error: DST is a file\n"),
    (ConfigError([PROBLEM, PROBLEM]), 2, f"error: {PROBLEM}\nerror: {PROBLEM}\n2 problem(s); no file was touched.\n"),
    (FileRefused(Reason.TRUNCATED), 1, f"error: {Reason.TRUNCATED.meaning} ({FileRefused(Reason.TRUNCATED)})\n"),
    (click.UsageError("No such option"), 2, "Error: No such option\n"),
    (OSError(errno.ENOSPC, "No space left on device", "Doe^Jane.dcm"), 1, "error: No space left on device (OSError"),
    (click.exceptions.Exit(0), 0, ""),
]


@pytest.mark.parametrize(("error", "code", "told"), ENDS, ids=lambda end: type(end).__name__)
def test_an_error_becomes_a_message_and_an_exit_code(
    error: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.cli, "main", _raising(error))
    with pytest.raises(SystemExit) as leave:
        cli.main()
    out, err = capsys.readouterr()
    assert (leave.value.code, out) == (code, "")
    assert err == told or (isinstance(error, OSError) and err.startswith(told) and "Doe" not in err)


def test_an_error_of_nobody_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.cli, "main", _raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main()


def _raising(error: BaseException) -> object:
    def main(*_: object, **options: object) -> None:
        raise error

    return main


# Files that options name


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a source tree, and files that options may name."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/one.dcm").write_bytes(file_bytes(image(PatientName="Grubenwald^Ottoline", PatientID="MRN448812")))
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "used").mkdir()
    return tmp_path


def told(tree: Path, *words: object, code: int = 2) -> str:
    """What is told by a command that does nothing."""
    before = contents(tree)
    done = call(*words)
    assert (done.code, done.out, contents(tree)) == (code, "", before)
    assert not (tree / "out").exists()
    assert not (tree / "out.private").exists()
    return done.err


UNWRITABLE = {
    "nowhere/summary": "its folder does not exist",
    "file/summary": "its folder does not exist",
    "in/summary": "lies inside SRC",
    "in/one.dcm": "lies inside SRC",
    "out": "lies inside DST",
    "out/summary": "lies inside DST",
    "key": "and --key-file name the same file",
    "used/../key": "and --key-file name the same file",
    "used": "is a directory",
    "n" * 300: "File name too long",
}


@pytest.mark.parametrize("option", ["--json", "--crosswalk"])
@pytest.mark.parametrize("place", UNWRITABLE)
def test_a_file_that_could_not_be_written_in_the_end_is_refused_at_first(tree: Path, option: str, place: str) -> None:
    words = (tree / "in", tree / "out", "--key-file", tree / "key", option, tree / place)
    assert UNWRITABLE[place] in told(tree, *words)


@pytest.mark.parametrize("place", [place for place in UNWRITABLE if not place.startswith("out")])
def test_verify_refuses_such_a_file_as_well(tree: Path, place: str) -> None:
    words = ("verify", tree / "in", tree / "used", "--key-file", tree / "key", "--json", tree / place)
    assert UNWRITABLE[place] in told(tree, *words)
    assert "lies inside DST" in told(tree, "verify", tree / "in", tree / "used", "--json", tree / "used/summary")


@pytest.mark.parametrize("command", [(), ("verify",)])
def test_a_file_that_may_not_be_written_is_refused_at_first(tree: Path, command: tuple[str, ...]) -> None:
    (tree / "file").chmod(0o400)
    (tree / "used").chmod(0o500)
    for place, problem in (("file", "it is write-protected"), ("used/x", "nothing can be written into its folder")):
        words = (*command, tree / "in", tree / "new" if not command else tree / "used", "--json", tree / place)
        if command and place == "used/x":
            words = (*command, tree / "in", tree / "in", "--json", tree / place)
        done = spawn(*words, preexec_fn=as_anyone)
        assert (done.code, done.err) == (2, f"error: --json cannot be written: {problem}\n")
    assert not (tree / "new").exists()


@pytest.mark.parametrize("place", ["-", "link"])
def test_a_crosswalk_is_an_ordinary_file(tree: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert "no ordinary file" in told(tree, "in", "out", "--crosswalk", place)


def test_two_options_write_two_files(tree: Path) -> None:
    words = (tree / "in", tree / "out", "--crosswalk", tree / "table", "--json", tree / "table")
    assert told(tree, *words) == "error: --json and --crosswalk name the same file\n"
    rules = write_config(tree, {"general": {}})
    assert "--json and --config name" in told(tree, tree / "in", tree / "out", "-c", rules, "--json", rules)


@pytest.mark.parametrize("name", ["key", "manifest.sqlite", "log.txt", "not-written.csv", "burned-in.csv"])
def test_no_file_of_the_run_folder_is_overwritten(tree: Path, name: str) -> None:
    problem = f"--json and the run folder's {name} name the same file"
    assert problem in told(tree, tree / "in", tree / "out", "--json", tree / "out.private" / name)
    assert problem in told(tree, "verify", tree / "in", tree / "used", "--json", tree / "used.private" / name)


def test_a_dry_run_points_to_no_list(tree: Path) -> None:
    (tree / "in/cut.dcm").write_bytes((tree / "in/one.dcm").read_bytes()[:-3])
    dry, real = (call(tree / "in", tree / "out", *words) for words in (("--dry-run",), ()))
    assert "quarantined" in dry.out
    assert ["not-written.csv" in done.out for done in (dry, real)] == [False, True]


def test_the_account_says_where_the_lists_are(tree: Path) -> None:
    (tree / "in/one.dcm").write_bytes(file_bytes(image(BurnedInAnnotation="YES")))
    rule = ("--run-dir", tree / "kept")
    dry, real, again = (call(tree / "in", tree / "out", *rule, *words).out for words in (("--dry-run",), (), ()))
    line = f"What may show text in its pixels: {tree / 'kept/burned-in.csv'}\n"
    assert [line in shown for shown in (dry, real, again)] == [False, True, True]
    assert "What may show" not in call(tree / "in", tree / "other", "--no-run-dir").out


def test_files_may_lie_in_the_private_folder_that_the_run_makes(tree: Path) -> None:
    private = tree / "out.private"
    words = (tree / "in", tree / "out", "--json", private / "summary", "--crosswalk", private / "table", "-q")
    assert "folder does not exist" in told(tree, *words, "--dry-run")
    assert call(*words).code == 0
    assert json.loads((private / "summary").read_text())["written"]["files"] == 1
    assert "MRN448812" in (private / "table").read_text()
    assert call(*words).code == 0
    assert json.loads((private / "summary").read_text())["unchanged"] == {"files": 1}


@pytest.mark.parametrize("option", ["SRC", "DST", "--json", "--run-dir", "--key-file", "--config", "--quarantine"])
def test_an_empty_path_is_not_the_working_folder(tree: Path, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "used")
    named = {"SRC": tree / "in", "DST": tree / "out", option: ""}
    words = [word for name, path in named.items() for word in ([name, path] if name.startswith("-") else [path])]
    assert f"{option}': it is empty" in told(tree, *words)


def test_a_folder_for_copies_is_no_file(tree: Path) -> None:
    assert "is a file" in told(tree, tree / "in", tree / "out", "--quarantine", tree / "file")
    assert "is a file" in told(tree, "sample", tree / "file")


def test_options_that_contradict_each_other(tree: Path) -> None:
    words = (tree / "in", tree / "out", "--no-run-dir", "--run-dir", tree / "run")
    assert told(tree, *words) == "error: --no-run-dir contradicts --run-dir\n"


def test_a_look_at_what_is_not_written(tree: Path) -> None:
    err = told(tree, tree / "in", tree / "out", "--dry-run", "--verify")
    assert err == "error: --dry-run contradicts --verify: nothing is written that could be looked at\n"


def test_a_look_at_what_nothing_is_known_of(tree: Path) -> None:
    err = told(tree, tree / "in", tree / "out", "--no-run-dir", "--verify")
    assert err == "error: --no-run-dir contradicts --verify: nothing is kept that tells whose output is which\n"


@pytest.mark.parametrize("text", ["", " ", ","])
def test_an_extract_of_nothing(tree: Path, text: str) -> None:
    assert "--extract names nothing" in told(tree, tree / "in", tree / "out", "--extract", text)


def test_inspect_says_what_a_file_is(tree: Path) -> None:
    assert told(tree, "inspect", tree / "file", code=1) == "error: FILE is not DICOM (not-dicom)\n"
    index = get_testdata_file("DICOMDIR")
    assert told(tree, "inspect", index, code=1) == "error: FILE is a DICOMDIR, a list of other files (dicomdir)\n"


def test_a_path_with_a_blank_and_no_quotes(tree: Path) -> None:
    hint = "unexpected extra argument (one)\nA path with blanks in it needs quotes.\n"
    assert told(tree, tree / "in", tree / "out", "one").endswith(hint)
    assert told(tree, "sample", tree / "new", "one").endswith(hint)
    assert "quotes" not in told(tree, tree / "in")


def test_a_command_that_is_misspelt(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert "did you mean 'verify'?" in told(tree, "verfy", "in", "out")
    assert "did you mean '--help'?" in told(tree, "help")
    assert "did you mean '--version'?" in told(tree, "version")
    (tree / "verfy").mkdir()
    assert call("verfy", "out", "-q").code == 0


# Rules that would not do what somebody meant

NO_RULES: list[tuple[dict[str, object], tuple[str, ...], tuple[str, ...]]] = [
    ({"genral": {"PatientSex": "clear"}}, (), ('section "genral": would apply only', 'did you mean "general"?')),
    ({"genral": {}, "knee": {}}, ("--project", "knee"), ('section "genral"', 'did you mean "general"?')),
    ({"knee": {}, "hip": {}}, (), ("none of its sections applies", '"knee", "hip"', "--project NAME", '"general"')),
    ({"knee": {}}, ("--aet", "az_hip"), ("none of its sections applies", "the AE title picks none")),
    ({"general": {}, "objects": {}}, (), ('key "objects": stands outside of any section',)),
    ({"general": {}}, ("--project", "knee"), ('no section "knee": no project sections are configured\n',)),
    ({"general": {"objects": {"sr": "erase"}}}, (), ('"erase" is no policy for "sr" (accepted: process, quarantine',)),
    ({"general": {"objects": {"sx": "drop"}}}, (), ('"sx" is no kind of object (accepted: encapsulated',)),
]


@pytest.mark.parametrize(("rules", "words", "pieces"), NO_RULES)
def test_rules_that_would_be_passed_over(
    tree: Path, rules: dict[str, object], words: tuple[str, ...], pieces: tuple[str, ...]
) -> None:
    err = told(tree, tree / "in", tree / "out", "-c", write_config(tree, rules), *words)
    assert [piece for piece in pieces if piece not in err] == []
    assert err.count("(accepted: ") <= 1


@pytest.mark.parametrize("setting", ["objects", "date_shift"])
def test_a_key_that_is_there_twice_in_a_setting(tree: Path, setting: str) -> None:
    (tree / "rules.json").write_text(f'{{"general": {{"{setting}": {{"days": 1, "days": 2}}}}}}')
    assert '"days" is there twice' in told(tree, tree / "in", tree / "out", "-c", tree / "rules.json")


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"knee": {}, "renal": {}}, ("--project", "Knee")),
        ({"knee": {}, "central": {}}, ("--aet", "AZ_KNEE")),
        ({"general": {}, "genral": {}}, ("--project", "genral")),
        ({"general": {}}, ("--aet", "hip")),
        ({}, ()),
    ],
)
def test_sections_that_apply(tree: Path, rules: dict[str, object], words: tuple[str, ...]) -> None:
    assert call("print-assignment", "-c", write_config(tree, rules), *words).code == 0


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("preset=basic", "--preset NAME"),
        ("profile_options=retain_uids", "--profile-option NAME"),
        ("objects=x", "--config"),
    ],
)
def test_a_setting_is_no_assignment(tree: Path, text: str, option: str) -> None:
    err = told(tree, tree / "in", tree / "out", "--assign", text)
    assert "is a setting of a section, and --assign takes a tag" in err
    assert (option in err, "did you mean" in err) == (True, False)


def test_an_assignment_is_not_offered_what_it_does_not_take(tree: Path) -> None:
    err = told(tree, tree / "in", tree / "out", "--assign", "0x00100010=clear")
    assert '"0x00100010": names no DICOM element (accepted: a tag (gggg,eeee) or a keyword)\n' in err


# What cannot be written in the end

FULL = "No space left on device"


@pytest.mark.parametrize("quiet", [False, True])
def test_an_account_that_cannot_be_written_is_shown(tree: Path, quiet: bool) -> None:
    done = call(tree / "in", tree / "out", "--json", "/dev/full", *["-q"] * quiet)
    assert done.code == 1
    assert f"error: --json could not be written: {FULL}\n" in done.err
    assert ("The account balances." in done.out, "The account balances." in done.err) == (not quiet, quiet)


def test_an_account_that_standard_output_does_not_take_is_shown(tree: Path) -> None:
    with open("/dev/full", "w") as full:
        made = subprocess.run(
            [*COMMAND, tree / "in", tree / "out", "--json", "-", "--verify"],
            stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False,
        )  # fmt: skip
    assert made.returncode == 1
    for text in (f"error: --json could not be written: {FULL}\n", "The account balances.", "Nothing was found."):
        assert text in made.stderr
    assert "Traceback" not in made.stderr


def test_findings_that_cannot_be_written_are_shown(tree: Path) -> None:
    assert call(tree / "in", tree / "out", "-q").code == 0
    done = call("verify", tree / "in", tree / "out", "--json", "/dev/full", "-q")
    assert done.code == 1
    assert f"error: --json could not be written: {FULL}\n" in done.err
    assert "Nothing was found." in done.err
    (tree / "out/two.dcm").write_bytes((tree / "in/one.dcm").read_bytes())
    done = call("verify", tree / "in", tree / "out", "--json", "/dev/full")
    assert (done.code, "Do not pass this output on." in done.out) == (3, True)


WORDS = [("--help",), ("--version",), ("reasons",), ("print-assignment",), ("conformance",)]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_an_output_that_is_full_is_told_in_a_line(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        made = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert made.returncode == 1
    assert made.stderr.startswith(f"error: {FULL} (OSError at ")
    assert made.stderr.count("\n") == 1


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_an_output_that_nobody_reads_is_no_error_to_tell(words: tuple[str, ...]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    made = subprocess.run([*COMMAND, *words], stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writes)
    assert (made.returncode, made.stderr) == (1, "")


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_an_output_that_is_closed(words: tuple[str, ...]) -> None:
    done = spawn(*words, preexec_fn=lambda: os.close(1))
    assert (done.code, done.out, done.err) == (0, "", "")


def test_no_letter_ends_a_command(tree: Path) -> None:
    plain = environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    rule = ("--assign", "PatientName=set(Grübenwald)")
    for form in ("table", "text", "csv"):
        done = spawn("print-assignment", *rule, "--format", form, env=plain)
        assert (done.code, done.err) == (0, "")
    listed = json.loads(spawn("print-assignment", *rule, "--format", "json", env=plain).out)["rows"]
    assert [row["parameter"] for row in listed if row["keyword"] == "PatientName"] == ["Grübenwald"]
    assert "Gr\\xfcbenwald" in spawn("inspect", tree / "in/one.dcm", *rule, env=plain).out
    (tree / "used/ü.txt").write_text("no image")
    assert "\\xfc.txt" in spawn("verify", tree / "in", tree / "used", env=plain).out


# One document on standard output


def test_nothing_but_the_account_is_on_standard_output(tree: Path) -> None:
    rules = write_config(tree, {"general": {"print_assignment": True}})
    done = call(tree / "in", tree / "out", "-c", rules, "--json", "-")
    assert json.loads(done.out)["exit_code"] == 0
    assert "(0010,0010): CMD=" in done.err


def test_what_verify_found_is_in_the_account(tree: Path) -> None:
    key = ("--key-file", tree / "key")
    for out, rule, code in (("out", "PatientSex=clear", 0), ("leaky", "PatientComments=set(Grubenwald)", 3)):
        words = (tree / "in", tree / out, *key, "--assign", rule, "--json", "-")
        done = call(*words, "--verify")
        account = json.loads(done.out)
        assert (done.code, account["exit_code"], account["verify"]["clean"]) == (code, code, code == 0)
        assert account["verify"] == json.loads(call("verify", *words).out)
        assert "verify" not in json.loads(call(*words).out)
        filed = call(*words[:-1], tree / "summary", "--verify")
        assert json.loads((tree / "summary").read_text())["verify"] == account["verify"]
        assert ("Nothing was found." in filed.out, "Do not pass" in filed.out) == (code == 0, code == 3)


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (ZeroDivisionError(), 1)])
def test_the_account_is_written_though_verify_ends_early(
    tree: Path, error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "verify_run", _raising(error))
    words = (tree / "in", tree / "out", "--json", tree / "summary", "--verify", "-q")
    if isinstance(error, KeyboardInterrupt):
        assert call(*words).code == code
    else:
        with pytest.raises(type(error)):
            call(*words)
    account = json.loads((tree / "summary").read_text())
    assert (account["exit_code"], account["written"]["files"], "verify" in account) == (code, 1, False)


def test_a_list_may_go_to_standard_output_by_name(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    Path("list.csv").write_text("ACCESSION-NUMBER\n007\n")
    Path("table.csv").write_text("PHI-AccNo,ANON-StudyUID\n007,2.25.1\n")
    done = call("lookup", "--accessions", "list.csv", "--crosswalk", "table.csv", "--out", "-")
    assert (done.code, done.out.splitlines()[1:]) == (0, ["007,2.25.1"])
    assert not Path("-").exists()
