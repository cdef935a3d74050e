"""The T5 family: text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

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
from qdemo.spec.decoding import ReadAs
from qdemo.spec.given import Field
from qdemo.spec.messages import say
from qdemo.spec.setting import InputToken

if TYPE_CHECKING:
    from torch import Tensor, nn

LONGEST = 512  # tokens; T5 was trained on no more

PROMPT = Field(
    "prompt", "text", "Prompt", placeholder="Ask something",
    examples=(
        "Sort these words: pig, onion, river, wolf",
        "Please say goodbye to Hugo.",
        "Translate to German: Tuesday",
        "Hello, my name is ",
        "What is 59 + 64?",
        "What is the capital of France?",
    ),
)  # fmt: skip


class Text2Text(Family):
    """Any T5: gated or not, tied or not."""

    task: ClassVar[str] = "text2text"
    label: ClassVar[str] = "text to text"
    fields: ClassVar[tuple[Field, ...]] = (PROMPT,)
    model_types: ClassVar[tuple[str, ...]] = ("t5",)

    def __init__(self, config: Any, words: Any, generation: Any = None) -> None:
        """Read the special tokens from the configuration; `words` is a tokenizer.

        Raises:
            ValueError: it does not name them.
        """
        self.tokenizer = words
        self._start = special_token(config, "decoder_start_token_id")
        self._end = special_token(config, "eos_token_id")

    @staticmethod
    def architecture(model_type: str) -> Architecture:
        """The classes for models of that type; imports transformers."""
        from transformers import AutoTokenizer, T5ForConditionalGeneration

        return Architecture(T5ForConditionalGeneration, AutoTokenizer)

    def encode(self, given: object, read_as: ReadAs = "chat") -> Prompt:
        """The tokens of a prompt, (1, T), and their mask.

        Raises:
            ValueError: no text, an empty one, or one that is too long.
        """
        if not isinstance(given, str):
            raise ValueError(
                say("expected a prompt as text, got {name}", name=type(given).__name__)
            )
        encoded = self.tokenizer(given, return_tensors="pt", return_offsets_mapping=True)
        tokens = encoded["input_ids"][0].tolist()
        if set(tokens) <= set(self.tokenizer.all_special_ids) - {self.tokenizer.unk_token_id}:
            raise ValueError(say("the prompt is empty; type something"))
        if len(tokens) > LONGEST:
            raise ValueError(
                say(
                    "the prompt has {count} tokens; at most {longest} are read",
                    count=len(tokens),
                    longest=LONGEST,
                )
            )
        return Prompt(
            inputs={key: encoded[key] for key in ("input_ids", "attention_mask")},
            prefix=(self._start,),
            ends=frozenset((self._end,)),
            longest=LONGEST,
            read=self._read(given, tokens, encoded["offset_mapping"][0].tolist()),
            shown=given,
        )

    def _read(
        self, given: str, tokens: list[int], spans: list[tuple[int, int]]
    ) -> tuple[InputToken, ...]:
        found = []
        for token, piece, (start, end) in zip(tokens, self.pieces(tokens), spans, strict=True):
            # A blank alone comes with the place of what follows it.
            text = "" if piece == "▁" else given[start:end]
            found.append(InputToken(piece, text or None, self._kind(token)))
        return tuple(found)

    def _kind(self, token: int) -> Literal["", "unknown", "special"]:
        if token == self.tokenizer.unk_token_id:
            return "unknown"
        return "special" if token in self.tokenizer.all_special_ids else ""

    def prefill(
        self, model: nn.Module, prompt: Prompt, forced: Sequence[int] = ()
    ) -> tuple[Tensor, State]:
        """The encoder reads the prompt; the decoder the start token and what is forced."""
        encoder: Any = model.encoder
        memory = {"hidden": encoder(**prompt.inputs).last_hidden_state}
        return self.step(model, State(memory, None), row(model, (*prompt.prefix, *forced)))

    def step(self, model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Logits (T, V) after each of the `tokens` (1, T), and the state to go on from."""
        hidden, state = _decoded(model, state, tokens)
        return _logits(model, hidden)[0], state

    def reads_together(self, model: nn.Module) -> bool:
        """Any of them."""
        return True

    def length(self, prompt: Prompt) -> int:
        """Tokens that the encoder reads."""
        return prompt.inputs["input_ids"].shape[1]

    def prefill_together(
        self, model: nn.Module, prompts: Sequence[Prompt], forced: Sequence[Sequence[int]]
    ) -> tuple[Sequence[Tensor], State]:
        """Encoder and decoder read all of them, padded on the right; the head reads no padding."""
        encoder, device = model.encoder, device_of(model)  # type: Any, Any
        read, mask = padded([prompt.inputs["input_ids"][0].tolist() for prompt in prompts])
        memory = {"mask": mask.to(device, dtype=read.dtype)}
        out = encoder(input_ids=read.to(device), attention_mask=memory["mask"])
        memory["hidden"] = out.last_hidden_state
        tokens, own = answering(prompts, forced)
        hidden, state = _decoded(model, State(memory, None), tokens.to(device))
        logits = _logits(model, hidden[own.to(device)])
        return logits.split(own.sum(1).tolist()), state

    def step_together(self, model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Logits (B, V) after one more token of each prompt, (B, 1); and the state after that."""
        hidden, state = _decoded(model, state, tokens)
        return _logits(model, hidden[:, -1]), state

    def calibration_batch(self, pairs: Sequence[tuple[object, str]]) -> Batch:
        """Prompts and answers; masks (B, S) of the encoder, then of the decoder.

        Raises:
            ValueError: there are no pairs, or a prompt that can't be read.
        """
        prompts = [self.encode(given).inputs["input_ids"][0].tolist() for given, _ in pairs]
        tokens, mask = padded(prompts)
        answers = [self.tokenizer(text)["input_ids"] for _, text in pairs]
        shifted = [[self._start, *answer[:-1]][:LONGEST] for answer in answers]
        forced, forced_mask = padded(shifted, not_as=mask.shape[1])
        inputs = {
            "input_ids": tokens,
            "attention_mask": mask.long(),
            "decoder_input_ids": forced,
            "decoder_attention_mask": forced_mask.long(),
        }
        return Batch(inputs, (mask, forced_mask))

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits (B, S, V) of the decoder."""
        logits: Tensor = model(**batch.inputs, use_cache=False).logits
        return logits


def _decoded(model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
    """What the decoder makes of the `tokens` (B, T): (B, T, d), and the state to go on from.

    The decoder and the head are called, as the model around them makes and checks at each token
    what stays the same. One prompt alone has no padding, so the decoder needs no mask of it.
    """
    decoder: Any = model.decoder
    out = decoder(
        input_ids=tokens,
        encoder_hidden_states=state.memory["hidden"],
        encoder_attention_mask=state.memory.get("mask"),
        past_key_values=state.past,
        use_cache=True,
    )
    return out.last_hidden_state, State(state.memory, out.past_key_values)


def _logits(model: nn.Module, hidden: Tensor) -> Tensor:
    """Logits (..., V) of what the decoder made, (..., d)."""
    head, config = model.lm_head, model.config  # type: Any, Any
    if config.scale_decoder_outputs:
        hidden = hidden * config.d_model**-0.5
    logits: Tensor = head(hidden)
    return logits
