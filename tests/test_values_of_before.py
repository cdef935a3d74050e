"""What every scheme made of the same weights before, it makes of them now."""

import json

import pytest

import qdemo
from tests.fixtures import __main__ as fixtures

BEFORE = json.loads((fixtures.HERE / "values.json").read_text())


@pytest.mark.parametrize("dtype", fixtures.DTYPES)
@pytest.mark.parametrize("scheme", fixtures.SCHEMES)
def test_every_value_is_as_before(scheme, dtype):
    now, before = fixtures.values(scheme, dtype), BEFORE["values"][f"{scheme} {dtype}"]
    # Squares are exact now, and were rounded to fp32 then.
    assert now.pop("sqnr_db") == pytest.approx(before.pop("sqnr_db"), rel=1e-8)
    assert now == before


def test_a_file_of_before_is_read_bit_for_bit():
    model = fixtures.model()
    qdemo.load_quantized(model, fixtures.HERE / "saved-1.safetensors")
    found = {
        name: fixtures.digest(module.qweight.dequantize())
        for name, module in model.named_modules()
        if isinstance(module, qdemo.QLinear | qdemo.QEmbedding)
    }
    assert found == BEFORE["saved"]
