"""What was issued stays where it is: no second issue, no other purpose, no near-duplicate on the other side."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.errors import AntiPattern, InvalidInput, StoreCorrupt
from tools.measure import custody
from tools.measure.custody import Custody
from tools.records import Case, Problem

WISHES = st.tuples(st.integers(1, 6), st.sampled_from(custody.PURPOSES), st.booleans())
NAMES = [f"{one}{two}ra" for one in ("bel", "cor", "dun", "fal", "gim", "hov", "jas", "kel") for two in "aeiou"]


def problem(number: int, difficulty: str = "", prompt: str = "", cluster: str = "") -> Problem:
    """A problem unlike all others; its id says which."""
    names = NAMES[3 * number : 3 * number + 3]
    text = prompt or f"Say how often {names[0]} meets {names[1]} at the gates of {names[2]}."
    return Problem(
        id=f"p{number:02}",
        prompt=text,
        entry_point="f",
        cases=(Case(args=(number,), expected=number),),
        difficulty=difficulty,
        cluster=cluster,
    )


def filled(folder: Path, count: int = 12) -> Custody:
    """Custody of so many problems, half easy, a third hard, the rest medium; p00 and p01 are near-duplicates."""
    levels = ("easy", "easy", "easy", "hard", "hard", "medium")
    problems = [problem(i, levels[i % 6]) for i in range(count)]
    problems[1] = problem(1, "easy", problems[0].prompt.upper())
    held = Custody(folder)
    held.register(problems)
    return held


# --- taking in


def test_registering_counts_problems_clusters_and_what_is_free(tmp_path: Path) -> None:
    state = filled(tmp_path).state
    assert (state.registered, state.clusters) == (12, 11)
    assert state.free == {"easy": 6, "hard": 4, "medium": 2}


def test_registering_again_changes_nothing(tmp_path: Path) -> None:
    before = filled(tmp_path).state
    assert filled(tmp_path).state == before


def test_a_prompt_that_changed_under_its_id_is_refused(tmp_path: Path) -> None:
    held = filled(tmp_path)
    with pytest.raises(InvalidInput, match=r"'p03' is in custody with another prompt; expected .*; give the changed"):
        held.register([problem(3, prompt="Something else entirely")])


def test_an_id_that_stands_twice_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="id 'p00' stands more than once"):
        Custody(tmp_path).register([problem(0), problem(0)])
    assert Custody(tmp_path).state.registered == 0


def test_plain_prompts_can_be_held_too(tmp_path: Path) -> None:
    assert Custody(tmp_path).register([("a", "Weigh the anchors."), ("b", "Melt the candles.")]).registered == 2
    with pytest.raises(InvalidInput, match="is no prompt"):
        Custody(tmp_path).register([("c", None)])  # type: ignore[list-item]


# --- giving out


def test_an_issue_by_size_takes_of_every_slice_in_proportion(tmp_path: Path) -> None:
    issue = filled(tmp_path).issue("holdout", "evaluation", size=6, seed=3)
    levels = [("easy", "easy", "easy", "hard", "hard", "medium")[int(id_[1:]) % 6] for id_ in issue.ids]
    assert {level: levels.count(level) for level in levels} == {"easy": 3, "hard": 2, "medium": 1}
    assert issue.seed == 3


def test_the_seed_decides_and_the_order_of_registration_does_not(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one"), Custody(tmp_path / "other")
    entries = json.loads((tmp_path / "one" / custody.LOG).read_text().splitlines()[0])["entries"]
    for entry in reversed(entries):
        other.register([problem(int(entry["id"][1:]), entry["slice"], entry["prompt"])])
    assert one.issue("a", "pool", size=5, seed=7).ids == other.issue("a", "pool", size=5, seed=7).ids
    draws = {filled(tmp_path / str(seed)).issue("a", "pool", size=5, seed=seed).ids for seed in range(8)}
    assert len(draws) > 1


def test_near_duplicates_are_drawn_together_or_not_at_all(tmp_path: Path) -> None:
    for seed in range(6):
        ids = filled(tmp_path / str(seed)).issue("a", "pool", size=6, seed=seed).ids
        assert ("p00" in ids) == ("p01" in ids)


def test_a_near_duplicate_of_an_issue_is_reserved_with_it(tmp_path: Path) -> None:
    held = filled(tmp_path)
    assert held.issue("holdout", "evaluation", ids=["p01", "p05"]).reserved == ("p00",)
    with pytest.raises(AntiPattern, match=r"'p00' is a near-duplicate of what was issued as evaluation 'holdout'"):
        held.issue("pool", "pool", ids=["p00"])
    assert held.state.free == {"easy": 4, "hard": 4, "medium": 1}


def test_a_near_duplicate_that_comes_later_is_reserved_too(tmp_path: Path) -> None:
    held = filled(tmp_path)
    held.issue("holdout", "evaluation", ids=["p05"])
    held.register([("late", problem(5).prompt.lower() + " Be brief.")])
    with pytest.raises(AntiPattern, match="'late' is a near-duplicate of what was issued"):
        held.issue("pool", "pool", ids=["late"])
    assert "late" not in held.issue("rest", "pool", size=11).ids


def test_problems_of_one_named_cluster_stay_together(tmp_path: Path) -> None:
    held = Custody(tmp_path)
    held.register([problem(2, cluster="waves"), problem(3), problem(4, cluster="waves")])
    assert held.state.clusters == 2
    assert held.issue("a", "pool", ids=["p02"]).reserved == ("p04",)


@given(
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from(custody.PURPOSES), st.booleans()), max_size=5),
    st.integers(0, 9),
)
@settings(deadline=None, max_examples=20)
def test_issues_never_overlap_nor_split_a_cluster(wishes: list[tuple[int, custody.Purpose, bool]], seed: int) -> None:
    with TemporaryDirectory() as folder:
        held = filled(Path(folder))
        for number, (size, purpose, stratified) in enumerate(wishes):
            try:
                issue = held.issue(f"i{number}", purpose, size=size, seed=seed, stratified=stratified)
                assert len(issue.ids) == size
            except InvalidInput:
                continue
        issues = held.state.issues.values()
        given_out = [id_ for issue in issues for id_ in (*issue.ids, *issue.reserved)]
        assert len(given_out) == len(set(given_out))
        assert all(("p00" in issue.ids) == ("p01" in issue.ids) for issue in issues)
        assert sum(held.state.free.values()) == 12 - len(given_out)


# --- refusals


def test_issued_problems_are_not_issued_again(tmp_path: Path) -> None:
    held = filled(tmp_path)
    held.issue("round1", "pool", ids=["p02", "p03"])
    with pytest.raises(InvalidInput, match=r"'p03' was issued as pool 'round1'; expected a pool that was issued"):
        held.issue("round2", "pool", ids=["p03", "p04"])
    assert "round2" not in held.state.issues


@pytest.mark.parametrize(
    ("first", "then", "pattern"), [("evaluation", "pool", "pool_from_eval"), ("pool", "evaluation", "same_set_eval")]
)
def test_a_use_for_the_other_purpose_is_an_anti_pattern(
    tmp_path: Path, first: custody.Purpose, then: custody.Purpose, pattern: str
) -> None:
    held = filled(tmp_path)
    held.issue("slice", first, ids=["p02", "p03"])
    with pytest.raises(AntiPattern) as again:
        held.issue("other", then, ids=["p02"])
    with pytest.raises(AntiPattern) as used:
        held.burn("slice", "run1", then)
    assert again.value.pattern == used.value.pattern == pattern
    assert held.state.issues["slice"].burned_by is None


def test_a_burned_issue_serves_its_own_run_only(tmp_path: Path) -> None:
    held = filled(tmp_path)
    held.issue("holdout", "evaluation", size=4)
    first = held.burn("holdout", "run1", "evaluation")
    assert first.burned_by == "run1"
    assert held.burn("holdout", "run1", "evaluation") == first
    with pytest.raises(InvalidInput, match=r"burned by run 'run1'; .*issue a fresh evaluation for run 'run2'"):
        held.burn("holdout", "run2", "evaluation")
    with pytest.raises(AntiPattern, match="burned by run 'run1'"):
        held.issue("pool", "pool", ids=list(first.ids))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"size": 13}, "13 problems asked for; expected 1 to 12, which are free"),
        ({"size": 0}, "0 problems asked for"),
        ({"ids": ["nobody"]}, "'nobody' is not registered; expected registered ids"),
        ({"ids": []}, "no ids, or an id twice"),
        ({"ids": ["p02", "p02"]}, "no ids, or an id twice"),
        ({}, "both or neither of size and ids"),
        ({"size": 2, "seed": -1}, "seed -1; expected 0 or more"),
        ({"size": 1, "ids": ["p02"]}, "both or neither of size and ids"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(tmp_path: Path, wish: dict[str, object], message: str) -> None:
    held = filled(tmp_path)
    before = held.state
    with pytest.raises(InvalidInput, match=message):
        held.issue("a", "pool", **wish)  # type: ignore[arg-type]
    assert held.state == before


def test_a_size_that_whole_clusters_do_not_make_is_refused(tmp_path: Path) -> None:
    held = filled(tmp_path, 2)
    with pytest.raises(InvalidInput, match="make 0 of 1 problems; expected a size that whole clusters make"):
        held.issue("a", "pool", size=1)


def test_names_and_purposes_are_checked(tmp_path: Path) -> None:
    held = filled(tmp_path)
    held.issue("a", "pool", size=2)
    with pytest.raises(InvalidInput, match="'a' stands issued already"):
        held.issue("a", "pool", size=2)
    with pytest.raises(InvalidInput, match="purpose 'training'; expected pool or evaluation or probe"):
        held.issue("b", "training", size=2)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="nothing was issued as 'b'"):
        held.burn("b", "run")


# --- the log


def lines(folder: Path) -> list[str]:
    return (folder / custody.LOG).read_text().splitlines(keepends=True)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda log: [log[0], log[2]],
        lambda log: [log[1], log[0], log[2]],
        lambda log: [log[0], log[1].replace('"pool"', '"probe"'), log[2]],
        lambda log: [log[0].replace('"easy"', '"hard"', 1), log[1], log[2]],
        lambda log: [log[0], "{}\n", log[2]],
        lambda log: [log[0], "no json\n", log[2]],
    ],
    ids=["dropped", "moved", "another purpose", "another slice", "empty", "damaged"],
)
def test_an_altered_log_is_found(tmp_path: Path, tamper: object) -> None:
    held = filled(tmp_path)
    held.issue("a", "pool", size=3)
    held.burn("a", "run")
    (tmp_path / custody.LOG).write_text("".join(tamper(lines(tmp_path))))  # type: ignore[operator]
    with pytest.raises(StoreCorrupt, match=r"custody.jsonl:[123] "):
        _ = held.state


def test_a_chain_forged_around_an_unknown_problem_is_found(tmp_path: Path) -> None:
    filled(tmp_path)
    event = {"kind": "burned", "name": "nothing", "run": "r", "prev": Custody(tmp_path).state.head}
    with (tmp_path / custody.LOG).open("a") as log:
        log.write(json.dumps(event) + "\n")
    with pytest.raises(StoreCorrupt, match="speaks of 'nothing'"):
        _ = Custody(tmp_path).state


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_torn_last_line_never_counted(tmp_path: Path, kept: float) -> None:
    held = filled(tmp_path)
    before = held.state
    held.issue("a", "pool", size=3)
    first, last = lines(tmp_path)
    (tmp_path / custody.LOG).write_text(first + last[: int(len(last) * kept)])
    assert held.state == before
    assert held.issue("a", "pool", size=3).ids


def grab(folder: str, name: str) -> None:
    for number in range(3):
        Custody(Path(folder)).issue(f"{name}{number}", "pool", size=2, seed=number)


def test_two_processes_at_once_never_get_the_same_problem(tmp_path: Path) -> None:
    held = filled(tmp_path)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=grab, args=(str(tmp_path), name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    given_out = [id_ for issue in held.state.issues.values() for id_ in issue.ids]
    assert (len(given_out), len(set(given_out))) == (12, 12)


def test_a_process_that_keeps_the_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = filled(tmp_path)
    monkeypatch.setattr(custody, "PATIENCE_SECONDS", 0.05)
    with held._book(), pytest.raises(InvalidInput, match="custody is held by another process; expected one process"):
        Custody(tmp_path).issue("a", "pool", size=1)


KILLED = """
import sys
from pathlib import Path
from tools.measure.custody import Custody
held = Custody(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(10_000):
    held.register([(f"n{number}", f"An unusual wish about number {number}.")])
    held.issue(f"i{number}", "pool", ids=[f"n{number}"])
"""


@pytest.mark.parametrize("delay", [0.05, 0.2])
def test_kill_9_leaves_whole_events(tmp_path: Path, delay: float) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(delay)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    state = Custody(tmp_path).state
    assert state.registered - len(state.issues) in (0, 1)
    assert Custody(tmp_path).register([("after", "Another wish.")]).registered == state.registered + 1
