"""The walk over the source tree: folders to mirror and files to try, in a fixed order, as they are found.

Lives here: listing. Does not live here: opening files, or telling DICOM from other content.
"""

from __future__ import annotations

import operator
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from dicom_anon.errors import Reason


class FileJob(NamedTuple):
    """One file to de-identify.

    Parameters
    ----------
    relative : str
        Path below the source folder.
    size : int
        Bytes, when it was listed.
    modified : int
        Time of its last change in nanoseconds, when it was listed.
    target : str
        Path below the destination.
    """

    relative: str
    size: int
    modified: int
    target: str


class Folder(NamedTuple):
    """One folder to mirror, by its relative path."""

    relative: str


class NotTried(NamedTuple):
    """One entry that is not opened, and why."""

    relative: str
    reason: Reason
    detail: str = ""


Found: TypeAlias = "FileJob | Folder | NotTried"

_NAME = operator.attrgetter("name")

_JUNCTION = 0xA0000003
"""Reparse tag of Windows' other links between folders, which Python does not call symbolic."""


def discover(
    source: Path,
    *,
    whole_tree: bool = True,
    follow_links: bool = False,
    closed: Iterable[str] = (),
    case_is_lost: bool = False,
) -> Iterator[Found]:
    """List what is below a folder, or a single file.

    A folder comes before what is in it; entries come in the order of their names, so that two walks are alike.
    Symbolic links are not followed, or only those that lead out of the folder: what they lead to within it is found
    without them. However links lead around, no folder is listed twice.

    Parameters
    ----------
    source : Path
        Folder or file.
    whole_tree : bool
        Go into sub-folders.
    follow_links : bool
        Follow symbolic links that lead out of the source folder.
    closed : iterable of str
        Folders into which no link is followed, such as the destination.
    case_is_lost : bool
        The destination cannot have both ``a`` and ``A`` in one folder: what has such a name, or is below it, is not
        tried, but for the first of them.
    """
    if not source.is_dir():
        yield _told(source.name, source.stat())
        return
    links = _Links(source, closed) if follow_links else None
    pending = [("", False)]
    while pending:
        relative, is_lost = pending.pop()
        try:
            with os.scandir(os.path.join(source, relative)) as entries:
                listed = sorted(entries, key=_NAME)
        except OSError:
            yield NotTried(relative, Reason.UNREADABLE)
            continue
        folders: list[tuple[Folder, bool]] = []
        taken: set[str] = set()
        above = relative + os.sep if relative else ""
        for entry in listed:
            found = _look(entry, above + entry.name, links)
            if isinstance(found, NotTried):
                yield found
                continue
            lost = is_lost or (case_is_lost and _is_taken(entry.name, taken))
            if isinstance(found, FileJob):
                yield (
                    NotTried(found.relative, Reason.WRITE_FAILED, "a name that differs in case only") if lost else found
                )
            elif whole_tree:
                folders.append((found, lost))
        yield from (folder for folder, lost in folders if not lost)
        pending.extend((folder.relative, lost) for folder, lost in reversed(folders))


class _Links:
    """Which links may be followed, and which folders were listed already.

    Parameters
    ----------
    source : Path
        The source folder.
    closed : iterable of str
        Folders into which no link is followed.
    """

    def __init__(self, source: Path, closed: Iterable[str]) -> None:
        self._closed = [os.path.realpath(source), *map(os.path.realpath, closed)]
        self._listed = {_identity(os.stat(folder)) for folder in self._closed if os.path.isdir(folder)}

    def may_follow(self, path: str) -> bool:
        """Tell whether a link leads out of the source, and not into what is closed."""
        real = os.path.realpath(path)
        return not any(real == folder or real.startswith(os.path.join(folder, "")) for folder in self._closed)

    def is_new(self, path: str) -> bool:
        """Tell whether a folder was not listed so far; it counts as listed from now on."""
        identity = _identity(os.stat(path))
        known = identity in self._listed
        self._listed.add(identity)
        return not known


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _look(entry: os.DirEntry[str], relative: str, links: _Links | None) -> Found:
    follow = False
    try:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            return _job(relative, status)
        if entry.is_symlink() or getattr(status, "st_reparse_tag", 0) == _JUNCTION:
            follow = links is not None and links.may_follow(entry.path)
            if not follow:
                return NotTried(relative, Reason.SYMLINK)
        if entry.is_dir(follow_symlinks=follow):
            if links is not None and not links.is_new(entry.path):
                return NotTried(relative, Reason.SYMLINK)
            return Folder(relative)
        return _told(relative, entry.stat(follow_symlinks=follow))
    except FileNotFoundError:
        return NotTried(relative, Reason.VANISHED)
    except OSError:
        return NotTried(relative, Reason.UNREADABLE)


def _is_taken(name: str, taken: set[str]) -> bool:
    """Tell whether a name would be one with an earlier one on Windows, macOS or FAT; it is taken from now on."""
    alike = unicodedata.normalize("NFC", name).casefold().rstrip(". ")
    known = alike in taken
    taken.add(alike)
    return known


def _told(relative: str, status: os.stat_result) -> FileJob | NotTried:
    """What there is at a path that is no folder."""
    if not stat.S_ISREG(status.st_mode):
        return NotTried(relative, Reason.SPECIAL_FILE)
    return _job(relative, status)


def _job(relative: str, status: os.stat_result) -> FileJob:
    return FileJob(relative, status.st_size, status.st_mtime_ns, relative)
