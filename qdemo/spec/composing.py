"""A variant put together from its parts, of which only what fits is offered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from qdemo.spec.formats import GRIDS
from qdemo.spec.scheme import NAME_OF, NAMED
from qdemo.spec.step import Activations, Step
from qdemo.spec.variant import Variant

SCALES = ("axis0", "tensor", "g32", "g64", "g128")
"""What may share a scale, as a text form says it: a row, the tensor, a group of so many."""

RANGES = ("absmax", "mse", "hqq")
TRANSFORMS = ("", "awq", "sq0.5", "rot")
ACTIVATIONS = ("", "a8", "llm.int8")
"""What a layer's input becomes: nothing, integers of 8 bits, the same without outlier columns."""


@dataclass(frozen=True)
class Offered:
    """What goes with what is chosen; of what has one choice only, there is nothing to choose."""

    scales: tuple[str, ...] = ()
    affine: bool = False
    double: bool = False
    ranges: tuple[str, ...] = ("absmax",)
    transforms: tuple[str, ...] = ("",)
    gptq: bool = False
    activations: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Parts:
    """The parts of a variant, all as chosen: `stored` is a grid or a format with a name of its own,
    `scales` what shares one, `double` whether these are quantized themselves.

    >>> Parts("nf4", double=True).text, Parts("mxfp4", affine=True, gptq=True).text
    ('nf4-g64-dq', 'mxfp4-gptq')
    """

    stored: str = "int4"
    scales: str = "g64"
    affine: bool = False
    double: bool = False
    range: str = "absmax"
    transform: str = ""
    gptq: bool = False
    activations: str = ""
    embeddings: bool = False
    compute: str = "fp32"

    @property
    def offered(self) -> Offered:
        """What goes with `stored`, and with what is chosen of the rest."""
        if self.stored == "int8" and self.activations == "llm.int8":
            return Offered(activations=ACTIVATIONS)
        if self.stored in NAMED:
            return Offered(transforms=TRANSFORMS, gptq=True)
        integers = GRIDS[self.stored].kind == "integer"
        return Offered(
            scales=SCALES,
            affine=integers and self.range != "hqq",  # which is affine itself
            double=self.scales.startswith("g"),
            ranges=RANGES if integers else RANGES[:2],
            transforms=TRANSFORMS,
            gptq=True,
            activations=ACTIVATIONS if self.stored == "int8" else ACTIVATIONS[:1],
        )

    def fitting(self) -> Parts:
        """These parts without what does not go with the rest."""
        found = self
        for _ in range(2):  # what goes may make room for something else, and no further
            offered = found.offered
            found = replace(
                found,
                affine=found.affine and offered.affine,
                double=found.double and offered.double,
                range=found.range if found.range in offered.ranges else "absmax",
                transform=found.transform if found.transform in offered.transforms else "",
                gptq=found.gptq and offered.gptq,
                activations=found.activations if found.activations in offered.activations else "",
            )
        return found

    @property
    def variant(self) -> Variant:
        """The variant that they mean."""
        return Variant.parse(self._written())

    @property
    def text(self) -> str:
        """Its text form."""
        return str(self.variant)

    def _written(self) -> str:
        found = self.fitting()
        tail = f"{'+emb' * found.embeddings}@{found.compute}"
        if found.activations == "llm.int8":
            return found.activations + tail
        scales = [found.scales] if found.offered.scales else []
        marks = ["affine"] * found.affine + ["dq"] * found.double
        ways = [found.range] * (found.range != "absmax") + [found.transform] * bool(found.transform)
        every = [*scales, *marks, *ways, *["gptq"] * found.gptq]
        return "-".join([found.stored + found.activations, *every]) + tail

    @classmethod
    def of(cls, variant: Variant) -> Parts | None:
        """The parts of a variant; None of what they can't say, such as exceptions or groups of 7.

        >>> Parts.of(Variant.parse("int2-g64-affine-mse-gptq")).range
        'mse'
        """
        if variant.scheme is None:
            return None
        found = _of_step(variant.default)
        found = replace(found, embeddings=variant.embeddings, compute=variant.compute)
        says = found.stored in (*GRIDS, *NAMED) and found.scales in SCALES
        return (
            found if says and found.transform in TRANSFORMS and found.variant == variant else None
        )


@dataclass(frozen=True)
class Edit:
    """What was clicked and typed since the controls last stood for something: `stood` is what they
    were, `parts` what they are; `text` is what is typed by now, and `base` what was typed when a
    part was last clicked.

    >>> Edit(Parts(), "int4-g64", Parts(double=True), "nf4").wanted  # clicked, then typed
    'nf4'
    >>> Edit(Parts(), "nf4", Parts(double=True), "nf4").wanted  # typed, then clicked
    'nf4-g64-dq'
    """

    stood: Parts
    base: str
    parts: Parts
    text: str

    @property
    def is_typed(self) -> bool:
        """Whether the text has the last word."""
        return self.text != self.base or not self._clicked

    @property
    def meant(self) -> Parts:
        """What is typed with what is clicked, as far as that fits; where parts can't say what is
        typed, it gives way to them."""
        typed = None if self.base == self.stood.text else _typed(self.base)
        return replace(typed or self.stood, **self._clicked).fitting()

    @property
    def wanted(self) -> str:
        """The text of what is meant."""
        return self.text if self.is_typed else self.meant.text

    @property
    def _clicked(self) -> dict[str, Any]:
        before = vars(self.stood)
        return {name: now for name, now in vars(self.parts).items() if now != before[name]}


def _typed(text: str) -> Parts | None:
    try:
        return Parts.of(Variant.parse(text.strip()))
    except ValueError:
        return None


def _of_step(step: Step) -> Parts:
    scheme, recipe = step.scheme, step.recipe
    assert scheme is not None
    named = NAME_OF.get(scheme)
    shared = f"g{scheme.group_size}" if scheme.group_size else f"axis{scheme.axis}"
    return Parts(
        stored=named or scheme.grid,
        scales=Parts.scales if named else "tensor" if scheme.axis is None else shared,
        affine=not named and not scheme.symmetric and recipe.range != "hqq",
        double=scheme.scale == "dq",
        range=recipe.range,
        transform=recipe.transform or "",
        gptq=bool(recipe.compensate),
        activations=_of_activations(step.activations),
    )


def _of_activations(found: Activations) -> str:
    if found.threshold is not None:
        return "llm.int8"
    return "a8" if found.bits else ""
