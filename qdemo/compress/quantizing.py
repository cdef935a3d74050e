"""A weight as a step says: transformed, its ranges chosen, rounded, errors made up for.

The parts go together on any grid: what a range or a transform finds, GPTQ rounds with. Named
formats (mxfp4, q4_0 …) define their own scales, so nothing searches those; transforms and GPTQ
apply to them as to all. A table of embeddings has no inputs that would be multiplied with it: there
is nothing to weigh its columns by, and it is rounded to nearest, after its range was chosen, and
rotated where a step says so (`without_inputs`).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from qdemo.compress import transforms
from qdemo.compress.gptq import Columns, compensated, factor
from qdemo.compress.stats import Stats, moved
from qdemo.numerics.blocks import scale_shape
from qdemo.numerics.linear import choose_qparams, quantize_tensor, with_codes
from qdemo.numerics.qtensor import QTensor, blocks_of
from qdemo.numerics.ranges import Rounder, half_quadratic, narrowed
from qdemo.numerics.transforms import transform_of
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme
from qdemo.spec.step import Activations, Recipe, Step


def needs(step: Step) -> frozenset[str]:
    """What of `Stats` a step can't do without: "hessian", "mean_abs", "absmax", or nothing.

    >>> sorted(needs(Step.parse("int4-awq"))), sorted(needs(Step.parse("int4-mse-rot")))
    (['hessian', 'mean_abs'], [])
    """
    found = {"hessian"} if step.recipe.compensate else set()
    transform = step.recipe.transform or ""
    if transform == "awq":
        found |= {"hessian", "mean_abs"}
    elif transform.startswith("sq"):
        found.add("absmax")
    return frozenset(found)


def without_inputs(step: Step) -> Step:
    """The same of a table of embeddings, which no inputs are multiplied with."""
    transform = "rot" if step.recipe.transform == "rot" else None
    return replace(step, recipe=Recipe(step.recipe.range, transform), activations=Activations())


def quantize_weight(w: Tensor, step: Step, stats: Stats | None = None) -> QTensor:
    """Quantize `w` (rows, columns) as `step` says, with what is known of its inputs.

    >>> w = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    >>> quantize_weight(w, Step.parse("int2-mse")).dequantize().unique().numel() > 2
    True

    Raises:
        ValueError: as `quantize_tensor`; the step quantizes nothing; or it needs statistics that
            are not there, or are another layer's.
    """
    scheme = step.scheme
    if scheme is None:
        raise ValueError(say("{step} quantizes nothing; expected a scheme", step=str(step)))
    if step.recipe == Recipe():
        return quantize_tensor(w, scheme)
    if w.is_meta:
        return _with(quantize_tensor(w, scheme), _without_storage(step, w))
    _check(step, stats, w)
    stats = None if stats is None else moved(stats, w.device)
    # In one order in memory, as sums depend on it, and so would what is found.
    wide = w.detach().to(torch.promote_types(w.dtype, torch.float32)).contiguous()
    held = _transform(wide, step, stats)
    if transform := transform_of(held):
        wide = transform.of_weights(wide)
    found = _in_range(wide, scheme, step.recipe.range)
    if step.recipe.compensate and wide.numel():
        assert stats is not None
        assert stats.hessian is not None
        u = factor(transforms.hessian_of(held, stats.hessian))
        found = with_codes(found, compensated(wide, u, Columns.of(found)))
    return replace(_with(found, held), dtype=w.dtype)


def _with(found: QTensor, held: dict[str, Tensor]) -> QTensor:
    return replace(found, tensors={**found.tensors, **held}) if held else found


def _transform(w: Tensor, step: Step, stats: Stats | None) -> dict[str, Tensor]:
    """What is held of a transform. AWQ chooses by rounding to nearest in the plain range: forty
    ranges for each of its twenty ratios would take minutes."""
    name, scheme = step.recipe.transform, step.scheme
    if name is None:
        return {}
    assert scheme is not None
    plain = "hqq-range" if step.recipe.range == "hqq" else "absmax"

    def rounded(own: Tensor) -> Tensor:
        return _in_range(own, scheme, plain).dequantize()

    return transforms.chosen(name, w, stats, rounded)


def _in_range(w: Tensor, scheme: Scheme, range: str) -> QTensor:
    """Rounded to nearest in ranges that are found so."""
    if range == "absmax":
        return quantize_tensor(w, scheme)
    blocks, shape = blocks_of(w, scheme), scale_shape(w.shape, scheme.axis, scheme.group_size)
    if range == "mse":
        scale, zero_point = choose_qparams(w, scheme)
        zeros = None if zero_point is None else zero_point.reshape(-1, 1)
        narrow = narrowed(blocks, Rounder.of(scheme), scale.reshape(-1, 1), zeros)
        return quantize_tensor(w, scheme, narrow.reshape(shape), zero_point)
    steps = {} if range == "hqq" else {"steps": 0}
    scale, zeros = half_quadratic(blocks, scheme.qmax, **steps)
    return quantize_tensor(w, scheme, scale.reshape(shape), zeros.reshape(shape))


def _without_storage(step: Step, w: Tensor) -> dict[str, Tensor]:
    """What would be held of a transform."""
    name = step.recipe.transform
    if name is None:
        return {}
    if name == "rot":
        return {"rotation": w.new_empty((), dtype=torch.int64)}
    return {"column_scale": w.new_empty(w.shape[1], dtype=torch.float32)}


def _check(step: Step, stats: Stats | None, w: Tensor) -> None:
    if w.ndim != 2:
        raise ValueError(
            say("{step} is for matrices, not for shape {shape}", step=str(step),
                shape=tuple(w.shape))
        )  # fmt: skip
    wanted = needs(step)
    if not wanted:
        return
    if stats is None or ("hessian" in wanted and stats.hessian is None):
        raise ValueError(say_missing(step))
    if len(stats.absmax) != w.shape[1]:
        raise ValueError(
            say(
                "statistics of {count} inputs, expected those of {columns}",
                count=len(stats.absmax),
                columns=w.shape[1],
            )
        )


def say_missing(step: Step) -> str:
    """That a step needs statistics, and where they come from."""
    return say(
        "{step} needs statistics of the inputs ({names}): build(…, stats=collect_stats(model, "
        "batches))",
        step=str(step),
        names=", ".join(sorted(needs(step))),
    )
