"""dicom-anon: de-identify folder trees of DICOM files.

The names below are the Python interface; they are loaded when they are first used, so that the command starts fast.

Examples
--------
>>> from dicom_anon import anonymize_dataset, resolve
>>> assignment = resolve(preset="default")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dicom_anon._version import __version__ as __version__

if TYPE_CHECKING:
    from dicom_anon.api import anonymize_file, anonymize_tree
    from dicom_anon.assignment import Assignment, resolve
    from dicom_anon.config import Config, parse_config, read_configs
    from dicom_anon.dataset import DatasetReport, anonymize_dataset
    from dicom_anon.errors import ConfigError, DicomAnonError, FileRefused, Reason, UsageError
    from dicom_anon.report import RunReport
    from dicom_anon.runfolder import RunFolder

__all__ = [
    "Assignment",
    "Config",
    "ConfigError",
    "DatasetReport",
    "DicomAnonError",
    "FileRefused",
    "Reason",
    "RunFolder",
    "RunReport",
    "UsageError",
    "anonymize_dataset",
    "anonymize_file",
    "anonymize_tree",
    "parse_config",
    "read_configs",
    "resolve",
]

_HOMES = {
    "api": ("anonymize_file", "anonymize_tree"),
    "assignment": ("Assignment", "resolve"),
    "config": ("Config", "parse_config", "read_configs"),
    "dataset": ("DatasetReport", "anonymize_dataset"),
    "errors": ("ConfigError", "DicomAnonError", "FileRefused", "Reason", "UsageError"),
    "report": ("RunReport",),
    "runfolder": ("RunFolder",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"dicom_anon.{module}"), name)
    raise AttributeError(f"module 'dicom_anon' has no attribute '{name}'")
