"""Builders of what is drawn on images: segmentation, presentation state, RT structure set and plan.

The images themselves are in `images` and `multiframe`, structured reports in `reports`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import (
    GrayscaleSoftcopyPresentationStateStorage,
    RTPlanStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from dicom_anon.sample.common import code, header, item, reference
from dicom_anon.sample.people import Visit, uid
from dicom_anon.sample.pixels import bitmap, phantom


def segmentation(visit: Visit, series: int, images: Sequence[Dataset]) -> Dataset:
    """Return a binary Segmentation with one frame for each of `images`."""
    dataset = header(visit, series, 1, SegmentationStorage, "SEG", "Lesion segmentation")
    first = images[0]
    rows, columns = first.Rows, first.Columns
    dataset.update(
        item(
            ImageType=["DERIVED", "PRIMARY"],
            ContentLabel="LESION",
            ContentDescription=f"Lesion of {visit.person.surname}",
            ContentCreatorName=visit.site.reader,
            SegmentationType="BINARY",
            FrameOfReferenceUID=first.FrameOfReferenceUID,
            PositionReferenceIndicator="",
            LossyImageCompression="00",
            BurnedInAnnotation="NO",
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME2",
            NumberOfFrames=len(images),
            Rows=rows,
            Columns=columns,
            BitsAllocated=1,
            BitsStored=1,
            HighBit=0,
            PixelRepresentation=0,
            ReferencedSeriesSequence=[
                item(
                    SeriesInstanceUID=first.SeriesInstanceUID,
                    ReferencedInstanceSequence=[reference(image) for image in images],
                )
            ],
            DimensionOrganizationSequence=[item(DimensionOrganizationUID=uid(visit.number, 0, 4))],
            DimensionIndexSequence=[
                item(
                    DimensionOrganizationUID=uid(visit.number, 0, 4),
                    DimensionIndexPointer=0x0062000B,
                    FunctionalGroupPointer=0x0062000A,
                ),
                item(
                    DimensionOrganizationUID=uid(visit.number, 0, 4),
                    DimensionIndexPointer=0x00200032,
                    FunctionalGroupPointer=0x00209113,
                ),
            ],
            SegmentSequence=[
                item(
                    SegmentNumber=1,
                    SegmentLabel="Lesion",
                    SegmentDescription=f"Drawn by {visit.site.operator}",
                    SegmentAlgorithmType="MANUAL",
                    SegmentedPropertyCategoryCodeSequence=[
                        code("49755003", "SCT", "Morphologically abnormal structure")
                    ],
                    SegmentedPropertyTypeCodeSequence=[code("52988006", "SCT", "Lesion")],
                    TrackingID="Lesion 1",
                    TrackingUID=uid(visit.number, 0, 5),
                )
            ],
            SharedFunctionalGroupsSequence=[
                item(
                    PixelMeasuresSequence=[item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)],
                    PlaneOrientationSequence=[item(ImageOrientationPatient=first.ImageOrientationPatient)],
                    SegmentIdentificationSequence=[item(ReferencedSegmentNumber=1)],
                )
            ],
            PerFrameFunctionalGroupsSequence=[
                item(
                    FrameContentSequence=[item(DimensionIndexValues=[1, at])],
                    PlanePositionSequence=[item(ImagePositionPatient=image.ImagePositionPatient)],
                    DerivationImageSequence=[
                        item(
                            SourceImageSequence=[
                                reference(
                                    image,
                                    SpatialLocationsPreserved="YES",
                                    PurposeOfReferenceCodeSequence=[
                                        code("121322", "DCM", "Source image for image processing operation")
                                    ],
                                )
                            ],
                            DerivationCodeSequence=[code("113076", "DCM", "Segmentation")],
                        )
                    ],
                )
                for at, image in enumerate(images, 1)
            ],
        )
    )
    bits = [bit for at in range(len(images)) for bit in phantom(rows, columns, 0, 1, at)]
    dataset.add_new(0x7FE00010, "OB", bitmap(rows * len(images), columns, bits))
    return dataset


def presentation_state(visit: Visit, series: int, images: Sequence[Dataset]) -> Dataset:
    """Return a Grayscale Softcopy Presentation State that writes the patient's name over `images`."""
    dataset = header(visit, series, 1, GrayscaleSoftcopyPresentationStateStorage, "PR", "Marks")
    del dataset.ContentDate, dataset.ContentTime
    first = images[0]
    dataset.update(
        item(
            BodyPartExamined="CHEST",
            PresentationCreationDate=visit.date,
            PresentationCreationTime=visit.time,
            ContentLabel="MARKS",
            ContentDescription=f"For {visit.site.referring.split('^')[0]}",
            ContentCreatorName=visit.site.reader,
            ReferencedSeriesSequence=[
                item(
                    SeriesInstanceUID=first.SeriesInstanceUID,
                    ReferencedImageSequence=[reference(image) for image in images],
                )
            ],
            GraphicLayerSequence=[item(GraphicLayer="TEXT", GraphicLayerOrder=1)],
            GraphicAnnotationSequence=[
                item(
                    GraphicLayer="TEXT",
                    ReferencedImageSequence=[reference(first)],
                    TextObjectSequence=[
                        item(
                            BoundingBoxAnnotationUnits="PIXEL",
                            BoundingBoxTopLeftHandCorner=[2.0, 2.0],
                            BoundingBoxBottomRightHandCorner=[30.0, 6.0],
                            BoundingBoxTextHorizontalJustification="LEFT",
                            UnformattedTextValue=f"{visit.person.surname} {visit.person.pid}",
                        )
                    ],
                )
            ],
            DisplayedAreaSelectionSequence=[
                item(
                    ReferencedImageSequence=[reference(image) for image in images],
                    DisplayedAreaTopLeftHandCorner=[1, 1],
                    DisplayedAreaBottomRightHandCorner=[first.Columns, first.Rows],
                    PresentationSizeMode="SCALE TO FIT",
                    PresentationPixelAspectRatio=[1, 1],
                )
            ],
            SoftcopyVOILUTSequence=[item(WindowCenter="40", WindowWidth="400")],
            PresentationLUTShape="IDENTITY",
        )
    )
    return dataset


def rt_structure_set(visit: Visit, series: int, images: Sequence[Dataset]) -> Dataset:
    """Return an RT Structure Set with one contour on the first of `images`."""
    dataset = header(visit, series, 1, RTStructureSetStorage, "RTSTRUCT", "Contours")
    first = images[0]
    z = str(first.ImagePositionPatient[2])
    corners = [("-20", "-20"), ("20", "-20"), ("20", "20"), ("-20", "20")]
    dataset.update(
        item(
            FrameOfReferenceUID=first.FrameOfReferenceUID,
            PositionReferenceIndicator="",
            StructureSetLabel="CONTOURS",
            StructureSetName=f"RS {visit.person.surname}",
            StructureSetDate=visit.date,
            StructureSetTime=visit.time,
            ReferencedFrameOfReferenceSequence=[
                item(
                    FrameOfReferenceUID=first.FrameOfReferenceUID,
                    RTReferencedStudySequence=[
                        item(
                            # Detached Study Management: retired, and still what every RT system writes.
                            ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
                            ReferencedSOPInstanceUID=first.StudyInstanceUID,
                            RTReferencedSeriesSequence=[
                                item(
                                    SeriesInstanceUID=first.SeriesInstanceUID,
                                    ContourImageSequence=[reference(image) for image in images],
                                )
                            ],
                        )
                    ],
                )
            ],
            StructureSetROISequence=[
                item(
                    ROINumber=1,
                    ReferencedFrameOfReferenceUID=first.FrameOfReferenceUID,
                    ROIName=f"PTV {visit.person.surname}",
                    ROIGenerationAlgorithm="MANUAL",
                )
            ],
            ROIContourSequence=[
                item(
                    ROIDisplayColor=[255, 0, 0],
                    ReferencedROINumber=1,
                    ContourSequence=[
                        item(
                            ContourImageSequence=[reference(first)],
                            ContourGeometricType="CLOSED_PLANAR",
                            NumberOfContourPoints=len(corners),
                            ContourData=[number for corner in corners for number in (*corner, z)],
                        )
                    ],
                )
            ],
            RTROIObservationsSequence=[
                item(
                    ObservationNumber=1,
                    ReferencedROINumber=1,
                    RTROIInterpretedType="PTV",
                    ROIInterpreter=visit.site.reader,
                )
            ],
            ApprovalStatus="APPROVED",
            ReviewDate=visit.date,
            ReviewTime=visit.time,
            ReviewerName=visit.site.reader,
        )
    )
    del dataset.ContentDate, dataset.ContentTime
    return dataset


def rt_plan(visit: Visit, series: int, structures: Dataset) -> Dataset:
    """Return an RT Plan over the structure set `structures`."""
    dataset = header(visit, series, 1, RTPlanStorage, "RTPLAN", "Plan")
    del dataset.ContentDate, dataset.ContentTime
    frame = structures.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID
    dataset.update(
        item(
            FrameOfReferenceUID=frame,
            PositionReferenceIndicator="",
            RTPlanLabel="PLAN 1",
            RTPlanName=f"{visit.person.surname} boost",
            RTPlanDate=visit.date,
            RTPlanTime=visit.time,
            RTPlanGeometry="PATIENT",
            PlanIntent="CURATIVE",
            ReferencedStructureSetSequence=[reference(structures)],
            DoseReferenceSequence=[
                item(
                    DoseReferenceNumber=1,
                    DoseReferenceUID=uid(visit.number, 0, 11),
                    DoseReferenceStructureType="SITE",
                    DoseReferenceDescription=f"Boost {visit.person.surname}",
                    DoseReferenceType="TARGET",
                    TargetPrescriptionDose="50",
                )
            ],
            FractionGroupSequence=[
                item(
                    FractionGroupNumber=1,
                    NumberOfFractionsPlanned=25,
                    NumberOfBeams=0,
                    NumberOfBrachyApplicationSetups=0,
                )
            ],
            PatientSetupSequence=[item(PatientSetupNumber=1, PatientPosition="HFS")],
            ApprovalStatus="UNAPPROVED",
        )
    )
    return dataset
