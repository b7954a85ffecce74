"""vllm across the pipe: a stand-in for the library shows what it was asked; the library itself where there is one.

The stand-in is a `vllm` package (and a tokenizer) written to a folder that the worker's interpreter finds first.
"""

from __future__ import annotations

import json
import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tools.errors import EngineFailed, InvalidInput
from tools.measure.engines import Engine, embedded, open_engine
from tools.measure.sampling import sample
from tools.records import Decoding, Request

VLLM = """
import asyncio, os, pathlib
from types import SimpleNamespace
from vllm.sampling_params import SamplingParams

__version__ = "0.99"
print("a banner on standard output")


def AsyncEngineArgs(**settings):
    return settings


class AsyncLLMEngine:
    def __init__(self, settings):
        self.settings = settings

    @classmethod
    def from_engine_args(cls, settings):
        pathlib.Path("CHILD").write_text(str(os.getpid()))
        return cls(settings)

    async def generate(self, prompt, params, request_id, lora_request=None):
        text = bytes(prompt["prompt_token_ids"]).decode()
        await asyncio.sleep(0.01)
        if "too long" in text:
            raise ValueError("longer than the model")
        if "crash" in text:
            raise RuntimeError("EngineDeadError: out of memory")
        said = f"{text}|{self.settings}|{vars(params)}|{lora_request}"
        many = range(params.n)
        outputs = [SimpleNamespace(text=f"{said}|{i}", token_ids=[1] * 5, finish_reason="stop") for i in many]
        yield SimpleNamespace(outputs=outputs)
"""
SAMPLING = """
from types import SimpleNamespace

RequestOutputKind = SimpleNamespace(FINAL_ONLY="final")


class SamplingParams:
    def __init__(self, **settings):
        self.__dict__.update(settings)
"""
LORA = "def LoRARequest(name, number, path):\n    return f'{name} {number} {path}'\n"
TRANSFORMERS = """
class AutoTokenizer:
    chat_template = "a template"

    @classmethod
    def from_pretrained(cls, folder):
        return cls()

    def apply_chat_template(self, messages, tokenize, add_generation_prompt):
        return f"<user>{messages[0]['content']}<bot>"

    def __call__(self, text, add_special_tokens):
        return {"input_ids": list((("<s>" if add_special_tokens else "") + text).encode())}
"""
WARM = Decoding(temperature=0.8, top_p=0.9, max_tokens=16, seed=7, stop=("x",))


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder, with the stand-in in front of whatever the worker's interpreter has."""
    files = {
        "vllm/__init__.py": VLLM.replace("CHILD", str(tmp_path / "child")),
        "vllm/sampling_params.py": SAMPLING,
        "vllm/lora/__init__.py": "",
        "vllm/lora/request.py": LORA,
        "transformers.py": TRANSFORMERS,
        "model/model.safetensors": "weights",
        "adapter/adapter_model.safetensors": "more weights",
        "adapter/adapter_config.json": json.dumps({"r": 64}),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def opened(stand_in: Path, **settings: Any) -> Engine:
    return open_engine("vllm_local", model=stand_in / "model", **settings)


def asked(*prompts: str, n: int = 2) -> list[Request]:
    return [Request(id=prompt, prompt=prompt, indices=tuple(range(n)), total=n) for prompt in prompts]


def test_samples_cross_the_pipe_with_their_names_and_counts(stand_in: Path) -> None:
    samples = list(opened(stand_in).sample(asked("a", "é\u2028b", n=3), WARM))
    assert sorted((one.id, one.index) for one in samples) == [(id, i) for id in ("a", "é\u2028b") for i in range(3)]
    assert {(one.tokens, one.finish_reason, one.seed) for one in samples} == {(5, "stop", None)}
    assert all(one.text.startswith(f"<user>{one.id}<bot>|") and one.text.endswith(f"|{one.index}") for one in samples)


def test_settings_decoding_and_adapter_reach_vllm(stand_in: Path) -> None:
    engine = opened(
        stand_in,
        adapter=stand_in / "adapter",
        tensor_parallel_size=4,
        data_parallel_size=2,
        engine_args={"max_model_len": 512},
    )
    text = next(engine.sample(asked("a"), WARM)).text
    parts = ["'tensor_parallel_size': 4", "'data_parallel_size': 2", "'max_model_len': 512", "'dtype': 'auto'"]
    parts += ["'enable_lora': True", "'max_lora_rank': 64", f"adapter 1 {stand_in / 'adapter'}"]
    parts += ["'temperature': 0.8", "'top_p': 0.9", "'top_k': -1", "'max_tokens': 16", "'stop': ['x']", "'n': 2"]
    assert [part for part in parts if part not in text] == []


def test_many_answers_of_one_prompt_are_drawn_in_parts(stand_in: Path) -> None:
    samples = list(opened(stand_in).sample(asked("a", n=40), WARM))
    assert sorted(one.index for one in samples) == list(range(40))


def engine_seed(text: str) -> str:
    return text.split("'seed': ")[1].split(",")[0].split("}")[0]


def test_a_run_that_grows_draws_with_another_seed(stand_in: Path) -> None:
    engine = opened(stand_in)
    rest = [request.model_copy(update={"indices": (2, 3)}) for request in asked("a", "b")]
    sittings = [list(engine.sample(requests, WARM)) for requests in (asked("a", "b"), rest, asked("a", "b"))]
    seeds = [{engine_seed(one.text) for one in samples} for samples in sittings]
    assert [len(one) for one in seeds] == [1, 1, 1]
    assert seeds[0] == seeds[2] != seeds[1]


def test_a_prompt_is_shown_as_the_model_sees_it(stand_in: Path) -> None:
    assert opened(stand_in).rendered("a") == "<user>a<bot>"
    bare = opened(stand_in, chat=False)
    assert bare.rendered("a") == "a"
    assert next(bare.sample(asked("a"), WARM)).text.startswith("<s>a|")
    assert bare.rendered("b") == "b"


def test_the_identity_binds_weights_adapter_template_and_settings(stand_in: Path) -> None:
    plain = opened(stand_in).identity()
    adapted = opened(stand_in, adapter=stand_in / "adapter").identity()
    bare = opened(stand_in, chat=False, tensor_parallel_size=2).identity()
    assert plain["version"] == "0.99"
    assert len(plain["weights_sha256"]) == 64
    assert {key for key in plain if plain[key] != adapted[key]} == {"adapter_sha256"}
    assert {key for key in plain if plain[key] != bare[key]} == {"chat_template_sha256", "engine_args"}


def test_a_refused_prompt_is_told_after_all_others_were_drawn(stand_in: Path) -> None:
    received = []
    samples = opened(stand_in).sample(asked("too long", "b", "c"), WARM)
    with pytest.raises(EngineFailed, match=r"refused 1 requests, the first too long: longer than the model"):
        received.extend(samples)
    assert len(received) == 4


def test_an_engine_that_dies_is_told_with_its_last_words(stand_in: Path) -> None:
    samples = opened(stand_in).sample(asked("crash", *"bcdefgh"), WARM)
    with pytest.raises(EngineFailed, match=r"ended with status 1: RuntimeError: EngineDeadError: out of memory"):
        list(samples)


def test_an_interpreter_without_vllm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vllm.py").write_text("raise ModuleNotFoundError(\"No module named 'vllm'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineFailed, match="No module named 'vllm'"):
        open_engine("vllm_local", model=tmp_path)
    with pytest.raises(InvalidInput, match="no such interpreter"):
        open_engine("vllm_local", model=tmp_path, python=tmp_path / "python")


def test_a_caller_who_stops_leaves_no_process(stand_in: Path) -> None:
    samples = opened(stand_in).sample(asked(*map(str, range(200))), WARM)
    next(samples)
    samples.close()
    worker = int((stand_in / "child").read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline, "the worker is still there"
        time.sleep(0.01)


def test_a_run_goes_on_where_it_was(stand_in: Path, tmp_path: Path) -> None:
    prompts = {id: id for id in "abc"}
    assert sample(tmp_path / "run", prompts, opened(stand_in), WARM, 2).done == 6
    assert sample(tmp_path / "run", prompts, opened(stand_in), WARM, 5).done == 15


@pytest.mark.slow
@pytest.mark.skipif(find_spec(embedded.PACKAGE) is None, reason=embedded.INSTALL)
def test_vllm_itself_draws_and_grows(tmp_path: Path) -> None:
    python = os.environ.get("STRATEGIST_VLLM_PYTHON")
    if not python:
        pytest.skip("STRATEGIST_VLLM_PYTHON names no interpreter with vllm")
    engine = open_engine(
        "vllm_local",
        model=embedded.model_folder(),
        python=python,
        dtype="float32",
        engine_args={"max_model_len": 512, "enforce_eager": True},
    )
    prompts = {"add": "Write a Python function add(a, b) that returns a + b. Code only."}
    decoding = Decoding(temperature=0.8, top_p=0.95, max_tokens=24, seed=1)
    for n in (4, 8):
        assert sample(tmp_path, prompts, engine, decoding, n).done == n
    texts = [json.loads(line)["text"] for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert texts[:4] != texts[4:]
    assert sum("def " in text for text in texts) >= 4
