"""What each subcommand does: read the arguments, call one tool, print what it says.

Tables go to stdout, remarks to stderr. The same functions serve the chat's slash commands through the toolbox.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import InvalidInput
from tui import demo, measuring, tuning
from tui.plain import print_json

if TYPE_CHECKING:
    from agent.driver import Driver
    from tools.judge.policy import Policy
    from tools.measure.imports import Results

Arguments = argparse.Namespace


def run(arguments: Arguments) -> int:
    """The command the arguments name; the chat where they name none."""
    return COMMANDS[arguments.command or "chat"](arguments)


def chat(arguments: Arguments) -> int:
    """The conversation, on a screen where there is a terminal and in lines elsewhere."""
    from agent.session import Session
    from tui.plain import converse

    folder, driver = _session_folder(arguments), _driver(arguments.driver)
    policy = _policy(arguments) if arguments.strict else None
    on_screen = sys.stdin.isatty() and sys.stdout.isatty()
    if on_screen and not (arguments.plain or arguments.script or arguments.events):
        from tui.app import run_app

        return run_app(folder, driver, policy)

    async def talk() -> None:
        async with Session.open(folder, driver, policy) as session:
            await converse(session, arguments.script, events=arguments.events)

    asyncio.run(talk())
    return 0


def sessions(arguments: Arguments) -> int:
    """Sessions with their last use and first words."""
    from agent.session import sessions as found

    rows = [_session_row(folder) for folder in found(home(arguments))]
    if arguments.json:
        print_json(rows)
        return 0
    for row in rows:
        print(f"{row['id']}  {row['turns']:>4} turns  {row['used']}  {row['first']}")
    if not rows:
        print("no sessions yet; `strategist` opens one", file=sys.stderr)
    return 0


def _session_row(folder: Path) -> dict[str, Any]:
    path = folder / "events.jsonl"
    first = path.open(encoding="utf-8").readline()
    used = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    turns = sum(1 for line in path.open(encoding="utf-8") if '"kind":"user"' in line)
    words = json.loads(first).get("text", "")[:60].replace("\n", " ") if first.endswith("\n") else ""
    return {"id": folder.name, "turns": turns, "used": f"{used:%Y-%m-%d %H:%M} UTC", "first": words}


def passk(arguments: Arguments) -> int:
    """pass@k and gap with intervals, per slice."""
    from tools.deliver.deliverables import table_text
    from tools.records import KS
    from tools.stats import passk as statistics

    results = _results(arguments.file, arguments.format)
    table = statistics.table(results.counts, tuple(arguments.k or KS), seed=arguments.seed)
    if arguments.json:
        print_json(table.model_dump(mode="json") | {"format": results.format, "notes": [*results.notes, *table.notes]})
        return 0
    print(table_text(table))
    _remark(results.notes)
    return 0


def compare(arguments: Arguments) -> int:
    """Paired deltas of two results files."""
    from tools.deliver.deliverables import comparison_text
    from tools.stats import compare as statistics

    base, tuned = _results(arguments.base, arguments.format), _results(arguments.tuned, arguments.format)
    comparison = statistics.compare(base.counts, tuned.counts, seed=arguments.seed)
    if arguments.json:
        print_json(comparison.model_dump(mode="json"))
    else:
        print(comparison_text(comparison))
    return 0


def _results(path: Path, form: str | None) -> Results:
    from tools.measure import imports
    from tools.store import read_source

    data, source = read_source(path)
    return imports.read(data, source.name, form)


def verdict(arguments: Arguments) -> int:
    """A verdict per workload; JSON Lines in give JSON Lines out."""
    from tools.judge import verdict as judging

    policy = _policy(arguments)
    worst = 0
    for obj, folder in _workloads(arguments.workload):
        decided = judging.decide(*_workload(obj, folder), policy)
        print_json({"id": obj["id"]} | judging.as_contract(decided) if "id" in obj else judging.as_contract(decided))
        code = {"REFUSE": 2, "GO-OTHER": 1}.get(decided.verdict, 0)
        worst = max(worst, code)
    return worst


def _workload(obj: dict[str, Any], folder: Path) -> tuple[Any, Any]:
    from tools.judge import verdict as judging
    from tools.stats import passk as statistics

    workload = judging.read_workload({key: value for key, value in obj.items() if key != "id"})
    if workload.counts is None:
        return workload, None
    return workload, statistics.table(_results(folder / workload.counts, None).counts)


def _workloads(name: str) -> Iterator[tuple[dict[str, Any], Path]]:
    """Workload objects of a YAML or JSON file or of JSON Lines, each with the folder its paths start from."""
    import yaml

    text = sys.stdin.read() if name == "-" else _text(Path(name))
    folder = Path() if name == "-" else Path(name).parent
    try:
        found = _json_lines(text, name)
    except InvalidInput:
        if name.endswith(".jsonl"):
            raise
        try:
            found = [yaml.safe_load(text)]
        except yaml.YAMLError as error:
            raise InvalidInput(f"is neither JSON nor YAML ({error})", "a workload", where=name) from error
    for obj in found:
        if not isinstance(obj, dict):
            raise InvalidInput(f"is a {type(obj).__name__}", "a workload object", where=name)
        yield obj, folder


def _json_lines(text: str, name: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except ValueError:
        return [_json_line(line, f"{name}:{number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _json_line(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"is not JSON ({error})", "one JSON object per line", where=where) from error


def export(arguments: Arguments) -> int:
    """The bundle of a session, recomputed and written."""
    from agent.events import EventLog, transcript
    from agent.session import locked
    from agent.session import sessions as found
    from agent.toolbox import Casefile, decide
    from tools.deliver import bundle

    place = home(arguments)
    known = {folder.name: folder for folder in found(place)}
    folder = known.get(arguments.session or next(iter(known), ""))
    if folder is None:
        raise InvalidInput("there is no such session", "an id from `strategist sessions`", where=str(arguments.session))
    shown = transcript(EventLog(folder / "events.jsonl").events)
    case = Casefile(folder)
    if case.dossier.recorded_verdict is None:
        # of the facts as they stand; that they allow none is a verdict, too
        with locked(folder):
            decide(case)
    letters = bundle.export(case.dossier, shown, arguments.output)
    if arguments.json:
        print_json({"bundle": str(arguments.output), "deliverables": letters})
    else:
        print(f"{arguments.output}: deliverables {', '.join(letters)}")
    return 0


def verify_bundle(arguments: Arguments) -> int:
    """Recompute a bundle from its counts."""
    from tools.deliver import bundle

    found = bundle.verify(arguments.bundle)
    if arguments.json:
        print_json(found.model_dump(mode="json"))
    for problem in () if arguments.json else found.problems:
        print(problem)
    if not arguments.json:
        print(f"{arguments.bundle}: {'REFUSED' if found.problems else 'verified'}")
    return 1 if found.problems else 0


def screen(arguments: Arguments) -> int:
    """Anti-patterns in text, as JSON Lines."""
    from agent.screen import screen as recognise

    return _batch(arguments, lambda row: {"flags": [flag.pattern for flag in recognise(_field(row, "text")).flags]})


def intake(arguments: Arguments) -> int:
    """Facts in text, as JSON Lines."""
    from agent import extract

    return _batch(arguments, lambda row: {"fields": extract.contract(_field(row, "text"))})


def guard(arguments: Arguments) -> int:
    """Claims without evidence, as JSON Lines."""
    from tools import guard as claims

    return _batch(arguments, claims.contract)


def _field(row: dict[str, Any], key: str) -> str:
    if not isinstance(row.get(key), str):
        raise InvalidInput(f"key {key} is {row.get(key)!r}", "a text")
    return str(row[key])


def _batch(arguments: Arguments, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """JSON Lines in, JSON Lines out, same order, nothing printed before the whole input was found readable."""
    rows = [row for row in _rows(arguments.file) if isinstance(row, dict)]
    for row in rows:
        print_json({"id": row.get("id")} | answer(row))
    return 0


def _rows(name: str) -> Iterable[Any]:
    lines = (sys.stdin.read() if name == "-" else _text(Path(name))).split("\n")
    for number, line in enumerate(lines, 1):
        if line.strip():
            row = _json_line(line, f"{name}:{number}")
            if not isinstance(row, dict):
                raise InvalidInput(f"is a {type(row).__name__}", "a JSON object", where=f"{name}:{number}")
            yield row


def doctor(arguments: Arguments) -> int:
    """What is installed and where things live."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    packages = ("ssd-strategist", "langgraph", "openai", "textual", "numpy", "inspect-ai", "torch", "vllm", "ray")
    facts = {
        "python": sys.version.split()[0],
        "home": str(home(arguments)),
        "driver": _driver(None).name,
        **{name: installed(name) for name in packages},
    }
    if arguments.json:
        print_json(facts)
    else:
        print("\n".join(f"{name:15} {value}" for name, value in facts.items()))
    return 0


# settings: flag > environment > ./strategist.toml > user file


def setting(name: str, flag: Any = None) -> Any:
    """One setting: the flag, else STRATEGIST_<NAME>, else ./strategist.toml, else the user's file, else None."""
    if flag is not None:
        return flag
    if (value := os.environ.get(f"STRATEGIST_{name.upper()}")) is not None:
        return value
    user = Path(os.environ.get("XDG_CONFIG_HOME", "~/.config")).expanduser() / "strategist" / "strategist.toml"
    for path in (Path("strategist.toml"), user):
        if path.is_file():
            found = _toml(path)
            if name in found:
                return found[name]
    return None


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"is not TOML ({error})", "settings", where=str(path)) from error


def home(arguments: Arguments) -> Path:
    default = Path(os.environ.get("XDG_DATA_HOME", "~/.local/share")) / "strategist"
    return Path(setting("home", getattr(arguments, "home", None)) or default).expanduser()


def _driver(flag: str | None) -> Driver:
    from agent.offline import Offline

    served = bool(os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_KEY"))
    if (setting("driver", flag) or ("openai" if served else "offline")) == "offline":
        return Offline()
    from agent.llm import OpenAICompatible

    return OpenAICompatible(model=setting("model"))


def _policy(arguments: Arguments) -> Policy:
    from tools.judge.policy import Policy

    return Policy.with_overrides(getattr(arguments, "policy", []), strict=bool(arguments.strict))


def _session_folder(arguments: Arguments) -> Path:
    """The folder of the session to open: a new one, the one to resume, or a copy."""
    from agent.session import fork
    from agent.session import sessions as found

    place = home(arguments)
    folders = found(place)
    if arguments.fork:
        target = place / "sessions" / _new_id(folders)
        fork(_named(place, arguments.fork), target)
        return target
    if arguments.resume is None:
        return place / "sessions" / _new_id(folders)
    if arguments.resume:
        return _named(place, arguments.resume)
    if not folders:
        raise InvalidInput(
            "there is no session to resume", "a session", "start one with `strategist`", where=str(place)
        )
    return folders[0]


def _named(home: Path, name: str) -> Path:
    folder = home / "sessions" / name
    if not (folder / "events.jsonl").exists():
        raise InvalidInput(f"no session {name!r}", "an id from `strategist sessions`", where=str(home))
    return folder


def _new_id(folders: list[Path]) -> str:
    """A name that sorts by time and is not taken."""
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    taken = {folder.name for folder in folders}
    return next(name for n in range(1, 10_000) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)


def _text(path: Path) -> str:
    from tools.store import read_source

    data, source = read_source(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"is not UTF-8 text ({error})", "text", where=source.name) from error


def _remark(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


COMMANDS: dict[str, Callable[[Arguments], int]] = {
    "chat": chat,
    "sessions": sessions,
    "passk": passk,
    "compare": compare,
    "verdict": verdict,
    "export": export,
    "verify-bundle": verify_bundle,
    "screen": screen,
    "intake": intake,
    "guard": guard,
    "doctor": doctor,
    "sample": measuring.sample,
    "verify": measuring.verify,
    "measure": measuring.measure,
    "contamination": measuring.contamination,
    "seal": tuning.seal,
    "train": tuning.train,
    "merge": tuning.merge,
    "probe": tuning.probe,
    "evaluate": tuning.evaluate,
    "gate": tuning.gate,
    "cost": tuning.cost,
    "demo": demo.demo,
    "custody": measuring.custody,
    "estimate": measuring.estimate,
    "jobs": measuring.jobs,
}
