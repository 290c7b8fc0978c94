"""The options of PS3.15 Annex E: rows of the table, private elements, claims, and what is refused."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence, dcmread
from pydicom.data import get_testdata_file
from pydicom.datadict import DicomDictionary, dictionary_VR

from dicom_anon import profile, standard, tags
from dicom_anon.actions import Clean, Keep, ShiftDate
from dicom_anon.assignment import Assignment, resolve
from dicom_anon.config import parse_config
from dicom_anon.conformance import statement
from dicom_anon.elements import EXPLICIT_LITTLE
from dicom_anon.engine import Engine, Plan
from dicom_anon.errors import ConfigError
from dicom_anon.extra_rules import parse_extra_rules
from dicom_anon.presets import decisions
from dicom_anon.stamps import claim
from dicom_anon.tags import PrivateKey
from tests.datasets import KEY, decode, encode, item, walked

OPTIONS = tuple(standard.PROFILE_OPTIONS)
DATES = ("retain_full_dates", "retain_modified_dates")


def run(data_set: Dataset, assignment: Assignment) -> Dataset:
    pieces = Engine(Plan(assignment, KEY)).run(walked(encode(data_set, EXPLICIT_LITTLE))).pieces
    return decode(b"".join(piece for piece in pieces if isinstance(piece, bytes)), EXPLICIT_LITTLE)


def options_of(assignment: Assignment) -> tuple[str, ...] | None:
    actions = {row.key: row.action for row in assignment.rows.values()}
    return claim(actions, assignment.remove_unknown_tags).options


@pytest.mark.parametrize("option", OPTIONS)
def test_every_row_of_an_option_does_what_its_code_says(option: str) -> None:
    rules = profile.option_rules([option])
    checked = 0
    for row in standard.profile_rows():
        code = row.options.get(option)
        if code is None or row.tag[1:5] in ("0000", "0002", "0004", "gggg"):
            continue
        key = tags.parse_key(row.tag)
        if key not in rules:
            if row.keyword in decisions.SHARED_DATES:
                continue
            assert row.vr in ("OB", "OB or OW", "", "LT"), row.tag
            assert row.vr == "OB" or row.tag.startswith(("(50xx", "(60xx"))
            continue
        action, source = rules[key]
        assert source == option
        if code == "K":
            assert action == Keep()
        elif row.vr in ("DA", "DT", "TM"):
            assert action == ShiftDate()
        else:
            assert isinstance(action, Clean)
        action.check(row.vr or "UN")
        checked += 1
    beside = [key for key in rules if key not in standard.profile_by_key() and not isinstance(key, PrivateKey)]
    assert checked == len([key for key in rules if not isinstance(key, PrivateKey)]) - len(beside)
    assert not beside or option == "retain_uids"
    assert checked > 0 or option == "retain_safe_private"


def test_cleaning_wins_over_keeping() -> None:
    rules = profile.option_rules(["retain_device_identity", "retain_modified_dates"])
    assert rules[0x300C0127] == (ShiftDate(), "retain_modified_dates")
    assert profile.option_rules(["retain_device_identity"])[0x300C0127][0] == Keep()


@pytest.mark.parametrize("keyword", [
    "DateOfLastCalibration", "TimeOfLastCalibration", "DateTimeOfLastCalibration", "CalibrationDateTime",
    "DateOfLastDetectorCalibration", "SourceStrengthReferenceDate", "CalibrationDate", "ContextGroupVersion",
    "DateOfManufacture", "HangingProtocolCreationDateTime", "InformationIssueDateTime", "EffectiveDateTime",
    "SelectorDAValue", "TimezoneOffsetFromUTC", "ContributionDateTime", "InstanceCoercionDateTime",
])  # fmt: skip
def test_what_patients_have_in_common_does_not_move_with_their_own_dates(keyword: str) -> None:
    vr = dictionary_VR(keyword)
    value = {"DA": "20180115", "TM": "071500", "DT": "20180115071500", "SH": "+0200"}[vr]
    source = item(PatientID="1", StudyDate="20190301", SOPClassUID="1.2.840.10008.5.1.4.1.1.2", **{keyword: value})
    found = run(source, resolve(preset="tcia"))
    assert found.StudyDate not in ("20190301", "19000101", "")
    assert str(found.get(keyword) or "") in ("", "19000101", "19000101000000")
    device = resolve(preset="basic", profile_options=["retain_device_identity", "retain_modified_dates"])
    assert str(run(source, device).get(keyword) or "") in ("", "19000101", "19000101000000")


def test_retained_uids_are_retained_wherever_they_are_referred_to() -> None:
    uids = {tag for tag in (*DicomDictionary, *tags.additions()) if tags.vr_of(tag) == "UI" and tag >> 16 > 0x0004}
    rows = resolve(preset="basic", profile_options=["retain_uids"]).rows
    changed = {tags.keyword_of(tag) for tag in uids if not isinstance(rows[tag].action, Keep)}
    # the value of a content item is decided by its concept; signatures and what is encrypted go
    assert changed == {"UID", "DigitalSignatureUID", "EncryptedContentTransferSyntaxUID"}
    frame, source = "1.2.840.99999.7", "1.2.840.99999.8"
    data_set = item(
        SOPInstanceUID=source, SOPInstanceUIDOfConcatenationSource=source, MultiFrameSourceSOPInstanceUID=source,
        FrameOfReferenceUID=frame, VolumeFrameOfReferenceUID=frame, EquipmentFrameOfReferenceUID=frame,
        PatientID="1",
    )  # fmt: skip
    data_set.ReferencedSeriesSequence = Sequence([item(ReferencedFiducialUID=source)])
    data_set.add_new(0x00990010, "LO", "NQHeader")
    data_set.add_new(0x00991001, "UI", source)
    assignment = resolve(preset="basic", profile_options=["retain_uids", "retain_safe_private"])
    found = run(data_set, assignment)
    assert {element.value for element in found.iterall() if element.VR == "UI"} == {frame, source}
    assert found[0x00991001].value == source


@pytest.mark.parametrize("option", OPTIONS)
def test_the_stamps_of_one_option_name_just_that(option: str) -> None:
    assignment = resolve(preset="basic", profile_options=[option])
    found = run(item(StudyInstanceUID="1.2.3", SOPInstanceUID="1.2.4", PatientID="1"), assignment)
    codes = standard.method_codes()
    assert [code.CodeValue for code in found.DeidentificationMethodCodeSequence] == [
        "113100",
        codes[option][0],
    ]
    assert found.PatientIdentityRemoved == "YES"
    assert list(found.DeidentificationMethod)[-2:] == ["PS3.15 2026d Basic Profile", option]
    expected = {"retain_full_dates": "UNMODIFIED", "retain_modified_dates": "MODIFIED"}.get(option, "REMOVED")
    assert found.LongitudinalTemporalInformationModified == expected


@pytest.mark.parametrize("pair", [pair for pair in itertools.combinations(OPTIONS, 2) if pair != DATES])
def test_two_options_are_claimed_together(pair: tuple[str, str]) -> None:
    assert set(pair) == set(options_of(resolve(preset="basic", profile_options=pair)) or ())


def test_tcia_claims_its_options_and_more_can_be_added() -> None:
    more = resolve(preset="tcia", profile_options=["retain_institution_identity"])
    assert set(options_of(more) or ()) == set(OPTIONS) - {"retain_full_dates", "retain_uids"}
    assert more.profile_options == options_of(more)


@pytest.mark.parametrize(
    ("rules", "claimed"),
    [
        ('"PatientName": "keep"', None), ('"PatientName": "set(x @value@)"', None),
        ('"PatientName": "set(@hash_mrn@)"', ()),
        ('"PatientWeight": "keep"', ("retain_patient_characteristics",)),
        ('"StudyDate": "truncdate"', ("retain_modified_dates",)),
        ('"StudyDate": "keep"', ("retain_full_dates",)),
        ('"StudyDate": "keep", "SeriesDate": "shiftdate"', None),
        ('"DateOfManufacture": "keep", "GantryID": "keep"', ("retain_device_identity",)),
        ('"DeviceSerialNumber": "regexp(a,b)"', ("retain_device_identity",)),
        ('"StudyDescription": "regexp(a,b)"', ("clean_descriptors",)), ('"StudyDescription": "keep"', None),
        ('"ContentSequence": "keep"', None), ('"SeriesInstanceUID": "keep"', ("retain_uids",)),
        ('"PatientBirthDate": "truncdate"', None), ('"remove_unknown_tags": "false"', None),
        ('"(0019,xx0c,\\"SIEMENS MR HEADER\\")": "keep"', ("retain_safe_private",)),
        ('"(0019,xx0c,\\"NOBODY\\")": "keep"', None),
        ('"(0019,100c)": "keep"', None), ('"(0019,xxxx)": "set(@value@)"', None), ('"(0019,10xx)": "remove"', ()),
        ('"(0018,xxxx)": "remove", "(0018,10xx)": "keep"', None),
        ('"(0018,xxxx)": "keep", "(0018,10xx)": "remove"', None),
        ('"(6002,3000)": "keep"', None), ('"(6002,xxxx)": "keep"', None), ('"(5000,3000)": "keep"', None),
        ('"(60xx,xxxx)": "keep"', None), ('"(60xx,0022)": "keep"', ()),
        ('"(0019,xxxx)": "keep"', None),
        ('"Manufacturer": "set(@value(0010,0010)@)"', None), ('"CodeMeaning": "set(@value(0010,0010)@)"', None),
        ('"OperatorsName": "replace(@value(0010,0010)@)"', None),
        ('"SequenceName": "set(@value(PatientName)@)"', None), ('"SequenceName": "set(@value(Rows)@)"', ()),
        ('"(60xx,xxxx)": "keep", "(60xx,3000)": "remove", "(60xx,4000)": "remove"', ()),
        ('"Modality": "remove"', ()),
    ],
)  # fmt: skip
def test_rules_of_a_user_change_the_claim(rules: str, claimed: tuple[str, ...] | None) -> None:
    assignment = resolve(parse_config(f'{{"general": {{"preset": "basic", {rules}}}}}', "test"))
    assert options_of(assignment) == claimed
    found = run(item(StudyInstanceUID="1.2.3", PatientID="1", PatientName="A^B"), assignment)
    assert ("DeidentificationMethodCodeSequence" in found) == (claimed is not None)
    assert any("PS3.15" in value for value in found.DeidentificationMethod) == (claimed is not None)


def test_a_kept_name_is_not_called_removed() -> None:
    for preset, rule in itertools.product(
        ("basic", "default"),
        (
            '"PatientName": "keep"', '"PatientName": "set(@value@)"', '"PatientName": "clean"',
            '"(0010,00xx)": "keep"', '"StudyID": "set(@value(PatientID)@)"',
            '"Manufacturer": "set(@value(0010,0010)@)"', '"CodeMeaning": "set(@value(0010,0010)@)"',
            '"OperatorsName": "replace(@value(0010,0010)@)"', '"OtherPatientNames": "keep"',
            '"OtherPatientIDs": "keep"', '"OtherPatientIDsSequence": "keep"', '"PatientBirthName": "clean"',
            '"remove_unknown_tags": false',
        ),
    ):  # fmt: skip
        config = parse_config(f'{{"general": {{"preset": "{preset}", {rule}}}}}', "test")
        assert run(item(PatientID="1", PatientName="A^B"), resolve(config)).PatientIdentityRemoved == "NO", rule


@pytest.mark.parametrize(
    ("preset", "said"), [("default", "YES"), ("basic", "YES"), ("tcia", "YES"), ("mercure", "YES"), ("none", "NO")]
)
def test_every_preset_but_none_says_that_the_identity_is_removed(preset: str, said: str) -> None:
    assert run(item(PatientID="1", PatientName="A^B"), resolve(preset=preset)).PatientIdentityRemoved == said


def test_dates_that_a_pattern_keeps_are_not_called_removed() -> None:
    for preset, rules, said in (
        ("basic", '"(0008,002x)": "keep"', "UNMODIFIED"),
        ("basic", '"(0008,002x)": "truncdate"', "MODIFIED"),
        ("basic", '"StudyTime": "keep"', "REMOVED"),
        ("default", '"(0008,00xx)": "remove", "(0008,002x)": "keep"', "UNMODIFIED"),
    ):
        config = parse_config(f'{{"general": {{"preset": "{preset}", {rules}}}}}', "test")
        found = run(item(PatientID="1", StudyDate="20200110"), resolve(config))
        assert found.LongitudinalTemporalInformationModified == said, rules


NARROW_AND_WIDE = (
    "(0008,0020)", "(0008,002x)", "(0008,xxxx)", "(0010,0010)", "(0010,00xx)", "(0010,xx1x)", "(0018,1030)",
    "(0018,103x)", "(0018,1xx0)", "(0018,xxxx)", "(0019,1001)", "(0019,10xx)", "(0019,xxxx)", '(0019,xx01,"MAKER")',
    "(6002,3000)", "(6002,xxxx)", "(60xx,3xxx)", "(60xx,3000)", "(60xx,xxxx)",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NARROW_AND_WIDE), st.sampled_from(["keep", "remove"]), min_size=1, max_size=5))
def test_no_stamp_says_more_than_was_done(rules: dict[str, str]) -> None:
    source = item(PatientID="1", PatientName="Zwickel^Ott", StudyDate="19770307", ProtocolName="of Zwickelbart")
    source.add_new(0x00190010, "LO", "MAKER")
    source.add_new(0x00191001, "LO", "private words")
    source.add_new(0x60023000, "OB", b"overlaid")
    found = run(source, resolve(parse_config(json.dumps({"general": {"preset": "basic", **rules}}), "test")))
    left = str(found)
    if found.PatientIdentityRemoved == "YES":
        assert "Zwickel^Ott" not in left
    if found.LongitudinalTemporalInformationModified == "REMOVED":
        assert "19770307" not in left
    if "PS3.15 2026d Basic Profile" in found.DeidentificationMethod:
        assert "Zwickelbart" not in left
        assert "private words" not in left
        assert 0x60023000 not in found


def test_what_a_function_does_is_not_trusted_to_leave_nothing() -> None:
    def year(dataset: Dataset, tag: tuple[int, int]) -> None:
        dataset[tag].value = dataset[tag].value[:4] + "0101"

    rules = parse_extra_rules({"StudyDate": year, "PatientID": year}, "test")
    found = run(item(PatientID="2020 and more", StudyDate="20200110"), resolve(preset="basic", extra_rules=rules))
    assert (found.PatientID, found.StudyDate) == ("20200101", "20200101")
    assert (found.PatientIdentityRemoved, found.LongitudinalTemporalInformationModified) == ("NO", "MODIFIED")
    assert "DeidentificationMethodCodeSequence" not in found


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["retain_full_dates", "retain_modified_dates"], "exclude each other"),
        (["clean_pixel_data"], "not offered: text burned into pixels"),
        (["clean_recognizable_visual_features"], "not offered: faces"),
        (["retain_uid"], 'did you mean "retain_uids"'),
    ],
)
def test_refused_options(options: list[str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        resolve(preset="basic", profile_options=options)


def test_options_need_a_preset_that_follows_the_table() -> None:
    with pytest.raises(ConfigError, match="preset default"):
        resolve(profile_options=["retain_uids"])
    with pytest.raises(ConfigError, match="exclude each other"):
        resolve(preset="tcia", profile_options=["retain_full_dates"])


@pytest.mark.parametrize(
    ("general", "knee", "section"),
    [
        ({"preset": "basic", "profile_options": "retain_full_dates, retain_modified_dates"}, {}, "general"),
        ({"profile_options": ["retain_uids"]}, {}, "general"),
        ({"preset": "tcia"}, {"profile_options": ["retain_full_dates"]}, "knee"),
        ({"preset": "basic", "profile_options": ["retain_uids"]}, {"preset": "default"}, "general"),
    ],
)
def test_options_that_cannot_apply_are_told_with_their_section(
    general: dict[str, Any], knee: dict[str, Any], section: str
) -> None:
    config = parse_config(json.dumps({"general": general, "knee": knee}), "test")
    with pytest.raises(ConfigError) as refused:
        resolve(config, project="knee")
    (problem,) = refused.value.problems
    assert (problem.where, problem.section, problem.key) == ("the configuration", section, "profile_options")


@pytest.mark.parametrize("written", ['["retain_uids", "clean_descriptors"]', '"clean_descriptors, retain_uids"'])
def test_options_in_a_configuration(written: str) -> None:
    config = parse_config(f'{{"general": {{"preset": "basic", "profile_options": {written}}}}}', "test")
    assert resolve(config).profile_options == ("clean_descriptors", "retain_uids")
    assert resolve(config, profile_options=["retain_uids", "clean_graphics"]).profile_options[0] == "clean_graphics"


@pytest.mark.parametrize(
    "setting",
    ['"name": 5', '"owner": null', '"prefix": ["p"]', '"preset": 5', '"preset": "basik"', '"profile_options": 5',
     '"profile_options": ["x"]', '"profile_options": "clean_pixel_data"',
     '"date_shift": {"days": 0}', '"date_shift": {"days": "3"}', '"date_shift": {"min_days": 0}',
     '"date_shift": {"min_days": 9, "max_days": 8}', '"date_shift": {}', '"date_shift": 5',
         '"date_shift": {"day": 5}',
     '"date_shift": {"days": 5, "min_days": 1}', '"date_shift": {"max_days": 99999}',
         '"date_shift": {"days": true}'],
)  # fmt: skip
def test_bad_settings_are_told_with_what_is_accepted(setting: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(f'{{"general": {{{setting}}}}}', "test")
    (problem,) = refused.value.problems
    assert problem.accepted


def test_the_date_shift_setting_of_the_project_wins() -> None:
    text = '{"general": {"date_shift": {"days": -5}}, "p": {"date_shift": {"min_days": 2, "max_days": 3}}}'
    config = parse_config(text, "test")
    general, own = resolve(config), resolve(config, project="p")
    assert (general.date_shift.days, own.date_shift.days) == (-5, None)
    assert (own.date_shift.min_days, own.date_shift.max_days) == (2, 3)
    assert len({general.digest, own.digest, resolve().digest}) == 3


def test_basic_removes_creation_dates_unless_told_not_to() -> None:
    source = item(
        PatientID="1",
        InstanceCreationDate="20200101",
        DateOfSecondaryCapture="20200101",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
    )
    assert "InstanceCreationDate" not in run(source, resolve(preset="basic"))
    with_dates = resolve(preset="basic", profile_options=["retain_full_dates"])
    assert run(source, with_dates).InstanceCreationDate == "20200101"
    plain = resolve(preset="basic", default_extra=False)
    assert plain.rows[0x00080012].action.describe() == "remove_or_replace"


# --- safe private ---------------------------------------------------------------------------------------

SIEMENS = 0x0019


def private_data_set() -> Dataset:
    data_set = item(PatientID="1", PatientName="Doe^Jane", StudyInstanceUID="1.2.3", SOPInstanceUID="1.2.4")
    data_set.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
    data_set.add_new(0x0019100C, "IS", "1000")
    data_set.add_new(0x001910FF, "LO", "Doe")
    data_set.add_new(0x00190011, "LO", "NOBODY KNOWS")
    data_set.add_new(0x0019110C, "IS", "7")
    return data_set


def tags_of(data_set: Dataset) -> set[int]:
    return {int(element.tag) for element in data_set if element.tag.is_private}


def test_private_elements_of_the_table_stay_with_their_creator() -> None:
    assignment = resolve(preset="basic", profile_options=["retain_safe_private"])
    found = run(private_data_set(), assignment)
    assert tags_of(found) == {0x00190010, 0x0019100C}
    assert found[0x0019100C].value == 1000
    assert tags_of(run(private_data_set(), resolve(preset="basic"))) == set()


def declared(status: str, **more: object) -> Dataset:
    block = item(
        PrivateGroupReference=SIEMENS,
        PrivateCreatorReference="NOBODY KNOWS",
        BlockIdentifyingInformationStatus=status,
    )
    for keyword, value in more.items():
        setattr(block, keyword, value)
    return block


@pytest.mark.parametrize(
    ("block", "kept"),
    [
        (declared("SAFE"), True), (declared("UNSAFE"), False), (declared("perhaps"), False),
        (declared("MIXED"), False),
        (declared("MIXED", NonidentifyingPrivateElements=[0x0C]), True),
        (declared("MIXED", NonidentifyingPrivateElements=[0x110C]), True),
        (declared("MIXED", NonidentifyingPrivateElements=[0x0D]), False),
        (declared("SAFE", DeidentificationActionSequence=Sequence(
            [item(IdentifyingPrivateElements=[0x0C], DeidentificationAction="X")])), False),
        (declared("SAFE", DeidentificationActionSequence=Sequence(
            [item(IdentifyingPrivateElements=[0x110C], DeidentificationAction="X")])), False),
    ],
)  # fmt: skip
def test_the_files_own_word_for_a_block(block: Dataset, kept: bool) -> None:
    source = private_data_set()
    source.PrivateDataElementCharacteristicsSequence = Sequence([block])
    found = run(source, resolve(preset="basic", profile_options=["retain_safe_private"]))
    assert (0x0019110C in found) == kept
    assert 0x0019100C in found
    assert tags_of(run(source, resolve(preset="basic"))) == set()


@pytest.mark.parametrize("statuses", [("SAFE", "UNSAFE"), ("UNSAFE", "SAFE"), ("SAFE", "MIXED", "SAFE")])
def test_of_two_words_for_a_block_the_stricter_one_counts(statuses: tuple[str, ...]) -> None:
    source = private_data_set()
    source.PrivateDataElementCharacteristicsSequence = Sequence([declared(status) for status in statuses])
    assert 0x0019110C not in run(source, resolve(preset="basic", profile_options=["retain_safe_private"]))


@pytest.mark.parametrize(
    ("action", "expected"), [("D", "ANONYMIZED"), ("Z", ""), ("X", None), ("U", "2.25."), ("?", None)]
)
def test_recommended_actions_are_carried_out(action: str, expected: str | None) -> None:
    source = private_data_set()
    source.add_new(0x00191120, "UI" if action == "U" else "LO", "1.2.3.4")
    advice = item(IdentifyingPrivateElements=[0x20], DeidentificationAction=action)
    source.PrivateDataElementCharacteristicsSequence = Sequence(
        [
            declared(
                "MIXED",
                NonidentifyingPrivateElements=[0x0C],
                DeidentificationActionSequence=Sequence([advice]),
            )
        ]
    )
    found = run(source, resolve(preset="basic", profile_options=["retain_safe_private"]))
    assert 0x0019110C in found
    if expected is None:
        assert 0x00191120 not in found
    else:
        assert str(found[0x00191120].value or "").startswith(expected)


def test_a_file_may_withdraw_what_the_table_allows_and_a_user_may_not_be_overruled() -> None:
    source = private_data_set()
    block = declared("UNSAFE")
    block.PrivateCreatorReference = "SIEMENS MR HEADER"
    source.PrivateDataElementCharacteristicsSequence = Sequence([block])
    assignment = resolve(preset="basic", profile_options=["retain_safe_private"])
    assert 0x0019100C not in run(source, assignment)
    rule = '"profile_options": "retain_safe_private", "(0019,xx0c,\\"SIEMENS MR HEADER\\")": "keep"'
    rule = f'{{"general": {{"preset": "basic", {rule}}}}}'
    assert 0x0019100C in run(source, resolve(parse_config(rule, "test")))


def test_private_sequences_are_treated_item_by_item_and_text_is_cleaned() -> None:
    inner = item(PatientName="Doe^Jane")
    inner.add_new(0x20010010, "LO", "Philips Imaging DD 001")
    inner.add_new(0x2001105D, "ST", "mm of Jane Doe")
    inner.add_new(0x200110F0, "LO", "not in the table")
    strange = Dataset()
    strange.add_new(0x2001105D, "ST", "no creator in this item")
    source = item(PatientID="1", PatientName="Doe^Jane")
    source.add_new(0x20010010, "LO", "Philips Imaging DD 001")
    source.add_new(0x2001105F, "SQ", Sequence([inner, strange]))
    found = run(source, resolve(preset="basic", profile_options=["retain_safe_private"]))
    first, second = found[0x2001105F].value
    assert first[0x2001105D].value.startswith("mm")
    assert "Doe" not in first[0x2001105D].value
    assert 0x200110F0 not in first
    assert first.PatientName == ""
    assert len(second) == 0


# --- the conformance statement --------------------------------------------------------------------------


def test_the_statement_says_what_the_assignment_does() -> None:
    text = statement(resolve(preset="tcia"))
    assert "It conforms to the **Basic Application Level Confidentiality Profile**" in text
    for option in OPTIONS:
        code, meaning = standard.method_codes()[option]
        applied = "yes" if option in resolve(preset="tcia").profile_options else "no"
        assert f"| {meaning} | {code} | {applied} |" in text
    assert "| Clean Pixel Data Option | 113101 | not offered |" in text
    for word in ("`shiftdate`", "1 to 3650 days back", "PatientBirthDate (0010,0030)", "BLAKE2b", "MODIFIED"):
        assert word in text


def test_the_statement_of_a_weaker_assignment_names_its_rows() -> None:
    config = parse_config('{"general": {"preset": "basic", "PatientName": "keep"}}', "test")
    text = statement(resolve(config))
    assert "does not claim" in text
    assert "- (0010,0010) PatientName: keep, the profile says Z\n" in text
    assert "| yes |" not in text


def test_the_statement_of_the_default_names_every_row_that_deviates() -> None:
    head = statement(resolve()).partition("## Options")[0]
    for row in ("StudyDate: truncdate", "PatientSex: keep", "PatientWeight: keep", "ContentSequence: keep"):
        assert f" {row}, the profile says " in head
    assert "PatientSex: keep, the profile says Z without retain_patient_characteristics\n" in head


def test_every_row_is_in_the_statement_once() -> None:
    assignment = resolve(preset="basic")
    attributes = statement(assignment).partition("## Attributes")[2].partition("## Dummy")[0]
    for row in assignment.visible():
        if row.source != "stamp":
            assert attributes.count(tags.format_key(row.key)) == 1, row
    assert statement(assignment) == statement(resolve(preset="basic"))


FULL, MOVED, PRIVATE = (
    {"profile_options": [f"retain_{name}"]} for name in ("full_dates", "modified_dates", "safe_private")
)


@pytest.mark.parametrize(
    ("text", "says", "silent"),
    [
        ("## Dummy values", {}, {"preset": "none"}),
        ("An Overlay Plane without its data is invalid", {}, {"preset": "none"}),
        ("Cleaned text loses", {"ImageComments": "clean"}, {"preset": "none"}),
        ("Dates move by 1 to 3650 days back, chosen by the key for each patient;", MOVED, {}),
        ("Dates move by one number of days, the same", {**MOVED, "date_shift": {"days": -9}}, MOVED),
        ("Instance creation and secondary capture dates", {}, FULL),
        ("Instance creation and secondary capture dates", {}, MOVED),
        ("Private elements go, but for", {}, PRIVATE),
        ("Private elements go, but for", {}, {"remove_unknown_tags": "false"}),
        ("Elements without a rule are removed, private", {}, {"remove_unknown_tags": "false"}),
        ("Elements without a rule are kept.", {"remove_unknown_tags": "false"}, {}),
        ("(inserted where absent)", {"PatientName": "clear"}, {"preset": "none", "PatientName": "remove"}),
        ("as a de-identifier, with the options below.", FULL, {}),
        ("as a de-identifier, with no option.", {}, FULL),
        (", project `knee`.", {"project": "knee"}, {}),
    ],
)
def test_the_statement_says_no_more_than_the_assignment_does(
    text: str, says: dict[str, Any], silent: dict[str, Any]
) -> None:
    for rules, is_said in ((says, True), (silent, False)):
        general = {"preset": "basic", **rules}
        project = "knee" if general.pop("project", None) else None
        config = parse_config(json.dumps({"general": general, "knee": {}}), "test")
        assert (text in statement(resolve(config, project=project))) is is_said


def test_the_statement_says_what_becomes_of_a_dicomdir() -> None:
    rebuilt = resolve(parse_config('{"general": {"objects": {"dicomdir": "rebuild"}}}', "test"))
    assert "A DICOMDIR is made anew over the outputs." in statement(rebuilt)
    assert "A DICOMDIR is not passed on." in statement(resolve())


def test_a_real_file_under_every_option_still_reads() -> None:
    source = dcmread(str(get_testdata_file("CT_small.dcm")))
    for option in OPTIONS:
        found = run(
            Dataset({k: v for k, v in source.items() if k.group != 0x7FE0}),
            resolve(preset="basic", profile_options=[option]),
        )
        assert found.Rows == source.Rows
        assert ("PatientWeight" in found) == (option == "retain_patient_characteristics")
        assert (found.SOPInstanceUID == source.SOPInstanceUID) == (option == "retain_uids")
        assert (found.get("StudyDate") == source.StudyDate) == (option == "retain_full_dates")
        assert ("StationName" in found) == (option == "retain_device_identity")


def test_uids_that_stay_beside_dates_that_move_are_warned_of() -> None:
    def warnings(*options: str) -> tuple[str, ...]:
        return resolve(preset="basic", profile_options=options).warnings

    assert len(warnings("retain_uids", "retain_modified_dates")) == 1
    assert warnings("retain_uids", "retain_full_dates") == warnings("retain_modified_dates") == ()
