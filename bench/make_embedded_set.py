"""The embedded evaluation set and pool, made from hand-written families, checked, and labelled by measurement.

    python bench/make_embedded_set.py                  build both files from the families and the recorded counts
    python bench/make_embedded_set.py measure GGUF     sample and grade every problem anew (needs the wheel xllamacpp)

A family (bench/corpus/embedded/*.txt) is a heading, inputs that its problems share, and up to four functions that
differ in what they compute. The example of each problem is written by hand and must agree with its reference; the
other tests are the reference's answers. Building refuses a set that could flatter or leak: a problem that a constant or
an echo of an argument solves, two problems that one function solves, prompts of both sets that share their words.
Difficulty is the share of the embedded model's samples that passed, and nobody's opinion.
"""

from __future__ import annotations

import ast
import json
import re
import resource
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from prompts import load
from tools.measure import contamination
from tools.measure.problems import read

FAMILIES = Path(__file__).parent / "corpus" / "embedded"
COUNTS = FAMILIES / "counts.jsonl"
DATA = Path(__file__).parent.parent / "tools" / "measure" / "embedded"
SETS = ("evaluation", "pool")
SAMPLES = {"evaluation": 4, "pool": 2}
SLOTS = 16
# temperature before the cuts, as vLLM and transformers do it
ORDER = ["temperature", "top_k", "top_p"]
DECODING = {"temperature": 0.8, "top_p": 0.9, "top_k": 40, "min_p": 0, "max_tokens": 96, "samplers": ORDER}
# seconds of CPU, kernel included, for one reference on the tests of another; it takes microseconds
PATIENCE = 0.3
HEADING = re.compile(r"## (?P<family>.+) \((?P<source>\w+)\)")
SIGNATURE = re.compile(r"(?P<name>\w+)\((?P<parameters>[\w, ]+)\): (?P<statement>.+)")


@dataclass
class Task:
    """One hand-written problem: inputs are tuples of arguments, the example's among them."""

    set: str
    family: str
    source: str
    name: str
    parameters: str
    statement: str
    example: tuple[Any, ...] = ()
    expected: Any = None
    inputs: list[tuple[Any, ...]] = field(default_factory=list)
    body: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.set}/{self.name}"

    @property
    def arity(self) -> int:
        return self.parameters.count(",") + 1

    @property
    def reference(self) -> str:
        return "\n".join([f"def {self.name}({self.parameters}):", *self.body]) + "\n"

    @property
    def prompt(self) -> str:
        call = f"{self.name}({', '.join(map(repr, self.example))})"
        return (
            f"Write a Python function {self.name}({self.parameters}) that does this: {self.statement}"
            f" Example: {call} == {self.expected!r}"
        )

    def function(self) -> Callable[..., Any]:
        """The reference, compiled. The families are our own code; nothing a model wrote is run in this process."""
        scope: dict[str, Any] = {}
        exec(self.reference, scope)
        return scope[self.name]

    def answers(self) -> list[Any]:
        """What the reference gives for each input, the example's first."""
        return [self.function()(*args) for args in self.inputs]

    def tests(self) -> list[str]:
        """One assert per input; floats may differ in the last places, for there is more than one right formula."""
        return [_assert(self.name, args, answer) for args, answer in zip(self.inputs, self.answers(), strict=True)]


def _assert(name: str, args: tuple[Any, ...], expected: Any) -> str:
    call = f"{name}({', '.join(map(repr, args))})"
    if isinstance(expected, float):
        return f"assert abs({call} - {expected!r}) < 1e-6"
    return f"assert {call} == {expected!r}"


# reading the families


def tasks(name: str) -> list[Task]:
    """The problems of one set, in the order they were written."""
    found: list[Task] = []
    for block in re.split(r"\n(?=## )", (FAMILIES / f"{name}.txt").read_text()):
        heading, inputs, *problems = block.strip().split("\n", 2)
        matched = HEADING.fullmatch(heading)
        assert matched, heading
        shared = inputs.removeprefix("inputs: ")
        found += [_task(name, matched, shared, text) for text in problems[0].strip().split("\n\n")]
    return found


def _task(name: str, heading: re.Match[str], shared: str, text: str) -> Task:
    signature, example, *body = text.split("\n")
    matched = SIGNATURE.fullmatch(signature)
    assert matched, signature
    task = Task(name, heading["family"], heading["source"], **matched.groupdict())
    given, _, expected = example.strip().rpartition(" -> ")
    task.example, task.expected = ast.literal_eval(f"({given},)"), ast.literal_eval(expected)
    own = body.pop(0).strip() if body[0].strip().startswith(("also: ", "only: ")) else ""
    listed = ("" if own.startswith("only: ") else shared + ", ") + own[len("also: ") :]
    values = ast.literal_eval(f"[{listed}]")
    calls = [task.example, *(values if task.arity > 1 else ((value,) for value in values))]
    task.inputs = list({repr(call): call for call in calls}.values())
    task.body = body
    return task


# what building refuses


def complaints(found: list[Task]) -> Iterator[str]:
    """Everything wrong with the problems, one line each; none for a set that may ship."""
    names = [task.name for task in found]
    yield from (f"{name}: the name repeats" for name in sorted({n for n in names if names.count(n) > 1}))
    for task in found:
        yield from _own_complaints(task)
    yield from _twins(found)
    yield from _shared_words(found)


def _own_complaints(task: Task) -> Iterator[str]:
    before = repr(task.inputs)
    answers = task.answers()
    if repr(task.inputs) != before:
        yield f"{task.id}: the reference changes its arguments"
    if repr(answers[0]) != repr(task.expected):
        yield f"{task.id}: the example says {task.expected!r}, the reference {answers[0]!r}"
    if len(task.inputs) < 5:
        yield f"{task.id}: {len(task.inputs)} tests"
    for value in [*answers, None, True, False, 0, 1, "", []]:
        if all(value == answer for answer in answers):
            yield f"{task.id}: the constant {value!r} passes"
    for place, given in enumerate(zip(*task.inputs, strict=True)):
        if list(given) == answers:
            yield f"{task.id}: returning argument {place} passes"


def _twins(found: list[Task]) -> Iterator[str]:
    """Pairs that one function solves: within a set in both directions, across the sets in any.

    One direction alone is common within a family (a sum of numbers counts truths, too) and leaks nothing there.
    """
    answers = {task.id: task.answers() for task in found}
    patience = Patience()
    solved = {(one.id, other.id) for one in found for other in _solved_by(one, found, answers, patience)}
    patience.stop()
    sets = {task.id: task.set for task in found}
    for one, other in sorted(solved):
        if sets[one] != sets[other] or (other, one) in solved:
            yield f"{one} solves {other}"


def _solved_by(one: Task, found: list[Task], answers: dict[str, list[Any]], patience: Patience) -> Iterator[Task]:
    """The other tasks whose tests the reference of one passes. It may loop for ever on what it was not written for."""
    function = one.function()
    for other in found:
        try:
            with patience:
                same = other is not one and other.arity == one.arity and _agree(function, other, answers[other.id])
        except Exception:  # whatever it raises, it does not solve the task
            continue
        if same:
            yield other


def _agree(function: Callable[..., Any], task: Task, answers: list[Any]) -> bool:
    """On copies: a function that is given what it was not written for may append to a list until its time is up."""
    calls = zip(task.inputs, answers, strict=True)
    return all(function(*deepcopy(args)) == answer for args, answer in calls)


class Patience:
    """A block in it that uses `PATIENCE` to twice that of CPU seconds ends with TimeoutError.

    One timer ticks all the time, since setting it anew for every pair costs more than the pairs do.
    """

    inside, ticks = False, 0

    def __init__(self) -> None:
        signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, PATIENCE, PATIENCE)

    def __enter__(self) -> None:
        self.inside, self.ticks = True, 0

    def __exit__(self, *_: object) -> None:
        self.inside = False

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _tick(self, *_: object) -> None:
        self.ticks += 1
        if self.inside and self.ticks > 1:
            raise TimeoutError


def _shared_words(found: list[Task]) -> Iterator[str]:
    """Evaluation problems that the product's own contamination check finds in the pool."""
    evaluation, pool = (read(_lines(found, name, lambda _: "").encode(), name) for name in SETS)
    for pair in contamination.check(evaluation, pool).pairs:
        if pair.kind in contamination.BLOCKING:
            yield f"{pair.evaluation} and {pair.pool} are {pair.kind}: {pair.shared}"


# building


def row(task: Task, difficulty: str) -> dict[str, Any]:
    """The problem in the product's own format (FORMATS section 1)."""
    return {
        "id": task.id,
        "prompt": task.prompt,
        "kind": "function",
        "entry_point": task.name,
        "tests": task.tests(),
        "reference": task.reference,
        "difficulty": difficulty,
        "source": task.source,
        "cluster": f"{task.set}/{task.family.replace(' ', '_')}",
    }


def label(correct: int, total: int) -> str:
    """hard where no sample passed, easy where more than half did, medium in between; nothing where none was drawn."""
    if total == 0:
        return ""
    return "hard" if correct == 0 else "easy" if correct * 2 > total else "medium"


def counts() -> dict[str, tuple[int, int]]:
    """c and n of every problem, as measured."""
    rows = map(json.loads, COUNTS.read_text().splitlines() if COUNTS.exists() else ())
    return {row["id"]: (row["c"], row["n"]) for row in rows}


def build() -> dict[str, str]:
    """File name to content of both sets. Raises SystemExit with every complaint."""
    found = [task for name in SETS for task in tasks(name)]
    wrong = list(complaints(found))
    if wrong:
        raise SystemExit("\n".join(wrong))
    measured = counts()
    return {f"{name}.jsonl": _lines(found, name, lambda task: label(*measured.get(task.id, (0, 0)))) for name in SETS}


def _lines(found: list[Task], name: str, difficulty: Callable[[Task], str]) -> str:
    rows = (row(task, difficulty(task)) for task in found if task.set == name)
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows)


# measuring


def measure(model: str) -> None:
    """Sample and grade with the embedded model whatever has no counts yet. To measure anew, delete counts.jsonl."""
    done = counts()
    waiting = [task for name in SETS for task in tasks(name) if task.id not in done]
    server = _serve(model)
    with ThreadPoolExecutor(SLOTS // 2) as pool, COUNTS.open("a") as lines:
        for task, answers in zip(waiting, pool.map(lambda task: _answers(server, task), waiting), strict=True):
            passed = sum(_passes(task, answer) for answer in answers)
            lines.write(json.dumps({"id": task.id, "c": passed, "n": len(answers)}) + "\n")
            lines.flush()


def _serve(model: str) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_parallel, params.n_ctx = model, SLOTS, SLOTS * 512
    params.cpuparams.n_threads = 1  # on shared cores two threads wait for each other
    return xllamacpp.Server(params)


def _answers(server: Any, task: Task) -> list[str]:
    """Answers that share one reading of the prompt, each cut where its fence closes: what follows is prose."""
    wanted = {
        "messages": [{"role": "user", "content": load("solve_function", prompt=task.prompt)}],
        "n": SAMPLES[task.set],
        "stop": ["\n```\n"],
        "seed": 0,
        **DECODING,
    }
    return [choice["message"]["content"] for choice in server.handle_chat_completions(wanted)["choices"]]


def _passes(task: Task, answer: str) -> bool:
    """The first fence and the tests in a process of its own, with a second of CPU and half a gigabyte."""
    fence = re.search(r"```(?:python)?\n(.*?)(?:```|\Z)", answer, re.DOTALL)
    mark = secrets.token_hex()  # a program that ends early, or prints that it passed, does not know it
    program = "\n".join([fence[1] if fence else answer, *task.tests(), f"print({mark!r})"])
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        preexec_fn=_limits,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.endswith(f"{mark}\n") and done.returncode == 0


def _limits() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
    resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2])
    else:
        for file, content in build().items():
            (DATA / file).write_text(content)
