"""What a run knows that the independent look at its output has to be told: names, what is accounted for, what is kept.

Lives here: that hand-over. Does not live here: the look itself, which shares no code with the engine.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from dicom_anon import tags
from dicom_anon.actions import Keep, Set
from dicom_anon.assignment import Assignment
from dicom_anon.destination import places_now
from dicom_anon.errors import Reason, UsageError
from dicom_anon.manifest import WRITTEN, Manifest
from dicom_anon.pseudonyms import Pseudonyms, new_key
from dicom_anon.runfolder import RunFolder
from dicom_anon.tags import Key, Pattern, PrivateKey
from dicom_anon.verify import VerifyReport, verify_trees


@dataclass(frozen=True)
class Named:
    """Tells whether the row that decides for an element is one of some, or what is said where it has none.

    Parameters
    ----------
    keys : frozenset of Key
        Rows that count.
    rows : frozenset of Key
        All rows: an exact tag decides before a private element's creator, and that before a pattern.
    others : bool
        What is said of an element without a row.
    """

    keys: frozenset[Key]
    rows: frozenset[Key]
    others: bool = False

    def __call__(self, tag: int, creator: str) -> bool:
        """Answer for one element."""
        owned = PrivateKey(tag >> 16, tag & 0xFF, creator)
        if tag in self.rows:
            return tag in self.keys
        if creator and owned in self.rows:
            return owned in self.keys
        pattern = next((pattern for pattern in self._patterns if pattern.matches(tag)), None)
        return self.others if pattern is None else pattern in self.keys

    @functools.cached_property
    def _patterns(self) -> list[Pattern]:
        return tags.patterns_of(self.rows)


def kept_on_purpose(assignment: Assignment) -> Named:
    """Elements that stay because someone asked for it, beyond the preset."""
    keys = frozenset(
        key
        for key, row in assignment.rows.items()
        if isinstance(row.action, Keep) and not row.source.startswith("preset")
    )
    return Named(keys, frozenset(assignment.rows), not assignment.remove_unknown_tags)


def set_by_rule(assignment: Assignment) -> Named:
    """UIDs that a rule sets to a value of its own."""
    keys = frozenset(
        key
        for key, row in assignment.rows.items()
        if isinstance(row.action, Set) and isinstance(key, int) and tags.vr_of(key) == "UI"
    )
    return Named(keys, keys)


def made_with(assignment: Assignment, destination: Path, run_folder: RunFolder) -> bool:
    """Tell whether these are the rules of the run, as far as its private folder knows the destination."""
    if not run_folder.knows(destination):
        return True
    with contextlib.closing(run_folder.manifest(destination)) as manifest:
        return manifest.rules.partition(" ")[0] == assignment.digest


def verify_run(
    source: Path,
    destination: Path,
    assignment: Assignment,
    *,
    run_folder: RunFolder | None = None,
    key: bytes | None = None,
    tokens: Iterable[str] = (),
    sample: int | None = None,
    whole_tree: bool = True,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Look independently for what is left of the source's identifiers in an output.

    Parameters
    ----------
    source, destination : Path
        The two trees.
    assignment : Assignment
        The rules of the run.
    run_folder : RunFolder, optional
        Its private folder: says which output belongs to which source, and what was not written.
    key : bytes, optional
        The key of the run, where it is not the run folder's.
    tokens : iterable of str
        Further texts that must not be found.
    sample : int, optional
        Check only so many outputs.
    whole_tree : bool
        The run went into sub-folders.
    jobs : int
        Worker processes.
    progress : callable, optional
        Gets files done and to be done.

    Raises
    ------
    UsageError
        The key is not that of the run.
    """
    names: dict[str, str] = {}
    accounted: set[str] = set()
    late: set[str] = set()
    if run_folder is not None and run_folder.knows(destination):
        manifest = run_folder.manifest(destination)
        try:
            if key is None and run_folder.holds_key:
                key = run_folder.key()
            pseudonyms = Pseudonyms(new_key() if key is None else key)  # names that a lost key made are not found
            if key is not None and pseudonyms.key_id != manifest.key_id:
                raise UsageError("DST was made with another key: give that one with --key-file")
            names, accounted, late = _outcomes(manifest, pseudonyms, destination)
            closed = {path.replace(os.sep, "/") for path in run_folder.unreadable()}
            accounted |= closed.difference(names)  # the manifest knows files, not folders
        finally:
            manifest.close()
    return verify_trees(
        source,
        destination,
        tokens=tokens,
        sample=sample,
        whole_tree=whole_tree,
        manifest=names,
        accounted=accounted,
        late=late,
        kept=kept_on_purpose(assignment),
        rewritten=set_by_rule(assignment),
        allowed=[text for text in (assignment.name, assignment.owner, assignment.prefix) if text],
        workers=jobs,
        progress=progress,
    )


def _outcomes(
    manifest: Manifest, pseudonyms: Pseudonyms, destination: Path
) -> tuple[dict[str, str], set[str], set[str]]:
    """Outputs by source, under their present names; sources with none on record, and those that may have one."""
    places = places_now(manifest, destination, pseudonyms)
    names = {path.replace(os.sep, "/"): place.replace(os.sep, "/") for path, place in places}
    others = {path.replace(os.sep, "/"): outcome for path, _, outcome in manifest.outcomes() if outcome != WRITTEN}
    return names, set(others), {path for path, outcome in others.items() if outcome == Reason.NOT_REACHED.value}
