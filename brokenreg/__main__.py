"""Runs the command line with `python -m brokenreg`."""

from brokenreg.cli.main import main

main()
