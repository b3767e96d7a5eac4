"""The Log tab: the server's own log."""
