"""Cells: bits outside the value go, and the value that the Standard defines is the same."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_anon.cells import cell_mask, plane_masks


@st.composite
def _formats(draw: st.DrawFn) -> tuple[int, int, int]:
    allocated = draw(st.sampled_from((8, 16, 32, 64)))
    stored = draw(st.integers(1, allocated))
    return allocated, stored, draw(st.integers(stored - 1, allocated - 1))


def _value(cell: int, stored: int, high: int, signed: bool) -> int:
    """Value of a cell by PS3.5 section 8.1.1."""
    value = cell >> (high + 1 - stored) & (1 << stored) - 1
    return value - (1 << stored) if signed and value >> (stored - 1) else value


def _cells(raw: bytes | bytearray, size: int, order: Any) -> list[int]:
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


@given(_formats(), st.booleans(), st.binary(max_size=8 * 20))
def test_bytes_of_cells_that_are_apart_become_the_same(form: tuple[int, int, int], signed: bool, raw: bytes) -> None:
    allocated, stored, high = form
    size = allocated // 8
    raw = raw[: len(raw) // size * size]
    masks = plane_masks(allocated, stored, high, signed=signed)
    assert (masks is None) == (signed and high < allocated - 8)
    if masks is None:
        return
    result = bytearray(raw)
    for place, clear in enumerate(masks):
        plane = raw[place::size]
        assert clear is None or clear(bytes(len(plane))) == bytes(len(plane))
        result[place::size] = plane if clear is None else clear(plane)
    before, after = _cells(raw, size, "big"), _cells(result, size, "big")
    assert [_value(cell, stored, high, signed) for cell in after] == [
        _value(cell, stored, high, signed) for cell in before
    ]
    whole = cell_mask(allocated, stored, high, signed=signed, little=False)
    assert whole(bytes(result)) == result
    if not signed:
        assert whole(raw) == result


@pytest.mark.parametrize(
    ("plane", "expected"),
    [
        (b"\xff\x07\xf8", b"\xff\x07\xf8"),
        (b"\x0f\x07\x08", b"\x0f\x07\x08"),  # zeros in the place of signs
        (b"\x0f\xff\x17", b"\xff\xff\x07"),
    ],
)
def test_signs_in_a_byte_that_is_apart_stay(plane: bytes, expected: bytes) -> None:
    masks = plane_masks(16, 12, 11, signed=True)
    assert masks is not None
    assert masks[0] is not None
    assert masks[0](plane) == expected
    assert (masks[0](plane) is plane) == (plane == expected)
    assert masks[1] is None


@pytest.mark.parametrize(("padding", "known"), [(0xF830, False), (0x0830, True), (None, True)])
def test_a_padding_value_outside_bits_stored_is_in_more_than_one_byte(padding: int | None, known: bool) -> None:
    masks = plane_masks(16, 12, 11, signed=False, padding=padding)
    assert (masks is not None) == known
    assert plane_masks(16, 12, 11, signed=True, padding=padding) is not None  # -2000 in twelve bits
