"""The kernels of a GPU, and its captured steps: checked, and timed on a model of a billion
parameters. Called by `tests.bench.gpu`."""

import importlib.util
import time

import torch
from transformers import T5Config, T5ForConditionalGeneration
from transformers.initialization import no_init_weights

import qdemo
from qdemo.compress import cuda, cuda_launch, kernels
from qdemo.models import captured
from qdemo.models.availability import get_entry
from qdemo.models.decoding import generate
from qdemo.models.families.base import Prompt
from qdemo.models.loading import load
from qdemo.models.pictures import named_picture
from tests.bench.models import PROMPT, Subject, subject
from tests.bench.peers import changed, held, quanto_int8, torchao_int8
from tests.bench.table import Line
from tests.bench.timing import Rounds

GRIDS = (
    "int8", "int8-affine", "int8-tensor", "int4", "int4-g64", "int4-g32-affine", "int3-g64", "int2",
    "int7", "fp8_e4m3", "nf4-g64", "e2m1-g32",
)  # fmt: skip
SHAPES = ((64, 1024), (45, 192))  # whole panels, and a narrower last one
STEPPED = ("fp32", "bf16", "fp16", "int8", "int8@bf16", "int8+emb", "int4-g64", "int4-g64@bf16",
           "nf4-g64@bf16")  # fmt: skip
TOKENS = 32
BILLION = {"d_model": 1280, "d_ff": 3584, "num_layers": 24, "num_decoder_layers": 24,
           "num_heads": 20, "d_kv": 64, "vocab_size": 32128}  # fmt: skip
PEERS = {
    "optimum-quanto qint8": ("optimum", quanto_int8),
    "torchao Int8WeightOnly": ("torchao", torchao_int8),
}
FIRST = "transformers bf16"
GOALS = {
    "qdemo int8@bf16": 1.0, "qdemo int4-g64@bf16": 1.0, "captured bf16": 0.2,
    "captured int8@bf16": 0.2, "captured int4-g64@bf16": 0.2, "captured nf4-g64@bf16": 0.2,
}  # fmt: skip
"""The most of transformers' bf16, which runs step by step."""


def products(checks, device):
    """Each kernel against the product in fp64, and that it is the kernel that is used."""
    on_gpu = torch.device(device).type == "cuda"
    for text in GRIDS:
        for dtype in cuda.DTYPES if text in ("int8", "int4-g64") else cuda.DTYPES[:2]:
            for n_rows, length in SHAPES:
                weight = qdemo.quantize_tensor(
                    torch.randn(n_rows, length), qdemo.Scheme.parse(text)
                )
                exact, floats = weight.dequantize(torch.float64).t(), weight.dequantize(dtype)
                weight = weight.to(device)
                what = f"{text} {dtype} ({n_rows}, {length})"
                if on_gpu:
                    checks.check(cuda.is_used(weight, dtype), f"{what}: the kernel is not used")
                    found = [part.cpu() for _, part in cuda_launch.Launch(weight).pieces(dtype)]
                    checks.check(torch.equal(torch.cat(found), floats), f"{what}: other floats")
                for rows in (1, 3, cuda.ROWS, cuda.ROWS + 1):
                    # Every second of wider rows, so that the last ones lie apart.
                    x = torch.randn(rows, 2 * length).to(dtype)[:, ::2]
                    ours = kernels.quantized_linear(x.to(device), weight, None).cpu().double()
                    sizes = x.double().abs() @ exact.abs()
                    apart = ((ours - x.double() @ exact).abs() / sizes).max().item()
                    near = apart < 8 * torch.finfo(dtype).eps
                    checks.check(near, f"{what}, {rows} rows: {apart:.1e} apart")


def steps(checks, device):
    """The captured step's tokens against those of usual steps, and again with the graph kept."""
    on_gpu = torch.device(device).type == "cuda"
    given = {
        "t5-tiny": ("What is 23 + 45?", "What is 67 + 89?", "Sort these words: pig, onion, river"),
        "blip-tiny": ("scene:42", "scene:7"),
    }
    for name, every in given.items():
        loaded = load(get_entry(name), device)
        for text in STEPPED:
            model = qdemo.Variant.parse(text).build(loaded.model)
            for one in every:
                picture = named_picture(one) if name == "blip-tiny" else one
                read = Subject(name, model, loaded.family, loaded.family.encode(picture))
                usual = list(step_by_step(read, model, 24))
                for _ in range(2):
                    ours = read.generate(model, 24)
                    checks.check(ours == usual, f"{name} {text} {one}: other tokens by a graph")
            if on_gpu:
                checks.check(captured.is_captured(model), f"{name} {text}: no CUDA graph")


@torch.inference_mode()
def step_by_step(given, model, count):
    """The tokens of an answer, one by one, without a graph."""
    prompt = given.prompt.to(captured.device_of(model))
    logits, state = given.family.prefill(model, prompt)
    step = captured._Plain(given.family, model, state)
    token = logits[-1].argmax()
    for left in reversed(range(count)):
        yield (said := int(token))
        if said in prompt.ends or not left:
            return
        token = step(token).argmax()


def billion(device):
    """A T5 of 1.2 billion random parameters, which answers on and on."""
    with no_init_weights(), torch.device(device):
        config = T5Config(**BILLION, feed_forward_proj="gated-gelu", decoder_start_token_id=0)
        model = T5ForConditionalGeneration(config).eval().requires_grad_(False)
    generator = torch.Generator(device).manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=0.03, generator=generator)
        else:
            parameter.fill_(1)
    ids = torch.arange(3, 3 + PROMPT)[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    prompt = Prompt(inputs, (0,), frozenset(), longest=512, read=(), shown="")
    return Subject("a T5 of 1.2 billion", model, subject("t5-tiny").family, prompt)


def lines(device, rounds, small=None):
    """Milliseconds to the first token of an answer and of each later one, batch 1: each format step
    by step and captured, and the peers. `small` is another shape to run, which the billion would
    take too long for."""
    given = subject(small) if small else billion(device)
    model = given.model.to(device)
    models = {text: qdemo.Variant.parse(text).build(model) for text in
              ("bf16", "int8@bf16", "int4-g64@bf16", "nf4-g64@bf16")}  # fmt: skip
    ways, holds = {}, {}
    for text, built in models.items():
        name = FIRST if text == "bf16" else f"qdemo {text}"
        ways[name] = lambda m=built: step_by_step(given, m, TOKENS)
        ways[f"captured {text}"] = lambda m=built: generate(given.family, m, given.prompt, TOKENS)
        holds[name] = holds[f"captured {text}"] = held(built)
    for name, (package, change) in PEERS.items():
        if importlib.util.find_spec(package) is not None:
            peer = changed(models["bf16"], change)
            ways[name] = lambda m=peer: step_by_step(given, m, TOKENS)
            holds[name] = held(peer)
    # A GPU's turns don't wait for parallel products of the CPU, so none is taken again for them.
    taken = [{name: _timed(way) for name, way in ways.items()} for _ in range(rounds + 1)][1:]
    found = []
    for task, which in ((f"first token, {given.name}", 0), (f"each later one, {given.name}", 1)):
        turns = Rounds(tuple({name: both[which] for name, both in each.items()} for each in taken))
        for name in ways:
            spread = turns.ratio(name, FIRST)
            line = Line(task, name, turns.median(name), spread.median, holds[name], spread=spread)
            found.append(line)
    return found


def _timed(way):
    """Seconds to the first token of an answer, and of each later one."""
    start = time.perf_counter()
    tokens = iter(way())
    next(tokens)
    first = time.perf_counter()
    later = sum(1 for _ in tokens)
    return first - start, (time.perf_counter() - first) / later


def reached(lines):
    """A sentence a goal: all is in units of transformers' bf16."""
    ratio = {line.how: line.ratio for line in lines if line.task.startswith("each later")}
    for name, most in GOALS.items():
        yield f"{name}: {ratio[name]:.2f}, goal {most:.2f}", ratio[name] <= most
    for text in ("int8@bf16", "int4-g64@bf16"):
        ours = ratio[f"captured {text}"]
        beside = ratio["captured bf16"]
        yield f"captured {text}: {ours:.3f}, captured bf16 {beside:.3f}", ours < beside
        for peer in PEERS.keys() & ratio.keys():
            plain = ratio[f"qdemo {text}"]
            yield f"qdemo {text}: {plain:.2f}, {peer} {ratio[peer]:.2f}", plain < ratio[peer]
