"""What answers are sampled from, behind one protocol.

An engine is a file of this folder and one row of ENGINES. It yields samples as they finish, in any order, and asks for
nothing but the numbers that a request names; keeping what was drawn is the caller's work (tools.measure.sampling).
Heavy libraries are imported where an engine is opened, not here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from tools.errors import InvalidInput
from tools.records import Decoding, Request, Sample
from tools.runs import OUTPUT, TRAINING
from tools.store import canonical, digest

ENGINES = {
    "scripted": "scripted:Scripted",
    "openai_api": "openai_api:OpenAIAPI",
    "transformers_local": "transformers_local:TransformersLocal",
    "vllm_local": "vllm_local:VLLMLocal",
}
Identity = dict[str, Any]


class Engine(Protocol):
    """A model that answers prompts.

    Requests with no open indices are passed in too: an engine that draws in fixed batches needs them to draw the same
    again. Raises EngineFailed where no usable answer comes; what was yielded before stays good.
    """

    def identity(self) -> Identity:
        """All that a run is bound to: engine, version, model, weights, chat template, dtype. Holds no secret."""

    def rendered(self, prompt: str) -> str:
        """One prompt exactly as the model sees it, special tokens included, as far as the engine can tell."""

    def sample(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[Sample]:
        """The samples asked for, each once."""

    def close(self) -> None:
        """Give back processes, memory and connections."""


def open_engine(name: str, **settings: Any) -> Engine:
    """The engine of that name. Raises InvalidInput for an unknown name or settings it does not have."""
    if name not in ENGINES:
        raise InvalidInput(f"there is no engine {name!r}", f"one of {', '.join(ENGINES)}", where="engine")
    module, _, kind = ENGINES[name].partition(":")
    loader = getattr(import_module(f"{__name__}.{module}"), kind)
    try:
        inspect.signature(loader).bind(**settings)
    except TypeError as error:
        known = ", ".join(inspect.signature(loader).parameters)
        raise InvalidInput(str(error), f"settings among {known}", where=f"engine {name}") from error
    engine: Engine = loader(**settings)
    return engine


def trained_in(run: Path) -> dict[str, str]:
    """Settings of an engine for the model that was trained in this run, whose answers belong there; {} for none."""
    output = run / TRAINING / OUTPUT
    if not output.exists():
        return {}
    return {"adapter" if (output / "adapter_config.json").exists() else "model": str(output)}


def seed_of(seed: int, id: str, index: int) -> int:
    """The seed of one sample: 31 bits, which every server and library takes, from what names it."""
    return int(digest(canonical([seed, id, index]))[:8], 16) >> 1
