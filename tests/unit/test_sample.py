"""The sample tree: the same bytes each time, all that is planted is there, and counts and references hold."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from dicom_anon.sample import Sample, write_sample
from dicom_anon.sample import tree as sample_tree
from dicom_anon.sample.people import name_parts
from dicom_anon.sample.pixels import bitmap, jpeg_frame, phantom, rle_frame, words

STANDARD_ROOT = "1.2.840.10008."
ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "iso2022_jp", "iso8859-5")
IDENTIFYING = {
    "AccessionNumber",
    "AdmissionID",
    "DeviceSerialNumber",
    "FillerOrderNumberImagingServiceRequest",
    "InstitutionAddress",
    "InstitutionName",
    "IssuerOfPatientID",
    "OtherPatientIDs",
    "PatientAddress",
    "PatientBirthDate",
    "PatientID",
    "PatientTelephoneNumbers",
    "PerformedProcedureStepID",
    "PlacerOrderNumberImagingServiceRequest",
    "ReferringPhysicianTelephoneNumbers",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
    "SecondaryCaptureDeviceID",
    "SourceApplicationEntityTitle",
    "StationName",
    "StudyID",
    "VerifyingOrganization",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sample") / "tree"


@pytest.fixture(scope="module")
def sample(tree: Path) -> Sample:
    return write_sample(tree)


@pytest.fixture(scope="module")
def instances(tree: Path, sample: Sample) -> dict[str, Dataset]:
    """Every instance by its path in the tree, told from the rest by its content alone."""
    found: dict[str, Dataset] = {}
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        data = path.read_bytes()
        is_part10 = data[128:132] == b"DICM"
        # A bare Data Set in Implicit VR begins with a tag of group 0008.
        if is_part10 or data[:2] == b"\x08\x00":
            dataset = dcmread(path, force=not is_part10)
            if "DirectoryRecordSequence" not in dataset:
                found[path.relative_to(tree).as_posix()] = dataset
    return found


def contents(tree: Path) -> dict[str, bytes]:
    return {
        path.relative_to(tree).as_posix(): path.read_bytes() if path.is_file() else b"folder"
        for path in tree.rglob("*")
    }


def plain(data: bytes) -> bytes:
    """Return the bytes of a file, with the Data Set inflated where it is deflated."""
    if DeflatedExplicitVRLittleEndian.encode() not in data[:400]:
        return data
    start = 132 + 12 + int.from_bytes(data[140:144], "little")
    return data[:start] + zlib.decompress(data[start:], -zlib.MAX_WBITS)


def forms(text: str) -> Iterator[bytes]:
    """Yield the bytes of a text in every encoding that has all its characters."""
    for encoding in ENCODINGS:
        with contextlib.suppress(UnicodeEncodeError):
            yield text.encode(encoding)


def one(instances: dict[str, Dataset], wanted: Callable[[Dataset], bool]) -> Dataset:
    return next(dataset for dataset in instances.values() if wanted(dataset))


def test_two_writes_give_the_same_bytes(tree: Path, sample: Sample, tmp_path: Path) -> None:
    assert write_sample(tmp_path / "again") == sample
    assert contents(tmp_path / "again") == contents(tree)


def test_counts_balance(tree: Path, sample: Sample, instances: dict[str, Dataset]) -> None:
    files = [path for path in tree.rglob("*") if path.is_file()]
    assert sample.files == len(instances)
    assert sample.files + sample.others == len(files)
    assert sample.studies == len({dataset.StudyInstanceUID for dataset in instances.values()})
    assert sample.series == len({dataset.SeriesInstanceUID for dataset in instances.values()})
    people = {(str(ds.PatientID), str(ds.PatientName)) for ds in instances.values()}
    assert sample.patients == len(people)
    assert len([name for pid, name in people if not pid]) == 1
    uids = [dataset.SOPInstanceUID for dataset in instances.values()]
    assert len(uids) == len(set(uids))


def test_the_tree_is_small(tree: Path, sample: Sample) -> None:
    assert 40 <= sample.files <= 60
    assert sum(len(data) for data in contents(tree).values()) < 3_000_000


def test_some_folders_are_empty(tree: Path, sample: Sample) -> None:
    empty = [path for path in tree.rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert len(empty) == 2


def test_every_planted_text_occurs_in_the_bytes_of_an_instance(
    tree: Path, sample: Sample, instances: dict[str, Dataset]
) -> None:
    everything = b"\n".join(plain((tree / path).read_bytes()) for path in instances)
    missing = [text for text in sample.planted if not any(form in everything for form in forms(text))]
    assert missing == []


def test_planted_texts_cannot_occur_by_chance(sample: Sample) -> None:
    assert all(len(text) >= (4 if text.isascii() else 3) for text in sample.planted)
    assert len(set(sample.planted)) == len(sample.planted)
    assert not [text for text in sample.planted if text.startswith(STANDARD_ROOT)]


def identifying_values(dataset: Dataset) -> Iterator[str]:
    """Yield what identifies in a Data Set at any depth, found by VR and keyword."""
    for element in dataset.iterall():
        if element.is_empty:
            continue
        values = element.value if element.VM > 1 else [element.value]
        if element.VR == "PN":
            for value in values:
                yield from name_parts(str(value))
        elif element.VR == "UI":
            yield from (uid for uid in values if not uid.startswith(STANDARD_ROOT))
        elif keyword_for_tag(element.tag) in IDENTIFYING:
            yield from values


def test_no_identifier_in_the_instances_is_missing_from_planted(sample: Sample, instances: dict[str, Dataset]) -> None:
    datasets = [part for dataset in instances.values() for part in (dataset, dataset.file_meta)]
    found = {str(value) for dataset in datasets for value in identifying_values(dataset)}
    assert found - set(sample.planted) == set()


def test_dates_are_those_of_the_studies(sample: Sample, instances: dict[str, Dataset]) -> None:
    assert set(sample.dates) == {dataset.StudyDate for dataset in instances.values()}
    assert not [date for date in sample.dates if date.endswith("0101")], "truncdate would leave it"
    assert not set(sample.dates) & set(sample.planted)


def test_identifiers_in_paths_stand_there(sample: Sample, instances: dict[str, Dataset]) -> None:
    assert all(any(text in path for path in instances) for text in sample.in_paths)
    lower = {text.lower() for text in sample.planted}
    assert all(text.lower() in lower for text in sample.in_paths)
    rest = list(instances)
    for text in sorted(sample.in_paths, key=len, reverse=True):
        rest = [path.replace(text, "") for path in rest]
    assert not [text for text in lower if any(text in path.lower() for path in rest)]


def test_references_resolve_inside_the_tree(instances: dict[str, Dataset]) -> None:
    classes = {dataset.SOPInstanceUID: dataset.SOPClassUID for dataset in instances.values()}
    studies = {dataset.StudyInstanceUID for dataset in instances.values()}
    series = {dataset.SeriesInstanceUID for dataset in instances.values()}
    frames = {dataset.get("FrameOfReferenceUID") for dataset in instances.values()}
    resolved = 0
    for dataset in instances.values():
        for sequence in dataset.iterall():
            for item in sequence.value if sequence.VR == "SQ" else ():
                target = item.get("ReferencedSOPInstanceUID")
                if target in classes:
                    assert item.get("ReferencedSOPClassUID", classes[target]) == classes[target]
                    resolved += 1
                elif target is not None and sequence.keyword != "ReferencedPatientSequence":
                    assert target in studies
                assert item.get("SeriesInstanceUID") in {None, *series}
                assert item.get("StudyInstanceUID") in {None, *studies}
                assert item.get("FrameOfReferenceUID") in {None, *frames}
    assert resolved > 30


def test_all_encodings_are_there(tree: Path, instances: dict[str, Dataset]) -> None:
    syntaxes = {ds.file_meta.TransferSyntaxUID for ds in instances.values() if "TransferSyntaxUID" in ds.file_meta}
    assert syntaxes == {
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGBaseline8Bit,
    }
    assert len([path for path in instances if (tree / path).read_bytes()[128:132] != b"DICM"]) == 1
    charsets = {str(dataset.get("SpecificCharacterSet", "")) for dataset in instances.values()}
    assert charsets == {"", "ISO_IR 100", "ISO_IR 192", "['', 'ISO 2022 IR 87']"}


def test_all_kinds_of_objects_are_there(instances: dict[str, Dataset]) -> None:
    modalities = {dataset.Modality for dataset in instances.values()}
    assert modalities == {
        *("CT", "MR", "PT", "CR", "US", "OT", "ECG"),
        *("SEG", "PR", "RTSTRUCT", "RTPLAN", "SR", "KO"),
    }
    assert one(instances, lambda ds: "PerFrameFunctionalGroupsSequence" in ds and ds.Modality == "MR")
    assert one(instances, lambda ds: ds.Modality == "US" and ds.get("NumberOfFrames", 1) > 1)
    assert one(instances, lambda ds: ds.get("BurnedInAnnotation") == "YES")


@pytest.mark.parametrize(
    "creator",
    ["SIEMENS MR HEADER", "SIEMENS CSA HEADER", "GEMS_IDEN_01", "GEMS_PARM_01", "Philips MR Imaging DD 005"],
)
def test_private_blocks_are_there(instances: dict[str, Dataset], creator: str) -> None:
    creators = {str(e.value) for ds in instances.values() for e in ds if e.tag.is_private_creator}
    assert creator in creators


def test_unknown_vr_stands_in_the_file_as_un(tree: Path, instances: dict[str, Dataset]) -> None:
    path, dataset = next(
        (path, ds) for path, ds in instances.items() if (0x0099, 0x0010) in ds and ds[0x0099, 0x0010].value
    )
    data = (tree / path).read_bytes()
    assert b"\x10\x00\x00\x40UN\x00\x00" in data
    assert b"\x10\x00\x02\x10UN\x00\x00" in data
    assert b"\x99\x00\x02\x10UN\x00\x00\xff\xff\xff\xff" in data
    assert dataset.PatientComments.startswith("Keep away from")
    assert dataset.OtherPatientIDsSequence[0].PatientID == "BZOLD-91357"


def test_identifiers_stand_outside_of_named_attributes(tree: Path, instances: dict[str, Dataset]) -> None:
    named = [path for path in instances if any((tree / path).read_bytes()[:128].strip(b"\x00"))]
    preambles = [data for path in named if (data := (tree / path).read_bytes())[128:132] == b"DICM"]
    assert [b"Vossbrinck^Thaddeus" in data[:128] for data in preambles] == [True]
    padded = one(instances, lambda ds: (0xFFFC, 0xFFFC) in ds)
    assert b"Vossbrinck^Thaddeus" in padded[0xFFFC, 0xFFFC].value
    overlaid = one(instances, lambda ds: (0x6002, 0x3000) in ds)
    assert "Quarkstein" in overlaid[0x6000, 0x0022].value
    curved = one(instances, lambda ds: (0x5000, 0x3000) in ds)
    assert "Vossbrinck" in curved[0x5000, 0x0022].value
    nested = one(instances, lambda ds: "OriginalAttributesSequence" in ds and ds.PatientID == "ЖВ-6604/19")
    former = nested.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert (former.SpecificCharacterSet, former.PatientName.family_name) == ("ISO_IR 144", "Жаворонкин")


def test_japanese_names_survive_code_extensions(instances: dict[str, Dataset]) -> None:
    names = {str(ds.PatientName) for ds in instances.values() if ds.PatientID == "YK7-3310-556"}
    assert names == {"Yakushimaru^Kyotaro=薬師丸^鏡太郎"}


def test_dicomdir_describes_the_files_beside_it(tree: Path, sample: Sample) -> None:
    medium = FileSet(tree / "CD" / "DICOMDIR")
    paths = sorted(Path(instance.path).name for instance in medium)
    assert paths == ["IM000001", "IM000002", "IM000003"]
    for instance in medium:
        assert instance.load().SOPInstanceUID == instance.SOPInstanceUID
        assert "Brüggenschön" in str(instance.PatientName)


def test_native_pixel_data_has_the_length_the_header_says(instances: dict[str, Dataset]) -> None:
    checked = 0
    for dataset in instances.values():
        if "PixelData" not in dataset or dataset["PixelData"].is_undefined_length:
            continue
        bits = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated
        length = (bits * int(dataset.get("NumberOfFrames", 1)) + 7) // 8
        assert len(dataset.PixelData) == length + length % 2
        checked += 1
    assert checked > 30


def test_rle_decodes_to_the_phantom(instances: dict[str, Dataset]) -> None:
    slices = [ds for ds in instances.values() if ds.file_meta.get("TransferSyntaxUID") == RLELossless]
    decoder = get_decoder(RLELossless)
    for dataset in slices:
        decoded, _ = decoder.as_buffer(dataset, raw=True)
        assert bytes(decoded) == words(phantom(32, 32, 3, 800, dataset.InstanceNumber))
    assert len(slices) == 3


def test_big_endian_pixels_are_swapped(instances: dict[str, Dataset]) -> None:
    swapped = one(instances, lambda ds: ds.file_meta.get("TransferSyntaxUID") == ExplicitVRBigEndian)
    assert swapped.PixelData == words(phantom(32, 32, 100, 4000, swapped.InstanceNumber), ">")


def test_rle_keeps_runs_inside_rows() -> None:
    frame = rle_frame([0x0105] * 8, columns=4)
    assert frame[:12] == bytes([2, 0, 0, 0, 64, 0, 0, 0, 68, 0, 0, 0])
    assert frame[64:] == bytes([253, 1, 253, 1, 253, 5, 253, 5])


def test_bitmap_packs_the_first_pixel_lowest() -> None:
    assert bitmap(3, 3, [1, 0, 0, 0, 0, 0, 0, 1, 1]) == b"\x81\x01"


@pytest.mark.parametrize("levels", [(0, 255), (128, 128), (7, 250), (255, 254)])
def test_jpeg_codes_the_gray_of_each_block(levels: tuple[int, int]) -> None:
    row = [levels[0]] * 8 + [levels[1]] * 8
    jpeg = jpeg_frame(8, 16, row * 8)
    assert jpeg.startswith(b"\xff\xd8\xff\xdb")
    assert b"\xff\xc0\x00\x0b\x08\x00\x08\x00\x10\x01" in jpeg
    scan = jpeg[jpeg.index(b"\xff\xda") + 10 : -2].replace(b"\xff\x00", b"\xff")
    bits = "".join(f"{byte:08b}" for byte in scan)
    decoded, before = [], 128
    for _ in levels:
        size = int(bits[:4], 2)
        extra = int(bits[4 : 4 + size] or "0", 2)
        # ISO/IEC 10918-1 F.2.2.1, EXTEND: a first bit of zero means a negative difference.
        before += extra if bits[4 : 4 + size].startswith("1") else extra - (1 << size) + 1
        decoded.append(before)
        assert bits[4 + size] == "0", "end of block"
        bits = bits[5 + size :]
    assert tuple(decoded) == levels
    assert set(bits) <= {"1"}, "padding"


def test_an_empty_folder_is_taken(tmp_path: Path, sample: Sample) -> None:
    assert write_sample(tmp_path) == sample


@pytest.mark.parametrize("occupant", ["folder", "file"])
def test_what_is_not_empty_is_refused_and_left_alone(tmp_path: Path, occupant: str) -> None:
    target = tmp_path / "target"
    if occupant == "folder":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    else:
        target.write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(FileExistsError):
        write_sample(target)
    assert contents(tmp_path) == before


@pytest.mark.external
def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    entries = sample_tree.instances()
    for at, entry in enumerate(entries):
        if entry.syntax == DeflatedExplicitVRLittleEndian:
            # dciodvfy cannot inflate a Data Set.
            entry = dataclasses.replace(entry, syntax=ExplicitVRLittleEndian)
        (tmp_path / f"{at}.dcm").write_bytes(entry.encode())
    others = sample_tree.other_files(entries)
    (tmp_path / "DICOMDIR").write_bytes(others["CD/DICOMDIR"])
    errors = {}
    for path in tmp_path.iterdir():
        done = subprocess.run(["dciodvfy", path], capture_output=True, check=False)
        found = [line for line in done.stderr.splitlines() if b"Error" in line]
        if found or done.returncode:
            errors[path.name] = (done.returncode, found)
    assert errors == {}


@pytest.mark.external
def test_dcmdump_reads_every_instance(tree: Path, instances: dict[str, Dataset]) -> None:
    done = subprocess.run(["dcmdump", "-q", *(tree / path for path in instances)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_numpy_is_not_needed(tmp_path: Path, sample: Sample) -> None:
    program = (
        "import sys; sys.modules['numpy'] = None\n"
        "from pathlib import Path\n"
        "from dicom_anon.sample import write_sample\n"
        "print(write_sample(Path(sys.argv[1])).files)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "tree")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert int(done.stdout) == sample.files
    assert contents(tmp_path / "tree")
