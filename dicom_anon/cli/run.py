"""The command that de-identifies a tree.

Lives here: its options, and what is shown and written at its end. Does not live here: the run.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_anon.cli.options import (
    FILE,
    FOLDER,
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
from dicom_anon.cli.rules import Rules, rule_options, warn
from dicom_anon.cli.verify import look

if TYPE_CHECKING:
    from dicom_anon.ending import FirstSignal
    from dicom_anon.verify import VerifyReport


@click.command("run", short_help="De-identify SRC into DST; the word run may be left out.")
@source_and_destination
@rule_options
@key_file_option("Secret for the pseudonyms, at least 16 bytes. Default: made once, kept in DST.private.")
@run_dir_option("Private folder for key and lists.")
@click.option(
    "--no-run-dir",
    is_flag=True,
    help="Keep no private folder: no run can be resumed, nor its pseudonyms repeated without --key-file.",
)
@jobs_option
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
    type=FOLDER,
    metavar="DIR",
    help="Put copies of what could not be done into DIR, in folders by reason.",
)
@click.option(
    "--crosswalk",
    type=FILE,
    metavar="FILE",
    help="Write a CSV of old and new patients, studies and series; keep it where the key is kept.",
)
@type_option
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
    help="Afterwards look independently for what is left of any identifier; exit code 3 where something is.",
)
@json_option("the account, and under verify what --verify found,")
@quiet_option("errors, warnings, findings, and the account of a run with trouble")
@click.option("-v", "--verbose", is_flag=True, help="Say what the reasons for skipped files mean, too.")
@click.pass_obj
def run_command(
    first: FirstSignal,
    source: Path,
    destination: Path,
    rules: Rules,
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
    from dicom_anon.errors import UsageError
    from dicom_anon.places import check_apart
    from dicom_anon.report import EXIT_FOUND, EXIT_TROUBLE
    from dicom_anon.runfolder import RunFolder, default_run_folder

    key = read_key_file(key_file)
    if no_run_dir and run_dir is not None:
        raise UsageError("--no-run-dir contradicts --run-dir")
    if dry_run and verify:
        raise UsageError("--dry-run contradicts --verify: nothing is written that could be looked at")
    if no_run_dir and verify:
        raise UsageError("--no-run-dir contradicts --verify: nothing is kept that tells whose output is which")
    if extract == "":
        raise UsageError("--extract names nothing: all, main, or keywords such as Modality,EchoTime")
    folder = None if no_run_dir else RunFolder(run_dir or default_run_folder(destination))
    made = [destination] if folder is None or dry_run else [destination, folder.path]
    others = [*rules.files, ("--key-file", key_file), *(folder.files if folder else ())]
    if crosswalk is not None:
        check_output("--crosswalk", crosswalk, made=made, others=others)
        if crosswalk == STDOUT or (os.path.lexists(crosswalk) and not stat.S_ISREG(os.lstat(crosswalk).st_mode)):
            raise UsageError("--crosswalk cannot be written: it is no ordinary file")
    if json_file not in (None, STDOUT):
        others += [("--crosswalk", crosswalk)]
        check_apart(json_file, "--json", source, destination)
        check_output("--json", json_file, made=made, others=others)
    warn(assignment)
    if assignment.print_assignment:
        from dicom_anon.cli.rows import show_assignment

        show_assignment(assignment, assignment.visible(), "text", stderr=json_file == STDOUT)
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
        report.ended_by = first.number
    kept = None if dry_run else folder
    shown = json_file != STDOUT and (not quiet or report.exit_code == EXIT_TROUBLE)  # trouble is never silent
    found: VerifyReport | None = None
    code, written = report.exit_code or EXIT_TROUBLE, True
    try:
        if shown:
            console.show_report(report, verbose=verbose, kept=kept, stderr=quiet)
        if verify and not dry_run and not report.interrupted:
            found = look(source, destination, assignment, folder, key=key, jobs=jobs, quiet=quiet, depth=depth)
        code = report.exit_code if found is None or found.clean else EXIT_FOUND
        if found is not None and json_file != STDOUT and (not quiet or not found.clean):
            console.show_findings(found)
    except KeyboardInterrupt:
        code = first.exit_code
        raise
    finally:  # the run is done: whatever became of its output on the terminal, or of verify, its account is written
        if json_file is not None:
            rules_used = {"preset": assignment.preset, "project": assignment.project, "rules": assignment.told_digest}
            verdict = {} if found is None else {"verify": found.as_dict()}
            written = write_json(json_file, {**report.to_json(), "exit_code": code, **rules_used, **verdict})
    if not written:
        if not shown:
            console.show_report(report, verbose=verbose, kept=kept, stderr=True)
        if found is not None and json_file == STDOUT:
            console.show_findings(found, stderr=True)
    sys.exit(code if written else code or EXIT_TROUBLE)
