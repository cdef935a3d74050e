"""What the pages of the lab begin with is what is computed now, and stands in their components."""

import json

import gradio as gr
import pytest

from qdemo.ui import beginning, dashboard, parts

CLOSE = 1e-5
"""Another processor may add up in another order."""


@pytest.fixture(scope="module")
def built():
    return dashboard.build()


def kept():
    return json.loads(beginning.FILE.read_text(encoding="utf-8"))["pages"]


def same(found, wanted):
    """The same words and structure, with numbers that are close."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(
            same(found[key], wanted[key]) for key in wanted
        )
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, float):
        return found == pytest.approx(wanted, rel=CLOSE, abs=CLOSE)
    return found == wanted


def read(text):
    """A chart as it is drawn; HTML as it is."""
    return json.loads(text) if text.startswith("{") else text


def test_what_was_computed_earlier_is_what_is_computed_now(built):
    now = beginning.computed()
    assert {page: set(values) for page, values in now.items()} == {
        page: set(values) for page, values in kept().items()
    }
    for page, values in now.items():
        for name, text in values.items():
            assert same(read(text), read(kept()[page][name])), f"{name} of {page}"


def test_the_components_of_a_page_have_it_before_anyone_opens_it(built):
    found = {
        (f"/{block.page}", block.elem_id): block.value
        for block in built.blocks.values()
        if isinstance(block, gr.HTML | gr.Plot)
    }
    for page, values in kept().items():
        for name, text in values.items():
            value = found[page, name]
            assert (value if isinstance(value, str) else value["plot"]) == text


@pytest.fixture
def elsewhere(monkeypatch):
    """Where the page speaks another language than what was computed earlier."""
    monkeypatch.setattr(beginning, "language", lambda: "eo")
    monkeypatch.setattr(beginning, "_COMPUTED", {})
    beginning._kept.cache_clear()
    yield
    beginning._kept.cache_clear()


@pytest.mark.usefixtures("elsewhere")
def test_a_page_in_another_language_computes_it_when_it_is_opened():
    with gr.Blocks() as blocks:
        pass
    with blocks.route("Casting", "/casting"):
        part = parts.html("", "cast-logits")
        beginning.begin(blocks, [part], lambda: "computed")
    assert part.value == ""
    assert [fn.fn() for fn in blocks.fns.values()] == ["computed"]
