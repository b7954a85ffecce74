import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools import jobs
from tools.errors import InvalidInput
from tools.jobs import Job, Progress, Reporter


@contextmanager
def long_job(home: Path) -> Iterator[Job]:
    """`strategist screen` on a pipe that nobody closes: it runs until it is ended."""
    pipe = home / "pipe"
    os.mkfifo(pipe)
    job = jobs.start(home, "screen", ["screen", str(pipe)])
    handle = os.open(pipe, os.O_WRONLY)
    try:
        yield job
    finally:
        os.close(handle)
        job.wait(20)


def test_a_job_that_ends_well_is_done_and_keeps_what_it_printed(tmp_path: Path) -> None:
    (tmp_path / "counts.jsonl").write_text("".join(f'{{"id":"{i}","c":1,"n":16}}\n' for i in range(30)))
    job = jobs.start(tmp_path, "table", ["passk", str(tmp_path / "counts.jsonl"), "--json"])
    assert job.wait(60)
    assert (job.state, job.exit_code) == ("done", 0)
    assert json.loads((job.folder / "log.txt").read_text())["problems"] == 30


def test_a_refused_command_is_a_failed_job_that_says_why(tmp_path: Path) -> None:
    job = jobs.start(tmp_path, "table", ["passk", "nowhere.jsonl"])
    assert job.wait(60)
    assert (job.state, job.exit_code) == ("failed", 2)
    assert "nowhere.jsonl" in job.tail


def test_a_killed_job_is_lost_and_resumes(tmp_path: Path) -> None:
    with long_job(tmp_path) as job:
        assert job.state == "running"
        os.killpg(int((job.folder / "pid").read_text()), signal.SIGKILL)
        assert job.wait(20)
        assert (job.state, job.exit_code) == ("lost", None)
        job.resume()
        assert job.state == "running"
        job.cancel()


def test_a_cancelled_job_ends_in_its_own_words(tmp_path: Path) -> None:
    with long_job(tmp_path) as job:
        time.sleep(1)
        job.cancel()
        assert job.state == "cancelled"
        assert "what is done is kept" in job.tail
        with pytest.raises(InvalidInput, match="the job is cancelled"):
            job.cancel()


def test_a_running_job_is_not_started_twice(tmp_path: Path) -> None:
    with long_job(tmp_path) as job, pytest.raises(InvalidInput, match="running"):
        job.resume()


def test_the_same_id_again_starts_nothing(tmp_path: Path) -> None:
    first = jobs.start(tmp_path, "table", ["passk", "nowhere.jsonl"])
    assert first.wait(60)
    assert jobs.start(tmp_path, "table", ["passk", "elsewhere.jsonl"]).told == first.told


def test_jobs_are_listed_newest_first(tmp_path: Path) -> None:
    started = [jobs.start(tmp_path, id, ["passk", "nowhere.jsonl"]) for id in ("b", "a")]
    assert [job.id for job in jobs.jobs(tmp_path)] == ["a", "b"]
    assert all(job.wait(60) for job in started)


def test_rate_and_time_left_are_of_this_run_alone() -> None:
    progress = Progress(stage="sampling", done=150, wanted=250, began=100.0, at=110.0, done_before=100)
    assert (progress.rate, progress.seconds_left) == (5.0, 20.0)
    assert progress.line == "sampling 150 of 250, 5.0 per second, 0:20 left"


def test_nothing_done_yet_has_no_rate() -> None:
    assert Progress(stage="sampling", done=0, wanted=250, began=100.0, at=110.0).line == "sampling 0 of 250"


def test_a_reporter_writes_where_its_job_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(jobs.ENVIRONMENT, str(tmp_path))
    report = Reporter()
    report("grading", 0, 10)
    report("grading", 10, 10)
    found = Progress.model_validate_json((tmp_path / "progress.json").read_text())
    assert (found.stage, found.done, found.wanted) == ("grading", 10, 10)
