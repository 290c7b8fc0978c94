"""The command that looks independently at an output, which a run may ask for as well.

Lives here: what is told of the findings. Does not live here: the look.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_anon.cli.options import (
    FILE,
    STDOUT,
    check_output,
    jobs_option,
    json_option,
    key_file_option,
    quiet_option,
    read_key_file,
    run_dir_option,
    source_and_destination,
    type_option,
    write_json,
)
from dicom_anon.cli.rules import Rules, rule_options

if TYPE_CHECKING:
    from dicom_anon.assignment import Assignment
    from dicom_anon.runfolder import RunFolder
    from dicom_anon.verify import VerifyReport


@click.command("verify", short_help="Look independently for what identifies anyone in an output.")
@source_and_destination
@rule_options
@click.option("--tokens", type=FILE, metavar="FILE", help="Further texts that must not be found, one a line.")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Check only N outputs, spread over the tree.")
@key_file_option("Key of the run, where it was not the run folder's.")
@run_dir_option("Private folder of the run.")
@type_option
@jobs_option
@json_option("the findings")
@quiet_option("findings and a warning of other rules")
def verify_command(
    source: Path,
    destination: Path,
    rules: Rules,
    tokens: Path | None,
    sample: int | None,
    key_file: Path | None,
    run_dir: Path | None,
    depth: str,
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
    from dicom_anon import console
    from dicom_anon.checking import made_with
    from dicom_anon.errors import UsageError
    from dicom_anon.places import check_apart
    from dicom_anon.report import EXIT_FOUND, EXIT_GOOD, EXIT_TROUBLE
    from dicom_anon.runfolder import RunFolder, default_run_folder

    assignment = rules.resolve()
    for path, name in ((source, "SRC"), (destination, "DST")):
        if not path.exists():
            raise UsageError(f"{name} does not exist")
    if not destination.is_dir():
        raise UsageError("DST is not a folder")
    folder = RunFolder(run_dir or default_run_folder(destination))
    if json_file not in (None, STDOUT):
        others = [*rules.files, ("--key-file", key_file), ("--tokens", tokens), *folder.files]
        check_apart(json_file, "--json", source, destination)
        check_output("--json", json_file, others=others)
    key = read_key_file(key_file)
    try:
        lines = tuple(filter(None, tokens.read_text("utf-8-sig").splitlines())) if tokens else ()
    except (OSError, UnicodeDecodeError):
        raise UsageError("the tokens cannot be read: a text file in UTF-8 is needed") from None
    lacking = ""
    if not folder.knows(destination):
        if run_dir is not None:
            raise UsageError("the run folder has no record of this DST")
        lacking = "no run folder knows this DST"
    elif key is None and not folder.holds_key:
        lacking = "the run folder holds no key, and there is no --key-file"
    if lacking and not quiet:
        console.say(f"warning: {lacking}: outputs under new names count as missing")
    if not made_with(assignment, destination, folder):
        console.say("warning: DST was made with other rules; give those of the run, as what these keep is no finding")
    found = look(
        source,
        destination,
        assignment,
        folder,
        key=key,
        jobs=jobs,
        quiet=quiet,
        depth=depth,
        tokens=lines,
        sample=sample,
    )
    worse = any(one.check != "unaccounted" for one in found.findings)
    if found.outputs and found.sources == found.not_dicom and not worse:
        raise UsageError("SRC holds no DICOM file to compare DST with")
    written = json_file is None or write_json(json_file, found.as_dict())
    if json_file != STDOUT and (not quiet or not found.clean):
        console.show_findings(found)
    elif not written:
        console.show_findings(found, stderr=True)
    sys.exit(EXIT_FOUND if not found.clean else EXIT_GOOD if written else EXIT_TROUBLE)


def look(
    source: Path,
    destination: Path,
    assignment: Assignment,
    folder: RunFolder | None,
    *,
    key: bytes | None,
    jobs: int | None,
    quiet: bool,
    depth: str,
    tokens: tuple[str, ...] = (),
    sample: int | None = None,
) -> VerifyReport:
    """Verify, with a bar."""
    from dicom_anon import console
    from dicom_anon.api import usable_cores
    from dicom_anon.checking import verify_run

    with console.counting("verifying", quiet) as count:
        return verify_run(
            source,
            destination,
            assignment,
            run_folder=folder,
            key=key,
            tokens=tokens,
            sample=sample,
            whole_tree=depth == "batch",
            jobs=jobs or usable_cores(),
            progress=count,
        )
