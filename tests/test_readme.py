"""What the README shows is what the commands print. (Its Python examples run as doctests.)"""

import re
from pathlib import Path

import pytest

from qdemo.__main__ import main

README = (Path(__file__).parent.parent / "README.md").read_text()
CONSOLE = re.findall(r"```console\n\$ .venv/bin/python -m qdemo (.*)\n((?:.|\n)*?)```", README)


@pytest.mark.parametrize(("command", "output"), CONSOLE, ids=[c for c, _ in CONSOLE])
def test_a_command_prints_what_the_readme_shows(command, output, capsys):
    assert main(command.split()) == 0
    assert capsys.readouterr().out == output


def test_there_are_commands_to_check():
    assert CONSOLE
    assert README.count("```console") == len(CONSOLE)
