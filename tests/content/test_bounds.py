"""What a file may cost: memory that does not grow with it, and a time that nobody notices."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bylaw.content import Limits, examine
from tests.content import making as m

ROOT = Path(__file__).parent.parent.parent
MEGABYTE = 1024 * 1024

MEASURE = """
import io, json, resource, sys, time
from bylaw.content import Hostile, Limits, examine
kind, path = sys.argv[1:]
examine(io.BytesIO(b"a,b"), "csv", Limits())   # what is loaded once is loaded now
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.process_time()
with open(path, "rb") as stream:
    try:
        examine(stream, kind, Limits())
        said = "taken"
    except Hostile as fault:
        said = fault.code
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"said": said, "kilobytes": grown, "seconds": time.process_time() - began}))
"""


def hard_pdf() -> bytes:
    """Ten megabytes of streams that hold what is looked for, nearly."""
    noise = os.urandom(5 * MEGABYTE) + b"/S /obj /EF ( " * 300_000
    return m.pdf(objects=[b"<< /Length %d >>\nstream\n" % len(noise) + noise + b"\nendstream"])


def large_png() -> bytes:
    """Ten megabytes of pixels that do not pack."""
    import zlib

    rows = os.urandom(1_800 * (1 + 1_900 * 3))
    return m.SIGNATURE + m.ihdr(1_900, 1_800) + m.chunk(b"IDAT", zlib.compress(rows, 0)) + m.chunk(b"IEND")


FILES = {
    "bomb": ("xlsx", m.zip_bomb, "bomb"),
    "lying-bomb": ("xlsx", lambda: m.zip_bomb(256, declared=1_000), "lying"),
    "members": ("xlsx", m.many_members, "too_many_members"),
    "png": ("png", large_png, "taken"),
    "pdf": ("pdf", hard_pdf, "taken"),
    "csv": ("csv", lambda: b"number,quantity\r\n" + b"L-1,3\r\n" * 1_400_000, "taken"),
}


@pytest.mark.requirement("C-29")
@pytest.mark.parametrize("name", FILES)
def test_memory_and_time_are_bounded(name: str, tmp_path: Path) -> None:
    """Ten megabytes, or what inflates to five hundred, cost a few megabytes and less than two seconds."""
    kind, make, said = FILES[name]
    file = tmp_path / "file"
    file.write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, kind, str(file)], check=True, cwd=ROOT, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found["said"] == said
    assert found["kilobytes"] < 16 * 1024
    assert found["seconds"] < 2


def test_a_bomb_is_left_as_soon_as_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would inflate to two hundred megabytes is left after the first few."""
    began = time.process_time()
    with pytest.raises(Exception, match="times its size"):
        examine(io.BytesIO(m.zip_bomb(64)), "xlsx", Limits(unpacked=2**40))
    made = time.process_time() - began
    assert made < 2
