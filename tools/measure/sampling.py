"""Answers of a model into a run folder: append-only, and never drawn twice.

A run is bound to its plan (engine, decoding, template, problems); within it only the (id, index) pairs that
`samples.jsonl` lacks are asked for, so a killed run goes on, and a finished one grows to a larger n. Every answer is
kept as it came, empty and truncated ones too. One process at a time writes to a run.
"""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tools.errors import EngineFailed, InvalidInput, StoreCorrupt
from tools.measure.engines import Engine
from tools.records import Count, Decoding, Problem, Record, Request, Sample
from tools.runs import PLAN, Rows, Run
from tools.store import canonical, digest

SAMPLES, EXAMPLE = "samples", "prompt.txt"
BLANK = "{prompt}"
SYNC_SECONDS = 1.0
Prompts = Mapping[str, str] | Sequence[Problem]
# one for all, or one for each kind of problem
Template = str | Mapping[str, str]


class Progress(Record):
    """How far a run is, earlier sittings included. tokens: drawn so far, None once an engine could not count them."""

    done: Count
    wanted: Count
    tokens: Count | None


def sample(
    folder: Path,
    prompts: Prompts,
    engine: Engine,
    decoding: Decoding,
    n: int,
    template: Template = BLANK,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Draw what the run lacks of n samples per prompt.

    prompts: problems, or texts by id. template: what the model is shown, with {prompt} once, for all problems or by
    their kind; braces elsewhere are plain. on_progress is called about once a second; what it raises ends the sitting
    with everything kept. Raises InvalidInput for a run of other settings, EngineFailed from the engine after what came
    was kept.
    """
    shown = render(prompts, template)
    if n < 1:
        raise InvalidInput(f"{n} samples per prompt", "at least 1", where="n")
    run = Run(folder, plan(prompts, engine, decoding, template))
    with _sole_writer(folder):
        if not (folder / EXAMPLE).exists():
            run.write(EXAMPLE, engine.rendered(next(iter(shown.values()))))
        return _Sitting(run.rows(SAMPLES), shown, n, on_progress).draw(engine, decoding)


def plan(prompts: Prompts, engine: Engine, decoding: Decoding, template: Template = BLANK) -> dict[str, Any]:
    """What a run is bound to. n is not part of it, since it may grow; the seed is decoding's."""
    asked = [[id, prompt] for id, prompt in _pairs(prompts)]
    return {
        "engine": engine.identity(),
        "decoding": decoding.model_dump(mode="json"),
        "template": template if isinstance(template, str) else dict(template),
        "template_sha256": digest(template if isinstance(template, str) else canonical(dict(template))),
        "problems": len(asked),
        "problems_sha256": digest(canonical(asked)),
    }


def render(prompts: Prompts, template: Template) -> dict[str, str]:
    """Each prompt in its template, by id. Raises InvalidInput for no prompts, a repeated id, or a wrong template."""
    pairs = _pairs(prompts)
    if not pairs:
        raise InvalidInput("no prompts", "at least one")
    twice = [id for id, times in Counter(id for id, _ in pairs).items() if times > 1]
    if twice:
        raise InvalidInput(f"id {twice[0]!r} is there more than once", "unique ids", where="problems")
    kinds = {} if isinstance(prompts, Mapping) else {one.id: one.kind for one in prompts}
    return {id: _filled(template, kinds.get(id, "function"), prompt) for id, prompt in pairs}


def _filled(template: Template, kind: str, prompt: str) -> str:
    text = template if isinstance(template, str) else template.get(kind, "")
    if text.count(BLANK) != 1:
        raise InvalidInput(f"{text.count(BLANK)} times {BLANK}", "exactly once", where=f"template for {kind} problems")
    return text.replace(BLANK, prompt)


class _Sitting:
    """One process's work on a run: what is there, what is wanted, and what has come but is not on disk yet."""

    def __init__(self, rows: Rows, shown: dict[str, str], n: int, on_progress: Callable[[Progress], None]) -> None:
        self._rows, self._shown, self._n, self._tell = rows, shown, n, on_progress
        self._there: dict[str, set[int]] = {id: set() for id in shown}
        self._done, self._tokens = 0, 0
        self._counted = True
        self._fresh: list[Sample] = []
        for number, row in enumerate(rows, 1):
            self._note(_kept(row, f"{rows.path.name}:{number}"))

    def draw(self, engine: Engine, decoding: Decoding) -> Progress:
        self._tell(self._progress)
        if self._done < self._wanted:
            self._gather(engine.sample(self._requests(), decoding))
        if self._done < self._wanted:
            raise EngineFailed(f"the engine stopped after {self._done} of {self._wanted} samples; all are kept")
        return self._progress

    def _gather(self, samples: Iterator[Sample]) -> None:
        synced = time.monotonic()
        try:
            for one in samples:
                if not self._note(one):
                    raise EngineFailed(f"the engine answered {one.id}/{one.index}, which was not asked for")
                self._fresh.append(one)
                if time.monotonic() - synced >= SYNC_SECONDS:
                    self._keep()
                    synced = time.monotonic()
        finally:
            self._keep()

    def _keep(self) -> None:
        if self._fresh:
            self._rows.append(self._fresh)
            self._fresh = []
            self._tell(self._progress)

    def _note(self, one: Sample) -> bool:
        """Count a sample in; False where it has no place in what is wanted."""
        there = self._there.get(one.id)
        if there is None or one.index in there:
            return False
        there.add(one.index)
        if one.index < self._n:
            self._done += 1
            self._counted &= one.tokens is not None
            self._tokens += one.tokens or 0
        return True

    def _requests(self) -> list[Request]:
        return [
            Request(
                id=id,
                prompt=prompt,
                indices=tuple(index for index in range(self._n) if index not in self._there[id]),
                total=self._n,
            )
            for id, prompt in self._shown.items()
        ]

    @property
    def _wanted(self) -> int:
        return self._n * len(self._shown)

    @property
    def _progress(self) -> Progress:
        return Progress(done=self._done, wanted=self._wanted, tokens=self._tokens if self._counted else None)


def _kept(row: dict[str, Any], where: str) -> Sample:
    try:
        return Sample.model_validate(row)
    except ValidationError as error:
        raise StoreCorrupt(f"{where} is no sample ({error.errors()[0]['msg']})") from error


def _pairs(prompts: Prompts) -> list[tuple[str, str]]:
    return list(prompts.items()) if isinstance(prompts, Mapping) else [(one.id, one.prompt) for one in prompts]


@contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    with (folder / PLAN).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            do = "wait for it, or cancel it"
            raise InvalidInput("another process is sampling into this run", "one", do, where=str(folder)) from error
        yield
