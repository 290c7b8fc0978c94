"""``"dicomdir": "rebuild"``: a new DICOMDIR over the outputs, from them alone, whole and up to date after every run."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet

from dicom_anon.output import PART_PREFIX
from dicom_anon.presets import PRESETS
from tests.acceptance.command import Done, call, contents, files_below, folders_below, write_config
from tests.acceptance.test_resume import KILLER, PATIENTS, _kill, picture
from tests.datasets import real_file, real_files

TINY = real_file("DICOMDIR").parent / "TINY_ALPHA"
REBUILD = {"general": {"objects": {"dicomdir": "rebuild"}}}

Run: TypeAlias = Callable[..., Done]


def notes(done: Done) -> dict[str, int]:
    """Notes of the account that are about DICOMDIRs."""
    found: dict[str, int] = done.account["notes"]
    return {name: count for name, count in found.items() if name.startswith(("dicomdir", "documents"))}


@pytest.fixture
def run(tmp_path: Path, key_file: Path) -> Run:
    config = write_config(tmp_path, REBUILD)

    def go(source: Path, *options: object, out: str = "out") -> Done:
        return call(source, tmp_path / out, "--key-file", key_file, "-c", config, "-j", 1, "--json", "-", *options)

    return go


def medium(folder: Path, *, patients: int = 2, slices: int = 2) -> Path:
    """Write a file-set whose names are File IDs, with some DICOMDIR on top: what it lists does not matter."""
    for patient in range(patients):
        for number in range(slices):
            path = folder / f"PAT{patient}" / f"IM{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(patient, number))
    shutil.copyfile(real_file("DICOMDIR"), folder / "DICOMDIR")
    return folder


def listed(folder: Path) -> list[str]:
    """Paths of the files that the DICOMDIR of a folder leads to, each of which is what the record says."""
    found = []
    for instance in FileSet(folder / "DICOMDIR"):
        assert instance.load().SOPInstanceUID == instance.ReferencedSOPInstanceUIDInFile
        found.append(os.path.relpath(instance.path, folder))
    return sorted(found)


# What it is


def test_a_real_file_set_is_listed_whole(tmp_path: Path, run: Run) -> None:
    shutil.copytree(TINY, tmp_path / "in")
    done = run(tmp_path / "in", "--verify", "-q")
    assert (done.code, notes(done)) == (0, {"dicomdir-rebuilt": 1})
    assert done.account["written"]["files"] == 50
    assert done.reasons("skipped") == {"dicomdir": 1, "not-dicom": 1}
    out = tmp_path / "out"
    assert listed(out) == [name for name in files_below(out) if name != "DICOMDIR"]
    assert len(listed(out)) == 50
    assert call("verify", tmp_path / "in", out, "-c", tmp_path / "rules.json").code == 0


def test_a_file_set_of_several_patients_and_studies_is_listed_whole(tmp_path: Path, run: Run) -> None:
    source = tmp_path / "in"
    shutil.copytree(TINY.parent, source, ignore=shutil.ignore_patterns("TINY_ALPHA", "DICOMDIR-*"))
    done = run(source, "--names", "keep")
    assert (done.code, notes(done)) == (0, {"dicomdir-rebuilt": 1})
    assert len(listed(tmp_path / "out")) == 31
    kinds = [record.DirectoryRecordType for record in dcmread(tmp_path / "out/DICOMDIR").DirectoryRecordSequence]
    old = [record.DirectoryRecordType for record in dcmread(source / "DICOMDIR").DirectoryRecordSequence]
    assert sorted(kinds) == sorted(old)


def test_it_holds_nothing_of_the_old_one(tmp_path: Path, run: Run) -> None:
    source = medium(tmp_path / "in")
    old = dcmread(source / "DICOMDIR")
    old.FileSetID, old.FileSetDescriptorFileID = "GRUBEN", ["GRUBEN", "README"]
    old.file_meta.SourceApplicationEntityTitle = "GRUBEN_PACS"
    old.save_as(source / "DICOMDIR")
    assert run(source).code == 0
    made = (tmp_path / "out/DICOMDIR").read_bytes()
    for text in ("GRUBEN", "Grubenwald", "MRN448812", "Okonjovic", "Doe^", "77654033", old.file_meta[0x00020003].value):
        assert text.encode() not in made
    patients = {
        str(record.PatientID)
        for record in dcmread(tmp_path / "out/DICOMDIR").DirectoryRecordSequence
        if record.DirectoryRecordType == "PATIENT"
    }
    assert patients == {str(dcmread(tmp_path / f"out/PAT{patient}/IM0").PatientID) for patient in range(2)}


def test_nothing_is_rebuilt_unless_asked_for(tmp_path: Path, run: Run, key_file: Path) -> None:
    source = medium(tmp_path / "in")
    done = call(source, tmp_path / "plain", "--key-file", key_file, "--json", "-")
    assert notes(done) == {}
    assert "DICOMDIR" not in files_below(tmp_path / "plain")
    dry = run(source, "--dry-run", out="dry")
    assert (dry.code, notes(dry)) == (0, {})
    assert not (tmp_path / "dry").exists()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_leaves_enough_for_a_record(tmp_path: Path, run: Run, real_flat: Path, preset: str) -> None:
    done = run(real_flat, "--preset", preset, "--names", "keep")
    assert len(listed(tmp_path / "out")) + notes(done)["dicomdir-incomplete"] == done.account["written"]["files"]
    assert len(listed(tmp_path / "out")) > 125


@pytest.fixture(scope="module")
def real_flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of pydicom's test files under names that a DICOMDIR may hold, and a DICOMDIR among them."""
    folder = tmp_path_factory.mktemp("flat") / "in"
    folder.mkdir()
    for number, path in enumerate(real_files()):
        shutil.copyfile(path, folder / f"F{number:07}")
    return folder


@pytest.mark.external
@pytest.mark.parametrize("preset", ["default", "basic", "none"])
def test_others_accept_it(tmp_path: Path, run: Run, real_flat: Path, preset: str) -> None:
    run(real_flat, "--preset", preset, "--names", "keep")
    made = tmp_path / "out/DICOMDIR"
    told = subprocess.run(["dcmdump", "--quiet", "+E", made], capture_output=True, check=False, timeout=60)
    assert (told.returncode, told.stderr) == (0, b"")
    said = subprocess.run(["dciodvfy", made], capture_output=True, check=False, timeout=60)
    text = (said.stderr + said.stdout).decode("latin-1")
    wrong_in_the_source = ("invalid data values for Value Representations", "Value invalid for this VR")
    errors = [line for line in text.splitlines() if line.startswith("Error")]
    if preset == "none":
        errors = [line for line in errors if not any(piece in line for piece in wrong_in_the_source)]
    assert errors == []
    assert "BasicDirectory" in text


# Where it is, and what it cannot list


def test_each_of_two_lists_what_is_below_its_folder(tmp_path: Path, run: Run) -> None:
    source = medium(tmp_path / "in")
    medium(source / "CD1", slices=1)
    shutil.copyfile(source / "DICOMDIR", source / "CD1/PAT1/INDEX.DCM")  # by its content, not by its name
    (source / "CD1/DICOMDIR").rename(source / "CD1/second.old")
    for number, path in enumerate((source / "CD1").glob("*/IM0")):
        path.write_bytes(picture(2, 20 + number))
    done = run(source)
    assert notes(done) == {"dicomdir-rebuilt": 3}
    assert done.reasons("skipped") == {"dicomdir": 3}
    out = tmp_path / "out"
    assert listed(out) == ["CD1/PAT0/IM0", "CD1/PAT1/IM0", "PAT0/IM0", "PAT0/IM1", "PAT1/IM0", "PAT1/IM1"]
    assert listed(out / "CD1") == ["PAT0/IM0", "PAT1/IM0"]
    assert listed(out / "CD1/PAT1") == ["IM0"]
    assert len({FileSet(out / folder / "DICOMDIR").UID for folder in ("", "CD1", "CD1/PAT1")}) == 3


def test_a_folder_that_identifies_has_its_dicomdir_under_its_token(tmp_path: Path, run: Run) -> None:
    medium(tmp_path / "in/Grubenwald_CD")
    assert notes(run(tmp_path / "in", "--verify", "-q")) == {"dicomdir-rebuilt": 1}
    [token] = os.listdir(tmp_path / "out")
    assert "Gruben" not in token
    assert listed(tmp_path / "out" / token) == ["PAT0/IM0", "PAT0/IM1", "PAT1/IM0", "PAT1/IM1"]


def test_outputs_whose_names_cannot_be_listed_are_counted(tmp_path: Path, run: Run) -> None:
    source = medium(tmp_path / "in")
    (source / "PAT0/IM0").rename(source / "PAT0/IM0.dcm")
    (source / "PAT0/IM1").rename(source / "PAT0/im1")
    (source / "PAT1").rename(source / "OKONJOVI")
    (source / "OKONJOVI/IM1").rename(source / "OKONJO")
    (source / "OKONJOVI/IM0").write_bytes(picture(1, 0, PatientName="Okonjovi^Adaeze"))
    done = run(source, "--extract", "Modality")
    assert (done.code, notes(done)) == (0, {"dicomdir-incomplete": 3, "dicomdir-rebuilt": 1})
    assert listed(tmp_path / "out") == ["OKONJO"]


@pytest.mark.parametrize("options", [("--names", "uid"), ("--layout", "study")])
def test_where_nothing_can_be_listed_there_is_none(tmp_path: Path, run: Run, options: tuple[str, ...]) -> None:
    source = medium(tmp_path / "in")
    shutil.copytree(source, source / "CD1")
    done = run(source, *options)
    assert (done.code, notes(done)) == (0, {"dicomdir-not-rebuilt": 2})
    assert not [name for name in files_below(tmp_path / "out") if "DICOMDIR" in name]


def test_a_medium_without_images_has_none(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in").mkdir()
    shutil.copyfile(real_file("DICOMDIR"), tmp_path / "in/DICOMDIR")
    assert notes(run(tmp_path / "in")) == {"dicomdir-not-rebuilt": 1}
    assert files_below(tmp_path / "out") == []
    assert notes(run(tmp_path / "in/DICOMDIR", out="single")) == {"dicomdir-not-rebuilt": 1}


def test_an_output_of_that_name_is_never_overwritten(tmp_path: Path, run: Run) -> None:
    source = medium(tmp_path / "in")
    (source / "DICOMDIR").rename(source / "INDEX")
    (source / "DICOMDIR").write_bytes(picture(0, 9))
    for _ in range(2):
        assert notes(run(source)) == {"dicomdir-not-rebuilt": 1}
        assert dcmread(tmp_path / "out/DICOMDIR").InstanceNumber == 9
    # A source that is gone for a while, and its output as well, leaves the place free, and gets it back.
    (source / "DICOMDIR").rename(tmp_path / "gone")
    (tmp_path / "out/DICOMDIR").unlink()
    assert notes(run(source)) == {"dicomdir-rebuilt": 1}
    (tmp_path / "gone").rename(source / "DICOMDIR")
    assert notes(run(source)) == {"dicomdir-not-rebuilt": 1}
    assert dcmread(tmp_path / "out/DICOMDIR").InstanceNumber == 9


def test_an_output_may_take_the_place_of_one_of_ours(tmp_path: Path, run: Run) -> None:
    source = medium(tmp_path / "in")
    shutil.copyfile(source / "DICOMDIR", source / "INDEX")
    old = (source / "DICOMDIR").read_bytes()
    for content, number in ((old, None), (picture(0, 9), 9), (picture(0, 10), 10), (old, None)):
        (source / "DICOMDIR").write_bytes(content)
        for _ in range(2):
            assert notes(run(source)) == {f"dicomdir-{'not-' if number else ''}rebuilt": 1}
            assert dcmread(tmp_path / "out/DICOMDIR").get("InstanceNumber") == number


def test_a_name_that_only_looks_like_one_is_a_folder(tmp_path: Path, run: Run) -> None:
    source = medium(tmp_path / "in")
    (source / "DICOMDIR").rename(source / "INDEX")
    (source / "DICOMDIR").mkdir()
    (source / "DICOMDIR/IM7").write_bytes(picture(0, 7))
    done = run(source)
    assert (done.code, notes(done)) == (0, {"dicomdir-not-rebuilt": 1})
    assert (tmp_path / "out/DICOMDIR/IM7").exists()


# Again and again


def state(out: Path) -> tuple[dict[str, bytes], set[str]]:
    return contents(out), folders_below(out)


def test_a_second_run_changes_nothing(tmp_path: Path, run: Run) -> None:
    source, out = medium(tmp_path / "in"), tmp_path / "out"
    for _ in range(2):
        assert notes(run(source, "--extract", "main")) == {"dicomdir-rebuilt": 1}
        first = state(out)
        os.utime(out / "DICOMDIR", (1, 1))
    assert state(out) == first
    assert len([name for name in first[0] if name.endswith(".json")]) == 2
    assert run(source, "--extract", "main").code == 0
    assert os.stat(out / "DICOMDIR").st_mtime == 1


def test_it_follows_what_is_new_changed_and_lost(tmp_path: Path, run: Run) -> None:
    source, out = medium(tmp_path / "in"), tmp_path / "out"
    run(source)
    before = state(out)
    (out / "PAT0/IM1").unlink()
    (out / "DICOMDIR").unlink()
    run(source)
    assert state(out) == before
    (source / "PAT0/IM5").write_bytes(picture(0, 5))
    (source / "PAT1/IM0").write_bytes(picture(2, 0)[:-3])
    done = run(source)
    assert (done.code, notes(done)) == (1, {"dicomdir-rebuilt": 1})
    assert listed(out) == ["PAT0/IM0", "PAT0/IM1", "PAT0/IM5", "PAT1/IM1"]
    shutil.rmtree(source / "PAT0")  # outputs of sources that are gone stay
    run(source)
    assert listed(out) == ["PAT0/IM0", "PAT0/IM1", "PAT0/IM5", "PAT1/IM1"]
    (source / "DICOMDIR").unlink()
    (out / "PAT0/IM5").unlink()
    assert notes(run(source)) == {"dicomdir-rebuilt": 1}
    assert listed(out) == ["PAT0/IM0", "PAT0/IM1", "PAT1/IM1"]


def test_where_there_is_no_dicomdir_any_more_ours_goes(tmp_path: Path, run: Run) -> None:
    source, out = medium(tmp_path / "in"), tmp_path / "out"
    run(source)
    (source / "DICOMDIR").write_text("no DICOM")
    assert notes(run(source)) == {}
    assert files_below(out) == ["PAT0/IM0", "PAT0/IM1", "PAT1/IM0", "PAT1/IM1"]


def test_it_goes_when_nothing_is_left_to_list(tmp_path: Path, run: Run) -> None:
    source, out = medium(tmp_path / "in", patients=1, slices=1), tmp_path / "out"
    run(source)
    (source / "PAT0/IM0").write_bytes(picture(0, 0)[:-3])
    assert notes(run(source)) == {"dicomdir-not-rebuilt": 1}
    assert files_below(out) == []


def test_a_later_delivery_that_taints_a_folder_moves_it_along(tmp_path: Path, run: Run) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    medium(source / "Waldteufel")
    run(source)
    assert "Waldteufel/DICOMDIR" in files_below(out)
    (source / "Waldteufel/PAT0/IM7").write_bytes(picture(0, 7, PatientName="Waldteufel^Emil"))
    for _ in range(2):
        assert notes(run(source)) == {"dicomdir-rebuilt": 1}
        [token] = os.listdir(out)
        assert token != "Waldteufel"
        assert len(listed(out / token)) == 5
    run(source, out="whole")
    assert state(out) == state(tmp_path / "whole")


def test_a_run_that_ended_early_is_resumed_to_the_same_end(tmp_path: Path, run: Run) -> None:
    source = medium(tmp_path / "in")
    run(source, out="whole")
    (source / "PAT0/IM1").rename(tmp_path / "kept")
    (source / "PAT0/IM1").write_bytes((tmp_path / "kept").read_bytes()[:-3])
    assert notes(run(source, "--on-error", "fail")) == {}
    assert "DICOMDIR" not in [os.path.basename(name) for name in files_below(tmp_path / "out")]
    (source / "PAT0/IM1").unlink()
    (tmp_path / "kept").rename(source / "PAT0/IM1")
    (tmp_path / "out" / f"{PART_PREFIX}DICOMDIR.part").write_bytes(b"of a run that was killed")
    run(source)
    assert state(tmp_path / "out") == state(tmp_path / "whole")


def test_a_run_killed_near_its_end_is_resumed_to_the_same_end(tmp_path: Path, run: Run, key_file: Path) -> None:
    source = medium(tmp_path / "in", patients=1)
    run(source, out="whole")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(KILLER)
    words = ("--key-file", key_file, "-c", tmp_path / "rules.json", "-j", 1)
    met: set[str] = set()
    for moment in range(16, 62):
        out = tmp_path / f"kill{moment}"
        if not _kill(moment, tmp_path / "site", source, out, *words):
            break
        met |= {"part" if name.startswith(PART_PREFIX) else name for name in os.listdir(out)}
        run(source, out=out.name)
        assert state(out) == state(tmp_path / "whole"), f"killed at moment {moment}"
    assert met == {"PAT0", "part", "DICOMDIR"}


def test_overwrite_removes_it_and_starts_afresh(tmp_path: Path, run: Run, key_file: Path) -> None:
    source, out = medium(tmp_path / "in"), tmp_path / "out"
    run(source)
    refused = call(source, out, "--key-file", key_file)
    assert refused.code == 2
    assert "other rules" in refused.err
    before = state(out)
    assert notes(run(source, "--overwrite")) == {"dicomdir-rebuilt": 1}
    assert state(out) == before
    assert call(source, out, "--key-file", key_file, "--overwrite").code == 0
    assert files_below(out) == ["PAT0/IM0", "PAT0/IM1", "PAT1/IM0", "PAT1/IM1"]


def test_without_a_run_folder_it_is_the_same(tmp_path: Path, run: Run) -> None:
    source = medium(tmp_path / "in/CD")
    run(source.parent)
    done = run(source.parent, "--no-run-dir", "--extract", "main", out="bare")
    assert notes(done) == {"dicomdir-rebuilt": 1}
    assert not (tmp_path / "bare.private").exists()
    written = contents(tmp_path / "bare")
    assert {name: content for name, content in written.items() if not name.endswith(".json")} == contents(
        tmp_path / "out"
    )


def test_a_full_disk_is_counted_and_leaves_nothing_half_done(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = medium(tmp_path / "in"), tmp_path / "out"
    with monkeypatch.context() as patch:
        replace = os.replace

        def full(part: Path | str, target: Path | str) -> None:
            if os.fspath(target).endswith("DICOMDIR"):
                raise OSError(errno.ENOSPC, "No space left on device")
            replace(part, target)

        patch.setattr(os, "replace", full)
        done = run(source)
    assert (done.code, notes(done)) == (1, {"documents-failed": 1})
    assert done.account["balances"]
    assert files_below(out) == ["PAT0/IM0", "PAT0/IM1", "PAT1/IM0", "PAT1/IM1"]
    again = run(source)
    assert (again.code, notes(again)) == (0, {"dicomdir-rebuilt": 1})
    assert len(listed(out)) == 4


# What verify says of it


def _edited(change: Callable[[Dataset], object]) -> Callable[[Path], None]:
    def plant(out: Path) -> None:
        data_set = dcmread(out / "DICOMDIR")
        change(data_set)
        data_set.save_as(out / "DICOMDIR")

    return plant


def _led(*parts: str) -> Callable[[Path], None]:
    def lead(data_set: Dataset) -> None:
        data_set.DirectoryRecordSequence[3].ReferencedFileID = list(parts)

    return _edited(lead)


def _named(data_set: Dataset) -> None:
    data_set.DirectoryRecordSequence[0].PatientName = PATIENTS[0][0]


def _with_file_id(data_set: Dataset) -> None:
    data_set.FileSetID = PATIENTS[0][1]


FILE_ID = "(0004,1220)[3].(0004,1500)"
PLANTED: dict[str, tuple[Callable[[Path], None], tuple[str, str, str]]] = {
    "lost": (lambda out: (out / "PAT0/IM0").unlink(), (FILE_ID, "file not there", "reference")),
    "nowhere": (_led("PAT0", "IM7"), (FILE_ID, "file not there", "reference")),
    "outside": (_led("..", "in", "PAT0", "IM0"), (FILE_ID, "file not there", "reference")),
    "absolute": (_led("/etc/passwd"), (FILE_ID, "file not there", "reference")),
    "folder": (_led("PAT0"), (FILE_ID, "file not there", "reference")),
    "another": (_led("PAT0", "IM1"), (FILE_ID, "file is another object", "reference")),
    "itself": (_led("DICOMDIR"), (FILE_ID, "file is another object", "reference")),
    "name": (_edited(_named), ("(0004,1220)[0].(0010,0010)", "patient name", "identifier")),
    "file-set": (_edited(_with_file_id), ("(0004,1130)", "patient id", "identifier")),
}


@pytest.mark.parametrize(("plant", "expected"), PLANTED.values(), ids=PLANTED)
def test_verify_finds_what_is_wrong_in_it(
    tmp_path: Path, run: Run, plant: Callable[[Path], None], expected: tuple[str, str, str]
) -> None:
    source = medium(tmp_path / "in")
    assert run(source, "--verify").code == 0
    plant(tmp_path / "out")
    done = call("verify", source, tmp_path / "out", "-c", tmp_path / "rules.json", "--json", "-", "-q")
    assert done.code == 3
    report: dict[str, list[dict[str, Any]]] = json.loads(done.out)
    found = [(one["element"], one["kind"], one["check"]) for one in report["findings"] if one["file"] == "DICOMDIR"]
    assert found == [expected]


def test_verify_knows_a_patient_whose_folder_a_dicomdir_of_the_source_names(tmp_path: Path, run: Run) -> None:
    source = tmp_path / "in"
    shutil.copytree(TINY.parent, source, ignore=shutil.ignore_patterns("TINY_ALPHA", "DICOMDIR-*"))
    run(source, "--names", "keep")  # a folder is called by the PatientID, and the DICOMDIR lists it
    done = call("verify", source, tmp_path / "out", "-c", tmp_path / "rules.json", "--json", "-", "-q")
    assert done.code == 3
    report: dict[str, list[dict[str, Any]]] = json.loads(done.out)
    assert {(one["kind"], one["file"] == "DICOMDIR") for one in report["findings"]} == {
        ("patient id", True), ("patient id", False),
    }  # fmt: skip
