"""Builders of the sample's multi-frame objects: enhanced MR, ultrasound and an ECG waveform.

Single-frame images are in `images`, what is derived from images in `derived`.
"""

from __future__ import annotations

import struct

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    EnhancedMRImageStorage,
    GeneralECGWaveformStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from dicom_anon.sample.common import code, header, item
from dicom_anon.sample.people import Visit, uid
from dicom_anon.sample.pixels import jpeg_frame, phantom, words

_SIDE = 24
_FRAMES = 3


def enhanced_mr(visit: Visit, series: int, number: int) -> Dataset:
    """Return an Enhanced MR Image with shared and per-frame functional groups."""
    dataset = header(visit, series, number, EnhancedMRImageStorage, "MR", "Heart short axis")
    dataset.FrameOfReferenceUID = uid(visit.number, 0, 1)
    dataset.PositionReferenceIndicator = ""
    dataset.SynchronizationFrameOfReferenceUID = uid(visit.number, 0, 2)
    dataset.SynchronizationTrigger = "NO TRIGGER"
    dataset.AcquisitionTimeSynchronized = "N"
    dataset.update(
        item(
            ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
            AcquisitionNumber=1,
            AcquisitionDateTime=f"{visit.moment}.120000",
            AcquisitionDuration=41.5,
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
            ComplexImageComponent="MAGNITUDE",
            AcquisitionContrast="T1",
            ResonantNucleus="1H",
            MagneticFieldStrength="1.5",
            KSpaceFiltering="NONE",
            ContentQualification="RESEARCH",
            ApplicableSafetyStandardAgency="IEC",
            PulseSequenceName="SE_DEMO",
            MRAcquisitionType="2D",
            EchoPulseSequence="SPIN",
            MultipleSpinEcho="NO",
            MultiPlanarExcitation="NO",
            PhaseContrast="NO",
            TimeOfFlightContrast="NO",
            SteadyStatePulseSequence="NONE",
            EchoPlanarPulseSequence="NO",
            SaturationRecovery="NO",
            SpectrallySelectedSuppression="NONE",
            OversamplingPhase="NONE",
            GeometryOfKSpaceTraversal="RECTILINEAR",
            RectilinearPhaseEncodeReordering="LINEAR",
            SegmentedKSpaceTraversal="SINGLE",
            NumberOfKSpaceTrajectories=1,
            PatientPosition="HFS",
            BurnedInAnnotation="NO",
            LossyImageCompression="00",
            PresentationLUTShape="IDENTITY",
            AcquisitionContextSequence=[],
            AcquisitionProtocolDescription=f"Heart, {visit.person.surname}",
            ImageComments=f"Read by {visit.site.reader}",
        )
    )
    dataset.DimensionOrganizationSequence = [item(DimensionOrganizationUID=uid(visit.number, 0, 3))]
    dataset.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=uid(visit.number, 0, 3),
            DimensionIndexPointer=0x00209057,
            FunctionalGroupPointer=0x00209111,
        )
    ]
    dataset.SharedFunctionalGroupsSequence = [_shared_groups()]
    dataset.PerFrameFunctionalGroupsSequence = [_frame_groups(visit, at) for at in range(1, _FRAMES + 1)]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.NumberOfFrames = _FRAMES
    dataset.Rows = dataset.Columns = _SIDE
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    frames = (words(phantom(_SIDE, _SIDE, 5, 900, at)) for at in range(_FRAMES))
    dataset.add_new(0x7FE00010, "OW", b"".join(frames))
    return dataset


def _shared_groups() -> Dataset:
    """Return what holds for all frames (PS3.3 C.8.13.5)."""
    return item(
        PixelMeasuresSequence=[item(PixelSpacing=["1.5", "1.5"], SliceThickness="8")],
        PlaneOrientationSequence=[item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])],
        FrameAnatomySequence=[item(FrameLaterality="U", AnatomicRegionSequence=[code("80891009", "SCT", "Heart")])],
        PixelValueTransformationSequence=[item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")],
        FrameVOILUTSequence=[item(WindowCenter="450", WindowWidth="900")],
        MRImageFrameTypeSequence=[
            item(
                FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
                ComplexImageComponent="MAGNITUDE",
                AcquisitionContrast="T1",
            )
        ],
        MRTimingAndRelatedParametersSequence=[
            item(
                RepetitionTime="600",
                FlipAngle="90",
                EchoTrainLength="1",
                RFEchoTrainLength=1,
                GradientEchoTrainLength=0,
                SpecificAbsorptionRateSequence=[
                    item(SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=0.4)
                ],
                GradientOutputType="PER_NERVE_STIM",
                GradientOutput=12.0,
                OperatingModeSequence=[
                    item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL"),
                    item(OperatingModeType="RF", OperatingMode="IEC_NORMAL"),
                    item(OperatingModeType="GRADIENT", OperatingMode="IEC_NORMAL"),
                ],
            )
        ],
        MRFOVGeometrySequence=[
            item(
                InPlanePhaseEncodingDirection="ROW",
                MRAcquisitionFrequencyEncodingSteps=_SIDE,
                MRAcquisitionPhaseEncodingStepsInPlane=_SIDE,
                PercentSampling="100",
                PercentPhaseFieldOfView="100",
            )
        ],
        MREchoSequence=[item(EffectiveEchoTime=12.0)],
        MRModifierSequence=[
            item(
                InversionRecovery="NO",
                FlowCompensation="NONE",
                Spoiling="NONE",
                T2Preparation="NO",
                SpectrallySelectedExcitation="NONE",
                SpatialPresaturation="NONE",
                PartialFourier="NO",
                ParallelAcquisition="NO",
            )
        ],
        MRImagingModifierSequence=[
            item(
                MagnetizationTransfer="NONE",
                BloodSignalNulling="NO",
                Tagging="NONE",
                TransmitterFrequency=63.87,
                PixelBandwidth="130",
            )
        ],
        MRReceiveCoilSequence=[
            item(
                ReceiveCoilName="CARDIAC",
                ReceiveCoilManufacturerName="",
                ReceiveCoilType="SURFACE",
                QuadratureReceiveCoil="YES",
            )
        ],
        MRTransmitCoilSequence=[
            item(TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY")
        ],
        MRAveragesSequence=[item(NumberOfAverages="1")],
    )


def _frame_groups(visit: Visit, frame: int) -> Dataset:
    """Return what differs from frame to frame, with the patient's name in a comment."""
    moment = f"{visit.moment}.{frame}00000"
    return item(
        FrameContentSequence=[
            item(
                FrameAcquisitionNumber=1,
                FrameReferenceDateTime=moment,
                FrameAcquisitionDateTime=moment,
                FrameAcquisitionDuration=800.0,
                DimensionIndexValues=[frame],
                StackID="1",
                InStackPositionNumber=frame,
                FrameComments=f"{visit.person.surname} breath-hold {frame}",
            )
        ],
        PlanePositionSequence=[item(ImagePositionPatient=["-18", "-18", str(8 * frame)])],
    )


def us_clip(visit: Visit, series: int, number: int) -> Dataset:
    """Return an Ultrasound Multi-frame Image in RGB, as a cine loop."""
    dataset = header(visit, series, number, UltrasoundMultiFrameImageStorage, "US", "4CH loop")
    rows, columns = 24, 32
    frames = bytearray()
    for at in range(_FRAMES):
        for value in phantom(rows, columns, 0, 250, at):
            frames += bytes([value, value // 2, 30])
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "ADULT ECHO", "0001"]
    dataset.AcquisitionDateTime = visit.moment
    dataset.FrameTime = "33.3"
    dataset.FrameIncrementPointer = 0x00181063
    dataset.NumberOfFrames = _FRAMES
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    _us_pixels(dataset, rows, columns)
    dataset.add_new(0x7FE00010, "OB", bytes(frames))
    return dataset


def us_still_jpeg(visit: Visit, series: int, number: int) -> Dataset:
    """Return an Ultrasound Image compressed as baseline JPEG."""
    dataset = header(visit, series, number, UltrasoundImageStorage, "US", "4CH still")
    rows, columns = 24, 32
    frame = jpeg_frame(rows, columns, phantom(rows, columns, 0, 250))
    dataset.ImageType = ["DERIVED", "PRIMARY", "ADULT ECHO", "0001"]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    _us_pixels(dataset, rows, columns)
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionMethod = "ISO_10918_1"
    dataset.LossyImageCompressionRatio = str(round(rows * columns / len(frame), 2))
    dataset.DerivationDescription = f"Compressed for {visit.site.referring.split('^')[0]}"
    dataset.add_new(0x7FE00010, "OB", encapsulate([frame]))
    return dataset


def _us_pixels(dataset: Dataset, rows: int, columns: int) -> None:
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.BodyPartExamined = "HEART"
    dataset.PatientOrientation = None
    dataset.SequenceOfUltrasoundRegions = [
        item(
            RegionSpatialFormat=1,
            RegionDataType=1,
            RegionFlags=0,
            RegionLocationMinX0=0,
            RegionLocationMinY0=0,
            RegionLocationMaxX1=columns - 1,
            RegionLocationMaxY1=rows - 1,
            PhysicalUnitsXDirection=3,
            PhysicalUnitsYDirection=3,
            PhysicalDeltaX=0.05,
            PhysicalDeltaY=0.05,
        )
    ]


def ecg(visit: Visit, series: int, number: int) -> Dataset:
    """Return a General ECG Waveform of three leads and 100 samples."""
    dataset = header(visit, series, number, GeneralECGWaveformStorage, "ECG", "Rest ECG")
    dataset.AcquisitionDateTime = visit.moment
    dataset.AcquisitionContextSequence = []
    dataset.SynchronizationFrameOfReferenceUID = uid(visit.number, 0, 2)
    dataset.SynchronizationTrigger = "NO TRIGGER"
    dataset.AcquisitionTimeSynchronized = "N"
    leads = [("2:1", "Lead I"), ("2:2", "Lead II"), ("2:61", "Lead III")]
    samples = [((at * 37) % 100) * (9 if at % 25 == 0 else 1) for at in range(100) for _ in leads]
    dataset.WaveformSequence = [
        item(
            MultiplexGroupLabel="REST",
            WaveformOriginality="ORIGINAL",
            NumberOfWaveformChannels=len(leads),
            NumberOfWaveformSamples=100,
            SamplingFrequency="500",
            ChannelDefinitionSequence=[
                item(
                    ChannelSourceSequence=[code(value, "MDC", meaning)],
                    ChannelSensitivity="4.88",
                    ChannelSensitivityUnitsSequence=[code("uV", "UCUM", "microvolt")],
                    ChannelSensitivityCorrectionFactor="1",
                    ChannelBaseline="0",
                    ChannelSampleSkew="0",
                    WaveformBitsStored=16,
                )
                for value, meaning in leads
            ],
            WaveformBitsAllocated=16,
            WaveformSampleInterpretation="SS",
        )
    ]
    dataset.WaveformSequence[0].add_new(0x54001010, "OW", struct.pack(f"<{len(samples)}h", *samples))
    annotation = item(
        UnformattedTextValue=f"{visit.person.surname}: sinus rhythm, seen by {visit.site.reader}",
        ReferencedWaveformChannels=[1, 0],
        AnnotationGroupNumber=1,
    )
    dataset.WaveformAnnotationSequence = [annotation]
    return dataset
