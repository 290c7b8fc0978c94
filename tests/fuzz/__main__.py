"""Fuzz by hand: ``python -m tests.fuzz [--files N] [--seed N] [--jobs N] [--dcmdump PROGRAM]``.

Prints what became of the files, and every failure with the numbers that make it again; exit code 1 if there is any.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from pathlib import Path

from tests.fuzz.check import Tally, check_boundaries, check_range

CHUNK = 500


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--dcmdump", default="", help="second reader, such as dcmdump")
    options = parser.parse_args()
    total = Tally()
    with (
        tempfile.TemporaryDirectory() as folder,
        multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=1) as pool,
    ):

        def place(name: object) -> Path:
            made = Path(folder, str(name))
            made.mkdir()
            return made

        parts = 8
        work = [pool.apply_async(check_boundaries, (place(f"b{n}"), n, parts, options.dcmdump)) for n in range(parts)]
        end = options.first + options.files
        for first in range(options.first, end, CHUNK):
            last = min(first + CHUNK, end)
            arguments = (place(first), options.seed, first, last, options.dcmdump)
            work.append(pool.apply_async(check_range, arguments))
        for done in work:
            total.add(done.get())
            print(f"{total.files} files, {len(total.failures)} failures", file=sys.stderr)
    for failure in total.failures:
        print(failure)
    print(f"{total.files} files; slowest {total.slowest:.1f} s; most memory {total.memory >> 20} MiB")
    for counter in (total.outcomes, total.kinds):
        print(", ".join(f"{name} {count}" for name, count in counter.most_common()))
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
