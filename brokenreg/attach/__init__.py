"""`brokenreg attach`: shows the panel of a running brokenreg, which the server runs, in this terminal."""
