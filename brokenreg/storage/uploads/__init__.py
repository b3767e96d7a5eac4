"""Upload sessions: they write, hash and sync the bytes of a blob as these arrive."""
