from types import SimpleNamespace
from urllib.parse import parse_qsl

import gradio as gr
import pytest

from qdemo.request import Request
from qdemo.ui import controls, link, take_away
from qdemo.zoo.pictures import gallery
from tests.views.documents import Page

GOOD = {"model": "t5-tiny", "formats": "int8,int5-g32@bf16", "input": "Hello", "run": "1"}


class Blocks:
    """What `link.connect` needs of gradio's: to be told what to do when the page opens."""

    def load(self, opened, *_, **__):
        self.opened = opened


@pytest.fixture(scope="module")
def opened():
    """What the controls become, by name, when the page opens with a query."""
    with gr.Blocks():
        built, start, blocks = controls.build("t5-tiny", "Hello"), gr.State(0), Blocks()
    link.connect(blocks, built, start)
    names = {id(part): name for name, part in vars(built).items()} | {id(start): "start"}
    names |= {id(html): f"problem {field}" for field, html in built.problems.items()}

    def values(query):
        found = blocks.opened(SimpleNamespace(query_params=query))
        values = {names[id(part)]: value for part, value in found.items()}
        updated = values.pop("model")
        assert dict(updated["choices"]) == dict(controls.model_choices())
        return values | ({"model": updated["value"]} if "value" in updated else {})

    return values


def test_a_link_sets_the_controls_and_starts(opened):
    values = opened(GOOD | {"max_tokens": "9"})
    assert (values["model"], values["prompt"], values["max_tokens"]) == ("t5-tiny", "Hello", 9)
    assert values["formats"]["value"] == ["int8", "int5-g32@bf16"]
    assert "int5-g32@bf16" in values["formats"]["choices"]
    assert values["start"] == 1


def test_a_link_to_a_picture_sets_the_picture(opened):
    name = "gallery:a-panda-in-the-mountains"
    values = opened({"model": "blip-tiny", "formats": "fp16", "input": name, "run": "1"})
    assert (values["source"], values["picture"]) == (name, str(gallery()[name]))
    assert values["picture_part"]["visible"]
    assert not values["text_part"]["visible"]
    assert values["start"] == 1


def test_without_a_query_nothing_changes(opened):
    assert opened({}) == {"start": 0}


def test_without_run_it_only_sets(opened):
    assert opened({"input": "Hello"}) == {"prompt": "Hello", "start": 0}
    assert opened(GOOD | {"run": "yes"})["start"] == 0


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"model": "nobody/nothing"}, "model"),
        ({"formats": "int9"}, "formats"),
        ({"formats": ""}, "formats"),
        ({"input": " "}, "prompt"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"model": "blip-tiny", "input": "/etc/passwd"}, "picture"),
        ({"model": "blip-tiny", "input": "Hello"}, "picture"),
    ],
)
def test_what_is_wrong_is_said_at_its_control_and_nothing_runs(opened, wrong, field):
    values = opened(GOOD | wrong)
    said = {name for name, value in values.items() if name.startswith("problem") and value.strip()}
    assert said == {f"problem {field}"}
    assert values["start"] == 0
    assert field not in values


def test_the_rest_of_a_wrong_link_is_taken(opened):
    values = opened(GOOD | {"formats": "int9"})
    assert (values["model"], values["prompt"]) == ("t5-tiny", "Hello")


@pytest.mark.parametrize(
    "request_",
    [
        Request.parse("t5-tiny", ["int8+emb", "int4-g64"], "a & b = c? #1", max_tokens=5),
        Request.parse("blip-tiny", ["bf16"], picture="scene:7"),
    ],
    ids=["prompt", "picture"],
)
def test_the_link_of_a_request_opens_the_same(opened, request_):
    href = Page(take_away.link_html(request_)).all("a")[0]["href"]
    values = opened(dict(parse_qsl(href.removeprefix("?"))))
    assert values["model"] == request_.entry.name
    assert values["formats"]["value"] == list(map(str, request_.variants))
    assert values.get("prompt", values.get("source")) in (request_.given, "scene:7")
    assert values["start"] == 1


def test_a_picture_of_ones_own_has_no_link_but_a_reason(tmp_path):
    picture = controls.picture_file("scene:7")
    picture.save(tmp_path / "own.png")
    html = take_away.link_html(Request.parse("blip-tiny", ["bf16"], picture=tmp_path / "own.png"))
    assert Page(html).all("a") == []
    assert "your own picture" in html


def test_the_example_s_link_asks_for_the_example(opened):
    href = Page(take_away.example_link()).all("a")[0]["href"]
    values = opened(dict(parse_qsl(href.removeprefix("?"))))
    assert values["model"] == "t5-tiny"
    assert values["start"] == 1
