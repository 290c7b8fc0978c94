"""Commands for dates and times: to the year, or shifted by the patient's own number of days.

Lives here: reading and writing DA, DT and TM values (PS3.5 section 6.2). Does not live here: how many days.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from dicom_anon.actions.base import UNCHANGED, Action, Assigned, Outcome
from dicom_anon.scope import Element

DATE_VRS = frozenset(("DA", "DT"))
TEMPORAL_VRS = DATE_VRS | {"TM"}


@dataclass(frozen=True)
class TruncDate(Action):
    """Month and day of every date become 0101; what is no date is emptied."""

    name = "truncdate"
    vrs = DATE_VRS | {"UN"}

    def decide(self, element: Element) -> Outcome:
        """Truncate each value."""
        return Assigned("\\".join(truncate_date(value, element.vr) for value in element.values))


@dataclass(frozen=True)
class ShiftDate(Action):
    """Every date moves by the patient's number of days; times of day stay; what is neither is emptied.

    Whole days, so that a TM, which has no date of its own, stays right beside its DA or DT (PS3.15 section
    E.3.6).
    """

    name = "shiftdate"
    vrs = TEMPORAL_VRS | {"SQ", "UN"}

    def enter(self, item: object) -> Action | None:
        """Leave the items to the rows of their dates."""
        return None

    def decide(self, element: Element) -> Outcome:
        """Shift each value."""
        if element.vr == "SQ":
            return UNCHANGED
        if element.vr == "TM":
            found = element.values
            return UNCHANGED if all(map(_is_time, found)) else Assigned("\\".join(v for v in found if _is_time(v)))
        if not element.values:
            return UNCHANGED
        days = element.file.day_offset(element.level)
        return Assigned("\\".join(shift_date(value, days) for value in element.values))


_DATE = re.compile(r"(\d{4})(\.?)(\d\d)\2(\d\d)", re.ASCII)
_DATETIME = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(\d{0,6}(?:\.\d{1,6})?))?)?([+-]\d{4})?", re.ASCII)
_SHIFTED = re.compile(
    r"(\d{4})(?:\.?(\d\d)(?:\.?(\d\d)(\d{2}|\d{4}|\d{6}(?:\.\d{1,6})?)?)?)?([+-](?:0\d|1[0-4])[0-5]\d)?",
    re.ASCII,
)
_TIME = re.compile(r"(?:[01]\d|2[0-3])(?::?[0-5]\d(?::?(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?", re.ASCII)


def truncate_date(value: str, vr: str = "DT") -> str:
    """Set month and day of a DA or DT value to the first of January; empty where it is none of its VR.

    >>> truncate_date("20040119"), truncate_date("19611230101112.5+0100"), truncate_date("2004", "DA")
    ('20040101', '19610101101112.5+0100', '')
    """
    value = value.strip(" \0")
    if match := _DATE.fullmatch(value):
        year, _, month, day = match.groups()  # 1961.12.30 is the form of ACR-NEMA; DICOM has no dots
        return f"{year}0101" if _date(year, month, day) else ""
    if vr != "DA" and (match := _DATETIME.fullmatch(value)):
        year, month, day, time, zone = match.groups()
        if not _date(year, month or "1", day or "1"):
            return ""
        return f"{year}{'01' if month else ''}{'01' if day else ''}{time or ''}{zone or ''}"
    return ""


def shift_date(value: str, days: int) -> str:
    """Move a DA or DT value, or a range, by whole days; empty where it is none or leaves the calendar.

    Parameters
    ----------
    value : str
        ``YYYYMMDD``, a DT with time, fraction and zone, a partial one (``YYYY``, ``YYYYMM``), or a range
        with ``-``. A partial value is moved from its first day on and stays as partial as it was.
    days : int
        Days to add; negative goes back.

    Examples
    --------
    >>> shift_date("20200301", -1), shift_date("18991231235959.25-0500", 1), shift_date("202003", -31)
    ('20200229', '19000101235959.25-0500', '202001')
    >>> shift_date("20200101-20200131", 10), shift_date("-20200131", 1), shift_date("Tuesday", 1)
    ('20200111-20200210', '-20200201', '')
    """
    value = value.strip(" \0")
    single = _shift_one(value, days)
    if single or "-" not in value:
        return single
    for at, char in enumerate(value):
        if char != "-":
            continue
        first, last = value[:at].rstrip(), value[at + 1 :].lstrip()
        ends = [_shift_one(end, days) for end in (first, last)]
        if (ends[0] or not first) and (ends[1] or not last) and any(ends):
            return "-".join(ends)
    return ""


def _shift_one(value: str, days: int) -> str:
    match = _SHIFTED.fullmatch(value)
    if match is None:
        return ""
    year, month, day, time, zone = match.groups()
    if time and not _TIME.fullmatch(time):
        return ""
    old = _date(year, month or "1", day or "1")
    try:
        new = old + datetime.timedelta(days) if old else None
    except OverflowError:
        return ""
    if new is None:
        return ""
    text = f"{new.year:04}"
    if month:
        text += f"{new.month:02}"
    if day:
        text += f"{new.day:02}"
    return f"{text}{time or ''}{zone or ''}"


def _date(year: str, month: str, day: str) -> datetime.date | None:
    try:
        return datetime.date(int(year), int(month), int(day))
    except ValueError:
        return None


def _is_time(value: str) -> bool:
    value = value.strip(" \0")
    if not value or _TIME.fullmatch(value):
        return True
    halves = value.split("-")
    return len(halves) == 2 and any(halves) and all(not half or _TIME.fullmatch(half.strip()) for half in halves)
