"""The output is valid DICOM: by dciodvfy against PS3.3, and by dcmtk as a second reader."""

from __future__ import annotations

import functools
import re
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.conftest import Deliver
from tests.acceptance.test_profile import PROFILES

pytestmark = pytest.mark.external

VALUES = re.compile(r"<[^>]*>|\"[^\"]*\"|`[^']*'|0x[0-9a-f]+(?!,)|(?<![(\w,])\d[\d.]*(?![\w,)])")
"""What differs between two messages that say the same of two values; tags are none of it."""

CANNOT_READ = ("Dicom dataset read failed", "Tags out of order", "Bad group length", "Illegal element length")


def _said(path: Path) -> list[str]:
    made = subprocess.run(["dciodvfy", path], capture_output=True, check=False, timeout=60)
    text = (made.stderr + made.stdout).decode("latin-1")
    return [line for line in text.splitlines() if line.startswith("Error")]


@functools.cache
def _errors(path: Path) -> Counter[str]:
    return Counter(VALUES.sub("#", line) for line in _said(path))


def _new_errors(pair: tuple[Path, Path]) -> Counter[str] | None:
    """Errors of the output that the input has not; nothing where the input cannot be read."""
    source, made = pair
    before = _errors(source)
    if any(piece in line for line in before for piece in CANNOT_READ):
        return None
    return _errors(made) - before


@pytest.mark.parametrize(
    ("tree", "least", "name"),
    [
        ("sample_in", 45, "default"),
        ("real_in", 200, "default"),
        *(("sample_in", 45, name) for name in sorted(PROFILES)),
        ("real_in", 200, "basic"),
        ("real_in", 200, "tcia"),
    ],
)
def test_dciodvfy_reports_nothing_new(
    deliver: Deliver, request: pytest.FixtureRequest, tree: str, least: int, name: str
) -> None:
    delivery = deliver(request.getfixturevalue(tree), *PROFILES.get(name, ()))
    names = list(delivery.files)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(_new_errors, [(delivery.source / name, delivery.destination / name) for name in names]))
    compared = {name: errors for name, errors in zip(names, found, strict=True) if errors is not None}
    assert {name: dict(errors) for name, errors in compared.items() if errors} == {}
    assert len(compared) >= least


@pytest.mark.parametrize("preset", ["default", "mercure", "none", "basic", "tcia"])
@pytest.mark.parametrize("tree", ["sample_in", "real_in"])
def test_dcmtk_reads_every_output_that_it_could_read_before(
    deliver: Deliver, request: pytest.FixtureRequest, tree: str, preset: str
) -> None:
    delivery = deliver(request.getfixturevalue(tree), "--preset", preset)

    strange = set(_unread(delivery.source, list(delivery.files)))
    both = [name for name in delivery.files if name not in strange]
    assert len(both) > 45
    assert _unread(delivery.destination, both) == []
    if preset != "none":  # what is odd but kept whole stays odd under none
        assert _unread(delivery.destination, list(strange)) == []


def _unread(folder: Path, names: list[str]) -> list[str]:
    """Names of the files that dcmdump cannot read."""
    words = ["dcmdump", "--quiet", "+fo", *(str(folder / name) for name in names)]
    if not names or subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0:
        return []
    half = len(names) // 2
    return names if not half else _unread(folder, names[:half]) + _unread(folder, names[half:])
