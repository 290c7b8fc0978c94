"""A list of accession numbers and a crosswalk, joined."""

from __future__ import annotations

import csv
import io
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_anon.accessions import join, join_files, write_private
from dicom_anon.crosswalk import HEADERS
from dicom_anon.errors import UsageError

CROSSWALK = "PHI-AccNo,ANON-StudyUID\n00123,2.25.1\n123,2.25.2\nA 7,2.25.3\nA 7,2.25.3\nA 7,2.25.0\n,2.25.9\n"


def test_accessions_are_texts_and_leading_zeros_count() -> None:
    joined = join("ACCESSION-NUMBER\n00123\n123\n0123\n", CROSSWALK)
    assert joined.text == "ACCESSION-NUMBER,ANON-StudyUID\r\n00123,2.25.1\r\n123,2.25.2\r\n0123,\r\n"
    assert (joined.rows, joined.unknown, joined.several) == (3, 1, 0)


def test_an_accession_of_several_studies_gets_them_all_once() -> None:
    joined = join("ACCESSION-NUMBER\nA 7\n", CROSSWALK)
    assert joined.text.splitlines()[1] == "A 7,2.25.0; 2.25.3"
    assert joined.several == 1


def test_an_empty_accession_is_unknown_whatever_the_crosswalk_holds() -> None:
    assert join("ACCESSION-NUMBER,Note\n,x\n", CROSSWALK).unknown == 1


def test_other_columns_delimiter_and_case_of_the_header_stay() -> None:
    joined = join('Site;Accession-Number;Note\nUlm;"00123";"a;b"\nBonn\n', CROSSWALK)
    assert joined.text.splitlines() == [
        "Site;Accession-Number;Note;ANON-StudyUID",
        'Ulm;00123;"a;b";2.25.1',
        "Bonn;;;",
    ]


def test_the_columns_of_a_crosswalk_are_those_that_a_run_writes() -> None:
    assert {"PHI-AccNo", "ANON-StudyUID"} <= set(HEADERS)


@pytest.mark.parametrize(
    ("accessions", "crosswalk", "problem"),
    [
        ("Number\n1\n", CROSSWALK, "no column ACCESSION-NUMBER"),
        ("ACCESSION-NUMBER\n1\n", "a,b\n1,2\n", "no columns PHI-AccNo and ANON-StudyUID"),
        ("", CROSSWALK, "--accessions is empty"),
        ('ACCESSION-NUMBER\n"secret', CROSSWALK, "--accessions is no CSV"),
    ],
)
def test_what_is_no_such_table_is_refused_without_a_value(accessions: str, crosswalk: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as error:
        join(accessions, crosswalk)
    assert "secret" not in str(error.value)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8), max_size=6))
def test_every_line_arrives_with_its_own_text(values: list[str]) -> None:
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(["ACCESSION-NUMBER", "n"])
    table.writerows([value, str(number)] for number, value in enumerate(values))
    joined = join(written.getvalue(), CROSSWALK)
    rows = list(csv.reader(io.StringIO(joined.text, newline="")))[1:]
    assert [row[:2] for row in rows] == [[value, str(number)] for number, value in enumerate(values)]
    assert joined.rows == len(values)


def test_files_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ACCESSION-NUMBER\r\n00123\r\n", "utf-8-sig")
    (tmp_path / "c.csv").write_text(CROSSWALK, "utf-8")
    assert join_files(tmp_path / "a.csv", tmp_path / "c.csv").unknown == 0
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        join_files(tmp_path / "a.csv", tmp_path / "c.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        join_files(tmp_path / "none.csv", tmp_path / "c.csv")


def test_the_result_is_private_and_replaces_nothing(tmp_path: Path) -> None:
    write_private(tmp_path / "out.csv", "text\n")
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    with pytest.raises(UsageError, match="there already"):
        write_private(tmp_path / "out.csv", "other\n")
    assert (tmp_path / "out.csv").read_text() == "text\n"
