"""What the README shows is what the commands print. (Its Python examples run as doctests.)"""

import re
import shlex
from pathlib import Path

import pytest

from qdemo.__main__ import main
from qdemo.models.catalogue import CATALOGUE
from qdemo.spec.model_card import card_of
from qdemo.ui.pages import about
from qdemo.views.numbers import bounds
from tests.browser.conftest import serving

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONSOLE = re.findall(r"```console\n\$ .venv/bin/python -m qdemo (.*)\n((?:.|\n)*?)```", README)

API = re.findall(r"```python\n(from gradio_client.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)


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
    if command.startswith(("compare", "evaluate")):
        assert firm(printed) == firm(output)
    else:
        assert printed == output


@pytest.mark.parametrize("model", ["t5-tiny", "blip-tiny"])
def test_the_figures_are_those_of_the_card(model):
    card = (ROOT / "assets" / "models" / model / "README.md").read_text()
    (total,) = re.findall(r"^\| \*\*all\*\* \| (.*)$", card, re.MULTILINE)
    assert f"| {model} | {total}" in README


def test_the_api_answers_what_the_readme_shows(capsys):
    ((program, output),) = API
    with serving("app.py") as url:
        exec(program.replace("http://127.0.0.1:7860", url), {})
    assert capsys.readouterr().out == output


def front_matter():
    return dict(re.findall(r"^(\w+): *(.*)$", README.split("---\n")[1], re.MULTILINE))


def test_a_space_gets_what_the_requirements_ask_for():
    front, requirements = front_matter(), (ROOT / "requirements.txt").read_text()
    assert f"gradio=={front['sdk_version']}\n" in requirements
    assert (ROOT / front["app_file"]).exists()
    assert len(front["short_description"]) <= 60


def test_a_space_fetches_the_commit_that_the_catalogue_pins():
    for name, revision in re.findall(r"^- (\S+) \S+ ([0-9a-f]{40})$", README, re.MULTILINE):
        assert CATALOGUE[name].revision == revision


def test_the_about_page_finds_its_sections():
    assert all(about.section(title) for title in about.SECTIONS)
    assert "It **is** a small, exact implementation" in about.introduction()


def test_there_are_commands_to_check():
    assert CONSOLE
    assert README.count("```console") == len(CONSOLE)


def test_methods_on_the_card_are_counted_as_they_are_kept():
    folder = ROOT / "assets" / "models" / "t5-tiny"
    card, kept = (folder / "README.md").read_text(), card_of("t5-tiny").counts
    rows = re.findall(r"^\| (\S+) \| .* \| ([\d.]+) \| ([\d.]+ to [\d.]+) \|$", card, re.MULTILINE)
    assert {"int2", "int2-mse", "int2-g64-affine-mse-gptq", "nf4-g64-dq", "q4_k"} < dict(
        row[:2] for row in rows
    ).keys()
    for format, share, interval in rows:
        assert share == f"{100 * kept[format].share:.1f}"
        assert interval == " to ".join(bounds(*kept[format].interval, decimals=1))
