"""File meta: the quick way of a file like the one before tells what a reading of every element does."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from dicom_anon import filemeta
from dicom_anon.elements import EXPLICIT_LITTLE, Incomplete, element_bytes
from dicom_anon.filemeta import read_meta

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


def test_a_group_length_that_reaches_far_is_kept_for_no_other_file() -> None:
    filemeta._meta_around.cache_clear()
    length = (1 << 20).to_bytes(4, "little")
    read_meta(bytes(132) + element_bytes(0x00020000, "UL", length, EXPLICIT_LITTLE) + INSTANCE + bytes(1 << 20), 132)
    assert filemeta._meta_around.cache_info().currsize == 0
