"""GPTQ beside the reference's results, a plain form of it in fp64, and its laws."""

import pytest
import torch

from qdemo import Scheme, quantize_tensor
from qdemo.compress.gptq import DAMPING, Columns, compensated, factor
from qdemo.numerics.grids import grid_of
from qdemo.numerics.ranges import Rounder
from qdemo.spec.formats import GRIDS
from tests.oracles import oracle
from tests.strategies import values

CASES = {
    "gptq-int4": (4, 256), "gptq-int4-g64": (4, 64), "gptq-int4-g64-static-order": (4, 64),
    "gptq-int2-g64": (2, 64),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_finds_what_the_reference_finds(name):
    """With its grid, its scales and its Hessian; in its order, where it sorts columns."""
    bits, group = CASES[name]
    w, hessian = oracle("weight"), oracle("llmcompressor/hessian")
    scale, wanted = (oracle(f"llmcompressor/{name}{part}") for part in ("/scale", ""))
    dead = hessian.diagonal() == 0
    assert int(dead.sum()) == 1
    order = torch.arange(256)
    if name.endswith("order"):
        diagonal = torch.where(dead, 1, hessian.diagonal())
        order = torch.argsort(diagonal, descending=True)
    rounder = Rounder(grid_of(GRIDS[f"int{bits}"]), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    put = Columns(rounder, list(scale.t()), None, group)
    codes = torch.empty(w.shape, dtype=torch.int8)
    codes[:, order] = compensated(
        w[:, order], factor(hessian[order][:, order]), lambda i, x: put(int(order[i]), x)
    )
    found = codes * scale.repeat_interleave(group, 1)
    equal = (found - wanted).abs() < 1e-6 * wanted.abs().max()
    assert equal[:, ~dead].float().mean() >= 0.99
    ours, theirs = ((x - w)[:, ~dead].double() for x in (found, wanted))
    h = hessian[~dead][:, ~dead].double()
    errors = [((e @ h) * e).sum().item() for e in (ours, theirs)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-3)
    assert not wanted[:, dead].any()
    assert found[:, dead].any()  # an input that was not seen may come


def plain(w, hessian, scheme):
    """Algorithm 1 without blocks, in fp64; scales of plain rounding."""
    held = quantize_tensor(w, scheme)
    put = Columns.of(held)
    h = hessian.double().clone()
    h += torch.diag((h.diagonal() == 0).double())
    h += DAMPING * h.diagonal().mean() * torch.eye(len(h), dtype=torch.float64)
    u = torch.linalg.cholesky(torch.linalg.inv(h), upper=True)
    rest, codes = w.double().clone(), []
    for i in range(w.shape[1]):
        code, value = put(i, rest[:, i].float())
        codes.append(code)
        error = (rest[:, i] - value.double()) / u[i, i]
        rest[:, i:] -= error[:, None] * u[i, i:]
    return torch.stack(codes, 1)


SCHEMES = ("int4", "int2-g48", "int3-g48-affine", "int8-affine", "nf4-g48", "nf2-g48", "fp8_e4m3",
           "e2m1-g48", "int4-tensor", "int4-axis1", "int4-axis1-g4")  # fmt: skip


def inputs(n, columns, seed):
    """Rows whose columns go along with each other, one of them always 0."""
    x = values("normal", (n, columns), seed) @ values("normal", (columns, columns), seed + 1)
    x[:, columns // 3] = 0
    return x


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("columns", [48, 144])  # less than a block, and more than two
def test_blocks_change_nothing_on_any_grid(scheme, columns):
    w, x = values("normal", (8, columns), 3), inputs(300, columns, 5)
    hessian, held = 2 * x.t() @ x / 300, quantize_tensor(w, Scheme.parse(scheme))
    found = compensated(w, factor(hessian), Columns.of(held))
    wanted = plain(w, hessian, Scheme.parse(scheme))
    assert found.dtype == wanted.dtype
    assert (found.float() == wanted.float()).float().mean() > 0.995


def test_two_rows_of_four_by_hand():
    w = torch.tensor([[0.9, -0.4, 0.6, 0.2], [0.1, 0.5, -0.7, 1.0]])
    x = torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 2], [1, 1, 1, 1]])
    hessian = 2 * x.t() @ x / 5
    found = compensated(w, factor(hessian), Columns.of(quantize_tensor(w, Scheme("int2"))))
    assert torch.equal(found, plain(w, hessian, Scheme("int2")))
    assert not torch.equal(found, quantize_tensor(w, Scheme("int2")).data)


def test_inputs_that_have_nothing_to_do_with_each_other_change_nothing():
    w = values("normal", (6, 70), 1)
    for hessian in (torch.zeros(70, 70), torch.eye(70), torch.diag(torch.rand(70))):
        held = quantize_tensor(w, Scheme("int4"))
        assert torch.equal(compensated(w, factor(hessian), Columns.of(held)), held.data)


def test_a_weight_on_the_grid_stays_as_it_is():
    x = inputs(200, 40, 2)
    w = quantize_tensor(values("normal", (5, 40), 9), Scheme("int3")).dequantize()
    held = quantize_tensor(w, Scheme("int3"))
    found = compensated(w, factor(2 * x.t() @ x / 200), Columns.of(held))
    assert torch.equal(found, held.data)


def test_statistics_that_are_no_sums_of_squares_are_refused():
    for bad in (torch.full((3, 3), torch.nan), -torch.eye(3), torch.tensor([[1.0, 9], [9, 1]])):
        with pytest.raises(ValueError, match="statistics of the inputs"):
            factor(bad)
