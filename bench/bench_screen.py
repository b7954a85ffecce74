"""How well agent/screen.py recognises the anti-patterns, on voices its model has not seen.

    python -m bench.bench_screen model.npz --voices test          precision, recall, F1 with bootstrap intervals
    python -m bench.bench_screen --keywords --voices test         the ten-line keyword baseline on the same messages
    python -m bench.bench_screen --ngrams --voices dev            n-gram logistic regression, fit on the train voices
    python -m bench.bench_screen model.npz --unseen 24            on two authors that the model must not have seen, each
                                                                  voice under thresholds chosen on the other voices
    ... --write                                                   and write thresholds chosen on all into the npz
    ... --as-shipped                                              under the thresholds that are in the npz

A message is the unit of the bootstrap. `clean flagged` is the share of messages without any flag that got one.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import screen, screen_config
from agent.screen_encoder import Encoder, clean
from bench import screen_corpus
from bench.screen_corpus import Message

BoolArray = NDArray[np.bool_]
ScoreArray = NDArray[np.float64]
Scorer = Callable[[str], ScoreArray]
FOLDS = 5

KEYWORDS: dict[str, str] = {
    "always_ssd": r"always work|any model|every model|\+12\.9",
    "never_ssd": r"never work|model collapse|inbreeding",
    "same_set_eval": r"same (set|prompts|problems)|train(ing)? prompts",
    "skip_passk": r"skip pass@|only pass@1|greedy",
    "blind_iteration": r"\b([3-9]|three|four|five) (rounds|iterations)|rounds: [2-9]",
    "blurred_filtering": r"unfiltered|minimal arm|filter: (?!none|null)",
    "bare_gain": r"\+\d+(\.\d+)? ?(pp|points)|announce|slide",
    "skip_safety_probe": r"(no|skip|drop).{0,20}(safety|refusal)",
    "heavy_mix": r"([3-9]\d ?%|0\.[3-9]\d?|half).{0,30}(mix|replay|data)",
    "low_rank_unmeasured": r"(rank|r)\s?[=: ]\s?(4|8|16|32)\b",
    "promote_round2": r"(round[ -]?2|second round|r2).{0,40}(prod|ship|promote|deploy)",
    "assumed_numbers": r"assume|guess|pretend",
    "pool_from_eval": r"(held-?out|test|humaneval|mbpp|lcb).{0,30}(pool|prompts|sampl)",
    "skip_battery": r"(no|skip|without).{0,15}(battery|probes)",
    "ship_without_rollback": r"no (rollback|canary)|overwrite|in place",
}


@dataclass(frozen=True)
class Rates:
    """Precision, recall and F1 with their 95% bootstrap intervals; `support` counts the true labels."""

    precision: tuple[float, float, float]
    recall: tuple[float, float, float]
    f1: tuple[float, float, float]
    support: int


def truth(rows: Sequence[Message]) -> BoolArray:
    """Labels, shape (messages, flags)."""
    return np.array([[p in row.flags for p in screen.PATTERNS] for row in rows], bool)


def keyword_scores(text: str) -> ScoreArray:
    """1 where the flag's expression occurs, else 0."""
    return np.array([float(bool(re.search(KEYWORDS[p], text, re.IGNORECASE))) for p in screen.PATTERNS])


def model_scores(model: Encoder) -> Scorer:
    """The scores that `screen.screen` compares with its thresholds, for a given npz."""

    def scores(text: str) -> ScoreArray:
        text = clean(text)
        findings = screen_config.read(text)
        shown = screen.marked(text, findings)
        return np.asarray(screen.scores(model, model.read(shown).logits, findings, shown), np.float64)

    return scores


def ngram_scorer(rows: Sequence[Message], steps: int = 400) -> Scorer:
    """Logistic regression on hashed word and character n-grams, fit by plain gradient descent."""
    x, y = np.stack([_ngrams(r.text) for r in rows]), truth(rows).astype(np.float32)
    w = np.zeros((x.shape[1], y.shape[1]), np.float32)
    b = np.full(y.shape[1], -2.0, np.float32)
    for _ in range(steps):
        error = (1 / (1 + np.exp(-(x @ w + b))) - y) * (1 + y)
        w -= 20 * (x.T @ error / len(x) + 1e-5 * w)
        b -= 2 * error.mean(0)
    return lambda text: np.asarray(1 / (1 + np.exp(-(_ngrams(text) @ w + b))), np.float64)


def _ngrams(text: str, buckets: int = 1 << 14) -> NDArray[np.float32]:
    words = re.findall(r"\w+|[^\w\s]", text.lower())
    grams = [*words, *map(" ".join, pairwise(words))]
    grams += [w[i : i + 4] for w in words for i in range(max(0, len(w) - 3))]
    out = np.zeros(buckets, np.float32)
    for gram in set(grams):
        out[_bucket(gram) % buckets] = 1
    return out / max(1.0, float(np.linalg.norm(out)))


def _bucket(gram: str) -> int:
    h = 2166136261
    for c in gram.encode():
        h = (h ^ c) * 16777619 & 0xFFFFFFFF
    return h


def rates(guess: BoolArray, true: BoolArray, rng: np.random.Generator, draws: int = 1000) -> Rates:
    """Micro-averaged over whatever columns are given."""
    parts = np.stack([(guess & true).sum(1), guess.sum(1), true.sum(1)], 1)
    samples = [parts[rng.integers(len(parts), size=len(parts))].sum(0) for _ in range(draws)]
    low, high = np.nanpercentile([_prf(*s) for s in samples], [2.5, 97.5], axis=0)
    point = _prf(*parts.sum(0))
    p, r, f = [(point[i], float(low[i]), float(high[i])) for i in range(3)]
    return Rates(p, r, f, int(true.sum()))


def _prf(hit: float, said: float, there: float) -> tuple[float, float, float]:
    precision = hit / said if said else float("nan")
    recall = hit / there if there else float("nan")
    return precision, recall, 2 * hit / (said + there) if said + there else float("nan")


def table(scores: ScoreArray, true: BoolArray, sure: ScoreArray, doubt: ScoreArray, seed: int = 7) -> str:
    """A Markdown table per flag and over all, and the line on clean messages."""
    rng = np.random.default_rng(seed)
    said, asked = scores >= sure, scores >= doubt
    lines = ["| flag | n | precision | recall | F1 | said or asked |", "|---|---|---|---|---|---|"]
    for i, pattern in enumerate(screen.PATTERNS):
        lines.append(_row(pattern, said[:, [i]], asked[:, [i]], true[:, [i]], rng))
    lines.append(_row("all flags", said, asked, true, rng))
    quiet = ~true.any(1)
    flagged, asks = said[quiet].any(1), asked[quiet].any(1) & ~said[quiet].any(1)
    low, high = _share_interval(flagged, rng)
    exact = (said == true).all(1).mean()
    lines.append(
        f"\nClean messages flagged: {flagged.mean():.1%} [{low:.1%}, {high:.1%}] of {quiet.sum()}; asked about: "
        f"{asks.mean():.1%}. Messages with exactly the right flags: {exact:.1%} of {len(true)}."
    )
    return "\n".join(lines)


def _row(name: str, said: BoolArray, asked: BoolArray, true: BoolArray, rng: np.random.Generator) -> str:
    got = rates(said, true, rng)
    cells = [f"{v[0]:.2f} [{v[1]:.2f}, {v[2]:.2f}]" for v in (got.precision, got.recall, got.f1)]
    return f"| {name} | {got.support} | {' | '.join(cells)} | {_prf(*_counts(asked, true))[1]:.2f} |"


def _counts(guess: BoolArray, true: BoolArray) -> tuple[float, float, float]:
    return float((guess & true).sum()), float(guess.sum()), float(true.sum())


def _share_interval(hits: BoolArray, rng: np.random.Generator) -> tuple[float, float]:
    means = [hits[rng.integers(len(hits), size=len(hits))].mean() for _ in range(1000)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def choose(scores: ScoreArray, true: BoolArray) -> dict[str, list[float]]:
    """Thresholds per flag from scores on unseen writers.

    Confident: the threshold with the best F0.5, which weighs precision twice; taken half way to the best common one,
    since a flag has few examples. Unsure: where about one in three would be right.
    """
    grid = np.round(np.arange(0.2, 0.99, 0.01), 2)
    common = grid[np.argmax([_f_half(scores >= t, true) for t in grid])]
    own = [grid[np.argmax(_smoothed(scores[:, i], true[:, i], grid))] for i in range(true.shape[1])]
    sure = [float((common + t) / 2) for t in own]
    doubt = [max(0.1, t * 0.45) for t in sure]
    return {"confident": sure, "unsure": doubt}


def _smoothed(scores: ScoreArray, true: BoolArray, grid: ScoreArray) -> ScoreArray:
    raw = np.array([_f_half(scores >= t, true) for t in grid])
    return np.convolve(np.pad(raw, 5, mode="edge"), np.ones(11) / 11, mode="valid")


def _f_half(guess: BoolArray, true: BoolArray) -> float:
    hit, said, there = _counts(guess, true)
    return 1.25 * hit / max(1e-9, said + 0.25 * there)


def cross_chosen(scores: ScoreArray, true: BoolArray, voices: NDArray[np.str_]) -> ScoreArray:
    """Each score moved so that 0.5 is the confident threshold and 0.25 the unsure one, both chosen on other voices.

    scores, true: shape (messages, flags). The voices are dealt into FOLDS groups; no message chooses its own threshold.
    """
    moved = np.empty_like(scores)
    names = sorted(set(voices.tolist()))
    for fold in range(FOLDS):
        held = np.isin(voices, names[fold::FOLDS])
        chosen = choose(scores[~held], true[~held])
        moved[held] = _moved(scores[held], np.array(chosen["confident"]), np.array(chosen["unsure"]))
    return moved


def _moved(scores: ScoreArray, sure: ScoreArray, doubt: ScoreArray) -> ScoreArray:
    return np.where(scores >= sure, 1.0, np.where(scores >= doubt, 0.25, 0.0))


def write_thresholds(path: Path, chosen: dict[str, list[float]]) -> None:
    """Replace the thresholds in a fitted npz; nothing else in it changes."""
    arrays = {**Encoder.load(path).arrays, **{name: np.array(values, np.float32) for name, values in chosen.items()}}
    np.savez(path, **arrays)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--voices", choices=["dev", "test"], default="dev")
    parser.add_argument("--unseen", help="authors, as `24`")
    for name in ("write", "as-shipped", "keywords", "ngrams", "mistakes"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser.parse_args()


def main() -> None:
    options = _options()
    train, dev, test = screen_corpus.held_out_split(screen_corpus.messages())
    rows = dev if options.voices == "dev" else test
    if options.unseen:
        _, rows = screen_corpus.author_split(screen_corpus.messages(), [int(author) for author in options.unseen])
    model = Encoder.load(options.model) if options.model else None
    score = model_scores(model) if model else ngram_scorer(train) if options.ngrams else keyword_scores
    scores, true = np.stack([score(row.text) for row in rows]), truth(rows)
    ones = np.ones(len(screen.PATTERNS))
    sure, doubt = (model.arrays["confident"], model.arrays["unsure"]) if model else (0.5 * ones, 0.25 * ones)
    if options.unseen and not options.as_shipped:
        if options.write:
            write_thresholds(options.model, choose(scores, true))
        scores, sure, doubt = cross_chosen(scores, true, np.array([row.voice for row in rows])), 0.5 * ones, 0.25 * ones
    print(table(scores, true, sure, doubt))
    if options.mistakes:
        _print_mistakes(rows, scores, sure)


def _print_mistakes(rows: Sequence[Message], scores: ScoreArray, sure: ScoreArray) -> None:
    for row, score in zip(rows, scores, strict=True):
        said = {p for p, s, t in zip(screen.PATTERNS, score, sure, strict=True) if s >= t}
        if said != row.flags:
            extra, missed = sorted(said - row.flags), sorted(row.flags - said)
            print(f"{row.id} extra {extra} missed {missed}: {row.text!r}")


if __name__ == "__main__":
    main()
