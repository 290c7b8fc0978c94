"""Where every value of a file lies: its path, VR and offsets, and how its bytes are read.

Lives here: the table of a file's values, and access to them. Does not live here: how the table is made, what
values mean.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

WINDOW = 1 << 16
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
DEFLATED = "1.2.840.10008.1.2.1.99"
NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", BIG_ENDIAN, DEFLATED})


@dataclass(frozen=True, slots=True)
class Span:
    """One value: `path` in words, `start` and `end` as offsets, `encodings` the Python codecs of its text."""

    path: str
    tag: int
    vr: str
    start: int
    end: int
    creator: str = ""
    encodings: tuple[str, ...] = ("iso8859",)


@dataclass(slots=True)
class Layout:
    """Structure of one file.

    `spans` holds all values that are not sequences, in file order; a fragment of encapsulated Pixel Data is
    a span of its own. `items` counts the items of each sequence. `end` is where the last element ends;
    `complete` says that the walk reached the end without a structure it could not follow.
    """

    size: int
    spans: list[Span] = field(default_factory=list)
    items: dict[str, int] = field(default_factory=dict)
    transfer_syntax: str = ""
    little: bool = True
    preamble: bool = True
    end: int = 0
    complete: bool = True
    _starts: list[int] = field(default_factory=list)
    _tops: dict[int, Span] = field(default_factory=dict)

    def _tabulate(self) -> None:
        self._starts = [span.start for span in self.spans]
        self._tops = {span.tag: span for span in reversed(self.spans) if len(span.path) == len("(gggg,eeee)")}

    def at(self, offset: int) -> Span | None:
        """Return the span that holds the byte at `offset`."""
        if len(self._starts) != len(self.spans):
            self._tabulate()
        place = bisect_right(self._starts, offset) - 1
        if place < 0 or offset >= self.spans[place].end:
            return None
        return self.spans[place]

    def top(self, tag: int) -> Span | None:
        """Return the span of a top-level element."""
        if len(self._starts) != len(self.spans):
            self._tabulate()
        return self._tops.get(tag)

    def pixels(self) -> list[Span]:
        """Return the top-level Pixel Data: one span if native, else the Basic Offset Table and fragments."""
        return [span for span in self.spans if span.tag in PIXEL_TAGS and "." not in span.path]

    def images(self) -> Iterator[tuple[str, Layout]]:
        """Yield this layout and that of each item with pixels of its own, such as an icon, each behind its name."""
        yield "pixel data", self
        holders = {span.path.rpartition(".")[0] for span in self.spans if span.tag in PIXEL_TAGS} - {""}
        items: dict[str, list[Span]] = {item: [] for item in holders}
        for span in self.spans if holders else ():
            item, _, own = span.path.rpartition(".")
            if item in holders:
                items[item].append(replace(span, path=own))
        for item, spans in items.items():
            image = Layout(self.size, spans, transfer_syntax=self.transfer_syntax, little=self.little)
            pixels = image.pixels()[0].path.partition("[")
            if bool(pixels[1]) == (self.transfer_syntax in NATIVE):
                image.transfer_syntax = ""  # compressed in a file that is not, or the other way round
            yield f"{item}.{pixels[0]}", image


def path_of(tag: int) -> str:
    """Return a tag as ``(gggg,eeee)``."""
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


class Reader:
    """Random access to a stream through one small window, so that memory stays flat."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self.size = size
        self._start = 0
        self._window = b""

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`, fewer at the end of the file."""
        here = start - self._start
        if here >= 0 and end - self._start <= len(self._window):
            return self._window[here : end - self._start]
        self._stream.seek(start)
        if end - start > WINDOW:
            return self._stream.read(end - start)
        self._start, self._window = start, self._stream.read(WINDOW)
        return self._window[: end - start]
