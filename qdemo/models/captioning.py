"""The BLIP family: a picture in, a caption out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor, nn
from transformers import BlipConfig, BlipProcessor

from qdemo.results import InputToken
from qdemo.models.decoding import Inputs, pieces, special_token
from qdemo.models.pictures import Picture


class Captioning:
    """Any BLIP that captions."""

    def __init__(self, config: BlipConfig, processor: BlipProcessor) -> None:
        """Read the special tokens from the configuration.

        Raises:
            ValueError: it does not name them.
        """
        self._processor = processor
        self.start = special_token(config.text_config, "bos_token_id")
        self.end = special_token(config.text_config, "sep_token_id")
        self.longest: int = config.text_config.max_position_embeddings

    def encode(self, given: Any) -> Inputs:
        """The pixels of a picture, (1, 3, H, W), as the model wants them.

        Raises:
            ValueError: no picture.
        """
        picture = given.image if isinstance(given, Picture) else given
        if not isinstance(picture, Image.Image):
            raise ValueError(f"expected a picture, got {type(given).__name__}")
        pixels = self._processor(images=picture.convert("RGB"), return_tensors="pt")
        return {"pixel_values": pixels["pixel_values"]}

    def begin(self, model: nn.Module, inputs: Inputs) -> Inputs:
        """The vision model's output."""
        vision: Any = model.vision_model
        dtype = vision.embeddings.patch_embedding.weight.dtype
        return {"hidden": vision(pixel_values=inputs["pixel_values"].to(dtype)).last_hidden_state}

    def step(
        self, model: nn.Module, memory: Inputs, tokens: Tensor, past: Any
    ) -> tuple[Tensor, Any]:
        """Logits (T, V) after each of the `tokens` (1, T), and the cache to go on from."""
        decoder: Any = model.text_decoder
        out = decoder(
            input_ids=tokens,
            encoder_hidden_states=memory["hidden"],
            past_key_values=past,
            use_cache=True,
            is_decoder=True,
        )
        return out.logits[0], out.past_key_values

    def decode(self, tokens: Sequence[int]) -> str:
        """The tokens as text."""
        text: str = self._processor.decode(list(tokens), skip_special_tokens=True)
        return text

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Each token as it is written in the vocabulary."""
        return pieces(self._processor.tokenizer, tokens)

    def read(self, given: Any) -> tuple[InputToken, ...]:
        """A picture has no tokens."""
        return ()
