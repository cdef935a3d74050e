"""The memory that a comparison of a model needs, and the memory that is free: the machine's, its
container's, or a GPU's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qdemo.models.availability import UnavailableError
from qdemo.models.catalogue import Entry
from qdemo.spec.messages import say

if TYPE_CHECKING:
    import torch

_AROUND = 600_000_000  # bytes beside the weights: activations, logits, one tensor being converted
_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


def needed_bytes(parameters: int) -> int:
    """For fp32 and the largest variant beside it, 16 bits a parameter, and what computing takes."""
    weights = (4 + 2) * parameters
    return weights + min(_AROUND, weights)


def check_memory(entry: Entry, parameters: int, device: torch.device | str = "cpu") -> None:
    """Whether a model of so many parameters can be compared now, on that device.

    Raises:
        UnavailableError: there is not enough memory free; says what is needed, and what is free.
    """
    needed = needed_bytes(parameters)
    if str(device).startswith("cuda"):
        check_free(entry, f"memory on {device}", needed, free_on_cuda(device))
    else:  # Apple's GPU shares the machine's
        check_free(entry, "memory", needed, free_bytes())


def check_free(entry: Entry, what: str, needed: int, free: int | None) -> None:
    """Whether there is as much as `entry` needs; None passes, as nobody knows.

    Raises:
        UnavailableError: there is not.
    """
    if free is not None and needed > free:
        raise UnavailableError(
            say(
                "{name} needs {needed:.2f} GB of {what}; {free:.2f} GB are free here",
                name=entry.name,
                needed=needed / 1e9,
                what=what,
                free=free / 1e9,
            )
        )


def free_on_cuda(device: torch.device | str) -> int:
    """What this process may still take of a GPU: what nobody has, and what torch has set aside
    and does not use."""
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free + unused


def free_bytes(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int | None:
    """What this process may still take, of the machine or its container; None where none tells."""
    return min([*_of_machine(proc), *_of_container(cgroup)], default=None)


def _of_machine(proc: Path) -> Iterator[int]:
    try:
        lines = (proc / "meminfo").read_text().splitlines()
    except OSError:  # not Linux
        return
    yield from (1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


def _of_container(cgroup: Path) -> Iterator[int]:
    """Version 2 of control groups, then version 1; what is cached of files can be taken back."""
    for folder, most, used in (
        (cgroup, "memory.max", "memory.current"),
        (cgroup / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            limit, held = (folder / most).read_text(), (folder / used).read_text()
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except OSError:
            continue
        if limit.strip().isdigit():  # else "max"
            yield int(limit) - int(held) + int(stat.get("inactive_file", 0))
