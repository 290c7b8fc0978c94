"""Folder trees of any depth: Python before 3.12 walks no deeper than it can recurse.

Lives here: the listing of a tree of outputs. Does not live here: sources, where every entry counts (`discovery`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TypeAlias

Listed: TypeAlias = "tuple[str, list[str], list[str]]"
"""Path of a folder, and the names of the folders and of the other entries in it, in order."""


def walk(top: str | os.PathLike[str]) -> Iterator[Listed]:
    """List a folder and those below it, each before those in it; links are not followed.

    Raises
    ------
    OSError
        One of them cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise error

    yield from _walked(os.fspath(top), fail)


def walk_up(top: str | os.PathLike[str]) -> Iterator[Listed]:
    """List the same, each folder behind those in it; what cannot be listed is left out."""
    yield from reversed(list(_walked(os.fspath(top), lambda error: None)))


def _walked(top: str, onerror: Callable[[OSError], None]) -> Iterator[Listed]:
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                listed = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except OSError as error:
            onerror(error)
            continue
        folders = [name for name, is_folder in listed if is_folder]
        yield folder, folders, [name for name, is_folder in listed if not is_folder]
        pending.extend(os.path.join(folder, name) for name in reversed(folders))


def level_folders(top: str | os.PathLike[str], when: float) -> None:
    """Give all folders one time, since the order in which they were made is that of their old names."""
    for folder, _, _ in walk_up(top):
        with contextlib.suppress(OSError):
            os.utime(folder, (when, when))
