"""Pixel data: what is hidden beside the pixels goes, and every pixel is as before."""

from __future__ import annotations

import functools
import importlib.util
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_anon import anonymize_file
from dicom_anon.assignment import resolve
from dicom_anon.cells import cell_mask
from dicom_anon.dicomfile import DicomFile
from dicom_anon.elements import EXPLICIT_LITTLE, FileRange
from dicom_anon.engine import Engine, Plan
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.native import PIXEL_DATA
from dicom_anon.pixelplan import BLANKED, CHUNK, NOT_CHECKED, TRIMMED, UNUSED_BITS, PixelPlan, pieces
from dicom_anon.pixels import NATIVE, plan_pixels
from dicom_anon.planned import pixels_planned
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.scope import FileScope, Level, RunFacts
from tests.datasets import (
    ENCODINGS,
    KEY,
    SYNTAXES,
    decode,
    encode,
    engine,
    file_bytes,
    image,
    item,
    joined,
    read_file,
    real_file,
    real_files,
    walked,
)
from tests.unit.test_rle import with_bits

SECRET = b"Doe^Jane 1961-12-30 "
COMMENT = struct.pack(">HH", 0xFFFE, len(SECRET) + 2)


class Cleaned:
    """Pixel data of one file before and after."""

    def __init__(self, path: Path, *, tag: int = PIXEL_DATA) -> None:
        read = read_file(path)
        scope = FileScope(read.data.buf, RunFacts(), Pseudonyms(KEY))
        scope.root = root = Level(scope, read.data.spans, read.data.encoding, None, 0)
        span = root.find(tag)
        assert span is not None
        content = read.data.bulk[span[2]]
        self.before = joined([content], read.source)
        self.is_native = not read.data.buf[: span[3]].endswith(b"\xff\xff\xff\xff")
        self.bytes_read = 0

        def read_at(offset: int, length: int) -> bytes:
            self.bytes_read += length
            return read.source[offset : offset + length]

        self.plan: PixelPlan = plan_pixels(root, read.transfer_syntax, content, read_at, tag)
        self.notes = set(self.plan.notes)
        self.after = joined(list(pieces(content, self.plan, read_at, self.notes)), read.source)


def written(path: Path, data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    path.write_bytes(file_bytes(data_set, syntax))
    return path


def fragment(content: bytes) -> bytes:
    content += b"\0" * (len(content) % 2)
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


def with_frames(path: Path, name: str, frames: list[list[bytes]]) -> Path:
    """Real file with these fragments for each frame, and a Basic Offset Table."""
    data_set = dcmread(real_file(name))
    values = [b"".join(map(fragment, parts)) for parts in frames]
    starts = [sum(map(len, values[:at])) for at in range(len(values))]
    data_set.PixelData = fragment(struct.pack(f"<{len(starts)}L", *starts)) + b"".join(values)
    data_set.NumberOfFrames = len(frames)
    data_set["PixelData"].is_undefined_length = True
    data_set.save_as(path)
    return path


def frames_of(name: str) -> list[bytes]:
    data_set = dcmread(real_file(name))
    frames = generate_frames(data_set.PixelData, number_of_frames=int(data_set.get("NumberOfFrames") or 1))
    return [frame if "RLE" in name else frame[: frame.rindex(b"\xff\xd9") + 2] for frame in frames]


def decoded(path: Path, value: bytes) -> bytes | None:
    """Pixels as pydicom decodes them; `None` where it cannot, for want of a plug-in among other things."""
    if not importlib.util.find_spec("numpy"):
        return None
    data_set = dcmread(path, force=True)
    syntax = data_set.file_meta.get("TransferSyntaxUID", "")
    data_set.PixelData = value if syntax in NATIVE else value[:-8]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bytes(data_set.pixel_array.tobytes())
    except (AttributeError, NotImplementedError, RuntimeError, ValueError):
        return None


def only_zeros_differ(before: bytes, after: bytes) -> bool:
    """Tell whether nothing but zeros took the place of bytes."""
    blocks = range(0, len(after), 4096)
    changed = (at for at in blocks if before[at : at + 4096] != after[at : at + 4096])
    return all(
        new in (old, 0)
        for at in changed
        for old, new in zip(before[at : at + 4096], after[at : at + 4096], strict=False)
    )


@functools.cache
def with_pixel_data() -> tuple[Path, ...]:
    found = []
    for path in real_files():
        try:
            read = read_file(path)
        except FileRefused:
            continue
        if any(span[0] == PIXEL_DATA for span in read.data.spans):
            found.append(path)
    return tuple(found)


@pytest.mark.parametrize("path", with_pixel_data(), ids=lambda path: path.name)
def test_real_files_keep_their_pixels(path: Path) -> None:
    done = Cleaned(path)
    assert done.after == done.before or decoded(path, done.after) == decoded(path, done.before)
    assert len(done.after) == (len(done.before) if done.plan.length is None else done.plan.length)
    if UNUSED_BITS not in done.notes:
        assert only_zeros_differ(done.before, done.after)


def test_what_real_files_hold_beside_their_pixels() -> None:
    notes = {path.name: Cleaned(path).notes for path in with_pixel_data() if path.stat().st_size < 2 << 20}
    assert notes["JPGLosslessP14SV1_1s_1f_8b.dcm"] == {BLANKED}  # a comment of its encoder
    assert notes["693_J2KI.dcm"] == {BLANKED}
    assert notes["MR_small_padded.dcm"] == {TRIMMED}
    assert notes["mlut_18.dcm"] == {UNUSED_BITS}  # signs are extended in some cells and not in others
    assert notes["badVR.dcm"] == {NOT_CHECKED}  # Number of Frames is 1A
    without_image_header = {"meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm"}
    assert {name for name in notes if NOT_CHECKED in notes[name]} - without_image_header == {"badVR.dcm"}
    assert {name for name in notes if TRIMMED in notes[name]} == {"MR_small_padded.dcm"}


# Frames


def planted(frame: bytes) -> tuple[bytes, bytes]:
    """Frame with a comment and something behind its end, and what has to become of it."""
    zeros = bytes(len(SECRET))
    if frame[1] == 0xD8:
        head, rest = frame[:2], frame[2:]
        return head + COMMENT + SECRET + rest + SECRET, head + COMMENT + zeros + rest + zeros
    at = 4 + struct.unpack_from(">H", frame, 4)[0]
    comment = struct.pack(">HHH", 0xFF64, len(SECRET) + 4, 1)
    head, rest = frame[:at] + comment, frame[at:]
    return head + SECRET + rest + SECRET, head + zeros + rest + zeros


COMPRESSED = [
    "examples_ybr_color.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "JPGExtended.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "examples_jpeg2k.dcm",
]


@pytest.mark.parametrize("name", COMPRESSED)
def test_comments_and_surplus_of_every_frame_go(tmp_path: Path, name: str) -> None:
    plain = [[planted(frame)[1]] for frame in frames_of(name)]
    dirty = [[planted(frame)[0]] for frame in frames_of(name)]
    done = Cleaned(with_frames(tmp_path / "dirty", name, dirty))
    clean = Cleaned(with_frames(tmp_path / "clean", name, plain))
    assert done.before.count(SECRET) == 2 * len(dirty)
    assert SECRET not in done.after
    assert done.after == clean.after
    assert done.notes == {BLANKED}
    assert decoded(tmp_path / "dirty", done.after) == decoded(tmp_path / "dirty", done.before)


@pytest.mark.parametrize("name", COMPRESSED)
def test_frames_in_several_fragments(tmp_path: Path, name: str) -> None:
    fragments = []
    for frame in frames_of(name):
        dirty, _ = planted(frame)
        cut = dirty.index(SECRET) // 2 * 2 + 6
        fragments.append([dirty[:cut], dirty[cut : cut + 8], dirty[cut + 8 :]])
    path = with_frames(tmp_path / "file", name, fragments)
    done = Cleaned(path)
    assert done.notes == {BLANKED}
    assert SECRET[:6] in done.before
    assert all(part not in done.after for part in (SECRET[:4], SECRET[-8:]))
    assert only_zeros_differ(done.before, done.after)
    assert decoded(path, done.after) == decoded(path, done.before)


def test_frames_are_read_once(tmp_path: Path) -> None:
    frames = [[frame] for frame in frames_of("examples_ybr_color.dcm")]
    path = with_frames(tmp_path / "file", "examples_ybr_color.dcm", frames * 4)
    done = Cleaned(path)
    assert done.plan.notes == frozenset()
    assert done.bytes_read < len(done.before) * 1.2
    dirty = [[parts[0][:2] + COMMENT + SECRET + parts[0][2:]] for parts in frames]
    assert SECRET not in Cleaned(with_frames(path, "examples_ybr_color.dcm", dirty)).after


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_dcmtk.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm"])
@pytest.mark.parametrize("clean", range(3))
@pytest.mark.parametrize("behind", [SECRET, SECRET + bytes(4000), SECRET + bytes(4000) + b"\xff\xd9"])
def test_what_is_behind_a_later_frame_goes(tmp_path: Path, name: str, clean: int, behind: bytes) -> None:
    frame, *_ = frames_of(name)
    path = with_frames(tmp_path / "file", name, [*[[frame]] * clean, [frame + behind]])
    done = Cleaned(path)
    assert done.notes == {BLANKED}
    assert done.after == done.before.replace(behind, bytes(len(behind)))


def with_table(path: Path, table: bytes) -> Path:
    """File of three frames, the second in two fragments, with such a Basic Offset Table."""
    first, *_ = frames_of("JPGExtended.dcm")
    first += b"\0" * (len(first) % 2)
    with_frames(path, "JPGExtended.dcm", [[first], [first[:1000], first[1000:]], [first]])
    data_set = dcmread(path)
    length = int.from_bytes(data_set.PixelData[4:8], "little")
    data_set.PixelData = fragment(table) + data_set.PixelData[8 + length :]
    data_set["PixelData"].is_undefined_length = True
    data_set.save_as(path)
    return path


@pytest.mark.parametrize(
    "table",
    [
        SECRET,
        SECRET[:3] + b" ",
        bytes(4) + SECRET[:8],
        struct.pack("<3L", 0, 0, 0),
        struct.pack("<2L", 8, 0),
        struct.pack("<2L", 0, 10),
        bytes(4) + b"ab",
        SECRET * 100,
    ],
)
def test_a_basic_offset_table_that_points_to_no_fragments_is_written_empty(tmp_path: Path, table: bytes) -> None:
    done = Cleaned(with_table(tmp_path / "file", table))
    assert done.notes == {BLANKED}
    assert done.after == fragment(b"") + done.before[8 + len(table) :]
    assert in_item(tmp_path / "file") == (done.after[:-8], {BLANKED})
    video = Cleaned(written(tmp_path / "video", dcmread(tmp_path / "file"), "1.2.840.10008.1.2.4.102"))
    assert (video.notes, video.after) == ({BLANKED, NOT_CHECKED}, done.after)


def test_a_basic_offset_table_that_points_to_fragments_stays(tmp_path: Path) -> None:
    done = Cleaned(with_table(tmp_path / "file", b""))
    places, pos = [], 8
    while done.before[pos : pos + 4] == b"\xfe\xff\x00\xe0":
        places.append(pos - 8)
        pos += 8 + int.from_bytes(done.before[pos + 4 : pos + 8], "little")
    for entries in ([places[at] for at in (0, 1, 3)], places, [0]):
        table = struct.pack(f"<{len(entries)}L", *entries)
        done = Cleaned(with_table(tmp_path / "file", table))
        assert (done.notes, done.after) == (set(), done.before)
        assert done.before[8 : 8 + len(table)] == table


def with_extended_table(path: Path, table: dict[int, bytes]) -> Path:
    """File of two frames with such elements of an Extended Offset Table."""
    first, *_ = frames_of("JPGExtended.dcm")
    with_frames(path, "JPGExtended.dcm", [[first], [first]])
    data_set = dcmread(path)
    data_set.PixelData = fragment(b"") + data_set.PixelData[16:]
    data_set["PixelData"].is_undefined_length = True
    for element, value in table.items():
        data_set.add_new(0x7FE00000 | element, "OV", value)
    data_set.save_as(path)
    return path


def test_an_extended_offset_table_has_to_fit(tmp_path: Path) -> None:
    plain = Cleaned(with_extended_table(tmp_path / "plain", {}))
    first = int.from_bytes(plain.before[12:16], "little")
    second = int.from_bytes(plain.before[20 + first : 24 + first], "little")
    offsets, lengths = struct.pack("<2Q", 0, first + 8), struct.pack("<2Q", first, second - 1)
    total = struct.pack("<Q", first + second)
    for table in ({1: offsets, 2: lengths}, {1: offsets, 2: lengths, 3: total}, {3: total}):
        done = Cleaned(with_extended_table(tmp_path / "fits", table))
        assert (done.notes, done.after) == (set(), plain.after)
    for table in (
        {1: SECRET[:16], 2: lengths},
        {1: offsets, 2: SECRET[:16]},
        {1: offsets, 2: lengths[:8]},
        {1: offsets[8:] + offsets[:8], 2: lengths},
        {1: SECRET[:4], 2: SECRET[:4]},
        {2: SECRET},
        {1: offsets, 2: lengths, 3: SECRET[:8]},
        {3: SECRET},
    ):
        with pytest.raises(FileRefused) as refused:
            Cleaned(with_extended_table(tmp_path / "file", table))
        assert refused.value.reason is Reason.UNSUPPORTED
    long = Cleaned(with_extended_table(tmp_path / "long", {1: bytes(1 << 20), 2: bytes(1 << 20)}))
    assert long.notes == {NOT_CHECKED}


@pytest.mark.parametrize("element", [1, 2, 3])
def test_native_pixel_data_has_no_extended_offset_table(tmp_path: Path, element: int) -> None:
    data_set = image()
    data_set.add_new(0x7FE00000 | element, "OV", SECRET[:16])
    with pytest.raises(FileRefused) as refused:
        Cleaned(written(tmp_path / "file", data_set))
    assert refused.value.reason is Reason.UNSUPPORTED


def test_a_frame_that_is_not_understood_is_left_and_said(tmp_path: Path) -> None:
    first, *_ = frames_of("MR_small_jpeg_ls_lossless.dcm")
    done = Cleaned(
        with_frames(tmp_path / "file", "MR_small_jpeg_ls_lossless.dcm", [[b"\x12" * 40], [planted(first)[0]]])
    )
    assert done.notes == {NOT_CHECKED, BLANKED}
    assert b"\x12" * 40 in done.after
    assert SECRET not in done.after


def test_fragments_that_cannot_be_told_apart_are_left_and_said(tmp_path: Path) -> None:
    first, *_ = frames_of("JPGExtended.dcm")
    path = with_frames(tmp_path / "file", "JPGExtended.dcm", [[first], [b"\x12" * 40, b"\x12" * 40]])
    done = Cleaned(path)
    assert (done.notes, done.after) == ({NOT_CHECKED}, done.before)


def test_fewer_fragments_than_frames_are_refused(tmp_path: Path) -> None:
    path = with_frames(tmp_path / "file", "JPGExtended.dcm", [[frame] for frame in frames_of("JPGExtended.dcm")])
    data_set = dcmread(path)
    data_set.NumberOfFrames = 2
    data_set.save_as(path)
    with pytest.raises(FileRefused) as refused:
        Cleaned(path)
    assert refused.value.reason is Reason.PIXEL_DATA_SHORT


def encapsulated(path: Path, frames: list[bytes], syntax: str, **changes: Any) -> Cleaned:
    """What becomes of an image of 32 bytes a frame."""
    data_set = image(**{"NumberOfFrames": len(frames), **changes})
    data_set.PixelData = encapsulate(frames, has_bot=False)
    data_set["PixelData"].is_undefined_length = True
    return Cleaned(written(path, data_set, syntax))


def deflated(content: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflater.compress(content) + deflater.flush()
    return packed + bytes(len(packed) % 2)


@pytest.mark.parametrize("video", [b"\0\0\1\xb3", b"\x47" * 188, b"\0\0\0\x0cftypisom\0\0\0\0mdat"])
def test_video_is_left_and_said(tmp_path: Path, video: bytes) -> None:
    done = encapsulated(tmp_path / "file", [video + SECRET], "1.2.840.10008.1.2.4.102", NumberOfFrames=30)
    assert (done.notes, done.after) == ({NOT_CHECKED}, done.before)


def test_video_without_a_fragment_is_said(tmp_path: Path) -> None:
    data_set = image(PixelData=fragment(b""), NumberOfFrames=30)
    data_set["PixelData"].is_undefined_length = True
    done = Cleaned(written(tmp_path / "file", data_set, "1.2.840.10008.1.2.4.102"))
    assert (done.notes, done.after) == ({NOT_CHECKED}, done.before)


@pytest.mark.parametrize("cut", [0, 10, 30])
def test_user_data_of_a_movie_goes(tmp_path: Path, cut: int) -> None:
    def movie(text: bytes) -> bytes:
        user = struct.pack(">L", 8 + len(text)) + b"udta" + text
        return b"\0\0\0\x0cftypisom" + user + b"\0\0\0\x0cmdat\1\2\3\4"

    dirty, clean = movie(SECRET), movie(bytes(len(SECRET)))
    path, syntax = tmp_path / "file", "1.2.840.10008.1.2.4.102.1"
    done = encapsulated(path, [dirty[:cut], dirty[cut:]] if cut else [dirty], syntax, NumberOfFrames=30)
    plain = encapsulated(path, [clean[:cut], clean[cut:]] if cut else [clean], syntax, NumberOfFrames=30)
    assert (done.notes, plain.notes) == ({BLANKED, NOT_CHECKED}, {NOT_CHECKED})
    assert done.after == plain.after == plain.before


FRAMES = [bytes(range(32)), bytes(range(32, 64))]


@pytest.mark.parametrize(
    ("syntax", "packed"),
    [("1.2.840.10008.1.2.8.1", deflated), ("1.2.840.10008.1.2.1.98", bytes)],
    ids=["deflated", "uncompressed"],
)
def test_what_is_behind_frames_without_a_signature_goes(
    tmp_path: Path, syntax: str, packed: Callable[[bytes], bytes]
) -> None:
    frames = [packed(frame) for frame in FRAMES]
    path = tmp_path / "file"
    done = encapsulated(path, frames, syntax)
    assert (done.notes, done.after) == (set(), done.before)
    done = encapsulated(path, [frame + SECRET for frame in frames], syntax)
    assert done.before.count(SECRET) == 2
    assert (done.notes, done.after) == ({BLANKED}, done.before.replace(SECRET, bytes(len(SECRET))))
    done = encapsulated(path, [frame + SECRET for frame in frames], syntax, BitsStored=12, HighBit=11)
    assert done.notes == {BLANKED, NOT_CHECKED}  # what is in the unused bits is not known
    for changes in ({"Rows": None}, {"Rows": 5}, {"PhotometricInterpretation": "YBR_FULL_422"}):
        done = encapsulated(path, frames, syntax, **changes)
        assert (done.notes, done.after) == ({NOT_CHECKED}, done.before)


def test_frames_of_single_bits_are_whole_bytes_when_they_are_deflated(tmp_path: Path) -> None:
    bits = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "Rows": 3, "Columns": 3}
    frames = [deflated(b"\xff\1"), deflated(b"\0\0") + SECRET]
    done = encapsulated(tmp_path / "file", frames, "1.2.840.10008.1.2.8.1", **bits)
    assert (done.notes, done.after) == ({BLANKED}, done.before.replace(SECRET, bytes(len(SECRET))))


def test_a_deflated_frame_that_holds_more_than_the_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as refused:
        encapsulated(tmp_path / "file", [deflated(FRAMES[0]), deflated(FRAMES[1] + SECRET)], "1.2.840.10008.1.2.8.1")
    assert refused.value.reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("boxes", [b"", b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\0jxlc"])
def test_a_jpeg_xl_codestream_is_left_and_said(tmp_path: Path, boxes: bytes) -> None:
    done = encapsulated(tmp_path / "file", [boxes + b"\xff\x0a" + SECRET], "1.2.840.10008.1.2.4.110")
    assert (done.notes, done.after) == ({NOT_CHECKED}, done.before)


# Native cells


def test_surplus_is_cut(tmp_path: Path) -> None:
    path = written(tmp_path / "file", image(PixelData=bytes(range(32)) + SECRET))
    done = Cleaned(path)
    assert (done.after, done.plan.length, done.notes) == (bytes(range(32)), 32, {TRIMMED})


@pytest.mark.parametrize(
    ("attributes", "length"),
    [
        ({}, 32),
        ({"NumberOfFrames": 3}, 96),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, 96),
        *(
            (
                {
                    "SamplesPerPixel": 3,
                    "PhotometricInterpretation": subsampled,
                    "BitsAllocated": 8,
                    "BitsStored": 8,
                },
                32,
            )
            for subsampled in ("YBR_FULL_422", "YBR_PARTIAL_422")
        ),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, 16),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": 3, "Columns": 3}, 10),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "NumberOfFrames": 3}, 6),
        (
            {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "NumberOfFrames": 3, "Rows": 5, "Columns": 5},
            10,
        ),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, 64),
    ],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_length_of_native_pixel_data(tmp_path: Path, attributes: dict[str, Any], length: int, syntax: str) -> None:
    whole = b"\x01" * (length - 1) + b"\0"
    path = tmp_path / "file"
    assert Cleaned(written(path, image(**attributes, PixelData=whole), syntax)).after == whole
    assert Cleaned(written(path, image(**attributes, PixelData=whole + b"xy"), syntax)).after == whole
    with pytest.raises(FileRefused) as refused:
        Cleaned(written(path, image(**attributes, PixelData=whole[:-2]), syntax))
    assert refused.value.reason is Reason.PIXEL_DATA_SHORT
    assert str(refused.value) == "pixel-data-short: (7fe0,0010)"


def test_three_whole_samples_that_are_called_subsampled_stay(tmp_path: Path) -> None:
    attributes = {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "YBR_FULL_422",
        "BitsAllocated": 8,
        "BitsStored": 8,
    }
    done = Cleaned(written(tmp_path / "file", image(**attributes, PixelData=b"\x01" * 48)))
    assert (done.after, done.notes) == (b"\x01" * 48, set())


def test_the_padding_byte_is_zero(tmp_path: Path) -> None:
    odd = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": 3, "Columns": 3}
    path = written(tmp_path / "file", image(**odd, PixelData=b"123456789x"))
    assert Cleaned(path).after == b"123456789\0"
    less = {**odd, "BitsStored": 6, "HighBit": 5}
    assert Cleaned(written(path, image(**less, PixelData=b"\xc1" * 9 + b"\x3f"))).after == b"\x01" * 9 + b"\0"


def test_floating_point_cells_have_a_length_too(tmp_path: Path) -> None:
    data_set = image(BitsAllocated=32)
    del data_set.PixelData
    data_set.FloatPixelData = bytes(range(64)) + SECRET
    done = Cleaned(written(tmp_path / "file", data_set), tag=0x7FE00008)
    assert done.after == bytes(range(64))


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": 0},
        {"Rows": None},
        {"SamplesPerPixel": None},
        {"NumberOfFrames": "0"},
        {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 10},
        {"BitsAllocated": 16, "BitsStored": 0},
        {"BitsAllocated": 16, "BitsStored": 17, "HighBit": 16},
        {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 16},
        {"BitsAllocated": 24, "BitsStored": 12, "HighBit": 11, "PixelData": b"\xff" * 48},  # no cell is so wide
    ],
)
def test_contradictions_of_the_header_are_said(tmp_path: Path, attributes: dict[str, Any]) -> None:
    done = Cleaned(written(tmp_path / "file", image(**attributes)))
    assert (done.notes, done.after) == ({NOT_CHECKED}, done.before)


def test_words_of_cells_in_either_order_are_said(tmp_path: Path) -> None:
    long = {"BitsAllocated": 32, "BitsStored": 24, "HighBit": 23, "PixelData": b"\xff\1\2\xff" * 16}
    big = Cleaned(written(tmp_path / "file", image(**long), ExplicitVRBigEndian))
    assert (big.notes, big.after) == ({NOT_CHECKED}, big.before)
    assert Cleaned(written(tmp_path / "file", image(**long))).after == b"\xff\1\2\0" * 16


def with_overlay_bits(folder: Path) -> Path:
    """Real image with an overlay plane in bits that its cells do not use."""
    data_set = dcmread(real_file("examples_overlay.dcm"))
    cells = [cell for (cell,) in struct.iter_unpack("<H", data_set.PixelData)]
    data_set.PixelData = struct.pack(f"<{len(cells)}H", *(cell | (at % 7 == 0) << 12 for at, cell in enumerate(cells)))
    data_set.save_as(folder / "file")
    return folder / "file"


def test_an_overlay_in_the_unused_bits_goes(tmp_path: Path) -> None:
    plain = Cleaned(real_file("examples_overlay.dcm"))
    assert plain.notes == set()
    done = Cleaned(with_overlay_bits(tmp_path))
    assert (done.after, done.notes) == (plain.before, {UNUSED_BITS})


def _no_file(offset: int, length: int) -> bytes:
    raise AssertionError("nothing has to be read")


def test_the_padding_value_of_the_file_is_used(tmp_path: Path) -> None:
    cells = struct.pack("<16H", *[0x8001, 0x8000] * 8)
    path = tmp_path / "file"
    plain = image(BitsStored=12, HighBit=11, PixelData=cells)
    assert Cleaned(written(path, plain)).after == struct.pack("<16H", *[1, 0] * 8)
    plain.add_new("PixelPaddingValue", "US", 0x8000)
    assert Cleaned(written(path, plain)).after == struct.pack("<16H", *[1, 0x8000] * 8)


def test_cells_are_masked_to_the_last_chunk(tmp_path: Path) -> None:
    side = 512
    cells = b"\x01\x02" * (side * side - 1) + b"\x01\xf2"
    assert len(cells) > CHUNK
    data_set = image(Rows=side, Columns=side, BitsStored=12, HighBit=11, PixelData=cells)
    done = Cleaned(written(tmp_path / "file", data_set))
    assert done.after == b"\x01\x02" * (side * side)
    assert done.notes == {UNUSED_BITS}


# Unused bits of compressed cells


def with_overlay_bits_in_rle(path: Path, **attributes: Any) -> Path:
    """Real image of ten RLE frames with something in bits that its cells do not use, and a header so changed."""
    frames = []
    for frame in frames_of("emri_small_RLE.dcm"):
        first, second = struct.unpack_from("<2L", frame, 4)
        frames.append([frame[:first] + with_bits(frame[first:second], 0x10) + frame[second:]])
    with_frames(path, "emri_small_RLE.dcm", frames)
    data_set = dcmread(path)
    for element in item(**attributes):
        data_set.add_new(element.tag, element.VR[:2], element.value)  # US for what may be SS
    data_set.save_as(path)
    return path


def test_what_is_in_the_unused_bits_of_rle_goes(tmp_path: Path) -> None:
    plain = Cleaned(real_file("emri_small_RLE.dcm"))
    assert (plain.after, plain.notes) == (plain.before, set())
    done = Cleaned(path := with_overlay_bits_in_rle(tmp_path / "file"))
    frames = [[frame] for frame in frames_of("emri_small_RLE.dcm")]
    expected = Cleaned(with_frames(tmp_path / "plain", "emri_small_RLE.dcm", frames)).before
    assert done.before != expected
    assert (done.after, done.notes) == (expected, {UNUSED_BITS})
    assert in_item(path) == (done.after[:-8], {UNUSED_BITS})
    assert decoded(path, done.after) == decoded(path, done.before)  # pydicom takes the value alone


def test_signs_in_the_unused_bits_of_rle_stay(tmp_path: Path) -> None:
    done = Cleaned(with_overlay_bits_in_rle(tmp_path / "file", PixelRepresentation=1, HighBit=14, BitsStored=15))
    assert (done.after, done.notes) == (done.before, set())  # small positive numbers
    path = with_overlay_bits_in_rle(tmp_path / "file", PixelRepresentation=1, HighBit=11, BitsStored=12)
    done = Cleaned(path)
    assert done.notes == {UNUSED_BITS}
    assert decoded(path, done.after) == decoded(path, done.before)


@pytest.mark.parametrize(
    "attributes",
    [
        {"HighBit": 10},
        {"BitsStored": 17},
        {"BitsAllocated": None},
        {"BitsStored": 8, "HighBit": 7, "PixelRepresentation": 1},  # signs are in the other bytes
        {"PixelPaddingValue": 0xF830},
    ],
)
def test_unused_bits_of_rle_that_cannot_be_told_are_said(tmp_path: Path, attributes: dict[str, Any]) -> None:
    done = Cleaned(with_overlay_bits_in_rle(tmp_path / "file", **attributes))
    assert (done.after, done.notes) == (done.before, {NOT_CHECKED})


ROWS, COLUMNS, DESCRIPTION, POSITION, DATA = 0x10, 0x11, 0x22, 0x102, 0x3000
EMBEDDED: dict[int, Any] = {ROWS: 8, COLUMNS: 8, POSITION: 12}


def with_overlay(path: Path, name: str, overlay: dict[int, Any]) -> Path:
    """Real file with such elements of a second overlay."""
    data_set = dcmread(real_file(name))
    for element, value in overlay.items():
        data_set.add_new(0x60020000 | element, {DATA: "OW", DESCRIPTION: "LO"}.get(element, "US"), value)
    data_set.save_as(path)
    return path


DEEPER = ["emri_small_jpeg_ls_lossless.dcm", "emri_small_jpeg_2k_lossless.dcm", "693_J2KI.dcm", "bad_sequence.dcm"]
"""Files whose codestreams have more bits for a sample than Bits Stored: JPEG-LS, JPEG 2000 and JPEG."""


@pytest.mark.parametrize("name", DEEPER)
def test_overlays_within_codestreams_are_left_and_said(tmp_path: Path, name: str) -> None:
    plain = Cleaned(real_file(name))
    for overlay, here in (
        (EMBEDDED, True),
        ({**EMBEDDED, DATA: bytes(8)}, True),
        ({ROWS: 8}, True),
        ({POSITION: 0}, True),
        ({**EMBEDDED, POSITION: 0, DATA: bytes(8)}, False),
        ({ROWS: 8, DATA: bytes(8)}, False),
        ({DESCRIPTION: "text"}, False),
    ):
        done = Cleaned(path := with_overlay(tmp_path / "file", name, overlay))
        assert done.notes == plain.notes | ({NOT_CHECKED} if here else set())
        assert done.after == plain.after
    assert NOT_CHECKED in anonymize_file(with_overlay(path, name, EMBEDDED), tmp_path / "target", key=KEY)
    assert not dcmread(tmp_path / "target").group_dataset(0x6002)


@pytest.mark.parametrize("name", DEEPER[:2])
@pytest.mark.parametrize("stored", [15, 16])
def test_one_bit_is_room_for_an_overlay(tmp_path: Path, name: str, stored: int) -> None:
    data_set = dcmread(path := with_overlay(tmp_path / "file", name, EMBEDDED))
    data_set.BitsStored, data_set.HighBit = stored, stored - 1
    data_set.save_as(path)
    assert (NOT_CHECKED in Cleaned(path).notes) == (stored == 15)


@pytest.mark.parametrize("name", [*COMPRESSED, "MR2_J2KI.dcm", "JPEG-lossy.dcm", "emri_small_RLE.dcm"])
def test_codestreams_without_room_for_overlays_are_not_noted(tmp_path: Path, name: str) -> None:
    done = Cleaned(with_overlay(tmp_path / "file", name, EMBEDDED))
    assert NOT_CHECKED not in done.notes


def test_overlays_within_codestreams_are_said_of_every_file_of_a_series(tmp_path: Path) -> None:
    shared = Engine(Plan(resolve(preset="default"), KEY))
    for number in range(4):
        data_set = dcmread(with_overlay(tmp_path / "file", DEEPER[0], EMBEDDED))
        data_set.SOPInstanceUID = f"1.2.3.{number}"
        data_set.save_as(path := tmp_path / str(number))
        with open(path, "rb", buffering=0) as handle:
            file = DicomFile(handle, path.stat().st_size)
            pixels_planned(file, shared.run_unwalked(file))
            assert file.notes == {NOT_CHECKED}


# Pieces


def test_pieces_are_ranges_but_for_what_changes() -> None:
    plan = PixelPlan(patches=((110, b"\0\0"), (115, b"\0")), length=16)
    assert list(pieces(FileRange(100, 20), plan, _no_file, set())) == [
        FileRange(100, 10),
        b"\0\0",
        FileRange(112, 3),
        b"\0",
    ]
    assert list(pieces(FileRange(100, 20), PixelPlan(), _no_file, set())) == [FileRange(100, 20)]
    assert not PixelPlan(notes=frozenset((NOT_CHECKED,))).changes
    assert plan.changes


def test_a_file_that_shrinks_is_refused() -> None:
    plan = PixelPlan(transform=cell_mask(16, 12, 11, signed=False))
    with pytest.raises(FileRefused) as refused:
        list(pieces(FileRange(0, 20), plan, lambda offset, length: bytes(length - 2), set()))
    assert refused.value.reason is Reason.TRUNCATED


# Items of sequences

IMAGE_PIXEL = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"),
)


def in_item(path: Path, tag: int = PIXEL_DATA) -> tuple[bytes, set[str]]:
    """Pixel data of a file that is first moved into an item, and its notes; top level says nothing of its layout."""
    data_set = dcmread(path, force=True)
    moved = Dataset()
    for element in data_set:
        if element.keyword in IMAGE_PIXEL or element.tag == tag:
            moved.add(element)
    syntax = data_set.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
    encoding = {str(uid): ENCODINGS[name] for name, uid in SYNTAXES.items()}.get(syntax, EXPLICIT_LITTLE)
    whole = walked(encode(item(PatientID="ID-1", ReferencedImageSequence=[moved]), encoding), encoding)
    rewritten = engine({}).run(whole, syntax)
    (after,) = decode(joined(rewritten.pieces, b""), encoding).ReferencedImageSequence
    return bytes(after[tag].value), set(rewritten.notes) - {"patient-by-study", "patient-unknown"}


@pytest.mark.parametrize("path", with_pixel_data(), ids=lambda path: path.name)
def test_pixel_data_of_an_item_becomes_what_it_would_at_top_level(path: Path) -> None:
    done = Cleaned(path)
    if NOT_CHECKED in done.notes:
        with pytest.raises(FileRefused) as refused:
            in_item(path)
        assert refused.value.reason is Reason.UNSUPPORTED
    else:
        after = done.after if done.is_native else done.after[:-8]
        assert in_item(path) == (after, done.notes)


@pytest.mark.parametrize("name", [*COMPRESSED, "MR_small_RLE.dcm"])
def test_frames_of_an_item_lose_their_comments(tmp_path: Path, name: str) -> None:
    frames = frames_of(name)
    dirty = [[frame + SECRET if "RLE" in name else planted(frame)[0]] for frame in frames]
    done = Cleaned(path := with_frames(tmp_path / "file", name, dirty))
    assert SECRET in done.before
    assert SECRET not in done.after
    assert in_item(path) == (done.after[:-8], {BLANKED})


def test_cells_of_an_item_lose_what_is_behind_and_between_them(tmp_path: Path) -> None:
    path = with_overlay_bits(tmp_path)
    plain = dcmread(real_file("examples_overlay.dcm")).PixelData
    data_set = dcmread(path)
    data_set.PixelData += SECRET
    data_set.save_as(path)
    assert in_item(path) == (plain, {UNUSED_BITS, TRIMMED})


def test_floating_point_cells_of_an_item_lose_what_is_behind_them(tmp_path: Path) -> None:
    data_set = image(FloatPixelData=bytes(64) + SECRET)
    del data_set.PixelData
    assert in_item(written(tmp_path / "file", data_set), 0x7FE00008) == (bytes(64), {TRIMMED})


def test_an_item_may_be_native_where_the_file_is_compressed() -> None:
    icon = image(PixelData=bytes(32) + SECRET)
    rewritten = engine({}).run(walked(encode(item(IconImageSequence=[icon]))), JPEGBaseline8Bit)
    (after,) = decode(joined(rewritten.pieces, b"")).IconImageSequence
    assert after.PixelData == bytes(32)
    assert TRIMMED in rewritten.notes


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"Rows": None}, Reason.UNSUPPORTED),
        ({"BitsStored": 17}, Reason.UNSUPPORTED),
        ({"Rows": 5}, Reason.PIXEL_DATA_SHORT),
        ({"ExtendedOffsetTable": bytes(8)}, Reason.UNSUPPORTED),
        ({"ExtendedOffsetTable": SECRET + bytes(4), "PixelData": None}, Reason.UNSUPPORTED),
    ],
)
def test_pixel_data_of_an_item_that_cannot_be_looked_into_is_refused(more: dict[str, Any], reason: Reason) -> None:
    icon = image(**{keyword: value for keyword, value in more.items() if value is not None})
    for keyword in more:
        if more[keyword] is None:
            del icon[keyword]
    outer = walked(encode(item(IconImageSequence=[icon])))
    with pytest.raises(FileRefused) as refused:
        engine({}).run(outer, ExplicitVRLittleEndian)
    assert refused.value.reason is reason
    assert "IconImageSequence" not in decode(joined(engine({"IconImageSequence": "remove"}).run(outer).pieces, b""))


def test_pixel_data_of_an_item_is_the_same_whether_files_teach_or_not() -> None:
    def told(number: int, surplus: bytes) -> tuple[Dataset, frozenset[str]]:
        icon = image(PixelData=bytes(32) + surplus)
        data_set = image(SOPInstanceUID=f"1.2.3.{number}", SourceImageSequence=[icon])
        with TemporaryFile(buffering=0) as handle:
            size = handle.write(file_bytes(data_set))
            rewritten = shared.run_unwalked(DicomFile(handle, size))
        return decode(joined(rewritten.pieces[:-1], b"") + bytes(32)), rewritten.notes

    shared = Engine(Plan(resolve(preset="default"), KEY))
    dirty = [SECRET] * 3 + [b"", b"", SECRET, b"XY", b"XY"]
    for number, surplus in enumerate(dirty):
        after, notes = told(number, surplus)
        assert after.SourceImageSequence[0].PixelData == bytes(32)
        assert (TRIMMED in notes) == bool(surplus)


def test_icons_go_by_the_rules() -> None:
    icon = image(PixelData=bytes(range(32)))
    data_set = image(IconImageSequence=[icon])
    rewritten = Engine(Plan(resolve(preset="default"), KEY)).run(walked(encode(data_set)))
    after = decode(joined(rewritten.pieces, b""))
    assert "IconImageSequence" in data_set
    assert "IconImageSequence" not in after
    assert after.PixelData == data_set.PixelData


@given(st.binary(max_size=60), st.sampled_from(["", "1", "2", "x"]))
def test_any_bytes_as_fragments_end_in_order(content: bytes, frames: str) -> None:
    data_set = item(NumberOfFrames=frames) if frames.isdigit() else item()
    head = walked(encode(data_set))
    value = fragment(b"") + fragment(content) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    element = struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    spans = [*head.spans, (PIXEL_DATA, b"OB", len(head.buf), len(head.buf) + 12, len(head.buf) + 12, None)]
    scope = FileScope(head.buf + element, RunFacts(), Pseudonyms(KEY))
    scope.root = root = Level(scope, spans, head.encoding, None, 0)
    place = FileRange(0, len(value))

    def read_at(offset: int, length: int) -> bytes:
        return value[offset : offset + length]

    if not content or frames == "2":
        with pytest.raises(FileRefused):
            plan_pixels(root, "1.2.840.10008.1.2.4.50", place, read_at)
        return
    plan = plan_pixels(root, "1.2.840.10008.1.2.4.50", place, read_at)
    after = joined(list(pieces(place, plan, read_at, set())), value)
    assert len(after) == len(value)
    assert only_zeros_differ(value, after)
