"""The commands of the rule language: the table, and the parser that reads one.

Lives here: `COMMANDS`. To add a command: a class in one of the other files, and a line here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from dicom_anon import tags
from dicom_anon.actions.base import Action, Clear, CommandError, Keep, Remove, Safe, Set
from dicom_anon.actions.dates import ShiftDate, TruncDate
from dicom_anon.actions.dummies import Compound, Hash, Replace, Uid
from dicom_anon.actions.patterns import check_substitution
from dicom_anon.actions.text import Clean, Regexp
from dicom_anon.macros import MacroError, Template, holds_macro, parse_template


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


def _template(argument: str) -> Template:
    try:
        return parse_template(argument)
    except MacroError as error:
        raise CommandError(str(error), "see the macros in the README; a lone @ is a plain character") from None


def _parse_set(argument: str | None) -> Action:
    if argument is None:
        raise CommandError("set needs a value", "set(value)")
    return Set(_template(argument))


def _parse_replace(argument: str | None) -> Action:
    return Replace(_template(argument)) if argument else Replace()


def _parse_regexp(argument: str | None) -> Action:
    form = "regexp(find,replace), a comma in find escaped as \\, or inside brackets"
    cut = -1 if argument is None else _first_free_comma(argument)
    if argument is None or cut < 0:
        raise CommandError("regexp needs a pattern and a replacement", form)
    if holds_macro(argument):
        raise CommandError("regexp knows no macros, so this would be searched for, or written, as it stands", form)
    find, replacement = argument[:cut], argument[cut + 1 :]
    try:
        check_substitution(find, replacement)
    except ValueError as error:
        raise CommandError(str(error), form) from None
    return Regexp(find, replacement)


CONTENT_OPTIONS = (
    "retain_uids",
    "retain_device_identity",
    "retain_institution_identity",
    "retain_patient_characteristics",
    "retain_full_dates",
    "retain_modified_dates",
    "clean_descriptors",
)
"""Options of PS3.15 that have a column in Table E.3.4-1."""


def _parse_clean(argument: str | None) -> Action:
    if argument is None:
        return Clean()
    named = [word.strip() for word in argument.split(",")]
    for word in named:
        if word not in CONTENT_OPTIONS:
            hint = tags.did_you_mean(word, CONTENT_OPTIONS)
            raise CommandError(f'clean knows no option "{word}"{hint}', ", ".join(CONTENT_OPTIONS))
    return Clean(tuple(option for option in CONTENT_OPTIONS if option in named))


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
    "shiftdate": Command(
        _plain(ShiftDate()),
        "shiftdate",
        "dates move by the patient's own number of days; order, intervals and times of day stay; "
        "what is not a date is emptied",
        "C",
    ),
    "clean": Command(
        _parse_clean,
        "clean, clean(option,...)",
        "text loses this patient's own identifiers, dates, numbers, addresses and people; content items of "
        "a sequence "
        "are treated by their concept names, under the options",
        "C",
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
_BEGUN = re.compile(r"\s*([A-Za-z_]\w*)\s*\(")


def parse_action(text: str) -> Action:
    """Read one command, exactly as the language spells it.

    Parameters
    ----------
    text : str
        Such as ``keep`` or ``set(@fake_name@)``. Between the first and the last parenthesis everything is
        the value.

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
    if match is None and (begun := _BEGUN.match(text)) and begun[1] in COMMANDS:
        form = COMMANDS[begun[1]].form
        raise CommandError(f'unknown command "{text}": the ) at its end is missing', form)
    if match is None or command is None:
        hint = tags.did_you_mean(match[1] if match else text, tuple(COMMANDS))
        raise CommandError(f'unknown command "{text}"{hint}', ", ".join(row.form for row in COMMANDS.values()))
    return command.parse(match[2])
