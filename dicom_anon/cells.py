"""Cells of pixel data: the bits that are their value, and the bits that hold something else.

Lives here: clearing the latter, in runs of cells or of one byte of each. Does not live here: what a header says of
cells, or where they are.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TypeAlias

Clear: TypeAlias = "Callable[[bytes], bytes]"
"""From a run of cells, or of one byte of each, to the run without unused bits; the same object where none was set."""
Planes: TypeAlias = "tuple[Clear | None, ...] | None"
"""What clears each byte of a cell, the most significant first, and leaves zeros; `None` for a byte that is used whole.
Empty where all are. `None` in the place of all where one byte cannot be told without another, or nothing is known.
"""


@functools.lru_cache(maxsize=64)
def cell_mask(
    allocated: int, stored: int, high: int, *, signed: bool, little: bool = True, padding: int | None = None
) -> Clear:
    """Make the function that clears the bits of cells which are no part of the value (PS3.5 section 8.1.1).

    It works on planes of bytes with translation tables, which is what Python does fastest.

    Parameters
    ----------
    allocated, stored, high : int
        Bits Allocated (8, 16, 32 or 64), Bits Stored and High Bit.
    signed : bool
        Pixel Representation is 1: bits above the value copy its sign bit, unless they are zero in the whole
        run, which some write and readers have to cope with. Else they become zero.
    little : bool
        Byte order of the cells.
    padding : int or None
        Pixel Padding Value as an unsigned number; cells of exactly this value stay. For 16 bits only.

    Returns
    -------
    callable
        From a run of whole cells to the run without such bits, the same object where none was set.
    """
    size = allocated // 8
    mask = ((1 << stored) - 1) << (high + 1 - stored)
    sign_byte, sign_bit = divmod(high, 8)
    every = bytes(range(256))
    planes: list[tuple[int, int, bytes, bytes]] = []
    for significance in range(size):
        place = source = significance if little else size - 1 - significance
        if significance <= sign_byte:
            part = mask >> 8 * significance & 0xFF
            above = 0xFE << sign_bit & 0xFF if signed and significance == sign_byte else 0
            table = bytes(byte & part | (above if byte >> sign_bit & 1 else 0) for byte in every)
        elif signed:
            source = sign_byte if little else size - 1 - sign_byte
            table = bytes(0xFF if byte >> sign_bit & 1 else 0 for byte in every)
        else:
            table = bytes(256)
        if source != place or table != every:
            planes.append((place, source, table, bytes(byte for byte in every if table[byte] == byte)))

    def clear(cells: bytes) -> bytes:
        result: bytearray | None = None
        for place, source, table, clean in planes:
            plane = cells[place::size]
            if source == place and not plane.translate(None, clean):
                continue
            new = (plane if source == place else cells[source::size]).translate(table)
            if new != plane:
                result = result or bytearray(cells)
                result[place::size] = new
        return cells if result is None else bytes(result)

    if signed:
        unsigned = cell_mask(allocated, stored, high, signed=False, little=little)
        clear = functools.partial(_clear_signed, unsigned, clear)
    if padding is None:
        return clear
    cell = padding.to_bytes(2, "little" if little else "big")
    return clear if clear(cell) is cell else functools.partial(_clear_but, cell, clear)


@functools.lru_cache(maxsize=64)
def plane_masks(allocated: int, stored: int, high: int, *, signed: bool, padding: int | None = None) -> Planes:
    """Make the functions that do as that of `cell_mask` where bytes of cells are apart, as in RLE (PS3.5 section G.2).

    Parameters
    ----------
    allocated, stored, high, signed, padding
        As for `cell_mask`.

    Returns
    -------
    Planes
        `None` where the sign is not in the first byte, or the padding value needs unused bits.
    """
    if signed and high < allocated - 8:
        return None
    if padding is not None:
        cell = padding.to_bytes(2, "little")
        if cell_mask(allocated, stored, high, signed=signed)(cell) is not cell:
            return None
    planes: list[Clear | None] = []
    for shift in range(allocated - 8, -1, -8):
        first, last = max(high + 1 - stored - shift, 0), min(high - shift, 7)
        used = max(last + 1 - first, 0)
        signs = signed and shift == allocated - 8
        planes.append(None if used == 8 else cell_mask(8, used, max(last, 0), signed=signs))
    return tuple(planes)


def _clear_signed(unsigned: Clear, signed: Clear, cells: bytes) -> bytes:
    """Clear cells with signs, unless the unused bits are zero in all of them."""
    return cells if unsigned(cells) is cells else signed(cells)


def _clear_but(padding: bytes, clear: Clear, cells: bytes) -> bytes:
    """Clear all cells but those that equal a padding value that needs the unused bits."""
    cleared = clear(cells)
    if cleared is cells:
        return cells
    result = bytearray(cleared)
    wanted = int.from_bytes(padding, sys.byteorder)
    for place, cell in enumerate(memoryview(cells).cast("H")):
        if cell == wanted:
            result[2 * place : 2 * place + 2] = padding
    return cells if result == cells else bytes(result)
