"""Where the ways of multiplying by int8 weights cross: python -m tests.bench.products.

One product in microseconds, the weights not in the cache. `qdemo.compress.kernels.FEW` is where
multiplying integers stops being the fastest.
"""

import torch
from torch.nn.functional import linear

from qdemo import Scheme, quantize_tensor
from qdemo.compress import kernels
from tests.bench.timing import medians

SHAPES = ((384, 512), (1024, 512), (3072, 768), (32128, 512))
ROWS = (1, 4, 8, 16, 24, 32, 64, 200)
CACHED = 64 << 20  # bytes that caches may hold


def main():
    print(f"{'weights':>12}{'rows':>6}{'dtype':>7}{'float':>9}{'integers':>10}{'blocks':>9}  µs")
    for shape in SHAPES:
        several = 1 + CACHED // (shape[0] * shape[1])
        weights = [torch.randn(shape) for _ in range(several)]
        held = [quantize_tensor(w, Scheme("int8")) for w in weights]
        for dtype in (torch.float32, torch.bfloat16):
            floats = [w.to(dtype) for w in weights]
            for rows in ROWS:
                x = torch.randn(rows, shape[1]).to(dtype)
                found = medians(ways(x, floats, held), rounds=3)
                told = "".join(f"{1e6 * found[way] / several:10.0f}" for way in found)
                print(f"{shape[0]:6} × {shape[1]:3}{rows:6}{str(dtype)[6:10]:>7}{told}", flush=True)


def ways(x, floats, held):
    """Each goes once through all weights."""

    def with_few(few):
        def product():
            kernels.FEW = few
            for weight in held:
                kernels.quantized_linear(x, weight, None)

        return product

    return {
        "float": lambda: [linear(x, w) for w in floats],
        "integers": with_few(1 << 30),
        "blocks": with_few(-1),
    }


if __name__ == "__main__":
    with torch.inference_mode():
        main()
