"""The subcommands that train and judge: seal, train, merge, probe, evaluate, gate, cost. Each calls one tool.

A run folder is what binds them: `seal` fixes what a result is judged by, `train` refuses without it, `probe` reads a
tuned run against its base under that seal, `evaluate` measures it and probes both in one go, `gate` asks whether a
second round may start.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import InvalidInput
from tui.measuring import decoding, engine, evaluation, given, measure, meter, say

if TYPE_CHECKING:
    from tools.judge.battery import BatteryRun
    from tools.judge.gates import GateResult, RoundOne
    from tools.measure.engines import Engine
    from tools.tune.plan import Plan

Arguments = argparse.Namespace
# prompts whose greedy answers a merge has to leave as they are; our choice
PARITY_PROMPTS = 8


def seal(arguments: Arguments) -> int:
    """Pre-register probes, tolerances, slices, the round-two threshold and the decoding of a plan."""
    from tools.judge import battery
    from tools.tune import plan

    found = battery.seal_run(arguments.run, plan.terms(_plan(arguments.plan), arguments.slice), arguments.amend)
    text = f"{arguments.run / battery.SEAL}: {found.sha256}, {len(found.amendments)} amendments"
    say(arguments, found.model_dump(mode="json"), text)
    return 0


def _plan(path: Path) -> Plan:
    from tools.store import read_source
    from tools.tune import plan

    data, source = read_source(path / "bundle.json" if path.is_dir() else path)
    return plan.read(data, source.name)


def train(arguments: Arguments) -> int:
    """Fine-tune the base on its own answers of a run, by the plan, under the seal, apart from the evaluation."""
    from tools.judge.battery import SEAL, sealed_in
    from tools.measure import contamination
    from tools.measure.engines import embedded
    from tools.measure.pools import located
    from tools.runs import Run
    from tools.tune import rows, training

    run, samples, plan = Run(arguments.run), Run(arguments.samples or arguments.run), _plan(arguments.plan)
    prompts = given(samples.folder, arguments)
    sealed = sealed_in(arguments.run) if (arguments.run / SEAL).exists() else None
    contamination.require_apart(contamination.check(evaluation(located(arguments.eval)), prompts))
    if not (arguments.run / rows.SELECTION).exists():
        rows.build(run, plan, *rows.gather(samples, prompts))
    base = arguments.base or embedded.model_folder()
    found = training.train(run, plan, sealed, base, say=lambda text: print(text, file=sys.stderr))
    lines = [f"{name:18} {value}" for name, value in found.model_dump(mode="json").items()]
    say(arguments, found.model_dump(mode="json"), "\n".join([*lines, rows.ledger(run)]))
    return 0


def merge(arguments: Arguments) -> int:
    """Write a run's base and adapter as one model; 1 where it answers greedily otherwise than the adapter does."""
    from tools.measure.engines import embedded
    from tools.runs import OUTPUT, TRAINED, TRAINING
    from tools.store import read_source
    from tools.tune import training, weights

    trained, adapter = arguments.run / TRAINING / TRAINED, arguments.run / TRAINING / OUTPUT
    if not trained.exists() or not (adapter / "adapter_config.json").exists():
        raise InvalidInput("no adapter was trained here", "a run that trained one", where=str(arguments.run))
    told = training.Trained.model_validate_json(read_source(trained)[0])
    base = arguments.base or embedded.model_folder()
    weights.same_base(base, told.base_sha256)
    weights.merge(base, adapter, arguments.folder)
    asked = [row["prompt"] for row in _probe_rows("safe", PARITY_PROMPTS)]
    found = weights.merge_parity(base, adapter, arguments.folder, asked)
    text = f"{arguments.folder}: {found.agreed} of {found.prompts} greedy answers are those of the adapter"
    say(arguments, found.model_dump(mode="json") | {"holds": found.holds}, text)
    return 0 if found.holds else 1


def probe(arguments: Arguments) -> int:
    """Ask a model the probe sets; with --against, read the battery under the run's seal. 1 where a probe alerts."""
    from tools.judge import battery
    from tools.store import write_atomic

    with engine(arguments) as model:
        for name in battery.PROBE_SETS:
            _ask(arguments, model, name)
    if arguments.against is None:
        return 0
    sets = {name: _probe_rows(name, None) for name in battery.PROBE_SETS}
    expected = {name: {row["id"]: row.get("expected", "") for row in rows} for name, rows in sets.items()}
    found = battery.read(arguments.against, arguments.run, expected)
    write_atomic(arguments.run / battery.READINGS, found.model_dump_json(indent=2) + "\n")
    say(arguments, found.model_dump(mode="json") | {"answer": found.answer}, "\n".join(_battery_lines(found)))
    return 1 if found.answer == "alert" else 0


def evaluate(arguments: Arguments) -> int:
    """The tuned model on its base's problems, the probe sets to both, and the battery; 1 where a probe alerts."""
    from tools.measure.engines import trained_in
    from tools.runs import PROBLEMS, Rows

    base = argparse.Namespace(**{**vars(arguments), "run": arguments.against, "against": None})
    if not (arguments.run / PROBLEMS).exists():
        Rows(arguments.run / PROBLEMS).append(given(arguments.against, base))
    if "model" in trained_in(arguments.run):
        # all weights were trained, so the base that was named is not what answers
        arguments.model = None
    measure(arguments)
    probe(base)
    return probe(arguments)


def _ask(arguments: Arguments, model: Engine, name: str) -> None:
    from tools.judge.battery import PROBES
    from tools.measure import sampling

    asked = {row["id"]: row["prompt"] for row in _probe_rows(name, arguments.limit)}
    with meter("probing", arguments.run, arguments.gpus) as count:
        sampling.sample(
            arguments.run / PROBES / name,
            asked,
            model,
            decoding(arguments),
            1,
            on_progress=lambda progress: count(progress.done, progress.wanted, progress.tokens or 0),
        )


def _probe_rows(name: str, limit: int | None) -> list[dict[str, str]]:
    import prompts

    return prompts.probe_set(name)[:limit]


def _battery_lines(found: BatteryRun) -> Iterator[str]:
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
    """What two run folders show of round one, and what a file says of round two."""
    from tools.judge import battery, gates
    from tools.store import read_source

    shown = battery.round_one(arguments.base, arguments.tuned)
    if arguments.round_two is None:
        return shown
    data, source = read_source(arguments.round_two)
    return gates.planned(shown, data, source.name)


def _gate_lines(found: GateResult) -> Iterator[str]:
    yield f"round two: {'OPEN' if found.open else 'CLOSED, stop after one round'}"
    for condition in found.conditions:
        yield f"{'HELD  ' if condition.met else 'NOT   '} {condition.name}: {condition.seen}"


def cost(arguments: Arguments) -> int:
    """What runs cost, by stage, as it was measured."""
    from tools.stats import cost as costs
    from tools.store import read_source

    files = (read_source(run / "cost.jsonl") for run in arguments.runs)
    found = costs.totals(row for data, source in files for row in costs.read(data, source.name))
    lines = [f"{'stage':12} {'hours':>9} {'CPU-hours':>10} {'GPU-hours':>10} {'tokens':>12}"]
    lines += [
        f"{t.stage:12} {t.wall_hours:>9.3f} {t.cpu_hours:>10.3f} {t.gpu_hours:>10.3f} {t.tokens:>12,}" for t in found
    ]
    say(arguments, [total.model_dump(mode="json") for total in found], "\n".join(lines))
    return 0
