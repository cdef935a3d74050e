"""A mix in other tools' words: GGUF's names against the gguf package, and refusals by name."""

import ast
import re
import shlex

import pytest
from gguf import MODEL_ARCH, get_tensor_name_map

from qdemo import Variant
from qdemo.compress.layers import steps
from qdemo.spec.exports import FLOAT, exports, gguf_name
from qdemo.spec.step import Step
from tests import causal_folder
from tests.models.models import T5Config, T5ForConditionalGeneration


def layers(**texts):
    return {name.replace("__", "."): Step.parse(text) for name, text in texts.items()}


def by_tool(found):
    return {one.tool: one for one in exports(found)}


def t5(activation="gated-gelu"):
    return T5ForConditionalGeneration(
        T5Config(vocab_size=10, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
                 feed_forward_proj=activation)
    )  # fmt: skip


def test_each_layer_has_its_config_in_torchao():
    found = layers(a__0="int8", a__1="int4-g64", a__2="int2-g64-affine", a__3="fp32", b="int8",
                   c="fp8_e4m3", d="int8a8")  # fmt: skip
    export = by_tool(found)["torchao"]
    tree = ast.parse(export.text)
    values = {node.targets[0].id: ast.unparse(node.value)
              for node in tree.body if isinstance(node, ast.Assign)}  # fmt: skip
    (keys,) = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    said = {key.value: values[name.id] for key, name in zip(keys.keys, keys.values, strict=True)}
    assert said == {
        "a.0": "IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerAxis(0))",
        "a.1": "IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(64))",
        "a.2": "IntxWeightOnlyConfig(weight_dtype=torch.int2, granularity=PerGroup(64), "
        "mapping_type=MappingType.ASYMMETRIC)",
        "a.3": "None",
        "b": "IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerAxis(0))",
        "c": "Float8WeightOnlyConfig()",
        "d": "Int8DynamicActivationInt8WeightConfig()",
    }
    (imported,) = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    names = {alias.name for alias in imported.names}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names == {name for name in used if name[0].isupper()} | {"quantize_"}
    assert len(set(values)) == len(set(said.values())) + 1  # a format once, and the config
    assert export.note


@pytest.mark.parametrize(
    "text",
    ["nf4", "int4-mse", "int4-g64-gptq", "int4-g64-hqq", "int8-tensor", "int8-axis1", "q4_0",
     "mxfp4", "int4-g64-dq", "int8-rot", "bf16", "llm.int8", "fp8_e5m2"],
)  # fmt: skip
def test_what_torchao_has_not_is_named(text):
    export = by_tool({"a.q": Step.parse("int8"), "a.k": Step.parse(text)})["torchao"]
    assert export.text is None
    assert export.why == f"torchao can't be told {Step.parse(text)}, which a.k has"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("llm.int8", "load_in_8bit=True"),
        ("nf4-g64", 'load_in_4bit=True, bnb_4bit_quant_type="nf4"'),
        ("fp4bnb", 'load_in_4bit=True, bnb_4bit_quant_type="fp4"'),
        (
            "nf4-g64-dq",
            'load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True',
        ),
    ],
)
def test_bitsandbytes_skips_what_stays_float(text, told):
    found = layers(a__0=text, a__1="fp32", b=text, lm_head="fp32")
    export = by_tool(found)["bitsandbytes"]
    call = ast.parse(export.text).body[-1].value
    assert told in export.text
    (skipped,) = [one.value for one in call.keywords if one.arg == "llm_int8_skip_modules"]
    assert ast.literal_eval(skipped) == ["a.1", "lm_head"]


def test_bitsandbytes_has_one_format_and_no_other():
    two = by_tool(layers(a="nf4", b="llm.int8"))["bitsandbytes"]
    assert two.why == "bitsandbytes holds one format beside floats; here are nf4-g64, llm.int8"
    for text in ("int8", "nf4-g32", "int4-g64", "nf4-g64-mse"):
        export = by_tool(layers(a="nf4", b=text))["bitsandbytes"]
        assert export.why == f"bitsandbytes can't be told {text}, which b has"


ARCHITECTURES = {
    "llama": MODEL_ARCH.LLAMA,
    "qwen3": MODEL_ARCH.QWEN3,
    "gpt_neox": MODEL_ARCH.GPTNEOX,
    "gpt2": MODEL_ARCH.GPT2,
    "gemma3_text": MODEL_ARCH.GEMMA3,
    "t5": MODEL_ARCH.T5,
}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_names_are_those_of_gguf(kind):
    model = t5() if kind == "t5" else causal_folder.model(kind)
    names = steps(model, Variant.parse("q8_0+emb"))
    known = get_tensor_name_map(ARCHITECTURES[kind], 2)
    found = {name: gguf_name(name) for name in names if "attention_bias" not in name}
    assert {n: own for n, own in found.items() if own is not None} == {
        n: known.get_name(n) or known.get_name("shared")  # both of T5's read that table
        for n, own in found.items()
        if own is not None
    }
    unknown = [name for name, own in found.items() if own is None]
    assert unknown in ([], ["transformer.wpe"])


def test_llama_quantize_is_told_each_tensor():
    model = t5()
    variant = Variant.parse("q8_0~encoder.block.0=q4_0~lm_head=q6_k~decoder.block.1=fp32")
    export = by_tool(steps(model, variant))["llama.cpp"]
    command, *told, source, target, base = shlex.split(export.text.replace("\\\n", ""))
    assert (command, source, target) == ("llama-quantize", "model-f32.gguf", "model.gguf")
    assert base == "Q8_0"
    options = list(zip(told[::2], told[1::2], strict=True))
    types = dict(options[i] for i in range(len(options)) if options[i][0] != "--tensor-type")
    assert types == {"--token-embedding-type": "f32", "--output-tensor-type": "q8_0"}
    patterns = [value.rsplit("=", 1) for option, value in options if option == "--tensor-type"]
    tensors = {
        "enc.blk.0.attn_q.weight": "q4_0",
        "enc.blk.1.ffn_up.weight": "q8_0",
        "dec.blk.0.cross_attn_o.weight": "q8_0",
        "dec.blk.1.ffn_down.weight": "f32",
    }
    for tensor, wanted in tensors.items():
        assert [kind for pattern, kind in patterns if re.search(pattern, tensor)] == [wanted]
    assert "=" not in "".join(pattern for pattern, _ in patterns)


def test_what_llama_cpp_has_not_is_named():
    export = by_tool(layers(lm_head="q8_0", shared="int8"))["llama.cpp"]
    assert export.why == "llama.cpp can't be told int8, which shared has"
    other = by_tool(layers(text_decoder__q="q8_0"))["llama.cpp"]
    assert other.why == "what GGUF files call text_decoder.q is not known here"


def test_where_nothing_is_quantized_there_is_nothing_to_say():
    assert {one.why for one in exports({"a": FLOAT})} == {"nothing is quantized"}


def test_every_layer_that_could_be_quantized_has_a_step():
    model = causal_folder.model("tied llama")
    found = steps(model, Variant.parse("int8~model.layers.0.mlp=fp32"))
    assert found["lm_head"] == found["model.layers.0.mlp.up_proj"] == FLOAT
    assert found["model.layers.1.mlp.up_proj"] == Step.parse("int8")
    assert "model.embed_tokens" not in found
    both = steps(model, Variant.parse("int8+emb"))
    assert both["lm_head"] == both["model.embed_tokens"] == Step.parse("int8")
