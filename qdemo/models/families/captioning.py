"""The BLIP family: a picture in, a caption out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image

from qdemo.models.families.base import (
    Architecture,
    Batch,
    Family,
    Prompt,
    State,
    answering,
    device_of,
    padded,
    row,
    special_token,
)
from qdemo.models.pictures import Picture, gallery
from qdemo.spec.decoding import ReadAs
from qdemo.spec.given import Field
from qdemo.spec.messages import say

if TYPE_CHECKING:
    from torch import Tensor, nn


class Captioning(Family):
    """Any BLIP that captions."""

    task: ClassVar[str] = "captioning"
    label: ClassVar[str] = "picture to text"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("picture", "picture", "Picture", examples=tuple(gallery())),
    )
    model_types: ClassVar[tuple[str, ...]] = ("blip",)

    def __init__(self, config: Any, words: Any, generation: Any = None) -> None:
        """Read the special tokens from the configuration; `words` is a processor.

        Raises:
            ValueError: it does not name them.
        """
        self.tokenizer = words.tokenizer
        self._images = words.image_processor
        self._start = special_token(config.text_config, "bos_token_id")
        self._end = special_token(config.text_config, "sep_token_id")
        self._longest: int = config.text_config.max_position_embeddings
        vision = config.vision_config
        self._positions: int = (
            vision.image_size // vision.patch_size
        ) ** 2 + 1  # patches and [CLS]

    @staticmethod
    def architecture(model_type: str) -> Architecture:
        """The classes for models of that type; imports transformers."""
        from transformers import BlipForConditionalGeneration, BlipProcessor

        return Architecture(BlipForConditionalGeneration, BlipProcessor)

    def encode(self, given: object, read_as: ReadAs = "chat") -> Prompt:
        """The pixels of a picture, (1, 3, H, W), as the model wants them.

        Raises:
            ValueError: no picture.
        """
        if isinstance(given, Image.Image):
            given = Picture(given.convert("RGB"), "a picture")
        if not isinstance(given, Picture):
            raise ValueError(say("expected a picture, got {name}", name=type(given).__name__))
        pixels = self._images(images=given.image.convert("RGB"), return_tensors="pt")
        return Prompt(
            inputs={"pixel_values": pixels["pixel_values"]},
            prefix=(self._start,),
            ends=frozenset((self._end,)),
            longest=self._longest,
            read=(),
            shown=str(given),
        )

    def prefill(
        self, model: nn.Module, prompt: Prompt, forced: Sequence[int] = ()
    ) -> tuple[Tensor, State]:
        """The vision model looks; the decoder reads the start token and what is forced."""
        memory = {"hidden": _seen(model, prompt.inputs["pixel_values"])}
        return self.step(model, State(memory, None), row(model, (*prompt.prefix, *forced)))

    def step(self, model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Logits (T, V) after each of the `tokens` (1, T), and the state to go on from."""
        logits, state = _decoded(model, state, tokens)
        return logits[0], state

    def reads_together(self, model: nn.Module) -> bool:
        """Any of them."""
        return True

    def length(self, prompt: Prompt) -> int:
        """Patches of the picture, and [CLS]."""
        return self._positions

    def prefill_together(
        self, model: nn.Module, prompts: Sequence[Prompt], forced: Sequence[Sequence[int]]
    ) -> tuple[Sequence[Tensor], State]:
        """The vision model looks at all pictures; the decoder reads what is padded on the right."""
        import torch

        device = device_of(model)
        pixels = torch.cat([prompt.inputs["pixel_values"] for prompt in prompts]).to(device)
        tokens, own = answering(prompts, forced)
        memory = {"hidden": _seen(model, pixels)}
        logits, state = _decoded(model, State(memory, None), tokens.to(device))
        return logits[own.to(device)].split(own.sum(1).tolist()), state

    def step_together(self, model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Logits (B, V) after one more token of each prompt, (B, 1); and the state after that."""
        logits, state = _decoded(model, state, tokens)
        return logits[:, -1], state

    def calibration_batch(self, pairs: Sequence[tuple[object, str]]) -> Batch:
        """Pictures and captions; masks (B, S) of the vision model, where nothing is padding, then
        of the decoder.

        Raises:
            ValueError: there are no pairs, or something that is no picture.
        """
        import torch

        captions = [self._shifted(text) for _, text in pairs]
        tokens, mask = padded(captions, not_as=self._positions)
        pixels = torch.cat([self.encode(given).inputs["pixel_values"] for given, _ in pairs])
        seen = torch.ones(len(pairs), self._positions, dtype=torch.bool)
        inputs = {"pixel_values": pixels, "input_ids": tokens, "attention_mask": mask.long()}
        return Batch(inputs, (seen, mask))

    def _shifted(self, caption: str) -> list[int]:
        """The start token and the caption; one position is left, which padding may take."""
        tokens = self.tokenizer(caption, add_special_tokens=False)["input_ids"]
        return [self._start, *tokens][: self._longest - 1]

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, S, V) of the decoder."""
        decoder: Any = model.text_decoder
        logits: Tensor = decoder(
            input_ids=batch.inputs["input_ids"],
            attention_mask=batch.inputs["attention_mask"],
            encoder_hidden_states=_seen(model, batch.inputs["pixel_values"]),
            use_cache=False,
            is_decoder=True,
        ).logits
        return logits


def _decoded(model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
    """Logits (B, T, V) after each of the `tokens` (B, T), and the state to go on from."""
    decoder: Any = model.text_decoder
    out = decoder(
        input_ids=tokens,
        encoder_hidden_states=state.memory["hidden"],
        past_key_values=state.past,
        use_cache=True,
        position_ids=_positions(state, tokens),
        is_decoder=True,
    )
    return out.logits, State(state.memory, out.past_key_values)


def _positions(state: State, tokens: Tensor) -> Tensor | None:
    """The positions (1, T) of tokens whose cache counts on the GPU, where BLIP would have to wait
    to read it; None where BLIP knows."""
    import torch

    said = 0 if state.past is None else state.past.get_seq_length()
    if isinstance(said, int):
        return None
    positions: Tensor = torch.arange(tokens.shape[1], device=tokens.device) + said
    return positions[None]


def _seen(model: nn.Module, pixels: Tensor) -> Tensor:
    """The vision model's output (B, S, d), of pixels in the type that it computes in."""
    vision: Any = model.vision_model
    dtype = vision.embeddings.patch_embedding.weight.dtype
    hidden: Tensor = vision(pixel_values=pixels.to(dtype)).last_hidden_state
    return hidden
