"""The data of blip-tiny: the split, the stream, the shipped sheet, held-out file and gallery."""

import json
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from assets.train.scenes.gallery import FOLDER, scenes
from assets.train.scenes.heldout import FILE, PER_TASK, TASKS, choose, read, task, to_json
from assets.train.scenes.sheet import index, read_objects
from assets.train.scenes.split import held_out, key
from assets.train.scenes.stream import IGNORED, Stream, training_scenes
from assets.train.scenes.words import make_processor, vocabulary
from qdemo.models.scenes import GLYPH_INDEX, GLYPH_SHEET, Group, Scene, caption, draw, random_scene


def stream_sample() -> list[Scene]:
    return [scene for step in range(40) for scene in islice(training_scenes(step), 100)]


def test_key_forgets_order_relation_and_place_of_combinations() -> None:
    one = Scene("park", (Group("dog"), Group("bed", 2)))
    other = Scene("sea", (Group("bed"), Group("dog")), "on", seed=9)
    assert key(one) == key(other) == "bed+dog"
    assert key(Scene("park", (Group("dog", 2),))) == "2 dog park"


def test_split_is_what_it_was_when_the_model_was_trained() -> None:
    assert not held_out(Scene("beach", (Group("woman"), Group("dog"))))
    assert held_out(Scene("forest", (Group("lion"),)))


def test_about_a_tenth_is_held_out() -> None:
    share = sum(held_out(random_scene(seed)) for seed in range(4000)) / 4000
    assert 0.08 < share < 0.12


def test_every_shipped_scene_is_held_out() -> None:
    assert all(map(held_out, read()))
    assert Counter(map(task, read())) == dict.fromkeys(TASKS, PER_TASK)


def test_training_sees_none_of_them() -> None:
    combinations = {key(scene) for scene in read()}
    sample = stream_sample()
    assert not any(map(held_out, sample))
    assert combinations.isdisjoint(map(key, sample))


def test_the_shipped_file_is_the_chosen_one() -> None:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    assert lines == [to_json(scene, place) for place, scene in enumerate(choose())]


def test_training_sees_every_word() -> None:
    words = {
        word for scene in stream_sample() for word in caption(scene).replace(",", " ,").split()
    }
    assert words == {word for word in vocabulary() if not word.startswith("[")}


def test_batches_depend_on_the_step_alone() -> None:
    stream = Stream(make_processor(), 4)
    first, again, other = (stream.batch_at(step) for step in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["pixel_values"], other["pixel_values"])


def test_labels_are_the_caption_between_the_decoders_marks() -> None:
    processor = make_processor()
    batch = Stream(processor, 4).batch_at(0)
    for labels, scene in zip(batch["labels"], training_scenes(0), strict=False):
        tokens = labels[labels != IGNORED]
        assert tokens[0] == processor.tokenizer.bos_token_id
        assert tokens[-1] == processor.tokenizer.sep_token_id
        assert processor.decode(tokens, skip_special_tokens=True) == caption(scene)


def test_no_caption_needs_an_unknown_word() -> None:
    tokenizer = make_processor().tokenizer
    for scene in map(random_scene, range(300)):
        assert tokenizer.unk_token_id not in tokenizer(caption(scene)).input_ids


def test_training_pictures_are_like_the_pages() -> None:
    processor = make_processor()
    batch = Stream(processor, 8).batch_at(0)
    drawn = [draw(scene) for scene in islice(training_scenes(0), 8)]
    pages = processor(images=drawn, return_tensors="pt").pixel_values
    assert (batch["pixel_values"] - pages).abs().mean() < 0.06  # of a standard deviation


def test_sheet_and_index_fit_the_object_list() -> None:
    expected = index(read_objects())
    assert json.loads(GLYPH_INDEX.read_text(encoding="utf-8")) == expected
    with Image.open(GLYPH_SHEET) as sheet:
        rows = -(-len(read_objects()) // 10)
        assert sheet.size == (10 * expected["tile"], rows * expected["tile"])
    assert GLYPH_SHEET.stat().st_size < 2_000_000


@pytest.mark.parametrize(("file", "scene"), scenes().items())
def test_gallery_shows_what_it_says(file: str, scene: Scene) -> None:
    assert file == caption(scene).replace(",", "").replace(" ", "-") + ".png"
    with Image.open(FOLDER / file) as picture:
        assert np.abs(np.asarray(picture, float) - np.asarray(draw(scene), float)).mean() < 1


def test_gallery_has_a_dozen_and_the_courses_picture() -> None:
    assert len(scenes()) >= 12
    assert "a-woman-and-a-dog-on-the-beach.png" in scenes()
