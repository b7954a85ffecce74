import gzip
import json
from pathlib import Path

import pytest

from tools.errors import InvalidInput
from tools.measure import pools


def write(path: Path, *rows: object) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["pool.jsonl", "pool.jsonl.gz"])
def test_prompts_come_with_their_ids_under_the_usual_names(name: str, tmp_path: Path) -> None:
    rows = [
        {"id": "a", "prompt": "one"},
        {"task_id": 7, "text": "two"},
        {"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "three"}]},
    ]
    assert list(pools.prompts(write(tmp_path / name, *rows))) == [("a", "one"), ("7", "two"), ("3", "three")]


@pytest.mark.parametrize("row", [{"id": "a"}, {"prompt": ""}, {"prompt": 3}, ["prompt"], {"messages": []}])
def test_a_line_without_a_prompt_is_refused_with_its_place(row: object, tmp_path: Path) -> None:
    path = write(tmp_path / "pool.jsonl", {"prompt": "fine"}, row)
    with pytest.raises(InvalidInput, match=r"pool.jsonl:2"):
        list(pools.prompts(path))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="cannot be read"):
        list(pools.prompts(path))


def test_lines_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text('{"prompt": "one"}\nnot json\n')
    assert next(pools.prompts(path)) == ("1", "one")
