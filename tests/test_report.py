import json
from datetime import UTC, datetime, timedelta

import pytest
import torch

from qdemo import Variant
from qdemo.comparison import run
from qdemo.document import SCHEMA, WHOLE_MODEL
from qdemo.report import as_json, summary
from tests.test_comparison import Parrot, finished

VARIANTS = [Variant.parse(text) for text in ("bf16", "int8", "int8-g9")]


@pytest.fixture(scope="module")
def comparison():
    return finished(run(Parrot(), VARIANTS, max_tokens=5))


def strict(document):
    """The document as another program reads it."""
    return json.loads(json.dumps(document, allow_nan=False))


def test_a_row_a_variant_with_its_figures(comparison):
    rows = summary(comparison)
    assert [row["format"] for row in rows] == ["fp32", "bf16", "int8"]
    for row, result in zip(rows, comparison.results, strict=True):
        assert row["output"] == result.text
        assert row["bytes"] == result.footprint.total
        assert row["times_smaller"] == comparison.results[0].footprint.total / row["bytes"]
        assert row["first_token_ms"] == 1000 * result.first_token_s
    assert rows[0]["logit_mean_abs"] is None
    assert rows[2]["logit_mean_abs"] == comparison.results[2].logits.mean_abs
    assert rows[2]["logit_kl_mean"] == comparison.results[2].logits.kl_mean
    assert rows[1]["weight_sqnr_db"] == pytest.approx(55.7, abs=1)  # bf16 keeps 8 bits
    assert rows[2]["weight_rms_steps"] == pytest.approx(0.289, abs=0.02)
    assert {tuple(row) for row in rows} == {tuple(rows[0])}  # the same columns everywhere


def test_the_json_is_json_and_whole(comparison):
    read = strict(as_json(comparison))
    assert (read["schema"], read["model"], read["input"]) == (SCHEMA, "parrot", "3")
    assert read["formats"] == ["fp32", "bf16", "int8", "int8-g9"]
    assert read["failures"][0]["format"] == "int8-g9"
    assert "does not divide" in read["failures"][0]["reason"]
    int8 = read["results"][2]
    assert int8["kl_by_position"] == comparison.results[2].logits.kl.tolist()
    assert sum(int8["footprint"]["by_kind"].values()) == int8["bytes"]
    assert int8["weights"]["0.weight"]["sqnr_db"] is None  # the embedding has no error
    assert len(int8["top"]) == len(read["results"][0]["tokens"])
    assert read["machine"]["torch"].startswith("2.")


def test_the_json_says_how_to_do_it_again(comparison):
    read = as_json(comparison)
    assert (read["max_tokens"], read["decoding"], read["seed"]) == (5, "greedy", None)
    assert set(read["machine"]) == {"processor", "threads", "python", "torch", "transformers"}
    assert all(read["machine"].values())
    written = datetime.fromisoformat(read["computed"])
    assert written.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=5)


def test_every_parameter_has_its_shape_and_all_its_weights(comparison):
    shapes = {"0.weight": [12, 24], "1.weight": [12, 24], "1.bias": [12]}
    for result in as_json(comparison)["results"][1:]:
        whole = result["weights"][WHOLE_MODEL]
        named = {name: e for name, e in result["weights"].items() if name != WHOLE_MODEL}
        assert {name: error["shape"] for name, error in named.items()} == shapes
        for key in ("numel", "exact", "zeroed", "saturated"):
            assert whole[key] == sum(error[key] for error in named.values())
        for error in result["weights"].values():
            for histogram in (error["histogram"], error["log_histogram"]):
                assert sum(histogram["counts"]) == error["numel"] - error["exact"]


def test_histograms_are_cut_to_what_they_hold(comparison):
    for result, held in zip(
        as_json(comparison)["results"][1:], comparison.results[1:], strict=True
    ):
        for name, error in held.weights.items():
            told = result["weights"][name]["histogram"]
            edges = error.histogram.edges.tolist()
            filled = error.histogram.counts.nonzero().flatten().tolist() or [0]
            assert told["start"] == edges[filled[0]]
            assert told["bin_width"] == edges[1] - edges[0]
            assert all(told["counts"][i] for i in (0, -1) if told["counts"])


def test_a_comparison_without_results():
    runner = Parrot()
    runner.model[1].weight.data.fill_(float("nan"))
    read = as_json(finished(run(runner, VARIANTS)))
    assert read["results"] == []
    assert len(read["failures"]) == 1


def test_an_overflow_is_null_not_infinity():
    runner = Parrot()
    runner.model[0].weight.data[11, 5] = 1e6  # beyond fp16, and no token looks it up
    read = strict(as_json(finished(run(runner, [Variant.parse("fp16")], max_tokens=5))))
    fp16 = read["results"][1]
    assert fp16["weight_overflowed"] == 1
    nulls = ("weight_rms", "weight_max_abs", "weight_sqnr_db", "weight_relative")
    assert [fp16[key] for key in nulls] == [None] * 4
    assert fp16["weights"]["1.weight"]["sqnr_db"] > 0


class Breaking(Parrot):
    """A variant whose logits are not finite in the end, where fp32's answer leads."""

    def score(self, model, tokens):
        logits = super().score(model, tokens).clone()
        if model is not self.model:
            logits[-1] = float("nan")
        return logits


def test_logits_that_are_not_finite_are_null_too():
    read = strict(as_json(finished(run(Breaking(), [Variant.parse("bf16")], max_tokens=5))))
    bf16 = read["results"][1]
    assert bf16["logit_invalid_positions"] == 1
    assert (bf16["logit_mean_abs"], bf16["logit_kl_mean"]) == (None, None)
    assert bf16["kl_by_position"][-1] is bf16["max_abs_by_position"][-1] is None
    assert all(kl is not None for kl in bf16["kl_by_position"][:-1])


def test_the_likeliest_tokens_are_shares_of_all(comparison):
    read = as_json(comparison)
    tokens = read["results"][0]["tokens"]
    for result, held in zip(read["results"], comparison.results, strict=True):
        logits = Parrot().score(held.variant.build(Parrot().model), tokens).float()
        for row, top in zip(logits.softmax(1), result["top"], strict=True):
            assert [share for _, share in top] == row.sort(descending=True).values[:5].tolist()


def test_nothing_of_torch_is_left_in_the_document(comparison):
    def plain(value):
        if isinstance(value, dict):
            return all(type(key) is str and plain(inner) for key, inner in value.items())
        if isinstance(value, list):
            return all(map(plain, value))
        return value is None or type(value) in (bool, int, float, str)

    assert torch.is_tensor(comparison.results[1].logits.kl)
    assert plain(as_json(comparison))
