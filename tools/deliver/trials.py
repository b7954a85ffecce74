"""What tuning did: every arm against the base on the same problems, and the battery.

Computed from counts and readings that the ledger names by sha256, entry by entry like all else, so that a bundle
recomputes it. The battery's readings cannot be recomputed there (the answers are too many to travel): they are carried,
bound by their hash. A delta always carries the battery it was read with, or that none was (BAT-9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tools.claims import AT_LEAST, mark
from tools.errors import InvalidInput
from tools.judge.battery import BatteryRun
from tools.records import OVERALL, Comparison, Counts, Draft, Evidence, Quantity
from tools.stats import compare, power
from tools.store import digest, key_of

VERSION = "1"
COUNTS, BATTERY = "counts", "battery"
NOT_RUN = "not run"
Arm = Literal["tuned", "decode_control", "placebo", "verifier_aware", "comparator"]


@dataclass(frozen=True)
class Pairing:
    """Which counts are held against which ("" is the base), and what the difference means."""

    name: str
    before: str
    after: Arm
    meaning: str


PAIRINGS = (
    Pairing("tuned", "", "tuned", "the tuned model against its base"),
    Pairing("decoding", "", "decode_control", "what the tuned decoding alone gives the base"),
    Pairing("weights", "decode_control", "tuned", "what the new weights add at the same decoding"),
    Pairing("placebo", "", "placebo", "plain training on one's own text against the base"),
    Pairing("verifier_aware", "", "verifier_aware", "the verifier-aware arm against the base"),
    Pairing("comparator", "", "comparator", "the comparator against the base"),
    Pairing("over_comparator", "comparator", "tuned", "the tuned model against the comparator"),
)
ARMS: tuple[Arm, ...] = tuple(dict.fromkeys(pairing.after for pairing in PAIRINGS))


@dataclass(frozen=True)
class Trial:
    """One pairing that could be made, with the counts of its two sides."""

    pairing: Pairing
    before: Counts
    after: Counts
    comparison: Comparison


@dataclass(frozen=True)
class Trials:
    """Everything known of tuned models, with the bytes that each part was read from.

    unmade: pairings whose two sides are there and cannot be compared, with the reason. files: the ledger's entries of
    the files that all this was read from, by name.
    """

    made: tuple[Trial, ...]
    unmade: Mapping[str, str]
    battery: BatteryRun | None
    files: Mapping[str, Evidence]

    def find(self, name: str) -> Comparison | None:
        """The comparison of that name."""
        trial = self.trial(name)
        return trial.comparison if trial is not None else None

    def trial(self, name: str) -> Trial | None:
        """The trial of that name."""
        return next((trial for trial in self.made if trial.pairing.name == name), None)

    @property
    def answer(self) -> str:
        """What the battery says of the tuned model, in every place where a delta of its stands."""
        return self.battery.answer if self.battery else "not run, so this is commentary (BAT-9)"

    def drafts(self) -> Iterator[Draft]:
        """One measured entry per figure."""
        for trial in self.made:
            yield from self._compared(trial, trial.comparison.deltas)
        for name, why in self.unmade.items():
            pairing = next(pairing for pairing in PAIRINGS if pairing.name == name)
            yield _draft(f"trial.{name}.unmade", why, "compare.compare", self.sides(pairing))
        yield from self._battery_drafts()

    def before_the_battery(self) -> Iterator[Draft]:
        """The same comparisons as they were recorded while no battery had been read."""
        for trial in self.made:
            bare = (delta.model_copy(update={"battery": NOT_RUN}) for delta in trial.comparison.deltas)
            yield from self._compared(trial, tuple(bare))

    def _compared(self, trial: Trial, deltas: tuple[Quantity, ...]) -> Iterator[Draft]:
        for path, leaf in _figures(trial.comparison, deltas):
            read = [self.files[BATTERY]] if isinstance(leaf, Quantity) and leaf.battery not in (None, NOT_RUN) else []
            files = (*self.sides(trial.pairing), *read)
            yield _draft(f"trial.{trial.pairing.name}.{path}", leaf, "compare.compare", files)

    def sides(self, pairing: Pairing) -> tuple[Evidence, ...]:
        """The entries of the two files of a pairing."""
        before = f"{COUNTS}.{pairing.before}" if pairing.before else COUNTS
        return self.files[before], self.files[f"{COUNTS}.{pairing.after}"]

    def _battery_drafts(self) -> Iterator[Draft]:
        file = (self.files[BATTERY],) if self.battery else ()
        for reading in self.battery.readings if self.battery else ():
            tolerance = Quantity(metric="value", value=reading.tolerance, unit=reading.drift.unit)
            for part, leaf in (("drift", reading.drift), ("tolerance", tolerance), ("answer", reading.answer)):
                yield _draft(f"battery.{reading.probe}.{part}", leaf, "probes.read", file)
        for missed in self.battery.not_read if self.battery else ():
            yield _draft(f"battery.{missed.probe}.not_read", missed.why, "probes.read", file)


def _draft(name: str, leaf: Quantity | str, tool: str, files: tuple[Evidence, ...]) -> Draft:
    """One figure. Its key is its name and the bytes it came from; its inputs are their entries."""
    quantity, value = (leaf, None) if isinstance(leaf, Quantity) else (None, leaf)
    sources = [file.source for file in files if file.source is not None]
    return Draft(
        kind="measured",
        name=name,
        quantity=quantity,
        value=value,
        inputs=tuple(file.id for file in files),
        tool=tool,
        version=VERSION,
        key=key_of("trials", VERSION, name, *sources),
        source=sources[-1],
    )


def _figures(found: Comparison, deltas: tuple[Quantity, ...]) -> Iterator[tuple[str, Quantity | str]]:
    for delta in deltas:
        yield f"{delta.slice}.{delta.label}", delta
    for test in found.tests:
        yield f"{test.slice}.p@{test.k}", _p_value(test.sign_flip)
    for k, p in found.interaction.items():
        yield f"{OVERALL}.alike@{k}", _p_value(p)
    yield "power", Quantity(metric="value", value=power.POWER, unit="fraction")
    yield "detectable", found.detectable
    turns = {"last_gain": found.curve.last_gain, "first_loss": found.curve.first_loss}
    counted = {"gained": len(found.gained), "lost": len(found.lost), "problems": found.problems}
    for name, value in {**turns, **counted}.items():
        if value is not None:
            yield name, Quantity(metric="value", value=value, unit="count")
    for number, note in enumerate(found.notes):
        yield f"note.{number}", note


def _p_value(p: float) -> Quantity:
    """To two significant digits: more than that, ten thousand flips do not know."""
    return Quantity(metric="value", value=float(f"{p:.2g}"), unit="config")


def gather(
    base: Counts | None, read: Callable[[str], tuple[bytes, Evidence] | None], counts_of: Callable[[bytes, str], Counts]
) -> Trials:
    """Every trial that the ledger's files allow. read: an entry of that name and the bytes it rests on, or None."""
    names = (COUNTS, BATTERY, *(f"{COUNTS}.{arm}" for arm in ARMS))
    found = {name: file for name in names if (file := read(name)) is not None}
    battery = BatteryRun.parse(found[BATTERY][0], BATTERY) if BATTERY in found else None
    carried = f"battery {digest(found[BATTERY][0])[:12]}" if battery else NOT_RUN
    arms = {arm: counts_of(*_named(found[name])) for arm in ARMS if (name := f"{COUNTS}.{arm}") in found}
    made, unmade = _made(base, arms, carried) if base is not None else ((), {})
    return Trials(made, unmade, battery, {name: entry for name, (_, entry) in found.items()})


def _named(file: tuple[bytes, Evidence]) -> tuple[bytes, str]:
    data, entry = file
    return data, entry.source.name if entry.source else entry.name


def _made(base: Counts, arms: Mapping[Arm, Counts], battery: str) -> tuple[tuple[Trial, ...], dict[str, str]]:
    sides: dict[str, Counts] = {"": base, **{str(arm): counts for arm, counts in arms.items()}}
    made: list[Trial] = []
    unmade: dict[str, str] = {}
    for pairing in PAIRINGS:
        before, after = sides.get(pairing.before), sides.get(pairing.after)
        if before is not None and after is not None:
            try:
                carried = battery if pairing.after == "tuned" else NOT_RUN
                made.append(Trial(pairing, before, after, comparison_of(before, after, carried)))
            except InvalidInput as error:
                unmade[pairing.name] = str(error)
    return tuple(made), unmade


@lru_cache(maxsize=16)
def comparison_of(before: Counts, after: Counts, battery: str) -> Comparison:
    """The paired comparison with the product's seed and resamples, up to the largest k that both sides allow."""
    most = min(*before.total, *after.total)
    return compare.compare(before, after, [k for k in _grid(most) if k <= most], battery=battery)


def _grid(most: int) -> list[int]:
    """The k of the verdict, and from there on doubling: collapse shows at the largest k that can be afforded."""
    return sorted({1, 4, 8, 16, *(2**i for i in range(5, most.bit_length())), most})


# the report


@dataclass(frozen=True)
class Cited:
    """The trials with the ledger entries that carry their figures, and those of what they cost."""

    trials: Trials
    entries: Mapping[str, Evidence]

    def ref(self, name: str, form: str = "value") -> str:
        """A reference to one figure; empty where it is not there."""
        entry = self.entries.get(name)
        return f"{{{{{entry.id}|{form}}}}}" if entry is not None else ""


def section(cited: Cited) -> str:
    """SPEC section 8 in its order: pass@1 delta, by slice, pass@k, the battery. `costs.section` goes on from there."""
    trials = (_trial(cited, trial) for trial in cited.trials.made)
    parts = [headline(cited), *trials, _unmade(cited), _battery(cited)]
    return "\n\n".join(part for part in parts if part)


def headline(cited: Cited) -> str:
    """The delta of pass@1 in one line with the battery's answer; empty where nothing was tuned."""
    if cited.trials.find("tuned") is None:
        return ""
    name = f"trial.tuned.{OVERALL}.Δpass@1"
    said = f"Δpass@1 overall: {cited.ref(name)} {cited.ref(name, 'ci')}, n = {cited.ref(name, 'n')}."
    return f"{said} Battery: {cited.trials.answer}."


def _trial(cited: Cited, trial: Trial) -> str:
    name, found = trial.pairing.name, trial.comparison
    level = cited.ref(f"trial.{name}.{OVERALL}.Δpass@1", "level")
    head = f"### {trial.pairing.meaning.capitalize()}\n\n| slice | | delta and {level} CI | n | p (sign flip) |"
    rows = [_row(cited, name, delta) for delta in found.deltas]
    marked = [f"- {AT_LEAST}"] if any(mark(delta) for delta in found.deltas) else []
    said = (_detectable(cited, name), *_turns(cited, name), *_notes(cited, trial), *marked)
    return "\n".join([head, "|---|---|---|---|---|", *rows, "", *said])


def _detectable(cited: Cited, trial: str) -> str:
    effect, often = cited.ref(f"trial.{trial}.detectable"), cited.ref(f"trial.{trial}.power")
    said = f"a true change of {effect} in pass@1 would be told from none with a chance of {often}"
    return f"- {said}; a smaller one less often"


def _row(cited: Cited, trial: str, delta: Quantity) -> str:
    path = f"trial.{trial}.{delta.slice}.{delta.label}"
    p = cited.ref(f"trial.{trial}.{delta.slice}.p@{delta.k}") if delta.metric == "delta_pass_at_k" else ""
    figures = f"{cited.ref(path)} {cited.ref(path, 'ci')}{mark(delta)}"
    return f"| {cited.ref(path, 'slice')} | {delta.label} | {figures} | {cited.ref(path, 'n')} | {p} |"


def _turns(cited: Cited, trial: str) -> Iterator[str]:
    """The collapse certificate: where along k a gain ends being certified, and from where a loss is."""
    said = {
        "gained": "problems solved only afterwards: {}",
        "lost": "problems solved only before: {}",
        "last_gain": "a gain is certified at every k up to {}",
        "first_loss": "a loss is certified from k = {} on",
    }
    for name, text in said.items():
        if figure := cited.ref(f"trial.{trial}.{name}"):
            yield f"- {text.format(figure)}"


def _notes(cited: Cited, trial: Trial) -> Iterator[str]:
    for number in range(len(trial.comparison.notes)):
        yield f"- {cited.ref(f'trial.{trial.pairing.name}.note.{number}', 'text')}"


def _unmade(cited: Cited) -> str:
    return "\n".join(
        f"- not compared ({name}): {cited.ref(f'trial.{name}.unmade', 'text')}" for name in cited.trials.unmade
    )


def _battery(cited: Cited) -> str:
    battery = cited.trials.battery
    if battery is None:
        return ""
    rows = [
        f"| {reading.probe} | {cited.ref(f'battery.{reading.probe}.answer', 'text')} |"
        f" {cited.ref(f'battery.{reading.probe}.drift')} {cited.ref(f'battery.{reading.probe}.drift', 'ci')} |"
        f" {cited.ref(f'battery.{reading.probe}.tolerance')} | {cited.ref(f'battery.{reading.probe}.drift', 'n')} |"
        for reading in battery.readings
    ]
    missed = [f"- {m.probe}: {cited.ref(f'battery.{m.probe}.not_read', 'text')}" for m in battery.not_read]
    head = "### The battery\n\n| probe | answer | drift and CI | tolerance | n |\n|---|---|---|---|---|"
    return "\n".join([head, *rows, "", *missed]).rstrip()
