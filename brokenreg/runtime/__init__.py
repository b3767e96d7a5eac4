"""A running brokenreg, as the control API and the panel see and steer it."""
