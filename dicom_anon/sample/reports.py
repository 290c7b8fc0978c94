"""Builders of the sample's structured reports: a Comprehensive SR and a Key Object Selection.

Images and what is drawn on them are elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ComprehensiveSRStorage, KeyObjectSelectionDocumentStorage

from dicom_anon.sample.common import code, header, item, reference
from dicom_anon.sample.people import Visit, uid


def report(visit: Visit, series: int, images: Sequence[Dataset]) -> Dataset:
    """Return a Comprehensive SR that names patient and staff, and measures on the first of `images`."""
    person, site = visit.person, visit.site
    dataset = _document(visit, series, ComprehensiveSRStorage, "SR", images)
    dataset.SeriesDescription = f"Report {person.surname}"
    dataset.PreliminaryFlag = "FINAL"
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "VERIFIED"
    dataset.VerifyingObserverSequence = [
        item(
            VerifyingObserverName=site.reader,
            VerifyingObserverIdentificationCodeSequence=[],
            VerifyingOrganization=site.institution,
            VerificationDateTime=visit.moment,
        )
    ]
    dataset.PerformedProcedureCodeSequence = []
    dataset.ReferencedRequestSequence = [
        item(
            StudyInstanceUID=uid(visit.number),
            ReferencedStudySequence=[],
            AccessionNumber=visit.accession,
            PlacerOrderNumberImagingServiceRequest=visit.order,
            FillerOrderNumberImagingServiceRequest=visit.accession,
            RequestedProcedureID=visit.order,
            RequestedProcedureDescription=f"{visit.description} {person.surname}",
            RequestedProcedureCodeSequence=[],
        )
    ]
    measured = _content(
        "INFERRED FROM",
        "SCOORD",
        code("121055", "DCM", "Path"),
        GraphicType="POLYLINE",
        GraphicData=[8.0, 8.0, 20.0, 8.0],
        ContentSequence=[_image("SELECTED FROM", images[0])],
    )
    dataset.ConceptNameCodeSequence = [code("126000", "DCM", "Imaging Measurement Report")]
    dataset.ContentSequence = [
        _content(
            "HAS OBS CONTEXT",
            "CODE",
            code("121005", "DCM", "Observer Type"),
            ConceptCodeSequence=[code("121006", "DCM", "Person")],
        ),
        _name("121008", "Person Observer Name", site.reader),
        _text("HAS OBS CONTEXT", "121009", "Person Observer's Organization Name", site.institution),
        _uidref("121018", "Procedure Study Instance UID", uid(visit.number)),
        _uidref("121028", "Subject UID", uid(visit.number, 0, 12)),
        _name("121029", "Subject Name", person.name),
        _text("HAS OBS CONTEXT", "121030", "Subject ID", person.pid),
        _content("HAS OBS CONTEXT", "DATE", code("121031", "DCM", "Subject Birth Date"), Date=person.birth),
        _content(
            "CONTAINS",
            "CONTAINER",
            code("121070", "DCM", "Findings"),
            ContinuityOfContent="SEPARATE",
            ContentSequence=[
                _text(
                    "CONTAINS",
                    "121071",
                    "Finding",
                    f"Patient {person.surname}, born {person.birth}, was seen at {site.institution}.\r\n"
                    f"Call {person.phone} or write to {person.address}. No change since {person.old_id}.",
                ),
                _content(
                    "CONTAINS",
                    "NUM",
                    code("410668003", "SCT", "Length"),
                    MeasuredValueSequence=[
                        item(
                            NumericValue="30",
                            MeasurementUnitsCodeSequence=[code("mm", "UCUM", "millimeter")],
                        )
                    ],
                    ContentSequence=[measured],
                ),
                *[_image("CONTAINS", image) for image in images],
            ],
        ),
    ]
    return dataset


def key_objects(visit: Visit, series: int, images: Sequence[Dataset]) -> Dataset:
    """Return a Key Object Selection of `images` with a remark about the patient."""
    dataset = _document(visit, series, KeyObjectSelectionDocumentStorage, "KO", images)
    dataset.ConceptNameCodeSequence = [code("113000", "DCM", "Of Interest")]
    dataset.ContentSequence = [
        _text("CONTAINS", "113012", "Key Object Description", f"{visit.person.name}, for {visit.site.referring}"),
        *[_image("CONTAINS", image, named=False) for image in images],
    ]
    dataset.ContentTemplateSequence = [item(MappingResource="DCMR", TemplateIdentifier="2010")]
    return dataset


def _document(visit: Visit, series: int, sop_class: UID, modality: str, images: Sequence[Dataset]) -> Dataset:
    """Return the SR Document Series, General and Content modules around an empty tree."""
    dataset = header(visit, series, 1, sop_class, modality, "Document")
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.CurrentRequestedProcedureEvidenceSequence = [
        item(
            StudyInstanceUID=images[0].StudyInstanceUID,
            ReferencedSeriesSequence=[
                item(
                    SeriesInstanceUID=images[0].SeriesInstanceUID,
                    ReferencedSOPSequence=[reference(image) for image in images],
                )
            ],
        )
    ]
    dataset.ValueType = "CONTAINER"
    dataset.ContinuityOfContent = "SEPARATE"
    return dataset


def _content(relationship: str, value_type: str, concept: Dataset | None, **value: Any) -> Dataset:
    """Return a Content Item (PS3.3 C.17.3)."""
    content = item(RelationshipType=relationship, ValueType=value_type, **value)
    if concept is not None:
        content.ConceptNameCodeSequence = [concept]
    return content


def _text(relationship: str, value: str, meaning: str, text: str) -> Dataset:
    return _content(relationship, "TEXT", code(value, "DCM", meaning), TextValue=text)


def _name(value: str, meaning: str, name: str) -> Dataset:
    return _content("HAS OBS CONTEXT", "PNAME", code(value, "DCM", meaning), PersonName=name)


def _uidref(value: str, meaning: str, identifier: str) -> Dataset:
    return _content("HAS OBS CONTEXT", "UIDREF", code(value, "DCM", meaning), UID=identifier)


def _image(relationship: str, image: Dataset, *, named: bool = True) -> Dataset:
    concept = code("121080", "DCM", "Best illustration of finding") if named else None
    return _content(relationship, "IMAGE", concept, ReferencedSOPSequence=[reference(image)])
