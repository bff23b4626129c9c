"""Damage to ordinary files, at random and for as long as is asked: `python -m tests.content.fuzz SECONDS
[SEED]`.

Whatever is done to a file, the checks say Facts or Hostile: no other exception, no second of computing for a
small file, no memory that grows. What passes is drawn as well: its thumbnail, and the picture made anew.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import struct
import sys
import time
import zlib
from collections import Counter

from bylaw.content import KINDS, Hostile, Limits, examine, reencoded, thumbnail
from tests.content.corpus import Sample, hostile, ordinary

SMALL = 64 * 1024
SECONDS = 1.0
"""Of computing, for one small file and everything that is drawn from it."""
LIMITS = Limits(pixels=2_000_000, unpacked=8 * 1024 * 1024, metadata=256 * 1024)
WORDS = (
    b"/S /JavaScript", b"stream\n", b"endstream", b"<< /Filter /FlateDecode >>", b"/ObjStm", b"%PDF-1.4",
    b"startxref\n0", b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x07", b"<!DOCTYPE x>", b"<?xml",
    b"\xff\xd8", b"\xff\xd9", b"IDAT", b"IEND", b"fdAT", b"\xff\xff\xff\xff", b"\0\0\0\0",
    b"\x7f\xff\xff\xff", b"ANMF", b"VP8X", b"\xff\xfe",
)  # fmt: skip


def seeds() -> list[Sample]:
    """Small files of every kind, most of them ordinary."""
    few = [
        each for each in hostile() if not each.id.endswith(("bomb", "members", "many", "chunks", "texts"))
    ][::7]
    return [each for each in [*ordinary(), *few] if len(each.data) <= SMALL]


def damaged(sample: Sample, others: list[Sample], chance: random.Random) -> bytes:
    """A file with a few places changed; the sums of a PNG are made right again half of the time."""
    data = bytearray(sample.data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        _damage(data, others, chance)
    if sample.kind == "png" and chance.random() < 0.5:
        return _summed(bytes(data))
    return bytes(data)


def _damage(data: bytearray, others: list[Sample], chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    length = min(chance.choice((1, 2, 4, 16, 200)), len(data) - at)
    match chance.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            data[at : at + length] = chance.randbytes(length)
        case 2:
            data[at : at + length] = b""
        case 3:
            data[at:at] = data[at : at + length] * chance.choice((1, 2, 50))
        case 4:
            word = chance.choice(WORDS)
            data[at : at + chance.choice((0, len(word)))] = word
        case 5:
            form = chance.choice((">I", "<I", ">H", "<H"))
            number = (
                chance.choice((0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF))
                if form.endswith("H")
                else chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(data)))
            )
            data[at : at + struct.calcsize(form)] = struct.pack(form, number)
        case 6:
            del data[at:]
        case _:
            other = chance.choice(others).data
            begins = chance.randrange(len(other) + 1)
            data[at : at + length] = other[begins : begins + chance.choice((4, 64, 1000))]


def _summed(data: bytes) -> bytes:
    """A PNG with right sums, as far as its chunks can be followed."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        if at + 12 + length > len(data):
            break
        out += data[at : at + 8 + length] + struct.pack(">I", zlib.crc32(data[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(out + data[at:])


def judged(data: bytes, kind: str) -> str:
    """What is said of a file: `taken`, or the fault. Raises AssertionError where more than that happened."""
    stream = io.BytesIO(data)
    before = time.process_time()
    said = "taken"
    try:
        examine(stream, kind, LIMITS)
        if KINDS[kind].image:
            said = "taken, not drawn"
            thumbnail(stream, kind, 32)
            reencoded(stream, kind, LIMITS).close()
            said = "taken"
    except Hostile as fault:
        said = fault.code if said == "taken" else said
    took = time.process_time() - before
    assert took < SECONDS, f"{took:.1f} s for {len(data)} bytes as {kind}"
    assert stream.tell() == 0
    return said


def main() -> int:
    """Run for as long as was asked, and say what happened."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("seconds", type=float)
    asked.add_argument("seed", type=int, nargs="?", default=0)
    given = asked.parse_args()
    chance, files = random.Random(given.seed), seeds()
    said: Counter[str] = Counter()
    for sample in files:
        judged(sample.data, sample.kind)  # what is loaded once is loaded now
    begun, slowest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0.0
    end = time.monotonic() + given.seconds
    while time.monotonic() < end:
        sample = chance.choice(files)
        kind = sample.kind if chance.random() < 0.95 else chance.choice(list(KINDS))
        data = damaged(sample, files, chance)
        before = time.process_time()
        try:
            said[judged(data, kind)] += 1
        except BaseException:
            found = f"{kind} from {sample.id}, seed {given.seed}, after {said.total()}: {data.hex()}\n"
            sys.stderr.write(found)
            raise
        slowest = max(slowest, time.process_time() - before)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun
    words = ", ".join(f"{count:,} {word}" for word, count in said.most_common())
    figures = f"slowest {slowest * 1000:.0f} ms, {grown:,} kB more memory"
    sys.stdout.write(f"{said.total():,} files in {given.seconds:.0f} s, {figures}\n{words}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
