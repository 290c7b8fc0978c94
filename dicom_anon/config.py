"""JSON text to `Config`: sections of settings and rules, every key and value checked, every problem told at once.

Lives here: the syntax of a configuration. Does not live here: the values of settings, precedence, what a rule does.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dicom_anon import actions, tags
from dicom_anon.actions import Action, CommandError
from dicom_anon.errors import ConfigError, Problem
from dicom_anon.presets import PRESETS, load
from dicom_anon.settings import SETTINGS, Object, SettingError, shown
from dicom_anon.tags import Key, TagSyntaxError

GENERAL = "general"
COMMAND_LINE = "command line"
MAX_CHARACTERS = 4_000_000


@dataclass(frozen=True)
class Rule:
    """One key and its command, with the place where it was written."""

    action: Action
    where: str
    written: str


@dataclass(frozen=True)
class Section:
    """One section: its settings by name, its rules by canonical key."""

    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    rules: Mapping[Key, Rule] = field(default_factory=lambda: MappingProxyType({}))

    def over(self, other: Section) -> Section:
        """Lay this section over another, key by key."""
        return Section(settings_over(other.settings, self.settings), {**other.rules, **self.rules})


def settings_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over others, key by key; policies of objects kind by kind."""
    merged = {**below, **above}
    if "objects" in below and "objects" in above:
        merged["objects"] = {**below["objects"], **above["objects"]}
    return merged


@dataclass(frozen=True)
class Config:
    """What one or more configuration files say: sections by lower-case name."""

    sections: Mapping[str, Section] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def general(self) -> Section:
        """Section that always applies."""
        return self.sections.get(GENERAL, Section())

    @property
    def projects(self) -> tuple[str, ...]:
        """Names of the other sections."""
        return tuple(name for name in self.sections if name != GENERAL)

    def over(self, other: Config) -> Config:
        """Lay this configuration over another, section by section."""
        merged = dict(other.sections)
        for name, section in self.sections.items():
            merged[name] = section.over(merged[name]) if name in merged else section
        return Config(merged)


_OPTIONS = {"preset": "--preset NAME", "profile_options": "--profile-option NAME"}
"""Settings that are options of the command line, too."""


def read_configs(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Config:
    """Read configuration files and lay each over the ones before it.

    Parameters
    ----------
    paths : path, or iterable of paths
        The files.

    Raises
    ------
    ConfigError
        With the problems of all files.
    """
    config, problems = Config(), []
    for path in map(Path, [paths] if isinstance(paths, str | os.PathLike) else paths):
        try:
            text = path.read_text("utf-8-sig")
        except UnicodeDecodeError:
            problems.append(Problem(str(path), "", "", "is not UTF-8 text", "JSON in UTF-8"))
            continue
        except OSError as error:
            problems.append(Problem(str(path), "", "", f"cannot be read: {error.strerror}", "a JSON file"))
            continue
        try:
            config = parse_config(text, str(path)).over(config)
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    return config


def parse_config(text: str, where: str) -> Config:
    """Read the JSON text of one configuration.

    Parameters
    ----------
    text : str
        An object of sections; each section an object of settings and rules. Keys that begin with ``_`` are
        notes.
    where : str
        Name for messages, as a rule the file's.

    Raises
    ------
    ConfigError
        With all problems found.
    """
    problems: list[Problem] = []
    content = _parse_json(text, where, problems)
    if problems:
        raise ConfigError(problems)
    if not isinstance(content, Object):
        raise ConfigError([Problem(where, "", "", "is no JSON object", '{"general": {...}}')])
    sections: dict[str, Section] = {}
    for name, value in content.pairs:
        if name.startswith("_"):
            continue
        if not isinstance(value, Object) or name.lower() in SETTINGS or tags.tag_for_keyword(name) is not None:
            hint = 'a section, such as {"general": {...}}'
            problems.append(Problem(where, "", name, "stands outside of any section", hint))
        elif not name or name != name.strip():
            found = "begins or ends with a space" if name else "is empty"
            problem = f"the name of a section {found}: no project and no AE title can pick it"
            problems.append(Problem(where, name, "", problem, "another name"))
        elif name.lower() in sections:
            problems.append(Problem(where, name, "", "is there twice (case is not significant)", "one section"))
        else:
            sections[name.lower()] = _parse_section(name, value, where, problems)
    if GENERAL not in sections:
        problems.extend(_misspelt_general(name, where) for name in sections if is_like_general(name))
    if problems:
        raise ConfigError(problems)
    return Config(sections)


def is_like_general(name: str) -> bool:
    """Tell whether a name may be meant for the section that always applies; `central` and `renal` are not.

    >>> is_like_general("genral"), is_like_general("central")
    (True, False)
    """
    return difflib.SequenceMatcher(None, name.lower(), GENERAL).ratio() >= 0.8


def _misspelt_general(name: str, where: str) -> Problem:
    problem = 'would apply only where it is picked as a project; did you mean "general"?'
    return Problem(where, name, "", problem, f'"general"; or, if "{name}" is a project, "general": {{}} beside it')


def parse_assign(text: str) -> tuple[Key, Rule]:
    """Read one ``TAG=COMMAND`` of the command line.

    Raises
    ------
    ConfigError
        Where it is none.
    """
    written, equals, command = text.partition("=")
    problems: list[Problem] = []
    if not equals:
        raise ConfigError([Problem(COMMAND_LINE, "", text, "has no =", "TAG=COMMAND, such as PatientName=clear")])
    if written.strip().lower() in SETTINGS:
        setting = written.strip().lower()
        accepted = f'{{"general": {{"{setting}": ...}}}} in a file for --config'
        if setting in _OPTIONS:
            accepted += f", or {_OPTIONS[setting]}"
        problem = "is a setting of a section, and --assign takes a tag"
        raise ConfigError([Problem(COMMAND_LINE, "", written.strip(), problem, accepted)])
    key = _parse_key(written.strip(), COMMAND_LINE, "", problems)
    rule = None if key is None else _parse_rule(key, written.strip(), command, COMMAND_LINE, "", problems)
    if key is None or rule is None:
        raise ConfigError(problems)
    return key, rule


def preset_section(name: str) -> Section:
    """Read settings and rules of a preset by the same code as a user's own.

    Raises
    ------
    ConfigError
        There is no such preset.
    """
    if problems := check_preset(name):
        raise ConfigError(problems)
    pairs = list(load(name)[GENERAL].items())
    section = _parse_section(GENERAL, Object(pairs), f"preset {name}", problems)
    if problems:
        raise ConfigError(problems)
    return section


def check_preset(name: str, option: str = "--preset") -> list[Problem]:
    """Problem of a preset named on the command line; none where it exists."""
    if name in PRESETS:
        return []
    problem = f'no preset "{name}"{tags.did_you_mean(name, PRESETS)}'
    return [Problem(COMMAND_LINE, "", option, problem, ", ".join(PRESETS))]


def _parse_json(text: str, where: str, problems: list[Problem]) -> Any:
    if len(text) > MAX_CHARACTERS:
        problems.append(Problem(where, "", "", "is too long to be a configuration", f"{MAX_CHARACTERS} characters"))
        return None

    def refuse(constant: str) -> Any:
        raise SettingError(f"{constant} is no JSON value")

    try:
        return json.loads(text, object_pairs_hook=Object, parse_constant=refuse)
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError as error:
        problem = f"is not JSON: {error}"
    problems.append(Problem(where, "", "", problem, "a JSON object, without comments or a comma after the last item"))
    return None


def _parse_section(name: str, content: Object, where: str, problems: list[Problem]) -> Section:
    settings: dict[str, Any] = {}
    rules: dict[Key, Rule] = {}
    written: dict[Key, str] = {}
    for key, value in content.pairs:
        if key.startswith("_"):
            continue
        if key in SETTINGS:
            _add_setting(settings, key, value, name, where, problems)
            continue
        canonical = _parse_key(key, where, name, problems)
        if canonical is None:
            continue
        if not isinstance(value, str):
            problems.append(Problem(where, name, key, "its command is no text", 'such as "keep"'))
            continue
        if canonical in written:
            problem = f'names the same element as "{written[canonical]}"'
            problems.append(Problem(where, name, key, problem, "one rule for an element"))
        written[canonical] = key
        rule = _parse_rule(canonical, key, value, where, name, problems)
        if rule is not None:
            rules[canonical] = rule
    return Section(settings, rules)


def _add_setting(
    settings: dict[str, Any], key: str, value: Any, section: str, where: str, problems: list[Problem]
) -> None:
    setting = SETTINGS[key]
    if key in settings:
        problems.append(Problem(where, section, key, "is there twice", "one value"))
    if setting.general_only and section.lower() != GENERAL:
        problems.append(Problem(where, section, key, "belongs into the section general", ""))
    try:
        settings[key] = setting.parse(value)
    except SettingError as error:
        problem = str(error) or f"{shown(value)} is no value for it"
        problems.append(Problem(where, section, key, problem, error.accepted or setting.accepted))


def _parse_key(written: str, where: str, section: str, problems: list[Problem]) -> Key | None:
    try:
        return tags.parse_key(written)
    except TagSyntaxError as error:
        near = tags.nearest(written, tuple(SETTINGS))
        problem = f'is no setting; did you mean "{near}"?' if near else str(error)
        accepted = "a tag (gggg,eeee), a keyword, an option, name, owner, prefix, preset, or a note _..."
        if where == COMMAND_LINE:
            accepted = "a tag (gggg,eeee) or a keyword"
        problems.append(Problem(where, section, written, problem, accepted))
        return None


def _parse_rule(key: Key, written: str, command: str, where: str, section: str, problems: list[Problem]) -> Rule | None:
    try:
        action = parse_action(command)
        check_fits(key, action)
    except CommandError as error:
        problems.append(Problem(where, section, written, str(error), error.accepted))
        return None
    return Rule(action, where, written)


parse_action = functools.lru_cache(maxsize=4096)(actions.parse_action)


def check_fits(key: Key, action: Action) -> None:
    """Refuse an action that cannot work on an element.

    Raises
    ------
    CommandError
        It cannot, by the VR that PS3.6 gives the element, or the repeating group.
    """
    tag = key.value if tags.is_repeating_group(key) else key
    if not isinstance(tag, int):
        return
    if tag == tags.SPECIFIC_CHARACTER_SET and not isinstance(action, actions.Keep):
        raise CommandError(
            "the character set says how all other text is to be read; it is widened to UTF-8 where needed",
            "keep",
        )
    vr = tags.vr_of(tag)
    if vr is not None:
        action.check(vr)
