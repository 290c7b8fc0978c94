"""A module of mercure 0.4: one task in, de-identified images out, or nothing at all.

Lives here: the contract of modules: folders, key, result, signals. Not here: what the task asks for.
Nothing that is said or raised here holds a value of an image, or the name of a file.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dicom_anon import api
from dicom_anon._version import __version__
from dicom_anon.assignment import Assignment
from dicom_anon.ending import SIGNALS
from dicom_anon.errors import DicomAnonError, Kind, Reason, UsageError
from dicom_anon.mercure_task import Say, Task, read_task
from dicom_anon.places import lies_in
from dicom_anon.report import RunReport
from dicom_anon.runfolder import ProblemList, RunFolder

WORK = ".dicom-anon-work"
"""Hidden folder in OUT in which all is made; what it holds is not there yet."""

_IMAGES, _TEMPORARY, _PUBLISHED = "images", "temporary", "published"
RESULT = "result.json"
LOCK_NAME = "key.guard"
"""Beside the key; not called .lock, since mercure has locks of its own in that folder."""


class TaskFailed(DicomAnonError):
    """The task cannot be done; OUT holds nothing."""


def read_or_make_key(folder: Path) -> bytes:
    """Key of the module's persistent folder, made at the first task; tasks at the same time get the same one.

    Raises
    ------
    UsageError
        The folder cannot be used, or holds a damaged key: a new key would make every patient another one.
    """
    import fcntl  # there is no such thing on Windows, where mercure does not run

    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        with open(descriptor, "r+b") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)  # gone with the process, however that ends
            return RunFolder(folder).key()
    except OSError as error:
        raise UsageError(f"the persistent folder of the module cannot be used: {error.strerror}") from None


def run_module(
    source: Path, destination: Path, persistent: Path | None, say: Say, show: Callable[[Assignment], None]
) -> RunReport:
    """Do one task. OUT holds all of its images afterwards, or nothing.

    Parameters
    ----------
    source : Path
        IN: images, their ``.tags``, ``task.json``; it is not changed.
    destination : Path
        OUT: empty, but for what a killed run has left.
    persistent : Path or None
        Folder that keeps the key for later tasks; `None` for a key of this task only.
    say : callable
        Gets lines for mercure's log.
    show : callable
        Gets the assignment, where the settings ask for it to be shown.

    Returns
    -------
    RunReport
        The account.

    Raises
    ------
    TaskFailed
        An image could not be written.
    UsageError, ConfigError
        The task or its settings are wrong.
    """
    if lies_in(source, destination) or lies_in(destination, source):
        raise UsageError("IN and OUT lie inside each other")
    work = destination / WORK
    with _emptied(destination):
        if not source.is_dir():
            raise UsageError("IN is no folder")
        task = read_task(source, say)
        if task.assignment.print_assignment:
            show(task.assignment)
        key = read_or_make_key(persistent) if persistent is not None else None
        if key is None:
            say("warning: the module has no persistent folder: pseudonyms hold for this task only")
        report = _images_of(source, work, task, key)
        names = sorted(os.listdir(work / _IMAGES))
        if task.notify:
            (work / _IMAGES / RESULT).write_text(json.dumps(result_of(report)) + "\n", "utf-8")
            names.append(RESULT)
        with _uninterrupted():
            _publish(work, destination, names)
    return report


def _images_of(source: Path, work: Path, task: Task, key: bytes | None) -> RunReport:
    (work / _TEMPORARY).mkdir()
    listed = io.StringIO()
    with _temporary_files_in(work / _TEMPORARY):
        report = api.anonymize_tree(
            source,
            work / _IMAGES,
            task.assignment,
            key=key,
            layout=task.layout,
            extract=task.extract,
            task=task.facts,
            jobs=None if _has_semaphores() else 1,
            problems=ProblemList(listed),
        )
    if report.interrupted:
        raise KeyboardInterrupt
    lines = csv.DictReader(io.StringIO(listed.getvalue(), newline=""))
    lost = Counter(line["reason"] for line in lines if _is_loss(line))
    if lost or report.exit_code:
        lost["documents-failed"] += report.notes["documents-failed"]
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted((+lost).items()))
        raise TaskFailed(f"nothing is passed on, since not all images could be de-identified: {reasons}")
    if not report.written:
        raise TaskFailed("there is no image in IN")
    return report


def _has_semaphores() -> bool:
    """Tell whether there can be worker processes: they need shared memory, which a container may not have."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError):
        return False
    return True


def _is_loss(line: Mapping[str, str]) -> bool:
    """Tell whether a file that was not written is an image: task.json and the .tags are skipped, too."""
    is_image = line["path"].lower().endswith(".dcm") or line["outcome"] != Kind.SKIPPED.value
    return is_image and line["reason"] != Reason.DROPPED.value


def result_of(report: RunReport) -> dict[str, Any]:
    """Tell mercure in ``result.json`` what was done: counts, and a text for its notification."""
    dropped = report.reasons[Reason.DROPPED]
    left_out = f"{dropped} dropped by the rules" if dropped else "none left out"
    return {
        "tool": "dicom-anon",
        "version": __version__,
        "images": report.written,
        "dropped": dropped,
        "notes": dict(sorted(report.notes.items())),
        "__mercure_notification": {
            "text": f"dicom-anon {__version__}: {report.written} images de-identified, {left_out}.",
            "requested": True,
        },
    }


@contextlib.contextmanager
def _emptied(destination: Path) -> Iterator[None]:
    """Prepare OUT, with a folder for work in it; after an error it holds nothing."""
    work = destination / WORK
    try:
        destination.mkdir(parents=True, exist_ok=True)
        _withdraw(work, destination)
        if any(destination.iterdir()):
            raise UsageError("OUT is not empty")
        work.mkdir(mode=0o700)
    except OSError as error:
        raise UsageError(f"OUT cannot be used: {error.strerror}") from None
    try:
        yield
    except BaseException:
        _withdraw(work, destination)
        raise


def _publish(work: Path, destination: Path, names: list[str]) -> None:
    """Move what is finished to its place; were that cut off, the next run removes it."""
    (work / _PUBLISHED).write_text(json.dumps(names), "utf-8")
    for name in names:
        os.rename(work / _IMAGES / name, destination / name)
    os.unlink(work / _PUBLISHED)
    shutil.rmtree(work, ignore_errors=True)


def _withdraw(work: Path, destination: Path) -> None:
    """Remove the work of a run that did not come to its end, and what it had moved to its place already."""
    with contextlib.suppress(OSError, ValueError):
        for name in json.loads((work / _PUBLISHED).read_text("utf-8")):
            path = destination / os.path.basename(name)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Have all temporary files, those of worker processes too, in the one place that can be written."""
    before = {name: os.environ.get(name) for name in ("TMPDIR", "JOBLIB_TEMP_FOLDER")}
    os.environ.update(dict.fromkeys(before, os.fspath(folder)))
    tempfile.tempdir = None
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        tempfile.tempdir = None


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Take no signal to end while images are moved to their place, which is a matter of milliseconds."""
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, old in before:
            signal.signal(number, old)
