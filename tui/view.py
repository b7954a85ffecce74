"""What the screen shows, folded from events by a pure function; the widgets only draw it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from agent.events import Event


@dataclass(frozen=True)
class Turn:
    """One exchange: the user's words, the cards, and whether the turn is finished."""

    number: int
    said: str = ""
    cards: tuple[tuple[str, str], ...] = ()
    done: bool = False


@dataclass(frozen=True)
class View:
    """All turns so far and the newest panel."""

    turns: tuple[Turn, ...] = ()
    panel: dict[str, Any] = field(default_factory=dict)


def reduce(view: View, event: Event) -> View:
    """The view after one more event."""
    if event.kind == "panel":
        return replace(view, panel=event.data)
    turn = _turn(view, event.turn)
    if event.kind == "user":
        turn = replace(turn, said=event.text)
    elif event.kind == "done":
        turn = replace(turn, done=True)
    else:
        turn = replace(turn, cards=(*turn.cards, (event.word or event.kind.upper(), event.text)))
    return replace(view, turns=(*(t for t in view.turns if t.number != turn.number), turn))


def _turn(view: View, number: int) -> Turn:
    last = view.turns[-1] if view.turns else None
    return last if last is not None and last.number == number else Turn(number)


def panel_lines(panel: dict[str, Any], run: str = "") -> list[str]:
    """The side panel as lines: phase, run, checklist by group, evidence. Each state leads with a word."""
    lines = [f"PHASE  {panel.get('phase', 'intake')}", *([f"RUN  {run}"] if run else []), ""]
    for row in panel.get("checklist", ()):
        lines.append(f"{'IN  ' if row['done'] else 'OPEN'} {row['group']} {row['title']}")
        lines += [f"     {name}" for name in row["missing"]]
    lines += ["", f"FACTS  {panel.get('facts', 0)} recorded"]
    if panel.get("verdict"):
        lines += ["", f"VERDICT  {panel['verdict']}"]
    return lines
