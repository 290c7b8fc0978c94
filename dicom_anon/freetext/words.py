"""Word lists of the text scrubber: what is an ordinary word, what belongs to a place, what goes with a name.

No surnames and no given names live here, and no matching; every list is folded (lower case, no accents).
"""

from __future__ import annotations

import re
from typing import Final


def listed(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


# Words that mean something in imaging text. Two uses: a name that is one of them goes only where it stands as
# a name, and none of them is taken for the name that follows "patient" or "DR". So a word that is mostly a
# name (Baker, Wilson, Park, April) stays out: what is here survives, as a word, where it stands alone.
ORDINARY_WORDS: Final = listed(
    """
    abdomen abdominal abscess acetabulum achilles adrenal airway ankle aorta aortic appendix arm arms
    artery arterial axilla back base biopsy bladder blood body bone bones bowel brain breast bronchus
    calcaneus calf cardiac carotid carotids cartilage cavity cervical chest chin clavicle coccyx colon
    cord coronary cranial cranium disc disk duct ear ears elbow esophagus extremity eye eyes face facial
    femoral femur fetal fibula finger fingers foot feet forearm gland groin hand hands head heart heel hip
    hips humerus iliac inguinal jaw joint kidney kidneys knee knees larynx leg legs ligament limb limbs
    lip lips liver lobe lumbar lumbosacral lung lungs mandible maxilla mouth muscle nail nasal neck nerve
    nose orbit orbits ovary palm pancreas pancreatic patella pelvic pelvis penis prostate pubis pulmonary
    radius rectum renal rib ribs sacral sacrum scalp scapula scrotum shin shoulder sinus skeleton skin
    skull spinal spine spleen sternum stomach tendon testis thigh thoracic thorax throat thumb thyroid
    tibia toe toes tongue tooth teeth trachea ulna ureter urethra uterus vein vena vessel vertebra vocal
    wall wrist

    acute angio angiogram appearance artefact artifact atrophy axial beam benign bilateral bolus breath
    breathhold cancer carcinoma case cells chronic clinical coil collimator complete comparison
    compression contrast coronal cross cut cuts cyst delay delayed density detector diagnosis diffusion
    dose drain dual dynamic echo edema effusion emergency enhanced enhancement exam examination expiration
    extended fat fast field film fine finding findings first flow fluid fracture free frontal fusion
    gadolinium gated general gradient graft hemorrhage hernia high history hold image images imaging
    impression inferior infection inspiration inversion iodine isocenter lateral left lesion level limited
    line lines localizer long lossy low magnitude mass matrix medial metal middle motion multiple native
    needle negative nodule normal oblique old open oral pain parallel partial perfusion phantom phase
    pilot plain plane plan planar plate portable positive posterior anterior post pre prep pressure prone
    supine position positioned positioning prior procedure protocol proton pulse quality quick radial raw
    ray rays recon reconstruction reference referral rest retro reversible right routine sagittal scan
    scans scaled scanned scout screw screening second segment segmentation sequence series sharp short
    side signal single slice slices small smooth soft sound source spin spiral spot stack standard
    standing static stent stone stones stress strong study subtraction superior surgery swelling table
    test third thick thickness thin time tissue tip total trace transversal transverse trauma tube tumor
    tumour ultrasound upper lower upright unilateral vascular venous view views volume water weight
    weighted whole wide window wire xray fluoro tomo mammo spect cine scale

    mra mrv mrs mri mrt mpr mip minip mar map maps flair mprage space vibe dixon stir haste truefisp ciss
    trufi flash tse fse ssfse fiesta lava tof swi dwi dti adc asl epi bold dce dsc dyn cor sag tra sst
    tirm blade obl lat fov svs csi press steam fdg psma nac ctac suv hrct cta ctv art ven nat std iso max
    min avg abd adj comp cont dir ext fem fwd inf int lim mid neg pos ped peds prim proc res rot seg seq
    ser sup sym syn tcd usg uti

    tech technique technologist technician operator physician radiologist doctor nurse resident attending
    provider staff hospital clinic ward department unit patient patients patientin pat name names ref
    referring referred cardiology neurology neurosurgery oncology orthopedics pediatrics radiology urology
    surgeon surgical team

    a about after again all also am an and any are as asked at ate away bad be been before being best
    better between big both breathing but by call called came can cannot claustrophobic coded come comes
    complains complaining complaint complaints confused consent consented contact cooperative could
    coughed coughing crying day days deceased declined demographics denied denies developed did died
    difficulty discharged do does done down due during each early error every experienced exposure extra
    fall fallen falls feels fell fetus few for found four five from full further gave get gets girl given
    boy gone good got had half hard has have having he held her his hot cold hour hours how id identified
    identification identity if in incident info information injected injection injured inpatient
    instructed into intubated is it its just kept known large last late later less light little lost made
    male female man many may might minute minutes month months more most mother move moved movement moves
    moving much must nervous never new next nice night no non none not note noted notes now number numbers
    obese of off on one only or other our out outpatient over pacemaker part point poor pregnant
    preparation present presented presents qa questionnaire read ready refused refuses reg registered
    removed repeat repeated report reported reports requested requests request restless safety said same
    save sedated see seen sent she should sick sleeping so some started state states stated stat status
    still stop stopped such suffered suffering support tall tested than that the their them then there
    these they this to today tolerated too transfer transferred transport two three type unable
    uncooperative under unknown unresponsive unstable until up use used uses using very via vomited wait
    waiting wants warm was weak week weeks well went were when where which while who will with within
    without woman would year years yes yesterday young younger elderly anonymous anonymized per wheelchair
    asleep awake ordered performed interpreted signed dictated approved reviewed verified examined
    acquired transcribed checked entered typed appears tolerate cooperated unwell bedside arrived arrives
    coughs sneezed swallowed swallowing talking talked drank drinking lying sitting wearing weighs walks
    understands unconscious vomiting woke tremor spoke speaks shaking returned rescheduled received placed
    panicked needs needed lives fainted fasting escorted continued complained cancelled canceled brought
    allergic agitated advised admitted accompanied able anxious combative difficult dizzy nauseous nausea
    noncompliant ventilated weighing height interpreter instructions implant implants isolation screened
    sex age aged orientation entry size care comfort temperature preference requires required scheduled
    informed explained gp er icu pcp pt extremities polytrauma stroke survey runoff fmri wholebody
    research trial library protocols specials dental localiser

    black blue brown dark gray green grey orange pink red white yellow east north south west

    kopf knie hals becken schadel brustkorb bauch bein fuss schulter wirbelsaule wirbelkorper herz lunge
    leber niere mit ohne und oder nach vor links rechts nativ kontrastmittel verlauf kontrolle ausschluss
    liegt klagt hat ist wurde bei zur zum der die das den des dem ein eine kein sans avec tete genou
    wirbelsaeule hws bws lws schaedel hufte huefte ellenbogen beine gefasse gehirn kleinhirn pankreas mamma
    prostata orbita sella schilddruse ganzkorper ganzkoerper biopsie onko ortho neuro cardio forschung
    rachis bassin poumon coeur droit gauche cabeza cuello torax rodilla columna mano con los del
    """
)

# A place's words, which say nothing alone: "Main Street" and "University Hospital" go as phrases only.
PLACE_WORDS: Final = listed(
    """
    street avenue road lane drive boulevard court square place way building floor room suite house apartment
    strasse strase str platz allee gasse weg haus etage rue avenida calle via piazza main city county
    country state university universitaet universitat universitaets universitats klinikum klinik krankenhaus
    spital praxis institut institute institution center centre central centro national regional memorial
    general community hospital clinic ward department departement abteilung unit medical medicine med
    healthcare health care systems system dept division diagnostic diagnostics radiologie radiologia nuclear
    station scanner console computer saint park hill lake river east north south west
    """
)

CREDENTIALS: Final = listed(
    """
    dr drs dra prof professor md phd do rn rt jr sr ii iii iv mr mrs ms miss herr frau
    """
)
PARTICLES: Final = listed(
    """
    van von vom der den de del della di da dos das du la le el al bin ibn ben ten ter zu st
    """
)

# Endings of medical words that no list could hold. They only tell a word from a name after "patient" or "by".
_MEDICAL_ENDING = re.compile(
    r".{2,}(?:tions?|sions?|itis|osis|iasis|ology|ologist|iatry|graphy|graph|gram|scopy|ectomy|otomy|ostomy|"
    r"plasty|pathy|trophy|emia|uria|algia|metry|therapy|ible|able|ical|ular|ness|ity)"
)


def is_ordinary(word: str) -> bool:
    """Whether a folded word is more likely a word than a name, where either could stand.

    Examples
    --------
    >>> is_ordinary("supine"), is_ordinary("cholecystectomy"), is_ordinary("smith")
    (True, True, False)
    """
    return word in ORDINARY_WORDS or _MEDICAL_ENDING.fullmatch(word) is not None
