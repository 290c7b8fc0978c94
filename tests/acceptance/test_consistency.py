"""Same input and same key, same output; what belonged together still does; other keys link nothing."""

from __future__ import annotations

import datetime
import json
import os
import uuid
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom import Dataset
from pydicom.uid import UID_dictionary, generate_uid

from dicom_anon import fanout, planning, runner
from tests.acceptance.command import Path_, call, contents, files_below, read, uids, write_config
from tests.acceptance.conftest import Deliver, Delivery
from tests.datasets import file_bytes, image

OWN = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
AS_THEY_ARE = ("--names", "keep", "--json", "-")
TOP = {0x00080018, 0x0020000E, 0x0020000D}

# Sequences of the sample tree whose references go with them under the preset default.
GONE_WITH_THEIR_SEQUENCE = {
    0x00081120,  # Referenced Patient Sequence
    0x00400275,  # Request Attributes Sequence
    0x04000561,  # Original Attributes Sequence
    0x20051002,  # private sequences
    0x00991002,
}


def _pairs(delivery: Delivery) -> list[tuple[str, Dataset, Dataset]]:
    return [(name, read(delivery.source / name), read(content)) for name, content in delivery.files.items()]


def _own(data_sets: list[Dataset]) -> set[str]:
    return {str(data_set[keyword].value) for data_set in data_sets for keyword in OWN if data_set.get(keyword)}


@pytest.mark.parametrize("preset", ["default", "mercure", "none", "basic"])
@pytest.mark.parametrize("tree", ["sample_in", "real_in"])
def test_every_reference_that_is_left_resolves_to_the_counterpart(
    deliver: Deliver, request: pytest.FixtureRequest, tree: str, preset: str
) -> None:
    pairs = _pairs(deliver(request.getfixturevalue(tree), "--preset", preset))
    before, after = (_own([pair[side] for pair in pairs]) for side in (1, 2))  # type: ignore[misc]
    new: dict[str, set[str]] = defaultdict(set)
    dangling: set[tuple[str, Path_]] = set()
    resolved = 0
    for name, source, made in pairs:
        old_by_place, new_by_place = dict(uids(source)), dict(uids(made))
        for place, value in new_by_place.items():
            old = old_by_place[place]
            if old in UID_dictionary:
                continue
            if old in before:
                new[old].add(value)
                if value not in after:
                    dangling.add((name, place))
                resolved += place[0] not in TOP
    assert not dangling
    assert {uid: values for uid, values in new.items() if len(values) > 1} == {}
    assert len({next(iter(values)) for values in new.values()}) == len(new)
    assert resolved >= (50 if preset == "default" else 20)


def test_references_of_the_sample_go_only_with_what_holds_them(sample_out: Delivery) -> None:
    pairs = _pairs(sample_out)
    before = _own([source for _, source, _ in pairs])
    gone = set()
    kept = 0
    for _, source, made in pairs:
        places = dict(uids(made))
        for place, value in uids(source):
            if value in before and place[0] not in TOP:
                kept += place in places
                if place not in places:
                    gone.add(place[0])
    assert gone <= GONE_WITH_THEIR_SEQUENCE
    assert kept > 50


def test_frames_of_reference_stay_shared(sample_in: Path, sample_out: Delivery) -> None:
    shared = defaultdict(set)
    for _, source, made in _pairs(sample_out):
        if "FrameOfReferenceUID" in source:
            shared[str(source.FrameOfReferenceUID)].add(str(made.FrameOfReferenceUID))
    assert len(shared) > 3
    assert all(len(values) == 1 for values in shared.values())
    assert not set(shared) & {value for values in shared.values() for value in values}


def test_one_worker_and_four_write_the_same_tree(
    tmp_path: Path, key_file: Path, real_in: Path, real_out: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "SMALL_FILES", 0)
    monkeypatch.setattr(runner, "BATCH_FILES", 20)
    monkeypatch.setattr(fanout.Crew, "_work_here", _not_here)
    done = call(real_in, tmp_path / "out", "--key-file", key_file, "-j", 4, *AS_THEY_ARE)
    monkeypatch.undo()
    single = call(real_in, tmp_path / "single", "--key-file", key_file, "-j", 1, *AS_THEY_ARE)
    assert contents(tmp_path / "out") == contents(tmp_path / "single") == real_out.files
    accounts = [run.account for run in (done, single, real_out.done)]
    for account in accounts:
        del account["seconds"]
    assert accounts[0] == accounts[1] == accounts[2]


def _not_here(*_: object) -> None:
    raise AssertionError("worked in the parent")


def _at(monkeypatch: pytest.MonkeyPatch, moment: datetime.datetime) -> None:
    monkeypatch.setattr(planning, "datetime", SimpleNamespace(datetime=SimpleNamespace(now=lambda: moment)))


def test_another_day_writes_the_same_tree(
    tmp_path: Path, key_file: Path, sample_in: Path, sample_out: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    _at(monkeypatch, datetime.datetime(2031, 2, 3, 4, 5, 6, 7000))
    assert call(sample_in, tmp_path / "out", "--key-file", key_file, *AS_THEY_ARE).code == 0
    assert contents(tmp_path / "out") == sample_out.files


def test_the_clock_shows_only_where_a_rule_asks_for_it(
    tmp_path: Path, key_file: Path, sample_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _at(monkeypatch, datetime.datetime(2031, 2, 3, 4, 5, 6, 7000))
    rule = "InstitutionName=set(@process_date@-@process_time@)"
    assert call(sample_in, tmp_path / "out", "--key-file", key_file, "--assign", rule).code == 0
    names = {str(read(content).InstitutionName) for content in contents(tmp_path / "out").values()}
    assert names == {"02032031-040506007"}


OF_ONE_KEY = (
    ("PatientID", "MRN-4711", "set(@fake_mrn@)", "9865403213607024"),
    ("PatientName", "Doe^Jane", "set(@fake_name@)", "Delta^Zeta^^^"),
    ("OtherPatientIDs", "x", "set(@hash_mrn@)", "698D8E68793A4CE1"),
    ("AccessionNumber", "ACC-1", "set(@fake_acc@)", "1645944239712724"),
    ("StudyInstanceUID", "1.2.3", "uid", "2.25.62693177249707434895103514037422147044"),
    ("DeviceUID", "1.2.9", "set(@random_uid@)", "2.25.176060042374524935011281146927755517135"),
    ("StudyDate", "20200229", "shiftdate", "20160405"),
    ("SeriesDate", "20200229", "hash", "19160121"),
    ("SeriesTime", "101112", "hash", "194602"),
    ("OperatorsName", "Roe^Al", "hash", "Mu^Iota^^^"),
    ("StationName", "CT7", "hash", "F645CBFE3FA812B3"),
    ("PatientAge", "033Y", "hash", "062Y"),
    ("InstanceNumber", "1", "hash", "426735853"),
)


def test_pseudonyms_of_a_key_are_those_of_every_version(tmp_path: Path, key_file: Path) -> None:
    values = {keyword: value for keyword, value, _, _ in OF_ONE_KEY}
    source = _tree(tmp_path / "in", one=image(IssuerOfPatientID="KLINIK", **values))
    rules = write_config(
        tmp_path, {"general": {"preset": "none", **{keyword: rule for keyword, _, rule, _ in OF_ONE_KEY}}}
    )
    assert call(source, tmp_path / "out", "-c", rules, "--key-file", key_file).code == 0
    (found,) = map(read, contents(tmp_path / "out").values())
    assert [(keyword, str(found[keyword].value)) for keyword in values] == [
        (keyword, new) for keyword, _, _, new in OF_ONE_KEY
    ]
    made = uuid.UUID(int=int(found.StudyInstanceUID.removeprefix("2.25.")))
    assert (made.version, made.variant) == (8, uuid.RFC_4122)  # what a root of 2.25 asks for (PS3.5 section B.2)


def test_source_folders_of_other_names_and_other_order_write_the_same_files(
    tmp_path: Path, key_file: Path, sample_in: Path, sample_out: Delivery
) -> None:
    for number, name in enumerate(reversed(files_below(sample_in))):
        target = tmp_path / "in" / f"{number:03}"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((sample_in / name).read_bytes())
    assert call(tmp_path / "in", tmp_path / "out", "--key-file", key_file).code == 0
    assert sorted(contents(tmp_path / "out").values()) == sorted(sample_out.files.values())


def test_different_keys_share_no_uid_and_no_number(tmp_path: Path, sample_in: Path, sample_out: Delivery) -> None:
    other = tmp_path / "key"
    other.write_text("another key that is only for the tests")
    assert call(sample_in, tmp_path / "out", "--key-file", other).code == 0
    first, second = (
        {value for content in tree.values() for _, value in uids(read(content)) if value not in UID_dictionary}
        for tree in (sample_out.files, contents(tmp_path / "out"))
    )
    assert len(first) == len(second) > 80
    # Registered elsewhere than in PS3.6: what kept UIDs name is no instance.
    assert all(uid.startswith("2.25.") for uid in first | second)
    assert not first & second
    for keyword in ("PatientID", "AccessionNumber"):
        one, two = (
            {str(read(content)[keyword].value) for content in tree.values()}
            for tree in (sample_out.files, contents(tmp_path / "out"))
        )
        assert len(one) == len(two) > 4
        assert not one & two


def test_a_run_without_a_key_uses_a_new_one_each_time(tmp_path: Path, sample_in: Path) -> None:
    seen = set()
    for name in ("a", "b"):
        assert call(sample_in / "CD/IMAGES/IM000001", tmp_path / name).code == 0
        seen.add(str(read(tmp_path / name / "IM000001").SOPInstanceUID))
    assert len(seen) == 2


def test_one_patient_has_one_pseudonym_over_all_files(sample_in: Path, sample_out: Delivery) -> None:
    new = defaultdict(set)
    for _, source, made in _pairs(sample_out):
        person = (str(source.PatientID), str(source.get("PatientName")) if not source.PatientID else "")
        new[person].add((str(made.PatientID), str(made.PatientName)))
    assert len(new) == 5
    assert all(len(values) == 1 for values in new.values())
    assert len({next(iter(values))[0] for values in new.values()}) == 5


def test_one_accession_has_one_pseudonym_and_another_has_another(sample_out: Delivery) -> None:
    new = defaultdict(set)
    for _, source, made in _pairs(sample_out):
        new[str(source.AccessionNumber)].add(str(made.AccessionNumber))
    assert len(new) == 9
    assert all(len(values) == 1 for values in new.values())
    assert len(set.union(*new.values())) == 9
    assert all(value.isdigit() and len(value) <= 16 for values in new.values() for value in values)


def _tree(folder: Path, **files: Dataset) -> Path:
    folder.mkdir()
    for name, data_set in files.items():
        data_set.SOPInstanceUID = generate_uid(entropy_srcs=[name])
        (folder / name).write_bytes(file_bytes(data_set))
    return folder


def _patients(folder: Path) -> dict[str, tuple[str, str]]:
    return {
        name: (str(read(content).PatientID), str(read(content).PatientName))
        for name, content in contents(folder).items()
    }


def test_spellings_of_one_name_are_one_patient_where_no_id_tells(tmp_path: Path) -> None:
    birth = "19530817"
    source = _tree(
        tmp_path / "in",
        plain=image(PatientName="A^B", PatientID="", PatientBirthDate=birth),
        carets=image(PatientName="A^B^", PatientID="", PatientBirthDate=birth),
        many=image(PatientName="A^B^^^", PatientID="  ", PatientBirthDate=birth),
        lower=image(PatientName=" a^b ", PatientID="", PatientBirthDate=birth),
        other_birth=image(PatientName="A^B", PatientID="", PatientBirthDate="19530818"),
        other_name=image(PatientName="A^C", PatientID="", PatientBirthDate=birth),
    )
    done = call(source, tmp_path / "out", "--json", "-")
    assert done.code == 0
    assert done.account["notes"] == {"patient-by-name": 6}
    found = _patients(tmp_path / "out")
    same = {found[name] for name in ("plain", "carets", "many", "lower")}
    assert len(same) == 1
    assert len({found[name][0] for name in ("plain", "other_birth", "other_name")}) == 3


def test_patients_stay_apart_where_their_names_are_not_in_the_character_set(tmp_path: Path) -> None:
    def written(name: str, identifier: str = "") -> Dataset:
        garbled = {"SpecificCharacterSet": "ISO_IR 100", "PatientBirthDate": "19530817", "StudyID": name}
        found = image(PatientName=name, PatientID=identifier, **garbled)
        found.PatientName, found.PatientID, found.StudyID = (
            text.encode("gb18030").decode("latin-1") for text in (name, identifier, name)
        )
        return found

    li, wang, same, known = written("李四"), written("王五"), written("李四"), written("王五", "号码七")
    other = written("王五", "号码八")
    source = _tree(tmp_path / "in", li=li, wang=wang, same=same, known=known, other=other)
    for path in source.iterdir():  # the bytes stay: in UTF-8, they are none
        path.write_bytes(path.read_bytes().replace(b"CS\x0a\0ISO_IR 100", b"CS\x0a\0ISO_IR 192"))
    done = call(source, tmp_path / "out", "--assign", "StudyID=hash", "--json", "-")
    assert done.code == 0, done.err
    found = _patients(tmp_path / "out")
    assert found["li"] == found["same"]
    assert len({identifier for identifier, _ in found.values()}) == 4
    studies = {name: str(read(content).StudyID) for name, content in contents(tmp_path / "out").items()}
    assert studies["li"] == studies["same"] != studies["wang"]


def test_an_id_tells_patients_apart_whatever_their_names(tmp_path: Path) -> None:
    source = _tree(
        tmp_path / "in",
        one=image(PatientName="Doe^Jane", PatientID="7"),
        married=image(PatientName="Roe^Jane", PatientID=" 7 "),
        namesake=image(PatientName="Doe^Jane", PatientID="8"),
        elsewhere=image(PatientName="Doe^Jane", PatientID="7", IssuerOfPatientID="OTHER"),
    )
    done = call(source, tmp_path / "out", "--json", "-")
    assert done.account["notes"] == {}
    found = _patients(tmp_path / "out")
    assert found["one"] == found["married"]
    assert len({identifier for identifier, _ in found.values()}) == 3


def test_without_id_and_name_the_study_counts_as_the_patient_and_that_is_told(tmp_path: Path) -> None:
    nobody = {"PatientName": "", "PatientID": ""}
    source = _tree(
        tmp_path / "in",
        one=image(**nobody, StudyInstanceUID="1.2.3"),
        same=image(**nobody, StudyInstanceUID="1.2.3"),
        other=image(**nobody, StudyInstanceUID="1.2.4"),
        unknown=image(**nobody, StudyInstanceUID=""),
    )
    done = call(source, tmp_path / "out", "--json", "-")
    assert done.account["notes"] == {"patient-by-study": 3, "patient-unknown": 1}
    found = {name: identifier for name, (identifier, _) in _patients(tmp_path / "out").items()}
    assert found["one"] == found["same"]
    assert len(set(found.values())) == 3
    shown = call(source, tmp_path / "again")
    assert "note: 3 files without PatientID and name: each study counts as a patient" in shown.out


def test_files_of_the_sample_without_an_id_are_counted(sample_out: Delivery) -> None:
    assert sample_out.done.account["notes"]["patient-by-name"] == 6


@pytest.mark.parametrize("how", ["run-dir", "key-file"])
def test_the_key_of_a_run_serves_the_next_delivery(tmp_path: Path, sample_in: Path, how: str) -> None:
    first, later = sample_in / "CD", sample_in / "BZ-0042-8815"
    assert call(first, tmp_path / "monday").code == 0
    private = tmp_path / "monday.private"
    options = ("--run-dir", private) if how == "run-dir" else ("--key-file", private / "key")
    assert call(later, tmp_path / "tuesday", *options).code == 0
    assert call(first, tmp_path / "again", *options).code == 0
    assert contents(tmp_path / "again") == contents(tmp_path / "monday")
    monday, tuesday = (
        {identifier for identifier, _ in _patients(tmp_path / name).values()} for name in ("monday", "tuesday")
    )
    assert monday == tuesday
    assert len(monday) == 1


def test_the_private_folder_is_for_its_owner_only(tmp_path: Path, sample_in: Path) -> None:
    assert call(sample_in / "CD", tmp_path / "deep/out").code == 0
    private = tmp_path / "deep/out.private"
    assert private.stat().st_mode & 0o777 == 0o700
    modes = {name: os.stat(private / name).st_mode & 0o777 for name in os.listdir(private)}
    assert {"key", "not-written.csv"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_no_run_dir_leaves_nothing_beside_the_output(tmp_path: Path, sample_in: Path) -> None:
    assert call(sample_in / "CD", tmp_path / "out", "--no-run-dir").code == 0
    assert os.listdir(tmp_path) == ["out"]


def test_the_digest_of_the_rules_names_them(tmp_path: Path, sample_in: Path) -> None:
    one = sample_in / "CD/IMAGES/IM000001"
    digests = []
    for number, rules in enumerate(({}, {"PatientSex": "clear"}, {"(0010,0040)": "clear"})):
        config = write_config(tmp_path, {"general": rules}, f"{number}.json")
        digests.append(json.loads(call(one, tmp_path / str(number), "-c", config, "--json", "-").out)["rules"])
    assert digests[0] != digests[1] == digests[2]
