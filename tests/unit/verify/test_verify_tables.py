"""The second look's own tables, row by row: a row that is lost there is a leak that nobody sees."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary, dictionary_VR, tag_for_keyword

from dicom_anon.boxes import clean_movie
from dicom_anon.codestreams import Seen, check_frame
from dicom_anon.fragments import Part, Stream, UnknownStructure
from dicom_anon.verify.catalog import is_class_uid
from dicom_anon.verify.codestream import Range, text_ranges
from dicom_anon.verify.layout import Reader, Span, path_of
from dicom_anon.verify.movie import Video, spare_ranges
from dicom_anon.verify.plain import dates_in, plain_forms
from tests.unit.verify.test_verify_codestream import MOVIE, SIZ, box
from tests.unit.verify.trees import Trees, coded, image, jpeg, raw, segment

OUTPUT = "a/1.dcm"
TEXT = b"by Adaeze and another"


def places(pair: Trees) -> set[tuple[str, str]]:
    return {(finding.element, finding.kind) for finding in pair.verify().findings}


# --- what elements hold ---

HOLDERS = {
    "patient id": """PatientID OtherPatientIDs InsurancePlanIdentification MedicalRecordLocator AdmissionID
        ServiceEpisodeID ClinicalTrialSubjectID ClinicalTrialSubjectReadingID""",
    "study id": "StudyID",
    "accession": "AccessionNumber PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest",
    "procedure id": "ScheduledProcedureStepID PerformedProcedureStepID RequestedProcedureID",
    "institution": """IssuerOfPatientID InstitutionName InstitutionalDepartmentName ResponsibleOrganization
        RequestingService PatientInstitutionResidence""",
    "address": "CurrentPatientLocation InstitutionAddress ReferringPhysicianAddress PatientAddress PersonAddress",
    "phone": """ReferringPhysicianTelephoneNumbers PatientTelephoneNumbers PatientTelecomInformation
        PersonTelephoneNumbers PersonTelecomInformation OrderCallbackPhoneNumber OrderCallbackTelecomInformation""",
    "religion, origin or rank": """MilitaryRank BranchOfService CountryOfResidence RegionOfResidence EthnicGroup
        PatientReligiousPreference""",
    "patient name": "PatientName OtherPatientNames PatientBirthName PatientMotherBirthName ResponsiblePerson",
    "physician": """ReferringPhysicianName OperatorsName PerformingPhysicianName VerifyingObserverName ReviewerName
        InterpretationAuthor""",
    "person name": "PersonName ContentCreatorName HumanPerformerName",
}
ETHNIC_GROUPS = 0x00102162  # which pydicom does not know


def test_each_element_that_identifies_is_found_unchanged_by_its_kind(tmp_path: Path) -> None:
    tags = {tag_for_keyword(word) or 0: kind for kind, words in HOLDERS.items() for word in words.split()}
    source = image()
    for number, tag in enumerate(tags):
        value = f"Vq{number}^Xj{number}" if dictionary_VR(tag) == "PN" else f"Qz{number}xk{number}"
        source.add_new(tag, dictionary_VR(tag), value)
    source.add_new(ETHNIC_GROUPS, "UC", "Ubykh")
    pair = Trees(tmp_path)
    pair.add(OUTPUT, source, source)
    expected = {(path_of(tag), kind) for tag, kind in {**tags, ETHNIC_GROUPS: "religion, origin or rank"}.items()}
    assert expected <= places(pair)


CODES = {"OperatorIdentificationSequence": "physician", "InstitutionCodeSequence": "institution"}


@pytest.mark.parametrize(("word", "kind"), CODES.items())
def test_a_code_that_names_is_found_unchanged(tmp_path: Path, word: str, kind: str) -> None:
    code = coded("1", "Zwingli")
    if kind == "physician":
        person = Dataset()
        person.PersonIdentificationCodeSequence = [code]
        code = person
    pair = Trees(tmp_path)
    pair.add(OUTPUT, image(**{word: [code]}))
    told = {(element.rpartition(".")[2], found) for element, found in places(pair)}
    assert told == {("(0008,0104)", kind)}, "the value and the scheme of a code name nobody"


NO_INSTANCES = """
    AffectedSOPClassUID AvailableTransferSyntaxUID CodingSchemeUID ContextGroupExtensionCreatorUID ContextUID
    CreatorVersionUID EncryptedContentTransferSyntaxUID FlowTransferSyntaxUID ImplementationClassUID
    MACCalculationTransferSyntaxUID ManufacturerDeviceClassUID MappingResourceUID MediaStorageSOPClassUID
    OriginalSpecializedSOPClassUID PertinentSOPClassesInSeries PertinentSOPClassesInStudy PrivateInformationCreatorUID
    PrivateRecordUID RTVCommunicationSOPClassUID ReferencedRelatedGeneralSOPClassUIDInFile ReferencedSOPClassUID
    ReferencedSOPClassUIDInFile ReferencedTransferSyntaxUIDInFile RelatedGeneralSOPClassUID RequestedSOPClassUID
    SOPClassUID SOPClassesInStudy SOPClassesSupported SegmentationTemplateUID SelectorUIValue
    StoredInstanceTransferSyntaxUID TemplateExtensionCreatorUID TransferSyntaxUID
"""


def test_which_uids_are_of_no_instance() -> None:
    found = {row[4] for tag, row in DicomDictionary.items() if row[0] == "UI" and is_class_uid(tag)}
    assert found == set(NO_INSTANCES.split())


# --- how values are written ---

SEARCHED = {
    "text": "PN LO SH LT ST UT UC UR AE CS",
    "a number among numbers": "DA TM DT DS IS AS UI",
    "binary": "AT FD FL OB OD OF OL OV OW SL SS SV UL UN US UV",
}
LONG = ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]  # PS3.5 Table 7.1-1


def explicit(number: int, vr: str, value: bytes) -> bytes:
    head = struct.pack("<2H2s", 0x0009, 0x1000 + number, vr.encode())
    return head + struct.pack("<HL" if vr in LONG else "<H", *([0] * (vr in LONG)), len(value)) + value


@pytest.mark.parametrize(
    ("value", "where"),
    [(b"\0 448812", "text"), (b"\0 44881237", "text binary"), (b"\0 Vanterpool", "text binary a number among numbers")],
)
def test_every_vr_is_walked_and_searched_as_what_it_is(tmp_path: Path, value: bytes, where: str) -> None:
    kinds = {vr: kind for kind, vrs in SEARCHED.items() for vr in vrs.split()}
    elements = b"".join(explicit(number, vr, value) for number, vr in enumerate(kinds))
    pair = Trees(tmp_path)
    path = pair.add(OUTPUT, image(PatientID="448812", AccessionNumber="44881237", PatientName="Vanterpool"))
    data_set = dcmread(path)
    data_set.add_new(0x00091000, "UN", b"")
    content = raw(data_set)
    path.write_bytes(content.replace(explicit(0, "UN", b""), elements))
    assert {element for element, kind in places(pair) if kind != "does not read back"} == {
        path_of(0x00091000 + number) for number, (vr, kind) in enumerate(kinds.items()) if kind in where
    }


IN_CHARACTER_SETS = {
    "utf-8": "Bürliholz", "utf-16-le": "Bürliholz", "utf-16-be": "Bürliholz", "latin-1": "Bõrliñolz",
    "cp850": "Bürliholz", "cp1250": "Włodarzek", "cp1251": "Грубенвальд", "cp1253": "Παπαδόπουλος",
    "koi8-r": "Грубенвальд", "gb18030": "王小东", "big5": "王小東", "shift_jis": "山田太郎", "euc_jp": "山田太郎",
    "euc_kr": "홍길동",
}  # fmt: skip


@pytest.mark.parametrize(("codec", "name"), IN_CHARACTER_SETS.items())
def test_names_are_found_in_character_sets_that_no_file_names(tmp_path: Path, codec: str, name: str) -> None:
    def plant(data_set: Dataset) -> None:
        data_set.private_block(0x0029, "NORDLICHT", create=True).add_new(
            1, "OB", b"\1\2" + name.encode(codec) + b"\3\4"
        )

    pair = Trees(tmp_path)
    pair.add(
        OUTPUT, image(PatientName=f"{name}^X", SpecificCharacterSet="ISO_IR " + ("101" if codec == "utf-8" else "192"))
    )
    assert places(pair) == set()
    pair.change(OUTPUT, plant)
    assert places(pair) == {("(0029,1001)", "patient name")}


LETTERS = {
    "ä": "a ae", "ö": "o oe", "ü": "u ue", "å": "a aa", "ø": "o oe", "ß": "ss", "æ": "ae", "œ": "oe", "ł": "l",
    "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "é": "e", "ç": "c", "ﬁ": "fi", "Ｘ": "x", "カ": "か", "ﾀﾞ": "た",
}  # fmt: skip


@pytest.mark.parametrize(("letter", "forms"), LETTERS.items())
def test_a_letter_is_read_as_it_is_written_without_accents(letter: str, forms: str) -> None:
    for word in (f"xk{letter}ry", f"XK{letter.upper()}RY"):
        assert plain_forms(word) >= {f"xk{form}ry" for form in forms.split()}


MONTHS = (
    "january januar janvier enero gennaio", "february februar fevrier febrero febbraio", "march marz mars marzo",
    "april avril abril aprile", "may mai mayo maggio", "june juni juin junio giugno", "july juli juillet julio luglio",
    "august aout agosto", "september septembre septiembre settembre", "october oktober octobre octubre ottobre",
    "november novembre noviembre", "december dezember decembre diciembre dicembre",
)  # fmt: skip


@pytest.mark.parametrize(
    "form", ["{day} {name} 2019", "{day}. {short}. 2019", "{day}-{short}-19", "{name} {day}, 2019"]
)
def test_months_are_read_in_five_languages(form: str) -> None:
    for number, names in enumerate(MONTHS, 1):
        for name in names.split():
            text = form.format(day=14, name=name, short=name[: 4 if name[:3] in ("jui", "aou") else 3])
            assert f"2019{number:02}14" in list(dates_in(text)), text


# --- what is spare in compressed frames: the run overwrites it, by tables of its own ---


def overwritten(content: bytes, check: Callable[[Stream], None]) -> bytes:
    """What a run makes of a frame, as far as its structure is known to it."""
    patches: list[tuple[int, bytes]] = []
    stream = Stream(lambda at, size: content[at : at + size], [Part(0, len(content))], patches)
    with suppress(UnknownStructure):
        check(stream)
    result = bytearray(content)
    for offset, patch in patches:
        result[offset : offset + len(patch)] = patch
    return bytes(result)


def blanked(content: bytes, ranges: list[Range]) -> bytes:
    """What the second look would have a run make of a frame."""
    result = bytearray(content)
    for start, end in ranges:
        result[start:end] = bytes(end - start)
    return bytes(result)


def kinds_of(text: str) -> list[bytes]:
    return [kind.replace("_", " ").encode() for kind in text.split()]


PAYLOADS = [used + TEXT * 3 for used in (b"", b"Adobe", b"SPIFF\0", b"mrfx", b"\0\0\0\1", b"\0\0\0\2")]
PAYLOADS += [bytes((kind,)) + TEXT for kind in range(1, 6)]
JPEG = b"\xff\xd8" + jpeg()[20:]  # without its JFIF, of which a run leaves the size of pixels
BOX = box(b"free", TEXT)
JP2, JXL = (box(signature, b"\r\n\x87\n") for signature in (b"jP  ", b"JXL "))
OUTER_BOXES = "ftyp rreq jp2h Exif xml_ jumb brob uuid uinf ulst asoc free "
INNER_BOXES = "ihdr bpcc colr pclr cmap cdef resc resd res_ JXL_ jxlc jxlp jxll jxli jbrd Exif xml_ uuid uinf ulst"
MOVIE_BOXES = """moov trak edts mdia minf dinf stbl mvex moof traf mfra ftyp styp sidx pdin mdat mvhd iods tkhd tref
    elst mdhd elng hdlr vmhd smhd nmhd hmhd stsd stts ctts cslg stss stsh stdp sdtp stsc stsz stz2 stco co64 padb subs
    sbgp sgpd saiz saio mehd trex mfhd tfhd tfdt trun tfra mfro url_ urn_ alis rsrc udta meta free uuid emsg"""
FRAMES = {
    "JPEG": [
        JPEG[:2] + segment(marker, payload) + JPEG[2:]
        for marker in (*range(0xC0, 0xD0), *range(0xDB, 0xFF))
        for payload in PAYLOADS
    ],
    "JPEG 2000": [SIZ + segment(marker, b"\0\0" + TEXT) + b"\xff\xd9" for marker in range(0x52, 0x80)],
    "JP2": [JP2 + box(kind, BOX) + BOX for kind in kinds_of(OUTER_BOXES)]
    + [JP2 + box(b"jp2h", box(kind, BOX)) + BOX for kind in kinds_of(INNER_BOXES)],
    "JPEG XL": [JXL + box(kind, BOX) + BOX for kind in kinds_of(OUTER_BOXES + INNER_BOXES)],
}


@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES)
def test_frames_are_spare_where_a_run_overwrites_them(frames: list[bytes]) -> None:
    for frame in frames:
        assert blanked(frame, text_ranges(frame)) == overwritten(frame, lambda stream: check_frame(stream, Seen()))


def test_movies_are_spare_where_a_run_overwrites_them() -> None:
    for kind in [*kinds_of(MOVIE_BOXES), b"dref"]:
        content = (bytes(8) if kind == b"dref" else b"") + BOX
        movie = MOVIE + box(kind, content) + box(b"moov", box(kind, content)) + BOX
        video = Video(Reader(io.BytesIO(movie), len(movie)), [Span("(7fe0,0010)[1]", 0x7FE00010, "OB", 0, len(movie))])
        assert blanked(movie, spare_ranges(video)) == overwritten(movie, clean_movie), kind
