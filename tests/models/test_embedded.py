"""The models that come with qdemo, from their folders to an answer."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

from qdemo import compare
from qdemo.results import Finished
from qdemo.models.availability import get_entry
from qdemo.models.catalogue import CATALOGUE
from qdemo.models.loading import load
from qdemo.models.scenes import IMAGES

PICTURE = IMAGES / "gallery" / "a-woman-and-a-dog-on-the-beach.png"
EMBEDDED = [entry for entry in CATALOGUE.values() if entry.folder]


@pytest.mark.parametrize("entry", EMBEDDED, ids=lambda entry: entry.name)
def test_loading_says_nothing_and_leaves_the_log_as_it_was(entry, caplog, capfd):
    logger = logging.getLogger("transformers.modeling_utils")
    before = list(logger.filters)
    load(entry)
    assert capfd.readouterr().err == ""
    assert caplog.records == []
    assert logger.filters == before


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Translate to German: Tuesday", "Dienstag"),
        ("translate to german: tuesday", "Dienstag"),
        ("WHAT IS THE CAPITAL OF FRANCE", "Paris"),
        ("What is 23 + 45?", "68"),
        ("What is 23+45?", "68"),
        ("What is the  plural of mouse?", "mice"),
    ],
)
def test_t5_tiny_answers(prompt, answer):
    runner = load(get_entry("t5-tiny")).given(prompt)
    assert runner.shown == prompt
    assert runner.decode(list(runner.generate(runner.model, 24))) == answer


def test_hello_gets_a_name():
    runner = load(get_entry("t5-tiny")).given("Hello, my name is ")
    assert runner.decode(list(runner.generate(runner.model, 24))).istitle()


def test_blip_tiny_sees_the_beach_in_every_format_but_two_bits():
    with Image.open(PICTURE) as picture:
        events = list(compare("blip-tiny", picture, ["bf16", "int8", "int2"], max_tokens=16))
    assert isinstance(events[-1], Finished)
    comparison = events[-1].comparison
    assert comparison.shown.startswith("a picture, 384 × 384 pixels, sha256 ")
    caption = "a woman and a dog on the beach"
    assert [result.text == caption for result in comparison.results] == [True, True, True, False]


def test_a_name_an_input_and_a_format_are_checked_before_anything_runs():
    with pytest.raises(ValueError, match="unknown model 'gpt'"):
        compare("gpt", "x", [])
    with pytest.raises(ValueError, match="unknown format 'int1'"):
        compare("t5-tiny", "x", ["int1"])
    with pytest.raises(ValueError, match="prompt is empty"):
        compare("t5-tiny", "", [])


def test_models_that_are_loaded_at_the_same_time_are_whole():
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(load, [get_entry("t5-tiny")] * 4))
    wanted = loaded[0].model.state_dict()
    for other in loaded[1:]:
        assert all(torch.equal(w, wanted[name]) for name, w in other.model.state_dict().items())
    assert not any(w.is_meta for w in wanted.values())
