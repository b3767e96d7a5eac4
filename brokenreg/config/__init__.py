"""The settings of one run: `settings` lists them, the other modules parse and check their values."""
