"""Words that are no evidence on their own: ordinary, anatomical, technical, and what a de-identifier writes.

Lives here: the list, and the test whether a word is common. Does not live here: how identifiers are
searched. A surname that is in this list is still found together with the given name, and where a value was
left unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Container

WORD = re.compile(r"[^\W_]+")

_GREEK = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma
    tau upsilon phi chi psi omega"""

_PLACEHOLDERS = """anon anonym anonymous anonymised anonymized anonymisiert anonyme deidentified deid
    default dummy empty example hidden identified identity masked missing name na nil none null nobody
    noname not given phantom pseudonym pseudonymized redacted removed replaced restricted sample subject
    test tester testing unavailable undefined unknown unbekannt unnamed unspecified value void volunteer
    wiped patient patients firstname lastname surname forename family given first last middle prefix suffix
    other"""

GREEK = frozenset(_GREEK.split())
PLACEHOLDERS = frozenset(_PLACEHOLDERS.split())

_ANATOMY = """abdomen abdominal adrenal ankle anterior aorta aortic appendix arch arms artery arteries axial
    axilla back base basilar bile bladder blood body bone bones bowel brain branch breast bronchus calf
    calves cardiac carotid cava cell cells cerebral cervical cervix cheek chest chin clavicle coccyx colon
    cord core coronal coronary cortex cranial cranium crown deep disc disk distal dorsal duct elbow
    esophagus extremity eyes face facial feet femoral femur fibula finger fingers foot forearm forehead
    frontal gall gland gums hair hand hands head heart heel hepatic hips humerus inner intestine iris jaw
    joint joints kidney kidneys knee knees larynx lateral left legs lens limb lips liver lobe lower lumbar
    lung lungs lymph mandible marrow maxilla medial mouth muscle nail nasal neck nerve node nodes nose
    oblique occipital optic oral orbit orbits outer ovary palm pancreas pelvic pelvis penis pharynx plane
    posterior prostate proximal pulmonary radius renal retina ribs right root sacral sacrum sagittal scalp
    scapula shin shoulder side sides sinus skeleton skin skull sole soft spinal spine spleen sternum stomach
    teeth temporal tendon testis thigh thoracic thorax throat thumb thyroid tibia tissue tongue tooth torso
    trachea trunk ulna upper ureter urethra uterus valve vein veins ventral ventricle vertebra vessel
    vessels whole wing womb wrist kopf hals brust bauch becken herz lunge leber niere knie fuss hand
    schulter tete crane coeur poumon genou main"""

_MEDICINE = """acquisition acute adult agent angio angiography application assessment attenuation basic beam
    biopsy bolus cancer cast center centre child chronic clinic clinical clinica clinique code coil
    collimator complete compressed computed consent contour contrast control correction count curve cut data
    date dental department device diagnosis diagnostic diffusion digital dose drug duplex echo electron
    emergency energy enhanced exam examination exposure faculty female field film filter flash fluoro focus
    follow fracture frame full function gating general gradient graft grid hole hospital hospitals hopital
    idiopathic image images imaging implant infant infirmary injury institut institute institution
    instrument insurance intensity iodine kernel klinik klinikum krankenhaus label lesion level localizer
    magnet male manual marker mask mass matrix medical medicine medizin mode model motion multi native
    needle newborn noise normal nuclear nurse object office operator optical order original output overlay
    panel part patch pathology pediatric perfusion phase phone photo physician pilot plain plan plate plus
    point port portable position power practice pressure primary probe procedure profile projection prone
    protocol proton pulse quality radiation radiograph radiography radiologie radiology range rate raw
    record reference referral referring region report rescan research rest retake review roll room routine
    sanatorium scan scanner scout screen secondary sequence series service setup shift signal single site
    slice slow small smart sound source spectrum spin spiral spot stage staff stand standard static station
    stent step stereo stone storage store stress stroke structure study subset summary supine surgery survey
    system table target technician technique technologist therapy thick thin time tomo tomography trace
    tracer transfer trauma treatment trigger tube tumor ultrasound unit university universitat universite
    vascular venous verification version view views visit volume ward wash water wave wide width window with
    without work xray zoom dicom volumes image jpeg lossless lossy samples sample pixel pixels color colour
    monochrome palette doctor prof professor nurse staff admin administrator user service system guest
    manager radiologist"""

_ORDINARY = """about above across after again against all also always among and another area around away
    back before behind being below best better between black blue board both bottom bound break built call
    card care case change check city clean clear clock close cold color come complete could country county
    cover cross dark days does done door double down draw during each early east easy edge eight empty enter
    end even evening every fall false fast five flat flow force form former forward four free fresh from
    front general give given good gray great green grey ground group half hard have heavy here high hold
    home horizontal hour hours house inch into iron item join just keep key kind large late lead lean least
    left length less light like line link list little live load local lock long look loop made main make
    many match maximum mean meet merge metal mid mild mile mini minimum minor minute minutes miss mixed
    month months more morning most move much must near never next night nine none noon north note null
    number off once one only open orange over pace pack page pain pair paper parallel part pass past path
    pattern peak pink pipe pitch place poor post pound present press previous print proper public pull pure
    purple push quick quiet raise rapid rate read ready real rear regular relative remote reset rest ring
    rise rotate rough round save search seat second seconds self send set seven shared sharp sheet show sign
    silver sink size skip slim small smooth some south space spare speed split spring square start state
    steel step still stop straight street strong summer sure tall tape team term text than that their then
    there these they thing this those three through tide tile time today tone total track trail train tree
    true turn twin two type under union until unused upon used using valid vary version vertical very wait
    wake walk wall warm weak week weeks well west what when where which while white whole wide will winter
    wire with word world year years yellow young your zero avenue road floor suite building saint january
    february march april june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday"""

# Products, sequences, filters and views, many of which are surnames as well.
_TECHNICAL = """achieva admire aera allegra aquilion artis asir avanto axiom biograph blade bravo brilliance
    butterworth caldwell canny cube definition discovery dixon drive echelon edge emotion espree excelart
    fiesta fisp flair force fourier gauss gaussian grashey hamming hanning harmony haste hounsfield ingenia
    ingenuity intera judet kaiser laplace lava lightspeed lorentz luminos magnetom mark marks merchant
    optima panorama prisma propeller radon revolution rosenberg safire sensation shepp signa skyra sobel
    sola somatom sonata supria symphony thrive titan townes trio trufi twist vantage verio vibe vida vista
    waters wiener ysio"""

COMMON = frozenset(f"{_ANATOMY} {_MEDICINE} {_TECHNICAL} {_ORDINARY}".split()) | GREEK | PLACEHOLDERS


def words(text: str) -> list[str]:
    """Return the words of a text, case folded; an underscore separates words."""
    return [word.lower() for word in WORD.findall(text)]


def phrases(value: str) -> set[str]:
    """Return a text and the parts of it that commas and lines divide."""
    return {value, *(part.strip() for part in re.split(r"[\r\n,;]+", value))}


def is_placeholder(text: str) -> bool:
    """Say whether a value stands for no value: ``ANONYMOUS``, ``N/A``, ``XXXX``, ``00000``."""
    found = words(text)
    if not found or all(word in PLACEHOLDERS for word in found):
        return True
    return found == ["n", "a"] or len(set("".join(found)) - set("0")) == 0 or set("".join(found)) == {"x"}


def is_pseudonym(name: str) -> bool:
    """Say whether a name is made of Greek letters, as in a source that was de-identified before."""
    found = words(name)
    return len(found) > 1 and GREEK.issuperset(found)


def is_weak(word: str, vocabulary: Container[str] = ()) -> bool:
    """Say whether one word alone is no evidence: too short, common, or part of the kept coded vocabulary.

    A letter outside ASCII weighs as many characters as it takes bytes in UTF-8, so that two ideographs
    suffice.
    """
    folded = word.lower()
    return len(folded.encode("utf-8", "surrogatepass")) < 4 or folded in COMMON or folded in vocabulary
