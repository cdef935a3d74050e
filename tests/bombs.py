"""Files that are no picture, or far more of one than their size lets expect."""

import io
import struct
import zlib

from PIL import Image

from qdemo.models.pictures import gallery

NONE = "the uploaded file is no picture that can be read; use a JPEG, PNG or WebP"
BROKEN = "the uploaded file is broken: it ends early or isn't what it says"
HUGE = "megapixels, the most that is read"


def chunk(kind, content):
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(width, height, *more):
    """A black PNG of one bit a pixel, with `more` chunks; 30,000 × 30,000 take 110 kB."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    packing = zlib.compressobj()
    row = bytes(1 + (width + 7) // 8)
    packed = b"".join(packing.compress(row) for _ in range(height)) + packing.flush()
    inner = b"".join((header, *more, chunk(b"IDAT", packed), chunk(b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + inner


def icon(picture):
    """An icon that claims 16 × 16 pixels, and has a PNG inside."""
    place = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(picture), 22)
    return struct.pack("<HHH", 0, 1, 1) + place + picture


def jpeg():
    """Enough of a JPEG to be known for one."""
    whole = io.BytesIO()
    with Image.open(gallery()["gallery:a-panda-in-the-mountains"]) as panda:
        panda.convert("RGB").save(whole, "JPEG")
    return whole.getvalue()[:3000]


TEXT = zlib.compress(bytes(100_000_000))
BOMBS = {
    "huge.png": (png(30_000, 30_000), HUGE),
    "icon.ico": (icon(png(12_000, 12_000)), NONE),
    "truncated.jpg": (jpeg(), BROKEN),
    "page.png": (b"<!doctype html><script>alert(1)</script>", NONE),
    "picture.svg": (
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        NONE,
    ),
    "program.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NONE),
    "empty.png": (b"", NONE),
}
"""Each by a name to upload it under, with the end of what is said of it."""

BESIDE = {
    "compressed-text.png": png(8, 8, chunk(b"zTXt", b"a\0\0" + TEXT)),
    "compressed-unicode.png": png(8, 8, chunk(b"iTXt", b"a\0\1\0\0\0" + TEXT)),
    "colour-profile.png": png(8, 8, chunk(b"iCCP", b"a\0\0" + TEXT)),
}
"""Pictures that are as they should be, with a bomb in what is said beside them."""
