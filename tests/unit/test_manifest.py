"""The record of a destination: found by its path, whatever that looks like, and never taken for another's."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from dicom_anon.crosswalk import Crossing
from dicom_anon.discovery import FileJob
from dicom_anon.errors import UsageError
from dicom_anon.manifest import Manifest, TreeFacts, knows
from dicom_anon.naming import Identifiers
from dicom_anon.worker import FileResult

FACTS = TreeFacts("in", "rules", "key", "11222026", "101112000", "0.1.0")


@pytest.mark.parametrize("name", ["plain", "odd?name#1%41 é", "a;b&c=d"])
def test_only_a_destination_on_record_is_known(tmp_path: Path, name: str) -> None:
    folder = tmp_path / f"{name}.private"
    folder.mkdir()
    path = folder / "manifest.sqlite"
    assert not knows(path, tmp_path / name)
    with contextlib.closing(Manifest(path, tmp_path / name)) as manifest:
        manifest.begin(FACTS, 0.0)
    assert knows(path, tmp_path / name)
    assert not knows(path, tmp_path / "other")


def test_one_that_is_at_work_counts_as_known_and_refuses_another(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    with contextlib.closing(Manifest(path, tmp_path / "out")) as manifest:
        manifest.begin(FACTS, 0.0)
        assert knows(path, tmp_path / "other")
        with pytest.raises(UsageError, match="another run is at work"):
            Manifest(path, tmp_path / "other")


def test_one_that_was_just_made_knows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    path.touch()
    assert not knows(path, tmp_path / "out")


def test_one_that_cannot_be_opened_is_no_run_at_work(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    path.mkdir()
    for use in (knows, Manifest):
        with pytest.raises(UsageError, match="cannot be opened"):
            use(path, tmp_path / "out")


def test_a_file_of_another_kind_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    path.write_bytes(b"no database, but long enough to be taken for one" * 40)
    for use in (knows, Manifest):
        with pytest.raises(UsageError, match="damaged"):
            use(path, tmp_path / "out")


def test_one_with_the_tables_of_another_version_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    with contextlib.closing(Manifest(path, tmp_path / "out")) as manifest:
        manifest.begin(FACTS, 0.0)
    with contextlib.closing(Manifest(path, tmp_path / "out")) as manifest:
        assert not manifest.is_new
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 0")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="of another version"):
        Manifest(path, tmp_path / "out")
    assert path.read_bytes() == before


def rows_of(path: Path) -> dict[str, int]:
    """How many rows each table has that is not empty."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: database.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in tables}
    return {name: count for name, count in counts.items() if count}


def test_what_is_forgotten_or_struck_off_leaves_nothing_and_other_destinations_stay(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    result = FileResult(
        FileJob("Jane/1", 1, 1, "token/1"),
        written_as="token/1",
        tainted=("Jane",),
        identifiers=Identifiers(frozenset(["doe"]), frozenset(), frozenset()),
        crossing=Crossing(*"abcdefghijklm"),
    )
    for name in ("out", "other"):
        with contextlib.closing(Manifest(path, tmp_path / name)) as manifest:
            manifest.begin(FACTS, 0.0)
            manifest.record([result])
            manifest.settle_names({"Jane": False}, {})
            manifest.give_plain({"token/1": "A"})
            manifest.add_document("token/series.json")
    tables = {"tree", "file", "crossing", "crossed", "document", "plain", "identity", "taint", "name"}
    assert rows_of(path) == dict.fromkeys(tables, 2)
    with contextlib.closing(Manifest(path, tmp_path / "out")) as manifest:
        manifest.forget()
        assert manifest.is_new
    assert rows_of(path) == dict.fromkeys(tables, 1)
    with contextlib.closing(Manifest(path, tmp_path / "other")) as manifest:
        assert manifest.tainted() == {"Jane"}
        manifest.strike(["Jane/1"])
    assert rows_of(path) == dict.fromkeys(tables - {"file", "crossed"}, 1)


@pytest.mark.parametrize("damage", [b"\xff\xfe\xfd", b'"""', b"],[]]"], ids=["no-text", "no-json", "other-json"])
def test_what_is_damaged_is_never_quoted(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "manifest.sqlite"
    result = FileResult(
        FileJob("1", 1, 1, "1"),
        written_as="1",
        identifiers=Identifiers(frozenset(["doe"]), frozenset(), frozenset()),
        crossing=Crossing(*"abcdefghijklm"),
    )
    with contextlib.closing(Manifest(path, tmp_path / "out")) as manifest:
        manifest.begin(FACTS, 0.0)
        manifest.record([result])
    with contextlib.closing(sqlite3.connect(path)) as database:
        for table, column in (("identity", "identifiers"), ("crossing", "identity")):
            database.execute(f"UPDATE {table} SET {column} = CAST(CAST('[[' AS BLOB) || ? AS TEXT)", (damage,))
        database.commit()
    with contextlib.closing(Manifest(path, tmp_path / "out")) as manifest:
        for read in (lambda: list(manifest.identities()), manifest.crossings):
            with pytest.raises(sqlite3.DatabaseError, match=r"^the manifest in the run folder is damaged"):
                read()


def test_outputs_of_all_killed_runs_are_looked_for_where_the_clock_was_set_back(tmp_path: Path) -> None:
    since = []
    for when in (200.0, 100.0, 300.0, 400.0):
        with contextlib.closing(Manifest(tmp_path / "manifest.sqlite", tmp_path / "out")) as manifest:
            manifest.begin(FACTS, when)
            since.append(manifest.open_since)
    assert since == [None, 200.0, 100.0, 100.0]
