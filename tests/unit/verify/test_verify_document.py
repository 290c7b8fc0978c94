"""The JSON documents beside the images: what they say is searched, the words that they all have is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dicom_anon import objects
from dicom_anon.assignment import resolve
from dicom_anon.errors import Reason
from dicom_anon.extract import parse_extract, read_output, summarise
from dicom_anon.report import RunReport
from dicom_anon.taskjson import TaskFacts, task_document
from dicom_anon.verify import document
from tests.unit.verify.trees import FAMILY, GIVEN, PATIENT_ID, Trees, image, two_patients

NAME = "extracted-data/3.json"
Content = dict[str, Any]


def told(tag: str, vr: str, *values: object, **more: object) -> Content:
    return {"tag": tag, "vr": vr, "Value": [*values], **more}


def series(**elements: Content) -> Content:
    """Return a document of a series as a run writes it."""
    return {
        "tool": "dicom-anon", "version": "0.1.0", "extract": "main,VerifyingObserverSequence",
        "StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.2", "NumberOfInstances": 448812,
        "elements": {"Rows": told("00280010", "US", 512), **elements},
    }  # fmt: skip


ACCOUNT = {
    "tool": "dicom-anon", "version": "0.1.0", "preset": "mercure", "project": "knee",
    "options": {
        "remove_unknown_tags": True, "remove_safe_tags": False, "profile_options": ["retain_uids"],
        "objects": {"sr": "drop", "dicomdir": "rebuild"}, "layout": "study", "extract": "main",
    },
    "rules": "a448812f" * 8, "key_id": "f448812f448812ff", "started": "2026-11-22T08:51:01+00:00",
    "ended": "2026-11-22T08:51:02+00:00", "StudyInstanceUID": "2.25.1", "counts": {"series": 1, "instances": 1},
    "series": [{"folder": "3", "SeriesInstanceUID": "2.25.2", "NumberOfInstances": 1}],
    "run": {"found": {"files": 448812}, "skipped": {"files": 3, "reasons": {"special-file": 3, "symlink": 0}}},
}  # fmt: skip


def write(pair: Trees, content: Content | bytes) -> None:
    path = pair.destination / NAME
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode())


def found(pair: Trees, content: Content | bytes, **options: Any) -> list[tuple[str, str]]:
    """Write a document beside the outputs and return the element and kind of what is found in it."""
    write(pair, content)
    report = pair.verify(**options)
    assert {finding.file for finding in report.findings} <= {NAME}
    return [(finding.element, finding.kind) for finding in report.findings]


@pytest.mark.parametrize(
    "source",
    [
        {"PatientName": "Rows^Value"},
        {"PatientName": "Observer^Verifying"},
        {"PatientName": "Mercure^Symlink"},
        {"PatientName": "Special^Elements", "PatientID": "tool-dicom-anon"},
        {"PatientName": "Presentation^Rebuild"},
        {"PatientID": "448812", "AccessionNumber": "00280010"},
    ],
)
def test_words_of_every_document_are_no_leak(tmp_path: Path, source: dict[str, str]) -> None:
    pair = two_patients(tmp_path)
    pair.add("a/9.dcm", image(9, **source))
    observer = told("0040a073", "SQ", {"VerifyingOrganization": told("0040a027", "LO", "none")})
    assert found(pair, series(VerifyingObserverSequence={**observer, "tag": "0040A073"})) == []
    assert found(pair, ACCOUNT) == []


LEAKS: dict[str, tuple[Content, list[tuple[str, str]]]] = {
    "text": (series(X=told("00081030", "LO", f"of {FAMILY}")), [("(0008,1030)", "patient name")]),
    "name": (series(X=told("00081070", "PN", {"Alphabetic": f"{GIVEN}^{FAMILY}"})), [("(0008,1070)", "patient name")]),
    "line": (series(X=told("00204000", "LT", f"seen\n{FAMILY}\nhere")), [("(0020,4000)", "patient name")]),
    "nested": (
        series(X=told("00081140", "SQ", {"ImageComments": told("00204000", "LT", FAMILY)})),
        [("(0008,1140)[0].(0020,4000)", "patient name")],
    ),
    "one of several": (
        series(X={"tag": "00081030", "vr": "LO", "Values": [["a"], [f"b {PATIENT_ID}"]]}),
        [("(0008,1030)", "patient id")],
    ),
    "range": (series(X={"tag": "0020000D", "vr": "UI", "Minimum": ["1.3.6.1.4.1.99999.20190614.1"]}), [
        ("(0020,000d)", "original uid")
    ]),
    "private creator": (series(X=told("00291001", "SH", "x", creator=FAMILY)), [("(0029,1001)", "patient name")]),
    "key": (series(**{FAMILY: told("00081030", "LO")}), [("file", "patient name")]),
    "no VR": (series(X={"tag": "00081030", "vr": FAMILY}), [("(0008,1030)", "patient name")]),
    "project": ({**ACCOUNT, "project": FAMILY}, [("file", "patient name")]),
    "folder": ({**ACCOUNT, "series": [{"folder": f"{FAMILY} 3"}]}, [("file", "patient name")]),
    "digest": ({**ACCOUNT, "key_id": f"{FAMILY}"}, [("file", "patient name")]),
    "policy": ({**ACCOUNT, "options": {"objects": {"sr": FAMILY}}}, [("file", "patient name")]),
    "of mercure": ({**ACCOUNT, "mercure": {"uid_type": FAMILY}}, [("file", "patient name")]),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), LEAKS.values(), ids=LEAKS)
def test_what_a_document_says_is_searched(tmp_path: Path, content: Content, expected: list[tuple[str, str]]) -> None:
    pair = two_patients(tmp_path)
    assert found(pair, content) == expected
    assert {finding.offset for finding in pair.verify().findings} == {None}, "values are not searched where they stand"


def test_what_an_image_may_keep_its_document_may_say(tmp_path: Path) -> None:
    pair = two_patients(tmp_path)
    content = series(X=told("00081070", "PN", {"Alphabetic": f"{FAMILY}^{GIVEN}"}))
    assert found(pair, content, kept=lambda tag, creator: tag == 0x00081070) == []


@pytest.mark.parametrize(
    "content",
    [
        {"PatientID": "1", "elements": {FAMILY: 1}},
        {"tool": "another", "Rows": FAMILY},
        {"tool": "dicom-anon", "note": FAMILY},
        series() | {"note": FAMILY},
        series() | {"tool": "another", "version": FAMILY},
        {key: value for key, value in ACCOUNT.items() if key != "run"} | {"project": FAMILY},
        b'{"tool": "dicom-anon", "version": "Grubenwald"',
        b'{"tool": "dicom-anon", "a": "Grubenwald", "a": ""}',
        b'{"tool": "dicom-anon", "a": "Grubenwald"} {}',
        b'["tool", "dicom-anon", "Grubenwald"]',
        b'{"tool": "dicom-anon", "a": "Grubenwald \xff"}',
        b'{"tool": "dicom-anon", "a": ' + b"[" * 20_000 + b'"Grubenwald"' + b"]" * 20_000 + b"}",
    ],
)
def test_what_is_no_such_document_is_searched_as_it_is(tmp_path: Path, content: Content | bytes) -> None:
    assert {("file", "not dicom"), ("file", "patient name")} <= set(found(two_patients(tmp_path), content))


def test_a_document_too_large_to_be_parsed_is_searched_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "LIMIT", 100)
    assert ("file", "not dicom") in found(two_patients(tmp_path), series())


def test_it_knows_every_reason_and_every_kind_of_object() -> None:
    assert {reason.value for reason in Reason} <= document.NAMES
    assert set(objects.POLICIES) <= document.NAMES


def test_it_knows_what_a_run_writes(tmp_path: Path) -> None:
    output = two_patients(tmp_path).destination / "a/1.dcm"
    of_series = summarise([read_output(output)], parse_extract("all")).document()
    facts = TaskFacts(resolve(), "f448812f448812ff", "main", "2026-11-22T08:51:01+00:00")
    of_task = replace(facts, mercure={"action": "route"})
    accounts = [task_document(each, RunReport(), "2.25.1", [], facts.started) for each in (facts, of_task)]
    for number, content in enumerate([of_series, *accounts]):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(content))
        assert document.read_document(path) is not None
        assert set(_keys(content)) <= document.NAMES


def _keys(content: Any) -> Iterator[str]:
    """Keys at any depth but for those that name elements."""
    for key, child in content.items() if isinstance(content, dict) else ():
        if not (isinstance(child, dict) and "tag" in child):
            yield key
        yield from _keys(child)
