"""The precondition: is there a gap, and which move does it carry. SPEC PRE-1 to PRE-6, in code that can be read aloud.

`missing` names every fact that is not in or cannot be used; while it names one, the verdict is REFUSE. `ROUTES` is the
routing table: the first row that applies decides, for the whole set and for each slice alike. Measured figures replace
stated ones; stated ones get the widest interval their size allows. Words hold no figures: those are in `gaps` and
`passes`, and every threshold is a named value of the policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from tools.errors import InvalidInput
from tools.judge.policy import Policy
from tools.records import (
    KS,
    OVERALL,
    GpuHours,
    Missing,
    OtherMove,
    PassTable,
    Quantity,
    Record,
    Resolution,
    SliceFacts,
    SliceVerdict,
    Verdict,
    VerdictName,
    Workload,
)
from tools.stats import intervals, power

LARGEST_K = max(KS)


# what must be known


class Need(Record):
    """One required field: its group of the intake, why it matters, how to produce it."""

    group: str
    why: str
    how: str


REQUIRED: dict[str, Need] = {
    "model": Need(
        group="IN-1",
        why="Everything that follows is about one checkpoint.",
        how="Give the exact name and revision of the checkpoint you would train.",
    ),
    "parameter_count": Need(
        group="IN-1",
        why="It decides what a run costs and which way of fine-tuning fits the machines.",
        how="Read it from the model card or the config.",
    ),
    "license": Need(
        group="IN-1",
        why="Some licences forbid training on a model's own output or serving the result.",
        how="Copy the licence's name from the model card.",
    ),
    "context_length": Need(
        group="IN-1",
        why="An answer cut off at the limit is graded wrong, which looks like a missing skill.",
        how="Say how many tokens prompt and answer had together when you measured.",
    ),
    "languages": Need(
        group="IN-2",
        why="The published evidence is almost all Python; elsewhere the method is untested.",
        how="List the programming languages the model has to write.",
    ),
    "problem_distribution": Need(
        group="IN-2",
        why="A gap on contest problems says nothing about edits in a repository.",
        how="Choose: algorithmic, fill_in_the_middle, repo_edit, bug_fix, competitive or other.",
    ),
    "purpose": Need(
        group="IN-2",
        why="The product surface decides which slice matters and what a regression would cost.",
        how="Say in a sentence where users meet the model's answers.",
    ),
    "heldout_n": Need(
        group="IN-3",
        why="The problem is the unit of inference: its number decides how much the gap can say.",
        how="Count the held-out problems; the rule asks for at least {policy.heldout_min:,}.",
    ),
    "samples_per_problem": Need(
        group="IN-3",
        why="pass@k cannot be estimated from fewer than k samples of a problem.",
        how=f"Say how many samples each problem got; pass@{LARGEST_K} takes {LARGEST_K}, twice as many steady it.",
    ),
    "contamination_checked": Need(
        group="IN-3",
        why="On problems the model has seen, pass@k measures memory.",
        how="Compare the held-out set with training data and pool, by exact match and by n-grams; keep the log.",
    ),
    "heldout_disjoint_from_pool": Need(
        group="IN-3",
        why="Training on an evaluation prompt leaks it, even without its answer.",
        how="Compare the two sets by id and by normalised text; remove what they share from the pool.",
    ),
    "same_decoding_for_all_k": Need(
        group="IN-3",
        why="A greedy pass@1 beside a sampled pass@k makes a gap out of the decoding.",
        how="Estimate pass@1 and every pass@k from the same samples at one temperature and truncation.",
    ),
    "pass_at_1": Need(
        group="IN-3",
        why="The gap starts here.",
        how="Average the share of correct samples over the held-out problems, or attach the counts.",
    ),
    "pass_at_k": Need(
        group="IN-3",
        why="Without it nobody knows whether right answers are in reach of sampling, which is the whole question.",
        how="Compute pass@k for each k by the unbiased estimator, or attach the counts and it is done here.",
    ),
    "slices": Need(
        group="IN-3",
        why="An average hides where the gap is: a hard slice can carry SSD while an easy one does not.",
        how="Split the held-out set by difficulty, or by the problems' source; give each slice its size and its rates.",
    ),
    "gpu_hours": Need(
        group="IN-4",
        why="The pipeline is sized to the budget, and some moves need more than others.",
        how="Give GPU-hours over all GPUs for sampling, fine-tuning and evaluation, each on its own.",
    ),
    "team_size": Need(
        group="IN-4",
        why="Battery, gate and canary each need someone who reads them.",
        how="Say how many people will work on this.",
    ),
    "first_signal_days": Need(
        group="IN-4",
        why="A move that cannot show anything in time is the wrong one, however good.",
        how="Say how many days from now the first result must be in.",
    ),
    "comparator": Need(
        group="IN-5",
        why="A gain means something only beside what the same budget would have bought otherwise.",
        how="Name what you would do without SSD: sft_external, rejection_sampling_sft, dpo, grpo, ppo or other.",
    ),
    "failure_cost": Need(
        group="IN-6",
        why="It decides how much proof a promotion needs.",
        how="Say what happens, and to whom, if the tuned model is worse.",
    ),
    "has_rollback": Need(
        group="IN-6",
        why="A model that cannot be taken back must not be promoted.",
        how="Say whether the old checkpoint can be served again by one change of configuration.",
    ),
    "has_checkpoint_discipline": Need(
        group="IN-6",
        why="The best checkpoint is often not the last one, and a lost one cannot be compared.",
        how="Say whether every checkpoint is kept and named, with the data and settings it came from.",
    ),
}
"""The one list of required fields; `{policy...}` in `how` is filled from the policy in force."""


@dataclass(frozen=True)
class Figures:
    """pass@k and gap@k by (k, slice), one source for both: the counts where there are any, the words otherwise."""

    n: int | None
    samples: int | None
    sizes: Mapping[str, int | None]
    passes: Mapping[tuple[int, str], Quantity]
    gaps: Mapping[tuple[int, str], Quantity] = field(default_factory=dict)

    @property
    def slices(self) -> tuple[str, ...]:
        return tuple(self.sizes)

    def curve(self, where: str) -> list[tuple[int, float]]:
        """The known (k, pass@k) of a slice, by ascending k."""
        return sorted((k, q.value) for (k, name), q in self.passes.items() if name == where)


def missing(workload: Workload, table: PassTable | None = None, policy: Policy | None = None) -> tuple[Missing, ...]:
    """Every required fact that is not in or cannot be used, in the order of the intake, each with why and how."""
    policy = policy or Policy()
    figures = figures_of(workload, table)
    found = [*_absent(workload, figures, table), *_unusable(workload, figures, policy)]
    if not found and _drowned(workload, figures):
        found = [Missing(field="grader_noise", group="IN-3", why=_NOISE, how=_MEND_GRADER)]
    order = list(REQUIRED)
    found.sort(key=lambda fault: order.index(fault.field.split(".")[0]) if fault.field.split(".")[0] in order else 99)
    return tuple(fault.model_copy(update={"how": fault.how.format(policy=policy)}) for fault in found)


def figures_of(workload: Workload, table: PassTable | None) -> Figures:
    """The figures to judge by. Slices of the words serve only where the counts name none."""
    stated = _stated(workload, table)
    if table is None:
        return stated
    passes = {(q.k or 1, q.slice): q for q in table.rows if q.metric == "pass_at_k"}
    gaps = {(q.k or 1, q.slice): q for q in table.rows if q.metric == "gap_at_k"}
    if not table.slices:
        said = {key: q for key, q in stated.passes.items() if key[1] != OVERALL}
        return Figures(table.problems, table.samples_min, stated.sizes, said | passes, gaps)
    sizes = {name: table.find("pass_at_k", 1, name) for name in table.slices}
    measured = {name: q.n if q else None for name, q in sizes.items()}
    return Figures(table.problems, table.samples_min, measured, passes, gaps)


def _stated(workload: Workload, table: PassTable | None) -> Figures:
    whole = SliceFacts(n=workload.heldout_n or None, pass_at_1=workload.pass_at_1, pass_at_k=workload.pass_at_k)
    samples = table.samples_min if table else workload.samples_per_problem
    passes = {
        (k, name): _rate(rate, k, name, facts.n, samples)
        for name, facts in {**workload.slices, OVERALL: whole}.items()
        for k, rate in {1: facts.pass_at_1, **facts.pass_at_k}.items()
        if rate is not None
    }
    return Figures(workload.heldout_n, samples, {name: s.n for name, s in workload.slices.items()}, passes)


def _rate(rate: float, k: int, where: str, n: int | None, samples: int | None) -> Quantity:
    ci = intervals.stated(rate, n) if n else None
    return Quantity(metric="pass_at_k", value=rate, unit="fraction", k=k, slice=where, n=n, samples=samples, ci=ci)


def _need(name: str, why: str = "", how: str = "") -> Missing:
    need = REQUIRED[name.split(".")[0]]
    return Missing(field=name, group=need.group, why=why or need.why, how=how or need.how)


MEASURED = ("heldout_n", "samples_per_problem", "same_decoding_for_all_k")
"""Facts that a table of counts settles by itself: its size, and that all its k come from the same samples."""
FROM_FIGURES = ("pass_at_1", "pass_at_k", "slices", "gpu_hours")


def _absent(workload: Workload, figures: Figures, table: PassTable | None) -> Iterator[Missing]:
    for name in REQUIRED:
        if name in FROM_FIGURES or (table is not None and name in MEASURED):
            continue
        value = getattr(workload, name)
        if value is None or (isinstance(value, str | tuple) and not "".join(value).strip()):
            yield _need(name)
    yield from _absent_rates(figures)
    yield from _absent_slices(figures)
    yield from _absent_hours(workload.gpu_hours)


def _absent_rates(figures: Figures) -> Iterator[Missing]:
    if (1, OVERALL) not in figures.passes:
        yield _need("pass_at_1")
    absent = [f"pass@{k}" for k in KS if (k, OVERALL) not in figures.passes]
    if absent:
        yield _need("pass_at_k", f"{' and '.join(absent)} not known. {REQUIRED['pass_at_k'].why}")


def _absent_slices(figures: Figures) -> Iterator[Missing]:
    if not figures.sizes:
        yield _need("slices")
    if OVERALL in figures.sizes:
        yield _need("slices", f"A slice is named {OVERALL}, which names the whole.", "Rename the slice.")
    for name, size in figures.sizes.items():
        lacking = ["its size"] if size is None else []
        lacking += [f"pass@{k}" for k in (1, LARGEST_K) if (k, name) not in figures.passes]
        if lacking:
            yield _need(f"slices.{name}", f"Of this slice {' and '.join(lacking)} not known.")


def _absent_hours(hours: GpuHours) -> Iterator[Missing]:
    absent = [part for part in GpuHours.model_fields if getattr(hours, part) is None]
    if len(absent) == len(GpuHours.model_fields):
        yield _need("gpu_hours")
    else:
        yield from (_need(f"gpu_hours.{part}") for part in absent)


# what is known but cannot be used


def _unusable(workload: Workload, figures: Figures, policy: Policy) -> Iterator[Missing]:
    yield from _unusable_set(workload, figures, policy)
    for where in (OVERALL, *figures.slices):
        yield from _impossible_curve(figures, where)
    yield from _undersampled(figures)
    yield from _contradicting_slices(figures, policy)


def _drowned(workload: Workload, figures: Figures) -> bool:
    """Whether the grader errs on more answers than the gap is wide (GRD-1)."""
    gap = _with_gaps(figures).gaps.get((LARGEST_K, OVERALL))
    return gap is not None and 100 * (workload.grader_noise or 0) > gap.value


def _unusable_set(workload: Workload, figures: Figures, policy: Policy) -> Iterator[Missing]:
    if figures.n is not None and figures.n < policy.heldout_min:
        yield _need("heldout_n", f"{figures.n:,} problems leave the gap open to chance.", _MORE_PROBLEMS)
    if workload.contamination_checked is False:
        yield _need("contamination_checked", f"It was not done. {REQUIRED['contamination_checked'].why}")
    if (workload.contaminated_fraction or 0) > policy.contaminated_max:
        yield Missing(field="contaminated_fraction", group="IN-3", why=_CONTAMINATED, how=_CLEAN)
    if workload.heldout_disjoint_from_pool is False:
        yield _need("heldout_disjoint_from_pool", f"The two meet. {REQUIRED['heldout_disjoint_from_pool'].why}")
    if workload.same_decoding_for_all_k is False:
        yield _need(
            "same_decoding_for_all_k", f"The decodings differ. {REQUIRED['same_decoding_for_all_k'].why}", _ONE_DECODING
        )


_NOISE = "The grader errs on known answers more often than the gap is wide, so the gap may be the grader's."
_MEND_GRADER = "Mend the tests, the time limit or the extraction of answers until known answers are graded right."
_MORE_PROBLEMS = "Add held-out problems until there are at least {policy.heldout_min:,}, checked like the others."
_CONTAMINATED = "Part of the held-out set is known to be contaminated, so its rates mix memory with skill."
_CLEAN = "Drop the contaminated problems, compute every rate again on the rest, and state the new size."
_ONE_DECODING = "Sample again at the production decoding and estimate pass@1 and every pass@k from those samples."


def _impossible_curve(figures: Figures, where: str) -> Iterator[Missing]:
    """pass@k cannot fall as k grows, nor lie further above pass@1 than the same samples allow."""
    name = "pass_at_k" if where == OVERALL else f"slices.{where}"
    curve = figures.curve(where)
    for (k, low), (larger, high) in pairwise(curve):
        if high < low:
            why = f"pass@{larger} is below pass@{k}, and more draws cannot solve fewer problems."
            yield _need(name, why, "Check which of the two is wrong, or attach the counts.")
    first = next((rate for k, rate in curve if k == 1), None)
    for k, rate in curve:
        if first is not None and k > 1 and rate - first > intervals.gap_ceiling(k):
            why = f"pass@{k} lies further above pass@1 than any samples of the same problems can show."
            yield _need(name, why, _ONE_DECODING)


def _undersampled(figures: Figures) -> Iterator[Missing]:
    known = {k for k, _ in figures.passes}
    over = sorted(k for k in known if figures.samples is not None and k > figures.samples)
    if over:
        why = f"pass@{over[-1]} takes at least {over[-1]} samples of each problem; there are {figures.samples}."
        how = "Draw more samples per problem, or say how the rate was computed."
        yield from (_need(name, why, how) for name in ("samples_per_problem", "pass_at_k"))


def _contradicting_slices(figures: Figures, policy: Policy) -> Iterator[Missing]:
    """Slices are parts of the whole: they cannot hold more problems, nor average to another rate."""
    sizes = [size for size in figures.sizes.values() if size is not None]
    if figures.n is None or not sizes or len(sizes) < len(figures.sizes):
        return
    if sum(sizes) > figures.n:
        why = "The slices hold more problems than the held-out set."
        yield _need("slices", why, "Give each problem one slice, or correct the sizes.")
        return
    for k in (1, *KS):
        if _cannot_average(figures, k, policy.rounding_tolerance):
            why = f"The slices' pass@{k}, weighted by size, cannot average to that of the whole set."
            yield _need("slices", why, "Check sizes and rates: do all come from the same run?")


def _cannot_average(figures: Figures, k: int, tolerance: float) -> bool:
    """Whether no rate of the problems outside of all slices could bring the slices to the whole."""
    whole, parts = figures.passes.get((k, OVERALL)), [figures.passes.get((k, name)) for name in figures.slices]
    if whole is None or figures.n is None or any(part is None for part in parts):
        return False
    known = sum((size or 0) * part.value for size, part in zip(figures.sizes.values(), parts, strict=True) if part)
    outside = figures.n - sum(size or 0 for size in figures.sizes.values())
    low, high = known / figures.n, (known + outside) / figures.n
    return not low - tolerance - 1e-9 <= whole.value <= high + tolerance + 1e-9


# the routing table


STYLE = re.compile(r"\b(styl|tone|verbos|readab|idiom|convention|naming|formatting)", re.I)


@dataclass(frozen=True)
class Case:
    """What one row of the routing table looks at, for the whole set or for one slice."""

    cleared: bool
    pass_at_1: float
    pass_at_largest: float
    workload: Workload
    policy: Policy

    @property
    def verifier(self) -> bool:
        """A verifier that accepts nothing cannot select anything."""
        return self.workload.verifier not in (None, "none") and self.workload.verifier_acceptance != 0

    @property
    def hours(self) -> float:
        """GPU-hours that a training loop could spend: sampling and fine-tuning."""
        return (self.workload.gpu_hours.sampling or 0) + (self.workload.gpu_hours.finetune or 0)

    @property
    def style_failure(self) -> bool:
        """Enough preference pairs, and either DPO is the other plan or the purpose itself is about style."""
        pairs, purpose = self.workload.preference_pairs or 0, self.workload.purpose or ""
        about_style = self.workload.comparator == "dpo" or STYLE.search(purpose) is not None
        return pairs >= self.policy.preference_pairs_min and about_style


@dataclass(frozen=True)
class Route:
    """One row: its name, when it applies, where it leads, and why in plain words."""

    name: str
    applies: Callable[[Case], bool]
    verdict: VerdictName
    other: OtherMove | None
    why: str


ROUTES: tuple[Route, ...] = (
    Route(
        "ceiling",
        lambda c: not c.cleared and c.pass_at_1 >= c.policy.ceiling_pass_at_1,
        "GO-OTHER",
        "do_nothing",
        "The first answer is nearly always right already and further samples add little, so there is almost nothing to"
        " concentrate; leave the model as it is and look for problems that still fail.",
    ),
    Route(
        "floor",
        lambda c: c.pass_at_largest < c.policy.floor_pass_at_k,
        "GO-OTHER",
        "sft_external",
        "Even the best of many samples is almost never right, so the skill is not there to amplify; it has to come from"
        " outside, as worked solutions from people or a stronger model.",
    ),
    Route(
        "second_round",
        lambda c: c.cleared and (c.workload.prior_ssd_rounds or 0) >= 1,
        "GO-OTHER",
        "do_nothing",
        "The gap reaches the rule, but this model has already been through SSD. Another round has to pass the gate for"
        " it first: a declared lift, the battery inside its tolerances, a fresh pool, a fresh held-out slice. Until the"
        " gate is open the answer is to stop and keep the checkpoint you have.",
    ),
    Route(
        "verifier_and_budget",
        lambda c: not c.cleared and c.verifier and c.hours >= c.policy.grpo_gpu_hours_min,
        "GO-OTHER",
        "grpo",
        "Sampling more does not bring enough right answers to concentrate, but a verifier can tell right from wrong and"
        " the budget carries training against it. Expect a slow start: where all samples of a prompt agree there is no"
        " signal, so choose prompts on which they do not.",
    ),
    Route(
        "verifier",
        lambda c: not c.cleared and c.verifier,
        "GO-OTHER",
        "rejection_sampling",
        "Sampling more does not bring enough right answers to concentrate, so raw samples would teach what is already"
        " there; a verifier can at least keep the right ones. That is selection, and it is not called SSD.",
    ),
    Route(
        "style",
        lambda c: not c.cleared and c.style_failure,
        "GO-OTHER",
        "dpo",
        "The right answers are not held back by sampling, and there are preference pairs: what people object to is how"
        " the answers are written, which preferences can teach and self-distillation cannot.",
    ),
    Route(
        "no_gap",
        lambda c: not c.cleared,
        "GO-OTHER",
        "sft_external",
        "Sampling more does not bring enough right answers to concentrate, and nothing here can tell right from wrong."
        " What the model fails on is new to it, so it needs data from outside.",
    ),
    Route(
        "nearly_all_wrong",
        lambda c: c.verifier and c.pass_at_1 < c.policy.nearly_all_wrong_pass_at_1,
        "GO-VERIFIER-AWARE-SSD",
        None,
        "The gap is there, but raw samples are nearly all wrong and would mostly teach the model its errors; the"
        " verifier keeps the right ones. The unfiltered arm runs beside it under its own name, for comparison.",
    ),
    Route(
        "gap",
        lambda c: c.cleared,
        "GO-SSD",
        None,
        "The gap is there: right answers come up often enough in a handful of samples, and too seldom in the first.",
    ),
)
"""In the order of PRE-5: the first that applies decides. A prior round comes before the rows that start another."""


def decide(workload: Workload, table: PassTable | None = None, policy: Policy | None = None) -> Verdict:
    """The verdict, overall and per slice; REFUSE with everything that is missing where anything is.

    table: pass@k from counts; where it is given, its figures replace the stated ones. The estimate at the largest k
    decides, or under `policy.strict` the lower end of its interval.
    """
    policy = policy or Policy()
    if gone := missing(workload, table, policy):
        return Verdict(verdict="REFUSE", missing=gone, why=_REFUSED)
    figures = _with_gaps(figures_of(workload, table))
    gap = figures.gaps[LARGEST_K, OVERALL]
    route = _route(figures, OVERALL, workload, policy)
    resolution = _resolution(gap, policy)
    go = route.verdict != "GO-OTHER"
    needed = power.problems_to_resolve(gap, policy.gap_threshold) if resolution == "unresolved" and gap.ci else None
    return Verdict(
        verdict=route.verdict,
        other=route.other,
        resolution=resolution,
        provisional=go and resolution == "unresolved",
        slices={name: _judge_slice(figures, name, workload, policy) for name in figures.slices},
        gaps=_in_order(figures, figures.gaps),
        passes=_in_order(figures, figures.passes),
        deciding_k=LARGEST_K,
        only_largest_k_clears=_clears(gap, policy) and not _smaller_clears(figures, policy),
        problems_to_resolve=int(needed.value) if needed else None,
        basis="measured" if table is not None else "stated",
        warnings=tuple(_warnings(workload, figures, route, policy)),
        why=_why(route, resolution, policy),
    )


_REFUSED = (
    "No verdict yet, and so no recipe: facts that decide it are missing or cannot be used. Each is listed with the"
    " reason it matters and the way to produce it."
)


def _with_gaps(figures: Figures) -> Figures:
    """Gaps of the words beside those of the counts; a measured gap is never replaced."""
    said = {
        (k, where): _stated_gap(figures.passes[1, where], q)
        for (k, where), q in figures.passes.items()
        if k > 1 and (k, where) not in figures.gaps and (1, where) in figures.passes
    }
    return Figures(figures.n, figures.samples, figures.sizes, figures.passes, {**figures.gaps, **said})


def _stated_gap(first: Quantity, later: Quantity) -> Quantity:
    k = later.k or 1
    # twelve digits: 0.48 - 0.43 must reach a threshold of 5 pp
    gap = round(100 * (later.value - first.value), 12)
    ci = intervals.stated_gap(first.value, later.value, k, later.n) if later.n else None
    return Quantity(
        metric="gap_at_k", value=gap, unit="pp", k=k, slice=later.slice, n=later.n, samples=later.samples, ci=ci
    )


def _in_order(figures: Figures, rows: Mapping[tuple[int, str], Quantity]) -> tuple[Quantity, ...]:
    """The whole first, then slice by slice, each by ascending k."""
    places = (OVERALL, *figures.slices)
    return tuple(rows[key] for key in sorted(rows, key=lambda key: (places.index(key[1]), key[0])))


def _clears(gap: Quantity, policy: Policy) -> bool:
    """Whether a gap reaches the threshold: by its estimate, or under a strict policy by its interval's lower end."""
    decisive = gap.value if not policy.strict else gap.ci.low if gap.ci else float("-inf")
    return round(decisive, 9) >= policy.gap_threshold


def _smaller_clears(figures: Figures, policy: Policy) -> bool:
    smaller = (figures.gaps.get((k, OVERALL)) for k in KS if k < LARGEST_K)
    return any(_clears(gap, policy) for gap in smaller if gap is not None)


def _resolution(gap: Quantity, policy: Policy) -> Resolution:
    if gap.ci is None:
        return "unresolved"
    if gap.ci.low >= policy.gap_threshold:
        return "met"
    return "not_met" if gap.ci.high < policy.gap_threshold else "unresolved"


def _route(figures: Figures, where: str, workload: Workload, policy: Policy) -> Route:
    case = Case(
        cleared=_clears(figures.gaps[LARGEST_K, where], policy),
        pass_at_1=figures.passes[1, where].value,
        pass_at_largest=figures.passes[LARGEST_K, where].value,
        workload=workload,
        policy=policy,
    )
    return next(route for route in ROUTES if route.applies(case))


def _judge_slice(figures: Figures, name: str, workload: Workload, policy: Policy) -> SliceVerdict:
    gap = figures.gaps[LARGEST_K, name]
    if gap.n is None or gap.n < policy.slice_min:
        return SliceVerdict(verdict=None, gap=gap, why=_TOO_SMALL)
    route = _route(figures, name, workload, policy)
    resolution = _resolution(gap, policy)
    why = f"{route.why} {_RESOLUTION[resolution]}"
    return SliceVerdict(verdict=route.verdict, other=route.other, resolution=resolution, gap=gap, why=why)


_TOO_SMALL = "Too few problems for a verdict on this slice: its interval would mislead. Add problems, or pool it."

# words


_HYPOTHESIS = (
    "The hypothesis behind self-distillation is that the model already samples right answers often enough and fails by"
    " not concentrating on them."
)
_RESOLUTION: dict[Resolution, str] = {
    "met": "The whole interval of the deciding gap lies at or above the threshold.",
    "not_met": "The whole interval of the deciding gap lies below the threshold.",
    "unresolved": "The interval of the deciding gap holds the threshold, so these problems alone cannot settle it.",
}
_PILOT = "A go is therefore provisional: a pilot on a small part of the budget, not the full run."
_LARGER_SET = "More held-out problems are the cheapest way to settle it."
_STRICT = "Under the strict policy the lower end of the interval decides."
_NOT_SHOWN = (
    "The evidence does not show that training will lift the first-try rate by as much as the gap, nor that diversity,"
    " safety and other tasks stay as they are; a gap is a reason to try, and only battery and controls can tell."
)


def _why(route: Route, resolution: Resolution, policy: Policy) -> str:
    open_end = (_PILOT if route.verdict != "GO-OTHER" else _LARGER_SET) if resolution == "unresolved" else ""
    strict = _STRICT if policy.strict else ""
    parts = (_HYPOTHESIS, route.why, _RESOLUTION[resolution], strict, open_end, _NOT_SHOWN)
    return " ".join(part for part in parts if part)


def _warnings(workload: Workload, figures: Figures, route: Route, policy: Policy) -> Iterator[str]:
    go = route.verdict != "GO-OTHER"
    if workload.has_rollback is False:
        yield "There is no rollback yet: nothing may be promoted before one exists and was tried."
    if workload.has_checkpoint_discipline is False:
        yield "Checkpoints are not kept: start keeping them before the first step, or the best one may be lost."
    if workload.has_heldout_blocker is not True:
        yield "No held-out blocker is named: decide which held-out result stops a release."
    if workload.verifier in (None, "none"):
        yield "No verifier is named; pass@k was graded by something, so say what it was and how often it errs."
    elif workload.verifier == "type_checker":
        yield "A type checker accepts wrong programs: measure its false accepts before an arm rests on it."
    if go and figures.passes[1, OVERALL].value >= policy.ceiling_pass_at_1:
        yield "The first-try rate is already high: the gap comes from a few problems, so look at them first."
    if _leaves_some_out(figures):
        yield "The slices hold fewer problems than the whole set: what is in none of them counts only overall."
    if _outruns(figures):
        yield "pass@k exceeds k times pass@1, which the same samples cannot show: measure both from one set of samples."
    yield from _disagreements(figures, route, workload, policy)


def _leaves_some_out(figures: Figures) -> bool:
    sizes = list(figures.sizes.values())
    return bool(sizes) and figures.n is not None and None not in sizes and sum(filter(None, sizes)) < figures.n


def _outruns(figures: Figures) -> bool:
    """Whether some pass@k exceeds k times pass@1, which no samples of the same problems can show; rounding aside."""
    first = figures.passes[1, OVERALL].value
    return any(rate > k * (first + 0.005) + 0.005 for k, rate in figures.curve(OVERALL))


def _disagreements(figures: Figures, route: Route, workload: Workload, policy: Policy) -> Iterator[str]:
    judged = [_judge_slice(figures, name, workload, policy).verdict for name in figures.slices]
    if route.verdict == "GO-OTHER" and any(found not in (None, "GO-OTHER") for found in judged):
        yield "A slice carries SSD although the whole does not: a run on that slice needs a held-out set of its own."
    if route.verdict != "GO-OTHER" and "GO-OTHER" in judged:
        yield "A slice does not carry SSD although the whole does: expect no gain there, and watch it for loss."


# the batch contract (FORMATS section 4)


def read_workload(obj: Mapping[str, Any]) -> Workload:
    """A workload object as its record. null counts as unknown, and unknown keys are passed over.

    Raises InvalidInput naming the key, for a rate above 1 in particular: percent is never guessed.
    """
    try:
        return Workload.model_validate(_cleaned(obj, Workload))
    except ValidationError as error:
        fault = error.errors()[0]
        raise _fault(".".join(str(step) for step in fault["loc"]), fault["input"], fault["msg"]) from error


def _cleaned(obj: Any, record: type[Record], where: str = "") -> dict[str, Any]:
    """The known keys of an object that hold something, nested records alike."""
    if not isinstance(obj, Mapping):
        raise _fault(where.rstrip(".") or "workload", obj, "expected an object")
    known = ((key, value) for key, value in obj.items() if key in record.model_fields and value is not None)
    return {key: _value(key, value, f"{where}{key}") for key, value in known}


def _value(key: str, value: Any, where: str) -> Any:
    if key == "slices":
        if not isinstance(value, Mapping):
            raise _fault(where, value, "expected an object")
        return {name: _cleaned(part, SliceFacts, f"{where}.{name}.") for name, part in value.items() if part}
    if key == "gpu_hours":
        return _cleaned(value, GpuHours, f"{where}.")
    if key == "pass_at_k" and isinstance(value, Mapping):
        return {k: _value("rate", rate, f"{where}.{k}") for k, rate in value.items() if rate is not None}
    # pydantic would read true as the number 1
    if isinstance(value, bool) and key not in YES_OR_NO:
        raise _fault(where, value, "expected a value, not a truth value")
    return value


YES_OR_NO = {name for name, known in Workload.model_fields.items() if known.annotation == bool | None}


def _fault(where: str, seen: Any, message: str) -> InvalidInput:
    if where.endswith(".[key]"):
        return InvalidInput(f"is {seen!r}", "k as a whole number, 1 or more", "correct the key", where=where)
    if any(word in where for word in ("pass_at", "acceptance", "contaminated_fraction")):
        how = "divide percentages by 100: whether a number is a percentage is not guessed"
        return InvalidInput(f"is {seen!r}", "a fraction between 0 and 1", how, where=where)
    return InvalidInput(f"is {seen!r}", message.removeprefix("expected "), "correct the value", where=where)


def as_contract(verdict: Verdict) -> dict[str, Any]:
    """The verdict as one JSON object of the batch contract.

    gap holds the deciding value with its k, interval and unit, and the same for every k under its number.
    """
    return {
        "verdict": verdict.verdict,
        "other": verdict.other,
        "resolution": verdict.resolution,
        "missing": list(dict.fromkeys(fault.field for fault in verdict.missing)),
        "slices": {name: _slice_contract(found) for name, found in verdict.slices.items()},
        "gap": _gap_contract(verdict),
        "why": verdict.why,
    }


def _slice_contract(found: SliceVerdict) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "other": found.other,
        "resolution": found.resolution,
        "gap": _quantity(found.gap) if found.gap else None,
        "why": found.why,
    }


def _gap_contract(verdict: Verdict) -> dict[str, Any]:
    whole = {gap.k: _quantity(gap) for gap in verdict.gaps if gap.slice == OVERALL}
    deciding = whole.get(verdict.deciding_k, {})
    return {**deciding, **{str(k): gap for k, gap in whole.items()}}


def _quantity(gap: Quantity) -> dict[str, Any]:
    ci = [gap.ci.low, gap.ci.high] if gap.ci else None
    return {"value": gap.value, "ci": ci, "unit": gap.unit, "k": gap.k, "n": gap.n}
