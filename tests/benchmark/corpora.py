"""The benchmark's folder trees: how many files of which kind, written with bounded memory and kept.
Not here: what the headers hold (``headers``), what runs over the trees (``tools``).
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from random import Random

import pydicom
from pydicom import dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from dicom_anon.fanout import SMALL_BYTES, SMALL_FILES

from . import headers
from .headers import Frames, Place

REVISION = 1
"""Raised when the same parameters give other bytes, so that kept corpora are built anew."""

PIECE = 1 << 20
"""Bytes of noise made and written at a time."""

SCAN = 56_000
"""Bytes of noise that follow the scan of each JPEG frame, where decoders pass over them: frames get a usual size."""


START, START_FILES, START_SHARE = "tiny", 10_000, 5
"""The larger of the two trees that give the start-up: recipe and files; the smaller is one file in so many."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One corpus: how many files at scale 1, in what folders, and how one is made."""

    name: str
    about: str
    files: int
    per_series: int
    series_per_study: int
    studies_per_patient: int
    frames: Frames
    header: Callable[[Place, Frames], Dataset]
    pixels: Callable[[Frames, Random], Iterator[bytes]]
    shrinks: bool = False

    def count(self, scale: float) -> int:
        """Return the number of files at a scale; at least one."""
        return max(1, round(self.files * scale))

    def scaled(self, scale: float) -> Frames:
        """Return the frames at a scale; only large ones shrink, and keep their number."""
        if not self.shrinks or scale >= 1:
            return self.frames
        edge = scale**0.5
        rows, columns = (max(16, round(n * edge)) for n in (self.frames.rows, self.frames.columns))
        return Frames(self.frames.number, rows, columns)

    def place(self, index: int) -> Place:
        """Return the place of the corpus' file ``index`` (from 0)."""
        series, instance = divmod(index, self.per_series)
        study, series = divmod(series, self.series_per_study)
        patient, study = divmod(study, self.studies_per_patient)
        return Place(self.name, patient, study, series, instance, index)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A tree on disk: its folder, its number of files and their bytes."""

    name: str
    folder: Path
    files: int
    size: int

    @property
    def small(self) -> bool:
        """Return whether dicom-anon does the tree in its own process, without a pool of workers."""
        return self.files <= SMALL_FILES and self.size <= SMALL_BYTES


def _plain(frames: Frames, rng: Random) -> Iterator[bytes]:
    """Yield an uncompressed Pixel Data element of 16 bit noise (PS3.5 7.1.2: OW, 32 bit length)."""
    left = frames.number * frames.rows * frames.columns * 2
    yield struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, left)
    while left:
        piece = rng.randbytes(min(PIECE, left))
        left -= len(piece)
        yield piece


def _none(frames: Frames, rng: Random) -> Iterator[bytes]:
    """Yield nothing: a header-only object."""
    yield from ()


def _encapsulated(frames: Frames, rng: Random) -> Iterator[bytes]:
    """Yield an encapsulated Pixel Data element (PS3.5 A.4) of real JPEG frames, one fragment each.

    Noise behind the entropy-coded data, none of it a marker, gives every frame bytes of its own.
    """
    path = get_testdata_file("examples_ybr_color.dcm", download=False)
    source = dcmread(str(path))
    real = list(generate_frames(source.PixelData, number_of_frames=int(source.NumberOfFrames)))
    sizes = [len(real[n % len(real)]) + SCAN for n in range(frames.number)]
    sizes = [size + size % 2 for size in sizes]
    offsets = [sum(sizes[:n]) + 8 * n for n in range(frames.number)]
    yield struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    yield struct.pack(f"<HHI{len(offsets)}I", 0xFFFE, 0xE000, 4 * len(offsets), *offsets)
    for number, size in enumerate(sizes):
        jpeg = real[number % len(real)]
        noise = rng.randbytes(SCAN).replace(b"\xff", b"\x7f")
        end = jpeg.rindex(b"\xff\xd9")
        fragment = jpeg[:end] + noise + jpeg[end:]
        yield struct.pack("<HHI", 0xFFFE, 0xE000, size) + fragment.ljust(size, b"\0")
    yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "ct", "CT slices of 525 KB, about 100 elements",
            2000, 50, 2, 2, Frames(1, 512, 512), headers.ct, _plain,
        ),
        Recipe(
            "mr", "MR slices of 35 to 85 KB, 150 to 250 elements, private blocks of 10 to 60 KB",
            4000, 40, 5, 1, Frames(1, 64, 128), headers.mr, _plain,
        ),
        Recipe(
            "tiny", "header-only objects of 2 to 3 KB",
            10000, 25, 4, 2, Frames(0, 0, 0), headers.tiny, _none,
        ),
        Recipe(
            "mf", "enhanced multi-frame MR of 200 MB, functional groups of 382 frames",
            8, 1, 2, 1, Frames(382, 512, 512), headers.mf, _plain, shrinks=True,
        ),
        Recipe(
            "us", "compressed multi-frame ultrasound of 20 MB",
            20, 5, 1, 1, Frames(320, 240, 320), headers.us, _encapsulated,
        ),
    )
}  # fmt: skip


def _write(path: Path, ds: Dataset, pixels: Iterator[bytes]) -> int:
    """Write header and Pixel Data element; return the bytes written."""
    head = BytesIO()
    dcmwrite(head, ds, enforce_file_format=True)
    with path.open("wb") as target:
        target.write(head.getvalue())
        target.writelines(pixels)
        return target.tell()


def _fill(folder: Path, recipe: Recipe, scale: float) -> int:
    frames = recipe.scaled(scale)
    size = 0
    template = Dataset()
    for index in range(recipe.count(scale)):
        place = recipe.place(index)
        series = folder / place.patient_id / f"study_{place.study + 1}" / f"series_{place.series + 1:02d}"
        if place.instance == 0:
            series.mkdir(parents=True, exist_ok=True)
            template = recipe.header(place, frames)
        rng = Random(f"{recipe.name}/{index}")
        headers.vary(template, place, rng)
        size += _write(series / f"IM{place.instance + 1:05d}.dcm", template, recipe.pixels(frames, rng))
    return size


def build(work: Path, name: str, scale: float) -> Corpus:
    """Return a corpus of the given scale under ``work``, building it unless it is there already.

    A stamp file beside the tree holds the parameters; it is written last, so a broken build is not used.

    Raises
    ------
    FileExistsError
        When the folder holds another corpus: what was made with other parameters is never deleted, because
        deleting large trees slows what is measured after it.
    """
    recipe = RECIPES[name]
    label = f"{name}-{recipe.count(scale)}" + (f"x{recipe.scaled(scale).rows}" if recipe.shrinks else "")
    folder, stamp = work / "corpora" / label, work / "corpora" / f"{label}.json"
    wanted = {
        "revision": REVISION,
        "pydicom": pydicom.__version__,
        "files": recipe.count(scale),
        "frames": asdict(recipe.scaled(scale)),
    }
    if stamp.exists():
        held = json.loads(stamp.read_text())
        size = held.pop("size")
        if held == wanted:
            return Corpus(name, folder, recipe.count(scale), size)
        raise FileExistsError(f"{folder} was made with other parameters: use another work folder")
    folder.mkdir(parents=True, exist_ok=True)
    size = _fill(folder, recipe, scale)
    os.sync()
    stamp.write_text(json.dumps(wanted | {"size": size}, indent=1))
    return Corpus(name, folder, recipe.count(scale), size)


def files_of(folder: Path) -> list[Path]:
    """Return every file under a folder, sorted."""
    return sorted(Path(root) / name for root, _, names in os.walk(folder) for name in names)


def subset(corpus: Corpus, share: int) -> Corpus:
    """Return the first 1/``share`` of a corpus' files (at least one), as hard links in a tree of its own."""
    count = max(1, corpus.files // share)
    folder = corpus.folder.with_name(f"{corpus.folder.name}-first-{count}")
    size = 0
    for path in files_of(corpus.folder)[:count]:
        link = folder / path.relative_to(corpus.folder)
        size += path.stat().st_size
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, link)
    return Corpus(corpus.name, folder, count, size)


def start_files(scale: float) -> int:
    """Return the files of the larger start-up tree; fewer only at scales at which no corpus is for a pool."""
    most = max(recipe.count(scale) for recipe in RECIPES.values())
    return START_FILES if most > SMALL_FILES else max(2, most)


def start_trees(work: Path, scale: float) -> tuple[Corpus, Corpus]:
    """Return the two trees of header-only objects that give the start-up, the smaller one first."""
    large = build(work, START, start_files(scale) / RECIPES[START].files)
    return subset(large, START_SHARE), large
