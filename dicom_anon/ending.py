"""The early end of a run: what asks for it, and when Ctrl-C may break into what is being done.

Lives here: the signal handler. Does not live here: what is left to do when a run ends.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from dicom_anon.report import RunReport


class Ending:
    """Whether a run is to end before all is done.

    Parameters
    ----------
    report : RunReport
        Is told of Ctrl-C.

    Attributes
    ----------
    begun : bool
        Nothing new is to be started.
    """

    def __init__(self, report: RunReport) -> None:
        self.begun = False
        self._report = report
        self._interruptible = False

    @contextlib.contextmanager
    def one_interrupt(self) -> Iterator[None]:
        """Let Ctrl-C end the run, but not between a file and its line in the account; a second changes nothing."""
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or before in (signal.SIG_IGN, None):
            yield
            return

        def interrupt(*_: object) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # also for what is started to end the workers
            self._report.interrupted = self.begun = True
            if self._interruptible:
                self._interruptible = False
                raise KeyboardInterrupt

        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def out_of_reach(self) -> Iterator[None]:
        """Start processes that Ctrl-C, which goes to all of a terminal, does not reach; here it waits meanwhile."""
        if not hasattr(signal, "pthread_sigmask"):
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @contextlib.contextmanager
    def may_be_interrupted(self) -> Iterator[None]:
        """Let Ctrl-C end at once what is done here: its files are in flight, and are looked after when the run ends."""
        self._interruptible = not self.begun
        try:
            yield
        finally:
            self._interruptible = False
