"""Custody: pools, evaluation slices and probes are issued once, closed over near-duplicates, and burned by use.

A folder holds one append-only `custody.jsonl`. Each line carries the sha256 of the line before, so that an altered,
dropped or moved line is found; a torn last line (a process died while writing) never counted and is cut off. One line
is one event, so an event happened or it did not. Problems that the overlap check would block, or that a file puts into
one cluster, stay together: what an issue does not use of a cluster is reserved with it.

Refuses: a second issue, a use for another purpose or by a second run, a prompt that changed under its id, an altered
log. Cannot see: whole lines cut off the end. Who fears that keeps `head` elsewhere, for instance in a run's manifest.
"""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NoReturn, get_args

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from tools.errors import AntiPattern, InvalidInput, StoreCorrupt
from tools.evidence import GENESIS
from tools.measure import contamination
from tools.records import Count, Pattern, Problem, Record
from tools.store import Log, digest

LOG, LOCK = "custody.jsonl", "custody.lock"
# how long a second process waits for the first; our choice
PATIENCE_SECONDS = 10.0
Purpose = Literal["pool", "evaluation", "probe"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
# what it is called when something issued for one purpose is asked for another
MISUSE: dict[tuple[Purpose, Purpose], Pattern] = {
    ("evaluation", "pool"): "pool_from_eval",
    ("pool", "evaluation"): "same_set_eval",
}


class Entry(Record):
    """A problem in custody. near: registered ids of which it is a near-duplicate."""

    id: str
    prompt: str
    slice: str = ""
    cluster: str = ""
    near: tuple[str, ...] = ()


class Registered(Record):
    """Problems taken in."""

    kind: Literal["registered"] = "registered"
    prev: str
    entries: tuple[Entry, ...]


class Issued(Record):
    """Problems given out. reserved: their near-duplicates, not used. seed: of the draw, None where ids were named."""

    kind: Literal["issued"] = "issued"
    prev: str
    name: str
    purpose: Purpose
    ids: tuple[str, ...]
    reserved: tuple[str, ...] = ()
    seed: Count | None = None


class Burned(Record):
    """An issue used up by a run."""

    kind: Literal["burned"] = "burned"
    prev: str
    name: str
    run: str


Event = Annotated[Registered | Issued | Burned, Field(discriminator="kind")]
_EVENTS: TypeAdapter[Registered | Issued | Burned] = TypeAdapter(Event)


class Issue(Record):
    """What stands issued under a name, and the run that burned it."""

    name: str
    purpose: Purpose
    ids: tuple[str, ...]
    reserved: tuple[str, ...]
    seed: Count | None
    burned_by: str | None = None


class State(Record):
    """Custody at a glance. free: how many problems of each slice can still be issued. head: names the whole log."""

    registered: Count
    clusters: Count
    free: dict[str, Count]
    issues: dict[str, Issue]
    head: str


class Custody:
    """One custody folder. Every call reads the log afresh, under a lock that one process holds at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def state(self) -> State:
        """What is registered, free and issued. Raises StoreCorrupt where the log was altered."""
        with self._book() as book:
            return book.state

    def register(self, problems: Iterable[contamination.Item]) -> State:
        """Take problems in; those that are in with the same prompt are passed over.

        Raises InvalidInput for an id that stands twice, or that is in with another prompt.
        """
        with self._book() as book:
            if fresh := book.fresh([_entry(problem) for problem in problems]):
                book.append(Registered(prev=book.head, entries=tuple(book.linked(fresh))))
            return book.state

    def issue(
        self,
        name: str,
        purpose: Purpose,
        *,
        size: int | None = None,
        ids: Sequence[str] | None = None,
        seed: int = 0,
        stratified: bool = True,
    ) -> Issue:
        """Give problems out under a new name: these ids, or so many at random in whole clusters.

        stratified: a draw takes of every slice in proportion to what is free of it. Raises InvalidInput where there is
        not enough, AntiPattern where an evaluation problem is asked for as pool or the other way round.
        """
        with self._book() as book:
            book.refuse_name(name, purpose)
            if (size is None) == (ids is None):
                raise InvalidInput(f"issue {name!r} names both or neither of size and ids", "one of them", "drop one")
            if seed < 0:
                raise InvalidInput(f"seed {seed}", "0 or more", "choose another", where=name)
            drawn = ids is None
            chosen = book.draw(size or 0, seed, stratified) if drawn else book.named(ids or (), purpose)
            given = {"ids": tuple(chosen), "reserved": book.mates(chosen), "seed": seed if drawn else None}
            book.append(Issued.model_validate({"prev": book.head, "name": name, "purpose": purpose, **given}))
            return book.issues[name]

    def burn(self, name: str, run: str, purpose: Purpose | None = None) -> Issue:
        """Use an issue up in a run, and return it; the same run may come back (it resumes), no other may.

        purpose: what the run wants it for. Raises InvalidInput for an unknown name or a second run, AntiPattern for
        an evaluation slice used as pool or the other way round.
        """
        with self._book() as book:
            issue = book.issued(name)
            if purpose is not None and purpose != issue.purpose:
                _refuse_purpose(f"{name!r} was issued as {issue.purpose}", issue.purpose, purpose)
            if issue.burned_by is None:
                book.append(Burned(prev=book.head, name=name, run=run))
            elif issue.burned_by != run:
                raise InvalidInput(
                    f"{name!r} was burned by run {issue.burned_by!r}",
                    "an issue that no run has used",
                    f"issue a fresh {issue.purpose} for run {run!r}",
                )
            return book.issues[name]

    @contextmanager
    def _book(self) -> Iterator[_Book]:
        with (self.folder / LOCK).open("a") as lock:
            _acquire(lock.fileno(), self.folder)
            yield _Book(Log(self.folder / LOG))


def _acquire(lock: int, folder: Path) -> None:
    """Hold the lock until its file is closed. Raises InvalidInput where another process keeps it too long."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise InvalidInput(
                    "custody is held by another process",
                    "one process at a time",
                    "wait until it is done",
                    where=folder.name,
                ) from None
            time.sleep(0.02)


class _Book:
    """The log, folded: who is registered, who belongs together, who holds whom."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.head = GENESIS
        self.entries: dict[str, Entry] = {}
        self.issues: dict[str, Issue] = {}
        self._holder: dict[str, str] = {}
        self._parent: dict[str, str] = {}
        for number, line in enumerate(log.lines, 1):
            try:
                self._fold(_parsed(number, line, self.head), line)
            except KeyError as error:
                raise StoreCorrupt(f"{LOG}:{number} speaks of {error}, which no line before names") from error

    def append(self, event: Registered | Issued | Burned) -> None:
        """Write one event and take it in."""
        self._fold(event, self._log.append(event.model_dump(mode="json", exclude_none=True)))

    @property
    def state(self) -> State:
        free = Counter({entry.slice: 0 for entry in self.entries.values()})
        free.update(self.entries[id_].slice for cluster in self._free() for id_ in cluster)
        roots = {self._root(id_) for id_ in self.entries}
        return State(
            registered=len(self.entries),
            clusters=len(roots),
            free=dict(sorted(free.items())),
            issues=self.issues,
            head=self.head,
        )

    def fresh(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that are not in yet, by id."""
        twice = [id_ for id_, times in Counter(entry.id for entry in entries).items() if times > 1]
        if twice:
            raise InvalidInput(f"id {twice[0]!r} stands more than once", "each id once", "rename or drop the others")
        for entry in entries:
            if entry.id in self.entries and self.entries[entry.id].prompt != entry.prompt:
                raise InvalidInput(
                    f"{entry.id!r} is in custody with another prompt",
                    "the prompt it was registered with",
                    "give the changed problem a new id",
                )
        return sorted((entry for entry in entries if entry.id not in self.entries), key=lambda entry: entry.id)

    def linked(self, fresh: Sequence[Entry]) -> Iterator[Entry]:
        """Newcomers with the ids of which they are near-duplicates, among themselves and among all before."""
        old, new = ([(entry.id, entry.prompt) for entry in side] for side in (self.entries.values(), fresh))
        found = [(pair.evaluation, pair.pool, pair.kind) for pair in contamination.pairs(new, [*old, *new])]
        if old:
            found += [(pair.pool, pair.evaluation, pair.kind) for pair in contamination.pairs(old, new)]
        near: dict[str, set[str]] = {entry.id: set() for entry in fresh}
        for id_, other, kind in found:
            if kind in contamination.BLOCKING and id_ != other:
                near[id_].add(other)
        return (entry.model_copy(update={"near": tuple(sorted(near[entry.id]))}) for entry in fresh)

    def refuse_name(self, name: str, purpose: Purpose) -> None:
        """Raise InvalidInput for a name that stands, or a purpose that there is not."""
        if purpose not in PURPOSES:
            raise InvalidInput(f"purpose {purpose!r}", " or ".join(PURPOSES), "choose one", where=name)
        if name in self.issues or not name:
            seen = f"{name!r} stands issued already" if name else "an issue without a name"
            raise InvalidInput(seen, "a name that is new", "burn what was issued, or choose another name")

    def issued(self, name: str) -> Issue:
        """The issue of that name. Raises InvalidInput where there is none."""
        if name not in self.issues:
            raise InvalidInput(f"nothing was issued as {name!r}", f"one of {sorted(self.issues)}", "issue it first")
        return self.issues[name]

    def mates(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Everything else that stays together with these, sorted."""
        roots, own = {self._root(id_) for id_ in ids}, set(ids)
        return tuple(id_ for id_ in sorted(self.entries) if self._root(id_) in roots and id_ not in own)

    def named(self, ids: Sequence[str], purpose: Purpose) -> list[str]:
        """The ids asked for, sorted, where all of them are registered and free."""
        unknown = [id_ for id_ in ids if id_ not in self.entries]
        if unknown or not ids or len(set(ids)) != len(ids):
            seen = f"{unknown[0]!r} is not registered" if unknown else "no ids, or an id twice"
            raise InvalidInput(seen, "registered ids, each once", "register the problems first")
        holders = self._holders()
        for id_ in ids:
            if holder := holders.get(self._root(id_)):
                self._refuse_held(id_, self.issues[holder], purpose)
        return sorted(ids)

    def draw(self, size: int, seed: int, stratified: bool) -> list[str]:
        """So many free problems in whole clusters, sorted; only the seed decides which."""
        free = self._free()
        count = sum(map(len, free))
        if not 0 < size <= count:
            raise InvalidInput(
                f"{size} problems asked for", f"1 to {count}, which are free", "register more, or ask for less"
            )
        shuffled = [free[i] for i in np.random.default_rng(seed).permutation(len(free))]
        chosen = self._by_slice(shuffled, size) if stratified else []
        # what whole clusters left over, or everything where slices do not matter
        taken = set(chosen)
        chosen += _fitting([cluster for cluster in shuffled if cluster[0] not in taken], size - len(chosen))
        if len(chosen) < size:
            raise InvalidInput(
                f"whole clusters of near-duplicates make {len(chosen)} of {size} problems",
                "a size that whole clusters make",
                f"ask for {len(chosen)}, or register more",
            )
        return sorted(chosen)

    def _by_slice(self, clusters: list[list[str]], size: int) -> list[str]:
        """What fits of each slice's share of the size."""
        quota = _quota(Counter(self._slice(cluster) for cluster in clusters for _ in cluster), size)
        parts = {name: [cluster for cluster in clusters if self._slice(cluster) == name] for name in quota}
        return [id_ for name, most in quota.items() for id_ in _fitting(parts[name], most)]

    def _fold(self, event: Registered | Issued | Burned, line: str) -> None:
        self.head = digest(line)
        if isinstance(event, Registered):
            for entry in event.entries:
                self.entries[entry.id] = entry
                self._parent.setdefault(entry.id, entry.id)
            for entry in event.entries:
                for mate in entry.near:
                    self._join(entry.id, mate)
                if entry.cluster:
                    self._join(entry.id, self._parent.setdefault(f"\0{entry.cluster}", f"\0{entry.cluster}"))
        elif isinstance(event, Issued):
            self.issues[event.name] = Issue(**event.model_dump(exclude={"kind", "prev"}))
            self._holder.update({self.entries[id_].id: event.name for id_ in event.ids})
        else:
            self.issues[event.name] = self.issues[event.name].model_copy(update={"burned_by": event.run})

    def _root(self, id_: str) -> str:
        while (parent := self._parent[id_]) != id_:
            self._parent[id_] = id_ = self._parent[parent]
        return id_

    def _join(self, one: str, other: str) -> None:
        first, second = sorted((self._root(one), self._root(other)))
        self._parent[second] = first

    def _holders(self) -> dict[str, str]:
        """Which issue holds a cluster, by its root; the first, where a newcomer joined two."""
        held: dict[str, str] = {}
        for id_, name in self._holder.items():
            held.setdefault(self._root(id_), name)
        return held

    def _free(self) -> list[list[str]]:
        """The clusters of which nothing was issued, each sorted, by their first id."""
        held, clusters = self._holders(), dict[str, list[str]]()
        for id_ in sorted(self.entries):
            if self._root(id_) not in held:
                clusters.setdefault(self._root(id_), []).append(id_)
        return sorted(clusters.values())

    def _slice(self, cluster: list[str]) -> str:
        return self.entries[cluster[0]].slice

    def _refuse_held(self, id_: str, issue: Issue, purpose: Purpose) -> NoReturn:
        how = "was issued" if id_ in issue.ids else "is a near-duplicate of what was issued"
        used = f", burned by run {issue.burned_by!r}" if issue.burned_by else ""
        _refuse_purpose(f"{id_!r} {how} as {issue.purpose} {issue.name!r}{used}", issue.purpose, purpose)


def _refuse_purpose(seen: str, was: Purpose, wanted: Purpose) -> NoReturn:
    """Raise the refusal for something issued, by the anti-pattern that its reuse would be."""
    expected, do = f"a {wanted} that was issued to nobody", "issue fresh problems; what was issued stays where it is"
    if pattern := MISUSE.get((was, wanted)):
        raise AntiPattern(pattern, seen, expected, do)
    raise InvalidInput(seen, expected, do)


def _entry(problem: contamination.Item) -> Entry:
    id_, parts = contamination.checked(problem, "problems to register")
    if not isinstance(problem, Problem):
        return Entry(id=id_, prompt=parts["prompt"])
    return Entry(id=id_, prompt=parts["prompt"], slice=problem.difficulty or problem.source, cluster=problem.cluster)


def _fitting(clusters: Iterable[list[str]], most: int) -> list[str]:
    """The ids of the clusters, taken in order, that fit."""
    chosen: list[str] = []
    for cluster in clusters:
        if len(chosen) + len(cluster) <= most:
            chosen += cluster
    return chosen


def _quota(free: Counter[str], size: int) -> dict[str, int]:
    """How many of each slice, in proportion to what is free, by largest remainder; ties by name."""
    total = free.total()
    quota = {name: size * count // total for name, count in sorted(free.items())}
    rest = sorted(free, key=lambda name: (-(size * free[name] % total), name))
    for name in rest[: size - sum(quota.values())]:
        quota[name] += 1
    return quota


def _parsed(number: int, line: str, prev: str) -> Registered | Issued | Burned:
    """One event of the log. Raises StoreCorrupt where it is none, or does not follow from the line before."""
    try:
        event = _EVENTS.validate_json(line)
    except ValidationError as error:
        raise StoreCorrupt(f"{LOG}:{number} is not an event: {error.errors()[0]['msg']}") from error
    if event.prev != prev:
        raise StoreCorrupt(f"{LOG}:{number} does not follow from the line before; it was altered or moved")
    return event
