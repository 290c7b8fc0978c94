"""The table that says which patients may be de-identified, and under which names: ``--lookup FILE.csv``.

Lives here: reading the table, and finding a patient in it. Does not live here: what is done with a patient
not in it.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dicom_anon.errors import ConfigError, Problem

ORIGINAL = ("PatientID", "PHI-PatientID", "OriginalPatientID")
SUBJECT = ("SubjectID", "ANON-PatientID", "NewPatientID")
NAME = ("SubjectName", "ANON-PatientName", "NewPatientName")
OFFSET = ("DateOffset", "Offset")
"""Headers of columns with a meaning of their own, in any case; `ORIGINAL` and `SUBJECT` must be there.

Those with ANON and PHI are the ones of RSNA's Anonymizer, so that its index, and a crosswalk of an earlier
run, can be read as they are.
"""
MAX_DAYS = 100_000


@dataclass(frozen=True)
class Subject:
    """One row of the table.

    Parameters
    ----------
    identifier : str
        New PatientID.
    name : str
        New name; empty where the table gives none.
    days : int or None
        Days to add to all dates, negative goes back; `None` where the table gives none.
    columns : Mapping[str, str]
        Every column by its header in lower case.
    """

    identifier: str
    name: str
    days: int | None
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Lookup:
    """The whole table.

    Parameters
    ----------
    subjects : Mapping[str, Subject]
        By original PatientID, without blanks around it; of several values, which no patient should have, by the first.
    headers : tuple of str
        Headers in lower case.
    """

    subjects: Mapping[str, Subject] = field(repr=False)
    headers: tuple[str, ...]

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the table, in hex."""
        rows = [[original, subject.days, *subject.columns.values()] for original, subject in self.subjects.items()]
        return hashlib.sha256(json.dumps([self.headers, sorted(rows, key=repr)]).encode()).hexdigest()

    def column(self, names: tuple[str, ...]) -> str:
        """Header, in lower case, of the column that has one of some names; empty where there is none."""
        return next((name.lower() for name in names if name.lower() in self.headers), "")

    def find(self, patient_id: str) -> Subject | None:
        """Row of a patient, `None` where there is none; upper and lower case are different patients."""
        return self.subjects.get(patient_id.strip(" \0"))


def read_lookup(path: Path) -> Lookup:
    """Read the table.

    Parameters
    ----------
    path : Path
        CSV in UTF-8 with a header line; comma, semicolon or tab between columns.

    Raises
    ------
    ConfigError
        With every problem, told by line number; a message never holds a patient's identifier.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(path), "", "", "is not UTF-8 text", "CSV in UTF-8")]) from None
    except OSError as error:
        raise ConfigError([Problem(str(path), "", "", f"cannot be read: {error.strerror}", "a CSV file")]) from None
    return parse_lookup(text, str(path))


def lines_of(text: str) -> tuple[list[list[str]], str]:
    """Cells of a table, line by line, and what stands between them: comma, semicolon or tab.

    Raises
    ------
    csv.Error
        It is no table.
    """
    first_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)), delimiter


def parse_lookup(text: str, where: str) -> Lookup:
    r"""Read the text of a table; see `read_lookup`.

    Examples
    --------
    >>> table = parse_lookup("PatientID,SubjectID,Site\n4711,S-01,Ulm\n", "example")
    >>> table.find("4711 ").identifier, table.find("4711").columns["site"], table.find("4712")
    ('S-01', 'Ulm', None)
    """
    try:
        lines, _ = lines_of(text)
    except csv.Error as error:
        raise ConfigError([Problem(where, "", "", f"is not CSV: {error}", "a CSV file")]) from None
    headers = tuple(header.strip().lower() for header in (lines[0] if lines else ()))
    problems = [
        Problem(where, "", names[0], "the table has no such column", " or ".join(names))
        for names in (ORIGINAL, SUBJECT)
        if not any(name.lower() in headers for name in names)
    ]
    if len(set(headers)) != len(headers):
        problems.append(Problem(where, "", "", "two columns have the same header", "one name for a column"))
    if problems:
        raise ConfigError(problems)
    subjects: dict[str, Subject] = {}
    for number, cells in enumerate(lines[1:], 2):
        if any(cell.strip() for cell in cells):
            _add(subjects, headers, [cell.strip() for cell in cells], f"{where}, line {number}", problems)
    if not subjects and not problems:
        problems.append(Problem(where, "", "", "holds no patient", "a line for each patient"))
    if problems:
        raise ConfigError(problems)
    return Lookup(subjects, headers)


def _add(
    subjects: dict[str, Subject], headers: tuple[str, ...], cells: list[str], where: str, problems: list[Problem]
) -> None:
    if len(cells) != len(headers):
        problem = f"has {len(cells)} columns, the header {len(headers)}"
        problems.append(Problem(where, "", "", problem, "as many"))
        return
    columns = dict(zip(headers, cells, strict=True))
    identifier, name, written = (_cell(columns, names) for names in (SUBJECT, NAME, OFFSET))
    original = _cell(columns, ORIGINAL).partition("\\")[0].rstrip()
    if not original or not identifier:
        problems.append(Problem(where, "", "", "a patient or a subject is empty", "both"))
        return
    if original.casefold() == identifier.casefold():
        problems.append(Problem(where, "", "", "the subject is called as the patient", "another SubjectID"))
        return
    days: int | None = None
    if written:
        if not re.fullmatch(r"[+-]?\d{1,6}", written) or abs(int(written)) > MAX_DAYS:
            problems.append(Problem(where, "", OFFSET[0], "is no number of days", f"-{MAX_DAYS} to {MAX_DAYS}"))
            return
        days = int(written)
    for what, value in (("subject", identifier), ("name", name)):
        if len(value) > 64 or "\\" in value or any(ord(char) < 32 for char in value):
            problem = f"the {what} does not fit a DICOM element"
            problems.append(Problem(where, "", "", problem, "at most 64 characters, no backslash"))
            return
    subject = Subject(identifier, name, days, columns)
    first = subjects.setdefault(original, subject)  # RSNA's index has a line for each study
    if (first.identifier, first.name, first.days) != (subject.identifier, subject.name, subject.days):
        problems.append(Problem(where, "", "", "a patient of an earlier line, with another subject", "one line"))


def _cell(columns: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Cell of the column that has one of some names; empty where there is none."""
    return next((columns[name.lower()] for name in names if name.lower() in columns), "")
