import sys
from types import SimpleNamespace

from qdemo.engine.devices import on_gpu


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
