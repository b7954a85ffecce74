"""The parent's side: which tier holds here, starting the two cells of a worker, and handing out jobs.

`Sandbox` keeps a few workers and takes them through any number of jobs; a worker that died or hung is replaced, and
the job tried once more. Refuses (SandboxFailed) where the tier asked for, or any tier at all, does not hold here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import re
import secrets
import selectors
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tools.errors import SandboxFailed
from tools.measure.sandbox import wire
from tools.records import Positive, Record, Samples, Tier

HERE = Path(__file__).parent
COMMON = ("wire", "syscalls", "confine")
ROLES = {"program": ("program",), "tester": ("guest", "suite", "agreement", "tester")}
OFFERED = ("numpy",)
ORDER: tuple[Tier, ...] = ("bubblewrap", "namespaces", "seccomp")
START_SECONDS = 30.0
CLOSE_SECONDS = 3.0
PATIENCE = 20.0  # beyond what programs may take: for the tester's own work on a busy machine
WARMABLE = frozenset(
    wire.words(
        "asyncio dataclasses datetime decimal enum fractions hashlib numpy queue random statistics threading uuid zlib"
    )
)
IMPORTS = re.compile(r"^[ \t]*(?:import|from)[ \t]+(\w+)", re.M)
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # sets of strings come in the same order on both sides, and in every run
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNODEBUGRANGES": "1",  # smaller code: fewer pages to copy after a fork
    "LD_BIND_NOW": "1",  # what is bound before a fork is not bound, and its page not copied, after it
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
BOOT = """
import json, os, sys, types
with os.fdopen(int(sys.argv[1])) as handle:
    box = json.load(handle)
for name, source in box["sources"]:
    module = sys.modules[name] = types.ModuleType(name)
    head, _, tail = name.rpartition(".")
    if head:
        setattr(sys.modules[head], tail, module)
    exec(compile(source, name, "exec"), module.__dict__)
for name, _ in box["sources"]:
    del sys.modules[name]
module.main(box)
"""


class Limits(Record):
    """What one program may use: CPU seconds (about twice that on the clock), address space, printed text."""

    seconds: Positive = 3.0
    memory_mb: Samples = 2048
    output_mb: Samples = 16

    def as_job(self) -> dict[str, Any]:
        """In the units of the kernel."""
        return {"seconds": self.seconds, "memory": self.memory_mb << 20, "output": self.output_mb << 20}


class Job(NamedTuple):
    """One program against the tests of one problem. `key` names the tests: equal keys, equal tests.

    collect: return the answers to the cases, encoded, instead of comparing them.
    """

    key: str
    tests: dict[str, Any]
    source: str
    limits: Limits
    collect: bool = False


class Outcome(NamedTuple):
    """What the tester said of a job; reason is one of records.GradeReason."""

    reason: str
    detail: str
    seconds: float
    found: list[Any]


class _Worker:
    """Two cells and the line to their tester."""

    def __init__(self, tier: Tier, cpu: int) -> None:
        self._tier, self._cpu = tier, cpu
        self._processes: list[subprocess.Popen[bytes]] = []
        self._key = ""
        self._nonce = ""
        self.deadline = 0.0
        self._start()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, job: Job) -> None:
        """Hand over a job. Raises wire.Gone where the tester has gone."""
        if not self._processes:
            self.restart()
        self._nonce = secrets.token_hex(16)
        self.deadline = time.monotonic() + _longest(job)
        message: dict[str, Any] = {
            "nonce": self._nonce,
            "source": job.source,
            "limits": job.limits.as_job(),
            "collect": job.collect,
            "modules": sorted(WARMABLE.intersection(IMPORTS.findall(job.source))),
        }
        if job.key != self._key:
            message["problem"], self._key = job.tests, job.key
        self._channel.send(json.dumps(message).encode())

    def receive(self) -> Outcome:
        """The outcome of the job handed over. Raises wire.Gone."""
        verdict = json.loads(self._channel.receive(1 << 30))
        if verdict.get("nonce") != self._nonce:
            raise wire.Gone("a verdict without the nonce of its job")
        return Outcome(verdict["reason"], verdict["detail"], verdict["seconds"], verdict.get("found", []))

    def close(self) -> None:
        """Let both cells end by themselves, so that their CPU time is counted; those that do not are killed."""
        self._socket.close()
        for process in reversed(self._processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(CLOSE_SECONDS)
        self.stop()

    def stop(self) -> None:
        """Kill both cells and all that lives in them."""
        self._socket.close()
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def restart(self) -> None:
        """Fresh cells."""
        self.stop()
        self._key = ""
        self._start()

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        to_tester, to_server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, to_tester, to_server, tempfile.TemporaryFile() as log:
            try:
                self._launch("program", {"link": to_server.fileno()}, log)
                self._launch("tester", {"link": to_tester.fileno(), "parent": theirs.fileno()}, log)
                for given in (theirs, to_tester, to_server):
                    given.close()
                self._await_ready(log)
            except BaseException:
                self.stop()
                raise
        self._channel = wire.Channel(self._socket)

    def _launch(self, role: str, fds: dict[str, int], log: Any) -> None:
        box = {"sources": _sources(role), "tier": self._tier, "cpu": self._cpu, **_view(self._tier), **fds}
        with tempfile.TemporaryFile() as handle:
            handle.write(json.dumps(box).encode())
            handle.seek(0)
            inherited = (handle.fileno(), *fds.values())
            process = subprocess.Popen(
                [*_prefix(self._tier), _interpreter(), "-s", "-S", "-P", "-c", BOOT, str(handle.fileno())],
                env=ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=inherited,
            )
        self._processes.append(process)

    def _await_ready(self, log: Any) -> None:
        self._socket.settimeout(START_SECONDS)
        try:
            wire.Channel(self._socket).receive()
        except (wire.Gone, TimeoutError):
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()
            raise SandboxFailed(f"tier {self._tier} does not hold here: {said[-1] if said else 'no answer'}") from None
        self._socket.settimeout(None)


def _longest(job: Job) -> float:
    runs = max(1, len(job.tests["cases"])) if job.tests["kind"] == "stdin" else 1
    return PATIENCE + runs * wire.longest_wait(job.limits.seconds)


def _sources(role: str) -> list[list[str]]:
    package = __package__ or ""
    parts = package.split(".")
    folders = [[".".join(parts[: n + 1]), ""] for n in range(len(parts))]
    return folders + [
        [f"{package}.{name}", (HERE / f"{name}.py").read_text("utf-8")] for name in (*COMMON, *ROLES[role])
    ]


def _interpreter() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _packages() -> dict[str, str]:
    specs = {name: importlib.util.find_spec(name) for name in OFFERED}
    return {name: str(Path(spec.origin).parent) for name, spec in specs.items() if spec and spec.origin}


def _view(tier: Tier) -> dict[str, Any]:
    """What a cell may read, at the same paths as outside, and where it may write."""
    packages = _packages()
    wanted = ["/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/lib", "/lib64"]
    wanted += [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), str(Path(sys.base_prefix) / "lib")]
    wanted += [folder for path in packages.values() for folder in (path, f"{path}.libs")]
    wanted += ["/dev/null", "/dev/urandom"]
    found = [path for path in dict.fromkeys(wanted) if os.path.exists(path)]
    links = {path: os.readlink(path) for path in found if os.path.islink(path) and path.count("/") == 1}
    readable = _outermost([path for path in found if tier == "seccomp" or path not in links])
    # an environment below /tmp is read from there, so the scratch folder cannot be /tmp as well
    place = "/scratch" if any(path.startswith("/tmp/") for path in readable) else "/tmp"
    scratch = place if tier in ("bubblewrap", "namespaces") else ""
    return {"readable": readable, "links": links, "packages": packages, "scratch": scratch}


def _outermost(paths: list[str]) -> list[str]:
    return [path for path in paths if not any(path != other and path.startswith(other + "/") for other in paths)]


def _prefix(tier: Tier) -> list[str]:
    """The bubblewrap command line in front of a cell, or nothing."""
    if tier != "bubblewrap":
        return []
    view = _view(tier)
    interpreter = _interpreter()
    binds = [*view["readable"], *([] if _covered(interpreter, view["readable"]) else [interpreter])]
    mounts = [
        part for path in binds for part in ("--dev-bind" if path.startswith("/dev/") else "--ro-bind", path, path)
    ]
    links = [part for path, target in view["links"].items() for part in ("--symlink", target, path)]
    own = ["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    who = ["--uid", "65534", "--gid", "65534"]
    scratch = ["--size", str(16 << 20), "--tmpfs", view["scratch"], "--chdir", view["scratch"]]
    return [shutil.which("bwrap") or "bwrap", *own, *who, *mounts, *links, *scratch, "--remount-ro", "/"]


def _covered(path: str, folders: list[str]) -> bool:
    return any(path.startswith(folder + "/") for folder in folders)


def tier_here(wanted: Tier | None = None, *, unsafe: bool = False) -> Tier:
    """The tier that holds on this machine: the one asked for, or the strongest.

    Raises SandboxFailed where it does not hold; `container` and `none` are never chosen, only asked for (`none` by
    `unsafe`). Each candidate is tried for real.
    """
    if not sys.platform.startswith("linux"):
        raise SandboxFailed(f"programs are run on Linux only, and this is {sys.platform}; use a Linux container")
    if wanted == "none" or (unsafe and wanted is None):
        if not unsafe:
            raise SandboxFailed("no isolation was asked for without the unsafe switch; say so, or choose another tier")
        return "none"
    reasons = []
    for tier in (wanted,) if wanted else ORDER:
        problem = _trial(tier)
        if not problem:
            return tier
        reasons.append(problem)
    raise SandboxFailed(
        "untrusted programs cannot be isolated here: " + "; ".join(reasons) + ". Install bubblewrap, allow user "
        "namespaces, run inside a container and declare it, or ask for no isolation in so many words"
    )


def _trial(tier: Tier) -> str:
    """Why a tier does not hold, or nothing."""
    if tier == "bubblewrap" and shutil.which("bwrap") is None:
        return "bubblewrap: not installed"
    try:
        _Worker(tier, min(os.sched_getaffinity(0))).close()
    except (SandboxFailed, OSError) as error:
        return str(error)
    return ""


class Sandbox:
    """A few workers that grade jobs; close it, or use it as a context."""

    def __init__(self, workers: int = 1, tier: Tier | None = None, *, unsafe: bool = False) -> None:
        self.tier: Tier = tier_here(tier, unsafe=unsafe)
        cpus = itertools.cycle(sorted(os.sched_getaffinity(0)))
        self._workers = [_Worker(self.tier, cpu) for cpu in itertools.islice(cpus, workers)]

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all cells."""
        for worker in self._workers:
            worker.close()

    def run(self, jobs: Iterable[Job], *, alone: bool = False) -> Iterator[Outcome]:
        """Outcomes in the order of the jobs. `alone`: one at a time, with all other workers idle."""
        return _Shift(self._workers[:1] if alone else self._workers, iter(jobs)).outcomes()


class _Shift:
    """One pass of the workers over some jobs."""

    def __init__(self, workers: list[_Worker], jobs: Iterator[Job]) -> None:
        self._jobs = jobs
        self._idle = deque(workers)
        self._busy: dict[_Worker, tuple[int, Job, bool]] = {}
        self._done: dict[int, Outcome] = {}
        self._taken = 0
        self._ahead = 64 * len(workers)

    def outcomes(self) -> Iterator[Outcome]:
        next_out = 0
        try:
            with selectors.DefaultSelector() as selector:
                while self._hand_out(selector, next_out) or self._busy or next_out in self._done:
                    if next_out in self._done:
                        yield self._done.pop(next_out)
                        next_out += 1
                    else:
                        self._collect(selector)
        finally:
            for worker in self._busy:  # the caller went away in the middle
                worker.stop()

    def _hand_out(self, selector: selectors.BaseSelector, next_out: int) -> bool:
        while self._idle and self._taken - next_out < self._ahead:
            job = next(self._jobs, None)
            if job is None:
                return False
            self._give(selector, self._idle.popleft(), self._taken, job, again=False)
            self._taken += 1
        return True

    def _give(self, selector: selectors.BaseSelector, worker: _Worker, number: int, job: Job, *, again: bool) -> None:
        try:
            worker.send(job)
        except wire.Gone:
            worker.restart()
            worker.send(job)
        self._busy[worker] = number, job, again
        selector.register(worker, selectors.EVENT_READ, worker)

    def _collect(self, selector: selectors.BaseSelector) -> None:
        wait = max(0.0, min(worker.deadline for worker in self._busy) - time.monotonic())
        for key, _ in selector.select(wait):
            self._finish(selector, key.data, late=False)
        now = time.monotonic()
        for worker in [worker for worker in self._busy if worker.deadline < now]:
            self._finish(selector, worker, late=True)

    def _finish(self, selector: selectors.BaseSelector, worker: _Worker, *, late: bool) -> None:
        selector.unregister(worker)
        number, job, again = self._busy.pop(worker)
        outcome = Outcome("timeout", "the tester did not answer", job.limits.seconds, []) if late else _heard(worker)
        if outcome is None or late:
            worker.restart()
        if outcome is None and not again:
            self._give(selector, worker, number, job, again=True)
            return
        self._done[number] = outcome or Outcome("error", "the tester died of what the program answered, twice", 0, [])
        self._idle.append(worker)


def _heard(worker: _Worker) -> Outcome | None:
    try:
        return worker.receive()
    except (wire.Gone, wire.Malformed, ValueError):
        return None
