"""After a GO, in the chat: sample, train, evaluate, gate; what is refused on the way, and what a kill leaves."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from stories import FACTS
from test_measuring import lay_out

from agent import runs
from agent.offline import Offline
from agent.session import Session
from agent.toolbox import Casefile
from tools.deliver import bundle
from tools.jobs import jobs
from tools.judge.policy import Policy
from tools.measure.engines import embedded
from tools.measure.pools import located

ROOT = Path(__file__).parent.parent
# a GO for any model that solves something, on a handful of problems
LENIENT = Policy(
    heldout_min=2,
    slice_min=1,
    gap_threshold=0,
    ceiling_pass_at_1=1,
    floor_pass_at_k=0,
    nearly_all_wrong_pass_at_1=0,
    max_new_tokens=40,
    samples_per_prompt=4,
)
MEASURE = "/run measure problems.jsonl engine=scripted n=16 set=script=script.jsonl"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    lay_out(tmp_path)
    return tmp_path


def talk(home: Path, *lines: str, kill: Callable[[Path], bool] = lambda session: False) -> list[str]:
    """What each line was answered, once the run that it started is over; kill -9 of a run as soon as `kill` is true."""
    return asyncio.run(_talk(home / "session", lines, kill))


async def _talk(folder: Path, lines: tuple[str, ...], kill: Callable[[Path], bool]) -> list[str]:
    async with Session.open(folder, Offline(), LENIENT) as session:
        said = []
        for line in lines:
            cards = [event async for event in session.send(line) if event.kind == "card"]
            said.append("\n".join(f"[{card.word}]\n{card.text}" for card in cards))
            while session.run.startswith("RUNNING"):
                if kill(folder):
                    os.killpg(int((jobs(folder)[0].folder / "pid").read_text()), signal.SIGKILL)
                await asyncio.sleep(0.05)
        return said


def write_pool(folder: Path, prompt: str = "Write a function twice(x) that returns the double of a number.") -> None:
    row = {"id": "q", "prompt": prompt, "kind": "function", "entry_point": "twice", "tests": "assert twice(2) == 4"}
    (folder / "pool.jsonl").write_text(json.dumps(row) + "\n")
    with (folder / "script.jsonl").open("a") as script:
        answer = {"id": "q", "chance": 1, "right": "def twice(x):\n    return 2 * x", "wrong": "no"}
        script.write(json.dumps(answer) + "\n")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session with a GO whose base a run of it has measured, and a pool beside it."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(ROOT))
        lay_out(folder)
        write_pool(folder)
        assert "**GO-SSD**" in talk(folder, *FACTS, MEASURE, "/approve", "/verdict")[-1]
    return folder


@pytest.fixture
def judged(measured: Path, home: Path) -> Path:
    """That session, to go on with."""
    shutil.copytree(measured, home, dirs_exist_ok=True)
    return home


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/run sample pool.jsonl", "a GO for SSD"),
        ("/run train", "a GO for SSD"),
        ("/run evaluate", "no run of this session measured the base"),
        ("/gate", "no tuned model was evaluated"),
        ("/run sample", "no file is named"),
        ("/run train fast=yes", "nothing behind it"),
        ("/run fly", "/run train"),
    ],
)
def test_without_its_ground_a_stage_is_refused_with_what_to_do(said: str, answer: str, home: Path) -> None:
    (output,) = talk(home, said)
    assert "[PROBLEM]" in output
    assert answer in output
    assert not list(home.rglob("job.json"))


def test_nothing_is_trained_before_something_was_sampled_or_evaluated_before_it_was_trained(judged: Path) -> None:
    train, evaluate = talk(judged, "/run train", "/run evaluate")
    assert "no answers of the base were drawn" in train
    assert "nothing was trained" in evaluate


def test_a_pool_that_meets_the_evaluation_is_refused_by_name_before_anything_is_drawn(judged: Path) -> None:
    write_pool(judged, "Write a function add_3(x) that returns x plus 3.")
    refused, approved = talk(judged, "/run sample pool.jsonl", "/approve")
    assert "[REFUSED]" in refused
    assert "pool_from_eval" in refused
    assert "nothing waits" in approved


def test_a_verdict_on_other_results_trains_nothing(judged: Path) -> None:
    rows = ({"id": f"p{i}", "c": 4 + i, "n": 16, "slice": "easy"} for i in range(8))
    (judged / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    *_, refused = talk(judged, "/attach other.jsonl", "/run sample pool.jsonl")
    assert "other results in hand than measure-" in refused


@pytest.mark.parametrize(
    ("weights", "said"), [(None, "scripted, which names no weights"), ("0" * 64, "samples are of another model")]
)
def test_a_base_without_weights_or_with_others_than_were_sampled_is_not_trained(
    weights: str | None, said: str, judged: Path
) -> None:
    talk(judged, "/run sample pool.jsonl", "/approve")
    (plan,) = (judged / "session" / "runs").glob("measure-*/plan.json")
    told = json.loads(plan.read_text())
    plan.write_text(json.dumps(told | {"engine": told["engine"] | {"weights_sha256": weights}}))
    assert said in talk(judged, "/run train")[0]


def test_what_was_planned_under_another_verdict_is_not_started(judged: Path) -> None:
    *_, refused = talk(judged, "/run sample pool.jsonl", "The held-out set overlaps with the prompt pool.", "/approve")
    assert "[PROBLEM]" in refused
    assert [job.id.partition("-")[0] for job in jobs(judged / "session")] == ["measure"]


def test_the_pool_is_sampled_as_the_plan_declares_and_what_came_is_taken_in(judged: Path) -> None:
    estimate, _, ended = talk(judged, "/run sample pool.jsonl top-p=1", "/approve", "/jobs")
    assert "answers: 4" in estimate
    assert "wall hours" in estimate
    assert "samples.answers: 4" in ended
    assert "max_tokens 40, seed 0, temperature 0.8, top_p 1.0" in ended


def test_killed_before_it_drew_anything_a_run_is_resumed_and_taken_in(judged: Path) -> None:
    talk(judged, "/run sample pool.jsonl", "/approve", kill=lambda session: True)
    lost, _, ended = talk(judged, "/jobs", "/resume", "/jobs")
    assert "died without a word" in lost
    assert "samples.answers: 4" in ended


def test_the_terms_are_in_the_ledger_before_the_training_starts_and_a_turn_that_runs_again_starts_nothing(
    judged: Path,
) -> None:
    talk(judged, "/run sample pool.jsonl", "/approve", "/jobs", "/run train")
    case, turn = Casefile(judged / "session"), 99
    begun = runs.approve(case, turn)
    entries, started = len(case.ledger.entries), len(jobs(case.folder))
    names = [entry.name for entry in case.ledger.entries]
    assert names.index("seal") < max(i for i, name in enumerate(names) if name == "run.started")
    assert runs.approve(case, turn) == begun
    assert (len(case.ledger.entries), len(jobs(case.folder))) == (entries, started)
    seal, job = case.ledger.get("seal"), jobs(case.folder)[0]
    assert seal is not None
    assert json.loads((case.folder / "runs" / job.id / "seal.json").read_text())["sha256"] == seal.value
    assert "nothing waits" in str(runs.approve(case, turn + 1))
    job.wait()


def write_part(folder: Path, name: str, every: int) -> None:
    lines = located(name).read_text("utf-8").splitlines(keepends=True)
    (folder / f"{name}.jsonl").write_text("".join(lines[::every]))


def training(session: Path) -> bool:
    return any(path.stat().st_size for path in session.glob("runs/train-*/training/log.jsonl"))


@pytest.mark.slow
@pytest.mark.skipif(find_spec(embedded.PACKAGE) is None, reason=embedded.INSTALL)
def test_from_a_measurement_to_the_gate_with_the_real_model_though_its_training_is_killed(home: Path) -> None:
    pytest.importorskip("peft", reason="the extra `train` is not installed")
    write_part(home, "embedded", 60)
    write_part(home, "embedded-pool", 160)
    measure = "/run measure embedded.jsonl n=16 max-tokens=40 top-p=0.95"
    assert "GO-SSD" in talk(home, *FACTS, measure, "/approve", "/verdict")[-1]
    *_, sampled = talk(home, "/run sample embedded-pool.jsonl", "/approve", "/jobs")
    assert "samples.answers: 12" in sampled
    talk(home, "/run train", "/approve", kill=training)
    *_, fitted = talk(home, "/resume", "/jobs")
    assert "training.arm: minimal" in fitted
    estimate, _, tried = talk(home, "/run evaluate limit=1", "/approve", "/jobs")
    assert "wall hours" in estimate
    assert tried.count("[TRIED]") == 1
    assert "Battery: " in tried
    gated, again, exported = talk(home, "/gate", "/gate", "/export bundle")
    assert "closed" in gated
    assert "sealed: held" in gated
    assert "own_samples: not held" in gated
    assert gated == again
    assert "[EXPORTED]" in exported
    assert bundle.verify(home / "bundle").ok
    assert "own_samples: not held" in (home / "bundle" / "D-round2-gate.md").read_text()
    assert len(jobs(home / "session")) == 4
    # with other counts handed over, the gate would speak of one model and cite another
    (counts,) = (home / "session" / "runs").glob("measure-*/counts.jsonl")
    (home / "other.jsonl").write_text("".join(f" {line}" for line in counts.read_text().splitlines(keepends=True)))
    assert "than train-" in talk(home, "/tuned other.jsonl", "/gate")[-1]
    (tuned,) = (home / "session" / "runs").glob("train-*/counts.jsonl")
    (readings,) = (home / "session" / "runs").glob("train-*/readings.json")
    (home / "other.json").write_text(f" {readings.read_text()}")
    assert "other battery in hand than train-" in talk(home, f"/tuned {tuned}", "/battery other.json", "/gate")[-1]
    # what is planned for a second round is kept, and the answer leads to it
    (home / "next.json").write_text('{"checkpoint": "one", "sampled_from": "one"}')
    assert "own_samples: held" in talk(home, f"/battery {readings}", "/gate next.json")[-1]
    assert "[EXPORTED]" in talk(home, "/export bundle")[-1]
    assert (home / "bundle" / "gate" / "round_two.json").read_text() == '{"checkpoint": "one", "sampled_from": "one"}'
