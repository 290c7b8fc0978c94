"""Scrubs free text: removes one patient's identifiers and whatever has the shape of an identifier.

Pure functions of text. Reading identifiers from a Data Set, and choosing the texts to clean, live elsewhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from .announced import announced_spans
from .folding import LETTERS, view
from .identifiers import Finder, Identifiers
from .mending import cut, merge
from .numbers import number_spans, with_label
from .people import people_spans
from .words import ORDINARY_WORDS

__all__ = ["ORDINARY_WORDS", "Identifiers", "Scrubber", "scrubber_for"]

# A cut can bring a label and a number together, so cleaning is repeated until nothing is found. Real text
# settles in two rounds; one that does not is not trusted and goes as a whole.
_ROUNDS: Final = 8
_CACHED_LENGTH: Final = 256


class Scrubber:
    """Removes one patient's identifiers, and patterns that identify anyone, from text (PS3.15 E.3.5).

    Parameters
    ----------
    identifiers : Identifiers
        What the patient's file holds. Building a scrubber compiles nothing; `scrubber_for` shares them.

    Examples
    --------
    >>> scrub = Scrubber(Identifiers.of(names=["Head^Sarah"], ids=["AB-12345"]))
    >>> scrub.clean("CT HEAD for Head, Sarah (AB12345), s/p fall 3/4/2011")
    'CT HEAD for, s/p fall'
    """

    def __init__(self, identifiers: Identifiers) -> None:
        self._finder = Finder(identifiers)
        self._clean_short = lru_cache(maxsize=256)(self._clean)

    def clean(self, text: str) -> str:
        """Return the text without what identifies; the same text if nothing does.

        Cleaning twice changes nothing more, no text makes it fail, and no cut leaves two blanks or a
        separator with nothing to separate.
        """
        return self._clean_short(text) if len(text) <= _CACHED_LENGTH else self._clean(text)

    def _clean(self, text: str) -> str:
        for _ in range(_ROUNDS):
            seen = view(text)
            words = set(LETTERS.findall(seen.folded))
            spans = [*self._finder.spans(seen), *number_spans(seen, words)]
            spans += people_spans(seen, words, self._finder.name_words)
            spans += announced_spans(seen, words, self._finder.ids)
            if not spans:
                return text
            spans = [with_label(seen, span) for span in merge(spans)]
            text = cut(text, merge(seen.source(*span) for span in spans))
        return ""


@lru_cache(maxsize=64)
def scrubber_for(identifiers: Identifiers) -> Scrubber:
    """Return the scrubber of these identifiers, the same one for equal identifiers."""
    return Scrubber(identifiers)
