"""What lies below a folder: files, folders without files, and what cannot be looked into.

Lives here: listing a tree. Does not live here: opening what is found.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Listing:
    """What is below a folder, as relative paths with ``/``.

    Parameters
    ----------
    files : list of str
        Files.
    links : list of str
        Links that lead to a file.
    others : list of str
        What is neither file nor folder: a link to a folder or to nothing, a pipe, a device.
    targets : dict of str to str
        Where the links lead, of whatever kind.
    bare : list of str
        Folders without files, of whose names the paths of files do not tell.
    closed : list of str
        Folders that cannot be listed; the top itself is an empty text.
    """

    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=dict)
    bare: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def list_tree(root: Path, *, whole_tree: bool = True) -> Listing:
    """List a tree of any depth, or its top. Links are not followed; what cannot be listed is told, not passed over."""
    found = Listing()
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                listed = [(entry.name, _kind(entry)) for entry in entries]
        except OSError:
            found.closed.append(folder)
            continue
        above = f"{folder}/" if folder else ""
        lists = {
            "folder": pending if whole_tree else [],
            "file": found.files,
            "link": found.links,
            "other": found.others,
        }
        for name, kind in listed:
            lists[kind].append(above + name)
            if kind in ("link", "other"):
                with suppress(OSError):  # it is no link
                    found.targets[above + name] = os.readlink(os.path.join(root, above + name))
        if folder and all(kind not in ("file", "link") for _, kind in listed):
            found.bare.append(folder)
    return found


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    if entry.is_file(follow_symlinks=False):
        return "file"
    return "link" if os.path.isfile(entry) else "other"
