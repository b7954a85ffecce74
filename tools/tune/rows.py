"""From samples to training rows, and the arm's name from what was done to them.

Holds the filters, the arms built from them, acceptance by a verifier, the mix with base-like rows and the ledger of
what departs from the preset. `build` writes `sft.jsonl` ({"prompt", "completion"}), its sidecar line by line, and
`selection.json`; `selected` reads them back and refuses rows that were touched since. An arm without a filter keeps
every sample: empty, cut off and wrong ones too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from tools.errors import InvalidInput, StoreCorrupt
from tools.judge.policy import Policy
from tools.measure.sampling import BLANK, EXAMPLE, SAMPLES, Prompts, render
from tools.records import Count, Counts, Decoding, Fraction, Grade, Record, Sample, Samples, Source
from tools.runs import Rows, Run
from tools.store import canonical, digest
from tools.tune.plan import (
    Arm,
    Deviation,
    Filter,
    Mix,
    Plan,
    Preset,
    Sampling,
    brief_minimal,
    deviations,
    paper,
)

SFT, SIDECAR, SELECTION, DEVIATIONS = "sft.jsonl", "sft.sidecar.jsonl", "selection.json", "deviations.jsonl"


class Origin(Record):
    """What the samples were drawn from; a hash that the engine could not tell is None.

    rendered: one prompt and how the model saw it, the proof where a server does not show its template.
    """

    base_sha256: str | None
    decoding: Decoding
    chat_template_sha256: str | None = None
    rendered: tuple[str, str] | None = None

    @property
    def plain(self) -> bool:
        """Whether the samples follow the model's own distribution: T = 1 and no truncation."""
        return (self.decoding.temperature, self.decoding.top_p, self.decoding.top_k) == (1, 1, None)

    @property
    def bare(self) -> bool:
        """Whether prompts were shown as they are, outside any chat template."""
        return self.rendered is not None and self.rendered[0] == self.rendered[1]


class Drawn(Record):
    """A sample with its prompt and, where a verifier ran, its grade."""

    prompt: str
    sample: Sample
    grade: Grade | None = None

    @property
    def accepted(self) -> bool:
        """Whether a verifier passed it; a sample without a grade is not accepted."""
        return self.grade is not None and self.grade.passed


class Acceptance(Record):
    """What the verifier let through: accepted of all samples per prompt, and the prompts it left without a row.

    ungraded: samples that no verifier could judge; they count as not accepted.
    """

    counts: Counts
    starved: tuple[str, ...]
    ungraded: Count

    @property
    def overall(self) -> Fraction:
        """Accepted share of all samples; its interval over problems is the pass@1 of `counts`."""
        return sum(self.counts.correct) / sum(self.counts.total)

    @property
    def slices(self) -> dict[str, Fraction]:
        """The same share per slice, in order of first appearance."""
        return {name: self._share(name) for name in dict.fromkeys(self.counts.slices)}

    @property
    def prompts(self) -> dict[str, Fraction]:
        """The same share per prompt."""
        return {i: c / n for i, c, n in zip(self.counts.ids, self.counts.correct, self.counts.total, strict=True)}

    def _share(self, name: str) -> Fraction:
        held = [slice_name == name for slice_name in self.counts.slices]
        pick = [(c, n) for c, n, h in zip(self.counts.correct, self.counts.total, held, strict=True) if h]
        return sum(c for c, _ in pick) / sum(n for _, n in pick)


class Selection(Record):
    """What was done to the rows of one arm. dropped: filter -> samples it removed, in the order of application.

    sft_sha256, sidecar_sha256: of the two files, so that no row leaves unnoticed.
    """

    arm: Arm
    origin: Origin
    prompts: Count
    samples_per_prompt: Samples
    seen: Count
    dropped: dict[Filter, Count]
    kept: Count
    mix: Mix
    base_like: Count
    acceptance: Acceptance | None = None
    sft_sha256: str = Field(min_length=64, max_length=64)
    sidecar_sha256: str = Field(min_length=64, max_length=64)


# the arms


MINIMAL = Arm.model_validate({})
PLACEBO = Arm.model_validate({"sampling": "plain"})
DECODE_CONTROL = Arm.model_validate({"trained": False})
VERIFIER_AWARE = Arm.model_validate({"filter": ("verifier_accepted",)})
COMPARATOR = Arm.model_validate({"filter": ("verifier_accepted", "distinct")})
ARMS = (MINIMAL, PLACEBO, DECODE_CONTROL, VERIFIER_AWARE, COMPARATOR)
"""The comparator is rejection-sampling SFT: as the verifier-aware arm, but no answer of a prompt counts twice."""


Keep = Callable[[Sequence[Drawn]], list[Drawn]]


def _each(good: Callable[[Drawn], bool]) -> Keep:
    return lambda drawn: [d for d in drawn if good(d)]


def _parses(drawn: Drawn) -> bool:
    """As the grader saw it, since what it extracted is what has to parse."""
    return drawn.grade is not None and drawn.grade.reason not in ("syntax", "no_code")


def _longest(drawn: Sequence[Drawn]) -> list[Drawn]:
    """Without the shortest tenth by characters, as the paper's repository drops it; ties go in order."""
    order = sorted(range(len(drawn)), key=lambda i: (len(drawn[i].sample.text), i))
    gone = set(order[: len(drawn) // 10])
    return [d for i, d in enumerate(drawn) if i not in gone]


def _distinct(drawn: Sequence[Drawn]) -> list[Drawn]:
    return list({(d.sample.id, d.sample.text): d for d in reversed(drawn)}.values())[::-1]


FILTERS: dict[Filter, Keep] = {
    "drop_empty": _each(lambda d: bool(d.sample.text.strip())),
    "drop_stubs": _each(lambda d: len(d.sample.text.strip().splitlines()) > 1),
    "drop_shortest": _longest,
    "parses": _each(_parses),
    "verifier_accepted": _each(lambda d: d.accepted),
    "distinct": _distinct,
}
NEED_GRADES = {"parses", "verifier_accepted"}


def acceptance(drawn: Sequence[Drawn], slices: Mapping[str, str]) -> Acceptance:
    """Count what the verifier accepted, per prompt. slices: prompt id -> slice, "" where it names none."""
    accepted: dict[str, list[bool]] = {}
    for d in drawn:
        accepted.setdefault(d.sample.id, []).append(d.accepted)
    grades = canonical([[d.sample.id, d.sample.index, d.accepted] for d in drawn])
    counts = Counts(
        ids=tuple(accepted),
        correct=tuple(sum(found) for found in accepted.values()),
        total=tuple(len(found) for found in accepted.values()),
        slices=tuple(slices.get(i, "") for i in accepted),
        clusters=("",) * len(accepted),
        source=Source(name="grades.jsonl", sha256=digest(grades)),
    )
    ungraded = sum(d.grade is None or d.grade.reason == "ungradable" for d in drawn)
    return Acceptance(counts=counts, starved=tuple(i for i, got in accepted.items() if not any(got)), ungraded=ungraded)


# building


def gather(run: Run, prompts: Prompts) -> tuple[list[Drawn], Origin]:
    """A sampling run's answers with their prompts and grades, and what they were drawn from.

    prompts: those the run was sampled with. Of two grades of one sample the later counts. Raises InvalidInput for other
    prompts, for one without samples, and for a model with an adapter: there is no one set of weights to train.
    """
    if run.plan["engine"].get("adapter_sha256"):
        raise InvalidInput("samples of a model with an adapter", "of one set of weights", "merge it, then sample")
    shown = render(prompts, run.plan["template"])
    bare = [[id, prompt] for id, prompt in render(prompts, BLANK).items()]
    if run.plan["problems_sha256"] != digest(canonical(bare)):
        raise InvalidInput("other prompts than were sampled", "those of the run", where=run.folder.name)
    grades = {(row["id"], row["index"]): Grade.model_validate(row) for row in run.rows("grades")}
    samples = [Sample.model_validate(row) for row in run.rows(SAMPLES)]
    drawn = [Drawn(prompt=shown[s.id], sample=s, grade=grades.get((s.id, s.index))) for s in samples]
    if missing := shown.keys() - {sample.id for sample in samples}:
        raise InvalidInput(f"no sample of {min(missing)}", "samples of every prompt", "finish sampling")
    example = run.folder / EXAMPLE
    first = next(iter(shown.values()))
    engine = run.plan["engine"]
    origin = Origin(
        base_sha256=engine.get("weights_sha256"),
        decoding=Decoding.model_validate(run.plan["decoding"]),
        chat_template_sha256=engine.get("chat_template_sha256"),
        rendered=(first, example.read_text(encoding="utf-8")) if example.exists() else None,
    )
    return drawn, origin


def build(
    run: Run,
    plan: Plan,
    drawn: Iterable[Drawn],
    origin: Origin,
    *,
    slices: Mapping[str, str] | None = None,
    base_like: Sequence[Mapping[str, Any]] = (),
) -> Selection:
    """Write the rows of the plan's arm into the run folder and return what was done to them.

    base_like: rows to mix in, {"prompt", "completion"}; as many are drawn, without replacement, as the declared ratio
    asks for. Rows are in order of prompt and index, base-like ones follow. Raises InvalidInput where no row is left,
    where the arm is not trained or sampled otherwise, where samples are missing, and where the mix has too few rows.
    """
    drawn = sorted(drawn, key=lambda d: (d.sample.id, d.sample.index))
    _check(plan, drawn, origin)
    kept, dropped = _filtered(drawn, plan.arm.filter)
    mixed = _mixed(kept, plan.mix, plan.training.seed, base_like)
    rows = [{"prompt": d.prompt, "completion": d.sample.text} for d in kept] + mixed
    sidecar = [_sidecar(d, origin) for d in kept] + [{"source": plan.mix.source}] * len(mixed)
    prompts = len({d.sample.id for d in drawn})
    verified = "verifier_accepted" in plan.arm.filter
    found = Selection(
        arm=_arm(plan.arm, origin),
        origin=origin,
        prompts=prompts,
        samples_per_prompt=len(drawn) // prompts,
        seen=len(drawn),
        dropped=dropped,
        kept=len(kept),
        mix=plan.mix,
        base_like=len(mixed),
        acceptance=acceptance(drawn, slices or {}) if verified else None,
        sft_sha256=_write(run, SFT, rows),
        sidecar_sha256=_write(run, SIDECAR, sidecar),
    )
    run.write(SELECTION, found.model_dump_json(indent=2) + "\n")
    return found


def selected(run: Run) -> Selection:
    """What was done to the rows of this run. Raises StoreCorrupt where a row was touched since."""
    path = run.folder / SELECTION
    if not path.exists():
        raise InvalidInput("there are no training rows here", SELECTION, "build the rows first", where=run.folder.name)
    found = Selection.model_validate_json(path.read_bytes())
    for name, sha256 in ((SFT, found.sft_sha256), (SIDECAR, found.sidecar_sha256)):
        if digest((run.folder / name).read_bytes()) != sha256:
            raise StoreCorrupt(f"{name} is not what the arm {found.arm.name!r} was named for; build the rows again")
    return found


class Pair(Record):
    """One training row. ended: whether the model itself ended the answer; one that was cut off has no end to learn."""

    prompt: str
    completion: str
    ended: bool = True


def pairs(run: Run) -> list[Pair]:
    """The rows of this run, in order."""
    both = zip(Rows(run.folder / SFT), Rows(run.folder / SIDECAR), strict=True)
    return [Pair(**row, ended=beside.get("finish_reason") != "length") for row, beside in both]


def _check(plan: Plan, drawn: Sequence[Drawn], origin: Origin) -> None:
    if not plan.arm.trained:
        raise InvalidInput(f"the arm {plan.arm.name!r} trains nothing", "a trained arm", "evaluate the base instead")
    if not drawn:
        raise InvalidInput("there are no samples", "the samples of a run", "sample first")
    _check_whole(drawn)
    if plan.arm.sampling == "plain" and not origin.plain:
        drawn_at = origin.decoding
        seen = f"temperature {drawn_at.temperature:g}, top_p {drawn_at.top_p:g}, top_k {drawn_at.top_k}"
        raise InvalidInput(seen, "T = 1 without truncation for the placebo", "sample it anew", where="samples")
    if NEED_GRADES & set(plan.arm.filter) and all(d.grade is None for d in drawn):
        raise InvalidInput("no sample has a grade", "grades for this arm's filter", "verify the samples first")


def _check_whole(drawn: Sequence[Drawn]) -> None:
    """Every prompt has the same samples: a row that is missing was dropped by someone, and no arm is named for that."""
    there: dict[str, list[int]] = {}
    for d in drawn:
        there.setdefault(d.sample.id, []).append(d.sample.index)
    n = 1 + max(d.sample.index for d in drawn)
    for id, indices in there.items():
        if indices != list(range(n)):
            do = "finish sampling; to leave rows out is a filter, and has a name"
            raise InvalidInput(f"{len(indices)} samples of {id}", f"each of {n}, once, as of every prompt", do)


def _arm(planned: Arm, origin: Origin) -> Arm:
    """The arm that ran: unfiltered rows drawn at T = 1 without truncation are the placebo, whatever was planned."""
    return Arm.model_validate(
        {"preset": planned.preset, "filter": planned.filter, "sampling": "plain" if origin.plain else "shaped"}
    )


def _filtered(drawn: Sequence[Drawn], filters: Sequence[Filter]) -> tuple[list[Drawn], dict[Filter, int]]:
    kept, dropped = list(drawn), {}
    for name in filters:
        before, kept = len(kept), FILTERS[name](kept)
        dropped[name] = before - len(kept)
    if not kept:
        raise InvalidInput(f"{', '.join(filters)} left none of {len(drawn)} rows", "rows to train on", "look at them")
    return kept, dropped


def _mixed(kept: Sequence[Drawn], mix: Mix, seed: int, pool: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    wanted = round(len(kept) * mix.ratio / (1 - mix.ratio))
    if wanted > len(pool):
        seen = f"{len(pool)} base-like rows for a mix of {mix.ratio:g} with {len(kept)} rows"
        raise InvalidInput(seen, f"{wanted} of them", "bring more, or lower the ratio", where="mix")
    chosen = np.random.default_rng(seed).choice(len(pool), wanted, replace=False) if wanted else ()
    return [{key: pool[i][key] for key in ("prompt", "completion")} for i in sorted(map(int, chosen))]


def _sidecar(drawn: Drawn, origin: Origin) -> dict[str, Any]:
    sample = drawn.sample
    return {
        "sample_id": f"{sample.id}/{sample.index}",
        "prompt_id": sample.id,
        "base_sha256": origin.base_sha256,
        "decoding": origin.decoding.model_dump(mode="json"),
        "seed": sample.seed,
        "finish_reason": sample.finish_reason,
        "tokens": sample.tokens,
    }


def _write(run: Run, name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    block = "".join(canonical(row) + "\n" for row in rows)
    run.write(name, block)
    return digest(block)


# what departs from the preset (DEV-1)


def departures(plan: Plan, found: Selection, cut: int = 0, policy: Policy | None = None) -> tuple[Deviation, ...]:
    """What ran against its preset, filters included. cut: rows that max_seq_length shortened."""
    rows = found.kept + found.base_like
    shortened = [Deviation(field="rows.cut", preset="none", plan=f"{cut} of {rows}")] if cut else []
    return (*deviations(_ran(plan, found), _preset_of(plan, policy)), *shortened)


def _ran(plan: Plan, found: Selection) -> Preset:
    """What ran, in the shape of a preset: settings from the samples and rows themselves, not from the plan."""
    drawn = found.origin.decoding.model_dump(include={"temperature", "top_p", "top_k", "max_tokens", "seed", "stop"})
    template = "none" if found.origin.bare else plan.sampling.chat_template
    sampling = Sampling.model_validate({**drawn, "n": found.samples_per_prompt, "chat_template": template})
    share = found.base_like / (found.base_like + found.kept)
    # a ratio of whole rows is never exact
    mix = found.mix if abs(share - found.mix.ratio) < 0.01 else Mix(ratio=share, source=found.mix.source)
    return Preset(name="own", arm=found.arm, sampling=sampling, training=plan.training, mix=mix, rounds=plan.rounds)


def _preset_of(plan: Plan, policy: Policy | None) -> Preset:
    """What a run is held against: the paper where the plan follows it, else the brief."""
    return paper() if plan.arm.preset == "paper" else brief_minimal(policy)


def record_deviations(run: Run, found: Sequence[Deviation]) -> None:
    """Write `deviations.jsonl` whole: one row per setting, {"field", "preset", "run"}."""
    _write(run, DEVIATIONS, [{"field": d.field, "preset": d.preset, "run": d.plan} for d in found])


def ledger(run: Run) -> str:
    """The deviation ledger as lines for a person; says so where there are none."""
    rows = list(run.rows("deviations"))
    if not rows:
        return "No deviation from the preset."
    lines = [f"- {row['field']}: {row['preset']} in the preset, {row['run']} in this run" for row in rows]
    return "\n".join([f"Deviations from the preset: {len(rows)}", *lines])
