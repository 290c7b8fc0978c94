"""The run: finds the files, has them worked off, keeps the account.

Lives here: batches, and who is told of results. Does not live here: the work on files, or what a person sees.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dicom_anon.arrange import Arranger
from dicom_anon.crosswalk import Crosswalk
from dicom_anon.destination import Destination
from dicom_anon.discovery import FileJob, Folder, NotTried, discover
from dicom_anon.ending import Ending
from dicom_anon.errors import Kind, Reason
from dicom_anon.fanout import Crew
from dicom_anon.manifest import Manifest
from dicom_anon.namebook import NameBook
from dicom_anon.report import RunReport
from dicom_anon.runfolder import ProblemList, RiskList
from dicom_anon.worker import BURNED_IN, FileResult, Order

BATCH_FILES = 250
BATCH_BYTES = 32 << 20


class Watcher(Protocol):
    """Gets the account as it grows."""

    def update(self, report: RunReport) -> None:
        """Show the account, or not."""


@dataclass(frozen=True)
class Request:
    """A run as it was asked for, checked.

    Parameters
    ----------
    top : Path
        Folder or file to de-identify.
    order : Order
        What is done to each file.
    jobs : int
        Worker processes; 1 works in this process.
    stop_on_trouble : bool
        End the run at the first file that is quarantined or fails.
    manifest : Manifest or None
        Record of what earlier runs did, and of what this one does.
    book : NameBook or None
        Names of folders, where those that hold an identifier are replaced.
    arranger : Arranger or None
        Names of outputs, where they are made of what the outputs say.
    crosswalk : Crosswalk or None
        Gets the old and new identities.
    whole_tree : bool
        Go into sub-folders.
    follow_links : bool
        Follow symbolic links that lead out of the source.
    risks : RiskList or None
        Gets the objects whose pixels may show text.
    """

    top: Path
    order: Order
    jobs: int = 1
    stop_on_trouble: bool = False
    manifest: Manifest | None = None
    book: NameBook | None = None
    arranger: Arranger | None = None
    crosswalk: Crosswalk | None = None
    whole_tree: bool = True
    follow_links: bool = False
    risks: RiskList | None = None


def run(request: Request, watcher: Watcher, problems: ProblemList | None = None) -> RunReport:
    """De-identify a tree.

    Parameters
    ----------
    request : Request
        Its paths are checked with `check_paths`.
    watcher : Watcher
        Gets the account as it grows.
    problems : ProblemList, optional
        Gets the files that were not written.

    Returns
    -------
    RunReport
        The account; also after Ctrl-C.
    """
    return _Run(request, watcher, problems).go()


class _Run:
    """State of one run."""

    def __init__(self, request: Request, watcher: Watcher, problems: ProblemList | None) -> None:
        self._request = request
        self._watcher = watcher
        self._problems = problems
        self._report = RunReport(dry_run=request.order.dry_run)
        self._ending = Ending(self._report)
        self._destination = Destination(request.order, request.manifest, request.book, request.arranger)
        self._crew = Crew(request.order, request.jobs, self._ending, self._take)
        self._account = threading.Lock()  # joblib draws batches, and so walks, in threads of its own

    def go(self) -> RunReport:
        """Run to the end, or to Ctrl-C."""
        started = time.monotonic()
        self._destination.prepare()
        batches = self._batches()
        with self._ending.one_interrupt():
            with contextlib.suppress(KeyboardInterrupt):
                self._crew.work(batches)
                for batch in batches:  # where the run ended early, what is left is listed all the same
                    self._take([FileResult(job, Reason.NOT_REACHED) for job in batch])
            self._settle()
            self._destination.settle(self._report.notes, in_order=not self._ending.begun)
            self._tell_orphans()
            self._close_record()
        self._report.seconds = time.monotonic() - started
        self._watcher.update(self._report)
        return self._report

    def _tell_orphans(self) -> None:
        """Tell of outputs whose sources are gone: they stay, as far as nobody removes them."""
        if self._ending.begun or not self._report.in_order:
            return
        with self._on_record():
            orphans = self._destination.orphans(self._report.written + self._report.unchanged)
            if orphans:
                self._report.notes["outputs-without-source"] = orphans

    def _close_record(self) -> None:
        """Record that all outputs are on record, unless some were in flight at the end, or when a worker died."""
        manifest = self._request.manifest
        if manifest is not None and not (self._ending.begun or self._crew.died or self._request.order.dry_run):
            with self._on_record():
                manifest.end()

    def _batches(self) -> Iterator[list[FileJob]]:
        """Mirror folders and cut the files found into batches of like cost."""
        batch: list[FileJob] = []
        size = 0
        order = self._request.order
        listing = discover(
            self._request.top,
            whole_tree=self._request.whole_tree,
            follow_links=self._request.follow_links,
            closed=(order.destination, *filter(None, [order.quarantine])),
            case_is_lost=self._destination.case_is_lost,
        )
        for found in listing:
            if self._report.interrupted:
                return
            if isinstance(found, FileJob):
                batch.append(self._destination.placed(found))
                size += found.size
                if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
                    yield from self._to_do(batch, size)
                    batch, size = [], 0
            elif isinstance(found, Folder):
                self._mirror(found)
            else:
                self._not_tried(found)
        if batch:
            yield from self._to_do(batch, size)

    def _to_do(self, batch: list[FileJob], size: int) -> Iterator[list[FileJob]]:
        """Count a batch as found, and leave out of it what an earlier run wrote."""
        with self._account:
            self._report.found += len(batch)
            self._report.found_bytes += size
        undone, stuck, why = batch, batch, Reason.NOT_REACHED
        with self._on_record():
            stuck = undone = self._destination.undone(batch)
            stuck, why = self._destination.remove_stale(undone), Reason.WRITE_FAILED
        with self._account:
            self._report.unchanged += len(batch) - len(undone)
        if self._request.book is not None and len(undone) < len(batch):
            names = {job.relative for job in undone}
            for job in batch:  # what they say of names was kept when they were written
                if job.relative not in names:
                    self._request.book.learn(job.relative)
        if stuck:  # what is on record of their old outputs holds
            self._take([FileResult(job, why) for job in stuck], on_record=False)
            undone = [job for job in undone if job not in stuck]
        if undone:
            yield undone

    def _mirror(self, folder: Folder) -> None:
        self._report.folders += 1
        if not self._ending.begun:
            self._destination.mirror(folder)

    def _not_tried(self, entry: NotTried) -> None:
        with self._account:
            self._report.add_not_tried(entry)
            if self._problems is not None:
                with self._on_record():
                    self._problems.add([(entry.relative, entry.reason, entry.detail)])
        if self._request.book is not None and entry.reason.kind is not Kind.SKIPPED:
            self._request.book.doubt(os.path.join(entry.relative, ""))  # it may be a folder, of which nothing is known
        if self._request.stop_on_trouble and self._report.trouble:
            self._ending.begun = True

    def _take(self, results: list[FileResult], *, on_record: bool = True) -> None:
        self._learn(results)
        with self._account:
            self._report.add(results)
            with self._on_record():
                if self._problems is not None:
                    self._problems.add((r.job.relative, r.reason, r.detail) for r in results if r.reason is not None)
                if self._request.risks is not None:
                    self._request.risks.add((r.job.relative, r.detail) for r in results if BURNED_IN in r.notes)
                if on_record and self._request.manifest is not None and not self._request.order.dry_run:
                    self._request.manifest.record(results)  # at the end: what is on record as done is in the lists
        if self._request.stop_on_trouble and self._report.trouble:
            self._ending.begun = True
        if any(result.ends_run for result in results):
            self._ending.begun = True
        self._watcher.update(self._report)

    @contextlib.contextmanager
    def _on_record(self) -> Iterator[None]:
        """End the run where what became of files cannot be kept: it could not be resumed."""
        try:
            yield
        except (OSError, sqlite3.Error):
            self._report.notes["record-failed"] += 1
            self._ending.begun = True

    def _learn(self, results: list[FileResult]) -> None:
        if self._request.book is not None:
            for result in results:
                if result.reason is None:
                    self._request.book.learn(result.job.relative, result.tainted, result.identifiers)
                elif result.reason.kind is not Kind.SKIPPED or result.reason in (Reason.DROPPED, Reason.DICOMDIR):
                    self._request.book.doubt(result.job.relative, result.tainted, result.identifiers)
        if self._request.crosswalk is not None:
            self._request.crosswalk.add(result.crossing for result in results if result.crossing is not None)

    def _settle(self) -> None:
        """Account for what was in flight when the run ended: an output that is there is whole."""
        left = self._crew.left()
        if left:
            self._ending.begun = True
            written = self._destination.was_written
            self._take([FileResult(job, None if written(job) else Reason.NOT_REACHED) for job in left])
        if self._ending.begun or self._crew.died:  # while they wrote, maybe
            self._destination.remove_parts()
