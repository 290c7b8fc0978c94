"""Names of files and folders: what identifies is replaced, the same everywhere, and the tree keeps its shape."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file

from dicom_anon import output
from tests.acceptance.command import call, contents, files_below, folders_below, read
from tests.acceptance.test_resume import picture
from tests.datasets import file_bytes, image

IDENTIFYING = (
    "Grubenwald",
    "GRUBENWALD_Ottoline",
    "ottoline.grubenwald",
    "Ottoline, G",
    "x grübenwald x".replace("ü", "u"),
    "MRN448812",
    "MRN-448812",
    "pat mrn 448812 head",
    "19571123",
    "23111957",
    "1957-11-23",
    "ACC7719",
    "1.2.826.0.1.3680043.10.77.1",
    "1.2.826.0.1.3680043.10.77.1.1",
)
HARMLESS = ("CT", "series 3", "2019 knee", "ottolin", "448", "1957", "Nordhafen", "1.2.826.0.1.3680043.10.78")
LATIN: dict[str, Any] = {"PatientBirthDate": "19571123", "AccessionNumber": "ACC-7719"}


def tree(folder: Path, *paths: str, patient: int = 0, **changes: object) -> Path:
    """Write one slice of a patient under each of these names."""
    for number, path in enumerate(paths):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(picture(patient, number, **changes))
    return folder


def run(source: Path, out: Path, key_file: Path, *more: object) -> dict[str, int]:
    """Run, and return the notes of the account."""
    done = call(source, out, "--key-file", key_file, "--json", "-", "-j", 1, *more)
    assert done.code in (0, 1), done.err
    notes: dict[str, int] = done.account["notes"]
    return notes


def by_source(out: Path) -> dict[int, str]:
    """Paths of outputs by the number of their slice."""
    return {int(read(content).InstanceNumber): name for name, content in contents(out).items()}


@pytest.mark.parametrize("name", IDENTIFYING)
def test_a_folder_or_file_that_identifies_is_replaced(tmp_path: Path, key_file: Path, name: str) -> None:
    source = tree(tmp_path / "in", f"{name}/CT/1.dcm", f"plain/{name}.dcm", **LATIN)
    notes = run(source, tmp_path / "out", key_file)
    assert (notes["folder-name-replaced"], notes["file-name-replaced"]) == (1, 1)
    found = by_source(tmp_path / "out")
    token, *rest = found[0].split("/")
    assert rest == ["CT", "1.dcm"]
    assert 6 <= len(token) <= 40
    assert token.isalnum()
    assert found[1].startswith("plain/")
    assert found[1].endswith(".dcm")
    assert name.lower() not in str(files_below(tmp_path / "out")).lower()


WRONG_SETS = [
    ("王^小东", "gb18030", "", "王小东"), ("王^小东", "gb18030", "ISO_IR 100", "CT_王小东"),
    ("山田^太郎", "shift_jis", "", "山田太郎"), ("김^희중", "euc_kr", "ISO_IR 100", "김희중"),
    ("陳^大文", "big5", "ISO_IR 192", "陳大文"), ("Kühnel^Jörg", "utf-8", "", "Kühnel_Jörg"),
    ("Kühnel^Jörg", "latin-1", "ISO_IR 192", "Kuehnel"), ("Иванов^Пётр", "cp1251", "ISO_IR 100", "Иванов"),
]  # fmt: skip


@pytest.mark.parametrize(("header", "codec", "declared", "name"), WRONG_SETS)
def test_a_name_in_a_wrong_character_set_is_compared_all_the_same(
    tmp_path: Path, key_file: Path, header: str, codec: str, declared: str, name: str
) -> None:
    source = tree(tmp_path / "in", f"{name}/1.dcm", "plain/2.dcm", PatientName="X" * 10, SpecificCharacterSet=declared)
    raw = header.encode(codec)
    for path in source.rglob("*.dcm"):
        content, padded = path.read_bytes(), raw + b" " * (len(raw) % 2)
        at = content.index(b"\x10\0\x10\0PN") + 6
        path.write_bytes(content[:at] + bytes((len(padded), 0)) + padded + content[at + 12 :])
    run(source, tmp_path / "out", key_file)
    assert set(folders_below(tmp_path / "out")) & {name, "plain"} == {"plain"}
    assert len(files_below(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("1_2_826_0_1_3680043_10_77_1", {}), ("1-2-826-0-1-3680043-10-77-1-1", {}), ("12826013680043107711", {}),
        ("1.3.6.1.4.1.99999.1.55.7", {"SOPInstanceUID": "1.3.6.1.4.1.99999.1.55.7"}),
        ("1_3_6_1_4_1_99999_1_55_7", {"SOPInstanceUID": "1.3.6.1.4.1.99999.1.55.7"}),
        ("1.3.6.1.4.1.99999.4", {"FrameOfReferenceUID": "1.3.6.1.4.1.99999.4"}),
        ("0012", {"PatientID": "12"}), ("42", {"PatientID": "0042"}), ("815", {"PatientID": "0815"}),
        ("PAT-0042", {"PatientID": "PAT-42"}), ("pat 42", {"PatientID": "PAT0042"}),
        ("20190614", {"StudyDate": "20190614"}), ("2019-06-14 knee", {"StudyDate": "20190614"}),
        ("20190615", {"AcquisitionDate": "20190615"}), ("15.06.2019", {"SeriesDate": "20190615"}),
        ("CT 2019-06-15", {"StudyDate": "", "ContentDate": "20190615"}),
        ("1997-04-24", {"StudyDate": "1997.04.24"}), ("1961.12.30", {"PatientBirthDate": "1961.12.30"}),
        ("19970424", {"StudyDate": "", "AcquisitionDate": "", "AcquisitionDateTime": "19970424101112"}),
        ("K 30 771", {"OtherPatientIDs": ["A", "K30-771"]}), ("ST-77120", {"StudyID": "ST77120"}),
    ],
)  # fmt: skip
def test_however_an_identifier_is_written_it_is_replaced(
    tmp_path: Path, key_file: Path, name: str, changes: dict[str, Any]
) -> None:
    source = tree(tmp_path / "in", f"{name}/CT.dcm", f"plain/{name}.dcm", **changes)
    if own := str(changes.get("SOPInstanceUID", "")).encode():  # file meta may name another
        for path in source.rglob("*.dcm"):
            path.write_bytes(path.read_bytes().replace(own, own[:-1] + b"8", 1))
    notes = run(source, tmp_path / "out", key_file)
    assert (notes["folder-name-replaced"], notes["file-name-replaced"]) == (1, 1)
    assert name not in str(files_below(tmp_path / "out"))


def items(**elements: str) -> list[Dataset]:
    """Two items of a sequence, the second with these elements."""
    found = [Dataset(), Dataset()]
    for keyword, value in elements.items():
        setattr(found[1], keyword, value)
    return found


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Kowalska_Anna", {"OtherPatientNames": ["Novak^Ann", "Kowalska^Anna"]}),
        ("A. Kowalska", {"PatientBirthName": "Kowalska^Anna"}),
        ("Кузнецова", {"PatientBirthName": "Кузнецова", "SpecificCharacterSet": "ISO_IR 144"}),
        ("Mumblethorpe", {"PatientMotherBirthName": "Mumblethorpe^Ann"}),
        ("20190205", {"AcquisitionDateTime": "20190205101112.5+0100"}),
        ("MRN 8812345", {"OtherPatientIDsSequence": items(PatientID="88-12345")}),
        ("4471-22", {"MedicalRecordLocator": "447122"}),
        ("Fall 20441177", {"AdmissionID": "20441177"}), ("E-5512345", {"ServiceEpisodeID": "E5512345"}),
        ("ACC-5531", {"RequestAttributesSequence": items(AccessionNumber="ACC5531")}),
        ("acc 5531", {"ReferencedRequestSequence": items(AccessionNumber="ACC5531")}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cut", [False, True])
def test_every_name_and_id_of_the_patient_counts(
    tmp_path: Path, key_file: Path, name: str, changes: dict[str, Any], cut: bool
) -> None:
    source = tree(tmp_path / "in", f"{name}/1.dcm", "plain/2.dcm", **changes)
    (source / name / "3.dcm").write_bytes(picture(0, 3))
    if cut:
        path = source / name / "1.dcm"
        path.write_bytes(path.read_bytes()[:-5])
    run(source, tmp_path / "out", key_file)
    written = files_below(tmp_path / "out")
    assert "plain/2.dcm" in written
    assert len(written) == 3 - cut
    assert name not in folders_below(tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("30012", {"PatientID": "12"}), ("series 3", {"StudyID": "3"}), ("1", {"StudyID": "1"}),
        ("420", {"PatientID": "0042"}), ("2019", {"StudyDate": "20190614"}), ("1_2_826_0", {}),
        ("SER00001", {"StudyID": "00001"}), ("IM000123", {"StudyID": "000123"}), ("CHEST", {"StudyID": "CHEST"}),
        ("STUDY1", {"StudyID": "Study1"}),
        ("SER00001", {"AdmissionID": "00001"}), ("EMERGENCY", {"ServiceEpisodeID": "EMERGENCY"}),
        ("IM000120", {"PatientID": "M12"}), ("SER0012", {"PatientID": "R12"}),
    ],
)  # fmt: skip
def test_what_only_looks_like_an_identifier_stays(
    tmp_path: Path, key_file: Path, name: str, changes: dict[str, Any]
) -> None:
    source = tree(tmp_path / "in", f"{name}/CT.dcm", **changes)
    assert "folder-name-replaced" not in run(source, tmp_path / "out", key_file)


def test_a_day_stays_in_a_name_where_it_stays_in_the_file(tmp_path: Path, key_file: Path) -> None:
    source = tree(tmp_path / "in", "20190614/20190615.dcm", StudyDate="20190614", SeriesDate="20190615")
    run(source, tmp_path / "out", key_file, "--assign", "StudyDate=keep", "--assign", "SeriesDate=keep")
    assert files_below(tmp_path / "out") == ["20190614/20190615.dcm"]


LABEL = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6", "ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}
REPORT = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}


@pytest.mark.parametrize("changes", [LABEL, REPORT])
def test_a_file_that_is_not_passed_on_speaks_for_the_folders_above_it(
    tmp_path: Path, key_file: Path, changes: dict[str, Any]
) -> None:
    source = tree(tmp_path / "in", "labels/Grubenwald_Ottoline/l.dcm", "both/Ottoline/l.dcm", **changes)
    tree(source, "both/Ottoline/ct.dcm", patient=1)  # of somebody else, and written
    run(source, tmp_path / "out", key_file)
    assert not any("ottoline" in name.lower() for name in folders_below(tmp_path / "out"))
    assert [name[:5] for name in files_below(tmp_path / "out")] == ["both/"]


def test_a_patient_that_is_not_in_the_lookup_table_is_not_named_by_a_folder_either(
    tmp_path: Path, key_file: Path
) -> None:
    source = tree(tmp_path / "in", "both/Ottoline/1.dcm", PatientID="gone")
    tree(source, "both/Ottoline/2.dcm", patient=1, PatientID="there")
    table = tmp_path / "table.csv"
    table.write_text("PatientID,SubjectID\nthere,S-1\n")
    run(source, tmp_path / "out", key_file, "--lookup", str(table), "--assign", "StudyDate=shiftdate")
    assert "Ottoline" not in folders_below(tmp_path / "out")
    assert len(files_below(tmp_path / "out")) == 1


def test_a_folder_with_nothing_but_an_index_keeps_its_token(tmp_path: Path, key_file: Path) -> None:
    (tmp_path / "in/Doe_Archibald").mkdir(parents=True)
    index = Path(str(get_testdata_file("DICOMDIR"))).read_bytes()
    (tmp_path / "in/Doe_Archibald/DICOMDIR").write_bytes(index)
    run(source=tmp_path / "in", out=tmp_path / "out", key_file=key_file)
    assert len(folders_below(tmp_path / "out")) == 1
    assert "Doe_Archibald" not in folders_below(tmp_path / "out")


@pytest.mark.parametrize("name", HARMLESS)
def test_other_names_stay(tmp_path: Path, key_file: Path, name: str) -> None:
    source = tree(tmp_path / "in", f"{name}/{name}.dcm", **LATIN)
    notes = run(source, tmp_path / "out", key_file)
    assert not {"folder-name-replaced", "file-name-replaced"} & set(notes)
    assert files_below(tmp_path / "out") == [f"{name}/{name}.dcm"]


def test_the_same_component_becomes_the_same_everywhere(tmp_path: Path, key_file: Path) -> None:
    paths = ("a/Grubenwald/1.dcm", "b/c/Grubenwald/x/2.dcm", "Grubenwald/Grubenwald/3.dcm")
    source = tree(tmp_path / "in", *paths)
    tree(source, "d/Grubenwald/4.dcm", patient=1)  # another patient's file below it
    for out in (tmp_path / "out", tmp_path / "again"):
        run(source, out, key_file)
    assert files_below(tmp_path / "out") == files_below(tmp_path / "again")
    tokens = {part for path in files_below(tmp_path / "out") for part in path.split("/") if len(part) > 5}
    assert len(tokens) == 1
    run(
        source,
        tmp_path / "other",
        tmp_path / "out.private/key" if (tmp_path / "out.private/key").exists() else _key(tmp_path),
    )
    assert tokens.isdisjoint(part for path in files_below(tmp_path / "other") for part in path.split("/"))


def _key(folder: Path) -> Path:
    path = folder / "other.key"
    path.write_text("a second key, for other names")
    return path


def test_the_order_of_numbered_slices_is_kept(tmp_path: Path, key_file: Path) -> None:
    names = [f"Grubenwald_CT_{number:04}.dcm" for number in range(12)]
    names += [f"MRN448812.{number}" for number in range(12, 20)]
    source = tree(tmp_path / "in", *names)
    run(source, tmp_path / "out", key_file)
    found = by_source(tmp_path / "out")
    assert len(set(found.values())) == 20
    assert [found[number] for number in range(12)] == sorted(found[number] for number in range(12))
    assert {found[number].split("_")[0] for number in range(12)} == {found[0].split("_")[0]}
    assert all(f"{number:04}" in found[number] for number in range(12))


def test_names_that_differ_never_become_one(tmp_path: Path, key_file: Path) -> None:
    names = ["Grubenwald.dcm", "grubenwald.dcm", "Grubenwald.DCM", "Grubenwald", "Grubenwald 1.dcm", "Grubenwald_1.dcm"]
    source = tree(tmp_path / "in", *names, *(f"Grubenwald {name[-8:]}/x.dcm" for name in names))
    done = call(source, tmp_path / "out", "--key-file", key_file, "--json", "-")
    assert done.account["written"]["files"] == len(files_below(tmp_path / "out")) == len(files_below(source))


@pytest.mark.parametrize("name", ["CON", "nul.dcm", "com1", "LPT9.txt", "aux", "PRN.a.b"])
def test_names_that_windows_reserves_are_replaced(tmp_path: Path, key_file: Path, name: str) -> None:
    source = tree(tmp_path / "in", f"{name}/1.dcm", f"plain/{name}")
    run(source, tmp_path / "out", key_file)
    parts = {part.lower() for path in files_below(tmp_path / "out") for part in path.split("/")}
    assert name.lower() not in parts
    assert len(files_below(tmp_path / "out")) == 2


def test_names_of_255_bytes(tmp_path: Path, key_file: Path) -> None:
    long, wide = "n" * 251 + ".dcm", "é" * 125 + ".dcm"
    source = tree(tmp_path / "in", f"{'d' * 255}/{long}", f"{'ü' * 127}/{wide}", f"x/{'Grubenwald' + 'z' * 240}.dcm")
    run(source, tmp_path / "out", key_file)
    found = by_source(tmp_path / "out")
    assert found[0] == f"{'d' * 255}/{long}"
    assert found[1] == f"{'ü' * 127}/{wide}"
    assert len(os.path.basename(found[2])) < 60


def test_keep_keeps_all_names(tmp_path: Path, key_file: Path) -> None:
    source = tree(tmp_path / "in", "Grubenwald/MRN448812.dcm")
    notes = run(source, tmp_path / "out", key_file, "--names", "keep")
    assert files_below(tmp_path / "out") == ["Grubenwald/MRN448812.dcm"]
    assert not {"folder-name-replaced", "file-name-replaced"} & set(notes)


def test_uid_names_by_the_new_uids(tmp_path: Path, key_file: Path) -> None:
    source = tree(tmp_path / "in", "Grubenwald/1.dcm", "Grubenwald/2.dcm", "other/3.dcm")
    run(source, tmp_path / "out", key_file, "--names", "uid")
    made = contents(tmp_path / "out")
    assert len(made) == 3
    for name, content in made.items():
        output = read(content)
        expected = [output.StudyInstanceUID, output.SeriesInstanceUID, f"{output.SOPInstanceUID}.dcm"]
        assert name.split("/") == expected


def test_other_words_are_refused(tmp_path: Path, key_file: Path) -> None:
    assert call(tmp_path, tmp_path.parent / "out", "--names", "pretty").code == 2


def test_a_folder_whose_identifying_file_was_not_done_keeps_its_token(tmp_path: Path, key_file: Path) -> None:
    source = tree(tmp_path / "in", "Waldteufel/cut.dcm", "plain/1.dcm")
    whole = picture(1, 1, PatientName="Waldteufel^Emil")
    (source / "Waldteufel/cut.dcm").write_bytes(whole[: whole.index(b"\x10\0\x10\0PN") + 9])
    run(source, tmp_path / "out", key_file)
    assert "Waldteufel" not in folders_below(tmp_path / "out")
    (source / "Waldteufel/cut.dcm").write_bytes(picture(0, 1))
    run(source, tmp_path / "out", key_file)
    assert folders_below(tmp_path / "out") == {"Waldteufel", "plain"}


def test_empty_folders_are_compared_with_all_patients(tmp_path: Path, key_file: Path) -> None:
    source = tree(tmp_path / "in", "plain/1.dcm")
    (source / "Ottoline Grubenwald/scans").mkdir(parents=True)
    (source / "empty").mkdir()
    run(source, tmp_path / "out", key_file)
    assert {"empty", "plain"} < folders_below(tmp_path / "out")
    assert "Grubenwald" not in str(folders_below(tmp_path / "out"))
    (source / "late MRN448812").mkdir()  # of a patient whose files an earlier run did
    run(source, tmp_path / "out", key_file)
    assert "448812" not in str(folders_below(tmp_path / "out"))


def test_a_later_delivery_can_take_a_name_away(tmp_path: Path, key_file: Path) -> None:
    source = tree(tmp_path / "in", "Waldteufel/1.dcm", "Waldteufel/sub/2.dcm")
    run(source, tmp_path / "out", key_file)
    assert "Waldteufel" in folders_below(tmp_path / "out")
    (source / "x/Waldteufel").mkdir(parents=True)
    (source / "x/Waldteufel/9.dcm").write_bytes(picture(1, 9, PatientName="Waldteufel^Emil"))
    run(source, tmp_path / "out", key_file)
    found = by_source(tmp_path / "out")
    assert "Waldteufel" not in str(found)
    token = found[0].split("/")[0]
    assert found == {0: f"{token}/1.dcm", 1: f"{token}/sub/2.dcm", 9: f"x/{token}/9.dcm"}


def test_a_folder_that_cannot_lose_its_name_is_no_success(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tree(tmp_path / "in", "Waldteufel/1.dcm")
    run(source, tmp_path / "out", key_file)
    (source / "Waldteufel/9.dcm").write_bytes(picture(1, 9, PatientName="Waldteufel^Emil"))

    def held(old: str, new: str) -> None:
        raise PermissionError(errno.EACCES, "in use")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", held)
        done = call(source, tmp_path / "out", "--key-file", key_file, "--json", "-")
    assert done.code == 1
    assert done.account["notes"]["folder-names-left"] == 1
    done = call(source, tmp_path / "out", "--key-file", key_file, "--json", "-")
    assert done.code == 0
    assert "Waldteufel" not in str(files_below(tmp_path / "out"))


def test_a_run_that_ends_early_leaves_tokens_and_the_next_one_settles(tmp_path: Path, key_file: Path) -> None:
    source = tree(tmp_path / "in", "first/1.dcm", "Grubenwald/1.dcm", "second/2.dcm")
    (source / "first/0cut.dcm").write_bytes(picture(0, 1)[:-9])
    notes = run(source, tmp_path / "out", key_file, "--on-error", "fail")
    assert notes["folder-names-pending"] == 1
    assert not {"first", "second", "Grubenwald"} & folders_below(tmp_path / "out")
    (source / "first/0cut.dcm").unlink()
    run(source, tmp_path / "out", key_file)
    assert {"first", "second"} < folders_below(tmp_path / "out")
    assert len(folders_below(tmp_path / "out")) == 3
    assert "Grubenwald" not in str(folders_below(tmp_path / "out"))


def test_a_dry_run_counts_the_same(tmp_path: Path, key_file: Path) -> None:
    source = tree(tmp_path / "in", "plain/Grubenwald.dcm")
    assert run(source, tmp_path / "out", key_file, "--dry-run")["file-name-replaced"] == 1


@pytest.mark.parametrize("as_on_windows", [False, True])
@pytest.mark.parametrize("words", [("-j", 1), ("-j", 2), ("--names", "uid"), ("--layout", "study")])
def test_times_of_outputs_do_not_tell_the_order_of_old_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...], as_on_windows: bool
) -> None:
    if as_on_windows:
        monkeypatch.setattr(output, "_TIMES_BY_DESCRIPTOR", False)
    source, out = tmp_path / "in", tmp_path / "out"
    for number, name in enumerate(("Adler", "Baum", "Conrad", "Dorn")):
        (source / name).mkdir(parents=True)
        content = file_bytes(image(PatientName=name, PatientID=str(number), SOPInstanceUID=f"1.2.3.{number}"))
        (source / name / f"{name}.dcm").write_bytes(content)
    started = time.time()
    assert call(source, out, *words).code == 0
    ours = [path for path in (out, *out.rglob("*")) if path.is_dir() or path.suffix == ".dcm"]
    (when,) = {path.stat().st_mtime for path in ours}
    assert started <= when <= time.time()
    assert sum(path.suffix == ".dcm" for path in ours) == 4


@pytest.mark.parametrize("how", ["cut", "broken", "cut in the middle"])
def test_a_file_that_cannot_be_read_to_its_end_tells_whose_it_is(tmp_path: Path, key_file: Path, how: str) -> None:
    source = tree(tmp_path / "in", "Grubenwald/CT/1.dcm")
    tree(tmp_path / "in", "Grubenwald/CT/other.dcm", patient=1)
    whole = (source / "Grubenwald/CT/1.dcm").read_bytes()
    after_the_names = whole.index(b"\x28\0\x02\0US")  # Samples per Pixel
    spoilt = {
        "cut": whole[:-7],
        "broken": whole[:after_the_names] + b"\xff" * 20 + whole[after_the_names:],
        "cut in the middle": whole[: after_the_names + 3],
    }
    (source / "Grubenwald/CT/1.dcm").write_bytes(spoilt[how])
    run(source, tmp_path / "out", key_file)
    (output_name,) = files_below(tmp_path / "out")
    folder, *rest = output_name.split("/")
    assert rest == ["CT", "other.dcm"]
    assert folder != "Grubenwald"
