"""The port between the conversation and whatever reads and phrases it.

A driver turns a message into commands (from a closed list) and may add words to what was done. It never decides and
never computes: values it proposes must re-parse from the user's own words, and its words pass the guard. Two
drivers exist: `offline` (rules, always there) and `llm` (any OpenAI-compatible server).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

from pydantic import Field

import prompts
from agent.acts import Act
from tools.records import Record

Request = Literal[
    "attach",
    "cost",
    "price",
    "passk",
    "run",
    "approve",
    "jobs",
    "stop",
    "resume",
    "gate",
    "verdict",
    "plan",
    "deliver",
    "export",
    "explain",
    "why",
    "status",
    "help",
    "cancel",
    "chat",
]
Role = Literal["results", "pool", "tuned", "decode_control", "placebo", "verifier_aware", "comparator", "battery"]
# readings wait in the checkpoint, which holds short strings and 64-bit integers
Words = Annotated[str, Field(max_length=2_000)]
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
# a pasted page of facts stays far below this; each fact costs a reading of the whole message
MAX_FACTS = 100


class Proposal(Record):
    """A field value that a language model read; it counts only if `words` re-parse to it (IN-9)."""

    field: Annotated[str, Field(max_length=200)]
    value: bool | Whole | float | Words
    words: Words


class Command(Record):
    """One thing the user asked for. `words` is the span of the message it rests on."""

    request: Request
    argument: str = ""
    role: Role = "results"
    words: str = ""


class Reading(Record):
    """What a driver made of one message."""

    commands: tuple[Command, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    degraded: str = ""


class Briefing(Record):
    """All a driver is told: where the conversation stands, and which references it may cite. No figures."""

    phase: str
    missing: tuple[str, ...] = ()
    verdict: str = ""
    references: dict[str, str] = {}


class Driver(Protocol):
    """Reads a message; phrases what was done."""

    name: str

    async def read(self, message: str, briefing: Briefing) -> Reading:
        """Commands and proposed values of one message; only what is `grounded` counts.

        Never raises for a bad answer of a model: it degrades.
        """
        ...

    async def comment(self, acts: tuple[Act, ...], briefing: Briefing, objections: tuple[str, ...]) -> str:
        """A few words to lead the turn, as a template with references; "" for none.

        objections are the guard's reasons against the last draft.
        """
        ...


def grounded(reading: Reading, message: str, rules: Sequence[Command]) -> Reading:
    """What of a reading rests on the message, whoever read it. `rules` is what the offline rules find there.

    A file must be named in the message, and a bundle is written only where the rules see the request too.
    """
    commands = {(c.request, c.argument, c.role): c for c in reading.commands if c in rules or _rests(c, message, rules)}
    proposals = [p for p in reading.proposals if p.words.strip() and p.words in message]
    return reading.model_copy(update={"commands": tuple(commands.values()), "proposals": tuple(proposals[:MAX_FACTS])})


def _rests(command: Command, message: str, rules: Sequence[Command]) -> bool:
    return bool(command.words.strip()) and command.words in message and _allowed(command, message, rules)


def _allowed(command: Command, message: str, rules: Sequence[Command]) -> bool:
    match command.request:
        case "attach" | "why":
            return _named(command.argument, message)
        case "run" | "approve" | "stop" | "resume" | "cost" | "price":
            # what spends, stops or prices is asked for in so many words, never read into them
            return command in rules
        case "export":
            asked = any(rule.request == "export" for rule in rules)
            return asked and (not command.argument or _named(command.argument, message))
        case "explain":
            return f"topics/{command.argument}" in prompts.names("topics") or _named(command.argument, message)
        case _:
            return True


def _named(argument: str, message: str) -> bool:
    """Whether the message names this, whole: a piece of a word or of a longer path is not what the user named."""
    whole = rf"(?<![\w./~@+=-]){re.escape(argument)}(?![\w/~@+=-]|\.\w)"
    return bool(argument.strip()) and re.search(whole, message) is not None
