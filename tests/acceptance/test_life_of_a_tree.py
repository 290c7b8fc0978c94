"""A tree that changes and is run over again and again: a run that comes to its end leaves what a fresh one would.

Lives here: the model, which takes steps drawn from a seed, and what has to hold after them. It allows for what README
says under "Running again": outputs stay whose sources are gone, and folders keep tokens that an earlier patient's name
gave them. Set ``DICOM_ANON_LIVES`` to a number to take that many lives of each kind. One run after another, without
chance, is in `test_resume` and `test_later_runs`.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import re
import shutil
import signal
import sys
import unicodedata
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from dicom_anon import fanout, output, runner
from dicom_anon.destination import places_now
from dicom_anon.naming import folder_token
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.runfolder import RunFolder
from tests.acceptance.command import KEY, Done, call, files_below, folders_below, write_config
from tests.acceptance.test_resume import picture

LIVES = int(os.environ.get("DICOM_ANON_LIVES", "1"))
ROUNDS = 4
FOLDERS = (
    "",
    "a",
    "A",
    "a/b",
    "Grubenwald",
    "Grubenwald/CT",
    "x/Okonjovi\u0107/y",
    "Waldteufel",
    "f\u00fcr",
    "fu\u0308r",
    "CON",
)
NAMES = ("1.dcm", "IM1", "IM2", "i.dcm", "I.dcm", "DICOMDIR", "Grubenwald_07.dcm", "Grubenwald-07.dcm", "Okonjovic.dcm")
FAMILIES = ("grubenwald", "okonjovic", "waldteufel")
WRITTEN = ("plain", "plain", "burned", "twin")
KINDS = (*WRITTEN, *WRITTEN, "cut", "no DICOM", "DICOMDIR", "PDF")
CLASSES = {"DICOMDIR": "1.2.840.10008.1.3.10", "PDF": "1.2.840.10008.5.1.4.1.1.104.1"}
CHANGES = ("add", "add", "add", "change", "touch", "remove", "rename", "rename_folder", "remove_folder", "make_folder")
CHOICES = ("run", "lose", "empty", "foreign", "overwrite", "refused")
MOMENTS = {"open", "os.rename", "os.remove", "os.rmdir"}
FOREIGN = "mine.txt"
PSEUDONYMS = Pseudonyms(KEY.encode())

Tree: TypeAlias = "dict[str, tuple[bytes, int] | None]"
"""Content and time of each file, and nothing of each folder, by relative path."""


def tree(folder: Path) -> Tree:
    found: Tree = dict.fromkeys(folders_below(folder))
    for name in files_below(folder):
        found[name] = (folder / name).read_bytes(), os.stat(folder / name).st_mtime_ns
    return found


def rows(table: Path) -> list[list[str]]:
    with open(table, newline="", encoding="utf-8") as file:
        return sorted(csv.reader(file))


def content(kind: str, patient: int, serial: int) -> bytes:
    """A source like no other."""
    if kind == "no DICOM":
        return b"%d" % serial
    more: dict[str, object] = {"InstanceNumber": serial, "SOPInstanceUID": f"1.2.826.0.1.3680043.10.78.{serial}"}
    if patient == 2:
        more |= {"PatientName": "Waldteufel^Emil", "PatientID": "EW-7781"}
    if kind == "burned":
        more["BurnedInAnnotation"] = "YES"
    elif kind == "twin":  # wants the same name as all its kind
        more |= {"SOPInstanceUID": "1.2.826.0.1.3680043.10.78.0", "InstanceNumber": 0, "WindowCenter": serial}
        more["WindowWidth"] = 1
    elif kind in CLASSES:
        more["SOPClassUID"] = CLASSES[kind]
    whole = picture(patient, serial, **more)
    return whole[:-7] if kind == "cut" else whole


def tells_of(name: str) -> set[int]:
    """Patients whose name it holds."""
    plain = "".join(char for char in unicodedata.normalize("NFD", name).lower() if char.isascii())
    return {patient for patient, family in enumerate(FAMILIES) if family in plain}


def alike(path: str) -> str:
    """A path without what depends on the runs before: codes of twins, and tokens that names of patients have got."""
    *folders, name = re.sub(r"-[0-9A-F]{16}\.dcm$", ".dcm", path).split("/")
    return "/".join([*(folder_token(each, PSEUDONYMS) if tells_of(each) else each for each in folders), name])


class Life:
    """A tree, its destination, and what the steps so far must have left there."""

    def __init__(self, top: Path, seed: str, options: tuple[str, ...], rules: Mapping[str, Any]) -> None:
        self.top, self.source, self.out = top, top / "in", top / "out"
        self.rng = random.Random(seed)
        self.clock = self.fresh = 0
        self.was_killed = False
        self.source.mkdir(parents=True)
        (top / "key").write_text(KEY)
        (top / "other key").write_text(KEY[::-1])
        write_config(top, {"general": {"PatientSex": "clear"}}, "other.json")
        self.rules = (*options, "-c", write_config(top, {"general": rules}), "--key-file", top / "key")
        self.options = options
        self.sources: dict[str, tuple[str, int]] = {}  # kind and patient, by path
        self.directories: set[str] = set()  # folders in which a DICOMDIR was met: a new one stays as an output does
        self.held: dict[str, bytes] = {}  # outputs that have to be there, by the paths of their sources
        self.places: dict[str, str] = {}  # where these are

    def take(self, step: str) -> None:
        getattr(self, step if self.sources else "add")()

    # What happens to the source

    def put(self, path: str) -> None:
        kind, patient = self.rng.choice(KINDS), self.rng.randrange(3)
        (self.source / path).parent.mkdir(parents=True, exist_ok=True)
        (self.source / path).write_bytes(content(kind, patient, self.clock))
        self.sources[path] = kind, patient
        self.date(path)

    def date(self, path: str) -> None:
        self.clock += 1
        os.utime(self.source / path, (1e9 + self.clock, 1e9 + self.clock))

    def one(self) -> str:
        return self.rng.choice(sorted(self.sources))

    def another(self) -> str:
        return os.path.join(self.rng.choice(FOLDERS), self.rng.choice(NAMES))

    def add(self) -> None:
        self.put(self.another())

    def change(self) -> None:
        self.put(self.one())

    def touch(self) -> None:
        self.date(self.one())

    def remove(self) -> None:
        path = self.one()
        (self.source / path).unlink()
        del self.sources[path]

    def rename(self) -> None:
        self.move(self.one(), self.another())

    def rename_folder(self) -> None:
        self.move(self.rng.choice(FOLDERS[1:]), self.rng.choice(FOLDERS[1:]))

    def move(self, old: str, new: str) -> None:
        is_possible = (self.source / old).exists() and not (self.source / new).exists()
        if is_possible and not new.startswith(f"{old}/"):
            (self.source / new).parent.mkdir(parents=True, exist_ok=True)
            (self.source / old).rename(self.source / new)
            for path in [path for path in self.sources if f"{path}/".startswith(f"{old}/")]:
                self.sources[new + path[len(old) :]] = self.sources.pop(path)

    def remove_folder(self) -> None:
        shutil.rmtree(self.source / self.rng.choice(FOLDERS[1:]), ignore_errors=True)
        self.sources = {path: whose for path, whose in self.sources.items() if (self.source / path).exists()}

    def make_folder(self) -> None:
        (self.source / self.rng.choice(FOLDERS)).mkdir(parents=True, exist_ok=True)

    # What happens to the destination

    def lose(self) -> None:
        if self.held:
            path = self.rng.choice(sorted(self.held))
            (self.out / self.places[path]).unlink()
            del self.held[path]

    def empty(self) -> None:
        """Leave of an output what a power cut may."""
        if left := sorted(path for path in self.held if path in self.sources):
            (self.out / self.places[self.rng.choice(left)]).write_bytes(b"")
            self.run()

    def foreign(self) -> None:
        if self.places:
            foreign = self.out / self.places[self.rng.choice(sorted(self.places))]
            foreign = foreign.parent / FOREIGN if foreign.exists() else self.out / FOREIGN
            foreign.write_text("of a reader")
            self.refuse("--overwrite")
            self.run()
            [kept] = [name for name in files_below(self.out) if os.path.basename(name) == FOREIGN]
            (self.out / kept).unlink()

    # Runs

    def words(self) -> list[object]:
        """What a run may be asked for one day and not the other."""
        asked: list[tuple[object, ...]] = [
            ("--extract", "main"),
            ("--crosswalk", "table.csv"),
            ("--quarantine", "aside"),
        ]
        return [word for words in asked if self.rng.random() < 0.5 for word in words]

    def call(self, out: Path, *words: object) -> Done:
        private = {"table.csv": out.with_suffix(".csv"), "aside": out.with_suffix(".aside")}
        return call(self.source, out, *self.rules, "-j", 1, *(private.get(str(word), word) for word in words))

    def everything(self) -> dict[str, object]:
        """All that there is, but for the record of a run that was killed, which whoever opens it next mends."""
        names = ["in", "out", "out.aside", *(["out.private"] if not self.was_killed else [])]
        tables = {path.name: path.read_bytes() for path in self.top.glob("*.csv")}
        return {**tables, **{name: tree(self.top / name) for name in names}}

    def refuse(self, *words: object) -> None:
        before = self.everything()
        done = self.call(self.out, *self.words(), *words)
        assert (done.code, done.out) == (2, "")
        assert self.everything() == before

    def refused(self) -> None:
        if self.places:
            self.refuse("--key-file", self.top / "other key")
            self.refuse("-c", self.top / "other.json", "--dry-run")
            self.refuse("--on-burned-in", "quarantine")

    def overwrite(self, *more: object) -> None:
        self.held, self.directories = {}, set()
        self.run("--overwrite", *more)

    def run(self, *more: object) -> None:
        """Run to the end: after a dry run, and beside a fresh one."""
        words, before = [*self.words(), "--json", "-"], self.everything()
        told = self.call(self.out, *words, *more, "--dry-run")
        assert self.everything() == before
        done = self.call(self.out, *words, *more)
        if self.was_killed:  # then folders may wait for other names, and a dry run does not find what is in them
            told, self.was_killed = done, False
        assert tree(self.source) == before["in"]
        assert [file for file in files_below(self.out) if output.PART_PREFIX in file] == []
        self.fresh += 1
        fresh = self.top / f"fresh{self.fresh}"
        first = self.call(fresh, *words)
        self.compare_accounts(told, done, first)
        places = self.compare_outputs(done, fresh, is_afresh="--overwrite" in more)
        self.compare_lists(fresh, is_crossed="--crosswalk" in words, is_whole=set(places) <= set(self.sources))
        self.places, self.held = places, {path: (self.out / place).read_bytes() for path, place in places.items()}
        self.look_at_names()
        assert self.call(self.out, *words).account["written"]["files"] == 0
        for path in self.top.glob(f"{fresh.name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def compare_accounts(self, told: Done, done: Done, first: Done) -> None:
        account, dry, wanted = done.account, told.account, first.account
        assert account["balances"]
        for column in ("found", "unchanged", "skipped", "quarantined", "failed"):
            assert dry[column] == account[column]
            assert column == "unchanged" or account[column] == wanted[column]
        files = {name: told["written"]["files"] for name, told in (("dry", dry), ("done", account), ("first", wanted))}
        assert (files["dry"], told.code) == (files["done"], done.code)
        assert files["done"] + account["unchanged"]["files"] == files["first"]

    def compare_outputs(self, done: Done, fresh: Path, *, is_afresh: bool) -> dict[str, str]:
        """Each output and document, and where it is; return the places of outputs."""
        places, wanted = self.read_places(self.out), self.read_places(fresh)
        gone = {path: was for path, was in self.held.items() if path not in self.sources}
        assert set(places) == {*wanted, *gone}
        assert len({*places.values()}) == len(places)
        assert done.account["notes"].get("outputs-without-source", 0) == len(gone)
        for path, was in gone.items():
            assert (self.out / places[path]).read_bytes() == was
        for path, place in wanted.items():
            assert (self.out / places[path]).read_bytes() == (fresh / place).read_bytes()
            assert alike(places[path]) == alike(place)
        found, others = tree(self.out), tree(fresh)
        documents = self.documents(found, places)
        assert {os.path.basename(name) for name in documents if not name.endswith(".json")} <= {"DICOMDIR"}
        met = {os.path.dirname(path) for path, (kind, _) in self.sources.items() if kind == "DICOMDIR"}
        self.directories |= met
        is_same = all(places[path] == place for path, place in wanted.items())
        if is_same and not gone and met == self.directories and FOREIGN not in str([*found]):
            assert documents == self.documents(others, wanted)
            told = [name for name in documents if os.path.basename(name) != "task.json"]  # it tells the time
            assert [found[name][0] for name in told] == [others[name][0] for name in told]  # type: ignore[index]
            if is_afresh:
                assert set(found) == set(others)
        if self.mirrors and not gone:
            kept = {alike(f"{name}/") for name, file in found.items() if file is None}
            assert {alike(f"{name}/") for name, file in others.items() if file is None} <= kept
        return places

    def compare_lists(self, fresh: Path, *, is_crossed: bool, is_whole: bool) -> None:
        ours, others = self.top / "out.private", self.top / f"{fresh.name}.private"
        assert rows(ours / "not-written.csv") == rows(others / "not-written.csv")
        listed = rows(ours / "burned-in.csv")
        assert [row for row in rows(others / "burned-in.csv") if row not in listed] == []
        if is_crossed:
            table, wanted = rows(self.top / "out.csv"), rows(fresh.with_suffix(".csv"))
            assert {*map(tuple, wanted)} <= {*map(tuple, table)} or not is_whole
            assert len(table) == len(wanted) or not is_whole
            assert {tuple(row[:-1]) for row in wanted} <= {tuple(row[:-1]) for row in table}

    def look_at_names(self) -> None:
        """No name may tell of the patient of a file below it, or of the file's own."""
        if not self.mirrors or "keep" in self.options:
            return
        folders = {name for folder in folders_below(self.out) for name in folder.split("/")}
        for path, (kind, patient) in self.sources.items():
            if kind in WRITTEN:
                assert patient not in tells_of(os.path.basename(self.places[path]))
                above = path.split("/")[:-1]
                assert [folder for folder in above if patient in tells_of(folder) and folder in folders] == []

    def cut_short(self) -> None:
        """Kill a run that has something to do, or interrupt it; then the source changes, and the next run comes."""
        self.add()
        self.add()
        account, before = self.top / "account.json", tree(self.source)
        number = self.rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT])
        code = self.end_at(self.rng.randrange(1, 9), number, *self.words(), "--json", account)
        assert code in (-number, 0, 1, 130)
        assert tree(self.source) == before
        if number == signal.SIGINT and account.exists():  # there is none of a run that had not begun
            assert json.loads(account.read_text())["balances"]
            assert [file for file in files_below(self.out) if output.PART_PREFIX in file] == []
        account.unlink(missing_ok=True)
        self.was_killed = True
        places = {path: place for path, place in self.read_places(self.out).items() if (self.out / place).exists()}
        assert [path for path in self.held if path not in self.sources and path not in places] == []
        self.held = {path: (self.out / place).read_bytes() for path, place in places.items()}
        for step in self.rng.sample(CHANGES, 2):
            self.take(step)
        self.run()

    def end_at(self, moment: int, number: int, *words: object) -> int:
        """Exit code of a run that gets a signal at one moment."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads, none of which is needed
            child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        left = [moment]

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            if event in MOMENTS and str(arguments[0]).startswith(f"{self.out}{os.sep}"):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), number)

        try:
            sys.addaudithook(watch)
            os._exit(self.call(self.out, *words).code)
        finally:
            os._exit(99)

    # What is there

    @property
    def mirrors(self) -> bool:
        return not {"uid", "study"} & set(self.options)

    def documents(self, found: Tree, places: Mapping[str, str]) -> set[str]:
        return {
            name for name, file in found.items()
            if file and name not in places.values() and os.path.basename(name) != FOREIGN
        }  # fmt: skip

    def read_places(self, out: Path) -> dict[str, str]:
        """Outputs on record, by the paths of their sources; read in a copy, since reading mends it after a kill."""
        copy = self.top / "copy"
        shutil.copytree(out.with_suffix(".private"), copy)
        with contextlib.closing(RunFolder(copy).manifest(out)) as manifest:
            found = dict(places_now(manifest, out, PSEUDONYMS))
        shutil.rmtree(copy)
        return found


REBUILD = {"objects": {"dicomdir": "rebuild"}}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are killed in processes of their own")
@pytest.mark.parametrize("life", range(LIVES))
@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ((), {}),
        ((), REBUILD),
        (("--names", "keep"), REBUILD),
        (("--names", "uid"), {}),
        (("--layout", "study"), {"SeriesDescription": "keep"}),
    ],
)
def test_a_run_that_comes_to_its_end_leaves_what_a_fresh_one_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], rules: dict[str, Any], life: int
) -> None:
    monkeypatch.setattr(runner, "BATCH_FILES", 3)
    monkeypatch.setattr(fanout, "HERE_FILES", 2)
    monkeypatch.setattr(fanout, "SMALL_FILES", 3)
    lived = Life(tmp_path, f"{options} {rules} {life}", options, rules)
    for _ in range(4):
        lived.add()
    lived.run()
    for _ in range(ROUNDS):
        for step in (*lived.rng.sample(CHANGES, 3), lived.rng.choice(CHOICES), "cut_short"):
            lived.take(step)
    lived.overwrite("-j", 2)
    done = call("verify", lived.source, lived.out, *lived.rules[len(options) :], "--json", "-")
    found = json.loads(done.out[done.out.index("{") :])["findings"]
    assert [finding for finding in found if finding["element"] != "path"] == []  # names of other patients stay
