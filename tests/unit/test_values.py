"""Values: bytes to text and back as pydicom does it, and no text that does not fit its VR."""

from __future__ import annotations

import struct
import tracemalloc
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import DataElement, Dataset
from pydicom.charset import python_encoding

from dicom_anon import values
from dicom_anon.errors import FileRefused
from dicom_anon.values import NeedsWiderCharacterSet, ValueNotWritable, decode, encode, encodings_of, is_legible, split
from tests import datasets
from tests.datasets import ENCODINGS, VALUES, read_file, real_files

CHARACTER_SETS = [path for path in real_files() if path.parent.name == "charset_files" and path.suffix == ".dcm"]
TERMS = sorted(term for term in python_encoding if term.startswith("ISO_IR") or term in ("GB18030", "GBK"))
NUMBERS = {vr: values.NUMBER_FORMATS[vr] for vr in ("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD")}


def texts(element: DataElement) -> str:
    """Value of pydicom's element in the form of `decode`."""
    many = [] if element.is_empty else element.value if element.VM > 1 else [element.value]
    return "\\".join(f"({int(v) >> 16:04x},{int(v) & 0xFFFF:04x})" if element.VR == "AT" else str(v) for v in many)


@given(datasets.data_sets(), st.sampled_from(sorted(ENCODINGS)))
def test_reads_any_value_as_pydicom_does(data_set: Dataset, name: str) -> None:
    encoding = ENCODINGS[name]
    raw = datasets.encode(data_set, encoding)
    read, encodings = datasets.decode(raw, encoding), encodings_of("ISO_IR 100")
    for tag, vr, _, start, end, items in datasets.walked(raw, encoding).spans:
        element = read[tag]
        if items is not None or element.VR not in VALUES or element.VR in ("OB", "OW"):
            continue
        found = decode(raw[start:end], vr.decode(), encodings, encoding.order)
        if element.VR in ("FL", "FD"):
            assert [float(v) for v in found.split("\\") if v] == pytest.approx(
                [float(v) for v in texts(element).split("\\") if v], nan_ok=True
            )
        else:
            assert found.strip(" ") == texts(element).strip(" "), hex(tag)


@pytest.mark.parametrize("path", [p for p in real_files() if p.stat().st_size < 300_000], ids=lambda p: p.name)
def test_reads_text_of_real_files_as_pydicom_does(path: Any) -> None:
    try:
        file = read_file(path)
    except FileRefused:
        return
    data = file.data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = datasets.decode(file.whole, data.encoding)
        terms = read.get("SpecificCharacterSet") or ""
        encodings = encodings_of(terms if isinstance(terms, str) else "\\".join(terms))
        for tag, vr, _, start, end, _ in data.spans:
            if vr.decode() in values.CHARSET_VRS and vr.decode() == read[tag].VR:
                expected = texts(read[tag]).rstrip(" \0")
                found = decode(data.buf[start:end], vr.decode(), encodings)
                assert [part.rstrip(" =") for part in found.split("\\")] == [
                    p.rstrip(" =") for p in expected.split("\\")
                ]


@pytest.mark.parametrize("term", TERMS)
@given(data=st.data())
def test_text_of_a_character_set_comes_back(term: str, data: st.DataObject) -> None:
    encodings = encodings_of(term)
    text = data.draw(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), max_size=20)
    )
    text = text.replace("\\", "").replace("^", "").replace("=", "")
    try:
        raw = encode(text, "LO", encodings)
    except NeedsWiderCharacterSet:
        assert not text.isascii()
    else:
        assert len(raw) % 2 == 0
        assert decode(raw, "LO", encodings) == text
        like_utf8 = term == "ISO_IR 100" and text.encode("latin-1").decode("utf-8", "ignore").encode() == raw.rstrip()
        assert is_legible(raw, "LO", encodings) or like_utf8 or "\N{REPLACEMENT CHARACTER}" in text
    assert decode(encode(text, "LO", ("utf8",)), "LO", ("utf8",)) == text


@pytest.mark.parametrize(
    ("term", "fits", "too_wide"),
    [
        ("", "A", "Ä"),
        ("ISO_IR 6", "A", "Ä"),
        ("ISO_IR 100", "Ä", "Ж"),
        ("ISO_IR 144", "Ж", "Ä"),
        ("ISO_IR 126", "γ", "Ж"),
        ("ISO_IR 203", "Šœ€", "Ж"),
        ("ISO 2022 IR 203", "Šœ€", "Ж"),
        ("ISO_IR 13", "A", "膝"),
        ("ISO_IR 13", "A", "ﾔ"),
        ("\\ISO 2022 IR 87", "A", "山"),
        ("\\ISO 2022 IR 149", "A", "김"),
        ("ISO 2022 IR 149", "A", "김"),
        ("GB18030", "山Ж", None),
        ("ISO_IR 192", "山ЖÄ", None),
    ],
)
def test_a_text_is_written_only_in_a_character_set_that_has_it(term: str, fits: str, too_wide: str | None) -> None:
    encodings = encodings_of(term)
    assert decode(encode(fits, "PN", encodings), "PN", encodings) == fits
    if too_wide is not None:
        for vr in ("PN", "LT", "UT"):
            with pytest.raises(NeedsWiderCharacterSet):
                encode(too_wide, vr, encodings)


@given(st.sampled_from(sorted(NUMBERS)), st.data(), st.sampled_from("<>"))
def test_numbers_come_back(vr: str, data: st.DataObject, order: str) -> None:
    size = struct.calcsize(f"<{NUMBERS[vr]}")
    bound = 1 << 8 * size
    if NUMBERS[vr] in "fd":
        numbers: list[Any] = data.draw(
            st.lists(st.floats(width=32 if vr == "FL" else 64, allow_nan=False), min_size=1, max_size=3)
        )
    else:
        low, high = (0, bound - 1) if vr[0] == "U" else (-bound // 2, bound // 2 - 1)
        numbers = data.draw(st.lists(st.integers(low, high), min_size=1, max_size=3))
        for outside in (low - 1, high + 1):
            with pytest.raises(ValueNotWritable):
                encode(str(outside), vr, (), order)
    raw = encode("\\".join(map(repr, numbers)), vr, (), order)
    assert raw == struct.pack(f"{order}{len(numbers)}{NUMBERS[vr]}", *numbers)
    assert decode(raw, vr, (), order) == "\\".join(map(repr, numbers))
    assert decode(raw + b"\0", vr, (), order) == decode(raw, vr, (), order), "a length that does not fit is cut"


@pytest.mark.parametrize(
    ("text", "vr", "raw"),
    [
        ("", "US", b""),
        ("", "AT", b""),
        ("", "OB", b""),
        ("", "LO", b""),
        ("a", "LO", b"a "),
        ("1.2", "UI", b"1.2\0"),
        ("1.2\\3.4", "UI", b"1.2\\3.4\0"),
        ("a\\b", "LT", b"a\\b "),
        ("two\nlines", "UT", b"two\nlines "),
        ("(0010,0010)", "AT", b"\x10\0\x10\0"),
        ("PatientName\\0020,000d", "AT", b"\x10\0\x10\0\x20\0\x0d\0"),
        ("1\\258", "OW", b"\1\0\2\1"),
        ("1", "OL", b"\1\0\0\0"),
        ("1", "OV", b"\1" + bytes(7)),
        ("0.5", "OF", struct.pack("<f", 0.5)),
        ("0.5", "OD", struct.pack("<d", 0.5)),
        ("hex:0aff01", "OB", b"\x0a\xff\1\0"),
        ("hex:", "UN", b""),
        ("hex:0aff01", "OW", b"\x0a\xff\1\0"),
        ("text", "UN", b"text"),
        ("odd", "UN", b"odd "),
        ("odd", "OB", b"odd\0"),
    ],
)
def test_text_is_packed(text: str, vr: str, raw: bytes) -> None:
    assert encode(text, vr, ("utf8",)) == raw


@pytest.mark.parametrize(
    ("text", "vr"),
    [
        ("x" * 65, "LO"),
        ("x" * 17, "SH"),
        ("x" * 17, "AE"),
        ("x" * 1025, "ST"),
        ("x" * 10241, "LT"),
        ("x" * 65, "PN"),
        ("lower", "CS"),
        ("A-B", "CS"),
        ("20040230x", "DA"),
        ("2004-01-19", "DA"),
        ("2400", "TM"),
        ("12", "AS"),
        ("1,5", "DS"),
        ("1" * 17, "DS"),
        ("1.5", "IS"),
        ("2147483648", "IS"),
        ("-2147483649", "IS"),
        ("1.02", "UI"),
        ("1..2", "UI"),
        ("a", "UI"),
        ("Ä", "CS"),
        ("Ä", "UR"),
        ("Ä", "UI"),
        ("a\0b", "LO"),
        ("\x1b$B", "LO"),
        ("1.5", "US"),
        ("x", "FD"),
        ("", "SQ"),
        ("x", "SQ"),
        ("x", "US"),
        ("1\\", "US"),
        ("(50xx,0010)", "AT"),
        ("Nobody", "AT"),
        ("hex:1", "OB"),
        ("hex:gg", "UN"),
        ("good\\" + "x" * 65, "LO"),
    ],
)
def test_text_that_does_not_fit_is_refused_and_not_told(text: str, vr: str) -> None:
    if (text, vr) == ("", "SQ"):
        assert encode(text, vr, ("utf8",)) == b""
        return
    with pytest.raises(ValueNotWritable) as refused:
        encode(text, vr, ("utf8",))
    assert vr in str(refused.value)
    assert len(text) < 4 or text not in str(refused.value)


@pytest.mark.parametrize("path", CHARACTER_SETS, ids=lambda path: path.name)
def test_names_of_real_files_are_legible_in_their_own_character_set_only(path: Any) -> None:
    data = read_file(path).data
    root = {span[0]: data.buf[span[3] : span[4]] for span in data.spans}
    name, terms = root.get(0x00100010, b""), root[0x00080005].decode()
    assert is_legible(name, "PN", encodings_of(terms))
    if not name.isascii() or b"\x1b" in name:
        assert not is_legible(name, "PN", encodings_of(""))
        assert is_legible(name, "PN", encodings_of("ISO_IR 192")) == ("192" in terms)


@pytest.mark.parametrize(
    ("raw", "vr", "term"),
    [
        (b"Sch\xe4del", "LO", ""),
        (b"Sch\xe4del", "LO", "ISO_IR 6"),
        (b"Sch\xe4del", "LO", "ISO_IR 192"),
        (b"Sch\xe4del", "LO", "\\ISO 2022 IR 100"),
        (b"Sch\x84del", "LO", "ISO_IR 100"),
        ("Schädel".encode(), "LO", "ISO_IR 100"),
        (b"SCH\xc4DEL", "CS", "ISO_IR 100"),
        (b"\x1b$B;3\x1b(B", "CS", "\\ISO 2022 IR 87"),
        (b"\x1b$B;3\x1b(B", "LO", "ISO_IR 100"),
        (b"\x1b$B;3\x1b(B\xcd\xf5", "LO", "\\ISO 2022 IR 87"),
        (b"\x1b$B\xcd\xf5\x1b(B", "LO", "\\ISO 2022 IR 87"),
        (b"\x1b$)A\xcd\xf5", "LO", "ISO_IR 100"),
        (b"\xe4\xff", "LO", "ISO_IR 166"),
        (b"\x1b$)A\xcd\xf5 \x1b$B;3", "LO", "\\ISO 2022 IR 58"),
        (b"\x81\x20", "LO", "GB18030"),
    ],
)
def test_what_is_not_legible(raw: bytes, vr: str, term: str) -> None:
    assert not is_legible(raw, vr, encodings_of(term))


@pytest.mark.parametrize(
    ("raw", "term"),
    [
        (b"Sch\xe4del \xb1 5\xb0", "ISO_IR 100"),
        (b"\x1b-ASch\xe4del", "\\ISO 2022 IR 100"),
        (b"M\xfc\x1b$B;3\x1b(B\\M\xfc", "ISO 2022 IR 100\\ISO 2022 IR 87"),
        (b"\x1b$B;3\x1b(B\\\x1b$B;3\x1b(B", "\\ISO 2022 IR 87"),
        (b"\x1b$)A\xcd\xf5\r\n\x1b$)A\xcd\xf5", "\\ISO 2022 IR 58"),
        ("PÓŁKULA".encode("iso8859_2"), "ISO_IR 101"),
        ("ﾔﾏﾀﾞ".encode("shift_jis"), "ISO_IR 13"),
    ],
)
def test_what_is_legible(raw: bytes, term: str) -> None:
    assert is_legible(raw, "LO", encodings_of(term))


def test_only_the_first_value_of_some_vrs_is_all_there_is() -> None:
    assert split("a\\b", "LO") == ["a", "b"]
    assert split("a\\b", "LT") == ["a\\b"]
    assert split("a\\b", "UR") == ["a\\b"]
    assert split("a\\b", "UN") == ["a\\b"]


def test_the_escape_sequence_of_chinese_is_no_part_of_a_text() -> None:
    raw = b"\x1b$)A\xcd\xf5^\x1b$)A\xd0\xa1\xb6\xab CT"
    for terms in ("\\ISO 2022 IR 58", "ISO 2022 IR 6\\ISO 2022 IR 58"):
        assert decode(raw, "PN", encodings_of(terms)) == "王^小东 CT"


def test_padding_is_no_part_of_a_value() -> None:
    assert decode(b"1.2\0", "UI", ()) == "1.2"
    assert decode(b"A \0 ", "LO", ("iso8859",)) == "A"
    assert decode(b" lead ", "LT", ("iso8859",)) == " lead"
    assert decode(b"\x10\0\x10\0\x20", "AT", ()) == "(0010,0010)"


def test_an_unknown_character_set_is_refused_without_a_word_of_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        no_sets_of_letters = ("utf-7", "utf-16", "cp037", "rot13", "hz", "unicode_escape", "punycode", "hex", "idna")
        for terms in ("NO_SUCH_SET", "ISO_IR 100\\Doe^Jane", "ISO_IR 100 Doe", *no_sets_of_letters):
            with pytest.raises(FileRefused) as refused:
                encodings_of(terms)
            assert refused.value.detail == "(0008,0005)"
        assert encodings_of("ISO-IR 100") == encodings_of("ISO_IR 100")
        for name in ("latin-1", "utf-8", "cp1252", "euc_jp", "big5", "ISO-8859-5"):
            assert encodings_of(name) == (name,)
        assert decode(b"\xff\xfe", "LO", ("utf8",)) == "\N{REPLACEMENT CHARACTER}" * 2


def test_long_texts_are_not_kept_once_they_are_written() -> None:
    tracemalloc.start()
    try:
        for number in range(20):
            values.encode(f"{number} " + "x" * 100_000, "UT", values.DEFAULT_ENCODINGS)
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()
