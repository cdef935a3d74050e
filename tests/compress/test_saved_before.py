"""Files of version 1 pass the same checks as those of today, and then hold the same values."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from qdemo import Variant, load_quantized, save_quantized
from tests.compress.models import Small, ids
from tests.fixtures import __main__ as fixtures

OLD = fixtures.HERE / "saved-1.safetensors"
LAYER = "layers.4.quantized"  # int4


def parts(path):
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["qdemo"])


def loaded(path):
    model = fixtures.model()
    load_quantized(model, path)
    return model


def test_it_is_the_file_of_that_time():
    tensors, about = parts(OLD)
    assert "version" not in about
    assert tensors[f"{LAYER}.packed"].shape == (40, 64)


def test_what_was_read_is_written_as_of_today_and_read_again(tmp_path):
    model, path = loaded(OLD), tmp_path / "model.safetensors"
    save_quantized(model, path)
    tensors, about = parts(path)
    assert about["version"] == 2
    assert tensors[f"{LAYER}.codes"].shape == (40 * 64,)
    again = dict(loaded(path).named_buffers())
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, again[name]), name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t[f"{LAYER}.scale"].neg_(), "layers.4.quantized.scale is not positive and"),
        (lambda t: t[f"{LAYER}.scale"].fill_(3e38), "layers.4.quantized.scale makes weights inf"),
        (lambda t: t.pop(f"{LAYER}.packed"), "holds no layers.4.quantized.packed, which the model"),
        (
            lambda t: t.update({f"{LAYER}.codes": t.pop(f"{LAYER}.packed")}),
            "holds layers.4.quantized.codes, which the model does not have",
        ),
        (
            lambda t: t.update({f"{LAYER}.packed": t[f"{LAYER}.packed"].reshape(-1)}),
            "packed has shape (2560,), expected (40, 64)",
        ),
        (
            lambda t: t.update({f"{LAYER}.packed": t[f"{LAYER}.packed"].view(torch.int8)}),
            "packed is torch.int8, expected torch.uint8",
        ),
        (
            lambda t: t["layers.8.quantized.zero_point"].fill_(16),
            "layers.8.quantized.zero_point goes beyond 15",
        ),
        (
            lambda t: t["layers.18.quantized.packed"].view(torch.uint8).fill_(0x7C),
            "layers.18.quantized.packed is not finite everywhere",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change, says, tmp_path):
    tensors, about = parts(OLD)
    change(tensors)
    path = tmp_path / "model.safetensors"
    save_file(tensors, path, {"qdemo": json.dumps(about)})
    model = fixtures.model()
    before = dict(model.named_parameters())
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - what it says comes next
        load_quantized(model, path)
    assert says in str(caught.value)
    now = dict(model.named_parameters())
    assert now.keys() == before.keys()
    assert all(now[name] is before[name] for name in now)


def as_before(path):
    """The file of a model whose layers are int8, as version 1 wrote it."""
    tensors, about = parts(path)
    renamed = {key.replace("quantized.codes", "quantized.packed"): t for key, t in tensors.items()}
    about.pop("version")
    about["same_as"] = {
        key.replace(".codes", ".packed"): first.replace(".codes", ".packed")
        for key, first in about["same_as"].items()
    }
    save_file(renamed, path, {"qdemo": json.dumps(about)})


def test_ties_stay_ties(tmp_path):
    path, model = tmp_path / "model.safetensors", Variant.parse("int8+emb").build(Small())
    save_quantized(model, path)
    as_before(path)
    found = Small()
    load_quantized(found, path)
    assert torch.equal(found(ids()), model(ids()))
    assert found.head.quantized is found.embed.quantized


def test_damaged_files_are_refused_or_read_whole(tmp_path):
    whole = OLD.read_bytes()
    path = tmp_path / "damaged.safetensors"

    @settings(max_examples=40)
    @given(st.integers(0, len(whole) - 1), st.integers(0, 7), st.booleans())
    def damage(place, bit, in_header):
        changed = bytearray(whole)
        place = place % 4000 if in_header else place
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        model = fixtures.model()
        try:
            load_quantized(model, path)
        except ValueError:
            assert not any("quantized" in name for name, _ in model.named_buffers())
        model["layers"]["4"](torch.ones(1, 128))

    damage()
