"""Rules as dicom-anonymizer's users have them: their two JSON forms, and Python callables for Data Sets.

Lives here: those forms, translated to our rules. Does not live here: what a command does, and which rule
wins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from dicom_anon import actions, tags, values
from dicom_anon.actions import UNCHANGED, Action, Assigned, CommandError, Outcome, Regexp, Removed, Replace
from dicom_anon.actions.base import ClearPresent
from dicom_anon.actions.patterns import check_substitution
from dicom_anon.config import Rule, check_fits, parse_action
from dicom_anon.elements import LONG_VRS, Span
from dicom_anon.errors import ConfigError, FileRefused, Problem, Reason
from dicom_anon.macros import Template
from dicom_anon.scope import EVERYTHING, Element, Level
from dicom_anon.tags import Key, TagSyntaxError

DatasetFunction: TypeAlias = "Callable[[Dataset, tuple[int, int]], object]"
"""Changes an element of a Data Set in place; gets the Data Set and (group, element)."""

COMMANDS = {
    "replace": "replace",
    "empty": "clear",
    "delete": "remove",
    "replace_UID": "uid",
    "keep": "keep",
    "clean": "clean",
    "empty_or_replace": "clear_or_replace",
    "delete_or_empty": "remove_or_clear",
    "delete_or_replace": "remove_or_replace",
    "delete_or_empty_or_replace": "remove_or_clear_or_replace",
    "delete_or_empty_or_replace_UID": "remove_or_clear_or_uid",
}
"""Their names of actions, and our commands. A command of ours may be written in its own name as well."""

_TUPLE = re.compile(r"\(?\s*((?:0[xX])?[0-9A-Fa-f]{1,8}(?:\s*,\s*(?:0[xX])?[0-9A-Fa-f]{1,8}){1,3})\s*,?\s*\)?")


@dataclass(frozen=True)
class CallFunction(Action):
    """A Python function changes the element; it sees the original Data Set, and only this element counts."""

    function: DatasetFunction
    name = "call"
    inserts = True

    @property
    def parameter(self) -> str:
        """Name of the function."""
        return getattr(self.function, "__qualname__", type(self.function).__name__)

    def decide(self, element: Element) -> Outcome:
        """Let the function work on a copy, and take over what became of the element."""
        element.file.reads.add(EVERYTHING)  # who knows what it looks at
        dataset = dataset_of(element.level)
        tag = BaseTag(element.tag)
        before = dataset.get(tag)
        original = None if before is None else before.value
        self.function(dataset, (tag.group, tag.element))
        after = dataset.get(tag)
        if after is None:
            return Removed()
        if before is not None and after.value == original and element.vr != "SQ":
            return UNCHANGED
        if element.vr != after.VR:
            raise FileRefused(Reason.VALUE_NOT_WRITABLE, f"{tags.format_tag(element.tag)} {after.VR}")
        return Assigned(_encoded(after, element))


def dataset_of(level: Level) -> Dataset:
    """Copy a Data Set, or an item of a sequence, into pydicom's form."""
    dataset = Dataset()
    encoding = level.encoding
    dataset.set_original_encoding(not encoding.explicit, encoding.little, list(level.encodings))
    for span in level.walked():
        dataset[span[0]] = _element_of(level, span)
    return dataset


def _element_of(level: Level, span: Span) -> DataElement | RawDataElement:
    element = Element(level, span)
    tag = BaseTag(span[0])
    if span[5] is not None:
        items = (Level(level.file, item.spans, item.encoding, level, span[0]) for item in span[5])
        return DataElement(tag, "SQ", Sequence([dataset_of(item) for item in items]))
    explicit, little = level.encoding.explicit, level.encoding.little
    return RawDataElement(tag, element.vr, len(element.raw), element.raw, 0, not explicit, little)


def _encoded(data_element: DataElement, element: Element) -> str | bytes:
    value = data_element.value
    if data_element.VR in values.TEXT_VRS:
        several = value if isinstance(value, MutableSequence | tuple) else [value]
        return "\\".join("" if one is None else str(one) for one in several)
    single = Dataset()
    single.add(data_element)
    encoding = element.level.encoding
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = not encoding.explicit, encoding.little
    write_dataset(buffer, single)
    return buffer.getvalue()[12 if encoding.explicit and data_element.VR in LONG_VRS else 8 :]


def read_extra_rules(path: Path) -> list[tuple[Key, Rule]]:
    """Read a file of extra rules, in either form.

    Raises
    ------
    ConfigError
        With every problem of the file.
    """
    try:
        content = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=_object)
    except OSError as error:
        raise ConfigError([Problem(str(path), "", "", f"cannot be read: {error.strerror}", "a JSON file")]) from None
    except _Repeated as error:
        raise ConfigError([Problem(str(path), "", str(error), "is there twice", "one list for an action")]) from None
    except (ValueError, RecursionError) as error:
        at = f": {error.msg} at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError([Problem(str(path), "", "", f"is not JSON in UTF-8{at}", "a JSON object")]) from None
    return parse_extra_rules(content, str(path))


class _Repeated(Exception):
    """A key of a JSON object is there twice: the rules of the first one would be lost."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content and not key.startswith("_"):
            raise _Repeated(key)
        content[key] = value
    return content


def parse_extra_rules(content: Any, where: str) -> list[tuple[Key, Rule]]:
    """Translate extra rules.

    Parameters
    ----------
    content : Mapping
        ``{"delete": [["0008", "0012"], [8, 19], [0x6000, 0x3000, 0xFF00, 0xFFFF], "PatientComments"]}`` (numbers
        as hex text or as integers; four of them are a tag and its mask), or by tag: ``{"(0x0010, 0x0010)":
        "empty"}``, with ``{"action": "regexp", "find": ..., "replace": ...}`` or ``{"action":
        "replace_with_value", "value": ...}`` for a value. In Python, a key may be a tuple of integers, and a
        value a function (dataset, tag).
    where : str
        Name for messages.

    Raises
    ------
    ConfigError
        With every problem found.

    Examples
    --------
    >>> rules = parse_extra_rules({"(0x0010,0x0010)": "delete"}, "example")
    >>> [(key, rule.action.describe()) for key, rule in rules]
    [(1048592, 'remove')]
    """
    problems: list[Problem] = []
    rules: dict[Key, Rule] = {}
    if not isinstance(content, Mapping):
        raise ConfigError([Problem(where, "", "", "is no JSON object", '{"delete": [["0008", "0012"]]}')])
    for written, tag, command in _pairs(content, where, problems):
        parsed = _parse(written, tag, command, where, problems)
        if parsed is None:
            continue
        key, rule = parsed
        if key in rules and rules[key].action != rule.action:
            problem = f'{tags.format_key(key)} has another action already, by "{rules[key].written}"'
            problems.append(Problem(where, "", written, problem, "one action for an element"))
        rules[key] = rule
    if problems:
        raise ConfigError(problems)
    return list(rules.items())


def _parse(written: str, tag: Any, command: Any, where: str, problems: list[Problem]) -> tuple[Key, Rule] | None:
    try:
        key = _key(tag)
        action = _action(command)
        check_fits(key, action)
    except TagSyntaxError as error:
        accepted = '["0008", "0012"], [8, 18], "(0x0008, 0x0012)" or a keyword'
        problems.append(Problem(where, "", written, str(error), accepted))
    except CommandError as error:
        problems.append(Problem(where, "", written, str(error), error.accepted))
    else:
        return key, Rule(action, where, written)
    return None


def _pairs(content: Mapping[Any, Any], where: str, problems: list[Problem]) -> Iterator[tuple[str, Any, Any]]:
    """Pairs of tag and command, with the text to show; notes in keys with ``_`` are passed over."""
    for key, value in content.items():
        if isinstance(key, str) and key.startswith("_"):
            continue
        if isinstance(value, list):
            for tag in value:
                yield f"{key}: {json.dumps(tag)}", tag, key
        elif isinstance(value, str | Mapping) or callable(value):
            yield str(key), key, value
        else:
            problem = "its value is no list of tags, no action and no object with an action"
            problems.append(Problem(where, "", str(key), problem, '"delete"'))


def _key(tag: Any) -> Key:
    if isinstance(tag, str):
        match = _TUPLE.fullmatch(tag)
        if match is None or re.fullmatch(r"[0-9A-Fa-f]{8}", tag.strip()):
            return tags.parse_key(tag)
        parts = [part.strip() for part in match[1].split(",")]
        if any(len(part) < 4 and not part.lower().startswith("0x") for part in parts):
            raise TagSyntaxError("may be decimal or hexadecimal")
        return _from_numbers([_number(part) for part in parts])
    if isinstance(tag, int) and not isinstance(tag, bool):
        return _from_numbers([tag >> 16, tag & 0xFFFF])
    if isinstance(tag, list | tuple):
        return _from_numbers([_number(part) for part in tag])
    raise TagSyntaxError("names no element")


def _number(part: Any) -> int:
    if isinstance(part, str) and re.fullmatch(r"(?:0[xX])?[0-9A-Fa-f]{1,8}", part.strip()):
        return int(part, 16)
    if isinstance(part, int) and not isinstance(part, bool):
        return part
    raise TagSyntaxError("is no pair of hexadecimal numbers")


def _from_numbers(numbers: list[int]) -> Key:
    if len(numbers) not in (2, 4) or not all(0 <= number <= 0xFFFF for number in numbers):
        raise TagSyntaxError("is no group and element, and no group and element with their masks")
    tag = numbers[0] << 16 | numbers[1]
    mask = numbers[2] << 16 | numbers[3] if len(numbers) == 4 else 0xFFFFFFFF
    if mask == 0xFFFFFFFF:
        return tags.parse_key(f"{tag:08x}")
    return tags.pattern_of(mask, tag)


def _action(command: Any) -> Action:
    if isinstance(command, Mapping):
        return _with_options({str(name): value for name, value in command.items()})
    if callable(command):
        return CallFunction(command)
    if command == "empty":
        return ClearPresent()
    if command in ("regexp", "replace_with_value"):
        raise CommandError(f"{command} needs its options", '{"action": "regexp", "find": ..., "replace": ...}')
    try:
        return parse_action(COMMANDS.get(str(command), str(command)))
    except CommandError:
        if str(command).partition("(")[0].strip() in actions.COMMANDS:
            raise
        hint = tags.did_you_mean(str(command), tuple(COMMANDS))
        raise CommandError(f'unknown action "{command}"{hint}', ", ".join(COMMANDS)) from None


def _with_options(options: dict[str, Any]) -> Action:
    name = options.pop("action", None)
    wanted = {"regexp": {"find", "replace"}, "replace_with_value": {"value"}}.get(str(name), set())
    if name is None or options.keys() != wanted or not all(isinstance(value, str) for value in options.values()):
        accepted = ", ".join(['"action"', *(f'"{option}"' for option in sorted(wanted))]) + ", all of them texts"
        raise CommandError("does not have the options that its action needs", accepted)
    if name == "regexp":
        try:
            check_substitution(options["find"], options["replace"])
        except ValueError as error:
            raise CommandError(str(error), "Python's re syntax") from None
        return Regexp(options["find"], options["replace"])
    if name == "replace_with_value":
        return Replace(Template(options["value"], (options["value"],)))  # their values hold no macros
    return _action(name)
