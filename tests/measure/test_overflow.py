"""What is told of numbers that go too far inside a model, by layer."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from qdemo import Variant
from qdemo.engine.comparing import compare
from qdemo.measure.overflow import watching
from qdemo.models.availability import get_entry
from qdemo.models.loading import load
from qdemo.spec.report import Done, Failed, Overflow

PROMPT = "What is 23 + 45?"


class Clamped(nn.Module):
    """Two layers, the second of which is clamped, as T5 does it."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return self.second(self.first(x)).clamp(-65504, 65504), "a mask"


def half(weights, module=None):
    model = nn.Sequential(module or nn.Linear(2, 2, bias=False)).half()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(weights)
    return model


def test_the_largest_number_and_where_it_comes_from():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        model[0].weight.fill_(-3.0)
    with watching(model) as seen:
        model(torch.tensor([[2.0]]))
    assert (seen.span.largest, seen.span.module, seen.span.overflow) == (6.0, "0", None)


def test_the_first_that_is_not_finite_is_told_with_its_counts():
    model = half(60000.0)
    with watching(model) as seen:
        model(torch.tensor([[1.0, 1.0], [0.0, 0.5]]).half())
    assert seen.span.overflow == Overflow("0", infinite=2, nan=0, numbers=4, clamped_in=None)
    assert seen.span.largest == 30000.0


def test_nan_is_counted_apart():
    model = half(1.0)
    with watching(model) as seen:
        model(torch.tensor([[torch.inf, -torch.inf], [torch.inf, 1.0]]).half())
    assert seen.span.overflow == Overflow("0", infinite=2, nan=2, numbers=4, clamped_in=None)


def test_what_makes_it_finite_again_is_named():
    model = half(300.0, Clamped())
    with watching(model) as seen:
        model(torch.ones(1, 2).half())
    assert seen.span.overflow == Overflow("0.second", 2, 0, 2, clamped_in="0")


def test_nothing_stays_behind_not_even_after_an_error():
    model = half(1.0)
    for x in (torch.ones(1, 2).half(), torch.ones(1, 3).half()):
        try:
            with watching(model):
                model(x)
        except RuntimeError:
            pass
    assert not any(module._forward_hooks for module in model.modules())


def test_what_is_no_float_and_what_is_empty_is_passed_over():
    model = nn.Sequential(nn.Identity())
    with watching(model) as seen:
        for x in (torch.tensor([1]), torch.empty(0), None, (), "x"):
            model(x)
    assert (seen.span.largest, seen.span.overflow) == (0.0, None)


@pytest.fixture(scope="module")
def tiny():
    return load(get_entry("t5-tiny"))


def changed(tiny, factors):
    """t5-tiny with some weights multiplied: in fp32 it answers as before."""
    model = copy.deepcopy(tiny.model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            for ending, factor in factors.items():
                if name.endswith(ending):
                    parameter.mul_(factor)
    return replace(tiny, model=model)


def outcome(loaded, format):
    """What came of one format."""
    prompt = loaded.family.encode(PROMPT)
    events = compare(loaded, prompt, [Variant.parse(format)], max_tokens=12)
    *_, last = (event for event in events if isinstance(event, Done | Failed))
    return last.trial if isinstance(last, Done) else last


def test_a_residual_beyond_fp16_is_told_though_transformers_clamps_it(tiny):
    given = changed(tiny, {"shared.weight": 4000, ".o.weight": 4000, ".wo.weight": 4000})
    result = outcome(given, "fp16")
    assert result.figures["logit_invalid_positions"] == 0  # nothing but the watch would tell
    first = result.span.overflow
    assert first.module == "encoder.block.1.layer.0"
    assert first.infinite > 0
    assert first.clamped_in == "encoder.block.1"
    assert outcome(given, "bf16").span.overflow is None
    assert outcome(given, "bf16").span.largest > 65504


def test_a_wrong_answer_of_fp16_says_at_which_layer_it_went_wrong(tiny):
    given = changed(tiny, {".wi_1.weight": 2048, ".wo.weight": 1 / 2048})
    result = outcome(given, "fp16")
    assert result.output != "68"
    assert result.span.overflow.module == "encoder.block.0.layer.1.DenseReluDense.dropout"
    assert outcome(given, "int8").output == "68"


@pytest.mark.parametrize(
    ("format", "factors", "module"),
    [
        ("fp16", {"lm_head.weight": 1e6}, "lm_head"),
        (
            "int8@fp16",
            {".wi_1.weight": 2048, ".wo.weight": 1 / 2048},
            "encoder.block.0.layer.1.DenseReluDense.dropout",
        ),
    ],
)
def test_logits_that_are_not_finite_say_at_which_layer_it_began(tiny, format, factors, module):
    failed = outcome(changed(tiny, factors), format)
    assert isinstance(failed, Failed)
    assert failed.reason.endswith(f"; first in what comes out of {module}")


@pytest.mark.parametrize("format", ["fp16", "bf16", "int8@fp16", "int4-g64@bf16"])
def test_t5_tiny_stays_far_from_the_end(tiny, format):
    trial = outcome(tiny, format)
    span = trial.span
    largest = span.largest if "fp16" in format else None
    assert trial.figures["largest_activation"] == largest
    assert span.overflow is None
    assert 1 < span.largest < 1000
    assert span.module in dict(tiny.model.named_modules())
