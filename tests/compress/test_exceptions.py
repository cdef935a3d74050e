"""A variant's exceptions by module name: they are what one would build by hand, part by part."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from qdemo import (
    QEmbedding,
    QLinear,
    Variant,
    cast,
    footprint,
    load_quantized,
    quantize_tensor,
    save_quantized,
)
from qdemo.models.availability import get_entry
from qdemo.models.decoding import generate, score
from qdemo.models.loading import load
from qdemo.models.pictures import named_picture
from qdemo.spec.footprint import SplitTie
from qdemo.spec.scheme import Scheme
from tests.compress.models import Small, ids


class Scaled(nn.Module):
    """Scales its input element by element, as a norm that is written out does."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.seen = None

    def forward(self, x):
        self.seen = x.dtype
        return self.weight * x


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.embed = nn.Embedding(20, 16)
        self.positions = nn.Embedding(20, 16)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.ReLU()) for _ in range(3))
        self.scaled = Scaled(16)
        self.norm = nn.LayerNorm(16)
        self.dropout = nn.Dropout(0.0)
        self.head = nn.Linear(16, 20)

    def forward(self, ids):
        x = self.embed(ids) + self.positions(ids)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.norm(self.scaled(x)))


def build(text, reference=None):
    return Variant.parse(text).build(reference or Blocks())


def held(model):
    """The scheme of each quantized layer, and the dtype of the floats of the others."""
    return {
        name: str(m.scheme) if isinstance(m, QLinear | QEmbedding) else str(m.weight.dtype)[6:]
        for name, m in model.named_modules()
        if isinstance(m, QLinear | QEmbedding | nn.Linear | nn.Embedding)
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("int4-g8~head=fp32", "float32 float32 int4-g8 int4-g8 int4-g8 float32"),
        ("int2~blocks.1=int8", "float32 float32 int2 int8 int2 int2"),
        ("int2~blocks.1.0=int8~blocks=int4", "float32 float32 int4 int8 int4 int2"),
        ("int2~blocks=int4~blocks.1.0=int8", "float32 float32 int4 int4 int4 int2"),
        ("int8~embed=int4", "int4 float32 int8 int8 int8 int8"),
        ("int8+emb~embed=fp32", "float32 int8 int8 int8 int8 int8"),
        ("int8@bf16~blocks.0=fp32", "bfloat16 bfloat16 float32 int8 int8 int8"),
        ("fp16~blocks.0=fp32", "float16 float16 float32 float16 float16 float16"),
        ("bf16~head=int8~embed=fp16", "float16 bfloat16 bfloat16 bfloat16 bfloat16 int8"),
        ("int8~blocks=fp32~blocks.0=int4", "float32 float32 float32 float32 float32 int8"),
    ],
)
def test_each_layer_follows_the_first_exception_that_names_it(text, wanted):
    built = build(text)
    assert list(held(built).values()) == wanted.split()
    assert build(text)(ids()).isfinite().all()


def test_the_parts_are_those_built_by_hand():
    reference = Blocks()
    built = build("int4-g8~blocks.1=int8-affine~head=bf16", reference)
    for layer, scheme in ((0, "int4-g8"), (1, "int8-affine"), (2, "int4-g8")):
        wanted = quantize_tensor(reference.blocks[layer][0].weight, Scheme.parse(scheme))
        assert torch.equal(built.blocks[layer][0].weight.dequantize(), wanted.dequantize())
    assert torch.equal(built.head.weight, reference.head.weight.bfloat16())
    assert torch.equal(built.norm.weight, reference.norm.weight)


def test_an_exception_is_cast_from_the_reference_and_not_back_from_a_cast():
    reference = Blocks()
    built = build("bf16~blocks.1=fp32", reference)
    assert torch.equal(built.blocks[1][0].weight, reference.blocks[1][0].weight)
    assert torch.equal(built.head.weight, cast(reference, "bf16").head.weight)


def test_an_exception_that_changes_nothing_leaves_no_trace():
    built = build("bf16~blocks.1=bf16")
    assert torch.equal(built(ids()), build("bf16")(ids()))
    assert not any(module._forward_pre_hooks for module in built.modules())
    assert not any(module._forward_pre_hooks for module in build("int8~head=fp32").modules())


def test_the_reference_is_untouched():
    reference = Blocks()
    before = copy.deepcopy(reference.state_dict())
    build("fp16~blocks.1=fp32~head=int8", reference)
    assert all(torch.equal(v, before[k]) for k, v in reference.state_dict().items())
    assert not any(module._forward_pre_hooks for module in reference.modules())


def test_layers_get_their_input_in_their_own_dtype_and_blocks_give_back_what_is_around_them():
    built = build("fp16~blocks.2=fp32")
    assert built(ids()).dtype == torch.float16
    assert built.scaled.seen == torch.float16
    assert build("fp16~head=fp32")(ids()).dtype == torch.float32


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: cast(model, "fp32")])
def test_copies_and_casts_of_a_model_in_several_dtypes_still_run(again):
    built = build("fp16~blocks.2=fp32~norm=bf16")
    assert torch.allclose(again(built)(ids()).float(), built(ids()).float(), atol=0.05)
    assert torch.equal(again(built).head.weight.float(), built.head.weight.float())
    assert build("int8", built)(ids()).isfinite().all()


def test_masks_are_cast_for_a_block_in_another_dtype():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.q = nn.Linear(16, 16)

        def forward(self, x, mask):
            q = self.q(x)[:, None]
            return nn.functional.scaled_dot_product_attention(q, q, q, attn_mask=mask)[:, 0]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.attention = nn.Embedding(20, 16), Attention()

        def forward(self, ids):
            x = self.embed(ids)
            return self.attention(x, mask=torch.zeros(3, 3, dtype=x.dtype))

    assert build("bf16~attention=fp32", Model())(ids()).dtype == torch.bfloat16
    assert build("fp32~attention=bf16", Model())(ids()).dtype == torch.float32


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_half_a_tie_is_told_of_an_exception_too(device):
    with torch.device(device):
        reference = Small()
    built = build("int8+emb~head=fp32", reference)
    split = SplitTie("embed", "head.weight", 4 * 20 * 16)
    assert footprint(built).split_ties == (split,)
    assert build("int8~head=fp32", reference).head.weight is not None
    assert footprint(build("int8~head=fp32", reference)).split_ties == ()
    both = build("bf16~head=fp32", reference)
    assert (both.head.weight.dtype, both.embed.weight.dtype) == (torch.float32, torch.bfloat16)
    for text in ("bf16~head=fp32~embed=fp32", "bf16~head=bf16~body=fp32"):
        same = build(text, reference)
        assert same.head.weight is same.embed.weight


def test_a_module_used_twice_is_meant_by_each_of_its_names():
    assert held(build("int8~again=int4", Small()))["body.0"] == "int4"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("int8~nothing=fp32", "no such module: ~nothing=fp32"),
        ("int8~blocks.7=int4", r"no such module: ~blocks\.7=int4"),
        ("int8~head.weight=int4", r"no such module: ~head\.weight=int4"),
        ("int8~dropout=fp32", "~dropout=fp32 finds nothing to cast"),
        ("fp16~norm=int8", "~norm=int8 finds no layer to quantize"),
        ("int4-g8~head=int4-g12", "head: group_size 12"),
        ("int8~blocks=fp32~head=bf16", "nothing to quantize"),
        ("int8~head=int8-gptq", "head: int8-gptq needs statistics of the inputs"),
    ],
)
def test_an_exception_that_finds_nothing_is_refused_by_name(text, says):
    with pytest.raises(ValueError, match=says):
        build(text)


def test_exceptions_alone_can_be_what_is_quantized():
    assert held(build("int8~blocks=fp32~head=fp32~embed=int4"))["embed"] == "int4"
    with pytest.raises(ValueError, match="wrap it"):
        build("int8", nn.Linear(2, 2))


@pytest.mark.filterwarnings("ignore")
def test_fp16_as_transformers_loads_a_t5_bit_for_bit():
    """It keeps every `wo` in fp32, for which the layer's own code widens its input."""
    from transformers import T5ForConditionalGeneration

    folder = Path(__file__).parents[2] / "assets/models/t5-tiny"
    load = T5ForConditionalGeneration.from_pretrained
    reference, theirs = load(folder).eval(), load(folder, dtype=torch.float16).eval()
    kept = [name for name, _ in reference.named_modules() if name.endswith(".wo")]
    ours = build("~".join(["fp16", *(f"{name}=fp32" for name in kept)]), reference)
    own, other = ours.state_dict(), theirs.state_dict()
    assert {key: t.dtype for key, t in own.items()} == {key: t.dtype for key, t in other.items()}
    given = {"input_ids": torch.tensor([[5, 6, 7, 1]]), "decoder_input_ids": torch.tensor([[0, 9]])}
    with torch.inference_mode():
        assert torch.equal(ours(**given).logits, theirs(**given).logits)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "text",
    ["bf16~decoder.block.1=fp32", "fp16~encoder=fp32", "int8@fp16~decoder=fp32",
     "fp32~decoder.block.0.layer.2=fp16", "int8@bf16~lm_head=fp32~shared=int4"],
)  # fmt: skip
def test_blocks_of_a_t5_in_other_dtypes_run(text):
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    reference = T5ForConditionalGeneration(
        T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    ).eval()
    given = {"input_ids": torch.tensor([[5, 6, 1]]), "decoder_input_ids": torch.tensor([[0, 9]])}
    with torch.inference_mode():
        logits, wanted = build(text, reference)(**given).logits, reference(**given).logits
    assert (logits - wanted).abs().max() < 0.3 * wanted.abs().max()


BLOCKS = [
    ("t5-tiny", "fp32~encoder.block.0=fp16"),
    ("t5-tiny", "bf16~decoder.block.1=fp32"),
    ("t5-tiny", "fp32~encoder.block=bf16"),
    ("t5-tiny", "fp32~encoder.block.1.layer=fp16"),
    ("t5-tiny", "fp16~decoder=bf16"),
    ("t5-tiny", "int8~encoder.block.0=fp16"),
    ("blip-tiny", "fp32~text_decoder.bert.encoder.layer.0=fp16"),
    ("blip-tiny", "bf16~text_decoder.bert.embeddings=fp32"),
    ("blip-tiny", "int4@bf16~text_decoder.cls=fp32"),
]


@pytest.mark.parametrize(("name", "text"), BLOCKS, ids=lambda text: text)
def test_a_block_in_another_format_runs_and_is_read_again(name, text, tmp_path):
    loaded = load(get_entry(name))
    given = "What is 23 + 45?" if name == "t5-tiny" else named_picture("scene:3")
    prompt = loaded.family.encode(given)
    answer = list(generate(loaded.family, loaded.model, prompt, 12))
    wanted = score(loaded.family, loaded.model, prompt, answer)
    built = Variant.parse(text).build(loaded.model)
    found = score(loaded.family, built, prompt, answer)
    assert torch.isfinite(found).all()
    rough = 0.3 if "int4" in text else 0.05
    assert (found.float() - wanted).abs().max() < rough * wanted.abs().max()
    save_quantized(built, tmp_path / "mixed.safetensors")
    again = load(get_entry(name)).model
    load_quantized(again, tmp_path / "mixed.safetensors")
    assert torch.equal(score(loaded.family, again, prompt, answer), found)


def test_a_file_with_a_format_for_a_module_that_is_not_there_is_refused(tmp_path):
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    save_quantized(Variant.parse("fp32~1=fp16").build(model), tmp_path / "mixed.safetensors")
    other = nn.ModuleDict({"0": nn.Linear(8, 8), "2": nn.Linear(8, 8)})
    with pytest.raises(ValueError, match="the file has 1 in a format of its own"):
        load_quantized(other, tmp_path / "mixed.safetensors")


def test_what_is_set_anew_is_computed_with():
    model = Variant.parse("int8").build(nn.Sequential(nn.Linear(8, 8, bias=False)))
    x = torch.ones(1, 8)
    before = model(x)
    model[0].quantized.scale = model[0].quantized.scale * 2
    assert torch.equal(model(x), 2 * before)
    halved = {"0.quantized.scale": model[0].quantized.scale / 2}
    model.load_state_dict(halved, strict=False, assign=True)
    assert torch.equal(model(x), before)
