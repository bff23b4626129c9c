"""Two small applications with the same routes on the same policy: every attack runs through both."""
