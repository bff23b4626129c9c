"""Proving a policy: a laboratory, an attacker's client, probes, sabotages, the access matrix."""
