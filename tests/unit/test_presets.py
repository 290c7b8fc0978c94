"""The presets: every row of Table E.1-1 and of PS3.6, reasons for what is weaker, and how they are made."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from importlib import resources
from typing import Any

import pytest
from pydicom.datadict import DicomDictionary, RepeatersDictionary

from dicom_anon import presets, standard, tags
from dicom_anon.actions import Regexp, parse_action
from dicom_anon.assignment import resolve
from dicom_anon.presets import decisions, generate

OPTIONS = {
    "preset", "profile_options",
    "remove_unknown_tags", "remove_safe_tags", "remove_curves", "remove_overlays",
}  # fmt: skip

# Written out here, so that a change of what leaves the house is made twice.
CODE_TO_COMMAND = {
    "X": "remove",
    "D": "replace",
    "Z": "remove_or_clear",
    "U": "uid",
    "X/Z": "remove_or_clear",
    "X/D": "remove_or_replace",
    "Z/D": "clear_or_replace",
    "X/Z/D": "remove_or_clear_or_replace",
    "X/Z/U*": "remove_or_clear_or_uid",
}
CLEARED_ALWAYS = {
    "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName",
}  # fmt: skip
NEEDED_BY_THE_STANDARD = {
    "PresentationCreationDate": "replace",
    "PresentationCreationTime": "replace",
    "RadiopharmaceuticalStartDateTime": "replace",
    "PositionAcquisitionTemplateName": "replace",
    "RTAccessoryHolderSlotID": "replace",
    "PatientSetupPhotoDescription": "remove_or_clear",
    "PatientTreatmentPreparationProcedureParameterDescription": "remove_or_clear",
    "PositionAcquisitionTemplateDescription": "remove_or_clear",
    "PriorTreatmentDoseDescription": "remove_or_clear",
    "RequestedProcedureID": "replace",
    "ScheduledProcedureStepID": "remove_or_replace",
    "SourceManufacturer": "remove_or_clear",
    "ResponsiblePerson": "remove_or_clear",
    "ResponsibleOrganization": "remove_or_clear",
    "ReasonForRequestedProcedureCodeSequence": "remove_or_clear",
    "ReferencedStudySequence": "remove_or_clear_or_replace",
    "AnnotationGroupUID": "uid",
    "ReferencedSOPInstanceUIDInFile": "remove",  # group 0004 is for a DICOMDIR only
}
USEFUL = {
    "PatientName": "set(@fake_name@)",
    "PatientID": "set(@fake_mrn@)",
    "AccessionNumber": "set(@fake_acc@)",
    "PatientBirthDate": "truncdate",
    "StudyDate": "truncdate",
    "SeriesDate": "truncdate",
    "AcquisitionDate": "truncdate",
    "ContentDate": "truncdate",
    "PatientSex": "keep",
    "PatientAge": r"regexp(^(?!\s*0*[0-8]?\dY?\s*$|\s*\d\d?\d?[DWM]\s*$).+$,090Y)",
    "PatientSize": "keep",
    "PatientWeight": "keep",
    "ContentSequence": "keep",
    "GraphicAnnotationSequence": "keep",
    "WaveformAnnotationSequence": "keep",
    "ReferencedImageSequence": "keep",
    "SourceImageSequence": "keep",
}
USEFUL_NOT_IN_TABLE = {"Manufacturer": "keep", "ManufacturerModelName": "keep", "SoftwareVersions": "keep"}
TYPED_VRS = {"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
NOT_TYPED = {
    "CodeMeaning", "CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "LongCodeValue", "URNCodeValue",
    "ConvolutionKernel", "FilterType", "ImageFilter", "MultiCoilElementName", "OpticalPathIdentifier",
    "PulseSequenceName", "ReceiveCoilName", "ReferencedOpticalPathIdentifier", "StackID", "TransmitCoilName",
    "Manufacturer", "ManufacturerModelName",
}  # fmt: skip
"""Texts that an IOD needs and that stay under every preset: parts of codes, and what a device fills in."""


def general(name: str) -> dict[str, Any]:
    content = presets.load(name)
    assert list(content) == ["general"]
    found: dict[str, Any] = content["general"]
    return found


def rows_of(name: str) -> dict[tags.Key, str]:
    return {tags.parse_key(key): value for key, value in general(name).items() if key not in OPTIONS and key[0] != "_"}


def table_keys() -> list[tuple[tags.Key, standard.ProfileRow]]:
    return [
        (tags.parse_key(row.tag), row)
        for row in standard.profile_rows()
        if "g" not in row.tag and row.tag[1:5] not in ("0000", "0002")
    ]


def key_of(keyword: str) -> int:
    tag = tags.tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


_GROUPS = {tags.parse_key(f"{mask[:4]},{mask[4:]}"): entry for mask, entry in RepeatersDictionary.items()}


def vrs_of(key: tags.Key) -> set[str]:
    """VRs of an attribute or a repeating group, one empty text where PS3.6 has none."""
    vr = tags.vr_of(key) if isinstance(key, int) else _GROUPS[key][0] if key in _GROUPS else ""
    return set((vr or "").split(" or "))


def word_of(key: tags.Key) -> str:
    """Keyword of an attribute or a repeating group, empty where PS3.6 has none."""
    return tags.keyword_of(key) if isinstance(key, int) else _GROUPS[key][4] if key in _GROUPS else ""


def first(key: tags.Key) -> int:
    """The tag, or the lowest of a repeating group."""
    assert not isinstance(key, tags.PrivateKey)
    return key if isinstance(key, int) else key.value


def effective(name: str, *options: str) -> dict[tags.Key, tuple[str, str]]:
    """Command and source of each row, all options of the preset applied."""
    rows = resolve(preset=name, profile_options=options, default_extra=False).rows
    return {key: (row.action.describe(), row.source) for key, row in rows.items()}


def commented(name: str) -> set[str]:
    """Keys whose own comment stands right above them."""
    keys = list(general(name))
    return {key for above, key in itertools.pairwise(keys) if above == f"_{key}"}


def test_names_are_the_files() -> None:
    folder = resources.files("dicom_anon.presets")
    assert {f"{name}.json" for name in presets.PRESETS} == {
        entry.name for entry in folder.iterdir() if entry.name.endswith(".json")
    }


def test_an_unknown_name_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        presets.load("../presets/default")


@pytest.mark.parametrize("name", presets.PRESETS)
def test_rows_stand_in_tag_order_under_one_key_each(name: str) -> None:
    keys = [tags.parse_key(key) for key in general(name) if key not in OPTIONS and key[0] != "_"]
    assert keys == sorted(keys, key=tags.sort_key)
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_row_is_a_command_that_works_on_its_element(name: str) -> None:
    for key, text in rows_of(name).items():
        action = parse_action(text)
        assert action.describe() == text
        vr = tags.vr_of(key) if isinstance(key, int) else None
        if vr:
            action.check(vr)


@pytest.mark.parametrize("name", presets.PRESETS)
def test_keys_are_keywords_wherever_ps36_has_one(name: str) -> None:
    by_tag = {key for key in general(name) if key[0] == "("}
    misnamed = {"(003a,0320)", "(003a,0325)"}  # pydicom's keyword for these is not the one of PS3.6
    for text in by_tag - misnamed:
        key = tags.parse_key(text)
        assert not isinstance(key, int) or not tags.keyword_of(key)
        assert text == tags.format_key(key)


@pytest.mark.parametrize("name", presets.PRESETS)
def test_instance_uids_are_replaced(name: str) -> None:
    rows = resolve(preset=name).rows
    assert [rows[tag].action.describe() for tag in tags.INSTANCE_UIDS] == ["uid", "uid", "uid"]


@pytest.mark.parametrize("name", ["default", "basic"])
def test_every_row_of_table_e_1_1_is_as_the_profile_says_or_a_commented_exception(name: str) -> None:
    exceptions = NEEDED_BY_THE_STANDARD | (USEFUL | {"OverlayData": "safe"} if name == "default" else {})
    rows, notes = rows_of(name), commented(name)
    table = table_keys()
    assert len(table) == 653  # 657 less two of messages, one of file meta, and the row for private elements
    found = {}
    for key, row in table:
        expected = "clear" if row.keyword in CLEARED_ALWAYS else CODE_TO_COMMAND[row.basic]
        if rows[key] != expected:
            assert {row.keyword, row.tag} & notes, row.tag
            found[row.keyword] = rows[key]
    assert found == exceptions


@pytest.mark.parametrize("name", ["default", "basic"])
def test_rows_left_out_are_those_no_data_set_rule_can_name(name: str) -> None:
    named = {row.tag for row in standard.profile_by_key().values()}
    left_out = [row.tag for row in standard.profile_rows() if row.tag not in named]
    assert len(left_out) == 4
    for text in left_out:
        with pytest.raises(tags.TagSyntaxError):
            tags.parse_key(text)
    assert general(name)["remove_unknown_tags"] is True


@pytest.mark.parametrize("name", ["default", "basic"])
def test_every_attribute_of_ps36_has_a_row(name: str) -> None:
    rows = rows_of(name)
    known = [tag for tag in DicomDictionary if tag >> 16 not in (0x0000, 0x0002, 0xFFFE) and tag & 0xFFFF]
    known += [tag for tag in tags.additions() if tag & 0xFFFF]
    assert len(known) > 5000
    assert [tags.format_tag(tag) for tag in known if tag not in rows] == []
    patterns = {tags.parse_key(f"{mask[:4]},{mask[4:]}") for mask in RepeatersDictionary}
    curves = tags.parse_key("(50xx,xxxx)")
    assert {key for key in patterns if tags.format_key(key)[:3] != "(50"} <= rows.keys()
    assert rows[curves] == "remove"


def test_useful_exceptions_outside_the_table() -> None:
    rows = rows_of("default")
    assert {keyword: rows[key_of(keyword)] for keyword in USEFUL_NOT_IN_TABLE} == USEFUL_NOT_IN_TABLE
    assert USEFUL_NOT_IN_TABLE.keys() <= commented("default")


@pytest.mark.parametrize("name", ["default", "basic", "tcia"])
def test_what_an_iod_needs_is_kept_by_name_so_that_remove_safe_tags_breaks_nothing(name: str) -> None:
    rows = effective(name)
    listed = {key for key, _ in table_keys()}
    needed = {tag for tag in standard.required_tags() if tag >> 16 != 0x0004} - listed
    changed = {
        tags.keyword_of(tag): rows[tag][0] for tag in needed if rows[tag][0] != "keep" and rows[tag][1] != "stamp"
    }
    assert {keyword for keyword, command in changed.items() if command == "remove"} == {
        "EncryptedAttributesSequence", "EncryptedContent", "EncryptedContentTransferSyntaxUID", "Signature",
    }  # fmt: skip
    changing = {"replace", "remove_or_clear", "remove", "uid", "clean"} | ({"hash"} if name == "default" else set())
    assert set(changed.values()) == changing
    for keyword in (
        "SOPClassUID", "Rows", "Columns", "BitsAllocated", "PixelRepresentation", "PixelData", "FloatPixelData",
        "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "SegmentSequence", "ContourData",
        "BeamSequence", "Modality", "ReferencedSOPClassUID", "ConceptNameCodeSequence", "CodeValue",
    ):  # fmt: skip
        assert rows[key_of(keyword)][0] == "keep"


@pytest.mark.parametrize("name", ["default", "basic", "tcia"])
def test_no_text_stays_that_a_person_can_type(name: str) -> None:
    stays = {
        word_of(key): key
        for key, (command, source) in effective(name).items()
        if command in ("keep", "safe") and vrs_of(key) & TYPED_VRS and not source.startswith("option retain")
    }
    useful = {"SoftwareVersions"} if name == "default" else set()
    assert stays.keys() | {"OverlaySubtype"} == decisions.TECHNICAL_TEXT | useful
    assert {word for word, key in stays.items() if key in standard.required_tags()} == NOT_TYPED | useful


@pytest.mark.parametrize("without", ["retain_full_dates", "retain_modified_dates"])
def test_options_change_no_more_than_the_table_lists_and_uids(without: str) -> None:
    listed = {key for key, _ in table_keys()}
    options = [option for option in standard.PROFILE_OPTIONS if option != without]
    rows = resolve(preset="basic", profile_options=options).rows
    others = [key for key, row in rows.items() if row.source.startswith("option") and key not in listed]
    others = [key for key in others if not isinstance(key, tags.PrivateKey | tags.Pattern)]
    assert {tags.vr_of(key) for key in others if isinstance(key, int)} == {"UI"}


@pytest.mark.parametrize("name", ["default", "basic", "tcia"])
def test_what_identifies_beside_the_table_is_never_kept(name: str) -> None:
    rows = effective(name)
    decided = decisions.STRONGER.keys() | decisions.TYPED.keys()
    assert [word for word in decided if rows[key_of(word)][0] in ("keep", "safe")] == []
    locators = {key: row for key, row in rows.items() if "UR" in vrs_of(key) and row[0] in ("keep", "safe")}
    assert {word_of(key) for key, row in locators.items() if not row[1].startswith("option")} == {"URNCodeValue"}
    for keyword in (
        "PlacerOrderNumberProcedure", "FillerOrderNumberProcedure", "PlacerOrderNumberImagingServiceRequestRetired",
        "FillerOrderNumberImagingServiceRequestRetired", "RecordKey", "OrderPlacerIdentifierSequence",
    ):  # fmt: skip
        assert rows[key_of(keyword)][0] == "remove"


@pytest.mark.parametrize("name", ["default", "basic", "tcia"])
def test_dates_that_the_table_does_not_list_do_not_stay(name: str) -> None:
    listed = {key for key, _ in table_keys()}
    rows = effective(name)
    others = [key for key in rows if vrs_of(key) & {"DA", "DT", "TM"} and key not in listed]
    assert len(others) > 10
    assert {rows[key][0] for key in others} == {"replace", "remove"}


def test_no_text_has_a_weaker_rule_in_default_than_in_basic() -> None:
    default, basic = rows_of("default"), rows_of("basic")
    weaker = {
        word_of(key)
        for key, command in default.items()
        if command in ("keep", "safe") and basic[key] not in ("keep", "safe") and vrs_of(key) & TYPED_VRS
    }
    assert weaker == {"SoftwareVersions"}


@pytest.mark.parametrize(
    "keyword",
    [
        "PatientComments", "OtherPatientIDs", "InstitutionName", "StudyDescription", "SeriesDescription",
        "ImageComments",
        "PatientBirthDateInAlternativeCalendar", "CommentsOnTheScheduledProcedureStep", "SegmentDescription",
        "IssuerOfAccessionNumberSequence", "DigitalSignaturesSequence", "OriginalAttributesSequence",
        "IconImageSequence", "DataSetTrailingPadding", "TextValue", "UnformattedTextValue", "PersonName",
        "RetrieveURL", "DocumentTitle", "EncapsulatedDocument", "TrackingID", "DeviceID", "NTPSourceAddress",
        "ExposuresOnDetectorSinceManufactured", "ExposuresOnPlate",
    ],
)  # fmt: skip
def test_default_never_passes(keyword: str) -> None:
    assert rows_of("default")[key_of(keyword)] not in ("keep", "safe")


@pytest.mark.parametrize(
    "keyword",
    [
        "PixelData", "WaveformData", "PixelSpacing", "ConvolutionKernel", "SequenceName", "ReceiveCoilName",
        "SoftwareVersions", "FilterType", "Rows", "ImagePositionPatient", "RescaleSlope", "RepetitionTime",
        "KVP", "ReferencedSeriesSequence", "ReferencedSOPClassUID", "SOPClassUID",
        "MeasuredValueSequence", "NumericValue", "ConceptNameCodeSequence", "BeamSequence", "GraphicData",
        "RadionuclideTotalDose", "DecayFactor",
    ],
)  # fmt: skip
def test_default_passes(keyword: str) -> None:
    assert rows_of("default")[key_of(keyword)] in ("keep", "safe")


def test_uids_of_default_are_replaced_unless_they_name_something_well_known() -> None:
    rows = rows_of("default")
    kept = {
        tags.keyword_of(tag)
        for tag, command in rows.items()
        if isinstance(tag, int) and tags.vr_of(tag) == "UI" and command != "uid" and tag >> 16 != 0x0004
    }
    assert kept == {
        "SOPClassUID", "RelatedGeneralSOPClassUID", "OriginalSpecializedSOPClassUID", "SOPClassesInStudy",
        "CodingSchemeUID", "ContextUID", "MappingResourceUID", "StoredInstanceTransferSyntaxUID",
        "ReferencedSOPClassUID", "SOPClassesSupported", "AvailableTransferSyntaxUID", "CreatorVersionUID",
        "FlowTransferSyntaxUID", "MACCalculationTransferSyntaxUID", "EncryptedContentTransferSyntaxUID",
        "PertinentSOPClassesInStudy", "PertinentSOPClassesInSeries",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        ("000D", "000D"), ("012W", "012W"), ("018M", "018M"), ("999M", "999M"), ("001Y", "001Y"),
        ("045Y", "045Y"), ("089Y", "089Y"), ("45Y", "45Y"), ("045", "045"), ("", ""),
        ("090Y", "090Y"), ("091Y", "090Y"), ("99Y", "090Y"), ("099Y", "090Y"), ("100Y", "090Y"),
        ("117Y", "090Y"), ("999Y", "090Y"), ("95", "090Y"), ("1092M", "090Y"), ("ninety", "090Y"),
        ("0100", "090Y"), ("095y", "090Y"),
    ],
)  # fmt: skip
def test_age_rule(age: str, expected: str) -> None:
    action = parse_action(general("default")["PatientAge"])
    assert isinstance(action, Regexp)
    assert re.sub(action.find, action.replacement, age) == expected


def test_group_0004_and_what_ps36_leaves_unnamed_go() -> None:
    for name in ("default", "basic"):
        rows = rows_of(name)
        directory = {command for tag, command in rows.items() if isinstance(tag, int) and tag >> 16 == 0x0004}
        assert directory == {"remove"}
        assert rows[0x00080202] == rows[0x300A0782] == "remove"


def test_overlay_rows() -> None:
    assert general("default")["(60xx,3000)"] == "safe"
    assert general("basic")["(60xx,3000)"] == "remove"
    for name in ("default", "basic"):
        rows = general(name)
        assert rows["(60xx,4000)"] == "remove"
        assert rows["(60xx,0010)"] == "safe"
        assert rows["remove_overlays"] is True
    assert general("default")["(60xx,0022)"] == general("default")["(60xx,1500)"] == "remove"


def test_what_basic_adds_to_the_table() -> None:
    in_table = {key for key, _ in table_keys()}
    rows = rows_of("basic")
    added = {
        key: row for key, row in rows.items() if key not in in_table and not (0x00040000 <= first(key) < 0x00050000)
    }
    others = Counter(added.values())
    assert others.keys() == {"keep", "safe", "clean", "uid", "remove", "replace", "remove_or_clear"}
    assert {word_of(key) for key, row in added.items() if row == "uid"} == {
        word for word, choice in decisions.VALID.items() if choice.command == "uid" and key_of(word) not in in_table
    }
    goes = {key for key, row in added.items() if row in ("remove", "replace", "remove_or_clear")}
    timely = {key for key in added if vrs_of(key) & {"DA", "DT", "TM"}}
    nameless = {key for key in added if not word_of(key) or tags.format_key(key).startswith("(7fxx")}
    stronger = decisions.STRONGER.items()
    assert goes - timely - nameless == {key_of(word) for word, choice in stronger if choice.command != "clean"}
    assert len(nameless) == 7 + 5


def test_mercure_has_the_counts_of_the_original_table() -> None:
    rows = rows_of("mercure")
    counts = Counter(command.split("(")[0] for command in rows.values())
    assert len(rows) == 1025
    assert counts == {
        "safe": 726, "remove": 216, "keep": 39, "set": 28 - 23, "clear": 10 - 3, "truncdate": 6,
        "uid": 3 + 23,
    }  # fmt: skip
    assert {text for text in rows.values() if "(" in text} == {
        "set(YES)", "set(@fake_mrn@)", "set(@fake_acc@)", "set(@fake_name@)",
        "set(mercure-anonymizer v0.1.0-beta.8)",
    }  # fmt: skip
    assert commented("mercure") == {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"}


@pytest.mark.parametrize(
    ("keyword", "command"),
    [
        ("PatientName", "set(@fake_name@)"), ("PatientID", "set(@fake_mrn@)"), ("StudyDate", "truncdate"),
        ("SeriesDescription", "keep"), ("InstanceCreationTime", "safe"), ("PatientAge", "keep"),
        ("ContentSequence", "remove"), ("PatientSize", "remove"), ("PixelData", "keep"), ("StudyID", "clear"),
    ],
)  # fmt: skip
def test_mercure_rows(keyword: str, command: str) -> None:
    assert rows_of("mercure")[key_of(keyword)] == command


def test_none_does_nothing_but_replace_uids() -> None:
    content = {key: value for key, value in general("none").items() if key[0] != "_"}
    assert {key: content.pop(key) for key in list(content) if key.startswith("remove_")} == dict.fromkeys(
        ("remove_unknown_tags", "remove_safe_tags", "remove_curves", "remove_overlays"), False
    )
    listed = {
        row.keyword
        for row in standard.profile_rows()
        if row.basic == "U" and row.tag[1:5] not in ("0000", "0002", "0004")
    }
    assert content == dict.fromkeys(listed, "uid")


def test_tcia_is_the_profile_with_the_options_of_the_archive() -> None:
    content = general("tcia")
    assert content["preset"] == "basic"
    assert set(content["profile_options"]) == {
        "clean_graphics", "clean_structured_content", "clean_descriptors", "retain_modified_dates",
        "retain_patient_characteristics", "retain_device_identity", "retain_safe_private",
    }  # fmt: skip
    assert rows_of("tcia").keys() == {tags.PATIENT_NAME, tags.PATIENT_ID}


@pytest.mark.parametrize("name", ["default", "basic"])
def test_the_shipped_file_is_what_the_generator_writes(name: str) -> None:
    shipped = resources.files("dicom_anon.presets").joinpath(f"{name}.json").read_text("utf-8")
    assert generate.generate(name) == shipped


@pytest.mark.parametrize("name", ["default", "basic"])
def test_generated_files_say_where_they_come_from(name: str) -> None:
    notes = general(name)
    assert notes["_edition"] == "PS3.15 2026d"
    assert notes["_notice"] == "DICOM PS3.15 2026d, © NEMA"
    assert notes["_command"] == "python -m dicom_anon.presets.generate"


def test_every_decision_names_an_attribute_and_is_used() -> None:
    keywords = {entry[4] for entry in RepeatersDictionary.values()}
    for table in (decisions.USEFUL, decisions.VALID, decisions.STRONGER):
        assert [keyword for keyword in table if tags.tag_for_keyword(keyword) is None] == []
    assert {word for word in decisions.TECHNICAL_TEXT if tags.tag_for_keyword(word) is None} <= keywords
    in_table = {row.keyword for row in standard.profile_rows()}
    assert not decisions.STRONGER.keys() & in_table
    assert not decisions.USEFUL.keys() & decisions.VALID.keys()


def test_readme_names_every_preset() -> None:
    readme = resources.files("dicom_anon.presets").joinpath("README.md").read_text("utf-8")
    assert all(f"`{name}.json`" in readme for name in presets.PRESETS)
    assert "python -m dicom_anon.presets.generate" in readme


def test_no_key_is_written_twice() -> None:
    """A JSON reader would silently let the last one win."""
    for name in presets.PRESETS:
        text = resources.files("dicom_anon.presets").joinpath(f"{name}.json").read_text("utf-8")
        written = re.findall(r'^  "((?:[^"\\]|\\.)+)":', text, re.MULTILINE)
        assert [key.replace('\\"', '"') for key in written] == list(json.loads(text)["general"])
