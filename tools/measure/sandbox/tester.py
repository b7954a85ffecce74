"""The cell of the tests: runs checks against programs that live elsewhere, and says what became of each.

`main` takes jobs of the parent one by one. For each it has the fork server start a program, reaches it as a `Guest`,
and sends a verdict that carries the job's nonce. It never runs a completion. It stays from job to job, since a start
would cost more than a grade. What could carry over is kept out: values arrive as copies, handles die with their
program, the names of the checks are made anew, nothing mutable that stays is ever handed over, and checks that reach
beyond themselves run in a forked copy. Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import math
import os
import random
import resource
import signal
import socket
import sys
from typing import Any

from tools.measure.sandbox import agreement, confine, wire
from tools.measure.sandbox.guest import Diverged, Guest, Link, Overdue, Ungradable
from tools.measure.sandbox.suite import Tests

ROWS_AT_ONCE = 32
TESTER_MEMORY = 6 << 30
ERRNO_REASONS = {errno.EPERM: "blocked", errno.ENOMEM: "memory", errno.EFBIG: "output", errno.ENOSPC: "output"}


class Verdict(dict[str, Any]):
    """What is told of a program: reason, detail, CPU seconds; `found` where answers were asked for."""


class Sink:
    """Standard output while checks run: what nobody redirects goes nowhere."""

    encoding, errors = "utf-8", "replace"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None


def examine(tests: Tests, job: dict[str, Any], link: Link) -> Verdict:
    """Grade one program, or collect the answers it gives."""
    limits = job["limits"]
    order = wire.ORDER.pack(limits["memory"], math.ceil(limits["seconds"]) + 1, limits["output"])
    order += " ".join(job["modules"]).encode()
    if tests.problem["kind"] == "stdin":
        return _examine_main(tests, job, link, order)
    verdict = _examine_once(tests, job, link, order)
    if verdict["reason"] == "diverged":
        tests.unlearn()
        verdict = _examine_once(tests, job, link, order)
    return verdict


def _examine_once(tests: Tests, job: dict[str, Any], link: Link, order: bytes) -> Verdict:
    guest = Guest(link, order, job["limits"]["seconds"], ahead=tests.script)
    try:
        verdict = _examine_function(tests, job, guest)
    finally:
        usage = guest.end()
    if verdict["reason"] == "passed" and tests.checks is not None:
        tests.learn(guest)
    return _weighed(verdict, guest, usage, job["limits"]["seconds"])


def _examine_function(tests: Tests, job: dict[str, Any], guest: Guest) -> Verdict:
    try:
        names = _wanted(tests, guest.ask("run", job["source"], tests.wanted))
    except BaseException as error:
        return _blamed(error, guest, "run")
    if tests.root not in names:
        return Verdict(reason="no_code", detail=f"no {tests.root} in the program")
    try:
        return _run_cases(tests, job, guest) if tests.checks is None else _run_checks(tests, names, guest)
    except BaseException as error:
        return _blamed(error, guest, "check")


def _wanted(tests: Tests, names: Any) -> dict[str, Any]:
    """Of what a program handed over, only what was asked for: nothing may be laid over the names of the tests."""
    if type(names) is not tuple or not all(type(pair) is tuple and len(pair) == 2 for pair in names):
        raise wire.Malformed("names were asked for")
    return {name: value for name, value in names if type(name) is str and name in tests.wanted}


def _run_checks(tests: Tests, names: dict[str, Any], guest: Guest) -> Verdict:
    assert tests.checks is not None
    random.seed(0)
    namespace = tests.namespace()
    namespace.update(names)
    exec(tests.checks, namespace)
    return Verdict(reason="passed", detail="")


def _run_cases(tests: Tests, job: dict[str, Any], guest: Guest) -> Verdict:
    rows = [case["args"] for case in tests.cases]
    found: list[Any] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        nodes = _map(guest, tests.entry_point, rows[start : start + ROWS_AT_ONCE])
        for index, (kind, node) in enumerate(nodes, start):
            if kind == "!":
                raise guest.unpack_error(node)
            if job["collect"]:
                found.append(node)
            elif not _case_agrees(tests, index, guest.decode(node)):
                return Verdict(reason="wrong", detail=f"case {index + 1} of {len(rows)}")
        if len(nodes) < min(ROWS_AT_ONCE, len(rows) - start):
            raise wire.Malformed("fewer answers than cases")
    return Verdict(reason="passed", detail="", found=found)


def _map(guest: Guest, entry_point: str, rows: list[Any]) -> list[Any]:
    guest.share = False
    text = guest.ask("map", entry_point, rows)
    guest.share = True
    try:
        nodes = wire.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise wire.Malformed("answers that cannot be read") from None
    if type(nodes) is not list or not all(type(node) is list and len(node) == 2 for node in nodes):
        raise wire.Malformed("answers that cannot be read")
    return nodes


def _case_agrees(tests: Tests, index: int, found: Any) -> bool:
    expected = tests.cases[index]["expected"]
    if expected is None and tests.expected is not None:
        return agreement.agrees(found, wire.Codec(2).decode(tests.expected[index]), tests.tolerance)
    return agreement.agrees(agreement.as_json(found), expected, tests.tolerance)


# stdin programs


def _examine_main(tests: Tests, job: dict[str, Any], link: Link, order: bytes) -> Verdict:
    found: list[str] = []
    seconds = 0.0
    for index, case in enumerate(tests.cases):
        verdict, text = _run_main(job, link, order, case["stdin"] or "")
        seconds = max(seconds, verdict["seconds"])
        if verdict["reason"] != "passed":
            return Verdict(verdict, detail=f"case {index + 1}: {verdict['detail']}", seconds=seconds)
        found.append(text)
        expected = case["expected"]
        if expected is None and tests.expected is not None:
            expected = tests.expected[index]
        if not job["collect"] and not agreement.same_output(text, str(expected), tests.tolerance):
            return Verdict(reason="wrong", detail=f"case {index + 1} of {len(tests.cases)}", seconds=seconds)
    return Verdict(reason="passed", detail="", seconds=seconds, found=found)


def _run_main(job: dict[str, Any], link: Link, order: bytes, stdin: str) -> tuple[Verdict, str]:
    typed, printed = os.memfd_create("stdin"), os.memfd_create("stdout")
    try:
        os.pwrite(typed, stdin.encode("utf-8", "surrogateescape"), 0)
        guest = Guest(link, order, job["limits"]["seconds"], (typed, printed))
        try:
            verdict = _exited(guest.ask("main", job["source"]))
        except BaseException as error:
            verdict = _blamed(error, guest, "run")
        verdict = _weighed(verdict, guest, guest.end(), job["limits"]["seconds"])
        return verdict, os.pread(printed, job["limits"]["output"] + 1, 0).decode("utf-8", "replace")
    finally:
        os.close(typed)
        os.close(printed)


def _exited(code: Any) -> Verdict:
    return Verdict(reason="passed", detail="") if code == 0 else Verdict(reason="error", detail=f"exit code {code}")


# what went wrong


def _blamed(error: BaseException, guest: Guest, phase: str) -> Verdict:
    if guest.trouble is not None:
        error = guest.trouble
    if isinstance(error, Ungradable):
        return Verdict(reason="ungradable", detail=str(error))
    if isinstance(error, Diverged):
        return Verdict(reason="diverged", detail=str(error))
    if isinstance(error, wire.Gone):
        return Verdict(reason="timeout" if isinstance(error, Overdue) else "gone", detail=str(error))
    if isinstance(error, wire.Malformed):
        return Verdict(reason="error", detail=f"answer unreadable: {error}")
    if not any(error is raised for raised in guest.raised):
        return Verdict(reason="wrong", detail=_line(error))
    return Verdict(reason=_raised(error, phase), detail=_line(error))


def _raised(error: BaseException, phase: str) -> str:
    if isinstance(error, SyntaxError) and phase == "run":
        return "syntax"
    if isinstance(error, MemoryError):
        return "memory"
    return ERRNO_REASONS.get(error.errno or 0, "error") if isinstance(error, OSError) else "error"


def _line(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:200].replace("\n", " ")
    except BaseException:
        return type(error).__name__


def _weighed(verdict: Verdict, guest: Guest, usage: tuple[int, float, float, int], limit: float) -> Verdict:
    """The verdict with the CPU time, and with what the wait status says of a program that went away."""
    status, cpu, _wall, _memory = usage
    verdict["seconds"] = cpu
    if guest.trouble is not None and verdict["reason"] == "passed":
        verdict.update(_blamed(guest.trouble, guest, "check"))
    if verdict["reason"] == "gone":
        verdict["reason"], verdict["detail"] = _fate(status, cpu, limit)
    return verdict


def _fate(status: int, cpu: float, limit: float) -> tuple[str, str]:
    if not os.WIFSIGNALED(status):
        return "error", f"ended itself with exit code {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    name = signal.Signals(number).name
    if number == signal.SIGSYS:
        return "blocked", name
    if number == signal.SIGXCPU or (number == signal.SIGKILL and cpu >= limit):
        return "timeout", f"{cpu:.2f} s of CPU"
    return ("memory", name) if number == signal.SIGKILL else ("error", name)


# -- the loop ----------------------------------------------------------------------------------------------------


def _verdict(tests: Tests, job: dict[str, Any], link: Link) -> bytes:
    try:
        verdict = examine(tests, job, link)
    except (wire.Malformed, Ungradable, MemoryError, RecursionError) as error:
        verdict = Verdict(reason="ungradable", detail=_line(error), seconds=0)
    return wire.dumps({**verdict, "nonce": job["nonce"]}).encode()


def _forked(tests: Tests, job: dict[str, Any], link: Link, parent: wire.Channel) -> None:
    """Run checks that leave traces in a copy of this process, which then goes away with them."""
    child = os.fork()
    if not child:
        try:
            parent.send(_verdict(tests, job, link))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        verdict = {"reason": "ungradable", "detail": f"the tester ended with status {status}", "seconds": 0}
        link.end()
        parent.send(wire.dumps({**verdict, "nonce": job["nonce"]}).encode())


def _serve(parent: wire.Channel, link: Link) -> None:
    tests: Tests | None = None
    while True:
        job = json.loads(parent.receive(1 << 30))
        if "problem" in job:
            tests = Tests(job["problem"])
        assert tests is not None
        if tests.quiet:
            parent.send(_verdict(tests, job, link))
        else:
            _forked(tests, job, link, parent)


def main(box: dict[str, Any]) -> None:
    """Be the tester until the parent closes the line."""
    sys.meta_path.append(confine.Packages(box["packages"]))
    parent, link = wire.Channel(socket.socket(fileno=box["parent"])), Link(socket.socket(fileno=box["link"]))
    # an answer does not take the CPU from the program that gives it: one switch for all that were sent ahead
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    confine.enter(box["tier"], box["readable"], box["links"], box["scratch"], box["cpu"])
    resource.setrlimit(resource.RLIMIT_AS, (TESTER_MEMORY, TESTER_MEMORY))
    sys.stdout = sys.stderr = Sink()
    sys.setrecursionlimit(3000)
    link.ready()
    gc.collect()
    gc.freeze()
    parent.send(b"ready")
    try:
        _serve(parent, link)
    except wire.Gone:
        return
