"""A driver that asks any OpenAI-compatible server to read and to phrase.

What comes back is checked here, whatever the server promised: its shape, its length, that it was finished, that it
does not repeat the key; rows of unknown requests are dropped. What rests on the user's words is `driver.grounded`'s
to say. A server that fails, or answers without a usable object after two repairs, costs nothing but its help: the
offline driver finishes the turn and the reading says so. How a server takes structure (JSON schema, tool call, plain
prompt) is found out once per server and model.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

import prompts
from agent.acts import Act
from agent.driver import Briefing, Command, Proposal, Reading, Request, Role
from agent.intake import FIELDS
from agent.offline import Offline
from tools.errors import EngineFailed

if TYPE_CHECKING:
    from openai import AsyncOpenAI

REPAIRS = 2
CONNECT_SECONDS, READ_SECONDS = 3.0, 60.0
# a lead-in is two sentences; a reading of a pasted page of facts fits well below this
MAX_TOKENS = 2_000
LONGEST_ANSWER, LONGEST_LEAD = 20_000, 600
# a shorter key is a placeholder (`EMPTY`, `none`) that may well occur in an honest answer
SECRET = 16
# statuses that refuse the caller; others may refuse a way of asking only (some servers say 500 to a schema)
REFUSED = frozenset({401, 403, 429})
Messages = list[dict[str, str]]
T = TypeVar("T", Command, Proposal)
S = TypeVar("S", bound=BaseModel)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["commands", "facts"],
    "properties": {
        "commands": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["request", "argument", "role", "words"],
                "properties": {
                    "request": {"enum": list(get_args(Request))},
                    "argument": {"type": "string"},
                    "role": {"enum": list(get_args(Role))},
                    "words": {"type": "string"},
                },
            },
        },
        "facts": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["field", "value", "words"],
                "properties": {
                    "field": {"type": "string"},
                    "value": {"type": ["string", "number", "boolean"]},
                    "words": {"type": "string"},
                },
            },
        },
    },
}


class _Function(BaseModel):
    arguments: str


class _Call(BaseModel):
    function: _Function


class _Message(BaseModel):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(BaseModel):
    finish_reason: str | None = None
    message: _Message


class _Answer(BaseModel):
    """The part of a chat completion that is read; the client itself checks no shapes."""

    choices: list[_Choice]


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


class Unserved(EngineFailed):
    """The server cannot be reached or is out of order: asking in another way would not help."""


class OpenAICompatible:
    """Reads and phrases through Chat Completions; base URL and key come from the environment as `openai` has them.

    model: the one to ask; by default the only one the server lists. patience: seconds for one answer, retry included.
    """

    name = "openai"

    def __init__(self, model: str | None = None, patience: float = READ_SECONDS) -> None:
        self._model, self._patience = model, patience
        self._offline = Offline()
        self._asking: Callable[[Messages], Awaitable[str]] | None = None
        self._failed = False

    @cached_property
    def _key(self) -> str:
        # a local server wants no key, and the client refuses to start without one
        return os.environ.get("OPENAI_API_KEY") or "none"

    @cached_property
    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI, Timeout

        timeout = Timeout(self._patience, connect=CONNECT_SECONDS)
        return AsyncOpenAI(api_key=self._key, timeout=timeout, max_retries=1)

    async def read(self, message: str, briefing: Briefing) -> Reading:
        """The requests and proposed facts of a message; on any failure what the offline rules read."""
        offline = await self._offline.read(message, briefing)
        if message.startswith("/"):
            return offline
        standing = f"{briefing.phase}; missing: {', '.join(briefing.missing) or 'nothing'}"
        system = prompts.load("read", persona=prompts.load("persona"), fields=", ".join(FIELDS), standing=standing)
        try:
            answer = await self._structured([_says("system", system), _says("user", message)])
        except EngineFailed as error:
            self._failed = True
            return Reading(commands=offline.commands, degraded=f"{error}; the offline rules went on")
        self._failed = False
        return Reading(commands=_valid(Command, answer, "commands"), proposals=_valid(Proposal, answer, "facts"))

    async def comment(self, acts: tuple[Act, ...], briefing: Briefing, objections: tuple[str, ...]) -> str:
        """Words to lead the turn with; none from a server that failed, since the cards stand without them."""
        if self._failed:
            return ""
        told = ", ".join(dict.fromkeys(act.act for act in acts)) or "none"
        cited = ", ".join(f"{{{{{ref}}}}} ({what})" for ref, what in briefing.references.items()) or "none"
        again = f" Your last draft was blocked: {'; '.join(objections)}." if objections else ""
        persona = prompts.load("persona")
        system = prompts.load("compose", persona=persona, acts=told, references=cited, objections=again)
        try:
            lead = (await self._complete([_says("system", system)])).strip()
        except EngineFailed:
            return ""
        return lead if len(lead) <= LONGEST_LEAD else ""

    async def _structured(self, messages: Messages) -> dict[str, Any]:
        """One JSON object, repaired at most twice. Raises EngineFailed."""
        problem = ""
        for _ in range(REPAIRS + 1):
            text = await self._ask(messages)
            try:
                return _object(text)
            except ValueError as error:
                problem = str(error)
                mend = f"Not usable: {problem}. Send one object."
                messages = [*messages, _says("assistant", text), _says("user", mend)]
        raise EngineFailed(f"the language model's answer could not be read ({problem})")

    async def _ask(self, messages: Messages) -> str:
        """Ask in the way this server takes; found out once, from the strictest to the plainest."""
        if self._asking is not None:
            return await self._asking(messages)
        problem = ""
        for asking in (self._by_schema, self._by_tool, self._complete):
            try:
                answer = await asking(messages)
                _object(answer)
            except Unserved:
                raise
            except (EngineFailed, ValueError) as error:
                problem = str(error)
                continue
            self._asking = asking
            return answer
        raise EngineFailed(f"no way of asking the language model gave a reading ({problem})")

    async def _by_schema(self, messages: Messages) -> str:
        schema = {"type": "json_schema", "json_schema": {"name": "reading", "schema": SCHEMA, "strict": True}}
        return await self._complete(messages, response_format=schema)

    async def _by_tool(self, messages: Messages) -> str:
        tool = {"type": "function", "function": {"name": "reading", "parameters": SCHEMA}}
        choice = {"type": "function", "function": {"name": "reading"}}
        return await self._complete(messages, tools=[tool], tool_choice=choice)

    async def _complete(self, messages: Messages, **how: Any) -> str:
        """One finished answer. Raises Unserved where no server answers, EngineFailed where the answer is unusable."""
        model = self._model or await self._served()
        asked = {"model": model, "messages": messages, "temperature": 0, "max_tokens": MAX_TOKENS, **how}
        body = await self._fetch(lambda client: client.chat.completions.with_raw_response.create(**asked))
        text = _finished(_shaped(_Answer, body))
        if len(text) > LONGEST_ANSWER:
            raise EngineFailed("the language model's answer was too long")
        if len(self._key) >= SECRET and self._key in text:
            raise EngineFailed("the language model's answer held the API key")
        return text

    async def _served(self) -> str:
        """The one model a server serves; a server with several needs STRATEGIST_MODEL."""
        listed = _shaped(_Models, await self._fetch(lambda client: client.models.with_raw_response.list())).data
        if len(listed) != 1:
            raise Unserved(f"the server lists {len(listed)} models; name one with STRATEGIST_MODEL")
        self._model = listed[0].id
        return self._model

    async def _fetch(self, request: Callable[[AsyncOpenAI], Awaitable[Any]]) -> bytes:
        """The body of one response. Its error tells the kind only: a server's own words may hold anything."""
        from openai import APIStatusError

        try:
            async with asyncio.timeout(self._patience):
                return bytes((await request(self._client)).content)
        except APIStatusError as error:
            kind = Unserved if error.status_code in REFUSED else EngineFailed
            raise kind(f"the language model's server answered with status {error.status_code}") from error
        except Exception as error:  # the client passes on what its transport raises, exception groups among it
            raise Unserved(f"the language model's server did not answer ({type(error).__name__})") from error


def _shaped(kind: type[S], body: bytes) -> S:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise EngineFailed("the language model's server sent no chat completion") from error


def _finished(answer: _Answer) -> str:
    """The text of an answer, or the arguments of its tool call. Without a finish reason it was cut off."""
    choice = answer.choices[0] if answer.choices else None
    if choice is None or choice.finish_reason not in ("stop", "tool_calls"):
        raise EngineFailed("the language model's answer was cut off")
    calls = choice.message.tool_calls
    return calls[0].function.arguments if calls else choice.message.content or ""


def _says(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _object(text: str) -> dict[str, Any]:
    """The last JSON object with commands or facts, for thoughts and fences come before it. Raises ValueError."""
    found = [value for value in _objects(text) if "commands" in value or "facts" in value]
    if not found:
        raise ValueError("no JSON object with commands or facts")
    return found[-1]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
            yield value
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)


def _valid(kind: type[T], answer: dict[str, Any], key: str) -> tuple[T, ...]:
    """The rows that have the shape of their kind."""
    rows = answer.get(key)
    return tuple(made for row in (rows if isinstance(rows, list) else []) if (made := _made(kind, row)) is not None)


def _made(kind: type[T], row: Any) -> T | None:
    try:
        return kind.model_validate(row)
    except ValidationError:
        return None
