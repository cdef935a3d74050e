"""Compile the GPU's kernel for a GPU that need not be here: python -m tests.compress.compiling 90

In a process of its own, as Triton's interpreter leaves traces in the one that it ran in.
"""

import re
import sys
from itertools import product

import torch
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from qdemo import Scheme, quantize_tensor
from qdemo.compress import cuda_launch
from qdemo.compress.cuda_kernel import dequantize, multiply
from qdemo.compress.modules import QWeight
from qdemo.numerics.packing import LANES

SCHEMES = ("int8", "fp8_e4m3-g64", "int4-g64", "int3-affine", "nf4-g64", "int7-g32-affine")


def compiled(kernel, text, capability):
    """PTX and machine code, as the first call on such a GPU makes them: for pointers and sizes that
    are multiples of 16, one row of activations."""
    made = quantize_tensor(torch.randn(2 * LANES, 1024), Scheme.parse(text))
    launch = cuda_launch.Launch(QWeight(made).tensor(torch.bfloat16))  # as a layer holds it
    given = launch.runs[0][3]
    options = {"num_warps": given["num_warps"]}
    sizes = (
        "length", "n_groups", "group", "scale_row", "scale_column", "zero_row", "zero_column"
    )  # fmt: skip
    constants = {"x_column": 1, **given}
    constants |= {name: 1 for name, size in zip(sizes, launch.sizes, strict=True) if size == 1}
    for name in options:
        del constants[name]
    pointers = {
        "x": "*bf16",
        "codes": "*u8",
        "scale": "*fp32",
        "zero_point": "*u8" if given["has_zero"] else "*fp32",
        "table": "*fp32",
        "out": "*bf16",
    }
    names = kernel.arg_names
    constants = {name: value for name, value in constants.items() if name in names}
    types = {n: "constexpr" if n in constants else pointers.get(n, "i32") for n in names}
    values = {(names.index(name),): value for name, value in constants.items()}
    even = {
        (i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if n not in {*constants, "n_x"}
    }
    source = ASTSource(kernel, types, values, even)
    return compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm


def main(capability):
    for kernel, text in product((multiply, dequantize), SCHEMES):
        made = compiled(kernel, text, capability)
        assert made["cubin"]
        # Several codes come at a time; one by one, they would come several times as slowly.
        assert not re.search(r"ld\.global\S*\.[bu]8", made["ptx"]), text
        print(text)


if __name__ == "__main__":
    main(int(sys.argv[1]))
