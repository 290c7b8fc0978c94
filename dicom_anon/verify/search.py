"""The search: every byte of an output once through the automaton, and the judgement whether a match counts.

Lives here: reading by chunks, context of a match, the odds of chance. Does not live here: what is searched
for.

A match counts where a person could read it. In text it has to stand between word boundaries. In binary
data, where short texts turn up by chance, it counts if fewer than `CHANCE` such matches are to be expected
in all the binary data of the run: a text of n characters, of which there are k, is expected ``bytes * k /
128**n`` times (128, not 256, because letters are compared without case). Every printable neighbour makes
chance less likely still, by 95 in 256.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from .index import MAX_PATTERN, STEM, Index, Pattern
from .layout import PIXEL_TAGS, Layout, Reader, Span
from .needles import Needle

CHUNK = 1 << 22
CONTEXT = MAX_PATTERN + 16  # also covers a UID of 64 characters in UTF-16
BULK = 1 << 18  # a binary value above this many bytes is bulk, like pixel data
CHANCE = 0.01
BINARY_DIGITS = 8
UNMISTAKABLE = 12  # characters from which on a text needs no boundaries: it is part of no other word

TEXT_VRS = frozenset({"PN", "LO", "SH", "LT", "ST", "UT", "UC", "UR", "AE", "CS"})
FIGURE_VRS = frozenset({"DA", "TM", "DT", "DS", "IS", "AS"})
_RUN = re.compile(rb"[0-9.]{1,64}")
_WIDE_RUN = re.compile(rb"[0-9.](?:\0[0-9.]){0,63}")
_WIDE_BEFORE = re.compile(rb"(?:[^\0]\0){0,2}\Z")
_WIDE_AFTER = re.compile(rb"(?:\0[^\0]){0,2}")
_DIGITS = re.compile(rb"[0-9]{0,7}")
_PRINTED_BEFORE = re.compile(rb"[ -~]{0,10}\Z")
_PRINTED_AFTER = re.compile(rb"[ -~]{0,10}")
_PRINTABLE = frozenset([9, 10, 12, 13, 27, *range(32, 127), *range(160, 256)])


@dataclass(frozen=True, slots=True)
class Match:
    """One match that counts, or counts if the odds allow.

    `area` is text, binary, bulk or that of numbers of one length; `length` its characters, and `weight` the same with
    its context added.
    """

    kind: str
    element: str
    offset: int
    area: str
    length: int
    weight: float


@dataclass(frozen=True, slots=True)
class Area:
    """A range of the file that is searched although it lies within, or beside, a value."""

    start: int
    end: int
    element: str


@dataclass(slots=True)
class Searched:
    """Matches of one output, how many bytes of each area were searched, and how many in all.

    Of numbers that were read in texts, it is not bytes that are counted, but they.
    """

    matches: list[Match] = field(default_factory=list)
    sizes: Counter[str] = field(default_factory=lambda: Counter(binary=0, bulk=0))
    total: int = 0


@dataclass(frozen=True, slots=True)
class _Hit:
    """What the automaton reports: the pattern, and where in a chunk (already in lower case) it lies."""

    pattern: Pattern
    needle: Needle
    data: bytes
    start: int
    end: int

    def neighbours(self) -> tuple[bytes, bytes]:
        """Return up to two characters before and after, each counted outwards from the match."""
        data, start, end = self.data, self.start, self.end
        if self.pattern.width == 1:
            return data[max(0, start - 2) : start][::-1], data[end : end + 2]
        before = _WIDE_BEFORE.search(data[max(0, start - 4) : start])
        after = _WIDE_AFTER.match(data, end)
        return before.group()[::2][::-1] if before else b"", after.group()[1::2] if after else b""

    def within(self, before: int, behind: int) -> _Hit:
        """Return the hit without what is outside of its value, such as the tag of the next one.

        So many bytes of the value are before the start of the match, and from there to the end of the value.
        """
        low = self.start - min(before, self.start, CONTEXT)
        high = max(self.end, self.start + min(behind, CONTEXT))
        return replace(self, data=self.data[low:high], start=self.start - low, end=self.end - low)


def is_bulk(span: Span) -> bool:
    """Say whether a value is bulk data, in which only long texts are looked for."""
    if span.tag in PIXEL_TAGS:
        return True
    return span.end - span.start > BULK and span.vr not in TEXT_VRS


def element_of(span: Span) -> str:
    """Return how findings name the element of a span."""
    if span.tag in PIXEL_TAGS and "." not in span.path:
        return "pixel data"
    return "trailing" if span.tag == 0xFFFCFFFC else span.path


def search(
    reader: Reader, layout: Layout, index: Index, dates: Mapping[str, str], areas: Collection[Area] = ()
) -> Searched:
    """Search one output.

    Parameters
    ----------
    dates : mapping of str to str
        Dates of this file's own source, YYYYMMDD, to their kind. A date of another patient proves nothing:
        there are few dates, and shifted ones fall on them.
    areas : collection of Area
        Ranges inside of bulk data that are searched like any binary value, such as comments of a codestream.
    """
    found = Searched(total=layout.size)
    found.sizes["binary"] = sum(place.end - place.start for place in outside(layout))
    for span in layout.spans:
        if is_bulk(span):
            found.sizes["bulk"] += span.end - span.start
        elif span.vr not in TEXT_VRS and span.vr not in FIGURE_VRS and span.vr != "UI":
            found.sizes["binary"] += span.end - span.start
    for start, end, bulk in _segments(layout):
        for offset, hit in _scan(reader, index, start, end, bulk):
            match = _judge(reader, layout, index, dates, offset, hit)
            if match is not None:
                found.matches.append(match)
    for piece in areas:
        found.sizes["binary"] += piece.end - piece.start
        for offset, hit in _scan(reader, index, piece.start, piece.end, False):
            if offset + hit.end - hit.start <= piece.end:
                hit = hit.within(offset - piece.start, piece.end - offset)
                match = _match(index, dates, hit, "binary", piece.element, offset)
                if match is not None:
                    found.matches.append(match)
    return found


def search_path(parts: Collection[str], index: Index, dates: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield the number of each component of a path that holds an identifier, and the kind."""
    for number, part in enumerate(parts):
        yield from ((number, match.kind) for match in search_bytes(os.fsencode(part), index, dates, "text", "path", 0))


def search_bytes(
    data: bytes, index: Index, dates: Mapping[str, str], area: str, element: str, offset: int
) -> Iterator[Match]:
    """Yield what counts in some bytes that stand in no file as they are; `offset` is where they come from."""
    data = data.lower()
    for where, start, end in index.automaton.find_matches_as_indexes(data, overlapping=True):
        pattern = index.patterns[where]
        hit = _Hit(pattern, index.needles[pattern.needle], data, start, end)
        match = _match(index, dates, hit, area, element, offset)
        if match is not None:
            yield match


def likely(match: Match, index: Index, sizes: Mapping[str, int]) -> bool:
    """Say whether a match is more than chance, given the bytes of its area in all outputs."""
    if match.area not in sizes or match.kind == "token":
        return True
    return float(sizes[match.area] * index.lengths.get(match.length, 1) / 128.0**match.weight) < CHANCE


def outside(layout: Layout) -> list[Area]:
    """Return the preamble and what is behind the last element; the headers of elements are no data."""
    places = [Area(0, 128, "preamble")] if layout.preamble else []
    return [*places, Area(layout.end, layout.size, "trailing")] if layout.end < layout.size else places


def _segments(layout: Layout) -> Iterator[tuple[int, int, bool]]:
    """Yield the whole file in runs of bulk and of other bytes."""
    position = 0
    for span in layout.spans:
        if is_bulk(span) and span.end > span.start >= position:
            if span.start > position:
                yield position, span.start, False
            yield span.start, span.end, True
            position = span.end
    if position < layout.size:
        yield position, layout.size, False


def _scan(reader: Reader, index: Index, start: int, end: int, bulk: bool) -> Iterator[tuple[int, _Hit]]:
    """Yield what begins in a range, with its offset; each chunk is read with enough context on both sides."""
    automaton = index.bulk_automaton if bulk else index.automaton
    patterns = index.bulk_patterns if bulk else index.patterns
    for begin in range(start, end, CHUNK):
        stop = min(begin + CHUNK, end)
        low = max(0, begin - CONTEXT)
        data = reader.read(low, min(stop + CONTEXT, reader.size)).lower()
        for number, first, last in automaton.find_matches_as_indexes(data, overlapping=True):
            if begin <= low + first < stop:
                pattern = patterns[number]
                yield low + first, _Hit(pattern, index.needles[pattern.needle], data, first, last)


def _judge(
    reader: Reader, layout: Layout, index: Index, dates: Mapping[str, str], offset: int, hit: _Hit
) -> Match | None:
    """Return the match with its element, or None where it proves nothing."""
    span = layout.at(offset)
    if span is None:
        return _match(index, dates, hit, "binary", _outside(layout, offset), offset)
    area = area_of(reader, span)
    exact = hit.needle.rule in ("uid", "token") or (hit.needle.rule == "date" and span.vr == "IS")
    if area in ("figures", "uid") and not exact and not any(map(str.isalpha, hit.needle.text)):
        return None  # a number among numbers
    hit = hit.within(offset - span.start, span.end - offset)
    return _match(index, dates, hit, area, element_of(span), offset)


def _outside(layout: Layout, offset: int) -> str:
    if layout.preamble and offset < 128:
        return "preamble"
    return "trailing" if offset >= layout.end else "structure"


def area_of(reader: Reader, span: Span) -> str:
    """Return what a value is searched as: text, figures, uid, binary or bulk."""
    if is_bulk(span):
        return "bulk"
    if span.vr in TEXT_VRS:
        return "text"
    if span.vr == "UI":
        return "uid"
    if span.vr in FIGURE_VRS:
        return "figures"
    if span.vr in ("UN", "OB") and span.tag != 0xFFFCFFFC:
        value = reader.read(span.start, min(span.end, span.start + 4096)).rstrip(b"\0 ")
        if value and _PRINTABLE.issuperset(value):
            return "text"
    return "binary"


def _match(index: Index, dates: Mapping[str, str], hit: _Hit, area: str, element: str, offset: int) -> Match | None:
    """Return the match if its context lets it count."""
    needle, length, kind = hit.needle, hit.pattern.length, hit.needle.kind
    if needle.rule == "uid":
        length = _uid_length(index, hit, area)
        if not length:
            return None
    elif needle.rule == "date":
        kind = _own_date(needle.text, dates)
        if not kind or not _stands_alone(hit, date=True):
            return None
    elif not _fits(hit, area):
        return None
    weight = float(length)
    if area in ("binary", "bulk") and hit.pattern.width == 1:
        printed = _PRINTED_BEFORE.search(hit.data[max(0, hit.start - 10) : hit.start])
        more = _PRINTED_AFTER.match(hit.data, hit.end)
        weight += 0.2 * sum(len(found.group()) for found in (printed, more) if found)
    return Match(kind, element, offset, area, hit.pattern.length, weight)


def _fits(hit: _Hit, area: str) -> bool:
    """Say whether a text stands where it counts."""
    if hit.needle.rule == "digits" and area in ("binary", "bulk") and hit.pattern.length < BINARY_DIGITS:
        return False
    if hit.needle.rule == "word" and len(hit.needle.text) >= UNMISTAKABLE and area != "bulk":
        return True
    return not hit.needle.text.isascii() or _stands_alone(hit)


def _own_date(form: str, dates: Mapping[str, str]) -> str:
    """Return the kind of the file's own date that is written so; day and month may be meant either way."""
    parts = re.split(r"\D", form)
    if len(parts) == 3 and len(parts[2]) == 4:
        day, month, year = parts
        return dates.get(year + month + day) or dates.get(year + day + month, "")
    return dates.get("".join(parts), "")


def _stands_alone(hit: _Hit, date: bool = False) -> bool:
    """Say whether a match stands between boundaries: no letter, digit or decimal fraction goes on."""
    text = hit.needle.text
    before, after = hit.neighbours()
    if _goes_on(text[0], before):
        return False
    if date and len(text) == 8 and hit.pattern.width == 1:
        digits = _DIGITS.match(hit.data, hit.end)
        return digits is not None and len(digits.group()) in (0, 4, 6)  # a time may follow at once
    return not _goes_on(text[-1], after)


def _goes_on(edge: str, beside: bytes) -> bool:
    first = beside[:1]
    if edge.isdigit():
        return first.isdigit() or (first == b"." and beside[1:2].isdigit())
    return edge.isalpha() and first.isalpha()


def _uid_length(index: Index, hit: _Hit, area: str) -> int:
    """Return the length of the original UID that begins here, 0 if none does.

    What stands around a long UID is not looked at: in binary structures the byte before it may be its
    length, and the byte behind it anything.
    """
    start = hit.start
    if hit.pattern.width == 1:
        found = _RUN.match(hit.data, start)
        run = found.group() if found else b""
    else:
        found = _WIDE_RUN.match(hit.data, start)
        run = found.group()[::2] if found else b""
    if run.rstrip(b".") in index.kept_uids:
        return 0
    if hit.pattern.length < STEM:
        whole = start == 0 or hit.data[start - 1 : start] not in b"0123456789."
        return len(run) if area == "uid" and whole and run in index.uids else 0
    for length in index.uid_lengths.get(run[:STEM], ()):
        if run[:length] in index.uids:
            return length
    return 0
