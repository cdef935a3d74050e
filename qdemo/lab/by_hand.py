"""Linear quantization of a small matrix, every step kept so that it can be shown.

q = clamp(round(w / scale) + zero_point, qmin, qmax), ŵ = scale · (q − zero_point)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qdemo.numerics.blocks import from_blocks, to_blocks
from qdemo.numerics.linear import choose_qparams, quantize_tensor
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme

CLIPS = tuple(i / 100 for i in range(20, 101))
"""The shares of the range that are tried for the least squared error."""


@dataclass(frozen=True, eq=False)
class ByHand:
    """A matrix `w` (R, C) and what became of it.

    `scale` and `zero_point` are spread to the shape of `w`; `block` numbers the weights that share
    them; `clipped` marks the weights outside the range that `clip` left.
    """

    w: Tensor
    scheme: Scheme
    q: Tensor
    scale: Tensor
    zero_point: Tensor
    w_hat: Tensor
    block: Tensor
    clipped: Tensor
    nbytes: int

    @property
    def error(self) -> Tensor:
        """ŵ − w."""
        return self.w_hat - self.w

    @property
    def rounding(self) -> float:
        """The squared error of the weights inside the range, summed."""
        return float(self.error[~self.clipped].double().square().sum())

    @property
    def clipping(self) -> float:
        """The squared error of the weights outside the range, summed."""
        return float(self.error[self.clipped].double().square().sum())

    def formula(self, row: int, column: int) -> list[str]:
        """The definition with the numbers of one weight filled in, step by step."""
        at = row, column
        w, scale, zero = self.w[at].item(), self.scale[at].item(), int(self.zero_point[at])
        q, w_hat = int(self.q[at]), self.w_hat[at].item()
        steps = (self.w[at] / self.scale[at]).item()  # in fp32, as it was computed
        low, high = int(self.scheme.qmin), int(self.scheme.qmax)
        shift = f" + {zero}" if not self.scheme.symmetric else ""
        back = f"({q} − {zero})" if not self.scheme.symmetric else f"{q}"
        return [
            f"w = {w:.6g}, scale = {scale:.6g}" + (f", zero_point = {zero}" if shift else ""),
            f"w / scale = {steps:.4f}, rounded {round(steps)}",
            f"q = clamp({round(steps)}{shift}, {low}, {high}) = {q}",
            f"ŵ = {scale:.6g} · {back} = {w_hat:.6g}",
            f"error = ŵ − w = {w_hat - w:+.6g}",
        ]


def by_hand(w: Tensor, scheme: Scheme, clip: float | Tensor = 1.0) -> ByHand:
    """Quantize `w`, the range of each block cut to the share `clip` of what would just hold it.

    `clip` is one number, or one for each scale.

    Raises:
        ValueError: the scheme does not fit the matrix.
    """
    scale, zero_point = choose_qparams(w, scheme)
    scale = scale * clip
    q = quantize_tensor(w, scheme, scale, zero_point)
    spread, zeros = _spread(scale, q), _spread(_or_zero(q), q)
    numbers = q.data.to(torch.int64)
    low, high = (spread * (end - zeros) for end in (scheme.qmin, scheme.qmax))
    half = (0.5 + 2**-10) * spread  # a step's half, and what fp32 loses in a product
    clipped = (w < low - half) | (w > high + half)
    block = _spread(torch.arange(scale.numel()), q)
    return ByHand(w, scheme, numbers, spread, zeros, q.dequantize(), block, clipped, q.nbytes)


def _or_zero(q: QTensor) -> Tensor:
    return torch.zeros_like(q.scale) if q.zero_point is None else q.zero_point.to(q.scale.dtype)


def _spread(values: Tensor, q: QTensor) -> Tensor:
    """One value a block as one a weight, (R, C)."""
    scheme = q.scheme
    blocks = to_blocks(torch.empty(q.shape), scheme.axis, scheme.group_size)
    wide = values.reshape(-1, 1).expand(blocks.shape).contiguous()
    return from_blocks(wide, q.shape, scheme.axis)


def clip_errors(w: Tensor, scheme: Scheme) -> list[tuple[float, float, float]]:
    """(clip, rounding error, clipping error) for each of `CLIPS`.

    All are tried at once, in a tall matrix: a row is what shares a scale, under one of them.
    """
    blocks = to_blocks(w, scheme.axis, scheme.group_size)  # (n_blocks, size)
    clips = torch.tensor(CLIPS).repeat_interleave(len(blocks))
    rows = replace(scheme, axis=0, group_size=None)
    found = by_hand(blocks.repeat(len(CLIPS), 1), rows, clips)
    squares = found.error.double().square()
    rounding, clipping = (
        (squares * kept).reshape(len(CLIPS), -1).sum(1) for kept in (~found.clipped, found.clipped)
    )
    return list(zip(CLIPS, rounding.tolist(), clipping.tolist(), strict=True))


def best_clip(errors: list[tuple[float, float, float]]) -> float:
    """The share with the least squared error in all; the widest of equals."""
    return min(errors, key=lambda tried: (tried[1] + tried[2], -tried[0]))[0]


def percentile_clip(w: Tensor, share: float = 0.99) -> float:
    """The share of the largest |w| below which `share` of the weights lie."""
    largest = w.abs().max()
    return float(w.abs().quantile(share) / largest) if largest else 1.0


def choice(found: ByHand, row: int, column: int) -> list[str]:
    """Where the scale (and zero point) of one weight's block comes from, step by step."""
    scheme = found.scheme
    same = found.block == found.block[row, column]
    low, high = found.w[same].min().item(), found.w[same].max().item()
    scale = found.scale[row, column].item()
    if scheme.symmetric:
        largest = max(abs(low), abs(high))
        return [
            f"the largest |w| that shares this scale is {largest:.6g}",
            f"qmax = 2^({scheme.bits} − 1) − 1 = {int(scheme.qmax)}",
            f"scale = {largest:.6g} / {int(scheme.qmax)} = {largest / scheme.qmax:.6g}"
            + _cut(scale, largest / scheme.qmax),
        ]
    low, high = min(low, 0.0), max(high, 0.0)
    steps = int(scheme.qmax)
    full = (high - low) / steps
    return [
        f"the range, widened to hold 0, is {low:.6g} … {high:.6g}",
        f"scale = ({high:.6g} − ({low:.6g})) / (2^{scheme.bits} − 1) = {full:.6g}"
        + _cut(scale, full),
        f"zero_point = round({-low + 0.0:.6g} / scale) = {int(found.zero_point[row, column])}",
    ]


def _cut(scale: float, full: float) -> str:
    """What became of the scale that would just hold the range, where it is another one."""
    if scale > full * 1.0001:
        return say(
            ", raised to the smallest that has all its digits in fp32: {scale:.6g}", scale=scale
        )
    if scale > full * 0.9999:
        return ""
    return say(", cut to {share:.0%} of it: {scale:.6g}", share=scale / full, scale=scale)


def block(found: ByHand, row: int, column: int) -> tuple[list[float], list[float], list[float]]:
    """The weights that share a scale with one, what they became, and every level there is."""
    same = found.block == found.block[row, column]
    scale, zero = found.scale[row, column].item(), int(found.zero_point[row, column])
    numbers = range(int(found.scheme.qmin), int(found.scheme.qmax) + 1)
    levels = [scale * (q - zero) for q in numbers]
    return found.w[same].tolist(), found.w_hat[same].tolist(), levels
