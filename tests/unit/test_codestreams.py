"""Codestreams: what is no part of the image becomes zeros, every other byte stays."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import generate_frames

from dicom_anon import fragments
from dicom_anon.codestreams import Seen, check_deflated, check_frame, check_uncompressed
from dicom_anon.elements import FileRange
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.fragments import SEARCH, Part, Stream, UnknownStructure
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
    content: bytes,
    cuts: tuple[int, ...] = (),
    *,
    seen: Seen | None = None,
    check: Callable[[Stream, Seen], None] = check_frame,
    unsure: bool = False,
) -> bytes:
    """The frame afterwards. The cuts are where fragments end; with `unsure`, not all of it is known."""
    gap = b"\xfe\xff\x00\xe0LLLL"  # between fragments lies what must not be touched
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(content)}), len(content)]
    parts, whole = [], b""
    for start, end in pairwise(edges):
        whole += gap
        parts.append(Part(len(whole), end - start))
        whole += content[start:end]
    patches: list[tuple[int, bytes]] = []
    stream = Stream(lambda offset, length: whole[offset : offset + length], parts, patches)
    with pytest.raises(UnknownStructure) if unsure else nullcontext():
        check(stream, seen or Seen())
    result = bytearray(whole)
    for offset, patch in patches:
        result[offset : offset + len(patch)] = patch
    kept = [bytes(result[part.offset : part.offset + part.length]) for part in parts]
    assert bytes(result) == b"".join(gap + part for part in kept)
    return b"".join(kept)


@pytest.mark.parametrize("name", ["SC_rgb_dcmtk_+eb+cr.dcm", "JPGExtended.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_a_header_met_before_hides_nothing_in_the_next_frame(name: str) -> None:
    plain = frame(name)
    comment = segment(0xFE, SECRET)
    seen = Seen()
    assert checked(plain, seen=seen) == plain
    assert plain.startswith(seen.header)
    assert len(seen.header) > 20
    for planted in (
        plain[:2] + comment + plain[2:],
        seen.header[:-2] + SECRET + plain[len(seen.header) :],
        plain[:-2] + comment + plain[-2:],
        plain + SECRET,
        plain,
    ):
        known = Seen(header=seen.header, inside=seen.inside)
        assert outcome(planted, known) == outcome(planted, Seen())
    assert SECRET not in checked(plain[:2] + comment + plain[2:], seen=seen)


def outcome(content: bytes, seen: Seen) -> bytes | None:
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
@pytest.mark.parametrize("marker", [0xFE, 0xE0, 0xE1, 0xE2, 0xE8, 0xED, 0xEE, 0xEF, 0xC8, 0xF0, 0xF6, 0xF8, 0xF9, 0xFD])
def test_jpeg_comments_application_and_reserved_segments_become_zeros(name: str, marker: int) -> None:
    plain = checked(frame(name))
    planted = plain[:2] + segment(marker, SECRET) + plain[2:]
    assert checked(planted) == plain[:2] + segment(marker, bytes(len(SECRET))) + plain[2:]


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_preset_parameters_of_jpeg_ls_stay(kind: int) -> None:
    plain = checked(frame("MR_small_jpeg_ls_lossless.dcm"))
    planted = plain[:2] + segment(0xF8, bytes((kind, 1, 2, 3))) + plain[2:]
    assert checked(planted) == planted


@pytest.mark.parametrize("name", JPEG_FILES)
@pytest.mark.parametrize("inside", [segment(0xFE, SECRET) + bytes(5000), EOI + SECRET + bytes(5000)])
def test_what_ends_the_scan_of_a_later_frame_is_its_first_marker(name: str, inside: bytes) -> None:
    plain, seen = checked(frame(name)), Seen()
    assert checked(plain, seen=seen) == plain
    assert seen.header
    planted = plain[:-2] + inside + EOI
    after = outcome(planted, seen)
    assert after == outcome(planted, Seen())
    assert after is None if inside[1] == 0xFE else after == plain + bytes(len(inside))


@pytest.mark.parametrize("code", [b"\xff\x02", b"\xff\x7f", b"\xff\x80", b"\xff\xbf", b"\xff\xff\x05"])
def test_codes_that_no_scan_has_are_said(code: bytes) -> None:
    plain = checked(frame("JPGExtended.dcm"))
    with pytest.raises(UnknownStructure):
        checked(plain[:-2] + code + SECRET + plain[-2:])


@pytest.mark.parametrize("name", JPEG_FILES)
@pytest.mark.parametrize("surplus", [b"\xff", SECRET, SECRET * 1000, b"\xff\xd8" + SECRET + EOI])
def test_what_is_behind_the_end_of_a_jpeg_becomes_zeros(name: str, surplus: bytes) -> None:
    plain = checked(frame(name))
    assert checked(plain + surplus) == plain + bytes(len(surplus))


@pytest.mark.parametrize("surplus", [b"", b"\0", SECRET])
def test_jpeg_comments_behind_the_scan_become_zeros(surplus: bytes) -> None:
    plain = checked(frame("JPGExtended.dcm"))
    planted = plain[:-2] + segment(0xFE, SECRET) + EOI + surplus
    cleared = plain[:-2] + segment(0xFE, bytes(len(SECRET))) + EOI + bytes(len(surplus))
    assert checked(planted) == cleared


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
    plain = checked(plain)
    planted = plain[:2] + segment(marker, kept + lost) + plain[2:]
    assert checked(planted) == plain[:2] + segment(marker, kept + bytes(len(lost))) + plain[2:]


def test_fill_bytes_before_a_marker_are_read_over() -> None:
    plain = checked(frame("JPGExtended.dcm"))
    planted = plain[:2] + b"\xff" * 5 + segment(0xFE, SECRET) + plain[2:]
    assert SECRET not in checked(planted)
    with pytest.raises(UnknownStructure):
        checked(plain[:2] + b"\xff\xff" + SECRET + plain[2:])


SOF = segment(0xC0, b"\x08\0\x08\0\x08\3" + b"\1\x11\0\2\x11\0\3\x11\0")


def scan(component: int) -> bytes:
    return segment(0xDA, bytes((1, component, 0, 0, 63, 0))) + b"\x12\xff\x00\x34\xff\xd0\x56\xff\x00"


def test_comments_between_scans_become_zeros() -> None:
    def stream(comment: bytes) -> bytes:
        between = segment(0xFE, comment)
        return b"\xff\xd8" + SOF + scan(1) + between + scan(2) + between + scan(3) + bytes(2000) + EOI

    assert checked(stream(SECRET)) == stream(bytes(len(SECRET)))


@pytest.mark.parametrize("shift", range(-2, 3))
def test_an_end_that_lies_across_two_reads_is_found(shift: int) -> None:
    head = b"\xff\xd8" + segment(0xC0, b"\x08\0\x08\0\x08\1\1\x11\0") + segment(0xDA, b"\1\1\0\0\x3f\0")
    stream = head + bytes((1 << 18) + shift) + EOI
    assert checked(stream + SECRET) == stream + bytes(len(SECRET))


@pytest.mark.parametrize("name", JPEG_2000_FILES)
def test_jpeg_2000_comments_become_zeros(name: str) -> None:
    plain = checked(frame(name))
    after_siz = 4 + struct.unpack_from(">H", plain, 4)[0]
    planted = plain[:after_siz] + segment(0x64, b"\0\1" + SECRET) + plain[after_siz:]
    cleared = plain[:after_siz] + segment(0x64, b"\0\1" + bytes(len(SECRET))) + plain[after_siz:]
    assert checked(planted) == cleared
    assert checked(planted + SECRET) == cleared + bytes(len(SECRET))


@pytest.mark.parametrize("name", JPEG_2000_FILES)
@pytest.mark.parametrize("marker", [0x54, 0x65, 0x6F, 0x70, 0x7F])
def test_segments_that_jpeg_2000_does_not_know_become_zeros(name: str, marker: int) -> None:
    plain = checked(frame(name))
    after_siz = 4 + struct.unpack_from(">H", plain, 4)[0]
    for at in (after_siz, plain.index(b"\xff\x93")):
        start, size = (plain.index(b"\xff\x90"), len(SECRET) + 4) if plain[at + 1] == 0x93 else (0, 0)
        head = bytearray(plain[:at])
        if size and (length := int.from_bytes(head[start + 6 : start + 10], "big")):
            head[start + 6 : start + 10] = (length + size).to_bytes(4, "big")
        planted = bytes(head) + segment(marker, SECRET) + plain[at:]
        assert checked(planted) == bytes(head) + segment(marker, bytes(len(SECRET))) + plain[at:]


@pytest.mark.parametrize("added", [segment(0x77, SECRET), b"\xff\x30\xff\x39"])
def test_what_only_extensions_of_jpeg_2000_know_is_said(added: bytes) -> None:
    plain = checked(frame("MR_small_jp2klossless.dcm"))
    after_siz = 4 + struct.unpack_from(">H", plain, 4)[0]
    with pytest.raises(UnknownStructure):
        checked(plain[:after_siz] + added + plain[after_siz:])


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
    assert checked(stream(SECRET, SECRET)) == stream(zeros, zeros)


def test_a_codestream_without_its_end_marker_is_whole() -> None:
    plain = checked(frame("MR_small_jp2klossless.dcm"))
    assert checked(plain[:-2] + b"x") == plain[:-2] + b"\0"


def box(kind: bytes, content: bytes, *, long: bool = False) -> bytes:
    if long:
        return struct.pack(">L4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">L4s", len(content) + 8, kind) + content


def test_boxes_that_decode_nothing_become_zeros() -> None:
    codestream = checked(frame("MR_small_jp2klossless.dcm"))
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

    assert checked(stream(SECRET)) == stream(bytes(len(SECRET)))


@pytest.mark.parametrize("kind", [b"jxlc", b"jxlp", b"jbrd"])
def test_what_is_around_a_jpeg_xl_codestream_becomes_zeros_and_what_is_in_it_is_said(kind: bytes) -> None:
    def stream(text: bytes) -> bytes:
        around = box(b"Exif", text) + box(b"xml ", text) + box(b"brob", text) + box(b"jumb", text)
        return box(b"JXL ", b"\r\n\x87\n") + around + box(kind, b"\xff\x0a" + SECRET) + text[:7]

    assert checked(stream(SECRET), unsure=True) == stream(bytes(len(SECRET)))


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


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "JPGExtended.dcm"])
def test_a_frame_that_is_cut_off_while_it_is_read_is_said(name: str) -> None:
    content = frame(name)
    left = content[: len(content) // 2]
    stream = Stream(lambda at, size: left[at : at + size], [Part(0, len(content))], [])
    with pytest.raises(UnknownStructure):
        check_frame(stream, Seen())


@pytest.mark.parametrize(("name", "empty"), [("JPGExtended.dcm", 0xFE), ("MR_small_jp2klossless.dcm", 0x5F)])
def test_a_frame_of_more_segments_than_are_followed_is_said(name: str, empty: int) -> None:
    plain = checked(frame(name))
    at = 2 if plain[1] == 0xD8 else 4 + struct.unpack_from(">H", plain, 4)[0]

    def stream(count: int) -> bytes:
        return plain[:at] + segment(empty, b"") * count + plain[at:]

    assert checked(stream(1000)) == stream(1000)
    assert checked(stream(1 << 17) + SECRET, unsure=True) == stream(1 << 17) + SECRET


@given(st.sampled_from(JPEG_FILES + JPEG_2000_FILES), st.lists(st.integers(1, 4000), max_size=6))
def test_where_fragments_are_cut_makes_no_difference(name: str, cuts: list[int]) -> None:
    plain = frame(name)
    marker = segment(0xFE, SECRET) if plain[1] == 0xD8 else b""
    planted = plain[:2] + marker + plain[2:] + SECRET
    assert checked(planted, tuple(cuts)) == checked(planted)


@given(st.data(), st.sampled_from(JPEG_FILES + JPEG_2000_FILES))
def test_broken_frames_end_in_order(data: st.DataObject, name: str) -> None:
    content = bytearray(frame(name))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(2, min(len(content), 400) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = checked(bytes(content))
    except UnknownStructure:
        return
    assert all(new in (old, 0) for old, new in zip(content, result, strict=True))


CELLS = bytes(range(256)) * 4


def deflated(content: bytes, level: int = 9) -> bytes:
    deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


def inflated(content: bytes, length: int = len(CELLS), cuts: tuple[int, ...] = ()) -> bytes:
    return checked(content, cuts, seen=Seen(length=length), check=check_deflated)


@pytest.mark.parametrize("level", [0, 1, 9])  # 0 stores all as it is
@pytest.mark.parametrize(
    "surplus", [b"", b"\0", b"\x41", SECRET, SECRET * 1000, deflated(SECRET), bytes(1 << 19) + SECRET]
)
def test_what_is_behind_a_deflated_frame_becomes_zeros(level: int, surplus: bytes) -> None:
    plain = deflated(CELLS, level)
    assert inflated(plain + surplus) == plain + bytes(len(surplus))
    assert inflated(plain + surplus, cuts=(3, 100, len(plain) - 1)) == plain + bytes(len(surplus))


def test_a_long_deflated_frame_is_read_to_its_end() -> None:
    for level in (0, 9):
        plain = deflated(CELLS * 2000, level)
        assert inflated(plain + SECRET, len(CELLS) * 2000) == plain + bytes(len(SECRET))


@pytest.mark.parametrize("surplus", [b"\x41", b"\0\0", SECRET, b"\0" + SECRET, bytes(1 << 26)])
def test_what_is_behind_the_last_pixel_of_a_deflated_frame_is_refused(surplus: bytes) -> None:
    with pytest.raises(FileRefused) as refused:
        inflated(deflated(CELLS + surplus))
    assert refused.value.reason is Reason.UNSUPPORTED


def test_a_padding_byte_may_be_deflated_too() -> None:
    plain = deflated(CELLS[:-1] + b"\0")
    assert inflated(plain, len(CELLS) - 1) == plain


@pytest.mark.parametrize("content", [deflated(CELLS)[:-1], deflated(CELLS[1:]), zlib.compress(CELLS), SECRET, b"\0"])
def test_what_is_no_deflated_frame_is_said(content: bytes) -> None:
    for length in (len(CELLS), 0):
        with pytest.raises(UnknownStructure):
            inflated(content, length)


@given(st.binary(max_size=200), st.integers(0, 300))
def test_any_bytes_as_a_deflated_frame_end_in_order(content: bytes, length: int) -> None:
    try:
        result = inflated(content, length)
    except (UnknownStructure, FileRefused):
        return
    before, after = (zlib.decompressobj(-zlib.MAX_WBITS).decompress(data) for data in (content, result))
    assert before == after
    assert all(new in (old, 0) for old, new in zip(content, result, strict=True))


def test_what_is_behind_the_last_pixel_of_an_uncompressed_frame_becomes_zeros() -> None:
    for seen, content in ((Seen(length=9), b"abcdefghi"), (Seen(length=64), b"\xff\xd8\xff\xfe" + bytes(60))):
        assert checked(content + SECRET, seen=seen, check=check_uncompressed) == content + bytes(len(SECRET))
    for seen in (Seen(), Seen(length=10)):
        with pytest.raises(UnknownStructure):
            checked(b"abcdefghi", seen=seen, check=check_uncompressed)


def test_fill_before_a_marker_is_not_read_as_a_whole() -> None:
    """T.81 B.1.1.2: any number of FF may stand there."""
    start, rest = frame("JPGExtended.dcm")[:2], frame("JPGExtended.dcm")[2:]
    content, longest = start + b"\xff" * (4 * SEARCH) + rest, 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal longest
        longest = max(longest, length)
        return content[offset : offset + length]

    patches: list[tuple[int, bytes]] = []
    check_frame(Stream(read_at, [Part(0, len(content))], patches), Seen())
    assert longest == SEARCH
    with pytest.raises(UnknownStructure):
        check_frame(Stream(read_at, [Part(0, 2 * SEARCH)], patches), Seen())


def test_a_frame_of_many_scans_is_read_once() -> None:
    scans = segment(0xDA, b"ab") + b"\1\2"
    content, read = b"\xff\xd8" + (scans + b"\xff" + scans) * 1000 + EOI, 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal read
        read += length
        return content[offset : offset + length]

    check_frame(Stream(read_at, [Part(0, len(content))], []), Seen())
    assert read < 3 * len(content)


def test_what_overwrites_the_comments_of_many_frames_is_kept_once() -> None:
    content = frame("JPGExtended.dcm")
    commented = content[:2] + segment(0xFE, SECRET * 1000) + content[2:]
    whole, patches = commented * 100, list[tuple[int, bytes]]()
    for at in range(0, len(whole), len(commented)):
        parts = [Part(at, len(commented))]
        check_frame(Stream(lambda offset, length: whole[offset : offset + length], parts, patches), Seen())
    assert len(patches) >= 100
    assert len({id(patch) for _, patch in patches}) <= len(patches) // 100


@pytest.mark.parametrize("count", [3, 4])
def test_more_fragments_than_a_sequence_has_items_are_refused(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(fragments, "MAX_ITEMS", 3)
    table, one = b"\xfe\xff\x00\xe0" + bytes(4), b"\xfe\xff\x00\xe0\2\0\0\0ab"
    raw = table + one * count + b"\xfe\xff\xdd\xe0" + bytes(4)
    with pytest.raises(FileRefused) if count > 3 else nullcontext():
        found = fragments.fragments_of(FileRange(0, len(raw)), lambda at, size: raw[at : at + size])
        assert len(found) == count
