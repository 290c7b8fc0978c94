"""What must not change an output, and what must change it in one known way: nobody has to know the right output.

Each test changes its inputs and compares what becomes of both; the docstring says the relation.
"""

from __future__ import annotations

import copy
import datetime
import functools
import io
import json
import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_anon import standard
from dicom_anon.assignment import resolve
from dicom_anon.config import parse_config
from dicom_anon.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, element_bytes
from dicom_anon.engine import Engine, Plan
from dicom_anon.freetext import Identifiers, Scrubber
from dicom_anon.planning import make_plan
from dicom_anon.tags import tag_for_keyword
from dicom_anon.worker import deidentify
from tests.acceptance.command import Path_, elements, read
from tests.acceptance.conftest import Delivery
from tests.datasets import KEY, SYNTAXES, encode, file_bytes, image, item, levels, nested, walked
from tests.fuzz.bases import deflate

RULES: dict[str, dict[str, object]] = {
    "default": {},
    "basic": {"preset": "basic"},
    "tcia": {"preset": "tcia"},
    "mercure": {"preset": "mercure"},
    "cleaned": {
        "preset": "basic",
        "profile_options": ["clean_graphics", "clean_structured_content", "clean_descriptors", "retain_modified_dates"],
    },
    "keyed": {
        "preset": "none",
        "PatientID": "set(@fake_mrn@)",
        "PatientName": "set(@fake_name@)",
        "AccessionNumber": "set(@fake_acc@)",
        "OperatorsName": "hash",
        "InstitutionName": "hash",
        "StudyID": "hash",
        "StationName": "hash",
        "StudyDate": "shiftdate",
        "SeriesDate": "truncdate",
        "StudyDescription": "clean",
        "PatientComments": "clean",
        "(0029,xx01,\"ACME\")": "keep",
    },
}  # fmt: skip
OBJECTS = {"encapsulated": "process", "private_sop_class": "process", "wsi_label": "process"}
PSEUDONYMS = {0x00100010, 0x00100020, 0x00080050, 0x00620020}
"""PatientName, PatientID, AccessionNumber and Tracking ID."""

Output: TypeAlias = "Callable[..., bytes]"
Texts: TypeAlias = "dict[Path_, str]"


@functools.cache
def _plan(rules: str, more: str) -> Plan:
    general = {**RULES[rules], "objects": OBJECTS, **json.loads(more)}
    return make_plan(resolve(parse_config(json.dumps({"general": general}), "rules")), KEY)


_engine_of = functools.cache(Engine)


@pytest.fixture
def output(tmp_path: Path) -> Output:
    """Gives what becomes of the bytes of a file under some rules, in a new engine or that of all files before it."""

    def run(content: bytes, rules: str, more: str = "{}", *, alone: bool = False) -> bytes:
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(content)
        plan = _plan(rules, more)
        with open(source, "rb", buffering=0) as handle:
            deidentify(handle, len(content), target, Engine(plan) if alone else _engine_of(plan))
        return target.read_bytes()

    return run


def _saved(data_set: Dataset) -> bytes:
    stream = io.BytesIO()
    data_set.save_as(stream, enforce_file_format=False)
    return stream.getvalue()


def _texts(content: bytes) -> Texts:
    """Every element at every depth as a text; of a sequence, the number of its items."""
    return {
        path: str(len(element.value or ())) if element.VR == "SQ" else _text(element.value)
        for path, element in elements(read(content))
    }


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.rstrip(b" \0").decode("latin-1")
    if isinstance(value, Iterable) and not isinstance(value, str) and type(value).__name__ == "MultiValue":
        return "\\".join(map(str, value))
    return "" if value is None else str(value)


def _differing(one: Texts, two: Texts) -> dict[Path_, tuple[str | None, str | None]]:
    return {path: (one.get(path), two.get(path)) for path in one.keys() | two if one.get(path) != two.get(path)}


def _vr(tag: int | str) -> str:
    return dictionary_VR(tag) if isinstance(tag, int) and dictionary_has_tag(tag) else ""


# --- encodings --------------------------------------------------------------------------------------------


def _portable(content: bytes) -> Dataset:
    """A Data Set without what implicit VR cannot say (private VRs, US or SS) and what has a byte order."""
    made = copy.deepcopy(read(content))
    for level in list(levels(made)):
        for tag in list(level.keys()):
            if tag.is_private or tag.group in (0x0028, 0x7FE0) or level[tag].VR in ("OB", "OW", "OF", "OD", "UN"):
                del level[tag]
    return made


def _delimit(data_set: Dataset, how: bool) -> None:
    for level in levels(data_set):
        level.is_undefined_length_sequence_item = how
        for element in level:
            element.is_undefined_length = how and element.VR == "SQ"


def _as_unknown(data_set: Dataset) -> bytes:
    """The Data Set in explicit VR, with all but its character set and its kind stored as UN."""
    explicit, implicit = encode(data_set), encode(data_set, IMPLICIT_LITTLE)
    made = b""
    for own, plain in zip(walked(explicit).spans, walked(implicit, IMPLICIT_LITTLE).spans, strict=True):
        known = own[0] in (0x00080005, 0x00080016, 0x00080018)
        unknown = element_bytes(own[0], "UN", implicit[plain[3] : plain[4]], EXPLICIT_LITTLE)
        made += explicit[own[2] : own[4]] if known else unknown
    return made


def _encoded(data_set: Dataset) -> Iterator[tuple[str, bytes]]:
    for delimited in (False, True):
        _delimit(data_set, delimited)
        for name, syntax in SYNTAXES.items():
            yield f"{name} {delimited}", file_bytes(data_set, syntax)
    _delimit(data_set, False)
    instance = item(SOPClassUID=data_set.SOPClassUID, SOPInstanceUID=data_set.SOPInstanceUID)
    raw, length = encode(data_set), len(encode(instance))
    yield "deflated", file_bytes(instance, DeflatedExplicitVRLittleEndian)[:-length] + deflate(raw)
    yield "unknown", file_bytes(instance)[:-length] + _as_unknown(data_set)
    yield "no preamble", file_bytes(data_set)[132:]


@pytest.mark.parametrize("rules", ["default", "keyed"])
def test_how_a_file_is_encoded_changes_no_value(sample_out: Delivery, output: Output, rules: str) -> None:
    """Byte order, VRs said or not or UN, lengths of sequences, deflation: the same values come out."""
    seen = 0
    for name in sample_out.files:
        data_set = _portable((sample_out.source / name).read_bytes())
        found = {how: _texts(output(content, rules)) for how, content in _encoded(data_set)}
        first = found["explicit False"]
        assert {(name, how): _differing(first, texts) for how, texts in found.items() if texts != first} == {}
        seen += len(found)
    assert seen > 400


# --- character sets and spellings ---------------------------------------------------------------------------

Codec: TypeAlias = "str | tuple[bytes, str]"

SETS: tuple[tuple[str, str, dict[str, Codec]], ...] = (
    ("Müßig^Jörg", "Jörg Müßig", {"ISO_IR 100": "latin-1", "ISO_IR 109": "iso8859-3", "GB18030": "gb18030"}),
    ("Dvořák^Žofie", "Žofie Dvořák", {"ISO_IR 101": "iso8859-2", "\\ISO 2022 IR 101": (b"\x1b-B", "iso8859-2")}),
    ("Иваненков^Пётр", "Пётр Иваненков", {"ISO_IR 144": "iso8859-5", "\\ISO 2022 IR 144": (b"\x1b-L", "iso8859-5")}),
    ("Λάμπρου^Νίκος", "Νίκος Λάμπρου", {"ISO_IR 126": "iso8859-7", "\\ISO 2022 IR 126": (b"\x1b-F", "iso8859-7")}),
    ("שרון^דבורה", "דבורה שרון", {"ISO_IR 138": "iso8859-8", "\\ISO 2022 IR 138": (b"\x1b-H", "iso8859-8")}),
    ("Wang^XiaoDong=王^小东", "王小东", {"GB18030": "gb18030", "\\ISO 2022 IR 58": (b"\x1b$)A", "gb2312")}),
    ("Hong^Gildong=洪^吉洞=홍^길동", "홍길동", {"\\ISO 2022 IR 149": (b"\x1b$)C", "euc_kr")}),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田太郎", {"\\ISO 2022 IR 87": (b"", "iso2022_jp")}),
)
"""A name, how a text holds it, and character sets beside UTF-8: codecs, of ISO 2022 with their escape sequence."""


def _bytes_of(text: str, codec: Codec) -> bytes:
    if isinstance(codec, str):
        return text.encode(codec)
    escape, codec = codec
    words = re.split("([\x20-\x7e]+)", text)  # each delimiter of PS3.5 section 6.1.2.5.3 ends an escape
    return b"".join(word.encode() if word.isascii() else escape + word.encode(codec) for word in words)


def _in_set(texts: dict[str, str], term: str, codec: Codec) -> bytes:
    """File of a small image with texts in a character set."""
    values = {tag_for_keyword(keyword): _bytes_of(text, codec) for keyword, text in texts.items()}
    return _with_values({**values, 0x00080005: term.encode()})


def _with_values(values: dict[int | None, bytes]) -> bytes:
    """File of a small image, with bytes for the values of some elements, whatever they are."""
    found = image()
    raw = encode(found)
    made = {span[0]: raw[span[2] : span[4]] for span in walked(raw).spans}
    for tag, value in values.items():
        assert tag is not None
        made[tag] = element_bytes(tag, _vr(tag), value + b" " * (len(value) % 2), EXPLICIT_LITTLE)
    start = file_bytes(found)[: -len(raw)]
    return start + b"".join(made[tag] for tag in sorted(made))


@pytest.mark.parametrize("rules", ["default", "tcia", "keyed"])
def test_names_are_the_same_in_every_character_set(output: Output, rules: str) -> None:
    """A patient known by name gets the same pseudonyms and dates, and texts lose the same words."""
    for name, spoken, sets in SETS:
        texts = {"PatientName": name, "OperatorsName": name, "PatientID": "", "PatientBirthDate": "19611230"}
        texts |= {"StudyDescription": f"MRT {spoken} axial", "PatientComments": f"{spoken} 4/5"}
        terms: dict[str, Codec] = {**sets, "ISO_IR 192": "utf-8"}
        found = {term: _texts(output(_in_set(texts, term, codec), rules)) for term, codec in terms.items()}
        decomposed = {keyword: unicodedata.normalize("NFD", text) for keyword, text in texts.items()}
        found["decomposed"] = _texts(output(_in_set(decomposed, "ISO_IR 192", "utf-8"), rules))
        first = found["ISO_IR 192"]
        for term, other in found.items():
            assert (term, _differing(first, {**other, (0x00080005,): "ISO_IR 192"})) == (term, {})
        assert first.get((0x00081030,), "MRT axial") == "MRT axial"


def test_composed_and_decomposed_letters_are_one_text() -> None:
    """A name is found in a text, whichever of both is written in whichever form of Unicode."""
    for name, spoken, _ in SETS:
        for form in ("NFC", "NFD", "NFKD"):
            for other in ("NFC", "NFD", "NFKD"):
                scrubber = Scrubber(Identifiers.of(names=[unicodedata.normalize(form, name)]))
                assert scrubber.clean(unicodedata.normalize(other, f"MRT {spoken} axial")) == "MRT axial"


SPELT: dict[str, Callable[[bytes], bytes]] = {
    "blanks": lambda value: value + b"    ",
    "NUL": lambda value: value + b"\0",
    "both": lambda value: value + b" \0 \0",
}
SPELT_TEXT: dict[str, Callable[[bytes], bytes]] = SPELT | {"indented": lambda value: b"  " + value}
SPELT_NAME: dict[str, Callable[[bytes], bytes]] = SPELT_TEXT | {
    "capitals": bytes.upper,
    "carets": lambda value: value + b"^^^",
    "groups": lambda value: value + b"^^=^=",
    "gaps": lambda value: value.replace(b"^", b" ^  "),
}
VALUES = {
    "PatientName": b"Doe^Jane",
    "PatientID": b"ID-7123",
    "AccessionNumber": b"ACC77123",
    "OperatorsName": b"Roe^Al",
    "StudyID": b"S77123",
    "InstitutionName": b"Brandywine Klinik",
    "StudyInstanceUID": b"1.2.3.4",
    "StudyDate": b"20040119",
    "SeriesDate": b"20040121",
    "PatientBirthDate": b"19611230",
    "StudyDescription": b"Head of Jane Doe ID-7123 at Brandywine",
}


@pytest.mark.parametrize("rules", ["default", "tcia", "keyed"])
@pytest.mark.parametrize("identifier", [b"ID-7123", b""])
def test_padding_and_spelling_change_nothing(output: Output, rules: str, identifier: bytes) -> None:
    """Blanks, NULs, empty components and capitals of a name make no other patient, accession, study or day."""
    values = {tag_for_keyword(keyword): value for keyword, value in {**VALUES, "PatientID": identifier}.items()}
    first = _texts(output(_with_values(values), rules))
    for tag, value in values.items():
        assert tag is not None
        ways = SPELT_NAME if _vr(tag) == "PN" else SPELT_TEXT if _vr(tag) in ("LO", "SH") else SPELT
        for way, spell in ways.items() if value else ():
            found = _texts(output(_with_values({**values, tag: spell(value)}), rules))
            changed = {
                path: texts
                for path, texts in _differing(first, found).items()
                if path != (tag,) or len({_text(text).strip(" \0") for text in texts}) > 1
            }
            assert (hex(tag), way, changed) == (hex(tag), way, {})


# --- company ------------------------------------------------------------------------------------------------


def _siblings(content: bytes) -> Iterator[bytes]:
    """The file, and others that differ from each other in one value, on which those of others may depend."""
    yield content
    data_set = copy.deepcopy(read(content))
    list(levels(data_set))  # decoded in the character set that it has
    data_set.SeriesDescription = "Roe, Poe and Loe: chest"
    for name in ("Roe^Al", "Poe^Ed", "Loe^Jo"):
        data_set.PatientName = name
        yield _saved(data_set)
    data_set.SpecificCharacterSet = "ISO_IR 192"
    yield _saved(data_set)


def test_a_file_alone_becomes_what_it_becomes_among_others(sample_out: Delivery, output: Output) -> None:
    """The files before it, how like it they are, their order and their number leave no trace in an output."""
    names = [*sample_out.files]
    random.Random(7).shuffle(names)
    for name in names:
        for content in _siblings((sample_out.source / name).read_bytes()):
            assert output(content, "cleaned") == output(content, "cleaned", alone=True), name


# --- every element of Table E.1-1 ---------------------------------------------------------------------------

TWO: dict[str, tuple[object, object]] = {
    "AE": ("AN_AE", "ZORRO"), "AS": ("045Y", "051Y"), "CS": ("CODE", "ZORX"), "DA": ("20200110", "20170924"),
    "DS": ("1.5", "2.5"), "DT": ("20200110101112", "20170924050607"), "FD": (1.5, 2.5), "FL": (1.5, 2.5),
    "IS": ("7", "9"), "OB": (b"bytes!", b"zorro!"), "OW": (b"bytes!", b"zorro!"), "SL": (7, 9), "SS": (7, 9),
    "TM": ("101112", "050607"), "UI": ("1.2.826.7", "1.2.826.9"), "UL": (7, 9), "UN": (b"bytes!", b"zorro!"),
    "UR": ("urn:quixotic", "urn:zanyplum"), "US": (7, 9),
}  # fmt: skip
"""For each VR, two values of one length; those of other VRs are words of which each element has its own."""
LETTERS = (str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst"), str.maketrans("0123456789abcdef", "tsrqpnmlkjhgfdcb"))
FIXED = ("SOPClassUID", "SOPInstanceUID", "EncryptedAttributesSequence", "DataSetTrailingPadding")
OWNER = {0x00100020, 0x00100021, 0x00100010, 0x00100030, 0x0020000D}
"""PatientID, its issuer, PatientName, birth date and Study Instance UID: who is whom depends on them."""
TELLING = {"keep", "safe", "uid", "hash", "clean", "shiftdate", "truncdate", "regexp", "set"}
"""Commands after which a value may still tell of the original."""


def _listed() -> list[tuple[int, str]]:
    """Elements of the table, with their VR; of a repeating group some."""
    extra = {0x50000022: "LO", 0x50020030: "SH", 0x60000022: "LO", 0x60021500: "LO", 0x60004000: "LT"}
    found = {key: _vr(key) for key in standard.profile_by_key() if isinstance(key, int) and dictionary_has_tag(key)}
    fixed = {tag_for_keyword(keyword) for keyword in FIXED}
    return sorted((tag, vr) for tag, vr in (found | extra).items() if tag not in fixed and tag >> 16 not in (2, 4))


def _value(tag: int, vr: str, which: int) -> object:
    if vr == "SQ":
        inner = (0x00104000, 0x00080021, 0x00081070, 0x0040A160, 0x00080104)
        return [_holding(((tag, _vr(tag)) for tag in inner), which)]
    return TWO[vr][which] if vr in TWO else f"{tag:08x}".translate(LETTERS[which])


def _holding(listed: Iterable[tuple[int, str]], which: int = 0) -> Dataset:
    """Data Set with one of both values for each element."""
    made = Dataset()
    for tag, vr in listed:
        made.add_new(tag, vr, _value(tag, vr, which))
    return made


def _image_of(*parts: Dataset) -> bytes:
    made = image(SpecificCharacterSet="ISO_IR 100", StudyTime="101112", StudyDescription="Doe: chest")
    for part in parts:
        made.update(part)
    return file_bytes(made)


@pytest.mark.parametrize("rules", ["default", "basic", "tcia", "mercure", "cleaned"])
def test_what_is_hidden_leaves_no_trace(output: Output, rules: str) -> None:
    """Files that differ only in what is removed, emptied or replaced by a dummy become the same bytes."""
    rows = resolve(parse_config(json.dumps({"general": RULES[rules]}), "rules")).rows
    told = {tag for tag, row in rows.items() if row.action.command in TELLING}
    hidden = [(tag, vr) for tag, vr in _listed() if tag not in told and tag not in OWNER]
    assert len(hidden) > 200
    for around in ((), (0x52009229, 0x00209113), (0x00091005,)):
        one, two = (output(_image_of(nested(*around, leaf=_holding(hidden, which))), rules) for which in (0, 1))
        assert _differing(_texts(one), _texts(two)) == {}
        assert one == two


@pytest.mark.parametrize("rules", ["default", "basic", "tcia", "cleaned"])
def test_depth_changes_no_value(output: Output, rules: str) -> None:
    """In an item, five items deep and in a private sequence an element becomes what it becomes at top level."""
    rows = resolve(parse_config(json.dumps({"general": RULES[rules]}), "rules")).rows
    typed = {tag for tag, row in rows.items() if "_or_" in row.action.command}  # the Type is that of the place
    there = _texts(output(_image_of(), rules))
    all_of_them = _holding((tag, vr) for tag, vr in _listed() if tag not in typed | OWNER and (tag,) not in there)
    private = nested(0x00291001, 0x00209113, leaf=all_of_them)
    private.add_new(0x00290010, "LO", "ACME")
    deep = (0x52009229, 0x00209113, 0x00289110, 0x00209111, 0x00189098)
    kept = json.dumps({'(0029,xx01,"ACME")': "keep"})
    top = {path: text for path, text in _texts(output(_image_of(all_of_them), rules)).items() if path[:1] not in there}
    for held, depth in ((nested(deep[0], leaf=all_of_them), 2), (nested(*deep, leaf=all_of_them), 10), (private, 4)):
        found = _texts(output(_image_of(held), rules, kept))
        assert {path[depth:]: text for path, text in found.items() if len(path) > depth} == top


@pytest.mark.parametrize("rules", ["default", "cleaned"])
def test_one_more_element_changes_no_other(output: Output, rules: str) -> None:
    """An element that says nothing of the others is decided for itself alone, and so are they."""
    first = _texts(output(_image_of(), rules))
    for tag, vr in _listed():
        if tag not in OWNER:
            found = _texts(output(_image_of(_holding([(tag, vr)])), rules))
            others = {path: texts for path, texts in _differing(first, found).items() if path[0] != tag}
            assert (hex(tag), others) == (hex(tag), {})


def test_a_rule_for_what_is_not_there_changes_nothing(sample_out: Delivery, output: Output) -> None:
    """Rules for absent elements, plain, in repeating groups and by creator, leave the bytes as they are."""
    more = {"PatientReligiousPreference": "remove", "(50xx,0030)": "remove", '(0021,xx07,"NOBODY")': "remove"}
    for name in sample_out.files:
        content = (sample_out.source / name).read_bytes()
        assert "PatientReligiousPreference" not in read(content)
        assert output(content, "default", json.dumps(more)) == output(content, "default"), name


# --- whole files --------------------------------------------------------------------------------------------


def _but_pseudonyms(one: Texts, two: Texts) -> dict[Path_, tuple[str | None, str | None]]:
    """What differs between two outputs, but for names, numbers, UIDs and dates that depend on who the patient is."""
    return {
        path: texts
        for path, texts in _differing(one, two).items()
        if path[-1] not in PSEUDONYMS and _vr(path[-1]) not in ("UI", "DA", "DT")
    }


NAME_LETTERS = ("BDFGKLMNPRTVZ", "aeiou", "bdfgklmnprtvz", "123456789")


def _another(word: str, chance: random.Random) -> str:
    """Another word of the same form."""
    upper, vowels, consonants, digits = NAME_LETTERS
    return "".join(
        chance.choice(digits if c.isdecimal() else upper if c.isupper() else vowels if c in vowels else consonants)
        for c in word
    )


def _as_somebody_else(content: bytes) -> bytes:
    """The file with other names of people and other numbers, wherever they stand in it."""
    chance = random.Random(len(content))
    others: dict[str, str] = {}
    for path, element in elements(read(content)):
        words = re.findall("[A-Za-z]{4,}" if element.VR == "PN" else r"[A-Za-z]*\d{5,}", _text(element.value))
        if element.VR != "PN" and path[-1] not in (0x00100020, 0x00101000, 0x00080050, 0x00200010):
            continue
        for word in words:
            other = others.setdefault(word, _another(word, chance))
            others |= {word.upper(): other.upper(), word.lower(): other.lower(), word.title(): other.title()}
    pattern = re.compile("|".join(sorted(others, key=len, reverse=True)).encode() or b"(?!)")
    return content[:132] + pattern.sub(lambda match: others[match[0].decode()].encode(), content[132:])


@pytest.mark.parametrize("rules", ["default", "basic", "cleaned"])
def test_another_patient_leaves_the_same_file(sample_out: Delivery, output: Output, rules: str) -> None:
    """With other names and numbers of equal length throughout, nothing but pseudonyms differs."""
    seen = 0
    for name in sample_out.files:
        content = (sample_out.source / name).read_bytes()
        other = _as_somebody_else(content)
        seen += other != content
        one, two = (_texts(output(found, rules)) for found in (content, other))
        assert (name, _but_pseudonyms(one, two)) == (name, {})
    assert seen > 40


@pytest.mark.parametrize("rules", ["default", "basic", "tcia", "cleaned"])
def test_twice_changes_only_pseudonyms(sample_out: Delivery, output: Output, rules: str) -> None:
    """What was cleaned, emptied, replaced or removed stays as it is when an output is de-identified again."""
    for name in sample_out.files:
        first = output((sample_out.source / name).read_bytes(), rules)
        assert (name, _but_pseudonyms(_texts(first), _texts(output(first, rules)))) == (name, {})


def _moved(text: str, days: int) -> str:
    day = datetime.datetime.strptime(text[:8], "%Y%m%d") + datetime.timedelta(days)
    return day.strftime("%Y%m%d") + text[8:]


@pytest.mark.parametrize("rules", ["tcia", "cleaned"])
def test_dates_that_move_move_on(sample_out: Delivery, output: Output, rules: str) -> None:
    """Where all dates of a patient are so many days earlier, so are the shifted ones, and nothing else differs."""
    moved = 0
    for name in sample_out.files:
        data_set = copy.deepcopy(read(sample_out.source / name))
        data_set.PatientID = data_set.PatientID or "ID-1"  # who is known by birth date would be somebody else
        earlier = copy.deepcopy(data_set)
        for level in levels(earlier):
            for element in level:
                if element.VR in ("DA", "DT") and re.fullmatch(r"\d{8}.*", _text(element.value)):
                    element.value = _moved(_text(element.value), -777)
        one, two = (_texts(output(_saved(found), rules)) for found in (data_set, earlier))
        for path, (old, new) in _differing(one, two).items():
            assert _vr(path[-1]) in ("DA", "DT"), (name, path)
            assert new == _moved(_text(old), -777), (name, path)
            moved += 1
    assert moved > 100
