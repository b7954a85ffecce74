"""Long runs of a conversation: what one would take, its start once that is approved, and what came of it.

A run is a job of the session: one command in a process of its own, on a run folder under the session. What there is to
run is in `stages`. Planning spends nothing; approving it is the second of the two stops. What a job found is taken in
by `harvest` in the first turn that finds it ended. Everything has its key in the ledger, so a turn that runs again
after a kill starts nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from agent import stages
from agent.acts import Act, Estimated, Noted, Problem, Ran, Refuse
from agent.stages import KINDS, Prepared
from agent.toolbox import Casefile
from tools.errors import AntiPattern, InvalidInput
from tools.jobs import Job, start
from tools.records import Draft, Evidence, Quantity
from tools.store import key_of

VERSION = "1"
PLANNED, STARTED, ENDED = "run.planned", "run.started", "run.ended"


def plan(case: Casefile, argument: str, turn: int) -> list[Act]:
    """Say what a run would take. argument: `measure FILE NAME=VALUE ...`, `sample POOL`, `train` or `evaluate`."""
    try:
        found = stages.prepared(case, argument)
    except InvalidInput as error:
        return _refused(error)
    planned = case.ledger.append(_draft(PLANNED, turn, value=found.order.model_dump(mode="json")))
    figures = [case.ledger.append(draft) for draft in _figures(found, planned, turn)]
    estimated = Estimated(
        stage=found.order.stage,
        evidence=tuple(entry.id for entry in figures),
        throughput_known="wall_hours" in found.takes,
    )
    return [Noted(evidence=found.noted), estimated] if found.noted else [estimated]


def _refused(error: InvalidInput) -> list[Act]:
    named = [Refuse(pattern=error.pattern)] if isinstance(error, AntiPattern) else []  # type: ignore[arg-type]
    return [*named, Problem(message=str(error))]


def _figures(found: Prepared, planned: Evidence, turn: int) -> Iterator[Draft]:
    for name, (value, unit) in found.takes.items():
        quantity = Quantity(metric="value", value=value, unit=unit)
        yield _draft(f"estimate.{name}", turn, quantity=quantity, inputs=(planned.id,))


def approve(case: Casefile, turn: int) -> list[Act]:
    """Start what was planned last. Raises nothing: where nothing waits, or what it rests on has changed, it says so."""
    planned, started = case.ledger.get(PLANNED), case.ledger.get(STARTED)
    if planned is None or (started is not None and planned.id in started.inputs and not _this_turns(started, turn)):
        return [Problem(message="nothing waits for approval; /run measure FILE plans a run")]
    order = stages.order_of(case, planned)
    try:
        if stages.prepared(case, order.asked).order != order:
            raise InvalidInput("what this rests on has changed since it was planned", "the same", f"/run {order.asked}")
        name = f"{order.stage}-{planned.id}"
        run = stages.folders(case) / (order.folder or name)
        begun = KINDS[order.stage].begin(case, run, planned)
    except InvalidInput as error:
        return _refused(error)
    start(case.folder, name, stages.command(case, order, run))
    case.ledger.append(_draft(STARTED, turn, value=name, inputs=(planned.id,)))
    return [*begun, Ran(job=name, state="running")]


def _this_turns(started: Evidence, turn: int) -> bool:
    """Whether this very turn started it, before it was killed."""
    return started.key == _draft(STARTED, turn, value=started.value, inputs=started.inputs).key


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
        order = stages.order_of(case, started)
        folder = order.folder or name
        acts += KINDS[order.stage].take_in(case, stages.folders(case) / folder, turn)
        case.ledger.append(_draft(f"{stages.ENDED_WELL}.{order.stage}", turn, value=folder, inputs=(started.id,)))
    case.ledger.append(_draft(ENDED, turn, value=turn, inputs=(started.id,)))
    return acts


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
