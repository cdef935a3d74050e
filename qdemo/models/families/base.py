"""What a family of models is to everyone else. Families know nothing of number formats.

A family is a class: what it asks for, and what its models are, is known of the class, before torch
is there; an instance has the tokenizer and the configuration of one model, and speaks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from qdemo.models.families.pieces import unused, whole
from qdemo.spec.cache import Cache
from qdemo.spec.decoding import ReadAs
from qdemo.spec.given import Field
from qdemo.spec.messages import say
from qdemo.spec.setting import InputToken

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Architecture:
    """transformers' classes: of the model, and of the tokenizer or processor that makes its inputs
    and its words."""

    model: Any
    words: Any


@dataclass(frozen=True, eq=False)
class Prompt:
    """What a person gave, as a model takes it: batches of one.

    An answer is decoded from the tokens of `prefix` on (the start token of a decoder, or a causal
    model's whole prompt), up to one of `ends`, and has at most `longest` tokens. `read` is the
    input token by token, as the model reads it; a picture has none. `shown` is the input as a
    person would recognize it, and tells it from every other. `forced` are the tokens of a text that
    is scored, and not answered. `may_repeat`: whether an answer that goes round in a circle may go
    on to its longest.
    """

    inputs: Mapping[str, Tensor]
    prefix: tuple[int, ...]
    ends: frozenset[int]
    longest: int
    read: tuple[InputToken, ...]
    shown: str
    forced: tuple[int, ...] = ()
    may_repeat: bool = True

    def to(self, device: torch.device | str) -> Prompt:
        """The same with its tensors on `device`."""
        return replace(self, inputs={name: x.to(device) for name, x in self.inputs.items()})


@dataclass(frozen=True, eq=False)
class State:
    """Where decoding stands: what was computed of the prompt, once, and the cache of keys and
    values. The cache grows in place, so a state is good for one step."""

    memory: Mapping[str, Tensor]
    past: Any

    def keep(self, rows: Tensor) -> State:
        """The same for these of its prompts alone: their numbers, on the model's device."""
        self.past.batch_select_indices(rows)
        memory = {name: x.index_select(0, rows) for name, x in self.memory.items()}
        return State(memory, self.past)


@dataclass(frozen=True, eq=False)
class Batch:
    """B inputs with their answers, padded to one length, which calibration runs a model on.

    `inputs` are what `Family.forward` feeds the model. `masks` has one (B, S) a side of the model,
    the encoder's before the decoder's; True stands where something real does, False on padding.
    No two sides have the same S, so the shape of a tensor inside the model tells its side.
    """

    inputs: Mapping[str, Tensor]
    masks: tuple[Tensor, ...]

    def to(self, device: torch.device | str) -> Batch:
        """The same with its tensors on `device`."""
        inputs = {name: x.to(device) for name, x in self.inputs.items()}
        return Batch(inputs, tuple(mask.to(device) for mask in self.masks))

    def mask_of(self, x: Tensor) -> Tensor | None:
        """The mask (B, S) of a tensor (B, S, ...) that a hook sees; None where it is of no side."""
        return next((mask for mask in self.masks if mask.shape == x.shape[:2]), None)

    def rows(self, x: Tensor) -> Tensor:
        """The rows (n, d) of a tensor (B, S, d) that are no padding; all rows of any other tensor,
        such as (B, d) after pooling."""
        mask = self.mask_of(x)
        return x.flatten(0, -2) if mask is None else x[mask]


class Family(Protocol):
    """A kind of model: text to text, picture to text.

    Known of the class: its `task`, by which `FAMILIES` and the catalogue name it; its `label` for
    people; the `fields` that it asks for; how it `reads` them, of `READ_AS`; and the
    `model_types` that it takes, of which a model's config.json names one. `tokenizer` is
    transformers', of one model; `cache` is what that holds of a text that it goes on with, where it
    is a language model and that is known.
    """

    task: ClassVar[str]
    label: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    reads: ClassVar[tuple[ReadAs, ...]] = ("chat",)
    model_types: ClassVar[tuple[str, ...]]
    tokenizer: Any
    cache: Cache | None = None

    def __init__(self, config: Any, words: Any, generation: Any = None) -> None:
        """Speak for one model, of its configuration, its tokenizer or processor, and what its
        generation_config.json says, where it has one.

        Raises:
            ValueError: the configuration does not say how answers start and end.
        """

    @classmethod
    def takes(cls, model_type: str) -> bool:
        """Whether models of that type are of the family; may import transformers."""
        return model_type in cls.model_types

    @classmethod
    def prepare(cls) -> None:
        """Import what the first model of the family will need."""
        for model_type in cls.model_types:
            cls.architecture(model_type)

    @staticmethod
    def architecture(model_type: str) -> Architecture:
        """The classes for models of that type; imports transformers."""

    def encode(self, given: object, read_as: ReadAs = "chat") -> Prompt:
        """What a person gave, as the model takes it, on the CPU; one of its ways to read it.

        Raises:
            ValueError: it is nothing that the model can take; says what is wrong.
        """

    def prefill(
        self, model: nn.Module, prompt: Prompt, forced: Sequence[int] = ()
    ) -> tuple[Tensor, State]:
        """Logits (1 + len(forced), V) after the prompt's prefix, and after each token of `forced`,
        in one pass; and the state to go on from. The prompt is on the model's device."""

    def step(self, model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Logits (T, V) after each of the `tokens` (1, T), and the state to go on from."""

    def reads_together(self, model: nn.Module) -> bool:
        """Whether the model can read several prompts at once, as it reads each alone; where it can,
        the family has the three that follow."""
        return False

    def length(self, prompt: Prompt) -> int:
        """Positions that the model reads of a prompt: its work and its memory grow with them."""

    def prefill_together(
        self, model: nn.Module, prompts: Sequence[Prompt], forced: Sequence[Sequence[int]]
    ) -> tuple[Sequence[Tensor], State]:
        """What `prefill` gives, of each of B prompts with what is forced on it, out of one pass in
        which the shorter ones are padded; the prompts are on the CPU. The state is of all of them,
        and to go on from where nothing is forced."""

    def step_together(self, model: nn.Module, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Logits (B, V) after one more token of each prompt, (B, 1); and the state after that."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The tokens as text, special ones left out."""
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def written(self, tokens: Sequence[int]) -> str:
        """The text so far of an answer that goes on: a character that is not whole yet, of which
        some tokens are only a part, is held back."""
        return whole(self.decode(tokens))

    def pieces(self, tokens: Sequence[int], before: Sequence[int] = ()) -> list[str]:
        """What is shown of each token of a text that goes on after the tokens `before`: as it is
        written in the vocabulary, where no token is only a part of a character; a model may have
        more tokens than that."""
        found = self.tokenizer.convert_ids_to_tokens(list(tokens))
        return [
            unused(token) if piece is None else str(piece)
            for token, piece in zip(tokens, found, strict=True)
        ]

    def alternatives(self, before: Sequence[int], tokens: Sequence[int]) -> list[str]:
        """What would be shown of each of the `tokens` as the next one after those `before`."""
        return self.pieces(tokens)

    def calibration_batch(self, pairs: Sequence[tuple[object, str]]) -> Batch:
        """Inputs with the answers that are forced on them, on the CPU.

        The decoder reads the start token and the answer, to whose end token it comes; an answer
        that is longer than the model has positions for is cut.

        Raises:
            ValueError: there are no pairs, or an input that the model can't take.
        """

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Run the whole model once, answers forced; logits (B, S, V), in which those at padding
        mean nothing. The batch is on the model's device. Gradients are the caller's to switch off.
        """


def special_token(config: Any, key: str) -> int:
    """A token that the configuration names.

    Raises:
        ValueError: it names none, or no single one.
    """
    found = getattr(config, key, None)
    if not isinstance(found, int):
        raise ValueError(
            say(
                "its config.json has {found!r:.40} as {key}, expected a token's number",
                found=found,
                key=key,
            )
        )
    return found


def row(model: nn.Module, tokens: Sequence[int]) -> Tensor:
    """The tokens (1, T) on the model's device."""
    import torch

    return torch.tensor([list(tokens)], device=device_of(model))


def device_of(model: nn.Module) -> torch.device:
    """Where the model's tensors lie: a quantized one may have buffers alone; the CPU for none."""
    import torch

    tensors = (x for held in (model.parameters(), model.buffers()) for x in held)
    return next((x.device for x in tensors), torch.device("cpu"))


def padded(
    rows: Sequence[Sequence[int]], not_as: int = 0, on_left: bool = False
) -> tuple[Tensor, Tensor]:
    """Rows of tokens as one tensor (B, S), and its mask, True on what is no padding.

    S is the longest row's length, or one more where that is `not_as`, the other side's length.
    Padding is token 0, on the right or `on_left`; as the mask leaves it out, any would do.

    Raises:
        ValueError: there are no rows.
    """
    import torch

    if not rows:
        raise ValueError(say("there are no pairs to calibrate with"))
    length = max(map(len, rows))
    length += length == not_as
    tokens = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for i, row in enumerate(rows):
        own = slice(length - len(row), length) if on_left else slice(len(row))
        tokens[i, own] = torch.tensor(row, dtype=torch.long)
        mask[i, own] = True
    return tokens, mask


def answering(prompts: Sequence[Prompt], forced: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """What decoders read of prompts: each one's prefix, then what is forced, padded on the right,
    (B, S), where what is read from left to right does not see it; and the mask."""
    return padded([(*prompt.prefix, *own) for prompt, own in zip(prompts, forced, strict=True)])
