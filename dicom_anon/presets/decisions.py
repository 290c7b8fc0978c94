"""What the generated presets decide beyond Table E.1-1, each with its reason: the part a person edits.

Lives here: exceptions to the table, and choices for attributes that the table does not list. Does not live
here: how a preset is put together (``generate.py``), or the table (``dicom_anon.standard``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Choice(NamedTuple):
    """A command, and the comment that stands before its row (empty for none)."""

    command: str
    why: str


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _table(*groups: tuple[str, str, str]) -> Mapping[str, Choice]:
    """Spread groups of (command, reason, keywords) over their keywords; one decided twice is an error."""
    table: dict[str, Choice] = {}
    for command, why, keywords in groups:
        for keyword in _words(keywords):
            if keyword in table:
                raise ValueError(f"decided twice: {keyword}")
            table[keyword] = Choice(command, why)
    return table


COMMANDS: Mapping[str, str] = {
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
"""Action code of Table E.1-1 to command. Z acts on what is present, see `ALWAYS_PRESENT`."""

ALWAYS_PRESENT = _words(
    """
    AccessionNumber PatientBirthDate PatientName PatientSex ReferringPhysicianName StudyDate StudyID StudyTime
    """
)
"""Z rows that are Type 2 in Patient and General Study, so in every composite IOD: inserted where absent."""

SHARED_DATES = _words(
    """
    AttributeModificationDateTime CalibrationDate CalibrationDateTime CalibrationTime ContextGroupLocalVersion
    ContextGroupVersion ContributionDateTime DateOfInstallation DateOfLastCalibration
    DateOfLastDetectorCalibration DateOfManufacture DateTimeOfLastCalibration EffectiveDateTime
    EthicsCommitteeApprovalEffectivenessEndDate EthicsCommitteeApprovalEffectivenessStartDate
    HangingProtocolCreationDateTime InformationIssueDateTime InstanceCoercionDateTime ProductExpirationDateTime
    SelectorDAValue SelectorDTValue SelectorTMValue SourceStrengthReferenceDate SourceStrengthReferenceTime
    TemplateLocalVersion TemplateVersion TimeOfLastCalibration TimeOfLastDetectorCalibration TimezoneOffsetFromUTC
    """
)
"""Dates that are printed elsewhere, or that many patients have (a device was calibrated, an archive was moved), and no
patient's own. Moved, they would tell by how many days all others moved. So does a time zone that stays, since it is
another one in summer."""

VALID = _table(
    (
        "replace",
        "The profile says X; Type 1 in an IOD (PS3.3), so a dummy, which tells nothing, is valid.",
        """
        PositionAcquisitionTemplateName PresentationCreationDate PresentationCreationTime
        RadiopharmaceuticalStartDateTime
        """,
    ),
    (
        "replace",
        "The profile says X; Type 1C in one sequence and Type 2 in another (PS3.3): a dummy is valid in both.",
        "RequestedProcedureID",
    ),
    (
        "remove_or_replace",
        "The profile says X; Type 1C in requests (PS3.3), so a dummy there, where an option keeps these.",
        "ScheduledProcedureStepID",
    ),
    (
        "remove_or_clear",
        "The profile says X; Type 2 in an IOD (PS3.3), so an empty value, which tells nothing, is valid.",
        """
        PatientSetupPhotoDescription PatientTreatmentPreparationProcedureParameterDescription
        PositionAcquisitionTemplateDescription PriorTreatmentDoseDescription SourceManufacturer
        """,
    ),
    (
        "remove_or_clear",
        "The profile says X; Type 2 in hanging protocols (PS3.3), so empty there, which tells nothing.",
        "ReasonForRequestedProcedureCodeSequence",
    ),
    (
        "remove_or_clear_or_replace",
        "The profile says X/Z; Type 1 in some sequences (PS3.3), so there its items stay with new UIDs.",
        "ReferencedStudySequence",
    ),
    (
        "remove_or_clear",
        "The profile says X; Type 2C for animals, so an empty value keeps those objects valid.",
        "ResponsibleOrganization ResponsiblePerson",
    ),
    (
        "replace",
        "The profile says Z; Type 1 where it occurs, so a dummy, which Z allows as well.",
        "RTAccessoryHolderSlotID",
    ),
    (
        "uid",
        "The profile says D; a consistent UID is a dummy that keeps references intact.",
        "AnnotationGroupUID",
    ),
    (
        "uid",
        "Not in the table, but it names an object, an act or a place, or refers to what other rows replace.",
        """
        AssertionUID ContextGroupExtensionCreatorUID EquipmentFrameOfReferenceUID FindingsGroupUIDTrial
        HomeCommunityID ModelGroupUID MultiFrameSourceSOPInstanceUID RadiopharmaceuticalAdministrationEventUID
        ReferencedAssertionUID ReferencedColorPaletteInstanceUID ReferencedContentItem ReferencedFiducialUID
        ReferencedFindingsGroupUIDTrial RepositoryUniqueID RetrieveLocationUID SegmentationTemplateUID
        SelectorUIValue SOPInstanceUIDOfConcatenationSource TableFrameOfReferenceUID
        TargetFrameOfReferenceUID VolumeFrameOfReferenceUID VolumetricPresentationInputSetUID
        """,
    ),
)
"""Deviations that both generated presets need, so that the output is valid and its references hold."""

USEFUL = _table(
    ("set(@fake_name@)", "A made-up name, the same for all files of the patient.", "PatientName"),
    ("set(@fake_mrn@)", "A made-up number, the same for all files of the patient.", "PatientID"),
    ("set(@fake_acc@)", "A made-up number, the same for all files of the order.", "AccessionNumber"),
    (
        "truncdate",
        "Kept to the year, so that the data stays useful in time; month and day go.",
        "AcquisitionDate ContentDate PatientBirthDate SeriesDate StudyDate",
    ),
    (
        r"regexp(^(?!\s*0*[0-8]?\dY?\s*$|\s*\d\d?\d?[DWM]\s*$).+$,090Y)",
        "Kept up to 089Y; every age above, and what is no age, becomes 090Y.",
        "PatientAge",
    ),
    (
        "keep",
        "Kept, so that the data stays useful.",
        "Manufacturer ManufacturerModelName PatientSex PatientSize PatientWeight",
    ),
    ("keep", "Kept whole, so that the data of one version can be told from that of another.", "SoftwareVersions"),
    (
        "keep",
        "The profile says D, which would leave a report without content. Kept with its items: names, texts, "
        "dates, times and UIDs in them have rows of their own; codes and measurements stay.",
        "ContentSequence",
    ),
    (
        "keep",
        "The profile says D, which would break presentation states. Kept with its items: texts are replaced, "
        "lines stay.",
        "GraphicAnnotationSequence",
    ),
    (
        "keep",
        "The profile says X/D. Kept with its items: texts are replaced, codes and measurements stay.",
        "WaveformAnnotationSequence",
    ),
    (
        "keep",
        "The profile says X/Z/U*. Kept with its items, whose UIDs are replaced consistently, so that "
        "references between files stay intact.",
        "ReferencedImageSequence SourceImageSequence",
    ),
)
"""Rows of `default` that are weaker than the profile, or that say how a value is made: data stays useful."""

TYPED = _table(
    (
        "replace",
        "Free text of reports; the profile replaces it with the whole Content Sequence.",
        "TextValue",
    ),
    ("hash", "A person types it. A keyed pseudonym still links one finding over time.", "TrackingID"),
    (
        "replace",
        "A person types it. An IOD needs it, so a dummy.",
        """
        CalculationComment ContentDescription ObservationDescription RTImageLabel SelectorUCValue
        TreatmentToleranceViolationIdentification
        """,
    ),
    (
        "remove_or_clear",
        "A person types it. Type 2 where it occurs, so empty.",
        "DocumentTitle InventoryPurpose OverrideReason TreatmentTerminationDescription",
    ),
    (
        "remove_or_clear",
        "Some scanners copy the Study Description into it, which the profile removes. Type 2, so empty.",
        "PositionReferenceIndicator",
    ),
)
"""Rows of `default` for texts that the table does not list and that would only be cleaned, as they are in `basic`.

There, an option may keep what stands around them, such as a report, which would be worth little without its texts.
"""

STRONGER = _table(
    (
        "remove",
        "Numbers of the order and of its service request, which lead to the patient.",
        """
        FillerOrderNumberImagingServiceRequestRetired FillerOrderNumberProcedure
        PlacerOrderNumberImagingServiceRequestRetired PlacerOrderNumberProcedure
        """,
    ),
    ("remove", "Numbers of the patient's other studies, as Study ID (Z) is that of this one.", "OtherStudyNumbers"),
    (
        "replace",
        "Identifies an animal or a document outside. An IOD needs it, so a dummy.",
        "BreedRegistrationNumber HL7InstanceIdentifier",
    ),
    ("replace", "Names who made it. An IOD needs it, so a dummy.", "HangingProtocolCreator"),
    ("remove_or_clear", "Names a medium of the institution. Type 2 where it occurs.", "StorageMediaFileSetID"),
    (
        "remove",
        "A day of the patient's life, in a calendar whose dates are not found in a text.",
        "PatientBirthDateInAlternativeCalendar PatientDeathDateInAlternativeCalendar",
    ),
    ("remove", "Names a person to ask, whom the file need not name elsewhere.", "ContactDisplayName"),
    ("remove", "Names an image of the institution, from which this one was made.", "ModifiedImageID"),
    (
        "remove",
        "Counts from patient to patient: who knows some of a device's examinations can tell the day of all others.",
        """
        ExposuresOnDetectorSinceLastCalibration ExposuresOnDetectorSinceManufactured ExposuresOnPlate
        """,
    ),
    ("clean", "A person types it, though it is a Code String.", "ContentLabel"),
    (
        "remove_or_clear",
        "Names a machine of the institution, as Treatment Machine Name (X/Z) does. Type 2 where it occurs.",
        "RadiationMachineName",
    ),
    (
        "remove",
        "Address of a server of the institution, or of a person.",
        "ContactURI FolderAccessURI StoredInstanceBaseURI",
    ),
    (
        "replace",
        "Address of a server that holds the originals. An IOD needs it, so a dummy.",
        "FileAccessURI FilenameInContainer PixelDataProviderURL RetrieveURI RetrieveURL StorageURL",
    ),
    (
        "replace",
        "Names the institution that issued an identifier. An IOD needs it, so a dummy.",
        "LocalNamespaceEntityID UniversalEntityID",
    ),
    (
        "remove",
        "Names the institution that issued an identifier; the profile removes its companions.",
        """
        AssigningAgencyOrDepartmentCodeSequence AssigningFacilitySequence AssigningJurisdictionCodeSequence
        IssuerOfAccessionNumberSequence IssuerOfPatientIDQualifiersSequence OrderFillerIdentifierSequence
        OrderPlacerIdentifierSequence
        """,
    ),
    (
        "remove",
        "Names the institution that made up its own codes, often with an address.",
        "CodingSchemeResponsibleOrganization",
    ),
    (
        "remove",
        "Identifies a person, service or document; the profile removes its companions.",
        """
        DocumentAuthorIdentifierCodeSequenceTrial DocumentIdentifierCodeSequenceTrial
        DocumentingObserverIdentifierCodeSequenceTrial DocumentingOrganizationIdentifierCodeSequenceTrial
        HumanPerformerCodeSequence IdentifierCodeSequenceTrial ObjectBinaryIdentifierTrial
        ObjectDirectoryBinaryIdentifierTrial ProcedureIdentifierCodeSequenceTrial
        RequestingPhysicianIdentificationSequence RequestingServiceCodeSequence
        """,
    ),
    (
        "remove",
        "Says why the patient came, or in which trial; the profile removes its companions.",
        """
        DischargeDiagnosisCodeSequence PatientClinicalTrialParticipationSequence PertinentDocumentsSequence
        """,
    ),
    (
        "remove",
        "Type 3, and not valid without the Series Description that the profile removes from it.",
        "SourceSeriesInformationSequence",
    ),
    (
        "remove",
        "May hold the original values, encrypted.",
        "EncryptedAttributesSequence EncryptedContent EncryptedContentTransferSyntaxUID",
    ),
    ("remove", "Part of the digital signatures, which a changed object breaks.", "MACParametersSequence Signature"),
    ("remove", "Key into the archive of the institution.", "PriorRecordKey RecordKey"),
)
"""Rows for attributes that the table does not list, that still identify, and that the general rules would pass."""

TECHNICAL_TEXT = _words(
    """
    AfterloaderChannelID AlgorithmSource ApplicableSafetyStandardDescription ApplicationSetupManufacturer
    AttenuationCorrectionMethod AttributeOccurrencePrivateCreator BatteryLevel CodeMeaning CodeValue
    CodingSchemeDesignator CodingSchemeVersion CollimatorGridName ContrastBolusRoute ConvolutionKernel
    DetectorLinesOfResponseUsed DetectorManufacturerModelName DetectorManufacturerName DetectorMode
    DigitalImageFormatAcquired DimensionDescriptionLabel DoseModeName EnergyWindowName EventTimerNames EXIFVersion
    ExtendedCodeValue FilterType FixationDevicePosition FontName FractionPattern GridAbsorbingMaterial
    GridSpacingMaterial HardcopyDeviceManufacturer HardcopyDeviceManufacturerModelName HardcopyDeviceSoftwareVersion
    HistogramExplanation ImageDisplayFormat ImagedNucleus ImageFilter ImageGeometryType InterventionDrugName
    IOLFormulaDetail LongCodeValue Manufacturer ManufacturerModelName ManufacturerRelatedModelGroup MappingResourceName
    MultiCoilConfiguration MultiCoilElementName OECFColumnNames OpticalPathIdentifier OutputPower OverlaySubtype
    PatientSupportAccessoryCode PhosphorType PixelValueMappingExplanation PlateType PulseSequenceName PVCRejection
    Radionuclide Radiopharmaceutical RadiopharmaceuticalRoute ReceiveCoilName ReconstructionMethod
    ReferencedOpticalPathIdentifier ReportingPriority RequestedMediaApplicationProfile RequestedProcedurePriority
    RouteOfAdmissions SecondaryCaptureDeviceManufacturer SecondaryCaptureDeviceManufacturerModelName
    SecondaryCaptureDeviceSoftwareVersions SequenceName ShieldingDevicePosition SourceApplicatorManufacturer
    SourceModelID SpatialFrequencyResponseColumnNames SpectralSensitivity StackID StageName StrainDescription
    StrainNomenclature TemplateType TimeSource TransducerData TransmitCoilName TrayAccessoryCode TriggerSourceOrType
    TypeOfFilters URNCodeValue VideoImageFormatAcquired ViewName WedgeID WindowCenterWidthExplanation
    """
)
"""Text attributes that stay: a device, a table of codes or a standard fills them, not a person."""
