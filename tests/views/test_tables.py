import re
from dataclasses import replace

import pytest

from qdemo.spec.proportion import wilson
from qdemo.spec.report import WHOLE_MODEL
from qdemo.views import tables
from qdemo.views.wording import NONE, megabytes, percent
from tests.views.documents import compared, overflowing, without_reference

SUMMARY = (
    "format", "memory", "smaller", "first token, ms", "a token, ms", "of it Python, ms",
    "mean |Δlogit|", "max |Δlogit|", "KL, nats", "same top token", "diverges at token", "SQNR, dB",
    "output error",
)  # fmt: skip
PLAIN = {
    "first token, ms": "first_token_ms",
    "a token, ms": "token_ms",
    "of it Python, ms": "outside_ms",
    "mean |Δlogit|": "logit_mean_abs",
    "max |Δlogit|": "logit_max_abs",
    "KL, nats": "logit_kl_mean",
    "SQNR, dB": "weight_sqnr_db",
    "output error": "output_error",
}
LOGITS = {
    "mean |Δ|": "logit_mean_abs",
    "max |Δ|": "logit_max_abs",
    "mean, centred": "logit_mean_abs_centred",
    "max, centred": "logit_max_abs_centred",
    "KL mean, nats": "logit_kl_mean",
    "90%": "logit_kl_p90",
    "max": "logit_kl_max",
}
WEIGHTS = {
    "SQNR, dB": "sqnr_db",
    "RMS error": "rms",
    "max error": "max_abs",
    "relative": "relative",
    "RMS, steps": "rms_steps",
    "output error": "output_error",
}
COUNTS = {"became 0": "zeroed", "clipped": "saturated", "overflowed": "overflowed"}


@pytest.fixture(scope="module")
def report():
    return compared()


def rows(table):
    return [dict(zip(table.head, row, strict=True)) for row in table.rows]


def same(cell, value):
    """Whether a cell shows that number, to the digits that it has."""
    if value is None:
        return cell == NONE
    return float(cell.replace(",", "")) == pytest.approx(value, rel=5e-3)


def test_the_summary_is_every_format_with_its_figures(report):
    table = tables.summary(report)
    assert table.caption == "parrot: 3"
    assert table.head == SUMMARY
    assert [row[0] for row in table.rows] == ["fp32", "bf16", "int8", "int2+emb", "int4-g12@fp16"]
    for row, trial in zip(rows(table), report.results, strict=True):
        assert all(same(row[column], trial.figures[key]) for column, key in PLAIN.items())
        assert row["memory"] == megabytes(trial.footprint.total)
        assert row["smaller"] == f"{trial.figures['times_smaller']:.2f}×"
        assert row["same top token"].partition(" ")[0] == percent(trial.figures["logit_same_top"])


def test_outputs_part_at_a_token_counted_from_one(report):
    shown = [row["diverges at token"] for row in rows(tables.summary(report))]
    firsts = [trial.figures["first_divergent_token"] for trial in report.results]
    assert shown == [NONE if first is None else str(first) for first in firsts]
    assert "1" in shown  # int2 of so small a model says something else at once
    assert NONE in shown


def test_memory_adds_up_to_what_is_held(report):
    table = tables.memory(report)
    kinds = table.head[1:-3]
    assert table.head[-3:] == ("together", "smaller", "share quantized")
    assert kinds == ("quantized weights", "scales and zero points", "float weights")  # no buffers
    for row, trial in zip(rows(table), report.results, strict=True):
        held = {kind: trial.footprint.by_kind[kind] for kind in kinds}
        assert sum(held.values()) == trial.footprint.total
        assert all(row[kind] == (megabytes(size) if size else NONE) for kind, size in held.items())
        assert row["together"] == megabytes(trial.footprint.total)
        assert row["smaller"] == f"{trial.figures['times_smaller']:.2f}×"
        assert row["share quantized"] == (
            percent(trial.coverage.share) if trial.variant.scheme else NONE
        )


def test_logits_are_those_of_the_formats_beside_fp32(report):
    table = rows(tables.logits(report))
    assert [row["format"] for row in table] == [trial.format for trial in report.variants]
    for row, trial in zip(table, report.variants, strict=True):
        assert all(same(row[column], trial.figures[key]) for column, key in LOGITS.items())
        share, interval = row["same top token"].split(" ", 1)
        low, high = wilson(round(5 * trial.figures["logit_same_top"]), 5)
        assert share == percent(trial.figures["logit_same_top"])
        told = [float(end) / 100 for end in re.findall(r"[\d.]+", interval)]
        assert all(0 <= low - end < 0.01 or 0 <= end - high < 0.01 for end in told)  # outward


@pytest.mark.parametrize("parameter", [WHOLE_MODEL, "1.weight", "1.bias"])
def test_weights_are_those_of_the_parameter(report, parameter):
    table = tables.weights(report, parameter)
    assert parameter in table.caption
    for row, trial in zip(rows(table), report.variants, strict=True):
        error = trial.weights[parameter].figures
        exact = error["rms"] == 0
        assert (row["SQNR, dB"] == "exact") == exact
        for column, key in WEIGHTS.items():
            assert same(row[column], error.get(key)) or (exact and column == "SQNR, dB")
        assert all(row[column] == f"{error[key]:,}" for column, key in COUNTS.items())


def test_a_parameter_that_some_formats_lack_has_fewer_rows(report):
    fp32, first, *others = report.results
    report = replace(report, results=(fp32, replace(first, weights={}), *others))
    assert [row[0] for row in tables.weights(report, "1.weight").rows] == [
        trial.format for trial in others
    ]


def test_an_overflow_is_not_exact():
    report = overflowing()
    fp16, int8 = rows(tables.weights(report, "0.weight"))
    assert report.results[1].figures["weight_rms"] is None
    assert (fp16["SQNR, dB"], fp16["RMS error"], fp16["relative"]) == (NONE, NONE, NONE)
    assert (fp16["overflowed"], int8["SQNR, dB"]) == ("1", "exact")
    assert rows(tables.summary(report))[1]["SQNR, dB"] == NONE


def test_without_results_the_tables_are_empty():
    report = without_reference()
    made = (tables.summary(report), tables.memory(report), tables.logits(report))
    assert [table.rows for table in (*made, tables.weights(report, WHOLE_MODEL))] == [()] * 4


def test_fp32_alone_has_nothing_beside_it():
    report = compared(())
    assert [row[0] for row in tables.summary(report).rows] == ["fp32"]
    assert tables.logits(report).rows == ()
