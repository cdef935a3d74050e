from pathlib import Path

import gradio as gr
import pytest
from gradio.utils import get_upload_folder

from qdemo.engine.asking import ask
from qdemo.models import availability
from qdemo.models.availability import get_entry, offered
from qdemo.models.catalogue import Entry
from qdemo.models.families import fields
from qdemo.models.pictures import gallery
from qdemo.spec.decoding import READ_AS, Decoding
from qdemo.spec.request import InputError
from qdemo.ui import controls, given_part, parts
from qdemo.views.templates import fill
from tests.views.documents import HOSTILE, Page

GREEDY = ("chat", 0, "0")
"""What the controls of how a model is asked begin with."""


@pytest.fixture(scope="module")
def built():
    with gr.Blocks():
        return controls.build("t5-tiny", "Hello", ["int8", "int3"])


def test_every_field_has_a_line_that_says_what_is_wrong(built):
    assert set(built.problems) == {
        "model", "another", "formats", "prompt", "picture", "max_tokens", "read_as", "temperature",
        "seed",
    }  # fmt: skip
    assert all(html.elem_id == f"problem-{field}" for field, html in built.problems.items())


def request(built, values):
    read = built.read(values)
    given = built.given(read)
    return ask(read.model, read.formats, given, read.max_tokens, read.fresh, read.decoding)


def test_the_controls_begin_with_a_request_that_can_be_run(built):
    values = [part.value for part in built.asked]
    asked = request(built, values)
    assert (asked.model, asked.given, asked.fresh) == ("t5-tiny", "Hello", False)
    assert asked.decoding == Decoding()
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
    updates = built.shown_for(model)
    shown = {part: update["visible"] for part, update in updates.items()}
    gallery = built.inputs["picture"].late[0]
    assert [shown[one.column] for one in built.inputs.values()] == [text, picture]
    assert shown[gallery] is picture
    assert list(updates) == built.columns
    assert not shown[built.decoding.read_as]
    assert updates[built.decoding.read_as]["value"] == "chat"


@pytest.fixture
def causal(monkeypatch, tmp_path):
    """A language model among those that are offered."""
    entry = Entry("small-llama", "causal", tied=False, parameters=0, folder=tmp_path)
    monkeypatch.setitem(availability.MODELS, entry.name, entry)
    return entry.name


@pytest.mark.parametrize("read_as", READ_AS)
def test_a_language_model_has_a_choice_how_its_prompt_is_read_and_examples_for_it(
    built, causal, read_as
):
    updates = built.shown_for(causal, read_as)
    assert updates[built.decoding.read_as]["visible"]
    assert updates[built.decoding.read_as]["value"] == read_as
    lines = built.inputs["prompt"].examples
    (line,) = [own for own, part in lines.items() if updates[part]["visible"]]
    assert line == get_entry(causal).family.fields[0].examples_for(read_as)
    assert len(lines) == 4
    for example in line:
        asked = ask(causal, ["int8"], {"prompt": example}, decoding={"read_as": read_as})
        assert (asked.given, asked.decoding.read_as) == (example, read_as)


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", "9"), ("temperature", "hot"), ("seed", "1.5"),
                        ("seed", "-1"), ("read_as", "poem")],
)  # fmt: skip
def test_how_it_is_asked_is_checked_and_said_at_its_control(built, name, value):
    values = [part.value for part in built.asked]
    place = ["read_as", "temperature", "seed"].index(name)
    values[4:7] = ["chat", 0.7, "3"]
    assert request(built, values).decoding == Decoding("chat", 0.7, 3)
    values[4 + place] = value
    with pytest.raises(InputError) as caught:
        request(built, values)
    assert caught.value.field == name


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
    read = built.read(["blip-tiny", ["int8"], 64, False, *GREEDY, "", brought, source])
    assert built.given(read)["picture"] == (path if wanted is UPLOADED else wanted)


@pytest.mark.parametrize(
    ("model", "wanted"), [("t5-tiny", "Hello"), ("blip-tiny", "scene:3"), ("nobody/no", "Hello")]
)
def test_a_question_is_a_model_and_its_input(built, model, wanted):
    read = built.read([model, ["int8"], 64, False, *GREEDY, "Hello", None, "scene:3"])
    assert read.question == (model, wanted)


def test_what_is_known_but_not_built_yet_is_said_at_the_formats_and_not_added(built):
    with pytest.raises(
        InputError, match=r"'int4-g64.{1,3}kv8' is known, but not built yet"
    ) as caught:
        request(built, ["t5-tiny", ["int8", "int4-g64+kv8"], 64, False, *GREEDY, "Hello", None, ""])
    assert caught.value.field == "formats"


def test_the_picture_of_a_name():
    name, path = next(iter(gallery().items()))
    assert given_part.picture_file(name) == str(path)
    assert given_part.picture_file("scene:3").size == (384, 384)


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
