"""One product of a layer, ours and torch's fp32: python -m tests.bench.products.

Each way goes once through as many matrices of a shape as hold the weights that each token of
FLAN-T5-small reads, so that they lie where a model's do: fp32 in memory, 4 bits perhaps in a cache.
"""

import torch
from torch.nn.functional import linear

from qdemo import Scheme, quantize_tensor
from qdemo.compress.kernels import quantized_linear
from tests.bench.table import Growth, number
from tests.bench.timing import interleaved

SHAPES = ((512, 512), (1024, 512), (512, 1024), (32128, 512), (2048, 2048), (8192, 2048))
ROWS = (1, 2, 4, 8, 16, 24, 32, 64, 200)
FORMATS = ("int8", "int4-g64", "nf4-g64", "int3-g64", "int2-g64")
WEIGHTS = 40_000_000


@torch.inference_mode()
def by_rows(rounds, shapes=SHAPES, rows=ROWS):
    """For each shape: fp32 in microseconds, then each format's ratio to it."""
    cells = [row for shape in shapes for row in _shape(shape, rows, rounds)]
    title = "With the rows of activations (one product; fp32 in µs, then the ratio to it)"
    return Growth(title, ("weights", "format", *map(str, rows)), tuple(cells))


def _shape(shape, rows, rounds):
    count = max(1, WEIGHTS // (shape[0] * shape[1]))
    floats = [torch.randn(shape) for _ in range(count)]
    held = {text: [quantize_tensor(w, Scheme.parse(text)) for w in floats] for text in FORMATS}
    found = [interleaved(_ways(torch.randn(n, shape[1]), floats, held), rounds) for n in rows]
    named = f"{shape[0]} × {shape[1]}"
    yield named, "fp32", *(number(1e6 * each.median("fp32") / count) for each in found)
    for text in FORMATS:
        yield named, text, *(f"{each.ratio(text, 'fp32').median:.2f}" for each in found)


def _ways(x, floats, held):
    """Each goes once through all weights."""
    ours = {
        text: lambda every=every: [quantized_linear(x, w, None) for w in every]
        for text, every in held.items()
    }
    return {"fp32": lambda: [linear(x, w) for w in floats]} | ours


if __name__ == "__main__":
    print(by_rows(rounds=5))
