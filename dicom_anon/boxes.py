"""Boxes of files within pixel data (ISO/IEC 14496-12, which JP2 and JPEG XL follow), and those of a video.

Lives here: the way from box to box, and what is no image in an MP4 file. Does not live here: the boxes of images,
streams of MPEG-2, what is within the data of a video.
"""

from __future__ import annotations

from collections.abc import Iterator

from dicom_anon.fragments import Stream, UnknownStructure

_MOST_BOXES = 1 << 17


def boxes(stream: Stream, pos: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Give the kind of each box, where its content starts, and where it ends; what is too short for one becomes zeros.

    Raises
    ------
    UnknownStructure
        A box reaches too far, or there are too many.
    """
    for _ in range(_MOST_BOXES):
        if end - pos < 8:
            stream.blank(pos, end - pos)
            return
        length, kind, header = stream.number(pos, 4), stream.read(pos + 4, 4), 8
        if length == 1:
            length, header = stream.number(pos + 8, 8), 16
        elif length == 0:
            length = end - pos
        if length < header or pos + length > end:
            raise UnknownStructure
        yield kind, pos + header, pos + length
        pos += length
    raise UnknownStructure


_SUPERBOXES = frozenset(b"moov trak edts mdia minf dinf stbl mvex moof traf mfra".split())
_KEPT = _SUPERBOXES.union(
    b"ftyp styp sidx pdin mdat mvhd iods tkhd tref elst mdhd elng hdlr vmhd smhd nmhd hmhd dref".split(),
    b"stsd stts ctts cslg stss stsh stdp sdtp stsc stsz stz2 stco co64 padb subs sbgp sgpd saiz saio".split(),
    b"mehd trex mfhd tfhd tfdt trun tfra mfro".split(),
)
_TIMES = frozenset(b"mvhd tkhd mdhd".split())


def clean_movie(stream: Stream) -> None:
    """Overwrite what is known to show nothing in an MP4 file: user data, titles, and when it was made.

    Nothing is found in a file of another kind. What is within the data of a video is not looked into.

    Raises
    ------
    UnknownStructure
        A box reaches too far; what was found before stays found.
    """
    if stream.size >= 8 and stream.read(4, 4) == b"ftyp":
        _clean(stream, 0, stream.size)


def _clean(stream: Stream, pos: int, end: int) -> None:
    for kind, start, stop in boxes(stream, pos, end):
        if kind in _SUPERBOXES:
            _clean(stream, start, stop)
        elif kind not in _KEPT:
            stream.blank(start, stop - start)
        elif kind == b"hdlr":
            stream.blank(start + 24, stop - start - 24)  # its name
        elif kind in _TIMES:  # of creation and modification, of 8 bytes each in version 1
            stream.blank(start + 4, min(16 if stream.read(start, 1) == b"\1" else 8, stop - start - 4))
