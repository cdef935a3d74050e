"""One table: each line a task and a way to do it, beside the task's first way and its goal."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.bench.timing import Spread


@dataclass(frozen=True)
class Goal:
    """The most that is aimed at: a ratio to the first way of the task, or milliseconds."""

    most: float
    unit: str = ""

    @classmethod
    def parse(cls, text: str) -> "Goal":
        """Read "≤ 0.62", a ratio, or "≤ 60 ms".

        Raises:
            ValueError: names the text, and what was expected.
        """
        found = re.fullmatch(r"≤ (\d+(?:\.\d+)?)( ms)?", text)
        if found is None:
            raise ValueError(f"the goal is {text!r}, expected such as '≤ 0.62' or '≤ 60 ms'")
        return cls(float(found[1]), (found[2] or "").strip())

    def __str__(self) -> str:
        return f"≤ {self.most:.0f} ms" if self.unit else f"≤ {self.most:.2f}"


@dataclass(frozen=True)
class Line:
    """What was measured: `seconds` is a median, None where there is nothing to measure, of which
    `absent` says why. `ratio` is to the first way of the same task, `spread` the same with its
    quartiles over the rounds.

    `limit` is the least that the machine can take, in seconds, where it is known.
    """

    task: str
    how: str
    seconds: float | None
    ratio: float | None = None
    held: int | None = None
    limit: float | None = None
    goal: Goal | None = None
    spread: Spread | None = None
    absent: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is, as it was measured and not as it is rounded; None without one."""
        if self.goal is None or self.seconds is None:
            return None
        if self.goal.unit:
            return 1000 * self.seconds <= self.goal.most
        if self.ratio is None:
            raise ValueError(f"{self.task}, {self.how}: the goal {self.goal} needs a ratio")
        return self.ratio <= self.goal.most


@dataclass(frozen=True)
class Growth:
    """A table of how something grows: the cells as they are shown."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return grid(self.heads, self.rows)


HEADS = ("task", "how", "ms", "ratio (quartiles)", "MB held", "limit, ms", "goal", "")


def cells(line: Line) -> tuple[str, ...]:
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
    return (
        line.task,
        line.how,
        line.absent if line.seconds is None else number(1000 * line.seconds),
        ratio if line.spread is None else str(line.spread),
        "" if line.held is None else f"{line.held / 1e6:.1f}",
        "" if line.limit is None else number(1000 * line.limit),
        "" if line.goal is None else str(line.goal),
        {None: "", True: "reached", False: "**not reached**"}[line.reached],
    )


def as_markdown(lines: Sequence[Line]) -> str:
    return grid(HEADS, map(cells, lines))


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns line up as plain text too."""
    rows = [heads, *rows]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    ruled = [rows[0], tuple("-" * width for width in widths), *rows[1:]]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in ruled
    )


def goals(lines: Sequence[Line]) -> str:
    """How many goals are reached, and how many there was nothing to measure for."""
    aimed = [line for line in lines if line.goal]
    told = [line.reached for line in aimed if line.seconds is not None]
    absent = f", {len(aimed) - len(told)} not measured" if len(told) < len(aimed) else ""
    return f"{sum(map(bool, told))} of {len(told)} goals reached{absent}."


def number(x: float) -> str:
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}"
