"""Whether the container's process answers: what Docker asks every half minute."""

from __future__ import annotations

import http.client
import os
import sys
from urllib.parse import urlsplit


def answers(port: int, host: str) -> bool:
    """Ask for /healthz as the proxy in front would: for this site's name, over https."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/healthz", headers={"Host": host, "X-Forwarded-Proto": "https"})
        return connection.getresponse().status in (200, 301, 308)
    except OSError:
        return False
    finally:
        connection.close()


def main() -> int:
    base = os.environ.get("BASE_URL") or f"https://{os.environ.get('SPACE_HOST', 'localhost')}"
    return 0 if answers(int(os.environ.get("PORT", "7860")), urlsplit(base).netloc) else 1


if __name__ == "__main__":
    sys.exit(main())
