"""Fits the recogniser of agent/screen.py on the corpus and writes agent/screen_model.npz.

Fine-tunes MiniLM-L6 with one sigmoid per flag, then exports int8 weights and a pruned vocabulary. Needs torch and
transformers, which the product does not; run it from an environment of its own:

    python -m bench.fit_screen --base MINILM_FOLDER --split held-out --out model.npz

MINILM_FOLDER holds config.json, model.safetensors and tokenizer.json of sentence-transformers/all-MiniLM-L6-v2
(Apache-2.0). The same seed, data, versions and thread count give the same weights; on a
busy machine one thread is four times as fast as two. Thresholds are not chosen here:
they come from the scores that each author's messages get from a model of the other authors (see bench_screen).
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import BertModel

from agent import screen, screen_config
from agent.screen_encoder import MARKS, WINDOW, Encoder, WordPiece, clean, windows
from bench import screen_corpus
from bench.screen_corpus import Message

KEPT_BY_RANK = 12_000
"""BERT's vocabulary is sorted by frequency; pieces beyond this place are kept only where the corpus uses them."""

BATCH_TOKENS = 1_600
JOINED = 0.2
TYPO = 0.15
BONUS = 2.0


class Net(nn.Module):
    """MiniLM, mean and max pooled, one linear row per flag."""

    def __init__(self, base: Path, pieces: list[str]) -> None:
        super().__init__()
        self.bert = BertModel.from_pretrained(base, hidden_act="gelu_new", add_pooling_layer=False)
        self.bert.embeddings.word_embeddings = _pruned(self.bert, base, pieces)
        self.head = nn.Linear(2 * self.bert.config.hidden_size, len(screen.PATTERNS))
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.constant_(self.head.bias, -2.0)
        self.drop = nn.Dropout(0.1)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits, shape (rows, flags)."""
        x = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        seen = mask[:, :, None].float()
        mean = (x * seen).sum(1) / seen.sum(1)
        greatest = x.masked_fill(seen == 0, -1e4).amax(1)
        return self.head(self.drop(torch.cat([mean, greatest], -1)))


def _base_vocabulary(base: Path) -> list[str]:
    ids = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    return sorted(ids, key=ids.__getitem__)


def vocabulary(base: Path, rows: Sequence[Message]) -> list[str]:
    """Frame tokens, marks, then the pieces kept: the frequent, the short, and whatever the corpus uses."""
    pieces = _base_vocabulary(base)
    frame = ["[UNK]", "[CLS]", "[SEP]", *MARKS]
    full = WordPiece([*frame, *pieces])
    used = {i for row in rows for i in full.encode(clean(row.text))}
    plain = re.compile(r"(?:##)?[a-z0-9]+|[^\w\s]|##[a-z]")
    kept = [
        p
        for i, p in enumerate(pieces)
        if not p.startswith("[")
        and (i + len(frame) in used or (plain.fullmatch(p) and (i < KEPT_BY_RANK or len(p) < 5)))
    ]
    return [*frame, *kept]


def _pruned(bert: BertModel, base: Path, pieces: list[str]) -> nn.Embedding:
    place = {p: i for i, p in enumerate(_base_vocabulary(base))}
    old = bert.embeddings.word_embeddings.weight.data
    rows = [old[place[p]] if p in place else old[place[";" if p == MARKS[0] else "!"]] for p in pieces]
    marks = torch.arange(len(pieces)) < 3 + len(MARKS)
    table = nn.Embedding(len(pieces), old.shape[1], _weight=torch.stack(rows))
    # Only the marks learn: words the corpus never shows must stay where pre-training left them.
    table.weight.register_hook(lambda grad: grad * marks[:, None])
    return table


def read_ids(tokeniser: WordPiece, text: str) -> list[int]:
    """Token ids of a message, with its marks."""
    text = clean(text)
    return tokeniser.encode(screen.marked(text, screen_config.read(text)))


def varied(rows: Sequence[Message], rng: random.Random, framed: float) -> Iterator[tuple[str, frozenset[str]]]:
    """One epoch of messages, plain sentences among them: some joined (the flags are united), some with a typo."""
    rows = [*rows, *screen_corpus.framed(rng, round(framed * len(rows)))]
    rng.shuffle(rows)
    for row in rows:
        text, flags = row.text, row.flags
        if rng.random() < JOINED:
            other = rng.choice(rows)
            text, flags = text + rng.choice(["\n", " ", ". "]) + other.text, flags | other.flags
        yield (_mistyped(text, rng) if rng.random() < TYPO else text), flags


def _mistyped(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    places = [i for i, w in enumerate(words) if len(w) > 4 and w.isalpha()]
    for i in rng.sample(places, min(len(places), 1 + len(words) // 30)):
        at = rng.randrange(1, len(words[i]) - 1)
        w = words[i]
        words[i] = w[:at] + w[at + 1 :] if rng.random() < 0.5 else w[: at - 1] + w[at] + w[at - 1] + w[at + 1 :]
    return " ".join(words)


def batches(items: Sequence[tuple[list[int], frozenset[str]]], rng: random.Random) -> Iterator[Sequence[Any]]:
    """Items of like length together, in random order."""
    order = sorted(range(len(items)), key=lambda i: len(items[i][0]) + rng.random() * 4)
    out: list[list[int]] = [[]]
    for i in order:
        if out[-1] and (len(out[-1]) + 1) * (len(items[i][0]) + 2) > BATCH_TOKENS:
            out.append([])
        out[-1].append(i)
    rng.shuffle(out)
    for batch in out:
        yield [items[i] for i in batch]


def _padded(tokeniser: WordPiece, many: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    cut = [(i, [tokeniser.first, *w, tokeniser.last]) for i, ids in enumerate(many) for w in windows(ids)]
    longest = max(len(w) for _, w in cut)
    ids = torch.tensor([w + [0] * (longest - len(w)) for _, w in cut])
    mask = torch.tensor([[1] * len(w) + [0] * (longest - len(w)) for _, w in cut])
    return ids, mask, torch.tensor([i for i, _ in cut])


def _logits(net: Net, tokeniser: WordPiece, many: Sequence[list[int]]) -> torch.Tensor:
    ids, mask, owner = _padded(tokeniser, many)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rows = net(ids, mask).float()
    out = torch.full((len(many), rows.shape[1]), -30.0)
    return out.scatter_reduce(0, owner[:, None].expand_as(rows), rows, "amax")


def _targets(flags: Sequence[frozenset[str]]) -> torch.Tensor:
    return torch.tensor([[float(p in f) for p in screen.PATTERNS] for f in flags])


def fit(
    net: Net, tokeniser: WordPiece, train: Sequence[Message], dev: Sequence[Message], options: argparse.Namespace
) -> None:
    """Train in place; leaves the average of the weights over the last third of the epochs."""
    rng = random.Random(options.seed)
    for part in [net.bert.embeddings, *net.bert.encoder.layer[: options.frozen]] if options.frozen else []:
        part.requires_grad_(False)
    body = [p for n, p in net.named_parameters() if not n.startswith("head") and "word_embeddings" not in n]
    groups = [
        {"params": body, "lr": options.rate},
        {"params": net.head.parameters(), "lr": 10 * options.rate},
        {"params": [net.bert.embeddings.word_embeddings.weight], "lr": 5 * options.rate, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    steps = options.epochs * len(_work(tokeniser, train, random.Random(options.seed), options))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / (0.1 * steps), max(0.05, 1 - s / steps))
    )
    kept: list[dict[str, torch.Tensor]] = []
    for epoch in range(options.epochs):
        loss = _epoch(net, tokeniser, _work(tokeniser, train, rng, options), optimiser, schedule)
        if epoch >= options.epochs - max(2, options.epochs // 3):
            kept.append({k: v.clone() for k, v in net.state_dict().items()})
        print(f"epoch {epoch} loss {loss:.4f} {_said(net, tokeniser, dev)}", flush=True)
    net.load_state_dict({k: torch.stack([s[k].float() for s in kept]).mean(0).to(v.dtype) for k, v in kept[0].items()})
    print(f"average {_said(net, tokeniser, dev)}", flush=True)


def _work(
    tokeniser: WordPiece, train: Sequence[Message], rng: random.Random, options: argparse.Namespace
) -> list[Sequence[Any]]:
    rows = varied(drawn(train, rng, options), rng, options.framed)
    return list(batches([(read_ids(tokeniser, text), flags) for text, flags in rows], rng))


def drawn(rows: Sequence[Message], rng: random.Random, options: argparse.Namespace) -> list[Message]:
    """The messages of one epoch: all of the fresh authors', and a share of the others'."""
    known, fresh = screen_corpus.author_split(list(rows), [int(author) for author in options.fresh])
    return [*fresh, *rng.sample(known, round(options.share * len(known)))]


def _epoch(net: Net, tokeniser: WordPiece, work: Sequence[Any], optimiser: Any, schedule: Any) -> float:
    net.train()
    total = 0.0
    for batch in work:
        target = _targets([flags for _, flags in batch])
        # A false accusation costs more than a question not asked, but a rare flag must still be learnt.
        loss = nn.functional.binary_cross_entropy_with_logits(
            _logits(net, tokeniser, [ids for ids, _ in batch]), target * 0.97 + 0.005, pos_weight=torch.tensor(2.0)
        )
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        total += loss.item()
    return total / len(work)


@torch.no_grad()
def _said(net: Net, tokeniser: WordPiece, rows: Sequence[Message]) -> str:
    if not rows:
        return ""
    net.eval()
    logits = torch.cat([_logits(net, tokeniser, [read_ids(tokeniser, r.text)]) for r in rows]).numpy()
    truth = _targets([r.flags for r in rows]).numpy() > 0
    best = max(((_f1(logits > t, truth), t) for t in np.arange(-2, 2.1, 0.25)), key=lambda x: x[0][0])
    clean_rows = ~truth.any(1)
    false = (logits[clean_rows] > best[1]).any(1).mean()
    (f1, precision, recall), at = best
    return f"F1 {f1:.3f} (P {precision:.3f}, R {recall:.3f}) at logit {at:.2f}, clean flagged {false:.3f}"


def _f1(guess: Any, truth: Any) -> tuple[float, float, float]:
    hit = (guess & truth).sum()
    precision, recall = hit / max(1, guess.sum()), hit / max(1, truth.sum())
    return 2 * precision * recall / max(1e-9, precision + recall), precision, recall


def export(net: Net, pieces: list[str], out: Path, thresholds: dict[str, list[float]]) -> None:
    """Write the npz that agent/screen_encoder.py reads: int8 matrices with a scale per row, the rest float32."""
    w = {k: v.numpy() for k, v in net.state_dict().items()}
    arrays: dict[str, Any] = {
        "vocabulary": np.frombuffer("\n".join(pieces).encode(), np.uint8),
        "layers": np.int64(net.bert.config.num_hidden_layers),
        "heads": np.int64(net.bert.config.num_attention_heads),
        "head": w["head.weight"],
        "head.bias": w["head.bias"],
        "embed.norm": _pair(w, "bert.embeddings.LayerNorm"),
        "confident": np.array(thresholds.get("confident", [0.5] * len(screen.PATTERNS)), np.float32),
        "unsure": np.array(thresholds.get("unsure", [0.3] * len(screen.PATTERNS)), np.float32),
        "bonus": np.float32(thresholds.get("bonus", [BONUS])[0]),
    }
    kind = w["bert.embeddings.token_type_embeddings.weight"][0]
    positions = w["bert.embeddings.position_embeddings.weight"][: WINDOW + 2] + kind
    _quantised(arrays, "positions", positions)
    _quantised(arrays, "words", w["bert.embeddings.word_embeddings.weight"])
    for layer in range(net.bert.config.num_hidden_layers):
        _export_layer(arrays, w, layer)
    np.savez(out, **arrays)
    print(f"wrote {out.name}: {out.stat().st_size / 1e6:.1f} MB, {len(pieces)} pieces", flush=True)


def _export_layer(arrays: dict[str, Any], w: dict[str, Any], layer: int) -> None:
    at, to = f"bert.encoder.layer.{layer}.", f"{layer}."
    parts = [at + f"attention.self.{n}" for n in ("query", "key", "value")]
    _quantised(arrays, to + "qkv", np.concatenate([w[p + ".weight"] for p in parts]))
    arrays[to + "qkv.bias"] = np.concatenate([w[p + ".bias"] for p in parts])
    for name, part in (("out", "attention.output"), ("up", "intermediate"), ("down", "output")):
        _quantised(arrays, to + name, w[at + part + ".dense.weight"])
        arrays[f"{to}{name}.bias"] = w[at + part + ".dense.bias"]
    arrays[to + "out.norm"] = _pair(w, at + "attention.output.LayerNorm")
    arrays[to + "down.norm"] = _pair(w, at + "output.LayerNorm")


def _pair(w: dict[str, Any], name: str) -> Any:
    return np.stack([w[name + ".weight"], w[name + ".bias"]])


def _quantised(arrays: dict[str, Any], name: str, matrix: Any) -> None:
    scale = np.abs(matrix).max(axis=1) / 127
    arrays[name] = np.rint(matrix / scale[:, None]).astype(np.int8)
    arrays[name + ".scale"] = scale.astype(np.float32)


def chosen(split: str, rows: list[Message]) -> tuple[list[Message], list[Message]]:
    """(train, watched) for a split: `held-out`; `author-2` or `author-24`, which watch those authors; or `all`."""
    if split == "all":
        return rows, []
    train, dev, _ = screen_corpus.held_out_split(rows)
    if split == "held-out":
        return train, dev
    return screen_corpus.author_split(rows, [int(author) for author in split.removeprefix("author-")])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--split", default="held-out")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--thresholds", type=Path)
    parser.add_argument("--start", type=Path, help="go on from this fit (its npz; the pt lies beside it)")
    parser.add_argument(
        "--framed", type=float, default=0.5, help="plain sentences in an epoch for each of its messages"
    )
    parser.add_argument("--unwatched", action="store_true", help="score nothing between epochs")
    parser.add_argument("--frozen", type=int, default=0, help="the lowest layers that stay as they are")
    parser.add_argument("--share", type=float, default=1.0, help="of the messages in an epoch, drawn anew each time")
    parser.add_argument("--fresh", default="", help="authors (`24`) whose messages are all in every epoch")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    options = _options()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    train, watched = chosen(options.split, screen_corpus.messages())
    watched = [] if options.unwatched else watched
    started = Encoder.load(options.start) if options.start else None
    pieces = bytes(started.arrays["vocabulary"]).decode().split("\n") if started else vocabulary(options.base, train)
    tokeniser, net = WordPiece(pieces), Net(options.base, pieces)
    if options.start:
        net.load_state_dict(torch.load(options.start.with_suffix(".pt")))
    print(f"{options.split}: {len(train)} train, {len(watched)} watched, {len(pieces)} pieces", flush=True)
    fit(net, tokeniser, train, watched, options)
    torch.save(net.state_dict(), options.out.with_suffix(".pt"))
    thresholds = json.loads(options.thresholds.read_text()) if options.thresholds else {}
    export(net, pieces, options.out, thresholds)


if __name__ == "__main__":
    main()
