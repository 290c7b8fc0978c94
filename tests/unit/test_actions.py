"""The commands that dates, text and content items need; the others are tested through the engine's cases."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence, dcmread

from dicom_anon.actions import COMMANDS, Clean, CommandError, parse_action, shift_date, truncate_date
from dicom_anon.actions.content import concept_code
from dicom_anon.assignment import resolve
from dicom_anon.config import check_fits
from dicom_anon.elements import EXPLICIT_LITTLE, element_bytes, item_bytes
from dicom_anon.engine import Engine, Plan
from dicom_anon.errors import FileRefused, Reason
from dicom_anon.scope import DateShift
from dicom_anon.tags import parse_key
from dicom_anon.worker import deidentify
from tests import datasets
from tests.datasets import KEY, decode, encode, item, rewrite, walked

DAYS = st.dates(datetime.date(100, 1, 1), datetime.date(9800, 1, 1))


def run(data_set: Dataset, engine: Engine) -> Dataset:
    pieces = engine.run(walked(encode(data_set, EXPLICIT_LITTLE))).pieces
    return decode(b"".join(piece for piece in pieces if isinstance(piece, bytes)), EXPLICIT_LITTLE)


def written(day: datetime.date) -> str:
    return f"{day.year:04}{day.month:02}{day.day:02}"


@pytest.mark.parametrize("text", [command.form.split(",")[0].split("(")[0] for command in COMMANDS.values()])
def test_every_form_begins_with_its_command(text: str) -> None:
    assert text in COMMANDS


@pytest.mark.parametrize(
    ("text", "accepted"),
    [("set(a", "set(v)"), ("set(a)x", "set(v)"), ("keep(", "keep"), (" regexp(a,b", "regexp(find,replace)")],
)
def test_a_parenthesis_that_is_missing(text: str, accepted: str) -> None:
    with pytest.raises(CommandError, match=r"the \) at its end is missing") as refused:
        parse_action(text)
    assert refused.value.accepted == accepted


@pytest.mark.parametrize(
    ("tag", "text", "problem", "accepted"),
    [
        (0x00080020, "set(19991301)", "not a value of VR DA", "a value of VR DA: YYYYMMDD, a real date"),
        (0x00080020, "set(19990231)", "no day of the calendar", "a value of VR DA: YYYYMMDD, a real date"),
        (0x00080020, "set(@process_date@)", "@process_date@: start of the run, MMddyyyy", "a value of VR DA: YYYYMMDD"),
        (0x00080020, "set(2026@process_date@)", "@process_date@: start of the run, MMddyyyy", "a value of VR DA"),
        (0x00080020, "replace(@process_date@)", "@process_date@: start of the run, MMddyyyy", "a value of VR DA"),
        (0x00080030, "set(@process_time@)", "@process_time@: start of the run, hhmmsszzz", "a value of VR TM: HHMMSS"),
        (0x00080030, "set(@process_date@)", "@process_date@: start of the run, MMddyyyy", "a value of VR TM"),
        (0x0008002A, "set(@process_time@)", "@process_time@: start of the run, hhmmsszzz", "a value of VR DT"),
        (0x00080050, "set(X@fake_acc@)", "@fake_acc@: 16 digits", "a value of VR SH: at most 16 characters"),
    ],
)
def test_a_value_that_can_never_fit_is_refused_with_its_form(tag: int, text: str, problem: str, accepted: str) -> None:
    with pytest.raises(CommandError) as refused:
        check_fits(tag, parse_action(text))
    assert problem in str(refused.value)
    assert refused.value.accepted.startswith(accepted)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("set(@fake-name@)", 'unknown macro "@fake-name@"; did you mean "@fake_name@"?'),
        ("set(@ hash_mrn @)", 'unknown macro "@ hash_mrn @"; did you mean "@hash_mrn@"?'),
        ("set(@value (PatientID)@)", 'unknown macro "@value (PatientID)@"; did you mean "@value@"?'),
        ("set(@project_prefix-@hash_mrn@)", '"@project_prefix" is half a macro'),
        ("set(@fake_name)", '"@fake_name" is half a macro'),
        ("replace(project_prefix@-1)", '"project_prefix@" is half a macro'),
        ("set(@value(0010,0010))", '"@value(" is half a macro'),
        ("regexp(@value(PatientName)@,X)", "regexp knows no macros"),
        ("regexp(Doe,@fake_name@)", "regexp knows no macros"),
    ],
)
def test_what_is_nearly_a_macro_or_none_is_expanded_is_refused(text: str, problem: str) -> None:
    with pytest.raises(CommandError, match=re.escape(problem)):
        parse_action(text)


@pytest.mark.parametrize("text", ["set(a@b.org)", "set(a@b.org, c@value.org)", "set(@ home)", "regexp(@(.*)@,\\1)"])
def test_an_at_sign_is_a_character_like_any_other(text: str) -> None:
    assert parse_action(text).describe() == text


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("(60xx,3000)", "truncdate", "does not work on an element of VR OB or OW"),
        ("(60xx,0022)", "uid", "does not work on an element of VR LO"),
        ("OverlayRows", "set(many)", "not a number of VR US"),
    ],
)
def test_a_command_is_held_against_the_vr_of_a_repeating_group(key: str, text: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        check_fits(parse_key(key), parse_action(text))


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (0x00280106, "set(-5)"), (0x00280106, "set(65535)"),  # US or SS
        (0x00080020, "set(20000229\\19990101)"), (0x00080020, "set()"), (0x00080020, "set(@value@)"),
        (0x00080020, "set(@value(PatientBirthDate)@@process_date@)"),
        (0x00204000, "set(@process_date@ @process_time@)"),
        (0x0008002A, "set(2026@process_date@)"), (0x00080050, "set(@fake_acc@)"), (0x00200013, "set(@process_date@)"),
    ],
)  # fmt: skip
def test_a_value_that_may_fit_is_not_refused(tag: int, text: str) -> None:
    check_fits(tag, parse_action(text))


# --- shiftdate ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "days", "expected"),
    [
        ("20200301", -1, "20200229"), ("20190301", -1, "20190228"), ("18991231", 1, "19000101"),
        ("15821015", -1, "15821014"), ("20200229", 366, "20210301"), ("2020.03.01", -1, "20200229"),
        (" 20200301\0", -1, "20200229"), ("2020", -40, "2019"), ("202003", -31, "202001"),
        ("202003", 0, "202003"),
        ("20200301101112", -1, "20200229101112"), ("20200301101112.123456", 1, "20200302101112.123456"),
        ("20200301101112.5+0100", -1, "20200229101112.5+0100"), ("2020030110", -1, "2020022910"),
        ("202003011011-0500", -1, "202002291011-0500"), ("2020-0500", 0, "2020-0500"),
        ("20200301-1130", -1, "20200229-1130"),
        ("20200101-20200131", 10, "20200111-20200210"), ("20200101-", 10, "20200111-"),
        ("-20200131", 1, "-20200201"),
        ("20200101101010-20200131", 1, "20200102101010-20200201"), ("2019-2020", 0, "2019-2020"),
        ("20200101 - 20200131", 1, "20200102-20200201"),
        ("20200101-0500-20200131-0500", 1, "20200102-0500-20200201-0500"),
        ("20201301", 1, ""), ("20200230", 1, ""), ("Tuesday", 1, ""), ("", 1, ""), ("-", 1, ""),
        ("2020010", 1, ""),
        ("00010101", -1, ""), ("99991231", 1, ""), ("20200101250000", 1, ""), ("20200101Smith", 1, ""),
        ("20200101-Smith", 1, ""), ("٢٠٢٠٠١٠١", 1, ""),
    ],
)  # fmt: skip
def test_shift_date(value: str, days: int, expected: str) -> None:
    assert shift_date(value, days) == expected


@given(DAYS, DAYS, st.integers(-36000, 36000))
def test_order_and_intervals_survive_a_shift(one: datetime.date, other: datetime.date, days: int) -> None:
    new = [datetime.datetime.strptime(shift_date(written(day), days).zfill(8), "%Y%m%d").date() for day in (one, other)]
    assert new[0] - new[1] == one - other
    assert shift_date(shift_date(written(one), days), -days) == written(one)


@given(st.text(max_size=30))
def test_any_text_is_a_date_before_and_after_or_empty(text: str) -> None:
    shifted = shift_date(text, -100)
    assert shift_date(shifted, 0) == shifted
    assert set(shifted) <= set("0123456789.-+")


def test_one_offset_for_all_dates_of_a_patient_and_another_for_the_next() -> None:
    rules = {
        "StudyDate": "shiftdate",
        "AcquisitionDateTime": "shiftdate",
        "StudyTime": "shiftdate",
        "ContentDate": "shiftdate",
    }

    def shifted(patient: str, **more: str) -> Dataset:
        return rewrite(
            item(
                PatientID=patient, StudyDate="20200110", StudyTime="101112.25",
                AcquisitionDateTime="20200112235959.5-0500", ContentDate=["20200111", "19991231"], **more,
            ),
            rules,
        )  # fmt: skip

    one, same, other = shifted("A"), shifted("A ", Modality="MR"), shifted("B")
    day = datetime.datetime.strptime(one.StudyDate, "%Y%m%d")
    assert datetime.timedelta(1) <= datetime.datetime(2020, 1, 10) - day <= datetime.timedelta(3650)
    assert one.StudyTime == "101112.25"
    assert one.AcquisitionDateTime == f"{day + datetime.timedelta(2):%Y%m%d}235959.5-0500"
    assert datetime.datetime.strptime(one.ContentDate[0], "%Y%m%d") - day == datetime.timedelta(1)
    assert (one.StudyDate, one.ContentDate) == (same.StudyDate, same.ContentDate)
    assert one.StudyDate != other.StudyDate


def test_a_time_stays_and_what_is_none_goes() -> None:
    found = rewrite(
        item(PatientID="A", StudyTime="1011-1012", SeriesTime="half past nine", ContentTime=""),
        {"StudyTime": "shiftdate", "SeriesTime": "shiftdate", "ContentTime": "shiftdate"},
    )
    assert (found.StudyTime, found.SeriesTime, found.ContentTime) == ("1011-1012", "", "")


def test_a_nested_patient_of_its_own_has_its_own_offset() -> None:
    mother = item(PatientID="M", StudyDate="20200110")
    found = rewrite(
        item(PatientID="F", StudyDate="20200110", ReferencedPatientSequence=Sequence([mother])),
        {"StudyDate": "shiftdate"},
    )
    alone = rewrite(item(PatientID="M", StudyDate="20200110"), {"StudyDate": "shiftdate"})
    assert found.ReferencedPatientSequence[0].StudyDate == alone.StudyDate != found.StudyDate


@pytest.mark.parametrize(
    ("shift", "low", "high"),
    [(DateShift(5, 5), -5, -5), (DateShift(days=30), 30, 30), (DateShift(100, 110), -110, -100)],
)
def test_the_setting_decides_how_far(shift: DateShift, low: int, high: int) -> None:
    assignment = datasets.assignment({"StudyDate": "shiftdate"})
    engine = Engine(Plan(type(assignment)(**{**vars(assignment), "date_shift": shift}), KEY))
    for patient in "ABCDE":
        found = run(item(PatientID=patient, StudyDate="20200110"), engine)
        moved = datetime.datetime.strptime(found.StudyDate, "%Y%m%d") - datetime.datetime(2020, 1, 10)
        assert low <= moved.days <= high


def test_a_pet_series_keeps_its_decay_arithmetic() -> None:
    source = item(
        PatientID="P", SOPClassUID="1.2.840.10008.5.1.4.1.1.128", StudyInstanceUID="1.2.3",
            SeriesInstanceUID="1.2.4",
        SOPInstanceUID="1.2.5", SeriesDate="20200301", SeriesTime="001500", AcquisitionDate="20200301",
        AcquisitionTime="002000", RadiopharmaceuticalInformationSequence=Sequence(
            [item(RadiopharmaceuticalStartDateTime="20200229233000", RadiopharmaceuticalStartTime="233000")]
        ),
    )  # fmt: skip
    found = run(source, Engine(Plan(resolve(preset="tcia"), KEY)))

    def seconds(data_set: Dataset) -> float:
        start = data_set.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime
        acquired = data_set.AcquisitionDate + data_set.AcquisitionTime
        form = "%Y%m%d%H%M%S"
        return (datetime.datetime.strptime(acquired, form) - datetime.datetime.strptime(start, form)).total_seconds()

    assert seconds(found) == seconds(source) == 3000
    assert found.SeriesDate != "20200301"
    assert found.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime == "233000"


@pytest.mark.parametrize(
    "value", ["20040230", "2004", "abc", "20040101-20050101", "20040119+9912", "20040119996199", "200401191"]
)
def test_truncate_date_has_no_other_day_left(value: str) -> None:
    assert truncate_date(value) in ("", "2004")


@pytest.mark.parametrize(
    ("value", "first"),
    [
        ("2004+0100", "2004+0100"), ("200407", "200401"), ("2004.07.19", "20040101"), ("2004071923", "2004010123"),
        ("200407192359-1030", "200401012359-1030"), ("20040719235959.123456", "20040101235959.123456"),
    ],
)  # fmt: skip
def test_truncate_date_keeps_precision_time_and_zone(value: str, first: str) -> None:
    assert truncate_date(value) == first


# --- clean ----------------------------------------------------------------------------------------------


def test_clean_knows_the_identifiers_of_the_whole_file() -> None:
    deep = item(
        ReferencedPatientSequence=Sequence([item(OperatorsName="Kowalski^Jan", InstitutionName="Northside Clinic")])
    )
    private = item(PatientID="ID-77812", PatientName="Doe^Jane",
        StudyDescription="KNEE for Brunner, seen by Kowalski at Northside Clinic",
                   SeriesDescription="T2 AX FLAIR 3MM", ImageComments="MRN ID77812 Jane DOE W/O CONTRAST",
                   RequestAttributesSequence=Sequence([deep]))  # fmt: skip
    private.add_new(0x00091010, "PN", "Brunner^Eva")
    private.add_new(0x00090010, "LO", "MAKER")
    rules = dict.fromkeys(("StudyDescription", "SeriesDescription", "ImageComments"), "clean")
    found = rewrite(private, rules)
    for secret in ("Brunner", "Kowalski", "Northside"):
        assert secret not in found.StudyDescription
    assert found.StudyDescription.startswith("KNEE")
    assert found.SeriesDescription == "T2 AX FLAIR 3MM"
    assert found.ImageComments == "W/O CONTRAST"


def test_clean_of_a_sequence_cleans_its_texts_and_leaves_its_codes() -> None:
    code = item(CodeValue="371524004", CodingSchemeDesignator="SCT", CodeMeaning="Report for Doe")
    found = rewrite(
        item(PatientID="1", PatientName="Doe^Jane", ReasonForVisitCodeSequence=Sequence([code])),
        {"ReasonForVisitCodeSequence": "clean"},
    )
    (left,) = found.ReasonForVisitCodeSequence
    assert (left.CodeValue, left.CodingSchemeDesignator) == ("371524004", "SCT")
    assert left.CodeMeaning.startswith("Report")
    assert "Doe" not in left.CodeMeaning


def test_clean_leaves_a_dummy_where_an_iod_needs_a_value() -> None:
    found = rewrite(
        item(PatientID="1", PatientName="Doe^Jane", StructureSetLabel="Jane Doe", ImageComments="Jane Doe"),
        {"StructureSetLabel": "clean", "ImageComments": "clean"},
    )
    assert (found.StructureSetLabel, found.ImageComments) == ("ANONYMIZED", "")


def test_clean_of_a_name_is_empty_and_values_are_cleaned_one_by_one() -> None:
    found = rewrite(
        item(PatientID="1", PatientName="Doe^Jane", PhysiciansOfRecord="Roe^Rita", ImageComments="x",
            StudyComments="y",
             AdmittingDiagnosesDescription=["Knee pain", "Doe, knee pain"]),
        {"PhysiciansOfRecord": "clean", "AdmittingDiagnosesDescription": "clean"},
    )  # fmt: skip
    assert found.PhysiciansOfRecord == ""
    assert list(found.AdmittingDiagnosesDescription) == ["Knee pain", "knee pain"]


SPECIFIC_CHARACTER_SET, SERIES_DESCRIPTION, COMMENTS = 0x00080005, 0x0008103E, 0x00204000
NAME, OPERATORS, LABEL = 0x00100010, 0x00081070, 0x30060002
REQUESTS, REQUESTED = 0x00400275, 0x00321060
TEXTS = ("SeriesDescription", "ImageComments", "StructureSetLabel", "RequestedProcedureDescription")

Values: TypeAlias = "Mapping[int, tuple[str, str | bytes]]"
"""VRs and values by tag."""


def texts_of(
    elements: Values,
    charset: str | None,
    nested: bytes = b"",
    rules: tuple[str, ...] = TEXTS,
) -> dict[int, bytes]:
    """Bytes that `clean` leaves of texts written as somebody's own software would, right or wrong."""
    if charset is not None:
        elements = {SPECIFIC_CHARACTER_SET: ("CS", charset), **elements}
    raw = raw_data_set(elements, nested)
    out = datasets.rewrite_bytes(raw, dict.fromkeys(rules, "clean"))
    found = {}
    for tag, _, _, start, end, items in walked(out).spans:
        found[tag] = out[start:end].rstrip(b" ")
        for inner in items[0].spans if items else ():
            found[inner[0]] = out[inner[3] : inner[4]].rstrip(b" ")
    return found


def raw_data_set(elements: Values, nested: bytes = b"") -> bytes:
    """Data Set of values as they are, with an item of Request Attributes Sequence around `nested`."""
    parts = {}
    for tag, (vr, value) in elements.items():
        raw = value.encode("ascii") if isinstance(value, str) else value
        parts[tag] = element_bytes(tag, vr, raw + b" " * (len(raw) & 1), EXPLICIT_LITTLE)
    if nested:
        parts[REQUESTS] = element_bytes(REQUESTS, "SQ", item_bytes(nested, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    return b"".join(parts[tag] for tag in sorted(parts))


PROVED = [
    *((None, codec, "王^小东", "胸部 王小东") for codec in ("gbk", "gb18030", "big5", "shift_jis", "utf-8", "euc_jp")),
    *(("ISO_IR 192", codec, "王^小东", "胸部 王小东") for codec in ("gbk", "shift_jis", "big5")),
    *(("\\ISO 2022 IR 58", codec, "王^小东", "胸部 王小东") for codec in ("gb2312", "utf-8")),
    *(("\\ISO 2022 IR 87", codec, "山田^太郎", "頭部 山田太郎") for codec in ("shift_jis", "euc_jp")),
    *(
        (charset, "euc_kr", "홍^길동", "머리 홍길동")
        for charset in (None, "", "ISO_IR 6", "ISO_IR 192", "\\ISO 2022 IR 149")
    ),
    *((charset, "koi8_r", "Иванов^Пётр", "колено Иванов") for charset in (None, "ISO_IR 192")),
    *((charset, "cp1251", "Иванов^Пётр", "колено Иванов") for charset in (None, "ISO_IR 192")),
    *((charset, "utf-8", "Müller^Jörg", "Knie Müller") for charset in (None, "ISO_IR 100")),
    ("ISO_IR 192", "latin-1", "Müller^Jörg", "Knie Müller"),
    ("ISO_IR 100", "utf-8", "王^小东", "胸部 王小东"),
    ("ISO_IR 144", "utf-8", "Иванов^Пётр", "колено Иванов"),
    ("ISO_IR 166", "utf-8", "สมชาย^ใจดี", "เข่า สมชาย"),
    ("ISO_IR 100", "shift_jis", "山田^太郎", "頭部 山田太郎"),
    ("ISO_IR 100", "iso2022_jp", "山田^太郎", "頭部 山田太郎"),
]
"""Character set that the file names, codec that its texts are written in, a name, and a text that holds it."""


@pytest.mark.parametrize(("charset", "codec", "name", "text"), PROVED)
def test_clean_leaves_nothing_of_a_text_that_is_not_in_its_character_set(
    charset: str | None, codec: str, name: str, text: str
) -> None:
    raw = text.encode(codec, "replace")
    elements: Values = {
        NAME: ("PN", name.encode(codec, "replace")),
        SERIES_DESCRIPTION: ("LO", raw),
        LABEL: ("SH", raw[:16]),
        COMMENTS: ("LT", "T2 AX FLAIR 3MM"),
    }
    nested = raw_data_set({REQUESTED: ("LO", raw)})
    found = texts_of(elements, charset, nested)
    assert (found[SERIES_DESCRIPTION], found[REQUESTED], found[LABEL]) == (b"ANONYMIZED", b"", b"ANONYMIZED")
    assert found[COMMENTS] == b"T2 AX FLAIR 3MM"


@pytest.mark.parametrize(
    ("charset", "codec", "name", "texts"),
    [
        ("ISO_IR 100", "gbk", "王^小东", ("王小东", "小东王", "王 小东", "胸部王小东", "王^小东 CT")),
        ("ISO_IR 100", "gbk", "欧阳^震华", ("欧阳震华", "震华欧阳", "震华", "欧阳")),
        ("ISO_IR 100", "cp1251", "Иванов^Пётр", ("Иванов", "ИВАНОВ", "ИвановПётр")),
        ("ISO_IR 144", "gb2312", "王^小东", ("王小东", "小东王")),
        ("ISO_IR 13", "gb2312", "汪^小平", ("汪小平",)),
        ("GB18030", "euc_kr", "홍^길동", ("홍길동", "길동홍")),
        ("ISO_IR 100", "iso8859_5", "Иванов^Пётр", ("Иванов", "ИвановПётр")),
    ],
)
def test_clean_finds_a_name_in_the_same_wrong_character_set(
    charset: str, codec: str, name: str, texts: tuple[str, ...]
) -> None:
    for text in texts:
        elements = {NAME: ("PN", name.encode(codec)), SERIES_DESCRIPTION: ("LO", text.encode(codec))}
        left = texts_of(elements, charset)[SERIES_DESCRIPTION]
        for part in name.split("^"):
            assert part.encode(codec) not in left, text


@pytest.mark.parametrize(
    ("charset", "name", "comment", "left"),
    [
        ("ISO_IR 192", "Müller^Jörg".encode("latin-1"), "MUELLER knee", "knee"),
        ("ISO_IR 100", "Ölmüller^Jörg".encode(), "OELMUELLER knee", "knee"),
        (None, "Müller^Jörg".encode(), "Muller knee", "knee"),
        (None, "Müller^Jörg".encode("latin-1"), "Mueller knee", "knee"),
        ("ISO_IR 192", b"O\x92Brien^Kate", "OBRIEN knee", "knee"),
    ],
)
def test_clean_reads_names_in_the_wrong_character_set_as_what_they_are(
    charset: str | None, name: bytes, comment: str, left: str
) -> None:
    found = texts_of({NAME: ("PN", name), COMMENTS: ("LT", comment)}, charset)
    assert found[COMMENTS] == left.encode()


def test_clean_knows_an_identifier_stored_as_a_number() -> None:
    elements: Values = {
        0x00100020: ("UL", (3_000_456_789).to_bytes(4, "little")),
        SERIES_DESCRIPTION: ("LO", "Schädel 3000456789".encode("latin-1")),
    }
    assert texts_of(elements, "ISO_IR 100")[SERIES_DESCRIPTION] == "Schädel".encode("latin-1")


def test_clean_trusts_no_letters_where_the_name_is_in_the_wrong_character_set() -> None:
    elements: Values = {
        NAME: ("PN", "王^小东".encode("gbk")),
        SERIES_DESCRIPTION: ("LO", "王小东".encode()),
        COMMENTS: ("LT", "T2 AX FLAIR"),
    }
    found = texts_of(elements, "ISO_IR 192")
    assert (found[SERIES_DESCRIPTION], found[COMMENTS]) == (b"ANONYMIZED", b"T2 AX FLAIR")


@pytest.mark.parametrize("vr", ["UN", "LO", "UT"])
def test_clean_knows_a_name_in_whatever_vr_it_is_stored(vr: str) -> None:
    elements: Values = {
        NAME: (vr, "Zwickelbart^Ottokar"),
        OPERATORS: (vr, "Kowalski^Jan"),
        COMMENTS: ("LT", "Ottokar Zwickelbart knee KOWALSKI"),
    }
    found = texts_of(elements, "ISO_IR 100", rules=("ImageComments", "OperatorsName"))
    assert (found[COMMENTS], found[OPERATORS]) == (b"knee", b"ANONYMIZED")


def test_clean_holds_the_text_of_an_item_against_its_own_character_set() -> None:
    for own, codec, left in (
        ("GB18030", "gbk", "胸部"),
        ("ISO_IR 192", "gbk", ""),
        ("", "gbk", ""),
        (None, "utf-8", "胸部"),
    ):
        inner: dict[int, tuple[str, str | bytes]] = {} if own is None else {SPECIFIC_CHARACTER_SET: ("CS", own)}
        inner[REQUESTED] = ("LO", "胸部 王小东".encode(codec))
        elements: Values = {NAME: ("PN", "王^小东".encode())}
        found = texts_of(elements, "ISO_IR 192", raw_data_set(inner))
        assert found[REQUESTED] == left.encode(codec), own


def test_clean_of_text_in_its_own_character_set_leaves_what_does_not_identify() -> None:
    for charset, codec, name, text, left in (
        ("ISO_IR 100", "latin-1", "Müller^Jörg", "Schädel für Müller", "Schädel für"),
        ("ISO_IR 144", "iso8859_5", "Иванов^Пётр", "колено Иванов", "колено"),
        ("ISO_IR 166", "iso8859_11", "สมชาย^ใจดี", "เข่า สมชาย", "เข่า"),
        ("GB18030", "gb18030", "王^小东", "胸部 王小东", "胸部"),
        ("ISO_IR 192", "utf-8", "山田^太郎", "頭部 山田太郎", "頭部"),
    ):
        elements: Values = {
            NAME: ("PN", name.encode(codec)),
            SERIES_DESCRIPTION: ("LO", text.encode(codec)),
        }
        assert texts_of(elements, charset)[SERIES_DESCRIPTION] == left.encode(codec), charset


@pytest.mark.parametrize(
    ("charset", "escape", "codec", "name", "text", "left"),
    [
        ("\\ISO 2022 IR 58", b"\x1b$)A", "gb2312", "王^小东", "胸部王小东 CT", "胸部 CT"),
        ("\\ISO 2022 IR 149", b"\x1b$)C", "euc_kr", "홍^길동", "머리 홍길동 CT", "머리 CT"),
        ("\\ISO 2022 IR 87", b"", "iso2022_jp", "山田^太郎", "頭部山田太郎 CT", "頭部 CT"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", b"", "iso2022_jp", "山田^太郎", "頭部山田太郎 CT", "頭部 CT"),
        ("\\ISO 2022 IR 144", b"\x1b-L", "iso8859_5", "Иванов^Пётр", "колено Иванов CT", "колено CT"),
    ],
)
def test_clean_reads_text_behind_escape_sequences(
    charset: str, escape: bytes, codec: str, name: str, text: str, left: str
) -> None:
    elements = {
        NAME: ("PN", b"^".join(escape + part.encode(codec) for part in name.split("^"))),
        SERIES_DESCRIPTION: ("LO", escape + text.encode(codec)),
        COMMENTS: ("LT", escape + name.replace("^", "").encode(codec) + b" CT"),
    }
    found = texts_of(elements, charset)
    assert found[SERIES_DESCRIPTION] == left.encode(), "widened"
    assert found[COMMENTS] == b"CT"


def test_clean_of_a_code_or_locator_leaves_no_letters_beyond_ascii() -> None:
    elements: Values = {
        0x00180015: ("CS", "胸部".encode("gbk")),
        0x00180022: ("CS", "FAT\\胸部".encode()),
        0x0040E010: ("UR", "urn:胸部".encode()),
        NAME: ("PN", "Doe^Jane"),
    }
    found = texts_of(elements, "ISO_IR 192", rules=("ScanOptions", "BodyPartExamined", "RetrieveURI"))
    assert (found[0x00180015], found[0x00180022], found[0x0040E010]) == (b"ANONYMIZED", b"", b"urn:anonymized")


def test_clean_of_what_has_no_vr_empties_text_in_the_wrong_character_set_and_leaves_numbers() -> None:
    words = "胸部 王小东".encode("gbk")
    for value, left in (
        (words, b""),
        (words * 4, b""),
        (b"\xcd\xcc\xcc\x3d", b"\xcd\xcc\xcc\x3d"),
        (b"T2 AX", b"T2 AX"),
    ):
        elements: Values = {
            NAME: ("PN", "王^小东".encode("gbk")),
            0x00190010: ("LO", "MAKER "),
            0x00191001: ("UN", value),
        }
        assert texts_of(elements, "ISO_IR 192", rules=('(0019,xx01,"MAKER")',))[0x00191001] == left


def test_regexp_refuses_a_text_that_is_not_in_its_character_set() -> None:
    for charset, left in (("GB18030", "X 胸部".encode("gbk")), ("ISO_IR 192", None), ("ISO_IR 6", None)):
        elements: Values = {
            SPECIFIC_CHARACTER_SET: ("CS", charset),
            SERIES_DESCRIPTION: ("LO", "王小东 胸部".encode("gbk")),
        }
        rules = {"SeriesDescription": "regexp(王小东,X)"}
        if left is None:
            with pytest.raises(FileRefused) as refused:
                datasets.rewrite_bytes(raw_data_set(elements), rules)
            assert refused.value.reason is Reason.VALUE_NOT_WRITABLE
            assert refused.value.detail == "(0008,103e) is not in its character set"
        else:
            out = datasets.rewrite_bytes(raw_data_set(elements), rules)
            assert left in out


@pytest.mark.parametrize("text", ["clean(clean_pixel_data)", "clean()", "clean(retain_uid)", "clean(x,)"])
def test_clean_refuses_unknown_options(text: str) -> None:
    with pytest.raises(CommandError):
        parse_action(text)


def test_clean_takes_options_on_sequences_only() -> None:
    action = parse_action("clean( clean_descriptors , retain_uids)")
    assert action == Clean(("retain_uids", "clean_descriptors"))
    action.check("SQ")
    with pytest.raises(CommandError):
        action.check("LO")
    with pytest.raises(CommandError):
        parse_action("clean").check("US")


# --- content items --------------------------------------------------------------------------------------


def content(value_type: str, code: str, scheme: str = "DCM", **value: object) -> Dataset:
    name = item(CodeValue=code, CodingSchemeDesignator=scheme, CodeMeaning="concept")
    return item(RelationshipType="CONTAINS", ValueType=value_type, ConceptNameCodeSequence=Sequence([name]), **value)


@pytest.mark.parametrize(
    ("concept", "value_type", "options", "code"),
    [
        (("DCM", "121022"), "TEXT", (), "X"), (("DCM", "121071"), "TEXT", (), "D"), (("DCM", "121071"),
        "CODE", (), "K"),
        (("DCM", "121071"), "TEXT", ("clean_descriptors",), "C"), (("DCM", "121008"),
        "PNAME", ("clean_descriptors",), "D"),
        (("DCM", "121031"), "DATE", ("retain_full_dates", "retain_modified_dates"), "X"),
        (("DCM", "121033"), "NUM", (), "X"), (("DCM", "121033"), "NUM", ("retain_patient_characteristics",),
        "K"),
        (("DCM", "111060"), "DATE", ("retain_modified_dates",), "C"), (("DCM", "121122"),
        "TEXT", ("clean_descriptors",), "C"),
        (("DCM", "121122"), "TEXT", ("retain_device_identity", "clean_descriptors"), "C"),
        (("99X", "1"), "TEXT", (), "C"), (("99X", "1"), "NUM", (), "K"), (("99X", "1"), "", (), "C"),
        (("SRT", "121022"), "IMAGE", (), "K"),
    ],
)  # fmt: skip
def test_code_of_a_concept(concept: tuple[str, str], value_type: str, options: tuple[str, ...], code: str) -> None:
    assert concept_code(concept, value_type, options) == code


def report(*more: Dataset, **top: object) -> Dataset:
    findings = content("CONTAINER", "121070", ContinuityOfContent="SEPARATE", ContentSequence=Sequence([
        content("TEXT", "121071", TextValue="Fracture, told Dr. Miller"),
        content("TEXT", "1", "99X", TextValue="Jane Doe has a fracture"),
        content("CODE", "121071", ConceptCodeSequence=Sequence([item(CodeValue="72704001",
            CodingSchemeDesignator="SCT", CodeMeaning="Fracture")])),
        content("NUM", "103355008", "SCT", MeasuredValueSequence=Sequence([item(NumericValue="4.2")])),
    ]))  # fmt: skip
    return item(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", SOPInstanceUID="1.2.3", StudyInstanceUID="1.2.4",
            PatientID="ID-4711",
        PatientName="Doe^Jane", ValueType="CONTAINER", **top,
        ContentSequence=Sequence([
            content("TEXT", "121022", TextValue="ACC-1"), content("PNAME", "121008", PersonName="Miller^Ann"),
            content("DATE", "121031", Date="19610203"),
                content("NUM", "121033", MeasuredValueSequence=Sequence([item(NumericValue="59")])),
            content("DATE", "111060", Date="20200110"), content("UIDREF", "121028", UID="1.2.3.4.5"),
                findings, *more,
        ]),
    )  # fmt: skip


def codes_of(data_set: Dataset) -> list[str]:
    return [item.ConceptNameCodeSequence[0].CodeValue for item in data_set.ContentSequence]


def test_structured_content_is_cleaned_by_concept() -> None:
    options = ("clean_structured_content", "clean_descriptors", "retain_modified_dates")
    found = run(report(), Engine(Plan(resolve(preset="basic", profile_options=options), KEY)))
    assert codes_of(found) == ["121008", "111060", "121070"]
    name, date, findings = found.ContentSequence
    assert name.PersonName == "ANONYMIZED"
    assert date.Date not in ("20200110", "19000101", "")
    texts = [inner.get("TextValue") for inner in findings.ContentSequence]
    assert texts[0].startswith("Fracture")
    assert "Miller" not in texts[0]
    assert "fracture" in texts[1]
    assert "Doe" not in texts[1]
    assert findings.ContentSequence[2].ConceptCodeSequence[0].CodeMeaning == "Fracture"
    assert findings.ContentSequence[3].MeasuredValueSequence[0].NumericValue == "4.2"
    assert findings.ContentSequence[0].ConceptNameCodeSequence[0].CodeMeaning == "concept"


def test_structured_content_without_clean_descriptors_has_dummies_for_listed_texts() -> None:
    found = run(report(), Engine(Plan(resolve(preset="basic", profile_options=["clean_structured_content"]), KEY)))
    findings = found.ContentSequence[-1].ContentSequence
    assert findings[0].TextValue == "ANONYMIZED"
    assert "fracture" in findings[1].TextValue
    assert found.ContentSequence[1].Date == "19000101"


def test_no_item_goes_where_items_are_found_by_position() -> None:
    reference = item(RelationshipType="INFERRED FROM", ReferencedContentItemIdentifier=[1, 7, 4])
    options = ("clean_structured_content", "retain_full_dates")
    found = run(report(reference), Engine(Plan(resolve(preset="basic", profile_options=options), KEY)))
    before = [entry.get("ValueType") for entry in report(reference).ContentSequence]
    assert [entry.get("ValueType") for entry in found.ContentSequence] == before
    accession, _, birth, age = found.ContentSequence[:4]
    assert accession.TextValue == "ANONYMIZED"
    assert birth.Date == "19000101"
    assert age.MeasuredValueSequence[0].NumericValue == "0"
    assert list(found.ContentSequence[-1].ReferencedContentItemIdentifier) == [1, 7, 4]


def test_a_sequence_whose_items_all_go_goes_too() -> None:
    found = rewrite(
        item(PatientID="1", ContentSequence=Sequence([content("TEXT", "121022", TextValue="ACC-1")])),
        {"ContentSequence": "clean"},
    )
    assert "ContentSequence" not in found


def test_an_explanation_shows_that_a_whole_item_goes() -> None:
    engine = Engine(Plan(resolve(preset="basic", profile_options=["clean_structured_content"]), KEY))
    decisions = list(engine.explain(walked(encode(report(), EXPLICIT_LITTLE))))
    accession = next(decision for decision in decisions if decision.before == "ACC-1")
    assert (accession.tag, accession.action.describe(), accession.after) == (0x0040A160, "remove", None)


def test_a_replaced_report_is_valid_and_says_nothing() -> None:
    found = run(report(), Engine(Plan(resolve(preset="basic"), KEY)))
    assert codes_of(found) == codes_of(report())
    text = re.sub(r"2\.25\.\d+", "", str(found.ContentSequence))
    for secret in (
        "Doe",
        "Miller",
        "ACC-1",
        "19610203",
        "4.2",
        "59",
        "1.2.3.4.5",
        "72704001",
        "Fracture",
        "20200110",
    ):
        assert secret not in text
    findings = found.ContentSequence[-1]
    assert (findings.ValueType, findings.RelationshipType, findings.ContinuityOfContent) == (
        "CONTAINER",
        "CONTAINS",
        "SEPARATE",
    )


def test_text_that_first_appears_late_in_a_series_is_cleaned_all_the_same(tmp_path: Path) -> None:
    rules = resolve(preset="tcia")
    plan = Plan(rules, KEY)
    shared, comments = Engine(plan), ["", "", "seen by Jane Doe", "", "Doe and Kowalski", "Schädel, Doe", "plain"]
    for number, comment in enumerate(comments):
        source = datasets.image(
            SpecificCharacterSet="ISO_IR 100",
            SOPInstanceUID=f"1.2.3.{number}",
            ImageComments=comment,
            OperatorsName="Kowalski^Jan",
            InstanceNumber=str(number),
        )
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(datasets.file_bytes(source))
        results = []
        for name, engine in (("shared", shared), ("alone", Engine(plan))):
            with open(path, "rb", buffering=0) as handle:
                deidentify(handle, path.stat().st_size, tmp_path / name, engine)
            results.append((tmp_path / name).read_bytes())
        assert results[0] == results[1]
        found = dcmread(tmp_path / "shared")
        assert "Doe" not in str(found.ImageComments)
        assert "Kowalski" not in str(found.ImageComments)
