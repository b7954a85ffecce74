"""A conversation that survives: `async with Session.open(...)`, then `send(text)` and read the events.

One lock per session, in the process and on disk: two writers would lose messages without a word. The message is on disk
before the graph sees it; a session that was killed finishes its turn on opening. When the checkpoint cannot be read it
is set aside and the events rebuild the state.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.driver import Driver
from agent.events import Event, EventLog
from agent.state import SCHEMA_VERSION
from tools.errors import InvalidInput
from tools.judge.policy import Policy

if TYPE_CHECKING:
    from agent.graph import Step
    from agent.nodes import Desk

DATABASE = "session.sqlite"
# a window that was just closed lets go of its session within two seconds, on a busy machine too
LOCK_TRIES, LOCK_PAUSE = 20, 0.1
# a turn visits a node a few times per command; a pasted page of commands stays far below this
MAX_STEPS = 500


class Session:
    """One open conversation. Build with `Session.open`."""

    def __init__(self, folder: Path, desk: Desk, graph: Any) -> None:
        self.folder, self.log, self._desk = folder, desk.log, desk
        self._graph, self._lock = graph, asyncio.Lock()
        self._config = {"configurable": {"thread_id": folder.name}, "recursion_limit": MAX_STEPS}

    @property
    def id(self) -> str:
        """The session's name: its folder's."""
        return self.folder.name

    @property
    def run(self) -> str:
        """A line on the run of this session: RUNNING with its progress, or how it ended; empty where there is none."""
        from agent.runs import progress

        return progress(self._desk.case)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, folder: Path, driver: Driver, policy: Policy | None = None, steps: Mapping[str, Step] | None = None
    ) -> AsyncIterator[Session]:
        """Open or resume the session in a folder, finishing a turn that was cut off."""
        from agent.graph import STEPS, build
        from agent.nodes import Desk
        from agent.toolbox import Casefile

        async with AsyncExitStack() as stack:
            await _locked(stack, folder)
            stack.enter_context(_storing())
            desk = Desk(Casefile(folder, policy), EventLog(folder / "events.jsonl"), driver)
            saver = await stack.enter_async_context(_saver(folder / DATABASE))
            session = cls(folder, desk, build(desk, saver, steps or STEPS))
            await session._recover()
            yield session

    async def send(self, text: str) -> AsyncIterator[Event]:
        """Say something and get the events of the turn, each already on disk."""
        async with self._lock:
            seen = len(self.log.events)
            self.log.append(self.log.turn + 1, "user", "message", text=text)
            async for event in self._run(self._envelope(), seen):
                yield event
            await _forget_all_but_the_newest(self._graph.checkpointer)

    async def _run(self, entry: Any, seen: int) -> AsyncIterator[Event]:
        async for _ in self._graph.astream(entry, self._config, durability="sync", stream_mode="updates"):
            for event in self.log.since(seen):
                seen = event.seq
                yield event

    def _envelope(self) -> Any:
        from langgraph.types import Command

        return Command(resume={"kind": "message", "turn": self.log.turn})

    async def _recover(self) -> None:
        """Bring the graph to where the events say it stands."""
        state = await self._graph.aget_state(self._config)
        if not state.values:
            finished = self.log.turn - 1 if self.log.unfinished else self.log.turn
            await self._drain({"schema_version": SCHEMA_VERSION, "turn": finished})
        elif state.next and state.next != ("await_user",):
            await self._drain(None)
        if self.log.unfinished:
            await self._drain(self._envelope())

    async def _drain(self, entry: Any) -> None:
        async for _ in self._run(entry, len(self.log.events)):
            pass


@contextmanager
def _storing() -> Iterator[None]:
    """A database that cannot be written is a disk that cannot be, to whoever has to act on it."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(errno.EIO, f"the conversation cannot be stored: {error}") from error


@asynccontextmanager
async def _saver(path: Path) -> AsyncIterator[Any]:
    """The checkpoint store: WAL, synchronous NORMAL, plain values only; an unreadable file is set aside."""
    import aiosqlite
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    _set_aside_unreadable(path)
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA synchronous=NORMAL")
        saver = AsyncSqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        await saver.setup()
        yield saver


async def _forget_all_but_the_newest(saver: Any) -> None:
    """Only the newest checkpoint is ever resumed; the events hold the history."""
    async with saver.lock:
        for table in ("writes", "checkpoints"):
            await saver.conn.execute(
                f"DELETE FROM {table} WHERE checkpoint_id < (SELECT MAX(checkpoint_id) FROM checkpoints)"
            )
        await saver.conn.commit()


def _set_aside_unreadable(path: Path) -> None:
    try:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
            if connection.execute("PRAGMA quick_check").fetchone()[0] == "ok":
                return
    except sqlite3.DatabaseError:
        pass
    for file in path.parent.glob(f"{path.name}*"):
        file.replace(file.with_name(f"unreadable-{file.name}"))


async def _locked(stack: AsyncExitStack, folder: Path) -> None:
    """Hold the lock for the stack. Whoever has it may be about to close, so it is waited for a moment."""
    for _ in range(LOCK_TRIES):
        try:
            stack.enter_context(locked(folder))
            return
        except InvalidInput:
            await asyncio.sleep(LOCK_PAUSE)
    stack.enter_context(locked(folder))


class locked:  # noqa: N801 - reads as a statement: with locked(folder)
    """An advisory lock on a session, gone with the process that held it. Raises InvalidInput where another holds it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "lock"

    def __enter__(self) -> None:
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise InvalidInput(
                f"session {self._path.parent.name} is open in another process", "one writer", "close it or fork it"
            ) from error

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def sessions(home: Path) -> list[Path]:
    """Session folders, the most recently used first."""
    found = [path.parent for path in (home / "sessions").glob("*/events.jsonl")]
    return sorted(found, key=lambda folder: (folder / "events.jsonl").stat().st_mtime, reverse=True)


def fork(folder: Path, target: Path) -> None:
    """Copy a session under a new name; both go on from here. The checkpoint is rebuilt from the events."""
    target.mkdir(parents=True)
    for name in ("ledger.jsonl", "events.jsonl"):
        if (folder / name).exists():
            shutil.copy2(folder / name, target / name)
    if (folder / "artifacts").exists():
        shutil.copytree(folder / "artifacts", target / "artifacts")
