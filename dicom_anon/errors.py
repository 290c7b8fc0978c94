"""What can go wrong, as types: problems of a configuration, and reasons why a file was not written.

Lives here: the exception hierarchy and the closed set of reasons. Does not live here: printing or exit codes.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass


class DicomAnonError(Exception):
    """Base class of every error this package raises on purpose."""


class UsageError(DicomAnonError):
    """The request itself cannot be carried out (paths, options); nothing was touched."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a configuration, said so that it can be mended without a manual.

    Parameters
    ----------
    where : str
        File name, or ``command line``, or ``preset NAME``.
    section : str
        Section of the file, empty where the problem is not in one.
    key : str
        Key as the user wrote it, empty where the problem is not at one.
    problem : str
        What is wrong.
    accepted : str
        What would be accepted in its place.
    """

    where: str
    section: str
    key: str
    problem: str
    accepted: str = ""

    def __str__(self) -> str:
        section = f'section "{self.section}"' if self.section else ""
        key = f'key "{_cut(self.key)}"' if self.key else ""
        place = ", ".join(filter(None, (self.where, section, key)))
        hint = f" (accepted: {self.accepted})" if self.accepted else ""
        return f"{place}: {_cut(self.problem)}{hint}"


def _cut(text: str, longest: int = 1000) -> str:
    """Shorten what a hostile configuration would have us print."""
    return text if len(text) <= longest else text[:longest] + "..."


class ConfigError(DicomAnonError):
    """A configuration has one or more problems; all of them are listed, and no file was touched."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class Kind(enum.Enum):
    """In which column of the account a file that was not written stands."""

    SKIPPED = "skipped"
    QUARANTINED = "quarantined"
    FAILED = "failed"


class Reason(enum.Enum):
    """Why a file was not written. The value is the code that reports and scripts see.

    `kind` is the column of the account, `meaning` one sentence for people.
    """

    kind: Kind
    meaning: str

    def __new__(cls, code: str, kind: Kind, meaning: str) -> Reason:
        """Build a member whose value is its code."""
        member = object.__new__(cls)
        member._value_ = code
        member.kind = kind
        member.meaning = meaning
        return member

    NOT_DICOM = ("not-dicom", Kind.SKIPPED, "The content is not DICOM; not copied.")
    DICOMDIR = ("dicomdir", Kind.SKIPPED, "A DICOMDIR indexes the old files; not copied.")
    SYMLINK = ("symlink", Kind.SKIPPED, "A symbolic link; not followed.")
    SPECIAL_FILE = ("special-file", Kind.SKIPPED, "A device, pipe or socket; not read.")
    DROPPED = ("object-dropped", Kind.SKIPPED, "An object of a kind that the rules drop.")
    NOT_PARSABLE = ("not-parsable", Kind.QUARANTINED, "Neither the walker nor pydicom can read its structure.")
    TRUNCATED = ("truncated", Kind.QUARANTINED, "The file ends before its Data Set does.")
    PIXEL_DATA_SHORT = ("pixel-data-short", Kind.QUARANTINED, "The pixel data is shorter than the header says.")
    ENCRYPTED = ("encrypted", Kind.QUARANTINED, "It holds encrypted attributes that cannot be checked.")
    UNSUPPORTED = ("unsupported-object", Kind.QUARANTINED, "An object or encoding that cannot be de-identified safely.")
    VALUE_NOT_WRITABLE = ("value-not-writable", Kind.QUARANTINED, "A rule's value does not fit the element's VR.")
    MISPLACED = (
        "value-misplaced",
        Kind.QUARANTINED,
        "An element that stays holds text where its VR has numbers, dates or UIDs.",
    )
    IDENTITY_MISSING = ("identity-missing", Kind.QUARANTINED, "Its patient is not in the lookup table.")
    BURNED_IN = ("burned-in-risk", Kind.QUARANTINED, "Its pixels may show text, and --on-burned-in asks for care.")
    INTERNAL_ERROR = ("internal-error", Kind.QUARANTINED, "An unexpected error; please report its class and tag.")
    UNREADABLE = ("unreadable", Kind.FAILED, "The file or folder could not be read.")
    VANISHED = ("vanished", Kind.FAILED, "The file was there when listed and gone when read.")
    WRITE_FAILED = ("write-failed", Kind.FAILED, "The output could not be written.")
    WORKER_DIED = ("worker-died", Kind.FAILED, "The worker process died while it had this file.")
    NOT_REACHED = ("not-reached", Kind.FAILED, "The run ended before this file's turn.")


class FileRefused(DicomAnonError):
    """One file cannot be de-identified safely.

    Parameters
    ----------
    reason : Reason
        Column and code of the account.
    detail : str
        Tag and class of what was met. Never a value from the file.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


def place_of(error: BaseException, below: str = "") -> str:
    """Class of an error and the line that raised it: enough to mend it, and no value.

    Parameters
    ----------
    error : BaseException
        As it was caught.
    below : str
        What the path of the line's file starts with: the last such line is named.
    """
    where = ""
    trace = error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if path.startswith(below):
            where = f" at {os.path.basename(path)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return type(error).__name__ + where
