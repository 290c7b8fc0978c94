"""New DICOMDIRs, in the places of those that listed the sources, written when everything has its final name.

Lives here: where there is to be one, and keeping it up to date. Does not live here: what it says.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from dicom_anon.errors import Reason
from dicom_anon.fileset import Directory, directory_over, is_directory, own_head
from dicom_anon.manifest import Manifest
from dicom_anon.namebook import NameBook
from dicom_anon.objects import REBUILD
from dicom_anon.output import write_whole
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.report import RunReport
from dicom_anon.worker import Order

NAME = "DICOMDIR"


def write_directories(
    order: Order, pseudonyms: Pseudonyms, book: NameBook | None, report: RunReport, manifest: Manifest | None
) -> None:
    """Write the DICOMDIRs of a run that came to its end, if its rules ask for it; its account says what became of them.

    Parameters
    ----------
    order : Order
        Where its outputs are, and its rules.
    pseudonyms : Pseudonyms
        Make the UID of a file-set, and the PatientID of a record that would have none.
    book : NameBook or None
        Names of folders, where those that hold an identifier are replaced.
    report : RunReport
        Account of the run.
    manifest : Manifest or None
        Record of what earlier runs met, and of the DICOMDIRs written.
    """
    if order.plan.assignment.objects.get("dicomdir") != REBUILD or not report.in_order:
        return
    destination = Path(order.destination)
    settled = NameBook(pseudonyms, book.settle()) if book is not None else None
    taken = _places_taken(manifest, settled)
    known = {path for path in manifest.documents() if os.path.basename(path) == NAME} if manifest else set()
    written: set[str] = set()
    try:
        for folder in sorted(_folders_met(report, manifest)):
            path = _place(folder, settled)
            target = destination / path
            free = path not in taken and _is_free(target)
            made = directory_over(target.parent, pseudonyms) if free else Directory(b"", 0, 0)
            if not made.listed:
                _remove(target)
                report.notes["dicomdir-not-rebuilt"] += 1
                continue
            written.add(path)
            if manifest is not None:
                manifest.add_document(path)
            _put(target, made.content)
            report.notes["dicomdir-rebuilt"] += 1
            if made.left_out:
                report.notes["dicomdir-incomplete"] += made.left_out
        for path in known - written:
            _remove(destination / path)
            if manifest is not None:
                manifest.forget_document(path)
    except (OSError, sqlite3.Error):
        report.notes["documents-failed"] = 1


def _folders_met(report: RunReport, manifest: Manifest | None) -> set[str]:
    """Folders of the source in which a DICOMDIR was met; like an output, one stays when its source is gone."""
    if manifest is None:
        return report.directories
    return {os.path.dirname(path) for path, _, outcome in manifest.outcomes() if outcome == Reason.DICOMDIR.value}


def _place(folder: str, settled: NameBook | None) -> str:
    """Path of the DICOMDIR of a folder of the source, below the destination."""
    return os.path.join(settled.target(folder) if settled is not None else folder, NAME)


def _places_taken(manifest: Manifest | None, settled: NameBook | None) -> set[str]:
    """Paths of outputs that have the name of a DICOMDIR; also of one that is lost, for the next run writes it again."""
    outputs = manifest.outputs() if manifest is not None else ()
    return {_place(os.path.dirname(path), settled) for path, target in outputs if os.path.basename(target) == NAME}


def _is_free(target: Path) -> bool:
    """Tell whether a DICOMDIR may be written there: nothing is, or one of an earlier run."""
    return not os.path.lexists(target) or is_directory(own_head(target))


def _put(target: Path, content: bytes) -> None:
    """Write a DICOMDIR; one that says the same already is left alone."""
    if not target.exists() or target.read_bytes() != content:
        write_whole(target, content)


def _remove(target: Path) -> None:
    """Remove a DICOMDIR of an earlier run; an output that has got its name since stays."""
    if is_directory(own_head(target)):
        target.unlink()
