"""Tables of the DICOM Standard (PS3.3, PS3.6, PS3.15, PS3.16), shipped as JSON and read as typed values.

Lives here: the tables, and the loader of all but the additions to PS3.6 (`tags`). Does not live here: what a rule does
with a row, or which row wins.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

from dicom_anon.tags import Key, PrivateKey, parse_key

EDITION = "PS3.15 2026d"
"""Edition of Table E.1-1, whose rows the presets follow."""

PROFILE_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "clean_graphics": "clean_graphics",
        "clean_structured_content": "clean_structured_content",
        "clean_descriptors": "clean_descriptors",
        "retain_full_dates": "retain_long_full_dates",
        "retain_modified_dates": "retain_long_modified_dates",
        "retain_patient_characteristics": "retain_patient_characteristics",
        "retain_device_identity": "retain_device_identity",
        "retain_institution_identity": "retain_institution_identity",
        "retain_uids": "retain_uids",
        "retain_safe_private": "retain_safe_private",
    }
)
"""Option name of this product to its column of Table E.1-1, in the order in which they are documented."""

_SR_COLUMNS = MappingProxyType(
    {
        "retain_uids": "Rtn. UIDs Opt.",
        "retain_device_identity": "Rtn. Dev. Id. Opt.",
        "retain_institution_identity": "Rtn. Inst. Id. Opt.",
        "retain_patient_characteristics": "Rtn. Pat. Chars. Opt.",
        "retain_full_dates": "Rtn. Long. Full Dates Opt.",
        "retain_modified_dates": "Rtn. Long. Modif. Dates Opt.",
        "clean_descriptors": "Clean Desc. Opt.",
    }
)


@dataclass(frozen=True)
class ProfileRow:
    """One row of PS3.15 Table E.1-1.

    Parameters
    ----------
    tag : str
        ``(gggg,eeee)``, a repeating group such as ``(60xx,3000)``, or the words of the row for private ones.
    keyword : str
        Keyword of PS3.6, empty for the patterns that have none.
    vr : str
        VR of PS3.6 as printed there (``OB or OW`` included), empty for the patterns that have none.
    basic : str
        Action of the Basic Profile: X, D, Z, U, K, C or a compound such as ``X/Z/D``.
    options : Mapping[str, str]
        Action by option, in this product's option names; an option that says nothing is absent.
    """

    tag: str
    keyword: str
    vr: str
    basic: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class ConceptRow:
    """One row of PS3.15 Table E.3.4-1: the actions for a Concept Name of Structured Reporting.

    Parameters
    ----------
    value_type : str
        Value Type of the Content Item (``TEXT``, ``PNAME``, ...).
    basic : str
        Action of the Basic Profile with the Clean Structured Content Option.
    options : Mapping[str, str]
        Action by further option; an option that says nothing is absent.
    """

    value_type: str
    basic: str
    options: Mapping[str, str]


def _read(name: str) -> Any:
    return json.loads(resources.files(__name__).joinpath(name).read_text("utf-8"))


@functools.cache
def profile_rows() -> tuple[ProfileRow, ...]:
    """Rows of PS3.15 Table E.1-1 (657), in the order of the table.

    >>> len(profile_rows()), profile_rows()[0].tag, profile_rows()[0].basic
    (657, '(0008,0050)', 'Z')
    """
    return tuple(
        ProfileRow(
            tag=row["tag"],
            keyword=row["keyword"] or "",
            vr=row["vr"] or "",
            basic=row["basic_profile"],
            options=MappingProxyType({ours: row[col] for ours, col in PROFILE_OPTIONS.items() if row[col]}),
        )
        for row in _read("ps315_table_e_1_1.json")
    )


@functools.cache
def profile_by_key() -> Mapping[Key, ProfileRow]:
    """Rows of Table E.1-1 that a rule can name (653), by key, in the order of the table.

    Left out are the row for private elements, which `remove_unknown_tags` carries out, and the three rows of
    the groups 0000 and 0002: messages are never stored, and file meta information is written anew.

    >>> profile_by_key()[0x00080050].keyword
    'AccessionNumber'
    """
    return MappingProxyType(
        {parse_key(row.tag): row for row in profile_rows() if row.tag[1:5] not in ("gggg", "0000", "0002")}
    )


@functools.cache
def safe_private() -> Mapping[PrivateKey, str]:
    """VR of each safe private attribute (PS3.15 Table E.3.10-1), empty where the table gives none.

    >>> from dicom_anon.tags import PrivateKey
    >>> safe_private()[PrivateKey(0x7053, 0x00, "Philips PET Private Group")]
    'DS'
    """
    return MappingProxyType(
        {
            PrivateKey(int(row["group"], 16), int(row["element_offset"], 16), row["private_creator"]): row["vr"] or ""
            for row in _read("ps315_safe_private.json")
        }
    )


@functools.cache
def sr_concepts() -> Mapping[tuple[str, str], tuple[ConceptRow, ...]]:
    """Concept Names of the Clean Structured Content Option (PS3.15 Table E.3.4-1) by scheme and code value.

    Some concepts have several rows, one for each Value Type, whose actions may differ.

    >>> [row.basic for row in sr_concepts()["DCM", "121022"]]
    ['X']
    """
    found: dict[tuple[str, str], tuple[ConceptRow, ...]] = {}
    for row in _read("ps315_table_e_3_4_1.json"):
        key = (row["Coding Scheme Designator"], row["Code Value"])
        concept = ConceptRow(
            value_type=row["Value Type"],
            basic=row["Basic Prof."],
            options=MappingProxyType({ours: row[col] for ours, col in _SR_COLUMNS.items() if row[col]}),
        )
        found[key] = (*found.get(key, ()), concept)
    return MappingProxyType(found)


@functools.cache
def method_codes() -> Mapping[str, tuple[str, str]]:
    """De-identification Method codes (PS3.16 CID 7050, scheme DCM): option to code value and meaning.

    The Basic Profile itself is ``basic``. The two pixel options of Annex E are included.

    >>> method_codes()["basic"]
    ('113100', 'Basic Application Confidentiality Profile')
    """
    by_column = {column: name for name, column in PROFILE_OPTIONS.items()} | {"basic_profile": "basic"}
    pixel = {"113101": "clean_pixel_data", "113102": "clean_recognizable_visual_features"}
    return MappingProxyType(
        {
            by_column.get(row["table_e_1_1_column"]) or pixel[row["code_value"]]: (
                row["code_value"],
                row["code_meaning"],
            )
            for row in _read("cid7050.json")
        }
    )


@functools.cache
def required_tags() -> frozenset[int]:
    """Tags that are Type 1, 1C, 2 or 2C in some module of PS3.3, at any nesting.

    >>> 0x00100010 in required_tags(), 0x00104000 in required_tags()
    (True, False)
    """
    return frozenset(int(tag, 16) for tag in _read("ps33_required.json")["tags"])


@functools.cache
def tags_with_value() -> frozenset[int]:
    """Tags that are Type 1 or 1C in some module of PS3.3, at any nesting: there, they may not be empty.

    >>> 0x00620005 in tags_with_value(), 0x00100010 in tags_with_value()
    (True, False)
    """
    return frozenset(int(tag, 16) for tag in _read("ps33_required.json")["with_value"])


class IodTypes:
    """Type (PS3.5 section 7.4) of the attributes with a compound action, in each IOD of PS3.3.

    Parameters
    ----------
    table : Mapping[str, Any]
        Content of ``iod_types.json``; its ``meta`` explains the encoding.
    """

    _TYPES = MappingProxyType({"1": "1", "a": "1C", "2": "2", "b": "2C", "3": "3"})

    def __init__(self, table: Mapping[str, Any]) -> None:
        tags = [int(tag, 16) for tag in table["tags"]]
        rows = {iod: self._decode(tags, row) for iod, row in table["iods"].items()}
        self._fallback = self._decode(tags, table["fallback"])
        self._by_class = {
            uid: rows[iod] for uid, iod in (table["sop_classes"] | table["retired_aliases"]).items() if iod in rows
        }
        self._nested = {tuple(int(tag, 16) for tag in path.split(">")): kind for path, kind in table["nested"].items()}
        self._deepest = max(map(len, self._nested))
        self._covered = frozenset(tags)

    @classmethod
    def _decode(cls, tags: list[int], row: str) -> dict[int, str]:
        return {tag: cls._TYPES[char] for tag, char in zip(tags, row, strict=True) if char != "-"}

    def covers(self, tag: int) -> bool:
        """Tell whether the table knows the attribute; for any other, `type_of` has no say."""
        return tag in self._covered

    def knows_class(self, sop_class_uid: str) -> bool:
        """Tell whether the SOP Class is in the table, so that the fallback is not used."""
        return sop_class_uid in self._by_class

    def type_of(self, sop_class_uid: str, path: tuple[int, ...]) -> str | None:
        """Type of an attribute in an IOD.

        Parameters
        ----------
        sop_class_uid : str
            SOP Class UID of the Data Set; one that the table does not know gets the strictest Type of all.
        path : tuple of int
            Tags from the sequence at top level down to the attribute itself.

        Returns
        -------
        str or None
            ``1``, ``1C``, ``2``, ``2C`` or ``3``; `None` where the IOD does not have the attribute there.
            In sequence items the Type belongs to the parent sequence, whatever the IOD, and the longest
            known end of the path decides.
        """
        if len(path) == 1:
            return self._by_class.get(sop_class_uid, self._fallback).get(path[0])
        for length in range(min(len(path), self._deepest), 1, -1):
            found = self._nested.get(path[-length:])
            if found is not None:
                return str(found)
        return None


@functools.cache
def iod_types() -> IodTypes:
    """Types of the attributes with a compound action (PS3.3 2026b).

    >>> iod_types().type_of("1.2.840.10008.5.1.4.1.1.2", (0x00081010,)) in {"1", "1C", "2", "2C", "3"}
    True
    """
    return IodTypes(_read("iod_types.json"))
