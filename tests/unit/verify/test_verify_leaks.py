"""A leak planted by hand is found, named by file, offset, element and kind, and never quoted."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, UID, DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from dicom_anon.verify import Finding
from tests.unit.verify import trees
from tests.unit.verify.trees import (
    ACCESSION,
    BIRTH,
    FAMILY,
    GIVEN,
    INSTITUTION,
    PATIENT_ID,
    PHONE,
    ROOT,
    STREET,
    STUDY_DATE,
    Trees,
    clean_file,
    compressed,
    image,
    jpeg,
    raw,
    segment,
    two_patients,
)

OUTPUT = "a/1.dcm"
Plant = Callable[[Dataset], None]


@pytest.fixture
def pair(tmp_path: Path) -> Trees:
    return two_patients(tmp_path)


def places(findings: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    return [(finding.file, finding.element, finding.kind) for finding in findings]


def private(element: int, vr: str, value: object) -> Plant:
    def plant(data_set: Dataset) -> None:
        data_set.private_block(0x0029, "NORDLICHT", create=True).add_new(element, vr, value)

    return plant


def text(word: str, value: str | list[str]) -> Plant:
    return lambda data_set: setattr(data_set, word, value)


def in_item(value: str) -> Plant:
    def plant(data_set: Dataset) -> None:
        data_set.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence = [trees.coded("1", value)]

    return plant


def at(element: int) -> str:
    return f"(0029,{element:04x})"


LEAKS: dict[str, tuple[Plant, str, str]] = {
    "private text": (private(1, "LO", f"scan of {FAMILY}"), at(0x1001), "patient name"),
    "private binary": (
        private(1, "OB", b"\x80\x81\xfe\x02" + FAMILY.encode() + bytes(9)),
        at(0x1001),
        "patient name",
    ),
    "private unknown": (private(1, "UN", PATIENT_ID.encode() + b"\xff\x80"), at(0x1001), "patient id"),
    "nested": (
        in_item(f"prior of {GIVEN}"),
        "(0008,1140)[0].(0040,a170)[0].(0008,0104)",
        "patient name",
    ),
    "UTF-16 little endian": (
        private(2, "OW", b"\x07\x01" + f"{FAMILY}".encode("utf-16-le")),
        at(0x1002),
        "patient name",
    ),
    "UTF-16 big endian": (
        private(2, "OB", b"\x07\x01\x09" + f"{FAMILY}\x01".encode("utf-16-be")),
        at(0x1002),
        "patient name",
    ),
    "UTF-16 UID": (
        private(2, "OB", b"\x01\x02" + f"{ROOT}.1".encode("utf-16-le")),
        at(0x1002),
        "original uid",
    ),
    "other case": (text("SeriesDescription", f"for {FAMILY.upper()}"), "(0008,103e)", "patient name"),
    "genitive": (text("SeriesDescription", f"{FAMILY}s Knie"), "(0008,103e)", "patient name"),
    "plural": (text("SeriesDescription", f"the {GIVEN}es"), "(0008,103e)", "patient name"),
    "genitive of a physician": (text("StudyComments", "Okonjo's and Adaezes"), "(0032,4000)", "physician"),
    "other order": (text("StudyComments", f"{GIVEN}, {FAMILY}"), "(0032,4000)", "patient name"),
    "run together": (text("StudyComments", f"x{FAMILY}{GIVEN}.jpg"), "(0032,4000)", "patient name"),
    "in a number": (text("ContentTime", FAMILY), "(0008,0033)", "patient name"),
    "accession": (text("StationName", ACCESSION.lower()), "(0008,1010)", "accession"),
    "accession before letters": (
        private(1, "OB", b"\x80\x81\xfe" + ACCESSION.encode() + b"abc\xfe"),
        at(0x1001),
        "accession",
    ),
    "own date": (text("SeriesDescription", f"of {STUDY_DATE}"), "(0008,103e)", "date"),
    "own date with time": (text("SeriesDescription", f"x{STUDY_DATE}1015"), "(0008,103e)", "date"),
    "own date, written out": (text("SeriesDescription", "of 14.06.2019"), "(0008,103e)", "date"),
    "own date, written out, in binary": (private(1, "OB", b"\x80\x81\xfe14.06.2019\xfe"), at(0x1001), "date"),
    "own date as a number": (text("SeriesNumber", STUDY_DATE), "(0020,0011)", "date"),
    "birth date as one of several numbers": (
        text("ReferencedFrameNumber", ["1", BIRTH]),
        "(0008,1160)",
        "birth date",
    ),
    "birth date": (text("PatientComments", "born 1957-11-23"), "(0010,4000)", "birth date"),
    "address line": (text("PatientComments", f"at {STREET.lower()}"), "(0010,4000)", "address"),
    "phone digits": (text("PatientComments", "call 41715550182"), "(0010,4000)", "phone"),
    "institution": (text("ImageComments", "at sankt verena spital nordhafen"), "(0020,4000)", "institution"),
    "in a UID": (text("DeviceUID", f"1.2.{FAMILY}"), "(0018,1002)", "patient name"),
    "physician": (text("ProtocolName", "Dr Okonjo"), "(0018,1030)", "physician"),
    "UID in text": (text("ImageComments", f"see {ROOT}.1.1"), "(0020,4000)", "original uid"),
    "UID behind its length": (
        private(3, "OB", bytes([len(ROOT) + 21]) + f"1{ROOT}.1.1\x33".encode()[1:]),
        at(0x1003),
        "original uid",
    ),
    "UID extended": (text("ImageComments", f"see {ROOT}.1.1.5"), "(0020,4000)", "original uid"),
    "another patient": (text("ImageComments", "compare VANTERPOOL"), "(0020,4000)", "patient name"),
    "another patient's id": (text("PatientID", "MRN-990021"), "(0010,0020)", "patient id"),
}


@pytest.mark.parametrize(("plant", "element", "kind"), LEAKS.values(), ids=LEAKS)
def test_a_leak_is_found_where_it_is(pair: Trees, plant: Plant, element: str, kind: str) -> None:
    pair.change(OUTPUT, plant)
    findings = pair.verify().findings
    assert set(places(findings)) == {(OUTPUT, element, kind)}
    assert findings[0].check == "identifier"


MADE_UP = ("Bürliholz^Zoë", "Sørensby^Ida", "Buerliholz^Zoe", "Burliholz^Zoe", "Włodarzek^Ida", "O'Connolly^Tess")
LONG_UID = (ROOT + ".7234567890" * 4)[:64]
DISGUISES: dict[str, tuple[dict[str, object], Plant | str]] = {
    "umlaut as two letters": ({"PatientName": MADE_UP[0]}, "Buerliholz"),
    "two letters as umlaut": ({"PatientName": MADE_UP[2]}, "Bürliholz"),
    "accents that the source lacks": ({"PatientName": MADE_UP[3]}, "Bürlihölz"),
    "letter without its stroke": ({"PatientName": MADE_UP[1]}, "Sorensby"),
    "letter of another alphabet": ({"PatientName": MADE_UP[4]}, "WLODARZEK"),
    "plain letters in binary": ({"PatientName": MADE_UP[1]}, private(1, "OB", b"\x81\x02Soerensby\xfe\x90")),
    "code page of DOS": ({"PatientName": MADE_UP[0]}, private(1, "UN", "Bürliholz".encode("cp850"))),
    "capitals with accents in binary": (
        {"PatientName": MADE_UP[0]},
        private(1, "OB", b"\1\2" + "BÜRLIHOLZ".encode("latin-1") + b"\3"),
    ),
    "few letters with an accent in much binary": (
        {"PatientName": "Züll^Kaspar"},
        private(1, "OB", bytes(3000) + b"\1" + "Züll".encode("latin-1") + b"\2"),
    ),
    "ideographs in UTF-16 in much binary": (
        {"PatientName": "Wang^Xd=王^小東"},
        private(1, "OB", b"\x80" * 200_001 + "王小東".encode("utf-16-le") + b"\2"),
    ),
    "accents by themselves in binary": (
        {"PatientName": MADE_UP[0]},
        private(1, "OB", b"\1\2" + "Bu\u0308rliholz".encode() + b"\3"),
    ),
    "Cyrillic in KOI8-R": ({"PatientName": "Грубенвальд^О"}, private(1, "UN", "Грубенвальд".encode("koi8-r"))),
    "Chinese in GBK": ({"PatientName": "Wang^Xd=王^小東"}, private(1, "UN", "王小東".encode("gbk"))),
    "narrow kana made wide": ({"PatientName": "ﾔﾏﾀﾞ^ﾀﾛｳ"}, "ヤマダ"),
    "kana of the other kind": ({"PatientName": "やまだ^たろう"}, "ヤマダ"),
    "narrow kana of the other kind": ({"PatientName": "やまだ^たろう"}, "ﾀﾛｳ"),
    "UTF-8 where the file has another character set": (
        {"PatientName": MADE_UP[3], "SpecificCharacterSet": "ISO_IR 100"},
        private(1, "UN", "Bürli-hölz".encode()),
    ),
    "apostrophe left out": ({"PatientName": MADE_UP[5]}, "OConnolly"),
    "a person of another kind": ({"ContentCreatorName": "Quellmalz^Ute"}, "by Quellmalz"),
    "hyphen put in": ({}, "Gruben-wald"),
    "hyphen put in, unknown VR": ({}, private(1, "UN", b"Gruben-wald")),
    "short UID": ({"SeriesInstanceUID": "1.2.3"}, text("DeviceUID", "1.2.3")),
    "long UID": ({"SeriesInstanceUID": LONG_UID}, private(1, "OB", b"\x80\x81" + LONG_UID.encode() + b"\xfe")),
    "long UID, UTF-16": ({"SeriesInstanceUID": LONG_UID}, private(1, "OB", LONG_UID.encode("utf-16"))),
    "line put in": ({}, "Gruben\r\nwald"),
    "letters before": ({}, "ptGrubenwald"),
    "initial before": ({}, "login ogrubenwald"),
    "initial behind": ({}, "grubenwaldo@ward"),
    "initial behind, a capital": ({}, private(1, "UN", b"\1\2GrubenwaldO\xfe")),
    "initial of the family": ({}, "OttolineG"),
    "initial before a name without its accents": ({"PatientName": MADE_UP[0]}, "zburliholz"),
    "initial where nobody knows which is which": ({"PatientName": f"{GIVEN} {FAMILY}"}, "ogrubenwald"),
    "HTML": ({"PatientName": MADE_UP[0]}, "B&uuml;rliholz"),
    "URL": ({"PatientName": MADE_UP[0]}, "B%C3%BCrliholz"),
    "JSON": ({"PatientName": MADE_UP[0]}, '"B\\u00fcrliholz"'),
    "quoted-printable": ({"PatientName": MADE_UP[0]}, "B=C3=BCrliholz"),
    "base64": ({}, base64.b64encode(b"-" + FAMILY.encode()).decode()),
    "base64 of an id": ({}, base64.b64encode(PATIENT_ID.encode()).decode()),
    "hexadecimal": ({}, FAMILY.encode().hex(" ")),
    "hexadecimal UTF-16": ({}, "<feff" + FAMILY.encode("utf-16-be").hex() + ">"),
    "gzip": ({}, private(1, "OB", b"\1\2" + gzip.compress(f"name={FAMILY}".encode()))),
    "zlib in base64": ({}, base64.b64encode(zlib.compress(f"the name is {FAMILY}".encode())).decode()),
    "id without its zeros": ({"PatientID": "0000448812"}, "pat 448812"),
    "id with zeros": ({"PatientID": "448812"}, "pat 0000448812"),
    "number of an id": ({}, "pat 448812"),
    "id without assigning authority": ({"PatientID": "4488127^^^X&1.2.3&ISO"}, "4488127"),
    "id, other separator": ({}, "MRN_448812"),
    "id, no separator": ({"PatientID": "756.1234.5678.9"}, "756123456789"),
    "id, separators put in": ({"PatientID": "448812123"}, "448.812.123"),
    "accession, separators put in": ({}, "ACC-7719-X4"),
    "phone at home": ({}, "071 555 01 82"),
    "phone at home, dialled from abroad": ({"PatientTelephoneNumbers": "0041 71 555 01 82"}, "071 555 01 82"),
    "institution as a file name": ({}, "Sankt_Verena_Spital_Nordhafen"),
    **{
        f"date as {form}": ({}, f"of {form}")
        for form in (
            "14.6.2019", "6/14/2019", "14. Juni 2019", "14th of June 2019", "June 14, 2019", "14-JUN-2019", "14JUN19",
            "14 juin 2019", "14.06.19", "06/14/19", "14062019", "2019_06_14", "2019:06:14 10:15:30",
            "Fri Jun 14 10:15:30 CEST 2019", "2019年6月14日",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize(("source", "plant"), DISGUISES.values(), ids=DISGUISES)
def test_what_a_person_would_read_is_found(tmp_path: Path, source: dict[str, object], plant: Plant | str) -> None:
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(**source))
    assert pair.verify().clean
    pair.change(OUTPUT, text("ImageComments", plant) if isinstance(plant, str) else plant)
    assert [finding.check for finding in pair.verify().findings] == ["identifier"]


@pytest.mark.parametrize(("name", "word"), [("Tone^Sue", "stone"), ("Lee^Wei", "leew"), ("Hand^Bea", "band")])
def test_a_name_and_an_initial_that_make_another_word_prove_nothing(tmp_path: Path, name: str, word: str) -> None:
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(PatientName=name))
    pair.change(OUTPUT, text("ImageComments", word))
    assert pair.verify().clean


def test_the_offset_is_that_of_the_bytes(pair: Trees) -> None:
    pair.change(OUTPUT, text("SeriesDescription", f"for {FAMILY}"))
    (finding,) = pair.verify().findings
    assert finding.offset == (pair.destination / OUTPUT).read_bytes().index(FAMILY.encode())


def plant_bytes(pair: Trees, change: Callable[[bytes], bytes]) -> set[tuple[str, str, str]]:
    path = pair.destination / OUTPUT
    path.write_bytes(change(path.read_bytes()))
    return set(places(pair.verify().findings))


def test_preamble(pair: Trees) -> None:
    found = plant_bytes(pair, lambda data: FAMILY.encode().ljust(128, b"\0") + data[128:])
    assert found == {(OUTPUT, "preamble", "patient name")}


def test_behind_the_data_set(pair: Trees) -> None:
    found = plant_bytes(pair, lambda data: data + b"\0\0" + PATIENT_ID.encode())
    assert found == {(OUTPUT, "trailing", "patient id"), (OUTPUT, "file", "structure broken")}


def test_data_set_trailing_padding(pair: Trees) -> None:
    padding = f"{bytes(8).decode()}{FAMILY}".encode()
    element = struct.pack("<HH2sHL", 0xFFFC, 0xFFFC, b"OB", 0, len(padding)) + padding
    assert plant_bytes(pair, lambda data: data + element) == {(OUTPUT, "trailing", "patient name")}


@pytest.mark.parametrize(
    ("name", "shown", "kind"),
    [
        (f"a/{FAMILY}_ct.dcm", "a/[hidden]", "patient name"),
        (f"{GIVEN}-{FAMILY}/1.dcm", "[hidden]/1.dcm", "patient name"),
        (f"x/{PATIENT_ID}.dcm", "x/[hidden]", "patient id"),
        (f"x/{ROOT}.1.1/2.dcm", "x/[hidden]/2.dcm", "original uid"),
        (f"x/{ROOT.replace('.', '_')}_1_1/2.dcm", "x/[hidden]/2.dcm", "original uid"),
        (f"x/{ROOT.replace('.', '-')}-1-1.dcm", "x/[hidden]", "original uid"),
        (f"x/IM{STUDY_DATE}101530.dcm", "x/[hidden]", "date"),
        ("x/Gruben-wald.dcm", "x/[hidden]", "patient name"),
        ("x/mrn_448812.dcm", "x/[hidden]", "patient id"),
        ("x/14_06_19.dcm", "x/14_06_19.dcm", ""),
        ("x/14.6.2019.dcm", "x/[hidden]", "date"),
        ("x/R3J1YmVud2FsZA.dcm", "x/[hidden]", "patient name"),
        (f"x/ct {FAMILY.encode().hex()}/1.dcm", "x/[hidden]/1.dcm", "patient name"),
    ],
)
def test_a_path_that_identifies_is_found_and_not_shown(tmp_path: Path, name: str, shown: str, kind: str) -> None:
    pair = Trees(tmp_path)
    pair.add(name, image())
    report = pair.verify()
    assert set(places(report.findings)) == ({(shown, "path", kind)} if kind else set())


def test_the_name_of_an_empty_folder_is_output_too(pair: Trees) -> None:
    (pair.destination / "a" / FAMILY).mkdir()
    assert places(pair.verify().findings) == [("a/[hidden]", "path", "patient name")]


def test_comment_of_a_jpeg(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    data = clean_file(raw(compressed(jpeg(comment=b"?" * 12))))
    pair.add(OUTPUT, compressed(jpeg(comment=b"?" * 12)), data.replace(b"?" * 12, b"by " + b"okonjo   "))
    (finding,) = pair.verify().findings
    assert (finding.element, finding.kind) == ("pixel data", "physician")
    assert finding.offset == data.index(b"?" * 12) + 3


def test_comment_of_a_jpeg_2000(tmp_path: Path) -> None:
    frame = b"\xff\x4f" + segment(0x51, bytes(40)) + segment(0x64, b"\0\1by Adaeze")
    frame += segment(0x90, b"\0\0" + struct.pack(">L", 14 + 100) + b"\0\1") + b"\xff\x93" + bytes(100) + b"\xff\xd9"
    data_set = compressed(frame)
    data_set.file_meta.TransferSyntaxUID = JPEG2000
    pair = Trees(tmp_path)
    pair.add(OUTPUT, data_set)
    assert places(pair.verify().findings) == [(OUTPUT, "pixel data", "physician")]


def jp2(text: bytes) -> bytes:
    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">L", len(content) + 8) + kind + content

    frame = b"\xff\x4f" + segment(0x51, bytes(40)) + b"\xff\xd9"
    signature = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return signature + box(b"xml ", text) + box(b"jp2h", bytes(8)) + box(b"jp2c", frame)


def rle(text: bytes) -> bytes:
    segments = [bytes([127]) + bytes(128) + bytes([129, 7]) + text] * 2
    header = struct.pack("<3L", 2, 64, 64 + len(segments[0])).ljust(64, b"\0")
    return header + b"".join(segments)


@pytest.mark.parametrize(
    ("frame", "syntax", "fragments"),
    [
        (lambda text: jpeg(comment=b"." * 30 + text), JPEGBaseline8Bit, 1),
        (lambda text: jpeg(comment=b"." * 100 + text), JPEGBaseline8Bit, 3),
        (lambda text: jpeg(after=text), JPEGBaseline8Bit, 4),
        (jp2, JPEG2000, 1),
        (jp2, JPEG2000, 2),
        (rle, RLELossless, 1),
    ],
)
def test_text_beside_the_picture(tmp_path: Path, frame: Callable[[bytes], bytes], syntax: UID, fragments: int) -> None:
    def encode(text: bytes) -> Dataset:
        data_set = compressed(frame(text))
        data_set.file_meta.TransferSyntaxUID = syntax
        data_set.PixelData = encapsulate([frame(text)] * 2, fragments_per_frame=fragments)
        data_set.NumberOfFrames = 2
        return data_set

    pair = Trees(tmp_path)
    pair.add("leaky", encode(b"\1 Adaeze."), clean_file(raw(encode(b"\1 Adaeze."))))
    pair.add("clean", encode(b"\1 Adaeze."), clean_file(raw(encode(bytes(9)))))
    (finding,) = pair.verify().findings
    assert (finding.file, finding.element, finding.kind) == ("leaky", "pixel data", "physician")
    assert finding.offset == (pair.destination / "leaky").read_bytes().index(b"Adaeze")


def test_bytes_behind_the_end_of_a_frame(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    pair.add(OUTPUT, compressed(jpeg(after=b"\0\0" + GIVEN.encode())))
    assert places(pair.verify().findings) == [(OUTPUT, "pixel data", "patient name")]


def test_long_text_in_the_middle_of_pixels(pair: Trees) -> None:
    hidden = f"{FAMILY}^{GIVEN}".encode()

    def plant(data_set: Dataset) -> None:
        data_set.PixelData = hidden.ljust(512, b"\0")

    pair.change(OUTPUT, plant)
    found = set(places(pair.verify().findings))
    assert found >= {(OUTPUT, "pixel data", "patient name"), (OUTPUT, "pixel data", "pixel data differs")}


def test_bytes_behind_the_last_pixel(pair: Trees) -> None:
    def plant(data_set: Dataset) -> None:
        data_set.PixelData += b"\x01 " + GIVEN.encode()

    pair.change(OUTPUT, plant)
    assert places(pair.verify().findings) == [(OUTPUT, "pixel data", "patient name")]


def test_unused_high_bit(pair: Trees) -> None:
    def plant(data_set: Dataset) -> None:
        pixels = bytearray(data_set.PixelData)
        pixels[201] |= 0x80
        data_set.PixelData = bytes(pixels)

    pair.change(OUTPUT, plant)
    (finding,) = pair.verify().findings
    assert (finding.element, finding.kind, finding.check) == ("pixel data", "unused high bits", "pixel")


def test_deflated_data_set(tmp_path: Path) -> None:
    output = image(StationName=FAMILY)
    output.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    source = raw(output)
    pair = Trees(tmp_path)
    cleaned = dcmread(pair.add(OUTPUT, source))
    assert FAMILY.encode() not in (pair.destination / OUTPUT).read_bytes(), "the plant has to be compressed"
    assert places(pair.verify().findings) == [(OUTPUT, "(0008,1010)", "patient name")]
    cleaned.StationName = "CT1"
    cleaned.save_as(pair.destination / OUTPUT)
    assert pair.verify().clean


JAPANESE = "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"


@pytest.mark.parametrize("codec", ["iso2022_jp", "shift_jis", "utf-8", "utf-16-le", "euc_jp"])
def test_a_name_in_other_letters(tmp_path: Path, codec: str) -> None:
    charset = ["ISO 2022 IR 13", "ISO 2022 IR 87"]
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(SpecificCharacterSet=charset, PatientName=JAPANESE))
    assert pair.verify().clean
    pair.change(OUTPUT, private(1, "UN", "山田 太郎".encode(codec)))
    found = places(pair.verify().findings)
    assert found == [(OUTPUT, at(0x1001), "patient name")]


def test_accents_do_not_hide_a_name(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(PatientName="Bürli^Zoë"))
    pair.change(OUTPUT, text("StationName", "BURLI"))
    pair.change(OUTPUT, private(1, "OB", "BÜRLI".encode("latin-1")))
    assert set(places(pair.verify().findings)) == {
        (OUTPUT, "(0008,1010)", "patient name"),
        (OUTPUT, at(0x1001), "patient name"),
    }


@pytest.mark.parametrize("charset", [b"ISO_IR 192", b"ISO_IR 999", b"ISO_IR 13 "])
def test_a_name_in_other_letters_than_its_file_says(tmp_path: Path, charset: bytes) -> None:
    content = (
        raw(image(PatientName="B~rl~h~lz^Zo"))
        .replace(b"B~rl~h~lz", b"B\xfcrl\xfch\xf6lz")
        .replace(b"ISO_IR 192", charset)
    )
    pair = Trees(tmp_path)
    pair.add(OUTPUT, content, clean_file(raw(image())))
    assert pair.verify().clean
    pair.change(OUTPUT, text("StationName", "BÜRLÜHÖLZ"))
    assert places(pair.verify().findings) == [(OUTPUT, "(0008,1010)", "patient name")]


@pytest.mark.parametrize("charset", ["ISO_IR 203", "ISO 2022 IR 203"])
def test_a_name_in_latin_9(tmp_path: Path, charset: str) -> None:
    content = raw(image(SpecificCharacterSet=charset, PatientName="~rl~hxx")).replace(b"~rl~hxx ", b"\xa6rl\xbdhxx ")
    pair = Trees(tmp_path)
    pair.add(OUTPUT, content, clean_file(raw(image())))
    assert pair.verify().clean
    pair.change(OUTPUT, text("StationName", "ŠRLŒHXX"))
    assert places(pair.verify().findings) == [(OUTPUT, "(0008,1010)", "patient name")]


def test_a_short_name_is_found_as_a_whole(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(OperatorsName="Li^Na", PatientName="Oz^Ed"))
    pair.change(OUTPUT, text("PhysiciansOfRecord", "Na^Li"))
    pair.change(OUTPUT, text("StationName", "Li Na"))
    assert set(places(pair.verify().findings)) == {
        (OUTPUT, "(0008,1048)", "physician"),
        (OUTPUT, "(0008,1010)", "physician"),
    }


def test_a_very_short_name_is_found_as_the_name_of_anyone(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    pair.add("1", image(PatientName="Wu"))
    pair.add("2", image(2, 2))
    pair.change("2", text("OtherPatientNames", "WU"))
    assert places(pair.verify().findings) == [("2", "(0010,1001)", "patient name")]


def test_a_name_given_as_a_code(tmp_path: Path) -> None:
    person = Dataset()
    person.PersonIdentificationCodeSequence = [trees.coded("77", "Zwingli Hulda")]
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(OperatorIdentificationSequence=[person]))
    pair.change(OUTPUT, lambda data_set: data_set.__delitem__("OperatorIdentificationSequence"))
    assert pair.verify().clean
    pair.change(OUTPUT, text("StationName", "ZWINGLI"))
    assert places(pair.verify().findings) == [(OUTPUT, "(0008,1010)", "physician")]


@pytest.mark.parametrize(
    ("word", "value", "kind"),
    [
        ("StudyID", "17", "study id"),
        ("PatientReligiousPreference", "catholic", "religion, origin or rank"),
        ("EthnicGroup", "C", "religion, origin or rank"),
        ("PatientID", "7", "patient id"),
        ("PatientName", "Wu", "patient name"),
        ("PatientName", "Head^Long", "patient name"),
        ("StudyDate", "20190614", "date"),
        ("PatientBirthDate", "19571123", "birth date"),
        ("InstitutionName", "General Hospital", "institution"),
    ],
)
def test_what_is_too_short_to_search_is_found_unchanged(tmp_path: Path, word: str, value: str, kind: str) -> None:
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(**{word: value}))
    assert pair.verify().clean
    pair.change(OUTPUT, text(word, value))
    (finding,) = pair.verify().findings
    assert finding.kind == kind


def test_tokens_count_even_if_they_are_common(pair: Trees) -> None:
    assert pair.verify(tokens=["study 4711", "zz"]).clean
    assert places(pair.verify(tokens=["head"]).findings) == [
        (name, element, "token")
        for name in ("a/1.dcm", "a/2.dcm", "b/1.dcm")
        for element in ("(0008,2218)[0].(0008,0104)", "(0018,0015)")
    ]


@pytest.mark.parametrize(
    ("token", "written", "plain"),
    [("Bürliholz", "BÜRLIHOLZ", "Burliholz"), ("山田", "山田", "山田"), ("O'Connolly", "oconnolly", "o'connolly")],
)
def test_tokens_are_found_as_names_are(pair: Trees, token: str, written: str, plain: str) -> None:
    for plant in (text("StationName", written), private(1, "UT", f"of {written}.")):
        pair.change(OUTPUT, plant)
    assert set(places(pair.verify(tokens=[token]).findings)) == {
        (OUTPUT, element, "token") for element in ("(0008,1010)", at(0x1001))
    }
    for binary in (token, plain):
        pair.change(OUTPUT, private(1, "OB", b"\1\2" + binary.encode() + b"\3"))
        assert (OUTPUT, at(0x1001), "token") in places(pair.verify(tokens=[token]).findings)


def test_tokens_count_even_if_they_may_be_chance(pair: Trees) -> None:
    pair.change(OUTPUT, private(1, "OB", bytes(3000) + b"\1zq\2"))
    assert places(pair.verify(tokens=["ZQ"]).findings) == [(OUTPUT, at(0x1001), "token")]


def test_a_report_quotes_nothing(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    name = f"{FAMILY}^{GIVEN}/{PATIENT_ID}/{STUDY_DATE}/{ROOT}.1.1.dcm"
    pair.add(name, image(), image())
    pair.add("kept.dcm", image(2), image(2))
    (pair.destination / "kept.dcm").rename(pair.destination / f"{ACCESSION} {PHONE}")
    report = pair.verify(tokens=["Nordlicht"])
    assert len(report.findings) > 20
    shown = (json.dumps(report.as_dict()) + repr(report)).lower()
    for secret in (*trees.SECRETS, PHONE, "nordlicht"):
        assert secret.lower() not in shown


def test_the_same_in_implicit_and_big_endian(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    for name, syntax in (("i", "1.2.840.10008.1.2"), ("b", "1.2.840.10008.1.2.2")):
        source = image()
        source.file_meta.TransferSyntaxUID = UID(syntax)
        source.PixelData = bytes(512)
        encoded = raw(source)
        pair.add(name, encoded)
        leaky = dcmread(pair.destination / name)
        in_item(FAMILY)(leaky)
        leaky.save_as(pair.destination / name)
    element = "(0008,1140)[0].(0040,a170)[0].(0008,0104)"
    assert places(pair.verify().findings) == [(name, element, "patient name") for name in "bi"]


ITEM_END, SEQUENCE_END = (struct.pack("<HHL", 0xFFFE, element, 0) for element in (0xE00D, 0xE0DD))
EXPLICIT_ITEM = b"\xfe\xff\x00\xe0" + struct.pack("<L", 10) + b"\x08\0\x60\0CS\2\0CT"
_KNOWN, _UNDEFINED = struct.Struct("<L").pack, b"\xff\xff\xff\xff"
PRIVATE_SEQUENCES = {
    "end of a sequence of known length": (".1", b"SQ\0\0" + _KNOWN(26) + EXPLICIT_ITEM + SEQUENCE_END),
    "end of an item of known length": (".1", b"SQ\0\0" + _KNOWN(26) + EXPLICIT_ITEM + ITEM_END),
    "explicit items in implicit VR": ("", _KNOWN(18) + EXPLICIT_ITEM),
    "explicit items in implicit VR, undefined length": ("", _UNDEFINED + EXPLICIT_ITEM + SEQUENCE_END),
}


@pytest.mark.parametrize(("syntax", "content"), PRIVATE_SEQUENCES.values(), ids=PRIVATE_SEQUENCES)
def test_what_stands_behind_a_sequence_that_is_oddly_written_is_known(
    tmp_path: Path, syntax: str, content: bytes
) -> None:
    source = image()
    source.file_meta.TransferSyntaxUID = UID(f"1.2.840.10008.1.2{syntax}")
    encoded = raw(source)
    at = encoded.index(b"\x10\0\x10\0")
    pair = Trees(tmp_path)
    pair.add(OUTPUT, encoded[:at] + b"\x09\0\x01\x10" + content + encoded[at:], clean_file(encoded))
    assert pair.verify().clean
    pair.change(OUTPUT, text("PatientComments", f"seen by {FAMILY}"))
    assert places(pair.verify().findings) == [(OUTPUT, "(0010,4000)", "patient name")]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
def test_what_stands_behind_a_meta_in_implicit_vr_is_known(tmp_path: Path, syntax: str) -> None:
    source = image(PixelData=bytes(512))
    source.file_meta.TransferSyntaxUID = UID(syntax)
    encoded, value = raw(source), syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = b"\2\0\1\0\2\0\0\0\0\1" + b"\2\0\x10\0" + struct.pack("<L", len(value)) + value
    meta = b"\2\0\0\0\4\0\0\0" + struct.pack("<L", len(meta)) + meta
    begin = 144 + int.from_bytes(encoded[140:144], "little")
    pair = Trees(tmp_path)
    pair.add(OUTPUT, encoded[:132] + meta + encoded[begin:], clean_file(encoded))
    pair.change(OUTPUT, text("PatientComments", f"seen by {FAMILY}"))
    assert ("(0010,4000)", "patient name") in [found[1:] for found in places(pair.verify().findings)]


def test_encapsulated_text_in_many_fragments(tmp_path: Path) -> None:
    pair = Trees(tmp_path)
    data_set = compressed(jpeg())
    data_set.NumberOfFrames = 3
    data_set.PixelData = encapsulate([jpeg(), jpeg(comment=GIVEN.encode()), jpeg()])
    pair.add(OUTPUT, data_set)
    assert places(pair.verify().findings) == [(OUTPUT, "pixel data", "patient name")]


EDGES: dict[str, tuple[Plant, str]] = {
    "date": (private(1, "LO", STUDY_DATE), at(0x1001)),
    "id in binary": (private(1, "OW", b"\1\2" + PATIENT_ID.encode()), at(0x1001)),
    "name in binary": (private(1, "OW", b"\1\2Okonjo"), at(0x1001)),
    "short UID": (text("ReferencedColorPaletteInstanceUID", "1.2.30"), "(0028,0304)"),
    "date behind its length": (private(1, "LO", f"{STUDY_DATE} was when this was seen, near the last bed"), at(0x1001)),
}


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize("behind", ["PatientState", "Units"])
@pytest.mark.parametrize(("plant", "element"), EDGES.values(), ids=EDGES)
def test_what_is_around_a_value_is_no_part_of_it(
    tmp_path: Path, plant: Plant, element: str, behind: str, syntax: str
) -> None:
    source = image(SeriesInstanceUID="1.2.30")
    source.file_meta.TransferSyntaxUID, source.PixelData = UID(syntax), bytes(512)
    pair = Trees(tmp_path)
    pair.add(OUTPUT, source)
    assert pair.verify().clean
    pair.change(OUTPUT, text(behind, "1"))  # its group begins like a digit or a letter: 38H, 54H
    pair.change(OUTPUT, plant)
    assert {found for _, found, _ in places(pair.verify().findings)} == {element}


@pytest.mark.parametrize("length", [0x41, 0x61])
def test_the_length_of_a_comment_is_no_part_of_it(tmp_path: Path, length: int) -> None:
    pair = Trees(tmp_path)
    pair.add(OUTPUT, compressed(jpeg(comment=b"Okonjo".ljust(length - 2, b"."))))
    assert places(pair.verify().findings) == [(OUTPUT, "pixel data", "physician")]


def icon(pixels: bytes, **changes: object) -> Dataset:
    small = Dataset()
    small.SamplesPerPixel, small.PhotometricInterpretation, small.Rows, small.Columns = 1, "MONOCHROME2", 16, 16
    small.BitsAllocated, small.BitsStored, small.HighBit, small.PixelRepresentation = 8, 8, 7, 0
    small.add_new("PixelData", "OB", pixels)
    small["PixelData"].is_undefined_length = pixels.startswith(b"\xfe\xff")
    for word, value in changes.items():
        setattr(small, word, value)
    return small


ICONS: dict[str, tuple[Dataset, str]] = {
    "behind the last pixel": (icon(bytes(256) + b"\1Okonjo\2"), "physician"),
    "comment": (icon(encapsulate([jpeg(comment=b"\1Okonjo\2")])), "physician"),
    "unused bits": (icon(bytes(9) + b"\x80" + bytes(246), BitsStored=7, HighBit=6), "unused high bits"),
    "nothing": (icon(bytes(range(256))), ""),
    "nothing, compressed": (icon(encapsulate([jpeg()])), ""),
}


@pytest.mark.parametrize("outer", [image(), compressed(jpeg())], ids=["native", "compressed"])
@pytest.mark.parametrize(("small", "kind"), ICONS.values(), ids=ICONS)
def test_an_icon_is_looked_into_like_an_image(tmp_path: Path, small: Dataset, kind: str, outer: Dataset) -> None:
    outer.IconImageSequence = [small]
    pair = Trees(tmp_path)
    pair.add(OUTPUT, outer)
    found = [(OUTPUT, "(0088,0200)[0].(7fe0,0010)", kind)] if kind else []
    assert [
        (file, element.partition("[0]")[0] + "[0].(7fe0,0010)", kind)
        for file, element, kind in places(pair.verify().findings)
    ] == found


def test_text_in_a_table_of_offsets(tmp_path: Path) -> None:
    source = compressed(jpeg())
    source.PixelData = source.PixelData[:4] + struct.pack("<L", 8) + b"\1Okonjo\2" + source.PixelData[12:]
    pair = Trees(tmp_path)
    pair.add("basic.dcm", source)
    pair.add("extended.dcm", compressed(jpeg(), 2))
    pair.change("extended.dcm", lambda data_set: data_set.add_new(0x7FE00001, "OV", b"\1Okonjo\2"))
    assert places(pair.verify().findings) == [
        ("basic.dcm", "pixel data", "physician"),
        ("extended.dcm", "(7fe0,0001)", "physician"),
    ]


READ_IN_BINARY = ("Gruben-Wald", "MRN 448812", "mrn448812", "born 23 Nov 1957", "acc 7719 x4", "tel 071 555 01 82")


@pytest.mark.parametrize("leak", READ_IN_BINARY)
def test_binary_values_and_comments_are_read_too(tmp_path: Path, leak: str) -> None:
    hidden = b"\x80\1\2" + leak.encode() + b"\3\xfe"
    pair = Trees(tmp_path)
    pair.add("a", image())
    pair.add("b", compressed(jpeg(comment=hidden), 2))
    pair.add("c", image(3, PixelData=bytes(512) + hidden))
    pair.change("a", private(1, "OB", hidden))
    before, behind = pair.add("d", image(4)), pair.add("e", image(5))
    before.write_bytes(hidden.ljust(128, b"\0") + before.read_bytes()[128:])
    behind.write_bytes(behind.read_bytes() + b"\0" + hidden)
    found = [(file, element) for file, element, kind in places(pair.verify().findings) if kind != "structure broken"]
    expected = [at(0x1001), "pixel data", "pixel data", "preamble", "trailing"]
    assert found == list(zip("abcde", expected, strict=True))


@pytest.mark.parametrize(
    ("word", "value", "kind"),
    [
        ("DeviceSerialNumber", "SN-77120934", "device serial"),
        ("SpecimenIdentifier", "P-19/04711", "specimen id"),
        ("ContainerIdentifier", "P-19/04711-A", "specimen id"),
        ("SpecimenAccessionNumber", "HX204711", "accession"),
        ("TelephoneNumberTrial", "071 555 01 99", "phone"),
        ("AddressTrial", "Lindenallee 44, 9000 Sankt Gallen", "address"),
        ("DistributionAddress", "Lindenallee 44", "address"),
        ("ClinicalTrialSiteName", "Klinik Nordhafen Ost", "institution"),
        ("ClinicalTrialCoordinatingCenterName", "Klinik Nordhafen Ost", "institution"),
        ("VerifyingOrganization", "Klinik Nordhafen Ost", "institution"),
        ("HumanPerformerOrganization", "Klinik Nordhafen Ost", "institution"),
        ("ScheduledPatientInstitutionResidence", "Klinik Nordhafen Ost", "institution"),
    ],
)
def test_what_other_elements_say_of_people_and_devices(tmp_path: Path, word: str, value: str, kind: str) -> None:
    source = image()
    source.ReferencedSeriesSequence = [Dataset()]
    setattr(source.ReferencedSeriesSequence[0], word, value)
    pair = Trees(tmp_path)
    pair.add(OUTPUT, source)
    pair.change(OUTPUT, lambda data_set: data_set.__delitem__("ReferencedSeriesSequence"))
    assert pair.verify().clean
    pair.change(OUTPUT, text("ImageComments", f"as {value.lower()} says"))
    assert places(pair.verify().findings) == [(OUTPUT, "(0020,4000)", kind)]


def in_sequence(sequence: str, element: int, vr: str) -> Callable[[bytes], Plant]:
    def place(data: bytes) -> Plant:
        def plant(data_set: Dataset) -> None:
            one = Dataset()
            one.add_new(element, vr, data)
            setattr(data_set, sequence, [one])

        return plant

    return place


def in_element(element: int, vr: str, before: bytes = b"") -> Callable[[bytes], Plant]:
    return lambda data: lambda data_set: data_set.add_new(element, vr, before + data)


def in_meta(data: bytes) -> Plant:
    def plant(data_set: Dataset) -> None:
        data_set.file_meta.PrivateInformationCreatorUID = UID("1.2.3")
        data_set.file_meta.PrivateInformation = data

    return plant


PLACES: dict[str, tuple[Callable[[bytes], Plant], str]] = {
    "private information": (in_meta, "(0002,0102)"),
    "overlay": (in_element(0x60003000, "OW", bytes(64)), "(6000,3000)"),
    "curve": (in_element(0x50003000, "OW", b"\1\2" * 64), "(5000,3000)"),
    "palette": (in_element(0x00281201, "OW", b"\1\2" * 64), "(0028,1201)"),
    "lookup table": (in_sequence("ModalityLUTSequence", 0x00283006, "OW"), "(0028,3000)[0].(0028,3006)"),
    "waveform": (in_sequence("WaveformSequence", 0x54001010, "OW"), "(5400,0100)[0].(5400,1010)"),
    "document": (in_element(0x00420011, "OB", b"%PDF-1.4\n\x80\x81<< /Title ("), "(0042,0011)"),
    "profile": (in_element(0x00282000, "OB", bytes(128)), "(0028,2000)"),
    "extended offsets": (in_element(0x7FE00001, "OV"), "(7fe0,0001)"),
}
ANYWHERE = (
    FAMILY, GIVEN.upper(), f"{GIVEN[0]}.{FAMILY}", "Gruben-Wald", "okonjo", PATIENT_ID, "mrn 448812", ACCESSION.lower(),
    BIRTH, "23.11.1957", "23 Nov 1957", STUDY_DATE, f"{ROOT}.1.9", PHONE, "0041715550182", STREET.upper(), INSTITUTION,
    "Vanterpool", "B00213QQ",
)  # fmt: skip


@pytest.mark.parametrize(("place", "element"), PLACES.values(), ids=PLACES)
def test_any_leak_is_found_in_any_place(pair: Trees, place: Callable[[bytes], Plant], element: str) -> None:
    source, output = (root.joinpath(OUTPUT).read_bytes() for root in (pair.source, pair.destination))
    names = {f"{number:03}q": leak for number, leak in enumerate(ANYWHERE)}
    for name, leak in names.items():
        pair.add(name, source, output)
        data = b"\1\2" + leak.encode() + b"\2"
        pair.change(name, place(data + bytes(-len(data) % 8)))
    assert [file for file, found, _ in places(pair.verify().findings) if found == element] == list(names)
