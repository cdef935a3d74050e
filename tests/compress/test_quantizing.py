"""How numbers are found: every method on every grid, held, used, and saved."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from qdemo import (
    QTensor,
    Scheme,
    Stats,
    Variant,
    build,
    collect_stats,
    footprint,
    load_quantized,
    quantize_tensor,
    save_quantized,
    weight_error,
)
from qdemo.compress.building import Quantizing, building, needed
from qdemo.compress.footprint import bits_per_weight
from qdemo.compress.kernels import way_of
from qdemo.compress.quantizing import needs, quantize_weight, without_inputs
from qdemo.compress.transforms import activation_aware, of_ratio, output_error, smoothing
from qdemo.spec.formats import GRIDS
from qdemo.spec.scheme import NAMED
from qdemo.spec.step import Step
from tests.compress.models import Small, ids
from tests.oracles import oracle
from tests.strategies import values

METHODS = ("mse", "hqq", "awq", "sq0.5", "sq0.75", "rot", "gptq", "mse-gptq", "hqq-gptq",
           "awq-gptq", "mse-rot-gptq", "sq0.5-gptq")  # fmt: skip
STORED = [*(f"{name}-g16" for name in GRIDS), "int4", "int3-affine", "int2-g32-affine", "int8a8",
          "int4-tensor", "int4-axis1", "int3-axis1-g8-affine", "nf4-g16-dq",
          *(name for name in NAMED if "_k" not in name)]  # fmt: skip
ROWS, COLUMNS = 24, 64


def inputs(n=400, columns=COLUMNS, seed=1):
    """Columns that go along with each other, two that are loud, and one that is always 0."""
    x = values("normal", (n, columns), seed) @ values("normal", (columns, columns), seed + 1)
    x[:, 3] *= 12
    x[:, 10] *= 5
    x[:, columns // 2] = 0
    return x


def stats_of(x):
    return Stats(len(x), x.abs().amax(0), x.abs().mean(0), 2 * x.t() @ x / len(x))


X = inputs()
W = values("normal", (ROWS, COLUMNS), 5) * 0.1
KNOWN = stats_of(X)


def error(found, w=W, x=X):
    """‖X(Ŵ − W)ᵀ‖ / ‖XWᵀ‖."""
    return ((x @ (found.dequantize() - w).t()).norm() / (x @ w.t()).norm()).item()


def goes(stored, method):
    """Whether the two have a meaning together: it is the step, or what is said against it."""
    try:
        return Step.parse(f"{stored}-{method}")
    except ValueError as refused:
        return str(refused)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stored", STORED)
def test_every_method_on_every_grid(stored, method):
    step = goes(stored, method)
    if isinstance(step, str):
        assert "mse" in method or "hqq" in method
        assert any(says in step for says in (
            "defines its scales", "no affine form", "-hqq is affine",
        ))  # fmt: skip
        return
    found = quantize_weight(W, step, KNOWN)
    plain = quantize_weight(W, replace(step, recipe=type(step.recipe)()), KNOWN) if (
        step.recipe.range != "hqq"
    ) else quantize_tensor(W, replace(step.scheme, zero_point="int"))  # fmt: skip
    values_found = found.dequantize()
    assert (found.scheme, found.shape, values_found.dtype) == (step.scheme, W.shape, torch.float32)
    assert torch.isfinite(values_found).all()
    again = quantize_weight(W, step, KNOWN)
    assert all(torch.equal(found.tensors[r], again.tensors[r]) for r in found.tensors)
    if step.recipe.compensate:
        assert error(found) < error(plain)
    elif step.recipe.range == "mse":
        assert error(found) < 1.5 * error(plain)
    extra = {r: t for r, t in found.tensors.items() if r not in plain.tensors}
    wanted = {"awq": "column_scale", "sq": "column_scale", "ro": "rotation"}
    name = (step.recipe.transform or "")[: 3 if step.recipe.transform == "awq" else 2]
    assert set(extra) == ({wanted[name]} if name else set())


@pytest.mark.parametrize("name", [name for name in NAMED if "_k" in name])
def test_gptq_rounds_with_the_scales_of_k_quants(name):
    x, w = inputs(600, 256, 7), values("normal", (16, 256), 8) * 0.1
    stats, errors = stats_of(x), {}
    for method in ("", "-gptq", "-rot", "-awq-gptq"):
        found = quantize_weight(w, Step.parse(name + method), stats)
        errors[method] = error(found, w, x)
        assert found.plain.nbytes == quantize_tensor(w, NAMED[name]).nbytes
    assert errors["-gptq"] < 0.95 * errors[""]
    assert errors["-awq-gptq"] < errors[""]


@pytest.mark.parametrize("text", ["int4-g16-awq", "int4-g16-rot", "nf4-g16-sq0.5", "mxfp4-rot",
                                  "int8-sq0.5", "nf4-g16-dq-awq", "int3-axis1-rot"])  # fmt: skip
def test_a_transform_is_undone_wherever_the_weight_is_read(text):
    found = quantize_weight(W, Step.parse(text), KNOWN)
    whole = found.dequantize()
    assert torch.equal(found.rows(slice(3, 9)), whole[3:9])
    assert torch.allclose(found.rows(torch.tensor([7, 0])), whole[[7, 0]], atol=1e-6)
    pieces = torch.cat([part.dequantize() for _, part in found.pieces(16)])
    assert torch.allclose(pieces, whole, atol=1e-6)
    assert found.plain.transform is None
    assert not torch.allclose(found.plain.dequantize(), whole)
    assert found.to("cpu").dequantize(torch.bfloat16).dtype == torch.bfloat16
    assert found.nbytes == found.plain.nbytes + (8 if "rot" in text else 4 * COLUMNS)
    assert weight_error(W, found).sum_sq_error == pytest.approx(
        (whole - W).square().sum().item(), rel=1e-4
    )


def test_a_fine_grid_gives_the_weights_back_through_every_transform():
    seen = KNOWN.absmax > 0  # AWQ gives columns up whose inputs it never saw
    for method in ("awq", "sq0.5", "rot", "rot-gptq", "sq1-gptq"):
        found = quantize_weight(W, Step.parse(f"int8-g16-{method}"), KNOWN).dequantize()
        assert (found - W)[:, seen].norm() < 0.04 * W.norm(), method


def test_smoothquant_s_scales_are_torchao_s():
    w, x = oracle("weight"), oracle("activations")
    for alpha in (0.5, 0.7):
        wanted = oracle(f"torchao/smoothquant-{alpha}/scale")
        assert torch.allclose(smoothing(w, x.abs().amax(0), alpha), wanted, rtol=1e-5)
    held = quantize_weight(w, Step.parse("int8-sq0.5"), stats_of(x)).tensors["column_scale"]
    wanted = oracle("torchao/smoothquant-0.5/scale")
    assert torch.allclose(1 / held, wanted, rtol=1e-5)


def by_torchao(w):
    """Its symmetric int4 in groups of 64: scale = absmax / 7.5, levels −8 … 7."""
    blocks = w.reshape(-1, 64)
    scale = (blocks.abs().amax(1, keepdim=True) / 7.5).clamp(min=1e-9)
    return ((blocks / scale).round().clamp(-8, 7) * scale).reshape(w.shape)


def test_awq_s_scales_are_torchao_s_where_weights_are_rounded_as_there():
    w, x = oracle("weight"), oracle("activations")
    found = activation_aware(w, stats_of(x), by_torchao)
    assert torch.allclose(found, oracle("torchao/awq-int4-g64/scale"), rtol=1e-5)


def test_awq_takes_the_ratio_with_the_least_output_error():
    w, x = oracle("weight"), oracle("activations")

    def rounded(v):
        return quantize_tensor(v, Scheme.parse("int4-g64")).dequantize()

    def loss(scale):
        return (x @ (rounded(w * scale) / scale - w).t()).double().square().sum().item()

    scales = [of_ratio(x.abs().mean(0), i / 20) for i in range(20)]
    found = activation_aware(w, stats_of(x), rounded)
    assert torch.equal(found, min(scales, key=loss))
    assert loss(found) < loss(torch.ones(256))
    known = output_error(rounded(w) - w, stats_of(x).hessian) * 200 / 2
    assert known == pytest.approx(loss(torch.ones(256)), rel=1e-3)


@pytest.mark.parametrize(
    ("text", "bits"),
    [("int4-mse", 4 + 32 / 64), ("int4-g16-gptq", 4 + 2), ("int4-g16-affine-mse", 4 + 2.5),
     ("int4-g16-hqq", 4 + 4), ("int8-sq0.5", 8.5 + 32 / 24), ("int4-g16-awq-gptq", 6 + 32 / 24),
     ("int4-rot", 4.5 + 64 / (24 * 64)), ("nf4-g16-mse", 6), ("llm.int8", 8.5)],
)  # fmt: skip
def test_bits_a_weight_by_hand(text, bits):
    model = nn.Sequential(nn.Linear(COLUMNS, ROWS))
    variant = Variant.parse(text)
    assert bits_per_weight(build(model, variant, {"0": KNOWN})) == pytest.approx(bits)
    shapes = build(nn.Sequential(nn.Linear(COLUMNS, ROWS, device="meta")), variant)
    assert footprint(shapes).by_kind == footprint(build(model, variant, {"0": KNOWN})).by_kind


def test_what_is_needed_is_told():
    texts = {
        "int8a8-sq0.5": {"absmax"},
        "int4-awq": {"hessian", "mean_abs"},
        "fp16": set(),
        "int4-mse-rot-gptq": {"hessian"},
        "int4-hqq": set(),
        "int8~a=int4-gptq": {"hessian"},
    }
    for text, wanted in texts.items():
        assert needed(Variant.parse(text)) == wanted
    texts = ("int4", "fp16", "q4_0", "int4-mse", "int8~a=int2-hqq", "q4_k", "fp16~a=q6_k")
    assert [Variant.parse(t).is_found for t in texts] == [False] * 3 + [True] * 4
    assert needs(without_inputs(Step.parse("int4-mse-awq-gptq"))) == set()
    assert str(without_inputs(Step.parse("int4-mse-rot-gptq"))) == "int4-mse-rot"


@pytest.mark.parametrize(
    ("text", "stats", "says"),
    [
        ("int4-gptq", None, r"int4-gptq needs statistics of the inputs \(hessian\)"),
        ("int4-awq", replace(KNOWN, hessian=None), "needs statistics"),
        ("int8-sq0.5", stats_of(X[:, :8]), "statistics of 8 inputs, expected those of 64"),
        ("int8-gptq", replace(KNOWN, hessian=torch.full((64, 64), torch.nan)), "not finite"),
        ("fp16", KNOWN, "fp16 quantizes nothing"),
    ],
)  # fmt: skip
def test_what_can_t_be_done_is_refused(text, stats, says):
    with pytest.raises(ValueError, match=says):
        quantize_weight(W, Step.parse(text), stats)


def test_weights_that_are_nothing_or_not_finite():
    for text in ("int4-mse", "int4-hqq", "int4-gptq", "int4-rot", "int8-sq0.5", "nf4-g64-gptq"):
        step = Step.parse(text)
        assert quantize_weight(W[:0], step, KNOWN).dequantize().shape == (0, 64)
        zeros = quantize_weight(torch.zeros(3, 64), step, KNOWN).dequantize()
        assert not zeros.any(), text
        bad = W.clone()
        bad[2, 5] = torch.inf
        with pytest.raises(ValueError, match=r"infinite|wider"):
            quantize_weight(bad, step, KNOWN)
    half = quantize_weight(W.bfloat16(), Step.parse("int4-mse-gptq"), KNOWN)
    assert half.dequantize().dtype == torch.bfloat16


def test_a_layer_that_was_given_nothing_is_rounded_to_nearest():
    nothing = Stats(0, torch.zeros(64), torch.zeros(64), torch.zeros(64, 64))
    plain = quantize_tensor(W, Scheme("int4"))
    for text in ("int4-gptq", "int4-awq", "int4-sq0.5"):
        found = quantize_weight(W, Step.parse(text), nothing)
        assert torch.equal(found.dequantize(), plain.dequantize()), text


# --- whole models


def calibrated(model=None):
    torch.manual_seed(3)
    model = model or Small()
    batches = [{"ids": torch.randint(0, 20, (4, 6))} for _ in range(5)]
    return model, collect_stats(model, batches)


@pytest.mark.parametrize("text", ["int4-g8-mse-gptq+emb", "int3-g16-awq", "int8a8-sq0.5",
                                  "int4-g8-rot-gptq+emb", "int4-g8-hqq+emb", "llm.int8",
                                  "int2~head=int4-gptq~body.0=fp32", "nf4-g16-gptq@bf16",
                                  "int8a8-hqq-sq0.5", "q4_0-gptq~body=int8"])  # fmt: skip
def test_a_model_computes_with_what_was_found_and_is_saved(text, tmp_path):
    if text.startswith("q4_0"):
        model, stats = calibrated(Small(width=32, tied=False))
    else:
        model, stats = calibrated()
    before = [x.clone() for x in model.state_dict().values()]
    built = Variant.parse(text).build(model, stats)
    out = built(ids())
    assert torch.isfinite(out).all()
    same = zip(model.state_dict().values(), before, strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert text.split("+")[0].split("~")[0].split("@")[0] in str(built)
    save_quantized(built, tmp_path / "found.safetensors")
    again, _ = calibrated(Small(width=32, tied=False) if text.startswith("q4_0") else None)
    load_quantized(again, tmp_path / "found.safetensors")
    assert torch.equal(again(ids()), out)
    assert str(again) == str(built)
    if "a8" not in text and "llm" not in text and "@" not in text:
        plain = Small(width=model.norm.normalized_shape[0], tied=False)
        plain.load_state_dict(model.state_dict())
        with torch.no_grad():
            for name in ("embed", "body.0", "body.2", "head"):
                held = built.get_submodule(name).weight
                if isinstance(held, QTensor):
                    plain.get_submodule(name).weight.copy_(held.dequantize())
        assert torch.allclose(plain(ids()), out, atol=1e-4)


def test_tied_weights_are_one_only_where_both_ends_are_found_alike():
    model, stats = calibrated()
    for text, tied in (("int4-g8-mse+emb", True), ("int4-g8-rot+emb", True),
                       ("int4-g8-gptq+emb", False), ("int4-g8-awq+emb", False)):  # fmt: skip
        built = Variant.parse(text).build(model, stats)
        assert (built.embed.quantized is built.head.quantized) == tied, text
        assert str(built.embed.step) == str(without_inputs(Variant.parse(text).default))
        near = quantize_weight(model.embed.weight, without_inputs(Variant.parse(text).default))
        assert torch.equal(built.embed.weight.dequantize(), near.dequantize())


def test_a_variant_is_built_layer_by_layer_and_can_be_stopped():
    model, stats = calibrated(Small(tied=False))
    steps = building(model, Variant.parse("int4-gptq"), stats)
    assert next(steps) == Quantizing("body.0", 1, 3)
    steps.close()
    assert [step.name for step in building(model, Variant.parse("int4-gptq"), stats)] == [
        "body.0", "body.2", "head",
    ]  # fmt: skip


def test_statistics_that_are_missing_are_told_before_anything_is_done():
    model, stats = calibrated(Small(tied=False))
    for given in (None, {}, {"body.0": stats["body.0"]}):
        with pytest.raises(ValueError, match=r"int4-gptq needs statistics .*collect_stats"):
            build(model, Variant.parse("int4-gptq"), given)
    assert next(building(model, Variant.parse("int4-mse"))).count == 3


def test_a_layer_s_output_is_what_the_transformed_product_is():
    """x' Qᵀ in the transformed basis, and x Ŵᵀ in the original one, on vectors and on batches."""
    layer = nn.Linear(COLUMNS, ROWS)
    for text in ("int4-g16-awq", "int4-g16-rot", "int8-sq0.5-gptq", "int4-g16-rot@bf16"):
        built = Variant.parse(text).build(nn.Sequential(layer), {"0": KNOWN})
        wanted = X @ built[0].weight.dequantize(torch.float32).t() + layer.bias
        bound = (2e-2 if "bf16" in text else 1e-5) * wanted.abs().max()
        for x, y in ((X, wanted), (X[0], wanted[0]), (X[None, :7], wanted[None, :7])):
            assert (built(x).float() - y).abs().max() < bound, text
        assert way_of(built[0].weight)


def test_gradients_reach_what_is_before_a_transformed_layer():
    built = Variant.parse("int8a8-sq0.5").build(nn.Sequential(nn.Linear(64, 24)), {"0": KNOWN})
    x = X[:5].clone().requires_grad_()
    built(x).sum().backward()
    wanted = built[0].weight.dequantize().sum(0).expand(5, -1)
    assert torch.allclose(x.grad, wanted, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_smoothing_helps_where_a_column_is_loud():
    x = values("normal", (300, 64), 8)
    x[:, 5] *= 80
    model, stats = nn.Sequential(nn.Linear(64, 32, bias=False)), {"0": stats_of(x)}
    wanted = model(x)
    errors = {
        text: (Variant.parse(text).build(model, stats)(x) - wanted).norm() / wanted.norm()
        for text in ("int8", "int8a8", "int8a8-sq0.5", "llm.int8")
    }
    assert errors["int8a8"] > 2 * errors["int8a8-sq0.5"]
    assert errors["int8a8"] > 2 * errors["llm.int8"]
    assert errors["llm.int8"] < 2 * errors["int8"]
