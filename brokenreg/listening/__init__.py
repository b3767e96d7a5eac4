"""Listening sockets: the accept policy, TLS handshakes, and events before the first request."""
