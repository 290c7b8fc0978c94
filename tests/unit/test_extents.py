"""Extents: text behind the last cell of a value is told, and what real files hold there is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from dicom_anon import dicomfile
from dicom_anon.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.extents import text_behind
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.scope import FileScope, Level, RunFacts
from tests.datasets import (
    KEY,
    copy,
    decode,
    encode,
    engine,
    file_bytes,
    item,
    joined,
    put,
    read_file,
    real_files,
    walked,
)

SECRET = b"Doe^Jane 1961-12-30 "
ENCODED = pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG])


def waveform(more: bytes, **attributes: Any) -> Dataset:
    channels = item(NumberOfWaveformChannels=2, NumberOfWaveformSamples=8, WaveformBitsAllocated=16)
    channels.update(item(**attributes))
    channels.add_new(0x54001010, "OW", bytes(32) + more)
    return item(WaveformSequence=[channels])


def spectrum(more: bytes, **attributes: Any) -> Dataset:
    data_set = item(Rows=2, Columns=1, NumberOfFrames=3, DataPointRows=1, DataPointColumns=4)
    data_set.update(item(DataRepresentation="COMPLEX", **attributes))
    data_set.add_new(0x56000020, "OF", bytes(2 * 3 * 4 * 2 * 4) + more)
    return data_set


def overlay(more: bytes) -> Dataset:
    group = 0x60020000
    data_set = Dataset()
    data_set.add_new(group | 0x10, "US", 5)
    data_set.add_new(group | 0x11, "US", 7)
    data_set.add_new(group | 0x15, "IS", "2")
    data_set.add_new(group | 0x3000, "OW", bytes(10) + more)  # 70 bits
    return data_set


def table(more: bytes, entries: int = 4) -> Dataset:
    lut = item(LUTDescriptor=[entries, 0, 16])
    lut.add_new(0x00283006, "OW", bytes(2 * (entries or 1 << 16)) + more)
    return item(ModalityLUTSequence=[lut])


def palette(more: bytes) -> Dataset:
    data_set = item(BluePaletteColorLookupTableDescriptor=[4, 0, 16])
    data_set.add_new(0x00281203, "OW", bytes(8) + more)
    return data_set


def pattern(more: bytes) -> Dataset:
    data_set = Dataset()
    data_set.add_new(0x00700256, "OB", bytes(128) + more)
    return data_set


CELLS: dict[int, tuple[str, int, dict[str, object]]] = {
    0x00160062: ("UN", 4, {}),  # Interoperability Version
    0x00281201: ("OW", 8, {"RedPaletteColorLookupTableDescriptor": [4, 0, 16]}),
    0x00281202: ("OW", 8, {"GreenPaletteColorLookupTableDescriptor": [4, 0, 16]}),
    0x00281203: ("OW", 8, {"BluePaletteColorLookupTableDescriptor": [4, 0, 16]}),
    0x00281204: ("OW", 8, {"AlphaPaletteColorLookupTableDescriptor": [4, 0, 16]}),
    0x00281408: ("OW", 8, {"BlendingLookupTableDescriptor": [4, 0, 16]}),
    0x00700256: ("OB", 128, {}),  # Fill Pattern
    0x54000110: ("OW", 8, {}),  # Channel Minimum Value
    0x54000112: ("OW", 8, {}),
    0x5400100A: ("OW", 8, {}),
}


@pytest.mark.parametrize("tag", CELLS, ids=lambda tag: f"{tag:08x}")
def test_each_value_of_cells_has_its_end(tag: int) -> None:
    vr, length, attributes = CELLS[tag]
    for more, is_refused in ((b"", False), (SECRET, True)):
        data_set = item(**attributes)
        data_set.add_new(tag, vr, bytes(length) + more)
        raw = encode(data_set)
        if is_refused:
            with pytest.raises(FileRefused) as refused:
                engine({}).run(walked(raw))
            assert refused.value.reason is Reason.MISPLACED
        else:
            assert joined(engine({}).run(walked(raw)).pieces, b"").endswith(raw)


@pytest.mark.parametrize("group", range(0x6000, 0x6020, 2))
def test_each_overlay_has_its_end(group: int) -> None:
    data_set = Dataset()
    data_set.add_new(group << 16 | 0x10, "US", 4)
    data_set.add_new(group << 16 | 0x11, "US", 4)
    data_set.add_new(group << 16 | 0x3000, "OW", bytes(2) + SECRET)
    with pytest.raises(FileRefused):
        engine({}).run(walked(encode(data_set)))


@pytest.mark.parametrize("built", [waveform, spectrum, overlay, table, palette, pattern])
@pytest.mark.parametrize("text", [SECRET, b"1961-12-30"])
@ENCODED
def test_text_behind_the_last_cell_is_refused(
    built: Callable[[bytes], Dataset], encoding: Encoding, text: bytes
) -> None:
    for plain in (built(b""), built(bytes(8)), built(b"ab\0\0")):
        raw = encode(plain, encoding)
        assert joined(engine({}).run(walked(raw, encoding)).pieces, b"").endswith(raw)
    with pytest.raises(FileRefused) as refused:
        engine({}).run(walked(encode(built(text), encoding), encoding))
    assert refused.value.reason is Reason.MISPLACED
    assert text.decode() not in str(refused.value)


def test_the_longest_table_has_65536_entries() -> None:
    for more, is_refused in ((b"", False), (SECRET, True)):
        data = walked(encode(table(more, entries=0)))
        if is_refused:
            with pytest.raises(FileRefused):
                engine({}).run(data)
        else:
            assert decode(joined(engine({}).run(data).pieces, b""))


@pytest.mark.parametrize(("surplus", "is_refused"), [(0, False), (2, True)])
def test_a_value_that_stays_in_the_file_is_as_long_as_its_cells(
    tmp_path: Path, surplus: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicomfile, "HEAD", 1000)
    monkeypatch.setattr(dicomfile, "BULK", 1800)
    data_set = spectrum(b"", NumberOfFrames="30")
    data_set.SpectroscopyData = bytes(30 * 64 + surplus)
    source = put(tmp_path, file_bytes(data_set))
    if is_refused:
        with pytest.raises(FileRefused) as refused:
            copy(source, tmp_path / "out")
        assert refused.value.reason is Reason.MISPLACED
    else:
        assert copy(source, tmp_path / "out")[0x56000020].value == dcmread(source)[0x56000020].value


def test_cells_that_look_like_words_are_none() -> None:
    data_set = waveform(b"")
    data_set.WaveformSequence[0].WaveformData = SECRET + bytes(12)
    raw = encode(data_set)
    assert joined(engine({}).run(walked(raw)).pieces, b"").endswith(raw)


def test_what_goes_is_not_looked_into() -> None:
    after = decode(joined(engine({"(60xx,3000)": "remove"}).run(walked(encode(overlay(SECRET)))).pieces, b""))
    assert (0x6002, 0x3000) not in after
    assert (0x6002, 0x0010) in after


def _levels(level: Level) -> list[Level]:
    children = [child for span in level.spans for child in level.items(span[0])]
    return [level, *(inner for child in children for inner in _levels(child))]


@pytest.mark.parametrize("path", real_files(), ids=lambda path: path.name)
def test_real_files_have_nothing_there(path: Path) -> None:
    try:
        read = read_file(path)
    except FileRefused:
        return
    scope = FileScope(read.data.buf, RunFacts(), Pseudonyms(KEY))
    scope.root = root = Level(scope, read.data.spans, read.data.encoding, None, 0)
    assert [span[0] for level in _levels(root) for span in level.spans if text_behind(level, span)] == []
