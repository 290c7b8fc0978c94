"""Free text and character sets: right ones, wrong ones, and names in another one than the text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import pytest

from dicom_anon.elements import EXPLICIT_LITTLE, element_bytes, item_bytes
from dicom_anon.errors import FileRefused, Reason
from tests import datasets
from tests.datasets import walked

SPECIFIC_CHARACTER_SET, SERIES_DESCRIPTION, COMMENTS = 0x00080005, 0x0008103E, 0x00204000
NAME, OPERATORS, LABEL = 0x00100010, 0x00081070, 0x30060002
REQUESTS, REQUESTED = 0x00400275, 0x00321060
TEXTS = ("SeriesDescription", "ImageComments", "StructureSetLabel", "RequestedProcedureDescription")

Values: TypeAlias = "Mapping[int, tuple[str, str | bytes]]"
"""VRs and values by tag."""


def texts_of(
    elements: Values,
    charset: str | None,
    nested: bytes = b"",
    rules: tuple[str, ...] = TEXTS,
) -> dict[int, bytes]:
    """Bytes that `clean` leaves of texts written as somebody's own software would, right or wrong."""
    if charset is not None:
        elements = {SPECIFIC_CHARACTER_SET: ("CS", charset), **elements}
    raw = raw_data_set(elements, nested)
    out = datasets.rewrite_bytes(raw, dict.fromkeys(rules, "clean"))
    found = {}
    for tag, _, _, start, end, items in walked(out).spans:
        found[tag] = out[start:end].rstrip(b" ")
        for inner in items[0].spans if items else ():
            found[inner[0]] = out[inner[3] : inner[4]].rstrip(b" ")
    return found


def raw_data_set(elements: Values, nested: bytes = b"") -> bytes:
    """Data Set of values as they are, with an item of Request Attributes Sequence around `nested`."""
    parts = {}
    for tag, (vr, value) in elements.items():
        raw = value.encode("ascii") if isinstance(value, str) else value
        parts[tag] = element_bytes(tag, vr, raw + b" " * (len(raw) & 1), EXPLICIT_LITTLE)
    if nested:
        parts[REQUESTS] = element_bytes(REQUESTS, "SQ", item_bytes(nested, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    return b"".join(parts[tag] for tag in sorted(parts))


PROVED = [
    *((None, codec, "王^小东", "胸部 王小东") for codec in ("gbk", "gb18030", "big5", "shift_jis", "utf-8", "euc_jp")),
    *(("ISO_IR 192", codec, "王^小东", "胸部 王小东") for codec in ("gbk", "shift_jis", "big5")),
    *(("\\ISO 2022 IR 58", codec, "王^小东", "胸部 王小东") for codec in ("gb2312", "utf-8")),
    *(("\\ISO 2022 IR 87", codec, "山田^太郎", "頭部 山田太郎") for codec in ("shift_jis", "euc_jp")),
    *(
        (charset, "euc_kr", "홍^길동", "머리 홍길동")
        for charset in (None, "", "ISO_IR 6", "ISO_IR 192", "\\ISO 2022 IR 149")
    ),
    *((charset, "koi8_r", "Иванов^Пётр", "колено Иванов") for charset in (None, "ISO_IR 192")),
    *((charset, "cp1251", "Иванов^Пётр", "колено Иванов") for charset in (None, "ISO_IR 192")),
    *((charset, "utf-8", "Müller^Jörg", "Knie Müller") for charset in (None, "ISO_IR 100")),
    ("ISO_IR 192", "latin-1", "Müller^Jörg", "Knie Müller"),
    ("ISO_IR 100", "utf-8", "王^小东", "胸部 王小东"),
    ("ISO_IR 144", "utf-8", "Иванов^Пётр", "колено Иванов"),
    ("ISO_IR 166", "utf-8", "สมชาย^ใจดี", "เข่า สมชาย"),
    ("ISO_IR 100", "shift_jis", "山田^太郎", "頭部 山田太郎"),
    ("ISO_IR 100", "iso2022_jp", "山田^太郎", "頭部 山田太郎"),
]
"""Character set that the file names, codec that its texts are written in, a name, and a text that holds it."""


@pytest.mark.parametrize(("charset", "codec", "name", "text"), PROVED)
def test_clean_leaves_nothing_of_a_text_that_is_not_in_its_character_set(
    charset: str | None, codec: str, name: str, text: str
) -> None:
    raw = text.encode(codec, "replace")
    elements: Values = {
        NAME: ("PN", name.encode(codec, "replace")),
        SERIES_DESCRIPTION: ("LO", raw),
        LABEL: ("SH", raw[:16]),
        COMMENTS: ("LT", "T2 AX FLAIR 3MM"),
    }
    nested = raw_data_set({REQUESTED: ("LO", raw)})
    found = texts_of(elements, charset, nested)
    assert (found[SERIES_DESCRIPTION], found[REQUESTED], found[LABEL]) == (b"ANONYMIZED", b"", b"ANONYMIZED")
    assert found[COMMENTS] == b"T2 AX FLAIR 3MM"


@pytest.mark.parametrize(
    ("charset", "codec", "name", "texts"),
    [
        ("ISO_IR 100", "gbk", "王^小东", ("王小东", "小东王", "王 小东", "胸部王小东", "王^小东 CT")),
        ("ISO_IR 100", "gbk", "欧阳^震华", ("欧阳震华", "震华欧阳", "震华", "欧阳")),
        ("ISO_IR 100", "cp1251", "Иванов^Пётр", ("Иванов", "ИВАНОВ", "ИвановПётр")),
        ("ISO_IR 144", "gb2312", "王^小东", ("王小东", "小东王")),
        ("ISO_IR 13", "gb2312", "汪^小平", ("汪小平",)),
        ("GB18030", "euc_kr", "홍^길동", ("홍길동", "길동홍")),
        ("ISO_IR 100", "iso8859_5", "Иванов^Пётр", ("Иванов", "ИвановПётр")),
    ],
)
def test_clean_finds_a_name_in_the_same_wrong_character_set(
    charset: str, codec: str, name: str, texts: tuple[str, ...]
) -> None:
    for text in texts:
        elements = {NAME: ("PN", name.encode(codec)), SERIES_DESCRIPTION: ("LO", text.encode(codec))}
        left = texts_of(elements, charset)[SERIES_DESCRIPTION]
        for part in name.split("^"):
            assert part.encode(codec) not in left, text


@pytest.mark.parametrize(
    ("charset", "name", "comment", "left"),
    [
        ("ISO_IR 192", "Müller^Jörg".encode("latin-1"), "MUELLER knee", "knee"),
        ("ISO_IR 100", "Ölmüller^Jörg".encode(), "OELMUELLER knee", "knee"),
        (None, "Müller^Jörg".encode(), "Muller knee", "knee"),
        (None, "Müller^Jörg".encode("latin-1"), "Mueller knee", "knee"),
        ("ISO_IR 192", b"O\x92Brien^Kate", "OBRIEN knee", "knee"),
    ],
)
def test_clean_reads_names_in_the_wrong_character_set_as_what_they_are(
    charset: str | None, name: bytes, comment: str, left: str
) -> None:
    found = texts_of({NAME: ("PN", name), COMMENTS: ("LT", comment)}, charset)
    assert found[COMMENTS] == left.encode()


def test_clean_knows_an_identifier_stored_as_a_number() -> None:
    elements: Values = {
        0x00100020: ("UL", (3_000_456_789).to_bytes(4, "little")),
        SERIES_DESCRIPTION: ("LO", "Schädel 3000456789".encode("latin-1")),
    }
    assert texts_of(elements, "ISO_IR 100")[SERIES_DESCRIPTION] == "Schädel".encode("latin-1")


def test_clean_trusts_no_letters_where_the_name_is_in_the_wrong_character_set() -> None:
    elements: Values = {
        NAME: ("PN", "王^小东".encode("gbk")),
        SERIES_DESCRIPTION: ("LO", "王小东".encode()),
        COMMENTS: ("LT", "T2 AX FLAIR"),
    }
    found = texts_of(elements, "ISO_IR 192")
    assert (found[SERIES_DESCRIPTION], found[COMMENTS]) == (b"ANONYMIZED", b"T2 AX FLAIR")


@pytest.mark.parametrize("vr", ["UN", "LO", "UT"])
def test_clean_knows_a_name_in_whatever_vr_it_is_stored(vr: str) -> None:
    elements: Values = {
        NAME: (vr, "Zwickelbart^Ottokar"),
        OPERATORS: (vr, "Kowalski^Jan"),
        COMMENTS: ("LT", "Ottokar Zwickelbart knee KOWALSKI"),
    }
    found = texts_of(elements, "ISO_IR 100", rules=("ImageComments", "OperatorsName"))
    assert (found[COMMENTS], found[OPERATORS]) == (b"knee", b"ANONYMIZED")


def test_clean_holds_the_text_of_an_item_against_its_own_character_set() -> None:
    for own, codec, left in (
        ("GB18030", "gbk", "胸部"),
        ("ISO_IR 192", "gbk", ""),
        ("", "gbk", ""),
        (None, "utf-8", "胸部"),
    ):
        inner: dict[int, tuple[str, str | bytes]] = {} if own is None else {SPECIFIC_CHARACTER_SET: ("CS", own)}
        inner[REQUESTED] = ("LO", "胸部 王小东".encode(codec))
        elements: Values = {NAME: ("PN", "王^小东".encode())}
        found = texts_of(elements, "ISO_IR 192", raw_data_set(inner))
        assert found[REQUESTED] == left.encode(codec), own


def test_clean_of_text_in_its_own_character_set_leaves_what_does_not_identify() -> None:
    for charset, codec, name, text, left in (
        ("ISO_IR 100", "latin-1", "Müller^Jörg", "Schädel für Müller", "Schädel für"),
        ("ISO_IR 144", "iso8859_5", "Иванов^Пётр", "колено Иванов", "колено"),
        ("ISO_IR 166", "iso8859_11", "สมชาย^ใจดี", "เข่า สมชาย", "เข่า"),
        ("GB18030", "gb18030", "王^小东", "胸部 王小东", "胸部"),
        ("ISO_IR 192", "utf-8", "山田^太郎", "頭部 山田太郎", "頭部"),
    ):
        elements: Values = {
            NAME: ("PN", name.encode(codec)),
            SERIES_DESCRIPTION: ("LO", text.encode(codec)),
        }
        assert texts_of(elements, charset)[SERIES_DESCRIPTION] == left.encode(codec), charset


@pytest.mark.parametrize(
    ("charset", "escape", "codec", "name", "text", "left"),
    [
        ("\\ISO 2022 IR 58", b"\x1b$)A", "gb2312", "王^小东", "胸部王小东 CT", "胸部 CT"),
        ("\\ISO 2022 IR 149", b"\x1b$)C", "euc_kr", "홍^길동", "머리 홍길동 CT", "머리 CT"),
        ("\\ISO 2022 IR 87", b"", "iso2022_jp", "山田^太郎", "頭部山田太郎 CT", "頭部 CT"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", b"", "iso2022_jp", "山田^太郎", "頭部山田太郎 CT", "頭部 CT"),
        ("\\ISO 2022 IR 144", b"\x1b-L", "iso8859_5", "Иванов^Пётр", "колено Иванов CT", "колено CT"),
    ],
)
def test_clean_reads_text_behind_escape_sequences(
    charset: str, escape: bytes, codec: str, name: str, text: str, left: str
) -> None:
    elements = {
        NAME: ("PN", b"^".join(escape + part.encode(codec) for part in name.split("^"))),
        SERIES_DESCRIPTION: ("LO", escape + text.encode(codec)),
        COMMENTS: ("LT", escape + name.replace("^", "").encode(codec) + b" CT"),
    }
    found = texts_of(elements, charset)
    assert found[SERIES_DESCRIPTION] == left.encode(), "widened"
    assert found[COMMENTS] == b"CT"


def test_clean_of_a_code_or_locator_leaves_no_letters_beyond_ascii() -> None:
    elements: Values = {
        0x00180015: ("CS", "胸部".encode("gbk")),
        0x00180022: ("CS", "FAT\\胸部".encode()),
        0x0040E010: ("UR", "urn:胸部".encode()),
        NAME: ("PN", "Doe^Jane"),
    }
    found = texts_of(elements, "ISO_IR 192", rules=("ScanOptions", "BodyPartExamined", "RetrieveURI"))
    assert (found[0x00180015], found[0x00180022], found[0x0040E010]) == (b"ANONYMIZED", b"", b"urn:anonymized")


def test_clean_of_what_has_no_vr_empties_text_in_the_wrong_character_set_and_leaves_numbers() -> None:
    words = "胸部 王小东".encode("gbk")
    for value, left in (
        (words, b""),
        (words * 4, b""),
        (b"\xcd\xcc\xcc\x3d", b"\xcd\xcc\xcc\x3d"),
        (b"T2 AX", b"T2 AX"),
    ):
        elements: Values = {
            NAME: ("PN", "王^小东".encode("gbk")),
            0x00190010: ("LO", "MAKER "),
            0x00191001: ("UN", value),
        }
        assert texts_of(elements, "ISO_IR 192", rules=('(0019,xx01,"MAKER")',))[0x00191001] == left


def test_regexp_refuses_a_text_that_is_not_in_its_character_set() -> None:
    for charset, left in (("GB18030", "X 胸部".encode("gbk")), ("ISO_IR 192", None), ("ISO_IR 6", None)):
        elements: Values = {
            SPECIFIC_CHARACTER_SET: ("CS", charset),
            SERIES_DESCRIPTION: ("LO", "王小东 胸部".encode("gbk")),
        }
        rules = {"SeriesDescription": "regexp(王小东,X)"}
        if left is None:
            with pytest.raises(FileRefused) as refused:
                datasets.rewrite_bytes(raw_data_set(elements), rules)
            assert refused.value.reason is Reason.VALUE_NOT_WRITABLE
            assert refused.value.detail == "(0008,103e) is not in its character set"
        else:
            out = datasets.rewrite_bytes(raw_data_set(elements), rules)
            assert left in out
