"""The closed vocabulary: what kind of word a token is.

The lists are plain text in `vocabulary/`, by section; each file says what is in it and why. A word has one kind, and
where two would fit the stricter one holds. Regular inflections and a few derivations follow by rule, so "resampled"
is known because "sample" is. A word that no list and no rule knows is `unknown`, and unknown words do not pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

Kind = Literal[
    "unknown",
    "hard",
    "up",
    "down",
    "outcome",
    "degree",
    "soft",
    "measure",
    "result",
    "topic",
    "function",
    "procedure",
    "plain",
]  # strictest first
KINDS: tuple[Kind, ...] = get_args(Kind)
RESULTS: tuple[Kind, ...] = ("up", "down", "outcome")
BY_LINE = ("phrase", "banned")  # sections whose entries hold spaces


def _load() -> dict[str, frozenset[str]]:
    sections: dict[str, frozenset[str]] = {}
    for path in sorted((Path(__file__).parent / "vocabulary").glob("*.txt")):
        text = re.sub(r"^#.*\n", "", path.read_text("utf-8"), flags=re.M)
        for head, body in re.findall(r"^\[(\w+)\]\n([^\[]*)", text, re.M):
            sections[head] = frozenset(filter(None, body.splitlines() if head in BY_LINE else body.split()))
    return sections


LEXICON = _load()
NAMED: dict[str, Kind] = {word: "procedure" for head in ("software", "family", "technical") for word in LEXICON[head]}
LISTED: dict[str, Kind] = NAMED | {word: kind for kind in reversed(KINDS[1:]) for word in LEXICON[kind]}
PREFIXES = ("re", "un", "non", "pre", "mis", "co", "dis", "in", "over", "under", "sub", "inter", "multi", "self")
# ending -> what may stand in its place in the word it comes from
ENDINGS: dict[str, tuple[str, ...]] = {
    "'s": ("",),
    "s'": ("s",),
    "s": ("",),
    "es": ("",),
    "ies": ("y",),
    "ied": ("y",),
    "ed": ("", "e"),
    "ing": ("", "e"),
    "er": ("", "e"),
    "or": ("", "e"),
    "est": ("", "e"),
    "ier": ("y",),
    "iest": ("y",),
    "ly": ("", "le"),
    "ily": ("y",),
    "ally": ("", "al"),
    "able": ("", "e"),
    "ible": ("", "e"),
    "ness": ("",),
    "less": ("",),
    "ful": ("",),
    "ment": ("",),
    "ity": ("", "e"),
}
MAY_DOUBLE = ("ed", "ing", "er", "est", "able")
ROMAN = re.compile(r"(?=[MDCLXVI]{2})M*(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")


@lru_cache(maxsize=20_000)
def kind(token: str) -> Kind:
    """The kind of one token as it is written, by itself."""
    word = token.lower().replace("’", "'")
    if ROMAN.fullmatch(token) and word not in ("ci", "i"):
        return "unknown"
    known = _strictest(_derived(word, 2))
    return _compound(word) if known == "unknown" and re.search(r"[-_/]", word) else known


def _strictest(kinds: Iterator[Kind]) -> Kind:
    return min(kinds, key=KINDS.index, default="unknown")


def _compound(word: str) -> Kind:
    """A compound is as strict as its strictest part; single letters count only as in p-value."""
    parts = [part for part in re.split(r"[-_/]+", word) if part]
    if sum(len(part) == 1 for part in parts) > 1:
        return "unknown"
    return _strictest(kind(part) if len(part) > 1 or part in LISTED else LISTED["a"] for part in parts)


def _derived(word: str, depth: int) -> Iterator[Kind]:
    """The kinds of a listed word, or of every word that a regular form may come from."""
    if word in LISTED:
        yield LISTED[word]
    elif depth and len(word) > 3:
        for stem in _stems(word):
            yield from _derived(stem, depth - 1)


def _stems(word: str) -> Iterator[str]:
    for ending, replacements in ENDINGS.items():
        root = word.removesuffix(ending)
        if root != word and len(root) > 1:
            yield from (root + replacement for replacement in replacements)
            if ending in MAY_DOUBLE and root[-1] == root[-2]:
                yield root[:-1]
    for prefix in PREFIXES:
        if word.startswith(prefix) and len(word) > len(prefix) + 3:
            yield word.removeprefix(prefix).removeprefix("-")
