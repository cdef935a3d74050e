import json
from urllib.parse import parse_qsl, quote

import gradio as gr
import pytest
from gradio.utils import get_upload_folder

from qdemo.engine.asking import ask
from qdemo.models.pictures import gallery
from qdemo.spec.request import InputError
from qdemo.ui import controls, held, link, parts
from qdemo.ui.held import Held
from tests.views.documents import Page

GOOD = "model=t5-tiny&formats=int8,int5-g32@bf16&input=Hello&run=1"
SHOWN = "model=t5-tiny&formats=int8&input=What+is+40+%2B+2%3F&run=1"


@pytest.fixture(scope="module")
def restored():
    """What the controls become, by name, with an address."""
    with gr.Blocks():
        built, press = controls.build("t5-tiny", "Hello", ["int8"]), parts.unseen("press")
    names = {id(part): name for name, part in vars(built).items()} | {id(press): "press"}
    for name, one in built.inputs.items():
        names |= {id(part): part.elem_id for part in (*one.parts, *one.late)}
        names[id(one.column)] = f"{name} column"
        names |= {id(line): f"{name} examples" for line in one.examples.values()}
    names |= {id(part): name for name, part in vars(built.decoding).items()}
    names |= {id(html): f"problem {field}" for field, html in built.problems.items()}

    def values(text, upload=""):
        found = link._restored(built, press, text, upload)
        values = {names[id(part)]: value for part, value in found.items()}
        updated = values.pop("model")
        assert dict(updated["choices"]) == dict(controls.model_choices())
        return values | ({"model": updated["value"]} if "value" in updated else {})

    return values


def test_an_address_sets_the_controls_and_starts(restored):
    values = restored(f"{GOOD}&max_tokens=9")
    assert (values["model"], values["prompt"], values["max_tokens"]) == ("t5-tiny", "Hello", 9)
    assert values["formats"]["value"] == ["int8", "int5-g32@bf16"]
    assert "int5-g32@bf16" in values["formats"]["choices"]
    assert values["press"] == "#compare"


def test_an_address_says_how_the_prompt_is_read_and_tokens_are_chosen(restored):
    values = restored(f"{GOOD}&temperature=3&seed=7")
    assert values["temperature"]["value"] == values["temperature"]["maximum"] == 3
    assert values["seed"]["value"] == "7"
    assert values["read_as"]["value"] == "chat"
    plain = restored(GOOD)  # what it leaves out is the usual
    assert (plain["temperature"]["value"], plain["seed"]["value"]) == (0, "0")
    assert plain["max_tokens"] == 64


def test_an_address_with_a_picture_sets_the_picture(restored):
    name = "gallery:a-panda-in-the-mountains"
    values = restored(f"model=blip-tiny&formats=fp16&input={name}&run=1")
    assert (values["source"], values["picture"]) == (name, str(gallery()[name]))
    assert values["picture column"]["visible"]
    assert not values["prompt column"]["visible"]
    assert values["press"] == "#compare"


OWN = "model=blip-tiny&formats=fp16&input=upload:7-x&run=1"


def test_a_picture_of_ones_own_is_what_the_browser_has_brought_again(restored):
    path = f"{get_upload_folder()}/0/own.png"
    values = restored(OWN, path)
    assert (values["source"], values["picture"]) == ("upload:7-x", path)
    assert values["press"] == "#compare"


def test_a_picture_that_the_browser_has_not_is_said_at_its_control(restored):
    values = restored(OWN)
    assert "choose it again" in values["problem picture"]
    assert values["press"] == ""


def test_only_an_upload_is_taken_for_the_picture(restored):
    assert "expected a file that was uploaded" in restored(OWN, "/etc/passwd")["problem picture"]


def test_with_an_empty_address_nothing_changes(restored):
    assert restored("") == {"press": ""}


def test_without_run_it_only_sets(restored):
    assert restored("input=Hello") == {"prompt": "Hello", "press": ""}
    assert restored(GOOD.replace("run=1", "run=yes"))["press"] == ""


def test_the_results_of_another_question_come_again_beside_it(restored):
    values = restored(f"model=t5-tiny&formats=int3&input=Hello&shown={quote(SHOWN)}")
    assert values["prompt"] == "Hello"
    assert values["press"] == "#recompute"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"model": "nobody/nothing"}, "model"),
        ({"formats": "int9"}, "formats"),
        ({"formats": ""}, "formats"),
        ({"formats": "int8,int4-g64%2Bkv8"}, "formats"),
        ({"input": " "}, "prompt"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": "9"}, "temperature"),
        ({"temperature": "1", "seed": "x"}, "seed"),
        ({"read_as": "score"}, "read_as"),  # t5-tiny answers, and does nothing else
        ({"model": "blip-tiny", "input": "/etc/passwd"}, "picture"),
        ({"model": "blip-tiny", "input": "Hello"}, "picture"),
    ],
)
def test_what_is_wrong_is_said_at_its_control_and_nothing_runs(restored, wrong, field):
    query = dict(parse_qsl(GOOD)) | wrong
    values = restored("&".join(f"{name}={value}" for name, value in query.items()))
    said = {name for name, value in values.items() if name.startswith("problem") and value.strip()}
    assert said == {f"problem {field}"}
    assert values["press"] == ""
    kept = wrong["input"] if field == "prompt" else None
    assert field == "read_as" or values.get(field) == kept


def test_what_is_not_built_yet_is_said_to_be_known(restored):
    values = restored(GOOD.replace("int8", "int4-g64%2Bkv8"))
    said = Page(values["problem formats"]).text.strip()
    assert said == "+kv8 in 'int4-g64+kv8' is known, but not built yet"
    assert values["press"] == ""


def test_the_rest_of_a_wrong_address_is_taken(restored):
    values = restored(GOOD.replace("int8", "int9"))
    assert (values["model"], values["prompt"]) == ("t5-tiny", "Hello")


@pytest.mark.parametrize(
    "asked",
    [
        ask("t5-tiny", ["int8+emb", "int4-g64"], {"prompt": "a & b = c? #1"}, max_tokens=5),
        ask("t5-tiny", ["nf4", "int4-g64~lm_head=int8", "int8@bf16~encoder.block.0=fp32"],
            {"prompt": "~ = * +"}),
        ask("blip-tiny", ["bf16"], {"picture": "scene:7"}),
        ask("blip-tiny", ["bf16"], {"picture": "heldout:3"}),
        ask("t5-tiny", ["int8"], {"prompt": "x"}, decoding={"temperature": 0.7, "seed": 3}),
    ],
    ids=["prompt", "exceptions", "picture", "held out", "drawn"],
)  # fmt: skip
def test_the_address_of_a_request_asks_for_the_same(restored, asked):
    address = link.address_of(asked)
    again = link.request(address)
    assert (again.model, again.variants, again.max_tokens) == (
        asked.model, asked.variants, asked.max_tokens,
    )  # fmt: skip
    assert str(again.given) == str(asked.given)
    assert again.decoding == asked.decoding
    values = restored(address)
    assert values["formats"]["value"] == list(map(str, asked.variants))
    assert values.get("prompt", values.get("source")) in (asked.given, "scene:7", "heldout:3")


def test_the_example_s_address_asks_for_the_example(restored):
    example = held.of_example()
    values = restored(example.address)
    assert (values["model"], values["prompt"]) == (example.model, example.input)
    assert values["press"] == "#compare"


@pytest.mark.parametrize("address", ["", "model=t5-tiny", "formats=int8&input=x", "%00=&&&=", OWN])
def test_an_address_that_asks_for_nothing_is_an_input_error(address):
    with pytest.raises(InputError):
        link.request(address)


@pytest.mark.parametrize(
    ("more", "field"),
    [("read_as=loud", "read_as"), ("read_as=score", "read_as"), ("temperature=hot", "temperature"),
     ("temperature=9", "temperature"), ("seed=-1", "seed"), ("temperature=1&seed=x", "seed")],
)  # fmt: skip
def test_an_address_that_can_t_be_answered_so_names_the_field(more, field):
    with pytest.raises(InputError) as caught:
        link.request(f"{SHOWN}&{more}")
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text", ["", "nothing", "{}", "[]", "null", '{"number": 1}', json.dumps([[]] * 9), "[" * 10**5]
)
def test_what_a_page_holds_may_be_anything(text):
    assert Held.read(text) == Held()
    assert Held.read(text).report() is None
