"""One file: read, decide, write. A pure function of the file and the order; runs in the parent or in a worker process.

Lives here: the way of one file and of a batch of them. Does not live here: fan-out, totals, what a person sees.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import multiprocessing
import os
import pickle
import shutil
import signal
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from dicom_anon import output
from dicom_anon.crosswalk import Crossing
from dicom_anon.dicomfile import DicomFile
from dicom_anon.discovery import FileJob
from dicom_anon.engine import Engine, Plan, Rewritten
from dicom_anon.errors import FileRefused, Kind, Reason, place_of
from dicom_anon.filemeta import write_meta
from dicom_anon.layout import NAMERS, Facts
from dicom_anon.naming import Identifiers, holds_identifier, is_portable, may_hold_uid, with_uids
from dicom_anon.output import OutputError
from dicom_anon.planned import OutputPiece, pixels_planned
from dicom_anon.tags import INSTANCE_NUMBER, SERIES_DESCRIPTION, SOP_INSTANCE_UID

_RUN_ENDING = frozenset((errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)))
"""Errors after which no other file can be written either."""
_PARENT_SECONDS = 0.1
"""Time after which a worker looks again whether its parent is there."""

BURNED_IN = "burned-in-risk"
"""Note of a written object whose pixels may show text; the result's detail says why."""


@dataclass(frozen=True)
class Order:
    """What is to be done with each file of a run.

    Parameters
    ----------
    plan : Plan
        What is done to its elements.
    source, destination : str
        Folders from which relative paths count.
    dry_run : bool
        Decide, but write nothing.
    names : str
        One of `naming.MODES` or of `layout.NAMERS`.
    on_burned_in : str
        What becomes of objects that may show text in their pixels: ``warn``, ``quarantine`` or ``fail``.
    quarantine : str
        Folder that gets copies of the files that were quarantined, in folders by reason; empty for none.
    began : float
        When the run began: the time that all outputs bear, since the order of work is that of the old names.
    """

    plan: Plan
    source: str
    destination: str
    dry_run: bool = False
    names: str = "keep"
    on_burned_in: str = "warn"
    quarantine: str = ""
    began: float = field(default_factory=time.time)


class FileResult(NamedTuple):
    """What became of one file.

    Parameters
    ----------
    job : FileJob
        The file.
    reason : Reason or None
        Why it was not written; `None` where it was.
    detail : str
        Tag and class of what was met; never a value.
    notes : tuple of str
        Codes to count.
    ends_run : bool
        The destination takes no more files.
    written_as : str
        Path of the output below the destination, empty where there is none.
    tainted : tuple of str
        Names of folders above the file that hold an identifier of it.
    identifiers : Identifiers or None
        What the names were compared with; from a worker, only where it is another patient's than the file's before.
    crossing : Crossing or None
        Old and new identity of its series, where a crosswalk is asked for.
    """

    job: FileJob
    reason: Reason | None = None
    detail: str = ""
    notes: tuple[str, ...] = ()
    ends_run: bool = False
    written_as: str = ""
    tainted: tuple[str, ...] = ()
    identifiers: Identifiers | None = None
    crossing: Crossing | None = None


PackedJobs: TypeAlias = "list[tuple[str, int, int, str]]"
PackedResult: TypeAlias = "tuple[Any, ...]"
"""A result on its way between processes: all but the job, or nothing where there is nothing to tell."""


def process_batch(jobs: list[FileJob], order: Order) -> list[FileResult]:
    """De-identify some files, one after the other; an error ends one file's work, never the batch's.

    Parameters
    ----------
    jobs : list of FileJob
        The files.
    order : Order
        What is to be done.
    """
    engine = _engine(order.plan)
    results: list[FileResult] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote values
        for job in jobs:
            results.append(process_file(job, order, engine))
            if results[-1].ends_run:
                break
    return results


def process_packed(jobs: PackedJobs, packed: bytes) -> list[PackedResult]:
    """De-identify some files in a worker process.

    Parameters
    ----------
    jobs : list of tuple
        The files, as `packed_jobs` gives them.
    packed : bytes
        The order, as `packed_order` gives it: one that a worker has at hand is not loaded again for the next batch.

    Returns
    -------
    list of PackedResult
        One for each file that was tried, as `unpacked` wants them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    _end_with_parent()
    return list(_packed(process_batch([FileJob(*job) for job in jobs], _order(packed))))


def packed_jobs(jobs: list[FileJob]) -> PackedJobs:
    """Files on their way to a worker: as plain tuples, which are packed at a fraction of the cost."""
    return [(*job,) for job in jobs]


def packed_order(order: Order) -> bytes:
    """Order on its way to a worker: with every batch again, so short that it fits into a pipe."""
    return zlib.compress(pickle.dumps(order))


@functools.lru_cache(maxsize=1)
def _order(packed: bytes) -> Order:
    order = pickle.loads(zlib.decompress(packed))
    assert isinstance(order, Order)
    return order


def _packed(results: list[FileResult]) -> Iterator[PackedResult]:
    """Leave out what the parent knows: most files are of the patient before, written under their name, and that is all.

    The parent wants to know of each patient once, so identifiers travel with the first file of several.
    """
    said: Identifiers | None = None
    for job, reason, detail, notes, ends_run, written_as, tainted, identifiers, crossing in results:
        new = None if identifiers == said else identifiers
        said = identifiers
        told = (reason, detail, notes, ends_run, written_as, tainted, new, crossing)
        yield () if told == (None, "", (), False, job.target, (), None, None) else told


def unpacked(jobs: list[FileJob], results: list[PackedResult]) -> list[FileResult]:
    """Results of a batch as `process_batch` would give them, but identifiers with the first file of several only."""
    return [
        FileResult(job, *told) if told else FileResult(job, written_as=job.target)
        for job, told in zip(jobs, results, strict=False)
    ]


@functools.cache
def _end_with_parent() -> None:
    """Let this worker end soon after the run that started it: the next run may be at work on the same destination."""
    parent, number = multiprocessing.parent_process(), os.getppid()

    def watch() -> None:
        if parent is not None and parent.sentinel is not None:  # as on Windows, where the number stays what it was
            parent.join()
        else:
            while os.getppid() == number:
                time.sleep(_PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@functools.lru_cache(maxsize=1)
def _engine(plan: Plan) -> Engine:
    """Engine of a plan; a worker keeps it, and its caches, from one batch to the next."""
    return Engine(plan)


def process_file(job: FileJob, order: Order, engine: Engine) -> FileResult:
    """De-identify one file; whatever happens becomes a result."""
    result = _try(job, order, engine)
    return _put_aside(result, order) if order.quarantine and not order.dry_run else result


def _put_aside(result: FileResult, order: Order) -> FileResult:
    """Put a copy of the source file aside, if it was quarantined."""
    if result.reason is None or result.reason.kind is not Kind.QUARANTINED:
        return result
    aside = os.path.join(order.quarantine, result.reason.value)
    copy = os.path.join(aside, result.job.relative)
    try:
        for folder in (order.quarantine, aside):  # the first may be there, open to all; below the second nothing is
            os.makedirs(folder, mode=0o700, exist_ok=True)
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copyfile(os.path.join(order.source, result.job.relative), copy)
    except (OSError, RecursionError) as error:  # the last, where folders are very deep
        if not isinstance(error, shutil.SameFileError):
            with contextlib.suppress(OSError):
                os.unlink(copy)  # half of it may be there
        return result._replace(notes=(*result.notes, "not-copied"), detail=f"{result.detail}; {type(error).__name__}")
    return result


def _try(job: FileJob, order: Order, engine: Engine) -> FileResult:
    try:
        source = io.FileIO(f"{order.source}{os.sep}{job.relative}")
        try:
            file = DicomFile(source, job.size)
            new = engine.run_unwalked(file)
            if new.facts.burned_in and order.on_burned_in != "warn":
                raise FileRefused(Reason.BURNED_IN, new.facts.burned_in)
            pieces = pixels_planned(file, new)
            written_as, tainted = _named(job, file, new, order, engine)
            if not order.dry_run:
                target = f"{order.destination}{os.sep}{written_as}"
                top = order.destination if order.names in NAMERS else ""
                _write(target, source, file, new, pieces, engine, top, order.began)
            notes = new.notes | file.notes
            if new.facts.burned_in:
                notes |= {BURNED_IN}
            identifiers = new.identifiers if order.names == "safe" else None
            listed = tuple(sorted(notes)) if notes else ()
            return FileResult(
                job, None, new.facts.burned_in, listed, False, written_as, tainted, identifiers, new.crossing
            )
        finally:
            _close(source)
    except FileRefused as refusal:
        ends_run = refusal.reason is Reason.BURNED_IN and order.on_burned_in == "fail"
        is_asked = order.names == "safe" and refusal.reason is not Reason.NOT_DICOM  # which would be read twice in vain
        tainted, whose = _still_told(job, order, engine) if is_asked else ((), None)
        return FileResult(job, refusal.reason, refusal.detail, ends_run=ends_run, tainted=tainted, identifiers=whose)
    except OutputError as error:
        ends_run = error.errno in _RUN_ENDING or not os.path.isdir(order.destination)
        return FileResult(job, Reason.WRITE_FAILED, _said(error), ends_run=ends_run)
    except FileNotFoundError:
        return FileResult(job, Reason.VANISHED)
    except OSError as error:
        return FileResult(job, Reason.UNREADABLE, _said(error))
    except MemoryError:
        return FileResult(job, Reason.INTERNAL_ERROR, "MemoryError")
    except Exception as error:
        return FileResult(job, Reason.INTERNAL_ERROR, place_of(error))


def _close(source: BinaryIO) -> None:
    """Close a source; an error now, as network file systems have them, takes no output back."""
    with contextlib.suppress(OSError):
        source.close()


def _said(error: OSError) -> str:
    """What the system says of an error, without the path that it is about."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _named(job: FileJob, file: DicomFile, new: Rewritten, order: Order, engine: Engine) -> tuple[str, tuple[str, ...]]:
    """Path of the output, and the folders above the source whose names hold an identifier."""
    namer = NAMERS.get(order.names)
    if namer is not None:
        number, telling = "", False
        if order.names == "study":
            number = engine.new_text(new.root, INSTANCE_NUMBER)
            telling = holds_identifier(engine.new_text(new.root, SERIES_DESCRIPTION), new.identifiers)
        instance, code = _instance(file, new, engine), engine.code(job.relative.replace(os.sep, "/"))
        return namer(Facts(new.study, new.series, instance, number, telling, code)), ()
    if order.names == "keep":
        return job.target, ()
    folder, _, name = job.relative.rpartition(os.sep)
    identifiers = new.identifiers
    if file.sop_instance in job.relative or may_hold_uid(name) or _may_hold_uid(folder):
        identifiers = with_uids(identifiers, (file.sop_instance, new.root.near(SOP_INSTANCE_UID).strip("\0")))
    safe = engine.safe_file_name(name, identifiers)
    tainted = _tainted(folder, identifiers)
    if safe == name:
        return job.target, tainted
    file.notes.add("file-name-replaced")
    return os.path.join(os.path.dirname(job.target), safe), tainted


def _still_told(job: FileJob, order: Order, engine: Engine) -> tuple[tuple[str, ...], Identifiers | None]:
    """Of a file that is not written: the folders above it that tell whose it is, as far as it can be read."""
    with contextlib.suppress(Exception), io.FileIO(f"{order.source}{os.sep}{job.relative}") as source:
        identifiers = engine.identifiers(DicomFile(source, job.size).legible)
        return _tainted(os.path.dirname(job.relative), identifiers), identifiers
    return (), None


def _instance(file: DicomFile, new: Rewritten, engine: Engine) -> str:
    """Find the new SOP Instance UID; where only the old file meta has one, that is replaced."""
    return new.sop_instance or (engine.new_uid(file.sop_instance) if file.sop_instance else "")


_may_hold_uid = functools.lru_cache(maxsize=1024)(may_hold_uid)
"""The same of folders, which many files have in common."""


@functools.lru_cache(maxsize=1024)
def _tainted(folder: str, identifiers: Identifiers) -> tuple[str, ...]:
    components = Path(folder).parts
    return tuple(c for c in components if holds_identifier(c, identifiers) or not is_portable(c))


def _write(
    target: str,
    source: BinaryIO,
    file: DicomFile,
    new: Rewritten,
    pieces: list[OutputPiece],
    engine: Engine,
    top: str = "",
    when: float | None = None,
) -> None:
    """Write an output, in a folder that is made where one is missing below `top`, if that is named."""
    instance = _instance(file, new, engine)
    meta = write_meta(file.transfer_syntax, new.sop_class or file.sop_class, instance)
    try:
        output.write(target, source, file, meta, pieces, when)
    except OutputError as error:
        if error.errno != errno.ENOENT or not top or not os.path.isdir(top):  # one that vanished is not made again
            raise
        output.make_folder(os.path.dirname(target))
        output.write(target, source, file, meta, pieces, when)


def deidentify(source: BinaryIO, size: int, target: Path, engine: Engine) -> frozenset[str]:
    """De-identify one open file.

    Parameters
    ----------
    source : file object
        Opened for reading bytes, not buffered.
    size : int
        Its length in bytes.
    target : Path
        File to write.
    engine : Engine
        The rules.

    Returns
    -------
    frozenset of str
        Notes for the report.

    Raises
    ------
    FileRefused
        It cannot be done safely; nothing was written.
    OutputError
        It cannot be written.
    OSError
        It cannot be read.
    """
    file = DicomFile(source, size)
    new = engine.run_unwalked(file)
    pieces = pixels_planned(file, new)
    _write(os.fspath(target), source, file, new, pieces, engine)
    return new.notes | file.notes
