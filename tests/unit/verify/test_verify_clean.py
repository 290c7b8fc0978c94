"""A clean tree reports nothing: real files, and what looks like an identifier but proves nothing."""

from __future__ import annotations

import logging
import random
import struct
import warnings
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_anon.verify.index import build_index
from dicom_anon.verify.layout import Layout, Reader, Span
from dicom_anon.verify.needles import Needle
from dicom_anon.verify.search import likely, search
from dicom_anon.verify.words import COMMON, is_placeholder
from tests.unit.verify.trees import (
    BIRTH,
    FAMILY,
    INSTITUTION,
    ROOT,
    STUDY_DATE,
    Trees,
    clean_file,
    compressed,
    image,
    jpeg,
    raw,
    real_files,
    two_patients,
)

OUTPUT = "a/1.dcm"


def test_real_files_cleaned_by_a_script_are_clean(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    for name, content in real_files():
        pair.add(name, content, clean_file(content))
    report = pair.verify()
    assert report.findings == ()
    assert report.checked == report.outputs == report.sources > 200
    assert report.identifiers > 500
    assert report.bytes_searched > 50_000_000


def test_real_files_left_as_they_are_are_not_clean(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    for name, content in real_files():
        if len(content) < 50_000:
            pair.add(name, content, content)
    found = pair.verify()
    assert len({finding.file for finding in found.findings}) > 0.9 * found.outputs


def test_two_patients_are_clean(tmp_path: Path) -> None:
    report = two_patients(tmp_path).verify()
    assert report.clean
    assert (report.sources, report.outputs, report.checked, report.not_dicom) == (3, 3, 3, 0)


def changed(folder: Path, source: dict[str, object], output: dict[str, object]) -> Trees:
    """Return a pair with elements of the source, and of the cleaned output, set to values."""
    pair = two_patients(folder)
    pair.add(OUTPUT, image(1, **source))
    pair.add("c/1.dcm", image(9, 2, PatientName="Quellmalz^Ute", PatientID="MRN-880033"))
    pair.change(OUTPUT, lambda data_set: data_set.update(image_with(output)))
    return pair


def image_with(values: dict[str, object]) -> Dataset:
    data_set = Dataset()
    for word, value in values.items():
        setattr(data_set, word, value)
    return data_set


HARMLESS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "a patient called Head": ({"PatientName": "Head^Rosalind"}, {"StudyDescription": "HEAD AND NECK"}),
    "a patient called Long": ({"PatientName": "Long^Rosalind"}, {"ProtocolName": "LONG AXIS"}),
    "a name whose plural is a word": ({"PatientName": "Puls^Rosalind"}, {"StudyDescription": "100 PULSES"}),
    "a name at the start of words": ({"PatientName": "Mart^Rosalind"}, {"StudyDescription": "MARTSON, MARTE"}),
    "a physician called Dixon": ({"OperatorsName": "Dixon^Rosalind"}, {"ProtocolName": "t1_vibe_dixon_tra"}),
    "a physician called like the maker": ({"OperatorsName": "Nordlicht"}, {"ProtocolName": "NORDLICHT head"}),
    "a maker that is the institution": ({"InstitutionName": "Nordlicht Medical"}, {}),
    "no name": ({"PatientName": "ANONYMOUS"}, {"PatientName": "ANONYMOUS"}),
    "no name in other letters": (
        {"PatientName": f"{FAMILY}^Ada=Unknown^Patient"},
        {"PatientName": "Unknown^Patient"},
    ),
    "no name at all": ({"PatientName": "Unknown^Patient"}, {"StudyDescription": "unknown patient"}),
    "a name within a word": ({"PatientName": "Mart^Ella"}, {"StudyDescription": "MARTIAN UMBRELLA"}),
    "a name like a pseudonym": ({"PatientName": "Alpha^Omega"}, {"PatientName": "Alpha^Omega"}),
    "date of another patient": ({}, {"StudyDescription": "made 20180305"}),
    "date within digits": ({}, {"StudyDescription": f"no {STUDY_DATE}77"}),
    "date in a number": ({}, {"SliceLocation": f"{STUDY_DATE}.5"}),
    "date within a whole number": ({}, {"AcquisitionNumber": f"1{STUDY_DATE}"}),
    "date of another patient in a whole number": ({}, {"SeriesNumber": "20180305"}),
    "date in a UID": ({}, {"DeviceUID": f"2.25.{STUDY_DATE}.{BIRTH}"}),
    "first of January": ({"PatientBirthDate": "19570101"}, {"PatientBirthDate": "19570101"}),
    "date truncated": ({}, {"StudyDate": "20190101", "PatientBirthDate": "19570101"}),
    "time like an id": ({"PatientID": "101530"}, {"ContentTime": "101530", "SliceLocation": "101530"}),
    "id within digits": (
        {"PatientID": "448812"},
        {"StudyDescription": "14488123", "ImageComments": "0.448812"},
    ),
    "short id": ({"PatientID": "7"}, {"StudyDescription": "series 7", "StationName": "7"}),
    "id of five digits": ({"PatientID": "99000"}, {"ImageComments": "gain 99000"}),
    "id that is a word": ({"PatientID": "brain"}, {"StudyDescription": "BRAIN"}),
    "procedure id that is a word": ({"PerformedProcedureStepID": "MRFOO"}, {"StudyDescription": "mrfoo"}),
    "hospital": ({"InstitutionName": "City Hospital"}, {"StudyDescription": "city hospital"}),
    "another UID under the same root": ({}, {"DeviceUID": f"{ROOT[:-8]}1.1"}),
    "another UID under a short one": ({"SeriesInstanceUID": "1.2.3"}, {"DeviceUID": "1.2.3.4"}),
    "version like a short UID": ({"SeriesInstanceUID": "1.2.3"}, {"SoftwareVersions": "1.2.3"}),
    "id like the arcs of a UID": ({"PatientID": "3.14.15926"}, {"DeviceUID": "2.25.3.14.15926"}),
    "sex": ({}, {"PatientSex": "F"}),
    "a rank": ({"MilitaryRank": "Major General"}, {"StudyDescription": "major general"}),
    "no religion": ({"PatientReligiousPreference": "unknown"}, {"PatientReligiousPreference": "UNKNOWN"}),
    "a name that is a word but for its accent": ({"PatientName": "Lüng^Rosalind"}, {"StudyDescription": "LUNG"}),
    "a name within a word but for its accent": ({"PatientName": "Bürli^Rosalind"}, {"StudyDescription": "BURLINGTON"}),
    "a name parted by much": ({}, {"ImageComments": "Gruben      wald"}),
    "a name of two words": ({"PatientName": "Backhand^Rosalind"}, {"StudyDescription": "back, hand"}),
    "a short name behind a small letter": ({"PatientName": "Mart^Rosalind"}, {"ProtocolName": "eMart dMart2"}),
    "a short id without its separator": ({"PatientID": "CT-12"}, {"StudyDescription": "CT12"}),
    "the date in an id": ({"PatientID": "MRN-20110614"}, {"StudyDescription": "20110614"}),
    "an id and a decimal fraction": ({"PatientID": "1448812"}, {"ImageComments": "1.448812 0.1448812"}),
    "an id and two numbers": ({"PatientID": "448812"}, {"ImageComments": "448 812"}),
    "a time like a date": ({}, {"ImageComments": "at 19:06:14, 06:14:19"}),
    "a version": ({}, {"SoftwareVersions": "14.06.19.2"}),
    "coded meaning": ({"PatientName": "Thigh^Bone"}, {"StudyDescription": "thigh bone"}),
}


@pytest.mark.parametrize(("source", "output"), HARMLESS.values(), ids=HARMLESS)
def test_harmless(tmp_path: Path, source: dict[str, object], output: dict[str, object]) -> None:
    assert changed(tmp_path, source, output).verify().findings == ()


def hide_a_name(data_set: Dataset) -> None:
    data_set.private_block(0x0029, "NORDLICHT", create=True).add_new(1, "PN", "Someone^Else")


def test_a_short_name_in_pixels_is_chance(tmp_path: Path) -> None:
    pixels = FAMILY[:6].encode().ljust(512, b"\1")
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(PatientName=f"{FAMILY[:6]}^X", BitsStored=16, HighBit=15, PixelData=pixels))
    assert pair.verify().clean


def test_a_name_of_few_letters_in_pixels_is_chance(tmp_path: Path) -> None:
    pixels = b"\0jsssssssssssss\0".ljust(512, b"\1")
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(PatientName="Sssssssssssss^Jsssssssssssss", BitsStored=16, HighBit=15, PixelData=pixels))
    assert pair.verify().clean


def test_binary_data_that_begins_with_zeros_is_no_text(tmp_path: Path) -> None:
    def hide(data_set: Dataset) -> None:
        for number in range(1, 9):
            data = bytes(250_000) + b"\1Mart\2\xfe"
            data_set.private_block(0x0029, "NORDLICHT", create=True).add_new(number, "OB", data)

    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(PatientName="Mart^Ella"))
    pair.change(OUTPUT, hide)
    assert pair.verify().clean


def test_short_names_in_much_random_data_are_chance(tmp_path: Path) -> None:
    random.seed(20260101)
    words = {"".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=n % 6 + 4)) for n in range(60_000)} - COMMON
    index = build_index(Needle("patient name", word, "word") for word in sorted(words))
    data = random.randbytes(1 << 20)
    path = tmp_path / "noise"
    path.write_bytes(data)
    with path.open("rb") as file:
        for span, area in (
            (Span("(0029,1001)", 0x00291001, "OB", 0, 1 << 17), "binary"),
            (Span("(7fe0,0010)", 0x7FE00010, "OW", 0, 1 << 20), "bulk"),
        ):
            layout = Layout(span.end, [span], end=span.end, preamble=False)
            found = search(Reader(file, span.end), layout, index, {})
            assert found.sizes[area] == span.end
            assert bool(found.matches) == (area == "binary"), "in bulk, short words are not even looked for"
            assert [match for match in found.matches if likely(match, index, found.sizes)] == []


@pytest.mark.parametrize(
    ("first", "others", "ids", "chance"),
    [
        (448_812, 100, 0, False),
        (448_812, 20_000, 0, True),
        (448_812, 100, 100, True),
        (1_000_000, 20_000, 0, False),  # longer ones say nothing of what is to be expected of six digits
    ],
)
def test_a_number_among_very_many_is_chance(tmp_path: Path, first: int, others: int, ids: int, chance: bool) -> None:
    def list_numbers(data_set: Dataset) -> None:
        numbers = "; and ".join(map(str, [448_812, *range(first, first + others)]))
        data_set.private_block(0x0029, "NORDLICHT", create=True).add_new(1, "UT", numbers)

    pair = Trees(tmp_path)
    of_others = [f"MRN-{number}" for number in range(710_000, 710_000 + ids)]
    pair.add(OUTPUT, image(PatientID="MRN-448812", OtherPatientIDs=of_others))
    pair.change(OUTPUT, list_numbers)
    assert pair.verify().clean == chance


def test_signed_pixels_may_repeat_their_sign(tmp_path: Path) -> None:
    pixels = struct.pack("<256h", *range(-128, 128))
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(PixelRepresentation=1, PixelData=pixels))
    pair.add("2", image(2, PixelRepresentation=1, BitsStored=8, HighBit=7, PixelData=pixels))
    assert pair.verify().clean


def test_what_is_no_picture_may_be_overwritten(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    source = compressed(jpeg(comment=FAMILY.encode(), after=b"behind"))
    pair.add("jpeg", source, clean_file(raw(compressed(jpeg(comment=bytes(len(FAMILY)))))))
    pixels = bytearray(image().PixelData)
    dirty = bytes(value | (0xA0 if place % 2 else 0) for place, value in enumerate(pixels))
    pair.add("bits", image(2, PixelData=dirty), clean_file(raw(image(2, PixelData=bytes(pixels)))))
    pair.add(
        "behind",
        image(3, PixelData=bytes(pixels) + b"more"),
        clean_file(raw(image(3, PixelData=bytes(pixels)))),
    )
    assert pair.verify().findings == ()


def test_kept_on_purpose(tmp_path: Path) -> None:
    kept_tags = {0x00080080, 0x00080020, 0x00080018, 0x00081155, 0x00020003, 0x00080090}
    pair = Trees(tmp_path)
    source = image(ImageComments="x")
    pair.add(OUTPUT, source)

    def keep(data_set: Dataset) -> None:
        for word in ("InstitutionName", "StudyDate", "SOPInstanceUID", "ReferringPhysicianName"):
            setattr(data_set, word, getattr(source, word))
        data_set.ReferencedImageSequence = source.ReferencedImageSequence
        data_set.file_meta.MediaStorageSOPInstanceUID = source.SOPInstanceUID

    pair.change(OUTPUT, keep)
    assert len(pair.verify().findings) == 6
    assert pair.verify(kept=lambda tag, creator: tag in kept_tags).clean
    pair.change(OUTPUT, lambda data_set: setattr(data_set, "ImageComments", f"of {FAMILY}"))
    leaky = pair.verify(kept=lambda tag, creator: True if tag == 0x00204000 else tag in kept_tags)
    assert [finding.element for finding in leaky.findings] == ["(0020,4000)"], "a kept description is no licence"


def test_an_original_uid_in_a_kept_private_value_tells_who_is_who(tmp_path: Path) -> None:
    """The file has another one instead, so both together link the output to its source, whoever kept the value."""

    def note(data_set: Dataset) -> None:
        content = b"\1\2" + f"{ROOT}.1".encode().ljust(62, b"\0")
        data_set.private_block(0x0009, "HMC", create=True).add_new(1, "UN", content)

    source = image()
    note(source)
    pair = Trees(tmp_path)
    pair.add(OUTPUT, source)
    pair.change(OUTPUT, note)
    report = pair.verify(kept=lambda tag, creator: creator == "HMC")
    assert [(finding.element, finding.kind) for finding in report.findings] == [("(0009,1001)", "original uid")]
    assert pair.verify(kept=lambda tag, creator: creator == "HMC" or tag == 0x0020000D).clean


def test_a_kept_element_may_hold_what_another_one_may_not(tmp_path: Path) -> None:
    source = image(OperatorsName="Okonjo^Adaeze")
    pair = Trees(tmp_path)
    pair.add(OUTPUT, source)
    pair.change(OUTPUT, lambda d: setattr(d, "ReferringPhysicianName", source.ReferringPhysicianName))
    assert [finding.element for finding in pair.verify().findings] == ["(0008,0090)"]
    assert pair.verify(kept=lambda tag, creator: tag == 0x00080090).clean


def test_nothing_is_said_beside_the_report(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    pair = Trees(tmp_path)
    content = raw(image()).replace(b"ISO_IR 192", b"ISO_IR 999").replace(ROOT.encode(), ROOT.encode()[:-2] + b"xx")
    pair.add(OUTPUT, content, content)
    logging.getLogger("pydicom").setLevel(logging.DEBUG)
    caplog.clear()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            assert not pair.verify().clean
    finally:
        logging.getLogger("pydicom").setLevel(logging.ERROR)
    assert [str(warning.message) for warning in warned] == []
    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")


def test_kept_private_elements_are_known_by_their_creator(tmp_path: Path) -> None:
    source = image()
    hide_a_name(source)
    pair = Trees(tmp_path)
    pair.add(OUTPUT, source)
    pair.change(OUTPUT, hide_a_name)
    assert [finding.kind for finding in pair.verify().findings] == ["person name"]
    assert pair.verify(kept=lambda tag, creator: (tag, creator) == (0x00291001, "NORDLICHT")).clean


def test_words_of_the_configuration_prove_nothing(tmp_path: Path) -> None:
    pair = changed(tmp_path, {"PatientName": "Kneestudy^Bea"}, {"StudyDescription": "KNEESTUDY of 2020"})
    assert [finding.element for finding in pair.verify().findings] == ["(0008,1030)"]
    assert pair.verify(allowed=["Kneestudy group"]).clean


@pytest.mark.parametrize("value", ["ANON", "N/A", "000000", "xxxx", "", "Anonymous^Patient"])
def test_placeholders(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["Anonka", "0001", "XX1", INSTITUTION, ROOT])
def test_no_placeholders(value: str) -> None:
    assert not is_placeholder(value)
