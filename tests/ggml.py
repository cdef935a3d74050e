"""Blocks of GGUF files as they lie there, read into what qdemo holds: of K-quants, by ggml's
definition of each (ggml-common.h, gguf-py's quants.py)."""

import torch

from qdemo.numerics.packing import Panels
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.scheme import NAMED


def tensor_of(blocks, text):
    """A QTensor of bytes (rows, bytes of a row)."""
    scheme = NAMED[text]
    size = {"q2_k": 84, "q3_k": 110, "q4_k": 144, "q5_k": 176, "q6_k": 210}[text]
    rows = len(blocks)
    supers = blocks.view(rows, -1, size)
    codes, scale, unit, minimum, super_min = globals()[f"_{text}"](supers)
    shape = (rows, 256 * supers.shape[1])
    tensors = {
        "codes": Panels.of(shape, scheme.bits).pack(codes.reshape(shape).to(torch.uint8)),
        "scale": _integers(scale, rows, int(scheme.scale[1])),
        "super_scale": _half(unit),
    }
    if minimum is not None:
        tensors["min"] = _integers(minimum, rows, int(scheme.scale[1]))
        tensors["super_min"] = _half(super_min)
    return QTensor(scheme, shape, tensors)


def _integers(x, rows, bits):
    x = x.reshape(rows, -1)
    if bits == 8:
        return x.contiguous().view(torch.int8)
    return Panels(bits, rows, x.shape[1]).pack(x.contiguous())


def _half(two):
    return two.contiguous().view(torch.float16)[..., 0].contiguous()


def _planes(x, shifts, mask):
    """(…, n) bytes to (…, len(shifts), n) numbers."""
    return torch.stack([(x >> shift) & mask for shift in shifts], -2)


def _q2_k(b):
    scales, qs, d, dmin = b[..., :16], b[..., 16:80], b[..., 80:82], b[..., 82:84]
    codes = _planes(qs.unflatten(-1, (2, 32)), (0, 2, 4, 6), 3)
    return codes, scales & 15, d, scales >> 4, dmin


def _q3_k(b):
    mask, qs, packed, d = b[..., :32], b[..., 32:96], b[..., 96:108], b[..., 108:110]
    low = _planes(qs.unflatten(-1, (2, 32)), (0, 2, 4, 6), 3).flatten(-3, -2)
    high = _planes(mask, range(8), 1)
    nibbles = torch.cat([packed[..., :8] & 15, packed[..., :8] >> 4], -1)
    upper = _planes(packed[..., 8:], (0, 2, 4, 6), 3).flatten(-2)
    return low | high << 2, nibbles | upper << 4, d, None, None


def _six_bits(packed):
    """Scales and minima of eight blocks, of twelve bytes."""
    first, second, third = packed.split(4, -1)
    scales = torch.cat([first & 63, (third & 15) | (first >> 6) << 4], -1)
    return scales, torch.cat([second & 63, (third >> 4) | (second >> 6) << 4], -1)


def _q4_k(b):
    d, dmin, (scales, minima), qs = b[..., :2], b[..., 2:4], _six_bits(b[..., 4:16]), b[..., 16:]
    return _planes(qs.unflatten(-1, (4, 32)), (0, 4), 15), scales, d, minima, dmin


def _q5_k(b):
    d, dmin, (scales, minima) = b[..., :2], b[..., 2:4], _six_bits(b[..., 4:16])
    high, qs = b[..., 16:48], b[..., 48:]
    low = _planes(qs.unflatten(-1, (4, 32)), (0, 4), 15).flatten(-3, -2)
    return low | _planes(high, range(8), 1) << 4, scales, d, minima, dmin


def _q6_k(b):
    low, high, scales, d = b[..., :128], b[..., 128:192], b[..., 192:208], b[..., 208:210]
    nibbles = _planes(low.unflatten(-1, (2, 64)), (0, 4), 15).unflatten(-1, (2, 32))
    upper = _planes(high.unflatten(-1, (2, 32)), (0, 2, 4, 6), 3)
    return nibbles.flatten(-3, -2) | upper << 4, scales, d, None, None
