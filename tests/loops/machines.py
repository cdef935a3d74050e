"""The kinds of machine that tests compile for: this one, and narrower ones that it can pass for."""

import platform
from weakref import WeakKeyDictionary

import pytest

from qdemo.compress import cpu
from qdemo.loops import machine

IS_X86 = platform.machine() in ("x86_64", "AMD64")
HERE = machine.machine()
MACHINES = {"this machine": HERE} | (machine.NARROWER if IS_X86 else {})
if IS_X86 and HERE is not None and HERE.has_dots:
    plain = HERE.features.replace("+avx512vnni", "-avx512vnni")
    MACHINES["without dot products"] = machine.Machine(HERE.kind, HERE.cpu, plain)


def become(name, monkeypatch):
    """Have everything computed as on that machine."""
    monkeypatch.setattr(machine, "machine", lambda: MACHINES[name])
    monkeypatch.setattr(cpu, "_WEIGHTS", WeakKeyDictionary())


@pytest.fixture(params=list(MACHINES))
def here(request, monkeypatch):
    become(request.param, monkeypatch)
    return MACHINES[request.param]
