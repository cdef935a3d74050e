"""The step that a CUDA graph is made of, where there is no GPU: it says what the usual step says,
and does nothing that a graph can't hold."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.cache_utils import DynamicCache, DynamicSlidingWindowLayer
from transformers.utils import import_utils

from qdemo import Variant
from qdemo.models import captured
from qdemo.models.availability import get_entry
from qdemo.models.captured import StaticStep
from qdemo.models.families.base import row
from qdemo.models.families.causal import Causal
from qdemo.models.loading import load
from qdemo.models.pictures import named_picture
from tests.causal_folder import model, tokenizer

GIVEN = {
    "t5-tiny": (
        "Sort these words: pig, onion, river, wolf",
        "What is 23 + 45?",
        "What is the capital of France?",
    ),
    "blip-tiny": ("scene:42", "gallery:a-woman-and-a-dog-on-the-beach"),
}
OF_WORDS = {
    "llama": ("The wolf and the pig", "What is the name of the onion?"),
    "gpt_neox": ("What is the name of the river?",),
    "gpt2": ("Hello, my name is",),
}
GIVEN |= OF_WORDS
CASES = [(name, given) for name, every in GIVEN.items() for given in every]
STEPS = 20


@pytest.fixture(scope="module", params=["fp32", "int8", "int4-g64", "bf16"])
def variant(request):
    return Variant.parse(request.param)


@pytest.fixture(scope="module")
def loaded():
    found = {name: load(get_entry(name)) for name in GIVEN.keys() - OF_WORDS.keys()}
    return found | {name: of_words(name) for name in OF_WORDS}


def of_words(kind):
    """A small language model of that kind."""
    made = model(kind)
    return SimpleNamespace(family=Causal(made.config, tokenizer()), model=made)


class Subject:
    """A model that has read what it was given."""

    def __init__(self, loaded, variant, given):
        self.family, self.model = loaded.family, variant.build(loaded.model)
        picture = named_picture(given) if given.startswith(("scene:", "gallery:")) else given
        self.prompt = self.family.encode(picture)

    def prefill(self):
        logits, state = self.family.prefill(self.model, self.prompt)
        return int(logits[-1].argmax()), state

    def usual(self, token, state):
        """Each token with the logits after it."""
        for _ in range(STEPS):
            logits, state = self.family.step(self.model, state, row(self.model, [token]))
            yield token, logits[-1]
            token = int(logits[-1].argmax())

    def static(self, token, static):
        for _ in range(STEPS):
            static.token.fill_(token)
            logits = static.run(self.model)
            yield token, logits
            token = int(logits.argmax())


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def assert_same(ours, wanted):
    assert [token for token, _ in ours] == [token for token, _ in wanted]
    ours, wanted = (torch.stack([logits for _, logits in each]) for each in (ours, wanted))
    bound = 16 * torch.finfo(wanted.dtype).eps * wanted.abs().max()
    assert (ours - wanted).abs().max() <= bound


@pytest.mark.parametrize(("name", "given"), CASES)
def test_the_static_step_says_what_the_usual_one_says(loaded, variant, name, given):
    subject = Subject(loaded[name], variant, given)
    token, state = subject.prefill()
    static = StaticStep(subject.family, state, len(subject.prompt.prefix) + STEPS)
    ours = list(subject.static(token, static))
    assert_same(ours, list(subject.usual(token, state)))


def test_another_prompt_goes_into_the_same_memory(loaded, variant):
    """NaN that was left where nothing stands yet does not come back."""
    first, second = "What is 23 + 45?", "What is 67 + 89?"
    one, other = (Subject(loaded["t5-tiny"], variant, given) for given in (first, second))
    token, state = one.prefill()
    static = StaticStep(one.family, state, 64)
    places = [x.data_ptr() for x in tensors_of(static)]
    list(one.static(token, static))
    for x in tensors_of(static):
        if x.is_floating_point():
            x.fill_(torch.nan)
    token, state = other.prefill()
    assert static.fits(state, STEPS)
    static.fill(state)
    assert_same(list(other.static(token, static)), list(other.usual(token, state)))
    assert places == [x.data_ptr() for x in tensors_of(static)]


def tensors_of(static):
    layers = [
        *static.past.self_attention_cache.layers,
        *static.past.cross_attention_cache.layers,
    ]
    held = [x for layer in layers for x in (layer.keys, layer.values, layer.cumulative_length)]
    return [*static.memory.values(), static.token, *held]


def test_a_step_can_be_undone(loaded):
    subject = Subject(loaded["blip-tiny"], Variant(), "scene:42")
    token, state = subject.prefill()
    static = StaticStep(subject.family, state, 64)
    static.token.fill_(token)
    first = static.run(subject.model)
    static.back()
    assert torch.equal(static.run(subject.model), first)
    assert not torch.equal(static.run(subject.model), first)


def test_it_is_for_one_shape_and_as_many_tokens_as_there_is_room_for(loaded):
    subject = Subject(loaded["t5-tiny"], Variant(), "What is 23 + 45?")
    longer = Subject(loaded["t5-tiny"], Variant(), "What is 23 + 45 + 67?")
    in_bf16 = Subject(loaded["t5-tiny"], Variant.parse("bf16"), "What is 23 + 45?")
    (_, state), (_, long), (_, half) = (s.prefill() for s in (subject, longer, in_bf16))
    static = StaticStep(subject.family, state, 64)
    assert [static.fits(state, count) for count in (1, 63, 64)] == [True, True, False]
    assert not static.fits(long, 1)
    assert not static.fits(half, 1)


def test_a_cache_that_forgets_is_left_as_it_is(loaded):
    subject = Subject(loaded["t5-tiny"], Variant(), "What is 23 + 45?")
    _, state = subject.prefill()
    sliding = DynamicCache()
    sliding.layers = [DynamicSlidingWindowLayer(sliding_window=4)]
    with pytest.raises(ValueError, match="DynamicSlidingWindowLayer can't be made static"):
        StaticStep(subject.family, replace(state, past=sliding), 64)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("gemma3_text", "caches of DynamicLayer, DynamicSlidingWindowLayer can't be made static"),
        ("mamba", "caches of LinearAttentionLayer can't be made static"),
        ("rwkv", "caches of list can't be made static"),
    ],
)
def test_a_language_model_whose_cache_is_another_goes_step_by_step(kind, why, caplog):
    subject = Subject(of_words(kind), Variant(), "The wolf and the pig")
    found, step = steps(subject)
    assert step.graph is None
    assert_same(found, usual(subject))
    assert not captured.is_captured(subject.model)
    assert why in caplog.text


class NothingIsReadBack(TorchDispatchMode):
    """A GPU would have to be waited for, or given numbers of Python's; a graph can do neither."""

    WRONG = ("aten.item", "aten._local_scalar_dense", "aten.is_nonzero", "aten.lift_fresh")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert not str(func).startswith(self.WRONG), f"{func} in a step that is captured"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("text", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("name", GIVEN)
def test_nothing_in_the_step_waits_for_the_gpu(loaded, text, name, monkeypatch):
    """Quantized, it does on a CPU, whose kernels are others."""
    # While a graph is captured, transformers does not look whether there is padding.
    monkeypatch.setattr(import_utils, "is_cuda_stream_capturing", lambda: True)
    subject = Subject(loaded[name], Variant.parse(text), GIVEN[name][0])
    token, state = subject.prefill()
    static = StaticStep(subject.family, state, 64)
    static.token.fill_(token)
    static.run(subject.model)  # what is made once is made before
    with NothingIsReadBack():
        static.run(subject.model)


def test_what_waits_for_the_gpu_is_found():
    with NothingIsReadBack(), pytest.raises(AssertionError, match="item"):
        torch.ones(1).item()


def test_on_a_cpu_steps_are_the_usual_ones(loaded):
    subject = Subject(loaded["t5-tiny"], Variant(), "What is 23 + 45?")
    _, state = subject.prefill()
    with captured.stepping(subject.family, subject.model, state, 5) as step:
        assert isinstance(step, captured._Plain)
    assert captured.is_captured(subject.model)


class Replayed(captured._Graph):
    """A stand-in for a graph: it steps anew each time, which a GPU need not."""

    def __init__(self, model, static):
        self.model, self.static, self.places = model, static, captured._places(model)
        self.logits = static.run(model)

    def __call__(self, token):
        self.static.token.copy_(token.view(1, 1))
        return self.static.run(self.model)


def steps(subject, kept=None, count=STEPS):
    """The tokens of a generation as on a GPU, and what made them."""
    token, state = subject.prefill()
    step, found = captured._OnGpu(subject.family, subject.model, state, count, kept), []
    for _ in range(STEPS):
        logits = step(torch.tensor(token))
        found.append((token, logits.clone()))
        token = int(logits.argmax())
    return found, step


def usual(subject):
    return list(subject.usual(*subject.prefill()))


@pytest.mark.parametrize(("name", "given"), CASES)
def test_by_a_graph_the_answer_is_the_same(loaded, variant, name, given, monkeypatch):
    monkeypatch.setattr(captured, "_Graph", Replayed)
    subject = Subject(loaded[name], variant, given)
    found, step = steps(subject)
    assert isinstance(step.graph, Replayed)
    assert_same(found, usual(subject))
    assert captured.is_captured(subject.model)


def test_a_graph_is_used_again_while_it_fits(loaded, monkeypatch):
    monkeypatch.setattr(captured, "_Graph", Replayed)
    one = Subject(loaded["t5-tiny"], Variant(), "What is 23 + 45?")
    _, first = steps(one)
    other = Subject(loaded["t5-tiny"], Variant(), "What is 67 + 89?")
    other.model = one.model
    found, second = steps(other, first.graph)
    assert second.graph is first.graph
    assert_same(found, usual(other))
    _, more = steps(one, first.graph, count=100)
    assert more.graph is not first.graph
    assert more.graph.static.room == 128
    longer = Subject(loaded["t5-tiny"], Variant(), "What is 23 + 45 + 67?")
    longer.model = one.model
    found, third = steps(longer, first.graph)
    assert third.graph is not first.graph
    assert_same(found, usual(longer))


def test_a_graph_is_given_up_where_weights_were_moved(loaded, monkeypatch):
    monkeypatch.setattr(captured, "_Graph", Replayed)
    subject = Subject(loaded["t5-tiny"], Variant.parse("int8"), "What is 23 + 45?")
    _, first = steps(subject)
    scale = subject.model.lm_head.quantized.scale
    subject.model.lm_head.quantized.scale = scale.clone().mul_(2)
    found, second = steps(subject, first.graph)
    assert second.graph is not first.graph
    assert_same(found, usual(subject))


class Wrong(captured._Graph):
    def __init__(self, model, static):
        captured._check_same(static.run(model) * 1.01, static.run(model))


@pytest.mark.parametrize(("graph", "why"), [(captured._Graph, ""), (Wrong, "something else")])
def test_where_it_cannot_be_had_steps_are_the_usual_ones(loaded, graph, why, monkeypatch, caplog):
    """As here, where there is no GPU; it is tried once, and told."""
    monkeypatch.setattr(captured, "_Graph", graph)
    subject = Subject(loaded["t5-tiny"], Variant.parse("int8"), "What is 23 + 45?")
    for _ in range(2):
        found, step = steps(subject)
        assert step.graph is None
        assert_same(found, usual(subject))
    assert not captured.is_captured(subject.model)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the steps of T5ForConditionalGeneration are no CUDA graph" in caplog.text
    assert why in caplog.text


def test_hooks_are_called_and_a_model_in_training_drops_anew(loaded, monkeypatch):
    monkeypatch.setattr(captured, "_Graph", Replayed)
    subject, called = Subject(loaded["t5-tiny"], Variant(), "What is 23 + 45?"), []
    handle = subject.model.lm_head.register_forward_hook(lambda *_: called.append(1))
    _, step = steps(subject)
    assert step.graph is None
    assert len(called) == STEPS + 1
    assert not captured.is_captured(subject.model)
    handle.remove()
    subject.model.train()
    assert steps(subject)[1].graph is None
    subject.model.eval()
    assert steps(subject)[1].graph is not None
    assert captured.is_captured(subject.model)


@pytest.mark.parametrize("logits", [[torch.nan, 1.0, 2.0], [torch.inf, 1.0, 2.0], [0.0, 0.0, 0.0]])
def test_what_is_not_finite_is_the_same_where_it_is_the_same(logits):
    captured._check_same(torch.tensor(logits), torch.tensor(logits))
    with pytest.raises(ArithmeticError, match="something else"):
        captured._check_same(torch.tensor([3.0, 1.0, 2.5]), torch.tensor(logits))
