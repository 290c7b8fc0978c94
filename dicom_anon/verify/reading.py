"""The search as a person reads: through accents, separators, leading zeros, ways to write a date, and packing.

Lives here: looking up texts made plain, what is packed in values, and words in binary ones. Does not live here: how
texts are made plain, and the search of the bytes as they are.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .identifiers import decoded
from .index import Index, Readings
from .layout import PIXEL_TAGS, Layout, Reader
from .needles import MIN_NUMBER
from .plain import Word, dates_in, plain, split, unescaped
from .search import BINARY_DIGITS, Area, Match, Searched, area_of, element_of, outside, search_bytes
from .unpack import unpacked
from .words import is_weak

LIMIT = 1 << 22  # bytes of one value that are read; the search of the bytes as they are has no such limit
MAX_WORDS = 8  # that are joined
MAX_GAP = 3  # characters between two words that are joined
MIN_MIXED, MIN_LETTERS = 6, 8  # characters of joined words that count
MIN_CAMEL = 6  # letters of a word that only a capital letter divides from the one beside it
DIGIT = 0.4745  # ten digits are to be guessed as easily as so many characters of 128
_WRITTEN = re.compile(rb"[ -~]{6,}")
_CONTROL = re.compile(rb"[\0-\x08\x0b\x0e-\x1f\x7f]")
_UNREAD = frozenset({"UI", "DA", "TM", "DT", "AS", "IS", "DS"})


@dataclass(slots=True)
class Reading:
    """What was read in a text: kind, area and length of each match, and how many numbers of each length there were."""

    matches: list[tuple[str, str, int]] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)


def read_values(
    reader: Reader, layout: Layout, index: Index, dates: Mapping[str, str], areas: Collection[Area], found: Searched
) -> None:
    """Read the values of an output, but for its pixels, and further areas, and add to what was found in it."""
    known = {
        (match.element, match.kind)
        for match in found.matches
        if match.area == "text" or (match.area == "binary" and match.weight >= MIN_MIXED)
    }
    for place, data, written, area in _values(reader, layout, areas):
        texts = [(written, area)] if written else []
        for piece in unpacked(data):
            text = _text(piece)
            texts.extend([(text, "text")] if text else [])
            found.sizes["binary"] += len(piece)
            where = "text" if text else "binary"
            found.matches.extend(search_bytes(piece, index, dates, where, place.element, place.start))
        for text, where in texts:
            reading = read_text(text, index.readings, dates, where)
            found.sizes.update(reading.numbers)
            for kind, read_as, length in reading.matches:
                if (place.element, kind) not in known:
                    weight = length if read_as == "binary" else length * DIGIT
                    found.matches.append(Match(kind, place.element, place.start, read_as, length, weight))


def _values(reader: Reader, layout: Layout, areas: Collection[Area]) -> Iterator[tuple[Area, bytes, str, str]]:
    """Yield where something may be written, its bytes, the text in them, and as what it is searched."""
    for span in layout.spans:
        if span.end == span.start or span.vr in _UNREAD or span.tag in PIXEL_TAGS:
            continue
        data = reader.read(span.start, min(span.end, span.start + LIMIT))
        area = area_of(reader, span)
        text = decoded(data, span) if area == "text" else _written(data) if area == "binary" else ""
        yield Area(span.start, span.end, element_of(span)), data, text, area
    for place in (*outside(layout), *areas):
        data = reader.read(place.start, min(place.end, place.start + LIMIT))
        yield place, data, _written(data), "binary"


def _written(data: bytes) -> str:
    """Return what can be read in binary data, with gaps between that no two words are joined over."""
    return ("\n" * (MAX_GAP + 1)).join(run.decode("ascii") for run in _WRITTEN.findall(data))


def _text(piece: bytes) -> str:
    """Return what was packed if it is text; little of what only looks packed is."""
    try:
        return piece.decode("utf-8") if not _CONTROL.search(piece) else ""
    except UnicodeDecodeError:
        return ""


def read_path(parts: Sequence[str], index: Index, dates: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield the number of each component of a path in which an identifier can be read, and the kind."""
    for number, part in enumerate(parts):
        data = os.fsencode(part)
        for text in (data.decode("utf-8", "replace"), *map(_text, unpacked(data))):
            yield from ((number, kind) for kind, _, _ in read_text(text, index.readings, dates).matches)


def read_text(text: str, readings: Readings, dates: Mapping[str, str], area: str = "text") -> Reading:
    """Look up the words of a text, alone and joined, and its dates; `area` says what the text stands in."""
    text = plain(unescaped(text))
    found = Reading()
    found.matches = [(dates[date], area, len(date)) for date in dates_in(text) if date in dates] if dates else []
    words = split(text)
    for first in range(len(words)):
        parts: list[Word] = []
        joined = ""
        for word in words[first : first + MAX_WORDS]:
            if parts and word.start - parts[-1].end > MAX_GAP:
                break
            parts.append(word)
            joined += word.text
            number = joined.isdigit()
            if number:
                if not _is_number(text, joined, parts) or (area == "binary" and len(joined) < BINARY_DIGITS):
                    continue
                found.numbers[_length_of(joined)] += 1
            elif not readings.may_begin(joined):
                break
            kind = readings.kinds.get(joined.lstrip("0") if number else joined)
            if kind and (number or _counts(joined, parts)):
                found.matches.append((kind, _length_of(joined) if number else area, len(joined.lstrip("0"))))
    return found


def _length_of(number: str) -> str:
    """Return the area of numbers of one length: how many there are says what is chance."""
    return f"number of {len(number.lstrip('0'))} digits"


def _is_number(text: str, joined: str, parts: Sequence[Word]) -> bool:
    """Say whether digits may be a number that identifies, maybe divided for the eye, and no decimal fraction."""
    before, after = text[max(0, parts[0].start - 2) : parts[0].start], text[parts[-1].end : parts[-1].end + 2]
    if (before[1:] == "." and before[:1].isdigit()) or (after[:1] == "." and after[1:].isdigit()):
        return False
    if len(parts) == 1:
        return len(joined.lstrip("0")) >= MIN_NUMBER
    point = len(parts) == 2 and text[parts[0].end : parts[1].start] == "."
    return len(joined) > MIN_NUMBER and not point and parts[0].text.strip("0") != ""


def _counts(joined: str, parts: Sequence[Word]) -> bool:
    """Say whether words that make up an identifier, where they are joined, are more than chance."""
    if len(parts) == 1:
        return not parts[0].camel or len(joined) >= MIN_CAMEL
    if any(map(str.isdigit, joined)):
        return len(joined) >= MIN_MIXED
    return len(joined) >= MIN_LETTERS and not all(is_weak(part.text) for part in parts)
