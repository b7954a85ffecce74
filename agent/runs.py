"""Long runs of a conversation: what one would take, its start once that is approved, and what came of it.

A run is a job of the session: `strategist measure` in a process of its own, on a run folder under the session. Planning
spends nothing; approving it is the second of the two stops. What a job found is taken in by `harvest` in the first turn
that finds it ended. Everything has its key in the ledger, so a turn that runs again after a kill starts nothing twice.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from agent import toolbox
from agent.acts import Act, Estimated, Noted, Problem, Ran
from agent.toolbox import Casefile
from tools.errors import InvalidInput
from tools.jobs import Job, start
from tools.measure import defaults, pools, problems
from tools.measure.verify import COUNTS, GRADING
from tools.records import Draft, Evidence, Grading, Quantity, Source, Unit
from tools.runs import Rows, Run
from tools.stats import cost
from tools.stats.cost import Cost, Estimate
from tools.store import key_of, read_source

VERSION = "1"
PLANNED, STARTED, ENDED = "run.planned", "run.started", "run.ended"
# what may follow the file as NAME=VALUE; an empty one is left to the command
SETTINGS = {
    "n": str(defaults.SAMPLES),
    "max-tokens": str(defaults.MAX_TOKENS),
    "gpus": "0",
    **dict.fromkeys(("engine", "model", "base-url", "temperature", "top-p", "top-k", "seed", "extraction", "set"), ""),
}
UNITS: dict[str, Unit] = {"answers": "count", "tokens": "tokens", "wall_hours": "config", "gpu_hours": "gpu_hours"}


def plan(case: Casefile, argument: str, turn: int) -> list[Act]:
    """Say what a measurement would take. argument: `measure FILE NAME=VALUE ...`; `embedded` is our own set."""
    try:
        file, settings = _asked(argument)
        data, source = read_source(pools.located(file))
        count = len(problems.read(data, source.name))
        estimate = _estimate(case, count, settings)
    except InvalidInput as error:
        return [Problem(message=str(error))]
    asked: list[JsonValue] = [file, *(f"{name}={value}" for name, value in settings.items() if value)]
    planned = case.ledger.append(_draft(PLANNED, turn, value=asked))
    figures = [case.ledger.append(draft) for draft in _figures(estimate, planned, turn)]
    return [Estimated(evidence=tuple(entry.id for entry in figures), throughput_known=estimate.wall_hours is not None)]


def _asked(argument: str) -> tuple[str, dict[str, str]]:
    try:
        word, file, *given = shlex.split(argument)
    except ValueError as error:
        raise InvalidInput(
            f"/run {argument}", "/run measure FILE NAME=VALUE ...", "or /run measure embedded"
        ) from error
    if word != "measure":
        raise InvalidInput(f"/run {word}", "measure", where="/run")
    settings = dict(SETTINGS)
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or name not in SETTINGS:
            raise InvalidInput(f"{pair!r}", f"NAME=VALUE with one of {', '.join(SETTINGS)}", where="/run measure")
        settings[name] = value
    for name in ("n", "max-tokens", "gpus"):
        if not settings[name].isdigit():
            raise InvalidInput(f"{name}={settings[name]}", "a whole number", where="/run measure")
    return file, settings


def _estimate(case: Casefile, count: int, settings: dict[str, str]) -> Estimate:
    """The cost at the throughput that earlier runs of this session measured; without one no hours are named."""
    rows = [Cost.model_validate(row) for path in _runs(case).glob("*/cost.jsonl") for row in Rows(path)]
    sampled = next((total for total in cost.totals(rows) if total.stage in ("sampling", "evaluation")), None)
    rate = sampled.tokens_per_second if sampled else None
    gpus = int(settings["gpus"])
    return cost.estimate(
        count, int(settings["n"]), int(settings["max-tokens"]), tokens_per_second=rate, accelerators=gpus
    )


def _figures(estimate: Estimate, planned: Evidence, turn: int) -> Iterator[Draft]:
    for name, unit in UNITS.items():
        value = getattr(estimate, name)
        if value is not None:
            quantity = Quantity(metric="value", value=value, unit=unit)
            yield _draft(f"estimate.{name}", turn, quantity=quantity, inputs=(planned.id,))


def approve(case: Casefile, turn: int) -> list[Act]:
    """Start what was planned last. Raises nothing: where nothing waits, it says so."""
    planned, started = case.ledger.get(PLANNED), case.ledger.get(STARTED)
    if planned is None or (started is not None and planned.id in started.inputs):
        return [Problem(message="nothing waits for approval; /run measure FILE plans a run")]
    file, *given = (str(part) for part in planned.value) if isinstance(planned.value, list) else ("",)
    name = f"measure-{planned.id}"
    flags = [part for pair in given for part in _flag(*pair.split("=", 1))]
    start(case.folder, name, ["measure", str(_runs(case) / name), "--problems", file, *flags])
    case.ledger.append(_draft(STARTED, turn, value=name, inputs=(planned.id,)))
    return [Ran(job=name, state="running")]


def _flag(name: str, value: str) -> list[str]:
    return ["-n", value] if name == "n" else [f"--{name}", value]


def harvest(case: Casefile, turn: int) -> list[Act]:
    """Take in what ended since the last turn; [] while nothing has."""
    # what this very turn took in comes again when it runs again after a kill
    told = {entry.inputs for entry in case.ledger.named(ENDED) if entry.value != turn}
    newest = {str(entry.value): entry for entry in case.ledger.named(STARTED)}
    waiting = [entry for entry in newest.values() if (entry.id,) not in told]
    return [act for entry in waiting for act in _taken_in(case, entry, turn)]


def _taken_in(case: Casefile, started: Evidence, turn: int) -> list[Act]:
    name = str(started.value)
    job = Job(case.folder / "jobs" / name)
    state = job.state
    if state in ("running", "lost"):
        return []
    acts: list[Act] = [Ran(job=name, state=state, said=job.tail if state == "failed" else "")]
    if state == "done":
        acts += [Noted(evidence=tuple(_graded(case, _runs(case) / name)))]
        acts += toolbox.attach(case, str(_runs(case) / name / COUNTS), "results", turn)
    case.ledger.append(_draft(ENDED, turn, value=turn, inputs=(started.id,)))
    return acts


def _graded(case: Casefile, run: Path) -> Iterator[str]:
    """Ids of what the grader and the run's plan say: isolation, noise, reasons, extraction, decoding (GRD-1)."""
    report, source = read_source(run / GRADING)
    found = Grading.model_validate_json(report)
    case.keep(report, source.name)
    shares: dict[str, Quantity] = {} if found.noise is None else {"intake.grader_noise": _fraction(found.noise)}
    counted = {f"grading.{reason}": count for reason, count in sorted(found.reasons.items())}
    counted |= {f"grading.right_by_{way}": count for way, count in found.sensitivity.items()}
    counted |= {"grading.ungradable_problems": len(found.ungradable)}
    figures = shares | {name: Quantity(metric="value", value=count, unit="count") for name, count in counted.items()}
    told = {"grading.isolation": found.tier, "grading.extraction": found.extraction, "intake.decoding": _decoding(run)}
    for name, figure in figures.items():
        yield case.ledger.append(_measured(name, figure, source)).id
    for name, words in told.items():
        yield case.ledger.append(_measured(name, words, source)).id


def _decoding(run: Path) -> str:
    told = Run(run).plan["decoding"]
    return ", ".join(f"{name} {value}" for name, value in told.items() if value not in (None, [], ""))


def _fraction(value: float) -> Quantity:
    return Quantity(metric="value", value=value, unit="fraction")


def _measured(name: str, found: Quantity | str, source: Source) -> Draft:
    quantity, value = (found, None) if isinstance(found, Quantity) else (None, found)
    return Draft(
        kind="measured",
        name=name,
        quantity=quantity,
        value=value,
        tool="verify.verify",
        version=VERSION,
        key=key_of(name, VERSION, value, source),
        source=source,
    )


def control(case: Casefile, request: str, turn: int) -> list[Act]:
    """`jobs` says where the newest run is, `cancel` ends it, `resume` goes on with a lost one."""
    entry = case.ledger.get(STARTED)
    if entry is None:
        return [Problem(message="no run was started in this session; /run measure FILE plans one")]
    job = Job(case.folder / "jobs" / str(entry.value))
    try:
        if request == "stop":
            job.cancel()
        if request == "resume":
            job.resume()
            case.ledger.append(_draft(STARTED, turn, value=job.id, inputs=entry.inputs))
    except InvalidInput as error:
        return [Problem(message=str(error))]
    return [] if harvest(case, turn) else [Ran(job=job.id, state=job.state)]


def progress(case: Casefile) -> str:
    """A line for the panel on the run that is under way; empty where none is."""
    entry = case.ledger.get(STARTED)
    folder = case.folder / "jobs" / str(entry.value) if entry else None
    if folder is None or not (folder / "job.json").exists():
        return ""
    job = Job(folder)
    state, found = job.state, job.progress
    return f"{state.upper()} {found.line}" if found and state == "running" else state.upper()


def _runs(case: Casefile) -> Path:
    return case.folder / "runs"


def _draft(
    name: str, turn: int, *, value: JsonValue = None, quantity: Quantity | None = None, inputs: tuple[str, ...] = ()
) -> Draft:
    return Draft(
        kind="declared" if quantity is None else "derived",
        name=name,
        value=value,
        quantity=quantity,
        inputs=inputs,
        tool="runs.plan" if quantity is None else "cost.estimate",
        version=VERSION,
        key=key_of(name, VERSION, [turn, value, list(inputs), quantity.value if quantity else None]),
    )
