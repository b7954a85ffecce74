"""Weights on their way in and out: adapters put on, memory estimated, results written, adapters merged and compared.

An output folder holds the adapter (PEFT) or the whole weights (safetensors), the tokeniser, a model card and
SHA256SUMS; it appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from transformers import AutoModelForCausalLM, AutoTokenizer

from tools.errors import InvalidInput
from tools.measure.engines import transformers_local
from tools.records import Count, Record
from tools.store import write_atomic
from tools.tune import batches
from tools.tune.plan import Training
from tools.tune.rows import Selection

# logits of one chunk of the loss: small enough to stay near the processor, large enough for a fast product
CHUNK_LOGITS = 2**24
SUMS, CARD = "SHA256SUMS", "README.md"


# in


def weights_sha256(folder: Path) -> str:
    """One hash for the weight files of a model folder, as the engine that samples it tells it."""
    if not any(folder.glob("*.safetensors")):
        raise InvalidInput("there are no weights", "*.safetensors", "convert the model first", where=folder.name)
    return transformers_local.weights_sha256(folder)


def same_base(folder: Path, sampled: str | None) -> str:
    """The hash of the base. Raises InvalidInput where the samples are known to come from other weights."""
    found = weights_sha256(folder)
    if sampled is not None and sampled != found:
        seen = f"the base has sha256 {found[:12]}"
        raise InvalidInput(seen, f"{sampled[:12]}, which was sampled", "train the model that was sampled", where="base")
    return found


def _file_sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def adapted(lm: Any, training: Training) -> Any:
    """The model as it will learn: with a LoRA adapter, or with all weights."""
    if training.method == "full":
        return lm
    target = training.target_modules
    config = LoraConfig(
        r=training.lora_r,
        lora_alpha=training.lora_alpha or training.lora_r,
        lora_dropout=training.lora_dropout,
        target_modules=target if isinstance(target, str) else list(target),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(lm, config)


def load(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """A causal language model from a folder; no hub is asked and no bar is drawn."""
    transformers.utils.logging.disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)


# memory


class Memory(Record):
    """Bytes one process will need at its largest batch."""

    weights: Count
    learning: Count
    activations: Count
    logits: Count

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.learning + self.activations + self.logits


def memory(config: Any, training: Training, tokens: int, processes: int) -> Memory:
    """An estimate for a batch of so many tokens. The model is built without its numbers, to be counted."""
    with torch.device("meta"):
        lm = adapted(AutoModelForCausalLM.from_config(config), training)
    learning = sum(p.numel() for p in lm.parameters() if p.requires_grad)
    every = sum(p.numel() for p in lm.parameters())
    return Memory(
        weights=4 * every // processes,
        # gradient and two moments
        learning=12 * learning // processes,
        activations=4 * tokens * _kept_per_token(config, training),
        logits=4 * 3 * min(CHUNK_LOGITS, tokens * config.get_text_config().vocab_size),
    )


def _kept_per_token(config: Any, training: Training) -> int:
    """Numbers held for one token, over all layers: measured, 17,000 a layer at width 576, inner 1,536 and rank 64."""
    config = config.get_text_config()
    width, layers = config.hidden_size, config.num_hidden_layers
    inner = getattr(config, "intermediate_size", None) or 4 * width
    layer = 14 * width + 6 * inner + 7 * (training.lora_r or 0)
    return layers * width + layer if training.gradient_checkpointing else layers * layer


def check_memory(needed: Memory, device: torch.device) -> str:
    """A line that tells the estimate. Raises InvalidInput where it exceeds what is free."""
    free, told = _free(device), f"{needed.total / 1e6:,.0f} MB"
    if free is None:
        return f"Memory: about {told}; what is free here is not known."
    if needed.total > free:
        do = "lower per_device_train_batch_size and raise gradient_accumulation_steps, or set gradient_checkpointing"
        raise InvalidInput(f"about {told} of memory needed", f"at most the free {free / 1e6:,.0f} MB", do)
    return f"Memory: about {told} of {free / 1e6:,.0f} MB free."


def _free(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


# out


def full_state(model: nn.Module) -> dict[str, Any]:
    """All weights of a model that may be sharded, on the CPU; every process has to call it."""
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def export(lm: Any, state: dict[str, Any], tokenizer: Any, card: str, folder: Path) -> None:
    """Write adapter or weights with tokeniser, card and checksums. state: of the module that holds `lm` as `lm`."""
    mine = {name.removeprefix("lm."): value.contiguous() for name, value in state.items()}
    scratch = folder.with_name(f".{folder.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    if isinstance(lm, PeftModel):
        adapter = get_peft_model_state_dict(lm, state_dict=mine)
        save_file(adapter, scratch / "adapter_model.safetensors", metadata={"format": "pt"})
        config = lm.peft_config["default"]
        # the base's name, since a folder of this machine means nothing elsewhere
        config.base_model_name_or_path = Path(config.base_model_name_or_path).name
        config.save_pretrained(scratch)
    else:
        lm.save_pretrained(scratch, state_dict=mine)
    _complete(scratch, tokenizer, card, folder)


def merge(base: Path, adapter: Path, folder: Path) -> None:
    """Write base and adapter as one model, with tokeniser, card and checksums."""
    lm = _with_adapter(base, adapter).merge_and_unload()
    scratch = folder.with_name(f".{folder.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    lm.save_pretrained(scratch)
    card = (adapter / CARD).read_text(encoding="utf-8")
    _complete(scratch, AutoTokenizer.from_pretrained(adapter, local_files_only=True), card, folder)


def _with_adapter(base: Path, adapter: Path) -> Any:
    return PeftModel.from_pretrained(load(base), str(adapter)).eval()


def _complete(scratch: Path, tokenizer: Any, card: str, folder: Path) -> None:
    tokenizer.save_pretrained(scratch)
    write_atomic(scratch / CARD, card)
    sums = [f"{_file_sha256(file)}  {file.name}\n" for file in sorted(scratch.iterdir()) if file.name != SUMS]
    write_atomic(scratch / SUMS, "".join(sums))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(scratch, folder)


def card(trained: dict[str, Any], selection: Selection, training: Training, ledger: str) -> str:
    """The model card: what this is, from which base, which arm, with which settings; every figure was measured."""
    facts = trained | {
        "samples": selection.seen,
        "rows dropped": _listed(selection.dropped) or "none",
        "base-like rows": selection.base_like,
        "sampled with": _listed(selection.origin.decoding.model_dump(exclude_none=True)),
        "trained with": _listed(training.model_dump(exclude_none=True)),
    }
    table = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in facts.items())
    return f"""---
tags: [simple-self-distillation]
---
# A model fine-tuned on its own samples: the {selection.arm.name} arm

Cross-entropy on completions that the base itself sampled. It has not been judged: a figure of quality belongs to a
report with intervals, slices and the battery.

| fact | value |
|---|---|
{table}

{ledger}
"""


def _listed(settings: Mapping[Any, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


# an adapter against its merged model


class Parity(Record):
    """Greedy answers of adapter and merged model, prompt by prompt. differing: ids (positions) of those that differ.

    largest_difference: between logits after the prompts; a merge in float32 leaves about a hundred-thousandth.
    """

    prompts: Count
    agreed: Count
    differing: tuple[int, ...]
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Whether every answer is the same."""
        return self.agreed == self.prompts


@torch.no_grad()
def merge_parity(
    base: Path, adapter: Path, merged: Path, prompts: Sequence[str], *, max_new_tokens: int = 64
) -> Parity:
    """Compare greedy answers of base with adapter and of the merged model, one prompt at a time."""
    tokenizer = AutoTokenizer.from_pretrained(adapter, local_files_only=True)
    models = [_with_adapter(base, adapter), load(merged).eval()]
    differing, largest = [], 0.0
    for number, prompt in enumerate(prompts):
        text = batches.rendered(tokenizer, prompt)
        ids = tokenizer(text, add_special_tokens=not tokenizer.chat_template, return_tensors="pt").input_ids
        logits = [model(input_ids=ids).logits[0, -1] for model in models]
        largest = max(largest, (logits[0] - logits[1]).abs().max().item())
        greedy = {"do_sample": False, "max_new_tokens": max_new_tokens, "attention_mask": torch.ones_like(ids)}
        answers = [model.generate(input_ids=ids, **greedy)[0].tolist() for model in models]
        differing += [number] * (answers[0] != answers[1])
    return Parity(
        prompts=len(prompts),
        agreed=len(prompts) - len(differing),
        differing=tuple(differing),
        largest_difference=largest,
    )
