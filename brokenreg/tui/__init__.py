"""The Textual panel: it reads the traffic log and shows it; nothing below knows that it exists."""
