"""What must hold for every broken file, and a look at many of them in a process with bounded memory and time.

Lives here: the expectations. Does not live here: how files are broken.
"""

from __future__ import annotations

import collections
import io
import os
import resource
import signal
import subprocess
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR

from dicom_anon.dicomfile import DicomFile
from dicom_anon.discovery import FileJob
from dicom_anon.elements import FileRange
from dicom_anon.engine import Engine
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.planning import make_plan
from dicom_anon.worker import Order, process_file
from tests.acceptance.command import searchable
from tests.fuzz.bases import SECRETS, bases
from tests.fuzz.mutations import Broken, boundaries, broken

MAX_SECONDS = 10
MAX_MEMORY = 1 << 30
KEY = b"a key that is only for the tests"


@dataclass
class Tally:
    """What became of many files."""

    files: int = 0
    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    kinds: collections.Counter[str] = field(default_factory=collections.Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    memory: int = 0

    def add(self, other: Tally) -> None:
        """Add what another process found."""
        self.files += other.files
        self.outcomes += other.outcomes
        self.kinds += other.kinds
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)
        self.memory = max(self.memory, other.memory)


class Hang(BaseException):
    """A file took longer than any may."""


class Checker:
    """Looks at one broken file after the other, with engines that go on from file to file as in a run.

    Parameters
    ----------
    folder : Path
        Place for them.
    second_reader : str
        Program of another toolkit that reads every output as well; empty for none.
    """

    def __init__(self, folder: Path, second_reader: str = "") -> None:
        self._source, self._output = folder / "in", folder / "out"
        self._source.mkdir()
        self._output.mkdir()
        self._order = Order(make_plan(key=KEY), str(self._source), str(self._output), names="safe")
        self._engine, self._reference = Engine(self._order.plan), Engine(self._order.plan)
        self._second = second_reader
        self.tally = Tally()

    def check(self, name: str, one: Broken) -> None:
        """Do one file, and note what does not hold."""
        try:
            reason = self._done(name, one)
        except Hang:
            reason = "hang"
        except Exception as error:
            reason = f"crash {type(error).__name__}"
        if reason.startswith(("hang", "crash", "leak", "unreadable", "differs")):
            self.tally.failures.append(f"{name} ({one.kind}): {reason}")
        self.tally.files += 1
        self.tally.kinds[one.kind] += 1
        self.tally.outcomes[reason.partition(":")[0]] += 1

    def _done(self, name: str, one: Broken) -> str:
        source, target = self._source / "file", self._output / "file"
        source.write_bytes(one.content)
        target.unlink(missing_ok=True)
        signal.alarm(MAX_SECONDS)
        began = time.monotonic()
        try:
            result = process_file(FileJob("file", len(one.content), 0, "file"), self._order, self._engine)
        finally:
            signal.alarm(0)
            self.tally.slowest = max(self.tally.slowest, time.monotonic() - began)
        left = set(os.listdir(self._output)) - ({"file"} if result.reason is None else set())
        if left:
            return "crash: a partial file is left"
        if result.reason is Reason.INTERNAL_ERROR:
            return f"crash: {result.detail}"
        shown = f"{result.detail} {result.notes}".encode()
        if any(secret in shown for secret in SECRETS):
            return "leak: in the reason"
        if result.reason is not None:
            return str(result.reason.value)
        return self._looked_at(one, target)

    def _looked_at(self, one: Broken, target: Path) -> str:
        output = target.read_bytes()
        if unreadable := self._unreadable(output, target):
            same = unreadable == self._unreadable(one.content, self._source / "file")
            return "written" if same else unreadable  # the source was no better, in the very same place
        if one.honest:
            visible = searchable(output)
            found = [secret.decode() for secret in SECRETS if secret in visible]
            if found:
                return f"leak: {found}"
        if self._decided_anew(self._source / "file", output):
            return "differs: from what a fresh decision gives"
        return "written"

    def _unreadable(self, output: bytes, target: Path) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                _read_all(dcmread(io.BytesIO(output)))
            except Exception as error:
                return f"unreadable: pydicom {type(error).__name__}"
        if self._second:
            words = [self._second, "-q", str(target)]
            done = subprocess.run(words, capture_output=True, timeout=60, check=False)
            if done.returncode:
                return f"unreadable: {self._second}"
        return ""

    def _decided_anew(self, source: Path, output: bytes) -> bool:
        """Tell whether the Data Set of an output is not what comes of the whole file without what others taught."""
        with open(source, "rb", buffering=0) as handle:
            file = DicomFile(handle, source.stat().st_size)
            if file.deflated:
                return False
            try:
                pieces = self._reference.run(file.data, file.transfer_syntax).pieces
            except FileRefused:
                return True
            header = b"".join(piece for piece in pieces[:1] if isinstance(piece, bytes))
            whole = b"".join(b"" if isinstance(piece, FileRange) else piece for piece in pieces)
        return (header if len(pieces) > 1 else whole)[:-4] not in output


def _read_all(data_set: Dataset) -> None:
    """Read every item at every depth; a value that its VR does not allow may have been so in the source."""
    for tag in list(data_set.keys()):
        raw = data_set.get_item(tag)
        vr = raw.VR or (dictionary_VR(tag) if dictionary_has_tag(tag) else "UN")
        if vr == "SQ":
            for inner in data_set[tag].value or ():
                _read_all(inner)


def _alarm(*_: object) -> None:
    raise Hang


def check_range(folder: Path, seed: int, first: int, last: int, second_reader: str = "") -> Tally:
    """Break and check files `first` to `last`, in this process, whose memory is bounded from now on."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY + (256 << 20), resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, _alarm)
    checker = Checker(folder, second_reader)
    before = None
    for number in range(first, last):
        base, one = broken(seed, number)
        if base is not before:
            for _ in range(3):  # so that what later files are done by is learnt from whole ones
                checker.check(base.name, Broken("whole", base.file(base.body), True))
            before = base
        checker.check(f"{seed} {number} {base.name}", one)
    return _measured(checker)


def check_boundaries(folder: Path, part: int, parts: int, second_reader: str = "") -> Tally:
    """Check every base cut at every boundary of an element; one part of so many."""
    signal.signal(signal.SIGALRM, _alarm)
    checker = Checker(folder, second_reader)
    for base in bases()[part::parts]:
        for number, content in enumerate(boundaries(base)):
            checker.check(f"{base.name} boundary {number}", Broken("every boundary", content, True))
    return _measured(checker)


def _measured(checker: Checker) -> Tally:
    checker.tally.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return checker.tally
