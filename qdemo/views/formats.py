"""Formats in words: what the text form of a variant means."""

from __future__ import annotations

from qdemo.spec.formats import GRIDS
from qdemo.spec.messages import say
from qdemo.spec.scheme import COMPUTE_FORMATS, Scheme
from qdemo.spec.step import Step
from qdemo.spec.variant import Variant


def describe(variant: str) -> str:
    """What a variant's text form means, shortly.

    >>> describe("int4-g64-affine+emb@bf16")
    '4-bit integers, scale and zero point a group of 64; embeddings too; computes in bf16'
    >>> describe("bf16")
    'brain float: 8 bits exponent, 7 fraction'
    >>> describe("int4~lm_head=int8")
    '4-bit integers, one scale a row; lm_head: 8-bit integers, one scale a row; computes in fp32'
    """
    found = Variant.parse(variant)
    exceptions = [f"{name}: {_step(step)}" for name, step in found.exceptions]
    if found.scheme is None:
        return "; ".join([_known(found.compute) or found.compute, *exceptions])
    embeddings = [say("embeddings too")] if found.embeddings else []
    computes_in = say("computes in {format}", format=found.compute)
    return "; ".join([_step(found.default), *embeddings, *exceptions, computes_in])


def _step(step: Step) -> str:
    if step.scheme is None:
        return step.cast or COMPUTE_FORMATS[0]
    grid = GRIDS[step.scheme.grid]
    what = _known(grid.name)
    if what is None and grid.kind == "integer":
        what = say("{bits}-bit integers", bits=grid.bits)
    elif what is None and grid.is_float:
        what = say("{bits}-bit floats", bits=grid.bits)
    elif what is None:
        what = say("{bits}-bit codes", bits=grid.bits)
    if step.activations.bits:
        return say("{what}, {scales}; activations in 8 bits, one scale a token",
                   what=what, scales=_scales(step.scheme))  # fmt: skip
    return f"{what}, {_scales(step.scheme)}"


def _known(grid: str) -> str | None:
    """What the numbers of a format are, where its bits alone don't say it."""
    match grid:
        case "fp32":
            return say("single precision, 32 bits")
        case "fp16":
            return say("half precision: 5 bits exponent, 10 fraction")
        case "bf16":
            return say("brain float: 8 bits exponent, 7 fraction")
        case "fp8_e4m3":
            return say("8-bit floats, scaled: 4 bits exponent, 3 fraction")
        case "fp8_e5m2":
            return say("8-bit floats, scaled: 5 bits exponent, 2 fraction")
        case "nf4" | "nf3" | "nf2":
            return say("NormalFloat codebook of {levels} levels", levels=2 ** int(grid[2:]))
        case "fp4bnb":
            return say("bitsandbytes' float codebook of 16 levels")
    return None


def _scales(scheme: Scheme) -> str:
    if size := scheme.group_size:
        if scheme.symmetric:
            return say("one scale a group of {size}", size=size)
        return say("scale and zero point a group of {size}", size=size)
    match scheme.axis, scheme.symmetric:
        case 0, True:
            return say("one scale a row")
        case 0, False:
            return say("scale and zero point a row")
        case None, True:
            return say("one scale a tensor")
        case None, False:
            return say("scale and zero point a tensor")
        case _, True:
            return say("one scale a column")
    return say("scale and zero point a column")


def computes(variant: str) -> str:
    """What a variant computes in, by its text form.

    >>> computes("fp16"), computes("int8+emb@bf16"), computes("int8")
    ('fp16', 'bf16', 'fp32')
    """
    return Variant.parse(variant).compute
