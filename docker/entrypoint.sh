#!/bin/sh
# What mercure starts, with no arguments: one task of the folders that it names in the environment.
# Nothing is written but to MERCURE_OUT_DIR, and a key to MODULE_PERSISTENCE_DIR where mercure gives that.
set -eu
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONUTF8=1
exec dicom-anon mercure "$@"
