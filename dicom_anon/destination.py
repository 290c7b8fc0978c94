"""The destination of a run, with what earlier runs left in it.

Lives here: its folders, and outputs that are there or have to go. Not here: whether it may be used, and writing them.
"""

from __future__ import annotations

import collections
import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from dicom_anon.arrange import Arranger, holds_something, remove_if_empty
from dicom_anon.discovery import FileJob, Folder
from dicom_anon.errors import UsageError
from dicom_anon.fileset import own_head
from dicom_anon.folders import Listed, walk, walk_up
from dicom_anon.manifest import Manifest
from dicom_anon.namebook import NameBook
from dicom_anon.output import PART_PREFIX, part_name
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.worker import Order

_BEHIND = 2.0
"""Seconds by which times of files may be behind: those of FAT are even."""

_CANNOT_BE_EMPTIED = "DST cannot be emptied: see to the permissions of its folders"


def places_now(manifest: Manifest, destination: Path, pseudonyms: Pseudonyms) -> Iterator[tuple[str, str]]:
    """Paths of the files written, and of their outputs under the names that these have now, or would have."""
    book, arranger = NameBook(pseudonyms, manifest.names()), Arranger(destination, "study", manifest)
    for path, written_as in manifest.outputs():
        settled = os.path.join(book.target(os.path.dirname(path)), os.path.basename(written_as))
        yield path, arranger.find(written_as) or settled


def all_ours(manifest: Manifest, destination: Path, pseudonyms: Pseudonyms) -> list[Listed]:
    """List all that is in a destination, each folder behind those in it.

    Raises
    ------
    UsageError
        It is not all of earlier runs, or cannot be removed.
    """
    outputs = (place for _, place in places_now(manifest, destination, pseudonyms))
    recorded = {os.path.join(destination, relative) for relative in (*outputs, *manifest.documents())}
    found: list[Listed] = []
    if destination.exists():
        _check_open(destination)
        try:
            found = list(walk(destination))[::-1]
        except OSError:  # what cannot be seen would stay
            raise UsageError(_CANNOT_BE_EMPTIED) from None
    for folder, folders, names in found:
        for path in (os.path.join(folder, name) for name in names):
            is_part = os.path.basename(path).startswith(PART_PREFIX)
            if not (path in recorded or is_part or own_head(path)):  # a run that was killed had no time to record it
                raise UsageError("DST holds files that no run of ours wrote: move them away")
        for name in folders:
            _check_open(os.path.join(folder, name))
    return found


def _check_open(folder: str | os.PathLike[str]) -> None:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise UsageError(_CANNOT_BE_EMPTIED)


def start_afresh(manifest: Manifest, destination: Path, pseudonyms: Pseudonyms) -> None:
    """Remove what earlier runs wrote, and all folders in it; touch nothing where anything else is there.

    Raises
    ------
    UsageError
        As `all_ours`.
    OSError
        Something is in the way all the same.
    """
    for folder, _, names in all_ours(manifest, destination, pseudonyms):
        for name in names:
            os.unlink(os.path.join(folder, name))
        if Path(folder) != destination:
            os.rmdir(folder)
    manifest.forget()


class Destination:
    """Folder of the outputs of a run that begins now.

    Parameters
    ----------
    order : Order
        Where it is, and whether anything is written.
    manifest : Manifest or None
        Record of what earlier runs wrote.
    book : NameBook or None
        Names of folders, where those that hold an identifier are replaced.
    arranger : Arranger or None
        Names of outputs, where they are made of what the outputs say.

    Attributes
    ----------
    case_is_lost : bool
        Names of sources that differ in case only would be one name in it; `prepare` finds out.
    """

    def __init__(
        self, order: Order, manifest: Manifest | None, book: NameBook | None, arranger: Arranger | None
    ) -> None:
        self._top = order.destination
        self._source = order.source
        self._pseudonyms = Pseudonyms(order.plan.key)
        self._dry_run = order.dry_run
        self._crossed = order.plan.crosswalk
        self._manifest = manifest
        self._book = book
        self._arranger = arranger
        self._earlier = manifest if os.path.isdir(order.destination) else None
        self._began = order.began - _BEHIND
        self.case_is_lost = False

    def prepare(self) -> None:
        """Make the folder, or put right what a run that was killed left in it.

        Raises
        ------
        UsageError
            It cannot be made.
        """
        if self._dry_run:
            return
        try:
            os.makedirs(self._top, exist_ok=True)
        except OSError as error:
            raise UsageError(f"DST cannot be made: {error.strerror}") from None
        self.case_is_lost = self._arranger is None and _loses_case(self._top)
        if self._earlier is not None:
            self.remove_parts()
            if self._book is not None:
                self._book.rename(Path(self._top), self._earlier.names())
            if self._earlier.open_since is not None:
                self._remove_unrecorded(self._earlier, self._earlier.open_since - _BEHIND)
            if self._arranger is not None:
                self._arranger.remove_empty()

    def _remove_unrecorded(self, manifest: Manifest, since: float) -> None:
        """Remove outputs that a run had no time to record: from changed sources they may get other names, or none.

        What is older than that run is what somebody else made of our outputs. Folders without anything go as well:
        where it is not on record that they got their names, they would keep these from the new ones.
        """
        top = Path(self._top)
        known = {place for _, place in places_now(manifest, top, self._pseudonyms)} | manifest.documents()
        for folder, _, names in walk_up(top):
            above = os.path.relpath(folder, top)
            for name in names:
                path = os.path.join(folder, name)
                if os.path.normpath(os.path.join(above, name)) not in known and own_head(path):
                    with contextlib.suppress(OSError):
                        if os.stat(path).st_mtime >= since:
                            os.unlink(path)
            remove_if_empty(Path(folder), top)

    def mirror(self, folder: Folder) -> None:
        """Make the folder that stands for one of the source."""
        if self._dry_run or self._arranger is not None:
            return
        target = self._book.target(folder.relative) if self._book else folder.relative
        with contextlib.suppress(OSError):  # each of its files will say so
            os.mkdir(os.path.join(self._top, target))

    def placed(self, job: FileJob) -> FileJob:
        """Put a file into the folder that stands for its own."""
        if self._book is None:
            return job
        folder, slash, name = job.relative.rpartition(os.sep)
        return FileJob(job.relative, job.size, job.modified, self._book.target(folder) + slash + name)

    def undone(self, batch: list[FileJob]) -> list[FileJob]:
        """Leave out of a batch what an earlier run wrote, if it is still there.

        Raises
        ------
        OSError, sqlite3.Error
            It cannot be told.
        """
        if self._earlier is None:
            return batch
        done = self._earlier.done(batch, crossed=self._crossed)
        return [job for job in batch if job.relative not in done or not self._is_there(job, done[job.relative])]

    def remove_stale(self, batch: list[FileJob]) -> list[FileJob]:
        """Remove outputs whose sources are no longer what they were: new ones may have other names, or none.

        Returns
        -------
        list of FileJob
            Those whose outputs cannot be removed.

        Raises
        ------
        OSError, sqlite3.Error
            It cannot be told; also where the destination itself has gone, as a disk does that is pulled out.
        """
        stuck: list[FileJob] = []
        if self._earlier is None or self._dry_run:
            return stuck
        for job, written_as in self._earlier.outputs_of(batch):
            place = _settled(job, written_as) if self._arranger is None else self._arranger.find(written_as)
            path = os.path.join(self._top, place)
            try:
                if place:
                    os.unlink(path)
            except OSError:  # a read-only disk says so of what is gone, too
                if not _is_gone(path):
                    stuck.append(job)
        os.stat(self._top)
        return stuck

    def orphans(self, seen: int) -> int:
        """Count outputs of which the sources are gone; where both are, that is struck off the record.

        Parameters
        ----------
        seen : int
            Sources found whose outputs are there.
        """
        if self._earlier is None or self._earlier.written == seen:
            return 0
        top = Path(self._top)
        lost = [
            (path, not _is_gone(os.path.join(top, place)))
            for path, place in places_now(self._earlier, top, self._pseudonyms)
            if _is_gone(os.path.join(self._source, path))
        ]
        self._earlier.strike(path for path, stays in lost if not stays)
        return sum(stays for _, stays in lost)

    def was_written(self, job: FileJob) -> bool:
        """Tell whether a file got its output in this run; one of an earlier run may be there, of an older source."""
        if self._dry_run:
            return False
        try:
            return os.stat(os.path.join(self._top, job.target)).st_mtime >= self._began
        except OSError:
            return False

    def remove_parts(self) -> None:
        """Remove what killed runs and workers left behind."""
        if self._dry_run:
            return
        for folder, _, names in walk_up(self._top):
            for name in names:
                if name.startswith(PART_PREFIX):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))

    def settle(self, notes: collections.Counter[str], *, in_order: bool) -> None:
        """Give folders their final names, once every file was looked at.

        Parameters
        ----------
        notes : Counter of str
            Gets what became of them, for the report.
        in_order : bool
            Every file was looked at: the run came to its end.
        """
        if (self._book is None and self._arranger is None) or self._dry_run:
            return
        if not in_order:
            notes["folder-names-pending"] += 1
        elif self._arranger is not None:
            try:
                self._arranger.settle()
            except (OSError, sqlite3.Error):
                notes["folder-names-pending"] += 1
        if self._book is None:
            return
        try:
            if in_order:
                for path, _ in self._earlier.outputs() if self._earlier is not None else ():
                    self._book.vouch(path)
                final = self._book.settle()
                if self._book.tainted:
                    notes["folder-name-replaced"] = self._book.tainted
            else:  # a name that was clear may have become one that tells
                final = self._manifest.names() if self._manifest is not None else {}
            if self._manifest is not None:
                self._manifest.settle_names(final, self._book.renames(final))
        except sqlite3.Error:
            notes["record-failed"] += 1
            return
        left = self._book.rename(Path(self._top), final)
        if left:
            notes["folder-names-left"] = left

    def _is_there(self, job: FileJob, written_as: str) -> bool:
        """Tell whether the output of an earlier run is still there; its folder may have got its own name since."""
        if self._arranger is not None:
            return self._arranger.find(written_as) != ""
        with contextlib.suppress(OSError):  # it gets the same name again
            return holds_something(os.path.join(self._top, _settled(job, written_as)))
        return False


def _loses_case(folder: str) -> bool:
    """Tell whether a file of a folder is found under its name in capitals as well, as on Windows, macOS and FAT."""
    part = part_name(os.path.join(folder, "any"))
    with contextlib.suppress(OSError):  # of a folder that takes no file, each file will say so
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT))
        try:
            return os.path.exists(os.path.join(folder, os.path.basename(part).upper()))
        finally:
            os.unlink(part)
    return False


def _is_gone(path: str) -> bool:
    """Tell whether no file is there; of what cannot be looked at, nobody knows."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _settled(job: FileJob, written_as: str) -> str:
    """Where an output of an earlier run is now."""
    return os.path.join(os.path.dirname(job.target), os.path.basename(written_as))
