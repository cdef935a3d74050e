"""Rounds in which all ways take turns, and what can be said of them on a machine that others share.

Ratios are taken within each round, so that a slow phase, which hits every way of its round, leaves
them as they are. Another program on one of the cores does not leave them alone: every parallel
region waits for it, 2 to 12 ms whatever is computed, so that small products look slow and large
ones don't. A small parallel product before and after each way notices that, and the way takes its
turn again.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch

STALLED, BUSY = 10, 0.2
"""A parallel product that takes so many times the least it ever took was waiting for a core; a
phase is busy where such ones take more than that share of the time. With every core free they take
0 to 0.1 of it, with another program that computes all the time 0.33 and more."""

_LOOK = 0.02  # seconds that a look lasts, as a core is taken for 8 to 16 ms at a time
_TRIES = 3  # of a way in one round
_BREATH = 0.1  # seconds to wait in a busy phase before looking again
_MOST = 1 << 28  # floats, 1 GiB: no cache holds that

Way = Callable[..., object]


def seconds(way: Callable[[], object]) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Spread:
    """The median of some ratios, with their quartiles."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, ratios: list[float]) -> "Spread":
        if len(ratios) == 1:
            return cls(*(3 * ratios))
        lower, middle, upper = statistics.quantiles(ratios, n=4, method="inclusive")
        return cls(middle, lower, upper)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lower:.2f}–{self.upper:.2f})"


@dataclass(frozen=True)
class Rounds:
    """The seconds of each way in each round. `repeated` turns were taken again as a core was busy;
    `busy` ones are among those of the rounds, as there was no end of it."""

    taken: tuple[Mapping[str, float], ...]
    repeated: int = 0
    busy: int = 0

    def median(self, name: str) -> float:
        return statistics.median(each[name] for each in self.taken)

    def ratio(self, name: str, first: str) -> Spread:
        """Of `name` to `first` within each round."""
        return Spread.of([each[name] / each[first] for each in self.taken])


class Tally:
    """All turns of a run, those taken again, and those kept though a core was busy."""

    def __init__(self):
        self.turns = self.repeated = self.busy = 0

    def add(self, found: Rounds) -> None:
        self.turns += sum(map(len, found.taken))
        self.repeated += found.repeated
        self.busy += found.busy

    def __str__(self) -> str:
        kept = f", {self.busy} kept though it was" if self.busy else ""
        return f"{self.turns} turns, {self.repeated} taken again as a core was busy{kept}"


TALLY = Tally()


def interleaved(
    ways: Mapping[str, Way],
    rounds: int,
    ready: Callable[[str], object] | None = None,
    is_busy: Callable[[], bool] | None = None,
    patience: float = 5,
) -> Rounds:
    """So many rounds of all `ways`, after one that is not counted.

    A way is called with what `ready` gives for its name, made before its time begins. `patience` is
    how many seconds all turns together wait for quiet ones.
    """
    turns = _Turns(is_busy or probe(), patience)

    def turn(name):
        given = () if ready is None else (ready(name),)
        return seconds(lambda: ways[name](*given))

    for name in ways:
        turn(name)
    taken = [
        {name: turns.quiet(lambda name=name: turn(name)) for name in ways} for _ in range(rounds)
    ]
    done = Rounds(tuple(taken), turns.repeated, turns.busy)
    TALLY.add(done)
    return done


class _Turns:
    """Turns that are taken again, so many times at most, where a core was busy around them."""

    def __init__(self, is_busy: Callable[[], bool], patience: float):
        self.is_busy, self.patience = is_busy, patience
        self.repeated = self.busy = 0

    def quiet(self, turn: Callable[[], float]) -> float:
        """The seconds of the first turn with quiet before and after it, or of the last."""
        for left in reversed(range(_TRIES)):
            was_quiet = self._waited()
            took = turn()
            if was_quiet and not self.is_busy():
                break
            self.repeated += left > 0
            self.busy += left == 0
        return took

    def _waited(self) -> bool:
        """Whether it was quiet before the patience was gone."""
        while self.is_busy():
            if self.patience <= 0:
                return False
            self.patience -= _BREATH
            time.sleep(_BREATH)
        return True


def medians(ways: Mapping[str, Way], rounds: int) -> dict[str, float]:
    """The median seconds of each of `ways`, by name."""
    found = interleaved(ways, rounds)
    return {name: found.median(name) for name in ways}


class Probe:
    """Whether another program holds one of the cores, seen by a parallel product of 75 µs."""

    def __init__(self):
        self.x, self.weight = torch.ones(16, 512), torch.ones(512, 512)
        self.least = float("inf")

    def __call__(self) -> bool:
        taken, end = [], time.perf_counter() + _LOOK
        while time.perf_counter() < end:
            taken.append(seconds(self._product))
        self.least = min(self.least, *taken)
        stalled = sum(took for took in taken if took > STALLED * self.least)
        return stalled > BUSY * sum(taken)

    def _product(self) -> None:
        torch.mm(self.x, self.weight)


@cache
def probe() -> Probe:
    """The one probe of this process, which remembers the least."""
    return Probe()


def bandwidth() -> float:
    """Bytes a second that all threads together read from memory."""
    memory = torch.ones(_MOST)
    return memory.nbytes / medians({"read": memory.sum}, rounds=5)["read"]
