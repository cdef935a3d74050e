"""The held-out scenes, as descriptions: `python -m assets.train.scenes.heldout` writes them."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

from assets.train.scenes.split import held_out
from qdemo.models.scenes import Group, Scene, caption, random_scene

FILE = Path(__file__).with_name("heldout.jsonl")
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


def to_json(scene: Scene) -> str:
    """A scene as one line; the caption is there for the reader."""
    fields = {
        "task": task(scene),
        "place": scene.place,
        "groups": [[group.name, group.count] for group in scene.groups],
        "relation": scene.relation,
        "seed": scene.seed,
        "caption": caption(scene),
    }
    return json.dumps(fields)


def from_json(line: str) -> Scene:
    """The scene that `to_json` wrote."""
    fields = json.loads(line)
    groups = tuple(Group(name, count) for name, count in fields["groups"])
    return Scene(fields["place"], groups, fields["relation"], fields["seed"])


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
    return [from_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    FILE.write_text("".join(to_json(scene) + "\n" for scene in choose()), encoding="utf-8")
