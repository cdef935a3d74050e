"""The whole on a GPU, checked against the CPU and timed: python -m tests.bench.gpu [part …]

In order: the numerics bit for bit, the kernels, the embedded models in every format, their captured
steps, the compare command, and milliseconds a token beside transformers and other libraries on a
model of a billion parameters, in less than five minutes. It ends with status 1 where a check fails.
With `--device cpu` the checks compare the CPU with itself, which shows that they run, and a smaller
model is timed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import qdemo
from qdemo.engine import devices
from qdemo.engine.comparing import compare
from qdemo.models.availability import get_entry
from qdemo.models.decoding import generate, score
from qdemo.models.loading import load
from qdemo.models.pictures import named_picture
from qdemo.numerics.linear import fake_quantize
from qdemo.spec.report import Finished
from tests.bench import gpu_steps
from tests.bench.models import FLAN
from tests.bench.table import as_markdown
from tests.fixtures.__main__ import DTYPES, SCHEMES, weight

TOLERANCE = 1e-4
"""Of fp32 logits, as a share of the largest: CUDA adds up in another order than the CPU."""

FORMATS = (
    "fp32", "fp16", "bf16", "int8", "int8@bf16", "int8+emb", "int8-affine", "int8-tensor",
    "int4-g64", "int4-g64@bf16", "int4", "int3", "int2", "fp8_e4m3", "fp8_e5m2", "nf4", "e2m1-g32",
)  # fmt: skip
GIVEN = {
    "t5-tiny": ("What is 23 + 45?", "Sort these words: pig, onion, river, wolf"),
    "blip-tiny": ("scene:42", "gallery:a-woman-and-a-dog-on-the-beach"),
}


class Checks:
    """What was checked, and what failed."""

    def __init__(self):
        self.passed, self.failed = 0, []

    def check(self, ok, what):
        self.passed += bool(ok)
        if not ok:
            self.failed.append(what)
            print(f"FAILED: {what}", file=sys.stderr)


def same(x, there):
    """Every bit of two tensors; None and None are the same."""
    if x is None or there is None:
        return x is there
    is_same = x.dtype == there.dtype and x.shape == there.shape
    bits = [y.detach().cpu().reshape(-1).view(torch.uint8) for y in (x, there)]
    return is_same and torch.equal(*bits)


def numerics(checks, device):
    """Quantizing, dequantizing, casting and the weights' errors, every scheme and dtype."""
    for text in (*SCHEMES, "nf4", "fp4bnb", "e2m1-g32"):
        for dtype in DTYPES:
            w = weight().to(qdemo.FORMATS[dtype].dtype)
            scheme = qdemo.Scheme.parse(text)
            here, there = (qdemo.quantize_tensor(x, scheme) for x in (w, w.to(device)))
            for part in ("data", "scale", "zero_point"):
                checks.check(same(getattr(here, part), getattr(there, part)), f"{text} {part}")
            checks.check(same(here.dequantize(), there.dequantize()), f"{text} {dtype} values")
            fake = (fake_quantize(x, scheme) for x in (w, w.to(device)))
            checks.check(same(*fake), f"{text} {dtype} while training")
            ours, theirs = (qdemo.weight_error(x, q) for x, q in ((w, here), (w.to(device), there)))
            near = abs(ours.sqnr_db - theirs.sqnr_db) < 1e-6 if ours.relative else True
            checks.check(near, f"{text} {dtype} SQNR {ours.sqnr_db} and {theirs.sqnr_db}")
    for name in ("fp16", "bf16", "fp8_e4m3", "fp8_e5m2"):
        cast = (qdemo.cast_tensor(x, name) for x in (weight(), weight().to(device)))
        checks.check(same(*cast), f"cast to {name}")


def models(checks, device):
    """Texts, tokens, bytes and logits of the embedded models, here and there."""
    for name, every in GIVEN.items():
        here, there = load(get_entry(name)), load(get_entry(name), device)
        for given in every:
            picture = named_picture(given) if ":" in given and name == "blip-tiny" else given
            prompt = here.family.encode(picture)
            for text in FORMATS:
                _same_answer(checks, here, there, prompt, f"{name} {text} {given}", text)


def _same_answer(checks, here, there, prompt, what, text):
    variant = qdemo.Variant.parse(text)
    ours, theirs = variant.build(here.model), variant.build(there.model)
    checks.check(qdemo.footprint(ours).total == qdemo.footprint(theirs).total, f"{what}: bytes")
    tokens = list(generate(here.family, ours, prompt, 24))
    z, z_there = (
        score(here.family, ours, prompt, tokens),
        score(there.family, theirs, prompt, tokens),
    )
    z, z_there = z.float(), z_there.float().cpu()
    largest = (z - z_there).abs().max().item() / z.abs().max().item()
    wide = {"fp32": TOLERANCE, "fp16": 2e-2, "bf16": 1e-1}[variant.compute]
    checks.check(largest < wide, f"{what}: logits {largest:.1e} of the largest apart")
    if variant.compute == "fp32":
        answer = list(generate(there.family, theirs, prompt, 24))
        checks.check(tokens == answer, f"{what}: other tokens")


def whole(checks, device):
    """One comparison with all its measures, here and there; and the command."""
    reports = []
    for there in ("cpu", device):
        loaded = load(get_entry("t5-tiny"), there)
        variants = [qdemo.Variant.parse(text) for text in FORMATS[1:]]
        *_, last = compare(loaded, loaded.family.encode(GIVEN["t5-tiny"][0]), variants, 16)
        assert isinstance(last, Finished)
        reports.append(last.report)
    ours, theirs = reports
    checks.check(not theirs.failures, f"failed there: {theirs.failures}")
    checks.check(
        theirs.machine.device == devices.described(torch.device(device)), "the device's name"
    )
    for one, other in zip(ours.results, theirs.results, strict=True):
        if one.variant.compute == "fp32" and one.format != "fp32":
            near = abs(one.figures["logit_mean_abs"] - other.figures["logit_mean_abs"]) < 1e-3
            checks.check(near, f"{one.format}: mean |Δlogit| there")
            checks.check(one.output == other.output, f"{one.format}: another answer there")
    _command(checks, device)


def _command(checks, device):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        ran = subprocess.run(
            [sys.executable, "-m", "qdemo", "compare", "t5-tiny", "--input", "What is 23 + 45?",
             "--formats", "bf16", "int8", "int4-g64", "--device", device, "--json", str(file)],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        checks.check(ran.returncode == 0, f"the command: {ran.stderr[-300:]}")
        print(ran.stdout)
        if ran.returncode == 0:
            told = json.loads(file.read_text())
            checks.check(told["results"][1]["device"].startswith(device), "the card's device")


STEPS = {
    "numerics": numerics,
    "products": gpu_steps.products,
    "models": models,
    "steps": gpu_steps.steps,
    "whole": whole,
}


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu", description=__doc__)
    parser.add_argument("part", nargs="*", choices=[*STEPS, "lines", []], help="all unless named")
    parser.add_argument("--device", default="cuda", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    start, checks = time.monotonic(), Checks()
    device = str(devices.chosen(asked.device))
    for name in asked.part or (*STEPS, "lines"):
        if name == "lines":
            lines(device, asked.rounds)
        else:
            STEPS[name](checks, device)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    print(f"\n{devices.described(torch.device(device))}, torch {torch.__version__}")
    print(f"{checks.passed} checks passed, {len(checks.failed)} failed")
    return 1 if checks.failed else 0


def lines(device, rounds):
    """Print what a token takes, and which goals are reached."""
    small = FLAN if torch.device(device).type == "cpu" else None
    found = gpu_steps.lines(device, rounds, small)
    print(as_markdown(found), "\n")
    for told, is_reached in gpu_steps.reached(found) if small is None else ():
        print(f"- {told}: {'reached' if is_reached else 'not reached'}")


if __name__ == "__main__":
    sys.exit(main())
