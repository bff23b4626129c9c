"""What the repository uses on itself. Not part of the package."""
