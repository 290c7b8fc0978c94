"""Content items: what becomes of one, by its concept name and value type (PS3.15 section E.3.4).

Lives here: that decision, also for the items of acquisition context, specimen preparation and waveform
annotations. Does not live here: the table, and what the commands do to a value.
"""

from __future__ import annotations

from dataclasses import dataclass

from dicom_anon import standard
from dicom_anon.actions.base import UNCHANGED, Action, Keep, Outcome, Remove
from dicom_anon.actions.dummies import INSIDE, Uid
from dicom_anon.actions.text import Clean
from dicom_anon.scope import Element, Level

CODE_VALUE = 0x00080100
CODING_SCHEME_DESIGNATOR = 0x00080102
LONG_CODE_VALUE = 0x00080119
RELATIONSHIP_TYPE = 0x0040A010
VALUE_TYPE = 0x0040A040
CONCEPT_NAME_CODE_SEQUENCE = 0x0040A043
UID_VALUE = 0x0040A124
TEXT_VALUE = 0x0040A160

VALUES = frozenset(
    (
        0x0040A120,  # DateTime
        0x0040A121,  # Date
        0x0040A122,  # Time
        0x0040A123,  # Person Name
        UID_VALUE,
        TEXT_VALUE,
        0x0040A168,  # Concept Code Sequence
        0x0040A300,  # Measured Value Sequence
        0x0040A30A,  # Numeric Value, of items that hold it themselves
        0x0040A161,  # Floating Point Value
        0x0040A162,  # Rational Numerator Value
        0x0040A163,  # Rational Denominator Value
    )
)
"""Attributes that hold the value of a content item (PS3.3 sections C.17.3 and C.18, 10.2)."""

CALIBRATION = ("DCM", "113723")
"""Concept of a date that many patients have: moved, it would tell by how many days those of one moved more than those
of another, like the elements in `decisions.SHARED_DATES`."""

REMOVE = Remove()
_KEEP = Keep()


@dataclass(frozen=True)
class ContentItem(Action):
    """The value of one content item.

    Parameters
    ----------
    code : str
        K keeps a UID and leaves other values to the rows of their elements, U leaves the UID to its row, C cleans the
        text, D puts a dummy.
    clean : Clean
        The action around it, for its text.
    """

    code: str
    clean: Clean
    name = "clean"

    @property
    def parameter(self) -> str:
        """Code for this item."""
        return f"content item: {self.code}"

    def over(self, row: Action, tag: int) -> Action:
        """Let the code decide for the value, cleaning for other text."""
        if tag not in VALUES:
            return row if tag == CONCEPT_NAME_CODE_SEQUENCE or self.code in "KU" else self.clean.over(row, tag)
        if self.code == "D":
            return row if isinstance(row, Remove) else INSIDE
        if tag == UID_VALUE and self.code == "K" and isinstance(row, Uid):
            return _KEEP  # the row is of UIDs whose concept no option knows
        if tag == TEXT_VALUE and self.code == "C":
            return self.clean.over(row, tag)
        return row

    def decide(self, element: Element) -> Outcome:
        """Never asked: it only chooses."""
        return UNCHANGED


def content_action(item: Level, clean: Clean) -> Action:
    """Choose what becomes of an item in a sequence that is cleaned.

    Returns
    -------
    Action
        `clean` for an item without a concept name, `Remove` for one that goes, else its `ContentItem`.
    """
    concept = concept_of(item)
    if concept is None:
        return clean
    value_type = (item.text(VALUE_TYPE) or "").strip()
    code = concept_code(concept, value_type, clean.options)
    if code == "X":
        needed = (item.text(RELATIONSHIP_TYPE) or "").strip() == "SELECTED FROM"
        if not needed and not item.file.has_content_references:
            return REMOVE
        code = "D"  # coordinates need the image they are drawn on, and references count items, so none may go
    return ContentItem(code, clean)


def concept_of(item: Level) -> tuple[str, str] | None:
    """Coding scheme and code value of an item's concept name, `None` where it has none."""
    names = item.items(CONCEPT_NAME_CODE_SEQUENCE)
    if not names:
        return None
    value = names[0].text(CODE_VALUE) or names[0].text(LONG_CODE_VALUE) or ""
    return (names[0].text(CODING_SCHEME_DESIGNATOR) or "").strip(), value.strip()


def concept_code(concept: tuple[str, str], value_type: str, options: tuple[str, ...]) -> str:
    """Code of Table E.3.4-1 for a content item: K, C, D or X; U, which leaves all to the rows, for what is not in it.

    Parameters
    ----------
    concept : tuple of str
        Coding scheme and code value.
    value_type : str
        Value Type of the item; empty where it has none.
    options : tuple of str
        Options of the profile that apply.

    Examples
    --------
    >>> [concept_code(("DCM", "121071"), "TEXT", options) for options in ((), ("clean_descriptors",))]
    ['D', 'C']
    >>> concept_code(("DCM", "121031"), "DATE", ("retain_full_dates",)), concept_code(("SCT", "1"), "NUM", ())
    ('X', 'U')
    """
    for row in standard.sr_concepts().get(concept, ()):
        if row.value_type == value_type:
            codes = {row.options[option] for option in options if option in row.options}
            if codes and not (concept == CALIBRATION and "C" in codes):
                return "C" if "C" in codes else "K"
            return "D" if "D" in row.basic else row.basic
    return {"TEXT": "C", "": "C"}.get(value_type, "U")
