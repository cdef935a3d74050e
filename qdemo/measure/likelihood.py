"""How likely a given text is to a variant: loss and perplexity, beside the reference's.

Logits (T, V) stand before the T tokens of the text: loss is −log p of each token, in nats, and
perplexity exp of its mean. What the first token would cost nobody knows, as nothing stands before
it. Computed in fp64, some positions at a time: V may be 150,000, and a copy of all logits 1 GB.
"""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from qdemo.measure.measure import Found, Measure, Ran, finite, finite_list
from qdemo.spec.figure import Figure
from qdemo.spec.messages import say

_TOGETHER = 16  # positions


def losses(logits: Tensor, tokens: Tensor) -> Tensor:
    """−log softmax(z)[token] at each position, (T,), in nats, of logits (T, V) and tokens (T,);
    NaN or infinite where the logits are not finite.

    >>> losses(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1])).exp()
    tensor([2., 2.], dtype=torch.float64)

    Raises:
        ValueError: there is no position, or not a token for each.
    """
    if logits.ndim != 2 or not len(logits) or tokens.shape != logits.shape[:1]:
        raise ValueError(
            say(
                "expected logits (positions, tokens) and a token a position, got {logits} and "
                "{tokens}",
                logits=tuple(logits.shape),
                tokens=tuple(tokens.shape),
            )
        )
    held = logits.cpu() if logits.is_mps else logits  # which has no fp64
    parts = zip(held.split(_TOGETHER), tokens.to(held.device).split(_TOGETHER), strict=True)
    return torch.cat([_losses(z.double(), token) for z, token in parts])


def _losses(z: Tensor, tokens: Tensor) -> Tensor:
    return z.logsumexp(1) - z.gather(1, tokens[:, None])[:, 0]


def perplexity(loss: Tensor) -> float:
    """exp of the mean loss; infinite where that is too large for a number.

    >>> perplexity(torch.tensor([0.5, 0.5]).double().log().neg()), perplexity(torch.tensor([1e6]))
    (2.0, inf)
    """
    return loss.double().mean().exp().item()


def standard_error(values: Tensor) -> float | None:
    """That of their mean, as if they were independent; None for one alone."""
    if len(values) < 2:
        return None
    return float(values.double().std() / len(values) ** 0.5)


def _of(ran: Ran) -> Found:
    loss = _known(ran)
    whole = perplexity(loss)
    alone = {
        "loss_mean": loss.mean().item(),
        "loss_error": standard_error(loss),
        "perplexity": whole,
        "perplexity_error": _times(whole, standard_error(loss)),
    }
    beside = {} if ran.reference is None else _beside(loss - _known(ran.reference))
    figures = {key: finite(value) for key, value in (alone | beside).items()}
    return Found(figures, {"loss_by_position": finite_list(loss)})


def _beside(change: Tensor) -> dict[str, float | None]:
    """The ratio of perplexities on the same tokens: exp of the mean change of the loss."""
    ratio = perplexity(change)
    return {
        "perplexity_ratio": ratio,
        "perplexity_ratio_error": _times(ratio, standard_error(change)),
    }


def _times(value: float, error: float | None) -> float | None:
    """The error of exp(x), to first order, is exp(x) times that of x."""
    return None if error is None or not math.isfinite(value) else value * error


def _known(ran: Ran) -> Tensor:
    """The losses, found once: each variant asks for the reference's."""
    if ran not in _LOSSES:
        _LOSSES[ran] = losses(ran.logits, torch.tensor(ran.tokens, device=ran.logits.device)).cpu()
    return _LOSSES[ran]


_LOSSES: WeakKeyDictionary[Ran, Tensor] = WeakKeyDictionary()

_AS_IF = "as if its tokens were independent, which they are not"

MEASURE = Measure(
    figures=(
        Figure(
            "loss_mean", "loss",
            "Mean of −log p over the tokens of a given text, in nats: how surprised a format is by "
            "each.",
            unit="nats", better="low", alone=True, heads=(("card", "loss"), ("logits", "loss")),
        ),
        Figure(
            "loss_error", "loss, standard error",
            f"Standard error of the mean loss, {_AS_IF}.",
            unit="nats", better="low", alone=True,
        ),
        Figure(
            "perplexity", "perplexity",
            "exp of the mean loss of a given text: as unsure of each token as of so many that are "
            "equally likely.",
            better="low", alone=True,
            heads=(
                ("scored", "perplexity"), ("card", "perplexity"), ("summary", "perplexity"),
                ("logits", "perplexity"),
            ),
        ),
        Figure(
            "perplexity_error", "perplexity, standard error",
            f"Standard error of a text's perplexity, {_AS_IF}.",
            better="low", alone=True,
        ),
        Figure(
            "perplexity_ratio", "beside fp32's",
            "A format's perplexity divided by fp32's on the same tokens.",
            better="low", digits=4,
            heads=(
                ("scored", "beside fp32's"), ("card", "beside fp32's"),
                ("summary", "beside fp32's"), ("logits", "beside fp32's"),
            ),
        ),
        Figure(
            "perplexity_ratio_error", "beside fp32's, standard error",
            f"Standard error of the ratio of perplexities, token against token, {_AS_IF}.",
            better="low",
        ),
    ),
    of=_of, alone=True, when="scored",
)  # fmt: skip
