"""Precedence: of all rules that match a tag, that of the strongest source decides, and in it the narrowest."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from dicom_anon import tags
from dicom_anon.assignment import resolve
from dicom_anon.config import parse_assign, parse_config
from dicom_anon.engine import Engine, Plan
from dicom_anon.tags import Key, Pattern
from tests.datasets import KEY, decode, encode, item, walked

KEYS = (
    "(60xx,3000)", "(6000,xxxx)", "(6002,xxxx)", "(60xx,xxxx)", "(60x2,xxxx)", "(6002,3000)", "(6000,3000)",
    "(60xx,0022)", "(6000,0022)",
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


@given(SECTION, SECTION, SECTION)
def test_the_strongest_source_decides_and_in_it_the_narrowest_key(
    general: dict[str, str], project: dict[str, str], assigned: dict[str, str]
) -> None:
    config = parse_config(json.dumps({"general": {"preset": "none", **general}, "knee": project}), "test")
    assigns = [parse_assign(f"{key}={command}") for key, command in assigned.items()]
    rules = Engine(Plan(resolve(config, project="knee", assigns=assigns), KEY))
    source = item(PatientID="1")
    for tag in TAGS:
        source.add_new(tag, "OW" if tag & 0xFFFF == 0x3000 else "LO", b"\1\2" if tag & 0xFFFF == 0x3000 else "text")
    new = decode(b"".join(piece for piece in rules.run(walked(encode(source))).pieces if isinstance(piece, bytes)))
    found = {tag: "remove" if tag not in new else "keep" if new[tag].value else "clear" for tag in TAGS}
    assert found == {tag: decided(tag, [assigned, project, general]) for tag in TAGS}
