"""What methods are worth on the embedded models, on inputs that they have not seen."""

from functools import cache

import pytest

from qdemo import Variant
from qdemo.engine.calibrating import collect, pairs, quarter, statistics_of
from qdemo.measure.layers import output_errors, relative
from qdemo.models.availability import get_entry
from qdemo.models.loading import load


class Subject:
    def __init__(self, name):
        self.loaded = load(get_entry(name))
        self.stats = statistics_of(self.loaded)
        every = pairs(self.loaded)
        self.inputs = collect(self.loaded, every, 256, quarter(len(every)))
        self.sums = cache(self._sums)

    def _sums(self, text):
        """Σ(Y − XWᵀ)² and Σ(XWᵀ)² of each layer."""
        built = Variant.parse(text).build(self.loaded.model, self.stats)
        found = output_errors(self.loaded.model, built, self.inputs)
        return {name: (error, size) for name, error, size in found}

    def error(self, text):
        """Pooled over layers."""
        sums = self.sums(text).values()
        return relative(sum(error for error, _ in sums), sum(size for _, size in sums))


@pytest.fixture(scope="module", params=["t5-tiny", "blip-tiny"])
def subject(request):
    return Subject(request.param)


GPTQ = {
    "t5-tiny": ("int4", "int4-g32", "int3-g32-affine", "int2-mse", "nf4-g32"),
    "blip-tiny": ("int2", "int3-g32-affine"),  # whose inputs take longer
}


@pytest.mark.parametrize(
    ("subject", "plain"), [(name, plain) for name in GPTQ for plain in GPTQ[name]],
    indirect=["subject"],
)  # fmt: skip
def test_gptq_is_better_than_rounding(subject, plain):
    """On every layer, and never by choosing between the two: `test_gptq` has the algorithm alone.
    (Beside -mse one layer of blip-tiny loses in 2 bits, 1.16 of int2-mse: what errors are pushed on
    to is clipped at the narrower range.)"""
    near, found = subject.sums(plain), subject.sums(f"{plain}-gptq")
    assert near.keys() == found.keys()
    ratios = {name: relative(found[name][0], near[name][0]) for name in near if near[name][0]}
    assert max(ratios.values()) <= 1.02, ratios
    whole = relative(sum(e for e, _ in found.values()), sum(e for e, _ in near.values()))
    assert whole <= 0.9


def test_methods_stand_in_the_order_that_is_told(subject):
    errors = {
        text: subject.error(text)
        for text in ("int2", "int2-mse", "int2-mse-gptq", "int4-g32-affine", "int4-g32-hqq",
                     "int4-g32-affine-mse-gptq", "int8a8", "int8a8-sq0.5", "llm.int8")
    }  # fmt: skip
    assert errors["int2-mse-gptq"] < errors["int2-mse"] < 0.8 * errors["int2"]
    assert errors["int4-g32-affine-mse-gptq"] < 0.8 * errors["int4-g32-affine"]
    assert errors["int4-g32-hqq"] < errors["int4-g32-affine"]
    assert max(errors["int8a8-sq0.5"], errors["llm.int8"]) < 1.2 * errors["int8a8"]
