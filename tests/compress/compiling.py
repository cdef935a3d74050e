"""Compile the GPU's kernel for a GPU that need not be here: python -m tests.compress.compiling 90

In a process of its own, as Triton's interpreter leaves traces in the one that it ran in.
"""

import sys

import torch
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from qdemo import Scheme, quantize_tensor
from qdemo.compress import cuda
from qdemo.compress.cuda_kernel import multiply
from qdemo.numerics.packing import LANES

SCHEMES = ("int8", "fp8_e4m3-g64", "int4-g64", "int3-affine", "nf4-g64", "int7-g32-affine")
CODES = {torch.int8: "*i8", torch.uint8: "*u8"}


def compiled(text, capability):
    """PTX and machine code, as the first call on such a GPU makes them: for pointers and sizes that
    are multiples of 16, one row of activations."""
    weight = quantize_tensor(torch.randn(2 * LANES, 1024), Scheme.parse(text))
    launch = cuda._Launch(weight)
    given = launch.runs[0][3]
    options = {name: given[name] for name in ("num_warps", "enable_fp_fusion")}
    constants = {"n_x": 1, "x_column": 1, **given}
    for name in options:
        del constants[name]
    pointers = {
        "x": "*bf16",
        "codes": CODES[launch.codes.dtype],
        "scale": "*fp32",
        "zero_point": "*fp32" if launch.zero_point is None else "*u8",
        "table": "*fp32",
        "out": "*bf16",
    }
    names = multiply.arg_names
    types = {n: "constexpr" if n in constants else pointers.get(n, "i32") for n in names}
    values = {(names.index(name),): value for name, value in constants.items()}
    even = {(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if n not in constants}
    source = ASTSource(multiply, types, values, even)
    return compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm


def main(capability):
    for text in SCHEMES:
        made = compiled(text, capability)
        assert made["cubin"]
        # Codes come 16 bytes at a time; one by one, they would come 16 times as slowly.
        assert "ld.global.v4.b32" in made["ptx"], text
        print(text)


if __name__ == "__main__":
    main(int(sys.argv[1]))
