"""The stages that a conversation runs as jobs: measure, sample, train, evaluate; and the gate that stands after them.

A stage says what it needs, what it would take and which command carries it out, and afterwards which of its results
are taken in. What one stage rests on is the newest run of the session that ended well, as the ledger has it. Refused:
training without a plan of the current verdict or a base measured here, and a pool that meets the evaluation set.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import prompts
from agent import toolbox
from agent.acts import Act, Gated, Noted, Problem, StageName
from agent.toolbox import Casefile
from tools.deliver.dossier import GATE, RESULTS, ROUND_TWO, SEAL
from tools.deliver.trials import BATTERY
from tools.errors import InvalidInput
from tools.judge import battery, gates
from tools.measure import defaults, pools, problems, verify
from tools.measure.engines.transformers_local import EMBEDDED
from tools.records import Draft, Evidence, Grading, Quantity, Record, Source, Unit
from tools.records import Problem as Task
from tools.runs import PROBLEMS, TRAINED, TRAINING, Rows, Run
from tools.stats import cost
from tools.stats.cost import Cost, Stage, Total
from tools.store import key_of, read_source
from tools.tune import plan as planning
from tools.tune.plan import Plan

VERSION = "1"
COST = "cost.jsonl"
ENDED_WELL = "run.done"
GRADER, TRAINER = "verify.verify", "training.train"
ENGINE = ("engine", "model", "base-url", "set", "gpus")
DECODING = ("n", "temperature", "top-p", "top-k", "max-tokens", "seed")
WHOLE = ("n", "max-tokens", "gpus", "limit")
# what a training says of itself, and in which unit; its hashes are in the file
TRAINING_FIGURES: dict[str, Unit] = {
    "steps": "count",
    "rows": "count",
    "rows_cut": "count",
    "tokens": "tokens",
    "first_loss": "config",
    "last_loss": "config",
    "deviations": "count",
}


class Order(Record):
    """A run as it was planned. The ledger keeps it and bundles carry that, so runs are named without their place.

    asked: the user's words. folder: the run it goes on in, "" for one of its own. base, samples: runs it rests on.
    plan: sha256 of the plan it follows.
    """

    stage: StageName
    asked: str
    file: str = ""
    settings: dict[str, str]
    folder: str = ""
    base: str = ""
    samples: str = ""
    plan: str = ""


@dataclass(frozen=True)
class Prepared:
    """An order with what it would take, by name, and the evidence that was taken on the way."""

    order: Order
    takes: dict[str, tuple[float, Unit]]
    noted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finished:
    """A run that ended well."""

    folder: Path
    order: Order

    @property
    def weights(self) -> str | None:
        """The hash of the weights that answered; None where the engine could not tell."""
        found = self.engine.get("weights_sha256")
        return None if found is None else str(found)

    @property
    def engine(self) -> dict[str, Any]:
        """What answered, as the run is bound to it."""
        return dict(Run(self.folder).plan["engine"])

    @property
    def problems(self) -> tuple[Task, ...]:
        """The problems it began with."""
        return tuple(map(Task.model_validate, Rows(self.folder / PROBLEMS)))


# what is asked for


def prepared(case: Casefile, argument: str) -> Prepared:
    """What `/run ARGUMENT` would do. Raises InvalidInput, or AntiPattern, for what may not be run."""
    try:
        word, *given = shlex.split(argument)
        name = next(name for name in KINDS if name == word)
    except (ValueError, StopIteration) as error:
        wanted = "/run measure FILE NAME=VALUE ..., /run sample POOL, /run train or /run evaluate"
        raise InvalidInput(f"/run {argument}", wanted, "or /run measure embedded") from error
    kind = KINDS[name]
    file = given.pop(0) if kind.takes_file and given else ""
    if kind.takes_file and not file:
        raise InvalidInput("no file is named", f"/run {name} FILE", where=f"/run {name}")
    settings = _settings(given, kind.settings, f"/run {name}")
    return kind.prepare(case, Order(stage=name, asked=argument, file=file, settings=settings))


def _settings(given: list[str], known: dict[str, str], where: str) -> dict[str, str]:
    settings = dict(known)
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or name not in known:
            wanted = f"NAME=VALUE with one of {', '.join(known)}" if known else "nothing behind it"
            raise InvalidInput(f"{pair!r}", wanted, where=where)
        if name in WHOLE and not re.fullmatch("[0-9]{1,9}", value):
            raise InvalidInput(f"{name}={value:.80}", "a whole number", where=where)
        settings[name] = value
    return settings


# the stages, before they run


def _measure(case: Casefile, order: Order) -> Prepared:
    tasks, _ = _tasks(order.file)
    return Prepared(order, _sampling_takes(case, len(tasks) * int(order.settings["n"]), order.settings))


def _sample(case: Casefile, order: Order) -> Prepared:
    plan, base = _plan(case), _base(case)
    pool, source = _tasks(order.file)
    noted = _apart(case, base, pool, source)
    engine = {name: value for name, value in base.order.settings.items() if name in ENGINE}
    planned = {name: getattr(plan.sampling, name.replace("-", "_")) for name in DECODING}
    declared = {name: str(value) for name, value in planned.items() if value is not None}
    settings = engine | declared | _given(order.settings)
    order = order.model_copy(update={"settings": settings})
    return Prepared(order, _sampling_takes(case, len(pool) * int(settings["n"]), settings), noted)


def _train(case: Casefile, order: Order) -> Prepared:
    plan, base, samples = _plan(case), _base(case), finished(case, "sample")
    if base.weights is None:
        seen = f"the base answered through {base.engine.get('engine', 'an engine')}, which names no weights"
        do = "measure it from its folder: engine=transformers_local model=FOLDER"
        raise InvalidInput(seen, "weights to train", do)
    if samples.engine != base.engine:
        raise InvalidInput("the samples are of another model than was measured", "the same", "/run sample POOL again")
    noted = _apart(case, base, samples.problems, _hashed(samples.folder / PROBLEMS))
    kept, model = case.keep(plan.model_dump_json(indent=2).encode(), "pipeline.json"), base.order.settings["model"]
    rests = {"base": base.folder.name, "samples": samples.folder.name, "plan": kept.sha256}
    settings = {} if model in ("", EMBEDDED) else {"base": model}
    order = order.model_copy(update={"settings": settings, **rests})
    return Prepared(order, _training_takes(case, samples, plan), noted)


def _evaluate(case: Casefile, order: Order) -> Prepared:
    base, trained = _base(case), finished(case, "train")
    if _trained(trained)["base_sha256"] != base.weights:
        raise InvalidInput("the base that was trained is not the one measured last", "the same", "/run train again")
    settings = base.order.settings | order.settings
    limit = int(settings["limit"]) if settings["limit"] else None
    asks = 2 * sum(len(prompts.probe_set(name)[:limit]) for name in battery.PROBE_SETS)
    rests = {"settings": settings, "folder": trained.folder.name, "base": base.folder.name}
    answers = len(base.problems) * int(settings["n"]) + asks
    return Prepared(order.model_copy(update=rests), _sampling_takes(case, answers, settings))


def command(case: Casefile, order: Order, run: Path) -> list[str]:
    """The command that carries an order out in a run folder."""
    base = folders(case) / order.base
    if order.stage == "train":
        samples, plan = folders(case) / order.samples, case.place(Source(name="pipeline.json", sha256=order.plan))
        rests = ["--samples", str(samples), "--plan", str(plan), "--eval", str(base / PROBLEMS)]
    elif order.stage == "evaluate":
        rests = ["--against", str(base)]
    else:
        rests = ["--problems", order.file]
    return [order.stage, str(run), *rests, *_flags(order.settings)]


def _flags(settings: dict[str, str]) -> Iterator[str]:
    for name, value in _given(settings).items():
        yield from ("-n" if name == "n" else f"--{name}", value)


def _given(settings: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if value}


def _tasks(file: str) -> tuple[tuple[Task, ...], Source]:
    data, source = read_source(pools.located(file))
    return problems.read(data, source.name), source


def _plan(case: Casefile) -> Plan:
    """The plan of the verdict as it stands. Raises InvalidInput where it is no GO."""
    return planning.design(case.dossier.workload, case.dossier.verdict, case.policy)


def finished(case: Casefile, stage: StageName) -> Finished:
    """The newest run of a stage that ended well. Raises InvalidInput where this session has none."""
    done = case.ledger.get(f"{ENDED_WELL}.{stage}")
    if done is None:
        usage = f"/run {stage} FILE" if KINDS[stage].takes_file else f"/run {stage}"
        raise InvalidInput(KINDS[stage].missing, "a run that ended well", usage)
    return Finished(folders(case) / str(done.value), order_of(case, done))


def order_of(case: Casefile, entry: Evidence) -> Order:
    """What was planned, from any entry that was made of it."""
    made_of = None if isinstance(entry.value, dict) else case.ledger.get(entry.inputs[0])
    return order_of(case, made_of) if made_of else Order.model_validate(entry.value)


def _base(case: Casefile) -> Finished:
    """The run that measured the base; the verdict has to rest on it."""
    base = finished(case, "measure")
    _check_in_hand(case, RESULTS, base.folder / verify.COUNTS, "/attach")
    return base


def _check_in_hand(case: Casefile, name: str, file: Path, taken_by: str) -> None:
    """Raise InvalidInput where what the session goes by is not the file that the run wrote."""
    held = case.ledger.get(name)
    if held is None or held.source is None or held.source.sha256 != read_source(file)[1].sha256:
        seen = f"other {name.partition('.')[0]} in hand than {file.parent.name} wrote"
        raise InvalidInput(seen, f"those of {file.name}", f"{taken_by} {file}")


def _apart(case: Casefile, base: Finished, pool: tuple[Task, ...], source: Source) -> tuple[str, ...]:
    """Ids of what the contamination check counted. Raises AntiPattern where the pool meets the evaluation problems."""
    # not at the top: it would cost every start of the chat a fiftieth of a second
    from tools.measure import contamination

    found = contamination.check(base.problems, pool)
    held = _hashed(base.folder / PROBLEMS)
    noted = tuple(
        case.ledger.append(
            toolbox.measured("contamination.check", f"pool.overlap.{kind}", _count(getattr(found, kind)), source, held)
        ).id
        for kind in ("exact", "near", "contained", "flagged")
    )
    contamination.require_apart(found)
    return noted


# what it would take


def _sampling_takes(case: Casefile, answers: int, settings: dict[str, str]) -> dict[str, tuple[float, Unit]]:
    known = _spent(case, "sampling") or _spent(case, "evaluation")
    most = int(settings.get("max-tokens") or defaults.MAX_TOKENS)
    rate = known.tokens_per_second if known else None
    gpus = int(settings.get("gpus") or 0)
    found = cost.estimate(answers, 1, most, tokens_per_second=rate, accelerators=gpus)
    return _takes(found.answers, found.tokens, found.wall_hours, found.gpu_hours)


def _training_takes(case: Casefile, samples: Finished, plan: Plan) -> dict[str, tuple[float, Unit]]:
    """Rows and their tokens as they were drawn; hours at the pace of a training of this session."""
    lengths = [_length(row) for row in Run(samples.folder).rows(verify.SAMPLES)]
    counted = [length for length in lengths if length is not None]
    if len(counted) < len(lengths):
        return _takes(len(lengths))
    known, tokens = _spent(case, "training"), round(sum(counted) * plan.training.num_train_epochs)
    if known is None or known.tokens_per_second is None:
        return _takes(len(lengths), tokens)
    hours = tokens / known.tokens_per_second / cost.HOUR
    return _takes(len(lengths), tokens, hours, hours * known.gpu_hours / known.wall_hours)


def _length(row: dict[str, Any]) -> int | None:
    """Tokens of a training row; None where the engine did not count them."""
    asked, said = row.get("prompt_tokens"), row.get("tokens")
    return None if asked is None or said is None else int(asked) + int(said)


def _takes(
    answers: int, tokens: int | None = None, wall_hours: float | None = None, gpu_hours: float | None = None
) -> dict[str, tuple[float, Unit]]:
    taken: dict[str, tuple[float | None, Unit]] = {
        "answers": (answers, "count"),
        "tokens": (tokens, "tokens"),
        "wall_hours": (_rough(wall_hours), "config"),
        "gpu_hours": (_rough(gpu_hours), "gpu_hours"),
    }
    return {name: (value, unit) for name, (value, unit) in taken.items() if value is not None}


def _rough(hours: float | None) -> float | None:
    """To two significant digits: an estimate knows no more."""
    return None if hours is None else float(f"{hours:.2g}")


def _spent(case: Casefile, stage: Stage) -> Total | None:
    """What this session measured of a stage; without it no hours are named."""
    rows = [Cost.model_validate(row) for path in folders(case).glob(f"*/{COST}") for row in Rows(path)]
    return next((total for total in cost.totals(rows) if total.stage == stage), None)


# at the start of one


def _nothing(case: Casefile, run: Path, planned: Evidence) -> list[Act]:
    return []


def _seal(case: Casefile, run: Path, planned: Evidence) -> list[Act]:
    """Seal what the result is judged by; the training starts after this is in the ledger (BAT-8)."""
    counts = case.dossier.counts
    slices = dict.fromkeys(counts.slices) if counts else ()
    sealed = battery.seal_run(run, planning.terms(_plan(case), (name for name in slices if name)))
    kept = case.keep((run / battery.SEAL).read_bytes(), battery.SEAL)
    entry = case.ledger.append(toolbox.measured("seal.seal", SEAL, sealed.sha256, kept, inputs=(planned.id,)))
    return [Noted(evidence=(entry.id,))]


# what came of one


def _paid(case: Casefile, run: Path, arm: str, turn: int) -> list[Act]:
    """Take in what a run cost; it is shown where the arms are."""
    return [act for act in toolbox.spend(case, f"{run / COST} {arm}", turn) if isinstance(act, Problem)]


def _measured(case: Casefile, run: Path, turn: int) -> list[Act]:
    return [
        Noted(evidence=tuple(_graded(case, run))),
        *_paid(case, run, "base", turn),
        *toolbox.attach(case, str(run / verify.COUNTS), "results", turn),
    ]


def _graded(case: Casefile, run: Path) -> Iterator[str]:
    """Ids of what the grader and the run's plan say: isolation, noise, reasons, extraction, decoding (GRD-1)."""
    report, source = read_source(run / verify.GRADING)
    found = Grading.model_validate_json(report)
    case.keep(report, source.name)
    if found.noise is not None:
        noise = Quantity(metric="value", value=found.noise, unit="fraction")
        yield case.ledger.append(toolbox.measured(GRADER, "intake.grader_noise", noise, source)).id
    for name, count in _grading_counts(found).items():
        yield case.ledger.append(toolbox.measured(GRADER, f"grading.{name}", _count(count), source)).id
    told = {"grading.isolation": found.tier, "grading.extraction": found.extraction, "intake.decoding": _decoding(run)}
    for name, words in told.items():
        yield case.ledger.append(toolbox.measured(GRADER, name, words, source)).id


def _grading_counts(found: Grading) -> dict[str, int]:
    right = {f"right_by_{way}": count for way, count in found.sensitivity.items()}
    return {**dict(sorted(found.reasons.items())), **right, "ungradable_problems": len(found.ungradable)}


def _decoding(run: Path) -> str:
    told = Run(run).plan["decoding"]
    return ", ".join(f"{name} {value}" for name, value in told.items() if value not in (None, [], ""))


def _sampled(case: Casefile, run: Path, turn: int) -> list[Act]:
    rows, source = Run(run).rows(verify.SAMPLES), _hashed(run / f"{verify.SAMPLES}.jsonl")
    ends = [row["finish_reason"] for row in rows]
    counted = {"answers": len(ends), "cut_off": ends.count("length")}
    drafts = [
        toolbox.measured("sampling.sample", f"samples.{name}", _count(count), source) for name, count in counted.items()
    ]
    drafts.append(toolbox.measured("sampling.sample", "samples.decoding", _decoding(run), source))
    noted = Noted(evidence=tuple(case.ledger.append(draft).id for draft in drafts))
    return [noted, *_paid(case, run, "tuned", turn)]


def _fitted(case: Casefile, run: Path, turn: int) -> list[Act]:
    """What the training says of itself, and every departure from the preset (DEV-1)."""
    data, _ = read_source(run / TRAINING / TRAINED)
    told, kept = json.loads(data), case.keep(data, TRAINED)
    drafts = [
        toolbox.measured(TRAINER, "training.arm", told["arm"], kept),
        toolbox.measured(TRAINER, "training.seal", told["seal_sha256"], kept),
    ]
    for name, unit in TRAINING_FIGURES.items():
        drafts.append(toolbox.measured(TRAINER, f"training.{name}", _figure(told[name], unit), kept))
    departures = _hashed(run / "deviations.jsonl")
    for row in Run(run).rows("deviations"):
        said = f"{row['preset']} in the preset, {row['run']} in this run"
        drafts.append(toolbox.measured(TRAINER, f"training.deviation.{row['field']}", said, departures))
    return [Noted(evidence=tuple(case.ledger.append(draft).id for draft in drafts))]


def _figure(value: float, unit: Unit) -> Quantity:
    """A loss to four significant digits: more of them another machine would not repeat."""
    return Quantity(metric="value", value=float(f"{value:.4g}") if unit == "config" else value, unit=unit)


def _trained(run: Finished) -> dict[str, Any]:
    return dict(json.loads(read_source(run.folder / TRAINING / TRAINED)[0]))


def _evaluated(case: Casefile, run: Path, turn: int) -> list[Act]:
    """The counts and the readings, told once: a delta without its battery is not shown (BAT-9)."""
    acts = [
        *_paid(case, run, "tuned", turn),
        *toolbox.attach(case, str(run / verify.COUNTS), "tuned", turn),
        *toolbox.attach(case, str(run / battery.READINGS), BATTERY, turn),
    ]
    return list(dict.fromkeys(acts))


@dataclass(frozen=True)
class Kind:
    """A stage. begin: what is done in the conversation before the job starts; take_in: what is once it has ended.

    missing: what is said where another stage rests on it and it was never run.
    """

    missing: str
    prepare: Callable[[Casefile, Order], Prepared]
    take_in: Callable[[Casefile, Path, int], list[Act]]
    settings: dict[str, str]
    takes_file: bool = False
    begin: Callable[[Casefile, Path, Evidence], list[Act]] = _nothing


# a setting that is empty is left to the command, or to the plan
KINDS: dict[StageName, Kind] = {
    "measure": Kind(
        "no run of this session measured the base",
        _measure,
        _measured,
        {"n": str(defaults.SAMPLES), "max-tokens": str(defaults.MAX_TOKENS), "gpus": "0"}
        | dict.fromkeys(
            ("engine", "model", "base-url", "temperature", "top-p", "top-k", "seed", "extraction", "set"), ""
        ),
        takes_file=True,
    ),
    "sample": Kind(
        "no answers of the base were drawn in this session",
        _sample,
        _sampled,
        dict.fromkeys((*DECODING, "gpus"), ""),
        takes_file=True,
    ),
    "train": Kind("nothing was trained in this session", _train, _fitted, {}, begin=_seal),
    "evaluate": Kind("no tuned model was evaluated in this session", _evaluate, _evaluated, {"limit": ""}),
}


# the gate


def gate(case: Casefile, file: str, turn: int) -> list[Act]:
    """Whether a second round may start, of the session's two runs. file: what is planned for it, "" for nothing."""
    try:
        tuned = finished(case, "evaluate")
        base = folders(case) / tuned.order.base
        _check_in_hand(case, RESULTS, base / verify.COUNTS, "/attach")
        _check_in_hand(case, f"{RESULTS}.tuned", tuned.folder / verify.COUNTS, "/tuned")
        _check_in_hand(case, BATTERY, tuned.folder / battery.READINGS, "/battery")
        facts, rests = battery.round_one(base, tuned.folder), case.dossier.round_one
        if file:
            data, source = read_source(file)
            facts = gates.planned(facts, data, source.name)
            kept = case.keep(data, f"{ROUND_TWO}.json")
            rests = (*rests, case.ledger.append(toolbox.measured("gates.planned", ROUND_TWO, source.name, kept)).id)
        found = gates.round_two(facts, case.policy)
    except InvalidInput as error:
        return [Problem(message=str(error))]
    answer: Literal["open", "closed"] = "open" if found.open else "closed"
    held = {c.name: f"held: {c.seen}" if c.met else f"not held ({c.seen})" for c in found.conditions}
    for name, said in {"answer": answer, **held}.items():
        case.ledger.append(_judged(f"{GATE}.{name}", said, rests, turn))
    return [Gated(answer=answer)]


def _judged(name: str, said: str, inputs: tuple[str, ...], turn: int) -> Draft:
    key = key_of(name, VERSION, [said, list(inputs), turn])
    return Draft(kind="derived", name=name, value=said, inputs=inputs, tool="gates.round_two", version=VERSION, key=key)


# evidence


def folders(case: Casefile) -> Path:
    """Where the runs of a session lie."""
    return case.folder / "runs"


def _count(value: int) -> Quantity:
    return Quantity(metric="value", value=value, unit="count")


def _hashed(path: Path) -> Source:
    """A file that may be too large to be held."""
    with path.open("rb") as file:
        return Source(name=path.name, sha256=hashlib.file_digest(file, "sha256").hexdigest())
