"""The table from old identities to new ones: what one file adds to it, and how it is written.

Lives here: ``--crosswalk FILE.csv``, the one output that holds identifiers. Does not live here: where it may
be put.
"""

from __future__ import annotations

import csv
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from dicom_anon import tags
from dicom_anon.errors import UsageError
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
    found = file.memo.get("crossing")
    if isinstance(found, Crossing):
        return found
    root = file.root

    def pair(tag: int) -> tuple[str, str]:
        return new_text(tag), (root.text(tag) or "").strip("\0 ")

    patient, name, date = pair(tags.PATIENT_ID), pair(tags.PATIENT_NAME), pair(tags.STUDY_DATE)
    accession = pair(tags.ACCESSION_NUMBER)
    study, series = pair(tags.STUDY_INSTANCE_UID), pair(tags.SERIES_INSTANCE_UID)
    days = str(file.day_offset(root)) if shifts else ""
    made = Crossing(*patient[:1], name[0], name[1], patient[1], days, *date, *accession, *study, *series)
    file.memo["crossing"] = made
    return made


class Crosswalk:
    """The table of a run, as it grows; it holds one line for each series."""

    def __init__(self) -> None:
        self._instances: Counter[Crossing] = Counter()

    def add(self, crossings: Iterable[Crossing]) -> None:
        """Count what files have added."""
        self._instances.update(crossings)

    def load(self, path: Path) -> None:
        """Take in the table of an earlier run, of which this one is the continuation.

        Raises
        ------
        UsageError
            The file is no such table.
        """
        try:
            with open(path, encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file))
            if tuple(rows[0]) != HEADERS:
                raise ValueError
            for row in rows[1:]:
                self._instances[Crossing(*row[:-1])] += int(row[-1])
        except FileNotFoundError:
            return
        except (ValueError, TypeError, IndexError):
            raise UsageError("the crosswalk file is there and is no crosswalk: choose another name") from None

    def write(self, path: Path) -> None:
        """Write the table as CSV in UTF-8 that only its owner can read, in the order of original identities.

        Raises
        ------
        OSError
            It cannot be written.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fchmod(descriptor, 0o600)  # a file that was there keeps its old mode otherwise
            table = csv.writer(file)
            table.writerow(HEADERS)
            for crossing in sorted(self._instances, key=_old_identity):
                table.writerow([*crossing, self._instances[crossing]])


def _old_identity(crossing: Crossing) -> tuple[str, ...]:
    return (crossing.old_patient, crossing.old_name, crossing.old_study, crossing.old_series, *crossing)
