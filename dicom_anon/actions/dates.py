"""Commands for dates and times: to the year, or shifted by the patient's own number of days.

Lives here: reading and writing DA, DT and TM values (PS3.5 section 6.2). Does not live here: how many days.
"""

from __future__ import annotations

import datetime
import functools
import re
from dataclasses import dataclass
from typing import NamedTuple

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
            times = [value if _is_time(value) else "" for value in found]
            return UNCHANGED if times == found else Assigned("\\".join(times))
        if not element.values:
            return UNCHANGED
        days = element.file.day_offset(element.level)
        return Assigned("\\".join(shift_date(value, days, element.vr) for value in element.values))


_DATETIME = re.compile(
    r"(\d{4})(?:\.?(\d\d)(?:\.?(\d\d)(\d{2}|\d{4}|\d{6}(?:\.\d{1,6})?)?)?)?([+-](?:0\d|1[0-4])[0-5]\d)?",
    re.ASCII,
)
"""A DA or DT, which may be partial; 1961.12.30 is the form of ACR-NEMA, DICOM has no dots there."""

_DUMMY_DAY = datetime.date(1900, 1, 1)
_PLACEHOLDERS = frozenset(
    datetime.date(*day)
    for day in (
        (1, 1, 1), (1601, 1, 1), (1753, 1, 1), (1858, 11, 17), (1899, 12, 30), (1900, 1, 1), (1904, 1, 1),
        (1969, 12, 31), (1970, 1, 1), (1980, 1, 1), (9999, 12, 31),
    )
)  # fmt: skip
"""Days that programs write where they know none, most the first one of their calendar: moved, such a date would tell by
how many days all others of the patient moved."""

_TIME = re.compile(r"(?:[01]\d|2[0-3])(?::?[0-5]\d(?::?(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?", re.ASCII)


@functools.lru_cache(maxsize=4096)
def truncate_date(value: str, vr: str = "DT") -> str:
    """Set month and day of a DA or DT value to the first of January; empty where it is none of its VR.

    >>> truncate_date("20040119"), truncate_date("19611230101112.5+0100"), truncate_date("2004", "DA")
    ('20040101', '19610101101112.5+0100', '')
    """
    parts = _parts(value.strip(" \0"), vr)
    return _as_text(parts.date.replace(month=1, day=1), parts) if parts else ""


@functools.lru_cache(maxsize=4096)
def shift_date(value: str, days: int, vr: str = "DT") -> str:
    """Move a DA or DT value, or a range, by whole days; empty where it is none of its VR or leaves the calendar.

    A day that stands for an unknown one becomes the dummy of all dates. A time zone goes, since it is another one in
    summer: beside a moved day it would tell the season, and at the change of two visits the very day.

    Parameters
    ----------
    value : str
        ``YYYYMMDD``, a DT with time, fraction and zone, a partial one (``YYYY``, ``YYYYMM``), or a range
        with ``-``. A partial value is moved from its first day on and stays as partial as it was.
    days : int
        Days to add; negative goes back.
    vr : str
        Its VR: a DA is a whole day, without a time.

    Examples
    --------
    >>> shift_date("20200301", -1), shift_date("18991231235959.25-0500", 1), shift_date("202003", -31)
    ('20200229', '19000101235959.25', '202001')
    >>> shift_date("20200101-20200131", 10), shift_date("19700101", 1), shift_date("Tuesday", 1)
    ('20200111-20200210', '19000101', '')
    >>> shift_date("202003", -31, "DA")
    ''
    """
    value = value.strip(" \0")
    single = _shift_one(value, days, vr)
    if single or "-" not in value:
        return single
    for at, char in enumerate(value):
        if char != "-":
            continue
        first, last = value[:at].rstrip(), value[at + 1 :].lstrip()
        ends = [_shift_one(end, days, vr) for end in (first, last)]
        if (ends[0] or not first) and (ends[1] or not last) and any(ends):
            return "-".join(ends)
    return ""


def _shift_one(value: str, days: int, vr: str) -> str:
    parts = _parts(value, vr)
    if parts is None:
        return ""
    parts = parts._replace(zone="")
    if parts.digits == 8 and parts.date in _PLACEHOLDERS:
        return _as_text(_DUMMY_DAY, parts)
    try:
        return _as_text(parts.date + datetime.timedelta(days), parts)
    except OverflowError:
        return ""


class _Parts(NamedTuple):
    """A DA or DT: the day, or the first one of the month or year that it is; digits of it; time and zone."""

    date: datetime.date
    digits: int
    time: str
    zone: str


def _parts(value: str, vr: str) -> _Parts | None:
    match = _DATETIME.fullmatch(value)
    if match is None:
        return None
    year, month, day, time, zone = match.groups(default="")
    if (time and not _TIME.fullmatch(time)) or (vr == "DA" and (not day or time or zone)):
        return None
    try:
        date = datetime.date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    return _Parts(date, len(year + month + day), time, zone)


def _as_text(date: datetime.date, parts: _Parts) -> str:
    """Write a day to the precision that the parts had."""
    return f"{date.year:04}{date.month:02}{date.day:02}"[: parts.digits] + parts.time + parts.zone


def _is_time(value: str) -> bool:
    value = value.strip(" \0")
    if not value or _TIME.fullmatch(value):
        return True
    halves = value.split("-")
    return len(halves) == 2 and any(halves) and all(not half or _TIME.fullmatch(half.strip()) for half in halves)
