"""The tasks that t5-tiny learns: their answers are right and a seed fixes the stream."""

import re
from itertools import islice
from random import Random

import pytest

from assets.train.text.facts import facts
from assets.train.text.items import Item, Task
from assets.train.text.numbers import spell
from assets.train.text.stream import all_tasks, training_items, typed
from qdemo.spec.model_card import normalize

TASKS = {task.name: task for task in all_tasks()}


def some(name: str, count: int = 300) -> list[Item]:
    rng, task = Random(7), TASKS[name]
    return [task.draw(rng) for _ in range(count)]


def numbers(text: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", text)]


def test_a_seed_fixes_the_stream() -> None:
    first, again = (list(islice(training_items("a"), 500)) for _ in range(2))
    assert first == again
    assert first != list(islice(training_items("b"), 500))


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.name)
def test_prompts_are_filled_in_and_answers_are_there(task: Task) -> None:
    for item in some(task.name):
        assert item.task == task.name
        assert item.answer
        assert not re.search(r"[{}]", item.prompt + item.answer)


def test_no_prompt_has_two_answers() -> None:
    answers: dict[str, str] = {}
    for known in facts().values():
        for fact in known:
            for prompt in fact.prompts:
                assert answers.setdefault(normalize(prompt), fact.answer) == fact.answer


def test_sums_and_differences_are_right() -> None:
    assert all(sum(numbers(item.prompt)) == int(item.answer) for item in some("add"))
    for item in some("subtract"):
        a, b = numbers(item.prompt)
        assert abs(a - b) == int(item.answer)


def test_the_greater_number_is_the_greater() -> None:
    assert all(max(numbers(item.prompt)) == int(item.answer) for item in some("greater"))


SPELLED = {
    0: "zero",
    13: "thirteen",
    40: "forty",
    99: "ninety-nine",
    100: "one hundred",
    219: "two hundred and nineteen",
    905: "nine hundred and five",
}


@pytest.mark.parametrize("number", SPELLED)
def test_numbers_are_spelled(number: int) -> None:
    assert spell(number) == SPELLED[number]


def test_no_two_numbers_are_spelled_alike() -> None:
    assert len({spell(number) for number in range(1000)}) == 1000


def test_to_words_and_to_digits_are_inverse() -> None:
    assert all(spell(numbers(item.prompt)[0]) == item.answer for item in some("to words"))
    assert all(spell(int(item.answer)) in item.prompt for item in some("to digits"))


def test_words_are_sorted_and_reversed() -> None:
    for item in some("sort"):
        words = item.answer.split(", ")
        assert words == sorted(words)
        assert all(word in item.prompt for word in words)
    for item in some("reverse"):
        assert " ".join(item.answer.split()[::-1]) in item.prompt


def test_typing_is_at_times_hasty_and_often_not() -> None:
    prompt = "What is the capital of France?"
    forms = [typed(prompt, Random(seed)) for seed in range(1000)]
    assert 0.4 < forms.count(prompt) / 1000 < 0.7
    assert {prompt.upper(), prompt.lower(), prompt[:-1], prompt + " "} <= set(forms)
    sums = {typed("What is 23 + 45?", Random(seed)) for seed in range(100)}
    assert {"What is 23 + 45?", "What is 23+45?"} <= sums
