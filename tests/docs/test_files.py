"""docs/files.md: its two applications take files, show them, give them out and let them go."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

from bylaw.store import files
from bylaw.testing import Bench, Laboratory, Target
from tests.attacks.specimens import BOUNDARY
from tests.content import making
from tests.docs import pages

PAGE = pages.ROOT / "docs/files.md"
POLICY = """
[app]
name = "Shop"
base_url = "env:BASE_URL"
[roles]
admin = ["*"]
clerk = ["order:*"]
reader = ["order:read"]
"""


@pytest.fixture(scope="module", params=["with_flask.py", "with_fastapi.py"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """One of the page's applications, under the page's own policy."""
    folder = tmp_path_factory.mktemp("shop")
    blocks = pages.blocks(PAGE)
    uploads = next(b.text for b in blocks if b.language == "toml" and "s3://" not in b.text)
    (folder / "bylaw.toml").write_text(POLICY + uploads)
    code = next(b.text for b in blocks if b.name == request.param)
    (folder / request.param).write_text(code.replace('"bylaw.toml"', repr(str(folder / "bylaw.toml"))))

    def made() -> Any:
        spec = importlib.util.spec_from_file_location("shop", folder / request.param)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.app

    bench = Bench(Target("shop", made))
    with bench.laboratory() as laboratory:
        yield laboratory
    bench.close()


@pytest.mark.requirement("S1-091", "S2-074", "S2-078")
def test_the_pages_application_does_as_the_page_says(shop: Laboratory) -> None:
    """A clerk attaches a drawing, a reader sees it, has it and its picture; another order's address has
    nothing; removed it is gone, and what is no picture was never taken."""
    clerk, reader = shop.client("clerk"), shop.client("reader")
    path, picture = "/orders/17/files", making.png(300, 200)
    (file,) = sent(clerk, path, "Zeichnung.png", picture).json()
    assert (file["name"], file["state"]) == ("Zeichnung.png", "clean")
    assert reader.get(path).json() == [file]
    given = reader.get(f"{path}/{file['id']}")
    assert (given.status, given.body) == (200, picture)
    assert given.header("content-disposition").startswith("attachment;")
    small = reader.get(f"{path}/{file['id']}/small")
    assert (small.status, small.header("content-disposition")) == (200, "inline")
    assert reader.get(f"/orders/18/files/{file['id']}").code == "uploads.unknown"
    assert sent(clerk, path, "Zeichnung.jpg", picture).code == "uploads.extension"
    assert sent(reader, path, "Zeichnung.png", picture).status == 403
    assert clerk.act("DELETE", f"{path}/{file['id']}").status == 204
    assert reader.get(f"{path}/{file['id']}").status == 404


def sent(client: Any, path: str, name: str, content: bytes) -> Any:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    return client.act("POST", path, headers=[kind], body=body)


def test_every_state_is_explained() -> None:
    """A state that the page does not have is one that nobody understands."""

    text = PAGE.read_text("utf-8")
    for state in (*files.VISIBLE, files.REMOVED, files.ERASED):
        assert f"| `{state}` |" in text
