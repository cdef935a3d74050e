"""LLM.int8(), beside bitsandbytes' two operators and by its laws."""

import pytest
import torch
from torch import nn

from qdemo import Variant
from qdemo.compress.outliers import mixed, rounded
from tests.oracles import oracle
from tests.strategies import values

NAME = "bitsandbytes/llm.int8"


def test_codes_and_outlier_columns_are_bitsandbytes_s():
    x = oracle(f"{NAME}/x_fp16")
    found = mixed(x, 6.0)
    assert torch.equal(found.outliers.nonzero()[:, 0], oracle(f"{NAME}/outlier_columns"))
    assert torch.equal(found.codes, oracle(f"{NAME}/x_codes"))


@pytest.mark.parametrize("compute", ["fp32", "fp16"])
def test_the_output_is_bitsandbytes_s(compute):
    w, x = (oracle(f"{NAME}/{part}_fp16") for part in ("weight", "x"))
    layer = nn.Linear(256, 64, bias=False)
    layer.weight = nn.Parameter(w.float())
    text = "llm.int8" if compute == "fp32" else "llm.int8@fp16"
    built = Variant.parse(text).build(nn.Sequential(layer))
    assert torch.equal(built[0].weight.data, oracle(f"{NAME}/weight_codes"))
    out, wanted = built(x.to(built[0].compute_dtype)).float(), oracle(f"{NAME}/out").float()
    assert (out - wanted).abs().max() <= 1e-3 * wanted.abs().max()


def by_hand(x):
    """Entries set aside, rows rounded by the largest of what is left, then whole columns."""
    aside = x.abs() >= 6
    rest = torch.where(aside, 0, x)
    unit = rest.abs().amax(1, keepdim=True).clamp(min=1e-30) / 127
    return torch.where(aside.any(0), x, (rest / unit).round() * unit)


@pytest.mark.parametrize("kind", ["normal", "outlier", "zeros", "mixed sizes", "zero rows"])
def test_entries_are_set_aside_before_columns(kind):
    x = values(kind, (7, 24), 2) * 3
    assert torch.allclose(rounded(x, 6.0), by_hand(x), rtol=1e-5, atol=1e-6)


def test_what_is_an_outlier_depends_on_the_others():
    x = values("normal", (4, 16), 1).clamp(-3, 3)
    alone = rounded(x[:1], 6.0)
    x[3, 5] = 100
    assert rounded(x, 6.0)[0, 5] == x[0, 5] != alone[0, 5]


def test_what_is_not_finite_stays_in_its_own_row():
    x = values("normal", (4, 16), 1)
    x[1, 2], x[2, 3] = torch.inf, torch.nan
    found = rounded(x, 6.0)
    assert found[1, 2] == torch.inf
    assert found[[0, 1, 3]].isnan().sum() == 0
    assert found[2].isnan().any()


def test_shapes_and_gradients_are_kept():
    x = values("normal", (2, 3, 16), 1).requires_grad_()
    found = rounded(x, 6.0)
    assert torch.equal(found.detach().view(6, 16), rounded(x.detach().view(6, 16), 6.0))
    found.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))
    assert rounded(x.detach()[0, 0], 6.0).shape == (16,)
    assert rounded(torch.zeros(0, 16), 6.0).shape == (0, 16)
