"""Intervals: exact cases, their limits, and what a stated figure allows."""

from __future__ import annotations

import numpy as np
import passk_inference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, norm

from tools.errors import InvalidInput
from tools.stats import intervals, passk


def interval(values, low=0.0, high=1.0, level=0.95, clusters=None, resamples=40_000, seed=0) -> tuple[float, float]:
    column = np.asarray(values, dtype=float)[:, None]
    names = np.arange(len(column)) if clusters is None else np.asarray(clusters)
    sample = intervals.units(column, names)
    rng = np.random.default_rng(seed)
    ends = intervals.bounds(sample, np.array([low]), np.array([high]), np.array([level]), rng, resamples)
    return float(ends[0, 0, 0]), float(ends[0, 0, 1])


def test_smooth_data_get_the_normal_interval():
    values = np.random.default_rng(1).beta(2, 2, 1000)
    low, high = interval(values)
    error = values.std() / np.sqrt(1000)
    assert (low, high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.1 * error)


@pytest.mark.parametrize("hits", [1, 3, 10, 50])
def test_yes_no_data_lie_between_jeffreys_and_clopper_pearson(hits):
    n = 100
    low, high = interval([1] * hits + [0] * (n - hits), resamples=200_000)
    slack = 0.003
    assert beta.ppf(0.025, hits, n - hits + 1) - slack < low < beta.ppf(0.025, hits + 0.5, n - hits + 0.5) + slack
    assert beta.ppf(0.975, hits + 0.5, n - hits + 0.5) - slack < high < beta.ppf(0.975, hits + 1, n - hits) + slack


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_where_none_differs_the_share_that_could_is_clopper_pearson(value):
    low, high = interval([value] * 50)
    share = 1 - 0.025 ** (1 / 50)
    assert (low, high) == pytest.approx((value - share * value, value + share * (1 - value)))


def test_a_skewed_sample_gets_a_longer_upper_arm():
    values = [0.0] * 95 + [0.5] * 5
    low, high = interval(values)
    assert high - np.mean(values) > 1.2 * (np.mean(values) - low)


def test_turning_the_scale_over_turns_the_interval_over():
    values = np.random.default_rng(2).beta(0.3, 1, 60)
    low, high = interval(values)
    assert interval(1 - values) == pytest.approx((1 - high, 1 - low), abs=2e-3)


def test_many_groups_in_little_memory_change_nothing(monkeypatch):
    values = np.random.default_rng(3).random(300)
    once = interval(values, resamples=20_000)
    monkeypatch.setattr(intervals, "DRAWS_AT_ONCE", 10_000)
    assert interval(values, resamples=20_000) == pytest.approx(once)


@given(st.lists(st.sampled_from([0, 0.25, 0.5, 1]), min_size=1, max_size=30), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
@settings(deadline=None)
def test_an_interval_holds_its_mean_within_the_scale_and_has_width(values, level):
    low, high = interval(values, level=level, resamples=500)
    assert 0 <= low <= np.mean(values) + 1e-12
    assert np.mean(values) - 1e-12 <= high <= 1
    assert low < high


def test_a_higher_level_is_wider():
    values = np.random.default_rng(4).random(100)
    narrow, wide = interval(values, level=0.8), interval(values, level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_equal_units_are_gathered():
    sample = intervals.units(np.array([[0.5], [0.5], [1.0]]), np.arange(3))
    assert sorted(sample.times.tolist()) == [1, 2]
    assert sample.count == 3
    assert sample.mean == pytest.approx([2 / 3])


def test_the_critical_value_of_independent_columns_is_known():
    influences = np.random.default_rng(5).standard_normal((20_000, 3))
    critical = intervals.critical_value(influences, 0.95, np.random.default_rng(0), 100_000)
    assert critical == pytest.approx(norm.ppf((1 + 0.95 ** (1 / 3)) / 2), abs=0.02)


def test_copies_of_a_column_need_no_wider_band():
    column = np.random.default_rng(6).standard_normal((500, 1))
    critical = intervals.critical_value(np.hstack([column] * 5), 0.95, np.random.default_rng(0), 100_000)
    assert critical == pytest.approx(1.96, abs=0.02)


def test_the_critical_value_agrees_with_the_oracle():
    rng = np.random.default_rng(7)
    correct = rng.binomial(16, rng.beta(0.35, 0.5, 300))
    values = np.column_stack([passk.pass_at_k(correct, np.full(300, 16), k) for k in (1, 4, 8, 16)])
    theirs = passk_inference.simultaneous_band(values, bootstrap=20_000)["critical_value"]
    influences = intervals.influence(values, np.arange(300), 300)
    ours = intervals.critical_value(influences, 0.95, np.random.default_rng(0), 20_000)
    assert ours == pytest.approx(theirs, abs=0.05)


def test_a_level_is_never_lowered():
    assert intervals.pointwise_level(1.0, 0.95) == 0.95
    assert intervals.pointwise_level(norm.ppf(0.995), 0.95) == pytest.approx(0.99)


# stated figures


@pytest.mark.parametrize(("value", "n"), [(0.5, 200), (0.41, 200), (0.137, 131), (0.999, 60)])
def test_a_stated_mean_gets_clopper_pearson(value, n):
    found = intervals.stated(value, n)
    x = value * n
    assert found.low == pytest.approx(beta.ppf(0.025, x, n - x + 1))
    assert found.high == pytest.approx(beta.ppf(0.975, x + 1, n - x))


def test_a_stated_zero_or_one_still_has_width():
    assert intervals.stated(0, 200).low == 0
    assert intervals.stated(0, 200).high == pytest.approx(1 - 0.025 ** (1 / 200))
    assert intervals.stated(1, 200).high == 1


@given(st.integers(1, 500), st.floats(0, 1))
def test_a_stated_mean_lies_in_its_interval(n, value):
    found = intervals.stated(value, n)
    assert found.low <= value + 1e-9
    assert value - 1e-9 <= found.high


@pytest.mark.parametrize(("value", "n"), [(-0.1, 200), (41, 200), (0.5, 0), (float("nan"), 10)])
def test_an_impossible_stated_mean_is_refused(value, n):
    with pytest.raises(InvalidInput):
        intervals.stated(value, n)


def test_no_samples_show_a_gap_above_the_ceiling():
    for k in (2, 4, 8, 16):
        every = [(np.arange(n + 1), np.full(n + 1, n)) for n in range(k, 40)]
        shown = [(passk.pass_at_k(c, n, k) - c / n).max() for c, n in every]
        assert max(shown) == pytest.approx(intervals.gap_ceiling(k))


def test_a_stated_gap_is_wider_than_the_gap_that_counts_show():
    rng = np.random.default_rng(8)
    correct = rng.binomial(16, rng.beta(0.35, 0.5, 200))
    one, eight = (passk.pass_at_k(correct, np.full(200, 16), k) for k in (1, 8))
    low, high = interval(eight - one, high=intervals.gap_ceiling(8))
    found = intervals.stated_gap(one.mean(), eight.mean(), 8, 200)
    assert found.low < 100 * low
    assert 100 * high < found.high
    assert found.high <= 87.5


@pytest.mark.parametrize(("one", "at_k", "k"), [(0.5, 0.4, 8), (0.1, 0.99, 4), (0.4, 0.5, 1)])
def test_a_stated_gap_that_no_samples_could_show_is_refused(one, at_k, k):
    with pytest.raises(InvalidInput):
        intervals.stated_gap(one, at_k, k, 200)


# how sure a sample is of a direction


def chance(wins, losses, ties, seed=0, resamples=10_000):
    values = np.array([1.0] * wins + [-1.0] * losses + [0.0] * ties)[:, None]
    sample = intervals.units(values, np.arange(len(values)))
    return intervals.chance(sample, -1.0, np.random.default_rng(seed), resamples)


@pytest.mark.parametrize(
    ("wins", "losses", "ties"), [(3, 0, 97), (1, 0, 99), (5, 2, 50), (20, 10, 300), (60, 40, 400), (8, 8, 100)]
)
def test_the_chance_of_a_win_lies_between_the_sign_test_and_the_plain_bootstrap(wins, losses, ties):
    """Both are known in closed form: Dirichlet weights of wins and losses add up to Beta(wins, losses)."""
    plain = beta.sf(0.5, wins, losses) if losses else 1.0
    sign_test = beta.sf(0.5, wins, losses + 1)
    assert sign_test < chance(wins, losses, ties) < plain


@pytest.mark.parametrize(("wins", "losses", "ties"), [(20, 10, 300), (5, 2, 50), (60, 40, 400)])
def test_the_chance_is_the_tail_at_which_the_lower_limit_reaches_zero(wins, losses, ties):
    values = np.array([1.0] * wins + [-1.0] * losses + [0.0] * ties)[:, None]
    sample = intervals.units(values, np.arange(len(values)))
    level = np.array([2 * chance(wins, losses, ties) - 1])
    ends = intervals.bounds(sample, np.array([-1.0]), np.array([1.0]), level, np.random.default_rng(0), 10_000)
    assert ends[0, 0, 0] == pytest.approx(0, abs=2e-3)


def test_a_chance_agrees_with_the_definition_drawn_by_hand():
    """Gamma weights, half a pseudo-problem where the skew puts it, a quarter outwards; no Student at that many."""
    wins, losses, ties = 60, 40, 400
    n, rng = wins + losses + ties, np.random.default_rng(3)
    x = -np.array([1.0] * wins + [-1.0] * losses + [0.0] * ties)
    mean = x.mean()
    deviations, reach = x - mean, 1 - mean
    shift = ((deviations**3).sum() + reach**3) / ((deviations**2).sum() + reach**2)
    above = 0
    for _ in range(20_000):
        weights, half, quarter = rng.exponential(size=n), rng.gamma(0.5), rng.gamma(0.25)
        above += weights @ x + half * (mean + shift) + quarter * (mean + abs(shift)) > 0
    assert chance(wins, losses, ties) == pytest.approx(1 - above / 20_000, abs=0.006)


def test_where_every_problem_gained_alike_the_chance_is_clopper_pearsons():
    assert chance(7, 0, 0) == pytest.approx(1 - 0.5**7)
    assert chance(0, 7, 0) == 0


def test_where_no_problem_differs_there_is_no_chance():
    assert chance(0, 0, 50) is None


def test_a_chance_repeats_under_its_seed_at_any_number_of_draws():
    assert chance(5, 2, 50, seed=1) == chance(5, 2, 50, seed=1)
    assert chance(8, 8, 100, resamples=9_999) == pytest.approx(0.49, abs=0.02)
