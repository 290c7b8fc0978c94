"""The output is valid DICOM: by the Types of PS3.3, by dciodvfy, and by dcmtk as a second reader."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VM

from dicom_anon import tags
from tests.acceptance.command import call, read, write_config
from tests.acceptance.conftest import Deliver
from tests.acceptance.test_profile import PROFILES
from tests.datasets import file_bytes

external = pytest.mark.external

VALUES = re.compile(r"<[^>]*>|\"[^\"]*\"|`[^']*'|0x[0-9a-f]+(?!,)|(?<![(\w,])\d[\d.]*(?![\w,)])")
"""What differs between two messages that say the same of two values; tags are none of it."""

CANNOT_READ = ("Dicom dataset read failed", "Tags out of order", "Bad group length", "Illegal element length")


def _said(path: Path) -> list[str]:
    made = subprocess.run(["dciodvfy", path], capture_output=True, check=False, timeout=60)
    text = (made.stderr + made.stdout).decode("latin-1")
    return [line for line in text.splitlines() if line.startswith("Error")]


@functools.cache
def _errors(path: Path) -> Counter[str]:
    return Counter(VALUES.sub("#", line) for line in _said(path))


def _new_errors(pair: tuple[Path, Path]) -> Counter[str] | None:
    """Errors of the output that the input has not; nothing where the input cannot be read."""
    source, made = pair
    before = _errors(source)
    if any(piece in line for line in before for piece in CANNOT_READ):
        return None
    return _errors(made) - before


@external
@pytest.mark.parametrize(
    ("tree", "least", "name"),
    [
        ("sample_in", 45, "default"),
        ("real_in", 200, "default"),
        *(("sample_in", 45, name) for name in sorted(PROFILES)),
        ("real_in", 200, "basic"),
        ("real_in", 200, "tcia"),
    ],
)
def test_dciodvfy_reports_nothing_new(
    deliver: Deliver, request: pytest.FixtureRequest, tree: str, least: int, name: str
) -> None:
    delivery = deliver(request.getfixturevalue(tree), *PROFILES.get(name, ()))
    names = list(delivery.files)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(_new_errors, [(delivery.source / name, delivery.destination / name) for name in names]))
    compared = {name: errors for name, errors in zip(names, found, strict=True) if errors is not None}
    assert {name: dict(errors) for name, errors in compared.items() if errors} == {}
    assert len(compared) >= least


@external
@pytest.mark.parametrize("preset", ["default", "mercure", "none", "basic", "tcia"])
@pytest.mark.parametrize("tree", ["sample_in", "real_in"])
def test_dcmtk_reads_every_output_that_it_could_read_before(
    deliver: Deliver, request: pytest.FixtureRequest, tree: str, preset: str
) -> None:
    delivery = deliver(request.getfixturevalue(tree), "--preset", preset)

    strange = set(_unread(delivery.source, list(delivery.files)))
    both = [name for name in delivery.files if name not in strange]
    assert len(both) > 45
    assert _unread(delivery.destination, both) == []
    if preset != "none":  # what is odd but kept whole stays odd under none
        assert _unread(delivery.destination, list(strange)) == []


def _unread(folder: Path, names: list[str]) -> list[str]:
    """Names of the files that dcmdump cannot read."""
    words = ["dcmdump", "--quiet", "+fo", *(str(folder / name) for name in names)]
    if not names or subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0:
        return []
    half = len(names) // 2
    return names if not half else _unread(folder, names[:half]) + _unread(folder, names[half:])


# --- every IOD, by Type -----------------------------------------------------------------------------------

IODS = json.loads((Path(__file__).parents[1] / "data" / "iod_attributes.json").read_text("utf-8"))
RAW_DATA = "1.2.840.10008.5.1.4.1.1.66"
CLASSES = [uid for uid in IODS["sop_classes"] if uid != "1.2.840.10008.1.3.10"]  # a DICOMDIR is not passed on
NESTED = "nested.dcm"
BY_VR: dict[str, object] = {
    "AE": "AN_AE", "AS": "045Y", "CS": "CODE", "DA": "20200110", "DT": "20200110101112", "LO": "words",
    "LT": "words", "OB": b"bytes!", "PN": "Roe^Richard", "SH": "words", "ST": "words", "TM": "101112",
    "UC": "words", "UI": "1.2.826.0.1.3680043.8.498.7", "UN": b"bytes!", "UR": "urn:words", "US": 7, "UT": "words",
    "FD": 1.5, "FL": 1.5, "DS": "1.5", "IS": "7", "UL": 7, "OW": b"bytes!",
}  # fmt: skip
MISSING = {
    # a list of all that an archive has: its descriptions go, as they do from the objects themselves
    (NESTED, "InventoriedStudiesSequence", "StudyDescription"),
    # stands only in the patient's photo (ReferencedPatientPhotoSequence), which goes
    (NESTED, "DICOMRetrievalSequence", "RetrieveAETitle"),
    # it tells the place, the table says X, and of 175 IODs only simplified echo reports need it
    ("1.2.840.10008.5.1.4.1.1.88.72", "", "TimezoneOffsetFromUTC"),
}
"""What the outputs lack, and why."""


def _filled(attributes: Mapping[str, str]) -> Dataset:
    """Make a Data Set with a value for each attribute."""
    made = Dataset()
    for keyword in attributes:
        tag = tags.tag_for_keyword(keyword)
        assert tag is not None
        vr = (tags.vr_of(tag) or "").split(" or ")[0]
        if vr == "SQ":
            made.add_new(tag, vr, [Dataset()])
            made[tag].value[0].ReferencedSOPInstanceUID = BY_VR["UI"]
        else:
            many = int(vm) if (vm := dictionary_VM(tag)).isdigit() and vr != "OB" else 1
            made.add_new(tag, vr, BY_VR[vr] if many == 1 else [BY_VR[vr]] * many)
    return made


def _lacking(made: Dataset, attributes: Mapping[str, str]) -> list[str]:
    """Keywords of Type 1 attributes without a value, and of Type 2 attributes that are not there."""
    return [
        keyword
        for keyword, kind in attributes.items()
        if keyword not in made or (kind == "1" and made[keyword].is_empty)
    ]


def _required_of(uid: str) -> dict[str, str]:
    """Attributes of an IOD at top level, and their Types."""
    return {
        keyword: kind
        for module in IODS["sop_classes"][uid].split()
        for keyword, kind in IODS["modules"][module].items()
    }


def _write(made: Dataset, uid: str, path: Path) -> None:
    made.SOPClassUID, made.SOPInstanceUID, made.StudyInstanceUID = uid, BY_VR["UI"], BY_VR["UI"]
    path.write_bytes(file_bytes(made))


@pytest.fixture(scope="module")
def every_iod(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object of each storage SOP Class, and one with all sequences, with what PS3.3 requires of them."""
    folder = tmp_path_factory.mktemp("iods")
    for uid in CLASSES:
        _write(_filled(_required_of(uid)), uid, folder / f"{uid}.dcm")
    sequences = Dataset()
    for keyword, attributes in IODS["nested"].items():
        setattr(sequences, keyword, [_filled(attributes)])
    _write(sequences, RAW_DATA, folder / NESTED)
    return folder


@pytest.mark.parametrize(
    "preset",
    [
        ("default",),
        ("basic", "--no-extra"),  # the extra rules remove creation dates wherever they stand
        ("tcia",),
        ("none",),
    ],
)
def test_no_object_loses_what_its_iod_requires(every_iod: Path, tmp_path: Path, preset: tuple[str, ...]) -> None:
    config = write_config(tmp_path, {"general": {"objects": {"encapsulated": "process"}}})
    done = call(every_iod, tmp_path / "out", "--no-run-dir", "--names", "keep", "-q", "-c", config, "--preset", *preset)
    assert (done.code, done.err) == (0, "")
    lacking = set()
    for uid in CLASSES:
        made = read(tmp_path / "out" / f"{uid}.dcm")
        lacking |= {(uid, "", keyword) for keyword in _lacking(made, _required_of(uid))}
    nested = read(tmp_path / "out" / NESTED)
    left = [keyword for keyword in IODS["nested"] if nested.get(keyword)]
    for keyword in left:
        (item,) = nested[keyword].value
        lacking |= {(NESTED, keyword, inner) for inner in _lacking(item, IODS["nested"][keyword])}
    assert lacking - MISSING == set()
    assert len(CLASSES) > 170
    assert len(left) > 200
