"""The book of folder names: stand-ins, what speaks against a name, and the renaming at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom_anon.namebook import NameBook
from dicom_anon.naming import folder_token, identifiers_of
from dicom_anon.pseudonyms import Pseudonyms
from tests.acceptance.test_resume import with_scandir_failing
from tests.datasets import KEY

PSEUDONYMS = Pseudonyms(KEY)
DOE = identifiers_of(("Doe^Jane",), ("771903",), (), ())


def token(name: str) -> str:
    return folder_token(name, PSEUDONYMS)


def folders(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_dir()}


def test_folders_are_made_under_tokens() -> None:
    book = NameBook(PSEUDONYMS, {"known": True, "gone": False})
    assert book.target("") == ""
    assert book.target("known") == "known"
    assert book.target("known/new") == f"known/{token('new')}"
    assert book.target("gone") == token("gone")


def test_a_name_stays_where_nothing_speaks_against_it(tmp_path: Path) -> None:
    book = NameBook(PSEUDONYMS, {})
    for folder in ("clear", "Jane", "Jane/clear", "empty", "Doe 771903"):
        (tmp_path / book.target(folder)).mkdir()
    book.learn("clear/1", (), DOE)
    book.learn("Jane/clear/2", ("Jane",), DOE)
    final = book.settle()
    assert final == {"clear": True, "Jane": False, "empty": True, "Doe 771903": False}
    assert book.tainted == 2
    book.rename(tmp_path, final)
    assert folders(tmp_path) == {"clear", token("Jane"), f"{token('Jane')}/clear", "empty", token("Doe 771903")}


def test_renaming_twice_changes_nothing(tmp_path: Path) -> None:
    for folder in (token("clear"), f"{token('clear')}/x", "Jane"):
        (tmp_path / folder).mkdir()
    final = {"clear": True, "Jane": False}
    for _ in range(2):
        NameBook(PSEUDONYMS, final).rename(tmp_path, final)
        assert folders(tmp_path) == {"clear", "clear/x", token("Jane")}


COMPOSED, DECOMPOSED = "M\u00fcller", "Mu\u0308ller"


@pytest.mark.parametrize(("name", "kept"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_telling_name_goes_in_whatever_form_a_file_system_keeps_it(tmp_path: Path, name: str, kept: str) -> None:
    (tmp_path / kept).mkdir()
    assert NameBook(PSEUDONYMS, {name: False}).rename(tmp_path, {name: False}) == 0
    assert folders(tmp_path) == {token(name)}


def test_two_names_that_differ_in_form_only_are_two(tmp_path: Path) -> None:
    for folder in (COMPOSED, DECOMPOSED):
        (tmp_path / folder).mkdir()
    final = {COMPOSED: False, DECOMPOSED: True}
    NameBook(PSEUDONYMS, final).rename(tmp_path, final)
    assert folders(tmp_path) == {token(COMPOSED), DECOMPOSED}


def test_a_folder_that_keeps_a_telling_name_is_counted(tmp_path: Path) -> None:
    for folder in ("Jane", token("clear"), "x/Jane"):
        (tmp_path / folder).mkdir(parents=True)
    for taken in (token("Jane"), "clear"):
        (tmp_path / taken / "full").mkdir(parents=True)
    final = {"clear": True, "Jane": False}
    assert NameBook(PSEUDONYMS, final).rename(tmp_path, final) == 1
    assert {"Jane", token("clear"), f"x/{token('Jane')}"} < folders(tmp_path)


@pytest.mark.parametrize(("unseen", "counted"), [("", 1), ("clear", 1), (token("Anna"), 1), ("lost+found", 0)])
def test_a_folder_that_cannot_be_looked_into_counts_as_one_that_keeps_a_telling_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unseen: str, counted: int
) -> None:
    for folder in ("clear/Jane", f"{token('Anna')}/Jane", "lost+found"):
        (tmp_path / folder).mkdir(parents=True)
    with_scandir_failing(monkeypatch, tmp_path / unseen)
    final = {"clear": True, "Jane": False, "Anna": False}
    assert NameBook(PSEUDONYMS, final).rename(tmp_path, final) == counted
    clear = {"clear": True}
    assert NameBook(PSEUDONYMS, clear).rename(tmp_path, clear) == 0  # no name below it can be a telling one


def test_a_folder_of_doubt_is_left_open() -> None:
    book = NameBook(PSEUDONYMS, {})
    book.target("doubt/sub")
    book.doubt("doubt/sub/cut")
    assert book.settle() == {"doubt": False, "sub": False}
    book = NameBook(PSEUDONYMS, book.settle())
    book.target("doubt/sub")
    book.doubt("doubt/sub/cut")
    book.learn("doubt/1", (), DOE)  # whose it is is known by this one
    assert book.settle() == {"doubt": True, "sub": False}


def test_doubt_takes_a_name_back_that_no_file_vouched_for() -> None:
    for written, stays in (("", False), ("old/1", True)):
        book = NameBook(PSEUDONYMS, {"old": True})
        book.target("old")
        book.doubt("old/cut")
        if written:
            book.vouch(written)
        assert book.settle() == {"old": stays}
        assert book.tainted == 0


def test_a_token_stays_where_its_folder_is_gone() -> None:
    assert NameBook(PSEUDONYMS, {"open": False}).settle() == {"open": False}


def test_what_earlier_runs_saw_counts() -> None:
    book = NameBook(PSEUDONYMS, {"old": True}, ["old", "killed"], [DOE])
    for folder in ("old", "killed", "Jane", "other"):
        book.target(folder)
    assert book.settle() == {"old": False, "killed": False, "Jane": False, "other": True}


def test_a_name_that_no_system_can_have_is_replaced() -> None:
    book = NameBook(PSEUDONYMS, {})
    book.target("CON")
    assert book.settle() == {"CON": False}
