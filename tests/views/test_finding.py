"""What is said of formats that are put together and found."""

from dataclasses import replace

import pytest

from qdemo import Variant
from qdemo.spec.setting import Calibration
from qdemo.ui import status
from qdemo.views.cards import cards
from qdemo.views.families import as_json, family_table
from qdemo.views.finding import composed_html, takes
from tests.engine.test_engine import asked
from tests.views.documents import Page, compared


def notes(calibration, format):
    """Those of the card of an int8 that is called so."""
    report = compared(("int8",))
    reference, trial = report.results
    called = replace(trial, format=format)
    report = replace(
        report, formats=("fp32", format), results=(reference, called), calibration=calibration
    )
    return " ".join(cards(report)[1].notes)


@pytest.mark.parametrize("format", ["int8-gptq", "int8-awq", "int8a8-sq0.5", "fp32~a=int4-gptq"])
def test_a_card_says_to_which_inputs_a_format_was_fitted(format):
    told = notes(Calibration(192, 62, own=True), format)
    assert "Fitted to 192 calibration inputs out of the model's training stream" in told
    assert "output error is of 62 others" in told
    assert "inputs of ours" in notes(Calibration(96, 32, own=False), format)


@pytest.mark.parametrize("format", ["int8", "int8-mse", "int8-rot", "q4_k"])
def test_what_looks_at_no_inputs_says_nothing_of_them(format):
    assert "Fitted" not in notes(Calibration(192, 62, own=True), format)


def test_what_takes_a_moment_says_nothing_of_it():
    assert takes(Variant.parse("int8"), 0.2) == ""
    assert "about a second" in takes(Variant.parse("int4-mse"), 0.2)
    assert "about 80 s" in takes(Variant.parse("q4_k-awq"), 80)


def test_more_than_a_host_allows_is_told():
    variant = Variant.parse("q4_k-awq")
    assert "This host allows 60 s." in Page(composed_html(variant, 80, 60)).text
    assert "This host" not in Page(composed_html(variant, 80, 90)).text


def test_seconds_are_told_before_a_comparison_begins():
    told = Page(status.begun(asked(["int8", "int2-mse-gptq", "int4-awq"]))).text
    assert "To find int2-mse-gptq and int4-awq takes about" in told
    assert "To find" not in status.begun(asked(["int8", "bf16"]))


def test_a_family_is_a_table_and_all_are_json():
    for family in as_json()["families"]:
        assert family["idea"]
        assert all(one["bits_per_weight"] > 0 for one in family["formats"])
    from qdemo.spec.families import FAMILIES

    for family in FAMILIES:
        assert len(family_table(family).rows) == len(family.forms)
