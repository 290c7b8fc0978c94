"""Commands for text: a substitution, and `clean`, which takes this patient's identifiers out of what stays.

Lives here: regexp and clean, and what clean does to the items of a sequence. Does not live here: the
scrubber, and the table of SR concepts' meaning for one content item (``content``).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final

from dicom_anon import standard, tags, values
from dicom_anon.actions.base import UNCHANGED, Action, Assigned, CommandError, Outcome
from dicom_anon.actions.dummies import DUMMIES, mapped_uids
from dicom_anon.actions.patterns import longest_text
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.identity import is_identifier, is_searchable, scrubber_of
from dicom_anon.scope import Element, Level

_CODE_STRING = re.compile("[A-Z0-9 _]{0,16}")
_TEXT_AND_UNKNOWN = values.TEXT_VRS | {"UN"}


@dataclass(frozen=True)
class Regexp(Action):
    """Substitution in the text of each value (Python's `re` syntax, all occurrences)."""

    find: str
    replacement: str
    name = "regexp"
    vrs = _TEXT_AND_UNKNOWN

    @property
    def parameter(self) -> str:
        """Pattern and replacement."""
        return f"{self.find},{self.replacement}"

    def decide(self, element: Element) -> Outcome:
        """Substitute in each value.

        Raises
        ------
        FileRefused
            A value is so long that the search could take for ever, or not stored as the text that it is.
        """
        _check_stored_as_text(element, values.TEXT_VRS)
        if element.vr != "UN":
            element.check_legible()
        if any(len(value) > longest_text(self.find) for value in element.values):
            raise FileRefused(Reason.VALUE_NOT_WRITABLE, f"{tags.format_tag(element.tag)} is too long for its regexp")
        found = [re.sub(self.find, self.replacement, value) for value in element.values]
        return UNCHANGED if found == element.values else Assigned("\\".join(found))


CLEAN_VRS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
"""VRs whose values can hold words."""

CODES = frozenset(
    (
        0x00080100,  # Code Value
        0x00080102,  # Coding Scheme Designator
        0x00080103,  # Coding Scheme Version
        0x00080119,  # Long Code Value
        0x00080120,  # URN Code Value
    )
)
"""Parts of a code: nobody types into them, and a number in them is no telephone."""


@dataclass(frozen=True)
class Clean(Action):
    """Text loses this patient's identifiers, and what looks like one; medical words stay.

    A sequence is kept and the texts in it are cleaned; where its items are content items, each is treated as
    PS3.15 Table E.3.4-1 says for its concept name, under the options named between the parentheses.
    """

    options: tuple[str, ...] = ()
    name = "clean"
    vrs = CLEAN_VRS | {"SQ", "UN"}

    @property
    def parameter(self) -> str:
        """Options of PS3.15 that apply to content items."""
        return ",".join(self.options)

    def check(self, vr: str) -> None:
        """Refuse what is no text, and options where there are no items."""
        super().check(vr)
        if self.options and vr not in ("SQ", "UN"):
            raise CommandError(f"clean takes options only on a sequence, not on VR {vr}", "clean")

    def enter(self, item: Level) -> Action | None:
        """Clean the texts of a plain item; treat a content item by its concept."""
        from dicom_anon.actions.content import content_action

        return content_action(item, self)

    def over(self, row: Action, tag: int) -> Action:
        """Leave codes alone, and what holds no words."""
        return super().over(row, tag) if _may_hold_words(tag) else row

    def decide(self, element: Element) -> Outcome:
        """Scrub each value; what is left of one that must not be empty is a dummy.

        Nothing is left of a text that is not in its character set: what it says cannot be found, nor its values told
        apart.

        Raises
        ------
        FileRefused
            It is not stored as the text that it is.
        """
        if element.vr == "UN":
            return _clean_unknown(element)
        _check_stored_as_text(element, CLEAN_VRS)
        if element.vr not in CLEAN_VRS or not element.raw:
            return UNCHANGED
        found = element.values
        cleaned = [clean_value(element, value) for value in found] if is_searchable(element) else []
        if cleaned == found:
            return UNCHANGED
        if not any(cleaned) and needs_value(element.tag):
            return Assigned(DUMMIES[element.vr])
        return Assigned("\\".join(cleaned))


@dataclass(frozen=True)
class CleanSafe(Clean):
    """`clean` for a private element that is declared safe: the file's VR counts, whatever a table says.

    Texts are cleaned, a Person Name goes, UIDs follow the public ones, numbers stay.
    """

    number: bool = False
    """Whether it is declared as a number in digits, which is no record number where the file has no VR."""
    text: bool = False
    """Whether it is declared as a text, which goes where the file has no VR and it cannot be read as one."""

    def decide(self, element: Element) -> Outcome:
        """Clean what the file stores as text."""
        if element.vr == "UI":
            return mapped_uids(element)
        if self.number and element.vr == "UN" and _DIGITS.fullmatch(element.text):
            return UNCHANGED
        if self.text and element.vr == "UN" and _NO_TEXT.search(element.raw.rstrip(b"\0 ")):
            return Assigned(b"")
        return super().decide(element)


def _check_stored_as_text(element: Element, vrs: frozenset[str]) -> None:
    """Refuse a text of PS3.6 that the file stores in the VR of something else: nothing would be found in it."""
    if element.vr not in vrs and element.raw and tags.vr_of(element.tag) in vrs:
        raise FileRefused(Reason.MISPLACED, f"{tags.format_tag(element.tag)} {element.vr}")


_DIGITS = re.compile(r"[-+0-9.eE \\]*")
_NO_TEXT = re.compile(rb"[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]")  # ESC changes the character set
_MAY_BE_NUMBERS: Final = 32
"""Bytes in which numbers may well lack all of these."""


def _clean_unknown(element: Element) -> Outcome:
    """Scrub what is stored without a VR, as all private elements in implicit VR are, if it is text.

    What is not in the character set is text of another, or a few numbers; these stay.
    """
    raw = element.raw.rstrip(b"\0 ")
    if not raw or _NO_TEXT.search(raw):
        return UNCHANGED
    encodings = element.level.encodings
    if not is_searchable(element):
        text = values.guess(raw)
        few = len(raw) <= _MAY_BE_NUMBERS and clean_value(element, text) == text
        return UNCHANGED if few else Assigned(b"")
    found = values.decode(raw, "UC", encodings).split("\\")
    cleaned = [clean_value(element, value) for value in found]
    if cleaned == found:
        return UNCHANGED
    try:
        return Assigned(values.encode("\\".join(cleaned), "UT", encodings))
    except values.NeedsWiderCharacterSet:
        return Assigned(b"")  # nobody would know in which character set it is


@functools.lru_cache(maxsize=1 << 14)
def _may_hold_words(tag: int) -> bool:
    if tag in CODES:
        return False
    vr = tags.vr_of(tag)
    return vr is None or vr == "SQ" or (vr != "CS" and vr in CLEAN_VRS)  # inside items, CS are terms of the Standard


def clean_value(element: Element, value: str) -> str:
    """Scrub one value; what cannot stand in its VR any more goes."""
    if element.vr == "PN" or is_identifier(element.tag):
        return ""  # nothing but a person's name, or an identifier, can stand in it
    cleaned = scrubber_of(element.file).clean(value)
    if element.vr == "UR" and cleaned != value:
        return ""  # a locator with a hole leads nowhere
    if element.vr == "CS" and cleaned != value and not _CODE_STRING.fullmatch(cleaned):
        return ""  # somebody's own words
    return cleaned


def needs_value(tag: int) -> bool:
    """Tell whether some IOD needs a value, or the Basic Profile has code D for the attribute."""
    return tag in _dummied() or tag in standard.tags_with_value()


@functools.cache
def _dummied() -> frozenset[int]:
    rows = standard.profile_by_key().items()
    text_value = 0x0040A160  # of content items
    return frozenset({text_value} | {key for key, row in rows if isinstance(key, int) and "D" in row.basic})
