"""Measuring a model, from the command line and in the chat: killed or cancelled, it ends in the same counts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "STRATEGIST"))}
ENVIRONMENT |= {"PYTHONPATH": str(ROOT)}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "tui", *map(str, arguments)]


def strategist(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = ENVIRONMENT | {"STRATEGIST_HOME": str(cwd / "home")}
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def lay_out(folder: Path, problems: int = 8) -> None:
    """Problems of the kind `add n`, and a script of answers: half right, one in three without code."""
    rows, answers = [], []
    for i in range(problems):
        code = f"def add_{i}(x):\n    return x + {{}}"
        rows.append(
            {
                "id": f"p{i}",
                "prompt": f"Write a function add_{i}(x) that returns x plus {i}.",
                "kind": "function",
                "entry_point": f"add_{i}",
                "tests": f"assert add_{i}(0) == {i}\nassert add_{i}(5) == {5 + i}",
                "reference": code.format(i),
                "difficulty": "easy" if i % 2 else "hard",
            }
        )
        wrong = [f"```python\n{code.format(i + 1)}\n```", "I cannot tell."]
        answers.append({"id": f"p{i}", "chance": 0.5, "right": f"```python\n{code.format(i)}\n```", "wrong": wrong})
    for name, lines in (("problems.jsonl", rows), ("script.jsonl", answers)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def measured(folder: Path, *more: str) -> list[str | Path]:
    given = ["--problems", "problems.jsonl", "--engine", "scripted", "--set", "script=script.jsonl", "-n", "8"]
    return ["measure", folder, *given, *more]


def counts(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "counts.jsonl").read_text().splitlines()]


def test_sample_verify_and_table_in_one_go(tmp_path: Path) -> None:
    lay_out(tmp_path)
    done = strategist(*measured(Path("run")), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "64 of 64 samples" in done.stdout
    assert "hard" in done.stdout
    rows = counts(tmp_path / "run")
    assert [row["n"] for row in rows] == [8] * 8
    assert 0 < sum(int(str(row["c"])) for row in rows) < 64


def test_an_issue_of_custody_serves_one_round_and_one_purpose(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "ids").write_text("p1\np3\np5\n")
    issued = ["--issue", "held-out", "--purpose", "evaluation", "--ids", "ids"]
    assert strategist("custody", "kept", "--register", "problems.jsonl", *issued, cwd=tmp_path).returncode == 0
    base, again, tuned = (
        strategist(*measured(Path(run)), "--custody", "kept", "held-out", "one", cwd=tmp_path)
        for run in ("base", "base", "tuned")
    )
    assert [done.returncode for done in (base, again, tuned)] == [0, 0, 0], tuned.stderr
    assert [row["id"] for row in counts(tmp_path / "tuned")] == ["p1", "p3", "p5"]
    second = strategist(*measured(Path("second")), "--custody", "kept", "held-out", "two", cwd=tmp_path)
    assert (second.returncode, (tmp_path / "second" / "samples.jsonl").exists()) == (2, False)
    assert "burned by run 'one'" in second.stderr
    pool = ["sample", *measured(Path("pool"))[1:], "--custody", "kept", "held-out", "one"]
    refused = strategist(*pool, cwd=tmp_path)
    assert refused.returncode == 2
    assert "pool_from_eval" in refused.stderr


def test_each_step_alone_gives_what_the_whole_gives(tmp_path: Path) -> None:
    lay_out(tmp_path)
    strategist(*measured(Path("whole")), cwd=tmp_path)
    sampled = strategist("sample", *measured(Path("steps"))[1:], cwd=tmp_path)
    graded = strategist("verify", "steps", "--json", cwd=tmp_path)
    assert (sampled.returncode, graded.returncode) == (0, 0), graded.stderr
    assert counts(tmp_path / "steps") == counts(tmp_path / "whole")
    report = json.loads(graded.stdout)
    assert report["noise"] == 0
    assert report["wrong_passed"] == 0
    assert report["tier"] != "none"


def test_more_samples_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    lay_out(tmp_path)
    strategist(*measured(Path("run")), cwd=tmp_path)
    first = (tmp_path / "run" / "samples.jsonl").read_bytes()
    strategist(*measured(Path("run"), "-n", "12"), cwd=tmp_path)
    assert (tmp_path / "run" / "samples.jsonl").read_bytes().startswith(first)
    assert [row["n"] for row in counts(tmp_path / "run")] == [12] * 8


def test_other_settings_are_refused_and_nothing_is_mixed(tmp_path: Path) -> None:
    lay_out(tmp_path)
    strategist(*measured(Path("run")), cwd=tmp_path)
    before = (tmp_path / "run" / "samples.jsonl").read_bytes()
    done = strategist(*measured(Path("run"), "--temperature", "1.2"), cwd=tmp_path)
    assert done.returncode == 2
    assert "decoding" in done.stderr
    assert (tmp_path / "run" / "samples.jsonl").read_bytes() == before


@pytest.mark.slow
def test_killed_at_several_moments_the_counts_are_the_same(tmp_path: Path) -> None:
    lay_out(tmp_path)
    strategist(*measured(Path("whole")), cwd=tmp_path)
    slowly = measured(Path("run"), "--set", "seconds=0.05")
    for moment in (1.0, 1.5, 2.5, 4.0):
        child = subprocess.Popen(command(*slowly), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        time.sleep(moment)
        child.send_signal(signal.SIGKILL)
        child.wait()
    done = strategist(*slowly, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert counts(tmp_path / "run") == counts(tmp_path / "whole")
    rows = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert len({(row["id"], row["index"]) for row in rows}) == len(rows) == 64


def converse(folder: Path, *lines: str) -> str:
    (folder / "lines.txt").write_text("\n".join(lines))
    done = strategist("chat", "--plain", "--script", "lines.txt", cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


RUN = "/run measure problems.jsonl engine=scripted n=8 set=script=script.jsonl"


def test_a_run_in_the_chat_is_estimated_approved_and_taken_in(tmp_path: Path) -> None:
    lay_out(tmp_path)
    output = converse(tmp_path, RUN, "/approve")
    estimate, _, after = output.partition("> /approve")
    assert "answers: 64" in estimate
    assert "no throughput is guessed" in estimate
    assert "has ended well" in after
    assert "grader_noise: 0%" in after
    assert "heldout_n: 8" in after
    assert "[EVIDENCE]" in after


def test_nothing_runs_before_it_is_approved(tmp_path: Path) -> None:
    lay_out(tmp_path)
    output = converse(tmp_path, RUN, "/jobs")
    assert "no run was started" in output
    assert not list((tmp_path / "home").rglob("job.json"))


def test_the_second_estimate_rests_on_the_first_runs_throughput(tmp_path: Path) -> None:
    lay_out(tmp_path)
    output = converse(tmp_path, RUN, "/approve", RUN.replace("n=8", "n=16"))
    assert "wall hours" in output.rpartition("[ESTIMATE]")[2]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/run", "/run measure FILE"),
        ("/run fly", "/run measure FILE"),
        ("/run measure nowhere.jsonl", "cannot be read"),
        ("/run measure problems.jsonl n=many", "a whole number"),
        ("/run measure problems.jsonl speed=fast", "NAME=VALUE"),
        ("/approve", "nothing waits"),
        ("/stop", "no run was started"),
    ],
)
def test_what_cannot_be_run_is_said(said: str, answer: str, tmp_path: Path) -> None:
    lay_out(tmp_path)
    output = converse(tmp_path, said)
    assert "[PROBLEM]" in output
    assert answer in output
