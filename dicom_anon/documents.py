"""The documents beside de-identified images: extracted data of each series, and the account of each study.

Lives here: which files make a series, and writing the documents. Does not live here: what they say, and DICOMDIRs.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dicom_anon import tags
from dicom_anon.arrange import Arranger, files_in, remove_if_empty
from dicom_anon.directory import NAME
from dicom_anon.errors import FileRefused
from dicom_anon.extract import Extract, Summary, as_json, read_output, summarise
from dicom_anon.fileset import files_below
from dicom_anon.layout import EXTRACTED, NAMERS, PENDING, TASK, component
from dicom_anon.manifest import Manifest
from dicom_anon.output import write_whole
from dicom_anon.report import RunReport
from dicom_anon.taskjson import SeriesFacts, TaskFacts, task_document
from dicom_anon.worker import Order

Announce = Callable[[str], None]
"""Is told the path of a document below the destination before it is written."""


def write_documents(
    order: Order, extract: Extract | None, facts: TaskFacts, report: RunReport, manifest: Manifest | None
) -> None:
    """Write the documents of a run that came to its end; where that is not possible, its account says so.

    Those of earlier runs that are not written anew are removed: they tell of images as they were.

    Parameters
    ----------
    order : Order
        Where its outputs are, and how they are named.
    extract : Extract or None
        What is extracted.
    facts : TaskFacts
        What the accounts of all studies share.
    report : RunReport
        Account of the run.
    manifest : Manifest or None
        Record of the documents, so that they can be told from files of others.
    """
    if not report.in_order:
        return
    destination = Path(order.destination)
    documents = manifest.documents() if manifest else frozenset()
    known = frozenset(path for path in documents if os.path.basename(path) != NAME)
    written: set[str] = set()

    def announce(path: str) -> None:
        written.add(path)
        if manifest is not None:
            manifest.add_document(path)

    try:
        if extract is not None and order.names == "study":
            _write_studies(destination, extract, facts, report, announce)
        elif extract is not None:
            _write_series(destination, extract, known, announce)
        for path in known - written:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(destination / path)
            if order.names in NAMERS:
                remove_if_empty((destination / path).parent, destination)
            if manifest is not None:
                manifest.forget_document(path)
    except (OSError, FileRefused, sqlite3.Error):
        report.notes["documents-failed"] = 1


def _write_studies(
    destination: Path, extract: Extract, facts: TaskFacts, report: RunReport, announce: Announce
) -> None:
    """Write extracted data and accounts of studies whose images are below a folder of their own."""
    studies: dict[Path, list[SeriesFacts]] = {}
    names: dict[Path, str] = {}
    for folder in Arranger(destination, "study").series_folders():
        if folder.name.startswith(PENDING):
            continue
        summary = summarise((read_output(folder / name) for name in files_in(folder)), extract)
        if not summary.instances:
            continue
        study = folder.parent.parent
        os.makedirs(study / EXTRACTED, exist_ok=True)
        path = study / EXTRACTED / f"{folder.name}.json"
        _write(destination, path, summary.document(), announce)
        studies.setdefault(study, []).append(SeriesFacts(folder.name, summary.series, summary.instances))
        names[study] = summary.study
    for study, series in studies.items():
        ended = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        _write(destination, study / TASK, task_document(facts, report, names[study], series, ended), announce)


def _write_series(destination: Path, extract: Extract, known: frozenset[str], announce: Announce) -> None:
    """Write the extracted data of each series beside its first image, wherever in the tree its images are.

    Documents of an earlier run, which are `known`, may be replaced; nothing else is.
    """
    series: dict[tuple[str, str], tuple[Path, Summary]] = {}
    for parts in files_below(destination):
        path = destination.joinpath(*parts)
        try:
            output = read_output(path)
        except FileRefused:
            continue  # one of our documents
        uid = output.text(tags.SERIES_INSTANCE_UID)
        key = (uid, "" if uid else os.fspath(path.parent))
        if key not in series:
            series[key] = path.parent, Summary(extract)
        series[key][1].add(output)
    for (uid, _), (folder, summary) in series.items():
        name = component(uid, "no-series")
        path = folder / f"{name}.json"
        while os.path.relpath(path, destination) not in known and path.exists():
            name += "_"
            path = folder / f"{name}.json"
        _write(destination, path, summary.document(), announce)


def _write(destination: Path, path: Path, document: dict[str, Any], announce: Announce) -> None:
    announce(os.path.relpath(path, destination))
    write_whole(path, as_json(document).encode("utf-8", "backslashreplace"))
