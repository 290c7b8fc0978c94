"""The commands of the rule language: each a small frozen class that decides for one element and can say what it does.

Lives here: the actions and the `COMMANDS` table that parses them. Does not live here: precedence, bytes, files.
"""

from __future__ import annotations

import datetime
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, TypeAlias

from dicom_anon import tags, values
from dicom_anon.errors import DicomAnonError
from dicom_anon.macros import MacroError, Template, parse_template
from dicom_anon.scope import Element


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

DATE_VRS = frozenset(("DA", "DT"))
_TEXT_AND_UNKNOWN = values.TEXT_VRS | {"UN"}


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
    """

    name: ClassVar[str]
    inserts: ClassVar[bool] = False
    vrs: ClassVar[frozenset[str] | None] = None

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

    @property
    def inside(self) -> Action | None:
        """What it does to the elements of a sequence's items that would stay; `None` to let them stay."""
        return None

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
        """Pack a text that holds no macro, to see whether it fits."""
        _check_template(self.template, vr)

    def decide(self, element: Element) -> Outcome:
        """Expand the macros."""
        return Assigned(self.template.expand(element))


@dataclass(frozen=True)
class TruncDate(Action):
    """Month and day of every date become 0101; what is no date is emptied."""

    name = "truncdate"
    vrs = DATE_VRS | {"UN"}

    def decide(self, element: Element) -> Outcome:
        """Truncate each value."""
        return Assigned("\\".join(map(truncate_date, element.values)))


@dataclass(frozen=True)
class Replace(Action):
    """A dummy takes the value's place, only where the element is present; in a sequence, every value of every item."""

    template: Template | None = None
    name = "replace"

    @property
    def parameter(self) -> str:
        """Text before macros, empty for the VR's own dummy."""
        return self.template.source if self.template else ""

    @property
    def inside(self) -> Action | None:
        """Every value inside a sequence is replaced too."""
        return Replace()

    def check(self, vr: str) -> None:
        """Pack a text that holds no macro; a sequence takes none."""
        if self.template:
            _check_template(self.template, vr)

    def decide(self, element: Element) -> Outcome:
        """Put the dummy of the VR, as often as there were values."""
        if element.vr == "SQ":
            return UNCHANGED
        if self.template:
            return Assigned(self.template.expand(element))
        if element.vr == "UI":
            return _mapped_uids(element)
        if element.vr in values.NUMBER_FORMATS or element.vr in ("OB", "UN", "AT"):
            return Assigned(bytes(len(element.raw) if len(element.raw) <= 8 else 8))
        return Assigned("\\".join([DUMMIES[element.vr]] * max(1, len(element.values))))


@dataclass(frozen=True)
class Uid(Action):
    """Every UID becomes the keyed one that belongs to it; a sequence is kept and its UIDs are replaced by their rules."""

    name = "uid"
    vrs = frozenset(("UI", "SQ", "UN"))

    def decide(self, element: Element) -> Outcome:
        """Map each UID."""
        return UNCHANGED if element.vr == "SQ" else _mapped_uids(element)


@dataclass(frozen=True)
class Hash(Action):
    """A keyed pseudonym that fits the VR: the same original, the same pseudonym."""

    name = "hash"
    vrs = values.TEXT_VRS | {"UN", "US", "UL", "SS", "SL", "UV", "SV", "FL", "FD"}

    def decide(self, element: Element) -> Outcome:
        """Hash each value; an empty one stays empty."""
        return Assigned("\\".join(pseudonym(element, value) if value else "" for value in element.values))


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
        """Substitute in each value."""
        found = [re.sub(self.find, self.replacement, value) for value in element.values]
        return UNCHANGED if found == element.values else Assigned("\\".join(found))


@dataclass(frozen=True)
class Compound(Action):
    """One of several commands, by the Type that the attribute has in the file's IOD (PS3.15 section E.3, note to D, Z, X).

    Type 1 and 1C need a value (replace), 2 and 2C may be empty (clear), 3 and attributes that the IOD lacks go (remove):
    the strongest that the row allows. An attribute whose Type is not on record gets the last one, which every IOD allows.
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
        if not element.type_is_known:
            wanted = self.codes[-1]
        else:
            wanted = _BY_TYPE.get(element.iod_type or "3", "XZDU")
        return next(_BY_CODE[code] for code in wanted if code in self.codes)

    @property
    def inside(self) -> Action | None:
        """A sequence that is replaced is replaced inside."""
        return Replace() if "D" in self.codes else None


_BY_TYPE = {"1": "UDZX", "1C": "UDZX", "2": "UZDX", "2C": "UZDX"}
"""Codes in order of preference; U before Z, since an emptied list of references breaks the objects that need it."""

_BY_CODE: dict[str, Action] = {"X": Remove(), "D": Replace(), "U": Uid()}


@dataclass(frozen=True)
class _ClearPresent(Clear):
    inserts = False


_BY_CODE["Z"] = _ClearPresent()

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


def _mapped_uids(element: Element) -> Outcome:
    pseudonyms = element.file.pseudonyms
    replace = (
        pseudonyms.instance_uid
        if element.level.parent is None and element.tag in tags.INSTANCE_UIDS
        else pseudonyms.uid
    )
    return Assigned("\\".join(replace(value.strip(" \0")) for value in element.values))


_DATE = re.compile(r"(\d{4})(\.?)(\d\d)\2(\d\d)")
_DATETIME = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(\d{0,6}(?:\.\d{1,6})?))?)?([+-]\d{4})?")


def truncate_date(value: str) -> str:
    """Set month and day of a DA or DT value to the first of January; empty where it is neither.

    >>> truncate_date("20040119"), truncate_date("19611230101112.5+0100"), truncate_date("abcdefgh")
    ('20040101', '19610101101112.5+0100', '')
    """
    value = value.strip(" \0")
    if match := _DATE.fullmatch(value):
        year, _, month, day = match.groups()  # 1961.12.30 is the form of ACR-NEMA; DICOM has no dots
        return f"{year}0101" if _is_date(year, month, day) else ""
    if match := _DATETIME.fullmatch(value):
        year, month, day, time, zone = match.groups()
        if not _is_date(year, month or "1", day or "1"):
            return ""
        return f"{year}{'01' if month else ''}{'01' if day else ''}{time or ''}{zone or ''}"
    return ""


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        datetime.date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def pseudonym(element: Element, value: str) -> str:
    """Keyed pseudonym of one value in the form of the element's VR."""
    vr, keyed = element.vr, element.file.pseudonyms
    original = value.strip(" \0")
    if vr == "UI":
        return keyed.uid(original)
    if vr == "PN":
        return keyed.person_name(original.casefold())
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


def _check_template(template: Template, vr: str) -> None:
    """Pack a text without macros into the VR, if it is known."""
    if vr == "SQ":
        raise CommandError("a sequence takes no text", "keep, remove, clear, replace")
    if not template.is_constant:
        return
    try:
        values.encode(template.source, vr.split(" or ")[0], ("utf8",))
    except values.ValueNotWritable as error:
        raise CommandError(str(error), f"a value of VR {vr}") from None


class Command(NamedTuple):
    """One row of the language: how a command is parsed, and a line for people.

    `parse` gets the text between the parentheses, `None` where there are none.
    """

    parse: Callable[[str | None], Action]
    form: str
    meaning: str
    profile: str


def _plain(action: Action) -> Callable[[str | None], Action]:
    def parse(argument: str | None) -> Action:
        if argument is not None:
            raise CommandError(f"{action.name} takes no parameter", action.name)
        return action

    return parse


def _template(command: str, argument: str) -> Template:
    try:
        return parse_template(argument)
    except MacroError as error:
        raise CommandError(str(error), "see the macros in the README; a lone @ is a plain character") from None


def _parse_set(argument: str | None) -> Action:
    if argument is None:
        raise CommandError("set needs a value", "set(value)")
    return Set(_template("set", argument))


def _parse_replace(argument: str | None) -> Action:
    return Replace(_template("replace", argument)) if argument else Replace()


def _parse_regexp(argument: str | None) -> Action:
    form = "regexp(find,replace), a comma in find escaped as \\, or inside brackets"
    cut = -1 if argument is None else _first_free_comma(argument)
    if argument is None or cut < 0:
        raise CommandError("regexp needs a pattern and a replacement", form)
    find, replacement = argument[:cut], argument[cut + 1 :]
    try:
        re.sub(find, replacement, "")
        re.compile(f"(?:{find})|").sub(replacement, "")
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise CommandError(f"not a regular expression: {error}", form) from None
    return Regexp(find, replacement)


def _first_free_comma(text: str) -> int:
    """Place of the first comma that is neither escaped nor inside (), [] or {}."""
    depth, escaped, in_set = 0, False, False
    for i, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif in_set:
            in_set = char != "]"
        elif char == "[":
            in_set = True
        elif char in "({":
            depth += 1
        elif char in ")}":
            depth -= 1
        elif char == "," and depth <= 0:
            return i
    return -1


def _compound(name: str, codes: str) -> Command:
    parts = name.split("_or_")
    meaning = f"{', '.join(parts[:-1])} or {parts[-1]}, by the Type that the attribute has in the file's IOD"
    profile = "/".join(codes).replace("U", "U*")
    return Command(_plain(Compound(name, codes)), name, meaning, profile)


COMMANDS: dict[str, Command] = {
    "keep": Command(_plain(Keep()), "keep", "unchanged; a sequence is kept and its items are processed", "K"),
    "safe": Command(_plain(Safe()), "safe", "like keep, but goes when `remove_safe_tags`", "K"),
    "remove": Command(_plain(Remove()), "remove", "removed", "X"),
    "clear": Command(_plain(Clear()), "clear", "zero-length value; inserted at top level if absent", "Z"),
    "set": Command(
        _parse_set, "set(v)", "value after macros, in the element's VR; inserted at top level if absent", "D"
    ),
    "truncdate": Command(
        _plain(TruncDate()), "truncdate", "month and day become 0101; what is not a date is emptied", "C"
    ),
    "replace": Command(
        _parse_replace,
        "replace, replace(v)",
        "dummy that fits the VR, only where present; in a sequence every item's value",
        "D",
    ),
    "uid": Command(_plain(Uid()), "uid", "consistent keyed UID, only where present", "U"),
    "hash": Command(_plain(Hash()), "hash", "keyed pseudonym that fits the VR, only where present", "D"),
    "regexp": Command(_parse_regexp, "regexp(find,replace)", "substitution in the text", "C"),
    "remove_or_clear": _compound("remove_or_clear", "XZ"),
    "remove_or_replace": _compound("remove_or_replace", "XD"),
    "clear_or_replace": _compound("clear_or_replace", "ZD"),
    "remove_or_clear_or_replace": _compound("remove_or_clear_or_replace", "XZD"),
    "remove_or_clear_or_uid": _compound("remove_or_clear_or_uid", "XZU"),
}

_COMMAND = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*", re.DOTALL)


def parse_action(text: str) -> Action:
    """Read one command, exactly as the language spells it.

    Parameters
    ----------
    text : str
        Such as ``keep`` or ``set(@fake_name@)``. Between the first and the last parenthesis everything is the value.

    Raises
    ------
    CommandError
        It is none; the nearest one is suggested.

    Examples
    --------
    >>> parse_action("set(a)b)").describe()
    'set(a)b)'
    """
    match = _COMMAND.fullmatch(text)
    command = COMMANDS.get(match[1]) if match else None
    if match is None or command is None:
        near = tags.nearest(match[1] if match else text, tuple(COMMANDS))
        hint = f'; did you mean "{near}"?' if near else ""
        raise CommandError(f'unknown command "{text}"{hint}', ", ".join(row.form for row in COMMANDS.values()))
    return command.parse(match[2])
