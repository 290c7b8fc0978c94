"""Cells: bits outside the value go, and the value that the Standard defines is the same."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_anon.cells import cell_mask


@st.composite
def _formats(draw: st.DrawFn) -> tuple[int, int, int]:
    allocated = draw(st.sampled_from((8, 16, 32, 64)))
    stored = draw(st.integers(1, allocated))
    return allocated, stored, draw(st.integers(stored - 1, allocated - 1))


def _value(cell: int, stored: int, high: int, signed: bool) -> int:
    """Value of a cell by PS3.5 section 8.1.1."""
    value = cell >> (high + 1 - stored) & (1 << stored) - 1
    return value - (1 << stored) if signed and value >> (stored - 1) else value


def _cells(raw: bytes, size: int, order: Any) -> list[int]:
    return [int.from_bytes(raw[at : at + size], order) for at in range(0, len(raw), size)]


@given(_formats(), st.booleans(), st.booleans(), st.binary(max_size=8 * 20))
def test_masked_cells_are_the_value_and_nothing_else(
    form: tuple[int, int, int], signed: bool, little: bool, raw: bytes
) -> None:
    allocated, stored, high = form
    size, order = allocated // 8, "little" if little else "big"
    raw = raw[: len(raw) // size * size]
    before = _cells(raw, size, order)
    result = cell_mask(allocated, stored, high, signed=signed, little=little)(raw)
    expected = [(_value(cell, stored, high, signed) << (high + 1 - stored)) & (1 << allocated) - 1 for cell in before]
    zero_filled = [(_value(cell, stored, high, False) << (high + 1 - stored)) for cell in before]
    if before in (expected, zero_filled):
        assert result is raw
    else:
        assert _cells(result, size, order) == expected


@pytest.mark.parametrize("little", [False, True])
def test_a_padding_value_outside_bits_stored_stays(little: bool) -> None:
    order = "<" if little else ">"
    clear = cell_mask(16, 12, 11, signed=False, little=little, padding=0xF830)
    before = struct.pack(f"{order}4H", 0xF830, 0x1830, 0x0FFF, 0xF831)
    assert clear(before) == struct.pack(f"{order}4H", 0xF830, 0x0830, 0x0FFF, 0x0831)
    only_padding = struct.pack(f"{order}2H", 0xF830, 1)
    assert clear(only_padding) is only_padding
