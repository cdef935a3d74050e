"""The page's first pictures: `python -m assets.train.scenes.gallery` draws them.

What to draw is in `gallery.jsonl` beside the pictures, one scene a line.
"""

from __future__ import annotations

import json
from pathlib import Path

from qdemo.models.scenes import IMAGES, Scene, described, draw

FOLDER = IMAGES / "gallery"


def scenes(folder: Path = FOLDER) -> dict[str, Scene]:
    """The scenes by the file that shows each."""
    lines = (folder / "gallery.jsonl").read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["file"]: described(line) for line in lines}


def main() -> None:
    """Draw every picture anew."""
    for file, scene in scenes().items():
        draw(scene).save(FOLDER / file, optimize=True)


if __name__ == "__main__":
    main()
