"""The invented people, sites and visits of the sample tree, and the list of what identifies them.

Only texts live here. No Data Set is built here, and nothing in it belongs to a real person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.uid import PYDICOM_ROOT_UID

Charset = str | tuple[str, ...]
"""Specific Character Set (0008,0005): one defined term, or several with code extensions."""

# A branch of pydicom's own root. The arc for examples, 2.999, would do if validators took it.
UID_ROOT = f"{PYDICOM_ROOT_UID}7719"


@dataclass(frozen=True)
class Person:
    """A patient: every text field but `sex`, `age` and `charset` identifies this person."""

    name: str
    pid: str
    birth: str
    sex: str
    age: str
    address: str
    phone: str
    old_id: str
    old_name: str
    mother: str
    charset: Charset = ""
    issuer: str = "QZ-MPI-ISSUER"

    @property
    def surname(self) -> str:
        """Family name in the alphabetic (first) component group."""
        return self.name.split("=")[0].split("^")[0]

    @property
    def spoken(self) -> str:
        """Given and family name in the patient's own script, as a person would type them."""
        family, given = self.name.split("=")[-1].split("^")[:2]
        return f"{given} {family}"

    @property
    def birth_text(self) -> str:
        """Birth date as it is written in free text, DD.MM.YYYY."""
        return f"{self.birth[6:]}.{self.birth[4:6]}.{self.birth[:4]}"

    def identifiers(self) -> Iterator[str]:
        """Yield all texts of which none may be left in a de-identified file."""
        for name in (self.name, self.old_name, self.mother):
            yield from name_parts(name)
        yield from (self.pid, self.birth, self.address, self.phone, self.old_id, self.issuer)
        yield from (self.surname.upper(), self.spoken, self.birth_text)


@dataclass(frozen=True)
class Site:
    """A hospital with its staff and one machine's own numbers."""

    institution: str
    address: str
    phone: str
    station: str
    serial: str
    aet: str
    referring: str
    performing: str
    operator: str
    reader: str

    def identifiers(self) -> Iterator[str]:
        """Yield all texts of which none may be left in a de-identified file."""
        for name in (self.referring, self.performing, self.operator, self.reader):
            yield from name_parts(name)
        yield from (self.institution, self.address, self.phone, self.station, self.serial, self.aet)


@dataclass(frozen=True)
class Visit:
    """One imaging study of a patient at a site; `number` is its branch below the UID root."""

    number: int
    person: Person
    site: Site
    moment: str
    accession: str
    study_id: str
    order: str
    description: str

    @property
    def date(self) -> str:
        """Study Date, YYYYMMDD."""
        return self.moment[:8]

    @property
    def time(self) -> str:
        """Study Time, hhmmss."""
        return self.moment[8:]

    def identifiers(self) -> Iterator[str]:
        """Yield the numbers of this visit; person and site have their own."""
        yield from (self.accession, self.study_id, self.order)


def name_parts(name: str) -> Iterator[str]:
    """Yield what identifies in a PN value: each component group as it stands, and its longer names.

    Prefixes and suffixes such as ``Prof.`` identify nobody, and a Latin name of fewer than four letters may
    occur by chance: both are left out.

    Parameters
    ----------
    name : str
        A PN value as in PS3.5 6.2.1, such as ``Family^Given=...=...``.
    """
    for group in filter(None, name.split("=")):
        yield group
        for part in group.split("^")[:3]:
            if len(part) >= (4 if part.isascii() else 3):
                yield part


def uid(*numbers: int) -> str:
    """Return the sample's UID for a study, series, instance or other object, as numbered.

    Parameters
    ----------
    *numbers : int
        The arcs below the sample's root, the visit's number first.
    """
    return ".".join([UID_ROOT, *map(str, numbers)])


_QUARKSTEIN = Person(
    name="Quarkstein^Wilhelmina^Odalrike^Dr.",
    pid="QX-7719-03",
    birth="19530817",
    sex="F",
    age="065Y",
    address="Torfmoorweg 118b, 99877 Quellmoor",
    phone="+49 5555 771903",
    old_id="QXOLD-44718",
    old_name="Quarkstejn^Vilhelmina",
    mother="Dampfnudler^Euphemia",
)
_BRUEGGENSCHOEN = Person(
    name="Brüggenschön^Käthe^Friedlinde",
    pid="BZ-0042-8815",
    birth="19880229",
    sex="F",
    age="030Y",
    address="Gänsemörderstraße 7, 99871 Süßenmühl",
    phone="+49 5555 428815",
    old_id="BZOLD-91357",
    old_name="Hägelöhner^Käthe^Friedlinde",
    mother="Hägelöhner^Roswitha",
    charset="ISO_IR 100",
)
_YAKUSHIMARU = Person(
    name="Yakushimaru^Kyotaro=薬師丸^鏡太郎",
    pid="YK7-3310-556",
    birth="19610504",
    sex="M",
    age="058Y",
    address="鏡沼町三丁目十四番地",
    phone="+81 555 331 0556",
    old_id="YKOLD-20619",
    old_name="Yakushimaru^Kyoutarou==やくしまる^きょうたろう",
    mother="Tsukishiroda^Umekako=月白田^梅香子",
    charset=("", "ISO 2022 IR 87"),
)
_ZHAVORONKOV = Person(
    name="Жаворонков^Велимир^Остапович",
    pid="ЖВ-6604/19",
    birth="19791123",
    sex="M",
    age="041Y",
    address="Кривоколенный тупик, д. 77, кв. 913",
    phone="+7 555 660-41-19",
    old_id="ZHOLD-83502",
    old_name="Жаворонкин^Велимир^Остапович",
    mother="Забродинская^Пульхерия",
    charset="ISO_IR 192",
)
# A trauma patient who came without papers: no Patient ID (a Type 2 attribute may be empty), only a name.
_VOSSBRINCK = Person(
    name="Vossbrinck^Thaddeus",
    pid="",
    birth="19261127",
    sex="M",
    age="093Y",
    address="Hinterm Deichgraf 3, 99876 Wattsiel",
    phone="+49 5555 600813",
    old_id="UNBEK-2020-0117",
    old_name="Namenlosius^Elfhundertsieben",
    mother="",
)

_ZWIEBRECHT = Site(
    institution="Klinikum Zwiebrecht",
    address="Zwiebrechtgasse 14, 99877 Quellmoor",
    phone="+49 5555 1002-77",
    station="ZWBCT-KELLER2",
    serial="SN-48213-QZ",
    aet="ZWBSTORESCU",
    referring="Obermarxer^Leopoldine^^Prof.",
    performing="Nachtweyher^Ingomar",
    operator="Pfefferkuch^Swantje",
    reader="Zumthurner^Balthasar",
)
_KAGAMI = Site(
    institution="鏡ヶ丘総合病院",
    address="鏡ヶ丘市北通り八丁目",
    phone="+81 555 909 1177",
    station="KGMUS-03B",
    serial="SN-70935-KG",
    aet="KGMGATEWAY",
    referring="Hoshizukiya^Ranmaru=星月夜^蘭丸助",
    performing="Kurogaraseki^Tamotsu",
    operator="Mizunashida^Chihayako",
    reader="Aoyagibashi^Seijuro=青柳橋^清十郎",
)
_ZMEENOSETS = Site(
    institution="Клиника Змееносец",
    address="Змеиногорский проезд, строение 5",
    phone="+7 555 303-88-10",
    station="ZMNECG-17",
    serial="SN-15564-ZM",
    aet="ZMNROUTER",
    referring="Чернобаев^Ипполит",
    performing="Подколесина^Агафья",
    operator="Перепёлкина^Фёкла",
    reader="Синебрюхов^Назарий",
)

CHEST_CT = Visit(1, _QUARKSTEIN, _ZWIEBRECHT, "20190314101530", "ACZ19-550021", "QST-55021", "ORDZ-881230", "CT Thorax")
WHOLE_BODY_PET = Visit(
    2, _QUARKSTEIN, _ZWIEBRECHT, "20200722083015", "ACZ20-550377", "QST-55377", "ORDZ-881977", "PET/CT"
)
KNEE_MR = Visit(
    3, _BRUEGGENSCHOEN, _ZWIEBRECHT, "20181105142200", "ACZ18-610944", "QST-61944", "ORDZ-773104", "MRT Knie"
)
BRAIN_MR = Visit(
    4, _BRUEGGENSCHOEN, _ZWIEBRECHT, "20210519073305", "ACZ21-611388", "QST-61388", "ORDZ-773985", "Schädel"
)
HAND_XRAYS = Visit(
    5, _BRUEGGENSCHOEN, _ZWIEBRECHT, "20170627161045", "ACZ17-610212", "QST-61212", "ORDZ-772216", "Röntgen"
)
HEART_US = Visit(6, _YAKUSHIMARU, _KAGAMI, "20190916093845", "KGM-1909-3371", "KST-33710", "ORDK-120934", "心エコー")
HEART_MR = Visit(7, _YAKUSHIMARU, _KAGAMI, "20191008110512", "KGM-1910-3402", "KST-34025", "ORDK-121377", "心臓MRI")
HEART_ECG = Visit(
    8, _ZHAVORONKOV, _ZMEENOSETS, "20210211120130", "ЖЩФ-21-70455", "ZST-70455", "ORDM-909155", "ЭКГ покоя"
)
TRAUMA_CT = Visit(
    9, _VOSSBRINCK, _ZWIEBRECHT, "20200117031107", "ACZ20-990117", "QST-99117", "ORDZ-990018", "Polytrauma"
)

VISITS = (
    CHEST_CT,
    WHOLE_BODY_PET,
    KNEE_MR,
    BRAIN_MR,
    HAND_XRAYS,
    HEART_US,
    HEART_MR,
    HEART_ECG,
    TRAUMA_CT,
)


def identifiers() -> Iterator[str]:
    """Yield every identifying text of everybody in the tree, with repetitions; UIDs are not among them."""
    for visit in VISITS:
        yield from visit.identifiers()
        yield from visit.person.identifiers()
        yield from visit.site.identifiers()
