"""Files: known by content, given a new meta, long values copied unseen, and none ever left half written."""

from __future__ import annotations

import contextlib
import struct
import tempfile
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MediaStorageDirectoryStorage,
)

from dicom_anon import dicomfile
from dicom_anon.dicomfile import DicomFile
from dicom_anon.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    element_bytes,
    item_bytes,
)
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.filemeta import recognise, write_meta
from tests.datasets import (
    SYNTAXES,
    copy,
    decode,
    encode,
    engine,
    file_bytes,
    image,
    item,
    nested,
    put,
    read_file,
    real_file,
    real_files,
    walked,
)

EVERY_SYNTAX = pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
BARE = {"implicit": IMPLICIT_LITTLE, "explicit": EXPLICIT_LITTLE, "big": EXPLICIT_BIG}


def refusal(folder: Path, content: bytes) -> FileRefused:
    with pytest.raises(FileRefused) as refused:
        read_file(put(folder, content))
    return refused.value


# --- what is DICOM --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.dcm", "x", "x.ima", "README.txt"])
@EVERY_SYNTAX
def test_a_file_is_known_by_its_content(tmp_path: Path, syntax: str, name: str) -> None:
    found = read_file(put(tmp_path, file_bytes(image(), syntax), name))
    assert found.transfer_syntax == syntax
    assert found.data.spans[0][0] == 0x00080016


@pytest.mark.parametrize("name", BARE)
def test_a_file_without_preamble_and_meta_is_known_by_its_first_element(tmp_path: Path, name: str) -> None:
    found = read_file(put(tmp_path, encode(image(), BARE[name])))
    assert found.transfer_syntax == SYNTAXES[name]
    assert decode(found.whole, BARE[name]).PatientID == "ID-1"


def test_a_file_with_meta_but_without_preamble_is_known(tmp_path: Path) -> None:
    found = read_file(put(tmp_path, file_bytes(image(), ImplicitVRLittleEndian)[132:]))
    assert found.transfer_syntax == ImplicitVRLittleEndian


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\x08\0\x05",
        b"hello, world. " * 30,
        b"\x89PNG\r\n\x1a\n" + bytes(300),
        b"PK\3\4" + bytes(300),
        bytes(500),
    ],
    ids=["empty", "byte", "start", "text", "png", "zip", "zeros"],
)
def test_what_is_not_dicom_is_not_dicom(tmp_path: Path, content: bytes) -> None:
    assert refusal(tmp_path, content).reason is Reason.NOT_DICOM


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_or_read_but_never_crash(content: bytes) -> None:
    start = recognise(content)
    assert start in (-1, 0, 132)
    assert start != 132 or content[128:132] == b"DICM"
    for raw in (content, bytes(128) + b"DICM" + content, file_bytes(item(Modality="CT")) + content):
        with opened(raw) as handle:
            try:
                found: list[Any] = DicomFile(handle, len(raw)).data.spans
            except FileRefused as refused:
                found = [refused.reason]
        assert found


@contextlib.contextmanager
def opened(content: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile(buffering=0) as handle:
        handle.write(content)
        yield handle


@pytest.mark.parametrize(
    "path", [p for p in real_files() if p.name.startswith("DICOMDIR")], ids=lambda p: p.parent.name + p.name
)
def test_an_index_of_files_is_told_from_a_file(path: Path) -> None:
    with pytest.raises(FileRefused) as refused:
        read_file(path)
    assert refused.value.reason is Reason.DICOMDIR


def test_an_index_that_says_it_is_something_else_is_an_index(tmp_path: Path) -> None:
    index = item(
        FileSetID="X",
        OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity=0,
        DirectoryRecordSequence=[item()],
    )
    meta = {"MediaStorageSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "MediaStorageSOPInstanceUID": "1.2"}
    assert refusal(tmp_path, file_bytes(index, **meta)).reason is Reason.DICOMDIR
    meta["MediaStorageSOPClassUID"] = MediaStorageDirectoryStorage
    assert refusal(tmp_path, file_bytes(item(Modality="CT"), **meta)).reason is Reason.DICOMDIR


def test_a_private_transfer_syntax_is_refused(tmp_path: Path) -> None:
    content = file_bytes(image()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2\0\0")
    assert refusal(tmp_path, content).reason is Reason.UNSUPPORTED


def test_a_meta_with_a_wrong_group_length_or_none_is_read(tmp_path: Path) -> None:
    content = file_bytes(image())
    assert (
        read_file(put(tmp_path, content[:140] + b"\0\0\0\1" + content[144:])).transfer_syntax == ExplicitVRLittleEndian
    )
    assert read_file(put(tmp_path, content[:132] + content[144:])).transfer_syntax == ExplicitVRLittleEndian
    assert read_file(real_file("meta_missing_tsyntax.dcm")).transfer_syntax == ImplicitVRLittleEndian


def test_a_file_that_holds_only_its_meta_is_refused(tmp_path: Path) -> None:
    content = file_bytes(item(Modality="CT"))
    assert refusal(tmp_path, content[: content.index(b"\x08\0\x60\0")]).reason is Reason.NOT_PARSABLE


# --- what it holds --------------------------------------------------------------------------------


@EVERY_SYNTAX
def test_however_little_is_read_at_first_all_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: str
) -> None:
    source = image(EncapsulatedDocument=b"pdf " * 100, ImageComments="c" * 300, StudyDescription="d" * 50)
    source.update(nested(0x00081115, 0x00081199, leaf=item(ReferencedSOPInstanceUID="1.2.3")))
    source.add_new(0x7FE10010, "LO", "MAKER")
    source.add_new(0x7FE11001, "OB", b"after " * 50)
    path = put(tmp_path, file_bytes(source, syntax))
    whole = read_file(path)
    assert {span[0] for span in whole.data.spans if span[2] in whole.data.bulk} == {0x7FE00010}
    left: set[int] = set()
    for head in (400, 470, 600, 900, 1500):
        for bulk in (100, 350, 10_000):
            monkeypatch.setattr(dicomfile, "HEAD", head)
            monkeypatch.setattr(dicomfile, "BULK", bulk)
            found = read_file(path)
            left.update(span[0] for span in found.data.spans if span[2] in found.data.bulk)
            assert found.whole == whole.whole
            assert [span[:2] for span in found.data.spans] == [span[:2] for span in whole.data.spans]
            copy(path, tmp_path / "target")
            assert decode((tmp_path / "target").read_bytes()[-len(whole.whole) :], whole.data.encoding) == decode(
                whole.whole, whole.data.encoding
            )
    assert left == {0x00420011, 0x7FE00010}


def test_long_values_are_copied_and_pixel_data_can_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomfile, "HEAD", 400)
    source = image(ImageComments="x")
    source.PixelData = bytes(range(256)) * 20
    path = put(tmp_path, file_bytes(source))
    (content,) = read_file(path).data.bulk.values()
    assert content.length == 5120
    assert copy(path, tmp_path / "a", {"PatientName": "set(A)"}).PixelData == source.PixelData
    assert copy(path, tmp_path / "b", {"PixelData": "clear"}).PixelData is None
    assert "PixelData" not in copy(path, tmp_path / "c", {"PixelData": "remove"})
    assert (
        copy(path, tmp_path / "d", {"(7FE1,0010)": "keep", "DataSetTrailingPadding": "set(hex:00)"}).PixelData
        == source.PixelData
    )


def test_fragments_are_hopped_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomfile, "HEAD", 600)
    source = image()
    # the end of a sequence inside a fragment is pixel data
    source.PixelData = encapsulate([b"\xfe\xff\xdd\xe0\0\0\0\0" * 200, b"frame" * 300])
    source["PixelData"].VR = "OB"
    source["PixelData"].is_undefined_length = True
    source.add_new(0x7FE10010, "LO", "MAKER")
    path = put(tmp_path, file_bytes(source, JPEGBaseline8Bit))
    found = read_file(path)
    assert [span[0] for span in found.data.spans][-2:] == [0x7FE00010, 0x7FE10010]
    target = copy(path, tmp_path / "target", {"PatientName": "set(Somebody Else)"})
    assert target.PixelData == source.PixelData
    assert target[0x7FE10010].value == "MAKER"
    content = path.read_bytes()
    assert refusal(tmp_path, content[: content.index(b"frame") + 30]).reason is Reason.TRUNCATED


def test_compressed_real_files_keep_their_fragments(tmp_path: Path) -> None:
    for name in (
        "JPEG2000-embedded-sequence-delimiter.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "MR_small_RLE.dcm",
        "693_J2KI.dcm",
    ):
        source, target = (
            dcmread(real_file(name)),
            copy(real_file(name), tmp_path / name, {"PatientName": "set(X)"}),
        )
        assert target.PixelData == source.PixelData
        assert target.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("path", [p for p in real_files() if p.stat().st_size < 1_000_000], ids=lambda p: p.name)
def test_pixels_of_real_files_are_the_same_bytes(tmp_path: Path, path: Path) -> None:
    try:
        read_file(path)
    except FileRefused:
        assert (
            path.suffix != ".dcm"
            or "trunc" in path.name
            or "short" in path.name
            or path.name in ("no_meta.dcm", "DICOMDIR-empty.dcm")
        )
        return
    source, target = (
        dcmread(path, force=True),
        copy(path, tmp_path / "target", {"PatientName": "set(X)", "PatientID": "set(Y)"}),
    )
    assert target.PatientName == "X"
    for keyword in ("PixelData", "FloatPixelData", "WaveformSequence", "EncapsulatedDocument"):
        assert target.get(keyword) == source.get(keyword)


@pytest.mark.parametrize("surplus", [b"", b"\0" * 30, b"PATIENT: DOE", b"\x08\0", bytes(range(200))])
def test_bytes_behind_the_data_set_are_dropped(tmp_path: Path, surplus: bytes) -> None:
    source = image()
    path = put(tmp_path, file_bytes(source) + surplus)
    copy(path, tmp_path / "target")
    assert (tmp_path / "target").read_bytes().endswith(bytes(range(32)))
    assert decode(read_file(path).whole) == source
    with open(path, "rb", buffering=0) as handle:
        file = DicomFile(handle, path.stat().st_size)
        assert file.data.spans
    assert file.notes == ({"trailing-bytes"} if surplus else set())


def test_bytes_behind_a_deflated_data_set_are_told(tmp_path: Path) -> None:
    copy(real_file("image_dfl.dcm"), tmp_path / "plain")  # the file itself has a checksum there
    content = (tmp_path / "plain").read_bytes()
    for surplus, notes in ((b"\0", set()), (b"Doe^Jane", {"trailing-bytes"})):
        with opened(content + surplus) as handle:
            assert DicomFile(handle, len(content + surplus)).notes == notes


def test_text_behind_a_data_set_without_pixels_is_no_surplus(tmp_path: Path) -> None:
    content = file_bytes(item(PatientID="1"))
    assert read_file(put(tmp_path, content + bytes(40))).whole == encode(item(PatientID="1"))
    assert refusal(tmp_path, content + b"PATIENT: DOE").reason in (Reason.NOT_PARSABLE, Reason.TRUNCATED)


def length_or_reason(path: Path) -> int | Reason:
    try:
        return len(read_file(path).whole)
    except FileRefused as refused:
        return refused.reason


def test_a_file_cut_off_anywhere_is_refused_or_ends_between_elements(tmp_path: Path) -> None:
    source = item(StudyDate="20040119", PatientName="Doe^Jane")
    source.update(nested(0x00081115, leaf=item(ReferencedSOPInstanceUID="1.2")))
    content = file_bytes(source)
    start = len(content) - len(encode(source))
    ends = {start + span[4] for span in walked(encode(source)).spans}
    for cut in range(start + 1, len(content)):
        found = length_or_reason(put(tmp_path, content[:cut]))
        if isinstance(found, Reason):
            assert found in (Reason.TRUNCATED, Reason.NOT_PARSABLE)
            assert cut not in ends
        else:
            assert start + found in ends
            assert cut in ends or not content[start + found : cut].strip(b"\0")
    pixels = file_bytes(image())
    for cut in (1, 10, 31):
        assert refusal(tmp_path, pixels[:-cut]).reason is Reason.TRUNCATED


@pytest.mark.parametrize(
    "name", ["MR_truncated.dcm", "rtplan_truncated.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"]
)
def test_truncated_real_files_are_refused(name: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read_file(real_file(name))
    assert refused.value.reason is Reason.TRUNCATED


def end_of_pixels(handle: BinaryIO, size: int) -> float:
    """Where pixel data ends that was left in the file, for the copy to find it short; or it is refused."""
    try:
        data = DicomFile(handle, size).data
    except FileRefused as refused:
        return float("inf") if refused.reason is Reason.TRUNCATED else 0
    return max(found.offset + found.length for found in data.bulk.values())


@pytest.mark.parametrize("claimed", [10, 3000, 1 << 20])
def test_a_file_that_is_shorter_than_it_was_is_refused(monkeypatch: pytest.MonkeyPatch, claimed: int) -> None:
    monkeypatch.setattr(dicomfile, "HEAD", 500)
    for pixels, length in ((bytes(2000), False), (encapsulate([bytes(2000)]), True)):
        source = image(ImageComments="c" * 400)
        source.PixelData = pixels
        source["PixelData"].is_undefined_length = length
        content = file_bytes(source, JPEGBaseline8Bit if length else ExplicitVRLittleEndian)
        for kept in (600, 800, len(content) - 1000):
            with opened(content[:kept]) as handle:
                assert end_of_pixels(handle, kept + claimed) > kept


def test_a_long_unknown_element_that_holds_a_sequence_is_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicomfile, "HEAD", 500)
    monkeypatch.setattr(dicomfile, "BULK", 100)
    inner = encode(item(PatientName="Doe^Jane", TextValue="t" * 2000), IMPLICIT_LITTLE)
    raw = encode(item(Modality="CT")) + element_bytes(
        0x0040A730, "UN", item_bytes(inner, IMPLICIT_LITTLE), EXPLICIT_LITTLE
    )
    raw += element_bytes(0x0040DB00, "UN", b"CS" * 700, EXPLICIT_LITTLE)
    path = put(tmp_path, write_meta(ExplicitVRLittleEndian, "", "") + raw)
    found = read_file(path)
    assert not found.data.bulk
    assert found.data.spans[1][5] is not None
    assert b"Doe" not in engine({"PatientName": "replace"}).run(found.data).pieces[0]


def test_file_meta_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    content = real_file("CT_small.dcm").read_bytes()
    for size in (150, 200, 300):
        refused = refusal(tmp_path, content[:size])
        assert refused.reason is Reason.NOT_PARSABLE
        assert "file meta" in str(refused)


def test_a_header_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomfile, "HEAD", 512)
    assert copy(real_file("CT_small.dcm"), tmp_path / "target", {}).Modality == "CT"
    monkeypatch.setattr(dicomfile, "MAX_HEADER", 1000)
    assert refusal(tmp_path, real_file("CT_small.dcm").read_bytes()).reason is Reason.UNSUPPORTED


# --- deflated -------------------------------------------------------------------------------------


def test_a_deflated_data_set_is_inflated_and_deflated_again(tmp_path: Path) -> None:
    source = dcmread(real_file("image_dfl.dcm"))
    assert source.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    target = copy(real_file("image_dfl.dcm"), tmp_path / "target", {"PatientName": "set(X)"})
    assert target.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert target.PixelData == source.PixelData
    assert target.PatientName == "X"
    content = (tmp_path / "target").read_bytes()
    start = 144 + struct.unpack_from("<L", content, 140)[0]
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:])
    assert decode(inflated) == decode(read_file(tmp_path / "target").whole)
    assert len(content) % 2 == 0


def test_deflated_bytes_that_are_broken_cut_off_or_too_many_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = real_file("image_dfl.dcm").read_bytes()
    assert refusal(tmp_path, content[:-100]).reason is Reason.TRUNCATED
    start = 144 + struct.unpack_from("<L", content, 140)[0]
    assert refusal(tmp_path, content[:start] + b"\xff" * 50 + content[start + 50 :]).reason is Reason.NOT_PARSABLE
    monkeypatch.setattr(dicomfile, "MAX_IN_MEMORY", 10_000)
    assert refusal(tmp_path, content).reason is Reason.UNSUPPORTED


def test_deflated_bytes_that_are_too_many_are_not_even_read() -> None:
    head = real_file("image_dfl.dcm").read_bytes()
    with tempfile.TemporaryFile(buffering=0) as handle:
        handle.write(head)
        handle.truncate(dicomfile.MAX_IN_MEMORY + len(head))
        tracemalloc.start()
        with pytest.raises(FileRefused, match="too long"):
            DicomFile(handle, dicomfile.MAX_IN_MEMORY + len(head))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


# --- what only pydicom reads ----------------------------------------------------------------------


def test_elements_out_of_order_or_twice_are_put_right(tmp_path: Path) -> None:
    first, second = (
        encode(item(StudyDate="20040119", PatientName="Doe")),
        encode(item(Modality="CT", PatientID="1")),
    )
    found = read_file(put(tmp_path, write_meta(ExplicitVRLittleEndian, "", "") + second + first))
    assert "normalised" in found.notes
    assert decode(found.whole) == item(StudyDate="20040119", Modality="CT", PatientName="Doe", PatientID="1")
    twice = read_file(
        put(tmp_path, write_meta(ExplicitVRLittleEndian, "", "") + first + encode(item(PatientName="Again")))
    )
    assert [span[0] for span in twice.data.spans] == [0x00080020, 0x00100010]


@pytest.mark.parametrize("undefined", [True, False])
def test_items_out_of_order_are_put_right(tmp_path: Path, undefined: bool) -> None:
    content = encode(item(CodeValue="1")) + encode(item(StudyDate="20040119"))
    if undefined:
        value = (
            b"\xfe\xff\0\xe0" + b"\xff" * 4 + content + b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
        )
        raw = b"\x40\0\x75\2SQ\0\0" + b"\xff" * 4 + value
    else:
        raw = element_bytes(0x00400275, "SQ", item_bytes(content, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    found = read_file(put(tmp_path, write_meta(ExplicitVRLittleEndian, "", "") + encode(item(Modality="CT")) + raw))
    expected = item(Modality="CT", RequestAttributesSequence=[item(StudyDate="20040119", CodeValue="1")])
    assert decode(found.whole) == expected


@pytest.mark.parametrize(("declared", "actual"), [("explicit", "implicit"), ("implicit", "explicit")])
def test_a_data_set_in_another_vr_encoding_than_declared_is_put_right(
    tmp_path: Path, declared: str, actual: str
) -> None:
    source = image(ReferencedImageSequence=[item(ReferencedSOPInstanceUID="1.2.3")], ImageComments="x")
    source.PixelData = bytes(100_000)  # enough zeros for a wrong length to end in them
    content = write_meta(SYNTAXES[declared], "", "") + encode(source, BARE[actual])
    found = read_file(put(tmp_path, content))
    assert "normalised" in found.notes
    assert decode(found.whole, BARE[declared]) == source
    assert copy(tmp_path / "source", tmp_path / "target", {"PatientName": "set(X)"}).PatientName == "X"


def test_real_files_that_only_pydicom_reads_are_read_by_it(tmp_path: Path) -> None:
    assert "normalised" in read_file(real_file("SC_rgb_jpeg.dcm")).notes
    target = copy(real_file("SC_rgb_jpeg.dcm"), tmp_path / "target", {"PatientID": "set(X)"})
    assert target.PatientID == "X"
    assert target.PixelData == dcmread(real_file("SC_rgb_jpeg.dcm")).PixelData


_ITEM_END, _SEQUENCE_END = (struct.pack("<HHL", 0xFFFE, element, 0) for element in (0xE00D, 0xE0DD))
_FRAGMENT = b"\xe0\x7f\x10\0OB\0\0" + b"\xff" * 4 + item_bytes(b"\xff\xd8\xff\xd9", EXPLICIT_LITTLE)


@pytest.mark.parametrize(
    "sequence",
    [
        item_bytes(encode(item(CodeValue="1")), EXPLICIT_LITTLE) + _SEQUENCE_END + item_bytes(b"", EXPLICIT_LITTLE),
        item_bytes(encode(item(CodeValue="1")) + _ITEM_END + encode(item(CodeMeaning="K")), EXPLICIT_LITTLE),
        item_bytes(encode(item(CodeValue="1")) + _FRAGMENT, EXPLICIT_LITTLE),
        encode(item(CodeValue="1")),
    ],
    ids=["an item behind the end", "elements behind the end of an item", "fragments without end", "no item"],
)
def test_a_sequence_that_pydicom_reads_in_part_only_is_refused(tmp_path: Path, sequence: bytes) -> None:
    for raw in (sequence, item_bytes(element_bytes(0x00400008, "SQ", sequence, EXPLICIT_LITTLE), EXPLICIT_LITTLE)):
        content = encode(item(Modality="CT")) + element_bytes(0x00400275, "SQ", raw, EXPLICIT_LITTLE)
        found = refusal(tmp_path, write_meta(ExplicitVRLittleEndian, "", "") + content)
        assert found.reason is Reason.NOT_PARSABLE


def test_what_stands_behind_a_stray_delimiter_or_in_fragments_without_end_is_not_lost(tmp_path: Path) -> None:
    source = encode(image())
    pixels = source.index(b"\xe0\x7f\x10\0")
    out_of_order = encode(item(StudyDate="20040119"))
    for content in (source[:pixels] + _ITEM_END + source[pixels:], source[:pixels] + out_of_order + _FRAGMENT):
        found = refusal(tmp_path, write_meta(ExplicitVRLittleEndian, "", "") + content)
        assert found.reason is Reason.NOT_PARSABLE
    zeros = write_meta(ExplicitVRLittleEndian, "", "") + source[:pixels] + _ITEM_END + bytes(20)
    assert decode(read_file(put(tmp_path, zeros)).whole) == decode(source[:pixels])


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    for order in ((), (0x00200010,)):
        raw = encode(nested(*[0x00081140] * 61, leaf=item(Modality="CT")))
        for tag in order:
            raw += element_bytes(tag, "SH", b"", EXPLICIT_LITTLE)
        assert refusal(tmp_path, write_meta(ExplicitVRLittleEndian, "", "") + raw).reason is Reason.NOT_PARSABLE


def test_messages_hold_no_values(tmp_path: Path) -> None:
    broken = encode(item(PatientName="SECRET^NAME")) + b"\x08\0\x05\0SECRET"
    for content in (broken, broken[:18], encode(item(Modality="CT")) + broken[:18]):
        assert "SECRET" not in str(refusal(tmp_path, write_meta(ExplicitVRLittleEndian, "", "") + content))
