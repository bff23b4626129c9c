"""Everything that comes from outside passes one of these models before anything else reads it."""
