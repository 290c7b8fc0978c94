"""Which words of the sources are coded vocabulary, so that they prove nothing where they stand in an output.

Lives here: whose files use a word in a coded element, and whose name it is. Does not live here: which elements
are coded, and what is searched for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from pydicom.datadict import DicomDictionary

from . import catalog
from .identifiers import Collected
from .words import words

WITNESSES = 2
"""Patients, none of them called so, whose files have to use a word in a coded element."""
_REMEMBERED = 64
"""Patients per word: enough to tell, and all that a large tree needs memory for."""
_OF_SOMEBODY = catalog.NAMES | catalog.IDS


@dataclass(slots=True)
class Vocabulary:
    """Words of coded elements, and who says that they are words.

    A surname that was typed into one coded element would otherwise pass for a word everywhere. So against a
    name or an ID only the Standard counts, and the files of others; files that name no patient may be anybody's.
    """

    _users: dict[str, set[str]] = field(default_factory=dict)
    _bearers: dict[str, set[str]] = field(default_factory=dict)

    def add(self, found: Collected) -> None:
        """Enter what one source holds."""
        own = {word for known in found.identifiers if known.kind in _OF_SOMEBODY for word in words(known.value)}
        for word in own:
            self._bearers.setdefault(word, set()).add(found.patient)
        for text in found.vocabulary:
            users = self._users.setdefault(text, set())
            if found.patient and len(users) < _REMEMBERED and own.isdisjoint(words(text)):
                users.add(found.patient)

    def against_places(self) -> frozenset[str]:
        """Return all words: an institution may well be called like the maker of its devices."""
        return frozenset(self._users)

    def against_people(self) -> frozenset[str]:
        """Return the words that the Standard or the files of enough others use."""
        return frozenset(
            text
            for text, users in self._users.items()
            if text in _standard() or len(users - self._called(words(text))) >= WITNESSES
        )

    def _called(self, parts: Iterable[str]) -> set[str]:
        return {patient for word in parts for patient in self._bearers.get(word, ())}


@cache
def _standard() -> frozenset[str]:
    """Return the words that PS3.6 names attributes with."""
    return frozenset(word for row in DicomDictionary.values() for word in words(row[2]))
