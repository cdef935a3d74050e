"""A file that does not fit is refused in one sentence, and leaves the model as it was."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save, save_file
from torch import nn

from qdemo import Variant, load_quantized, save_quantized
from qdemo.compress.saving import _placed
from tests.compress.models import Small, ids


def written(variant, path, model=None):
    save_quantized(Variant.parse(variant).build(model or Small()), path)
    return path


def parts(path):
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["qdemo"])


def rewrite(path, tensors, about):
    told = about if isinstance(about, str) else json.dumps(about)
    save_file(tensors, path, {"format": "pt", "qdemo": told})


def state(model):
    """Everything that a half-done load could have changed."""
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]
    modules = [(name, type(module)) for name, module in model.named_modules()]
    return modules, [(name, id(x), x.clone()) for name, x in named]


def assert_same(before, after):
    assert before[0] == after[0]
    assert [one[:2] for one in before[1]] == [one[:2] for one in after[1]]
    assert all(torch.equal(a[2], b[2]) for a, b in zip(before[1], after[1], strict=True))


def refused(path, model=None):
    """The message of the refusal, after which the model is as it was and answers as it did."""
    model = Small() if model is None else model
    before, answered = state(model), model(ids()) if isinstance(model, Small) else None
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the caller looks at the message
        load_quantized(model, path)
    assert_same(before, state(model))
    assert answered is None or torch.equal(model(ids()), answered)
    return str(caught.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_another_row_length_is_refused(path):
    written("int4", path, nn.Sequential(nn.Linear(40, 16)))
    assert "shape (320,), expected (256,)" in refused(path, nn.Sequential(nn.Linear(32, 16)))


def test_an_embedding_of_more_rows_is_refused(path):
    written("int8+emb", path, nn.Sequential(nn.Embedding(30, 16)))
    assert "(30, 16), expected (20, 16)" in refused(path, nn.Sequential(nn.Embedding(20, 16)))


SCALE = "body.0.quantized.scale"
CODES = "body.0.quantized.codes"
BIAS = "body.0.bias"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t[SCALE].mul_(-1), "body.0.quantized.scale is not positive and finite"),
        (lambda t: t[SCALE][1:2].fill_(torch.nan), "is not positive and finite everywhere"),
        (lambda t: t[SCALE][3:].fill_(torch.inf), "is not positive and finite everywhere"),
        (lambda t: t[SCALE].zero_(), "is not positive and finite everywhere"),
        (lambda t: t.update({SCALE: t[SCALE].int() + 1}), "scale is torch.int32, expected torch.f"),
        (lambda t: t.update({SCALE: t[SCALE].half()}), "scale is torch.float16, expected torch.fl"),
        (lambda t: t.update({SCALE: t[SCALE][:1]}), r"scale has shape (1,), expected (32,)"),
        (lambda t: t.update({CODES: t[CODES].float()}), "codes is torch.float32, expected"),
        (lambda t: t.update({CODES: t[CODES].view(torch.uint8)}), "torch.uint8, expected torch"),
        (lambda t: t.update({CODES: t[CODES].t().contiguous()}), "shape (16, 32), expected (3"),
        (lambda t: t[SCALE].fill_(3e38), "body.0.quantized.scale makes weights infinite"),
        (lambda t: t.update({BIAS: t[BIAS].double()}), "torch.float64, where torch.float32 is"),
        (lambda t: t.update({"positions": t["positions"].float()}), "positions is torch.float32"),
        (lambda t: t.update({"norm.weight": t["norm.weight"].int()}), "norm.weight is torch.int32"),
        (lambda t: t.update({"body.0.weight": torch.ones(1)}), "holds body.0.weight, which the mo"),
        (lambda t: t.pop("body.2.quantized.scale"), "holds no body.2.quantized.scale, which the"),
    ],
)  # fmt: skip
def test_a_tensor_that_is_not_as_it_has_to_be_is_refused(change, says, path):
    tensors, about = parts(written("int8", path))
    change(tensors)
    rewrite(path, tensors, about)
    assert says in refused(path)


def test_zero_points_and_floats_that_no_scheme_has_are_refused(path):
    tensors, about = parts(written("int4-affine", path))
    tensors["body.2.quantized.zero_point"][2] = 16
    rewrite(path, tensors, about)
    assert "body.2.quantized.zero_point goes beyond 15" in refused(path)
    tensors, about = parts(written("fp8_e5m2", path))
    tensors["body.2.quantized.codes"].view(torch.uint8)[0, 0] = 0x7C  # infinity
    rewrite(path, tensors, about)
    assert "body.2.quantized.codes is not finite everywhere" in refused(path)


def with_layer(*told):
    """The metadata with other words for one layer."""
    return lambda about: about["modules"].update({"body.0": list(told)})


UNREADABLE = "what model.safetensors says of its schemes can't be read"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (with_layer("int4", "fp32"), "codes has shape (32, 16), expected (256,)"),
        (with_layer("fp8_e4m3", "fp32"), "codes is torch.int8, expected torch.float8_e4m3fn"),
        (with_layer("int8-affine", "fp32"), "quantized.zero_point, which the model needs"),
        (with_layer("int8-tensor", "fp32"), "scale has shape (32,), expected ()"),
        (with_layer("int8-g5", "fp32"), "body.0: group_size 5 does not divide the row length 16"),
        (with_layer("int9", "fp32"), "body.0: cannot quantize to 'int9'"),
        (with_layer("int8", "int8"), "body.0: cannot cast to int8"),
        (with_layer("int8", "fp8_e4m3"), "body.0: torch computes nothing in fp8_e4m3"),
        (with_layer("int8", "fp33"), "body.0: unknown format 'fp33'"),
        (with_layer("int8", "fp64"), "body.0.bias is torch.float32, where torch.float64 is"),
        (with_layer("int8" * 999, "fp32"), "is no scheme"),
        (with_layer("int8"), UNREADABLE),
        (with_layer("int8", "fp32", "more"), UNREADABLE),
        (with_layer(8, "fp32"), UNREADABLE),
        (with_layer("int8", 32), "body.0: unknown format '32'"),
        (lambda about: about.update({"version": 3}), "is of version 3, expected 1 to 2"),
        (lambda about: about.update({"version": "2"}), "is of version 2, expected 1 to 2"),
        (lambda about: about.update({"version": [1]}), "is of version [1], expected 1 to 2"),
        (lambda about: about.pop("version"), "quantized.codes, which the model does not have"),
        (lambda about: about.pop("modules"), UNREADABLE),
        (lambda about: about.pop("same_as"), UNREADABLE),
        (lambda about: about.update({"modules": ["body.0"]}), UNREADABLE),
        (lambda about: about.update({"modules": {"body.0": 3}}), UNREADABLE),
        (lambda about: about.update({"same_as": [1]}), UNREADABLE),
        (lambda about: about["same_as"].update({"x": "nothing"}), UNREADABLE),
        (lambda about: about["same_as"].update({"x": "norm.bias"}), "holds x, which the model do"),
        (lambda about: about["modules"].update({"norm": ["int8", "fp32"]}), "has a LayerNorm"),
        (lambda about: about["modules"].update({"no": ["int8", "fp32"]}), "has nothing"),
        (lambda about: about["modules"].update({"again": ["int4", "fp32"]}), "a quantized again"),
        (lambda about: about["modules"].pop("body.0"), "quantized.codes, which the model"),
        (lambda about: about["modules"].clear(), "which the model does not have"),
    ],
)  # fmt: skip
def test_metadata_that_do_not_fit_are_refused(change, says, path):
    tensors, about = parts(written("int8", path))
    change(about)
    rewrite(path, tensors, about)
    assert says in refused(path)


@pytest.mark.parametrize(
    "about", ["[1, 2]", "7", "null", '"int8"', "{", "", "[" * 100_000, '{"modules": {"a": "']
)
def test_metadata_of_any_other_form_are_refused(about, path):
    tensors, _ = parts(written("int8", path))
    rewrite(path, tensors, about)
    assert refused(path) == UNREADABLE


def test_a_scale_that_is_tied_to_another_layer_s_is_its_own(path):
    """Numbers and scales are shared for themselves: equal numbers may have other scales."""
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(2 * model[0].weight)
    built = Variant.parse("int8").build(model)
    save_quantized(built, path)
    tensors, about = parts(path)
    del tensors["1.quantized.codes"]
    about["same_as"]["1.quantized.codes"] = "0.quantized.codes"
    rewrite(path, tensors, about)
    load_quantized(model, path)
    assert torch.equal(model(torch.eye(8)), built(torch.eye(8)))


def test_a_file_of_another_cast_is_taken(path):
    model = Small()
    load_quantized(model, written("int8@bf16", path))
    assert model.norm.weight.dtype == torch.bfloat16
    assert model.body[0].compute_dtype == torch.bfloat16


class On:
    """A tensor, as far as it matters here, on a device that this machine need not have."""

    def __init__(self, device):
        self.device = torch.device(device)

    def to(self, device):
        return On(device)


def test_tensors_go_where_the_model_is():
    class Model:
        """One layer on a GPU, another nowhere yet."""

        def named_parameters(self, remove_duplicate):
            yield "a.weight", On("cuda:1")
            yield "b.weight", On("meta")

        def named_buffers(self, remove_duplicate):
            yield "c", On("cuda:0")

    file = {f"{name}.quantized.codes": On("cpu") for name in "ab"} | {"c": On("cpu")}
    file["a.quantized.scale"] = file["a.quantized.codes"]
    placed = _placed(file, Model())
    assert {key: str(tensor.device) for key, tensor in placed.items()} == {
        "a.quantized.codes": "cuda:1",
        "a.quantized.scale": "cuda:1",
        "b.quantized.codes": "cpu",
        "c": "cuda:0",
    }
    assert placed["a.quantized.scale"] is placed["a.quantized.codes"]  # a tie stays one


def load_whatever_it_is(data, path):
    """What a damaged file does: it is refused, or it is loaded whole, and the model runs."""
    path.write_bytes(data)
    model = Small()
    before = state(model)
    try:
        load_quantized(model, path)
    except ValueError:
        assert_same(before, state(model))
    assert model(ids()).shape == (2, 3, 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.mark.parametrize("variant", ["int8", "int4-g8-affine+emb", "fp8_e4m3+emb", "int8@bf16"])
def test_damaged_files(variant, folder):
    whole = written(variant, folder / "whole.safetensors").read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")

    @settings(max_examples=150)
    @given(st.data())
    def damage(data):
        kind = data.draw(st.sampled_from(["flip header", "flip", "cut", "insert", "length"]))
        changed = bytearray(whole)
        end = start if kind == "flip header" else len(whole)
        place = data.draw(st.integers(0, end - 1))
        match kind:
            case "flip" | "flip header":
                for _ in range(data.draw(st.integers(1, 3))):
                    changed[place] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del changed[place:]
            case "insert":
                changed[place:place] = data.draw(st.binary(min_size=1, max_size=9))
            case "length":
                changed[:8] = data.draw(st.integers(0, 2**64 - 1)).to_bytes(8, "little")
        load_whatever_it_is(bytes(changed), folder / "damaged.safetensors")

    damage()


def test_crafted_metadata(folder):
    tensors, about = parts(written("int4-g8-affine+emb", folder / "whole.safetensors"))
    names = st.sampled_from([*tensors, *about["modules"], "", "x", "again", "body"])
    texts = st.sampled_from(["int8", "int4-g8-affine", "int4", "fp8_e5m2", "fp32", "bf16", "", "x"])
    values = st.one_of(st.none(), st.integers(), texts, st.lists(texts, max_size=3))

    @settings(max_examples=150)
    @given(
        st.dictionaries(names, st.one_of(values, st.tuples(texts, texts)), max_size=3),
        st.dictionaries(names, st.one_of(values, names), max_size=3),
        st.lists(names, max_size=2),
    )
    def craft(modules, same_as, gone):
        left = {key: tensor for key, tensor in tensors.items() if key not in gone}
        told = {"modules": about["modules"] | modules, "same_as": about["same_as"] | same_as}
        data = save(left, {"qdemo": json.dumps(told)})
        load_whatever_it_is(data, folder / "crafted.safetensors")

    craft()
