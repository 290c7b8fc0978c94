"""Final names on disk, for outputs that are named by what they say: files lose codes, series get folders.

Lives here: renaming below a destination, and finding again what was renamed. Not here: what names are.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dicom_anon import tags
from dicom_anon.errors import FileRefused
from dicom_anon.extract import Output, read_output
from dicom_anon.folders import walk_up
from dicom_anon.layout import (
    DEPTHS,
    EXTENSION,
    IMAGES,
    NAMERS,
    PENDING,
    TELLING,
    Series,
    code_of,
    component,
    final_names,
    is_pending,
    possible_names,
    series_folders,
)
from dicom_anon.manifest import Manifest


class Arranger:
    """The names of one destination.

    Nearly all that it knows it reads from the outputs, so that it finds its way in the destination of an earlier run.
    Only whose a name without a code is, they do not tell: the one of several files that got it may be gone.

    Parameters
    ----------
    destination : Path
        Folder of the outputs.
    names : str
        One of `layout.NAMERS`.
    manifest : Manifest or None
        Record of whose such names are.
    """

    def __init__(self, destination: Path, names: str, manifest: Manifest | None = None) -> None:
        assert names in NAMERS
        self._top = destination
        self._names = names
        self._manifest = manifest
        self._folders: dict[str, dict[str, str]] = {}

    def find(self, written_as: str) -> str:
        """Where an output is now that was written under a pending name; empty where it is gone.

        Parameters
        ----------
        written_as : str
            Path below the destination.

        Raises
        ------
        OSError
            It cannot be told, since what is there cannot be read.
        """
        above, name = os.path.split(written_as)
        folders = [above]
        study, series = os.path.split(above)
        if series.startswith(PENDING):
            settled = self._series_of(study).get(_uid_of(series))
            folders += [os.path.join(study, settled)] if settled is not None else []
        code = code_of(name)
        for candidate in possible_names(name):
            for folder in folders:
                path = os.path.join(folder, candidate)
                if holds_something(self._top / path) and (code in candidate or self._is_its_own(path, code)):
                    return path
        return ""

    def _is_its_own(self, path: str, code: str) -> bool:
        return self._manifest is not None and self._manifest.has_plain(path, code)

    def remove_empty(self) -> None:
        """Remove images in which nothing is, as a power cut may leave them, and folders: they would keep a name."""
        for folder, _, names in walk_up(self._top):
            for name in names:
                with contextlib.suppress(OSError):
                    if name.endswith(EXTENSION) and os.lstat(os.path.join(folder, name)).st_size == 0:
                        os.unlink(os.path.join(folder, name))
            remove_if_empty(Path(folder), self._top)

    def series_folders(self) -> Iterator[Path]:
        """Folders of images, those of one study after the other, in a fixed order."""
        folders = [self._top]
        for depth in range(DEPTHS[self._names]):
            if self._names == "study" and depth == 1:
                folders = [folder / IMAGES for folder in folders if (folder / IMAGES).is_dir()]
            else:
                folders = [below for folder in folders for below in _folders_in(folder)]
        yield from folders

    def settle(self) -> None:
        """Give everything its final name.

        Raises
        ------
        OSError, sqlite3.Error
            Something cannot be renamed, or put on record; what is done so far holds, and another call does the rest.
        """
        self._folders.clear()
        if self._names == "study":
            for study in _folders_in(self._top):
                if (study / IMAGES).is_dir():
                    self._settle_series(study / IMAGES)
        for folder in self.series_folders():
            final = final_names(files_in(folder))
            if final and self._manifest is not None:  # before they are renamed, whenever a run is killed
                above = "" if folder == self._top else os.path.relpath(folder, self._top)
                self._manifest.give_plain({os.path.join(above, new): code_of(name) for name, new in final.items()})
            for name, new in final.items():
                os.rename(os.path.join(folder, name), os.path.join(folder, new))
            remove_if_empty(folder, self._top)
        self._folders.clear()
        os.stat(self._top)  # of one that has gone, nothing was found

    def _settle_series(self, images: Path) -> None:
        """Give the series of a study their folders, or put new files into those that they have."""
        for folder in _folders_in(images):
            remove_if_empty(folder, self._top)
        present = _folders_in(images)
        pending = [folder for folder in present if is_pending(folder.name)]
        if not pending:
            return
        known = self._series_of(os.path.relpath(images, self._top))
        new: dict[Series, Path] = {}
        for folder in pending:  # the one whose description is telling comes first
            uid = _uid_of(folder.name)
            settled = known.get(uid)
            if settled is not None:
                _move_files(folder, images / settled)
            elif output := _first_output(folder):
                series = _series(output)
                telling = folder.name.startswith(PENDING + TELLING)
                new[series._replace(description="") if telling else series] = folder
                known[uid] = folder.name
        taken = {folder.name for folder in present if not is_pending(folder.name)}
        for series, name in series_folders(new, taken).items():
            os.rename(new[series], images / name)

    def _series_of(self, images: str) -> dict[str, str]:
        """Folders of the series of a study by the path component that their UID makes."""
        known = self._folders.get(images)
        if known is None:
            known = self._folders[images] = {}
            for folder in _folders_in(self._top / images):
                if not is_pending(folder.name) and (output := _first_output(folder)):
                    known[component(_series(output).uid, "no-series")] = folder.name
        return known


def holds_something(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is there, and not an empty one, as a power cut may leave it under the name of an output.

    Raises
    ------
    OSError
        It cannot be told.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def remove_if_empty(folder: Path, top: Path) -> None:
    """Remove a folder below `top` in which nothing is left, and those above it that are empty then."""
    with contextlib.suppress(OSError):
        while folder != top:
            os.rmdir(folder)
            folder = folder.parent


def _uid_of(pending: str) -> str:
    """Path component of the UID in the pending name of a series' folder."""
    return pending.removeprefix(PENDING).removeprefix(TELLING)


def _series(output: Output) -> Series:
    return Series(
        output.text(tags.SERIES_INSTANCE_UID),
        output.text(tags.SERIES_DESCRIPTION),
        output.text(tags.SERIES_NUMBER),
    )


def _move_files(folder: Path, target: Path) -> None:
    """Move images, whose names are their own, into another folder."""
    for name in files_in(folder):
        os.rename(folder / name, target / name)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _first_output(folder: Path) -> Output | None:
    """Header of the first image in a folder, `None` where there is none; one that cannot be read may be that."""
    for name in files_in(folder):
        with contextlib.suppress(FileRefused):
            return read_output(folder / name)
    return None


def files_in(folder: Path) -> list[str]:
    """Names of the images in a folder, in order; what is still being written is none."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.name.endswith(EXTENSION) and not e.name.startswith("."))


def _folders_in(folder: Path) -> list[Path]:
    """Folders in a folder, in order; hidden ones are not ours."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names) if not name.startswith(".")]
