"""Tokens as people see them: those that the model read, and those that no vocabulary has."""

import json
import shutil

import pytest

from qdemo.models.availability import UnavailableError, get_entry
from qdemo.models.catalogue import Entry
from qdemo.models.loading import load
from qdemo.models.pictures import scene_picture
from qdemo.spec.setting import InputToken
from qdemo.views.wording import read_as


@pytest.fixture(scope="module")
def tiny():
    return load(get_entry("t5-tiny")).family


def test_a_prompt_is_read_token_by_token(tiny):
    prompt = tiny.encode("What is 40 + 2?")
    read = prompt.read
    assert [token.piece for token in read] == tiny.pieces(prompt.inputs["input_ids"][0].tolist())
    assert {token.kind for token in read[:-1]} == {""}
    assert read[-1] == InputToken("</s>", None, "special")


@pytest.mark.parametrize(("prompt", "unknown"), [("😀", "😀"), ("a 中文 b", "中文"), ("1 ½", "½")])
def test_what_the_model_does_not_know_is_marked(tiny, prompt, unknown):
    read = tiny.encode(prompt).read
    assert [t.text for t in read if t.kind == "unknown"] == [unknown]
    assert read_as(read, prompt).endswith(f"this model does not know {unknown}")


def test_an_end_mark_that_was_typed_is_told(tiny):
    read = tiny.encode("a</s>b").read
    assert [t.piece for t in read if t.kind == "special"] == ["</s>", "</s>"]
    assert "</s> inside is a mark to it, not text" in read_as(read, "a</s>b")
    assert "mark" not in read_as(read, "a message in a template")
    assert "mark" not in read_as(tiny.encode("a b").read, "a b")


@pytest.mark.parametrize("prompt", ["\u200b", "</s>", "<pad></s> "])
def test_a_prompt_of_which_the_model_reads_nothing_is_empty(tiny, prompt):
    with pytest.raises(ValueError, match="the prompt is empty"):
        tiny.encode(prompt)


def test_a_picture_has_no_tokens():
    blip = load(get_entry("blip-tiny")).family
    assert blip.encode(scene_picture(1)).read == ()
    assert read_as([], "scene:1") == ""


def test_an_id_without_a_piece_is_told_as_such(tiny):
    """FLAN-T5's logits have 32,128 rows for 32,100 pieces."""
    beyond = len(tiny.tokenizer)
    assert tiny.pieces([beyond + 5, 3]) == [f"id {beyond + 5} (unused)", "▁"]
    blip = load(get_entry("blip-tiny")).family
    assert blip.pieces([10**6]) == ["id 1000000 (unused)"]


@pytest.mark.parametrize("found", [None, [1, 2]])
@pytest.mark.parametrize("key", ["decoder_start_token_id", "eos_token_id"])
def test_a_configuration_that_names_no_start_or_end_is_refused_by_name(tmp_path, key, found):
    folder = tmp_path / "mine"
    shutil.copytree(get_entry("t5-tiny").folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config[key] = found
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").unlink()
    entry = Entry("mine", "text2text", tied=False, parameters=0, folder=folder)
    with pytest.raises(UnavailableError, match=rf"mine can't be decoded: .* as {key}, expected a "):
        load(entry)
