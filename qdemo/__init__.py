"""qdemo: what reduced precision does to a real model, measured and shown."""

from importlib import import_module
from typing import TYPE_CHECKING

_WHERE = {
    "qdemo.compress.building": ("build",),
    "qdemo.compress.convert": ("cast", "cast_counts", "freeze", "quantize"),
    "qdemo.compress.footprint": ("footprint",),
    "qdemo.compress.modules": ("QEmbedding", "QLinear"),
    "qdemo.compress.saving": ("load_quantized", "save_quantized"),
    "qdemo.compress.stats": ("Stats", "collect_stats"),
    "qdemo.engine.engine": ("compare",),
    "qdemo.measure.logits": ("LogitDifference", "logit_difference"),
    "qdemo.measure.models": ("model_weight_errors",),
    "qdemo.measure.outputs": ("first_divergence",),
    "qdemo.measure.weights": ("WeightError", "pool", "weight_error"),
    "qdemo.numerics.bits": ("Bits", "from_pattern", "from_value"),
    "qdemo.numerics.casting": ("CastCount", "cast_tensor", "count_cast"),
    "qdemo.numerics.linear": ("choose_qparams", "quantize_tensor"),
    "qdemo.numerics.qtensor": ("QTensor",),
    "qdemo.spec.decoding": ("Decoding",),
    "qdemo.spec.footprint": ("Footprint",),
    "qdemo.spec.formats": ("FORMATS", "Format"),
    "qdemo.spec.scheme": ("Scheme",),
    "qdemo.spec.variant": ("Variant",),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "FORMATS",
    "Bits",
    "CastCount",
    "Decoding",
    "Footprint",
    "Format",
    "LogitDifference",
    "QEmbedding",
    "QLinear",
    "QTensor",
    "Scheme",
    "Stats",
    "Variant",
    "WeightError",
    "build",
    "cast",
    "cast_counts",
    "cast_tensor",
    "choose_qparams",
    "collect_stats",
    "compare",
    "count_cast",
    "first_divergence",
    "footprint",
    "freeze",
    "from_pattern",
    "from_value",
    "load_quantized",
    "logit_difference",
    "model_weight_errors",
    "pool",
    "quantize",
    "quantize_tensor",
    "save_quantized",
    "weight_error",
]

if TYPE_CHECKING:  # so that editors and mypy know the names
    from qdemo.compress.building import build
    from qdemo.compress.convert import cast, cast_counts, freeze, quantize
    from qdemo.compress.footprint import footprint
    from qdemo.compress.modules import QEmbedding, QLinear
    from qdemo.compress.saving import load_quantized, save_quantized
    from qdemo.compress.stats import Stats, collect_stats
    from qdemo.engine.engine import compare
    from qdemo.measure.logits import LogitDifference, logit_difference
    from qdemo.measure.models import model_weight_errors
    from qdemo.measure.outputs import first_divergence
    from qdemo.measure.weights import WeightError, pool, weight_error
    from qdemo.numerics.bits import Bits, from_pattern, from_value
    from qdemo.numerics.casting import CastCount, cast_tensor, count_cast
    from qdemo.numerics.linear import choose_qparams, quantize_tensor
    from qdemo.numerics.qtensor import QTensor
    from qdemo.spec.decoding import Decoding
    from qdemo.spec.footprint import Footprint
    from qdemo.spec.formats import FORMATS, Format
    from qdemo.spec.scheme import Scheme
    from qdemo.spec.variant import Variant
else:

    def __getattr__(name):
        """A public name, imported when it is first asked for: torch takes a second."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(import_module(_MODULE_OF[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
