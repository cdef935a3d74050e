"""How large the cache of a language model is, by its configuration alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from qdemo.spec.cache import Cache, Layers

_LONGEST = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
"""What configurations call the longest text."""

_WINDOWS = {"sliding_attention": "sliding_window", "chunked_attention": "attention_chunk_size"}
"""Which number of a configuration bounds a layer of that type."""

_NO_KEYS = ("dummy", "moe", "mlp")
"""Layers that hold nothing: they use another's keys, or pay attention to nothing."""


def cache_of(config: Any) -> Cache | None:
    """What transformers holds of a text for a model of that configuration; None of a model that is
    no language model alone, or whose cache is of a kind that is not known here."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if config.is_encoder_decoder or config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return None
    text = config.get_text_config(decoder=True)
    if text.model_type in ("mamba", "falcon_mamba"):
        return Cache.of((_mamba(text),), None)
    layers = [
        _layer(kind, one) for kind, one in zip(_kinds(text), text.per_layer_config, strict=True)
    ]
    if not layers or None in layers:
        return None
    alike = Counter(one for one in layers if one is not None)
    found = tuple(
        Layers(count, numbers, most) for (numbers, most), count in alike.items() if numbers
    )
    return Cache.of(found, _first(text, _LONGEST))


def _kinds(text: Any) -> Sequence[str]:
    """The type of each layer; where it is not said, as transformers takes it."""
    kinds = getattr(text, "layer_types", None) or [
        next((kind for kind, name in _WINDOWS.items() if _number(one, name)), "full_attention")
        for one in text.per_layer_config
    ]
    modes = getattr(text, "kv_sharing_modes", None) or [""] * len(kinds)
    return ["dummy" if mode == "reuse" else kind for kind, mode in zip(kinds, modes, strict=True)]


def _layer(kind: str, config: Any) -> tuple[int, int | None] | None:
    """Numbers a token, and of how many tokens: of a window one fewer than it spans, as the newest
    is at hand. None where it is not known."""
    if kind in _NO_KEYS:
        return 0, None
    heads, is_latent = _heads(config), getattr(config, "kv_lora_rank", None)
    if heads is None or is_latent or kind not in ("full_attention", *_WINDOWS):
        return None
    numbers = 2 * heads * _head_size(config)
    window = _number(config, _WINDOWS[kind]) if kind in _WINDOWS else None
    return numbers, None if window is None else window - 1


def _heads(config: Any) -> int | None:
    """How many heads have keys and values of their own."""
    every = _number(config, "num_attention_heads")
    if config.model_type == "falcon" and config.new_decoder_architecture:
        return every  # transformers repeats the few before it keeps them
    if getattr(config, "multi_query", False):
        return 1
    return _number(config, "num_key_value_heads") or every


def _head_size(config: Any) -> int:
    found: int = config.hidden_size // config.num_attention_heads
    return _number(config, "head_dim") or found


def _mamba(config: Any) -> Layers:
    inner = config.intermediate_size
    fixed, wide = inner * config.conv_kernel, inner * config.state_size
    return Layers(config.num_hidden_layers, fixed=fixed, wide=wide)


def _number(config: Any, name: str) -> int | None:
    found = getattr(config, name, None)
    return found if isinstance(found, int) and found > 0 else None


def _first(config: Any, names: Sequence[str]) -> int | None:
    return next(filter(None, (_number(config, name) for name in names)), None)
