"""Quantizing a model, what is measured of its weights and of its logits."""

import copy

import torch

from qdemo import Variant, freeze, logit_difference, model_weight_errors, pool, quantize
from qdemo.compress.convert import rebuild
from tests.bench.models import FLAN, subject
from tests.bench.peers import held, installed
from tests.bench.table import Line
from tests.bench.timing import medians, seconds

VARIANTS = ("fp16", "bf16", "int8", "int4-g64")


def quantizing(bandwidth, rounds):
    """All Linear layers of FLAN-T5-small's shape to int8; copies are made beforehand."""
    model = subject(FLAN).model
    ways = {"qdemo int8": _ours} | installed()
    taken = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, change in ways.items():
            own = rebuild(model) if name.startswith("qdemo") else copy.deepcopy(model)
            taken[name].append(seconds(lambda c=change, m=own: c(m)))
    found = {name: sorted(times[1:])[rounds // 2] for name, times in taken.items()}
    linears = [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear)]
    limit = 5 * sum(w.numel() for w in linears) / bandwidth  # 4 bytes are read, 1 is written
    first = found["qdemo int8"]
    for name, took in found.items():
        goal = "80 ms" if name.startswith("qdemo") else ""
        yield Line(f"quantizing {len(linears)} layers", name, took, took / first, None, limit, goal)


def _ours(model):
    quantize(model, "int8")
    freeze(model)


def errors(bandwidth, rounds):
    """Error statistics and both histograms of every weight."""
    model = subject(FLAN).model
    variants = {name: Variant.parse(name).build(model) for name in VARIANTS}
    ways = {name: lambda v=v: pool(dict(model_weight_errors(model, v)).values())
            for name, v in variants.items()}  # fmt: skip
    found = medians(ways, rounds)
    for name, took in found.items():
        limit = (held(model) + held(variants[name])) / bandwidth
        yield Line("weight errors, a variant", f"qdemo {name}", took, None, None, limit, "600 ms")
    yield Line("weight errors, all four", "qdemo", sum(found.values()), goal="2000 ms")


def logits(rounds):
    """All measures of the logits of 32 positions."""
    reference = torch.randn(32, 32128)
    other = reference + 0.01 * torch.randn_like(reference)
    tokens = reference.argmax(1)
    found = medians({"": lambda: logit_difference(reference, other, tokens)}, rounds)
    yield Line("logit measures, 32 × 32,128", "qdemo", found[""], goal="20 ms")
