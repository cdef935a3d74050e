import pytest
import torch

from qdemo.models import checkpoint
from qdemo.models.availability import UnavailableError, allowed, where
from qdemo.models.catalogue import CATALOGUE, Entry
from qdemo.models.loading import load, skeleton
from tests.hub_checkpoints import write_tiny_t5
from tests.models.models import write_t5

COMMIT = "0123456789abcdef" * 2 + "01234567"


def test_nothing_named_allows_nothing_more():
    assert allowed(" , ", CATALOGUE) == {}


def test_a_model_of_the_catalogue_goes_by_its_name():
    name = "google/flan-t5-xl"
    assert allowed(name, CATALOGUE) == {name: CATALOGUE[name]}


def test_a_model_of_the_hub_goes_by_its_task_and_commit():
    found = allowed(f"text2text:me/my-t5@{COMMIT}, captioning:me/b@refs/pr/3", CATALOGUE)
    assert found == {
        "me/my-t5": Entry("me/my-t5", "text2text", False, 0, revision=COMMIT),
        "me/b": Entry("me/b", "captioning", False, 0, revision="refs/pr/3"),
    }
    (language_model,) = allowed(f"causal:me/llama@{COMMIT}", CATALOGUE).values()
    assert language_model == Entry("me/llama", "causal", False, 0, revision=COMMIT)
    assert where(found["me/my-t5"]) == "on the Hub"


def test_a_folder_of_this_machine_is_loaded_and_measured(tmp_path):
    write_tiny_t5(tmp_path / "mine")
    entry = allowed(f"text2text:{tmp_path / 'mine'}", CATALOGUE)["mine"]
    assert where(entry) == "on this machine"
    model, shapes = load(entry).model, skeleton(entry)
    assert {n: p.shape for n, p in model.named_parameters()} == {
        n: p.shape for n, p in shapes.named_parameters()
    }
    assert checkpoint.parameters_of(entry) == sum(p.numel() for p in model.parameters())
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


@pytest.mark.parametrize(
    "text",
    [
        "me/my-t5",
        f"me/my-t5@{COMMIT}",
        "text2text:me/my-t5",
        "text2text:me/my-t5@main",
        f"audio:me/my-t5@{COMMIT}",
        f"text2text:me/../x@{COMMIT}",
        "text2text:/nowhere",
        "nobody",
    ],
)
def test_what_is_not_pinned_or_not_known_is_named(text):
    said = r"QDEMO_MODELS has '.*', .*expected a model .* TASK is text2text or captioning"
    with pytest.raises(ValueError, match=said):
        allowed(text, CATALOGUE)


def test_a_folder_s_output_layer_is_tied_where_it_is_stored_once(tmp_path):
    for tied in (False, True):
        folder = tmp_path / str(tied)
        folder.mkdir()
        write_t5(folder, tied, "relu")
        model = skeleton(Entry("mine", "text2text", False, 0, folder=folder))
        assert (model.lm_head.weight is model.shared.weight) is tied


def test_a_task_that_no_family_has_is_named_and_the_known_are_listed():
    with pytest.raises(ValueError, match="'audio'; expected one of text2text, captioning"):
        Entry("me/my-t5", "audio", False, 0)


def test_the_shape_of_what_is_not_here_is_not_known():
    entry = Entry("me/my-t5", "text2text", False, 0, revision=COMMIT)
    with pytest.raises(UnavailableError, match="download it first"):
        skeleton(entry)
