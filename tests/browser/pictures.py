"""Pictures of every kind that people bring, and files that are none."""

from io import BytesIO

from PIL import Image

from qdemo.models.pictures import gallery

DOG = gallery()["gallery:a-woman-and-a-dog-on-the-beach"]
CAT = gallery()["gallery:a-cat-on-a-couch-in-a-room"]


def upright():
    """A picture whose upper half is red: turned, it is another."""
    picture = Image.new("RGB", (60, 40), "blue")
    picture.paste("red", (0, 0, 60, 20))
    return picture


def opened(file):
    with Image.open(file) as picture:
        return picture.convert("RGB")


def write_good(folder):
    """Files that have to work, by name, with what a model should see."""
    red, blue = Image.new("RGB", (60, 40), "red"), Image.new("RGB", (60, 40), "blue")
    clear = Image.new("RGBA", (60, 40), (255, 0, 0, 0))
    lying = Image.Exif()
    lying[0x0112] = 6  # orientation: the camera was turned, a viewer turns it back
    red.save(folder / "animated.gif", save_all=True, append_images=[blue])
    opened(CAT).convert("CMYK").save(folder / "cmyk.jpg")
    clear.save(folder / "transparent.png")
    upright().rotate(90, expand=True).save(folder / "turned.jpg", exif=lying, quality=100)
    Image.new("L", (10_000, 5_000), "white").save(folder / "huge.png")
    return {
        "animated.gif": opened(folder / "animated.gif"),
        "cmyk.jpg": opened(folder / "cmyk.jpg"),
        "transparent.png": Image.new("RGB", (60, 40), "white"),
        "turned.jpg": opened(folder / "turned.jpg").rotate(-90, expand=True),
        "huge.png": Image.new("RGB", (10_000, 5_000), "white"),
    }


def write_bad(folder):
    """Files that can't be looked at, by name, with what should be said of them."""
    (folder / "text.png").write_text("I am no picture.")
    whole = BytesIO()
    opened(DOG).save(whole, "JPEG")
    (folder / "truncated.jpg").write_bytes(whole.getvalue()[:3000])
    Image.new("1", (10_000, 7_000)).save(folder / "too-large.png")
    return {
        "text.png": "the uploaded file is no picture that can be read; use a JPEG, PNG or WebP",
        "truncated.jpg": "the uploaded file is broken: it ends early or isn't what it says",
        "too-large.png": "the uploaded file has 10000 × 7000 pixels, more than 64 megapixels, "
        "the most that is read",
    }
