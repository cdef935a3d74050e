import re
from dataclasses import replace

import pytest

from qdemo.views import readings
from tests.views.documents import compared, figured, overflowing, without_reference


@pytest.fixture(scope="module")
def report():
    return compared(("bf16", "int8", "int2"))


def test_the_reading_of_logits_names_the_worst_place(report):
    kl, format, position = max(
        (kl, other.format, i)
        for other in report.variants
        for i, kl in enumerate(other.by_position["kl_by_position"])
    )
    piece = report.results[0].pieces[position]
    sentence = readings.logits(report)
    assert sentence.startswith(f"{format} differs most at token {position + 1}, {piece}: ")
    nats = float(re.search(r": (\S+) nats", sentence)[1])
    assert nats == pytest.approx(kl, rel=5e-3)
    changed = [other.format for other in report.variants if other.figures["logit_same_top"] < 1]
    assert sentence.endswith(f"changes somewhere in {', '.join(changed)}.")


def test_logits_that_are_not_finite_are_not_passed_over(report):
    fp32, other, *_ = report.results
    first, *rest = other.by_position["kl_by_position"]
    broken = figured(other, logit_invalid_positions=len(rest))
    broken = replace(broken, by_position={"kl_by_position": (first, *[None for _ in rest])})
    text = readings.logits(replace(report, results=(fp32, broken)))
    assert "finite" in text
    assert "differs most at token 1," not in text


def test_the_reading_of_weights_names_best_and_worst(report):
    kept = {o.format: o.weights["1.weight"].figures["sqnr_db"] for o in report.variants}
    best, worst = max(kept, key=kept.get), min(kept, key=kept.get)
    sentence = readings.weights(report, "1.weight")
    assert f"{best} keeps 1.weight best, with {kept[best]:.1f} dB" in sentence
    assert f"{worst} worst, with {kept[worst]:.2f} dB" in sentence
    assert "where even rounding would cost 0.289" in sentence


def test_one_format_alone_is_not_best_and_worst():
    sentence = readings.weights(compared(("bf16",)), "1.weight")
    assert "bf16 keeps" in sentence
    assert "worst" not in sentence
    assert "steps" not in sentence  # bf16 has none


def test_what_no_format_changes_is_told_so(report):
    exact = compared(("int8", "int4"))
    assert readings.weights(exact, "0.weight") == "No format changes 0.weight."


def test_the_hardest_matrix_is_the_one_of_the_least_decibels(report):
    decibels, name, format = min(
        (error.figures["sqnr_db"], name, other.format)
        for other in report.variants
        for name, error in other.weights.items()
        if len(error.shape or ()) == 2 and error.figures["sqnr_db"] is not None
    )
    sentence = readings.hardest(report)
    assert f"suffers most is {name}: {decibels:.2f} dB in {format}." in sentence


def test_an_overflow_is_a_change():
    report = overflowing(("fp16",))
    assert report.results[1].figures["weight_overflowed"] == 1
    assert "No format changes" not in readings.weights(report, "0.weight")


def test_an_overflowed_matrix_is_not_kept_exactly():
    report = overflowing(("fp16",))
    fp32, fp16 = report.results
    weights = {name: one for name, one in fp16.weights.items() if name != "1.weight"}
    report = replace(report, results=(fp32, replace(fp16, weights=weights)))
    assert "kept exactly" not in readings.hardest(report)


def test_the_reading_of_memory_splits_the_bytes():
    sentence = readings.memory(compared(("int8",)))
    float_bytes = 4 * (12 * 24 + 12)
    assert "are scales: that is why it is" in sentence
    assert f"{float_bytes / 1e3:.2f} kB are still float weights" in sentence
    assert readings.memory(compared(("fp16",))).startswith("Every weight is in its format")


def test_readings_without_anything_to_read():
    report = without_reference()
    assert readings.memory(report).startswith("Every weight")
    assert readings.hardest(report) == "Every matrix is kept exactly."
