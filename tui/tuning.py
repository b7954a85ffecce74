"""The subcommands that train and judge: seal, train, probe, gate, cost. Each reads arguments and calls one tool.

A run folder is what binds them: `seal` fixes what a result is judged by, `train` refuses without it, `probe` reads a
tuned run against its base under that seal, `gate` asks whether a second round may start.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import InvalidInput
from tui.measuring import decoding, engine, given, meter, say

if TYPE_CHECKING:
    from tools.judge.gates import GateResult, RoundOne
    from tools.judge.seal import Seal, Terms
    from tools.measure.engines import Engine
    from tools.measure.probes import Battery
    from tools.records import Counts
    from tools.tune.plan import Plan

Arguments = argparse.Namespace
SEAL, READINGS = "seal.json", "readings.json"
PROBE_SETS = ("safe", "unsafe", "off_format")


def seal(arguments: Arguments) -> int:
    """Pre-register probes, tolerances, slices, the round-two threshold and the decoding of a plan."""
    from tools.judge import seal as sealing
    from tools.store import write_atomic

    path, terms = arguments.run / SEAL, _terms(_plan(arguments.plan), arguments.slice)
    if not path.exists():
        found = sealing.seal(terms)
    elif arguments.amend:
        found = sealing.amend(_seal(arguments.run), terms, arguments.amend)
    elif _seal(arguments.run).sha256 != terms.sha256:
        raise InvalidInput("other terms are sealed here", "the sealed ones", "--amend REASON", where=str(path))
    else:
        found = _seal(arguments.run)
    write_atomic(path, found.model_dump_json(indent=2) + "\n")
    say(arguments, found.model_dump(mode="json"), f"{path}: {found.sha256}, {len(found.amendments)} amendments")
    return 0


def _terms(plan: Plan, slices: list[str]) -> Terms:
    from tools.judge.seal import Terms

    return Terms(
        tolerances={probe.name: probe.tolerance for probe in plan.battery.probes},
        slices=tuple(slices),
        round_two_lift_min_pp=plan.gate.lift_min_pp,
        decoding=plan.evaluation.decoding,
    )


def _plan(path: Path) -> Plan:
    """The plan of a bundle, or of a YAML or JSON file; raises AntiPattern where it embodies one."""
    import yaml

    from tools.store import read_source
    from tools.tune.plan import Plan

    data, source = read_source(path / "bundle.json" if path.is_dir() else path)
    try:
        told = yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise InvalidInput(f"is not YAML ({error})", "a plan", where=source.name) from error
    told = told.get("plan", told) if isinstance(told, dict) else told
    if not isinstance(told, dict):
        raise InvalidInput("holds no plan", "a GO verdict's bundle, or a plan", where=source.name)
    found: Plan = _checked(Plan, told, source.name)
    return found


def _checked(record: Any, told: Any, where: str) -> Any:
    from pydantic import ValidationError

    try:
        return record.model_validate(told)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise InvalidInput(f"{place}: {fault['msg']}", f"a {record.__name__.lower()}", where=where) from error


def _seal(run: Path) -> Seal:
    from tools.judge.seal import Seal
    from tools.store import read_source

    data, source = read_source(run / SEAL)
    found: Seal = _checked(Seal, json.loads(data), source.name)
    return found


def train(arguments: Arguments) -> int:
    """Fine-tune the base on its own answers of a run, by the plan, under the seal."""
    from tools.measure.engines import embedded
    from tools.runs import Run
    from tools.tune import rows, training

    run, plan = Run(arguments.run), _plan(arguments.plan)
    if not (arguments.run / rows.SELECTION).exists():
        drawn, origin = rows.gather(run, given(arguments))
        rows.build(run, plan, drawn, origin)
    base = arguments.base or embedded.model_folder()
    sealed = _seal(arguments.run) if (arguments.run / SEAL).exists() else None
    found = training.train(run, plan, sealed, base, say=lambda text: print(text, file=sys.stderr))
    lines = [f"{name:18} {value}" for name, value in found.model_dump(mode="json").items()]
    say(arguments, found.model_dump(mode="json"), "\n".join([*lines, rows.ledger(run)]))
    return 0


def probe(arguments: Arguments) -> int:
    """Ask a model the probe sets; with --against, read the battery under the run's seal. 1 where a probe alerts."""
    from tools.measure import probes

    with engine(arguments) as model:
        for name in PROBE_SETS:
            _ask(arguments, model, name)
    if arguments.against is None:
        return 0
    sealed = _seal(arguments.run)
    tolerances = {name: value for name, value in sealed.terms.tolerances.items() if name != probes.DIVERSITY}
    found = probes.read(_answers(arguments.against), _answers(arguments.run), tolerances, names=tuple(tolerances))
    found = _with_diversity(found, arguments, sealed)
    _write_readings(arguments.run, found, sealed.sha256)
    say(arguments, _as_json(found), "\n".join(_battery_lines(found)))
    return 1 if found.answer == "alert" else 0


def _ask(arguments: Arguments, model: Engine, name: str) -> None:
    from tools.measure import sampling

    asked = {row["id"]: row["prompt"] for row in _probe_rows(name, arguments.limit)}
    folder = arguments.run / "probes" / name
    with meter("probing", arguments.run, arguments.gpus) as count:
        sampling.sample(
            folder,
            asked,
            model,
            decoding(arguments),
            1,
            on_progress=lambda progress: count(progress.done, progress.wanted, progress.tokens or 0),
        )


def _probe_rows(name: str, limit: int | None) -> list[dict[str, str]]:
    import prompts

    rows = prompts.probe_set(name)
    return rows[:limit]


def _answers(run: Path) -> dict[Any, dict[str, list[Any]]]:
    """The replies of a run by probe set and prompt: its own samples with their grades, and what it said to the sets."""
    from tools.runs import Rows

    grades = {(row["id"], row["index"]): row["passed"] for row in Rows(run / "grades.jsonl")}
    found = {"generation": _replies(Rows(run / "samples.jsonl"), grades, {})}
    for name in PROBE_SETS:
        expected = {row["id"]: row.get("expected", "") for row in _probe_rows(name, None)}
        found[name] = _replies(Rows(run / "probes" / name / "samples.jsonl"), {}, expected)
    return found


def _replies(rows: Any, grades: dict[Any, bool], expected: dict[str, str]) -> dict[str, list[Any]]:
    from tools.measure.probes import Reply

    replies: dict[str, list[Any]] = {}
    for row in rows:
        reply = Reply(
            text=row["text"],
            truncated=row["finish_reason"] == "length",
            passed=grades.get((row["id"], row["index"])),
            expected=expected.get(row["id"], ""),
        )
        replies.setdefault(row["id"], []).append(reply)
    return replies


def _with_diversity(found: Battery, arguments: Arguments, sealed: Seal) -> Battery:
    from tools.deliver.trials import NOT_RUN, comparison_of
    from tools.measure import probes
    from tools.measure.probes import Battery

    tolerance = sealed.terms.tolerances.get(probes.DIVERSITY)
    if tolerance is None:
        return found
    comparison = comparison_of(_counts(arguments.against), _counts(arguments.run), NOT_RUN)
    read = probes.diversity(comparison, tolerance)
    if isinstance(read, probes.NotRead):
        return Battery(found.readings, (*found.not_read, read))
    return Battery((*found.readings, read), found.not_read)


def _counts(run: Path) -> Counts:
    from tools.deliver.dossier import counts_of
    from tools.store import read_source

    data, source = read_source(run / "counts.jsonl")
    return counts_of(data, source.name)


def _write_readings(run: Path, found: Battery, sealed: str) -> None:
    from tools.deliver.trials import BatteryRun
    from tools.store import write_atomic

    told = BatteryRun(seal=sealed, readings=found.readings, not_read=found.not_read)
    write_atomic(run / READINGS, told.model_dump_json(indent=2) + "\n")


def _as_json(found: Battery) -> dict[str, Any]:
    return {
        "answer": found.answer,
        "readings": [reading.model_dump(mode="json") for reading in found.readings],
        "not_read": [missed.model_dump(mode="json") for missed in found.not_read],
    }


def _battery_lines(found: Battery) -> Iterator[str]:
    from tools.claims import figure

    yield f"battery: {found.answer.upper()}"
    for reading in found.readings:
        drift = f"{figure(reading.drift, 'value')} {figure(reading.drift, 'ci')}"
        yield f"{reading.probe:20} {reading.answer.upper():13} drift {drift}, n = {figure(reading.drift, 'n')}"
    yield from (f"{missed.probe:20} NOT READ      {missed.why}" for missed in found.not_read)


def gate(arguments: Arguments) -> int:
    """Whether a second round may start; 1 where the gate stays closed."""
    from tools.judge import gates

    found = gates.round_two(_round_one(arguments))
    say(arguments, found.model_dump(mode="json") | {"open": found.open}, "\n".join(_gate_lines(found)))
    return 0 if found.open else 1


def _round_one(arguments: Arguments) -> RoundOne:
    """What two run folders show of round one, and what a file says of round two (FORMATS: ids of pools and slices)."""
    from tools.deliver.trials import NOT_RUN, BatteryRun, comparison_of
    from tools.judge.gates import RoundOne
    from tools.stats import passk
    from tools.store import read_source

    base, tuned = _counts(arguments.base), _counts(arguments.tuned)
    readings = arguments.tuned / READINGS
    answers = BatteryRun.model_validate_json(readings.read_bytes()).answers if readings.exists() else ()
    told = json.loads(read_source(arguments.round_two)[0]) if arguments.round_two else {}
    shown = {
        "seal": _seal(arguments.tuned).model_dump() if (arguments.tuned / SEAL).exists() else None,
        "base": passk.table(base, (1,)).find("pass_at_k", 1),
        "tuned": passk.table(tuned, (1,)).find("pass_at_k", 1),
        "paired": comparison_of(base, tuned, NOT_RUN).find("delta_pass_at_k", 1),
        "readings": answers,
        **told,
    }
    found: RoundOne = _checked(RoundOne, shown, str(arguments.round_two or arguments.tuned))
    return found


def _gate_lines(found: GateResult) -> Iterator[str]:
    yield f"round two: {'OPEN' if found.open else 'CLOSED, stop after one round'}"
    for condition in found.conditions:
        yield f"{'HELD  ' if condition.met else 'NOT   '} {condition.name}: {condition.seen}"


def cost(arguments: Arguments) -> int:
    """What runs cost, by stage, as it was measured."""
    from tools.runs import Rows
    from tools.stats import cost as costs

    rows = [costs.Cost.model_validate(row) for run in arguments.runs for row in Rows(run / "cost.jsonl")]
    found = costs.totals(rows)
    lines = [f"{'stage':12} {'hours':>9} {'CPU-hours':>10} {'GPU-hours':>10} {'tokens':>12}"]
    lines += [
        f"{t.stage:12} {t.wall_hours:>9.3f} {t.cpu_hours:>10.3f} {t.gpu_hours:>10.3f} {t.tokens:>12,}" for t in found
    ]
    say(arguments, [total.model_dump(mode="json") for total in found], "\n".join(lines))
    return 0
