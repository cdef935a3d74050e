"""Tensors and schemes that property tests draw."""

import torch
from hypothesis import strategies as st

from qdemo import Scheme
from qdemo.spec.formats import GRIDS

INTEGERS = ("int8", "int7", "int6", "int5", "int4", "int3", "int2")
FLOAT8 = ("fp8_e4m3", "fp8_e5m2")
EVERY = tuple(GRIDS)
"""Every grid that a weight can be stored in."""
KINDS = (
    "normal",
    "uniform",
    "zeros",
    "constant",
    "negative constant",
    "positive",
    "negative",
    "outlier",
    "tiny",
    "subnormal",
    "huge",
    "zero rows",
    "mixed sizes",
)


def values(kind: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator)
    match kind:
        case "uniform":
            return torch.rand(shape, generator=generator) - 0.5
        case "zeros":
            return torch.zeros(shape)
        case "constant":
            return torch.full(shape, 0.37)
        case "negative constant":
            return torch.full(shape, -2.25)
        case "positive":
            return x.abs() + 3
        case "negative":
            return -x.abs() - 3
        case "outlier":
            x.reshape(-1)[:1] *= 1000
            return x
        case "tiny":
            return x * 1e-30
        case "subnormal":
            return x * 1e-41
        case "huge":
            return x.clamp(-4, 4) * 4e37
        case "zero rows":
            return x * (torch.rand(shape, generator=generator) > 0.7)
        case "mixed sizes":
            return x * torch.exp2(torch.randint(-20, 20, shape, generator=generator).float())
    return x


shapes = st.one_of(
    st.just(()),
    st.tuples(st.integers(1, 9)),
    st.tuples(st.integers(1, 7), st.integers(1, 24)),
    st.tuples(st.integers(0, 2), st.integers(0, 9)),
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6)),
)


@st.composite
def schemes(draw, shape, formats=INTEGERS):
    """A scheme that fits a tensor of that shape."""
    format = draw(st.sampled_from(formats))
    symmetric = GRIDS[format].kind != "integer" or draw(st.booleans())
    axis = draw(st.sampled_from([None, *range(min(len(shape), 2))]))
    group_size = None
    if axis is not None and draw(st.booleans()):
        length = 1
        for i, size in enumerate(shape):
            length *= 1 if i == axis else size
        divisors = [d for d in range(1, length + 1) if length % d == 0]
        group_size = draw(st.sampled_from([*divisors, length + 3]))
    return Scheme(format, symmetric, axis, group_size)


@st.composite
def cases(draw, formats=INTEGERS, kinds=KINDS, dtypes=(torch.float32,)):
    """A tensor and a scheme that fits it."""
    shape = draw(shapes)
    x = values(draw(st.sampled_from(kinds)), shape, draw(st.integers(0, 2**31)))
    return x.to(draw(st.sampled_from(dtypes))), draw(schemes(shape, formats))
