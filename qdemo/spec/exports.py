"""A mix as other tools take it: what each is told about which layer, or why it can't be told.

A tool's text says which grid a layer has, and in which blocks. What a tool has no word for is
refused, and never said nearly; how it finds the numbers of a grid is its own affair, and `note`
says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qdemo.spec.messages import say
from qdemo.spec.scheme import NAME_OF
from qdemo.spec.step import Activations, Recipe, Step

Layers = Mapping[str, Step]
"""What becomes of each layer that can be quantized, by name; what stays float is cast to fp32."""

NOTES = {
    "torchao": "for versions that have FqnToConfig; a symmetric range has one negative integer "
    "more there, and scales are found for that",
    "bitsandbytes": "computes on a GPU; what it skips stays in the type that the model is loaded "
    "in",
    "llama.cpp": "it searches scales in its own way, and takes another type for rows that a "
    "K-quant does not fit",
}
"""What each tool that is known does in its own way."""

TOOLS = tuple(NOTES)

FLOAT = Step(cast="fp32")

_TORCHAO = {
    FLOAT: "None",
    Step.parse("int8a8"): "Int8DynamicActivationInt8WeightConfig()",
    Step.parse("fp8_e4m3"): "Float8WeightOnlyConfig()",
}


@dataclass(frozen=True)
class Export:
    """What a `tool` is given: `text`, which is Python or for a shell; None where the mix can't be
    said, and `why`. `note` is what the tool does in its own way."""

    tool: str
    text: str | None
    why: str = ""
    note: str = ""


def exports(layers: Layers) -> tuple[Export, ...]:
    """A mix, as each tool that is known takes it.

    >>> torchao, bitsandbytes, _ = exports({"a.q": Step.parse("nf4"), "a.k": FLOAT})
    >>> torchao.why
    "torchao can't be told nf4-g64, which a.q has"
    >>> print(bitsandbytes.text.splitlines()[-2])
        llm_int8_skip_modules=["a.k"],
    """
    return tuple(_export(tool, layers) for tool in TOOLS)


def _export(tool: str, layers: Layers) -> Export:
    try:
        if all(step == FLOAT for step in layers.values()):
            raise _CantError(say("nothing is quantized"))
        return Export(tool, _WRITERS[tool](layers), note=say(NOTES[tool]))
    except _CantError as error:
        return Export(tool, None, why=str(error))


class _CantError(ValueError):
    """Why a tool can't be told."""


def _words(tool: str, layers: Layers, word: Callable[[Step], str | None]) -> dict[str, str]:
    """A tool's word for the step of each layer."""
    found: dict[str, str] = {}
    for name, step in layers.items():
        own = word(step)
        if own is None:
            raise _CantError(
                say("{tool} can't be told {format}, which {layer} has", tool=tool,
                    format=str(step), layer=name)
            )  # fmt: skip
        found[name] = own
    return found


def _torchao(layers: Layers) -> str:
    words = _words("torchao", layers, _torchao_word)
    called = {word: f"format_{at}" for at, word in enumerate(dict.fromkeys(words.values()), 1)}
    used = sorted({name for word in called for name in re.findall(r"\b[A-Z]\w+(?=[(.])", word)})
    return "\n".join(
        [
            "import torch",
            f"from torchao.quantization import {', '.join(['FqnToConfig', *used, 'quantize_'])}",
            "",
            *(f"{name} = {word}" for word, name in called.items()),
            "config = FqnToConfig({",
            *(f'    "{name}": {called[word]},' for name, word in words.items()),
            "})",
            "quantize_(model, config, filter_fn=None)",
        ]
    )


def _torchao_word(step: Step) -> str | None:
    scheme = step.scheme
    if step in _TORCHAO:
        return _TORCHAO[step]
    is_plain = step.recipe == Recipe() and step.activations == Activations()
    if scheme is None or not is_plain or scheme in NAME_OF or scheme.scale != "fp32":
        return None
    if not scheme.grid.startswith("int") or scheme.axis != 0:
        return None
    blocks = "PerAxis(0)" if scheme.group_size is None else f"PerGroup({scheme.group_size})"
    affine = "" if scheme.symmetric else ", mapping_type=MappingType.ASYMMETRIC"
    return f"IntxWeightOnlyConfig(weight_dtype=torch.{scheme.grid}, granularity={blocks}{affine})"


_BITSANDBYTES = {
    "llm.int8": "load_in_8bit=True",
    **{
        f"{grid}-g64{nested}": f'load_in_4bit=True, bnb_4bit_quant_type="{name}"{told}'
        for grid, name in (("nf4", "nf4"), ("fp4bnb", "fp4"))
        for nested, told in (("", ""), ("-dq", ", bnb_4bit_use_double_quant=True"))
    },
    "fp32": "",
}


def _bitsandbytes(layers: Layers) -> str:
    words = _words("bitsandbytes", layers, lambda step: _BITSANDBYTES.get(str(step)))
    held = {str(step): None for step in layers.values() if step != FLOAT}
    if len(held) > 1:
        raise _CantError(
            say("bitsandbytes holds one format beside floats; here are {names}",
                names=", ".join(held))
        )  # fmt: skip
    skipped = ", ".join(f'"{name}"' for name, word in words.items() if not word)
    return "\n".join(
        [
            "from transformers import BitsAndBytesConfig",
            "",
            "config = BitsAndBytesConfig(",
            f"    {_BITSANDBYTES[next(iter(held))]},",
            f"    llm_int8_skip_modules=[{skipped}],",
            ")",
        ]
    )


_T5_MLP = {"wi_0": "ffn_gate", "wi_1": "ffn_up", "wi": "ffn_up", "wo": "ffn_down"}
_GGUF: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"model\.layers\.(\d+)\.self_attn\.([qkv])_proj", lambda m: f"blk.{m[1]}.attn_{m[2]}"),
    (r"model\.layers\.(\d+)\.self_attn\.o_proj", lambda m: f"blk.{m[1]}.attn_output"),
    (r"model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj", lambda m: f"blk.{m[1]}.ffn_{m[2]}"),
    (r"gpt_neox\.layers\.(\d+)\.attention\.query_key_value", lambda m: f"blk.{m[1]}.attn_qkv"),
    (r"gpt_neox\.layers\.(\d+)\.attention\.dense", lambda m: f"blk.{m[1]}.attn_output"),
    (r"gpt_neox\.layers\.(\d+)\.mlp\.dense_h_to_4h", lambda m: f"blk.{m[1]}.ffn_up"),
    (r"gpt_neox\.layers\.(\d+)\.mlp\.dense_4h_to_h", lambda m: f"blk.{m[1]}.ffn_down"),
    (r"transformer\.h\.(\d+)\.attn\.c_attn", lambda m: f"blk.{m[1]}.attn_qkv"),
    (r"transformer\.h\.(\d+)\.attn\.c_proj", lambda m: f"blk.{m[1]}.attn_output"),
    (r"transformer\.h\.(\d+)\.mlp\.c_fc", lambda m: f"blk.{m[1]}.ffn_up"),
    (r"transformer\.h\.(\d+)\.mlp\.c_proj", lambda m: f"blk.{m[1]}.ffn_down"),
    (
        r"(enc|dec)oder\.block\.(\d+)\.layer\.0\.SelfAttention\.([qkvo])",
        lambda m: f"{m[1]}.blk.{m[2]}.attn_{m[3]}",
    ),
    (
        r"decoder\.block\.(\d+)\.layer\.1\.EncDecAttention\.([qkvo])",
        lambda m: f"dec.blk.{m[1]}.cross_attn_{m[2]}",
    ),
    (
        r"(enc|dec)oder\.block\.(\d+)\.layer\.[12]\.DenseReluDense\.(w\w+)",
        lambda m: f"{m[1]}.blk.{m[2]}.{_T5_MLP[m[3]]}",
    ),
    (r"lm_head|embed_out", lambda m: "output"),
    (
        r"shared|(?:en|de)coder\.embed_tokens|model\.embed_tokens|gpt_neox\.embed_in"
        r"|transformer\.wte",
        lambda m: "token_embd",
    ),
)  # fmt: skip
"""What GGUF files call the layers of Llama and its like, GPT-NeoX, GPT-2 and T5."""

_LLAMA = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k")
_APART = {"output": "--output-tensor-type", "token_embd": "--token-embedding-type"}


def gguf_name(layer: str) -> str | None:
    """What a GGUF file calls the weight of a layer, without `.weight`; None where that is not
    known.

    >>> gguf_name("decoder.block.3.layer.1.EncDecAttention.q"), gguf_name("vision.fc")
    ('dec.blk.3.cross_attn_q', None)
    """
    found = ((re.fullmatch(pattern, layer), name) for pattern, name in _GGUF)
    return next((name(match) for match, name in found if match), None)


def _llama(layers: Layers) -> str:
    words = _words("llama.cpp", layers, _llama_word)
    base = Counter(word for word in words.values() if word != "f32").most_common(1)[0][0]
    told = {"token_embd": "f32"}
    for layer, word in words.items():
        name = gguf_name(layer)
        if name is None:
            raise _CantError(say("what GGUF files call {layer} is not known here", layer=layer))
        told[name] = word
    lines = [
        f"{_APART[name]} {word}" if name in _APART
        else f"--tensor-type '^{re.escape(name)}[.]weight$={word}'"
        for name, word in told.items()
    ]  # fmt: skip
    return " \\\n  ".join(["llama-quantize", *lines, f"model-f32.gguf model.gguf {base.upper()}"])


def _llama_word(step: Step) -> str | None:
    if step == FLOAT:
        return "f32"
    return str(step) if str(step) in _LLAMA else None


_WRITERS: dict[str, Callable[[Layers], str]] = {
    "torchao": _torchao,
    "bitsandbytes": _bitsandbytes,
    "llama.cpp": _llama,
}
