"""Trees and runs that many acceptance tests look at: made once, never changed by a test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from dicom_anon.sample import Sample, write_sample
from tests.acceptance.command import KEY, Done, call, contents
from tests.datasets import real_files


@dataclass(frozen=True)
class Delivery:
    """One run that many tests look at."""

    source: Path
    destination: Path
    done: Done
    files: dict[str, bytes]


Deliver: TypeAlias = Callable[..., Delivery]


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key."""
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(KEY)
    return path


@pytest.fixture(scope="session")
def sample_tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sample]:
    """The sample tree and what was planted in it."""
    folder = tmp_path_factory.mktemp("sample") / "in"
    return folder, write_sample(folder)


@pytest.fixture(scope="session")
def sample(sample_tree: tuple[Path, Sample]) -> Sample:
    """What was planted in the sample tree."""
    return sample_tree[1]


@pytest.fixture(scope="session")
def sample_in(sample_tree: tuple[Path, Sample]) -> Path:
    """The sample tree."""
    return sample_tree[0]


@pytest.fixture(scope="session")
def real_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of pydicom's test files."""
    folder = tmp_path_factory.mktemp("real") / "in"
    for path in real_files():
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        assert not target.exists()
        shutil.copyfile(path, target)
    return folder


@pytest.fixture(scope="session")
def deliver(tmp_path_factory: pytest.TempPathFactory, key_file: Path) -> Deliver:
    """Run the command over a tree, once for the same words."""
    made: dict[tuple[object, ...], Delivery] = {}

    def run(source: Path, *options: object) -> Delivery:
        words = (source, *options)
        if words not in made:
            destination = tmp_path_factory.mktemp("run") / "out"
            common = ("--key-file", key_file, "--names", "keep", "--json", "-")
            done = call(source, destination, *common, *options)
            made[words] = Delivery(source, destination, done, contents(destination))
        return made[words]

    return run


@pytest.fixture(scope="session")
def sample_out(deliver: Deliver, sample_in: Path) -> Delivery:
    """The sample tree under the preset default."""
    return deliver(sample_in)


@pytest.fixture(scope="session")
def real_out(deliver: Deliver, real_in: Path) -> Delivery:
    """All of pydicom's test files under the preset default."""
    return deliver(real_in)
