"""Pictures made anew and made small: upright, without anything but their pixels, within bounds."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bylaw.content import KINDS, Hostile, Limits, examine, reencoded, thumbnail
from tests.content import making as m
from tests.content.corpus import Sample, ordinary
from tests.content.producers import exif, profile

PICTURES = [sample for sample in ordinary() if KINDS[sample.kind].image]
SECRET = b"51.477928,-0.001545"


def drawn_anew(data: bytes, kind: str) -> bytes:
    """The picture's new bytes."""
    with reencoded(io.BytesIO(data), kind, Limits()) as out:
        return out.read()


@pytest.mark.parametrize("sample", PICTURES, ids=lambda sample: sample.id)
def test_every_ordinary_picture_can_be_drawn(sample: Sample) -> None:
    """What was taken is shown, and what is made of it is an ordinary picture of the same kind and size."""
    facts = examine(io.BytesIO(sample.data), sample.kind, Limits())
    again = drawn_anew(sample.data, sample.kind)
    new = examine(io.BytesIO(again), sample.kind, Limits(exact_ends=True))
    assert {new.width, new.height} == {facts.width, facts.height}
    assert new.frames == facts.frames
    small = Image.open(io.BytesIO(thumbnail(io.BytesIO(sample.data), sample.kind, 8)))
    assert max(small.size) <= 8
    assert small.format in ("PNG", "JPEG")


@pytest.mark.requirement("C-29")
@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_nothing_but_the_pixels_is_left(kind: str) -> None:
    """A photograph says where it was taken, and may carry a program in its comments: neither is there any
    more.
    """
    said = exif()
    said[0x010E] = SECRET.decode()
    form = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[kind]
    more = {"comment": SECRET} if kind == "jpg" else {}
    before = m.drawn(form, width=40, height=20, exif=said, icc_profile=profile(), **more)
    assert SECRET in before
    after = drawn_anew(before, kind)
    assert SECRET not in after
    image = Image.open(io.BytesIO(after))
    assert not image.getexif()
    assert not {"icc_profile", "comment", "exif", "xmp"} & image.info.keys()
    assert image.size == (20, 40)  # it lay on its side


def test_a_thumbnail_is_upright_and_small() -> None:
    """The list of attachments shows photographs as they were meant to be seen, in few bytes."""
    photograph = m.jpeg(1200, 600, exif=exif())
    small = thumbnail(io.BytesIO(photograph), "jpg")
    image = Image.open(io.BytesIO(small))
    assert (image.format, image.size, len(small) < 20_000) == ("JPEG", (128, 256), True)
    assert not image.getexif()
    clear = Image.new("RGBA", (300, 300), (255, 0, 0, 0))
    out = io.BytesIO()
    clear.save(out, "PNG")
    assert Image.open(io.BytesIO(thumbnail(out, "png"))).format == "PNG"


def test_only_the_decoder_of_its_kind_is_opened() -> None:
    """A TIFF named .png never reaches the decoder of TIFF, of which there were the most flaws."""
    with pytest.raises(Hostile) as refused:
        thumbnail(io.BytesIO(m.drawn("TIFF")), "png")
    assert refused.value.code == "unreadable"
    with pytest.raises(Hostile):
        reencoded(io.BytesIO(m.jpeg()), "png", Limits())


def test_more_pixels_than_are_accepted_are_not_decoded() -> None:
    """The bound holds also where the structure was not looked at before."""
    for draw in (lambda: thumbnail(io.BytesIO(m.png(40, 40)), "png", limits=Limits(pixels=1_000)),
                 lambda: reencoded(io.BytesIO(m.png(40, 40)), "png", Limits(pixels=1_000))):  # fmt: skip
        with pytest.raises(Hostile) as refused:
            draw()
        assert refused.value.code == "too_many_pixels"


def test_samples_that_stop_in_the_middle_are_drawn_as_far_as_they_go() -> None:
    """A JPEG whose pixels break off before a proper end passes the walk of its markers; drawn anew it is
    whole.
    """
    data = m.jpeg(200, 200, quality=95)
    cut = data[: len(data) // 2].rstrip(b"\xff") + b"\xff\xd9"
    examine(io.BytesIO(cut), "jpg", Limits())
    again = drawn_anew(cut, "jpg")
    assert again[again.index(b"\xff\xda") :].count(b"\xff\xd9") == 1
    assert examine(io.BytesIO(again), "jpg", Limits(exact_ends=True)).width == 200


def test_what_is_no_picture_is_handed_back() -> None:
    """Re-encoding is for pictures; a certificate stays as it was signed."""
    stream = io.BytesIO(m.pdf())
    stream.read(5)
    assert reencoded(stream, "pdf", Limits()) is stream
    assert stream.tell() == 0
    with pytest.raises(Hostile, match="Nothing draws"):
        thumbnail(stream, "pdf")
