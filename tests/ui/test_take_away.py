from functools import partial
from pathlib import Path

import gradio as gr
import pytest

from qdemo.ui import held, parts, take_away
from qdemo.ui.held import Held
from qdemo.views.files import WRITERS, file_name
from tests.views.documents import Page, compared

ADDRESS = "model=t5-tiny&formats=bf16&input=Hello&run=1"


class Buttons:
    """The part, and what its buttons do, by the ending of the file."""

    def __init__(self):
        self.again = {}  # what is put together again
        with gr.Blocks() as blocks:
            self.shown = parts.unseen("held")
            self.part = take_away.of_comparison()
            components = [self.shown, *self.part.told]
            write = partial(take_away.write, self.part, self.shown, lambda ask: self.again)
            take_away.connect(self.part, self.shown, write, components)
        pressed = [fn.fn for fn in blocks.fns.values() if self.part.file in fn.outputs]
        self.pressed = dict(zip(self.part.buttons, pressed, strict=True))

    def press(self, ending, held):
        return self.pressed[ending](str(held))


@pytest.fixture(scope="module")
def buttons():
    return Buttons()


def kept(number, report):
    found = Held(number, ADDRESS, "t5-tiny", "Hello")
    found.keep(report)
    return found


def test_there_is_a_button_for_every_kind_of_file(buttons):
    assert list(buttons.pressed) == list(WRITERS)


@pytest.mark.parametrize("ending", WRITERS)
def test_a_button_writes_the_report_that_is_shown(buttons, ending):
    report = compared(("bf16",))
    changes = buttons.press(ending, kept("this one", report))
    path = Path(changes[buttons.part.file])
    assert path.name == file_name(report, ending)
    assert same(path.read_bytes().decode(), WRITERS[ending](report))
    assert changes[buttons.part.now] == "#file"


def test_before_any_comparison_it_is_the_example(buttons):
    path = Path(buttons.press("json", held.of_example())[buttons.part.file])
    assert path.read_text(encoding="utf-8") == WRITERS["json"](held.example())


def test_where_it_is_no_longer_held_nothing_is_written_and_it_says_so(buttons):
    kept("another", compared(("bf16",)))
    changes = buttons.press("json", Held("this one, long ago", ADDRESS, "t5-tiny", "Hello"))
    part = buttons.part
    assert part.file not in changes
    assert "no longer has this comparison" in changes[part.lost]
    assert (changes[part.now], changes[part.later]) == ("", "#take-json")


def test_what_can_be_put_together_again_is(buttons):
    report = compared(("bf16",))
    again = kept("put together", report)
    buttons.again = {buttons.shown: str(again), buttons.part.link: "a link"}
    changes = buttons.press("json", Held("long ago", ADDRESS, "t5-tiny", "Hello"))
    buttons.again = {}
    path = Path(changes[buttons.part.file])
    assert path.read_text(encoding="utf-8") == WRITERS["json"](report)
    assert changes[buttons.shown] == str(again)
    assert changes[buttons.part.link] == "a link"


def test_the_link_is_the_address(buttons):
    changes = take_away.updates(buttons.part, ADDRESS)
    assert Page(changes[buttons.part.link]).all("a")[0]["href"] == f"./#{ADDRESS}"
    assert changes[buttons.part.lost] == ""


def test_a_picture_of_ones_own_has_no_link_but_a_reason(buttons):
    address = "model=blip-tiny&formats=bf16&input=upload:7-x&run=1"
    html = take_away.updates(buttons.part, address)[buttons.part.link]
    assert Page(html).all("a") == []
    assert "your own picture" in html


def same(one, other):
    """plotly numbers its places anew each time, so of a page only the length is compared."""
    return len(one) == len(other) if one.startswith("<!doctype html>") else one == other
