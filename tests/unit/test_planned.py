"""Long values among the pieces of an output: what is looked for in them before they are copied."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate

from dicom_anon import FileRefused, anonymize_file
from dicom_anon.dicomfile import BULK
from dicom_anon.elements import EXPLICIT_LITTLE, element_bytes
from dicom_anon.errors import Reason
from dicom_anon.pixelplan import BLANKED, NOT_CHECKED
from tests.datasets import KEY, SYNTAXES, file_bytes, image, put


@pytest.mark.parametrize("syntax", [SYNTAXES["explicit"], SYNTAXES["implicit"]], ids=["explicit", "implicit"])
def test_a_long_value_that_swallows_the_elements_behind_it_is_refused(tmp_path: Path, syntax: str) -> None:
    source = image(ICCProfile=bytes(BULK), PersonName="Doe^Jane")
    del source.PixelData
    content = file_bytes(source, syntax)
    anonymize_file(put(tmp_path, content), tmp_path / "target", key=KEY)
    assert len(dcmread(tmp_path / "target").ICCProfile) == BULK
    at = content.index(struct.pack("<L", BULK), content.index(b"\x28\0\0\x20"))
    swollen = content[:at] + struct.pack("<L", len(content) - at - 4) + content[at + 4 :]
    with pytest.raises(FileRefused, match=r"\(0028,2000\) holds other elements") as refused:
        anonymize_file(put(tmp_path, swollen), tmp_path / "swollen", key=KEY)
    assert refused.value.reason is Reason.NOT_PARSABLE
    assert not (tmp_path / "swollen").exists()


VIDEO, JPEG_XL = "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.110"


def encapsulated(folder: Path, content: bytes, syntax: str) -> Path:
    source = image(PatientName="Grubenwald^Otto", PatientID="N-1")
    source.PixelData = encapsulate([content], has_bot=False)
    source["PixelData"].is_undefined_length = True
    return put(folder, file_bytes(source, syntax))


@pytest.mark.parametrize(
    ("content", "syntax"),
    [
        (b"\0\0\1\xb2 GRUBENWALD OTTO", VIDEO),
        (b"\0\0\0\x0cftypisom\0\0\0\0mdat\6\5 Grubenwald", VIDEO),
        (b"\xff\x0a" + bytes(3 << 20) + b"grubenwald", JPEG_XL),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\0jxlc\xff\x0a grubenwald", JPEG_XL),
    ],
)
def test_pixel_data_that_is_not_looked_into_must_not_hold_its_patients_name(
    tmp_path: Path, content: bytes, syntax: str
) -> None:
    with pytest.raises(FileRefused, match="holds text of a header") as refused:
        anonymize_file(encapsulated(tmp_path, content, syntax), tmp_path / "target", key=KEY)
    assert refused.value.reason is Reason.UNSUPPORTED
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("content", "syntax"),
    [
        (b"\0\0\0\x0cftypisom\0\0\0\x13udtaGrubenwald \0\0\0\x0amdat\6\5", VIDEO),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x12xml Grubenwald\0\0\0\0jxlc\xff\x0a", JPEG_XL),
    ],
)
def test_a_name_that_is_overwritten_is_no_reason_to_refuse(tmp_path: Path, content: bytes, syntax: str) -> None:
    notes = anonymize_file(encapsulated(tmp_path, content, syntax), tmp_path / "target", key=KEY)
    assert {BLANKED, NOT_CHECKED} <= notes
    assert b"Grubenwald" not in (tmp_path / "target").read_bytes()


@pytest.mark.parametrize("syntax", [VIDEO, JPEG_XL])
def test_a_short_name_in_long_pixel_data_is_chance(tmp_path: Path, syntax: str) -> None:
    with pytest.raises(FileRefused):
        anonymize_file(encapsulated(tmp_path, bytes(1 << 20) + b"otto", syntax), tmp_path / "target", key=KEY)
    long = encapsulated(tmp_path, bytes(3 << 20) + b"otto", syntax)
    assert NOT_CHECKED in anonymize_file(long, tmp_path / "target", key=KEY)


def test_pixel_data_that_is_not_looked_into_must_hold_no_elements_but_video(tmp_path: Path) -> None:
    other = element_bytes(0x0040A123, "PN", b"Doe^Jane", EXPLICIT_LITTLE)  # of another patient than the header's
    content = bytes(64) + other + bytes(64)
    with pytest.raises(FileRefused, match="pixel data of unknown structure") as refused:
        anonymize_file(encapsulated(tmp_path, b"\xff\x0a" + content, JPEG_XL), tmp_path / "target", key=KEY)
    assert refused.value.reason is Reason.UNSUPPORTED
    video = encapsulated(tmp_path, b"\0\0\1\xb3" + content, VIDEO)  # long, and searched for names only
    assert anonymize_file(video, tmp_path / "target", key=KEY) == {NOT_CHECKED}
