"""A model of the transformers library in this process: the default where there is no GPU and no server.

What is guaranteed. A sample's random numbers come from (seed, id, index) alone. The arithmetic of a row depends, in its
last bits, on the rows beside it; so batches follow from what is asked in all (ids, prompts, totals, decoding, rows) and
not from what is still open: a batch with an open sample is drawn whole, and only the open ones are yielded. On one
machine, with the same libraries and number of threads, a run that was killed ends in the texts it would have had.

Rows of one prompt share its prefill, prompts of like length share a batch, rows that ended leave it. No hub is asked: a
model is a folder, or the embedded one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.errors import EngineFailed, InvalidInput
from tools.measure.engines import Identity, embedded, seed_of
from tools.records import Decoding, Request, Sample
from tools.store import at_home, digest

EMBEDDED = "embedded"
# samples of one prompt beside each other; a run that grows by multiples of this draws nothing twice
BLOCK = 8
# token positions per row that a batch has memory for; longer prompts and answers make smaller batches
SPAN = 256
Batch = list[tuple[str, int]]


class TransformersLocal:
    """Samples from a model folder.

    model: a folder with weights and tokenizer, or `embedded`. adapter: a PEFT folder, merged into the weights. rows:
    answers drawn at once. chat: whether prompts go through the chat template, by default where there is one. dtype: by
    default bfloat16 on a GPU that has it, else float32.
    """

    def __init__(
        self,
        model: str | Path = EMBEDDED,
        *,
        adapter: str | Path | None = None,
        rows: int = 128,
        chat: bool | None = None,
        dtype: str | None = None,
    ) -> None:
        if rows < BLOCK:
            raise InvalidInput(f"{rows} rows", f"{BLOCK} or more", where="engine transformers_local")
        own = str(model) == EMBEDDED
        self._name = embedded.NAME if own else Path(model).name
        self._folder = embedded.model_folder() if own else folder_of(model)
        self._adapter = None if adapter is None else folder_of(adapter)
        self._rows = rows
        self._load(dtype)
        self._template = self._tokenizer.chat_template if chat is not False else None
        if chat and not self._template:
            raise InvalidInput(f"{self._name} has no chat template", "one", "leave chat out", where="chat")

    def identity(self) -> Identity:
        """Weights and adapter by the sha256 of their files; library, device and rows, since texts depend on them."""
        return dict(self._identity)

    def rendered(self, prompt: str) -> str:
        """The prompt in the tokenizer's chat template, or as it is where none is used."""
        if not self._template:
            return prompt
        says = [{"role": "user", "content": prompt}]
        return str(self._tokenizer.apply_chat_template(says, tokenize=False, add_generation_prompt=True))

    def sample(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[Sample]:
        """The open samples, batch by batch. Raises EngineFailed for a prompt that leaves no room for an answer."""
        prompts = {request.id: self._tokens(request, decoding) for request in requests}
        wanted = {request.id: frozenset(request.indices) for request in requests}
        lengths = {id: len(tokens) + decoding.max_tokens for id, tokens in prompts.items()}
        for batch in batches(requests, lengths, self._rows):
            if any(index in wanted[id] for id, index in batch):
                drawn = self._draw(batch, prompts, decoding)
                yield from (one for one in drawn if one.index in wanted[one.id])

    def close(self) -> None:
        """Let go of the weights."""
        del self._model

    @cached_property
    def _identity(self) -> Identity:
        import transformers

        return {
            "engine": "transformers_local",
            "version": transformers.__version__,
            "model": self._name,
            "weights_sha256": weights_sha256(self._folder),
            "adapter_sha256": weights_sha256(self._adapter) if self._adapter else None,
            "chat_template_sha256": digest(json.dumps(self._template)) if self._template else None,
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "device": self._model.device.type,
            "rows": self._rows,
        }

    def _load(self, dtype: str | None) -> None:
        torch, transformers = embedded.libraries()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        fast = device == "cuda" and torch.cuda.is_bf16_supported()
        kind = dtype or ("bfloat16" if fast else "float32")
        try:
            model = transformers.AutoModelForCausalLM.from_pretrained(self._folder, dtype=kind, local_files_only=True)
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            what = "weights, config and tokenizer of one model"
            raise InvalidInput(f"no model is here ({error})", what, where=str(self._folder)) from error
        self._model = self._merged(model).to(device).eval()

    def _merged(self, model: Any) -> Any:
        """The model with the adapter in its weights: as a side path it would cost at every token."""
        if self._adapter is None:
            return model
        try:
            import peft
        except ImportError as error:
            raise EngineFailed("peft is not installed; pip install 'ssd-strategist[train]'") from error
        try:
            return peft.PeftModel.from_pretrained(model, self._adapter).merge_and_unload()
        except (OSError, ValueError, RuntimeError) as error:
            raise InvalidInput(f"no adapter of {self._name} ({error})", "one", where=str(self._adapter)) from error

    @cached_property
    def _ends(self) -> frozenset[int]:
        named = self._model.generation_config.eos_token_id
        listed = named if isinstance(named, list) else [named]
        return frozenset(token for token in (*listed, self._tokenizer.eos_token_id) if token is not None)

    def _tokens(self, request: Request, decoding: Decoding) -> list[int]:
        shown = self._tokenizer(self.rendered(request.prompt), add_special_tokens=not self._template)
        tokens, room = list(shown.input_ids), self._model.config.max_position_embeddings - decoding.max_tokens
        if not 0 < len(tokens) <= room:
            raise EngineFailed(f"{request.id}: the prompt has {len(tokens)} tokens; 1 to {room} leave room to answer")
        return tokens

    def _draw(self, batch: Batch, prompts: dict[str, list[int]], decoding: Decoding) -> Iterator[Sample]:
        """Every sample of a batch, as it ends."""
        from tools.measure.engines.generation import Drawing, Row

        rows = [Row(id, index, prompts[id], seed_of(decoding.seed, id, index)) for id, index in batch]
        drawing = Drawing(self._model, rows, decoding, self._ends, self._decode)
        while drawing.going:
            for row in drawing.step():
                yield Sample(
                    id=row.id,
                    index=row.index,
                    text=row.text,
                    finish_reason=row.finish_reason,
                    tokens=len(row.tokens),
                    prompt_tokens=len(row.prompt),
                    seed=row.seed,
                )

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))


def batches(requests: Sequence[Request], lengths: dict[str, int], rows: int) -> Iterator[Batch]:
    """What is drawn together, open or not: block after block of indices, prompts of like length side by side.

    lengths: token positions per id, answer included. A batch has at most `rows` rows, and fewer where they are long.
    """
    ordered = sorted(requests, key=lambda request: (lengths[request.id], request.id))
    totals = {request.id: request.total or max(request.indices, default=-1) + 1 for request in requests}
    for start in range(0, max(totals.values(), default=0), BLOCK):
        batch: Batch = []
        for request in ordered:
            unit = [(request.id, index) for index in range(start, min(start + BLOCK, totals[request.id]))]
            size = len(batch) + len(unit)
            if batch and (size > rows or size * lengths[request.id] > rows * SPAN):
                yield batch
                batch = []
            batch += unit
        if batch:
            yield batch


def folder_of(path: str | Path) -> Path:
    """A model's or an adapter's folder. Raises InvalidInput where there is none."""
    folder = at_home(path)
    if not folder.is_dir():
        raise InvalidInput("there is no such folder", "a model folder on this machine", where=str(path))
    return folder


def weights_sha256(folder: Path) -> str:
    """One sha256 over the weight files of a folder, by name and content."""
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    return digest(json.dumps([[file.name, _sha256(file)] for file in files]))


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
