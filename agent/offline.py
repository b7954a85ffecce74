"""The driver that is always there: slash commands and plain rules, no model, no network.

It reads requests only; facts are read by `extract`, anti-patterns by `screen`, whatever driver is in use. A request it
does not recognise costs nothing: what is missing is asked for, and what is due is done, on every turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.acts import Act
from agent.driver import Briefing, Command, Reading, Request, Role
from tools.errors import InvalidInput
from tools.store import at_home

SLASH: dict[str, tuple[Request, str]] = {
    "/attach": ("attach", "take a results file: /attach FILE"),
    "/pool": ("attach", "take a prompt pool and check it against the held-out set: /pool FILE"),
    "/tuned": ("attach", "take results of a tuned model on the same problems: /tuned FILE, or /tuned FILE placebo"),
    "/battery": ("attach", "take what the probes read of the tuned model: /battery FILE"),
    "/cost": ("cost", "take what an arm cost, from its run's cost.jsonl: /cost FILE, or /cost FILE comparator"),
    "/price": ("price", "declare what a GPU-hour costs in US dollars: /price 1.85"),
    "/table": ("passk", "the pass@k table with its intervals"),
    "/run": ("run", "plan a run: /run measure FILE n=16, then /run sample POOL, /run train and /run evaluate"),
    "/approve": ("approve", "start what was planned"),
    "/jobs": ("jobs", "where the run stands"),
    "/stop": ("stop", "end the run, with what is done kept"),
    "/resume": ("resume", "go on with a run that ended early"),
    "/gate": ("gate", "whether a second round may start: /gate, or /gate FILE with what is planned for it"),
    "/verdict": ("verdict", "judge the facts as they stand"),
    "/plan": ("plan", "the pipeline, once the verdict carries it"),
    "/deliver": ("deliver", "show a deliverable: /deliver A"),
    "/export": ("export", "write the bundle and re-verify it: /export FOLDER"),
    "/explain": ("explain", "a topic: /explain why_five_points"),
    "/why": ("why", "where a figure comes from: /why E12"),
    "/status": ("status", "what is in and what is missing"),
    "/cancel": ("cancel", "drop what was asked for"),
    "/help": ("help", "this list"),
}

# starts at a boundary only, or a long word without a dot would be tried from each of its letters
FILE = re.compile(
    r"""(?P<quote>["'`]?)(?<![\w./~@+=-])(?P<path>[~./\w-][\w./~@+=-]*\.(?:jsonl|json|csv|eval|gz|yaml|yml))\b(?P=quote)"""
)
POOL = re.compile(r"\b(prompt|sampling|training)[ _-]?(pool|set|prompts)\b|\bpool\b", re.I)

ARMS: tuple[Role, ...] = ("tuned", "decode_control", "placebo", "verifier_aware", "comparator")
SPOKEN_ARMS: dict[Role, re.Pattern[str]] = {
    "placebo": re.compile(r"\bplacebo\b", re.I),
    "decode_control": re.compile(r"\bdecod\w+[ -]control\b", re.I),
    "tuned": re.compile(
        r"\b(after (the )?(fine-?)?(tun|train)ing|(fine-?)?tuned (model|checkpoint|one)|after ssd)\b", re.I
    ),
}

REQUESTS: tuple[tuple[Request, re.Pattern[str]], ...] = (
    ("export", re.compile(r"\b(export|bundle|write (it|this|everything) (out|up)|save the report)\b", re.I)),
    (
        "plan",
        re.compile(
            r"\b(recipe|pipeline|hyper-?param\w*|training (plan|config|script)|sampling (settings|config)|"
            r"(give|show|draft|write|send|design|make) (me |us )?(the |a |an |your )?(plan|config|yaml|spec|settings)|"
            r"(start|begin|kick off|launch|run) (the )?(training|fine-?tun\w*|sampling|ssd|self-?distil\w*)|"
            r"(what|which) (temperature|lr|learning rate|rank))\b",
            re.I,
        ),
    ),
    (
        "verdict",
        re.compile(r"\b(verdict|go or no-?go|should (we|i) (run|do|try|use)|is (ssd|it) (right|worth))\b", re.I),
    ),
    (
        "passk",
        re.compile(r"\b(pass@k|results?|evidence|numbers) table\b|\bshow (me )?the (table|numbers|evidence)\b", re.I),
    ),
    ("status", re.compile(r"\b(what('s| is| else is)? (still )?missing|where (do|are) we|status|checklist)\b", re.I)),
    ("cancel", re.compile(r"^\s*(cancel|never ?mind|forget (it|that)|abort)\W*$", re.I)),
    ("help", re.compile(r"^\s*(help|\?|commands|what can you do)\W*$", re.I)),
)

TOPICS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("why_five_points", re.compile(r"\bwhy\b.*\b(five|5)\b|\bwhy\b.*\bthreshold\b", re.I)),
    ("why_one_round", re.compile(r"\bwhy\b.*\b(one|single|1) round\b|\bwhy not\b.*\brounds\b", re.I)),
    ("paper_versus_practice", re.compile(r"\b(what|how|why|does|did)\b.*\b(paper|apple)\b", re.I)),
    ("unit_of_inference", re.compile(r"\b(why|what)\b.*\b(unit of inference|problems? (and )?not samples?)\b", re.I)),
    ("what_is_ssd", re.compile(r"\b(what('s| is)|explain)\b.*\b(ssd|self-?distil\w*)\b", re.I)),
    ("pass_at_k", re.compile(r"\b(what('s| is)|explain|how do (you|i))\b.*\bpass@k\b", re.I)),
    ("contamination", re.compile(r"\b(why|how|explain|what)\b.*\bcontaminat\w+", re.I)),
    ("comparators", re.compile(r"\b(why|what|explain)\b.*\bcomparator\b", re.I)),
    ("battery", re.compile(r"\b(why|what|explain)\b.*\b(battery|probes?)\b", re.I)),
    ("rollback", re.compile(r"\b(why|what|explain)\b.*\brollback\b", re.I)),
)
TRACE = re.compile(r"\b(where|why|how|trace|source|explain)\b.*\b(E\d+)\b")


class Offline:
    """Rules instead of a model. Adds no words of its own: the cards speak."""

    name = "offline"

    async def read(self, message: str, briefing: Briefing) -> Reading:
        """The requests of one message, in the order they are carried out."""
        return Reading(commands=tuple(requests(message)))

    async def comment(self, acts: tuple[Act, ...], briefing: Briefing, objections: tuple[str, ...]) -> str:
        """Nothing: without a model the deterministic cards stand alone."""
        return ""


def requests(message: str) -> list[Command]:
    """What a message asks for: a slash command, or whatever the rules find in it, files first."""
    if message.startswith("/"):
        return [slash(message)]
    return [*_files(message), *_spoken(message)]


def slash(message: str) -> Command:
    """A slash command. An unknown one asks for help."""
    word, *rest = message.strip().split(maxsplit=1)
    argument = rest[0] if rest else ""
    request = SLASH.get(word.lower(), ("help", ""))[0]
    argument, role = _role_of(word.lower(), argument.strip())
    return Command(request=request, argument=argument.strip("\"'"), role=role, words=message)


def _role_of(word: str, argument: str) -> tuple[str, Role]:
    """What a file is handed over as: `/pool FILE`, `/tuned FILE`, `/tuned FILE placebo`."""
    if word in ("/pool", "/battery"):
        return argument, "pool" if word == "/pool" else "battery"
    if word != "/tuned":
        return argument, "results"
    path, _, last = argument.rpartition(" ")
    arm = next((arm for arm in ARMS if arm == last), None)
    return (path.strip(), arm) if arm and path else (argument, "tuned")


def _files(message: str) -> Iterator[Command]:
    """Files that exist; a path that is merely mentioned is left alone unless it is clearly handed over."""
    for match in FILE.finditer(message):
        if _there(match["path"]) or re.search(
            r"\b(attach\w*|here('s| is| are)|load|use|see)\b", message[: match.start()], re.I
        ):
            before = message[max(0, match.start() - 60) : match.start()]
            yield Command(request="attach", argument=match["path"], role=_spoken_role(before), words=match[0])


def _there(path: str) -> bool:
    try:
        return at_home(path).is_file()
    except (InvalidInput, ValueError):  # ValueError: a NUL in the path
        return False


def _spoken_role(before: str) -> Role:
    """What the words in front of a file say that it is."""
    if POOL.search(before):
        return "pool"
    return next((role for role, words in SPOKEN_ARMS.items() if words.search(before)), "results")


def _spoken(message: str) -> Iterator[Command]:
    if match := TRACE.search(message):
        yield Command(request="why", argument=match[2], words=match[0])
    for topic, pattern in TOPICS:
        if match := pattern.search(message):
            yield Command(request="explain", argument=topic, words=match[0])
            return
    for request, pattern in REQUESTS:
        if match := pattern.search(message):
            yield Command(request=request, words=match[0])
            return
