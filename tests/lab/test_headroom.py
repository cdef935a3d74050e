import pytest
import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM

from qdemo import cast, footprint
from qdemo.lab.headroom import LIMIT, MOST_TOKENS, Peak, dtypes, headroom
from qdemo.models.availability import get_entry
from qdemo.models.decoding import generate
from qdemo.models.loading import kept_wide, load
from tests.compress.models import Small


class Chain(nn.Module):
    """1, 2 and 3 become 5, 10, 15; then 0 or less; the sum of that is −30 · 2 + 1."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(1, 1)
        self.act = nn.ReLU()
        self.last = nn.Linear(1, 1)
        for layer, weight, bias in ((self.first, 5, 0), (self.last, -4, 1)):
            nn.init.constant_(layer.weight, weight)
            nn.init.constant_(layer.bias, bias)

    def forward(self, x):
        return self.last(self.act(self.first(x)))


def answer(model, inputs=(1.0, 3.0, 2.0)):
    for x in inputs:
        yield int(model(torch.tensor([[x]])))


def hooks(model):
    return [hook for module in model.modules() for hook in module._forward_hooks]


def test_each_peak_is_the_largest_of_the_whole_answer():
    model = Chain()
    found = headroom(model, answer(model))
    assert found == [Peak("last", "Linear", 59.0), Peak("first", "Linear", 15.0)]


def test_an_answer_is_looked_at_for_so_many_tokens():
    model = Chain()
    peaks = headroom(model, answer(model, (*[1.0] * MOST_TOKENS, 9.0)))
    assert peaks[0].largest == 19.0


def test_what_goes_in_counts_too():
    model = Chain()
    nn.init.constant_(model.first.weight, 0.5)
    peaks = {peak.module: peak.largest for peak in headroom(model, answer(model, (-8.0,)))}
    assert peaks == {"first": 8.0, "last": 1.0}


def test_the_share_is_of_the_end_of_fp16():
    assert torch.finfo(torch.float16).max == LIMIT
    assert Peak("x", "Linear", 32752.0).share == 0.5


def test_no_hook_stays():
    model = Chain()
    headroom(model, answer(model))
    assert hooks(model) == []


def test_no_hook_stays_after_an_error():
    model = Chain()
    with pytest.raises(ValueError, match="str"):
        headroom(model, answer(model, ("three",)))
    assert hooks(model) == []


@pytest.mark.parametrize("format", ["fp32", "fp16", "bf16"])
def test_the_bytes_by_dtype_add_up_to_the_footprint(format):
    model = Small()
    found = dtypes(model, format)
    assert sum(size for *_, size in found) == footprint(cast(model, format)).total
    counts = {(what, dtype): numel for what, dtype, numel, _ in found}
    name = str({"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[format])
    name = name.removeprefix("torch.")
    assert counts["parameters", name] == sum(p.numel() for p in model.parameters())
    assert counts["buffers", name] == 16
    assert counts["buffers", "int64"] == 20


def test_a_model_of_no_such_list_keeps_nothing_wide():
    assert kept_wide(Small()) == ()


@pytest.fixture(scope="module")
def tiny():
    return load(get_entry("t5-tiny"))


def test_t5_tiny_keeps_wide_what_transformers_keeps_in_fp32(tiny):
    low = AutoModelForSeq2SeqLM.from_pretrained(
        get_entry("t5-tiny").folder, dtype=torch.float16, local_files_only=True
    )
    wide = [name for name, p in low.named_parameters() if p.dtype == torch.float32]
    assert wide
    assert [f"{name}.weight" for name in tiny.kept_wide] == wide


def test_the_peaks_of_t5_tiny_are_far_from_the_end_of_fp16(tiny):
    prompt = tiny.family.encode("Translate to German: Tuesday")
    peaks = headroom(tiny.model, generate(tiny.family, tiny.model, prompt, MOST_TOKENS))
    assert peaks == sorted(peaks, key=lambda peak: -peak.largest)
    assert 0 < peaks[0].share < 0.01
    assert hooks(tiny.model) == []


def test_the_dtypes_of_t5_tiny_add_up_to_its_footprint(tiny):
    found = dtypes(tiny.model, "bf16")
    assert sum(size for *_, size in found) == footprint(cast(tiny.model, "bf16")).total
