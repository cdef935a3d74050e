"""The pixels of a picture's file, as a browser shows them: upright, in RGB, on white.

What is wrong beside the pixels, as metadata that are broken or an end mark that is missing, costs
none; and numbers of another range than 0 to 255 are scaled, which is said.
"""

from __future__ import annotations

import contextlib
import math
import struct
from io import BytesIO
from typing import Any

from PIL import Image, ImageFile

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "PPM", "JPEG2000")
"""What people have. Pillow reads more, but for EPS it runs Ghostscript on whatever comes, and what
is inside an icon it decodes before one can ask how large it is."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_FULL = (255, 1023, 4095, 16383, 65535)  # of 8, 10, 12, 14 and 16 bits


class TooLargeError(ValueError):
    """A picture has more pixels than are read."""


def decoded(data: bytes, most_pixels: int) -> tuple[Image.Image, str]:
    """The first frame, and what was done to its numbers where something was.

    Raises:
        TooLargeError: it has more than `most_pixels`, which is found out before it is decoded.
        Exception: of Pillow, of many kinds, on what can't be read.
    """
    try:
        return _decoded(data, most_pixels)
    except TooLargeError:
        raise
    except Exception:
        if data.startswith(_PNG):
            return _decoded(_bare_png(data), most_pixels)
        if data.startswith(_JPEG):
            return _whole_jpeg(data, most_pixels)
        raise


def _decoded(data: bytes, most_pixels: int) -> tuple[Image.Image, str]:
    with Image.open(BytesIO(data), formats=KINDS) as picture:
        if math.prod(picture.size) > most_pixels:
            raise TooLargeError(f"{picture.width} × {picture.height} pixels")
        raw = _raw(picture)
        picture.load()
        turn = _turn(picture)
        if picture.mode == "F" or picture.mode.startswith("I"):
            grey, note = _scaled(picture)
            return _in_rgb(grey, turn), note
        deep, note = _deep(data, picture, raw) or (picture, "")
        return _in_rgb(deep, turn), note


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """What turns it upright, by its metadata, where these can be read."""
    with contextlib.suppress(Exception):  # of Pillow, of many kinds
        return _TURNS.get(picture.getexif()[0x0112])
    return None


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF's number for how the camera was held."""


def _in_rgb(picture: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    """A large picture has 250 MB, and is copied no more often than it must be."""
    picture = picture if turn is None else picture.transpose(turn)
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    clear = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    whole = Image.new("RGB", clear.size, "white")
    whole.paste(clear, mask=clear)
    return whole


def _bare_png(data: bytes) -> bytes:
    """A PNG without what is not of its pixels: all chunks that a reader may leave out, but for the
    colour that is clear."""
    kept, place = [_PNG], len(_PNG)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if not kind[0] & 0x20 or kind == b"tRNS":
            kept.append(data[place:end])
        place = end
    return b"".join(kept)


def _whole_jpeg(data: bytes, most_pixels: int) -> tuple[Image.Image, str]:
    """A JPEG that only lacks its end: whatever stands in the end's place, its pixels are the same.

    Raises:
        OSError: they are not, as pixels are missing too.
    """
    data = data.rstrip(b"\xff")  # the first half of a mark
    ends = b"\xff\xd9", bytes(range(1, 128)) + b"\xff\xd9"
    (one, note), (other, _) = (_decoded(data + end, most_pixels) for end in ends)
    if one.tobytes() != other.tobytes():
        raise OSError("it ends early")
    return one, note


def _scaled(picture: Image.Image) -> tuple[Image.Image, str]:
    """One number a pixel, which may be of any size, as a grey of 0 to 255."""
    import numpy as np

    numbers = np.asarray(picture).astype(np.float32)
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    black, white = _ends(low, high, whole=picture.mode != "F")
    np.nan_to_num(numbers, copy=False, nan=black, posinf=white, neginf=black)
    numbers -= black
    numbers *= 255 / (white - black)
    grey = Image.fromarray(numbers.clip(0, 255, out=numbers).round(out=numbers).astype(np.uint8))
    usual = picture.mode.startswith("I;16") and white == _FULL[-1]
    return grey, "" if usual else _said(low, high, black, white)


def _ends(low: float, high: float, whole: bool) -> tuple[float, float]:
    """The numbers that are black and white: those of a range that is in use, if one fits."""
    full = _FULL if whole else (1, 255)
    if low >= 0 and high <= full[-1]:
        return 0, next(end for end in full if high <= end)
    return low, high if high > low else low + 1


def _said(low: float, high: float, black: float, white: float) -> str:
    return (
        f"its numbers go from {low:,.6g} to {high:,.6g}, of which {black:,.6g} is black and "
        f"{white:,.6g} white"
    )


def _deep(data: bytes, upper: Image.Image, raw: str) -> tuple[Image.Image, str] | None:
    """Colours of 16 bits that hold fewer, of which Pillow takes the `upper` 8; None where they fill
    these, or have no more than 8 to begin with."""
    if raw not in _SWAPPED:
        return None
    import numpy as np

    high = np.asarray(upper)
    if high.max() > _FULL[-2] >> 8:
        return None
    with Image.open(BytesIO(data), formats=KINDS) as picture:
        assert isinstance(picture, ImageFile.ImageFile)
        picture.tile = [
            tile._replace(args=_with(tile.args, _SWAPPED[raw])) for tile in picture.tile
        ]
        numbers = np.asarray(picture) + high.astype(np.float32) * 256
    _, white = _ends(0, float(numbers.max()), whole=True)
    note = _said(float(numbers.min()), float(numbers.max()), 0, white)
    numbers *= 255 / white
    return Image.fromarray(numbers.round(out=numbers).astype(np.uint8)), note


_SWAPPED = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B"}
"""Of two bytes Pillow takes the upper; with their order swapped it takes the lower."""


def _raw(picture: Image.Image) -> str:
    """How numbers lie in the file, which is known until they are loaded."""
    tiles = picture.tile if isinstance(picture, ImageFile.ImageFile) else []
    args = tiles[0].args if tiles else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _with(args: Any, raw: str) -> Any:
    """A decoder's arguments, of which the first is how numbers lie."""
    return (raw, *args[1:]) if isinstance(args, tuple) else raw
