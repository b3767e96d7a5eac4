"""Rules decide which fault is applied when, and how often. Also scenarios, path rules and the injector."""
