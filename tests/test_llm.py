"""A language model reads and phrases; whatever its server does, the turn is finished and nothing is believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai_server import (
    Body,
    Reply,
    Script,
    Server,
    asks,
    called,
    completion,
    is_reading,
    obedient,
    reading,
    refused,
    said,
    serving,
    way,
)
from stories import FACTS, SHARP_ON_HARD, script, write_counts

from agent.driver import Briefing
from agent.events import Event, transcript
from agent.llm import OpenAICompatible
from agent.session import Session
from tools.evidence import Ledger

ROOT = Path(__file__).parent.parent
KEY = "sk-secret-0123456789abcdef"
BRIEFING = Briefing(phase="intake", references={"E1": "passk.overall.pass@1"})
STATUS = reading([asks("status", "stand")])
MESSAGE = "How do things stand?"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Start a server and point the environment at it."""
    running = []

    def start(script: Script, models: Any = ("small",)) -> Server:
        context = serving(script, models)
        running.append(context)
        server = context.__enter__()
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        return server

    yield start
    for context in running:
        context.__exit__(None, None, None)


async def turn(folder: Path, *messages: str, model: OpenAICompatible | None = None) -> list[Event]:
    """Say each message through a language model; all events of the session."""
    async with Session.open(folder, model or OpenAICompatible(patience=5)) as session:
        for message in messages:
            async for _ in session.send(message):
                pass
        return list(session.log.events)


def words(events: list[Event]) -> list[str]:
    return [event.word for event in events if event.kind == "card"]


def said_reason(events: list[Event]) -> str:
    return " ".join(event.text for event in events if event.kind == "degraded")


# --- ways of asking --------------------------------------------------------------------------------------------------


def only(accepted: str, answer: Callable[[], Reply]) -> Script:
    """A server that refuses every other way with 400."""
    return lambda body: answer() if not is_reading(body) or way(body) == accepted else refused(400)


@pytest.mark.parametrize(
    ("accepted", "answer", "tried"),
    [
        ("schema", lambda: said(STATUS), ["schema"]),
        ("tool", lambda: called(STATUS), ["schema", "tool"]),
        ("text", lambda: said(STATUS), ["schema", "tool", "text"]),
        ("text", lambda: said(f"<think>{{maybe}}</think>Here you {{are}}:\n```json\n{STATUS}\n```\nOk?"), None),
    ],
)
async def test_a_server_is_asked_in_the_strictest_way_it_takes_and_probed_once(
    accepted: str, answer: Callable[[], Reply], tried: list[str] | None, serve: Callable[..., Server]
) -> None:
    server = serve(only(accepted, answer))
    model = OpenAICompatible()
    for _ in range(3):
        found = await model.read(MESSAGE, BRIEFING)
        assert [c.request for c in found.commands] == ["status"]
        assert not found.degraded
    tried = tried or ["schema", "tool", "text"]
    assert [way(body) for body in server.readings] == [*tried, accepted, accepted]
    assert server.listed == 1


async def test_thoughts_before_the_answer_are_not_the_answer(serve: Callable[..., Server]) -> None:
    serve(obedient(f"First I thought of {reading([asks('cancel', 'stand')])} but it is {STATUS}"))
    assert [c.request for c in (await OpenAICompatible().read(MESSAGE, BRIEFING)).commands] == ["status"]


async def test_a_slash_command_is_not_read_by_a_model(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(obedient(reading([asks("cancel", "/status")])))
    assert words(await turn(tmp_path / "s", "/status")) == ["STATUS"]
    assert server.readings == []


async def test_rows_of_another_shape_are_dropped_and_the_rest_is_kept(serve: Callable[..., Server]) -> None:
    rows = [asks("format_disk", "stand"), "nonsense", None, {"request": "help"}, asks("status", "stand"), {"words": 7}]
    serve(obedient(reading(rows)))
    found = await OpenAICompatible().read(MESSAGE, BRIEFING)
    assert [c.request for c in found.commands] == ["help", "status"]


async def test_a_named_model_is_not_looked_up(serve: Callable[..., Server]) -> None:
    server = serve(obedient(STATUS), models=("small", "large"))
    await OpenAICompatible(model="large").read(MESSAGE, BRIEFING)
    assert server.listed == 0
    assert {body["model"] for body in server.requests} == {"large"}


async def test_an_unreadable_answer_is_repaired_at_most_twice(serve: Callable[..., Server]) -> None:
    answers = iter([STATUS, "no", "{", STATUS, "no", "{", '{"commands": [', STATUS])
    server = serve(lambda body: said(next(answers)))
    model = OpenAICompatible()
    readings = [await model.read(MESSAGE, BRIEFING) for _ in range(3)]
    assert [bool(r.degraded) for r in readings] == [False, False, True]
    assert [c.request for c in readings[1].commands] == ["status"]
    assert len(server.readings) == 1 + 3 + 3


# --- servers that fail -----------------------------------------------------------------------------------------------


def always(reply: Reply) -> Script:
    return lambda body: reply


FAILING: dict[str, tuple[Reply, str]] = {
    "never good": (said("I would rather not."), "no JSON object"),
    "out of order": (refused(500), "status 500"),
    "too busy": (refused(429), "status 429"),
    "key refused": (refused(401), "status 401"),
    "nothing there": (refused(404), "status 404"),
    "hangs up": (Reply(hang_up=True), "did not answer"),
    "hangs": (Reply(stalled=True), "TimeoutError"),
    "no choices": (completion([]), "cut off"),
    "choices of a wrong type": (completion("abc"), "no chat completion"),
    "a choice that is null": (completion([None]), "no chat completion"),
    "a message that is a word": (completion([{"message": "hi", "finish_reason": "stop"}]), "no chat completion"),
    "content that is a list": (said(["a"]), "no chat completion"),
    "arguments that are an object": (called({"commands": []}), "no chat completion"),
    "an empty object": (Reply({}), "no chat completion"),
    "not an object": (Reply([1, 2]), "no chat completion"),
    "no JSON": (Reply(b"<html>502</html>"), "no chat completion"),
    "no UTF-8": (Reply(b"\xff\xfe{"), "no chat completion"),
    "cut off by length": (said(STATUS, finish="length"), "cut off"),
    "unfinished": (said(STATUS, finish=None), "cut off"),
    "huge": (said(STATUS + " " * 2_000_000), "too long"),
    "deeply nested": (said('{"commands":' * 1_500), "no JSON object"),
    "a reading that is a list": (said("[1, 2]"), "no JSON object"),
    "echoes the key": (said(json.dumps({"commands": [], "facts": [], "note": KEY})), "held the API key"),
}


@pytest.mark.parametrize("name", FAILING)
async def test_when_the_server_fails_the_rules_finish_the_turn_and_the_reason_is_said(
    name: str, serve: Callable[..., Server], tmp_path: Path
) -> None:
    reply, reason = FAILING[name]
    serve(always(reply))
    message = "What is missing? We use Apache-2.0."
    events = await turn(tmp_path / "s", message, model=OpenAICompatible(patience=1.5))
    assert reason in said_reason(events)
    assert "server's own words" not in said_reason(events)
    assert words(events) == ["NOTED", "STATUS"]
    assert events[-1].kind == "done"


@pytest.mark.parametrize("models", [("small", "large"), (), {"data": None}, {"data": [{"name": "x"}]}, [1], "x"])
async def test_a_server_without_one_model_is_not_guessed_at(
    models: Any, serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(obedient(STATUS), models=models)
    events = await turn(tmp_path / "s", "What is missing?")
    assert said_reason(events)
    assert words(events) == ["STATUS"]
    assert server.requests == []


async def test_no_server_at_all_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:99999/v1")
    events = await turn(tmp_path / "s", "What is missing?")
    assert "did not answer" in said_reason(events)
    assert words(events) == ["STATUS"]


async def test_a_server_that_does_not_answer_is_asked_once_a_turn(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(always(Reply(stalled=True)))
    await turn(tmp_path / "s", "What is missing?", model=OpenAICompatible(patience=0.5))
    assert len(server.requests) == 1


async def test_a_server_that_recovers_is_used_again(serve: Callable[..., Server], tmp_path: Path) -> None:
    replies = iter([refused(401)])
    serve(lambda body: next(replies, None) or said(STATUS if is_reading(body) else "Here is where we are."))
    events = await turn(tmp_path / "s", MESSAGE, MESSAGE)
    assert [e.turn for e in events if e.kind == "degraded"] == [1]
    assert "COMMENT" in words([e for e in events if e.turn == 2])


@pytest.mark.parametrize("lead", [refused(500), said("Fine. " * 200), said(f"Your key is {KEY}."), completion([])])
async def test_without_a_usable_lead_the_cards_stand_alone(
    lead: Reply, serve: Callable[..., Server], tmp_path: Path
) -> None:
    serve(lambda body: said(STATUS) if is_reading(body) else lead)
    events = await turn(tmp_path / "s", MESSAGE)
    assert words(events) == ["STATUS"]
    assert not said_reason(events)


# --- what is believed ------------------------------------------------------------------------------------------------

WHOLE = "A single attempt solves 41.5% of it. Perhaps 55% with more. We have 50 GPU-hours for sampling."


def fact(field: str, value: Any, words: Any) -> Body:
    return {"field": field, "value": value, "words": words}


@pytest.mark.parametrize(
    "claim",
    [
        fact("pass_at_1", 0.415, "first tries solve 41.5%"),
        fact("pass_at_1", 0.42, "41.5%"),
        fact("pass_at_1", 41.5, "41.5%"),
        fact("pass_at_1", "0.415", "41.5%"),
        fact("pass_at_k.16", 0.55, "55%"),
        fact("pass_at_k.16", 0.415, "41.5%"),
        fact("pass_at_k.16", 0.415, "A single attempt solves 41.5%"),
        fact("pass_at_k.16", 0.55, "Perhaps 55%"),
        fact("pass_at_1", 0.5, "50"),
        fact("first_signal_days", 50, "50"),
        fact("contamination_checked", True, "solves"),
        fact("has_rollback", True, WHOLE),
        fact("verdict", "GO-SSD", "solves"),
        fact("pass_at_1", 0.415, ""),
        fact("pass_at_1", 0.415, " "),
        fact("pass_at_1", None, "41.5%"),
        fact("pass_at_1", {"value": 0.415}, "41.5%"),
        fact("heldout_n", 10**400, "41.5%"),
        fact("purpose", "\ud800", "solves"),
        fact(7, 0.415, "41.5%"),
        fact("pass_at_1", 0.415, ["41.5%"]),
        "pass_at_1",
        None,
    ],
)
async def test_a_fact_that_the_users_words_do_not_bear_out_is_dropped(
    claim: Any, serve: Callable[..., Server], tmp_path: Path
) -> None:
    serve(obedient(reading(facts=[claim])))
    await turn(tmp_path / "model", WHOLE)
    serve(obedient(reading()))
    await turn(tmp_path / "silent", WHOLE)
    assert facts_in(tmp_path / "model") == facts_in(tmp_path / "silent")


async def test_a_fact_that_only_the_model_understood_is_recorded_with_the_users_words(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    words = "A single attempt solves 41.5%"
    serve(obedient(reading(facts=[fact("pass_at_1", 0.415, words)])))
    await turn(tmp_path / "s", WHOLE)
    assert ("intake.pass_at_1", 0.415, words) in facts_in(tmp_path / "s")


def facts_in(folder: Path) -> list[tuple[str, Any, str | None]]:
    return [
        (e.name, e.quantity.value if e.quantity else e.value, e.words)
        for e in Ledger(folder / "ledger.jsonl").named("intake")
    ]


@pytest.mark.parametrize(
    ("named", "argument"),
    [
        ("another.jsonl", "counts.jsonl"),
        ("old-counts.jsonl", "counts.jsonl"),
        ("counts.jsonl.gz", "counts.jsonl"),
        ("old/counts.jsonl", "counts.jsonl"),
        ("nothing", ""),
    ],
)
async def test_a_file_that_the_user_did_not_name_is_not_attached(
    named: str, argument: str, serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_counts(tmp_path / "counts.jsonl", SHARP_ON_HARD)
    serve(obedient(reading([asks("attach", "results", argument)])))
    await turn(tmp_path / "s", f"The results went to {named} I think")
    assert not (tmp_path / "s" / "artifacts").exists()


async def test_a_file_that_the_user_named_in_words_is_attached_through_the_model(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_counts(tmp_path / "last night", SHARP_ON_HARD)
    serve(obedient(reading([asks("attach", "the file last night", "last night")])))
    events = await turn(tmp_path / "s", "Take what is in the file last night, please.")
    assert "EVIDENCE" in words(events)


# --- what is told and kept -------------------------------------------------------------------------------------------


async def test_prompts_hold_no_figure_of_the_ledger_and_no_content_of_a_file(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(obedient(reading(), lead="The rate is 62%, up from {{E1}}."))
    counts = write_counts(tmp_path / "counts.jsonl", SHARP_ON_HARD)
    await turn(tmp_path / "s", *FACTS, f"/attach {counts}", "/table", "/verdict")
    system = "\n".join(m["content"] for body in server.requests for m in body["messages"] if m["role"] == "system")
    measured = [e.quantity for e in Ledger(tmp_path / "s" / "ledger.jsonl").named("passk") if e.quantity]
    figures = [x for q in measured for x in (q.value, *((q.ci.low, q.ci.high) if q.ci else ()))]
    shown = {f"{scale * figure:.1f}" for figure in figures for scale in (1, 100)}
    assert len(shown) > 20
    assert [figure for figure in shown if figure in system] == []
    assert "hard/0" not in system
    assert '"c"' not in system


async def test_the_key_goes_to_the_server_and_nowhere_else(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(lambda body: said(STATUS if is_reading(body) else f"Your key is {KEY}."))
    counts = write_counts(tmp_path / "counts.jsonl", SHARP_ON_HARD)
    events = await turn(tmp_path / "s", *script(counts, tmp_path / "bundle"))
    serve(always(Reply({"error": {"message": KEY}}, 401)))
    events += await turn(tmp_path / "s", "And now?")
    assert set(server.keys) == {KEY}
    assert KEY not in transcript(events)
    assert holding(KEY, tmp_path) == []


def holding(secret: str, folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_the_command_talks_through_a_server_end_to_end(serve: Callable[..., Server], tmp_path: Path) -> None:
    def read(body: Body) -> Reply:
        if not is_reading(body):
            return said("Here is where we are.")
        heard = body["messages"][-1]["content"]
        return said(reading([asks("attach", heard, "counts.jsonl")] if "counts" in heard else []))

    server = serve(read)
    write_counts(tmp_path / "counts.jsonl", SHARP_ON_HARD)
    lines = ["hi", *FACTS, "counts.jsonl holds what we measured", "/deliver A", "/export out"]
    (tmp_path / "lines").write_text("\n".join(lines))
    command = [sys.executable, "-m", "tui", "chat", "--plain", "--script", "lines", "--home", "home"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STRATEGIST_")} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[COMMENT]\nHere is where we are." in done.stdout
    assert "[DELIVERABLE A]" in done.stdout
    assert "[DEGRADED]" not in done.stdout
    assert (tmp_path / "out" / "ledger.jsonl").exists()
    assert len(server.readings) == len(lines) - 2
    assert KEY not in done.stdout + done.stderr
