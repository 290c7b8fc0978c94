"""The walker: what pydicom finds is what it finds, and what is no Data Set is refused at once."""

from __future__ import annotations

import struct
import warnings
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.values import convert_SQ

from dicom_anon import elements
from dicom_anon.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    MAX_DEPTH,
    Encoding,
    Incomplete,
    Item,
    Malformed,
    Span,
    TooDeep,
    element_bytes,
    implicit_vr,
    item_bytes,
    walk,
)
from dicom_anon.errors import FileRefused
from tests import datasets
from tests.datasets import ENCODINGS, decode, encode, item, nested, read_file, real_file, real_files

NAMES = st.sampled_from(sorted(ENCODINGS))
EVERY_ENCODING = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)


def walk_all(raw: bytes, encoding: Encoding = EXPLICIT_LITTLE) -> list[Span]:
    spans: list[Span] = []
    assert walk(raw, 0, encoding, spans) == len(raw)
    return spans


def agree(buf: bytes, spans: list[Span], data_set: Dataset, *, explicit: bool, bulk: dict[int, bytes]) -> int:
    """Compare spans with what pydicom read, and return how many elements there were."""
    tags = [int(tag) for tag in data_set.keys()]  # noqa: SIM118 # iterating would convert the raw elements
    assert [span[0] for span in spans] == tags
    seen = len(spans)
    for tag, vr, start, value, end, items in spans:
        raw = data_set.get_item(tag)
        if isinstance(raw, RawDataElement):
            own = bulk.get(start, buf[value:end])
            if raw.length == 0xFFFFFFFF:
                own = own[:-8]  # pydicom drops the delimiter
            assert own == (raw.value or b""), hex(tag)
            if explicit:
                assert vr.decode() == raw.VR, hex(tag)
        if items is None:
            assert data_set[tag].VR != "SQ", hex(tag)
            continue
        whole = data_set[tag]
        # pydicom reads an unknown element of known length as bytes, even where they are items
        sequence = whole.value if whole.VR == "SQ" else convert_SQ(whole.value, True, True)
        assert len(items) == len(sequence), hex(tag)
        for found, expected in zip(items, sequence, strict=True):
            assert found.delimited == expected.is_undefined_length_sequence_item
            seen += agree(buf, found.spans, expected, explicit=found.encoding.explicit, bulk={})
    return seen


@given(datasets.data_sets(), NAMES)
def test_finds_in_any_data_set_what_pydicom_finds(data_set: Dataset, name: str) -> None:
    encoding = ENCODINGS[name]
    raw = encode(data_set, encoding)
    spans = walk_all(raw, encoding)
    assert [span[2] for span in spans] == [0, *(span[4] for span in spans)][: len(spans)], "spans touch"
    agree(raw, spans, decode(raw, encoding), explicit=encoding.explicit, bulk={})


@given(datasets.data_sets(), NAMES)
def test_a_walk_is_enough_to_write_the_same_bytes(data_set: Dataset, name: str) -> None:
    encoding = ENCODINGS[name]
    raw = encode(data_set, encoding)

    def rebuilt(spans: list[Span], around: Encoding) -> bytes:
        return b"".join(one(span, around) for span in spans)

    def one(span: Span, around: Encoding) -> bytes:
        tag, vr, start, value, end, items = span
        if items is None or raw[value - 4 : value] == b"\xff" * 4:
            if items is not None:
                inner = b"".join(raw[i.start : i.value] + rebuilt(i.spans, i.encoding) + tail(i) for i in items)
                return raw[start:value] + inner + raw[end - 8 : end]
            return element_bytes(tag, vr.decode(), raw[value:end], around)
        inner = b"".join(
            raw[i.start : i.value] + rebuilt(i.spans, i.encoding) + tail(i)
            if i.delimited
            else item_bytes(rebuilt(i.spans, i.encoding), i.encoding)
            for i in items
        )
        return element_bytes(tag, vr.decode(), inner, around)

    def tail(found: Item) -> bytes:
        return raw[found.end - 8 : found.end] if found.delimited else b""

    assert rebuilt(walk_all(raw, encoding), encoding) == raw


NO_DICOM = {".txt", ".json", ".gz", ".icc", ".dump"}
REFUSED = {  # cut off, but for the third, which begins in the middle of an element
    "MR_truncated.dcm",
    "emri_small_jpeg_2k_lossless_too_short.dcm",
    "no_meta.dcm",
    "rtplan_truncated.dcm",
}


@pytest.mark.parametrize("path", real_files(), ids=lambda path: path.name)
def test_finds_in_real_files_what_pydicom_finds(path: Path) -> None:
    try:
        data, source, _, notes = read_file(path)
    except FileRefused:
        assert path.suffix in NO_DICOM or path.name in REFUSED or path.name.startswith(("DICOMDIR", "README"))
        return
    assert path.suffix not in NO_DICOM
    assert path.name not in REFUSED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = decode(source, data.encoding) if "normalised" in notes else dcmread(path, force=True)
        bulk = {start: source[r.offset : r.offset + r.length] for start, r in data.bulk.items()}
        assert agree(data.buf, data.spans, read, explicit=data.encoding.explicit, bulk=bulk) > 0


@EVERY_ENCODING
def test_cut_off_anywhere_it_is_incomplete_or_stops_before_the_cut(encoding: Encoding) -> None:
    data_set = item(
        StudyDate="20040119",
        ReferencedImageSequence=[item(ReferencedSOPInstanceUID="1.2.3"), item()],
        PatientName="Doe^Jane",
        RequestAttributesSequence=[nested(0x00400008, leaf=item(CodeValue="A"))],
    )
    data_set["ReferencedImageSequence"].is_undefined_length = True
    data_set.ReferencedImageSequence[0].is_undefined_length_sequence_item = True
    raw = encode(data_set, encoding)
    whole = walk_all(raw, encoding)
    ends = [0, *(span[4] for span in whole)]
    for cut in range(len(raw)):
        complete = max(end for end in ends if end <= cut)
        spans: list[Span] = []
        assert walk(raw[:cut], 0, encoding, spans, partial=True) == complete
        assert spans == whole[: len(spans)]
        assert (spans[-1][4] if spans else 0) == complete
        if cut not in ends:
            with pytest.raises(Incomplete):
                walk(raw[:cut], 0, encoding, [])


@EVERY_ENCODING
@given(raw=st.binary(max_size=200), at=st.integers(0, 400), partial=st.booleans())
def test_bytes_that_are_damaged_end_in_one_of_two_errors(
    encoding: Encoding, raw: bytes, at: int, partial: bool
) -> None:
    good = encode(nested(0x00081115, 0x00081199, leaf=item(ReferencedSOPInstanceUID="1.2")), encoding)
    for damaged in (raw, good[:at] + raw + good[at:], good[:at] + raw + good[at + len(raw) :]):
        spans: list[Span] = []
        try:
            stop = walk(damaged, 0, encoding, spans, partial=partial)
        except (Malformed, Incomplete):
            continue
        assert stop == (spans[-1][4] if spans else 0)
        assert stop <= len(damaged)
        assert partial or stop == len(damaged)
        inside(spans, 0, stop)


def inside(spans: list[Span], start: int, end: int) -> None:
    """Every span and item lies within what holds it, in order and without gaps."""
    for span in spans:
        assert start == span[2] < span[3] <= span[4] <= end
        start, place = span[4], span[3]
        for found in span[5] or ():
            assert place == found.start < found.value <= found.end <= span[4]
            inside(found.spans, found.value, found.end)
            place = found.end


def icon(fragments: bytes) -> bytes:
    """Sequence with encapsulated pixel data in its item."""
    content = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff" + fragments
    return element_bytes(0x00880200, "SQ", item_bytes(content, EXPLICIT_LITTLE), EXPLICIT_LITTLE)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"\x08\x00\x05\x00XX\x02\x00A ", "unknown VR"),
        (b"\x10\x00\x10\x00PN\x00\x00\x08\x00\x05\x00CS\x00\x00", "out of order"),
        (b"\x10\x00\x10\x00PN\x00\x00\x10\x00\x10\x00PN\x00\x00", "out of order"),
        (b"\x08\x00\x40\x11SQ\x00\x00\x08\x00\x00\x00\xfe\xff\x00\xe0\x08\x00\x00\x00", "pass the end"),
        (b"\x08\x00\x40\x11SQ\x00\x00\x08\x00\x00\x00\xfe\xff\x01\xe0\x00\x00\x00\x00", "no item"),
        (b"\x08\x00\x40\x11SQ\x00\x00\x04\x00\x00\x00\xfe\xff\x00\xe0" + bytes(8), "pass the end"),
        (b"\x10\x00\x10\x00UT\x00\x00\xff\xff\xff\xff", "undefined length"),
        (icon(b"\xfe\xff\x01\xe0" + bytes(4)), "not a fragment"),
        (icon(b"\xfe\xff\x00\xe0\xff\xff\xff\xff"), "not a fragment"),
        (icon(b"\xfe\xff\x00\xe0" + bytes(4)), "pass the end of their item"),
        # an item of undefined length that does not end
        (
            b"\x08\x00\x40\x11SQ\x00\x00\x10\x00\x00\x00\xfe\xff\x00\xe0\xff\xff\xff\xff\x10\x00\x10\x00PN\x00\x00",
            "pass the end of their sequence",
        ),
        # a delimiter that reaches beyond the item that holds its sequence
        (
            b"\x08\x00\x40\x11SQ\x00\x00\x1c\x00\x00\x00"
            b"\xfe\xff\x00\xe0\x10\x00\x00\x00"
            b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\xdd\xe0"
            b"\x00\x00\x00\x00" + bytes(8),
            "pass the end",
        ),
    ],
)
def test_what_is_no_data_set_is_malformed(raw: bytes, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        walk(raw, 0, EXPLICIT_LITTLE, [])


def test_messages_hold_tags_and_no_values() -> None:
    raw = encode(item(PatientName="Doe^Jane"))
    with pytest.raises(Incomplete) as cut:
        walk(raw[:-2], 0, EXPLICIT_LITTLE, [])
    with pytest.raises(Malformed) as twice:
        walk(raw + raw, 0, EXPLICIT_LITTLE, [])
    assert str(cut.value) == "offset 0: (0010,0010)"
    assert str(twice.value) == "offset 16: (0010,0010) is out of order"


@EVERY_ENCODING
@pytest.mark.parametrize("undefined", [True, False])
def test_nesting_is_read_up_to_a_bound(encoding: Encoding, undefined: bool) -> None:
    def deep(levels: int) -> bytes:
        data_set = nested(*[0x00081140] * levels, leaf=item(ReferencedSOPInstanceUID="1.2"))
        for level in datasets.levels(data_set):
            level.is_undefined_length_sequence_item = undefined
            for element in level:
                element.is_undefined_length = undefined and element.VR == "SQ"
        return encode(data_set, encoding)

    spans = walk_all(deep(MAX_DEPTH), encoding)
    depth = 0
    while spans[0][5]:
        spans, depth = spans[0][5][0].spans, depth + 1
    assert depth == MAX_DEPTH
    with pytest.raises(TooDeep):
        walk(deep(MAX_DEPTH + 1), 0, encoding, [])


def unknown(content: bytes, length: int | None = None) -> bytes:
    """Element (0040,A730) as VR UN."""
    size = len(content) if length is None else length
    return b"\x40\x00\x30\xa7UN\x00\x00" + struct.pack("<L", size) + content


def test_nesting_in_unknown_elements_is_bounded_too() -> None:
    content = encode(item(TextValue="x"), IMPLICIT_LITTLE)
    for _ in range(MAX_DEPTH + 1):
        content = struct.pack("<HHL", 0x0009, 0x1001, len(content) + 8) + item_bytes(content, IMPLICIT_LITTLE)
    with pytest.raises(TooDeep):
        walk(unknown(item_bytes(content, IMPLICIT_LITTLE)), 0, EXPLICIT_LITTLE, [])


def test_the_items_of_a_sequence_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAX_ITEMS", 3)
    for count in (3, 4):
        raw = element_bytes(0x00081140, "SQ", item_bytes(b"", EXPLICIT_LITTLE) * count, EXPLICIT_LITTLE)
        with pytest.raises(TooDeep, match="more than 3 items") if count > 3 else nullcontext():
            assert len(walk_all(raw)) == 1


def test_broken_unknown_elements_do_not_take_time_that_doubles_with_their_depth() -> None:
    content = b""
    for _ in range(MAX_DEPTH - 5):
        whole = item_bytes(content, IMPLICIT_LITTLE) + b"broken"
        content = struct.pack("<HHL", 0x0009, 0x1001, len(whole)) + whole
    (span,) = walk_all(unknown(item_bytes(content, IMPLICIT_LITTLE)))
    assert span[5] is not None, "the outermost is whole"


@pytest.mark.parametrize("inner", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("outer", [EXPLICIT_LITTLE, EXPLICIT_BIG], ids=["in little", "in big"])
def test_a_sequence_hidden_in_an_unknown_element_is_walked(outer: Encoding, inner: Encoding) -> None:
    if inner.explicit and inner is not outer:
        return  # nothing writes an explicit sequence of the other byte order
    content = item_bytes(encode(item(PatientName="Doe^Jane", PatientID="1"), inner), inner)
    raw = element_bytes(0x00091001, "UN", content, outer)
    ((_, vr, _, _, _, items),) = walk_all(raw, outer)
    assert vr == b"UN"
    assert items is not None
    (found,) = items
    assert found.encoding == inner
    assert [span[0] for span in found.spans] == [0x00100010, 0x00100020]


@pytest.mark.parametrize("outer", [EXPLICIT_LITTLE, EXPLICIT_BIG], ids=["in little", "in big"])
def test_an_unknown_element_of_undefined_length_is_an_implicit_little_endian_sequence(
    outer: Encoding,
) -> None:
    content = item_bytes(encode(item(PatientName="Doe^Jane"), IMPLICIT_LITTLE), IMPLICIT_LITTLE)
    end = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    header = struct.pack(f"{outer.order}HH2sHL", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF)
    ((_, _, _, _, stop, items),) = walk_all(header + content + end, outer)
    assert items is not None
    assert items[0].encoding == IMPLICIT_LITTLE
    assert [span[1] for span in items[0].spans] == [b"PN"]
    assert stop == len(header + content + end)


ITEM_END, SEQUENCE_END = (struct.pack("<HHL", 0xFFFE, element, 0) for element in (0xE00D, 0xE0DD))


@pytest.mark.parametrize("delimited", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("outer", [EXPLICIT_LITTLE, IMPLICIT_LITTLE], ids=["in explicit", "in implicit"])
def test_an_unknown_sequence_in_explicit_vr_is_walked_whatever_is_around(
    outer: Encoding, undefined: bool, delimited: bool
) -> None:
    content = encode(item(PatientName="Doe^Jane"))
    content = b"\xfe\xff\x00\xe0" + b"\xff" * 4 + content + ITEM_END if delimited else item_bytes(content, outer)
    if undefined:
        raw = b"\x09\x00\x01\x10" + (b"UN\0\0" if outer.explicit else b"") + b"\xff" * 4 + content + SEQUENCE_END
    else:
        raw = element_bytes(0x00091001, "UN", content, outer)
    ((*_, items),) = walk_all(raw, outer)
    assert items is not None
    assert items[0].encoding == EXPLICIT_LITTLE
    assert [span[:2] for span in items[0].spans] == [(0x00100010, b"PN")]


@pytest.mark.parametrize("empty", [item_bytes(b"", EXPLICIT_LITTLE), b"\xfe\xff\x00\xe0" + b"\xff" * 4 + ITEM_END])
@pytest.mark.parametrize("inner", [EXPLICIT_LITTLE, IMPLICIT_LITTLE], ids=["explicit", "implicit"])
def test_empty_items_do_not_show_how_an_unknown_sequence_is_written(inner: Encoding, empty: bytes) -> None:
    content = item_bytes(encode(item(PatientName="Doe^Jane"), inner), inner)
    ((*_, items),) = walk_all(unknown(empty + empty + content))
    assert items is not None
    assert [[span[0] for span in found.spans] for found in items] == [[], [], [0x00100010]]


@pytest.mark.parametrize(
    ("vr", "inner"), [("SQ", EXPLICIT_LITTLE), ("UN", EXPLICIT_LITTLE), ("UN", IMPLICIT_LITTLE)], ids=str
)
def test_delimiters_that_nobody_needs_are_passed_over(vr: str, inner: Encoding) -> None:
    content = item_bytes(encode(item(PatientName="Doe^Jane"), inner), inner)
    for value in (content + SEQUENCE_END, content + ITEM_END + content + ITEM_END, content + ITEM_END + SEQUENCE_END):
        ((*_, items),) = walk_all(element_bytes(0x00091001, vr, value, EXPLICIT_LITTLE))
        assert items is not None
        assert [[span[0] for span in found.spans] for found in items] == [[0x00100010]] * value.count(content)
    if vr == "SQ":
        for value in (content + SEQUENCE_END + content, content + ITEM_END[:-1] + b"\1"):
            with pytest.raises(Malformed):
                walk_all(element_bytes(0x00091001, vr, value, EXPLICIT_LITTLE))


def test_unknown_bytes_that_only_begin_like_a_sequence_are_a_value() -> None:
    ((*_, items),) = walk_all(unknown(b"\xfe\xff\x00\xe0and so on."))
    assert items is None


def test_private_sequences_of_a_real_file_are_walked_in_implicit_vr() -> None:
    outer = next(span for span in read_file(real_file("nested_priv_SQ.dcm")).data.spans if span[0] == 0x00010001)
    assert outer[1] == b"UN"
    assert outer[5] is not None
    inner = next(span for span in outer[5][0].spans if span[0] == 0x00010001)
    assert inner[5] is not None
    assert [span[1] for span in inner[5][0].spans] == [b"UN"]


def test_pixel_data_in_fragments_is_left_to_the_reader_of_files_but_walked_in_an_item() -> None:
    fragments = b"\x08\x00\x00\x00" + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    content = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0" + fragments[:4]
    content += b"\xfe\xff\xdd\xe0\x00\x00\x00\x00" + fragments[4:]  # a fragment that looks like a delimiter
    icon = element_bytes(0x00880200, "SQ", item_bytes(content, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    ((*_, items),) = walk_all(icon)
    assert items is not None
    assert [(span[0], span[4] - span[2]) for span in items[0].spans] == [(0x7FE00010, len(content))]
    spans: list[Span] = []
    assert walk(content, 0, EXPLICIT_LITTLE, spans, partial=True) == 0
    assert spans == []
    with pytest.raises(Incomplete):
        walk(icon[:-8], 0, EXPLICIT_LITTLE, [])


def test_a_partial_walk_goes_on_where_it_stopped() -> None:
    raw = encode(item(StudyDate="20040119", PatientName="Doe^Jane", PatientID="1"))
    spans: list[Span] = []
    stop = walk(raw[:20], 0, EXPLICIT_LITTLE, spans, partial=True)
    assert walk(raw, stop, EXPLICIT_LITTLE, spans, after=spans[-1][0]) == len(raw)
    assert spans == walk_all(raw)
    with pytest.raises(Malformed, match="out of order"):
        walk(raw, stop, EXPLICIT_LITTLE, [], after=0x00100020)


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x00100010, b"PN"),
        (0x00280106, b"US"),  # US or SS
        (0x7FE00010, b"OW"),  # OB or OW
        (0x60023000, b"OW"),
        (0x00090010, b"LO"),
        (0x00091001, b"UN"),
        (0x00100999, b"UN"),
    ],
)
def test_vr_where_the_file_has_none(tag: int, vr: bytes) -> None:
    assert implicit_vr(tag) == vr


def test_a_value_too_long_for_its_length_field_is_refused() -> None:
    long = bytes(0x10000)
    assert len(element_bytes(0x00100010, "PN", long, IMPLICIT_LITTLE)) == 8 + len(long)
    assert len(element_bytes(0x00100010, "UT", long, EXPLICIT_LITTLE)) == 12 + len(long)
    with pytest.raises(Malformed, match="65536 bytes do not fit VR PN"):
        element_bytes(0x00100010, "PN", long, EXPLICIT_LITTLE)
