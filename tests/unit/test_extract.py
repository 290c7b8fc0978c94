"""Extracted data: the DICOM JSON Model's names and values, summed up by series, and always real JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_anon.errors import FileRefused, UsageError
from dicom_anon.extract import MAIN, MAX_VALUES, as_json, main_tags, parse_extract, read_output, summarise
from tests.datasets import real_file, real_files


def readable() -> list[Path]:
    found = []
    for path in real_files():
        try:
            read_output(path)
        except FileRefused:
            continue
        found.append(path)
    return found


def elements_of(*paths: Path, extract: str = "all") -> dict[str, Any]:
    document = summarise((read_output(path) for path in paths), parse_extract(extract)).document()
    found: dict[str, Any] = json.loads(as_json(document))["elements"]
    return found


def variants(folder: Path, count: int, **elements: Any) -> list[Path]:
    """Copies of a real file; a callable makes the value of each."""
    paths = []
    for number in range(count):
        data_set = pydicom.dcmread(real_file("CT_small.dcm"))
        for keyword, value in elements.items():
            setattr(data_set, keyword, value(number) if callable(value) else value)
        paths.append(folder / f"{number}.dcm")
        data_set.save_as(paths[-1])
    return paths


def strict(constant: str) -> Any:
    raise AssertionError(constant)


def test_every_real_file_gives_real_json_with_every_element() -> None:
    paths = readable()
    assert len(paths) > 150
    for path in paths:
        output = read_output(path)
        text = as_json(summarise([output], parse_extract("all")).document())
        document = json.loads(text, parse_constant=strict)
        assert len(document["elements"]) == len({span[0] for span in output.data.spans})
        assert all(one["tag"] and one["vr"] for one in document["elements"].values())


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_bigendian.dcm", "rtplan.dcm", "test-SR.dcm", "693_UNCR.dcm"]
)
def test_values_are_those_of_pydicoms_json_model(name: str) -> None:
    path = real_file(name)
    model = pydicom.dcmread(path).to_json_dict(bulk_data_element_handler=lambda element: "left out")
    ours = elements_of(path)
    compared = 0
    for key, attribute in model.items():
        mine = next((one for one in ours.values() if one["tag"] == key), None)
        assert mine is not None, key
        if attribute["vr"] in ("SQ", "UN") or "Value" not in attribute:
            continue
        assert mine["vr"] == attribute["vr"]
        assert [v for v in mine["Value"] if v is not None] == [v for v in attribute["Value"] if v is not None], key
        compared += 1
    assert compared > 15


def test_signed_values_are_signed_in_implicit_vr_and_un_too(tmp_path: Path) -> None:
    data_set = pydicom.dcmread(real_file("CT_small.dcm"))
    assert (data_set.PixelRepresentation, data_set.PixelPaddingValue) == (1, -2000)
    data_set.ReferencedImageSequence = [pydicom.Dataset()]
    data_set.ReferencedImageSequence[0].add_new(0x00280106, "SS", -1024)
    data_set.save_as(tmp_path / "explicit.dcm")
    data_set.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    data_set.save_as(tmp_path / "implicit.dcm", implicit_vr=True, little_endian=True)
    written = (tmp_path / "explicit.dcm").read_bytes()
    assert b"(\0\x20\x01SS\x02\0" in written
    (tmp_path / "unknown.dcm").write_bytes(written.replace(b"(\0\x20\x01SS\x02\0", b"(\0\x20\x01UN\0\0\x02\0\0\0"))
    for name in ("explicit", "implicit", "unknown"):
        found = elements_of(tmp_path / f"{name}.dcm")
        assert found["PixelPaddingValue"] == {"tag": "00280120", "vr": "SS", "Value": [-2000]}
        nested = found["ReferencedImageSequence"]["Value"][0]
        assert nested["SmallestImagePixelValue"] == {"tag": "00280106", "vr": "SS", "Value": [-1024]}


def test_sequences_are_nested_under_their_keywords() -> None:
    plan = elements_of(real_file("rtplan.dcm"))
    beam = plan["BeamSequence"]["Value"][0]
    assert beam["BeamName"]["vr"] == "LO"
    assert beam["ControlPointSequence"]["Value"][0]["NominalBeamEnergy"]["Value"] == [6.0]


def test_binary_values_are_left_out_and_their_length_is_told() -> None:
    path = real_file("CT_small.dcm")
    pixels = elements_of(path)["PixelData"]
    assert pixels == {"tag": "7FE00010", "vr": "OW", "Length": len(pydicom.dcmread(path).PixelData)}


def test_private_elements_stand_under_their_tag_with_their_creator() -> None:
    found = [one for key, one in elements_of(real_file("CT_small.dcm")).items() if key.startswith("0009")]
    assert {"GEMS_IDEN_01"} == {one["creator"] for one in found if "creator" in one}


def test_a_value_that_all_share_stands_once_and_a_number_that_differs_is_a_range(tmp_path: Path) -> None:
    found = elements_of(*variants(tmp_path, 5, InstanceNumber=lambda n: n + 1, SliceThickness="2.5"))
    assert found["SliceThickness"]["Value"] == [2.5]
    assert found["InstanceNumber"] == {"tag": "00200013", "vr": "IS", "Minimum": [1], "Maximum": [5]}


def test_an_empty_value_is_none_and_is_told_beside_a_range(tmp_path: Path) -> None:
    found = elements_of(*variants(tmp_path, 4, EchoTime=lambda n: [2, 1, "", 3][n], ProtocolName=""))
    assert found["ProtocolName"] == {"tag": "00181030", "vr": "LO"}
    assert found["EchoTime"] == {
        "tag": "00180081", "vr": "DS", "Minimum": [1.0], "Maximum": [2.0], "Values": [[], [3.0]]
    }  # fmt: skip


def test_positions_are_ranges_by_component(tmp_path: Path) -> None:
    found = elements_of(*variants(tmp_path, 3, ImagePositionPatient=lambda n: [1.0, 5.0 - n, n]))
    position = found["ImagePositionPatient"]
    assert (position["Minimum"], position["Maximum"]) == ([1.0, 3.0, 0.0], [1.0, 5.0, 2.0])


def test_zero_is_a_value_like_any_other(tmp_path: Path) -> None:
    found = elements_of(*variants(tmp_path, 3, EchoTime=lambda n: [0, 5, -5][n]))
    assert (found["EchoTime"]["Minimum"], found["EchoTime"]["Maximum"]) == ([-5.0], [5.0])


def test_times_are_ranges_and_other_texts_lists(tmp_path: Path) -> None:
    times = ["101500", "101010", "101100"]
    found = elements_of(
        *variants(tmp_path, 3, AcquisitionTime=lambda n: times[n], ProtocolName=lambda n: ["a", "b", "a"][n])
    )
    assert (found["AcquisitionTime"]["Minimum"], found["AcquisitionTime"]["Maximum"]) == (
        ["101010"],
        ["101500"],
    )
    assert found["ProtocolName"]["Values"] == [["a"], ["b"]]


def test_lists_have_an_end_and_say_so(tmp_path: Path) -> None:
    found = elements_of(*variants(tmp_path, MAX_VALUES + 5, ProtocolName=lambda n: f"p{n}"), extract="ProtocolName")
    assert found["ProtocolName"]["Values"] == [[f"p{n}"] for n in range(MAX_VALUES)]
    assert found["ProtocolName"]["MoreValues"] is True


def test_an_element_that_some_lack_tells_how_many_have_it(tmp_path: Path) -> None:
    paths = [*variants(tmp_path, 3), real_file("CT_small.dcm")]
    data_set = pydicom.dcmread(paths[0])
    del data_set.KVP
    data_set.save_as(paths[0])
    found = elements_of(*paths)
    assert found["KVP"]["NumberOfInstances"] == 3
    assert "NumberOfInstances" not in found["Modality"]


def test_numbers_that_json_has_not_are_texts(tmp_path: Path) -> None:
    data_set = pydicom.dcmread(real_file("CT_small.dcm"))
    data_set.DiffusionBValue = [float("nan"), float("inf"), 1.5]
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.save_as(tmp_path / "nan.dcm")
    assert elements_of(tmp_path / "nan.dcm")["DiffusionBValue"]["Value"] == ["nan", "inf", 1.5]


def test_names_have_their_groups() -> None:
    path = next(path for path in real_files() if path.name == "chrH31.dcm")
    name = elements_of(path)["PatientName"]["Value"][0]
    assert list(name) == ["Alphabetic", "Ideographic", "Phonetic"]
    assert name["Ideographic"] == "山田^太郎"


def test_main_is_of_keywords_each_once() -> None:
    keywords = [keyword for group in MAIN.values() for keyword in group.split()]
    assert len(keywords) == len(set(keywords)) == len(main_tags())


def test_the_readme_lists_main_as_it_is() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    for group, keywords in MAIN.items():
        assert f"| {group} | {', '.join(f'`{keyword}`' for keyword in keywords.split())} |" in text


def test_main_and_keywords_leave_all_else_out() -> None:
    path = real_file("CT_small.dcm")
    assert set(elements_of(path, extract="Rows,Columns")) == {"Rows", "Columns"}
    main = set(elements_of(path, extract="main"))
    assert main < set(elements_of(path))
    assert {"Modality", "PatientID", "PixelSpacing"} <= main
    assert set(elements_of(path, extract="main,PixelData")) == main | {"PixelData"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Modalty", 'did you mean "Modality"'),
        ("", "names nothing"),
        (" , ", "names nothing"),
        ("(60xx,3000)", "names no DICOM element"),
        ("OverlayRows", r"\(60xx,0010\), stands for several: .* such as 60000010"),
        ("CurveData", "such as 50003000"),
    ],
)
def test_what_names_no_element_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_extract(text)
