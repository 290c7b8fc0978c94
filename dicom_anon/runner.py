"""The run: checks the request, walks, fans files out over worker processes, keeps the account.

Lives here: batches, workers that die, interruption. Does not live here: what happens to a file, or what a person sees.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dicom_anon.arrange import Arranger
from dicom_anon.crosswalk import Crosswalk
from dicom_anon.dicomfile import PART_PREFIX
from dicom_anon.discovery import FileJob, Folder, NotTried, discover
from dicom_anon.errors import Kind, Reason, UsageError
from dicom_anon.manifest import Manifest
from dicom_anon.namebook import NameBook
from dicom_anon.report import RunReport
from dicom_anon.runfolder import ProblemList, RiskList
from dicom_anon.worker import (
    BURNED_IN,
    FileResult,
    Order,
    PackedResult,
    packed_order,
    process_batch,
    process_packed,
    unpacked,
)

BATCH_FILES = 250
BATCH_BYTES = 64 << 20
RETRY_FILES = 20
SMALL_FILES = 400
SMALL_BYTES = 1 << 30
"""A tree within both limits is done in this process: starting workers would take longer."""


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


def check_paths(
    source: Path,
    destination: Path,
    *,
    run_folder: Path | None = None,
    quarantine: Path | None = None,
    crosswalk: Path | None = None,
    known: bool = False,
) -> None:
    """Refuse what could overwrite or mix up sources and outputs.

    Parameters
    ----------
    source, destination : Path
        SRC and DST.
    run_folder, quarantine, crosswalk : Path, optional
        Folders and a file that hold secrets, or identifiers.
    known : bool
        The run folder has a record of the destination, so that it need not be empty.

    Raises
    ------
    UsageError
        The source is missing, one folder lies within the other, or the destination is not an empty folder.
    """
    if not source.exists():
        raise UsageError("SRC does not exist")
    real_source, real_destination = Path(os.path.realpath(source)), Path(os.path.realpath(destination))
    if real_source == real_destination:
        raise UsageError("SRC and DST are the same")
    if real_source in real_destination.parents and source.is_dir():
        raise UsageError("DST lies inside SRC: choose a folder outside of it")
    if real_destination in real_source.parents:
        raise UsageError("SRC lies inside DST: choose another DST")
    if destination.exists():
        if not destination.is_dir():
            raise UsageError("DST is not a folder")
        if not known and any(destination.iterdir()):
            raise UsageError("DST is not empty, and not of an earlier run: choose a new folder, or empty this one")
    for private, what in (
        (run_folder, "run folder"),
        (quarantine, "quarantine folder"),
        (crosswalk, "crosswalk"),
    ):
        if private is None:
            continue
        real_private = Path(os.path.realpath(private))
        for name, folder in (("DST", real_destination), ("SRC", real_source)):
            if folder == real_private or folder in real_private.parents:
                raise UsageError(f"the {what} lies inside {name}: it holds what must not leave, keep it apart")


def run(request: Request, watcher: Watcher, problems: ProblemList | None = None) -> RunReport:
    """De-identify a tree.

    Parameters
    ----------
    request : Request
        Checked with `check_paths`.
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
        self._order = request.order
        self._watcher = watcher
        self._problems = problems
        self._report = RunReport(dry_run=request.order.dry_run)
        self._in_flight: dict[int, list[FileJob]] = {}
        self._ended = False
        self._interruptible = False
        self._workers_died = False
        self._resumes = request.manifest is not None and os.path.isdir(request.order.destination)
        self._account = threading.Lock()  # joblib draws batches, and so walks, in threads of its own
        self._walk = threading.Lock()

    def go(self) -> RunReport:
        """Run to the end, or to Ctrl-C."""
        started = time.monotonic()
        self._began = time.time() - 0.1  # clocks of file systems are coarse
        if not self._order.dry_run:
            try:
                os.makedirs(self._order.destination, exist_ok=True)
            except OSError as error:
                raise UsageError(f"DST cannot be made: {error.strerror}") from None
            if self._resumes:
                self._remove_parts()
                if self._request.book is not None and self._request.manifest is not None:
                    self._request.book.rename(Path(self._order.destination), self._request.manifest.names())
        batches = self._batches()
        with self._one_interrupt():
            with contextlib.suppress(KeyboardInterrupt):
                self._work(batches)
                for batch in batches:  # where the run ended early, what is left is listed all the same
                    self._take([FileResult(job, Reason.NOT_REACHED) for job in batch])
            self._settle()
        self._settle_names()
        self._report.seconds = time.monotonic() - started
        self._watcher.update(self._report)
        return self._report

    @contextlib.contextmanager
    def _one_interrupt(self) -> Iterator[None]:
        """Let Ctrl-C end the run, but not between a file and its line in the account; a second changes nothing."""
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or before in (signal.SIG_IGN, None):
            yield
            return

        def interrupt(*_: object) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # also for what is started to end the workers
            self._report.interrupted = self._ended = True
            if self._interruptible:
                self._interruptible = False
                raise KeyboardInterrupt

        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def _may_be_interrupted(self) -> Iterator[None]:
        """Let Ctrl-C end at once what is done here: its files are in flight, and `_settle` looks after those."""
        self._interruptible = not self._ended
        try:
            yield
        finally:
            self._interruptible = False

    def _work(self, batches: Iterator[list[FileJob]]) -> None:
        first: list[list[FileJob]] = []
        files = size = 0
        for batch in batches:
            first.append(batch)
            files += len(batch)
            size += sum(job.size for job in batch)
            if self._request.jobs == 1 or files > SMALL_FILES or size > SMALL_BYTES:
                break
        else:
            self._work_here(first)
            return
        chained = _chain(first, batches)
        if self._request.jobs == 1:
            self._work_here(chained)
        else:
            self._work_in_processes(chained)

    def _work_here(self, batches: Iterable[list[FileJob]]) -> None:
        for batch in batches:
            at = 0
            while at < len(batch) and not self._ended:
                self._in_flight[0] = batch[at:]
                with self._may_be_interrupted():
                    results = process_batch(batch[at : at + 10], self._order)
                at += len(results)
                self._in_flight[0] = batch[at:]
                self._take(results)
            if self._ended:
                return

    def _work_in_processes(self, batches: Iterator[list[FileJob]]) -> None:
        from joblib.externals.loky.process_executor import BrokenProcessPool

        numbered = enumerate(batches)
        while not self._ended:
            try:
                self._fan_out(numbered)
            except BrokenProcessPool:  # noqa: PERF203 # workers die rarely
                self._work_again()
            else:
                return

    def _fan_out(self, numbered: Iterator[tuple[int, list[FileJob]]]) -> None:
        """Give batches to workers until there are none left, or the run is to end."""
        from joblib import Parallel, delayed

        packed = packed_order(self._order)

        def tasks() -> Iterator[object]:
            while not self._ended:
                with self._walk:
                    number, batch = next(numbered, (0, []))
                    if not batch:
                        return
                    self._in_flight[number] = batch
                yield delayed(_numbered_batch)(number, batch, packed)

        parallel = Parallel(
            n_jobs=self._request.jobs,
            backend="loky",
            return_as="generator_unordered",
            pre_dispatch="2 * n_jobs",
            batch_size=1,
            max_nbytes=None,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib warns where the run ends early; the account tells of that
            with contextlib.closing(parallel(tasks())) as results:
                while not self._ended:
                    with self._may_be_interrupted():
                        found = next(results, None)
                    if found is None:
                        return
                    number, told = found
                    batch = self._in_flight.pop(number)
                    done = unpacked(batch, told)
                    if len(done) < len(batch):
                        self._in_flight[number] = batch[len(done) :]
                    self._take(done)

    def _work_again(self) -> None:
        """Work on what was in flight when a worker died, in portions small enough that few files are tried twice."""
        self._workers_died = True
        with self._walk:
            files = [job for batch in self._in_flight.values() for job in batch]
            portions = [files[i : i + RETRY_FILES] for i in range(0, len(files), RETRY_FILES)]
            self._in_flight = dict(enumerate(portions, -len(portions)))  # numbers that no other batch has
        for number, portion in list(self._in_flight.items()):
            with self._may_be_interrupted():
                results = self._retry(portion)
            del self._in_flight[number]
            if len(results) < len(portion):
                self._in_flight[number] = portion[len(results) :]
            self._take(results)
            if self._ended:
                return

    def _retry(self, portion: list[FileJob]) -> list[FileResult]:
        """Work on some files in a worker that has nothing else to do; where it dies, on each of them alone."""
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import BrokenProcessPool

        alone = Parallel(n_jobs=2, backend="loky", batch_size=1)
        try:
            results: list[FileResult] = alone([delayed(process_batch)(portion, self._order)])[0]
        except BrokenProcessPool:
            if len(portion) == 1:
                return [FileResult(portion[0], Reason.WORKER_DIED)]
        else:
            return results
        return [result for job in portion for result in self._retry([job])]

    def _take(self, results: list[FileResult], *, record: bool = True) -> None:
        with self._account:
            self._report.add(results)
            if self._problems is not None:
                self._problems.add((r.job.relative, r.reason, r.detail) for r in results if r.reason is not None)
            if self._request.risks is not None:
                self._request.risks.add((r.job.relative, r.detail) for r in results if BURNED_IN in r.notes)
        if record:
            self._record(results)
        if self._request.stop_on_trouble and self._report.trouble:
            self._ended = True
        self._ended = self._ended or any(result.ends_run for result in results)
        self._watcher.update(self._report)

    def _record(self, results: list[FileResult]) -> None:
        """Keep what became of files; where that is not possible, the run ends, since it could not be resumed."""
        if self._request.book is not None:
            for result in results:
                if result.reason is None:
                    self._request.book.learn(result.job.relative, result.tainted, result.identifiers)
                elif result.reason.kind is not Kind.SKIPPED:
                    self._request.book.doubt(result.job.relative)
        if self._request.crosswalk is not None:
            self._request.crosswalk.add(result.crossing for result in results if result.crossing is not None)
        if self._request.manifest is not None:
            try:
                self._request.manifest.record(results)
            except sqlite3.Error:
                self._report.notes["record-failed"] += 1
                self._ended = True

    def _settle_names(self) -> None:
        """Give folders their final names, once every file was looked at."""
        book, manifest, arranger = self._request.book, self._request.manifest, self._request.arranger
        if (book is None and arranger is None) or self._order.dry_run:
            return
        if self._report.interrupted or self._ended:
            self._report.notes["folder-names-pending"] += 1
            return
        if arranger is not None:
            try:
                arranger.settle()
            except OSError:
                self._report.notes["folder-names-pending"] += 1
        if book is None:
            return
        final = book.settle()
        if book.tainted:
            self._report.notes["folder-name-replaced"] = book.tainted
        if manifest is not None:
            try:
                manifest.settle_names(final)
            except sqlite3.Error:
                self._report.notes["record-failed"] += 1
                return
        book.rename(Path(self._order.destination), final)

    def _settle(self) -> None:
        """Account for what was with workers when the run ended: an output that is there is whole."""
        with self._walk:
            left = [job for batch in self._in_flight.values() for job in batch]
            self._in_flight.clear()
        for job in left:
            written = not self._order.dry_run and self._was_written(job)
            # Nothing is known of it but that, so the next run does it again.
            self._take([FileResult(job, None if written else Reason.NOT_REACHED)], record=False)
        if self._ended or self._workers_died:  # while they wrote, maybe
            self._remove_parts()

    def _batches(self) -> Iterator[list[FileJob]]:
        """Mirror folders and cut the files found into batches of like cost."""
        batch: list[FileJob] = []
        size = 0
        found_in_order = discover(
            self._request.top,
            whole_tree=self._request.whole_tree,
            follow_links=self._request.follow_links,
            closed=(self._order.destination, *filter(None, [self._order.quarantine])),
        )
        for found in found_in_order:
            if self._report.interrupted:
                return
            if isinstance(found, FileJob):
                batch.append(self._placed(found))
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
        """Count a batch as found, and leave out of it what an earlier run wrote, if it is still there."""
        with self._account:
            self._report.found += len(batch)
            self._report.found_bytes += size
        if self._resumes and self._request.manifest is not None:
            done = self._request.manifest.done(batch)
            rest = [job for job in batch if job.relative not in done or not self._is_there(job, done[job.relative])]
            with self._account:
                self._report.unchanged += len(batch) - len(rest)
            batch = rest
            for job, written_as in self._request.manifest.outputs_of(rest):
                self._remove_stale(job, written_as)
        if batch:
            yield batch

    def _remove_stale(self, job: FileJob, written_as: str) -> None:
        """Remove an output whose source is no longer what it was: the new one may have another name, or none."""
        if self._order.dry_run:
            return
        with contextlib.suppress(OSError):
            if self._request.arranger is not None:
                self._request.arranger.remove(written_as)
            else:
                os.unlink(os.path.join(self._order.destination, self._settled(job, written_as)))

    def _remove_parts(self) -> None:
        """Remove what killed runs and workers left behind."""
        for folder, _, names in os.walk(self._order.destination):
            for name in names:
                if name.startswith(PART_PREFIX):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))

    def _placed(self, job: FileJob) -> FileJob:
        """Put a file into the folder that stands for its own."""
        if self._request.book is None:
            return job
        folder, slash, name = job.relative.rpartition(os.sep)
        return FileJob(job.relative, job.size, job.modified, self._request.book.target(folder) + slash + name)

    def _is_there(self, job: FileJob, written_as: str) -> bool:
        """Tell whether the output of an earlier run is still there; its folder may have got its own name since."""
        if self._request.arranger is not None:
            return self._request.arranger.find(written_as) != ""
        return os.path.exists(os.path.join(self._order.destination, self._settled(job, written_as)))

    def _settled(self, job: FileJob, written_as: str) -> str:
        """Where an output of an earlier run is now."""
        return os.path.join(os.path.dirname(job.target), os.path.basename(written_as))

    def _was_written(self, job: FileJob) -> bool:
        """Tell whether a file got its output in this run; one of an earlier run may be there, of an older source."""
        try:
            return os.stat(os.path.join(self._order.destination, job.target)).st_mtime >= self._began
        except OSError:
            return False

    def _mirror(self, folder: Folder) -> None:
        self._report.folders += 1
        if self._order.dry_run or self._ended or self._request.arranger is not None:
            return
        book = self._request.book
        target = book.target(folder.relative) if book else folder.relative
        with contextlib.suppress(OSError):  # each of its files will say so
            os.mkdir(os.path.join(self._order.destination, target))

    def _not_tried(self, entry: NotTried) -> None:
        with self._account:
            self._report.add_not_tried(entry)
            if self._problems is not None:
                self._problems.add([(entry.relative, entry.reason, "")])


def _numbered_batch(number: int, batch: list[FileJob], packed: bytes) -> tuple[int, list[PackedResult]]:
    return number, process_packed(batch, packed)


def _chain(first: list[list[FileJob]], rest: Iterator[list[FileJob]]) -> Iterator[list[FileJob]]:
    yield from first
    yield from rest
