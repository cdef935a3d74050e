"""What a language model holds of the text that it goes on with, beside its weights: keys and values
of each token, which grow with the text, or a state of one size."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qdemo.spec.messages import say
from qdemo.spec.variant import Variant

BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}
"""Bytes a number, by what a model computes in: a cache in fewer bits (`Variant.kv`) will differ."""

USUAL = 4096
"""Tokens of context that are told of, where a model takes as many."""

SHORTEST = 1024
"""The fewest that one can choose; each further choice is twice as many."""

UNBOUND = 32_768
"""As far as choices go where a model names no longest text."""


@dataclass(frozen=True)
class Layers:
    """Layers alike, `count` of them. Each holds so many `numbers` a token, keys and values
    together: of all tokens, or of the last `most`. A state-space layer holds `fixed` numbers
    however long the text is, and `wide` ones that stay fp32."""

    count: int
    numbers: int = 0
    most: int | None = None
    fixed: int = 0
    wide: int = 0

    def nbytes(self, tokens: int, each: int) -> int:
        """Bytes after so many tokens, where a number takes `each` bytes."""
        held = tokens if self.most is None else min(tokens, self.most)
        return self.count * ((self.numbers * held + self.fixed) * each + self.wide * BYTES["fp32"])


@dataclass(frozen=True)
class Cache:
    """The cache of a model that reads at most `longest` tokens (None: it names no bound), after
    `context` of them.

    >>> smollm2 = Cache((Layers(30, numbers=2 * 3 * 64),), longest=2048, context=1)
    >>> smollm2.nbytes(Variant()), smollm2.nbytes(Variant.parse("int4@bf16"))
    (46080, 23040)
    """

    layers: tuple[Layers, ...]
    longest: int | None
    context: int

    @classmethod
    def of(cls, layers: tuple[Layers, ...], longest: int | None) -> Cache:
        """The same after the usual number of tokens, or as many as the model takes."""
        return cls(layers, longest, min(USUAL, longest or USUAL))

    def __post_init__(self) -> None:
        """Check that it can be.

        Raises:
            ValueError: says what can't.
        """
        numbers = [n for one in self.layers for n in vars(one).values() if n is not None]
        if min(numbers, default=0) < 0 or (self.longest is not None and self.longest < 1):
            raise ValueError(say("a cache of less than nothing"))
        if not 1 <= self.context <= (self.longest or self.context):
            most = say("{count:,}", count=self.longest) if self.longest else say("any number")
            raise ValueError(
                say(
                    "{found:,} tokens of context; the model takes 1 to {most}",
                    found=self.context,
                    most=most,
                )
            )

    def at(self, tokens: int) -> Cache:
        """The same after another number of tokens.

        Raises:
            ValueError: the model does not take as many.
        """
        return replace(self, context=tokens)

    def nbytes(self, variant: Variant) -> int:
        """Bytes that it holds, in the format that a variant computes in."""
        each = BYTES[variant.compute]
        return sum(one.nbytes(self.context, each) for one in self.layers)

    @property
    def contexts(self) -> tuple[int, ...]:
        """Numbers of tokens to choose from, up to the longest.

        >>> Cache((), 5000, 1).contexts, Cache((), 256, 1).contexts
        ((1024, 2048, 4096, 5000), (256,))
        """
        last = self.longest or UNBOUND
        found = []
        tokens = SHORTEST
        while tokens < last:
            found.append(tokens)
            tokens *= 2
        return (*found, last)
