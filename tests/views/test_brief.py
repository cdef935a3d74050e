import json
from dataclasses import replace

import pytest

from qdemo.views.brief import MOST, as_text, brief
from tests.parrot import Parrot
from tests.views.documents import HOSTILE, Hostile, compared, without_reference

LINK = "https://example.org/#model=parrot"
TWELVE = ("fp16", "bf16", "int8", "int8+emb", "int4", "int3", "int2", "int2-tensor+emb@bf16",
          "nf4-g8", "mxfp4-rot", "int3-mse", "int2-g8-affine-mse-rot")  # fmt: skip


class Wordy(Parrot):
    def decode(self, tokens):
        return "A long answer. " * 40


def test_it_has_what_an_assistant_needs():
    report = compared(("int8", "int2+emb", "int8-g9"))
    found = brief(report, LINK)
    assert found["model"] == report.model
    assert found["link"] == LINK
    assert list(found["failed"]) == ["int8-g9"]
    reference, int8, _ = found["formats"]
    assert set(reference) == {"format", "bytes", "times_smaller", "output", "ended"}
    trial = report.results[1]
    assert int8["bytes"] == trial.footprint.total
    assert int8["output"] == trial.output
    assert int8["kl_nats"] == pytest.approx(trial.figures["logit_kl_mean"], rel=1e-2)
    assert int8["diverges_at_token"] == trial.figures["first_divergent_token"]
    low, high = int8["same_top_95"]
    assert 0 <= low <= int8["same_top"] <= high <= 1


@pytest.mark.parametrize("runner", [None, Wordy()])
def test_it_is_three_kilobytes_at_most(runner):
    report = compared(TWELVE, runner)
    found = brief(report, LINK)
    assert len(found["formats"]) == 13
    assert 1_000 < len(as_text(found).encode()) <= MOST


def test_names_and_texts_that_are_long_fit_too():
    formats = [
        f"int{bits}-g9{group}-affine+emb@fp16" for bits in (2, 3, 4, 5) for group in (97, 98, 99)
    ]
    report = replace(compared(formats, Wordy()), input="😀日本" * 700)
    found = brief(report, LINK + "x" * 200)
    assert [row["format"] for row in found["formats"][1:]] == formats
    assert all(row["output"] for row in found["formats"])
    assert len(as_text(found).encode()) <= MOST


def test_a_link_as_long_as_its_prompt_is_left_out():
    assert brief(compared(("int8",)), LINK + "x" * 4_000)["link"] is None
    assert brief(compared(("int8",)), None)["link"] is None


def test_numbers_that_are_none_are_none():
    found = brief(without_reference(), LINK)
    assert found["formats"] == []
    assert set(found["failed"]) >= {"fp32"}
    json.dumps(found, allow_nan=False)


def test_what_a_model_wrote_is_text():
    assert HOSTILE[:20] in brief(compared(("int8",), Hostile()), None)["formats"][1]["output"]
