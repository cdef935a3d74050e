"""A whole comparison beside what cannot be left out of it, and a model from disk to its answer."""

import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr
import torch

from qdemo import Variant
from qdemo.engine.calibrating import rows_for
from qdemo.engine.comparing import compare
from qdemo.models.catalogue import CATALOGUE
from qdemo.models.loading import Loaded
from qdemo.ui import charts, held
from tests.bench.memory import memory_of
from tests.bench.models import BLIP, FLAN, short, subject
from tests.bench.table import Goal, Growth, Line, number
from tests.bench.timing import interleaved

FORMATS = ("fp16", "bf16", "int8")
TOKENS = 32


def comparison(rounds):
    """Building, a warm-up, tokens, scoring, all measures and charts, and the bare passes of it."""
    given = subject(FLAN)
    variants = [Variant.parse(name) for name in FORMATS]
    models = [given.model, *(variant.build(given.model) for variant in variants)]
    tokens = given.generate(given.model, TOKENS)

    def bare():
        for model in models:
            given.generate(model, TOKENS)
            given.score(model, tokens)

    found = interleaved({"bare": bare, "whole": lambda: whole(given, variants)}, rounds)
    task = f"fp32, fp16, bf16 and int8, {TOKENS} tokens"
    yield Line(task, "generating and scoring alone", found.median("bare"), 1.0)
    spread = found.ratio("whole", "bare")
    yield Line(task, "qdemo, the whole comparison", found.median("whole"), spread.median,
               goal=Goal.parse("≤ 1.20"), spread=spread)  # fmt: skip


def by_formats(rounds):
    """How a comparison grows with the number of formats."""
    given = subject(FLAN)
    names = ("bf16", "int8", "fp16", "int8@bf16", "int4-g64", "int4", "int3", "int2")
    counts = (1, 2, 4, 8)
    ways = {}
    for count in counts:
        variants = [Variant.parse(name) for name in names[:count]]
        ways[count] = lambda v=variants: whole(given, v)
    found = interleaved(ways, rounds)
    rows = tuple(
        (
            ", ".join(names[:n]),
            str(n),
            number(1000 * found.median(n)),
            "1.00" if n == 1 else str(found.ratio(n, 1)),
        )
        for n in counts
    )
    title = f"With the number of formats (a whole comparison, {TOKENS} tokens, {short(FLAN)})"
    return Growth(title, ("beside fp32", "formats", "ms", "ratio to one (quartiles)"), rows)


def whole(given, variants):
    """The charts of a comparison, from nothing but calibration inputs, which outlast it."""
    loaded = Loaded(CATALOGUE[given.name], given.model, given.family)
    events = compare(loaded, given.prompt, variants, TOKENS, inputs=lambda: inputs_of(given))
    report = next(events).report
    for event in events:
        report = report.after(event)
    return charts.updates(page(), report)


@cache
def inputs_of(given):
    """As many rows for each Linear layer as are collected of a model of that size."""
    rows = rows_for(sum(parameter.numel() for parameter in given.model.parameters()))
    return {
        name: torch.randn(rows, module.in_features)
        for name, module in given.model.named_modules()
        if type(module) is torch.nn.Linear
    }


@cache
def page():
    """The components that the charts are of."""
    with gr.Blocks():
        return charts.build(held.example())


def loading():
    """From disk to the first answer, each in a process of its own, with what that holds at most."""
    from tests.hub_checkpoints import write_blip_base, write_flan_t5_small

    for name, write in ((FLAN, write_flan_t5_small), (BLIP, write_blip_base)):
        with TemporaryDirectory() as folder:
            own = Path(folder) / "model"
            write(own)
            for how in ("transformers", "qdemo"):
                command = [sys.executable, "-m", "tests.bench.whole", str(own), name, how]
                out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
                took, more, size = map(float, out.split()[-3:])
                task = f"load {name.rpartition('/')[2]}, first token"
                # Of memory there is a ratio too, to the weights: it goes with the way.
                told = f"{how}, {more / size:.2f} × the weights in memory"
                yield Line(task, told, took, held=int(more))


def first_answer(folder, name, how):
    """Print seconds, the growth of the most memory that was held, and the bytes of the weights."""
    from qdemo.models import decoding
    from qdemo.models.availability import allowed
    from qdemo.models.loading import load
    from qdemo.models.pictures import scene_picture

    task = "captioning" if name == BLIP else "text2text"
    entry = allowed(f"{task}:{folder}", {})[Path(folder).name]
    load(CATALOGUE["t5-tiny"])  # imports what any model needs
    before, start = memory_of("self", "VmHWM"), time.perf_counter()
    asked = scene_picture(7) if name == BLIP else "What is 59 + 64?"
    if how == "qdemo":
        given = load(entry)
        next(decoding.generate(given.family, given.model, given.family.encode(asked), 1))
        model = given.model
    else:
        kind = entry.family.architecture(entry.family.model_types[0])
        model = kind.model.from_pretrained(folder, dtype="float32").eval()
        prepare = kind.words.from_pretrained(folder)
        asked = prepare(images=asked.image, return_tensors="pt") if name == BLIP else prepare(
            asked, return_tensors="pt"
        )  # fmt: skip
        model.generate(**asked, max_new_tokens=1)
    took = time.perf_counter() - start
    size = sum(parameter.nbytes for parameter in model.parameters())
    print(took, memory_of("self", "VmHWM") - before, size)


if __name__ == "__main__":
    first_answer(*sys.argv[1:])
