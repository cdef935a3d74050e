"""Building a variant needs the variant's bytes and one tensor's, measured on the process."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import resource, sys, torch
from torch import nn
import qdemo

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

torch.set_num_threads(1)
text, count, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
variant = qdemo.Variant.parse(text)
reference = nn.Sequential(*[nn.Linear(1024, rows, bias=False) for _ in range(count)])
variant.build(nn.Sequential(nn.Linear(1024, 64)))  # what every process pays once
before = peak()
built = variant.build(reference)
print(peak() - before, qdemo.footprint(built).total)
"""
MIB = 1 << 20
SLACK = 20 * MIB  # what the allocator keeps, and tiles


@pytest.mark.parametrize(("count", "rows"), [(40, 1024), (2, 20 * 1024)])  # 160 MiB in each
@pytest.mark.parametrize("text", ["bf16", "int8", "int4-g64-affine"])
def test_the_peak_is_the_variant_and_its_largest_tensor(text, count, rows):
    command = [sys.executable, "-c", SCRIPT, text, str(count), str(rows)]
    root = Path(__file__).parent.parent.parent
    run = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    growth, variant = map(int, run.stdout.split())
    assert growth <= variant + rows * 1024 * 4 + SLACK
