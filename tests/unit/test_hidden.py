"""Elements inside the value of another one, and what else lets what is kept be no more than it says."""

from __future__ import annotations

import struct

import pytest
from pydicom import Dataset
from pydicom.datadict import DicomDictionary

from dicom_anon import hidden, tags
from dicom_anon.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding, element_bytes, item_bytes
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.hidden import hides_elements
from tests.datasets import encode, item, read_file, real_files, rewrite_bytes

ENCODINGS = (EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE)


def patient(encoding: Encoding) -> bytes:
    name = element_bytes(0x0040A123, "PN", b"Doe^Jane", encoding)
    return name + element_bytes(0x0040A160, "UT", b"seen", encoding)


def reached_too_far(encoding: Encoding, tag: int, vr: str, value: bytes) -> bytes:
    """An element whose length takes in the elements that follow it."""
    return element_bytes(tag, vr, value + patient(encoding), encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00080060, "CS", b"CT"),
        (0x00080070, "LO", b"MAKER "),
        (0x00280010, "US", b"\x04\0"),
        (0x00281201, "OW", bytes(range(64))),
    ],
)
def test_a_length_that_reaches_too_far_is_refused(encoding: Encoding, tag: int, vr: str, value: bytes) -> None:
    if encoding is IMPLICIT_LITTLE and vr == "OW":
        value = bytes((0x10, 0x27)) * 32  # numbers that are no headers
    raw = reached_too_far(encoding, tag, vr, value)
    for rule in ("keep", "safe"):
        with pytest.raises(FileRefused) as refusal:
            rewrite_bytes(raw, {f"{tag:08x}": rule}, encoding)
        assert refusal.value.reason is Reason.NOT_PARSABLE
        assert "holds other elements" in refusal.value.detail
        assert "Doe" not in str(refusal.value)
    assert rewrite_bytes(raw, {f"{tag:08x}": "remove"}, encoding) == b""
    whole = element_bytes(tag, vr, value, encoding) + patient(encoding)
    assert rewrite_bytes(whole, {}, encoding) == whole


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_tables_of_numbers_are_no_elements(encoding: Encoding) -> None:
    for step in (1, 2, 8, 16, 255, 256, 257):
        table = struct.pack(f"{encoding.order}4096H", *(n * step & 0xFFFF for n in range(4096)))
        assert not hides_elements(table, 0, len(table), b"OW", encoding), step


def test_text_with_a_nul_is_not_refused_for_it() -> None:
    for text in (b"CT\0garbage behind\0 it", b"\0" * 40, b"A\0\\B\0\\C\0  ", "Doe^Jane".encode("utf-16-le")):
        assert not any(hides_elements(text, 0, len(text), b"LO", encoding) for encoding in ENCODINGS)


def test_real_files_hide_nothing() -> None:
    seen = 0
    for path in real_files():
        try:
            data = read_file(path).data
        except FileRefused:
            continue
        for tag, vr, start, value, end, items in data.spans:
            if items is None and start not in data.bulk and end - value >= 10 and not tag & 0x10000:
                seen += 1
                assert not hides_elements(data.buf, value, end, vr, data.encoding), f"{path.name} {tag:08x}"
    assert seen > 3000


def test_an_unknown_that_should_be_a_sequence_is_refused() -> None:
    broken = item_bytes(element_bytes(0x00100010, "PN", b"Doe^Jane", IMPLICIT_LITTLE), IMPLICIT_LITTLE)[:-3] + b"   "
    for tag in (0x0040A730, 0x00091001):
        raw = element_bytes(tag, "UN", broken[:-2] + bytes(8) + b"\1\2", EXPLICIT_LITTLE)
        with pytest.raises(FileRefused) as refusal:
            rewrite_bytes(raw, {})
        assert "is no well formed sequence" in refusal.value.detail


@pytest.mark.parametrize("vr", ["SL", "PN", "LO"])
def test_a_character_set_of_another_vr_is_refused(vr: str) -> None:
    raw = encode(item(SpecificCharacterSet="ISO_IR 100", PatientID="1")).replace(b"CS", vr.encode(), 1)
    with pytest.raises(FileRefused):
        rewrite_bytes(raw, {})


def test_a_character_set_with_a_nul_in_it_is_refused() -> None:
    raw = encode(item(SpecificCharacterSet="ISO_IR 100", PatientID="1")).replace(b"ISO_IR 100", b"ISO\0IR 100")
    with pytest.raises(FileRefused):
        rewrite_bytes(raw, {})


def test_encrypted_attributes_are_refused_unless_they_go() -> None:
    inner = item(EncryptedContentTransferSyntaxUID="1.2.840.10008.1.2.1", EncryptedContent=bytes(16))
    data_set = Dataset()
    data_set.PatientID = "1"
    data_set.EncryptedAttributesSequence = [inner]
    for rules in ({}, {"EncryptedAttributesSequence": "safe"}):
        with pytest.raises(FileRefused) as refusal:
            rewrite_bytes(encode(data_set), rules)
        assert refusal.value.reason is Reason.ENCRYPTED
    assert rewrite_bytes(encode(data_set), {"EncryptedAttributesSequence": "remove"}) == encode(item(PatientID="1"))


def test_no_place_of_a_long_value_is_gone_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    known = sorted(tag for tag in DicomDictionary if tag >> 16)[:2000]
    value = b"".join(struct.pack("<HHL", tag >> 16, tag & 0xFFFF, 2) + b"\1\1" for tag in known) + b"\1\1"
    asked = []

    def vr_of(tag: int) -> str | None:
        asked.append(tag)
        return tags.vr_of(tag)

    monkeypatch.setattr(hidden, "vr_of", vr_of)
    assert not hides_elements(value, 0, len(value), b"OB", IMPLICIT_LITTLE)
    assert len(asked) < 2 * len(known)
    assert hides_elements(value[:-2], 0, len(value) - 2, b"OB", IMPLICIT_LITTLE)
