"""Every figure beside a plain computation with transformers, which uses nothing of qdemo's."""

import copy
import csv
import io
import json
import math
import re
from contextlib import redirect_stdout
from decimal import Context
from itertools import chain, zip_longest
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import kl_div
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BlipForConditionalGeneration,
    BlipProcessor,
    T5ForConditionalGeneration,
)

from qdemo.__main__ import main
from qdemo.models.availability import MODELS, allowed
from qdemo.spec.document import from_json
from qdemo.views.files import as_csv
from tests.causal_folder import write

ASSETS = Path(__file__).parent.parent / "assets"
PROMPT = "Sort these words: pig, onion, river, wolf"
PICTURE = ASSETS / "images" / "gallery" / "a-wizard-on-an-elephant-in-the-snow.png"
LIMITS = {"int8": 127, "int3": 3}  # t5-tiny parts from fp32 in int3
FORMATS = ("fp16", "bf16", *LIMITS)
ROUNDING = 2e-5  # of fp32 logits up to 25: plain ones are 8e-6 from those in fp64, ours 11e-6


class PlainT5:
    name, asked = "t5-tiny", PROMPT

    def __init__(self):
        folder = ASSETS / "models" / self.name
        self.model = T5ForConditionalGeneration.from_pretrained(folder, dtype="float32").eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.inputs = self.tokenizer(PROMPT, return_tensors="pt")

    def generate(self, model):
        return model.generate(**self.inputs, do_sample=False, max_new_tokens=64)[0, 1:]

    def logits(self, model, tokens):
        shifted = torch.cat([torch.tensor([model.config.decoder_start_token_id]), tokens[:-1]])
        return model(**self.inputs, decoder_input_ids=shifted[None], use_cache=False).logits[0]

    def pieces(self, tokens):
        return self.tokenizer.convert_ids_to_tokens(tokens)


class PlainBlip:
    name, asked = "blip-tiny", str(PICTURE)

    def __init__(self):
        folder = ASSETS / "models" / self.name
        self.model = BlipForConditionalGeneration.from_pretrained(folder, dtype="float32").eval()
        processor = BlipProcessor.from_pretrained(folder)
        self.tokenizer = processor.tokenizer
        with Image.open(PICTURE) as picture:
            self.pixels = processor(images=picture.convert("RGB"), return_tensors="pt").pixel_values

    def generate(self, model):
        pixels = self.pixels.to(model.dtype)
        return model.generate(pixel_values=pixels, do_sample=False, max_new_tokens=32)[0, 1:]

    def logits(self, model, tokens):
        seen = model.vision_model(pixel_values=self.pixels.to(model.dtype)).last_hidden_state
        shifted = torch.cat([torch.tensor([model.config.text_config.bos_token_id]), tokens[:-1]])
        return model.text_decoder(input_ids=shifted[None], encoder_hidden_states=seen).logits[0]

    def pieces(self, tokens):
        return self.tokenizer.convert_ids_to_tokens(tokens)


class PlainCausal:
    """A language model of a folder that the host has named, of which transformers' own auto classes
    make what they will."""

    asked = "The wolf and the pig went to the river."

    def __init__(self, folder):
        self.name, self.folder = folder.name, folder
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        message = [{"role": "user", "content": self.asked}]
        if self.tokenizer.chat_template:
            self.inputs = self.tokenizer.apply_chat_template(
                message, add_generation_prompt=True, return_dict=True, return_tensors="pt"
            )
        else:
            self.inputs = self.tokenizer(self.asked, return_tensors="pt")
        self.begin = self.inputs["input_ids"].shape[1]

    def generate(self, model):
        found = model.generate(**self.inputs, do_sample=False, max_new_tokens=64)
        return found[0, self.begin :]

    def logits(self, model, tokens):
        every = torch.cat([self.inputs["input_ids"][0], tokens[:-1]])
        return model(every[None], use_cache=False).logits[0, self.begin - 1 :]

    def pieces(self, tokens):
        """Of tokens that are whole characters, and seen; None of others."""
        texts = [self.tokenizer.decode([token]) for token in tokens]
        seen = [text.isprintable() and "\ufffd" not in text for text in texts]
        return [
            text.replace(" ", "▁") if is_seen else None
            for text, is_seen in zip(texts, seen, strict=True)
        ]


def pythia_shaped(folder):
    return PlainCausal(write(folder / "pythia-shaped", "gpt_neox"))


def llama_shaped(folder):
    return PlainCausal(write(folder / "llama-shaped", "llama", chat=True, starts=True))


def absmax_rounded(w, limit):
    """One scale a row; torch rounds half to even."""
    scale = w.abs().amax(1, keepdim=True) / limit
    return torch.round(w / scale).clamp(-limit, limit) * scale


def layers_of(model, kinds=(nn.Linear,)):
    """Those of these `kinds`; one that shares its weight with a layer of another kind, as an output
    layer does with a table of embeddings, is quantized together with that, or not at all."""
    others = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, nn.Embedding) and not isinstance(module, kinds)
    }
    own = [module for module in model.modules() if isinstance(module, tuple(kinds))]
    return [module for module in own if id(module.weight) not in others]


def changed(model, format):
    """A copy in that format; the integers are made floats again, in Linear layers alone."""
    other = copy.deepcopy(model)
    if format in ("fp16", "bf16"):
        return other.half() if format == "fp16" else other.bfloat16()
    for layer in layers_of(other):
        layer.weight = nn.Parameter(absmax_rounded(layer.weight.data, LIMITS[format]))
    return other


def held(model, kinds=(), format="int8"):
    """Bytes by hand, shared storage once: the integers of a row packed, and its fp32 scale.

    The weights of `kinds` of layers are integers.
    """
    bits = int(format.removeprefix("int"))
    layers = layers_of(model, kinds)
    chosen = {layer.weight for layer in layers}
    packed = sum(len(w) * (math.ceil(w.shape[1] * bits / 8) + 4) for w in chosen)
    floats = {
        tensor.untyped_storage().data_ptr(): tensor.element_size() * tensor.numel()
        for module in model.modules()
        for name, tensor in chain(
            module.named_parameters(recurse=False), module.named_buffers(recurse=False)
        )
        if not (module in layers and name == "weight")
    }
    return packed + sum(floats.values())


def score_interval(share, total):
    """Wilson's, as the two shares whose own standard error reaches the one that was found."""
    z = 1.959963984540054
    a, b, c = 1 + z**2 / total, -(2 * share + z**2 / total), share**2
    root = math.sqrt(max(0, b**2 - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def logit_figures(z_ref, z, tokens):
    z_ref, z = z_ref.double(), z.double()
    log_ref, log_p = z_ref.log_softmax(1), z.log_softmax(1)
    difference = z - z_ref
    centred = (difference - difference.mean(1, keepdim=True)).abs()
    kl = kl_div(log_p, log_ref, reduction="none", log_target=True).sum(1)
    best = [each == each.amax(1, keepdim=True) for each in (z, z_ref)]  # bf16's are often several
    same = (best[0] & best[1]).any(1).double().mean().item()
    change = (log_p.exp() - log_ref.exp())[range(len(tokens)), tokens]
    return {
        "logit_mean_abs": difference.abs().mean().item(),
        "logit_max_abs": difference.abs().max().item(),
        "logit_mean_abs_centred": centred.mean().item(),
        "logit_max_abs_centred": centred.max().item(),
        "logit_kl_mean": kl.mean().item(),
        "logit_kl_p90": kl.quantile(0.9, interpolation="higher").item(),
        "logit_kl_max": kl.max().item(),
        "logit_same_top": same,
        "logit_same_top_error": math.sqrt(same * (1 - same) / len(tokens)),
        "logit_same_top_low": score_interval(same, len(tokens))[0],
        "logit_same_top_high": score_interval(same, len(tokens))[1],
        "logit_token_probability_rms": change.square().mean().sqrt().item(),
        "logit_invalid_positions": 0,
        "kl_by_position": kl.tolist(),
        "max_abs_by_position": difference.abs().amax(1).tolist(),
    }


def weight_figures(model, other):
    """All parameters in one row; one that was tied and no longer is stands there twice."""
    pairs = {
        (id(w), id(w_hat)): (w.flatten().double(), w_hat.flatten().double())
        for (_, w), (_, w_hat) in zip(
            model.named_parameters(remove_duplicate=False),
            other.named_parameters(remove_duplicate=False),
            strict=True,
        )
    }
    w, w_hat = (torch.cat(side) for side in zip(*pairs.values(), strict=True))
    error = w_hat - w
    relative = (error.norm() / w.norm()).item()
    return {
        "weight_rms": error.square().mean().sqrt().item(),
        "weight_max_abs": error.abs().max().item(),
        "weight_sqnr_db": -20 * math.log10(relative),
        "weight_relative": relative,
        "weight_zeroed": int(((w_hat == 0) & (w != 0)).sum()),
        "weight_overflowed": 0,
        "weight_saturated": 0,
    }


def rms_steps(model, format):
    """Of the integers alone: their errors in units of the scale of their row."""
    if format not in LIMITS:
        return None
    steps = []
    for w in {layer.weight for layer in layers_of(model)}:
        scale = w.abs().amax(1, keepdim=True).double() / LIMITS[format]
        steps.append(((absmax_rounded(w, LIMITS[format]) - w.double()) / scale).flatten())
    return torch.cat(steps).square().mean().sqrt().item()


PLAIN = {
    "t5-tiny": lambda _: PlainT5(),
    "blip-tiny": lambda _: PlainBlip(),
    "pythia-shaped": pythia_shaped,
    "llama-shaped": llama_shaped,
}


@pytest.fixture(scope="module", params=PLAIN)
def plain(request, tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two that wait for each other take ages on a busy machine
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        made = PLAIN[request.param](tmp_path_factory.mktemp("written"))
        if isinstance(made, PlainCausal):
            for name, entry in allowed(f"causal:{made.folder}", {}).items():
                patch.setitem(MODELS, name, entry)
        yield made
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def told(plain, tmp_path_factory):
    """What the command prints, and the document that it writes, of one and the same run."""
    path = tmp_path_factory.mktemp("compared") / "all.json"
    command = ["compare", plain.name, "--input", plain.asked, "--json", str(path), "--formats"]
    with redirect_stdout(io.StringIO()) as printed:
        assert main([*command, *FORMATS]) == 0
    return printed.getvalue(), json.loads(path.read_text())


@pytest.fixture(scope="module")
def document(told):
    return told[1]


@pytest.fixture(scope="module")
def tokens(plain):
    """fp32's answer, which every format is fed."""
    return plain.generate(plain.model)


@pytest.fixture(scope="module")
def z_ref(plain, tokens):
    return plain.logits(plain.model, tokens)


@pytest.fixture(params=FORMATS)
def format(request):
    return request.param


@pytest.fixture
def other(plain, format):
    return changed(plain.model, format)


@pytest.fixture
def result(document, format):
    return next(result for result in document["results"] if result["format"] == format)


def assert_shown(plain, pieces, tokens):
    wanted = plain.pieces(tokens)
    pairs = zip(pieces, wanted, strict=True)
    assert [piece for piece, text in pairs if text is not None] == [t for t in wanted if t]


def test_the_answer_of_fp32_is_that_of_generate(plain, document, tokens):
    reference = document["results"][0]
    assert reference["tokens"] == tokens.tolist()
    assert reference["output"] == plain.tokenizer.decode(tokens, skip_special_tokens=True)
    assert_shown(plain, reference["pieces"], tokens)
    assert reference["bytes"] == held(plain.model)


def test_the_answer_is_that_of_generate(plain, other, result, tokens):
    own = plain.generate(other).tolist()
    assert result["tokens"] == own
    assert result["output"] == plain.tokenizer.decode(own, skip_special_tokens=True)
    pairs = enumerate(zip_longest(tokens.tolist(), own), 1)
    assert result["first_divergent_token"] == next((i for i, (a, b) in pairs if a != b), None)


def test_the_logits_are_as_far_apart(plain, other, result, tokens, z_ref):
    wanted = logit_figures(z_ref, plain.logits(other, tokens), tokens)
    for key, value in wanted.items():
        # A KL is second order in the logits, so their rounding hardly moves it.
        close = {"rel": 1e-3, "abs": 1e-10} if "kl" in key else {"abs": ROUNDING}
        assert result[key] == pytest.approx(value, **close), key


def test_the_likeliest_tokens_are_those_of_softmax(plain, other, result, tokens):
    every = plain.logits(other, tokens).float().softmax(1)
    pieces, known = plain.pieces(range(every.shape[1])), []
    for shares, top in zip(every, result["top"], strict=True):
        assert [share for _, share in top] == pytest.approx(shares.topk(5)[0].tolist(), abs=1e-5)
        own = {piece: share for piece, share in zip(pieces, shares.tolist(), strict=True) if piece}
        known += [(own[piece], share) for piece, share in top if piece in own]
    assert all(share == pytest.approx(wanted, abs=1e-5) for wanted, share in known)
    assert len(known) > len(tokens)


def test_the_weights_are_as_far_apart(plain, other, format, result):
    wanted = weight_figures(plain.model, other)
    wanted["weight_rms_steps"] = rms_steps(plain.model, format)
    for key, value in wanted.items():
        exact = value is None or isinstance(value, int) or key == "weight_max_abs"
        assert result[key] == (value if exact else pytest.approx(value, rel=1e-8)), key


def test_the_bytes_are_counted_by_hand(plain, other, format, document, result):
    size, with_embeddings = held(other), None
    if format in LIMITS:
        size = held(plain.model, (nn.Linear,), format)
        with_embeddings = held(plain.model, (nn.Linear, nn.Embedding), format)
    assert result["bytes"] == sum(result["footprint"]["by_kind"].values()) == size
    assert result["bytes_with_embeddings"] == with_embeddings
    assert result["times_smaller"] == document["results"][0]["bytes"] / size


def interval(share, total):
    low, high = score_interval(share, total)
    low, high = math.floor(100 * low), min(100, math.ceil(100 * high))  # rounded outward
    return f"{100 * share:.1f}".removesuffix(".0") + f"% ({low} to {high}%)"


def three_digits(value):
    """As a person writes it, unless it is below 1/10,000."""
    shown = Context(prec=3).create_decimal_from_float(value)
    return f"{value:.2e}" if 0 < value < 1e-4 else f"{shown:f}"


def test_the_command_prints_the_figures_of_the_document(told):
    printed, document = told
    rows = {row[0]: row[1:] for row in (re.split("  +", line) for line in printed.splitlines())}
    columns = {
        "bytes": lambda value: f"{value / 1e6:.{2 if value >= 1e5 else 3}f} MB",
        "times_smaller": "{:.2f}×".format,
        "first_token_ms": three_digits,
        "token_ms": three_digits,
        "outside_ms": three_digits,
        "logit_mean_abs": three_digits,
        "logit_max_abs": three_digits,
        "logit_kl_mean": three_digits,
        "logit_same_top": lambda share: interval(share, len(document["results"][0]["tokens"])),
        "first_divergent_token": str,
        "weight_sqnr_db": three_digits,
        "output_error": three_digits,
        "output": repr,
    }
    for result in document["results"]:
        values = [(show, result[key]) for key, show in columns.items()]
        shown = ["–" if value is None else show(value) for show, value in values]
        assert rows[result["format"]] == shown


def test_the_csv_has_the_figures_of_the_document(document):
    rows = list(csv.DictReader(io.StringIO(as_csv(from_json(document)))))
    last = document["results"][-1].items()
    plain = [key for key, value in last if not isinstance(value, list | dict) and key != "span"]
    assert [row["format"] for row in rows] == document["formats"]
    held = {"cache_bytes", "cache_tokens"} if document["cache"] else set()
    for row, result in zip(rows, document["results"], strict=True):
        asked = {"model", "input", "read_as", "temperature", "seed"}
        assert set(row) == {*asked, *held, "largest_inside", "overflow_at", "ways", *plain}
        span = result["span"] or {"largest": ""}
        assert row["largest_inside"] in (str(span["largest"]), "")
        for key in plain:
            value = result[key]
            cell = float(row[key]) if isinstance(value, float | int) else row[key]
            assert cell == ("" if value is None else value)
