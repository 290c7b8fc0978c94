"""How far values of cells reach: waveforms, spectra, overlays, lookup tables and the like (PS3.3).

Lives here: counting cells, and telling text behind the last. Does not live here: pixel data, what is then done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from dicom_anon.elements import Span
from dicom_anon.native import frame_count
from dicom_anon.scope import Level

_TEXT = re.compile(rb"[A-Za-z]{4}|[ -~]{6}")
"""In bytes of numbers, fewer letters or digits stand side by side by chance."""


def _number(level: Level, tag: int) -> int:
    """Read one number of four bytes, or the first of several of two bytes; 0 where there is none."""
    raw = level.raw(tag) or b""
    return int.from_bytes(raw if len(raw) == 4 else raw[:2], "little" if level.encoding.little else "big")


def _waveform(level: Level) -> int:
    """Every sample of every channel (section C.10.9.1.5)."""
    return _number(level, 0x003A0005) * _number(level, 0x003A0010) * _number(level, 0x54001004) // 8


def _spectroscopy(level: Level) -> int:
    """Numbers of four bytes, two for a complex one (section C.8.14.4.1)."""
    parts = 2 if (level.text(0x00289108) or "").strip() == "COMPLEX" else 1
    points = _number(level, 0x00289001) * _number(level, 0x00289002)
    return 4 * parts * points * _number(level, 0x00280010) * _number(level, 0x00280011) * frame_count(level)


def _overlay(group: int) -> Callable[[Level], int]:
    """One bit for each pixel (section C.9.2)."""

    def length(level: Level) -> int:
        bits = _number(level, group | 0x10) * _number(level, group | 0x11) * frame_count(level, group | 0x15)
        return (bits + 7) // 8

    return length


def _table(descriptor: int) -> Callable[[Level], int]:
    """Entries of two bytes, 0 for 65,536 (section C.7.6.3.1.5); many write those of one byte so, too."""

    def length(level: Level) -> int:
        return 2 * (_number(level, descriptor) or 1 << 16) if level.raw(descriptor) else 0

    return length


def _at_most(length: int) -> Callable[[Level], int]:
    return lambda level: length


_LENGTHS: Mapping[int, Callable[[Level], int]] = MappingProxyType(
    {
        0x00160062: _at_most(4),  # Interoperability Version
        **{0x00281200 + colour: _table(0x00281100 + colour) for colour in range(5)},
        0x00281408: _table(0x00281407),
        0x00283006: _table(0x00283002),
        0x00700256: _at_most(128),  # Fill Pattern
        **dict.fromkeys((0x54000110, 0x54000112, 0x5400100A), _at_most(8)),  # one sample
        0x54001010: _waveform,
        0x56000020: _spectroscopy,
        **{group | 0x3000: _overlay(group) for group in range(0x60000000, 0x60200000, 0x20000)},
    }
)


COUNTED = frozenset(_LENGTHS)
"""Tags of values whose length something else tells."""


def reach_of(level: Level, tag: int) -> int:
    """Bytes of the cells in a value, 0 where nothing tells, or where it holds none.

    Parameters
    ----------
    level : Level
        Data Set with the element, and with those that tell of it.
    tag : int
        Its tag.
    """
    length = _LENGTHS.get(tag)
    return length(level) if length is not None else 0


def text_behind(level: Level, span: Span) -> bool:
    """Tell whether text stands behind the last cell of a value, where something tells which that is."""
    reach = reach_of(level, span[0])
    return bool(reach and _TEXT.search(level.file.buf, span[3] + reach, span[4]))
