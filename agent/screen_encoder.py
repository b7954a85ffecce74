"""A small sentence encoder in numpy: text to one logit per anti-pattern.

Holds the WordPiece tokeniser, the forward pass of a six-layer BERT (MiniLM), and the reader of the `.npz` that
ships with the wheel. Weights are int8 with one scale per row; they are widened once, on first use. Knows nothing of
configs, thresholds or replies; learns nothing (bench/fit_screen.py does). A text of any length costs at most
MAX_WINDOWS passes on one thread. Source of the starting weights: sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0).

Two departures from BERT's own tokeniser, both on purpose: symbols stand alone as punctuation does ("38→45" is
three tokens, not one unknown), and line breaks, indents and the marks below are tokens: a config means them.
"""

from __future__ import annotations

import ctypes
import importlib
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

WINDOW = 192
STRIDE = 160
MAX_WINDOWS = 8
END_WINDOWS = 3
"""A text of more windows (some 5 kB) is read at both ends, and where the windows between hold most findings."""

NEWLINE, INDENT = "\ue000", "\ue001"
MARKS = tuple(chr(0xE000 + i) for i in range(32))
"""Private-use characters that stand for one token each; any that a user typed are removed first."""

_REMOVED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff\ufffd]")
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{MARKS[0]}-{MARKS[-1]}{_CJK}]|[^\W_{_CJK}]+|[^\w\s]|_")
# The look-behind keeps a long run of blanks from being tried at each of its places.
_BREAK = re.compile(r"(?<![ \t])[ \t]*\n(?:[ \t]*\n)*([ \t]*)")
_LONGEST_WORD = 100


def clean(text: str) -> str:
    """The text without control and private-use characters, line ends unified. Same length is not promised."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _REMOVED.sub("", text)
    return "".join(" " if "\ue000" <= c <= "\uf8ff" else c for c in text) if not text.isascii() else text


class WordPiece:
    """Greedy longest-match-first subwords, uncased, accents stripped."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self.ids: dict[str, int] = {piece: i for i, piece in enumerate(pieces)}
        self.unknown, self.first, self.last = self.ids["[UNK]"], self.ids["[CLS]"], self.ids["[SEP]"]
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """Token ids without the frame tokens. `text` has been through `clean`; it may hold MARKS."""
        out: list[int] = []
        for word in _words(text):
            out += self._cached(word)
        return out

    def _cached(self, word: str) -> list[int]:
        found = self._known.get(word)
        if found is None:
            found = self._split(word)
            if len(self._known) < 50_000:
                self._known[word] = found
        return found

    def _split(self, word: str) -> list[int]:
        if len(word) > _LONGEST_WORD:
            return [self.unknown]
        out: list[int] = []
        start = 0
        while start < len(word):
            end = self._longest(word, start)
            if end == start:
                return [self.unknown]
            out.append(self.ids[word[start:end] if start == 0 else "##" + word[start:end]])
            start = end
        return out

    def _longest(self, word: str, start: int) -> int:
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            if prefix + word[start:end] in self.ids:
                return end
        return start


def _words(text: str) -> list[str]:
    text = _BREAK.sub(lambda m: f" {NEWLINE} " + (f"{INDENT} " if m[1] else ""), text).lower()
    if not text.isascii():
        text = unicodedata.normalize("NFD", text)
        text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    return _WORD.findall(text)


@dataclass(frozen=True)
class Reading:
    """logits: shape (flags,). evidence: shape (tokens, flags), what each token of the text adds to each logit."""

    logits: FloatArray
    evidence: FloatArray


@dataclass(frozen=True)
class Encoder:
    """Weights and vocabulary as stored; `read` is all that others need.

    arrays: the content of the npz. Int8 matrices `name` come with a float32 `name.scale`, one per row.
    """

    arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def load(cls, path: Path) -> Encoder:
        """Read the npz. Raises FileNotFoundError if the wheel was built without it."""
        with np.load(path, allow_pickle=False) as stored:
            return cls({name: stored[name] for name in stored.files})

    @cached_property
    def tokeniser(self) -> WordPiece:
        return WordPiece(bytes(self.arrays["vocabulary"]).decode().split("\n"))

    @cached_property
    def weights(self) -> dict[str, FloatArray]:
        """Float32 weights by name; the word embeddings stay int8, since a text touches few rows."""
        return {n: self._wide(n) for n in self.arrays if _is_weight(n)}

    def _wide(self, name: str) -> FloatArray:
        array = self.arrays[name]
        if array.dtype != np.int8:
            plain: FloatArray = array.astype(np.float32)
            return plain
        scale: FloatArray = self.arrays[f"{name}.scale"][:, None].astype(np.float32)
        wide: FloatArray = np.multiply(array, scale, dtype=np.float32)
        return wide

    def read(self, text: str) -> Reading:
        """One logit per flag, the greatest over the windows of the text, and the tokens that window rests on."""
        ids = self.tokeniser.encode(text)
        starts = window_starts(ids, self._findings)
        with _one_thread():
            parts = [self._forward(self._framed(ids[s : s + WINDOW])) for s in starts]
        logits = np.stack([part.logits for part in parts])
        evidence = np.zeros((len(ids), logits.shape[1]), np.float32)
        for flag, best in enumerate(logits.argmax(axis=0)):
            evidence[starts[best] : starts[best] + WINDOW, flag] = parts[best].evidence[:, flag]
        return Reading(logits.max(axis=0), evidence)

    @cached_property
    def _findings(self) -> frozenset[int]:
        return frozenset(self.tokeniser.ids[mark] for mark in MARKS[2:] if mark in self.tokeniser.ids)

    def _framed(self, ids: Sequence[int]) -> NDArray[np.int64]:
        return np.array([self.tokeniser.first, *ids, self.tokeniser.last])

    def _embed(self, ids: NDArray[np.int64]) -> FloatArray:
        words, scale = self.arrays["words"], self.arrays["words.scale"]
        x = words[ids] * scale[ids, None].astype(np.float32) + self.weights["positions"][: len(ids)]
        return _norm(x, self.weights["embed.norm"])

    def _forward(self, ids: NDArray[np.int64]) -> Reading:
        x = self._embed(ids)
        for layer in range(int(self.arrays["layers"])):
            x = self._layer(x, f"{layer}.")
        return self._pooled(x)

    def _pooled(self, x: FloatArray) -> Reading:
        """Mean and greatest value of each dimension, weighed by the head; both are sums over tokens."""
        of_mean, of_greatest = np.split(self.weights["head"], 2, axis=1)
        evidence = x @ of_mean.T / np.float32(len(x))
        np.add.at(evidence, x.argmax(axis=0), (of_greatest * x.max(axis=0)).T)
        return Reading(evidence.sum(axis=0) + self.weights["head.bias"], evidence[1:-1])

    def _layer(self, x: FloatArray, at: str) -> FloatArray:
        w = self.weights
        mixed = _attend(x @ w[at + "qkv"].T + w[at + "qkv.bias"], heads=int(self.arrays["heads"]))
        x = _norm(x + mixed @ w[at + "out"].T + w[at + "out.bias"], w[at + "out.norm"])
        inner = _gelu(x @ w[at + "up"].T + w[at + "up.bias"])
        return _norm(x + inner @ w[at + "down"].T + w[at + "down.bias"], w[at + "down.norm"])


def _is_weight(name: str) -> bool:
    return (name[0].isdigit() and not name.endswith(".scale")) or name in _TOP_WEIGHTS


_TOP_WEIGHTS = {"positions", "embed.norm", "head", "head.bias"}


def window_starts(ids: Sequence[int], sought: Collection[int] = ()) -> list[int]:
    """Where the overlapping windows begin, at most MAX_WINDOWS; between the ends those with most `sought` ids win."""
    starts = list(range(0, max(1, len(ids) - WINDOW + STRIDE), STRIDE))
    if len(starts) <= MAX_WINDOWS:
        return starts
    between = starts[END_WINDOWS:-END_WINDOWS]
    between.sort(key=lambda s: -sum(i in sought for i in ids[s : s + WINDOW]))
    return [*starts[:END_WINDOWS], *sorted(between[: MAX_WINDOWS - 2 * END_WINDOWS]), *starts[-END_WINDOWS:]]


def windows(ids: Sequence[int]) -> list[Sequence[int]]:
    """Overlapping windows of at most WINDOW tokens; a text of one window is returned whole."""
    return [ids[start : start + WINDOW] for start in window_starts(ids)]


@contextmanager
def _one_thread() -> Iterator[None]:
    # For products this small a second thread wins little, and where the cores are busy it spins: ten times the work.
    blas = _openblas()
    before = blas.scipy_openblas_get_num_threads64_() if blas else 1
    if before == 1:
        yield
        return
    blas.scipy_openblas_set_num_threads64_(1)
    try:
        yield
    finally:
        blas.scipy_openblas_set_num_threads64_(before)


@cache
def _openblas() -> Any:
    """The library in numpy's own wheels, or None where numpy was built on another."""
    library = ctypes.CDLL(importlib.import_module("numpy._core._multiarray_umath").__file__)
    return library if hasattr(library, "scipy_openblas_set_num_threads64_") else None


def _attend(qkv: FloatArray, heads: int) -> FloatArray:
    tokens, width = qkv.shape[0], qkv.shape[1] // 3
    q, k, v = qkv.reshape(tokens, 3, heads, width // heads).transpose(1, 2, 0, 3)
    scores = q @ k.transpose(0, 2, 1) / np.float32(np.sqrt(width // heads))
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed: FloatArray = (scores @ v).transpose(1, 0, 2).reshape(tokens, width)
    return mixed


def _norm(x: FloatArray, gain_and_bias: FloatArray) -> FloatArray:
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(1e-12))
    normal: FloatArray = centred / spread * gain_and_bias[0] + gain_and_bias[1]
    return normal


def _gelu(x: FloatArray) -> FloatArray:
    # The tanh form: numpy has no erf, and the model was fitted with this one.
    inner: FloatArray = np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x))
    return np.float32(0.5) * x * (1 + inner)
