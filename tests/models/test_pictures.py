"""Pictures as people bring them: made here, byte by byte where Pillow would not make them."""

import base64
import hashlib
import io
import struct
import tracemalloc
import zlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps, ImageStat

from qdemo.models import pictures, places
from qdemo.models.pictures import (
    GALLERY,
    MAX_PIXELS,
    MAX_SEED,
    Picture,
    gallery,
    named_picture,
    read_picture,
    scene_picture,
    thumbnail,
    thumbnail_by,
)

CORNERS = {(0, 0): (255, 0, 0), (1, 0): (0, 255, 0), (0, 1): (0, 0, 255), (1, 1): (255, 255, 0)}


def four_corners(size=(64, 32)):
    """Red, green; blue, yellow: which way up it is can be seen."""
    picture = Image.new("RGB", (2, 2))
    for place, colour in CORNERS.items():
        picture.putpixel(place, colour)
    return picture.resize(size, Image.Resampling.NEAREST)


def corners(picture):
    width, height = picture.size
    places = [(2, 2), (width - 3, 2), (2, height - 3), (width - 3, height - 3)]
    return [picture.getpixel(place) for place in places]


def written(picture, format, **options):
    file = io.BytesIO()
    picture.save(file, format, **options)
    file.seek(0)
    return file


def read(file):
    return read_picture(file, "mine").image


def close(colours, wanted, tolerance=30):
    """Whether the colours are those, as far as a lossy file keeps them."""
    difference = torch.tensor(colours) - torch.tensor(wanted)
    return difference.abs().max().item() <= tolerance


def lying_png(width, height):
    """A PNG of a few bytes that says it is that large."""

    def chunk(kind, data):
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + data)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_turned_picture_is_upright(orientation, format):
    lying = four_corners()
    turns = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
             6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip
    if orientation > 1:
        lying = lying.transpose(Image.Transpose[turns[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = read(written(lying, format, exif=exif, quality=95))
    assert upright.size == (64, 32)
    assert close(corners(upright), list(CORNERS.values()))


def test_cmyk_becomes_rgb():
    picture = read(written(four_corners().convert("CMYK"), "JPEG", quality=95))
    assert picture.mode == "RGB"
    assert close(corners(picture), list(CORNERS.values()))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF"])
def test_what_is_transparent_is_white(format):
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 20, 40))
    picture = read(written(clear, format, **({"lossless": True} if format == "WEBP" else {})))
    assert picture.mode == "RGB"
    assert (picture.getpixel((5, 5)), picture.getpixel((35, 5))) == ((0, 0, 255), (255, 255, 255))


def test_half_transparent_is_half_white():
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
    assert close([read(written(half, "PNG")).getpixel((4, 4))], [(255, 127, 127)], tolerance=1)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_one_colour_that_is_declared_clear_is_white(mode):
    clear = 0 if mode == "L" else (0, 0, 0)
    picture = read(written(Image.new(mode, (8, 8), clear), "PNG", transparency=clear))
    assert picture.getpixel((4, 4)) == (255, 255, 255)


def test_an_animation_is_its_first_frame():
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    more = {"save_all": True, "append_images": frames[1:]}
    for format, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        assert read(written(frames[0], format, **more, **options)).getpixel((8, 8)) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16", "RGB"])
def test_pngs_of_every_depth_are_as_bright(mode):
    grey = Image.linear_gradient("L")
    if mode == "I;16":
        deep = Image.new("I;16", grey.size)
        deep.putdata([257 * value for value in grey.get_flattened_data()])
    else:
        deep = grey.convert(mode)
    picture = read(written(deep, "PNG"))
    assert picture.mode == "RGB"
    means = [sum(picture.getpixel((x, y))[0] for x in range(256)) / 256 for y in (0, 64, 128, 255)]
    assert close([means], [[0, 64, 128, 255]], tolerance=8)


def test_a_palette_with_clear_colours():
    picture = four_corners().quantize(4)
    opaque = read(written(picture, "PNG"))
    assert corners(opaque) == list(CORNERS.values())
    red = picture.getpixel((2, 2))
    clear = read(written(picture, "PNG", transparency=red))
    assert corners(clear) == [(255, 255, 255), *list(CORNERS.values())[1:]]


@pytest.mark.parametrize("format", ["BMP", "TIFF", "PPM", "AVIF", "JPEG2000"])
def test_other_formats_are_read_too(format):
    picture = four_corners((64, 64))
    assert close(corners(read(written(picture, format))), list(CORNERS.values()))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_any_shape_is_a_picture(size):
    assert read(written(Image.new("RGB", size), "PNG")).size == size


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_file_that_ends_early_is_broken(format, kept):
    noise = Image.effect_noise((64, 64), 80).convert("RGB")
    whole = written(noise, format).getvalue()
    with pytest.raises(
        ValueError, match=r"^mine (is broken: it ends early|is no picture that can)"
    ):
        read(io.BytesIO(whole[: int(len(whole) * kept)]))


@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
def test_a_damaged_file_is_read_or_told(format, data):
    damaged = bytearray(written(four_corners(), format).getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    error = told(io.BytesIO(bytes(damaged)))
    assert error is None or (error.startswith("mine ") and error.isprintable())


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_told(content):
    assert told(io.BytesIO(content)) in (
        None,
        "mine is no picture that can be read; use a JPEG, PNG or WebP",
        "mine is broken: it ends early or isn't what it says",
    )


def told(file):
    """What is wrong with the file, or None."""
    try:
        read(file)
    except ValueError as error:
        return str(error)
    return None


def test_a_text_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_text("just words")
    with pytest.raises(ValueError, match=r"^a\.png is no picture that can be read; use a JPEG"):
        read_picture(tmp_path / "a.png", "a.png")
    svg = io.BytesIO(b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>")
    assert told(svg).startswith("mine is no picture")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"^there is no file mine"):
        read_picture(tmp_path / "none.png", "mine")
    with pytest.raises(ValueError, match=r"^mine "):
        read_picture(tmp_path, "mine")


@pytest.mark.parametrize("size", [(8001, 8000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_a_huge_picture_is_refused_before_it_is_decoded(size):
    tracemalloc.start()
    error = told(lying_png(*size))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "megapixels" in error
    assert peak < 5e6


def test_a_bomb_of_zeros_is_refused_as_well():
    # 300 MB of one colour are 300 kB as a file: this many pixels are never asked for.
    bomb = written(Image.new("1", (12_000, 12_000)), "PNG")
    assert len(bomb.getvalue()) < 1e6
    assert told(bomb) == (
        "mine has 12000 × 12000 pixels, more than 64 megapixels, the most that is read"
    )


def test_a_header_that_lies_within_the_limit_is_broken():
    assert told(lying_png(3000, 2000)).startswith("mine is broken")


def test_fifty_megapixels_are_read(monkeypatch):
    assert MAX_PIXELS >= 50_000_000
    monkeypatch.setattr(pictures, "MAX_PIXELS", 100)
    assert told(written(Image.new("RGB", (10, 10)), "PNG")) is None
    assert "10 × 11 pixels" in told(written(Image.new("RGB", (10, 11)), "PNG"))


@given(st.integers(0, MAX_SEED))
def test_a_scene_is_the_same_each_time(seed):
    assert str(named_picture(f"scene:{seed}")) == str(scene_picture(seed))


def test_scenes_differ_and_are_named():
    shown = {str(scene_picture(seed)) for seed in range(20)}
    assert len(shown) == 20
    assert scene_picture("007").name == scene_picture(7).name == "scene:7"


def test_the_gallery_is_what_lies_in_its_folder():
    assert sorted(path.name for path in gallery().values()) == sorted(
        path.name for path in GALLERY.glob("*.png")
    )
    for name, path in gallery().items():
        assert name == f"gallery:{path.stem}"
        picture = named_picture(name)
        assert (picture.name, picture.image.mode) == (name, "RGB")


HOSTILE = (
    "scene:-1", "scene:1e9", "scene:1000000000", "scene:", "scene:٣", "scene:³", "scene: 3",
    "heldout:400", "heldout:-1", "heldout:", "heldout:x",
    "scene:3\n", "scene:+3", "scene:0x3", "scene:3:4", "scene:" + "9" * 5000, "SCENE:3",
    "gallery:../../etc/passwd", "gallery:", "gallery:nothing", "gallery:gallery.jsonl",
    "gallery:a-panda-in-the-mountains.png", "/etc/passwd", "file:///etc/passwd", "README.md", "",
    ":", "a\x00b", "../a.png", "x" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_that_is_none_is_refused_in_words(name):
    with pytest.raises(ValueError, match=r"^unknown (scene|picture) ") as caught:
        named_picture(name)
    assert str(caught.value).isprintable()


@given(st.text(max_size=30))
def test_no_name_but_ours_is_a_picture(name):
    error = None
    try:
        named_picture(name)
    except ValueError as raised:
        error = str(raised)
    assert error or name in gallery() or name.startswith("scene:")


def test_a_picture_is_told_by_its_pixels():
    red, blue = (Image.new("RGB", (3, 2), colour) for colour in ("red", "blue"))
    digest = hashlib.sha256(bytes((255, 0, 0)) * 6).hexdigest()[:16]
    assert str(Picture(red, "a")) == f"a, 3 × 2 pixels, sha256 {digest}"
    assert str(Picture(blue, "a")) != str(Picture(red, "a"))
    assert str(Picture(ImageOps.mirror(red), "a")) == str(Picture(red, "a"))


def test_what_is_kept_of_painted_places_is_bounded_and_drawn_the_same_again():
    first = scene_picture(0).image.tobytes()
    for seed in range(1, 25):  # more places than there is room for
        scene_picture(seed)
    assert 0 < places._PAINTED.currsize <= 4_000_000
    assert scene_picture(0).image.tobytes() == first


@pytest.mark.parametrize("name", ["scene:7", next(iter(gallery()))])
def test_a_picture_that_is_made_here_has_a_thumbnail(name):
    whole = named_picture(name)
    assert thumbnail_by(str(whole)) == thumbnail(whole)
    kind, _, data = thumbnail(whole, 64).partition(",")
    small = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == "data:image/jpeg;base64"
    assert max(small.size) == 64
    shrunk = whole.image.resize(small.size)
    assert ImageStat.Stat(ImageChops.difference(shrunk, small)).mean < [12.0] * 3


def test_no_other_picture_has_one():
    told = str(named_picture("scene:7"))
    for other in (
        "a prompt",
        "scene:7",
        "me.jpg, 1 × 1 pixels, sha256 0",
        f"{told[:-1]}x",
        told[1:],
    ):
        assert thumbnail_by(other) == ""
