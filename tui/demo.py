"""`strategist demo`: the whole journey on the embedded model and problems, every step a command that one could type.

A step that is done is not repeated, and one that was killed goes on where it was. Nothing is staged: what the small
model does is what the bundle says. `--quick` takes a part of the problems, too few for a verdict, and says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tools.errors import InvalidInput
from tui.measuring import say

Arguments = argparse.Namespace
LABEL = "not decision-grade"
PIPELINE = "pipeline.json"
# looked for at the start, since training comes late
NEEDED = ("torch", "transformers", "peft", "sacrebleu")
SLICES = ("easy", "medium", "hard")


class Size(NamedTuple):
    """How much is done: every so many-th problem of either set, samples of each, prompts of each probe set."""

    evaluation: int
    pool: int
    samples: int
    drawn: int
    probes: int


# all problems; every second prompt of the pool, since training takes longest; our choice, as all of these
FULL = Size(evaluation=1, pool=2, samples=16, drawn=4, probes=200)
# about a tenth of the work; four samples say nothing of k = 16
QUICK = Size(evaluation=4, pool=10, samples=4, drawn=4, probes=12)
# inside the brief's range; the base is cut off at 96 tokens in about two of five answers, which the battery shows
DECODING = ("--temperature", "0.8", "--top-p", "0.95", "--max-tokens", "96")


class Step(NamedTuple):
    """One command. why: what it is for, in words. fine: exit codes after which the journey goes on."""

    name: str
    why: str
    argv: tuple[str, ...]
    fine: tuple[int, ...] = (0,)


def demo(arguments: Arguments) -> int:
    """Go through the steps that are left; 1 where the verdict is no GO, so that nothing is trained."""
    from tools.runs import Rows, Run

    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise InvalidInput(
            f"{', '.join(missing)} not installed", "all of them", "pip install 'ssd-strategist[local,train]'"
        )
    folder, size = arguments.folder, QUICK if arguments.quick else FULL
    Run(folder, {"demo": size._asdict()})
    journal = Rows(folder / "steps.jsonl")
    _lay_out(folder, size)
    done = {row["step"] for row in journal}
    for step in _steps(folder, size):
        if step.name in done:
            continue
        if step.name == "seal" and not _planned(folder, arguments.quick):
            print(f"The verdict is no GO for SSD, so nothing is trained. It is in {folder / 'verdict'}.")
            return 1
        print(f"\n== {step.why}\n$ strategist {' '.join(step.argv)}", file=sys.stderr)
        began = time.monotonic()
        if (code := _run(step.argv, quiet=arguments.json)) not in step.fine:
            return code
        journal.append([{"step": step.name, "code": code, "seconds": time.monotonic() - began}])
    minutes = sum(row["seconds"] for row in journal) / 60
    told = {"bundle": str(folder / "bundle"), "label": LABEL if arguments.quick else "", "steps": list(journal)}
    text = f"\n{folder / 'bundle'} verifies; {minutes:.1f} minutes of work" + f"; {LABEL}" * arguments.quick
    say(arguments, told, text)
    return 0


def _lay_out(folder: Path, size: Size) -> None:
    """Write the problems and what is going to be said."""
    import prompts
    from tools.measure.pools import located
    from tools.store import write_atomic

    for name, step in (("evaluation", size.evaluation), ("pool", size.pool)):
        source = located("embedded" if name == "evaluation" else "embedded-pool")
        write_atomic(folder / f"{name}.jsonl", "".join(source.read_text("utf-8").splitlines(keepends=True)[::step]))
    label = f", {LABEL}" if size == QUICK else ""
    measured = prompts.load("demo_measured", label=label, base=str(folder / "base" / "counts.jsonl"))
    tuned, readings = folder / "minimal" / "counts.jsonl", folder / "minimal" / "readings.json"
    spent = {f"{run}_cost": str(folder / run / "cost.jsonl") for run in ("base", "samples", "minimal")}
    judged = prompts.load("demo_judged", tuned=str(tuned), readings=str(readings), **spent)
    write_atomic(folder / "measured.txt", measured + "\n")
    write_atomic(folder / "judged.txt", f"{measured}\n{judged}\n")


def _planned(folder: Path, quick: bool) -> bool:
    """Write the plan of the verdict; where there is none, a quick demonstration goes on by one with no verdict."""
    from tools.store import write_atomic
    from tools.tune import plan

    told = json.loads((folder / "verdict" / "bundle.json").read_bytes())["plan"]
    if told is None and quick:
        told = plan.demonstration().model_dump(mode="json")
    if told is not None:
        write_atomic(folder / PIPELINE, json.dumps(told, indent=2) + "\n")
    return told is not None


def _steps(folder: Path, size: Size) -> Iterator[Step]:
    base, minimal, samples = (str(folder / name) for name in ("base", "minimal", "samples"))
    evaluation, pool, plan = (str(folder / name) for name in ("evaluation.jsonl", "pool.jsonl", PIPELINE))
    drawing = (*DECODING, "-n", str(size.samples))
    asking = (*DECODING, "--limit", str(size.probes))
    slices = tuple(part for name in SLICES for part in ("--slice", name))
    apart = "is the evaluation hidden in the pool?"
    yield Step("measure", "the base on the evaluation", ("measure", base, "--problems", evaluation, *drawing))
    yield Step("apart", apart, ("contamination", "--eval", evaluation, "--pool", pool))
    yield Step("interview", "what the team says, and the verdict", _chat(folder, "measured.txt"))
    yield Step("verdict", "the verdict as a bundle", _export(folder, "verdict"))
    yield Step("seal", "what the result is judged by, before training", ("seal", minimal, "--plan", plan, *slices))
    drawn = (*DECODING, "-n", str(size.drawn))
    yield Step("sample", "answers of the frozen base to the pool", ("sample", samples, "--problems", pool, *drawn))
    trained = ("train", minimal, "--samples", samples, "--plan", plan, "--eval", evaluation)
    yield Step("train", "the minimal arm, on all of them as they are", trained)
    yield Step("evaluate", "the tuned model", ("measure", minimal, "--problems", evaluation, *drawing))
    yield Step("probe the base", "the probe sets, to the base", ("probe", base, *asking))
    probed = ("probe", minimal, *asking, "--against", base)
    yield Step("probe", "the probe sets, to the tuned model; the battery under the seal", probed, (0, 1))
    yield Step("gate", "may a second round start?", ("gate", base, minimal), (0, 1))
    yield Step("cost", "what it cost", ("cost", base, samples, minimal))
    yield Step("results", "the results into the case", _chat(folder, "judged.txt"))
    yield Step("export", "all of it as a bundle", _export(folder, "bundle"))
    yield Step("verify", "the bundle, computed anew from its counts", ("verify-bundle", str(folder / "bundle")))


def _chat(folder: Path, script: str) -> tuple[str, ...]:
    """The conversation with a script; what was said before is not said again."""
    home = folder / "chat"
    going_on = ("--resume",) if list(home.glob("sessions/*/events.jsonl")) else ()
    return "chat", "--plain", "--driver", "offline", "--script", str(folder / script), "--home", str(home), *going_on


def _export(folder: Path, name: str) -> tuple[str, ...]:
    return "export", "--home", str(folder / "chat"), "--output", str(folder / name)


def _run(argv: tuple[str, ...], *, quiet: bool) -> int:
    """One command in this process; under --json what it prints goes where progress goes."""
    from tui import cli, commands

    with redirect_stdout(sys.stderr if quiet else sys.stdout):
        return commands.run(cli.parser().parse_args(argv))
