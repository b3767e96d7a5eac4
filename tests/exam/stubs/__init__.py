"""Clients that `brokenreg run` runs: one that is right, and others that are wrong in one way each."""
