"""Fine-tuning on the rows of a run: LoRA or all weights, cross-entropy on completions, resumable to the bit.

`train` refuses a run without an intact seal, rows that were touched, a template other than the one sampled with, and a
batch that memory cannot hold; then it streams loss and token rate to `training/log.jsonl`. Killed at any moment it goes
on from the newest checkpoint, and on a CPU with as many threads it ends with the same weights as an undisturbed run.
Under `torchrun` or `accelerate launch` weights and optimiser are sharded (FSDP) with no change; every process loads the
whole model first.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from transformers import AutoConfig, AutoTokenizer, get_scheduler

from tools.errors import AntiPattern, InvalidInput, TrainingFailed
from tools.jobs import Reporter
from tools.judge.seal import Seal
from tools.records import Count, Record
from tools.runs import OUTPUT, TRAINED, TRAINING, Rows, Run
from tools.stats.cost import Cost, Meter
from tools.tune import batches, rows, weights
from tools.tune.batches import IntArray, Line
from tools.tune.learner import World, half_precision, load, optimiser, together
from tools.tune.plan import Plan, Training

LOG, EXAMPLE = "log", "example.txt"
CHECKPOINT = "checkpoint-"


class Trained(Record):
    """What a fine-tune came to. tokens: without padding; targets: those the loss fell on; losses: nats per target.

    first_loss, last_loss: means over the first and the last tenth of the steps.
    """

    arm: str
    method: str
    steps: Count
    rows: Count
    rows_cut: Count
    rows_without_end: Count
    tokens: Count
    targets: Count
    first_loss: float
    last_loss: float
    tokens_per_second: float
    seal_sha256: str
    base_sha256: str
    sft_sha256: str
    deviations: Count


def train(
    run: Run, plan: Plan, sealed: Seal | None, base: Path, *, say: Callable[[str], None] = lambda _: None
) -> Trained:
    """Fine-tune the model in folder `base` on the run's rows; a finished run is returned as it stands.

    say: gets the checks and one decoded example before the first step. Raises InvalidInput or AntiPattern for what may
    not be trained, TrainingFailed where the loss is no number. Writes `training/` and `deviations.jsonl`.
    """
    seal, selection = _sealed(sealed), _as_planned(rows.selected(run), plan)
    base_sha256 = weights.same_base(base, selection.origin.base_sha256)
    done = run.folder / TRAINING / TRAINED
    with together() as world:
        told = _told(plan.training, selection, seal, base_sha256, world)
        if done.exists():
            Run(done.parent, told)
        else:
            # bound only once the checks have passed, so that a refused setting can be mended
            fit = _Fit(run, plan, selection, base, world, say)
            fit.run(Run(done.parent, told))
            world.wait()
        return Trained.model_validate_json(done.read_bytes())


# what has to hold


def _sealed(sealed: Seal | None) -> Seal:
    if sealed is None:
        raise AntiPattern("skip_battery", "there is no seal", "a sealed battery before the first step", "seal it")
    if not sealed.intact:
        raise InvalidInput("the sealed terms were changed", "the terms that were hashed", "amend the seal, visibly")
    return sealed


def _as_planned(selection: rows.Selection, plan: Plan) -> rows.Selection:
    if (selection.arm.filter, selection.mix) != (plan.arm.filter, plan.mix):
        seen = f"rows of the arm {selection.arm.name!r} with a mix of {selection.mix.ratio:g}"
        raise InvalidInput(seen, f"{plan.arm.name!r} with {plan.mix.ratio:g}", "build the rows of this plan")
    return selection


def _told(training: Training, selection: rows.Selection, seal: Seal, base: str, world: World) -> dict[str, Any]:
    """What the training folder is bound to: going on under anything else is refused."""
    return {
        "arm": selection.arm.name,
        "training": training.model_dump(mode="json"),
        "seal_sha256": seal.sha256,
        "base_sha256": base,
        "sft_sha256": selection.sft_sha256,
        "processes": world.size,
    }


# the fit


class _Fit:
    """One sitting of a fine-tune: everything that lives while it runs."""

    def __init__(
        self,
        run: Run,
        plan: Plan,
        selection: rows.Selection,
        base: Path,
        world: World,
        say: Callable[[str], None],
    ) -> None:
        self._run, self._plan, self._selection = run, plan, selection
        self._base, self._world, self._say = base, world, say if world.leads else lambda _: None
        self._training = plan.training
        self._tokenizer = batches.as_sampled(self._own_tokenizer(), selection.origin)
        self._pairs = rows.pairs(run)
        self._lines = self._checked()
        self._lengths = [len(line.ids) for line in self._lines]
        self._batch = self._training.per_device_train_batch_size * self._training.gradient_accumulation_steps
        self._batch *= world.size
        self._steps = batches.total_steps(len(self._lines), self._batch, self._training.num_train_epochs)
        if self._training.warmup_steps >= self._steps:
            seen = f"{self._training.warmup_steps} warmup_steps of {self._steps} steps in all"
            raise InvalidInput(seen, "fewer, or the learning rate is never reached", where="training")

    def run(self, folder: Run) -> None:
        """Train what is left, write the weights, and say what came of it."""
        self._folder = folder
        self._announce()
        self._open()
        self._loop()
        self._finish()

    def _own_tokenizer(self) -> Any:
        return AutoTokenizer.from_pretrained(self._base, local_files_only=True)

    def _checked(self) -> list[Line]:
        config = AutoConfig.from_pretrained(self._base, local_files_only=True)
        room = getattr(config.get_text_config(), "max_position_embeddings", None) or 2**20
        lines = batches.encode(self._tokenizer, self._pairs, min(room, self._training.max_seq_length or room))
        batches.check_mask(self._tokenizer, lines, self._pairs)
        largest = min(self._training.per_device_train_batch_size, len(lines)) * max(len(line.ids) for line in lines)
        memory = weights.memory(config, self._training, largest, self._world.size)
        self._say(weights.check_memory(memory, self._world.device))
        return lines

    def _announce(self) -> None:
        shown = batches.example(self._tokenizer, self._lines)
        self._say(shown)
        self._departures = rows.departures(self._plan, self._selection, sum(line.cut > 0 for line in self._lines))
        if self._world.leads:
            self._folder.write(EXAMPLE, shown)
            rows.record_deviations(self._run, self._departures)
            self._say(rows.ledger(self._run))

    def _open(self) -> None:
        # the adapter starts alike everywhere; dropout differs from process to process
        torch.manual_seed(self._training.seed)
        look = torch.from_numpy(self._lines[0].ids[None, :16])
        self._learner = load(self._base, self._training, self._world, look)
        torch.manual_seed(self._training.seed + self._world.rank)
        self._optimiser = optimiser(self._learner, self._training)
        self._scheduler = get_scheduler(
            self._training.lr_scheduler_type,
            self._optimiser,
            self._training.warmup_steps,
            self._steps,
            {"min_lr": self._training.min_lr} if self._training.lr_scheduler_type == "cosine_with_min_lr" else None,
        )
        self._done = self._restore()

    def _loop(self) -> None:
        report, log = Reporter(), self._log() if self._world.leads else None
        meter = Meter("training", self._spend, self._world.size if self._world.device.type == "cuda" else 0)
        report("training", self._done, self._steps)
        training = self._training
        order = batches.schedule(self._lengths, self._batch, training.seed, training.num_train_epochs)
        with contextlib.closing(meter):
            for picked in itertools.islice(order, self._done, None):
                row = self._step(picked)
                if log is not None:
                    log.append([row])
                meter.beat(int(row["tokens"]))
                report("training", self._done, self._steps)
                if self._done % training.save_steps == 0:
                    self._save()

    def _step(self, picked: IntArray) -> dict[str, Any]:
        began, lines = time.monotonic(), [self._lines[i] for i in picked]
        targets = sum(line.targets for line in lines)
        rate = self._scheduler.get_last_lr()[0]
        try:
            loss = self._backward(lines, targets)
        except torch.OutOfMemoryError as error:
            do = "go on in another folder with a smaller per_device_train_batch_size or gradient_checkpointing"
            raise TrainingFailed(f"memory ran out at step {self._done + 1}; expected it to fit; {do}") from error
        if not math.isfinite(loss):
            do = "lower learning_rate, raise warmup_steps, or look at the rows of this step"
            raise TrainingFailed(f"the loss of step {self._done + 1} is {loss}; expected a number; {do}")
        norm = nn.utils.clip_grad_norm_(self._learner.parameters(), self._training.max_grad_norm)
        self._optimiser.step()
        self._scheduler.step()
        self._optimiser.zero_grad()
        self._done += 1
        tokens, seconds = sum(len(line.ids) for line in lines), time.monotonic() - began
        return {
            "step": self._done,
            "epoch": self._done * self._batch / len(self._lines),
            "loss": loss,
            "learning_rate": rate,
            "grad_norm": float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm),
            "tokens": tokens,
            "targets": targets,
            "seconds": seconds,
            "tokens_per_second": tokens / seconds,
        }

    def _backward(self, lines: Sequence[Line], targets: int) -> float:
        """Gradients of one step, and its loss per target; every target weighs the same, whichever process has it."""
        size, world = self._training.per_device_train_batch_size, self._world
        parts = [lines[i : i + size] for i in range(0, len(lines), size)]
        rounds, mine = -(-len(parts) // world.size), parts[world.rank :: world.size]
        loss = torch.zeros((), device=world.device)
        for part in [*mine, *[None] * (rounds - len(mine))]:
            with torch.autocast(world.device.type, torch.bfloat16, enabled=half_precision(self._training, world)):
                summed = self._learner(*self._tensors(part or lines[:1], idle=part is None))
            # FSDP takes the mean over processes, and the sum is wanted
            (summed * (world.size / max(targets, 1))).backward()
            loss += summed.detach()
        return world.total(loss) / max(targets, 1)

    def _tensors(self, lines: Sequence[Line], idle: bool) -> tuple[Tensor, Tensor]:
        """Tokens and targets on the device. idle: a process without rows takes part with none that count."""
        ids, targets = (torch.from_numpy(array).to(self._world.device) for array in batches.padded(lines))
        return ids, targets.fill_(-1) if idle else targets

    def _spend(self, cost: Cost) -> None:
        if self._world.leads:
            self._run.rows("cost").append([cost])

    def _log(self) -> Rows:
        return self._folder.rows(LOG)

    # checkpoints: a folder appears whole or not at all, and the one before goes once it has

    def _state(self) -> dict[str, Any]:
        model, optimiser = get_state_dict(
            self._learner, self._optimiser, options=StateDictOptions(ignore_frozen_params=True)
        )
        cuda = torch.cuda.get_rng_state() if self._world.device.type == "cuda" else torch.empty(0)
        return {
            "model": model,
            "optimiser": optimiser,
            "scheduler": self._scheduler.state_dict(),
            f"random-{self._world.rank}": {"cpu": torch.get_rng_state(), "cuda": cuda},
        }

    def _save(self) -> None:
        if self._done == self._steps:
            return
        place = self._folder.folder / f"{CHECKPOINT}{self._done}"
        scratch = place.with_name(f".{place.name}")
        with _alone():
            dcp.save(self._state(), checkpoint_id=scratch)
        if self._world.leads:
            scratch.rename(place)
            for old in self._checkpoints()[:-1]:
                shutil.rmtree(old)

    def _restore(self) -> int:
        """Steps done in the newest checkpoint, which is loaded; 0 where there is none."""
        if self._world.leads:
            for torn in self._folder.folder.glob(f".{CHECKPOINT}*"):
                shutil.rmtree(torn)
        if not (found := self._checkpoints()):
            return 0
        state = self._state()
        with _alone():
            dcp.load(state, checkpoint_id=found[-1])
        options = StateDictOptions(ignore_frozen_params=True, strict=False)
        set_state_dict(
            self._learner,
            self._optimiser,
            model_state_dict=state["model"],
            optim_state_dict=state["optimiser"],
            options=options,
        )
        self._scheduler.load_state_dict(state["scheduler"])
        random = state[f"random-{self._world.rank}"]
        torch.set_rng_state(random["cpu"])
        if self._world.device.type == "cuda":
            torch.cuda.set_rng_state(random["cuda"])
        return _number(found[-1])

    def _checkpoints(self) -> list[Path]:
        return sorted(self._folder.folder.glob(f"{CHECKPOINT}*"), key=_number)

    # the end

    def _finish(self) -> None:
        state = weights.full_state(self._learner)
        if not self._world.leads:
            return
        found = self._trained()
        card = weights.card(found.model_dump(), self._selection, self._training, rows.ledger(self._run))
        weights.export(self._learner.lm, state, self._own_tokenizer(), card, self._folder.folder / OUTPUT)
        self._folder.write(TRAINED, found.model_dump_json(indent=2) + "\n")
        for old in self._checkpoints():
            shutil.rmtree(old)

    def _trained(self) -> Trained:
        log = curve(self._folder)
        tenth, seconds = max(1, len(log) // 10), sum(row["seconds"] for row in log)
        told, tokens = self._folder.plan, sum(row["tokens"] for row in log)
        return Trained(
            arm=told["arm"],
            method=self._training.method,
            steps=len(log),
            rows=len(self._lines),
            rows_cut=sum(line.cut > 0 for line in self._lines),
            rows_without_end=sum(not pair.ended for pair in self._pairs),
            tokens=tokens,
            targets=sum(row["targets"] for row in log),
            first_loss=_mean_loss(log[:tenth]),
            last_loss=_mean_loss(log[-tenth:]),
            tokens_per_second=tokens / seconds,
            seal_sha256=told["seal_sha256"],
            base_sha256=told["base_sha256"],
            sft_sha256=told["sft_sha256"],
            deviations=len(self._departures),
        )


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Without being told that one process is alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        yield


def _number(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(CHECKPOINT))


def _mean_loss(log: Sequence[dict[str, Any]]) -> float:
    targets = sum(row["targets"] for row in log)
    return float(sum(row["loss"] * row["targets"] for row in log) / max(targets, 1))


def curve(folder: Run) -> list[dict[str, Any]]:
    """The log of a training folder, one row per step: of a step that a kill made run twice, the second."""
    found = {int(row["step"]): row for row in folder.rows(LOG)}
    return [found[step] for step in sorted(found)]
