"""A running brokenreg, with the operations that the control API and the panel share."""
