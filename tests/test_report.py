import json

import pytest

from qdemo import Variant
from qdemo.comparison import run
from qdemo.report import as_json, summary
from tests.test_comparison import Parrot, finished

VARIANTS = [Variant.parse(text) for text in ("bf16", "int8", "int8-g9")]


@pytest.fixture(scope="module")
def comparison():
    return finished(run(Parrot(), VARIANTS, max_tokens=5))


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
    read = json.loads(json.dumps(as_json(comparison), allow_nan=False))
    assert (read["schema"], read["model"], read["input"]) == (1, "parrot", "3")
    assert read["failures"][0]["format"] == "int8-g9"
    assert "does not divide" in read["failures"][0]["reason"]
    int8 = read["results"][2]
    assert int8["kl_by_position"] == comparison.results[2].logits.kl.tolist()
    assert sum(int8["footprint"]["by_kind"].values()) == int8["bytes"]
    assert int8["weights"]["0.weight"]["sqnr_db"] is None  # the embedding has no error
    assert len(int8["top"]) == len(read["results"][0]["tokens"])
    assert read["machine"]["torch"].startswith("2.")


def test_a_comparison_without_results():
    runner = Parrot()
    runner.model[1].weight.data.fill_(float("nan"))
    read = as_json(finished(run(runner, VARIANTS)))
    assert read["results"] == []
    assert len(read["failures"]) == 1
