"""A decode step that is looked into: which weights it reads, and how long kernels take of it.

On a CPU one step is, beside those that are timed, which reads a clock before and after each layer
that holds a matrix: that takes about 1 µs a layer. What is the same for all variants of a model is
found in one more step, once for the model and what it computes in: which modules run, and what
torch's operators take outside of those layers, timed one by one, which takes longer than they do.
What an operator takes that only makes a view is no kernel's time but the way to one, and is left
out of the others'. On a GPU a pause is put before a step, until all of it waits in line: then it
runs without a gap.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from statistics import median
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from qdemo.compress.modules import QEmbedding, QModule, QWeight
from qdemo.compress.parameter import QParameter
from qdemo.numerics.insides import memory_of

_BLOCKS = range(20, 29)
"""Powers of two: bytes that are read to see how fast that is. More is read no faster."""

_PAUSE = 100_000_000
"""Cycles of a GPU, some 50 ms: the Python of a step is over sooner."""


@dataclass(frozen=True)
class Step:
    """The `bytes` of weights that one step reads: of a table the rows that it takes, of what is
    held by several modules once. Its kernels took `in_kernels` of the `whole` step, in seconds;
    a GPU's are counted apart from the step, which has no `whole`."""

    bytes: int
    in_kernels: float
    whole: float | None

    def kernels_ms(self, token_ms: float) -> float:
        """Of a token that takes `token_ms`, what kernels take."""
        share = self.in_kernels / (self.whole or token_ms / 1000)
        return min(1.0, share) * token_ms


def look_into(
    model: nn.Module,
    steps: Iterator[Tensor],
    device: torch.device,
    reference: nn.Module | None = None,
    compute: str = "",
) -> Step | None:
    """One or two of the `steps` of `model`, which is on `device`; None where there is no room for
    them, where numbers go too far in them, or where kernels can't be timed.

    What is known of the `reference`, whose variant the model is, and of other variants that compute
    in the same format, is not looked for again.
    """
    of = _MODELS.setdefault(model if reference is None else reference, _Known())
    try:
        if device.type == "cpu":
            return _on_cpu(model, steps, of, compute)
        return _on_cuda(model, steps, of) if device.type == "cuda" else None
    except (StopIteration, ArithmeticError):
        return None


@dataclass(eq=False)
class _Known:
    """What is the same for all variants of a model: the modules that run in a step, by name, and of
    tables the share that is read; and seconds of operators outside of layers, by what is computed
    in."""

    ran: dict[str, float] = field(default_factory=dict)
    others: dict[str, float] = field(default_factory=dict)


_MODELS: WeakKeyDictionary[nn.Module, _Known] = WeakKeyDictionary()


def _on_cpu(model: nn.Module, steps: Iterator[Tensor], of: _Known, compute: str) -> Step:
    seen = _Seen()
    with _hooked(filter(_is_product, model.modules()), seen.enter, seen.leave):
        start = perf_counter()
        next(steps)
        whole, in_layers = perf_counter() - start, seen.in_layers
        if compute not in of.others:
            with _running(model) as ran, seen.operators():
                next(steps)
            of.ran, of.others[compute] = ran, seen.in_others
    return Step(_read(model, of.ran), in_layers + of.others[compute], whole)


def _on_cuda(model: nn.Module, steps: Iterator[Tensor], of: _Known) -> Step | None:
    """The last layer that holds a matrix is the head, after which a token is chosen, and waited
    for. None where the pause was over before all kernels were in line."""
    if not of.ran:
        with _running(model) as ran:
            next(steps)
        of.ran = ran
    line = _Line()
    with _hooked(filter(_is_product, model.modules()), None, line.note):
        next(steps)
    return Step(_read(model, of.ran), line.seconds, None) if line.was_long_enough else None


class _Seen(TorchDispatchMode):
    """Seconds in layers that hold matrices and, meanwhile `operators`, in those outside of them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.in_layers = 0.0
        self._began = 0.0
        self._took: dict[Any, list[float]] = defaultdict(list)
        self._wanted = self._passing = False

    @contextmanager
    def operators(self) -> Iterator[None]:
        """Time them meanwhile."""
        self._wanted = True
        self._let_pass(True)
        try:
            yield
        finally:
            self._wanted = False
            self._let_pass(False)

    def enter(self, *_: object) -> None:
        """A layer begins."""
        self._let_pass(False)
        self._began = perf_counter()

    def leave(self, *_: object) -> None:
        """It is through."""
        self.in_layers += perf_counter() - self._began
        self._let_pass(self._wanted)

    def _let_pass(self, wanted: bool) -> None:
        """Whether operators pass by here, which slows down whatever is made of them."""
        if wanted and not self._passing:
            self.__enter__()  # type: ignore[no-untyped-call]
        elif self._passing and not wanted:
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        self._passing = wanted

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        start = perf_counter()
        out = func(*args, **(kwargs or {}))
        self._took[func].append(perf_counter() - start)
        return out

    @property
    def in_others(self) -> float:
        """The median of each operator counts for all of its calls: the first one may be slow."""
        views = [seconds for func, took in self._took.items() if func.is_view for seconds in took]
        way = median(views) if views else 0.0
        kernels = [took for func, took in self._took.items() if not func.is_view]
        return sum(len(took) * max(0.0, median(took) - way) for took in kernels)


class _Line:
    """Kernels that wait in line on a GPU until a pause is over."""

    def __init__(self) -> None:
        self._begun, self._ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.was_long_enough = True
        torch.cuda.synchronize()
        torch.cuda._sleep(_PAUSE)
        self._begun.record()

    def note(self, *_: object) -> None:
        """All so far is in line."""
        self._ended.record()
        self.was_long_enough = not self._begun.query()

    @property
    def seconds(self) -> float:
        """From the end of the pause to the last note."""
        self._ended.synchronize()
        milliseconds: float = self._begun.elapsed_time(self._ended)
        return milliseconds / 1000


@contextmanager
def _hooked(
    modules: Iterable[nn.Module],
    before: Callable[..., None] | None,
    after: Callable[..., None],
) -> Iterator[None]:
    """Call these before and after each of the modules, meanwhile."""
    with ExitStack() as hooks:
        for module in modules:
            if before is not None:
                hooks.enter_context(module.register_forward_pre_hook(before))
            hooks.enter_context(module.register_forward_hook(after))
        yield


@contextmanager
def _running(model: nn.Module) -> Iterator[dict[str, float]]:
    """The modules with weights that run meanwhile, by name, and the share of them that is read: of
    a table the rows that are taken."""
    ran: dict[str, float] = defaultdict(float)
    names = {module: name for name, module in model.named_modules() if _weights(module)}

    def note(module: nn.Module, args: tuple[Any, ...], _: object) -> None:
        share = 1.0
        if isinstance(module, nn.Embedding | QEmbedding):
            share = args[0].numel() / module.num_embeddings
        ran[names[module]] = max(ran[names[module]], share)

    with _hooked(names, None, note):
        yield ran


def _read(model: nn.Module, ran: Mapping[str, float]) -> int:
    """The bytes that these modules read of each memory that weights lie in, added up."""
    read: dict[object, int] = defaultdict(int)
    for name, share in ran.items():
        for weight in _weights(model.get_submodule(name)):
            memory = memory_of(weight)
            read[memory] = max(read[memory], round(share * weight.nbytes))
    return sum(read.values())


def _weights(module: nn.Module) -> list[Tensor]:
    """What it holds itself; without torch's own way through all that it might hold, which is
    slow."""
    found: list[Tensor] = [weight for weight in module._parameters.values() if weight is not None]
    for held in module._modules.values():
        if isinstance(held, QParameter):  # which is not called, but read by this
            found += _weights(held)
        elif isinstance(held, QWeight):
            found += held.tensors.values()
    return found


def _is_product(module: nn.Module) -> bool:
    """Whether it is a layer that holds a matrix, and no more than that."""
    reads = any(isinstance(child, QParameter) for child in module._modules.values())
    if reads or isinstance(module, QModule):
        return True
    return not module._modules and any(weight.ndim > 1 for weight in _weights(module))


def bandwidth(size: int, device: torch.device) -> float:
    """Bytes a second that `device` reads of a block of about `size` bytes, between 1 and 256 MiB,
    which it reads again and again, with as many of torch's threads as there are for the caller.

    So what has room in a cache is read out of that, as the weights of a small model are. Measured
    once in a process for each power of two, in 10 to 100 ms: the best of five.
    """
    power = min(max(round(math.log2(max(1, size))), _BLOCKS[0]), _BLOCKS[-1])
    return _bandwidth(2**power, device, torch.get_num_threads())


@cache
def _bandwidth(block: int, device: torch.device, threads: int) -> float:
    memory = torch.ones(block // 4, device=device)
    return block / min(_seconds(memory) for _ in range(5))


def _seconds(memory: Tensor) -> float:
    if memory.is_cuda:
        line = _Line()
        memory.sum()
        line.note()
        return line.seconds
    start = perf_counter()
    memory.sum().item()
    return perf_counter() - start
