"""A step that is looked into; time is a clock of the test's own, which only what it names moves."""

import re
from itertools import count, islice

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from qdemo import Variant
from qdemo.measure import step
from qdemo.measure.cost import TIME
from qdemo.measure.measure import Ran
from qdemo.measure.step import Step, bandwidth, look_into
from qdemo.models.availability import get_entry
from qdemo.models.decoding import generate, scored
from qdemo.models.loading import load
from qdemo.models.pictures import named_picture

CPU = torch.device("cpu")
GIVEN = {
    "t5-tiny": "Sort these words: pig, onion, river, wolf",
    "blip-tiny": named_picture("gallery:a-wizard-on-an-elephant-in-the-snow"),
}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


CLOCK = Clock()


@torch.library.custom_op("qdemo_tests::takes_two", mutates_args=())
def takes_two(x: torch.Tensor) -> torch.Tensor:
    CLOCK.now += 2
    return x.clone()


class Layer(nn.Linear):
    """Each product takes 3 s."""

    def forward(self, x):
        CLOCK.now += 3
        return super().forward(x)


class Model(nn.Module):
    """Two layers, an operator between them, and 5 s of Python around."""

    def __init__(self):
        super().__init__()
        self.table, self.never = nn.Embedding(10, 4), Layer(4, 4)
        self.layers = nn.ModuleList([Layer(4, 4), Layer(4, 4, bias=False)])
        self.norm = nn.LayerNorm(4)

    def forward(self, ids):
        x = self.layers[0](self.table(ids))
        CLOCK.now += 5
        return self.layers[1](self.norm(takes_two(x).view(-1, 4)))


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(step, "perf_counter", CLOCK)


def steps(model, ids=(7,)):
    with torch.inference_mode():
        while True:
            yield model(torch.tensor([list(ids)]))


def test_kernels_are_what_layers_and_other_operators_take(clock):
    model = Model()
    found = look_into(model, steps(model), CPU)
    assert (found.in_kernels, found.whole) == (3 + 3 + 2, 3 + 2 + 3 + 5)


def test_the_weights_that_run_are_read_and_of_a_table_the_rows_taken(clock):
    model = Model()
    layers = (4 * 4 + 4) + 4 * 4
    assert look_into(model, steps(model), CPU).bytes == 4 * (4 + layers + 2 * 4)
    model = Model()
    assert look_into(model, steps(model, [7, 1, 7]), CPU).bytes == 4 * (3 * 4 + layers + 2 * 4)


def test_what_several_modules_hold_is_read_once():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False))
    model[1].weight = model[0].weight
    assert look_into(model, steps(model), CPU).bytes == 10 * 4 * 4


NOT_READ = re.compile(
    r"^encoder|^shared|^vision_model|EncDecAttention\.[kv]\.|crossatt.*\.(key|value)\."
)
"""The prompt's or picture's part, and the keys and values of it, which are made once."""


def bytes_by_hand(model, rows, quantized=False):
    """Of each table so many `rows`; a quantized matrix has a byte a weight and four a scale."""
    total = 0
    for name, parameter in model.named_parameters():
        if NOT_READ.search(name):
            continue
        table = next((n for key, n in rows.items() if key in name), None)
        if quantized and parameter.ndim == 2 and table is None:
            total += parameter.numel() + 4 * len(parameter)
        else:
            total += 4 * (len(parameter) if table is None else table) * parameter[0].numel()
    return total


@pytest.mark.parametrize("format", ["fp32", "int8"])
def test_a_t5_reads_its_decoder_and_head(format):
    tiny = load(get_entry("t5-tiny"))
    model = tiny.model if format == "fp32" else Variant.parse(format).build(tiny.model)
    prompt = tiny.family.encode(GIVEN["t5-tiny"])
    _, going_on = scored(tiny.family, model, prompt, [5, 6, 7])
    found = look_into(model, going_on, CPU)
    # The token's own row (its table is the encoder's too); 5 positions by the second step.
    wanted = bytes_by_hand(tiny.model, {"relative_attention_bias": 5}, format == "int8")
    assert found.bytes == wanted + 4 * tiny.model.config.d_model


def test_a_blip_reads_nothing_of_what_has_looked_at_the_picture():
    tiny = load(get_entry("blip-tiny"))
    prompt = tiny.family.encode(GIVEN["blip-tiny"])
    _, going_on = scored(tiny.family, tiny.model, prompt, [5, 6, 7])
    seen = look_into(tiny.model, going_on, CPU)
    # The words' table is the head's too; of the positions' one row is taken.
    wanted = bytes_by_hand(tiny.model, {"position_embeddings": 1})
    assert seen.bytes == wanted


def test_the_steps_are_what_they_are_without(clock):
    model = Model()
    plain, seen = steps(model), []
    look_into(model, (seen.append(x) or x for x in steps(model)), CPU)
    assert len(seen) == 2
    assert all(torch.equal(a, b) for a, b in zip(seen, islice(plain, 2), strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class Broken(Model):
    """It fails in a layer of its second step, with that error."""

    def __init__(self, error):
        super().__init__()
        at = count()
        self.layers[1].register_forward_pre_hook(lambda *_: self.fail(error) if next(at) else None)

    def fail(self, error):
        raise error


def test_what_goes_wrong_leaves_nothing_behind():
    too_far = Broken(ArithmeticError())
    assert look_into(too_far, steps(too_far), CPU) is None
    broken = Broken(MemoryError())
    with pytest.raises(MemoryError):
        look_into(broken, steps(broken), CPU)
    assert _get_current_dispatch_mode() is None
    assert sum(len(m._forward_hooks) for m in broken.modules()) == 0
    assert sum(len(m._forward_pre_hooks) for m in broken.modules()) == 1  # its own


def test_without_room_or_on_another_device_nothing_is_seen():
    model = Model()
    assert look_into(model, iter([]), CPU) is None
    assert look_into(model, islice(steps(model), 1), CPU) is None
    assert look_into(model, steps(model), torch.device("meta")) is None


@pytest.mark.parametrize("name", GIVEN)
def test_the_steps_after_an_answer_are_those_of_a_longer_one(name):
    tiny = load(get_entry(name))
    prompt = tiny.family.encode(GIVEN[name])
    answer = list(generate(tiny.family, tiny.model, prompt, 6))
    logits, going_on = scored(tiny.family, tiny.model, prompt, answer[:3])
    assert logits.argmax(1).tolist() == answer[:3]
    assert [int(token) for token in islice(going_on, len(answer) - 3)] == answer[3:]


def test_there_are_as_many_steps_as_positions():
    tiny = load(get_entry("blip-tiny"))
    prompt = tiny.family.encode(GIVEN["blip-tiny"])
    for length in (30, 32):
        _, going_on = scored(tiny.family, tiny.model, prompt, [5] * length)
        assert len(list(going_on)) == prompt.longest - length


def test_a_share_of_the_step_is_that_of_the_token():
    assert Step(0, in_kernels=3.0, whole=4.0).kernels_ms(8.0) == 6.0
    assert Step(0, in_kernels=5.0, whole=4.0).kernels_ms(8.0) == 8.0
    assert Step(0, in_kernels=0.003, whole=None).kernels_ms(8.0) == pytest.approx(3.0)


def test_what_is_read_is_about_as_large_and_read_once(monkeypatch):
    sizes = []
    monkeypatch.setattr(step, "_seconds", lambda memory: sizes.append(memory.nbytes) or 2.0)
    step._bandwidth.cache_clear()
    found = [bandwidth(size, CPU) for size in (0, 1 << 20, 5_000_000, 6_000_000)]
    assert found == [2**20 / 2, 2**20 / 2, 2**22 / 2, 2**23 / 2]
    assert sizes == [2**20] * 5 + [2**22] * 5 + [2**23] * 5
    monkeypatch.setattr(torch, "ones", lambda count, device: torch.empty(count, device="meta"))
    assert bandwidth(10**12, CPU) == 2**28 / 2
    step._bandwidth.cache_clear()


def test_a_machine_reads_some_bytes_a_second():
    assert bandwidth(1 << 20, CPU) > 0


def figures(step_, seconds=(0.5, 0.004, 0.006)):
    ran = Ran(Variant(), nn.Linear(2, 2), (1, 2, 3), seconds, torch.zeros(3, 4), step=step_)
    return TIME.of(ran).figures


def test_the_parts_are_the_whole(monkeypatch):
    monkeypatch.setattr("qdemo.measure.cost.bandwidth", lambda size, device: size * 1000.0)
    found = figures(Step(7, in_kernels=3.0, whole=5.0))
    assert found["read_bytes"] == 7
    assert found["token_ms"] == pytest.approx(5.0)
    parts = [found[key] for key in ("reading_ms", "kernels_ms", "outside_ms")]
    assert parts == pytest.approx([1.0, 2.0, 2.0])


def test_kernels_that_are_faster_than_the_limit_have_no_more_time(monkeypatch):
    monkeypatch.setattr("qdemo.measure.cost.bandwidth", lambda size, device: size * 250.0)
    found = figures(Step(7, in_kernels=3.0, whole=5.0))
    parts = [found[key] for key in ("reading_ms", "kernels_ms", "outside_ms")]
    assert parts == pytest.approx([4.0, 0.0, 2.0])


def test_what_was_not_looked_into_has_no_parts():
    assert set(figures(None)) == {"first_token_ms", "token_ms"}
    assert set(figures(Step(7, 3.0, 5.0), seconds=(0.5,))) == {"first_token_ms", "token_ms"}


def test_what_all_variants_share_is_looked_for_once(clock):
    """One more step for the first that computes in a format; for others none."""
    reference, taken = Model(), []

    def of(model, compute):
        going_on = (taken.append(x) or x for x in steps(model))
        found = look_into(model, going_on, CPU, reference, compute)
        count = len(taken)
        taken.clear()
        return found, count

    first, count = of(reference, "fp32")
    assert count == 2
    other = Model()
    again, count = of(other, "fp32")
    assert (again.bytes, count) == (first.bytes, 1)
    halves = Model().bfloat16()
    assert of(halves, "bf16")[1] == 2
    assert of(Model().bfloat16(), "bf16")[0].bytes == first.bytes // 2
