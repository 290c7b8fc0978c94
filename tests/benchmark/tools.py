"""The table of what is measured: each tool's commands for one tree, and how to see whether it is installed.
Not here: running them (``measure``).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .corpora import Corpus

PEER_TREE = Path(__file__).with_name("peer_tree.py")

SLOW_SHARE = 10
"""Slow peers see one file in so many (ct 200, mr 400, tiny 1,000 at scale 1)."""

Command = list[str]


@dataclass(frozen=True, slots=True)
class Setup:
    """What the commands depend on: the workers for "all", and the Python that has the peers."""

    workers: int
    peer_python: str

    @property
    def dicom_anon(self) -> str:
        """Return the path of the ``dicom-anon`` command of the running environment."""
        return str(Path(sysconfig.get_path("scripts")) / "dicom-anon")


@dataclass(frozen=True, slots=True)
class Tool:
    """One row of the tables.

    ``commands`` are started together and the run ends with the last of them. ``share`` 1 is the whole corpus,
    n its first 1/n. ``required`` tools that are missing are an error, others a line in the report. ``alone``
    is the tool that this one is like over a tree that dicom-anon does without its pool of workers.
    """

    name: str
    family: str
    commands: Callable[[Setup, Path, Path], list[Command]]
    version: Callable[[Setup], str | None]
    share: int = 1
    required: bool = False
    alone: Tool | None = None

    @property
    def starts(self) -> bool:
        """Return whether its start-up is told: not for ``cp``, which has none, nor for slow peers."""
        return self.share == 1 and self.family != "cp"

    def over(self, tree: Corpus) -> Tool:
        """Return the tool that has the start-up of this one over a tree."""
        return self.alone if self.alone and tree.small else self


def _cp_version(setup: Setup) -> str | None:
    return "system" if shutil.which("cp") else None


def _own_version(setup: Setup) -> str | None:
    if not Path(setup.dicom_anon).exists():
        return None
    return _python_version(sys.executable, "dicom-anon-batch") or "unknown version"


def _peer_version(package: str) -> Callable[[Setup], str | None]:
    return lambda setup: _python_version(setup.peer_python, package)


def _python_version(python: str, package: str) -> str | None:
    code = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"
    done = subprocess.run([python, "-c", code, package], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _cp(setup: Setup, source: Path, destination: Path) -> list[Command]:
    return [["cp", "-r", str(source), str(destination)]]


def _own(workers: int | None, arguments: Sequence[str] = ()) -> Callable[[Setup, Path, Path], list[Command]]:
    def commands(setup: Setup, source: Path, destination: Path) -> list[Command]:
        count = str(workers or setup.workers)
        return [[setup.dicom_anon, str(source), str(destination), "-j", count, "-q", *arguments]]

    return commands


def _tree(peer: str, processes: int) -> Callable[[Setup, Path, Path], list[Command]]:
    def commands(setup: Setup, source: Path, destination: Path) -> list[Command]:
        call = [setup.peer_python, str(PEER_TREE), peer, str(source), str(destination)]
        return [[*call, str(part), str(processes)] for part in range(processes)]

    return commands


def _dicognito(setup: Setup, source: Path, destination: Path) -> list[Command]:
    # The installed script of dicognito 0.19.0 fails at its first line; the module works.
    return [[setup.peer_python, "-m", "dicognito", "-q", "-o", str(destination), str(source)]]


ONE_WORKER = Tool("dicom-anon, 1 worker", "dicom-anon", _own(1), _own_version, required=True)

TOOLS = (
    Tool("cp -r", "cp", _cp, _cp_version),
    ONE_WORKER,
    Tool("dicom-anon, all workers", "dicom-anon", _own(None), _own_version, required=True, alone=ONE_WORKER),
    Tool("dcmanon, 1 process", "dcmanon", _tree("dcmanon", 1), _peer_version("dcmanon")),
    Tool("dcmanon, 2 processes", "dcmanon", _tree("dcmanon", 2), _peer_version("dcmanon")),
    Tool("dicognito", "dicognito", _dicognito, _peer_version("dicognito"), SLOW_SHARE),
    Tool(
        "dicom-anonymizer", "dicom-anonymizer",
        _tree("dicom-anonymizer", 1), _peer_version("dicom-anonymizer"), SLOW_SHARE,
    ),
)  # fmt: skip

FAMILIES = tuple(dict.fromkeys(tool.family for tool in TOOLS))

LIMITS = (
    "The peers do less than dicom-anon: dcmanon keeps descriptions and nested comments; dicognito keeps "
    "descriptions and private elements, and flattens the tree; dicom-anonymizer replaces UIDs by random ones "
    "that only one process remembers. dcmanon and dicom-anonymizer have no command for nested trees: a loop "
    "in Python calls them. Slow peers see the first tenth of a corpus."
)
"""What to say beside every table."""


def variant(name: str, arguments: Sequence[str]) -> Tool:
    """Return a row for ``dicom-anon`` with all workers and further arguments, such as another preset."""
    alone = Tool(f"dicom-anon, {name}, 1 worker", "dicom-anon", _own(1, arguments), _own_version)
    return Tool(f"dicom-anon, {name}", "dicom-anon", _own(None, arguments), _own_version, required=True, alone=alone)
