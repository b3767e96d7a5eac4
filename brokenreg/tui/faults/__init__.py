"""The Faults tab, and the dialogues in which faults are chosen, edited and switched."""
