"""Tokens that are drawn: one number a position, of seed and position alone; and answers that go
round in a circle."""

import copy
import math
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import nn

from qdemo import Variant
from qdemo.models.availability import get_entry
from qdemo.models.decoding import drawn, generate, goes_round, uniform, why_ended
from qdemo.models.families.causal import Causal
from qdemo.models.loading import load
from qdemo.models.pictures import named_picture
from qdemo.spec.decoding import GREEDY, LARGEST_SEED, Decoding
from tests.causal_folder import END, Scripted, config, model, tokenizer

WARM = Decoding(temperature=0.8, seed=7)
SEEDS = some.integers(0, LARGEST_SEED)
LARGEST_U = math.nextafter(1, 0)


def philox(key, counter):
    """Philox4x64-10 as its paper has it, of which numpy's is one more program."""
    words, keys = [counter, 0, 0, 0], [key, 0]
    for _ in range(10):
        one, other = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [
            (other >> 64) ^ words[1] ^ keys[0], other % 2**64,
            (one >> 64) ^ words[3] ^ keys[1], one % 2**64,
        ]  # fmt: skip
        keys = [(keys[0] + 0x9E3779B97F4A7C15) % 2**64, (keys[1] + 0xBB67AE8584CAA73B) % 2**64]
    return words[0]


@given(SEEDS, some.integers(0, 5000))
def test_the_number_of_a_position_is_that_of_a_published_generator(seed, position):
    assert uniform(seed, position) == (philox(seed, position + 1) >> 11) / 2**53
    assert 0 <= uniform(seed, position) < 1


def test_the_numbers_are_spread_evenly():
    """Chi-squared of 50 cells, within what one in 1,000 exceeds; and no neighbours alike."""
    for seed in (0, 1, 2**31 - 1):
        numbers = [uniform(seed, position) for position in range(5000)]
        counts = np.histogram(numbers, 50, (0, 1))[0]
        assert ((counts - 100) ** 2 / 100).sum() < 85.35
        together = np.corrcoef(numbers[1:], numbers[:-1])[0, 1]
        assert abs(together) < 3.3 / math.sqrt(5000)
    firsts = [uniform(seed, 0) for seed in range(5000)]
    assert ((np.histogram(firsts, 50, (0, 1))[0] - 100) ** 2 / 100).sum() < 85.35


@pytest.mark.parametrize("temperature", [0.5, 1, 2])
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature):
    """Chi-squared of 5 tokens in 4,000 positions, within what one in 1,000 exceeds."""
    logits = torch.tensor([0.3, -1.0, 1.5, 0.0, -0.4])
    weights = [math.exp(z / temperature) for z in logits.tolist()]
    wanted = np.array(weights) / sum(weights) * 4000
    tokens = [drawn(logits, uniform(11, position), temperature) for position in range(4000)]
    counts = np.bincount(tokens, minlength=5)
    assert ((counts - wanted) ** 2 / wanted).sum() < 18.47


LOGITS = some.lists(some.floats(-60, 60, width=32), min_size=1, max_size=12).map(torch.tensor)


@given(LOGITS, some.lists(some.floats(0, LARGEST_U), min_size=2), some.floats(0.01, 5))
def test_a_larger_number_never_draws_an_earlier_token(logits, numbers, temperature):
    tokens = [drawn(logits, u, temperature) for u in sorted(numbers)]
    assert all(a <= b for a, b in pairwise(tokens))
    assert all(0 <= token < len(logits) for token in tokens)


@given(LOGITS, some.floats(0.05, 5))
def test_each_token_has_the_numbers_between_the_sums(logits, temperature):
    """By exact sums, a little inside of each token's part."""
    largest = max(logits.tolist())
    weights = [math.exp((z - largest) / temperature) for z in logits.tolist()]
    total = math.fsum(weights)
    for token, weight in enumerate(weights):
        below = math.fsum(weights[:token]) / total
        if weight / total > 1e-9:
            for inside in (0.001, 0.5, 0.999):
                assert drawn(logits, below + inside * weight / total, temperature) == token


@given(LOGITS, some.floats(0, LARGEST_U))
def test_the_colder_the_likelier(logits, u):
    """The limit is greedy, where one token alone is the likeliest."""
    best = logits.max()
    token = drawn(logits, u, 1e-300)
    assert logits[token] == best
    if (logits == best).sum() == 1:
        assert token == int(logits.argmax())
        gap = (best - logits[logits != best].max()).item() if len(logits) > 1 else 1
        assert drawn(logits, u, gap / 750) == token


def test_what_is_impossible_is_never_drawn():
    logits = torch.tensor([-1e4, 0.0, -1e4, 1.0, -1e4])
    assert {drawn(logits, u, 1) for u in (0.0, 1e-300, 0.3, 0.9, LARGEST_U)} == {1, 3}
    assert drawn(logits.half(), LARGEST_U, 0.1) == 3
    assert drawn(torch.zeros(3), 0.0, 1) == 0
    assert drawn(torch.zeros(3), LARGEST_U, 1) == 2


GIVEN = {"t5-tiny": "Hello, my name is ", "blip-tiny": "scene:42", "llama": "The wolf"}


@pytest.fixture(scope="module", params=GIVEN)
def asked(request):
    """A model of each family, and a prompt."""
    if request.param == "llama":
        made = model("llama")
        family = Causal(made.config, tokenizer())
        return family, made, family.encode(GIVEN["llama"])
    loaded = load(get_entry(request.param))
    asked = GIVEN[request.param]
    value = named_picture(asked) if asked.startswith("scene:") else asked
    return loaded.family, loaded.model, loaded.family.encode(value)


def answer(asked, decoding, made=None, count=24):
    family, own, prompt = asked
    return list(generate(family, made or own, prompt, count, decoding))


def test_one_seed_is_one_text(asked):
    warm = answer(asked, WARM)
    torch.manual_seed(3)
    assert answer(asked, WARM) == warm
    assert answer(asked, WARM, copy.deepcopy(asked[1])) == warm
    others = {tuple(answer(asked, replace(WARM, seed=seed, temperature=5))) for seed in range(4)}
    assert len(others) > 2
    assert answer(asked, Decoding(temperature=1e-9, seed=5)) == answer(asked, GREEDY)


def test_each_token_is_that_of_its_own_number(asked):
    """By hand: the logits of the whole, and the first sum above the number."""
    family, made, prompt = asked
    tokens = answer(asked, WARM)
    with torch.inference_mode():
        logits, _ = family.prefill(made, prompt, tokens[:-1])
    for position, token in enumerate(tokens):
        sums = (logits[position].double() / WARM.temperature).softmax(0).cumsum(0).tolist()
        u = uniform(WARM.seed, position)
        below = sums[token - 1] if token else 0
        assert below - 1e-5 <= u <= sums[token] + 1e-5


def test_a_format_with_the_logits_of_fp32_writes_its_text():
    """int8, where all weights lie on its grid: its own sums differ in their rounding alone."""
    made = model("llama")
    with torch.no_grad():
        for layer in made.modules():
            if isinstance(layer, nn.Linear):
                w = layer.weight
                whole = (w / w.abs().amax(1, keepdim=True) * 127).round()
                w.copy_(whole / 2**9)
    family = Causal(made.config, tokenizer())
    asked = family, made, family.encode("The wolf")
    texts = {seed: answer(asked, Decoding(temperature=1, seed=seed), count=40) for seed in range(3)}
    assert len(set(map(tuple, texts.values()))) == 3
    for text in ("int8", "fp32"):
        other = Variant.parse(text).build(made)
        for seed, wanted in texts.items():
            assert answer(asked, Decoding(temperature=1, seed=seed), other, 40) == wanted


def round_by_hand(tokens):
    """As text: a part that comes three times at least, and to 16 tokens at least, at the end."""
    text = "".join(f"{token}," for token in tokens)
    return any(
        tail[0].count(",") >= 16
        for start in range(len(tokens))
        if (rest := "".join(f"{token}," for token in tokens[start:]))
        if (tail := re.fullmatch(r"((?:\d+,)+?)\1{2,}", rest))
    ) and bool(text)


@given(some.lists(some.integers(0, 2), max_size=4), some.lists(some.integers(0, 2), min_size=1,
       max_size=7), some.integers(1, 20), some.integers(0, 3))  # fmt: skip
def test_a_circle_is_told_from_what_only_looks_like_one(before, part, rounds, cut):
    tokens = before + part * rounds
    tokens = tokens[: len(tokens) - cut]
    assert goes_round(tokens) == round_by_hand(tokens)


def spoken(script, vocabulary=400, may_repeat=False, decoding=GREEDY, count=100):
    family = Causal(config("llama"), tokenizer())
    prompt = replace(family.encode("a"), may_repeat=may_repeat)
    tokens = list(generate(family, Scripted(script, vocabulary), prompt, count, decoding))
    return tokens, why_ended(tokens, prompt, count, decoding)


def test_an_answer_that_goes_round_is_ended():
    assert spoken([5, 6, *[7, 8, 9] * 40]) == ([5, 6, *[7, 8, 9] * 6], "repetition")
    assert spoken([9] * 100) == ([9] * 16, "repetition")
    phrase = list(range(30, 60))
    assert spoken([*phrase * 4]) == (phrase * 3, "repetition")
    assert spoken([9] * 100, may_repeat=True) == ([9] * 100, "length")
    hot = Decoding(temperature=1e-6, seed=1)
    assert spoken([9] * 100, decoding=hot) == ([9] * 100, "length")


@pytest.mark.parametrize("text", [
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20",
    "- the wolf\n- the pig\n- the river\n- the onion\n- the story\n- the model",
    "Hello, hello, hello! " * 2, "no no no no no", "..........", "ha ha ha ha ha", "_" * 15,
])  # fmt: skip
def test_a_list_is_no_circle(text):
    script = [*tokenizer()(text)["input_ids"], END]
    assert spoken(script) == (script, "end")


def test_why_an_answer_ends_is_told():
    family = Causal(config("llama"), tokenizer())
    prompt = family.encode("a")
    assert why_ended([5, END], prompt, 2) == "end"
    assert why_ended([5, 6], prompt, 2) == "length"
    assert why_ended([5] * 16, prompt, 16) == "repetition"
    assert why_ended([5] * 16, prompt, 16, WARM) == "length"
    assert why_ended([5, 6], replace(prompt, longest=2), 99) == "length"
    with pytest.raises(ValueError, match="does not end after 2 tokens"):
        why_ended([5, 6], prompt, 3)


@pytest.mark.parametrize("temperature", [0.05, 0.7, 1.0, 5, 1e-9, 1 / 3, 0.123456789])
def test_an_address_asks_for_the_very_same(temperature):
    decoding = Decoding("text", temperature, 3)
    assert Decoding.read(decoding.asked) == decoding
