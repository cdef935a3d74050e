"""What is free, as Linux and its containers tell it: files written here."""

import pytest
import torch

from qdemo.models import memory
from qdemo.models.availability import UnavailableError
from qdemo.models.catalogue import CATALOGUE
from qdemo.models.memory import check_free, check_memory, free_bytes, needed_bytes

STAT = "anon 500\ninactive_file 100\nactive_file 7\n"


def write(folder, **files):
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_a_machine_tells_what_is_available(tmp_path):
    write(tmp_path / "proc", meminfo="MemTotal: 9 kB\nMemFree: 3 kB\nMemAvailable:   5 kB\n")
    assert free_bytes(tmp_path / "proc", tmp_path / "none") == 5 * 1024


def test_a_container_may_have_less(tmp_path):
    write(tmp_path / "proc", meminfo="MemAvailable: 5 kB\n")
    files = {"memory__max": "4000\n", "memory__current": "3000\n", "memory__stat": STAT}
    write(tmp_path / "v2", **files)
    assert free_bytes(tmp_path / "proc", tmp_path / "v2") == 4000 - 3000 + 100


def test_a_container_without_a_limit_has_what_the_machine_has(tmp_path):
    write(tmp_path / "proc", meminfo="MemAvailable: 5 kB\n")
    files = {"memory__max": "max\n", "memory__current": "3000\n", "memory__stat": STAT}
    write(tmp_path / "v2", **files)
    assert free_bytes(tmp_path / "proc", tmp_path / "v2") == 5 * 1024


def test_a_container_of_the_first_version(tmp_path):
    files = {
        "memory__limit_in_bytes": "4000\n",
        "memory__usage_in_bytes": "3500\n",
        "memory__stat": STAT,
    }
    write(tmp_path / "v1" / "memory", **files)
    assert free_bytes(tmp_path / "none", tmp_path / "v1") == 600


def test_where_nobody_tells_nothing_is_refused(tmp_path):
    assert free_bytes(tmp_path, tmp_path) is None
    check_free(CATALOGUE["t5-tiny"], "memory", 10**15, None)


def test_too_little_is_told_with_both_figures():
    with pytest.raises(UnavailableError, match=r"needs 2\.00 GB of disk; 1\.50 GB are free"):
        check_free(CATALOGUE["google/flan-t5-small"], "disk", 2_000_000_000, 1_500_000_000)


def test_a_model_needs_itself_a_16_bit_variant_and_room_to_compute():
    assert needed_bytes(77_000_000) == 77_000_000 * 6 + 77_000_000 * 6
    assert needed_bytes(1_000_000_000) == 6_000_000_000 + 600_000_000


SMALL = CATALOGUE["google/flan-t5-small"]


def test_on_the_cpu_and_on_apple_s_gpu_the_machine_s_counts(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1_000_000_000)
    for device in ("cpu", "mps", torch.device("mps")):
        check_memory(SMALL, 77_000_000, device)
        with pytest.raises(UnavailableError, match=r"6\.60 GB of memory; 1\.00 GB are free here"):
            check_memory(SMALL, 1_000_000_000, device)


def test_on_a_gpu_its_own_counts_and_what_torch_has_set_aside(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5_000_000_000, 8_000_000_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2_500_000_000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1_500_000_000)
    check_memory(SMALL, 900_000_000, "cuda")
    said = r"needs 6\.60 GB of memory on cuda:1; 6\.00 GB are free here"
    with pytest.raises(UnavailableError, match=said):
        check_memory(SMALL, 1_000_000_000, torch.device("cuda", 1))
