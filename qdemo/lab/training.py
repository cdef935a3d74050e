"""A small classifier trained in fp32, rounded, and trained on through the rounding.

Two spirals that wind around each other, a network of two hidden layers. Its weights are rounded to
few bits after training; then it is trained on with the rounding in the forward pass, whose gradient
is passed straight through (Bengio et al., 2013, arXiv 1308.3432).
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qdemo.compress.convert import quantize
from qdemo.compress.modules import QLinear
from qdemo.lab.dummy import drawn_from

FP32_STEPS = 600
STEPS = 200
"""In fp32, and then through the rounding."""

CELLS = 40
EDGE = 1.1
"""The square that is looked at reaches so far from 0: all points are in it."""

_POINTS = 400
_WIDTH = 16
_RATE = 0.01
_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is known after so many steps.

    `losses` by way of training, one value a step, of the first way from step 0 and of the others
    from step `FP32_STEPS` on; `flips` counts the integers that became another
    one at each step of training through rounding; `integers` are the first rows and columns of
    the second layer's, `flipped` marks those that the last step changed. `learned` is what each
    network makes of the plane now, by the same names as `losses`.
    """

    losses: dict[str, list[float]]
    flips: list[int]
    integers: Tensor
    flipped: Tensor
    learned: dict[str, Learned]
    finished: bool = False


@dataclass(frozen=True, eq=False)
class Learned:
    """What a network makes of the plane: `grid` (40, 40) is the probability of the second spiral
    at the middle of each cell of a square from −1.1 to 1.1, the first row lowest; `accuracy` is
    the share of the points that it is right on, `loss` their mean cross entropy in nats."""

    grid: Tensor
    accuracy: float
    loss: float


def middles() -> Tensor:
    """Where the cells of a grid have their middle, on either axis (40,)."""
    return (torch.arange(CELLS) + 0.5) * (2 * EDGE / CELLS) - EDGE


@torch.no_grad()
def learned(model: nn.Module, points: Tensor, spiral: Tensor) -> Learned:
    """What a network has learned of points (N, 2) and of the plane around them."""
    y, x = torch.meshgrid(middles(), middles(), indexing="ij")
    cells = model(torch.stack([x, y], -1).reshape(-1, 2)).softmax(-1)[:, 1]
    logits = model(points)
    right = (logits.argmax(-1) == spiral).double().mean().item()
    loss = nn.functional.cross_entropy(logits, spiral).item()
    return Learned(cells.reshape(CELLS, CELLS), right, loss)


def data(seed: int) -> tuple[Tensor, Tensor]:
    """Points (400, 2) on two spirals, a little beside them, and which spiral each is on (400,)."""
    generator = torch.Generator().manual_seed(seed)
    along = torch.rand(_POINTS, generator=generator).sqrt() * 3 * torch.pi
    spiral = torch.arange(_POINTS) % 2
    angle = along + torch.pi * spiral
    points = torch.stack([along * angle.cos(), along * angle.sin()], 1) / 10
    return points + 0.02 * torch.randn(points.shape, generator=generator), spiral


def names(bits: int) -> tuple[str, str, str]:
    """The three ways of training, in the order in which they are taught."""
    return "fp32", f"int{bits}, rounded after training", f"int{bits}, trained through rounding"


def lessons(bits: int, seed: int, every: int = 20) -> Generator[Lesson]:
    """Train in fp32, then on through rounding to `bits`; a Lesson every so many steps, in fp32
    after three times as many."""
    points, spiral = data(seed)
    model = network(seed)
    fp32: list[float] = []
    nothing = torch.zeros(_SHOWN, _SHOWN, dtype=torch.int64)
    for step, loss in enumerate(_train(model, points, spiral, FP32_STEPS)):
        fp32.append(loss)
        if step % (3 * every) == 0:
            seen = {"fp32": learned(model, points, spiral)}
            yield Lesson({"fp32": list(fp32)}, [], nothing, nothing.bool(), seen)
    yield from _through_rounding(model, points, spiral, bits, fp32, every)


def _through_rounding(
    model: nn.Sequential, points: Tensor, spiral: Tensor, bits: int, fp32: list[float], every: int
) -> Iterator[Lesson]:
    low = copy.deepcopy(model)
    quantize(low, f"int{bits}")
    ways = names(bits)
    seen = [learned(model, points, spiral), learned(low, points, spiral)]
    before = _integers(low)
    through: list[float] = []
    flips: list[int] = []
    for step, loss in enumerate(_train(low, points, spiral, STEPS)):
        now = _integers(low)
        through.append(loss)
        flips.append(int((now != before).sum()))
        flipped, before = now != before, now
        if (step + 1) % every == 0:
            level = list(fp32), [through[0]] * len(through), list(through)
            shown = now[:_SHOWN, :_SHOWN], flipped[:_SHOWN, :_SHOWN]
            yield Lesson(
                dict(zip(ways, level, strict=True)), list(flips), *shown,
                dict(zip(ways, [*seen, learned(low, points, spiral)], strict=True)),
                finished=step + 1 == STEPS,
            )  # fmt: skip


def network(seed: int) -> nn.Sequential:
    """Two hidden layers of 16; the random state outside is left as it was."""
    with drawn_from(seed):
        return nn.Sequential(
            nn.Linear(2, _WIDTH), nn.Tanh(),
            nn.Linear(_WIDTH, _WIDTH), nn.Tanh(),
            nn.Linear(_WIDTH, 2),
        )  # fmt: skip


def _train(model: nn.Module, points: Tensor, spiral: Tensor, steps: int) -> Iterator[float]:
    """The loss before each of `steps` steps of Adam on all points."""
    optimizer = torch.optim.Adam(model.parameters(), _RATE)
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(points), spiral)
        yield loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _integers(model: nn.Sequential) -> Tensor:
    """The integers of the second layer as they would be stored now, (16, 16)."""
    layer = model[2]
    assert isinstance(layer, QLinear)
    return layer.qweight.data.to(torch.int64)
