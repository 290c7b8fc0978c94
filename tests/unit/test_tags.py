"""Names of elements: every form people write means one key, and what means none is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary, RepeatersDictionary, keyword_for_tag

from dicom_anon import tags
from dicom_anon.tags import Key, Pattern, PrivateKey, TagSyntaxError, format_key, parse_key

GROUPS = st.integers(0x0004, 0xFFFC).filter(lambda group: group not in (0x0000, 0x0002))
TAGS = st.builds(lambda group, element: group << 16 | element, GROUPS, st.integers(1, 0xFFFF))
DIGIT = "0123456789abcdef"


@given(TAGS, st.sampled_from(("({},{})", "{},{}", "{}{}", "( {} , {} )")), st.booleans())
def test_every_way_to_write_a_tag_is_that_tag(tag: int, form: str, upper: bool) -> None:
    text = form.format(f"{tag >> 16:04x}", f"{tag & 0xFFFF:04x}")
    assert parse_key(text.upper() if upper else text) == tag


@given(
    TAGS
    | st.builds(
        PrivateKey,
        st.integers(0x0004, 0x7FFD).map(lambda half: half * 2 + 1),
        st.integers(0, 255),
        st.text("AB c.", min_size=1).map(str.strip).filter(bool),
    )
)
def test_what_is_shown_can_be_written(key: Key) -> None:
    assert parse_key(format_key(key)) == key


def _may_be_in_a_data_set(digits: str) -> bool:
    return digits[4:] != "0000" and digits[:4] not in ("0000", "0002", "fffd", "fffe", "ffff")


PATTERNS = st.text(DIGIT + "x", min_size=8, max_size=8).filter(lambda text: "x" in text and text != "x" * 8)


@given(PATTERNS.filter(_may_be_in_a_data_set))
def test_a_pattern_matches_what_agrees_with_its_digits(digits: str) -> None:
    key = parse_key(f"{digits[:4]},{digits[4:]}")
    assert isinstance(key, Pattern)
    assert parse_key(format_key(key)) == key
    like = int(digits.replace("x", "4"), 16)
    assert key.matches(like)
    for n, digit in enumerate(digits):
        if digit != "x":
            other = like ^ 1 << 4 * (7 - n)
            assert not key.matches(other)


def test_repeating_groups_are_even() -> None:
    curves = parse_key("(50xx,xxxx)")
    assert isinstance(curves, Pattern)
    assert curves.matches(0x50003000)
    assert curves.matches(0x501E0010)
    assert not curves.matches(0x50013000)
    assert not curves.matches(0x60003000)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("PatientName", 0x00100010),
        ('(0019,xx0c,"SIEMENS MR HEADER")', PrivateKey(0x19, 0x0C, "SIEMENS MR HEADER")),
        ('0019,XX0C,"SIEMENS MR HEADER "', PrivateKey(0x19, 0x0C, "SIEMENS MR HEADER")),
        ('(0019,xx0c,"A, (B)")', PrivateKey(0x19, 0x0C, "A, (B)")),
        ("(60xx,3000)", Pattern(0xFF01FFFF, 0x60003000)),
        ("(0020,31xx)", Pattern(0xFFFFFF00, 0x00203100)),
    ],
)
def test_forms(text: str, key: Key) -> None:
    assert parse_key(text) == key


UNLIKE_PRIVATE = 'names no DICOM element; a private one is written (0019,xx0c,"ITS CREATOR")'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("PatientNam", 'names no DICOM element; did you mean "PatientName"?'),
        ("patientname", 'names no DICOM element; did you mean "PatientName"?'),
        ("", "names no DICOM element"),
        ("Nothing At All", "names no DICOM element"),
        ("0010", "names no DICOM element"),
        ("(0010,001)", "names no DICOM element"),
        ("(0010;0010)", "names no DICOM element"),
        ("(001g,0010)", "names no DICOM element"),
        ("(0002,0010)", "group 0002 is no part of a Data Set; the file meta is rebuilt for every file"),
        ("TransferSyntaxUID", "group 0002 is no part of a Data Set; the file meta is rebuilt for every file"),
        ("TransferSyntaxUI", 'names no DICOM element; did you mean "FlowTransferSyntaxUID"?'),
        ("(fffe,e000)", "group fffe is no part of a Data Set; the file meta is rebuilt for every file"),
        ("(0010,0000)", "is a group length, and those are always dropped"),
        ("(xxxx,xxxx)", "matches every element"),
        ('(0018,xx0c,"MAKER")', "group 0018 is even, so it has no private creator"),
        ('(0019,xx0c,"")', UNLIKE_PRIVATE),
        ('(0019,100c,"MAKER")', UNLIKE_PRIVATE),
        ('(0019,0c,"MAKER")', UNLIKE_PRIVATE),
        ("(0019,xx0c,'MAKER')", UNLIKE_PRIVATE),
        ("(0019,xx0c,MAKER)", UNLIKE_PRIVATE),
        ('(0019,xx0c,"  ")', "names no private creator"),
        ("(0002,xxxx)", "group 0002 is no part of a Data Set; the file meta is rebuilt for every file"),
        ("(0000,xx10)", "group 0000 is no part of a Data Set; the file meta is rebuilt for every file"),
        ("(ffff,xxxx)", "group ffff is no part of a Data Set; the file meta is rebuilt for every file"),
        ("(xxxx,0000)", "is a group length, and those are always dropped"),
        ("(60xx,0000)", "is a group length, and those are always dropped"),
    ],
)
def test_what_names_nothing_is_told(text: str, problem: str) -> None:
    with pytest.raises(TagSyntaxError) as error:
        parse_key(text)
    assert str(error.value) == problem


def test_every_keyword_of_a_repeating_group_is_its_pattern() -> None:
    assert format_key(parse_key("OverlayData")) == "(60xx,3000)"
    for digits, (*_, keyword) in RepeatersDictionary.items():
        if keyword:
            assert parse_key(keyword) == parse_key(f"{digits[:4]},{digits[4:]}")


def test_every_keyword_of_the_dictionary_is_its_tag() -> None:
    wrong = [
        keyword_for_tag(tag)
        for tag, (*_, keyword) in DicomDictionary.items()
        if keyword and tag >> 16 not in (0, 2) and tags.tag_for_keyword(keyword) != tag
    ]
    assert wrong == []


def test_attributes_newer_than_pydicoms_dictionary_have_names_and_leave_its_own_alone() -> None:
    added = tags.additions()
    assert len(added) == 177
    assert added[0x3004007F][:2] == ("LO", "DoseCalculationModelName")
    assert not set(added) & set(DicomDictionary)
    for tag, (vr, keyword, name) in added.items():
        assert not keyword or parse_key(keyword) == tag
        assert (tags.vr_of(tag), tags.keyword_of(tag), tags.name_of(tag)) == (vr, keyword, name)


def test_vr_keyword_and_name_are_those_of_the_dictionary() -> None:
    for tag, (vr, _, name, _, keyword) in DicomDictionary.items():
        assert (tags.vr_of(tag), tags.keyword_of(tag), tags.name_of(tag)) == (vr, keyword, name)
    for mask, (vr, _, name, _, keyword) in RepeatersDictionary.items():
        tag = int(mask.replace("x", "2"), 16)
        assert (tags.vr_of(tag), tags.keyword_of(tag), tags.name_of(tag)) == (vr, keyword, name)
    assert (tags.vr_of(0x00091001), tags.keyword_of(0x00091001), tags.name_of(0x00091001)) == (None, "", "")
    assert tags.keyword_of(PrivateKey(9, 1, "MAKER")) == ""
    assert tags.keyword_of(Pattern(0xFF01FFFF, 0x60003000)) == "OverlayData"


@pytest.mark.parametrize(
    ("tag", "private", "creator"),
    [
        (0x00100010, False, False),
        (0x00090010, True, True),
        (0x000900FF, True, True),
        (0x0009000F, True, False),
        (0x00090100, True, False),
        (0x00091001, True, False),
    ],
)
def test_private_elements_and_their_creators(tag: int, private: bool, creator: bool) -> None:
    assert tags.is_private(tag) is private
    assert tags.is_private_creator(tag) is creator


@given(st.lists(TAGS, min_size=2, max_size=5))
def test_keys_are_ordered_as_in_a_data_set(found: list[int]) -> None:
    assert sorted(found, key=tags.sort_key) == sorted(found)
    maker = PrivateKey(0x0009, 1, "MAKER")
    keys: list[Key] = [0x00100010, maker, 0x00080005]
    assert sorted(keys, key=tags.sort_key) == [0x00080005, maker, 0x00100010]


def test_the_nearest_word_forgives_case_before_letters() -> None:
    assert tags.nearest("keep", ("Keeps", "KEEP")) == "KEEP"
    assert tags.nearest("kep", ("keep", "remove")) == "keep"
    assert tags.nearest("xyz", ("keep", "remove")) == ""
