"""Which names identify, and what stands in their place."""

from __future__ import annotations

import os
import re
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dicom_anon.naming import (
    Everyone,
    Identifiers,
    fold,
    folder_token,
    holds_identifier,
    identifiers_of,
    is_portable,
    safe_file_name,
)
from dicom_anon.pseudonyms import Pseudonyms
from tests.datasets import KEY
from tests.work import calls

PSEUDONYMS = Pseudonyms(KEY)
UID = "1.2.826.0.1.3680043.10.77"
DOE = identifiers_of(("Doe^Müller^Jane",), ("7719-03", "A1"), ("19611230", "1961"), (UID, "1.2"))

HOLDING = (
    "Müller", "MULLER", "müller_1", "muller jane", "Jane.Muller", "j_a_n_e", "x-doe-x", "DOE",
    "771903", "7719 03", "mrn7719.03", "a1", "scan A1", "19611230", "30.12.1961", "12-30-1961", f"ct{UID}.5",
)  # fmt: skip
CLEAR = ("doeskin", "CT", "mull", "7719", "103", "A12", "a11", "1961", "1.2.3", "", "jan")


@pytest.mark.parametrize("name", HOLDING)
def test_names_that_hold_an_identifier(name: str) -> None:
    assert holds_identifier(name, DOE)
    assert holds_identifier(unicodedata.normalize("NFD", name), DOE)


@pytest.mark.parametrize("name", CLEAR)
def test_names_that_hold_none(name: str) -> None:
    assert not holds_identifier(name, DOE)


@pytest.mark.parametrize(
    ("header", "names", "others"),
    [
        ("Müller^Jürgen", "Mueller MUELLER_JUERGEN Muller-Jurgen muellerj Müller", "Mull Jur ue"),
        ("Mueller^Juergen", "Müller MÜLLER_JÜRGEN Muller", "Mull"),
        ("Strauß^Ömer", "Strauss Straus STRAUSS_OEMER Omer", "Stra"),
        ("Øvergård^Åse", "Overgard Oevergaard Overgaard_Ase", "Over"),
        ("Łukasiewicz^Żaneta", "Lukasiewicz lukasiewicz_zaneta ZANETA", "Luka"),
        ("Yıldırım^Işıl", "Yildirim YILDIRIM Işıl isil", "Yild"),
        ("Đorđević^Đuro", "Dordevic DORDEVIC Đorđević", "Dord"),
        ("Παπαδόπουλος^Νίκος", "ΠΑΠΑΔΟΠΟΥΛΟΣ παπαδοπουλος ΝΙΚΟΣ", "παπα"),
        ("Иваненков^Пётр", "ИВАНЕНКОВ Петр Пётр", "Иван"),
        (
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            "山田太郎 CT山田太郎 山田 太郎 20190101_山田 やまだ yamada-t",
            "山 太 田郎",
        ),
        (
            "Yamada^Kyouko==やまだ^きょうこ",
            "ヤマダ ﾔﾏﾀﾞ やまだ ｷﾖｳｺ キョウコ ヤマダキョウコ ﾔﾏﾀﾞ_ｷｮｳｺ_CT",
            "ヤマハ ｷﾖｳ",
        ),
        ("Yamada^Kyouko==ﾔﾏﾀﾞ^ｷｮｳｺ", "やまだ ヤマダ きょうこ", "やま"),
        ("Wang^XiaoDong=王^小东", "王小东 王小东_CT CT王小东1 小东 wangxiaodong", "王 小 CT"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "홍길동 kr_홍길동 洪吉洞 HongGildong", "홍 洪"),
        ("Li^Na", "LiNa NaLi Li_Na li NA Alina", "Linda"),
        ("Doe^John", "JDoe DoeJ johndoe", "doeskin"),
    ],
)
def test_names_in_other_spellings(header: str, names: str, others: str) -> None:
    whose = identifiers_of((header,), (), (), ())
    for form in ("NFC", "NFD"):
        kept = [name for name in names.split() if not holds_identifier(unicodedata.normalize(form, name), whose)]
        assert kept == []
        found = [name for name in others.split() if holds_identifier(unicodedata.normalize(form, name), whose)]
        assert found == []


def test_an_id_without_its_letters_and_a_birth_date_without_its_century() -> None:
    whose = identifiers_of((), ("ZQ-0099812", "K77"), ("19480311",), ())
    for name in ("99812", "099812_T1", "ZQ99812", "480311", "110348", "11.03.48", "k77"):
        assert holds_identifier(name, whose), name
    for name in ("9981", "77", "1948", "4803", "IM00012"):
        assert not holds_identifier(name, whose), name


def test_a_day_of_six_digits_begins_a_number_or_stands_in_three() -> None:
    whose = identifiers_of((), (), ("20190301",), ())
    for name in ("010319", "CT190301x", "030119_2", "190301123000.dcm", "12.01.03.19", "knee 19 - 03 - 01"):
        assert holds_identifier(name, whose), name
    for name in ("IM-0001-0319.dcm", "IM-0019-0301.dcm", "IM_0003_0119", "CT5010319", "01-0319", "0103-19"):
        assert not holds_identifier(name, whose), name


def test_a_short_id_with_other_zeros() -> None:
    whose = identifiers_of((), ("M12", "SUB045", "77"), (), ())
    for name in ("M0012", "scan_m12_1", "SUB-45 T1", "sub00045x", "IMG00077"):
        assert holds_identifier(name, whose), name
    for name in ("IM0012", "IM000120", "M120", "SUB4", "IMG00770"):
        assert not holds_identifier(name, whose), name


def test_a_name_is_read_as_utf_8_in_any_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    whose = identifiers_of(("Müller^Jürgen",), (), (), ())
    as_latin = "Müller".encode().decode("latin-1")
    assert not holds_identifier(as_latin, whose)
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode("latin-1"))
    assert holds_identifier(as_latin, whose)
    assert is_portable(as_latin)


@pytest.mark.parametrize("raw", ["Müller".encode("latin-1"), "山田".encode("shift-jis"), "김".encode("euc-kr")])
def test_a_name_that_is_no_utf_8_may_say_anything(raw: bytes) -> None:
    assert not is_portable(os.fsdecode(raw))


def test_nothing_identifies_where_nothing_is_known() -> None:
    nobody = identifiers_of(("", "^^"), ("", "-"), ("", "196112"), ("", "1.2"))
    assert nobody == Identifiers(frozenset(), frozenset(), frozenset(), frozenset())
    assert not holds_identifier("Doe 1961 1.2.3", nobody)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CT_0001.dcm", "CT_0001.dcm"),
        ("Müller_0001.dcm", "{Müller_}_0001.dcm"),
        ("Müller.DCM", "{Müller}.DCM"),
        ("Müller", "{Müller}"),
        ("771903.dcm", "{771903}.dcm"),
        ("Müller771903.dcm", "{Müller771903}.dcm"),
        ("7719_03.dcm", "{7719_03}.dcm"),
        ("Müller.12345", "{Müller.}_12345"),
        ("Müller.123456", "{Müller.123456}"),
        ("x.doe", "{x.doe}"),
        ("CON.dcm", "{CON}.dcm"),
    ],
)
def test_what_stands_in_their_place(name: str, expected: str) -> None:
    if "{" in expected:
        stem, rest = expected[1:].split("}")
        expected = folder_token(stem, PSEUDONYMS) + rest
    assert safe_file_name(name, DOE, PSEUDONYMS) == expected


@pytest.mark.parametrize(
    "name",
    [
        "con",
        "NUL",
        "Aux.txt",
        "com1.dcm",
        "LPT9",
        "CONIN$",
        "com².dcm",
        "aux .dcm",
        "x" * 256,
        "é" * 128,
        "\udcff" * 256,
    ],
)
def test_names_that_not_every_system_can_have(name: str) -> None:
    assert not is_portable(name)
    assert is_portable(safe_file_name(name, DOE, PSEUDONYMS))


@pytest.mark.parametrize("name", ["console", "com", "com10", "lpt", "x" * 255, "é" * 127])
def test_names_that_every_system_can_have(name: str) -> None:
    assert is_portable(name)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
SPELT = st.sampled_from(["Müller", "MULLER", "jane", "7719-03", "771903", "19611230", "doe", UID])
IDENTIFYING = st.builds(
    "{}{}{}{}".format, NAMES, st.sampled_from(["_", " ", "-"]), SPELT, st.sampled_from(["", "_1.dcm", ".ima", "_0012"])
)


@given(IDENTIFYING)
def test_no_name_keeps_its_identifier(name: str) -> None:
    assert holds_identifier(name, DOE)
    safe = safe_file_name(name, DOE, PSEUDONYMS)
    assert not holds_identifier(safe, DOE)
    assert is_portable(safe)
    assert "/" not in safe


@given(st.sets(IDENTIFYING | NAMES, min_size=2, max_size=6))
def test_names_that_differ_stay_different(names: set[str]) -> None:
    assert len({safe_file_name(name, DOE, PSEUDONYMS) for name in names}) == len(names)


@given(NAMES, st.sampled_from(["_", "-", " x"]), st.integers(1, 5), st.sets(st.integers(0, 9999), min_size=2))
def test_numbered_slices_stay_in_order(stem: str, mark: str, width: int, numbers: set[int]) -> None:
    names = [f"Müller {stem}{mark}{number:05}.dcm" for number in sorted(numbers)]
    safe = [safe_file_name(name, DOE, PSEUDONYMS) for name in names]
    assert safe == sorted(safe)


@given(NAMES)
def test_a_token_is_short_keyed_and_the_same(name: str) -> None:
    token = folder_token(name, PSEUDONYMS)
    assert token == folder_token(name, PSEUDONYMS) != folder_token(name, Pseudonyms(KEY + b"."))
    assert 8 <= len(token) <= 32
    assert token.isalnum()


@given(st.binary(min_size=1, max_size=60))
def test_names_that_are_no_text(raw: bytes) -> None:
    name = os.fsdecode(raw)
    assume("/" not in name and "\0" not in name)
    assert isinstance(holds_identifier(name, DOE), bool)
    assert safe_file_name(name, DOE, PSEUDONYMS)
    assert folder_token(name, PSEUDONYMS)


@given(NAMES)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize("name", ["Scan 17.9.1937", "9-17-1937", "1937_9_17", "17.9.37", "17.09.37", "US_17_9_37_b"])
def test_a_birth_date_without_its_zeros(name: str) -> None:
    assert holds_identifier(name, identifiers_of((), (), ("19370917",), ()))


@pytest.mark.parametrize("name", ["IM_9_17_1", "17.9", "17.9.1938", "117.9.1937", "IM179371", "7937", "1_9_37"])
def test_numbers_that_are_no_birth_date(name: str) -> None:
    assert not holds_identifier(name, identifiers_of((), (), ("19370917",), ()))


@pytest.mark.parametrize(
    ("name", "tail"),
    [
        ("doe_1937-09-17.dcm", ".dcm"),
        ("doe_17.09.1937.dcm", ".dcm"),
        ("doe 17.9.37", ""),
        ("doe_771-903.dcm", ".dcm"),
        ("doe_19370917_0007.dcm", "_0007.dcm"),
        ("doe_0007.dcm", "_0007.dcm"),
        ("doe_17.09.1937_77.dcm", ".dcm"),
    ],
)
def test_the_end_of_an_identifier_is_no_number_of_a_slice(name: str, tail: str) -> None:
    identifiers = identifiers_of(("Doe^Jane",), ("771903", "77"), ("19370917",), ())
    new = safe_file_name(name, identifiers, PSEUDONYMS)
    assert re.fullmatch("[0-9A-F]{16}" + re.escape(tail), new)


@given(st.lists(st.text("abcDEF0123 ._-ü", max_size=14), max_size=8), st.data())
def test_a_name_is_compared_with_the_identifiers_of_many_files_at_once(names: list[str], data: st.DataObject) -> None:
    texts = st.lists(st.text("abcdef0123^.", min_size=1, max_size=8), max_size=3).map(tuple)
    days = st.lists(st.sampled_from(["20030102", "00010203", "1961"]), max_size=2).map(tuple)
    uids = st.lists(st.text("0123.", min_size=1, max_size=14), max_size=2).map(tuple)
    seen = data.draw(st.lists(st.builds(identifiers_of, texts, texts, days, uids), max_size=4))
    one_by_one = {name for name in names if any(holds_identifier(name, identifiers) for identifiers in seen)}
    assert Everyone(seen).held_by(names) == one_by_one


def test_the_time_of_comparing_names_does_not_grow_with_the_files() -> None:
    def work(files: int) -> int:
        everyone = Everyone(identifiers_of((f"Doe{n:06d}^Jane",), (f"A{n:06d}",), (), ()) for n in range(files))
        return calls(lambda: everyone.held_by(f"CT_{n}" for n in range(100)))

    assert work(400) < 1.5 * work(100)


def test_thousands_of_other_ids_are_not_compared_with_each_other() -> None:
    def work(count: int) -> int:
        ids = tuple(f"A{n:06d}x" for n in range(count))
        return calls(lambda: identifiers_of((), ids, (), ()))

    assert work(2000) < 6 * work(500)
    assert holds_identifier("ct a001999x", identifiers_of((), tuple(f"A{n:06d}x" for n in range(2000)), (), ()))
