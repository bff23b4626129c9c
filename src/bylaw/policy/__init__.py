"""The policy: `bylaw.toml` and the environment, read strictly into one frozen value.

Whatever cannot be kept refuses to start, and every problem is reported at once with file, line,
key, what was found and what is accepted. Secrets never stand in the file, only where they come
from (`env:NAME`, `file:/path`; `env:NAME?` may be absent; `env:NAME or text` has a stand-in, in
development alone).
"""

from bylaw.policy.faults import default_text
from bylaw.policy.reading import load, profile
from bylaw.policy.sections import MANY_USERS, PROFILES, Access, App, Mail, Pages, PathRule, Store, sections
from bylaw.policy.texts import placeholder, reserved
from bylaw.policy.value import Environment, Policy, Unread

__all__ = [
    "MANY_USERS",
    "PROFILES",
    "Access",
    "App",
    "Environment",
    "Mail",
    "Pages",
    "PathRule",
    "Policy",
    "Store",
    "Unread",
    "default_text",
    "load",
    "placeholder",
    "profile",
    "reserved",
    "sections",
]
