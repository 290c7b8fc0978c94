"""Commands that make what is beside a run: the sample before it, and the list of the new studies after it.

Lives here: their options and messages. Does not live here: what they make.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import click

from dicom_anon.cli.options import FILE, FOLDER, STDOUT


@click.command("sample", short_help="Write a sample tree of DICOM files with planted identifiers.")
@click.argument("folder", metavar="DIR", type=FOLDER)
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


@click.command("lookup", short_help="Add the new study to each line of a list of accession numbers.")
@click.option(
    "--accessions",
    type=FILE,
    required=True,
    metavar="FILE",
    help="CSV with a column ACCESSION-NUMBER; values are texts, leading zeros count.",
)
@click.option("--crosswalk", type=FILE, required=True, metavar="FILE", help="CSV that a run with --crosswalk wrote.")
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="New file to write; only you can read it. Default: standard output.",
)
def lookup(accessions: Path, crosswalk: Path, out: Path | None) -> None:
    """Add to a list of accession numbers a column ANON-StudyUID, the name of the new study's folder.

    For a number that is not in the crosswalk it stays empty; these are counted. The result identifies: keep it where
    the crosswalk is kept.
    """
    from dicom_anon.accessions import join_files, write_private

    joined = join_files(accessions, crosswalk)
    if out is None or out == STDOUT:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="")  # the same bytes as in a file, on any system
        click.echo(joined.text, nl=False)
    else:
        write_private(out, joined.text)
    told = f"{joined.rows} accession numbers, {joined.unknown} unknown, {joined.several} with several studies"
    click.echo(told, err=True)
