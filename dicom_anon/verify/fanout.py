"""Doing the same to many files in several processes, with results in the order of the files.

Lives here: processes and pipes. Does not live here: what is done to a file.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from dicom_anon.errors import DicomAnonError

from .quiet import quiet

Job = TypeVar("Job")
Result = TypeVar("Result")


def fan_out(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Yield ``work(job)`` for every job, in order.

    Parameters
    ----------
    work : callable
        Picklable, and not expected to raise.
    workers : int
        Number of processes; with one, or with few jobs, the work is done in this one.

    Raises
    ------
    DicomAnonError
        A process ended before its work was done, so that nothing is proven.
    """
    workers = min(workers, len(jobs) // 4)
    if workers <= 1:
        yield from map(work, jobs)
        return
    processes = []
    pipes: list[Connection] = []
    try:
        for number in range(workers):
            ours, theirs = multiprocessing.Pipe(duplex=False)
            process = multiprocessing.Process(target=_serve, args=(theirs, work, jobs[number::workers]), daemon=True)
            process.start()
            theirs.close()  # so that the end of the process is the end of the pipe
            processes.append(process)
            pipes.append(ours)
        for number in range(len(jobs)):
            yield _received(pipes[number % workers])
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.terminate()
            process.join()


def _received(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        raise DicomAnonError("A process of the verification ended early; nothing is proven.") from None


def _serve(pipe: Connection, work: Callable[[Job], Result], jobs: Sequence[Job]) -> None:
    """Work off the jobs of one process; an error ends it without a word, for a traceback may show values."""
    try:
        with quiet():
            for job in jobs:
                pipe.send(work(job))
    except (Exception, KeyboardInterrupt):
        return
    finally:
        pipe.close()
