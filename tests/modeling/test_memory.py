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
reference = nn.Sequential(*[nn.Linear(1024, 1024, bias=False) for _ in range(40)])
qdemo.Variant.parse(sys.argv[1]).build(nn.Sequential(nn.Linear(1024, 1024)))  # warm
before = peak()
variant = qdemo.Variant.parse(sys.argv[1]).build(reference)
print(peak() - before, qdemo.footprint(variant).total)
"""
TENSOR = 4 * 1024 * 1024
SLACK = 24 * 1024 * 1024  # what the allocator keeps; a float copy would be 160 MB


@pytest.mark.parametrize("text", ["bf16", "int8", "int4-g64-affine"])
def test_the_peak_is_the_variant_and_its_largest_tensor(text):
    command = [sys.executable, "-c", SCRIPT, text]
    root = Path(__file__).parent.parent.parent
    run = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    growth, variant = map(int, run.stdout.split())
    assert growth <= variant + TENSOR + SLACK
