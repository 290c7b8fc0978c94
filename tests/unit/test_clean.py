"""Free text: what `clean` finds in the whole file, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Sequence, dcmread

from dicom_anon.actions import Clean, CommandError, parse_action
from dicom_anon.assignment import resolve
from dicom_anon.engine import Engine, Plan
from dicom_anon.worker import deidentify
from tests import datasets
from tests.datasets import KEY, item, rewrite


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


def test_no_part_of_a_code_is_taken_for_a_number_of_the_patient() -> None:
    code = item(
        CodeValue="19611230", CodingSchemeDesignator="QX775533", CodingSchemeVersion="19611230",
        LongCodeValue="QX-775533", URNCodeValue="urn:QX-775533",
    )  # fmt: skip
    source = item(PatientID="QX-775533", PatientBirthDate="19611230", ReasonForVisitCodeSequence=Sequence([code]))
    assert rewrite(source, {"ReasonForVisitCodeSequence": "clean"}).ReasonForVisitCodeSequence[0] == code


IDENTIFYING = {
    "ZQ-77": """
        PatientID OtherPatientIDs AccessionNumber StudyID AdmissionID ServiceEpisodeID MedicalRecordLocator
        RequestedProcedureID ScheduledProcedureStepID PerformedProcedureStepID
        PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest
        PlacerOrderNumberProcedure FillerOrderNumberProcedure
        DeviceSerialNumber DetectorID PlateID CassetteID GantryID GeneratorID XRayDetectorID XRaySourceID
        UniqueDeviceIdentifier ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ClinicalTrialSiteID
        ContainerIdentifier SpecimenIdentifier BreedRegistrationNumber
        """,
    "2.77.345": "StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID",
    "30 12 61": """
        PatientBirthDate StudyDate SeriesDate AcquisitionDate ContentDate AdmittingDate AcquisitionDateTime
        PerformedProcedureStepStartDate ScheduledProcedureStepStartDate LastMenstrualDate InstanceCreationDate
        PatientBirthDateInAlternativeCalendar DischargeDate
        """,
    "77 55 33": """
        PatientTelephoneNumbers ReferringPhysicianTelephoneNumbers PersonTelephoneNumbers OrderCallbackPhoneNumber
        PatientTelecomInformation PersonTelecomInformation OrderCallbackTelecomInformation
        """,
    "Zwickelweg 77": "PatientAddress ReferringPhysicianAddress PersonAddress InstitutionAddress RegionOfResidence",
    "ZWICKELSTATT": """
        InstitutionName InstitutionalDepartmentName StationName RequestingService CurrentPatientLocation
        PatientInstitutionResidence ScheduledProcedureStepLocation PerformedLocation PerformedStationName
        ScheduledStationName ResponsibleOrganization VerifyingOrganization ClinicalTrialSiteName
        IssuerOfPatientID ClinicalTrialCoordinatingCenterName InsurancePlanIdentification StationAETitle
        TreatmentMachineName
        """,
    "Zwickelbart^Ottokar": """
        PatientName OtherPatientNames PatientMotherBirthName ReferringPhysicianName PhysiciansOfRecord OperatorsName
        PerformingPhysicianName NameOfPhysiciansReadingStudy RequestingPhysician ResponsiblePerson PersonName
        """,
}
"""What is cleaned from text only because one of these elements holds it."""
AS_STORED = {"30 12 61": "19611230", "77 55 33": "775533"}


@pytest.mark.parametrize(
    ("keyword", "value"),
    [(keyword, value) for value, keywords in IDENTIFYING.items() for keyword in keywords.split()],
)
def test_what_an_element_tells_of_the_patient_goes_from_all_text(keyword: str, value: str) -> None:
    text = f"T2 AX {value.replace('^', ' ')} FLAIR"
    assert rewrite(item(ProtocolName=text), {"ProtocolName": "clean"}).ProtocolName == text
    holder = item(**{keyword: AS_STORED.get(value, value)})
    for source in (holder, item(ReferencedStudySequence=Sequence([holder]))):
        source.ProtocolName = text
        assert rewrite(source, {"ProtocolName": "clean"}).ProtocolName == "T2 AX FLAIR"


@pytest.mark.parametrize("vr", ["LO", "UT", "UN"])
def test_a_name_is_one_in_whatever_vr_it_is_stored(vr: str) -> None:
    source = item(ProtocolName="T2 AX Zwickelbart FLAIR")
    source.add_new(0x00081070, vr, "Zwickelbart^Otto" if vr != "UN" else b"Zwickelbart^Otto")
    assert rewrite(source, {"ProtocolName": "clean"}).ProtocolName == "T2 AX FLAIR"


def test_elements_that_nobody_knows_are_cleaned_in_a_sequence_too() -> None:
    inner = item(CodeMeaning="Report for Doe")
    inner.add_new(0x00091010, "LO", "for Doe")
    inner.add_new(0x00080FFE, "LO", "Doe again")
    inner.add_new(0x00090010, "LO", "MAKER")
    source = item(PatientName="Doe^Jane", ReasonForVisitCodeSequence=Sequence([inner]))
    found = rewrite(source, {"ReasonForVisitCodeSequence": "clean"})
    assert "Doe" not in str(found.ReasonForVisitCodeSequence)
    assert found.ReasonForVisitCodeSequence[0][0x00090010].value == "MAKER"


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
