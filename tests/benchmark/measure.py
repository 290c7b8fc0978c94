"""One run of one tool: started, timed, its memory sampled, its output counted; and all tools in turn.
Not here: which tools (``tools``) and what the figures say (``report``).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .corpora import PIECE, Corpus, files_of
from .tools import Command, Setup, Tool

SAMPLE = 0.05
"""Seconds between two looks at the processes' memory; the first ones come quicker."""


SHORT = 0.2
"""Seconds a run must last for the work of others to be told: the processors' work is counted in 0.01 s."""

LEAST_SCRATCH, MOST_SCRATCH = 64_000_000, 2_000_000_000
"""Bytes written and freed before every run, beside twice the tree's size, and the most for the latter."""


@dataclass(frozen=True, slots=True)
class Job:
    """A tool and the tree it is run over."""

    tool: Tool
    tree: Corpus


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took: wall and CPU seconds, peak memory in bytes, and what is wrong with it, if anything.

    ``peak`` is the largest of the started processes, ``worker_peak`` of their descendants (0 without).
    ``others`` is the number of processors that other programs kept busy meanwhile (0 where it cannot be seen,
    and for runs too short for the system's clock).
    """

    seconds: float
    cpu: float
    peak: int
    worker_peak: int
    problem: str | None = None
    others: float = 0.0


class MemorySampler(threading.Thread):
    """Reads the peak resident memory (VmHWM) of processes and of all their descendants while they live.

    Memory that forked processes share is counted in each. Where there is no ``/proc``, it reads nothing.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._pids = pids
        self._ended = threading.Event()
        self.peaks: dict[int, int] = dict.fromkeys(pids, 0)

    def run(self) -> None:
        wait = 0.001
        while True:
            for pid in _family(self._pids):
                self.peaks[pid] = max(self.peaks.get(pid, 0), _peak(pid))
            if self._ended.wait(wait):
                return
            wait = min(SAMPLE, wait * 2)

    def end(self) -> None:
        self._ended.set()
        self.join()


def _family(pids: Sequence[int]) -> Iterator[int]:
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError):  # the process or a thread ended
            for thread in os.listdir(f"/proc/{pid}/task"):
                children = Path(f"/proc/{pid}/task/{thread}/children").read_text()
                waiting.extend(map(int, children.split()))


def _peak(pid: int) -> int:
    with contextlib.suppress(OSError):  # the process ended
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _busy() -> float:
    """Return the seconds all processors have worked since the machine started; 0 where there is no ``/proc``.

    All fields of the first line of ``/proc/stat`` but idle and waiting (proc(5)); guests are in the others.
    """
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    with stat.open() as lines:
        user, nice, system, _, _, irq, softirq, steal, *_ = map(int, lines.readline().split()[1:])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def execute(commands: Sequence[Command], log: Path) -> tuple[Run, list[int]]:
    """Start the commands together and wait for the last; return the figures and the exit codes.

    CPU seconds are those of the processes and of all descendants they waited for.
    """
    # Users' Pythons keep compiled modules; where this is forbidden, every start would compile the tool anew.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    cpu = 0.0
    codes: list[int] = []
    with log.open("wb") as output:
        started: list[subprocess.Popen[bytes]] = []
        busy, mine = _busy(), time.process_time()
        begin = time.perf_counter()
        try:
            for command in commands:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                )
                started.append(process)
            sampler = MemorySampler([process.pid for process in started])
            sampler.start()
            for process in started:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                codes.append(process.returncode)
                cpu += usage.ru_utime + usage.ru_stime
            seconds = time.perf_counter() - begin
            sampler.end()
        finally:
            for process in started:
                if process.returncode is None:
                    process.kill()
                    process.wait()
    others = (_busy() - busy - cpu - (time.process_time() - mine)) / seconds if seconds > SHORT else 0.0
    own = {process.pid for process in started}
    peak = max(sampler.peaks[pid] for pid in own)
    worker_peak = max((size for pid, size in sampler.peaks.items() if pid not in own), default=0)
    return Run(seconds, cpu, peak, worker_peak, None, max(0.0, others)), codes


def settle(tree: Corpus, scratch: Path) -> None:
    """Give every run the same start: the source in the page cache, and free memory that has been in use.

    A virtual machine gives unused memory back to its host, and the first use of such memory costs more than
    copying into it: ``cp -r`` of 1 GB took 0.35 to 3.5 seconds, depending on what ran before. Writing one
    large file and emptying it leaves the page cache memory that is really there.
    """
    for path in files_of(tree.folder):
        with path.open("rb") as source:
            while source.read(PIECE):  # in pieces, so that this process stays small
                pass
    piece = bytes(PIECE)
    with scratch.open("wb", buffering=0) as target:
        for _ in range(0, min(2 * tree.size, MOST_SCRATCH) + LEAST_SCRATCH, PIECE):
            target.write(piece)
        target.truncate(0)
    os.sync()


def once(job: Job, setup: Setup, folder: Path) -> Run:
    """Run a tool into a new folder, count what it wrote, and empty its files.

    The files are emptied, not deleted: deleting many slows the creation of files in the next run. Emptying
    frees their space, and what is not yet written back need not be written during the next run. Then the
    system is asked to write back what is left, so that every run begins with nothing owed.
    """
    folder.mkdir(parents=True)
    settle(job.tree, folder.with_name("scratch"))
    destination = folder / "out"
    run, codes = execute(job.tool.commands(setup, job.tree.folder, destination), folder / "log.txt")
    written = len(files_of(destination))
    problem = None
    if any(codes):
        problem = f"exit code {max(codes, key=abs)}, wrote {written} of {job.tree.files} files"
    elif written != job.tree.files:
        problem = f"wrote {written} of {job.tree.files} files"
    for path in files_of(folder):
        status = path.lstat()
        # A tool that had linked its output to the source must not lead to emptying the source.
        if status.st_size and status.st_nlink == 1 and not path.is_symlink() and path.name != "log.txt":
            os.truncate(path, 0)
    os.sync()
    return replace(run, problem=problem)


def rounds(jobs: Sequence[Job], setup: Setup, repeat: int, runs: Path, tell: Callable[[str], None]) -> list[list[Run]]:
    """Run all jobs in turn, ``repeat`` times after one round that is not counted; return each job's runs.

    The round that is not counted warms the page cache and pays for the first use of everything.
    Every round begins with another job, so that none always follows the same one.
    """
    results: list[list[Run]] = [[] for _ in jobs]
    for number in range(repeat + 1):
        for step in range(len(jobs)):
            index = (number + step) % len(jobs)
            job = jobs[index]
            run = once(job, setup, runs / f"{job.tree.folder.name}-{number}-{index}")
            label = f"round {number}" if number else "warm-up"
            tell(f"{job.tree.folder.name}, {label}: {job.tool.name} {run.seconds:.3f} s {run.problem or ''}")
            if number:
                results[index].append(run)
    return results
