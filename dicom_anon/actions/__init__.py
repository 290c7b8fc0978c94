"""The commands of the rule language: each a small frozen class that decides for one element and says how.

Lives here: their names, one file per family behind them. Does not live here: precedence, bytes, files.
"""

from dicom_anon.actions.base import (
    CLEARED,
    REMOVED,
    UNCHANGED,
    Action,
    Assigned,
    Clear,
    CommandError,
    Keep,
    Outcome,
    Remove,
    Removed,
    Safe,
    Set,
    Unchanged,
)
from dicom_anon.actions.commands import COMMANDS, CONTENT_OPTIONS, Command, parse_action
from dicom_anon.actions.dates import DATE_VRS, ShiftDate, TruncDate, shift_date, truncate_date
from dicom_anon.actions.dummies import DUMMIES, Compound, Hash, Replace, Uid, pseudonym
from dicom_anon.actions.text import Clean, Regexp

__all__ = [
    "CLEARED",
    "COMMANDS",
    "CONTENT_OPTIONS",
    "DATE_VRS",
    "DUMMIES",
    "REMOVED",
    "UNCHANGED",
    "Action",
    "Assigned",
    "Clean",
    "Clear",
    "Command",
    "CommandError",
    "Compound",
    "Hash",
    "Keep",
    "Outcome",
    "Regexp",
    "Remove",
    "Removed",
    "Replace",
    "Safe",
    "Set",
    "ShiftDate",
    "TruncDate",
    "Uid",
    "Unchanged",
    "parse_action",
    "pseudonym",
    "shift_date",
    "truncate_date",
]
