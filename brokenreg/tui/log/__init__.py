"""What the server itself has to say: its own log."""
