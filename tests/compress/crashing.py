"""What would end a process if it went wrong; a test runs it and looks at how it ended."""

import ctypes
import mmap
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from qdemo import Scheme, Variant, load_quantized, quantize_tensor, save_quantized
from qdemo.compress import cpu
from qdemo.compress.kernels import way_of
from qdemo.numerics import insides

PAGE = mmap.PAGESIZE
_LIBC = ctypes.CDLL(None, use_errno=True)
_HELD = []


def at_the_end(x):
    """A copy of `x` that ends where a page begins that can't be read."""
    pages = -(-x.nbytes // PAGE)
    memory = mmap.mmap(-1, (pages + 1) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    none = 0  # PROT_NONE
    assert _LIBC.mprotect(ctypes.c_void_p(start + pages * PAGE), ctypes.c_size_t(PAGE), none) == 0
    whole = torch.frombuffer(memory, dtype=x.dtype, count=pages * PAGE // x.itemsize)
    _HELD.append((memory, whole))
    return whole[len(whole) - x.numel() :].view(x.shape).copy_(x)


def guarded():
    torch.manual_seed(0)
    for rows in (1, 2, 3, 4, 5, 8, 16, 17, 24, 33):
        for n in (1, 2, 4, 7, 32, 33, 64):
            for length in (32, 64, 96, 256):
                one(rows, n, length)
    print("read nothing else")


def one(rows, n, length):
    weights = torch.randint(-127, 128, (n, length), dtype=torch.int8)
    x = torch.randn(rows, length).bfloat16()
    wanted = x.float() @ weights.float().t()
    for scale in (torch.rand(n), torch.rand(())):
        ours = insides.packed(at_the_end(x), at_the_end(weights), at_the_end(scale))
        assert torch.allclose(ours.float(), wanted * scale, rtol=0.05, atol=0.5 * length**0.5)
    slices = torch.randint(-128, 128, (rows, length), dtype=torch.int8)
    ours = insides.summed(at_the_end(slices), at_the_end(weights))
    assert torch.equal(ours.long(), slices.long() @ weights.long().t())


SHARED = Scheme("int4", False, axis=None, scale="fp16", zero_point="float")
"""One scale and one minimum for all."""

STORED = ("mxfp4", "mxfp8", "nvfp4", "q4_1", "q8_0", "q3_k", "q4_k", "q6_k", "int5-g16-affine-dq",
          "int8-tensor-dq")  # fmt: skip


def stored():
    """Codes, and all that lies beside them, in loops."""
    torch.manual_seed(0)
    for scheme in (SHARED, *map(Scheme.parse, STORED)):
        for n, length in ((1, 256), (5, 512), (17, 256), (33, 512)):
            weight = quantize_tensor(torch.randn(n, length), scheme)
            if way_of(weight) == "general":
                continue
            held = {role: at_the_end(t.t().contiguous()).t() if role != "codes" and t.ndim == 2
                    else at_the_end(t) for role, t in weight.tensors.items()}  # fmt: skip
            for rows in (1, 9, 70):
                x = torch.randn(rows, length)
                ours = cpu.times(at_the_end(x), replace(weight, tensors=held))
                assert torch.allclose(ours, x @ weight.dequantize().t(), rtol=1e-4, atol=1e-3)
    print("read nothing else")


def mapped(folder, shifts):
    """Files whose tensors lie so many bytes from where torch's own would."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(96, 64), nn.Linear(64, 32, bias=False))
    for text in ("int8@bf16", "int8-tensor@bf16", "int4@bf16", "int8", "int4-g32", "fp8_e4m3@bf16"):
        variant = Variant.parse(text).build(model)
        path = folder / f"{text}.safetensors"
        for shift in shifts:
            print(text, shift, flush=True)  # the last before a crash
            save_quantized(variant, path)
            move(path, shift)
            check(path, variant)
    print("as it should be")


def check(path, variant):
    loaded = nn.Sequential(nn.Linear(96, 64), nn.Linear(64, 32, bias=False))
    load_quantized(loaded, path)
    for rows in (1, 3, 30):
        x = torch.randn(rows, 96).to(variant[0].compute_dtype)
        assert torch.equal(loaded(x), variant(x)), rows


def move(path, shift):
    """Lengthen the header by blanks, as the format allows, until the tensors lie there."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    blanks = (shift - start) % 64
    header = (start - 8 + blanks).to_bytes(8, "little") + data[8:start] + b" " * blanks
    path.write_bytes(header + data[start:])


def answer(paths):
    from qdemo.models.availability import get_entry
    from qdemo.models.decoding import generate
    from qdemo.models.loading import load

    for path in paths:
        loaded = load(get_entry("t5-tiny"))
        load_quantized(loaded.model, path)
        prompt = loaded.family.encode("What is 40 + 2?")
        print(list(generate(loaded.family, loaded.model, prompt, 32)), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["guarded"]:
            guarded()
        case ["stored"]:
            stored()
        case ["mapped", folder, *shifts]:
            mapped(Path(folder), [*map(int, shifts)])
        case ["answer", *paths]:
            answer(paths)
