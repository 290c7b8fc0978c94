"""Config, preset and project to one `Assignment`: the only place that knows which rule wins.

Lives here: precedence, effective options, the stamps. Does not live here: parsing, and applying rules to a
file.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dicom_anon import profile, standard, tags
from dicom_anon.actions import Action, Clear, CommandError, Compound, Keep, Remove, Replace, Safe, Set, Uid
from dicom_anon.config import COMMAND_LINE, GENERAL, Config, Rule, Section, check_fits, preset_section, settings_over
from dicom_anon.errors import ConfigError, Problem
from dicom_anon.lookup import NAME, SUBJECT, Lookup
from dicom_anon.macros import Call, parse_template
from dicom_anon.objects import POLICIES
from dicom_anon.scope import DEFAULT_SHIFT, DateShift
from dicom_anon.stamps import stamp_actions
from dicom_anon.tags import Key, Pattern, PrivateKey

DEFAULT_PRESET = "default"
CURVES = Pattern(0xFF010000, 0x50000000)
OVERLAYS = Pattern(0xFF010000, 0x60000000)
DEFAULT_EXTRA = tuple(
    (key, Rule(Remove(), "", tags.keyword_of(key))) for key in (0x00080012, 0x00080013, 0x00181012, 0x00181014)
)
"""Instance creation and secondary capture, date and time: dicom-anonymizer's own additions to the profile."""


@dataclass(frozen=True)
class Row:
    """One line of the assignment: what is done to an element, and who said so.

    Parameters
    ----------
    key : Key
        The element.
    action : Action
        What is done to it.
    source : str
        Who said so, for people.
    rank : int
        How strong that source is, 0 for all but the user's own rules. It decides where a private element is named both
        by its place and by its creator.
    """

    key: Key
    action: Action
    source: str
    rank: int = 0


class Layer(NamedTuple):
    """Rules of one of the user's sources: who that is, its section where it is one, and what it says."""

    source: str
    section: str
    rules: tuple[tuple[Key, Rule], ...]


@dataclass(frozen=True)
class Assignment:
    """The complete rule for every element of every file, resolved.

    Parameters
    ----------
    preset : str
        Name of the effective preset.
    project : str
        Name of the project section, empty for none.
    rows : Mapping[Key, Row]
        By canonical key, in tag order.
    remove_unknown_tags : bool
        Whether elements without a row go.
    name, owner, prefix : str
        For the macros.
    print_assignment : bool
        Whether a run prints the assignment first.
    profile_options : tuple of str
        Options of PS3.15 Annex E that were asked for.
    date_shift : DateShift
        For `shiftdate`.
    objects : Mapping[str, str]
        What is done with kinds of objects that need care, by kind.
    lookup : Lookup or None
        Table of the patients that may be de-identified; `None` for all patients.
    warnings : tuple of str
        What a person should know about how it was resolved.
    """

    preset: str
    project: str
    rows: Mapping[Key, Row]
    remove_unknown_tags: bool
    name: str
    owner: str
    prefix: str
    print_assignment: bool
    profile_options: tuple[str, ...] = ()
    date_shift: DateShift = DEFAULT_SHIFT
    lookup: Lookup | None = None
    objects: Mapping[str, str] = field(default_factory=lambda: dict(POLICIES))
    warnings: tuple[str, ...] = ()

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of everything that decides what becomes of a file, in hex; the key is not part of it."""
        shift = self.date_shift
        content: list[object] = [self.remove_unknown_tags, self.name, self.owner, self.prefix]
        content += [self.profile_options, shift.min_days, shift.max_days, shift.days]
        content += [self.lookup.digest if self.lookup else "", sorted(self.objects.items())]
        rows = [
            [tags.format_key(row.key), row.action.describe(), row.action.inserts, row.rank * _is_private(row.key)]
            for row in self.rows.values()
        ]
        return hashlib.sha256(json.dumps([content, rows]).encode()).hexdigest()

    @property
    def told_digest(self) -> str:
        """Digest that may be handed on: by guesses one would find the days, the key of `@hash_acc@`, or a patient."""
        return replace(self, date_shift=replace(self.date_shift, days=None), lookup=None, owner="").digest

    def visible(self, *, safe: bool = False) -> Iterator[Row]:
        """Rows that print-assignment shows: all but the safe ones, or all."""
        return (row for row in self.rows.values() if safe or not isinstance(row.action, Safe))


def project_for_aet(projects: Collection[str], aet: str) -> str:
    """Section that belongs to a receiving AE title, as mercure finds it; empty where there is none.

    The title is lower-cased and loses one leading ``az_``.
    """
    name = aet.strip().lower().removeprefix("az_")
    return name if name in projects else ""


def resolve(
    config: Config | None = None,
    *,
    project: str | None = None,
    aet: str | None = None,
    preset: str | None = None,
    profile_options: Iterable[str] = (),
    extra_rules: Iterable[tuple[Key, Rule]] = (),
    default_extra: bool = True,
    lookup: Lookup | None = None,
    assigns: Iterable[tuple[Key, Rule]] = (),
) -> Assignment:
    """Resolve what is done to every element.

    Precedence: preset, then the options of the profile, the lookup table, extra rules, the general section,
    the project's, then the command line. A pattern overrules every row of an earlier source that it matches.

    Parameters
    ----------
    config : Config, optional
        Merged configuration; none means the preset alone.
    project : str, optional
        Name of a section, in any case.
    aet : str, optional
        Receiving AE title from which the section is derived; one without a section means general only.
    preset : str, optional
        Overrules the preset that the configuration names.
    profile_options : iterable of str
        Options of PS3.15 Annex E, in addition to those of the preset and of the configuration.
    extra_rules : iterable of (Key, Rule)
        Rules over the preset and its options, under those of the configuration.
    default_extra : bool
        Whether the preset ``basic`` removes four more dates and times of creation, as dicom-anonymizer does.
    lookup : Lookup, optional
        Table of the patients that may be de-identified: it gives PatientID and, if it can, PatientName.
    assigns : iterable of (Key, Rule)
        Rules over everything else.

    Raises
    ------
    ConfigError
        Where `project` is no section or `preset` no preset, none of the sections that there are applies, options cannot
        stand together or with the preset, a column is missing, or a value cannot fit its element in this project.
    """
    config = config or Config()
    name, warnings = _project_of(config, project, aet)
    general = config.general
    own = config.sections.get(name, Section()) if name else Section()
    chosen = preset or own.settings.get("preset") or general.settings.get("preset") or DEFAULT_PRESET
    base = preset_section(chosen)
    own_rows = base.rules if "preset" in base.settings else {}  # a preset built on another one has the last word
    if "preset" in base.settings:
        base = base.over(preset_section(base.settings["preset"]))
    settings = settings_over(settings_over(base.settings, general.settings), own.settings)
    section = name if "profile_options" in own.settings else GENERAL
    options = _options(chosen, base, settings.get("profile_options", ()), section, profile_options)

    rows: dict[Key, Row] = {}
    _lay(rows, base.rules.items(), f"preset {chosen}")
    if default_extra and chosen == "basic":
        _lay(rows, DEFAULT_EXTRA, "default extra rules")
    for key, (action, option) in profile.option_rules(options).items():
        if key not in own_rows:
            rows[key] = Row(key, action, f"option {option}")
    for option, pattern in (("remove_curves", CURVES), ("remove_overlays", OVERLAYS)):
        if settings[option]:
            _lay(rows, [(pattern, Rule(Remove(), "", option))], f"option {option}")
    if lookup is not None:
        for row in _lookup_rows(lookup):
            rows[row.key] = row
    layers = (
        Layer("extra rules", "", tuple(extra_rules)),
        Layer(GENERAL, GENERAL, tuple(general.rules.items())),
        Layer(f"project {name}", name, tuple(own.rules.items())),
        Layer(COMMAND_LINE, "", tuple(assigns)),
    )
    users: dict[Key, Row] = {}
    for rank, layer in enumerate(layers, 1):
        _lay(users, layer.rules, layer.source, rank)
    for row in sorted(users.values(), key=lambda row: (row.rank, _width(row))):
        _place(rows, row)
    if settings["remove_safe_tags"]:
        for key, row in rows.items():
            if isinstance(row.action, Safe) and key != tags.SPECIFIC_CHARACTER_SET:
                rows[key] = replace(row, action=Remove(), source="option remove_safe_tags")
    _add_needed(rows)
    texts = {
        "project_name": settings.get("name", "Undefined"),
        "project_owner": settings.get("owner", "Unknown"),
        "project_prefix": settings.get("prefix", ""),
    }
    _check_macros(layers, rows, lookup, texts)
    warnings += _doubtful(users)
    if {"retain_uids", "retain_modified_dates"} <= set(options):
        warnings.append(
            "retain_uids: a date in a UID that stays tells by how much retain_modified_dates moved the others"
        )
    decided = {key: row.action for key, row in rows.items()}
    for key, action in stamp_actions(chosen, decided, settings["remove_unknown_tags"], options).items():
        if key not in users:
            rows[key] = Row(key, action, "stamp")
    ordered = dict(sorted(rows.items(), key=lambda item: tags.sort_key(item[0])))
    return Assignment(
        preset=chosen,
        project=name,
        rows=ordered,
        remove_unknown_tags=settings["remove_unknown_tags"],
        name=texts["project_name"],
        owner=texts["project_owner"],
        prefix=texts["project_prefix"],
        print_assignment=settings.get("print_assignment", False),
        profile_options=options,
        date_shift=settings.get("date_shift", DEFAULT_SHIFT),
        objects={**POLICIES, **settings.get("objects", {})},
        lookup=lookup,
        warnings=tuple(warnings),
    )


def _options(preset: str, base: Section, written: Iterable[str], section: str, more: Iterable[str]) -> tuple[str, ...]:
    """Options of the profile that apply: the preset's, those written in a section, and those of the command line."""
    named = tuple(more)
    place = (COMMAND_LINE, "", "--profile-option") if named else ("the configuration", section, "profile_options")
    try:
        asked = profile.parse_options([*written, *named])
    except ValueError as error:
        accepted = ", ".join(standard.PROFILE_OPTIONS)
        raise ConfigError([Problem(*place, str(error), accepted)]) from None
    if asked and preset not in profile.PROFILE_PRESETS:
        problem = f"adds to the Basic Profile, and the preset {preset} does not follow it row by row"
        accepted = "preset " + " or ".join(profile.PROFILE_PRESETS)
        raise ConfigError([Problem(*place, problem, accepted)])
    options = profile.parse_options([*base.settings.get("profile_options", ()), *asked])
    if clash := profile.conflict(options):
        raise ConfigError([Problem(*place, clash, "one of them")])
    return options


def _project_of(config: Config, project: str | None, aet: str | None) -> tuple[str, list[str]]:
    """Section of the project, empty where none is picked, and what a person should know of that."""
    name = ""
    warnings = []
    if project is not None:
        name = project.strip().lower()
        if name not in config.projects:
            raise ConfigError([_unknown_project(project, config)])
    elif aet is not None:
        name = project_for_aet(config.projects, aet)
        if not name:
            warnings.append("the AE title has no section of its own; only the general section applies")
    elif config.projects and GENERAL in config.sections:
        names = ", ".join(f'"{each}"' for each in config.projects)
        warnings.append(f"no project is picked; only the general section applies (projects: {names})")
    if config.sections and not name and GENERAL not in config.sections:
        raise ConfigError([_no_section(config, aet)])
    return name, warnings


def _add_needed(rows: dict[Key, Row]) -> None:
    """Add what no object can be without: how its text is to be read, and UIDs of its own."""
    rows.setdefault(
        tags.SPECIFIC_CHARACTER_SET, Row(tags.SPECIFIC_CHARACTER_SET, Keep(), "needed to read all other text")
    )
    for tag in tags.INSTANCE_UIDS:
        found = rows.get(tag)
        if found is None or _loses_uid(found.action):
            rows[tag] = Row(tag, Uid(), found.source if found else "needed in every object")


def _loses_uid(action: Action) -> bool:
    """Tell whether an object would be left without a UID of its own, as after mercure's `clear` and random UIDs."""
    if isinstance(action, Set):
        parts = action.template.parts
        return not parts or any(isinstance(part, Call) and part.name == "random_uid" for part in parts)
    return isinstance(action, Remove | Clear | Compound)


def _doubtful(users: Mapping[Key, Row]) -> Iterator[str]:
    """Say which rules may not do what they were written for."""
    for key, row in users.items():
        if isinstance(key, int) and not tags.is_private(key) and tags.vr_of(key) is None:
            yield f"{row.source}: PS3.6 knows no element {tags.format_key(key)}; look whether it is the one you mean"
        if isinstance(key, PrivateKey):
            exact = (key.group << 16 | block << 8 | key.element for block in range(0x10, 0x100))
            for other in (users[tag] for tag in exact if tag in users):
                if other.action != row.action and other.rank >= row.rank:
                    first, then = tags.format_key(other.key), tags.format_key(key)
                    yield f"{other.source}: the rule for {first} goes before that for {then}, in its block"


def _lookup_rows(lookup: Lookup) -> Iterator[Row]:
    for tag, names in ((tags.PATIENT_ID, SUBJECT), (tags.PATIENT_NAME, NAME)):
        column = lookup.column(names)
        if column:
            yield Row(tag, Set(parse_template(f"@lookup({column})@")), "lookup table")


def _check_macros(
    layers: Iterable[Layer], rows: Mapping[Key, Row], lookup: Lookup | None, texts: Mapping[str, str]
) -> None:
    """Refuse a column that the lookup table has not, and a value that cannot fit with the texts of this project."""
    problems = []
    for layer in layers:
        for key, rule in layer.rules:
            action, row = rule.action, rows.get(key)
            applies = row is not None and row.source == layer.source
            if not applies or not isinstance(action, Set | Replace) or action.template is None:
                continue
            place = (rule.where, layer.section, rule.written)
            for column in sorted(action.template.columns):
                if lookup is None or column not in lookup.headers:
                    problem = f'the lookup table has no column "{column}"' if lookup else "there is no lookup table"
                    accepted = ", ".join(lookup.headers) if lookup else "--lookup FILE.csv"
                    problems.append(Problem(*place, problem, accepted))
            try:
                check_fits(key, replace(action, template=action.template.knowing(texts)))
            except CommandError as error:
                problem = f"with the name, owner and prefix that apply: {error}"
                problems.append(Problem(*place, problem, error.accepted))
    if problems:
        raise ConfigError(problems)


def difference(assignment: Assignment, other: Assignment) -> Assignment:
    """Rows of `assignment` that `other` has not, or has with another command."""
    rows = {
        key: row
        for key, row in assignment.rows.items()
        if key not in other.rows or other.rows[key].action != row.action
    }
    return replace(assignment, rows=rows)


def _is_private(key: Key) -> bool:
    return isinstance(key, PrivateKey) or tags.is_private(key.value if isinstance(key, Pattern) else key)


def _lay(rows: dict[Key, Row], rules: Iterable[tuple[Key, Rule]], source: str, rank: int = 0) -> None:
    """Add the rules of one source over those of earlier ones; within a source the narrowest key wins."""
    for row in sorted((Row(key, rule.action, source, rank) for key, rule in rules), key=_width):
        _place(rows, row)


def _width(row: Row) -> int:
    """How much of a tag the key of a row says."""
    return row.key.digits if isinstance(row.key, Pattern) else 32


def _place(rows: dict[Key, Row], row: Row) -> None:
    """Lay a row over others; where its pattern meets another one, it has a row for what both match.

    Of several patterns that match a tag the narrowest decides, and that may be a weaker source's, or what such a one
    and a wider one of the same source both match.
    """
    if isinstance(row.key, Pattern):
        for key in [key for key in rows if row.key.covers(key)]:
            del rows[key]
        for key in list(rows):
            both = _common(key, row.key) if isinstance(key, Pattern) else None
            if both is not None:
                rows[both] = replace(row, key=both)
    rows[row.key] = row


def _common(one: Pattern, other: Pattern) -> int | Pattern | None:
    """Tags that two patterns both match; `None` where there are none.

    A single private one is a pattern as well, since the rule for its creator is narrower.
    """
    if (one.value ^ other.value) & one.mask & other.mask:
        return None
    mask, value = one.mask | other.mask, one.value | other.value
    return value if mask == 0xFFFFFFFF and not tags.is_private(value) else Pattern(mask, value)


def _unknown_project(project: str, config: Config) -> Problem:
    hint = tags.did_you_mean(project.lower(), config.projects)
    if not config.projects:
        hint = ": no project sections are configured"
    return Problem(COMMAND_LINE, "", "--project", f'no section "{project}"{hint}', ", ".join(config.projects))


def _no_section(config: Config, aet: str | None) -> Problem:
    """Say that rules were written and would all be passed over."""
    names = ", ".join(f'"{name}"' for name in config.projects)
    lost = "no project is picked" if aet is None else "the AE title picks none of them"
    problem = f'none of its sections applies: {lost}, and there is no section "general" (sections: {names})'
    accepted = '--project NAME or an AE title that picks one, or the name "general" for what always applies'
    return Problem("the configuration", "", "", problem, accepted)
