"""The offline reader of requests: slash commands, files, and what people say for them."""

import time
from pathlib import Path

import pytest

from agent.driver import Command, Reading, grounded
from agent.offline import requests


def asked(message: str) -> list[str]:
    return [command.request for command in requests(message)]


@pytest.mark.parametrize(
    ("message", "request_"),
    [
        ("/attach a.jsonl", "attach"),
        ("/unknown thing", "help"),
        ("/cost runs/a/cost.jsonl comparator", "cost"),
        ("/price 2.10 USD per GPU-hour", "price"),
        ("give me the recipe", "plan"),
        ("what learning rate should we use", "plan"),
        ("ok start training", "plan"),
        ("export everything", "export"),
        ("what is still missing?", "status"),
        ("should we do SSD?", "verdict"),
        ("why five points?", "explain"),
        ("where does E12 come from", "why"),
        ("never mind", "cancel"),
        ("help", "help"),
    ],
)
def test_what_people_say_is_read_as_a_request(message: str, request_: str) -> None:
    assert asked(message) == [request_]


def test_a_price_is_never_read_into_words() -> None:
    message = "the cloud lists it at 2.10 USD per GPU-hour"
    read = Reading(commands=(Command(request="price", argument="2.10", words="2.10 USD per GPU-hour"),))
    assert grounded(read, message, requests(message)).commands == ()


@pytest.mark.parametrize("message", ["", "hello there", "the team has three people", "pass@1 is 43%"])
def test_plain_talk_asks_for_nothing(message: str) -> None:
    assert asked(message) == []


def test_a_file_that_exists_is_taken_and_a_pool_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counts.jsonl").write_text("{}")
    (tmp_path / "pool.jsonl").write_text("{}")
    found = requests("our results are in counts.jsonl and the prompt pool is pool.jsonl")
    assert [(c.argument, c.role) for c in found] == [("counts.jsonl", "results"), ("pool.jsonl", "pool")]


def test_a_file_that_is_only_mentioned_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert asked("we once had a notes.json somewhere") == []


@pytest.mark.parametrize("unit", ["x", "a.", "x/", "~", "'\""])
def test_a_hundred_kilobytes_without_a_space_do_not_hang(unit: str) -> None:
    start = time.process_time()
    requests(unit * (100_000 // len(unit)))
    assert time.process_time() - start < 5
