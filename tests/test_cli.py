"""The command: figures agree with the oracle, exit codes mean what they say, bad input is a sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from passk_inference import pass_at_k as oracle
from result_files import PROBLEMS, SAMPLES, SLICELESS, WRITERS, counts_jsonl
from stories import SHARP_ON_HARD, write_counts

ROOT = Path(__file__).parent.parent


def strategist(*arguments: str | Path, stdin: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )


@pytest.mark.parametrize("harness", WRITERS)
def test_passk_on_every_format_agrees_with_the_oracle(harness: str, tmp_path: Path) -> None:
    path = WRITERS[harness][1](tmp_path)
    table = json.loads(strategist("passk", path, "--json").stdout)
    names = ["overall"] if harness in SLICELESS else ["overall", "easy", "hard"]
    assert table["slices"] == names[1:]
    for name in names:
        correct = np.array([c for _, s, c in PROBLEMS if name in ("overall", s)])
        total = np.full(len(correct), SAMPLES)
        for k in (1, 4, 8, 16):
            row = find(table, "pass_at_k", k, name)
            assert row["value"] == pytest.approx(float(np.mean(oracle(correct, total, k))), abs=1e-9)
            assert row["ci"]["low"] <= row["value"] <= row["ci"]["high"]
        gap = find(table, "gap_at_k", 8, name)
        expected = np.mean(oracle(correct, total, 8)) - np.mean(correct / total)
        assert gap["value"] == pytest.approx(100 * float(expected), abs=1e-7)
        assert gap["ci"]["low"] < gap["ci"]["high"]


def find(table: dict[str, list[dict[str, object]]], metric: str, k: int, name: str) -> dict[str, object]:
    return next(r for r in table["rows"] if (r["metric"], r["k"], r.get("slice", "overall")) == (metric, k, name))


def test_the_table_names_slice_k_gap_and_interval(tmp_path: Path) -> None:
    out = strategist("passk", write_counts(tmp_path / "counts.jsonl", SHARP_ON_HARD)).stdout
    for part in ("overall", "hard", "easy", "pass@1", "pass@16", "gap@16", "8.9 pp", "2.1 pp", "180", "360"):
        assert part in out


def test_k_above_n_is_said_not_guessed(tmp_path: Path) -> None:
    done = strategist("passk", counts_jsonl(tmp_path), "-k", "32", "--json")
    table = json.loads(done.stdout)
    assert not [row for row in table["rows"] if row["k"] == 32]
    assert any("32" in note for note in table["notes"])


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["passk", "nowhere.jsonl"], ""),
        (["verdict", "-"], "[1]"),
        (["verdict", "-"], "{: broken"),
        (["verdict", "-"], '{"pass_at_1": "lots"}'),
        (["intake"], "not json\n"),
        (["screen"], '{"id": 1}\n'),
        (["guard"], '{"id": 1, "text": 7}\n'),
        (["verify-bundle", "nowhere"], ""),
        (["export", "nobody"], ""),
        (["chat", "--plain", "--resume", "nobody"], ""),
    ],
)
def test_bad_input_is_one_clear_sentence_and_exit_two(arguments: list[str], stdin: str, tmp_path: Path) -> None:
    done = strategist(*arguments, stdin=stdin, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("strategist: ")
    assert "Traceback" not in done.stderr


WORKLOAD = {
    "model": "Qwen2.5-Coder-7B-Instruct",
    "parameter_count": 7.6e9,
    "license": "apache-2.0",
    "context_length": 32768,
    "languages": ["python"],
    "problem_distribution": "competitive",
    "purpose": "hints in a practice app",
    "heldout_n": 400,
    "samples_per_problem": 16,
    "contamination_checked": True,
    "heldout_disjoint_from_pool": True,
    "same_decoding_for_all_k": True,
    "pass_at_1": 0.43,
    "pass_at_k": {"4": 0.55, "8": 0.61, "16": 0.66},
    "slices": {
        "easy": {"n": 200, "pass_at_1": 0.70, "pass_at_k": {"16": 0.84}},
        "hard": {"n": 200, "pass_at_1": 0.16, "pass_at_k": {"16": 0.48}},
    },
    "slice_kind": "difficulty",
    "gpu_hours": {"sampling": 200, "finetune": 300, "eval": 60},
    "team_size": 4,
    "first_signal_days": 14,
    "comparator": "rejection_sampling_sft",
    "failure_cost": "hint acceptance drops",
    "has_rollback": True,
    "has_checkpoint_discipline": True,
    "verifier": "unit_tests",
}


def verdict(*workloads: dict[str, object]) -> tuple[int, list[dict[str, object]]]:
    done = strategist("verdict", "-", stdin="\n".join(map(json.dumps, workloads)))
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_whole_workload_gets_a_verdict_in_contract_form() -> None:
    code, (found,) = verdict(WORKLOAD)
    assert code == 0
    assert found["verdict"] == "GO-SSD"
    assert set(found) == {"verdict", "other", "resolution", "missing", "slices", "gap", "why"}


@pytest.mark.parametrize("field", ["comparator", "gpu_hours", "pass_at_k", "contamination_checked", "failure_cost"])
def test_a_workload_without_a_required_field_is_refused(field: str) -> None:
    code, (found,) = verdict({key: value for key, value in WORKLOAD.items() if key != field})
    assert code == 2
    assert found["verdict"] == "REFUSE"
    assert any(str(name).startswith(field) for name in found["missing"])  # type: ignore[attr-defined]


def test_many_workloads_keep_their_order_and_ids() -> None:
    _, found = verdict({"id": "b", **WORKLOAD}, {"id": "a"})
    assert [row["id"] for row in found] == ["b", "a"]
    assert [row["verdict"] for row in found] == ["GO-SSD", "REFUSE"]


def test_a_workload_file_names_its_counts(tmp_path: Path) -> None:
    write_counts(tmp_path / "counts.jsonl", SHARP_ON_HARD)
    stated = {"pass_at_1", "pass_at_k", "slices", "heldout_n", "samples_per_problem"}
    lines = [f"{k}: {json.dumps(v)}" for k, v in WORKLOAD.items() if k not in stated]
    (tmp_path / "w.yaml").write_text("\n".join([*lines, "counts: counts.jsonl"]))
    done = strategist("verdict", tmp_path / "w.yaml")
    assert json.loads(done.stdout)["slices"]["easy"]["verdict"] == "GO-OTHER"
    assert json.loads(done.stdout)["slices"]["hard"]["verdict"] == "GO-SSD"


def test_batch_contracts_keep_order_and_ids() -> None:
    rows = '{"id": "z", "text": "hello"}\n{"id": 3, "text": "we have 3 people on the team"}\n'
    flags = [json.loads(line) for line in strategist("screen", stdin=rows).stdout.splitlines()]
    assert [row["id"] for row in flags] == ["z", 3]
    assert all(set(row) == {"id", "flags"} for row in flags)
    fields = [json.loads(line) for line in strategist("intake", stdin=rows).stdout.splitlines()]
    assert fields == [{"id": "z", "fields": {}}, {"id": 3, "fields": {"team_size": 3}}]


def test_the_guard_contract_blocks_a_number_without_evidence() -> None:
    entry = {"id": "E1", "name": "pass@1", "value": 0.43, "unit": "fraction"}
    rows = [
        {"id": "a", "ledger": [entry], "text": "The model scores {{E1}}."},
        {"id": "b", "ledger": [entry], "text": "The model scores 61%."},
    ]
    found = [json.loads(x) for x in strategist("guard", stdin="\n".join(map(json.dumps, rows))).stdout.splitlines()]
    assert [row["allowed"] for row in found] == [True, False]
    assert "61" in found[1]["violations"][0]["span"]


def test_a_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
    path = write_counts(tmp_path / "counts.jsonl", SHARP_ON_HARD)
    command = f"{sys.executable} -m tui passk {path} --json | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "Traceback" not in done.stderr


def test_doctor_says_what_is_here() -> None:
    assert "python" in json.loads(strategist("doctor", "--json").stdout)


@pytest.mark.parametrize("blocks", [40, 100, 150])
def test_a_disk_that_takes_no_more_ends_the_chat_with_a_sentence(blocks: int, tmp_path: Path) -> None:
    """Files are cut at so many kilobytes; what was said before the end is there when the session is opened again."""
    (tmp_path / "script").write_text("hi\nWe use Apache-2.0.\n" + "/status\n" * 30)
    chat = [sys.executable, "-m", "tui", "chat", "--plain", "--script", "script", "--home", str(tmp_path)]
    limited = ["bash", "-c", f'ulimit -f {blocks}; exec "$@"', "-", *chat]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    cut = subprocess.run(limited, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (cut.returncode, "Traceback" in cut.stderr) == (3, False), cut.stderr
    resumed = subprocess.run([*chat, "--resume"], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert resumed.returncode in (0, 2), resumed.stderr
