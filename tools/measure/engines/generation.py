"""One batch of answers drawn from a torch model: shared prefill, rows that leave when they end, noise per row.

A row's random numbers come from its own seed, one per token, turned into a token through the cumulated probabilities.
So what a row draws does not depend on which other rows are beside it, except through rounding in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from tools.records import Decoding

# so many of the likeliest tokens are sorted first; nearly always they hold top_p of the mass, and a whole sort is slow
HEAD = 256
# token positions added to the cache at a time
ROOM = 64


@dataclass
class Row:
    """One answer: its name, its prompt's tokens, its seed, and once it ended its text and why."""

    id: str
    index: int
    prompt: Sequence[int]
    seed: int
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: str = ""

    @property
    def open(self) -> bool:
        """Whether it may get another token."""
        return not self.finish_reason


class Drawing:
    """A batch while it is drawn: `step` draws one token of every open row and hands over the rows that ended with it.

    ends: tokens that end an answer. decode: tokens to text, without special tokens.
    """

    def __init__(
        self, model: Any, rows: Sequence[Row], decoding: Decoding, ends: frozenset[int], decode: Callable[[Any], str]
    ) -> None:
        self._model, self._decoding, self._ends, self._decode = model, decoding, ends, decode
        self._rows = list(rows)
        self._drawn = 0
        noise = np.stack([np.random.default_rng(row.seed).random(decoding.max_tokens) for row in rows])
        self._noise = torch.from_numpy(noise).float().to(model.device)
        self._prefill()

    @property
    def going(self) -> bool:
        """Whether any row is still open."""
        return any(row.open for row in self._rows)

    def step(self) -> list[Row]:
        """Draw the next token of every open row; the rows that ended with it."""
        with torch.inference_mode():
            chosen = pick(self._logits, self._decoding, self._noise[:, self._drawn])
            self._drawn += 1
            drawn = [(row, token) for row, token in zip(self._rows, chosen.tolist(), strict=True) if row.open]
            ended = [row for row, token in drawn if self._append(row, token)]
            if self.going:
                self._forward(self._without_ended(chosen))
        return ended

    def _prefill(self) -> None:
        """Each prompt once, padded on the left; its cache is then copied to every row that continues it."""
        prompts = list(dict.fromkeys(tuple(row.prompt) for row in self._rows))
        longest = max(map(len, prompts))
        ids = torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        self._mask, self._cache = mask.to(self._model.device), cache_for(self._model.config)
        with torch.inference_mode():
            self._run(ids.to(self._model.device), (self._mask.cumsum(1) - 1).clamp(min=0))
            place = {prompt: i for i, prompt in enumerate(prompts)}
            self._keep(torch.tensor([place[tuple(row.prompt)] for row in self._rows], device=self._model.device))

    def _forward(self, tokens: torch.Tensor) -> None:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], 1)
        self._run(tokens[:, None], self._mask.sum(1, keepdim=True) - 1)

    def _run(self, ids: torch.Tensor, positions: torch.Tensor) -> None:
        """Run the model over new tokens; leaves the logits of the last one, shape (rows, vocabulary)."""
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            cache=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._logits = output.logits[:, -1]

    def _keep(self, places: torch.Tensor) -> None:
        self._cache.batch_select_indices(places)
        self._mask, self._logits = self._mask[places], self._logits[places]

    def _without_ended(self, chosen: torch.Tensor) -> torch.Tensor:
        """Drop rows that ended, once they are an eighth of the batch: each time the whole cache is copied."""
        places = [i for i, row in enumerate(self._rows) if row.open]
        if len(places) * 8 > len(self._rows) * 7:
            return chosen
        kept = torch.tensor(places, device=chosen.device)
        self._keep(kept)
        self._rows, self._noise = [self._rows[i] for i in places], self._noise[kept]
        return chosen[kept]

    def _append(self, row: Row, token: int) -> bool:
        """Add a token to a row; whether it ended with it."""
        row.tokens.append(token)
        if token in self._ends:
            row.text, row.finish_reason = self._decode(row.tokens[:-1]), "stop"
        elif (cut := self._cut(row)) is not None:
            row.text, row.finish_reason = cut, "stop"
        elif len(row.tokens) == self._decoding.max_tokens:
            row.text, row.finish_reason = self._decode(row.tokens), "length"
        return not row.open

    def _cut(self, row: Row) -> str | None:
        """The text before the first stop string, once there is one."""
        if not self._decoding.stop:
            return None
        text = self._decode(row.tokens)
        found = [place for stop in self._decoding.stop if (place := text.find(stop)) >= 0]
        return text[: min(found)] if found else None


def pick(logits: torch.Tensor, decoding: Decoding, noise: torch.Tensor) -> torch.Tensor:
    """One token per row: temperature, then top-k, then top-p, then the inverse of the cumulated probabilities.

    logits: shape (rows, vocabulary). noise: shape (rows,), uniform in [0, 1). Returns shape (rows,).
    """
    if decoding.temperature == 0:
        return logits.argmax(-1)
    chances = torch.softmax(logits.float() / decoding.temperature, -1)
    if decoding.top_k is None and decoding.top_p == 1:
        return _inverse(chances, noise)
    mass, ids = _likeliest(chances, decoding)
    whole = mass.sum(-1, keepdim=True) if decoding.top_k else 1.0
    before = mass.cumsum(-1) - mass
    mass = mass * (before < decoding.top_p * whole)
    return ids.gather(-1, _inverse(mass, noise)[:, None])[:, 0]


def _likeliest(chances: Any, decoding: Decoding) -> Any:
    """The chances and ids of the top-k tokens, or of enough to hold top_p of the mass, in falling order."""
    mass, ids = chances.topk(min(decoding.top_k or HEAD, chances.shape[-1]))
    if decoding.top_k:
        return mass, ids
    if bool((mass.sum(-1) > decoding.top_p).all()):
        return mass, ids
    return chances.sort(-1, descending=True)


def _inverse(mass: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Where the cumulated mass passes the noise; never a place without mass."""
    cumulated = mass.cumsum(-1)
    target = noise[:, None] * cumulated[:, -1:]
    place = torch.searchsorted(cumulated, target, right=True)[:, 0]
    last = (mass > 0).cumsum(-1).argmax(-1)
    return torch.minimum(place, last)


class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # the library is not typed here
    """A cache layer that writes into spare room, where the library's copies all it has for each token."""

    def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Add positions; the keys and values so far, shape (rows, heads, positions, size)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._spare: list[Any] = []
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if not self._spare or self._spare[0].shape[-2] < end or len(self._spare[0]) != len(key_states):
            self._spare = [self._roomier(old, new, end) for old, new in self._sides(key_states, value_states)]
        for spare, new in zip(self._spare, (key_states, value_states), strict=True):
            spare[:, :, start:end] = new
        self.keys, self.values = (spare[:, :, :end] for spare in self._spare)
        return self.keys, self.values

    def batch_select_indices(self, indices: Any) -> None:
        """Keep these rows; the spare room goes."""
        super().batch_select_indices(indices)
        self._spare = []

    def _sides(self, keys: Any, values: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        return (self.keys, keys), (self.values, values)

    def _roomier(self, old: Any, new: Any, end: int) -> Any:
        rows, heads, _, size = new.shape
        spare = new.new_empty(rows, heads, end + ROOM, size)
        if old.numel():
            spare[:, :, : old.shape[-2]] = old
        return spare


def cache_for(config: Any) -> Any:
    """A cache for a model, with room to write where its layers are of the plain kind."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
