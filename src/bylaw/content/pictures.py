"""Pictures made anew: what is shown is drawn from the pixels, so nothing else of the file is left.

Re-encoding drops whatever rides beside the pixels or between them: places and names in EXIF, scripts in
comments, bytes that are only there to be something else (OWASP File Upload Cheat Sheet, "Image Rewrite").
Only the decoder of the kind that the structure showed is opened; the size is looked at before a pixel is
(`Limits.pixels`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import struct
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from bylaw.content.faults import Hostile
from bylaw.content.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS: Final = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "gif": "GIF", "webp": "WEBP"}
_SPOOLED: Final = 1024 * 1024
_KEPT: Final = ("transparency", "duration", "loop", "disposal", "blend")
"""What belongs to the pixels of a picture, or to how its frames follow each other."""
_QUALITY: Final = 90
_DAMAGED: Final = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError,
                   RuntimeError, AttributeError, struct.error, Warning)  # fmt: skip
"""What decoders raise for damaged pictures. Of damaged metadata Pillow warns; some make errors of warnings.
"""

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


def redraw(stream: BinaryIO, kind: str, limits: Limits) -> BinaryIO:
    """The picture alone, upright, in the same format; a spooled file at its beginning. Raises Hostile,
    and OSError where there is no room for it.
    """
    form = _FORMATS[kind]
    out = tempfile.SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115 - the caller closes it
    try:
        with _opened(stream, kind, limits.pixels) as image, _refused():
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and form != "JPEG":  # a preview behind a photograph is no second frame
                _moving(image, frames, form, out)
            else:
                _save(_upright(image, form), form, out)
    except BaseException:
        out.close()
        raise
    out.seek(0)
    return cast("BinaryIO", out)


def small(stream: BinaryIO, kind: str, box: int, pixels: int) -> bytes:
    """The first frame, upright, within `box` × `box` pixels: JPEG, or PNG where something shines through."""
    out = io.BytesIO()
    with _opened(stream, kind, pixels) as image, _refused():
        image.draft("RGB", (box, box))
        if image.mode in ("I", "F", "I;16", "I;16B", "I;16L", "I;16N"):
            picture = image.convert("I").point(lambda value: value / 256).convert("L")
        else:
            picture = _coloured(image, "RGBA" if image.has_transparency_data else "RGB")
        picture.thumbnail((box, box))
        picture = _transposed(picture)
        clear = picture.mode == "RGBA" and _extrema(picture) < 255
        picture = picture if clear else picture.convert("RGB")
        picture.info.clear()
        picture.save(out, "PNG" if clear else "JPEG", optimize=True)
    return out.getvalue()


@contextlib.contextmanager
def _opened(stream: BinaryIO, kind: str, pixels: int) -> Iterator[Image]:
    """With the one decoder that its kind needs, and no more pixels than are accepted."""
    from PIL import Image as Pillow

    stream.seek(0)
    try:
        with _refused():
            image: Any = Pillow.open(stream, formats=[_FORMATS[kind]])
        if image.width * image.height > pixels:
            raise Hostile(
                "too_many_pixels", f"It says {image.width * image.height:,}; {pixels:,} are accepted."
            )
        yield image
    finally:
        stream.seek(0)


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    """Whatever a decoder says about a damaged picture is one fault of the picture."""
    from PIL import Image as Pillow

    try:
        yield
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        raise Hostile("too_many_pixels") from None
    except _DAMAGED as fault:
        if isinstance(fault, OSError) and fault.errno in _NO_ROOM:
            raise  # of the disk, not of the picture
        raise Hostile("unreadable", f"Its pixels cannot be drawn ({type(fault).__name__}).") from None


def _transposed(image: Image) -> Image:
    """As a camera meant it to be seen (EXIF, Orientation); the tag goes with the rest of the metadata."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _upright(image: Image, form: str) -> Image:
    """A copy without anything but its pixels, in a form that the format can hold."""
    profile = image.info.get("icc_profile")
    image = _transposed(image)
    if form == "JPEG":
        image = _coloured(image, "L" if image.mode == "L" and not profile else "RGB", profile)
    elif profile and image.mode in ("RGB", "RGBA"):
        image = _coloured(image, image.mode, profile)
    kept: dict[str | tuple[int, int], Any] = {key: image.info[key] for key in _KEPT if key in image.info}
    image = image.copy()
    image.info.clear()
    image.info.update(kept)
    return image


def _coloured(image: Image, mode: str, profile: bytes | None = None) -> Image:
    """In this mode, with the colours that a profile meant, since the profile itself goes."""
    profile = profile or image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        from PIL import ImageCms

        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            wanted = "RGBA" if image.mode == "RGBA" else "RGB"
            shown = ImageCms.profileToProfile(image, given, ImageCms.createProfile("sRGB"), outputMode=wanted)
            image = shown if shown is not None else image
    return image if image.mode == mode else image.convert(mode)


def _moving(image: Image, frames: int, form: str, out: Any) -> None:
    """Every frame, and how long each is seen."""
    pictures, lasting = [], []
    for number in range(frames):
        image.seek(number)
        lasting.append(int(image.info.get("duration", 100)))
        picture = image.convert("RGBA" if form != "GIF" or image.has_transparency_data else "RGB")
        picture.info.clear()
        pictures.append(picture)
    loop = int(image.info.get("loop", 0))
    pictures[0].save(out, form, save_all=True, append_images=pictures[1:], duration=lasting, loop=loop)


def _save(image: Image, form: str, out: Any) -> None:
    if form == "JPEG":
        image.save(out, form, quality=_QUALITY, optimize=True)
    elif form == "WEBP":
        image.save(out, form, quality=_QUALITY)
    else:
        image.save(out, form)


def _extrema(image: Image) -> int:
    low, _ = cast("tuple[int, int]", image.getchannel("A").getextrema())
    return low
