"""Several brokenregs that act as one registry: how they find and call each other."""
