"""The sample tree behind ``dicom-anon sample``: invented patients in real kinds of objects.

This module writes the tree and says what was planted in it; people, builders and the table stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_anon.sample import people, tree
from dicom_anon.sample.common import IMPLEMENTATION_UID

__all__ = ["Sample", "write_sample"]


@dataclass(frozen=True)
class Sample:
    """What a sample tree holds.

    Attributes
    ----------
    files : int
        DICOM instances; a de-identifier must write as many.
    others : int
        Files that are no instance: DICOMDIR, texts, a photograph.
    patients, studies, series : int
        Counts over the instances.
    planted : tuple of str
        Every identifying text in the content of the files, UIDs included; none may be left in the output.
    dates : tuple of str
        Exact dates of the studies, YYYYMMDD; whether they may stay depends on the rules.
    in_paths : tuple of str
        Those of the identifying texts that stand in names of folders and files, spelt as there.
    """

    files: int
    others: int
    patients: int
    studies: int
    series: int
    planted: tuple[str, ...]
    dates: tuple[str, ...]
    in_paths: tuple[str, ...]


def write_sample(folder: Path) -> Sample:
    """Write the sample tree into `folder` and return what it holds.

    Nothing depends on the clock, on chance or on the machine: two calls write the same bytes.

    Parameters
    ----------
    folder : Path
        Where the tree goes; created with its parents where it does not exist.

    Raises
    ------
    FileExistsError
        When `folder` exists and is not an empty folder.
    OSError
        When a file cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError("the folder for the sample tree exists and is not empty")
    entries = tree.instances()
    others = tree.other_files(entries)
    for path, content in [*((entry.path, entry.encode()) for entry in entries), *others.items()]:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    for path in tree.EMPTY_FOLDERS:
        (folder / path).mkdir(parents=True)
    datasets = [entry.dataset for entry in entries]
    paths = [entry.path for entry in entries]
    planted = sorted({*filter(None, people.identifiers()), *_own_uids(datasets)})
    return Sample(
        files=len(entries),
        others=len(others),
        patients=len({entry.visit.person for entry in entries}),
        studies=len({dataset.StudyInstanceUID for dataset in datasets}),
        series=len({dataset.SeriesInstanceUID for dataset in datasets}),
        planted=tuple(planted),
        dates=tuple(sorted({visit.date for visit in people.VISITS})),
        in_paths=tuple(sorted(_standing_in(paths, planted))),
    )


def _standing_in(paths: Iterable[str], texts: Iterable[str]) -> set[str]:
    """Return the longest of `texts` that occur in `paths` in any case, spelt as in the path."""
    found = set()
    for path in paths:
        for text in texts:
            at = path.lower().find(text.lower())
            if at >= 0:
                found.add(path[at : at + len(text)])
    return {text for text in found if not any(text != other and text in other for other in found)}


def _own_uids(datasets: Iterable[Dataset]) -> set[str]:
    """Return every UID of the sample's own root at any depth; those of the Standard identify nobody."""
    found: set[str] = {str(IMPLEMENTATION_UID)}
    for dataset in datasets:
        for element in dataset.iterall():
            if element.VR == "UI":
                values = element.value if element.VM > 1 else [element.value]
                found.update(str(value) for value in values if value.startswith(people.UID_ROOT))
    return found
