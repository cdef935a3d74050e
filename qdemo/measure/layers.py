"""How far what layers return is from what they should, on calibration inputs.

‖Y − XWᵀ‖ / ‖XWᵀ‖, where X is what the reference's layer is given, XWᵀ what it makes of that and Y
what the variant's layer really returns for it, biases left out. Unlike the error of the weights it
knows which of them matter: a method that rounds for the inputs may have the larger error of weights
and the smaller one of outputs (Frantar et al., "GPTQ", 2023, arXiv 2210.17323).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from qdemo.compress.modules import QModule
from qdemo.measure.difference import sum_of_squares
from qdemo.measure.measure import Found, Measure, Output, Ran, finite
from qdemo.numerics.blocks import with_fp64
from qdemo.spec.figure import Figure
from qdemo.spec.report import WHOLE_MODEL


@torch.inference_mode()
def output_errors(
    reference: nn.Module,
    variant: nn.Module,
    inputs: Mapping[str, Tensor],
    known: dict[str, Output] | None = None,
) -> Iterator[tuple[str, float, float]]:
    """Σ(Y − XWᵀ)² and Σ(XWᵀ)² of each layer that is quantized or cast, by name. What is `known` of
    XWᵀ, on the same inputs, is not computed again; what is computed is added.

    >>> model = nn.Sequential(nn.Linear(4, 2))
    >>> list(output_errors(model, model, {"0": torch.ones(3, 4)}))  # nothing is quantized
    []
    """
    known = {} if known is None else known
    ours, theirs = (
        dict(model.named_modules(remove_duplicate=False)) for model in (variant, reference)
    )
    for name, x in inputs.items():
        layer, own = ours[name], theirs[name]
        if isinstance(layer, QModule) or _dtype(layer) != _dtype(own):
            if name not in known:
                wanted = _without_bias(own, x)
                known[name] = Output(wanted, sum_of_squares(with_fp64(wanted)))
            error = _without_bias(layer, x) - known[name].values
            yield name, sum_of_squares(with_fp64(error)), known[name].sum_sq


def relative(error: float, size: float) -> float | None:
    """√(error / size); None where there is nothing that it could be a share of."""
    return math.sqrt(error / size) if size else None


def _without_bias(layer: nn.Module, x: Tensor) -> Tensor:
    """What it returns, in fp32; a half-precision layer rounds with its bias, as it does in use."""
    y: Tensor = layer(x.to(_dtype(layer))).float()
    bias = getattr(layer, "bias", None)
    return y if bias is None else y - bias.float()


def _dtype(layer: nn.Module) -> torch.dtype:
    if isinstance(layer, QModule):
        return layer.compute_dtype
    dtype: torch.dtype = layer.weight.dtype  # type: ignore[assignment]
    return dtype


def _of(ran: Ran) -> Found:
    beside = ran.beside
    sums = list(output_errors(beside.model, ran.model, ran.inputs(), beside.outputs))
    errors = {f"{name}.weight": relative(error, size) for name, error, size in sums}
    whole = relative(sum(error for _, error, _ in sums), sum(size for *_, size in sums))
    errors[WHOLE_MODEL] = whole if sums else None
    of_parameters = {name: {"output_error": finite(error)} for name, error in errors.items()}
    return Found({"output_error": finite(errors[WHOLE_MODEL])}, of_parameters=of_parameters)


MEASURE = Measure(
    figures=(
        Figure(
            "output_error", "layers' output error",
            "‖Y − XWᵀ‖ / ‖XWᵀ‖: how far what quantized layers return is from what they should, on "
            "calibration inputs, biases left out; pooled over layers.",
            better="low",
            heads=(
                ("strip", "output error"), ("card", "output error"),
                ("summary", "output error"), ("weights", "output error"),
            ),
        ),
    ),
    of=_of, per_model=True,
)  # fmt: skip
