import copy
import math
import pickle

import pytest
import torch
from torch import nn

from qdemo import (
    QEmbedding,
    QLinear,
    Scheme,
    Variant,
    footprint,
    freeze,
    quantize,
    quantize_tensor,
)
from qdemo.compress.parameter import QParameter
from qdemo.numerics.linear import fake_quantize
from tests import causal_folder
from tests.compress.models import Small, ids


def swapped(model):
    return {n for n, m in model.named_modules() if isinstance(m, QLinear | QEmbedding)}


def test_quantize_swaps_every_linear_and_keeps_the_parameters():
    model = Small(tied=False)
    weight = model.body[0].weight
    quantize(model)
    assert swapped(model) == {"body.0", "body.2", "head"}
    assert model.body[0].weight is weight
    assert model.again is model.body[0]


def test_embeddings_are_taken_when_asked():
    model = Small()
    quantize(model, "int8", embeddings=True)
    assert swapped(model) == {"embed", "body.0", "body.2", "head"}
    assert model.embed.weight is model.head.weight


@pytest.mark.parametrize(
    ("include", "exclude", "names"),
    [
        ("body.*", None, {"body.0", "body.2"}),
        (None, "head", {"body.0", "body.2"}),
        (["head", "body.2"], None, {"body.2", "head"}),
        ("*", ["body.?"], {"head"}),
    ],
)
def test_names_are_chosen_by_pattern(include, exclude, names):
    model = Small(tied=False)
    quantize(model, include=include, exclude=exclude)
    assert swapped(model) == names


@pytest.mark.parametrize("weights", ["int4-g8", Scheme("int4", group_size=8), torch.int8])
def test_schemes_are_text_values_or_dtypes(weights):
    model = Small(tied=False)
    quantize(model, weights)
    wanted = Scheme("int8") if weights == torch.int8 else Scheme("int4", group_size=8)
    assert model.head.scheme == wanted


@pytest.mark.parametrize(
    "text", ["int8", "int4-g8", "int3-affine", "int2", "int8-tensor", "int8-axis1", "fp8_e5m2"]
)
def test_freezing_changes_no_bit_of_a_weight(text):
    model = Small()
    quantize(model, text, embeddings=True)
    output = model(ids())
    weights = [fake_quantize(m.weight, m.scheme) for m in (model.embed, model.body[2], model.head)]
    freeze(model)
    for module, weight in zip((model.embed, model.body[2], model.head), weights, strict=True):
        assert torch.equal(module.weight.dequantize(), weight)
    assert torch.allclose(model(ids()), output, atol=1e-5)  # the order of sums may differ


@pytest.mark.parametrize("text", ["int8", "int4-g8-affine", "fp8_e4m3", "int2"])
def test_a_frozen_model_computes_with_the_dequantized_weights(text):
    model, plain = Small(tied=False), Small(tied=False)
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        for linear in (plain.body[0], plain.body[2], plain.head):
            linear.weight = nn.Parameter(
                quantize_tensor(linear.weight, Scheme.parse(text)).dequantize()
            )
    quantize(model, text)
    freeze(model)
    assert torch.allclose(model(ids()), plain(ids()), atol=1e-6)


def test_frozen_weights_are_buffers_and_the_bias_stays():
    model = Small()
    quantize(model, "int4-affine")
    freeze(model)
    held = set(model.body[0].state_dict()) - {"bias"}
    assert {"quantized.scale", "quantized.zero_point"} < held
    assert len(held) == 3
    assert [n for n, _ in model.body[0].named_parameters()] == ["bias"]
    assert model.body[0].weight.dtype == torch.float32  # T5 asks wo.weight for its dtype
    with pytest.raises(AttributeError, match="nothing"):
        model.body[0].nothing  # noqa: B018


def test_tied_weights_share_one_quantized_tensor():
    model = Small()
    quantize(model, "int8", embeddings=True)
    freeze(model)
    assert model.head.qweight.packed.data_ptr() == model.embed.qweight.packed.data_ptr()
    assert model.head.qweight.scale.data_ptr() == model.embed.qweight.scale.data_ptr()


def test_a_tie_of_two_schemes_is_two_tensors():
    model = Small()
    quantize(model, "int8", include="head")
    quantize(model, "int4", include="embed", embeddings=True)
    freeze(model)
    assert (model.head.qweight.packed.dtype, model.embed.qweight.packed.dtype) == (
        torch.int8,
        torch.uint8,
    )


def test_freezing_twice_changes_nothing():
    model = Small(tied=False)
    quantize(model)
    freeze(model)
    packed = model.head.qweight.packed
    freeze(model)
    assert model.head.qweight.packed is packed


def test_state_dicts_round_trip():
    models = [Small(), Small()]
    for model in models:
        quantize(model, "int3-g8-affine", embeddings=True)
        freeze(model)
    models[1].load_state_dict(models[0].state_dict())
    assert torch.equal(models[0](ids()), models[1](ids()))


def test_copies_of_a_frozen_model_are_whole():
    model = Small(tied=False)
    quantize(model, "int4")
    freeze(model)
    other = copy.deepcopy(model)
    assert torch.equal(other(ids()), model(ids()))
    assert other.head.qweight.packed.data_ptr() != model.head.qweight.packed.data_ptr()


def test_copies_of_experts_are_whole():
    model = causal_folder.model("qwen3_moe")
    quantize(model, "int8", embeddings=True)
    freeze(model)
    ids = torch.tensor([[1, 40, 50, 60, 70]])
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(input_ids=ids).logits, model(input_ids=ids).logits)


def test_a_layer_that_does_not_fit_is_named_and_nothing_is_changed():
    model = Small()
    with pytest.raises(ValueError, match=r"body\.0: group_size 12 .* row length 16"):
        quantize(model, "int4-g12")
    assert swapped(model) == set()


def test_a_bad_weight_is_named():
    model = Small()
    with torch.no_grad():
        model.body[2].weight[0, 0] = math.nan
    quantize(model)
    with pytest.raises(ValueError, match=r"body\.2: .* 1 of 512 values"):
        freeze(model)


def test_nothing_to_quantize_is_an_error():
    with pytest.raises(ValueError, match="include=nothing"):
        quantize(Small(), include="nothing")
    with pytest.raises(ValueError, match="wrap it"):
        quantize(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="fp16"):
        quantize(Small(), torch.float16)


def test_an_embedding_that_renormalizes_is_refused():
    model = nn.Sequential(nn.Embedding(4, 4, max_norm=1.0), nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"0: max_norm 1\.0"):
        quantize(model, embeddings=True)


def test_subclasses_of_linear_are_left_alone():
    """MultiheadAttention reads the weight of its output layer by itself."""
    model = nn.ModuleDict({"attention": nn.MultiheadAttention(8, 2), "out": nn.Linear(8, 8)})
    quantize(model)
    assert swapped(model) == {"out"}


def test_modes_are_kept():
    model = Small(tied=False).eval()
    quantize(model)
    assert not any(module.training for module in model.modules())
    assert "int8, trainable" in repr(model.head)
    freeze(model)
    assert "20 x 16, int8, frozen" in repr(model.head)


@pytest.mark.parametrize("text", ["bf16", "int8", "int7-g8+emb", "int8+emb@bf16", "fp8_e4m3@fp16"])
def test_a_variant_is_built_and_the_reference_untouched(text):
    reference = Small()
    before = copy.deepcopy(reference.state_dict())
    variant = Variant.parse(text).build(reference)
    assert (variant(ids()).float() - reference(ids())).abs().max() < 0.5
    assert str(variant(ids()).dtype)[6:] == {"fp32": "float32", "fp16": "float16",
        "bf16": "bfloat16"}[Variant.parse(text).compute]  # fmt: skip
    assert swapped(reference) == set()
    assert all(torch.equal(v, before[k]) for k, v in reference.state_dict().items())


def test_a_variant_shares_what_it_leaves_alone():
    reference = Small()
    variant = Variant.parse("int8").build(reference)
    assert variant.embed.weight.data_ptr() == reference.embed.weight.data_ptr()


@pytest.mark.parametrize("text", ["int8", "int8+emb", "bf16", "fp16", "int4-g64-affine+emb@bf16"])
def test_variant_texts_round_trip(text):
    assert str(Variant.parse(text)) == text
    assert str(Variant.parse(f" {text} ")) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("int9", "unknown format 'int9'.*bf16.*int8"),
        ("", "unknown format ''"),
        ("fp64", "unknown format 'fp64'"),
        ("int8@int8", "cannot compute in 'int8'; expected fp32, fp16, bf16"),
        ("int8@", "cannot compute in ''"),
        ("bf16@fp32", "leave @fp32 out"),
        ("bf16+emb", "casts the embeddings anyway"),
        ("int8+all", r"'\+all'"),
        ("int8-g", "'g'"),
    ],
)
def test_variant_errors_say_what_is_wrong(text, says):
    with pytest.raises(ValueError, match=says):
        Variant.parse(text)


def test_a_layer_used_twice_in_one_parent_is_swapped_twice():
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    quantize(model)
    assert model[0] is model[2]
    assert isinstance(model[2], QLinear)


def test_patterns_mean_any_name_of_a_layer_and_mind_the_case():
    model = Small(tied=False)
    quantize(model, exclude="again")  # body.0 by its other name
    assert swapped(model) == {"body.2", "head"}
    with pytest.raises(ValueError, match="include=HEAD"):
        quantize(Small(tied=False), include="HEAD")


def test_hooks_go_on_firing():
    model, calls = Small(), []
    model.body[0].register_forward_hook(lambda *_: calls.append(1))
    quantize(model)
    model(ids())
    assert calls == [1]


def test_a_reparametrized_weight_is_refused():
    model = nn.Sequential(nn.Linear(4, 4))
    weight = model[0]._parameters.pop("weight")
    model[0].weight = weight.detach() * 2  # as torch's older weight norm computes it
    with pytest.raises(ValueError, match="0: the weight is reparametrized"):
        quantize(model)


@pytest.mark.parametrize("text", ["int8+emb", "int4+emb"])
def test_moving_keeps_ties_and_moves_everything(text):
    model = Variant.parse(text).build(Small())
    before = footprint(model).by_kind
    moved = copy.deepcopy(model).to("meta")
    assert all(t.is_meta for t in (*moved.parameters(), *moved.buffers()))
    assert footprint(moved).by_kind == before


def test_embeddings_refuse_what_floats_refuse():
    model = Variant.parse("int8+emb").build(Small())
    for bad in (-1, 20):
        with pytest.raises((IndexError, RuntimeError)):
            model.embed(torch.tensor([bad]))


def test_a_padding_row_gets_no_gradient():
    model = nn.Sequential(nn.Embedding(5, 4, padding_idx=0))
    quantize(model, "int8-axis1", embeddings=True, include="0")
    model[0](torch.tensor([0, 1])).sum().backward()
    assert model[0].weight.grad[0].abs().sum() == 0
    assert model[0].weight.grad[1].abs().sum() > 0


def test_one_end_of_a_tie_is_taken_where_patterns_mean_it_alone():
    for given, wanted in (
        ({}, {"body.0", "body.2"}),
        ({"include": "*"}, {"body.0", "body.2"}),
        ({"include": "head"}, {"head"}),
        ({"exclude": "embed"}, {"body.0", "body.2", "head"}),
        ({"exclude": "head", "embeddings": True}, {"embed", "body.0", "body.2"}),
    ):
        model = Small()
        quantize(model, **given)
        assert swapped(model) == wanted


def test_a_convolution_is_taken_where_its_very_name_is_given():
    def model():
        return nn.ModuleDict({"conv": nn.Conv1d(4, 3, 2), "out": nn.Linear(4, 4)})

    plain, named = model(), model()
    quantize(plain, include="*")
    quantize(named, include=["conv"])
    assert isinstance(plain["conv"].weight, nn.Parameter)
    assert isinstance(named["conv"].weight, QParameter)
    assert type(named["out"]) is nn.Linear
    freeze(named)
    filters = named["conv"].weight.qweight
    assert filters.shape == (3, 8)
    x = torch.randn(2, 4, 5)
    wanted = nn.functional.conv1d(x, filters.dequantize().view(3, 4, 2), named["conv"].bias)
    assert torch.equal(named["conv"](x), wanted)
