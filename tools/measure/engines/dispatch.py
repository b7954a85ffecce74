"""Requests spread over servers, each kept as busy as it bears.

A server has a window, the requests it gets at a time: halved when it is crowded (once per congestion), grown by one
with each window of answers. It rests as long as it asks to, and longer each time it is crowded again, so that a dead
one does not swallow what others could answer. A job that brings nothing is tried again after a growing wait, a bounded
number of times; where no server answers anything any more, it is over sooner. When one job is given up, nothing new is
started and everything under way is still handed over.

Knows nothing of HTTP: `ask` sends one request and either returns samples or raises Unusable or Refused.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from tools.errors import EngineFailed
from tools.records import Request, Sample

LONGEST_WAIT = 30.0
# rounds without any answer, for each try that a job has: some four minutes as set, in which a server may start anew
ROUNDS_PER_TRY = 2


class Unusable(Exception):
    """An attempt that brought nothing. crowded: the server has too much to do; rest: seconds it wants to be spared."""

    def __init__(self, seen: str, *, crowded: bool = False, rest: float = 0.0) -> None:
        super().__init__(seen)
        self.crowded, self.rest = crowded, rest


class Refused(Exception):
    """A request that would be refused again. wide: it may be the number of answers that is refused."""

    def __init__(self, seen: str, *, wide: bool = False) -> None:
        super().__init__(seen)
        self.wide = wide


Ask = Callable[[str, Request, tuple[int, ...]], Awaitable[list[Sample]]]


@dataclass(order=True)
class Job:
    """Some samples of one prompt, due at a time of the loop's clock; `tries` were in vain."""

    due: float
    order: int
    request: Request = field(compare=False)
    indices: tuple[int, ...] = field(compare=False)
    tries: int = field(default=0, compare=False)


@dataclass
class Server:
    """A base URL, the name it has in messages, its window, and its width: how many answers one request gets."""

    url: str
    name: str
    limit: int
    width: int
    window: float = 0.0
    busy: int = 0
    crowdings: int = 0
    cut_at: float = -math.inf
    rests_until: float = -math.inf

    def __post_init__(self) -> None:
        self.window = float(self.limit)

    def free(self, now: float) -> bool:
        """Whether it may get another request."""
        return self.busy < int(self.window) and self.rests_until <= now

    def answered(self) -> None:
        """Widen the window a little."""
        self.crowdings = 0
        self.window = min(float(self.limit), self.window + 1 / self.window)

    def crowded(self, now: float, sent: float, rest: float, wait: Callable[[int], float]) -> None:
        """Halve the window and rest. What was sent before the last cut says nothing new about congestion."""
        if sent > self.cut_at:
            self.crowdings += 1
            self.window, self.cut_at = max(1.0, self.window / 2), now
            rest = max(rest, wait(self.crowdings - 1) if self.crowdings > 1 else 0.0)
        self.rests_until = max(self.rests_until, now + rest)


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    server: Server
    job: Job
    sent: float
    samples: list[Sample] = field(default_factory=list)
    error: Exception | None = None


class Dispatcher:
    """Drives the jobs of one call, one `step` at a time, on whatever loop runs the steps.

    per_request: answers asked for at once, at most. attempts: tries in vain before giving up. backoff: the first wait.
    """

    def __init__(
        self, servers: Sequence[Server], requests: Sequence[Request], ask: Ask, *, attempts: int, backoff: float
    ) -> None:
        self._servers, self._ask, self._attempts, self._backoff = servers, ask, attempts, backoff
        self._order = count()
        self._fresh = self._jobs(requests, max(server.width for server in servers))
        self._exhausted = False
        self._waiting: list[Job] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: asyncio.Queue[Outcome] = asyncio.Queue()
        self._under_way = 0
        self._rng = random.Random(0)
        self.failure: EngineFailed | None = None

    @property
    def going(self) -> bool:
        """Whether there is anything left to hand over."""
        return bool(self._under_way) or (self.failure is None and not (self._exhausted and not self._waiting))

    async def step(self) -> list[Sample]:
        """Start what may start, wait for something to finish, and hand over what did."""
        now = _now()
        self._start(now)
        if not self._under_way and not self._waiting:
            return []
        try:
            async with asyncio.timeout(self._pause(now)):
                outcomes = [await self._done.get()]
        except TimeoutError:
            return []
        while not self._done.empty():
            outcomes.append(self._done.get_nowait())
        return [sample for outcome in outcomes for sample in self._settle(outcome)]

    async def close(self) -> None:
        """Drop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _jobs(self, requests: Sequence[Request], width: int) -> Iterator[Job]:
        for request in requests:
            for start in range(0, len(request.indices), width):
                yield self._job(request, request.indices[start : start + width])

    def _job(self, request: Request, indices: tuple[int, ...], due: float = -math.inf, tries: int = 0) -> Job:
        return Job(due, next(self._order), request, indices, tries)

    def _start(self, now: float) -> None:
        while self.failure is None and (server := self._freest(now)) and (job := self._next(now)):
            if job.indices[server.width :]:
                heapq.heappush(self._waiting, self._job(job.request, job.indices[server.width :]))
                job.indices = job.indices[: server.width]
            server.busy += 1
            self._under_way += 1
            task = asyncio.create_task(self._attempt(server, job, now))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _freest(self, now: float) -> Server | None:
        free = [server for server in self._servers if server.free(now)]
        return min(free, key=lambda server: server.busy / server.window, default=None)

    def _next(self, now: float) -> Job | None:
        if self._waiting and self._waiting[0].due <= now:
            return heapq.heappop(self._waiting)
        job = next(self._fresh, None)
        self._exhausted = job is None
        return job

    def _pause(self, now: float) -> float | None:
        """Seconds until something may start without anything finishing; None where that cannot be."""
        times = [server.rests_until for server in self._servers]
        times += [job.due for job in self._waiting[:1]]
        return min((time - now for time in times if time > now), default=None) if self.failure is None else None

    async def _attempt(self, server: Server, job: Job, sent: float) -> None:
        try:
            outcome = Outcome(server, job, sent, await self._ask(server.url, job.request, job.indices))
        except Exception as error:  # whatever it was, the step that waits for this request has to hear of it
            outcome = Outcome(server, job, sent, error=error)
        self._done.put_nowait(outcome)

    def _settle(self, outcome: Outcome) -> list[Sample]:
        outcome.server.busy -= 1
        self._under_way -= 1
        match outcome.error:
            case None:
                self._take(outcome)
            case Unusable():
                self._again(outcome, outcome.error)
            case Refused(wide=True) if len(outcome.job.indices) > 1:
                self._narrow(outcome)
            case Refused():
                self._give_up(outcome, "refused")
            case _:
                raise outcome.error
        return outcome.samples

    def _take(self, outcome: Outcome) -> None:
        server, job, got = outcome.server, outcome.job, len(outcome.samples)
        server.answered()
        if got < len(job.indices):
            server.width = max(1, min(server.width, got))
            heapq.heappush(self._waiting, self._job(job.request, job.indices[got:]))

    def _again(self, outcome: Outcome, error: Unusable) -> None:
        job, now = outcome.job, _now()
        if error.crowded:
            outcome.server.crowded(now, outcome.sent, error.rest, self._wait)
        rounds = min(server.crowdings for server in self._servers)
        if job.tries + 1 >= self._attempts:
            self._give_up(outcome, f"no usable answer in {job.tries + 1} tries, the last")
        elif rounds >= ROUNDS_PER_TRY * self._attempts:
            self._give_up(outcome, f"nothing answered in {rounds} rounds of tries, the last")
        due = now + self._wait(job.tries)
        heapq.heappush(self._waiting, self._job(job.request, job.indices, due, job.tries + 1))

    def _narrow(self, outcome: Outcome) -> None:
        server, job = outcome.server, outcome.job
        server.width = max(1, min(server.width, len(job.indices) // 2))
        heapq.heappush(self._waiting, self._job(job.request, job.indices))

    def _give_up(self, outcome: Outcome, how: str) -> None:
        self.failure = self.failure or EngineFailed(
            f"{outcome.job.request.id}: {how} by {outcome.server.name}: {outcome.error}; all answers received "
            "are kept, and the same command goes on from here"
        )

    def _wait(self, tries: int) -> float:
        """Seconds before the next try: doubling, with jitter so that jobs do not return as one crowd."""
        return min(LONGEST_WAIT, self._backoff * 2.0 ** min(tries, 16)) * self._rng.uniform(0.5, 1)


def _now() -> float:
    return asyncio.get_running_loop().time()
