"""Layers with quantized weights: ordinary modules with buffers.

Before `freeze` the weight is still a float Parameter that trains: the forward pass uses its
rounded values, and the gradient passes the rounding (see `fake_quantize`). After it, the weight
is a `QWeight` with a buffer for each role of its QTensor: `codes`, `scale` and, for affine schemes,
`zero_point`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from qdemo.compress import outliers
from qdemo.compress.kernels import BY_TOKEN, quantized_linear
from qdemo.compress.layout import ROWS, Layout
from qdemo.numerics.blocks import scale_shape
from qdemo.numerics.insides import aligned
from qdemo.numerics.linear import fake_quantize, quantize_tensor
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme
from qdemo.spec.step import Activations, Recipe, Step


class QWeight(nn.Module):
    """A frozen weight: the buffers of a QTensor. Modules that are tied hold one and the same."""

    codes: Tensor
    scale: Tensor

    def __init__(self, held: QTensor) -> None:
        """Hold the tensors of `held`."""
        super().__init__()
        self.scheme, self.shape = held.scheme, held.shape
        self._last: QTensor | None = None  # each token asks for it at every layer
        for role, tensor in held.tensors.items():
            # Here, once: what is mapped from a file would be copied at each product else. Of
            # groups, kernels read the scales of 16 rows at once, so these lie side by side.
            by_group = role != "codes" and tensor.ndim == 2
            self.register_buffer(role, aligned(tensor.t()).t() if by_group else aligned(tensor))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What is held, by role."""
        return {role: tensor for role, tensor in self._buffers.items() if tensor is not None}

    def tensor(self, dtype: torch.dtype) -> QTensor:
        """The QTensor, which dequantizes to `dtype`."""
        last = self._last
        if last is None or last.dtype != dtype or not self._holds(last):
            last = self._last = QTensor(self.scheme, self.shape, self.tensors, dtype)
        return last

    def _holds(self, last: QTensor) -> bool:
        """Whether it is of the buffers that there are now, which others may exchange."""
        return all(self._buffers.get(role) is held for role, held in last.tensors.items())

    def __setattr__(self, name: str, value: Any) -> None:
        """Whatever is set anew, a buffer too, is computed with from then on."""
        if name != "_last":
            self.__dict__["_last"] = None
        super().__setattr__(name, value)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move to a device; a cast changes what is computed in, never what is held."""
        self._last = None
        kept = {role: _moved(tensor, fn) for role, tensor in self.tensors.items()}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._buffers.update(kept)
        return self


class QModule(nn.Module):
    """What quantized modules share: one weight, whose matrix is quantized, and its two states.

    The matrix is (rows, columns), `weight_shape`; `layout` is how the weight holds it while it is a
    Parameter: afterwards `weight` is the quantized matrix itself.

    `compute_dtype` is what a frozen one computes in, and returns, whatever its input has.
    `tied_with` names the float weights that this one was tied to before it was quantized alone.
    `activations` is what the input of a layer that multiplies becomes, and `recipe` how its numbers
    are found when it is frozen: what needs no more than the weight, or is told by `freeze`.
    """

    scheme: Scheme
    compute_dtype: torch.dtype
    weight_shape: tuple[int, int]
    layout: Layout = ROWS
    weight: Any  # an nn.Parameter; a QTensor once frozen
    quantized: QWeight  # once frozen
    tied_with: tuple[str, ...] = ()
    activations: Activations = Activations()
    recipe: Recipe = Recipe()

    @property
    def step(self) -> Step:
        """What becomes of the layer."""
        return Step(self.scheme, self.recipe, self.activations)

    @property
    def frozen(self) -> bool:
        """Whether the weight is integers by now."""
        return "quantized" in self._modules

    @property
    def matrix(self) -> Tensor:
        """The float weight as a matrix; not once it is frozen."""
        return self.layout.matrix(self.weight)

    @property
    def qweight(self) -> QTensor:
        """The quantized weight: the one held, or what the float weight would become now."""
        held: Any = self._modules.get("quantized")  # the shortest way: each token asks each layer
        if held is None:
            matrix = self.matrix.detach()
            # Codes lie as the matrix does, and kernels want whole rows.
            return quantize_tensor(
                matrix if self.layout == ROWS else matrix.contiguous(), self.scheme
            )
        found: QTensor = held.tensor(self.compute_dtype)
        return found

    def freeze(self, held: QWeight | None = None) -> None:
        """Replace the float weight by `held`, or by its own quantized values."""
        self.quantized = held or QWeight(self.qweight)
        self._parameters.pop("weight", None)

    def extra_repr(self) -> str:
        """Shape, scheme and state, for print(model)."""
        rows, columns = self.weight_shape
        state = "frozen" if self.frozen else "trainable"
        return f"{rows} x {columns}, {self._text}, {state}"

    @property
    def _text(self) -> str:
        try:
            return str(self.step)
        except ValueError:  # a scheme that no text form says, as `quantize` takes any
            return repr(self.scheme)

    def _hold(
        self, module: nn.Module, scheme: Scheme, layout: Layout = ROWS, key: str = "weight"
    ) -> None:
        """Take over the weight `key` of `module`, which lies as `layout` says.

        Raises:
            ValueError: the weight is computed from other tensors, or the scheme does not fit it.
        """
        weight = module._parameters.get(key)
        if not isinstance(weight, nn.Parameter):
            raise ValueError(
                say("the weight is reparametrized; undo that first, or exclude the layer")
            )
        self.weight = weight
        self.scheme, self.layout = scheme, layout
        self.compute_dtype = weight.dtype
        self.weight_shape = layout.shape(tuple(weight.shape))
        scale_shape(self.weight_shape, scheme.axis, scheme.group_size)  # raises where it misfits
        self.train(module.training)

    def _replace(self, module: nn.Module) -> None:
        """Be called in its stead: take over its hooks."""
        hooks = {name: value for name, value in vars(module).items() if name.endswith("hooks")}
        vars(self).update(hooks)

    def __getattr__(self, name: str) -> Any:
        """`weight` stays readable when frozen: T5 asks its `wo.weight` for the dtype."""
        if name == "weight" and self.frozen:
            return self.qweight
        return super().__getattr__(name)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or cast; a cast changes what is computed in."""
        self.compute_dtype = fn(torch.empty(0, dtype=self.compute_dtype)).dtype
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


class QLinear(QModule):
    """y = x · Ŵᵀ + b with a quantized weight (out_features, in_features); the bias stays float."""

    def __init__(self, linear: Any, scheme: Scheme, layout: Layout = ROWS) -> None:
        """Take over the weight and bias of `linear`, the very same Parameters."""
        super().__init__()
        self._hold(linear, scheme, layout)
        self._replace(linear)
        self.out_features, self.in_features = self.weight_shape
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        bits, threshold = self.activations.bits, self.activations.threshold
        if self.frozen:
            x = x if x.dtype == self.compute_dtype else x.to(self.compute_dtype)
            return quantized_linear(x, self.qweight, self.bias, bits, threshold)
        if threshold is not None:
            x = outliers.rounded(x, threshold).to(x.dtype)
        elif bits:
            x = fake_quantize(x.flatten(0, -2), BY_TOKEN).view(x.shape)
        return nn.functional.linear(x, fake_quantize(self.matrix, self.scheme), self.bias)


class QEmbedding(QModule):
    """Rows of a quantized table (num_embeddings, embedding_dim), dequantized as they are read."""

    def __init__(self, embedding: nn.Embedding, scheme: Scheme) -> None:
        """Take over the weight of `embedding`, the very same Parameter.

        Raises:
            ValueError: the embedding renormalizes its rows, which needs float rows.
        """
        super().__init__()
        refuse_max_norm(embedding)
        self.num_embeddings = embedding.num_embeddings
        self.embedding_dim = embedding.embedding_dim
        self.padding_idx = embedding.padding_idx
        self._hold(embedding, scheme)
        self._replace(embedding)

    def forward(self, ids: Tensor) -> Tensor:
        """(...) integers to (..., embedding_dim)."""
        if not self.frozen:
            return nn.functional.embedding(
                ids, fake_quantize(self.weight, self.scheme), self.padding_idx
            )
        rows = self.qweight.rows(ids.reshape(-1), self.compute_dtype)
        return rows.reshape(*ids.shape, self.embedding_dim)


def _moved(held: Tensor, fn: Callable[[Tensor], Tensor]) -> Tensor:
    moved = fn(held)
    return moved if moved.dtype == held.dtype else held.to(moved.device)


def refuse_max_norm(layer: nn.Module) -> None:
    """Raise a ValueError where rows of a table are renormalized as they are read."""
    max_norm = getattr(layer, "max_norm", None)
    if max_norm is not None:
        raise ValueError(say("max_norm {max_norm} needs float rows; exclude it", max_norm=max_norm))
