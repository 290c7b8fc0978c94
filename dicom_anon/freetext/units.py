"""What follows a number and says that it counts or measures something, so that it identifies nobody.

It knows the units and counted things only; which numbers identify is decided elsewhere.
"""

from __future__ import annotations

import re
from typing import Final

from .folding import View

START: Final = r"(?<![^\W_])"
END: Final = r"(?![^\W_])"

_UNIT = re.compile(
    r" ?(?:(?:mm|cm|um|nm|msec|ms|sec|seconds?|mins?|minutes?|khz|mhz|hz|kg|mg|ug|ml|mbq|kbq|gbq|bq|mci|iu|"
    r"cps|counts?|gy|cgy|mgy|kvp?|mas|ma|hu|px|pixels?|voxels?|bpm|rpm|weeks?|wks?|months|days|slices|"
    r"images|frames|s ?/ ?mm2?)(?![^\W_])|%)"
)
_COUNTED = re.compile(
    r"[ -]?(?:views?|scans?|series|films?|phases?|times|x|y|y[/ ]?o|years?|yrs?|month|day|hours?|hrs?|h|ft|feet|lbs?|"
    r"m?sv|jahre?|monate?|tage?|wochen?|stunden?|std|aufnahmen?|bilder|serien|schichten|ebenen|ans|mois|jours?|vues?|"
    r"coupes?|anos|meses|dias|vistas|cortes|anni|mesi|giorni|proiezioni)(?![^\W_])| ?[名人명歳岁才세]|[.,]\d"
)


def unit_at(folded: str, at: int) -> bool:
    """Whether a unit stands in the folded text from this offset on."""
    return _UNIT.match(folded, at) is not None


def always(found: re.Match[str], seen: View) -> bool:
    """Whatever follows."""
    return True


def no_unit(found: re.Match[str], seen: View) -> bool:
    """Whether no unit follows a match."""
    return not unit_at(seen.folded, found.end())


def counted_at(folded: str, at: int) -> bool:
    """Whether a unit, or the name of what is counted, stands there: `2 views`, `45 years`, `70 kg`."""
    return unit_at(folded, at) or _COUNTED.match(folded, at) is not None
