"""Reading commands: their forms, macros that are none, and values that can never fit the element."""

from __future__ import annotations

import re

import pytest

from dicom_anon.actions import COMMANDS, CommandError, parse_action
from dicom_anon.config import check_fits
from dicom_anon.tags import parse_key


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
        (0x00280106, "set(-40000)", "not a number of VR US", "a value of VR US or SS"),
        (0x00720074, "set(1e400)", "not a number of VR FD", "a value of VR FD"),
        (0x00280010, "set(1_000)", "not a number of VR US", "a value of VR US: a whole number from 0 to 65535"),
        (0x00280010, "set(-1)", "not a number of VR US", "a value of VR US: a whole number from 0 to 65535"),
        (0x00080050, "set(X@hash_acc@)", "@hash_acc@: mercure's SipHash", "a value of VR SH: at most 16 characters"),
        (0x00080020, "set(@hash_mrn@)", "@hash_mrn@: keyed pseudonym", "a value of VR DA: YYYYMMDD, a real date"),
        (0x00080060, "set(@fake_name@)", "@fake_name@: Greek^Greek^^^", "a value of VR CS: at most 16 characters"),
        (0x00081010, "replace(@random_uid@)", "@random_uid@: a UID", "a value of VR SH: at most 16 characters"),
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
        (0x00720074, "set(inf\\-1.5e300\\nan)"), (0x00280106, "set(-5)"), (0x00280106, "set(65535)"),  # US or SS
        (0x00080020, "set(20000229\\19990101)"), (0x00080020, "set()"), (0x00080020, "set(@value@)"),
        (0x00080020, "set(@value(PatientBirthDate)@@process_date@)"),
        (0x00204000, "set(@process_date@ @process_time@)"),
        (0x0008002A, "set(2026@process_date@)"), (0x00080050, "set(@fake_acc@)"), (0x00200013, "set(@process_date@)"),
        (0x00080050, "set(@hash_acc@)"), (0x00100020, "set(@fake_name@)"), (0x00081010, "set(@fake_name@)"),
        (0x00200052, "set(@random_uid@)"), (0x00080050, "set(@project_prefix@@hash_acc@)"),
    ],
)  # fmt: skip
def test_a_value_that_may_fit_is_not_refused(tag: int, text: str) -> None:
    check_fits(tag, parse_action(text))
