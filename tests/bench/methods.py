"""Methods: tokens in the formats that they are stored in, and how long quantizing takes, beside the
libraries that they are of: python -m tests.bench.methods [--rounds N].

FLAN-T5-small's shape with random weights. The libraries are measured where they are installed:
bitsandbytes 0.50.2, torchao 0.18.0, hqq 0.2.8.post1.
"""

import argparse
import importlib.util
import logging
import warnings
from functools import partial

import torch

from qdemo import Variant, collect_stats
from qdemo.compress.building import build
from qdemo.compress.quantizing import quantize_weight
from qdemo.spec.step import Step
from tests.bench.models import FLAN, subject
from tests.bench.table import Goal, Line, as_markdown, goals
from tests.bench.timing import TALLY, interleaved, seconds
from tests.bench.tokens import TOKENS

STORED = {
    "int4-g64": None,
    "nf4-g64": Goal.parse("≤ 1.15"),
    "nf4-g64-dq": None,
    "mxfp4": Goal.parse("≤ 1.15"),
    "nvfp4": Goal.parse("≤ 1.15"),
    "q4_0": Goal.parse("≤ 1.15"),
    "q4_k": Goal.parse("≤ 1.40"),
    "mxfp8": None,
    "q8_0": None,
    "int4-g64-hqq": None,
    "int4-g64-awq": None,
    "int4-g64-rot": None,
}
"""The most of int4-g64's time that tokens may take."""

NO_SLOWER = Goal.parse("≤ 1.00")
FOUND = {
    "int2-g64-mse": None,
    "int4-g64-hqq~lm_head=fp32": Goal.parse("≤ 12000 ms"),
    "int4-g64-gptq": Goal.parse("≤ 15000 ms"),
    "int4-g64-awq": None,
    "int4-g64-rot": None,
    "int8a8-sq0.5": None,
}
CALIBRATED = 4000  # tokens
_LENGTH = 50  # of a text


def decoding(given, stats, rounds):
    """Tokens in each format, beside int4-g64."""
    models = {name: build(given.model, Variant.parse(name), stats) for name in STORED}
    ways = {name: lambda m=model: given.generate(m, TOKENS) for name, model in models.items()}
    found = interleaved(ways, rounds)
    first = next(iter(STORED))
    for name, goal in STORED.items():
        spread = found.ratio(name, first)
        yield Line(f"{TOKENS} tokens, FLAN-T5-small", f"qdemo {name}", found.median(name),
                   spread.median, goal=goal, spread=spread)  # fmt: skip


def beside(given, rounds):
    """All Linear layers of the model rounded to nearest, or as HQQ does: a library, then ours."""
    weights = [m.weight.detach() for m in given.model.modules() if type(m) is torch.nn.Linear]
    small = [w for w in weights if w.shape[0] < 10_000]  # HQQ takes half its time for lm_head
    for name, (package, theirs, own) in PEERS.items():
        chosen = small if name.endswith("-hqq") else weights
        task = f"quantizing {len(chosen)} layers, {name}"
        if importlib.util.find_spec(package) is None:
            yield Line(task, package, None, absent="not installed")
            continue
        ways = {package: theirs(), "qdemo": own(name)}
        found = interleaved({how: partial(_each, way, chosen) for how, way in ways.items()}, rounds)
        yield Line(task, package, found.median(package), 1.0)
        spread = found.ratio("qdemo", package)
        yield Line(task, "qdemo", found.median("qdemo"), spread.median, goal=NO_SLOWER,
                   spread=spread)  # fmt: skip


def _each(way, weights):
    for w in weights:
        way(w)


def _ours(text):
    step = Step.parse(text)
    return lambda w: quantize_weight(w, step)


def _bitsandbytes():
    from bitsandbytes.functional import quantize_4bit

    return lambda w: quantize_4bit(w, blocksize=64, quant_type="nf4")


def _torchao_mx():
    from torchao.prototype.mx_formats.mx_tensor import to_mx

    return lambda w: to_mx(w, torch.float4_e2m1fn_x2, 32)


def _torchao_nv():
    from torchao.prototype.mx_formats.nvfp4_tensor import (
        nvfp4_quantize,
        per_tensor_amax_to_scale,
    )

    return lambda w: nvfp4_quantize(w, per_tensor_scale=per_tensor_amax_to_scale(w.abs().max()))


def _hqq():
    from hqq.core.quantize import Quantizer

    return lambda w: Quantizer.quantize(
        w, nbits=4, group_size=64, axis=1, round_zero=False, device="cpu",
        compute_dtype=torch.float32,
    )  # fmt: skip


PEERS = {
    "nf4-g64": ("bitsandbytes", _bitsandbytes, _ours),
    "mxfp4": ("torchao", _torchao_mx, _ours),
    "nvfp4": ("torchao", _torchao_nv, _ours),
    "int4-g64-hqq": ("hqq", _hqq, _ours),
}
"""By our text form: whose it is, and how it and we quantize a weight."""


def finding(given, stats):
    """The whole model by each method, once: the statistics are there already."""
    for name, goal in FOUND.items():
        took = seconds(lambda name=name: build(given.model, Variant.parse(name), stats))
        yield Line("finding all numbers", f"qdemo {name}", took, goal=goal)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    given = subject(FLAN)
    batches = list(_batches(given.model.config.vocab_size))
    known = {}
    took = seconds(lambda: known.update(collect_stats(given.model, batches)))
    lines = [Line(f"statistics, {CALIBRATED} tokens", "qdemo", took)]
    lines += decoding(given, known, options.rounds)
    lines += beside(given, options.rounds)
    lines += finding(given, known)
    print(f"{TALLY}. {goals(lines)}\n\n{as_markdown(lines)}")


def _batches(vocabulary):
    """Texts of random tokens with answers as long, 16 at a time."""
    count = CALIBRATED // (2 * _LENGTH)
    for start in range(0, count, 16):
        shape = min(16, count - start), _LENGTH
        own, answer = torch.randint(3, vocabulary - 100, (2, *shape)).unbind()
        yield {"input_ids": own, "decoder_input_ids": answer}


if __name__ == "__main__":
    main()
