"""The engine: what no rule touches is the same bytes, all else is what the rules say, at every depth."""

from __future__ import annotations

import copy
import functools
import json
import re
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from unittest.mock import Mock, patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import DataElement, Dataset, Sequence
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.values import convert_SQ

from dicom_anon import dicomfile
from dicom_anon.actions import UNCHANGED, Action, Assigned, Outcome, parse_action
from dicom_anon.assignment import Row, resolve
from dicom_anon.config import Rule
from dicom_anon.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PIXEL_DATA_TAGS,
    DataSetBytes,
    Encoding,
    Span,
    element_bytes,
    item_bytes,
    walk,
)
from dicom_anon.engine import Engine, Plan, Rewritten
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.explaining import Decision, Explainer
from dicom_anon.lookup import parse_lookup
from dicom_anon.native import LAYOUT, layout_of
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.scope import Element
from dicom_anon.tags import INSTANCE_NUMBER, INSTANCE_UIDS, SERIES_DESCRIPTION, parse_key, tag_for_keyword
from tests import datasets
from tests.datasets import (
    CREATOR,
    ENCODINGS,
    KEY,
    SEQUENCES,
    SYNTAXES,
    VALUES,
    assignment,
    decode,
    encode,
    engine,
    item,
    joined,
    levels,
    nested,
    read_file,
    real_file,
    real_files,
    rewrite,
    rewrite_bytes,
    walked,
)

CASES = sorted((Path(__file__).parents[1] / "data" / "cases").glob("*.json"))
EVERY_ENCODING = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)


# --- rules in files -------------------------------------------------------------------------------


def data_set_of(elements: dict[str, Any]) -> Dataset:
    """Read the elements of a case: keyword or tag to a value, ``{"vr", "value"}`` or ``{"vr", "hex"}``."""
    data_set = Dataset()
    for key, value in elements.items():
        if isinstance(value, dict):
            raw = bytes.fromhex(value["hex"]) if "hex" in value else value["value"]
            if value["vr"] == "SQ":
                raw = list(map(data_set_of, raw))
            data_set.add(DataElement(Tag(key.strip("()").replace(",", "")), value["vr"], raw))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            setattr(data_set, key, list(map(data_set_of, value)))
        else:
            setattr(data_set, key, value)
    return data_set


def cases() -> list[Any]:
    found = [(path, case) for path in CASES for case in json.loads(path.read_text("utf-8"))]
    return [pytest.param(case, id=f"{path.stem}: {case['name']}") for path, case in found]


@pytest.mark.parametrize("case", cases())
@EVERY_ENCODING
def test_case(case: dict[str, Any], encoding: Encoding) -> None:
    source = data_set_of(case["elements"])
    source.SpecificCharacterSet = case.get("charset", "ISO_IR 192")
    expected = data_set_of(case["result"])
    expected.SpecificCharacterSet = case.get("charset_after", source.SpecificCharacterSet)
    rules = {"SpecificCharacterSet": "keep", **case["rules"]}
    if "refused" in case:
        with pytest.raises(FileRefused) as refused:
            rewrite(source, rules, encoding, remove_unknown=case.get("remove_unknown_tags", False))
        assert refused.value.reason.value == case["refused"]
        return
    found = rewrite(source, rules, encoding, remove_unknown=case.get("remove_unknown_tags", False))
    assert found == decode(encode(expected, encoding), encoding)


# --- any Data Set under any rules, against a slow model on pydicom's objects ----------------------

SET: dict[str, tuple[str, bytes | tuple[str, tuple[Any, ...]]]] = {
    "AE": ("STATION", b"STATION "),
    "AS": ("045Y", b"045Y"),
    "CS": ("A_B\\C", b"A_B\\C "),
    "DA": ("20010203", b"20010203"),
    "DS": ("1.5\\-2", b"1.5\\-2"),
    "DT": ("2001020304", b"2001020304"),
    "IS": ("-7", b"-7"),
    "LO": ("Ärzte\\b", b"\xc4rzte\\b "),
    "LT": ("a\\b", b"a\\b "),
    "PN": ("Z^\xe9", b"Z^\xe9 "),
    "SH": ("x", b"x "),
    "ST": ("y", b"y "),
    "TM": ("1011", b"1011"),
    "UC": ("u\\v", b"u\\v "),
    "UI": ("1.2.3", b"1.2.3\0"),
    "UR": ("urn:x", b"urn:x "),
    "UT": ("long", b"long"),
    "US": ("1\\65535", ("H", (1, 65535))),
    "SS": ("-1", ("h", (-1,))),
    "UL": ("4294967295", ("L", (4294967295,))),
    "SL": ("-5", ("l", (-5,))),
    "UV": ("7", ("Q", (7,))),
    "SV": ("-7", ("q", (-7,))),
    "FL": ("0.5\\2", ("f", (0.5, 2.0))),
    "FD": ("1e300", ("d", (1e300,))),
    "OW": ("1\\2\\3", ("H", (1, 2, 3))),
    "OB": ("hex:00ff01", b"\0\xff\1\0"),
    "UN": ("hex:0102", b"\1\2"),
    "AT": ("(0010,0020)\\PatientName", ("HHHH", (0x10, 0x20, 0x10, 0x10))),
}
"""For each VR, a text that fits and the bytes it stands for; numbers as struct format and values."""

DUMMY = {
    "AE": b"ANONYMIZED",
    "AS": b"000D",
    "CS": b"ANONYMIZED",
    "DA": b"19000101",
    "DS": b"0",
    "DT": b"19000101000000",
    "IS": b"0",
    "LO": b"ANONYMIZED",
    "LT": b"ANONYMIZED",
    "PN": b"ANONYMIZED",
    "SH": b"ANONYMIZED",
    "ST": b"ANONYMIZED",
    "TM": b"000000",
    "UC": b"ANONYMIZED",
    "UR": b"urn:anonymized",
    "UT": b"ANONYMIZED",
}
SINGLE = {"LT", "ST", "UT", "UR"}
CONTENT_FREE = {"AT", "CS", "IS", "SL", "SS", "SV", "UL", "US", "UV"}
"""VRs of terms and counts, which replacing a sequence leaves."""


def packed(content: bytes | tuple[str, tuple[Any, ...]], encoding: Encoding) -> bytes:
    if isinstance(content, bytes):
        return content
    letters, numbers = content
    return struct.pack(f"{encoding.order}{len(numbers) if len(letters) == 1 else ''}{letters}", *numbers)


class Model:
    """The rule language, said again with pydicom's objects and no thought of speed."""

    def __init__(self, rules: dict[str, str], remove_unknown: bool, encoding: Encoding) -> None:
        self.rules, self.unknown, self.encoding = rules, "remove" if remove_unknown else "keep", encoding
        self.pseudonyms = Pseudonyms(KEY)

    def command(self, level: Dataset, tag: int) -> str:
        if (exact := f"{tag:08X}") in self.rules:
            return self.rules[exact]
        group, element = tag >> 16, tag & 0xFFFF
        if group % 2 and element >= 0x1000:
            creator = level.get((group, element >> 8))
            by_creator = f'({group:04X},xx{element & 0xFF:02X},"{creator.value if creator else ""}")'
            if by_creator in self.rules:
                return self.rules[by_creator]
        if group == 0x28 and "(0028,xxxx)" in self.rules:
            return self.rules["(0028,xxxx)"]
        if group % 2 and 0x10 <= element < 0x100 and self.unknown == "remove":
            block = [t for t in map(int, level.keys()) if t >> 16 == group and t >> 8 & 0xFF == element and t & 0xF000]
            return "keep" if any(self.command(level, t) != "remove" for t in block) else "remove"
        return self.unknown

    def rewrite(self, level: Dataset, top: bool = True, replaced: bool = False) -> Dataset:
        result = Dataset()
        for tag in map(int, level.keys()):
            raw = level.get_item(tag)
            element = copy.deepcopy(level)[tag]
            command = self.command(level, tag)
            creator = tag >> 16 & 1 and 0x10 <= tag & 0xFFFF < 0x100
            stays = tag == 0x00080005 or creator or element.VR in CONTENT_FREE
            if command in ("keep", "safe") and replaced and not stays:
                command = "replace"
            items = self.items(element)
            unknown = items is not None and element.VR == "UN" and command in ("keep", "safe")
            if unknown and all(self.rewrite(one, False, replaced) == one for one in self.items(element) or ()):
                result[tag] = raw
                continue
            if command == "remove":
                continue
            if items is not None and command in ("keep", "safe", "replace", "uid"):
                within = command == "replace" or (command == "uid" and replaced)
                kept = DataElement(tag, "SQ", Sequence(self.rewrite(i, False, within) for i in items))
                kept.is_undefined_length = getattr(raw, "is_undefined_length", getattr(raw, "length", 0) == 0xFFFFFFFF)
                for new, old in zip(kept.value, items, strict=True):
                    new.is_undefined_length_sequence_item = old.is_undefined_length_sequence_item
                result.add(kept)
            elif command in ("keep", "safe"):
                result[tag] = raw
            else:
                self.put(result, tag, element.VR, self.value(command, element, raw, top))
        if top:
            for key, command in self.rules.items():
                if re.fullmatch("[0-9A-F]{8}", key) and command.startswith(("set", "clear")):
                    tag = int(key, 16)
                    if tag not in level and not tag >> 16 & 1:
                        vr = next((vr for vr, (tags, _) in VALUES.items() if tag in tags), "SQ")
                        self.put(result, tag, vr, self.value(command, DataElement(tag, vr, None), None, top))
        return result

    def items(self, element: DataElement) -> Sequence | None:
        if element.VR == "SQ":
            sequence: Sequence = element.value
            return sequence
        if element.VR == "UN" and bytes(element.value or b"").startswith(b"\xfe\xff\x00\xe0"):
            return convert_SQ(element.value, True, True)
        return None

    def put(self, result: Dataset, tag: int, vr: str, raw: bytes) -> None:
        raw += (b"\0" if vr in ("UI", "OB") else b" ") * (len(raw) % 2)
        if vr == "SQ":
            result.add(DataElement(tag, vr, []))
            return
        result[tag] = RawDataElement(Tag(tag), vr, len(raw), raw, 0, not self.encoding.explicit, self.encoding.little)

    def value(self, command: str, element: DataElement, raw: Any, top: bool) -> bytes:
        vr = element.VR
        content = b"" if raw is None or vr == "SQ" else raw.value or b""
        texts = [] if not content else [content] if vr in SINGLE else content.split(b"\\")
        texts = [text.rstrip(b" \0") if n == len(texts) - 1 else text for n, text in enumerate(texts)]
        if texts == [b""]:
            texts = []
        if command == "clear":
            return b""
        if command.startswith("set"):
            return packed(SET[vr][1], self.encoding)
        if command == "truncdate":
            plain = [text.replace(b".", b"") if vr == "DA" else text for text in texts]
            days = [(len(text) - len(text.lstrip(b"0123456789")), text) for text in plain]
            return b"\\".join(text[:4] + b"0101"[: max(0, n - 4)] + text[min(n, 8) :] for n, text in days)
        if command == "uid" or (command == "replace" and vr == "UI"):
            keyed = self.pseudonyms.instance_uid if top and int(element.tag) in INSTANCE_UIDS else self.pseudonyms.uid
            return b"\\".join(keyed(text.decode()).encode() for text in texts)
        if command == "hash":
            return b"\\".join(
                self.pseudonyms.code("hash", t.decode("latin-1").strip(" \0")).encode() if t else b"" for t in texts
            )
        if command.startswith("regexp"):
            return b"\\".join(text.replace(b"A", b"bb") for text in texts)
        assert command == "replace"
        if vr in DUMMY:
            return b"\\".join([DUMMY[vr]] * max(1, len(texts)))
        if vr in ("AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"):
            return bytes(len(content))
        return bytes(min(len(content), 8) or 8)


def commands_for(vr: str) -> list[str]:
    found = ["keep", "safe", "remove", "clear", "replace"]
    if vr in SET:
        found.append(f"set({SET[vr][0]})")
    if vr in ("DA", "DT"):
        found.append("truncdate")
    if vr in ("UI", "SQ"):
        found.append("uid")
    if vr in ("LO", "SH"):
        found += ["hash", "regexp(A,bb)"]
    return found


@st.composite
def rules(draw: st.DrawFn) -> dict[str, str]:
    keys = {f"{tag:08X}": commands_for(vr) for vr, (tags, _) in VALUES.items() for tag in tags}
    keys |= {f"{tag:08X}": commands_for("SQ") for tag in SEQUENCES}
    keys |= {f'(0009,xx{low:02X},"{CREATOR}")': ["keep", "remove", "clear", "replace"] for low in (0, 1, 2, 5)}
    keys |= {"(0028,xxxx)": ["keep", "remove", "clear", "replace"]}
    chosen = draw(st.lists(st.sampled_from(sorted(keys)), max_size=20, unique=True))
    return {"00080005": "keep", **{key: draw(st.sampled_from(keys[key])) for key in chosen}}


@given(datasets.data_sets(), rules(), st.booleans(), st.sampled_from(sorted(ENCODINGS)))
def test_does_what_the_slow_model_does(
    data_set: Dataset, rules: dict[str, str], remove_unknown: bool, name: str
) -> None:
    encoding = ENCODINGS[name]
    raw = encode(data_set, encoding)
    expected = Model(rules, remove_unknown, encoding).rewrite(decode(raw, encoding))
    found = rewrite_bytes(raw, rules, encoding, remove_unknown=remove_unknown)
    assert found == encode(expected, encoding)
    assert walked(found, encoding).buf == found


@given(datasets.data_sets(), rules(), st.booleans())
def test_explains_what_it_does(data_set: Dataset, rules: dict[str, str], remove_unknown: bool) -> None:
    raw = encode(data_set)
    eng = engine(rules, remove_unknown=remove_unknown)
    decisions = list(eng.explain(walked(raw)))
    stays = [d for d in decisions if type(d.outcome).__name__ != "Removed"]
    after = decode(b"".join(p for p in eng.run(walked(raw)).pieces if isinstance(p, bytes)))
    assert [(d.tag, d.depth) for d in stays] == list(tags_of(after))
    assert [(d.tag, d.depth) for d in decisions if not d.inserted and d.depth == 0] == [
        (tag, 0) for tag in sorted(map(int, data_set.keys()))
    ]


def tags_of(data_set: Dataset, depth: int = 0) -> list[tuple[int, int]]:
    found = []
    for element in data_set:
        found.append((int(element.tag), depth))
        for inner in element.value if element.VR == "SQ" else ():
            found += tags_of(inner, depth + 1)
    return found


# --- real files -----------------------------------------------------------------------------------


def is_readable(path: Path) -> bool:
    try:
        return bool(read_file(path).data.spans)
    except FileRefused:
        return False


READABLE = [path for path in real_files() if is_readable(path)]
EVERY_FILE = pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)


def run(path: Path, rules: dict[str, str], *, remove_unknown: bool = False) -> tuple[bytes, bytes, Encoding]:
    """Bytes of the Data Set of a real file, before and after these rules."""
    file = read_file(path)
    pieces = engine(rules, remove_unknown=remove_unknown).run(file.data).pieces
    return file.whole, joined(pieces, file.source), file.data.encoding


@EVERY_FILE
def test_without_rules_only_what_is_always_dropped_goes(path: Path) -> None:
    before, after, encoding = run(path, {})
    expected = decode(before, encoding)
    for level in levels(expected):
        for tag in [tag for tag in level.keys() if tag.element == 0 or tag in (0xFFFCFFFC, 0xFFFAFFFA)]:  # noqa: SIM118
            del level[tag]
    assert decode(after, encoding) == expected
    if not any(int(tag) & 0xFFFF == 0 or tag == 0xFFFCFFFC for tag, _ in tags_of(decode(before, encoding))):
        assert after == before


@EVERY_FILE
def test_rules_reach_every_depth_of_a_real_file(path: Path) -> None:
    rules = {
        "(0008,xxxx)": "keep",
        "PatientName": "set(Nobody)",
        "PatientID": "remove",
        "CodeMeaning": "replace",
        "StudyDate": "truncdate",
        "ReferencedSOPInstanceUID": "uid",
        "SOPInstanceUID": "uid",
        "StudyInstanceUID": "uid",
        "AccessionNumber": "clear",
    }
    before, after, encoding = run(path, rules)
    source, target = decode(before, encoding), decode(after, encoding)
    keyed = Pseudonyms(KEY)
    assert target.PatientName == "Nobody"
    assert target.AccessionNumber == ""
    for level in levels(target):
        assert "PatientID" not in level
        assert level.get("PatientName", "Nobody") == "Nobody"
        assert (level.get("CodeMeaning") or "ANONYMIZED") == "ANONYMIZED"
        assert (level.get("StudyDate") or "20000101")[4:] == "0101"
    for keyword in ("SOPInstanceUID", "StudyInstanceUID"):
        if source.get(keyword):
            assert target[keyword].value == keyed.instance_uid(source[keyword].value)
    old = [level.ReferencedSOPInstanceUID for level in levels(source) if "ReferencedSOPInstanceUID" in level]
    new = [level.ReferencedSOPInstanceUID for level in levels(target) if "ReferencedSOPInstanceUID" in level]
    assert new == [keyed.uid(uid) for uid in old]
    assert source.get("PixelData") == target.get("PixelData")


def test_an_empty_table_of_rules_removes_everything_from_real_files_that_keep_nothing() -> None:
    _, after, encoding = run(real_file("CT_small.dcm"), {"Modality": "keep"}, remove_unknown=True)
    assert decode(after, encoding) == item(Modality="CT")


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("MR_small_implicit.dcm", IMPLICIT_LITTLE),
        ("MR_small_bigendian.dcm", EXPLICIT_BIG),
        ("image_dfl.dcm", EXPLICIT_LITTLE),
        ("JPEG2000.dcm", EXPLICIT_LITTLE),
    ],
)
def test_numbers_and_text_are_set_in_the_encoding_of_the_file(name: str, encoding: Encoding) -> None:
    rules = {
        "Rows": "set(513)",
        "PatientName": "set(Doe^J)",
        "RecommendedDisplayFrameRateInFloat": "set(0.5)",
    }
    before, after, found = run(real_file(name), rules)
    source, target = decode(before, found), decode(after, found)
    assert found == encoding
    assert (target.Rows, target.PatientName, target.RecommendedDisplayFrameRateInFloat) == (513, "Doe^J", 0.5)
    assert source.PixelData == target.PixelData


def test_private_elements_stay_by_their_creator_and_take_it_with_them() -> None:
    rules = {'(0019,xx0f,"GEMS_ACQU_01")': "keep", '(0043,xx12,"GEMS_PARM_01")': "clear", "Modality": "keep"}
    before, after, encoding = run(real_file("CT_small.dcm"), rules, remove_unknown=True)
    source, target = decode(before, encoding), decode(after, encoding)
    assert list(map(int, target.keys())) == [0x00080060, 0x00190010, 0x0019100F, 0x00430010, 0x00431012]
    assert target[0x0019100F].value == source[0x0019100F].value
    assert target[0x00431012].is_empty


def test_attributes_that_a_file_holds_as_unknown_are_treated_as_what_they_are() -> None:
    path = real_file("explicit_VR-UN.dcm")
    rules = {"StudyDate": "truncdate", "PatientName": "set(Doe^J)", "SOPInstanceUID": "uid", "Rows": "set(2)"}
    rules |= {"CodeMeaning": "set(inside)"}
    stored = {span[0]: span for span in read_file(path).data.spans}
    for tag in (0x00080020, 0x00100010, 0x00080018):
        assert stored[tag][1] == b"UN", "the file is what the test is about"
    before, after, encoding = run(path, rules)
    source, target = decode(before, encoding), decode(after, encoding)
    assert target.StudyDate == source.StudyDate[:4] + "0101"
    assert target.PatientName == "Doe^J"
    assert target.Rows == 2
    assert target.SOPInstanceUID == Pseudonyms(KEY).uid(source.SOPInstanceUID)
    raw = {span[0]: span[1] for span in walked(after[: after.index(b"\xe0\x7f\x10\x00")], encoding).spans}
    assert raw[0x00080020] == b"DA", "a new value says what it is"


def test_sequences_that_a_file_holds_as_unknown_are_worked_on() -> None:
    before, after, encoding = run(real_file("UN_sequence.dcm"), {"ReferencedSOPInstanceUID": "uid"})
    source, target = decode(before, encoding), decode(after, encoding)
    old = [level.ReferencedSOPInstanceUID for level in levels(source) if "ReferencedSOPInstanceUID" in level]
    assert old
    new = [level.ReferencedSOPInstanceUID for level in levels(target) if "ReferencedSOPInstanceUID" in level]
    assert new == list(map(Pseudonyms(KEY).uid, old))


def test_nested_private_sequences_of_a_real_file_are_worked_on() -> None:
    before, after, encoding = run(real_file("nested_priv_SQ.dcm"), {"(0001,0001)": "keep"}, remove_unknown=True)
    assert tags_of(decode(before, encoding))[0] == (0x00010001, 0)
    assert set(tags_of(decode(after, encoding))) == {(0x00010001, 0), (0x00010001, 1), (0x00010001, 2)}


# --- what one file teaches about the next ---------------------------------------------------------

MACRO_RULES = {
    "00100010": "set(@fake_name@)",
    "00100020": "set(@fake_mrn@)",
    "00080050": "set(@value(0020,0010)@)",
    "00081030": "set(@value(0010,0010)@)",
    "00204000": "set(@value(0008,0060)@ @random_uid@)",
    "00080081": "set(Ж)",
}


@st.composite
def series(draw: st.DrawFn) -> list[Dataset]:
    """Data Sets that have most elements in common, as the slices of a series do."""
    base = draw(datasets.data_sets())
    base.update(datasets.image())
    found = []
    for number in range(draw(st.integers(3, 8))):
        slice_ = copy.deepcopy(base)
        slice_.SOPInstanceUID, slice_.InstanceNumber = f"1.2.3.{number}", number
        slice_.PixelData = bytes(draw(st.integers(0, 40)) * 2)
        if draw(st.integers(0, 2)) == 0:  # most slices differ in no more than that
            change = draw(st.sampled_from(("StudyID", "PatientID", "Modality", "PatientName", "gone", "more")))
            if change == "more":
                slice_.update(draw(datasets.data_sets()))
            elif change == "gone":
                slice_.pop(draw(st.sampled_from(sorted(map(int, slice_.keys())))))
            else:
                setattr(slice_, change, draw(st.sampled_from(("A", "B", "LONGER"))))
        found.append(slice_)
    return found


@given(
    series(),
    rules(),
    st.sets(st.sampled_from(sorted(MACRO_RULES))),
    st.booleans(),
    st.sampled_from(sorted(ENCODINGS)),
)
def test_what_is_reused_from_earlier_files_changes_nothing(
    slices: list[Dataset], rules: dict[str, str], macros: set[str], remove_unknown: bool, name: str
) -> None:
    rules = {**rules, **{key: MACRO_RULES[key] for key in macros}}
    encoding = ENCODINGS[name]
    shared = engine(rules, remove_unknown=remove_unknown)
    for slice_ in slices:
        raw = encode(slice_, encoding)
        alone = engine(rules, remove_unknown=remove_unknown)
        wanted = outcome(alone.run, walked(raw, encoding), SYNTAXES[name])
        assert outcome(shared.run_unwalked, InMemory(raw, encoding, SYNTAXES[name])) == wanted


ACTIONS = ("keep", "remove", "clear", "replace", "remove_or_clear", "clear_or_replace")
ACTIONS_OF = {
    "UI": ("uid", "set(@hash_uid@)", "remove_or_clear_or_uid"),
    "DA": ("shiftdate", "truncdate", "hash"),
    "DT": ("shiftdate", "truncdate", "hash"),
    "TM": ("shiftdate", "hash"),
    "IS": ("set(@value@9)", "hash"),
    "PN": ("set(@fake_name@)", "hash", "clean", "set(@value(0020,0013)@)"),
    "SQ": ("clean", "uid", "shiftdate", "clean(clean_descriptors)"),
    "OB": (),
    "OW": (),
    "SS": ("hash", "set(-5)"),
    "US": (),
    "UL": (),
}
TEXTS = (
    *("hash", "clean", "regexp(A,bb)", "set(@fake_acc@)", "set(@hash_acc@)", "set(Ж@value@)", "set(@fake_mrn@)"),
    *("set(@value(0040,0253)@)", "set(@value(0008,0050)@)", "set(@value(0010,0010)@)", "set(@random_uid@)"),
)


@functools.cache
def rules_for_series() -> dict[str, tuple[str, ...]]:
    """Commands that fit each element of `datasets.VARIANTS`, and those of private elements by their creator."""
    found: dict[str, tuple[str, ...]] = {}
    for tag, variants in datasets.VARIANTS.items():
        vrs = {variant[0] for variant in variants if variant is not None} - {"UN"}
        if tag >> 16 & 1:
            found[f"{tag:08X}"] = ("keep", "remove", "replace")
            if tag & 0xF000:
                found |= {
                    f'({tag >> 16:04X},xx{tag & 0xFF:02X},"{creator}")': ("keep", "remove", "clear", "replace", "clean")
                    for creator in ("ACME", "OTHER")
                }
        elif tag not in (0x00080000, 0x00080005, 0xFFFCFFFC):
            found[f"{tag:08X}"] = ACTIONS + ACTIONS_OF.get(min(vrs), TEXTS)
    inside = {"00081155": ("uid",), "00081060": ("remove", "clean"), "00321060": ("clean", "set(Ж)", "remove")}
    return found | inside | {"00400009": ("set(@hash_acc@)", "hash", "remove"), "00400002": ("shiftdate",)}


@functools.cache
def preset_plan(preset: str, options: tuple[str, ...], crosswalk: bool) -> Plan:
    rules = [(parse_key("00204000"), Rule(parse_action("set(@value(0040,0253)@ @value(0020,0013)@)"), "", ""))]
    lookup = parse_lookup("PatientID,SubjectID,DateOffset\nID-1,S-1,-3\nID-2,S-2,\n", "") if crosswalk else None
    return Plan(resolve(preset=preset, profile_options=options, assigns=rules, lookup=lookup), KEY, crosswalk=crosswalk)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A preset with options, or any rules that fit what is in a series."""
    if draw(st.booleans()):
        preset, *options = draw(
            st.sampled_from(
                (
                    ("default",),
                    ("none",),
                    ("mercure",),
                    ("basic",),
                    ("basic", "clean_descriptors", "retain_safe_private", "retain_modified_dates"),
                    ("basic", "clean_structured_content", "retain_safe_private"),
                    ("basic", "clean_structured_content", "retain_uids", "retain_safe_private", "retain_full_dates"),
                    ("tcia",),
                )
            )
        )
        return preset_plan(preset, tuple(options), draw(st.booleans()))
    known = rules_for_series()
    keys = draw(st.lists(st.sampled_from(sorted(known)), max_size=10, unique=True))
    chosen = {"00080005": "keep", **{key: draw(st.sampled_from(known[key])) for key in keys}}
    return Plan(assignment(chosen, remove_unknown=draw(st.booleans())), KEY, crosswalk=draw(st.booleans()))


def told(eng: Engine, content: bytes, reuse: bool) -> Any:
    """All that is told of a file, or why it is refused."""
    with TemporaryFile(buffering=0) as handle:
        handle.write(content)
        try:
            file = dicomfile.DicomFile(handle, len(content))
            new = eng.run_unwalked(file) if reuse else eng.run(file.data, file.transfer_syntax)
        except FileRefused as refused:
            return str(refused)
        raw = joined(new.pieces, file.content or content)
        pixels = [p for p in new.pieces if not isinstance(p, bytes) and p.tag in PIXEL_DATA_TAGS]
        layout = new.root.file.memo.get(LAYOUT) if pixels else None
        texts = [eng.new_text(new.root, tag) for tag in (INSTANCE_NUMBER, SERIES_DESCRIPTION)]
        return raw, new[1:5], new[6:], layout or layout_of(new.root), texts, file.notes


@given(datasets.any_series(), plans(), st.sampled_from((800, 4096)))
def test_a_file_comes_out_the_same_whatever_came_before_it(files: list[bytes], plan: Plan, head: int) -> None:
    alone, shared = Engine(plan), Engine(plan)
    with patch.multiple(dicomfile, HEAD=head, BULK=4096):
        for content in files:
            assert told(shared, content, True) == told(alone, content, False)


def check_alike(plan: Plan, *files: bytes) -> None:
    shared = Engine(plan)
    for content in files:
        assert told(shared, content, True) == told(Engine(plan), content, False)


def slice_bytes(number: int, **attributes: Any) -> bytes:
    own = {"SOPInstanceUID": f"1.2.3.{number}", "InstanceNumber": number} | attributes
    return datasets.file_bytes(datasets.image(**own))


@pytest.mark.parametrize(
    "attributes", [{"BurnedInAnnotation": "YES"}, {"PixelPaddingValue": 5}, {"PerformedProcedureStepID": "X7"}]
)
def test_what_an_earlier_file_lacked_is_seen_behind_what_is_reused(attributes: dict[str, Any]) -> None:
    asks = Rule(parse_action("set(@value(0040,0253)@)"), "", "")
    stamps = resolve(preset="default", assigns=[(parse_key("PatientID"), asks)])
    check_alike(Plan(stamps, KEY), *map(slice_bytes, range(3)), slice_bytes(3, **attributes))


def test_slices_that_differ_as_those_of_a_scanner_do_teach_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Engine(Plan(resolve(), KEY))
    in_full = Mock(wraps=shared.run)
    monkeypatch.setattr(shared, "run", in_full)
    for number in range(10, 20):
        own = dict.fromkeys(("AcquisitionTime", "ContentTime"), f"1011{number}.5")
        day = {"AcquisitionDate": "20040119", "AcquisitionDateTime": f"200401191011{number}.5+0100"}
        told(shared, slice_bytes(number, SliceLocation=number, **own, **day), True)
    assert in_full.call_count == 2


def test_uids_of_a_file_that_is_longer_than_those_before_it_are_told() -> None:
    short = datasets.file_bytes(item(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"))
    check_alike(preset_plan("default", (), False), short, short, slice_bytes(1))


@pytest.mark.parametrize("before", [None, []], ids=["absent", "empty"])
def test_a_name_in_a_sequence_that_an_earlier_file_did_not_fill_is_cleaned_from_its_text(before: Any) -> None:
    def content(number: int, names: list[str] | None) -> bytes:
        requests = None if names is None else [item(ScheduledPerformingPhysicianName=name) for name in names]
        found = {} if requests is None else {"RequestAttributesSequence": requests}
        return slice_bytes(number, StudyDescription="Brandywine chest", **found)

    plan = Plan(assignment({"StudyDescription": "clean"}), KEY)
    named = content(3, ["Brandywine^Quux"])
    first = content(0, before if before is None else ["Abc^D"])
    check_alike(plan, first, content(1, before), content(2, before), named)
    assert b"Brandywine chest" not in told(Engine(plan), named, True)[0]


def test_a_name_in_a_private_element_that_was_of_unknown_vr_is_cleaned_from_text() -> None:
    def content(number: int, vr: str, value: bytes) -> bytes:
        raw = encode(item(StudyDescription="Brandywine chest", InstanceNumber=number))
        return datasets.file_bytes(Dataset()) + raw + element_bytes(0x00291001, vr, value, EXPLICIT_LITTLE)

    plan = Plan(assignment({"StudyDescription": "clean"}), KEY)
    check_alike(plan, *(content(n, "UN", bytes([n, 0])) for n in range(3)), content(3, "PN", b"Brandywine^Q"))


def test_a_creator_goes_where_the_long_value_that_earlier_files_had_in_its_block_is_missing() -> None:
    plan = Plan(assignment({'(0029,xx10,"ACME")': "keep"}, remove_unknown=True), KEY)
    filled, empty = datasets.image(), datasets.image()
    for source in (filled, empty):
        source.add(DataElement(0x00290010, "LO", "ACME"))
    filled.add(DataElement(0x00291010, "OB", bytes(dicomfile.BULK)))
    check_alike(plan, *map(datasets.file_bytes, (filled, filled, empty, filled)))


def test_a_note_is_made_only_of_a_file_that_gives_rise_to_it() -> None:
    plan = Plan(assignment({"ContentDate": "shiftdate"}), KEY)
    dates = ("20010101", "20010102", "20010103", "", "20010105")
    check_alike(plan, *(slice_bytes(n, PatientID="", ContentDate=date) for n, date in enumerate(dates)))


@pytest.mark.parametrize("command", ["set(1.2.840.10008.5.1.4.1.1.7)", "set(1.2.@value(0020,0013)@)", "remove", "uid"])
def test_the_new_sop_class_is_told(command: str) -> None:
    plan = Plan(assignment({"SOPClassUID": command}), KEY)
    check_alike(plan, *map(slice_bytes, range(4)))
    new = told(Engine(plan), slice_bytes(3), True)[1][0]
    kept = "1.2.840.10008.5.1.4.1.1.2"
    assert new == {"set(1.2.@value(0020,0013)@)": "1.2.3", "remove": "", "uid": kept}.get(command, command[4:-1])


def test_signs_of_numbers_are_those_of_each_file() -> None:
    def content(number: int, signed: int) -> bytes:
        made = datasets.image(InstanceNumber=number, PixelRepresentation=signed)
        made.add_new("PixelPaddingValue", "SS" if signed else "US", number)
        return datasets.file_bytes(made, SYNTAXES["implicit"])

    plan = Plan(
        assignment({"PixelPaddingValue": "set(-5)", "SmallestImagePixelValue": "set(-@value(0020,0013)@)"}), KEY
    )
    check_alike(plan, *(content(number, 1) for number in range(4)), content(4, 0), content(5, 1), content(0, 0))


@pytest.mark.parametrize("vr", ["UT", "UN", "LO"])
def test_the_instance_uid_is_told_whatever_its_vr(vr: str) -> None:
    def content(number: int) -> bytes:
        uid = element_bytes(0x00080018, vr, b"1.2.3.%d " % number, EXPLICIT_LITTLE)
        return datasets.file_bytes(Dataset()) + uid + encode(item(Modality="CT"))

    check_alike(Plan(assignment({"SOPInstanceUID": "uid"}), KEY), *map(content, range(4)))


def test_the_reason_of_a_refusal_is_the_same_whether_files_teach_or_not() -> None:
    plan = Plan(assignment({"InstanceNumber": "set(@value@9)"}), KEY)
    truncated = slice_bytes(3, InstanceNumber="444444444")[:-10]
    assert told(Engine(plan), truncated, False).startswith("truncated")
    check_alike(plan, *map(slice_bytes, range(3)), truncated)


def test_a_file_that_only_pydicom_can_read_is_read_as_a_whole() -> None:
    start = datasets.file_bytes(Dataset())
    plan = Plan(assignment({"InstanceNumber": "set(@value(0040,0253)@)"}), KEY)
    disordered = b"".join(element_bytes(tag, "SH", b"A ", EXPLICIT_LITTLE) for tag in (0x00400254, 0x00400020))
    files = [start + encode(item(Modality="CT", InstanceNumber=number)) for number in range(4)]
    check_alike(plan, *files[:3], files[3] + disordered)


def test_explains_what_it_does_to_a_file_of_its_transfer_syntax() -> None:
    data, video = walked(encode(item(Modality="CT", PatientID="1"))), "1.2.840.10008.1.2.4.102"
    eng = Explainer(preset_plan("default", (), False))
    after = decode(b"".join(p for p in eng.run(data, video).pieces if isinstance(p, bytes)))
    (stamp,) = [decision.after for decision in eng.explain(data, video) if decision.tag == 0x00120062]
    assert after.PatientIdentityRemoved == stamp == "NO"


def test_a_patient_that_is_not_in_the_lookup_table_is_refused_when_explained_too() -> None:
    lookup = parse_lookup("PatientID,SubjectID\nID-1,S-1\n", "")
    eng = Explainer(Plan(replace(assignment({}), lookup=lookup), KEY))
    data = walked(encode(item(PatientID="ID-2")))
    for decide in (eng.run, eng.explain):
        with pytest.raises(FileRefused, match="identity-missing"):
            list(decide(data))


def outcome(run: Callable[..., Rewritten], *source: Any) -> Any:
    """Bytes of a new Data Set and what is told of it, or why there is none."""
    try:
        new = run(*source)
    except FileRefused as refused:
        return str(refused)
    return joined(new.pieces, b""), said(new)


def said(rewritten: Rewritten) -> tuple[str, str, frozenset[str]]:
    """What is told of a new Data Set besides its bytes."""
    return rewritten.sop_class, rewritten.sop_instance, rewritten.notes


@dataclass(frozen=True)
class InMemory:
    """A Data Set as the engine gets it, without a file."""

    buf: bytes
    encoding: Encoding
    transfer_syntax: str
    begin: int = 0

    def walk(self) -> DataSetBytes:
        return self.walk_rest(0, 0)

    def walk_rest(self, pos: int, last: int) -> DataSetBytes:
        spans: list[Span] = []
        assert walk(self.buf, pos, self.encoding, spans, after=last) == len(self.buf)
        return DataSetBytes(self.buf, spans, self.encoding, {}, pos, len(self.buf))


@pytest.mark.parametrize("folder", ["98892001", "98892003", "77654033"])
def test_a_real_series_comes_out_the_same_whether_files_teach_or_not(folder: str) -> None:
    plan = Plan(resolve(preset="default"), KEY)
    shared, files = Engine(plan), [path for path in READABLE if folder in path.parts]
    assert len(files) > 3
    for path in files:
        with open(path, "rb", buffering=0) as handle:
            file = dicomfile.DicomFile(handle, path.stat().st_size)
            reused = shared.run_unwalked(file)
            alone = Engine(plan).run(file.data, file.transfer_syntax)
        source = path.read_bytes()
        assert joined(reused.pieces, source) == joined(alone.pieces, source)
        assert said(reused) == said(alone)


def test_a_character_set_that_differs_from_file_to_file_is_never_reused() -> None:
    rules = {"PatientName": "regexp(Иван,X)"}
    shared = engine(rules)
    for character_set in ("ISO_IR 100", "ISO_IR 101", "ISO_IR 144"):
        source = item(SpecificCharacterSet=character_set, Modality="CT")
        raw = encode(source) + element_bytes(0x00100010, "PN", "Иван".encode("iso-8859-5"), EXPLICIT_LITTLE)
        reused = shared.run_unwalked(InMemory(raw, EXPLICIT_LITTLE, SYNTAXES["explicit"]))
        assert joined(reused.pieces, b"") == rewrite_bytes(raw, rules)


def test_an_element_that_hides_another_is_refused_also_where_its_neighbours_are_reused() -> None:
    shared = engine({"InstanceNumber": "keep", "Modality": "keep"})
    for number in range(3):
        raw = encode(item(Modality="CT", InstanceNumber=number))
        shared.run_unwalked(InMemory(raw, EXPLICIT_LITTLE, SYNTAXES["explicit"]))
    hidden = element_bytes(0x00100010, "PN", b"Doe^Jane", EXPLICIT_LITTLE)
    raw = encode(item(Modality="CT")) + element_bytes(0x00200013, "IS", b"1 " + hidden, EXPLICIT_LITTLE)
    with pytest.raises(FileRefused, match="holds other elements"):
        shared.run_unwalked(InMemory(raw, EXPLICIT_LITTLE, SYNTAXES["explicit"]))


@dataclass(frozen=True)
class Copy(Action):
    """Takes the value of another element, but only where its own is above 4."""

    other: int

    def decide(self, element: Element) -> Outcome:
        return UNCHANGED if int(element.text) < 5 else Assigned(element.level.text(self.other) or "")


@pytest.mark.parametrize("other", ["AcquisitionNumber", "SliceLocation", "StudyID", "PatientComments", "BitsAllocated"])
def test_a_decision_that_looks_elsewhere_only_in_some_files_sees_what_is_there(other: str) -> None:
    tag, own = tag_for_keyword(other), tag_for_keyword("InstanceNumber")
    assert tag is not None
    assert own is not None
    plan = Plan(replace(assignment({}), rows={own: Row(own, Copy(tag), "test")}), KEY)
    shared = Engine(plan)
    for at, number in enumerate("123456"):
        slice_ = item(StudyID="7", AcquisitionNumber=at, InstanceNumber=number, SliceLocation=str(10 * at))
        raw = encode(slice_)
        reused = shared.run_unwalked(InMemory(raw, EXPLICIT_LITTLE, SYNTAXES["explicit"]))
        alone = Engine(plan).run(walked(raw, EXPLICIT_LITTLE), SYNTAXES["explicit"])
        assert joined(reused.pieces, b"") == joined(alone.pieces, b"")


def test_a_private_block_that_only_some_files_fill_keeps_its_creator() -> None:
    rules = {'(0029,xx01,"ACME")': "keep"}
    shared = engine(rules, remove_unknown=True)
    creator = element_bytes(0x00290010, "LO", b"ACME", EXPLICIT_LITTLE)
    filled = creator + element_bytes(0x00291001, "LO", b"of use", EXPLICIT_LITTLE)
    for number, block in enumerate((creator, creator, filled, creator)):
        raw = encode(item(Modality="CT", InstanceNumber=number)) + block
        reused = shared.run_unwalked(InMemory(raw, EXPLICIT_LITTLE, SYNTAXES["explicit"]))
        assert joined(reused.pieces, b"") == rewrite_bytes(raw, rules, remove_unknown=True)


# --- character sets -------------------------------------------------------------------------------


CHARACTER_SETS = [path for path in READABLE if path.parent.name == "charset_files"]


def texts_of(data_set: Dataset, path: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], str]]:
    found = []
    for element in data_set:
        here = (*path, int(element.tag))
        if element.VR == "SQ":
            for n, inner in enumerate(element.value):
                found += texts_of(inner, (*here, n))
        elif element.VR in ("LO", "LT", "PN", "SH", "ST", "UC", "UT"):
            values = element.value if element.VM > 1 else [element.value]
            found.append((here, "\\".join("" if value is None else str(value) for value in values)))
    return found


@pytest.mark.parametrize("path", CHARACTER_SETS, ids=lambda path: path.name)
def test_widening_keeps_all_text_of_a_real_file(path: Path) -> None:
    before, after, encoding = run(path, {"InstitutionName": "set(Больница 病院 Ä)", "StationName": "regexp(x,x)"})
    source, target = decode(before, encoding), decode(after, encoding)
    assert target.InstitutionName == "Больница 病院 Ä"
    kept = [text for text in texts_of(source) if text[0] != (0x00080080,)]
    assert kept, "there is text to keep"
    assert [text for text in texts_of(target) if text[0] != (0x00080080,)] == kept
    if source.SpecificCharacterSet in ("ISO_IR 192", "GB18030"):  # these have every character
        assert target.SpecificCharacterSet == source.SpecificCharacterSet
    else:
        assert {level.get("SpecificCharacterSet", "ISO_IR 192") for level in levels(target)} == {"ISO_IR 192"}


@EVERY_ENCODING
def test_widening_reaches_items_with_a_character_set_of_their_own(encoding: Encoding) -> None:
    source = item(
        SpecificCharacterSet="ISO_IR 144",
        StudyDescription="Колено",
        RequestAttributesSequence=[
            item(SpecificCharacterSet="ISO_IR 126", RequestedProcedureDescription="γόνατο"),
            item(RequestedProcedureDescription="колено", CodeValue="1"),
        ],
    )
    raw = encode(source, encoding)
    assert "Колено".encode("iso-8859-5") in raw
    found = rewrite_bytes(raw, {"PatientName": "set(Müller^Ж)"}, encoding)
    for text in ("Колено", "γόνατο", "колено", "Müller^Ж"):
        assert text.encode() in found
    target = decode(found, encoding)
    assert target.SpecificCharacterSet == "ISO_IR 192"
    assert [inner.get("SpecificCharacterSet") for inner in target.RequestAttributesSequence] == [
        "ISO_IR 192",
        None,
    ]
    assert rewrite_bytes(raw, {"PatientName": "set(Ж)"}, encoding).count("Ж".encode("iso-8859-5")) == 1, "not widened"


def test_widening_adds_the_character_set_where_there_is_none_and_is_counted() -> None:
    rewritten = engine({"PatientName": "set(Ä)"}).run(walked(encode(item(Modality="CT", PatientName="A"))))
    after = decode(b"".join(p for p in rewritten.pieces if isinstance(p, bytes)))
    assert after == item(SpecificCharacterSet="ISO_IR 192", Modality="CT", PatientName="Ä")
    assert "widened-to-utf8" in rewritten.notes


def test_widening_leaves_long_values_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomfile, "HEAD", 700)
    monkeypatch.setattr(dicomfile, "BULK", 900)
    source = datasets.image(
        SpecificCharacterSet="ISO_IR 100",
        PatientName="Müller",
        EncapsulatedDocument=b"pdf" * 400,
        ImageComments="Ä",
    )
    source.PixelData = bytes(1000)
    source.add(DataElement(0x7FE10010, "LO", "MÄKER"))
    path = tmp_path / "image"
    path.write_bytes(datasets.file_bytes(source))
    assert len(read_file(path).data.bulk) == 2
    before, after, encoding = run(path, {"InstitutionName": "set(Ж)", "SOPInstanceUID": "keep"})
    expected = decode(before, encoding)
    expected.InstitutionName = "Ж"
    expected.SpecificCharacterSet = "ISO_IR 192"
    assert texts_of(decode(after, encoding)) == texts_of(expected)
    assert decode(after, encoding).PixelData == source.PixelData
    assert decode(after, encoding).EncapsulatedDocument == b"pdf" * 400


# --- values ---------------------------------------------------------------------------------------


@EVERY_ENCODING
@pytest.mark.parametrize("vr", sorted(VALUES))
def test_set_packs_into_every_vr(vr: str, encoding: Encoding) -> None:
    tag = VALUES[vr][0][0]
    text, content = SET[vr]
    source = item(SpecificCharacterSet="ISO_IR 100", ReferencedStudySequence=[item()])
    (absent,) = [rewrite_bytes(encode(source, encoding), {f"{tag:08X}": f"set({text})"}, encoding)]
    raw = packed(content, encoding)
    raw += (b"\0" if vr in ("UI", "OB") else b" ") * (len(raw) % 2)
    assert element_bytes(tag, vr, raw, encoding) in absent, "inserted at top level"
    assert [len(level) for level in levels(decode(absent, encoding))][1:] == [0], "but not in items"
    source.ReferencedStudySequence[0].add(DataElement(tag, vr, None))
    inside = rewrite_bytes(encode(source, encoding), {f"{tag:08X}": f"set({text})"}, encoding)
    assert inside.count(element_bytes(tag, vr, raw, encoding)) == 2


@pytest.mark.parametrize(
    ("vr", "text"),
    [
        ("US", "65536"),
        ("US", "-1"),
        ("US", "x"),
        ("SS", "40000"),
        ("UL", "1.5"),
        ("FD", "one"),
        ("IS", "2147483648"),
        ("DA", "2004"),
        ("TM", "25"),
        ("CS", "lower"),
        ("CS", "A" * 17),
        ("LO", "x" * 65),
        ("SH", "x" * 17),
        ("UI", "1.x"),
        ("UI", "1." * 40 + "1"),
        ("AT", "(50xx,0010)"),
        ("AT", "nothing"),
        ("OB", "hex:0g"),
        ("AE", "\xc4"),
        ("DS", "1e"),
        ("PN", "a=b=c=d"),
        ("AS", "45"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_not_told(vr: str, text: str) -> None:
    tag = VALUES[vr][0][0]
    with pytest.raises(FileRefused) as refused:
        rewrite(item(PatientName="Doe"), {f"{tag:08X}": f"set({text})"})
    assert refused.value.reason is Reason.VALUE_NOT_WRITABLE
    assert str(refused.value) == f"value-not-writable: ({tag >> 16:04x},{tag & 0xFFFF:04x}) {vr}"


def test_odd_lengths_are_read_and_even_ones_written() -> None:
    raw = element_bytes(0x00080050, "SH", b"ACC", EXPLICIT_LITTLE) + element_bytes(
        0x00100020, "LO", b"1", EXPLICIT_LITTLE
    )
    assert rewrite_bytes(raw, {}) == raw
    kept, changed = (
        rewrite_bytes(raw, {"AccessionNumber": "set(@value@1)"}),
        decode(rewrite_bytes(raw, {"PatientID": "hash"})),
    )
    assert kept.startswith(element_bytes(0x00080050, "SH", b"ACC1", EXPLICIT_LITTLE))
    assert len(changed.PatientID) == 16


@EVERY_ENCODING
def test_what_is_put_in_before_an_element_does_not_bring_the_element_back(encoding: Encoding) -> None:
    source = item(PatientName="A", BodyPartExamined="SECRET", Modality="CT", PatientComments="SECRET")
    rules = {
        "PatientID": "set(1)",
        "PatientBirthDate": "clear",
        "BodyPartExamined": "remove",
        "PatientComments": "set(x)",
    }
    raw = rewrite_bytes(
        encode(source, encoding), {**rules, "EthnicGroup": "set(y)", "RequestingService": "set(z)"}, encoding
    )
    assert b"SECRET" not in raw
    assert decode(raw, encoding) == item(
        Modality="CT",
        PatientName="A",
        PatientID="1",
        PatientBirthDate="",
        EthnicGroup="y",
        PatientComments="x",
        RequestingService="z",
    )


@EVERY_ENCODING
def test_group_lengths_padding_and_signatures_go_at_every_depth(encoding: Encoding) -> None:
    length = element_bytes(0x00080000, "UL", bytes(4), encoding)
    inner = length + encode(item(Modality="CT"), encoding)
    signature = element_bytes(0xFFFAFFFA, "SQ", item_bytes(b"", encoding), encoding)
    padding = element_bytes(0xFFFCFFFC, "OB", bytes(10), encoding)
    sequence = element_bytes(0x00081140, "SQ", item_bytes(inner + signature + padding, encoding), encoding)
    raw = rewrite_bytes(length + sequence + signature + padding, {}, encoding)
    assert decode(raw, encoding) == item(ReferencedImageSequence=[item(Modality="CT")])


@pytest.mark.parametrize("undefined", [True, False])
@EVERY_ENCODING
def test_sequences_keep_their_kind_of_length(encoding: Encoding, undefined: bool) -> None:
    source = nested(0x00081115, 0x00081199, leaf=item(ReferencedSOPInstanceUID="1.2.3", Modality="CT"))
    for level in levels(source):
        level.is_undefined_length_sequence_item = undefined
        for element in level:
            element.is_undefined_length = undefined and element.VR == "SQ"
    raw = rewrite_bytes(encode(source, encoding), {"Modality": "set(MODALITY)"}, encoding)
    assert raw.count(b"\xff\xff\xff\xff") == (4 if undefined else 0)
    assert decode(raw, encoding).ReferencedSeriesSequence[0].ReferencedSOPSequence[0].Modality == "MODALITY"
    gone = rewrite_bytes(
        encode(source, encoding), {"Modality": "remove", "ReferencedSOPInstanceUID": "remove"}, encoding
    )
    assert tags_of(decode(gone, encoding)) == [(0x00081115, 0), (0x00081199, 1)]


def test_a_hidden_sequence_in_a_big_endian_file_stays_what_it_is() -> None:
    inner = encode(item(PatientName="Doe^Jane", Rows=513), IMPLICIT_LITTLE)
    raw = element_bytes(0x00091001, "UN", item_bytes(inner, IMPLICIT_LITTLE), EXPLICIT_BIG)
    after = rewrite_bytes(raw, {"PatientName": "set(A^B)", "Rows": "set(2)"}, EXPLICIT_BIG)
    new = encode(item(PatientName="A^B", Rows=2), IMPLICIT_LITTLE)
    assert after.startswith(element_bytes(0x00091001, "UN", item_bytes(new, IMPLICIT_LITTLE), EXPLICIT_BIG))


def test_rules_reach_into_an_explicit_sequence_of_an_implicit_file_and_needless_delimiters_go() -> None:
    content = item_bytes(encode(item(PatientName="Doe^Jane", Modality="MR")), EXPLICIT_LITTLE)
    content += struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    creator = element_bytes(0x00090010, "LO", b"A MAKER ", IMPLICIT_LITTLE)
    raw = creator + element_bytes(0x00091001, "SQ", content, IMPLICIT_LITTLE)
    assert rewrite_bytes(raw, {}, IMPLICIT_LITTLE) == raw
    content = item_bytes(encode(item(PatientName="X", Modality="MR")), EXPLICIT_LITTLE)
    expected = creator + element_bytes(0x00091001, "SQ", content, IMPLICIT_LITTLE)
    assert rewrite_bytes(raw, {"PatientName": "set(X)"}, IMPLICIT_LITTLE) == expected + element_bytes(
        0x00100010, "PN", b"X ", IMPLICIT_LITTLE
    )


def test_numbers_of_an_unknown_element_in_a_big_endian_file_are_little_endian() -> None:
    raw = element_bytes(0x00280010, "UN", struct.pack("<H", 513), EXPLICIT_BIG)  # PS3.5 section 6.2.2 note 2
    after = rewrite_bytes(raw, {"ImageComments": "set(@value(Rows)@)"}, EXPLICIT_BIG)
    assert decode(after, EXPLICIT_BIG).ImageComments == "513"


def test_the_new_instance_uid_is_told_for_the_file_meta() -> None:
    source = walked(encode(item(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID="1.2.3")))
    keyed = engine({"SOPInstanceUID": "uid"}).run(source)
    assert (keyed.sop_class, keyed.sop_instance) == (
        "1.2.840.10008.5.1.4.1.1.2",
        Pseudonyms(KEY).uid("1.2.3"),
    )
    assert engine({"SOPInstanceUID": "keep"}).run(source).sop_instance == "1.2.3"
    assert engine({"SOPInstanceUID": "remove"}).run(source).sop_instance == ""
    assert engine({"SOPInstanceUID": "set(1.9)"}).run(source).sop_instance == "1.9"
    assert engine({}).run(walked(encode(item(Modality="CT")))).sop_instance == ""


def test_no_file_leaves_a_trace_in_what_the_next_one_gets() -> None:
    rules = {"PatientID": "set(@fake_mrn@)", "PatientName": "set(@value(PatientID)@)"}
    shared = engine(rules)
    sources = [
        walked(encode(item(PatientName=f"N{n}", PatientID=f"ID{n}", **extra)))
        for n, extra in enumerate(({}, {"SpecificCharacterSet": "ISO_IR 144"}, {"StudyDescription": "x"}, {}))
    ]
    together = [shared.run(source).pieces for source in sources]
    assert together == [engine(rules).run(source).pieces for source in sources]
    assert together == [shared.run(source).pieces for source in reversed(sources)][::-1]


def test_inspection_tells_what_no_rule_speaks_of() -> None:
    eng = engine({"Modality": "keep"}, remove_unknown=True)
    source = item(Modality="CT", StationName="X")
    source.add(DataElement(0x00090010, "LO", CREATOR))
    source.add(DataElement(0x00091001, "LO", "secret"))
    decisions: list[Decision] = list(eng.explain(walked(encode(source))))
    assert [(d.tag, d.unknown, d.creator, d.before, d.after) for d in decisions] == [
        (0x00080060, False, "", "CT", "CT"),
        (0x00081010, True, "", "X", None),
        (0x00090010, True, "", CREATOR, None),
        (0x00091001, True, CREATOR, "secret", None),
    ]


def test_pieces_of_a_deflated_real_file_fit_together() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, after, encoding = run(real_file("image_dfl.dcm"), {"PatientName": "set(Doe)"})
    assert len(decode(before, encoding)) == len(decode(after, encoding)) == len(walked(after).spans)
