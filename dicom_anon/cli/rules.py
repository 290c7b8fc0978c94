"""The options that say which rules apply, the same for every command that needs rules.

Lives here: these options, and all that is wrong with them told at once. Does not live here: what a rule means.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dicom_anon.cli.options import FILE, Files
from dicom_anon.presets import PRESETS

if TYPE_CHECKING:
    from dicom_anon.assignment import Assignment
    from dicom_anon.config import Rule
    from dicom_anon.tags import Key

OPTIONS = (
    click.option(
        "-c",
        "--config",
        "configs",
        type=FILE,
        multiple=True,
        metavar="FILE",
        help="Rules in JSON. May be repeated: later files lie over earlier ones.",
    ),
    click.option("--project", metavar="NAME", help="Section of the configuration to lay over its section general."),
    click.option("--aet", metavar="AET", help="Receiving AE title from which the section is found (az_KNEE: knee)."),
    click.option("--preset", metavar="NAME", help=f"Preset to start from: {', '.join(PRESETS)}."),
    click.option(
        "--profile-option",
        "profile_options",
        multiple=True,
        metavar="NAME",
        help="Option of PS3.15 Annex E over the preset basic or tcia, such as retain_uids. May be repeated.",
    ),
    click.option(
        "--extra-rules",
        type=FILE,
        metavar="FILE",
        help="Rules in the JSON of dicom-anonymizer, over the preset.",
    ),
    click.option("--no-extra", is_flag=True, help="Leave out the extra rules that come with the preset basic."),
    click.option(
        "--lookup",
        type=FILE,
        metavar="FILE",
        help="CSV of original PatientID to subject id; files of patients not in it are quarantined.",
    ),
    click.option(
        "--assign",
        "assigns",
        multiple=True,
        metavar="TAG=COMMAND",
        help='One rule over all others, such as "PatientSex=clear". May be repeated.',
    ),
)


@dataclass(frozen=True)
class Rules:
    """What `OPTIONS` were given."""

    configs: tuple[Path, ...]
    project: str | None
    aet: str | None
    preset: str | None
    profile_options: tuple[str, ...]
    extra_rules: Path | None
    no_extra: bool
    lookup: Path | None
    assigns: tuple[str, ...]

    @property
    def files(self) -> Files:
        """Files that these options name."""
        return [
            *(("--config", path) for path in self.configs),
            ("--extra-rules", self.extra_rules),
            ("--lookup", self.lookup),
        ]

    def resolve(self) -> Assignment:
        """Read and resolve the rules; every problem of every file and option is told at once."""
        from dicom_anon.assignment import resolve
        from dicom_anon.config import COMMAND_LINE, Config, check_preset, parse_assign, read_configs
        from dicom_anon.errors import ConfigError, Problem

        problems: list[Problem] = []

        @contextlib.contextmanager
        def collecting() -> Iterator[None]:
            try:
                yield
            except ConfigError as error:
                problems.extend(error.problems)

        config, lookup = Config(), None
        assigns: list[tuple[Key, Rule]] = []
        extra: list[tuple[Key, Rule]] = []
        with collecting():
            config = read_configs(self.configs)
        for text in self.assigns:
            with collecting():
                assigns.append(parse_assign(text))
        if self.extra_rules is not None:
            from dicom_anon.extra_rules import read_extra_rules

            with collecting():
                extra = read_extra_rules(self.extra_rules)
        if self.lookup is not None:
            from dicom_anon.lookup import read_lookup

            with collecting():
                lookup = read_lookup(self.lookup)
        if self.project is not None and self.aet is not None:
            problems.append(Problem(COMMAND_LINE, "", "--aet", "contradicts --project", "one of the two"))
        if self.preset is not None:
            problems.extend(check_preset(self.preset))
        if problems:
            raise ConfigError(problems)
        return resolve(
            config,
            project=self.project,
            aet=self.aet,
            preset=self.preset,
            profile_options=[name for text in self.profile_options for name in text.split(",")],
            extra_rules=extra,
            default_extra=not self.no_extra,
            lookup=lookup,
            assigns=assigns,
        )


def rule_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the rules, as its parameter `rules`."""

    @functools.wraps(command)
    def with_rules(**options: Any) -> None:
        rules = Rules(**{field.name: options.pop(field.name) for field in fields(Rules)})
        command(rules=rules, **options)

    for option in reversed(OPTIONS):
        with_rules = option(with_rules)
    return with_rules


def warn(assignment: Assignment) -> None:
    """Print what is odd about the rules, if anything is."""
    if assignment.warnings:
        from dicom_anon import console

        for warning in assignment.warnings:
            console.say(f"warning: {warning}")
