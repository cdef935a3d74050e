"""Files whose pixels are all there, whatever else is wrong with them; and numbers of any range."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from qdemo.models.pictures import gallery, read_picture

DOG = Image.open(gallery()["gallery:a-woman-and-a-dog-on-the-beach"]).convert("RGB")
END = 12  # bytes of a PNG's last chunk
GARBAGE = b"garbage!" * 5


def written(picture, format, **options):
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def chunk(kind, data, right=True):
    check = zlib.crc32(kind + data) ^ (not right)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def read(data):
    return read_picture(io.BytesIO(data), "mine")


def pixels(picture):
    return np.asarray(picture).astype(int)


PNG = written(DOG, "PNG")
HEAD = 8 + 25  # of the signature and the first chunk


@pytest.mark.parametrize(
    "more",
    [
        chunk(b"eXIf", GARBAGE),
        chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1", right=False),
        chunk(b"eXIf", b""),
        chunk(b"tEXt", b"a\0b", right=False),
        chunk(b"iCCP", b"x\0\0no profile"),
        chunk(b"pHYs", b"12"),
        chunk(b"gAMA", b""),
    ],
)
@pytest.mark.parametrize("place", [HEAD, len(PNG) - END])
def test_broken_metadata_of_a_png_cost_no_pixel(more, place):
    assert np.array_equal(pixels(read(PNG[:place] + more + PNG[place:]).image), pixels(DOG))


@pytest.mark.parametrize("missing", [END, END + 4])
def test_a_png_without_its_end(missing):
    assert np.array_equal(pixels(read(PNG[:-missing]).image), pixels(DOG))


def test_broken_metadata_leave_the_colour_that_is_clear():
    picture = Image.new("RGB", (8, 8), "red")
    data = written(picture, "PNG", transparency=(255, 0, 0))
    broken = data[:HEAD] + chunk(b"tEXt", b"a\0b", right=False) + data[HEAD:]
    assert read(broken).image.getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize("format", ["WEBP", "JPEG"])
def test_broken_metadata_of_other_files_cost_no_pixel(format):
    plain, odd = (written(DOG, format, **more) for more in ({}, {"exif": b"Exif\0\0" + GARBAGE}))
    assert plain != odd
    assert np.array_equal(pixels(read(odd).image), pixels(read(plain).image))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end(progressive, missing):
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = written(DOG, "JPEG", quality=90, progressive=progressive, exif=exif)
    assert np.array_equal(pixels(read(whole[:-missing]).image), pixels(read(whole).image))


@pytest.mark.parametrize("name", [b"\xe0\0\x07JFIF\0", b"\xee\0\x07Adobe", b"\xe2\0\x09MPF\0MM\0"])
def test_broken_segments_of_a_jpeg_cost_no_pixel(name):
    whole = written(DOG, "JPEG", quality=90)
    odd = whole[:2] + b"\xff" + name + whole[2:]
    assert np.array_equal(pixels(read(odd).image), pixels(read(whole).image))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_only_exif_turns_a_picture(format):
    said = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", said.decode())
    more = {"pnginfo": info} if format == "PNG" else {"xmp": said}
    upright = DOG.resize((40, 20))
    assert read(written(upright, format, **more)).image.size == (40, 20)


@given(st.integers(20, 20_000))
def test_a_jpeg_that_lacks_pixels_is_still_broken(missing):
    whole = written(DOG.resize((96, 96)), "JPEG", quality=95)
    with pytest.raises(ValueError, match=r"^mine is (broken: it ends early|no picture)"):
        read(whole[: max(0, len(whole) - missing)])


GREY = np.linspace(0, 255, 64 * 48).reshape(48, 64)


def deep(numbers, format="TIFF"):
    return written(Image.fromarray(numbers), format)


@pytest.mark.parametrize(
    ("numbers", "white", "format"),
    [
        (GREY.astype(np.int32), "255", "TIFF"),
        ((GREY * 257).astype(np.int32), "65,535", "TIFF"),
        ((GREY * 16).astype(np.int32), "4,095", "TIFF"),
        ((GREY / 255).astype(np.float32), "1", "TIFF"),
        (GREY.astype(np.float32), "255", "TIFF"),
        ((GREY * 100 - 3000).astype(np.float32), "22,500", "TIFF"),
        ((GREY - 128).astype(np.int32), "127", "TIFF"),
        ((GREY * 1e6).astype(np.int32), "2.55e+08", "TIFF"),
        ((GREY * 16).astype(np.uint16), "4,095", "TIFF"),
        ((GREY * 16).astype(np.uint16), "4,095", "PNG"),
        ((GREY * 4).astype(np.uint16), "1,023", "PNG"),
        (GREY.astype(np.uint16), "255", "PNG"),
        ((GREY / 255 * 1.0004 - 0.0002).astype(np.float32), "1", "TIFF"),
    ],
)
def test_numbers_of_another_range_are_scaled_and_it_is_told(numbers, white, format):
    picture = read(deep(numbers, format))
    assert np.abs(pixels(picture.image) - GREY[..., None]).max() <= 1.5
    assert f"{white} white" in picture.note
    assert str(picture).endswith(picture.note)


def test_sixteen_bits_that_are_full_are_nothing_to_tell():
    picture = read(deep((GREY * 257).astype(np.uint16), "PNG"))
    assert np.abs(pixels(picture.image) - GREY[..., None]).max() <= 1
    assert picture.note == ""


def test_eight_bits_are_nothing_to_tell():
    assert read(PNG).note == ""


def test_what_is_not_finite_is_black_or_white():
    numbers = (GREY / 255).astype(np.float32)
    numbers[0, :3] = np.nan, np.inf, -np.inf
    picture = pixels(read(deep(numbers)).image)
    assert picture[0, :3, 0].tolist() == [0, 255, 0]
    assert np.abs(picture[1:, :, 0] - GREY[1:]).max() <= 1
    assert pixels(read(deep(np.full((4, 4), np.nan, np.float32))).image).max() == 0


@pytest.mark.parametrize("value", [0, 7, -7, 100_000, 3e38, -3e38])
def test_one_number_everywhere(value):
    dtype = np.int32 if isinstance(value, int) else np.float32
    assert read(deep(np.full((4, 4), value, dtype))).image.size == (4, 4)


def test_numbers_of_thirty_two_bits_without_a_sign():
    numbers = (GREY * 1.6e7).astype(np.uint32).view(np.int32)
    sign, none = (struct.pack("<HHIH", 339, 3, 1, said) for said in (2, 1))  # of a TIFF's samples
    signed = deep(numbers)
    assert sign in signed
    picture = read(signed.replace(sign, none))
    assert np.abs(pixels(picture.image)[..., 0] - GREY).max() <= 1
    assert "from 0 to 4.08e+09" in picture.note


def test_white_that_is_zero():
    numbers = (GREY * 257).astype(np.uint16)
    tags = {262: 0}
    picture = read(written(Image.fromarray(numbers), "TIFF", tiffinfo=tags)).image
    assert np.abs(pixels(picture)[..., 0] - (255 - GREY)).max() <= 1


@pytest.mark.parametrize("most", [1023, 65535])
def test_a_grey_map_says_itself_how_large_its_numbers_are(most):
    numbers = (GREY * most / 255).round().astype(">u2")
    picture = read(b"P5 64 48 %d\n" % most + numbers.tobytes())
    assert np.abs(pixels(picture.image)[..., 0] - GREY).max() <= 1.5
    assert picture.note == ""


def rgb16(numbers):
    """A PNG of 16 bits a colour, clear too, which Pillow does not write."""
    height, width, channels = numbers.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(("factor", "white"), [(16, "4,095"), (4, "1,023"), (1, "255")])
def test_colours_of_sixteen_bits_that_hold_fewer(factor, white):
    colours = np.stack([GREY, 255 - GREY, GREY[::-1]], -1)
    picture = read(rgb16(colours * factor))
    assert np.abs(pixels(picture.image) - colours).max() <= 1.5
    assert f"{white} white" in picture.note


def test_what_is_clear_beside_colours_that_hold_fewer():
    colours = np.stack([GREY, 255 - GREY, GREY[::-1]], -1)
    clear = np.where(GREY[..., None] < 128, 0, 65535)
    picture = pixels(read(rgb16(np.concatenate([colours * 16, clear], -1))).image)
    assert np.abs(picture - np.where(clear, colours, 255)).max() <= 1.5


def test_colours_of_sixteen_bits_that_are_full():
    colours = np.stack([GREY, 255 - GREY, GREY[::-1]], -1)
    picture = read(rgb16(colours * 257))
    assert np.abs(pixels(picture.image) - colours).max() <= 1
    assert picture.note == ""


def test_a_picture_of_deep_greys_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    numbers = (GREY * 16).astype(np.uint16)
    picture = read(written(Image.fromarray(numbers), "PNG", exif=exif))
    assert np.abs(pixels(picture.image)[..., 0] - np.rot90(GREY, -1)).max() <= 1.5
