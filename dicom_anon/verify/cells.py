"""Cells of pixels: which of their bits belong to the picture, and whether the others hold something (PS3.5 8.1).

Lives here: runs of cells. Does not live here: where they are, decoding; no pixel is ever interpreted.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """How pixels are laid out: bytes of one cell, its used bits, sign, byte order, bytes in all, padding value."""

    cell: int
    stored: int
    high: int
    signed: bool
    big_endian: bool
    length: int | None
    padding: int | None

    @property
    def used(self) -> int:
        """Mask of the bits of one cell that belong to the picture."""
        return ((1 << self.stored) - 1) << max(0, self.high - self.stored + 1)

    @property
    def has_unused(self) -> bool:
        """Whether a cell has bits that belong to no pixel."""
        return self.cell in (1, 2, 4) and 0 < self.stored < self.cell * 8 and self.high < self.cell * 8

    def picture(self, chunk: bytes) -> list[bytes]:
        """Return the bits of a run of cells that belong to pixels, plane by plane (first bytes, second bytes, ...)."""
        return [
            chunk[plane :: self.cell].translate(bytes(value & mask for value in range(256)))
            for plane, mask in enumerate(self._masks(self.used))
        ]

    def unused_hold(self, chunk: bytes) -> bool:
        """Say whether the other bits hold something.

        They do not where they are 0, or, for signed pixels, repeat the sign, or where the cell is the padding value.
        """
        return not self._nothing_unused(chunk) and not self._only_sign_or_padding(chunk)

    def joined(self, planes: Sequence[bytes]) -> bytes:
        """Return the cells, one sample after the other, of which each byte is apart, the most significant first.

        Nothing if a byte is missing. RLE frames are of little endian cells.
        """
        if len(planes) % self.cell:
            return b""
        samples = []
        for first in range(0, len(planes), self.cell):
            cells = bytearray(len(planes[first]) * self.cell)
            for place, plane in enumerate(reversed(planes[first : first + self.cell])):
                cells[place :: self.cell] = plane
            samples.append(cells)
        return b"".join(samples)

    def _masks(self, bits: int) -> bytes:
        """Return a mask of one cell, byte by byte in the order of the file."""
        return bits.to_bytes(self.cell, "big" if self.big_endian else "little")

    def _nothing_unused(self, chunk: bytes) -> bool:
        """Say whether unused bits are 0, or repeat a sign that lies in the same byte."""
        top = (1 << (8 * self.cell)) - 1
        above = self._masks(top >> (self.high + 1) << (self.high + 1))
        sign = self._masks(1 << self.high if self.signed else 0)
        for plane, mask in enumerate(self._masks(top ^ self.used)):
            fine = bytes(
                value
                for value in range(256)
                if not value & mask or (value & sign[plane] and value & mask == above[plane])
            )
            if mask and chunk[plane :: self.cell].translate(None, fine):
                return False
        return True

    def _only_sign_or_padding(self, chunk: bytes) -> bool:
        """Say whether every cell is the padding value, or its unused bits are 0 or repeat its sign bit."""
        cells = array({1: "B", 2: "H", 4: "I"}[self.cell], chunk[: len(chunk) - len(chunk) % self.cell])
        if self.big_endian != (sys.byteorder == "big"):
            cells.byteswap()
        above = ((1 << (8 * self.cell)) - 1) >> (self.high + 1) << (self.high + 1)
        unused, sign = ((1 << (8 * self.cell)) - 1) ^ self.used, 1 << self.high if self.signed else 0
        fine = set(cells) - {self.padding}
        return all(cell & unused in ((0, above) if cell & sign else (0,)) for cell in fine)
