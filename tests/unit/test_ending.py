"""Signals that come where Python drops what their handler raises."""

from __future__ import annotations

import signal
import time
import weakref

import pytest

from dicom_anon.ending import FirstSignal


class _Thing:
    pass


def _hear(first: FirstSignal, number: signal.Signals) -> None:
    """Wait for a signal that comes within a callback, as those of Python's own imports are."""
    thing = _Thing()
    watch = weakref.ref(thing, lambda _: signal.raise_signal(number))
    with first.heeded():
        del thing
        assert watch() is None
        time.sleep(10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_where_python_drops_errors_ends_the_command_all_the_same(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    first, before = FirstSignal(), signal.getsignal(number)
    try:
        with pytest.raises(KeyboardInterrupt):
            _hear(first, number)
    finally:
        signal.signal(number, before)
    assert (first.came, first.exit_code) == (True, 128 + number)
    assert capsys.readouterr().err == ""
