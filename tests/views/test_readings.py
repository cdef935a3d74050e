import re

import pytest

from qdemo.document import variants
from qdemo.views import readings
from tests.views.documents import compared, overflowing, without_reference


@pytest.fixture(scope="module")
def document():
    return compared(("bf16", "int8", "int2"))


def test_the_reading_of_logits_names_the_worst_place(document):
    kl, format, position = max(
        (kl, other["format"], i)
        for other in variants(document)
        for i, kl in enumerate(other["kl_by_position"])
    )
    piece = document["results"][0]["pieces"][position]
    sentence = readings.logits(document)
    assert sentence.startswith(f"{format} differs most at token {position + 1}, {piece}: ")
    nats = float(re.search(r": (\S+) nats", sentence)[1])
    assert nats == pytest.approx(kl, rel=5e-3)
    changed = [other["format"] for other in variants(document) if other["logit_same_top"] < 1]
    assert sentence.endswith(f"changes somewhere in {', '.join(changed)}.")


def test_logits_that_are_not_finite_are_not_passed_over(document):
    first, *rest = document["results"][1]["kl_by_position"]
    broken = {
        **document["results"][1],
        "kl_by_position": [first, *[None for _ in rest]],
        "logit_invalid_positions": len(rest),
    }
    text = readings.logits({**document, "results": [document["results"][0], broken]})
    assert "finite" in text
    assert "differs most at token 1," not in text


def test_the_reading_of_weights_names_best_and_worst(document):
    kept = {o["format"]: o["weights"]["1.weight"]["sqnr_db"] for o in variants(document)}
    best, worst = max(kept, key=kept.get), min(kept, key=kept.get)
    sentence = readings.weights(document, "1.weight")
    assert f"{best} keeps 1.weight best, with {kept[best]:.1f} dB" in sentence
    assert f"{worst} worst, with {kept[worst]:.2f} dB" in sentence
    assert "where even rounding would cost 0.289" in sentence


def test_one_format_alone_is_not_best_and_worst():
    sentence = readings.weights(compared(("bf16",)), "1.weight")
    assert "bf16 keeps" in sentence
    assert "worst" not in sentence
    assert "steps" not in sentence  # bf16 has none


def test_what_no_format_changes_is_told_so(document):
    exact = compared(("int8", "int4"))
    assert readings.weights(exact, "0.weight") == "No format changes 0.weight."


def test_the_hardest_matrix_is_the_one_of_the_least_decibels(document):
    decibels, name, format = min(
        (error["sqnr_db"], name, other["format"])
        for other in variants(document)
        for name, error in other["weights"].items()
        if len(error["shape"] or ()) == 2 and error["sqnr_db"] is not None
    )
    sentence = readings.hardest(document)
    assert f"suffers most is {name}: {decibels:.2f} dB in {format}." in sentence


def test_an_overflow_is_a_change():
    document = overflowing(("fp16",))
    assert document["results"][1]["weight_overflowed"] == 1
    assert "No format changes" not in readings.weights(document, "0.weight")


def test_an_overflowed_matrix_is_not_kept_exactly():
    document = overflowing(("fp16",))
    document["results"][1]["weights"].pop("1.weight")
    assert "kept exactly" not in readings.hardest(document)


def test_the_reading_of_memory_splits_the_bytes():
    sentence = readings.memory(compared(("int8",)))
    float_bytes = 4 * (12 * 24 + 12)
    assert "are scales: that is why it is" in sentence
    assert f"{float_bytes / 1e6:.3f} MB are still float weights" in sentence
    assert readings.memory(compared(("fp16",))).startswith("Every weight is in its format")


def test_readings_without_anything_to_read():
    document = without_reference()
    assert readings.memory(document).startswith("Every weight")
    assert readings.hardest(document) == "Every matrix is kept exactly."
