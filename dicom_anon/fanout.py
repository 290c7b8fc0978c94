"""Batches of files worked off, in this process or in workers, of which any may die.

Lives here: what is in flight, and the second try. Does not live here: which files there are, what results are for.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing import resource_tracker
from typing import Any

from dicom_anon.discovery import FileJob
from dicom_anon.ending import Ending
from dicom_anon.errors import Reason
from dicom_anon.worker import (
    FileResult,
    Order,
    PackedJobs,
    PackedResult,
    packed_jobs,
    packed_order,
    process_batch,
    process_packed,
    unpacked,
)

RETRY_FILES = 20
HERE_FILES = 10
"""Files done in this process before the account, and who watches it, hears of them."""
SMALL_FILES = 400
SMALL_BYTES = 1 << 28
"""A tree within both limits is done in this process: starting workers would take longer than they save."""
_START_SECONDS = 60.0
"""Time in which workers have to be there; it is done in this process as well where they are not."""
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""Ends a worker, which does not hear of other signals; on Windows there is but one way."""


class Crew:
    """Those who do the work of a run.

    Parameters
    ----------
    order : Order
        What is done to each file.
    jobs : int
        Worker processes; 1 works in this process.
    ending : Ending
        Whether to stop early.
    take : callable
        Gets the results, in whatever order they come.

    Attributes
    ----------
    died : bool
        A worker died, and may have left something behind.
    """

    def __init__(self, order: Order, jobs: int, ending: Ending, take: Callable[[list[FileResult]], None]) -> None:
        self.died = False
        self._order = order
        self._jobs = jobs
        self._ending = ending
        self._take = take
        self._waiting: collections.deque[list[FileJob]] = collections.deque()
        self._in_flight: dict[int, list[FileJob]] = {}
        self._walk = threading.Lock()  # joblib draws batches, and so walks, in threads of its own

    @functools.cached_property
    def _packed(self) -> bytes:
        """The order, packed once: a lookup table in it may be long."""
        return packed_order(self._order)

    def work(self, batches: Iterator[list[FileJob]]) -> None:
        """Work batches off until there are none left, or the run is to end.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C ended the run at once.
        """
        if self._jobs > 1 and self._exceed_small(batches) and self._has_workers():
            self._work_in_processes(self._in_turn(batches))
        else:
            self._work_here(self._in_turn(batches))

    def _exceed_small(self, batches: Iterator[list[FileJob]]) -> bool:
        """Tell whether batches are of more than a small tree; those that are drawn to know it wait."""
        files = size = 0
        for batch in batches:
            self._waiting.append(batch)
            files += len(batch)
            size += sum(job.size for job in batch)
            if files > SMALL_FILES or size > SMALL_BYTES:
                return True
        return False

    def _has_workers(self) -> bool:
        """Tell whether workers can be started: systems limit processes, threads, open files and memory."""
        others = multiprocessing.active_children()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as in `_work_in_processes`
                from joblib import delayed

                task = delayed(_begin)(os.getpid(), self._packed)
                with (
                    self._begun([task] * self._jobs, self._jobs, _START_SECONDS) as begun,
                    self._ending.may_be_interrupted(),
                ):
                    for _ in begun:
                        pass
        except Exception:  # joblib says it in many ways, some of them by mistake
            for worker in multiprocessing.active_children():
                if worker not in others and worker.pid:  # whoever should end it may never have begun
                    with contextlib.suppress(OSError):
                        os.kill(worker.pid, _KILL)
            return False
        return True

    def left(self) -> list[FileJob]:
        """Give up what is still in flight or waiting: files that were drawn, and of which no result was taken."""
        with self._walk:
            left = [job for batch in (*self._in_flight.values(), *self._waiting) for job in batch]
            self._in_flight.clear()
            self._waiting.clear()
        return left

    def _in_turn(self, batches: Iterator[list[FileJob]]) -> Iterator[list[FileJob]]:
        """First the batches that are waiting, then the others.

        Whoever stops early leaves the rest to be listed: `yield from` would close it.
        """
        while self._waiting:
            yield self._waiting.popleft()
        for batch in batches:  # noqa: UP028
            yield batch

    def _work_here(self, batches: Iterable[list[FileJob]]) -> None:
        for batch in batches:
            self._in_flight[0] = batch
            at = 0
            while at < len(batch) and not self._ending.begun:
                with self._ending.may_be_interrupted():
                    results = process_batch(batch[at : at + HERE_FILES], self._order)
                at += len(results)
                self._in_flight[0] = batch[at:]
                self._take(results)
            if self._ending.begun:
                return

    def _work_in_processes(self, batches: Iterator[list[FileJob]]) -> None:
        numbered = enumerate(batches)
        with warnings.catch_warnings(), self._quiet_threads():
            warnings.simplefilter("ignore")  # joblib warns where the run ends early, or where it cannot start workers
            from joblib.externals.loky.process_executor import BrokenProcessPool

            while not self._ending.begun:
                try:
                    self._fan_out(numbered)
                except BrokenProcessPool:  # noqa: PERF203 # workers die rarely
                    self._work_again()
                else:
                    return

    def _fan_out(self, numbered: Iterator[tuple[int, list[FileJob]]]) -> None:
        """Give batches to workers until there are none left, or the run is to end."""
        from joblib import delayed

        def tasks() -> Iterator[object]:
            while not self._ending.begun:
                with self._walk:
                    number, batch = next(numbered, (0, []))
                    if not batch:
                        return
                    self._in_flight[number] = batch
                yield delayed(_numbered_batch)(number, packed_jobs(batch), self._packed)

        with self._begun(tasks(), self._jobs) as results:
            while not self._ending.begun:
                with self._ending.may_be_interrupted():
                    found = next(results, None)
                if found is None:
                    return
                number, told = found
                batch = self._in_flight.pop(number)
                done = unpacked(batch, told)
                if len(done) < len(batch):
                    self._in_flight[number] = batch[len(done) :]
                self._take(done)

    @contextlib.contextmanager
    def _begun(
        self, tasks: Iterable[object], workers: int, seconds: float | None = None
    ) -> Iterator[Generator[Any, None, None]]:
        """Start workers on tasks, whose results come as they are done; where it is left early, the workers end.

        A task that is not done in so many `seconds` is an error.
        """
        from joblib import Parallel

        parallel = Parallel(
            n_jobs=workers,
            backend="loky",
            return_as="generator_unordered",
            pre_dispatch="2 * n_jobs",
            batch_size=1,
            max_nbytes=None,
            timeout=seconds,
        )
        with self._ending.out_of_reach():
            resource_tracker.ensure_running()  # which lets signals through again
        with self._ending.out_of_reach():
            begun: Generator[Any, None, None] = parallel(tasks)
        try:
            yield begun
        finally:
            with self._ending.out_of_reach():  # what is started to end the workers
                begun.close()

    @contextlib.contextmanager
    def _quiet_threads(self) -> Iterator[None]:
        """Let no thread of joblib print that it trips over a batch which it was told to drop: the run ends early."""
        before = threading.excepthook
        threading.excepthook = lambda told: None if self._ending.begun else before(told)
        try:
            yield
        finally:
            threading.excepthook = before

    def _work_again(self) -> None:
        """Work on what was in flight when a worker died, in portions small enough that few files are tried twice."""
        self.died = True
        with self._walk:
            files = [job for batch in self._in_flight.values() for job in batch]
            portions = [files[i : i + RETRY_FILES] for i in range(0, len(files), RETRY_FILES)]
            self._in_flight = dict(enumerate(portions, -len(portions)))  # numbers that no other batch has
        for number, portion in list(self._in_flight.items()):
            results = self._retry(portion)
            del self._in_flight[number]
            if len(results) < len(portion):
                self._in_flight[number] = portion[len(results) :]
            self._take(results)
            if self._ending.begun:
                return

    def _retry(self, portion: list[FileJob]) -> list[FileResult]:
        """Work on some files in a worker that has nothing else to do; where it dies, on each of them alone."""
        from joblib import delayed
        from joblib.externals.loky.process_executor import BrokenProcessPool

        results: list[FileResult] = []
        try:
            task = delayed(process_packed)(packed_jobs(portion), self._packed)
            with self._begun([task], 2) as begun, self._ending.may_be_interrupted():
                if not self._ending.begun:
                    [told] = begun
                    results = unpacked(portion, told)
                return results
        except BrokenProcessPool:
            if len(portion) == 1:
                return [FileResult(portion[0], Reason.WORKER_DIED)]
        for job in portion:
            if not self._ending.begun:
                results += self._retry([job])
        return results


def _numbered_batch(number: int, jobs: PackedJobs, packed: bytes) -> tuple[int, list[PackedResult]]:
    return number, process_packed(jobs, packed)


def _begin(parent: int, packed: bytes) -> None:
    """Begin as a worker.

    Raises
    ------
    RuntimeError
        This is the process of the run itself: joblib takes that where it has no semaphores.
    """
    if os.getpid() == parent:
        raise RuntimeError("no worker")
    process_packed([], packed)
