"""Shows the exchanges of a file: as a program of its own, and over a panel."""
