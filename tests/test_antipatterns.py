"""The rules that refuse: each breaks on what it names, and only on that."""

from typing import Any, get_args

import pytest

from tools.errors import AntiPattern
from tools.judge.antipatterns import ELSEWHERE, RULES, SAFETY, PlanFacts, ProblemSet, check, fingerprint
from tools.judge.policy import Policy
from tools.records import Pattern

POOL = ProblemSet(name="pool", sha256="a", ids=("p1", "p2"), fingerprints=(fingerprint("Sort a list."),))
HELDOUT = ProblemSet(name="held-out", sha256="b", ids=("h1",), fingerprints=(fingerprint("Merge two heaps."),))
SOUND = PlanFacts(
    pool=POOL,
    evaluation=HELDOUT,
    passk=True,
    minimal=True,
    filters=(),
    mix=0.2,
    lora_rank=64,
    rank_piloted=False,
    rounds=1,
    battery_between_rounds=False,
    probes=("self_bleu", *SAFETY),
    battery_defined="before_training",
    rollback=True,
    promoted_round=1,
    round_two_gate_open=False,
)
BREAKS: list[tuple[str, dict[str, Any]]] = [
    ("pool_from_eval", {"pool": HELDOUT.model_copy(update={"sha256": "c", "fingerprints": ()})}),
    ("pool_from_eval", {"pool": ProblemSet(name="copy", sha256="b")}),
    ("pool_from_eval", {"pool": ProblemSet(name="x", fingerprints=(fingerprint("merge  two\nHEAPS."),))}),
    ("same_set_eval", {"evaluated_on": "training_prompts"}),
    ("skip_passk", {"passk": False}),
    ("skip_battery", {"probes": ()}),
    ("skip_battery", {"battery_defined": "after_training"}),
    ("skip_safety_probe", {"probes": ("self_bleu",)}),
    ("skip_safety_probe", {"probes": ("self_bleu", *SAFETY[:1])}),
    ("blurred_filtering", {"filters": ("parses",)}),
    ("heavy_mix", {"mix": 0.21}),
    ("low_rank_unmeasured", {"lora_rank": 63}),
    ("blind_iteration", {"rounds": 2}),
    ("blind_iteration", {"rounds": 2, "battery_between_rounds": True, "reported": "last_round"}),
    ("promote_round2", {"promoted_round": 2}),
    ("ship_without_rollback", {"rollback": False}),
]
PASSES: list[dict[str, Any]] = [
    {},
    {"filters": ("verifier_accepted",), "minimal": False},
    {"lora_rank": 8, "rank_piloted": True},
    {"lora_rank": None},
    {"rounds": 3, "battery_between_rounds": True},
    {"promoted_round": 2, "round_two_gate_open": True},
    {"pool": ProblemSet(name="unknown"), "evaluation": ProblemSet(name="unknown")},
]


def test_every_pattern_of_the_specification_is_a_rule_or_lives_elsewhere_for_a_reason() -> None:
    assert set(get_args(Pattern)) == RULES.keys() | ELSEWHERE.keys()
    assert not RULES.keys() & ELSEWHERE.keys()
    assert all(len(reason) > 20 for reason in ELSEWHERE.values())


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {pattern for pattern, _ in BREAKS} == RULES.keys()


@pytest.mark.parametrize(("pattern", "change"), BREAKS)
def test_a_broken_rule_is_named(pattern: str, change: dict[str, Any]) -> None:
    with pytest.raises(AntiPattern) as caught:
        check(SOUND.model_copy(update=change))
    assert caught.value.pattern == pattern
    assert not isinstance(caught.value, ValueError)


@pytest.mark.parametrize("change", PASSES)
def test_right_practice_passes(change: dict[str, Any]) -> None:
    check(SOUND.model_copy(update=change))


def test_thresholds_are_the_policys() -> None:
    check(SOUND.model_copy(update={"mix": 0.3}), Policy(mix_max=0.3))
    with pytest.raises(AntiPattern):
        check(SOUND, Policy(lora_rank_min=128))
