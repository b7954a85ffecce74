"""The command `strategist`: parses arguments and hands over; holds no logic of its own.

Nothing heavier than argparse is imported here, so that `--help` costs what Python costs. Each subcommand lives in
`tui.commands` under its own name. Exit: 0 done or GO; 1 a negative verdict, closed gate or alert; 2 refused; 3 failed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.measure import defaults

SHOWN = "default: %(default)s"
# turns that a thread of torch waits awake for the others: with two runs on the same cores the usual millions cost both
# half their speed, and these cost one run alone nothing that could be measured
WAITING = "GOMP_SPINCOUNT", "2000"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser().parse_args(argv)
    os.environ.setdefault(*WAITING)
    from tools import jobs

    with jobs.reported() as report:
        code = _run(arguments)
        report(code)
    return code


def _run(arguments: argparse.Namespace) -> int:
    from tools.errors import StrategistError
    from tui import commands

    try:
        return commands.run(arguments)
    except StrategistError as error:
        print(f"strategist: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("strategist: stopped; what is done is kept, and the same command goes on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader went away (`| head`); a second error at interpreter exit would only confuse
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"strategist: {error.strerror or error}{where}; what was written before is kept whole", file=sys.stderr)
        return 3


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = argparse.ArgumentParser(
        prog="strategist",
        description="Is simple self-distillation the next move for a code model? Asks, measures, decides, shows why.",
        epilog="Without a subcommand the chat opens. Exit: 0 done or GO, 1 negative verdict, 2 refused, 3 failed.",
    )
    _chat_options(root)
    commands = root.add_subparsers(dest="command", metavar="COMMAND")
    chat = commands.add_parser("chat", help="the conversation (default)")
    _chat_options(chat, argparse.SUPPRESS)
    sessions = commands.add_parser("sessions", help="list sessions, the newest first")
    sessions.add_argument("--home", type=Path, default=None, help="folder that holds sessions/")
    _passk(commands.add_parser("passk", help="pass@k and gap with intervals, per slice, from a results file"))
    _compare(commands.add_parser("compare", help="paired deltas of two results files on the same problems"))
    _verdict(commands.add_parser("verdict", help="verdicts for workload files (YAML, JSON or JSON Lines)"))
    export = commands.add_parser("export", help="write the bundle of a session")
    export.add_argument("session", nargs="?", help="session id (default: the newest)")
    export.add_argument("-o", "--output", type=Path, default=Path("bundle"), help="folder to write")
    export.add_argument("--home", type=Path, default=None, help="folder that holds sessions/")
    verify = commands.add_parser("verify-bundle", help="recompute a bundle from its counts and compare every byte")
    verify.add_argument("bundle", type=Path)
    _measuring(commands)
    for name, what in _BATCHES.items():
        batch = commands.add_parser(name, help=what)
        batch.add_argument("file", nargs="?", default="-", help="JSON Lines (default: standard input)")
    commands.add_parser("doctor", help="versions, paths, drivers and what is installed")
    for name, command in commands.choices.items():
        if name != "chat":
            command.add_argument("--json", action="store_true", help="machine-readable output")
    return root


def _measuring(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = argparse.ArgumentParser(add_help=False)
    run.add_argument("run", type=Path, help="run folder; a run that is there goes on")
    run.add_argument(
        "--problems", type=Path, help="problem file, `embedded` or `embedded-pool` (default: the run's own)"
    )
    run.add_argument("--format", default=None, help="format of the problem file (default: detected from the keys)")
    pool = commands.add_parser("sample", parents=[run], help="answers of a model into a run folder")
    _sampling(pool)
    _held(pool, "pool")
    _grading(
        commands.add_parser("verify", parents=[run], help="grade a run's answers in the sandbox; writes the counts")
    )
    both = commands.add_parser("measure", parents=[run], help="sample, verify and the pass@k table in one go")
    _sampling(both)
    _grading(both)
    _held(both, "evaluation")
    _tuning(commands, run)
    overlap = commands.add_parser("contamination", help="what a prompt pool has in common with an evaluation set")
    overlap.add_argument("--eval", type=Path, required=True, help="evaluation problems")
    overlap.add_argument(
        "--pool", type=Path, help="prompts, JSON Lines of any length (default: the set against itself)"
    )
    _custody(commands.add_parser("custody", help="issue pools, evaluation slices and probes once; burn them by use"))
    demo = commands.add_parser("demo", help="the whole journey on the embedded model and problems, to a bundle")
    demo.add_argument("folder", type=Path, nargs="?", default=Path("strategist-demo"), help=f"({SHOWN})")
    demo.add_argument("--quick", action="store_true", help="a part of the problems: minutes, and not decision-grade")
    price = commands.add_parser("estimate", help="what sampling would take, before it is spent")
    price.add_argument("--prompts", type=int, required=True, help="how many prompts")
    price.add_argument("-n", type=int, default=defaults.SAMPLES, help=f"samples per prompt ({SHOWN})")
    price.add_argument("--max-tokens", type=int, default=defaults.MAX_TOKENS, help=f"longest answer ({SHOWN})")
    price.add_argument("--tokens-per-second", type=float, help="throughput of all accelerators together, as measured")
    price.add_argument("--usd-per-gpu-hour", type=float, help="declared rate")
    price.add_argument("--gpus", type=int, default=0, help="accelerators held (default: 0)")
    jobs = commands.add_parser("jobs", help="long runs: list them, look at one, end or resume it")
    jobs.add_argument("job", nargs="?", help="job id")
    end = jobs.add_mutually_exclusive_group()
    end.add_argument("--cancel", action="store_true", help="end it; what is done is kept")
    end.add_argument("--resume", action="store_true", help="go on with it")
    jobs.add_argument("--home", type=Path, default=None, help="folder that holds jobs/ and sessions/")


def _tuning(commands: argparse._SubParsersAction[argparse.ArgumentParser], run: argparse.ArgumentParser) -> None:
    plan = argparse.ArgumentParser(add_help=False)
    plan.add_argument("--plan", type=Path, required=True, help="a bundle, or a whole plan as YAML or JSON")
    seal = commands.add_parser("seal", parents=[run, plan], help="fix what a result is judged by, before training")
    seal.add_argument("--slice", action="append", default=[], help="a slice that is reported; repeat it for several")
    seal.add_argument("--amend", metavar="REASON", help="change sealed terms, with the change on record")
    train = commands.add_parser("train", parents=[run, plan], help="fine-tune the base on a run's answers, by a plan")
    train.add_argument(
        "--eval", type=Path, required=True, help="evaluation problems: nothing trains on what meets them"
    )
    train.add_argument("--samples", type=Path, metavar="RUN", help="run that holds the answers (default: this one)")
    train.add_argument("--base", type=Path, help="model folder (default: the embedded model)")
    merge = commands.add_parser("merge", help="write a trained run as one model, and compare it with the adapter")
    merge.add_argument("run", type=Path, help="run folder that trained an adapter")
    merge.add_argument("folder", type=Path, help="folder to write the model into")
    merge.add_argument("--base", type=Path, help="model folder (default: the embedded model)")
    probe = commands.add_parser("probe", parents=[run], help="ask the probe sets; with --against read the battery")
    probe.add_argument("--against", type=Path, help="run folder of the base, probed before")
    probe.add_argument("--limit", type=int, help="prompts of each set (default: all)")
    _sampling(probe)
    both = commands.add_parser("evaluate", help="measure a tuned run as its base was, probe both and read the battery")
    both.add_argument("run", type=Path, help="run folder of the tuned model; a run that is there goes on")
    both.add_argument("--against", type=Path, required=True, help="run folder of the base, whose problems are taken")
    both.add_argument("--limit", type=int, help="prompts of each probe set (default: all)")
    both.set_defaults(problems=None, format=None)
    _sampling(both)
    _grading(both)
    gate = commands.add_parser("gate", help="whether a second round may start")
    gate.add_argument("base", type=Path, help="run folder of the base")
    gate.add_argument("tuned", type=Path, help="run folder of the tuned model")
    gate.add_argument(
        "--round-two", type=Path, metavar="FILE", help="JSON: checkpoint, sampled_from, pool, evaluation, earlier"
    )
    cost = commands.add_parser("cost", help="what runs cost, by stage")
    cost.add_argument("runs", type=Path, nargs="+", help="run folders")


def _grading(verify: argparse.ArgumentParser) -> None:
    ways = ("first_fence", "last_fence", "whole", "continuation")
    verify.add_argument(
        "--extraction", choices=ways, default=defaults.EXTRACTION, help="how code is found in an answer"
    )
    verify.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="programs at a time (default: one per core)"
    )
    tiers = ("bubblewrap", "namespaces", "seccomp", "container")
    verify.add_argument("--tier", choices=tiers, help="isolation (default: the strongest that holds here)")
    verify.add_argument("--ray", metavar="ADDRESS", help="grade over Ray actors: local, auto or ray://HOST:PORT")
    verify.add_argument("--unsafe-no-isolation", action="store_true", help="run model-written code unprotected")


def _custody(custody: argparse.ArgumentParser) -> None:
    custody.add_argument("folder", type=Path, help="custody folder; without an option its state is shown")
    custody.add_argument("--register", type=Path, metavar="FILE", help="take problems or prompts in")
    custody.add_argument("--issue", metavar="NAME", help="give problems out under a new name")
    custody.add_argument("--purpose", choices=("pool", "evaluation", "probe"), help="what for")
    given = custody.add_mutually_exclusive_group()
    given.add_argument("--size", type=int, help="so many, drawn in whole clusters of near-duplicates")
    given.add_argument("--ids", type=Path, metavar="FILE", help="these, one id on a line")
    custody.add_argument("--seed", type=int, default=0, help="seed of the draw (default: 0)")
    custody.add_argument("--burn", metavar="NAME", help="use an issue up")
    custody.add_argument("--run", help="the run that uses it")


def _held(command: argparse.ArgumentParser, purpose: str) -> None:
    """Take only what custody issued; base and tuned model of one round are measured on the same issue."""
    command.set_defaults(purpose=purpose)
    what = f"only the problems of this {purpose} issue, which ROUND uses up: another round is refused"
    command.add_argument("--custody", nargs=3, metavar=("FOLDER", "ISSUE", "ROUND"), help=what)


def _sampling(sample: argparse.ArgumentParser) -> None:
    sample.add_argument("--engine", default=defaults.ENGINE, help=f"what answers ({SHOWN})")
    sample.add_argument("--model", help="name or folder (default: the embedded model, or the only one that is served)")
    sample.add_argument("--base-url", action="append", help="OpenAI-compatible server; repeat it for several")
    sample.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any other engine setting")
    sample.add_argument("-n", type=int, default=defaults.SAMPLES, help=f"samples per problem; may grow ({SHOWN})")
    sample.add_argument("--temperature", type=float, default=defaults.TEMPERATURE, help=f"({SHOWN})")
    sample.add_argument("--top-p", type=float, default=defaults.TOP_P, help=f"({SHOWN}, no truncation)")
    sample.add_argument("--top-k", type=int, default=None, help="(default: none)")
    sample.add_argument("--max-tokens", type=int, default=defaults.MAX_TOKENS, help=f"longest answer ({SHOWN})")
    sample.add_argument("--stop", action="append", default=[], help="stop string; repeat it for several")
    sample.add_argument("--seed", type=int, default=defaults.SEED, help=f"({SHOWN})")
    sample.add_argument("--template", type=Path, help="words around a problem, with {prompt} once (default: ours)")
    sample.add_argument("--gpus", type=int, default=0, help="accelerators held, for the cost (default: 0)")


_BATCHES = {
    "screen": 'anti-patterns in text: {"id","text"} -> {"id","flags"}',
    "intake": 'facts in text: {"id","text"} -> {"id","fields"}',
    "guard": "claims without evidence: a text and a ledger -> allowed, violations",
}


def _chat_options(command: argparse.ArgumentParser, default: object = None) -> None:
    """Options of the conversation; on the subcommand an unused one must not hide the root's."""
    flag = False if default is None else default
    command.add_argument("--plain", action="store_true", default=flag, help="line mode on stdin and stdout")
    command.add_argument("--script", type=Path, default=default, metavar="FILE", help="feed lines from FILE and exit")
    command.add_argument("--events", action="store_true", default=flag, help="print the event stream as JSON Lines")
    command.add_argument("--driver", choices=("offline", "openai"), default=default, help="who reads and phrases")
    command.add_argument("--resume", nargs="?", const="", default=default, metavar="ID", help="go on with a session")
    command.add_argument("--fork", default=default, metavar="ID", help="go on with a copy of a session")
    command.add_argument("--home", type=Path, default=default, help="folder that holds sessions/")
    command.add_argument("--strict", action="store_true", default=flag, help="the lower bound of the gap decides")


def _passk(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path)
    command.add_argument("--format", default=None, help="results format (default: detected from the keys)")
    command.add_argument("-k", type=int, nargs="+", default=None, help="which k besides 1 (default: 4 8 16)")
    command.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default: 0)")


def _compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("base", type=Path)
    command.add_argument("tuned", type=Path)
    command.add_argument("--format", default=None, help="results format of both files (default: detected)")
    command.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default: 0)")


def _verdict(command: argparse.ArgumentParser) -> None:
    command.add_argument("workload", help="YAML or JSON file, JSON Lines, or - for standard input")
    command.add_argument("--strict", action="store_true", help="the lower bound of the gap decides")
    command.add_argument("--policy", action="append", default=[], metavar="NAME=VALUE", help="override a policy value")


if __name__ == "__main__":
    sys.exit(main())
