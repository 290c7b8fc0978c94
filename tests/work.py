"""How much work a function does, counted and not timed: so a test can tell what grows faster than its input."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable


def calls(function: Callable[[], object]) -> int:
    """Count the calls of functions, and the steps of generators, that a function makes."""
    profile = cProfile.Profile()
    profile.runcall(function)
    total: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined] # which the stubs leave out
    return total
