"""What a file itself says of its private elements, in (0008,0300) and below (PS3.15 section E.3.10).

Lives here: reading that statement. Does not live here: the Standard's own table of safe private elements.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dicom_anon.actions import Action, Keep, Outcome, Remove, Replace, ShiftDate, Uid
from dicom_anon.actions.base import ClearPresent
from dicom_anon.actions.dates import TEMPORAL_VRS
from dicom_anon.actions.text import CleanSafe
from dicom_anon.profile import FULL_DATES, MODIFIED_DATES
from dicom_anon.scope import Element, FileScope, Level
from dicom_anon.tags import PrivateKey

CHARACTERISTICS_SEQUENCE = 0x00080300
GROUP_REFERENCE = 0x00080301
CREATOR_REFERENCE = 0x00080302
BLOCK_STATUS = 0x00080303
NONIDENTIFYING = 0x00080304
ACTION_SEQUENCE = 0x00080305
IDENTIFYING = 0x00080306
ACTION = 0x00080307

_EMPTY, _REMOVE = ClearPresent(), Remove()
_ACTIONS: dict[str, Action] = {"D": Replace(), "Z": _EMPTY, "X": _REMOVE, "U": Uid()}


@dataclass(frozen=True)
class DeclaredSafe(CleanSafe):
    """What a file declares free of identifiers: its text is cleaned all the same, and dates go the public ones' way.

    Beside a date that has moved, the same day as it was would tell by how much.
    """

    dates: Action = _EMPTY

    def decide(self, element: Element) -> Outcome:
        """Treat dates and times as the options say, all else as any safe element."""
        return self.dates.decide(element) if element.vr in TEMPORAL_VRS else super().decide(element)


def declared_safe(options: Collection[str]) -> DeclaredSafe:
    """What becomes of an element that is declared safe, under some options of the profile."""
    if MODIFIED_DATES in options:
        return DeclaredSafe(dates=ShiftDate())
    return DeclaredSafe(dates=Keep()) if FULL_DATES in options else DeclaredSafe()


@dataclass(frozen=True)
class Block:
    """What is declared of one private block.

    Parameters
    ----------
    status : str
        SAFE, UNSAFE or MIXED; anything else counts as UNSAFE.
    safe : frozenset of int
        Low bytes of the elements of a MIXED block that do not identify.
    actions : Mapping[int, Action]
        By low byte, what is to be done to elements that do.
    """

    status: str
    safe: frozenset[int]
    actions: Mapping[int, Action]

    def action(self, element: int, safe: Action) -> Action:
        """Choose what becomes of an element of the block; `safe` of one that does not identify."""
        if element in self.actions:
            return self.actions[element]
        if self.status == "SAFE" or (self.status == "MIXED" and element in self.safe):
            return safe
        return _REMOVE


Blocks: TypeAlias = "dict[tuple[int, str], list[Block]]"
"""By group and creator."""


def declared_action(file: FileScope, key: PrivateKey, safe: Action) -> Action | None:
    """Find what a file wants done to a private element; `None` where it says nothing of its block.

    What it declares safe is for the action `safe`. A creator that is declared twice in different ways is held to the
    stricter statement for each element.
    """
    declared = _blocks(file).get((key.group, key.creator))
    if declared is None:
        return None
    known: dict[PrivateKey, Action] = file.recall("private actions", dict)
    if key not in known:  # it may be declared as often as there are such elements
        found = (block.action(key.element, safe) for block in declared)
        known[key] = next((action for action in found if action is not safe), safe)
    return known[key]


def declares_private(file: FileScope) -> bool:
    """Tell whether a file says anything of its private elements."""
    return bool(_blocks(file))


def _blocks(file: FileScope) -> Blocks:
    return file.recall("private blocks", lambda: _declared(file.root))


def _declared(root: Level) -> Blocks:
    blocks: Blocks = {}
    for item in root.items(CHARACTERISTICS_SEQUENCE):
        groups = _numbers(item, GROUP_REFERENCE)
        creator = (item.text(CREATOR_REFERENCE) or "").strip()
        actions: dict[int, Action] = {}
        for advice in item.items(ACTION_SEQUENCE):
            action = _ACTIONS.get((advice.text(ACTION) or "").strip(), _REMOVE)
            actions.update(dict.fromkeys((n & 0xFF for n in _numbers(advice, IDENTIFYING)), action))
        safe = frozenset(n & 0xFF for n in _numbers(item, NONIDENTIFYING))
        block = Block((item.text(BLOCK_STATUS) or "").strip(), safe, actions)
        for group in groups:
            blocks.setdefault((group, creator), []).append(block)
    return blocks


def _numbers(level: Level, tag: int) -> list[int]:
    return [int(text) for text in (level.text(tag) or "").split("\\") if text.strip().isdecimal()]
