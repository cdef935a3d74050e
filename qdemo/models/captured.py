"""Decoding steps, and on a GPU one CUDA graph for all of them: launched once a token, and not once
an operation.

A graph works on the same memory each time, so its step has caches of keys and values that are
filled and not grown (transformers' `StaticLayer`): what has no token yet is masked, and how many
have one stands on the GPU. What the usual prefill left is copied into them, so a family needs
nothing of its own. The first step is computed as it is and then once more by the graph, which is
only used where both say the same. A model without a graph goes step by step: the log is told why,
and `is_captured` tells whoever shows what computed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn

from qdemo.models.families.base import Family, State, device_of
from qdemo.spec.messages import say

ROOM = 64
"""Static caches have room for a multiple of so many tokens, and serve all lengths up to that."""

Step = Callable[[Tensor], Tensor]
"""Logits (V,) after one more token, ()."""

_LOGGER = logging.getLogger("qdemo")


@contextmanager
def stepping(family: Family, model: nn.Module, state: State, count: int) -> Iterator[Step]:
    """The steps of a generation that goes on from `state` for at most `count` tokens. Logits are
    good until the next step."""
    if device_of(model).type != "cuda":
        yield _Plain(family, model, state)
        return
    # Taken out, as nobody else may step with it meanwhile.
    step = _OnGpu(family, model, state, count, _KEPT.pop(model, None))
    try:
        yield step
    finally:
        if step.graph is not None:
            _KEPT[model] = step.graph


def is_captured(model: nn.Module) -> bool:
    """Whether the last steps of a model were a CUDA graph's; so too where it made none yet."""
    return model not in _PLAIN


_KEPT: WeakKeyDictionary[nn.Module, _Graph] = WeakKeyDictionary()
_PLAIN: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
"""Why the last steps of a model were no graph's."""
_IN_VAIN: WeakSet[nn.Module] = WeakSet()
"""Those that were tried, and are not tried again."""


class _Plain:
    """Each step on its own."""

    def __init__(self, family: Family, model: nn.Module, state: State) -> None:
        self.family, self.model, self.state = family, model, state

    def __call__(self, token: Tensor) -> Tensor:
        logits, self.state = self.family.step(self.model, self.state, token.view(1, 1))
        return logits[-1]


class StaticStep:
    """A step whose tensors stay where they are: what was computed of the prompt, caches with room
    for `room` tokens, and the token to read, (1, 1)."""

    def __init__(self, family: Family, state: State, room: int) -> None:
        """For states like this one, which is the first.

        Raises:
            ValueError: its caches are of a kind that can't be made static.
        """
        self.family, self.room = family, room
        self.memory = {name: x.clone() for name, x in state.memory.items()}
        self.past = _static(state.past, room)
        self.token = next(iter(_layers(state.past))).keys.new_zeros(1, 1, dtype=torch.long)
        self.shapes = _shapes(state)

    def fits(self, state: State, count: int) -> bool:
        """Whether it can go on from `state` for `count` tokens."""
        return _shapes(state) == self.shapes and _length(state.past) + count <= self.room

    def fill(self, state: State) -> None:
        """Go on from `state`, which stays as it is."""
        for name, x in state.memory.items():
            self.memory[name].copy_(x)
        for static, grown in zip(_layers(self.past), _layers(state.past), strict=True):
            static.reset()  # zeros: what is masked counts nothing then, while NaN would
            static.update(grown.keys, grown.values)

    def back(self) -> None:
        """Undo the last step."""
        for layer in _own(self.past).layers:
            layer.cumulative_length.sub_(1)

    def run(self, model: nn.Module) -> Tensor:
        """Read the token; logits (V,)."""
        logits, _ = self.family.step(model, State(self.memory, self.past), self.token)
        return logits[-1]


def _own(past: Any) -> Any:
    """The cache of what the decoder itself said."""
    return getattr(past, "self_attention_cache", past)


def _layers(past: Any) -> Iterator[Any]:
    across = getattr(past, "cross_attention_cache", None)
    return chain(_own(past).layers, across.layers if across is not None else ())


def _length(past: Any) -> int:
    """Tokens in a cache that grows."""
    return int(_own(past).get_seq_length())


def _shapes(state: State) -> tuple[object, ...]:
    """What is equal for states whose static steps are: all but the tokens that were said."""
    across = getattr(state.past, "cross_attention_cache", None)
    layers = [layer.keys for layer in across.layers] if across is not None else []
    own = [layer.keys[:, :, :0] for layer in _own(state.past).layers]
    return tuple((x.shape, x.dtype, x.device) for x in (*state.memory.values(), *layers, *own))


def _static(past: Any, room: int) -> Any:
    """A cache like `past`, and as full, with that room."""
    from transformers.cache_utils import Cache, EncoderDecoderCache, StaticLayer

    if isinstance(past, EncoderDecoderCache):
        # What is read across all of it has no room to spare, as nothing masks that.
        read = past.cross_attention_cache
        across = _static(read, read.get_seq_length())
        return EncoderDecoderCache(_static(past.self_attention_cache, room), across)
    _check_growing(past)
    made = Cache(layers=[StaticLayer(max_cache_len=room) for _ in past.layers])
    for i, layer in enumerate(past.layers):
        made.update(layer.keys, layer.values, i)
    return made


def _check_growing(past: Any) -> None:
    """Whether a cache grows with each token, and keeps what it has: a window that slides forgets,
    and a recurrent state can't be taken back.

    Raises:
        ValueError: it is of another kind.
    """
    from transformers.cache_utils import DynamicCache, DynamicLayer

    kinds = {type(layer) for layer in past.layers} if type(past) is DynamicCache else {type(past)}
    if kinds != {DynamicLayer}:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(say("caches of {names} can't be made static", names=names))


_ONE_AT_A_TIME = Lock()
"""In a process, as torch wants it."""


class _Graph:
    """A static step as a CUDA graph, of a model whose tensors stay where they are."""

    def __init__(self, model: nn.Module, static: StaticStep) -> None:
        """Write down the step after which `static` stands, and compute it again.

        Raises:
            ArithmeticError: the graph says something else.
            RuntimeError: something in the step can't be captured.
        """
        self.static, self.places = static, _places(model)
        self.device, self.graph = device_of(model), torch.cuda.CUDAGraph()
        with _ONE_AT_A_TIME, torch.cuda.device(self.device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                plain = static.run(model).clone()
                static.back()
            # Other threads may go on with the GPU meanwhile.
            with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
                self.logits = static.run(model)
            self.graph.replay()
        _check_same(self.logits, plain)

    def fits(self, model: nn.Module, state: State, count: int) -> bool:
        """Whether it may go on from `state`: no weight was replaced or moved meanwhile."""
        return self.static.fits(state, count) and self.places == _places(model)

    def __call__(self, token: Tensor) -> Tensor:
        self.static.token.copy_(token.view(1, 1))
        with torch.cuda.device(self.device):
            self.graph.replay()
        return self.logits


def _places(model: nn.Module) -> tuple[int, ...]:
    """Where the memory of each tensor of a model is."""
    return tuple(x.data_ptr() for x in chain(model.parameters(), model.buffers()))


def _check_same(ours: Tensor, plain: Tensor) -> None:
    """Whether logits (V,) are those wanted, but for another order of adding up.

    Raises:
        ArithmeticError: they are not.
    """
    largest = plain.nan_to_num(0, 0, 0).abs().max().item()
    bound = 16 * torch.finfo(plain.dtype).eps * largest
    near = torch.allclose(ours, plain, rtol=0, atol=bound, equal_nan=True)
    if not near or ours.argmax() != plain.argmax():
        raise ArithmeticError(say("the captured step says something else than the step itself"))


class _OnGpu:
    """By a graph: the one that was kept, or one of the first step."""

    def __init__(
        self, family: Family, model: nn.Module, state: State, count: int, kept: _Graph | None
    ) -> None:
        self.plain, self.count = _Plain(family, model, state), count
        self.graph: _Graph | None = None
        self.is_new = self._may_be_captured()
        if self.is_new and kept is not None and kept.fits(model, state, count):
            kept.static.fill(state)
            self.graph = kept

    def __call__(self, token: Tensor) -> Tensor:
        if self.graph is None and self.is_new:
            self.is_new = False
            self.graph = self._captured(token)
            if self.graph is not None:
                return self.graph.logits
        return self.plain(token) if self.graph is None else self.graph(token)

    def _captured(self, token: Tensor) -> _Graph | None:
        family, model, state = self.plain.family, self.plain.model, self.plain.state
        try:
            _check_growing(_own(state.past))
            room = -(-(_length(state.past) + self.count) // ROOM) * ROOM
            static = StaticStep(family, state, room)
            static.token.copy_(token.view(1, 1))
            return _Graph(model, static)
        except Exception as error:
            _IN_VAIN.add(model)
            self._go_plainly(str(error) or type(error).__name__)
            return None

    def _may_be_captured(self) -> bool:
        """Not where a step does more than to compute the same, or where it was in vain before."""
        model = self.plain.model
        if any(one._forward_hooks or one._forward_pre_hooks for one in model.modules()):
            self._go_plainly("hooks would not be called")
        elif model.training:
            self._go_plainly("it is being trained")
        elif model not in _IN_VAIN:
            _PLAIN.pop(model, None)
            return True
        return False

    def _go_plainly(self, why: str) -> None:
        name = type(self.plain.model).__name__
        if _PLAIN.get(self.plain.model) != why:
            _LOGGER.warning("the steps of %s are no CUDA graph: %.300s", name, why)
        _PLAIN[self.plain.model] = why
