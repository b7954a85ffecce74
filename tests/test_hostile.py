"""Hostile language models: whatever they write or propose, no figure without evidence reaches a person."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from stories import FACTS, SHARP_ON_HARD, write_counts

from agent.acts import Act
from agent.driver import Briefing, Command, Proposal, Reading, Request
from agent.events import transcript
from agent.nodes import MAX_COMMANDS, MAX_REDRAFTS
from agent.offline import Offline
from agent.session import Session
from tools import guard

DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[str]:
    return [json.loads(line)["text"] for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


class Talker(Offline):
    """Reads by the rules and says what it is told to, redraft after redraft."""

    def __init__(self) -> None:
        self.line = ""
        self.asked = 0

    async def comment(self, acts: tuple[Act, ...], briefing: Briefing, objections: tuple[str, ...]) -> str:
        self.asked += 1
        return self.line


class Liar(Offline):
    """Asks for everything and proposes facts that nobody stated."""

    async def read(self, message: str, briefing: Briefing) -> Reading:
        figures = (("pass_at_1", 0.99), ("heldout_n", 5000), ("contamination_checked", True), ("pass_at_k.16", 1.0))
        return Reading(
            commands=(
                Command(request="plan", words=message),
                Command(request="deliver", argument="Z", words=message),
                Command(request="why", argument="E99999", words=message),
                Command(request="export", argument="stolen", words=message),
                Command(request="explain", argument="../../README", words=message),
            ),
            proposals=tuple(Proposal(field=field, value=value, words=message) for field, value in figures),
        )


async def say(session: Session, *messages: str) -> list[str]:
    return [event.text for message in messages async for event in _events(session, message) if event.kind == "card"]


async def _events(session: Session, message: str):
    async for event in session.send(message):
        yield event


async def spoken(folder: Path, lines: Iterable[str]) -> tuple[list[str], str, int]:
    """Let a model say each line after a measured table; which lines were shown, the transcript, the most drafts."""
    driver, shown, most = Talker(), [], 0
    counts = write_counts(folder / "counts.jsonl", SHARP_ON_HARD)
    async with Session.open(folder / "session", driver) as session:
        await say(session, f"/attach {counts}")
        plain = await say(session, "/status")
        for line in lines:
            driver.line, driver.asked = line, 0
            cards = await say(session, "/status")
            most = max(most, driver.asked)
            assert cards[-len(plain) :] == plain, "the deterministic cards depend on nothing a model says"
            if len(cards) > len(plain):
                shown.append(line)
        return shown, transcript(session.log.events), most


@pytest.mark.slow
async def test_no_disguised_figure_reaches_screen_or_transcript(tmp_path: Path) -> None:
    attacks = rows("guard_first_attacks.jsonl")
    assert len(attacks) >= 80
    shown, told, most = await spoken(tmp_path, attacks)
    assert shown == []
    assert [line for line in attacks if line in told] == []
    assert most == MAX_REDRAFTS + 1


@pytest.mark.slow
async def test_harmless_words_reach_the_screen(tmp_path: Path) -> None:
    harmless = [
        line for line in rows("guard_harmless.jsonl") if "{{" not in line and not any(c.isdigit() for c in line)
    ]
    assert len(harmless) >= 60
    shown, _, _ = await spoken(tmp_path, harmless)
    assert len(shown) >= 0.97 * len(harmless), sorted(set(harmless) - set(shown))


async def test_a_lying_reader_records_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with Session.open(tmp_path / "session", Liar()) as session:
        cards = await say(session, "our pass rate is great", "go on")
    ledger = (tmp_path / "session" / "ledger.jsonl").read_text()
    assert '"intake.' not in ledger
    assert not (tmp_path / "stolen").exists()
    assert not any("learning_rate" in card for card in cards)


@pytest.mark.slow
async def test_what_the_guard_blocks_is_in_no_event_no_transcript_and_no_bundle(tmp_path: Path) -> None:
    driver, counts = Talker(), write_counts(tmp_path / "counts.jsonl", SHARP_ON_HARD)
    attacks = rows("guard_taxonomy.jsonl") + rows("guard_final_attacks.jsonl")
    blocked = [line for line in attacks if guard.check(line, ())]
    assert len(blocked) >= 0.95 * len(attacks)
    async with Session.open(tmp_path / "session", driver) as session:
        await say(session, *FACTS, f"/attach {counts}", "/verdict")
        for driver.line in blocked:
            await say(session, "/help")
        await say(session, f"/export {tmp_path / 'bundle'}")
    events = (tmp_path / "session" / "events.jsonl").read_text(encoding="utf-8")
    shown = [json.loads(line).get("text", "") for line in events.splitlines()]
    shown += [p.read_text("utf-8") for p in (tmp_path / "bundle").rglob("*") if p.suffix in (".md", ".html", ".json")]
    assert any("8.9 pp" in text for text in shown)
    assert [line for line in blocked for text in shown if line in text] == []


class Puppet(Offline):
    """Answers every message with the same reading."""

    def __init__(self, *commands: Command, proposals: tuple[Proposal, ...] = ()) -> None:
        self.reading = Reading(commands=commands, proposals=proposals)

    async def read(self, message: str, briefing: Briefing) -> Reading:
        return self.reading


MESSAGE = "Thanks. Our logs are in /data/logs and old-pool.jsonl is gone; the team likes it."
UNFOUNDED: list[tuple[Request, str, str]] = [
    ("attach", "secret.jsonl", "logs"),
    ("attach", "pool.jsonl", "old-pool.jsonl"),
    ("attach", "/data", "/data/logs"),
    ("attach", "", "Thanks"),
    ("attach", " ", " "),
    ("export", "", "Thanks"),
    ("export", "stolen", "Thanks"),
    ("export", "/data/logs", "/data/logs"),
    ("export", "/etc", MESSAGE),
    ("why", "The pass rate is 73%", "Thanks"),
    ("explain", "The pass rate is 73%", "Thanks"),
    ("explain", "../antipatterns/always_ssd", "Thanks"),
    ("deliver", "Z", ""),
    ("plan", "", " "),
    ("cancel", "", "never said"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("counts.jsonl", "secret.jsonl", "pool.jsonl"):
        write_counts(tmp_path / name, SHARP_ON_HARD)
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_requests_that_do_not_rest_on_the_message_leave_no_trace(folder: Path) -> None:
    driver = Puppet()
    async with Session.open(folder / "session", driver) as session:
        driver.reading = Reading(commands=(Command(request="attach", argument="counts.jsonl", words="counts.jsonl"),))
        await say(session, *FACTS, "counts.jsonl")
        driver.reading = Reading()
        plain = await say(session, MESSAGE)
        ledger, files = (folder / "session" / "ledger.jsonl").read_text(), names(folder)
        assert "passk.hard.gap@16" in ledger
        for request, argument, words in UNFOUNDED:
            driver.reading = Reading(commands=(Command(request=request, argument=argument, words=words),))
            assert await say(session, MESSAGE) == plain, (request, argument)
    assert (folder / "session" / "ledger.jsonl").read_text() == ledger
    assert names(folder) == files


async def test_what_rests_on_the_message_goes_where_the_user_said(folder: Path) -> None:
    driver = Puppet()
    async with Session.open(folder / "session", driver) as session:
        driver.reading = Reading(commands=(Command(request="attach", argument="counts.jsonl", words="counts.jsonl"),))
        await say(session, *FACTS, "counts.jsonl")
        export = Command(request="export", argument="for-the-board", words="export it")
        deliver = Command(request="deliver", argument="Z", words="letter Z")
        driver.reading = Reading(commands=(deliver, export))
        cards = await say(session, "Show me letter Z, then export it to for-the-board")
    assert cards[0].startswith("Say things in your own words")
    assert "for-the-board" in names(folder)


async def test_ten_thousand_requests_end_as_a_turn_that_says_so(tmp_path: Path) -> None:
    many = [Command(request="why", argument=f"E{i}", words="E") for i in range(40)]
    message = " ".join(command.argument for command in many)
    async with Session.open(tmp_path / "s", Puppet(*many * 250)) as session:
        cards = await say(session, message)
        assert not session.log.unfinished
    assert len(cards) <= MAX_COMMANDS + 3
    assert sum("more than one turn does" in card for card in cards) == 1


async def test_the_same_request_a_thousand_times_is_one(tmp_path: Path) -> None:
    hostile = Puppet(*[Command(request="explain", argument="battery", words="battery")] * 1_000)
    async with Session.open(tmp_path / "s", hostile) as session:
        cards = await say(session, "the battery")
    assert len(cards) == len(set(cards))


async def test_ten_thousand_proposals_record_what_the_words_bear_out_and_nothing_else(tmp_path: Path) -> None:
    message = "A single attempt solves 41.5% of it."
    claims = tuple(Proposal(field="pass_at_1", value=i / 10_000, words="41.5%") for i in range(10_000))
    async with Session.open(tmp_path / "s", Puppet(proposals=claims)) as session:
        await say(session, message)
        assert not session.log.unfinished
    assert '"intake.' not in (tmp_path / "s" / "ledger.jsonl").read_text()
