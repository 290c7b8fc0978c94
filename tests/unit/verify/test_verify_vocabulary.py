"""A word is vocabulary where the Standard or others say so, never because the patient's own files do."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from tests.unit.verify.trees import FAMILY, PATIENT_ID, Trees, coded, image, raw, two_patients

OTHERS = (("Vanterpool^Ignace", "MRN-990021"), ("Quellmalz^Ute", "MRN-880033"), ("Ystervark^Piet", "MRN-770044"))
LEAK = ("a/1.dcm", "(0008,103e)")


def coded_as(element: str, word: str, source: Dataset) -> Dataset:
    """Return the source with a word in an element that holds vocabulary."""
    if element == "CodeMeaning":
        source.AnatomicRegionSequence = [coded("1", word)]
    elif element == "private creator":
        source.private_block(0x0029, word, create=True).add_new(1, "SH", "1")
    else:
        setattr(source, element, word)
    return source


def leaky(folder: Path, word: str) -> Trees:
    """Return a tree of which one output has a word of its patient in its description."""
    pair = two_patients(folder)
    pair.change("a/1.dcm", lambda data_set: setattr(data_set, "SeriesDescription", f"scan of {word}"))
    return pair


def found(pair: Trees) -> set[tuple[str, str]]:
    return {(finding.file, finding.element) for finding in pair.verify().findings}


@pytest.mark.parametrize("word", [FAMILY, PATIENT_ID])
@pytest.mark.parametrize(
    "element", ["Manufacturer", "ManufacturerModelName", "ImageType", "CodeMeaning", "private creator"]
)
def test_the_patients_own_files_make_no_vocabulary(tmp_path: Path, element: str, word: str) -> None:
    pair = leaky(tmp_path, word)
    for number in range(3):
        pair.add(f"a/more{number}.dcm", coded_as(element, word.upper(), image(number + 10)), image(1, 2))
    assert LEAK in found(pair)


def test_not_even_as_a_character_set(tmp_path: Path) -> None:
    pair = leaky(tmp_path, FAMILY)
    source = raw(image(10)).replace(b"ISO_IR 192", FAMILY.upper().encode())
    pair.add("a/more.dcm", source, image(1, 2))
    assert LEAK in found(pair)


@pytest.mark.parametrize(
    "disguise",
    [
        {"PatientID": "OTHER-1"},
        {"PatientName": "", "PatientID": ""},
        {"PatientName": "ANONYMOUS", "PatientID": "0"},
        {"PatientName": "", "PatientID": PATIENT_ID},
    ],
    ids=["another ID", "nobody", "placeholders", "ID only"],
)
def test_files_that_may_be_the_patients_make_no_vocabulary(tmp_path: Path, disguise: dict[str, str]) -> None:
    pair = leaky(tmp_path, FAMILY)
    for number in range(3):
        pair.add(f"a/more{number}.dcm", image(number + 10, Manufacturer=FAMILY, **disguise), image(1, 2))
    assert LEAK in found(pair)


@pytest.mark.parametrize(("others", "leaks"), [(1, True), (2, False), (3, False)])
def test_files_of_two_others_do(tmp_path: Path, others: int, leaks: bool) -> None:
    pair = leaky(tmp_path, FAMILY)
    for number, (name, known_as) in enumerate(OTHERS[:others]):
        changes = {"PatientName": name, "PatientID": known_as, "Manufacturer": FAMILY}
        pair.add(f"c/{number}.dcm", image(number + 10, 2, **changes))
    assert (LEAK in found(pair)) == leaks


@pytest.mark.parametrize(
    ("names", "ids", "patients"),
    [
        (["Vanterpool^Ignace"] * 3, ["MRN-990021", "MRN-880033", "MRN-770044"], 3),
        ([name for name, _ in OTHERS], ["MRN-990021"] * 3, 1),
        ([name for name, _ in OTHERS], [""] * 3, 3),
    ],
)
def test_patients_are_told_apart_by_id_or_name(tmp_path: Path, names: list[str], ids: list[str], patients: int) -> None:
    pair = leaky(tmp_path, FAMILY)
    for number, (name, known_as) in enumerate(zip(names, ids, strict=True)):
        changes = {"PatientName": name, "PatientID": known_as, "Manufacturer": FAMILY}
        pair.add(f"c/{number}.dcm", image(number + 10, 2, **changes), image(1, 2))
    assert (LEAK in found(pair)) == (patients < 2)


@pytest.mark.parametrize(
    ("element", "leaks"),
    [
        ("ManufacturerModelName", False),
        ("CodingSchemeDesignator", False),
        ("CodingSchemeName", False),
        ("CodingSchemeResponsibleOrganization", False),
        ("CodeMeaning", False),
        ("BodyPartExamined", False),
        ("ImageType", False),
        ("private creator", False),
        ("FileSetID", True),  # a file may be called after its patient
        ("FileSetDescriptorFileID", True),
        ("ReferencedFileID", True),
        ("StationName", True),
        ("StudyDescription", True),
    ],
)
def test_which_elements_are_coded(tmp_path: Path, element: str, leaks: bool) -> None:
    pair = leaky(tmp_path, FAMILY)
    for number, (name, known_as) in enumerate(OTHERS):
        source = image(number + 10, 2, PatientName=name, PatientID=known_as)
        pair.add(f"c/{number}.dcm", coded_as(element, FAMILY.upper(), source), image(1, 2))
    assert (LEAK in found(pair)) == leaks


@pytest.mark.parametrize("sequence", ["PersonIdentificationCodeSequence", "InstitutionCodeSequence"])
def test_the_code_of_a_person_or_an_institution_is_no_word(tmp_path: Path, sequence: str) -> None:
    pair = leaky(tmp_path, FAMILY)
    for number, (name, known_as) in enumerate(OTHERS):
        source = image(number + 10, 2, PatientName=name, PatientID=known_as)
        setattr(source, sequence, [coded("1", FAMILY)])
        pair.add(f"c/{number}.dcm", source, image(1, 2))
    assert LEAK in found(pair)


def test_namesakes_are_no_others(tmp_path: Path) -> None:
    pair = leaky(tmp_path, FAMILY)
    for number, (name, known_as) in enumerate(OTHERS):
        changes = {"PatientName": f"{FAMILY}^{name[-3:]}", "PatientID": known_as, "Manufacturer": FAMILY}
        pair.add(f"c/{number}.dcm", image(number + 10, 2, **changes), image(1, 2))
    assert LEAK in found(pair)


def test_a_term_of_the_standard_needs_nobody(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    pair.add("1.dcm", image(PatientName="Gantry^Zo", ImageType=["GANTRY"]))
    pair.change("1.dcm", lambda data_set: setattr(data_set, "SeriesDescription", "gantry tilt"))
    assert found(pair) == set()
