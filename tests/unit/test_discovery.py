"""The walk over a source tree, where this system cannot make what is met."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from dicom_anon.discovery import FileJob, Folder, Found, NotTried, discover
from dicom_anon.errors import Reason


class Junction:
    """A link between folders of Windows, as `os.scandir` shows it there: a folder, and no symbolic link."""

    name = "junction"

    def __init__(self, target: Path) -> None:
        self.path = os.fspath(target)

    def stat(self, *, follow_symlinks: bool) -> SimpleNamespace:
        return SimpleNamespace(st_mode=stat.S_IFDIR | 0o777, st_reparse_tag=0xA0000003)

    def is_symlink(self) -> bool:
        return False

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        return True


@pytest.mark.parametrize(
    ("inside", "follow", "found"),
    [
        (True, False, NotTried("junction", Reason.SYMLINK)),
        (True, True, NotTried("junction", Reason.SYMLINK)),
        (False, False, NotTried("junction", Reason.SYMLINK)),
        (False, True, Folder("junction")),
    ],
)
def test_a_junction_is_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool, follow: bool, found: Found
) -> None:
    source, outside = tmp_path / "in", tmp_path / "outside"
    source.mkdir()
    outside.mkdir()

    @contextlib.contextmanager
    def listed(folder: str) -> Iterator[list[Junction]]:
        yield [Junction(source if inside else outside)] if Path(folder) == source else []

    monkeypatch.setattr(os, "scandir", listed)
    assert list(discover(source, follow_links=follow)) == [found]


def test_of_names_that_are_one_in_the_destination_the_first_is_tried(tmp_path: Path) -> None:
    for path in (
        "A",
        "a",
        "a.",
        "b",
        "Dir/x",
        "dir/x",
        "dir/deep/y",
        "dir/z",
        "\u00e4",
        "a\u0308",
        "SS",
        "sub/A",
        "sub/b",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    told = list(discover(tmp_path, case_is_lost=True))
    assert [job.relative for job in told if isinstance(job, FileJob)] == [
        "A",
        "SS",
        "a\u0308",
        "b",
        "Dir/x",
        "sub/A",
        "sub/b",
    ]
    assert [folder.relative for folder in told if isinstance(folder, Folder)] == ["Dir", "sub"]
    lost = {entry.relative: entry.reason for entry in told if isinstance(entry, NotTried)}
    assert lost == dict.fromkeys(("a", "a.", "\u00e4", "dir/x", "dir/z", "dir/deep/y"), Reason.WRITE_FAILED)
    assert not any(isinstance(entry, NotTried) for entry in discover(tmp_path))
