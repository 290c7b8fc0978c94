"""The walk over the source tree: folders to mirror and files to try, in a fixed order, as they are found.

Lives here: listing. Does not live here: opening files, or telling DICOM from other content.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
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


Found: TypeAlias = "FileJob | Folder | NotTried"


def discover(source: Path, *, whole_tree: bool = True) -> Iterator[Found]:
    """List what is below a folder, or a single file, without following symbolic links.

    A folder comes before what is in it; entries come in the order of their names, so that two walks are alike.

    Parameters
    ----------
    source : Path
        Folder or file.
    whole_tree : bool
        Go into sub-folders.
    """
    if not source.is_dir():
        yield _job(source.name, source.stat())
        return
    pending = [""]
    while pending:
        relative = pending.pop()
        try:
            with os.scandir(os.path.join(source, relative)) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            yield NotTried(relative, Reason.UNREADABLE)
            continue
        folders = []
        for entry in listed:
            found = _look(entry, os.path.join(relative, entry.name))
            if isinstance(found, Folder):
                if whole_tree:
                    folders.append(found)
            else:
                yield found
        yield from folders
        pending.extend(folder.relative for folder in reversed(folders))


def _look(entry: os.DirEntry[str], relative: str) -> Found:
    try:
        if entry.is_symlink():
            return NotTried(relative, Reason.SYMLINK)
        if entry.is_dir(follow_symlinks=False):
            return Folder(relative)
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return NotTried(relative, Reason.VANISHED)
    except OSError:
        return NotTried(relative, Reason.UNREADABLE)
    if not stat.S_ISREG(status.st_mode):
        return NotTried(relative, Reason.SPECIAL_FILE)
    return _job(relative, status)


def _job(relative: str, status: os.stat_result) -> FileJob:
    return FileJob(relative, status.st_size, status.st_mtime_ns, relative)
