"""Words in elements that have no place for them: told from what real files hold, and refused at every depth."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from dicom_anon.elements import EXPLICIT_LITTLE, Span, element_bytes, item_bytes
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.misfit import says_more
from tests.datasets import encode, engine, item, read_file, real_files, rewrite_bytes, walked

FITS = [
    ("KVP", "DS", b"120 "),
    ("KVP", "DS", b"1e-3\\NaN\\-inf\\+INFINITY "),
    ("KVP", "DS", b"1,5"),
    ("KVP", "LO", b"120 kV"[:3]),
    ("PatientAge", "AS", b"045Y"),
    ("StudyDate", "DA", b"2020.01.31"),
    ("StudyTime", "TM", b"10:11:12.5"),
    ("AcquisitionDateTime", "DT", b"20200131101112+0100"),
    ("SOPClassUID", "UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
    ("SOPClassUID", "UI", b"1.2\0\\1.3 "),
    ("SOPInstanceUID", "UI", b"05fa52f0e599f17b8186ff18fcdf2b55"),
    ("Modality", "CS", b"CT\0\0"),
    ("ImageType", "CS", b"A\0\\B\0"),
    ("Rows", "US", b"AB"),
    ("RedPaletteColorLookupTableData", "OW", b"Doe^Jane"),
    ("Manufacturer", "OB", b"any bytes"),
    ("Manufacturer", "UN", b"any text"),
]
MISFITS = [
    ("KVP", "DS", b"Doe "),
    ("KVP", "DS", b"1\\nand"),
    ("KVP", "LO", b"Doe "),
    ("KVP", "OB", b"Doe "),
    ("KVP", "UN", b"Doe "),
    ("InstanceNumber", "IS", b"1 Doe "),
    ("InstanceNumber", "IS", "Шт".encode("iso-8859-5")),
    ("PatientAge", "AS", b"045 Yrs "),
    ("SOPClassUID", "UI", b"1.2.840.10008.5.1.4.1.1.2 Doe"),
    ("SOPClassUID", "UI", b"1.2\x00771903"),
    ("SOPClassUID", "LO", b"Doe "),
    ("Modality", "CS", b"CT\0Doe "),
    ("Rows", "LO", b"Jane Doe"),
    ("PixelSpacing", "PN", b"Doe^Jane"),
    ("ReferencedImageSequence", "OB", b"\0\0"),
    ("ReferencedImageSequence", "LO", b"Doe "),
]


def told(keyword: str, vr: str, value: bytes) -> bool:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return says_more(tag, vr.encode(), b"JANE" + value + b"DOE", 4, 4 + len(value))


@pytest.mark.parametrize(("keyword", "vr", "value"), FITS)
def test_what_fits_is_let_be(keyword: str, vr: str, value: bytes) -> None:
    assert not told(keyword, vr, value)


@pytest.mark.parametrize(("keyword", "vr", "value"), MISFITS)
def test_words_where_numbers_stand_are_told(keyword: str, vr: str, value: bytes) -> None:
    assert told(keyword, vr, value)


def test_private_elements_are_judged_by_the_vr_they_have() -> None:
    assert says_more(0x00291001, b"DS", b"Doe ", 0, 4)
    assert not says_more(0x00291001, b"OB", b"Doe ", 0, 4)


@pytest.mark.parametrize(("vr", "value", "more"), [(b"LO", b"a new attribute ", False), (b"DS", b"Doe ", True)])
def test_elements_that_are_newer_than_the_dictionary_are_judged_by_the_vr_they_have(
    vr: bytes, value: bytes, more: bool
) -> None:
    assert says_more(0x00080999, vr, value, 0, len(value)) == more


def test_no_real_file_holds_such_a_value() -> None:
    found = set()

    def look(spans: list[Span], buf: bytes, name: str) -> None:
        for tag, vr, _, start, end, items in spans:
            if items is None and says_more(tag, vr, buf, start, end):
                found.add(name)
            for inner in items or ():
                look(inner.spans, buf, name)

    for path in real_files():
        try:
            data = read_file(path).data
        except FileRefused:
            continue
        look([span for span in data.spans if span[2] not in data.bulk], data.buf, path.name)
    assert not found


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("rule", ["keep", "safe", "regexp(x,y)"])
def test_a_misfit_that_stays_is_refused_at_every_depth_and_one_that_goes_is_not(depth: int, rule: str) -> None:
    raw = element_bytes(0x00180060, "DS" if rule != "regexp(x,y)" else "LO", b"Doe^Jane", EXPLICIT_LITTLE)
    for _ in range(depth):
        raw = element_bytes(0x00081140, "SQ", item_bytes(raw, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    rules = {"KVP": rule, "ReferencedImageSequence": "keep"}
    with pytest.raises(FileRefused) as refused:
        rewrite_bytes(raw, rules)
    assert refused.value.reason is Reason.MISPLACED
    assert refused.value.detail.startswith("(0018,0060)")
    assert "Doe" not in str(refused.value)
    assert b"Doe" not in rewrite_bytes(raw, rules | {"KVP": "remove"})


def test_a_misfit_late_in_a_series_is_refused() -> None:
    shared = engine({"InstanceNumber": "keep", "Modality": "keep"})
    for number in (b"1 ", b"2 ", b"3 "):
        shared.run(walked(encode(item(Modality="CT")) + element_bytes(0x00200013, "IS", number, EXPLICIT_LITTLE)))
    with pytest.raises(FileRefused, match="0020,0013"):
        shared.run(walked(encode(item(Modality="CT")) + element_bytes(0x00200013, "IS", b"Doe ", EXPLICIT_LITTLE)))


@pytest.mark.parametrize("term", ["Doe^Jane", "ISO_IR 192\\MRN-4711", "ISO_IR 100 Doe"])
@pytest.mark.parametrize("depth", [0, 1])
def test_a_character_set_that_is_none_is_refused_at_every_depth(term: str, depth: int) -> None:
    raw = element_bytes(0x00080005, "CS", term.encode() + b" " * (len(term) % 2), EXPLICIT_LITTLE)
    if depth:
        raw = element_bytes(0x00081140, "SQ", item_bytes(raw, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    with pytest.raises(FileRefused) as refused:
        rewrite_bytes(raw, {})
    assert str(refused.value.detail) == "(0008,0005)"


def test_slips_in_the_name_of_a_character_set_are_let_be() -> None:
    for term in ("ISO-IR 100", "ISO_2022_IR_100", "latin1"):
        source = Dataset()
        source.SpecificCharacterSet = term
        assert term.encode() in rewrite_bytes(encode(source), {})
