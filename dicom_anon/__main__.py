"""Run the command line as `python -m dicom_anon`."""

from dicom_anon.cli import main

main()
