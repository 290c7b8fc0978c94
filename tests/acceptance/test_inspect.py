"""What inspect shows for a file is what a run does to it, element by element."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from pydicom import Dataset

from tests.acceptance.command import call, contents, read, write_config
from tests.acceptance.conftest import Delivery
from tests.datasets import file_bytes, image, item


class Line(NamedTuple):
    """One line of the table."""

    depth: int
    tag: int
    name: str
    vr: str
    command: str
    before: str
    after: str


def lines(shown: str) -> list[Line]:
    """Read the table back; folded lines belong to the one above."""
    found: list[list[str]] = []
    for text in shown.splitlines():
        if not text.startswith("│"):
            continue
        cells = [cell[1:-1] for cell in text.split("│")[1:-1]]
        if re.match(r" *\([0-9a-f]{4},[0-9a-f]{4}\)", cells[0]):
            found.append(cells)
        else:
            found[-1] = [above + cell.strip() for above, cell in zip(found[-1], cells, strict=True)]
    made = []
    for cells in found:
        place = cells[0].rstrip()
        bare = place.lstrip()
        tag = int(bare[1:5] + bare[6:10], 16)
        rest = [cell.strip() for cell in cells[1:]]
        made.append(Line((len(place) - len(bare)) // 2, tag, bare[12:], *rest))
    return made


def inspected(file: Path, *options: object) -> list[Line]:
    """Inspect a file."""
    done = call("inspect", file, *options)
    assert done.code == 0, done.err
    return lines(done.out)


FILES = [
    "Quarkstein_Wilhelmina/CT_20190314_ACZ19-550021/series_2/IM_0001",
    "Quarkstein_Wilhelmina/CT_20190314_ACZ19-550021/report/SR_0001.dcm",
    "Quarkstein_Wilhelmina/CT_20190314_ACZ19-550021/report/KO_0001",
    "BZ-0042-8815/knee/pd_tse/IM_0001",
    "BZ-0042-8815/brain/from_archive/IM_0001",
    "cardio/2019/mr/IM_0001",
    "cardio/2021/ecg/rest.dcm",
    "emergency/IM_0001",
    "emergency/vossbrinck_hand_1.dcm",
]


def _flat(data_set: Dataset, depth: int = 0) -> list[tuple[int, int, Dataset]]:
    found = []
    for tag in sorted(data_set.keys()):
        found.append((depth, int(tag), data_set))
        if data_set[tag].VR == "SQ":
            for inner in data_set[tag].value or ():
                found.extend(_flat(inner, depth + 1))
    return found


@pytest.mark.parametrize("name", FILES)
def test_the_decisions_are_those_of_the_run(sample_in: Path, sample_out: Delivery, key_file: Path, name: str) -> None:
    shown = inspected(sample_in / name, "--key-file", key_file)
    made = read(sample_out.files[name])
    # What is not removed, in this order, is what the output holds.
    stays = [(line.depth, line.tag) for line in shown if line.after != "(removed)"]
    assert stays == [(depth, tag) for depth, tag, _ in _flat(made)]
    values = 0
    for line in shown:
        if line.depth or line.after in ("(removed)", "=", "(sequence)") or line.vr in ("SQ", "OB", "OW", "UN"):
            continue
        element = made[line.tag]
        listed = element.value if element.VM > 1 else [element.value]
        text = "" if element.value is None else "\\".join(map(str, listed))
        assert line.after.removesuffix("...") == text[: len(line.after.removesuffix("..."))].rstrip(), line
        values += 1
    assert values > 8


def test_what_is_there_before_is_the_file(sample_in: Path) -> None:
    name = FILES[0]
    shown = inspected(sample_in / name)
    source = read(sample_in / name)
    assert [line.tag for line in shown if not line.depth and line.before != "(absent)"] == sorted(source.keys())
    by_tag = {line.tag: line for line in shown if not line.depth}
    assert by_tag[0x00100010].before == str(source.PatientName)
    assert by_tag[0x00100010].command == "set(@fake_name@)"
    assert by_tag[0x00120062].before == "(absent)"
    assert by_tag[0x00120062].after == "YES"
    assert by_tag[0x00080020].after == f"{source.StudyDate[:4]}0101"
    assert by_tag[0x00080060].after == "="
    assert by_tag[0x00100040].name == "PatientSex"


def test_uids_are_shown_as_uids(sample_in: Path) -> None:
    by_tag = {line.tag: line for line in inspected(sample_in / FILES[0]) if not line.depth}
    for tag in (0x00080018, 0x0020000D, 0x0020000E):
        assert by_tag[tag].after.startswith("2.25.")


def test_nested_elements_are_indented(tmp_path: Path) -> None:
    inner = item(PatientName="Doe^Jane", ReferencedSOPInstanceUID="1.2.3")
    outer = item(ReferencedImageSequence=[inner], StudyDescription="of Doe")
    (tmp_path / "file").write_bytes(file_bytes(image(SourceImageSequence=[outer, inner])))
    rules = ("--preset", "none", "--assign", "PatientName=set(x)")
    done = call("inspect", tmp_path / "file", *rules)
    shown = {(line.depth, line.tag): line for line in lines(done.out)}
    assert shown[0, 0x00082112].before == "(sequence)"
    assert shown[1, 0x00081140].name == "ReferencedImageSequence"
    assert shown[2, 0x00100010].before == "Doe^Jane"
    assert shown[2, 0x00100010].after == "x"
    assert re.search(r"│     \(0010,0010\) PatientName", done.out)


def test_private_creators_and_what_has_no_row_are_listed(sample_in: Path) -> None:
    done = call("inspect", sample_in / "BZ-0042-8815/knee/pd_tse/IM_0001")
    last = done.out.splitlines()
    creators = next(line for line in last if line.startswith("Private creators: "))
    assert creators == "Private creators: SIEMENS CSA HEADER, SIEMENS MEDCOM HEADER2, SIEMENS MR HEADER"
    unknown = next(line for line in last if line.startswith("Without a row of their own: "))
    assert "(0029,1010)" in unknown
    assert "(0019,0010)" in unknown
    assert "(0010,0010)" not in unknown


def test_a_file_without_private_elements_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(file_bytes(image()))
    done = call("inspect", tmp_path / "file")
    assert "Private creators: none" in done.out
    assert "Without a row of their own: none" in done.out


def test_a_private_rule_is_shown_with_its_creator(tmp_path: Path, sample_in: Path) -> None:
    rule = '(0019,xx0c,"SIEMENS MR HEADER")=keep'
    shown = {line.tag: line for line in inspected(sample_in / "BZ-0042-8815/knee/pd_tse/IM_0001", "--assign", rule)}
    assert shown[0x0019100C].command == "keep"
    assert shown[0x0019100C].after == "="
    assert shown[0x00190010].after == "="
    assert shown[0x0019100B].after == "(removed)"
    assert "SIEMENS MR HEADER" in shown[0x0019100C].name


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(file_bytes(image()))
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    assert call("inspect", "file").code == 0
    assert contents(tmp_path) == before


def test_control_characters_and_markup_do_nothing_to_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(file_bytes(image(StudyDescription="[bold]x[/] \x1b[31mred", ImageComments="a\rb")))
    done = call("inspect", tmp_path / "file")
    assert "\x1b" not in done.out
    assert "\r" not in done.out
    assert "[bold]x[/]" in done.out


def test_long_values_are_cut(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(file_bytes(image(ImageComments="y" * 5000)))
    assert (
        10 < call("inspect", tmp_path / "file").out.count("y" * 10) < 20
        or "..." in call("inspect", tmp_path / "file").out
    )
    assert "y" * 100 not in call("inspect", tmp_path / "file").out


def test_the_rules_are_those_of_the_options(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(file_bytes(image()))
    config = write_config(
        tmp_path,
        {"general": {"preset": "none"}, "knee": {"PatientID": "set(@project_prefix@)", "prefix": "K"}},
    )
    shown = {line.tag: line for line in inspected(tmp_path / "file", "-c", config, "--aet", "az_knee")}
    assert shown[0x00100020].after == "K"
    assert shown[0x00100010].after == "="


def _hidden(data_set: Dataset) -> bytes:
    """File whose Manufacturer holds another element."""
    name = b"ACME" + bytes.fromhex("10001000") + b"PN" + bytes.fromhex("0800") + b"Doe^Jane"
    data_set.Manufacturer = "X" * len(name)
    return file_bytes(data_set).replace(b"X" * len(name), name)


def _words_for_a_number(data_set: Dataset) -> bytes:
    data_set.KVP = "120"
    return file_bytes(data_set).replace(b"120 ", b"Doe ")


def _short_pixels(data_set: Dataset) -> bytes:
    data_set.PixelData = data_set.PixelData[:-2]
    return file_bytes(data_set)


REFUSED = [
    ("value-misplaced: (0018,0060) DS", _words_for_a_number(image()), ()),
    ("value-misplaced: (0018,0060) DS", _words_for_a_number(image()), ("--assign", "KVP=keep")),
    ("not-parsable: (0008,0070) holds other elements", _hidden(image()), ("--assign", "Manufacturer=keep")),
    ("not-parsable: (0008,0005)", file_bytes(image(SpecificCharacterSet="KLINGON")), ()),
    ("pixel-data-short: (7fe0,0010)", _short_pixels(image()), ()),
    ("truncated: ", file_bytes(image())[:-3], ()),
    ("unsupported-object: secondary_capture", file_bytes(image(ImageType=["DERIVED", "SECONDARY", "SCREEN"])), ()),
    ("object-dropped: sr", file_bytes(image(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")), ()),
    (
        "encrypted: (0400,0500)",
        file_bytes(image(EncryptedAttributesSequence=[item(PatientID="1")])),
        ("--preset=none",),
    ),
    ("value-not-writable: (0018,0060) DS", file_bytes(image(KVP="120")), ("--assign", "KVP=set(@value(PatientName)@)")),
    (
        "value-not-writable: (0008,1030) is too long for its regexp",
        file_bytes(image(StudyDescription="x" * 64)),
        ("--assign", "StudyDescription=regexp(a.*.*.*.*b,x)"),
    ),
]


@pytest.mark.parametrize(("refusal", "content", "options"), REFUSED, ids=lambda part: str(part)[:40])
def test_what_a_run_refuses_is_refused_with_its_words(
    tmp_path: Path, refusal: str, content: bytes, options: tuple[str, ...]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_bytes(content)
    policies = {"general": {"objects": {"secondary_capture": "quarantine", "sr": "drop"}}}
    rules = ("-c", write_config(tmp_path, policies), *options)
    call(tmp_path / "in", tmp_path / "out", *rules)
    (line,) = csv.DictReader((tmp_path / "out.private/not-written.csv").open(encoding="utf-8", newline=""))
    done = call("inspect", tmp_path / "in/file", *rules)
    assert done.code == 1
    assert f"({line['reason']}: {line['detail']})\n" in done.err
    assert refusal in done.err
    assert "Doe" not in done.err
    assert "A run would write" not in done.out


def test_the_element_that_a_file_is_refused_for_is_shown(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(_words_for_a_number(image()))
    done = call("inspect", tmp_path / "file")
    (line,) = (line for line in lines(done.out) if line.tag == 0x00180060)
    assert line.before == "Doe"
    assert done.err == (
        "error: a run would not write FILE, but count it as quarantined: An element that stays holds text where its "
        "VR has numbers, dates or UIDs. (value-misplaced: (0018,0060) DS)\n"
    )


def test_the_answer_of_a_run_comes_last(tmp_path: Path) -> None:
    screen = image(ImageType=["DERIVED", "SECONDARY", "SCREEN"], PatientID=None)
    (tmp_path / "file").write_bytes(file_bytes(screen))
    done = call("inspect", tmp_path / "file")
    assert done.code == 0
    assert done.out.splitlines()[-3:] == [
        "A run would write this file.",
        "note: written objects whose pixels may show text, which no rule reaches: look at them (screen)",
        "note: files without PatientID: the patient is known by name and birth date",
    ]


@pytest.mark.parametrize("command", [("inspect", "file"), ("conformance",)])
def test_an_ae_title_that_picks_no_section_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_bytes(file_bytes(image()))
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path, {"general": {}, "knee": {"PatientID": "clear"}})
    done = call(*command, "-c", config, "--aet", "nee")
    assert done.code == 0
    assert "warning: the AE title has no section of its own" in done.err


def test_its_help_says_that_it_shows_values() -> None:
    done = call("inspect", "--help")
    assert "shows the values of the file" in " ".join(done.out.split())
    assert "Nothing is written" in done.out
    assert "Shows values!" in " ".join(call("--help").out.split())
