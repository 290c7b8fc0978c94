"""File meta: one like that of the file before is read as any other; what is written says nothing of its origin."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_anon import filemeta
from dicom_anon.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Incomplete, element_bytes
from dicom_anon.filemeta import read_meta, recognise, write_meta
from tests.datasets import SYNTAXES, copy, encode, file_bytes, image, item, put

UIDS = ("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "")
INSTANCE = element_bytes(0x00020003, "UI", b"1.2.3.99", EXPLICIT_LITTLE)


@st.composite
def metas(draw: st.DrawFn) -> bytes:
    """File meta with elements missing, twice, in any order, of any length, and a group length that may be wrong."""
    elements = b""
    for tag in draw(st.lists(st.sampled_from((0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020102)))):
        vr = draw(st.sampled_from(("UI", "UI", "UI", "OB", "SH")))
        text = draw(st.sampled_from(UIDS)) + draw(st.sampled_from(("", "\0", " ")))
        content = draw(st.sampled_from((text.encode(), INSTANCE, INSTANCE[:6])))
        elements += element_bytes(tag, vr, content, EXPLICIT_LITTLE)
    length = max(0, len(elements) + draw(st.sampled_from((0, 0, 0, -8, 8, 30, 5000))))
    return element_bytes(0x00020000, "UL", length.to_bytes(4, "little"), EXPLICIT_LITTLE) + elements


@given(metas(), st.sampled_from((b"", b"\x08\0\x05\0CS\0\0", b"\x02\0\x10\0UI\2\0xx")), st.data())
@example(INSTANCE * 2, b"", None)
def test_a_meta_known_in_parts_is_read_as_a_whole_one(meta: bytes, rest: bytes, data: st.DataObject | None) -> None:
    head = bytearray(bytes(132) + meta + rest)
    if data is not None and data.draw(st.booleans()):
        head[data.draw(st.integers(132, len(head) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(head)
    try:
        elements, end = filemeta._meta_elements(content, 132)
    except Incomplete:
        expected = None
    else:
        texts = (elements.get(tag, "") for tag in (0x00020002, 0x00020003, 0x00020010))
        expected = (*texts, end)
    for _ in range(2):  # what is known of the first is used for the second
        try:
            found = read_meta(content, 132)
        except Incomplete:
            found = None
        assert found == expected


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_a_meta_with_presentation_addresses_is_read_to_its_end(tmp_path: Path, syntax: str) -> None:
    address = "dicom://pacs.example"  # of VR UR, whose length has four bytes
    content = file_bytes(image(), syntax, SourcePresentationAddress=address)
    assert read_meta(content, 132)[3] == 144 + int.from_bytes(content[140:144], "little")
    target = copy(put(tmp_path, content), tmp_path / "target")
    assert target.file_meta.TransferSyntaxUID == syntax
    assert b"pacs.example" not in (tmp_path / "target").read_bytes()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=["explicit", "implicit"])
@pytest.mark.parametrize("with_length", [True, False])
def test_a_meta_in_implicit_vr_is_read(tmp_path: Path, syntax: str, with_length: bool) -> None:
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    elements = b"".join(
        element_bytes(tag, vr, raw, IMPLICIT_LITTLE)
        for tag, vr, raw in ((0x00020001, "OB", b"\0\1"), (0x00020003, "UI", b"1.2.3.99"), (0x00020010, "UI", value))
    )
    length = element_bytes(0x00020000, "UL", len(elements).to_bytes(4, "little"), IMPLICIT_LITTLE)
    head = bytes(128) + b"DICM" + (length if with_length else b"") + elements
    assert read_meta(head, 132) == ("", "1.2.3.99", syntax, len(head))
    encoding = filemeta.encoding_of(syntax)
    target = copy(put(tmp_path, head + encode(image(), encoding)), tmp_path / "target", {"PatientName": "set(X)"})
    assert (target.PatientName, target.PixelData) == ("X", image().PixelData)


@pytest.mark.parametrize("tag", [0x00020016, 0x00000600])
def test_elements_of_the_meta_or_of_a_message_are_no_part_of_an_item(tmp_path: Path, tag: int) -> None:
    inside = item(ReferencedImageSequence=[item(ReferencedSOPInstanceUID="1.2.3")])
    content = bytearray(encode(inside, EXPLICIT_LITTLE))
    at, added = content.index(b"\x08\0\x55\x11"), element_bytes(tag, "AE", b"HOSPITAL", EXPLICIT_LITTLE)
    content[at:at] = added
    for end in (at, at - 8):  # of the lengths of item and sequence
        content[end - 4 : end] = (int.from_bytes(content[end - 4 : end], "little") + len(added)).to_bytes(4, "little")
    copy(put(tmp_path, write_meta(ExplicitVRLittleEndian, "", "") + content), tmp_path / "target")
    assert b"HOSPITAL" not in (tmp_path / "target").read_bytes()


def test_elements_of_the_meta_in_big_endian_are_no_part_of_the_data_set(tmp_path: Path) -> None:
    content = element_bytes(0x00020016, "AE", b"HOSPITAL", EXPLICIT_BIG) + encode(image(), EXPLICIT_BIG)
    copy(put(tmp_path, bytes(128) + b"DICM" + content), tmp_path / "target")
    assert b"HOSPITAL" not in (tmp_path / "target").read_bytes()


def test_a_meta_that_ends_within_an_element_is_not_read() -> None:
    value = element_bytes(0x00020010, "UI", b"1.2.840.10008.1.2.1\0", EXPLICIT_LITTLE)
    group_length = element_bytes(0x00020000, "UL", len(INSTANCE + value).to_bytes(4, "little"), EXPLICIT_LITTLE)
    head = bytes(132) + group_length + INSTANCE + value
    assert read_meta(head, 132) == ("", "1.2.3.99", "1.2.840.10008.1.2.1", len(head))
    for left in range(len(head) - len(value) + 8, len(head)):
        with pytest.raises(Incomplete):
            read_meta(head[:left], 132)


def test_a_group_length_that_reaches_far_is_kept_for_no_other_file() -> None:
    filemeta._meta_around.cache_clear()
    length = (1 << 20).to_bytes(4, "little")
    read_meta(bytes(132) + element_bytes(0x00020000, "UL", length, EXPLICIT_LITTLE) + INSTANCE + bytes(1 << 20), 132)
    assert filemeta._meta_around.cache_info().currsize == 0


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_the_meta_says_nothing_of_where_the_file_came_from(tmp_path: Path, syntax: str) -> None:
    target = copy(put(tmp_path, file_bytes(image(), syntax)), tmp_path / "target", {"SOPInstanceUID": "set(1.9.8)"})
    content = (tmp_path / "target").read_bytes()
    assert content[:132] == bytes(128) + b"DICM"
    for secret in (b"TIFF", b"HOSPITAL_PACS", b"MAKER_1", b"MRN 4711", b"1.2.3.4.5"):
        assert secret in file_bytes(image(), syntax)
        assert secret not in content
    meta = target.file_meta
    assert [element.keyword for element in meta] == [
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    ]
    assert meta.MediaStorageSOPInstanceUID == target.SOPInstanceUID == "1.9.8"
    assert meta.MediaStorageSOPClassUID == target.SOPClassUID
    assert meta.TransferSyntaxUID == syntax
    assert meta.ImplementationClassUID == filemeta.IMPLEMENTATION_CLASS_UID
    assert len(filemeta.IMPLEMENTATION_VERSION_NAME) <= 16


def test_the_meta_leaves_out_what_the_object_has_not() -> None:
    content = write_meta(ExplicitVRLittleEndian, "", "")
    meta = dcmread(io.BytesIO(content)).file_meta
    assert "MediaStorageSOPClassUID" not in meta
    assert "MediaStorageSOPInstanceUID" not in meta
    assert meta.FileMetaInformationGroupLength == len(content) - 144


def test_the_encoding_follows_from_the_transfer_syntax() -> None:
    assert filemeta.encoding_of(ImplicitVRLittleEndian) == IMPLICIT_LITTLE
    assert filemeta.encoding_of("1.2.840.10008.1.2.2") == EXPLICIT_BIG
    assert filemeta.encoding_of(JPEGBaseline8Bit) == EXPLICIT_LITTLE


@pytest.mark.parametrize(
    ("first", "begins"),
    [
        (b"\x08\0\x05\0CS\x40\0", True),
        (b"\x08\0\x05\0CS\x41\0", False),  # no first element is that long
        (b"\x08\0\x05\0CS\x0a", False),
        (b"\x02\0\x01\0OB\0\0\x02\0\0\0", True),
        (b"\x08\0\x41\x01UC\xff\xff", True),  # its length is further on
        (b"\0\x08\0\x05CS\0\x40", True),
        (b"\0\x08\0\x05CS\0\x42", False),
        (b"\x08\0\x05\0\x40\0\0\0", True),
        (b"\x08\0\x05\0\x41\0\0\0", False),
        (b"\x08\0\x05\0\x02\0\x01\0", False),
        (b"\x08\0\0\0\x04\0\0\0", True),
        (b"\x08\0\xee\xee\x04\0\0\0", False),  # no element that PS3.6 knows
        (b"\0\x08\0\x05\x0a\0\0\0", False),
        (b"\0\x08\0\x05\0\0\0\x0a", False),  # there is no implicit VR in big endian
        (b"\x10\0\x10\0PN\x04\0", False),
        (b"\0\x10\0\x10PN\0\x04", False),
    ],
)
def test_a_bare_data_set_is_known_by_its_first_element(first: bytes, begins: bool) -> None:
    assert recognise(first) == (0 if begins else -1)
    assert recognise(first.ljust(128, b"\0") + b"DICM") == 132
