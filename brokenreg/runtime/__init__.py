"""A running brokenreg, and the operations that the control API and the panel share."""
