"""The settings of a run. `settings` lists them; the other modules parse and check their values."""
