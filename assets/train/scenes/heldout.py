"""The held-out scenes: `python -m assets.train.scenes.heldout` writes them, beside the model.

A line has what `qdemo.engine.datasets` reads, and the description that a picture is drawn from.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

from assets.train.scenes.split import held_out
from qdemo.models.pictures import HELD_OUT
from qdemo.models.scenes import Scene, caption, described, random_scene

FILE = HELD_OUT
TASKS = ("one object", "two objects", "three objects", "counts", "relations")
PER_TASK = 80
FIRST_SEED = 10**12  # far beyond the seeds of training, so that no jitter is shared either


def task(scene: Scene) -> str:
    """Which of the tasks a scene belongs to."""
    if any(group.count > 1 for group in scene.groups):
        return "counts"
    if scene.relation != "beside":
        return "relations"
    return TASKS[len(scene.groups) - 1]


def to_json(scene: Scene, place: int) -> str:
    """A scene as one line, the file's line `place` from 0; by that its picture is named."""
    fields = {
        "task": task(scene),
        "input": f"heldout:{place}",
        "expected": caption(scene),
        "place": scene.place,
        "groups": [[group.name, group.count] for group in scene.groups],
        "relation": scene.relation,
        "seed": scene.seed,
    }
    return json.dumps(fields)


def choose() -> list[Scene]:
    """The first held-out scenes of each task, by task."""
    chosen: dict[str, list[Scene]] = {name: [] for name in TASKS}
    candidates = filter(held_out, map(random_scene, count(FIRST_SEED)))
    while any(len(scenes) < PER_TASK for scenes in chosen.values()):
        scene = next(candidates)
        if len(chosen[task(scene)]) < PER_TASK:
            chosen[task(scene)].append(scene)
    return [scene for scenes in chosen.values() for scene in scenes]


def read(path: Path = FILE) -> list[Scene]:
    """The scenes that were written."""
    return [described(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    rows = [to_json(scene, place) for place, scene in enumerate(choose())]
    FILE.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
