"""The memory of one row, whatever the table is: measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import sys
from itertools import islice
from pathlib import Path
from bylaw.spreadsheet import opened, write_csv, write_xlsx

kind, file, rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
table = ([f"LOT-{n:06}", n, n / 4, f"note {n}"] for n in range(rows))
made = write_csv(table) if kind == "csv" else write_xlsx(table, ["lot", "n", "price", "note"])

def peak(since=False):
    if since:  # from now on; getrusage has the parent's peak as well, which outlives exec
        Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

with file.open("w+b") as stream:
    for number, piece in enumerate(made):
        stream.write(piece)
        if number == 2:
            before = peak(True)
    written = peak() - before
    found = opened(stream, kind).rows()
    list(islice(found, 500))
    del piece
    before = peak(True)
    read = sum(1 for _ in found)
    print(read + 500, written, peak() - before)
"""


@pytest.mark.parametrize(("kind", "rows", "heads"), [("csv", 60_000, 0), ("xlsx", 20_000, 1)])
def test_a_long_table_takes_no_more_memory_than_its_beginning(tmp_path: Path, kind, rows, heads) -> None:
    """After the first rows the process grows by less than two megabytes, writing and reading."""
    asked = [sys.executable, "-c", MEASURE, kind, str(tmp_path / f"t.{kind}"), str(rows)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)
    number, written, read = map(int, done.stdout.split())
    assert number == rows + heads
    assert written < 2_048, "KB while it was written"
    assert read < 2_048, "KB while it was read"
