"""The command line: options to a request, errors to a message and an exit code. The only module that imports click.

Lives here: what the words of the command mean. Does not live here: work; imports wait until a command needs them.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dicom_anon._version import __version__
from dicom_anon.presets import PRESETS

if TYPE_CHECKING:
    from dicom_anon.assignment import Assignment
    from dicom_anon.config import Rule
    from dicom_anon.runfolder import RunFolder
    from dicom_anon.tags import Key

EXIT_USAGE = 2
_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)

EPILOG = """\b
Examples:
  dicom-anon sample ./in                      write a sample tree to try things on
  dicom-anon ./in ./out                       de-identify it with the default preset
  dicom-anon ./in ./out -c rules.json --project knee
  dicom-anon ./in ./out --assign "StudyDescription=keep" --dry-run
  dicom-anon print-assignment -c rules.json   show what would be done to each tag
  dicom-anon inspect ./in/one/file            show it for one file, before and after

\b
Exit codes:
  0   all good
  1   some files failed or were quarantined; the rest is done
  2   the command or the configuration is wrong; nothing was touched
  3   --verify or verify found what identifies someone in the output
  130 interrupted; what was written is whole
"""


class _Group(click.Group):
    """A group whose first word may also be SRC: then the command is `run`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return "run", self.commands["run"], args
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib import metadata

    click.echo(f"dicom-anon {__version__}, Python {platform.python_version()}, pydicom {metadata.version('pydicom')}")
    ctx.exit()


@click.group(
    cls=_Group,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    options_metavar="[OPTIONS]",
    subcommand_metavar="SRC DST | COMMAND ...",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the versions of dicom-anon, Python and pydicom.",
)
def cli() -> None:
    r"""De-identify nested folder trees of DICOM files.

    \b
    dicom-anon [OPTIONS] SRC DST      mirrors SRC under the new folder DST ("dicom-anon run --help" lists the options)
    dicom-anon COMMAND ...            does one of the things below

    SRC is never changed. Files are recognised by content. Every file that is found is in the account at the end:
    written, skipped, quarantined or failed, with the reason.
    """


@dataclass(frozen=True)
class _Rules:
    """The options that say which rules apply; the same for every command that needs rules."""

    configs: tuple[Path, ...]
    project: str | None
    aet: str | None
    preset: str | None
    profile_options: tuple[str, ...]
    extra_rules: Path | None
    no_extra: bool
    lookup: Path | None
    assigns: tuple[str, ...]

    def resolve(self) -> Assignment:
        """Read and resolve the rules; every problem of every file and option is told at once."""
        from dicom_anon.assignment import resolve
        from dicom_anon.config import COMMAND_LINE, Config, check_preset, parse_assign, read_configs
        from dicom_anon.errors import ConfigError, Problem

        problems: list[Problem] = []

        @contextlib.contextmanager
        def collecting() -> Iterator[None]:
            try:
                yield
            except ConfigError as error:
                problems.extend(error.problems)

        config, lookup = Config(), None
        assigns: list[tuple[Key, Rule]] = []
        extra: list[tuple[Key, Rule]] = []
        with collecting():
            config = read_configs(self.configs)
        for text in self.assigns:
            with collecting():
                assigns.append(parse_assign(text))
        if self.extra_rules is not None:
            from dicom_anon.extra_rules import read_extra_rules

            with collecting():
                extra = read_extra_rules(self.extra_rules)
        if self.lookup is not None:
            from dicom_anon.lookup import read_lookup

            with collecting():
                lookup = read_lookup(self.lookup)
        if self.project is not None and self.aet is not None:
            problems.append(Problem(COMMAND_LINE, "", "--aet", "contradicts --project", "one of the two"))
        if self.preset is not None:
            problems.extend(check_preset(self.preset))
        if problems:
            raise ConfigError(problems)
        return resolve(
            config,
            project=self.project,
            aet=self.aet,
            preset=self.preset,
            profile_options=[name for text in self.profile_options for name in text.split(",")],
            extra_rules=extra,
            default_extra=not self.no_extra,
            lookup=lookup,
            assigns=assigns,
        )


def _rule_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_Rules`, as its parameter `rules`."""

    @functools.wraps(command)
    def with_rules(**options: Any) -> None:
        rules = _Rules(**{field.name: options.pop(field.name) for field in fields(_Rules)})
        command(rules=rules, **options)

    for option in reversed(
        (
            click.option(
                "-c",
                "--config",
                "configs",
                type=_FILE,
                multiple=True,
                metavar="FILE",
                help="Rules in JSON. May be repeated: later files lie over earlier ones.",
            ),
            click.option("--project", metavar="NAME", help="Section of the configuration to lay over general."),
            click.option(
                "--aet", metavar="AET", help="Receiving AE title from which the section is found (az_KNEE: knee)."
            ),
            click.option("--preset", metavar="NAME", help=f"Preset to start from: {', '.join(PRESETS)}."),
            click.option(
                "--profile-option",
                "profile_options",
                multiple=True,
                metavar="NAME",
                help="Option of PS3.15 Annex E over the preset basic or tcia, such as retain_uids. May be repeated.",
            ),
            click.option(
                "--extra-rules",
                type=_FILE,
                metavar="FILE",
                help="Rules in the JSON of dicom-anonymizer, over the preset.",
            ),
            click.option("--no-extra", is_flag=True, help="Leave out the extra rules that come with the preset basic."),
            click.option(
                "--lookup",
                type=_FILE,
                metavar="FILE",
                help="CSV of original PatientID to subject id; who is not in it is quarantined.",
            ),
            click.option(
                "--assign",
                "assigns",
                multiple=True,
                metavar="TAG=COMMAND",
                help='One rule over all others, such as "PatientSex=clear". May be repeated.',
            ),
        )
    ):
        with_rules = option(with_rules)
    return with_rules


@cli.command("run", short_help="De-identify SRC into DST; the word run may be left out.")
@click.argument("source", metavar="SRC", type=_PATH)
@click.argument("destination", metavar="DST", type=_PATH)
@_rule_options
@click.option(
    "--key-file",
    type=_FILE,
    metavar="FILE",
    help="Secret for the pseudonyms, at least 16 bytes. Default: made once, kept in DST.private.",
)
@click.option(
    "--run-dir",
    type=_PATH,
    metavar="DIR",
    help="Private folder for key and lists. Default: DST.private beside DST.",
)
@click.option(
    "--no-run-dir",
    is_flag=True,
    help="Keep no private folder: without --key-file nobody can repeat the pseudonyms.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Worker processes. Default: the cores this process may use.",
)
@click.option("--dry-run", is_flag=True, help="Decide for every file, write nothing.")
@click.option(
    "--on-error",
    type=click.Choice(["quarantine", "fail"]),
    default="quarantine",
    show_default=True,
    help="Go on after a file that cannot be done, or end the run there.",
)
@click.option("--overwrite", is_flag=True, help="Remove what an earlier run wrote into DST, and start afresh.")
@click.option(
    "--quarantine",
    type=_PATH,
    metavar="DIR",
    help="Put copies of what could not be done into DIR, in folders by reason.",
)
@click.option(
    "--crosswalk",
    type=_FILE,
    metavar="FILE",
    help="Write a CSV of old and new patients, studies and series; keep it where the key is kept.",
)
@click.option(
    "--type",
    "depth",
    type=click.Choice(["batch", "folder"]),
    default="batch",
    show_default=True,
    help="The whole tree, or only the files directly in SRC.",
)
@click.option(
    "--follow-links",
    is_flag=True,
    help="Follow symbolic links that lead out of SRC; without it they are listed and skipped.",
)
@click.option(
    "--names",
    type=click.Choice(["keep", "safe", "uid"]),
    default="safe",
    show_default=True,
    help="Names: as they are; replaced where they hold an identifier; Study/Series/SOP Instance UID.",
)
@click.option(
    "--layout",
    type=click.Choice(["mirror", "study"]),
    default="mirror",
    show_default=True,
    help="Folders as in SRC; or a folder for each study, with images by series, extracted data and an account.",
)
@click.option(
    "--extract",
    metavar="all|main|KEYWORD,...",
    help="Write what each series says as JSON beside it. Default: main with the layout study, else nothing.",
)
@click.option(
    "--on-burned-in",
    type=click.Choice(["warn", "quarantine", "fail"]),
    default="warn",
    show_default=True,
    help="What becomes of objects whose pixels may show text: counted, left out, or the end of the run.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Then look independently for what is left of any identifier; exit code 3 where something is.",
)
@click.option(
    "--json",
    "json_file",
    type=_FILE,
    metavar="FILE",
    help="Write the account as JSON; - for standard output.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Show more.")
def run_command(
    source: Path,
    destination: Path,
    rules: _Rules,
    key_file: Path | None,
    run_dir: Path | None,
    no_run_dir: bool,
    jobs: int | None,
    dry_run: bool,
    on_error: str,
    overwrite: bool,
    quarantine: Path | None,
    crosswalk: Path | None,
    depth: str,
    follow_links: bool,
    names: str,
    layout: str,
    extract: str | None,
    on_burned_in: str,
    verify: bool,
    json_file: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """De-identify SRC, a folder tree or one file, into the new folder DST.

    The same command again resumes: what was done is not done again, new and changed files are.
    DST mirrors SRC: sub-folders, names, empty branches; names that hold an identifier are replaced. Files
    that are not DICOM, and DICOMDIRs, are not copied.
    A private folder, DST.private, keeps the key of the pseudonyms and the list of what was not written: guard it.
    """
    assignment = rules.resolve()
    from dicom_anon import console
    from dicom_anon.api import anonymize_tree
    from dicom_anon.runfolder import RunFolder, default_run_folder, read_key

    key = read_key(key_file) if key_file else None
    folder = None if no_run_dir else RunFolder(run_dir or default_run_folder(destination))
    for warning in assignment.warnings:
        console.say(f"warning: {warning}")
    if assignment.print_assignment:
        console.show_assignment(assignment, assignment.visible(), "text")
    to_stdout = json_file == Path("-")
    with console.progress(quiet) as progress:
        report = anonymize_tree(
            source,
            destination,
            assignment,
            key=key,
            jobs=jobs,
            dry_run=dry_run,
            stop_on_trouble=on_error == "fail",
            run_folder=folder,
            overwrite=overwrite,
            quarantine=quarantine,
            names=names,
            on_burned_in=on_burned_in,
            layout=layout,
            extract=extract,
            crosswalk=crosswalk,
            whole_tree=depth == "batch",
            follow_links=follow_links,
            watcher=progress,
        )
        if report.interrupted:
            _deaf_to_interrupts()
    summary = json.dumps(
        {
            **report.to_json(),
            "preset": assignment.preset,
            "project": assignment.project,
            "rules": assignment.digest,
        },
        indent=1,
    )
    if to_stdout:
        click.echo(summary)
    elif json_file is not None:
        json_file.write_text(summary + "\n", "utf-8")
    if not quiet and not to_stdout:
        console.show_report(report, verbose=verbose, list_at=str(folder.problems_path) if folder else "")
    if verify and not dry_run and not report.interrupted:
        _verify(source, destination, assignment, folder, key, (), None, jobs, quiet, None)
    sys.exit(report.exit_code)


def _verify(
    source: Path,
    destination: Path,
    assignment: Assignment,
    folder: RunFolder | None,
    key: bytes | None,
    tokens: tuple[str, ...],
    sample: int | None,
    jobs: int | None,
    quiet: bool,
    json_file: Path | None,
) -> None:
    """Verify, show what was found, and leave with exit code 3 where there is anything."""
    from dicom_anon import console
    from dicom_anon.api import usable_cores
    from dicom_anon.checking import verify_run
    from dicom_anon.report import EXIT_FOUND

    with console.counting("verifying", quiet) as count:
        found = verify_run(
            source,
            destination,
            assignment,
            run_folder=folder,
            key=key,
            tokens=tokens,
            sample=sample,
            jobs=jobs or usable_cores(),
            progress=count,
        )
    if json_file is not None:
        text = json.dumps(found.as_dict(), indent=1) + "\n"
        click.echo(text, nl=False) if json_file == Path("-") else json_file.write_text(text, "utf-8")
    if json_file != Path("-") and (not quiet or not found.clean):
        console.show_findings(found)
    if not found.clean:
        sys.exit(EXIT_FOUND)


@cli.command("verify", short_help="Look independently for what identifies anyone in an output.")
@click.argument("source", metavar="SRC", type=_PATH)
@click.argument("destination", metavar="DST", type=_PATH)
@_rule_options
@click.option("--tokens", type=_FILE, metavar="FILE", help="Further texts that must not be found, one a line.")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Check only N outputs, spread over the tree.")
@click.option("--key-file", type=_FILE, metavar="FILE", help="Key of the run, where it was not the run folder's.")
@click.option(
    "--run-dir", type=_PATH, metavar="DIR", help="Private folder of the run. Default: DST.private beside DST."
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Worker processes. Default: the cores this process may use.",
)
@click.option(
    "--json",
    "json_file",
    type=_FILE,
    metavar="FILE",
    help="Write the findings as JSON; - for standard output.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show findings only.")
def verify_command(
    source: Path,
    destination: Path,
    rules: _Rules,
    tokens: Path | None,
    sample: int | None,
    key_file: Path | None,
    run_dir: Path | None,
    jobs: int | None,
    json_file: Path | None,
    quiet: bool,
) -> None:
    """Search every output under DST for every identifier of every file under SRC, with code of its own.

    Names, IDs, dates, UIDs, addresses and the rest, nested and private ones too, in every encoding, in the raw bytes
    and in the paths. Then: every source accounted for, UIDs consistent, references intact, the same pixels, all
    readable. Give the rules of the run, so that what they keep on purpose is no finding. Exit code 3 where anything is
    found.
    Findings say file, place and kind, never the value.
    """
    from dicom_anon.errors import UsageError
    from dicom_anon.runfolder import RunFolder, default_run_folder, read_key

    assignment = rules.resolve()
    for path, name in ((source, "SRC"), (destination, "DST")):
        if not path.exists():
            raise UsageError(f"{name} does not exist")
    key = read_key(key_file) if key_file else None
    try:
        lines = tuple(filter(None, tokens.read_text("utf-8").splitlines())) if tokens else ()
    except (OSError, UnicodeDecodeError):
        raise UsageError("the tokens cannot be read: a text file in UTF-8 is needed") from None
    folder = RunFolder(run_dir or default_run_folder(destination))
    _verify(source, destination, assignment, folder, key, lines, sample, jobs, quiet, json_file)


@cli.command("print-assignment", short_help="Show what is done to each tag, and who said so.")
@_rule_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "text", "json", "csv"]),
    default="table",
    show_default=True,
    help="text is mercure-anonymizer's own line.",
)
@click.option("--all", "show_all", is_flag=True, help="Show the safe rows too.")
@click.option("--diff", metavar="PRESET", help="Show only what differs from this preset.")
def print_assignment(
    rules: _Rules,
    form: str,
    show_all: bool,
    diff: str | None,
) -> None:
    """Show the assignment that these rules give: tag, keyword, command, parameter, and where each row came from."""
    from dicom_anon import console
    from dicom_anon.assignment import difference, resolve
    from dicom_anon.config import check_preset
    from dicom_anon.errors import ConfigError

    assignment = rules.resolve()
    for warning in assignment.warnings:
        console.say(f"warning: {warning}")
    shown = assignment
    if diff is not None:
        if problems := check_preset(diff, "--diff"):
            raise ConfigError(problems)
        shown = difference(assignment, resolve(preset=diff))
    console.show_assignment(assignment, shown.visible(safe=show_all or diff is not None), form)


@cli.command("inspect", short_help="Show for one file what is decided, before and after. Shows values!")
@click.argument("file", metavar="FILE", type=_FILE)
@_rule_options
@click.option(
    "--key-file",
    type=_FILE,
    metavar="FILE",
    help="Secret for the pseudonyms, to see the very values of a run.",
)
def inspect(
    file: Path,
    rules: _Rules,
    key_file: Path | None,
) -> None:
    """Show the decisions for every element of FILE, nested ones indented. Nothing is written.

    The output shows the values of the file, the patient's name included: keep it where the file is kept.
    """
    from dicom_anon import console
    from dicom_anon.api import explain_file
    from dicom_anon.errors import UsageError
    from dicom_anon.runfolder import read_key

    assignment = rules.resolve()
    try:
        engine, decisions = explain_file(file, assignment, key=read_key(key_file) if key_file else None)
    except OSError as error:
        raise UsageError(f"FILE cannot be read: {error.strerror}") from None
    console.show_decisions(engine, decisions)


@cli.command("conformance", short_help="Print the conformance statement of these rules (PS3.15 Annex E).")
@_rule_options
def conformance(rules: _Rules) -> None:
    """Print what Annex E.1.3 of PS3.15 asks a de-identifier to state, for these very rules, as Markdown."""
    from dicom_anon.conformance import statement

    click.echo(statement(rules.resolve()))


@cli.command("reasons", short_help="List the reasons why a file is not written.")
def reasons() -> None:
    """List every reason why a file is skipped, quarantined or failed, as the account names it."""
    from dicom_anon import console

    console.show_reasons()


@cli.command("sample", short_help="Write a sample tree of DICOM files with planted identifiers.")
@click.argument("folder", metavar="DIR", type=_PATH)
def sample(folder: Path) -> None:
    """Write a sample tree into the new folder DIR: made-up patients, of many kinds of objects, to try things on."""
    from dicom_anon import console
    from dicom_anon.errors import UsageError
    from dicom_anon.sample import write_sample

    try:
        made = write_sample(folder)
    except FileExistsError:
        raise UsageError("DIR is not empty: choose a new folder") from None
    except OSError as error:
        raise UsageError(f"DIR cannot be written: {error.strerror}") from None
    console.say(
        f"{made.files} DICOM files of {made.patients} made-up patients and {made.others} other files "
        f"in {made.studies} studies, {made.series} series: {folder}"
    )


@cli.command("lookup", short_help="Add the new study to each line of a list of accession numbers.")
@click.option(
    "--accessions",
    type=_FILE,
    required=True,
    metavar="FILE",
    help="CSV with a column ACCESSION-NUMBER; values are texts, leading zeros count.",
)
@click.option("--crosswalk", type=_FILE, required=True, metavar="FILE", help="CSV that a run with --crosswalk wrote.")
@click.option(
    "--out",
    type=_FILE,
    metavar="FILE",
    help="New file to write; only you can read it. Default: standard output.",
)
def lookup(accessions: Path, crosswalk: Path, out: Path | None) -> None:
    """Add to a list of accession numbers a column ANON-StudyUID, the name of the new study's folder.

    Those that the crosswalk has not stay empty and are counted. The result identifies: keep it where the crosswalk is
    kept.
    """
    from dicom_anon.accessions import join_files, write_private

    joined = join_files(accessions, crosswalk)
    if out is None:
        click.echo(joined.text, nl=False)
    else:
        write_private(out, joined.text)
    told = f"{joined.rows} accession numbers, {joined.unknown} unknown, {joined.several} with several studies"
    click.echo(told, err=True)


@cli.command("mercure", short_help="Do one task as a module of mercure.")
@click.argument("source", metavar="[IN]", required=False, envvar="MERCURE_IN_DIR", type=_PATH)
@click.argument("destination", metavar="[OUT]", required=False, envvar="MERCURE_OUT_DIR", type=_PATH)
def mercure(source: Path | None, destination: Path | None) -> None:
    """Do one task as a module of mercure: images, .tags and task.json in IN, de-identified images in OUT, or nothing.

    IN and OUT default to MERCURE_IN_DIR and MERCURE_OUT_DIR. The rules are the settings in task.json; the project comes
    from the receiving AE title. The key of the pseudonyms is kept in MODULE_PERSISTENCE_DIR, where mercure gives that.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    from dicom_anon.errors import DicomAnonError, UsageError
    from dicom_anon.mercure import TaskFailed, place_of, run_module

    def show(assignment: Assignment) -> None:
        from dicom_anon import console

        console.show_assignment(assignment, assignment.visible(), "text")

    if source is None or destination is None:
        raise UsageError("IN and OUT are not given, and MERCURE_IN_DIR and MERCURE_OUT_DIR are not set")
    persistent = os.environ.get("MODULE_PERSISTENCE_DIR")
    click.echo(f"dicom-anon {__version__}, module of mercure")
    try:
        report = run_module(source, destination, Path(persistent) if persistent else None, click.echo, show)
    except TaskFailed as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except DicomAnonError:
        raise
    except Exception as error:  # a trace would quote values
        click.echo(f"error: {place_of(error)}; nothing is passed on", err=True)
        sys.exit(1)
    click.echo(f"{report.written} images de-identified")
    for note, count in sorted(report.notes.items()):
        click.echo(f"{count} {note}")


def _deaf_to_interrupts() -> None:
    """Take no second Ctrl-C: what is left is to say how the first one ended, and with which exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    """Run the command line: the only place that turns errors into messages and exit codes."""
    from dicom_anon.errors import ConfigError, DicomAnonError, FileRefused

    try:
        cli.main(prog_name="dicom-anon", standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        _deaf_to_interrupts()
        click.echo("interrupted", err=True)
        sys.exit(130)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        click.echo(f"{len(error.problems)} problem(s); no file was touched.", err=True)
        sys.exit(EXIT_USAGE)
    except FileRefused as error:
        click.echo(f"error: {error.reason.meaning} ({error})", err=True)
        sys.exit(1)
    except DicomAnonError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
