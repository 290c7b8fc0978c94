"""Commands that put something else in a value's place: dummies, keyed UIDs, pseudonyms, a choice by Type.

Lives here: replace, uid, hash, and the compound commands of PS3.15 Annex E. Does not live here: how keys
work.
"""

from __future__ import annotations

import datetime
import functools
from dataclasses import dataclass

from dicom_anon import tags, values
from dicom_anon.actions.base import UNCHANGED, Action, Assigned, ClearPresent, Outcome, Remove, check_template
from dicom_anon.actions.dates import DATE_VRS
from dicom_anon.macros import Template
from dicom_anon.pseudonyms import canonical_name
from dicom_anon.scope import Element, Level
from dicom_anon.standard import iod_types

DUMMIES: dict[str, str] = {
    "AE": "ANONYMIZED",
    "AS": "000D",
    "CS": "ANONYMIZED",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "LO": "ANONYMIZED",
    "LT": "ANONYMIZED",
    "PN": "ANONYMIZED",
    "SH": "ANONYMIZED",
    "ST": "ANONYMIZED",
    "TM": "000000",
    "UC": "ANONYMIZED",
    "UR": "urn:anonymized",
    "UT": "ANONYMIZED",
}
"""Dummy of each text VR; numbers and bytes become zeros, UIDs keyed UIDs."""


@dataclass(frozen=True)
class Replace(Action):
    """A dummy takes the value's place where there is one; in a sequence, the place of every item's values."""

    template: Template | None = None
    name = "replace"

    @property
    def parameter(self) -> str:
        """Text before macros, empty for the VR's own dummy."""
        return self.template.source if self.template else ""

    def enter(self, item: Level) -> Action | None:
        """Every value inside a sequence is replaced too."""
        return INSIDE

    def check(self, vr: str) -> None:
        """Pack a text that holds no macro; a sequence takes none."""
        if self.template:
            check_template(self.template, vr)

    def decide(self, element: Element) -> Outcome:
        """Put the dummy of the VR, as often as there were values."""
        if element.vr == "SQ":
            return UNCHANGED
        if self.template:
            return Assigned(self.template.expand(element))
        if element.vr == "UI":
            return mapped_uids(element)
        if element.vr in DUMMIES:
            dummy = _OTHER_DUMMIES.get(element.tag) or DUMMIES[element.vr]
            return Assigned("\\".join([dummy] * max(1, len(element.values))))
        if element.vr == "AT" or (element.vr in values.NUMBER_FORMATS and element.vr[0] != "O"):
            return Assigned(bytes(len(element.raw)))
        return Assigned(bytes(min(len(element.raw), 8) or 8))


_OTHER_DUMMIES = {0x00080102: "99ANON"}  # Coding Scheme Designator: private ones begin with 99 (PS3.16 section 8.2)

_NUMERATOR, _DENOMINATOR = 0x0040A162, 0x0040A163  # the value of a content item, though its VR is that of counts

_CONTENT_FREE_VRS = frozenset(("AT", "CS", "IS", "SL", "SS", "SV", "UL", "US", "UV"))
_STRUCTURE = frozenset(
    (
        0x00081199,  # Referenced SOP Sequence: its UIDs have rows of their own
        0x004008EA,  # Measurement Units Code Sequence
        0x0040A043,  # Concept Name Code Sequence
        0x0040A504,  # Content Template Sequence
    )
)


_PARTIAL = frozenset(("clean", "regexp", "shiftdate", "truncdate"))
"""Commands that leave a part of a value, and so none of those that take a dummy's place."""


@dataclass(frozen=True)
class ReplaceInside(Replace):
    """`Replace` for the elements of a replaced sequence: every value goes, what makes the items valid stays.

    Code strings are terms that the Standard enumerates, whole numbers count points, frames and positions,
    and names of concepts and units say what a value is, not which. A dummy in their place would break the
    object and hide nothing.
    """

    def over(self, row: Action, tag: int) -> Action:
        """Leave what makes an item valid to its row; a value of which something would stay is replaced as well."""
        if tag in _STRUCTURE:
            return row
        return self if row.name in _PARTIAL else super().over(row, tag)

    def decide(self, element: Element) -> Outcome:
        """Put a dummy, unless the VR holds terms or counts."""
        if element.tag == _NUMERATOR:
            return super().decide(element)
        if element.tag == _DENOMINATOR:
            return Assigned("\\".join("1" for _ in element.values))  # no reader can divide by zero
        return UNCHANGED if element.vr in _CONTENT_FREE_VRS else super().decide(element)


INSIDE = ReplaceInside()


@dataclass(frozen=True)
class Uid(Action):
    """Every UID becomes the keyed one that belongs to it; in a sequence they have rules of their own."""

    name = "uid"
    vrs = frozenset(("UI", "SQ", "UN"))

    def decide(self, element: Element) -> Outcome:
        """Map each UID."""
        return UNCHANGED if element.vr == "SQ" else mapped_uids(element)


def mapped_uids(element: Element) -> Outcome:
    """Keyed UID for each UID of an element; the object's own never stays, be it a registered one."""
    pseudonyms = element.file.pseudonyms
    replace = (
        pseudonyms.instance_uid
        if element.level.parent is None and element.tag in tags.INSTANCE_UIDS
        else pseudonyms.uid
    )
    if element.vr not in ("UI", "UN"):  # a private UID has no VR in implicit VR
        return Assigned("\\".join(replace(value.strip(" \0")) for value in element.values))
    text = element.raw.decode("latin-1").strip(" \0")
    replaced = "\\".join([replace(value.strip(" \0")) for value in text.split("\\")]) if "\\" in text else replace(text)
    raw = replaced.encode("latin-1")  # what is registered, or made by us: nothing to check
    return Assigned(raw + b"\0" if len(raw) & 1 else raw)


@dataclass(frozen=True)
class Hash(Action):
    """A keyed pseudonym that fits the VR: the same original, the same pseudonym."""

    name = "hash"
    vrs = values.TEXT_VRS | {"UN", "US", "UL", "SS", "SL", "UV", "SV", "FL", "FD"}

    def decide(self, element: Element) -> Outcome:
        """Hash each value, as bytes where it is not in its character set; an empty one stays empty."""
        originals = element.values
        if any("\N{REPLACEMENT CHARACTER}" in value for value in originals):
            originals = [element.raw.decode("latin-1").strip(" \0")]
        return Assigned("\\".join(pseudonym(element, value) if value else "" for value in originals))


@dataclass(frozen=True)
class Compound(Action):
    """One of several commands, by the Type of the attribute in the file's IOD (PS3.15 section E.1).

    Type 1 and 1C need a value (replace), 2 and 2C may be empty (clear), 3 and attributes that the IOD lacks
    go (remove): the strongest that the row allows. An attribute whose Type is not on record gets the last
    one, which every IOD allows.
    """

    label: str
    codes: str
    name = "compound"

    @property
    def command(self) -> str:
        """Word of the language that names it."""
        return self.label

    def decide(self, element: Element) -> Outcome:
        """Choose by Type and let the chosen command decide."""
        return self.choose(element).decide(element)

    def choose(self, element: Element) -> Action:
        """Command for this element."""
        return _chosen(self.codes, element.file.sop_class, (*element.level.path, element.tag))

    def enter(self, item: Level) -> Action | None:
        """Replace inside what is replaced."""
        return INSIDE if "D" in self.codes else None


@functools.lru_cache(maxsize=1 << 14)
def _chosen(codes: str, sop_class: str, path: tuple[int, ...]) -> Action:
    """First of the commands that an attribute's Type allows."""
    types = iod_types()
    kind = types.type_of(sop_class, path) or "3"
    wanted = _BY_TYPE.get(kind, "XZDU") if types.covers(path[-1]) else codes[-1]
    return next(_BY_CODE[code] for code in wanted if code in codes)


_BY_TYPE = {"1": "UDZX", "1C": "UDZX", "2": "UZDX", "2C": "UZDX"}
"""Codes in order of preference; U before Z, since an empty list of references breaks objects that need it."""

_BY_CODE: dict[str, Action] = {"X": Remove(), "D": Replace(), "U": Uid(), "Z": ClearPresent()}


def pseudonym(element: Element, value: str) -> str:
    """Keyed pseudonym of one value in the form of the element's VR."""
    vr, keyed = element.vr, element.file.pseudonyms
    original = value.strip(" \0")
    if vr == "UI":
        return keyed.uid(original)
    if vr == "PN":
        return keyed.person_name(canonical_name(original))
    if vr in DATE_VRS:
        date = datetime.date(1900, 1, 1) + datetime.timedelta(keyed.number("date", original, 36500))
        return date.strftime("%Y%m%d")
    if vr == "TM":
        seconds = keyed.number("time", original, 86400)
        return f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}"
    if vr == "AS":
        return f"{keyed.number('age', original, 90):03}Y"
    if vr in ("IS", "DS"):
        return str(keyed.number("number", original, 10**9))
    if vr in values.NUMBER_FORMATS:
        return str(keyed.number("number", original, 2**7))
    return keyed.code("hash", original)
