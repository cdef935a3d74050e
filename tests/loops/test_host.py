"""Where loops run and where they can't, and forks: each in a process of its own."""

import os
import subprocess
import sys

import pytest
import torch

from qdemo import Scheme, quantize_tensor
from qdemo.compress import kernels
from qdemo.loops import host


def printed(script):
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    return ran.stdout or ran.stderr[-500:]


FORK = """
import os, torch
from qdemo import Scheme, quantize_tensor
from qdemo.compress import cpu
torch.set_num_threads(2)
weight = quantize_tensor(torch.randn(4096, 512), Scheme("int8"))
x = torch.randn(1, 512)
y = cpu.times(x, weight)
child = os.fork()
if not child:
    os._exit(0 if torch.equal(cpu.times(x, weight), y) else 3)
assert os.waitpid(child, 0)[1] == 0
print("the same in a fork")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_computes_alone():
    assert printed(FORK) == "the same in a fork\n"


WITHOUT = """
import sys
sys.modules["llvmlite"] = None
import importlib.util
import torch
from qdemo import Scheme, quantize_tensor
from qdemo.compress import kernels
from qdemo.loops import host
weight = quantize_tensor(torch.randn(40, 64), Scheme.parse("int4-g8"))
x = torch.randn(2, 64)
wanted = x @ weight.dequantize().t()
assert torch.allclose(kernels.quantized_linear(x, weight, None), wanted, atol=1e-5)
print(host.why_not(), "|", kernels.way_of(weight))
"""


def test_without_llvmlite_torch_computes_and_says_so():
    assert printed(WITHOUT) == "llvmlite is not installed | general\n"


def test_without_libgomp_torch_computes_and_says_so(monkeypatch):
    monkeypatch.setattr(host, "parallel", lambda: 0)
    host.why_not.cache_clear()
    assert host.why_not() == "torch brings no libgomp here"
    host.why_not.cache_clear()


def test_the_way_is_told(here):
    told = {"int8": here.kind, "int8-axis1": "general"}
    for text, way in told.items():
        assert kernels.way_of(quantize_tensor(torch.randn(4, 64), Scheme.parse(text))) == way


BROKEN = """
import sys, llvmlite
sys.modules["llvmlite.binding"] = None
import torch
from qdemo import Scheme, quantize_tensor
from qdemo.loops import host
quantize_tensor(torch.randn(40, 64), Scheme("int8"))
print(host.why_not())
"""
FORBIDDEN = """
import ctypes, torch
assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0  # no memory may be written and run
from qdemo import Scheme, quantize_tensor
from qdemo.loops import host
quantize_tensor(torch.randn(40, 64), Scheme("int8"))
print(host.why_not())
"""
FORKED_EARLY = """
import os, threading, time, torch
from qdemo import Scheme, quantize_tensor
from qdemo.compress import kernels
w, x = torch.randn(64, 64), torch.randn(1, 64)

def first():
    kernels.quantized_linear(x, quantize_tensor(w, Scheme("int8")), None)
threading.Thread(target=first).start()
time.sleep(0.03)
child = os.fork()
if not child:
    torch.set_num_threads(1)
    first()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("through")
"""


def test_an_llvmlite_that_does_not_load_is_told():
    assert printed(BROKEN) == "llvmlite is installed, and does not load here\n"


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_where_no_code_may_be_written_torch_computes():
    found = printed(FORBIDDEN)
    if "AssertionError" in found:
        pytest.skip("this kernel can't forbid it")
    assert found == "this system lets no program write code\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_while_the_first_product_is_made():
    assert printed(FORKED_EARLY) == "through\n"
