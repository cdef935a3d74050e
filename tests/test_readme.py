"""What the README shows is what the commands print. (Its Python examples run as doctests.)"""

import re
import shlex
from pathlib import Path

import pytest

from qdemo.__main__ import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONSOLE = re.findall(r"```console\n\$ .venv/bin/python -m qdemo (.*)\n((?:.|\n)*?)```", README)


def firm(output):
    """What does not depend on the machine: all but times, and differences by their size."""
    rows = [line.split() for line in output.splitlines()]
    return [
        [*row[:3], *(re.sub(r"^[\d.]+(e-?\d+)?$", "", cell) for cell in row[3:])] for row in rows
    ]


@pytest.mark.parametrize(("command", "output"), CONSOLE, ids=[c for c, _ in CONSOLE])
def test_a_command_prints_what_the_readme_shows(command, output, capsys):
    assert main(shlex.split(command)) == 0
    printed = capsys.readouterr().out
    if command.startswith("compare"):
        assert firm(printed) == firm(output)
    else:
        assert printed == output


@pytest.mark.parametrize("model", ["t5-tiny", "blip-tiny"])
def test_the_figures_are_those_of_the_card(model):
    card = (ROOT / "assets" / "models" / model / "README.md").read_text()
    (total,) = re.findall(r"^\| \*\*all\*\* \| (.*)$", card, re.MULTILINE)
    assert f"| {model} | {total}" in README


def test_there_are_commands_to_check():
    assert CONSOLE
    assert README.count("```console") == len(CONSOLE)
