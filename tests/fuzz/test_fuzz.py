"""A bounded slice of the fuzzer, the same in every run; all of it by hand with ``python -m tests.fuzz``.

That does 20,000 files and every base cut at every boundary of its elements, in about three minutes; with
``--dcmdump dcmdump`` a second toolkit reads every output. A failure names seed and number; ``--first NUMBER --files 1``
makes it again.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tests.fuzz.bases import bases
from tests.fuzz.check import MAX_MEMORY, MAX_SECONDS, Tally, check_boundaries, check_range
from tests.fuzz.mutations import MUTATIONS, broken

FILES = 600


def _apart(function: object, *arguments: object) -> Tally:
    """Run in a process of its own, whose memory and signals are bounded there."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)  # type: ignore[arg-type]


def _holds(tally: Tally) -> None:
    assert tally.failures == []
    assert tally.slowest < MAX_SECONDS
    assert tally.memory < MAX_MEMORY


@pytest.mark.parametrize("first", [0, 3000])
def test_broken_files(tmp_path: Path, first: int) -> None:
    tally = _apart(check_range, tmp_path, 1, first, first + FILES)
    _holds(tally)
    assert tally.files > FILES
    assert {*MUTATIONS} <= set(tally.kinds)
    assert tally.outcomes["written"] > FILES / 5, "what is read is not only refused"
    assert tally.outcomes["truncated"] > FILES / 10
    assert tally.outcomes["not-parsable"] > FILES / 50


def test_files_cut_at_every_boundary(tmp_path: Path) -> None:
    tally = _apart(check_boundaries, tmp_path, 0, 40)
    _holds(tally)
    assert tally.files > 300
    assert tally.outcomes["truncated"] > tally.files / 2


def test_the_same_numbers_break_the_same_way() -> None:
    assert [broken(7, number)[1].content for number in range(50)] == [broken(7, n)[1].content for n in range(50)]
    assert len({base.name for base in bases()}) > 100


@pytest.mark.external
def test_another_toolkit_reads_every_output(tmp_path: Path) -> None:
    _holds(_apart(check_range, tmp_path, 3, 0, 300, "dcmdump"))
