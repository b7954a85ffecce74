"""Seal, train, probe, gate and cost on run folders: what is refused by name, what an alert and a closed gate answer."""

import json
from pathlib import Path

import pytest
from stories import SHARP_ON_HARD, write_counts
from test_measuring import lay_out, measured, strategist
from workloads import workload

import prompts
from tools.errors import InvalidInput
from tools.judge import battery
from tools.judge.verdict import decide, read_workload
from tools.measure.engines.transformers_local import weights_sha256
from tools.tune.plan import Plan, design

SETS = ("safe", "unsafe", "off_format")


@pytest.fixture(scope="module")
def plan() -> Plan:
    told = read_workload(workload())
    return design(told, decide(told))


def write_plan(folder: Path, plan: Plan, **changes: object) -> Path:
    path = folder / "plan.json"
    path.write_text(json.dumps(plan.model_dump(mode="json") | changes))
    return path


def test_a_seal_holds_every_probe_and_a_changed_plan_needs_a_reason(tmp_path: Path, plan: Plan) -> None:
    write_plan(tmp_path, plan)
    first = json.loads(strategist("seal", "run", "--plan", "plan.json", "--json", cwd=tmp_path).stdout)
    assert set(first["terms"]["tolerances"]) == {probe.name for probe in plan.battery.probes}
    again = json.loads(strategist("seal", "run", "--plan", "plan.json", "--json", cwd=tmp_path).stdout)
    assert again == first
    write_plan(tmp_path, plan, gate=plan.gate.model_dump() | {"lift_min_pp": 1.0})
    refused = strategist("seal", "run", "--plan", "plan.json", cwd=tmp_path)
    assert (refused.returncode, "--amend" in refused.stderr) == (2, True)
    amended = strategist("seal", "run", "--plan", "plan.json", "--amend", "a pilot", "--json", cwd=tmp_path)
    assert [one["replaced"] for one in json.loads(amended.stdout)["amendments"]] == [first["sha256"]]


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"mix": {"ratio": 0.8, "source": "own"}}, "heavy_mix"),
        ({"training": {"method": "lora", "learning_rate": 2e-4, "lora_r": 8, "lora_alpha": 8}}, "low_rank_unmeasured"),
        ({"rounds": {"count": 5, "battery_between": False, "reported": "last_round"}}, "blind_iteration"),
        (
            {"arm": {"name": "filtered: drop_empty", "preset": "brief-minimal", "filter": ["drop_empty"]}},
            "blurred_filtering",
        ),
        (
            {"battery": {"probes": [{"name": "self_bleu", "tolerance": 0.1, "unit": "fraction", "prompts": 200}]}},
            "skip_safety_probe",
        ),
        ({"battery": {"probes": []}}, "skip_battery"),
        ({"pool": {"name": "p", "ids": ["x"]}, "evaluation": {"ids": ["x"]}}, "pool_from_eval"),
    ],
)
def test_a_plan_that_embodies_an_anti_pattern_is_refused_by_name(
    changes: dict[str, object], pattern: str, tmp_path: Path, plan: Plan
) -> None:
    if "evaluation" in changes:
        problems = {"name": "held-out", **changes["evaluation"]}  # type: ignore[dict-item]
        changes = changes | {"evaluation": plan.evaluation.model_dump(mode="json") | {"problems": problems}}
    write_plan(tmp_path, plan, **changes)
    done = strategist("seal", "run", "--plan", "plan.json", cwd=tmp_path)
    assert done.returncode == 2
    assert pattern in done.stderr
    assert not (tmp_path / "run").exists()


def say_to_probes(folder: Path, **answers: str) -> None:
    """Add to the script what is said to the first prompts of every probe set."""
    rows = [
        {"id": row["id"], "chance": 1, "right": answers[name], "wrong": answers[name]}
        for name in SETS
        for row in prompts.probe_set(name)[:40]
    ]
    with (folder / "script.jsonl").open("a") as script:
        script.writelines(json.dumps(row) + "\n" for row in rows)


def probed(folder: Path, run: str, *more: str) -> list[str | Path]:
    given = ["--engine", "scripted", "--set", "script=script.jsonl", "--limit", "40"]
    return ["probe", run, *given, *more]


@pytest.mark.slow
def test_a_model_that_lost_its_refusals_is_an_alert_under_its_seal(tmp_path: Path, plan: Plan) -> None:
    lay_out(tmp_path)
    write_plan(tmp_path, plan)
    for run, unsafe in (("base", "I can't help with that."), ("tuned", "Sure, here it is: first you open the file.")):
        lay_out(tmp_path)
        say_to_probes(tmp_path, safe="Use the standard library.", unsafe=unsafe, off_format="wc -l")
        assert strategist(*measured(Path(run)), cwd=tmp_path).returncode == 0
        strategist("seal", run, "--plan", "plan.json", cwd=tmp_path)
        assert strategist(*probed(tmp_path, run), cwd=tmp_path).returncode == 0
    done = strategist(*probed(tmp_path, "tuned", "--against", "base", "--json"), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    answers = {reading["probe"]: reading["answer"] for reading in json.loads(done.stdout)["readings"]}
    assert answers["unsafe_compliance"] == "alert"
    assert answers["over_refusal"] != "alert"
    told = json.loads((tmp_path / "tuned" / "readings.json").read_text())
    assert told["seal"] == json.loads((tmp_path / "tuned" / "seal.json").read_text())["sha256"]


@pytest.mark.slow
def test_an_evaluation_asks_the_tuned_run_what_its_base_was_asked_and_reads_the_battery(
    tmp_path: Path, plan: Plan
) -> None:
    lay_out(tmp_path)
    write_plan(tmp_path, plan)
    say_to_probes(tmp_path, safe="Use the standard library.", unsafe="I can't help with that.", off_format="wc -l")
    strategist(*measured(Path("base")), cwd=tmp_path)
    strategist("seal", "tuned", "--plan", "plan.json", cwd=tmp_path)
    asked = probed(tmp_path, "tuned", "--against", "base", "-n", "8")[1:]
    done = strategist("evaluate", *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tuned" / "counts.jsonl").read_bytes() == (tmp_path / "base" / "counts.jsonl").read_bytes()
    assert battery.BatteryRun.parse((tmp_path / "tuned" / "readings.json").read_bytes(), "").answer != "alert"
    assert strategist("gate", "base", "tuned", cwd=tmp_path).returncode == 1


def test_a_gate_without_a_seal_is_closed_and_says_what_is_not_shown(tmp_path: Path) -> None:
    for run in ("base", "tuned"):
        (tmp_path / run).mkdir()
        write_counts(tmp_path / run / "counts.jsonl", SHARP_ON_HARD)
    done = strategist("gate", "base", "tuned", cwd=tmp_path)
    assert done.returncode == 1
    assert "CLOSED" in done.stdout
    assert "NOT    sealed" in done.stdout


def test_a_file_on_round_two_cannot_say_what_round_one_showed(tmp_path: Path) -> None:
    for run in ("base", "tuned"):
        (tmp_path / run).mkdir()
        write_counts(tmp_path / run / "counts.jsonl", SHARP_ON_HARD)
    (tmp_path / "two.json").write_text(json.dumps({"readings": [], "sampled_from": "abc"}))
    done = strategist("gate", "base", "tuned", "--round-two", "two.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "says other things than round two's" in done.stderr


def held_out(folder: Path, prompt: str) -> None:
    (folder / "held.jsonl").write_text(json.dumps({"id": "h1", "prompt": prompt}) + "\n")


def test_a_pool_that_meets_the_evaluation_is_not_trained_on(tmp_path: Path, plan: Plan) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    lay_out(tmp_path)
    write_plan(tmp_path, plan)
    strategist(*measured(Path("run")), cwd=tmp_path)
    strategist("seal", "run", "--plan", "plan.json", cwd=tmp_path)
    held_out(tmp_path, "Write a function add_3(x) that returns x plus 3.")
    done = strategist("train", "run", "--plan", "plan.json", "--eval", "held.jsonl", "--base", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert "pool_from_eval" in done.stderr
    assert not (tmp_path / "run" / "sft.jsonl").exists()


def test_training_without_a_seal_is_refused_by_name(tmp_path: Path, plan: Plan) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    lay_out(tmp_path)
    held_out(tmp_path, "Reverse the words of a sentence, each of them left as it stands.")
    write_plan(tmp_path, plan)
    strategist(*measured(Path("run")), cwd=tmp_path)
    done = strategist("train", "run", "--plan", "plan.json", "--eval", "held.jsonl", "--base", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert "skip_battery" in done.stderr


def test_the_cost_of_runs_is_added_up(tmp_path: Path) -> None:
    lay_out(tmp_path)
    strategist(*measured(Path("run")), cwd=tmp_path)
    found = json.loads(strategist("cost", "run", "run", "--json", cwd=tmp_path).stdout)
    assert [total["stage"] for total in found] == ["evaluation", "grading"]
    assert all(total["wall_hours"] > 0 for total in found)


def trained(run: Path, *, seal: str, weights: bytes, answered_by: str | None = None, base: str | None = "base") -> None:
    """What a training leaves in a run, and whose answers its plan says it holds."""
    output = run / "training" / "output"
    output.mkdir(parents=True)
    (output / "adapter_model.safetensors").write_bytes(weights)
    (run / "training" / "trained.json").write_text(json.dumps({"seal_sha256": seal, "base_sha256": "base"}))
    answering = {"weights_sha256": base, "adapter_sha256": answered_by or weights_sha256(output)}
    (run / "plan.json").write_text(json.dumps({"engine": answering}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seal": "0" * 64}, "trained under another seal"),
        ({"answered_by": "0" * 64}, "answers of another model than was trained here"),
        ({"base": "another base"}, "answers of another model than was trained here"),
        ({"base": None}, "a server that does not say which"),
        ({}, ""),
    ],
)
def test_a_battery_is_read_of_the_model_that_was_trained_here_and_under_its_seal(
    changes: dict[str, str], said: str, tmp_path: Path, plan: Plan
) -> None:
    write_plan(tmp_path, plan)
    for run in ("base", "tuned"):
        (tmp_path / run).mkdir()
        write_counts(tmp_path / run / "counts.jsonl", SHARP_ON_HARD)
    strategist("seal", "tuned", "--plan", "plan.json", cwd=tmp_path)
    seal = json.loads((tmp_path / "tuned" / "seal.json").read_text())["sha256"]
    trained(tmp_path / "tuned", **{"seal": seal, "weights": b"w", **changes})
    expected: battery.Expected = {"safe": {}, "unsafe": {}, "off_format": {}}
    if not said:
        assert battery.read(tmp_path / "base", tmp_path / "tuned", expected).seal == seal
        return
    with pytest.raises(InvalidInput, match=said):
        battery.read(tmp_path / "base", tmp_path / "tuned", expected)
