"""An evaluation as JSON: both ways, with what its items come to, and what is refused."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdemo.spec.evidence import Data, Evidence, Item, Judged, Outcome
from qdemo.spec.evidence_figures import FIGURES, verdict_rules
from qdemo.spec.evidence_file import SCHEMA, as_json, as_text, from_text
from qdemo.spec.judging import summaries
from qdemo.spec.setting import Machine

texts = st.text(st.characters(codec="utf-8"), max_size=8)
infinite = st.floats(0, 30) | st.just(math.inf)
FORMATS = ("fp32", "int8", "int4-g64", "nf4-g64")


@st.composite
def evaluations(draw):
    kind = draw(st.sampled_from(["items", "text"]))
    is_text = kind == "text"
    items = draw(st.lists(st.builds(Item, texts, st.none() | texts, texts), max_size=6))
    outcomes = st.builds(
        lambda output, kl, same, more, loss: Outcome(output, kl, same, same + more, loss),
        st.none() if is_text else st.none() | texts | st.sampled_from("ab"),
        infinite, st.integers(0, 9), st.integers(0, 3), infinite if is_text else st.none(),
    )  # fmt: skip
    judged, most = [], len(items)
    for name in FORMATS[: draw(st.integers(0, 4))]:
        own = draw(st.lists(outcomes, max_size=most))
        most = len(own) if name == "fp32" else most  # the others come after fp32
        own, seconds = tuple(own), draw(st.floats(0, 99))
        bits, error = draw(st.none() | st.floats(1, 32)), draw(st.none() | st.floats(0, 2))
        judged.append(Judged(name, draw(st.integers(0, 10**12)), bits, error, own, seconds, "x"))
    data = Data(draw(texts), kind, len(items), "0f")
    return Evidence(
        "t5-tiny", data, tuple(items), draw(st.integers(0, 2**31)), 16, 64,
        Machine("a CPU", 2), tuple(judged), "2026-01-02 03:04",
    )  # fmt: skip


@given(evaluations())
@settings(max_examples=150)
def test_what_is_written_is_read_back(evidence):
    again = from_text(as_text(evidence))
    assert again == evidence
    assert summaries(again) == summaries(evidence)
    assert from_text(as_text(evidence).encode()) == evidence


def example():
    items = tuple(Item(str(i), "a", "xy"[i % 2]) for i in range(200))
    right = tuple(Outcome("a", 0.0, 2, 2) for _ in items)
    wrong = tuple(Outcome("ab"[i < 20], 0.1 + i / 1000, 2 - (i < 30), 2) for i in range(200))
    judged = Judged("fp32", 400, None, None, right), Judged("int4", 100, 4.5, 0.2, wrong, 2.0)
    data = Data("heldout", "items", 990, "0f")
    return Evidence("t5-tiny", data, items, 3, 16, 64, Machine(), judged, "2026")


def test_a_format_has_its_figures_in_fields():
    fp32, int4 = as_json(example())["results"]
    assert int4["format"] == "int4"
    assert (int4["n"], int4["correct"], int4["accuracy"], int4["verdict"]) == (
        200, 180, 0.9, "broken",
    )  # fmt: skip
    assert int4["accuracy_low"] < 0.9 < int4["accuracy_high"]
    assert (int4["right_to_wrong"], int4["wrong_to_right"]) == (20, 0)
    assert int4["mcnemar_p"] == int4["mcnemar_p_holm"] == 2.0**-19
    assert int4["kl_mean"] == pytest.approx(0.1 + 199 / 2000)
    assert int4["kl_low"] < int4["kl_mean"] < int4["kl_high"]
    assert int4["kl_p99"] == pytest.approx(0.1 + 197 / 1000)
    assert int4["kl_p99.9"] is None
    assert int4["same_top"] == pytest.approx(1 - 15 / 200)
    assert (int4["changed"], int4["changed_share"]) == (20, 0.1)
    assert (int4["bytes"], int4["bits_per_weight"], int4["output_error"]) == (100, 4.5, 0.2)
    assert int4["by_task"] == {"x": [90, 100], "y": [90, 100]}
    assert (fp32["accuracy"], fp32["verdict"], fp32["mcnemar_p"]) == (1.0, "", None)


NO_FIGURES = {"format", "correct", "verdict", "seconds", "ended", "by_task", "outcomes", "loss_low",
              "loss_high", "kl_se", "kl_median", "kl_p90", "kl_p95", "kl_p99.9", "kl_max",
              "perplexity_se"}  # fmt: skip


def test_every_figure_stands_in_the_file_and_is_said():
    found = set()
    for evidence in (example(), of_a_text()):
        found |= {key for result in as_json(evidence)["results"] for key in result}
    keys = [figure.key for figure in FIGURES]
    assert len(set(keys)) == len(keys)
    assert set(keys) == found - NO_FIGURES
    for figure in FIGURES:
        assert figure.definition.endswith(".")
        assert {figure.low, figure.high} - {""} <= set(keys)
    assert not any("{" in rule for rule in verdict_rules())


def test_answers_that_are_fp32s_stand_once():
    fp32, int4 = as_json(example())["results"]
    assert len(fp32["outcomes"]["outputs"]) == 200
    assert int4["outcomes"]["outputs"] == {str(i): "b" for i in range(20)}


def of_a_text():
    losses = [2.0, 2.5, 3.0]
    fp32 = tuple(Outcome(None, 0.0, 9, 9, loss) for loss in losses)
    worse = tuple(Outcome(None, 0.1, 9, 9, loss + 0.5) for loss in losses)
    judged = Judged("fp32", 4, outcomes=fp32), Judged("int8", 1, outcomes=worse)
    items = tuple(map(Item, "abc"))
    data = Data("a.txt", "text", 3, "0")
    return Evidence("m", data, items, 0, 1, 1, Machine(), judged)


def test_a_text_has_its_perplexity():
    results = as_json(of_a_text())["results"]
    assert results[0]["perplexity"] == pytest.approx(math.exp(2.5))
    assert results[1]["perplexity_ratio"] == pytest.approx(math.exp(0.5))
    assert (results[1]["verdict"], results[1]["accuracy"]) == ("broken", None)


def changed(path, value):
    """The example as text, with another value at `path`."""
    document = as_json(example())
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", "nonsense", b"\xff\xfe", "[" * 100_000, '{"results": NaN}',
             '{"results": 1e999}', '{"schema": 1}', '{"results": [], "seed": ' + "9" * 30 + "}"]
)  # fmt: skip
def test_what_is_no_evaluation_is_refused(text):
    with pytest.raises(ValueError, match="expected an evaluation as JSON; this is none"):
        from_text(text)


BAD = (
    (("schema",), SCHEMA + 1, "an evaluation of schema 2; this version reads 1"),
    (("schema",), None, "an evaluation of schema None; this version reads 1"),
    (("data",), None, "not whole: there is no 'data'"),
    (("seed",), None, "not whole: seed: Field required"),
    (("seed",), "3", "not whole: seed: Input should be a valid integer"),
    (("data", "kind"), "pictures", "not whole: data.kind: Input should be 'items' or 'text'"),
    (("items",), "abc", "not whole: items"),
    (("items", 3, "input"), 7, "not whole: items.3.input: Input should be a valid string"),
    (("results",), 3, "not whole: "),
    (("results", 0, "format"), "int8", "expected results of fp32 and then of each format once"),
    (("results", 1, "format"), "fp32", "expected results of fp32 and then of each format once"),
    (("results", 1, "format"), "int99", "not whole: "),
    (("results", 1, "bytes"), "many", "not whole: judged.1.bytes: Input should be a valid integer"),
    (("results", 1, "outcomes"), None, "not whole: there is no 'outcomes'"),
    (("results", 0, "outcomes", "kl"), [0.1], "not whole: zip"),
    (("results", 1, "outcomes", "kl"), ["x"] * 200, "not whole: judged.1.outcomes.0.kl"),
    (("results", 1, "outcomes", "same"), {"3": 99}, "int4 has outcomes that these items can't"),
    (("results", 0, "outcomes", "outputs"), {}, "not whole: "),
    (("items",), [{"input": "a"}], "fp32 has outcomes that these items can't have"),
)


@pytest.mark.parametrize(("path", "value", "told"), BAD, ids=map(str, range(len(BAD))))
def test_what_is_not_whole_is_told(path, value, told):
    with pytest.raises(ValueError, match="evaluation") as caught:
        from_text(changed(path, value))
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["schema", "results", "data", "items", "kind"]), inner, max_size=4),
    max_leaves=6))  # fmt: skip
def test_anything_is_refused_in_a_sentence(document):
    with pytest.raises(ValueError, match="evaluation"):
        from_text(json.dumps(document))


others = (
    st.integers()
    | st.text(max_size=3)
    | st.lists(st.integers(0, 3), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.none())
)


@given(st.sampled_from([path for path, *_ in BAD]), others)
def test_another_value_is_read_or_refused(path, value):
    try:
        found = from_text(changed(path, value))
    except ValueError as error:
        found = error
    assert isinstance(found, Evidence) or "evaluation" in str(found)
