"""What every arm cost, what was had for an hour of it, and where the tuned model stands against the comparator.

Computed from the `cost.jsonl` files of runs, as a person handed them over for an arm. Their bytes travel in the bundle
under cost/, so that it recomputes every figure here. Several files of one arm add up; a file that has grown since
replaces what it was. Dollars exist only under a rate that a person declared, accuracy per hour only where hours were
spent, and a place on the Pareto plane only where both arms count the same kind of hours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import floor, log10

from tools.deliver.trials import ARMS, Cited, Trial, Trials
from tools.records import OVERALL, Counts, Draft, Evidence, EvidenceKind, Quantity, Source, Unit
from tools.stats import compare, cost
from tools.stats.cost import NOTHING, Cost, Hours
from tools.store import key_of

VERSION = "1"
COST, RATE = "cost", "price.usd_per_gpu_hour"
TOTALS, PER_HOUR, STANDING = "cost.totals", "cost.per_hour", "cost.standing"
TOOLS = (TOTALS, PER_HOUR, STANDING)
BASE = "base"
PAID_FOR = (BASE, *ARMS)
# arms that answer with the weights of the base
UNMADE = (BASE, "decode_control")
MADE, ALL = "made", "all"
COLUMNS: dict[str, Unit] = {"wall": "hours", "cpu": "cpu_hours", "gpu": "gpu_hours"}


@dataclass(frozen=True)
class File:
    """One `cost.jsonl` as it was handed over: its entry, where a bundle keeps it, its bytes."""

    entry: Evidence
    place: str
    data: bytes

    @property
    def rows(self) -> tuple[Cost, ...]:
        """Its stretches of work."""
        return rows_of(self.data, self.place)

    def grew_from(self, sha256: str) -> bool:
        """Whether the file once was, or is, the one of this hash."""
        return sha256 in beginnings(self.data)


@lru_cache(maxsize=64)
def rows_of(data: bytes, name: str) -> tuple[Cost, ...]:
    """The stretches of a file. Raises InvalidInput as `cost.read` does."""
    return cost.read(data, name)


@lru_cache(maxsize=64)
def beginnings(data: bytes) -> frozenset[str]:
    """The sha256 of the file and of its every beginning that ends with a row, its line end there yet or not."""
    so_far = hashlib.sha256()
    found = []
    for line in data.splitlines(keepends=True):
        row = line.rstrip(b"\r\n")
        for part in (row, line[len(row) :]):
            so_far.update(part)
            found.append(so_far.hexdigest())
    return frozenset(found)


@dataclass(frozen=True)
class Costs:
    """The files in force by arm, in the order they came, and the rate, where one is declared."""

    files: Mapping[str, tuple[File, ...]]
    rate: Evidence | None

    @property
    def artifacts(self) -> dict[str, bytes]:
        """The bytes that travel, by their place in a bundle."""
        return {file.place: file.data for files in self.files.values() for file in files}

    @property
    def entries(self) -> tuple[Evidence, ...]:
        """The ledger's entries of all files."""
        return tuple(file.entry for files in self.files.values() for file in files)

    def rows(self, arm: str) -> list[Cost]:
        """Every stretch of an arm's files."""
        return [row for file in self.files.get(arm, ()) for row in file.rows]

    def made(self, arm: str) -> Hours:
        """What it took to have the arm's model."""
        return cost.making([] if arm in UNMADE else self.rows(arm))

    def among(self, named: Sequence[Evidence]) -> Costs:
        """These costs as they were when only the named files and the named rate were there."""
        files = {arm: tuple(file for file in files if file.entry in named) for arm, files in self.files.items()}
        rate = next((entry for entry in named if entry.name == RATE), None)
        return Costs({arm: found for arm, found in files.items() if found}, rate)

    def has(self, arm: str, sha256: str) -> bool:
        """Whether a file counts for the arm already, as it is or grown since."""
        return any(file.grew_from(sha256) for file in self.files.get(arm, ()))

    def drafts(self, trials: Trials) -> Iterator[Draft]:
        """One entry per figure."""
        for arm in self.files:
            yield from self._spent(arm)
        for trial in trials.made:
            if not trial.pairing.before and trial.pairing.after in self.files:
                yield from self._per_hour(trials, trial)
        if (over := trials.trial("over_comparator")) is not None and {"tuned", "comparator"} <= self.files.keys():
            yield from self._standing(trials, over)

    def _inputs(self, *arms: str) -> tuple[Evidence, ...]:
        return tuple(file.entry for arm in arms for file in self.files[arm])

    def _spent(self, arm: str) -> Iterator[Draft]:
        inputs = self._inputs(arm)
        for part, found in self.parts(arm).items():
            for column, value in zip(COLUMNS, (found.wall_hours, found.cpu_hours, found.gpu_hours), strict=True):
                hours = Quantity(metric="value", value=_printed(value), unit=COLUMNS[column])
                yield _draft("measured", f"spent.{arm}.{part}.{column}", hours, TOTALS, inputs)
            if self.rate is not None and self.rate.quantity is not None and found.gpu_hours > NOTHING:
                usd = Quantity(metric="value", value=found.gpu_hours * self.rate.quantity.value, unit="usd")
                yield _draft("derived", f"spent.{arm}.{part}.usd", usd, TOTALS, (self.rate, *inputs))

    def parts(self, arm: str) -> dict[str, Hours]:
        """An arm's hours by stage, of its making, and in all."""
        rows = self.rows(arm)
        stages: dict[str, Hours] = {total.stage: total for total in cost.totals(rows)}
        made = {} if arm in UNMADE else {MADE: self.made(arm)}
        return stages | made | {ALL: cost.hours(rows)}

    def _per_hour(self, trials: Trials, trial: Trial) -> Iterator[Draft]:
        delta, arm = trial.comparison.find("delta_pass_at_k", 1), trial.pairing.after
        figure = cost.per_hour(delta, self.made(arm)) if delta is not None else None
        if figure is not None:
            inputs = (*trials.sides(trial.pairing), *self._inputs(arm))
            yield _draft("derived", f"spent.{arm}.per_hour", figure, PER_HOUR, inputs)

    def _standing(self, trials: Trials, over: Trial) -> Iterator[Draft]:
        delta = over.comparison.find("delta_pass_at_k", 1)
        inputs = (*trials.sides(over.pairing), *self._inputs("tuned", "comparator"))
        found = cost.standing(delta.value, self.made("tuned"), self.made("comparator")) if delta is not None else None
        if found is None:
            return
        yield _draft("derived", "pareto.standing", found, STANDING, inputs)
        for name, sides in (("no_worse", (over.before, over.after)), ("no_better", (over.after, over.before))):
            if (chance := _chance(*sides)) is not None:
                figure = Quantity(metric="value", value=chance, unit="fraction", n=over.comparison.problems)
                yield _draft("derived", f"pareto.{name}", figure, STANDING, inputs)


@lru_cache(maxsize=8)
def _chance(before: Counts, after: Counts) -> float | None:
    return compare.chance_no_worse(before, after)


def _printed(hours: float) -> float:
    """Two decimals or four digits, whichever is more: a clock and a meter of half minutes know no more than that."""
    return round(hours, max(2, 3 - floor(log10(hours)))) if hours > NOTHING else 0.0


def _draft(kind: EvidenceKind, name: str, leaf: Quantity | str, tool: str, inputs: tuple[Evidence, ...]) -> Draft:
    """One figure. Its key is its name, the bytes it came from and the rate it was priced at."""
    sources = [entry.source for entry in inputs if entry.source is not None]
    rates = [entry.quantity.value for entry in inputs if entry.quantity is not None]
    return Draft(
        kind=kind,
        name=name,
        quantity=leaf if isinstance(leaf, Quantity) else None,
        value=None if isinstance(leaf, Quantity) else leaf,
        inputs=tuple(entry.id for entry in inputs),
        tool=tool,
        version=VERSION,
        key=key_of("costs", VERSION, [name, *rates], *sources),
        source=sources[-1],
    )


def gather(entries: Sequence[Evidence], read: Callable[[Source, str], bytes]) -> Costs:
    """The costs that a ledger's entries name. read: the bytes of a file, and where a bundle keeps it."""
    rates = [entry for entry in entries if entry.name == RATE]
    rate = rates[-1] if rates and rates[-1].quantity is not None else None
    handed: dict[str, list[Evidence]] = {arm: [] for arm in PAID_FOR}
    for entry in entries:
        kind, _, arm = entry.name.partition(".")
        if kind == COST and arm in handed:
            # an entry without a file takes all before it back
            handed[arm] = [*handed[arm], entry] if entry.source is not None else []
    return Costs({arm: _in_force(arm, found, read) for arm, found in handed.items() if found}, rate)


def _in_force(arm: str, handed: list[Evidence], read: Callable[[Source, str], bytes]) -> tuple[File, ...]:
    """The files, but for those that have grown since: the newest come first, and tell by hash what they once were."""
    found: list[File] = []
    for number, entry in reversed(list(enumerate(handed, 1))):
        if entry.source is not None and not any(file.grew_from(entry.source.sha256) for file in found):
            place = f"{COST}/{arm}-{number}.jsonl"
            found.insert(0, File(entry, place, read(entry.source, place)))
    return tuple(found)


def missing(costs: Costs, trials: Trials) -> str:
    """What the place against the comparator still needs; empty where nothing is missing."""
    graded = {file.removeprefix("counts.") for file in trials.files}
    wanted = {
        "results of the tuned model (`/tuned FILE`)": "tuned" in graded,
        "results of the comparator (`/tuned FILE comparator`)": "comparator" in graded,
        "what the tuned model cost (`/cost FILE`)": "tuned" in costs.files,
        "what the comparator cost (`/cost FILE comparator`)": "comparator" in costs.files,
    }
    lacking = [name for name, there in wanted.items() if not there]
    if lacking:
        return f"it needs {', '.join(lacking)}"
    return "" if trials.find("over_comparator") else "the two were not graded on the same problems"


# the report


def section(costs: Costs, cited: Cited) -> str:
    """The rest of SPEC section 8: hours and dollars by arm and stage, accuracy per hour, the place on the plane."""
    parts = [_spent(costs, cited), _gains(costs, cited), _pareto(costs, cited)]
    return "\n\n".join(part for part in parts if part)


PARTS = {MADE: "made: sampling and training", ALL: "in all"}
APART = (
    "- a model is made by sampling its training answers and by training; evaluation, grading and probing buy knowledge"
    " of it and stand apart\n- hours are measured and have no interval; a file that serves several arms counts in each"
)
SAME_HOUR = "- an hour of one accelerator counts like an hour of any other; which ones they were is not measured"
NO_RATE = "- dollars are not computed, because no rate was declared (`/price USD` per GPU-hour)"
NO_GPU = "- a rate is declared and prices nothing here, since no accelerator was held"


def _spent(costs: Costs, cited: Cited) -> str:
    if not costs.files:
        return ""
    priced = any(name.endswith(".usd") for name in cited.entries)
    head = ["arm", "stage", "wall", "CPU", "GPU", *(["dollars"] if priced else [])]
    rows = [
        _line(
            arm,
            PARTS.get(part, part),
            *(cited.ref(f"spent.{arm}.{part}.{c}") for c in (*COLUMNS, "usd")[: len(head) - 2]),
        )
        for arm in costs.files
        for part in costs.parts(arm)
    ]
    table = [_line(*head), _line(*("---" for _ in head)), *rows]
    rate = f"- dollars are GPU-hours at the declared rate of {{{{{costs.rate.id}|value}}}}" if costs.rate else NO_RATE
    return "\n".join(["### What it cost", "", *table, "", APART, NO_GPU if costs.rate and not priced else rate])


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _gains(costs: Costs, cited: Cited) -> str:
    """The delta of every arm against the base, over the hours of its making."""
    tried = [t.pairing.after for t in cited.trials.made if not t.pairing.before and t.pairing.after in costs.files]
    if not tried:
        return ""
    head = (
        "### Accuracy for an hour\n\n| arm against the base | Δpass@1 per hour of making, and CI | n |\n|---|---|---|"
    )
    rows = [_gain(cited, arm) for arm in tried]
    note = "- the interval is that of the delta, divided by the hours, which are measured and not drawn"
    return "\n".join([head, *rows, "", note, f"- battery of the tuned model: {cited.trials.answer}"])


def _gain(cited: Cited, arm: str) -> str:
    name = f"spent.{arm}.per_hour"
    if not (figure := cited.ref(name)):
        why = "its weights are the base's" if arm in UNMADE else "no hour of its making was handed over"
        return _line(arm, f"undefined: {why}", "")
    return _line(arm, f"{figure} {cited.ref(name, 'ci')}", cited.ref(name, "n"))


def _pareto(costs: Costs, cited: Cited) -> str:
    if missing(costs, cited.trials):
        return ""
    ours, theirs = costs.made("tuned"), costs.made("comparator")
    delta = f"trial.over_comparator.{OVERALL}.Δpass@1"
    lines = [
        f"- pass@1 of the tuned model over the comparator: {cited.ref(delta)} {cited.ref(delta, 'ci')},"
        f" n = {cited.ref(delta, 'n')}",
        f"- made in {_hours(cited, 'tuned', ours)}; the comparator in {_hours(cited, 'comparator', theirs)}",
        *(_chances(cited, cost.saving(ours, theirs)) if "pareto.standing" in cited.entries else ()),
        *([SAME_HOUR] if ours.unit == theirs.unit == "gpu_hours" else []),
        f"- this is of accuracy and cost alone; battery of the tuned model: {cited.trials.answer}",
    ]
    return "\n".join(["### Pareto: the tuned model against the comparator", "", _said(costs, cited), "", *lines])


def _hours(cited: Cited, arm: str, made: Hours) -> str:
    columns = {"gpu_hours": "gpu", "cpu_hours": "cpu"}
    return cited.ref(f"spent.{arm}.{MADE}.{columns[made.unit]}") if made.unit in columns else "no measured hour"


MEANS = {
    "dominates": "it is at least as accurate and cost no more, and is ahead in one of the two",
    "is dominated": "it is no more accurate and cost no less, and is behind in one of the two",
    "trades": "one of the two is more accurate, the other cost less",
    "equals": "neither is ahead, in accuracy or in cost",
}


def _said(costs: Costs, cited: Cited) -> str:
    if (entry := cited.entries.get("pareto.standing")) is not None:
        return f"The tuned model **{cited.ref('pareto.standing', 'text')}**: {MEANS[str(entry.value)]}."
    ours, theirs = costs.made("tuned").unit, costs.made("comparator").unit
    if ours is None or theirs is None:
        return "**Not comparable**: no hour of making was handed over for one of the two."
    apart = "one was made on accelerators and the other without, and their hours have no common measure"
    return f"**Not comparable**: {apart}."


def _chances(cited: Cited, saving: int) -> Iterator[str]:
    """saving: whether the tuned model cost less (1), more (-1) or the same (0)."""
    if not cited.ref("pareto.no_worse"):
        yield "- no problem differs between the two, so resampling knows no chance; the interval says what is left open"
        return
    follows = (
        "and so, as it cost no more, that it dominates" if saving >= 0 else "though it cost more and cannot dominate"
    )
    yield f"- chance that the tuned model is at least as accurate, {follows}: {cited.ref('pareto.no_worse')}"
    if saving <= 0:
        yield (
            "- chance that it is at most as accurate, and so, as it cost no less, that it is dominated:"
            f" {cited.ref('pareto.no_better')}"
        )
    yield (
        "- a chance is one minus the tail at which the paired interval reaches zero: problems are drawn again, both"
        " checkpoints and both costs stay as they are"
    )
