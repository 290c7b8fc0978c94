"""The sample tree as a table: which object stands where, in which transfer syntax.

Objects are made by the builders; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from dicom_anon.sample import derived, hidden, images, multiframe, people, reports
from dicom_anon.sample.common import bare, part10
from dicom_anon.sample.dicomdir import dicomdir
from dicom_anon.sample.people import Visit
from dicom_anon.sample.pixels import jpeg_frame, phantom, rle_frame

QUARKSTEIN = "Quarkstein_Wilhelmina"
KNEE = "BZ-0042-8815"
HEART = "cardio"
EMERGENCY = "emergency"
CD = "CD"

EMPTY_FOLDERS = (f"{QUARKSTEIN}/incoming", "archive/2016/empty")


@dataclass(frozen=True)
class Entry:
    """One file with a DICOM instance: where it stands and how it is encoded."""

    path: str
    visit: Visit
    dataset: Dataset
    syntax: UID | None = ExplicitVRLittleEndian
    """None for a bare Data Set in Implicit VR, without preamble and File Meta Information."""
    preamble: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        if self.syntax is None:
            return bare(self.dataset)
        return part10(self.dataset, self.syntax, self.visit.site.aet, self.preamble)


def instances() -> list[Entry]:
    """Return all DICOM instances of the tree, patient by patient."""
    return [*_quarkstein(), *_brueggenschoen(), *_yakushimaru(), *_zhavoronkov(), *_vossbrinck()]


def other_files(entries: list[Entry]) -> dict[str, bytes]:
    """Return what is no instance: the DICOMDIR, a note and a photograph, by path."""
    on_medium = [entry for entry in entries if entry.path.startswith(f"{CD}/")]
    described = [(entry.path.removeprefix(f"{CD}/"), entry.dataset) for entry in on_medium]
    person = people.CHEST_CT.person
    note = f"Export for {person.surname}, {person.pid}. Please call {person.phone}.\n"
    return {
        f"{CD}/DICOMDIR": dicomdir(described, people.HAND_XRAYS.site.aet),
        f"{CD}/README.txt": b"Hand images, for viewing only. Start VIEWER.EXE.\r\n",
        "README.txt": note.encode(),
        f"{QUARKSTEIN}/request_form.jpg": jpeg_frame(32, 32, phantom(32, 32, 20, 230)),
    }


def _quarkstein() -> Iterator[Entry]:
    """CT with all that refers to it, and a PET/CT: plain ASCII, deep folders named with the patient."""
    visit = people.CHEST_CT
    chest = f"{QUARKSTEIN}/CT_20190314_ACZ19-550021"
    axial = [images.ct_slice(visit, 2, number) for number in range(1, 5)]
    hidden.add_overlays(axial[0], visit)
    for at, dataset in enumerate(axial, 1):
        hidden.add_orders(hidden.add_history(dataset, visit), visit)
        yield Entry(f"{chest}/series_2/IM_{at:04d}", visit, dataset)
    lung = [images.ct_slice(visit, 3, number, "Lung 1.0 B70f") for number in range(1, 4)]
    for at, dataset in enumerate(lung, 1):
        yield Entry(f"{chest}/series_3/slice_{at}.ima", visit, dataset, ImplicitVRLittleEndian)
    yield Entry(f"{chest}/series_4/IM_0001.dcm", visit, derived.segmentation(visit, 4, axial))
    yield Entry(f"{chest}/series_5/PR_0001", visit, derived.presentation_state(visit, 5, axial))
    structures = derived.rt_structure_set(visit, 6, axial)
    yield Entry(f"{chest}/rt/RS.{structures.SOPInstanceUID}.dcm", visit, structures)
    plan = derived.rt_plan(visit, 7, structures)
    yield Entry(f"{chest}/rt/RP.{plan.SOPInstanceUID}.dcm", visit, plan, ImplicitVRLittleEndian)
    yield Entry(f"{chest}/report/SR_0001.dcm", visit, reports.report(visit, 8, axial))
    yield Entry(
        f"{chest}/report/KO_0001",
        visit,
        reports.key_objects(visit, 9, axial[:2]),
        DeflatedExplicitVRLittleEndian,
    )
    yield Entry(f"{chest}/screen/IM_0001", visit, images.secondary_capture(visit, 10, 1))

    visit = people.WHOLE_BODY_PET
    whole_body = f"{QUARKSTEIN}/PET"
    for at in range(1, 5):
        dataset = hidden.add_orders(images.pet_slice(visit, 1, at), visit)
        yield Entry(f"{whole_body}/pet/IM_{at:04d}.dcm", visit, dataset)
    for at in range(1, 3):
        dataset = images.ct_slice(visit, 2, at, "AC CT 3.0 B30f")
        yield Entry(f"{whole_body}/ct/IM_{at:04d}.dcm", visit, dataset, DeflatedExplicitVRLittleEndian)


def _brueggenschoen() -> Iterator[Entry]:
    """MR of two makers with private blocks, and an export medium: umlauts in Latin-1."""
    visit = people.KNEE_MR
    for at in range(1, 5):
        dataset = hidden.add_siemens(images.mr_slice(visit, 1, at, "KNEE", "pd_tse_fs_tra"), visit)
        yield Entry(f"{KNEE}/knee/pd_tse/IM_{at:04d}", visit, hidden.add_history(dataset, visit))
    for at in range(1, 4):
        dataset = images.mr_slice(visit, 2, at, "KNEE", "t1_tse_sag")
        frame = rle_frame(phantom(images.SIDE, images.SIDE, 3, 800, at), images.SIDE)
        dataset.add_new(0x7FE00010, "OB", encapsulate([frame]))
        yield Entry(f"{KNEE}/knee/t1_tse/IM_{at:04d}", visit, dataset, RLELossless)
    visit = people.BRAIN_MR
    for at in range(1, 4):
        dataset = hidden.add_gems(images.mr_slice(visit, 3, at, "BRAIN", "Ax T2 FLAIR"), visit)
        yield Entry(f"{KNEE}/brain/e{at}.MRDC.{at}", visit, dataset)
    unknown = hidden.add_unknown_vr(images.mr_slice(visit, 4, 1, "BRAIN", "Sag T1"), visit)
    yield Entry(f"{KNEE}/brain/from_archive/IM_0001", visit, unknown)
    visit = people.HAND_XRAYS
    for at, view in enumerate(("PA", "LL", "RLO"), 1):
        yield Entry(f"{CD}/IMAGES/IM{at:06d}", visit, images.cr_image(visit, 1, at, view))


def _yakushimaru() -> Iterator[Entry]:
    """Ultrasound and enhanced MR: Japanese with code extensions (ISO 2022)."""
    visit = people.HEART_US
    yield Entry(f"{HEART}/2019/us/loop.dcm", visit, multiframe.us_clip(visit, 1, 1))
    still = multiframe.us_still_jpeg(visit, 2, 1)
    yield Entry(f"{HEART}/2019/us/still.dcm", visit, still, JPEGBaseline8Bit)
    visit = people.HEART_MR
    enhanced = hidden.add_philips(multiframe.enhanced_mr(visit, 1, 1), visit)
    yield Entry(f"{HEART}/2019/mr/IM_0001", visit, enhanced)
    for at in range(1, 4):
        scout = hidden.add_history(images.mr_slice(visit, 2, at, "HEART", "Survey"), visit)
        yield Entry(f"{HEART}/2019/mr/survey/IM_{at:04d}", visit, scout, ImplicitVRLittleEndian)


def _zhavoronkov() -> Iterator[Entry]:
    """ECG, hand images and their report: Cyrillic in UTF-8."""
    visit = people.HEART_ECG
    yield Entry(f"{HEART}/2021/ecg/rest.dcm", visit, multiframe.ecg(visit, 1, 1))
    views = [images.cr_image(visit, 2, at, view) for at, view in enumerate(("PA", "LL"), 1)]
    for at, dataset in enumerate(views, 1):
        hidden.add_orders(hidden.add_history(dataset, visit), visit)
        yield Entry(f"{HEART}/2021/cr/IM_{at:04d}.DCM", visit, dataset)
    yield Entry(f"{HEART}/2021/cr/report", visit, reports.report(visit, 3, views))


def _vossbrinck() -> Iterator[Entry]:
    """CT and X-ray of a patient without Patient ID, in the old and odd encodings."""
    visit = people.TRAUMA_CT
    slices = [images.ct_slice(visit, 1, number, "Trauma 5.0") for number in range(1, 4)]
    yield Entry(f"{EMERGENCY}/IM_0001", visit, hidden.add_history(slices[0], visit), None)
    named = f"Acquired for {visit.person.name}".encode()
    yield Entry(f"{EMERGENCY}/IM_0002", visit, slices[1], preamble=named)
    yield Entry(f"{EMERGENCY}/IM_0003", visit, hidden.add_trailing_padding(slices[2], visit))
    for at, view in enumerate(("PA", "LL"), 1):
        dataset = images.cr_image(visit, 2, at, view, order=">")
        yield Entry(f"{EMERGENCY}/vossbrinck_hand_{at}.dcm", visit, dataset, ExplicitVRBigEndian)
    outlined = hidden.add_curve(images.cr_image(visit, 3, 1, "LL"), visit)
    yield Entry(f"{EMERGENCY}/IM_0004", visit, outlined)
