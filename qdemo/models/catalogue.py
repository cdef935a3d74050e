"""The models that a person can pick, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qdemo.models.families import Family, family_of

BYTES = {"fp64": 8, "fp32": 4, "fp16": 2, "bf16": 2}
"""The floats that a file may hold, and the bytes of a number."""


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue; its `task` names its family, one of `families.FAMILIES`.

    `config` is what its architecture needs beyond the defaults of transformers' class of
    configurations, as the model's own config.json on the Hub has it. `tied` says whether the word
    embedding and the output layer are one matrix. `revision` is the Hub's commit. An embedded
    model, or one of the host's own, has its `folder`, with configuration and weights, instead of
    the two. `parameters` counts shared ones once; 0 where that is not known before the model is
    here. `dtype` is what its file holds them in, where that is known, a key of `BYTES`; `beside`
    are the bytes that the file holds beside them: masks, or a tied matrix once more. `licence` is
    as its owner names it.
    """

    name: str
    task: str
    tied: bool
    parameters: int
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    revision: str | None = None
    folder: Path | None = field(default=None, repr=False)
    dtype: str | None = None
    licence: str | None = None
    beside: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        """Refuse a task that no family has."""
        family_of(self.task)

    @property
    def family(self) -> type[Family]:
        """The family that it is of."""
        return family_of(self.task)

    @property
    def repo(self) -> str:
        """What the Hub knows it by: its name, without the commit that may follow it."""
        return self.name.partition("@")[0]

    @property
    def stored_bytes(self) -> int:
        """The bytes of its file's tensors; as fp32 where it is not known what they are."""
        return self.parameters * BYTES.get(self.dtype or "fp32", 4) + self.beside


_MODELS = Path(__file__).parents[2] / "assets" / "models"


def _embedded(name: str, task: str, tied: bool, parameters: int) -> Entry:
    return Entry(name, task, tied, parameters, folder=_MODELS / name)


def _flan_t5(
    size: str, parameters: int, revision: str, d_model: int, d_ff: int, layers: int, heads: int
) -> Entry:
    config = {
        "vocab_size": 32128,
        "d_model": d_model,
        "d_kv": 64,
        "d_ff": d_ff,
        "num_layers": layers,
        "num_heads": heads,
        "feed_forward_proj": "gated-gelu",
    }
    return Entry(f"google/flan-t5-{size}", "text2text", False, parameters, config, revision)


def _blip(size: str, parameters: int, revision: str, width: int, layers: int, heads: int) -> Entry:
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
    return Entry(name, "captioning", True, parameters, config, revision)


_SMALL = "0fc9ddf78a1e988dac52e2dac162b0ede4fd74ab"
_BASE = "7bcac572ce56db69c1ea7c8af255c5d7c9672fc2"
_LARGE = "0613663d0d48ea86ba8cb3d7a44f0f65dc596a2a"
_XL = "7d6315df2c2fb742f0f5b556879d730926ca9001"
_XXL = "ae7c9136adc7555eeccc78cdd960dfd60fb346ce"
_BLIP_BASE = "refs/pr/50"  # the main branch has a pickle only; this has the same as safetensors
_BLIP_LARGE = "2227ac38c9f16105cb0412e7cab4759978a8fd90"

CATALOGUE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        _embedded("t5-tiny", "text2text", tied=False, parameters=4_175_424),
        _embedded("blip-tiny", "captioning", tied=True, parameters=2_560_555),
        _flan_t5("small", 76_961_152, _SMALL, d_model=512, d_ff=1024, layers=8, heads=6),
        _flan_t5("base", 247_577_856, _BASE, d_model=768, d_ff=2048, layers=12, heads=12),
        _flan_t5("large", 783_150_080, _LARGE, d_model=1024, d_ff=2816, layers=24, heads=16),
        _flan_t5("xl", 2_849_757_184, _XL, d_model=2048, d_ff=5120, layers=24, heads=32),
        _flan_t5("xxl", 11_135_332_352, _XXL, d_model=4096, d_ff=10240, layers=24, heads=64),
        _blip("base", 223_971_644, _BLIP_BASE, width=768, layers=12, heads=12),
        _blip("large", 446_290_492, _BLIP_LARGE, width=1024, layers=24, heads=16),
    )
}
"""Every model by name."""

EMBEDDED = tuple(entry.name for entry in CATALOGUE.values() if entry.folder)
"""Those that come with qdemo."""
