"""The gate before a second round (SPEC section 7): closed unless every condition is shown to hold.

Each condition is named and says what was seen. The literal rule (separate intervals of base and round one do not
overlap) and the paired interval stand side by side: the first is what the rule book asks for, the second is the right
test for the same problems (DOMAIN 1.5). What is unknown counts as not met.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal, TypeGuard

from tools.errors import InvalidInput
from tools.judge.antipatterns import ProblemSet
from tools.judge.policy import Policy
from tools.judge.seal import Seal
from tools.records import OVERALL, Counts, Quantity, Record
from tools.stats import compare, passk


class Reading(Record):
    """One probe's answer (BAT-7), under the seal it was taken by."""

    probe: str
    answer: Literal["pass", "alert", "inconclusive"]
    seal: str


class RoundOne(Record):
    """What is known after round one and planned for round two; None is unknown.

    base, tuned: pass@1 of each with its interval. paired: delta of pass@1 in pp on the same problems. sampled_from: the
    checkpoint that round two samples. earlier: every pool and evaluation set that was used before.
    """

    seal: Seal | None = None
    base: Quantity | None = None
    tuned: Quantity | None = None
    paired: Quantity | None = None
    readings: tuple[Reading, ...] = ()
    checkpoint: str | None = None
    sampled_from: str | None = None
    pool: ProblemSet | None = None
    evaluation: ProblemSet | None = None
    earlier: tuple[ProblemSet, ...] = ()


def shown(base: Counts, tuned: Counts, seal: Seal | None, readings: tuple[Reading, ...]) -> RoundOne:
    """What round one shows, from the counts of both models on the same problems; round two is left unknown."""
    return RoundOne(
        seal=seal,
        base=passk.table(base, (1,)).find("pass_at_k", 1),
        tuned=passk.table(tuned, (1,)).find("pass_at_k", 1),
        paired=compare.compare(base, tuned, (1,)).find("delta_pass_at_k", 1),
        readings=readings,
    )


PLANNED = ("checkpoint", "sampled_from", "pool", "evaluation", "earlier")


def planned(facts: RoundOne, data: bytes, name: str) -> RoundOne:
    """The facts with what a JSON file says of round two. Raises InvalidInput for anything but PLANNED.

    What round one showed is measured; a file cannot say it.
    """
    try:
        told = json.loads(data)
        if not isinstance(told, dict) or not set(told) <= set(PLANNED):
            raise InvalidInput("says other things than round two's", f"an object with {', '.join(PLANNED)}", where=name)
        return RoundOne.model_validate({**facts.model_dump(), **told})
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"cannot be used ({error})", f"JSON with {', '.join(PLANNED)}", where=name) from error


class Condition(Record):
    """One condition of a gate: whether it is met, and what was seen."""

    name: str
    met: bool
    seen: str


class GateResult(Record):
    """A gate's answer: open only if all conditions are met."""

    conditions: tuple[Condition, ...]

    @property
    def open(self) -> bool:
        """Whether everything that had to be shown was shown; nothing to show opens no gate."""
        return bool(self.conditions) and all(condition.met for condition in self.conditions)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the conditions that keep the gate closed."""
        return tuple(condition.name for condition in self.conditions if not condition.met)


def round_two(facts: RoundOne, policy: Policy | None = None) -> GateResult:
    """Whether a second round may start. The lift asked for is the sealed one; without a seal the gate stays closed."""
    policy = policy or Policy()
    return GateResult(conditions=tuple(_conditions(facts, policy)))


def _conditions(facts: RoundOne, policy: Policy) -> Iterator[Condition]:
    yield _condition("sealed", facts.seal is not None and facts.seal.intact, "the terms are the ones that were hashed")
    yield _condition("lift", _lift(facts, policy), "the paired lift reaches the sealed minimum")
    yield _condition("intervals_apart", _apart(facts), "the intervals of base and round one do not overlap")
    yield _condition("paired_interval", _above_zero(facts), "the paired interval lies above zero")
    yield _condition("battery", _battery(facts), "every sealed probe passes, read under this seal")
    own = facts.checkpoint is not None and facts.sampled_from == facts.checkpoint
    yield _condition("own_samples", own, "samples come from the round-one checkpoint")
    yield _condition("fresh_pool", _fresh(facts.pool, facts, facts.evaluation), "the prompt pool was never used")
    yield _condition("fresh_evaluation", _fresh(facts.evaluation, facts, facts.pool), "the held-out slice is fresh")


def _condition(name: str, met: bool, meaning: str) -> Condition:
    return Condition(name=name, met=met, seen=meaning if met else f"not shown: {meaning}")


def _lift(facts: RoundOne, policy: Policy) -> bool:
    asked = facts.seal.terms.round_two_lift_min_pp if facts.seal else policy.round_two_lift_min_pp
    return _is_lift(facts.paired) and round(facts.paired.value, 9) >= asked


def _is_lift(delta: Quantity | None) -> TypeGuard[Quantity]:
    """A delta of pass@1 over the whole set, in pp; anything else is no lift."""
    if delta is None:
        return False
    return (delta.metric, delta.k, delta.unit, delta.slice) == ("delta_pass_at_k", 1, "pp", OVERALL)


def _apart(facts: RoundOne) -> bool:
    base, tuned = facts.base, facts.tuned
    if base is None or tuned is None or base.ci is None or tuned.ci is None:
        return False
    same = (base.metric, base.k, base.unit, base.slice) == (tuned.metric, tuned.k, tuned.unit, tuned.slice)
    return same and tuned.ci.low > base.ci.high


def _above_zero(facts: RoundOne) -> bool:
    return _is_lift(facts.paired) and facts.paired.ci is not None and facts.paired.ci.low > 0


def _battery(facts: RoundOne) -> bool:
    """Every probe of the seal has been read, and nothing read under this seal or another says otherwise."""
    if facts.seal is None:
        return False
    passed = {reading.probe for reading in facts.readings if reading.answer == "pass"}
    clean = all(reading.answer == "pass" and reading.seal == facts.seal.sha256 for reading in facts.readings)
    return clean and passed >= facts.seal.terms.tolerances.keys()


def _fresh(found: ProblemSet | None, facts: RoundOne, other: ProblemSet | None) -> bool:
    """Whether a set is known by content and meets none of the earlier ones, nor the round's other set."""
    if found is None or not facts.earlier or not (found.ids or found.fingerprints):
        return False
    return not any(found.meets(used) for used in (*facts.earlier, *([other] if other else [])))
