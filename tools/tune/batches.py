"""Rows as tokens, checked before the first step, and the order in which they are trained.

A prompt is tokenised as the sampled model saw it, the completion after it on its own, as it was generated; then comes
the token that ends an answer. Loss falls on completion and end. An answer that was cut off gets no end: the model did
not say it there. Batches hold rows of like length, in an order that follows from the seed alone. No torch in here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.errors import InvalidInput
from tools.store import digest
from tools.tune.rows import Origin, Pair

IntArray = NDArray[np.int64]
# batches of one window are sorted by length: enough to save padding, few enough to stay shuffled
WINDOW = 32
# text that no template holds and no tokeniser splits in an odd way
SENTINEL = "answer"


@dataclass(frozen=True)
class Line:
    """One row as tokens; from `start` on they are targets. cut: tokens that max_seq_length left out."""

    ids: IntArray
    start: int
    cut: int = 0

    @property
    def targets(self) -> int:
        """Tokens that the loss falls on."""
        return len(self.ids) - max(self.start, 1)


def rendered(tokenizer: Any, prompt: str) -> str:
    """The prompt as the model sees it: in its chat template where it has one."""
    if not tokenizer.chat_template:
        return prompt
    asked = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True))


def end_token(tokenizer: Any) -> int:
    """The token that ends an answer: what the chat template puts there, else the tokeniser's own end.

    They differ for models whose turns end otherwise than their documents. Raises InvalidInput where there is none.
    """
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": SENTINEL}, {"role": "assistant", "content": SENTINEL}]
        after = str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition(SENTINEL)[2]
        first = tokenizer(after.lstrip(), add_special_tokens=False)["input_ids"][:1]
        if first and first[0] in tokenizer.all_special_ids:
            return int(first[0])
    if tokenizer.eos_token_id is None:
        raise InvalidInput("the tokeniser has no token that ends an answer", "an eos_token", "set it in its config")
    return int(tokenizer.eos_token_id)


def as_sampled(tokenizer: Any, origin: Origin) -> Any:
    """The tokeniser, set to show prompts as they were shown when the answers were drawn.

    Raises InvalidInput where it cannot, or where nobody knows how they were shown.
    """
    if origin.bare:
        tokenizer.chat_template = None
        return tokenizer
    template, known = tokenizer.chat_template, origin.chat_template_sha256
    # engines hash the text of a template, or its JSON
    proofs = [known in (digest(template or ""), digest(json.dumps(template)))] if known else []
    proofs += [rendered(tokenizer, origin.rendered[0]) == origin.rendered[1]] if origin.rendered else []
    if not (proofs and all(proofs)):
        seen = f"the samples were drawn under chat template {(known or 'unknown')[:12]}"
        do = "train with the tokeniser that was sampled with, or sample anew"
        raise InvalidInput(seen, "the tokeniser's own", do, where="chat template")
    return tokenizer


def encode(tokenizer: Any, pairs: Sequence[Pair], longest: int) -> list[Line]:
    """Tokens of every row, at most `longest` of them: what exceeds it is cut off the completion's end, and counted.

    Raises InvalidInput where a prompt leaves no room for its answer.
    """
    shown = [rendered(tokenizer, pair.prompt) for pair in pairs]
    # a template writes its own special tokens; a bare prompt gets those the tokeniser adds when sampling
    heads = tokenizer(shown, add_special_tokens=not tokenizer.chat_template)["input_ids"]
    tails = tokenizer([pair.completion for pair in pairs], add_special_tokens=False)["input_ids"]
    end = end_token(tokenizer)
    return [
        _line(head, tail + [end] * pair.ended, longest, number)
        for number, (head, tail, pair) in enumerate(zip(heads, tails, pairs, strict=True))
    ]


def _line(head: list[int], tail: list[int], longest: int, number: int) -> Line:
    if len(head) >= longest:
        seen, do = f"a prompt of {len(head)} tokens", "raise max_seq_length"
        raise InvalidInput(seen, f"fewer than {longest}, with room for an answer", do, where=f"row {number + 1}")
    whole = np.array(head + tail, np.int64)
    return Line(whole[:longest], len(head), max(0, len(whole) - longest))


def check_mask(tokenizer: Any, lines: Sequence[Line], pairs: Sequence[Pair]) -> None:
    """Raise InvalidInput unless the targets of every row are its completion and, where it ended, the end token.

    White space is not compared, since some tokenisers put a space in front of a text.
    """
    end = end_token(tokenizer)
    for number, (line, pair) in enumerate(zip(lines, pairs, strict=True), 1):
        ended = pair.ended and not line.cut
        tail = line.ids[line.start :]
        if ended and (not len(tail) or tail[-1] != end):
            raise InvalidInput("the loss does not reach the end token", f"token {end}", where=f"row {number}")
        said = "".join(tokenizer.decode(tail[:-1] if ended else tail).split())
        wanted = "".join(pair.completion.split())
        if not (said == wanted or (line.cut and wanted.startswith(said.rstrip("\ufffd")))):
            do = "use the tokeniser of the model that was sampled"
            raise InvalidInput("the targets decode to another text", "the completion", do, where=f"row {number}")
    if not any(line.targets for line in lines):
        raise InvalidInput("no row has a token to learn", "completions", "look at the samples")


def example(tokenizer: Any, lines: Sequence[Line]) -> str:
    """The first row with something to learn, decoded, special tokens and all; what the loss falls on is marked."""
    line = next(line for line in lines if line.targets)
    head, tail = tokenizer.decode(line.ids[: line.start]), tokenizer.decode(line.ids[line.start :])
    return f"{head}\n>>> the loss begins here\n{tail}\n<<< and ends here\n"


def epoch_order(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[IntArray]:
    """Rows of every optimiser step of one epoch; each row once. batch: rows per step, over all devices.

    Shuffled, sorted by length within windows of WINDOW steps, cut into steps, and the steps shuffled again.
    """
    rng = np.random.default_rng([seed, epoch])
    order, size = rng.permutation(len(lengths)), np.asarray(lengths)
    steps: list[IntArray] = []
    for begin in range(0, len(order), batch * WINDOW):
        window = order[begin : begin + batch * WINDOW]
        window = window[np.argsort(-size[window], kind="stable")]
        steps += [window[i : i + batch] for i in range(0, len(window), batch)]
    return [steps[i] for i in rng.permutation(len(steps))]


def schedule(lengths: Sequence[int], batch: int, seed: int, epochs: float) -> Iterator[IntArray]:
    """Rows of every step of the whole run; a broken last epoch ends early."""
    per_epoch = -(-len(lengths) // batch)
    left, epoch = total_steps(len(lengths), batch, epochs), 0
    while left > 0:
        yield from epoch_order(lengths, batch, seed, epoch)[:left]
        left, epoch = left - per_epoch, epoch + 1


def total_steps(rows: int, batch: int, epochs: float) -> int:
    """Optimiser steps of the whole run, at least one."""
    return max(1, round(epochs * -(-rows // batch)))


def padded(lines: Sequence[Line]) -> tuple[IntArray, IntArray]:
    """Tokens and targets, shape (rows, longest - 1): the target of a place is the next token, -1 where no loss falls.

    Padding is on the right and needs no mask: causal attention never looks there.
    """
    width = max(len(line.ids) for line in lines)
    ids, targets = np.zeros((len(lines), width), np.int64), np.full((len(lines), width), -1, np.int64)
    for row, line in enumerate(lines):
        ids[row, : len(line.ids)] = line.ids
        targets[row, line.start : len(line.ids)] = line.ids[line.start :]
    return ids[:, :-1], targets[:, 1:]
