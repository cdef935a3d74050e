"""qdemo: what reduced precision does to a real model, measured and shown."""
# ruff: noqa: F405 - what `public` has of these, a test looks at

from typing import TYPE_CHECKING

__all__ = [
    "FORMATS",
    "Bits",
    "CastCount",
    "Footprint",
    "Format",
    "LogitDifference",
    "QEmbedding",
    "QLinear",
    "QTensor",
    "Scheme",
    "Variant",
    "WeightError",
    "cast",
    "cast_counts",
    "cast_tensor",
    "choose_qparams",
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

if TYPE_CHECKING:
    from qdemo.public import *  # noqa: F403 - so that editors and mypy know the names
else:

    def __getattr__(name):
        """What is public, imported when the first of it is asked for: torch takes a second."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from qdemo import public

        globals()[name] = found = getattr(public, name)  # found without asking here from now on
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
