"""`python -m brokenreg`."""

from brokenreg.cli import main

main()
