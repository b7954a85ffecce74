"""Whether an evaluation is hidden in a pool of prompts; whether two pools, or a set and itself, share problems.

Two texts block each other when they are equal after normalisation (`exact`), when their sets of telling words reach a
Jaccard similarity of `NEAR` (`near`: MinHash finds the candidates, the true sets decide), or when one holds most of the
other word for word (`contained`). They are flagged, not blocked, when they share a long run of words (`ngram`), or when
they would be near but disagree in a decisive word such as even and odd (`sibling`: two tasks of one template). An
evaluation problem is looked for by its prompt, its starter code, its reference solution and its tests.

The evaluation is indexed in memory; the pool is an iterator of any length. Nothing depends on the order of either.

What it cannot see: a paraphrase that changes more than about a quarter of the telling words, another natural language,
a reference with renamed variables inside a longer text. An empty log means "not found by this", never "clean".

Sources: 13-word runs after Brown et al. 2020 (arXiv 2005.14165, appendix C); MinHash after Broder 1997; banding after
Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, chapter 3.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import islice
from typing import Literal

import numpy as np
import numpy.typing as npt

from tools.errors import AntiPattern, InvalidInput
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
# fewer shared telling words are a topic ("sum of a list"), not a task; equal sets need two
NEAR_WORDS = 3
# share of the shorter text's runs that must be found; the rest is a wrapper, a typo or a renamed name
CONTAINED = 0.8
# a sentence and a half: statements of one genre share shorter runs by chance (the length GPT-3 used)
NGRAM_WORDS = 13
# a run with fewer different telling words is input and output phrasing
NGRAM_TELLING = 4
# a pool prompt shorter than the problem it is part of must hold this many of its runs: two sentences, not one
CONTAINED_RUNS = 8
# the shortest whole prompt that is looked for inside longer ones; below it, everything contains everything
SHORTEST = 6
# a run of this many words in so many texts of one file is that file's boilerplate: learned, then ignored
BOILERPLATE_WORDS, BOILERPLATE_SHARE, BOILERPLATE_TEXTS = 8, 0.1, 5
# a shared 13-word run that more texts of the evaluation carry is their genre
GENRE_SHARE = 0.02
# 40 bands of 3: a pair at .6 is missed once in 17,000, one at .1 is looked at once in 25
BANDS, ROWS = 40, 3
# pairs that the log keeps, worst first; the counts are of all
LOGGED = 1000
# characters read of one text, and of one shared passage in the log
MAX_TEXT, MAX_SHARED = 200_000, 300
BATCH = 512

# function words and the phrasing of coding tasks: they say that something is asked, not what
COMMON = """a about above according after again all also am an and any approach are as assert assume at be because been before
being both but by can case cases code coding come complete comply consider constraint could def describe described
description do doc does doctest done e each either else etc ever every example examples exercise explain explanation
false few fill following follow for format found from function g given gives giving had has have having he hello help
helper here hi how i if implement implementation import in input inputs instead into is it its itself just kindly
know language len let like line lines made main make makes many may me method might module modulo more most must my
name named need no none note now of off on once one only or other our output outputs over pass per please possible
print printed prints problem program provide python question range read reads reply require required respond response
result return returned returning returns said satisfy say see self should show simple single snippet so solution
solve solved some standard statement stdin stdout still such take takes task test tests than that the their them then
there these they this those through to true typing under up use used user using variable very want was way we well
were what when where whether which while who will with within without would write wrote yet you your answer body
called calculate check compute create define denote desired determine evaluate find get give guaranteed identify
ignore obtain perform produce raise tell valid verify work yield space separated"""

# calls of these say what happens; any other called name is a name
BUILTINS = "len range sum max min sorted reversed abs int str float list dict set tuple print map"

# words that mean the same in a coding task, the first stands for all
SAME = """sum total add addition summation summing|product multiply multiplication|average mean|difference subtract
maximum max largest biggest greatest highest|minimum min smallest least lowest|longest|shortest|count tally occurrence
list array sequence vector series|number integer int value|string str text|character char letter
dictionary dict hashmap mapping map|element item entry member|index position location|length size
remove delete drop eliminate discard strip erase|duplicate repeated repeat|distinct unique different
reverse invert reversed backward|contain include hold|pair couple|sort order arrange
ascending increasing|descending decreasing|first initial leading|last final trailing|start begin beginning front
end ending finish|greater larger bigger exceed exceeding|less smaller fewer below|equal same identical
matrix grid|node vertex|consecutive contiguous adjacent neighbouring neighboring successive|empty blank
swap exchange|combine merge join concatenate|split partition|upper uppercase capital|lower lowercase
convert transform turn change|replace substitute|keep retain preserve|word token|divisor factor
multiple divisible|even|odd|consist comprise|choose select pick|whole entire|appear occur|precisely exactly"""

# words that tell apart two tasks of one template, by the names above
OPPOSED = """sum product average median mode difference maximum minimum count|even odd prime|pair triple|two three four five|ascending descending
first last|greater less|longest shortest|upper lower|vowel consonant|prefix suffix|row column diagonal|left right
positive negative|square cube|union intersection|area perimeter volume circumference|circle rectangle triangle
sphere cylinder cone|encode decode|encrypt decrypt|binary decimal hexadecimal octal|inorder preorder postorder
insert remove|push pop|celsius fahrenheit kelvin|rows columns|palindrome anagram|distinct duplicate|< >|<= >=|+ * %"""


class Settings(Record):
    """Everything the answer depends on beside the texts; recorded with it."""

    near: Fraction = NEAR
    near_words: Count = NEAR_WORDS
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
    contained and ngram. shared: the longest run of normalised words that both have, clipped.
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
    the order given. boilerplate: runs of words that the evaluation repeats, and that therefore count for nothing.
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

_MARKUP = re.compile(
    r"(?m)^[ \t]*(?:[-*+>#]+[ \t]+)+"  # bullets, quotes, headings, doctest prompts
    r"|`{3,}\w*"  # fences with their language
    r"|</?(?:p|b|i|em|strong|code|pre|sub|sup|br|ul|ol|li|div|span|tt)(?:\s+[a-z-]+=\"[^\"]*\")*\s*/?>"
    r"|(?<=\S)[ \t]+#[ \t][^\n]*"  # a comment behind code
    r"|[-=]>"  # arrows of annotations
)
_OPERATOR = r"<=|>=|!=|[+*%<>]"
_TOKEN = re.compile(
    rf"[^\W_](?:\w*[^\W_])?|(?<=[^\W_])(?:{_OPERATOR})(?=[^\W_])|(?<=[^\W_)\]] )(?:{_OPERATOR})(?= [^\W_(\[])"
)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]+")
_COMPARISONS = str.maketrans({"≤": "<=", "≥": ">=", "≠": "!="})


def words(text: str) -> list[str]:
    """The words and operators of a text, without case, punctuation, markdown and comment marks; identifiers stay.

    Scripts without spaces come as overlapping pairs of characters.
    """
    if not text.isascii():
        text = _folded(text)
    found = _TOKEN.findall(" ".join(_MARKUP.sub(" ", text.casefold()).split()))
    return found if text.isascii() else [piece for word in found for piece in _spaced(word)]


def normalise(text: str) -> str:
    """A text as `exact` compares it: its words, one space between. Doing it twice changes nothing."""
    return " ".join(words(text))


def _folded(text: str) -> str:
    """NFKC and case folded until neither changes anything: each can undo the other."""
    text = text.translate(_COMPARISONS)
    while (again := unicodedata.normalize("NFKC", text.casefold())) != text:
        text = again
    return text


def _spaced(word: str) -> Iterator[str]:
    """A word; a run of characters that are written without spaces as its overlapping pairs."""
    end = 0
    for run in _UNSPACED.finditer(word):
        yield from (piece for piece in (word[end : run.start()],) if piece)
        yield from (run[0][i : i + 2] for i in range(max(1, len(run[0]) - 1)))
        end = run.end()
    yield from (piece for piece in (word[end:],) if piece)


_BOUND = re.compile(
    r"\b(?:def|lambda)[ \t]+(\w+(?:[ \t]*,[ \t]*\w+)*)"  # names that code introduces
    r"|^[ \t]*(\w+(?:[ \t]*,[ \t]*\w+)*)[ \t]*(?:=(?!=)|:[ \t]*\w+[ \t]*=)"
    r"|\bfor[ \t]+(\w+(?:[ \t]*,[ \t]*\w+)*)[ \t]+in\b[^\n]*[:\]]"
    r"|(?<![\w.])([a-z]\w*)\((?!e?s\))"  # a function named by its call, unless a plural(s)
    r"|(?<!`)`(\w+)`(?!`)",  # and what prose puts in code marks
    re.MULTILINE,
)
_PARAMETERS = re.compile(r"\bdef[ \t]+\w+[ \t]*\(([^)]*)\)")
_BUILTINS = frozenset(BUILTINS.split())


def _bound(text: str) -> set[str]:
    """Names that the text itself introduces (functions, parameters, variables): another name would be the same task."""
    if not any(mark in text for mark in "(=`"):
        return set()
    lowered = text.casefold()
    names = {name.strip() for groups in _BOUND.findall(lowered) for group in groups for name in group.split(",")}
    for listed in _PARAMETERS.findall(lowered):
        names.update(re.split(r"[:=]", name)[0].strip(" *\n\t") for name in listed.split(","))
    return {name.strip("_") for name in names} - _BUILTINS


def _stem(word: str) -> str:
    """A word without its ending, crudely: removes, removed, removing and remove become remov."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "us", "is")):
            word = word[: -len(ending)]
            return word[:-1] if ending in ("ing", "ed") and word[-1] == word[-2] and word[-1] not in "ls" else word
    return word


_CLASSES = [line.split() for line in SAME.replace("\n", "|").split("|")]
_NAMED = {_stem(word): _stem(names[0]) for names in _CLASSES for word in names}
_GROUPS = [frozenset(_NAMED.get(_stem(w), _stem(w)) for w in g.split()) for g in OPPOSED.replace("\n", "|").split("|")]
_DECISIVE = frozenset().union(*_GROUPS)
_COMMON = frozenset(COMMON.split())


def _telling(word: str) -> tuple[str, ...]:
    """What a word says about the task: stems of its parts, synonyms as one; nothing for common words, letters, numbers."""
    parts = word.split("_") if "_" in word else (word,)
    stems = (_NAMED.get(_stem(part), _stem(part)) for part in parts if part not in _COMMON)
    return tuple(
        stem for stem in stems if stem in _DECISIVE or not (stem.isdigit() or (len(stem) == 1 and stem.isascii()))
    )


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


_OPPOSED_HASHES = [frozenset(map(_hash, group)) for group in _GROUPS]
_OPPOSED_WORDS = frozenset().union(*_OPPOSED_HASHES)


@dataclass(frozen=True, slots=True)
class _Word:
    """What is known of a word once and for all texts."""

    hash: int
    features: tuple[int, ...]


class _Vocabulary(dict[str, _Word]):
    """Words seen, forgotten all at once when there are too many."""

    def __missing__(self, word: str) -> _Word:
        if len(self) >= 200_000:
            self.clear()
        found = self[word] = _Word(_hash(word), tuple(map(_hash, _telling(word))))
        return found


# --- texts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    """One text of one item, ready to be compared."""

    id: str
    part: Part
    words: list[str]
    bound: set[str]


def _parts(item: Item) -> dict[Part, str]:
    """The texts of an item by part; a plain prompt has one."""
    if not isinstance(item, Problem):
        return {"prompt": item[1]}
    cases = (canonical([*case.args, case.stdin or "", case.expected]) for case in item.cases)
    tests = "\n".join((item.checks, *cases))
    parts: dict[Part, str] = {
        "prompt": item.prompt,
        "starter": item.preamble,
        "reference": item.reference or "",
        "tests": tests,
    }
    return {part: text for part, text in parts.items() if text.strip()}


def _checked(item: object, where: str) -> tuple[str, dict[Part, str]]:
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
            id_, found = _checked(item, f"{self.name} item {self.count + 1}")
            self.count += 1
            self._sha.update(canonical([id_, found]).encode("utf-8", "surrogatepass") + b"\n")
            for part, text in found.items():
                if parts is None or part in parts:
                    self.clipped += len(text) > MAX_TEXT
                    read = _Text(id_, part, words(text[:MAX_TEXT]), _bound(text[:MAX_TEXT]))
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


def _multipliers() -> tuple[Hashes, Hashes]:
    draws = np.random.default_rng(0).integers(0, 2**64, (2, BANDS * ROWS), np.uint64)
    return draws[0] | np.uint64(1), draws[1]


def _bands(features: Hashes, starts: Numbers) -> Hashes:
    """One key per band and set; features of set i stand at starts[i]:starts[i + 1], which must not be empty.

    Returns shape (sets, BANDS). Two sets share a key with probability J^ROWS, J their Jaccard similarity.
    """
    signs = np.empty((len(starts) - 1, BANDS * ROWS), np.uint64)
    for number, (factor, shift) in enumerate(zip(*_multipliers(), strict=True)):
        mixed = features * factor + shift
        signs[:, number] = np.minimum.reduceat(mixed ^ (mixed >> np.uint64(32)), starts[:-1])
    keys = np.zeros((len(signs), BANDS), np.uint64)
    for row in range(ROWS):
        keys = (keys ^ signs[:, row::ROWS]) * _ODD
    return keys + np.arange(BANDS, dtype=np.uint64)


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
        first = np.searchsorted(self.keys, wanted)
        hits = np.flatnonzero(self.keys[np.minimum(first, len(self.keys) - 1)] == wanted) if len(self.keys) else []
        for hit in hits:
            last = np.searchsorted(self.keys, wanted[hit], "right")
            for owner in self.owners[first[hit] : last].tolist():
                yield int(hit), owner


# --- comparing -------------------------------------------------------------------------------------------------------


class _Batch:
    """Texts next to each other in flat arrays, one entry per word."""

    def __init__(self, texts: Sequence[_Text], known: _Vocabulary, boilerplate: Hashes) -> None:
        self.texts = texts
        looked_up = [[known[word] for word in text.words] for text in texts]
        self.hashes, self.starts = _ragged([[word.hash for word in row] for row in looked_up])
        self.telling, _ = _ragged([[word.features[0] if word.features else 0 for word in row] for row in looked_up])
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
        pairs = np.unique(np.stack([self.owners[first[kept]].astype(np.uint64), hashes[kept]]), axis=1)
        return pairs[1], pairs[0].astype(np.int64)

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
            if word.features and name not in text.bound:
                found.update(said for said in word.features if not covered or said in _OPPOSED_WORDS)
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
            self.equal.setdefault(_hash(" ".join(text.words)), []).append(number)
        self.bands = _near_postings(batch)
        self.totals, self.runs = _run_postings(batch, max(BOILERPLATE_TEXTS, int(GENRE_SHARE * side.count)))

    def matches(self, texts: Sequence[_Text]) -> Iterator[tuple[int, _Text, Kind, float]]:
        """(number of a text here, the text there, kind, similarity), the worst kind of each couple."""
        batch = _Batch(texts, self.known, self.boilerplate)
        found: dict[tuple[int, int], tuple[Kind, float]] = {}
        for finder in (self._runs_of, self._near_of, self._exact_of):  # worse ones replace
            for there, here, kind, similarity in finder(batch):
                if kind in BLOCKING or (there, here) not in found:
                    found[there, here] = (kind, similarity)
        for (there, here), (kind, similarity) in sorted(found.items()):
            yield here, texts[there], kind, similarity

    def _learned(self, items: int) -> tuple[Hashes, tuple[str, ...]]:
        """Runs that so many texts of this side have, and the longest stretches they make."""
        batch = _Batch(self.texts, self.known, np.empty(0, np.uint64))
        hashes, first = batch.runs(BOILERPLATE_WORDS)
        pairs = np.unique(np.stack([hashes, batch.owners[first].astype(np.uint64)]), axis=1)
        values, counts = np.unique(pairs[0], return_counts=True)
        often = values[counts >= max(BOILERPLATE_TEXTS, BOILERPLATE_SHARE * items)]
        return often, self._phrases(often, hashes, first)

    def _phrases(self, often: Hashes, hashes: Hashes, first: Numbers) -> tuple[str, ...]:
        """The words of learned runs, each stretch of a text once, in the order of the alphabet."""
        flat = [word for text in self.texts for word in text.words] if len(often) else []
        hits = first[np.isin(hashes, often)]
        stretches = np.split(hits, np.flatnonzero(np.diff(hits) > 1) + 1) if len(hits) else []
        return tuple(sorted({" ".join(flat[run[0] : run[-1] + BOILERPLATE_WORDS]) for run in stretches}))

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
            one, other = set(batch.features[there]), set(self.features[slice(*self.starts[here : here + 2])].tolist())
            if kind := _near_kind(one, other):
                yield there, here, kind, _jaccard(one, other)

    def _runs_of(self, batch: _Batch) -> Iterator[tuple[int, int, Kind, float]]:
        shared: Counter[tuple[int, int]] = Counter()
        for length, postings in self.runs.items():
            hashes, first = batch.runs(length)
            hits = ((int(batch.owners[first[hit]]), here, int(hashes[hit])) for hit, here in postings.find(hashes))
            shared.update((there, here) for there, here, _ in set(hits))
        if shared:
            runs = np.bincount(batch.informative(NGRAM_WORDS, NGRAM_TELLING)[1], minlength=len(batch.texts)).tolist()
            for (there, here), count in sorted(shared.items()):
                yield there, here, *_run_kind(count, self.totals[here], runs[there])


def _near_postings(batch: _Batch) -> _Postings:
    """Band keys of every text that says something; tests are values, and alike everywhere."""
    full = [i for i, found in enumerate(batch.features) if found and batch.texts[i].part != "tests"]
    if not full:
        return _Postings(np.empty(0, np.uint64), np.empty(0, np.int64))
    keys = _bands(*_ragged([batch.features[i] for i in full]))
    return _Postings.of(keys.ravel(), np.repeat(np.array(full), BANDS))


def _run_postings(batch: _Batch, genre: int) -> tuple[list[int], dict[int, _Postings]]:
    """How many runs each text is looked for by, and where each run stands, by its length.

    A prompt too short for one run is looked for as a whole. Runs that more than `genre` texts have are left out.
    """
    hashes, owners = batch.informative(NGRAM_WORDS, NGRAM_TELLING)
    values, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    kept = counts[inverse] <= genre if len(values) else np.empty(0, np.bool_)
    found = {NGRAM_WORDS: _Postings.of(hashes[kept], owners[kept])}
    totals = np.bincount(owners[kept], minlength=len(batch.texts))
    sizes = np.diff(batch.starts)
    for length in range(SHORTEST, NGRAM_WORDS):
        hashes, owners = batch.informative(length, NEAR_WORDS)
        whole = np.array([sizes[i] == length and batch.texts[i].part == "prompt" for i in owners.tolist()], np.bool_)
        if whole.any():
            found[length] = _Postings.of(hashes[whole], owners[whole])
            totals[owners[whole]] = 1
    return totals.tolist(), found


def _jaccard(one: set[int], other: set[int]) -> float:
    return len(one & other) / len(one | other)


def _near_kind(one: set[int], other: set[int]) -> Kind | None:
    shared = len(one & other)
    alike = one == other and shared > 1
    if not alike and (shared < NEAR_WORDS or _jaccard(one, other) < NEAR):
        return None
    opposed = any(group & one - other and group & other - one for group in _OPPOSED_HASHES)
    return "sibling" if opposed else "near"


def _run_kind(shared: int, here: int, there: int) -> tuple[Kind, float]:
    """A pool prompt that is the shorter of the two needs more than a sentence to count as contained."""
    share = min(1.0, shared / max(1, min(here, there or here)))
    whole = share >= CONTAINED and (here <= max(there, 1) or shared >= CONTAINED_RUNS)
    return ("contained" if whole else "ngram"), share


def _refuse_unusable(texts: Sequence[_Text], side: _Side) -> None:
    if not texts:
        raise InvalidInput(f"the {side.name} is empty", "at least one problem", "check the file")
    ids = Counter((text.id, text.part) for text in texts)
    (id_, part), most = ids.most_common(1)[0]
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

    evaluation: held in memory, some kilobytes a problem. pool: any iterable, read once and not kept. Items are
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
    """A set against itself: each pair once, under the smaller id first. The pool of the record is the set."""
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
    if overlap.evaluation_sha256 == overlap.pool_sha256:
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


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of the telling words of two texts, in [0, 1]; 1 for texts equal after normalisation."""
    batch = _Batch(
        [_Text("", "prompt", words(t), _bound(t)) for t in (one, other)], _Vocabulary(), np.empty(0, np.uint64)
    )
    first, second = (set(found) for found in batch.features)
    if batch.texts[0].words == batch.texts[1].words:
        return 1.0
    return _jaccard(first, second) if first or second else 0.0


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
    """The longest run of words both have, clipped."""
    found = SequenceMatcher(None, one, other, autojunk=False).find_longest_match()
    text = " ".join(one[found.a : found.a + found.size])
    return text if len(text) <= MAX_SHARED else text[: MAX_SHARED - 1] + "…"


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
