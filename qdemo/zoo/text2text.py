"""The T5 family: text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, T5Config

from qdemo.zoo.decoding import Inputs

LONGEST = 512  # tokens; T5 was trained on no more


class Text2Text:
    """Any T5: gated or not, tied or not."""

    def __init__(self, config: T5Config, tokenizer: PreTrainedTokenizerBase) -> None:
        """Read the special tokens from the configuration."""
        self._tokenizer = tokenizer
        self.start: int = config.decoder_start_token_id
        self.end: int = config.eos_token_id
        self.longest = LONGEST

    def encode(self, given: Any) -> Inputs:
        """The tokens of a prompt, (1, T), and their mask.

        Raises:
            ValueError: no text, an empty one, or one that is too long.
        """
        if not isinstance(given, str):
            raise ValueError(f"expected a prompt as text, got {type(given).__name__}")
        if not given.strip():
            raise ValueError("the prompt is empty; type something")
        encoded = self._tokenizer(given, return_tensors="pt")
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
        found: list[str] = self._tokenizer.convert_ids_to_tokens(list(tokens))
        return found
