"""pass@k and its table: exact small cases, the oracle, and every way counts can be awkward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import passk_inference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln

from tools.errors import InvalidInput
from tools.records import Counts, PassTable, Source
from tools.stats import passk

SOURCE = Source(name="counts.jsonl", sha256="0" * 64)
pairs = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def counts(
    correct: Sequence[int], total: int | Sequence[int] = 16, slices: Sequence[str] = (), clusters: Sequence[str] = ()
) -> Counts:
    n = len(correct)
    return Counts(
        ids=tuple(f"p{i}" for i in range(n)),
        correct=tuple(correct),
        total=(total,) * n if isinstance(total, int) else tuple(total),
        slices=tuple(slices) or ("",) * n,
        clusters=tuple(clusters) or ("",) * n,
        source=SOURCE,
    )


def simulated(problems: int, seed: int = 0, a: float = 0.35, b: float = 0.5, samples: int = 16) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int(c) for c in rng.binomial(samples, rng.beta(a, b, problems))]


def row(table: PassTable, metric: str, k: int, slice_name: str = "overall"):
    found = table.find(metric, k, slice_name)
    assert found is not None
    return found


# the estimator


def test_small_cases_by_hand():
    assert passk.pass_at_k([1, 1, 2, 0, 3], [2, 4, 4, 4, 3], 1) == pytest.approx([1 / 2, 1 / 4, 1 / 2, 0, 1])
    assert passk.pass_at_k([1, 2, 0, 3], [4, 4, 4, 3], 2) == pytest.approx([1 / 2, 5 / 6, 0, 1])


def test_it_is_exactly_one_where_every_draw_must_hold_a_pass():
    assert passk.pass_at_k([9, 16], [16, 16], 8).tolist() == [1.0, 1.0]


def test_it_is_nan_where_there_are_fewer_samples_than_k():
    assert np.isnan(passk.pass_at_k([2, 3], [4, 16], 8)).tolist() == [True, False]


@pytest.mark.parametrize(("correct", "total", "k"), [([3], [2], 1), ([-1], [2], 1), ([1], [2], 0), ([1, 1], [2], 1)])
def test_impossible_counts_are_refused(correct, total, k):
    with pytest.raises(InvalidInput):
        passk.pass_at_k(correct, total, k)


@given(st.lists(pairs, min_size=1, max_size=20), st.integers(1, 200))
def test_it_agrees_with_the_oracle(problems, k):
    c, n = np.array(problems).T
    k = min(k, int(n.min()))
    assert passk.pass_at_k(c, n, k) == pytest.approx(passk_inference.pass_at_k(c, n, k), abs=1e-9)


@given(pairs, st.integers(1, 199))
def test_it_stays_in_range_and_grows_with_k(problem, k):
    c, n = problem
    k = min(k, n)
    here, next_k = (passk.pass_at_k([c], [n], j)[0] for j in (k, min(k + 1, n)))
    assert 0 <= here <= next_k <= 1


def test_a_million_samples_lose_no_digits():
    n = 10**6
    assert passk.pass_at_k([1, 1, n // 2], [n, n, n], 10) == pytest.approx([1e-5, 1e-5, 1 - 2.0**-10], rel=1e-4)
    assert passk.pass_at_k([1, 0], [n, n], n).tolist() == [1.0, 0.0]


def test_no_problems_give_no_values():
    assert passk.pass_at_k([], [], 4).shape == (0,)


# the table


def test_rows_stand_overall_first_then_slices_as_they_appear():
    table = passk.table(counts(simulated(60), slices=["hard", "easy"] * 30), (4, 8))
    assert table.slices == ("hard", "easy")
    assert [q.slice for q in table.rows[::5]] == ["overall", "hard", "easy"]
    assert [q.label for q in table.rows[:5]] == ["pass@1", "pass@4", "pass@8", "gap@4", "gap@8"]


def test_the_gap_is_pass_at_k_less_pass_at_one_in_points():
    table = passk.table(counts([0, 1, 8, 16], 16))
    for k in (4, 8, 16):
        gap = row(table, "pass_at_k", k).value - row(table, "pass_at_k", 1).value
        assert row(table, "gap_at_k", k).value == pytest.approx(100 * gap)
        assert row(table, "gap_at_k", k).unit == "pp"


def test_a_slice_has_the_values_of_its_own_problems():
    table = passk.table(counts([0, 16, 4, 12], slices=["a", "b", "a", "b"]))
    assert row(table, "pass_at_k", 1, "a").value == pytest.approx(4 / 32)
    assert row(table, "pass_at_k", 1, "b").value == pytest.approx(28 / 32)


def test_same_counts_and_seed_give_same_bytes_and_another_seed_does_not():
    data = counts(simulated(100), slices=["x", "y"] * 50)
    once, again = (passk.table(data, seed=3).model_dump_json() for _ in range(2))
    assert once == again
    assert once != passk.table(data, seed=4).model_dump_json()


def test_the_order_of_problems_does_not_matter():
    drawn = simulated(100)
    a, b = (passk.table(counts(c)).rows for c in (drawn, drawn[::-1]))
    assert [q.ci.low for q in a] == pytest.approx([q.ci.low for q in b])


def test_the_band_holds_the_interval_of_every_row():
    table = passk.table(counts(simulated(200), slices=["x", "y"] * 100))
    for q in table.rows:
        assert q.band.low <= q.ci.low <= q.value <= q.ci.high <= q.band.high


def test_a_single_row_needs_no_wider_band():
    q = passk.table(counts(simulated(200)), (1,), resamples=100_000).rows[0]
    assert (q.band.low, q.band.high) == pytest.approx((q.ci.low, q.ci.high), abs=5e-4)


def test_k_beyond_the_samples_leaves_no_row_and_says_why():
    table = passk.table(counts([4] * 40, [16] * 30 + [8] * 10))
    assert table.find("pass_at_k", 16) is None
    assert table.find("gap_at_k", 16) is None
    assert "overall: no pass@16, since 10 of 40 problems have fewer than 16 samples" in table.notes


def test_a_slice_with_enough_samples_keeps_the_k_that_others_lack():
    drawn, totals = simulated(60, samples=8), [16] * 30 + [8] * 30
    table = passk.table(counts(drawn, totals, slices=["deep"] * 30 + ["shallow"] * 30))
    assert table.find("gap_at_k", 16, "deep") is not None
    assert table.find("gap_at_k", 16, "shallow") is None
    assert table.find("gap_at_k", 16) is None


def test_unequal_samples_are_said():
    assert any("4 to 16 samples" in note for note in passk.table(counts([1, 2, 3], [16, 8, 4]), (4,)).notes)


def test_k_above_half_the_samples_is_said():
    notes = passk.table(counts(simulated(40))).notes
    assert [note.split()[0] for note in notes if "steady" in note] == ["pass@16"]


def test_a_small_slice_is_said_and_kept():
    table = passk.table(counts(simulated(60), slices=["tiny"] * 5 + ["rest"] * 55))
    assert any(note.startswith("slice tiny: 5 problems") for note in table.notes)
    assert row(table, "gap_at_k", 8, "tiny").n == 5


def test_problems_without_a_slice_count_only_overall():
    table = passk.table(counts(simulated(10), slices=["a"] * 6 + [""] * 4))
    assert (row(table, "gap_at_k", 8).n, row(table, "gap_at_k", 8, "a").n) == (10, 6)
    assert any("4 of 10 problems name no slice" in note for note in table.notes)


@pytest.mark.parametrize("ks", [(), (0,), (4, -1)])
def test_unusable_k_are_refused(ks):
    with pytest.raises(InvalidInput):
        passk.table(counts([1, 2]), ks)


def test_a_slice_named_overall_is_refused():
    with pytest.raises(InvalidInput, match="overall"):
        passk.table(counts([1, 2], slices=["overall", "b"]))


def test_no_problems_are_refused():
    with pytest.raises(InvalidInput, match="no problems"):
        passk.table(counts([]))


# awkward counts


@pytest.mark.parametrize("solved", [0, 16])
def test_all_alike_gives_clopper_pearson_and_a_flag(solved):
    table = passk.table(counts([solved] * 200))
    q = row(table, "pass_at_k", 8)
    assert q.degenerate
    width = 1 - 0.025 ** (1 / 200)
    expected = (0, width) if solved == 0 else (1 - width, 1)
    assert (q.ci.low, q.ci.high) == pytest.approx(expected)
    assert "Clopper-Pearson" in q.ci.method
    assert any("no two problems differ" in note for note in table.notes)


@pytest.mark.parametrize("solved", [0, 2, 3, 100, 197, 198, 200])
def test_an_interval_that_two_problems_decide_claims_no_exact_level(solved):
    table = passk.table(counts([1] * solved + [0] * (200 - solved), [1] * 200))
    assert row(table, "pass_at_k", 1).ci.at_least == (min(solved, 200 - solved) < 3)


@given(st.lists(pairs, min_size=1, max_size=12), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_interval_has_width_and_stays_on_its_scale(problems, clustered):
    c, n = zip(*problems, strict=True)
    clusters = [f"c{i % 3}" for i in range(len(c))] if clustered else ()
    for q in passk.table(counts(c, n, clusters=clusters), (1, 2, 8), resamples=200).rows:
        if q.ci is not None:
            assert q.ci.low < q.ci.high
            assert q.ci.low <= q.value <= q.ci.high
            assert q.ci.low >= 0
            assert q.ci.high <= (1 if q.unit == "fraction" else 100)


@pytest.mark.parametrize("correct", [[7], [16], [0, 16], [7, 7]])
def test_one_or_two_problems_say_next_to_nothing(correct):
    q = row(passk.table(counts(correct)), "pass_at_k", 1)
    assert q.ci.high - q.ci.low > 0.6


def test_copies_in_a_cluster_add_no_information():
    drawn = simulated(80)
    names = [f"c{i}" for i in range(80)]
    single = passk.table(counts(drawn))
    doubled = passk.table(counts(drawn * 2, clusters=names * 2))
    assert [q.ci.low for q in doubled.rows] == pytest.approx([q.ci.low for q in single.rows])
    loose = passk.table(counts(drawn * 2))
    assert loose.rows[0].ci.high - loose.rows[0].ci.low < 0.8 * (single.rows[0].ci.high - single.rows[0].ci.low)


def test_clusters_of_unequal_size_keep_the_mean_over_problems():
    table = passk.table(counts([16] * 9 + [0], clusters=["big"] * 9 + ["small"]))
    assert row(table, "pass_at_k", 1).value == pytest.approx(0.9)


def test_one_cluster_has_no_interval_and_says_so():
    table = passk.table(counts(simulated(40), clusters=["same"] * 40))
    assert all(q.ci is None and q.band is None for q in table.rows)
    assert any("one cluster says nothing about others" in note for note in table.notes)


def test_a_problem_without_a_cluster_is_one_of_its_own():
    table = passk.table(counts(simulated(40), clusters=["pair", "pair"] + [""] * 38))
    assert any("40 problems in 39 clusters" in note for note in table.notes)


def test_a_million_samples_make_a_table():
    n = 10**6
    q = row(passk.table(counts([1, n // 3, n], n)), "gap_at_k", 16)
    assert q.value == pytest.approx(100 * (16e-6 + 1 - (2 / 3) ** 16 + 1 - (1e-6 + 1 / 3 + 1)) / 3, abs=0.01)


def test_saturated_pass_at_k_holds_its_truth():
    """The trap of DOMAIN 4.2: BCa holds it in 38 to 61 of 100 samples."""
    rng, held = np.random.default_rng(7), 0
    truth = 1 - np.exp(betaln(6, 0.6 + 8) - betaln(6, 0.6))
    for seed in range(200):
        drawn = rng.binomial(16, rng.beta(6, 0.6, 200))
        ci = row(passk.table(counts(drawn.tolist()), (8,), seed=seed, resamples=400), "pass_at_k", 8).ci
        held += ci.low <= truth <= ci.high
    assert held >= 185
