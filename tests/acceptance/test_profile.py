"""PS3.15 Annex E over whole trees: the basic profile, each of its options, and the archive's choice of them."""

from __future__ import annotations

import json
import re
from collections.abc import Set
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.datadict import DicomDictionary

from dicom_anon import standard, tags
from dicom_anon.assignment import resolve
from dicom_anon.presets import decisions
from dicom_anon.sample import Sample
from dicom_anon.standard import PROFILE_OPTIONS
from tests.acceptance.command import call, elements, read
from tests.acceptance.conftest import Deliver
from tests.acceptance.test_privacy import leaks
from tests.datasets import file_bytes, image

PROFILES = {
    "basic": ("--preset", "basic"),
    **{option: ("--preset", "basic", "--profile-option", option) for option in PROFILE_OPTIONS},
    "tcia": ("--preset", "tcia"),
}
RETAINING = {name for name in PROFILES if name.startswith("retain")} | {"tcia"}


@pytest.mark.parametrize("name", sorted(PROFILES.keys() - RETAINING))
@pytest.mark.parametrize("tree", ["sample_in"])
def test_what_retains_nothing_leaves_no_planted_identifier(
    deliver: Deliver, request: pytest.FixtureRequest, sample: Sample, tree: str, name: str
) -> None:
    delivery = deliver(request.getfixturevalue(tree), *PROFILES[name])
    assert delivery.done.code == 0
    assert len(delivery.files) == sample.files
    assert leaks(delivery, sample.planted + sample.dates) == {}


@pytest.mark.parametrize(
    ("tree", "name"),
    [*(("sample_in", name) for name in sorted(PROFILES)), ("real_in", "basic"), ("real_in", "tcia")],
)
def test_the_independent_look_finds_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, tree: str, name: str
) -> None:
    source, destination = request.getfixturevalue(tree), tmp_path / "out"
    assert call(source, destination, *PROFILES[name], "-q").code in (0, 1)  # real files may be truncated
    done = call("verify", source, destination, *PROFILES[name], "--json", "-")
    found = json.loads(done.out)
    assert found["findings"] == []
    assert done.code == 0
    assert found["checked"] >= 50
    assert found["identifiers"] > 100


def test_the_code_of_an_institution_is_found_unless_an_option_keeps_it(tmp_path: Path) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "17", "99X", "Grubenwald Clinic"
    source = image(InstitutionName="Grubenwald Clinic", InstitutionCodeSequence=[code])
    (tmp_path / "in.dcm").write_bytes(file_bytes(source))
    kept = ("--preset", "basic", "--profile-option", "retain_institution_identity")
    assert call(tmp_path / "in.dcm", tmp_path / "out", *kept).code == 0
    assert read(tmp_path / "out/in.dcm").InstitutionCodeSequence[0].CodeMeaning == "Grubenwald Clinic"
    assert call("verify", tmp_path / "in.dcm", tmp_path / "out", *kept).code == 0
    strict = call("verify", tmp_path / "in.dcm", tmp_path / "out", "--preset", "basic", "--json", "-")
    assert {finding["kind"] for finding in json.loads(strict.out)["findings"]} == {"institution"}


@pytest.mark.parametrize(
    ("name", "modified"),
    [
        ("basic", "REMOVED"),
        ("retain_full_dates", "UNMODIFIED"),
        ("retain_modified_dates", "MODIFIED"),
        ("tcia", "MODIFIED"),
    ],
)
def test_every_output_states_what_was_done(
    deliver: Deliver, request: pytest.FixtureRequest, name: str, modified: str
) -> None:
    delivery = deliver(request.getfixturevalue("sample_in"), *PROFILES[name])
    for content in delivery.files.values():
        made = read(content)
        codes = {item.CodeValue for item in made.DeidentificationMethodCodeSequence}
        assert "113100" in codes
        assert ("113107" in codes) == (modified == "MODIFIED")
        assert ("113106" in codes) == (modified == "UNMODIFIED")
        assert made.LongitudinalTemporalInformationModified == modified


TYPED = {
    "LO": "Zwickelbart", "LT": "of Zwickelbart", "PN": "Zwickelbart^Ottokar", "SH": "ZQ-99817", "ST": "ZQ-99817 is due",
    "UC": "Ottokar Zwickelbart", "UR": "https://pacs.example/ZQ-99817", "UT": "see Mr. Zwickelbart",
}  # fmt: skip
"""What people write into texts of each VR about Ottokar Zwickelbart, number ZQ-99817."""


def _full_of_text(retained: Set[object]) -> Dataset:
    """A real image with something of the patient in every text of PS3.6 that is neither technical nor retained."""
    source = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    typed = Dataset()
    for tag in (*DicomDictionary, *tags.additions()):
        vr = tags.vr_of(tag)
        may_stay = tag in retained or tags.keyword_of(tag) in decisions.TECHNICAL_TEXT
        if vr in TYPED and tag >> 16 > 0x0004 and not may_stay:
            typed.add_new(tag, vr, TYPED[vr])
    source.update(typed)
    source.ReferencedSeriesSequence = [typed]
    source.PatientID, source.PatientName = "ZQ-99817", "Zwickelbart^Ottokar"
    return source


@pytest.mark.parametrize("preset", ["default", "basic", "tcia"])
def test_no_text_of_ps36_keeps_what_a_person_typed_of_the_patient(tmp_path: Path, preset: str) -> None:
    rows = resolve(preset=preset).rows
    retained = {key for key, row in rows.items() if row.source.startswith("option retain")}
    useful = {key for key in rows if preset == "default" and key == tags.tag_for_keyword("SoftwareVersions")}
    source, destination = tmp_path / "in" / "one.dcm", tmp_path / "out"
    source.parent.mkdir()
    full = _full_of_text(retained | useful)
    full.save_as(source)
    assert sum(element.VR in TYPED for _, element in elements(full)) > 1300
    done = call(source.parent, destination, "--preset", preset, "--names", "keep", "--verify")
    assert done.code == 0, done.out + done.err
    said = re.compile("Zwickelbart|Ottokar|ZQ-99817|pacs.example")
    found = elements(read(destination / "one.dcm"))
    assert [path for path, element in found if element.VR != "SQ" and said.search(str(element.value))] == []


def test_retained_uids_are_the_same_in_every_uid_of_ps36(tmp_path: Path) -> None:
    source, destination = tmp_path / "in" / "one.dcm", tmp_path / "out"
    source.parent.mkdir()
    full = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    for tag in (*DicomDictionary, *tags.additions()):
        if tags.vr_of(tag) == "UI" and tag >> 16 > 0x0004 and tag not in full:
            full.add_new(tag, "UI", full.SOPInstanceUID)
    full.save_as(source)
    done = call(source.parent, destination, "--preset", "basic", "--profile-option", "retain_uids", "--names", "keep")
    assert done.code == 0, done.out + done.err
    uids = {
        path[-1]: str(element.value) for path, element in elements(read(destination / "one.dcm")) if element.VR == "UI"
    }
    assert len(uids) > 80
    changed = {tag for tag, value in uids.items() if value != full[tag].value}
    # the value of a content item, which its concept decides, and a signature, which goes
    assert changed == {tags.tag_for_keyword("UID"), tags.tag_for_keyword("DigitalSignatureUID")}


@pytest.mark.parametrize("preset", ["default", "basic", "tcia"])
def test_remove_safe_tags_leaves_what_an_object_needs(
    deliver: Deliver, sample_in: Path, tmp_path: Path, preset: str
) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"general": {"preset": preset, "remove_safe_tags": "true"}}), "utf-8")
    delivery = deliver(sample_in, "-c", rules)
    assert delivery.done.code == 0
    needed = standard.required_tags() - standard.profile_by_key().keys()
    for name, content in delivery.files.items():
        before, after = (set(read(each).keys()) for each in (delivery.source / name, content))
        assert (before - after) & needed == set(), name
