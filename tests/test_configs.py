"""The example configurations in ``configs/``, each run over real files, and what becomes of them.

Not here: the rule language itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file

from dicom_anon import anonymize_dataset, anonymize_file, read_configs, resolve
from dicom_anon.assignment import difference
from dicom_anon.extra_rules import read_extra_rules

CONFIGS = Path(__file__).parents[1] / "configs"
KEY = b"a key that is only for the tests"
TESTED = {
    "default.json", "extra-rules.json", "light.json", "private.json", "project.json",
    "site.json", "trial.json",
}  # fmt: skip


class Run:
    """A real file before and after."""

    def __init__(self, folder: Path, name: str, configs: Sequence[str], project: str | None = None) -> None:
        source = get_testdata_file(name)
        assert isinstance(source, str)
        config = read_configs(CONFIGS / each for each in configs)
        anonymize_file(source, folder / "out.dcm", resolve(config, project=project), key=KEY)
        self.before = pydicom.dcmread(source)
        self.after = pydicom.dcmread(folder / "out.dcm")
        assert self.after.PixelData == self.before.PixelData
        assert self.after.file_meta.TransferSyntaxUID == self.before.file_meta.TransferSyntaxUID


def private(dataset: Dataset) -> list[int]:
    return [int(element.tag) for element in dataset if element.tag.is_private]


def test_every_configuration_has_a_test_here_and_says_what_it_is() -> None:
    assert {path.name for path in CONFIGS.iterdir()} == TESTED
    for path in CONFIGS.iterdir():
        text = path.read_text("utf-8")
        assert text.startswith('{\n  "_about": ')
        option = "--extra-rules" if path.name == "extra-rules.json" else "-c"
        assert f"{option} configs/{path.name}" in text


def test_the_default_written_out_is_the_default() -> None:
    written = resolve(read_configs([CONFIGS / "default.json"]))
    assert written.digest == resolve().digest
    assert not written.print_assignment


def test_default_over_a_ct_image(tmp_path: Path) -> None:
    run = Run(tmp_path, "CT_small.dcm", ["default.json"])
    before, after = run.before, run.after
    assert re.fullmatch(r"[A-Z][a-z]+\^[A-Z][a-z]+(\^\^\^)?", str(after.PatientName))
    assert re.fullmatch(r"\d{16}", after.PatientID)
    assert (before.StudyDate, after.StudyDate) == ("20040119", "20040101")
    assert len(private(before)) > 100
    assert private(after) == []
    assert "InstitutionName" in before
    assert "InstitutionName" not in after
    assert after.SOPInstanceUID != before.SOPInstanceUID
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID
    assert after.Manufacturer == before.Manufacturer
    assert (after.Rows, after.KVP) == (before.Rows, before.KVP)
    assert after.PatientIdentityRemoved == "YES"


def test_project_over_a_ct_image(tmp_path: Path) -> None:
    run = Run(tmp_path, "CT_small.dcm", ["project.json"], "knee")
    assert re.fullmatch(r"KNEE-[0-9A-F]{16}", run.after.PatientID)
    assert run.after.StudyID == "KNEE"
    assert run.after.StudyDescription == "Knee study"
    assert "ClinicalTrialProtocolID" not in run.before
    assert run.after.ClinicalTrialProtocolID == "abc123"
    assert re.fullmatch(r"\d{16}", run.after.AccessionNumber)
    assert str(run.after.PatientName) != str(run.before.PatientName)
    assert "ReferringPhysicianName" not in run.after


def test_project_is_found_by_ae_title_and_not_applied_without_one(tmp_path: Path) -> None:
    config = read_configs([CONFIGS / "project.json"])
    assert resolve(config, aet="AZ_KNEE").digest == resolve(config, project="knee").digest
    alone = Run(tmp_path, "CT_small.dcm", ["project.json"]).after
    assert re.fullmatch(r"\d{16}", alone.PatientID)
    assert "ReferringPhysicianName" not in alone


def test_project_gives_one_patient_one_name_in_all_files(tmp_path: Path) -> None:
    first = Run(tmp_path, "MR_small.dcm", ["project.json"], "knee")
    second = Run(tmp_path, "MR_small_implicit.dcm", ["project.json"], "knee")
    other = Run(tmp_path, "CT_small.dcm", ["project.json"], "knee")
    assert first.before.PatientID == second.before.PatientID
    assert first.after.PatientID == second.after.PatientID
    assert first.after.PatientName == second.after.PatientName
    assert first.after.PatientID != other.after.PatientID


def test_light_takes_a_few_elements_and_leaves_the_rest(tmp_path: Path) -> None:
    run = Run(tmp_path, "MR-SIEMENS-DICOM-WithOverlays.dcm", ["light.json"])
    before, after = run.before, run.after
    assert {element.keyword for element in before} - {element.keyword for element in after} == {
        "InstitutionAddress", "OperatorsName", "PatientAddress", "ReferringPhysicianName",
    }  # fmt: skip
    changed = {
        element.keyword for element in before if element.tag in after and after[element.tag].value != element.value
    }
    assert changed == {
        "PatientID", "PatientName", "PatientBirthDate",
        "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID",
        "FrameOfReferenceUID", "StorageMediaFileSetUID", "ReferencedImageSequence",
    }  # fmt: skip
    old, new = before.ReferencedImageSequence[0], after.ReferencedImageSequence[0]
    assert new.ReferencedSOPClassUID == old.ReferencedSOPClassUID
    assert new.ReferencedSOPInstanceUID != old.ReferencedSOPInstanceUID
    assert private(after) == private(before) != []
    assert after[0x6000, 0x3000].value == before[0x6000, 0x3000].value
    assert after.StudyTime == before.StudyTime
    assert after.PatientIdentityRemoved == "NO"


def test_light_takes_digits_out_of_a_description(tmp_path: Path) -> None:
    dataset = Dataset()
    dataset.SeriesDescription, dataset.SOPInstanceUID = "T2 axial 20040119", "1.2.3"
    anonymize_dataset(dataset, resolve(read_configs([CONFIGS / "light.json"])), key=KEY)
    assert dataset.SeriesDescription == "T# axial #"


def test_private_elements_stay_by_creator_with_their_creators_and_no_others(tmp_path: Path) -> None:
    run = Run(tmp_path, "CT_small.dcm", ["private.json"])
    assert private(run.after) == [0x00190010, 0x00191023, 0x00191027, 0x00430010, 0x00431027]
    for tag in private(run.after):
        assert run.after[tag].value == run.before[tag].value
    assert run.after[0x0019, 0x0010].value == "GEMS_ACQU_01"


def test_private_elements_are_found_in_any_block_and_not_under_another_creator() -> None:
    dataset = Dataset()
    dataset.SOPInstanceUID = "1.2.3"
    dataset.private_block(0x0019, "SOMEBODY ELSE", create=True).add_new(0x0C, "IS", "1")
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "800")
    dataset.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", "1.5")
    anonymize_dataset(dataset, resolve(read_configs([CONFIGS / "private.json"])), key=KEY)
    assert private(dataset) == [0x00190011, 0x0019110C, 0x70530010, 0x70531000]
    assert dataset[0x0019, 0x110C].value == 800


def test_a_trial_lies_over_its_site(tmp_path: Path) -> None:
    site = Run(tmp_path, "CT_small.dcm", ["site.json"], "lung")
    both = Run(tmp_path, "CT_small.dcm", ["site.json", "trial.json"], "lung")
    assert re.fullmatch(r"LUNG\d{16}", both.after.PatientID)
    assert both.after.PatientID == site.after.PatientID
    assert re.fullmatch(r"[0-9A-F]{16}", both.after.StationName)
    assert site.after.InstitutionName == "Example Hospital"
    assert "InstitutionName" not in both.after
    assert "PatientAge" in site.after
    assert "PatientAge" not in both.after
    assert "StudyDescription" not in site.after
    assert both.after.StudyDescription == "Lung screening, second phase"
    assert both.after.ClinicalTrialSponsorName == "Example Hospital, Radiology"


def test_extra_rules_written_out_are_those_of_basic() -> None:
    extra = read_extra_rules(CONFIGS / "extra-rules.json")
    assert {key: rule.action.describe() for key, rule in extra} == dict.fromkeys(
        (0x00080012, 0x00080013, 0x00181012, 0x00181014), "remove"
    )
    written = resolve(preset="basic", extra_rules=extra, default_extra=False)
    built_in = resolve(preset="basic")
    assert {key: row.action for key, row in written.rows.items()} == {
        key: row.action for key, row in built_in.rows.items()
    }


def test_extra_rules_take_the_times_at_which_files_were_made(tmp_path: Path) -> None:
    source = get_testdata_file("CT_small.dcm")
    assert isinstance(source, str)
    made = []
    for extra in ([], read_extra_rules(CONFIGS / "extra-rules.json")):
        rules = resolve(preset="none", extra_rules=extra)
        anonymize_file(source, tmp_path / "out.dcm", rules, key=KEY)
        made.append(pydicom.dcmread(tmp_path / "out.dcm"))
    without, with_them = made
    assert {element.keyword for element in without} - {element.keyword for element in with_them} == {
        "InstanceCreationDate", "InstanceCreationTime",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "project"),
    [(["project.json"], "knee"), (["private.json"], None), (["site.json", "trial.json"], "lung")],
)
def test_configurations_over_the_default_keep_nothing_else_that_it_removes(
    names: list[str], project: str | None
) -> None:
    changed = difference(resolve(read_configs(CONFIGS / name for name in names), project=project), resolve())
    kept = [key for key, row in changed.rows.items() if row.action.command in ("keep", "safe")]
    assert all(not isinstance(key, int) for key in kept)
