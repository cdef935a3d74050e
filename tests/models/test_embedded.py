"""The models that come with qdemo, from their folders to an answer."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

import qdemo
from qdemo.models.availability import get_entry
from qdemo.models.catalogue import CATALOGUE
from qdemo.models.decoding import generate
from qdemo.models.loading import load
from qdemo.models.scenes import IMAGES

PICTURE = IMAGES / "gallery" / "a-woman-and-a-dog-on-the-beach.png"
EMBEDDED = [entry for entry in CATALOGUE.values() if entry.folder]


def answered(loaded, given, variant="fp32"):
    model, family = qdemo.Variant.parse(variant).build(loaded.model), loaded.family
    return family.decode(list(generate(family, model, family.encode(given), 24)))


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
    tiny = load(get_entry("t5-tiny"))
    assert tiny.family.encode(prompt).shown == prompt
    assert answered(tiny, prompt) == answer


def test_hello_gets_a_name():
    assert answered(load(get_entry("t5-tiny")), "Hello, my name is ").istitle()


def test_blip_tiny_sees_the_beach_in_every_format_but_two_bits():
    tiny = load(get_entry("blip-tiny"))
    with Image.open(PICTURE) as picture:
        shown = tiny.family.encode(picture).shown
        captions = [answered(tiny, picture, v) for v in ("fp32", "bf16", "int8", "int2")]
    assert shown.startswith("a picture, 384 × 384 pixels, sha256 ")
    right = "a woman and a dog on the beach"
    assert [caption == right for caption in captions] == [True, True, True, False]


def test_a_name_an_input_and_a_format_are_checked_before_anything_runs():
    with pytest.raises(ValueError, match="unknown model 'gpt'"):
        qdemo.compare("gpt", "x", [])
    with pytest.raises(ValueError, match="unknown format 'int1'"):
        qdemo.compare("t5-tiny", "x", ["int1"])
    with pytest.raises(ValueError, match="prompt is empty"):
        qdemo.compare("t5-tiny", "", [])


def test_models_that_are_loaded_at_the_same_time_are_whole():
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(load, [get_entry("t5-tiny")] * 4))
    wanted = loaded[0].model.state_dict()
    for other in loaded[1:]:
        assert all(torch.equal(w, wanted[name]) for name, w in other.model.state_dict().items())
    assert not any(w.is_meta for w in wanted.values())
