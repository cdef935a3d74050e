import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qdemo.compress.quantizing import quantize_weight
from qdemo.compress.stats import collect_stats
from qdemo.lab.columns import part_of, walk
from qdemo.lab.inputs import ROWS, inputs, known, loud_column, relative_distance, relative_error
from qdemo.measure.weights import weight_error
from qdemo.spec.step import Step


@st.composite
def cases(draw):
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    w = torch.randn(*shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 1000))))
    return w, draw(st.integers(2, 4)), draw(st.sampled_from([0.0, 0.3, 0.8, 0.95]))


def algorithm(w, x, bits):
    """W after each column, in fp64 and without blocks: of Frantar et al., algorithm 1."""
    w, x, qmax = w.double().clone(), x.double(), 2 ** (bits - 1) - 1
    h = 2 * x.T @ x / len(x)
    h += 0.01 * h.diagonal().mean() * torch.eye(len(h))
    u = torch.linalg.cholesky(torch.linalg.inv(h), upper=True)
    scale = w.abs().amax(1) / qmax
    found = [w.clone()]
    for c in range(w.shape[1]):
        rounded = (w[:, c] / scale).round().clamp(-qmax, qmax) * scale
        w[:, c + 1 :] -= ((w[:, c] - rounded) / u[c, c])[:, None] * u[c, c + 1 :]
        w[:, c] = rounded
        found.append(w.clone())
    return found


@settings(max_examples=50)
@given(cases())
def test_it_walks_as_the_algorithm_does(case):
    w, bits, alike = case
    x = inputs(w.shape[1], alike)
    found = walk(w, bits, alike)
    for now, wanted in zip(found.after, algorithm(w, x, bits), strict=True):
        assert torch.allclose(now.w.double(), wanted, atol=1e-4)


@settings(max_examples=50)
@given(cases())
def test_it_ends_where_models_are_quantized(case):
    w, bits, alike = case
    x = inputs(w.shape[1], alike)
    q = quantize_weight(w, Step.parse(f"int{bits}-gptq"), known(x))
    end = walk(w, bits, alike).after[-1]
    assert torch.equal(end.w, q.dequantize())
    assert torch.equal(end.nearest, quantize_weight(w, Step.parse(f"int{bits}")).dequantize())


@settings(max_examples=50)
@given(cases())
def test_errors_are_those_of_the_outputs(case):
    w, bits, alike = case
    x = inputs(w.shape[1], alike).double()
    for now in walk(w, bits, alike).after:
        for shown, error in ((now.w, now.output_error), (now.nearest, now.nearest_error)):
            wanted = (x @ (shown - w).double().T).norm() / (x @ w.double().T).norm()
            assert error == pytest.approx(wanted.item(), rel=1e-3, abs=1e-6)


def test_what_is_pushed_on_goes_to_later_columns_alone():
    found = walk(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), 3, 0.8)
    for column, pushed in enumerate(found.pushes):
        assert not pushed[:, : column + 1].any()
    assert not found.pushes[-1].any()
    assert found.after[0].output_error == 0
    assert found.after[0].sqnr is None


def test_sqnr_falls_while_the_outputs_come_nearer():
    w = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    end = walk(w, 3, 0.9).after[-1]
    assert end.output_error < 0.7 * end.nearest_error
    assert end.sqnr < end.nearest_sqnr


def test_only_as_much_as_can_be_followed():
    assert part_of(torch.zeros(12, 16)).shape == (6, 8)
    assert part_of(torch.zeros(1, 3)).shape == (1, 3)


@pytest.mark.parametrize("columns", [1, 2, 8])
def test_inputs_are_known_as_calibration_knows_them(columns):
    x = inputs(columns, 0.5, 20.0)
    layer = torch.nn.Sequential(torch.nn.Linear(columns, 2))
    wanted = collect_stats(layer, [{"input": x}])["0"]
    found = known(x)
    assert found.count == wanted.count == ROWS
    for name in ("absmax", "mean_abs", "hessian"):
        assert torch.allclose(getattr(found, name), getattr(wanted, name), rtol=1e-5), name


def test_inputs_are_as_alike_and_as_loud_as_they_are_asked_for():
    x = inputs(8, 0.8)
    pairs = torch.corrcoef(x.T)[torch.triu_indices(8, 8, 1).unbind()]
    assert pairs.mean().item() == pytest.approx(0.8, abs=0.08)
    loud = inputs(8, 0.8, 20.0)
    assert torch.equal(loud[:, 2], 20 * x[:, 2])
    assert torch.equal(loud[:, 3:], x[:, 3:])
    assert loud_column(1) == 0


def test_relative_errors_have_no_unit_and_none_of_nothing():
    w, x = torch.eye(3), inputs(3)
    assert relative_error(w, w, known(x).hessian) == pytest.approx(1)
    assert relative_error(0 * w, 0 * w, known(x).hessian) == 0
    assert relative_distance(2 * x, x) == pytest.approx(1)
    assert relative_distance(x, 0 * x) == 0


def test_sqnr_is_the_one_of_reports():
    w = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    for now in walk(w, 3, 0.5).after[1:]:
        assert now.sqnr == pytest.approx(weight_error(w, now.w).sqnr_db, abs=1e-4)
        assert now.nearest_sqnr == pytest.approx(weight_error(w, now.nearest).sqnr_db, abs=1e-4)
