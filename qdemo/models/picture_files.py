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

from PIL import Image, ImageChops, ImageFile

from qdemo.spec.messages import say

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
            with contextlib.suppress(Exception):
                return _whole_jpeg(data, most_pixels)
            return _whole_jpeg(_bare_jpeg(data), most_pixels)
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
    for xmp in ("xmp", "XML:com.adobe.xmp"):  # by which no browser goes
        picture.info.pop(xmp, None)
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


def _bare_jpeg(data: bytes) -> bytes:
    """A JPEG without what programs have written for themselves, up to its pixels; but for what is
    said of its colours, where that is whole."""
    kept, place = [_JPEG], len(_JPEG)
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] not in (b"", b"\xda"):
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place:end]
        of_programs = 0xE0 <= segment[1] <= 0xEF or segment[1] == 0xFE
        if not of_programs or (segment[4:9] == b"Adobe" and len(segment) >= _ADOBE):
            kept.append(segment)
        place = max(end, place + 2)
    return b"".join((*kept, data[place:]))


_ADOBE = 16  # bytes


def _whole_jpeg(data: bytes, most_pixels: int) -> tuple[Image.Image, str]:
    """A JPEG that only lacks its end: whatever stands in the end's place, its pixels are the same.

    Raises:
        OSError: they are not, as pixels are missing too.
    """
    data = data.rstrip(b"\xff")  # the first half of a mark
    ends = b"\xff\xd9", bytes(range(1, 128)) + b"\xff\xd9"
    (one, note), (other, _) = (_decoded(data + end, most_pixels) for end in ends)
    if one.tobytes() != other.tobytes():
        raise OSError(say("it ends early"))
    return one, note


def _scaled(picture: Image.Image) -> tuple[Image.Image, str]:
    """One number a pixel, which may be of any size, as a grey of 0 to 255."""
    import numpy as np

    numbers = np.asarray(picture)
    if _is_unsigned(picture):
        numbers = numbers.view(np.uint32)
    numbers = numbers.astype(np.float32)
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    black, white = _ends(low, high, whole=picture.mode != "F")
    np.nan_to_num(numbers, copy=False, nan=black, posinf=white, neginf=black)
    numbers -= black
    numbers *= 255 / (white - black)
    grey = Image.fromarray(numbers.clip(0, 255, out=numbers).round(out=numbers).astype(np.uint8))
    if picture.mode.startswith("I;16") and _tag(picture, _PHOTOMETRIC) == 0:  # white is zero
        grey = ImageChops.invert(grey)
    # Pillow has scaled a PPM, by what it says is its largest.
    usual = white == _FULL[-1] and (picture.mode.startswith("I;16") or picture.format == "PPM")
    return grey, "" if usual else _said(low, high, black, white)


def _ends(low: float, high: float, whole: bool) -> tuple[float, float]:
    """The numbers that are black and white: those of a range that is in use, if one fits."""
    full, over = (_FULL, 0.0) if whole else ((1, 255), 0.1)  # a resampling goes beyond both ends
    if low >= -over and high <= full[-1] + over:
        return 0, next(end for end in full if high <= end + over)
    return low, high if high > low else low + max(1.0, abs(low))


_PHOTOMETRIC, _BITS, _SAMPLES = 262, 258, 339  # of TIFF


def _tag(picture: Image.Image, number: int) -> Any:
    """What a TIFF says of itself; None of what it does not say, and of other files."""
    return getattr(picture, "tag_v2", {}).get(number)


def _is_unsigned(picture: Image.Image) -> bool:
    """Whether there are 32 bits without a sign, which Pillow takes for numbers that have one."""
    said = _tag(picture, _BITS), _tag(picture, _SAMPLES) or (1,)
    return picture.mode == "I" and said == ((32,), (1,))


def _said(low: float, high: float, black: float, white: float) -> str:
    return say(
        "its numbers go from {low:,.6g} to {high:,.6g}, of which {black:,.6g} is black "
        "and {white:,.6g} white",
        low=low,
        high=high,
        black=black,
        white=white,
    )


def _deep(data: bytes, upper: Image.Image, raw: str) -> tuple[Image.Image, str] | None:
    """Colours of 16 bits that hold fewer, of which Pillow takes the `upper` 8; None where they fill
    these, or have no more than 8 to begin with."""
    if raw not in _SWAPPED:
        return None
    import numpy as np

    high = np.asarray(upper)
    if high[..., :3].max() > _FULL[-2] >> 8:
        return None
    with Image.open(BytesIO(data), formats=KINDS) as picture:
        assert isinstance(picture, ImageFile.ImageFile)
        picture.tile = [
            tile._replace(args=_with(tile.args, _SWAPPED[raw])) for tile in picture.tile
        ]
        numbers = np.asarray(picture) + high.astype(np.float32) * 256
    colours, clear = numbers[..., :3], numbers[..., 3:]
    _, white = _ends(0, float(colours.max()), whole=True)
    note = _said(float(colours.min()), float(colours.max()), 0, white)
    colours *= 255 / white
    clear *= 255 / _ends(0, float(clear.max(initial=0)), whole=True)[1]
    return Image.fromarray(numbers.round(out=numbers).astype(np.uint8)), note


_SWAPPED = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGBA;16B": "RGBA;16L",
            "RGBA;16L": "RGBA;16B"}  # fmt: skip
"""Of two bytes Pillow takes the upper; with their order swapped it takes the lower."""


def _raw(picture: Image.Image) -> str:
    """How numbers lie in the file, which is known until they are loaded."""
    tiles = picture.tile if isinstance(picture, ImageFile.ImageFile) else []
    args = tiles[0].args if tiles else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _with(args: Any, raw: str) -> Any:
    """A decoder's arguments, of which the first is how numbers lie."""
    return (raw, *args[1:]) if isinstance(args, tuple) else raw
