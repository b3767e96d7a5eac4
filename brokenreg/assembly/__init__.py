"""Assembly: builds a running server from settings (listeners, TLS, output), and stops it in order."""
