"""The precondition: what refuses, what decides, where it leads. Properties over random workloads close the file."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories import FLAT, SHARP_ON_HARD, write_counts
from workloads import rates, without, workload

from tools.errors import InvalidInput
from tools.judge.policy import Policy
from tools.judge.verdict import REQUIRED, ROUTES, as_contract, decide, missing, read_workload
from tools.measure import imports
from tools.records import PassTable, Verdict
from tools.stats import passk


def judge(obj: dict[str, Any], policy: Policy | None = None) -> Verdict:
    return decide(read_workload(obj), None, policy)


def refused(obj: dict[str, Any]) -> list[str]:
    verdict = judge(obj)
    assert verdict.verdict == "REFUSE"
    return as_contract(verdict)["missing"]


def table(tmp_path, story: dict[str, list[int]]) -> PassTable:
    path = write_counts(tmp_path / "counts.jsonl", story)
    return passk.table(imports.read(path.read_bytes(), path.name).counts, resamples=2000)


# what refuses


@pytest.mark.parametrize("name", REQUIRED)
def test_each_required_field_is_asked_for_by_name_with_why_and_how(name: str) -> None:
    obj = without(workload(), name)
    assert refused(obj) == [name]
    (gap,) = missing(read_workload(obj))
    assert re.fullmatch("IN-[1-6]", gap.group)
    assert gap.why.endswith(".")
    assert gap.how.endswith(".")
    assert "{" not in gap.how


@pytest.mark.parametrize("part", ["sampling", "finetune", "eval"])
def test_each_part_of_the_budget_is_asked_for(part: str) -> None:
    assert refused(without(workload(), f"gpu_hours.{part}")) == [f"gpu_hours.{part}"]


@pytest.mark.parametrize("k", ["4", "8", "16"])
def test_a_missing_k_refuses(k: str) -> None:
    assert refused(without(workload(), f"pass_at_k.{k}")) == ["pass_at_k"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"contamination_checked": False}, "contamination_checked"),
        ({"heldout_disjoint_from_pool": False}, "heldout_disjoint_from_pool"),
        ({"same_decoding_for_all_k": False}, "same_decoding_for_all_k"),
        ({"samples_per_problem": 8}, "samples_per_problem"),
        ({"contaminated_fraction": 0.02}, "contaminated_fraction"),
        ({"pass_at_k": {"4": 0.6, "8": 0.58, "16": 0.66}}, "pass_at_k"),
        ({"pass_at_1": 0.7}, "pass_at_k"),
        ({"slices": {"a": rates(300, 0.43, 0.66), "b": rates(200, 0.43, 0.66)}}, "slices"),
        ({"slices": {"a": rates(200, 0.8, 0.9), "b": rates(200, 0.7, 0.9)}}, "slices"),
        ({"slices": {"overall": rates(400, 0.43, 0.66)}}, "slices"),
        ({"slices": {"a": {"n": 400, "pass_at_1": 0.43}}}, "slices.a"),
    ],
)
def test_unusable_diagnostics_refuse_and_say_which(change: dict[str, Any], field: str) -> None:
    assert field in refused(workload(**change))


def test_fewer_than_two_hundred_problems_refuse_and_two_hundred_do_not() -> None:
    assert refused(workload(n=199)) == ["heldout_n"]
    assert judge(workload(n=200)).verdict == "GO-SSD"


def test_every_gap_in_the_facts_is_listed_at_once() -> None:
    assert refused({}) == list(REQUIRED)


def test_a_refusal_shows_no_figures() -> None:
    verdict = judge(without(workload(), "comparator"))
    assert (verdict.gaps, verdict.passes, verdict.slices, verdict.resolution) == ((), (), {}, None)


def test_slices_that_leave_problems_out_may_average_to_the_whole_with_them() -> None:
    assert judge(workload(slices={"a": rates(200, 0.8, 0.9)})).verdict == "GO-SSD"
    assert "slices" in refused(workload(slices={"a": rates(390, 0.1, 0.2)}))


def test_a_verdict_is_withheld_where_the_grader_errs_more_than_the_gap_is_wide() -> None:
    assert refused(workload(0.43, 0.49, grader_noise=0.061)) == ["grader_noise"]
    assert judge(workload(0.43, 0.49, grader_noise=0.06)).verdict == "GO-SSD"
    assert judge(workload(0.43, 0.66, grader_noise=0.061)).verdict == "GO-SSD"


# what decides


def test_a_gap_of_exactly_five_points_meets_the_rule_whatever_the_floats_say() -> None:
    assert judge(workload(0.43, 0.48)).verdict == "GO-SSD"
    assert judge(workload(0.43, 0.479)).verdict == "GO-OTHER"


def test_the_point_estimate_decides_and_an_open_interval_makes_the_go_provisional() -> None:
    verdict = judge(workload(0.43, 0.49))
    assert (verdict.verdict, verdict.resolution, verdict.provisional) == ("GO-SSD", "unresolved", True)
    assert verdict.problems_to_resolve is not None
    assert verdict.problems_to_resolve > 400


def test_an_open_interval_below_the_rule_asks_for_problems_and_pilots_nothing() -> None:
    verdict = judge(workload(0.43, 0.47))
    assert (verdict.verdict, verdict.resolution, verdict.provisional) == ("GO-OTHER", "unresolved", False)
    assert verdict.problems_to_resolve is not None


def test_a_strict_policy_lets_the_lower_bound_decide() -> None:
    close, clear = workload(0.43, 0.49), workload(0.43, 0.66)
    assert judge(close, Policy(strict=True)).verdict == "GO-OTHER"
    assert judge(clear, Policy(strict=True)).verdict == "GO-SSD"


def test_a_gap_on_the_threshold_has_no_number_that_would_resolve_it() -> None:
    assert judge(workload(0.43, 0.48)).problems_to_resolve is None


def test_it_is_said_when_only_the_largest_k_clears() -> None:
    late = workload(0.43, 0.49, pass_at_k={"4": 0.44, "8": 0.46, "16": 0.49})
    late["slices"] = {"all": {"n": 400, "pass_at_1": 0.43, "pass_at_k": late["pass_at_k"]}}
    assert judge(late).only_largest_k_clears
    assert not judge(workload(0.43, 0.66)).only_largest_k_clears


def test_a_hard_slice_is_go_while_an_easy_one_is_not() -> None:
    slices = {"hard": rates(180, 0.267, 0.356), "easy": rates(180, 0.952, 0.973)}
    verdict = judge(workload(0.6095, 0.6645, 360, slices=slices))
    assert verdict.slices["hard"].verdict == "GO-SSD"
    assert (verdict.slices["easy"].verdict, verdict.slices["easy"].other) == ("GO-OTHER", "do_nothing")
    assert verdict.verdict == "GO-SSD"


def test_a_slice_may_carry_ssd_although_the_whole_does_not() -> None:
    slices = {"hard": rates(40, 0.2, 0.4), "easy": rates(360, 0.7, 0.71)}
    verdict = judge(workload(0.65, 0.679, slices=slices))
    assert verdict.verdict == "GO-OTHER"
    assert verdict.slices["hard"].verdict == "GO-SSD"
    assert any("although the whole does not" in warning for warning in verdict.warnings)


def test_a_slice_below_thirty_problems_gets_no_verdict() -> None:
    slices = {"tiny": rates(29, 0.43, 0.66), "small": rates(30, 0.43, 0.66)}
    found = judge(workload(slices=slices)).slices
    assert (found["tiny"].verdict, found["small"].verdict) == (None, "GO-SSD")


def test_measured_figures_replace_stated_ones(tmp_path) -> None:
    stated = read_workload(workload(0.43, 0.66))
    verdict = decide(stated, table(tmp_path, SHARP_ON_HARD))
    assert verdict.basis == "measured"
    gap = {q.slice: q.value for q in verdict.gaps if q.k == 16}
    assert gap["hard"] == pytest.approx(100 * 32 * 0.5 / 180)
    assert gap["easy"] == pytest.approx(100 * 15 * 0.25 / 180)
    assert decide(stated, table(tmp_path, FLAT)).verdict == "GO-OTHER"


def test_counts_supply_what_they_show_and_nothing_else(tmp_path) -> None:
    bare = workload()
    for name in ("heldout_n", "samples_per_problem", "same_decoding_for_all_k", "pass_at_1", "pass_at_k", "slices"):
        bare = without(bare, name)
    measured = table(tmp_path, SHARP_ON_HARD)
    assert missing(read_workload(bare), measured) == ()
    assert [m.field for m in missing(read_workload(without(bare, "comparator")), measured)] == ["comparator"]


def test_counts_with_too_few_samples_refuse(tmp_path) -> None:
    (tmp_path / "c.jsonl").write_text("".join(f'{{"id": "{i}", "c": 2, "n": 8, "slice": "s"}}\n' for i in range(300)))
    counts = imports.read((tmp_path / "c.jsonl").read_bytes(), "c.jsonl").counts
    found = {m.field for m in missing(read_workload(workload()), passk.table(counts, resamples=500))}
    assert found == {"pass_at_k", "slices.s"}


# where it leads

RICH = {"sampling": 800, "finetune": 900, "eval": 50}
LEADS = [
    ("ceiling", workload(0.93, 0.96, verifier="unit_tests"), "GO-OTHER", "do_nothing"),
    ("floor", workload(0.01, 0.04, verifier="unit_tests"), "GO-OTHER", "sft_external"),
    ("second_round", workload(prior_ssd_rounds=1), "GO-OTHER", "do_nothing"),
    ("verifier_and_budget", workload(0.4, 0.42, verifier="unit_tests", gpu_hours=RICH), "GO-OTHER", "grpo"),
    ("verifier", workload(0.4, 0.42, verifier="unit_tests"), "GO-OTHER", "rejection_sampling"),
    ("style", workload(0.4, 0.42, preference_pairs=4000, comparator="dpo"), "GO-OTHER", "dpo"),
    ("no_gap", workload(0.4, 0.42), "GO-OTHER", "sft_external"),
    ("nearly_all_wrong", workload(0.05, 0.3, verifier="unit_tests"), "GO-VERIFIER-AWARE-SSD", None),
    ("gap", workload(0.43, 0.66, verifier="unit_tests"), "GO-SSD", None),
]


def test_every_row_of_the_routing_table_has_a_case() -> None:
    assert [name for name, *_ in LEADS] == [route.name for route in ROUTES]


@pytest.mark.parametrize(("name", "obj", "verdict", "other"), LEADS)
def test_each_row_leads_where_it_says(name: str, obj: dict[str, Any], verdict: str, other: str | None) -> None:
    found = judge(obj)
    assert (found.verdict, found.other) == (verdict, other)
    assert next(route.why for route in ROUTES if route.name == name) in found.why


@pytest.mark.parametrize(
    ("obj", "verdict", "other"),
    [
        (workload(0.92, 0.98), "GO-SSD", None),
        (workload(0.05, 0.3), "GO-SSD", None),
        (workload(0.05, 0.3, verifier="unit_tests", verifier_acceptance=0), "GO-SSD", None),
        (workload(0.4, 0.42, preference_pairs=20, comparator="dpo"), "GO-OTHER", "sft_external"),
        (workload(0.4, 0.42, preference_pairs=4000), "GO-OTHER", "sft_external"),
        (workload(0.4, 0.42, preference_pairs=4000, purpose="code style of our reviews"), "GO-OTHER", "dpo"),
        (workload(0.43, 0.66, preference_pairs=4000, comparator="dpo"), "GO-SSD", None),
        (workload(0.05, 0.3, verifier="unit_tests", prior_ssd_rounds=2), "GO-OTHER", "do_nothing"),
        (workload(0.0, 0.0), "GO-OTHER", "sft_external"),
        (workload(1.0, 1.0), "GO-OTHER", "do_nothing"),
    ],
)
def test_corners(obj: dict[str, Any], verdict: str, other: str | None) -> None:
    found = judge(obj)
    assert (found.verdict, found.other) == (verdict, other)


def test_why_leads_with_the_hypothesis_says_what_is_not_shown_and_holds_no_digit() -> None:
    for _, obj, *_ in LEADS:
        found = judge(obj)
        assert found.why.startswith("The hypothesis")
        assert "does not show" in found.why
        said = [found.why, *(part.why for part in found.slices.values())]
        assert not [text for text in said if re.search(r"\d", text)]


def test_slices_that_leave_problems_out_are_a_warning() -> None:
    whole = workload()
    parts = {name: part | {"n": part["n"] // 2} for name, part in whole["slices"].items()}
    said = "The slices hold fewer problems than the whole set"
    assert not any(said in warning for warning in judge(whole).warnings)
    assert any(said in warning for warning in judge(whole | {"slices": parts}).warnings)


def test_a_missing_rollback_is_a_warning_not_a_verdict() -> None:
    found = judge(workload(has_rollback=False))
    assert found.verdict == "GO-SSD"
    assert any("rollback" in warning for warning in found.warnings)


# the batch contract


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"pass_at_1": 43}, "pass_at_1"),
        ({"pass_at_k": {"4": 0.5, "8": 61, "16": 0.7}}, "pass_at_k.8"),
        ({"pass_at_1": True}, "pass_at_1"),
        ({"heldout_n": "many"}, "heldout_n"),
        ({"slices": ["easy"]}, "slices"),
        ({"slices": {"easy": {"n": 200, "pass_at_1": 70}}}, "slices.easy.pass_at_1"),
        ({"slices": {"easy": 3}}, "slices.easy"),
        ({"gpu_hours": 560}, "gpu_hours"),
        ({"gpu_hours": {"eval": -1}}, "gpu_hours.eval"),
        ({"comparator": "hope"}, "comparator"),
        ({"pass_at_1": float("nan")}, "pass_at_1"),
        ({"verifier_acceptance": 12}, "verifier_acceptance"),
    ],
)
def test_a_malformed_object_names_the_key(change: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_workload(workload(**change))
    assert caught.value.where == key


def test_null_is_unknown_and_foreign_keys_are_passed_over() -> None:
    assert read_workload(workload(verifier=None, preference_pairs=None, note="x")).verifier is None
    assert refused(workload(slices=None)) == ["slices"]


def test_the_contract_has_its_seven_keys_and_is_json() -> None:
    found = as_contract(judge(workload()))
    assert list(found) == ["verdict", "other", "resolution", "missing", "slices", "gap", "why"]
    assert found["gap"]["value"] == found["gap"]["16"]["value"] == pytest.approx(23)
    assert set(found["slices"]["all"]) == {"verdict", "other", "resolution", "gap", "why"}
    json.dumps(found, allow_nan=False)


# properties

fraction = st.floats(0, 1, allow_nan=False).map(lambda x: round(x, 3))


@st.composite
def workloads(draw: st.DrawFn) -> dict[str, Any]:
    """Complete workloads with any rates, sizes and optional facts, usable or not."""
    first, largest = draw(fraction), draw(fraction)
    optional = {
        "verifier": draw(st.sampled_from([None, "none", "unit_tests", "type_checker"])),
        "preference_pairs": draw(st.sampled_from([None, 0, 5000])),
        "comparator": draw(st.sampled_from(["dpo", "grpo", "sft_external"])),
        "prior_ssd_rounds": draw(st.sampled_from([None, 0, 1])),
        "contamination_checked": draw(st.booleans()),
        "same_decoding_for_all_k": draw(st.booleans()),
        "samples_per_problem": draw(st.sampled_from([8, 16, 64])),
    }
    return workload(first, largest, draw(st.integers(1, 3000)), **optional)


@given(workloads(), st.data())
def test_removing_a_field_never_turns_a_refusal_into_a_plan(obj: dict[str, Any], data: st.DataObject) -> None:
    if judge(obj).verdict == "REFUSE":
        fields = [*obj, "pass_at_k.16", "gpu_hours.eval", "slices.all", "slices.all.n", "slices.all.pass_at_1"]
        assert judge(without(obj, data.draw(st.sampled_from(fields)))).verdict == "REFUSE"


@given(workloads())
def test_a_verdict_always_comes_and_a_go_rests_on_a_gap(obj: dict[str, Any]) -> None:
    found = judge(obj)
    as_contract(found)
    assert (found.verdict == "REFUSE") == bool(found.missing)
    if found.verdict in ("GO-SSD", "GO-VERIFIER-AWARE-SSD"):
        gap = next(q for q in found.gaps if q.k == found.deciding_k)
        assert gap.value >= 5
        assert gap.ci is not None
        assert gap.ci.low <= gap.value <= gap.ci.high


@given(st.floats(0.1, 0.6), st.floats(0, 0.35), st.floats(0, 0.2))
def test_a_larger_gap_never_turns_a_go_away(first: float, gap: float, more: float) -> None:
    small, large = judge(workload(first, first + gap)), judge(workload(first, min(1.0, first + gap + more)))
    if small.verdict == "GO-SSD":
        assert large.verdict == "GO-SSD"


@given(st.floats(0, 0.9), st.floats(0, 0.5))
def test_whoever_passes_the_strict_policy_passes_the_usual_one(first: float, gap: float) -> None:
    obj = workload(first, min(1.0, first + gap))
    if judge(obj, Policy(strict=True)).verdict.endswith("SSD"):
        assert judge(obj).verdict.endswith("SSD")


@pytest.mark.parametrize("k", ["0", "-4", "k"])
def test_a_k_that_counts_no_samples_is_refused_by_its_key(k: str) -> None:
    with pytest.raises(InvalidInput, match="k as a whole number"):
        read_workload(workload(pass_at_k={k: 0.4}))


@pytest.mark.parametrize("n", [10**30, 10**400])
def test_more_problems_than_anyone_can_hold_are_refused_by_their_key(n: int) -> None:
    with pytest.raises(InvalidInput, match="heldout_n"):
        read_workload(workload(heldout_n=n))
