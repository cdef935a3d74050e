"""llvmlite is asked for where it has a wheel, and nowhere else: there pip would try to build it."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement

LINES = (Path(__file__).parents[2] / "requirements.txt").read_text().splitlines()
LLVMLITE = next(Requirement(line) for line in LINES if line.startswith("llvmlite"))
LINUX = {
    "implementation_name": "cpython", "python_version": "3.11", "sys_platform": "linux",
    "platform_machine": "x86_64",
}  # fmt: skip
MAC = {"sys_platform": "darwin", "platform_machine": "arm64"}
WINDOWS = {"sys_platform": "win32", "platform_machine": "AMD64"}


@pytest.mark.parametrize(
    "other",
    [{}, {"python_version": "3.15"}, {"platform_machine": "aarch64"}, MAC, WINDOWS],
)
def test_asked_for_where_there_is_a_wheel(other):
    assert LLVMLITE.marker.evaluate(LINUX | other)


@pytest.mark.parametrize(
    "other",
    [
        {"python_version": "3.16"}, {"platform_machine": "riscv64"}, {"platform_machine": "i686"},
        {"implementation_name": "pypy"}, MAC | {"platform_machine": "x86_64"},
        {"sys_platform": "freebsd14"}, WINDOWS | {"platform_machine": "x86"},
    ],
)  # fmt: skip
def test_left_out_where_there_is_none(other):
    assert not LLVMLITE.marker.evaluate(LINUX | other)
