"""Workers that a system has no room for, or that die before they begin: one process does their work."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_anon.fanout import SMALL_FILES
from tests.acceptance.command import environment, files_below, spawn
from tests.datasets import file_bytes, image


def few_handles(number: int) -> Callable[[], None]:
    """Limit open files."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))


DIES = """
import os, sys

if any("popen_loky" in word for word in sys.orig_argv):
    os._exit(9)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Files enough for workers."""
    source = tmp_path / "in"
    source.mkdir()
    (source / "0000").write_bytes(file_bytes(image()))
    for number in range(1, SMALL_FILES + 1):
        os.link(source / "0000", source / f"{number:04}")
    return source


@pytest.mark.parametrize("handles", [10, 16, 18, 20, 0])
def test_where_no_workers_can_be_started_one_process_does_it_all(tmp_path: Path, source: Path, handles: int) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text("" if handles else DIES)
    where = os.pathsep.join((str(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])))
    done = spawn(
        *(source, tmp_path / "out", "-j", 2, "--json", tmp_path / "account.json"),
        env=environment(PYTHONPATH=where),
        preexec_fn=few_handles(handles) if handles else None,
    )
    assert done.code == 0, done.err
    account = json.loads((tmp_path / "account.json").read_text())
    assert account["written"]["files"] == SMALL_FILES + 1
    assert len(files_below(tmp_path / "out")) == SMALL_FILES + 1


WATCHED = """
import signal, sys
from dicom_anon import anonymize_tree

class Watcher:
    def update(self, report):
        assert callable(signal.getsignal(signal.SIGINT))

print(anonymize_tree(sys.argv[1], sys.argv[2], jobs=2, watcher=Watcher()).written)
"""


def test_where_there_are_no_semaphores_ctrl_c_is_heard(tmp_path: Path, source: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-c", WATCHED, source, tmp_path / "out"],
        env=environment(JOBLIB_MULTIPROCESSING="0"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (made.stdout, made.stderr) == (f"{SMALL_FILES + 1}\n", "")
