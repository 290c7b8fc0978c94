"""What a module reads of a task, and the key that it keeps."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_anon.errors import ConfigError, DicomAnonError, UsageError
from dicom_anon.mercure import read_or_make_key
from dicom_anon.mercure_task import Task, read_task
from dicom_anon.runfolder import RunFolder
from dicom_anon.taskjson import facts_of_mercure

UNREADABLE_TAGS = "a .tags file is not JSON, so that the AE title of its image is not known"
OTHER_PROJECT = "the images were sent to AE titles of different projects: one task, one project"
SETTINGS = {"general": {"preset": "default"}, "knee": {"preset": "none", "PatientName": "clear"}}


def task(
    folder: Path,
    settings: Any = None,
    *,
    titles: tuple[Any, ...] = ("az_KNEE",),
    process: Any = None,
    **info: Any,
) -> Task:
    """Lay out a task and read it."""
    if process is None:
        process = {"settings": SETTINGS if settings is None else settings, "retain_input_images": False}
    (folder / "task.json").write_text(json.dumps({"id": "1", "info": info, "process": process}), "utf-8")
    for number, title in enumerate(titles):
        (folder / f"1.2#{number}.tags").write_text(json.dumps({"ReceiverAET": title}), "utf-8")
    warnings: list[str] = []
    read = read_task(folder, warnings.append)
    (folder / "warnings").write_text("\n".join(warnings))
    return read


def warnings_of(folder: Path) -> str:
    return (folder / "warnings").read_text()


@pytest.mark.parametrize("title", ["knee", "KNEE", "AZ_Knee", " az_knee "])
def test_the_project_comes_from_the_ae_title(tmp_path: Path, title: str) -> None:
    assert task(tmp_path, titles=(title, title)).assignment.project == "knee"
    assert warnings_of(tmp_path) == ""


def test_a_title_without_a_section_means_general_and_a_warning(tmp_path: Path) -> None:
    assert task(tmp_path, titles=("hip",)).assignment.project == ""
    assert "only the general section" in warnings_of(tmp_path)


def test_without_tags_the_title_is_the_tasks(tmp_path: Path) -> None:
    assert task(tmp_path, titles=(), receiver_aet="AZ_KNEE").assignment.project == "knee"


def test_tags_come_before_the_task(tmp_path: Path) -> None:
    assert task(tmp_path, titles=("knee",), receiver_aet="hip").assignment.project == "knee"


def test_without_any_title_general_must_be_all_there_is(tmp_path: Path) -> None:
    assert task(tmp_path, {"general": {"preset": "none"}}, titles=()).assignment.preset == "none"
    with pytest.raises(UsageError, match="no AE title"):
        task(tmp_path, titles=())


def test_titles_of_two_projects_are_refused_and_two_of_one_are_not(tmp_path: Path) -> None:
    assert task(tmp_path, titles=("knee", "az_knee")).assignment.project == "knee"
    with pytest.raises(UsageError, match="different projects"):
        task(tmp_path, titles=("knee", "hip"))


@pytest.mark.parametrize(
    "content",
    [
        b'\xef\xbb\xbf{"ReceiverAET": "az_knee", "PatientName": "M\xfcller^J\xf6rg"}',
        b'{"ReceiverAET": "knee", "a": {"b": 1}, "ReceiverAET": "az_knee"}',
        b'{"ImageType": "ORIGINAL\\PRIMARY", "ReceiverAET": "knee", "x": "a\tb"}',
        b'{"ReceiverAET": "knee", "Comment": "line\nline"}',
    ],
)
def test_tags_may_be_as_mercures_receiver_writes_them(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1#2.tags").write_bytes(content)
    assert task(tmp_path, titles=()).assignment.project == "knee"


def test_a_key_that_is_there_twice_with_two_projects_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1#2.tags").write_bytes(b'{"ReceiverAET": "knee", "ReceiverAET": "hip"}')
    with pytest.raises(UsageError, match="different projects"):
        task(tmp_path, titles=())


def test_tags_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "1#2.tags").write_bytes(b"{")
    with pytest.raises(UsageError, match="not JSON"):
        task(tmp_path, titles=("knee",))


@given(content=st.binary(max_size=60))
def test_any_bytes_of_tags_are_read_or_refused_without_a_value(tmp_path_factory: Any, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("task")
    (folder / "1#2.tags").write_bytes(content)
    told = ""
    try:
        assert task(folder, titles=("knee",)).assignment.project == "knee"
    except DicomAnonError as error:
        told = str(error)
    assert told in ("", UNREADABLE_TAGS, OTHER_PROJECT)


def test_foreign_keys_are_left_out_with_a_warning(tmp_path: Path) -> None:
    read = task(
        tmp_path,
        {
            "fizz": "buzz",
            "result": {"value": [1, 2]},
            "sigma": 7,
            "general": {"preset": "default", "contact": "Dr. Who", "irb": 123, "modules": ["a"]},
            "knee": {"PatientName": "clear", "comment": "for the trial"},
        },
    )
    assert read.assignment.project == "knee"
    assert [key for key in ("contact", "irb", "modules", "comment") if f'"{key}"' not in warnings_of(tmp_path)] == []
    assert "Who" not in warnings_of(tmp_path)


@pytest.mark.parametrize(
    "section",
    [
        {"PatientNam": "remove"},
        {"PatientNam": "remov"},
        {"PatinetName": "cleer"},
        {"(0010,001)": "remove"},
        {"0010:0010": "x"},
        {"remove_unknown_tag": "false"},
        {"Remove_Safe_Tags": "true"},
        {"whatever": "remove"},
        {"whatever": "set(a)"},
        {"lay-out": "study"},
        {"(0010,0010)": "keepX"},
        {"preset": "defaults"},
        {"(0010,0010)": 5},
    ],
)
def test_what_may_be_a_rule_that_protects_somebody_is_an_error(tmp_path: Path, section: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        task(tmp_path, {"general": section})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"PatientSex": "clear", "preset": "basic"},
            ['key "PatientSex": stands outside', 'key "preset": stands outside'],
        ),
        ({"general": {}, "PatientNme": "clear"}, ['key "PatientNme": stands outside']),
        ({"general": {}, "(0010,0040)": "clear"}, ['key "(0010,0040)": stands outside']),
        ({"general": {}, "whatever": "remove"}, ['key "whatever": stands outside']),
        ({"general": {}, "lay-out": "study"}, ['key "lay-out": stands outside']),
        ({"general": ["PatientSex"]}, ['key "general": stands outside']),
        ({"general": {}, "objects": {"sr": "drop"}}, ['key "objects": stands outside']),
        ({"general": {}, "PatientSex": {"action": "clear"}}, ['key "PatientSex": stands outside']),
        ({"genral": {"PatientSex": "clear"}}, ['"genral": would apply only where', 'did you mean "general"?']),
        ({"genral": {"PatientSex": "clear"}, "knee": {}}, ['did you mean "general"?']),
        ({"hip": {"PatientSex": "clear"}}, ["none of its sections applies", '"hip"', "AE title"]),
        ({"result": {"value": [1]}}, ["none of its sections applies", '"result"']),
    ],
)
def test_rules_that_would_not_apply_are_an_error(tmp_path: Path, settings: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        task(tmp_path, settings)
    assert [text for text in told if text not in str(refused.value)] == []


def test_foreign_keys_beside_the_sections_are_left_out_with_a_warning(tmp_path: Path) -> None:
    settings = {"fizz": "Who", "sigma": 7, "_note": "x", "layout": "study", "result": {"a": 1}, "general": {}}
    assert task(tmp_path, settings).layout == "study"
    told = warnings_of(tmp_path)
    assert ('"fizz"' in told, '"sigma"' in told, "_note" in told, "layout" in told, "Who" in told) == (
        True, True, False, False, False,
    )  # fmt: skip


def test_sections_of_other_projects_are_not_read(tmp_path: Path) -> None:
    assert task(tmp_path, {"knee": {}, "hip": {"(0010,001)": "remove"}}).assignment.project == "knee"


@pytest.mark.parametrize("where", ["top", "general", "Knee"])
def test_settings_of_the_module_itself(tmp_path: Path, where: str) -> None:
    own = {"layout": "study", "extract": "Modality", "notify": "true"}
    read = task(tmp_path, {"Knee": {}, **own} if where == "top" else {"Knee": {}, where: own})
    assert (read.layout, read.extract, read.notify) == ("study", "Modality", True)
    plain = task(tmp_path)
    assert (plain.layout, plain.extract, plain.notify) == ("mercure", None, False)


def test_a_project_overrules_general(tmp_path: Path) -> None:
    read = task(tmp_path, {"layout": "study", "general": {"layout": "study"}, "knee": {"layout": "mercure"}})
    assert read.layout == "mercure"


@pytest.mark.parametrize(
    ("key", "value"),
    [("layout", "tree"), ("layout", "flat"), ("layout", 1), ("notify", "maybe"), ("extract", ["Modality"])],
)
def test_values_that_the_module_does_not_know_are_refused(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(UsageError, match=key):
        task(tmp_path, {key: value})


@pytest.mark.parametrize("retain", [True, "true", 1, "yes", []])
def test_originals_beside_the_images_are_refused(tmp_path: Path, retain: Any) -> None:
    with pytest.raises(UsageError, match="originals"):
        task(tmp_path, process={"settings": {}, "retain_input_images": retain})


@pytest.mark.parametrize(
    "process",
    [
        {},
        {"settings": None, "retain_input_images": None},
        {"retain_input_images": "False"},
        {"retain_input_images": "false"},
        [{"settings": {}}],
    ],
)
def test_a_task_without_settings_is_done_by_default(tmp_path: Path, process: Any) -> None:
    assert task(tmp_path, process=process, titles=("x",)).assignment.preset == "default"


@pytest.mark.parametrize("process", [{"settings": "text"}, {"settings": []}, [{}, {}]])
def test_settings_that_are_none_are_refused(tmp_path: Path, process: Any) -> None:
    with pytest.raises(UsageError):
        task(tmp_path, process=process)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b'"x"', b"[" * 100_000])
def test_a_task_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "task.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"task\.json"):
        read_task(tmp_path, print)


def test_of_mercures_task_only_what_identifies_nobody_is_told() -> None:
    info = {
        "action": "both",
        "uid": "1.2.3",
        "uid_type": "series",
        "triggered_rules": {"Jane": True},
        "applied_rule": "Jane",
        "patient_name": "Doe^Jane",
        "mrn": "7719",
        "acc": "A1",
        "sender_address": "10.0.0.1",
        "mercure_version": "0.4.0-beta.1",
        "mercure_appliance": "ward 7",
        "mercure_server": "host",
        "device_serial_number": "123",
        "receiver_aet": "AZ_KNEE",
    }
    assert facts_of_mercure(info) == {
        "action": "both",
        "uid_type": "series",
        "mercure_version": "0.4.0-beta.1",
    }
    assert facts_of_mercure({"action": "Doe^Jane", "uid_type": ["series"], "mercure_version": "Doe^Jane"}) == {}
    assert facts_of_mercure("text") == {}


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    key = read_or_make_key(tmp_path)
    assert read_or_make_key(tmp_path) == key
    assert len(key) == 64
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"key", "key.guard"}


def test_a_key_outlives_a_power_cut_and_so_the_outputs_made_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, bool]] = []

    def sync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, (tmp_path / "key").exists()))

    monkeypatch.setattr(os, "fsync", sync)
    key = RunFolder(tmp_path).key()
    assert synced == [(len(key) + 1, False)]


def _key_of(folder: str) -> bytes:
    return read_or_make_key(Path(folder))


def test_tasks_at_the_same_time_get_the_same_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(_key_of, [str(tmp_path)] * 12, chunksize=1))) == 1


def test_a_lock_left_by_a_killed_task_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / "key.guard").touch()
    (tmp_path / ".key.part").write_bytes(b"half")
    assert len(read_or_make_key(tmp_path)) == 64


def test_a_damaged_key_is_no_reason_for_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(UsageError, match="16"):
        read_or_make_key(tmp_path)
    assert (tmp_path / "key").read_bytes() == b"short"
    with pytest.raises(UsageError, match="persistent folder"):
        read_or_make_key(tmp_path / "none")
