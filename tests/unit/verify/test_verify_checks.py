"""What is checked beside the search: the account, UIDs, references, pixels, and that files can be read."""

from __future__ import annotations

import ast
import gzip
import os
import shutil
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.encaps import encapsulate
from pydicom.uid import UID, RLELossless

import dicom_anon.verify
from dicom_anon.errors import DicomAnonError
from dicom_anon.verify.fanout import fan_out
from dicom_anon.verify.layout import path_of
from dicom_anon.verify.uids import Ledger, UidPair
from dicom_anon.verify.walk import opened
from tests.unit.verify.trees import (
    FAMILY,
    ROOT,
    Trees,
    clean_file,
    compressed,
    image,
    jpeg,
    new_uid,
    raw,
    referring,
    two_patients,
)

OUTPUT = "a/1.dcm"
Found = list[tuple[str, str, str]]


@pytest.fixture
def pair(tmp_path: Path) -> Trees:
    return two_patients(tmp_path)


def found(pair: Trees, **options: object) -> Found:
    return [(finding.file, finding.kind, finding.check) for finding in pair.verify(**options).findings]


def test_it_shares_no_code_with_the_engine() -> None:
    allowed = {*sys.stdlib_module_names, "pydicom", "ahocorasick_rs"}
    for path in Path(dicom_anon.verify.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, path.name
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                module = node.module or ""
                assert module.split(".")[0] in allowed or module == "dicom_anon.errors", path.name
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1, path.name


# --- the account ---


def test_a_source_without_output_is_not_accounted_for(pair: Trees) -> None:
    (pair.destination / "a/2.dcm").unlink()
    assert found(pair) == [("source file 2", "no output", "unaccounted")]
    assert [finding.element for finding in pair.verify().findings] == ["file"]
    assert found(pair, accounted={"a/2.dcm"}) == []


def test_an_output_of_a_source_that_was_left_out(pair: Trees) -> None:
    left_out = [("b/1.dcm", "its source was left out", "unaccounted")]
    assert found(pair, accounted={"b/1.dcm"}) == left_out
    assert found(pair, accounted={"b/1.dcm"}, manifest={"b/1.dcm": "b/1.dcm"}) == []
    pair.change("b/1.dcm", lambda data_set: setattr(data_set, "ImageComments", "of 20180305"))
    assert ("b/1.dcm", "date", "identifier") in found(pair, accounted={"b/1.dcm"}), "it is compared all the same"
    for folder in (pair.source, pair.destination):
        shutil.copyfile(str(get_testdata_file("DICOMDIR")), folder / "b/1.dcm")
    assert "its source was left out" not in {kind for _, kind, _ in found(pair, accounted={"b/1.dcm"})}
    (pair.source / "notes.txt").write_text("no image")
    shutil.copyfile(pair.destination / "a/1.dcm", pair.destination / "notes.txt")
    assert ("notes.txt", "its source was left out", "unaccounted") in found(pair)


def test_a_source_that_is_not_dicom_needs_no_output(pair: Trees) -> None:
    (pair.source / "notes.txt").write_text(f"about {FAMILY}")
    report = pair.verify()
    assert report.clean
    assert report.not_dicom == 1


def test_a_manifest_says_which_output_is_whose(pair: Trees) -> None:
    (pair.destination / "b/1.dcm").rename(pair.destination / "b/x7q.dcm")
    missing = [("b/x7q.dcm", "belongs to no source", "unaccounted"), ("source file 3", "no output", "unaccounted")]
    assert found(pair) == missing
    manifest = {"b/1.dcm": "b/x7q.dcm"}
    assert found(pair, manifest=manifest) == []
    pair.change("b/x7q.dcm", lambda data_set: setattr(data_set, "StudyID", "18"))
    assert found(pair, manifest=manifest) == [("b/x7q.dcm", "study id", "identifier")]


def test_two_sources_cannot_share_an_output(pair: Trees) -> None:
    manifest = {"a/2.dcm": "a/1.dcm"}
    (finding,) = (one for one in pair.verify(manifest=manifest).findings if one.kind == "output shared by two sources")
    assert (finding.file, finding.element, finding.check) == ("source file 2", "file", "unaccounted")


def test_a_file_that_belongs_to_no_source_is_searched(pair: Trees) -> None:
    (pair.destination / "log.txt").write_text(f"skipped {FAMILY}")
    odd = gzip.compress(f"{FAMILY[:5]}-{FAMILY[5:]} and others".encode())
    (pair.destination / "log.txt.gz").write_bytes(odd)
    assert found(pair) == [
        (name, *rest)
        for name in ("log.txt", "log.txt.gz")
        for rest in (("not dicom", "unreadable"), ("patient name", "identifier"))
    ]


def test_an_image_that_belongs_to_no_source_cannot_be_compared(pair: Trees) -> None:
    (pair.destination / "c.dcm").write_bytes(raw(image(1, 2, PatientName="Quellmalz^Ute", SOPInstanceUID="1.2.3.4")))
    assert ("c.dcm", "belongs to no source", "unaccounted") in found(pair)
    shutil.copyfile(str(get_testdata_file("DICOMDIR")), pair.destination / "c.dcm")
    assert "belongs to no source" not in {kind for _, kind, _ in found(pair)}, "a DICOMDIR is made anew"


def test_links_in_the_output_are_read(pair: Trees) -> None:
    (pair.destination / "c.dcm").symlink_to(pair.source / "a/1.dcm")
    assert ("c.dcm", "patient name", "identifier") in found(pair)


def test_where_links_in_the_output_lead_tells_as_well(pair: Trees, tmp_path: Path) -> None:
    elsewhere = tmp_path / f"of {FAMILY}"
    elsewhere.mkdir()
    (pair.destination / OUTPUT).rename(elsewhere / "1.dcm")
    (pair.destination / OUTPUT).symlink_to(elsewhere / "1.dcm")
    (pair.destination / "Vanterpool").symlink_to("MRN-448812")
    assert [(one.file, one.element, one.kind) for one in pair.verify().findings if one.check == "identifier"] == [
        ("[hidden]", "link", "patient id"),
        ("[hidden]", "path", "patient name"),
        (OUTPUT, "link", "patient name"),
    ]


@pytest.fixture
def shut(pair: Trees, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make it impossible to list a folder, for root as well."""
    scandir = os.scandir

    def shut(folder: Path) -> None:
        def refused(path: str) -> object:
            if Path(path) == folder:
                raise PermissionError
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refused)

    return shut


def test_a_folder_of_the_output_that_cannot_be_listed_is_not_proven_clean(
    pair: Trees, shut: Callable[[Path], None]
) -> None:
    shut(pair.destination / "b")
    assert found(pair) == [("b", "folder not readable", "unreadable"), ("source file 3", "no output", "unaccounted")]
    shut(pair.destination)
    assert (".", "folder not readable", "unreadable") in found(pair)


def test_a_folder_of_the_source_that_cannot_be_listed_counts_as_one_source(
    pair: Trees, shut: Callable[[Path], None]
) -> None:
    shut(pair.source / "b")
    alone = ("b/1.dcm", "belongs to no source", "unaccounted")
    missing = [("source file 3", "no output", "unaccounted"), ("source file 3", "source not readable", "unreadable")]
    assert found(pair) == [alone, *missing]
    assert found(pair, accounted={"b"}) == [alone]
    assert found(pair, accounted={"b"}, manifest={"b/1.dcm": "b/1.dcm"}) == [], "what is known of is read if possible"
    shut(pair.source)
    assert ("source file 1", "source not readable", "unreadable") in found(pair)


GONE = "source is gone: remove this output, or bring the source back"


def test_an_output_whose_source_is_gone_is_named(pair: Trees) -> None:
    manifest = {"a/1.dcm": "a/1.dcm", "a/2.dcm": "a/2.dcm", "b/1.dcm": "b/x7q.dcm"}
    (pair.destination / "b/1.dcm").rename(pair.destination / "b/x7q.dcm")
    shutil.rmtree(pair.source / "a")
    report = pair.verify(manifest=manifest, sample=1)
    assert [(one.file, one.kind, one.check) for one in report.findings] == [
        ("a/1.dcm", GONE, "unaccounted"),
        ("a/2.dcm", GONE, "unaccounted"),
    ]
    assert (report.sources, report.outputs) == (1, 3)
    pair.change("a/1.dcm", lambda data_set: setattr(data_set, "StudyDescription", "of Vanterpool"))
    assert ("a/1.dcm", "patient name", "identifier") in found(pair, manifest=manifest), "it is searched all the same"
    (pair.source / "a").write_text("no folder any more")
    assert ("a/2.dcm", GONE, "unaccounted") in found(pair, manifest=manifest)
    (pair.source / "a").unlink()
    shutil.rmtree(pair.destination / "a")
    assert found(pair, manifest=manifest) == [], "what is on neither side is no matter"
    (pair.destination / "b/x7q.dcm").unlink()
    assert found(pair, manifest=manifest) == [("source file 1", "no output", "unaccounted")]


def test_the_path_of_an_output_whose_source_is_gone_hides_what_identifies(pair: Trees) -> None:
    named = pair.destination / "Vanterpool.dcm"
    (pair.destination / "a/2.dcm").rename(named)
    (pair.source / "a/2.dcm").unlink()
    hidden = [("[hidden]", GONE, "unaccounted"), ("[hidden]", "patient name", "identifier")]
    assert found(pair, manifest={"a/2.dcm": named.name}) == hidden


@pytest.mark.skipif(sys.platform != "linux", reason="paths of more than 1,024 bytes")
def test_a_very_deep_tree(tmp_path: Path) -> None:
    pair, deep = Trees(tmp_path), "d/" * 1010
    made = []
    for top in (pair.source, pair.destination):
        for depth in range(1, 1011):
            made.append(top / deep[: 2 * depth - 1])
            made[-1].mkdir()
    try:
        leaky = pair.add(f"{deep}1.dcm", image(), image())
        made.append(leaky.parent / FAMILY)
        made[-1].mkdir()
        report = pair.verify()
        assert (report.sources, report.outputs) == (1, 1)
        assert {finding.file for finding in report.findings} >= {f"{deep}1.dcm", f"{deep}[hidden]"}
    finally:  # one by one: pytest's own way is recursive
        (pair.source / deep / "1.dcm").unlink()
        (pair.destination / deep / "1.dcm").unlink()
        for folder in reversed(made):
            folder.rmdir()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes")
def test_what_is_no_file_is_told_and_not_opened(pair: Trees) -> None:
    os.mkfifo(pair.destination / f"{FAMILY}.dcm")
    (pair.destination / "elsewhere").symlink_to(pair.source)
    (pair.destination / "nowhere").symlink_to("nothing")
    (pair.source / "circle").symlink_to("circle")
    assert found(pair) == [
        ("[hidden]", "neither file nor folder", "unreadable"),
        ("[hidden]", "patient name", "identifier"),
        ("elsewhere", "neither file nor folder", "unreadable"),
        ("nowhere", "neither file nor folder", "unreadable"),
    ]


def test_sample(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    for number in range(10):
        pair.add(f"{number}.dcm", image(number + 1), image(number + 1))
    report = pair.verify(sample=3)
    assert (report.outputs, report.checked) == (10, 3)
    assert {finding.file for finding in report.findings} == {"0.dcm", "3.dcm", "6.dcm"}
    assert pair.verify(sample=3) == report
    (pair.source / f"{FAMILY}.dcm").write_bytes(raw(image(12)))
    (pair.destination / f"{FAMILY}.dcm").write_bytes(clean_file(raw(image(12))))
    assert "[hidden]" in {finding.file for finding in pair.verify(sample=1).findings}, "paths are all searched"
    assert pair.verify(sample=99).checked == 11


def test_progress_counts_sources_and_outputs(pair: Trees) -> None:
    seen: list[tuple[int, int]] = []
    pair.verify(progress=lambda done, todo: seen.append((done, todo)))
    assert seen == [(number, 6) for number in range(1, 7)]


# --- UIDs and references ---


def set_uid(word: str, value: str) -> Callable[[Dataset], None]:
    return lambda data_set: setattr(data_set, word, value)


def test_one_old_uid_has_one_new(pair: Trees) -> None:
    pair.change("a/2.dcm", set_uid("StudyInstanceUID", "2.25.77"))
    assert found(pair) == [("a/2.dcm", "uid mapped twice", "uid")]
    assert found(pair, rewritten=lambda tag, creator: tag == 0x0020000D) == []


def test_two_old_uids_do_not_share_a_new_one(pair: Trees) -> None:
    first = dcmread(pair.destination / "a/1.dcm").SOPInstanceUID
    pair.change("a/2.dcm", set_uid("SOPInstanceUID", first))
    assert ("a/2.dcm", "uid shared by two objects", "uid") in found(pair)


def test_the_file_meta_names_the_object(pair: Trees) -> None:
    pair.change(OUTPUT, lambda data_set: setattr(data_set.file_meta, "MediaStorageSOPInstanceUID", "2.25.77"))
    assert [(one.file, one.element, one.kind, one.check) for one in pair.verify().findings] == [
        (OUTPUT, "(0002,0003)", "file meta names another object", "uid")
    ]
    (pair.source / OUTPUT).unlink()
    assert (OUTPUT, "file meta names another object", "uid") in found(pair)


def test_a_reference_leads_where_it_led(pair: Trees) -> None:
    def mislead(data_set: Dataset) -> None:
        data_set.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "2.25.12345"

    pair.change("a/2.dcm", mislead)
    assert found(pair) == [("a/2.dcm", "reference leads elsewhere", "reference")]


def test_a_reference_read_before_its_target(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    source = image(1, ReferencedImageSequence=[referring(f"{ROOT}.1.2.5")])
    pair.add("1.dcm", source)
    pair.add("5.dcm", image(5))
    assert found(pair) == []
    pair.change("1.dcm", lambda d: setattr(d.ReferencedImageSequence[0], "ReferencedSOPInstanceUID", "2.25.1"))
    assert found(pair) == [("1.dcm", "reference leads elsewhere", "reference")]


def test_a_reference_by_an_attribute_of_the_object_itself(tmp_path: Path) -> None:
    series = Dataset()
    series.SeriesInstanceUID = f"{ROOT}.1.1"
    pair = Trees(tmp_path)
    pair.add("1.dcm", image(1, ReferencedSeriesSequence=[series]))
    pair.change("1.dcm", lambda d: setattr(d.ReferencedSeriesSequence[0], "SeriesInstanceUID", "2.25.1"))
    assert found(pair) == [("1.dcm", "reference leads elsewhere", "reference")]


def test_an_original_uid_left_in_place(pair: Trees) -> None:
    pair.change("a/1.dcm", set_uid("FrameOfReferenceUID", f"{ROOT}.1.9"))
    assert ("a/1.dcm", "original uid", "identifier") in found(pair)


def test_items_taken_out_of_a_sequence_are_not_compared(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    references = [referring(f"{ROOT}.1.2.{number}") for number in (5, 6)]
    pair.add("1.dcm", image(1, ReferencedImageSequence=references))
    pair.add("5.dcm", image(5))
    pair.change("1.dcm", lambda data_set: data_set.ReferencedImageSequence.pop(0))
    assert found(pair) == []


def test_values_taken_out_of_an_element_are_not_compared(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    pair.add("1.dcm", image(1, IrradiationEventUID=[f"{ROOT}.1.3", f"{ROOT}.1.4"]))
    pair.change("1.dcm", set_uid("IrradiationEventUID", new_uid(f"{ROOT}.1.4")))
    assert found(pair) == []


def test_the_ledger_blames_the_wrong_one() -> None:
    ledger = Ledger()
    ledger.add("a", [UidPair("1.2.3", "2.25.1", "r", own=False), UidPair("1.2.4", "2.25.4", "r", own=False)])
    ledger.add("b", [UidPair("1.2.3", "2.25.3", "i", own=True)])
    ledger.add("c", [UidPair("1.2.3", "2.25.3", "r", own=False), UidPair("1.2.4", "2.25.5", "r", own=False)])
    assert sorted((f.file, f.kind) for f in ledger.findings()) == [
        ("a", "reference leads elsewhere"),
        ("c", "uid mapped twice"),
    ]


# --- pixels ---


def flip(offset: int) -> Callable[[Dataset], None]:
    def change(data_set: Dataset) -> None:
        pixels = bytearray(data_set.PixelData)
        pixels[offset] ^= 1
        data_set.PixelData = bytes(pixels)

    return change


@pytest.mark.parametrize("offset", [0, 300, 511])
def test_pixels_are_the_same(pair: Trees, offset: int) -> None:
    pair.change(OUTPUT, flip(offset))
    assert found(pair) == [(OUTPUT, "pixel data differs", "pixel")]


def test_pixels_are_there(pair: Trees) -> None:
    pair.change(OUTPUT, lambda data_set: data_set.__delitem__("PixelData"))
    assert found(pair) == [(OUTPUT, "pixel data missing", "pixel")]


def test_fewer_pixels(pair: Trees) -> None:
    pair.change(OUTPUT, lambda data_set: setattr(data_set, "PixelData", data_set.PixelData[:510]))
    assert found(pair) == [(OUTPUT, "pixel data differs", "pixel")]


def test_pixels_in_another_byte_order(pair: Trees) -> None:
    turned = image()
    turned.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.2")
    assert turned.PixelData == image().PixelData, "the same bytes are other pixels then"
    pair.add(OUTPUT, image(), clean_file(raw(turned)))
    assert (OUTPUT, "pixel data differs", "pixel") in found(pair)


def test_fewer_pixels_than_there_should_be_are_the_same(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(PixelData=image().PixelData[:300]))
    assert found(pair) == []
    pair.change(OUTPUT, flip(299))
    assert found(pair) == [(OUTPUT, "pixel data differs", "pixel")]


READ_OTHERWISE: dict[str, object] = {
    "Rows": 8, "Columns": 32, "PixelRepresentation": 1, "PhotometricInterpretation": "MONOCHROME1",
    "SamplesPerPixel": 2, "PlanarConfiguration": 1, "NumberOfFrames": 2, "BitsAllocated": 8, "BitsStored": 13,
    "HighBit": 12, **{f"{each}PaletteColorLookupTableDescriptor": [256, 0, 8] for each in ("Red", "Green", "Blue")},
}  # fmt: skip


@pytest.mark.parametrize(("word", "value"), READ_OTHERWISE.items())
def test_what_says_how_pixels_are_read_stays(pair: Trees, word: str, value: object) -> None:
    pair.change(OUTPUT, lambda data_set: data_set.add_new(word, dictionary_VR(word)[:2], value))
    told = [(finding.element, finding.kind, finding.check) for finding in pair.verify().findings]
    assert (path_of(tag_for_keyword(word) or 0), "pixels are read another way", "pixel") in told


def test_what_says_how_pixels_are_read_stays_there(pair: Trees) -> None:
    pair.change(OUTPUT, lambda data_set: data_set.__delitem__("PhotometricInterpretation"))
    assert found(pair) == [(OUTPUT, "pixels are read another way", "pixel")]
    (pair.source / OUTPUT).unlink()
    assert found(pair, manifest={OUTPUT: OUTPUT}) == [(OUTPUT, GONE, "unaccounted")]


def test_padding_is_no_other_way_to_read_pixels(tmp_path: Path) -> None:
    content = raw(image(NumberOfFrames=1))
    assert content.count(b"IS\2\x001 ") == 2
    pair = Trees(tmp_path)
    pair.add("1", content, clean_file(content).replace(b"IS\2\x001 ", b"IS\2\x001\0"))
    assert found(pair) == []


def test_a_frame_with_other_picture_bytes(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    other = jpeg().replace(bytes(range(90, 99)), bytes(9))
    assert len(other) == len(jpeg())
    pair.add("1", compressed(jpeg()), clean_file(raw(compressed(other))))
    two = compressed(jpeg(), 2)
    two.PixelData = encapsulate([jpeg(), jpeg()])
    pair.add("2", compressed(jpeg(), 2), clean_file(raw(two)))
    assert found(pair) == [("1", "pixel data differs", "pixel"), ("2", "pixel data differs", "pixel")]


@pytest.mark.parametrize(
    ("high", "signed", "value", "bad"),
    [
        (11, 0, 0x0FFF, False),
        (11, 0, 0x1000, True),
        (11, 0, 0xF800, True),
        (11, 1, 0xF800, False),
        (11, 1, 0xF7FF, True),
        (11, 1, 0x7800, True),
        (11, 1, 0x0800, False),
        (15, 0, 0xFFF0, False),
        (15, 0, 0xFFF1, True),
        (15, 1, 0x8008, True),
        (7, 1, 0xFF80, False),
        (7, 1, 0xFF7F, True),
        (7, 0, 0x0100, True),
    ],
)
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_unused_bits(tmp_path: Path, high: int, signed: int, value: int, bad: bool, syntax: str) -> None:
    stored = 8 if high == 7 else 12
    source = image(HighBit=high, BitsStored=stored, PixelRepresentation=signed)
    source.file_meta.TransferSyntaxUID = UID(syntax)
    order = "<H" if syntax.endswith("1") else ">H"
    source.PixelData = struct.pack(order, value).rjust(512, b"\0")
    pair = Trees(tmp_path)
    content = raw(source)
    assert struct.pack(order, value) == content[-2:]
    pair.add("1", content)
    assert found(pair) == ([("1", "unused high bits", "pixel")] if bad else [])


@pytest.mark.parametrize(("value", "bad"), [(0x0FFF, False), (0x1000, True), (0x8000, True)])
def test_unused_bits_where_no_high_bit_is_given(tmp_path: Path, value: int, bad: bool) -> None:
    source = image(PixelData=struct.pack("<H", value).rjust(512, b"\0"))
    del source.HighBit
    pair = Trees(tmp_path)
    pair.add("1", source)
    assert found(pair) == ([("1", "unused high bits", "pixel")] if bad else [])


@pytest.mark.parametrize(("value", "bad"), [(0x8000, False), (0x8001, True), (0x1000, True)])
def test_a_padding_value_in_unused_bits_is_no_finding(tmp_path: Path, value: int, bad: bool) -> None:
    source = image(HighBit=11, BitsStored=12)
    source.add_new("PixelPaddingValue", "US", 0x8000)
    source.PixelData = struct.pack("<H", value).rjust(512, b"\0")
    packed = rle_image(b"\x81\0\x81" + bytes((value >> 8,)), b"\x81\0\x81" + bytes((value & 255,)))
    packed.BitsStored, packed.HighBit = 12, 11
    packed.add(source["PixelPaddingValue"])
    pair = Trees(tmp_path)
    pair.add("1", source)
    pair.add("2", packed)
    assert found(pair) == ([(name, "unused high bits", "pixel") for name in "12"] if bad else [])


def rle_frame(*segments: bytes) -> bytes:
    """Frame of such segments; all of them are of even length."""
    offsets = [64 + sum(map(len, segments[:at])) for at in range(len(segments))]
    return struct.pack(f"<{len(segments) + 1}L", len(segments), *offsets).ljust(64, b"\0") + b"".join(segments)


def rle_image(*segments: bytes, **changes: object) -> Dataset:
    """Image of 256 pixels in one RLE frame."""
    data_set = image(Rows=16, Columns=16, **changes)
    data_set.file_meta.TransferSyntaxUID = RLELossless
    data_set.PixelData = encapsulate([rle_frame(*segments)])
    data_set["PixelData"].VR = "OB"
    return data_set


LOW = b"\x81\7" * 2


@pytest.mark.parametrize(
    ("high", "signed", "segment", "bad"),
    [
        (11, 0, b"\x81\x0f" * 2, False),
        (11, 0, b"\x81\x0f\x81\x1f", True),
        (11, 0, b"\x81\x0f\x80\x7f" + b"\x0f" * 127 + b"\x8f", True),
        (11, 1, b"\x81\xff\x81\x07", False),
        (11, 1, b"\x81\xff\x81\xf7", True),
        (7, 1, b"\x81\x00" * 2, False),
        (7, 1, b"\x81\xff" * 2, True),  # its sign is in the other byte
        (7, 0, b"\x81\x01" * 2, True),
    ],
)
def test_unused_bits_of_rle(tmp_path: Path, high: int, signed: int, segment: bytes, bad: bool) -> None:
    form = {"HighBit": high, "BitsStored": high + 1, "PixelRepresentation": signed}
    pair = Trees(tmp_path)
    pair.add("1", rle_image(segment, LOW, **form))
    assert found(pair) == ([("1", "unused high bits", "pixel")] if bad else [])


def test_unused_bits_of_rle_are_no_picture(tmp_path: Path) -> None:
    form = {"BitsStored": 12, "HighBit": 11}
    pair = Trees(tmp_path)
    for name, before, after in (
        ("cleared", (b"\x81\x1f" * 2, LOW), (b"\x81\x0f" * 2, LOW)),
        ("changed", (b"\x81\x1f" * 2, LOW), (b"\x81\x0d" * 2, LOW)),
        ("low", (b"\x81\x1f" * 2, LOW), (b"\x81\x0f" * 2, b"\x81\7\x81\6")),
        ("short", (b"\x81\x1f" * 2, LOW), (b"\x81\x0f" * 2, b"\x81\7\x82\7")),
    ):
        output = rle_image(*after, **form)
        pair.add(name, rle_image(*before, **form), clean_file(raw(output)))
    assert {row for row in found(pair) if row[2] == "pixel"} == {
        (name, "pixel data differs", "pixel") for name in ("changed", "low", "short")
    }


def test_rle_that_lacks_a_byte_of_its_cells_is_compared_as_it_is(tmp_path: Path) -> None:
    form = {"BitsStored": 12, "HighBit": 11}
    pair = Trees(tmp_path)
    pair.add("same", rle_image(LOW, **form))
    pair.add("other", rle_image(LOW, **form), clean_file(raw(rle_image(b"\x81\6" * 2, **form))))
    assert found(pair) == [("other", "pixel data differs", "pixel")]


# --- reading back ---


def test_a_broken_structure(pair: Trees) -> None:
    path = pair.destination / OUTPUT
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 600])
    assert ("a/1.dcm", "structure broken", "unreadable") in found(pair)


def test_a_value_that_cannot_be_read(pair: Trees) -> None:
    path = pair.destination / OUTPUT
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\x28\x00\x01\x01US\x02\x00\x0c\x00", b"\x28\x00\x01\x01US\x01\x00\x0c"))
    assert ("a/1.dcm", "does not read back", "unreadable") in found(pair)


def test_an_output_that_is_not_dicom(pair: Trees) -> None:
    (pair.destination / OUTPUT).write_bytes(b"")
    assert found(pair) == [("a/1.dcm", "not dicom", "unreadable")]


def test_a_source_that_cannot_be_opened(pair: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    from dicom_anon.verify import check

    collect = check.collect_file

    def failing(path: Path, kept: object) -> object:
        if path.name == "2.dcm":
            raise PermissionError
        return collect(path, kept)  # type: ignore[arg-type]

    monkeypatch.setattr(check, "collect_file", failing)
    assert ("source file 2", "source not readable", "unreadable") in found(pair)


def test_a_source_that_cannot_be_opened_a_second_time(pair: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    times = Counter[Path]()

    def failing(path: Path) -> object:
        times[path] += 1
        if path == pair.source / "a/2.dcm" and times[path] > 1:
            raise OSError
        return opened(path)

    monkeypatch.setattr("dicom_anon.verify.check.opened", failing)
    assert found(pair) == [("a/2.dcm", "source not readable", "unreadable")]
    assert times[pair.source / "a/2.dcm"] == 2


def test_a_source_that_cannot_be_followed_to_its_end(pair: Trees) -> None:
    path = pair.source / "a/2.dcm"
    whole = path.read_bytes()
    behind = whole.index(b"\xe0\x7f\x10\x00")
    unread = ("a/2.dcm", "source not read to its end", "unreadable")
    path.write_bytes(whole + b"behind the pixels")
    assert found(pair) == []
    path.write_bytes(whole[:behind] + b"\xfe\xff\x0d\xe0\0\0\0\0" + whole[behind:])  # where pydicom stops
    assert unread in found(pair)


def test_an_error_while_checking_is_a_finding(pair: Trees, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError(FAMILY)

    monkeypatch.setattr("dicom_anon.verify.check.unused_bits", failing)
    assert set(found(pair)) == {
        (name, "could not be checked", "unreadable") for name in ("a/1.dcm", "a/2.dcm", "b/1.dcm")
    }


# --- processes ---


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    for number in range(12):
        pair.add(f"{number:02}.dcm", image(number + 1), image(number + 1) if number % 3 == 0 else None)
    pair.change("04.dcm", set_uid("StudyInstanceUID", "2.25.77"))
    report = pair.verify()
    assert {"00.dcm", "03.dcm", "04.dcm", "06.dcm", "09.dcm"} <= {finding.file for finding in report.findings}
    assert pair.verify(workers=3) == report


def die(number: int) -> int:
    if number == 7:
        sys.exit(3)
    return number


def test_a_process_that_dies_proves_nothing() -> None:
    assert list(fan_out(abs, [-1] * 20, 2)) == [1] * 20
    with pytest.raises(DicomAnonError):
        list(fan_out(die, list(range(20)), 2))


def test_a_report_counts_its_findings_by_kind(pair: Trees) -> None:
    for name in ("a/1.dcm", "a/2.dcm"):
        pair.change(name, flip(0))
    (pair.destination / "b/1.dcm").unlink()
    assert list(pair.verify().by_kind().items()) == [("pixel data differs", 2), ("no output", 1)]


def test_uids_of_real_kind_are_new(pair: Trees) -> None:
    assert dcmread(pair.destination / OUTPUT).SOPInstanceUID == new_uid(f"{ROOT}.1.2.1")
