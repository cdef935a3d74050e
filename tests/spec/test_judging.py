"""What outcomes come to, against counts by hand, and the rules of the verdict as properties."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo.spec.evidence import Data, Evidence, Item, Judged, Outcome
from qdemo.spec.judging import (
    BROKEN_CHANGED,
    BROKEN_LOSS,
    BROKEN_RATIO,
    SAFE_CHANGED,
    SAFE_LOSS,
    SAFE_RATIO,
    pairs,
    summaries,
)
from qdemo.spec.proportion import wilson
from qdemo.spec.setting import Machine
from qdemo.spec.statistics import holm, mcnemar, paired_loss


def evidence(items, *columns, kind="items"):
    """fp32's outcomes, and those of int8, int7 and so on."""
    names = ["fp32", *(f"int{8 - i}" for i in range(7))]
    judged = tuple(
        Judged(name, 1000, outcomes=tuple(outs)) for name, outs in zip(names, columns, strict=False)
    )
    data = Data("heldout", kind, len(items), "0")
    return Evidence("t5-tiny", data, tuple(items), 0, 16, 64, Machine(), judged)


def answered(*outputs, kl=0.0, same=4, positions=4):
    return [Outcome(output, kl, same, positions) for output in outputs]


def told(*columns, expected="a", kind="items"):
    """The summaries of answers to as many items, each with that right answer."""
    items = [Item(str(i), expected) for i in range(max(map(len, columns)))]
    return summaries(evidence(items, *columns, kind=kind))


def flipped(lost, won, total):
    """fp32 and a format with so many flips."""
    left = total - lost - won
    fp32 = answered(*["a"] * lost, *["b"] * won, *["a"] * left)
    form = answered(*["b"] * lost, *["a"] * won, *["a"] * left)
    return told(fp32, form)[1]


def scored(losses, base):
    """A format whose windows have these losses beside fp32's."""
    fp32 = [Outcome(None, 0.0, 9, 9, loss) for loss in base]
    form = [Outcome(None, 0.1, 8, 9, loss) for loss in losses]
    return told(fp32, form, expected=None, kind="text")


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 60))
def test_flips_are_counted_both_ways(lost, won, left):
    total = lost + won + left
    found = flipped(lost, won, total)
    flips = found.flips
    assert (flips.right_to_wrong, flips.wrong_to_right) == (lost, won)
    assert flips.p == flips.p_holm == mcnemar(lost, won)
    assert flips.loss == paired_loss(lost, won, total)
    assert found.correct == (won + left, total)
    assert found.changed == (lost + won, total)
    assert found.n == total
    assert (flips.to_tell is None) == (lost == won)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 100))
def test_the_verdict_is_by_all_of_the_interval(lost, won, left):
    found = flipped(lost, won, lost + won + left)
    low, high = found.flips.loss
    wanted = "safe" if high <= SAFE_LOSS else "broken" if low > BROKEN_LOSS else "check"
    assert found.verdict == wanted
    assert flipped(won, lost, lost + won + left).verdict != "broken" or won > lost


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 30), st.integers(2, 40))
def test_more_items_of_the_same_kind_narrow_what_is_known(lost, won, left, times):
    few = flipped(lost, won, lost + won + left)
    many = flipped(lost * times, won * times, (lost + won + left) * times)
    for one, other in ((few.flips.loss, many.flips.loss),
                       (few.changed.interval, many.changed.interval)):  # fmt: skip
        assert other[1] - other[0] < one[1] - one[0]
    assert many.flips.p <= few.flips.p
    assert {few.verdict, many.verdict} != {"safe", "broken"}


@pytest.mark.parametrize(
    ("total", "lost", "verdict"),
    [(1, 0, "check"), (20, 0, "check"), (100, 0, "safe"), (1000, 2, "safe"), (1000, 30, "check"),
     (1000, 100, "broken"), (20, 6, "broken"), (1, 1, "check")],
)  # fmt: skip
def test_verdicts_rest_on_how_many_items_there_are(total, lost, verdict):
    assert flipped(lost, 0, total).verdict == verdict


def test_fp32_is_what_all_are_beside():
    fp32, same = told(answered("a", "b", "a"), answered("a", "b", "a"))
    assert fp32.verdict == ""
    assert fp32.flips is fp32.changed is fp32.kl is fp32.same_top is None
    assert fp32.correct == same.correct == (2, 3)
    assert (same.changed.right, same.kl.mean, same.flips.p) == (0, 0.0, 1.0)


def test_blanks_at_the_ends_are_no_mistake_and_all_else_is():
    right = told(answered("a"), answered(" a\n"))[1]
    assert (right.correct.right, right.changed.right) == (1, 1)
    assert told(answered("A"))[0].correct.right == 0


def test_holm_is_over_all_formats_that_are_shown():
    items = ["a"] * 40
    columns = [answered(*["b"] * n, *items[n:]) for n in (0, 3, 6, 12)]
    found = told(*columns)
    ps = [one.flips.p for one in found[1:]]
    assert [one.flips.p_holm for one in found[1:]] == holm(ps)
    assert found[2].flips.p_holm > found[2].flips.p
    assert told(*columns[:2])[1].flips.p_holm == ps[0]


def test_without_right_answers_changes_are_what_counts():
    def verdict(changed, total):
        outputs = ["b"] * changed + ["a"] * (total - changed)
        found = told(answered(*["a"] * total), answered(*outputs), expected=None)
        assert found[0].correct is found[1].correct is found[1].flips is None
        low, high = found[1].changed.interval
        assert (low, high) == wilson(changed, total)
        wanted = "safe" if high <= SAFE_CHANGED else "broken" if low > BROKEN_CHANGED else "check"
        assert found[1].verdict == wanted
        return wanted

    assert [verdict(*of) for of in ((0, 10), (0, 100), (10, 100), (40, 100), (10, 10))] == [
        "check", "safe", "check", "broken", "broken",
    ]  # fmt: skip


def test_nothing_is_safe_because_fp32_has_nothing_to_lose():
    """Expected answers that no model gives tell nothing: changes do."""

    def verdict(*outputs):
        return told(answered(*"b" * 300), answered(*outputs), expected="a")[1].verdict

    assert verdict(*"c" * 300) == "broken"
    assert verdict(*"b" * 300) == "safe"
    assert verdict(*"a" * 285, *"b" * 15) == "safe"  # which is better than fp32
    assert verdict(*"a" * 10, *"c" * 290) == "broken"


def test_one_item_without_a_right_answer_leaves_accuracy_unknown():
    items = [Item("1", "a"), Item("2")]
    found = summaries(evidence(items, answered("a", "a"), answered("a", "b")))
    assert found[0].correct is found[1].flips is None
    assert found[1].changed == (1, 2)


def test_tasks_are_told_apart():
    items = [Item(str(i), "a", task) for i, task in enumerate(["x", "y", "x", "z"])]
    found = summaries(evidence(items, answered("a", "a", "b", "a"), answered("a", "b", "b")))
    assert found[0].by_task == (("x", (1, 2)), ("y", (1, 1)), ("z", (1, 1)))
    assert found[1].by_task == (("x", (1, 2)), ("y", (0, 1)))  # it has not come to z
    assert (found[1].n, found[1].correct) == (3, (1, 3))


def test_only_items_that_fp32_has_gone_through_count():
    items = [Item(str(i), "a") for i in range(9)]
    both = evidence(items, answered("a", "a"), answered("a", "b", "b", "b"), [])
    fp32, form = summaries(both)
    assert (fp32.n, form.n, form.correct, len(pairs(both, both.judged[1]))) == (2, 2, (1, 2), 2)
    assert summaries(evidence(items)) == summaries(evidence(items, [])) == ()


def test_what_is_not_finite_is_counted_and_changed():
    lost = Outcome(None, math.inf, 0, 0)
    form = told(answered("a", "a"), [*answered("a"), lost])[1]
    assert (form.not_finite, form.changed, form.correct) == (1, (1, 2), (1, 2))
    assert form.kl.mean == form.kl.max == math.inf
    assert form.kl.interval is None
    assert form.same_top.mean == 0.5


def test_a_kl_that_is_no_number_is_infinite():
    form = told(answered("a", "a"), answered("a", "a", kl=math.nan))[1]
    assert form.kl.mean == form.kl.max == form.kl.median == math.inf
    assert form.not_finite == 2


def test_an_fp32_that_is_not_finite_makes_nothing_safe():
    lost = [Outcome(None, 0.0, 0, 0)] * 200
    fp32, form = told(lost, lost, expected=None)
    assert fp32.not_finite == 200
    assert (form.changed, form.verdict) == ((200, 200), "broken")
    fp32, form = scored([1.0] * 9, [math.inf] * 9)
    assert (fp32.perplexity.value, fp32.perplexity.error, fp32.not_finite) == (math.inf, None, 9)
    assert form.perplexity.ratio is form.perplexity.interval is None
    assert (form.not_finite, form.verdict) == (0, "check")


@given(st.lists(st.floats(0, 0.5), min_size=2, max_size=40))
def test_kl_and_same_top_stay_where_they_can_be(kls):
    outs = [Outcome("a", kl, round(4 * kl), 4) for kl in kls]
    form = told(answered(*["a"] * len(kls)), outs)[1]
    for spread, most in ((form.kl, math.inf), (form.same_top, 1.0)):
        low, high = spread.interval
        assert 0 <= low <= high <= most
        assert low - 1e-12 <= spread.mean <= high + 1e-12
        assert spread.median <= spread.max
    assert form.kl.mean == pytest.approx(math.fsum(kls) / len(kls))


@pytest.mark.parametrize("n", [1, 2, 300])
def test_agreement_everywhere_still_leaves_something_open(n):
    fp32 = answered(*["a"] * n)
    assert told(fp32, answered(*["a"] * n))[1].same_top.interval == wilson(n, n)
    assert told(fp32, answered(*["a"] * n, same=0))[1].same_top.interval == wilson(0, n)
    half = told(fp32, answered(*["a"] * n, same=2))[1].same_top
    assert half.interval == (None if n == 1 else (0.5, 0.5))


@given(st.lists(st.floats(0.5, 4), min_size=2, max_size=30), st.floats(-0.2, 0.4))
def test_perplexity_is_of_the_mean_loss_and_its_ratio_of_pairs(base, change):
    fp32, form = scored([loss + change for loss in base], base)
    assert fp32.perplexity.value == pytest.approx(math.exp(math.fsum(base) / len(base)))
    assert fp32.perplexity.ratio is None
    found = form.perplexity
    assert found.ratio == pytest.approx(found.value / fp32.perplexity.value)
    assert found.interval == pytest.approx((math.exp(change),) * 2)
    assert (form.changed, form.correct, form.flips, form.not_finite) == (None, None, None, 0)
    low, high = found.interval
    wanted = "safe" if high <= SAFE_RATIO else "broken" if low > BROKEN_RATIO else "check"
    assert form.verdict == wanted


def test_windows_that_differ_widen_the_ratios_interval():
    base = [2.0] * 40
    losses = [2.005 + 0.02 * (-1) ** i for i in range(40)]
    few, many = scored(losses[:4], base[:4])[1], scored(losses, base)[1]
    assert (few.verdict, many.verdict) == ("check", "safe")
    assert few.perplexity.to_tell == pytest.approx(many.perplexity.to_tell, rel=0.4)
    assert scored([2.3] * 9, base[:9])[1].verdict == "broken"
    assert scored([2.0], base[:1])[1].verdict == "check"  # one window says nothing


def test_a_window_without_a_loss_is_infinitely_bad():
    for lost in (None, math.inf, math.nan):
        form = scored([2.0, lost], [2.0, 2.0])[1]
        assert form.perplexity.value == form.perplexity.ratio == math.inf
        assert (form.perplexity.error, form.verdict, form.not_finite) == (None, "broken", 1)
    assert scored([800.0, 900.0], [2.0, 2.0])[1].perplexity.value == math.inf


def test_a_format_keeps_what_it_was_judged_by():
    judged = Judged("int8", 7, 8.25, 0.1, (Outcome("a", 0.0, 1, 1),), 2.5, "no memory")
    base = evidence([Item("1", "a")], answered("a"))
    found = summaries(base.with_judged(judged))[1]
    for name in ("bytes", "bits_per_weight", "output_error", "seconds", "ended"):
        assert getattr(found, name) == getattr(judged, name)
    again = base.with_judged(judged).with_judged(replace(judged, bytes=9))
    assert [one.bytes for one in again.judged] == [1000, 9]
    assert judged.going_on(judged.outcomes, 1.0).seconds == 3.5
    with pytest.raises(ValueError, match="'int2' was not evaluated; fp32, int8 were"):
        again.format_named("int2")
