"""Evaluations for other programs, and for assistants: many items in several formats."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from qdemo.engine.asking import parse_model
from qdemo.engine.datasets import DataSet, from_items, held_out
from qdemo.engine.engine import ENGINE
from qdemo.engine.evaluating import judged
from qdemo.engine.evaluation import Evaluation, Progress, ask
from qdemo.engine.turns import Waiting, begun
from qdemo.settings import SETTINGS
from qdemo.spec.document import Json
from qdemo.spec.evidence_file import as_json
from qdemo.spec.messages import say
from qdemo.spec.request import DEFAULT_TOKENS, InputError
from qdemo.ui.api import refusing
from qdemo.views.brief import as_text, digits

ITEMS = min(100, SETTINGS.most_items)
"""So many are evaluated, where nobody says how many."""

_TOLD = (
    "format", "n", "verdict", "correct", "accuracy", "accuracy_low", "accuracy_high",
    "right_to_wrong", "wrong_to_right", "mcnemar_p", "changed", "kl_mean", "kl_se", "kl_p99",
    "same_top", "perplexity_ratio", "output_error", "bytes", "bits_per_weight", "items_to_tell",
    "ended",
)  # fmt: skip
"""What an assistant is told of a format."""


def build() -> None:
    """Register the endpoints; the caller is inside a Blocks."""
    gr.api(evaluate, api_name="evaluate", concurrency_limit=None)
    gr.api(evaluate_briefly, api_name="evaluate_briefly", concurrency_limit=None)


def evaluate(
    model: str,
    formats: list[str],
    items: list[dict[str, str]] | None = None,
    limit: int = ITEMS,
    seed: int = 0,
    max_tokens: int = DEFAULT_TOKENS,
) -> Iterator[Json]:
    """Evaluate a model's formats on many items; yields {"ahead": …} while it waits for its turn,
    {"done": …, "of": …} while it runs, and last the whole of it, with every item.

    `items` are objects with `input` and, where it is known, `expected` (and `task`); without any
    the model's own held-out ones are taken, which embedded models have. `limit` of them are drawn
    by `seed`.
    """
    for told in _told(model, formats, items, limit, seed, max_tokens):
        yield _whole(told)


def evaluate_briefly(
    model: str,
    formats: list[str],
    items: list[dict[str, str]] | None = None,
    limit: int = ITEMS,
    seed: int = 0,
) -> Iterator[str]:
    """Judge number formats by many items: which format of a model is safe, and which is broken.

    Accuracy has Wilson's 95% interval, flips are beside fp32 with McNemar's exact p, KL is in nats,
    the mean over items. A verdict goes by the 95% interval of what is lost. Answers with JSON.

    Args:
        model: a model's name, as the tool `models` lists it, such as t5-tiny
        formats: up to twelve formats beside fp32, such as int8, nf4-g64, int2-mse
        items: objects with input and, where it is known, expected; leave it out for the held-out
            items that an embedded model is judged by
        limit: how many items, drawn by the seed
        seed: what they are drawn by
    """
    for told in _told(model, formats, items, limit, seed, DEFAULT_TOKENS):
        yield as_text(_brief(told))


def _told(
    model: str, formats: list[str], items: object, limit: int, seed: int, max_tokens: int
) -> Iterator[Waiting | Progress]:
    with refusing():
        asked = _asked(model, formats, items, limit, seed, max_tokens)
        with begun() as run:
            limits = ENGINE.settings.evaluate_s, ENGINE.settings.method_s
            yield from judged(asked, run, None, *limits)


def _asked(
    model: str, formats: list[str], items: object, limit: int, seed: int, max_tokens: int
) -> Evaluation:
    most = SETTINGS.most_items
    if type(limit) is not int or not 1 <= limit <= most:
        told = say("limit is {found!r:.20}, expected 1 to {most:,}", found=limit, most=most)
        raise InputError("limit", told)
    if type(seed) is not int:
        raise InputError("seed", say("seed is {found!r:.20}, expected a whole number", found=seed))
    return ask(model, formats, _data(model, items), limit, seed, max_tokens)


def _data(model: str, items: object) -> DataSet:
    entry = parse_model(model)
    return held_out(entry) if items is None else from_items(entry, items, SETTINGS.most_items)


def _whole(told: Waiting | Progress) -> Json:
    """How many are before, how far it is, and last everything."""
    if isinstance(told, Waiting):
        return {"ahead": told.ahead}
    if told.finished:
        return as_json(told.evidence)
    return {"done": told.done, "of": told.total, "seconds_left": told.seconds_left}


def _brief(told: Waiting | Progress) -> Json:
    """The same, of each format its figures alone."""
    found = _whole(told)
    results = found.get("results")
    if not isinstance(results, list):
        return found
    brief = [
        {key: _rounded(one[key]) for key in _TOLD if one.get(key) not in (None, "")}
        for one in results
    ]
    return {"model": found["model"], "data": found["data"], "results": brief}


def _rounded(value: object) -> object:
    return digits(value) if isinstance(value, float) else value
