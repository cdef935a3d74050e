"""The machine that a table is of: what it is called, and what matters of it."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

CPUINFO, CACHES = Path("/proc/cpuinfo"), Path("/sys/devices/system/cpu/cpu0/cache")
SETS = (
    "avx2", "f16c", "avx512_f", "avx512_bf16", "avx512_fp16", "avx_vnni", "avx512_vnni",
    "avx512_vbmi", "amx_int8", "amx_bf16", "neon", "dot", "i8mm", "sve", "sve2",
)  # fmt: skip
"""Instruction sets that the kernels' speed depends on, as torch calls them."""


@dataclass(frozen=True)
class Machine:
    """`caches` are of the first core, in bytes, as the system tells them; empty where it doesn't.
    `bandwidth` is bytes a second, read from memory by all threads."""

    cpu: str
    cores: int
    caches: tuple[tuple[str, int], ...]
    sets: tuple[str, ...]
    threads: int
    bandwidth: float
    torch: str = torch.__version__
    python: str = platform.python_version()

    @property
    def heading(self) -> str:
        """What tells this machine from another: CPU, cores and the last cache."""
        last = "".join(f", {size_of(size)} of {name}" for name, size in self.caches[-1:])
        return f"{self.cpu}, {counted(self.cores, 'core')}{last}"

    def told(self) -> str:
        caches = ", ".join(f"{name} {size_of(size)}" for name, size in self.caches)
        parts = (
            caches and f"caches {caches}",
            self.sets and f"instruction sets {', '.join(self.sets)}",
            f"memory read at {self.bandwidth / 1e9:.1f} GB/s",
            f"{counted(self.threads, 'thread')}, torch {self.torch}, Python {self.python}",
        )
        return "; ".join(part for part in parts if part) + "."


def this(bandwidth: float) -> Machine:
    """The machine at hand."""
    can = torch.cpu.get_capabilities()
    text = CPUINFO.read_text() if CPUINFO.exists() else ""
    return Machine(
        cpu_of(text) or str(can.get("cpu_name") or platform.machine()),
        os.cpu_count() or 1,
        caches_of(CACHES),
        tuple(name for name in SETS if can.get(name)),
        torch.get_num_threads(),
        bandwidth,
    )


def cpu_of(text: str) -> str:
    """The name in the text of /proc/cpuinfo, with the numbers that tell generations apart where a
    host hides the full name: "AMD EPYC (family 26, model 2)". Empty where there is none, as on ARM.
    """
    pairs = (line.partition(":") for line in text.splitlines())
    told: dict[str, str] = {}
    for key, _, value in pairs:
        told.setdefault(key.strip(), value.strip())
    if "model name" not in told:
        return ""
    numbers = [f"{as_} {told[key]}" for key, as_ in (("cpu family", "family"), ("model", "model"))
               if key in told]  # fmt: skip
    return told["model name"] + (f" ({', '.join(numbers)})" if numbers else "")


def caches_of(folder: Path) -> tuple[tuple[str, int], ...]:
    """Each data cache of Linux's folder of a core: ("L1d", 49152), ("L2", …), ("L3", …)."""
    found = []
    for index in sorted(folder.glob("index*")):
        level, kind, size = (
            (index / name).read_text().strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            found.append((f"L{level}{'d' * (kind == 'Data')}", 1024 * int(size.removesuffix("K"))))
    return tuple(sorted(found))


def size_of(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count >= 1 << 20 else f"{count / 2**10:.0f} KiB"


def counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
