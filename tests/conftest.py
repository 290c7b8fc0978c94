"""Fixtures of all tests, and how far property tests go."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,  # CI repeats one search; runs by hand go on searching elsewhere
)
settings.load_profile("tests")
logging.getLogger("pydicom").setLevel(logging.ERROR)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts in the background ignore it


@pytest.fixture(autouse=True)
def _quiet_pydicom() -> Iterator[None]:
    """Old test data makes pydicom warn about values that are none of our business."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        yield
