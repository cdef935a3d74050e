from pathlib import Path

import gradio as gr
import pytest
from gradio.utils import get_upload_folder

from qdemo.engine.asking import ask
from qdemo.models.availability import offered
from qdemo.models.families import fields
from qdemo.models.pictures import gallery
from qdemo.spec.request import InputError
from qdemo.ui import controls, parts
from qdemo.views.templates import fill
from tests.views.documents import HOSTILE, Page


@pytest.fixture(scope="module")
def built():
    with gr.Blocks():
        return controls.build("t5-tiny", "Hello", ["int8", "int3"])


def test_every_field_has_a_line_that_says_what_is_wrong(built):
    assert set(built.problems) == {"model", "formats", "prompt", "picture", "max_tokens"}
    assert all(html.elem_id == f"problem-{field}" for field, html in built.problems.items())


def request(built, values):
    read = built.read(values)
    return ask(read.model, read.formats, built.given(read), read.max_tokens, read.fresh)


def test_the_controls_begin_with_a_request_that_can_be_run(built):
    values = [part.value for part in built.asked]
    asked = request(built, values)
    assert (asked.model, asked.given, asked.fresh) == ("t5-tiny", "Hello", False)
    assert list(map(str, asked.variants)) == ["int8", "int3"]
    values[0] = "blip-tiny"
    assert request(built, values).given.name == "gallery:a-woman-and-a-dog-on-the-beach"


def test_every_example_can_be_run():
    for prompt in fields()["prompt"].examples:
        assert ask("t5-tiny", ["int8"], {"prompt": prompt}).given == prompt


def test_every_offered_model_can_be_chosen_and_says_where_it_is():
    choices = controls.model_choices()
    assert [name for _, name in choices] == [entry.name for entry in offered()]
    shown = {name: label for label, name in choices}
    assert shown["t5-tiny"] == "t5-tiny · text to text · embedded"
    assert shown["blip-tiny"] == "blip-tiny · picture to text · embedded"


@pytest.mark.parametrize(
    ("model", "text", "picture"), [("t5-tiny", True, False), ("blip-tiny", False, True)]
)
def test_a_model_shows_the_input_that_it_takes(built, model, text, picture):
    shown = {part: update["visible"] for part, update in built.shown_for(model).items()}
    gallery = built.inputs["picture"].late[0]
    assert [shown[one.column] for one in built.inputs.values()] == [text, picture]
    assert shown[gallery] is picture
    assert list(built.shown_for(model)) == built.columns


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
def test_a_picture_goes_by_what_its_name_says(built, picture, source, wanted):
    path = Path(get_upload_folder()) / "0123" / "a.png"
    brought = {"path": str(path)} if picture is UPLOADED else picture
    read = built.read(["blip-tiny", ["int8"], 64, False, "", brought, source])
    assert built.given(read)["picture"] == (path if wanted is UPLOADED else wanted)


@pytest.mark.parametrize(
    ("model", "wanted"), [("t5-tiny", "Hello"), ("blip-tiny", "scene:3"), ("nobody/no", "Hello")]
)
def test_a_question_is_a_model_and_its_input(built, model, wanted):
    read = built.read([model, ["int8"], 64, False, "Hello", None, "scene:3"])
    assert read.question == (model, wanted)


def test_what_is_known_but_not_built_yet_is_said_at_the_formats_and_not_added(built):
    with pytest.raises(
        InputError, match=r"'int4-g64.{1,3}kv8' is known, but not built yet"
    ) as caught:
        request(built, ["t5-tiny", ["int8", "int4-g64+kv8"], 64, False, "Hello", None, ""])
    assert caught.value.field == "formats"


def test_the_picture_of_a_name():
    name, path = next(iter(gallery().items()))
    assert controls.picture_file(name) == str(path)
    assert controls.picture_file("scene:3").size == (384, 384)


def test_a_problem_is_spoken_and_stays_text():
    page = Page(parts.problem_html(HOSTILE))
    assert page.all("p")[0]["role"] == "alert"
    assert HOSTILE in page.text
    assert parts.problem_html("") == fill("problem", message="")


def test_what_a_model_was_trained_for_follows_the_model(built):
    assert "t5-tiny was trained for sums, capitals" in built.trained.value
    told = built.shown_for("blip-tiny")[built.trained]["value"]
    assert "blip-tiny was trained for putting scenes of emoji" in told
    assert built.shown_for("google/flan-t5-small")[built.trained]["value"] == ""
