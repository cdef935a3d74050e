"""What other libraries make of two matrices: `weight` (64 × 256, an outlier and a row of zeros in
it) and `activations` (200 × 256, with a dead and a loud column).

`fixtures/oracles.npz` has them as LIBRARY/VARIANT, the dequantized matrix, and
LIBRARY/VARIANT/PART. They were made by:

- bitsandbytes 0.50.2: `functional.quantize_4bit`, "-dq" with `compress_statistics`; "llm.int8" by
  `int8_vectorwise_quant`, of activations with `threshold=6.0`, and `int8_mixed_scaled_mm`;
- hqq 0.2.8.post1: `Quantizer.quantize`, `axis=1`, groups of 64; ŵ = (q − zero) · scale;
- torchao 0.18.0: `to_mx` in floor mode, `nvfp4_quantize` with a scale of the tensor,
  `SmoothQuantObserver`, `AWQObserver` for int4 in groups of 64;
- ggml, of pywhispercpp 1.5.1: `ggml_quantize_chunk`, read back by gguf 0.19.0; "bytes" are blocks
  as they lie in a file;
- llmcompressor 0.14.0.1: `quantize_weight` for H = 2XᵀX/200, symmetric, scale = absmax /
  ((2^bits − 1) / 2), levels −2^(bits − 1) … 2^(bits − 1) − 1.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch

FILE = Path(__file__).parent / "fixtures" / "oracles.npz"


@cache
def _all():
    with np.load(FILE) as held:
        return {name: held[name] for name in held.files}


def oracle(name):
    """One of them, as a tensor of its own."""
    return torch.from_numpy(_all()[name].copy())
