"""One table: each line a task and a way to do it, beside the task's first way."""

import os
import platform
from dataclasses import asdict, dataclass

import torch


@dataclass(frozen=True)
class Line:
    """What was measured: `seconds` is a median. `ratio` is to the first way of the same task.

    `limit` is the least that the machine can take, in seconds, where it is known; `goal` the most
    that is aimed at, in the unit that it says.
    """

    task: str
    how: str
    seconds: float
    ratio: float | None = None
    held: int | None = None
    limit: float | None = None
    goal: str = ""


HEADS = ("task", "how", "ms", "ratio", "MB held", "limit, ms", "goal")


def cells(line):
    return (
        line.task,
        line.how,
        _number(1000 * line.seconds),
        "" if line.ratio is None else f"{line.ratio:.2f}",
        "" if line.held is None else f"{line.held / 1e6:.1f}",
        "" if line.limit is None else _number(1000 * line.limit),
        line.goal,
    )


def as_markdown(lines):
    rows = [HEADS, *map(cells, lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ruled = [rows[0], tuple("-" * width for width in widths), *rows[1:]]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in ruled
    )


def as_document(lines, machine):
    return {"machine": machine, "lines": [asdict(line) for line in lines]}


def machine(bandwidth):
    """What it ran on."""
    cpu = torch.cpu.get_capabilities()
    return {
        "cpu": cpu.get("cpu_name") or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "int8 instructions": bool(cpu.get("avx512_vnni") or cpu.get("avx_vnni_int8")),
        "reads, GB/s": round(bandwidth / 1e9, 1),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}"
