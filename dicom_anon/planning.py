"""Putting together what is the same for every file of a run.

Lives here: defaults and the clock. Does not live here: what a plan is for, which the engine knows.
"""

from __future__ import annotations

import datetime

from dicom_anon.assignment import Assignment, resolve
from dicom_anon.engine import Plan
from dicom_anon.pseudonyms import new_key


def make_plan(assignment: Assignment | None = None, key: bytes | None = None) -> Plan:
    """Put together what is the same for every file: assignment, key, clock.

    Parameters
    ----------
    assignment : Assignment, optional
        From `resolve`; the preset ``default`` where it is left out.
    key : bytes, optional
        Secret of at least 16 bytes. Without one, a new key is used that nobody knows afterwards.
    """
    now = datetime.datetime.now()
    return Plan(
        assignment or resolve(),
        new_key() if key is None else key,
        now.strftime("%m%d%Y"),
        now.strftime("%H%M%S") + f"{now.microsecond // 1000:03}",
    )
