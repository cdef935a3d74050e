"""Greedy tokens: how long each format and each peer takes, and how that grows."""

from qdemo import Variant
from tests.bench.models import BASE, FLAN, MIDDLE, TINY, short, subject
from tests.bench.peers import DYNAMIC, PEERS, changed, held, is_installed
from tests.bench.table import Goal, Growth, Line, number
from tests.bench.timing import interleaved

PLAIN = ("fp32", "bf16", "fp16")
GOALS = {
    "int8": Goal.parse("≤ 0.62"),
    "int4-g64": Goal.parse("≤ 0.55"),
    "nf4-g64": Goal.parse("≤ 0.55"),
    "int3-g64": Goal.parse("≤ 0.60"),
    "int2-g64": Goal.parse("≤ 0.50"),
    "int4": None,
    "int8@bf16": Goal.parse("≤ 0.55"),
    "int4-g64@bf16": Goal.parse("≤ 0.50"),
    "int8@fp16": None,
    "int8a8": None,  # beside torch's quantize_dynamic, in a task of its own
}
"""Our formats, with the most that each may take of transformers' fp32."""

TINY_GOAL, MIDDLE_GOAL = Goal.parse("≤ 1.20"), Goal.parse("≤ 0.45")
IN_MIDDLE = {"int8": None, "int4-g64": MIDDLE_GOAL, "nf4-g64": None, "int4-g64@bf16": None}
GROWING = ("fp32", "bf16", "int8", "int4-g64", "int8@bf16", "int4-g64@bf16")
TOKENS = 32
FP32 = "transformers fp32"


def generation(bandwidth, rounds):
    """FLAN-T5-small's shape with every format and the peers, a tiny model, and a larger one."""
    yield from _small(bandwidth, rounds)
    yield from _lines(TINY, dict.fromkeys(GOALS, TINY_GOAL), bandwidth, 3 * rounds)
    yield from _lines(MIDDLE, IN_MIDDLE, bandwidth, rounds)


def _small(bandwidth, rounds):
    given = subject(FLAN)
    models = _models(given, GOALS) | _peers(given)
    found = interleaved(_ways(given, models), rounds)
    yield from _told(FLAN, found, models, GOALS, bandwidth)
    for name, peer in PEERS.items():
        if not is_installed(peer):
            yield Line(_task(FLAN), name, None, absent="not installed")
    task, ours = f"{_task(FLAN)}, int8 activations", "qdemo int8a8"
    yield Line(task, DYNAMIC, found.median(DYNAMIC), 1.0)
    goal = Goal.parse("≤ 1.00")
    if ours in models:
        spread = found.ratio(ours, DYNAMIC)
        yield Line(task, ours, found.median(ours), spread.median, goal=goal, spread=spread)
    else:
        yield Line(task, ours, None, goal=goal, absent="not built")


def _lines(name, goals, bandwidth, rounds):
    given = subject(name)
    models = _models(given, goals)
    found = interleaved(_ways(given, models), rounds)
    yield from _told(name, found, models, goals, bandwidth)


def _told(name, found, models, goals, bandwidth):
    """A line a model, and one for each format that can't be built yet."""
    for how, model in models.items():
        goal = goals.get(how.removeprefix("qdemo ")) if how.startswith("qdemo") else None
        limit = TOKENS * _read_each_token(model) / bandwidth
        spread = None if how == FP32 else found.ratio(how, FP32)
        ratio = 1.0 if spread is None else spread.median
        seconds = found.median(how)
        yield Line(_task(name), how, seconds, ratio, held(model), limit, goal, spread)
    for text, goal in goals.items():
        if f"qdemo {text}" not in models:
            yield Line(_task(name), f"qdemo {text}", None, goal=goal, absent="not built")


def _task(name):
    return f"{TOKENS} tokens, {short(name)}"


def _models(given, ours):
    """The casts, which compute as transformers does, and those of `ours` that can be built."""
    models = {f"transformers {name}": Variant.parse(name).build(given.model) for name in PLAIN}
    return models | {
        f"qdemo {name}": Variant.parse(name).build(given.model) for name in ours if _is_built(name)
    }


def _is_built(name):
    try:
        Variant.parse(name).check_built()
    except ValueError:
        return False
    return True


def _peers(given):
    return {
        name: changed(given.model, peer.change)
        for name, peer in PEERS.items()
        if is_installed(peer)
    }


def _ways(given, models, count=TOKENS):
    return {name: lambda m=model: given.generate(m, count) for name, model in models.items()}


def _read_each_token(model):
    """Bytes: the decoder and the output layer, but not the table of word embeddings."""
    return held(model) - held(model.encoder)


def by_size(rounds):
    """Time against the size of the model."""
    rows = [
        (short(name), *row)
        for name in (TINY, FLAN, MIDDLE, BASE)
        for row in _growing(name, (TOKENS,), rounds)
    ]
    title = f"With the model's size ({TOKENS} tokens, then the ratio to fp32)"
    return Growth(title, ("model", *_HEADS), tuple(rows))


def by_tokens(rounds):
    """Time against the number of tokens."""
    counts = (8, 32, 128)
    grown = _growing(FLAN, counts, rounds)
    rows = [(str(count), *row) for count, row in zip(counts, grown, strict=True)]
    title = f"With the number of tokens ({short(FLAN)}, then the ratio to fp32)"
    return Growth(title, ("tokens", *_HEADS), tuple(rows))


_HEADS = ("fp32, ms", *GROWING[1:])


def _growing(name, counts, rounds):
    """For each count of tokens: milliseconds of fp32, then the others' ratios to it."""
    given = subject(name)
    models = {text: Variant.parse(text).build(given.model) for text in GROWING}
    for count in counts:
        found = interleaved(_ways(given, models, count), rounds)
        others = [found.ratio(text, "fp32").median for text in GROWING[1:]]
        yield number(1000 * found.median("fp32")), *(f"{ratio:.2f}" for ratio in others)
