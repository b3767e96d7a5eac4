"""Two pulls, two pushes or two exchanges side by side."""
