"""Pictures that are damaged, that lie about their size, or carry too much."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator

from tests.content import making as m
from tests.content.samples import Sample


def raw_png(*chunks: bytes) -> bytes:
    """A PNG of these chunks, whatever they are."""
    return m.SIGNATURE + b"".join(chunks)


def jpeg_size(width: int, height: int) -> bytes:
    """A JPEG that says it is of another size."""
    data = m.jpeg()
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def apng(frames: int = 2, *, declared: int | None = None, wide: int = 16, start: int = 0) -> bytes:
    """A moving PNG of a picture and that many frames, the first of which is the picture."""
    sequence = itertools.count(start)

    def rows(frame: int) -> bytes:
        return zlib.compress((b"\0" + bytes((frame * 9,)) * 48) * 12)

    def control(width: int) -> bytes:
        return m.chunk(b"fcTL", struct.pack(">IIIIIHHBB", next(sequence), width, 12, 0, 0, 1, 10, 0, 0))

    parts = [
        m.ihdr(16, 12),
        m.chunk(b"acTL", struct.pack(">II", frames if declared is None else declared, 0)),
    ]
    parts += [control(16), m.chunk(b"IDAT", rows(0))]
    for frame in range(1, frames):
        parts += [control(wide), m.chunk(b"fdAT", struct.pack(">I", next(sequence)) + rows(frame))]
    return raw_png(*parts, m.chunk(b"IEND"))


def samples() -> Iterator[Sample]:
    pixels, end = m.idat(16, 12), m.chunk(b"IEND")
    small = m.chunk(b"IDAT", zlib.compress(bytes(10_000)))
    text = zlib.compress(bytes(64 * 1024 * 1024), 9)
    wrong_sum = pixels[:-1] + bytes((pixels[-1] ^ 1,))
    for name, fault, make in (
        ("png-60000", "too_many_pixels", lambda: raw_png(m.ihdr(60_000, 60_000), small, end)),
        ("png-10000", "too_many_pixels", lambda: raw_png(m.ihdr(10_000, 10_000), small, end)),
        ("png-lying", "truncated", lambda: raw_png(m.ihdr(7_000, 7_000), small, end)),
        ("png-more", "lying", lambda: raw_png(m.ihdr(4, 4), small, end)),
        ("png-no-size", "unreadable", lambda: raw_png(m.ihdr(0, 12), pixels, end)),
        ("png-depth", "unreadable", lambda: raw_png(m.ihdr(16, 12, depth=3), pixels, end)),
        ("png-no-palette", "unreadable", lambda: raw_png(m.ihdr(16, 12, colour=3), pixels, end)),
        ("png-palette", "unreadable", lambda: m.png(before=m.chunk(b"PLTE", b"1234"))),
        ("png-header", "disagrees", lambda: raw_png(m.chunk(b"IHDR", bytes(14)), pixels, end)),
        ("png-nonsense", "unreadable", lambda: raw_png(m.ihdr(16, 12), m.chunk(b"IDAT", b"nonsense"), end)),
        ("png-frame-first", "unreadable", lambda: m.png(after=m.chunk(b"fdAT", bytes(8)))),
        ("png-frame-unannounced", "unreadable", lambda: m.png(before=m.chunk(b"fcTL", bytes(26)))),
        (
            "png-text-more",
            "unreadable",
            lambda: m.png(before=m.chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x") + b"y")),
        ),
        ("png-sum", "unreadable", lambda: raw_png(m.ihdr(16, 12), wrong_sum, end)),
        ("png-no-pixels", "truncated", lambda: raw_png(m.ihdr(16, 12), end)),
        ("png-no-end", "truncated", lambda: raw_png(m.ihdr(16, 12), pixels)),
        ("png-two-headers", "unreadable", lambda: raw_png(m.ihdr(16, 12), m.ihdr(16, 12), pixels, end)),
        ("png-no-header", "disagrees", lambda: raw_png(pixels, end)),
        (
            "png-apart",
            "unreadable",
            lambda: raw_png(m.ihdr(16, 12), pixels, m.chunk(b"tEXt", b"a\0b"), pixels, end),
        ),
        ("png-critical", "unreadable", lambda: m.png(before=m.chunk(b"EVIL", b"x"))),
        ("png-no-chunk", "unreadable", lambda: m.png(before=m.chunk(b"a\0b1", b"x"))),
        ("png-late-palette", "unreadable", lambda: m.png(after=m.chunk(b"PLTE", b"123"))),
        (
            "png-late-profile",
            "unreadable",
            lambda: m.png(after=m.chunk(b"iCCP", b"a\0\0" + zlib.compress(b"x"))),
        ),
        ("png-last-holds", "hidden", lambda: raw_png(m.ihdr(16, 12), pixels, m.chunk(b"IEND", b"x"))),
        ("png-text-bomb", "too_much_metadata", lambda: m.png(before=m.chunk(b"zTXt", b"Comment\0\0" + text))),
        ("png-profile-bomb", "too_much_metadata", lambda: m.png(before=m.chunk(b"iCCP", b"p\0\0" + text))),
        ("png-itxt-bomb", "too_much_metadata", lambda: m.png(before=m.chunk(b"iTXt", b"c\0\1\0\0\0" + text))),
        (
            "png-text-long",
            "too_much_metadata",
            lambda: m.png(before=m.chunk(b"tEXt", bytes(5 * 1024 * 1024))),
        ),
        (
            "png-texts",
            "too_much_metadata",
            lambda: m.png(before=m.chunk(b"tEXt", b"a\0" + bytes(400_000)) * 12),
        ),
        ("png-chunks", "unreadable", lambda: m.png(before=m.chunk(b"tIME") * 30_000)),
        ("png-text-broken", "unreadable", lambda: m.png(before=m.chunk(b"zTXt", b"Comment\0\0nonsense"))),
        (
            "png-text-nameless",
            "unreadable",
            lambda: m.png(before=m.chunk(b"zTXt", b"\0\0" + zlib.compress(b"x"))),
        ),
        ("apng-many", "too_many_pixels", lambda: apng_of_large_frames()),
        ("apng-more", "lying", lambda: apng(3, declared=2)),
        ("apng-outside", "unreadable", lambda: apng(2, wide=17)),
        ("apng-order", "unreadable", lambda: apng(2, start=1)),
        ("apng-short", "truncated", lambda: apng(3)[:-60] + end),
    ):
        yield Sample(name, "png", make, fault)
    at = m.jpeg().index(b"\xff\xda")
    for name, fault, make in (
        ("jpg-60000", "too_many_pixels", lambda: jpeg_size(60_000, 60_000)),
        ("jpg-no-height", "unreadable", lambda: jpeg_size(16, 0)),
        ("jpg-segments", "unreadable", lambda: m.jpeg()[:2] + b"\xff\xfe\0\2" * 20_000 + m.jpeg()[2:]),
        ("jpg-comments", "too_much_metadata", lambda: m.jpeg()[:2] + comment(65_000) * 70 + m.jpeg()[2:]),
        ("jpg-scans", "unreadable", lambda: m.jpeg()[:-2] + m.jpeg()[at:-2] * 200 + b"\xff\xd9"),
        ("jpg-no-end", "truncated", lambda: m.jpeg()[:-2]),
        ("jpg-no-pixels", "truncated", lambda: m.jpeg()[:at] + b"\xff\xd9"),
        ("jpg-two-sizes", "unreadable", lambda: m.jpeg()[:at] + m.jpeg()[2:]),
        ("jpg-lossless", "unreadable", lambda: m.jpeg().replace(b"\xff\xc0", b"\xff\xc3")),
        ("jpg-garbage", "unreadable", lambda: m.jpeg()[:at] + b"garbage" + m.jpeg()[at:]),
        ("jpg-no-length", "unreadable", lambda: m.jpeg()[:2] + b"\xff\xfe\0\0" + m.jpeg()[2:]),
        ("jpg-restart", "unreadable", lambda: m.jpeg()[:2] + b"\xff\xd0" + m.jpeg()[2:]),
        ("jpg-depth", "unreadable", lambda: m.jpeg().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c")),
        ("jpg-header", "unreadable", lambda: m.jpeg().replace(b"\xff\xc0\0\x11", b"\xff\xc0\0\x12")),
        ("jpg-fill", "unreadable", lambda: m.jpeg()[:2] + b"\xff" * 100_000 + m.jpeg()[2:]),
        ("jpg-film", "trailing", lambda: m.jpeg() + b"\0\0\0\x18ftypmp42" + bytes(99)),
        (
            "jpg-jfif",
            "unreadable",
            lambda: m.jpeg().replace(b"JFIF\0\1\1", b"JFIF\0\1\1", 1)[:18] + b"\x09\x09" + m.jpeg()[20:],
        ),
        ("jpg-second-damaged", "truncated", lambda: several()[:-9]),
    ):
        yield Sample(name, "jpg", make, fault)
    for name, fault, make in (
        ("gif-60000", "too_many_pixels", lambda: gif_size(60_000, 60_000)),
        ("gif-frames", "too_many_pixels", lambda: gif_frames(300)),
        ("gif-outside", "unreadable", lambda: gif_size(8, 8)),
        ("gif-no-end", "truncated", lambda: m.gif()[:-1]),
        ("gif-no-pixels", "truncated", lambda: m.gif()[:13] + bytes(6 << (m.gif()[10] & 7)) + b";"),
        ("gif-empty-frame", "truncated", lambda: gif_frames(1)[:-5] + b"\0;"),
        ("gif-code", "unreadable", lambda: gif_frames(1)[:-6] + b"\x63" + gif_frames(1)[-5:]),
        ("gif-flat", "unreadable", lambda: gif_size(0, 12)),
        ("gif-block", "unreadable", lambda: m.gif()[:-1] + b"?;"),
        (
            "gif-comments",
            "too_much_metadata",
            lambda: m.gif()[:-1] + b"!\xfe" + (b"\xff" + bytes(255)) * 20_000 + b"\0;",
        ),
    ):
        yield Sample(name, "gif", make, fault)
    for name, fault, make in (
        ("webp-16000", "too_many_pixels", lambda: webp_size(16_000, 16_000)),
        ("webp-short", "truncated", lambda: m.webp()[:-4]),
        ("webp-chunk", "truncated", lambda: m.webp()[:16] + b"\xff\xff\xff\x00" + m.webp()[20:]),
        ("webp-lying", "lying", lambda: webp_extended(17, 12)),
        ("webp-metadata", "too_much_metadata", lambda: webp_with(b"EXIF", bytes(5 * 1024 * 1024))),
        ("webp-no-frame", "unreadable", lambda: webp_with(b"ANMF", bytes(16))),
        ("webp-head", "unreadable", lambda: m.webp()[:20] + bytes(9) + m.webp()[29:]),
        ("webp-two", "unreadable", lambda: webp_with(m.webp()[12:16], m.webp()[20:])),
    ):
        yield Sample(name, "webp", make, fault)


def apng_of_large_frames() -> bytes:
    """Forty frames of 1,500 × 1,500 pixels, each of a few kilobytes."""
    side, sequence = 1_500, itertools.count()
    rows = zlib.compress(bytes(side * (1 + side * 3)), 9)

    def control() -> bytes:
        return m.chunk(b"fcTL", struct.pack(">IIIIIHHBB", next(sequence), side, side, 0, 0, 1, 10, 0, 0))

    parts = [
        m.ihdr(side, side),
        m.chunk(b"acTL", struct.pack(">II", 40, 0)),
        control(),
        m.chunk(b"IDAT", rows),
    ]
    for _ in range(39):
        parts += [control(), m.chunk(b"fdAT", struct.pack(">I", next(sequence)) + rows)]
    return raw_png(*parts, m.chunk(b"IEND"))


def comment(size: int) -> bytes:
    """A comment of a JPEG."""
    return b"\xff\xfe" + struct.pack(">H", size + 2) + b"c" * size


def several() -> bytes:
    """A photograph with a preview behind it, as cameras write it (CIPA DC-007)."""
    return m.drawn("MPO", save_all=True, append_images=[m.picture(8, 8)])


def gif_size(width: int, height: int) -> bytes:
    """A GIF whose screen is of another size than its frame."""
    data = m.gif()
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def gif_frames(count: int) -> bytes:
    """Frames as large as a screen of 1,000 × 1,000 that hold next to nothing."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1000, 1000, 0) + b"\x02\x02\x4c\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", 1000, 1000, 0x80, 0, 0) + bytes(6) + frame * count + b";"


def webp_size(width: int, height: int) -> bytes:
    """A WebP picture whose bitstream says that it is of another size."""
    data = m.webp()
    at = data.index(b"\x9d\x01\x2a") + 3
    return data[:at] + struct.pack("<HH", width, height) + data[at + 4 :]


def webp_extended(width: int, height: int) -> bytes:
    """A WebP picture with a header of its own, which says a size."""
    header = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + header + m.webp()[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_with(kind: bytes, payload: bytes) -> bytes:
    """A WebP picture with one chunk more."""
    more = kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) & 1)
    body = m.webp()[8:] + more
    return b"RIFF" + struct.pack("<I", len(body)) + body
