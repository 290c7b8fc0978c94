"""Which bytes of an MP4 file show nothing: user data, titles, times (ISO/IEC 14496-12).

Lives here: its boxes, read where they are, and the comparison of two videos. Does not live here: other files of video,
in which nothing is known to be spare, and what is within the data.
"""

from __future__ import annotations

from collections.abc import Iterator

from .codestream import Range, merged
from .layout import Reader, Span
from .search import Area

CHUNK = 1 << 20

_OUTER = dict.fromkeys(b"moov trak edts mdia minf dinf stbl mvex moof traf mfra".split(), 0) | {b"dref": 8}
"""Boxes of boxes, and how many bytes are before these."""
_NEEDED = frozenset(
    b"ftyp styp sidx pdin mdat iods tref elst elng vmhd smhd nmhd hmhd "
    b"stsd stts ctts cslg stss stsh stdp sdtp stsc stsz stz2 stco co64 padb subs sbgp sgpd saiz saio "
    b"mehd trex mfhd tfhd tfdt trun tfra mfro".split()
)
_DATED = frozenset(b"mvhd tkhd mdhd".split())
_BEGUN = {b"hdlr": 24, b"url ": 4, b"urn ": 4, b"alis": 4, b"rsrc": 4}
"""Boxes of which only so many bytes are needed: names, and places of data outside the file."""


class Video:
    """The fragments of a video as one run of bytes, of which only parts are held."""

    def __init__(self, reader: Reader, spans: list[Span]) -> None:
        self._reader = reader
        self.spans = spans
        self.size = sum(span.end - span.start for span in spans)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`."""
        return b"".join(self._reader.read(area.start, area.end) for area in places(self.spans, start, end))


def places(frame: list[Span], start: int, end: int) -> Iterator[Area]:
    """Yield where a range of joined fragments lies in the file."""
    before = 0
    for span in frame:
        length = span.end - span.start
        first, last = max(start - before, 0), min(end - before, length)
        if first < last:
            yield Area(span.start + first, span.start + last, "pixel data")
        before += length


def same_video(ours: Video, theirs: Video) -> bool:
    """Say whether two videos are equal but for what is not needed to show them."""
    position = 0
    for start, end in [*spare_ranges(ours), (ours.size, ours.size)]:
        for begin in range(position, start, CHUNK):
            stop = min(begin + CHUNK, start)
            if ours.read(begin, stop) != theirs.read(begin, stop):
                return False
        position = end
    return ours.size == theirs.size


def spare_ranges(video: Video) -> list[Range]:
    """Return the ranges of a video that are not needed to show it, as far as that is known."""
    return merged(list(_spare(video))) if video.read(4, 8) == b"ftyp" else []


def _spare(video: Video) -> Iterator[Range]:
    position, stops = 0, [video.size]
    while stops:
        head = video.read(position, min(position + 16, stops[-1]))
        length, kind, start = int.from_bytes(head[:4], "big"), head[4:8], position + 8
        if len(head) < 8:
            yield position, stops[-1]
            position = stops.pop()
            continue
        if length == 1:
            length, start = int.from_bytes(head[8:], "big"), position + 16
        end = position + length if length else stops[-1]
        if not start <= end <= stops[-1]:  # broken, up to the end of the box that it is in
            position = stops.pop()
            continue
        if kind in _OUTER:
            stops.append(end)
            position = min(start + _OUTER[kind], end)
            continue
        if kind in _DATED:
            yield start + 4, min(end, start + (20 if video.read(start, start + 1) == b"\1" else 12))
        elif kind in _BEGUN:
            yield start + _BEGUN[kind], end
        elif kind not in _NEEDED:
            yield start, end
        position = end
