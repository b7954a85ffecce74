"""A language model that learns, in one process or many: its loss, its adapter, its shards and its optimiser.

The loss is cross-entropy on targets alone, a chunk of logits at a time: over a vocabulary of fifty thousand, logits are
what memory and time go to. Under `torchrun` or `accelerate launch` weights and optimiser are sharded (FSDP); every
process loads the whole model first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from tools.tune import weights
from tools.tune.plan import Training

# one process or many


@dataclass(frozen=True)
class World:
    """The processes that train together; one, unless a launcher started more."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes what there is one of."""
        return self.rank == 0

    def total(self, value: Tensor) -> float:
        """The sum of a value over all processes."""
        if self.size > 1:
            dist.all_reduce(value)
        return value.item()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextlib.contextmanager
def together() -> Iterator[World]:
    """Join the processes that a launcher started, and part from them at the end; alone where there was none."""
    size, cuda = int(os.environ.get("WORLD_SIZE", "1")), torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        yield World(0, 1, device)
        return
    # accelerate asks transformers to load the weights in one process only; here each loads them and keeps its shard
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


# the loss


class ChunkedLoss(torch.autograd.Function):
    """Summed cross-entropy of hidden states against targets, with one chunk of logits at a time.

    The gradient is taken in the forward pass, while a chunk's logits are there: none are kept, none computed twice.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        loss = hidden.new_zeros((), dtype=torch.float32)
        to_hidden = torch.empty_like(hidden)
        to_head = torch.zeros_like(head) if ctx.needs_input_grad[1] else None
        size = max(1, weights.CHUNK_LOGITS // head.shape[0])
        chunks = (hidden.split(size), targets.split(size), to_hidden.split(size))
        for part, wanted, gradient in zip(*chunks, strict=True):
            logits = nn.functional.linear(part, head).float()
            norm = logits.logsumexp(1, keepdim=True)
            loss += norm.sum() - logits.gather(1, wanted[:, None]).sum()
            chance = logits.sub_(norm).exp_()
            chance.scatter_add_(1, wanted[:, None], -torch.ones_like(norm))
            chance = chance.to(head.dtype)
            gradient.copy_(chance @ head)
            if to_head is not None:
                to_head.addmm_(chance.T, part.to(head.dtype))
        ctx.save_for_backward(to_hidden, to_head)
        return loss

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor | None, None]:
        to_hidden, to_head = ctx.saved_tensors
        scale = upstream[0]
        return to_hidden * scale, None if to_head is None else to_head * scale, None


class Learner(nn.Module):
    """A causal language model that answers with its summed loss; logits of prompts and padding are never computed.

    The short way through the last layer is taken only where it gives the model's own logits on a first look: some
    models cap, scale or bias them.
    """

    def __init__(self, lm: Any, look: Tensor) -> None:
        super().__init__()
        self.lm = lm
        self._short = self._plain_head(look)

    @property
    def causal(self) -> Any:
        """The language model itself, adapters inside."""
        return self.lm.get_base_model() if hasattr(self.lm, "get_base_model") else self.lm

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        counted = targets >= 0
        if self._short:
            hidden = self.causal.base_model(input_ids=ids, use_cache=False).last_hidden_state[counted]
            loss: Tensor = ChunkedLoss.apply(hidden, self.causal.get_output_embeddings().weight, targets[counted])
            return loss
        logits = self.causal(input_ids=ids, use_cache=False).logits[counted].float()
        return nn.functional.cross_entropy(logits, targets[counted], reduction="sum")

    @torch.no_grad()
    def _plain_head(self, look: Tensor) -> bool:
        head = self.causal.get_output_embeddings()
        if type(head) is not nn.Linear:
            return False
        was, _ = self.training, self.eval()
        hidden = self.causal.base_model(input_ids=look, use_cache=False).last_hidden_state
        own = self.causal(input_ids=look, use_cache=False).logits
        self.train(was)
        return torch.equal(nn.functional.linear(hidden, head.weight), own)


# the model


def half_precision(training: Training, world: World) -> bool:
    """Whether products are taken in bfloat16: as declared, else wherever an accelerator has it."""
    if training.bf16 is not None:
        return training.bf16
    return world.device.type == "cuda" and torch.cuda.is_bf16_supported()


def load(base: Path, training: Training, world: World, look: Tensor) -> Learner:
    """The base with what is to learn, on its device, sharded where there are others. look: tokens for a first look."""
    # frozen weights may rest in half precision; weights that learn, and shards, stay in full
    half = half_precision(training, world) and training.method == "lora" and world.size == 1
    dtype = torch.bfloat16 if half else torch.float32
    lm = weights.adapted(weights.load(base, dtype).to(world.device), training)
    learner = Learner(lm, look.to(world.device)).train()
    if training.gradient_checkpointing:
        learner.causal.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if world.size > 1:
        _shard(learner, world, half_precision(training, world))
    return learner


def _shard(learner: Learner, world: World, half: bool) -> None:
    mesh = dist.init_device_mesh(world.device.type, (world.size,))
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if half else MixedPrecisionPolicy()
    whole = set(learner.causal._no_split_modules or ())
    for module in [m for m in learner.modules() if type(m).__name__ in whole]:
        fully_shard(module, mesh=mesh, mp_policy=policy)
    fully_shard(learner, mesh=mesh, mp_policy=policy)


def optimiser(learner: Learner, training: Training) -> torch.optim.AdamW:
    """AdamW over what learns; vectors (norms, biases) do not decay."""
    learning = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    betas = (0.9, training.adam_beta2)
    return torch.optim.AdamW([g for g in groups if g["params"]], training.learning_rate, betas, fused=True)
