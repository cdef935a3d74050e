"""A quantized weight that stands where a layer's Parameter stood.

Some layers do more with their weight than one product: an embedding that scales its rows, experts
that each take some of the tokens, a convolution. Such a layer keeps its class and its forward; what
its forward finds as its weight is a module, which gives floats of what is asked for and no more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from qdemo.compress.layout import Layout
from qdemo.compress.modules import QModule, refuse_max_norm
from qdemo.numerics.linear import fake_quantize
from qdemo.spec.scheme import Scheme


class QParameter(QModule):
    """A quantized weight of any shape, read by the layer that it belongs to.

    Indexed, it gives floats: of a table the rows of those numbers, of experts the matrix of one.
    Given to a function of torch, it stands for all of its floats, but that `embedding` takes rows.
    """

    def __init__(self, owner: nn.Module, key: str, scheme: Scheme, layout: Layout) -> None:
        """Take over the Parameter `key` of `owner`, the very same.

        Raises:
            ValueError: as `_hold`; or the owner renormalizes rows, which needs float ones.
        """
        super().__init__()
        refuse_max_norm(owner)
        self._hold(owner, scheme, layout, key)
        self.shape = self.weight.shape

    @property
    def dtype(self) -> torch.dtype:
        """Of the floats that are read."""
        return self.compute_dtype

    @property
    def device(self) -> torch.device:
        """Where they are."""
        found: torch.device = self.weight.device
        return found

    @property
    def ndim(self) -> int:
        """Axes of the weight."""
        return len(self.shape)

    def floats(self) -> Tensor:
        """All of it, of shape `shape`, in `compute_dtype`."""
        if self.frozen:
            matrix = self.qweight.dequantize(self.compute_dtype)
        else:
            matrix = fake_quantize(self.matrix, self.scheme)
        return self.layout.restored(matrix, tuple(self.shape))

    def __getitem__(self, index: Any) -> Tensor:
        """`floats()[index]`; rows of a table and single experts are dequantized alone."""
        if self.frozen and self.ndim == 3 and _is_number(index):
            return self._one(int(index))
        if self.frozen and self.ndim == 2 and _are_numbers(index):
            return self._rows(index)
        found: Tensor = self.floats()[index]
        return found

    def _rows(self, ids: Tensor) -> Tensor:
        rows = self.qweight.rows(ids.reshape(-1), self.compute_dtype)
        return rows.reshape(*ids.shape, rows.shape[1])

    def _one(self, number: int) -> Tensor:
        """The matrix of one expert."""
        height, number = self.weight_shape[0] // self.shape[0], range(self.shape[0])[number]
        rows = slice(number * height, (number + 1) * height)
        matrix = self.qweight.rows(rows, self.compute_dtype)
        return self.layout.restored(matrix, tuple(self.shape[1:]))

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Let functions of torch take it for its floats."""
        if function is nn.functional.embedding and isinstance(args[1], QParameter):
            table = args[1]
            if table.frozen:
                return table._rows(args[0])
        named = {key: _floats(value) for key, value in (kwargs or {}).items()}
        return function(*map(_floats, args), **named)


def put(owner: nn.Module, key: str, made: QParameter) -> None:
    """Have `owner` read `made` where its Parameter was.

    transformers' experts choose between ways to multiply, of which all but the one that is written
    out want one tensor of all experts: that one is taken, and nothing is dequantized for experts
    that no token goes to.
    """
    owner._parameters.pop(key, None)
    owner._modules[key] = made
    if made.ndim == 3 and hasattr(owner, "is_transposed"):
        owner.forward = partial(_written_out, owner)  # which can be pickled, and copied


def _written_out(owner: nn.Module, *args: Any, **named: Any) -> Any:
    return inspect.unwrap(type(owner).forward)(owner, *args, **named)


def _floats(value: Any) -> Any:
    if isinstance(value, QParameter):
        return value.floats()
    if type(value) in (list, tuple):
        return type(value)(map(_floats, value))
    return value


def _are_numbers(index: Any) -> bool:
    return isinstance(index, Tensor) and index.dtype in (torch.int64, torch.int32)


def _is_number(index: Any) -> bool:
    return isinstance(index, int) or (isinstance(index, Tensor) and index.ndim == 0)
