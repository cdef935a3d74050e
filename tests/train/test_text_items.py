"""The split of t5-tiny's data: a rule, kept by what ships and by the training stream."""

from itertools import islice
from random import Random

import pytest

from assets.train.text.facts import facts
from assets.train.text.heldout import make_held_out, read_held_out
from assets.train.text.items import is_held_out
from assets.train.text.stream import all_tasks, training_items, typed
from qdemo.spec.model_card import normalize

HELD_OUT = read_held_out()


def test_each_shipped_item_obeys_the_rule() -> None:
    assert len(HELD_OUT) >= 700
    assert all(is_held_out(item.key) for item in HELD_OUT)


def test_the_shipped_set_is_what_the_rule_makes() -> None:
    assert make_held_out() == HELD_OUT


def test_each_task_has_at_least_fifty_items() -> None:
    tasks = [item.task for item in HELD_OUT]
    assert set(tasks) == {task.name for task in all_tasks()}
    assert min(map(tasks.count, set(tasks))) >= 50


def test_the_training_stream_holds_no_held_out_item() -> None:
    keys = {item.key for item in HELD_OUT}
    prompts = {normalize(item.prompt) for item in HELD_OUT}
    for prompt, item in islice(training_items("0/0"), 30_000):
        assert not is_held_out(item.key)
        assert item.key not in keys
        assert normalize(prompt) not in prompts


def test_every_fact_is_trained_in_some_wording() -> None:
    for task, known in facts().items():
        for fact in known:
            kept = [prompt for prompt in fact.prompts if not is_held_out(normalize(prompt))]
            assert kept or task == "greet", fact  # a greeting is held out for one name only


@pytest.mark.parametrize("prompt", ["Which word means the opposite of hot?", "23 + 45 ="])
def test_typing_never_moves_an_item_across_the_split(prompt: str) -> None:
    for seed in range(300):
        assert normalize(typed(prompt, Random(seed))) == normalize(prompt)


def test_about_one_key_in_eight_is_held_out() -> None:
    assert sum(is_held_out(f"key {i}") for i in range(8000)) == pytest.approx(1000, rel=0.1)
