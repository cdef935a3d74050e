"""The cache of a language model, told by its configuration: by hand, and beside the real one."""

import pytest
import torch
from transformers import AutoConfig

from qdemo import Variant
from qdemo.models.cached import cache_of
from qdemo.spec.cache import Layers
from tests.causal_folder import CONFIGS, config, model

SIZES = {
    # SmolLM2-135M: 30 layers of 3 heads of 64, keys and values
    "llama": (
        {"num_hidden_layers": 30, "hidden_size": 576, "num_attention_heads": 9,
         "num_key_value_heads": 3, "max_position_embeddings": 8192},
        (Layers(30, 2 * 3 * 64),), 46_080, 8192,
    ),
    # Qwen3-0.6B: 28 layers of 8 heads of 128, which are wider than 1024 / 16
    "qwen3": (
        {"num_hidden_layers": 28, "hidden_size": 1024, "num_attention_heads": 16,
         "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40_960},
        (Layers(28, 2 * 8 * 128),), 229_376, 40_960,
    ),
    # GPT-2: 12 layers of 12 heads of 64
    "gpt2": ({}, (Layers(12, 2 * 12 * 64),), 73_728, 1024),
    # Pythia-70m: 6 layers of 8 heads of 64
    "gpt_neox": (
        {"num_hidden_layers": 6, "hidden_size": 512, "num_attention_heads": 8},
        (Layers(6, 2 * 8 * 64),), 24_576, 2048,
    ),
    # OPT-125m: 12 layers of 12 heads of 64
    "opt": (
        {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12},
        (Layers(12, 2 * 12 * 64),), 73_728, 2048,
    ),
    # Falcon-7b: 32 layers of one head of 64 that all share
    "falcon": (
        {"num_hidden_layers": 32, "hidden_size": 4544, "num_attention_heads": 71,
         "multi_query": True, "new_decoder_architecture": False},
        (Layers(32, 2 * 64),), 16_384, 2048,
    ),
    # Gemma-3-270m: 18 layers of one head of 256; every sixth sees all, the rest 512 tokens
    "gemma3_text": (
        {"num_hidden_layers": 18, "hidden_size": 640, "num_attention_heads": 4,
         "num_key_value_heads": 1, "head_dim": 256, "sliding_window": 512,
         "max_position_embeddings": 32_768},
        (Layers(15, 2 * 256, most=511), Layers(3, 2 * 256)), 36_864, 32_768,
    ),
    # Mamba-130m: 24 layers, 1536 inside, a kernel of 4 and a state of 16: however long the text is
    "mamba": (
        {"num_hidden_layers": 24, "hidden_size": 768},
        (Layers(24, fixed=1536 * 4, wide=1536 * 16),), 24 * 1536 * 20 * 4, None,
    ),
}  # fmt: skip
"""By type: what the configuration has, the layers, bytes after one token in fp32, and the longest
text."""


@pytest.mark.parametrize("kind", SIZES)
def test_it_is_what_comes_out_by_hand(kind):
    own, layers, nbytes, longest = SIZES[kind]
    found = cache_of(AutoConfig.for_model(kind, **own))
    assert found.layers == layers
    assert found.longest == longest
    assert found.at(1).nbytes(Variant()) == nbytes


def test_llama_3_takes_an_eighth_of_a_mebibyte_a_token_in_bf16():
    own = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32}
    found = cache_of(AutoConfig.for_model("llama", **own, num_key_value_heads=8))
    assert found.at(1).nbytes(Variant.parse("bf16")) == 131_072


def test_the_text_part_of_a_nested_configuration_counts():
    own = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "head_dim": 16,
           "num_key_value_heads": 2, "layer_types": ["full_attention"] * 2}  # fmt: skip
    found = cache_of(AutoConfig.for_model("gemma3", text_config=own))
    assert found.layers == (Layers(2, 2 * 2 * 16),)


@pytest.mark.parametrize("kind", ["t5", "blip", "rwkv", "deepseek_v3", "qwen3_next"])
def test_nothing_is_told_of_what_is_no_language_model_or_not_known(kind):
    assert cache_of(AutoConfig.for_model(kind)) is None


def held(found):
    """The bytes of all tensors in a cache, but for those that only count."""
    if isinstance(found, torch.Tensor):
        return found.numel() * found.element_size() if found.ndim else 0
    if isinstance(found, dict):
        return sum(map(held, found.values()))
    return sum(map(held, found)) if isinstance(found, list | tuple) else 0


@pytest.mark.parametrize("text", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if kind != "rwkv"])
def test_a_real_one_holds_as_many_bytes(kind, text):
    variant, tokens = Variant.parse(text), torch.arange(20)[None] + 5
    found = variant.build(model(kind))
    with torch.inference_mode():
        out = found(input_ids=tokens, use_cache=True)
    real = out.cache_params if kind == "mamba" else out.past_key_values
    expected = cache_of(config(kind)).at(20).nbytes(variant)
    assert sum(held(vars(layer)) for layer in real.layers) == expected
