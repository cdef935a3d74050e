"""Tasks with numbers; what is held out are operands, in whatever wording."""

from __future__ import annotations

from random import Random

from assets.train.text.data import lines, wordings
from assets.train.text.items import Item, Task


def number_tasks() -> list[Task]:
    """Return the tasks about numbers."""
    return [
        Task("add", 0.14, _add),
        Task("subtract", 0.14, _subtract),
        Task("greater", 0.12, _greater),
        Task("to words", 0.06, _to_words),
        Task("to digits", 0.06, _to_digits),
    ]


def spell(number: int) -> str:
    """Write a number below 1,000 in English words.

    >>> spell(345)
    'three hundred and forty-five'
    """
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _spell_below_100(rest)
    head = f"{lines('units')[hundreds]} hundred"
    return f"{head} and {_spell_below_100(rest)}" if rest else head


def _spell_below_100(number: int) -> str:
    if number < 20:
        return lines("units")[number]
    tens, units = divmod(number, 10)
    head = lines("tens")[tens]
    return f"{head}-{lines('units')[units]}" if units else head


def _add(rng: Random) -> Item:
    a, b = rng.randint(1, 99), rng.randint(1, 99)
    prompt = rng.choice(wordings("add")).format(a=a, b=b)
    return Item("add", prompt, str(a + b), f"add {min(a, b)} {max(a, b)}")


def _subtract(rng: Random) -> Item:
    b, a = sorted((rng.randint(1, 99), rng.randint(1, 99)))
    prompt = rng.choice(wordings("subtract")).format(a=a, b=b)
    return Item("subtract", prompt, str(a - b), f"subtract {a} {b}")


def _greater(rng: Random) -> Item:
    a, b = _different_numbers(rng)
    prompt = rng.choice(wordings("greater")).format(a=a, b=b)
    return Item("greater", prompt, str(max(a, b)), f"greater {min(a, b)} {max(a, b)}")


def _different_numbers(rng: Random) -> tuple[int, int]:
    top = rng.choice((99, 99, 999))
    low = rng.choice((1, 10)) if top == 99 else rng.choice((1, 100))
    a, b = rng.sample(range(low, top + 1), 2)
    return a, b


def _to_words(rng: Random) -> Item:
    number = rng.randrange(1000)
    prompt = rng.choice(wordings("to words")).format(n=number)
    return Item("to words", prompt, spell(number), f"number {number}")


def _to_digits(rng: Random) -> Item:
    number = rng.randrange(1000)
    prompt = rng.choice(wordings("to digits")).format(n=spell(number))
    return Item("to digits", prompt, str(number), f"number {number}")
