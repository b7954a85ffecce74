"""Whether an evaluation is hidden in a pool of prompts; whether two pools, or a set and itself, share problems.

Two texts block each other when they are equal after normalisation (`exact`), when their sets of telling words reach a
Jaccard similarity of `NEAR` (`near`: MinHash finds the candidates, the true sets decide), or when one holds most of the
other word for word (`contained`). They are flagged, not blocked, when they share a long run of words (`ngram`), or when
they would be near but disagree in a decisive word such as even and odd, or are too short to tell a rewording from
another task of their template (`sibling`). An evaluation problem is looked for by its prompt, its starter code, its
reference solution and its tests.

The evaluation is indexed in memory; the pool is an iterator of any length. No finding depends on the order of either.

What it cannot see: a paraphrase that changes more than about a quarter of the telling words, another natural language,
a reference with renamed variables inside a longer text. An empty log means "not found by this", never "clean".

Sources: 13-word runs after Brown et al. 2020 (arXiv 2005.14165, appendix C); MinHash after Broder 1997; banding after
Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, chapter 3.
"""

from __future__ import annotations

import hashlib
import re
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import numpy as np
import numpy.typing as npt

from tools.errors import AntiPattern, InvalidInput
from tools.measure.contamination_words import GROUPS, SIGNATURE, bound_names, saying, telling, words
from tools.records import Count, Fraction, Pattern, Problem, Record
from tools.store import canonical

Part = Literal["prompt", "starter", "reference", "tests"]
Kind = Literal["exact", "near", "contained", "ngram", "sibling"]
Item = Problem | tuple[str, str]
Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

BLOCKING: tuple[Kind, ...] = ("exact", "near", "contained")
KINDS: tuple[Kind, ...] = (*BLOCKING, "sibling", "ngram")

# telling words are few and carry the task: at .6 a quarter of them may be replaced, (n - n/4) / (n + n/4)
NEAR = 0.6
# with fewer shared telling words a word may be the task: then this share of them must agree, and of the words that say
# at least a little; a prompt of very few must say the same in the same order
FEW, NEAR_FEW, VERY_FEW = 8, 0.75, 4
# the least a short prompt must say to be near anything, or to be looked for inside longer ones
SHORT_WORDS, SHORT_TELLING = 2, 2
# from so many on, short prompts that are not near are worth a look
SIBLING_WORDS = 5
# share of the shorter text's runs that must be found; the rest is a wrapper, a typo or a renamed name
CONTAINED = 0.8
# a sentence and a half: statements of one genre share shorter runs by chance (the length GPT-3 used)
NGRAM_WORDS = 13
# a run with fewer different telling words is input and output phrasing
NGRAM_TELLING = 4
# shared runs from which a piece of a text, or a piece of code, counts as contained: two sentences, not one
CONTAINED_RUNS = 8
# the shortest whole prompt that is looked for inside longer ones; below it, everything contains everything
SHORTEST = 6
# a run of this many words in such a share of a file is that file's boilerplate: learned, then ignored
BOILERPLATE_WORDS, BOILERPLATE_SHARE = 8, 0.2
# a shared 13-word run that a larger share of the evaluation carries is its genre
GENRE_SHARE = 0.05
# fewer texts than this are a family of duplicates rather than a habit of the file
HABIT = 20
# 40 bands of 3: a pair at .6 is missed once in 17,000, one at .1 is looked at once in 25
BANDS, ROWS = 40, 3
# pairs that the log keeps, worst first; the counts are of all
LOGGED = 1000
# characters read of one text; words and characters of one shared passage in the log
MAX_TEXT, MAX_RUN, MAX_SHARED = 200_000, 64, 300
# boilerplate that the record quotes, longest first
QUOTED = 20
BATCH = 512


class Settings(Record):
    """What the answer depends on beside the texts; version stands for the word lists and the lesser numbers above."""

    near: Fraction = NEAR
    near_few: Fraction = NEAR_FEW
    few: Count = FEW
    contained: Fraction = CONTAINED
    ngram_words: Count = NGRAM_WORDS
    ngram_telling: Count = NGRAM_TELLING
    boilerplate_share: Fraction = BOILERPLATE_SHARE
    bands: Count = BANDS
    rows: Count = ROWS
    version: Literal["1"] = "1"


class Pair(Record):
    """Two texts that have something in common.

    similarity: 1 for exact, Jaccard of telling words for near and sibling, share of the shorter text's runs for
    contained and ngram. shared: the longest run of normalised words that both have, of at most `MAX_RUN`, clipped.
    """

    evaluation: str
    pool: str
    part: Part
    kind: Kind
    similarity: Fraction
    shared: str


class Overlap(Record):
    """What a pool has in common with an evaluation.

    exact, near, contained, flagged count evaluation problems, each under its worst kind; blocked_pool counts pool
    prompts. pairs: at most `LOGGED`, worst first; pairs_found counts all. sha256: over id and text of every item in
    the order given. boilerplate: the longest runs of words that the evaluation repeats, and that count for nothing.
    """

    evaluation: Count
    pool: Count
    exact: Count
    near: Count
    contained: Count
    flagged: Count
    contaminated_fraction: Fraction
    blocked_pool: Count
    pairs: tuple[Pair, ...]
    pairs_found: Count
    evaluation_sha256: str
    pool_sha256: str
    boilerplate: tuple[str, ...]
    notes: tuple[str, ...]
    settings: Settings

    @property
    def blocked(self) -> bool:
        """Whether any evaluation problem is in the pool, as it is or nearly."""
        return self.contaminated_fraction > 0


# --- words -----------------------------------------------------------------------------------------------------------


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


_OPPOSED_HASHES = [frozenset(map(_hash, group)) for group in GROUPS]
_OPPOSED_WORDS = frozenset().union(*_OPPOSED_HASHES)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word's hash, the hashes of what it tells of a task, and of what it says at least."""

    hash: int
    telling: tuple[int, ...]
    said: tuple[int, ...]


class _Vocabulary(dict[str, _Word]):
    """Words seen, forgotten all at once when there are too many."""

    def __missing__(self, word: str) -> _Word:
        if len(self) >= 200_000:
            self.clear()
        told, said = (tuple(map(_hash, found)) for found in (telling(word), saying(word)))
        found = self[word] = _Word(_hash(word), told, said)
        return found


# --- texts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    """One text of one item, ready to be compared."""

    id: str
    part: Part
    raw: str
    words: list[str]
    bound: set[str]


def _read(id_: str, part: Part, text: str) -> _Text:
    return _Text(id_, part, text, [sys.intern(word) for word in words(text)], bound_names(text))


def _parts(item: Item) -> dict[Part, str]:
    """The texts of an item by part; a plain prompt has one."""
    if not isinstance(item, Problem):
        return {"prompt": item[1]}
    cases = (canonical([*case.args, case.stdin or "", case.expected]) for case in item.cases)
    rest: dict[Part, str] = {
        "starter": item.preamble,
        "reference": item.reference or "",
        "tests": "\n".join((item.checks, *cases)),
    }
    return {"prompt": item.prompt, **{part: text for part, text in rest.items() if text.strip()}}


def checked(item: object, where: str) -> tuple[str, dict[Part, str]]:
    """The id and the texts of an item. Raises InvalidInput where it is neither a problem nor two strings."""
    if isinstance(item, Problem):
        return item.id, _parts(item)
    if not (isinstance(item, tuple) and len(item) == 2 and all(isinstance(value, str) for value in item)):
        raise InvalidInput(
            f"{str(item)[:60]!r} is no prompt", "a problem, or an id and a text", "mend or drop it", where=where
        )
    return item[0], _parts(item)


class _Side:
    """Items as they pass by: how many, their sha256, and what was wrong with some."""

    def __init__(self, name: str, items: Iterable[Item]) -> None:
        self.name, self._items = name, items
        self.count = self.blank = self.clipped = 0
        self._sha = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._sha.hexdigest()

    @property
    def notes(self) -> list[str]:
        said = {"have no word to compare": self.blank, f"were read up to {MAX_TEXT} characters": self.clipped}
        return [f"{count} texts of the {self.name} {what}" for what, count in said.items() if count]

    def texts(self, parts: Sequence[Part] | None = None) -> Iterator[_Text]:
        """The texts of all items; only some parts, where those are named."""
        for item in self._items:
            id_, found = checked(item, f"{self.name} item {self.count + 1}")
            self.count += 1
            self._sha.update(canonical([id_, found]).encode("utf-8", "surrogatepass") + b"\n")
            for part, text in found.items():
                if parts is None or part in parts:
                    self.clipped += len(text) > MAX_TEXT
                    read = _read(id_, part, text[:MAX_TEXT])
                    self.blank += not read.words
                    yield read


# --- hashes ----------------------------------------------------------------------------------------------------------


def _ragged(rows: Sequence[Sequence[int]]) -> tuple[Hashes, Numbers]:
    """Rows of different length as one array, and where each starts (one more entry than rows)."""
    ends = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return np.fromiter((value for row in rows for value in row), np.uint64, int(ends[-1])), ends


_ODD = np.uint64(0x9E3779B97F4A7C15)


def _runs(hashes: Hashes, length: int) -> Hashes:
    """A hash of every run of so many words, by its first word; shape (words - length + 1,)."""
    found = np.zeros(max(0, len(hashes) - length + 1), np.uint64)
    for offset in range(length):
        found = found * _ODD + hashes[offset : offset + len(found)]
    return found


def _once(hashes: Hashes, owners: Numbers) -> tuple[Hashes, Numbers]:
    """Each couple of hash and owner once."""
    _, first = np.unique(hashes ^ (owners.astype(np.uint64) * _ODD), return_index=True)
    return hashes[first], owners[first]


def _multipliers() -> tuple[Hashes, Hashes]:
    draws = np.random.default_rng(0).integers(0, 2**64, (2, BANDS * ROWS), np.uint64)
    return draws[0] | np.uint64(1), draws[1]


def _bands(features: Hashes, starts: Numbers) -> Hashes:
    """One key per band and set; features of set i stand at starts[i]:starts[i + 1], which must not be empty.

    Returns shape (sets, BANDS). Two sets share a key with probability J^ROWS, J their Jaccard similarity.
    """
    signs: Hashes = np.empty((len(starts) - 1, BANDS * ROWS), np.uint64)
    for number, (factor, shift) in enumerate(zip(*_multipliers(), strict=True)):
        mixed = features * factor + shift
        signs[:, number] = np.minimum.reduceat(mixed ^ (mixed >> np.uint64(32)), starts[:-1])
    keys: Hashes = np.zeros((len(signs), BANDS), np.uint64)
    for row in range(ROWS):
        keys = (keys ^ signs[:, row::ROWS]) * _ODD
    keys += np.arange(BANDS, dtype=np.uint64)
    return keys


@dataclass(frozen=True)
class _Postings:
    """Which text has which key; sorted by key."""

    keys: Hashes
    owners: Numbers

    @classmethod
    def of(cls, keys: Hashes, owners: Numbers) -> _Postings:
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], owners[order])

    def find(self, wanted: Hashes) -> Iterator[tuple[int, int]]:
        """(position in wanted, owner) for every key that is here."""
        first, last = (np.searchsorted(self.keys, wanted, side) for side in ("left", "right"))
        for hit in np.flatnonzero(last > first).tolist():
            for owner in self.owners[first[hit] : last[hit]].tolist():
                yield hit, owner


# --- comparing -------------------------------------------------------------------------------------------------------


class _Batch:
    """Texts next to each other in flat arrays, one entry per word."""

    def __init__(self, texts: Sequence[_Text], known: _Vocabulary, boilerplate: Hashes) -> None:
        self.texts = texts
        looked_up = [[known[word] for word in text.words] for text in texts]
        self.hashes, self.starts = _ragged([[word.hash for word in row] for row in looked_up])
        self.telling, _ = _ragged([[word.telling[0] if word.telling else 0 for word in row] for row in looked_up])
        self.owners = np.repeat(np.arange(len(texts)), np.diff(self.starts))
        self.covered = self._covered(boilerplate)
        self.features = [self._features(i, row) for i, row in enumerate(looked_up)]

    def runs(self, length: int) -> tuple[Hashes, Numbers]:
        """Hash and first word of every run that stays within its text."""
        found = _runs(self.hashes, length)
        inside = np.flatnonzero(self.owners[: len(found)] == self.owners[len(self.owners) - len(found) :])
        return found[inside], inside

    def telling_in(self, first: Numbers, length: int) -> Numbers:
        """How many different telling words, boilerplate left out, each run has. Shape of first."""
        said = np.where(self.covered, np.uint64(0), self.telling)
        order = np.argsort(said, kind="stable")
        same = said[order[1:]] == said[order[:-1]]
        before = np.full(len(said), -1, np.int64)
        before[order[1:][same]] = order[:-1][same]
        found = np.zeros(len(first), np.int64)
        for offset in range(length):
            found += (said[first + offset] != 0) & (before[first + offset] < first)
        return found

    def informative(self, length: int, least: int) -> tuple[Hashes, Numbers]:
        """Hash and owner of the different runs of each text that say something."""
        hashes, first = self.runs(length)
        kept = self.telling_in(first, length) >= least
        return _once(hashes[kept], self.owners[first[kept]])

    def _covered(self, boilerplate: Hashes) -> npt.NDArray[np.bool_]:
        covered = np.zeros(len(self.hashes), np.bool_)
        if len(boilerplate):
            hashes, first = self.runs(BOILERPLATE_WORDS)
            hit = first[np.isin(hashes, boilerplate)]
            for offset in range(BOILERPLATE_WORDS):
                covered[hit + offset] = True
        return covered

    def _features(self, number: int, row: list[_Word]) -> list[int]:
        """The telling words of one text, sorted: no boilerplate, no names of its own, decisive words always."""
        start, text = self.starts[number], self.texts[number]
        found: set[int] = set()
        for word, name, covered in zip(row, text.words, self.covered[start : start + len(row)].tolist(), strict=True):
            if word.telling and name not in text.bound:
                found.update(said for said in word.telling if not covered or said in _OPPOSED_WORDS)
        return sorted(found)


class _Index:
    """The evaluation, ready to be searched: by equality, by bands, by runs."""

    def __init__(self, side: _Side) -> None:
        self.known = _Vocabulary()
        self.texts = list(side.texts())
        _refuse_unusable(self.texts, side)
        self.boilerplate, self.phrases = self._learned(side.count)
        batch = _Batch(self.texts, self.known, self.boilerplate)
        self.features, self.starts = _ragged(batch.features)
        self.equal: dict[int, list[int]] = {}
        for number, text in enumerate(self.texts):
            if text.part != "starter":
                self.equal.setdefault(_hash(" ".join(text.words)), []).append(number)
        self.bands = _near_postings(batch)
        self.runs = _run_postings(batch, max(HABIT, int(GENRE_SHARE * side.count)))

    def matches(self, texts: Sequence[_Text]) -> Iterator[tuple[int, _Text, Kind, float]]:
        """(number of a text here, the text there, kind, similarity), the worst kind of each couple."""
        batch = _Batch(texts, self.known, self.boilerplate)
        found: dict[tuple[int, int], tuple[Kind, float]] = {}
        for finder in (self._exact_of, self._near_of, self._runs_of):
            for there, here, kind, similarity in finder(batch):
                known = found.setdefault((there, here), (kind, similarity))
                found[there, here] = min(known, (kind, similarity), key=lambda said: KINDS.index(said[0]))
        for (there, here), (kind, similarity) in sorted(found.items()):
            yield here, texts[there], kind, similarity

    def _learned(self, items: int) -> tuple[Hashes, tuple[str, ...]]:
        """Runs that many texts of this side have, and the longest stretches they make."""
        batch = _Batch(self.texts, self.known, np.empty(0, np.uint64))
        hashes, first = batch.runs(BOILERPLATE_WORDS)
        values, counts = np.unique(_once(hashes, batch.owners[first])[0], return_counts=True)
        often = values[counts >= max(HABIT, BOILERPLATE_SHARE * items)]
        return often, self._phrases(often, hashes, first)

    def _phrases(self, often: Hashes, hashes: Hashes, first: Numbers) -> tuple[str, ...]:
        """The words of learned runs in one piece, longest first, none that is part of another."""
        flat = [word for text in self.texts for word in text.words] if len(often) else []
        hits = first[np.isin(hashes, often)]
        stretches = np.split(hits, np.flatnonzero(np.diff(hits) > 1) + 1) if len(hits) else []
        spoken = {" ".join(flat[run[0] : run[-1] + BOILERPLATE_WORDS]) for run in stretches}
        kept: list[str] = []
        for phrase in sorted(spoken, key=lambda said: (-len(said), said)):
            if len(kept) < QUOTED and not any(phrase in longer for longer in kept):
                kept.append(phrase)
        return tuple(kept)

    def _exact_of(self, batch: _Batch) -> Iterator[tuple[int, int, Kind, float]]:
        for there, text in enumerate(batch.texts):
            for here in self.equal.get(_hash(" ".join(text.words)), ()) if text.words else ():
                yield there, here, "exact", 1.0

    def _near_of(self, batch: _Batch) -> Iterator[tuple[int, int, Kind, float]]:
        full = [number for number, found in enumerate(batch.features) if found]
        if not full:
            return
        keys = _bands(*_ragged([batch.features[number] for number in full])).ravel()
        for there, here in sorted({(full[hit // BANDS], here) for hit, here in self.bands.find(keys)}):
            telling = set(self.features[slice(*self.starts[here : here + 2])].tolist())
            if kind := self._likeness(batch.texts[there], set(batch.features[there]), self.texts[here], telling):
                yield there, here, *kind

    def _likeness(self, one: _Text, first: set[int], other: _Text, second: set[int]) -> tuple[Kind, float] | None:
        """Whether two texts are near by their telling words, leaving out what either uses as a name of its own."""
        names = self._names(one) | self._names(other)
        first, second = first - names, second - names
        shared, alike = len(first & second), _jaccard(first, second)
        if alike < NEAR or shared < SHORT_WORDS:
            return None
        if shared < FEW and not self._agree(one, other, names, first, second):
            return ("sibling", alike) if shared >= SIBLING_WORDS or first == second else None
        opposed = any(group & first - second and group & second - first for group in _OPPOSED_HASHES)
        return ("sibling" if opposed else "near"), alike

    def _agree(self, one: _Text, other: _Text, names: set[int], first: set[int], second: set[int]) -> bool:
        """Whether two short prompts are one, though they say little: by all their words, and the order of them."""
        if one.part != "prompt" or other.part != "prompt" or _jaccard(first, second) < NEAR_FEW:
            return False
        if len(first) <= VERY_FEW and first == second and self._told(one, names) != self._told(other, names):
            return False
        if any(len(self._prose(text) & first) < SHORT_WORDS for text in (one, other)):
            return False
        least = NEAR if first == second else NEAR_FEW
        enough = first == second or len(first & second) >= VERY_FEW
        return enough and _jaccard(self._said(one, names), self._said(other, names)) >= least

    def _names(self, text: _Text) -> set[int]:
        """What a text's own names would say as words: a rename may leave the word standing in the prose."""
        return {said for name in text.bound if "_" not in name for said in self.known[name].telling}

    def _told(self, text: _Text, names: set[int]) -> list[int]:
        """The telling words of a text by their first place, boilerplate too."""
        told = (said for word in text.words if word not in text.bound for said in self.known[word].telling)
        return [said for said in dict.fromkeys(told) if said not in names]

    def _prose(self, text: _Text) -> set[int]:
        """The telling words outside of signatures, whose types say little."""
        return {said for word in words(SIGNATURE.sub(" ", text.raw)) for said in self.known[word].telling}

    def _said(self, text: _Text, names: set[int]) -> set[int]:
        """What the words of a text say, the little that some common ones say too."""
        return {said for word in text.words if word not in text.bound for said in self.known[word].said} - names

    def _runs_of(self, batch: _Batch) -> Iterator[tuple[int, int, Kind, float]]:
        shared: Counter[tuple[int, int]] = Counter()
        for length, postings in self.runs.postings.items():
            hashes, first = batch.runs(length)
            hits = ((int(batch.owners[first[hit]]), here, int(hashes[hit])) for hit, here in postings.find(hashes))
            shared.update((there, here) for there, here, _ in set(hits))
        if shared:
            runs = np.bincount(batch.informative(NGRAM_WORDS, NGRAM_TELLING)[1], minlength=len(batch.texts)).tolist()
            for (there, here), count in sorted(shared.items()):
                text, total, telling = self.texts[here], self.runs.totals[here], self.runs.telling[here]
                share = min(1.0, count / max(1, min(total, runs[there] if telling and runs[there] else total)))
                if share >= CONTAINED and _holds(batch.texts[there], text, count):
                    yield there, here, "contained", share
                elif telling:
                    yield there, here, "ngram", share


def _near_postings(batch: _Batch) -> _Postings:
    """Band keys of prompts and references that say something; tests and starter code are alike everywhere."""
    full = [i for i, found in enumerate(batch.features) if found and batch.texts[i].part in ("prompt", "reference")]
    if not full:
        return _Postings(np.empty(0, np.uint64), np.empty(0, np.int64))
    keys = _bands(*_ragged([batch.features[i] for i in full]))
    return _Postings.of(keys.ravel(), np.repeat(np.array(full), BANDS))


@dataclass(frozen=True)
class _Runs:
    """Runs by length, and per text how many it is looked for by and whether each of them says enough to flag."""

    postings: dict[int, _Postings]
    totals: list[int]
    telling: list[bool]


def _run_postings(batch: _Batch, genre: int) -> _Runs:
    """The telling runs of every text, but those that more than `genre` texts have.

    A prompt that has few telling runs is looked for by all its runs; one too short for a run as a whole.
    """
    hashes, owners = batch.informative(NGRAM_WORDS, NGRAM_TELLING)
    hashes, owners = _rare(hashes, owners, genre)
    telling = np.bincount(owners, minlength=len(batch.texts)) >= CONTAINED_RUNS
    other = np.array([text.part != "prompt" for text in batch.texts])
    least = np.array([len(found) >= SHORT_WORDS for found in batch.features])
    everything, holders = _rare(*batch.informative(NGRAM_WORDS, 0), genre)
    weak = (~telling & ~other & least)[holders]
    strong = (telling | other)[owners]
    hashes, owners = np.append(hashes[strong], everything[weak]), np.append(owners[strong], holders[weak])
    postings = {NGRAM_WORDS: _Postings.of(hashes, owners)}
    totals = np.bincount(owners, minlength=len(batch.texts))
    sizes = np.diff(batch.starts)
    for length in range(SHORTEST, NGRAM_WORDS):
        hashes, owners = batch.informative(length, SHORT_TELLING)
        whole = (sizes == length)[owners] & ~other[owners]
        if whole.any():
            postings[length] = _Postings.of(hashes[whole], owners[whole])
            totals[owners[whole]] = 1
    return _Runs(postings, totals.tolist(), (telling | other).tolist())


def _rare(hashes: Hashes, owners: Numbers, most: int) -> tuple[Hashes, Numbers]:
    """The entries whose hash no more than so many texts have."""
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    kept = counts[inverse] <= most
    return hashes[kept], owners[kept]


def _jaccard(one: set[int], other: set[int]) -> float:
    return len(one & other) / len(one | other) if one or other else 0.0


def _holds(whole: _Text, piece: _Text, runs: int) -> bool:
    """Whether so many shared runs make a piece: two sentences' worth of anything, or a whole prompt that stands alone.

    A sentence that goes on ("... that are even") is another task. Starter code is no task.
    """
    if piece.part == "starter" or runs >= CONTAINED_RUNS:
        return piece.part != "starter"
    run = r"[\W_]*".join(map(re.escape, piece.words))
    alone = rf"(?:^|[.?!:;>]|\n)[\W_]*(?i:{run})[^\w\n]*(?:[.?!:;<]|\n[^\w\n]*(?:\n|[A-Z0-9])|\s*$)"
    return piece.part == "prompt" and re.search(alone, whole.raw) is not None


def _refuse_unusable(texts: Sequence[_Text], side: _Side) -> None:
    if not texts:
        raise InvalidInput(f"the {side.name} is empty", "at least one problem", "check the file")
    ids = Counter((text.id, text.part) for text in texts)
    (id_, _), most = ids.most_common(1)[0]
    if most > 1:
        raise InvalidInput(
            f"id {id_!r} stands {most} times in the {side.name}", "each id once", "rename or drop the others"
        )
    blank = next((text.id for text in texts if text.part == "prompt" and not text.words), None)
    if blank is not None:
        raise InvalidInput(
            f"the prompt of {blank!r} has no word", "prompts with words to compare", "mend or drop it", where=side.name
        )


# --- answers ---------------------------------------------------------------------------------------------------------


def pairs(evaluation: Iterable[Item], pool: Iterable[Item]) -> Iterator[Pair]:
    """Every pair of an evaluation problem and a pool prompt that have something in common, as the pool passes by."""
    yield from _pairs(_Index(_Side("evaluation", evaluation)), _Side("pool", pool))


def check(evaluation: Iterable[Item], pool: Iterable[Item]) -> Overlap:
    """What the pool has in common with the evaluation, counted, with a log.

    evaluation: held in memory, about 20 kB a problem. pool: any iterable, read once and not kept. Items are
    problems, or pairs of id and text. Raises InvalidInput for an empty side, a repeated id in the evaluation, an
    item that is no prompt.
    """
    here, there = _Side("evaluation", evaluation), _Side("pool", pool)
    index = _Index(here)
    tally = _Tally()
    for pair in _pairs(index, there):
        tally.add(pair)
    if not there.count:
        raise InvalidInput("the pool is empty", "at least one prompt", "check the file")
    return tally.overlap(here, there, index.phrases)


def within(evaluation: Sequence[Item]) -> Overlap:
    """A set against itself: each pair counts once, under its smaller id. The pool of the record is the set."""
    here, again = _Side("evaluation", evaluation), _Side("evaluation", evaluation)
    index = _Index(here)
    tally = _Tally()
    for pair in couples(_pairs(index, again)):
        tally.add(pair)
    return tally.overlap(here, again, index.phrases)


def couples(found: Iterable[Pair]) -> list[Pair]:
    """Pairs of a set with itself as unordered couples of different items, each once, under its worst kind."""
    best: dict[tuple[str, str, Part], Pair] = {}
    for pair in found:
        one, other = sorted((pair.evaluation, pair.pool))
        turned = pair.model_copy(update={"evaluation": one, "pool": other})
        if one != other:
            best[one, other, pair.part] = min(turned, best.get((one, other, pair.part), turned), key=_severity)
    return sorted(best.values(), key=_severity)


def require_apart(overlap: Overlap, pattern: Pattern = "pool_from_eval") -> None:
    """Raise AntiPattern where an evaluation problem is in the pool; flags pass.

    pattern: `pool_from_eval` for a pool of prompts, `same_set_eval` where the evaluation is the second comer.
    """
    if overlap.evaluation_sha256 == overlap.pool_sha256 and overlap.exact == overlap.evaluation:
        seen = f"the pool is the evaluation set itself, all {overlap.evaluation} problems of it"
    elif overlap.blocked:
        first = overlap.pairs[0]
        share = f"{overlap.exact + overlap.near + overlap.contained} of {overlap.evaluation} evaluation problems"
        seen = f"{share} are in the pool, {first.evaluation!r} as {first.pool!r}"
    else:
        return
    raise AntiPattern(
        pattern,
        seen,
        "a pool that shares no problem with the evaluation",
        f"drop the {overlap.blocked_pool} prompts that the log names, or take prompts from elsewhere",
    )


def _pairs(index: _Index, pool: _Side) -> Iterator[Pair]:
    texts = pool.texts(("prompt",))
    while batch := list(islice(texts, BATCH)):
        for number, there, kind, likeness in index.matches(batch):
            here = index.texts[number]
            yield Pair(
                evaluation=here.id,
                pool=there.id,
                part=here.part,
                kind=kind,
                similarity=round(likeness, 4),
                shared=_passage(here.words, there.words),
            )


def _passage(one: list[str], other: list[str]) -> str:
    """The longest run of words both have, up to `MAX_RUN`, clipped."""
    longest = bisect_left(range(1, MAX_RUN + 1), True, key=lambda length: not _common(one, other, length))
    text = _common(one, other, longest) if longest else ""
    return text if len(text) <= MAX_SHARED else text[: MAX_SHARED - 1] + "…"


def _common(one: list[str], other: list[str], length: int) -> str:
    """The first run of so many words of one text that the other has; empty if there is none."""
    there = {tuple(other[i : i + length]) for i in range(len(other) - length + 1)}
    runs = (tuple(one[i : i + length]) for i in range(len(one) - length + 1))
    return next((" ".join(run) for run in runs if run in there), "")


def _severity(pair: Pair) -> tuple[int, float, str, str, str]:
    return KINDS.index(pair.kind), -pair.similarity, pair.evaluation, pair.pool, pair.part


@dataclass
class _Tally:
    """Counts of all pairs, and the worst of them."""

    worst: dict[str, int] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    found: int = 0
    kept: list[Pair] = field(default_factory=list)

    def add(self, pair: Pair) -> None:
        rank = KINDS.index(pair.kind)
        self.worst[pair.evaluation] = min(rank, self.worst.get(pair.evaluation, rank))
        if pair.kind in BLOCKING:
            self.blocked.add(pair.pool)
        self.found += 1
        self.kept.append(pair)
        if len(self.kept) >= 2 * LOGGED:
            self.kept = sorted(self.kept, key=_severity)[:LOGGED]

    def overlap(self, here: _Side, there: _Side, phrases: tuple[str, ...]) -> Overlap:
        counts = Counter(KINDS[rank] for rank in self.worst.values())
        blocked = sum(counts[kind] for kind in BLOCKING)
        return Overlap(
            evaluation=here.count,
            pool=there.count,
            exact=counts["exact"],
            near=counts["near"],
            contained=counts["contained"],
            flagged=len(self.worst) - blocked,
            contaminated_fraction=blocked / here.count,
            blocked_pool=len(self.blocked),
            pairs=tuple(sorted(self.kept, key=_severity)[:LOGGED]),
            pairs_found=self.found,
            evaluation_sha256=here.sha256,
            pool_sha256=there.sha256,
            boilerplate=phrases,
            notes=tuple(dict.fromkeys((*here.notes, *there.notes))),
            settings=Settings(),
        )
