"""The ledger of UIDs: one old has one new over all files, no two share one, references lead where they led.

Lives here: what was seen of every pair, and the judgement at the end. Does not live here: reading files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .report import Finding


@dataclass(frozen=True, slots=True)
class UidPair:
    """An old UID and the new one in its place; `own` where the file calls itself or its parents by it."""

    old: str
    new: str
    element: str
    own: bool


@dataclass(slots=True)
class _Entry:
    """One old UID: its new one, and where that was read, unless from the object's own name for itself."""

    new: str
    place: tuple[str, str] | None
    conflicts: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Ledger:
    """Collects pairs from all outputs; `findings` judges them."""

    _entries: dict[str, _Entry] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)
    _shared: list[Finding] = field(default_factory=list)

    def add(self, file: str, pairs: Iterable[UidPair]) -> None:
        """Enter the pairs of one output."""
        for pair in pairs:
            entry = self._entries.get(pair.old)
            if entry is None:
                self._entries[pair.old] = _Entry(pair.new, None if pair.own else (file, pair.element))
            elif entry.new == pair.new:
                entry.place = None if pair.own else entry.place
            elif pair.own and entry.place is not None:  # the reference came first, and it was wrong
                entry.conflicts.append((*entry.place, entry.new))
                entry.new, entry.place = pair.new, None
            else:
                entry.conflicts.append((file, pair.element, "" if pair.own else pair.new))
            if pair.own and self._owners.setdefault(pair.new, pair.old) != pair.old:
                self._shared.append(Finding(file, pair.element, "uid shared by two objects", "uid"))

    def findings(self) -> Iterator[Finding]:
        """Yield what does not fit, once all outputs are entered."""
        yield from self._shared
        for entry in self._entries.values():
            for file, element, new in entry.conflicts:
                if new == entry.new:
                    continue
                if entry.place is None and new:
                    yield Finding(file, element, "reference leads elsewhere", "reference")
                else:
                    yield Finding(file, element, "uid mapped twice", "uid")
