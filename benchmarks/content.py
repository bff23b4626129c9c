"""Files of ten megabytes: how long their structure takes to judge, and what memory that takes.

python -m benchmarks.content              a table; exit 1 where one takes longer than a second of computing
python -m benchmarks.content --json FILE
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

from bylaw.content import Limits, examine, reencoded, thumbnail

LIMIT: Final = 1.0
"""Seconds of computing that the check of a file of ten megabytes may take."""
SIZE: Final = 10 * 1024 * 1024


def noise(form: str, width: int, height: int, **options: Any) -> bytes:
    """A picture of noise, which packs as badly as a photograph does at its best."""
    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((width, height), 90).convert("RGB").save(out, form, **options)
    return out.getvalue()


def pdf() -> bytes:
    """Two hundred pictures, as a scanner writes them."""
    from tests.content import making

    data = os.urandom(SIZE // 200)
    scan = (
        b"<< /Subtype /Image /Filter /DCTDecode /Length %d >>\nstream\n" % len(data) + data + b"\nendstream"
    )
    return making.pdf(objects=[scan] * 200)


def xlsx() -> bytes:
    """Half a million rows of numbers and names: some seventy megabytes of XML."""
    from tests.content import making

    chance = random.Random(1)  # noqa: S311 - the same table every time
    rows = ((f"L-{n}", chance.random(), chance.getrandbits(40), "housing") for n in range(320_000))
    return making.xlsx(rows)


def csv() -> bytes:
    """Names with umlauts, so that it is no plain ASCII."""
    line = "L-1;Gehäuse, groß;3;1,50 €\r\n".encode()
    return line * (SIZE // len(line))


FILES: Final[dict[str, tuple[str, Callable[[], bytes]]]] = {
    "PNG": ("png", lambda: noise("PNG", 2600, 2000)),
    "JPEG": ("jpg", lambda: noise("JPEG", 4200, 3200, quality=88)),
    "GIF": ("gif", lambda: noise("GIF", 2900, 2900)),
    "PDF": ("pdf", pdf),
    "XLSX": ("xlsx", xlsx),
    "CSV": ("csv", csv),
}


def measured(name: str, rounds: int = 5) -> dict[str, Any]:
    """One row: bytes, seconds of computing (median), and the most memory that Python held meanwhile."""
    kind, make = FILES[name]
    stream = io.BytesIO(make())
    seconds = [_seconds(lambda: examine(stream, kind, Limits())) for _ in range(rounds)]
    tracemalloc.start()
    facts = examine(stream, kind, Limits())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    row: dict[str, Any] = {
        "name": name,
        "bytes": stream.getbuffer().nbytes,
        "seconds": median(seconds),
        "memory": peak,
        "unpacked": facts.unpacked,
    }
    if facts.width:
        row["thumbnail"] = _seconds(lambda: thumbnail(stream, kind))
        row["reencoded"] = _seconds(lambda: reencoded(stream, kind, Limits()).close())
    return row


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    lines = ["file    size     check    memory   thumbnail  drawn anew"]
    for row in rows:
        drawn = "".join(f"{row[key]:>9.2f} s" if key in row else "" for key in ("thumbnail", "reencoded"))
        lines.append(
            f"{row['name']:<6}{row['bytes'] / 1024**2:>5.1f} MB{row['seconds']:>8.3f} s"
            f"{row['memory'] / 1024**2:>6.1f} MB{drawn}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and say whether each check was quick enough."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.content", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures into FILE as well")
    options = parser.parse_args(arguments)
    rows = [measured(name) for name in FILES]
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    slow = [row["name"] for row in rows if row["seconds"] > LIMIT]
    if slow:
        print(f"slower than {LIMIT:.0f} s: {', '.join(slow)}", file=sys.stderr)
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
