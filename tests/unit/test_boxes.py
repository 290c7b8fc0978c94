"""Boxes of video: what shows nothing becomes zeros, every other byte stays."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_anon.boxes import clean_movie
from dicom_anon.fragments import Part, Stream, UnknownStructure
from tests.unit.test_codestreams import SECRET, box, checked

NOTHING = bytes(len(SECRET))


def cleaned(content: bytes) -> bytes:
    patches: list[tuple[int, bytes]] = []
    result = bytearray(content)
    try:
        clean_movie(Stream(lambda at, size: content[at : at + size], [Part(0, len(content))], patches))
    finally:
        for offset, patch in patches:
            result[offset : offset + len(patch)] = patch
    return bytes(result)


def movie(text: bytes, times: bytes = bytes(16), *, long: bool = False) -> bytes:
    """MP4 file as recorders write them, with text wherever one may stand that is not shown."""
    handler = box(b"hdlr", bytes(8) + b"vide" + bytes(12) + text)
    samples = box(b"stbl", box(b"stsd", bytes(8)) + box(b"stco", bytes(4) + b"\0\0\0\1\0\0\0\x99"))
    media = box(b"mdhd", b"\0\0\0\0" + times[:8] + b"\0\0\x61\xa8" * 2) + handler + box(b"minf", samples)
    track = box(b"tkhd", b"\0\0\0\3" + times[:8] + b"\0\0\0\1" * 5) + box(b"mdia", media)
    header = box(b"mvhd", b"\1\0\0\0" + times + b"\0\0\x03\xe8" * 2)
    user = box(b"udta", text) + box(b"meta", text)
    return (
        box(b"ftyp", b"isom\0\0\2\0isomavc1")
        + box(b"free", text)
        + box(b"moov", header + box(b"trak", track + box(b"udta", text)) + user)
        + box(b"mdat", b"\0\0\1\xb3 a picture", long=long)
        + box(b"uuid", text, long=long)
        + struct.pack(">L4s", 0, b"XMP_")
        + text
    )


@pytest.mark.parametrize("long", [False, True])
def test_user_data_titles_and_times_of_a_movie_become_zeros(long: bool) -> None:
    times = struct.pack(">2Q", 3_600_000_000, 3_600_000_001)
    assert cleaned(movie(SECRET, times, long=long)) == movie(NOTHING, long=long)
    assert cleaned(movie(NOTHING, long=long)) == movie(NOTHING, long=long)


def test_boxes_of_fragmented_movies_stay() -> None:
    header = box(b"mfhd", bytes(7) + b"\1") + box(b"traf", box(b"tfhd", b"12345678") + box(b"trun", b"12345678"))
    content = box(b"ftyp", b"iso5") + box(b"moof", header) + box(b"mdat", SECRET) + box(b"mfra", box(b"mfro", b"1234"))
    assert cleaned(content) == content
    assert cleaned(content + box(b"emsg", SECRET) + b"end") == content + box(b"emsg", NOTHING) + bytes(3)


@pytest.mark.parametrize("content", [b"\0\0\1\xb3" + SECRET, b"\x47" * 188 + SECRET, b"\0ftyp", box(b"udta", SECRET)])
def test_other_video_stays_as_it_is(content: bytes) -> None:
    assert cleaned(content) == content


def test_a_short_box_takes_nothing_of_the_next() -> None:
    for kind in (b"mvhd", b"tkhd", b"hdlr"):
        content = box(b"ftyp", b"isom") + box(b"moov", box(kind, b"\1\2\3\4\5") + box(b"stsd", b"\7" * 40))
        assert cleaned(content).endswith(box(b"stsd", b"\7" * 40))


@pytest.mark.parametrize(
    "wrong", [struct.pack(">L4s", 5, b"free"), struct.pack(">L4s", 99, b"free"), b"\0\0\0\1mdat" + bytes(8)]
)
def test_what_cannot_be_followed_is_said(wrong: bytes) -> None:
    with pytest.raises(UnknownStructure):
        cleaned(box(b"ftyp", b"isom") + wrong)


@pytest.mark.parametrize("depth", [1, 20, 5000])
def test_boxes_in_boxes_are_followed_however_deep(depth: int) -> None:
    def nested(content: bytes) -> bytes:
        for _ in range(depth):
            content = box(b"moov", content)
        return content

    def whole(text: bytes) -> bytes:
        return box(b"ftyp", b"isom") + nested(box(b"udta", text) + text[:7]) + box(b"free", text)

    assert cleaned(whole(SECRET)) == whole(NOTHING)
    frame = b"\0\0\0\x0cjP  \r\n\x87\n"
    nested_image = nested(box(b"uuid", SECRET)).replace(b"moov", b"jp2h")
    assert checked(frame + nested_image) == frame + nested_image.replace(SECRET, NOTHING)


def test_where_the_data_of_a_movie_are_said_to_be_becomes_zeros() -> None:
    def movie_at(flags: bytes, place: bytes) -> bytes:
        entries = (box(kind, flags + place) for kind in (b"url ", b"urn ", b"alis", b"rsrc"))
        return box(b"ftyp", b"isom") + box(b"dinf", box(b"dref", b"\0\0\0\0\0\0\0\4" + b"".join(entries)))

    for flags in (b"\0\0\0\0", b"\0\0\0\1"):
        assert cleaned(movie_at(flags, SECRET)) == movie_at(flags, NOTHING)
        assert cleaned(movie_at(flags, b"")) == movie_at(flags, b"")


@given(st.data())
def test_broken_movies_end_in_order(data: st.DataObject) -> None:
    content = bytearray(movie(SECRET, bytes(range(16))))
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = cleaned(bytes(content))
    except UnknownStructure:
        return
    assert all(new in (old, 0) for old, new in zip(content, result, strict=True))


LEAVES = st.tuples(
    st.sampled_from([b"mdat", b"stsd", b"stco", b"stsz", b"udta", b"free", b"meta"]), st.binary(max_size=20)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(st.sampled_from([b"moov", b"trak", b"minf", b"traf"]), st.lists(inner, max_size=4)),
)
SPARE = {b"udta", b"free", b"meta"}


@given(st.lists(TREES, max_size=5), st.booleans())
def test_pictures_and_their_tables_stay_and_all_else_goes_wherever_it_is(trees: list[Any], long: bool) -> None:
    def written(kind: bytes, content: Any, *, blank: bool) -> bytes:
        if isinstance(content, list):
            content = b"".join(written(*inner, blank=blank) for inner in content)
        elif blank and kind in SPARE:
            content = bytes(len(content))
        return box(kind, content, long=long)

    before, after = (b"".join(written(*tree, blank=blank) for tree in trees) for blank in (False, True))
    start = box(b"ftyp", b"isom")
    assert cleaned(start + before) == start + after
