"""A conversation survives: killed in any node, with a torn log or a ruined checkpoint, it ends the same."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from stories import SHARP_ON_HARD, script, write_counts

from agent.events import EventLog
from agent.graph import STEPS
from agent.offline import Offline
from agent.session import Session, fork, sessions
from tools.errors import InvalidInput, StoreCorrupt

ROOT = Path(__file__).parent.parent

# Feeds the rest of a script to a session, killing itself in the given node on its given visit.
VICTIM = """
import asyncio, json, os, signal, sys
from pathlib import Path
from agent.graph import STEPS
from agent.offline import Offline
from agent.session import Session

folder, lines = Path(sys.argv[1]), json.loads(sys.argv[2])
node, moment, visit = sys.argv[3], sys.argv[4], int(sys.argv[5])
visits = 0

def deadly(step):
    async def run(desk, state):
        global visits
        visits += 1
        if moment == "before" and visits == visit:
            os.kill(os.getpid(), signal.SIGKILL)
        patch = await step(desk, state)
        if moment == "after" and visits == visit:
            os.kill(os.getpid(), signal.SIGKILL)
        return patch
    return run

async def main():
    steps = {name: deadly(step) if name == node else step for name, step in STEPS.items()}
    async with Session.open(folder, Offline(), steps=steps) as session:
        for line in lines[session.log.turn:]:
            async for _ in session.send(line):
                pass

asyncio.run(main())
"""


def run_victim(folder: Path, lines: list[str], node: str = "-", moment: str = "-", visit: int = 0) -> int:
    command = [sys.executable, "-c", VICTIM, str(folder), json.dumps(lines), node, moment, str(visit)]
    return subprocess.run(
        command, cwd=folder.parent, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False
    ).returncode


def lines_in(folder: Path) -> list[str]:
    write_counts(folder / "counts.jsonl", SHARP_ON_HARD)
    return script(Path("counts.jsonl"), Path("bundle"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run_victim(folder / "session", lines_in(folder)) == 0
    return contents(folder / "bundle")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("node", STEPS)
def test_killed_in_any_node_the_bundle_is_the_same(
    node: str, moment: str, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    lines = lines_in(tmp_path)
    for visit in (1, 2, 4):
        run_victim(tmp_path / "session", lines, node, moment, visit)
    assert run_victim(tmp_path / "session", lines) == 0
    assert contents(tmp_path / "bundle") == undisturbed


async def tell(folder: Path, *lines: str) -> list[str]:
    """Say each line; the words of the cards that came back."""
    async with Session.open(folder, Offline()) as session:
        return [e.word async for e in _all(session, lines) if e.kind == "card"]


async def _all(session: Session, lines: tuple[str, ...]):
    for line in lines:
        async for event in session.send(line):
            yield event


async def test_a_session_goes_on_where_it_stopped(tmp_path: Path) -> None:
    await tell(tmp_path / "s", "We use Apache-2.0 and Python.")
    async with Session.open(tmp_path / "s", Offline()) as session:
        assert session.log.turn == 1
        assert not session.log.unfinished


async def test_a_ruined_checkpoint_is_set_aside_and_rebuilt_from_the_events(tmp_path: Path) -> None:
    await tell(tmp_path / "s", "hi", "/status")
    for file in (tmp_path / "s").glob("session.sqlite*"):
        file.write_bytes(b"not a database" * 100)
    assert await tell(tmp_path / "s", "/status") == ["STATUS"]
    assert list((tmp_path / "s").glob("unreadable-*"))


async def test_a_torn_last_event_is_cut_off_and_the_rest_kept(tmp_path: Path) -> None:
    await tell(tmp_path / "s", "hi")
    with (tmp_path / "s" / "events.jsonl").open("a") as handle:
        handle.write('{"seq": 99, "turn"')
    async with Session.open(tmp_path / "s", Offline()) as session:
        assert session.log.repaired > 0
        assert session.log.turn == 1


async def test_an_altered_ledger_is_refused(tmp_path: Path) -> None:
    await tell(tmp_path / "s", "hi")
    path = tmp_path / "s" / "ledger.jsonl"
    path.write_text(path.read_text().replace("0.95", "0.59", 1).replace("5.0", "4.0", 1))
    with pytest.raises(StoreCorrupt):
        await tell(tmp_path / "s", "hi")


async def test_a_session_has_one_writer(tmp_path: Path) -> None:
    async with Session.open(tmp_path / "s", Offline()):
        with pytest.raises(InvalidInput, match="open in another process"):
            async with Session.open(tmp_path / "s", Offline()):
                pass


async def test_messages_sent_at_once_are_all_answered(tmp_path: Path) -> None:
    async with Session.open(tmp_path / "s", Offline()) as session:

        async def say(text: str) -> None:
            async for _ in session.send(text):
                pass

        await asyncio.gather(*(say(f"/explain {topic}") for topic in ("battery", "rollback", "pass_at_k")))
        assert sum(event.kind == "done" for event in session.log.events) == 3


async def test_a_fork_goes_its_own_way(tmp_path: Path) -> None:
    home = tmp_path / "sessions"
    await tell(home / "a", "We use Apache-2.0.")
    fork(home / "a", home / "b")
    await tell(home / "b", "The team has 3 people.")
    async with Session.open(home / "a", Offline()) as first, Session.open(home / "b", Offline()) as second:
        assert (first.log.turn, second.log.turn) == (1, 2)
    assert {folder.name for folder in sessions(tmp_path)} == {"a", "b"}


async def test_only_the_newest_checkpoint_is_kept(tmp_path: Path) -> None:
    def kept() -> int:
        with sqlite3.connect(tmp_path / "s" / "session.sqlite") as database:
            return int(database.execute("SELECT COUNT(*) FROM checkpoints").fetchone()[0])

    await tell(tmp_path / "s", "/status", "/status", "/status")
    assert kept() == 1
    await tell(tmp_path / "s", "/status")
    assert kept() == 1


def test_a_line_of_the_event_log_that_is_no_event_is_damage_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"seq": 1}\n')
    with pytest.raises(StoreCorrupt, match="line 1 is not an event"):
        EventLog(tmp_path / "events.jsonl")
