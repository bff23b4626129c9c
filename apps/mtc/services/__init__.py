"""MTC's rules. Nothing in here knows of requests; a session, a date and a person are arguments."""
