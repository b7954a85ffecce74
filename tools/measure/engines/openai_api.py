"""Any OpenAI-compatible server, or several that serve the same model.

An answer that is cut off, empty, malformed, too large or too slow is asked for again, by the rules of
tools.measure.engines.dispatch; then EngineFailed tells what was seen, after everything under way was yielded.

Traps that shaped this file. Servers fill in sampling settings of their own (llama.cpp top-k 40 and min-p 0.05, vLLM
those of the model's generation config), so every setting is sent. Some count the tokens of one choice of n, so tokens
are taken only where one answer was asked for. Some refuse an n above their slots, or answer with fewer, so n is an
offer. With n > 1 the samples of one request share its seed, that of the first; a server that draws the same text for
each of them would spoil pass@k, and nobody could tell from outside. So one answer per request is the default.

Refused: answers of servers that cut the reasoning off, since the raw text is what is studied.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from tools.errors import EngineFailed, InvalidInput
from tools.measure.engines import Identity, seed_of
from tools.measure.engines.dispatch import Dispatcher, Refused, Server, Unusable
from tools.records import Decoding, Request, Sample
from tools.store import digest

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS, LOOK_SECONDS = 10.0, 30.0
# a loaded server makes two tokens a second on one stream; what takes longer has stalled
BASE_SECONDS, TOKENS_PER_SECOND = 120.0, 2.0
LONGEST_REST = 600.0
LARGEST_ANSWER = 64 * 2**20
AGAIN = frozenset({408, 409, 425, 429})
TOO_WIDE = frozenset({400, 413, 422})
UNAUTHORISED = frozenset({401, 403})
# finish reasons of answers that the server gave up on
UNFINISHED = frozenset({"abort", "error", "cancelled"})
Endpoint = Literal["chat", "completions"]
PATHS = {"chat": "chat/completions", "completions": "completions"}


class OpenAIAPI:
    """Samples through chat completions, or through completions for a base model.

    base_urls: one, several, or several with commas. model: by default the only one served. concurrency: requests at a
    time and server, at most. per_request: answers asked for at once. extensions: send top_k, min_p and
    repetition_penalty, which OpenAI's own service refuses. attempts: tries of one answer. patience: seconds for one
    answer, by default 120 and one for every two tokens. key: by default OPENAI_API_KEY.
    """

    def __init__(
        self,
        base_urls: str | Sequence[str],
        model: str | None = None,
        *,
        endpoint: Endpoint = "chat",
        concurrency: int = 32,
        per_request: int = 1,
        extensions: bool = True,
        attempts: int = 8,
        patience: float | None = None,
        backoff: float = 0.5,
        key: str | None = None,
    ) -> None:
        listed = base_urls.split(",") if isinstance(base_urls, str) else base_urls
        self._urls = tuple(url.strip().rstrip("/") for url in listed if url.strip())
        self._endpoint, self._concurrency, self._per_request = endpoint, concurrency, per_request
        self._extensions, self._attempts, self._patience, self._backoff = extensions, attempts, patience, backoff
        self._key = (key or os.environ.get("OPENAI_API_KEY") or "").strip()
        self._check()
        self._served = self._look_at_all(model)

    def identity(self) -> Identity:
        """What the servers say of themselves. Addresses are no part of it, since a model may move."""
        return {"engine": "openai_api", "endpoint": self._endpoint, "extensions": self._extensions, **self._served}

    def rendered(self, prompt: str) -> str:
        """The prompt under the server's chat template, where llama.cpp or vLLM shows it; else the messages as sent."""
        if self._endpoint == "completions":
            return prompt
        root, asked = self._urls[0].removesuffix("/v1"), {"model": self._model, "messages": _messages(prompt)}
        shown = self._look(f"{root}/apply-template", asked).get("prompt")
        if not isinstance(shown, str):
            tokens = self._look(f"{root}/tokenize", asked).get("tokens")
            shown = self._look(f"{root}/detokenize", {"model": self._model, "tokens": tokens}).get("prompt")
        return shown if isinstance(shown, str) else json.dumps(_messages(prompt), ensure_ascii=False)

    def sample(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[Sample]:
        """The samples as they arrive. Raises EngineFailed where a prompt is refused or its tries are spent."""
        if decoding.top_k and not self._extensions:
            raise InvalidInput(f"top_k {decoding.top_k} without extensions", "no top_k", where="engine openai_api")
        lanes = Lanes(self._headers)
        servers = [Server(url, _host(url), self._concurrency, self._per_request) for url in self._urls]
        ask = partial(self._ask, lanes, decoding)
        with asyncio.Runner() as runner:
            flow = Dispatcher(servers, requests, ask, attempts=self._attempts, backoff=self._backoff)
            try:
                while flow.going:
                    yield from runner.run(flow.step())
            finally:
                runner.run(flow.close())
                runner.run(lanes.close())
        if flow.failure:
            raise flow.failure

    def close(self) -> None:
        """Close the connection that `rendered` uses; those of `sample` close with it."""
        self._door.close()

    @property
    def _model(self) -> str:
        return str(self._served["model"])

    @cached_property
    def _door(self) -> httpx.Client:
        import httpx

        return httpx.Client(headers=self._headers, timeout=LOOK_SECONDS)

    @property
    def _headers(self) -> dict[str, str]:
        # a compressed body could be small to receive and huge to hold
        key = {"authorization": f"Bearer {self._key}"} if self._key else {}
        return {"accept-encoding": "identity", "content-type": "application/json", **key}

    def _check(self) -> None:
        import httpx

        urls = [httpx.URL(url) for url in self._urls]
        if any(url.userinfo for url in urls):
            raise InvalidInput("a base URL with a password", "one without", "put the key in OPENAI_API_KEY")
        if not urls or self._endpoint not in PATHS or any(url.scheme not in ("http", "https") for url in urls):
            seen = f"base URLs {', '.join(self._urls) or 'missing'}, endpoint {self._endpoint!r}"
            raise InvalidInput(seen, "http(s)://host/v1 and chat or completions", where="engine openai_api")
        if min(self._concurrency, self._per_request, self._attempts) < 1:
            raise InvalidInput("a count below one", "concurrency, per_request and attempts from 1 up")
        if not (self._key.isascii() and self._key.replace(" ", "").isprintable()):
            raise InvalidInput("the API key holds characters that no header may", "the key as it was issued")

    # -- what is served --------------------------------------------------------------------------------------------

    def _look_at_all(self, model: str | None) -> Identity:
        seen = [self._look_at(url, model) for url in self._urls]
        for url, served in zip(self._urls, seen, strict=True):
            if served != seen[0]:
                raise InvalidInput(f"{_host(url)} serves {served}", f"{seen[0]}, as {_host(self._urls[0])} does")
        return seen[0]

    def _look_at(self, url: str, model: str | None) -> Identity:
        listed = self._look(f"{url}/models").get("data")
        rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        names = [str(row.get("id")) for row in rows]
        chosen = model or (names[0] if len(names) == 1 else None)
        if chosen is None or (names and chosen not in names):
            seen = f"{_host(url)} lists {', '.join(names) or 'no models'}"
            raise InvalidInput(seen, model or "one model", "name a model that it serves", where="model")
        root = url.removesuffix("/v1")
        props, version = self._look(f"{root}/props"), self._look(f"{root}/version").get("version")
        template = props.get("chat_template")
        return {
            "version": version or props.get("build_info"),
            "model": chosen,
            "root": next((row.get("root") for row in rows if row.get("id") == chosen), None),
            "weights_sha256": None,
            "chat_template_sha256": digest(template) if isinstance(template, str) else None,
            "dtype": None,
        }

    def _look(self, url: str, body: Any = None) -> dict[str, Any]:
        """What a side door of the server says; nothing where it has none."""
        import httpx

        try:
            answer = self._door.request("GET" if body is None else "POST", url, json=body)
            found = answer.json() if answer.is_success else {}
        except httpx.TransportError as error:
            raise EngineFailed(f"{_host(url)} cannot be reached ({type(error).__name__}); is it up?") from error
        except (ValueError, RecursionError, httpx.HTTPError):
            return {}
        return found if isinstance(found, dict) else {}

    # -- one request -----------------------------------------------------------------------------------------------

    async def _ask(
        self, lanes: Lanes, decoding: Decoding, url: str, request: Request, asked: tuple[int, ...]
    ) -> list[Sample]:
        """One request, its answer checked and turned into samples. Raises Unusable or Refused."""
        import httpx

        seed = seed_of(decoding.seed, request.id, asked[0])
        body = json.dumps(self._body(request.prompt, decoding, len(asked), seed)).encode()
        patience = self._patience or BASE_SECONDS + decoding.max_tokens / TOKENS_PER_SECOND
        try:
            async with asyncio.timeout(patience):
                answer = await self._fetch(lanes, f"{url}/{PATHS[self._endpoint]}", body)
        except TimeoutError as error:
            raise Unusable(f"no whole answer within {patience:g} s", crowded=True) from error
        except httpx.HTTPError as error:
            raise Unusable(f"the connection broke ({type(error).__name__})", crowded=True) from error
        shared: dict[str, Any] = {"id": request.id, "seed": seed, **(_usage(answer) if len(asked) == 1 else {})}
        pairs = zip(asked, _choices(answer), strict=False)
        return [Sample(index=index, **shared, **choice) for index, choice in pairs]

    def _body(self, prompt: str, decoding: Decoding, n: int, seed: int) -> dict[str, Any]:
        asked = {"prompt": prompt} if self._endpoint == "completions" else {"messages": _messages(prompt)}
        body = {
            "model": self._model,
            **asked,
            "n": n,
            "seed": seed,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "max_tokens": decoding.max_tokens,
        }
        if decoding.stop:
            body["stop"] = list(decoding.stop)
        own = {"top_k": decoding.top_k or -1, "min_p": 0.0, "repetition_penalty": 1.0}
        return body | own if self._extensions else body

    async def _fetch(self, lanes: Lanes, url: str, body: bytes) -> dict[str, Any]:
        with lanes.one() as client:
            response, data = await self._received(client, url, body)
        if not response.is_success:
            raise self._unsuccessful(response, data)
        return _object(data)

    async def _received(self, client: httpx.AsyncClient, url: str, body: bytes) -> tuple[httpx.Response, bytes]:
        async with client.stream("POST", url, content=body) as response:
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > LARGEST_ANSWER:
                    raise Unusable(f"an answer of more than {LARGEST_ANSWER >> 20} MiB")
        return response, bytes(data)

    def _unsuccessful(self, response: httpx.Response, data: bytes) -> Exception:
        status, rest = response.status_code, _rest(response.headers.get("retry-after", ""))
        if rest > LONGEST_REST:
            return Refused(f"status {status}, come back in {rest:.0f} s")
        if status in AGAIN or status >= 500:
            return Unusable(f"status {status}", crowded=True, rest=rest)
        return Refused(f"status {status}{self._words(status, data)}", wide=status in TOO_WIDE)

    def _words(self, status: int, data: bytes) -> str:
        """The server's reason, unless it may hold a piece of the key."""
        words = " ".join(data[:400].decode(errors="replace").split())
        pieces = (self._key[i : i + 6] for i in range(max(0, len(self._key) - 5)))
        return "" if status in UNAUTHORISED or any(piece in words for piece in pieces) else f" ({words[:200]})"


class Lanes:
    """As many HTTP clients as there are requests at a time, each with a connection of its own.

    One client for all would look through its whole pool for every request: at 64 at a time that was two thirds of the
    work.
    """

    def __init__(self, headers: dict[str, str]) -> None:
        import httpx

        timeout, context = httpx.Timeout(None, connect=CONNECT_SECONDS), httpx.create_ssl_context()
        self._open = partial(httpx.AsyncClient, headers=headers, timeout=timeout, verify=context)
        self._idle: list[httpx.AsyncClient] = []

    @contextmanager
    def one(self) -> Iterator[httpx.AsyncClient]:
        """A client that nobody else uses meanwhile."""
        client = self._idle.pop() if self._idle else self._open()
        try:
            yield client
        finally:
            self._idle.append(client)

    async def close(self) -> None:
        """Close all connections; no request may be under way."""
        for client in self._idle:
            await client.aclose()


def _choices(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Text and finish reason of the finished answers, in their own order. Raises Unusable where there is none."""
    rows = answer.get("choices")
    found = [choice for row in (rows if isinstance(rows, list) else []) if (choice := _choice(row))]
    if not found:
        raise Unusable("no finished answer in the response")
    return found


def _choice(row: Any) -> dict[str, Any] | None:
    if not isinstance(row, dict):
        return None
    message = row["message"] if isinstance(row.get("message"), dict) else {"content": row.get("text")}
    if message.get("reasoning_content") or message.get("reasoning"):
        do = "start it without a reasoning parser, or use its completions endpoint"
        raise Refused(f"the server cuts the reasoning off the answer; {do}")
    text, reason = message.get("content"), row.get("finish_reason")
    if not isinstance(reason, str) or reason in UNFINISHED or not isinstance(text, str | None):
        return None
    # a lone surrogate is valid JSON and no valid text
    return {"text": (text or "").encode(errors="replace").decode(), "finish_reason": reason}


def _usage(answer: dict[str, Any]) -> dict[str, int]:
    """Tokens of an answer and its prompt, where the server counts them credibly."""
    usage = answer.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    named = {"tokens": counts.get("completion_tokens"), "prompt_tokens": counts.get("prompt_tokens")}
    return {name: value for name, value in named.items() if type(value) is int and value >= 0}


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unusable("an answer that is not JSON") from error
    if not isinstance(found, dict):
        raise Unusable("an answer that is no JSON object")
    return found


def _rest(header: str) -> float:
    """Seconds that Retry-After asks for, given as a number or a date; 0 where it says nothing usable."""
    try:
        seconds = float(header) if not header[:1].isalpha() else _until(header)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(0.0, seconds) if seconds == seconds else 0.0


def _until(date: str) -> float:
    when = parsedate_to_datetime(date)
    return (when - datetime.now(when.tzinfo or UTC)).total_seconds()


def _messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


def _host(url: str) -> str:
    """Host and port of a URL."""
    import httpx

    return httpx.URL(url).netloc.decode()
