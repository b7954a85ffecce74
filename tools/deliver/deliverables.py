"""Deliverables A to E, the report that holds them, and the tables of the command line.

Each deliverable is a template: fixed words from here, and every figure, every word of a person and every sentence of a
tool as a reference into the ledger. Holds no free prose and decides nothing. B to E exist only under a GO: before
that there is nothing to design, and A says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tools.claims import AT_LEAST, figure, mark, percent
from tools.deliver import costs, trials
from tools.deliver.dossier import PLAN, ROLLOUT, Dossier
from tools.records import (
    OVERALL,
    Comparison,
    Evidence,
    OtherMove,
    PassTable,
    Quantity,
    SliceVerdict,
)
from tools.stats import power

Template = Callable[[Dossier], str | None]


@dataclass(frozen=True)
class Deliverable:
    """One deliverable: its letter, title, file in the bundle, and the template; None where it does not apply."""

    letter: str
    title: str
    file: str
    template: Template


REGISTRY: dict[str, Deliverable] = {}


def deliverable(letter: str, title: str, file: str) -> Callable[[Template], Template]:
    """Register a template under its letter; the title leads it."""

    def register(template: Template) -> Template:
        def titled(dossier: Dossier) -> str | None:
            body = template(dossier)
            return None if body is None else f"# {letter}. {title}\n\n{body.strip()}\n"

        REGISTRY[letter] = Deliverable(letter, title, file, titled)
        return template

    return register


# text that a person or a file brought


def printable(text: str) -> str:
    """One line without control characters, direction marks or private characters."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def markdown(text: str) -> str:
    """Text that means nothing to Markdown: it is shown, never obeyed, and cannot pass for a reference."""
    return re.sub(r"[\\`*\[\]<>|#~&$!]|(?<![^\W_])_|_(?![^\W_])|(?<=\{)\{", r"\\\g<0>", printable(text))


def ref(entry: Evidence, form: str) -> str:
    """A reference to an entry in one format."""
    return f"{{{{{entry.id}|{form}}}}}"


def _named(dossier: Dossier, name: str, form: str = "value") -> str:
    entry = dossier.thresholds.get(name) or dossier.ledger.get(name)
    return ref(entry, form) if entry is not None else "not known"


# A


OTHERS: dict[OtherMove, str] = {
    "sft_external": "fine-tune on external data",
    "rejection_sampling": "fine-tune on samples that the verifier accepts",
    "dpo": "train on preference pairs",
    "grpo": "reinforcement learning against the verifier",
    "do_nothing": "leave the model as it is",
}
NOT_SHOWN = (
    "Nor does it show what a change of decoding alone would give, which the decode control measures, or anything about"
    " problems unlike the held-out set."
)


def verdict_card(dossier: Dossier) -> str:
    """The verdict first, then the gap that decided it, why and what is not shown, per slice, on what basis."""
    refused = dossier.verdict.verdict == "REFUSE"
    parts = [
        _headline(dossier),
        _deciding(dossier),
        _said(dossier, "verdict.why") + ("" if refused else f" {NOT_SHOWN}"),
        _provisional(dossier),
        _slice_verdicts(dossier),
        _basis(dossier),
        _warnings(dossier),
        _missing(dossier),
    ]
    return "\n\n".join(part for part in parts if part)


def _headline(dossier: Dossier) -> str:
    verdict = dossier.verdict
    other = f", {verdict.other}: {OTHERS[verdict.other]}" if verdict.other else ""
    provisional = " (provisional)" if verdict.provisional else ""
    return f"**{verdict.verdict}**{other}{provisional}"


def _deciding(dossier: Dossier) -> str:
    gap = next((q for q in dossier.verdict.gaps if (q.k, q.slice) == (dossier.verdict.deciding_k, OVERALL)), None)
    entry = dossier.cited(gap) if gap else None
    if entry is None or gap is None or dossier.verdict.resolution is None:
        return ""
    threshold = _named(dossier, "policy.gap_threshold")
    lines = [
        f"{gap.label} overall: {_with_interval(entry)}, n = {_n(entry)}; the rule asks for {threshold} or more.",
        f"The precondition is {dossier.verdict.resolution.replace('_', ' ')}.",
    ]
    if dossier.verdict.only_largest_k_clears:
        lines.append("Only the largest k clears the threshold; the smaller ones do not.")
    return " ".join(lines)


def _with_interval(entry: Evidence) -> str:
    interval = f" {ref(entry, 'ci')}" if entry.quantity and entry.quantity.ci else " (no interval: commentary)"
    return ref(entry, "value") + interval


def _n(entry: Evidence) -> str:
    return ref(entry, "n") if entry.quantity and entry.quantity.n else "not known"


def _said(dossier: Dossier, path: str) -> str:
    entry = dossier.conclusions.get(path)
    return ref(entry, "text") if entry is not None else ""


def _provisional(dossier: Dossier) -> str:
    if not dossier.verdict.provisional:
        return ""
    share = _named(dossier, "policy.pilot_share")
    needed = dossier.conclusions.get("verdict.problems_to_resolve")
    resolve = f" About {ref(needed, 'value')} problems would resolve it." if needed else ""
    return f"Provisional means: the pipeline is a pilot of at most {share} of the budget, not the full run.{resolve}"


def _slice_verdicts(dossier: Dossier) -> str:
    slices = dossier.verdict.slices
    if not slices:
        return ""
    head = "| slice | verdict | gap and CI | n |\n|---|---|---|---|"
    rows = (_slice_row(dossier, found) for found in slices.values())
    why = (f"- {_slice(dossier, found)}: {_said(dossier, f'verdict.slices.{n}.why')}" for n, found in slices.items())
    return "\n".join([head, *rows, "", *why])


def _slice(dossier: Dossier, found: SliceVerdict) -> str:
    entry = dossier.cited(found.gap) if found.gap else None
    return ref(entry, "slice") if entry else "a slice"


def _slice_row(dossier: Dossier, found: SliceVerdict) -> str:
    entry = dossier.cited(found.gap) if found.gap else None
    said: str = found.verdict or "no verdict"
    if found.other:
        said += f", {found.other}"
    if found.resolution:
        said += f" ({found.resolution.replace('_', ' ')})"
    gap, n = (f"{_label(found.gap)} {_with_interval(entry)}", _n(entry)) if entry else ("not known", "not known")
    return f"| {_slice(dossier, found)} | {said} | {gap} | {n} |"


def _label(quantity: Quantity | None) -> str:
    return quantity.label if quantity else ""


def _basis(dossier: Dossier) -> str:
    if dossier.verdict.basis == "measured":
        return "Basis: measured. The counts are in the bundle, and every interval can be recomputed from them."
    if dossier.verdict.basis == "stated":
        said = [e for e in _intake(dossier) if e.quantity and ("pass_at" in e.name or e.name.endswith("heldout_n"))]
        cited = "\n".join(f"- {_fact(entry)}" for entry in said)
        lead = "Basis: stated. No counts were given; intervals are the widest that the stated size allows. It rests on:"
        return f"{lead}\n\n{cited}" if cited else ""
    return ""


def _warnings(dossier: Dossier) -> str:
    rows = [f"- {_said(dossier, f'verdict.warnings.{i}')}" for i in range(len(dossier.verdict.warnings))]
    return "\n".join(["Warnings:", "", *rows]) if rows else ""


def _missing(dossier: Dossier) -> str:
    rows = [_gap_in_facts(dossier, f"verdict.missing.{i}", m.group) for i, m in enumerate(dossier.verdict.missing)]
    return "No verdict before these are known:\n\n" + "\n".join(rows) if rows else ""


def _gap_in_facts(dossier: Dossier, path: str, group: str) -> str:
    field, why, how = (_said(dossier, f"{path}.{part}") for part in ("field", "why", "how"))
    return f"- **{field}** ({group}): {why} {how}"


def pass_table(dossier: Dossier) -> str:
    """pass@k and gap@k per slice as a Markdown table; every figure is a reference. Empty where nothing is known."""
    found = {(q.slice, q.k, q.metric): entry for q, entry in dossier.figures}
    keys = list(dict.fromkeys((name, k) for name, k, _ in found))
    if not keys:
        return ""
    rows = [_table_row(found.get((*key, "pass_at_k")), found.get((*key, "gap_at_k")), *key) for key in keys]
    level = next((f"{ref(entry, 'level')} " for q, entry in dossier.figures if q.ci), "")
    head = f"| slice | k | pass@k and {level}CI | gap@k and {level}CI | n |\n|---|---|---|---|---|"
    return "\n".join([head, *rows, *_table_notes(dossier)])


def _table_row(passed: Evidence | None, gap: Evidence | None, name: str, k: int | None) -> str:
    entry = passed or gap
    assert entry is not None
    cells = [_cell(passed), _cell(gap), _n(entry)]
    return f"| {ref(entry, 'slice')} | pass@{k} | {' | '.join(cells)} |"


def _cell(entry: Evidence | None) -> str:
    if entry is None:
        return ""
    return _with_interval(entry) + mark(entry.quantity)


def _table_notes(dossier: Dossier) -> list[str]:
    notes = [f"- {ref(entry, 'text')}" for entry in dossier.notes]
    if any(mark(q) for q, _ in dossier.figures):
        notes.append(f"- {AT_LEAST}")
    if dossier.table is not None:
        notes.append("- gap@k is pass@k minus pass@1 on the same problems and samples; n counts problems")
    return ["", *notes] if notes else []


@deliverable("A", "Precondition Verdict", "A-verdict.md")
def precondition(dossier: Dossier) -> str:
    """The verdict with its table; a complete first answer on its own."""
    table = pass_table(dossier)
    shown = f"\n\n## pass@k and gap@k\n\n{table}" if table else ""
    return f"{verdict_card(dossier)}{shown}\n\n{_facts(dossier)}"


def _facts(dossier: Dossier) -> str:
    rows = [f"| {ref(e, 'field')} | {_shown(e)} | {e.kind} |" for e in _intake(dossier)]
    if not rows:
        return ""
    return "\n".join(["## The facts it rests on", "", "| fact | value | how it is known |", "|---|---|---|", *rows])


def _intake(dossier: Dossier) -> list[Evidence]:
    """The newest entry of each fact that can be written out."""
    newest = {entry.name: entry for entry in dossier.ledger.named("intake")}
    return [entry for entry in newest.values() if entry.quantity or not isinstance(entry.value, dict | None)]


def _shown(entry: Evidence) -> str:
    return ref(entry, "value" if entry.quantity else "text")


def _fact(entry: Evidence) -> str:
    said = f", from the words {ref(entry, 'words')}" if entry.words else ""
    return f"{ref(entry, 'field')}: {_shown(entry)} ({entry.kind}{said})"


# B to E


def _state(declared: str, measured: str, missing: str) -> str:
    """What is a choice, what is a measurement, what is not there yet: said in every deliverable after A."""
    return f"- Declared: {declared}\n- Measured: {measured}\n- Still missing: {missing}"


def _declared(dossier: Dossier, *roots: str) -> str:
    """Every value below these paths, one table per path."""
    return "\n\n".join(table for root in roots if (table := _declared_below(dossier, root)))


def _declared_below(dossier: Dossier, root: str) -> str:
    rows = [
        f"| {ref(entry, 'field')} | {_shown(entry)} |"
        for path, entry in dossier.conclusions.items()
        if path.startswith(f"{root}.")
    ]
    return "\n".join([f"| {root.rpartition('.')[2]} | declared |", "|---|---|", *rows]) if rows else ""


def _plan_roots(dossier: Dossier) -> list[str]:
    """Parts of the plan that belong to the pipeline."""
    names = type(dossier.plan).model_fields if dossier.plan is not None else ()
    return [f"{PLAN}.{name}" for name in names if name not in OWN_DELIVERABLE]


OWN_DELIVERABLE = ("verifier_arm", "gate", "promotion", "unknown", "battery")


@deliverable("B", "Pipeline Spec", "B-pipeline.md")
def pipeline(dossier: Dossier) -> str | None:
    """The minimal arm with its controls and battery, as declared before the first training step."""
    if dossier.plan is None:
        return None
    state = _state(
        "every value below; pipeline.yaml holds the same values under the names trainers use",
        "the precondition (deliverable A), and nothing of the training",
        "the samples, the fine-tune, its evaluation, the battery's readings, and the cost of the run",
    )
    pilot = _provisional(dossier)
    table = _declared(dossier, *_plan_roots(dossier))
    return "\n\n".join(
        part for part in (state, pilot, _unknown(dossier), table, _battery(dossier), _PIPELINE_RULES) if part
    )


def _battery(dossier: Dossier) -> str:
    """The probes, each with the drift that still passes."""
    assert dossier.plan is not None
    found = dossier.conclusions
    probes = (f"{PLAN}.battery.probes.{i}" for i in range(len(dossier.plan.battery.probes)))
    rows = [
        f"| {ref(found[f'{p}.name'], 'text')} | {ref(found[f'{p}.tolerance'], 'number')}"
        f" {ref(found[f'{p}.unit'], 'text')} | {ref(found[f'{p}.prompts'], 'value')} |"
        for p in probes
    ]
    return "\n".join(["| probe | tolerated drift | prompts |", "|---|---|---|", *rows])


def _unknown(dossier: Dossier) -> str:
    rows = [f"- {ref(e, 'text')}" for path, e in dossier.conclusions.items() if path.startswith(f"{PLAN}.unknown.")]
    return "\n".join(["Not known yet, and not invented here:", "", *rows]) if rows else ""


_PIPELINE_RULES = """## What makes it this arm

- Samples come from the frozen base. Nothing is filtered: dropping even empty answers gives the arm another name.
- The prompt pool shares no problem with any evaluation set; the overlap log is part of the run.
- Loss is taken on the completion only.
- The decode control (base at the tuned decoding) and the placebo (plain sampling, same budget) run beside it, so that
  a gain can be split into decoding, plain training on one's own text, and the rest.
- The battery and its tolerances are in battery.yaml and hashed in seals/seal.json before the first training step."""


@deliverable("C", "Verifier-Aware Arm", "C-verifier-arm.md")
def verifier_arm(dossier: Dossier) -> str | None:
    """The parallel arm on accepted samples; only where there is a verifier."""
    if dossier.plan is None or dossier.workload.verifier in (None, "none"):
        return None
    state = _state(
        "a parallel arm: same sampling, same fine-tune, on the samples that the verifier accepts",
        "nothing of it yet",
        "the verifier's calibration (false accepts and false rejects on known labels), its threshold, and the"
        " acceptance rate overall, per slice and per prompt, with starved prompts by name",
    )
    source = f"Verifier: {_named(dossier, 'intake.verifier', 'text')}."
    rule = "It is reported beside the minimal arm and never merged with it."
    return "\n\n".join(part for part in (state, source, _declared(dossier, f"{PLAN}.verifier_arm"), rule) if part)


@deliverable("D", "Round-2 Gate", "D-round2-gate.md")
def round_two(dossier: Dossier) -> str | None:
    """The conditions of a second round; the default is one."""
    if dossier.plan is None:
        return None
    state = _state(
        "the conditions below, fixed before round one; gate.yaml holds the same",
        "what round one showed, as the gate answered" if dossier.gate else "nothing yet: there is no round-one model",
        "what the answers below say was not shown"
        if dossier.gate
        else "all readings of round one, a fresh held-out slice, and a fresh prompt pool",
    )
    parts = (state, _GATE, _declared(dossier, f"{PLAN}.gate"), gate_answers(dossier))
    return "\n\n".join(part for part in parts if part)


def gate_answers(dossier: Dossier) -> str:
    """What the gate answered of round one, condition by condition; empty where it was not asked."""
    return "\n".join(f"- {entry.name.removeprefix('gate.')}: {ref(entry, 'text')}" for entry in dossier.gate)


_GATE = """One round is the default. A second one needs all of these, or it does not start:

- pass@1 rose by at least the declared amount, and the intervals of tuned model and base do not overlap; the paired
  interval, which is the right test for the same problems, is printed beside it
- every probe of the battery is inside its tolerance
- the samples come from the round-one model, on prompts that round one did not use
- the evaluation uses a fresh held-out slice; pools, slices and probes are burned by use"""


@deliverable("E", "Promotion Plan", "E-promotion.md")
def promotion_plan(dossier: Dossier) -> str | None:
    """Shadow, canary, full, and the way back."""
    if dossier.plan is None:
        return None
    state = _state(
        "the stages, the canary's share and the retention window below; the files in promotion/ start them",
        "nothing yet: there is no candidate",
        "an evaluation of the candidate on a contamination-checked slice of production shape, with the battery",
    )
    facts = (
        f"Rollback today: {_named(dossier, 'intake.has_rollback', 'text')}."
        f" If the model gets worse: {_named(dossier, 'intake.failure_cost', 'text')}."
    )
    return "\n\n".join([state, facts, _STAGES, _declared(dossier, f"{PLAN}.promotion", ROLLOUT)])


_STAGES = """- shadow: the candidate answers a copy of the traffic; nobody sees its answers
- canary: the candidate answers the declared share; production metrics are compared per checkpoint and slice
- full: the candidate answers all; the base stays loaded for the retention window
- back: one line of promotion/router.yaml, which promotion/rollback.sh writes

No stage starts by itself. Telemetry names the serving checkpoint on every call (promotion/telemetry.yaml)."""


# the report


def absent(dossier: Dossier, letters: Iterable[str]) -> dict[str, str]:
    """Each deliverable that is not there, with the reason."""
    return {letter: _why_absent(dossier, letter) for letter in REGISTRY if letter not in letters}


def _why_absent(dossier: Dossier, letter: str) -> str:
    if dossier.verdict.verdict == "REFUSE":
        return "no verdict could be given, and nothing is designed before one"
    if dossier.plan is None:
        return "the verdict names another move than self-distillation"
    if letter == "C":
        return "no verifier was named"
    return "it does not apply"


SPENT, PARETO = "GPU-hours, cost and accuracy per GPU-hour", "Pareto position against the comparator"
UNMEASURED = {
    "pass@1 delta": "no model has been tuned yet",
    "the same per difficulty": "no model has been tuned yet",
    "pass@k delta": "no model has been tuned yet",
    "battery deltas": "the battery reads a tuned model against its base",
    SPENT: "no run's cost was handed over (`/cost FILE`)",
    PARETO: "what it needs is not there",
}


def report(dossier: Dossier, letters: Iterable[str], plots: tuple[str, ...]) -> str:
    """REPORT.md: the verdict first, what is measured, SPEC 8's list with what is not, the deliverables, the facts."""
    letters = tuple(letters)
    table = pass_table(dossier)
    figures = "\n\n".join(f"![{name.removeprefix('plots/').removesuffix('.svg')}]({name})" for name in plots)
    parts = [
        "# Report",
        f"## Verdict\n\n{verdict_card(dossier)}",
        f"## pass@k and gap@k, overall and per slice\n\n{table}" if table else "",
        figures,
        _tuned(dossier),
        f"## Deliverables\n\n{_contents(dossier, letters)}",
        _facts(dossier),
        _policy(dossier),
        _HOW_TO_CHECK,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _tuned(dossier: Dossier) -> str:
    """What tuning did where something was measured, and what is not known of it yet."""
    measured = tuning(dossier)
    absent = {name: why for name, why in _unmeasured(dossier).items() if not _is_measured(name, dossier)}
    unknown = _table_of(absent, "not measured", "why") if absent else ""
    head = "## What tuning did" if measured else "## What a tuned model would add"
    return "\n\n".join(part for part in (head, measured, unknown) if part)


def tuning(dossier: Dossier) -> str:
    """What tuning did and what it cost, in the order of SPEC 8, as far as it was measured."""
    parts = (trials.section(dossier.tuned), costs.section(dossier.costs, dossier.tuned))
    return "\n\n".join(part for part in parts if part)


def _unmeasured(dossier: Dossier) -> dict[str, str]:
    return UNMEASURED | {PARETO: costs.missing(dossier.costs, dossier.trials)}


def _is_measured(name: str, dossier: Dossier) -> bool:
    tried = dossier.trials
    if name == SPENT:
        return bool(dossier.costs.files)
    if name == PARETO:
        return not costs.missing(dossier.costs, tried)
    if name in ("pass@1 delta", "pass@k delta"):
        return tried.find("tuned") is not None
    if name == "the same per difficulty":
        return bool((found := tried.find("tuned")) and found.slices)
    return name == "battery deltas" and tried.battery is not None


def _table_of(rows: dict[str, str], *head: str) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows.items())])


def _contents(dossier: Dossier, letters: tuple[str, ...]) -> str:
    why = absent(dossier, letters)
    rows = {f"{x}. {d.title}": why.get(x) or d.file for x, d in REGISTRY.items()}
    return _table_of(rows, "deliverable", "file, or why it is absent")


def _policy(dossier: Dossier) -> str:
    rows = [f"| {ref(entry, 'field')} | {_why(entry)} |" for entry in dossier.thresholds.values()]
    return "\n".join(["## The policy it was judged by", "", "| threshold | value | why |", "|---|---|---|", *rows])


def _why(entry: Evidence) -> str:
    return f"{ref(entry, 'value')} | {ref(entry, 'text')}" if entry.quantity else f"{ref(entry, 'text')} |"


_HOW_TO_CHECK = """## How to check it

Every figure above is written from an entry of ledger.jsonl; claims.json says which characters come from which entry.
`strategist verify-bundle` composes every file again from the ledger and the counts and compares byte for byte."""


# the command line


def table_text(table: PassTable) -> str:
    """The table for a terminal: slice, k, pass@k, gap and n in columns, notes below."""
    level = next((f"{figure(q, 'level')} CI" for q in table.rows if q.ci), "CI")
    rows = [["slice", "", "pass", level, "gap", level, "n"]]
    for q in (row for row in table.rows if row.metric == "pass_at_k"):
        gap = table.find("gap_at_k", q.k or 1, q.slice)
        rows.append([printable(q.slice), q.label, *_pair(q), *(_pair(gap, name=True)), _figure(q, "n")])
    return "\n".join([*_columns(rows), *_remarks(table.rows, table.notes)])


def comparison_text(comparison: Comparison) -> str:
    """Paired deltas for a terminal: slice, metric, delta, interval, n, p value of the sign-flip test; notes below."""
    tests = {(test.slice, test.k): test.sign_flip for test in comparison.tests}
    level = next((f"{figure(q, 'level')} CI" for q in comparison.deltas), "CI")
    rows = [["slice", "", "delta", level, "n", "p (sign flip)"]]
    for q in comparison.deltas:
        p = tests.get((q.slice, q.k or 1)) if q.metric == "delta_pass_at_k" else None
        rows.append([printable(q.slice), q.label, *_pair(q), _figure(q, "n"), "" if p is None else f"{p:.2g}"])
    return "\n".join([*_columns(rows), *_turning(comparison), *_remarks(comparison.deltas, comparison.notes)])


def _remarks(rows: Iterable[Quantity], notes: Iterable[str]) -> list[str]:
    marked = [AT_LEAST] if any(mark(q) for q in rows) else []
    return [f"note: {note}" for note in (*marked, *notes)]


def _turning(comparison: Comparison) -> list[str]:
    curve = comparison.curve
    lines = [
        f"problems solved only after tuning: {len(comparison.gained):,}; only before: {len(comparison.lost):,}",
        f"battery: {comparison.deltas[0].battery}" if comparison.deltas else "",
        f"a true change of {_figure(comparison.detectable, 'value')} in pass@1 would be told from none with a chance of"
        f" {percent(power.POWER)}; a smaller one less often",
    ]
    if curve.last_gain is not None:
        lines.append(f"gain certified up to k = {curve.last_gain}")
    if curve.first_loss is not None:
        lines.append(f"loss certified from k = {curve.first_loss}")
    return [line for line in lines if line]


def _pair(quantity: Quantity | None, *, name: bool = False) -> tuple[str, str]:
    if quantity is None:
        return "", ""
    interval = _figure(quantity, "ci") + mark(quantity)
    return f"{quantity.label + ' ' if name else ''}{_figure(quantity, 'value')}", interval


def _figure(quantity: Quantity, form: str) -> str:
    return figure(quantity, form) or ""


def _columns(rows: list[list[str]]) -> Iterable[str]:
    """Rows in aligned columns: names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        yield "  ".join(cells).rstrip()
