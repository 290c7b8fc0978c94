"""Commands that look at rules and files, and write nothing.

Lives here: their options. Does not live here: what is shown, and how (`rows`, and the console).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dicom_anon.cli.options import FILE, key_file_option, read_key_file
from dicom_anon.cli.rules import Rules, rule_options, warn


@click.command("print-assignment", short_help="Show what is done to each tag, and who said so.")
@rule_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "text", "json", "csv"]),
    default="table",
    show_default=True,
    help="text: the lines that mercure-anonymizer prints.",
)
@click.option("--all", "show_all", is_flag=True, help="Show the rows with the command safe, too.")
@click.option("--diff", metavar="PRESET", help="Show only what differs from this preset.")
def print_assignment(rules: Rules, form: str, show_all: bool, diff: str | None) -> None:
    """Show the assignment that these rules give: tag, keyword, command, parameter, and where each row came from."""
    from dicom_anon.assignment import difference, resolve
    from dicom_anon.cli.rows import show_assignment
    from dicom_anon.config import check_preset
    from dicom_anon.errors import ConfigError

    assignment = rules.resolve()
    warn(assignment)
    shown = assignment
    if diff is not None:
        if problems := check_preset(diff, "--diff"):
            raise ConfigError(problems)
        shown = difference(assignment, resolve(preset=diff))
    show_assignment(assignment, shown.visible(safe=show_all or diff is not None), form)


@click.command("inspect", short_help="Show for one file what is decided, before and after. Shows values!")
@click.argument("file", metavar="FILE", type=FILE)
@rule_options
@key_file_option("Secret for the pseudonyms, to see the very values of a run.")
def inspect(file: Path, rules: Rules, key_file: Path | None) -> None:
    """Show the decisions for every element of FILE, nested ones indented, and what a run would say of it.

    Nothing is written. The exit code is 1 where a run would not write FILE either. The output shows the values of the
    file, the patient's name included: keep it where the file is kept.
    """
    from dicom_anon import console
    from dicom_anon.api import explain_file
    from dicom_anon.errors import FileRefused, Reason, UsageError
    from dicom_anon.report import EXIT_TROUBLE

    assignment = rules.resolve()
    warn(assignment)
    try:
        result, decisions = explain_file(file, assignment, key=read_key_file(key_file))
    except OSError as error:
        raise UsageError(f"FILE cannot be read: {error.strerror}") from None
    if decisions:
        console.show_decisions(decisions)
    if result.reason is None:
        console.show_answer(result)
        return
    others = {Reason.NOT_DICOM: "FILE is not DICOM", Reason.DICOMDIR: "FILE is a DICOMDIR, a list of other files"}
    usual = f"a run would not write FILE, but count it as {result.reason.kind.value}: {result.reason.meaning}"
    told = others.get(result.reason, usual)  # a few reasons speak of a run
    click.echo(f"error: {told} ({FileRefused(result.reason, result.detail)})", err=True)
    sys.exit(EXIT_TROUBLE)


@click.command("conformance", short_help="Print the conformance statement of these rules (PS3.15 Annex E).")
@rule_options
def conformance(rules: Rules) -> None:
    """Print what Annex E.1.3 of PS3.15 asks a de-identifier to state, for these very rules, as Markdown."""
    from dicom_anon.conformance import statement

    assignment = rules.resolve()
    warn(assignment)
    click.echo(statement(assignment))


@click.command("reasons", short_help="List the reasons why a file is not written.")
def reasons() -> None:
    """List every reason why a file is skipped, quarantined or failed, as the account names it."""
    from dicom_anon import console

    console.show_reasons()
