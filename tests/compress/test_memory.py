"""Building a variant needs the variant's bytes and one tensor's, measured on the process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, resource, sys, torch
from torch import nn
import qdemo

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def told(text, count, rows):
    variant = qdemo.Variant.parse(text)
    reference = nn.Sequential(*[nn.Linear(1024, rows, bias=False) for _ in range(count)])
    variant.build(nn.Sequential(nn.Linear(1024, 64)))  # what every process pays once
    before = peak()
    built = variant.build(reference)
    print(peak() - before, qdemo.footprint(built).total, flush=True)

torch.set_num_threads(1)
for case in sys.argv[1:]:
    if (child := os.fork()) == 0:  # a process's peak never falls: each has its own
        text, count, rows = case.split()
        told(text, int(count), int(rows))
        os._exit(0)
    os.waitpid(child, 0)
"""
MIB = 1 << 20
SLACK = 20 * MIB  # what the allocator keeps, and tiles
SIZES = ((40, 1024), (2, 20 * 1024))  # 160 MiB in each
CASES = [(text, *size) for text in ("bf16", "int8", "int4-g64-affine") for size in SIZES]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_the_peak_is_the_variant_and_its_largest_tensor():
    command = [sys.executable, "-c", SCRIPT, *(" ".join(map(str, case)) for case in CASES)]
    root = Path(__file__).parent.parent.parent
    run = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    found = [tuple(map(int, line.split())) for line in run.stdout.splitlines()]
    for (text, count, rows), (growth, variant) in zip(CASES, found, strict=True):
        assert variant / 2 < growth <= variant + rows * 1024 * 4 + SLACK, (text, count)
