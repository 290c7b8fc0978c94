"""The command line: options to a request, errors to a message and an exit code. The only package that imports click.

Lives here: what the words of the command mean; a module for each kind of command. Does not live here: work; imports
wait until a command needs them.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TextIO

import click

from dicom_anon._version import __version__
from dicom_anon.cli.make import lookup, sample
from dicom_anon.cli.mercure import mercure_command
from dicom_anon.cli.run import run_command
from dicom_anon.cli.show import conformance, inspect, print_assignment, reasons
from dicom_anon.cli.verify import verify_command
from dicom_anon.ending import FirstSignal

EXIT_TROUBLE, EXIT_USAGE = 1, 2
"""As in `dicom_anon.report`, which takes long to import."""

_OURS = os.path.dirname(os.path.dirname(__file__))

ABOUT = """De-identify nested folder trees of DICOM files.

\b
dicom-anon [OPTIONS] SRC DST   de-identify SRC into the new folder DST
dicom-anon COMMAND ...         do one of the things below

"dicom-anon run --help" lists the options of a run. SRC is never changed. Files are recognised by content. Every
file that is found is in the account at the end: written, skipped, quarantined or failed, with the reason.
"""

EPILOG = """\b
Examples:
  dicom-anon sample ./in                      write a sample tree to try things on
  dicom-anon ./in ./out                       de-identify it with the default preset
  dicom-anon verify ./in ./out                search the result for what identifies anyone
  dicom-anon ./in ./out -c rules.json --project knee
  dicom-anon ./in ./out --assign "StudyDescription=keep" --dry-run
  dicom-anon print-assignment -c rules.json   show what would be done to each tag
  dicom-anon inspect ./in/one/file            show it for one file, before and after

\b
Exit codes:
  0   all good
  1   some files failed or were quarantined, or could not be recorded; the rest is done
  2   the command or the configuration is wrong; nothing was touched
  3   --verify or verify found what identifies someone in the output
  130 interrupted (143 by SIGTERM, 129 by a closed terminal); what was written is whole
"""


class _Group(click.Group):
    """A group whose first word may also be SRC: then the command is `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h", "--version"):
            if not args[0].startswith("-") and not os.path.lexists(args[0]):
                self._refuse_typo(ctx, args[0])
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def _refuse_typo(self, ctx: click.Context, word: str) -> None:
        from difflib import get_close_matches

        if close := get_close_matches(word, [*self.commands, "--help", "--version"], n=1, cutoff=0.75):
            ctx.fail(f"there is no command and no SRC {word!r}; did you mean {close[0]!r}?")


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    import platform
    from importlib import metadata

    click.echo(f"dicom-anon {__version__}, Python {platform.python_version()}, pydicom {metadata.version('pydicom')}")
    ctx.exit()


@click.group(
    cls=_Group,
    help=ABOUT,
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
    """Take a command; its text for people is `ABOUT`."""


for _command in (
    run_command,
    verify_command,
    print_assignment,
    inspect,
    conformance,
    reasons,
    sample,
    lookup,
    mercure_command,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line: the only place that turns errors into messages and exit codes."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no letter of a name or rule ends a command
    first = FirstSignal()
    try:
        with first.heeded():
            cli.main(prog_name="dicom-anon", standalone_mode=False, obj=first)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        if "unexpected extra argument" in error.message:
            click.echo("A path with blanks in it needs quotes.", err=True)
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        with contextlib.suppress(OSError):
            click.echo("interrupted", err=True)
        sys.exit(first.exit_code)
    except OSError as error:
        if not first.came and not isinstance(error, BrokenPipeError):
            sys.exit(_tell(error))
        _drop_output()  # the terminal, or who read, has gone
        sys.exit(first.exit_code if first.came else EXIT_TROUBLE)
    except Exception as error:
        sys.exit(_tell(error))


def _open_streams() -> None:
    """Put something in the place of streams that are closed: a file would get their number, and no worker starts."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, "w", encoding="utf-8"))  # noqa: SIM115 # to the end


def _tell(error: Exception) -> int:
    """Say what is wrong, and give the exit code. What is no error of ours, nor of the system, is raised again."""
    from sqlite3 import Error as DatabaseError

    from dicom_anon.errors import ConfigError, DicomAnonError, FileRefused, place_of

    if isinstance(error, OSError | DatabaseError):
        what = error.strerror if isinstance(error, OSError) else str(error)
        place = place_of(error, _OURS)  # the path that the system names may identify
        click.echo(f"error: {what or 'the system refused'} ({place})", err=True)
        _drop_output()
        return EXIT_TROUBLE
    if not isinstance(error, DicomAnonError):
        raise error
    if isinstance(error, FileRefused):
        click.echo(f"error: {error.reason.meaning} ({error})", err=True)
        return EXIT_TROUBLE
    if isinstance(error, ConfigError):
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        click.echo(f"{len(error.problems)} problem(s); no file was touched.", err=True)
    else:
        click.echo(f"error: {error}", err=True)
    return EXIT_USAGE


def _drop_output() -> None:
    """Give up what an output did not take, so that Python does not try, and fail, once more at its end."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):
            if not _takes(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _takes(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        return False
    return True
