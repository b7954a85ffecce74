"""Engines: what a script promises, and what a server may do to us without a sample lost, doubled or made up."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tools.errors import EngineFailed, InvalidInput
from tools.measure.engines import ENGINES, Engine, open_engine, seed_of
from tools.records import Decoding, Request, Sample

GREEDY = Decoding(temperature=0, max_tokens=16)
WARM = Decoding(temperature=0.8, top_p=0.95, max_tokens=16, seed=7)
SECRET = "sk-very-secret-0123456789"
Body = dict[str, Any]


# -- a server that can be told to misbehave --------------------------------------------------------------------------


class Connection(BaseHTTPRequestHandler):
    """One connection of the hostile server; a script answers a request through these."""

    server: Any

    def do_GET(self) -> None:
        names = self.server.hostile.models
        self.json({"data": [{"id": name} for name in names]} if self.path == "/v1/models" else {}, status=200)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.hostile.receive(self, body)

    def json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.raw(json.dumps(value).encode(), status, **headers)

    def raw(self, data: bytes, status: int = 200, claimed: int | None = None, **headers: str) -> None:
        self.start(len(data) if claimed is None else claimed, status, **headers)
        self.wfile.write(data)

    def start(self, length: int, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what it asked."""


Script = Callable[[Connection, Body, int], None]


class Hostile:
    """What was asked. A script is told how often its prompt was asked before."""

    def __init__(self, script: Script, models: tuple[str, ...]) -> None:
        self.script, self.models = script, models
        self.bodies: list[Body] = []
        self.url = ""
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()

    def receive(self, connection: Connection, body: Body) -> None:
        prompt = prompt_of(body)
        with self._lock:
            before = self._asked[prompt]
            self._asked[prompt] += 1
            self.bodies.append(body)
        self.script(connection, body, before)


class Crowd:
    """How many requests are worked on at once. Left before the answer, since the next may come while a thread ends."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[int]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            seen = self.now
        try:
            yield seen
        finally:
            with self._lock:
                self.now -= 1


@contextmanager
def hostile(script: Script, models: tuple[str, ...] = ("small",)) -> Iterator[Hostile]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Connection)
    http.daemon_threads = True
    http.hostile = Hostile(script, models)  # type: ignore[attr-defined]
    http.hostile.url = f"http://127.0.0.1:{http.server_port}/v1"  # type: ignore[attr-defined]
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield http.hostile  # type: ignore[attr-defined]
    finally:
        http.shutdown()
        http.server_close()


def prompt_of(body: Body) -> str:
    return body["prompt"] if "prompt" in body else body["messages"][-1]["content"]


def choice(text: Any, reason: Any = "stop", index: int = 0) -> Body:
    return {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": reason}


def answer(*choices: Body, tokens: Any = 3) -> Body:
    return {"choices": list(choices), "usage": {"completion_tokens": tokens, "prompt_tokens": 5}}


def honest(connection: Connection, body: Body, before: int) -> None:
    connection.json(answer(*(choice(f"{prompt_of(body)} {body['seed']} {i}", index=i) for i in range(body["n"]))))


def once(misbehave: Callable[[Connection], None]) -> Script:
    """Misbehave the first time a prompt is asked, then be honest."""
    return lambda connection, body, before: honest(connection, body, before) if before else misbehave(connection)


def asked(prompts: int = 3, n: int = 2) -> list[Request]:
    return [Request(id=f"p{i}", prompt=f"prompt {i}", indices=tuple(range(n)), total=n) for i in range(prompts)]


def opened(server: Hostile, **settings: Any) -> Engine:
    return open_engine("openai_api", **{"base_urls": server.url, "backoff": 0.01, "attempts": 4} | settings)


def names(samples: list[Sample]) -> list[tuple[str, int]]:
    return sorted((one.id, one.index) for one in samples)


def complete(requests: list[Request]) -> list[tuple[str, int]]:
    return sorted((request.id, index) for request in requests for index in request.indices)


def drip(connection: Connection) -> None:
    connection.start(10_000)
    for _ in range(100):
        connection.wfile.write(b" ")
        connection.wfile.flush()
        time.sleep(0.05)


def flood(connection: Connection) -> None:
    connection.start(2**30)
    for _ in range(2**10):
        connection.wfile.write(b"[" * 2**20)


# -- the registry ----------------------------------------------------------------------------------------------------


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"no engine 'gguf'; expected one of scripted"):
        open_engine("gguf")


def test_an_unknown_setting_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"'temprature'.*settings among script, seconds"):
        open_engine("scripted", script=[], temprature=1)


@pytest.mark.parametrize("name", ENGINES)
def test_every_row_of_the_registry_leads_to_an_engine(name: str) -> None:
    module, _, kind = ENGINES[name].partition(":")
    engine = getattr(import_module(f"tools.measure.engines.{module}"), kind)
    assert all(callable(getattr(engine, part)) for part in ("identity", "rendered", "sample", "close"))


def test_the_engines_import_nothing_heavy() -> None:
    modules = ", ".join(f"tools.measure.engines.{place.partition(':')[0]}" for place in ENGINES.values())
    program = f"import sys, {modules}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint({"torch", "transformers", "vllm", "openai", "httpx", "peft", "numpy"})


def test_seeds_differ_by_all_that_names_a_sample_and_fit_every_server() -> None:
    seeds = [seed_of(seed, id, index) for seed in (0, 1) for id in ("a", "b", "a0") for index in range(100)]
    assert len(set(seeds)) == 600
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(0, "a", 1) == seed_of(0, "a", 1)


# -- scripted --------------------------------------------------------------------------------------------------------

SCRIPT = [
    {"id": "sure", "chance": 1, "right": "yes", "wrong": "no"},
    {"id": "never", "chance": 0, "right": "yes", "wrong": ["no", "not at all"]},
    {"id": "half", "chance": 0.5, "right": "yes", "wrong": "no"},
]


def drawn(decoding: Decoding, n: int = 400, **settings: Any) -> list[Sample]:
    requests = [Request(id=row["id"], prompt="?", indices=tuple(range(n))) for row in SCRIPT]
    return list(open_engine("scripted", script=SCRIPT, **settings).sample(requests, decoding))


def test_a_script_passes_as_often_as_it_states() -> None:
    passed = Counter(one.id for one in drawn(WARM) if one.text == "yes")
    assert (passed["sure"], passed["never"]) == (400, 0)
    assert 160 <= passed["half"] <= 240


def test_a_script_draws_the_same_for_the_same_name_whatever_else_is_drawn() -> None:
    alone = Request(id="half", prompt="?", indices=(17,))
    (again,) = open_engine("scripted", script=SCRIPT).sample([alone], WARM)
    assert again in drawn(WARM)
    assert [one.text for one in drawn(WARM)] != [one.text for one in drawn(WARM.model_copy(update={"seed": 8}))]


def test_a_script_is_identified_by_what_it_says() -> None:
    identities = [open_engine("scripted", script=rows).identity() for rows in (SCRIPT, SCRIPT[:2], SCRIPT)]
    assert identities[0] == identities[2] != identities[1]


def test_a_script_file_is_checked_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "script.jsonl"
    file.write_text(json.dumps(SCRIPT[0]) + "\n\n" + json.dumps(SCRIPT[1] | {"chance": 1.2}) + "\n")
    with pytest.raises(InvalidInput, match=r"script line 3 key chance"):
        open_engine("scripted", script=file)


def test_a_problem_that_the_script_lacks_is_refused() -> None:
    engine = open_engine("scripted", script=SCRIPT)
    with pytest.raises(InvalidInput, match="no line for 'other'"):
        list(engine.sample([Request(id="other", prompt="?", indices=(0,))], WARM))


# -- openai_api: a server that behaves -------------------------------------------------------------------------------


def test_every_setting_of_the_decoding_is_sent() -> None:
    decoding = Decoding(temperature=0.7, top_p=0.9, top_k=20, max_tokens=9, seed=3, stop=("\n\n",))
    with hostile(honest) as server:
        list(opened(server).sample(asked(1, 1), decoding))
    sent = server.bodies[0]
    assert sent["messages"] == [{"role": "user", "content": "prompt 0"}]
    wanted = {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "max_tokens": 9, "stop": ["\n\n"], "min_p": 0.0}
    assert {key: sent[key] for key in wanted} == wanted
    assert sent["seed"] == seed_of(3, "p0", 0)


def test_no_top_k_is_said_aloud_since_servers_have_one_of_their_own() -> None:
    with hostile(honest) as server:
        list(opened(server).sample(asked(1, 1), WARM))
    assert server.bodies[0]["top_k"] == -1


def test_without_extensions_only_what_openai_knows_is_sent() -> None:
    with hostile(honest) as server:
        engine = opened(server, extensions=False)
        list(engine.sample(asked(1, 1), WARM))
        with pytest.raises(InvalidInput, match="top_k 5 without extensions"):
            list(engine.sample(asked(1, 1), Decoding(temperature=1, max_tokens=4, top_k=5)))
    assert not server.bodies[0].keys() & {"top_k", "min_p", "repetition_penalty"}


def test_each_sample_has_its_seed_and_its_tokens_where_one_is_asked_at_a_time() -> None:
    with hostile(honest) as server:
        samples = list(opened(server).sample(asked(), WARM))
    assert names(samples) == complete(asked())
    assert all(one.seed == seed_of(7, one.id, one.index) for one in samples)
    assert all(one.text == f"prompt {one.id[1:]} {one.seed} 0" for one in samples)
    assert {(one.tokens, one.prompt_tokens) for one in samples} == {(3, 5)}


def test_samples_of_one_request_share_its_seed_and_claim_no_tokens() -> None:
    with hostile(honest) as server:
        samples = list(opened(server, per_request=4).sample(asked(1, 4), WARM))
    assert [body["n"] for body in server.bodies] == [4]
    assert len({one.seed for one in samples}) == 1
    assert len({one.text for one in samples}) == 4
    assert all(one.tokens is None for one in samples)


def test_only_the_open_indices_are_asked_for() -> None:
    requests = [Request(id="a", prompt="a", indices=(2, 5), total=6), Request(id="b", prompt="b", indices=(), total=6)]
    with hostile(honest) as server:
        samples = list(opened(server).sample(requests, WARM))
    assert names(samples) == [("a", 2), ("a", 5)]
    assert len(server.bodies) == 2


def test_nothing_to_ask_asks_nothing() -> None:
    with hostile(honest) as server:
        assert list(opened(server).sample([], WARM)) == []
    assert server.bodies == []


def test_a_base_model_is_asked_for_a_completion_of_the_bare_prompt() -> None:
    def complete_text(connection: Connection, body: Body, before: int) -> None:
        connection.json({"choices": [{"index": 0, "text": body["prompt"] + "!", "finish_reason": "length"}]})

    with hostile(complete_text) as server:
        engine = opened(server, endpoint="completions")
        (one,) = engine.sample(asked(1, 1), WARM)
        assert engine.rendered("def f():") == "def f():"
    assert (one.text, one.finish_reason, one.tokens) == ("prompt 0!", "length", None)


def test_an_empty_answer_is_a_sample() -> None:
    with hostile(lambda connection, body, before: connection.json(answer(choice(None), tokens=0))) as server:
        (one,) = opened(server).sample(asked(1, 1), WARM)
    assert (one.text, one.tokens) == ("", 0)


def test_a_lone_surrogate_becomes_a_text_that_can_be_written() -> None:
    with hostile(lambda connection, body, before: connection.json(answer(choice("a\ud800b")))) as server:
        (one,) = opened(server).sample(asked(1, 1), WARM)
    assert one.text == "a?b"


def test_no_more_requests_are_open_than_allowed() -> None:
    def slow(connection: Connection, body: Body, before: int) -> None:
        with crowd.one():
            time.sleep(0.02)
        honest(connection, body, before)

    crowd = Crowd()
    with hostile(slow) as server:
        list(opened(server, concurrency=3).sample(asked(20, 2), WARM))
    assert crowd.most == 3


def test_several_servers_share_the_work() -> None:
    def slow(connection: Connection, body: Body, before: int) -> None:
        time.sleep(0.01)
        honest(connection, body, before)

    with hostile(slow) as one, hostile(slow) as other:
        engine = opened(one, base_urls=f"{one.url}, {other.url}/", concurrency=2)
        samples = list(engine.sample(asked(20, 2), WARM))
    assert names(samples) == complete(asked(20, 2))
    assert min(len(one.bodies), len(other.bodies)) >= 10


def test_a_server_that_died_leaves_its_work_to_the_other() -> None:
    with hostile(honest) as one:
        with hostile(honest) as other:
            engine = opened(one, base_urls=[one.url, other.url], attempts=8, concurrency=4)
        samples = list(engine.sample(asked(30, 2), WARM))
    assert names(samples) == complete(asked(30, 2))
    assert len(one.bodies) == 60


def test_servers_of_different_models_are_refused() -> None:
    with (
        hostile(honest) as one,
        hostile(honest, models=("large",)) as other,
        pytest.raises(InvalidInput, match="large"),
    ):
        open_engine("openai_api", base_urls=[one.url, other.url])


def test_a_server_with_several_models_needs_a_name() -> None:
    with hostile(honest, models=("small", "large")) as server:
        with pytest.raises(InvalidInput, match="lists small, large"):
            opened(server)
        assert opened(server, model="large").identity()["model"] == "large"


def test_a_server_that_is_not_there_is_named() -> None:
    with hostile(honest) as server:
        pass
    with pytest.raises(EngineFailed, match=r"127.0.0.1:\d+ cannot be reached"):
        opened(server)


# -- openai_api: a server that does not ------------------------------------------------------------------------------

MISCHIEF: dict[str, Callable[[Connection], None]] = {
    "429": lambda c: c.json({"error": "slow down"}, 429),
    "429 with Retry-After": lambda c: c.json({}, 429, retry_after="0.05"),
    "429 with a date in the past": lambda c: c.json({}, 429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
    "429 with nonsense": lambda c: c.json({}, 429, retry_after="soon"),
    "500": lambda c: c.json({"error": "oops"}, 500),
    "503 with a page": lambda c: c.raw(b"<html>busy</html>", 503),
    "cut stream": lambda c: c.raw(b'{"choices": [{"index"', claimed=5000),
    "no body": lambda c: c.raw(b""),
    "hang-up": lambda c: c.connection.close(),
    "garbage": lambda c: c.raw(b"\x00\xff not json"),
    "truncated JSON": lambda c: c.raw(b'{"choices": [{'),
    "deep JSON": lambda c: c.raw(b"[" * 200_000),
    "a list": lambda c: c.json([1, 2]),
    "an error with 200": lambda c: c.json({"error": {"message": "out of memory"}}),
    "empty choices": lambda c: c.json(answer()),
    "null choices": lambda c: c.json({"choices": None}),
    "choices of rubbish": lambda c: c.json({"choices": [None, 3, {}, {"message": "x"}]}),
    "no finish reason": lambda c: c.json(answer(choice("half an ans", None))),
    "aborted": lambda c: c.json(answer(choice("half an ans", "abort"))),
    "content of parts": lambda c: c.json(answer(choice([{"type": "text"}]))),
    "an unknown encoding": lambda c: c.raw(b"\x1f\x8b junk", content_encoding="gzip"),
    "slow drip": drip,
    "flood": flood,
}


@pytest.mark.parametrize("kind", MISCHIEF)
def test_mischief_costs_a_try_and_no_sample(kind: str) -> None:
    with hostile(once(MISCHIEF[kind])) as server:
        samples = list(opened(server, patience=0.6, attempts=5, concurrency=4).sample(asked(2, 2), WARM))
    assert names(samples) == complete(asked(2, 2))
    assert all(one.text.startswith(f"prompt {one.id[1:]} {one.seed}") for one in samples)


def test_what_never_comes_ends_in_an_error_that_tells_what_was_seen() -> None:
    with (
        hostile(lambda connection, body, before: connection.json(answer())) as server,
        pytest.raises(EngineFailed, match=r"p0: no usable answer in 4 tries, the last by 127.0.0.1:\d+: no finished"),
    ):
        list(opened(server).sample(asked(1, 1), WARM))
    assert len(server.bodies) == 4


def test_what_was_received_is_yielded_before_the_error() -> None:
    def one_bad(connection: Connection, body: Body, before: int) -> None:
        if prompt_of(body) == "prompt 1":
            return connection.json({"error": "prompt is longer than the context"}, 400)
        time.sleep(0.1)
        return honest(connection, body, before)

    received: list[Sample] = []
    with hostile(one_bad) as server:
        engine = opened(server, concurrency=3)
        with pytest.raises(EngineFailed, match=r"p1: refused .* status 400 .*the context"):
            received.extend(engine.sample(asked(3, 1), WARM))
    assert names(received) == [("p0", 0), ("p2", 0)]


def test_retry_after_is_honoured() -> None:
    times = []

    def busy(connection: Connection, body: Body, before: int) -> None:
        times.append(time.monotonic())
        honest(connection, body, before) if before else connection.json({}, 429, retry_after="0.4")

    with hostile(busy) as server:
        list(opened(server).sample(asked(1, 1), WARM))
    assert times[1] - times[0] >= 0.4


def test_a_wait_of_hours_is_an_error_and_no_nap() -> None:
    with hostile(lambda connection, body, before: connection.json({}, 429, retry_after="86400")) as server:
        engine = opened(server)
        with pytest.raises(EngineFailed, match=r"status 429, come back in 86400 s"):
            list(engine.sample(asked(1, 1), WARM))


def test_a_crowded_server_gets_fewer_requests_at_a_time_and_then_more() -> None:
    def small(connection: Connection, body: Body, before: int) -> None:
        with crowd.one() as seen:
            if seen > 4:
                return connection.json({}, 429)
            time.sleep(0.01)
        return honest(connection, body, before)

    crowd = Crowd()
    with hostile(small) as server:
        samples = list(opened(server, concurrency=32, attempts=10).sample(asked(100, 1), WARM))
    assert names(samples) == complete(asked(100, 1))
    assert len(server.bodies) < 200
    assert crowd.most > 4


def test_a_server_that_answers_nothing_any_more_is_given_up_before_every_prompt_has_used_up_its_tries() -> None:
    def dying(connection: Connection, body: Body, before: int) -> None:
        honest(connection, body, before) if len(server.bodies) <= 40 else connection.json({}, 503)

    received: list[Sample] = []
    with hostile(dying) as server:
        engine = opened(server, concurrency=32)
        with pytest.raises(EngineFailed, match=r"nothing answered in 8 rounds .*status 503; all answers"):
            received.extend(engine.sample(asked(200, 1), WARM))
    assert len(names(received)) == len(set(names(received))) == 40
    assert len(server.bodies) < 200


def test_a_dead_server_among_others_is_no_reason_to_give_up() -> None:
    def dead(connection: Connection, body: Body, before: int) -> None:
        connection.json({}, 503)

    def slow(connection: Connection, body: Body, before: int) -> None:
        time.sleep(0.03)
        honest(connection, body, before)

    with hostile(dead) as first, hostile(slow) as second:
        engine = opened(first, base_urls=[first.url, second.url], concurrency=1)
        assert names(list(engine.sample(asked(120, 1), WARM))) == complete(asked(120, 1))
    assert len(first.bodies) > 8


def at_most(slots: int) -> Script:
    """As llama.cpp does: an n above its slots is refused."""

    def script(connection: Connection, body: Body, before: int) -> None:
        if body["n"] > slots:
            return connection.json({"error": f"1 <= n <= {slots}"}, 400)
        return honest(connection, body, before)

    return script


@pytest.mark.parametrize("given", [at_most(1), at_most(3)])
def test_a_server_that_refuses_n_is_asked_for_less(given: Script) -> None:
    with hostile(given) as server:
        samples = list(opened(server, per_request=8).sample(asked(3, 8), WARM))
    assert names(samples) == complete(asked(3, 8))


@pytest.mark.parametrize("given", [1, 3, 12])
def test_a_wrong_number_of_answers_is_taken_as_an_offer(given: int) -> None:
    def stubborn(connection: Connection, body: Body, before: int) -> None:
        connection.json(answer(*(choice(f"{body['seed']} {i}", index=i) for i in range(given))))

    with hostile(stubborn) as server:
        samples = list(opened(server, per_request=8).sample(asked(2, 8), WARM))
    assert names(samples) == complete(asked(2, 8))


def test_answers_without_an_end_are_asked_again_and_the_others_kept() -> None:
    def half(connection: Connection, body: Body, before: int) -> None:
        rows = [choice(f"{body['seed']} {i}", "stop" if i % 2 or before else None, i) for i in range(body["n"])]
        connection.json(answer(*rows))

    with hostile(half) as server:
        samples = list(opened(server, per_request=4).sample(asked(1, 4), WARM))
    assert names(samples) == complete(asked(1, 4))
    assert len({one.text for one in samples}) == 4


@pytest.mark.parametrize("usage", [None, [], {"completion_tokens": "3"}, {"completion_tokens": -1}, {}])
def test_a_token_count_that_is_not_credible_is_none(usage: Any) -> None:
    with hostile(lambda connection, body, before: connection.json(answer(choice("x")) | {"usage": usage})) as server:
        (one,) = opened(server).sample(asked(1, 1), WARM)
    assert one.tokens is None


def test_an_answer_without_its_reasoning_is_refused() -> None:
    def thinking(connection: Connection, body: Body, before: int) -> None:
        message = {"role": "assistant", "content": "x", "reasoning_content": "first I ..."}
        connection.json({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    with hostile(thinking) as server, pytest.raises(EngineFailed, match="reasoning parser"):
        list(opened(server).sample(asked(1, 1), WARM))


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("piece", [SECRET, SECRET[:12], SECRET[-8:]])
def test_the_key_is_in_no_error_and_no_identity(status: int, piece: str) -> None:
    seen = []

    def tell_tale(connection: Connection, body: Body, before: int) -> None:
        seen.append(connection.headers["authorization"])
        connection.json({"error": f"bad key {piece}"}, status)

    with hostile(tell_tale) as server:
        engine = opened(server, key=SECRET)
        with pytest.raises(EngineFailed) as caught:
            list(engine.sample(asked(1, 1), WARM))
    assert piece not in str(caught.value)
    assert SECRET not in json.dumps(engine.identity())
    assert seen == [f"Bearer {SECRET}"]


def test_a_password_in_a_base_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="OPENAI_API_KEY") as caught:
        open_engine("openai_api", base_urls=f"http://me:{SECRET}@127.0.0.1:1/v1")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("settings", [{"base_urls": "ftp://x"}, {"base_urls": " , "}, {"endpoint": "embeddings"}])
def test_settings_that_lead_nowhere_are_refused(settings: Body) -> None:
    with pytest.raises(InvalidInput, match=r"expected http\(s\)://host/v1 and chat or completions"):
        open_engine("openai_api", **{"base_urls": "http://127.0.0.1:1/v1"} | settings)


def test_a_caller_who_stops_early_leaves_nothing_running() -> None:
    def slow(connection: Connection, body: Body, before: int) -> None:
        time.sleep(0.05)
        honest(connection, body, before)

    threads = threading.active_count()
    with hostile(slow) as server:
        samples = opened(server, concurrency=2).sample(asked(50, 2), WARM)
        next(samples)
        samples.close()
        time.sleep(0.2)
        assert len(server.bodies) <= 4
    assert threading.active_count() <= threads + 1
