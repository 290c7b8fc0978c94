"""A module of mercure 0.4: one task in, de-identified images out, or nothing at all.

Lives here: the contract of modules (folders, ``task.json``, ``.tags``, settings, key, result). Does not live here: what
is done to an image. Nothing that is said or raised here holds a value of an image, a name of a file, or a text of a task.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_anon import api, config, tags
from dicom_anon._version import __version__
from dicom_anon.actions import CommandError
from dicom_anon.assignment import Assignment, project_for_aet, resolve
from dicom_anon.errors import DicomAnonError, Reason, UsageError
from dicom_anon.layout import TASK
from dicom_anon.pseudonyms import new_key
from dicom_anon.report import RunReport
from dicom_anon.runfolder import KEY_NAME, ProblemList, read_key
from dicom_anon.taskjson import facts_of_mercure

WORK = ".dicom-anon-work"
"""Hidden folder in OUT in which all is made; what it holds is not there yet."""

_IMAGES, _TEMPORARY, _PUBLISHED = "images", "temporary", "published"
RESULT = "result.json"
LOCK_NAME = "key.guard"
"""Beside the key; not called .lock, since mercure has locks of its own in that folder."""

_LAYOUTS = {"mercure": "mercure", "flat": "mercure", "study": "study"}
_MODULE_SETTINGS = ("layout", "extract", "notify")
_TAG_LIKE = re.compile(r"[0-9A-Fa-fXx]{4}[^0-9A-Za-z]?[0-9A-Fa-fXx]{2,4}|[(),\"]")

_TITLE = re.compile(r'"ReceiverAET"\s*:\s*"([^"\\]*)"')

Say = Callable[[str], None]


class TaskFailed(DicomAnonError):
    """The task cannot be done; OUT holds nothing."""


@dataclass(frozen=True)
class Task:
    """What a task asks for.

    Parameters
    ----------
    assignment : Assignment
        The rules.
    layout : str
        One of `layout.LAYOUTS`, but not the mirrored one.
    extract : str or None
        What is extracted.
    notify : bool
        Whether mercure is asked to notify somebody.
    facts : Mapping[str, str]
        What may be said of mercure's own task.
    """

    assignment: Assignment
    layout: str
    extract: str | None
    notify: bool
    facts: Mapping[str, str]


def read_task(folder: Path, say: Say) -> Task:
    """Read what a task asks for: ``task.json``, and the AE title from the ``.tags`` files.

    Parameters
    ----------
    folder : Path
        IN.
    say : callable
        Gets warnings.

    Raises
    ------
    UsageError
        Something in it cannot be read or carried out.
    ConfigError
        The settings are wrong; all problems are told.
    """
    content = _read_json(folder / TASK)
    if not isinstance(content, dict):
        raise UsageError("task.json is no JSON object")
    process = content.get("process")
    if isinstance(process, list):
        if len(process) != 1:
            raise UsageError("task.json names several processing steps, and not which of them this is")
        process = process[0]
    if not isinstance(process, dict):
        process = {}
    if process.get("retain_input_images") not in (None, False):
        raise UsageError('"retain input images" is on: mercure would put the originals beside the de-identified images')
    settings = process.get("settings")
    if settings is None:
        settings = {}
    if not isinstance(settings, dict):
        raise UsageError("the settings of the module are no JSON object")
    info = content.get("info")
    titles = _receiver_titles(folder, info)
    return _task_of(settings, titles, facts_of_mercure(info), say)


def _task_of(settings: Mapping[str, Any], titles: frozenset[str], facts: Mapping[str, str], say: Say) -> Task:
    sections = {name: value for name, value in settings.items() if isinstance(value, dict) and not name.startswith("_")}
    names = {name.lower() for name in sections} - {config.GENERAL}
    known = config.Config({name: config.Section() for name in names})
    projects = {project_for_aet(known, title) for title in titles}
    if len(projects) > 1:
        raise UsageError("the images were sent to AE titles of different projects: one task, one project")
    if not projects and names:
        raise UsageError("no AE title is on record for the images, so that their project is not known")
    project = next(iter(projects), "")
    chosen = {name: value for name, value in sections.items() if name.lower() in (config.GENERAL, project)}
    own = _own_settings(settings, chosen, project)
    cleaned = {name: dict(_without_foreign(value, say)) for name, value in chosen.items()}
    read = config.parse_config(json.dumps(cleaned), "the settings of the module")
    assignment = resolve(read, project=project or None)
    if titles and not project:
        say("warning: the AE title has no section of its own; only the general section applies")
    layout, extract, notify = (own.get(name) for name in _MODULE_SETTINGS)
    if layout is not None and not (isinstance(layout, str) and layout in _LAYOUTS):
        raise UsageError(f'the setting "layout" has no such value (accepted: {", ".join(_LAYOUTS)})')
    if extract is not None and not isinstance(extract, str):
        raise UsageError('the setting "extract" is no text (accepted: all, main, keywords)')
    try:
        wants_notice = False if notify is None else config.parse_flag(notify)
    except config.SettingError:
        raise UsageError('the setting "notify" has no such value (accepted: "true" or "false")') from None
    return Task(assignment, _LAYOUTS[layout or "mercure"], extract, wants_notice, facts)


def _own_settings(
    settings: Mapping[str, Any], chosen: Mapping[str, dict[str, Any]], project: str
) -> dict[str, Any]:
    """Settings of the module itself: beside the sections, in general, in the project's; later ones win."""
    found = {name: settings[name] for name in _MODULE_SETTINGS if name in settings}
    for wanted in (config.GENERAL, project):
        for name, section in chosen.items():
            if name.lower() == wanted:
                found.update((key, section[key]) for key in _MODULE_SETTINGS if key in section)
    return found


def _without_foreign(section: Mapping[str, Any], say: Say) -> Iterator[tuple[str, Any]]:
    """Leave out what is meant for others: mercure merges the settings of modules and rules, and sites add notes.

    What looks like a tag, a known word written wrongly, or a rule stays, to be told as an error: it may be a rule that
    protects somebody.
    """
    for key, value in section.items():
        if key in _MODULE_SETTINGS:
            continue
        if _is_foreign(key, value):
            say(f"warning: the key {json.dumps(key)} of the settings is none of this module's, and is left out")
        else:
            yield key, value


def _is_foreign(key: str, value: Any) -> bool:
    if key.startswith("_") or key in config.SETTINGS or _TAG_LIKE.search(key):
        return False
    if tags.nearest(key, (*config.SETTINGS, *_MODULE_SETTINGS)):
        return False
    with contextlib.suppress(tags.TagSyntaxError):
        tags.parse_key(key)
        return False
    if isinstance(value, str):
        with contextlib.suppress(CommandError):
            config.parse_action(value)
            return False
    return True


def _read_json(path: Path) -> Any:
    """Read JSON as mercure's tools may have left it: with a byte order mark, or bytes that are no UTF-8."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig", "replace"))
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path.name} is not JSON") from None


def _receiver_titles(folder: Path, info: object) -> frozenset[str]:
    """AE titles under which the images came in, in lower case: of every ``.tags`` file, else of the task."""
    titles: set[str] = set()
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".tags"))
    except OSError as error:
        raise UsageError(f"IN cannot be read: {error.strerror}") from None
    for name in names:
        titles |= _titles_in(folder / name)
    if not titles and isinstance(info, dict) and isinstance(info.get("receiver_aet"), str):
        titles.add(info["receiver_aet"])
    return frozenset(title.strip().lower() for title in titles if title.strip())


def _titles_in(path: Path) -> set[str]:
    """Every ReceiverAET of a ``.tags`` file: keys may be there twice, and backslashes as DICOM has them."""
    found: set[str] = set()

    def collect(pairs: list[tuple[str, Any]]) -> None:
        found.update(value for key, value in pairs if key == "ReceiverAET" and isinstance(value, str))

    text = ""
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
        json.loads(text, strict=False, object_pairs_hook=collect)
    except (OSError, RecursionError):
        raise UsageError("a .tags file cannot be read, so that the AE title of its image is not known") from None
    except ValueError:
        found.update(_TITLE.findall(text))
        if not found:
            raise UsageError("a .tags file is not JSON, so that the AE title of its image is not known") from None
    return found


def read_or_make_key(folder: Path) -> bytes:
    """Key of the module's persistent folder, made at the first task; tasks that run at the same time get the same one.

    Raises
    ------
    UsageError
        The folder cannot be used, or holds a damaged key: a new key would make every patient another one.
    """
    import fcntl  # there is no such thing on Windows, where mercure does not run

    path = folder / KEY_NAME
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        with open(descriptor, "r+b") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)  # gone with the process, however that ends
            if not path.exists():
                part = folder / f".{KEY_NAME}.part"
                with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(new_key().hex().encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, path)
    except OSError as error:
        raise UsageError(f"the persistent folder of the module cannot be used: {error.strerror}") from None
    return read_key(path)


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
    real = Path(os.path.realpath(source)), Path(os.path.realpath(destination))
    if real[0] == real[1] or real[0] in real[1].parents or real[1] in real[0].parents:
        raise UsageError("IN and OUT lie inside each other")
    work = destination / WORK
    with _emptied(destination), _terminable():
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
    lost = [line for line in lines if line["path"].lower().endswith(".dcm") and line["reason"] != Reason.DROPPED.value]
    if lost or report.exit_code:
        reasons = ", ".join(f"{count} {reason.value}" for reason, count in sorted(_causes(report), key=str))
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


def _causes(report: RunReport) -> Iterable[tuple[Any, int]]:
    return ((reason, count) for reason, count in report.reasons.items() if count)


def result_of(report: RunReport) -> dict[str, Any]:
    """What ``result.json`` tells mercure: counts, and a text for its notification."""
    return {
        "tool": "dicom-anon",
        "version": __version__,
        "images": report.written,
        "notes": dict(sorted(report.notes.items())),
        "__mercure_notification": {
            "text": f"dicom-anon {__version__}: {report.written} images de-identified, none left out.",
            "requested": True,
        },
    }


def place_of(error: Exception) -> str:
    """Class of an error and the line that raised it: enough to mend it, and no value."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where


@contextlib.contextmanager
def _emptied(destination: Path) -> Iterator[None]:
    """Give OUT with an empty folder for work in it; after an error it holds nothing, afterwards no such folder."""
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
    """Move what is finished to its place; should that be cut off, the list of it tells the next run what to remove."""
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
def _terminable() -> Iterator[None]:
    """End on SIGTERM, which stops a container, as on Ctrl-C: with OUT empty."""

    def interrupt(*_: object) -> None:
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, None)
        else:
            raise KeyboardInterrupt

    with _handled(interrupt, signal.SIGTERM):
        yield


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Take no signal to end while images are moved to their place, which is a matter of milliseconds."""
    with _handled(signal.SIG_IGN, signal.SIGTERM, signal.SIGINT):
        yield


@contextlib.contextmanager
def _handled(handler: Any, *numbers: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    before = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, old in before:
            signal.signal(number, old)
