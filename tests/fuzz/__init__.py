"""Requests that nobody would write: made by machines, to find the one that is not answered well."""
