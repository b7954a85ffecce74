"""What cannot be built, however it was asked for (SPEC AP-2): one rule per anti-pattern, over plain facts of a plan.

A rule returns what it saw, or None. `check` raises AntiPattern for the first one that saw something. The four patterns
that are no property of a plan are named in `ELSEWHERE`, each with the place that refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tools.errors import AntiPattern
from tools.judge.policy import Policy
from tools.records import Fraction, Pattern, Record
from tools.store import digest

SAFETY = ("over_refusal", "unsafe_compliance")


class ProblemSet(Record):
    """Problems by name and content: the file's sha256, their ids, and fingerprints of their texts, as far as known."""

    name: str
    sha256: str | None = None
    ids: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()

    def meets(self, other: ProblemSet) -> bool:
        """Whether the two are one file or share a problem, as far as is known of them."""
        same_file = self.sha256 is not None and self.sha256 == other.sha256
        pairs = ((self.ids, other.ids), (self.fingerprints, other.fingerprints))
        return same_file or any(set(mine) & set(theirs) for mine, theirs in pairs)


def fingerprint(prompt: str) -> str:
    """sha256 of a prompt without regard to case and spacing."""
    return digest(" ".join(prompt.casefold().split()))


class PlanFacts(Record):
    """What the rules look at. `passk` is whether any k above one is evaluated, `minimal` what the arm claims to be."""

    pool: ProblemSet
    evaluation: ProblemSet
    evaluated_on: Literal["heldout", "training_prompts"] = "heldout"
    passk: bool
    minimal: bool
    filters: tuple[str, ...]
    mix: Fraction
    lora_rank: int | None
    rank_piloted: bool
    rounds: int
    battery_between_rounds: bool
    reported: Literal["every_round", "last_round"] = "every_round"
    probes: tuple[str, ...]
    battery_defined: Literal["before_training", "after_training", "never"]
    rollback: bool
    promoted_round: int
    round_two_gate_open: bool


Rule = Callable[[PlanFacts, Policy], str | None]
RULES: dict[Pattern, Rule] = {}

ELSEWHERE: dict[Pattern, str] = {
    "always_ssd": "a claim in conversation; in code, a plan exists only under a GO verdict (plan.design)",
    "never_ssd": "a claim in conversation; in code, nothing but the verdict rules a move out",
    "bare_gain": "a way to report; a delta without interval, n and battery is no Quantity (tools.records)",
    "assumed_numbers": "a way to state facts; a stated fact without words or a measured one without bytes is no Draft",
}
"""Patterns of speech: no plan can embody them, so another type refuses their counterpart."""


def rule(pattern: Pattern) -> Callable[[Rule], Rule]:
    """Register the rule of a pattern."""

    def register(found: Rule) -> Rule:
        RULES[pattern] = found
        return found

    return register


def check(facts: PlanFacts, policy: Policy | None = None) -> None:
    """Raise AntiPattern, with the pattern's id, for the first rule that the facts break."""
    policy = policy or Policy()
    for pattern, found in RULES.items():
        if seen := found(facts, policy):
            raise AntiPattern(pattern, seen, where="plan")


@rule("pool_from_eval")
def pool_from_eval(facts: PlanFacts, policy: Policy) -> str | None:
    """Prompts for training that are problems of the evaluation."""
    met = facts.pool.meets(facts.evaluation)
    return "the prompt pool and the evaluation set share problems; take prompts from elsewhere" if met else None


@rule("same_set_eval")
def same_set_eval(facts: PlanFacts, policy: Policy) -> str | None:
    """Evaluation on what was trained on."""
    same = facts.evaluated_on == "training_prompts"
    return "the evaluation runs on the training prompts; hold problems out" if same else None


@rule("skip_passk")
def skip_passk(facts: PlanFacts, policy: Policy) -> str | None:
    """No pass@k: a loss of diversity could not be seen."""
    return None if facts.passk else "no k above one is evaluated; a loss of diversity could not be seen"


@rule("skip_battery")
def skip_battery(facts: PlanFacts, policy: Policy) -> str | None:
    """No probes, or probes chosen once the result was known."""
    if facts.probes and facts.battery_defined == "before_training":
        return None
    return "the battery is not defined before training; define and seal it first"


@rule("skip_safety_probe")
def skip_safety_probe(facts: PlanFacts, policy: Policy) -> str | None:
    """No probe for refusals and unsafe compliance."""
    lacking = [name for name in SAFETY if name not in facts.probes]
    lacks = f"the battery lacks {' and '.join(lacking)}; benign tuning on code moves refusals too"
    return lacks if lacking else None


@rule("blurred_filtering")
def blurred_filtering(facts: PlanFacts, policy: Policy) -> str | None:
    """Rows are dropped under the name of an arm that drops none."""
    if not (facts.filters and facts.minimal):
        return None
    return f"the minimal arm drops nothing, and this one applies {', '.join(facts.filters)}; name it after that"


@rule("heavy_mix")
def heavy_mix(facts: PlanFacts, policy: Policy) -> str | None:
    """More base-like data than an anchor needs."""
    if facts.mix <= policy.mix_max:
        return None
    return f"{facts.mix:.0%} of the rows are base-like, above {policy.mix_max:.0%}; diagnose the sampling instead"


@rule("low_rank_unmeasured")
def low_rank_unmeasured(facts: PlanFacts, policy: Policy) -> str | None:
    """A LoRA rank that nobody has compared with a higher one or with full fine-tuning."""
    if facts.lora_rank is None or facts.lora_rank >= policy.lora_rank_min or facts.rank_piloted:
        return None
    return f"LoRA rank {facts.lora_rank} is below {policy.lora_rank_min} without a pilot; run one or raise the rank"


@rule("blind_iteration")
def blind_iteration(facts: PlanFacts, policy: Policy) -> str | None:
    """Several rounds with nothing measured between them, or only the last one told."""
    if facts.rounds == 1 or (facts.battery_between_rounds and facts.reported == "every_round"):
        return None
    return f"{facts.rounds} rounds without battery and report after each; stop after every round and look"


@rule("promote_round2")
def promote_round2(facts: PlanFacts, policy: Policy) -> str | None:
    """A later round goes out although its gate is not open."""
    if facts.promoted_round == 1 or facts.round_two_gate_open:
        return None
    return f"round {facts.promoted_round} would be promoted while its gate is closed; keep round 1"


@rule("ship_without_rollback")
def ship_without_rollback(facts: PlanFacts, policy: Policy) -> str | None:
    """No way back."""
    return None if facts.rollback else "there is no rollback; a promotion needs a way back that was tried"
