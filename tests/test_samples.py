"""Answers of other harnesses: each keeps its text, its number and how it must be read, or its line is named."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tools.errors import InvalidInput
from tools.measure import samples


def written(folder: Path, *rows: Any, name: str = "answers.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def taken(path: Path, *ids: str) -> list[tuple[str, int, str, str | None]]:
    return [(a.sample.id, a.sample.index, a.sample.text, a.extraction) for a in samples.read(path, ids)]


def refusal(path: Path, *ids: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        list(samples.read(path, ids))
    return str(caught.value)


def test_completions_continue_and_solutions_stand_alone(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"task_id": "HumanEval/0", "completion": "    return 1\n"},
        {"task_id": "HumanEval/1", "solution": "def f(): ..."},
        {"task_id": "HumanEval/0", "completion": ""},
        {"task_id": 7, "completion": "x", "solution": None},
    )
    assert taken(path) == [
        ("HumanEval/0", 0, "    return 1\n", "continuation"),
        ("HumanEval/1", 0, "def f(): ...", "whole"),
        ("HumanEval/0", 1, "", "continuation"),
        ("7", 0, "x", "continuation"),
    ]


def test_a_solution_counts_where_both_are_there(tmp_path: Path) -> None:
    path = written(tmp_path, {"task_id": "a", "completion": "return 1", "solution": "def f(): return 1"})
    assert taken(path) == [("a", 0, "def f(): return 1", "whole")]


def test_a_list_and_a_packed_file_read_as_lines_do(tmp_path: Path) -> None:
    rows = [{"task_id": "a", "completion": "x"}, {"task_id": "a", "completion": "y"}]
    listed, packed = tmp_path / "list.json", tmp_path / "lines.jsonl.gz"
    listed.write_text(json.dumps(rows, indent=1))
    packed.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    assert taken(listed) == taken(packed) == taken(written(tmp_path, *rows))


def test_what_the_file_says_of_a_sample_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, {"task_id": "a", "completion": "x", "finish_reason": "length", "tokens": 9, "other": 1})
    (answer,) = samples.read(path)
    assert (answer.sample.finish_reason, answer.sample.tokens) == ("length", 9)
    (answer,) = samples.read(written(tmp_path, {"task_id": "a", "completion": "x"}))
    assert answer.sample.finish_reason == samples.UNKNOWN


def test_an_evalplus_folder_gives_back_ids_and_numbers(tmp_path: Path) -> None:
    for place, text in {"HumanEval_0/10.py": "ten", "HumanEval_0/2.py": "two", "Mbpp_2/0.py": "zero"}.items():
        file = tmp_path / "codegen" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    wanted = [("HumanEval/0", 2, "two", "whole"), ("HumanEval/0", 10, "ten", "whole"), ("Mbpp/2", 0, "zero", "whole")]
    assert taken(tmp_path / "codegen") == wanted
    assert taken(tmp_path / "codegen", "HumanEval/0", "Mbpp/2", "a_b/c") == wanted
    assert "answers 'Mbpp_2'" in refusal(tmp_path / "codegen", "HumanEval/0")


def test_an_id_with_underscores_survives_the_name_of_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "out" / "my_set_x" / "0.py"
    file.parent.mkdir(parents=True)
    file.write_text("p")
    assert taken(tmp_path / "out", "my_set/x") == [("my_set/x", 0, "p", "whole")]


def test_livecodebench_lists_are_samples_of_one_problem(tmp_path: Path) -> None:
    rows = [{"question_id": "abc", "code_list": ["p", "q"], "output_list": ["``p``", "``q``"]}]
    path = tmp_path / "Scenario.codegeneration.json"
    path.write_text(json.dumps(rows))
    assert taken(path) == [("abc", 0, "p", "whole"), ("abc", 1, "q", "whole")]


def test_generations_pair_with_the_ids_of_their_problems(tmp_path: Path) -> None:
    path = tmp_path / "generations.json"
    path.write_text(json.dumps([["a0", "a1"], ["b0"]]))
    assert taken(path, "A", "B") == [("A", 0, "a0", "whole"), ("A", 1, "a1", "whole"), ("B", 0, "b0", "whole")]
    assert "2 problems" in refusal(path)
    assert "3 ids are known" in refusal(path, "A", "B", "C")


def test_samples_of_a_run_leave_extraction_to_the_setting(tmp_path: Path) -> None:
    row = {"id": "a", "index": 3, "text": "```x```", "finish_reason": "stop", "tokens": 4, "seed": 11}
    (answer,) = samples.read(written(tmp_path, row))
    assert (answer.sample.model_dump(exclude_none=True), answer.extraction) == (row, None)
    assert "sample 3 of 'a' repeats" in refusal(written(tmp_path, row, row))


def test_an_answer_to_a_foreign_problem_is_refused_by_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, {"task_id": "a", "completion": "x"}, {"task_id": "b", "completion": "x"})
    assert "answers.jsonl:2: answers 'b'" in refusal(path, "a")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"task_id": "a", "completion": 5}', "key completion is 5"),
        ('{"task_id": "a"}', "none of the sample formats"),
        ('{"completion": "x"}', "none of the sample formats"),
        ('{"task_id": true, "completion": "x"}', "key task_id is True"),
        ('{"task_id": "a", "completion": "x", "tokens": -1}', "key tokens"),
        ('{"question_id": "a", "code_list": []}', "key code_list"),
        ('{"id": "a", "index": -1, "text": "x"}', "key index is -1"),
        ('{"task_id": "a", "compl', "is not JSON"),
        ('"text"', "is a str"),
    ],
)
def test_a_line_that_is_no_answer_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(line + "\n")
    message = refusal(path)
    assert "answers.jsonl:1" in message
    assert said in message


@pytest.mark.parametrize("content", [b"", b"\n", b"[]", b"[1", b"\xff\xfe\x00", b"\x1f\x8b broken"])
def test_a_file_without_answers_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(content)
    assert "answers.jsonl" in refusal(path)
    assert "nowhere.jsonl" in refusal(tmp_path / "nowhere.jsonl")
