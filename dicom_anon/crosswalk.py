"""The table from old identities to new ones: what one file adds to it, and how it is written.

Lives here: ``--crosswalk FILE.csv``, the one output that holds identifiers. Does not live here: where it may
be put.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from dicom_anon import tags
from dicom_anon.scope import FileScope

HEADERS = (
    "ANON-PatientID",
    "ANON-PatientName",
    "PHI-PatientName",
    "PHI-PatientID",
    "DateOffset",
    "ANON-StudyDate",
    "PHI-StudyDate",
    "ANON-AccNo",
    "PHI-AccNo",
    "ANON-StudyUID",
    "PHI-StudyUID",
    "ANON-SeriesUID",
    "PHI-SeriesUID",
    "Instances",
)
"""Columns under the names of RSNA's Anonymizer and CTP, with series added. `--lookup` reads such a file."""


class Crossing(NamedTuple):
    """Old and new identity of one series; every file of it has the same. Missing values are empty."""

    new_patient: str
    new_name: str
    old_name: str
    old_patient: str
    days: str
    new_date: str
    old_date: str
    new_accession: str
    old_accession: str
    new_study: str
    old_study: str
    new_series: str
    old_series: str


def crossing_of(file: FileScope, new_text: Callable[[int], str], shifts: bool) -> Crossing:
    """Read what one file adds to the table; files that share a header share the work.

    Parameters
    ----------
    file : FileScope
        The file, with its original values.
    new_text : callable
        Gives the text that a top-level element has afterwards.
    shifts : bool
        Whether the rules shift dates at all.
    """
    return file.recall("crossing", lambda: _crossing(file, new_text, shifts))


def _crossing(file: FileScope, new_text: Callable[[int], str], shifts: bool) -> Crossing:
    root = file.root

    def pair(tag: int) -> tuple[str, str]:
        return new_text(tag), (root.text(tag) or "").strip("\0 ")

    patient, name, date = pair(tags.PATIENT_ID), pair(tags.PATIENT_NAME), pair(tags.STUDY_DATE)
    accession = pair(tags.ACCESSION_NUMBER)
    study, series = pair(tags.STUDY_INSTANCE_UID), pair(tags.SERIES_INSTANCE_UID)
    days = str(file.day_offset(root)) if shifts else ""
    return Crossing(patient[0], *name, patient[1], days, *date, *accession, *study, *series)


class Crosswalk:
    """The table of a run, as it grows; it holds one line for each series.

    Parameters
    ----------
    instances : Mapping of Crossing to int
        What is in it already: how many files have which identity.
    """

    def __init__(self, instances: Mapping[Crossing, int] | None = None) -> None:
        self._instances: Counter[Crossing] = Counter(instances)

    def add(self, crossings: Iterable[Crossing]) -> None:
        """Count what files have added."""
        self._instances.update(crossings)

    def as_csv(self) -> bytes:
        """Write the table as CSV in UTF-8, in the order of original identities."""
        text = io.StringIO(newline="")
        table = csv.writer(text)
        table.writerow(HEADERS)
        for crossing in sorted(self._instances, key=_old_identity):
            table.writerow([*crossing, self._instances[crossing]])
        return text.getvalue().encode("utf-8", "surrogateescape")


def is_crosswalk(path: Path) -> bool:
    """Tell whether a file is such a table, by its first line."""
    wanted = Crosswalk().as_csv()
    try:
        with open(path, "rb") as file:
            return file.read(len(wanted)) == wanted
    except OSError:
        return False


def _old_identity(crossing: Crossing) -> tuple[str, ...]:
    return (crossing.old_patient, crossing.old_name, crossing.old_study, crossing.old_series, *crossing)
