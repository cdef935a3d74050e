"""Layers whose weight the model reads in another place than the layer: these stay float.

A quantized layer is called; who takes its weight and multiplies with it, as Mamba does with that of
`dt_proj`, would find no tensor. Such layers are known by a list, and by watching an ordinary input
run through the float model once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

READ = {
    "*MambaMixer": ("dt_proj", "conv1d"),
    "*Mamba2Mixer": ("conv1d",),
    "*MambaLayer": ("conv1d",),
    "*GatedDeltaNet": ("conv1d",),
    "RwkvSelfAttention": ("output",),  # scaled in place
    "RwkvFeedForward": ("value",),
    "MobileBertLMPredictionHead": ("decoder", "dense"),
    "DisentangledSelfAttention": ("in_proj",),
    "LSHSelfAttention": ("query_key", "value"),
    "WavLMAttention": ("q_proj", "k_proj", "v_proj", "out_proj"),
    "LongcatFlashTopkRouter": ("classifier",),
    "Siglip2VisionEmbeddings": ("position_embedding",),
    "Glm4v*VisionEmbeddings": ("position_embedding",),
    "GlmImageVisionEmbeddings": ("position_embedding",),
    "*VQVAEVectorQuantizer": ("embedding",),
    "ProphetNetDecoder": ("ngram_embeddings",),
    "ViTMAE*": ("projection",),
    # Learned queries and the like, of which all rows are read at once.
    "*": (
        "query_position_embeddings", "query_refpoint_embeddings", "queries_embedder",
        "queries_features", "query_embed", "query_feat", "reference_points",
        "reference_point_embed", "level_embed", "tgt_embed", "rel_embeddings", "cls_embed",
        "presence_token", "iou_token", "mask_tokens", "obj_score_token", "hq_token",
        "no_mask_embed", "not_a_point_embed",
    ),
}  # fmt: skip
"""By the name of a class of transformers', as fnmatch has it: which of its children."""

_NOTE = "_read_elsewhere"
_ASKS = {getattr(Tensor, name).__get__ for name in ("dtype", "device", "shape")}
"""What a quantized weight answers too."""


def probe(model: nn.Module, run: Callable[[], object]) -> frozenset[str]:
    """Call `run`, which has the float `model` compute something ordinary; note on the model, and
    return, the names of the modules whose own weight something else than they took meanwhile.

    >>> class Tied(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.up, self.down = nn.Linear(2, 4), nn.Linear(4, 2)
    ...     def forward(self, x):
    ...         return self.up(x) @ self.down.weight.t()
    >>> model = Tied()
    >>> sorted(probe(model, lambda: model(torch.ones(1, 2))))
    ['down']
    """
    watch = _Watch(model)
    with ExitStack() as stack:
        for module in watch.modules:
            stack.enter_context(module.register_forward_pre_hook(watch.enter))
            stack.enter_context(module.register_forward_hook(watch.leave, always_call=True))
        with watch:
            run()
    found = frozenset(name for name, module in model.named_modules() if module in watch.read)
    setattr(model, _NOTE, found)
    return found


def is_probed(model: nn.Module) -> bool:
    """Whether that was done."""
    return hasattr(model, _NOTE)


def read_elsewhere(model: nn.Module) -> frozenset[str]:
    """The names of the modules whose weight others read, as far as that is known."""
    return frozenset(_listed(model)) | getattr(model, _NOTE, frozenset())


def _listed(model: nn.Module) -> Iterator[str]:
    for name, module in model.named_modules():
        if type(module).__module__.startswith("transformers."):
            for child in module._modules:
                if _is_listed(type(module).__name__, child):
                    yield f"{name}.{child}".lstrip(".")


def _is_listed(owner: str, child: str) -> bool:
    return any(child in names and fnmatchcase(owner, pattern) for pattern, names in READ.items())


class _Watch(TorchFunctionMode):
    """Sees each function of torch, and the modules that hold the weights which it is given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.read: set[nn.Module] = set()
        self._running: Counter[nn.Module] = Counter()
        self._owners: dict[int, list[nn.Module]] = {}
        for module in model.modules():
            for parameter in module.parameters(recurse=False):
                self._owners.setdefault(id(parameter), []).append(module)
        self.modules = {module for owners in self._owners.values() for module in owners}

    def enter(self, module: nn.Module, _: object) -> None:
        self._running[module] += 1

    def leave(self, module: nn.Module, *_: object) -> None:
        self._running[module] -= 1

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function not in _ASKS:
            for tensor in _tensors([*args, *kwargs.values()]):
                owners = self._owners.get(id(tensor), ())
                if not any(self._running[owner] for owner in owners):
                    self.read.update(owners)
        return function(*args, **kwargs)


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
