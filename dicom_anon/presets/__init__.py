"""The presets: complete rule sets as data files, written in the language of a user's own configuration.

Lives here: their names and reading them. Does not live here: what a rule means, and how the files are made
(see ``generate.py`` and README.md).
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

PRESETS: tuple[str, ...] = ("default", "none", "basic", "tcia", "mercure")
"""Names a configuration may give as ``"preset"``."""


def load(name: str) -> dict[str, Any]:
    """Read a preset.

    Parameters
    ----------
    name : str
        One of `PRESETS`.

    Returns
    -------
    dict
        ``{"general": {key: value}}``, as `json` reads the file.

    Raises
    ------
    KeyError
        For any other name: users' names are checked before.
    """
    if name not in PRESETS:
        raise KeyError(name)
    content: dict[str, Any] = json.loads(resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8"))
    return content
