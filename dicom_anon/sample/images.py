"""Builders of the sample's single-frame images: CT, MR, PET, CR and Secondary Capture.

Multi-frame objects are in `multiframe`, what is derived from images in `derived`, odd elements in `hidden`.
"""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
)

from dicom_anon.sample.common import code, header, item
from dicom_anon.sample.people import Visit, uid
from dicom_anon.sample.pixels import phantom, words

SIDE = 32


def ct_slice(visit: Visit, series: int, number: int, description: str = "Thorax 5.0 B31f") -> Dataset:
    """Return a CT Image of 32 x 32 pixels."""
    dataset = header(visit, series, number, CTImageStorage, "CT", description)
    _geometry(dataset, visit, number)
    _acquisition(dataset, visit, number)
    _pixels(dataset, phantom(SIDE, SIDE, 24, 1100, number))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.BodyPartExamined = "CHEST"
    dataset.ContrastBolusAgent = ""
    dataset.KVP = "120"
    dataset.XRayTubeCurrent = "210"
    dataset.ExposureTime = "500"
    dataset.ConvolutionKernel = "B31f"
    dataset.ProtocolName = f"Thorax {visit.person.surname}"
    dataset.RescaleIntercept = "-1024"
    dataset.RescaleSlope = "1"
    dataset.RescaleType = "HU"
    dataset.WindowCenter = "40"
    dataset.WindowWidth = "400"
    dataset.PatientPosition = "HFS"
    # Irradiation Event UID and Device UID are UID rows that are easily forgotten.
    dataset.IrradiationEventUID = uid(visit.number, 0, 7, series)
    dataset.DeviceUID = uid(visit.number, 0, 8)
    return dataset


def mr_slice(visit: Visit, series: int, number: int, body_part: str, description: str) -> Dataset:
    """Return an MR Image of 32 x 32 pixels."""
    dataset = header(visit, series, number, MRImageStorage, "MR", description)
    _geometry(dataset, visit, number)
    _acquisition(dataset, visit, number)
    _pixels(dataset, phantom(SIDE, SIDE, 3, 800, number))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.BodyPartExamined = body_part
    if body_part == "KNEE":
        dataset.Laterality = "R"
    dataset.ScanningSequence = "SE"
    dataset.SequenceVariant = "SK"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.SequenceName = "*tse2d1_11"
    dataset.RepetitionTime = "3400"
    dataset.EchoTime = "96"
    dataset.EchoTrainLength = "11"
    dataset.MagneticFieldStrength = "1.5"
    dataset.SpacingBetweenSlices = "5.5"
    dataset.WindowCenter = "400"
    dataset.WindowWidth = "800"
    dataset.PatientPosition = "HFS"
    dataset.ImageComments = f"Repeat, {visit.person.surname} moved"
    return dataset


def pet_slice(visit: Visit, series: int, number: int) -> Dataset:
    """Return a Positron Emission Tomography Image, with dates and times in DT elements of several forms."""
    dataset = header(visit, series, number, PositronEmissionTomographyImageStorage, "PT", "PET WB corrected")
    _geometry(dataset, visit, number)
    _acquisition(dataset, visit, number)
    _pixels(dataset, phantom(SIDE, SIDE, 0, 9000, number))
    dataset.AcquisitionDateTime = f"{visit.moment}.250000+0200"
    dataset.TimezoneOffsetFromUTC = "+0200"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.BodyPartExamined = "WHOLEBODY"
    dataset.SeriesType = ["WHOLE BODY", "IMAGE"]
    dataset.CountsSource = "EMISSION"
    dataset.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    dataset.DecayCorrection = "START"
    dataset.DecayFactor = "1.0213"
    dataset.CollimatorType = "NONE"
    dataset.Units = "BQML"
    dataset.NumberOfSlices = 4
    dataset.ImageIndex = number
    dataset.FrameReferenceTime = str(60000 * number)
    dataset.ActualFrameDuration = "120000"
    dataset.RescaleIntercept = "0"
    dataset.RescaleSlope = "1.7"
    dataset.PatientOrientationCodeSequence = [code("102538003", "SCT", "recumbent")]
    dataset.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [
        code("40199007", "SCT", "supine")
    ]
    dataset.PatientGantryRelationshipCodeSequence = [code("102540008", "SCT", "headfirst")]
    dataset.RadiopharmaceuticalInformationSequence = [
        item(
            Radiopharmaceutical="FDG",
            RadiopharmaceuticalStartTime="073000",
            RadionuclideTotalDose="312000000",
            RadionuclideHalfLife="6586.2",
            RadionuclideCodeSequence=[code("77004003", "SCT", "^18^Fluorine")],
            RadiopharmaceuticalCodeSequence=[code("35321007", "SCT", "Fluorodeoxyglucose F^18^")],
            RadiopharmaceuticalStartDateTime=f"{visit.date}073000+0200",
            RadiopharmaceuticalStopDateTime=f"{visit.date}0730",
            RadiopharmaceuticalAdministrationEventUID=uid(visit.number, 0, 6),
        )
    ]
    return dataset


def cr_image(visit: Visit, series: int, number: int, view: str, order: str = "<") -> Dataset:
    """Return a Computed Radiography Image whose pixel words have the byte order `order`."""
    dataset = header(visit, series, number, ComputedRadiographyImageStorage, "CR", f"{view} view")
    _acquisition(dataset, visit, number)
    _pixels(dataset, phantom(SIDE, SIDE, 100, 4000, number), order)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.BodyPartExamined = "HAND"
    dataset.ViewPosition = view
    dataset.ImageLaterality = "L"
    dataset.PatientOrientation = ["A", "F"]
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.KVP = "55"
    dataset.PlateID = "PLATE-11"
    dataset.CassetteID = "CASSETTE-4"
    return dataset


def secondary_capture(visit: Visit, series: int, number: int) -> Dataset:
    """Return a Secondary Capture that says there is text burned in."""
    dataset = header(visit, series, number, SecondaryCaptureImageStorage, "OT", "Dose report screen")
    _pixels(dataset, phantom(SIDE, SIDE, 0, 255))
    dataset.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    dataset.BodyPartExamined = "CHEST"
    dataset.ConversionType = "WSD"
    dataset.SecondaryCaptureDeviceID = visit.site.serial
    dataset.SecondaryCaptureDeviceManufacturer = "Demo Imaging Works"
    dataset.DateOfSecondaryCapture = visit.date
    dataset.TimeOfSecondaryCapture = visit.time
    dataset.BurnedInAnnotation = "YES"
    dataset.PatientOrientation = None
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.add_new(0x7FE00010, "OB", bytes(phantom(SIDE, SIDE, 0, 255)))
    return dataset


def _geometry(dataset: Dataset, visit: Visit, number: int) -> None:
    """Add the Frame of Reference and Image Plane modules, slices 5 mm apart."""
    dataset.FrameOfReferenceUID = uid(visit.number, 0, 1)
    dataset.PositionReferenceIndicator = ""
    dataset.PixelSpacing = ["2.5", "2.5"]
    dataset.SliceThickness = "5"
    dataset.SliceLocation = str(5 * number)
    dataset.ImagePositionPatient = ["-40", "-40", str(5 * number)]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]


def _acquisition(dataset: Dataset, visit: Visit, number: int) -> None:
    dataset.AcquisitionNumber = number
    dataset.AcquisitionDate = visit.date
    dataset.AcquisitionTime = visit.time


def _pixels(dataset: Dataset, values: list[int], order: str = "<") -> None:
    """Add the Image Pixel module with 12 of 16 bits."""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = SIDE
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16 if max(values) > 4095 else 12
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    dataset.add_new(0x7FE00010, "OW", words(values, order))
