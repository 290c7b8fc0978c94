"""Objects: kinds by SOP Class and Image Type, burned-in risks, and the config's policies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import UID_dictionary

from dicom_anon import parse_config, resolve
from dicom_anon.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, Encoding
from dicom_anon.errors import ConfigError
from dicom_anon.objects import (
    ACCEPTED,
    BURNED_IN_CLASSES,
    POLICIES,
    ObjectFacts,
    classify,
    kind_of_class,
)
from dicom_anon.pseudonyms import Pseudonyms
from dicom_anon.scope import FileScope, Level, RunFacts
from tests.datasets import KEY, encode, image, item, read_file, real_file, walked

STORAGE = "1.2.840.10008.5.1.4.1.1."
EXPLICIT = "1.2.840.10008.1.2.1"
H264 = "1.2.840.10008.1.2.4.102"


def facts(data_set: Dataset, syntax: str = EXPLICIT, encoding: Encoding = EXPLICIT_LITTLE) -> ObjectFacts:
    data = walked(encode(data_set, encoding), encoding)
    scope = FileScope(data.buf, RunFacts(), Pseudonyms(KEY))
    scope.root = root = Level(scope, data.spans, data.encoding, None, 0)
    return classify(root, syntax)


def of_class(suffix: str, **attributes: Any) -> ObjectFacts:
    return facts(item(SOPClassUID=STORAGE + suffix, **attributes))


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        (STORAGE + "2", "other"),
        (STORAGE + "4", "other"),
        (STORAGE + "481.3", "other"),
        (STORAGE + "77.1.6", "other"),
        (STORAGE + "1", "other"),  # not the start of 104.1 or 11.1
        (STORAGE + "104.1", "encapsulated"),
        (STORAGE + "104.5", "encapsulated"),
        (STORAGE + "7", "secondary_capture"),
        (STORAGE + "7.4", "secondary_capture"),
        (STORAGE + "88.59", "sr"),
        (STORAGE + "11.1", "presentation_state"),
        (STORAGE + "9.1.1", "waveform"),
        (STORAGE + "9.100.1", "presentation_state"),  # of waveforms; pydicom 3.0 does not know it
        ("1.2.840.10008.1.3.10", "dicomdir"),
        ("1.2.840.113619.4.30", "private_sop_class"),
        (STORAGE + "9999.1", "unknown_sop_class"),
        ("", "unknown_sop_class"),
        ("not a uid", "private_sop_class"),
    ],
)
def test_kind_by_sop_class(sop_class: str, kind: str) -> None:
    assert kind_of_class(sop_class) == kind


def test_every_storage_class_of_the_dictionary_is_known_and_in_the_family_of_its_name() -> None:
    families = {
        "encapsulated": re.compile(r"Encapsulated"),
        "secondary_capture": re.compile(r"Secondary Capture"),
        "sr": re.compile(r"\bSR\b|Key Object Selection|Procedure Log|Spectacle Prescription|Macular Grid"),
        "presentation_state": re.compile(r"Presentation State"),
        "waveform": re.compile(r"Waveform Storage"),
    }
    wrong = []
    for uid, row in UID_dictionary.items():
        name = row[0]
        if row[1] != "SOP Class" or not uid.startswith(STORAGE) or not name.split(" - ")[0].endswith("Storage"):
            continue
        expected = next((kind for kind, words in families.items() if words.search(name)), "other")
        if kind_of_class(uid) != expected:
            wrong.append((uid, name, kind_of_class(uid)))
    assert wrong == []


def test_the_classes_with_a_risk_are_those_of_their_name() -> None:
    words = {
        "secondary-capture": "Secondary Capture",
        "ultrasound": "Ultrasound|Photoacoustic",
        "camera": "VL .*Image|Video .*Image|Dermoscopic",
        "endoscopy": "Endoscopic",  # whatever takes them
        "ophthalmic-camera": "Ophthalmic Photography",
    }
    expected = {
        uid.removeprefix(STORAGE): risk
        for uid, row in UID_dictionary.items()
        for risk, pattern in words.items()
        if uid.startswith(STORAGE) and row[1] == "SOP Class" and re.search(pattern, row[0])
    }
    del expected["77.1.6"]  # of whole slides, those that show the label are a kind of their own
    assert expected == BURNED_IN_CLASSES


def test_a_plain_image_has_no_policy_and_no_risk() -> None:
    assert facts(image(ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])) == ObjectFacts("other", "")


@pytest.mark.parametrize(
    "image_type",
    [
        ["DERIVED", "SECONDARY", "SCREEN SAVE"],
        ["DERIVED", "SECONDARY", "OTHER", "CSA REPORT"],
        ["DERIVED", "PRIMARY", "DOSE_REPORT"],
        ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"],
        ["DERIVED", "SECONDARY", "PROTOCOL"],
        ["DERIVED", "SECONDARY", "SAVE"],
        ["DERIVED", "SECONDARY", "SCREEN"],
        ["DERIVED", "SECONDARY", "SCREENSAVE"],
        ["DERIVED", "SECONDARY", "SCREENSHOT"],
        ["DERIVED", "SECONDARY", "SSAVE"],
        ["DERIVED", "SECONDARY", "VIDEO CAPTURE"],
        ["derived", "secondary", "screen save"],
    ],
)
def test_copies_of_screens_are_known_by_their_image_type(image_type: list[str]) -> None:
    said_no = image(ImageType=image_type, BurnedInAnnotation="NO")
    assert facts(image(ImageType=image_type)) == ObjectFacts("secondary_capture", "screen")
    assert facts(said_no).burned_in == "screen"


def test_words_of_an_image_type_are_whole_words() -> None:
    assert facts(image(ImageType=["ORIGINAL", "PRIMARY", "PROTON", "REPORTED"])) == ObjectFacts("other", "")


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}, "wsi_label"),
        ({"ImageType": ["DERIVED", "PRIMARY", "OVERVIEW", "RESAMPLED"]}, "wsi_label"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]}, "other"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "LABEL"]}, "other"),  # value 4 is no flavor
        ({"ImageType": ["ORIGINAL", "PRIMARY", "VOLUME"], "SpecimenLabelInImage": "YES"}, "wsi_label"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "VOLUME"], "SpecimenLabelInImage": "NO"}, "other"),
    ],
)
def test_slide_images_with_a_label(attributes: dict[str, Any], kind: str) -> None:
    assert of_class("77.1.6", **attributes).kind == kind
    assert of_class("2", **attributes).kind == "other"


@pytest.mark.parametrize(
    ("suffix", "attributes", "risk"),
    [
        ("2", {"BurnedInAnnotation": "YES"}, "burned-in-annotation"),
        ("6.1", {"BurnedInAnnotation": "YES"}, "burned-in-annotation"),
        ("6.1", {}, "ultrasound"),
        ("6.1", {"BurnedInAnnotation": "NO"}, ""),
        ("3.1", {}, "ultrasound"),
        ("77.1.1", {}, "endoscopy"),
        ("7", {}, "secondary-capture"),
        ("7", {"BurnedInAnnotation": "NO", "ConversionType": "SD"}, ""),
        ("7", {"ConversionType": "WSD"}, "workstation"),
        ("1", {"ConversionType": "DF"}, "digitized-film"),
        ("1", {"ConversionType": "DV"}, "digitized-video"),
        ("1", {"ConversionType": "SD"}, "scanned-document"),
        ("1", {"ConversionType": "si "}, "scanned-image"),
        ("1", {"ConversionType": "DRW"}, "drawing"),
        ("1", {"ConversionType": "DI"}, ""),
        ("2", {}, ""),
        ("88.11", {}, ""),
    ],
)
def test_risk_of_burned_in_text(suffix: str, attributes: dict[str, Any], risk: str) -> None:
    assert of_class(suffix, **attributes).burned_in == risk


@pytest.mark.parametrize(
    ("modality", "photometric", "risk"),
    [("CT", "PALETTE COLOR", "palette"), ("CT", "MONOCHROME2", ""), ("NM", "PALETTE COLOR", "")],
)
def test_a_palette_in_a_grey_modality_is_a_risk(modality: str, photometric: str, risk: str) -> None:
    data_set = image(Modality=modality, PhotometricInterpretation=photometric, BurnedInAnnotation="NO")
    data_set.RedPaletteColorLookupTableDescriptor = [256, 0, 16]
    assert facts(data_set).burned_in == risk


@pytest.mark.parametrize(
    ("modality", "samples", "said", "risk"),
    [
        *((grey, 3, "", "color") for grey in ("CR", "CT", "DX", "IO", "MG", "MR", "PT", "PX", "RF", "RG", "XA")),
        ("MR", 1, "", ""),
        ("MR", 3, "NO", ""),
        ("NM", 3, "", ""),
    ],
)
@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, EXPLICIT_BIG])
def test_color_in_a_grey_modality_is_a_risk(
    modality: str, samples: int, said: str, risk: str, encoding: Encoding
) -> None:
    data_set = image(Modality=modality, SamplesPerPixel=samples, BurnedInAnnotation=said)
    assert facts(data_set, encoding=encoding).burned_in == risk


def test_a_sheet_of_film_is_a_risk() -> None:
    for number in (29, 30):
        sheet = item(SOPClassUID=f"1.2.840.10008.5.1.1.{number}")
        assert facts(sheet) == ObjectFacts("other", "hardcopy")
        assert "Hardcopy" in UID_dictionary[sheet.SOPClassUID][0]


def test_video_is_a_risk_by_its_transfer_syntax() -> None:
    assert facts(image(), H264).burned_in == "video"
    assert facts(image(BurnedInAnnotation="NO"), H264).burned_in == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CT_small.dcm", ObjectFacts("other")),
        ("examples_palette.dcm", ObjectFacts("other", "ultrasound")),
        ("test-SR.dcm", ObjectFacts("sr")),
        ("waveform_ecg.dcm", ObjectFacts("waveform")),
        ("SC_rgb_small_odd.dcm", ObjectFacts("secondary_capture", "secondary-capture")),
    ],
)
def test_real_files(name: str, expected: ObjectFacts) -> None:
    read = read_file(real_file(name))
    scope = FileScope(read.data.buf, RunFacts(), Pseudonyms(KEY))
    scope.root = root = Level(scope, read.data.spans, read.data.encoding, None, 0)
    assert classify(root, read.transfer_syntax) == expected


def test_every_kind_has_a_default_that_is_accepted() -> None:
    assert {kind: POLICIES[kind] in accepted for kind, accepted in ACCEPTED.items()} == dict.fromkeys(POLICIES, True)


def policies(setting: object) -> Mapping[str, str]:
    """Policies of a configuration that changes some."""
    return resolve(parse_config(json.dumps({"general": {"objects": setting}}), "rules")).objects


def test_policies_are_the_defaults_and_what_the_config_changes() -> None:
    assert policies({}) == dict(POLICIES)
    assert policies({"sr": "drop", "wsi_label": "process"}) == {**POLICIES, "sr": "drop", "wsi_label": "process"}
    assert POLICIES["dicomdir"] == "skip"
    assert policies({"dicomdir": "rebuild"}) == {**POLICIES, "dicomdir": "rebuild"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (["sr"], "accepted: an object of kind to policy"),
        ("drop", "accepted: an object of kind to policy"),
        ({"SR": "drop"}, 'did you mean "sr"'),
        ({"wsi_lable": "drop"}, 'did you mean "wsi_label"'),
        ({"zzz": "drop"}, "accepted: encapsulated, "),
        ({"sr": "remove"}, r"accepted: process, quarantine, drop\)"),
        ({"sr": "rebuild"}, r"accepted: process, quarantine, drop\)"),
        ({"dicomdir": "drop"}, r"accepted: skip, rebuild\)"),
        ({"sr": None}, 'null is no policy for "sr"'),
        ({"sr": ["drop"]}, 'this is no policy for "sr"'),
        ({"other": "drop"}, "no kind of object"),
    ],
)
def test_what_is_no_policy_is_refused(setting: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        policies(setting)
