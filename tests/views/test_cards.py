import re
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo.spec.footprint import Coverage, Instead, Left, SplitTie
from qdemo.spec.report import Ended, Overflow, Report, Span
from qdemo.views.cards import KL_STEPS, cards, kl_step
from tests.views.documents import compared, figured, overflowing, without_reference

WORDS = st.lists(st.sampled_from(["a", "dog", "cat", "on", "beach", "\n", " "]), max_size=7)


@pytest.fixture(scope="module")
def report():
    return compared()


def named(card):
    """What stands on a card, by its names."""
    return {name: value for _, name, value in card.figures}


@cache
def two_formats():
    return compared(("bf16",))


def card_of(output, reference):
    """The card of a format that says `output` where fp32 says `reference`."""
    plain = two_formats()
    fp32, bf16 = plain.results
    results = replace(fp32, output=reference), replace(bf16, output=output)
    return cards(replace(plain, results=results))[1]


def test_a_card_for_each_format_that_was_asked_for(report):
    shown = cards(report)
    assert [card.format for card in shown] == list(report.formats)
    assert [card.state for card in shown] == ["done", "done", "done", "failed", "done", "done"]
    assert len({card.colour for card in shown}) == len(shown)


def test_a_failed_card_says_why(report):
    failed = cards(report)[3]
    assert failed.format == "int8-g9"
    assert "group_size 9 does not divide the row length 24" in failed.reason
    assert (failed.words, failed.figures, failed.size) == ((), (), "")


def test_cards_under_way_wait_write_and_are_done(report):
    under_way = replace(
        report, results=report.results[:1], failures=(), running={"int8": "3 4"}, finished=False
    )
    shown = cards(under_way)
    assert [card.state for card in shown] == ["done", "waiting", "running", *["waiting"] * 3]
    assert shown[2].words == (("3 4", False),)


def test_before_anything_ran_all_wait():
    nothing = Report("parrot", "3", 5, ("fp32", "int8"))
    assert [card.state for card in cards(nothing)] == ["waiting", "waiting"]
    begun = replace(nothing, running={"fp32": ""})
    assert [card.state for card in cards(begun)] == ["running", "waiting"]


def test_after_the_end_no_card_waits():
    assert "waiting" not in {card.state for card in cards(without_reference())}


def test_the_figures_are_those_of_the_document(report):
    card, int8 = cards(report)[2], report.results[2].figures
    figures = named(card)
    assert float(figures["mean |Δlogit|"]) == pytest.approx(int8["logit_mean_abs"], rel=5e-3)
    assert float(figures["KL from fp32"].split()[0]) == pytest.approx(
        int8["logit_kl_mean"], rel=5e-3
    )
    assert float(figures["weights' SQNR"].split()[0]) == pytest.approx(
        int8["weight_sqnr_db"], rel=5e-3
    )
    assert card.smaller == f"{int8['times_smaller']:.2f}× smaller"
    assert card.share == f"{100 / int8['times_smaller']:.0f}%"


def test_fp32_is_compared_with_nothing(report):
    card = cards(report)[0]
    assert (card.smaller, card.share) == ("the reference", "100%")
    assert list(named(card)) == ["first token", "each further", "computed on"]
    assert not any(differs for _, differs in card.words)


def test_units_stand_beside_the_figures(report):
    for card in cards(report)[:3]:
        figures = named(card)
        assert figures["first token"].endswith(" ms")
        assert card.size.endswith(" kB")
    one_token = cards(compared(("bf16",), max_tokens=1))[1]
    assert named(one_token)["each further"] == "–"


@given(WORDS, WORDS)
def test_words_join_to_the_output_again(reference, other):
    card = card_of(" ".join(other), " ".join(reference))
    assert "".join(run for run, _ in card.words) == " ".join(other)
    assert all(run for run, _ in card.words)


@given(WORDS)
def test_the_same_output_has_no_mark(words):
    assert not any(differs for _, differs in card_of(" ".join(words), " ".join(words)).words)


def test_words_that_differ_are_marked_without_the_blanks_after_them():
    card = card_of("a cat on the beach", "a dog on the beach")
    assert card.words == (("a ", False), ("cat", True), (" ", False), ("on the beach", False))
    assert card_of("the end", "").words == (("the end", True),)
    assert card_of("", "the end").words == ()


def test_where_the_outputs_part_is_counted_from_one(report):
    for card, name in zip(cards(report), report.formats, strict=True):
        for trial in (trial for trial in report.variants if trial.format == name):
            first = trial.figures["first_divergent_token"]
            assert named(card)["diverges at token"] == ("never" if first is None else str(first))


def test_a_stopped_card_says_why_and_is_not_failed():
    stopped = tuple(Ended(name, "stopped by you") for name in ("fp32", "bf16"))
    report = replace(compared(("bf16",)), results=(), stopped=stopped)
    assert [(card.state, card.reason) for card in cards(report)] == [
        ("stopped", "stopped by you")
    ] * 2


def second(report, trial):
    """The same with that second result."""
    return replace(report, results=(report.results[0], trial))


def far(report, span):
    """The same, in whose second result numbers went that far."""
    trial = figured(report.results[1], largest_activation=span.largest)
    return second(report, replace(trial, span=span))


FIRST = Overflow("a.wi", infinite=3, nan=1, numbers=4096, clamped_in="a")


def test_how_far_numbers_go_in_fp16_is_told_and_where_they_go_too_far():
    span = Span(8188.0, "a", FIRST)
    card = cards(far(compared(("int8@fp16",)), span))[1]
    assert named(card)["largest activation"] == "8,188 of 65,504"
    assert card.warnings[:1] == (
        "Too large for fp16: of the 4,096 numbers out of a.wi, 3 became infinite and 1 became NaN. "
        "a clamps them, so what follows is finite, and wrong.",
    )


def _shown(format):
    """The cards of one format beside fp32, and its results."""
    report = compared((format,))
    return cards(report), report.results


@pytest.mark.parametrize("format", ["fp16", "int8@fp16", "bf16", "int8@bf16"])
def test_half_precision_is_watched(format):
    card, trial = (found[1] for found in _shown(format))
    assert trial.span.largest > 0
    assert trial.span.overflow is None
    assert ("largest activation" in named(card)) == ("fp16" in format)


def test_full_precision_is_not_watched():
    shown, results = _shown("int8")
    assert [trial.span for trial in results] == [None, None]
    assert "largest activation" not in named(shown[1])


def test_a_cast_to_fp16_says_which_fp16_it_is():
    report = replace(compared(("fp16", "bf16")), kept_wide=("a.0.wo", "a.1.wo"))
    notes = {card.format: card.notes for card in cards(report)}
    cut = "cut off after 5 tokens"
    assert notes == {
        "fp32": (cut,),
        "fp16": (
            cut,
            "Every weight is fp16 here. transformers' from_pretrained(dtype=torch.float16) would "
            "keep 2 layers in fp32: those named wo.",
        ),
        "bf16": (cut,),
    }


def test_an_overflow_warns_and_is_not_exact():
    fp16 = cards(overflowing())[1]
    assert fp16.state == "done"
    assert [re.sub("weights?", "weight", warning) for warning in fp16.warnings] == [
        "1 weight overflowed to infinity."
    ]
    assert named(fp16)["weights' SQNR"] == "–"


def test_weights_that_are_kept_are_exact():
    report = compared(("bf16",))
    exact = figured(report.results[1], weight_rms=0.0, weight_sqnr_db=None)
    card = cards(second(report, exact))[1]
    assert named(card)["weights' SQNR"] == "exact"


def test_logits_that_are_not_finite_warn():
    report = compared(("bf16",))
    broken = figured(report.results[1], logit_invalid_positions=2, logit_kl_mean=None)
    card = cards(second(report, broken))[1]
    assert card.warnings == ("At 2 tokens the logits are not finite.",)
    assert named(card)["KL from fp32"].startswith("–")


def test_a_matrix_that_is_held_twice_is_told():
    report = compared(("int8",))
    int8 = report.results[1]
    tie = SplitTie("head", "shared.weight", 1_075_200)
    held = replace(int8.footprint, split_ties=(tie,))
    card = cards(second(report, replace(int8, footprint=held)))[1]
    assert not any("tied" in warning for warning in card.warnings)  # it is as it should be
    assert "head was tied to shared.weight, which stays float (1.08 MB)" in card.notes[-1]


def test_layers_of_another_format_are_told(report):
    int8 = report.results[1]
    other = replace(int8.coverage, instead=(Instead("q4_k", "q5_0", 2, "head"),))
    card = cards(second(report, replace(int8, coverage=other)))[1]
    told = "2 layers are q5_0, as in llama.cpp, where rows are no multiple of q4_k's blocks"
    assert any(note.startswith(told) for note in card.notes)


def test_every_card_says_what_computed_it(report):
    for card in cards(report):
        told = card.figures[-1:]
        assert not told if card.state != "done" else told[0][1] == "computed on"
        assert not told or told[0][2].startswith("cpu")
    ways = ("avx512", "uncaptured", "<b>a file's own</b>")
    other = replace(report.results[0], device="cuda (NVIDIA H100)", ways=ways)
    told = cards(replace(report, results=(other,)))[0].figures[-1][2]
    assert told == "cuda (NVIDIA H100), by vector loops (AVX-512), without a CUDA graph"


def test_a_format_that_quantizes_little_says_how_much_and_why():
    report = compared(("int8",))
    large_part = Left("Conv1D", "class", 700, 4, "h.0.attn.c_attn.weight")
    left = (large_part, Left("bias", "vector", 1, 1, "b"))
    large = report.results[1].footprint.total + 1
    covered = replace(report.results[1], coverage=Coverage(1000, 299, left, large))
    assert cards(second(report, covered))[1].warnings == (
        "Only 29.9% of the parameters are quantized; 70% of the parameters stay float: Conv1D, "
        "which has no quantized class.",
    )
    most = replace(covered, coverage=Coverage(1000, 999, (), large - 1))
    assert cards(second(report, most))[1].warnings == (
        "It is no smaller than the bf16 cast, which holds 1.54 kB and quantizes nothing.",
    )
    for none in (Coverage(1000, 999, (), large), Coverage(1000, 0, left, large - 1), None):
        assert cards(second(report, replace(covered, coverage=none)))[1].warnings == ()


def test_beside_an_answer_stand_the_steps_of_its_kl_and_a_few_figures(report):
    reference, *others = [card for card in cards(report) if card.state == "done"]
    assert (reference.strip, [name for _, name, _ in reference.row]) == ((), ["a token"])
    for card, trial in zip(others, report.variants, strict=True):
        assert len(card.strip) == len(report.reference.tokens)
        assert [name for _, name, _ in card.row] == ["a token", "KL", "same top"]
        for step, kl in zip(card.strip, trial.by_position["kl_by_position"], strict=True):
            below = (0.0, *KL_STEPS)[step] if step <= len(KL_STEPS) else None
            assert kl is None or below <= kl < (*KL_STEPS, float("inf"))[step]


def test_a_kl_that_is_not_finite_has_the_last_colour():
    assert kl_step(None) == kl_step(1e9) == len(KL_STEPS)
    assert kl_step(0.0) == 0


@pytest.mark.parametrize("tokens", [1, 3, 4])
def test_an_answer_too_short_to_divide_its_time_says_so(tokens):
    for card in cards(compared(("bf16",), max_tokens=tokens)):
        told = [note for note in card.notes if "too short" in note]
        assert bool(told) == (tokens < 4) == (card.split is None)
