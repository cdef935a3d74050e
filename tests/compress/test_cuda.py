"""The GPU's kernel against the product of the dequantized weight, computed in fp64.

Triton's interpreter runs it on the CPU, and its compiler needs no GPU. Both need Triton, which
comes with torch's builds for CUDA and not with those for CPUs. What keeps a kernel that does not
work from being used is tested everywhere.
"""

import importlib.util
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from qdemo import Scheme, quantize_tensor
from qdemo.compress import cuda, cuda_launch
from qdemo.compress.modules import QWeight
from qdemo.spec.formats import GRIDS
from tests.compress.test_kernels import assert_is_the_product

ROOT = Path(__file__).parents[2]
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton is not installed; it comes with torch's builds for CUDA",
)
EVERY = [
    *(f"{grid}{rest}" for grid in GRIDS for rest in ("-axis0", "-g32")),
    *(f"int{bits}{rest}" for bits in range(2, 9) for rest in ("-affine", "-g16-affine")),
    "int8-tensor", "int4-tensor-affine", "nf4-tensor", "int3-g24", "int4-g48", "nf3-g8", "int6-g1",
]  # fmt: skip


@pytest.fixture
def interpreted(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    yield from fresh(monkeypatch)


@pytest.fixture
def uninterpreted(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    yield from fresh(monkeypatch)


@pytest.fixture
def untried(monkeypatch):
    yield from fresh(monkeypatch)


def fresh(monkeypatch):
    """The kernel as if nothing had run it before, or did after."""
    monkeypatch.delitem(sys.modules, "qdemo.compress.cuda_kernel", raising=False)
    monkeypatch.setattr(cuda, "_TRIALS", {})
    cuda._LAUNCHES.clear()
    yield
    sys.modules.pop("qdemo.compress.cuda_kernel", None)
    cuda._LAUNCHES.clear()


def weights(text, n_rows, length, seed=0):
    values = torch.randn(n_rows, length, generator=torch.Generator().manual_seed(seed))
    return quantize_tensor(values, Scheme.parse(text))


def activations(rows, length, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.exp2(torch.randint(-9, 9, (rows, 1), generator=generator))
    return (torch.randn(rows, length, generator=generator) * sizes).to(dtype)


def assert_multiplies(x, weight):
    ours = cuda.product(x, weight)
    assert ours is not None
    assert_is_the_product(ours, x, weight)


@needs_triton
@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("text", EVERY)
def test_the_product_is_that_of_the_dequantized_weight(text):
    length = 72 if "g24" in text else 96
    weight = weights(text, 35, length)
    for held in (weight, QWeight(weight).tensor(torch.float32)):  # as it is made, and in a layer
        for dtype in cuda.DTYPES:
            assert_multiplies(activations(2, length, dtype), held)


@needs_triton
@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("text", EVERY)
def test_the_floats_are_those_of_the_dequantized_weight(text, monkeypatch):
    monkeypatch.setattr(cuda_launch, "_BLOCK", 16 * 96)  # a panel at a time
    length = 72 if "g24" in text else 96
    weight = weights(text, 35, length)
    for dtype in cuda.DTYPES:
        found = list(cuda_launch.Launch(weight).pieces(dtype))
        ours = torch.cat([floats for _, floats in found]).double()
        wanted = weight.dequantize(torch.float64)
        if dtype == torch.float32:
            wanted = weight.dequantize().double()
            assert torch.equal(ours, wanted)
        # The interpreter cuts off what a GPU rounds.
        info = torch.finfo(dtype)
        assert ((ours - wanted).abs() <= info.eps * wanted.abs().clamp_min(info.tiny)).all()
        assert [rows.stop for rows, _ in found] == [16, 32, 35]
    many = activations(cuda.ROWS + 1, length)
    assert_multiplies(many, weight)
    assert_multiplies(many.view(1, cuda.ROWS + 1, length), weight)


@needs_triton
@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (15, 33), (16, 100), (17, 65), (70, 31)])
@pytest.mark.parametrize("text", ["int8", "int4", "int3-affine", "int7", "nf4-axis0"])
def test_no_shape_is_too_odd(text, shape):
    """Panels that are not full, and rows that end within a byte."""
    for rows in (1, 3):
        assert_multiplies(activations(rows, shape[1]), weights(text, *shape))


@needs_triton
@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("text", ["int8", "int8-g512", "int4", "int5-affine", "int4-g64",
                                  "int2-g128"])  # fmt: skip
def test_rows_longer_than_what_is_added_up_at_once(text):
    assert_multiplies(activations(1, 1536), weights(text, 18, 1536))
    if "-g" not in text:
        assert_multiplies(activations(1, 1601), weights(text, 5, 1601))


@needs_triton
@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("text", ["int8", "int4-g32", "nf4-axis0"])
def test_activations_that_lie_otherwise(text):
    weight = weights(text, 20, 96)
    wide = activations(96, 30).t()
    for x in (wide[:4], wide[:16:5], wide[:1].expand(4, 96), activations(6, 192)[:, ::2]):
        assert_multiplies(x, weight)
    assert_multiplies(activations(1, 97)[0, 1:][None], weight)


@needs_triton
@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("loud", [1e3, 1e9, 1e20, 1e37])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("text", ["int8", "int4-g32-affine"])
def test_a_loud_activation_does_not_drown_the_others(text, dtype, loud):
    w = torch.randn(20, 64, generator=torch.Generator().manual_seed(0))
    w[::2, 3] = 0
    weight = quantize_tensor(w, Scheme.parse(text))
    x = activations(2, 64)
    x[:, 3], x[:, 5] = loud, 1 / loud
    assert_multiplies(x.to(dtype), weight)


@needs_triton
@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("text", ["int8", "int4", "fp8_e4m3", "int8-affine"])
def test_what_is_finite_once_it_is_scaled_is_no_infinity_before(text):
    values = torch.rand(9, 64, generator=torch.Generator().manual_seed(0)) / 1e4
    weight = quantize_tensor(values, Scheme.parse(text))
    x = torch.randn(2, 64, generator=torch.Generator().manual_seed(1)) * 1e37
    assert torch.isfinite(cuda.product(x, weight)).all()
    assert_multiplies(x, weight)


@needs_triton
@pytest.mark.usefixtures("interpreted")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # the interpreter's
@pytest.mark.parametrize("odd", [torch.inf, -torch.inf, torch.nan])
def test_infinities_and_nan_come_through(odd):
    weight = quantize_tensor(torch.tensor([[1.0, 2.0], [-1.0, 0.5], [0.0, 0.0]]), Scheme("int4"))
    x = torch.tensor([[odd, 1.0], [1.0, 1.0]])
    wanted = torch.nn.functional.linear(x, weight.dequantize())
    assert torch.allclose(cuda.product(x, weight), wanted, rtol=0.01, equal_nan=True)


@needs_triton
@pytest.mark.parametrize("capability", [75, 80, 90, 100])
def test_it_compiles_for_gpus_that_are_not_here(capability):
    """What the interpreter lets pass, the compiler may not."""
    environment = {name: value for name, value in os.environ.items() if "TRITON" not in name}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.compress.compiling", str(capability)],
        capture_output=True, text=True, timeout=200, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "int7-g32-affine" in ran.stdout


@pytest.mark.usefixtures("untried")
def test_floats_that_are_wrong_are_not_used(monkeypatch, caplog):
    Kernel(monkeypatch)
    right = cuda_launch.Launch.pieces

    def pieces(launch, dtype):
        for rows, floats in right(launch, dtype):
            floats[-1, -1] += 1
            yield rows, floats

    monkeypatch.setattr(cuda_launch.Launch, "pieces", pieces)
    assert cuda.product(activations(40, 64), weights("int8", 20, 64)) is None
    assert "the floats are not those" in caplog.text


def general(x, weight):
    """A stand-in for the kernel that is right."""
    return (x.double() @ weight.dequantize(torch.float64).t()).to(x.dtype)


class Kernel:
    """A stand-in for the kernel, on a device whose own gives `wrong` results, or raises."""

    def __init__(self, monkeypatch, wrong=lambda out: out):
        self.runs, made = 0, cuda_launch.Launch.__init__

        def init(launch, weight, wide=None):
            made(launch, weight, wide)
            launch.held = weight

        def run(launch, x, n_x):
            self.runs += 1
            return wrong(general(x, launch.held))

        def pieces(launch, dtype):
            yield slice(0, launch.shape[0]), launch.held.dequantize(dtype)

        monkeypatch.setattr(cuda_launch.Launch, "__init__", init)
        monkeypatch.setattr(cuda_launch.Launch, "run", run)
        monkeypatch.setattr(cuda_launch.Launch, "pieces", pieces)


def raising(out):
    raise RuntimeError("no C compiler was found")


WRONG = {
    "raises": raising,
    "differs": lambda out: out * 1.001,
    "is wrong in the last row": lambda out: out.index_fill(1, torch.tensor(out.shape[1] - 1), 0),
    "is NaN": lambda out: out * torch.nan,
    "is empty": lambda out: out[:0],
}


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("text", ["int8", "int4-g32"])
def test_a_kernel_that_does_not_work_is_not_used(wrong, text, monkeypatch, caplog):
    kernel = Kernel(monkeypatch, wrong)
    with caplog.at_level(logging.WARNING, "qdemo"):
        for seed in range(3):
            assert cuda.product(activations(1, 64), weights(text, 20, 64, seed)) is None
    assert kernel.runs == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"products of {text} and torch.float32 on cpu go torch's general way" in caplog.text
    assert not cuda.is_used(weights(text, 20, 64), torch.float32)


@pytest.mark.usefixtures("untried")
def test_one_that_works_is_tried_once_for_each_kind(monkeypatch, caplog):
    kernel = Kernel(monkeypatch)
    for text in ("int8", "int8", "int4", "int8"):
        weight = weights(text, 20, 64)
        for dtype in (torch.float32, torch.bfloat16):
            x = activations(3, 64, dtype)
            assert_is_the_product(cuda.product(x, weight), x, weight)
            assert cuda.is_used(weight, dtype)
    assert kernel.runs == 8 + 4 * 2  # a trial multiplies twice
    assert not caplog.records


@pytest.mark.usefixtures("untried")
def test_one_that_fails_later_is_used_no_more(monkeypatch, caplog):
    weight = weights("int8", 20, 64)
    Kernel(monkeypatch)
    assert cuda.is_used(weight, torch.float32)
    monkeypatch.setattr(cuda_launch.Launch, "run", lambda launch, x, n_x: raising(x))
    assert cuda.product(activations(1, 64), weight) is None
    assert not cuda.is_used(weight, torch.float32)
    assert "no C compiler was found" in caplog.text


@pytest.mark.usefixtures("untried")
def test_memory_that_is_short_is_no_fault_of_the_kernel(monkeypatch):
    weight = weights("int8", 20, 64)
    Kernel(monkeypatch)
    assert cuda.is_used(weight, torch.float32)

    def short(launch, x, n_x):
        raise torch.OutOfMemoryError("none left")

    monkeypatch.setattr(cuda_launch.Launch, "run", short)
    with pytest.raises(torch.OutOfMemoryError):
        cuda.product(activations(1, 64), weight)
    assert cuda.is_used(weight, torch.float32)


@pytest.mark.usefixtures("untried")
def test_what_it_is_not_for(monkeypatch):
    kernel = Kernel(monkeypatch)
    weight = weights("int8", 20, 64)
    for x in (activations(0, 64), activations(1, 64).double()):
        assert cuda.product(x, weight) is None
    for text in ("int8-axis1", "int4-axis1-g5"):
        assert cuda.product(activations(1, 64), weights(text, 20, 64)) is None
    wide = quantize_tensor(torch.randn(4, 64).double(), Scheme("int8"))  # scales in fp64
    assert cuda.product(activations(1, 64), wide) is None
    assert cuda.product(activations(1, 0), weights("int8", 3, 0)) is None
    assert kernel.runs == 0


@pytest.mark.usefixtures("untried")
def test_what_does_not_fit_is_refused_before_a_kernel_reads_it(monkeypatch):
    kernel = Kernel(monkeypatch)
    weight = weights("int4-g32-affine", 20, 64)
    for x in (activations(1, 63), activations(1, 65), activations(64, 1), torch.tensor(1.0)):
        with pytest.raises(ValueError, match="expected rows of 64 on cpu"):
            cuda.product(x, weight)
    assert kernel.runs == 0
    broken = {
        "codes": weight.packed[1:],
        "scale": weight.scale[:, :1],
        "zero_point": weight.zero_point[:19],
    }
    for role, tensor in broken.items():
        other = replace(weight, tensors={**weight.tensors, role: tensor})
        with pytest.raises(ValueError, match=f"{role} of shape"):
            cuda.product(activations(1, 64), other)
    apart = weight.packed.new_empty(2 * len(weight.packed))[::2]
    other = replace(weight, tensors={**weight.tensors, "codes": apart})
    with pytest.raises(ValueError, match="one behind the other"):
        cuda.product(activations(1, 64), other)
    assert kernel.runs == 0


@pytest.mark.usefixtures("uninterpreted")
def test_where_there_is_no_gpu_it_is_not_used(caplog):
    """Nor Triton, mostly; the general way is."""
    weight = weights("int8", 20, 64)
    assert cuda.product(activations(1, 64), weight) is None
    assert "go torch's general way" in caplog.text


def test_what_is_kept_goes_with_the_weight():
    cuda._LAUNCHES.clear()
    weight = weights("int8", 20, 64)
    assert cuda._launch_of(weight) is cuda._launch_of(weight)
    assert len(cuda._LAUNCHES) == 1
    del weight
    assert len(cuda._LAUNCHES) == 0
