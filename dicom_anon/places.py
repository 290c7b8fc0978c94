"""Where a run may read and write: that sources, outputs and what is private do not lie within each other.

Lives here: these checks of paths, before anything is touched. Does not live here: what is then made there.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from dicom_anon.crosswalk import is_crosswalk
from dicom_anon.errors import Reason, UsageError
from dicom_anon.runfolder import RunFolder, default_run_folder


def check_paths(
    source: Path,
    destination: Path,
    *,
    run_folder: Path | None = None,
    quarantine: Path | None = None,
    crosswalk: Path | None = None,
    known: bool = False,
    own_crosswalk: bool = False,
) -> None:
    """Refuse what could overwrite or mix up sources and outputs.

    Parameters
    ----------
    source, destination : Path
        SRC and DST.
    run_folder, quarantine, crosswalk : Path, optional
        Folders and a file that hold secrets, or identifiers.
    known : bool
        The run folder has a record of the destination, so that it need not be empty.
    own_crosswalk : bool
        The run folder has a record of the crosswalk as that of the destination, so that it may be there.

    Raises
    ------
    UsageError
        The source is missing, one folder lies within the other or within the destination of another run, or the
        destination is not an empty folder.
    """
    if not source.exists():
        raise UsageError("SRC does not exist")
    inside, around = lies_in(destination, source), lies_in(source, destination)
    if inside and around:
        raise UsageError("SRC and DST are the same")
    if inside and source.is_dir():
        raise UsageError("DST lies inside SRC: choose a folder outside of it")
    if around:
        raise UsageError("SRC lies inside DST: choose another DST")
    if destination.exists():
        if not destination.is_dir():
            raise UsageError("DST is not a folder")
        if not known and any(destination.iterdir()):
            if run_folder is not None and run_folder.exists():
                raise UsageError(
                    "DST is not empty, and the run folder has no record of it at this path: if they were moved, move "
                    "them back, or choose a new DST; with --key-file and the old key, pseudonyms stay the same"
                )
            raise UsageError(
                "DST is not empty, and there is no record of a run that made it: choose a new folder (SRC comes first, "
                "then DST)"
            )
    _check_no_others(destination, "DST")
    for private, what in ((run_folder, "the run folder"), (quarantine, "the quarantine folder")):
        if private is not None:
            check_apart(private, what, source, destination)
    if crosswalk is not None:
        check_apart(crosswalk, "the crosswalk", source, destination)
        if os.path.lexists(crosswalk) and not (own_crosswalk and is_crosswalk(crosswalk)):
            raise UsageError("--crosswalk FILE is there, and is no crosswalk of this DST: choose another name")
    for reason in Reason if quarantine is not None else ():
        for name, folder in (("DST", destination), ("SRC", source)):
            if lies_in(folder, quarantine / reason.value):
                raise UsageError(f"{name} lies inside the quarantine folder, where copies go: choose another folder")


def check_apart(private: Path, what: str, source: Path, destination: Path) -> None:
    """Refuse a file or folder of ours that lies inside a source or destination.

    Parameters
    ----------
    private : Path
        It need not be there yet.
    what : str
        What it is, for people.
    source, destination : Path
        SRC and DST.

    Raises
    ------
    UsageError
        It does.
    """
    for name, tree in (("SRC", source), ("DST", destination)):
        if lies_in(private, tree):
            raise UsageError(f"{what} lies inside {name}: choose a place outside of it")
    _check_no_others(private, what)


def lies_in(inner: Path, outer: Path) -> bool:
    """Tell whether something is a folder, or lies in it, wherever links lead."""
    real, folder = Path(os.path.realpath(inner)), Path(os.path.realpath(outer))
    return any(_is_same(each, folder) for each in (real, *real.parents))


def _is_same(one: Path, other: Path) -> bool:
    """Tell whether real paths are of one file: by name, or by number, where names may be spelt in several ways."""
    if one == other:
        return True
    try:
        status = os.stat(one)
        return status.st_ino != 0 and os.path.samestat(status, os.stat(other))
    except OSError:
        return False


def _check_no_others(path: Path, what: str) -> None:
    """Refuse what lies inside the destination of another run: who hands that over hands it over, be it a key."""
    for folder in {*Path(os.path.abspath(path)).parents, *Path(os.path.realpath(path)).parents}:
        with contextlib.suppress(OSError):  # what cannot be looked into is not ours
            if folder.name and RunFolder(default_run_folder(folder)).knows(folder):
                raise UsageError(f"{what} lies inside the DST of another run: choose a place outside of it")
