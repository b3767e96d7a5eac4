"""Assembly: turns settings into listeners, TLS, output and one stack of lifetimes."""
