"""Which types of models are language models: known to transformers, and of no other kind."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

USUAL = ("gpt_neox", "llama", "gpt2", "qwen3")
"""Types whose classes are imported before anyone waits for them."""

_IMPORTING = Lock()


def class_of(model_type: str) -> Any:
    """The class for language models of that type; imports transformers."""
    with _IMPORTING:  # two threads at once may find a module half made
        from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING

        return MODEL_FOR_CAUSAL_LM_MAPPING[CONFIG_MAPPING[model_type]]


@cache
def causal_types() -> frozenset[str]:
    """The types of models that are language models, and of no other kind too: those trained to fill
    gaps read to both sides, and others answer a second text, sound or pictures."""
    from transformers.models.auto import modeling_auto as auto

    others = (
        auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
        auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES,
    )
    return frozenset(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES).difference(*others, _NOT_ALONE)


_NOT_ALONE = (
    "bert-generation",
    "blt",
    "cpmant",
    "gemma4_assistant",
    "gemma4_unified_assistant",
    "hy_v4",
    "moshi",
    "openai-gpt",
    "trocr",
    "xlnet",
)
"""Halves of other models, drafters for them, readers of bytes, and what has no cache, or a kind of
its own; hy_v4 says something else step by step than at once."""
