"""Language models: a text, or a message, that is gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from qdemo.models.families.base import (
    Architecture,
    Batch,
    Family,
    Prompt,
    State,
    padded,
    row,
)
from qdemo.models.families.text2text import PROMPT
from qdemo.spec.decoding import READ_AS, ReadAs
from qdemo.spec.given import Field
from qdemo.spec.messages import say
from qdemo.spec.setting import InputToken

if TYPE_CHECKING:
    from torch import Tensor, nn

LONGEST = 1024
"""Tokens of a prompt and its answer together: more than a page's prompts come to."""


_PROMPT = replace(
    PROMPT,
    examples=(
        "What is the capital of France?",
        "Why is the sky blue? Answer in two sentences.",
        "Tell me a story about a fox who is afraid of the dark.",
        "Name five animals that live in the sea.",
        "How do I boil an egg?",
        "What is 12 + 30?",
    ),
    examples_as={
        "text": (
            "Once upon a time, there was a little fox who",
            "The capital of France is",
            "Monday, Tuesday, Wednesday,",
            "To boil an egg, first",
            "def is_even(number):\n    return",
            "1, 2, 3, 4, 5,",
        ),
        "score": (
            "Water falls from the clouds as rain. It runs down the hills into streams, and the "
            "streams run into rivers. The rivers carry it to the sea, where the sun warms it, and "
            "it rises into the air again.",
            "Paris is the capital of France. Rome is the capital of Italy. Madrid is the capital "
            "of Spain.",
            "Paris is the capital of Italy. Rome is the capital of Spain. Madrid is the capital of "
            "France.",
            "The quick brown fox jumps over the lazy dog.",
            "Dog lazy the over jumps fox brown quick the.",
        ),
    },
)


class Causal(Family):
    """Any language model that transformers knows without code of its own."""

    task: ClassVar[str] = "causal"
    label: ClassVar[str] = "language model"
    fields: ClassVar[tuple[Field, ...]] = (_PROMPT,)
    reads: ClassVar[tuple[ReadAs, ...]] = READ_AS
    model_types: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: Any, words: Any) -> None:
        """Read the end tokens and the longest text from the configuration; `words` is a tokenizer.

        Raises:
            ValueError: nothing says where an answer ends.
        """
        self.tokenizer = words
        ends = {*_as_ids(getattr(config, "eos_token_id", None)), *_as_ids(words.eos_token_id)}
        if not ends:
            raise ValueError(say("neither its config.json nor its tokenizer names an end token"))
        self._ends = frozenset(ends)
        self._longest = min(LONGEST, getattr(config, "max_position_embeddings", None) or LONGEST)

    @classmethod
    def takes(cls, model_type: str) -> bool:
        """Whether transformers has a causal model of that type."""
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

        return model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    @staticmethod
    def architecture(model_type: str) -> Architecture:
        """The classes for models of that type; imports transformers."""
        from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, AutoTokenizer

        return Architecture(MODEL_FOR_CAUSAL_LM_MAPPING[CONFIG_MAPPING[model_type]], AutoTokenizer)

    def encode(self, given: object, read_as: ReadAs = "chat") -> Prompt:
        """The tokens of a prompt: in the chat template where there is one, or as they are.

        Raises:
            ValueError: no text, an empty one, or one that leaves no room for an answer.
        """
        if not isinstance(given, str):
            raise ValueError(
                say("expected a prompt as text, got {name}", name=type(given).__name__)
            )
        if not given.strip():
            raise ValueError(say("the prompt is empty; type something"))
        tokens = self._tokens(given, read_as)
        if len(tokens) >= self._longest:
            raise ValueError(
                say(
                    "the prompt has {count} tokens; at most {longest} are read",
                    count=len(tokens),
                    longest=self._longest - 1,
                )
            )
        is_scored = read_as == "score"
        prefix, forced = (tokens[:1], tokens[1:]) if is_scored else (tokens, [])
        if is_scored and not forced:
            raise ValueError(say("one token alone can't be scored; type more"))
        return Prompt(
            inputs={},
            prefix=tuple(prefix),
            ends=self._ends,
            longest=self._longest - len(prefix),
            read=tuple(InputToken(piece) for piece in self.pieces(tokens)),
            shown=given,
            forced=tuple(forced),
            may_repeat=False,
        )

    def _tokens(self, given: str, read_as: ReadAs) -> list[int]:
        if read_as == "chat" and self.tokenizer.chat_template:
            found = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": given}], add_generation_prompt=True, return_dict=True,
                enable_thinking=False,
            )  # fmt: skip
        else:
            found = self.tokenizer(given)
        tokens: list[int] = found["input_ids"]
        return tokens

    def prefill(
        self, model: nn.Module, prompt: Prompt, forced: Sequence[int] = ()
    ) -> tuple[Tensor, State]:
        """The model reads the prompt and what is forced; logits from the prompt's last token on."""
        tokens = row(model, (*prompt.prefix, *forced))
        return self._read(model, tokens, None, 1 + len(forced))

    def step(self, model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Logits (T, V) after each of the `tokens` (1, T), and the state to go on from."""
        return self._read(model, tokens, state.past, tokens.shape[1])

    def _read(self, model: nn.Module, tokens: Tensor, past: Any, kept: int) -> tuple[Tensor, State]:
        out = model(input_ids=tokens, past_key_values=past, use_cache=True, logits_to_keep=kept)
        return out.logits[0], State({}, out.past_key_values)

    def calibration_batch(self, pairs: Sequence[tuple[object, str]]) -> Batch:
        """Prompts with their answers behind them; one mask (B, S).

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


def _as_ids(found: Any) -> list[int]:
    return [] if found is None else [found] if isinstance(found, int) else list(found)
