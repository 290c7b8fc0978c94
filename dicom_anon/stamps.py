"""The statement that each output carries of what was done to it: (0012,0062) to (0012,0064) and (0028,0303).

Lives here: which claims an assignment allows (PS3.15 section E.1.1). Does not live here: who may overrule a stamp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dicom_anon import standard, tags
from dicom_anon._version import __version__
from dicom_anon.actions import Action, Assigned, Clear, Compound, Keep, Outcome, Regexp, Remove, Replace, Set, TruncDate
from dicom_anon.elements import element_bytes, item_bytes
from dicom_anon.macros import parse_template
from dicom_anon.scope import Element
from dicom_anon.tags import Key, Pattern

CODE_VALUE = 0x00080100
CODING_SCHEME_DESIGNATOR = 0x00080102
CODE_MEANING = 0x00080104

DEIDENTIFYING_PRESETS = frozenset(("default", "basic", "mercure"))
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
            fields = ((CODE_VALUE, "SH", code), (CODING_SCHEME_DESIGNATOR, "SH", "DCM"), (CODE_MEANING, "LO", meaning))
            raw = b"".join(
                element_bytes(tag, vr, text.encode() + b" " * (len(text) % 2), encoding) for tag, vr, text in fields
            )
            items.append(item_bytes(raw, encoding))
        return Assigned(b"".join(items))


def stamp_actions(preset: str, actions: Mapping[Key, Action], remove_unknown: bool) -> dict[Key, Action]:
    """Rules that write the stamps of an assignment.

    Parameters
    ----------
    preset : str
        Effective preset.
    actions : Mapping[Key, Action]
        The assignment without stamps.
    remove_unknown : bool
        Whether elements without a row go.
    """
    options = claimed_options(actions, remove_unknown)
    removed = _identity_removed(preset, actions, remove_unknown, options)
    method = "\\".join((f"dicom-anon {__version__}", f"preset {preset}", f"PS3.15 {standard.EDITION.split()[-1]}"))
    stamps: dict[Key, Action] = {
        tags.PATIENT_IDENTITY_REMOVED: Set(parse_template("YES" if removed else "NO")),
        tags.LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED: Set(parse_template(_dates(actions, remove_unknown))),
        tags.DEIDENTIFICATION_METHOD: Set(parse_template(method)),
        tags.DEIDENTIFICATION_METHOD_CODES: Remove(),
    }
    if options is not None:
        codes = standard.method_codes()
        stamps[tags.DEIDENTIFICATION_METHOD_CODES] = MethodCodes(
            tuple(codes[option] for option in ("basic", *options))
        )
    return stamps


def claimed_options(actions: Mapping[Key, Action], remove_unknown: bool) -> tuple[str, ...] | None:
    """Options of PS3.15 Annex E without which the assignment would not conform to the Basic Profile.

    Returns
    -------
    tuple of str or None
        In the order of the table; `None` where some row is weaker than the profile and every option allow.
    """
    needed: set[str] = set()
    for row in standard.profile_rows():
        try:
            key = tags.parse_key(row.tag)
        except tags.TagSyntaxError:  # the row for private attributes
            continue
        action = actions.get(key) or _covering(actions, key)
        if action is None:
            if remove_unknown or isinstance(key, Pattern):
                continue
            return None
        if not _may_retain(action) or row.basic == "K":
            continue
        accepted = "K" if isinstance(action, Keep) and row.vr != "SQ" else "KC"
        options = [option for option, code in row.options.items() if code in accepted]
        if not options:
            return None
        if not needed.intersection(options):
            needed.add(options[0])
    if {"retain_full_dates", "retain_modified_dates"} <= needed:
        return None
    return tuple(option for option in standard.PROFILE_OPTIONS if option in needed)


def _covering(actions: Mapping[Key, Action], key: Key) -> Action | None:
    tag = key if isinstance(key, int) else key.value if isinstance(key, Pattern) else 0
    return next((a for k, a in actions.items() if isinstance(k, Pattern) and k.matches(tag)), None)


def _may_retain(action: Action) -> bool:
    return isinstance(action, Keep | TruncDate | Regexp)


def _identity_removed(
    preset: str, actions: Mapping[Key, Action], remove_unknown: bool, options: tuple[str, ...] | None
) -> bool:
    if options is not None:
        return True
    kept = [
        tag
        for tag in (tags.PATIENT_NAME, tags.PATIENT_ID)
        if (isinstance(actions[tag], Keep) if tag in actions else not remove_unknown)
    ]
    return preset in DEIDENTIFYING_PRESETS and not kept


def _dates(actions: Mapping[Key, Action], remove_unknown: bool) -> str:
    action = actions.get(tags.STUDY_DATE)
    if action is None:
        return "REMOVED" if remove_unknown else "UNMODIFIED"
    if isinstance(action, Keep):
        return "UNMODIFIED"
    return "REMOVED" if isinstance(action, Remove | Clear | Replace | Compound) else "MODIFIED"
