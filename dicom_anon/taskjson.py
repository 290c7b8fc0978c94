"""The account that stands beside the images of one study: what was done, with what, and what came of it.

Lives here: what ``task.json`` may say: new UIDs, counts and codes; of mercure's own task no more than what
identifies nobody. Does not live here: where it is written, or mercure's settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dicom_anon._version import __version__
from dicom_anon.assignment import Assignment
from dicom_anon.report import RunReport

_VERSION = re.compile(r"[0-9A-Za-z.+\-]{1,40}")
_OF_MERCURE = {
    "action": frozenset(("route", "both", "process", "discard", "notification")),
    "uid_type": frozenset(("series", "study")),
}
"""Fields of mercure's ``info`` that say how a task came about and not whose it is, and their values."""

_OF_ROWS = ("remove_safe_tags", "remove_curves", "remove_overlays")
"""Options that are told where rows are due to them; not `date_shift`, since its days lead back to the dates."""


@dataclass(frozen=True)
class TaskFacts:
    """What the accounts of all studies of a run share.

    Parameters
    ----------
    assignment : Assignment
        The rules.
    key_id : str
        Name of the key, which tells nothing about it.
    extract : str
        Which elements were extracted.
    started : str
        Time of the start, ISO 8601.
    mercure : Mapping[str, str]
        From `facts_of_mercure`; empty outside of mercure.
    """

    assignment: Assignment
    key_id: str
    extract: str
    started: str
    mercure: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SeriesFacts:
    """One series as the account tells of it: all of it new.

    Parameters
    ----------
    folder, uid : str
        Name of its folder, and its Series Instance UID.
    instances : int
        Number of its images.
    """

    folder: str
    uid: str
    instances: int


def facts_of_mercure(info: object) -> dict[str, str]:
    """Take from mercure's ``info`` what identifies nobody.

    Parameters
    ----------
    info : object
        As it stands in mercure's ``task.json``; anything but an object gives nothing.

    Examples
    --------
    >>> facts_of_mercure({"uid_type": "study", "mrn": "7719", "mercure_version": "0.4.1", "action": "x"})
    {'uid_type': 'study', 'mercure_version': '0.4.1'}
    """
    if not isinstance(info, Mapping):
        return {}
    found = {name: info.get(name) for name in _OF_MERCURE}
    facts = {name: value for name, value in found.items() if isinstance(value, str) and value in _OF_MERCURE[name]}
    version = info.get("mercure_version")
    if isinstance(version, str) and _VERSION.fullmatch(version):
        facts["mercure_version"] = version
    return facts


def task_document(
    facts: TaskFacts, report: RunReport, study: str, series: list[SeriesFacts], ended: str
) -> dict[str, Any]:
    """Write the account of one study.

    Parameters
    ----------
    facts : TaskFacts
        Of the run.
    report : RunReport
        The account of the run: files that were not written can be of any study.
    study : str
        New Study Instance UID.
    series : list of SeriesFacts
        Its series.
    ended : str
        Time of writing, ISO 8601.
    """
    rules = facts.assignment
    sources = {row.source for row in rules.rows.values()}
    account = report.to_json()
    document: dict[str, Any] = {
        "tool": "dicom-anon",
        "version": __version__,
        "preset": rules.preset,
        "project": rules.project,
        "options": {
            "remove_unknown_tags": rules.remove_unknown_tags,
            **{name: f"option {name}" in sources for name in _OF_ROWS},
            "profile_options": list(rules.profile_options),
            "objects": dict(rules.objects),
            "layout": "study",
            "extract": facts.extract,
        },
        "rules": rules.told_digest,
        "key_id": facts.key_id,
        "started": facts.started,
        "ended": ended,
        "StudyInstanceUID": study,
        "series": [
            {"folder": one.folder, "SeriesInstanceUID": one.uid, "NumberOfInstances": one.instances} for one in series
        ],
        "counts": {"series": len(series), "instances": sum(one.instances for one in series)},
        "run": {name: account[name] for name in ("found", "written", "unchanged", "skipped", "quarantined", "failed")},
    }
    return {**document, "mercure": dict(facts.mercure)} if facts.mercure else document
