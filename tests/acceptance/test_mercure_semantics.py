"""mercure-anonymizer's semantics: where we do what it does, and where we are better on purpose."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import UID_dictionary

from tests.acceptance.command import call, contents, read, uids, write_config
from tests.acceptance.conftest import Deliver
from tests.datasets import file_bytes, image, item, real_file

VECTORS = json.loads((Path(__file__).parents[1] / "data/hash_acc_vectors.json").read_text("utf-8"))


def outcome(folder: Path, source: Dataset | bytes, config: dict[str, Any], *options: object) -> Dataset:
    """What becomes of one file."""
    return outcomes(folder, {"file": source}, config, *options)["file"]


def outcomes(
    folder: Path, sources: dict[str, Dataset | bytes], config: dict[str, Any], *options: object
) -> dict[str, Dataset]:
    """What becomes of some files."""
    number = len(list(folder.iterdir()))
    top = folder / f"in{number}"
    top.mkdir()
    for name, source in sources.items():
        (top / name).write_bytes(source if isinstance(source, bytes) else file_bytes(source))
    done = call(top, folder / f"out{number}", "-c", write_config(folder, config, f"{number}.json"), *options)
    assert done.code == 0, done.out + done.err
    return {name: read(folder / f"out{number}" / name) for name in sources}


def refused(folder: Path, config: dict[str, Any] | str) -> str:
    """Message with which a configuration is refused."""
    done = call("print-assignment", "-c", write_config(folder, config))
    assert done.code == 2
    return done.err


# Where we do what it does


@pytest.mark.parametrize("vector", VECTORS, ids=lambda row: row["note"] or "plain")
def test_hash_acc_is_its_hash(tmp_path: Path, vector: dict[str, str]) -> None:
    source = image(AccessionNumber=vector["accession"])
    source.SpecificCharacterSet = "ISO_IR 192"
    config = {"general": {"preset": "none", "StudyID": "set(@hash_acc@)"}}
    if not vector["note"].startswith("(defaults"):
        config["general"].update(name=vector["name"], owner=vector["owner"])
    assert outcome(tmp_path, source, config).StudyID == vector["hash_acc"]


def test_a_hash_that_is_cut_is_told(tmp_path: Path) -> None:
    top = tmp_path / "in"
    top.mkdir()
    for number in range(3):
        (top / str(number)).write_bytes(file_bytes(image(AccessionNumber=f"A1234{number}")))
    config = write_config(tmp_path, {"general": {"name": "Studie-Ä", "owner": "abc", "StudyID": "set(@hash_acc@)"}})
    done = call(top, tmp_path / "out", "-c", config, "--json", "-")
    assert done.account["notes"] == {"hash-acc-cut": 3}
    assert {read(content).StudyID for content in contents(tmp_path / "out").values()} == {"B77218E52E5068BA"}
    shown = call(top, tmp_path / "again", "-c", config)
    assert shown.out.count("different ones may get one hash") == 1


def test_precedence_is_preset_general_project(tmp_path: Path) -> None:
    config = {
        "general": {"PatientSex": "clear", "PatientSize": "clear", "AccessionNumber": "set(G)"},
        "knee": {"PatientSize": "remove", "AccessionNumber": "set(P)"},
    }
    source = image(PatientSex="F", PatientSize="1.7", PatientWeight="70", AccessionNumber="A")
    made = outcome(tmp_path, source, config, "--project", "knee")
    assert made.PatientSex == ""  # general over preset
    assert "PatientSize" not in made  # project over general
    assert made.PatientWeight == 70  # preset
    assert made.AccessionNumber == "P"
    assert outcome(tmp_path, source, config).AccessionNumber == "G"


def test_set_and_clear_insert_at_top_level_only(tmp_path: Path) -> None:
    source = image(ReferencedStudySequence=[item(StudyDescription="x")])
    made = outcome(tmp_path, source, {"general": {"preset": "none", "PatientComments": "set(new)", "StudyID": "clear"}})
    assert made.PatientComments == "new"
    assert made.StudyID == ""
    assert list(made.ReferencedStudySequence[0].keys()) == [0x00081030]


def test_value_of_an_absent_tag_is_empty_and_of_several_the_first(tmp_path: Path) -> None:
    rules = {
        "preset": "none",
        "PatientComments": "set([@value(StudyDescription)@])",
        "AcquisitionComments": "set([@value(ImageType)@])",
    }
    made = outcome(tmp_path, image(ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]), {"general": rules})
    assert made.PatientComments == "[]"
    assert made.AcquisitionComments == "[ORIGINAL]"


def test_an_inner_parenthesis_stays_and_a_backslash_makes_several_values(tmp_path: Path) -> None:
    rules = {"preset": "none", "PatientID": "set(a)b)", "OtherPatientIDs": "set(one\\two\\three)"}
    made = outcome(tmp_path, image(), {"general": rules})
    assert made.PatientID == "a)b"
    assert list(made.OtherPatientIDs) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("az_KNEE", "knee"),
        ("KNEE", "knee"),
        ("AZ_Knee", "knee"),
        ("az_az_knee", "az_knee"),
        ("hip", ""),
        ("az_", ""),
    ],
)
def test_the_aet_is_lower_cased_and_one_az_dropped(tmp_path: Path, title: str, found: str) -> None:
    config = {
        "general": {},
        "Knee": {"PatientComments": "set(knee)"},
        "AZ_knee": {"PatientComments": "set(az_knee)"},
    }
    made = outcome(tmp_path, image(), config, "--aet", title)
    assert made.get("PatientComments", "") == found


@pytest.mark.parametrize("preset", ["default", "none", "mercure"])
def test_the_three_uids_always_change(tmp_path: Path, preset: str) -> None:
    made = outcome(tmp_path, image(), {"general": {"preset": preset}})
    assert made.StudyInstanceUID != "1.2.3.4"
    assert made.SeriesInstanceUID != "1.2.3.4.1"
    assert made.SOPInstanceUID != "1.2.3.4.5"


def test_the_mercure_preset_does_what_its_table_says(tmp_path: Path) -> None:
    source = image(
        StudyTime="101112", SeriesTime="101112", ContentTime="101112", PatientBirthDate="19530817",
        PatientSex="F", InstitutionName="Klinikum", StudyDescription="CT Thorax", PatientComments="x",
    )  # fmt: skip
    made = outcome(tmp_path, source, {"general": {"preset": "mercure"}})
    assert made.StudyDate == "20040101"
    assert made.StudyTime == made.ContentTime == ""
    assert "SeriesTime" not in made
    assert "InstitutionName" not in made
    assert made.StudyDescription == "CT Thorax"


# Where we are better


def test_rules_reach_every_depth(tmp_path: Path) -> None:
    inner = item(PatientName="Doe^Jane", StudyDate="20040119", ReferencedSOPInstanceUID="1.2.3.4.5")
    inner.private_block(0x0009, "MAKER", create=True).add_new(1, "LO", "Doe")
    source = image(ReferencedImageSequence=[item(SourceImageSequence=[inner, inner]), inner])
    made = outcome(tmp_path, source, {"general": {"PatientName": "set(x)", "SourceImageSequence": "keep"}})
    for deep in (made.ReferencedImageSequence[0].SourceImageSequence[1], made.ReferencedImageSequence[1]):
        assert deep.PatientName == "x"
        assert deep.StudyDate == "20040101"
        assert deep.ReferencedSOPInstanceUID == made.SOPInstanceUID
        assert not [element for element in deep if element.tag.is_private]
    assert b"Doe" not in file_bytes(made)


@pytest.mark.parametrize("value", ["true", "false"])
def test_curves_and_overlays_are_removed_where_the_option_says_so(tmp_path: Path, value: str) -> None:
    source = image()
    for group in (0x5000, 0x501E, 0x6000, 0x601E):
        source.add_new(group << 16 | 0x0022, "LO", "text")
        source.add_new(group << 16 | 0x3000, "OW", b"\0\1" * 8)
    rules = {"preset": "none", "remove_curves": value, "remove_overlays": value}
    made = outcome(tmp_path, source, {"general": rules})
    left = {tag.group for tag in made.keys()} & {0x5000, 0x501E, 0x6000, 0x601E}  # noqa: SIM118
    assert left == (set() if value == "true" else {0x5000, 0x501E, 0x6000, 0x601E})


@pytest.mark.parametrize(
    ("rules", "piece"),
    [
        ({"0010;0010": "clear"}, "names no DICOM element"),
        ({"(0010,0010": "clear", "0010,0010)": "keep"}, "names the same element"),
        ({"remove_unknown_tags": "no"}, '"no" is no value for it'),
        ({"PatientName": "keepX"}, "unknown command"),
        ({"PatientName": "removeXYZ"}, "unknown command"),
        ({"(0008,103E)": "remove", "(0008,103e)": "keep"}, "names the same element"),
        ({"PatientID": "set(@unknown_macro@)"}, "unknown macro"),
    ],
)
def test_what_it_ignores_is_an_error(tmp_path: Path, rules: dict[str, str], piece: str) -> None:
    assert piece in refused(tmp_path, {"general": rules})


def test_case_of_hex_digits_makes_no_second_rule(tmp_path: Path) -> None:
    source = image(SeriesDescription="Doe's knee")
    for key in ("(0008,103E)", "(0008,103e)", "0008103E"):
        made = outcome(tmp_path, source, {"general": {"preset": "mercure", key: "set(x)"}})
        assert made.SeriesDescription == "x"


def test_prefix_and_owner_are_two_things(tmp_path: Path) -> None:
    config = {
        "general": {
            "owner": "OWNER",
            "prefix": "PREFIX",
            "PatientID": "set(@project_owner@/@project_prefix@)",
        }
    }
    assert outcome(tmp_path, image(), config).PatientID == "OWNER/PREFIX"


def test_project_settings_go_before_those_of_general(tmp_path: Path) -> None:
    rule = {"PatientID": "set(@project_name@/@project_owner@/@project_prefix@)"}
    config: dict[str, Any] = {
        "general": {**rule, "name": "G", "owner": "GO"},
        "knee": {"name": "K", "prefix": "KP"},
    }
    assert outcome(tmp_path, image(), config, "--project", "knee").PatientID == "K/GO/KP"
    assert outcome(tmp_path, image(), {"general": rule}).PatientID == "Undefined/Unknown/"


def test_flags_follow_the_effective_preset(tmp_path: Path) -> None:
    source = image()
    source.private_block(0x0009, "MAKER", create=True).add_new(1, "LO", "secret")
    config: dict[str, Any] = {"general": {"preset": "none"}, "strict": {"preset": "default"}}
    assert 0x00091001 in outcome(tmp_path, source, config)
    assert 0x00091001 not in outcome(tmp_path, source, config, "--project", "strict")
    # An explicit option of general still holds.
    config["general"]["remove_unknown_tags"] = "false"
    assert 0x00091001 in outcome(tmp_path, source, config, "--project", "strict")


def test_macros_in_data_are_never_expanded(tmp_path: Path) -> None:
    source = image(PatientName="@value(0010,0020)@", PatientID="@fake_name@@value@")
    rules = {
        "preset": "none",
        "PatientName": "set(x @value@)",
        "PatientID": "set(@value@)",
        "StudyDescription": "set(@value(PatientName)@)",
    }
    made = outcome(tmp_path, source, {"general": rules})
    assert made.PatientName == "x @value(0010,0020)@"
    assert made.PatientID == "@fake_name@@value@"
    assert made.StudyDescription == "@value(0010,0020)@"


def test_macros_see_original_values_whatever_the_order_of_rules(tmp_path: Path) -> None:
    rules = {
        "preset": "none",
        "PatientName": "set(@value(PatientID)@)",
        "PatientID": "set(@value(PatientName)@)",
    }
    made = outcome(tmp_path, image(), {"general": rules})
    assert (str(made.PatientName), made.PatientID) == ("ID-1", "Doe^Jane")


def test_uids_are_the_same_in_two_runs_of_one_key(tmp_path: Path, deliver: Deliver, sample_in: Path) -> None:
    one = deliver(sample_in, "--preset", "mercure")
    two = deliver(sample_in, "--preset", "mercure", "--jobs", 1)
    assert one.files == two.files
    studies = defaultdict(set)
    for name, content in one.files.items():
        studies[read(sample_in / name).StudyInstanceUID].add(read(content).StudyInstanceUID)
    assert len(studies) == 9
    assert all(len(made) == 1 for made in studies.values())


def test_fake_numbers_tell_nothing_of_the_time(tmp_path: Path, key_file: Path) -> None:
    rules = {"PatientID": "set(@fake_mrn@)", "AccessionNumber": "set(@fake_acc@)"}
    config = {"general": {"preset": "none", **rules}}
    made = [outcome(tmp_path, image(AccessionNumber="A1"), config, "--key-file", key_file) for _ in range(2)]
    assert made[0].PatientID == made[1].PatientID
    assert made[0].AccessionNumber == made[1].AccessionNumber
    other = outcome(tmp_path, image(AccessionNumber="A1"), config)
    assert other.PatientID != made[0].PatientID
    assert all(len(value) <= 16 and value.isdigit() for value in (made[0].PatientID, made[0].AccessionNumber))
    assert made[0].PatientID != made[0].AccessionNumber


def test_truncdate_empties_what_is_no_date(tmp_path: Path) -> None:
    raw = file_bytes(image(StudyDate="20040119")).replace(b"20040119", b"abcdefgh")
    made = outcome(tmp_path, raw, {"general": {"preset": "none", "StudyDate": "truncdate"}})
    assert made.StudyDate == ""


def test_set_honours_the_character_set_and_widens_it_where_needed(tmp_path: Path) -> None:
    latin = image(StudyDescription="Schädel")
    latin.SpecificCharacterSet = "ISO_IR 100"
    config = {"general": {"preset": "none", "PatientComments": "set(Größe)"}}
    raw = file_bytes(latin)
    made = outcome(tmp_path, raw, config)
    assert made.SpecificCharacterSet == "ISO_IR 100"
    assert made.PatientComments == "Größe"
    config["general"]["PatientComments"] = "set(薬)"
    wide = outcome(tmp_path, raw, config)
    assert wide.SpecificCharacterSet == "ISO_IR 192"
    assert wide.PatientComments == "薬"
    assert wide.StudyDescription == "Schädel"


def test_set_to_binary_and_private_values_is_packed_or_refused(tmp_path: Path) -> None:
    source = image(SmallestImagePixelValue=1, FrameIncrementPointer=0x00181063)
    source.private_block(0x0009, "MAKER", create=True).add_new(1, "US", 7)
    rules = {
        "preset": "none",
        "SmallestImagePixelValue": "set(513)",
        "FrameIncrementPointer": "set(FrameTimeVector)",
        '(0009,xx01,"MAKER")': "set(258)",
        "ICCProfile": "set(hex:00010203)",
    }
    made = outcome(tmp_path, source, {"general": rules})
    assert made.SmallestImagePixelValue == 513
    assert made.FrameIncrementPointer == 0x00181065
    assert made[0x00091001].value == 258
    assert made.ICCProfile == b"\0\1\2\3"


def test_one_unreadable_file_costs_that_file(tmp_path: Path) -> None:
    top = tmp_path / "in"
    top.mkdir()
    (top / "a").write_bytes(file_bytes(image()))
    (top / "b").write_bytes(file_bytes(image())[:-5])
    (top / "c").write_bytes(file_bytes(image()))
    done = call(top, tmp_path / "out", "--json", "-")
    assert done.code == 1
    assert sorted(contents(tmp_path / "out")) == ["a", "c"]
    assert done.account["quarantined"]["files"] == 1


def test_what_its_default_forgets_is_gone_under_ours(tmp_path: Path) -> None:
    source = image(
        VerifyingObserverSequence=[item(VerifyingObserverName="Doe^John", VerifyingOrganization="Klinikum Zwiebrecht")],
        InstanceCreationTime="101112",
        PatientAge="093Y",
        StudyDescription="CT of Doe",
        SeriesDescription="for Dr. Roe",
    )
    made = file_bytes(outcome(tmp_path, source, {"general": {}}))
    for text in (b"Doe", b"Roe", b"Zwiebrecht", b"101112", b"093Y"):
        assert text in file_bytes(source)
        assert text not in made


@pytest.mark.parametrize(("age", "left"), [("089Y", "089Y"), ("090Y", "090Y"), ("091Y", "090Y"), ("006W", "006W")])
def test_ages_over_89_are_one_age(tmp_path: Path, age: str, left: str) -> None:
    assert outcome(tmp_path, image(PatientAge=age), {"general": {}}).PatientAge == left


def test_functional_groups_segmentations_and_plans_stay_usable(sample_in: Path, deliver: Deliver) -> None:
    files = deliver(sample_in).files
    chest = "Quarkstein_Wilhelmina/CT_20190314_ACZ19-550021"
    enhanced = read(files["cardio/2019/mr/IM_0001"])
    frames = read(sample_in / "cardio/2019/mr/IM_0001").PerFrameFunctionalGroupsSequence
    assert len(enhanced.PerFrameFunctionalGroupsSequence) == len(frames)
    assert enhanced.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence == frames[0].PlanePositionSequence
    segmentation = read(files[f"{chest}/series_4/IM_0001.dcm"])
    source = read(sample_in / f"{chest}/series_4/IM_0001.dcm")
    assert len(segmentation.SegmentSequence) == len(source.SegmentSequence)
    assert segmentation.SegmentSequence[0].SegmentNumber == source.SegmentSequence[0].SegmentNumber
    structures = next(read(files[name]) for name in files if "/rt/RS." in name)
    before = next(read(sample_in / name) for name in files if "/rt/RS." in name)
    assert (
        structures.ROIContourSequence[0].ContourSequence[0].ContourData
        == before.ROIContourSequence[0].ContourSequence[0].ContourData
    )
    plan = outcome_of_real("rtplan.dcm", deliver, sample_in)
    assert len(plan.BeamSequence) == len(read(real_file("rtplan.dcm")).BeamSequence)


def outcome_of_real(name: str, deliver: Deliver, sample_in: Path) -> Dataset:
    """One of pydicom's files under the preset default."""
    folder = deliver(real_file(name))
    return read(folder.files[name])


def test_the_file_meta_is_rebuilt(tmp_path: Path) -> None:
    made = outcome(tmp_path, image(), {"general": {"preset": "mercure"}})
    assert "SourceApplicationEntityTitle" not in made.file_meta
    assert "PrivateInformation" not in made.file_meta
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID
    assert made.file_meta.MediaStorageSOPClassUID in UID_dictionary


def test_random_uid_is_one_for_each_study_and_no_reference_to_it(tmp_path: Path) -> None:
    sources: dict[str, Dataset | bytes] = {
        "a": image(SOPInstanceUID="1.2.1"),
        "b": image(SOPInstanceUID="1.2.2"),
        "c": image(SOPInstanceUID="1.2.3", StudyInstanceUID="1.9"),
    }
    made = outcomes(tmp_path, sources, {"general": {"preset": "none", "FrameOfReferenceUID": "set(@random_uid@)"}})
    frames = {name: data_set.FrameOfReferenceUID for name, data_set in made.items()}
    assert frames["a"] == frames["b"] != frames["c"]
    assert frames["a"] not in {value for place, value in uids(made["a"]) if place[0] != 0x00200052}
