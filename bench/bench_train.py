"""Tokens per second, peak memory and loss of LoRA training: ours beside TRL's SFTTrainer, taking turns in one run.

Each measurement is a fresh process on one thread, and its steps are timed on the processor's clock as well as on the
wall's: on a shared machine only the first says anything. Rows are functions of the standard library (prompt: name and
docstring; completion: the source), so the lengths are those of real code. TRL gets the same tokens, model, adapter and
settings three ways: in its own random order, grouped by length as it offers, and in exactly our batches, where the loss
curves have to agree. TRL is no dependency of the project: name an interpreter that has it, or ours runs alone.

    python bench/bench_train.py --trl PYTHON --rounds 3
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
MODULES = ("textwrap", "shutil", "statistics", "random", "inspect", "ast", "argparse", "calendar", "bisect", "heapq")
SAMPLERS = {"trl": "random", "trl grouped": "group_by_length", "trl, our batches": "sequential"}
CONTESTANTS = ("ours", *SAMPLERS)
BATCH, LONGEST = 8, 500


def functions(count: int) -> list[tuple[str, str]]:
    """Functions with a docstring, in the modules' own order, that are not too long."""
    found = []
    for module in map(importlib.import_module, MODULES):
        for name, member in inspect.getmembers(module, inspect.isfunction):
            source = inspect.getsource(member)
            if member.__module__ == module.__name__ and member.__doc__ and len(source) <= LONGEST:
                ask = f"Write the Python function {name}. {member.__doc__.strip().splitlines()[0]}"
                found.append((ask, f"```python\n{source}```"))
    return found[:count]


def prepared(folder: Path, model: Path, count: int) -> Any:
    """A run with its rows, and the plan they are trained by."""
    from transformers import AutoTokenizer
    from workloads import workload

    from tools.judge.verdict import decide, read_workload
    from tools.records import Decoding, Sample
    from tools.runs import Run
    from tools.store import digest
    from tools.tune import rows, weights
    from tools.tune.plan import design

    facts = read_workload(workload())
    plan = design(facts, decide(facts, None, None))
    drawn = [
        rows.Drawn(prompt=ask, sample=Sample(id=f"{i:03}", index=0, text=code, finish_reason="stop"))
        for i, (ask, code) in enumerate(functions(count))
    ]
    template = AutoTokenizer.from_pretrained(model).chat_template
    origin = rows.Origin(
        base_sha256=weights.weights_sha256(model),
        decoding=Decoding(temperature=0.8, top_p=0.95, max_tokens=512),
        chat_template_sha256=digest(template),
    )
    run = Run(folder, {"bench": "train"})
    rows.build(run, plan, drawn, origin)
    return run, plan


def ours(folder: Path, model: Path, count: int) -> list[dict[str, float]]:
    from tools.judge.seal import Terms, seal
    from tools.runs import TRAINING, Run
    from tools.tune import training

    run, plan = prepared(folder, model, count)
    terms = Terms(tolerances={"length": 0.25}, slices=(), round_two_lift_min_pp=4, decoding="as sampled")
    spent, step = [], training._Fit._step

    def timed(fit: Any, picked: Any) -> Any:
        began, row = time.process_time(), step(fit, picked)
        spent.append(time.process_time() - began)
        return row

    training._Fit._step = timed
    training.train(run, plan, seal(terms), model)
    log = training.curve(Run(run.folder / TRAINING))
    return [{**row, "cpu": cpu} for row, cpu in zip(log, spent, strict=True)]


def theirs(folder: Path, model: Path, count: int, sampler: str) -> list[dict[str, float]]:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from tools.tune import batches, rows, weights

    run, plan = prepared(folder, model, count)
    tokenizer = AutoTokenizer.from_pretrained(model)
    lines = batches.encode(tokenizer, rows.pairs(run), 8192)
    order: Any = range(len(lines))
    if sampler == "sequential":
        steps = batches.schedule([len(line.ids) for line in lines], BATCH, plan.training.seed, 1)
        order = itertools.chain.from_iterable(steps)
    data = Dataset.from_list(
        [
            {
                "input_ids": lines[i].ids.tolist(),
                "completion_mask": [0] * lines[i].start + [1] * lines[i].targets,
                "length": len(lines[i].ids),
            }
            for i in order
        ]
    )
    torch.manual_seed(plan.training.seed)
    learner = weights.adapted(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), plan.training)

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began, self.cpu = time.monotonic(), time.process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            log.append({"seconds": time.monotonic() - self.began, "cpu": time.process_time() - self.cpu})

    log: list[dict[str, float]] = []
    settings = SFTConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=BATCH,
        learning_rate=plan.training.learning_rate,
        lr_scheduler_type=plan.training.lr_scheduler_type,
        weight_decay=0.0,
        num_train_epochs=1,
        max_length=None,
        completion_only_loss=True,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
        train_sampling_strategy=sampler,
        optim="adamw_torch_fused",
    )
    trainer = SFTTrainer(learner, settings, train_dataset=data, processing_class=tokenizer, callbacks=[Clock()])
    trainer.train()
    told = [row for row in trainer.state.log_history if "loss" in row]
    so_far = [0, *(row["num_tokens"] for row in told)]
    return [
        {**row, "loss": said["loss"], "tokens": after - before}
        for row, said, before, after in zip(log, told, so_far, so_far[1:], strict=False)
    ]


def measured(who: str, model: Path, count: int) -> dict[str, Any]:
    """What a worker prints: the steps' log, and its own peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        log = ours(place, model, count) if who == "ours" else theirs(place, model, count, SAMPLERS[who])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"log": [{k: row[k] for k in ("seconds", "cpu", "tokens", "loss")} for row in log], "peak": peak}


def asked(who: str, arguments: argparse.Namespace) -> dict[str, Any]:
    python = sys.executable if who == "ours" else arguments.trl
    call = [python, __file__, "--worker", who, "--model", arguments.model, "--rows", str(arguments.rows)]
    quiet = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    told = subprocess.run(call, check=True, capture_output=True, text=True, env=quiet).stdout
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    # the first step warms caches and thread pools up, for everyone
    rest = found["log"][1:]
    for clock in ("cpu", "seconds"):
        found[clock] = sum(row["tokens"] for row in rest) / sum(row[clock] for row in rest)
    print(f"{who}: {found['cpu']:.1f} tokens per CPU-second, {found['seconds']:.1f} per second", file=sys.stderr)
    return found


def embedded() -> str:
    """The model that the project brings. Ends the bench where neither it nor torch is here."""
    from tools.errors import EngineFailed
    from tools.measure.engines import embedded

    try:
        return str(embedded.model_folder())
    except EngineFailed as error:
        sys.exit(print(f"Not measured: {error}"))


def has_trl(python: str) -> bool:
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('trl') is None)"
    found = subprocess.run([python, "-c", look], check=False).returncode == 0
    if not found:
        print("TRL is not installed there; ours runs alone.", file=sys.stderr)
    return found


def compared(mine: list[dict[str, Any]], runs: list[dict[str, Any]], clock: str) -> tuple[str, str]:
    """Rates of one contestant and our ratio to it round by round: median, least to most."""
    rates = [run[clock] for run in runs]
    ratios = [own[clock] / rate for own, rate in zip(mine, rates, strict=True)]
    return tuple(f"{statistics.median(x):.2f} ({min(x):.2f} to {max(x):.2f})" for x in (rates, ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a model folder; by default the embedded one")
    parser.add_argument("--trl", default=sys.executable, help="a Python with TRL")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--who", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    parser.add_argument("--worker", choices=CONTESTANTS)
    arguments = parser.parse_args()
    arguments.model = arguments.model or embedded()
    if arguments.worker:
        print(json.dumps(measured(arguments.worker, Path(arguments.model), arguments.rows)))
        return
    who = tuple(arguments.who) if has_trl(arguments.trl) else ("ours",)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in who}
    for turn in range(arguments.rounds):
        for name in who[turn % 2 :] + who[: turn % 2]:
            found[name].append(asked(name, arguments))
    print(table(found))
    if "trl, our batches" in found:
        print(agreement(found["ours"][0]["log"], found["trl, our batches"][0]["log"]))


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    lines = ["| | tokens per CPU-second | ours against it | tokens per second | ours against it | peak MB |"]
    lines += ["|---|---|---|---|---|---|"]
    for who, runs in found.items():
        cells = [cell for clock in ("cpu", "seconds") for cell in compared(found["ours"], runs, clock)]
        lines += [f"| {who} | {' | '.join(cells)} | {max(run['peak'] for run in runs):,.0f} |"]
    return "\n".join(lines)


def agreement(mine: list[dict[str, float]], other: list[dict[str, float]]) -> str:
    curves = [(a["loss"], b["loss"]) for a, b in zip(mine, other, strict=True)]
    shown = ", ".join(f"{a:.6f} and {b:.6f}" for a, b in curves)
    return f"Loss per step in the same batches: {shown}; largest difference {max(abs(a - b) for a, b in curves):.1e}"


if __name__ == "__main__":
    main()
