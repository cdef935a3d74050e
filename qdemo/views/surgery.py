"""Layer surgery in words: what is offered for one layer in one format, and what came of looking for
the smallest repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from qdemo.spec.messages import say, say_counted
from qdemo.spec.repair import Repair
from qdemo.spec.report import Report, Trial
from qdemo.spec.request import MAX_FORMATS
from qdemo.spec.step import Step
from qdemo.spec.variant import Variant
from qdemo.views.exceptions import called, module_called, modules_called
from qdemo.views.numbers import megabytes
from qdemo.views.wording import shortened

Way = Literal["fp32", "int8", "alone"]
"""What becomes of a layer: another format, or it alone keeps the one that it has."""


@dataclass(frozen=True)
class Operation:
    """A layer by its parameter's name, in a format of a report, and what is to become of it."""

    format: str
    parameter: str
    way: Way

    def __post_init__(self) -> None:
        """Refuse what is no way.

        Raises:
            ValueError: it is none.
        """
        if self.way not in get_args(Way):
            ways = ", ".join(get_args(Way))
            raise ValueError(say("{found!r} is no way; expected {ways}", found=self.way, ways=ways))

    @property
    def module(self) -> str:
        """The module that an exception names."""
        return self.parameter.rpartition(".")[0]


def operated(report: Report, asked: Operation) -> Variant:
    """The variant that comes of it.

    Raises:
        ValueError: the layer is so already, or there is no such format, or as many formats as go.
    """
    trial = next((one for one in report.variants if one.format == asked.format), None)
    if trial is None:
        raise ValueError(say("this comparison has no {format}", format=shortened(asked.format, 60)))
    step = trial.variant.step_of(asked.module)
    if asked.way == "int8":
        found = trial.variant.excepting([asked.module], Step.parse("int8"))
        if step == Step.parse("int8") and not _is_exact(trial, asked.parameter):
            raise ValueError(_is_so(asked, "int8"))
    elif _is_exact(trial, asked.parameter):
        raise ValueError(_is_so(asked, "fp32"))
    elif asked.way == "fp32":
        found = trial.variant.excepting([asked.module], Step(cast="fp32"))
    else:
        cast = step if step.scheme is not None or step.cast else Step(cast=trial.variant.compute)
        found = Variant(exceptions=((asked.module, cast),))
    check_room(report.formats, found)
    return found


def check_room(formats: Sequence[str], variant: Variant) -> None:
    """Whether one more can be compared beside those formats, of which fp32 is the first.

    Raises:
        ValueError: there are as many as go.
    """
    others = formats[1:]
    if str(variant) not in others and len(others) >= MAX_FORMATS:
        raise ValueError(
            say("At most {most} formats at a time; untick one, compare, and try again.",
                most=MAX_FORMATS)
        )  # fmt: skip


def repairable(report: Report) -> list[str]:
    """The formats whose answer is another than fp32's, and can be looked into layer by layer: one
    that is greedy, of layers that are quantized, all computed in fp32."""
    if report.is_scored or not report.decoding.is_greedy:
        return []
    return [trial.format for trial in report.variants if _can_be_repaired(trial)]


def _can_be_repaired(trial: Trial) -> bool:
    casts = {step.cast for _, step in trial.variant.exceptions if step.cast}
    in_fp32 = {trial.variant.compute, *casts} == {"fp32"}
    is_quantized = bool(trial.coverage and trial.coverage.quantized)
    return is_quantized and in_fp32 and trial.figures.get("first_divergent_token") is not None


def repair_told(found: Repair, before: int, after: int) -> str:
    """What came of looking for the smallest repair; `before` and `after` are the bytes of the
    format, and of what it is with the layers put back."""
    name = called(found.format)
    if not found.is_needed:
        return say("{format} says what fp32 says; there is nothing to repair.", format=name)
    if found.repaired is None:
        return say(
            "Not even with all of its {layers} layers in {step} does {format} say what fp32 says: "
            "what is left is not in them.",
            layers=found.layers, step=found.step, format=name,
        )  # fmt: skip
    told = say_counted(
        "With {modules} back in {step}, {format} says what fp32 says: {count} layer of {layers}",
        "With {modules} back in {step}, {format} says what fp32 says: {count} layers of {layers}",
        len(found.modules),
        modules=modules_called(found.modules), step=found.step, format=name,
        count=len(found.modules), layers=found.layers,
    )  # fmt: skip
    sizes = say("{after} instead of {before}", after=megabytes(after), before=megabytes(before))
    return f"{told}, {_certainty(found)}, {sizes}. {_tried(found)}"


def _certainty(found: Repair) -> str:
    if found.is_smallest:
        return say("and no fewer do it")
    return say("the fewest that were found, not all sets were tried")


def _tried(found: Repair) -> str:
    """How many sets of layers, that of none is no try; and how many layers would do it alone."""
    alone, enough = len(found.singles), sum(one.is_back for one in found.singles)
    sets = found.tries - alone - 1
    return say_counted(
        "Tried: {alone} layers alone, of which {enough} do it, and {sets} set of several.",
        "Tried: {alone} layers alone, of which {enough} do it, and {sets} sets of several.",
        sets, alone=alone, enough=enough, sets=sets,
    )  # fmt: skip


def _is_exact(trial: Trial, parameter: str) -> bool:
    """Whether a matrix is what it is in fp32."""
    one = trial.weights.get(parameter)
    return one is None or (one.figures["sqnr_db"] is None and not one.figures["overflowed"])


def _is_so(asked: Operation, held: str) -> str:
    module, name = module_called(asked.module), called(asked.format)
    return say("{module} is {held} in {format} already.", module=module, held=held, format=name)
