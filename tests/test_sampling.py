"""Sampling into a run: never twice, never under two settings, and the same after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tools.errors import EngineFailed, InvalidInput, StoreCorrupt
from tools.measure.engines import open_engine
from tools.measure.engines.scripted import Scripted
from tools.measure.sampling import Progress, render, sample
from tools.records import Case, Decoding, Problem, Request, Sample
from tools.runs import Rows, Run

ROOT = Path(__file__).parent.parent
WARM = Decoding(temperature=0.8, max_tokens=16, seed=7)
PROMPTS = {f"p{i}": f"prompt {i} with {{braces}}" for i in range(5)}
SCRIPT = [{"id": id, "chance": 0.5, "right": ["yes", "sure"], "wrong": "no"} for id in PROMPTS]
TEMPLATE = "Answer {prompt} in {one} word."


class Recording(Scripted):
    """A script that remembers what it was asked, and may fail after so many answers."""

    def __init__(self, fails_after: int = 10**9) -> None:
        super().__init__(SCRIPT)
        self.requests: list[Request] = []
        self._left = fails_after

    def sample(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[Sample]:
        self.requests = list(requests)
        for one in super().sample(requests, decoding):
            if not self._left:
                raise EngineFailed("the engine fell over")
            self._left -= 1
            yield one


def drawn(folder: Path, n: int = 4, engine: Any = None, **changed: Any) -> Progress:
    engine = engine or open_engine("scripted", script=SCRIPT)
    settings = {"prompts": PROMPTS, "engine": engine, "decoding": WARM, "n": n, "template": TEMPLATE}
    return sample(folder, **settings | changed)


def texts(folder: Path) -> dict[tuple[str, int], str]:
    rows = [Sample(**row) for row in Rows(folder / "samples.jsonl")]
    named = {(one.id, one.index): one.text for one in rows}
    assert len(named) == len(rows), "a sample is there twice"
    return named


def test_every_prompt_gets_its_row(tmp_path: Path) -> None:
    progress = drawn(tmp_path)
    assert texts(tmp_path).keys() == {(id, index) for id in PROMPTS for index in range(4)}
    assert progress == Progress(done=20, wanted=20, tokens=20)


def test_the_model_is_shown_the_template_and_other_braces_stay(tmp_path: Path) -> None:
    engine = Recording()
    drawn(tmp_path, engine=engine)
    assert engine.requests[2].prompt == "Answer prompt 2 with {braces} in {one} word."
    assert (tmp_path / "prompt.txt").read_text() == "Answer prompt 0 with {braces} in {one} word."


def test_problems_are_sampled_by_their_prompt(tmp_path: Path) -> None:
    problems = [Problem(id=id, prompt=text, kind="stdin", cases=(Case(stdin=""),)) for id, text in PROMPTS.items()]
    drawn(tmp_path / "problems", prompts=problems)
    drawn(tmp_path / "texts")
    assert texts(tmp_path / "problems") == texts(tmp_path / "texts")
    assert Run(tmp_path / "problems").plan == Run(tmp_path / "texts").plan


def test_a_finished_run_asks_the_engine_for_nothing(tmp_path: Path) -> None:
    drawn(tmp_path)
    before = (tmp_path / "samples.jsonl").read_bytes()
    engine = Recording()
    assert drawn(tmp_path, engine=engine).done == 20
    assert (engine.requests, (tmp_path / "samples.jsonl").read_bytes()) == ([], before)


def test_a_run_grows_to_a_larger_n_by_what_is_missing(tmp_path: Path) -> None:
    drawn(tmp_path / "grown", n=3)
    engine = Recording()
    drawn(tmp_path / "grown", n=8, engine=engine)
    assert {request.indices for request in engine.requests} == {(3, 4, 5, 6, 7)}
    drawn(tmp_path / "whole", n=8)
    assert texts(tmp_path / "grown") == texts(tmp_path / "whole")


def test_a_smaller_n_than_is_there_wants_nothing_more(tmp_path: Path) -> None:
    drawn(tmp_path, n=8)
    assert drawn(tmp_path, n=2, engine=Recording()) == Progress(done=10, wanted=10, tokens=10)


def test_an_engine_that_fails_keeps_what_came_and_the_run_goes_on(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="fell over"):
        drawn(tmp_path, engine=Recording(fails_after=7))
    assert len(texts(tmp_path)) == 7
    engine = Recording()
    drawn(tmp_path, engine=engine)
    assert sum(len(request.indices) for request in engine.requests) == 13
    assert len(texts(tmp_path)) == 20


def test_an_engine_that_stops_short_is_not_taken_for_finished(tmp_path: Path) -> None:
    class Short(Recording):
        def sample(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[Sample]:
            yield from list(super().sample(requests, decoding))[:-1]

    with pytest.raises(EngineFailed, match="stopped after 19 of 20"):
        drawn(tmp_path, engine=Short())
    assert len(texts(tmp_path)) == 19


@pytest.mark.parametrize("id", ["p0", "stranger"])
def test_an_answer_that_nobody_asked_for_is_not_kept(tmp_path: Path, id: str) -> None:
    class Chatty(Recording):
        def sample(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[Sample]:
            yield from super().sample(requests, decoding)
            yield Sample(id=id, index=0, text="again", finish_reason="stop")

    with pytest.raises(EngineFailed, match=f"{id}/0, which was not asked for"):
        drawn(tmp_path, engine=Chatty())
    assert len(texts(tmp_path)) == 20


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"decoding": WARM.model_copy(update={"temperature": 0.9})}, "decoding"),
        ({"decoding": WARM.model_copy(update={"seed": 8})}, "decoding"),
        ({"template": "{prompt}"}, "template"),
        ({"prompts": PROMPTS | {"p0": "other"}}, "problems_sha256"),
        ({"engine": Scripted(SCRIPT[:1])}, "engine"),
    ],
)
def test_other_settings_need_another_folder(tmp_path: Path, changed: dict[str, Any], named: str) -> None:
    drawn(tmp_path)
    before = (tmp_path / "samples.jsonl").read_bytes()
    with pytest.raises(InvalidInput, match=named):
        drawn(tmp_path, **changed)
    assert (tmp_path / "samples.jsonl").read_bytes() == before


def test_the_plan_says_what_the_answers_depend_on(tmp_path: Path) -> None:
    drawn(tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["template"] == TEMPLATE
    assert plan["decoding"] == WARM.model_dump(mode="json")
    assert plan["engine"] == open_engine("scripted", script=SCRIPT).identity()
    assert plan["problems"] == 5
    assert len(plan["template_sha256"]) == len(plan["problems_sha256"]) == 64


def test_a_row_that_is_no_sample_is_told_by_its_line(tmp_path: Path) -> None:
    drawn(tmp_path, n=1)
    with (tmp_path / "samples.jsonl").open("a") as rows:
        rows.write('{"id": "p0", "index": -1}\n')
    with pytest.raises(StoreCorrupt, match=r"samples.jsonl:6 is no sample"):
        drawn(tmp_path, n=2)


@pytest.mark.parametrize("template", ["", "no blank", "{prompt} {prompt}"])
def test_a_template_has_its_blank_exactly_once(template: str) -> None:
    with pytest.raises(InvalidInput, match="exactly once"):
        render(PROMPTS, template)


def test_a_blank_inside_a_prompt_is_not_filled() -> None:
    assert render({"a": "say {prompt}"}, "<{prompt}>") == {"a": "<say {prompt}>"}


def test_no_prompts_and_repeated_ids_are_refused() -> None:
    twins = [Problem(id="a", prompt=text, kind="stdin", cases=(Case(stdin=""),)) for text in "xy"]
    with pytest.raises(InvalidInput, match="'a' is there more than once"):
        render(twins, "{prompt}")
    with pytest.raises(InvalidInput, match="no prompts"):
        render({}, "{prompt}")


def test_no_samples_per_prompt_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="0 samples"):
        drawn(tmp_path / "run", n=0)
    assert not (tmp_path / "run").exists()


def test_two_processes_do_not_sample_into_one_run(tmp_path: Path) -> None:
    class Nested(Recording):
        def sample(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[Sample]:
            with pytest.raises(InvalidInput, match="another process"):
                drawn(tmp_path)
            yield from super().sample(requests, decoding)

    assert drawn(tmp_path, engine=Nested()).done == 20


def test_progress_ends_with_everything_done_and_never_falls(tmp_path: Path) -> None:
    seen: list[Progress] = []
    drawn(tmp_path, on_progress=seen.append)
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert (seen[0].done, seen[-1]) == (0, Progress(done=20, wanted=20, tokens=20))


def test_a_watcher_who_raises_ends_the_sitting_with_everything_kept(tmp_path: Path) -> None:
    def cancel(progress: Progress) -> None:
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drawn(tmp_path, on_progress=cancel)
    assert len(texts(tmp_path)) == 20


def test_uncounted_tokens_are_not_a_sum(tmp_path: Path) -> None:
    class Uncounted(Recording):
        def sample(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[Sample]:
            for number, one in enumerate(super().sample(requests, decoding)):
                yield one if number else one.model_copy(update={"tokens": None})

    assert drawn(tmp_path, engine=Uncounted()).tokens is None


SITTING = """
import json, sys
from pathlib import Path
from tools.measure.engines import open_engine
from tools.measure.sampling import sample
from tools.records import Decoding

job = json.loads(sys.argv[1])
engine = open_engine(job["engine"], **job["settings"])
sample(Path(job["folder"]), job["prompts"], engine, Decoding(**job["decoding"]), job["n"])
"""


def killed_sitting(folder: Path, job: dict[str, Any], after: int) -> None:
    """Sample in another process, and kill it without warning once so many rows are on disk."""
    rows = folder / "samples.jsonl"
    process = subprocess.Popen([sys.executable, "-c", SITTING, json.dumps(job | {"folder": str(folder)})], cwd=ROOT)
    try:
        deadline = time.monotonic() + 120
        while (not rows.exists() or rows.read_bytes().count(b"\n") < after) and process.poll() is None:
            assert time.monotonic() < deadline, "nothing was sampled"
            time.sleep(0.005)
        process.kill()
    finally:
        process.wait()
    assert process.returncode == -signal.SIGKILL, "it was finished before it could be killed"


def test_kill_nine_and_the_same_command_give_the_same_samples(tmp_path: Path) -> None:
    job = {
        "engine": "scripted",
        "settings": {"script": SCRIPT, "seconds": 0.05},
        "prompts": PROMPTS,
        "decoding": WARM.model_dump(),
        "n": 16,
    }
    killed_sitting(tmp_path / "killed", job, after=1)
    killed_sitting(tmp_path / "killed", job, after=20)
    kept = len(texts(tmp_path / "killed"))
    engine = open_engine("scripted", script=SCRIPT)
    for folder in ("killed", "whole"):
        sample(tmp_path / folder, PROMPTS, engine, WARM, 16)
    assert 20 <= kept < 80
    assert texts(tmp_path / "killed") == texts(tmp_path / "whole")
