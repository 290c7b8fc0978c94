"""Names of outputs: unique, safe on every system, the same whatever the order."""

from __future__ import annotations

import os
import random
import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_anon.layout import (
    DEPTHS,
    NAMERS,
    PENDING,
    Facts,
    Series,
    component,
    final_names,
    instance_name,
    is_pending,
    possible_names,
    safe_name,
    series_folders,
)

CODES = st.text("0123456789ABCDEF", min_size=16, max_size=16)
TEXTS = st.text(max_size=80)
FACTS = st.builds(Facts, TEXTS, TEXTS, TEXTS, TEXTS, st.booleans(), CODES)


@pytest.mark.parametrize("names", NAMERS)
@given(facts=FACTS)
def test_no_value_leads_out_of_the_destination_or_deeper_than_the_layout(names: str, facts: Facts) -> None:
    path = NAMERS[names](facts)
    parts = PurePosixPath(path).parts
    assert not os.path.isabs(path)
    assert ".." not in parts
    assert len(parts) == DEPTHS[names] + 1
    assert all(len(os.fsencode(part)) <= 255 for part in parts)
    assert "\0" not in path


@pytest.mark.parametrize("names", NAMERS)
@given(one=FACTS, code=CODES)
def test_two_sources_never_get_one_pending_name(names: str, one: Facts, code: str) -> None:
    other = one._replace(code=code)
    assert (NAMERS[names](one) == NAMERS[names](other)) == (one.code == code)


def test_the_layouts() -> None:
    facts = Facts("2.25.1", "2.25.2", "2.25.3", "7", False, "0123456789ABCDEF")
    assert NAMERS["uid"](facts) == "2.25.1/2.25.2/2.25.3~0123456789ABCDEF.dcm"
    assert NAMERS["study"](facts) == "2.25.1/anonymised-images/~2.25.2/00007~0123456789ABCDEF.dcm"
    assert NAMERS["mercure"](facts) == "2.25.2#2.25.3~0123456789ABCDEF.dcm"


@pytest.mark.parametrize("number", ["1" * 13, "1" * 5000, "0" * 300])
def test_a_number_longer_than_its_vr_is_none(number: str) -> None:
    assert instance_name(number) == ""
    assert list(series_folders([Series("2.25.1", "", number)], set()).values()) == ["series"]


def test_a_lacking_instance_number_keeps_its_suffix() -> None:
    name = os.path.basename(NAMERS["study"](Facts("1", "2", "3", "", False, "0" * 16)))
    assert name == "00000-0000000000000000.dcm"
    assert not is_pending(name)


@given(st.lists(st.tuples(st.sampled_from(["00001", "00002", "a"]), CODES), unique=True, max_size=12), st.data())
def test_final_names_are_unique_and_do_not_depend_on_the_order(
    files: list[tuple[str, str]], data: st.DataObject
) -> None:
    names = [f"{stem}{PENDING}{code}.dcm" for stem, code in files]
    final = final_names(names)
    assert set(final) == set(names)
    assert len({name.casefold() for name in final.values()}) == len(names)
    assert not any(is_pending(name) for name in final.values())
    assert final == final_names(data.draw(st.permutations(names)))
    assert all(final[name] in possible_names(name) for name in names)
    for stem in {stem for stem, _ in files}:
        assert f"{stem}.dcm" in final.values()


def test_what_has_its_name_keeps_it() -> None:
    assert final_names(["00001.dcm", "00001~00000000000000AA.dcm"]) == {
        "00001~00000000000000AA.dcm": "00001-00000000000000AA.dcm"
    }


@given(st.text(max_size=400))
def test_a_safe_name_is_one_component_of_every_system(text: str) -> None:
    name = safe_name(text)
    assert not re.search(r'[\\/:*?"<>|~#\x00-\x1f]', name)
    assert name == name.strip(". ")
    assert len(os.fsencode(name)) <= 200
    assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)
    assert not name or any(char.isalnum() for char in name)


@pytest.mark.parametrize(
    ("uid", "made"),
    [
        ("2.25.1", "2.25.1"),
        ("", "x"),
        ("..", "x"),
        (".", "x"),
        ("a/b", "x"),
        ("1" * 64, "1" * 64),
        ("1" * 65, "x"),
        ("1.", "x"),
        ("con", "x"),
    ],
)
def test_a_uid_is_a_component_or_something_else_is(uid: str, made: str) -> None:
    assert component(uid, "x") == made


SERIES = st.builds(
    Series,
    st.from_regex(r"2\.25\.\d{1,12}", fullmatch=True),
    st.sampled_from(["T1", "t1", "T1-7", "", "..", "a/b", "x" * 300]),
    st.sampled_from(["", "7", "007", "8", "-1", "no"]),
)


@given(st.lists(SERIES, max_size=12), st.sets(st.sampled_from(["T1", "7", "series"])))
def test_folders_of_series_are_unique_and_do_not_depend_on_the_order(series: list[Series], taken: set[str]) -> None:
    named = series_folders(series, taken)
    assert set(named) == set(series)
    folded = [name.casefold() for name in named.values()]
    assert len(set(folded)) == len(folded)
    assert not set(folded) & {name.casefold() for name in taken}
    shuffled = list(series)
    random.Random(1).shuffle(shuffled)
    assert series_folders(shuffled, taken) == named


@pytest.mark.parametrize(
    ("description", "number", "folder"),
    [
        ("T2 axial", "3", "T2 axial"),
        ("", "3", "3"),
        ("..", "0", "0"),
        ("", "", "series"),
        ("a/b\\c:d", "1", "a_b_c_d"),
    ],
)
def test_the_folder_of_a_single_series(description: str, number: str, folder: str) -> None:
    assert list(series_folders([Series("2.25.1", description, number)], set()).values()) == [folder]


def test_series_that_are_alike_up_to_the_end_of_their_uids_have_them_whole() -> None:
    alike = [Series(f"2.25.{number}12345678", "T1", "5") for number in (1, 2, 3, 4)]
    names = ["T1", "T1-5", "T1-12345678", "T1-2.25.412345678"]
    assert list(series_folders(alike, set()).values()) == names
    taken = {*names, "T1-2.25.112345678"}
    assert list(series_folders(alike[:1], taken).values()) == ["T1-2.25.112345678-2"]
