"""Precedence: of all rules that match a tag, that of the strongest source decides, and in it the narrowest."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dicom_anon import tags
from dicom_anon.assignment import resolve
from dicom_anon.config import MAX_CHARACTERS, parse_assign, parse_config
from dicom_anon.engine import Engine, Plan
from dicom_anon.errors import ConfigError
from dicom_anon.tags import Key, Pattern
from tests.datasets import KEY, decode, encode, item, walked

KEYS = (
    "(60xx,3000)", "(6000,xxxx)", "(6002,xxxx)", "(60xx,xxxx)", "(60x2,xxxx)", "(6002,3000)", "(6000,3000)",
    "(60xx,0022)", "(6000,0022)", "(xx0x,0x22)", "(x00x,x022)",
)  # fmt: skip
TAGS = tuple(group << 16 | element for group in (0x6000, 0x6002) for element in (0x0022, 0x3000))
SECTION = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(("keep", "remove", "clear")), max_size=4)


def width(key: Key) -> int:
    return key.mask.bit_count() if isinstance(key, Pattern) else 32


def decided(tag: int, sections: list[dict[str, str]]) -> str:
    """What the sections, the strongest one first, say of a tag under a preset that keeps everything."""
    for section in sections:
        keys = {tags.parse_key(text): command for text, command in section.items()}
        matching = [key for key in keys if key == tag or (isinstance(key, Pattern) and key.matches(tag))]
        if matching:
            return keys[max(matching, key=width)]
    return "keep"


def engine_of(general: dict[str, str], project: dict[str, str], assigned: dict[str, str]) -> Engine:
    """Engine of three sources over a preset that keeps everything, the strongest last."""
    config = parse_config(json.dumps({"general": {"preset": "none", **general}, "knee": project}), "test")
    assigns = [parse_assign(f"{key}={command}") for key, command in assigned.items()]
    return Engine(Plan(resolve(config, project="knee", assigns=assigns), KEY))


@example({"(60xx,xxxx)": "clear"}, {"(xx0x,0x22)": "keep", "(x00x,x022)": "remove"}, {})
@given(SECTION, SECTION, SECTION)
def test_the_strongest_source_decides_and_in_it_the_narrowest_key(
    general: dict[str, str], project: dict[str, str], assigned: dict[str, str]
) -> None:
    rules = engine_of(general, project, assigned)
    source = item(PatientID="1")
    for tag in TAGS:
        source.add_new(tag, "OW" if tag & 0xFFFF == 0x3000 else "LO", b"\1\2" if tag & 0xFFFF == 0x3000 else "text")
    new = decode(b"".join(piece for piece in rules.run(walked(encode(source))).pieces if isinstance(piece, bytes)))
    found = {tag: "remove" if tag not in new else "keep" if new[tag].value else "clear" for tag in TAGS}
    assert found == {tag: decided(tag, [assigned, project, general]) for tag in TAGS}


BLOCKS = ("ACME 1", "OTHER", "ACME 1")
"""Creators of the blocks 10, 11 and 12 of a Data Set."""
PRIVATE = (
    '(0019,xx0c,"ACME 1")', '(0019,xx0d,"ACME 1")', '(0019,xx0c,"OTHER")', "(0019,110c)", "(0019,120d)",
    "(0019,10xx)", "(0019,11xx)", "(0019,1xxx)", "(0019,xxxx)", "(xx19,120c)", "(0019,x20c)",
)  # fmt: skip
PRIVATE_SECTION = st.dictionaries(st.sampled_from(PRIVATE), st.sampled_from(("keep", "remove", "clear")), max_size=4)


def decided_private(tag: int, creator: str, sections: list[dict[str, str]]) -> str:
    """Like `decided`; the creator's own rule is narrower than any pattern, and the exact tag than that."""
    for section in sections:
        keys = {tags.parse_key(text): command for text, command in section.items()}
        own = keys.get(tag) or keys.get(tags.PrivateKey(tag >> 16, tag & 0xFF, creator))
        matching = [key for key in keys if isinstance(key, Pattern) and key.matches(tag)]
        if own or matching:
            return own or keys[max(matching, key=width)]
    return "keep"


@given(PRIVATE_SECTION, PRIVATE_SECTION, PRIVATE_SECTION)
def test_the_strongest_source_decides_of_private_elements_too(
    general: dict[str, str], project: dict[str, str], assigned: dict[str, str]
) -> None:
    rules = engine_of(general, project, assigned)
    source = item(PatientID="1")
    elements = {}
    for block, creator in enumerate(BLOCKS, 0x10):
        source.add_new(0x00190000 | block, "LO", creator)
        for low in (0x0C, 0x0D):
            elements[0x00190000 | block << 8 | low] = creator
    for tag in elements:
        source.add_new(tag, "LO", "text")
    new = decode(b"".join(piece for piece in rules.run(walked(encode(source))).pieces if isinstance(piece, bytes)))
    found = {tag: "remove" if tag not in new else "keep" if new[tag].value else "clear" for tag in elements}
    sections = [assigned, project, general]
    assert found == {tag: decided_private(tag, creator, sections) for tag, creator in elements.items()}


def test_what_a_rule_is_worth_stays_where_safe_tags_are_removed() -> None:
    general = {"preset": "none", "remove_safe_tags": "true", "(0019,10xx)": "keep"}
    sections = {"general": general, "knee": {'(0019,xx0c,"ACME 1")': "safe"}}
    rules = Engine(Plan(resolve(parse_config(json.dumps(sections), "test"), project="knee"), KEY))
    source = item(PatientID="1")
    source.add_new(0x00190010, "LO", "ACME 1")
    source.add_new(0x0019100C, "LO", "text")
    new = decode(b"".join(piece for piece in rules.run(walked(encode(source))).pieces if isinstance(piece, bytes)))
    assert 0x0019100C not in new


def test_the_digest_knows_which_private_rule_is_the_stronger_one() -> None:
    keys = ("(0019,10xx)", '(0019,xx0c,"ACME 1")')

    def digest(general: dict[str, str], knee: dict[str, str]) -> str:
        config = parse_config(json.dumps({"general": general, "knee": knee}), "test")
        return resolve(config, project="knee").digest

    one, other = {keys[0]: "keep"}, {keys[1]: "remove"}
    assert digest(one, other) != digest(other, one)
    assert digest({"(60xx,3000)": "keep"}, {}) == digest({}, {"(60xx,3000)": "keep"})


def test_a_preset_that_does_not_exist_is_a_problem_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match='no preset "basics"; did you mean "basic"'):
        resolve(preset="basics")


TOO_LONG = "set(@project_prefix@@hash_acc@)"


@pytest.mark.parametrize(
    ("general", "project", "key", "section"),
    [
        ({"prefix": "KN", "AccessionNumber": TOO_LONG}, {}, "AccessionNumber", "general"),
        ({"(0008,0050)": TOO_LONG}, {"prefix": "KN"}, "(0008,0050)", "general"),
        ({"prefix": "KN"}, {"AccessionNumber": TOO_LONG}, "AccessionNumber", "knee"),
        ({"name": "Knee study"}, {"StudyDate": "replace(@project_name@)"}, "StudyDate", "knee"),
        ({}, {"Modality": "set(@project_owner@)"}, "Modality", "knee"),
        ({}, {"StudyID": "set(@lookup(ward)@)"}, "StudyID", "knee"),
    ],
)
def test_a_macro_that_cannot_work_in_a_project_is_a_problem_of_its_rule(
    general: dict[str, str], project: dict[str, str], key: str, section: str
) -> None:
    config = parse_config(json.dumps({"general": general, "knee": project}), "rules.json")
    with pytest.raises(ConfigError) as refused:
        resolve(config, project="Knee")
    (problem,) = refused.value.problems
    assert (problem.where, problem.section, problem.key) == ("rules.json", section, key)
    assert problem.accepted


@pytest.mark.parametrize(
    ("general", "project"),
    [
        ({"AccessionNumber": TOO_LONG}, {}),
        ({"prefix": "KN", "AccessionNumber": TOO_LONG}, {"prefix": ""}),
        ({"prefix": "KN", "AccessionNumber": TOO_LONG}, {"AccessionNumber": "clear"}),
        ({"prefix": "KN", "AccessionNumber": TOO_LONG}, {"(0008,00xx)": "clear"}),
        ({"prefix": "KN", "PatientID": TOO_LONG}, {}),
        ({"AccessionNumber": "set(@project_prefix@@value@)", "prefix": "A prefix of 17 cha"}, {}),
    ],
)
def test_a_macro_is_looked_at_with_the_texts_and_the_rules_that_apply(
    general: dict[str, str], project: dict[str, str]
) -> None:
    config = parse_config(json.dumps({"general": general, "knee": project}), "rules.json")
    assert resolve(config, project="knee").project == "knee"


EXACT, BY_CREATOR = "(0019,100c)", '(0019,xx0c,"SIEMENS MR HEADER")'


@pytest.mark.parametrize(
    ("exact", "by_creator", "project", "warned"),
    [
        ("keep", "remove", {}, "general"),
        ("keep", "keep", {}, ""),
        ("keep", "keep", {EXACT: "remove"}, "project knee"),
        ("keep", "keep", {BY_CREATOR: "remove"}, ""),
    ],
)
def test_a_private_rule_that_goes_before_another_is_told(
    exact: str, by_creator: str, project: dict[str, str], warned: str
) -> None:
    config = parse_config(json.dumps({"general": {EXACT: exact, BY_CREATOR: by_creator}, "knee": project}), "rules")
    told = f"{warned}: the rule for {EXACT} goes before that for {BY_CREATOR}, in its block"
    assert resolve(config, project="knee").warnings == ((told,) if warned else ())


def test_the_digest_knows_all_that_decides() -> None:
    settings: list[dict[str, object]] = [
        {}, {"name": "a"}, {"owner": "a"}, {"prefix": "a"}, {"remove_unknown_tags": False}, {"remove_safe_tags": True},
        {"date_shift": {"days": -3}}, {"date_shift": {"min_days": 3}}, {"date_shift": {"max_days": 33}},
        {"objects": {"sr": "drop"}}, {"preset": "basic"}, {"preset": "basic", "profile_options": ["retain_uids"]},
        {"PatientSex": "clear"},
    ]  # fmt: skip
    digests = [resolve(parse_config(json.dumps({"general": each}), "rules")).digest for each in settings]
    assert len(set(digests)) == len(settings)


@pytest.mark.parametrize("text", ["[]", "5", '"general"', "null"])
def test_rules_are_one_object(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^rules: is no JSON object"):
        parse_config(text, "rules")


def test_rules_that_are_too_long_are_not_read() -> None:
    with pytest.raises(ConfigError, match="is too long") as refused:
        parse_config("[" * (MAX_CHARACTERS + 1), "rules")
    assert len(refused.value.problems) == 1
