"""Assembly: puts the floors together, opens the listeners, starts and stops."""
