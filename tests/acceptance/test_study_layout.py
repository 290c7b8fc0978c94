"""``--layout study`` and ``--extract``: every file arrives, each under a name of its own, with documents."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pydicom
import pytest

from dicom_anon.objects import POLICIES
from dicom_anon.sample import Sample
from tests.acceptance.command import Done, call, contents, files_below, read, write_config
from tests.datasets import real_file

KEEP = {"general": {"preset": "default", "SeriesDescription": "keep", "AccessionNumber": "set(@fake_acc@)"}}
NAMES = ("T1", "..", "x" * 300, "a/b\\c:d", "", "T1", "con", " .hidden", "ä" * 100, "t1", "~", "2.25.7")

Run: TypeAlias = Callable[..., Done]


def image(folder: Path, name: str, source: str = "CT_small.dcm", **elements: Any) -> None:
    """Write a real file with some elements of its own; `None` removes one."""
    data_set = pydicom.dcmread(real_file(source))
    for keyword, value in elements.items():
        if value is None:
            delattr(data_set, keyword)
        else:
            setattr(data_set, keyword, value)
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    folder.mkdir(parents=True, exist_ok=True)
    with pydicom.config.disable_value_validation():
        data_set.save_as(folder / name)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A study of series with descriptions that no folder can have, of which two have the same."""
    folder = tmp_path / "in"
    for number, description in enumerate(NAMES):
        elements: dict[str, Any] = {
            "SeriesInstanceUID": f"1.2.3.{number}",
            "SeriesNumber": number,
            "StudyInstanceUID": "1.2.3",
        }
        for instance in range(2):
            image(
                folder / str(number),
                f"{instance}.dcm",
                **elements,
                SpecificCharacterSet="ISO_IR 192",
                SeriesDescription=description.split("\\"),
                SOPInstanceUID=f"1.2.3.{number}.{instance}",
                InstanceNumber=instance + 1,
            )
    return folder


@pytest.fixture
def run(tmp_path: Path, key_file: Path) -> Run:
    config = write_config(tmp_path, KEEP)

    def go(source: Path, *options: object, out: str = "out", layout: str = "study") -> Done:
        given = ("--key-file", key_file, "-c", config, "--layout", layout, "--json", "-", *options)
        return call(source, tmp_path / out, *given)

    return go


def study_of(tmp_path: Path, out: str = "out") -> Path:
    [study] = [path for path in (tmp_path / out).iterdir() if not path.name.startswith(".")]
    return study


def uids(folder: Path) -> Counter[str]:
    return Counter(str(read(folder / name).SOPInstanceUID) for name in files_below(folder) if name.endswith(".dcm"))


def test_all_series_arrive_whatever_their_descriptions(tmp_path: Path, source: Path, run: Run) -> None:
    done = run(source)
    assert done.code == 0
    study = study_of(tmp_path)
    folders = sorted(os.listdir(study / "anonymised-images"))
    assert len(folders) == len(NAMES)
    assert len({name.casefold() for name in folders}) == len(NAMES)
    assert {"T1", "T1-5", "t1-9", "x" * 60, "a_b_c_d", "1", "4", "_con", "10"} <= set(folders)
    assert all(os.listdir(study / "anonymised-images" / name) for name in folders)
    assert all(sorted(os.listdir(study / "anonymised-images" / name)) == ["00001.dcm", "00002.dcm"] for name in folders)
    assert sorted(os.listdir(study / "extracted-data")) == sorted(f"{name}.json" for name in folders)
    assert sorted(os.listdir(study)) == ["anonymised-images", "extracted-data", "task.json"]
    found = uids(study)
    assert (len(found), set(found.values())) == (2 * len(NAMES), {1})
    [uid] = {read(study / name).StudyInstanceUID for name in files_below(study) if name.endswith(".dcm")}
    assert study.name == uid


def test_instance_numbers_that_repeat_or_lack_get_a_suffix(tmp_path: Path, run: Run) -> None:
    for place, number in enumerate((1, 2, 2, 3, None)):
        image(tmp_path / "in", f"{place}.dcm", SOPInstanceUID=f"1.2.3.{place}", InstanceNumber=number)
    assert run(tmp_path / "in").code == 0
    [folder] = (study_of(tmp_path) / "anonymised-images").iterdir()
    names = sorted(os.listdir(folder))
    assert len(names) == len(uids(folder)) == 5
    assert [name for name in names if re.fullmatch(r"\d{5}\.dcm", name)] == [
        "00001.dcm",
        "00002.dcm",
        "00003.dcm",
    ]
    assert [name[:6] for name in names if re.fullmatch(r"\d{5}-[0-9A-F]{16}\.dcm", name)] == [
        "00000-",
        "00002-",
    ]


@pytest.mark.parametrize("digits", [14, 300, 5000])
def test_a_number_of_more_digits_than_it_can_have_is_none(tmp_path: Path, run: Run, digits: int) -> None:
    number = b"IS" + digits.to_bytes(2, "little") + b"1" * digits
    for place, tag in enumerate((b"\x20\0\x13\0", b"\x20\0\x11\0")):
        path = tmp_path / "in" / f"{place}.dcm"
        image(path.parent, path.name, SeriesInstanceUID=f"1.2.{place}", SOPInstanceUID=f"1.2.3.{place}",
              InstanceNumber=1, SeriesNumber=1)  # fmt: skip
        content = path.read_bytes()
        assert content.count(tag + b"IS\x02\x001 ") == 1
        path.write_bytes(content.replace(tag + b"IS\x02\x001 ", tag + number))
    assert run(tmp_path / "in").code == 0
    folder = study_of(tmp_path) / "anonymised-images"
    [first, second] = files_below(folder)
    assert re.fullmatch(r"1/00000-[0-9A-F]{16}\.dcm", first)
    assert second == os.path.join("series", "00001.dcm")


@pytest.mark.parametrize("options", [("--layout", "study"), ("--names", "uid")])
def test_two_sources_of_one_sop_instance_uid_both_arrive(
    tmp_path: Path, key_file: Path, options: tuple[str, ...]
) -> None:
    for place in range(3):
        image(tmp_path / "in" / str(place), "same.dcm", SliceThickness=place + 1)
    done = call(tmp_path / "in", tmp_path / "out", "--key-file", key_file, "--json", "-", *options)
    assert done.code == 0
    images = [name for name in files_below(tmp_path / "out") if name.endswith(".dcm")]
    assert sorted(int(read(tmp_path / "out" / name).SliceThickness) for name in images) == [1, 2, 3]
    again = call(tmp_path / "in", tmp_path / "out", "--key-file", key_file, "--json", "-", *options)
    assert again.account["unchanged"]["files"] == 3


def test_the_same_whoever_was_first_and_however_many_worked(tmp_path: Path, source: Path, run: Run) -> None:
    for place in range(30):
        image(source / "again", f"{place}.dcm", SOPInstanceUID=f"1.2.4.{place}", InstanceNumber=place % 4)
    for place in range(401):
        (source / "text").mkdir(exist_ok=True)
        (source / "text" / str(place)).write_text("so many that workers are started")
    assert run(source, "-j", "1", out="one").code == 0
    assert run(source, "-j", "2", out="two").code == 0
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert {name: content for name, content in one.items() if not name.endswith("task.json")} == {
        name: content for name, content in two.items() if not name.endswith("task.json")
    }
    assert len(one) == len(two)


def test_a_run_that_goes_on_leaves_names_as_they_are(tmp_path: Path, source: Path, run: Run) -> None:
    assert run(source).code == 0
    before = {name: content for name, content in contents(tmp_path / "out").items() if name.endswith(".dcm")}
    again = run(source)
    assert again.account["unchanged"]["files"] == 2 * len(NAMES)
    image(
        source / "new", "x.dcm",
        StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.0", SOPInstanceUID="1.2.3.0.9",
        SeriesDescription="T1", SeriesNumber=0, InstanceNumber=1,
    )  # fmt: skip
    assert run(source).account["written"]["files"] == 1
    after = contents(tmp_path / "out")
    assert {name: content for name, content in after.items() if name in before} == before
    assert len([name for name in after if name.endswith(".dcm")]) == len(before) + 1
    assert not [name for name in after if "~" in name]
    first = json.loads((study_of(tmp_path) / "extracted-data" / "T1.json").read_text("utf-8"))
    assert first["NumberOfInstances"] == 3


def test_a_changed_source_replaces_its_own_output_only(tmp_path: Path, run: Run) -> None:
    for place in range(2):
        image(
            tmp_path / "in",
            f"{place}.dcm",
            SOPInstanceUID=f"1.2.3.{place}",
            InstanceNumber=1,
            KVP=place + 100,
        )
    assert run(tmp_path / "in").code == 0
    image(tmp_path / "in", "0.dcm", SOPInstanceUID="1.2.3.0", InstanceNumber=1, KVP=150)
    os.utime(tmp_path / "in" / "0.dcm", (1, 1))
    assert run(tmp_path / "in").account["written"]["files"] == 1
    images = [name for name in files_below(tmp_path / "out") if name.endswith(".dcm")]
    assert sorted(int(read(tmp_path / "out" / name).KVP) for name in images) == [101, 150]


def test_afresh_removes_all_that_is_ours_and_refuses_what_is_not(tmp_path: Path, source: Path, run: Run) -> None:
    assert run(source).code == 0
    assert run(source, "--overwrite").code == 0
    names = files_below(tmp_path / "out")
    (study_of(tmp_path) / "notes.txt").write_text("of a reader")
    refused = run(source, "--overwrite")
    assert refused.code == 2
    assert "no run of ours" in refused.err
    assert len(names) == 3 * len(NAMES) + 1


def test_a_run_that_ends_early_leaves_pending_names_and_the_next_settles_them(
    tmp_path: Path, source: Path, run: Run
) -> None:
    (source / "9" / "zz.dcm").write_bytes(real_file("CT_small.dcm").read_bytes()[:-3000])
    early = run(source, "--on-error", "fail")
    assert early.code == 1
    assert early.account["notes"]["folder-names-pending"] == 1
    pending = files_below(tmp_path / "out")
    assert pending
    assert all("~" in name for name in pending)
    (source / "9" / "zz.dcm").unlink()
    assert run(source).code == 0
    names = files_below(tmp_path / "out")
    assert not [name for name in names if "~" in name]
    assert len(uids(tmp_path / "out")) == 2 * len(NAMES)


def test_a_description_that_names_the_patient_names_no_folder(tmp_path: Path, run: Run) -> None:
    image(
        tmp_path / "in",
        "1.dcm",
        PatientName="Quarkstein^Adalbert",
        SeriesDescription="Knee of QUARKSTEIN",
        SeriesNumber=8,
    )
    assert run(tmp_path / "in").code == 0
    assert os.listdir(study_of(tmp_path) / "anonymised-images") == ["8"]


def test_by_default_descriptions_go_and_numbers_name_the_folders(tmp_path: Path, source: Path, key_file: Path) -> None:
    done = call(source, tmp_path / "out", "--key-file", key_file, "--layout", "study")
    assert done.code == 0
    folders = os.listdir(study_of(tmp_path) / "anonymised-images")
    assert sorted(folders, key=int) == [str(number) for number in range(len(NAMES))]


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory, sample_in: Path, key_file: Path) -> Path:
    out = tmp_path_factory.mktemp("study") / "out"
    assert call(sample_in, out, "--key-file", key_file, "--layout", "study", "--extract", "all", "--verify").code == 0
    return out


def documents(out: Path) -> dict[str, Any]:
    return {
        name: json.loads((out / name).read_text("utf-8"), parse_constant=lambda constant: pytest.fail(constant))
        for name in files_below(out)
        if name.endswith(".json")
    }


def test_documents_hold_nothing_that_the_outputs_do_not(laid_out: Path, sample: Sample) -> None:
    for name in documents(laid_out):
        text = (laid_out / name).read_text("utf-8").casefold()
        assert not [token for token in sample.planted if token.casefold() in text + name.casefold()]


def test_the_account_of_a_study_adds_up(laid_out: Path, sample: Sample) -> None:
    tasks = {name: one for name, one in documents(laid_out).items() if name.endswith("task.json")}
    assert sum(one["counts"]["instances"] for one in tasks.values()) == sample.files
    for name, one in tasks.items():
        study = laid_out / os.path.dirname(name)
        assert one["StudyInstanceUID"] == study.name
        assert one["counts"]["series"] == len(one["series"]) == len(os.listdir(study / "anonymised-images"))
        for series in one["series"]:
            folder = study / "anonymised-images" / series["folder"]
            assert series["NumberOfInstances"] == len(os.listdir(folder))
            found = {str(read(folder / image).SeriesInstanceUID) for image in os.listdir(folder)}
            assert found == {series["SeriesInstanceUID"]}
        assert one["preset"] == "default"
        assert re.fullmatch(r"[0-9a-f]{64}", one["rules"])
        assert one["started"] <= one["ended"]
        assert one["run"]["written"]["files"] == sample.files


def options_told(folder: Path) -> dict[str, Any]:
    [task] = [one for name, one in documents(folder).items() if name.endswith("task.json")]
    found: dict[str, Any] = task["options"]
    return found


def test_the_account_of_a_study_tells_the_options_that_were_in_force(tmp_path: Path, key_file: Path) -> None:
    image(tmp_path / "in", "1.dcm")
    given = {"preset": "tcia", "remove_safe_tags": "true", "remove_curves": "false",
             "profile_options": ["retain_device_identity"], "objects": {"sr": "drop"},
             "date_shift": {"days": -4711}}  # fmt: skip
    config = write_config(tmp_path, {"general": given})
    done = call(tmp_path / "in", tmp_path / "out", "--key-file", key_file, "--layout", "study", "-c", config)
    assert done.code == 0
    told = options_told(tmp_path / "out")
    assert told == {
        "remove_unknown_tags": True, "remove_safe_tags": True, "remove_curves": False, "remove_overlays": True,
        "profile_options": told["profile_options"], "objects": {**POLICIES, "sr": "drop"},
        "layout": "study", "extract": "main",
    }  # fmt: skip
    assert "retain_device_identity" in told["profile_options"]
    assert "4711" not in json.dumps(documents(tmp_path / "out")), "who knows the days knows the dates"
    done = call(tmp_path / "in", tmp_path / "all", "--key-file", key_file, "--layout", "study", "--preset", "none")
    assert done.code == 0
    told = options_told(tmp_path / "all")
    assert not any(told[name] for name in told if name.startswith("remove_"))


def test_extracted_data_of_a_series_is_that_of_its_images(laid_out: Path) -> None:
    compared = 0
    for name, one in documents(laid_out).items():
        if name.endswith("task.json"):
            continue
        study, folder = (
            laid_out / os.path.dirname(os.path.dirname(name)),
            os.path.basename(name).removesuffix(".json"),
        )
        images = [read(path) for path in sorted((study / "anonymised-images" / folder).iterdir())]
        assert one["NumberOfInstances"] == len(images)
        for keyword in ("Modality", "PatientID", "Rows", "SOPClassUID"):
            values = {image.get(keyword) for image in images}
            if len(values) == 1 and None not in values:
                [told] = one["elements"][keyword]["Value"]
                assert str(told) == str(values.pop())
                compared += 1
    assert compared > 60


@pytest.mark.parametrize("names", ["safe", "uid"])
def test_other_layouts_extract_beside_the_images(tmp_path: Path, source: Path, run: Run, names: str) -> None:
    options = ("--names", names, "--extract", "Modality,InstanceNumber")
    assert run(source, *options, layout="mirror").code == 0
    found = documents(tmp_path / "out")
    assert len(found) == len(NAMES)
    for name, one in found.items():
        folder = tmp_path / "out" / os.path.dirname(name)
        images = [read(path) for path in folder.iterdir() if path.suffix == ".dcm"]
        assert {str(image.SeriesInstanceUID) for image in images} == {one["SeriesInstanceUID"]}
        assert set(one["elements"]) == {"Modality", "InstanceNumber"}
        assert one["elements"]["InstanceNumber"]["Maximum"] == [2]
    again = run(source, *options, layout="mirror")
    assert again.code == 0
    assert set(documents(tmp_path / "out")) == set(found)


def test_a_series_in_two_folders_has_one_document(tmp_path: Path, run: Run) -> None:
    for place in range(3):
        image(tmp_path / "in" / str(place), "x.dcm", SOPInstanceUID=f"1.2.3.{place}", InstanceNumber=place)
    assert run(tmp_path / "in", "--extract", "main", layout="mirror").code == 0
    [(name, one)] = documents(tmp_path / "out").items()
    assert os.path.dirname(name) == "0"
    assert one["NumberOfInstances"] == 3


def test_nothing_is_extracted_unless_asked_for(tmp_path: Path, source: Path, run: Run) -> None:
    assert run(source, layout="mirror").code == 0
    assert documents(tmp_path / "out") == {}
    assert run(source, "--dry-run", "--extract", "all", out="dry").code == 0
    assert not (tmp_path / "dry").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--extract", "Modalty"), 'did you mean "Modality"'),
        (("--extract", "Modality,OverlayData"), "such as 60003000"),
        (("--names", "uid"), "names of its own"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(
    tmp_path: Path, source: Path, run: Run, options: tuple[str, ...], problem: str
) -> None:
    done = run(source, *options)
    assert done.code == 2
    assert problem in done.err
    assert not (tmp_path / "out").exists()


def test_accession_numbers_lead_to_the_new_studies(tmp_path: Path, run: Run) -> None:
    for place, accession in enumerate(("0042", "42", "A-7")):
        image(
            tmp_path / "in", f"{place}.dcm", AccessionNumber=accession, StudyInstanceUID=f"1.2.{place}",
            SeriesInstanceUID=f"1.3.{place}", SOPInstanceUID=f"1.4.{place}", SliceThickness=place,
        )  # fmt: skip
    crosswalk = tmp_path / "crosswalk.csv"
    assert run(tmp_path / "in", "--crosswalk", crosswalk).code == 0
    (tmp_path / "list.csv").write_text("Site,ACCESSION-NUMBER\nUlm,0042\nUlm,42\nBonn,042\n", "utf-8")
    given = ("lookup", "--accessions", tmp_path / "list.csv", "--crosswalk", crosswalk)
    done = call(*given)
    assert done.code == 0
    assert "3 accession numbers, 1 unknown" in done.err
    rows = list(csv.DictReader(done.out.splitlines()))
    assert [row["ACCESSION-NUMBER"] for row in rows] == ["0042", "42", "042"]
    for place, row in enumerate(rows[:2]):
        [image_of] = [name for name in files_below(tmp_path / "out" / row["ANON-StudyUID"]) if name.endswith(".dcm")]
        assert read(tmp_path / "out" / row["ANON-StudyUID"] / image_of).SliceThickness == place
    assert rows[2]["ANON-StudyUID"] == ""
    assert call(*given, "--out", tmp_path / "joined.csv").out == ""
    assert list(csv.DictReader((tmp_path / "joined.csv").open(encoding="utf-8", newline=""))) == rows
    assert call(*given, "--out", tmp_path / "joined.csv").code == 2


def test_ctrl_c_while_the_documents_are_written_keeps_the_account(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dicom_anon.api.write_documents", interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        done = call(source, tmp_path / "out", "--layout", "study", "--json", "-")
    finally:
        signal.signal(signal.SIGINT, before)  # the command lets nothing interrupt its last words
    assert done.code == 130
    assert done.account["notes"]["documents-failed"] == 1
    assert done.account["written"]["files"] > 0
    assert done.account["balances"]
