"""Listening sockets: who is accepted, TLS handshakes, and what happens before the first request."""
