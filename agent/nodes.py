"""One step of the conversation per function: call one tool, return one patch of the state.

Each takes the desk (what the session works with) and the state. If a step computes, a tool is waiting to be moved.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langgraph.types import interrupt

import prompts
from agent import events, intake, offline, runs, screen, stages, toolbox
from agent.acts import (
    ACT,
    Act,
    Ask,
    Commentary,
    Doubt,
    Explain,
    Problem,
    Refuse,
    Report,
    Show,
    Status,
    Tell,
    Trace,
    render,
)
from agent.driver import Briefing, Command, Driver, Proposal, grounded
from agent.state import State, fresh
from agent.toolbox import Casefile
from tools import guard
from tools.errors import StoreCorrupt, StrategistError

MAX_REDRAFTS = 2
# each costs a few visits of `session.MAX_STEPS`, and all wait in the checkpoint
MAX_COMMANDS = 20
# what needs the facts first, by request, and what a person calls it
GATED = {"plan": "recipe", "deliver": "deliverable", "export": "bundle"}

# acts after which nobody wants to hear what else is missing
ANSWERS = ("ask", "status", "estimated", "ran", "gated", "trace", "explain")


@dataclass
class Desk:
    """What the steps work with: the casefile, the event log, the driver."""

    case: Casefile
    log: events.EventLog
    driver: Driver

    def briefing(self) -> Briefing:
        """Where the conversation stands, for a driver."""
        dossier = self.case.dossier
        recorded = dossier.recorded_verdict is not None
        return Briefing(
            phase="judged" if recorded else "ready" if not dossier.missing else "intake",
            missing=tuple(m.field for m in dossier.missing),
            verdict=dossier.verdict.verdict if recorded else "",
            references=toolbox.references(self.case),
        )


async def await_user(desk: Desk, state: State) -> State:
    """The only place where the graph stops: wait for the next message."""
    envelope = interrupt({"turn": state["turn"]})
    return fresh(envelope["turn"])


async def read(desk: Desk, state: State) -> dict[str, Any]:
    """Let the driver read the message, and keep what rests on it."""
    message = desk.log.message(state["turn"])
    found = await desk.driver.read(message, desk.briefing())
    reading = grounded(found, message, offline.requests(message))
    over = [Problem(message=prompts.load("too_many"))] if len(reading.commands) > MAX_COMMANDS else []
    return _told(state, [*over]) | {
        "commands": [command.model_dump() for command in reading.commands[:MAX_COMMANDS]],
        "proposals": [proposal.model_dump() for proposal in reading.proposals],
        "degraded": reading.degraded,
    }


async def screen_message(desk: Desk, state: State) -> dict[str, Any]:
    """Recognise anti-patterns early; what the tools refuse later they refuse anyway."""
    message = desk.log.message(state["turn"])
    if message.startswith("/"):
        return {}
    found = await asyncio.to_thread(screen.screen, message)
    acts: list[Act] = [Refuse(pattern=flag.pattern, words=flag.words) for flag in found.flags]
    return _told(state, [*acts, *(Doubt(pattern=flag.pattern) for flag in found.unsure)])


async def take_facts(desk: Desk, state: State) -> dict[str, Any]:
    """Take in what a run found meanwhile, and what the message states as fact."""
    message, turn = desk.log.message(state["turn"]), state["turn"]
    found = await asyncio.to_thread(runs.harvest, desk.case, turn)
    if message.startswith("/"):
        return _told(state, found)
    proposals = tuple(Proposal.model_validate(p) for p in state["proposals"])
    return _told(state, [*found, *toolbox.record(desk.case, message, turn, proposals)])


async def route(desk: Desk, state: State) -> dict[str, Any]:
    """What is next; and when nothing was asked for any more, what is due."""
    if state["commands"]:
        return {}
    dossier = desk.case.dossier
    if dossier.missing:
        asked = any(act["act"] in ANSWERS for act in state["acts"])
        return {} if asked else _told(state, _asking(state))
    if dossier.recorded_verdict is None:
        return {"commands": [Command(request="verdict").model_dump()]}
    return {} if state["acts"] else _told(state, [Tell(text="settled")])


def _asking(state: State) -> list[Act]:
    """The whole form once, with a greeting for an empty hello; from then on what is still open, by name."""
    if state["turn"] > 1:
        return [Ask(brief=True)]
    return [Ask()] if state["acts"] else [Tell(text="greeting"), Ask()]


async def run_tool(desk: Desk, state: State) -> dict[str, Any]:
    """Call the tool that the command names."""
    command, rest = _next(state)
    acts = await _called(TOOLS[command.request], desk.case, command, state["turn"])
    return _told(state, acts) | {"commands": rest}


async def _called(tool: Callable[..., list[Act]], *given: Any) -> list[Act]:
    """Call a tool, and tell whatever it raises.

    The message that led here is in the log already: an error that ended the process would meet it on every resume, and
    the session could never be opened again. Raises StoreCorrupt all the same, since then nothing may go on.
    """
    try:
        return await asyncio.to_thread(tool, *given)
    except StoreCorrupt:
        raise
    except StrategistError as error:
        return [Problem(message=str(error))]
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        seen = f"{type(error).__name__}: {error}"[:300]
        return [Problem(message=f"this broke inside ({seen}, at {place.name}); the session goes on, please report it")]


def _table(case: Casefile, command: Command, turn: int) -> list[Act]:
    return [Report()] if case.dossier.table else [Tell(text="no_table")]


def _verdict(case: Casefile, command: Command, turn: int) -> list[Act]:
    return [Ask(wanted="verdict")] if case.dossier.missing else toolbox.decide(case)


TOOLS: dict[str, Callable[[Casefile, Command, int], list[Act]]] = {
    "attach": lambda case, command, turn: toolbox.attach(case, command.argument, command.role, turn),
    "cost": lambda case, command, turn: toolbox.spend(case, command.argument, turn),
    "price": lambda case, command, turn: toolbox.price(case, command.argument, turn),
    "passk": _table,
    "verdict": _verdict,
    "run": lambda case, command, turn: runs.plan(case, command.argument, turn),
    "approve": lambda case, command, turn: runs.approve(case, turn),
    "jobs": lambda case, command, turn: runs.control(case, "jobs", turn),
    "stop": lambda case, command, turn: runs.control(case, "stop", turn),
    "resume": lambda case, command, turn: runs.control(case, "resume", turn),
    "gate": lambda case, command, turn: stages.gate(case, command.argument, turn),
}


async def gate(desk: Desk, state: State) -> dict[str, Any]:
    """Nothing is designed before the facts are in (IN-8) and the verdict carries it."""
    command, rest = _next(state)
    dossier = desk.case.dossier
    if dossier.missing:
        return _told(state, [Ask(wanted=GATED[command.request])]) | {"commands": rest}
    if dossier.recorded_verdict is None:
        return {"commands": [Command(request="verdict").model_dump(), *state["commands"]]}
    return {"commands": [{**state["commands"][0], "cleared": True}, *rest]}


async def draft(desk: Desk, state: State) -> dict[str, Any]:
    """Show a deliverable, or write the bundle."""
    command, rest = _next(state)
    if command.request == "export":
        shown = events.transcript(e for e in desk.log.events if e.turn < state["turn"])
        acts = await _called(toolbox.export, desk.case, command.argument, shown)
    else:
        letter = command.argument.upper() if command.request == "deliver" else "B"
        acts = [Show(letter=letter)] if letter in set("ABCDE") else [Tell(text="help")]  # type: ignore[arg-type]
    return _told(state, acts) | {"commands": rest}


async def answer(desk: Desk, state: State) -> dict[str, Any]:
    """Explain, trace, or say where things stand."""
    command, rest = _next(state)
    act: Act
    if command.request == "explain":
        act = _explanation(command.argument)
    elif command.request == "why":
        act = Trace(evidence=command.argument)
    elif command.request == "status":
        act = Status()
    else:
        texts = {"cancel": "cancelled", "help": "help"}
        act = Tell(text=texts.get(command.request, "greeting"))  # type: ignore[arg-type]
    return _told(state, [act]) | {"commands": rest}


def _explanation(topic: str) -> Act:
    known = [name.removeprefix("topics/") for name in prompts.names("topics")]
    if topic in known:
        return Explain(topic=topic)
    return Problem(message=f"there is no topic {topic!r}; expected one of {', '.join(known)}")


async def compose(desk: Desk, state: State) -> dict[str, Any]:
    """Ask the driver for the words around what was done."""
    acts = tuple(ACT.validate_python(act) for act in state["acts"])
    comment = await desk.driver.comment(acts, desk.briefing(), tuple(state["objections"]))
    return {"comment": comment, "drafts": state["drafts"] + 1}


async def check(desk: Desk, state: State) -> dict[str, Any]:
    """The guard reads the words; after two redrafts the deterministic cards stand alone (NUM-3)."""
    entries = [guard.GuardEntry.of(entry) for entry in desk.case.ledger.entries]
    message = desk.log.message(state["turn"])
    violations = guard.check(state["comment"], entries, message) if state["comment"] else ()
    if not violations:
        return {"objections": []}
    objections = [violation.why for violation in violations]
    return {"objections": objections, "comment": "" if state["drafts"] > MAX_REDRAFTS else state["comment"]}


async def show(desk: Desk, state: State) -> dict[str, Any]:
    """Write the turn's cards, then mark it done."""
    turn = state["turn"]
    if state["degraded"]:
        desk.log.append(turn, "degraded", "driver", text=state["degraded"])
    for number, act in enumerate(_spoken(state)):
        card = render(act, desk.case.dossier)
        filled = toolbox.cite(desk.case, card.template)
        desk.log.append(turn, "card", str(number), word=card.word, text=filled.text, claims=filled.claims)
    desk.log.append(turn, "panel", "state", data=intake.panel(desk.case.dossier, desk.briefing().phase))
    desk.log.append(turn, "done", "turn")
    return {}


def _spoken(state: State) -> list[Act]:
    acts = [ACT.validate_python(act) for act in state["acts"]]
    return [Commentary(text=state["comment"]), *acts] if state["comment"] else acts


def _next(state: State) -> tuple[Command, list[dict[str, Any]]]:
    head = {key: value for key, value in state["commands"][0].items() if key != "cleared"}
    return Command.model_validate(head), state["commands"][1:]


def _told(state: State, acts: list[Act]) -> dict[str, Any]:
    return {"acts": [*state["acts"], *(act.model_dump(mode="json") for act in acts)]}
