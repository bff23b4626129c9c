"""Somebody else's vectors for signatures and keys, on what this project reads tokens with."""
