"""Names of the folders of a destination: stand-ins while a run goes on, final ones at its end.

Whether a folder's name holds an identifier is known only when every file below it was read. So folders are made under
keyed tokens, and get their own names back when a run ends and nothing spoke against it.

Lives here: that bookkeeping and the renaming. Does not live here: the test of a name, and names of files.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from dicom_anon.folders import walk_up
from dicom_anon.naming import Everyone, Identifiers, folder_token, is_portable
from dicom_anon.pseudonyms import Pseudonyms


class NameBook:
    """Which folder names of the source are known to be clear, and which hold an identifier.

    Parameters
    ----------
    pseudonyms : Pseudonyms
        Make the tokens.
    known : Mapping[str, bool]
        From earlier runs: whether folders have this name, or a token.
    tainted : iterable of str
        From earlier runs, also from those that were killed: names that hold an identifier of a file below them.
    seen : iterable of Identifiers
        Of the files of earlier runs.
    """

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        known: Mapping[str, bool],
        tainted: Iterable[str] = (),
        seen: Iterable[Identifiers] = (),
    ) -> None:
        self._pseudonyms = pseudonyms
        self._may_stay = dict(known)
        self._new: set[str] = set()
        self._tainted = set(tainted)
        self._covered: set[str] = set()
        self._vouched: set[str] = set()
        self._doubtful: set[str] = set()
        self._seen = Everyone(seen)
        self._folders: dict[str, str] = {"": ""}

    def target(self, folder: str) -> str:
        """Path below the destination of a folder of the source."""
        unknown = []
        while folder not in self._folders:
            unknown.append(folder)
            folder = os.path.dirname(folder)
        target = self._folders[folder]
        for folder in reversed(unknown):
            name = os.path.basename(folder)
            stays = self._may_stay.get(name, False)
            if not stays:
                self._new.add(name)
            target = os.path.join(target, name if stays else folder_token(name, self._pseudonyms))
            self._folders[folder] = target
        return target

    def learn(self, relative: str, tainted: tuple[str, ...] = (), identifiers: Identifiers | None = None) -> None:
        """Take in what a written file said of the names above it."""
        self._tainted.update(tainted)
        if identifiers is not None:
            self._seen.add(identifiers)
        _mark(relative, self._covered)

    def doubt(self, relative: str, tainted: tuple[str, ...] = (), identifiers: Identifiers | None = None) -> None:
        """Take in that a file was not done: who knows whose it is, if it does not say so itself."""
        self._tainted.update(tainted)
        if identifiers is not None:
            self._seen.add(identifiers)
        _mark(relative, self._doubtful)

    def vouch(self, relative: str) -> None:
        """Take in that a file was written, in this or an earlier run: what it said of the names above it is known."""
        _mark(relative, self._vouched)

    def settle(self) -> dict[str, bool]:
        """Say which names folders are to have when the run ends; `rename` then makes it so.

        A name below which nothing was written is compared with the identifiers of all files, since nobody else vouches
        for it, and in each run, since a later delivery may bring its patient. One below which a file could not be done,
        and no other ever was, is a token, and is open again in the next run.

        Returns
        -------
        dict of str to bool
            For each name, whether it stays.
        """
        covered = {os.path.basename(folder) for folder in self._covered}
        vouched = {os.path.basename(folder) for folder in self._vouched}
        pending = {os.path.basename(folder) for folder in self._doubtful} - covered - vouched
        clear = self._new.union(name for name, stays in self._may_stay.items() if stays) - pending
        alone = clear - self._tainted - covered
        self._tainted |= self._seen.held_by(alone).union(name for name in alone if not is_portable(name))
        return {name: name in clear - self._tainted for name in {*self._may_stay, *self._new}}

    def renames(self, final: Mapping[str, bool]) -> dict[str, str]:
        """Other names of folders, of which none must stay, and the final ones."""
        renames = {}
        for name, stays in final.items():
            token = folder_token(name, self._pseudonyms)
            renames[token if stays else name] = name if stays else token
        return renames

    def rename(self, destination: Path, final: Mapping[str, bool]) -> int:
        """Give the folders of a destination the names that are on record as final.

        That comes after the record, and again before the next run: so a run that is killed in the midst of it leaves
        nothing that stays under two names.

        Returns
        -------
        int
            Folders that could not be renamed, and so have a name still that must not stay, and those that could not be
            looked into, if there are such names.
        """
        telling = 0
        renames = self.renames(final)
        as_kept = {_decomposed(name): name for name in renames}
        if renames:
            ours, listed, unseen = {*renames, *renames.values()}, set[str](), 0
            for folder, names, _ in walk_up(destination):
                listed.add(folder)
                for found in names:
                    path = os.path.join(folder, found)
                    name = found if found in final else as_kept.get(_decomposed(found), found)
                    unseen += name in ours and path not in listed
                    if name in renames:
                        try:
                            os.rename(path, os.path.join(folder, renames[name]))
                        except OSError:  # a folder may keep its token, which tells nothing
                            telling += not final.get(name, True)
            if not all(final.values()):
                telling += unseen + (os.fspath(destination) not in listed)
        return telling

    @property
    def tainted(self) -> int:
        """Folder names that are replaced."""
        return len(self._tainted & {*self._may_stay, *self._new})


def _decomposed(name: str) -> str:
    """A name as HFS+ keeps it, whatever it was given: with accents as characters of their own."""
    return name if name.isascii() else unicodedata.normalize("NFD", name)


def _mark(relative: str, folders: set[str]) -> None:
    """Add the folders above a file."""
    folder = relative.rpartition(os.sep)[0]
    while folder not in folders:
        folders.add(folder)
        folder = folder.rpartition(os.sep)[0]
