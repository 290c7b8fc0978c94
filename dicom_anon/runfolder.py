"""The private folder beside a destination: key, manifest, log, and the list of what was not written.

Nothing else of ours may name a source file.

Lives here: its layout and its file modes. Does not live here: what a key is used for.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TextIO, TypeVar

from dicom_anon import manifest
from dicom_anon.errors import Reason, UsageError
from dicom_anon.pseudonyms import MIN_KEY_BYTES, new_key

KEY_NAME = "key"
PROBLEMS_NAME = "not-written.csv"
MANIFEST_NAME = "manifest.sqlite"
BURNED_IN_NAME = "burned-in.csv"
LOG_NAME = "log.txt"

_AnyList = TypeVar("_AnyList", bound="_List")
_NAMES = (KEY_NAME, PROBLEMS_NAME, MANIFEST_NAME, BURNED_IN_NAME, LOG_NAME)


def default_run_folder(destination: Path) -> Path:
    """Folder that belongs to a destination: ``DST.private`` beside it.

    Raises
    ------
    UsageError
        Nothing can be beside it.
    """
    resolved = Path(os.path.abspath(destination))
    if not resolved.name:
        raise UsageError("DST is the top of a drive: choose a folder on it, or say --run-dir or --no-run-dir")
    return resolved.with_name(resolved.name + ".private")


def read_key(path: Path) -> bytes:
    """Read a key from a file of the user's.

    Raises
    ------
    UsageError
        It cannot be read, or is too short to be secret.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"the key file cannot be read: {error.strerror}") from None
    if len(key) < MIN_KEY_BYTES:
        raise UsageError(
            f"the key file holds {len(key)} bytes, and a key has at least {MIN_KEY_BYTES}; make one with: "
            'python -c "import secrets; print(secrets.token_hex(32))" > FILE'
        )
    return key


class RunFolder:
    """The private folder of a run (mode 0700, files 0600).

    Parameters
    ----------
    path : Path
        Where it is; `create` makes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def files(self) -> list[tuple[str, Path]]:
        """Its files, each with what it is called in messages."""
        return [(f"the run folder's {name}", self.path / name) for name in _NAMES]

    def create(self) -> None:
        """Make the folder, if it is not there.

        Raises
        ------
        UsageError
            It cannot be made, or cannot be used.
        """
        self._check()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"the run folder cannot be made: {error.strerror}") from None

    def _check(self) -> None:
        """Refuse a folder in which something else has the name of one of our files."""
        for name in _NAMES:
            try:
                is_file = stat.S_ISREG(os.stat(self.path / name).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise UsageError(f"the run folder cannot be read: {error.strerror}") from None
            if not is_file:
                raise UsageError(
                    f"{name} in the run folder is no file: move it away, or choose another folder with --run-dir"
                )

    def knows(self, destination: Path) -> bool:
        """Tell whether a destination was made with this folder."""
        self._check()
        return manifest.knows(self.path / MANIFEST_NAME, destination)

    def knows_crosswalk(self, destination: Path, crosswalk: Path) -> bool:
        """Tell whether a file is a crosswalk that was written with this folder for a destination."""
        return manifest.knows_crosswalk(self.path / MANIFEST_NAME, destination, crosswalk)

    def manifest(self, destination: Path) -> manifest.Manifest:
        """Open and lock the record of a destination."""
        return manifest.Manifest(self.path / MANIFEST_NAME, destination)

    def log(self, text: str) -> None:
        """Add a line to the log, with the time. A disk that is full for it does not take the account away."""
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        with contextlib.suppress(OSError), _private_file(self.path / LOG_NAME, anew=False) as file:
            file.write(f"{now} {text}\n")

    @property
    def holds_key(self) -> bool:
        """Whether it has a key; the runs may have been given one of the user's."""
        return (self.path / KEY_NAME).exists()

    def key(self) -> bytes:
        """Key of this folder, made at its first use."""
        path = self.path / KEY_NAME
        if path.exists():
            return read_key(path)
        new = path.with_name(f"{KEY_NAME}.{os.getpid()}")
        try:
            with _private_file(new) as file:
                file.write(new_key().hex() + "\n")
                file.flush()
                os.fsync(file.fileno())  # outputs that outlive a power cut need it
            try:
                os.link(new, path)  # whole or not at all, whenever a run is killed; the first of two runs has its way
            except FileExistsError:
                pass
            except OSError:  # a file system without links
                os.replace(new, path)
        except OSError as error:
            raise UsageError(f"the key cannot be kept: {error.strerror}") from None
        finally:
            with contextlib.suppress(OSError):
                os.unlink(new)
        return read_key(path)

    @property
    def problems_path(self) -> Path:
        """Where the list of files that were not written is."""
        return self.path / PROBLEMS_NAME

    def problems(self) -> ProblemList:
        """List of files that were not written, anew for this run."""
        with _usable(PROBLEMS_NAME):
            return ProblemList(_private_file(self.problems_path))

    def unreadable(self) -> set[str]:
        """Relative paths that the last run could not read or had no place for, with folders, as its list has them."""
        reasons = (Reason.UNREADABLE.value, Reason.WRITE_FAILED.value)
        with _usable(PROBLEMS_NAME):
            if not self.problems_path.exists():
                return set()
            with open(self.problems_path, encoding="utf-8", newline="") as file:
                return {row[0] for row in csv.reader(file) if row[2:3] and row[2] in reasons}

    def risks(self, *, anew: bool) -> RiskList:
        """List of objects that were written though their pixels may show text, of all runs since `anew`."""
        path = self.path / BURNED_IN_NAME
        known: set[tuple[str, ...]] = set()
        with _usable(BURNED_IN_NAME):
            if not anew and path.exists():
                with open(path, encoding="utf-8", newline="") as file:
                    known = {tuple(row) for row in csv.reader(file)}
            return RiskList(_private_file(path, anew=anew), known)


@contextlib.contextmanager
def _usable(name: str) -> Iterator[None]:
    """Refuse a run whose lists cannot be kept."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{name} in the run folder cannot be written: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(f"{name} in the run folder is damaged: move it away") from None


class _List:
    """CSV that is whole up to the rows that were added last, whenever a run is killed.

    Parameters
    ----------
    file : TextIO
        Where it is written.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._writer = csv.writer(file)

    def _write(self, rows: Iterable[tuple[str, ...]]) -> None:
        self._writer.writerows(rows)
        self._file.flush()

    def __enter__(self: _AnyList) -> _AnyList:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # of rows that were not taken, which whoever added them was told
            self._file.close()


class RiskList(_List):
    """CSV of objects whose pixels may show text: path of the source, and what tells of it.

    Parameters
    ----------
    file : TextIO
        Where it is written.
    known : set of tuple of str
        Its rows so far.
    """

    def __init__(self, file: TextIO, known: set[tuple[str, ...]]) -> None:
        super().__init__(file)
        self._known = known
        self.add([("path", "risk")])

    def add(self, rows: Iterable[tuple[str, str]]) -> None:
        """Add objects, each once."""
        told = dict.fromkeys((_text(relative), risk) for relative, risk in rows)
        new = [row for row in told if row not in self._known]
        if new:
            self._write(new)
            self._known.update(new)


class ProblemList(_List):
    """CSV of the files that were not written: path, column of the account, reason, detail."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self._write([("path", "outcome", "reason", "detail")])

    def add(self, rows: Iterable[tuple[str, Reason, str]]) -> None:
        """Add files, with reason and detail."""
        self._write((_text(relative), reason.kind.value, reason.value, detail) for relative, reason, detail in rows)


def _text(relative: str) -> str:
    return relative.encode("utf-8", "backslashreplace").decode()


def _private_file(path: Path, *, anew: bool = True) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if anew else os.O_APPEND), 0o600)
    return open(descriptor, "w", encoding="utf-8", newline="")
