"""Pictures that people bring: of any kind that Pillow reads, made into what a model looks at.

A picture's name is how it is asked for again: `gallery:FILE` and `scene:SEED` are made here, by
anyone, anywhere; every other name is the name of a file.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from PIL import Image, ImageOps, UnidentifiedImageError

from qdemo.zoo.scenes import IMAGES, draw, random_scene

MAX_PIXELS = 64_000_000
"""More than any common camera takes; up to a gigabyte while it is read."""

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "PPM", "JPEG2000")
"""What people have. Pillow reads more, but for EPS it runs Ghostscript on whatever comes, and what
is inside an icon it decodes before one can ask how large it is."""

MAX_SEED = 999_999_999
GALLERY = IMAGES / "gallery"


@dataclass(frozen=True, eq=False)
class Picture:
    """An RGB picture and the name it came by."""

    image: Image.Image
    name: str

    def __str__(self) -> str:
        """What tells this picture from every other: its name, size and the hash of its pixels."""
        digest = hashlib.sha256(self.image.tobytes()).hexdigest()
        return f"{self.name}, {self.image.width} × {self.image.height} pixels, sha256 {digest[:16]}"


@cache
def gallery() -> dict[str, Path]:
    """The pictures that come with qdemo, by name, in the order in which they are shown."""
    lines = (GALLERY / "gallery.jsonl").read_text(encoding="utf-8").splitlines()
    files = [GALLERY / json.loads(line)["file"] for line in lines]
    return {f"gallery:{file.stem}": file for file in files}


def named_picture(name: str) -> Picture:
    """The picture that a name stands for.

    Raises:
        ValueError: neither `scene:SEED` nor a `gallery:FILE` that there is.
    """
    kind, _, which = name.partition(":")
    if kind == "scene":
        return scene_picture(which)
    if name not in gallery():
        such = next(iter(gallery()))
        raise ValueError(f"unknown picture {name!r}; expected scene:NUMBER, or one such as {such}")
    return read_picture(gallery()[name], name)


def scene_picture(seed: str | int) -> Picture:
    """The emoji scene of that number.

    Raises:
        ValueError: no number from 0 to `MAX_SEED`.
    """
    text = str(seed)
    if not (text.isascii() and text.isdigit() and int(text[:10]) <= MAX_SEED and len(text) < 10):
        raise ValueError(f"unknown scene {text[:20]!r}; expected a number from 0 to {MAX_SEED:,}")
    return Picture(draw(random_scene(int(text))), f"scene:{int(text)}")


def read_picture(file: str | Path | IO[bytes], name: str) -> Picture:
    """The first frame of a picture, upright, its transparent parts on white.

    Raises:
        ValueError: it can't be read, or has more than `MAX_PIXELS`; says so in a sentence.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on sizes that are checked here
            with Image.open(file, formats=KINDS) as picture:
                _check_size(picture.size, name)
                return Picture(_upright(picture), name)
    except _TooLargeError:
        raise
    except FileNotFoundError:
        raise ValueError(f"there is no file {name}") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name} has more than {_MEGAPIXELS}") from None
    except UnidentifiedImageError:
        raise ValueError(
            f"{name} is no picture that can be read; use a JPEG, PNG or WebP"
        ) from None
    except Exception:  # Pillow's, of many kinds, on files that are cut or lie
        raise ValueError(f"{name} is broken: it ends early or isn't what it says") from None


_MEGAPIXELS = f"{MAX_PIXELS / 1e6:.0f} megapixels, the most that is read"


class _TooLargeError(ValueError):
    """It has more than `MAX_PIXELS`."""


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise _TooLargeError(f"{name} has {width} × {height} pixels, more than {_MEGAPIXELS}")


def _upright(picture: Image.Image) -> Image.Image:
    """It as RGB. A large picture has 250 MB, and is copied no more often than it must be."""
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I"):  # 16 bits a pixel, which a plain conversion would clip
        picture = picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    clear = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    whole = Image.new("RGB", clear.size, "white")
    whole.paste(clear, mask=clear)
    return whole
