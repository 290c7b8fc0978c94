"""What an action is, what it may decide, and the commands that need no look at the value.

Lives here: `Action`, its outcomes, keep, safe, remove, clear, set. Does not live here: other commands, the
parser.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, TypeAlias

from dicom_anon import values
from dicom_anon.errors import DicomAnonError
from dicom_anon.macros import Template
from dicom_anon.scope import Element, Level


class CommandError(DicomAnonError):
    """A text that is no command, or one that cannot work on its element."""

    def __init__(self, problem: str, accepted: str = "") -> None:
        super().__init__(problem)
        self.accepted = accepted


@dataclass(frozen=True)
class Unchanged:
    """The element stays; of a sequence, the items are worked on."""


@dataclass(frozen=True)
class Removed:
    """The element goes, with all it holds."""


@dataclass(frozen=True)
class Assigned:
    """The element gets this value: text to be packed into its VR, or bytes that fit already."""

    value: str | bytes


Outcome: TypeAlias = "Unchanged | Removed | Assigned"

UNCHANGED: Final = Unchanged()
REMOVED: Final = Removed()
CLEARED: Final = Assigned(b"")


@dataclass(frozen=True)
class Action(ABC):
    """What is done to one element.

    Attributes
    ----------
    name : str
        The command.
    inserts : bool
        Whether an absent element is inserted at top level.
    vrs : frozenset of str or None
        VRs on which it can work; `None` for all.
    reads_value : bool
        Whether it must see a value to leave it.
    """

    name: ClassVar[str]
    inserts: ClassVar[bool] = False
    vrs: ClassVar[frozenset[str] | None] = None
    reads_value: ClassVar[bool] = True

    @property
    def command(self) -> str:
        """Word of the language that names it."""
        return self.name

    @property
    def parameter(self) -> str:
        """What stands between the parentheses."""
        return ""

    def describe(self) -> str:
        """Write the action as a configuration would."""
        return f"{self.command}({self.parameter})" if self.parameter else self.command

    def enter(self, item: Level) -> Action | None:
        """Say what it does to the elements of one item of its sequence.

        Returns
        -------
        Action or None
            Takes part in the decision for every element of the item, see `over`; `None` leaves the item to
            the rules of its elements and to the action around the sequence, and `Remove` drops the whole
            item.
        """
        return None

    def over(self, row: Action, tag: int) -> Action:
        """Choose between this action, which a sequence brought along, and the element's own row.

        What would stay is done as the sequence says; a row that does something to the element has its way.
        """
        return self if isinstance(row, Keep) else row

    def check(self, vr: str) -> None:
        """Refuse, when a configuration is read, what cannot work on an element of this VR (PS3.6).

        Raises
        ------
        CommandError
            It cannot.
        """
        if self.vrs is not None and not self.vrs.intersection(vr.split(" or ")):
            accepted = ", ".join(sorted(self.vrs - {"UN"}))
            raise CommandError(f"{self.name} does not work on an element of VR {vr}", f"VR {accepted}")

    @abstractmethod
    def decide(self, element: Element) -> Outcome:
        """Decide for one element, on original values."""


@dataclass(frozen=True)
class Keep(Action):
    """The element stays as it is."""

    name = "keep"
    reads_value = False

    def decide(self, element: Element) -> Outcome:
        """Leave it."""
        return UNCHANGED


@dataclass(frozen=True)
class Safe(Keep):
    """Like `Keep`, but it goes when `remove_safe_tags` is on."""

    name = "safe"


@dataclass(frozen=True)
class Remove(Action):
    """The element goes."""

    name = "remove"

    def over(self, row: Action, tag: int) -> Action:
        """Let nothing stay of an item that goes."""
        return self

    def decide(self, element: Element) -> Outcome:
        """Drop it."""
        return REMOVED


@dataclass(frozen=True)
class Clear(Action):
    """The value becomes empty; an absent element is inserted empty."""

    name = "clear"
    inserts = True

    def decide(self, element: Element) -> Outcome:
        """Empty it."""
        return CLEARED


@dataclass(frozen=True)
class ClearPresent(Clear):
    """Like `Clear`, but nothing is inserted: the Z of a compound command."""

    inserts = False


@dataclass(frozen=True)
class Set(Action):
    """The value becomes a text after macros; an absent element is inserted."""

    template: Template
    name = "set"
    inserts = True

    @property
    def parameter(self) -> str:
        """Text before macros."""
        return self.template.source

    def describe(self) -> str:
        """Write the action; `set()` sets an empty value."""
        return f"set({self.parameter})"

    def check(self, vr: str) -> None:
        """Pack the text, if its form is known, to see whether it fits."""
        check_template(self.template, vr)

    def decide(self, element: Element) -> Outcome:
        """Expand the macros."""
        return Assigned(self.template.expand(element))


_FORMS = {
    "AS": "three digits and D, W, M or Y, such as 042Y",
    "CS": "at most 16 characters A-Z, 0-9, space or _",
    "DA": "YYYYMMDD, a real date",
    "DS": "a decimal number with a point, at most 16 characters",
    "DT": "YYYYMMDDHHMMSS, a real date and time",
    "IS": "a whole number",
    "LO": "at most 64 characters",
    "SH": "at most 16 characters",
    "TM": "HHMMSS, a real time of day",
    "UI": "numbers with dots between them, at most 64 characters",
    "US": "a whole number from 0 to 65535",
}
"""How values of the more usual VRs look (PS3.5 table 6.2-1)."""


_OF_LINES = frozenset(("LT", "ST", "UT"))
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile(r"[\0-\x08\x0b\x0e-\x1f\x7f-\x9f]")
"""All control characters; all but TAB, LF, FF and CR, which texts of lines may hold (PS3.5 section 6.2)."""


def _accepted(vr: str) -> str:
    form = _FORMS.get(vr, "")
    return f"a value of VR {vr}" + (f": {form}" if form else "")


def check_template(template: Template, vr: str) -> None:
    """Pack a text without macros, or one whose macros always give the same form, into the VR, if it is known.

    Raises
    ------
    CommandError
        It does not fit, or the element is a sequence.
    """
    if vr == "SQ":
        raise CommandError("a sequence takes no text", "keep, remove, clear, replace")
    control = _CONTROL_BUT_LINES if vr in _OF_LINES else _CONTROL
    if vr in values.TEXT_VRS and any(isinstance(part, str) and control.search(part) for part in template.parts):
        raise CommandError(f"control characters in VR {vr}", _accepted(vr))
    sample = template.sample
    if sample is None:
        return
    problems = [_misfit(sample, one) for one in vr.split(" or ")]
    if all(problems):
        raise CommandError("; ".join((problems[0], *template.forms)), _accepted(vr))


def _misfit(text: str, vr: str) -> str:
    """Say why a text does not fit a VR; empty where it does."""
    try:
        values.encode(text, vr, ("utf8",))
        if vr == "DA":
            for value in filter(None, text.split("\\")):
                datetime.strptime(value.strip(), "%Y%m%d")
    except ValueError:
        return "no day of the calendar"
    except values.ValueNotWritable as error:
        return str(error)
    except values.NeedsWiderCharacterSet:
        return "the text is no valid Unicode"
    return ""
