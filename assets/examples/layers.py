"""What the Evidence page opens with of a model's layers: which hurts, and a mix for a target."""

from __future__ import annotations

from qdemo.engine.engine import ENGINE
from qdemo.engine.first import libraries
from qdemo.engine.layerwise import exports_of, mix_of, sensitivity_of
from qdemo.spec import mix, sensitivity
from qdemo.spec.mix import Mix, Target
from qdemo.spec.sensitivity import By, Sensitivity
from qdemo.spec.variant import Variant
from qdemo.ui.mix_part import Found

MODEL = "t5-tiny"
HURTS = "int2-mse"
MIXED = ("int8", "int4-g64", "int3-g64-affine-gptq", "int2-g64-affine-mse-gptq")
TARGET = Target("mb", 3.5)


def hurts(by: By = "layer", items: int = sensitivity.ITEMS) -> Sensitivity:
    """Which layer of it hurts."""
    libraries()
    *_, found = sensitivity_of(ENGINE, MODEL, Variant.parse(HURTS), by, items)
    assert isinstance(found, Sensitivity)
    return found


def mixed(items: int = mix.ITEMS) -> Found:
    """A mix between three and four bits, and how other tools are told of it."""
    libraries()
    formats = [Variant.parse(text) for text in MIXED]
    *_, found = mix_of(ENGINE, MODEL, formats, TARGET, "layer", items)
    assert isinstance(found, Mix)
    return Found(found, exports_of(ENGINE, MODEL, Variant.parse(found.found.format)))
