"""A model whose chances are stated: the public stand-in for tests and demonstrations.

A script has one line per problem: how often it is solved, and what right and wrong answers look like. Which answer a
sample gets depends on (seed, id, index) alone, so any part of a run can be drawn again.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from tools.errors import InvalidInput
from tools.measure.engines import Identity, seed_of
from tools.records import Decoding, Fraction, Record, Request, Sample
from tools.store import canonical, digest, read_source

Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
]


class Line(Record):
    """A problem of the script. chance: of a right answer, the same for every draw; several texts are drawn evenly."""

    id: str
    chance: Fraction
    right: Texts
    wrong: Texts


class Scripted:
    """Answers by a script: a JSON Lines file, or its rows.

    seconds: how long one answer takes, for those who want to watch or to interrupt. Tokens are counted as words.
    """

    def __init__(self, script: str | Path | Iterable[Mapping[str, Any]], seconds: float = 0.0) -> None:
        rows = _rows(script) if isinstance(script, str | Path) else enumerate(script, 1)
        self._lines = {line.id: line for line in (_line(number, row) for number, row in rows)}
        self._seconds = seconds

    def identity(self) -> Identity:
        """The script is the model: its digest stands where weights have theirs."""
        told = canonical([line.model_dump(mode="json") for line in self._lines.values()])
        return {
            "engine": "scripted",
            "version": "1",
            "model": "scripted",
            "weights_sha256": digest(told),
            "chat_template_sha256": None,
            "dtype": None,
        }

    def rendered(self, prompt: str) -> str:
        """The prompt itself: a script has no chat template."""
        return prompt

    def sample(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[Sample]:
        """One answer per open index, in order. Raises InvalidInput for a problem that the script does not have."""
        for request in requests:
            for index in request.indices:
                time.sleep(self._seconds)
                yield self._drawn(request.id, index, decoding)

    def close(self) -> None:
        """Nothing to give back."""

    def _drawn(self, id: str, index: int, decoding: Decoding) -> Sample:
        if id not in self._lines:
            raise InvalidInput(f"the script has no line for {id!r}", "a line per problem", where="engine scripted")
        line, seed = self._lines[id], seed_of(decoding.seed, id, index)
        rng = random.Random(seed)
        text = rng.choice(line.right if rng.random() < line.chance else line.wrong)
        return Sample(id=id, index=index, text=text, finish_reason="stop", tokens=len(text.split()), seed=seed)


def _rows(path: str | Path) -> Iterator[tuple[int, Any]]:
    data, _ = read_source(path)
    for number, line in enumerate(data.decode(errors="replace").split("\n"), 1):
        try:
            if line.strip():
                yield number, json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"not JSON ({error})", "an object per line", where=f"{path}:{number}") from error


def _line(number: int, row: Any) -> Line:
    try:
        return Line.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InvalidInput(
            first["msg"], "id, chance, right and wrong", where=f"script line {number} key {key}"
        ) from error
