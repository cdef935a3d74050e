"""Greedy tokens: how long each format and each peer takes, and how that grows."""

from qdemo import Variant, footprint
from tests.bench.models import BASE, FLAN, TINY, subject
from tests.bench.peers import changed, held, installed
from tests.bench.table import Line
from tests.bench.timing import medians

PLAIN = ("fp32", "bf16", "fp16")
OURS = ("int8", "int8@bf16", "int8@fp16", "int4-g64", "int4-g64@bf16", "int4")
GOALS = {"int8": "ratio 0.75", "int8@bf16": "ratio 0.35", "int4-g64": "ratio 1.30"}
TOKENS = 32


def generation(bandwidth, rounds):
    """FLAN-T5-small's shape: every format, and the peers."""
    given = subject(FLAN)
    models = {f"transformers {name}": Variant.parse(name).build(given.model) for name in PLAIN}
    models |= {f"qdemo {name}": Variant.parse(name).build(given.model) for name in OURS}
    models |= {name: changed(given.model, change) for name, change in installed().items()}
    found = medians(_ways(given, models, TOKENS), rounds)
    fp32 = found["transformers fp32"]
    task = f"{TOKENS} tokens, FLAN-T5-small"
    for name, seconds in found.items():
        goal = GOALS.get(name.removeprefix("qdemo "), "") if name.startswith("qdemo") else ""
        limit = TOKENS * _read_each_token(models[name]) / bandwidth
        yield Line(task, name, seconds, seconds / fp32, held(models[name]), limit, goal)


def _ways(given, models, count):
    return {name: lambda m=model: given.generate(m, count) for name, model in models.items()}


def _read_each_token(model):
    """Bytes: the decoder and the output layer, but not the table of word embeddings."""
    return held(model) - held(model.encoder)


def growth(rounds):
    """Time against the size of the model, and against the number of tokens."""
    formats = ("fp32", "bf16", "int8", "int8@bf16")
    for name in (TINY, FLAN, BASE):
        given = subject(name)
        models = {text: Variant.parse(text).build(given.model) for text in formats}
        counts = (8, 32, 128) if name == FLAN else (TOKENS,)
        for count in counts:
            found = medians(_ways(given, models, count), rounds)
            for text, seconds in found.items():
                size = footprint(models[text]).total
                task = f"{count} tokens, {name.rpartition('/')[2]}"
                yield Line(task, f"qdemo {text}", seconds, seconds / found["fp32"], size)
