"""The statement that each output carries of what was done to it: (0012,0062) to (0012,0064) and (0028,0303).

Lives here: which claims an assignment allows (PS3.15 section E.1.1). Does not live here: who may overrule a
stamp.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dicom_anon import standard, tags
from dicom_anon._version import __version__
from dicom_anon.actions import (
    DATE_VRS,
    Action,
    Assigned,
    Clear,
    Compound,
    Hash,
    Keep,
    Outcome,
    Remove,
    Replace,
    Set,
    Uid,
)
from dicom_anon.actions.content import CODE_VALUE, CODING_SCHEME_DESIGNATOR
from dicom_anon.elements import element_bytes, item_bytes
from dicom_anon.macros import Call, parse_template
from dicom_anon.profile import FULL_DATES, MODIFIED_DATES, SAFE_PRIVATE
from dicom_anon.scope import OBJECT, Element
from dicom_anon.tags import Key, Pattern

CODE_MEANING = 0x00080104

DEIDENTIFYING_PRESETS = frozenset(("default", "basic", "tcia", "mercure"))
"""Presets that remove a patient's identity unless a rule keeps name or ID."""


@dataclass(frozen=True)
class MethodCodes(Action):
    """Items of *De-identification Method Code Sequence*, from CID 7050 (PS3.16)."""

    codes: tuple[tuple[str, str], ...]
    name = "stamp"
    inserts = True

    @property
    def parameter(self) -> str:
        """Code values."""
        return ", ".join(code for code, _ in self.codes)

    def decide(self, element: Element) -> Outcome:
        """Write the items in the encoding of the Data Set."""
        encoding = element.level.encoding
        items = []
        for code, meaning in self.codes:
            fields = (
                (CODE_VALUE, "SH", code),
                (CODING_SCHEME_DESIGNATOR, "SH", "DCM"),
                (CODE_MEANING, "LO", meaning),
            )
            raw = b"".join(
                element_bytes(tag, vr, text.encode() + b" " * (len(text) % 2), encoding) for tag, vr, text in fields
            )
            items.append(item_bytes(raw, encoding))
        return Assigned(b"".join(items))


_NAMING = (tags.PATIENT_NAME, tags.PATIENT_ID, tags.OTHER_PATIENT_IDS, 0x00101001, 0x00101002, 0x00101005)
"""Names and IDs of the patient, the other ones and the birth name among them."""


@dataclass(frozen=True)
class IdentityRemoved(Action):
    """YES, but NO for an object that may show text in its pixels, which no rule reaches."""

    name = "stamp"
    inserts = True

    @property
    def parameter(self) -> str:
        """Both values."""
        return "YES, or NO where text may be burned in"

    def decide(self, element: Element) -> Outcome:
        """Ask what is known of the object."""
        facts = element.file.memo.get(OBJECT)
        return Assigned("NO" if facts is not None and facts.burned_in else "YES")


def stamp_actions(
    preset: str, actions: Mapping[Key, Action], remove_unknown: bool, asked: Iterable[str] = ()
) -> dict[Key, Action]:
    """Rules that write the stamps of an assignment.

    Parameters
    ----------
    preset : str
        Effective preset.
    actions : Mapping[Key, Action]
        The assignment without stamps.
    remove_unknown : bool
        Whether elements without a row go.
    asked : iterable of str
        Options of the profile that were asked for.
    """
    left = _Left(actions, remove_unknown)
    named = not remove_unknown or any(map(left.by, _NAMING))
    options = _claim(left, remove_unknown, asked).options
    removed = options is not None or (preset in DEIDENTIFYING_PRESETS and not named)
    method = [f"dicom-anon {__version__}", f"preset {preset}"]
    codes: tuple[tuple[str, str], ...] = ()
    if options is not None:
        method += [f"{standard.EDITION} Basic Profile", *options]
        known = standard.method_codes()
        codes = tuple(known[option] for option in ("basic", *options))
    return {
        tags.PATIENT_IDENTITY_REMOVED: IdentityRemoved() if removed else Set(parse_template("NO")),
        tags.LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED: Set(parse_template(_dates(left))),
        tags.DEIDENTIFICATION_METHOD: Set(parse_template("\\".join(method))),
        tags.DEIDENTIFICATION_METHOD_CODES: MethodCodes(codes) if codes else Remove(),
    }


class Claim(NamedTuple):
    """What an assignment may say of itself.

    Parameters
    ----------
    options : tuple of str or None
        Options of PS3.15 Annex E without which it would not conform to the Basic Profile, in the order of
        the table; `None` where it does not conform.
    hindrances : tuple of str
        Why it does not: rows that are weaker than the profile and every option allow, and the like; then the rows
        that an option would allow.
    """

    options: tuple[str, ...] | None
    hindrances: tuple[str, ...] = ()


def claim(actions: Mapping[Key, Action], remove_unknown: bool, asked: Iterable[str] = ()) -> Claim:
    """Compare an assignment with Table E.1-1, row by row.

    Parameters
    ----------
    actions : Mapping[Key, Action]
        The assignment; its stamps do not matter.
    remove_unknown : bool
        Whether elements without a row go; private ones among them, as the profile demands.
    asked : iterable of str
        Options that were asked for: named where several would allow the same row.
    """
    return _claim(_Left(actions, remove_unknown), remove_unknown, asked)


def _claim(left: _Left, remove_unknown: bool, asked: Iterable[str]) -> Claim:
    wanted = set(asked)
    needed: set[str] = set()
    choices: list[list[str]] = []
    hindrances: list[str] = []
    optional: list[str] = []
    if not remove_unknown:
        hindrances.append("remove_unknown_tags is off, so private elements stay")
    for key, row in standard.profile_by_key().items():
        action = left.by(key)
        if action is None or row.basic == "K":
            continue
        if row.vr == "SQ" and isinstance(action, Keep) and "U" in row.basic:
            continue  # kept for the sake of the UIDs in it, which have rows of their own
        found = _allowing(action, row)
        named = f"{tags.format_key(key)} {row.keyword}".rstrip()
        told = f"{named}: {action.describe()}, the profile says {row.basic}"
        if not found:
            hindrances.append(told)
            continue
        optional.append(f"{told} without {' or '.join(found)}")
        if len(found) == 1:
            needed.update(found)
        else:
            choices.append(found)
    for key, action in left.of_private():
        if key in standard.safe_private():
            needed.add(SAFE_PRIVATE)
        else:
            hindrances.append(f"{tags.format_key(key)}: {action.describe()}, and it is not known to be safe")
    if SAFE_PRIVATE in wanted:
        needed.add(SAFE_PRIVATE)
    for found in choices:
        if not needed.intersection(found):
            needed.add(next((option for option in found if option in wanted), found[0]))
    if {FULL_DATES, MODIFIED_DATES} <= needed:
        hindrances.append("some dates are kept and others are modified")
    if hindrances:
        return Claim(None, (*hindrances, *optional))
    return Claim(tuple(option for option in standard.PROFILE_OPTIONS if option in needed))


class _Left:
    """By which action something of an element's original value may be left.

    Parameters
    ----------
    actions : Mapping[Key, Action]
        The assignment.
    remove_unknown : bool
        Whether elements without a row go.
    """

    def __init__(self, actions: Mapping[Key, Action], remove_unknown: bool) -> None:
        self._actions = actions
        self._unknown: Action = Remove() if remove_unknown else Keep()
        special = [key for key in actions if not isinstance(key, int) or tags.is_private(key)]
        self._private = [key for key in special if not isinstance(key, Pattern) or tags.is_private(key.value)]
        self._patterns = tags.patterns_of(special)
        shared = {id(action): action for action in (*actions.values(), self._unknown)}  # rows of one command have one
        self._retaining = {number for number, action in shared.items() if _retains(action)}
        self._copying: dict[Key, Action] = {tag: action for action in shared.values() for tag in _written(action)}

    def by(self, key: Key) -> Action | None:
        """Find that action, `None` where nothing is left; of a repeating group one element is enough.

        It is the rule for the element, or one that writes its value into another.
        """
        found = [self._deciding(key), *(self._within(key) if isinstance(key, Pattern) else ())]
        return next((action for action in found if id(action) in self._retaining), self._copying.get(key))

    def of_private(self) -> Iterator[tuple[Key, Action]]:
        """Find the rules that leave something of private elements."""
        for key in self._private:
            if id(self._actions[key]) in self._retaining:
                yield key, self._actions[key]

    def _deciding(self, key: Key) -> Action:
        """Find the rule for a key: its own, else that of the narrowest pattern around it, as in the engine."""
        if key in self._actions:
            return self._actions[key]
        around = (pattern for pattern in self._patterns if pattern.covers(key))
        return next((self._actions[pattern] for pattern in around), self._unknown)

    def _within(self, group: Pattern) -> Iterator[Action]:
        """Find the rules for some of the elements of a repeating group."""
        mask, value = group
        yield from (action for key, action in self._actions.items() if isinstance(key, int) and key & mask == value)
        for pattern in self._patterns:
            if not (pattern.value ^ value) & pattern.mask & mask and not pattern.covers(group):
                yield self._actions[pattern]


def _retains(action: Action) -> bool:
    """Tell whether something of the original value may be left; what is not known to leave nothing does."""
    if isinstance(action, Set | Replace):
        return bool(_written(action))
    return not isinstance(action, Remove | Clear | Uid | Hash | Compound | MethodCodes | IdentityRemoved)


def _written(action: Action) -> list[int]:
    """Tags whose original values an action writes; 0 stands for the element's own."""
    parts = action.template.parts if isinstance(action, Set | Replace) and action.template else ()
    return [int(part.argument) for part in parts if isinstance(part, Call) and part.name == "value"]


def _allowing(action: Action, row: standard.ProfileRow) -> list[str]:
    """Options that allow what is retained: K for a value as it is, C or K for one that was changed."""
    if isinstance(action, Set | Replace):
        return []
    kept = [option for option, code in row.options.items() if code == "K"]
    if isinstance(action, Keep):
        return kept
    return [option for option, code in row.options.items() if code == "C"] or kept


def _dates(left: _Left) -> str:
    """Value of (0028,0303): the study's date decides, else what other date is left (PS3.3 section C.12.1)."""
    kept = [
        action
        for key, row in standard.profile_by_key().items()
        if row.vr in DATE_VRS and FULL_DATES in row.options and "retain_device_identity" not in row.options
        if (action := left.by(key)) is not None
    ]
    if not kept:
        return "REMOVED"
    decisive = left.by(tags.STUDY_DATE) or next((action for action in kept if isinstance(action, Keep)), kept[0])
    return "UNMODIFIED" if isinstance(decisive, Keep) else "MODIFIED"
