"""Ends by a signal: an account, whole files, nothing on standard error, and an exit code that tells which it was."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dicom_anon import anonymize_tree
from dicom_anon.ending import SIGNALS
from dicom_anon.report import RunReport
from tests.acceptance.command import (
    COMMAND,
    ROOT,
    Done,
    contents,
    environment,
    files_below,
    finish,
    start,
    workers_of,
)
from tests.datasets import file_bytes, image

CROWD = 3000
PARTS = ".dicom-anon-"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thousands of small files, all of one content."""
    folder = tmp_path_factory.mktemp("crowd") / "in"
    (folder / "0").mkdir(parents=True)
    (folder / "0/first").write_bytes(file_bytes(image()))
    for number in range(CROWD - 1):
        target = folder / str(number // 500) / f"{number:05}"
        target.parent.mkdir(exist_ok=True)
        os.link(folder / "0/first", target)
    return folder


def begin(*words: object, ignoring: int = 0, **options: Any) -> subprocess.Popen[str]:
    """Start the command; it ignores one signal, and no other, whatever the tests were started to ignore."""

    def before() -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN if number == ignoring else signal.SIG_DFL)

    return start(*words, preexec_fn=before, **options)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    for _ in range(6000):
        if condition():
            return
        assert process.poll() is None, "the run ended before anything could be done to it"
        time.sleep(0.005)
    raise AssertionError("waited too long")


def writing(out: Path) -> Callable[[], bool]:
    return lambda: sum(len(names) for _, _, names in os.walk(out)) > 100


def account(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    assert found["balances"]
    return found


@pytest.mark.parametrize("send", [os.kill, os.killpg])
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_with_an_account_and_the_next_one_resumes(
    tmp_path: Path, crowd: Path, number: int, jobs: int, send: Callable[[int, int], None]
) -> None:
    out, told = tmp_path / "out", tmp_path / "account.json"
    process = begin(crowd, out, "-j", jobs, "--json", told)
    wait_for(writing(out), process)
    send(process.pid, number)
    done = finish(process)
    assert (done.code, done.err) == (128 + number, "")
    assert "The account balances." in done.out
    assert "Interrupted" in done.out
    first = account(told)
    assert (first["interrupted"], first["exit_code"]) == (True, 128 + number)
    assert f'"exit_code": {128 + number}' in (tmp_path / "out.private/log.txt").read_text()
    assert 100 <= first["written"]["files"] == len(files_below(out)) < CROWD
    assert not [name for name in files_below(out) if PARTS in name]
    assert finish(begin(crowd, out, "-q", "--json", told)) == Done(0, "", "")
    assert account(told)["unchanged"]["files"] <= first["written"]["files"]
    found = contents(out)
    assert len(found) == CROWD
    assert len(set(found.values())) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", [0, 0.05, 0.2, 0.4])
def test_workers_that_start_hear_of_no_signal(tmp_path: Path, crowd: Path, number: int, moment: float) -> None:
    process = begin(crowd, tmp_path / "out", "-j", 2)
    wait_for(lambda: bool(workers_of(process.pid)), process)
    time.sleep(moment)
    os.killpg(process.pid, number)
    done = finish(process)
    assert (done.code, done.err) == (128 + number, "")
    assert "The account balances." in done.out


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGTERM] * 30,
        [signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
        [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGTERM],
    ],
)
def test_the_first_of_several_signals_counts(tmp_path: Path, crowd: Path, numbers: list[int], jobs: int) -> None:
    out, told = tmp_path / "out", tmp_path / "account.json"
    process = begin(crowd, out, "-j", jobs, "--json", told)
    wait_for(writing(out), process)
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        time.sleep(0.01)
    done = finish(process)
    assert (done.code, done.err) == (128 + numbers[0], "")
    assert account(told)["exit_code"] == 128 + numbers[0]
    assert not [name for name in files_below(out) if PARTS in name]


def test_a_run_under_nohup_outlives_its_terminal(tmp_path: Path, crowd: Path) -> None:
    process = begin(crowd, tmp_path / "out", "-j", 2, "-q", ignoring=signal.SIGHUP)
    wait_for(writing(tmp_path / "out"), process)
    os.killpg(process.pid, signal.SIGHUP)
    assert finish(process) == Done(0, "", "")
    assert len(files_below(tmp_path / "out")) == CROWD


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_in_the_background_that_ignores_ctrl_c_heeds_sigterm(tmp_path: Path, crowd: Path, jobs: int) -> None:
    process = begin(crowd, tmp_path / "out", "-j", jobs, "--json", tmp_path / "told", ignoring=signal.SIGINT)
    wait_for(writing(tmp_path / "out"), process)
    os.killpg(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGTERM)
    done = finish(process)
    assert (done.code, done.err) == (143, "")
    assert account(tmp_path / "told")["interrupted"]


@pytest.mark.parametrize("words", [(), ("-q",)])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_terminal_that_is_closed_takes_no_account_away(
    tmp_path: Path, crowd: Path, jobs: int, words: tuple[str, ...]
) -> None:
    ours, theirs = pty.openpty()
    out, told = tmp_path / "out", tmp_path / "account.json"

    def before() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    command = [*COMMAND, *map(str, (crowd, out, "-j", jobs, "--json", told, *words))]
    process: subprocess.Popen[str] = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, text=True, preexec_fn=before, env=environment()
    )
    os.close(theirs)
    wait_for(writing(out), process)
    os.close(ours)
    assert process.wait(60) == 129
    first = account(told)
    assert (first["exit_code"], first["interrupted"]) == (129, True)
    assert not [name for name in files_below(out) if PARTS in name]


# Moments of a run that are too short to be met by chance

SENDER = """
import os, signal, sys

moment, here = os.environ["SIGNAL_AT"].split(), os.environ["SIGNAL_TO"]

def watch(event, arguments):
    if moment and event == moment[0] and moment[1] in str(arguments[0]) and here in sys.argv:
        moment.clear()
        os.killpg(os.getpid(), signal.SIGTERM)

sys.addaudithook(watch)
"""
MOMENTS = [
    ("import dicom_anon.api", None),
    ("open manifest.sqlite", None),
    ("open log.txt", None),
    ("os.scandir in/sub", True),
    ("open .dicom-anon-", True),
    ("os.rename .dicom-anon-", True),
    ("os.rename anonymised-images/~", True),
    ("open extracted-data/", True),
    ("import dicom_anon.checking", False),
    ("import dicom_anon.verify.pairs", False),
]
"""Moments of a run, and whether its account says that it was interrupted; there is none before it begins."""


WORDS = ("--layout", "study", "--verify", "-q")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, key_file: Path) -> Path:
    """A few files in the folder in, and what a run that nothing ended made of them in the folder out."""
    folder = tmp_path_factory.mktemp("whole")
    for name in range(12):
        (folder / f"in/sub{name % 3}").mkdir(parents=True, exist_ok=True)
        (folder / f"in/sub{name % 3}/{name}").write_bytes(file_bytes(image(SOPInstanceUID=f"1.2.{name + 1}")))
    assert finish(begin(folder / "in", folder / "out", "--key-file", key_file, *WORDS)) == Done(0, "", "")
    return folder


@pytest.mark.parametrize(("moment", "interrupted"), MOMENTS)
def test_sigterm_at_any_moment(
    tmp_path: Path, whole: Path, key_file: Path, moment: str, interrupted: bool | None
) -> None:
    out, told = tmp_path / "out", tmp_path / "account.json"
    words = (whole / "in", out, "--key-file", key_file, "--json", told, *WORDS)
    where = environment(PYTHONPATH=site(tmp_path / "site", SENDER), SIGNAL_AT=moment, SIGNAL_TO=str(out))
    done = finish(begin(*words, env=where))
    assert (done.code, done.err.strip()) == (143, "" if interrupted else "interrupted")
    assert told.exists() == (interrupted is not None)
    if told.exists():
        first = account(told)
        assert (first["exit_code"], first["interrupted"]) == (143, interrupted)
        assert first["found"]["files"] in (0, 12)
    assert not [name for name in files_below(out) if PARTS in name]
    assert finish(begin(*words)) == Done(0, "", "")
    resumed, wanted = contents(out), contents(whole / "out")
    assert resumed.keys() == wanted.keys()
    assert {name for name in wanted if wanted[name] != resumed[name]} <= {n for n in wanted if n.endswith("task.json")}


# Programs that use the library


class Sender:
    """A watcher that sends this process a signal."""

    def update(self, report: RunReport) -> None:
        if not report.interrupted:
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """What a program of which SIGTERM is handled hears."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


def test_a_program_that_handles_a_signal_hears_of_it_and_gets_the_account(
    tmp_path: Path, crowd: Path, heard: list[int]
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    report = anonymize_tree(crowd, tmp_path / "out", jobs=1, watcher=Sender())
    assert heard == [signal.SIGTERM]
    assert (report.interrupted, report.balances, report.exit_code) == (True, True, 143)
    assert report.written == len(files_below(tmp_path / "out")) < CROWD
    assert signal.getsignal(signal.SIGTERM) is handler


# Workers

KILLER = """
import os, signal, sys

def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith("killer") and arguments[2] & os.O_ACCMODE == os.O_RDONLY:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
"""


def site(folder: Path, code: str) -> str:
    """Path for Python to find code that every process begins with."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return os.pathsep.join((str(folder), *filter(None, [os.environ.get("PYTHONPATH")])))


@pytest.mark.parametrize("moment", [0, 0.05, 0.1, 0.2])
def test_ctrl_c_after_workers_died_prints_nothing(tmp_path: Path, crowd: Path, moment: float) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(500):
        os.link(crowd / "0/first", source / f"{number:04}{'-killer' * (number % 20 == 0)}")
    process = begin(source, tmp_path / "out", "-j", 2, env=environment(PYTHONPATH=site(tmp_path / "site", KILLER)))
    seen: set[int] = set()

    def started_again() -> bool:
        seen.update(workers_of(process.pid))
        return len(seen) > 4

    wait_for(started_again, process)
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGINT)
    done = finish(process)
    assert done.code == 130
    assert [line for line in done.err.splitlines() if " files found so far, " not in line] == []  # as on a slow machine
    assert "The account balances." in done.out


PARENT = """
import multiprocessing, os, sys, time
from dicom_anon import worker

def work():
    os.getppid = lambda: 1  # it never changes on Windows
    worker._end_with_parent()
    print("at work", flush=True)
    time.sleep(20)
    print("left alone")

if __name__ == "__main__":
    multiprocessing.get_context("fork").Process(target=work).start()
"""


def test_a_worker_ends_with_its_parent_where_the_number_of_that_stays(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    where = environment(PYTHONPATH=os.pathsep.join((str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")]))))
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True, env=where)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "at work\n"
    parent.kill()
    assert parent.stdout.read() == ""  # which the worker holds open, too
    parent.wait()


CHILD = """
import multiprocessing, signal, sys, threading
from dicom_anon import anonymize_tree

def work(source, target, told):
    before = signal.getsignal(signal.SIGINT), threading.active_count()
    done = [anonymize_tree(source, target + "/main", jobs=1).written]
    thread = threading.Thread(target=lambda: done.append(anonymize_tree(source, target + "/thread", jobs=1).written))
    thread.start()
    thread.join()
    told.put((done, before == (signal.getsignal(signal.SIGINT), threading.active_count())))

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    child = context.Process(target=work, args=(*sys.argv[1:], told))
    child.start()
    print(told.get(timeout=60))
    child.join()
"""


def test_a_run_in_a_child_of_a_program_is_no_worker_of_ours(tmp_path: Path, whole: Path) -> None:
    (tmp_path / "program.py").write_text(CHILD)
    (tmp_path / "out").mkdir()
    words = [sys.executable, tmp_path / "program.py", whole / "in", tmp_path / "out"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("([12, 12], True)\n", "")
