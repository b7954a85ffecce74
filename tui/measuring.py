"""The subcommands that measure a model: read the arguments, call one tool, print what it says.

Each works on a run folder and goes on where it was killed. Progress goes to stderr, or to the job that runs the
command.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import InvalidInput
from tui.plain import print_json

if TYPE_CHECKING:
    from tools.jobs import Job
    from tools.measure.contamination import Overlap
    from tools.measure.engines import Engine
    from tools.records import Decoding, Grading, Problem
    from tools.stats.cost import Stage

Arguments = argparse.Namespace
PYTHON = sys.version.split()[0]
# characters of a shared passage that a terminal line carries
SHOWN = 60


def sample(arguments: Arguments) -> int:
    """Answers of a model into a run folder."""
    return _draw(arguments, "sampling")


def _draw(arguments: Arguments, serves: Stage) -> int:
    """serves: what the answers are for, and so what their cost is of."""
    from tools.measure import sampling

    problems = given(arguments.run, arguments)
    with engine(arguments) as model, meter(serves, arguments.run, arguments.gpus) as count:
        first = next(iter(sampling.render(problems, _template(arguments)).values()))
        print(f"the first prompt, as the model sees it:\n{model.rendered(first)}\n", file=sys.stderr)
        done = sampling.sample(
            arguments.run,
            problems,
            model,
            decoding(arguments),
            arguments.n,
            _template(arguments),
            lambda progress: count(progress.done, progress.wanted, progress.tokens or 0),
        )
    say(arguments, done.model_dump(mode="json"), f"{arguments.run}: {done.done:,} of {done.wanted:,} samples")
    return 0


def verify(arguments: Arguments) -> int:
    """Grades for the answers of a run, and the counts that everything else rests on."""
    from importlib.metadata import version

    from tools.measure import verify as grading
    from tools.runs import Run

    run = Run(arguments.run)
    wanted = sum(1 for _ in run.rows(grading.SAMPLES))
    with meter("grading", arguments.run) as count:
        found = grading.verify(
            run,
            given(arguments.run, arguments),
            extraction=arguments.extraction,
            workers=arguments.workers,
            tier=arguments.tier,
            unsafe=arguments.unsafe_no_isolation,
            ray=arguments.ray,
            on_grade=lambda done: count(done, wanted, 0),
        )
    run.write_manifest({name: version(name) for name in ("ssd-strategist", "pydantic")} | {"python": PYTHON})
    say(arguments, found.model_dump(mode="json"), "\n".join(_grading_lines(arguments.run, found)))
    return 0


def _grading_lines(run: Path, found: Grading) -> Iterator[str]:
    yield f"{run}: {sum(found.reasons.values()):,} samples graded, isolation: {found.tier}"
    yield from (f"{reason:12} {count:>8,}" for reason, count in sorted(found.reasons.items()))
    missed = "none has one" if found.noise is None else f"{found.reference_misses:,} did not pass"
    yield f"references: {found.reference_runs:,} runs, {missed}"
    yield f"wrong programs: {found.wrong_runs:,} runs, {found.wrong_passed:,} passed"
    yield "extraction: " + ", ".join(f"{name} {count:,} right" for name, count in found.sensitivity.items())
    yield from (f"ungradable   {name}: {why}" for name, why in found.ungradable.items())
    yield f"counts: {run / 'counts.jsonl'}"


def measure(arguments: Arguments) -> int:
    """Sample, verify and the table, one after the other, each going on where it was killed."""
    from tui import commands

    _draw(arguments, "evaluation")
    verify(arguments)
    arguments.file, arguments.k = arguments.run / "counts.jsonl", None
    return commands.passk(arguments)


def given(run: Path, arguments: Arguments) -> tuple[Problem, ...]:
    """The problems of a run: those it began with, else the file that is named, which it then keeps a copy of."""
    from tools.measure import problems
    from tools.measure.pools import located
    from tools.records import Problem
    from tools.runs import PROBLEMS, Rows
    from tools.store import read_source

    kept = Rows(run / PROBLEMS)
    if kept.path.exists() and arguments.problems is None:
        return tuple(map(Problem.model_validate, kept))
    if arguments.problems is None:
        raise InvalidInput("no problems are named", "--problems FILE", "or --problems embedded", where=str(run))
    data, source = read_source(located(arguments.problems))
    found = _issued(problems.read(data, source.name, arguments.format), arguments)
    if not kept.path.exists():
        kept.append(found)
    return found


def _issued(problems: tuple[Problem, ...], arguments: Arguments) -> tuple[Problem, ...]:
    """Of the problems those of a custody issue, which is thereby used up; all of them where none is named."""
    from tools.measure.custody import Custody

    if getattr(arguments, "custody", None) is None:
        return problems
    folder, name, user = arguments.custody
    wanted = set(Custody(Path(folder)).burn(name, user, arguments.purpose).ids)
    if missing := wanted - {problem.id for problem in problems}:
        seen = f"{len(missing):,} problems of issue {name!r} are not there, as {min(missing)!r}"
        raise InvalidInput(seen, "all that were issued", "the file that was registered", where=str(arguments.problems))
    return tuple(problem for problem in problems if problem.id in wanted)


@contextmanager
def engine(arguments: Arguments) -> Iterator[Engine]:
    from tools.measure.engines import open_engine, trained_in

    settings = dict(map(_setting, arguments.set))
    settings |= {"model": arguments.model} if arguments.model else {}
    settings |= {"base_urls": arguments.base_url} if arguments.base_url else {}
    name = "openai_api" if arguments.base_url else arguments.engine
    opened = open_engine(name, **settings if arguments.base_url else trained_in(arguments.run) | settings)
    try:
        yield opened
    finally:
        opened.close()


def _setting(given: str) -> tuple[str, Any]:
    """NAME=VALUE with the value as JSON where it is JSON, else as text."""
    name, equals, value = given.partition("=")
    if not equals:
        raise InvalidInput(given, "NAME=VALUE", where="--set")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def decoding(arguments: Arguments) -> Decoding:
    from tools.records import Decoding

    return Decoding(
        temperature=arguments.temperature,
        top_p=arguments.top_p,
        top_k=arguments.top_k,
        max_tokens=arguments.max_tokens,
        seed=arguments.seed,
        stop=tuple(arguments.stop),
    )


def _template(arguments: Arguments) -> str | dict[str, str]:
    """The words around a problem: a file of the user's, or ours for each kind of problem."""
    import prompts
    from tools.store import read_source

    if arguments.template is not None:
        return read_source(arguments.template)[0].decode()
    return {kind: prompts.load(f"solve_{kind}", prompt="{prompt}") for kind in ("function", "stdin")}


@contextmanager
def meter(stage: Stage, run: Path, gpus: int = 0) -> Iterator[Callable[[int, int, int], None]]:
    """A function for done, wanted and tokens so far: progress to whoever looks, the cost to the run's `cost.jsonl`."""
    from tools.jobs import Reporter
    from tools.runs import Rows
    from tools.stats.cost import Meter

    report, rows = Reporter(), Rows(run / "cost.jsonl")
    meter = Meter(stage, lambda spent: rows.append([spent]), gpus)
    seen: list[int] = []

    def tell(done: int, wanted: int, tokens: int) -> None:
        seen.append(tokens)
        report(stage, done, wanted)
        # what an earlier sitting drew is in its own stretch
        meter.beat(seen[-1] - seen[-2] if len(seen) > 1 else 0)

    try:
        yield tell
    finally:
        meter.close()


def contamination(arguments: Arguments) -> int:
    """What a pool has in common with an evaluation; 1 where something blocks."""
    from tools.measure import contamination as overlap
    from tools.measure import pools

    held = evaluation(pools.located(arguments.eval))
    if arguments.pool is None:
        found = overlap.within(held)
    else:
        found = overlap.check(held, pools.prompts(pools.located(arguments.pool)))
    say(arguments, found.model_dump(mode="json"), "\n".join(_overlap_lines(found)))
    return 1 if found.blocked else 0


def evaluation(path: Path) -> tuple[Any, ...]:
    """Problems where the file holds them whole, so that references and tests are looked for too; else prompts."""
    from tools.measure import pools, problems
    from tools.store import read_source

    data, source = read_source(path)
    try:
        return problems.read(data, source.name)
    except InvalidInput as error:
        with suppress(InvalidInput):
            return tuple(pools.prompts(path))
        raise error from None


def _overlap_lines(found: Overlap) -> Iterator[str]:
    state = "BLOCKED" if found.blocked else "no overlap that blocks"
    yield f"{found.evaluation:,} evaluation problems against {found.pool:,} prompts: {state}"
    for kind in ("exact", "near", "contained", "flagged"):
        yield f"{kind:10} {getattr(found, kind):>8,}"
    for pair in found.pairs:
        shared = pair.shared[:SHOWN] + ("..." if len(pair.shared) > SHOWN else "")
        yield f"{pair.kind:10} {pair.evaluation} ~ {pair.pool} ({pair.part}, {pair.similarity:.2f}): {shared}"
    if found.pairs_found > len(found.pairs):
        yield f"and {found.pairs_found - len(found.pairs):,} more pairs"


def custody(arguments: Arguments) -> int:
    """Pools, evaluation slices and probes: register, issue once, burn by use; the state of all after that."""
    from tools.measure import pools
    from tools.measure.custody import Custody

    held = Custody(arguments.folder)
    if arguments.register is not None:
        held.register(pools.prompts(pools.located(arguments.register)))
    if arguments.issue is not None:
        ids = arguments.ids.read_text().split() if arguments.ids else None
        held.issue(arguments.issue, arguments.purpose, size=arguments.size, ids=ids, seed=arguments.seed)
    if arguments.burn is not None:
        if arguments.run is None:
            raise InvalidInput("no run is named", "--run NAME", "say which run uses it up", where=arguments.burn)
        held.burn(arguments.burn, arguments.run, arguments.purpose)
    state = held.state
    lines = [f"{state.registered:,} registered in {state.clusters:,} clusters; head {state.head}"]
    lines += [f"free       {count:>8,}  {name or 'no slice'}" for name, count in state.free.items()]
    lines += [
        f"{issue.purpose:10} {len(issue.ids):>8,}  {issue.name}, {len(issue.reserved):,} near-duplicates reserved"
        + (f", burned by {issue.burned_by}" if issue.burned_by else "")
        for issue in state.issues.values()
    ]
    say(arguments, state.model_dump(mode="json"), "\n".join(lines))
    return 0


def estimate(arguments: Arguments) -> int:
    """What sampling would take, before it is spent."""
    from tools.stats import cost

    found = cost.estimate(
        arguments.prompts,
        arguments.n,
        arguments.max_tokens,
        tokens_per_second=arguments.tokens_per_second,
        accelerators=arguments.gpus,
        usd_per_gpu_hour=arguments.usd_per_gpu_hour,
    )
    parts = [f"{found.answers:,} answers, at most {found.tokens:,} tokens"]
    hours = {"hours": found.wall_hours, "GPU-hours": found.gpu_hours, "USD": found.usd}
    parts += [f"at most {value:,.2f} {name}" for name, value in hours.items() if value is not None]
    if found.wall_hours is None:
        parts.append("hours unknown: no throughput was given (--tokens-per-second), and none is guessed")
    say(arguments, found.model_dump(mode="json"), "\n".join(parts))
    return 0


def jobs(arguments: Arguments) -> int:
    """Long runs: what they are at, and to end or resume one."""
    from tools.jobs import Job
    from tools.jobs import jobs as found
    from tui.commands import home

    folder = home(arguments)
    if arguments.job is None:
        rows = [_job_row(job) for job in found(folder)]
        say(arguments, rows, "\n".join(map(_job_line, rows)) or "no jobs yet")
        return 0
    job = Job(folder / "jobs" / arguments.job)
    if arguments.cancel:
        job.cancel()
    elif arguments.resume:
        job.resume()
    row = _job_row(job)
    say(arguments, row | {"log": job.tail}, f"{_job_line(row)}\n{job.tail}".strip())
    return 0


def _job_row(job: Job) -> dict[str, Any]:
    progress = job.progress
    return {
        "id": job.id,
        "state": job.state,
        "progress": progress.line if progress else "",
        "command": " ".join(job.told["argv"]),
    }


def _job_line(row: dict[str, Any]) -> str:
    return f"{row['id']:12} {row['state'].upper():10} {row['progress'] or row['command']}"


def say(arguments: Arguments, record: Any, text: str) -> None:
    if arguments.json:
        print_json(record)
    else:
        print(text)
