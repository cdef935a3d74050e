"""How much a comparison sends to a browser, with a dozen formats that differ at every token."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from qdemo import Variant
from qdemo.engine import telling
from qdemo.spec.decoding import Decoding
from qdemo.spec.report import WHOLE_MODEL, Done, Started, Written
from qdemo.ui import charts
from qdemo.ui.pages.compare import _UnderWay
from tests.parrot import Parrot, finished, run

FORMATS = ("fp16", "bf16", "int8", "int8+emb", "int4-g64", "int3", "int2", "fp8_e4m3", "int4",
           "int8@bf16", "int3-g64", "int5")  # fmt: skip
TOKENS = 64
LAYERS = 143  # of FLAN-T5-small
WRAPPING = 450  # bytes that gradio puts around each picture, and says of what did not change
MOST = 300_000
SCORE = Decoding("score")


class Wordy(Parrot):
    """With words as long as those of a model, and answers that never end."""

    def __init__(self):
        super().__init__(width=64, vocabulary=3_000)
        self.model[1].bias.data[0] = -1e3

    def inputs(self):
        return {"1": self.model[0].weight.detach()[:64]}

    def decode(self, tokens):
        return " ".join(f"word{10_000 + token}" for token in tokens)

    def pieces(self, tokens, before=()):
        return [f"▁word{10_000 + token}" for token in tokens]


def of_a_large_model(trial):
    """The result with many layers, all as its own, and with another word at each token."""
    if not trial.weights:
        return trial
    whole, one, *_ = trial.weights.values()
    names = (f"encoder.block.{i // 6}.layer.0.SelfAttention.{i % 6}.weight" for i in range(LAYERS))
    others = [f"▁word{20_000 + i}" for i in range(TOKENS)]
    return replace(
        trial,
        weights={WHOLE_MODEL: whole, **dict.fromkeys(names, one)},
        output=" ".join(others),
        top=tuple(((own, 0.1), *top[1:]) for own, top in zip(others, trial.top, strict=True)),
    )


@pytest.fixture(scope="module")
def events():
    """What happens in a large comparison."""
    found = run(Wordy(), map(Variant.parse, FORMATS), TOKENS)
    return [
        replace(event, trial=of_a_large_model(event.trial)) if isinstance(event, Done) else event
        for event in found
    ]


@pytest.fixture
def told(events, monkeypatch):
    """The pictures of it that a slow machine sends, which needs a tenth of a second a token."""
    clock = itertools.count(step=0.1)
    monkeypatch.setattr(telling, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    return list(telling.now_and_then(event for event in events))


def sent(value):
    """Its bytes as JSON."""
    plain = value.model_dump() if hasattr(value, "model_dump") else value
    return len(json.dumps(plain, ensure_ascii=False).encode())


def page():
    """What changes on it while a comparison runs."""
    return SimpleNamespace(cards="", verdict="", status="")


def test_a_dozen_formats_with_64_tokens_are_no_more_than_300_kb(told):
    report = told[-1]
    assert [len(trial.tokens) for trial in report.results] == [TOKENS] * 13
    assert len(report.parameters) == LAYERS + 1
    under_way = _UnderWay(page())
    for known in told:
        under_way.after(known)
    with gr.Blocks():
        values = charts.updates(charts.build(report), report)
    assert len(told) > 100
    assert sent(under_way.html) + sum(map(sent, values.values())) + WRAPPING * len(told) < MOST


def test_of_a_text_each_word_is_sent_once_until_it_is_through(events):
    under_way, report, sizes = _UnderWay(page()), None, []
    for event in events:
        before = len(under_way.html)
        report = event.report if isinstance(event, Started) else report.after(event)
        under_way.after(report)
        if isinstance(event, Written) and len(event.text.split()) > 1:
            sizes.append(len(under_way.html) - before)
    assert len(sizes) == 13 * (TOKENS - 1)
    assert max(sizes) < 50


def test_a_text_of_250_tokens_is_no_more_than_that():
    class Long(Wordy):
        text = tuple(range(5, 255))

    report = finished(run(Long(), map(Variant.parse, FORMATS), TOKENS, decoding=SCORE))
    assert [len(trial.tokens) for trial in report.results] == [250] * 13
    with gr.Blocks():
        values = charts.updates(charts.build(report), report)
    under_way = _UnderWay(page())
    under_way.after(report)
    assert sent(under_way.html) + sum(map(sent, values.values())) < MOST
