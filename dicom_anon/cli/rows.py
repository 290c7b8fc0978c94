"""An assignment as plain text, in the forms that ``print-assignment`` offers.

Lives here: how its rows are written. Does not live here: which rows there are.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable

import click

from dicom_anon import tags
from dicom_anon.actions import Safe
from dicom_anon.assignment import Assignment, Row

COLUMNS = ("tag", "keyword", "command", "parameter", "source")
WIDEST = 44
"""Characters of the widest column of a table; longer values stand out of it."""


def show_assignment(assignment: Assignment, rows: Iterable[Row], form: str, *, stderr: bool = False) -> None:
    """Print an assignment in one of `FORMATS`."""
    click.echo(FORMATS[form](assignment, list(rows)), nl=False, err=stderr)


def _record(row: Row) -> dict[str, str]:
    cells = (tags.format_key(row.key), tags.keyword_of(row.key), row.action.command, row.action.parameter, row.source)
    return dict(zip(COLUMNS, cells, strict=True))


def _as_table(assignment: Assignment, rows: list[Row]) -> str:
    """Columns of plain text: thousands of rows, which a rich table would take seconds to lay out."""
    records = [{name: name.upper() for name in COLUMNS}, *map(_record, rows)]
    widths = {name: min(WIDEST, max(len(record[name]) for record in records)) for name in COLUMNS}
    lines = ["  ".join(f"{record[name]:<{widths[name]}}" for name in COLUMNS).rstrip() for record in records]
    project = f", project {assignment.project}" if assignment.project else ""
    safe = sum(isinstance(row.action, Safe) for row in assignment.rows.values())
    fate = "removed" if assignment.remove_unknown_tags else "kept"
    lines += [
        "",
        f"preset {assignment.preset}{project}: {len(rows)} rows shown; {safe} safe rows in all (--all shows them).",
        f"What has no row, private elements above all, is {fate}, at every depth.",
        f"Digest of the rules: {assignment.told_digest}",
    ]
    return "\n".join(lines) + "\n"


def _as_text(assignment: Assignment, rows: list[Row]) -> str:
    """Lines as mercure-anonymizer prints them."""
    return "".join(
        f'{tags.format_key(row.key)}: CMD={row.action.command}, PARAM="{row.action.parameter}", '
        f"SOURCE={row.source.upper()}\n"
        for row in rows
    )


def _as_json(assignment: Assignment, rows: list[Row]) -> str:
    content = {
        "preset": assignment.preset,
        "project": assignment.project,
        "remove_unknown_tags": assignment.remove_unknown_tags,
        "digest": assignment.told_digest,
        "rows": [_record(row) for row in rows],
    }
    return json.dumps(content, indent=1) + "\n"


def _as_csv(assignment: Assignment, rows: list[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_record, rows))
    return out.getvalue()


FORMATS = {"table": _as_table, "text": _as_text, "json": _as_json, "csv": _as_csv}
