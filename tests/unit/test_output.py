"""Outputs: whole or not at all, however the system copies, and in the order of their pieces."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from dicom_anon import dicomfile, output
from dicom_anon.dicomfile import DicomFile
from dicom_anon.elements import FileRange, Piece
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.filemeta import write_meta
from tests.datasets import copy, engine, file_bytes, image, put


def test_the_copy_notices_that_its_source_has_shrunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomfile, "HEAD", 400)
    source = image()
    source.PixelData = bytes(5000)
    path = put(tmp_path, file_bytes(source))
    for kernel in (True, False):
        with open(path, "rb", buffering=0) as handle:
            file = DicomFile(handle, path.stat().st_size)
            pieces = engine({}).run(file.data).pieces
            os.truncate(path, path.stat().st_size - 100)
            if not kernel:
                monkeypatch.delattr(os, "copy_file_range", raising=False)
            with pytest.raises(FileRefused) as refused:
                output.write(tmp_path / "target", handle, file, write_meta(ExplicitVRLittleEndian, "", ""), pieces)
        assert refused.value.reason is Reason.TRUNCATED
        assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]
        path.write_bytes(file_bytes(source))


@pytest.mark.parametrize(
    "failure",
    [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), FileRefused(Reason.TRUNCATED)],
)
def test_a_failure_leaves_neither_a_partial_file_nor_a_changed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    path = put(tmp_path, file_bytes(image()))
    target = put(tmp_path, b"as it was", "target")

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(output, "_write_all", fail)
    with pytest.raises(type(failure)):
        copy(path, target)
    assert target.read_bytes() == b"as it was"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source", "target"]
    assert path.read_bytes() == file_bytes(image())


def test_the_name_of_a_part_tells_nothing_and_stays_short(tmp_path: Path) -> None:
    part = Path(output.part_name(tmp_path / ("DOE^JANE" * 30)))
    assert part.parent == tmp_path
    assert part.name.startswith(output.PART_PREFIX)
    assert "DOE" not in part.name
    assert len(part.name) < 80
    assert part == Path(output.part_name(tmp_path / "other"))
    with ThreadPoolExecutor(1) as other:
        assert part != Path(other.submit(output.part_name, tmp_path / "other").result())


CODES = [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EIO]


@pytest.mark.parametrize("before", [0, 77])
@pytest.mark.parametrize("code", [None, 0, *CODES])
def test_where_the_kernel_does_not_copy_a_buffer_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None, before: int
) -> None:
    monkeypatch.setattr(dicomfile, "HEAD", 400)
    monkeypatch.setattr(output, "_COPY_CHUNK", 300)
    source = image()
    source.PixelData = bytes(range(250)) * 8
    path = put(tmp_path, file_bytes(source))
    copy(path, tmp_path / "kernel")
    able = [before]

    def refuse(source: int, target: int, count: int, offset: int) -> int:
        if able and (done := able.pop()):
            return os.write(target, os.pread(source, done, offset))
        if code:
            raise OSError(code, os.strerror(code))
        return 0

    if code is None:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    else:
        monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    copy(path, tmp_path / "buffer")
    assert (tmp_path / "buffer").read_bytes() == (tmp_path / "kernel").read_bytes()


def test_an_error_of_the_kernel_copy_that_is_no_lack_of_support_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def full(*_: object) -> int:
        monkeypatch.setattr(os, "write", full)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dicomfile, "HEAD", 400)
    monkeypatch.setattr(os, "copy_file_range", full, raising=False)
    source = image()
    source.PixelData = bytes(5000)
    path = put(tmp_path, file_bytes(source))
    with pytest.raises(OSError, match="28") as failed:
        copy(path, tmp_path / "target")
    monkeypatch.setattr(os, "write", write)
    assert failed.value.errno == errno.ENOSPC
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]


def test_the_kernel_may_copy_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomfile, "HEAD", 400)
    source = image()
    source.PixelData = bytes(range(250)) * 8
    path = put(tmp_path, file_bytes(source))

    def some(source: int, target: int, count: int, offset: int) -> int:
        return os.write(target, os.pread(source, min(count, 77), offset))

    monkeypatch.setattr(os, "copy_file_range", some, raising=False)
    assert copy(path, tmp_path / "target").PixelData == source.PixelData


def test_pieces_of_a_file_are_written_in_order(tmp_path: Path) -> None:
    content = file_bytes(image())
    path, at = put(tmp_path, content), content.index(b"Doe^Jane")
    with open(path, "rb", buffering=0) as handle:
        file = DicomFile(handle, path.stat().st_size)
        pieces: list[Piece] = [b"a", FileRange(at + 4, 4), b"b", FileRange(at, 4)]
        output.write(tmp_path / "target", handle, file, b"<", pieces)
    assert (tmp_path / "target").read_bytes() == b"<aJanebDoe^"
