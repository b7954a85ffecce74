"""The demonstration on a few problems with the real model: to its bundle, and to the same one after three kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tools.deliver import bundle
from tools.measure.engines import embedded
from tools.runs import Rows

pytest.importorskip("torch", reason="the extra `train` is not installed")
ROOT = Path(__file__).parent.parent
# the command itself, on still fewer problems than --quick takes
SMALL = """
import sys
from tui import cli, demo
demo.QUICK = demo.Size(evaluation=60, pool=160, samples=4, drawn=4, probes=1)
demo.DECODING = ("--temperature", "0.8", "--top-p", "0.95", "--max-tokens", "40")
sys.exit(cli.main(["demo", "demo", "--quick", *sys.argv[1:]]))
"""


def begin(home: Path, *arguments: str) -> subprocess.Popen[str]:
    home.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", SMALL, *arguments],
        cwd=home,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=(home / "said.txt").open("a"),
        text=True,
        start_new_session=True,
    )


def killed_once(home: Path, reached: Callable[[], bool]) -> None:
    """Begin, or go on, and kill -9 as soon as something is there."""
    process = begin(home)
    while not reached():
        assert process.poll() is None, (home / "said.txt").read_text()[-2000:]
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def rows(path: Path) -> int:
    return sum(1 for _ in Rows(path))


@pytest.mark.slow
@pytest.mark.skipif(find_spec(embedded.PACKAGE) is None, reason=embedded.INSTALL)
def test_killed_while_it_samples_trains_and_evaluates_it_ends_with_the_same_counts_and_verdict(tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole" / "demo", tmp_path / "torn" / "demo"
    process = begin(whole.parent, "--json")
    told = json.loads(process.communicate()[0])
    assert process.returncode == 0, (whole.parent / "said.txt").read_text()[-2000:]
    assert told["label"] == "not decision-grade"
    assert bundle.verify(whole / "bundle").ok
    killed_once(torn.parent, lambda: rows(torn / "base" / "samples.jsonl") > 0)
    killed_once(torn.parent, lambda: rows(torn / "minimal" / "training" / "log.jsonl") > 0)
    killed_once(torn.parent, lambda: rows(torn / "minimal" / "samples.jsonl") > 0)
    assert begin(torn.parent).wait() == 0, (torn.parent / "said.txt").read_text()[-2000:]
    assert bundle.verify(torn / "bundle").ok
    for spent in (("base", "cost/base-1"), ("samples", "cost/tuned-1"), ("minimal", "cost/tuned-2")):
        assert (torn / spent[0] / "cost.jsonl").read_bytes() == (torn / "bundle" / f"{spent[1]}.jsonl").read_bytes()
    assert "pp per CPU-hour [" in (torn / "bundle" / "REPORT.md").read_text()
    for name in ("counts/heldout.jsonl", "counts/tuned.jsonl", "battery/readings.json", "A-verdict.md"):
        assert (torn / "bundle" / name).read_bytes() == (whole / "bundle" / name).read_bytes(), name


def test_another_size_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "plan.json").write_text('{"demo": {"evaluation": 1}}')
    process = begin(tmp_path)
    assert process.wait() == 2
    assert "choose another folder" in (tmp_path / "said.txt").read_text()
