"""The command that mercure calls: one task, told by environment variables and answered by lines and an exit code.

Lives here: that hand-over. Does not live here: the task.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_anon._version import __version__
from dicom_anon.cli.options import PATH

if TYPE_CHECKING:
    from dicom_anon.assignment import Assignment


@click.command("mercure", short_help="Do one task as a module of mercure.")
@click.argument("source", metavar="[IN]", required=False, envvar="MERCURE_IN_DIR", type=PATH)
@click.argument("destination", metavar="[OUT]", required=False, envvar="MERCURE_OUT_DIR", type=PATH)
def mercure_command(source: Path | None, destination: Path | None) -> None:
    """Do one task as a module of mercure: images, .tags and task.json in IN, de-identified images in OUT, or nothing.

    IN and OUT default to MERCURE_IN_DIR and MERCURE_OUT_DIR. The rules are the settings in task.json; the project comes
    from the receiving AE title. The key of the pseudonyms is kept in MODULE_PERSISTENCE_DIR, where mercure gives that.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    from dicom_anon.errors import DicomAnonError, Reason, UsageError, place_of
    from dicom_anon.mercure import TaskFailed, run_module

    if source is None or destination is None:
        raise UsageError("IN and OUT are needed, as arguments or as MERCURE_IN_DIR and MERCURE_OUT_DIR")
    persistent = os.environ.get("MODULE_PERSISTENCE_DIR")
    click.echo(f"dicom-anon {__version__}, module of mercure")
    try:
        report = run_module(source, destination, Path(persistent) if persistent else None, click.echo, _show)
    except TaskFailed as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except DicomAnonError:
        raise
    except Exception as error:  # a trace would quote values
        click.echo(f"error: {place_of(error)}; nothing is passed on", err=True)
        sys.exit(1)
    click.echo(f"{report.written} images de-identified")
    if dropped := report.reasons[Reason.DROPPED]:
        click.echo(f"{dropped} {Reason.DROPPED.value}")
    for note, count in sorted(report.notes.items()):
        click.echo(f"{count} {note}")


def _show(assignment: Assignment) -> None:
    from dicom_anon.cli.rows import show_assignment

    show_assignment(assignment, assignment.visible(), "text")
