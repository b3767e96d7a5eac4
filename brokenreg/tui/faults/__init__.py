"""The Faults tab, and all dialogues by which faults are chosen, set and switched."""
