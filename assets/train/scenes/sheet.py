"""Cut the emoji of the scenes out of a font: `python -m assets.train.scenes.sheet --font PATH`.

Writes one picture of square tiles, `glyphs.png`, and what the tiles show, `glyphs.json`. Only this
module needs the font.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from qdemo.models.scenes import GLYPH_INDEX, GLYPH_SHEET

OBJECTS = Path(__file__).with_name("objects.tsv")
FONT_SIZE = 109  # the one size at which Noto Color Emoji holds its pictures
TILE = 112
COLUMNS = 10


def read_objects(path: Path = OBJECTS) -> list[dict[str, str]]:
    """The rows of the object list, in the order of the tiles."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def tile(emoji: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """The emoji trimmed, as large as a tile allows, standing in the middle of its lower edge."""
    canvas = Image.new("RGBA", (2 * FONT_SIZE, 2 * FONT_SIZE))
    ImageDraw.Draw(canvas).text((20, 20), emoji, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None:
        raise ValueError(f"the font draws nothing for {emoji!r}; expected a colour glyph")
    glyph = canvas.crop(box)
    scale = TILE / max(glyph.size)
    width, height = (max(1, round(side * scale)) for side in glyph.size)
    square = Image.new("RGBA", (TILE, TILE))
    corner = ((TILE - width) // 2, TILE - height)
    square.paste(glyph.resize((width, height), Image.Resampling.LANCZOS), corner)
    return square


def sheet(objects: list[dict[str, str]], font: ImageFont.FreeTypeFont) -> Image.Image:
    """All tiles, row by row."""
    rows = -(-len(objects) // COLUMNS)
    picture = Image.new("RGBA", (COLUMNS * TILE, rows * TILE))
    for index, row in enumerate(objects):
        corner = (index % COLUMNS * TILE, index // COLUMNS * TILE)
        picture.paste(tile(row["emoji"], font), corner)
    return picture


def entry(row: dict[str, str]) -> dict[str, object]:
    """A row of the list with its values typed: whether it flies, how high others stand on it."""
    seat = None if row["seat"] == "-" else float(row["seat"])
    return row | {"flies": row["flies"] == "yes", "seat": seat}


def index(objects: list[dict[str, str]]) -> dict[str, object]:
    """What `qdemo.models.scenes` must know: the tile's side, the columns, and an entry a tile."""
    return {"tile": TILE, "columns": COLUMNS, "glyphs": [entry(row) for row in objects]}


def main() -> None:
    """Write the sheet and its index into the product's picture folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--font", type=Path, required=True, help="path of NotoColorEmoji.ttf")
    objects, font = read_objects(), ImageFont.truetype(parser.parse_args().font, FONT_SIZE)
    sheet(objects, font).save(GLYPH_SHEET, optimize=True)
    text = json.dumps(index(objects), ensure_ascii=False, indent=1)
    GLYPH_INDEX.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
