"""What scenes say and show: words follow from the description, pictures from the seed."""

import random

import numpy as np
import pytest

from qdemo.models.places import PLACES, background
from qdemo.models.scenes import Group, Scene, caption, draw, glyphs, random_scene

CAPTIONS = [
    (Scene("beach", (Group("woman"), Group("dog"))), "a woman and a dog on the beach"),
    (Scene("night", (Group("owl"),)), "an owl at night"),
    (Scene("snow", (Group("mouse", 3),)), "three mice in the snow"),
    (Scene("city", (Group("cat"), Group("car"))), "a cat next to a car in the city"),
    (Scene("city", (Group("cat"), Group("car")), "on"), "a cat on a car in the city"),
    (Scene("park", (Group("kite"), Group("boy")), "above"), "a boy under a kite in the park"),
    (Scene("park", (Group("owl"), Group("tree")), "above"), "an owl above a tree in the park"),
    (Scene("sea", (Group("dog", 2), Group("cat"))), "two dogs and a cat at sea"),
    (
        Scene("room", (Group("girl"), Group("cake"), Group("gift"))),
        "a girl, a cake and a gift in a room",
    ),
]


@pytest.mark.parametrize(("scene", "words"), CAPTIONS)
def test_caption_follows_from_the_description(scene: Scene, words: str) -> None:
    assert caption(scene) == words


def test_there_is_enough_to_see() -> None:
    assert len(glyphs()) >= 80
    assert len(PLACES) >= 8


def test_every_word_for_one_or_many_means_one_object() -> None:
    singles = list(glyphs())
    plurals = [glyph.plural for glyph in glyphs().values()]
    assert len(set(singles)) == len(singles)
    assert len(set(plurals)) == len(plurals)


def test_same_seed_same_scene_and_picture() -> None:
    assert random_scene(7) == random_scene(7)
    assert draw(random_scene(7), 96).tobytes() == draw(random_scene(7), 96).tobytes()
    assert len({caption(random_scene(seed)) for seed in range(200)}) > 190


def test_seed_moves_the_picture_only() -> None:
    one, other = (Scene("park", (Group("dog"),), seed=seed) for seed in (1, 2))
    assert caption(one) == caption(other)
    assert draw(one, 96).tobytes() != draw(other, 96).tobytes()


def test_random_scenes_hold_to_the_rules() -> None:
    for scene in map(random_scene, range(1000)):
        names = [group.name for group in scene.groups]
        assert len(set(names)) == len(names)
        assert 1 <= len(names) <= 3
        first, last = glyphs()[names[0]], glyphs()[names[-1]]
        assert scene.relation != "above" or first.flies
        assert scene.relation != "on" or last.seat is not None


def test_every_relation_and_count_comes_up() -> None:
    words = " ".join(caption(random_scene(seed)) for seed in range(500)).split()
    assert {"and", "next", "above", "under", "on", "two", "three", "four"} <= set(words)


@pytest.mark.parametrize("name", glyphs())
def test_every_object_is_visible_everywhere(name: str) -> None:
    place = random.Random(name).choice(list(PLACES))
    scene = Scene(place, (Group(name),), seed=3)
    empty = background(place, random.Random(3).randrange(1 << 16), 96)
    difference = np.abs(np.asarray(draw(scene, 96), float) - np.asarray(empty, float))
    assert (difference.max(axis=2) > 40).mean() > 0.01


def test_size_changes_nothing_but_the_size() -> None:
    for scene in map(random_scene, range(20)):
        small = np.asarray(draw(scene, 96), float)
        large = np.asarray(draw(scene, 384).resize((96, 96)), float)
        assert np.abs(small - large).mean() < 4


def test_what_is_unknown_is_named() -> None:
    with pytest.raises(ValueError, match="unknown place 'moon'; expected one of beach"):
        caption(Scene("moon", (Group("dog"),)))
    with pytest.raises(ValueError, match="unknown object 'yeti'; expected one of woman"):
        draw(Scene("snow", (Group("yeti"),)))


@pytest.mark.parametrize("counts", [(), (5,), (0,), (2, 3), (1, -1)])
def test_too_many_or_too_few_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected at least 1 each, 4 together at most"):
        Scene("park", tuple(Group("dog", count) for count in counts))


@pytest.mark.parametrize("groups", [(Group("dog"),), (Group("dog", 2), Group("bed"))])
def test_one_is_on_one_other(groups: tuple[Group, ...]) -> None:
    with pytest.raises(ValueError, match=r"'on' with counts .*; expected two groups of one"):
        Scene("park", groups, "on")
