import shutil
import time
import unicodedata
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from qdemo.compress.building import at_once
from qdemo.engine.calibrating import (
    collect,
    fitted,
    pairs,
    quarter,
    rows_for,
    statistics,
)
from qdemo.engine.estimating import CALIBRATION
from qdemo.models.availability import get_entry
from qdemo.models.families import Batch
from qdemo.models.families.base import padded
from qdemo.models.loading import load
from qdemo.models.pictures import captions

DEFAULT = Path(__file__).parents[2] / "assets" / CALIBRATION
ALL = 10**6  # more rows than there are


@pytest.fixture(scope="module", params=["t5-tiny", "blip-tiny"])
def loaded(request):
    return load(get_entry(request.param))


@pytest.fixture(scope="module")
def some(loaded):
    """More than one batch of pairs, the last one not full."""
    return pairs(loaded)[:20]


def linear(model):
    return {name: layer for name, layer in model.named_modules() if type(layer) is nn.Linear}


@contextmanager
def heard(model):
    """What Linear layers are given meanwhile, by name; hooks of this test's own."""
    inputs = {name: [] for name in linear(model)}
    hooks = [
        layer.register_forward_pre_hook(lambda _, args, name=name: inputs[name].append(args[0]))
        for name, layer in linear(model).items()
    ]
    yield inputs
    for hook in hooks:
        hook.remove()


def alone(loaded, pair):
    """What each layer is given when the model scores the answer of one pair, without padding."""
    given, answer = pair
    forced = loaded.family.tokenizer(answer, add_special_tokens=False)["input_ids"]
    with heard(loaded.model) as inputs, torch.inference_mode():
        loaded.family.prefill(loaded.model, loaded.family.encode(given), forced)
    return {name: torch.cat([x[0] for x in found]) for name, found in inputs.items()}


def memory(loaded, pair):
    """What the encoder makes of one input."""
    inputs = loaded.family.encode(pair[0]).inputs
    encoder = getattr(loaded.model, "encoder", None) or loaded.model.vision_model
    with torch.inference_mode():
        return encoder(**inputs).last_hidden_state[0]


def test_every_row_of_every_item_is_collected_and_no_padding(loaded, some):
    found = collect(loaded, some, ALL)
    each = [alone(loaded, pair) for pair in some]
    assert set(found) == set(linear(loaded.model))
    for name, rows in found.items():
        wanted = torch.cat([inputs[name] for inputs in each])
        assert rows.shape == wanted.shape, name
        assert torch.allclose(rows, wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item()), name


def test_cross_attention_s_keys_and_values_are_made_of_what_the_encoder_returns(loaded, some):
    found = collect(loaded, some, ALL)
    cross = (".EncDecAttention.k", ".EncDecAttention.v", ".crossattention.self.key",
             ".crossattention.self.value")  # fmt: skip
    seen = torch.cat([memory(loaded, pair) for pair in some])
    names = [name for name in found if name.endswith(cross)]
    assert len(names) == 2 * (3 if loaded.entry.name == "t5-tiny" else 2)
    for name in names:
        assert torch.allclose(found[name], seen, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [32, 50, 100, 256])
def test_rows_are_at_most_as_many_as_asked_for(loaded, rows):
    found = collect(loaded, pairs(loaded), rows)
    for name, x in found.items():
        assert x.shape[1] == linear(loaded.model)[name].in_features
        assert rows / 2 < len(x) <= rows, name
        if name.startswith(("encoder", "vision_model")):
            assert len(x) == rows


def test_collecting_twice_finds_the_same(loaded):
    first, again = (collect(loaded, pairs(loaded), 64) for _ in range(2))
    assert list(first) == list(again)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_nothing_listens_afterwards_whatever_happens(loaded, some):
    collect(loaded, some, 32)
    with pytest.raises(AttributeError, match="nothing"):
        collect(SimpleNamespace(model=loaded.model, family=Failing(loaded.family)), some, 32)
    assert not any(layer._forward_pre_hooks for layer in loaded.model.modules())


class Failing:
    """A family whose models can't be run."""

    def __init__(self, family):
        self.calibration_batch = family.calibration_batch

    def forward(self, model, batch):
        raise AttributeError("nothing")


class Counting:
    """A family whose inputs are lengths: row `i` of item `n` is (n, i), and padding is −1."""

    def calibration_batch(self, pairs):
        _, mask = padded([[0] * length for _, length in pairs])
        x = torch.full((*mask.shape, 2), -1.0)
        for at, (item, length) in enumerate(pairs):
            x[at, :length] = torch.tensor([[item, i] for i in range(length)])
        return Batch({"x": x}, (mask,))

    def forward(self, model, batch):
        return model(batch.inputs["x"])


def counted(lengths, rows):
    """The items and the places of the rows that are kept."""
    loaded = SimpleNamespace(model=nn.Sequential(nn.Linear(2, 1)), family=Counting())
    found = collect(loaded, list(enumerate(lengths)), rows)
    return [tuple(map(int, row)) for row in found["0"].tolist()]


def test_rows_are_spread_over_items_and_over_their_places():
    kept = counted([37] * 64, 256)
    assert len(set(kept)) == 256
    items, places = (Counter(which) for which in zip(*kept, strict=True))
    assert set(items) == set(range(64))
    assert set(places) == set(range(37))
    assert max(items.values()) <= 6
    assert max(places.values()) <= 12


def test_items_are_spread_over_all_there_are():
    items = sorted({item for item, _ in counted([5] * 1000, 256)})
    assert len(items) == 64
    assert items[0] < 30
    assert items[-1] > 970
    assert max(b - a for a, b in pairwise(items)) < 40


def test_short_items_give_all_they_have_where_there_is_room():
    assert counted([1, 3, 2], 100) == [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]


def test_long_items_give_more_as_they_are_more_of_what_layers_see():
    items = Counter(item for item, _ in counted([6, 60] * 8, 132))
    for item in range(16):
        assert abs(items[item] - (15 if item % 2 else 1.5)) <= 1.5


def test_an_embedded_model_brings_its_own_inputs(loaded):
    lines = (loaded.entry.folder / CALIBRATION).read_text(encoding="utf-8").splitlines()
    found = pairs(loaded)
    names = [getattr(given, "name", given) for given, _ in found]
    assert [f"{name}\t{answer}" for name, (_, answer) in zip(names, found, strict=True)] == lines


def test_a_model_without_a_file_gets_ours(loaded, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(loaded.entry.folder, folder, ignore=shutil.ignore_patterns(CALIBRATION))
    other = load(replace(loaded.entry, folder=folder))
    found = pairs(other)
    if loaded.entry.name == "t5-tiny":
        assert "\n".join(map("\t".join, found)) + "\n" == DEFAULT.read_text(encoding="utf-8")
    else:
        assert {given.name: answer for given, answer in found} == captions()
    inputs = collect(other, found, 50)
    assert set(inputs) == set(linear(other.model))
    assert all(x.isfinite().all() for x in inputs.values())
    on_the_hub = replace(loaded, entry=replace(loaded.entry, folder=None))
    assert [answer for _, answer in pairs(on_the_hub)] == [answer for _, answer in found]


def test_our_texts_are_short_whole_and_all_different():
    text = DEFAULT.read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.splitlines()]
    assert len(lines) == 128
    assert all(len(line) == 2 for line in lines)
    assert len({asked.casefold() for asked, _ in lines}) == 128
    for asked, answer in lines:
        assert 5 <= len(asked.split()) <= 40
        assert 1 <= len(answer.split()) <= 40
        assert asked == " ".join(asked.split())
        assert answer == " ".join(answer.split())
    assert unicodedata.is_normalized("NFC", text)


def test_large_models_are_given_fewer_rows():
    sizes = (0, 4_175_424, 80_000_000, 11_135_332_352)
    assert [rows_for(size) for size in sizes] == [256, 239, 24, 24]


def test_it_takes_t5_tiny_no_time():
    loaded = load(get_entry("t5-tiny"))
    collect(loaded, pairs(loaded), 32)
    began = time.perf_counter()
    collect(loaded, pairs(loaded), rows_for(loaded.parameters))
    assert time.perf_counter() - began < 1


def test_methods_never_see_the_inputs_that_they_are_judged_by(loaded):
    every = pairs(loaded)
    seen = fitted(every)
    assert len(seen) + quarter(len(every)) == len(every)
    own = {id(pair) for pair in seen}
    items = [pair for pair in every if id(pair) not in own]
    wanted = collect(loaded, items, ALL)
    found = collect(loaded, every, ALL, quarter(len(every)))
    for name, rows in found.items():
        assert torch.allclose(rows.abs().sum(), wanted[name].abs().sum(), rtol=1e-4)


def test_both_parts_have_some_of_every_task():
    """Of which t5-tiny's file has sixteen, one after the other."""
    left = Counter(i % 16 for i, _ in fitted([(i, "") for i in range(256)]))
    assert sum(left.values()) == 192
    assert all(10 <= left[task] <= 14 for task in range(16))


def test_statistics_are_those_of_all_rows(loaded, some):
    found, rows = at_once(statistics(loaded, some)), collect(loaded, some, ALL)
    assert list(found) == list(linear(loaded.model))
    for name, x in rows.items():
        one, size = found[name], x.abs().max().item()
        assert one.count == len(x)
        assert torch.allclose(one.absmax, x.abs().amax(0), rtol=1e-4, atol=1e-5 * size)
        assert torch.allclose(one.mean_abs, x.abs().mean(0), rtol=1e-4, atol=1e-5 * size)
        wanted = 2 * x.t().double() @ x.double() / len(x)
        assert torch.allclose(one.hessian.double(), wanted, rtol=1e-3, atol=1e-5 * size**2)


def test_statistics_are_told_of_part_by_part_and_can_be_ended(loaded):
    steps = statistics(loaded, pairs(loaded)[:40], hessian=False)
    assert next(steps) == 16
    steps.close()
    assert not any(layer._forward_pre_hooks for layer in loaded.model.modules())
    assert list(statistics(loaded, pairs(loaded)[:40], hessian=False)) == [16, 32, 40]
    one = next(iter(at_once(statistics(loaded, pairs(loaded)[:2], hessian=False)).values()))
    assert one.hessian is None
