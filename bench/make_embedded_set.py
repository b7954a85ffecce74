"""The embedded evaluation set and pool, made from hand-written families, checked, and labelled by measurement.

    python bench/make_embedded_set.py                  build both files from the families and the recorded counts
    python bench/make_embedded_set.py measure GGUF     sample and grade every problem anew (needs the wheel xllamacpp)

A family (bench/corpus/embedded/*.txt) is a heading, inputs that its problems share, and up to four functions that differ
in what they compute. The example of each problem is written by hand and must agree with its reference; the other tests
are the reference's answers. Building refuses a set that could flatter or leak: a problem that a constant or an echo of
an argument solves, two problems that one function solves (in one set or across both), prompts that share their words.
Difficulty is the share of the embedded model's samples that passed, and nobody's opinion.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import resource
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FAMILIES = Path(__file__).parent / "corpus" / "embedded"
DATA = Path(__file__).parent.parent / "tools" / "measure" / "embedded"
SETS = ("evaluation", "pool")
# share of samples that passed, at least: SPEC wants slices of 30 problems, these cut both sets in three usable parts
EASY, MEDIUM = 0.5, 0.125
SAMPLES, TEMPERATURE, MAX_TOKENS = 8, 0.8, 96
ASK = "\n\nAnswer with the function in one ```python block and nothing else."
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
            f"Write a Python function `{self.name}({self.parameters})`. {self.statement}\n\n"
            f"For example, `{call}` returns `{self.expected!r}`."
        )

    def function(self) -> Callable[..., Any]:
        """The reference, compiled. The families are our own code; nothing a model wrote is run in this process."""
        scope: dict[str, Any] = {}
        exec(self.reference, scope)
        return scope[self.name]

    def tests(self) -> list[str]:
        """One assert per input; floats may differ in the last places, for there is more than one right formula."""
        return [_assert(self.name, args, self.function()(*_copy(args))) for args in self.inputs]


def _assert(name: str, args: tuple[Any, ...], expected: Any) -> str:
    call = f"{name}({', '.join(map(repr, args))})"
    if isinstance(expected, float):
        return f"assert abs({call} - {expected!r}) < 1e-6"
    return f"assert {call} == {expected!r}"


def _copy(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return ast.literal_eval(repr(args))


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
    yield from _like_words(found)


def _own_complaints(task: Task) -> Iterator[str]:
    answers = [task.function()(*_copy(args)) for args in task.inputs]
    if repr(answers[0]) != repr(task.expected):
        yield f"{task.id}: the example says {task.expected!r}, the reference {answers[0]!r}"
    if len(task.inputs) < 5:
        yield f"{task.id}: {len(task.inputs)} tests"
    constants = {repr(value): value for value in [*answers, None, True, False, 0, 1, "", []]}
    for text, value in constants.items():
        if all(_same(value, answer) for answer in answers):
            yield f"{task.id}: the constant {text} passes"
    for place in range(task.arity):
        if all(_same(args[place], answer) for args, answer in zip(task.inputs, answers, strict=True)):
            yield f"{task.id}: returning argument {place} passes"


def _same(value: Any, answer: Any) -> bool:
    return value == answer


def _twins(found: list[Task]) -> Iterator[str]:
    """Pairs where the reference of one passes the tests of the other."""
    functions = {task.id: task.function() for task in found}
    answers = {task.id: [functions[task.id](*_copy(args)) for args in task.inputs] for task in found}
    for one, other in itertools.permutations(found, 2):
        if one.arity == other.arity and _solves(functions[one.id], other, answers[other.id]):
            yield f"{one.id} solves {other.id}"


def _solves(function: Callable[..., Any], task: Task, answers: list[Any]) -> bool:
    """A function may loop for ever on what it was not written for: it has a tenth of a second."""
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError()))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        return all(function(*_copy(args)) == answer for args, answer in zip(task.inputs, answers, strict=True))
    except Exception:  # whatever it raises, it does not solve the task
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _like_words(found: list[Task]) -> Iterator[str]:
    """Statements of an evaluation and a pool problem that have most of their word triples in common."""
    triples = {task.id: _triples(task.statement) for task in found}
    held, pool = ([task for task in found if task.set == name] for name in SETS)
    for one, other in itertools.product(held, pool):
        a, b = triples[one.id], triples[other.id]
        if len(a & b) / len(a | b) > 0.5:
            yield f"{one.id} and {other.id} are worded alike"


def _triples(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return set(zip(words, words[1:], words[2:], strict=False))


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
    """easy, medium or hard, by the share of samples that passed."""
    share = correct / total
    return "easy" if share >= EASY else "medium" if share >= MEDIUM else "hard"


def counts() -> dict[str, tuple[int, int]]:
    """c and n of every problem, as measured."""
    rows = map(json.loads, (FAMILIES / "counts.jsonl").read_text().splitlines())
    return {row["id"]: (row["c"], row["n"]) for row in rows}


def build() -> dict[str, str]:
    """File name to content of both sets. Raises SystemExit with every complaint."""
    found = [task for name in SETS for task in tasks(name)]
    wrong = list(complaints(found))
    if wrong:
        raise SystemExit("\n".join(wrong))
    measured = counts()
    lines = {task.id: json.dumps(row(task, label(*measured[task.id])), ensure_ascii=False) for task in found}
    return {f"{n}.jsonl": "".join(lines[t.id] + "\n" for t in found if t.set == n) for n in SETS}


# measuring


def measure(model: str) -> None:
    """Sample and grade every problem with the embedded model; writes counts.jsonl."""
    found = [task for name in SETS for task in tasks(name)]
    port = _serve(model)
    with ThreadPoolExecutor(16) as pool:
        graded = pool.map(lambda pair: _passes(pair[0], _answer(port, *pair)), itertools.product(found, range(SAMPLES)))
        rows = []
        for task in found:
            rows.append({"id": task.id, "c": sum(itertools.islice(graded, SAMPLES)), "n": SAMPLES})
            print(json.dumps(rows[-1]), flush=True)
    (FAMILIES / "counts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _serve(model: str) -> int:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_parallel, params.n_ctx, params.port = model, 16, 16 * 512, 18435
    params.cpuparams.n_threads = 1
    threading.server = xllamacpp.Server(params)  # kept alive as long as the process
    return 18435


def _answer(port: int, task: Task, index: int) -> str:
    """One sample, cut off at the end of its first fence: what follows is prose, and costs as much as the code."""
    wanted = {
        "messages": [{"role": "user", "content": task.prompt + ASK}],
        "temperature": TEMPERATURE,
        "max_tokens": MAX_TOKENS,
        "seed": index,
        "stream": True,
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(wanted).encode(),
        {"Content-Type": "application/json"},
    )
    text = ""
    with urllib.request.urlopen(request, timeout=600) as reply:
        for line in reply:
            if line.startswith(b"data: {"):
                text += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
            if text.count("```") > 1:
                break
    return text


def _passes(task: Task, answer: str) -> bool:
    """The first fence and the tests in a process of its own, with a second of CPU and half a gigabyte."""
    fence = re.search(r"```(?:python)?\n(.*?)(?:```|\Z)", answer, re.S)
    program = (fence[1] if fence else answer) + "\n" + "\n".join(task.tests()) + "\nprint('all ' + 'passed')\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        preexec_fn=_limits,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.endswith("all passed\n") and done.returncode == 0


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
