"""The Python interface to files: one, or a tree of them. The command line calls the same functions.

Lives here: putting the parts together. Does not live here: any rule, and anything that prints or exits.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from dicom_anon._version import __version__
from dicom_anon.arrange import Arranger
from dicom_anon.assignment import Assignment
from dicom_anon.crosswalk import Crosswalk
from dicom_anon.destination import all_ours, start_afresh
from dicom_anon.dicomfile import DicomFile
from dicom_anon.directory import write_directories
from dicom_anon.discovery import FileJob
from dicom_anon.documents import write_documents
from dicom_anon.engine import Engine
from dicom_anon.errors import FileRefused, UsageError
from dicom_anon.explaining import Decision, Explainer
from dicom_anon.extract import Extract, parse_extract
from dicom_anon.folders import level_folders
from dicom_anon.layout import LAYOUTS, NAMERS
from dicom_anon.manifest import Manifest, TreeFacts
from dicom_anon.namebook import NameBook
from dicom_anon.naming import MODES
from dicom_anon.output import write_whole
from dicom_anon.places import check_paths, lies_in
from dicom_anon.planning import make_plan
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.report import RunReport
from dicom_anon.runfolder import ProblemList, RunFolder
from dicom_anon.runner import Request, Watcher, run
from dicom_anon.taskjson import TaskFacts
from dicom_anon.worker import FileResult, Order, deidentify, process_file


def anonymize_file(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    assignment: Assignment | None = None,
    *,
    key: bytes | None = None,
) -> frozenset[str]:
    """De-identify one file.

    Parameters
    ----------
    source, destination : path
        File to read and another one to write; the destination's folder exists, and a file of that name is replaced.
    assignment : Assignment, optional
        From `resolve`; the preset ``default`` where it is left out.
    key : bytes, optional
        Secret of at least 16 bytes. Without one every call has a key of its own, so that files of one series no longer
        belong together.

    Returns
    -------
    frozenset of str
        Notes, such as ``patient-by-name``.

    Raises
    ------
    FileRefused
        It cannot be de-identified safely; nothing was written.
    UsageError
        Source and destination are the same file.
    ValueError
        The key is too short.
    OSError
        It cannot be read or written.
    """
    if lies_in(Path(destination), Path(source)):
        raise UsageError("source and destination are the same file: choose another destination")
    engine = Engine(make_plan(assignment, key))
    with open(source, "rb", buffering=0) as handle:
        return deidentify(handle, os.fstat(handle.fileno()).st_size, Path(destination), engine)


class Explained(NamedTuple):
    """What would become of one file.

    Parameters
    ----------
    result : FileResult
        What a run would say of it.
    decisions : list of Decision
        For every element; none where the file cannot be walked.
    """

    result: FileResult
    decisions: list[Decision]


def explain_file(
    source: str | os.PathLike[str], assignment: Assignment | None = None, *, key: bytes | None = None
) -> Explained:
    """Say what a run would do with one file, and what is decided for every element of it; write nothing.

    Raises
    ------
    OSError
        It cannot be read.
    """
    path, decisions = Path(source), []
    plan = make_plan(assignment, key)
    engine = Explainer(plan)
    with open(path, "rb", buffering=0) as handle:
        size = os.fstat(handle.fileno()).st_size
        order = Order(plan, os.fspath(path.parent), "", dry_run=True)
        result = process_file(FileJob(path.name, size, 0, path.name), order, engine)
        with contextlib.suppress(FileRefused):  # the result has the reason
            file = DicomFile(handle, size)
            decisions = list(engine.explain(file.data, file.transfer_syntax))
    return Explained(result, decisions)


ON_BURNED_IN = ("warn", "quarantine", "fail")
"""What can become of objects whose pixels may show text."""


class _Unwatched:
    def update(self, report: RunReport) -> None:
        """Show nothing."""


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def anonymize_tree(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    assignment: Assignment | None = None,
    *,
    key: bytes | None = None,
    jobs: int | None = None,
    dry_run: bool = False,
    stop_on_trouble: bool = False,
    run_folder: RunFolder | str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    quarantine: str | os.PathLike[str] | None = None,
    names: str = "safe",
    on_burned_in: str = "warn",
    crosswalk: str | os.PathLike[str] | None = None,
    whole_tree: bool = True,
    follow_links: bool = False,
    layout: str = "mirror",
    extract: str | None = None,
    task: Mapping[str, str] | None = None,
    problems: ProblemList | None = None,
    watcher: Watcher | None = None,
) -> RunReport:
    """De-identify a folder tree, or a single file, into a folder that mirrors it.

    Parameters
    ----------
    source : path
        Folder or file.
    destination : path
        Folder; it is created. It must be empty, unless the run folder has a record of it: then the run resumes.
    assignment : Assignment, optional
        From `resolve`; the preset ``default`` where it is left out.
    key : bytes, optional
        Secret of at least 16 bytes. Without one the run folder's is used, and without a run folder a new one.
    jobs : int, optional
        Worker processes; as many as there are usable cores where it is left out.
    dry_run : bool
        Decide, but write nothing.
    stop_on_trouble : bool
        End at the first file that is quarantined or fails.
    run_folder : RunFolder or path, optional
        Private folder that keeps the key, the record of what was done, and the list of what was not written; it is
        made. The same call again resumes. Without one nothing can be resumed.
    overwrite : bool
        Remove what an earlier run wrote, and start afresh.
    quarantine : path, optional
        Folder that gets copies of the files that were quarantined, in folders by reason.
    names : str
        ``safe``: names of files and folders that hold an identifier are replaced; ``keep``: none is; ``uid``: outputs
        are named by their new Study, Series and SOP Instance UID.
    on_burned_in : str
        What becomes of objects whose pixels may show text: ``warn`` counts them, ``quarantine`` leaves them out,
        ``fail`` ends the run at the first one.
    crosswalk : path, optional
        CSV file that gets the old and new identities of patients, studies and series; outside of `destination`.
    whole_tree : bool
        Go into sub-folders.
    follow_links : bool
        Follow symbolic links that lead out of `source`.
    layout : str
        ``mirror``: folders and names as in the source; ``study``: a folder for each study, with its images by series,
        extracted data and an account; ``mercure``: all in one folder, as mercure passes images on.
    extract : str, optional
        What to write of each series as JSON: ``all``, ``main``, or keywords with commas. The layout ``study`` extracts
        ``main`` where it is left out, the others nothing.
    task : Mapping[str, str], optional
        What else the accounts of studies say of where the task came from.
    problems : ProblemList, optional
        Gets the files that were not written, where there is no run folder to keep their list.
    watcher : Watcher, optional
        Gets the account as it grows.

    Returns
    -------
    RunReport
        The account, which balances.

    Raises
    ------
    UsageError
        The paths or options cannot be used so, or the destination was made from another source, with other rules or
        another key.
    ValueError
        The key is too short.
    """
    top, target, table = Path(source), Path(destination), Path(crosswalk) if crosswalk else None
    if isinstance(run_folder, str | os.PathLike):
        run_folder = RunFolder(Path(run_folder))
    known = run_folder is not None and run_folder.knows(target)
    check_paths(
        top,
        target,
        run_folder=run_folder.path if run_folder else None,
        quarantine=Path(quarantine) if quarantine else None,
        crosswalk=table,
        known=known,
        own_crosswalk=run_folder is not None and table is not None and run_folder.knows_crosswalk(target, table),
    )
    names = _names_of(names, layout)
    if on_burned_in not in ON_BURNED_IN:
        raise UsageError(f"on_burned_in is one of {', '.join(ON_BURNED_IN)}")
    if jobs is not None and jobs < 1:
        raise UsageError("jobs is at least 1, or None for as many as there are cores")
    wanted = parse_extract(extract or "main") if extract or layout == "study" else None
    resumes = known and not overwrite
    if run_folder is not None:
        if key is None and resumes and not run_folder.holds_key:
            raise UsageError("the key that DST was made with is not in the run folder; give it with --key-file")
        if not dry_run:
            run_folder.create()
        if key is None and (resumes or not dry_run):
            key = run_folder.key()
    plan = replace(make_plan(assignment, key), crosswalk=crosswalk is not None)
    root = top if top.is_dir() else top.parent
    aside = os.fspath(quarantine) if quarantine else ""
    pseudonyms = Pseudonyms(plan.key)
    request = Request(
        top,
        Order(plan, os.fspath(root), os.fspath(target), dry_run, names, on_burned_in, aside),
        jobs or usable_cores(),
        stop_on_trouble,
        book=NameBook(pseudonyms, {}) if names == "safe" else None,
        arranger=Arranger(target, names) if names in NAMERS else None,
        crosswalk=Crosswalk() if crosswalk is not None else None,
        whole_tree=whole_tree,
        follow_links=follow_links,
    )
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    told = TaskFacts(plan.assignment, pseudonyms.key_id, wanted.name if wanted else "", started, task or {})
    beside = _Beside(wanted, told, table)
    watcher = watcher or _Unwatched()
    if run_folder is not None and not dry_run:
        return _run_on_record(request, run_folder, beside, watcher, overwrite=overwrite)
    if run_folder is not None and known:
        with contextlib.closing(run_folder.manifest(target)) as manifest:
            if resumes:
                begun = manifest.begun(_facts(request))
                return _told_of_version(run(_resumed(request, manifest, begun), watcher, problems), begun)
            all_ours(manifest, target, pseudonyms)
    report = run(request, watcher, problems)
    beside.write(request, report)
    return report


def _names_of(names: str, layout: str) -> str:
    """How outputs are named: by the layout, if it has names of its own."""
    if names not in MODES:
        raise UsageError(f"names is one of {', '.join(MODES)}")
    if layout not in LAYOUTS:
        raise UsageError(f"layout is one of {', '.join(LAYOUTS)}")
    if layout == "mirror":
        return names
    if names != "safe":
        raise UsageError(f"the layout {layout} has names of its own: leave --names out")
    return layout


@dataclass(frozen=True)
class _Beside:
    """What is written beside the images at the end of a run.

    Parameters
    ----------
    extract : Extract or None
        What each series says.
    told : TaskFacts
        What the accounts of studies say of the run.
    crosswalk : Path or None
        Where old and new identities go.
    """

    extract: Extract | None
    told: TaskFacts
    crosswalk: Path | None

    def write(self, request: Request, report: RunReport) -> None:
        """Write it, now that the images are there."""
        order, manifest = request.order, request.manifest
        try:
            write_directories(order, Pseudonyms(order.plan.key), request.book, report, manifest)
            write_documents(order, self.extract, self.told, report, manifest)
            if self.crosswalk is not None and not order.dry_run:
                found = Crosswalk(manifest.crossings()) if manifest else request.crosswalk or Crosswalk()
                write_whole(self.crosswalk, found.as_csv(), 0o600)
        except (OSError, sqlite3.Error):
            report.notes["documents-failed"] = 1
        except KeyboardInterrupt:  # the images are there, and in the account
            report.notes["documents-failed"] = 1
            report.interrupted = True
        if not order.dry_run:
            level_folders(order.destination, order.began)


def _run_on_record(
    request: Request, run_folder: RunFolder, beside: _Beside, watcher: Watcher, *, overwrite: bool
) -> RunReport:
    """Run, or resume, with all that is on record in the run folder, and keep there what is done."""
    facts, target = _facts(request), Path(request.order.destination)
    with contextlib.ExitStack() as stack:
        manifest = stack.enter_context(contextlib.closing(run_folder.manifest(target)))
        if overwrite:
            start_afresh(manifest, target, Pseudonyms(request.order.plan.key))
        is_first = manifest.is_empty
        begun = manifest.begin(facts, request.order.began)
        if beside.crosswalk is not None:
            manifest.own_crosswalk(beside.crosswalk)
        request = _resumed(request, manifest, begun)
        listed = stack.enter_context(run_folder.problems())
        request = replace(request, risks=stack.enter_context(run_folder.risks(anew=is_first)))
        rules = request.order.plan.assignment
        told = f"preset {rules.preset}, rules {rules.told_digest}, key {facts.key_id}"
        run_folder.log(f"start: dicom-anon {__version__}, {told}")
        report = _told_of_version(run(request, watcher, listed), begun)
        beside.write(request, report)
        run_folder.log(f"end: {json.dumps(report.to_json())}")
    return report


def _facts(request: Request) -> TreeFacts:
    """What all files of a destination are made with."""
    order, plan = request.order, request.order.plan
    left_out = " burned-in=out" if order.on_burned_in != "warn" else ""
    rules = f"{plan.assignment.digest} names={order.names}{left_out}"
    key_id = Pseudonyms(plan.key).key_id
    return TreeFacts(os.path.realpath(order.source), rules, key_id, plan.process_date, plan.process_time, __version__)


def _resumed(request: Request, manifest: Manifest, begun: TreeFacts) -> Request:
    """The same request, with what is on record."""
    order = request.order
    plan = replace(order.plan, process_date=begun.process_date, process_time=begun.process_time)
    names = manifest.names(), manifest.tainted(), manifest.identities()
    return replace(
        request,
        order=replace(order, plan=plan),
        manifest=manifest,
        book=request.book and NameBook(Pseudonyms(plan.key), *names),
        arranger=request.arranger and Arranger(Path(order.destination), order.names, manifest),
        crosswalk=None,
    )


def _told_of_version(report: RunReport, begun: TreeFacts) -> RunReport:
    """Say in the account that outputs stay which another version may have made."""
    if begun.version != __version__ and report.unchanged:
        report.notes["made-by-another-version"] = report.unchanged
    return report
