"""Long values among the pieces of an output: what is looked for in them before they are copied."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_anon import FileRefused, anonymize_file
from dicom_anon.dicomfile import BULK
from dicom_anon.errors import Reason
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
