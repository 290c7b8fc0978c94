"""Final names on disk: series folders, codes, what is found again, and that nothing is overwritten."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from dicom_anon.arrange import Arranger
from dicom_anon.manifest import Manifest, TreeFacts
from tests.datasets import real_file

STUDY = "2.25.9/anonymised-images"


@pytest.fixture
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manifest]:
    path = tmp_path_factory.mktemp("private") / "manifest.sqlite"
    with contextlib.closing(Manifest(path, path.parent / "out")) as made:
        made.begin(TreeFacts("in", "rules", "key", "11222026", "101112000", "0.1.0"), 0.0)
        yield made


def put(top: Path, path: str, *, uid: str = "2.25.1", description: str = "", number: int | None = None) -> Path:
    data_set = pydicom.dcmread(real_file("CT_small.dcm"))
    data_set.SeriesInstanceUID, data_set.SeriesDescription, data_set.SeriesNumber = uid, description, number
    target = top / path
    target.parent.mkdir(parents=True, exist_ok=True)
    data_set.save_as(target)
    return target


def tree(top: Path) -> list[str]:
    return sorted(path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file())


def test_a_study_is_settled(tmp_path: Path) -> None:
    put(tmp_path, f"{STUDY}/~2.25.1/00001~00000000000000AA.dcm", description="T1")
    put(tmp_path, f"{STUDY}/~2.25.2/00001~00000000000000AB.dcm", uid="2.25.2", description="T1", number=4)
    put(tmp_path, f"{STUDY}/~2.25.2/00001~00000000000000AC.dcm", uid="2.25.2", description="T1", number=4)
    put(tmp_path, f"{STUDY}/~!2.25.3/00000-00000000000000AD.dcm", uid="2.25.3", description="Jane", number=5)
    Arranger(tmp_path, "study").settle()
    assert tree(tmp_path) == [
        f"{STUDY}/5/00000-00000000000000AD.dcm",
        f"{STUDY}/T1-2.25.1/00001.dcm",
        f"{STUDY}/T1/00001-00000000000000AC.dcm",
        f"{STUDY}/T1/00001.dcm",
    ]


def test_settling_again_changes_nothing_and_new_images_join_their_series(tmp_path: Path) -> None:
    put(tmp_path, f"{STUDY}/~2.25.1/00001~00000000000000AB.dcm", description="T1")
    Arranger(tmp_path, "study").settle()
    before = (tmp_path / STUDY / "T1/00001.dcm").read_bytes()
    Arranger(tmp_path, "study").settle()
    assert tree(tmp_path) == [f"{STUDY}/T1/00001.dcm"]
    put(tmp_path, f"{STUDY}/~2.25.1/00001~00000000000000AA.dcm", description="another")
    put(tmp_path, f"{STUDY}/~2.25.1/00002~00000000000000AA.dcm", description="another")
    put(tmp_path, f"{STUDY}/~2.25.2/00001~00000000000000AD.dcm", uid="2.25.2", description="T1", number=2)
    Arranger(tmp_path, "study").settle()
    assert tree(tmp_path) == [
        f"{STUDY}/T1-2/00001.dcm",
        f"{STUDY}/T1/00001-00000000000000AA.dcm",
        f"{STUDY}/T1/00001.dcm",
        f"{STUDY}/T1/00002.dcm",
    ]
    assert (tmp_path / STUDY / "T1/00001.dcm").read_bytes() == before


def test_a_series_of_which_one_description_is_telling_gets_its_number(tmp_path: Path) -> None:
    put(tmp_path, f"{STUDY}/~2.25.1/00001~00000000000000AA.dcm", description="Jane", number=3)
    put(tmp_path, f"{STUDY}/~!2.25.1/00002~00000000000000AB.dcm", description="Jane", number=3)
    Arranger(tmp_path, "study").settle()
    assert tree(tmp_path) == [f"{STUDY}/3/00001.dcm", f"{STUDY}/3/00002.dcm"]


@pytest.mark.parametrize("name", ["00001~00000000000000AA.dcm", "00000-00000000000000AA.dcm"])
def test_outputs_are_found_before_and_after_and_removed(tmp_path: Path, manifest: Manifest, name: str) -> None:
    written_as = f"{STUDY}/~2.25.1/{name}"
    put(tmp_path, written_as, description="T1")
    assert Arranger(tmp_path, "study", manifest).find(written_as) == written_as
    Arranger(tmp_path, "study", manifest).settle()
    arranger = Arranger(tmp_path, "study", manifest)
    assert arranger.find(written_as).startswith(f"{STUDY}/T1/0000")
    (tmp_path / arranger.find(written_as)).unlink()
    assert tree(tmp_path) == []
    assert Arranger(tmp_path, "study", manifest).find(written_as) == ""


def test_of_two_that_wanted_one_name_the_right_one_is_removed(tmp_path: Path, manifest: Manifest) -> None:
    for code in ("AA", "AB"):
        put(tmp_path, f"{STUDY}/~2.25.1/00001~00000000000000{code}.dcm", description="T1")
    Arranger(tmp_path, "study", manifest).settle()
    found = Arranger(tmp_path, "study", manifest).find(f"{STUDY}/~2.25.1/00001~00000000000000AB.dcm")
    (tmp_path / found).unlink()
    assert tree(tmp_path) == [f"{STUDY}/T1/00001.dcm"]


def test_a_folder_that_its_changed_images_have_left_is_free_again(tmp_path: Path, manifest: Manifest) -> None:
    written_as = f"{STUDY}/~2.25.1/00001~00000000000000AA.dcm"
    put(tmp_path, written_as, description="T1")
    Arranger(tmp_path, "study", manifest).settle()
    arranger = Arranger(tmp_path, "study", manifest)
    (tmp_path / arranger.find(written_as)).unlink()
    put(tmp_path, written_as, description="T1")
    arranger.settle()
    assert tree(tmp_path) == [f"{STUDY}/T1/00001.dcm"]


def test_a_name_without_a_code_is_its_last_owners(tmp_path: Path, manifest: Manifest) -> None:
    first, second = (f"{STUDY}/~2.25.1/00001~00000000000000{code}.dcm" for code in ("AA", "AB"))
    for written_as in (first, second):
        put(tmp_path, written_as, description="T1")
        Arranger(tmp_path, "study", manifest).settle()
        assert Arranger(tmp_path, "study", manifest).find(written_as) == f"{STUDY}/T1/00001.dcm"
        (tmp_path / STUDY / "T1/00001.dcm").unlink()
    put(tmp_path, f"{STUDY}/T1/00001.dcm", description="T1")
    assert Arranger(tmp_path, "study", manifest).find(first) == ""
    assert Arranger(tmp_path, "study", manifest).find(second) == f"{STUDY}/T1/00001.dcm"


@pytest.mark.parametrize(("names", "folder"), [("uid", "2.25.9/2.25.1/"), ("mercure", "")])
def test_other_layouts_lose_their_codes(tmp_path: Path, names: str, folder: str) -> None:
    for code in ("AA", "AB"):
        put(tmp_path, f"{folder}2.25.3~00000000000000{code}.dcm")
    put(tmp_path, f"{folder}2.25.4~00000000000000AC.dcm")
    Arranger(tmp_path, names).settle()
    assert tree(tmp_path) == [
        f"{folder}2.25.3-00000000000000AB.dcm",
        f"{folder}2.25.3.dcm",
        f"{folder}2.25.4.dcm",
    ]
