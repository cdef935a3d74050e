"""What a press on the map comes to, and a repair on the page, without a browser."""

import json

import gradio as gr
import pytest

from qdemo.spec.request import Query
from qdemo.ui import held, link, surgery_part
from qdemo.ui.held import Held

EXAMPLE = held.of_example()


def operated(**asked):
    return json.loads(surgery_part._operated(str(EXAMPLE), json.dumps(asked)))


def place(name):
    return str(held.example().parameters.index(name))


def test_a_press_asks_for_one_format_more_of_what_is_on_screen():
    found = operated(format="int8", place=place("lm_head.weight"), way="fp32", turn=1)
    assert (found["format"], found["problem"]) == ("int8~lm_head=fp32", "")
    before, now = (link.request(address) for address in (EXAMPLE.address, found["address"]))
    assert [*map(str, now.variants)] == [*map(str, before.variants), "int8~lm_head=fp32"]
    assert (now.model, now.given) == (before.model, before.given)


@pytest.mark.parametrize(
    "asked",
    [
        {"format": "int8", "place": "1", "way": "int9"},
        {"format": "<script>", "place": "1", "way": "fp32"},
        {"format": "int8", "place": "99999", "way": "fp32"},
        {"format": "int8", "place": None, "way": "fp32"},
        {"place": "1"},
    ],
)
def test_nonsense_is_refused_in_words(asked):
    found = operated(**asked)
    assert found["problem"]
    assert not found["address"]


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", "7"])
def test_what_is_no_question_is_refused(text):
    assert json.loads(surgery_part._operated(str(EXAMPLE), text))["problem"]
    assert json.loads(surgery_part._operated(text, "{}"))["problem"]


def test_an_address_keeps_all_else():
    address = "model=t5-tiny&formats=int8%2Bemb,int3&input=a+%26+b&max_tokens=9&seed=3&run=1"
    found = link.with_format(address, "int3~lm_head=fp32")
    assert "&max_tokens=9&seed=3&run=1" in found
    assert link.with_format(found, "int3") == found
    assert Query.read(dict(link.parse_qsl(found))).formats == (
        "int8+emb", "int3", "int3~lm_head=fp32",
    )  # fmt: skip


@pytest.fixture(scope="module")
def page():
    with gr.Blocks():
        part = surgery_part.build()
        return surgery_part._Page(part, gr.HTML(), gr.Textbox(), gr.Button(), gr.Button())


def repaired(page, ask, format):
    return [*surgery_part._repair(page, str(ask), "", json.dumps({"format": format}))]


def asking(formats, prompt="What is 59 + 64?"):
    address = f"model=t5-tiny&formats={formats}&input={prompt.replace('+', '%2B')}&run=1"
    return Held("", address, "t5-tiny", prompt)


def test_a_repair_is_told_and_leads_on(page):
    *_, last = repaired(page, asking("int2-mse"), "int2-mse")
    found = json.loads(last[page.surgery.found])
    assert found["format"].startswith("int2-mse~")
    assert found["format"] in Query.read(dict(link.parse_qsl(found["address"]))).formats
    assert "1 layer of 55, and no fewer do it" in last[page.surgery.told]
    assert "Done." in last[page.line]
    assert last[page.compare]["interactive"]


def test_where_there_is_no_room_the_repair_is_told_all_the_same(page):
    others = ",".join(f"int4-g{2**n}" for n in range(1, 7)) + ",int3,int8,int5,int6,int7"
    *_, last = repaired(page, asking(f"int2-mse,{others}"), "int2-mse")
    assert last[page.surgery.found] == ""
    assert "At most 12 formats at a time" in last[page.surgery.told]


def test_what_can_not_be_is_said_in_the_line(page):
    for ask, format in ((asking("int8"), "no format"), (Held(), "int8"), (asking("bf16"), "bf16")):
        first, *_, last = repaired(page, ask, format)
        assert not first[page.compare]["interactive"]
        assert last[page.compare]["interactive"]
        assert "busy" not in last[page.line]
    *_, last = surgery_part._repair(page, str(EXAMPLE), "", "nonsense")
    assert last[page.compare]["interactive"]


@pytest.mark.parametrize(
    "asked", ["nonsense", "[]", "null", "{}", "[" * 100_000, '{"format": 3}',
              '{"format": "int8", "place": 1e400, "way": "alone"}',
              '{"format": "int8", "place": -1, "way": "alone"}',
              '{"format": "int8", "place": 99999, "way": "alone"}',
              '{"format": "int8", "place": 3, "way": []}'],
    ids=str,
)  # fmt: skip
def test_whatever_is_sent_is_answered_in_a_sentence(page, asked):
    found = json.loads(surgery_part._operated(str(EXAMPLE), asked))
    assert found["address"] == ""
    assert found["problem"].startswith(("expected JSON with", "there is no matrix", "[] is no way"))
    *_, last = surgery_part._repair(page, str(EXAMPLE), "", asked)
    assert last[page.compare]["interactive"]
