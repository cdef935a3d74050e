"""Greedy decoding, token by token, and scoring: the same for every kind of model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from qdemo.results import InputToken

Inputs = dict[str, Tensor]
"""What a model is given, one item: batches of one."""


class Adapter(Protocol):
    """What there is to know of a kind of model. Adapters know nothing of number formats.

    `start` and `end` are the tokens that an output starts from and ends with; it has at most
    `longest` tokens.
    """

    start: int
    end: int
    longest: int

    def encode(self, given: Any) -> Inputs:
        """Tensors of what a person gave.

        Raises:
            ValueError: it is nothing that the model can take; says what is wrong.
        """

    def begin(self, model: nn.Module, inputs: Inputs) -> Inputs:
        """What decoding needs of the inputs, computed once."""

    def step(
        self, model: nn.Module, memory: Inputs, tokens: Tensor, past: Any
    ) -> tuple[Tensor, Any]:
        """Logits (T, V) after each of the `tokens` (1, T), and the cache to go on from."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The tokens as text, special ones left out."""

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Each token as it is written in the vocabulary."""

    def read(self, given: Any) -> tuple[InputToken, ...]:
        """What a person gave, token by token, as the model reads it; a picture has no tokens."""


def pieces(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> list[str]:
    """Each token as it is written in the vocabulary; a model may have more tokens than that."""
    found = tokenizer.convert_ids_to_tokens(list(tokens))
    return [
        f"id {token} (unused)" if piece is None else str(piece)
        for token, piece in zip(tokens, found, strict=True)
    ]


def special_token(config: PreTrainedConfig, key: str) -> int:
    """A token that the configuration names.

    Raises:
        ValueError: it names none, or no single one.
    """
    found = getattr(config, key, None)
    if not isinstance(found, int):
        raise ValueError(f"its config.json has {found!r:.40} as {key}, expected a token's number")
    return found


@torch.inference_mode()
def generate(adapter: Adapter, model: nn.Module, inputs: Inputs, max_tokens: int) -> Iterator[int]:
    """The most likely token after each other, up to the end token (which is yielded too).

    It ends after `max_tokens`, or where the model has no room for more.

    Raises:
        ArithmeticError: the logits are not finite, as after an overflow of fp16.
    """
    memory = adapter.begin(model, inputs)
    token, past = adapter.start, None
    for _ in range(min(max_tokens, adapter.longest)):
        logits, past = adapter.step(model, memory, _row([token]), past)
        token = _most_likely(logits[-1])
        yield token
        if token == adapter.end:
            return


@torch.inference_mode()
def score(adapter: Adapter, model: nn.Module, inputs: Inputs, tokens: Sequence[int]) -> Tensor:
    """Logits (T, V) from which each of the T `tokens` would be chosen, all of them given.

    Raises:
        ValueError: there are no tokens.
    """
    if not tokens:
        raise ValueError("there are no tokens to score")
    shifted = _row([adapter.start, *tokens[:-1]])
    return adapter.step(model, adapter.begin(model, inputs), shifted, None)[0]


def _row(tokens: list[int]) -> Tensor:
    return torch.tensor([tokens])


def _most_likely(logits: Tensor) -> int:
    if not torch.isfinite(logits).all():
        raise ArithmeticError(
            "the logits are not finite: a number was too large for the format, or a weight is NaN"
        )
    return int(logits.argmax())
