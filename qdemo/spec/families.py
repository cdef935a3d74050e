"""What there is to choose from: formats and methods in families, each with its idea in a sentence,
the text forms that stand for it, and what other tools call these."""

from __future__ import annotations

from dataclasses import dataclass

from qdemo.spec.scheme import NAME_OF, NAMED
from qdemo.spec.variant import Variant


@dataclass(frozen=True)
class Form:
    """A text form; `also` is what it is called elsewhere, or comes near to."""

    text: str
    also: str = ""

    @property
    def variant(self) -> Variant:
        """What it means."""
        return Variant.parse(self.text)


@dataclass(frozen=True)
class Family:
    """Formats, or methods on formats, of one idea."""

    key: str
    name: str
    idea: str
    forms: tuple[Form, ...]


@dataclass(frozen=True)
class Part:
    """What may stand behind a format: its text, what it means, and its names elsewhere."""

    text: str
    meaning: str
    also: str = ""


FAMILIES = (
    Family(
        "floats", "floats",
        "The whole model is cast to floats of fewer bits; nothing is scaled.",
        (
            Form("fp32", "float32, full precision"),
            Form("fp16", "torch.float16, half"),
            Form("bf16", "torch.bfloat16"),
        ),
    ),
    Family(
        "integers", "integers",
        "A weight becomes one of a few evenly spaced numbers, times a scale that its row or group "
        "shares.",
        (
            Form("int8", "Int8WeightOnly (torchao), qint8 (quanto), W8A16"),
            Form("int8-tensor", "per-tensor (torch)"),
            Form("int4", "qint4 (quanto)"),
            Form("int4-g64", "Int4WeightOnly (torchao), group_size=64"),
            Form("int4-g64-affine", "asymmetric; zero_point=True (AWQ, GPTQModel)"),
            Form("int3"),
            Form("int2"),
        ),
    ),
    Family(
        "scaled", "scaled floats",
        "Small floats times a scale: finer near zero, coarser far from it.",
        (
            Form("fp8_e4m3", "Float8WeightOnly (torchao), qfloat8 (quanto)"),
            Form("fp8_e5m2", "float8_e5m2 (torch)"),
            Form("e2m1-g32", "FP4"),
        ),
    ),
    Family(
        "codebooks", "codebooks",
        "A weight is the number of one of a few levels in a list, which need not be evenly spaced.",
        (
            Form("nf4", 'load_in_4bit, bnb_4bit_quant_type="nf4" (bitsandbytes)'),
            Form("nf4-g64-dq", "bnb_4bit_use_double_quant (bitsandbytes), QLoRA"),
            Form("nf3"),
            Form("nf2"),
            Form("fp4bnb", 'bnb_4bit_quant_type="fp4" (bitsandbytes)'),
        ),
    ),
    Family(
        "blocks", "block floats",
        "Floats of 4 or 8 bits in blocks of 32 or 16, whose scale is a float of 8 bits itself.",
        (
            Form("mxfp4", "MXFP4 (OCP Microscaling; torchao, gpt-oss)"),
            Form("mxfp8", "MXFP8, E4M3"),
            Form("mxfp8_e5m2", "MXFP8, E5M2"),
            Form("nvfp4", "NVFP4 (NVIDIA Blackwell, ModelOpt, torchao)"),
        ),
    ),
    Family(
        "gguf", "GGUF",
        "llama.cpp's blocks of 32 with a scale in fp16, and its super-blocks of 256 (K-quants), "
        "whose scales are integers themselves.",
        tuple(
            Form(name, f"{name.upper()} (llama.cpp)") for name in NAMED if name.startswith("q")
        ),
    ),
    Family(
        "searched", "found without data",
        "The same format, with scales and zero points that fit the weights better; no inputs are "
        "looked at.",
        (
            Form("int4-g64-mse", "mse observer (llm-compressor); GPTQ's find_params, mse=True"),
            Form("int4-g64-hqq", "HQQ (hqq, torchao)"),
            Form("int4-g64-rot", "Hadamard rotation (QuaRot, SpinQuant)"),
        ),
    ),
    Family(
        "fitted", "fitted to inputs",
        "Numbers are chosen so that what layers return stays near, on calibration inputs.",
        (
            Form("int4-g64-gptq", "GPTQ (GPTQModel, llm-compressor)"),
            Form("int4-g64-affine-gptq", "GPTQ 4-bit, 64g, sym=False"),
            Form("int4-g64-awq", "AWQ (AutoAWQ, llm-compressor)"),
            Form("int2-g64-affine-mse-gptq"),
            Form("nf4-g64-gptq"),
        ),
    ),
    Family(
        "activations", "activations too",
        "What a layer is given is rounded to 8 bits as well, so that integers are multiplied.",
        (
            Form("int8a8", "W8A8, Int8DynamicActivationInt8Weight (torchao), quantize_dynamic"),
            Form("int8a8-sq0.5", "SmoothQuant, alpha=0.5"),
            Form("llm.int8", "load_in_8bit (bitsandbytes)"),
        ),
    ),
)  # fmt: skip
"""All families, the plainest first."""

PARTS = (
    Part("-tensor", "one scale for the whole tensor"),
    Part("-axis1", "one scale for each column"),
    Part("-g64", "one scale for each 64 weights of a row, or so many as it says",
         "group_size, block"),
    Part("-affine", "a zero point beside the scale, so that uneven ranges are used in full",
         "asymmetric"),
    Part("-dq", "scales are held in 8 bits", "double quantization"),
    Part("-mse", "of 40 narrower ranges the one with the least error"),
    Part("-hqq", "affine, with a zero point that is a float and found in 20 steps",
         "half-quadratic quantization"),
    Part("-awq", "columns that matter are scaled up before rounding, and down in use",
         "activation-aware weight quantization"),
    Part("-sq0.5", "columns' outliers go from activations to weights, by that exponent",
         "SmoothQuant, alpha"),
    Part("-rot", "a rotation spreads outliers over the row; it is undone in use",
         "Hadamard, incoherence processing"),
    Part("-gptq", "the columns that are still to come make up for the error of each",
         "OPTQ, error compensation"),
    Part("a8", "behind int8: activations in 8 bits, one scale a token", "W8A8, dynamic"),
    Part("+emb", "embeddings too"),
    Part("@bf16", "computing in that, not in fp32"),
    Part("~lm_head=int8", "a module by name, and all below it, in another format",
         "modules_to_not_convert, tensor types"),
)  # fmt: skip
"""What may be added to a format, in the order in which it is written."""

COMPOSED = ("integers", "scaled", "codebooks", "blocks", "gguf")
"""The keys of families that a weight can be stored in, on which all else is built."""


def family_of(variant: Variant) -> Family | None:
    """The family of what a variant's weights are stored in; None where they are only cast."""
    if variant.scheme is None:
        return None
    name = NAME_OF.get(variant.scheme, variant.scheme.grid)
    return next(f for f in FAMILIES if f.key in COMPOSED and name in _stored(f))


def stored(key: str) -> tuple[str, ...]:
    """The names of formats of a family that weights are stored in, on which parts may follow.

    >>> stored("blocks"), stored("codebooks")
    (('mxfp4', 'mxfp8', 'mxfp8_e5m2', 'nvfp4'), ('nf4', 'nf3', 'nf2', 'fp4bnb'))
    """
    return _stored(next(family for family in FAMILIES if family.key == key))


def _stored(family: Family) -> tuple[str, ...]:
    if family.key == "integers":
        return tuple(f"int{bits}" for bits in range(8, 1, -1))
    return tuple(dict.fromkeys(form.text.partition("-")[0] for form in family.forms))
