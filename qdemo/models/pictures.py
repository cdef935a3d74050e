"""Pictures that people bring: of any kind that Pillow reads, made into what a model looks at.

A picture's name is how it is asked for again: `gallery:FILE`, `scene:SEED` and `heldout:N`, a scene
that blip-tiny is judged by, are made here, by anyone, anywhere; every other name is a file's.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from base64 import b64encode
from dataclasses import dataclass
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from qdemo.models.picture_files import KINDS, TooLargeError, decoded
from qdemo.models.scenes import IMAGES, Scene, described, draw, random_scene
from qdemo.spec.messages import say

MAX_PIXELS = 64_000_000
"""More than any common camera takes; up to a gigabyte while it is read."""

MAX_SEED = 999_999_999
GALLERY = IMAGES / "gallery"
HELD_OUT = IMAGES.parent / "models" / "blip-tiny" / "heldout.jsonl"


@dataclass(frozen=True, eq=False)
class Picture:
    """An RGB picture and the name it came by; `note` says what was done to its numbers, if much."""

    image: Image.Image
    name: str
    note: str = ""

    def __str__(self) -> str:
        """What tells this picture from every other: its name, size and the hash of its pixels."""
        size = f"{self.image.width} × {self.image.height} pixels"
        told = f"{self.name}, {size}, sha256 {self._digest[:16]}"
        return "; ".join(filter(None, [told, self.note]))

    @cached_property
    def _digest(self) -> str:
        """Once: each format of a comparison asks for it, and a picture may have 200 MB."""
        return hashlib.sha256(self.image.tobytes()).hexdigest()


@cache
def gallery() -> dict[str, Path]:
    """The pictures that come with qdemo, by name, in the order in which they are shown."""
    return {f"gallery:{Path(line['file']).stem}": GALLERY / line["file"] for line in _listed()}


def captions() -> dict[str, str]:
    """What is on each picture of the gallery, in the words that blip-tiny was trained on."""
    return {f"gallery:{Path(line['file']).stem}": line["caption"] for line in _listed()}


def _listed() -> list[dict[str, str]]:
    lines = (GALLERY / "gallery.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def named_picture(name: str) -> Picture:
    """The picture that a name stands for.

    Raises:
        ValueError: as `known_name`.
    """
    known = known_name(name)
    kind, _, which = known.partition(":")
    if kind == "gallery":
        return read_picture(gallery()[known], known)
    scene = random_scene(int(which)) if kind == "scene" else _held_out()[int(which)]
    return Picture(draw(scene), known)


def known_name(name: str) -> str:
    """A picture's name as it is written here, without drawing it.

    >>> known_name("scene:007")
    'scene:7'

    Raises:
        ValueError: none of `scene:SEED`, `heldout:N`, and a `gallery:FILE` that there is.
    """
    kind, _, which = name.partition(":")
    if kind in ("scene", "heldout"):
        most = MAX_SEED if kind == "scene" else len(_held_out()) - 1
        return f"{kind}:{_number(which, most)}"
    if name not in gallery():
        such = next(iter(gallery()))
        raise ValueError(
            say(
                "unknown picture {name!r}; expected scene:NUMBER, or one such as {such}",
                name=name,
                such=such,
            )
        )
    return name


@cache
def _held_out() -> tuple[Scene, ...]:
    return tuple(map(described, HELD_OUT.read_text(encoding="utf-8").splitlines()))


def thumbnail(picture: Picture, side: int = 320) -> str:
    """A picture as a small JPEG in a `data:` address, at most `side` pixels wide and high."""
    width, height = picture.image.size
    share = min(1, side / max(width, height))
    size = max(1, round(width * share)), max(1, round(height * share))
    small, file = picture.image.resize(size, reducing_gap=2), BytesIO()
    small.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"


def thumbnail_by(told: str) -> str:
    """The same by what a report says of a picture (`str(Picture)`).

    Empty where it is not one that is made here, or where another is made by that name now.
    """
    try:
        picture = named_picture(told.partition(",")[0])
    except ValueError:
        return ""
    return thumbnail(picture) if str(picture) == told else ""


def scene_picture(seed: str | int) -> Picture:
    """The emoji scene of that number.

    Raises:
        ValueError: no number from 0 to `MAX_SEED`.
    """
    return named_picture(f"scene:{seed}")


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise ValueError(
            say(
                "unknown scene {found!r}; expected a number from 0 to {most:,}",
                found=text[:20],
                most=most,
            )
        )
    return int(text)


def read_picture(file: str | Path | IO[bytes], name: str) -> Picture:
    """The first frame of a picture, upright, its transparent parts on white.

    Raises:
        ValueError: it can't be read, or has more than `MAX_PIXELS`; says so in a sentence.
    """
    try:
        data = Path(file).read_bytes() if isinstance(file, str | Path) else file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on sizes that are checked here
            image, note = decoded(data, MAX_PIXELS)
        return Picture(image, name, note)
    except TooLargeError as error:
        raise ValueError(
            say(
                "{name} has {error}, more than {megapixels}",
                name=name,
                error=error,
                megapixels=_MEGAPIXELS,
            )
        ) from None
    except FileNotFoundError:
        raise ValueError(say("there is no file {name}", name=name)) from None
    except Image.DecompressionBombError:
        raise ValueError(
            say("{name} has more than {megapixels}", name=name, megapixels=_MEGAPIXELS)
        ) from None
    except UnidentifiedImageError:
        raise ValueError(
            say("{name} is no picture that can be read; use a JPEG, PNG or WebP", name=name)
        ) from None
    except Exception:  # Pillow's, of many kinds, on files that are cut or lie
        raise ValueError(
            say("{name} is broken: it ends early or isn't what it says", name=name)
        ) from None


def check_readable(data: bytes, name: str) -> None:
    """Whether a picture's file can be read, by its first bytes as far as these tell.

    Raises:
        ValueError: as `read_picture`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=KINDS) as picture:
                told = math.prod(picture.size) <= MAX_PIXELS
    except Exception:  # Pillow's, of many kinds; some of such files are read nevertheless
        told = False
    if not told:
        read_picture(BytesIO(data), name)


_MEGAPIXELS = f"{MAX_PIXELS / 1e6:.0f} megapixels, the most that is read"
