"""What the Evidence page holds, takes and refuses, without a browser."""

from dataclasses import replace

import gradio as gr
import pytest

from qdemo.engine import looking
from qdemo.engine.turns import begun
from qdemo.settings import SETTINGS
from qdemo.spec import mix
from qdemo.spec.evidence import HELD_OUT
from qdemo.spec.request import InputError
from qdemo.ui import (
    address,
    evidence_controls,
    evidence_held,
    evidence_part,
    layers_part,
    mix_part,
    take_away,
)
from qdemo.ui.evidence_controls import Asked
from qdemo.ui.pages import evidence as evidence_page
from qdemo.views.evidence_points import Findings
from tests.views import evidences


def test_what_is_under_way_is_shown_by_its_number_and_kept_at_the_end():
    found = evidences.three().evidence
    with begun() as run, evidence_held.growing(run) as growing:
        first, second = growing.now(found), growing.now(found)
        assert first != second  # or the page would not know that there is something new
        assert evidence_held.findings(second).evidence is found
    assert evidence_held.findings(f"{run.number} 3").evidence == found
    assert evidence_held.findings(run.number[:-1]) is None


def broken_off(found):
    with begun() as run, evidence_held.growing(run) as growing:
        growing.now(found)
        raise OSError(run.number)


def test_what_ends_in_an_error_is_kept_too():
    found = evidences.three().evidence
    with pytest.raises(OSError) as error:  # noqa: PT011
        broken_off(found)
    assert evidence_held.findings(f"{error.value} 1").evidence == found


def test_the_example_is_labelled_and_nothing_else_is():
    assert "Computed earlier" in evidence_held.note(evidence_held.EXAMPLE)
    assert evidence_held.note("another 1") == ""


@pytest.fixture(scope="module")
def page():
    with gr.Blocks():
        return evidence_part.build(evidence_part.build_note())


def test_what_is_no_longer_held_is_said_and_nothing_else_is_shown(page):
    changes = evidence_part._draw(page, "nobody 1", "bits", "accuracy", "")
    assert changes.keys() == {page.note}
    assert "no longer has these results" in changes[page.note]
    assert "no longer" in evidence_part._chosen("nobody 1", "bits", "accuracy", "int3")


def test_a_measure_that_other_data_has_gives_way(page, monkeypatch):
    monkeypatch.setattr(evidence_held, "findings", lambda text: evidences.of_text())
    changes = evidence_part._draw(page, "a 1", "bits", "accuracy", "int2")
    assert changes[page.measure]["value"] == "perplexity"
    assert "perplexity" in changes[page.chart]
    assert 'data-format="int2"' in changes[page.items]


@pytest.mark.parametrize("chosen", ["kl", "output_error"])
def test_a_measure_stays_chosen_while_only_fp32_is_known(page, monkeypatch, chosen):
    found = Findings(evidences.evidence({"fp32": [evidences.right(0.0)] * 4}))
    monkeypatch.setattr(evidence_held, "findings", lambda text: found)
    changes = evidence_part._draw(page, "a 1", "bits", chosen, "")
    assert changes[page.measure]["value"] == chosen
    assert chosen in [key for _, key in changes[page.measure]["choices"]]


def asked(**more):
    usual = {"model": "t5-tiny", "formats": ["int8"], "data": HELD_OUT, "file": None,
             "as_text": True, "limit": 100, "seed": 0}  # fmt: skip
    return list((usual | more).values())


def test_a_file_that_is_not_chosen_is_not_read():
    found = Asked.read(asked(file={"path": "/etc/passwd"}))
    assert (found.data, found.as_text) == (HELD_OUT, False)
    assert found.can_be_asked_again


@pytest.mark.parametrize("file", [None, {"path": "/etc/passwd"}, [{"path": "/etc/passwd"}], "x"])
def test_a_file_that_was_not_uploaded_is_refused(file):
    with pytest.raises(InputError) as error:
        Asked.read(asked(data="file", file=file))
    assert error.value.field == "data"


@pytest.mark.parametrize(("field", "value"), [("limit", "many"), ("seed", None), ("limit", 1e400)])
def test_what_is_no_number_is_said_at_its_control(field, value):
    with pytest.raises(InputError, match=field):
        Asked.read(asked(**{field: value}))


def test_an_address_ticks_exactly_its_formats():
    with gr.Blocks():
        controls = evidence_controls.build("t5-tiny")
        named = controls.named
    restored = address.restored(named, "formats=int3-mse,bf16&limit=40&data=file&model=nobody")
    values = dict(zip(named, restored, strict=True))
    assert values["formats"]["value"] == ["int3-mse", "bf16"]
    assert "int3-mse" in values["formats"]["choices"]
    assert (values["limit"], values["data"]) == (40, "file")
    skipped = address.restored(named, "formats=int9&limit=7")
    assert skipped[1] == skipped[3] == gr.skip()


@pytest.mark.parametrize("model", ["google/flan-t5-xl", "none of that name", None, ["t5-tiny"]])
def test_a_search_takes_the_models_that_are_offered_alone(model, monkeypatch):
    """Whatever is sent in the place of the list's: another may be too large for this host."""
    monkeypatch.setattr(looking, "SETTINGS", replace(SETTINGS, hub="listed"))
    for asked in (
        lambda: layers_part._sensitivity(model, "int2", "layer"),
        lambda: mix_part._mix(model, "int8,int4", "mb", "4", "layer"),
    ):
        with pytest.raises(InputError) as caught:
            asked()
        assert caught.value.field == "model"


@pytest.fixture(scope="module")
def search():
    with gr.Blocks():
        begin, stop = layers_part.buttons("Find out", "hurt")
        return layers_part.told_by(begin, stop, "", "hurt")


def test_a_stop_says_that_what_stands_below_came_earlier(search):
    with begun() as run:
        before = layers_part._over(search, run, None)[search.status]
        run.stop.set()
        after = layers_part._over(search, run, None)[search.status]
    assert "earlier" not in before
    assert "Stopped. What is below is the earlier result." in after


def test_the_first_mix_says_on_how_many_items_it_was_found_and_a_search_is():
    found = mix_part.example().mix
    assert f"on {found.items} calibration items" in mix_part._note(found)
    assert f"for your own, on {mix.ITEMS}." in mix_part._note(found)


@pytest.mark.parametrize("text", ["abc", "", "3,5", None])
def test_a_target_that_is_no_number_is_told_in_plain_words(text):
    with pytest.raises(InputError, match=r"type a number, such as 3\.5"):
        mix_part._target("mb", text)
    assert mix_part._target("mb", " 3.5 ").value == 3.5


@pytest.fixture(scope="module")
def whole_page():
    with gr.Blocks() as blocks:
        controls = evidence_controls.build("t5-tiny")
        shown = evidence_part.build(evidence_part.build_note())
        away = take_away.build("", gr.HTML())
        page = evidence_page.Page(controls, gr.HTML(), shown, away, gr.Textbox(), gr.Textbox())
        evidence_page._connect(blocks, page)
    return blocks, page


@pytest.mark.parametrize(("chosen", "then"), [("int8", "int8"), ("fp16", ""), ("", "")])
def test_a_format_that_is_not_evaluated_is_no_longer_the_one_whose_items_are_shown(
    whole_page, chosen, then
):
    _, page = whole_page
    steps = evidence_page._evaluate(page, *asked(), chosen)
    assert next(steps)[page.shown.format] == then
    steps.close()


def test_what_was_said_of_one_file_is_gone_when_another_is_chosen(whole_page):
    blocks, page = whole_page
    told = {page.status._id, page.controls.problems["data"]._id}
    events = [one for one in blocks.get_config_file()["dependencies"]
              if (page.controls.file._id, "change") in map(tuple, one["targets"])]  # fmt: skip
    assert [told == set(one["outputs"]) for one in events] == [True]


def test_no_more_items_are_offered_than_there_are():
    assert evidence_controls.most(HELD_OUT, "t5-tiny") == 990
    assert evidence_controls.most(HELD_OUT, "blip-tiny") == 400
    assert evidence_controls.most("file", "t5-tiny") == 1000
    *_, limit = evidence_controls._followed(HELD_OUT, "blip-tiny", 980)
    assert (limit["maximum"], limit["value"]) == (400, 400)
    *_, limit = evidence_controls._followed(HELD_OUT, "t5-tiny", 120)
    assert (limit["maximum"], limit["value"]) == (990, 120)
