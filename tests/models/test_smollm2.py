"""SmolLM2-135M with its real weights, out of the package that tests/run.sh installs."""

import math
from itertools import pairwise

import pytest
import regex
import torch
from gguf import GGUFReader, dequantize
from torch.nn.functional import cross_entropy, rms_norm, silu
from transformers.convert_slow_tokenizer import bytes_to_unicode

import qdemo
from qdemo.compress.building import at_once
from qdemo.engine.calibrating import fitted, pairs, statistics
from qdemo.models.availability import get_entry
from qdemo.models.decoding import generate, score
from qdemo.models.loading import load, skeleton

PARAGRAPH = (
    "The lighthouse keeper had lived on the island for thirty-one years, and in all that time she "
    "had left it only twice. Every evening, when the sun went down behind the cliffs, she climbed "
    "the narrow stairs to the lamp, wiped the salt from the glass, and wrote the weather into a "
    "large book: the direction of the wind, the height of the waves, and whatever ships had "
    "passed. On clear days she could see the coast of the mainland, twelve miles away, with its "
    "white houses and the tall tower of the church. In the winter of 1962 a storm broke the small "
    "pier to pieces, and no boat could reach her for seven weeks."
)
TEXTS = (
    "",
    " ",
    "Hello, my name is Ada.",
    "It's 1984; they've 12,345.67 reasons,\n\n   7 of them   \tgood.  ",
    "x = [i**2 for i in range(10)]  # ½ ² Ⅷ ٣",
    "日本語と한국어, naïve café — “quoted”",
    "👩‍👩‍👧 and 🇫🇷 and a\u0301",
    "THAT'S 'll 'LL we'd\r\nend\u00a0of\u2003it",
    "a<|im_end|>\n<|im_start|>user b",
)


@pytest.fixture(scope="module")
def smollm2():
    return load(get_entry("smollm2-135m"))


@pytest.fixture(scope="module")
def reader():
    return GGUFReader(get_entry("smollm2-135m").gguf)


@pytest.fixture(scope="module")
def prompt(smollm2):
    return smollm2.family.encode(PARAGRAPH, "score")


@pytest.fixture(scope="module")
def reference(smollm2, prompt):
    return score(smollm2.family, smollm2.model, prompt, prompt.forced)


def perplexity(logits, tokens):
    return math.exp(cross_entropy(logits, torch.tensor(tokens)))


def test_the_catalogue_knows_what_the_file_has(smollm2):
    shapes = skeleton(smollm2.entry)
    assert smollm2.model.config.to_diff_dict() == {
        **shapes.config.to_diff_dict(),
        "dtype": "float32",
        "rms_norm_eps": pytest.approx(1e-5),
    }
    found, wanted = (dict(one.named_parameters()) for one in (smollm2.model, shapes))
    assert {name: x.shape for name, x in found.items()} == {
        name: x.shape for name, x in wanted.items()
    }
    assert {x.dtype for x in found.values()} == {torch.float32}
    assert smollm2.parameters == smollm2.entry.parameters
    assert smollm2.model.lm_head.weight is smollm2.model.model.embed_tokens.weight


@torch.inference_mode()
def as_ggml_computes(reader, tokens):
    """Logits (T, V), of the file's own tensors in their own order: of a head's values the one at 2i
    is turned with that at 2i + 1, by t · θ^(−2i/d)."""
    value = {name: field.contents() for name, field in reader.fields.items() if "llama." in name}
    w = {x.name: torch.tensor(dequantize(x.data, x.tensor_type)) for x in reader.tensors}
    heads, shared = value["llama.attention.head_count"], value["llama.attention.head_count_kv"]
    epsilon = value["llama.attention.layer_norm_rms_epsilon"]
    d, count = value["llama.rope.dimension_count"], len(tokens)
    angles = torch.outer(
        torch.arange(count), value["llama.rope.freq_base"] ** (-torch.arange(0, d, 2) / d)
    )
    turn = torch.polar(torch.ones_like(angles), angles)[:, None]  # (T, 1, d/2)
    later = torch.full((count, count), -torch.inf).triu(1)

    def norm(x, name):
        return rms_norm(x, x.shape[-1:], w[f"{name}.weight"], epsilon)

    def turned(x):
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * turn).flatten(-2)

    x = w["token_embd.weight"][tokens]
    for block in range(value["llama.block_count"]):
        own = {
            name.split(".")[2]: tensor
            for name, tensor in w.items()
            if name.startswith(f"blk.{block}.")
        }
        y = norm(x, f"blk.{block}.attn_norm")
        q = turned((y @ own["attn_q"].T).unflatten(-1, (heads, d)))
        k, v = ((y @ own[name].T).unflatten(-1, (shared, d)) for name in ("attn_k", "attn_v"))
        k, v = (z.repeat_interleave(heads // shared, 1) for z in (turned(k), v))
        shares = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(d) + later
        y = torch.einsum("hqk,khd->qhd", shares.softmax(-1), v).flatten(1)
        x = x + y @ own["attn_output"].T
        y = norm(x, f"blk.{block}.ffn_norm")
        x = x + (silu(y @ own["ffn_gate"].T) * (y @ own["ffn_up"].T)) @ own["ffn_down"].T
    return norm(x, "output_norm") @ w["token_embd.weight"].T


def test_perplexity_is_that_of_plain_computations(smollm2, reader, prompt, reference):
    tokens = [*prompt.prefix, *prompt.forced]
    found = perplexity(reference, prompt.forced)
    assert 120 < len(tokens) < 160
    assert 20 < found < 35
    with torch.inference_mode():
        whole = torch.tensor([tokens])
        plainly = smollm2.model(whole, labels=whole).loss.exp().item()
    assert found == pytest.approx(plainly, rel=5e-3)
    by_hand = as_ggml_computes(reader, tokens)[:-1]
    assert found == pytest.approx(perplexity(by_hand, prompt.forced), rel=5e-3)
    assert (by_hand - reference).abs().max() < 1e-3 * by_hand.abs().max()


def difference(smollm2, prompt, reference, text, stats=None):
    model = qdemo.build(smollm2.model, qdemo.Variant.parse(text), stats)
    logits = score(smollm2.family, model, prompt, prompt.forced)
    return qdemo.logit_difference(reference, logits, torch.tensor(prompt.forced))


def test_the_fewer_bits_the_further_away(smollm2, prompt, reference):
    formats = ("bf16", "int8", "nf4-g64", "int4-g64", "int4", "int3")
    found = [difference(smollm2, prompt, reference, text) for text in formats]
    assert all(less.kl_mean < more.kl_mean for less, more in pairwise(found)), found
    assert found[1].kl_mean < 0.01
    assert found[1].same_top > 0.9 > found[2].same_top
    assert found[-1].kl_mean > 3


def test_smoothing_helps_where_activations_have_outliers(smollm2, prompt, reference):
    some = fitted(pairs(smollm2))[:8]
    stats = at_once(statistics(smollm2, some, hessian=False))
    loud = stats["model.layers.11.mlp.down_proj"].absmax
    assert loud.max() > 100 * loud.median()
    plain, smoothed = (
        difference(smollm2, prompt, reference, text, stats) for text in ("int8a8", "int8a8-sq0.5")
    )
    assert smoothed.kl_mean < plain.kl_mean / 1.5
    assert plain.kl_mean < 0.1


def test_it_knows_the_capital_of_france_and_stops(smollm2):
    family, model = smollm2.family, smollm2.model
    asked = family.encode("The capital of France is", "text")
    assert family.pieces(asked.prefix)[0] == "The"  # no start token
    (first,) = generate(family, model, asked, 1)
    assert family.decode([first]) == " Paris"
    asked = family.encode("Answer with one word: what is the capital of France?")
    tokens = list(generate(family, model, asked, 16))
    assert "Paris" in family.decode(tokens)
    assert tokens[-1] in asked.ends
    assert len(tokens) < 16


def test_a_message_comes_in_the_files_own_template(smollm2):
    family = smollm2.family
    read = family.encode("Hi <b>\u00e9</b>!")
    assert family.tokenizer.decode(list(read.prefix)) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        "<|im_end|>\n<|im_start|>user\nHi <b>\u00e9</b>!<|im_end|>\n<|im_start|>assistant\n"
    )
    assert read.ends == {family.tokenizer.convert_tokens_to_ids("<|im_end|>")}


WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def plain_tokens(reader, text):
    """By llama.cpp's rules for such files: marks first, then each digit, then GPT-2's words, whose
    bytes are merged, the pair of the lowest rank first."""
    vocabulary = {t: i for i, t in enumerate(reader.fields["tokenizer.ggml.tokens"].contents())}
    merges = reader.fields["tokenizer.ggml.merges"].contents()
    rank = {tuple(pair.split(" ")): i for i, pair in enumerate(merges)}
    marks = r"(<\|(?:im_start|im_end|endoftext)\|>)"
    spelled = bytes_to_unicode()
    for part in regex.split(marks, text):
        if regex.fullmatch(marks, part):
            yield vocabulary[part]
            continue
        for piece in regex.splititer(r"(\p{N})", part):
            for word in WORDS.findall(piece):
                symbols = [spelled[byte] for byte in word.encode()]
                while known := [pair for pair in pairwise(symbols) if pair in rank]:
                    at = list(pairwise(symbols)).index(min(known, key=rank.get))
                    symbols[at : at + 2] = ["".join(symbols[at : at + 2])]
                yield from (vocabulary[symbol] for symbol in symbols)


def test_tokens_are_those_of_the_rules_and_read_back_as_the_text(smollm2, reader):
    tokenizer = smollm2.family.tokenizer
    for text in (*TEXTS, PARAGRAPH):
        tokens = tokenizer(text)["input_ids"]
        assert tokens == list(plain_tokens(reader, text)), text
        assert tokenizer.decode(tokens, clean_up_tokenization_spaces=False) == text
    assert "1984" not in tokenizer.convert_ids_to_tokens(tokenizer("1984")["input_ids"])
