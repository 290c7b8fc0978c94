"""What a file itself says of its private elements, in (0008,0300) and below (PS3.15 section E.3.10).

Lives here: reading that statement. Does not live here: the Standard's own table of safe private elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dicom_anon.actions import Action, Remove, Replace, Uid
from dicom_anon.actions.base import ClearPresent
from dicom_anon.actions.text import CleanSafe
from dicom_anon.scope import FileScope, Level
from dicom_anon.tags import PrivateKey

CHARACTERISTICS_SEQUENCE = 0x00080300
GROUP_REFERENCE = 0x00080301
CREATOR_REFERENCE = 0x00080302
BLOCK_STATUS = 0x00080303
NONIDENTIFYING = 0x00080304
ACTION_SEQUENCE = 0x00080305
IDENTIFYING = 0x00080306
ACTION = 0x00080307

_ACTIONS: dict[str, Action] = {"D": Replace(), "Z": ClearPresent(), "X": Remove(), "U": Uid()}
_SAFE: Action = CleanSafe()
"""What is declared free of identifiers stays; its text is cleaned all the same."""
_REMOVE = Remove()


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

    def action(self, element: int) -> Action:
        """Choose what becomes of an element of the block."""
        if element in self.actions:
            return self.actions[element]
        if self.status == "SAFE" or (self.status == "MIXED" and element in self.safe):
            return _SAFE
        return _REMOVE


Blocks: TypeAlias = "dict[tuple[int, str], list[Block]]"
"""By group and creator."""


def declared_action(file: FileScope, key: PrivateKey) -> Action | None:
    """Find what a file wants done to a private element; `None` where it says nothing of its block.

    A creator that is declared twice in different ways is held to the stricter statement for each element.
    """
    declared = _blocks(file).get((key.group, key.creator))
    if declared is None:
        return None
    found = [block.action(key.element) for block in declared]
    return next((action for action in found if action is not _SAFE), _SAFE)


def declares_private(file: FileScope) -> bool:
    """Tell whether a file says anything of its private elements."""
    return bool(_blocks(file))


def _blocks(file: FileScope) -> Blocks:
    blocks: Blocks | None = file.memo.get("private blocks")
    if blocks is None:
        blocks = file.memo["private blocks"] = _declared(file.root)
    return blocks


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
