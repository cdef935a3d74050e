"""What is known of a family without torch, what calibration runs, and a family of a test's own."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from qdemo.models.availability import UnavailableError, allowed, get_entry
from qdemo.models.catalogue import Entry
from qdemo.models.decoding import generate, score
from qdemo.models.families import FAMILIES, Architecture, Batch, Family, Prompt, State, fields
from qdemo.models.families.base import device_of, padded, row
from qdemo.models.loading import load
from qdemo.models.pictures import captions, gallery, named_picture
from qdemo.spec.given import Field, by_name
from tests.models.models import write_t5

ROOT = Path(__file__).parents[2]
PAIRS = {
    "t5-tiny": [("What is 40 + 2?", "42"), ("Translate to German: Tuesday", "Dienstag"),
                ("Please say goodbye to Hugo.", "Goodbye, Hugo!")],
    "blip-tiny": [(named_picture(name), text) for name, text in captions().items()],
}  # fmt: skip


def test_what_a_family_asks_for_is_known_before_torch_and_transformers():
    script = (
        "import sys, qdemo.models.catalogue, qdemo.models.loading; "
        "from qdemo.models.families import FAMILIES; "
        "print([f.label for family in FAMILIES.values() for f in family.fields], "
        "{'torch', 'transformers'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout.strip() == "['Prompt', 'Picture', 'Prompt'] set()", run.stderr


def test_every_family_names_itself_and_every_example_can_be_taken():
    for task, family in FAMILIES.items():
        assert family.task == task
        assert family.label
        assert family.model_types or family.takes("llama")
        assert all(field.examples and field.first == field.examples[0] for field in family.fields)
    assert fields()["picture"].examples == tuple(gallery())


def test_fields_that_differ_do_not_go_by_one_name():
    text, picture = Field("x", "text", "X"), Field("x", "picture", "X")
    assert by_name([text, text]) == {"x": text}
    assert text.first == ""
    with pytest.raises(ValueError, match="two fields that differ are named 'x'"):
        by_name([text, picture])
    with pytest.raises(ValueError, match="field name 'a b'; expected an identifier"):
        Field("a b", "text", "X")


@pytest.mark.parametrize(
    ("name", "prefix", "ends", "longest"), [("t5-tiny", 0, 1, 512), ("blip-tiny", 5, 3, 32)]
)
def test_a_prompt_says_where_its_answer_begins_and_ends(name, prefix, ends, longest):
    prompt = load(get_entry(name)).family.encode(PAIRS[name][0][0])
    assert (prompt.prefix, prompt.ends, prompt.longest) == ((prefix,), {ends}, longest)


def test_what_is_on_another_device_is_told_by_its_tensors():
    prompt = load(get_entry("t5-tiny")).family.encode("a b").to("meta")
    assert all(x.is_meta for x in prompt.inputs.values())
    assert prompt.shown == "a b"
    model = nn.Linear(2, 2, device="meta")
    assert device_of(model) == row(model, [1]).device == torch.device("meta")
    assert device_of(nn.Identity()) == torch.device("cpu")


@pytest.fixture(scope="module", params=PAIRS)
def calibrated(request):
    """A model, the batch of its pairs, and what went into each of its layers."""
    loaded = load(get_entry(request.param))
    batch = loaded.family.calibration_batch(PAIRS[request.param])
    inputs = {}

    def keep(name):
        def hook(_, args):
            inputs[name] = args[0]

        return hook

    linear = [(n, m) for n, m in loaded.model.named_modules() if isinstance(m, nn.Linear)]
    hooks = [module.register_forward_pre_hook(keep(name)) for name, module in linear]
    with torch.inference_mode():
        logits = loaded.family.forward(loaded.model, batch)
    for hook in hooks:
        hook.remove()
    return loaded, batch, logits, inputs


def alone(loaded, at):
    """The logits of one pair of its model, and the tokens that were forced."""
    given, text = PAIRS[loaded.entry.name][at]
    words = loaded.family.tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        prompt = loaded.family.encode(given)
        return loaded.family.prefill(loaded.model, prompt, words)[0]


def test_the_answers_are_scored_as_they_are_alone(calibrated):
    loaded, batch, logits, _ = calibrated
    *_, mask = batch.masks
    for at in range(len(mask)):
        assert torch.allclose(logits[at][mask[at]], alone(loaded, at), atol=1e-3)


def test_every_layer_s_input_tells_its_side_by_its_shape(calibrated):
    _, batch, _, inputs = calibrated
    lengths = [mask.shape[1] for mask in batch.masks]
    assert len(set(lengths)) == len(lengths) == 2
    sides = {name: batch.mask_of(x) for name, x in inputs.items()}
    assert {id(mask) for mask in sides.values()} == set(map(id, batch.masks))
    encoder, decoder = batch.masks
    for name, mask in sides.items():
        if "EncDecAttention" in name or "crossattention.self" in name:  # both sides meet there
            wanted = encoder if name.endswith((".k", ".v", ".key", ".value")) else decoder
        else:
            wanted = encoder if name.startswith(("encoder", "vision_model")) else decoder
        assert mask is wanted, name


def test_rows_of_padding_are_left_out_and_no_others(calibrated):
    loaded, batch, _, inputs = calibrated
    if loaded.entry.name == "t5-tiny":
        counts = [len(loaded.family.encode(given).read) for given, _ in PAIRS["t5-tiny"]]
        texts = [len(loaded.family.tokenizer(text)["input_ids"]) for _, text in PAIRS["t5-tiny"]]
        assert batch.masks[0].sum(1).tolist() == counts
        assert batch.masks[1].sum(1).tolist() == texts
    else:
        assert batch.masks[0].all()
    assert not batch.masks[1].all()
    for x in inputs.values():
        mask = batch.mask_of(x)
        assert torch.equal(batch.rows(x), x.reshape(-1, x.shape[-1])[mask.flatten()])
    pooled = torch.ones(len(batch.masks[0]), 7)
    assert batch.mask_of(pooled) is None
    assert batch.rows(pooled).shape == pooled.shape


def test_what_stands_on_padding_changes_no_real_row(calibrated):
    loaded, batch, logits, _ = calibrated
    inputs = dict(batch.inputs)
    for mask in batch.masks:
        for name, x in inputs.items():
            if name.endswith("input_ids") and x.shape == mask.shape:
                inputs[name] = x.where(mask, 9)
    with torch.inference_mode():
        other = loaded.family.forward(loaded.model, Batch(inputs, batch.masks))
    *_, mask = batch.masks
    assert torch.allclose(other[mask], logits[mask], atol=1e-4)


def test_sides_of_one_length_are_told_apart_and_no_pairs_are_refused():
    tokens, mask = padded([[1, 2], [3]], not_as=2)
    assert tokens.tolist() == [[1, 2, 0], [3, 0, 0]]
    assert mask.tolist() == [[True, True, False], [True, False, False]]
    for name in PAIRS:
        with pytest.raises(ValueError, match="no pairs"):
            load(get_entry(name)).family.calibration_batch([])
    moved = Batch({"x": tokens}, (mask,)).to("meta")
    assert moved.inputs["x"].is_meta
    assert moved.masks[0].is_meta


def test_a_caption_that_is_too_long_is_cut_and_a_picture_is_needed():
    tiny = load(get_entry("blip-tiny"))
    (picture, _), *_ = PAIRS["blip-tiny"]
    batch = tiny.family.calibration_batch([(picture, "a dog and " * 50)])
    assert batch.masks[1].sum() == 31
    with torch.inference_mode():
        assert tiny.family.forward(tiny.model, batch).isfinite().all()
    with pytest.raises(ValueError, match="expected a picture, got str"):
        tiny.family.calibration_batch([("a dog", "a dog")])


class Counting(Family):
    """A causal family whose prompt is its prefix, and whose model counts on: all in one place."""

    task, label, model_types = "counting", "number to numbers", ("t5",)
    fields = (Field("number", "text", "Number", examples=("3",)),)

    def __init__(self, config, words, generation=None):
        self.tokenizer = words

    @staticmethod
    def architecture(model_type):
        from transformers import AutoTokenizer, T5ForConditionalGeneration

        return Architecture(T5ForConditionalGeneration, AutoTokenizer)

    def encode(self, given, read_as="chat"):
        number = int(given)
        return Prompt({}, (number - 1, number), frozenset((7, 9)), 20, (), given)

    def prefill(self, model, prompt, forced=()):
        tokens = row(model, (*prompt.prefix, *forced))
        logits, state = self.step(model, State({}, []), tokens)
        return logits[-1 - len(forced) :], state

    def step(self, model, state, tokens):
        return model(tokens[0]), State({}, [*state.past, *tokens[0].tolist()])

    def calibration_batch(self, pairs):
        return Batch(*padded([[int(given)] for given, _ in pairs]))

    def forward(self, model, batch):
        return model(batch.inputs)


def counter():
    """Token n + 1 after token n."""
    return nn.Embedding.from_pretrained(torch.eye(10).roll(1, dims=1))


def test_a_family_of_one_s_own_is_decoded_and_scored():
    family, model = Counting(None, None), counter()
    prompt = family.encode("3")
    assert list(generate(family, model, prompt, 20)) == [4, 5, 6, 7]
    assert list(generate(family, model, prompt, 2)) == [4, 5]
    logits = score(family, model, prompt, [4, 5, 6])
    assert logits.argmax(1).tolist() == [4, 5, 6]


def test_a_family_of_one_s_own_is_named_listed_and_loaded(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="unknown task 'counting'"):
        Entry("mine", "counting", False, 0)
    monkeypatch.setitem(FAMILIES, Counting.task, Counting)
    assert "number" in fields()
    write_t5(tmp_path, False, "relu")
    (entry,) = allowed(f"counting:{tmp_path}", {}).values()
    assert isinstance(load(entry).family, Counting)
    with pytest.raises(ValueError, match="TASK is text2text or captioning or causal or counting"):
        allowed("nothing", {})


def test_a_model_of_another_type_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(FAMILIES["text2text"], "model_types", ("a", "b"))
    write_t5(tmp_path, False, "relu")
    entry = Entry("mine", "text2text", tied=False, parameters=0, folder=tmp_path)
    with pytest.raises(UnavailableError, match="of type 't5', expected 'a' or 'b'"):
        load(entry)
