"""The products read what is theirs, however it lies in memory, and nothing else."""

import re
import subprocess
import sys
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import qdemo
from qdemo import Scheme, Variant, quantize_tensor, save_quantized
from qdemo.compress import kernels
from qdemo.compress.modules import QWeight
from qdemo.models.availability import get_entry
from qdemo.models.decoding import generate, score
from qdemo.models.loading import load
from qdemo.numerics import blocks, grids, insides
from tests.compress.test_kernels import DTYPES, SCHEMES, assert_is_the_product

LENGTHS = (2, 7, 24, 32, 33, 48, 64, 96, 100)
OFFSETS = cycle((0, 1, 2, 3, 5, 8, 13, 16))  # in values, from where torch's own memory begins
PACKAGE = Path(qdemo.__file__).parent
ROOT = PACKAGE.parent


def moved(x, pad=7):
    """The same values elsewhere: at an odd place in memory that holds others around them."""
    if x is None:
        return None
    offset = next(OFFSETS)
    around = torch.full((offset + x.numel() + pad,), 77, dtype=torch.float32).to(x.dtype)
    place = around[offset : offset + x.numel()].view(x.shape)
    return place.copy_(x)


def with_gaps(x):
    """The same values with others between them."""
    wide = torch.full((*x.shape, 3), 77.0).to(x.dtype)
    wide[..., 1] = x
    return wide[..., 1]


def moved_weight(weight):
    return replace(weight, tensors={role: moved(held) for role, held in weight.tensors.items()})


def activations(rows, length, dtype, seed):
    """Rows of ordinary numbers, with something loud, tiny or absent in some of them."""
    x = torch.randn(rows, length, generator=torch.Generator().manual_seed(seed))
    x[1::4] *= 2.0**-20
    x[2::4, :1] *= 3_000
    x[3::4, ::2] = 0
    return x.to(dtype)


def fits(text, length):
    group = re.search(r"-g(\d+)", text)
    axis1 = "axis1" in text
    return not group or axis1 or length <= int(group[1]) or length % int(group[1]) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", SCHEMES)
def test_every_number_of_rows_and_every_length_at_odd_places(text, dtype):
    """Each pair of the two in one of the dtypes; of a length, every fourth number of rows."""
    lengths = [length for length in LENGTHS if fits(text, length)]
    for place, length in enumerate(lengths, DTYPES.index(dtype)):
        weight = quantize_tensor(torch.randn(33, length), Scheme.parse(text))
        for rows in range(place % len(DTYPES), 41, len(DTYPES)):
            x = activations(rows, length, dtype, rows)
            x = with_gaps(x) if rows % 5 == 4 else moved(x)
            there = moved_weight(weight)
            assert_is_the_product(kernels.quantized_linear(x, there, None), x, weight)


@pytest.mark.parametrize("text", ["int8-tensor", "int4-tensor", "int2-tensor", "int8", "int8-g32"])
def test_a_frozen_weight_lies_where_kernels_can_read_it(text):
    weight = moved_weight(quantize_tensor(torch.randn(48, 96), Scheme.parse(text)))
    held = QWeight(weight)
    for role, tensor in held.named_buffers():
        assert tensor.data_ptr() % insides.ALIGNMENT == 0, role
        assert torch.equal(tensor, weight.tensors[role])


def test_what_is_contiguous_and_aligned_is_not_copied():
    x = torch.zeros(64)
    assert insides.aligned(x) is x
    for other in (x[1:], x[::2], x[:1].expand(9)):
        made = insides.aligned(other)
        assert made.is_contiguous()
        assert made.data_ptr() % insides.ALIGNMENT == 0


W, X = torch.ones(4, 32, dtype=torch.int8), torch.ones(2, 32, dtype=torch.bfloat16)
ONES = torch.ones(4)


@pytest.mark.parametrize(
    ("x", "w", "scale", "says"),
    [
        (X[:, :24], W[:, :24], ONES, "rows of 24 weights, expected a multiple of 32"),
        (X[:, :0], W[:, :0], ONES, "rows of 0 weights"),
        (X, W[:, :16], ONES, r"shapes \(2, 32\) and \(4, 16\), expected rows of one length"),
        (X, W, ONES[:3], r"scales of shape \(3,\), expected \(\) or \(4,\)"),
        (X, W, torch.ones(4, 1), r"scales of shape \(4, 1\)"),
        (X.float(), W, ONES, "torch.float32 on cpu and torch.int8 on cpu, expected torch.bfloat16"),
        (X, W.float(), ONES, "and torch.float32 on cpu"),
        (X[0], W, ONES, r"shapes \(32,\) and \(4, 32\)"),
        (X.to("meta"), W, ONES, "torch.bfloat16 on meta"),
    ],
)
def test_what_the_packed_kernel_cannot_take_is_refused(x, w, scale, says):
    with pytest.raises(ValueError, match=says):
        insides.packed(x, w, scale)


def test_single_columns_are_refused():
    with pytest.raises(ValueError, match="rows of 1 weights, expected two or more"):
        insides.summed(W[:, :1], W[:, :1])


def test_kernels_that_trust_their_caller_are_called_in_one_place():
    name = re.compile(r"_weight_int\w+|\b_int_mm\b|torch\.ops\.|aten\.")
    found = {path.name for path in PACKAGE.rglob("*.py") if name.search(path.read_text())}
    assert found == {"insides.py"}


def in_a_process_of_its_own(*arguments):
    """What a script printed; a crash of it is a failed test, and no more."""
    command = [sys.executable, "-m", "tests.compress.crashing", *map(str, arguments)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, f"{run.stdout[-50:]}: {run.returncode}, {run.stderr[-500:]}"
    return run.stdout


@pytest.mark.parametrize("what", ["guarded", "stored"])
def test_no_kernel_reads_beyond_its_operands(what):
    """They end where a page begins that nobody may read."""
    assert in_a_process_of_its_own(what) == "read nothing else\n"


def test_weights_in_a_file_that_is_mapped_at_an_odd_place(tmp_path):
    told = in_a_process_of_its_own("mapped", tmp_path, 0, 4, 8, 24, 56)
    assert told.endswith("56\nas it should be\n")


def test_a_saved_model_answers_the_same_in_a_fresh_process(tmp_path):
    loaded, answers, paths = load(get_entry("t5-tiny")), [], []
    prompt = loaded.family.encode("What is 40 + 2?")
    for text in ("int8@bf16", "int8+emb@bf16", "int4@bf16", "int8-tensor@bf16"):
        variant = Variant.parse(text).build(loaded.model)
        paths.append(tmp_path / f"{text}.safetensors")
        save_quantized(variant, paths[-1])
        answers.append(list(generate(loaded.family, variant, prompt, 32)))
        assert loaded.family.decode(answers[-1]) == "42"
    told = in_a_process_of_its_own("answer", *paths)
    assert told == "".join(f"{tokens}\n" for tokens in answers)


@pytest.mark.parametrize("text", ["int8-tensor@bf16", "int4-tensor@bf16", "int2-tensor@bf16"])
@pytest.mark.parametrize("prompt", ["Translate to German: Tuesday", "What is 40 + 2?"])
def test_one_scale_for_all_answers_as_the_dequantized_model(text, prompt):
    loaded = load(get_entry("t5-tiny"))
    family, given = loaded.family, loaded.family.encode(prompt)
    variant = Variant.parse(text).build(loaded.model)
    plain = Variant.parse("bf16").build(loaded.model)
    with torch.no_grad():
        for name, module in variant.named_modules():
            if hasattr(module, "quantized"):
                plain.get_submodule(name).weight.copy_(module.weight.dequantize())
    tokens = list(generate(family, plain, given, 24))
    ours, wanted = (score(family, model, given, tokens).float() for model in (variant, plain))
    assert (ours - wanted).abs().max() < 0.05 * wanted.abs().max()
    both = list(generate(family, variant, given, 24))
    apart = next((i for i, (a, b) in enumerate(zip(both, tokens, strict=False)) if a != b), None)
    if apart is not None:  # where two tokens are as likely but for the rounding of bf16
        first, second = wanted[apart].topk(2).values.tolist()
        assert first - second < 0.05 * abs(first)


@pytest.mark.parametrize("text", ["int3-g7", "int4-g7", "nf4-g7"])
def test_what_a_fake_mode_makes_is_not_kept_for_real_tensors(text, monkeypatch):
    monkeypatch.setattr(blocks, "_OWN", blocks._Own())  # as in a thread that computes first in it
    grids._table.cache_clear()
    weight = quantize_tensor(torch.randn(20, 21), Scheme.parse(text))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        kernels.quantized_linear(mode.from_tensor(torch.randn(2, 21)), weight, None)
    x = torch.randn(2, 21)
    assert_is_the_product(kernels.quantized_linear(x, weight, None), x, weight)
