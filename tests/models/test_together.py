"""What is said of many prompts at once is what is said of each alone, whatever their lengths."""

import math
import random

import pytest
import torch
from PIL import Image

from assets.train.text.heldout import read_held_out
from qdemo import Variant
from qdemo.models import together
from qdemo.models.availability import get_entry
from qdemo.models.catalogue import Entry
from qdemo.models.decoding import generate, score, why_ended
from qdemo.models.families.causal import Causal
from qdemo.models.loading import load
from qdemo.models.pictures import gallery, named_picture
from qdemo.models.together import answers, scored_together
from tests.causal_folder import CONFIGS, POSITIONS, config, model, tokenizer
from tests.models.models import write_blip, write_t5

NEAR = {torch.float32: 1e-4, torch.bfloat16: 0.05, torch.float16: 0.01}
"""How far logits of another order of adding up may be, of the largest one."""

WORDS = ("one two", "three", "four five six seven one two three four five", "two two two", "six")
TEXTS = (
    "a",
    "The wolf and the pig went to the river.",
    "What is the name of the onion?",
    "Hello, my name is Hugo, and this is the story of a small model that goes on with it.",
    "Hello",
)
ONE_BY_ONE = {"mamba", "rwkv"}


@pytest.fixture(scope="module", params=["t5-tiny", "blip-tiny"])
def tiny(request):
    """An embedded model, and inputs of it."""
    loaded = load(get_entry(request.param))
    if request.param == "blip-tiny":
        return loaded, [named_picture(name) for name in list(gallery())[:5]]
    items = random.Random(0).sample(read_held_out(), 10)
    return loaded, [item.prompt for item in items]


def alone(family, made, prompt, count):
    return tuple(generate(family, made, prompt, count))


def check_logits(family, made, prompts, tokens):
    near = NEAR[next(made.parameters()).dtype]
    found = scored_together(family, made, prompts, tokens)
    for prompt, own, logits in zip(prompts, tokens, found, strict=True):
        wanted = score(family, made, prompt, own).float()
        assert logits.dtype == torch.float32
        assert logits.shape == wanted.shape
        assert (logits - wanted).abs().max() <= near * wanted.abs().max()


def check_answers(family, made, prompts, found, count):
    """Each is that of `generate`, up to a token that is nearly as likely as another."""
    near = NEAR[next(made.parameters()).dtype]
    for prompt, own in zip(prompts, found, strict=True):
        wanted = alone(family, made, prompt, count)
        if own != wanted:
            assert near > NEAR[torch.float32]
            at = next(
                i for i, pair in enumerate(zip(own, wanted, strict=False)) if len({*pair}) > 1
            )
            logits = score(family, made, prompt, wanted)[at]
            assert logits.max() - logits[own[at]] <= near * logits.abs().max()


def check(family, made, prompts, count=24):
    found = answers(family, made, prompts, count)
    check_answers(family, made, prompts, found, count)
    check_logits(family, made, prompts, found)
    return found


@pytest.mark.parametrize("text", ["fp32", "bf16", "int8", "nf4-g64", "int8@bf16"])
def test_an_embedded_model_says_the_same(tiny, text):
    loaded, given = tiny
    made = loaded.model if text == "fp32" else Variant.parse(text).build(loaded.model)
    found = check(loaded.family, made, [loaded.family.encode(one) for one in given])
    assert len({len(answer) for answer in found}) > 1


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_language_model_says_the_same(kind):
    made = model(kind)
    family = Causal(made.config, tokenizer(), made.generation_config)
    assert family.reads_together(made) == (kind not in ONE_BY_ONE)
    found = check(family, made, [family.encode(text) for text in TEXTS], 24)
    assert len(set(found)) == len(TEXTS)


@pytest.mark.parametrize(("tied", "activation"), [(False, "gated-gelu"), (True, "relu")])
def test_any_t5_says_the_same(tmp_path, tied, activation):
    torch.manual_seed(0)
    write_t5(tmp_path, tied, activation)
    loaded = load(Entry("small", "text2text", tied=tied, parameters=0, folder=tmp_path))
    check(loaded.family, loaded.model, [loaded.family.encode(words) for words in WORDS], 12)


def test_a_caption_ends_where_there_are_no_more_positions(tmp_path):
    write_blip(tmp_path)
    loaded = load(Entry("small", "captioning", tied=False, parameters=0, folder=tmp_path))
    pictures = [Image.effect_noise((40, 40), sigma).convert("RGB") for sigma in (10, 60, 200)]
    found = check(loaded.family, loaded.model, list(map(loaded.family.encode, pictures)), 1000)
    assert max(map(len, found)) == 32


def causal(**changed):
    made = model("gpt2")
    with torch.no_grad():
        for name, value in changed.items():
            made.get_submodule(name).weight.fill_(value)
    return Causal(made.config, tokenizer(), made.generation_config), made


def test_a_text_ends_where_the_model_has_no_more_positions_and_others_go_on():
    family, made = causal()
    long = "The wolf " * 200
    tokens = tokenizer()(long)["input_ids"][: POSITIONS - 4]
    prompts = [family.encode("a", "text"), family.encode(tokenizer().decode(tokens), "text")]
    found = check(family, made, prompts, 30)
    assert len(found[1]) == prompts[1].longest < len(found[0])


def test_an_answer_that_goes_round_ends_alone():
    family, made = causal(**{"transformer.wpe": 0.0})  # so that it has no sense of place
    prompts = [family.encode(text) for text in TEXTS]
    found = check(family, made, prompts, 60)
    why = {why_ended(answer, prompt, 60) for answer, prompt in zip(found, prompts, strict=True)}
    assert "repetition" in why


def test_the_order_is_kept_in_batches_of_any_size(tiny, monkeypatch):
    loaded, given = tiny
    prompts = [loaded.family.encode(one) for one in given]
    wanted = [alone(loaded.family, loaded.model, prompt, 24) for prompt in prompts]
    read = loaded.family.prefill_together
    seen = []
    monkeypatch.setattr(
        loaded.family,
        "prefill_together",
        lambda m, given, *more: seen.append(given) or read(m, given, *more),
    )
    for rows, positions in ((3, 2**14), (64, 100), (64, 1)):
        monkeypatch.setattr(together, "ROWS", rows)
        monkeypatch.setattr(together, "POSITIONS", positions)
        seen.clear()
        assert answers(loaded.family, loaded.model, prompts, 24) == wanted
        assert sum(map(len, seen)) == len(prompts)
        for batch in seen:
            most = max(map(loaded.family.length, batch)) + 24
            assert len(batch) == 1 or (len(batch) <= rows and len(batch) * most <= positions)
    scored = scored_together(loaded.family, loaded.model, prompts, wanted)
    assert [logits.argmax(1).tolist() for logits in scored] == list(map(list, wanted))


def test_none_and_one_are_many(tiny):
    loaded, given = tiny
    assert answers(loaded.family, loaded.model, [], 24) == []
    assert scored_together(loaded.family, loaded.model, [], []) == []
    check(loaded.family, loaded.model, [loaded.family.encode(given[0])])
    check(loaded.family, loaded.model, [loaded.family.encode(given[0])] * 2, 1)


def test_what_is_done_costs_no_more_steps(tiny, monkeypatch):
    loaded, given = tiny
    family, prompts, rows = loaded.family, [loaded.family.encode(one) for one in given], []
    step = family.step_together
    monkeypatch.setattr(
        family, "step_together", lambda m, state, t: rows.append(len(t)) or step(m, state, t)
    )
    found = answers(family, loaded.model, prompts, 24)
    longest = max(map(len, found))
    assert rows == [sum(len(answer) > i for answer in found) for i in range(1, longest)]


def broken(folder, token):
    """A T5 whose encoder has no numbers for one token."""
    write_t5(folder, False, "gated-gelu")
    loaded = load(Entry("small", "text2text", tied=False, parameters=0, folder=folder))
    own = torch.nn.Embedding.from_pretrained(loaded.model.shared.weight.detach().clone())
    own.weight[token] = math.nan
    loaded.model.encoder.embed_tokens = own
    return loaded


def test_a_row_that_is_not_finite_ends_alone(tmp_path):
    loaded = broken(tmp_path, token=8)  # "six"
    family, made = loaded.family, loaded.model
    prompts = [family.encode(words) for words in WORDS]
    is_broken = ["six" in words for words in WORDS]
    found = answers(family, made, prompts, 12)
    assert [answer is None for answer in found] == is_broken
    with pytest.raises(ArithmeticError, match="not finite"):
        alone(family, made, prompts[is_broken.index(True)], 12)
    whole = [prompt for prompt, lost in zip(prompts, is_broken, strict=True) if not lost]
    check_answers(family, made, whole, [answer for answer in found if answer is not None], 12)
    logits = scored_together(family, made, prompts, [(3, 4)] * len(prompts))
    assert [not own.isfinite().all() for own in logits] == is_broken


def test_logits_far_apart_are_finite():
    """In fp16 their difference is not."""
    logits = torch.tensor([[-4e4, 4e4], [0, math.inf], [0, -math.inf], [1, math.nan]]).half()
    assert together._chosen(logits).tolist() == [1, *[together.NOT_FINITE] * 3]


@pytest.mark.parametrize("kind", ["gpt2", "mamba"])
def test_a_model_that_is_not_finite_answers_nothing(kind):
    made = model(kind)
    family = Causal(made.config, tokenizer(), made.generation_config)
    next(made.parameters()).data.fill_(math.nan)
    assert answers(family, made, [family.encode(text) for text in TEXTS], 5) == [None] * len(TEXTS)


def test_padding_that_a_model_is_not_told_of_is_none():
    without = config("llama")
    without.layer_types = ["linear_attention"] * without.num_hidden_layers
    family = Causal(without, tokenizer())
    assert family.cache is None
    assert not family.reads_together(model("llama"))


@pytest.mark.parametrize("tokens", [[(3,)], [(3,), ()]])
def test_each_prompt_needs_tokens_to_score(tiny, tokens):
    loaded, given = tiny
    prompts = [loaded.family.encode(one) for one in given[:2]]
    with pytest.raises(ValueError, match="tokens to score for each of 2 prompts"):
        scored_together(loaded.family, loaded.model, prompts, tokens)
