"""What becomes of the layers of many architectures, beside counts by hand."""

import copy

import pytest
import torch
import transformers as hf
from torch import nn

from qdemo import Variant, collect_stats, footprint, load_quantized, save_quantized
from qdemo.compress.footprint import coverage
from qdemo.compress.kinds import multiplies
from qdemo.compress.modules import QModule
from qdemo.compress.parameter import QParameter
from qdemo.measure.layers import output_errors
from qdemo.measure.models import model_weight_errors
from qdemo.measure.step import _is_product, _weights
from qdemo.measure.weights import pool
from qdemo.views.covering import covers, stays_float
from tests.compress.architectures import MODELS, QWEN, F, H, V, inputs

MATRICES = ("int8", "int4-g64", "nf4-g64")


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def reference(name):
    return MODELS[name].model()


@torch.no_grad()
def ran(model, name, dtype=torch.float32):
    given = {k: x.to(dtype) if x.is_floating_point() else x for k, x in inputs(name).items()}
    return model(**given)[0]


def restored(reference, built):
    """The float model whose weights are what those of `built` mean."""
    plain = copy.deepcopy(reference)
    with torch.no_grad():
        for name, module in built.named_modules():
            if isinstance(module, QModule):
                key = name if isinstance(module, QParameter) else f"{name}.weight"
                own = plain.get_parameter(key)
                own.copy_(module.layout.restored(module.qweight.dequantize(), tuple(own.shape)))
    return plain


@pytest.mark.parametrize("text", [*MATRICES, "int8+emb", "int4-g64+emb", "nf4-g64+emb"])
def test_coverage_and_bytes_by_hand(name, text):
    counted = MODELS[name]
    shapes = counted.shapes()
    variant = Variant.parse(text)
    built = variant.build(shapes)
    found, held = coverage(built, shapes, variant), footprint(built)
    weights = counted.quantized + variant.embeddings * counted.table
    rows = counted.rows + variant.embeddings * counted.table_rows
    assert (found.parameters, found.quantized) == (counted.parameters, weights)
    reasons = {(one.kind, one.why) for one in found.left if one.why != "vector"}
    tables = {one for one in counted.left if one[1] in ("embedding", "tied")}
    assert reasons == counted.left - (tables if variant.embeddings else set())
    buffers = sum(b.nbytes for b in shapes.buffers())
    scales = 4 * rows if text.startswith("int8") else weights // 16
    codes = weights if text.startswith("int8") else weights // 2
    floats = 4 * (counted.parameters - weights)
    assert list(held.by_kind.values()) == [codes, scales, floats, buffers]
    assert held.split_ties == ()


@pytest.mark.parametrize("text", [*MATRICES, "int4-g64+emb"])
def test_answers_are_those_of_the_weights_that_are_held(reference, name, text):
    built = Variant.parse(text).build(reference)
    out = ran(built, name)
    assert torch.allclose(out, ran(restored(reference, built), name), atol=2e-5, rtol=1e-4)
    assert not torch.equal(out, ran(reference, name))


@pytest.mark.parametrize(("text", "most"), [("bf16", 0.005), ("int8+emb@bf16", 0.02)])
def test_half_precision_runs_and_weights_are_close(reference, name, text, most):
    built = Variant.parse(text).build(reference)
    assert ran(built, name, torch.bfloat16).isfinite().all()
    whole = pool(error for _, error in model_weight_errors(reference, built))
    assert 0 < whole.relative < most
    assert whole.numel == MODELS[name].parameters


@pytest.mark.parametrize("text", ["int8", "nf4-g64+emb"])
def test_files_come_back_bit_for_bit(reference, name, text, tmp_path):
    built = Variant.parse(text).build(reference)
    save_quantized(built, tmp_path / "model.safetensors")
    for empty in (MODELS[name].model(), MODELS[name].shapes()):
        load_quantized(empty, tmp_path / "model.safetensors")
        assert torch.equal(ran(empty, name), ran(built, name))
        held = [dict(m.named_buffers(remove_duplicate=False)) for m in (empty, built)]
        assert held[0].keys() == held[1].keys()
        assert all(torch.equal(x, held[1][key]) for key, x in held[0].items())


@pytest.mark.parametrize("name", ["GPT-2", "Falcon"])
@pytest.mark.parametrize("text", ["int4-g64-gptq", "int4-g64-awq", "int8a8-sq0.5"])
def test_methods_that_look_at_inputs_look_at_layers_like_linear_ones(name, text):
    reference = MODELS[name].model()
    stats = collect_stats(reference, [inputs(name)])
    assert sum(one.count for one in stats.values()) > 0
    built = Variant.parse(text).build(reference, stats)
    assert ran(built, name).isfinite().all()
    assert any(str(m.step) == text for m in built.modules() if isinstance(m, QModule))


@pytest.mark.parametrize("name", ["GPT-2", "Falcon"])
def test_gptq_leaves_less_output_error_than_rounding(name):
    reference, given = MODELS[name].model(), {}
    for key, layer in reference.named_modules():
        if multiplies(layer):
            layer.register_forward_pre_hook(lambda _, x, k=key: given.setdefault(k, x[0]))
    stats = collect_stats(reference, [inputs(name)])
    given = {key: x.flatten(0, 1) for key, x in given.items()}
    errors = []
    for text in ("int3-g64", "int3-g64-gptq"):
        built = Variant.parse(text).build(reference, stats)
        found = list(output_errors(reference, built, given))
        assert len(found) == len([m for m in built.modules() if isinstance(m, QModule)])
        errors.append(sum(error for _, error, _ in found))
    assert 0 < errors[1] < errors[0] / 2


def test_a_layer_reads_the_weights_that_stand_in_it():
    shapes = MODELS["Gemma-3"].shapes()
    for text, size in (("int8", 4 * V * H), ("int8+emb", V * H + 4 * V)):
        table = Variant.parse(text).build(shapes).model.embed_tokens
        assert sum(x.nbytes for x in _weights(table)) == size
        assert _is_product(table)


def test_experts_that_are_multiplied_all_at_once_are_floats_meanwhile():
    config = hf.Llama4TextConfig(**QWEN, num_local_experts=4, intermediate_size_mlp=F)
    reference = hf.Llama4ForCausalLM(config).eval()
    built = Variant.parse("int8").build(reference)
    wanted = ran(restored(reference, built), "tied Llama")
    assert torch.allclose(ran(built, "tied Llama"), wanted, atol=2e-5, rtol=1e-4)
    assert isinstance(built.model.layers[1].feed_forward.experts.down_proj, QParameter)


def test_what_experts_do_not_get_is_told():
    reference = MODELS["Qwen3-MoE"].shapes()
    variant = Variant.parse("int8a8")
    (told,) = coverage(variant.build(reference), reference, variant).instead
    assert (told.asked, told.held, told.layers, told.why) == ("int8a8", "int8", 4, "inputs")
    assert told.example == "model.layers.0.mlp.experts.gate_up_proj"


@pytest.mark.parametrize("name", ["Qwen3-MoE", "GPT-OSS"])
@pytest.mark.parametrize(
    "text", ["int3", "int8-tensor", "int8-axis1", "int4-g64-affine", "nf4-g64-dq", "q4_0", "nvfp4"]
)
def test_one_expert_alone_is_what_it_is_among_all(name, text):
    built = Variant.parse(text).build(MODELS[name].model())
    for weight in (m for m in built.modules() if isinstance(m, QParameter)):
        every = weight.floats()
        assert every.shape == weight.shape
        for number in (0, 2, torch.tensor(3), -1):
            assert torch.equal(weight[number], every[number])
        with pytest.raises(IndexError):
            weight[4]


def test_experts_train_through_rounding_and_keep_their_parameters():
    from qdemo import freeze, quantize

    model = MODELS["Qwen3-MoE"].model()
    experts = model.model.layers[0].mlp.experts
    before = experts.gate_up_proj
    quantize(model, "int4", include="*.experts")
    assert experts.gate_up_proj.weight is before
    out = model(**inputs("Qwen3-MoE"))[0]
    out.square().sum().backward()
    assert before.grad.abs().sum() > 0
    freeze(model)
    assert torch.allclose(ran(model, "Qwen3-MoE"), out, atol=1e-5)
    assert not dict(experts.named_parameters())


@pytest.mark.parametrize("name", ["Whisper", "ViT"])
def test_a_convolution_is_quantized_by_name(name):
    reference = MODELS[name].model()
    (where, filters), *_ = (
        (name, m) for name, m in reference.named_modules() if isinstance(m, nn.Conv1d | nn.Conv2d)
    )
    variant = Variant.parse(f"int8~{where}=int8")
    built = variant.build(reference)
    found = coverage(built, reference, variant)
    assert found.quantized == MODELS[name].quantized + filters.weight.numel()
    assert torch.allclose(
        ran(built, name), ran(restored(reference, built), name), atol=2e-5, rtol=1e-4
    )


def sized(make, config, text):
    with torch.device("meta"):
        shapes = make(config)
    variant = Variant.parse(text)
    built = variant.build(shapes)
    return footprint(built), coverage(built, shapes, variant)


SMOLLM2 = {
    "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
}  # fmt: skip


def test_real_shapes_are_smaller_in_int8_than_in_bf16():
    held, found = sized(hf.GPT2LMHeadModel, hf.GPT2Config(), "int8")
    assert found.parameters == 124_439_808
    assert found.quantized == 12 * 12 * 768 * 768
    assert held.total < found.bf16_bytes == 2 * found.parameters
    assert found.saves(held)
    held, found = sized(hf.LlamaForCausalLM, hf.LlamaConfig(**SMOLLM2), "int8")
    assert found.parameters == 134_515_008
    assert found.quantized == found.parameters - 49152 * 576 - 61 * 576
    assert found.saves(held)


def test_what_a_model_reads_itself_is_named():
    shapes = MODELS["Mamba"].shapes()
    variant = Variant.parse("int8+emb")
    found = coverage(variant.build(shapes), shapes, variant)
    assert stays_float(found)[0] == (
        "17% of the parameters stay float: Linear whose weight the model reads itself, such as "
        "backbone.layers.0.mixer.dt_proj.weight"
    )


def test_a_model_that_is_mostly_its_table_says_why_it_saves_nothing():
    config = hf.Gemma3TextConfig(
        vocab_size=262144, hidden_size=640, intermediate_size=2048, num_hidden_layers=18,
        num_attention_heads=4, num_key_value_heads=1, head_dim=256,
    )  # fmt: skip
    told = " ".join(covers(*sized(hf.Gemma3ForCausalLM, config, "int8")))
    assert "Only 37.4% of the parameters are quantized; 62.6% of the parameters stay float" in told
    assert "embeddings that are the output layer too, which only +emb quantizes" in told
    assert "It is no smaller than the bf16 cast, which holds 536.2 MB" in told
    held, found = sized(hf.Gemma3ForCausalLM, config, "int8+emb")
    assert found.saves(held)
    assert covers(held, found) == []


def test_a_tied_head_is_quantized_alone_where_that_is_asked_for():
    shapes = MODELS["tied Llama"].shapes()
    for text in ("int8~lm_head=int8", "bf16~lm_head=int8"):
        built = Variant.parse(text).build(shapes)
        assert [one.quantized for one in footprint(built).split_ties] == ["lm_head"]
    both = Variant.parse("int8+emb").build(shapes)
    assert both.lm_head.quantized is both.model.embed_tokens.quantized
    assert coverage(both, shapes).quantized == MODELS["tied Llama"].quantized + V * H
