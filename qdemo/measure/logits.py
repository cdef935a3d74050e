"""How far the logits of a variant are from the reference's.

z and z_ref are (T positions, V tokens), both computed after the same tokens (teacher forcing).
Everything is computed in fp64, so that a difference of nothing measures as nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from operator import neg
from typing import NamedTuple

import torch
from torch import Tensor

from qdemo.measure.measure import Found, Measure, Ran, finite, finite_list
from qdemo.spec.figure import Figure
from qdemo.spec.messages import say
from qdemo.spec.proportion import wilson

_TOGETHER = 4  # positions


@dataclass(frozen=True, eq=False)
class LogitDifference:
    """What separates two sets of logits; KL divergences are in nats a position.

    `mean_abs`, `max_abs`: |z − z_ref| over all positions and tokens. `mean_abs_centred`,
    `max_abs_centred`: the same after each position's mean difference is taken away, because
    softmax ignores a constant shift. `kl_…`: KL(P_ref ‖ P) over positions, with the 90th
    percentile (nearest rank). `same_top`: share of positions with the same most likely token (of
    several that are equally likely, one in common is enough), with its Wilson 95% interval and its
    standard error, as if positions were independent. `token_probability_rms`: RMS change of the
    probability of the reference's token. `kl`, `max_abs_by_position`, `same` hold one value a
    position, (T,). `invalid_positions` counts those where the variant's logits are not all finite:
    they never count as the same top token, and what is averaged over them is infinite or NaN.
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
    same_top_low: float
    same_top_high: float
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
    z_ref, z = _flat(reference, other)
    index = z_ref.argmax(1) if tokens is None else tokens.reshape(-1)
    if len(index) != len(z):
        raise ValueError(
            say(
                "got {tokens} tokens for {positions} positions", tokens=len(index), positions=len(z)
            )
        )
    parts = zip(*(x.split(_TOGETHER) for x in (z_ref, z, index)), strict=True)
    at = _ByPosition(*map(torch.cat, zip(*(_by_position(*part) for part in parts), strict=True)))
    count = int(at.same.sum())
    share = count / len(z)
    low, high = wilson(count, len(z))
    return LogitDifference(
        mean_abs=at.mean_abs.mean().item(),
        max_abs=at.max_abs.max().item(),
        mean_abs_centred=at.mean_abs_centred.mean().item(),
        max_abs_centred=at.max_abs_centred.max().item(),
        kl_mean=at.kl.mean().item(),
        kl_p90=_percentile(at.kl, 90),
        kl_max=at.kl.max().item(),
        same_top=share,
        same_top_error=(share * (1 - share) / len(z)) ** 0.5,
        same_top_low=low,
        same_top_high=high,
        token_probability_rms=at.probability_change.square().mean().sqrt().item(),
        invalid_positions=int((~at.valid).sum()),
        kl=at.kl,
        max_abs_by_position=at.max_abs,
        same=at.same,
    )


def likeliest(logits: Tensor, count: int) -> Iterator[tuple[list[int], list[float]]]:
    """The most likely tokens of each position of `logits` (T, V), with their probabilities.

    Of those that are equally likely the first in the vocabulary comes first, as in greedy decoding.

    >>> list(likeliest(torch.tensor([[0.0, 1.0, 1.0]]).log(), 2))
    [([1, 2], [0.5, 0.5])]
    """
    for part in logits.split(_TOGETHER):  # of all together, shares would be as large as they are
        shares = part.float().softmax(1)
        found = part.float().topk(min(count, part.shape[1]), dim=1)
        for position, values, tokens in zip(shares, *map(Tensor.tolist, found), strict=True):
            ordered = [token for _, token in sorted(zip(map(neg, values), tokens, strict=True))]
            yield ordered, position[ordered].tolist()


class _ByPosition(NamedTuple):
    """One value a position, (T,)."""

    mean_abs: Tensor
    max_abs: Tensor
    mean_abs_centred: Tensor
    max_abs_centred: Tensor
    kl: Tensor
    probability_change: Tensor
    valid: Tensor
    same: Tensor


def _by_position(z_ref: Tensor, z: Tensor, tokens: Tensor) -> _ByPosition:
    """Some positions at a time: of all together, fp64 would take nine times the logits' memory."""
    z_ref, z = z_ref.double(), z.double()
    difference = z - z_ref
    sizes = difference.abs()
    centred = (difference - difference.mean(1, keepdim=True)).abs_()
    log_ref, log_p = z_ref.log_softmax(1), z.log_softmax(1)
    p_ref = log_ref.exp()
    valid = torch.isfinite(z).all(1)
    chosen = tokens[:, None]
    return _ByPosition(
        mean_abs=sizes.mean(1),
        max_abs=sizes.amax(1),
        mean_abs_centred=centred.mean(1),
        max_abs_centred=centred.amax(1),
        kl=log_ref.sub_(log_p).mul_(p_ref).sum(1).clamp_(min=0),  # rounding can dip below 0
        probability_change=(log_p.gather(1, chosen).exp() - p_ref.gather(1, chosen))[:, 0],
        valid=valid,
        same=(_are_top(z) & _are_top(z_ref)).any(1) & valid,
    )


def _are_top(z: Tensor) -> Tensor:
    """Which tokens are the most likely ones of their position; none where one is NaN."""
    return z == z.amax(1, keepdim=True)


def _percentile(values: Tensor, percent: int) -> float:
    """By nearest rank: one of the values, so an infinite one is an infinity."""
    rank = -(-percent * len(values) // 100)  # exact, and rounded up
    return values.sort().values[rank - 1].item()


def _flat(reference: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    if reference.shape != other.shape:
        raise ValueError(
            say(
                "shapes differ: {reference} and {other}",
                reference=tuple(reference.shape),
                other=tuple(other.shape),
            )
        )
    if reference.ndim < 2 or reference.numel() == 0:
        raise ValueError(
            say("expected logits (positions, tokens), got {shape}", shape=tuple(reference.shape))
        )
    n_tokens = reference.shape[-1]
    z_ref, z = (x.detach().reshape(-1, n_tokens) for x in (reference, other))
    if not all(bool(torch.isfinite(part).all()) for part in z_ref.split(_TOGETHER)):
        raise ValueError(say("the reference's logits are not all finite"))
    return (z_ref.cpu(), z.cpu()) if z.is_mps else (z_ref, z)  # which has no fp64


def _of(ran: Ran) -> Found:
    theirs = torch.tensor(ran.beside.tokens, device=ran.logits.device)
    found = logit_difference(ran.beside.logits, ran.logits, theirs)
    plain = [field.name for field in fields(found) if field.type in ("float", "int")]
    return Found(
        {f"logit_{name}": finite(getattr(found, name)) for name in plain},
        {
            "kl_by_position": finite_list(found.kl),
            "max_abs_by_position": finite_list(found.max_abs_by_position),
            "same_top_by_position": finite_list(found.same.double()),
        },
    )


_CENTRED = (
    "Mean of |z − z_ref| after each position's mean difference is taken away, as softmax ignores a "
    "shift of all logits."
)

MEASURE = Measure(
    figures=(
        Figure(
            "logit_mean_abs", "mean |Δlogit|",
            "Mean of |z − z_ref| over positions and tokens: how far logits move, both fed fp32's "
            "answer.",
            better="low",
            heads=(("card", "mean |Δlogit|"), ("summary", "mean |Δlogit|"), ("logits", "mean |Δ|")),
        ),
        Figure(
            "logit_max_abs", "max |Δlogit|", "The largest |z − z_ref| of any position and token.",
            better="low",
            heads=(("card", "max |Δlogit|"), ("summary", "max |Δlogit|"), ("logits", "max |Δ|")),
        ),
        Figure(
            "logit_mean_abs_centred", "mean |Δlogit|, centred", _CENTRED, better="low",
            heads=(("logits", "mean, centred"),),
        ),
        Figure(
            "logit_max_abs_centred", "max |Δlogit|, centred",
            "The largest |z − z_ref| after each position's mean difference is taken away.",
            better="low",
            heads=(("logits", "max, centred"),),
        ),
        Figure(
            "logit_kl_mean", "KL from fp32",
            "How far probabilities are from fp32's: KL(P_ref ‖ P) a position, in nats, the mean; "
            "0 where they are equal.",
            unit="nats", better="low",
            heads=(
                ("row", "KL"), ("card", "KL from fp32"), ("summary", "KL"), ("logits", "KL mean"),
            ),
        ),
        Figure(
            "logit_kl_p90", "KL, 90%",
            "The 90th percentile of KL over positions, in nats, by nearest rank: one that occurs.",
            better="low", heads=(("logits", "90%"),),
        ),
        Figure("logit_kl_max", "KL, max", "The largest KL of any position, in nats.",
               better="low", heads=(("logits", "max"),)),
        Figure(
            "logit_same_top", "same top token",
            "Share of positions whose likeliest token is fp32's, with Wilson's 95% interval, as if "
            "positions were independent.",
            better="high", form="share", low="logit_same_top_low", high="logit_same_top_high",
            heads=(
                ("row", "same top"), ("card", "same top token"),
                ("summary", "same top token"), ("logits", "same top token"),
            ),
        ),
        Figure("logit_same_top_error", "same top token, standard error",
               "Standard error of the share of positions whose likeliest token is fp32's, as if "
               "positions were independent.", better="low"),
        Figure("logit_same_top_low", "same top token, low", "The lower end of its interval."),
        Figure("logit_same_top_high", "same top token, high", "The upper end of its interval."),
        Figure(
            "logit_token_probability_rms", "Δp, RMS",
            "RMS change of the probability of fp32's token.", better="low",
        ),
        Figure(
            "logit_invalid_positions", "not finite",
            "Positions at which the format's logits are not all finite.", better="low",
            form="count",
        ),
    ),
    of=_of,
)  # fmt: skip
