"""A script, run in the peers' own Python: one that ships only a function per file, over a share of a tree.
Not here: peers with a command for trees, and all measuring. It imports nothing but the peer it runs.

Usage: ``peer_tree.py PEER SOURCE DESTINATION PART OF``; PART (from 0) OF equal shares of the sorted files.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable


def dcmanon() -> Callable[[str, str], None]:
    anonymizer = importlib.import_module("dcmanon").Anonymizer()

    def one(source: str, destination: str) -> None:
        with open(destination, "wb") as target:
            target.write(anonymizer.anonymize(source))

    return one


def dicom_anonymizer() -> Callable[[str, str], None]:
    module = importlib.import_module("dicomanonymizer.simpledicomanonymizer")
    actions = module.initialize_actions()

    def one(source: str, destination: str) -> None:
        module.anonymize_dicom_file(source, destination, actions, True)

    return one


PEERS = {"dcmanon": dcmanon, "dicom-anonymizer": dicom_anonymizer}


def main(peer: str, source: str, destination: str, part: int, of: int) -> int:
    """Run one peer; return 1 if it refused a file, after the others were done."""
    one = PEERS[peer]()
    paths = sorted(os.path.join(root, name) for root, _, names in os.walk(source) for name in names)
    refused = 0
    made = ""
    for path in paths[len(paths) * part // of : len(paths) * (part + 1) // of]:
        target = os.path.join(destination, os.path.relpath(path, source))
        folder = os.path.dirname(target)
        if folder != made:
            os.makedirs(folder, exist_ok=True)
            made = folder
        try:
            one(path, target)
        except Exception as problem:
            refused += 1
            if refused == 1:
                print(f"{type(problem).__name__}: {problem}", file=sys.stderr)
    return min(refused, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
