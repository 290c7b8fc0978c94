"""Nothing identifying leaves: raw bytes of every output are searched, in every encoding, by tests alone."""

from __future__ import annotations

import functools
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID_dictionary

from dicom_anon import anonymize_dataset, parse_config, presets, resolve
from dicom_anon.lookup import parse_lookup
from dicom_anon.sample import Sample
from tests.acceptance.command import (
    call,
    contents,
    elements,
    files_below,
    read,
    same_pixels,
    searchable,
    uids,
    write_config,
)
from tests.acceptance.conftest import Deliver, Delivery
from tests.datasets import encode, file_bytes, image

ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "iso8859-5", "iso2022_jp", "shift_jis", "euc_jp")


@functools.cache
def forms(text: str) -> frozenset[bytes]:
    """Return the bytes that a text may have in a file, ASCII letters in lower case."""
    found: set[bytes] = set()
    for encoding in ENCODINGS:
        try:
            raw = text.encode(encoding)
        except UnicodeEncodeError:
            continue
        if encoding == "iso2022_jp":  # escape sequences may stand elsewhere
            raw = max(re.split(rb"\x1b[$(].", raw), key=len)
            if len(raw) < 6:
                continue
        found.add(raw.lower())
    return frozenset(found)


def found_in(content: bytes, texts: tuple[str, ...]) -> set[str]:
    """Which of the texts a file holds, in any encoding and case."""
    lower = searchable(content).lower()
    return {text for text in texts if any(form in lower for form in forms(text))}


def leaks(delivery: Delivery, texts: tuple[str, ...]) -> dict[str, set[str]]:
    """Files of a delivery that hold some of the texts."""
    found = {name: found_in(content, texts) for name, content in delivery.files.items()}
    return {name: texts for name, texts in found.items() if texts}


def test_the_search_finds_what_is_planted(sample_in: Path, sample: Sample) -> None:
    missing = set(sample.planted)
    for content in contents(sample_in).values():
        missing -= found_in(content, tuple(missing))
    assert not missing


def test_default_leaves_no_planted_identifier(sample_out: Delivery, sample: Sample) -> None:
    assert sample_out.done.code == 0
    assert len(sample_out.files) == sample.files
    assert leaks(sample_out, sample.planted) == {}


def test_default_leaves_no_exact_date(sample_out: Delivery, sample: Sample) -> None:
    assert leaks(sample_out, sample.dates) == {}


def test_default_leaves_the_years(sample_out: Delivery, sample: Sample) -> None:
    years = {str(read(content).StudyDate) for content in sample_out.files.values()}
    assert years == {f"{date[:4]}0101" for date in sample.dates}


def _without(content: bytes, goes: Iterable[int]) -> bytes:
    """Take elements out of a file with pydicom, at every depth."""
    data_set = read(content)

    def prune(level: Dataset) -> None:
        for tag in list(level.keys()):
            if tag in goes:
                del level[tag]
            elif level[tag].VR == "SQ":
                for item in level[tag].value:
                    prune(item)

    prune(data_set)
    return encode(data_set)


def test_mercure_leaves_what_its_table_keeps_and_no_more(deliver: Deliver, sample_in: Path, sample: Sample) -> None:
    delivery = deliver(sample_in, "--preset", "mercure")
    assert delivery.done.code == 0
    kept = {key for key, command in presets.load("mercure")["general"].items() if command in ("keep", "safe")}
    left = {text for texts in leaks(delivery, sample.planted).values() for text in texts}
    sources = [read(sample_in / name) for name in delivery.files]
    said: set[str] = set()
    for source in sources:
        for _, element in elements(source):
            if element.keyword in kept and element.VR not in ("SQ", "OB", "OW", "UN"):
                said.update(text for text in sample.planted if text.lower() in str(element.value).lower())
    assert left <= said
    # Direct identifiers are in no row that it keeps: whole names, numbers, addresses, births.
    direct = {text for text in sample.planted if "^" in text or re.search(r"\d{4}", text)}
    assert len(direct) > 180
    assert left & direct <= {"ORDZ-881230", "ORDM-909155"}  # Requested Procedure ID is safe in its table


REMOVED = {
    "PatientName": 0x00100010,
    "PatientID": 0x00100020,
    "OtherPatientIDs": 0x00101000,
    "PatientBirthName": 0x00101005,
    "PatientMotherBirthName": 0x00101060,
    "PatientAddress": 0x00101040,
    "InstitutionName": 0x00080080,
    "InstitutionAddress": 0x00080081,
    "OperatorsName": 0x00081070,
    "AdmissionID": 0x00380010,
    "StudyID": 0x00200010,
}


def test_none_with_removals_leaves_nothing_that_stood_there_alone(
    tmp_path: Path, deliver: Deliver, sample_in: Path, sample: Sample
) -> None:
    config = write_config(tmp_path, {"general": {"preset": "none", **dict.fromkeys(REMOVED, "remove")}})
    delivery = deliver(sample_in, "-c", config)
    assert delivery.done.code == 0
    for content in delivery.files.values():
        assert not {element.tag for _, element in elements(read(content))} & set(REMOVED.values())
    texts = tuple(text for text in sample.planted if not text.startswith("1.2."))
    elsewhere: set[str] = set()
    for name in delivery.files:
        pruned = _without((sample_in / name).read_bytes(), REMOVED.values())
        lower = pruned.lower()
        elsewhere |= {text for text in texts if any(form in lower for form in forms(text))}
    alone = set(texts) - elsewhere
    assert {"BZ-0042-8815", "Torfmoorweg 118b, 99877 Quellmoor"} & set(texts)
    assert len(alone) > 10
    left = {text for found in leaks(delivery, tuple(alone)).values() for text in found}
    assert left == set()


@pytest.mark.parametrize("preset", ["default", "mercure", "none"])
def test_pixel_data_is_the_same_bytes(deliver: Deliver, sample_in: Path, real_in: Path, preset: str) -> None:
    compared = encapsulated = blanked = 0
    for tree in (sample_in, real_in):
        delivery = deliver(tree, "--preset", preset)
        for name, content in delivery.files.items():
            source = read(tree / name)
            before, after = (_bulk(dcmread(path, force=True)) for path in (tree / name, io.BytesIO(content)))
            bits = source.get("BitsStored", 16) if source.get("HighBit", 15) + 1 == source.get("BitsStored") else 16
            assert after.keys() == before.keys(), name
            if (surplus := len(before.get(0x7FE00010, b"")) - _native_length(source)) > 0 and surplus < 2000:
                before[0x7FE00010] = before[0x7FE00010][:-surplus]  # the padding after the last pixel may go
                after[0x7FE00010] = after[0x7FE00010][: len(before[0x7FE00010])]
            assert all(same_pixels(before[tag], after[tag], bits) for tag in before), name
            blanked += after != before
            compared += bool(before)
            encapsulated += any(value.startswith(b"\xfe\xff\x00\xe0") for value in before.values())
    assert compared > 200
    assert encapsulated > 40
    assert blanked < 40  # JPEG 2000 libraries like to leave their name


def _bulk(data_set: Dataset) -> dict[int, bytes]:
    """Return the values of group 7FE0 as they stand in the file."""
    tags = [tag for tag in data_set.keys() if tag.group == 0x7FE0 and tag.element]  # noqa: SIM118 # no conversion
    return {int(tag): data_set.get_item(tag).value or b"" for tag in tags}


def _native_length(source: Dataset) -> int:
    """Bytes of all frames, where they are not encapsulated (PS3.5 section 8.1.1)."""
    syntax = getattr(source, "file_meta", Dataset()).get("TransferSyntaxUID")
    if syntax is not None and syntax.is_encapsulated:
        return 1 << 40
    frames = str(source.get("NumberOfFrames") or 1)
    pixels = source.get("Rows", 0) * source.get("Columns", 0) * source.get("SamplesPerPixel", 1)
    bits = pixels * source.get("BitsAllocated", 16) * (int(frames) if frames.isdigit() else 0)
    return int(bits) // 8 or 1 << 40


def test_a_waveform_keeps_its_samples(sample_in: Path, sample_out: Delivery) -> None:
    before, after = (
        read(content).WaveformSequence[0].WaveformData
        for content in (sample_in / "cardio/2021/ecg/rest.dcm", sample_out.files["cardio/2021/ecg/rest.dcm"])
    )
    assert before == after


INSTANCE_KEYWORDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def _instance_uids(tree: Path, names: Iterator[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        source = read(tree / name)
        meta = source.file_meta.get("MediaStorageSOPInstanceUID") if "file_meta" in vars(source) else None
        values = [*(source.get(keyword) for keyword in INSTANCE_KEYWORDS), meta]
        found.update(str(value) for value in values if value and not isinstance(value, list))
    return {uid for uid in found if uid not in UID_dictionary}


@pytest.mark.parametrize("preset", ["default", "mercure", "none"])
def test_no_original_instance_uid_is_left(deliver: Deliver, real_in: Path, preset: str) -> None:
    delivery = deliver(real_in, "--preset", preset)
    originals = _instance_uids(real_in, iter(delivery.files))
    assert len(originals) > 200
    for name, content in delivery.files.items():
        left = {match.decode() for match in UID_LIKE.findall(searchable(content))} & originals
        if left and preset != "default":  # what these two keep may name anything, such as a comment
            left -= _kept_elsewhere(read(content), left)
        assert not left, (name, left)


UID_LIKE = re.compile(rb"[0-9]+(?:\.[0-9]+){2,}")


def _kept_elsewhere(data_set: Dataset, texts: set[str]) -> set[str]:
    """Which of the texts stand in elements that are no UIDs."""
    found: set[str] = set()
    for _, element in elements(data_set):
        if element.VR not in ("UI", "SQ"):
            text = element.value.decode("latin-1") if isinstance(element.value, bytes) else str(element.value)
            found.update(uid for uid in texts if uid in text)
    return found


@pytest.mark.parametrize("preset", ["default", "none"])
def test_the_file_meta_says_nothing_of_where_the_file_came_from(
    deliver: Deliver, sample_in: Path, real_in: Path, preset: str
) -> None:
    for tree in (sample_in, real_in):
        for name, content in deliver(tree, "--preset", preset).files.items():
            made = read(content)
            assert content[:132] == bytes(128) + b"DICM", name
            assert {element.tag for element in made.file_meta} <= {
                0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013
            }, name  # fmt: skip
            assert str(made.file_meta.ImplementationVersionName).startswith("DICOM-ANON"), name
            assert made.file_meta.ImplementationClassUID.startswith("2.25."), name
            if "SOPInstanceUID" in made:
                assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID, name
                assert made.file_meta.get("MediaStorageSOPClassUID") == made.get("SOPClassUID"), name


def test_private_information_and_titles_of_the_file_meta_go_even_under_none(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "a").write_bytes(
        file_bytes(
            image(),
            SendingApplicationEntityTitle="SENDING_AET",
            ReceivingApplicationEntityTitle="RECEIVER_AET",
        )
    )
    assert call(source, tmp_path / "out", "--preset", "none").code == 0
    content = (tmp_path / "out/a").read_bytes()
    for text in (b"HOSPITAL_PACS", b"MAKER_1", b"MRN 4711", b"SENDING_AET", b"RECEIVER_AET", b"TIFF"):
        assert text in (source / "a").read_bytes()
        assert text not in content


def test_padding_signatures_and_group_lengths_go_even_under_none(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    made = image()
    made.add_new(0x00080000, "UL", 4)
    made.add_new(0xFFFCFFFC, "OB", b"Doe^Jane was here" + bytes(47))
    (source / "a").write_bytes(file_bytes(made) + b"Doe^Jane after the end")
    done = call(source, tmp_path / "out", "--preset", "none", "--assign", "PatientName=remove", "--json", "-")
    assert done.code == 0
    content = (tmp_path / "out/a").read_bytes()
    assert b"Doe^Jane" not in content
    assert 0x00080000 not in read(content)


def test_no_message_holds_a_value(tmp_path: Path, sample_in: Path, real_in: Path, sample: Sample) -> None:
    texts = tuple(text for text in sample.planted if text not in sample.in_paths)
    for number, tree in enumerate((sample_in, real_in)):
        broken = tmp_path / f"in{number}"
        broken.mkdir()
        for at, name in enumerate(files_below(tree)):
            content = (tree / name).read_bytes()
            (broken / f"{at}").write_bytes(content[: len(content) * 2 // 3])
        done = call(broken, tmp_path / f"out{number}", "-v")
        listed = (tmp_path / f"out{number}.private/not-written.csv").read_text()
        assert "quarantined" in listed
        said = (done.out + done.err + listed).lower()
        assert not [text for text in texts if text.lower() in said]


def test_every_uid_of_the_sample_is_replaced_or_gone(sample_out: Delivery, sample: Sample) -> None:
    old = {text for text in sample.planted if text.startswith("1.2.826.0.1.3680043.8.498.7719")}
    assert len(old) > 100
    for name, content in sample_out.files.items():
        assert not {uid for _, uid in uids(read(content))} & old, name


def test_offset_tables_without_pixel_data_are_not_passed_on(tmp_path: Path) -> None:
    source = image()
    del source.PixelData
    source.add_new(0x7FE00001, "OV", b"Doe^Jane")
    (tmp_path / "in").mkdir()
    for number in range(3):
        source.SOPInstanceUID = f"1.2.3.4.{number}"
        (tmp_path / f"in/{number}.dcm").write_bytes(file_bytes(source))
    done = call(tmp_path / "in", tmp_path / "out", "--json", "-")
    assert done.code == 1
    assert done.reasons("quarantined") == {"unsupported-object": 3}
    assert not files_below(tmp_path / "out")


@pytest.mark.parametrize("preset", ["default", "basic", "tcia"])
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDateInAlternativeCalendar", "1389/10/25"),
        ("PatientDeathDateInAlternativeCalendar", "H05.03.07"),
        ("PatientDeathDateInAlternativeCalendar", "23 Kislev 5783"),
        ("ContactDisplayName", "Wilma Quandt"),
        ("ContentLabel", "DOE_JANE"),
        ("ModifiedImageID", "KNEE_7"),
        ("CodingSchemeResponsibleOrganization", "Klinikum Grubenwald, Am Berg 3, 99998 Grubenwald"),
        ("OtherStudyNumbers", "2417703"),
        ("CodingSchemeName", "codes of Jane Doe"),
        ("PostprocessingFunction", "GW_doe_pa_020395"),
        ("ProcessingFunction", "DOE_ABD"),
        ("PositionReferenceIndicator", "Brain for Doe"),
        ("TargetPositionReferenceIndicator", "Brain for Doe"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_what_identifies_beside_the_table_goes(preset: str, keyword: str, value: str, nested: bool) -> None:
    planted = Dataset()
    setattr(planted, keyword, value)
    source = image(PatientName="Doe^Jane")
    if nested:
        source.PerFrameFunctionalGroupsSequence = [planted]
    else:
        source.update(planted)
    anonymize_dataset(source, resolve(preset=preset), key=b"a secret of 16 bytes or more")
    assert value.encode() not in encode(source)


@pytest.mark.parametrize("name", ["Brain", "Brain-MRA", "Carotids", "UKE_pa_020395"])
def test_default_leaves_no_words_of_a_real_site_in_elements_that_scanners_copy_them_to(
    real_in: Path, real_out: Delivery, name: str
) -> None:
    copies = ("PositionReferenceIndicator", "PostprocessingFunction")

    def holding(content: bytes) -> bool:
        return any(name == read(content).get(keyword) for keyword in copies)

    assert any(map(holding, contents(real_in).values()))
    assert not any(map(holding, real_out.files.values()))


def test_a_label_that_says_nothing_of_the_patient_stays() -> None:
    source = image(PatientName="Doe^Jane", ContentLabel="SEGMENTATION")
    anonymize_dataset(source, resolve(preset="basic"), key=b"a secret of 16 bytes or more")
    assert source.ContentLabel == "SEGMENTATION"


@pytest.mark.parametrize(
    "rules", [{"preset": "tcia"}, {"preset": "basic", "profile_options": ["retain_modified_dates"]}]
)
@pytest.mark.parametrize("keyword", ["ContextGroupVersion", "TemplateVersion", "DateOfManufacture"])
def test_no_date_that_others_know_tells_by_how_many_days_dates_moved(rules: dict[str, object], keyword: str) -> None:
    code = Dataset()
    setattr(code, keyword, "20040112")  # such as CID 244 has it in every book
    assignment = resolve(parse_config(json.dumps({"general": {**rules, "date_shift": {"days": -100}}}), "rules"))
    source = image(StudyDate="20240229", AnatomicRegionSequence=[code])
    anonymize_dataset(source, assignment, key=b"a secret of 16 bytes or more")
    assert source.StudyDate == "20231121"
    assert source.AnatomicRegionSequence[0].get(keyword) in (None, "19000101", "19000101000000")


@pytest.mark.parametrize("value", [b"Doe, Jane\0x", b"\x02Doe, Jane\x03", "Doe, Jane".encode("utf-16-le")])
def test_a_safe_text_without_its_vr_that_cannot_be_read_goes(value: bytes) -> None:
    source = image(PatientName="Doe^Jane")
    block = source.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x5A, "UN", value)  # ST in Table E.3.10-1
    anonymize_dataset(source, resolve(preset="tcia"), key=b"a secret of 16 bytes or more")
    assert not source.private_block(0x2001, "Philips Imaging DD 001")[0x5A].value


def test_the_digest_that_is_told_does_not_tell_days_or_patients() -> None:
    def told(days: int, patient: str) -> str:
        rules = {"general": {"preset": "tcia", "date_shift": {"days": days}}}
        lookup = parse_lookup(f"PatientID,SubjectID\n{patient},S-001\n", "list.csv")
        return resolve(parse_config(json.dumps(rules), "rules"), lookup=lookup).told_digest

    assert told(-100, "4711") == told(-101, "4712")
