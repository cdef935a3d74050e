"""Rounds in which all ways take turns, and what can be said of them on a machine that others share.

Ratios are taken within each round, so that a slow phase, which hits every way of its round, leaves
them as they are. Another program on one of the cores does not leave them alone: every parallel
region waits for it, about 2 ms whatever is computed, so that small products look slow and large
ones don't. A small parallel product before and after each round notices that, and such rounds are
taken again.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch

BUSY = 3
"""A parallel product that takes more than so many times the least it ever took waits for a core."""

_PROBES = 40
_BREATH = 0.2  # seconds to wait in a busy phase before looking again
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
    """The seconds of each way in each round; `repeated` rounds of a busy phase are not among them,
    `busy` ones are, as there was no end of it."""

    taken: tuple[Mapping[str, float], ...]
    repeated: int = 0
    busy: int = 0

    def __iter__(self):
        return iter(self.taken[0])

    def median(self, name: str) -> float:
        return statistics.median(each[name] for each in self.taken)

    def ratio(self, name: str, first: str) -> Spread:
        """Of `name` to `first` within each round."""
        return Spread.of([each[name] / each[first] for each in self.taken])


class Tally:
    """All rounds of a run, those taken again and those kept though others were busy."""

    def __init__(self):
        self.rounds = self.repeated = self.busy = 0

    def add(self, found: Rounds) -> None:
        self.rounds += len(found.taken)
        self.repeated += found.repeated
        self.busy += found.busy

    def __str__(self) -> str:
        kept = f", {self.busy} more kept though busy" if self.busy else ""
        return f"{self.repeated} rounds repeated for a busy core{kept}, {self.rounds} counted"


TALLY = Tally()


def interleaved(
    ways: Mapping[str, Way],
    rounds: int,
    ready: Callable[[str], object] | None = None,
    is_busy: Callable[[], bool] | None = None,
) -> Rounds:
    """So many rounds of all `ways`, after one that is not counted.

    A way is called with what `ready` gives for its name, made before its time begins. A round with
    a busy phase before or after it is taken again, as many times in all as there are rounds.
    """
    is_busy = is_busy or probe()
    taken, repeated, busy = [], 0, 0
    _round(ways, ready)
    while len(taken) < rounds:
        before = is_busy()
        found = _round(ways, ready)
        if before or is_busy():
            if repeated < rounds:
                repeated += 1
                time.sleep(_BREATH)
                continue
            busy += 1
        taken.append(found)
    found = Rounds(tuple(taken), repeated, busy)
    TALLY.add(found)
    return found


def _round(ways: Mapping[str, Way], ready: Callable[[str], object] | None) -> dict[str, float]:
    taken = {}
    for name, way in ways.items():
        given = () if ready is None else (ready(name),)
        taken[name] = seconds(lambda way=way, given=given: way(*given))
    return taken


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
        taken = sorted(seconds(self._product) for _ in range(_PROBES))
        self.least = min(self.least, taken[0])
        # Without the slowest, which once in a while are the system's own.
        return statistics.mean(taken[:-2]) > BUSY * self.least

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
