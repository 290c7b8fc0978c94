"""The module of mercure, run as mercure runs it: tasks laid out from real files, and what OUT holds then."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import VLWholeSlideMicroscopyImageStorage

from dicom_anon.assignment import Assignment
from dicom_anon.mercure import WORK, run_module
from tests.acceptance.command import ROOT, Done, call, environment, files_below, finish, read, start
from tests.datasets import real_file

VECTORS = json.loads((ROOT / "tests/data/hash_acc_vectors.json").read_text("utf-8"))
SERIES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "JPEG2000.dcm",
    "emri_small.dcm",
    "rtplan.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
)
FLAT = re.compile(r"(2\.25\.\d+)#(2\.25\.\d+)\.dcm")
INFO = {
    "action": "both",
    "uid": "1.2.3.4",
    "uid_type": "series",
    "triggered_rules": "",
    "applied_rule": "quarkstein-rule",
    "patient_name": "Quarkstein^Adalbert",
    "mrn": "MRN-774411",
    "acc": "ACC-998877",
    "sender_address": "10.11.12.13",
    "mercure_version": "0.4.0",
    "mercure_appliance": "ward",
    "mercure_server": "host-of-ward",
    "device_serial_number": "SN-5544",
}
PLANTED = (
    "Quarkstein",
    "Adalbert",
    "MRN-774411",
    "ACC-998877",
    "SN-5544",
    "10.11.12.13",
    "host-of-ward",
    "19610203",
)


class Task:
    """A task folder of mercure: ``in`` and ``out``."""

    def __init__(self, top: Path, settings: dict[str, Any] | None = None, **process: Any) -> None:
        self.source, self.out = top / "in", top / "out"
        self.source.mkdir(parents=True)
        self.out.mkdir()
        step = {
            "module_name": "anon",
            "settings": settings or {},
            "retain_input_images": False,
            "output": None,
        }
        content = {"id": "9f0d", "info": INFO, "dispatch": {}, "process": {**step, **process}, "study": {}}
        (self.source / "task.json").write_text(json.dumps(content), "utf-8")
        self.originals: list[Dataset] = []

    def add(self, image: Path | Dataset, *, aet: str | None = "AZ_KNEE", stem: str = "", **elements: Any) -> None:
        """Receive an image under a title; `None` leaves its ``.tags`` out."""
        data_set = pydicom.dcmread(image) if isinstance(image, Path) else image
        for keyword, value in {**identity(), **elements}.items():
            setattr(data_set, keyword, value)
        data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
        name = f"{data_set.get('SeriesInstanceUID', '')}#{stem or f'Quarkstein.{len(self.originals)}'}"
        data_set.save_as(self.source / f"{name}.dcm")
        if aet is not None:
            tags = {"PatientName": "Quarkstein^Adalbert", "ReceiverAET": aet}
            (self.source / f"{name}.tags").write_text(json.dumps(tags))
        self.originals.append(data_set)

    def run(self) -> Done:
        """Run the module, and check what holds always: no patient in the log, all or nothing."""
        before = {name: (self.source / name).read_bytes() for name in files_below(self.source)}
        done = call("mercure", self.source, self.out)
        assert {name: (self.source / name).read_bytes() for name in files_below(self.source)} == before
        assert not [text for text in PLANTED if text.lower() in (done.out + done.err).lower()]
        assert not [name for name in os.listdir(self.out) if name.startswith(".")]
        assert (done.code == 0) == bool(os.listdir(self.out))
        return done

    def outputs(self) -> list[Dataset]:
        """Images in OUT, whose names are those of their UIDs."""
        found = []
        for name in sorted(os.listdir(self.out)):
            match = FLAT.fullmatch(name)
            assert match, name
            data_set = read(self.out / name)
            assert (data_set.SeriesInstanceUID, data_set.SOPInstanceUID) == match.groups()
            assert data_set.file_meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
            found.append(data_set)
        return found


def identity() -> dict[str, Any]:
    return {
        "PatientName": "Quarkstein^Adalbert",
        "PatientID": "MRN-774411",
        "PatientBirthDate": "19610203",
        "AccessionNumber": "ACC-998877",
        "DeviceSerialNumber": "SN-5544",
    }


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return Task(tmp_path, {"general": {"preset": "default"}, "knee": {"(0010,0010)": "set(@fake_name@)"}})


def test_a_series(task: Task) -> None:
    for number in range(4):
        task.add(real_file("CT_small.dcm"), SOPInstanceUID=f"1.2.3.{number}", InstanceNumber=number)
    done = task.run()
    assert done.code == 0
    outputs = task.outputs()
    assert len(outputs) == 4
    assert len({one.SeriesInstanceUID for one in outputs}) == 1
    assert {one.InstanceNumber for one in outputs} == {0, 1, 2, 3}
    assert all(re.fullmatch(r"[A-Z][a-z]+\^[A-Z][a-z]+(\^\^\^)?", str(one.PatientName)) for one in outputs)
    content = b"".join((task.out / name).read_bytes() for name in os.listdir(task.out))
    assert not [text for text in PLANTED if text.encode() in content]


def test_a_study_of_several_series_of_many_kinds(task: Task) -> None:
    for name in SERIES:
        task.add(real_file(name), StudyInstanceUID="1.2.3.9")
    assert task.run().code == 0
    outputs = task.outputs()
    assert len(outputs) == len(SERIES)
    assert len({one.StudyInstanceUID for one in outputs}) == len({one.PatientID for one in outputs}) == 1
    assert Counter(one.SOPClassUID for one in outputs) == Counter(one.SOPClassUID for one in task.originals)


def test_a_module_behind_others_has_no_tags(tmp_path: Path) -> None:
    task = Task(tmp_path, {"knee": {"StudyDescription": "set(knee)"}})
    content = json.loads((task.source / "task.json").read_text())
    content["info"]["receiver_aet"] = "AZ_Knee"
    (task.source / "task.json").write_text(json.dumps(content))
    (task.source / "output_raw.json").write_text("{}")
    task.add(real_file("MR_small.dcm"), aet=None)
    assert task.run().code == 0
    assert [one.StudyDescription for one in task.outputs()] == ["knee"]


def test_two_images_of_one_uid_both_arrive(tmp_path: Path) -> None:
    task = Task(tmp_path)
    task.add(real_file("CT_small.dcm"), SOPInstanceUID="1.2.3.1", InstanceNumber=1)
    task.add(real_file("CT_small.dcm"), SOPInstanceUID="1.2.3.1", InstanceNumber=2)
    assert task.run().code == 0
    names = sorted(os.listdir(task.out))
    assert len(names) == 2
    assert sum(FLAT.fullmatch(name) is not None for name in names) == 1
    assert all(re.fullmatch(r"2\.25\.\d+#2\.25\.\d+(-[0-9A-F]{16})?\.dcm", name) for name in names)
    assert {read(task.out / name).InstanceNumber for name in names} == {1, 2}


def test_the_patient_of_today_is_the_patient_of_tomorrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "persistence").mkdir()
    found = []
    for day, kept in (("a", True), ("b", True), ("c", False)):
        task = Task(tmp_path / day)
        task.add(real_file("CT_small.dcm"), SeriesInstanceUID=f"1.2.3.{ord(day)}", StudyInstanceUID="1.2.3")
        monkeypatch.setenv("MODULE_PERSISTENCE_DIR", str(tmp_path / "persistence") if kept else "")
        assert task.run().code == 0
        found.append(task.outputs()[0])
    today, tomorrow, apart = found
    assert (today.PatientID, today.StudyInstanceUID) == (tomorrow.PatientID, tomorrow.StudyInstanceUID)
    assert today.SeriesInstanceUID != tomorrow.SeriesInstanceUID
    assert apart.StudyInstanceUID != today.StudyInstanceUID


def test_a_persistent_folder_that_is_not_there_is_a_failure(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    task.add(real_file("CT_small.dcm"))
    monkeypatch.setenv("MODULE_PERSISTENCE_DIR", "/none")
    assert task.run().code != 0


SETTINGS_OF_THE_MANUAL: list[dict[str, Any]] = [
    {"general": {"preset": "default"}, "project1": {"preset": "none"}},
    {"general": {"(0010,1001)": "remove", "(0010,0010)": "set(@fake_name@)"}},
    {
        "general": {
            "remove_unknown_tags": "true",
            "remove_safe_tags": "false",
            "remove_curves": "true",
            "remove_overlays": "true",
            "print_assignment": "true",
        },
        "project1": {
            "name": "Study One",
            "owner": "abc123",
            "prefix": "S1",
            "(0008,1030)": "set(@project_name@ of @project_owner@)",
            "(0010,0010)": "set(@fake_name@)",
            "(0010,0020)": "set(@project_prefix@-@fake_mrn@)",
            "(0008,0050)": "set(@fake_acc@)",
            "(0010,0030)": "truncdate",
            "(0020,000d)": "set(@random_uid@)",
            "(0020,4000)": "set(@process_date@ @process_time@)",
            "(0008,103e)": "set(@value@)",
            "(0018,1030)": "set(@value(0008,0060)@)",
        },
    },
]


@pytest.mark.parametrize("settings", SETTINGS_OF_THE_MANUAL)
@pytest.mark.parametrize("aet", ["project1", "AZ_PROJECT1", "other"])
def test_settings_of_mercures_manual_run_unchanged(tmp_path: Path, settings: dict[str, Any], aet: str) -> None:
    task = Task(tmp_path, settings)
    task.add(real_file("CT_small.dcm"), aet=aet, SeriesDescription="Thorax")
    done = task.run()
    assert done.code == 0
    [output] = task.outputs()
    project = settings.get("project1", {}) if aet != "other" else {}
    kept = project.get("preset") == "none"
    assert (output.PatientName == "Quarkstein^Adalbert") == kept
    if "prefix" in project:
        assert output.PatientID.startswith("S1-")
        assert (output.PatientBirthDate, output.SeriesDescription) == ("19610101", "Thorax")
        assert (output.StudyDescription, output.ProtocolName) == ("Study One of abc123", "CT")
    if settings["general"].get("print_assignment"):
        assert re.search(r"^ *\(0010,0030\): CMD=", done.out, re.MULTILINE)


def test_accessions_hash_as_in_mercure(tmp_path: Path) -> None:
    assert len(VECTORS) > 8
    for number, vector in enumerate(VECTORS):
        knee = {"name": vector["name"], "owner": vector["owner"], "(0008,0050)": "set(@hash_acc@)"}
        task = Task(tmp_path / str(number), {"knee": knee})
        task.add(real_file("CT_small.dcm"), SpecificCharacterSet="ISO_IR 192", AccessionNumber=vector["accession"])
        assert task.run().code == 0
        assert [one.AccessionNumber for one in task.outputs()] == [vector["hash_acc"]]


def test_result_json_on_request_tells_counts_only(tmp_path: Path) -> None:
    task = Task(tmp_path, {"notify": "true"})
    task.add(real_file("CT_small.dcm"))
    assert task.run().code == 0
    text = (task.out / "result.json").read_text("utf-8")
    result = json.loads(text)
    assert result["images"] == 1
    assert result["__mercure_notification"]["requested"] is True
    assert "1 images" in result["__mercure_notification"]["text"]
    assert not [planted for planted in PLANTED if planted in text]
    assert len(os.listdir(task.out)) == 2


def test_what_the_rules_drop_is_told(tmp_path: Path) -> None:
    task = Task(tmp_path, {"notify": "true"})
    task.add(real_file("CT_small.dcm"))
    slide = pydicom.dcmread(real_file("CT_small.dcm"))
    slide.SOPClassUID = slide.file_meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    task.add(slide, SOPInstanceUID="1.2.3.4", ImageType=["ORIGINAL", "PRIMARY", "LABEL", "NONE"])
    done = task.run()
    assert done.code == 0
    assert "1 images de-identified" in done.out
    assert "1 object-dropped" in done.out
    result = json.loads((task.out / "result.json").read_text("utf-8"))
    assert (result["images"], result["dropped"]) == (1, 1)
    assert "1 dropped by the rules" in result["__mercure_notification"]["text"]


WHOLE = real_file("CT_small.dcm").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("1.2.3#Quarkstein.dcm", WHOLE[:-1000], "1 truncated"),
        ("1.2.3#Quarkstein", WHOLE[:-1000], "1 truncated"),
        ("1.2.3#Quarkstein.dcm", b"text that is no image" * 20, "1 not-dicom"),
        ("1.2.3#Quarkstein.dcm", b"", "1 not-dicom"),
    ],
)
def test_one_image_that_cannot_be_done_leaves_nothing(task: Task, name: str, content: bytes, told: str) -> None:
    task.add(real_file("MR_small.dcm"))
    (task.source / name).write_bytes(content)
    done = task.run()
    assert done.code == 1
    because = "nothing is passed on, since not all images could be de-identified"
    assert done.err == f"error: {because}: {told}\n", "the .tags and task.json, which are no images, are not counted"


def test_a_document_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object) -> None:
        raise OSError

    monkeypatch.setattr("dicom_anon.documents.write_whole", refused)
    task = Task(tmp_path, {"layout": "study"})
    task.add(real_file("MR_small.dcm"))
    done = task.run()
    assert done.code == 1
    assert done.err.endswith(": 1 documents-failed\n")


def test_nothing_in_means_failure(tmp_path: Path) -> None:
    done = Task(tmp_path).run()
    assert done.code == 1
    assert "no image in IN" in done.err


@pytest.mark.parametrize(
    "content",
    [
        {"process": {"settings": {}, "retain_input_images": True}},
        {"process": {"settings": {"general": {"preset": "defaults"}}}},
        {"process": {"settings": {"general": {"(0010,0010)": "keepX"}}}},
        {"process": {"settings": {"PatientSex": "clear", "preset": "basic"}}},
        {"process": {"settings": {"general": {}, "PatientNme": "clear"}}},
        {"process": {"settings": {"genral": {"PatientSex": "clear"}}}},
        {"process": {"settings": {"layout": "tree"}}},
        {"process": {"settings": {"extract": "Modalty"}}},
        [],
    ],
)
def test_a_task_that_is_wrong_leaves_nothing(task: Task, content: Any) -> None:
    task.add(real_file("CT_small.dcm"))
    (task.source / "task.json").write_text(json.dumps(content))
    done = task.run()
    assert done.code == 2
    assert done.err.startswith("error: ")


def test_originals_named_by_patients_are_not_named_in_errors(task: Task) -> None:
    task.add(real_file("CT_small.dcm"))
    (task.source / "Quarkstein.dcm").symlink_to(task.source / "task.json")
    assert task.run().code == 1


def test_what_a_killed_run_left_is_removed(task: Task) -> None:
    task.add(real_file("CT_small.dcm"))
    work = task.out / ".dicom-anon-work"
    (work / "images").mkdir(parents=True)
    (work / "images" / "half.dcm").touch()
    (work / "published").write_text(json.dumps(["1#2.dcm", "study"]))
    (task.out / "1#2.dcm").touch()
    (task.out / "study" / "images").mkdir(parents=True)
    assert task.run().code == 0
    assert len(task.outputs()) == 1


def test_what_is_not_there_yet_is_the_owners_alone(tmp_path: Path) -> None:
    task = Task(tmp_path, {"general": {"print_assignment": "true"}})
    task.add(real_file("CT_small.dcm"))
    modes = []

    def show(assignment: Assignment) -> None:
        modes.append(stat.S_IMODE(os.stat(task.out / WORK).st_mode))

    run_module(task.source, task.out, None, lambda line: None, show)
    assert (modes, len(task.outputs())) == ([0o700], 1)


def test_files_of_others_in_out_are_not_touched(task: Task) -> None:
    task.add(real_file("CT_small.dcm"))
    (task.out / "other.dcm").write_text("of others")
    assert call("mercure", task.source, task.out).code == 2
    assert os.listdir(task.out) == ["other.dcm"]


def test_folders_are_those_of_the_environment(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    task.add(real_file("CT_small.dcm"))
    assert call("mercure").code == 2
    monkeypatch.setenv("MERCURE_IN_DIR", str(task.source))
    monkeypatch.setenv("MERCURE_OUT_DIR", str(task.out))
    assert call("mercure").code == 0
    assert len(task.outputs()) == 1


def test_in_and_out_must_be_apart(task: Task) -> None:
    task.add(real_file("CT_small.dcm"))
    for out in (task.source, task.source / "out", task.source.parent):
        assert call("mercure", task.source, out).code == 2
    assert "out" not in os.listdir(task.source)


def many(task: Task, count: int) -> None:
    task.add(real_file("CT_small.dcm"))
    [name] = [name for name in os.listdir(task.source) if name.endswith(".dcm")]
    content = (task.source / name).read_bytes()
    for number in range(count - 1):
        (task.source / f"1.2.3#{number}.dcm").write_bytes(content)


def test_a_task_for_worker_processes(task: Task) -> None:
    many(task, 450)
    assert task.run().code == 0
    assert len(os.listdir(task.out)) == 450


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_task_that_is_stopped_leaves_nothing(task: Task, number: signal.Signals) -> None:
    many(task, 1500)
    process = start("mercure", task.source, task.out)
    images = task.out / ".dicom-anon-work" / "images"
    while process.poll() is None and not (images.is_dir() and any(images.iterdir())):
        time.sleep(0.02)
    process.send_signal(number)
    done = finish(process)
    assert done.code == 128 + number
    assert os.listdir(task.out) == []
    assert "Traceback" not in done.err


def test_a_task_that_is_killed_is_done_anew(task: Task) -> None:
    many(task, 450)
    process = start("mercure", task.source, task.out)
    images = task.out / ".dicom-anon-work" / "images"
    while process.poll() is None and not (images.is_dir() and any(images.iterdir())):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    assert os.listdir(task.out) == [".dicom-anon-work"]
    assert task.run().code == 0
    assert len(os.listdir(task.out)) == 450


@pytest.fixture
def open_task() -> Iterator[Task]:
    """A task that another user can read, and whose OUT it can write."""
    import shutil
    import tempfile

    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    made = Task(top, {"layout": "study"})
    made.out.chmod(0o777)
    yield made
    shutil.rmtree(top)


def nobody(program: str) -> int | None:
    """User to run as: nobody, if this test runs as root and nobody can read the package."""
    if os.geteuid() != 0:
        return None
    try:
        subprocess.run([program, "-c", "import dicom_anon.cli"], user=65534, cwd="/", check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return 65534


def test_the_entry_script_runs_in_a_bare_environment_as_nobody(open_task: Task) -> None:
    open_task.add(real_file("CT_small.dcm"))
    for path in open_task.source.iterdir():
        path.chmod(0o666)
    done = subprocess.run(
        ["/bin/sh", ROOT / "docker/entrypoint.sh"],
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "MERCURE_IN_DIR": str(open_task.source),
            "MERCURE_OUT_DIR": str(open_task.out),
            "HOME": "/nonexistent",
        },
        cwd="/",
        user=nobody(sys.executable),
        umask=0o077,
        capture_output=True,
        check=False,
    )
    done.stdout.decode("utf-8")
    assert done.returncode == 0, done.stderr
    assert len([name for name in files_below(open_task.out) if name.endswith(".dcm")]) == 1


def test_the_log_is_utf8_whatever_the_locale(task: Task) -> None:
    settings = {"general": {"Größe": "remove", "\ud800": "remove"}}
    content = json.loads((task.source / "task.json").read_text())
    content["process"]["settings"] = settings
    (task.source / "task.json").write_text(json.dumps(content))
    task.add(real_file("CT_small.dcm"))
    done = subprocess.run(
        [sys.executable, "-m", "dicom_anon", "mercure", task.source, task.out],
        env=environment(LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0"),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Größe" in (done.stdout + done.stderr).decode("utf-8")


def test_the_image_is_built_from_files_that_are_there_and_runs_as_nobody() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        name
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for name in [word for word in line.split()[1:-1] if not word.startswith("--")]
    ]
    assert ignored[0] == "*"
    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name.split('/')[0]}" in ignored
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert "0" not in users[-1].split(":")
    assert lines[-1] == 'CMD ["entrypoint.sh"]'
    assert not [line for line in lines if line.startswith(("ENTRYPOINT", "VOLUME", "EXPOSE"))]
    assert os.access(ROOT / "docker/entrypoint.sh", os.X_OK)
    assert all("monai" not in line or line.startswith("#") for line in lines)
