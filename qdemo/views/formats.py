"""Formats in words: what the text form of a variant means."""

from __future__ import annotations

from qdemo.spec.formats import GRIDS
from qdemo.spec.messages import say
from qdemo.spec.scheme import COMPUTE_FORMATS, NAME_OF, SUPER_BLOCK, Scheme
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
    name = NAME_OF.get(step.scheme)
    stored = _named(name, step.scheme) if name else f"{_numbers(step)}, {_scales(step.scheme)}"
    return "; ".join([stored, *ways(step)])


def _numbers(step: Step) -> str:
    """What is stored."""
    assert step.scheme is not None
    grid = GRIDS[step.scheme.grid]
    if known := _known(grid.name):
        return known
    if grid.kind == "integer":
        return say("{bits}-bit integers", bits=grid.bits)
    if grid.is_float:
        return say("{bits}-bit floats", bits=grid.bits)
    return say("{bits}-bit codes", bits=grid.bits)


def _named(name: str, scheme: Scheme) -> str:
    """A format that has a name for all of it."""
    values = {"bits": scheme.bits, "size": scheme.group_size}
    if name.startswith("mxfp"):
        return say("{bits}-bit floats in blocks of {size}, whose scale is a power of two", **values)
    if name == "nvfp4":
        return say("{bits}-bit floats in blocks of {size}, whose scale is a float of 8 bits",
                   **values)  # fmt: skip
    if name.endswith("_k"):
        return say("GGUF: {bits}-bit integers in super-blocks of 256, whose scales are integers",
                   **values)  # fmt: skip
    if scheme.symmetric:
        return say("GGUF: {bits}-bit integers in blocks of {size}, scale in fp16", **values)
    return say("GGUF: {bits}-bit integers in blocks of {size}, scale and minimum in fp16", **values)


def ways(step: Step) -> list[str]:
    """How the numbers of a layer are found, where they are not just rounded, and what becomes of
    its input.

    >>> ways(Step.parse("int2-g64-affine-mse-gptq"))
    ['range searched for', 'each column makes up for the errors before it (GPTQ)']
    """
    recipe = step.recipe
    found: list[str] = []
    if recipe.range == "mse":
        found.append(say("range searched for"))
    if recipe.transform == "awq":
        found.append(say("columns that matter scaled up (AWQ)"))
    elif recipe.transform == "rot":
        found.append(say("rotated"))
    elif recipe.transform:
        ratio = recipe.transform.removeprefix("sq")
        found.append(say("outliers moved into the weights (SmoothQuant {ratio})", ratio=ratio))
    if recipe.compensate:
        found.append(say("each column makes up for the errors before it (GPTQ)"))
    if step.activations.threshold:
        found.append(say("activations in 8 bits but for outlier columns"))
    elif step.activations.bits:
        found.append(say("activations in 8 bits, one scale a token"))
    return found


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
    double = [say("scales in 8 bits")] if scheme.scale == "dq" else []
    return ", ".join([_shared(scheme), *double])


def _shared(scheme: Scheme) -> str:
    if scheme.zero_point == "float":
        return say("scale and float zero point (HQQ)")
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


def needs(variant: Variant) -> list[str]:
    """What a variant can't be made without: rows that can be divided, calibration inputs.

    >>> needs(Variant.parse("int4-g64-gptq"))
    ['rows a multiple of 64', 'calibration inputs']
    """
    scheme = variant.scheme
    found: list[str] = []
    if scheme is not None and (size := _divisor(scheme)):
        found.append(say("rows a multiple of {size}", size=size))
    if variant.default.recipe.looks_at_inputs:
        found.append(say("calibration inputs"))
    return found


def _divisor(scheme: Scheme) -> int | None:
    """What has to divide the length of a row."""
    return SUPER_BLOCK if scheme.scale.startswith("k") else scheme.group_size
