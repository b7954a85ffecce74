"""A long run as a child process that outlives the terminal which started it.

A job is a folder: what was started (`job.json`), the last sign of life (`progress.json`), what it printed (`log.txt`)
and how it ended (`result.json`). A job is running while anything of it holds the lock that the child inherited; no
process id is trusted for that, since ids are used again. A killed job resumes: each command skips what its run folder
holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from tools.errors import InvalidInput
from tools.records import Count, Record
from tools.store import write_atomic

JobState = Literal["running", "done", "failed", "cancelled", "lost"]
# where a child finds its job; unset in a command that a person runs by hand
ENVIRONMENT = "STRATEGIST_JOB"
# how long a cancelled job may take to put down what it has; our choice
GRACE_SECONDS = 10.0
# progress is written this often at most; people do not read faster
BEAT_SECONDS = 0.25


class Progress(Record):
    """The last sign of life: done of wanted in one stage. began, at: Unix time."""

    stage: str
    done: Count
    wanted: Count
    began: float
    at: float
    done_before: Count = 0

    @property
    def rate(self) -> float | None:
        """Per second, over this stage; what an earlier run had done does not count. None before the first."""
        fresh = self.done - self.done_before
        return fresh / (self.at - self.began) if fresh and self.at > self.began else None

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None while there is none."""
        return (self.wanted - self.done) / self.rate if self.rate else None

    @property
    def line(self) -> str:
        """One line for a person: stage, done of wanted, rate, time left."""
        left = "" if self.seconds_left is None else f", {_clock(self.seconds_left)} left"
        rate = "" if self.rate is None else f", {self.rate:,.1f} per second"
        return f"{self.stage} {self.done:,} of {self.wanted:,}{rate}{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Job:
    """One job folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "job.json").exists():
            raise InvalidInput("there is no such job", "an id from `strategist jobs`", where=folder.name)

    @property
    def id(self) -> str:
        """The job's name: its folder's."""
        return self.folder.name

    @property
    def told(self) -> dict[str, Any]:
        """What was started: argv, folder it runs in, Unix time."""
        found: dict[str, Any] = json.loads((self.folder / "job.json").read_text())
        return found

    @property
    def progress(self) -> Progress | None:
        """The last sign of life, if there was one."""
        path = self.folder / "progress.json"
        return Progress.model_validate_json(path.read_text()) if path.exists() else None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs, and where it was killed."""
        path = self.folder / "result.json"
        return int(json.loads(path.read_text())["exit"]) if path.exists() else None

    @property
    def state(self) -> JobState:
        """Running, done, failed, cancelled, or lost: dead without a word, and ready to be resumed."""
        if _held(self.folder / "lock"):
            return "running"
        if (self.folder / "cancelled").exists():
            return "cancelled"
        if self.exit_code is None:
            return "lost"
        return "done" if self.exit_code in (0, 1) else "failed"

    @property
    def tail(self) -> str:
        """The end of what it printed."""
        path = self.folder / "log.txt"
        return "\n".join(path.read_text(errors="replace").splitlines()[-5:]) if path.exists() else ""

    def cancel(self, grace: float = GRACE_SECONDS) -> None:
        """End it; what is done is kept. Asked first, killed after `grace` seconds."""
        if self.state != "running":
            raise InvalidInput(f"the job is {self.state}", "a running job", where=self.id)
        write_atomic(self.folder / "cancelled", "")
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int((self.folder / "pid").read_text()), how)
            if self.wait(grace):
                return

    def wait(self, seconds: float | None = None, on_beat: Callable[[Progress], None] = lambda progress: None) -> bool:
        """Wait until it no longer runs; False if it still does after `seconds`."""
        until = None if seconds is None else time.monotonic() + seconds
        while self.state == "running":
            if until is not None and time.monotonic() > until:
                return False
            if (progress := self.progress) is not None:
                on_beat(progress)
            time.sleep(BEAT_SECONDS)
        return True

    def resume(self) -> None:
        """Start it again with the same arguments; its run folder knows what is done."""
        if self.state == "running":
            raise InvalidInput("the job is running", "one that ended", where=self.id)
        told = self.told
        for name in ("cancelled", "result.json"):
            (self.folder / name).unlink(missing_ok=True)
        _launch(self.folder, told["argv"], Path(told["cwd"]))


def start(home: Path, id: str, argv: Sequence[str]) -> Job:
    """Start `strategist ARGV` as a job of its own process group; returns at once. The same id again starts nothing."""
    folder = home / "jobs" / id
    if not (folder / "job.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _launch(folder, list(argv), Path.cwd())
    return Job(folder)


def jobs(home: Path) -> list[Job]:
    """All jobs, the newest first."""
    found = [Job(path.parent) for path in (home / "jobs").glob("*/job.json")]
    return sorted(found, key=lambda job: float(job.told["started"]), reverse=True)


def _launch(folder: Path, argv: list[str], cwd: Path) -> None:
    told = {"argv": argv, "cwd": str(cwd), "started": time.time()}
    write_atomic(folder / "job.json", json.dumps(told) + "\n")
    with (folder / "lock").open("w") as lock, (folder / "log.txt").open("ab") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = subprocess.Popen(
            [sys.executable, "-m", "tui", *argv],
            cwd=cwd,
            env=os.environ | {ENVIRONMENT: str(folder.resolve())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
    write_atomic(folder / "pid", f"{child.pid}\n")


def _held(path: Path) -> bool:
    with path.open() as lock:
        try:
            # shared, so that two who ask at once do not see each other
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Reporter:
    """A command's side of progress: to its job where it is one, and to a terminal where there is one."""

    def __init__(self) -> None:
        job = os.environ.get(ENVIRONMENT)
        self._path = Path(job) / "progress.json" if job else None
        self._last: Progress | None = None

    def __call__(self, stage: str, done: int, wanted: int) -> None:
        """Say how far a stage has come. Cheap: most calls return at once."""
        now, last = time.time(), self._last
        if last is None or last.stage != stage:
            last = Progress(stage=stage, done=done, wanted=wanted, began=now, at=0, done_before=done)
        if done < wanted and now - last.at < BEAT_SECONDS:
            return
        self._last = last.model_copy(update={"done": done, "wanted": wanted, "at": now})
        self._tell(self._last)

    def _tell(self, progress: Progress) -> None:
        if self._path is not None:
            temporary = self._path.with_suffix(".new")
            # a beat may be lost; an fsync for each would cost more than it is worth
            temporary.write_text(progress.model_dump_json())
            temporary.replace(self._path)
        elif sys.stderr.isatty():
            end = "\n" if progress.done >= progress.wanted else ""
            print(f"\r\x1b[K{progress.line}", end=end, file=sys.stderr, flush=True)


@contextlib.contextmanager
def reported() -> Iterator[Callable[[int], None]]:
    """Around a command: a request to end becomes KeyboardInterrupt, and the exit code reaches the job."""
    job = os.environ.get(ENVIRONMENT)
    if job is None:
        yield lambda code: None
        return

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    yield lambda code: write_atomic(Path(job) / "result.json", json.dumps({"exit": code}) + "\n")
