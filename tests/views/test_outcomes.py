"""Why an answer ends, how it was chosen, and what a text that is scored comes to, in words."""

import csv
import io
from dataclasses import replace

import pytest

from qdemo.spec.decoding import Decoding
from qdemo.views import files, tables
from qdemo.views.brief import brief
from qdemo.views.outcomes import chosen_told, ended_told, scored_told, text_proves
from qdemo.views.verdict import headline, verdict
from tests.parrot import Parrot, compared, scored
from tests.views.documents import figured

FORMATS = ("bf16", "int8", "int2")


@pytest.fixture(scope="module")
def report():
    return scored(FORMATS)


def with_perplexity(report, *values):
    """The same with those perplexities."""
    results = [figured(t, perplexity=p) for t, p in zip(report.results, values, strict=True)]
    return replace(report, results=tuple(results))


def ended(report, *how):
    """The same whose answers end so."""
    results = [replace(t, ended=one) for t, one in zip(report.results, how, strict=True)]
    return replace(report, results=tuple(results))


def test_a_text_is_told_by_its_perplexity_and_by_no_answer(report):
    few = with_perplexity(report, 23.71, 23.6, 23.94, 1.4e7)
    assert scored_told(few) == (
        "Perplexity is 23.7 in fp32, 23.6 in bf16, 23.9 in int8 and 1.40e+07 in int2."
    )
    assert headline(few) == scored_told(few)
    assert verdict(few) == [scored_told(few), text_proves(few)]
    assert text_proves(few).startswith("One text proves little, as its 6 tokens follow")
    assert "fp32 says" not in " ".join(verdict(few))


def test_one_that_is_not_finite_says_so(report):
    broken = with_perplexity(report, 23.71, 23.6, 23.94, None)
    assert scored_told(broken).endswith("23.9 in int8 and not finite in int2.")


def test_of_many_formats_the_ends_are_told(report):
    more = report.variants[0]
    five = replace(report, results=(*report.results, replace(more, format="int3"),
                                    replace(more, format="int4")))  # fmt: skip
    told = "Perplexity is 23.7 in fp32, and from 23.6 in bf16 to {} in the others."
    for most, shown in ((420.2, "420 in int3"), (None, "not finite in int3")):
        found = with_perplexity(five, 23.71, 23.6, 23.9, 99.0, most, 59.9)
        assert scored_told(found) == told.format(shown)


def test_fp32_alone_is_told_too():
    alone = with_perplexity(scored([]), 23.71)
    assert verdict(alone)[0] == "Perplexity is 23.7 in fp32."


def test_an_answer_has_no_such_sentence():
    assert scored_told(compared(FORMATS)) == ""


def test_an_answer_that_goes_round_in_a_circle_is_said_to():
    report = ended(compared(("bf16", "int8")), "end", "repetition", "repetition")
    assert [ended_told(trial) for trial in report.results] == [
        "", "stopped: it repeats itself", "stopped: it repeats itself",
    ]  # fmt: skip
    told = "bf16 and int8 repeat themselves, and were stopped there."
    assert told in verdict(report)
    assert not [one for one in verdict(compared(("bf16",))) if "repeat" in one]
    trial = replace(report.results[0], tokens=(1, 2, 3), ended="length")
    assert ended_told(trial) == "cut off after 3 tokens"
    assert [ended_told(replace(trial, ended=one)) for one in ("", "given")] == ["", ""]


def test_how_tokens_were_chosen_is_told_where_it_is_not_the_usual_way():
    assert chosen_told(Decoding("text")) == ""
    assert chosen_told(Decoding("text", 1.25, 9)).startswith("drawn at temperature 1.25, seed 9:")


def rows(report):
    return list(csv.DictReader(io.StringIO(files.as_csv(report), newline="")))


def test_files_have_it_too(report):
    for row, trial in zip(rows(report), report.results, strict=True):
        assert (row["ended"], row["read_as"]) == ("given", "score")
        assert float(row["perplexity"]) == trial.figures["perplexity"]
        assert "token_ms" not in row
        assert "first_divergent_token" not in row
    answered = ended(compared(["bf16"], decoding=Decoding(temperature=0.7, seed=3)), *["end"] * 2)
    for row in rows(answered):
        assert (row["ended"], row["read_as"], row["temperature"], row["seed"]) == (
            "end", "chat", "0.7", "3",
        )  # fmt: skip
        assert not [key for key in row if key.startswith(("loss", "perplexity"))]
    page = files.as_page(report)
    assert "Perplexity" in page
    assert "PPL (llama.cpp)" in page
    assert "diverges at token" not in page


def test_the_table_of_a_text_has_its_columns(report):
    head = tables.summary(report).head
    assert head[:5] == ("format", "memory", "smaller", "perplexity", "beside fp32's")
    assert not [one for one in head if "ms" in one or "diverges" in one]


def test_an_assistant_is_told_in_numbers(report):
    reference, *others = brief(report, None)["formats"]
    assert set(reference) == {"format", "bytes", "times_smaller", "perplexity"}
    for found, trial in zip(others, report.variants, strict=True):
        assert found["perplexity"] == pytest.approx(trial.figures["perplexity"], rel=0.01)
        assert "diverges_at_token" not in found
    whole = brief(report, None)
    assert whole["read_as"] == "score"
    repeated = ended(compared(["bf16"]), "end", "repetition")
    assert [found.get("ended") for found in brief(repeated, None)["formats"]] == [
        None, "stopped: it repeats itself",
    ]  # fmt: skip


class Hostile(Parrot):
    shown = "<script>alert(1)</script>\x1b[2J"


def test_a_text_that_is_scored_stays_text():
    page = files.as_page(scored(["bf16"], Hostile()))
    assert "<script>alert(1)" not in page
