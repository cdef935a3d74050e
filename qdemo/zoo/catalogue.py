"""The models that a person can pick, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Task = Literal["text2text", "captioning"]


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue.

    `config` is what its architecture needs beyond the defaults of transformers' T5Config or
    BlipConfig, as the model's own config.json on the Hub has it. `tied` says whether the word
    embedding and the output layer are one matrix. An embedded model has its `folder`, with
    configuration and weights, instead.
    """

    name: str
    task: Task
    tied: bool
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    folder: Path | None = field(default=None, repr=False)


_MODELS = Path(__file__).parents[2] / "assets" / "models"


def _embedded(name: str, task: Task, tied: bool) -> Entry:
    return Entry(name, task, tied, folder=_MODELS / name)


def _flan_t5(size: str, d_model: int, d_ff: int, layers: int, heads: int) -> Entry:
    config = {
        "vocab_size": 32128,
        "d_model": d_model,
        "d_kv": 64,
        "d_ff": d_ff,
        "num_layers": layers,
        "num_heads": heads,
        "feed_forward_proj": "gated-gelu",
    }
    return Entry(f"google/flan-t5-{size}", "text2text", tied=False, config=config)


def _blip(size: str, width: int, layers: int, heads: int) -> Entry:
    vision = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "image_size": 384,
    }
    text = {"encoder_hidden_size": width, "num_attention_heads": 12}
    config = {"vision_config": vision, "text_config": text}
    name = f"Salesforce/blip-image-captioning-{size}"
    return Entry(name, "captioning", tied=True, config=config)


CATALOGUE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        _embedded("t5-tiny", "text2text", tied=False),
        _embedded("blip-tiny", "captioning", tied=True),
        _flan_t5("small", d_model=512, d_ff=1024, layers=8, heads=6),
        _flan_t5("base", d_model=768, d_ff=2048, layers=12, heads=12),
        _flan_t5("large", d_model=1024, d_ff=2816, layers=24, heads=16),
        _flan_t5("xl", d_model=2048, d_ff=5120, layers=24, heads=32),
        _flan_t5("xxl", d_model=4096, d_ff=10240, layers=24, heads=64),
        _blip("base", width=768, layers=12, heads=12),
        _blip("large", width=1024, layers=24, heads=16),
    )
}
"""Every model by name."""


def get_entry(name: str) -> Entry:
    """The catalogue's entry of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in CATALOGUE:
        raise ValueError(f"unknown model {name!r}; the models are {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
