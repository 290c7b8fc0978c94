"""RLE: what is no part of the image becomes zeros, and so do unused bits; every value and every length stays."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import generate_frames

from dicom_anon import rle as checks
from dicom_anon.cells import plane_masks
from dicom_anon.codestreams import Seen, check_frame
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.fragments import SEARCH, Part, Stream, UnknownStructure
from tests.datasets import real_file
from tests.unit.test_codestreams import SECRET, checked


def rle(content: bytes, cells: int = 8, segments: int = 2) -> bytes:
    return checked(content, seen=Seen(cells, segments))


RUNS = [
    b"\7abcdefgh",  # literal
    b"\xf9a",  # replicated
    b"\x80\x80\1ab\xfec\x80\2def",  # both, and codes that mean nothing (PS3.5 G.3.1)
    b"\3abcd\xf0e",  # more than a segment holds
]


def rle_frame(runs: list[bytes], gaps: list[bytes], unused: bytes = b"") -> bytes:
    """A frame with something before, between and behind its segments."""
    content, offsets = gaps[0], []
    for run, gap in zip(runs, gaps[1:], strict=True):
        offsets.append(64 + len(content))
        content += run + gap
    return (
        struct.pack(f"<{len(runs) + 1}L", len(runs), *offsets).ljust(64, b"\0")[: 64 - len(unused)] + unused + content
    )


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("text", [b"\x41", SECRET, b"\0\0\0\0" + SECRET, SECRET * 5, bytes(1 << 19) + SECRET])
def test_what_no_run_of_rle_needs_becomes_zeros(runs: bytes, place: int, text: bytes) -> None:
    def stream(gap: bytes, unused: bytes) -> bytes:
        return rle_frame([runs, runs], [gap if number == place else b"" for number in range(3)], unused)

    unused = SECRET if place == 3 else b""
    assert rle(stream(text, unused)) == stream(bytes(len(text)), bytes(len(unused)))


def test_a_long_segment_of_rle_is_read_to_its_end() -> None:
    run = b"\x7f" + bytes(range(128))
    stream = rle_frame([run * 4000, b"\x81a" * 4000], [b"", SECRET, SECRET])
    assert rle(stream, 128 * 4000) == rle_frame([run * 4000, b"\x81a" * 4000], [b"", *[bytes(len(SECRET))] * 2])


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "MR_small_RLE.dcm", "SC_rgb_rle_32bit.dcm", "OBXXXX1A_rle.dcm"])
def test_a_real_rle_frame_stays(name: str) -> None:
    data_set = dcmread(real_file(name))
    content = next(generate_frames(data_set.PixelData, number_of_frames=int(data_set.get("NumberOfFrames") or 1)))
    segments = data_set.SamplesPerPixel * data_set.BitsAllocated // 8
    cells = data_set.Rows * data_set.Columns
    assert rle(content, cells, segments) == content
    assert rle(content + SECRET, cells, segments) == content + bytes(len(SECRET))


@pytest.mark.parametrize(
    "content",
    [
        rle_frame([], [b""]) + bytes(9),
        rle_frame([b"\xf9a"], [b"", b""]),  # fewer segments than bytes in a pixel
        rle_frame([b"\xf9a"] * 3, [b""] * 4),
        rle_frame([b"\xf9a", b"\xfaa"], [b"", b"", b""]),  # short
        rle_frame([b"\xf9a", b"\7abc"], [b"", b"", b""]),
        rle_frame([b"\xf9a", b""], [b"", b"", b""]),
        struct.pack("<3L", 2, 63, 66).ljust(64, b"\0") + b"\xf9a\xf9a",
        struct.pack("<3L", 2, 66, 64).ljust(64, b"\0") + b"\xf9a\xf9a",
        struct.pack("<3L", 2, 64, 99).ljust(64, b"\0") + b"\xf9a\xf9a",
        struct.pack("<3L", 2, 64, 68).ljust(64, b"\0") + b"\xf9a\xf9a",
        b"\2\0\0\0",
    ],
)
def test_what_is_no_rle_frame_is_said(content: bytes) -> None:
    with pytest.raises(UnknownStructure):
        rle(content)
    with pytest.raises(UnknownStructure):
        rle(rle_frame([b"\xf9a"] * 2, [b""] * 3), cells=0)


# Unused bits


def cleared(content: bytes, seen: Seen) -> bytes:
    """The frame afterwards; nothing but unused bits may have to be overwritten."""
    patches: list[tuple[int, bytes]] = []
    whole = b"before" + content
    part = Part(6, len(content))
    check_frame(Stream(lambda at, size: whole[at : at + size], [part], patches), seen)
    assert patches == []
    result = bytearray(whole)
    for offset, patch in seen.cleared:
        assert result[offset : offset + len(patch)] != patch
        result[offset : offset + len(patch)] = patch
    assert result[:6] == b"before"
    assert len(result) == len(whole)
    return bytes(result[6:])


def runs_of(segment: bytes) -> Iterator[bytes]:
    """Bytes that each run of a segment decodes to (PS3.5 section G.3.2)."""
    pos = 0
    while pos < len(segment):
        code = segment[pos]
        if code < 128:
            yield segment[pos + 1 : pos + 2 + code]
        elif code > 128:
            yield segment[pos + 1 : pos + 2] * (257 - code)
        pos += code + 2 if code < 128 else 1 + (code > 128)


def decoded(content: bytes, size: int) -> list[int]:
    """Cells of so many bytes of a frame of one sample."""
    count, *offsets = struct.unpack("<16L", content[:64])
    edges = [*offsets[:count], len(content)]
    planes = [b"".join(runs_of(content[start:end])) for start, end in pairwise(edges)]
    assert count == size
    return [int.from_bytes(cell, "big") for cell in zip(*planes, strict=True)]


def with_bits(segment: bytes, bits: int) -> bytes:
    """Segment with such bits in all that it decodes to."""
    result, pos = bytearray(segment), 0
    while pos < len(segment):
        code = segment[pos]
        size = code + 1 if code < 128 else int(code > 128)
        for at in range(pos + 1, min(pos + 1 + size, len(segment))):  # the last byte may be padding
            result[at] |= bits
        pos += 1 + size
    return bytes(result)


@st.composite
def segments_of(draw: st.DrawFn, cells: int, values: st.SearchStrategy[int]) -> bytes:
    """A segment of random runs for so many cells."""
    result = b""
    while cells:
        size = draw(st.integers(1, min(cells, 128)))
        kind = draw(st.sampled_from("lrn" if size > 1 else "ln"))
        if kind == "n":
            result += b"\x80"  # means nothing
            continue
        held = bytes(draw(st.lists(values, min_size=size, max_size=size))) if kind == "l" else bytes((draw(values),))
        result += bytes((size - 1 if kind == "l" else 257 - size,)) + held
        cells -= size
    return result


def value_of(cell: int, stored: int, high: int, signed: bool) -> int:
    """Value of a cell by PS3.5 section 8.1.1."""
    value = cell >> (high + 1 - stored) & (1 << stored) - 1
    return value - (1 << stored) if signed and value >> (stored - 1) else value


@given(st.data())
def test_cells_of_rle_are_the_value_and_nothing_else(data: st.DataObject) -> None:
    allocated = data.draw(st.sampled_from((8, 16, 32)))
    signed = data.draw(st.booleans())
    high = data.draw(st.integers(allocated - 8 if signed else 0, allocated - 1))
    stored = data.draw(st.integers(1, high + 1))
    cells, size = data.draw(st.integers(1, 300)), allocated // 8
    values = data.draw(st.sampled_from((st.integers(0, 255), st.integers(0, 15), st.just(0))))
    content = rle_frame([data.draw(segments_of(cells, values)) for _ in range(size)], [b""] * (size + 1))
    planes = plane_masks(allocated, stored, high, signed=signed)
    seen = Seen(cells, size, planes=planes)
    after = cleared(content, seen)
    expected = [value_of(cell, stored, high, signed) for cell in decoded(content, size)]
    zero_filled, extended = (
        [(value << (high + 1 - stored)) & bits for value in expected]
        for bits in ((1 << high + 1) - 1, (1 << allocated) - 1)
    )
    assert decoded(after, size) in (zero_filled, extended)
    assert bool(seen.cleared) == (after != content)
    assert cleared(after, again := Seen(cells, size, planes=planes)) == after
    assert again.cleared == []


@pytest.mark.parametrize("bits", [0x10, 0x80, 0xF0])
def test_bits_that_were_set_in_a_real_frame_go(bits: int) -> None:
    data_set = dcmread(real_file("emri_small_RLE.dcm"))
    assert (data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit) == (16, 12, 11)
    for content in generate_frames(data_set.PixelData, number_of_frames=data_set.NumberOfFrames):
        seen = Seen(data_set.Rows * data_set.Columns, 2, planes=plane_masks(16, 12, 11, signed=False))
        assert cleared(content, seen) == content
        first, second = struct.unpack_from("<2L", content, 4)
        dirty = content[:first] + with_bits(content[first:second], bits) + content[second:]
        assert decoded(dirty, 2) == [cell | bits << 8 for cell in decoded(content, 2)]
        assert cleared(dirty, seen) == content


def test_every_sample_of_a_pixel_has_its_own_bytes() -> None:
    high, low = b"\xf9\x1f", b"\xf9\xff"
    planes = plane_masks(16, 12, 11, signed=False)
    content = rle_frame([high, low] * 3, [b""] * 7)
    assert cleared(content, Seen(8, 6, planes=planes)) == rle_frame([b"\xf9\x0f", low] * 3, [b""] * 7)


@pytest.mark.parametrize("start", [*range(SEARCH - 131, SEARCH + 2), 2 * SEARCH - 64])
def test_a_run_across_the_end_of_what_is_read_at_a_time_is_cleared_whole(start: int) -> None:
    run = b"\x7f" + bytes(128)
    segment = b"\x80" * (start % 129) + run * (start // 129) + b"\x7f" + b"\xf1" * 128 + run
    cells, planes = 128 * (start // 129 + 2), plane_masks(8, 4, 3, signed=False)
    expected = segment.replace(b"\xf1", b"\x01")
    assert cleared(rle_frame([segment], [b"", b""]), Seen(cells, 1, planes=planes)) == rle_frame([expected], [b"", b""])


@pytest.mark.parametrize("behind", [b"", SECRET])
def test_what_is_behind_a_segment_is_no_part_of_its_unused_bits(behind: bytes) -> None:
    planes = plane_masks(16, 12, 11, signed=False)
    content = rle_frame([b"\3\x11\x02\x03\x04\xfd\x15", b"\xf9a"], [b"", behind, b""])
    seen = Seen(8, 2, planes=planes)
    blank = rle_frame([b"\3\x11\x02\x03\x04\xfd\x15", b"\xf9a"], [b"", bytes(len(behind)), b""])
    assert checked(content, seen=seen) == blank
    assert cleared(blank, Seen(8, 2, planes=planes)) == rle_frame(
        [b"\3\x01\x02\x03\x04\xfd\x05", b"\xf9a"], [b"", bytes(len(behind)), b""]
    )


@pytest.mark.parametrize(
    "content",
    [
        rle_frame([b"\xf9a", b"\xfaa"], [b""] * 3),  # short
        rle_frame([b"\7abc", b"\xf9a"], [b""] * 3),  # goes on in the next segment
        rle_frame([b"", b"\xf9a"], [b""] * 3),
    ],
)
def test_a_frame_with_unused_bits_that_is_short_is_said(content: bytes) -> None:
    with pytest.raises(UnknownStructure):
        checked(content, seen=Seen(8, 2, planes=plane_masks(16, 4, 8, signed=False)))


def test_where_unused_bits_are_not_known_the_rest_is_checked_all_the_same() -> None:
    content = rle_frame([b"\xf9a"] * 2, [b"", b"", SECRET])
    blank = rle_frame([b"\xf9a"] * 2, [b"", b"", bytes(len(SECRET))])
    assert checked(content, seen=Seen(8, 2, planes=None), unsure=True) == blank


def test_more_than_fits_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run = b"\x7f" + b"\xf1" * 128
    content = rle_frame([run * 64], [b"", b""])
    seen = Seen(128 * 64, 1, planes=plane_masks(8, 4, 3, signed=False))
    assert cleared(content, seen) == rle_frame([run.replace(b"\xf1", b"\x01") * 64], [b"", b""])
    monkeypatch.setattr(checks, "_MOST_BLOCKS", len(seen.cleared) - 1)
    with pytest.raises(FileRefused) as refused:
        cleared(content, Seen(128 * 64, 1, planes=seen.planes))
    assert refused.value.reason is Reason.UNSUPPORTED
