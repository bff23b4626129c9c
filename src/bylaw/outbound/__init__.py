"""Asking other servers, when somebody else may have named the address (CWE-918, OWASP SSRF prevention).

An address is read once, by one reader. Its name is looked up once; every address that it leads to must be
one that anybody may reach, and the connection goes to the very address that was judged: a name that leads
elsewhere a moment later (DNS rebinding) leads nowhere. TLS checks the name all the same. Redirects are off,
and each one that is asked for is judged anew. Header, body and time have an end.

    ask = Client(Rules(hosts=("hooks.acme.eu",)))
    received = ask("POST", "https://hooks.acme.eu/orders", body=b"{}")     # raises Forbidden, OSError
"""

from bylaw.outbound.addresses import is_public, metadata
from bylaw.outbound.client import Client
from bylaw.outbound.rules import Forbidden, Rules
from bylaw.outbound.targets import Target

__all__ = ["Client", "Forbidden", "Rules", "Target", "is_public", "metadata"]
