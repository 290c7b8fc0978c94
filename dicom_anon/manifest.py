"""The record of what was done to which file: what makes a second run of the same command a resumed one.

Lives here: the SQLite file of the run folder. Does not live here: what a run does with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from dicom_anon.crosswalk import Crossing
from dicom_anon.discovery import FileJob
from dicom_anon.errors import Reason, UsageError
from dicom_anon.naming import Identifiers
from dicom_anon.worker import FileResult

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tree (
    id INTEGER PRIMARY KEY, destination BLOB UNIQUE,
    source BLOB, rules TEXT, key_id TEXT, process_date TEXT, process_time TEXT, version TEXT, open REAL
);
CREATE TABLE IF NOT EXISTS file (
    tree INTEGER, path BLOB, size INTEGER, modified INTEGER, target BLOB, outcome TEXT, PRIMARY KEY (tree, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS crossing (id INTEGER PRIMARY KEY, tree INTEGER, identity TEXT, UNIQUE (tree, identity));
CREATE TABLE IF NOT EXISTS crossed (
    tree INTEGER, path BLOB, crossing INTEGER, PRIMARY KEY (tree, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (tree INTEGER, path BLOB, PRIMARY KEY (tree, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plain (tree INTEGER, path BLOB, code TEXT, PRIMARY KEY (tree, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS identity (tree INTEGER, identifiers TEXT, PRIMARY KEY (tree, identifiers)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS taint (tree INTEGER, name BLOB, PRIMARY KEY (tree, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS name (tree INTEGER, name BLOB, stays INTEGER, PRIMARY KEY (tree, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS crosswalk (destination BLOB, path BLOB, PRIMARY KEY (destination, path)) WITHOUT ROWID;
"""

_FORM = 1
"""Number of this form of the tables; one more with every change of them but a further table."""

WRITTEN = "written"


@dataclass(frozen=True)
class TreeFacts:
    """What a destination was made with; all its files are made with the same.

    Parameters
    ----------
    source : str
        Real path of the folder from which relative paths count.
    rules : str
        Digest of the assignment, and what else decides about outputs.
    key_id : str
        Name of the key.
    process_date, process_time : str
        Start of the first run, for the macros.
    version : str
        Version of dicom-anon that began it. Another may resume it.
    """

    source: str
    rules: str
    key_id: str
    process_date: str
    process_time: str
    version: str


class Manifest:
    """Record of one destination, open and locked for one run.

    Parameters
    ----------
    path : Path
        The SQLite file; it is made at the first use.
    destination : Path
        Whose files it is about. One file can hold the records of several destinations.

    Raises
    ------
    UsageError
        Another run has it, or it is no such file.

    Attributes
    ----------
    open_since : float or None
        When a run began that was killed, or that had files in flight when it ended: there may be outputs since then
        that are not on record.
    """

    def __init__(self, path: Path, destination: Path) -> None:
        self._destination = _name_of(destination)
        self._lock = threading.Lock()  # joblib draws batches in threads of its own
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError:
            raise UsageError(_CLOSED) from None
        self._database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        self._database.text_factory = _text  # SQLite's own complaint would quote what it cannot decode
        try:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            form = self._database.execute("PRAGMA user_version").fetchone()[0]
            is_made = self._database.execute("SELECT 1 FROM sqlite_master").fetchone() is not None
            if is_made and form != _FORM:
                self._database.close()
                raise UsageError(_OTHER_FORM)
            mark = "" if is_made else f"PRAGMA user_version = {_FORM};"
            self._database.executescript(f"BEGIN EXCLUSIVE; {_SCHEMA} {mark} COMMIT;")
        except sqlite3.OperationalError as error:
            self._database.close()
            if not _is_locked(error):
                raise UsageError(_CLOSED) from None
            raise UsageError("another run is at work with this run folder; wait for its end") from None
        except sqlite3.DatabaseError:
            self._database.close()
            raise UsageError(_DAMAGED) from None
        found = self._database.execute("SELECT id FROM tree WHERE destination = ?", (self._destination,)).fetchone()
        self._tree: int = found[0] if found else 0
        self.open_since: float | None = None
        self._has_crossed = self._database.execute("SELECT 1 FROM crossed LIMIT 1").fetchone() is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on record for any destination."""
        return self._database.execute("SELECT 1 FROM tree LIMIT 1").fetchone() is None

    @property
    def is_new(self) -> bool:
        """Whether nothing is on record for the destination."""
        return self._tree == 0

    def begin(self, facts: TreeFacts, when: float) -> TreeFacts:
        """Start or resume; return the facts under which the destination was begun.

        No output of the run is older than `when`.

        Raises
        ------
        UsageError
            As `begun`.
        """
        known = self.begun(facts)
        if self.is_new:
            cursor = self._database.execute(
                "INSERT INTO tree (destination, source, rules, key_id, process_date, process_time, version) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self._destination, os.fsencode(facts.source), *astuple(facts)[1:]),
            )
            self._tree = int(cursor.lastrowid or 0)
        row = self._database.execute("SELECT open FROM tree WHERE id = ?", (self._tree,)).fetchone()
        self.open_since = row[0]
        if self.open_since is None or when < self.open_since:  # the clock may have been set back
            self._set_open(when)
        return known

    def begun(self, facts: TreeFacts) -> TreeFacts:
        """Return the facts under which the destination was begun; these, where nothing is on record for it.

        Raises
        ------
        UsageError
            It was begun with another source, other rules or another key.
        """
        if self.is_new:
            return facts
        source, *told = self._database.execute(
            "SELECT source, rules, key_id, process_date, process_time, version FROM tree WHERE id = ?", (self._tree,)
        ).fetchone()
        known = TreeFacts(os.fsdecode(source), *told)
        for name, own, same in (
            ("SRC", "from another SRC", known.source == facts.source),
            ("rules", "with other rules", known.rules == facts.rules),
            ("key", "with another key", known.key_id == facts.key_id),
        ):
            if not same:
                raise UsageError(
                    f"DST was made {own}: choose a new DST, go back to the {name} it was made with, "
                    "or start it afresh with --overwrite"
                )
        return known

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is recorded here is kept, or nothing."""
        with self._lock, self._database as database:
            database.execute("BEGIN")
            yield database

    def end(self) -> None:
        """Record that every output of this run is on record."""
        self._set_open(None)

    def _set_open(self, since: float | None) -> None:
        self._database.execute("UPDATE tree SET open = ? WHERE id = ?", (since, self._tree))

    @property
    def key_id(self) -> str:
        """Name of the key with which the destination was begun."""
        row = self._database.execute("SELECT key_id FROM tree WHERE id = ?", (self._tree,)).fetchone()
        return str(row[0])

    @property
    def rules(self) -> str:
        """Rules with which the destination was begun, see `TreeFacts`."""
        row = self._database.execute("SELECT rules FROM tree WHERE id = ?", (self._tree,)).fetchone()
        return str(row[0])

    @property
    def written(self) -> int:
        """How many files have an output on record."""
        query = "SELECT COUNT(*) FROM file WHERE tree = ? AND outcome = ?"
        return int(self._database.execute(query, (self._tree, WRITTEN)).fetchone()[0])

    def names(self) -> dict[str, bool]:
        """Folder names that are settled, and whether each may stay, also after what files recorded since then said."""
        rows = self._database.execute(
            "SELECT name, stays AND name NOT IN (SELECT name FROM taint WHERE tree = ?) FROM name WHERE tree = ?",
            (self._tree, self._tree),
        )
        return {os.fsdecode(name): bool(stays) for name, stays in rows}

    def tainted(self) -> frozenset[str]:
        """Folder names that hold an identifier of a file below them, as far as files were recorded."""
        rows = self._database.execute("SELECT name FROM taint WHERE tree = ?", (self._tree,))
        return frozenset(os.fsdecode(row[0]) for row in rows)

    def identities(self) -> Iterator[Identifiers]:
        """Identifiers of the files recorded, for comparison with names that nobody else vouches for."""
        rows = self._database.execute("SELECT identifiers FROM identity WHERE tree = ?", (self._tree,))
        return (Identifiers(*map(frozenset, _listed(row[0], Identifiers))) for row in rows)

    def settle_names(self, names: Mapping[str, bool], renames: Mapping[str, str]) -> None:
        """Keep which folder names may stay, and where documents are when folders have got their other names."""
        rows = [(self._tree, os.fsencode(name), stays) for name, stays in names.items()]
        moved = []
        for path in self.documents():
            *folders, name = path.split(os.sep)
            new = os.sep.join([*(renames.get(folder, folder) for folder in folders), name])
            if new != path:
                moved.append((os.fsencode(new), self._tree, os.fsencode(path)))
        with self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO name VALUES (?, ?, ?)", rows)
            database.executemany("UPDATE OR REPLACE document SET path = ? WHERE tree = ? AND path = ?", moved)

    def forget(self) -> None:
        """Drop what is on record for the destination."""
        with self._transaction() as database:
            for table in ("file", "name", "plain", "document", "identity", "taint", "crossed", "crossing"):
                database.execute(f"DELETE FROM {table} WHERE tree = ?", (self._tree,))
            database.execute("DELETE FROM tree WHERE id = ?", (self._tree,))
        self._tree = 0

    def outcomes(self) -> Iterable[tuple[str, str, str]]:
        """Relative path of each file, that of its output when it was written, and what became of it."""
        rows = self._database.execute("SELECT path, target, outcome FROM file WHERE tree = ?", (self._tree,))
        return ((os.fsdecode(path), os.fsdecode(target), outcome) for path, target, outcome in rows)

    def outputs(self) -> Iterable[tuple[str, str]]:
        """Relative paths of the files written, and of their outputs when they were written."""
        return ((path, target) for path, target, outcome in self.outcomes() if outcome == WRITTEN)

    def strike(self, paths: Iterable[str]) -> None:
        """Drop what is on record of some files: nothing is left of them, neither sources nor outputs."""
        rows = [(self._tree, os.fsencode(path)) for path in paths]
        with self._transaction() as database:
            for table in ("file", "crossed"):
                database.executemany(f"DELETE FROM {table} WHERE tree = ? AND path = ?", rows)

    def outputs_of(self, jobs: list[FileJob]) -> list[tuple[FileJob, str]]:
        """Outputs on record of some files, whatever their sources were then."""
        with self._lock:
            found = []
            for job in jobs:
                row = self._database.execute(
                    "SELECT target FROM file WHERE tree = ? AND path = ? AND outcome = ?",
                    (self._tree, os.fsencode(job.relative), WRITTEN),
                ).fetchone()
                if row:
                    found.append((job, os.fsdecode(row[0])))
            return found

    def give_plain(self, codes: Mapping[str, str]) -> None:
        """Record codes of the outputs that have names without them, by path; the last to get a name has it."""
        rows = [(self._tree, os.fsencode(path), code) for path, code in codes.items()]
        with self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO plain VALUES (?, ?, ?)", rows)

    def has_plain(self, path: str, code: str) -> bool:
        """Tell whether it is the output of this code that has a name without one."""
        query = "SELECT 1 FROM plain WHERE tree = ? AND path = ? AND code = ?"
        with self._lock:
            return self._database.execute(query, (self._tree, os.fsencode(path), code)).fetchone() is not None

    def documents(self) -> frozenset[str]:
        """Paths below the destination of what was written beside the images."""
        rows = self._database.execute("SELECT path FROM document WHERE tree = ?", (self._tree,))
        return frozenset(os.fsdecode(row[0]) for row in rows)

    def add_document(self, path: str) -> None:
        """Record that something is written beside the images."""
        self._database.execute("INSERT OR IGNORE INTO document VALUES (?, ?)", (self._tree, os.fsencode(path)))

    def forget_document(self, path: str) -> None:
        """Record that it is no longer there."""
        self._database.execute("DELETE FROM document WHERE tree = ? AND path = ?", (self._tree, os.fsencode(path)))

    def done(self, jobs: list[FileJob], *, crossed: bool = False) -> dict[str, str]:
        """Of some files, those that were written from a source of the same size and time, and their outputs' names.

        If they are to be `crossed`, only those of which old and new identity are on record.
        """
        query = "SELECT target FROM file WHERE tree = ? AND path = ? AND size = ? AND modified = ? AND outcome = ?"
        if crossed:
            query += " AND EXISTS (SELECT 1 FROM crossed WHERE tree = file.tree AND path = file.path)"
        with self._lock:
            found = {}
            for job in jobs:
                row = self._database.execute(
                    query, (self._tree, os.fsencode(job.relative), job.size, job.modified, WRITTEN)
                ).fetchone()
                if row:
                    found[job.relative] = os.fsdecode(row[0])
            return found

    def record(self, results: Iterable[FileResult]) -> None:
        """Add what became of some files, and what they say of the names of folders, in one transaction."""
        results = list(results)
        tainted = [(self._tree, os.fsencode(name)) for name in {n for result in results for n in result.tainted}]
        said = {result.identifiers for result in results if result.identifiers is not None}
        identities = [(self._tree, json.dumps([sorted(part) for part in identifiers])) for identifiers in said]
        rows = [
            (self._tree, os.fsencode(path), size, modified, os.fsencode(result.written_as), _outcome(result))
            for result in results
            for path, size, modified, _ in (result.job,)
        ]
        crossed = [
            (self._tree, os.fsencode(result.job.relative), self._tree, json.dumps(result.crossing))
            for result in results
            if result.crossing is not None
        ]
        with self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)", rows)
            database.executemany("INSERT OR IGNORE INTO taint VALUES (?, ?)", tainted)
            database.executemany("INSERT OR IGNORE INTO identity VALUES (?, ?)", identities)
            if self._has_crossed:  # what an earlier run said of these files
                database.executemany("DELETE FROM crossed WHERE tree = ? AND path = ?", (row[:2] for row in rows))
            if crossed:
                self._has_crossed = True
                found = {row[2:] for row in crossed}
                database.executemany("INSERT OR IGNORE INTO crossing (tree, identity) VALUES (?, ?)", found)
                database.executemany(
                    "INSERT INTO crossed SELECT ?, ?, id FROM crossing WHERE tree = ? AND identity = ?", crossed
                )

    def crossings(self) -> dict[Crossing, int]:
        """How many of the files written have which old and new identity."""
        rows = self._database.execute(
            "SELECT identity, COUNT(*) FROM crossed JOIN crossing ON crossing.id = crossing "
            "JOIN file ON file.tree = crossed.tree AND file.path = crossed.path "
            "WHERE crossed.tree = ? AND outcome = ? GROUP BY identity",
            (self._tree, WRITTEN),
        )
        return {Crossing(*_listed(identity, Crossing)): number for identity, number in rows}

    def own_crosswalk(self, path: Path) -> None:
        """Record that a file is the crosswalk of the destination, to be written over, also when that is made afresh."""
        row = (self._destination, _name_of(path))
        self._database.execute("INSERT OR IGNORE INTO crosswalk VALUES (?, ?)", row)

    def close(self) -> None:
        """Release it."""
        self._database.close()


def knows(path: Path, destination: Path) -> bool:
    """Tell whether a manifest has a record of a destination, without waiting for a run that has it locked.

    Raises
    ------
    UsageError
        It cannot be read.
    """
    return _has(path, "SELECT 1 FROM tree WHERE destination = ?", destination)


def knows_crosswalk(path: Path, destination: Path, crosswalk: Path) -> bool:
    """Tell the same of a crosswalk of a destination."""
    return _has(path, "SELECT 1 FROM crosswalk WHERE destination = ? AND path = ?", destination, crosswalk)


def _has(path: Path, query: str, *names: Path) -> bool:
    if not path.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as database:
            row = database.execute(query, [_name_of(name) for name in names]).fetchone()
    except sqlite3.OperationalError as error:
        if _is_locked(error):
            return True  # the run that has it will be named as the reason
        if "no such table" in str(error):
            return False  # a run was killed when it had just made the file
        raise UsageError(_CLOSED) from None
    except sqlite3.DatabaseError:
        raise UsageError(_DAMAGED) from None
    return row is not None


_DAMAGED = "the manifest in the run folder is damaged: choose a new DST, or remove it"
_OTHER_FORM = (
    "the manifest in the run folder is of another version of dicom-anon: go on with that version, or choose a new DST "
    "and give --key-file the old key"
)
_CLOSED = "the manifest in the run folder cannot be opened for writing: see to its permissions and to the space there"


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise sqlite3.DatabaseError(_DAMAGED) from None


def _listed(text: str, form: type[Identifiers] | type[Crossing]) -> list[Any]:
    """Read the fields of a tuple, which were written as JSON."""
    with contextlib.suppress(ValueError):
        fields = json.loads(text)
        if isinstance(fields, list) and len(fields) == len(form._fields):
            return fields
    raise sqlite3.DatabaseError(_DAMAGED)


def _outcome(result: FileResult) -> str:
    """What to keep of a result. An output of which nothing is known but that it is there is to be written again."""
    if result.reason is None and result.written_as:
        return WRITTEN
    return str((result.reason or Reason.NOT_REACHED).value)


def _is_locked(error: sqlite3.OperationalError) -> bool:
    return "locked" in str(error)


def _name_of(path: Path) -> bytes:
    return os.fsencode(os.path.realpath(path))
