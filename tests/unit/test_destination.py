"""What a run finds in its destination."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dicom_anon.destination import Destination
from dicom_anon.discovery import FileJob
from dicom_anon.planning import make_plan
from dicom_anon.worker import Order

BEGAN = 1_700_000_001.5


@pytest.mark.parametrize(
    ("when", "written"), [(1_700_000_001.5, True), (1_700_000_000.0, True), (1_699_999_998.0, False)]
)
def test_an_output_is_of_this_run_where_times_are_even_seconds_too(tmp_path: Path, when: float, written: bool) -> None:
    (tmp_path / "a.dcm").write_bytes(b"output")
    os.utime(tmp_path / "a.dcm", (when, when))
    order = Order(make_plan(), "source", str(tmp_path), began=BEGAN)
    assert Destination(order, None, None, None).was_written(FileJob("a.dcm", 6, 0, "a.dcm")) is written
