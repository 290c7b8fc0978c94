"""The independent second look at a de-identified copy of a tree, for what still identifies anyone.

Lives here: everything behind ``dicom-anon verify``. It shares no code with the engine, on purpose: it reads
DICOM with a walker of its own and with pydicom, keeps its own tables, and imports nothing of the package but
its errors.
"""

from __future__ import annotations

from .report import Finding, VerifyReport
from .trees import verify_trees

__all__ = ["Finding", "VerifyReport", "verify_trees"]
