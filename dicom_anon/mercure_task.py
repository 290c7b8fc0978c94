"""What a task of mercure asks for: ``task.json``, its settings, and the AE title from the ``.tags`` files.

Lives here: reading them, and what is foreign among the settings. Does not live here: doing the task. Nothing
that is said or raised here holds a text of a task that is about a patient.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_anon import config, tags
from dicom_anon.actions import COMMANDS, CommandError
from dicom_anon.assignment import Assignment, project_for_aet, resolve
from dicom_anon.errors import UsageError
from dicom_anon.layout import LAYOUTS, TASK
from dicom_anon.settings import SETTINGS, SettingError, parse_flag
from dicom_anon.taskjson import facts_of_mercure

_MODULE_SETTINGS = ("layout", "extract", "notify")
_TAG_LIKE = re.compile(r"[0-9A-Fa-fXx]{4}[^0-9A-Za-z]?[0-9A-Fa-fXx]{2,4}|[(),\"]")
_TITLE = re.compile(r'"ReceiverAET"\s*:\s*"([^"\\]*)"')

Say = Callable[[str], None]
"""Gets a line for mercure's log."""


@dataclass(frozen=True)
class Task:
    """What a task asks for.

    Parameters
    ----------
    assignment : Assignment
        The rules.
    layout : str
        One of `layout.LAYOUTS`, but not the mirrored one.
    extract : str or None
        What is extracted.
    notify : bool
        Whether mercure is asked to notify somebody.
    facts : Mapping[str, str]
        What may be said of mercure's own task.
    """

    assignment: Assignment
    layout: str
    extract: str | None
    notify: bool
    facts: Mapping[str, str]


def read_task(folder: Path, say: Say) -> Task:
    """Read what a task asks for: ``task.json``, and the AE title from the ``.tags`` files.

    Parameters
    ----------
    folder : Path
        IN.
    say : callable
        Gets warnings.

    Raises
    ------
    UsageError
        Something in it cannot be read or carried out.
    ConfigError
        The settings are wrong; all problems are told.
    """
    content = _read_json(folder / TASK)
    if not isinstance(content, dict):
        raise UsageError("task.json is no JSON object")
    process = content.get("process")
    if isinstance(process, list):
        if len(process) != 1:
            raise UsageError("task.json names several processing steps, and not which of them this is")
        process = process[0]
    if not isinstance(process, dict):
        process = {}
    if _retains_originals(process.get("retain_input_images")):
        raise UsageError('"retain input images" is on: mercure would put the originals beside the de-identified images')
    settings = process.get("settings")
    if settings is None:
        settings = {}
    if not isinstance(settings, dict):
        raise UsageError("the settings of the module are no JSON object")
    info = content.get("info")
    titles = _receiver_titles(folder, info)
    return _task_of(settings, titles, facts_of_mercure(info), say)


def _retains_originals(value: object) -> bool:
    """Tell whether a task asks for the originals; older versions of mercure say so in text. A doubt is a yes."""
    try:
        return value is not None and parse_flag(value)
    except SettingError:
        return True


def _task_of(settings: Mapping[str, Any], titles: frozenset[str], facts: Mapping[str, str], say: Say) -> Task:
    sections = {name: value for name, value in settings.items() if isinstance(value, dict) and not name.startswith("_")}
    project = _project_of({name.lower() for name in sections} - {config.GENERAL}, titles)
    chosen = {name: value for name, value in sections.items() if name.lower() in (config.GENERAL, project)}
    own = _own_settings(settings, chosen, project)
    beside = {name: value for name, value in settings.items() if not isinstance(value, dict)}
    cleaned = dict(_without_foreign(beside, say))  # what is left of it is a rule or a setting outside of any section
    for name in sections:  # those of other projects are not read, but their names tell whether anything applies
        cleaned[name] = dict(_without_foreign(chosen[name], say)) if name in chosen else {}
    read = config.parse_config(json.dumps(cleaned), "the settings of the module")
    assignment = resolve(read, project=project or None, aet=None if project else next(iter(titles), None))
    for warning in assignment.warnings:
        say(f"warning: {warning}")
    layout, extract, notify = (own.get(name) for name in _MODULE_SETTINGS)
    if layout is not None and not (isinstance(layout, str) and layout in LAYOUTS[1:]):
        raise UsageError(f'the setting "layout" has no such value (accepted: {", ".join(LAYOUTS[1:])})')
    if extract is not None and not isinstance(extract, str):
        raise UsageError('the setting "extract" is no text (accepted: all, main, keywords)')
    try:
        wants_notice = False if notify is None else parse_flag(notify)
    except SettingError:
        raise UsageError('the setting "notify" has no such value (accepted: "true" or "false")') from None
    return Task(assignment, layout or "mercure", extract, wants_notice, facts)


def _project_of(names: Set[str], titles: frozenset[str]) -> str:
    """Section that the AE titles pick, empty where it is none of them; a task has one."""
    projects = {project_for_aet(names, title) for title in titles}
    if len(projects) > 1:
        raise UsageError("the images were sent to AE titles of different projects: one task, one project")
    if not projects and names:
        raise UsageError("no AE title is on record for the images, so that their project is not known")
    return next(iter(projects), "")


def _own_settings(settings: Mapping[str, Any], chosen: Mapping[str, dict[str, Any]], project: str) -> dict[str, Any]:
    """Find the module's own settings: beside the sections, in general, in the project's; later ones win."""
    found = {name: settings[name] for name in _MODULE_SETTINGS if name in settings}
    for wanted in (config.GENERAL, project):
        for name, section in chosen.items():
            if name.lower() == wanted:
                found.update((key, section[key]) for key in _MODULE_SETTINGS if key in section)
    return found


def _without_foreign(section: Mapping[str, Any], say: Say) -> Iterator[tuple[str, Any]]:
    """Leave out what is meant for others: mercure merges settings of modules and rules, and sites add notes.

    What looks like a tag, a known word written wrongly, or a rule stays, to be told as an error: it may be a
    rule that protects somebody.
    """
    for key, value in section.items():
        if key in _MODULE_SETTINGS:
            continue
        if _is_foreign(key, value):
            say(f"warning: the key {json.dumps(key)} of the settings is not known, and is left out")
        else:
            yield key, value


def _is_foreign(key: str, value: Any) -> bool:
    if key.startswith("_") or key in SETTINGS or _TAG_LIKE.search(key) or config.is_like_general(key):
        return False
    if tags.nearest(key, (*SETTINGS, *_MODULE_SETTINGS)):
        return False
    with contextlib.suppress(tags.TagSyntaxError):
        tags.parse_key(key)
        return False
    if isinstance(value, str):
        with contextlib.suppress(CommandError):
            config.parse_action(value)
            return False
        command = re.split(r"\W", value.strip(), maxsplit=1)[0]
        return not (tags.nearest_keyword(key) and tags.nearest(command, tuple(COMMANDS)))
    return True


def _read_json(path: Path) -> Any:
    """Read JSON as mercure's tools may have left it: with a byte order mark, or bytes that are no UTF-8."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig", "replace"))
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path.name} is not JSON") from None


def _receiver_titles(folder: Path, info: object) -> frozenset[str]:
    """AE titles under which the images came in, in lower case: of every ``.tags`` file, else of the task."""
    titles: set[str] = set()
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".tags"))
    except OSError as error:
        raise UsageError(f"IN cannot be read: {error.strerror}") from None
    for name in names:
        titles |= _titles_in(folder / name)
    if not titles and isinstance(info, dict) and isinstance(info.get("receiver_aet"), str):
        titles.add(info["receiver_aet"])
    return frozenset(title.strip().lower() for title in titles if title.strip())


def _titles_in(path: Path) -> set[str]:
    """Every ReceiverAET of a ``.tags`` file: keys may be there twice, and backslashes as DICOM has them."""
    found: set[str] = set()

    def collect(pairs: list[tuple[str, Any]]) -> None:
        found.update(value for key, value in pairs if key == "ReceiverAET" and isinstance(value, str))

    text = ""
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
        json.loads(text, strict=False, object_pairs_hook=collect)
    except (OSError, RecursionError):
        raise UsageError("a .tags file cannot be read, so that the AE title of its image is not known") from None
    except ValueError:
        found.update(_TITLE.findall(text))
        if not found:
            raise UsageError("a .tags file is not JSON, so that the AE title of its image is not known") from None
    return found
