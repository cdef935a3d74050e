import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from qdemo.measure import figures
from qdemo.measure.models import model_weight_errors
from qdemo.models.decoding import score
from qdemo.spec.decoding import Decoding
from qdemo.spec.document import SCHEMA, as_json, as_text
from qdemo.spec.report import WHOLE_MODEL
from tests.parrot import Parrot, compared, document, scored

FORMATS = ("bf16", "int8", "int8-g9")


@pytest.fixture(scope="module")
def report():
    return compared(FORMATS)


def strict(report):
    """The document as another program reads it."""
    return json.loads(json.dumps(as_json(report), allow_nan=False))


def test_a_row_a_variant_with_its_figures(report):
    rows = as_json(report)["results"]
    assert [row["format"] for row in rows] == ["fp32", "bf16", "int8"]
    for row, trial in zip(rows, report.results, strict=True):
        assert row["output"] == trial.output
        assert row["bytes"] == trial.footprint.total
        assert row["times_smaller"] == report.results[0].footprint.total / row["bytes"]
        assert row["first_token_ms"] == trial.figures["first_token_ms"]
    assert rows[0]["logit_mean_abs"] is None
    assert rows[2]["logit_mean_abs"] == report.results[2].figures["logit_mean_abs"]
    assert rows[2]["logit_kl_mean"] == report.results[2].figures["logit_kl_mean"]
    assert rows[1]["weight_sqnr_db"] == pytest.approx(55.7, abs=1)  # bf16 keeps 8 bits
    assert rows[2]["weight_rms_steps"] == pytest.approx(0.289, abs=0.02)
    assert {tuple(row) for row in rows} == {tuple(rows[0])}  # the same columns everywhere


def test_the_json_is_json_and_whole(report):
    read = strict(report)
    assert (read["schema"], read["model"], read["input"]) == (SCHEMA, "parrot", "3")
    assert read["formats"] == ["fp32", "bf16", "int8", "int8-g9"]
    assert read["failures"][0]["format"] == "int8-g9"
    assert "does not divide" in read["failures"][0]["reason"]
    int8 = read["results"][2]
    assert int8["kl_by_position"] == list(report.results[2].by_position["kl_by_position"])
    assert sum(int8["footprint"]["by_kind"].values()) == int8["bytes"]
    assert int8["weights"]["0.weight"]["sqnr_db"] is None  # the embedding has no error
    assert len(int8["top"]) == len(read["results"][0]["tokens"])
    assert read["machine"]["torch"].startswith("2.")


def test_fp32_has_null_for_what_the_others_have_beside_it(report):
    fp32 = strict(report)["results"][0]
    for key in ("kl_by_position", "max_abs_by_position", "weights", "span", "output_error"):
        assert fp32[key] is None


def test_the_json_says_what_its_figures_are(report):
    read = strict(report)
    told = {figure["key"]: figure for figure in read["figures"]}
    assert list(told) == [figure.key for figure in figures(is_scored=False)]
    assert all(figure["label"] and figure["definition"] for figure in read["figures"])
    assert told["logit_kl_mean"]["unit"] == "nats"
    assert all(key in row for key in told for row in read["results"])


def test_the_json_says_what_a_format_leaves_as_it_is(report):
    int8 = strict(report)["results"][2]
    assert (int8["coverage"]["parameters"], int8["coverage"]["quantized"]) == (588, 288)
    assert [left["kind"] for left in int8["coverage"]["left"]] == ["Embedding", "bias"]


def test_the_json_says_how_to_do_it_again(report):
    read = as_json(report)
    assert (read["max_tokens"], read["decoding"], read["seed"]) == (5, "greedy", None)
    assert set(read["machine"]) == {
        "processor", "threads", "python", "torch", "transformers", "device",
    }  # fmt: skip
    assert all(read["machine"].values())
    written = datetime.fromisoformat(read["computed"])
    assert written.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=5)


def test_the_json_of_a_text_has_its_loss_and_no_time():
    report = scored(FORMATS)
    read = strict(report)
    assert (read["decoding"], read["read_as"], read["seed"]) == ("given", "score", None)
    assert [row["ended"] for row in read["results"]] == ["given"] * 3
    for row, trial in zip(read["results"], report.results, strict=True):
        assert row["loss_by_position"] == list(trial.by_position["loss_by_position"])
        assert row["perplexity"] == trial.figures["perplexity"]
        assert not {"token_ms", "first_divergent_token"} & set(row)
    assert read["results"][0]["perplexity_ratio"] is None


def test_the_json_says_how_tokens_were_drawn_and_why_an_answer_ends():
    read = strict(compared(["bf16"], decoding=Decoding(temperature=0.7, seed=3)))
    told = [read[key] for key in ("decoding", "read_as", "temperature", "seed")]
    assert told == ["sampling", "chat", 0.7, 3]
    assert {row["ended"] for row in read["results"]} <= {"end", "length", "repetition"}
    assert not any(key.startswith(("loss", "perplexity")) for key in read["results"][0])


def test_every_parameter_has_its_shape_and_all_its_weights(report):
    shapes = {"0.weight": [12, 24], "1.weight": [12, 24], "1.bias": [12]}
    for result in as_json(report)["results"][1:]:
        whole = result["weights"][WHOLE_MODEL]
        named = {name: e for name, e in result["weights"].items() if name != WHOLE_MODEL}
        assert {name: error["shape"] for name, error in named.items()} == shapes
        for key in ("numel", "exact", "zeroed", "saturated"):
            assert whole[key] == sum(error[key] for error in named.values())
        for error in result["weights"].values():
            for histogram in (error["histogram"], error["log_histogram"]):
                assert sum(histogram["counts"]) == error["numel"] - error["exact"]


def test_histograms_are_cut_to_what_they_hold(report):
    model = Parrot().model
    for result, trial in zip(as_json(report)["results"][1:], report.variants, strict=True):
        for name, error in model_weight_errors(model, trial.variant.build(model)):
            told = result["weights"][name]["histogram"]
            edges = error.histogram.edges.tolist()
            filled = error.histogram.counts.nonzero().flatten().tolist() or [0]
            assert told["start"] == edges[filled[0]]
            assert told["bin_width"] == edges[1] - edges[0]
            assert all(told["counts"][i] for i in (0, -1) if told["counts"])


def test_a_comparison_without_results():
    parrot = Parrot()
    parrot.model[1].weight.data.fill_(float("nan"))
    read = document(FORMATS, parrot)
    assert read["results"] == []
    assert len(read["failures"]) == 1


def test_an_overflow_is_null_not_infinity():
    parrot = Parrot()
    parrot.model[0].weight.data[11, 5] = 1e6  # beyond fp16, and no token looks it up
    read = strict(compared(["fp16"], parrot))
    fp16 = read["results"][1]
    assert fp16["weight_overflowed"] == 1
    nulls = ("weight_rms", "weight_max_abs", "weight_sqnr_db", "weight_relative")
    assert [fp16[key] for key in nulls] == [None] * 4
    assert fp16["weights"]["1.weight"]["sqnr_db"] > 0


class Breaking(Parrot):
    """A variant whose logits are not finite in the end, where fp32's answer leads."""

    def score(self, model, tokens):
        logits = super().score(model, tokens).clone()
        if model is not self.model and len(tokens) == 5:
            logits[-1] = float("nan")
        return logits


def test_logits_that_are_not_finite_are_null_too():
    read = strict(compared(["bf16"], Breaking()))
    bf16 = read["results"][1]
    assert bf16["logit_invalid_positions"] == 1
    assert (bf16["logit_mean_abs"], bf16["logit_kl_mean"]) == (None, None)
    assert bf16["kl_by_position"][-1] is bf16["max_abs_by_position"][-1] is None
    assert all(kl is not None for kl in bf16["kl_by_position"][:-1])
    assert {share for _, share in bf16["top"][-1]} == {None}


def test_the_likeliest_tokens_are_shares_of_all(report):
    parrot = Parrot()
    tokens = report.results[0].tokens
    for result, trial in zip(as_json(report)["results"], report.results, strict=True):
        model = trial.variant.build(parrot.model)
        logits = score(parrot, model, parrot.encode(None), tokens).float()
        for row, top in zip(logits.softmax(1), result["top"], strict=True):
            assert [share for _, share in top] == row.sort(descending=True).values[:5].tolist()


def test_nothing_of_torch_is_left_in_the_document(report):
    def plain(value):
        if isinstance(value, dict):
            return all(type(key) is str and plain(inner) for key, inner in value.items())
        if isinstance(value, list):
            return all(map(plain, value))
        return value is None or type(value) in (bool, int, float, str)

    assert plain(as_json(report))


def test_the_text_is_the_document_whatever_its_letters_are(report):
    hostile = replace(report, input="Dienstag – 火 </script> \x00\u2028")
    assert json.loads(as_text(hostile)) == as_json(hostile)
    assert "火" in as_text(hostile)
