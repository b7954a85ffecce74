"""The other side of vllm_local: a program that runs where vllm lives, and speaks JSON lines on its pipes.

Started by its file, it needs vllm and transformers and nothing of ours. Its argument is the settings; it says what it
found, renders prompts, and on a sampling order starts the engine and draws what the following lines ask for. When its
input ends, it ends, and every process of its group with it. What the libraries print goes to standard error.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

# requests under way: enough to fill the engine's batches, few enough to hold in memory
UNDER_WAY = 1024
DEFAULTS = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
Row = dict[str, Any]
Tell = Callable[[Row], None]


def main() -> None:
    """Answer the parent until it goes away."""
    settings = json.loads(sys.argv[1])
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # prints of the libraries must not end up between our lines
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lines: queue.Queue[str] = queue.Queue(UNDER_WAY)
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    asyncio.run(_serve(settings, lines, lambda row: print(json.dumps(row), file=answers, flush=True)))


def _listen(lines: queue.Queue[str]) -> None:
    """Pass lines on; without a parent there is nobody to work for."""
    for line in sys.stdin:
        lines.put(line)
    os.killpg(os.getpgrp(), signal.SIGKILL)


async def _serve(settings: Row, lines: queue.Queue[str], tell: Tell) -> None:
    import vllm

    prompts = Prompts(settings)
    tell({"version": vllm.__version__, "chat_template_sha256": prompts.template_sha256})
    while True:
        order = await _next(lines)
        if "render" in order:
            tell({"rendered": prompts.render(order["render"])})
        else:
            await _sample(settings, order, lines, prompts, tell)


async def _next(lines: queue.Queue[str]) -> Any:
    return json.loads(await asyncio.to_thread(lines.get))


class Prompts:
    """Prompts to text and tokens, through the chat template or without."""

    def __init__(self, settings: Row) -> None:
        from transformers import AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(settings["model"])
        self._template = self._tokenizer.chat_template if settings["chat"] is not False else None
        if settings["chat"] and not self._template:
            raise SystemExit("the model has no chat template; leave chat out")

    @property
    def template_sha256(self) -> str | None:
        """sha256 of the chat template; None where none is used."""
        return hashlib.sha256(json.dumps(self._template).encode()).hexdigest() if self._template else None

    def render(self, prompt: str) -> str:
        """The text that the model sees."""
        if not self._template:
            return prompt
        says = [{"role": "user", "content": prompt}]
        return str(self._tokenizer.apply_chat_template(says, tokenize=False, add_generation_prompt=True))

    def tokens(self, prompt: str) -> list[int]:
        """The tokens that the model sees."""
        return list(self._tokenizer(self.render(prompt), add_special_tokens=not self._template)["input_ids"])


async def _sample(settings: Row, order: Row, lines: queue.Queue[str], prompts: Prompts, tell: Tell) -> None:
    """Draw what the lines ask for, until one is null; then say that it is done."""
    import vllm

    engine = vllm.AsyncLLMEngine.from_engine_args(vllm.AsyncEngineArgs(**_engine_args(settings, order["seed"])))
    drawing = partial(_draw, engine, order["decoding"], _adapter(settings), prompts, tell)
    failed: list[BaseException] = []
    free, running = asyncio.Semaphore(UNDER_WAY), set()

    def finished(task: asyncio.Task[None]) -> None:
        running.discard(task)
        free.release()
        failed.extend(filter(None, [task.exception()]))

    while not failed and (asked := await _next(lines)):
        await free.acquire()
        running.add(task := asyncio.create_task(drawing(asked)))
        task.add_done_callback(finished)
    await asyncio.gather(*running, return_exceptions=True)
    if failed:
        raise failed[0]
    tell({"done": True})


def _engine_args(settings: Row, seed: int) -> Row:
    own: Row = {"model": settings["model"], "seed": seed}
    if settings["adapter"]:
        with open(os.path.join(settings["adapter"], "adapter_config.json"), encoding="utf-8") as config:
            own |= {"enable_lora": True, "max_lora_rank": json.load(config)["r"]}
    return {**own, **settings["engine_args"]}


def _adapter(settings: Row) -> Any:
    from vllm.lora.request import LoRARequest

    return LoRARequest("adapter", 1, settings["adapter"]) if settings["adapter"] else None


async def _draw(engine: Any, decoding: Row, adapter: Any, prompts: Prompts, tell: Tell, asked: Row) -> None:
    """All samples of one prompt that one line asks for; a prompt that cannot be answered is told as an error."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    indices, tokens = asked["indices"], prompts.tokens(asked["prompt"])
    params = SamplingParams(n=len(indices), output_kind=RequestOutputKind.FINAL_ONLY, **decoding)
    name = f"{asked['id']}/{indices[0]}"
    try:
        async for output in engine.generate({"prompt_token_ids": tokens}, params, name, lora_request=adapter):
            final = output
    except ValueError as error:
        tell({"error": f"{asked['id']}: {error}"})
        return
    for index, one in zip(indices, final.outputs, strict=True):
        row = {"id": asked["id"], "index": index, "text": one.text, "finish_reason": one.finish_reason}
        tell(row | {"tokens": len(one.token_ids), "prompt_tokens": len(tokens)})


if __name__ == "__main__":
    main()
