"""Every command, macro, option and form of key, from a configuration file to the element in the output."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_anon import presets
from dicom_anon.sample.common import part10
from tests.acceptance.command import call, contents, read, same_pixels, searchable, write_config
from tests.acceptance.conftest import Deliver
from tests.datasets import SYNTAXES, file_bytes, image, item, real_file

Apply = Callable[..., Dataset]


@pytest.fixture
def apply(tmp_path: Path, key_file: Path) -> Apply:
    """Run rules of section general, over the preset none, on one file."""

    def run(source: Dataset | bytes, rules: dict[str, Any], *options: object) -> Dataset:
        number = len(list(tmp_path.iterdir()))
        top = tmp_path / f"in{number}"
        top.mkdir()
        (top / "file").write_bytes(source if isinstance(source, bytes) else file_bytes(source))
        config = write_config(tmp_path, {"general": {"preset": "none", **rules}}, f"{number}.json")
        done = call(top, tmp_path / f"out{number}", "-c", config, "--key-file", key_file, *options)
        assert done.code == 0, done.out + done.err
        return read(tmp_path / f"out{number}/file")

    return run


# Commands: element, value before, command, value after. None means absent.
COMMANDS: list[tuple[str, Any, str, Any]] = [
    ("PatientName", "Doe^Jane", "keep", "Doe^Jane"),
    ("PatientName", "Doe^Jane", "safe", "Doe^Jane"),
    ("PatientName", "Doe^Jane", "remove", None),
    ("PatientComments", None, "remove", None),
    ("PatientName", "Doe^Jane", "clear", ""),
    ("PatientComments", None, "clear", ""),
    ("PatientID", "1", "set(2)", "2"),
    ("PatientID", "1", "set()", ""),
    ("PatientComments", None, "set(new)", "new"),
    ("StudyDate", "20040119", "truncdate", "20040101"),
    ("StudyDate", "", "truncdate", ""),
    ("AcquisitionDateTime", "20040119101112.5+0100", "truncdate", "20040101101112.5+0100"),
    ("AcquisitionDateTime", "2004", "truncdate", "2004"),
    ("DateOfSecondaryCapture", None, "truncdate", None),
    ("PatientComments", "old", "replace", "ANONYMIZED"),
    ("PatientComments", "old", "replace(x)", "x"),
    ("PatientComments", None, "replace(x)", None),
    ("PatientComments", None, "replace", None),
    ("ImageType", ["A", "B"], "replace", ["ANONYMIZED", "ANONYMIZED"]),
    ("StudyDate", "20040119", "replace", "19000101"),
    ("Rows", 4, "replace", 0),
    ("FrameOfReferenceUID", None, "uid", None),
    ("PatientComments", None, "hash", None),
    ("StudyDescription", "CT Doe knee", "regexp(Doe ,)", "CT knee"),
    ("StudyDescription", "a,b", "regexp([,],;)", "a;b"),
    ("StudyDescription", "Doe 12 34", r"regexp((\d+) (\d+),\2-\1)", "Doe 34-12"),
    ("PatientComments", None, "regexp(a,b)", None),
    ("OtherPatientIDs", ["a1", "b1"], "regexp(1,2)", ["a2", "b2"]),
    ("ContrastBolusAgent", "x", "remove_or_clear", ""),  # Type 2 in a CT image
    ("ContrastBolusAgent", "x", "remove_or_clear_or_replace", ""),
    ("ContrastBolusAgent", "x", "clear_or_replace", ""),
    ("ContrastBolusAgent", "x", "remove_or_replace", "ANONYMIZED"),
    ("StationName", "x", "remove_or_clear", None),  # Type 3
    ("StationName", "x", "remove_or_clear_or_replace", None),
    ("DetectorID", "x", "remove_or_replace", None),  # no attribute of a CT image
    ("StudyInstanceUID", "1.2.3", "remove_or_clear_or_uid", re.compile(r"2\.25\.\d+")),
    ("Modality", "CT", "remove_or_replace", "ANONYMIZED"),
    ("FrameOfReferenceUID", "1.2.3", "uid", re.compile(r"2\.25\.\d+")),
    ("FrameOfReferenceUID", "1.2.840.10008.1.4.1.1", "uid", "1.2.840.10008.1.4.1.1"),  # of the Standard
    ("PatientID", "1", "hash", re.compile(r"[0-9A-F]{16}")),
    ("StudyTime", "101112", "hash", re.compile(r"[0-2]\d[0-5]\d[0-5]\d")),
    ("PatientAge", "042Y", "hash", re.compile(r"0[0-8]\dY")),
    ("InstanceNumber", "7", "hash", re.compile(r"\d+")),
    ("PatientName", "", "hash", ""),
]


@pytest.mark.parametrize(("keyword", "before", "command", "after"), COMMANDS, ids=lambda part: str(part)[:40])
def test_a_command(apply: Apply, keyword: str, before: Any, command: str, after: Any) -> None:
    source = image(**({} if before is None else {keyword: before}))
    made = apply(source, {keyword: command})
    if after is None:
        assert keyword not in made
    elif isinstance(after, re.Pattern):
        assert after.fullmatch(str(made[keyword].value))
    else:
        value = made[keyword].value
        assert ("" if value is None else list(value) if made[keyword].VM > 1 else value) == after


def test_remove_safe_tags_makes_safe_remove(apply: Apply) -> None:
    rules = {"StudyDescription": "safe", "SeriesDescription": "keep", "remove_safe_tags": "true"}
    made = apply(image(StudyDescription="x", SeriesDescription="y"), rules)
    assert "StudyDescription" not in made
    assert made.SeriesDescription == "y"


def test_remove_safe_tags_under_default_leaves_what_the_table_keeps(apply: Apply) -> None:
    source = image(KVP="120", PatientSex="F")
    assert apply(source, {"preset": "default"}).KVP == 120
    made = apply(source, {"preset": "default", "remove_safe_tags": True})
    assert "KVP" not in made or presets.load("default")["general"]["KVP"] != "safe"
    assert made.PatientSex == "F"
    assert made.PixelData == source.PixelData


def test_remove_unknown_tags_removes_at_every_depth(apply: Apply) -> None:
    inner = item(PatientName="x", StationName="s")
    inner.private_block(0x0009, "MAKER", create=True).add_new(1, "LO", "p")
    source = image(ReferencedImageSequence=[inner], StationName="s")
    rules = {
        "remove_unknown_tags": "true",
        "ReferencedImageSequence": "keep",
        "PatientName": "keep",
        "Rows": "keep",
    }
    made = apply(source, rules)
    assert list(made.ReferencedImageSequence[0].keys()) == [0x00100010]
    assert "StationName" not in made
    assert "PixelData" not in made
    assert made.Rows == 4


def test_replace_reaches_into_the_items_of_a_sequence(apply: Apply) -> None:
    inner = item(CodeValue="11", CodeMeaning="Doe", RequestedProcedureCodeSequence=[item(CodeMeaning="Jane")])
    made = apply(image(AnatomicRegionSequence=[inner, inner]), {"AnatomicRegionSequence": "replace"})
    for one in made.AnatomicRegionSequence:
        assert one.CodeMeaning == one.CodeValue == "ANONYMIZED"
        assert one.RequestedProcedureCodeSequence[0].CodeMeaning == "ANONYMIZED"


# Macros


def test_macros_of_the_project_and_the_patient(apply: Apply) -> None:
    rules = {
        "name": "Knee study",
        "owner": "abc",
        "prefix": "KNEE",
        "StudyID": "set(@project_prefix@)",
        "StudyDescription": "set(@project_name@ of @project_owner@)",
        "PatientName": "set(@fake_name@)",
        "PatientID": "set(@fake_mrn@)",
        "AccessionNumber": "set(@fake_acc@)",
        "OtherPatientIDs": "set(@hash_mrn@)",
        "FrameOfReferenceUID": "set(@hash_uid@)",
        "PatientComments": "set(@value(PatientID)@ / @value@ / mail a@b.org)",
    }
    made = apply(image(FrameOfReferenceUID="1.2.3", AccessionNumber="A1", PatientComments="c"), rules)
    assert made.StudyID == "KNEE"
    assert made.StudyDescription == "Knee study of abc"
    assert re.fullmatch(r"[A-Z][a-z]+\^[A-Z][a-z]+(\^\^\^)?", str(made.PatientName))
    assert re.fullmatch(r"\d{10,16}", made.PatientID)
    assert re.fullmatch(r"\d{10,16}", made.AccessionNumber)
    assert re.fullmatch(r"[0-9A-F]{16}", made.OtherPatientIDs)
    assert made.FrameOfReferenceUID.startswith("2.25.")
    assert made.PatientComments == "ID-1 / c / mail a@b.org"


def test_hash_uid_is_what_the_command_uid_gives(apply: Apply) -> None:
    source = image(FrameOfReferenceUID="1.2.3")
    one = apply(source, {"FrameOfReferenceUID": "set(@hash_uid@)"})
    assert one.FrameOfReferenceUID == apply(source, {"FrameOfReferenceUID": "uid"}).FrameOfReferenceUID


def test_the_clock_of_the_run(apply: Apply) -> None:
    made = apply(image(), {"PatientComments": "set(@process_date@ @process_time@)"})
    assert re.fullmatch(r"[01]\d[0-3]\d20\d\d [0-2]\d[0-5]\d[0-5]\d\d{3}", made.PatientComments)


# Keys


@pytest.mark.parametrize("key", ["(0010,0010)", "0010,0010", "00100010", "PatientName", "( 0010 , 0010 )"])
def test_a_key_in_every_form(apply: Apply, key: str) -> None:
    assert apply(image(), {key: "set(x)"}).PatientName == "x"


@pytest.mark.parametrize("key", ["(0008,103E)", "(0008,103e)", "0008103E", "0008103e", "SeriesDescription"])
def test_hex_digits_in_any_case(apply: Apply, key: str) -> None:
    assert apply(image(SeriesDescription="old"), {key: "set(x)"}).SeriesDescription == "x"


def test_keys_of_repeating_groups(apply: Apply) -> None:
    source = image()
    for group in (0x6000, 0x6002, 0x601E):
        source.add_new(group << 16 | 0x22, "LO", "text")
        source.add_new(group << 16 | 0x1500, "LO", "label")
    made = apply(source, {"(60xx,0022)": "clear", "(6002,1500)": "remove", "(60XX,1500)": "set(L)"})
    assert [made[group << 16 | 0x22].value for group in (0x6000, 0x6002, 0x601E)] == ["", "", ""]
    assert made[0x60001500].value == made[0x601E1500].value == "L"
    assert 0x60021500 not in made  # the exact key goes before the pattern


def test_private_keys_follow_the_creator_into_any_block(apply: Apply) -> None:
    source = image()
    for maker in ("OTHER", "MAKER"):
        block = source.private_block(0x0019, maker, create=True)
        block.add_new(0x0C, "LO", f"of {maker}")
        block.add_new(0x0D, "LO", "more")
    inner = item()
    inner.private_block(0x0019, "MAKER", create=True).add_new(0x0C, "LO", "nested")
    source.ReferencedImageSequence = [inner]
    rules = {
        "remove_unknown_tags": "true",
        '(0019,xx0c,"MAKER")': "keep",
        '(0019,XX0D,"MAKER")': "set(x)",
        "ReferencedImageSequence": "keep",
    }
    made = apply(source, rules)
    assert [int(tag) for tag in made.group_dataset(0x0019).keys()] == [0x00190011, 0x0019110C, 0x0019110D]  # noqa: SIM118
    assert made[0x0019110C].value == "of MAKER"
    assert made[0x0019110D].value == "x"
    assert made.ReferencedImageSequence[0][0x0019100C].value == "nested"


def test_a_private_key_without_its_creator_in_the_file_matches_nothing(apply: Apply) -> None:
    source = image()
    source.add_new(0x0019100C, "LO", "nobody's")
    made = apply(source, {"remove_unknown_tags": "true", '(0019,xx0c,"MAKER")': "keep"})
    assert not made.group_dataset(0x0019)


# Values: VR, element, text of the rule, value that pydicom reads.
VALUES: list[tuple[str, int, str, Any]] = [
    ("AE", 0x00080054, "MY_AET", "MY_AET"),
    ("AS", 0x00101010, "042Y", "042Y"),
    ("AT", 0x00280009, "(0018,1063)", 0x00181063),
    ("AT", 0x00280009, "FrameTime\\00181065", [0x00181063, 0x00181065]),
    ("CS", 0x00080008, "DERIVED\\PRIMARY", ["DERIVED", "PRIMARY"]),
    ("DA", 0x00080020, "20200229", "20200229"),
    ("DS", 0x00180050, "1.25", 1.25),
    ("DS", 0x00280030, "0.5\\0.25", [0.5, 0.25]),
    ("DT", 0x0008002A, "20200229101112.123456+0100", "20200229101112.123456+0100"),
    ("FD", 0x00189073, "0.1", 0.1),
    ("FL", 0x00089459, "0.5\\-2", [0.5, -2.0]),
    ("IS", 0x00200013, "-7", -7),
    ("LO", 0x00100020, "a", "a"),
    ("LT", 0x001021B0, "a\\b", "a\\b"),
    ("OB", 0x00420011, "hex:00ff01", b"\x00\xff\x01\x00"),
    ("OD", 0x00660022, "1.5\\2", b"\0\0\0\0\0\0\xf8?\0\0\0\0\0\0\0@"),
    ("OF", 0x00640009, "1", b"\0\0\x80?"),
    ("OL", 0x00660129, "1\\2", b"\1\0\0\0\2\0\0\0"),
    ("OV", 0x7FE00001, "1", b"\1\0\0\0\0\0\0\0"),
    ("OW", 0x00281201, "1\\258", b"\1\0\2\1"),
    ("PN", 0x00100010, "A^B=C", "A^B=C"),
    ("SH", 0x00080050, "odd", "odd"),
    ("SL", 0x00186020, "-70000", -70000),
    ("SS", 0x00189219, "-7", -7),
    ("ST", 0x00080081, "street 1", "street 1"),
    ("SV", 0x00720082, "-5000000000", -5000000000),
    ("TM", 0x00080030, "101112.5", "101112.5"),
    ("UC", 0x00080119, "long", "long"),
    ("UI", 0x00200052, "1.2.3", "1.2.3"),
    ("UL", 0x00081161, "1\\70000", [1, 70000]),
    ("UR", 0x00080120, "https://example.org/a", "https://example.org/a"),
    ("US", 0x00280010, "65535", 65535),
    ("UT", 0x0040A160, "text", "text"),
    ("UV", 0x00720083, "18446744073709551615", 18446744073709551615),
]


@pytest.mark.parametrize("encoding", ["explicit", "implicit", "big"])
@pytest.mark.parametrize(("vr", "tag", "text", "value"), VALUES, ids=lambda part: str(part)[:20])
def test_set_packs_into_every_vr(apply: Apply, encoding: str, vr: str, tag: int, text: str, value: Any) -> None:
    key = f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
    raw = file_bytes(image(), SYNTAXES[encoding])
    made = apply(raw, {key: f"set({text})"})[tag]
    assert vr == made.VR or encoding == "implicit"
    expected = value
    if encoding == "big" and vr in ("OD", "OF", "OL", "OV", "OW"):
        width = {"OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}[vr]
        expected = b"".join(value[i : i + width][::-1] for i in range(0, len(value), width))
    found = list(made.value) if made.VM > 1 and not isinstance(made.value, bytes) else made.value
    assert found == expected


def test_every_vr_is_in_the_table() -> None:
    from pydicom.valuerep import VR

    assert {vr for vr, *_ in VALUES} == {vr for vr in map(str, VR) if len(vr) == 2} - {"SQ", "UN"}


def test_a_value_of_unknown_vr_takes_text(apply: Apply) -> None:
    source = image()
    source.private_block(0x0099, "MAKER", create=True)
    element = DataElement(0x00991001, "OB", b"old!")
    element.VR = "UN"
    source.add(element)
    made = apply(source, {'(0099,xx01,"MAKER")': "set(new)"})
    assert made[0x00991001].value in (b"new ", "new")


@pytest.mark.parametrize("encoding", ["explicit", "implicit", "big", "deflated"])
@pytest.mark.parametrize("undefined", [True, False])
def test_rules_reach_every_depth_in_every_encoding(apply: Apply, encoding: str, undefined: bool) -> None:
    level = item(PatientName="Doe^Jane", InstitutionName="Klinikum")
    for _ in range(6):
        level.is_undefined_length_sequence_item = undefined
        outer = item(ReferencedImageSequence=[level], PatientName="Doe^Jane")
        outer["ReferencedImageSequence"].is_undefined_length = undefined
        level = outer
    source = image(SourceImageSequence=[level, level])
    if encoding == "deflated":
        raw = part10(source, DeflatedExplicitVRLittleEndian, "AET")
    else:
        raw = file_bytes(source, SYNTAXES[encoding])
    made = apply(raw, {"PatientName": "set(longer than it was)", "InstitutionName": "remove"})
    level = made.SourceImageSequence[1]
    for _ in range(6):
        assert level.PatientName == "longer than it was"
        level = level.ReferencedImageSequence[0]
    assert list(level.keys()) == [0x00100010]
    assert made.PixelData == source.PixelData


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",  # explicit
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",  # deflated
        "JPEG2000.dcm",  # encapsulated
        "MR_small_RLE.dcm",
        "no_meta_group_length.dcm",
        "UN_sequence.dcm",
        "priv_SQ.dcm",
        "rtplan.dcm",
        "reportsi.dcm",
        "waveform_ecg.dcm",
        "liver_1frame.dcm",
        "chrX2.dcm",  # ISO 2022, several character sets
        "chrGreek.dcm",
    ],
)
def test_rules_work_on_real_files_of_every_encoding(apply: Apply, name: str) -> None:
    path = real_file(name)
    before = read(path)
    rules = {
        "PatientName": "set(Grüße^薬)",
        "PatientID": "clear",
        "StudyDescription": "set(odd)",
        "StationName": "remove",
    }
    made = apply(path.read_bytes(), rules)
    assert made.PatientName == "Grüße^薬"
    assert made.SpecificCharacterSet == ("GB18030" if name == "chrX2.dcm" else "ISO_IR 192")  # that one has the letters
    assert made.PatientID == ""
    assert made.StudyDescription == "odd"
    assert "StationName" not in made
    if "PixelData" in before:
        assert same_pixels(before.get_item("PixelData").value, made.get_item("PixelData").value)
    gone = {"PatientName", "PatientID", "StudyDescription", "StationName"}
    gone |= {"SpecificCharacterSet", "PatientIdentityRemoved", "DeidentificationMethod"}
    for element in before:
        if element.VR in ("LO", "SH", "LT", "ST", "CS", "DS", "IS", "US") and element.keyword not in gone:
            assert made[element.tag].value == element.value, element.tag


# Sections, options, merging


def test_files_merge_section_by_section_and_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_bytes(file_bytes(image(PatientSex="F", StudyDescription="d")))
    first = write_config(
        tmp_path,
        {
            "general": {"preset": "none", "PatientName": "clear", "PatientSex": "clear"},
            "knee": {"prefix": "A"},
        },
        "1.json",
    )
    second = write_config(
        tmp_path,
        {
            "general": {"(0010,0010)": "set(second)"},
            "KNEE": {"prefix": "B", "StudyDescription": "set(@project_prefix@)"},
        },
        "2.json",
    )
    for order, name, prefix in (((first, second), "second", "B"), ((second, first), "", "A")):
        words = [word for path in order for word in ("-c", path)]
        out = tmp_path / f"out{prefix}"
        assert call(tmp_path / "in", out, *words, "--project", "Knee").code == 0
        made = read(out / "file")
        assert made.PatientName == name
        assert made.PatientSex == ""
        assert made.StudyDescription == prefix


def test_assign_goes_over_everything_and_the_last_one_wins(apply: Apply) -> None:
    made = apply(
        image(), {"PatientName": "set(config)", "PatientID": "clear"}, "--assign", "PatientName=set(first)",
        "--assign", "(0010,0010)=set(a=b)", "--assign", "StudyDate=remove",
    )  # fmt: skip
    assert made.PatientName == "a=b"
    assert made.PatientID == ""
    assert "StudyDate" not in made


def test_preset_of_the_command_line_goes_over_that_of_the_file(apply: Apply) -> None:
    made = apply(image(PatientSex="F"), {"PatientSex": "keep"}, "--preset", "default")
    assert made.PatientName != "Doe^Jane"
    assert made.PatientSex == "F"


def test_a_pattern_of_a_later_source_goes_over_exact_keys_of_an_earlier_one(apply: Apply) -> None:
    source = image()
    source.add_new(0x60003000, "OW", b"\0\1" * 8)
    source.add_new(0x60000022, "LO", "text")
    rules = {"preset": "default", "remove_overlays": "false", "(60xx,xxxx)": "keep"}
    assert apply(source, rules)[0x60000022].value == "text"
    rules = {"preset": "default", "(60xx,3000)": "keep"}
    made = apply(source, rules)
    assert 0x60003000 in made
    assert 0x60000022 not in made


def test_options_of_curves_and_overlays_leave_odd_groups_alone(apply: Apply) -> None:
    source = image()
    for group, maker in ((0x5001, "CURVES"), (0x6001, "OVERLAYS")):
        source.private_block(group, maker, create=True).add_new(1, "LO", "private")
    inner = item()
    for level in (source, inner):
        level.add_new(0x50003000, "OW", b"\0\1")
        level.add_new(0x60003000, "OW", b"\0\1")
    source.ReferencedImageSequence = [inner]
    made = apply(source, {"remove_curves": "true", "remove_overlays": "true"})
    assert made[0x50011001].value == made[0x60011001].value == "private"
    for level in (made, made.ReferencedImageSequence[0]):
        assert 0x50003000 not in level
        assert 0x60003000 not in level


def test_keep_for_a_uid_keeps_it(apply: Apply) -> None:
    made = apply(image(), {"StudyInstanceUID": "keep"})
    assert made.StudyInstanceUID == "1.2.3.4"
    assert made.SeriesInstanceUID != "1.2.3.4.1"


@pytest.mark.parametrize(
    "rules",
    [
        {"(0008,xxxx)": "remove"},
        {"(0008,xxxx)": "keep", "(0020,xxxx)": "keep"},
        {"SOPInstanceUID": "clear", "SeriesInstanceUID": "remove", "StudyInstanceUID": "remove_or_clear"},
        {"SOPInstanceUID": "set(@random_uid@)", "SeriesInstanceUID": "set(@random_uid@)"},
        {"SOPInstanceUID": "set()", "SeriesInstanceUID": "set()", "StudyInstanceUID": "set()"},
        {"SOPInstanceUID": "safe", "remove_safe_tags": "true"},
    ],
    ids=str,
)
def test_the_three_uids_are_replaced_unless_a_rule_keeps_them_by_name(apply: Apply, rules: dict[str, Any]) -> None:
    made, usual = apply(image(), rules), apply(image(), {})
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert made[keyword].value == usual[keyword].value
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID


def test_policies_of_objects_lie_over_each_other_kind_by_kind(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/report").write_bytes(file_bytes(image(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")))
    (tmp_path / "in/screen").write_bytes(file_bytes(image(SOPClassUID="1.2.840.10008.5.1.4.1.1.7")))
    site = {"general": {"objects": {"secondary_capture": "quarantine", "sr": "process"}}}
    one = write_config(tmp_path, {**site, "knee": {"objects": {"sr": "drop"}}}, "1.json")
    two = write_config(tmp_path, {"general": {"objects": {"sr": "drop"}}}, "2.json")
    for number, words in enumerate((("-c", one, "--project", "knee"), ("-c", one, "-c", two))):
        done = call(tmp_path / "in", tmp_path / f"out{number}", *words, "--json", "-")
        assert done.reasons("skipped") == {"object-dropped": 1}
        assert done.reasons("quarantined") == {"unsupported-object": 1}


@pytest.mark.parametrize(
    ("command", "vr"),
    [
        *(("clean", vr) for vr in (b"OB", b"US", b"FD", b"DA", b"UI")),
        *(("regexp(Doe,)", vr) for vr in (b"OB", b"US", b"FD")),
    ],
)
def test_a_text_that_is_stored_as_no_text_is_not_passed_on(tmp_path: Path, command: str, vr: bytes) -> None:
    text = b"knee of Doe^Jane, female"
    header = b"\x08\x00\x30\x10"
    raw = file_bytes(image(StudyDescription="X" * len(text)))
    new = header + vr + (b"\0\0\x18\0\0\0" if vr == b"OB" else b"\x18\0") + text
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_bytes(raw.replace(header + b"LO\x18\0" + b"X" * len(text), new))
    rules = ("--preset", "none", "--assign", f"StudyDescription={command}")
    done = call(tmp_path / "in", tmp_path / "out", *rules, "--json", "-")
    assert done.reasons("quarantined") == {"value-misplaced": 1}


def test_none_keeps_everything_but_the_uids_of_the_profile_and_adds_the_stamps(apply: Apply) -> None:
    source = read(real_file("CT_small.dcm"))
    made = apply(real_file("CT_small.dcm").read_bytes(), {})
    changed = {
        "FrameOfReferenceUID", "InstanceCreatorUID",
        "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID",
    }  # fmt: skip
    assert changed == {element.keyword for element in source if element.VR == "UI"} - {"SOPClassUID"}
    for element in source:
        if element.keyword in changed:
            assert made[element.tag].value != element.value
        elif element.keyword != "DataSetTrailingPadding" and element.tag.element:
            assert made[element.tag] == element
    added = {made[tag].keyword for tag in made.keys() if tag not in source}  # noqa: SIM118
    assert added == {
        "PatientIdentityRemoved",
        "DeidentificationMethod",
        "LongitudinalTemporalInformationModified",
    }
    assert made.PatientIdentityRemoved == "NO"


def test_stamps_of_default_say_what_was_done(apply: Apply) -> None:
    made = apply(image(), {"preset": "default"})
    assert made.PatientIdentityRemoved == "YES"
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    assert "preset default" in str(made.DeidentificationMethod)


def test_a_stamp_may_be_overruled_by_a_rule(apply: Apply) -> None:
    made = apply(image(), {"DeidentificationMethod": "set(by hand)"})
    assert made.DeidentificationMethod == "by hand"


def test_the_examples_in_the_repository_run(tmp_path: Path, deliver: Deliver, sample_in: Path) -> None:
    folder = Path(__file__).parents[2] / "configs"
    found = sorted(folder.glob("*.json"))
    assert len(found) >= 4
    for config in found:
        if config.name.startswith("extra-rules"):
            continue
        delivery = deliver(sample_in, "-c", config)
        assert delivery.done.code == 0, config.name
        assert len(delivery.files) == 50


def test_what_a_rule_removes_is_in_no_byte_of_the_output(apply: Apply, tmp_path: Path) -> None:
    made = apply(
        image(PatientComments="SECRET", ReferencedImageSequence=[item(PatientComments="SECRET")]),
        {"PatientComments": "remove"},
    )
    assert "PatientComments" not in made
    out = next(path for path in tmp_path.iterdir() if path.name.startswith("out") and path.suffix != ".private")
    assert all(b"SECRET" not in searchable(content) for content in contents(out).values())
