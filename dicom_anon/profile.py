"""The options of PS3.15 Annex E: what a rule set gains from each, computed from Table E.1-1.

Lives here: option names to rules. Does not live here: the Basic Profile itself (a preset), precedence,
stamps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dicom_anon import standard, tags
from dicom_anon.actions import CONTENT_OPTIONS, Action, Clean, Keep, ShiftDate, Uid
from dicom_anon.actions.dates import TEMPORAL_VRS
from dicom_anon.actions.text import CLEAN_VRS, CleanSafe
from dicom_anon.presets import decisions
from dicom_anon.tags import Key

SAFE_PRIVATE, UIDS = "retain_safe_private", "retain_uids"
FULL_DATES, MODIFIED_DATES = "retain_full_dates", "retain_modified_dates"
NOT_OFFERED = {
    "clean_pixel_data": "text burned into pixels is not found",
    "clean_recognizable_visual_features": "faces are not removed from images",
}
"""Options of Annex E that are refused, since a file would claim what nobody did."""

PROFILE_PRESETS = ("basic", "tcia")
"""Presets that follow the table row by row, so that its options can be added to them."""

_KEEP, _SHIFT, _CLEAN = Keep(), ShiftDate(), Clean()
_DECLARED_SAFE: Mapping[str, Action] = {
    "UI": Uid(),
    **dict.fromkeys(("DS", "IS"), CleanSafe(number=True)),
    **dict.fromkeys(CLEAN_VRS, CleanSafe(text=True)),
}
_DECLARED_SAFE_OTHER = CleanSafe()
"""Texts are cleaned all the same. A UID follows the public ones, also where the file has no VR."""


def parse_options(value: Any) -> tuple[str, ...]:
    """Read option names from a list, or from a text with commas.

    Returns
    -------
    tuple of str
        In the order of the table, each once.

    Raises
    ------
    ValueError
        One is unknown or not offered; the message says which.

    Examples
    --------
    >>> parse_options("retain_uids, clean_descriptors")
    ('clean_descriptors', 'retain_uids')
    """
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError("is no list of options")
    known = tuple(standard.PROFILE_OPTIONS)
    found = {name.strip() for name in names if name.strip()}
    for name in sorted(found):
        if name in NOT_OFFERED:
            raise ValueError(f"{name} is not offered: {NOT_OFFERED[name]}")
        if name not in known:
            raise ValueError(f'no option "{name}"{tags.did_you_mean(name, known)}')
    return tuple(name for name in known if name in found)


def conflict(options: Iterable[str]) -> str:
    """Say why options cannot stand together; empty where they can (PS3.15 section E.3.6)."""
    if {FULL_DATES, MODIFIED_DATES} <= set(options):
        return f"{FULL_DATES} and {MODIFIED_DATES} exclude each other"
    return ""


def option_rules(options: Iterable[str]) -> dict[Key, tuple[Action, str]]:
    """Rules that options put over those of the Basic Profile.

    Parameters
    ----------
    options : iterable of str
        Names of options that can stand together.

    Returns
    -------
    dict of Key to (Action, str)
        Action and the option it comes from. Where options disagree on a row, cleaning wins over keeping.
        Rows that cannot be cleaned by a rule are left out and stay with the profile: overlay bitmaps,
        curves, the two binary time stamps, and dates that are known from elsewhere or to many. UIDs that the table does
        not list are kept as those that it does, since they refer to them.
    """
    chosen = tuple(option for option in standard.PROFILE_OPTIONS if option in set(options))
    rules: dict[Key, tuple[Action, str]] = {}
    for key, row in standard.profile_by_key().items():
        codes = {option: row.options[option] for option in chosen if option in row.options}
        if not codes or row.tag.startswith("(0004"):
            continue  # group 0004 belongs to a DICOMDIR and goes anywhere else
        option = next((option for option, code in codes.items() if code == "C"), next(iter(codes)))
        action = _KEEP if codes[option] == "K" else _cleaning(row, chosen)
        if action is not None:
            rules[key] = action, option
    if UIDS in chosen:
        for keyword, choice in decisions.VALID.items():
            if choice.command == "uid" and (tag := tags.tag_for_keyword(keyword)) is not None:
                rules[tag] = _KEEP, UIDS
    if SAFE_PRIVATE in chosen:
        for safe, vr in standard.safe_private().items():
            as_public = vr == "UI" and UIDS in chosen
            rules[safe] = _KEEP if as_public else _DECLARED_SAFE.get(vr, _DECLARED_SAFE_OTHER), SAFE_PRIVATE
    return rules


def _cleaning(row: standard.ProfileRow, options: tuple[str, ...]) -> Action | None:
    """Find what code C means for an attribute, `None` where no rule can do it."""
    if row.keyword in decisions.SHARED_DATES:
        return None
    if row.vr in TEMPORAL_VRS:
        return _SHIFT
    if row.vr == "SQ" and "clean_structured_content" in row.options:
        return Clean(tuple(option for option in CONTENT_OPTIONS if option in options))
    if row.tag.startswith(("(60xx", "(50xx")):
        return None  # a bitmap or a curve may show writing, which nobody has looked for; they go
    return _CLEAN if row.vr == "SQ" or row.vr in CLEAN_VRS else None
