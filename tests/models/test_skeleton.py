import pytest
import torch

from qdemo.models.availability import get_entry
from qdemo.models.catalogue import CATALOGUE
from qdemo.models.loading import skeleton


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_skeleton_holds_no_weights(name):
    model = skeleton(get_entry(name))
    assert all(p.is_meta for p in model.parameters())
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "output", "embedding"),
    [
        ("google/flan-t5-small", "lm_head", "shared"),
        (
            "Salesforce/blip-image-captioning-base",
            "text_decoder.cls.predictions.decoder",
            "text_decoder.bert.embeddings.word_embeddings",
        ),
    ],
)
def test_the_output_layer_is_tied_as_the_entry_says(name, output, embedding):
    entry = get_entry(name)
    for tied in (None, True, False):
        model = skeleton(entry, tied)
        same = model.get_submodule(output).weight is model.get_submodule(embedding).weight
        assert same is (entry.tied if tied is None else tied)


def test_the_embeddings_of_encoder_and_decoder_stay_one():
    model = skeleton(get_entry("google/flan-t5-small"))
    assert model.encoder.embed_tokens.weight is model.shared.weight
    assert model.decoder.embed_tokens.weight is model.shared.weight


def test_an_unknown_model_is_named_and_the_known_are_listed():
    with pytest.raises(
        ValueError, match=r"'t6'; the models are t5-tiny, .*google/flan-t5-small, .* and \d+ more$"
    ):
        get_entry("t6")


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=str)
def test_the_catalogue_knows_how_many_parameters_there_are(entry):
    assert sum(p.numel() for p in skeleton(entry).parameters()) == entry.parameters
