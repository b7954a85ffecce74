from pathlib import Path

import pytest

from tools.errors import InvalidInput, StoreCorrupt
from tools.records import Sample
from tools.runs import Rows, Run

PLAN = {"engine": "scripted", "decoding": {"temperature": 0.8, "max_tokens": 96}}


def test_a_folder_reopens_under_the_plan_it_began_with(tmp_path: Path) -> None:
    Run(tmp_path, PLAN)
    assert Run(tmp_path, PLAN).plan == Run(tmp_path).plan == PLAN


def test_another_plan_is_refused_and_named(tmp_path: Path) -> None:
    Run(tmp_path, PLAN)
    with pytest.raises(InvalidInput, match="engine is 'scripted' there and 'openai_api' now"):
        Run(tmp_path, PLAN | {"engine": "openai_api"})
    assert Run(tmp_path).plan == PLAN


def test_a_folder_without_a_plan_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no run here"):
        _ = Run(tmp_path).plan
    assert not any(tmp_path.iterdir())


def test_rows_come_back_in_order_and_survive_reopening(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "samples.jsonl")
    rows.append(Sample(id="a", index=i, text="é\n" * i, finish_reason="stop") for i in range(3))
    rows.append([{"id": "b"}])
    assert [row["id"] for row in Rows(rows.path)] == ["a", "a", "a", "b"]
    assert Sample(**next(iter(Rows(rows.path)))).text == ""


TORN = [b"{", b'{"id":"b"}', "é".encode()[:1], b"x" * 100_000]


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_last_line_is_passed_over_and_left_alone_by_whoever_reads(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b'{"id":"a"}\n' + torn)
    assert list(Rows(path)) == [{"id": "a"}]
    assert path.read_bytes().endswith(torn)


@pytest.mark.parametrize("torn", TORN)
def test_whoever_appends_cuts_it_off_and_keeps_it_beside(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b'{"id":"a"}\n' + torn)
    rows = Rows(path)
    rows.append([{"id": "c"}])
    assert (rows.repaired, list(rows)) == (len(torn), [{"id": "a"}, {"id": "c"}])
    assert (tmp_path / "samples.torn").read_bytes() == torn


def test_a_file_that_is_one_torn_line_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b'{"id"')
    assert list(Rows(path)) == []


def test_damage_in_the_middle_is_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "grades.jsonl"
    path.write_bytes(b'{"id":"a"}\n{"id"\n{"id":"c"}\n')
    with pytest.raises(StoreCorrupt, match=r"grades.jsonl:2"):
        list(Rows(path))


def test_the_manifest_lists_every_file_but_itself(tmp_path: Path) -> None:
    run = Run(tmp_path, PLAN)
    run.rows("samples").append([{"id": "a"}])
    text = run.write_manifest({"python": "3.11"}).read_text()
    assert '"samples.jsonl"' in text
    assert '"plan.json"' in text
    assert '"manifest.json"' not in text
