"""`python -m brokenreg`."""

from brokenreg.cli.main import main

main()
