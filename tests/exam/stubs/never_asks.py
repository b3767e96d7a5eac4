"""Has the image already, and sends no request."""
