"""The same command again: what is done stays, what is missing is done, whatever ended the run before.

Set ``DICOM_ANON_KILLS`` to a number to kill that many runs instead of the few that always are, or to ``all`` to kill
one at each moment that there is.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dicom_anon import output, worker
from dicom_anon.manifest import Manifest
from dicom_anon.runfolder import ProblemList, RiskList
from tests.acceptance.command import (
    call,
    contents,
    environment,
    files_below,
    finish,
    folders_below,
    read,
    spawn,
    start,
    workers_of,
    write_config,
)
from tests.acceptance.test_run import as_anyone
from tests.datasets import file_bytes, image

KILLS = os.environ.get("DICOM_ANON_KILLS", "")
PATIENTS = (("Grubenwald^Ottoline", "MRN448812"), ("Okonjovic^Adaeze", "QX990021"), ("Li^Na", "71"))


def picture(patient: int, number: int, **changes: object) -> bytes:
    """One slice of one patient."""
    name, identity = PATIENTS[patient]
    study = f"1.2.826.0.1.3680043.10.77.{patient + 1}"
    attributes: dict[str, object] = {
        "PatientName": name,
        "PatientID": identity,
        "InstanceNumber": number,
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.1",
        "SOPInstanceUID": f"{study}.1.{number + 1}",
    }
    return file_bytes(image(**{**attributes, **changes}))


def delivery(folder: Path, slices: int = 4) -> Path:
    """Write a tree with names that identify, names that do not, empty folders and files that cannot be done."""
    for patient, (name, identity) in enumerate(PATIENTS):
        family = name.split("^")[0]
        for number in range(slices):
            for path in (
                f"{family}_{identity}/CT/{number:03}.dcm",
                f"plain{patient}/{family}_{number:03}.dcm",
            ):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(picture(patient, number))
    (folder / "Grubenwald, Ottoline" / "nothing yet").mkdir(parents=True)
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "plain0/cut.dcm").write_bytes(picture(0, 1)[:-7])
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return delivery(tmp_path / "in")


def run(source: Path, out: Path, key_file: Path, *more: object) -> dict[str, object]:
    """Run to the end and return the columns of the account."""
    done = call(source, out, "--key-file", key_file, "--json", "-", "-j", 1, *more)
    account = done.account
    assert account["balances"], done.out
    assert not [name for name in files_below(out) if output.PART_PREFIX in name]
    return {
        "code": done.code,
        "written": account["written"]["files"],
        "unchanged": account["unchanged"]["files"],
        **{
            reason: count
            for kind in ("skipped", "quarantined", "failed")
            for reason, count in done.reasons(kind).items()
        },
    }


def state(out: Path) -> tuple[dict[str, bytes], set[str]]:
    """All that a run leaves in a destination."""
    return contents(out), folders_below(out)


def with_scandir_failing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let a folder not be listed, as where a disk or a network has a fault."""
    scandir = os.scandir

    def fail(path: str) -> Any:
        if os.fspath(path) == os.fspath(folder):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)


WHOLE = {"code": 1, "written": 24, "unchanged": 0, "not-dicom": 1, "truncated": 1}


# Only what is needed


def test_a_second_run_does_nothing_again(tmp_path: Path, source: Path, key_file: Path) -> None:
    assert run(source, tmp_path / "out", key_file) == WHOLE
    before = state(tmp_path / "out")
    times = {name: os.stat(tmp_path / "out" / name).st_mtime_ns for name in before[0]}
    assert run(source, tmp_path / "out", key_file) == {**WHOLE, "written": 0, "unchanged": 24}
    assert state(tmp_path / "out") == before
    assert {name: os.stat(tmp_path / "out" / name).st_mtime_ns for name in before[0]} == times


def test_new_changed_and_lost_files_are_done(tmp_path: Path, source: Path, key_file: Path) -> None:
    out = tmp_path / "out"
    run(source, out, key_file)
    before = contents(out)
    lost = sorted(before)[3]
    (out / lost).unlink()
    (source / "plain1/new.dcm").write_bytes(picture(1, 50))
    changed = source / "plain2/Li_002.dcm"
    changed.write_bytes(picture(2, 2, Rows=2, Columns=8))
    os.utime(changed, ns=(1, 1))
    assert run(source, out, key_file) == {**WHOLE, "written": 3, "unchanged": 22}
    after = contents(out)
    assert after.pop("plain1/new.dcm")
    different = {name for name in before if before[name] != after[name]}
    assert after.keys() == before.keys()
    assert len(different) == 1
    assert next(iter(different)).startswith("plain2/")


def test_what_is_no_output_under_the_name_of_one_is_not_taken_for_it(
    tmp_path: Path, source: Path, key_file: Path
) -> None:
    run(source, tmp_path / "out", key_file)
    before = state(tmp_path / "out")
    emptied = next(path for path in sorted(tmp_path.glob("out/plain1/*.dcm")))
    emptied.write_bytes(b"")  # what a power cut leaves
    assert run(source, tmp_path / "out", key_file) == {**WHOLE, "written": 1, "unchanged": 23}
    assert state(tmp_path / "out") == before


def test_outputs_of_removed_sources_stay(tmp_path: Path, source: Path, key_file: Path) -> None:
    run(source, tmp_path / "out", key_file)
    before = contents(tmp_path / "out")
    shutil.rmtree(source / "plain1")
    assert run(source, tmp_path / "out", key_file) == {**WHOLE, "written": 0, "unchanged": 20}
    assert contents(tmp_path / "out") == before
    for _ in range(2):
        told = call(source, tmp_path / "out", "--key-file", key_file, "--json", "-").account
        assert told["notes"]["outputs-without-source"] == 4
        (source / "plain2/1.dcm").write_bytes(b"no longer DICOM")


def test_a_destination_that_was_moved_is_refused_with_the_way_out(tmp_path: Path, source: Path, key_file: Path) -> None:
    run(source, tmp_path / "out", key_file)
    for name in ("out", "out.private"):
        (tmp_path / name).rename(tmp_path / name.replace("out", "moved"))
    before = state(tmp_path / "moved")
    done = call(source, tmp_path / "moved", "--key-file", key_file)
    assert done.code == 2
    assert "if they were moved" in done.err
    assert state(tmp_path / "moved") == before
    for name in ("moved", "moved.private"):
        (tmp_path / name).rename(tmp_path / name.replace("moved", "out"))
    assert run(source, tmp_path / "out", key_file) == {**WHOLE, "written": 0, "unchanged": 24}


def test_the_run_folder_holds_nothing_but_what_readme_names(tmp_path: Path, source: Path, key_file: Path) -> None:
    for _ in range(2):
        run(source, tmp_path / "out", key_file)
        assert set(files_below(tmp_path / "out.private")) <= {
            "manifest.sqlite", "not-written.csv", "burned-in.csv", "log.txt",
        }  # fmt: skip


def test_a_source_that_changes_its_patient_leaves_no_output_of_the_old_one(tmp_path: Path, key_file: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "a").mkdir(parents=True)
    (source / "a/Grubenwald_7.dcm").write_bytes(picture(0, 7))
    (source / "a/8.dcm").write_bytes(picture(0, 8))
    run(source, out, key_file)
    first = files_below(out)
    (source / "a/Grubenwald_7.dcm").write_bytes(picture(1, 7, StudyDescription="longer"))
    (source / "a/8.dcm").write_bytes(picture(1, 8)[:-3])
    assert run(source, out, key_file) == {"code": 1, "written": 1, "unchanged": 0, "truncated": 1}
    assert files_below(out) == ["a/Grubenwald_7.dcm"]
    assert first != files_below(out)


def test_later_deliveries_keep_their_pseudonyms(tmp_path: Path, key_file: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    delivery(source, 2)
    done = call(source, out)
    assert done.code == 1
    first = contents(out)
    for patient in range(2):
        (source / f"plain{patient}/late.dcm").write_bytes(picture(patient, 9))
    assert call(source, out).code == 1
    second = contents(out)
    assert {name: second[name] for name in first} == first
    for patient in range(2):
        late = read(second[f"plain{patient}/late.dcm"])
        others = [read(content) for name, content in first.items() if name.startswith(f"plain{patient}/")]
        assert {(other.PatientID, other.StudyInstanceUID) for other in others} == {
            (late.PatientID, late.StudyInstanceUID)
        }


# What is refused, and the way out


def test_other_rules_are_refused_with_the_way_out(tmp_path: Path, source: Path, key_file: Path) -> None:
    out = tmp_path / "out"
    run(source, out, key_file)
    before, listed = state(out), (tmp_path / "out.private/not-written.csv").read_text()
    config = write_config(tmp_path, {"general": {"PatientSex": "clear"}})
    other_key = tmp_path / "other.key"
    other_key.write_text("another key of the right length")
    for words, what in (
        (("-c", config, "--key-file", key_file), "other rules"),
        (("--names", "keep", "--key-file", key_file), "other rules"),
        (("--key-file", other_key), "another key"),
        ((), ""),
    ):
        done = call(source, out, *words)
        assert done.code == 2
        said = f"DST was made with {what}: " if words else "the key that DST was made with is not in the run folder"
        assert said in done.err
        assert ("--overwrite" if words else "--key-file") in done.err
        assert not (tmp_path / "out.private/key").exists()
        assert state(out) == before
        assert (tmp_path / "out.private/not-written.csv").read_text() == listed


def test_overwrite_starts_afresh(tmp_path: Path, source: Path, key_file: Path) -> None:
    out = tmp_path / "out"
    run(source, out, key_file)
    (source / "plain2/Li_002.dcm").unlink()
    config = write_config(tmp_path, {"general": {"PatientSex": "set(O)"}})
    assert run(source, out, key_file, "-c", config, "--overwrite") == {**WHOLE, "written": 23}
    fresh = tmp_path / "fresh"
    run(source, fresh, key_file, "-c", config)
    assert state(out) == state(fresh)


def test_overwrite_leaves_what_is_not_ours(tmp_path: Path, source: Path, key_file: Path) -> None:
    out = tmp_path / "out"
    run(source, out, key_file)
    (out / "plain0/mine.txt").write_text("mine")
    before = state(out)
    for words in (("--dry-run",), ()):
        done = call(source, out, "--key-file", key_file, "--overwrite", *words)
        assert done.code == 2
        assert "DST holds files that no run of ours wrote" in done.err
        assert state(out) == before
    (out / "plain0/mine.txt").unlink()
    dry = call(source, out, "--overwrite", "--dry-run", "--json", "-")
    assert (dry.code, dry.account["written"]["files"]) == (1, 24)
    assert run(source, out, key_file) == {**WHOLE, "written": 0, "unchanged": 24}


@pytest.mark.parametrize(("place", "mode"), [("", 0o555), ("plain1", 0o555), ("plain1", 0o300)])
def test_overwrite_where_nothing_can_be_removed(
    tmp_path: Path, source: Path, key_file: Path, place: str, mode: int
) -> None:
    out = tmp_path / "out"
    run(source, out, key_file)
    before = state(out)
    (out / place).chmod(mode)
    try:
        done = spawn(source, out, "--key-file", key_file, "--overwrite", preexec_fn=as_anyone)
    finally:
        (out / place).chmod(0o755)
    assert done.code == 2
    assert done.err == "error: DST cannot be emptied: see to the permissions of its folders\n"
    assert state(out) == before
    assert run(source, out, key_file) == {**WHOLE, "written": 0, "unchanged": 24}


@pytest.mark.parametrize("place", ["", "plain1"])
def test_overwrite_of_what_cannot_be_seen(
    tmp_path: Path, source: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    out = tmp_path / "out"
    run(source, out, key_file)
    before = state(out)
    with monkeypatch.context() as patch:
        with_scandir_failing(patch, out / place)
        for words in (("--dry-run",), ()):
            done = call(source, out, "--key-file", key_file, "--overwrite", "-j", 1, *words)
            assert done.code == 2
            assert done.err == "error: DST cannot be emptied: see to the permissions of its folders\n"
    assert state(out) == before
    assert run(source, out, key_file) == {**WHOLE, "written": 0, "unchanged": 24}


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path, source: Path, key_file: Path) -> None:
    slice_ = picture(1, 0)
    for number in range(4000):
        (source / f"plain1/more{number}.dcm").write_bytes(slice_)
    first = start(source, tmp_path / "out", "--key-file", key_file)
    try:
        _wait_for_files(tmp_path / "out", 5, first)
        second = call(source, tmp_path / "out", "--key-file", key_file)
        again = call(source, tmp_path / "out", "--key-file", key_file, "--overwrite")
    finally:
        done = finish(first)
    for refused in (second, again):
        assert refused.code == 2
        assert "another run is at work" in refused.err
    assert done.code == 1, done.err
    assert len(files_below(tmp_path / "out")) == 4024


def test_a_damaged_manifest_is_refused(tmp_path: Path, source: Path, key_file: Path) -> None:
    run(source, tmp_path / "out", key_file)
    before = state(tmp_path / "out")
    (tmp_path / "out.private/manifest.sqlite").write_bytes(b"this is no database" * 100)
    done = call(source, tmp_path / "out", "--key-file", key_file)
    assert done.code == 2
    assert "the manifest in the run folder is damaged" in done.err
    assert "Traceback" not in done.err
    assert state(tmp_path / "out") == before


# Kills


def _wait_for_files(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    for _ in range(6000):
        if sum(len(names) for _, _, names in os.walk(folder)) >= count:
            return
        assert process.poll() is None, "the run ended before anything could be done to it"
        time.sleep(0.005)
    raise AssertionError("waited too long")


KILLER = """
import os, signal, sys

MOMENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.link", "os.rmdir", "os.truncate", "sqlite3.connect"}
left = int(os.environ["KILL_AT"])

def watch(event, arguments):
    global left
    if event in MOMENTS and "/kill" in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
"""


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the module that kills a run at one moment of it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(KILLER)
    return folder


def _kill(moment: int, killer: Path, *words: object) -> bool:
    """Run until the moment when so many things were done to files, and kill it; false where it ended before."""
    where = os.pathsep.join((str(killer), *filter(None, [os.environ.get("PYTHONPATH")])))
    done = spawn(*words, env=environment(PYTHONPATH=where, KILL_AT=str(moment)))
    assert done.code in (-signal.SIGKILL, 0, 1), done.err
    return done.code == -signal.SIGKILL


def _moments() -> list[int]:
    if KILLS == "all":
        return list(range(1, 400))
    rng = random.Random(5)
    return sorted(rng.sample(range(1, 64), min(int(KILLS or 8), 63)))


def test_a_run_killed_at_any_moment_is_resumed_to_the_same_end(tmp_path: Path, key_file: Path, killer: Path) -> None:
    source = delivery(tmp_path / "in", 3)
    whole = {**WHOLE, "written": 18}
    assert run(source, tmp_path / "whole", key_file) == whole
    expected, survived = state(tmp_path / "whole"), 0
    for moment in _moments():
        out = tmp_path / f"kill{moment}"
        words = (source, out, "--key-file", key_file, "-j", 1)
        if not _kill(moment, killer, *words):
            break
        run(source, out, key_file)
        assert state(out) == expected, f"killed at moment {moment}"
        assert (out.parent / f"{out.name}.private/manifest.sqlite").exists()
        shutil.rmtree(out)
        survived += 1
    assert survived >= 5


def test_a_run_killed_again_and_again_comes_to_the_same_end(tmp_path: Path, key_file: Path, killer: Path) -> None:
    source = delivery(tmp_path / "in", 3)
    run(source, tmp_path / "whole", key_file)
    out = tmp_path / "kill"
    for moment in (40, 30, 60, 25, 50):
        _kill(moment, killer, source, out, "--key-file", key_file, "-j", 1)
    run(source, out, key_file)
    assert state(out) == state(tmp_path / "whole")


def test_a_killed_delivery_that_taints_a_name_is_resumed_to_the_same_end(
    tmp_path: Path, key_file: Path, killer: Path
) -> None:
    expected = None
    for moment in range(20) if KILLS else (0, 4, 8, 10, 12, 14):
        source, out = tmp_path / f"in{moment}", tmp_path / f"kill{moment}"
        (source / "Waldteufel").mkdir(parents=True)
        (source / "Waldteufel/1.dcm").write_bytes(picture(0, 1))
        run(source, out, key_file)
        assert folders_below(out) == {"Waldteufel"}
        (source / "Waldteufel/2.dcm").write_bytes(picture(0, 2, PatientName="Waldteufel^Emil"))
        if moment:
            _kill(moment, killer, source, out, "--key-file", key_file, "-j", 1)
        run(source, out, key_file)
        expected = expected or state(out)
        assert state(out) == expected
        assert "Waldteufel" not in str(folders_below(out))


@pytest.mark.parametrize("options", [("--layout", "study"), ("--names", "uid")])
def test_a_killed_change_of_one_image_leaves_the_other_that_wanted_its_name(
    tmp_path: Path, key_file: Path, killer: Path, options: tuple[str, ...]
) -> None:
    for moment in range(1, 60) if KILLS else (2, 4, 6, 8, 10, 12, 14):
        for changed in (0, 1) if KILLS else (moment // 2 % 2,):
            source, out = tmp_path / f"in{moment}{changed}", tmp_path / f"kill{moment}{changed}"
            source.mkdir()
            for number in range(2):
                (source / f"{number}.dcm").write_bytes(picture(0, 1, Rows=1, Columns=(16, 8)[number]))
            run(source, out, key_file, *options)
            (source / f"{changed}.dcm").write_bytes(picture(0, 1, Rows=1, Columns=4, KVP=7))
            killed = _kill(moment, killer, source, out, "--key-file", key_file, "-j", 1, *options)
            run(source, out, key_file, *options)
            images = [name for name in files_below(out) if name.endswith(".dcm")]
            assert sorted(read(out / name).Columns for name in images) == [4, (16, 8)[1 - changed]]
        if not killed:
            break


@pytest.mark.parametrize("options", [(), ("--layout", "study"), ("--names", "uid")])
def test_a_source_that_changes_or_goes_after_a_kill_leaves_no_output_of_before(
    tmp_path: Path, key_file: Path, killer: Path, options: tuple[str, ...]
) -> None:
    for moment in range(1, 80) if KILLS else (14, 18, 22, 30):
        source, out = tmp_path / f"in{moment}", tmp_path / f"kill{moment}"
        source.mkdir()
        for number in range(6):  # so few that none is on record before all are written
            family = PATIENTS[number % 3][0].split("^")[0]
            (source / f"{family}_{number}.dcm").write_bytes(picture(number % 3, number))
        if not _kill(moment, killer, source, out, "--key-file", key_file, "-j", 1, *options):
            break
        changed, spoilt, gone = sorted(source.iterdir())[:3]
        changed.write_bytes(picture(1, 70))
        spoilt.write_bytes(b"no longer DICOM")
        gone.unlink()
        recorded = 0
        if (path := tmp_path / f"kill{moment}.private/manifest.sqlite").exists():
            with contextlib.closing(Manifest(path, out)) as manifest:
                recorded = manifest.written
        run(source, out, key_file, *options)
        run(source, tmp_path / f"whole{moment}", key_file, *options)
        if recorded:  # what is gone stays, as ever
            continue
        assert {n: c for n, c in contents(out).items() if "task" not in n} == {
            n: c for n, c in contents(tmp_path / f"whole{moment}").items() if "task" not in n
        }, f"killed at moment {moment}"
        assert folders_below(out) == folders_below(tmp_path / f"whole{moment}")


@pytest.mark.parametrize("options", [(), ("--layout", "study"), ("--names", "uid"), ("--names", "keep")])
def test_what_somebody_made_of_an_output_before_a_run_that_was_killed_stays(
    tmp_path: Path, key_file: Path, killer: Path, options: tuple[str, ...]
) -> None:
    source, out = tmp_path / "in", tmp_path / "kill"
    (source / "x").mkdir(parents=True)
    (source / "x/1.dcm").write_bytes(picture(0, 1))
    run(source, out, key_file, *options)
    image = next(out / name for name in files_below(out) if name.endswith(".dcm"))
    mine = image.with_name("masked.dcm")
    masked = read(image)
    masked.InstanceNumber = 9
    masked.save_as(mine)  # pydicom leaves our Implementation Class UID in it
    os.utime(mine, (time.time() - 60,) * 2)
    (source / "x/2.dcm").write_bytes(picture(0, 2))
    for moment in (8, 6):
        assert _kill(moment, killer, source, out, "--key-file", key_file, "-j", 1, *options)
    run(source, out, key_file, *options)
    assert read(mine).InstanceNumber == 9
    assert len([name for name in files_below(out) if name.endswith(".dcm")]) == 3


def test_names_of_folders_that_a_power_cut_took_off_the_record_leave_no_image_twice(
    tmp_path: Path, source: Path, key_file: Path
) -> None:
    (source / "empty/branch").mkdir(parents=True)
    out = tmp_path / "out"
    first = run(source, out, key_file)
    before = state(out)
    with contextlib.closing(sqlite3.connect(tmp_path / "out.private/manifest.sqlite")) as database, database:
        assert database.execute("DELETE FROM name").rowcount
        database.execute("UPDATE tree SET open = ?", (out.stat().st_mtime,))
    for again in (first, {**first, "written": 0}):
        account = run(source, out, key_file)
        assert (account["code"], account["written"]) == (again["code"], again["written"])
        assert state(out) == before


def test_a_crosswalk_is_whole_whatever_ended_the_runs_before(tmp_path: Path, key_file: Path, killer: Path) -> None:
    source, table = delivery(tmp_path / "in", 3), tmp_path / "table.csv"
    run(source, tmp_path / "whole", key_file, "--crosswalk", tmp_path / "whole.csv")
    expected = (tmp_path / "whole.csv").read_text()
    assert [line.rsplit(",", 1)[1] for line in expected.splitlines()[1:]] == ["6", "6", "6"]
    for moment in (20, 35, 50, 64):
        out = tmp_path / f"kill{moment}"
        _kill(moment, killer, source, out, "--key-file", key_file, "-j", 1, "--crosswalk", table)
        run(source, out, key_file, "--crosswalk", table)
        assert table.read_text() == expected, f"killed at moment {moment}"
        lost = next(path for path in files_below(out) if path.endswith(".dcm"))
        (out / lost).unlink()
        assert run(source, out, key_file, "--crosswalk", table)["written"] == 1
        assert table.read_text() == expected, "an output that is made again counts once"
        table.unlink()


def test_a_crosswalk_that_is_asked_for_late_is_whole(tmp_path: Path, source: Path, key_file: Path) -> None:
    run(source, tmp_path / "whole", key_file, "--crosswalk", tmp_path / "whole.csv")
    run(source, tmp_path / "out", key_file)
    before = state(tmp_path / "out")
    assert run(source, tmp_path / "out", key_file, "--crosswalk", tmp_path / "late.csv") == WHOLE
    assert (tmp_path / "late.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert state(tmp_path / "out") == before
    assert run(source, tmp_path / "out", key_file, "--crosswalk", tmp_path / "late.csv")["unchanged"] == 24
    if os.name == "posix":
        assert (tmp_path / "late.csv").stat().st_mode & 0o777 == 0o600


def test_the_crosswalk_of_another_destination_is_not_written_over(tmp_path: Path, source: Path, key_file: Path) -> None:
    table = tmp_path / "table.csv"
    run(source, tmp_path / "out", key_file, "--crosswalk", table)
    before = table.read_text()
    for words in ((), ("--no-run-dir",)):
        done = call(source, tmp_path / "other", "--key-file", key_file, "--crosswalk", table, *words)
        assert (done.code, done.out) == (2, "")
        assert "no crosswalk of this DST: choose another name" in done.err
        assert not (tmp_path / "other").exists()
    assert table.read_text() == before
    assert run(source, tmp_path / "out", key_file, "--crosswalk", table, "--overwrite") == WHOLE
    assert table.read_text() == before
    run(source, tmp_path / "other", key_file)
    run(source, tmp_path / "other", key_file, "--crosswalk", tmp_path / "own.csv")
    table.write_bytes(table.read_bytes() + b"\r\n")
    for words in ((), ("--overwrite",), ("--dry-run",)):  # of a destination that has a record, and a table, of its own
        done = call(source, tmp_path / "other", "--key-file", key_file, "--crosswalk", table, *words)
        assert (done.code, done.out) == (2, "")
        assert "no crosswalk of this DST: choose another name" in done.err
    assert table.read_bytes().endswith(b"\r\n\r\n")
    table.write_text("my list")
    assert call(source, tmp_path / "out", "--key-file", key_file, "--crosswalk", table).code == 2
    assert table.read_text() == "my list"


def test_overwrite_after_a_kill(tmp_path: Path, source: Path, key_file: Path, killer: Path) -> None:
    run(source, tmp_path / "whole", key_file)
    out = tmp_path / "kill"
    assert _kill(60, killer, source, out, "--key-file", key_file, "-j", 1)
    assert files_below(out)
    assert run(source, out, key_file, "--overwrite") == WHOLE
    assert state(out) == state(tmp_path / "whole")


def test_a_kill_while_the_key_is_made_leaves_no_half_key(tmp_path: Path, source: Path, killer: Path) -> None:
    out = tmp_path / "kill"
    for moment in range(1, 9):
        _kill(moment, killer, source, out, "-j", 1)
    assert call(source, out).code == 1
    assert len((tmp_path / "kill.private/key").read_text().strip()) == 64
    assert call(source, out).code == 1


def test_a_key_that_cannot_be_kept_leaves_nothing(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        done = call(source, tmp_path / "out", "-j", 1)
    assert (done.code, done.err) == (2, "error: the key cannot be kept: No space left on device\n")
    assert files_below(tmp_path / "out.private") == []


def test_a_folder_whose_good_files_were_done_before_the_end_gets_its_name_back(tmp_path: Path, key_file: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for number in range(8):
        (source / "plain").mkdir(parents=True, exist_ok=True)
        (source / f"plain/{number:02}.dcm").write_bytes(picture(0, number))
    (source / "plain/cut.dcm").write_bytes(picture(0, 1)[:-7])
    (source / "zz.dcm").write_bytes(picture(0, 1)[:-7])
    run(source, tmp_path / "whole", key_file)
    run(source, out, key_file, "--on-error", "fail")
    assert folders_below(out) != {"plain"}
    run(source, out, key_file)
    assert state(out) == state(tmp_path / "whole")


def test_killed_parents_and_workers(tmp_path: Path, key_file: Path) -> None:
    source = delivery(tmp_path / "in", 80)
    whole = tmp_path / "whole"
    run(source, whole, key_file)
    expected, rng = state(whole), random.Random(6)
    for round_ in range(int(KILLS) if KILLS.isdigit() else 3):
        out = tmp_path / f"out{round_}"
        process = start(source, out, "--key-file", key_file, "-j", 2)
        _wait_for_files(out, rng.randrange(1, 300), process)
        victims = [process.pid] if round_ % 2 == 0 else workers_of(process.pid)[:1]
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        process.wait(60)
        time.sleep(0.5)  # its workers see that it is gone
        if process.returncode == -signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a worker that had no work yet waits for some minutes
        process.communicate()
        run(source, out, key_file)
        assert state(out) == expected
        shutil.rmtree(out)


# Destinations that fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_destination_that_takes_no_more_ends_the_run_in_order(
    tmp_path: Path, source: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write, seen = output._write_all, []

    def fail(*arguments: object) -> None:
        seen.append(1)
        if len(seen) > 9:
            raise OSError(number, os.strerror(number))
        write(*arguments)  # type: ignore[arg-type]

    run(source, tmp_path / "whole", key_file)
    with monkeypatch.context() as patch:
        patch.setattr(output, "_write_all", fail)
        account = run(source, tmp_path / "out", key_file)
    assert account["code"] == 1
    assert account["write-failed"] == 1
    assert account["not-reached"] >= 14  # type: ignore[operator]
    assert account["written"] == len(files_below(tmp_path / "out"))
    run(source, tmp_path / "out", key_file)
    assert state(tmp_path / "out") == state(tmp_path / "whole")


def test_a_full_disk_for_the_record_ends_the_run_in_order(
    tmp_path: Path, source: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "record", full)
        account = run(source, tmp_path / "out", key_file)
    assert account["code"] == 1
    assert account["not-reached"]
    assert run(source, tmp_path / "out", key_file)["unchanged"] == 0


@pytest.mark.parametrize("kept", [(ProblemList, "add"), (RiskList, "add"), (Manifest, "outputs_of")])
def test_a_full_disk_for_the_lists_ends_the_run_in_order(
    tmp_path: Path, source: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, kept: tuple[type, str]
) -> None:
    def full(_: object, rows: Iterable[object]) -> None:
        if list(rows) != [("path", "risk")]:
            raise sqlite3.OperationalError("full") if kept[0] is Manifest else OSError(errno.ENOSPC, "No space left")

    run(source, tmp_path / "out", key_file)
    for number in range(12):
        (source / f"{number:02}.dcm").write_bytes(picture(0, number))
    with monkeypatch.context() as patch:
        patch.setattr(*kept, full)
        account = run(source, tmp_path / "out", key_file)
    assert account["code"] == 1
    assert account["not-reached"]
    run(source, tmp_path / "out", key_file)
    run(source, tmp_path / "whole", key_file)
    assert state(tmp_path / "out") == state(tmp_path / "whole")


def test_a_record_that_fails_at_the_last_file_is_no_good_run(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    (tmp_path / "in").mkdir()
    (tmp_path / "in/one").write_bytes(picture(0, 1))
    monkeypatch.setattr(Manifest, "record", full)
    assert run(tmp_path / "in", tmp_path / "out", key_file) == {"code": 1, "written": 1, "unchanged": 0}


def test_a_read_only_destination(tmp_path: Path, source: Path, key_file: Path) -> None:
    out = tmp_path / "out"
    run(source, out, key_file)
    (source / "plain0/new.dcm").write_bytes(picture(0, 70))
    (out / "plain0").chmod(0o500)
    done = spawn(source, out, "--key-file", key_file, "--json", "-", preexec_fn=as_anyone)
    (out / "plain0").chmod(0o700)
    assert done.code == 1, done.err
    assert done.account["balances"]
    assert done.reasons("failed") == {"write-failed": 1}
    assert run(source, out, key_file)["written"] == 1


# Lists


def test_burned_in_risks_are_listed_over_all_runs(tmp_path: Path, key_file: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "plain.dcm").write_bytes(picture(0, 1))
    (source / "yes.dcm").write_bytes(picture(0, 2, BurnedInAnnotation="YES"))
    run(source, out, key_file)
    (source / "screen.dcm").write_bytes(picture(0, 3, ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]))
    run(source, out, key_file)
    run(source, out, key_file)
    with open(tmp_path / "out.private/burned-in.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["path", "risk"],
            ["yes.dcm", "burned-in-annotation"],
            ["screen.dcm", "screen"],
        ]
    assert os.stat(tmp_path / "out.private/burned-in.csv").st_mode & 0o777 == 0o600
    assert worker.BURNED_IN in call(source, tmp_path / "new", "--json", "-").account["notes"]


def test_burned_in_risks_are_listed_after_a_kill_as_well(tmp_path: Path, key_file: Path, killer: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "kill"
    source.mkdir()
    for number in range(30):
        (source / f"{number:02}.dcm").write_bytes(picture(0, number, BurnedInAnnotation="YES"))
    assert _kill(60, killer, source, out, "--key-file", key_file, "-j", 1)
    assert run(source, out, key_file)["unchanged"]
    with open(tmp_path / "kill.private/burned-in.csv", newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["path", *(f"{number:02}.dcm" for number in range(30))]


def test_a_damaged_list_is_refused_with_the_way_out(tmp_path: Path, source: Path, key_file: Path) -> None:
    run(source, tmp_path / "out", key_file)
    (tmp_path / "out.private/burned-in.csv").write_bytes(b"path,risk\r\n\xff\xfe,screen\r\n")
    done = call(source, tmp_path / "out", "--key-file", key_file)
    assert done.code == 2
    assert done.err == "error: burned-in.csv in the run folder is damaged: move it away\n"
