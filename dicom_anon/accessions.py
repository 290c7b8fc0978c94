"""From a site's list of accession numbers to the new studies: what ``lookup`` does with a crosswalk.

Lives here: reading the two tables and joining them. Does not live here: how a crosswalk is made.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path

from dicom_anon.errors import UsageError
from dicom_anon.lookup import lines_of

ACCESSION = "ACCESSION-NUMBER"
OLD, NEW = "PHI-AccNo", "ANON-StudyUID"
SEPARATOR = "; "
"""Between the studies of an accession number that has several."""


@dataclass(frozen=True)
class Joined:
    """A list with the new studies added.

    Parameters
    ----------
    text : str
        CSV; it holds accession numbers.
    rows, unknown : int
        Lines of the list, and how many of them have an accession number that the crosswalk has not, or none.
    several : int
        Lines whose accession number belongs to more than one study.
    """

    text: str
    rows: int
    unknown: int
    several: int


@dataclass(frozen=True)
class _Table:
    headers: list[str]
    rows: list[list[str]]
    delimiter: str

    def column(self, name: str) -> int | None:
        """Place of a column by its header, in any case; `None` where there is none."""
        found = [place for place, header in enumerate(self.headers) if header.strip().lower() == name.lower()]
        return found[0] if found else None


def join_files(accessions: Path, crosswalk: Path) -> Joined:
    """Add the new study of each accession number to a list.

    Parameters
    ----------
    accessions : Path
        CSV in UTF-8 with a column ``ACCESSION-NUMBER``; comma, semicolon or tab between columns. Values are
        texts: ``007`` and ``7`` are two numbers.
    crosswalk : Path
        What ``--crosswalk`` wrote.

    Raises
    ------
    UsageError
        One of them cannot be read, or lacks a column; the message holds no value.
    """
    return join(_read(accessions, "--accessions"), _read(crosswalk, "--crosswalk"))


def join(accessions: str, crosswalk: str) -> Joined:
    r"""Add the new study of each accession number to the text of a list; see `join_files`.

    Examples
    --------
    >>> joined = join("ACCESSION-NUMBER,Site\n007,Ulm\n7,Bonn\n", "PHI-AccNo,ANON-StudyUID\n007,2.25.1\n")
    >>> joined.text.splitlines(), joined.unknown
    (['ACCESSION-NUMBER,Site,ANON-StudyUID', '007,Ulm,2.25.1', '7,Bonn,'], 1)
    """
    wanted, known = _parse(accessions, "--accessions"), _parse(crosswalk, "--crosswalk")
    place = wanted.column(ACCESSION)
    if place is None:
        raise UsageError(f"--accessions has no column {ACCESSION}")
    old, new = known.column(OLD), known.column(NEW)
    if old is None or new is None:
        raise UsageError(f"--crosswalk has no columns {OLD} and {NEW}: it is made by a run with --crosswalk")
    studies: dict[str, list[str]] = {}
    for row in known.rows:
        accession, study = _cell(row, old), _cell(row, new)
        if accession and study and study not in studies.setdefault(accession, []):
            studies[accession].append(study)
    out = io.StringIO()
    writer = csv.writer(out, delimiter=wanted.delimiter)
    writer.writerow([*wanted.headers, NEW])
    unknown = several = 0
    for row in wanted.rows:
        found = sorted(studies.get(_cell(row, place), []))
        unknown += not found
        several += len(found) > 1
        padded = row + [""] * (len(wanted.headers) - len(row))
        writer.writerow([*padded, SEPARATOR.join(found)])
    return Joined(out.getvalue(), len(wanted.rows), unknown, several)


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read, and replace no other.

    Raises
    ------
    UsageError
        There is such a file, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError("--out is there already: choose another name") from None
    except OSError as error:
        raise UsageError(f"--out cannot be written: {error.strerror}") from None


def _read(path: Path, option: str) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        raise UsageError(f"{option} is not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"{option} cannot be read: {error.strerror}") from None


def _parse(text: str, option: str) -> _Table:
    try:
        lines, delimiter = lines_of(text)
    except csv.Error:
        raise UsageError(f"{option} is no CSV table") from None
    rows = [row for row in lines if row]
    if not rows:
        raise UsageError(f"{option} is empty")
    return _Table(rows[0], rows[1:], delimiter)


def _cell(row: list[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""
