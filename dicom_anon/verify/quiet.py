"""Silence for pydicom, whose warnings quote the values they are about.

Lives here: nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import LogRecord

from pydicom.config import logger


def _drop(record: LogRecord) -> bool:
    return False


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom from warning and logging."""
    logger.addFilter(_drop)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeFilter(_drop)
