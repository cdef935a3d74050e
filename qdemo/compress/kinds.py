"""Which weights can be quantized: one table, from the class of a layer to what takes over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from torch import nn

from qdemo.compress.layout import COLUMNS, FLAT, ROWS, Layout
from qdemo.compress.modules import QEmbedding, QLinear, QModule
from qdemo.compress.parameter import QParameter
from qdemo.compress.probing import read_elsewhere
from qdemo.spec.scheme import Scheme


@dataclass(frozen=True)
class Kind:
    """What `made` of a class of layers, how its weight lies, and what it is called by `asked`:
    "default" layers are quantized wherever a format says so, "embedding" ones with +emb or by name,
    "convolution" ones by name."""

    made: type[QModule]
    layout: Layout = ROWS
    asked: str = "default"


_TABLE = Kind(QEmbedding, asked="embedding")
_OWN_TABLE = Kind(QParameter, asked="embedding")
_FILTERS = Kind(QParameter, FLAT, "convolution")

QUANTIZED = {
    "torch.nn.modules.linear.Linear": Kind(QLinear),
    "transformers.pytorch_utils.Conv1D": Kind(QLinear, COLUMNS),
    "transformers.models.falcon.*.FalconLinear": Kind(QLinear),
    "transformers.models.*Experts": Kind(QParameter),
    "torch.nn.modules.sparse.Embedding": _TABLE,
    "transformers.models.*ScaledWordEmbedding": _OWN_TABLE,
    "transformers.models.*LearnedPositionalEmbedding": _OWN_TABLE,
    "transformers.models.whisper.*.WhisperPositionalEmbedding": _OWN_TABLE,
    "torch.nn.modules.conv.Conv1d": _FILTERS,
    "torch.nn.modules.conv.Conv2d": _FILTERS,
}
"""By the full name of the exact class, as fnmatch has it: a subclass may read its weight in its own
way, and those of other libraries can be named without being there."""

_STACKED = {"Llama4TextExperts": True, "JetMoeParallelExperts": False, "Step3p7Experts": False}
"""Whether each expert's matrix is (inputs, outputs), where no `is_transposed` tells it."""


@dataclass(frozen=True, eq=False)
class Site:
    """A weight that can be quantized: the Parameter `key` of `owner`. `name` is that of the module
    which will hold it, and `owner_name` that of the owner now."""

    name: str
    owner_name: str
    owner: nn.Module
    key: str
    kind: Kind
    layout: Layout

    @property
    def parameter(self) -> nn.Parameter | None:
        """The weight; None where it is computed from other tensors."""
        return self.owner._parameters.get(self.key)

    @property
    def columns(self) -> int:
        """Inputs of a row of its matrix."""
        weight = getattr(self.owner, self.key)
        return self.layout.shape(tuple(weight.shape))[1]

    @property
    def is_layer(self) -> bool:
        """Whether the owner is swapped whole, and not only its weight."""
        return self.kind.made is not QParameter

    def taken_over(self, scheme: Scheme) -> QModule:
        """What will hold it, with the very Parameter.

        Raises:
            ValueError: the scheme does not fit it.
        """
        if self.kind.made is QLinear:
            return QLinear(self.owner, scheme, self.layout)
        if self.kind.made is QEmbedding:
            return QEmbedding(self.owner, scheme)  # type: ignore[arg-type]
        return QParameter(self.owner, self.key, scheme, self.layout)


def kind_of(layer: nn.Module) -> Kind | None:
    """What becomes of layers of its class; None where it can't be quantized."""
    return _kind(f"{type(layer).__module__}.{type(layer).__qualname__}")


@cache
def _kind(full: str) -> Kind | None:
    found = (kind for pattern, kind in QUANTIZED.items() if fnmatchcase(full, pattern))
    return next(found, None)


def multiplies(layer: nn.Module) -> bool:
    """Whether a layer multiplies its inputs with one matrix, and can be quantized: methods that
    look at inputs look at those of these.

    >>> multiplies(nn.Linear(2, 2)), multiplies(nn.Embedding(2, 2))
    (True, False)
    """
    kind = kind_of(layer)
    return kind is not None and kind.made is QLinear


def inputs_of(layer: nn.Module) -> int:
    """How many inputs a layer that `multiplies` has."""
    (site,) = _sites_of("", layer)
    return site.columns


def sites(model: nn.Module) -> dict[str, Site]:
    """Every weight of `model` that can be quantized, by name; a module that is used twice has its
    first one. What the model reads in another place than its layer is left out."""
    elsewhere = read_elsewhere(model)
    return {
        site.name: site
        for name, module in model.named_modules()
        if name not in elsewhere
        for site in _sites_of(name, module)
    }


def _sites_of(name: str, module: nn.Module) -> Iterator[Site]:
    kind = kind_of(module)
    if kind is None:
        return
    if kind.made is not QParameter:
        yield Site(name, name, module, "weight", kind, kind.layout)
        return
    for key, layout in _keys(module, kind):
        yield Site(f"{name}.{key}".lstrip("."), name, module, key, kind, layout)


def _keys(module: nn.Module, kind: Kind) -> Iterator[tuple[str, Layout]]:
    """Which of its Parameters, and how each lies."""
    if kind.asked != "default":
        if "weight" in module._parameters:
            yield "weight", kind.layout
        return
    transposed = getattr(module, "is_transposed", _STACKED.get(type(module).__name__))
    for key, parameter in module._parameters.items():
        if transposed is not None and parameter is not None and parameter.ndim == 3:
            yield key, Layout(columns_first=transposed)
