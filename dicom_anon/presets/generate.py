"""Writes the generated presets, ``default.json`` and ``basic.json``, from the tables of the Standard.

Lives here: how a preset is put together. Does not live here: single decisions (``decisions.py``), the tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydicom.datadict import DicomDictionary, RepeatersDictionary

from dicom_anon import standard, tags
from dicom_anon.actions.dates import TEMPORAL_VRS
from dicom_anon.presets import decisions
from dicom_anon.presets.decisions import Choice

FOLDER = Path(__file__).parent

FREE_TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""VRs that a person can type into: texts, names and locators (PS3.5 section 6.2)."""
NOT_IN_DATA_SET = frozenset({0x0000, 0x0002, 0xFFFE})
"""Groups of messages, of file meta information and of item delimiters: no rule can name them."""
DIRECTORY_GROUP = 0x0004

OPTIONS = {
    "remove_unknown_tags": True,
    "remove_safe_tags": False,
    "remove_curves": True,
    "remove_overlays": True,
}

_UNNAMED = "Retired from PS3.6 without a name, so nobody can say what it holds."
_DIRECTORY = "Group 0004 belongs to a DICOMDIR and goes anywhere else."
_OVERLAY = "An Overlay Plane without its data is broken: remove_overlays takes the whole group, this row included."
_KEPT_OVERLAY = (
    "The profile says X, and remove_overlays, on by default, takes the whole group. Whoever turns that option off "
    "wants overlays, and gets them whole."
)
_VARIABLE = "Retired, in no IOD; the pattern spans odd groups as well, which are private."


class Attribute(NamedTuple):
    """An entry of PS3.6: its key, how a preset writes it, its keyword and VRs."""

    key: tags.Key
    text: str
    keyword: str
    vrs: frozenset[str]


def attributes() -> list[Attribute]:
    """Every attribute of PS3.6 that a Data Set can hold, in tag order.

    Returns
    -------
    list of Attribute
        pydicom's dictionary, its repeating groups, and the additions of a later PS3.6. The whole of the
        curve groups is one pattern, as in Table E.1-1.
    """
    entries = {tag: (entry[0], entry[4]) for tag, entry in DicomDictionary.items()}
    entries |= {tag: (entry.vr, entry.keyword) for tag, entry in tags.additions().items()}
    found = [
        _attribute(tag, *entry) for tag, entry in entries.items() if tag >> 16 not in NOT_IN_DATA_SET and tag & 0xFFFF
    ]
    found += [
        _attribute(tags.parse_key(f"{mask[:4]},{mask[4:]}"), entry[0], entry[4])
        for mask, entry in RepeatersDictionary.items()
        if not mask.startswith("50xx")
    ]
    found.append(_attribute(tags.parse_key("(50xx,xxxx)"), "", ""))
    return sorted(found, key=lambda attribute: tags.sort_key(attribute.key))


def _attribute(key: tags.Key, vr: str, keyword: str) -> Attribute:
    by_keyword = bool(keyword) and tags.tag_for_keyword(keyword) == key and keyword not in _MISNAMED
    return Attribute(key, keyword if by_keyword else tags.format_key(key), keyword, frozenset(vr.split(" or ")))


_MISNAMED = frozenset({"SummarizedFilterLookupTable", "AnalogFilterType"})
"""Keywords of pydicom 3.0 that PS3.6 has since corrected: written by tag, which every version reads."""


def profile_choice(attribute: Attribute) -> Choice | None:
    """Command of the Basic Profile for an attribute, `None` where Table E.1-1 does not list it."""
    row = standard.profile_by_key().get(attribute.key)
    if row is None:
        return None
    if _is_directory(attribute):
        return Choice("remove", _DIRECTORY)
    if attribute.text == "(60xx,3000)":
        return Choice("remove", _OVERLAY)
    if row.basic == "Z" and row.keyword in decisions.ALWAYS_PRESENT:
        return Choice("clear", "")
    return Choice(decisions.COMMANDS[row.basic], "")


def basic_choice(attribute: Attribute) -> Choice:
    """Row of `basic`: the deviations that a valid object needs, else the table, else by what the attribute can hold.

    The table is not all: that nothing else identifies is up to the de-identifier (PS3.15 section E.1). So what
    identifies beside the table is treated as in `default`, and what people type is cleaned.
    """
    return (
        decisions.VALID.get(attribute.keyword)
        or profile_choice(attribute)
        or decisions.STRONGER.get(attribute.keyword)
        or _never_kept(attribute)
        or _by_content(attribute, typed="clean")
    )


def default_choice(attribute: Attribute) -> Choice:
    """Row of `default`: the useful exceptions, else the table, else by what the attribute can hold.

    Of what the table does not list, text that a person can type goes, but is cleaned where an IOD needs it.
    """
    if attribute.text == "(60xx,3000)":
        return Choice("safe", _KEPT_OVERLAY)
    return (
        decisions.USEFUL.get(attribute.keyword)
        or decisions.VALID.get(attribute.keyword)
        or profile_choice(attribute)
        or decisions.STRONGER.get(attribute.keyword)
        or decisions.TYPED.get(attribute.keyword)
        or _never_kept(attribute)
        or _by_content(attribute, typed="remove")
    )


def _never_kept(attribute: Attribute) -> Choice | None:
    if _is_directory(attribute):
        return Choice("remove", "")
    if attribute.text.startswith("(7fxx"):
        return Choice("remove", _VARIABLE)
    return None if attribute.keyword else Choice("remove", _UNNAMED)


def _is_directory(attribute: Attribute) -> bool:
    return isinstance(attribute.key, int) and attribute.key >> 16 == DIRECTORY_GROUP


def _by_content(attribute: Attribute, typed: str) -> Choice:
    """Choose for what no table lists: `typed` is the command for text that a person can type and no IOD needs.

    What an IOD needs (PS3.3 Type 1, 1C, 2, 2C) is kept by name, not as safe: without it objects break. A typed text
    that it needs is cleaned, which leaves a dummy where there must be a value; a date or time becomes one.
    """
    required = attribute.key in standard.required_tags()
    if attribute.vrs & TEMPORAL_VRS:
        return Choice("replace" if required else "remove", "")
    if attribute.vrs & FREE_TEXT_VRS and attribute.keyword not in decisions.TECHNICAL_TEXT:
        return Choice("clean" if required else typed, "")
    return Choice("keep" if required else "safe", "")


def _lines(name: str) -> Iterator[tuple[str, str]]:
    choose = {"default": default_choice, "basic": basic_choice}[name]
    for attribute in attributes():
        command, why = choose(attribute)
        if why:
            yield f"_{attribute.text}", why
        yield attribute.text, command


ABOUT = {
    "default": "Removes all that is known to identify and all that is unknown, and keeps objects usable. "
    "Every row of PS3.15 Table E.1-1 is at least as strong as the Basic Profile, but for commented rows.",
    "basic": "The Basic Application Level Confidentiality Profile of PS3.15 Annex E, row by row. Of what Table "
    "E.1-1 does not list, text that people type is cleaned, what identifies otherwise goes, and the rest stays. "
    "Commented rows say why they deviate from the table or add to it.",
}


def generate(name: str) -> str:
    """Put a preset together.

    Parameters
    ----------
    name : str
        ``default`` or ``basic``.

    Returns
    -------
    str
        Text of the preset file: JSON, one row a line, in tag order.
    """
    general: dict[str, object] = {
        "_about": ABOUT[name],
        "_edition": standard.EDITION,
        "_notice": "DICOM PS3.15 2026d, © NEMA",
        "_command": "python -m dicom_anon.presets.generate",
        "_private": "Private elements are unknown: remove_unknown_tags removes them.",
        **OPTIONS,
        **dict(_lines(name)),
    }
    return json.dumps({"general": general}, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write both files."""
    for name in ABOUT:
        (FOLDER / f"{name}.json").write_text(generate(name), encoding="utf-8")


if __name__ == "__main__":
    main()
