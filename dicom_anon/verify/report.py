"""What a verification found, as data: findings, the account, and how both become JSON.

Lives here: the result types. Does not live here: any check, and any value taken from a file.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Literal

Check = Literal["identifier", "unaccounted", "uid", "reference", "pixel", "unreadable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong in the output. It says where and what kind, never the value.

    Parameters
    ----------
    file : str
        Path of the output below the destination, with ``/``. A component that itself holds an identifier is
        shown as ``[hidden]``. For a source without an output, ``source file N``: its place among the sources
        in sorted order, because its own path may identify the patient; a folder that cannot be listed counts,
        and a source that is gone does not.
    element : str
        Path of the Data Element, like ``(0008,1140)[0].(0008,1155)``, or one of ``path``, ``link`` (where a link
        leads), ``preamble``, ``pixel data``, ``trailing``, ``structure`` (bytes that belong to no element) and
        ``file``.
    kind : str
        What was found, like ``patient name`` or ``original uid``.
    check : str
        Which check found it.
    offset : int or None
        Byte offset of the match in the file, or of the value that it was read in, where it is not written in its
        bytes as it was searched for; in a deflated file the offset it has once the Data Set is
        inflated. None in the JSON documents of a run.
    """

    file: str
    element: str
    kind: str
    check: Check
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The outcome of a verification.

    Parameters
    ----------
    findings : tuple of Finding
        Sorted by file, element and kind.
    sources, outputs : int
        Number of files found on either side; a source folder that cannot be listed counts as one.
    checked : int
        Outputs that were searched and checked (fewer than `outputs` only with a sample).
    identifiers : int
        Distinct identifiers that were searched for.
    not_dicom : int
        Sources that are not DICOM; nothing was collected from them and no output is expected.
    bytes_searched : int
        Bytes of output that went through the search.
    """

    findings: tuple[Finding, ...]
    sources: int
    outputs: int
    checked: int
    identifiers: int
    not_dicom: int = 0
    bytes_searched: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def by_kind(self) -> dict[str, int]:
        """Count the findings of each kind, most frequent first."""
        return dict(Counter(finding.kind for finding in self.findings).most_common())

    def as_dict(self) -> dict[str, object]:
        """Return the report as plain data for JSON; it holds no value from any file."""
        return {
            "clean": self.clean,
            "sources": self.sources,
            "outputs": self.outputs,
            "checked": self.checked,
            "identifiers": self.identifiers,
            "not_dicom": self.not_dicom,
            "bytes_searched": self.bytes_searched,
            "kinds": self.by_kind(),
            "findings": [asdict(finding) for finding in self.findings],
        }
