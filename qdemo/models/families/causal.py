"""Language models: a text, or a message, that is gone on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from qdemo.models.cached import cache_of
from qdemo.models.families.base import (
    Architecture,
    Batch,
    Family,
    Prompt,
    State,
    device_of,
    padded,
    row,
)
from qdemo.models.families.causal_types import USUAL, causal_types, class_of
from qdemo.models.families.chat import as_message, end_of_turn, special_tokens
from qdemo.models.families.pieces import Spelling
from qdemo.models.families.written import WRITTEN
from qdemo.spec.decoding import READ_AS, ReadAs
from qdemo.spec.given import Field
from qdemo.spec.messages import say
from qdemo.spec.setting import InputToken

if TYPE_CHECKING:
    from torch import Tensor, nn

LONGEST = 1024
"""Tokens of a prompt and its answer together: more than a page's prompts come to."""

MOST_LOGITS = 2**25
"""Logits that are kept of a text that is scored, which is 134 MB in fp32: as many as of an answer
of 128 tokens in a vocabulary of 262,144."""

_POSITIONS = ("max_position_embeddings", "max_seq_len", "n_positions", "seq_length")
"""What configurations call the longest text."""

_CACHES = ("past_key_values", "cache_params", "state")
"""What models call the cache that they take and return."""


class Causal(Family):
    """Any language model that transformers knows without code of its own."""

    task: ClassVar[str] = "causal"
    label: ClassVar[str] = "language model"
    fields: ClassVar[tuple[Field, ...]] = (WRITTEN,)
    reads: ClassVar[tuple[ReadAs, ...]] = READ_AS
    model_types: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: Any, words: Any, generation: Any = None) -> None:
        """Read the end tokens and the longest text; `words` is a tokenizer.

        An answer ends at any token that the configuration, that of generation or the tokenizer
        names as the end, or that the chat template puts behind an answer.

        Raises:
            ValueError: nothing says where an answer ends.
        """
        self.tokenizer = words
        named = (config, generation, words)
        self._ends = frozenset(
            end for one in named for end in _as_ids(getattr(one, "eos_token_id", None))
        ) | frozenset(_as_ids(end_of_turn(words)))
        if not self._ends:
            raise ValueError(say("neither its config.json nor its tokenizer names an end token"))
        found = (getattr(config, name, None) for name in _POSITIONS)
        positions = next((each for each in found if isinstance(each, int) and each > 0), LONGEST)
        self._longest = min(LONGEST, positions)
        vocabulary = getattr(config, "vocab_size", None) or len(words)
        self._vocabulary = vocabulary
        self._longest_scored = min(self._longest, MOST_LOGITS // vocabulary)
        self._special = special_tokens(words)
        self._spelling = Spelling(words)
        self.cache = cache_of(config)

    @classmethod
    def takes(cls, model_type: str) -> bool:
        """Whether transformers has a language model of that type, which reads text and nothing
        else, from left to right, and on its own."""
        return model_type in causal_types()

    @classmethod
    def prepare(cls) -> None:
        """Import the classes of the usual types."""
        for model_type in USUAL:
            cls.architecture(model_type)

    @staticmethod
    def architecture(model_type: str) -> Architecture:
        """The classes for models of that type; imports transformers."""
        model = class_of(model_type)
        from transformers import AutoTokenizer

        return Architecture(model, AutoTokenizer)

    def encode(self, given: object, read_as: ReadAs = "chat") -> Prompt:
        """The tokens of a prompt: in the chat template where there is one, or as they are.

        Of a text that is scored the first token is given, which is the beginning of every text
        where the tokenizer has one, and the others are forced.

        Raises:
            ValueError: no text, an empty one, or one that leaves no room for an answer.
        """
        if not isinstance(given, str):
            raise ValueError(
                say("expected a prompt as text, got {name}", name=type(given).__name__)
            )
        read = self._read(given, read_as) if given.strip() else ()
        if not read:
            raise ValueError(say("the prompt is empty; type something"))
        tokens = tuple(token for token, _ in read)
        self._check_known(read)
        is_scored = read_as == "score"
        self._check_fits(len(tokens), is_scored)
        prefix = tokens[:1] if is_scored else tokens
        return Prompt(
            inputs={},
            prefix=prefix,
            ends=self._ends,
            longest=self._longest - len(prefix),
            read=tuple(token for _, token in read),
            shown=given,
            forced=tokens[len(prefix) :],
            may_repeat=False,
        )

    def _check_known(self, read: Sequence[tuple[int, InputToken]]) -> None:
        """Whether the model has a row for each token: words that were added may have none."""
        lacking = next((one for token, one in read if token >= self._vocabulary), None)
        if lacking is not None:
            raise ValueError(
                say("the model does not know {piece!r:.40}, which its tokenizer has",
                    piece=lacking.piece)
            )  # fmt: skip

    def _check_fits(self, count: int, is_scored: bool) -> None:
        if is_scored and count == 1:
            raise ValueError(say("one token alone can't be scored; type more"))
        if is_scored and count > self._longest_scored:
            raise ValueError(
                say(
                    "the text has {count} tokens; at most {longest} are scored",
                    count=count,
                    longest=self._longest_scored,
                )
            )
        if not is_scored and count >= self._longest:
            raise ValueError(
                say(
                    "the prompt has {count} tokens; at most {longest} are read, as the answer "
                    "comes behind them",
                    count=count,
                    longest=self._longest - 1,
                )
            )

    def _read(self, given: str, read_as: ReadAs) -> list[tuple[int, InputToken]]:
        """The tokens of a prompt, as numbers and as people see them."""
        in_template = read_as == "chat" and bool(self.tokenizer.chat_template)
        text = as_message(self.tokenizer, given) if in_template else given
        is_fast = self.tokenizer.is_fast
        # A template has its own beginning, and would come to a second one.
        found = self.tokenizer(
            text, add_special_tokens=not in_template, return_offsets_mapping=is_fast
        )
        tokens = found["input_ids"]
        spans = found["offset_mapping"] if is_fast else [(0, 0)] * len(tokens)
        return [
            (token, InputToken(piece, text[start:end] or None, self._kind(token)))
            for token, piece, (start, end) in zip(tokens, self.pieces(tokens), spans, strict=True)
        ]

    def _kind(self, token: int) -> Literal["", "unknown", "special"]:
        if token in self._special:
            return "special"
        return "unknown" if token == self.tokenizer.unk_token_id else ""

    def pieces(self, tokens: Sequence[int], before: Sequence[int] = ()) -> list[str]:
        """What each token adds to those before it; see `qdemo.models.families.pieces`."""
        return self._spelling.pieces(tokens, before)

    def alternatives(self, before: Sequence[int], tokens: Sequence[int]) -> list[str]:
        """What each token would add to those `before`."""
        return self._spelling.alternatives(before, tokens)

    def prefill(
        self, model: nn.Module, prompt: Prompt, forced: Sequence[int] = ()
    ) -> tuple[Tensor, State]:
        """The model reads the prompt and what is forced; logits from the prompt's last token on."""
        tokens = row(model, (*prompt.prefix, *forced))
        logits, state = _read_on(model, tokens, None, 1 + len(forced))
        return logits[0], state

    def step(self, model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Logits (T, V) after each of the `tokens` (1, T), and the state to go on from.

        They are read one after the other, as models with a recurrent state read several anew.
        """
        import torch

        rows = []
        for token in tokens.split(1, dim=1):
            logits, state = _read_on(model, token, state.past, 1)
            rows.append(logits[0])
        return (rows[0] if len(rows) == 1 else torch.cat(rows)), state

    def reads_together(self, model: nn.Module) -> bool:
        """Where it keeps keys and values alone, of which padding can be left out, and is told so: a
        recurrent state, or a cache of a kind that is not known, would have read it."""
        return self.cache is not None and _is_told_of_padding(type(model).forward)

    def length(self, prompt: Prompt) -> int:
        """Tokens of the prompt."""
        return len(prompt.prefix)

    def prefill_together(
        self, model: nn.Module, prompts: Sequence[Prompt], forced: Sequence[Sequence[int]]
    ) -> tuple[Sequence[Tensor], State]:
        """Prompts and what is forced behind them, padded on the left, so that all end together."""
        rows = [(*prompt.prefix, *own) for prompt, own in zip(prompts, forced, strict=True)]
        tokens, mask = padded(rows, on_left=True)
        device, kept = device_of(model), [1 + len(own) for own in forced]
        logits, state = _read_on(model, tokens.to(device), None, max(kept), mask.to(device).long())
        return [own[-count:] for own, count in zip(logits, kept, strict=True)], state

    def step_together(self, model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Logits (B, V) after one more token of each prompt, (B, 1); and the state after that."""
        import torch

        mask = torch.cat([state.memory["mask"], torch.ones_like(tokens)], 1)
        logits, state = _read_on(model, tokens, state.past, 1, mask)
        return logits[:, -1], state

    def calibration_batch(self, pairs: Sequence[tuple[object, str]]) -> Batch:
        """Prompts with their answers behind them, padded on the right, where nothing that is read
        from left to right sees it; one mask (B, S).

        Raises:
            ValueError: there are no pairs, or a prompt that can't be read.
        """
        rows = []
        for given, answer in pairs:
            own = self.tokenizer(answer, add_special_tokens=False)["input_ids"]
            rows.append([*self.encode(given).prefix, *own][: self._longest])
        tokens, mask = padded(rows)
        return Batch({"input_ids": tokens, "attention_mask": mask.long()}, (mask,))

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, S, V)."""
        logits: Tensor = model(**batch.inputs, use_cache=False).logits
        return logits


def _read_on(
    model: nn.Module, tokens: Tensor, past: Any, kept: int, mask: Tensor | None = None
) -> tuple[Tensor, State]:
    """Logits (B, kept, V) after the last of the `tokens` (B, T), read after `past`. The `mask` is
    of both, 0 on padding, which takes no positions; one prompt alone has none."""
    cache, may_leave_out = _takes(type(model).forward)
    more: dict[str, Any] = {"logits_to_keep": kept} if may_leave_out else {}
    if mask is not None:
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        more |= {"attention_mask": mask, "position_ids": positions}
    out = model(input_ids=tokens, use_cache=True, **{cache: past}, **more)
    memory = {} if mask is None else {"mask": mask}
    return out.logits[:, -kept:], State(memory, getattr(out, cache))


@cache
def _takes(forward: Callable[..., Any]) -> tuple[str, bool]:
    """What a class of models calls its cache, and whether it can leave logits out."""
    names = signature(forward).parameters
    return next(name for name in _CACHES if name in names), "logits_to_keep" in names


@cache
def _is_told_of_padding(forward: Callable[..., Any]) -> bool:
    """Whether a class of models takes what is needed to leave padding on the left out."""
    names = signature(forward).parameters
    return {"attention_mask", "position_ids", _CACHES[0]} <= names.keys()


def _as_ids(found: Any) -> list[int]:
    each = found if isinstance(found, list | tuple) else [found]
    return [one for one in each if isinstance(one, int)]
