"""The README against the code: tables, commands, examples. ``python -m tests.test_docs`` writes the tables.

Not here: what the commands do to files.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import pydicom
import pytest

from dicom_anon import cli, presets, standard, tags, values
from dicom_anon.actions import COMMANDS
from dicom_anon.assignment import resolve
from dicom_anon.config import SETTINGS, parse_assign, parse_config, preset_section
from dicom_anon.errors import ConfigError, Reason
from dicom_anon.macros import MACROS, MacroError, parse_template
from dicom_anon.presets import PRESETS, decisions
from dicom_anon.report import NOTES
from dicom_anon.sample import write_sample

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
_TABLE = re.compile(r"(<!-- table: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CI = re.compile(r"^<!-- ci: (\w+) -->\n```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def markdown(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a table, one row a line."""
    lines = (header, ("---",) * len(header), *rows)
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def exit_codes() -> str:
    listed = cli.EPILOG.partition("Exit codes:\n")[2]
    return markdown(
        ("code", "meaning"), (tuple(line.split(maxsplit=1)) for line in listed.splitlines() if line.strip())
    )


def reasons() -> str:
    return markdown(
        ("reason", "column", "meaning"), ((f"`{r.value}`", r.kind.value, r.meaning) for r in Reason)
    )


def notes() -> str:
    return markdown(("note", "meaning"), ((f"`{code}`", meaning) for code, meaning in NOTES.items()))


def _flags(command: str) -> str:
    rows = []
    for option in cli.cli.commands[command].params:
        if isinstance(option, click.Option):
            name = ", ".join(option.opts)
            choices = option.type.choices if isinstance(option.type, click.Choice) else ()
            value = option.metavar or "|".join(choices)
            rows.append((f"`{name} {value}`" if value else f"`{name}`", option.help or ""))
    return markdown(("option", "meaning"), rows)


def settings() -> str:
    defaults = preset_section("default").settings
    rows = []
    for name, setting in SETTINGS.items():
        default = defaults.get(name, {"preset": "default", "print_assignment": False}.get(name, ""))
        shown = str(default).lower() if isinstance(default, bool) else default
        rows.append((f"`{name}`", setting.accepted, shown, setting.meaning))
    return markdown(("key", "value", "default", "meaning"), rows)


def commands() -> str:
    rows = (
        (", ".join(f"`{form}`" for form in row.form.split(", ")), row.meaning, row.profile)
        for row in COMMANDS.values()
    )
    return markdown(("command", "effect", "PS3.15"), rows)


def macros() -> str:
    rows = []
    for name, macro in MACROS.items():
        forms = re.findall(rf"@{name}\([^)]*\)@", macro.meaning)
        if _is_macro(f"@{name}@"):
            forms.insert(0, f"@{name}@")
        rows.append((", ".join(f"`{form}`" for form in forms), macro.meaning))
    return markdown(("macro", "value"), rows)


def _is_macro(text: str) -> bool:
    try:
        return bool(parse_template(text).parts)
    except MacroError:
        return False


def preset_names() -> str:
    return markdown(
        ("preset", "meaning"), ((f"`{name}`", presets.load(name)["general"]["_about"]) for name in PRESETS)
    )


TABLES: dict[str, Callable[[], str]] = {
    "exit-codes": exit_codes,
    "reasons": reasons,
    "notes": notes,
    "run-options": lambda: _flags("run"),
    "settings": settings,
    "commands": commands,
    "macros": macros,
    "presets": preset_names,
    "print-options": lambda: _flags("print-assignment"),
}


def with_tables(text: str) -> str:
    """README with every table written anew."""
    return _TABLE.sub(lambda match: match[1] + TABLES[match[2]]() + match[4], text)


@pytest.fixture(scope="module")
def readme() -> str:
    return README.read_text("utf-8")


def code_blocks(readme: str, language: str) -> list[str]:
    return [body for name, body in _FENCE.findall(readme) if name == language]


def section(readme: str, title: str) -> str:
    """Text below a heading, up to the next one."""
    return re.split(r"^#+ ", readme.partition(f" {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_table_of_the_code_stands_in_the_readme_as_it_is(readme: str) -> None:
    shown = {name: body for _, name, body, _ in _TABLE.findall(readme)}
    assert shown == {name: table() for name, table in TABLES.items()}, "run: python -m tests.test_docs"


@pytest.mark.parametrize("name", sorted(cli.cli.commands))
def test_every_command_and_flag_is_in_the_readme(name: str, readme: str) -> None:
    assert f"dicom-anon {name}" in readme or name == "run"
    for option in cli.cli.commands[name].params:
        if isinstance(option, click.Option):
            assert all(f"`{opt}" in readme or f", {opt}" in readme for opt in option.opts)


def test_readme_says_how_the_settings_of_the_preset_none_differ() -> None:
    flags = [value for value in preset_section("none").settings.values() if isinstance(value, bool)]
    assert flags == [False] * 4


def test_the_two_command_blocks_are_single_lines_and_do_what_they_are_for(readme: str) -> None:
    blocks = dict(_CI.findall(readme))
    assert set(blocks) == {"install", "test"}
    assert all(block.count("\n") == 1 and block.endswith("\n") for block in blocks.values())
    assert blocks["install"].split(" && ") == [
        "python3 -m venv .venv",
        ".venv/bin/pip install .",
        ".venv/bin/dicom-anon sample sample-in",
        ".venv/bin/dicom-anon sample-in sample-out\n",
    ]
    assert blocks["test"].endswith(".venv/bin/python -m pytest\n")


def test_ci_runs_exactly_the_two_blocks(readme: str) -> None:
    done = subprocess.run(["bash", ROOT / ".ci/run", "--show"], capture_output=True, text=True, check=True)
    assert done.stdout == "".join(block for _, block in _CI.findall(readme))


def test_nobody_is_sent_to_the_package_of_others(readme: str) -> None:
    assert not re.search(r"pip install\s+[^\n&;]*\bdicom-anon\b(?!-batch)", readme)


def test_json_examples_are_valid_and_their_projects_resolve(readme: str) -> None:
    examples = code_blocks(readme, "json")
    assert examples
    for example in examples:
        config = parse_config(example, "README")
        assert config.projects
        for project in config.projects:
            written = {row.source for row in resolve(config, project=project).rows.values()}
            assert {"general", f"project {project}"} <= written


def test_example_errors_are_the_ones_that_are_printed(readme: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config('{"general": {"PatientNam": "keep", "0010,0010": "keepX"}}', "rules.json")
    shown = [
        f"    error: {str(problem).partition(' (accepted')[0]} (...)" for problem in error.value.problems
    ]
    assert [line for line in readme.splitlines() if line.startswith("    error: ")] == shown


def test_python_examples_run_and_de_identify(
    readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sample = write_sample(tmp_path / "sample-in")
    Path("rules.json").write_text(code_blocks(readme, "json")[0], "utf-8")
    tree, dataset = code_blocks(readme, "python")
    names: dict[str, Any] = {}
    exec(compile(tree, "README, first example", "exec"), names)
    assert names["report"].written == sample.files
    assert names["report"].exit_code == 0
    written = [path for path in Path("knee-out").rglob("*") if path.is_file()]
    assert len(written) == sample.files
    assert pydicom.dcmread(written[0]).PatientID.startswith("KNEE-")
    exec(compile(dataset, "README, second example", "exec"), names)
    assert names["dataset"].StudyDescription == "Knee"
    assert names["dataset"].PatientName != "Doe^Jane"
    assert names["dataset"].PatientIdentityRemoved == "YES"


def test_the_account_shown_is_that_of_the_sample_tree(readme: str, tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "in")
    shown = section(readme, "What happens to a tree")
    assert f"{sample.files + sample.others}  files found" in shown
    assert f"{sample.files}  written" in shown


def _value_rows(readme: str) -> list[tuple[list[str], str]]:
    rows = re.findall(
        r"^\| ([A-Z ]+) \|.*`([^`=]+=[^`]+)` \|$",
        section(readme, "What `set` makes of its text"),
        re.MULTILINE,
    )
    return [(vrs.split(), example) for vrs, example in rows]


def test_the_table_of_value_representations_is_complete_and_its_examples_fit(readme: str) -> None:
    rows = _value_rows(readme)
    listed = [vr for vrs, _ in rows for vr in vrs]
    assert sorted(listed) == sorted({*values.TEXT_VRS, *values.NUMBER_FORMATS, "AT", "OB", "UN", "SQ"})
    for vrs, example in rows:
        key, rule = parse_assign(example)
        assert isinstance(key, int)
        assert tags.vr_of(key) in vrs
        if rule.action.command == "set":
            assert values.encode(rule.action.parameter, vrs[vrs.index(str(tags.vr_of(key)))], ("latin_1",))


@pytest.mark.parametrize(
    ("example", "vr"),
    [
        ("StudyDate=set(1.1.1999)", "DA"),
        ("AcquisitionMatrix=set(70000)", "US"),
        ("DiffusionBValue=set(many)", "FD"),
        ("FrameIncrementPointer=set(FrameTme)", "AT"),
        ("ICCProfile=set(hex:0g)", "OB"),
        ("RequestAttributesSequence=set(a)", "SQ"),
    ],
)
def test_what_the_table_of_value_representations_excludes_is_refused(example: str, vr: str) -> None:
    tag = tags.tag_for_keyword(example.partition("=")[0])
    assert tag is not None
    assert tags.vr_of(tag) == vr
    with pytest.raises(ConfigError):
        parse_assign(example)


def test_key_forms_of_the_readme_are_accepted(readme: str) -> None:
    table = [line for line in section(readme, "The rules").splitlines() if line.startswith("| ")]
    forms = [form for line in table[1:-1] for form in re.findall(r"`([^`]+)`", line)]
    assert len(forms) == 7
    assert all(tags.parse_key(form) for form in forms)


def test_the_deviations_of_the_default_preset_are_all_named(readme: str) -> None:
    table = section(readme, "Presets").partition("| kept, or changed |")[2]
    named = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}(?:ID)?\b|PatientID", table.partition("\n\n")[0]))
    in_profile = {row.keyword for row in standard.profile_rows()}
    assert named == set(decisions.USEFUL) & in_profile


def test_links_lead_to_files(readme: str) -> None:
    links = re.findall(r"\]\(([^)#][^)]*)\)", readme)
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_anchors_lead_to_headings(readme: str) -> None:
    headings = re.findall(r"^#+ (.+)$", readme, re.MULTILINE)
    known = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", readme)) <= known


@pytest.fixture(scope="module")
def top_help() -> str:
    return _help()


def _help(*command: str) -> str:
    environment = {**os.environ, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"}
    asked = [sys.executable, "-m", "dicom_anon", *command, "--help"]
    return subprocess.run(
        asked, capture_output=True, text=True, check=True, env=environment, encoding="utf-8"
    ).stdout


def test_help_shows_both_forms_every_command_and_the_exit_codes(top_help: str) -> None:
    assert "dicom-anon [OPTIONS] SRC DST" in top_help
    assert "dicom-anon COMMAND ..." in top_help
    assert all(re.search(rf"^  {name} ", top_help, re.MULTILINE) for name in cli.cli.commands)
    assert re.findall(r"^    (\d+) ", top_help, re.MULTILINE) == ["0", "1", "2", "130"]


@pytest.mark.parametrize("name", sorted(cli.cli.commands))
def test_help_of_a_command_explains_each_option(name: str) -> None:
    shown = _help(name)
    options = [option for option in cli.cli.commands[name].params if isinstance(option, click.Option)]
    assert all(option.help and opt in shown for option in options for opt in option.opts)


def test_help_warns_that_inspect_shows_values() -> None:
    assert "shows the values of the file" in " ".join(_help("inspect").split())


def test_help_names_every_preset() -> None:
    assert ", ".join(PRESETS) in " ".join(_help("run").split())


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
