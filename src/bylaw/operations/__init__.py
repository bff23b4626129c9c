"""The verbs: what people, administrators, the command line and applications do.

A verb composes the rules of several controls in one transaction, and records it. Whoever calls it,
the same rules hold: they guard the operation, not the route.
"""
