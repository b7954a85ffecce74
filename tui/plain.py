"""The conversation on stdin and stdout: for pipes, scripts, CI and terminals that want no screen."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

from agent.events import Event
from agent.session import Session
from tools.errors import InvalidInput

PROMPT = "> "
QUIT = ("/quit", "/exit", "/q")


async def converse(session: Session, script: Path | None, *, events: bool) -> None:
    """Feed lines to a session until they end; print what comes back as cards, or as events."""
    show = show_event if events else show_card
    for event in session.log.events:
        show(event)
    async for line in _messages(session, script, quiet=events):
        async for event in session.send(line):
            show(event)
        if not sys.stdin.isatty() or script:
            await _until_the_run_ends(session, show)


async def _until_the_run_ends(session: Session, show: Callable[[Event], None]) -> None:
    """A script says its next line when the run that it started is over; a person is not kept waiting."""
    waited = False
    while session.run.startswith("RUNNING"):
        waited = True
        print(f"\r{session.run}", end="", file=sys.stderr, flush=True)
        await asyncio.sleep(1)
    if waited:
        print(file=sys.stderr)
        async for event in session.send("/jobs"):
            show(event)


def show_event(event: Event) -> None:
    """One event as a line of JSON."""
    print(event.model_dump_json(exclude_defaults=True), flush=True)


def show_card(event: Event) -> None:
    """A card as text, led by its word; the user's own lines are quoted."""
    if event.kind == "card":
        print(f"\n[{event.word}]\n{event.text}", flush=True)
    elif event.kind == "degraded":
        print(f"\n[DEGRADED]\n{event.text}", flush=True)
    elif event.kind == "user" and not sys.stdin.isatty():
        print("\n" + "\n".join(f"{PROMPT}{line}" for line in event.text.split("\n")), flush=True)


async def _messages(session: Session, script: Path | None, *, quiet: bool) -> AsyncIterator[str]:
    lines = _not_said_yet(session, _scripted(script)) if script else _said(_typed(quiet))
    for line in lines:
        if line in QUIT:
            return
        yield line


def _scripted(script: Path) -> Iterator[str]:
    try:
        return _said(script.read_text(encoding="utf-8").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot be read ({error})", "one message per line", where=str(script)) from error


def _said(lines: Iterable[str]) -> Iterator[str]:
    r"""Messages of a script: one per line; a trailing backslash joins the next line; blanks are skipped."""
    held: list[str] = []
    for line in lines:
        if line.endswith("\\"):
            held.append(line[:-1])
            continue
        message = "\n".join([*held, line]).strip()
        held = []
        if message:
            yield message


def _typed(quiet: bool) -> Iterator[str]:
    prompt = "" if quiet or not sys.stdin.isatty() else f"\n{PROMPT}"
    while True:
        try:
            yield input(prompt)
        except EOFError:
            return


def _not_said_yet(session: Session, lines: Iterable[str]) -> Iterator[str]:
    """A script that was cut off goes on where it stopped; another script on the same session is fed whole."""
    script = list(lines)
    said = [event.text for event in session.log.events if event.kind == "user"]
    yield from script[len(said) :] if script[: len(said)] == said else script


def print_json(value: object) -> None:
    """One JSON value as a line on stdout; ASCII, since a lone surrogate in a user's file cannot be encoded."""
    print(json.dumps(value, allow_nan=False), flush=True)
