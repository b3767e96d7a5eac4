"""Compares two pulls, two pushes or two exchanges. Knows nothing of the panel."""
