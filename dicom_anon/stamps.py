"""The statement that each output carries of what was done to it: (0012,0062) to (0012,0064) and (0028,0303).

Lives here: which claims an assignment allows (PS3.15 section E.1.1). Does not live here: who may overrule a
stamp.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dicom_anon import standard, tags
from dicom_anon._version import __version__
from dicom_anon.actions import (
    Action,
    Assigned,
    Clean,
    Keep,
    Outcome,
    Regexp,
    Remove,
    Replace,
    Set,
    ShiftDate,
    TruncDate,
)
from dicom_anon.elements import element_bytes, item_bytes
from dicom_anon.macros import Call, parse_template
from dicom_anon.profile import FULL_DATES, MODIFIED_DATES, SAFE_PRIVATE, is_safe_private
from dicom_anon.scope import OBJECT, Element
from dicom_anon.tags import Key, Pattern, PrivateKey

CODE_VALUE = 0x00080100
CODING_SCHEME_DESIGNATOR = 0x00080102
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
    options = claim(actions, remove_unknown, asked).options
    removed = options is not None or (preset in DEIDENTIFYING_PRESETS and not _names_kept(actions, remove_unknown))
    method = [f"dicom-anon {__version__}", f"preset {preset}"]
    codes: tuple[tuple[str, str], ...] = ()
    if options is not None:
        method += [f"{standard.EDITION} Basic Profile", *options]
        known = standard.method_codes()
        codes = tuple(known[option] for option in ("basic", *options))
    return {
        tags.PATIENT_IDENTITY_REMOVED: IdentityRemoved() if removed else Set(parse_template("NO")),
        tags.LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED: Set(parse_template(_dates(actions, remove_unknown))),
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
        Why it does not: rows that are weaker than the profile and every option allow, and the like.
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
    wanted = set(asked)
    needed: set[str] = set()
    choices: list[list[str]] = []
    hindrances: list[str] = []
    if not remove_unknown:
        hindrances.append("remove_unknown_tags is off, so private elements stay")
    for key, row in _table():
        action = actions.get(key) or _covering(actions, key)
        if action is None and not remove_unknown and isinstance(key, int):
            action = Keep()
        if action is None or not _retains(action) or row.basic == "K":
            continue
        if row.vr == "SQ" and isinstance(action, Keep) and "U" in row.basic:
            continue  # kept for the sake of the UIDs in it, which have rows of their own
        found = _allowing(action, row)
        if not found:
            hindrances.append(
                f"{tags.format_key(key)} {row.keyword}: {action.describe()}, the profile says {row.basic}"
            )
        elif len(found) == 1:
            needed.update(found)
        else:
            choices.append(found)
    for key, action in actions.items():
        if isinstance(key, PrivateKey) and _retains(action):
            if is_safe_private(key):
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
        return Claim(None, tuple(hindrances))
    return Claim(tuple(option for option in standard.PROFILE_OPTIONS if option in needed))


def _table() -> Iterable[tuple[Key, standard.ProfileRow]]:
    for row in standard.profile_rows():
        if row.tag[1:5] not in ("0000", "0002", "gggg"):
            yield tags.parse_key(row.tag), row


def _covering(actions: Mapping[Key, Action], key: Key) -> Action | None:
    tag = key if isinstance(key, int) else key.value if isinstance(key, Pattern) else 0
    return next((a for k, a in actions.items() if isinstance(k, Pattern) and k.matches(tag)), None)


def _retains(action: Action) -> bool:
    """Tell whether something of the original value may be left."""
    if isinstance(action, Set | Replace):
        parts = action.template.parts if action.template else ()
        return any(isinstance(part, Call) and part.name == "value" for part in parts)
    return isinstance(action, Keep | TruncDate | ShiftDate | Regexp | Clean)


def _allowing(action: Action, row: standard.ProfileRow) -> list[str]:
    """Options that allow what is retained: K for a value as it is, C or K for one that was changed."""
    if isinstance(action, Set | Replace):
        return []
    kept = [option for option, code in row.options.items() if code == "K"]
    if isinstance(action, Keep):
        return kept
    return [option for option, code in row.options.items() if code == "C"] or kept


def _names_kept(actions: Mapping[Key, Action], remove_unknown: bool) -> bool:
    return any(
        _retains(actions[tag]) if tag in actions else not remove_unknown for tag in (tags.PATIENT_NAME, tags.PATIENT_ID)
    )


def _dates(actions: Mapping[Key, Action], remove_unknown: bool) -> str:
    """Value of (0028,0303): the study's date decides, else what other date is left (PS3.3 section C.12.1)."""
    rows = [
        key
        for key, row in _table()
        if row.vr in ("DA", "DT") and FULL_DATES in row.options and "retain_device_identity" not in row.options
    ]
    found = [actions.get(key) or (Remove() if remove_unknown else Keep()) for key in (tags.STUDY_DATE, *rows)]
    left = [action for action in found if _retains(action)]
    if not left:
        return "REMOVED"
    decisive = found[0] if _retains(found[0]) else next((a for a in left if isinstance(a, Keep)), left[0])
    return "UNMODIFIED" if isinstance(decisive, Keep) else "MODIFIED"
