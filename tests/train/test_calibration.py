"""The shipped calibration inputs: what the command writes, and never a thing that is held out."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from assets.train.calibration import EACH, SCENES, scene_lines, text_lines, texts
from assets.train.scenes import heldout as scenes_heldout
from assets.train.scenes.split import held_out, key
from assets.train.scenes.train import TARGET
from assets.train.text.heldout import read_held_out
from assets.train.text.items import is_held_out
from assets.train.text.stream import all_tasks
from assets.train.text.train import MODEL
from qdemo.engine.estimating import CALIBRATION
from qdemo.models.pictures import named_picture
from qdemo.models.scenes import Scene, caption, draw, random_scene
from qdemo.spec.model_card import normalize


def lines(folder: Path) -> list[tuple[str, str]]:
    text = (folder / CALIBRATION).read_text(encoding="utf-8")
    return [(asked, answer) for asked, answer in (line.split("\t") for line in text.splitlines())]


def shipped_scenes() -> list[Scene]:
    return [random_scene(int(name.removeprefix("scene:"))) for name, _ in lines(TARGET)]


@pytest.mark.parametrize(("folder", "written"), [(MODEL, text_lines), (TARGET, scene_lines)])
def test_the_files_are_what_the_command_writes(
    folder: Path, written: Callable[[], list[tuple[str, str]]]
) -> None:
    assert lines(folder) == written()


def test_there_are_as_many_texts_of_each_task() -> None:
    tasks = {typed: item.task for typed, item in texts()}
    assert Counter(tasks[asked] for asked, _ in lines(MODEL)) == {
        task.name: EACH for task in all_tasks()
    }


def test_no_text_is_held_out_in_any_wording() -> None:
    keys = {item.key for item in read_held_out()}
    prompts = {normalize(item.prompt) for item in read_held_out()}
    items = dict(texts())
    for asked, answer in lines(MODEL):
        assert items[asked].answer == answer
        assert normalize(asked) == normalize(items[asked].prompt)
        assert not is_held_out(items[asked].key)
        assert items[asked].key not in keys
        assert normalize(asked) not in prompts


def test_no_scene_is_of_a_held_out_combination() -> None:
    combinations = {key(scene) for scene in scenes_heldout.read()}
    for scene in shipped_scenes():
        assert not held_out(scene)
        assert key(scene) not in combinations


def test_the_scenes_are_what_their_captions_say_and_all_differ() -> None:
    assert [answer for _, answer in lines(TARGET)] == list(map(caption, shipped_scenes()))
    assert len({answer for _, answer in lines(TARGET)}) == SCENES
    assert set(map(scenes_heldout.task, shipped_scenes())) == set(scenes_heldout.TASKS)


def test_the_scenes_are_drawn_by_their_names() -> None:
    for (name, _), scene in zip(lines(TARGET)[:8], shipped_scenes(), strict=False):
        assert named_picture(name).image.tobytes() == draw(scene).tobytes()
