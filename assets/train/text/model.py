"""The model: a T5 1.1 (gated GELU, untied output layer) of 3.6 million parameters."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn
from transformers import GenerationConfig, T5Config, T5ForConditionalGeneration


def new_model(vocabulary: int, seed: int = 0) -> T5ForConditionalGeneration:
    """Build the model with random weights, scaled so that AdamW gets going at once."""
    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(_config(vocabulary))
    model.set_attn_implementation("eager")  # quicker than the fused one on rows this short
    # transformers ties the two whatever the configuration says, until their values differ.
    model.lm_head.weight = nn.Parameter(torch.empty_like(model.shared.weight))
    with torch.no_grad():
        model.shared.weight.mul_(0.1)  # T5's own deviation of 1 is one on which AdamW crawls
        model.lm_head.weight.normal_(std=0.05)
        for name, weight in model.named_parameters():
            if "relative_attention_bias" in name:  # T5's only sense of order, too faint by default
                weight.normal_(std=2.0)
    model.generation_config = _generation_config()
    return model


def save_model(model: T5ForConditionalGeneration, folder: Path) -> None:
    """Write `model` in shards below 9 MB, with a configuration that says it is untied."""
    model.save_pretrained(folder, max_shard_size="9MB")
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["tie_word_embeddings"] = False  # transformers wrote true, which older ones obey
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _config(vocabulary: int) -> T5Config:
    return T5Config(
        vocab_size=vocabulary,
        d_model=192,
        d_kv=32,
        d_ff=512,
        num_layers=3,
        num_decoder_layers=3,
        num_heads=6,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        tie_word_embeddings=False,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )


def _generation_config() -> GenerationConfig:
    return GenerationConfig(
        max_new_tokens=24,
        do_sample=False,
        num_beams=1,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
