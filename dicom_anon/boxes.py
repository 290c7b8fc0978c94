"""Boxes of files within pixel data (ISO/IEC 14496-12, which JP2 and JPEG XL follow), and those of a video.

Lives here: the way from box to box, and what is no image in an MP4 file. Does not live here: the boxes of images,
streams of MPEG-2, what is within the data of a video.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dicom_anon.fragments import Stream, UnknownStructure

_MOST_BOXES = 1 << 20


def boxes(stream: Stream, superboxes: Mapping[bytes, int]) -> Iterator[tuple[bytes, int, int]]:
    """Give the kind of each box, where its content starts, and where it ends; what is too short for one becomes zeros.

    Parameters
    ----------
    stream : Stream
        The file.
    superboxes : mapping of bytes to int
        Kinds of boxes that are not given, but the boxes in them, and how many bytes are before these.

    Raises
    ------
    UnknownStructure
        A box reaches too far, or there are too many.
    """
    pos, ends = 0, [stream.size]
    for _ in range(_MOST_BOXES):
        while ends[-1] - pos < 8:
            stream.blank(pos, ends[-1] - pos)
            pos = ends.pop()
            if not ends:
                return
        length, kind, header = stream.number(pos, 4), stream.read(pos + 4, 4), 8
        if length == 1:
            length, header = stream.number(pos + 8, 8), 16
        elif length == 0:
            length = ends[-1] - pos
        end = pos + length
        if length < header or end > ends[-1]:
            raise UnknownStructure
        if kind in superboxes:
            ends.append(end)
            pos += header + superboxes[kind]
        else:
            yield kind, pos + header, end
            pos = end
    raise UnknownStructure


_SUPERBOXES = dict.fromkeys(b"moov trak edts mdia minf dinf stbl mvex moof traf mfra".split(), 0) | {b"dref": 8}
_KEPT = frozenset(
    b"ftyp styp sidx pdin mdat mvhd iods tkhd tref elst mdhd elng hdlr vmhd smhd nmhd hmhd "
    b"stsd stts ctts cslg stss stsh stdp sdtp stsc stsz stz2 stco co64 padb subs sbgp sgpd saiz saio "
    b"mehd trex mfhd tfhd tfdt trun tfra mfro".split()
)
_TIMES = frozenset(b"mvhd tkhd mdhd".split())
_PLACES = frozenset((b"url ", b"urn ", b"alis", b"rsrc"))
"""Where the data of a track are, in words, if they are not in the file; a flag tells that they are."""


def clean_movie(stream: Stream) -> None:
    """Overwrite what is known to show nothing in an MP4 file: user data, titles, places, and when it was made.

    Nothing is found in a file of another kind. What is within the data of a video is not looked into.

    Raises
    ------
    UnknownStructure
        A box reaches too far; what was found before stays found.
    """
    if stream.size < 8 or stream.read(4, 4) != b"ftyp":
        return
    for kind, start, end in boxes(stream, _SUPERBOXES):
        if kind in _TIMES:  # of creation and modification, of 8 bytes each in version 1
            stream.blank(start + 4, min(16 if stream.read(start, 1) == b"\1" else 8, end - start - 4))
        elif kind == b"hdlr":
            stream.blank(start + 24, end - start - 24)  # its name
        elif kind in _PLACES:
            stream.blank(start + 4, end - start - 4)
        elif kind not in _KEPT:
            stream.blank(start, end - start)
