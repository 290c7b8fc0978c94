"""The README against the code: tables, commands, examples. ``python -m tests.test_docs`` writes the tables.

Not here: what the commands do to files.
"""

from __future__ import annotations

import json
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

from dicom_anon import (
    cli,
    extra_rules,
    lookup,
    naming,
    objects,
    presets,
    profile,
    report,
    runfolder,
    standard,
    tags,
    values,
)
from dicom_anon.actions import COMMANDS
from dicom_anon.assignment import resolve
from dicom_anon.config import parse_assign, parse_config, preset_section
from dicom_anon.ending import FirstSignal
from dicom_anon.errors import ConfigError, Reason
from dicom_anon.macros import MACROS, MacroError, parse_template
from dicom_anon.presets import PRESETS, decisions
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.report import NOTES
from dicom_anon.sample import write_sample
from dicom_anon.settings import SETTINGS
from tests.acceptance.command import call

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
    rows = (tuple(line.split(maxsplit=1)) for line in listed.splitlines() if line.strip())
    return markdown(("code", "meaning"), sorted(rows, key=lambda row: int(row[0])))


def reasons() -> str:
    return markdown(("reason", "column", "meaning"), ((f"`{r.value}`", r.kind.value, r.meaning) for r in Reason))


def notes() -> str:
    return markdown(("note", "meaning"), ((f"`{code}`", meaning) for code, meaning in NOTES.items()))


def _flags(command: str, but: Iterable[str] = ()) -> str:
    rows = []
    for option in cli.cli.commands[command].params:
        if isinstance(option, click.Option) and option.name not in but:
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
        (", ".join(f"`{form}`" for form in row.form.split(", ")), row.meaning, row.profile) for row in COMMANDS.values()
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
    return markdown(("preset", "meaning"), ((f"`{name}`", presets.load(name)["general"]["_about"]) for name in PRESETS))


TABLES: dict[str, Callable[[], str]] = {
    "exit-codes": exit_codes,
    "reasons": reasons,
    "notes": notes,
    "run-options": lambda: _flags("run"),
    "settings": settings,
    "commands": commands,
    "macros": macros,
    "presets": preset_names,
    "print-options": lambda: _flags("print-assignment", but={option.name for option in cli.cli.commands["run"].params}),
}


def with_tables(text: str) -> str:
    """README with every table written anew."""
    return _TABLE.sub(lambda match: match[1] + TABLES[match[2]]() + match[4], text)


@pytest.fixture(scope="module")
def readme() -> str:
    return README.read_text("utf-8")


def code_blocks(readme: str, language: str) -> list[str]:
    return [body for name, body in _FENCE.findall(readme) if name == language]


def indented(readme: str, title: str) -> list[str]:
    """Indented blocks below a heading, without their indentation."""
    blocks = re.findall(r"(?:^    .*\n)+", section(readme, title), re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks]


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
    shown = [f"    error: {str(problem).partition(' (accepted')[0]} (...)" for problem in error.value.problems]
    assert [line for line in readme.splitlines() if line.startswith("    error: ")] == shown


def test_python_examples_run_and_de_identify(readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample = write_sample(tmp_path / "sample-in")
    Path("rules.json").write_text(code_blocks(readme, "json")[0], "utf-8")
    tree, dataset, by_tag = code_blocks(readme, "python")
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
    exec(compile(by_tag, "README, third example", "exec"), names)
    assert "PatientName" not in names["dataset"]
    assert names["dataset"].AdmittingDate == "20240101"
    assert names["dataset"].StudyDescription == "Knee"
    assert ("(0010,0010)", "removed") in {(change.tag, change.outcome) for change in names["report"].changes}


def test_the_account_shown_is_that_of_the_sample_tree(readme: str, tmp_path: Path) -> None:
    write_sample(tmp_path / "sample-in")
    done = call(tmp_path / "sample-in", tmp_path / "sample-out")
    assert done.code == 0
    (shown,) = indented(readme, "What happens to a tree")
    printed = (done.out + done.err).replace(str(tmp_path), "/data")
    assert _without_measures(printed) == _without_measures(shown)


def _without_measures(text: str) -> list[str]:
    """Lines without time, and without the size in brackets: a deflated file is not of the same length everywhere."""
    measures = r" \([\d.]+ kB\)| [\d.]+ s, [\d,]+ files/s"
    return [re.sub(measures, "", line).strip() for line in text.splitlines() if line.strip()]


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
    assert len(forms) == 8
    assert all(tags.parse_key(form) for form in forms)


def test_the_deviations_of_the_default_preset_are_all_named(readme: str) -> None:
    table = section(readme, "Presets").partition("| kept, or changed |")[2]
    named = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}(?:ID)?\b|PatientID", table.partition("\n\n")[0]))
    in_profile = {row.keyword for row in standard.profile_rows()}
    assert named == set(decisions.USEFUL) & in_profile


def _first_column(readme: str, title: str) -> list[list[str]]:
    """Words in backticks in the first cell of each row, below a heading."""
    rows = re.findall(r"^\| (`.*?) \|", section(readme, title), re.MULTILINE)
    return [re.findall(r"`([^`]+)`", row) for row in rows]


def test_every_kind_of_object_is_listed_with_its_policy(readme: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", section(readme, "Objects that need care"), re.MULTILINE)
    assert dict(rows) == objects.POLICIES
    (example,) = indented(readme, "Objects that need care")
    assert resolve(parse_config(example, "README")).objects == {
        **objects.POLICIES, "secondary_capture": "drop", "sr": "quarantine",
    }  # fmt: skip


def test_every_option_of_the_profile_is_listed(readme: str) -> None:
    assert _first_column(readme, "Options of PS3.15") == [[option] for option in standard.PROFILE_OPTIONS]
    assert all(f"`{name}`" in section(readme, "Options of PS3.15") for name in profile.NOT_OFFERED)


def test_the_options_of_tcia_are_listed(readme: str) -> None:
    listed = section(readme, "Presets").partition("**`tcia`** is `basic`")[2].partition(";")[0]
    assert tuple(re.findall(r"`(\w+)`", listed)) == resolve(preset="tcia").profile_options


def test_every_option_of_verify_is_listed(readme: str) -> None:
    shown = set(re.findall(r"`(--?[\w-]+)", section(readme, "Verify"))) - {"--verify"}
    options = [o for o in cli.cli.commands["verify"].params if isinstance(o, click.Option)]
    assert all(shown & {*option.opts} for option in options)
    assert shown <= {opt for option in options for opt in option.opts}


def test_actions_of_dicom_anonymizer_are_those_that_are_read(readme: str) -> None:
    table = section(readme, "Coming from dicom-anonymizer").partition("| their action |")[2]
    rows = re.findall(r"^\| (`.*?) \| (`.*?)[,|]", table, re.MULTILINE)
    shown: dict[str, str] = {}
    for theirs, ours in rows:
        shown.update(zip(re.findall(r"`(\w+)`", theirs), re.findall(r"`(\w+)`", ours), strict=False))
    shown.update({same: same for same in ("keep", "clean")})
    assert shown == extra_rules.COMMANDS


def test_the_example_of_extra_rules_is_read(readme: str) -> None:
    (example,) = indented(readme, "Coming from dicom-anonymizer")
    rules = extra_rules.parse_extra_rules(json.loads(example), "README")
    assert {key: rule.action.describe() for key, rule in rules} == {
        0x00080012: "remove", 0x00080013: "remove", 0x00104000: "remove", 0x0008103E: "regexp([0-9]+,#)",
    }  # fmt: skip


def test_the_example_of_a_lookup_table_is_read_and_its_columns_can_be_used(readme: str) -> None:
    (example,) = indented(readme, "Lookup and crosswalk")
    table = lookup.parse_lookup(example, "README")
    subject = table.find("4711")
    assert subject is not None
    assert (subject.identifier, subject.name, subject.days) == ("S-001", "Subject 1", -120)
    rule = re.search(r'`("\w+": "set\(@lookup.*?")`', section(readme, "Lookup and crosswalk"))
    assert rule is not None
    config = parse_config(f'{{"general": {{{rule[1]}}}}}', "README")
    assert 0x00120030 in resolve(config, lookup=table).rows
    with pytest.raises(ConfigError):
        resolve(config)


def test_files_of_the_private_folder_are_listed(readme: str) -> None:
    listed = set(re.findall(r"^- `(.+?)`:", section(readme, "The private folder"), re.MULTILINE))
    assert listed == {
        runfolder.KEY_NAME, runfolder.MANIFEST_NAME, runfolder.PROBLEMS_NAME, runfolder.BURNED_IN_NAME,
        runfolder.LOG_NAME,
    }  # fmt: skip


def test_the_example_of_names_is_what_becomes_of_them(readme: str) -> None:
    (example,) = indented(readme, "Names of folders and files")
    before, after = (Path(side.strip()).parts for side in example.split("→"))
    doe = naming.identifiers_of(("Doe^Jane",), ("7719-03",), ("19611230",), ())
    pseudonyms = Pseudonyms(b"a secret of 16 bytes or more")
    made = [naming.folder_token(name, pseudonyms) for name in before[:-1]]
    made.append(naming.safe_file_name(before[-1], doe, pseudonyms))
    assert all(naming.holds_identifier(name, doe) for name in before)
    assert tuple(made) == after


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
    return subprocess.run(asked, capture_output=True, text=True, check=True, env=environment, encoding="utf-8").stdout


def test_help_shows_both_forms_every_command_and_the_exit_codes(top_help: str) -> None:
    assert "dicom-anon [OPTIONS] SRC DST" in top_help
    assert "dicom-anon COMMAND ..." in top_help
    assert all(re.search(rf"^  {name} ", top_help, re.MULTILINE) for name in cli.cli.commands)
    listed = [int(code) for code in re.findall(r"^    (\d+) ", top_help, re.MULTILINE)]
    assert sorted(listed) == [0, 1, 2, 3, 130]
    codes = (
        report.EXIT_GOOD,
        report.EXIT_TROUBLE,
        report.EXIT_USAGE,
        report.EXIT_FOUND,
        FirstSignal().exit_code,
    )
    assert sorted(codes) == sorted(listed)


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
