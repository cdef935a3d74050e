import pytest

from qdemo.document import WHOLE_MODEL
from qdemo.measure.proportion import wilson
from qdemo.views import tables
from qdemo.views.tables import NONE, SUMMARY
from qdemo.views.wording import megabytes, percent
from tests.views.documents import compared, overflowing, without_reference

PLAIN = {
    "first token, ms": "first_token_ms",
    "a token, ms": "token_ms",
    "mean |Δlogit|": "logit_mean_abs",
    "max |Δlogit|": "logit_max_abs",
    "KL, nats": "logit_kl_mean",
    "SQNR, dB": "weight_sqnr_db",
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
}
COUNTS = {"became 0": "zeroed", "clipped": "saturated", "overflowed": "overflowed"}


@pytest.fixture(scope="module")
def document():
    return compared()


def rows(table):
    return [dict(zip(table.head, row, strict=True)) for row in table.rows]


def same(cell, value):
    """Whether a cell shows that number, to the digits that it has."""
    if value is None:
        return cell == NONE
    return float(cell.replace(",", "")) == pytest.approx(value, rel=5e-3)


def test_the_summary_is_every_format_with_its_figures(document):
    table = tables.summary(document)
    assert table.caption == "parrot: 3"
    assert table.head == tuple(SUMMARY)
    assert [row[0] for row in table.rows] == ["fp32", "bf16", "int8", "int2+emb", "int4-g12@fp16"]
    for row, result in zip(rows(table), document["results"], strict=True):
        assert all(same(row[column], result[key]) for column, key in PLAIN.items())
        assert row["memory"] == megabytes(result["bytes"])
        assert row["smaller"] == f"{result['times_smaller']:.2f}×"
        assert row["same top token"].partition(",")[0] == percent(result["logit_same_top"])


def test_outputs_part_at_a_token_counted_from_one(document):
    shown = [row["diverges at token"] for row in rows(tables.summary(document))]
    firsts = [result["first_divergent_token"] for result in document["results"]]
    assert shown == [NONE if first is None else str(first) for first in firsts]
    assert "1" in shown  # int2 of so small a model says something else at once
    assert NONE in shown


def test_memory_adds_up_to_what_is_held(document):
    table = tables.memory(document)
    kinds = table.head[1:-2]
    assert kinds == ("quantized weights", "scales and zero points", "float weights")  # no buffers
    for row, result in zip(rows(table), document["results"], strict=True):
        held = {kind: result["footprint"]["by_kind"][kind] for kind in kinds}
        assert sum(held.values()) == result["bytes"]
        assert all(row[kind] == (megabytes(size) if size else NONE) for kind, size in held.items())
        assert row["together"] == megabytes(result["bytes"])


def test_logits_are_those_of_the_formats_beside_fp32(document):
    table = rows(tables.logits(document))
    assert [row["format"] for row in table] == [r["format"] for r in document["results"][1:]]
    for row, result in zip(table, document["results"][1:], strict=True):
        assert all(same(row[column], result[key]) for column, key in LOGITS.items())
        share, interval = row["same top token"].split(", ")
        low, high = wilson(round(5 * result["logit_same_top"]), 5)
        assert share == percent(result["logit_same_top"])
        assert f"{100 * (low or high):.0f}" in interval


@pytest.mark.parametrize("parameter", [WHOLE_MODEL, "1.weight", "1.bias"])
def test_weights_are_those_of_the_parameter(document, parameter):
    table = tables.weights(document, parameter)
    assert parameter in table.caption
    for row, result in zip(rows(table), document["results"][1:], strict=True):
        error = result["weights"][parameter]
        exact = error["rms"] == 0
        assert (row["SQNR, dB"] == "exact") == exact
        for column, key in WEIGHTS.items():
            assert same(row[column], error[key]) or (exact and column == "SQNR, dB")
        assert all(row[column] == f"{error[key]:,}" for column, key in COUNTS.items())


def test_a_parameter_that_some_formats_lack_has_fewer_rows(document):
    document = {**document, "results": [dict(result) for result in document["results"]]}
    document["results"][1]["weights"] = {}
    assert [row[0] for row in tables.weights(document, "1.weight").rows] == [
        result["format"] for result in document["results"][2:]
    ]


def test_an_overflow_is_not_exact():
    document = overflowing()
    fp16, int8 = rows(tables.weights(document, "0.weight"))
    assert document["results"][1]["weight_rms"] is None
    assert (fp16["SQNR, dB"], fp16["RMS error"], fp16["relative"]) == (NONE, NONE, NONE)
    assert (fp16["overflowed"], int8["SQNR, dB"]) == ("1", "exact")
    assert rows(tables.summary(document))[1]["SQNR, dB"] == NONE


def test_without_results_the_tables_are_empty():
    document = without_reference()
    made = (tables.summary(document), tables.memory(document), tables.logits(document))
    assert [table.rows for table in (*made, tables.weights(document, WHOLE_MODEL))] == [()] * 4


def test_fp32_alone_has_nothing_beside_it():
    document = compared(())
    assert [row[0] for row in tables.summary(document).rows] == ["fp32"]
    assert tables.logits(document).rows == ()
