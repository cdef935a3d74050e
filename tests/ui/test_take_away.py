from pathlib import Path

import gradio as gr
import pytest

from qdemo.ui import example, take_away
from qdemo.views.files import WRITERS, file_name
from tests.views.documents import compared


@pytest.fixture(scope="module")
def writing():
    """What the buttons do, by the ending of the file."""
    with gr.Blocks() as blocks:
        part = take_away.build()
        take_away.connect(part, gr.State(None), lambda document: document or example.example())
    pressed = [fn.fn for fn in blocks.fns.values() if fn.outputs == [part.file]]
    return dict(zip(part.buttons, pressed, strict=True))


def test_there_is_a_button_for_every_kind_of_file(writing):
    assert list(writing) == list(WRITERS)


@pytest.mark.parametrize("ending", WRITERS)
def test_a_button_writes_the_document_that_is_shown(writing, ending):
    document = compared(("bf16",))
    path = Path(writing[ending](document))
    assert path.name == file_name(document, ending)
    assert same(path.read_bytes().decode(), WRITERS[ending](document))


def test_before_any_comparison_it_is_the_example(writing):
    path = Path(writing["json"](None))
    assert path.read_text(encoding="utf-8") == WRITERS["json"](example.example())


def same(one, other):
    """plotly numbers its places anew each time, so of a page only the length is compared."""
    return len(one) == len(other) if one.startswith("<!doctype html>") else one == other
