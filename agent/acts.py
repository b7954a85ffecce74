"""What may be said, as a closed union of acts, and how each is written.

An act names evidence; code writes the sentence. `render` gives a card: the word that leads it and a template whose
figures `tools.claims` fills in. Only `Commentary` holds words of a language model, and it passes the guard first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

import prompts
from tools.deliver import deliverables, trials
from tools.deliver.dossier import Dossier
from tools.jobs import JobState
from tools.records import Evidence, Missing, Pattern, Record


class Noted(Record):
    """Facts taken into the ledger."""

    act: Literal["noted"] = "noted"
    evidence: tuple[str, ...]


class Unrecorded(Record):
    """Words that looked like a fact and were not taken as one (IN-9), with the reason."""

    act: Literal["unrecorded"] = "unrecorded"
    words: str
    field: str
    reason: str


class Clash(Record):
    """Facts that cannot both hold (IN-10): asked about, not mended. `question` is a template."""

    act: Literal["clash"] = "clash"
    question: str


class Report(Record):
    """The pass@k table of the counts in hand."""

    act: Literal["report"] = "report"


class Tried(Record):
    """What tuning did and what it cost, as far as it was measured."""

    act: Literal["tried"] = "tried"


StageName = Literal["measure", "sample", "train", "evaluate"]


class Estimated(Record):
    """What a planned run would do and take, before it is approved; no hours where no throughput was ever measured."""

    act: Literal["estimated"] = "estimated"
    stage: StageName
    evidence: tuple[str, ...]
    throughput_known: bool


class Ran(Record):
    """Where a run stands; `said` is the end of what it printed, where it failed."""

    act: Literal["ran"] = "ran"
    job: str
    state: JobState
    said: str = ""


class Gated(Record):
    """The gate before a second round was asked; what it saw, condition by condition, is in the ledger."""

    act: Literal["gated"] = "gated"
    answer: Literal["open", "closed"]


class Decide(Record):
    """The verdict that the ledger holds under `evidence`."""

    act: Literal["decide"] = "decide"
    evidence: str


class Ask(Record):
    """One form with every gap (IN-8). `wanted` is what was asked for and is refused meanwhile, if anything.

    brief: only the names; the reasons were given before and `/status` gives them again.
    """

    act: Literal["ask"] = "ask"
    wanted: str = ""
    brief: bool = False


class Refuse(Record):
    """An anti-pattern, met in words or in a plan (AP-1). `words` are the user's."""

    act: Literal["refuse"] = "refuse"
    pattern: Pattern
    words: str = ""


class Doubt(Record):
    """A message that may carry an anti-pattern: asked about, never accused."""

    act: Literal["doubt"] = "doubt"
    pattern: Pattern


class Explain(Record):
    """A topic from prompts/topics."""

    act: Literal["explain"] = "explain"
    topic: str


class Trace(Record):
    """Where one figure comes from: the entry and what it was computed from."""

    act: Literal["trace"] = "trace"
    evidence: str


class Show(Record):
    """A deliverable, as the bundle will hold it."""

    act: Literal["show"] = "show"
    letter: Literal["A", "B", "C", "D", "E"]


class Exported(Record):
    """A bundle was recomputed and written."""

    act: Literal["exported"] = "exported"
    folder: str
    letters: tuple[str, ...]


class Problem(Record):
    """Something could not be used; `message` is the tool's own (seen, expected, what to do)."""

    act: Literal["problem"] = "problem"
    message: str


class Tell(Record):
    """A fixed text from prompts: help, greeting, what comes next."""

    act: Literal["tell"] = "tell"
    text: Literal["help", "greeting", "next", "cancelled", "no_table", "settled"]


class Status(Record):
    """Where the intake stands, group by group."""

    act: Literal["status"] = "status"


class Commentary(Record):
    """Words of the driver, as a template with references; shown only after the guard passed them."""

    act: Literal["commentary"] = "commentary"
    text: str


Act = Annotated[
    Noted
    | Unrecorded
    | Clash
    | Report
    | Tried
    | Estimated
    | Ran
    | Gated
    | Decide
    | Ask
    | Refuse
    | Doubt
    | Explain
    | Trace
    | Show
    | Exported
    | Problem
    | Tell
    | Status
    | Commentary,
    Field(discriminator="act"),
]
ACT: TypeAdapter[Act] = TypeAdapter(Act)


class Card(Record):
    """What is shown for one act: the word it leads with and a template."""

    word: str
    template: str


def render(act: Act, dossier: Dossier) -> Card:
    """The card of an act."""
    return WRITERS[act.act](act, dossier)


def literal(text: str) -> str:
    """A person's or a file's own text, so that it cannot pass for a reference."""
    return re.sub(r"\{(?=\{)", "{ ", text)


def _noted(act: Noted, dossier: Dossier) -> Card:
    entries = [entry for ref in act.evidence if (entry := dossier.ledger.get(ref))]
    return Card(word="NOTED", template="\n".join(f"- {_fact(entry)}" for entry in entries))


def _fact(entry: Evidence) -> str:
    field = entry.name.removeprefix("intake.")
    shown = f"{{{{{entry.id}|{'value' if entry.quantity else 'text'}}}}}"
    said = f", from your words {{{{{entry.id}|words}}}}" if entry.words else ""
    return f"{literal(field)}: {shown} ({entry.kind}{said})"


def _unrecorded(act: Unrecorded, dossier: Dossier) -> Card:
    reason = prompts.load(f"unrecorded/{act.reason}")
    return Card(word="NOT RECORDED", template=f"You said “{literal(act.words)}” ({literal(act.field)}). {reason}")


def _clash(act: Clash, dossier: Dossier) -> Card:
    return Card(word="QUESTION", template=act.question)


def _report(act: Report, dossier: Dossier) -> Card:
    return Card(word="EVIDENCE", template=deliverables.pass_table(dossier))


def _tried(act: Tried, dossier: Dossier) -> Card:
    return Card(word="TRIED", template=deliverables.tuning(dossier))


def _estimated(act: Estimated, dossier: Dossier) -> Card:
    entries = [entry for ref in act.evidence if (entry := dossier.ledger.get(ref))]
    rows = [
        f"- {entry.name.removeprefix('estimate.').replace('_', ' ')}: {{{{{entry.id}|value}}}}" for entry in entries
    ]
    unknown = "" if act.throughput_known else f"\n\n{prompts.load('no_throughput')}"
    lead = f"{prompts.load(f'planned/{act.stage}')} {prompts.load('estimated')}"
    return Card(word="ESTIMATE", template=f"{lead}\n\n" + "\n".join(rows) + unknown)


def _ran(act: Ran, dossier: Dossier) -> Card:
    said = f"\n\n{literal(act.said)}" if act.said else ""
    return Card(word="JOB", template=f"`{literal(act.job)}`: {prompts.load(f'job/{act.state}')}{said}")


def _gated(act: Gated, dossier: Dossier) -> Card:
    parts = [prompts.load(f"gate_{act.answer}"), trials.headline(dossier.tuned), deliverables.gate_answers(dossier)]
    return Card(word="GATE", template="\n\n".join(part for part in parts if part))


def _decide(act: Decide, dossier: Dossier) -> Card:
    return Card(word="VERDICT", template=deliverables.verdict_card(dossier))


def _ask(act: Ask, dossier: Dossier) -> Card:
    if act.brief:
        names = ", ".join(f"**{literal(m.field)}**" for m in dossier.missing)
        return Card(word="ASK", template=prompts.load("asking_brief", fields=names))
    lead = prompts.load("withheld", wanted=act.wanted) if act.wanted else prompts.load("asking")
    return Card(word="REFUSED" if act.wanted else "ASK", template=f"{lead}\n\n{form(dossier.missing)}")


def form(missing: tuple[Missing, ...]) -> str:
    """Every gap with its reason and the way to close it, group by group."""
    return "\n".join(f"- **{literal(m.field)}** ({m.group}): {literal(m.why)} {literal(m.how)}" for m in missing)


def _refuse(act: Refuse, dossier: Dossier) -> Card:
    quote = f"Your words: “{literal(act.words)}”\n\n" if act.words else ""
    return Card(word="REFUSED", template=f"**{act.pattern}**. {quote}{prompts.load(f'antipatterns/{act.pattern}')}")


def _doubt(act: Doubt, dossier: Dossier) -> Card:
    reply = prompts.load(f"antipatterns/{act.pattern}")
    return Card(word="QUESTION", template=f"{prompts.load('doubt', pattern=act.pattern)}\n\n{reply}")


def _explain(act: Explain, dossier: Dossier) -> Card:
    return Card(word="EXPLAINED", template=prompts.load(f"topics/{act.topic}"))


def _trace(act: Trace, dossier: Dossier) -> Card:
    entry = dossier.ledger.get(act.evidence)
    if entry is None:
        return Card(word="PROBLEM", template=f"There is no evidence named {literal(act.evidence)}.")
    rows = [
        f"**{entry.id}** `{literal(entry.name)}`: {{{{{entry.id}}}}}" if _writable(entry) else f"**{entry.id}**",
        f"- kind: {entry.kind}; tool: {entry.tool} {entry.version}; key `{entry.key}`",
        f"- words: {{{{{entry.id}|words}}}}" if entry.words else "",
        f"- source: `{literal(entry.source.name)}`, sha256 `{entry.source.sha256}`" if entry.source else "",
        f"- from: {', '.join(entry.inputs)}" if entry.inputs else "",
    ]
    return Card(word="TRACE", template="\n".join(row for row in rows if row))


def _writable(entry: Evidence) -> bool:
    return entry.quantity is not None or not isinstance(entry.value, dict | None)


def _show(act: Show, dossier: Dossier) -> Card:
    template = deliverables.REGISTRY[act.letter].template(dossier)
    return Card(word=f"DELIVERABLE {act.letter}", template=template or prompts.load("not_applicable"))


def _exported(act: Exported, dossier: Dossier) -> Card:
    letters = ", ".join(act.letters)
    return Card(word="EXPORTED", template=prompts.load("exported", folder=literal(act.folder), letters=letters))


def _problem(act: Problem, dossier: Dossier) -> Card:
    return Card(word="PROBLEM", template=literal(act.message))


def _tell(act: Tell, dossier: Dossier) -> Card:
    return Card(word="NOTE", template=prompts.load(act.text))


def _status(act: Status, dossier: Dossier) -> Card:
    lead = prompts.load("status_open" if dossier.missing else "status_complete")
    return Card(word="STATUS", template=f"{lead}\n\n{form(dossier.missing)}".rstrip())


def _commentary(act: Commentary, dossier: Dossier) -> Card:
    return Card(word="COMMENT", template=act.text)


WRITERS: dict[str, Callable[[Any, Dossier], Card]] = {
    "noted": _noted,
    "unrecorded": _unrecorded,
    "clash": _clash,
    "report": _report,
    "tried": _tried,
    "estimated": _estimated,
    "ran": _ran,
    "gated": _gated,
    "decide": _decide,
    "ask": _ask,
    "refuse": _refuse,
    "doubt": _doubt,
    "explain": _explain,
    "trace": _trace,
    "show": _show,
    "exported": _exported,
    "problem": _problem,
    "tell": _tell,
    "status": _status,
    "commentary": _commentary,
}
