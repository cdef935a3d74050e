"""Quantizing a model, what is measured of its weights and of its logits."""

import copy

import torch

from qdemo import Variant, freeze, logit_difference, model_weight_errors, pool, quantize
from qdemo.compress.convert import rebuild
from tests.bench.models import FLAN, subject
from tests.bench.peers import PEERS, held, is_installed
from tests.bench.table import Goal, Line
from tests.bench.timing import interleaved, medians

QUANTIZING = {"int8": Goal.parse("≤ 60 ms"), "int4-g64": Goal.parse("≤ 120 ms")}
BY_ROW, BY_GROUP = Goal.parse("≤ 130 ms"), Goal.parse("≤ 200 ms")
ERRORS = {
    "fp16": BY_ROW, "bf16": BY_ROW, "int8": BY_ROW, "int4": BY_ROW,
    "int4-g64": BY_GROUP, "nf4-g64": BY_GROUP,
}  # fmt: skip


def quantizing(bandwidth, rounds):
    """All Linear layers of FLAN-T5-small's shape; copies are made beforehand."""
    model = subject(FLAN).model
    ways = {f"qdemo {name}": lambda own, name=name: _ours(own, name) for name in QUANTIZING}
    ways |= {name: peer.change for name, peer in PEERS.items() if is_installed(peer)}

    def ready(name):
        return rebuild(model) if name.startswith("qdemo") else copy.deepcopy(model)

    found = interleaved(ways, rounds, ready)
    first, linears = next(iter(ways)), _linears(model)
    for name in ways:
        _, _, text = name.partition("qdemo ")
        bits = 4 if text.startswith("int4") else 8
        limit = (4 + bits / 8) * sum(w.numel() for w in linears) / bandwidth  # read and written
        spread = None if name == first else found.ratio(name, first)
        ratio = 1.0 if spread is None else spread.median
        yield Line(f"quantizing {len(linears)} layers", name, found.median(name), ratio,
                   limit=limit, goal=QUANTIZING.get(text), spread=spread)  # fmt: skip


def _ours(model, name):
    quantize(model, name)
    freeze(model)


def _linears(model):
    return [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear)]


def errors(bandwidth, rounds):
    """Error statistics and both histograms of every weight."""
    model = subject(FLAN).model
    variants = {name: Variant.parse(name).build(model) for name in ERRORS}
    ways = {name: lambda v=v: pool(dict(model_weight_errors(model, v)).values())
            for name, v in variants.items()}  # fmt: skip
    found = medians(ways, rounds)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    for name, took in found.items():
        limit = (held(model) + held(variants[name])) / bandwidth
        task = f"errors of {millions:.0f} million weights"
        yield Line(task, f"qdemo {name}", took, limit=limit, goal=ERRORS[name])


def logits(rounds):
    """All measures of the logits of 32 positions."""
    reference = torch.randn(32, 32128)
    other = reference + 0.01 * torch.randn_like(reference)
    tokens = reference.argmax(1)
    found = medians({"": lambda: logit_difference(reference, other, tokens)}, rounds)
    yield Line("logit measures, 32 × 32,128", "qdemo", found[""], goal=Goal.parse("≤ 20 ms"))
