"""Fine-tuning a tiny model: refused unsealed, right to the token, exact after a kill, alike in one process and two."""
# ruff: noqa: E402 -- what follows importorskip needs what it looks for

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("peft", reason="the extra `train` is not installed")

from test_gates import SEALED
from test_plan import changed
from tiny_model import TEMPLATE, tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from tools.errors import AntiPattern, InvalidInput, TrainingFailed
from tools.measure import sampling
from tools.measure.engines import Request
from tools.measure.engines.transformers_local import TransformersLocal
from tools.records import Counts, Decoding, Sample
from tools.runs import OUTPUT, TRAINING, Run
from tools.stats import compare
from tools.store import digest
from tools.tune import batches, learner, rows, training, weights
from tools.tune.plan import Plan

PLANNED = {
    "method": "lora",
    "learning_rate": 2e-3,
    "lora_r": 64,
    "per_device_train_batch_size": 4,
    "save_steps": 3,
    "lora_dropout": 0.1,
}
FULL = {"method": "full", "learning_rate": 1e-3, "per_device_train_batch_size": 4, "save_steps": 3}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "base")


def plan(**settings: Any) -> Plan:
    return changed(training=PLANNED | settings if settings.get("method") != "full" else settings)


def answers(count: int = 40) -> list[rows.Drawn]:
    """Answers of many lengths, one in four cut off, the first one empty."""
    texts = ["return x + 1\n" * (i % 7) for i in range(count)]
    return [
        rows.Drawn(
            prompt=f"Write f{i // 4}.",
            sample=Sample(id=f"p{i // 4:02}", index=i % 4, text=text, finish_reason="length" if i % 4 == 3 else "stop"),
        )
        for i, text in enumerate(texts)
    ]


def ready(folder: Path, base: Path, planned: Plan, drawn: list[rows.Drawn] | None = None, **origin: Any) -> Run:
    """A run with the rows of the minimal arm."""
    known = {
        "base_sha256": weights.weights_sha256(base),
        "decoding": Decoding(temperature=0.8, top_p=0.95, max_tokens=96),
        "chat_template_sha256": digest(TEMPLATE),
    }
    run = Run(folder, {"rows": "of a test"})
    rows.build(run, planned, answers() if drawn is None else drawn, rows.Origin.model_validate(known | origin))
    return run


def output(run: Run) -> Path:
    return run.folder / TRAINING / OUTPUT


def weight_bytes(run: Run) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in output(run).glob("*.safetensors")}


# what has to hold before the first step


def test_a_run_without_a_seal_is_refused(tmp_path: Path, base: Path) -> None:
    run = ready(tmp_path, base, plan())
    with pytest.raises(AntiPattern, match="skip_battery"):
        training.train(run, plan(), None, base)
    with pytest.raises(InvalidInput, match="terms were changed"):
        training.train(run, plan(), SEALED.model_copy(update={"sha256": "0" * 64}), base)
    assert not (run.folder / TRAINING).exists()


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ({"chat_template_sha256": digest("another")}, "chat template"),
        ({"chat_template_sha256": None}, "chat template"),
        ({"chat_template_sha256": None, "rendered": ("Hello", "User: Hello")}, "chat template"),
        ({"base_sha256": "0" * 64}, "which was sampled"),
    ],
)
def test_another_template_or_base_than_was_sampled_is_refused(
    tmp_path: Path, base: Path, origin: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        training.train(ready(tmp_path, base, plan(), **origin), plan(), SEALED, base)


SEEN = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("rendered", "template"), [(("Hello", SEEN), TEMPLATE), (("Hello", "Hello"), None)], ids=["in a template", "bare"]
)
def test_prompts_are_shown_in_training_as_the_engine_showed_them(
    base: Path, rendered: tuple[str, str], template: str | None
) -> None:
    origin = rows.Origin(base_sha256=None, decoding=Decoding(temperature=1, max_tokens=9), rendered=rendered)
    tokenizer = batches.as_sampled(AutoTokenizer.from_pretrained(base), origin)
    assert (tokenizer.chat_template, batches.rendered(tokenizer, "Hello")) == (template, rendered[1])


def test_samples_of_the_local_engine_are_known_as_those_of_their_model(tmp_path: Path, base: Path) -> None:
    prompts = {"a": "Write f.", "b": "Write g."}
    engine = TransformersLocal(base, rows=8)
    sampling.sample(tmp_path, prompts, engine, Decoding(temperature=1, max_tokens=8), 4)
    drawn, origin = rows.gather(Run(tmp_path), prompts)
    assert [(d.sample.id, d.prompt) for d in drawn].count(("b", "Write g.")) == 4
    assert origin.plain
    assert weights.same_base(base, origin.base_sha256) == origin.base_sha256
    assert batches.as_sampled(AutoTokenizer.from_pretrained(base), origin).chat_template == TEMPLATE
    whole = (tmp_path / "samples.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "samples.jsonl").write_text("".join(line for line in whole if '"id":"a"' not in line))
    with pytest.raises(InvalidInput, match="no sample of a"):
        rows.gather(Run(tmp_path), prompts)
    with pytest.raises(InvalidInput, match="other prompts"):
        rows.gather(Run(tmp_path), {"a": "Write f.", "b": "Write h."})


def test_a_batch_that_memory_cannot_hold_is_refused_and_a_smaller_one_may_follow(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, large = ready(tmp_path, base, plan()), plan(per_device_train_batch_size=40)
    monkeypatch.setattr(weights, "_free", lambda _: 20_000_000)
    with pytest.raises(InvalidInput, match="of memory needed; expected at most the free 20 MB; lower per_device"):
        training.train(run, large, SEALED, base)
    assert training.train(run, plan(), SEALED, base).steps == 10


def test_a_warm_up_that_never_ends_is_refused(tmp_path: Path, base: Path) -> None:
    with pytest.raises(InvalidInput, match="10 warmup_steps of 10 steps"):
        training.train(ready(tmp_path, base, plan()), plan(warmup_steps=10), SEALED, base)


def test_rows_that_were_cut_are_told_as_a_deviation(tmp_path: Path, base: Path) -> None:
    planned = plan(max_seq_length=80)
    run = ready(tmp_path, base, planned)
    found = training.train(run, planned, SEALED, base)
    assert 0 < found.rows_cut < found.rows
    assert f"- rows.cut: none in the preset, {found.rows_cut} of 40 in this run" in rows.ledger(run)


def test_rows_of_another_arm_than_the_plan_are_refused(tmp_path: Path, base: Path) -> None:
    run = ready(tmp_path, base, plan())
    other = changed(arm={"filter": ("drop_empty",)}, training=PLANNED)
    with pytest.raises(InvalidInput, match="rows of the arm 'minimal'"):
        training.train(run, other, SEALED, base)


def test_a_loss_that_is_no_number_ends_the_run_with_advice(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(learning: Any, ids: Any, targets: Any) -> Any:
        return next(learning.parameters()).sum() * torch.nan

    monkeypatch.setattr(learner.Learner, "forward", broken)
    run = ready(tmp_path, base, plan(**FULL))
    with pytest.raises(TrainingFailed, match="step 1 is nan; expected a number; lower learning_rate"):
        training.train(run, plan(**FULL), SEALED, base)


# rows as tokens


def encoded(base: Path, *pairs: tuple[str, str, bool], longest: int = 256) -> tuple[Any, list[rows.Pair], list[Any]]:
    tokenizer = AutoTokenizer.from_pretrained(base)
    listed = [rows.Pair(prompt=p, completion=c, ended=e) for p, c, e in pairs]
    return tokenizer, listed, batches.encode(tokenizer, listed, longest)


def test_the_loss_falls_on_the_completion_and_its_end_and_on_nothing_else(base: Path) -> None:
    tokenizer, pairs, (whole, cut, empty) = encoded(
        base, ("Hi", "yes é\n", True), ("Hi", "ye", False), ("Hi", "", True)
    )
    head = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(whole.ids[: whole.start]) == head
    assert tokenizer.decode(whole.ids[whole.start :]) == "yes é\n<|im_end|>"
    assert tokenizer.decode(cut.ids[cut.start :]) == "ye"
    assert tokenizer.decode(empty.ids[empty.start :]) == "<|im_end|>"
    batches.check_mask(tokenizer, [whole, cut, empty], pairs)


@pytest.mark.parametrize("harm", ["end", "start", "text"])
def test_a_mask_that_misses_the_completion_or_its_end_is_refused(base: Path, harm: str) -> None:
    tokenizer, pairs, (line,) = encoded(base, ("Hi", "yes", True))
    harmed = {
        "end": batches.Line(line.ids[:-1], line.start),
        "start": batches.Line(line.ids, line.start + 1),
        "text": batches.Line(np.where(line.ids == line.ids[-2], line.ids[-3], line.ids), line.start),
    }[harm]
    with pytest.raises(InvalidInput, match="row 1"):
        batches.check_mask(tokenizer, [harmed], pairs)


def test_a_row_beyond_the_longest_is_cut_counted_and_has_no_end(base: Path) -> None:
    tokenizer, pairs, (line,) = encoded(base, ("Hi", "é" * 60, True), longest=61)
    assert (len(line.ids), line.cut, line.ids[-1] == batches.end_token(tokenizer)) == (61, line.cut, False)
    assert line.cut == line.start + 121 - 61
    batches.check_mask(tokenizer, [line], pairs)
    with pytest.raises(InvalidInput, match="room for an answer"):
        batches.encode(tokenizer, pairs, line.start)


def test_an_answer_ends_with_what_the_template_puts_there_not_with_the_end_of_a_document(tmp_path: Path) -> None:
    document = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "a", eos="<|endoftext|>"))
    assert document.decode([batches.end_token(document)]) == "<|im_end|>"
    bare = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "b", eos="<|endoftext|>", template=None))
    assert bare.decode([batches.end_token(bare)]) == "<|endoftext|>"


@pytest.mark.parametrize(("count", "batch"), [(1, 8), (7, 8), (300, 8), (1000, 3)])
def test_every_epoch_takes_each_row_once_in_an_order_of_its_seed(count: int, batch: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 200, count).tolist()
    first = batches.epoch_order(lengths, batch, 0, 0)
    assert sorted(np.concatenate(first).tolist()) == list(range(count))
    assert [s.tolist() for s in first] == [s.tolist() for s in batches.epoch_order(lengths, batch, 0, 0)]
    if count > batch:
        assert [s.tolist() for s in first] != [s.tolist() for s in batches.epoch_order(lengths, batch, 1, 0)]
        assert [s.tolist() for s in first] != [s.tolist() for s in batches.epoch_order(lengths, batch, 0, 1)]


def test_batches_of_like_length_need_less_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 800)

    def waste(steps: list[Any]) -> float:
        return sum(lengths[s].max() * len(s) for s in steps) / lengths.sum() - 1

    shuffled = np.split(np.random.default_rng(0).permutation(800), 100)
    assert waste(batches.epoch_order(lengths.tolist(), 8, 0, 0)) < 0.1 < 0.5 < waste(shuffled)


def test_a_broken_epoch_ends_early() -> None:
    steps = list(batches.schedule([1] * 10, 4, 0, 2.34))
    assert len(steps) == batches.total_steps(10, 4, 2.34) == 7
    assert batches.total_steps(10, 4, 0.01) == 1


# the loss


def test_the_chunked_loss_and_its_gradients_are_those_of_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "CHUNK_LOGITS", 50 * 3)
    torch.manual_seed(0)
    hidden, head = torch.randn(10, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    targets = torch.randint(0, 50, (10,))
    plain = torch.nn.functional.cross_entropy(hidden @ head.T, targets, reduction="sum")
    ours = learner.ChunkedLoss.apply(hidden, head, targets)
    torch.testing.assert_close(ours, plain)
    mine, wanted = (torch.autograd.grad(loss * 3, (hidden, head)) for loss in (ours, plain))
    torch.testing.assert_close(mine, wanted)


def test_no_target_is_no_loss_and_no_gradient() -> None:
    hidden = torch.zeros(0, 8, requires_grad=True)
    loss = learner.ChunkedLoss.apply(hidden, torch.zeros(5, 8), torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert (loss.item(), hidden.grad.shape) == (0, (0, 8))


def test_the_loss_of_a_padded_batch_is_that_of_its_rows_alone_by_the_models_own_account(base: Path) -> None:
    lm = AutoModelForCausalLM.from_pretrained(base).eval()
    _, _, lines = encoded(base, ("Hi", "yes", True), ("Hello there", "no, not " * 9, False))
    learning = learner.Learner(lm, torch.from_numpy(lines[0].ids[None]))
    together = learning(*(torch.from_numpy(array) for array in batches.padded(lines)))
    alone = 0.0
    for line in lines:
        ids = torch.from_numpy(line.ids[None])
        labels = ids.clone()
        labels[:, : line.start] = -100
        alone += lm(input_ids=ids, labels=labels).loss.item() * line.targets
    assert learning._short
    assert together.item() == pytest.approx(alone, rel=1e-5)


def test_a_head_that_does_more_than_multiply_takes_the_long_way_to_the_same_loss(base: Path) -> None:
    lm = AutoModelForCausalLM.from_pretrained(base)
    lm.lm_head = torch.nn.Linear(32, lm.config.vocab_size, bias=True)
    ids = torch.arange(9)[None]
    targets = torch.where(ids > 3, ids + 1, -1)
    learning = learner.Learner(lm, ids)
    wanted = torch.nn.functional.cross_entropy(lm(input_ids=ids).logits[0, 4:], targets[0, 4:], reduction="sum")
    assert not learning._short
    torch.testing.assert_close(learning(ids, targets), wanted)


# a whole run


@pytest.mark.parametrize("method", ["lora", "full"])
def test_training_lowers_the_loss_and_leaves_weights_tokeniser_card_and_sums(
    tmp_path: Path, base: Path, method: str
) -> None:
    planned = plan(num_train_epochs=4) if method == "lora" else plan(**FULL, num_train_epochs=4)
    run, said = ready(tmp_path, base, planned), []
    found = training.train(run, planned, SEALED, base, say=said.append)
    assert found.last_loss < found.first_loss - 0.3
    assert (found.steps, found.rows, found.rows_without_end, found.rows_cut) == (40, 40, 10, 0)
    assert (found.arm, found.seal_sha256) == ("minimal", SEALED.sha256)
    assert any("the loss begins here" in text for text in said)
    names = {file.name for file in output(run).iterdir()}
    assert {"tokenizer.json", "README.md", "SHA256SUMS"} <= names
    assert ("adapter_model.safetensors" in names, "model.safetensors" in names) == (method == "lora", method == "full")
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=output(run), check=False, capture_output=True)
    assert checked.returncode == 0
    assert not list((run.folder / TRAINING).glob("*checkpoint*"))


def test_a_full_fine_tune_loads_like_any_model_and_moved(tmp_path: Path, base: Path) -> None:
    planned = plan(**FULL)
    run = ready(tmp_path, base, planned)
    training.train(run, planned, SEALED, base)
    before, after = (AutoModelForCausalLM.from_pretrained(f).state_dict() for f in (base, output(run)))
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_the_card_names_base_arm_seal_and_deviations(tmp_path: Path, base: Path) -> None:
    run = ready(tmp_path, base, plan())
    training.train(run, plan(), SEALED, base)
    card = (output(run) / "README.md").read_text()
    departed = "training.learning_rate: 0.0002 in the preset, 0.002 in this run"
    for fact in (weights.weights_sha256(base), SEALED.sha256, "minimal arm", departed):
        assert fact in card
    assert str(base.parent) not in card + (output(run) / "adapter_config.json").read_text()


def test_a_finished_run_is_returned_as_it_stands_and_another_setting_is_refused(tmp_path: Path, base: Path) -> None:
    run = ready(tmp_path, base, plan())
    found, written = training.train(run, plan(), SEALED, base), weight_bytes(run)
    assert training.train(run, plan(), SEALED, base) == found
    assert weight_bytes(run) == written
    with pytest.raises(InvalidInput, match="the settings of this run"):
        training.train(run, plan(seed=1), SEALED, base)


def test_adapter_and_merged_model_agree_on_greedy_answers(tmp_path: Path, base: Path) -> None:
    planned = plan(num_train_epochs=4)
    run = ready(tmp_path / "run", base, planned)
    training.train(run, planned, SEALED, base)
    weights.merge(base, output(run), tmp_path / "merged")
    asked = ["Write f1.", "Hello", ""]
    parity = weights.merge_parity(base, output(run), tmp_path / "merged", asked, max_new_tokens=24)
    assert parity.holds
    assert parity.largest_difference < 1e-4
    other = weights.merge_parity(base, output(run), base, asked, max_new_tokens=24)
    assert not other.holds


def test_a_merged_model_passes_as_often_as_the_adapter_within_the_paired_interval(tmp_path: Path, base: Path) -> None:
    """A tiny model solves nothing, so what counts as right is an answer of an even length."""
    planned = plan(num_train_epochs=4)
    run = ready(tmp_path / "run", base, planned)
    training.train(run, planned, SEALED, base)
    given = ["merge", str(run.folder), str(tmp_path / "merged"), "--base", str(base), "--json"]
    done = subprocess.run([sys.executable, "-m", "tui", *given], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["holds"]
    passed = []
    for settings in ({"model": str(base), "adapter": str(output(run))}, {"model": str(tmp_path / "merged")}):
        requests = [Request(id=f"p{i}", prompt=f"Write f{i}.", indices=tuple(range(8))) for i in range(12)]
        drawn = TransformersLocal(**settings).sample(requests, Decoding(temperature=1.0, max_tokens=12, seed=3))
        passed.append(Counter(one.id for one in drawn if len(one.text) % 2 == 0))
    adapter, merged = (Counts.model_validate(counted(found)) for found in passed)
    delta = compare.compare(adapter, merged, (1,)).find("delta_pass_at_k", 1)
    assert 0 < sum(adapter.correct) < 96
    assert delta.ci.low <= 0 <= delta.ci.high
    assert abs(delta.value) < 5


def counted(passed: Counter[str]) -> dict[str, Any]:
    ids = [f"p{i}" for i in range(12)]
    empty = {"slices": [""] * 12, "clusters": [""] * 12}
    source = {"name": "drawn", "sha256": "0" * 64}
    return {"ids": ids, "correct": [passed[id] for id in ids], "total": [8] * 12, "source": source, **empty}


@pytest.mark.parametrize(
    ("settings", "within"),
    [
        ({"gradient_checkpointing": True}, 1e-5),
        ({"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}, 1e-5),
        ({"bf16": True}, 2e-2),
    ],
    ids=["gradient checkpointing", "accumulation", "bf16"],
)
def test_what_saves_memory_leaves_the_loss_curve_alone(
    tmp_path: Path, base: Path, settings: dict[str, Any], within: float
) -> None:
    curves = []
    for name, more in (("plain", {}), ("saving", settings)):
        planned = plan(lora_dropout=0.0, **more)
        run = ready(tmp_path / name, base, planned)
        training.train(run, planned, SEALED, base)
        curves.append(losses(run))
    assert curves[1] == pytest.approx(curves[0], rel=within)


# killed, and in company


WORKER = """
import json, os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import torch
torch.set_num_threads(1)
from test_gates import SEALED
from test_training import plan
from tools.runs import Run
from tools.tune import training, weights
import torch.distributed.checkpoint as dcp

MOMENTS = {{
    "between checkpoints": (training._Fit, "_step", 5, "after"),
    "inside a checkpoint": (dcp, "save", 2, "after"),
    "before the weights are written": (weights, "export", 1, "before"),
    "before the end is noted": (weights, "export", 1, "after"),
}}

def mortal(owner, name, last, when):
    true, count = getattr(owner, name), 0
    def call(*args, **named):
        nonlocal count
        count += 1
        if count == last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = true(*args, **named)
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    setattr(owner, name, call)

def train(run, moment):
    if moment:
        mortal(*MOMENTS[moment])
    training.train(Run(Path(run)), plan(**{settings!r}), SEALED, Path({base!r}))

def apart(run, moment):
    if not (child := os.fork()):
        train(run, moment)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

jobs = {jobs!r}
print(json.dumps([apart(*job) for job in jobs]) if len(jobs) > 1 else train(*jobs[0]))
"""
Jobs = list[tuple[Path, str]]


def workers(script: Path, base: Path, settings: dict[str, Any], jobs: Jobs, processes: int = 1) -> Any:
    """Train one job after another, each in a process of its own, which may kill itself at some moment."""
    tests, listed = str(Path(__file__).parent), [(str(folder), moment) for folder, moment in jobs]
    script.write_text(WORKER.format(tests=tests, settings=settings, base=str(base), jobs=listed))
    alone, many = [sys.executable], [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(tests).parent)}
    call = [*(alone if processes == 1 else many), str(script)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) != (processes > 1 and jobs[0][1] != ""), done.stderr
    return done.stdout


def losses(run: Run) -> list[float]:
    return [row["loss"] for row in training.curve(Run(run.folder / TRAINING))]


MOMENTS = ("between checkpoints", "inside a checkpoint", "before the weights are written", "before the end is noted")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {**FULL, "gradient_accumulation_steps": 2, "num_train_epochs": 2}], ids=["lora", "full"]
)
def test_killed_at_any_moment_it_ends_with_the_same_weights_bit_for_bit(
    tmp_path: Path, base: Path, settings: dict[str, Any]
) -> None:
    undisturbed, *disturbed = (ready(tmp_path / name, base, plan(**settings)) for name in ("none", *MOMENTS))
    jobs = [(undisturbed.folder, "")]
    for run, moment in zip(disturbed, MOMENTS, strict=True):
        jobs += [(run.folder, moment), (run.folder, "")]
    ended = workers(tmp_path / "worker.py", base, settings, jobs)
    assert json.loads(ended) == [0, *[-signal.SIGKILL, 0] * len(MOMENTS)]
    for run in disturbed:
        assert weight_bytes(run) == weight_bytes(undisturbed)
        assert losses(run) == losses(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"lora_dropout": 0.0}, FULL], ids=["lora", "full"])
def test_two_processes_sharding_the_model_learn_what_one_learns_even_when_one_has_no_rows_left(
    tmp_path: Path, base: Path, settings: dict[str, Any]
) -> None:
    # 40 rows leave four for the last step, which one process takes alone
    single, double = ({**settings, "per_device_train_batch_size": size} for size in (12, 6))
    alone, together = (ready(tmp_path / str(i), base, plan(**s)) for i, s in enumerate((single, double)))
    training.train(alone, plan(**single), SEALED, base)
    workers(tmp_path / "worker.py", base, double, [(together.folder, "")], processes=2)
    assert losses(together) == pytest.approx(losses(alone), rel=1e-4)
    assert len(losses(alone)) == 4
    names = {file.name for file in output(alone).iterdir()}
    assert {file.name for file in output(together).iterdir()} == names


@pytest.mark.slow
def test_two_killed_processes_end_with_the_weights_of_two_undisturbed_ones(tmp_path: Path, base: Path) -> None:
    settings = {"per_device_train_batch_size": 2}
    whole, killed = (ready(tmp_path / name, base, plan(**settings)) for name in ("whole", "killed"))
    for run, moment in ((whole, ""), (killed, "between checkpoints"), (killed, "")):
        workers(tmp_path / "worker.py", base, settings, [(run.folder, moment)], processes=2)
    assert weight_bytes(killed) == weight_bytes(whole)
    assert losses(killed) == losses(whole)
