"""Paired comparison: a published finding recovered, refusals, and the cases without variance."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import passk_inference
import pytest
from scipy.stats import binomtest

from tools.errors import InvalidInput
from tools.measure import imports
from tools.records import Comparison, Counts, Source
from tools.stats.compare import chance_no_worse, compare

DATA = Path(__file__).parent / "data" / "deepscaler32k"


def counts(
    correct: Sequence[int],
    total: int = 16,
    ids: Sequence[str] = (),
    slices: Sequence[str] = (),
    clusters: Sequence[str] = (),
) -> Counts:
    n = len(correct)
    return Counts(
        ids=tuple(ids) or tuple(f"p{i}" for i in range(n)),
        correct=tuple(correct),
        total=(total,) * n,
        slices=tuple(slices) or ("",) * n,
        clusters=tuple(clusters) or ("",) * n,
        source=Source(name="counts.jsonl", sha256="0" * 64),
    )


def real(name: str) -> Counts:
    return imports.read((DATA / name).read_bytes(), name, "counts").counts


@pytest.fixture(scope="module")
def published() -> Comparison:
    return compare(real("base.jsonl"), real("rl.jsonl"))


@pytest.fixture
def arms() -> tuple[list[int], list[int]]:
    """Counts of 120 problems, 16 samples each, before and after a model got sharper."""
    rng = np.random.default_rng(5)
    p = rng.beta(0.6, 0.6, 120)
    return rng.binomial(16, p).tolist(), rng.binomial(16, p**2 / (p**2 + (1 - p) ** 2)).tolist()


# the finding of arXiv 2609.22547, table 1


def test_the_published_gain_at_one_is_recovered(published):
    delta = published.find("delta_pass_at_k", 1)
    assert delta.value == pytest.approx(7.596, abs=0.001)
    assert delta.ci.low > 5
    assert delta.n == 1060


def test_the_published_crossing_is_recovered(published):
    assert published.curve.last_gain == 10
    assert published.curve.first_loss == 61


def test_the_band_along_k_agrees_with_the_oracle(published):
    base, tuned = real("base.jsonl"), real("rl.jsonl")
    theirs = passk_inference.compare(base.correct, base.total, tuned.correct, tuned.total, bootstrap=4000)
    assert published.curve.deltas == pytest.approx([100 * d for d in theirs["mean"]], abs=1e-9)
    assert published.curve.critical == pytest.approx(theirs["critical_value"], abs=0.06)
    assert published.curve.low == pytest.approx([100 * d for d in theirs["lower"]], abs=0.04)


def test_the_gap_shrinks_where_mass_concentrates(published):
    assert published.find("delta_gap_at_k", 16).ci.high < 0


def test_a_gain_that_differs_between_slices_is_told(published):
    assert published.interaction[1] < 0.05
    assert set(published.interaction) == {1, 4, 8, 16}


def test_problems_lost_and_gained_are_named(published):
    base, tuned = real("base.jsonl"), real("rl.jsonl")
    solved_before = {i for i, c in zip(base.ids, base.correct, strict=True) if c}
    solved_after = {i for i, c in zip(tuned.ids, tuned.correct, strict=True) if c}
    assert set(published.lost) == solved_before - solved_after
    assert set(published.gained) == solved_after - solved_before
    assert len(published.lost) > len(published.gained) > 0


# what a pair must be


def test_one_file_against_itself_is_exactly_zero_with_width(arms):
    same = compare(counts(arms[0]), counts(arms[0]))
    for delta in same.deltas:
        assert delta.value == 0
        assert delta.degenerate
        assert delta.ci.low < 0 < delta.ci.high
    assert (same.curve.last_gain, same.curve.first_loss) == (None, None)
    assert all(low < 0 < high for low, high in zip(same.curve.low, same.curve.high, strict=True))
    assert {test.sign_flip for test in same.tests} == {1.0}
    assert same.gained == same.lost == ()


def test_swapping_the_arms_turns_every_sign(arms):
    there, back = (compare(counts(a), counts(b)) for a, b in (arms, arms[::-1]))
    for one, other in zip(there.deltas, back.deltas, strict=True):
        assert one.value == pytest.approx(-other.value)
        assert one.ci.high == pytest.approx(-other.ci.low, abs=0.2)
    assert there.gained == back.lost


def test_problems_are_paired_by_id_not_by_place(arms):
    base, tuned = arms
    ids = [f"p{i}" for i in range(120)]
    shuffled = compare(counts(base, ids=ids), counts(tuned[::-1], ids=ids[::-1]))
    assert shuffled.deltas == compare(counts(base), counts(tuned)).deltas


def test_unmatched_problems_are_refused_with_their_number():
    base, tuned = counts([1, 2, 3], ids=["a", "b", "c"]), counts([1, 2], ids=["a", "d"])
    with pytest.raises(InvalidInput, match=r"2 problems only in .* 1 only in .* 1 in both"):
        compare(base, tuned)


def test_unmatched_problems_are_counted_where_allowed():
    base, tuned = counts([1, 2, 3], ids=["a", "b", "c"]), counts([1, 2, 9], ids=["b", "a", "d"])
    found = compare(base, tuned, allow_unmatched=True)
    assert (found.problems, found.only_base, found.only_tuned) == (2, 1, 1)
    assert found.find("delta_pass_at_k", 1).value == pytest.approx(100 * ((2 - 1) + (1 - 2)) / 32)


def test_no_shared_problem_is_refused_even_where_unmatched_are_allowed():
    with pytest.raises(InvalidInput, match="0 in both"):
        compare(counts([1], ids=["a"]), counts([1], ids=["b"]), allow_unmatched=True)


def test_slices_that_disagree_are_refused():
    with pytest.raises(InvalidInput, match=r"'easy'.*'hard'"):
        compare(counts([1, 2], slices=["easy", "easy"]), counts([1, 2], slices=["easy", "hard"]))


def test_slices_named_in_one_file_are_enough(arms):
    found = compare(counts(arms[0], slices=["x", "y"] * 60), counts(arms[1]))
    assert found.slices == ("x", "y")


def test_one_cluster_is_refused():
    with pytest.raises(InvalidInput, match="one cluster"):
        compare(counts([1, 2], clusters=["a", "a"]), counts([2, 3]))


def test_a_slice_of_one_cluster_has_no_deltas_and_says_so():
    base = counts([1, 2, 3, 4], slices=["x", "x", "y", "y"], clusters=["a", "a", "b", "c"])
    found = compare(base, counts([2, 2, 4, 4]))
    assert found.find("delta_pass_at_k", 1, "x") is None
    assert any(note.startswith("slice x: no interval") for note in found.notes)


def test_arms_with_different_samples_each_use_their_own(arms):
    found = compare(counts(arms[0]), counts([min(8, c) for c in arms[1]], total=8))
    assert found.find("delta_pass_at_k", 16) is None
    assert found.find("delta_pass_at_k", 8).samples == 8
    assert found.curve.ks[-1] == 8
    assert any("different numbers of samples" in note for note in found.notes)


def test_a_single_pair_of_problems_is_answered_with_wide_intervals():
    found = compare(counts([3]), counts([9]))
    assert found.find("delta_pass_at_k", 1).ci.high - found.find("delta_pass_at_k", 1).ci.low > 100


def test_a_million_samples_draw_the_curve_on_fewer_k():
    n = 10**6
    found = compare(counts([1, n // 3, n], n), counts([1, n // 2, n], n))
    assert found.curve.ks[0] == 1
    assert found.curve.ks[-1] == n
    assert len(found.curve.ks) <= 512
    assert any("not on every k" in note for note in found.notes)


def test_the_battery_travels_with_every_delta(arms):
    found = compare(counts(arms[0]), counts(arms[1]), battery="E12")
    assert {delta.battery for delta in found.deltas} == {"E12"}


def test_same_input_and_seed_give_same_bytes(arms):
    once, again = (compare(counts(arms[0]), counts(arms[1]), seed=2).model_dump_json() for _ in range(2))
    assert once == again


# tests of no difference


def test_three_gains_out_of_three_have_one_chance_in_four():
    found = compare(counts([1, 2, 3]), counts([4, 5, 6]), resamples=20_000)
    assert found.tests[0].sign_flip == pytest.approx(1 / 4, abs=0.02)


def test_one_sample_each_gives_mcnemar():
    base, tuned = [0] * 12 + [1] * 20, [1] * 10 + [0] * 2 + [0] * 3 + [1] * 17
    test = compare(counts(base, 1), counts(tuned, 1)).tests[0]
    assert test.mcnemar == pytest.approx(binomtest(3, 13).pvalue)
    assert compare(counts([1, 2]), counts([2, 2])).tests[0].mcnemar is None


def test_a_clear_gain_has_a_small_p_and_chance_has_not(arms):
    assert compare(counts([2] * 60), counts([5] * 60)).tests[0].sign_flip < 0.001
    rng = np.random.default_rng(1)
    base, tuned = (rng.binomial(16, 0.5, 60).tolist() for _ in range(2))
    assert compare(counts(base), counts(tuned)).tests[0].sign_flip > 0.05


def test_no_interaction_where_slices_gain_alike():
    rng = np.random.default_rng(3)
    p_values = []
    for seed in range(40):
        p = rng.beta(1, 1, 80)
        base, tuned = rng.binomial(16, p), rng.binomial(16, p + 0.1 * (1 - p) * p)
        slices = ["x", "y", "z", "x"] * 20
        found = compare(counts(base.tolist(), slices=slices), counts(tuned.tolist()), seed=seed, resamples=200)
        p_values.append(found.interaction[1])
    assert np.mean(np.array(p_values) < 0.05) < 0.2


# how sure the problems are of a direction


def test_the_chance_turns_round_with_the_arms_and_repeats(arms):
    before, after = map(counts, arms)
    chance = chance_no_worse(before, after)
    assert chance == chance_no_worse(before, after)
    assert chance_no_worse(after, before) == pytest.approx(1 - chance, abs=0.03)


def test_the_chance_and_the_interval_agree(arms):
    before, after = map(counts, arms)
    for step in range(-3, 4):
        moved = counts([min(16, max(0, c + step)) for c in after.correct])
        delta, chance = compare(before, moved).find("delta_pass_at_k", 1), chance_no_worse(before, moved)
        assert (delta.ci.low > 0) == (chance > 0.975), step


def test_a_chance_is_never_certain():
    assert chance_no_worse(counts([0] * 200), counts([16] * 200)) == 0.999
    assert chance_no_worse(counts([16] * 200), counts([0] * 200)) == 0.001


def test_identical_results_have_no_chance(arms):
    assert chance_no_worse(counts(arms[0]), counts(arms[0])) is None


def test_problems_without_a_partner_have_no_chance_either():
    with pytest.raises(InvalidInput, match="the same problems on both sides"):
        chance_no_worse(counts([1, 2]), counts([1, 2, 3]))


def test_the_smallest_effect_that_would_be_seen_goes_by_the_interval(arms):
    """2.8 standard errors: 1.96 for the level and .84 for a power of 80%."""
    found = compare(counts(arms[0]), counts(arms[1]))
    ci = found.find("delta_pass_at_k", 1).ci
    assert found.detectable.value == pytest.approx(2.80 * (ci.high - ci.low) / (2 * 1.96), rel=0.01)


def test_an_effect_of_the_size_that_would_be_seen_is_mostly_seen():
    rng = np.random.default_rng(11)
    chances = rng.choice([0.2, 0.8], 200)
    effect = compare(*(counts(rng.binomial(16, chances).tolist()) for _ in range(2))).detectable.value / 100
    seen = 0
    for _ in range(100):
        before, after = rng.binomial(16, chances), rng.binomial(16, chances + effect)
        seen += compare(counts(before.tolist()), counts(after.tolist()), resamples=400).tests[0].sign_flip < 0.05
    assert 65 <= seen <= 95


# other machines


def floats(node: Any) -> Iterator[float]:
    if isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from floats(inner)
    elif isinstance(node, float):
        yield node


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the kernels are those of x86-64")
def test_the_kernels_of_another_machine_give_the_same_intervals_and_bands(tmp_path: Path) -> None:
    """Slices add up to the whole, so that the correlation of all rows is singular: noise there must not count."""
    rng = np.random.default_rng(3)
    chances = rng.beta(0.4, 1, 220)
    for name, now in (("base", chances), ("tuned", np.minimum(1, chances * 1.2))):
        rows = (f"p{i},{'ab'[i % 2]},16,{c}" for i, c in enumerate(rng.binomial(16, now)))
        (tmp_path / f"{name}.csv").write_text("\n".join(["problem_id,slice,n_samples,n_correct", *rows]) + "\n")
    command = [sys.executable, "-m", "tui.cli", "compare", str(tmp_path / "base.csv"), str(tmp_path / "tuned.csv")]
    first, second = (
        subprocess.run(
            [*command, "--json"],
            env=os.environ | {"OPENBLAS_CORETYPE": kernel, "PYTHONPATH": str(Path(__file__).parent.parent)},
            check=True,
            capture_output=True,
        ).stdout
        for kernel in ("Haswell", "Prescott")
    )
    assert list(floats(json.loads(first))) == pytest.approx(list(floats(json.loads(second))), rel=1e-9, abs=1e-9)
