import sys
from types import SimpleNamespace

import pytest
import torch

from qdemo import Variant
from qdemo.compress import cuda
from qdemo.engine import devices
from qdemo.engine.devices import is_lent, on_gpu
from qdemo.loops import machine
from qdemo.models import captured


def double(x):
    return 2 * x


def test_elsewhere_nothing_changes(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)  # importing it fails
    assert on_gpu(double) is double


def test_on_a_space_with_a_gpu_it_is_decorated(monkeypatch):
    decorated = []

    def gpu(function):
        decorated.append(function)
        return lambda x: ("on the GPU", function(x))

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    assert on_gpu(double)(4) == ("on the GPU", 8)
    assert decorated == [double]


def spaces(zero_gpu):
    """The package, as it knows where it is."""
    config = SimpleNamespace(Config=SimpleNamespace(zero_gpu=zero_gpu))
    return SimpleNamespace(GPU=lambda function: function, config=config)


def test_a_gpu_is_lent_where_the_space_says_so(monkeypatch):
    for package, lent in ((None, False), (spaces(True), True), (spaces(False), False)):
        monkeypatch.setitem(sys.modules, "spaces", package)
        assert is_lent() is lent


def test_the_cpu_is_everywhere_and_auto_takes_cuda_where_it_is(monkeypatch):
    assert devices.chosen("cpu") == torch.device("cpu")
    for here in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda here=here: here)
        assert devices.chosen("auto").type == ("cuda" if here else "cpu")


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_here_is_refused(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"there is no {name} here; use --device cpu"):
        devices.chosen(name)


def test_a_device_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="unknown device 'gpu'; expected one of auto, cpu, cuda"):
        devices.chosen("gpu")


def test_products_on_a_gpu_are_computed_in_full(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    torch.backends.cuda.matmul.allow_tf32 = True
    devices.chosen("cuda")
    assert torch.backends.cuda.matmul.allow_tf32 is False
    assert torch.backends.cudnn.allow_tf32 is False


def test_a_gpu_is_called_by_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    assert devices.described(torch.device("cuda", 0)) == "cuda (NVIDIA H100)"
    assert devices.described(torch.device("cpu")) == "cpu"
    assert devices.processor()


def test_what_goes_slowly_on_a_gpu_is_told(monkeypatch):
    model = Variant.parse("int8").build(torch.nn.Sequential(torch.nn.Linear(64, 32)))
    gpu, works = torch.device("cuda"), {torch.float32: True}
    monkeypatch.setattr(cuda, "is_used", lambda weight, dtype: works[dtype])
    assert devices.ways(gpu, model) == ()
    works[torch.float32] = False
    assert devices.ways(gpu, model) == ("general",)
    monkeypatch.setattr(captured, "is_captured", lambda model: False)
    assert devices.ways(gpu, model) == ("general", "uncaptured")
    assert devices.ways(gpu, torch.nn.Linear(2, 2)) == ("uncaptured",)


def test_the_way_on_a_cpu_is_told():
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Linear(32, 7))
    here = machine.machine()
    told = {
        text: devices.ways(torch.device("cpu"), Variant.parse(text).build(model))
        for text in ("bf16", "int8", "int8-axis1")
    }
    loops = here.kind if here else "general"
    assert told == {"bf16": (), "int8": (loops,), "int8-axis1": ("general",)}
