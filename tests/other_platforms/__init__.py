"""Systems that lack what only Linux has. The tests run on Linux, and take it away."""
