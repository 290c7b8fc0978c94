"""``verify`` and ``--verify``: a leak planted by hand is found, a clean output is clean, and no value is told."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from tests.acceptance.command import Done, call, files_below, spawn, write_config
from tests.acceptance.conftest import Delivery
from tests.acceptance.test_resume import PATIENTS, picture
from tests.acceptance.test_run import as_anyone
from tests.datasets import file_bytes, image

SECRETS = ("Grubenwald", "Ottoline", "MRN448812", "Okonjovic", "Adaeze", "QX990021")
FAMILY = b"Grubenwald"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of two patients and its clean output."""
    folder = tmp_path_factory.mktemp("verify")
    for patient in range(2):
        for number in range(3):
            path = folder / f"in/{'ab'[patient]}/{number}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(patient, number, BitsStored=12, HighBit=11, PixelData=bytes(32)))
    (folder / "in/a/jpeg.dcm").write_bytes(_jpeg())
    (folder / "in/readme.txt").write_text("no image")
    assert call(folder / "in", folder / "out").code == 0
    return folder


def _jpeg() -> bytes:
    frame = (
        b"\xff\xd8\xff\xfe\0\x12scanner 4 text\0\0\xff\xc0\0\x0b\x08\0\4\0\4\1\1\x11\0\xff\xda\0\x08\1\1\0\0\x3f\0"
        + bytes(range(1, 60))
        + b"\xff\xd9"
    )
    compressed = image(
        PatientName=PATIENTS[0][0], PatientID=PATIENTS[0][1], BitsAllocated=8, BitsStored=8, HighBit=7,
        StudyInstanceUID="1.2.826.0.1.3680043.10.77.1", SeriesInstanceUID="1.2.826.0.1.3680043.10.77.1.7",
        SOPInstanceUID="1.2.826.0.1.3680043.10.77.1.7.1",
    )  # fmt: skip
    compressed.PixelData = encapsulate([frame])
    compressed["PixelData"].VR = "OB"
    compressed["PixelData"].is_undefined_length = True
    return file_bytes(compressed, JPEGBaseline8Bit)


def verify(folder: Path, *more: object) -> Done:
    return call("verify", folder / "in", folder / "out", "--json", "-", "-q", *more)


def findings(done: Done) -> list[dict[str, object]]:
    report: dict[str, list[dict[str, object]]] = json.loads(done.out)
    return report["findings"]


def _edit(change: Callable[[Dataset], object]) -> Callable[[Path], None]:
    def plant(out: Path) -> None:
        data_set = dcmread(out / "a/1.dcm")
        change(data_set)
        data_set.save_as(out / "a/1.dcm")

    return plant


def _private(data_set: Dataset) -> None:
    data_set.private_block(0x0029, "MAKER", create=True).add_new(1, "LO", "of Grubenwald")


def _nested(data_set: Dataset) -> None:
    inner, outer = Dataset(), Dataset()
    inner.CodeMeaning = "prior of Ottoline Grubenwald"
    outer.PurposeOfReferenceCodeSequence = [inner]
    data_set.ReferencedImageSequence = [outer]


def _utf16(data_set: Dataset) -> None:
    data_set.private_block(0x0029, "MAKER", create=True).add_new(1, "OB", b"\1\2" + "Grubenwald".encode("utf-16-le"))


def _bits(data_set: Dataset) -> None:
    pixels = bytearray(data_set.PixelData)
    pixels[1::2] = bytes(value | (0x50 if place % 3 else 0x80) for place, value in enumerate(pixels[1::2]))
    data_set.PixelData = bytes(pixels)


def _preamble(out: Path) -> None:
    content = (out / "a/1.dcm").read_bytes()
    (out / "a/1.dcm").write_bytes(b"II*\0" + FAMILY + content[14:])


def _padding(out: Path) -> None:
    data_set = dcmread(out / "a/1.dcm")
    data_set.DataSetTrailingPadding = bytes(6) + FAMILY
    data_set.save_as(out / "a/1.dcm")


def _behind(out: Path) -> None:
    with open(out / "a/1.dcm", "ab") as file:
        file.write(bytes(4) + FAMILY + bytes(2))


def _name(out: Path) -> None:
    (out / "a/1.dcm").rename(out / "a/grubenwald_1.dcm")


def _comment(out: Path) -> None:
    content = (out / "a/jpeg.dcm").read_bytes()
    at = content.index(b"\xff\xfe\0\x12") + 4
    (out / "a/jpeg.dcm").write_bytes(content[:at] + FAMILY + content[at + len(FAMILY) :])


def _other(out: Path) -> None:
    shutil.copyfile(out.parent / "in/b/1.dcm", out / "a/1.dcm")


def _prior(data_set: Dataset) -> None:
    data_set.ImageComments = "compare OKONJOVIC"


LEAKS: dict[str, Callable[[Path], None]] = {
    "private tag": _edit(_private),
    "nested sequence": _edit(_nested),
    "preamble": _preamble,
    "trailing padding": _padding,
    "bytes behind the Data Set": _behind,
    "file name": _name,
    "JPEG comment": _comment,
    "UTF-16 string": _edit(_utf16),
    "unused high bit": _edit(_bits),
    "another patient's file": _other,
    "another patient's name": _edit(_prior),
    "original UID": _edit(lambda d: setattr(d, "FrameOfReferenceUID", "1.2.826.0.1.3680043.10.77.1.1")),
    "pixels read another way": _edit(lambda d: setattr(d, "PhotometricInterpretation", "MONOCHROME1")),
    "file meta of another object": _edit(lambda d: setattr(d.file_meta, "MediaStorageSOPInstanceUID", "2.25.7")),
    "changed pixels": _edit(lambda d: setattr(d, "PixelData", b"\1" + bytes(31))),
    "missing output": lambda out: (out / "b/2.dcm").unlink(),
}


def test_files_in_folders_that_a_run_left_out_are_not_missed(tmp_path: Path) -> None:
    for name in ("a", "below/b"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(file_bytes(image(SOPInstanceUID=f"1.2.{len(name)}")))
    paths = (tmp_path / "in", tmp_path / "out")
    assert call(*paths, "--type", "folder", "--verify").code == 0
    assert call("verify", *paths, "--type", "folder").code == 0
    assert call("verify", *paths).code == 3


def test_a_clean_output_is_clean(clean: Path) -> None:
    done = verify(clean)
    assert (done.code, findings(done)) == (0, [])
    report = json.loads(done.out)
    assert report["checked"] == 7


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_planted_by_hand_is_found(tmp_path: Path, clean: Path, leak: str) -> None:
    for name in ("in", "out", "out.private"):
        shutil.copytree(clean / name, tmp_path / name)
    LEAKS[leak](tmp_path / "out")
    done = verify(tmp_path)
    assert done.code == 3, done.out + done.err
    found = findings(done)
    assert found
    assert all(one["file"] and one["kind"] for one in found)
    shown = call("verify", tmp_path / "in", tmp_path / "out")
    assert shown.code == 3
    for text in (done.out, done.err, shown.out, shown.err):
        for secret in SECRETS:
            plain = text.replace("grubenwald_1.dcm", "")
            assert secret.lower() not in plain.lower() or leak == "file name"


def test_tokens_of_the_user_count(tmp_path: Path, clean: Path) -> None:
    (tmp_path / "tokens").write_text("study 4711\nMONOCHROME2\n")
    done = verify(clean, "--tokens", tmp_path / "tokens")
    assert done.code == 3
    assert {one["kind"] for one in findings(done)} == {"token"}
    assert "MONOCHROME2" not in done.out


def test_a_mark_before_the_first_token_is_none_of_it(tmp_path: Path) -> None:
    """Editors on Windows put one at the beginning of a file."""
    leaky = image()
    leaky.private_block(0x0099, "ACME", create=True).add_new(1, "OB", b"\1\2\0\0QZ4711K\0\0\xff\0")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.dcm").write_bytes(file_bytes(leaky))
    config = write_config(tmp_path, {"general": {'(0099,xx01,"ACME")': "keep"}})
    assert call(tmp_path / "in", tmp_path / "out", "-c", config).code == 0
    (tmp_path / "tokens").write_bytes("QZ4711K\r\n".encode("utf-8-sig"))
    found = findings(verify(tmp_path, "-c", config, "--tokens", tmp_path / "tokens"))
    assert [(one["element"], one["kind"]) for one in found] == [("(0099,1001)", "token")]


def test_a_sample_looks_at_so_many(clean: Path) -> None:
    report = json.loads(verify(clean, "--sample", 2).out)
    assert report["checked"] == 2
    assert report["findings"] == []


def test_verify_with_the_run(tmp_path: Path, clean: Path) -> None:
    assert call(clean / "in", tmp_path / "out", "--verify").code == 0
    keep = ("--assign", "PatientComments=set(of Grubenwald)")
    leaky = call(clean / "in", tmp_path / "leaky", "--verify", *keep)
    assert leaky.code == 3
    assert "Grubenwald" not in leaky.out + leaky.err


@pytest.mark.parametrize("names", ["safe", "uid"])
def test_the_sample_tree_is_clean(tmp_path: Path, sample_in: Path, names: str) -> None:
    done = call(sample_in, tmp_path / "out", "--names", names, "--verify")
    assert done.code == 0, done.out


@pytest.mark.parametrize("layout", [("--layout", "study", "--extract", "all"), ("--extract", "main")])
def test_words_of_our_own_documents_are_no_leak(tmp_path: Path, layout: tuple[str, ...]) -> None:
    for number, name in enumerate(("Rows^Value", "Mri^Study", "Observer^Verifying", "Special^Elements", "Main^Head")):
        path = tmp_path / f"in/{number}.dcm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file_bytes(image(PatientName=name, PatientID=f"MRN00{number}", AccessionNumber="00280010")))
    (tmp_path / "in/special-file").write_text("no image")
    assert call(tmp_path / "in", tmp_path / "out", "--verify", *layout).code == 0
    assert (verify(tmp_path).code, findings(verify(tmp_path))) == (0, [])
    path = next((tmp_path / "out").rglob("*.json"))
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**content, "version": "of Verifying"}))
    assert [(one["file"], one["element"], one["kind"]) for one in findings(verify(tmp_path))] == [
        (path.relative_to(tmp_path / "out").as_posix(), "file", "patient name")
    ]


def test_our_own_documents_are_known_without_the_run_folder(tmp_path: Path, clean: Path) -> None:
    shutil.copytree(clean / "in", tmp_path / "in")
    words = ("--names", "keep", "--no-run-dir", "--extract", "all")
    assert call(tmp_path / "in", tmp_path / "out", *words).code == 0
    assert list((tmp_path / "out").rglob("*.json"))
    assert findings(verify(tmp_path)) == []


def test_a_withdrawn_patient_whose_output_is_still_there(tmp_path: Path, clean: Path) -> None:
    shutil.copytree(clean / "in", tmp_path / "in")
    assert call(tmp_path / "in", tmp_path / "out").code == 0
    shutil.rmtree(tmp_path / "in/b")
    done = verify(tmp_path)
    assert done.code == 3
    assert [(one["file"], one["kind"]) for one in findings(done)] == [
        (f"b/{number}.dcm", "source is gone: remove this output, or bring the source back") for number in range(3)
    ]
    assert json.loads(done.out)["sources"] == 5
    shutil.rmtree(tmp_path / "out/b")
    assert verify(tmp_path).code == 0


def test_one_file_is_compared_with_its_output(tmp_path: Path, clean: Path) -> None:
    one = clean / "in/a/1.dcm"
    assert call(one, tmp_path / "out", "--verify").code == 0
    assert call("verify", one, tmp_path / "out", "-q").code == 0
    (tmp_path / "copy").mkdir()
    shutil.copyfile(one, tmp_path / "copy/1.dcm")
    assert call("verify", one, tmp_path / "copy", "-q").code == 3
    leaky = ("--assign", "PatientComments=set(of Grubenwald)")
    assert call(one, tmp_path / "leaky", "--verify", *leaky).code == 3
    (tmp_path / "nothing").mkdir()
    assert call("verify", one, tmp_path / "nothing", "-q").code == 3


def test_folders_are_compared(tmp_path: Path, clean: Path) -> None:
    one = clean / "in/a/1.dcm"
    (tmp_path / "empty").mkdir()
    for source, destination, problem in (
        (clean / "in", one, "DST is not a folder"),
        (tmp_path / "empty", clean / "in/b", "SRC holds no DICOM file to compare DST with"),
    ):
        done = call("verify", source, destination, "-q")
        assert (done.code, done.out, done.err) == (2, "", f"error: {problem}\n")
    assert call("verify", tmp_path / "empty", tmp_path / "empty", "-q").code == 0
    (tmp_path / "token").write_text("Grubenwald")
    assert call("verify", tmp_path / "empty", clean / "in/a", "-q", "--tokens", tmp_path / "token").code == 3


def test_a_run_folder_of_another_output_is_refused(tmp_path: Path, clean: Path) -> None:
    for name in (clean / "in", clean / "out.private"):
        shutil.copytree(name, tmp_path / name.name)
    done = call("verify", clean / "in", clean / "out", "--run-dir", tmp_path / "out.private")
    assert done.code == 0
    done = call("verify", clean / "in", tmp_path / "in", "--run-dir", tmp_path / "out.private")
    assert (done.code, done.out, done.err) == (2, "", "error: the run folder has no record of this DST\n")


def test_verify_without_the_key_of_the_run_says_so_and_makes_none(tmp_path: Path, clean: Path, key_file: Path) -> None:
    words = (clean / "in", tmp_path / "out")
    assert call(*words, "--key-file", key_file, "-q").code == 0
    done = call("verify", *words)
    assert done.err.startswith("warning: the run folder holds no key, and there is no --key-file")
    assert not (tmp_path / "out.private/key").exists()
    done = call("verify", *words, "--key-file", key_file)
    assert (done.code, done.err) == (0, "")
    (tmp_path / "other.key").write_text("another key of the right length")
    done = call("verify", *words, "--key-file", tmp_path / "other.key")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: DST was made with another key: give that one with --key-file\n"


def test_rules_that_are_not_those_of_the_run_are_told(tmp_path: Path, clean: Path) -> None:
    kept = ("--assign", "PatientName=keep")
    assert call(clean / "in", tmp_path / "out", *kept, "-q").code == 0
    told = "warning: DST was made with other rules; give those of the run, as what these keep is no finding\n"
    for words, code, err in ((kept, 0, ""), ((), 3, told), (("--preset", "none"), 0, told)):
        done = call("verify", clean / "in", tmp_path / "out", "-q", *words)
        assert (done.code, done.err) == (code, err)


def test_a_run_folder_that_is_not_there_is_told(tmp_path: Path, clean: Path) -> None:
    shutil.copytree(clean / "out", tmp_path / "out")
    done = call("verify", clean / "in", tmp_path / "out")
    assert done.err.startswith("warning: no run folder knows this DST")
    assert call("verify", clean / "in", tmp_path / "out", "-q").err == ""


def test_pydicoms_files_are_clean(tmp_path: Path, real_in: Path, real_out: Delivery) -> None:
    done = call("verify", real_in, real_out.destination, "--json", "-", "-q")
    assert findings(done) == []
    assert done.code == 0
    assert json.loads(done.out)["checked"] == len(real_out.files) == len(files_below(real_out.destination))


@pytest.mark.skipif(sys.platform != "linux", reason="takes a right from root")
def test_a_source_folder_that_the_run_could_not_list_is_accounted_for(tmp_path: Path, clean: Path) -> None:
    shutil.copytree(clean / "in", tmp_path / "in")
    (tmp_path / "in/b").chmod(0)
    words = (tmp_path / "in", tmp_path / "out", "--json", "-", "-q")
    done = spawn(*words, "--verify", preexec_fn=as_anyone)
    again = spawn("verify", *words, preexec_fn=as_anyone)
    (tmp_path / "out.private/not-written.csv").unlink()
    shut = spawn("verify", *words, preexec_fn=as_anyone)
    (tmp_path / "in/b").chmod(0o700)
    assert done.code == 1
    assert done.account["failed"]["reasons"] == {"unreadable": 1}
    assert (again.code, findings(again)) == (0, [])
    assert shut.code == 3
    assert {one["kind"] for one in findings(shut)} == {"no output", "source not readable"}
