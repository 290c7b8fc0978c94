"""The command line itself: what it loads, its options and its exit codes."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from dicom_anon import cli, report
from dicom_anon.cli import rows
from dicom_anon.errors import ConfigError, FileRefused, Problem, Reason, UsageError

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
        "dicom_anon._version", "dicom_anon.presets",
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
    assert (cli.EXIT_TROUBLE, cli.EXIT_USAGE, cli.EXIT_INTERRUPTED) == (
        report.EXIT_TROUBLE, report.EXIT_USAGE, report.EXIT_INTERRUPTED,
    )  # fmt: skip


PROBLEM = Problem("rules.json", "general", "PatientSx", "is no keyword", "PatientSex")
ENDS: list[tuple[BaseException, int, str]] = [
    (UsageError("DST is a file"), 2, "error: DST is a file\n"),
    (ConfigError([PROBLEM, PROBLEM]), 2, f"error: {PROBLEM}\nerror: {PROBLEM}\n2 problem(s); no file was touched.\n"),
    (FileRefused(Reason.TRUNCATED), 1, f"error: {Reason.TRUNCATED.meaning} ({FileRefused(Reason.TRUNCATED)})\n"),
    (click.UsageError("No such option"), 2, "Error: No such option\n"),
    (click.exceptions.Exit(0), 0, ""),
]


@pytest.mark.parametrize(("error", "code", "told"), ENDS, ids=lambda end: type(end).__name__)
def test_an_error_becomes_a_message_and_an_exit_code(
    error: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.cli, "main", _raising(error))
    with pytest.raises(SystemExit) as leave:
        cli.main()
    assert (leave.value.code, capsys.readouterr()) == (code, ("", told))


def test_an_error_of_nobody_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.cli, "main", _raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main()


def _raising(error: BaseException) -> object:
    def main(**options: object) -> None:
        raise error

    return main
