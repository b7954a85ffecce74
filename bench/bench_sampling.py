"""Sampling through the openai_api engine beside the same server driven bare, in one run and in turns.

Three servers: llama.cpp with the embedded model, where the model's time counts; a stub that takes a quarter of a second
for every answer, which shows whether the client keeps a server busy, even on a shared machine; and one that answers at
once, where only the client's own work is left, as it is in front of a fast GPU server. Bare is the least that does the
same: httpx, a semaphore, one JSON body per request and no checks. Both arms ask for the same answers with equal seeds.

    python bench/bench_sampling.py --rounds 5
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median

from tools.measure.engines import embedded, open_engine, seed_of
from tools.records import Decoding, Request

DECODING = Decoding(temperature=0.8, top_p=0.95, max_tokens=32, seed=1)
TASKS = (
    "adds two numbers",
    "returns the largest number of a list",
    "reverses a string",
    "counts the vowels of a word",
)
PROMPTS = {f"f{i}": f"Write a Python function f{i} that {task}. Code only." for i, task in enumerate(TASKS)}
SLOTS = 8
STUB_ANSWER = json.dumps(
    {
        "choices": [{"index": 0, "message": {"content": "def f(a):\n    return a\n" * 8}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 32},
        "data": [{"id": "stub"}],
    }
).encode()


def requests(n: int) -> list[Request]:
    return [Request(id=id, prompt=text, indices=tuple(range(n)), total=n) for id, text in PROMPTS.items()]


def ours(url: str, n: int, concurrency: int, per_request: int = 1) -> int:
    engine = open_engine("openai_api", base_urls=url, concurrency=concurrency, per_request=per_request)
    return sum(1 for _ in engine.sample(requests(n), DECODING))


def bare(url: str, n: int, concurrency: int) -> int:
    import httpx

    async def all_of_them() -> int:
        free = asyncio.Semaphore(concurrency)
        async with httpx.AsyncClient(timeout=600) as client:

            async def one(id: str, text: str, index: int) -> int:
                body = {
                    "model": "any",
                    "messages": [{"role": "user", "content": text}],
                    "temperature": DECODING.temperature,
                    "top_p": DECODING.top_p,
                    "max_tokens": DECODING.max_tokens,
                    "seed": seed_of(DECODING.seed, id, index),
                    "top_k": -1,
                    "min_p": 0.0,
                }
                async with free:
                    answer = await client.post(f"{url}/chat/completions", json=body)
                return len(answer.json()["choices"])

            asked = (one(id, text, index) for id, text in PROMPTS.items() for index in range(n))
            return sum(await asyncio.gather(*asked))

    return asyncio.run(all_of_them())


def serve_llama(threads: int) -> None:
    """A llama.cpp server in this process until standard input ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(embedded.gguf_file())
    params.n_parallel, params.n_ctx, params.port, params.verbosity = SLOTS, SLOTS * 512, 0, -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


def serve_stub(pause: float, _: int) -> None:
    """A server that answers every request the same, after a pause, until standard input ends."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(STUB_ANSWER)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while header := await reader.readuntil(b"\r\n\r\n"):
            fields = dict(line.split(b": ", 1) for line in header.lower().split(b"\r\n")[1:] if b": " in line)
            await reader.readexactly(int(fields.get(b"content-length", 0)))
            await asyncio.sleep(pause if header.startswith(b"POST") else 0)
            writer.write(head + STUB_ANSWER)

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
        await asyncio.to_thread(sys.stdin.read)

    asyncio.run(run())


SERVERS: dict[str, Callable[[int], None]] = {
    "llama": serve_llama,
    "pausing": partial(serve_stub, 0.25),
    "stub": partial(serve_stub, 0.0),
}


@contextmanager
def serving(name: str, threads: int) -> Iterator[str]:
    command = [sys.executable, __file__, "--serve", name, "--threads", str(threads)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()


def timed(run: Callable[[], int]) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds of this process, answers."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    answers = run()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, answers


def compared(arms: dict[str, Callable[[], int]], rounds: int) -> None:
    """Rounds of every arm in turn, the order reversed each time; the first is not counted. Ratios are by round."""
    seen: dict[str, list[tuple[float, float, int]]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name in list(arms)[:: -1 if turn % 2 else 1]:
            measured = timed(arms[name])
            if turn:
                seen[name].append(measured)
    base = [answers / wall for wall, _, answers in seen["bare httpx"]]
    for name, rows in seen.items():
        rates = [answers / wall for wall, _, answers in rows]
        ratios = [rate / least for rate, least in zip(rates, base, strict=True)]
        cpu = [1000 * seconds / answers for _, seconds, answers in rows]
        print(f"| {name} | {spread(rates)} | {spread(ratios)} | {spread(cpu)} |", flush=True)


def spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--answers", type=int, default=8, help="per prompt, from llama.cpp; the stubs give more")
    parser.add_argument("--threads", type=int, default=2, help="of llama.cpp; they spin, so fewer on a busy machine")
    parser.add_argument("--only", choices=SERVERS)
    parser.add_argument("--serve", choices=SERVERS)
    arguments = parser.parse_args()
    if arguments.serve:
        SERVERS[arguments.serve](arguments.threads)
        return
    answers = arguments.answers
    for server, n, concurrency in (
        ("llama", answers, SLOTS),
        ("pausing", 8 * answers, SLOTS),
        ("stub", 64 * answers, 64),
    ):
        if arguments.only not in (None, server):
            continue
        with serving(server, arguments.threads) as url:
            print(f"\n{server}, {n} answers to each of {len(PROMPTS)} prompts, {concurrency} requests at a time\n")
            print("| client | answers per second | of bare | client CPU, ms per answer |\n|---|---|---|---|")
            arms = {
                "bare httpx": partial(bare, url, n, concurrency),
                "openai_api": partial(ours, url, n, concurrency),
            }
            if server == "llama":
                arms["openai_api, 4 answers per request"] = partial(ours, url, n, concurrency // 4, 4)
            compared(arms, arguments.rounds)


if __name__ == "__main__":
    main()
