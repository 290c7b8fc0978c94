"""Folder trees: any depth, in order, and what cannot be listed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dicom_anon.folders import walk, walk_up


def test_folders_come_before_or_behind_what_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "b/d").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    for name in ("z", "b/y", "b/d/x"):
        (tmp_path / name).write_bytes(b"")
    os.symlink(tmp_path, tmp_path / "a/loop")
    top, a, b, d = (os.fspath(tmp_path / name) for name in ("", "a", "b", "b/d"))
    listed = [(top, ["a", "b"], ["z"]), (a, [], ["loop"]), (b, ["d"], ["y"]), (d, [], ["x"])]
    assert list(walk(tmp_path)) == listed
    assert list(walk_up(tmp_path)) == listed[::-1]


def test_what_cannot_be_listed_is_an_error_or_left_out(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(walk(tmp_path / "gone"))
    assert list(walk_up(tmp_path / "gone")) == []
