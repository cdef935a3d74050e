"""The smallest repair of an answer, against all sets of layers, each built and asked."""

from itertools import combinations

import pytest

from qdemo import Variant
from qdemo.compress.building import at_once
from qdemo.compress.parts import quantized_layers
from qdemo.engine import repairing
from qdemo.engine.answering import Question
from qdemo.engine.engine import Engine
from qdemo.engine.repairing import repair
from qdemo.models.availability import get_entry
from qdemo.models.catalogue import Entry
from qdemo.models.decoding import generate
from qdemo.models.loading import load
from qdemo.settings import Settings
from qdemo.spec.decoding import GREEDY, Decoding
from qdemo.spec.repair import Repair
from qdemo.spec.report import Making
from qdemo.spec.sensitivity import Trying
from qdemo.spec.step import Step
from qdemo.spec.written import as_text, from_text
from tests import causal_folder

LOW, MSE = "int2", "int2-mse"
PROMPTS = ("The wolf", "Hello, my name is", "onion", "What is the name of the pig?")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A language model with nine layers."""
    folder = causal_folder.write(tmp_path_factory.mktemp("neox"), "gpt_neox")
    return load(Entry("small", "causal", tied=False, parameters=0, folder=folder))


@pytest.fixture(scope="module")
def tiny():
    return load(get_entry("t5-tiny"))


def question(loaded, text, tokens=4, decoding=GREEDY):
    return Question(loaded.family, loaded.family.encode(text), tokens, decoding)


def build(loaded, text):
    return Variant.parse(text).build(loaded.model)


def answer(loaded, asked, model):
    return tuple(generate(loaded.family, model, asked.prompt, asked.max_tokens))


def found(loaded, text, prompt, **how):
    asked = question(loaded, prompt, how.pop("tokens", 4))
    return at_once(repair(loaded, asked, Variant.parse(text), build(loaded, text), **how))


def answers(loaded, asked, text, step, sets):
    """What is answered where each of these sets of layers is put back; every one is built."""
    for chosen in sets:
        yield answer(
            loaded, asked, build(loaded, text + "".join(f"~{name}={step}" for name in chosen))
        )


@pytest.mark.parametrize(
    ("prompt", "text", "step"),
    [(PROMPTS[0], LOW, "fp32"), (PROMPTS[1], LOW, "fp32"), (PROMPTS[2], "int3", "int8")],
)
def test_no_smaller_set_of_layers_brings_the_answer_back(small, prompt, text, step):
    asked = question(small, prompt)
    better = None if step == "fp32" else build(small, step)
    result = found(small, text, prompt, step=Step.parse(step), better=better)
    wanted, size = answer(small, asked, small.model), len(result.modules)
    assert result.is_needed
    assert result.is_smallest == (size < 4)
    assert answer(small, asked, build(small, result.repaired)) == wanted
    names = [name for (name,) in quantized_layers(small.model, build(small, text))]
    for fewer in range(min(size, 3)):
        assert wanted not in answers(small, asked, text, step, combinations(names, fewer))
    needless = combinations(result.modules, size - 1)
    assert wanted not in answers(small, asked, text, step, needless)


def test_where_all_layers_are_needed_it_is_another_format(small):
    asked = question(small, PROMPTS[3], 24)
    result = at_once(repair(small, asked, Variant.parse("int2"), build(small, "int2")))
    assert len(result.modules) == result.layers == 9
    assert result.repaired == "fp32"
    better = build(small, "int8+emb")
    built = build(small, "int2+emb")
    eight = at_once(repair(small, question(small, PROMPTS[3]), Variant.parse("int2+emb"), built,
                           Step.parse("int8"), better))  # fmt: skip
    assert eight.repaired is None or Variant.parse(eight.repaired).embeddings


def test_every_layer_is_tried_alone_and_told(tiny):
    asked = question(tiny, "Subtract 5 from 56.", 32)
    steps = repair(tiny, asked, Variant.parse(MSE), build(tiny, MSE))
    told = []
    try:
        while True:
            told.append(next(steps))
    except StopIteration as end:
        result = end.value
    names = [names[0] for names in quantized_layers(tiny.model, build(tiny, MSE))]
    assert [one.name for one in told[: len(names)]] == names
    assert {one.modules[0] for one in result.singles} == set(names)
    assert [one.kl for one in result.singles] == sorted(one.kl for one in result.singles)
    assert (result.answer, result.before) == ("51", "41")
    assert (result.is_needed, result.is_smallest, len(result.modules)) == (True, True, 1)
    assert result.repaired == f"{MSE}~{result.modules[0]}=fp32"
    back = build(tiny, result.repaired)
    assert tiny.family.decode(answer(tiny, asked, back)) == "51"
    assert from_text(Repair, as_text(result)) == result
    enough = [one for one in result.singles if one.is_back]
    sizes = {one.modules: tiny.model.get_submodule(one.modules[0]).weight.numel() for one in enough}
    assert sizes[result.modules] == min(sizes.values())


def test_what_is_right_needs_no_repair(tiny):
    result = found(tiny, "int8", "Subtract 5 from 56.", tokens=32)
    assert (result.is_needed, result.modules, result.repaired) == (False, (), "int8")
    assert result.tries == 1


def test_a_step_that_is_not_enough_is_told(tiny):
    result = found(
        tiny, "int2", "Subtract 5 from 56.", tokens=32, step=Step.parse("int2-g64"),
        better=build(tiny, "int2-g64"),
    )  # fmt: skip
    assert result.repaired is None
    assert not result.modules
    assert result.kl_after > 0


def test_an_exception_that_there_was_makes_way(tiny):
    text = f"{MSE}~lm_head=int3~encoder.block.0=int2"
    result = found(tiny, text, "What is 59 + 64?", tokens=32)
    parsed = Variant.parse(result.repaired)
    assert parsed.exceptions[: len(result.modules)] == tuple(
        (name, Step.parse("fp32")) for name in result.modules
    )
    assert len({name for name, _ in parsed.exceptions}) == len(parsed.exceptions)


def test_fewer_pairs_make_no_proof(small):
    sizes = [len(found(small, LOW, prompt).modules) for prompt in PROMPTS]
    prompt = PROMPTS[sizes.index(max(sizes))]
    assert max(sizes) > 2
    result = found(small, LOW, prompt, most_pairs=1)
    assert not result.is_smallest
    assert repairing.MOST_PAIRS > 36


@pytest.mark.parametrize(
    ("decoding", "prompt"),
    [(Decoding(temperature=1.0), "onion"), (Decoding("score"), "The wolf and the pig")],
)
def test_only_greedy_answers_are_repaired(small, decoding, prompt):
    encoded = small.family.encode(prompt, decoding.read_as)
    asked = Question(small.family, encoded, 4, decoding)
    with pytest.raises(ValueError, match="an answer is repaired that is greedy"):
        next(repair(small, asked, Variant.parse(LOW), build(small, LOW)))


def test_nothing_to_put_back_is_refused(small):
    variant, built = Variant.parse("int8"), build(small, "int8")
    steps = repair(small, question(small, "onion"), variant, built, Step.parse("int8"), built)
    with pytest.raises(ValueError, match="int8 has no layer that could be int8 instead"):
        next(steps)


def test_another_format_can_be_what_layers_go_back_to():
    engine = Engine(Settings())
    loaded, variant, step = (
        engine.loaded(get_entry("t5-tiny")),
        Variant.parse(MSE),
        Step.parse("int8"),
    )
    made = list[Making]()
    built = collected(engine.made(loaded, variant), made)
    better = collected(engine.made(loaded, Variant(step)), made)
    tried = list[Trying]()
    asked = Question(loaded.family, loaded.family.encode("Subtract 5 from 56."), 32, GREEDY)
    result = collected(repair(loaded, asked, variant, built, step, better), tried)
    assert isinstance(result, Repair)
    assert {one.format for one in made} == {MSE}
    assert any(isinstance(one, Trying) for one in tried)
    assert (result.step, result.answer) == ("int8", "51")
    assert next(iter(engine.keeping.made.values())).found is built
    with pytest.raises(ValueError, match="the prompt is empty"):
        loaded.family.encode("")


def collected(steps, told):
    """What they come to; what they tell is added to `told`."""
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            return end.value
