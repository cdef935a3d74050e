"""A model out of one GGUF file: its configuration, its tokenizer, and its weights made floats.

The file is mapped into memory and read tensor by tensor, so no more than one of them is held twice.
gguf, which reads it, is imported when a file is: it need not be installed.

Another kind of model is one more line of `LAYOUTS`, another way to cut a text before its bytes are
merged is one more of `CUTS`; gguf itself knows what transformers' tensors are called in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qdemo.spec.messages import say

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

T = TypeVar("T")

_CONTROL, _OWN = 3, 4  # types of tokens: marks, as that of an end, and words added to a vocabulary
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

CUTS: Mapping[str, tuple[str, ...]] = {"gpt-2": (_GPT2,), "smollm": (r"\p{N}", _GPT2)}
"""By the name that a file has for it, `tokenizer.ggml.pre`: the patterns that cut a text into
words, one after the other, as llama.cpp does; SmolLM2 cuts off each digit first."""


@dataclass(frozen=True)
class Layout:
    """How a file has the models of one architecture.

    `fields` are those of transformers' configuration by the key, behind the architecture's name,
    that a file has for them. `rotated` names the layers whose rows a file has in the order in which
    ggml turns them: two that are turned together lie side by side, and not half a head apart.
    """

    model_type: str
    fields: Mapping[str, str]
    rotated: Mapping[str, str]


LAYOUTS: Mapping[str, Layout] = {
    "llama": Layout(
        "llama",
        {
            "context_length": "max_position_embeddings",
            "embedding_length": "hidden_size",
            "feed_forward_length": "intermediate_size",
            "block_count": "num_hidden_layers",
            "attention.head_count": "num_attention_heads",
            "attention.head_count_kv": "num_key_value_heads",
            "attention.layer_norm_rms_epsilon": "rms_norm_eps",
            "rope.dimension_count": "head_dim",
        },
        {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"},
    )
}
"""By `general.architecture`."""

_MAY_LACK = ("attention.head_count_kv", "rope.dimension_count")
"""Where a file has no such key, transformers' own default is what the key would say."""

_MARKS = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def packaged(distribution: str) -> Path | None:
    """The GGUF file that a package of Python brings; None where it, or gguf, is not installed."""
    if find_spec("gguf") is None:
        return None
    try:
        found = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    files = (Path(str(file.locate())) for file in found if file.suffix == ".gguf")
    return next((file for file in files if file.is_file()), None)


class GgufError(ValueError):
    """A file that can't be read as a model; the message says what is wrong with it, for people."""


class GgufFile:
    """One file, whose header has been read. Needs gguf, torch and transformers."""

    def __init__(self, path: Path) -> None:
        """Read the header, with the vocabulary: one or two seconds.

        Raises:
            GgufError: it is no whole GGUF file, or of an architecture that is not in `LAYOUTS`.
        """
        from gguf import GGUFReader

        try:
            self._reader = GGUFReader(path)
        except Exception as error:  # of whatever kind: it counts on a file that is whole
            raise GgufError(say("it is no whole GGUF file")) from error
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
        self.architecture = str(self._value("general.architecture"))
        self._layout = _known("general.architecture", self.architecture, LAYOUTS)

    def _value(self, key: str) -> Any:
        """What the header has under that key.

        Raises:
            GgufError: it has none.
        """
        field = self._reader.get_field(key)
        if field is None:
            raise GgufError(say("it has no {key}", key=key))
        return field.contents()

    def _value_or(self, key: str, default: Any) -> Any:
        return default if self._reader.get_field(key) is None else self._value(key)

    @property
    def config(self) -> Any:
        """transformers' configuration of the model.

        Raises:
            GgufError: something of it is missing, or is what the model here is not.
        """
        from transformers import CONFIG_MAPPING

        own, layout = self.architecture, self._layout
        if (scaling := self._value_or(f"{own}.rope.scaling.type", "none")) != "none":
            raise GgufError(say("its positions are scaled, by {found!r:.40}", found=scaling))
        fields = {
            field: self._value(f"{own}.{key}")
            for key, field in layout.fields.items()
            if key not in _MAY_LACK or self._value_or(f"{own}.{key}", None) is not None
        }
        marks = {
            f"{name}_id": self._value_or(f"tokenizer.ggml.{key}_token_id", None)
            for name, key in _MARKS.items()
            if name != "unk_token"
        }
        theta = self._value_or(f"{own}.rope.freq_base", 10_000.0)  # llama.cpp's default
        return CONFIG_MAPPING[layout.model_type](
            vocab_size=len(self._value("tokenizer.ggml.tokens")),
            rope_parameters={"rope_type": "default", "rope_theta": theta},
            tie_word_embeddings="output.weight" not in self._tensors,
            dtype="float32",
            **fields,
            **marks,
        )

    def model(self, build: Callable[[Any], PreTrainedModel]) -> PreTrainedModel:
        """The model, in fp32, that `build` makes of the configuration, with the file's weights.
        torch's initializers are transformers' own meanwhile, for everyone.

        Raises:
            GgufError: as `config`; or its weights are not those of the model.
        """
        import torch
        from transformers.initialization import no_init_weights

        with no_init_weights():  # all of them are overwritten
            made = build(self.config)
        made.tie_weights()
        with torch.no_grad():
            for parameter, weights in self._weights(made):
                parameter.copy_(weights)
        return made

    def _weights(self, model: PreTrainedModel) -> Iterator[tuple[Tensor, Tensor]]:
        """Each parameter of the model, with what the file has for it."""
        left, names = set(self._tensors), self._names(model)
        for name, parameter in model.named_parameters():
            key = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if key not in left:
                raise GgufError(say("it has no tensor for {name}", name=name))
            left.remove(key)
            weights = self._floats(key)
            if weights.shape != parameter.shape:
                raise GgufError(
                    say(
                        "its {key} has the shape {found}, expected {wanted}",
                        key=key,
                        found=" × ".join(map(str, weights.shape)),
                        wanted=" × ".join(map(str, parameter.shape)),
                    )
                )
            heads = self._layout.rotated.get(name.split(".")[-2])
            yield parameter, as_halves(weights, getattr(model.config, heads)) if heads else weights
        if left:
            raise GgufError(say("the model has no place for its {key}", key=min(left)))

    def _names(self, model: PreTrainedModel) -> Any:
        """gguf's table of a file's names for the tensors of a model."""
        from gguf import MODEL_ARCH, get_tensor_name_map

        architecture = MODEL_ARCH[self.architecture.upper()]
        return get_tensor_name_map(architecture, model.config.num_hidden_layers)

    def _floats(self, key: str) -> Tensor:
        import torch
        from gguf import dequantize

        tensor = self._tensors[key]
        return torch.tensor(dequantize(tensor.data, tensor.tensor_type))

    def tokenizer(self) -> Any:
        """transformers' tokenizer of the file's vocabulary, with its chat template. It adds a start
        token where the file says so.

        Raises:
            GgufError: it is no byte-level one, or it cuts texts in a way that is not in `CUTS`.
        """
        from tokenizers import processors
        from transformers import PreTrainedTokenizerFast

        tokens: list[str] = self._value("tokenizer.ggml.tokens")
        backend = self._backend(tokens)
        ids = {
            name: self._value_or(f"tokenizer.ggml.{key}_token_id", None)
            for name, key in _MARKS.items()
        }
        marks = {name: tokens[number] for name, number in ids.items() if number is not None}
        if self._value_or("tokenizer.ggml.add_bos_token", False):
            start = marks["bos_token"]
            backend.post_processor = processors.TemplateProcessing(
                single=f"{start} $A", special_tokens=[(start, ids["bos_token"])]
            )
        return PreTrainedTokenizerFast(
            tokenizer_object=backend,
            chat_template=self._value_or("tokenizer.chat_template", None),
            model_max_length=self._value(f"{self.architecture}.context_length"),
            clean_up_tokenization_spaces=False,
            **marks,
        )

    def _backend(self, tokens: list[str]) -> Any:
        """Pairs of bytes merged by rank, within words; marks are never cut."""
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

        _known("tokenizer.ggml.model", self._value("tokenizer.ggml.model"), {"gpt2": "bytes"})
        cuts = _known("tokenizer.ggml.pre", self._value("tokenizer.ggml.pre"), CUTS)
        merges = [tuple(pair.split(" ")) for pair in self._value("tokenizer.ggml.merges")]
        made = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [
                *(pre_tokenizers.Split(Regex(cut), "isolated") for cut in cuts),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        made.decoder = decoders.ByteLevel()
        types = self._value("tokenizer.ggml.token_type")
        for kind, add in ((_CONTROL, made.add_special_tokens), (_OWN, made.add_tokens)):
            own = [token for token, its in zip(tokens, types, strict=True) if its == kind]
            add([AddedToken(token, normalized=False) for token in own])
        return made


def as_halves(weights: Tensor, heads: int) -> Tensor:
    """Rows (heads · d, ...) as transformers turns them, i with i + d/2 of a head, out of those as
    ggml does, 2i with 2i + 1.

    >>> import torch
    >>> as_halves(torch.arange(8), heads=2).tolist()
    [0, 2, 1, 3, 4, 6, 5, 7]
    """
    pairs = weights.view(heads, -1, 2, *weights.shape[1:])  # (heads, d/2, 2, ...)
    return pairs.transpose(1, 2).reshape(weights.shape)


def _known(key: str, found: str, table: Mapping[str, T]) -> T:
    """What the table has for what a file says.

    Raises:
        GgufError: nothing.
    """
    if found not in table:
        raise GgufError(
            say(
                "its {key} is {found!r:.40}; expected {names}",
                key=key,
                found=found,
                names=" or ".join(map(repr, table)),
            )
        )
    return table[found]
