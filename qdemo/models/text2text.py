"""The T5 family: text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, T5Config

from qdemo.results import InputToken
from qdemo.models.decoding import Inputs, pieces, special_token

LONGEST = 512  # tokens; T5 was trained on no more


class Text2Text:
    """Any T5: gated or not, tied or not."""

    def __init__(self, config: T5Config, tokenizer: PreTrainedTokenizerBase) -> None:
        """Read the special tokens from the configuration.

        Raises:
            ValueError: it does not name them.
        """
        self._tokenizer = tokenizer
        self.start = special_token(config, "decoder_start_token_id")
        self.end = special_token(config, "eos_token_id")
        self.longest = LONGEST

    def encode(self, given: Any) -> Inputs:
        """The tokens of a prompt, (1, T), and their mask.

        Raises:
            ValueError: no text, an empty one, or one that is too long.
        """
        if not isinstance(given, str):
            raise ValueError(f"expected a prompt as text, got {type(given).__name__}")
        encoded = self._tokenizer(given, return_tensors="pt")
        if set(encoded["input_ids"][0].tolist()) <= set(self._tokenizer.all_special_ids) - {
            self._tokenizer.unk_token_id
        }:
            raise ValueError("the prompt is empty; type something")
        n_tokens = encoded["input_ids"].shape[1]
        if n_tokens > LONGEST:
            raise ValueError(f"the prompt has {n_tokens} tokens; at most {LONGEST} are read")
        return {key: encoded[key] for key in ("input_ids", "attention_mask")}

    def begin(self, model: nn.Module, inputs: Inputs) -> Inputs:
        """The encoder's output and the mask of its positions."""
        encoder: Any = model.encoder
        return {
            "hidden": encoder(**inputs).last_hidden_state,
            "attention_mask": inputs["attention_mask"],
        }

    def step(
        self, model: nn.Module, memory: Inputs, tokens: Tensor, past: Any
    ) -> tuple[Tensor, Any]:
        """Logits (T, V) after each of the `tokens` (1, T), and the cache to go on from."""
        out = model(
            decoder_input_ids=tokens,
            encoder_outputs=(memory["hidden"],),
            attention_mask=memory["attention_mask"],
            past_key_values=past,
            use_cache=True,
        )
        return out.logits[0], out.past_key_values

    def decode(self, tokens: Sequence[int]) -> str:
        """The tokens as text."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Each token as it is written in the vocabulary."""
        return pieces(self._tokenizer, tokens)

    def read(self, given: Any) -> tuple[InputToken, ...]:
        """A prompt token by token."""
        encoded = self._tokenizer(given, return_offsets_mapping=True)
        spans = encoded["offset_mapping"]
        found = []
        for token, piece, (start, end) in zip(
            encoded["input_ids"], self.pieces(encoded["input_ids"]), spans, strict=True
        ):
            # A blank alone comes with the place of what follows it.
            text = "" if piece == "▁" else given[start:end]
            found.append(InputToken(piece, text or None, self._kind(token)))
        return tuple(found)

    def _kind(self, token: int) -> Literal["", "unknown", "special"]:
        if token == self._tokenizer.unk_token_id:
            return "unknown"
        return "special" if token in self._tokenizer.all_special_ids else ""
