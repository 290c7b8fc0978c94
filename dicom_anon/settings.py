"""The settings of a section, all that is no rule: by name, how a value is read, and what is accepted.

Lives here: their values. Does not live here: the text in which they stand, or what a setting does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from dicom_anon import objects, profile, standard, tags
from dicom_anon.macros import holds_macro
from dicom_anon.presets import PRESETS
from dicom_anon.scope import DateShift


class Object(NamedTuple):
    """A JSON object whose repeated keys are not lost."""

    pairs: list[tuple[str, Any]]


class SettingError(ValueError):
    """A setting has a value that it cannot have; `accepted` is what would do, where that is less than all it takes."""

    def __init__(self, problem: str = "", accepted: str = "") -> None:
        super().__init__(problem)
        self.accepted = accepted


class Setting(NamedTuple):
    """One key of a section that is no rule: how its value is read, and what is accepted."""

    parse: Callable[[Any], Any]
    accepted: str
    meaning: str
    general_only: bool = False


def parse_flag(value: Any) -> bool:
    """Read ``"true"`` or ``"false"`` in any case, or a JSON boolean."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise SettingError


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise SettingError
    if holds_macro(value):
        raise SettingError("holds a macro, and those are expanded in set(...) and replace(...) only")
    if any(ord(char) < 32 for char in value):
        raise SettingError("holds control characters, and macros write it into elements")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SettingError("is no valid Unicode") from None
    return value


def _preset(value: Any) -> str:
    if not isinstance(value, str):
        raise SettingError
    if value not in PRESETS:
        raise SettingError(f"{shown(value)} is no value for it{tags.did_you_mean(value, PRESETS)}")
    return value


def _profile_options(value: Any) -> tuple[str, ...]:
    try:
        return profile.parse_options(value)
    except ValueError as error:
        raise SettingError(str(error)) from None


MAX_SHIFT = 36_500


def _date_shift(value: Any) -> DateShift:
    """Read ``{"min_days": 1, "max_days": 3650}``, or ``{"days": -100}`` for every patient."""
    content = _once(value)
    if not all(type(number) is int for number in content.values()):
        raise SettingError
    if content.keys() == {"days"}:
        days = content["days"]
        if days == 0 or abs(days) > MAX_SHIFT:
            raise SettingError(f"days must move a date, by at most {MAX_SHIFT}")
        return DateShift(days=days)
    if not content or not content.keys() <= {"min_days", "max_days"}:
        raise SettingError
    shift = DateShift(**content)
    if not 1 <= shift.min_days <= shift.max_days <= MAX_SHIFT:
        raise SettingError(f"the days to go back are at least 1 and at most {MAX_SHIFT}, min_days not over max_days")
    return shift


def _objects(value: Any) -> dict[str, str]:
    """Read policies by kind of object; only those that are written, so that others may lie below them."""
    policies = _once(value)
    for kind, policy in policies.items():
        accepted = objects.ACCEPTED.get(kind)
        if accepted is None:
            hint = tags.did_you_mean(kind, tuple(objects.ACCEPTED))
            raise SettingError(f'"{kind}" is no kind of object{hint}', ", ".join(objects.ACCEPTED))
        if policy not in accepted:
            raise SettingError(f'{shown(policy)} is no policy for "{kind}"', ", ".join(accepted))
    return policies


def _once(value: Any) -> dict[str, Any]:
    """Read an object in which no key is there twice: one of the two would be lost."""
    if not isinstance(value, Object):
        raise SettingError
    content: dict[str, Any] = {}
    for key, each in value.pairs:
        if key in content:
            raise SettingError(f'"{key}" is there twice', "one value")
        content[key] = each
    return content


def shown(value: Any) -> str:
    """Write a value for a message: what is no plain one is not repeated."""
    return json.dumps(value) if isinstance(value, str | int | float | bool) or value is None else "this"


_FLAG = '"true" or "false"'

SETTINGS: dict[str, Setting] = {
    "preset": Setting(_preset, ", ".join(PRESETS), "rules to start from"),
    "profile_options": Setting(
        _profile_options,
        "a list of " + ", ".join(standard.PROFILE_OPTIONS),
        "options of PS3.15 Annex E over the preset basic or tcia",
    ),
    "date_shift": Setting(
        _date_shift,
        '{"min_days": 1, "max_days": 3650} to go back, or {"days": -100} for every patient',
        "by how many days `shiftdate` moves the dates of a patient",
    ),
    "objects": Setting(
        _objects,
        "an object of kind to policy: "
        + "; ".join(f"{kind}: {'|'.join(policies)}" for kind, policies in objects.ACCEPTED.items()),
        "what is done with kinds of objects that need care",
    ),
    "name": Setting(_text, "a text", "name of the project, for `@project_name@`"),
    "owner": Setting(_text, "a text", "owner of the project, for `@project_owner@`"),
    "prefix": Setting(_text, "a text", "prefix of the project, for `@project_prefix@`"),
    "remove_unknown_tags": Setting(parse_flag, _FLAG, "remove every element, at any depth, that has no assignment"),
    "remove_safe_tags": Setting(parse_flag, _FLAG, "treat `safe` as `remove`"),
    "remove_curves": Setting(parse_flag, _FLAG, "remove the groups of curves, (50xx,xxxx)"),
    "remove_overlays": Setting(parse_flag, _FLAG, "remove the groups of overlays, (60xx,xxxx)"),
    "print_assignment": Setting(parse_flag, _FLAG, "print the final assignment", general_only=True),
}
