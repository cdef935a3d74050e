"""What the other pages compute. Here is what can be chosen on them, there before torch is."""

from __future__ import annotations

CASTS = ("fp32", "fp16", "bf16")
"""What the dummy model is cast to."""

LAYERS = (
    "encoder.block.0.layer.0.SelfAttention.q.weight",
    "encoder.block.0.layer.1.DenseReluDense.wo.weight",
    "decoder.block.2.layer.2.DenseReluDense.wo.weight",
    "lm_head.weight",
)
"""Weights of t5-tiny that a block of is taken from."""

COURSE = "the course: 0 1 2 3"
NORMAL = "a normal distribution"
UNIFORM = "evenly from −1 … 1"
PRESETS = (NORMAL, UNIFORM, COURSE, *(f"t5-tiny: {name}" for name in LAYERS))
"""Matrices to quantize by hand."""

START = """\
-1.126  -1.152  -0.2506  -0.4339  0.8487  0.692  -0.316  -2.115
0.3223  -1.263  0.35  0.3081  0.1198  1.238  1.117  -0.2473
-1.353  -1.696  0.5667  0.7935  0.5988  -1.555  -0.3414  1.853
0.7502  -0.5855  -0.1734  0.1835  1.389  1.586  0.9463  -0.8437
-0.6136  0.03159  -0.4927  0.2484  0.4397  0.1124  0.6408  0.4412
-0.1023  0.7924  -0.2897  0.05251  0.5229  2.302  -1.469  -1.587"""
"""The first of them, as it is drawn first."""

CODEBOOKS = ("nf4", "nf3", "nf2", "fp4bnb", "e2m1", "int4")
"""Grids whose levels are laid over the weights."""

ABOVE = "the matrix above"
"""Weights to lay them over, beside whole layers."""

RANGED = ("int2", "int3", "int4", "nf3", "nf4", "e2m1")
"""Grids for which a range is searched."""

LONG = LAYERS[1:3]
"""Those of `LAYERS` whose rows have 256 weights and more."""
