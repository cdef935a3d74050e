"""What a measure is: it looks at what a variant did beside the reference, and gives figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from torch import Tensor, nn

from qdemo.compress.footprint import Footprint, footprint
from qdemo.measure.step import Step
from qdemo.spec.figure import Figures
from qdemo.spec.report import Parameter, Span, Values
from qdemo.spec.variant import Variant

Inputs = Mapping[str, Tensor]
"""What layers of the reference are given on calibration inputs, (rows, in_features) by name."""


@dataclass(frozen=True, eq=False)
class Output:
    """What a layer makes of its calibration inputs, (rows, out_features), its bias left out."""

    values: Tensor
    sum_sq: float


@dataclass(frozen=True, eq=False)
class Ran:
    """What a variant did, as a measure finds it.

    `tokens` are its own answer, each of which took so many `seconds`, or a text's that is scored,
    which took none; `logits` (T, V) and `span` are its own at each position of the reference's
    tokens. The reference has no `reference`.
    `inputs` collects the calibration inputs, the first time that it is called. `step` is what was
    seen in a step beside the timed ones. `outputs` keeps what the layers of a reference make of the
    inputs, and `sums_of_squares` those of its parameters, by name, once they are computed.
    """

    variant: Variant
    model: nn.Module
    tokens: tuple[int, ...]
    seconds: tuple[float, ...]
    logits: Tensor
    span: Span | None = None
    reference: Ran | None = None
    inputs: Callable[[], Inputs] = dict
    step: Step | None = None
    outputs: dict[str, Output] = field(default_factory=dict)
    sums_of_squares: dict[str, float] = field(default_factory=dict)

    @cached_property
    def footprint(self) -> Footprint:
        """The bytes that its model holds, counted once."""
        return footprint(self.model)

    @property
    def beside(self) -> Ran:
        """The reference; for a variant, which has one."""
        assert self.reference is not None
        return self.reference


@dataclass(frozen=True)
class Found:
    """What measures found: figures of the whole, what holds at each position, and of each parameter
    either all that is known of it or more of its figures."""

    figures: Values = field(default_factory=dict)
    by_position: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    of_parameters: Mapping[str, Values] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, Parameter]:
        """The parameters, with all of their figures."""
        return {
            name: replace(one, figures={**one.figures, **self.of_parameters.get(name, {})})
            for name, one in self.parameters.items()
        }


@dataclass(frozen=True, eq=False)
class Measure:
    """Figures, and how they are found; what it says stays with the model and the variant, whatever
    the input, where `per_model`. The figures of the reference are those that are `alone`. `when`
    says of what alone it has something to say: of an answer, or of a text that is scored."""

    figures: Figures
    of: Callable[[Ran], Found]
    per_model: bool = False
    alone: bool = False
    when: Literal["", "answered", "scored"] = ""


def found(measures: Iterable[Measure], ran: Ran) -> Found:
    """What all of them find, which are not about the reference alone."""
    return joined(one.of(ran) for one in measures if one.alone or ran.reference is not None)


def joined(every: Iterable[Found]) -> Found:
    """All that was found, as one."""
    figures: dict[str, float | None] = {}
    by_position: dict[str, tuple[float | None, ...]] = {}
    parameters: dict[str, Parameter] = {}
    of_parameters: dict[str, dict[str, float | None]] = {}
    for one in every:
        figures |= one.figures
        by_position |= one.by_position
        parameters |= one.parameters
        for name, values in one.of_parameters.items():
            of_parameters.setdefault(name, {}).update(values)
    return Found(figures, by_position, parameters, of_parameters)


def finite(value: float | None) -> float | None:
    """JSON has no infinities and no NaN: an SQNR without error, an unbounded error, is null."""
    return value if value is None or math.isfinite(value) else None


def finite_list(values: Tensor) -> tuple[float | None, ...]:
    """The same of a tensor's values."""
    return tuple(map(finite, values.tolist()))
