"""Codestreams: what is no part of the image becomes zeros, every other byte stays."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import generate_frames

from dicom_anon.codestreams import HEAD, Part, Seen, Stream, UnknownStructure, check_frame, check_rle
from tests.datasets import real_file

SECRET = b"Doe^Jane 1961-12-30"
EOI = b"\xff\xd9"


def frame(name: str) -> bytes:
    """First frame of a real file, without what may stand behind its end."""
    data_set = dcmread(real_file(name))
    frames = generate_frames(data_set.PixelData, number_of_frames=int(data_set.get("NumberOfFrames") or 1))
    first = next(frames)
    return first[: first.rindex(EOI) + 2]


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def checked(
    content: bytes, cuts: tuple[int, ...] = (), *, through: bool = True, seen: Seen | None = None
) -> tuple[bytes, bool]:
    """The frame afterwards, and whether its end was as expected. The cuts are where fragments end."""
    seen = seen or Seen(ends=not through)
    gap = b"\xfe\xff\x00\xe0LLLL"  # between fragments lies what must not be touched
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(content)}), len(content)]
    parts, whole = [], b""
    for start, end in pairwise(edges):
        whole += gap
        parts.append(Part(len(whole), end - start, content[start : min(end, start + HEAD)]))
        whole += content[start:end]
    patches: list[tuple[int, bytes]] = []
    stream = Stream(lambda offset, length: whole[offset : offset + length], parts, patches)
    check_frame(stream, seen)
    result = bytearray(whole)
    for offset, patch in patches:
        result[offset : offset + len(patch)] = patch
    kept = [bytes(result[part.offset : part.offset + part.length]) for part in parts]
    assert bytes(result) == b"".join(gap + part for part in kept)
    return b"".join(kept), seen.ends


@pytest.mark.parametrize("name", ["SC_rgb_dcmtk_+eb+cr.dcm", "JPGExtended.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_a_header_met_before_hides_nothing_in_the_next_frame(name: str) -> None:
    plain = frame(name)
    comment = segment(0xFE, SECRET)
    seen = Seen()
    assert checked(plain, seen=seen) == (plain, True)
    assert plain.startswith(seen.header)
    assert len(seen.header) > 20
    for planted in (
        plain[:2] + comment + plain[2:],
        seen.header[:-2] + SECRET + plain[len(seen.header) :],
        plain[:-2] + comment + plain[-2:],
        plain + SECRET,
        plain,
    ):
        known, alone = Seen(ends=True, header=seen.header), Seen(ends=True)
        assert outcome(planted, known) == outcome(planted, alone)
    assert SECRET not in checked(plain[:2] + comment + plain[2:], seen=seen)[0]


def outcome(content: bytes, seen: Seen) -> tuple[bytes, bool] | None:
    """The frame afterwards, or nothing where its structure is unknown."""
    try:
        return checked(content, seen=seen)
    except UnknownStructure:
        return None


JPEG_FILES = [
    "SC_rgb_dcmtk_+eb+cr.dcm",  # baseline
    "JPGExtended.dcm",  # extended, 12 bits
    "SC_rgb_jpeg_gdcm.dcm",  # lossless
    "MR_small_jpeg_ls_lossless.dcm",
    "JPEGLSNearLossless_16.dcm",
    "SC_rgb_jls_lossy_line.dcm",
]
JPEG_2000_FILES = ["MR_small_jp2klossless.dcm", "JPEG2000.dcm", "693_J2KI.dcm", "examples_jpeg2k.dcm"]


@pytest.mark.parametrize("name", JPEG_FILES)
@pytest.mark.parametrize("marker", [0xFE, 0xE0, 0xE1, 0xE2, 0xE8, 0xED, 0xEE, 0xEF])
def test_jpeg_comments_and_application_data_become_zeros(name: str, marker: int) -> None:
    plain, _ = checked(frame(name))
    planted = plain[:2] + segment(marker, SECRET) + plain[2:]
    assert checked(planted) == (plain[:2] + segment(marker, bytes(len(SECRET))) + plain[2:], True)


@pytest.mark.parametrize("name", JPEG_FILES)
@pytest.mark.parametrize("surplus", [b"\xff", SECRET, SECRET * 1000, b"\xff\xd8" + SECRET + EOI])
def test_what_is_behind_the_end_of_a_jpeg_becomes_zeros(name: str, surplus: bytes) -> None:
    plain, _ = checked(frame(name))
    assert checked(plain + surplus) == (plain + bytes(len(surplus)), len(surplus) <= 2)


@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("surplus", [b"", b"\0", SECRET])
def test_jpeg_comments_behind_the_scan_become_zeros(through: bool, surplus: bytes) -> None:
    plain, _ = checked(frame("JPGExtended.dcm"))
    planted = plain[:-2] + segment(0xFE, SECRET) + EOI + surplus
    cleared = plain[:-2] + segment(0xFE, bytes(len(SECRET))) + EOI + bytes(len(surplus))
    assert checked(planted, through=through) == (cleared, False)


def test_a_jpeg_read_at_its_ends_only_is_searched_when_its_end_is_not_there() -> None:
    plain, _ = checked(frame("JPGExtended.dcm"))
    assert checked(plain + SECRET * 1000, through=False) == (plain + bytes(1000 * len(SECRET)), False)


@pytest.mark.parametrize(
    ("marker", "kept", "lost"),
    [
        (0xEE, b"Adobe\0\x64\0\0\0\0\1", b""),
        (0xEE, b"Adobe\0\x64\0\0\0\0\1", SECRET),
        (0xE0, b"JFIF\0\1\2\1\0\x48\0\x48", b"\1\1RGB"),
        (0xE0, b"", b"JFXX\0\x10" + SECRET),
        (0xE8, b"SPIFF\0" + bytes(range(24)), SECRET),
        (0xE8, b"\0\0\0\5", SECRET),  # an entry of the SPIFF directory, such as a title
        (0xE8, b"\0\0\0\1\xff\xd8", b""),  # its end
        (0xE8, b"mrfx\2", SECRET),
        (0xE1, b"", b"Exif\0\0" + SECRET),
        (0xE2, b"", b"ICC_PROFILE\0" + SECRET),
    ],
)
def test_what_decoders_use_of_application_data_stays(marker: int, kept: bytes, lost: bytes) -> None:
    plain = frame("SC_rgb_dcmtk_+eb+cr.dcm")
    plain, _ = checked(plain)
    planted = plain[:2] + segment(marker, kept + lost) + plain[2:]
    assert checked(planted)[0] == plain[:2] + segment(marker, kept + bytes(len(lost))) + plain[2:]


def test_fill_bytes_before_a_marker_are_read_over() -> None:
    plain, _ = checked(frame("JPGExtended.dcm"))
    planted = plain[:2] + b"\xff" * 5 + segment(0xFE, SECRET) + plain[2:]
    assert SECRET not in checked(planted)[0]
    with pytest.raises(UnknownStructure):
        checked(plain[:2] + b"\xff\xff" + SECRET + plain[2:])


SOF = segment(0xC0, b"\x08\0\x08\0\x08\3" + b"\1\x11\0\2\x11\0\3\x11\0")


def scan(component: int) -> bytes:
    return segment(0xDA, bytes((1, component, 0, 0, 63, 0))) + b"\x12\xff\x00\x34\xff\xd0\x56\xff\x00"


def test_comments_between_scans_become_zeros() -> None:
    def stream(comment: bytes) -> bytes:
        between = segment(0xFE, comment)
        return b"\xff\xd8" + SOF + scan(1) + between + scan(2) + between + scan(3) + bytes(2000) + EOI

    assert checked(stream(SECRET), through=False) == (stream(bytes(len(SECRET))), False)


@pytest.mark.parametrize("shift", range(-2, 3))
def test_an_end_that_lies_across_two_reads_is_found(shift: int) -> None:
    head = b"\xff\xd8" + segment(0xC0, b"\x08\0\x08\0\x08\1\1\x11\0") + segment(0xDA, b"\1\1\0\0\x3f\0")
    stream = head + bytes((1 << 18) + shift) + EOI
    assert checked(stream + SECRET)[0] == stream + bytes(len(SECRET))


@pytest.mark.parametrize("name", JPEG_2000_FILES)
def test_jpeg_2000_comments_become_zeros(name: str) -> None:
    plain, _ = checked(frame(name))
    after_siz = 4 + struct.unpack_from(">H", plain, 4)[0]
    planted = plain[:after_siz] + segment(0x64, b"\0\1" + SECRET) + plain[after_siz:]
    cleared = plain[:after_siz] + segment(0x64, b"\0\1" + bytes(len(SECRET))) + plain[after_siz:]
    assert checked(planted) == (cleared, False)
    assert checked(planted + SECRET)[0] == cleared + bytes(len(SECRET))


def tile_part(header: bytes, data: bytes, *, open_end: bool = False) -> bytes:
    size = 0 if open_end else 12 + len(header) + 2 + len(data)
    return segment(0x90, struct.pack(">HLBB", 0, size, 0, 1)) + header + b"\xff\x93" + data


@pytest.mark.parametrize("open_end", [False, True])
def test_comments_of_tile_parts_become_zeros(open_end: bool) -> None:
    siz = b"\xff\x4f" + segment(0x51, bytes(36))
    data = b"\x01\xff\x4f\xff\x51\xff\x64\0\x08abcdef\xff\x8f"  # only the length tells it from markers

    def stream(comment: bytes, surplus: bytes) -> bytes:
        header = segment(0x64, b"\0\0" + comment)
        return siz + tile_part(header, data) + tile_part(header, data, open_end=open_end) + EOI + surplus

    zeros = bytes(len(SECRET))
    assert checked(stream(SECRET, SECRET)) == (stream(zeros, zeros), False)


def test_a_codestream_without_its_end_marker_is_whole() -> None:
    plain, _ = checked(frame("MR_small_jp2klossless.dcm"))
    assert checked(plain[:-2] + b"x")[0] == plain[:-2] + b"\0"


def box(kind: bytes, content: bytes, *, long: bool = False) -> bytes:
    if long:
        return struct.pack(">L4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">L4s", len(content) + 8, kind) + content


def test_boxes_that_decode_nothing_become_zeros() -> None:
    codestream, _ = checked(frame("MR_small_jp2klossless.dcm"))
    after_siz = 4 + struct.unpack_from(">H", codestream, 4)[0]

    def stream(text: bytes) -> bytes:
        inner = codestream[:after_siz] + segment(0x64, b"\0\1" + text) + codestream[after_siz:]
        return (
            box(b"jP  ", b"\r\n\x87\n")
            + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
            + box(
                b"jp2h",
                box(b"ihdr", bytes(range(14))) + box(b"colr", b"\1\0\0\0\0\0\x11") + box(b"xml ", text),
            )
            + box(b"xml ", text)
            + box(b"uuid", text, long=True)
            + box(b"jp2c", inner)
            + box(b"udta", text)
            + struct.pack(">L4s", 0, b"free")
            + text
        )

    assert checked(stream(SECRET)) == (stream(bytes(len(SECRET))), False)


def test_comments_of_the_jpeg_that_a_jpeg_xl_was_are_not_passed_silently() -> None:
    stream = box(b"JXL ", b"\r\n\x87\n") + box(b"Exif", SECRET) + box(b"jxlc", b"\xff\x0a123")
    assert checked(stream)[0] == stream.replace(SECRET, bytes(len(SECRET)))
    with pytest.raises(UnknownStructure):
        checked(stream + box(b"jbrd", SECRET))


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"plain text",
        b"\xff\x0a" + bytes(40),
        b"\xff\xd8",
        b"\xff\xd8\xff\xfe\x00\x01",
        b"\xff\xd8\xff\xfe\xff\xffabc",
        b"\xff\xd8" + SOF + scan(1),
        b"\xff\x4f\xff\x93" + bytes(30),
        b"\xff\x4f" + segment(0x90, struct.pack(">HLBB", 0, 1, 0, 1)) + b"\xff\x93" + bytes(30),
        b"\xff\x4f" + segment(0x90, struct.pack(">HLBB", 0, 999, 0, 1)) + b"\xff\x93" + bytes(30),
        b"\xff\x4f" + segment(0x90, struct.pack(">HLBB", 0, 0, 0, 1)) + b"\xff\x93" + bytes(30),
        b"\0\0\0\x0cjP  \r\n\x87\n" + struct.pack(">L4s", 5, b"xml "),
        b"\0\0\0\x0cjP  \r\n\x87\n" + struct.pack(">L4s", 99, b"xml "),
    ],
)
def test_what_cannot_be_followed_is_said(content: bytes) -> None:
    with pytest.raises(UnknownStructure):
        checked(content)


@given(st.sampled_from(JPEG_FILES + JPEG_2000_FILES), st.lists(st.integers(1, 4000), max_size=6))
def test_where_fragments_are_cut_makes_no_difference(name: str, cuts: list[int]) -> None:
    plain = frame(name)
    marker = segment(0xFE, SECRET) if plain[1] == 0xD8 else b""
    planted = plain[:2] + marker + plain[2:] + SECRET
    assert checked(planted, tuple(cuts)) == checked(planted)


@given(st.data(), st.sampled_from(JPEG_FILES + JPEG_2000_FILES), st.booleans())
def test_broken_frames_end_in_order(data: st.DataObject, name: str, through: bool) -> None:
    content = bytearray(frame(name))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(2, min(len(content), 400) - 1))] = data.draw(st.integers(0, 255))
    try:
        result, _ = checked(bytes(content), through=through)
    except UnknownStructure:
        return
    assert all(new in (old, 0) for old, new in zip(content, result, strict=True))


def rle(header: bytes, segments: bytes) -> tuple[bytes, bytes]:
    content = header + segments
    patches: list[tuple[int, bytes]] = []
    check_rle(Stream(lambda offset, length: content[offset : offset + length], [Part(0, len(content), b"")], patches))
    result = bytearray(content)
    for offset, patch in patches:
        result[offset : offset + len(patch)] = patch
    return content, bytes(result)


def test_the_unused_part_of_an_rle_header_becomes_zeros() -> None:
    header = struct.pack("<3L", 2, 64, 70) + SECRET.ljust(52, b"x")
    _, result = rle(header, b"segments")
    assert result == struct.pack("<16L", 2, 64, 70, *[0] * 13) + b"segments"
    header = struct.pack("<2L", 1, 64 + len(SECRET)).ljust(64, b"\0")
    _, result = rle(header, SECRET + b"segments")
    assert result == header + bytes(len(SECRET)) + b"segments"


def test_a_real_rle_frame_stays() -> None:
    data_set = dcmread(real_file("SC_rgb_rle.dcm"))
    content = next(generate_frames(data_set.PixelData, number_of_frames=1))
    before, after = rle(content[:64], content[64:])
    assert before == after


@pytest.mark.parametrize("numbers", [(0, 64), (16, 64), (1, 63), (1, 9999)])
def test_what_is_no_rle_header_is_said(numbers: tuple[int, int]) -> None:
    with pytest.raises(UnknownStructure):
        rle(struct.pack("<2L", *numbers).ljust(64, b"\0"), b"segments")
