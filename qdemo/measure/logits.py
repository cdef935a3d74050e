"""How far the logits of a variant are from the reference's.

z and z_ref are (T positions, V tokens), both computed after the same tokens (teacher forcing).
Everything is computed in fp64, so that a difference of nothing measures as nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class LogitDifference:
    """What separates two sets of logits; KL divergences are in nats a position.

    `mean_abs`, `max_abs`: |z − z_ref| over all positions and tokens. `mean_abs_centred`,
    `max_abs_centred`: the same after each position's mean difference is taken away, because
    softmax ignores a constant shift. `kl_…`: KL(P_ref ‖ P) over positions, with the 90th
    percentile. `same_top`: share of positions with the same most likely token, and its standard
    error. `token_probability_rms`: RMS change of the probability of the reference's token.
    `kl`, `max_abs_by_position`, `same` hold one value a position, (T,). `invalid_positions`
    counts those where the variant's logits are not all finite: they never count as the same top
    token, and what is averaged over them is infinite or NaN.
    """

    mean_abs: float
    max_abs: float
    mean_abs_centred: float
    max_abs_centred: float
    kl_mean: float
    kl_p90: float
    kl_max: float
    same_top: float
    same_top_error: float
    token_probability_rms: float
    invalid_positions: int
    kl: Tensor
    max_abs_by_position: Tensor
    same: Tensor


def logit_difference(
    reference: Tensor, other: Tensor, tokens: Tensor | None = None
) -> LogitDifference:
    """Compare logits (T, V), or (batch, T, V) taken as batch · T positions.

    `tokens` (T,) are the reference's own tokens; its most likely ones where they are not given.

    Raises:
        ValueError: shapes differ, there is no position or no token, the reference is not finite.
    """
    z_ref, z = _positions(reference, other)
    difference = z - z_ref
    by_position = difference.abs().amax(1)
    centred = (difference - difference.mean(1, keepdim=True)).abs()
    log_ref, log_p = z_ref.log_softmax(1), z.log_softmax(1)
    kl = (log_ref.exp() * (log_ref - log_p)).sum(1).clamp(min=0)  # rounding can dip below 0
    valid = torch.isfinite(z).all(1)
    same = (z.argmax(1) == z_ref.argmax(1)) & valid  # argmax would take a NaN for the largest
    share = same.double().mean().item()
    return LogitDifference(
        mean_abs=difference.abs().mean().item(),
        max_abs=by_position.max().item(),
        mean_abs_centred=centred.mean().item(),
        max_abs_centred=centred.max().item(),
        kl_mean=kl.mean().item(),
        kl_p90=kl.quantile(0.9).item(),
        kl_max=kl.max().item(),
        same_top=share,
        same_top_error=(share * (1 - share) / len(same)) ** 0.5,
        token_probability_rms=_probability_change(log_ref, log_p, tokens),
        invalid_positions=int((~valid).sum()),
        kl=kl,
        max_abs_by_position=by_position,
        same=same,
    )


def _positions(reference: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    if reference.shape != other.shape:
        raise ValueError(f"shapes differ: {tuple(reference.shape)} and {tuple(other.shape)}")
    if reference.ndim < 2 or reference.numel() == 0:
        raise ValueError(f"expected logits (positions, tokens), got {tuple(reference.shape)}")
    if not torch.isfinite(reference).all():
        raise ValueError("the reference's logits are not all finite")
    n_tokens = reference.shape[-1]
    flat = (z.detach().reshape(-1, n_tokens).double() for z in (reference, other))
    return next(flat), next(flat)


def _probability_change(log_ref: Tensor, log_p: Tensor, tokens: Tensor | None) -> float:
    index = log_ref.argmax(1) if tokens is None else tokens.reshape(-1)
    if len(index) != len(log_ref):
        raise ValueError(f"got {len(index)} tokens for {len(log_ref)} positions")
    p_ref, p = (log.gather(1, index[:, None]).exp() for log in (log_ref, log_p))
    return (p - p_ref).square().mean().sqrt().item()
