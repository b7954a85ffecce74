"""The battery on a real model's answers: sharpened it alerts, and a copy of the base under other seeds does not."""

import random
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

import prompts
from tools.judge.policy import Policy
from tools.measure import probes, problems, sampling
from tools.measure.engines import embedded, open_engine
from tools.measure.pools import located
from tools.measure.probes import PROBES, Arm, Reply
from tools.records import Decoding, Request

torch = pytest.importorskip("torch", reason="the extra `local` is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec(embedded.PACKAGE) is None, reason=embedded.INSTALL),
]

ASKED, SAMPLES, SEEDS = 30, 8, 20
DECODING = Decoding(temperature=0.8, top_p=0.95, max_tokens=40)
POLICY = Policy()
TOLERANCES = {name: float(getattr(POLICY, probe.tolerance)) for name, probe in PROBES.items()}
READ = [name for name, probe in PROBES.items() if probe.over == "generation" and name != "self_bleu_correct"]


def answers(model: Path, samples: int) -> Arm:
    """What a model says to every eighth problem of the embedded set."""
    file = located("embedded")
    asked = problems.read(file.read_bytes(), file.name)[::8][:ASKED]
    shown = sampling.render(asked, prompts.load("solve_function", prompt="{prompt}"))
    requests = [Request(id=id, prompt=text, indices=tuple(range(samples)), total=samples) for id, text in shown.items()]
    found: dict[str, list[Reply]] = {}
    for sample in open_engine("transformers_local", model=str(model)).sample(requests, DECODING):
        found.setdefault(sample.id, []).append(Reply(sample.text, sample.finish_reason == "length"))
    return found


def sharpened(model: Path, folder: Path) -> Path:
    """The model with logits three times as large: what it preferred before, it now says nearly always."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, folder)
    (weights,) = folder.glob("*.safetensors")
    tensors = load_file(weights)
    tensors["model.norm.weight"] *= 3
    save_file(tensors, weights, metadata={"format": "pt"})
    return folder


def alerts(base: Arm, tuned: Arm) -> set[str]:
    found = probes.read({"generation": base}, {"generation": tuned}, TOLERANCES, names=READ)
    assert len(found.readings) == len(READ)
    return {reading.probe for reading in found.readings if reading.answer == "alert"}


def halves(base: Mapping[str, probes.Replies], seed: int) -> tuple[Arm, Arm]:
    """The answers of every prompt in two halves: two runs of one model, under seeds of their own."""
    rng = random.Random(seed)
    mixed = {id: rng.sample(list(replies), len(replies)) for id, replies in base.items()}
    return {id: m[::2] for id, m in mixed.items()}, {id: m[1::2] for id, m in mixed.items()}


@pytest.fixture(scope="module")
def base() -> Arm:
    return answers(embedded.model_folder(), SAMPLES)


def test_a_sharpened_model_says_the_same_again_and_again(base: Arm, tmp_path: Path) -> None:
    collapsed = answers(sharpened(embedded.model_folder(), tmp_path / "sharp"), SAMPLES // 2)
    one, _ = halves(base, 0)
    assert "self_bleu" in alerts(one, collapsed)


def test_the_same_model_under_another_seed_raises_no_alert_in_19_of_20(base: Arm) -> None:
    """Whatever the number of probes: their alerts share one level (Bonferroni)."""
    alarms = [seed for seed in range(SEEDS) if alerts(*halves(base, seed))]
    assert len(alarms) <= 1
