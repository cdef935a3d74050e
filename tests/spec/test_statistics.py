"""What counts and means say, against scipy, statsmodels and numpy on random and extreme cases."""

import gc
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_tables
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import normal_power
from statsmodels.stats.proportion import proportion_confint

from qdemo.spec.proportion import Counted, wilson
from qdemo.spec.statistics import (
    Z,
    holm,
    interval,
    items_to_tell,
    mcnemar,
    mean,
    median,
    paired_loss,
    percentile,
    standard_error,
    student,
    values_to_tell,
)

flips = st.integers(0, 60)
sizes = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 0.5]))
values = st.lists(sizes, min_size=1, max_size=60)


@given(flips, flips)
def test_mcnemars_p_is_the_exact_one(lost, won):
    table = [[50, lost], [won, 7]]  # only flips count
    assert mcnemar(lost, won) == pytest.approx(mcnemar_of_tables(table, exact=True).pvalue)
    assert mcnemar(lost, won) == mcnemar(won, lost)


@pytest.mark.parametrize("n", [1, 5, 6, 100, 990])
def test_flips_one_way_are_as_likely_as_so_many_coins(n):
    assert mcnemar(n, 0) == mcnemar(0, n) == min(1.0, 2.0 ** (1 - n))
    assert mcnemar(n, n) == 1.0


def test_many_flips_are_counted_soon():
    wanted = stats.binomtest(29_500, 60_000).pvalue
    assert mcnemar(29_500, 30_500) == pytest.approx(wanted, rel=1e-6)


@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.04, 1.0]), min_size=1, max_size=12))
@settings(max_examples=50)
def test_holm_is_holm(ps):
    gc.freeze()  # statsmodels collects garbage each time, of all that other tests have made
    wanted = multipletests(ps, method="holm")[1]
    gc.unfreeze()
    assert holm(ps) == pytest.approx(wanted, abs=1e-15)


def test_holm_of_none_and_of_one():
    assert holm([]) == []
    assert holm([0.3]) == [0.3]
    assert holm([0.02, 0.02, 0.02]) == pytest.approx([0.06] * 3)


@given(st.integers(1, 3000), st.data())
def test_wilson_is_the_score_interval(total, data):
    count = data.draw(st.integers(0, total) | st.sampled_from([0, total]))
    wanted = proportion_confint(count, total, method="wilson")
    assert wilson(count, total) == pytest.approx(wanted, abs=1e-12)
    assert Counted(count, total).interval == wilson(count, total)


@given(st.integers(1, 500), st.data())
def test_the_share_that_is_lost_is_agrestis_and_mins(total, data):
    lost = data.draw(st.integers(0, total))
    won = data.draw(st.integers(0, total - lost))
    table = np.array([[total - lost - won, lost], [won, 0]]) + 0.5  # fp32 right, wrong × format
    n = table.sum()
    fp32, form = table.sum(axis=1)[0] / n, table.sum(axis=0)[0] / n
    share = table / n
    variance = (share[0, 1] + share[1, 0] - (fp32 - form) ** 2) / n
    ends = stats.norm.interval(0.95, fp32 - form, math.sqrt(variance))
    low, high = paired_loss(lost, won, total)
    assert (low, high) == pytest.approx(np.clip(ends, -1, 1))
    assert paired_loss(won, lost, total) == pytest.approx((-high, -low))


def test_the_interval_of_what_is_lost_covers_it():
    """Of many samples of 100 items, of whose kind 8% are lost and 3% won, about 95% cover 5%."""
    rng = np.random.default_rng(0)
    draws = rng.multinomial(100, [0.08, 0.03, 0.89], size=2000)
    ends = [paired_loss(int(lost), int(won), 100) for lost, won, _ in draws]
    covered = np.mean([low <= 0.05 <= high for low, high in ends])
    assert 0.93 < covered < 0.98


@pytest.mark.parametrize(("lost", "won", "total"), [(0, 0, 0), (2, 1, 2), (-1, 0, 5), (0, -1, 5)])
def test_impossible_counts_are_refused(lost, won, total):
    with pytest.raises(ValueError, match="expected"):
        paired_loss(lost, won, total)


def power(n, lost, won):
    """How often the exact test finds at 5% that shares `lost` and `won` differ, in n items."""
    flipped, found = lost + won, 0.0
    for m in range(n + 1):
        likely = stats.binom.pmf(m, n, flipped)
        if likely > 1e-9:
            fewer = np.arange(m // 2 + 1)
            few = fewer[2 * stats.binom.cdf(fewer, m, 0.5) <= 0.05]
            if few.size:
                uneven = stats.binom(m, won / flipped)
                found += likely * (uneven.cdf(few[-1]) + uneven.sf(m - few[-1] - 1))
    return found


@pytest.mark.parametrize(
    ("lost", "won", "total"),
    [(1, 0, 1), (990, 0, 990), (9, 1, 10), (20, 10, 30), (1, 4, 30), (10, 2, 100), (30, 10, 400)],
)
def test_so_many_items_tell_two_apart_four_times_in_five(lost, won, total):
    n = items_to_tell(lost, won, total)
    assert power(n, lost / total, won / total) > 0.795
    assert power(math.floor(0.75 * n), lost / total, won / total) < 0.8
    assert items_to_tell(won, lost, total) == n


@given(flips, st.integers(60, 500))
def test_no_number_of_items_tells_what_does_not_differ(each, total):
    assert items_to_tell(each, each, 2 * total) is None


@given(st.floats(0.05, 3), st.integers(0, 10**6))
@settings(max_examples=30)
def test_so_many_values_tell_a_mean_from_none(middle, seed):
    rng = random.Random(seed)
    found = [middle + rng.gauss() for _ in range(20)]
    size = mean(found) / stats.tstd(found)
    n = values_to_tell(found)
    assert normal_power(size, n, 0.05) > 0.8 - 1e-9
    assert n == 1 or normal_power(size, n - 1, 0.05) < 0.8 + 1e-3  # with the other tail


def test_values_that_tell_nothing():
    for none in ([1.0], [0.0, 0.0], [-1.0, 1.0], [math.inf, 1.0]):
        assert values_to_tell(none) is None
    assert values_to_tell([2.0, 2.0]) == 1


@given(values)
def test_means_and_their_errors_are_scipys(found):
    assert mean(found) == pytest.approx(np.mean(found), rel=1e-9, abs=1e-9)
    assert median(found) == pytest.approx(np.median(found))
    if len(found) < 2:
        assert standard_error(found) is interval(found) is None
        return
    error = standard_error(found)
    assert error == pytest.approx(stats.sem(found), rel=1e-6, abs=1e-7)
    half = stats.t.ppf(0.975, len(found) - 1) * error
    wanted = mean(found) - half, mean(found) + half
    assert interval(found) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30, 99, 399, 989])
def test_students_percentile_is_scipys(freedom):
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-11)


def test_students_percentile_becomes_the_normal_distributions():
    assert stats.norm.ppf(0.975) == pytest.approx(Z, rel=1e-15)
    assert Z < student(20_000) < Z + 1e-3


def test_what_is_infinite_stays_so():
    found = [1.0, math.inf, 2.0]
    assert mean(found) == standard_error(found) == math.inf
    assert interval(found) is None
    assert median(found) == 2.0
    assert median([math.inf, 1.0]) == math.inf
    assert percentile(sorted(found * 40), 90) == math.inf
    for statistic in (mean, median):
        with pytest.raises(ValueError, match="no mean of no values"):
            statistic([])


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=300),
       st.sampled_from([50, 90, 95, 99, 99.9]))  # fmt: skip
def test_percentiles_are_of_nearest_rank(found, percent):
    wanted = np.percentile(found, percent, method="inverted_cdf")
    known = percentile(found, percent)
    assert known in (None, wanted)
    assert (known is None) == (len(found) < round(100 / (100 - percent)))


@pytest.mark.parametrize(
    ("percent", "fewest"), [(50, 2), (90, 10), (95, 20), (99, 100), (99.9, 1000)]
)
def test_a_percentile_is_known_from_enough_values_on(percent, fewest):
    ordered = list(range(1, fewest + 1))
    assert percentile(ordered, percent) == fewest - 1
    assert percentile(ordered[1:], percent) is None
