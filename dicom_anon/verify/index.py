"""The automaton: all needles in all encodings, and the facts about each needle that a match is judged by.

Lives here: building it once per run. Does not live here: reading files, judging matches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ahocorasick_rs import BytesAhoCorasick, Implementation

from .needles import Needle, variants

STEM = 16  # bytes of a UID that go into the automaton; the rest is looked up in a set, which keeps it small
BULK_TEXT, BULK_DIGITS = 8, 10  # characters a text needs to be looked for in pixel data at all
BULK_VARIETY = 5  # different ones among them: pictures are full of runs of the same few values
_WESTERN, _EASTERN = ("utf-8", "latin-1", "cp850"), ("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr")
_CODECS = (*_WESTERN, "cp1250", "cp1251", "cp1253", "koi8-r", *_EASTERN)
HEAD = 4  # letters of what is looked up in texts that are compared first
MAX_PATTERN = 256  # bytes; longer patterns are cut, so that a search by chunks knows how far to look back


@dataclass(frozen=True, slots=True)
class Pattern:
    """One byte pattern of a needle; `width` 2 is UTF-16, without the outermost zero bytes of ASCII texts."""

    needle: int
    width: int
    length: int  # characters; bytes of UTF-16 that tell something, so that an ideograph is two


class Readings:
    """What is looked up in texts made plain, to its kind, and how it begins: most words of a text begin nothing."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = kinds
        self._heads = frozenset(text[:HEAD] for text in kinds)

    def may_begin(self, text: str) -> bool:
        """Say whether anything that is looked up may begin with a text that is no number."""
        return len(text) < HEAD or text[:HEAD] in self._heads


@dataclass(frozen=True)
class Index:
    """What is searched for.

    Parameters
    ----------
    needles : tuple of Needle
        Every text; for UIDs one per stem.
    patterns, bulk_patterns : tuple of Pattern
        In the order of the automaton's pattern numbers.
    uids : frozenset of bytes
        All original UIDs that may stand nowhere.
    uid_lengths : mapping
        Lengths of the UIDs that begin with a stem, longest first.
    kept_uids : frozenset of bytes
        UIDs that stay: of classes, and of elements kept on purpose.
    names : mapping of str to str
        Whole names in normal form, to their kind, for names whose words prove nothing one by one.
    readings : Readings
        What is looked up in texts made plain.
    lengths : mapping
        Number of patterns, and of numbers to be read, of each length in characters, for the odds of a chance match.
    ingredients : tuple
        Needles, encodings and kept UIDs that it was built from, so that another process can build it anew.
    """

    needles: tuple[Needle, ...]
    patterns: tuple[Pattern, ...]
    bulk_patterns: tuple[Pattern, ...]
    automaton: BytesAhoCorasick
    bulk_automaton: BytesAhoCorasick
    uids: frozenset[bytes]
    uid_lengths: Mapping[bytes, tuple[int, ...]]
    kept_uids: frozenset[bytes]
    names: Mapping[str, str]
    readings: Readings
    lengths: Mapping[int, int]
    ingredients: tuple[tuple[Needle, ...], frozenset[str], frozenset[str]]

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what it was built from: automata cannot be pickled."""
        return _rebuilt, (*self.ingredients, self.names)


def _rebuilt(
    needles: tuple[Needle, ...],
    encodings: frozenset[str],
    kept_uids: frozenset[str],
    names: Mapping[str, str],
) -> Index:
    return build_index(needles, encodings=encodings, kept_uids=kept_uids, names=names)


def _bytes_of(text: str, codec: str) -> bytes:
    """Encode a text; nothing if the character set does not have its letters."""
    try:
        return text.encode(codec)
    except (UnicodeError, LookupError):
        return b""


def _encoded(needle: Needle, encodings: Iterable[str]) -> set[tuple[bytes, int]]:
    """Return the byte patterns of a needle and their width; ASCII letters are folded to lower case."""
    found: set[tuple[bytes, int]] = set()
    for text in variants(needle.text):
        if text.isascii():
            # A NUL between every two letters is what both byte orders of UTF-16 share.
            found |= {(text.encode("ascii"), 1), (text.encode("utf-16-le")[:-1], 2)}
            continue
        found |= {(text.encode("utf-16-le", "replace"), 2), (text.encode("utf-16-be", "replace"), 2)}
        found |= {(data, 1) for codec in {*_CODECS, *encodings} if (data := _bytes_of(text, codec))}
    return {(pattern.lower()[:MAX_PATTERN], width) for pattern, width in found if len(pattern) > 1}


def _in_bulk(needle: Needle) -> bool:
    if needle.rule == "uid":
        return len(needle.text) >= STEM
    if needle.rule == "date" or len(set(needle.text.lower())) < BULK_VARIETY:
        return False
    enough = BULK_DIGITS if needle.text.replace(" ", "").isdigit() else BULK_TEXT
    return len(needle.text.encode("utf-8", "replace")) >= enough


def build_index(
    needles: Iterable[Needle],
    *,
    encodings: Iterable[str] = (),
    kept_uids: Iterable[str] = (),
    names: Mapping[str, str] | None = None,
) -> Index:
    """Build the automaton.

    Parameters
    ----------
    needles : iterable of Needle
        Repeats are dropped; of two kinds with the same text the first is reported.
    encodings : iterable of str
        Python codecs of the character sets met in the sources; UTF-8, UTF-16 and `_CODECS` are always searched.
    kept_uids : iterable of str
        UIDs that stay in the output.
    names : mapping of str to str, optional
        Whole names in normal form to their kind.
    """
    ingredients = (tuple(needles), frozenset(encodings), frozenset(kept_uids))
    kept = frozenset(uid.encode("ascii", "replace") for uid in ingredients[2])
    uids: set[bytes] = set()
    lengths: dict[bytes, set[int]] = {}
    rows: list[Needle] = []
    numbers: dict[int, dict[bytes, int]] = {1: {}, 2: {}}  # of rows, by width and bytes
    readings: dict[str, str] = {}
    for needle in ingredients[0]:
        if needle.rule == "read":
            readings.setdefault(needle.text, needle.kind)
            continue
        if needle.rule == "uid":
            uid = needle.text.encode("ascii", "replace")
            if uid in kept or uid in uids:
                continue
            uids.add(uid)
            stem = uid[:STEM]
            known = stem in lengths
            lengths.setdefault(stem, set()).add(len(uid))
            if known:
                continue
            needle = Needle(needle.kind, stem.decode("ascii"), "uid")
        number = len(rows)
        if number in [numbers[width].setdefault(text, number) for text, width in _encoded(needle, ingredients[1])]:
            rows.append(needle)
    patterns: list[Pattern] = []
    bulk_patterns: list[Pattern] = []
    texts: list[bytes] = []
    bulk_texts: list[bytes] = []
    in_bulk = [_in_bulk(needle) for needle in rows]
    for width, found in numbers.items():
        while found:  # so that its memory is free when the automata are built, which takes most
            text, number = found.popitem()
            pattern = Pattern(number, width, sum(byte > 15 for byte in text) if width == 2 else len(text))
            patterns.append(pattern)
            texts.append(text)
            if in_bulk[number] and (width == 1 or pattern.length > BULK_DIGITS + 1 or not rows[number].text.isdigit()):
                bulk_patterns.append(pattern)
                bulk_texts.append(text)
    return Index(
        needles=tuple(rows),
        patterns=tuple(patterns),
        bulk_patterns=tuple(bulk_patterns),
        automaton=BytesAhoCorasick(texts, implementation=Implementation.ContiguousNFA),
        bulk_automaton=BytesAhoCorasick(bulk_texts, implementation=Implementation.ContiguousNFA),
        uids=frozenset(uids),
        uid_lengths={stem: tuple(sorted(found, reverse=True)) for stem, found in lengths.items()},
        kept_uids=kept,
        names=dict(names or {}),
        readings=Readings(readings),
        lengths=Counter(pattern.length for pattern in patterns)
        + Counter(len(text) for text in readings if text.isdigit()),
        ingredients=ingredients,
    )
