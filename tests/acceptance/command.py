"""How the acceptance tests run the command: in this process, or in one of its own for signals and workers.

Lives here also: reading trees back, with pydicom. No expectations live here.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import warnings
import zlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pydicom import Dataset, dcmread
from pydicom.filereader import read_partial
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_anon.cli import main

COMMAND = (sys.executable, "-m", "dicom_anon")
ROOT = Path(__file__).parents[2]
KEY = "a key that is only for the tests"

Path_: TypeAlias = "tuple[int | str, ...]"
"""Place of an element: tags and item numbers in turn."""


@dataclass(frozen=True)
class Done:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def account(self) -> dict[str, Any]:
        """The JSON summary, where it was asked for with ``--json -``."""
        found: dict[str, Any] = json.loads(self.out[self.out.index('{\n "tool"') :])
        return found

    def reasons(self, kind: str) -> dict[str, int]:
        """Reasons of one column of the account."""
        found: dict[str, int] = self.account[kind]["reasons"]
        return found


def call(*args: object) -> Done:
    """Run the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["dicom-anon", *map(str, args)])
        patch.setenv("COLUMNS", "300")
        try:
            main()
        except SystemExit as leave:
            code = leave.code
    return Done(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def environment(**more: str) -> dict[str, str]:
    """Environment of a process of its own."""
    return {**os.environ, "COLUMNS": "300", **more}


def spawn(*args: object, **options: Any) -> Done:
    """Run the command as a process of its own."""
    options.setdefault("env", environment())
    made = subprocess.run(
        [*COMMAND, *map(str, args)], capture_output=True, text=True, timeout=120, check=False, **options
    )
    return Done(made.returncode, made.stdout, made.stderr)


def start(*args: object, **options: Any) -> subprocess.Popen[str]:
    """Start the command as a process of its own, leader of a new group."""
    options.setdefault("env", environment())
    return subprocess.Popen(
        [*COMMAND, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def finish(process: subprocess.Popen[str]) -> Done:
    """Wait for a process and take what it printed."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return Done(process.returncode, out, err)


def files_below(folder: Path) -> list[str]:
    """Relative paths of all files, in order."""
    return sorted(
        os.path.relpath(os.path.join(top, name), folder) for top, _, names in os.walk(folder) for name in names
    )


def folders_below(folder: Path) -> set[str]:
    """Relative paths of all folders."""
    return {os.path.relpath(os.path.join(top, name), folder) for top, names, _ in os.walk(folder) for name in names}


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a tree, by relative path."""
    return {name: (folder / name).read_bytes() for name in files_below(folder)}


def searchable(content: bytes) -> bytes:
    """Bytes of a file and, where its Data Set is deflated, the inflated ones as well."""
    if content[128:132] != b"DICM":
        return content
    meta = read_partial(io.BytesIO(content), lambda tag, vr, length: True).file_meta
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return content
    return content + zlib.decompress(content[144 + meta.FileMetaInformationGroupLength :], -zlib.MAX_WBITS)


def read(content: bytes | Path) -> Dataset:
    """Read a file with pydicom."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(content if isinstance(content, Path) else io.BytesIO(content), force=True)


def elements(data_set: Dataset, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """All elements at every depth with their place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tag in sorted(data_set.keys()):
            element = data_set[tag]
            here = (*path, int(tag))
            yield here, element
            if element.VR == "SQ":
                for number, item in enumerate(element.value or ()):
                    yield from elements(item, (*here, f"item {number}"))


def same_pixels(before: bytes, after: bytes, bits: int = 16) -> bool:
    """Tell whether two values of pixel data show the same.

    In a codestream, comments may have been blanked; in words of which `bits` are stored, the others too.
    """
    if before == after or len(before) != len(after):
        return before == after
    if not before.startswith(b"\xfe\xff\x00\xe0"):
        words, mask = (array("H", value) for value in (before, after)), (1 << bits) - 1
        one, other = ([word & mask for word in value] for value in words)
        return one == other
    free = {i for fragment in _fragments(before) for i in _comments(before, *fragment)}
    return before == after or {i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new} <= free


def _fragments(value: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each fragment of encapsulated pixel data (PS3.5 section A.4)."""
    at = 0
    while value[at : at + 4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(value[at + 4 : at + 8], "little")
        yield at + 8, at + 8 + length
        at += 8 + length


def _comments(value: bytes, start: int, end: int) -> Iterator[int]:
    """Bytes of a codestream that are no picture: comments, application segments, what comes after its end."""
    finish = value.rfind(b"\xff\xd9", start, end)
    if finish >= 0:
        yield from range(finish + 2, end)
    while value[start + 4 : start + 8] in (
        b"jP  ",
        b"ftyp",
        b"rreq",
        b"jp2h",
        b"uuid",
        b"xml ",
    ):  # a file around it
        length = int.from_bytes(value[start : start + 4], "big")
        if value[start + 4 : start + 8] in (b"uuid", b"xml "):
            yield from range(start + 8, start + length)
        start += length
    if value[start + 4 : start + 8] == b"jp2c":
        start += 8
    if value[start : start + 2] not in (b"\xff\xd8", b"\xff\x4f"):
        return  # a later fragment of a frame
    at = start + 2
    while value[at] == 0xFF and value[at + 1] not in (0xDA, 0x90):
        length = int.from_bytes(value[at + 2 : at + 4], "big")
        if value[at + 1] in (0x64, 0xFE) or 0xE0 <= value[at + 1] <= 0xEF:
            yield from range(at + 4, at + 2 + length)
        at += 2 + length


def uids(data_set: Dataset) -> Iterator[tuple[Path_, str]]:
    """All UIDs at every depth with their place."""
    for path, element in elements(data_set):
        if element.VR == "UI" and element.value:
            values = element.value if element.VM > 1 else [element.value]
            for number, value in enumerate(values):
                yield (*path, f"value {number}"), str(value)


def write_config(folder: Path, content: Mapping[str, Any] | str, name: str = "rules.json") -> Path:
    """Write a configuration file."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def workers_of(parent: int) -> list[int]:
    """Worker processes of a run, by the system's own list."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                status = Path("/proc", entry, "stat").read_text()
                words = Path("/proc", entry, "cmdline").read_bytes()
            except OSError:
                continue
            if int(status.rpartition(")")[2].split()[1]) == parent and b"popen_loky" in words:
                found.append(int(entry))
    return sorted(found)
