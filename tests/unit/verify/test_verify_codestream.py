"""What a run overwrites beside the picture of a compressed frame is no difference of pixels; all else is."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import JPEG2000, MPEG2MPML, UID, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from dicom_anon.verify.codestream import behind_deflated, rle_planes, text_ranges, without
from dicom_anon.verify.layout import Reader, Span
from dicom_anon.verify.movie import Video, spare_ranges
from tests.unit.verify.trees import Trees, clean_file, compressed, jpeg, raw, segment

TEXT = b"by Adaeze and another"
EOC = b"\xff\xd9"


def in_jpeg(marker: int, kept: bytes = b"") -> tuple[bytes, bytes]:
    """What is before the text, and behind it."""
    plain = jpeg()
    head = struct.pack(">BBH", 0xFF, marker, len(kept) + len(TEXT) + 2)
    return plain[:2] + head + kept, plain[2:]


SIZ = b"\xff\x4f" + segment(0x51, bytes(40))


def in_jpeg_2000(marker: int) -> tuple[bytes, bytes]:
    tile = segment(0x90, b"\0\0" + struct.pack(">L", 114) + b"\0\1") + b"\xff\x93" + bytes(100)
    return SIZ + struct.pack(">BBH", 0xFF, marker, len(TEXT) + 2), tile + EOC


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L", len(content) + 8) + kind + content


def in_box(signature: bytes, outer: bytes, kind: bytes, codestream: bytes) -> tuple[bytes, bytes]:
    marked = box(signature, b"\r\n\x87\n") + (box(outer, box(kind, TEXT)) if outer else box(kind, TEXT)) + codestream
    before, after = marked.split(TEXT)
    return before, after


PARTS = [
    *[(in_jpeg(marker), JPEGBaseline8Bit) for marker in (0xC8, 0xE8, 0xEE, 0xF0, 0xF6, 0xF9, 0xFD)],
    (in_jpeg(0xEE, b"Adobe\0\x64\0\0\0\0\1"), JPEGBaseline8Bit),
    (in_jpeg(0xE8, b"mrfx\2"), JPEGLSLossless),
    (in_jpeg(0xF8, b""), JPEGLSLossless),
    *[(in_jpeg_2000(marker), JPEG2000) for marker in (0x54, 0x65, 0x6F, 0x7F)],
    (in_box(b"jP  ", b"jp2h", b"xml ", box(b"jp2c", SIZ + EOC)), JPEG2000),
    (in_box(b"jP  ", b"", b"uuid", box(b"jp2c", SIZ + EOC)), JPEG2000),
    (in_box(b"JXL ", b"", b"Exif", box(b"jxlc", b"\xff\x0a123")), JPEG2000),
    (
        (
            SIZ + segment(0x90, bytes(6) + b"\0\1") + b"\xff\x93" + bytes(100) + EOC,
            EOC,
        ),
        JPEG2000,
    ),
    (
        (
            struct.pack("<2L", 1, 64 + len(TEXT)).ljust(64, b"\0"),
            b"\x7f" + bytes(128) + b"\x81\7",
        ),
        RLELossless,
    ),
]


DEFLATED, UNCOMPRESSED, VIDEO, JPEG_XL = (UID(f"1.2.840.10008.1.2.{end}") for end in ("8.1", "1.98", "4.102", "4.110"))
PIXELS = bytes(range(256))
DEFLATER = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)


STAND_INS = {DEFLATED: JPEGBaseline8Bit, JPEG_XL: MPEG2MPML}
"""For a syntax that pydicom does not write, one that has as many bytes in a file."""


def open_box(kind: bytes, more: int = 0) -> bytes:
    """Header of a box in which there is the text, and so many bytes before it."""
    return struct.pack(">L", 8 + more + len(TEXT)) + kind


MOVIE, MEDIA = box(b"ftyp", b"isom"), box(b"mdat", b"1234")
PARTS += [
    ((DEFLATER.compress(PIXELS) + DEFLATER.flush(), b""), DEFLATED),
    ((PIXELS, b""), UNCOMPRESSED),
    (in_box(b"JXL ", b"", b"xml ", box(b"jxlc", b"\xff\x0a123")), JPEG_XL),
    ((MOVIE + open_box(b"moov", 24) + box(b"mvex", box(b"trex", b"")) + open_box(b"udta"), MEDIA), VIDEO),
    ((MOVIE + open_box(b"hdlr", 24) + bytes(8) + b"vide" + bytes(12), MEDIA), VIDEO),
    ((MOVIE + MEDIA + b"\0\0\0\1uuid" + struct.pack(">Q", 16 + len(TEXT)), b""), VIDEO),
    ((MOVIE + MEDIA + b"\0\0\0\0free", b""), VIDEO),
]


@pytest.mark.parametrize(("around", "syntax"), PARTS)
def test_what_a_run_overwrites_is_no_difference(tmp_path: Path, around: tuple[bytes, bytes], syntax: UID) -> None:
    before, after = around
    pair = Trees(tmp_path)

    def add(name: str, number: int, output: bytes) -> None:
        source, result = compressed(before + TEXT + after, number), compressed(output, number)
        stand_in = STAND_INS.get(syntax, syntax)
        for data_set in (source, result):
            data_set.file_meta.TransferSyntaxUID = stand_in
        old, new = (uid.encode() + bytes(len(uid) % 2) for uid in (stand_in, syntax))
        pair.add(name, raw(source).replace(old, new), clean_file(raw(result)).replace(old, new))

    add("blanked", 1, before + bytes(len(TEXT)) + (bytes(len(after)) if after == EOC else after))
    add("leaky", 2, before + TEXT + after)
    add("changed", 3, before[:-1] + bytes((before[-1] ^ 0x40,)) + TEXT + after)
    found = [(finding.file, finding.element, finding.kind) for finding in pair.verify().findings]
    assert [row for row in found if row[0] == "blanked"] == []
    assert ("leaky", "pixel data", "physician") in found
    assert [row for row in found if row[0] == "changed"]


@pytest.mark.parametrize(
    ("marker", "payload"),
    [
        (0xDB, TEXT),
        (0xC4, TEXT),
        (0xF7, TEXT),
        (0xF8, b"\1" + TEXT),
        (0xEE, b"Adobe\0\x64\0\0\0\0\1"),
        (0xE8, b"SPIFF\0" + bytes(range(1, 25))),
        (0xE8, b"mrfx\2"),
    ],
)
def test_what_decoders_use_has_to_stay(marker: int, payload: bytes) -> None:
    frame = jpeg()[:2] + segment(marker, payload) + jpeg()[2:]
    assert segment(marker, payload) in without(frame, text_ranges(frame))


@given(st.binary(max_size=300))
def test_ranges_of_any_bytes_lie_within_them(data: bytes) -> None:
    jp2, jxl = (b"\0\0\0\x0c" + kind + b"\r\n\x87\n" for kind in (b"jP  ", b"JXL "))
    rle = b"\2\0\0\0\x40\0\0\0\x60\0\0\0".ljust(64, b"\0")
    for start in (b"", b"\xff\xd8\xff", SIZ, jpeg(b"text")[:60], jp2, jxl, rle):
        frame = start + data
        ranges = text_ranges(frame, 40 if start == rle else None)
        assert all(0 <= a <= b <= len(frame) for a, b in ranges)
        assert all(one[1] < two[0] for one, two in pairwise(ranges))
    assert all(end == len(data) for _, end in behind_deflated(data))


def test_segments_of_rle_decode_or_the_frame_is_broken() -> None:
    def planes(*segments: bytes) -> list[bytes]:
        offsets = [64 + sum(map(len, segments[:at])) for at in range(len(segments))]
        head = struct.pack(f"<{len(segments) + 1}L", len(segments), *offsets).ljust(64, b"\0")
        return rle_planes(head + b"".join(segments), 6)

    assert planes(b"\xfba", b"\x80\2abc\xffd\0e", b"\7abcdefgh\1") == [b"aaaaaa", b"abcdde", b"abcdef"]
    for broken in (b"\xfca", b"\5abcde", b"\2abc\xfe", b""):
        assert planes(broken, b"\xfba") == planes(b"\xfba", broken) == []
    assert rle_planes(b"\1\0\0\0", 6) == []


def test_a_tile_part_that_ends_where_its_header_does_is_no_way_round_and_round() -> None:
    frame = SIZ + segment(0x90, b"\0\0" + struct.pack(">L", 12) + b"\0\1") + b"\xff\x93" + bytes(10) + EOC + TEXT
    assert text_ranges(frame) == []


@pytest.mark.parametrize("depth", [1, 20, 5000])
def test_boxes_in_boxes_are_followed_however_deep(depth: int) -> None:
    def nested(kind: bytes, content: bytes) -> bytes:
        for _ in range(depth):
            content = box(kind, content)
        return content

    head = box(b"jP  ", b"\r\n\x87\n")
    frame = head + nested(b"jp2h", box(b"uuid", TEXT))
    assert without(frame, text_ranges(frame)) == frame.removesuffix(TEXT)
    movie = MOVIE + nested(b"moov", box(b"udta", TEXT))
    reader = Reader(io.BytesIO(movie), len(movie))
    span = Span("(7FE0,0010)[2]", 0x7FE00010, "OB", 0, len(movie))
    assert without(movie, spare_ranges(Video(reader, [span]))) == movie.removesuffix(TEXT)


def test_what_is_too_short_for_a_box_is_no_picture() -> None:
    frame = box(b"jP  ", b"\r\n\x87\n") + box(b"jp2h", b"by") + box(b"jp2c", SIZ + EOC) + b"Adaeze"
    assert without(frame, text_ranges(frame)) == frame.removesuffix(b"Adaeze").replace(b"by", b"")


def test_places_of_the_data_of_a_movie_are_no_picture(tmp_path: Path) -> None:
    def movie(text: bytes) -> bytes:
        entries = b"".join(box(kind, bytes(4) + text) for kind in (b"url ", b"urn ", b"alis", b"rsrc"))
        return MOVIE + box(b"moov", box(b"dref", bytes(7) + b"\4" + entries)) + box(b"mdat", b"12")

    pair = Trees(tmp_path)
    for number, (name, output) in enumerate({"same": movie(bytes(len(TEXT))), "left": movie(TEXT)}.items(), 1):
        source, result = (compressed(content, number) for content in (movie(TEXT), output))
        for data_set in (source, result):
            data_set.file_meta.TransferSyntaxUID = VIDEO
        pair.add(name, source, clean_file(raw(result)))
    assert {finding.file for finding in pair.verify().findings} == {"left"}


def test_times_of_a_movie_are_no_difference_and_pictures_beyond_one_read_are(tmp_path: Path) -> None:
    def movie(times: bytes, picture: bytes) -> bytes:
        dated = box(b"mvhd", bytes(4) + times + b"\1" * 4) + box(b"mvhd", b"\1\0\0\0" + times * 2 + b"\1" * 4)
        return MOVIE + box(b"moov", dated + box(b"mvhd", bytes(4) + times[:4])) + box(b"mdat", bytes(3 << 20) + picture)

    pair = Trees(tmp_path)
    outputs = {"same": movie(bytes(8), b"12"), "changed": movie(bytes(8), b"13"), "shorter": movie(bytes(8), b"")}
    for number, (name, output) in enumerate(outputs.items(), 1):
        source, result = (compressed(content, number) for content in (movie(b"\xe1\2\3\4" * 2, b"12"), output))
        for data_set in (source, result):
            data_set.file_meta.TransferSyntaxUID = VIDEO
        pair.add(name, source, clean_file(raw(result)))
    assert {finding.file for finding in pair.verify().findings} == {"changed", "shorter"}
