import copy

import pytest
import torch
from torch import nn

from qdemo import cast, cast_counts, footprint, freeze, quantize
from qdemo.compress.convert import rebuild
from tests.compress.models import Small, ids


@pytest.mark.parametrize("format", ["fp32", "fp16", "bf16"])
def test_a_cast_is_what_to_gives_and_leaves_the_reference_alone(format):
    reference = Small()
    before = copy.deepcopy(reference.state_dict())
    ours = cast(reference, format)
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[format]
    theirs = copy.deepcopy(reference).to(dtype)
    for (name, a), (_, b) in zip(
        ours.state_dict().items(), theirs.state_dict().items(), strict=True
    ):
        assert a.dtype == b.dtype, name
        assert torch.equal(a, b), name
    assert all(torch.equal(v, before[k]) for k, v in reference.state_dict().items())
    assert torch.equal(ours(ids()), theirs(ids()))


def test_no_memory_is_shared_with_the_reference():
    reference = Small()
    ours = cast(reference, "fp32")
    with torch.no_grad():
        for tensor in (*ours.parameters(), *ours.buffers()):
            tensor.zero_()
    assert all(p.any() for p in reference.head.parameters())
    assert reference.positions.any()


def test_ties_and_shared_modules_stay():
    ours = cast(Small(), "bf16")
    assert ours.head.weight is ours.embed.weight
    assert ours.again is ours.body[0]


def test_parameters_over_the_same_memory_stay_tied():
    reference = Small()
    reference.head.weight = nn.Parameter(
        reference.embed.weight.detach()
    )  # other object, same bytes
    ours = cast(reference, "bf16")
    assert (
        footprint(ours).by_kind["float weights"] * 2
        == (footprint(reference).by_kind["float weights"])
    )


def test_integer_buffers_and_requires_grad_are_kept():
    reference = Small()
    reference.norm.requires_grad_(False)
    ours = cast(reference, "fp16")
    assert ours.positions.dtype == torch.int64
    assert [p.requires_grad for p in ours.parameters()] == [
        p.requires_grad for p in reference.parameters()
    ]


def test_rebuild_shares_what_it_does_not_cast():
    reference = Small()
    same = rebuild(reference)
    assert same.embed is not reference.embed
    assert same.embed.weight.data_ptr() == reference.embed.weight.data_ptr()
    half = rebuild(reference, torch.float16)
    assert half.positions.data_ptr() == reference.positions.data_ptr()
    assert half.embed.weight.dtype == torch.float16


@pytest.mark.parametrize("text", ["int8", "int4-affine", "fp8_e4m3"])
def test_a_frozen_model_keeps_its_numbers_and_scales_in_any_cast(text):
    model = Small()
    quantize(model, text, embeddings=True)
    freeze(model)
    for other in (cast(model, "bf16"), copy.deepcopy(model).bfloat16()):
        assert other.norm.weight.dtype == torch.bfloat16
        assert other.head.qweight.packed.dtype == model.head.qweight.packed.dtype
        assert other.head.qweight.scale.dtype == torch.float32
        assert torch.equal(
            other.head.qweight.packed.view(torch.uint8),
            model.head.qweight.packed.view(torch.uint8),
        )
        assert other.head.weight.dtype == torch.bfloat16
        out = other(ids())
        assert out.dtype == torch.bfloat16
        assert (out.float() - model(ids())).abs().max() < 0.1


@pytest.mark.parametrize("format", ["fp8_e4m3", "fp8_e5m2", "int8", "nothing"])
def test_formats_that_nothing_computes_in_are_refused(format):
    with pytest.raises(ValueError, match=format):
        cast(Small(), format)


def test_counts_of_a_model_are_those_of_its_parameters():
    model = Small()
    with torch.no_grad():
        model.norm.bias[:2] = torch.tensor([1e6, 1e-9])
    counts = dict(cast_counts(model, "fp16"))
    assert list(counts) == [name for name, _ in model.named_parameters()]
    assert (counts["norm.bias"].overflowed, counts["norm.bias"].zeroed) == (1, 1 + 0)
    assert sum(count.numel for count in counts.values()) == footprint(model).by_kind[
        "float weights"] // 4  # fmt: skip
