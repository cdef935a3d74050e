from pathlib import Path

import gradio as gr
import pytest
from gradio.utils import get_upload_folder

from qdemo.request import FIELDS, Request
from qdemo.ui import controls, parts
from qdemo.views.templates import fill
from qdemo.models.availability import offered
from qdemo.models.pictures import gallery
from tests.views.documents import HOSTILE, Page


@pytest.fixture(scope="module")
def built():
    with gr.Blocks():
        return controls.build("t5-tiny", "Hello", ["int8", "int3"])


def test_every_field_has_a_line_that_says_what_is_wrong(built):
    assert tuple(built.problems) == FIELDS
    assert all(html.elem_id == f"problem-{field}" for field, html in built.problems.items())


def test_the_controls_begin_with_a_request_that_can_be_run(built):
    values = [part.value for part in built.asked]
    request = Request.parse(**controls.read(*values))
    assert (request.entry.name, request.given) == ("t5-tiny", "Hello")
    assert list(map(str, request.variants)) == ["int8", "int3"]
    values[0] = "blip-tiny"
    assert Request.parse(**controls.read(*values)).given.name == controls.FIRST_PICTURE


def test_every_example_can_be_run():
    for prompt in controls.PROMPTS:
        assert Request.parse("t5-tiny", ["int8"], prompt).given == prompt


def test_every_offered_model_can_be_chosen_and_says_where_it_is():
    choices = controls.model_choices()
    assert [name for _, name in choices] == [entry.name for entry in offered()]
    shown = {name: label for label, name in choices}
    assert shown["t5-tiny"] == "t5-tiny · text to text · embedded"
    assert shown["blip-tiny"] == "blip-tiny · picture to text · embedded"


@pytest.mark.parametrize(
    ("model", "text", "picture"), [("t5-tiny", True, False), ("blip-tiny", False, True)]
)
def test_a_model_shows_the_input_that_it_takes(model, text, picture):
    shown = [part["visible"] for part in controls.parts_of(model)]
    assert shown == [text, picture]


UPLOADED = object()


@pytest.mark.parametrize(
    ("picture", "source", "wanted"),
    [
        (UPLOADED, "upload:1-a", UPLOADED),
        (None, "scene:3", "scene:3"),  # made here: its name, not its pixels
        (UPLOADED, "scene:3", "scene:3"),
        (UPLOADED, "", ""),  # the picture was taken away
        (None, "upload:1-a", None),
    ],
)
def test_a_picture_goes_by_what_its_name_says(picture, source, wanted):
    path = Path(get_upload_folder()) / "0123" / "a.png"
    given = {"path": str(path)} if picture is UPLOADED else picture
    asked = controls.read("blip-tiny", ["int8"], "", given, source, 64, False)
    assert asked["picture"] == (path if wanted is UPLOADED else wanted)


@pytest.mark.parametrize(
    ("model", "wanted"), [("t5-tiny", "Hello"), ("blip-tiny", "scene:3"), ("nobody/no", "Hello")]
)
def test_a_question_is_a_model_and_its_input(model, wanted):
    asked = controls.question(model, ["int8"], "Hello", None, "scene:3", 64, False)
    assert asked == {"model": model, "input": wanted}


def test_the_picture_of_a_name():
    name, path = next(iter(gallery().items()))
    assert controls.picture_file(name) == str(path)
    assert controls.picture_file("scene:3").size == (384, 384)


def test_a_problem_is_spoken_and_stays_text():
    page = Page(parts.problem_html(HOSTILE))
    assert page.all("p")[0]["role"] == "alert"
    assert HOSTILE in page.text
    assert parts.problem_html("") == fill("problem", message="")
