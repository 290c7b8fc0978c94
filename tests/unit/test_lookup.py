"""The lookup table: its forms, its errors, which quote nobody, patients not in it; and the crosswalk."""

from __future__ import annotations

import csv
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, Sequence

from dicom_anon.assignment import resolve
from dicom_anon.config import parse_assign, parse_config
from dicom_anon.crosswalk import HEADERS, Crosswalk
from dicom_anon.elements import EXPLICIT_LITTLE
from dicom_anon.engine import Engine, Plan
from dicom_anon.errors import ConfigError, FileRefused, Kind, Reason
from dicom_anon.lookup import Lookup, parse_lookup, read_lookup
from tests.datasets import KEY, decode, encode, item, walked

TABLE = "PatientID,SubjectID,SubjectName,DateOffset,Site\n4711,S-01,Subject^One,-30,Ulm\n 4712 ,S-02,,,Bonn\n"


def run(data_set: Dataset, plan: Plan) -> Dataset:
    pieces = Engine(plan).run(walked(encode(data_set, EXPLICIT_LITTLE))).pieces
    return decode(b"".join(piece for piece in pieces if isinstance(piece, bytes)), EXPLICIT_LITTLE)


def table() -> Lookup:
    return parse_lookup(TABLE, "test")


def test_columns_and_blanks() -> None:
    one, two = table().find("4711"), table().find("4712 ")
    assert one is not None
    assert two is not None
    assert (one.identifier, one.name, one.days, one.columns["site"]) == ("S-01", "Subject^One", -30, "Ulm")
    assert (two.identifier, two.name, two.days, two.columns["site"]) == ("S-02", "", None, "Bonn")
    assert table().find("471") is None
    assert table().find("") is None


@pytest.mark.parametrize(
    "text",
    [
        "patientid;SUBJECTID\n4711;S-01\n", "PatientID\tSubjectID\n4711\tS-01\n",
        '"PatientID","SubjectID"\r\n"4711","S-01"\r\n',
        "PHI-PatientID,ANON-PatientID,PHI-StudyUID\n4711,S-01,1.2\n4711,S-01,1.3\n",
        "PatientID,SubjectID\n\n4711,S-01\n,\n",
    ],
)  # fmt: skip
def test_other_forms_of_the_same_table(text: str) -> None:
    found = parse_lookup(text, "test").find("4711")
    assert found is not None
    assert found.identifier == "S-01"


def test_an_id_may_have_blanks_and_64_characters() -> None:
    longest = "S 01 ".ljust(64, "x")
    found = parse_lookup(f"PatientID,SubjectID\n4711,{longest}\n", "test").find("4711")
    assert found is not None
    assert found.identifier == longest


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no such column"), ("PatientID\nSECRET\n", "no such column"),
        ("PatientID,SubjectID\n", "holds no patient"),
        ("PatientID,SubjectID\nSECRET,S-1\nSECRET,S-2\n", "earlier line"),
        ("PatientID,SubjectID\nSECRET\n", "has 1 columns"),
        ("PatientID,SubjectID\nSECRET,\n", "is empty"), ("PatientID,SubjectID\n,SECRET\n", "is empty"),
        ("PatientID,SubjectID\nSECRET,Secret \n", "called as the patient"),
        ("PatientID,SubjectID,DateOffset\nSECRET,S,soon\n", "no number of days"),
        ("PatientID,SubjectID,DateOffset\nSECRET,S,999999\n", "no number of days"),
        ("PatientID,SubjectID\nSECRET,a\\b\n", "does not fit"),
        ("PatientID,SubjectID\nSECRET,a\x1fb\n", "does not fit"),
        (f"PatientID,SubjectID\nSECRET,{'S' * 65}\n", "does not fit"),
        ("PatientID,SubjectID,subjectid\nSECRET,1,2\n", "same header"),
        ('PatientID,SubjectID\n"SECRET,S\n', "is not CSV"),
    ],
)  # fmt: skip
def test_errors_say_where_and_never_who(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        parse_lookup(text, "table.csv")
    assert "SECRET" not in str(refused.value)
    assert "table.csv" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("PatientID,Site\nSECRET\n,Ulm\n", [""]),  # what the columns are is not known
        (
            "PatientID,SubjectID,SubjectName,DateOffset\nSECRET\n,,,\n,, ,soon\nA,a,,soon\n"
            f"B,S,,soon\nC,S\\1,N\\1,\nD,S-1,{'N' * 65},\nE,S-2,,9\n",
            [", line 2", ", line 4", ", line 5", ", line 6", ", line 7", ", line 8"],
        ),
    ],
)
def test_every_line_is_told_with_its_first_problem(text: str, lines: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_lookup(text, "table.csv")
    assert [problem.where for problem in refused.value.problems] == [f"table.csv{line}" for line in lines]


def test_a_file_with_a_byte_order_mark_and_one_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xef\xbb\xbf" + TABLE.encode())
    assert read_lookup(path) == table()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_lookup(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_lookup(tmp_path / "nothing.csv")


def test_the_table_names_patients_and_moves_their_dates() -> None:
    plan = Plan(resolve(preset="tcia", lookup=table()), KEY)
    found = run(
        item(PatientID="4711 ", PatientName="Doe^Jane", StudyDate="20200131"),
        pickle.loads(pickle.dumps(plan)),
    )
    assert (found.PatientID, found.PatientName, found.StudyDate) == ("S-01", "Subject^One", "20200101")
    keyed = run(item(PatientID="4712", StudyDate="20200131"), plan)
    assert (keyed.PatientID, keyed.PatientName) == ("S-02", "")
    assert keyed.StudyDate < "20200131"


def test_rules_of_the_user_stand_over_the_table() -> None:
    config = parse_config(
        '{"general": {"PatientID": "set(@lookup(Site)@-@lookup(SubjectID)@)", "PatientName": "clear"}}',
        "test",
    )
    found = run(item(PatientID="4711", PatientName="Doe^Jane"), Plan(resolve(config, lookup=table()), KEY))
    assert (found.PatientID, found.PatientName) == ("Ulm-S-01", "")


@pytest.mark.parametrize("written", [r"4711\4712", r"4711 \4711", "4711"])
def test_the_first_of_several_ids_names_the_patient(written: str) -> None:
    plan = Plan(resolve(lookup=parse_lookup(f"PatientID,SubjectID\n{written},S-01\n", "test")), KEY)
    for identifiers in (["4711", "4712"], "4711", [" 4711", ""]):
        assert run(item(PatientID=identifiers), plan).PatientID == "S-01"


@pytest.mark.parametrize("patient", ["4713", "", "47110", None])
@pytest.mark.parametrize("rules", ["{}", '{"PatientID": "keep", "PatientName": "keep"}'])
def test_a_patient_who_is_not_in_the_table_is_refused(patient: str | None, rules: str) -> None:
    plan = Plan(resolve(parse_config(f'{{"general": {rules}}}', "test"), lookup=table()), KEY)
    source = item(PatientName="Doe^Jane")
    if patient is not None:
        source.PatientID = patient
    with pytest.raises(FileRefused) as refused:
        run(source, plan)
    assert refused.value.reason is Reason.IDENTITY_MISSING
    assert refused.value.reason.kind is Kind.QUARANTINED
    assert "4713" not in str(refused.value)


def test_a_nested_patient_who_is_not_in_the_table_is_refused_too() -> None:
    source = item(PatientID="4711", ReferencedSeriesSequence=Sequence([item(PatientID="4799")]))
    with pytest.raises(FileRefused):
        run(source, Plan(resolve(lookup=table()), KEY))
    source.ReferencedSeriesSequence[0].PatientID = "4712"
    assert run(source, Plan(resolve(lookup=table()), KEY)).ReferencedSeriesSequence[0].PatientID == "S-02"


def test_a_column_must_exist_before_the_run() -> None:
    assign = [parse_assign("StudyID=set(@lookup(ward)@)")]
    with pytest.raises(ConfigError, match="no lookup table"):
        resolve(assigns=assign)
    with pytest.raises(ConfigError, match='no column "ward"'):
        resolve(assigns=assign, lookup=table())
    with pytest.raises(ConfigError, match="needs a column"):
        parse_assign("StudyID=set(@lookup@)")


def test_the_digest_knows_the_table() -> None:
    other = parse_lookup(TABLE.replace("S-02", "S-03"), "test")
    digests = {resolve().digest, resolve(lookup=table()).digest, resolve(lookup=other).digest}
    assert len(digests) == 3
    assert "4711" not in repr(table())


# --- crosswalk ------------------------------------------------------------------------------------------


def file_of(series: str, number: int) -> Dataset:
    return item(
        PatientID="4711", PatientName="Doe^Jane", AccessionNumber="ACC", StudyDate="20200131",
            StudyInstanceUID="1.2.3",
        SeriesInstanceUID=series, SOPInstanceUID=f"{series}.{number}", InstanceNumber=str(number),
    )  # fmt: skip


def test_the_crosswalk_has_a_line_for_each_series(tmp_path: Path) -> None:
    plan = replace(Plan(resolve(preset="tcia", lookup=table()), KEY), crosswalk=True)
    engine, crosswalk = Engine(plan), Crosswalk()
    outputs = []
    for series, number in (("1.2.3.2", 1), ("1.2.3.1", 1), ("1.2.3.1", 2), ("1.2.3.1", 3), ("1.2.3.1", 4)):
        raw = encode(file_of(series, number), EXPLICIT_LITTLE)
        data = walked(raw)
        new = engine.run(data)
        assert new.crossing is not None
        crosswalk.add([new.crossing])
        outputs.append(decode(b"".join(p for p in new.pieces if isinstance(p, bytes)), EXPLICIT_LITTLE))
    path = tmp_path / "crosswalk.csv"
    path.write_bytes(crosswalk.as_csv())
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HEADERS
    assert [(row["PHI-SeriesUID"], row["Instances"]) for row in rows] == [("1.2.3.1", "4"), ("1.2.3.2", "1")]
    first = rows[0]
    assert (first["PHI-PatientID"], first["ANON-PatientID"], first["DateOffset"]) == ("4711", "S-01", "-30")
    assert (first["PHI-PatientName"], first["ANON-PatientName"]) == ("Doe^Jane", "Subject^One")
    assert (first["PHI-StudyDate"], first["ANON-StudyDate"]) == ("20200131", "20200101")
    assert (first["PHI-AccNo"], first["ANON-AccNo"]) == ("ACC", "")
    assert first["ANON-StudyUID"] == outputs[0].StudyInstanceUID
    assert {row["ANON-SeriesUID"] for row in rows} == {output.SeriesInstanceUID for output in outputs}
    again = read_lookup(path).find("4711")
    assert again is not None
    assert (again.identifier, again.name, again.days) == ("S-01", "Subject^One", -30)


def test_without_the_wish_no_file_tells_its_identity() -> None:
    new = Engine(Plan(resolve(), KEY)).run(walked(encode(file_of("1.2.3.1", 1), EXPLICIT_LITTLE)))
    assert new.crossing is None


def test_lines_end_only_where_lines_of_csv_do() -> None:
    names = [f"A{sign}B" for sign in "\x85\x0b\x0c\x1c\u2028"]
    table = parse_lookup("PatientID,SubjectID\n" + "".join(f"{name},S{n}\n" for n, name in enumerate(names)), "test")
    assert [found.identifier for name in names if (found := table.find(name))] == ["S0", "S1", "S2", "S3", "S4"]


@pytest.mark.parametrize("rule", ["StudyDate", "(0008,002x)"])
def test_the_crosswalk_tells_the_days_whatever_names_the_dates(rule: str) -> None:
    config = parse_config(f'{{"general": {{"{rule}": "shiftdate", "date_shift": {{"days": -30}}}}}}', "test")
    engine = Engine(replace(Plan(resolve(config), KEY), crosswalk=True))
    crossing = engine.run(walked(encode(file_of("1.2.3.1", 1), EXPLICIT_LITTLE))).crossing
    assert crossing is not None
    assert crossing.days == "-30"
