"""Hostile files are refused, each for what it is; ordinary files of many producers are taken."""

from __future__ import annotations

import io
import time
import zipfile

import pytest
from PIL import Image

from bylaw.content import FAULTS, KINDS, Facts, Hostile, Limits, detect, examine, require
from bylaw.errors import MisuseError
from tests.content import making as m
from tests.content.corpus import Sample, hostile, ordinary

LIMITS = Limits()


@pytest.mark.requirement("S1-092", "S1-093", "S2-075", "C-29")
@pytest.mark.parametrize("sample", hostile(), ids=lambda sample: sample.id)
def test_a_hostile_file_is_refused_for_what_it_is(sample: Sample) -> None:
    """Whoever sends a file that is not what its name says, or more than that, is told what was found."""
    stream = io.BytesIO(sample.data)
    began = time.process_time()
    with pytest.raises(Hostile) as refused:
        examine(stream, sample.kind, LIMITS)
    assert (sample.id, refused.value.code) == (sample.id, sample.fault)
    assert refused.value.code == "empty" or refused.value.detail
    assert len(refused.value.detail) < 250
    assert stream.tell() == 0
    assert time.process_time() - began < 2


@pytest.mark.requirement("S1-092", "S1-093")
@pytest.mark.parametrize("sample", ordinary(), ids=lambda sample: sample.id)
def test_an_ordinary_file_is_taken(sample: Sample) -> None:
    """A strict check that refused what people really have would be switched off the next day."""
    stream = io.BytesIO(sample.data)
    facts = examine(stream, sample.kind, LIMITS)
    assert bool(facts.width and facts.height) == KINDS[sample.kind].image
    assert stream.tell() == 0


def test_every_fault_is_shown() -> None:
    """No fault stands in the list that nothing was ever refused for."""
    assert {sample.fault for sample in hostile()} == set(FAULTS)


def test_what_other_readers_make_of_the_corpus() -> None:
    """The attack is real: Pillow and zipfile open files of the corpus that the checks refuse."""
    data = {sample.id: sample.data for sample in hostile()}
    for name in ("script-inside-jpg", "zip-inside-png", "jpg-then-xlsx", "jpg-film"):
        Image.open(io.BytesIO(data[name])).load()
    for name in ("jpg-then-xlsx", "zip-in-pdf", "xlsx-unlisted", "xlsx-comment-behind", "xlsx-link"):
        assert zipfile.ZipFile(io.BytesIO(data[name])).namelist()


def test_what_is_learnt_of_a_file() -> None:
    """Size, frames, encoding and members are handed on."""
    of = {sample.id: (sample.data, sample.kind) for sample in ordinary()}

    def facts(name: str) -> Facts:
        data, kind = of[name]
        return examine(io.BytesIO(data), kind, LIMITS)

    assert facts("png-large") == Facts(width=900, height=700)
    assert facts("jpg-large") == Facts(width=1500, height=1000)
    assert facts("png-moving") == Facts(width=16, height=12, frames=3)
    assert facts("gif-moving").frames == 4
    assert facts("webp-moving").frames == 3
    assert facts("xlsx-plain").members == 5
    assert facts("xlsx-plain").unpacked > 1_000
    assert facts("csv-utf-8-sig").encoding == "utf-8-sig"
    assert facts("csv-utf-16-be").encoding == "utf-16-be"
    assert facts("csv-cp1252").encoding == "cp1252"
    assert facts("csv-cyrillic").encoding == "cp1252"  # a guess: whoever imports it may say otherwise
    assert facts("csv-shift-jis").encoding == ""


@pytest.mark.parametrize(
    ("kind", "limits", "fault"),
    [
        ("png", Limits(pixels=16 * 12 - 1), "too_many_pixels"),
        ("jpg", Limits(pixels=16 * 12 - 1), "too_many_pixels"),
        ("gif", Limits(pixels=16 * 12 - 1), "too_many_pixels"),
        ("webp", Limits(pixels=16 * 12 - 1), "too_many_pixels"),
        ("xlsx", Limits(entries=4), "too_many_members"),
        ("xlsx", Limits(unpacked=1_000), "bomb"),
    ],
)
def test_a_limit_is_kept_to_the_last_unit(kind: str, limits: Limits, fault: str) -> None:
    """What is exactly at the limit is taken, one more is not."""
    plain = {"png": m.png, "jpg": m.jpeg, "gif": m.gif, "webp": m.webp, "xlsx": m.xlsx}[kind]()
    with pytest.raises(Hostile) as refused:
        examine(io.BytesIO(plain), kind, limits)
    assert refused.value.code == fault
    facts = examine(io.BytesIO(plain), kind, LIMITS)
    exact = Limits(pixels=16 * 12, entries=5, unpacked=facts.unpacked or 1)
    assert examine(io.BytesIO(plain), kind, exact) == facts


@pytest.mark.parametrize("kind", ["jpg", "pdf", "gif"])
def test_ends_are_exact_where_that_is_asked(kind: str) -> None:
    """White space behind the end is let be, or not; a PDF's last line may always end."""
    data = {"jpg": m.jpeg, "pdf": m.pdf, "gif": m.gif}[kind]() + b"\n\0 \n"
    examine(io.BytesIO(data), kind, LIMITS)
    with pytest.raises(Hostile, match="4 bytes follow the end"):
        examine(io.BytesIO(data), kind, Limits(exact_ends=True))
    examine(io.BytesIO(m.pdf()), "pdf", Limits(exact_ends=True))


def test_the_kind_of_a_head_is_told() -> None:
    """A person who chose the wrong name is told what the file seems to be."""
    for make, kind in ((m.png, "png"), (m.jpeg, "jpg"), (m.gif, "gif"), (m.webp, "webp"), (m.pdf, "pdf")):
        assert detect(make()) == kind
    assert detect(m.xlsx()) == "xlsx"
    assert detect(m.zipped({"a": "b"})) == "zip"
    assert detect(b"one, two\n") == "txt"
    assert detect(b"\x7fELF" + bytes(60)) is None


def test_a_kind_is_an_extension() -> None:
    """A policy's list of kinds is the list of extensions: `.jpeg` is taken only where it stands."""
    assert all(kind.extensions == (name,) == (kind.name,) for name, kind in KINDS.items())
    assert KINDS["csv"].media_type == "text/csv"
    assert KINDS["jpg"].extensions != KINDS["jpeg"].extensions


def test_a_reader_that_gives_little_at_a_time_is_read_to_its_end() -> None:
    """A stream may return less than was asked for."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 7) if size and size > 0 else size)

    for make, kind in ((m.png, "png"), (m.jpeg, "jpg"), (m.pdf, "pdf"), (m.xlsx, "xlsx"), (m.csv, "csv")):
        assert examine(Slow(make()), kind, LIMITS) == examine(io.BytesIO(make()), kind, LIMITS)


def test_what_is_missing_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the extra learns the remedy when it starts, not with the first file."""
    require()

    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(MisuseError, match=r'pip install "bylaw\[files\]"'):
        require()
