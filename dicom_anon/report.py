"""The account of a run: every file found is in it once, and the sum is checked.

Lives here: totals, the exit code, the machine's summary. Does not live here: how a person sees it.
"""

from __future__ import annotations

import collections
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dicom_anon._version import __version__
from dicom_anon.discovery import NotTried
from dicom_anon.errors import Kind, Reason
from dicom_anon.worker import FileResult

EXIT_GOOD, EXIT_TROUBLE, EXIT_USAGE, EXIT_FOUND = 0, 1, 2, 3

NOTES = {
    "burned-in-risk": "written objects whose pixels may show text, which no rule reaches: look at them",
    "dicomdir-incomplete": "outputs that a new DICOMDIR does not list, for their names or for what they lack",
    "dicomdir-not-rebuilt": "folders without a new DICOMDIR: no output below can be listed, or one has its name",
    "dicomdir-rebuilt": "DICOMDIRs made anew over the outputs",
    "documents-failed": "run whose extracted data, accounts of studies, DICOMDIRs or crosswalk were not all written",
    "file-name-replaced": "file names that held an identifier, or that not all systems can have: replaced",
    "folder-name-replaced": "folder names that held an identifier, or that not all systems can have: replaced",
    "folder-names-left": "folders that could not be renamed: their names hold an identifier; run again",
    "folder-names-pending": "run that ended early: folders keep their tokens for names until a run ends in order",
    "hash-acc-cut": "accessions hashed from a cut message, as mercure does: different ones may get one hash",
    "made-by-another-version": "outputs on record of a DST that another version began: --overwrite makes them anew",
    "not-copied": "quarantined files of which no copy could be put aside",
    "normalised": "files that pydicom had to write anew before the walk",
    "outputs-without-source": "outputs of earlier runs whose sources are not in SRC any more; they stay",
    "patient-by-name": "files without PatientID: the patient is known by name and birth date",
    "patient-by-study": "files without PatientID and name: each study counts as a patient",
    "patient-unknown": "files without PatientID, name and study: they share one pseudonym",
    "pixel-comments-blanked": "files with comments or a senseless offset table in their compressed pixel data, blanked",
    "pixel-stream-not-checked": "files with video, JPEG XL, overlays in JPEG or the like, not wholly looked into",
    "pixel-surplus-trimmed": "files whose pixel data was longer than the image, and was cut",
    "record-failed": "batches that could not be recorded, or whose outputs could not be looked at, which ended the run",
    "trailing-bytes": "files with bytes after the Data Set, which were dropped",
    "unused-bits-cleared": "files with something in the unused bits of their pixels, which was cleared",
    "widened-to-utf8": "files whose text was written anew in UTF-8, to hold a value of a rule",
}
"""Notes that the engine may make of a file, or a run of what it wrote beside them, for people."""


@dataclass
class RunReport:
    """Totals of a run.

    Parameters
    ----------
    dry_run : bool
        Nothing was written; `written` counts what would have been.
    found, found_bytes : int
        Files seen so far, and their bytes.
    written, written_bytes : int
        Files de-identified and written, and the bytes of their sources.
    unchanged : int
        Files that an earlier run had written from the same source with the same rules and key.
    reasons : Counter of Reason
        Files that were not written.
    notes : Counter of str
        Codes of `NOTES`.
    folders : int
        Folders mirrored.
    interrupted : bool
        Ctrl-C, or another signal, ended the run.
    ended_by : int
        Number of that signal.
    seconds : float
        Wall-clock time.
    directories : set of str
        Folders of the source in which a DICOMDIR was met, for those who write new ones; in no summary.
    """

    dry_run: bool = False
    found: int = 0
    found_bytes: int = 0
    written: int = 0
    written_bytes: int = 0
    unchanged: int = 0
    reasons: collections.Counter[Reason] = field(default_factory=collections.Counter)
    notes: collections.Counter[str] = field(default_factory=collections.Counter)
    folders: int = 0
    interrupted: bool = False
    ended_by: int = signal.SIGINT
    seconds: float = 0.0
    directories: set[str] = field(default_factory=set)

    def add(self, results: Iterable[FileResult]) -> None:
        """Add what became of some files."""
        for result in results:
            if result.notes:
                self.notes.update(result.notes)
            if result.reason is None:
                self.written += 1
                self.written_bytes += result.job.size
            else:
                self.reasons[result.reason] += 1
                if result.reason is Reason.DICOMDIR:
                    self.directories.add(os.path.dirname(result.job.relative))

    def add_not_tried(self, entry: NotTried) -> None:
        """Add an entry that was not opened."""
        self.found += 1
        self.reasons[entry.reason] += 1

    def count(self, kind: Kind) -> int:
        """Files in one column of the account."""
        return sum(number for reason, number in self.reasons.items() if reason.kind is kind)

    @property
    def trouble(self) -> int:
        """Files quarantined or failed."""
        return self.count(Kind.QUARANTINED) + self.count(Kind.FAILED)

    @property
    def done(self) -> int:
        """Files in any column of the account."""
        return self.written + self.unchanged + sum(self.reasons.values())

    @property
    def balances(self) -> bool:
        """Whether found = written (now or before) + skipped + quarantined + failed."""
        return self.found == self.done

    @property
    def in_order(self) -> bool:
        """Whether the run wrote what it could, and everything has its final name."""
        return not (self.dry_run or self.interrupted or self.reasons[Reason.NOT_REACHED] or self._pending)

    @property
    def _pending(self) -> int:
        return sum(self.notes[name] for name in ("folder-names-left", "folder-names-pending", "record-failed"))

    @property
    def exit_code(self) -> int:
        """0 all good; 1 something was not done, or the account does not balance; 130 interrupted, 143 by SIGTERM."""
        if self.interrupted:
            return 128 + self.ended_by
        failed = self.trouble or not self.balances or self._pending or self.notes["documents-failed"]
        return EXIT_TROUBLE if failed else EXIT_GOOD

    def to_json(self) -> dict[str, Any]:
        """Summary for scripts: counts and codes, never a name or a value."""
        by_kind = {
            kind.value: {
                "files": self.count(kind),
                "reasons": {
                    reason.value: self.reasons[reason]
                    for reason in Reason
                    if reason.kind is kind and self.reasons[reason]
                },
            }
            for kind in Kind
        }
        return {
            "tool": "dicom-anon",
            "version": __version__,
            "dry_run": self.dry_run,
            "found": {"files": self.found, "bytes": self.found_bytes},
            "written": {"files": self.written, "source_bytes": self.written_bytes},
            "unchanged": {"files": self.unchanged},
            **by_kind,
            "folders": self.folders,
            "notes": dict(sorted(self.notes.items())),
            "balances": self.balances,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "exit_code": self.exit_code,
        }
