"""The models' calibration inputs: `python -m assets.train.calibration` writes both files.

They come out of the training streams, and so are never held out: what a method of rounding has
seen must not be what it is judged by.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from assets.train.scenes.stream import training_scenes
from assets.train.scenes.train import TARGET
from assets.train.text.items import Item
from assets.train.text.stream import all_tasks, training_items
from assets.train.text.train import MODEL
from qdemo.engine.estimating import CALIBRATION
from qdemo.models.scenes import Scene, caption
from qdemo.spec.model_card import normalize

EACH, SCENES = 16, 64  # texts of a task, and scenes
ENOUGH = 2_000  # items of the stream, among which are more than EACH of the rarest task


def texts() -> list[tuple[str, Item]]:
    """Prompts as typed, each with its item, of one task after the other; no two ask the same."""
    drawn = islice(training_items("calibration"), ENOUGH)
    different = {normalize(typed): (typed, item) for typed, item in drawn}.values()
    tasks = [[pair for pair in different if pair[1].task == task.name] for task in all_tasks()]
    return [tasks[i % len(tasks)][i // len(tasks)] for i in range(EACH * len(tasks))]


def scenes() -> list[Scene]:
    """The scenes that training began with."""
    return list(islice(training_scenes(0), SCENES))


def text_lines() -> list[tuple[str, str]]:
    """What t5-tiny is asked, and what it should answer."""
    return [(typed, item.answer) for typed, item in texts()]


def scene_lines() -> list[tuple[str, str]]:
    """What blip-tiny is shown, by name, and what it should say."""
    return [(f"scene:{scene.seed}", caption(scene)) for scene in scenes()]


def _write(folder: Path, lines: Iterable[tuple[str, str]]) -> None:
    text = "".join(f"{asked}\t{answer}\n" for asked, answer in lines)
    (folder / CALIBRATION).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    _write(MODEL, text_lines())
    _write(TARGET, scene_lines())
